/* Where events go: to the log, if its level lets them through, and to subscribers. An event that is
   a peer's fault takes a token of its kind first; what finds none is counted, and said later:
   before the next one of that kind that gets through, or by a timer where none comes. */
#include "events.h"

#include <string.h>

#include "events-line.h"

#define BUCKET_SIZE 10
#define TOKEN_EVERY (1 * MAL_US)
#define SAY_SUPPRESSED_AFTER (10 * MAL_US)

typedef struct {
  unsigned id;                /* 0: unsubscribed, to be swept */
  bool busy;                  /* in its callback: what it causes itself is not told to it */
  MalEventFunc func;
  void *data;
} Subscriber;

typedef struct {
  const MalEventDef *def;
  unsigned tokens;
  int64_t refilled;           /* monotonic; tokens are counted from here */
  uint64_t suppressed;
  int64_t suppressed_since;
} Bucket;

struct MalEvents {
  MalRuntime *rt;
  MalLogWrite write;
  void *data;
  MalLogLevel level;
  MalLogFormat format;
  GPtrArray *known;           /* const MalEventDef * */
  GPtrArray *buckets;         /* Bucket *, owned; as many as there are kinds by fault of a peer */
  GPtrArray *subscribers;     /* Subscriber *, owned */
  unsigned last_id;
  unsigned live;              /* subscribers that aren't swept or to be */
  unsigned depth;             /* of calls to subscribers */
  MalTimer *timer;
  bool timer_set;
};

static const MalEventDef suppressed_event = {
  "events.suppressed", MAL_FAULT_NOBODY, MAL_LOG_WARNING,
  "Events of one kind that peers cause came faster than the log takes them: ten at once, then one "
  "a second. Field kind names it, count says how many were left out; counters have them all. Look "
  "at the last ones of that kind that were shown: one host may be misbehaving, or somebody floods "
  "the daemon.",
};

static void say_suppressed_late(void *data);

MalEvents *mal_events_new(MalRuntime *rt, MalLogWrite write, void *data)
{
  MalEvents *events = g_new0(MalEvents, 1);
  events->rt = rt;
  events->write = write;
  events->data = data;
  events->level = MAL_LOG_INFO;
  events->known = g_ptr_array_new();
  events->buckets = g_ptr_array_new_with_free_func(g_free);
  events->subscribers = g_ptr_array_new_with_free_func(g_free);
  events->timer = mal_timer_new(rt, say_suppressed_late, events);
  const MalEventDef *own = &suppressed_event;
  mal_events_register(events, &own, 1);
  return events;
}

void mal_events_free(MalEvents *events)
{
  if (!events)
    return;
  g_assert(events->depth == 0);
  mal_timer_free(events->timer);
  g_ptr_array_unref(events->known);
  g_ptr_array_unref(events->buckets);
  g_ptr_array_unref(events->subscribers);
  g_free(events);
}

void mal_events_set_log(MalEvents *events, MalLogLevel level, MalLogFormat format)
{
  events->level = level;
  events->format = format;
}

/* A plugin that is loaded again brings the same name at another place: the new definition
   counts. */
void mal_events_register(MalEvents *events, const MalEventDef *const *defs, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    guint at = 0;
    while (at < events->known->len &&
           strcmp(((const MalEventDef *) events->known->pdata[at])->name, defs[i]->name) != 0)
      at++;
    if (at == events->known->len)
      g_ptr_array_add(events->known, NULL);
    events->known->pdata[at] = (void *) defs[i];
  }
}

GPtrArray *mal_events_known(const MalEvents *events)
{
  GPtrArray *copy = g_ptr_array_new();
  for (guint i = 0; i < events->known->len; i++)
    g_ptr_array_add(copy, events->known->pdata[i]);
  return copy;
}

/* ---- subscribers ----------------------------------------------------------------------------- */

unsigned mal_events_subscribe(MalEvents *events, MalEventFunc func, void *data)
{
  Subscriber *s = g_new0(Subscriber, 1);
  if (++events->last_id == 0)
    ++events->last_id;
  *s = (Subscriber) { .id = events->last_id, .func = func, .data = data };
  g_ptr_array_add(events->subscribers, s);
  events->live++;
  return s->id;
}

static void sweep(MalEvents *events)
{
  for (guint i = events->subscribers->len; events->depth == 0 && i-- > 0;)
    if (((const Subscriber *) events->subscribers->pdata[i])->id == 0)
      g_ptr_array_remove_index(events->subscribers, i);
}

void mal_events_unsubscribe(MalEvents *events, unsigned id)
{
  for (guint i = 0; id != 0 && i < events->subscribers->len; i++) {
    Subscriber *s = events->subscribers->pdata[i];
    if (s->id == id) {
      s->id = 0;
      events->live--;
      sweep(events);
      return;
    }
  }
}

