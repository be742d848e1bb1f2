#include "tests/unit/masc-session-bed.h"
#include "tests/support/hex.h"

#include <criterion/criterion.h>
#include <string.h>

typedef enum { CONNECTED, FAILED, ACCEPT, DATA, CLOSED } Kind;

typedef struct {
  int64_t at;
  uint64_t serial;
  Kind kind;
  unsigned end;
  MascLink link;
  uint8_t *octets;
  size_t length;
} Event;

static void event_free(void *data)
{
  Event *e = data;
  g_free(e->octets);
  g_free(e);
}

uint64_t masc_bed_random(MascBed *bed, uint64_t low, uint64_t high)
{
  uint64_t z = bed->seed += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return high - low == UINT64_MAX ? z : low + z % (high - low + 1);
}

MascNow masc_bed_now(const MascBed *bed)
{
  return (MascNow){ bed->now, MASC_BED_EPOCH + bed->now / MASC_SECOND };
}

static bool is_puppet(const MascEnd *end)
{
  return end->bed->n == 1;
}

/* ---- the wire -------------------------------------------------------------------------------- */

static void push(MascBed *bed, int64_t at, Kind kind, unsigned end, MascLink link,
                 const uint8_t *octets, size_t length)
{
  Event *e = g_new0(Event, 1);
  *e = (Event){ at, bed->serial++, kind, end, link, g_memdup2(octets, length), length };
  g_ptr_array_add(bed->events, e);
}

/* Towards END, behind what is on its way there. */
static void push_along(MascBed *bed, Kind kind, unsigned end, MascLink link, const uint8_t *octets,
                       size_t length)
{
  int64_t at = bed->now + bed->delay + (int64_t)masc_bed_random(bed, 0, (uint64_t)bed->jitter);
  int64_t *last = &bed->pipes[link].last[end];
  *last = MAX(*last, at);
  push(bed, *last, kind, end, link, octets, length);
}

static void push_octets(MascBed *bed, unsigned end, MascLink link, const uint8_t *octets,
                        size_t length)
{
  bed->pipes[link].flying[end] += length;
  while (length > 0) {
    size_t n = bed->split ? (size_t)masc_bed_random(bed, 1, length) : length;
    push_along(bed, DATA, end, link, octets, n);
    octets += n;
    length -= n;
  }
}

static void arrive(MascBed *bed, const Event *e)
{
  MascEnd *end = &bed->ends[e->end];
  bool *open = bed->pipes[e->link].open;
  MascNow now = masc_bed_now(bed);
  switch (e->kind) {
  case CONNECTED:
    if (open[e->end])
      masc_session_connected(end->session, e->link, now);
    break;
  case FAILED:
    if (open[e->end]) {
      open[e->end] = false;
      masc_session_failed(end->session, e->link, now);
    }
    break;
  case ACCEPT:
    open[e->end] = end->session != NULL;
    if (end->session != NULL && !masc_session_accepted(end->session, e->link, now)) {
      open[e->end] = false;
      push_along(bed, CLOSED, 1 - e->end, e->link, NULL, 0);
    }
    break;
  case DATA:
    bed->pipes[e->link].flying[e->end] -= e->length;
    if (open[e->end])
      masc_session_data(end->session, e->link, e->octets, e->length, now);
    else
      push_along(bed, CLOSED, 1 - e->end, e->link, NULL, 0);
    break;
  case CLOSED:
  default:
    if (open[e->end]) {
      open[e->end] = false;
      masc_session_closed(end->session, e->link, now);
    }
    break;
  }
}

/* ---- what sessions do ------------------------------------------------------------------------ */

static void say(MascEnd *end, const char *what)
{
  g_string_append_printf(end->said, "%s%s", end->said->len == 0 ? "" : "; ", what);
}

