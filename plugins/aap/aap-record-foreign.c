/* Allocations of others (3.2.2, 3.2.8): the last AIU of an address counts, whoever sent it. */
#include "aap-record-private.h"

#include "aap-time.h"

/* ---- the map and its indexes ----------------------------------------------------------------- */

static bool same(const void *a, const void *b)
{
  const AapForeign *x = a, *y = b;
  return x->end == y->end && x->told == y->told && x->heard == y->heard &&
         mal_endpoint_equal(x->peer, y->peer);
}

static void watch(MalSpan span, const void *value, bool comes, void *data)
{
  AapRecord *record = data;
  const AapForeign *foreign = value;
  if (comes) {
    aap_ends_add(record->foreign_ends, foreign->end, span.first.value);
    record->foreign_addresses += mal_span_size(span);
  } else {
    aap_ends_remove(record->foreign_ends, foreign->end, span.first.value);
    record->foreign_addresses -= mal_span_size(span);
  }
}

void aap_foreign_init(AapRecord *record)
{
  record->foreign = aap_intervals_new(sizeof(AapForeign), same);
  record->foreign_ends = aap_ends_new();
  record->changed = aap_intervals_new(sizeof(char), NULL);
  aap_intervals_watch(record->foreign, watch, record);
}

void aap_foreign_free(AapRecord *record)
{
  aap_intervals_watch(record->foreign, NULL, NULL);
  aap_intervals_free(record->foreign);
  aap_intervals_free(record->changed);
  g_tree_unref(record->foreign_ends);
}

/* ---- changes for the store ------------------------------------------------------------------- */

/* Where nobody fetches them they must not grow without end: more is told than changed then. */
static void note_change(AapRecord *record, MalSpan span)
{
  char nothing = 0;
  aap_intervals_set(record->changed, span, &nothing);
  if (aap_intervals_count(record->changed) <= 2 * record->params->max_entries)
    return;
  MalAddress top = aap_record_top(record);
  aap_intervals_set(record->changed, (MalSpan){ mal_address_make(record->family, 0), top },
                    &nothing);
}

bool aap_record_has_changes(const AapRecord *record)
{
  return aap_intervals_count(record->changed) > 0;
}

typedef struct {
  AapRecord *record;
  void (*func)(MalSpan span, MalTime end, MalEndpoint peer, void *data);
  void *data;
  MalSpan rest; /* LEFT: still to be told */
  bool left;
} Telling;

static void tell_gone(const Telling *telling, MalSpan span)
{
  telling->func(span, MAL_BEGINNING, (MalEndpoint){ 0 }, telling->data);
}

static void tell_kept(MalSpan span, void *value, void *data)
{
  Telling *telling = data;
  AapForeign *foreign = value;
  MalSpan gap;
  if (aap_span_below(telling->rest, span.first, &gap))
    tell_gone(telling, gap);
  telling->func(span, foreign->end, foreign->peer, telling->data);
  telling->left = aap_span_above(telling->rest, span.last, &telling->rest);
}

static void tell(MalSpan span, void *value, void *data)
{
  Telling *telling = data;
  (void)value;
  telling->rest = span;
  telling->left = true;
  aap_intervals_each(telling->record->foreign, span, tell_kept, telling);
  if (telling->left)
    tell_gone(telling, telling->rest);
}

void aap_record_changes(AapRecord *record,
                        void (*func)(MalSpan span, MalTime end, MalEndpoint peer, void *data),
                        void *data)
{
  Telling telling = { .record = record, .func = func, .data = data };
  MalSpan all = { mal_address_make(record->family, 0), aap_record_top(record) };
  aap_intervals_each(record->changed, all, tell, &telling);
  aap_intervals_clear(record->changed);
}

/* ---- AIU ------------------------------------------------------------------------------------- */

typedef struct {
  MalSpan span;
  AapForeign value;
  bool changed;
} Piece;

/* What an AIU makes of its range: an end that differs from what was told only by transit and
   rounding is no change for the store. */