/* Who subscribes meanwhile hears the next event; who unsubscribes hears no more. */
static void tell(MalEvents *events, const MalEventView *e)
{
  guint n = events->subscribers->len;
  events->depth++;
  for (guint i = 0; i < n; i++) {
    Subscriber *s = events->subscribers->pdata[i];
    if (s->id == 0 || s->busy)
      continue;
    s->busy = true;
    s->func(e->def, e->at, e->fields, e->n_fields, e->message, s->data);
    s->busy = false;
  }
  events->depth--;
  sweep(events);
}

/* ---- emitting -------------------------------------------------------------------------------- */

static bool logged(const MalEvents *events, MalLogLevel level)
{
  return events->write && level <= events->level;
}

bool mal_event_wanted(const MalEvents *events, const MalEventDef *def)
{
  return events && (events->live > 0 || logged(events, def->level));
}

/* LEVEL decides about the log: the definition's own, but for the remark on suppressed events. */
static void emit(MalEvents *events, MalLogLevel level, const MalEventView *e)
{
  if (logged(events, level)) {
    g_autofree char *line = mal_event_to_line(e, events->format);
    events->write(level, line, events->data);
  }
  if (events->live > 0)
    tell(events, e);
}

static void say_suppressed(MalEvents *events, Bucket *b)
{
  if (b->suppressed == 0)
    return;
  uint64_t count = b->suppressed;
  int64_t seconds = (mal_runtime_monotonic(events->rt) - b->suppressed_since + MAL_US - 1) / MAL_US;
  b->suppressed = 0;
  g_autofree char *message = g_strdup_printf(
      "%" G_GUINT64_FORMAT " more %s were not shown in the last %" G_GINT64_FORMAT " s", count,
      b->def->name, MAX(seconds, 1));
  MalField fields[] = { MAL_F_STRING("kind", b->def->name), MAL_F_INT("count", (int64_t) count) };
  MalEventView view = { &suppressed_event, mal_runtime_now(events->rt), fields,
                        G_N_ELEMENTS(fields), message };
  emit(events, b->def->level, &view);
}

static void say_suppressed_late(void *data)
{
  MalEvents *events = data;
  events->timer_set = false;
  for (guint i = 0; i < events->buckets->len; i++)
    say_suppressed(events, events->buckets->pdata[i]);
}

/* By name, since a plugin that was loaded again must not find two buckets. */
static Bucket *bucket_of(MalEvents *events, const MalEventDef *def)
{
  for (guint i = 0; i < events->buckets->len; i++) {
    Bucket *b = events->buckets->pdata[i];
    if (b->def == def)
      return b;
    if (strcmp(b->def->name, def->name) == 0) {
      b->def = def;
      return b;
    }
  }
  Bucket *b = g_new0(Bucket, 1);
  *b = (Bucket){ .def = def, .tokens = BUCKET_SIZE, .refilled = mal_runtime_monotonic(events->rt) };
  g_ptr_array_add(events->buckets, b);
  return b;
}

static bool take_token(MalEvents *events, Bucket *b)
{
  int64_t now = mal_runtime_monotonic(events->rt);
  int64_t come_back = (now - b->refilled) / TOKEN_EVERY;
  if (come_back >= BUCKET_SIZE - (int64_t) b->tokens) {
    b->tokens = BUCKET_SIZE;
    b->refilled = now;
  } else {
    b->tokens += (unsigned) come_back;
    b->refilled += come_back * TOKEN_EVERY;
  }
  if (b->tokens > 0) {
    b->tokens--;
    return true;
  }
  if (b->suppressed++ == 0) {
    b->suppressed_since = now;
    if (!events->timer_set)
      mal_timer_set(events->timer, now + SAY_SUPPRESSED_AFTER);
    events->timer_set = true;
  }
  return false;
}

void mal_event(MalEvents *events, const MalEventDef *def, const MalField *fields, size_t n_fields,
               const char *format, ...)
{
  if (!mal_event_wanted(events, def))
    return;
  if (def->fault == MAL_FAULT_PEER) {
    Bucket *b = bucket_of(events, def);
    if (!take_token(events, b))
      return;
    say_suppressed(events, b);
  }
  va_list args;
  va_start(args, format);
  g_autofree char *message = g_strdup_vprintf(format, args);
  va_end(args);
  MalEventView view = { def, mal_runtime_now(events->rt), fields, n_fields, message };
  emit(events, def->level, &view);
}

const char *mal_log_level_name(MalLogLevel level)
{
  static const char *const names[] = { "error", "warning", "info", "debug" };
  return level < G_N_ELEMENTS(names) ? names[level] : "debug";
}

const char *mal_fault_name(MalFault fault)
{
  static const char *const names[] = { "nobody", "peer", "operator", "ours" };
  return fault < G_N_ELEMENTS(names) ? names[fault] : "ours";
}