static void describe(MascEnd *end, const uint8_t *octets, size_t length)
{
  MascMessage msg;
  char text[64];
  cr_assert(masc_decode(octets, length, &msg, NULL));
  if (msg.type == MASC_NOTIFICATION)
    g_snprintf(text, sizeof text, "NOTIFICATION %u.%u%s", msg.notification.code,
               msg.notification.subcode, msg.notification.open ? " open" : "");
  else if (msg.type == MASC_UPDATE)
    g_snprintf(text, sizeof text, "UPDATE %zu", msg.update.length / 36);
  else
    g_snprintf(text, sizeof text, "%s", masc_type_name(msg.type));
  say(end, text);
}

static MascLink op_connect(void *user, MascSession *session)
{
  MascEnd *end = user;
  MascBed *bed = end->bed;
  (void)session;
  say(end, "connect");
  end->connecting = 0;
  if (end->no_connect)
    return 0;
  MascLink link = end->connecting = ++bed->n_pipes;
  cr_assert_lt(link, MASC_BED_PIPES);
  bed->pipes[link].open[end->index] = true;
  if (is_puppet(end))
    return link;
  if (bed->ends[1 - end->index].session == NULL) {
    push(bed, bed->now + 2 * bed->delay, FAILED, end->index, link, NULL, 0);
    return link;
  }
  push_along(bed, ACCEPT, 1 - end->index, link, NULL, 0);
  int64_t there = bed->pipes[link].last[1 - end->index];
  bed->pipes[link].last[end->index] = there + bed->delay;
  push(bed, there + bed->delay, CONNECTED, end->index, link, NULL, 0);
  return link;
}

static bool op_send(void *user, MascSession *session, MascLink link, const uint8_t *octets,
                    size_t length)
{
  MascEnd *end = user;
  unsigned to = 1 - end->index;
  (void)session;
  cr_assert(end->bed->pipes[link].open[end->index]);
  if (end->full && end->take == 0)
    return false;
  end->take -= end->take > 0;
  if (end->room > 0 && end->bed->pipes[link].flying[to] + length > end->room)
    return false;
  describe(end, octets, length);
  end->said_on = link;
  g_byte_array_set_size(end->octets, 0);
  g_byte_array_append(end->octets, octets, (guint)length);
  if (!is_puppet(end))
    push_octets(end->bed, to, link, octets, length);
  return true;
}

static void op_finish(void *user, MascSession *session, MascLink link)
{
  MascEnd *end = user;
  (void)session;
  cr_assert(end->bed->pipes[link].open[end->index], "link %u was closed", link);
  end->bed->pipes[link].open[end->index] = false;
  say(end, "close");
  if (!is_puppet(end))
    push_along(end->bed, CLOSED, 1 - end->index, link, NULL, 0);
}

static void op_up(void *user, MascSession *session, MascNow now)
{
  MascEnd *end = user;
  cr_assert(!end->up && masc_session_state(session) == MASC_ESTABLISHED);
  end->up = true;
  end->ups++;
  if (end->dump->len > 0)
    cr_assert(masc_session_send(session, (const MascClaim *)(const void *)end->dump->data,
                                end->dump->len, now));
}

static void op_down(void *user, MascSession *session, MascDown why, MascNow now)
{
  MascEnd *end = user;
  (void)now;
  cr_assert(end->up && masc_session_state(session) == MASC_IDLE);
  end->up = false;
  end->downs[why]++;
}

static uint8_t op_claim(void *user, MascSession *session, const MascClaim *claim, MascNow now)
{
  MascEnd *end = user;
  (void)now;
  cr_assert(end->up && masc_session_state(session) == MASC_ESTABLISHED);
  if (end->refuse != 0 && claim->type == end->refuse_type)
    return end->refuse;
  g_array_append_vals(end->claims, claim, 1);
  return 0;
}

static void op_update_end(void *user, MascSession *session, MascNow now)
{
  (void)session;
  (void)now;
  ((MascEnd *)user)->updates++;
}

static uint64_t op_random(void *user, uint64_t low, uint64_t high)
{
  cr_assert_leq(low, high);
  return masc_bed_random(((MascEnd *)user)->bed, low, high);
}