typedef struct {
  const AapRecord *record;
  AapForeign fresh;
  MalSpan rest; /* LEFT: not covered yet */
  bool left;
  GArray *pieces; /* Piece */
  size_t met;     /* stretches */
} Plan;

static void plan_piece(Plan *plan, MalSpan span, MalTime told, bool changed)
{
  if (plan->pieces->len > 0) {
    Piece *before = &g_array_index(plan->pieces, Piece, plan->pieces->len - 1);
    if (before->value.told == told) {
      before->span.last = span.last;
      before->changed = before->changed || changed;
      return;
    }
  }
  Piece piece = { span, plan->fresh, changed };
  piece.value.told = told;
  g_array_append_val(plan->pieces, piece);
}

static void plan_met(MalSpan span, void *value, void *data)
{
  Plan *plan = data;
  const AapForeign *old = value;
  MalSpan gap;
  plan->met++;
  if (aap_span_below(plan->rest, span.first, &gap))
    plan_piece(plan, gap, plan->fresh.end, true);
  bool known =
      aap_time_same(old->told, plan->fresh.end, plan->record->params->end_tolerance_s);
  plan_piece(plan, span, known ? old->told : plan->fresh.end, !known);
  plan->left = aap_span_above(plan->rest, span.last, &plan->rest);
}

static void plan_all(Plan *plan, MalSpan span)
{
  plan->rest = span;
  plan->left = true;
  aap_intervals_each(plan->record->foreign, span, plan_met, plan);
  if (plan->left)
    plan_piece(plan, plan->rest, plan->fresh.end, true);
}

/* How many stretches SPAN cuts in two. */
static size_t edges(const AapIntervals *map, MalSpan span)
{
  MalSpan stretch;
  size_t n = 0;
  if (aap_intervals_at(map, span.first, &stretch) != NULL &&
      mal_address_compare(stretch.first, span.first) < 0)
    n++;
  if (aap_intervals_at(map, span.last, &stretch) != NULL &&
      mal_address_compare(stretch.last, span.last) > 0)
    n++;
  return n;
}

static void put(AapRecord *record, const GArray *pieces)
{
  for (guint i = 0; i < pieces->len; i++) {
    const Piece *piece = &g_array_index(pieces, Piece, i);
    aap_intervals_set(record->foreign, piece->span, &piece->value);
    if (piece->changed)
      note_change(record, piece->span);
  }
}

typedef struct {
  MalSpan span;
  MalTime end;
} Deletion;

static void collect(MalSpan span, void *value, void *data)
{
  Deletion deletion = { span, ((AapForeign *)value)->end };
  g_array_append_val((GArray *)data, deletion);
}

/* An end in the past deletes (3.2.8), and is when the allocation ended. */
static bool delete(AapRecord *record, const AapExtent *range)
{
  g_autoptr(GArray) gone = g_array_new(FALSE, FALSE, sizeof(Deletion));
  aap_intervals_each(record->foreign, range->span, collect, gone);
  size_t cut = edges(record->foreign, range->span);
  if (cut > gone->len && !aap_record_make_room(record, AAP_WORTH_FOREIGN, cut - gone->len))
    return false;
  aap_intervals_remove(record->foreign, range->span);
  for (guint i = 0; i < gone->len; i++) {
    const Deletion *deletion = &g_array_index(gone, Deletion, i);
    note_change(record, deletion->span);
    aap_record_ended(record, deletion->span, MIN(deletion->end, range->end));
  }
  return true;
}

bool aap_record_in_use(AapRecord *record, MalEndpoint peer, const AapExtent *range, AapNow now)
{
  if (aap_time_ended(range->end, now.wall))
    return delete(record, range);
  g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
  Plan plan = { .record = record,
                .fresh = { .end = range->end, .heard = now.mono, .peer = peer },
                .pieces = pieces };
  plan_all(&plan, range->span);
  size_t more = pieces->len + edges(record->foreign, range->span);
  if (more > plan.met && !aap_record_make_room(record, AAP_WORTH_FOREIGN, more - plan.met))
    return false;
  put(record, pieces);
  aap_intents_lose(record, range->span);
  aap_record_make_room(record, AAP_WORTH_FOREIGN, 0); /* that may have cut one in two */
  return true;
}