static void op_note(void *user, MascSession *session, MascSessionNote note,
                    const MascSessionDetail *detail)
{
  MascEnd *end = user;
  (void)session;
  end->notes[note]++;
  end->last[note] = *detail;
  end->last[note].data = NULL;
  end->last[note].claim = NULL;
  if (note != MASC_SESSION_RECEIVED)
    return;
  end->n_refused = detail->n_claims;
  end->refused = detail->n_claims == 0 ? (MascClaim){ 0 } : detail->claim[detail->n_claims - 1];
}

static const MascSessionOps ops = { op_connect, op_send,       op_finish, op_up,  op_down,
                                    op_claim,   op_update_end, op_random, op_note };

/* ---- the bed --------------------------------------------------------------------------------- */

MascBed *masc_bed_new(uint64_t seed)
{
  MascBed *bed = g_new0(MascBed, 1);
  bed->seed = seed;
  bed->delay = MASC_SECOND / 50;
  bed->events = g_ptr_array_new_with_free_func(event_free);
  return bed;
}

void masc_bed_free(MascBed *bed)
{
  for (unsigned i = 0; i < bed->n; i++) {
    MascEnd *end = &bed->ends[i];
    masc_session_free(end->session);
    g_string_free(end->said, TRUE);
    g_byte_array_unref(end->octets);
    g_array_unref(end->claims);
    g_array_unref(end->dump);
  }
  g_ptr_array_unref(bed->events);
  g_free(bed);
}

MascSessionConfig masc_bed_config(MascRole role)
{
  static const MascId parents[] = { 64496 };
  MascSessionConfig config;
  masc_session_config_init(&config);
  config.rule = (MascOpenRule){
    .role = role, .domain = 64501, .node = 0xc0000201, .parents = parents, .n_parents = 1
  };
  config.parent = 64496;
  return config;
}

MascSessionConfig masc_bed_peer_config(const MascSessionConfig *config)
{
  MascSessionConfig peer = *config;
  peer.rule.role = masc_role_of_peer(config->rule.role);
  peer.rule.node = 0xc0000202;
  if (config->rule.role != MASC_INTERNAL)
    peer.rule.domain = 64502;
  return peer;
}

MascEnd *masc_bed_add(MascBed *bed, const MascSessionConfig *config)
{
  MascEnd *end = &bed->ends[bed->n];
  *end = (MascEnd){ .bed = bed,
                    .index = bed->n++,
                    .session = masc_session_new(config, &ops, end),
                    .said = g_string_new(NULL),
                    .octets = g_byte_array_new(),
                    .claims = g_array_new(FALSE, FALSE, sizeof(MascClaim)),
                    .dump = g_array_new(FALSE, FALSE, sizeof(MascClaim)) };
  return end;
}

void masc_bed_crash(MascBed *bed, unsigned end)
{
  masc_session_free(bed->ends[end].session);
  bed->ends[end].session = NULL;
  bed->ends[end].up = false;
  for (MascLink i = 0; i < MASC_BED_PIPES; i++)
    bed->pipes[i].open[end] = false;
}

void masc_bed_restart(MascBed *bed, unsigned end, const MascSessionConfig *config)
{
  bed->ends[end].session = masc_session_new(config, &ops, &bed->ends[end]);
}

static Event *next_event(const MascBed *bed)
{
  Event *first = NULL;
  for (guint i = 0; i < bed->events->len; i++) {
    Event *e = bed->events->pdata[i];
    if (bed->cut || (bed->ends[e->end].deaf && e->kind >= DATA))
      continue;
    if (first == NULL || e->at < first->at || (e->at == first->at && e->serial < first->serial))
      first = e;
  }
  return first;
}

static int64_t due_of(const MascBed *bed, unsigned end)
{
  MascSession *session = end < bed->n ? bed->ends[end].session : NULL;
  return session == NULL ? MASC_NEVER : masc_session_due(session);
}

static void deliver(MascBed *bed, Event *e)
{
  guint index;
  cr_assert(g_ptr_array_find(bed->events, e, &index));
  g_ptr_array_steal_index(bed->events, index);
  arrive(bed, e);
  event_free(e);
}

void masc_bed_run(MascBed *bed, int64_t until)
{
  for (;;) {
    Event *e = next_event(bed);
    int64_t at = e == NULL ? MASC_NEVER : e->at;
    unsigned end = due_of(bed, 0) <= due_of(bed, 1) ? 0 : 1;
    int64_t due = due_of(bed, end);
    if (MIN(at, due) > until)
      break;
    bed->now = MAX(bed->now, MIN(at, due));
    if (at <= due) {
      deliver(bed, e);
    } else {
      masc_session_run(bed->ends[end].session, masc_bed_now(bed));
      cr_assert_gt(masc_session_due(bed->ends[end].session), bed->now, "a timer spins");
    }
    masc_bed_check(bed);
  }
  bed->now = MAX(bed->now, until);
}

void masc_bed_pass(MascBed *bed, int64_t time)
{
  masc_bed_run(bed, bed->now + time);
}

const char *masc_bed_said(MascEnd *end)
{
  static char text[4096];
  g_strlcpy(text, end->said->str, sizeof text);
  g_string_truncate(end->said, 0);
  return text;
}

bool masc_bed_octets_are(const MascEnd *end, const char *hex)
{
  g_autoptr(HexFile) file = hex_parse(hex, NULL);
  cr_assert(file != NULL, "%s", hex);
  return file->bytes->len == end->octets->len &&
         memcmp(file->bytes->data, end->octets->data, end->octets->len) == 0;
}

MascSessionStatus masc_bed_status(const MascEnd *end)
{
  MascSessionStatus status;
  masc_session_status(end->session, &status);
  return status;
}

void masc_bed_check(const MascBed *bed)
{
  for (unsigned i = 0; i < bed->n; i++) {
    const MascEnd *end = &bed->ends[i];
    if (end->session == NULL)
      continue;
    masc_session_check(end->session);
    cr_assert_eq(end->up, masc_session_state(end->session) == MASC_ESTABLISHED);
  }
}

/* ---- one end, and the test ------------------------------------------------------------------- */

MascEnd *masc_bed_alone(MascBed *bed, const MascSessionConfig *config)
{
  MascSessionConfig parent = masc_bed_config(MASC_PARENT);
  return masc_bed_add(bed, config == NULL ? &parent : config);
}

void masc_bed_feed(MascEnd *end, MascLink link, const char *hex)
{
  g_autoptr(HexFile) file = hex_parse(hex, NULL);
  cr_assert(file != NULL, "%s", hex);
  g_autofree uint8_t *octets = g_memdup2(file->bytes->data, file->bytes->len);
  masc_session_data(end->session, link, octets, file->bytes->len, masc_bed_now(end->bed));
  masc_bed_check(end->bed);
}

MascLink masc_bed_call(MascEnd *end)
{
  MascLink link = ++end->bed->n_pipes;
  end->bed->pipes[link].open[end->index] = true;
  bool taken = masc_session_accepted(end->session, link, masc_bed_now(end->bed));
  masc_bed_check(end->bed);
  return taken ? link : 0;
}

MascLink masc_bed_reach(MascEnd *end, MascState state, const char *open)
{
  MascNow now = masc_bed_now(end->bed);
  MascLink link = 0;
  if (state != MASC_IDLE) {
    masc_session_start(end->session, 0, now);
    link = end->connecting;
  }
  if (state == MASC_ACTIVE) {
    masc_session_failed(end->session, link, now);
    link = 0;
  }
  if (state >= MASC_OPEN_SENT)
    masc_session_connected(end->session, link, now);
  if (state >= MASC_OPEN_CONFIRM)
    masc_bed_feed(end, link, open);
  if (state == MASC_ESTABLISHED)
    masc_bed_feed(end, link, MASC_BED_KEEPALIVE);
  cr_assert_eq(masc_session_state(end->session), state);
  masc_bed_check(end->bed);
  masc_bed_said(end);
  return link;
}