void aap_record_restore(AapRecord *record, MalSpan span, MalTime end, MalEndpoint peer)
{
  AapForeign foreign = { .end = end, .told = end, .peer = peer };
  if (aap_record_make_room(record, AAP_WORTH_FOREIGN, 2))
    aap_intervals_set(record->foreign, span, &foreign);
}

/* ---- looking --------------------------------------------------------------------------------- */

typedef struct {
  const AapRecord *record;
  AapNow now;
  AapForeignFunc func;
  void *data;
} Look;

static void look(MalSpan span, void *value, void *data)
{
  const Look *l = data;
  const AapForeign *foreign = value;
  aap_record_show(l->record, span, foreign->end, foreign->peer, foreign->heard, l->now, l->func,
                  l->data);
}

void aap_record_foreign(const AapRecord *record, MalSpan span, AapNow now, AapForeignFunc func,
                        void *data)
{
  Look l = { record, now, func, data };
  aap_intervals_each(record->foreign, span, look, &l);
}

static void found(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard, void *data)
{
  (void)span;
  (void)end;
  (void)peer;
  (void)heard;
  *(bool *)data = true;
}

bool aap_record_is_foreign(const AapRecord *record, MalSpan span, AapNow now)
{
  bool any = false;
  MalSpan stretch, part;
  void *value;
  for (AapCursor at = aap_intervals_cursor(record->foreign, span.first);
       !any && aap_cursor_get(at, &stretch, &value) && mal_span_intersect(stretch, span, &part);
       aap_cursor_step(&at)) {
    const AapForeign *foreign = value;
    aap_record_show(record, part, foreign->end, foreign->peer, 0, now, found, &any);
  }
  return any;
}

/* ---- ends ------------------------------------------------------------------------------------ */

void aap_foreign_expire(AapRecord *record, AapNow now, AapForeignFunc func, void *data)
{
  int64_t when;
  MalU128 key;
  while (aap_ends_first(record->foreign_ends, &when, &key) && aap_time_ended(when, now.wall)) {
    MalSpan span;
    MalAddress first = mal_address_make(record->family, key);
    AapForeign foreign = *(AapForeign *)aap_intervals_at(record->foreign, first, &span);
    aap_intervals_remove(record->foreign, span);
    note_change(record, span);
    aap_record_ended(record, span, foreign.end);
    if (func != NULL)
      func(span, foreign.end, foreign.peer, foreign.heard, data);
  }
}

static void gather(MalSpan span, void *value, void *data)
{
  Piece piece = { .span = span, .value = *(AapForeign *)value };
  g_array_append_val((GArray *)data, piece);
}

void aap_foreign_shift(AapRecord *record, int64_t delta)
{
  g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
  MalSpan all = { mal_address_make(record->family, 0), aap_record_top(record) };
  aap_intervals_each(record->foreign, all, gather, pieces);
  aap_intervals_clear(record->foreign);
  for (guint i = 0; i < pieces->len; i++) {
    Piece *piece = &g_array_index(pieces, Piece, i);
    AapForeign *foreign = &piece->value;
    foreign->end = aap_record_shifted(foreign->end, delta);
    if (!aap_time_same(foreign->told, foreign->end, record->params->end_tolerance_s)) {
      foreign->told = foreign->end;
      note_change(record, piece->span);
    }
    aap_intervals_set(record->foreign, piece->span, foreign);
  }
}

void aap_foreign_check(const AapRecord *record)
{
  g_assert_cmpuint(aap_intervals_count(record->foreign), ==,
                   (size_t)g_tree_nnodes(record->foreign_ends));
  g_assert_true(aap_intervals_size(record->foreign) == record->foreign_addresses);
}
