/* Preallocations of others (3.2.6): an AITU says all that its (sender, rseq) intends. The map of
   addresses points to the intents, so that one that is merely repeated touches only its own
   entry. */
#include "aap-record-private.h"

#include "aap-ranges.h"
#include "aap-time.h"

/* ---- intents by key -------------------------------------------------------------------------- */

static gint by_peer(gconstpointer a, gconstpointer b, gpointer data)
{
  const AapIntent *x = a, *y = b;
  (void)data;
  int order = mal_address_compare(x->peer.address, y->peer.address);
  if (order == 0)
    order = (x->peer.port > y->peer.port) - (x->peer.port < y->peer.port);
  if (order == 0)
    order = (x->peer.scope_id > y->peer.scope_id) - (x->peer.scope_id < y->peer.scope_id);
  if (order == 0)
    order = (x->rseq > y->rseq) - (x->rseq < y->rseq);
  return order;
}

static void intent_free(void *data)
{
  AapIntent *intent = data;
  g_array_unref(intent->extents);
  g_free(intent);
}

static void watch(MalSpan span, const void *value, bool comes, void *data)
{
  AapRecord *record = data;
  (void)value;
  if (comes)
    record->intended_addresses += mal_span_size(span);
  else
    record->intended_addresses -= mal_span_size(span);
}

void aap_intents_init(AapRecord *record)
{
  record->intents = g_tree_new_full(by_peer, NULL, NULL, intent_free);
  record->intent_ends = aap_ends_new();
  record->serials = g_hash_table_new(g_int64_hash, g_int64_equal);
  record->intended = aap_intervals_new(sizeof(AapIntents), NULL);
  aap_intervals_watch(record->intended, watch, record);
}

void aap_intents_free(AapRecord *record)
{
  aap_intervals_free(record->intended);
  g_hash_table_unref(record->serials);
  g_tree_unref(record->intent_ends);
  g_tree_unref(record->intents);
}

static MalTime first_end(const AapIntent *intent)
{
  MalTime first = MAL_FOREVER;
  for (guint i = 0; i < intent->extents->len; i++)
    first = MIN(first, g_array_index(intent->extents, AapExtent, i).end);
  return first;
}

/* Takes the intent out of the indexes, so that it can change; enter puts it back, or frees it where
   nothing is left of it. */
static void leave(AapRecord *record, AapIntent *intent)
{
  record->n_extents -= intent->extents->len;
  aap_ends_remove(record->intent_ends, intent->first_end, intent->serial);
}

static void enter(AapRecord *record, AapIntent *intent)
{
  if (intent->extents->len == 0) {
    g_hash_table_remove(record->serials, &intent->serial);
    g_tree_remove(record->intents, intent);
    return;
  }
  record->n_extents += intent->extents->len;
  intent->first_end = first_end(intent);
  aap_ends_add(record->intent_ends, intent->first_end, intent->serial);
}

static AapIntent *make(AapRecord *record, MalEndpoint peer, uint32_t rseq)
{
  AapIntent *intent = g_new0(AapIntent, 1);
  intent->peer = peer;
  intent->rseq = rseq;
  intent->serial = record->next_serial++;
  intent->extents = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  g_tree_insert(record->intents, intent, intent);
  g_hash_table_insert(record->serials, &intent->serial, intent);
  return intent;
}

/* ---- extents --------------------------------------------------------------------------------- */

static void subtract(GArray *extents, MalSpan span)
{
  guint from = aap_extents_from(extents, span.first), to = from, n = 0;
  AapExtent rest[2];
  MalSpan part;
  for (; to < extents->len; to++) {
    const AapExtent *old = &g_array_index(extents, AapExtent, to);
    if (!mal_span_overlaps(old->span, span))
      break;
    if (aap_span_below(old->span, span.first, &part))
      rest[n++] = (AapExtent){ part, old->end };
    if (aap_span_above(old->span, span.last, &part))
      rest[n++] = (AapExtent){ part, old->end };
  }
  g_array_remove_range(extents, from, to - from);
  if (n > 0)
    g_array_insert_vals(extents, from, rest, n);
}

static bool same_spans(const GArray *a, const GArray *b)
{
  if (a->len != b->len)
    return false;
  for (guint i = 0; i < a->len; i++) {
    MalSpan x = g_array_index(a, AapExtent, i).span, y = g_array_index(b, AapExtent, i).span;
    if (!mal_address_equal(x.first, y.first) || !mal_address_equal(x.last, y.last))
      return false;
  }
  return true;
}

/* ---- the map of addresses -------------------------------------------------------------------- */

/* INTENT is one of them. */
static void without(AapIntents *intents, const AapIntent *intent)
{
  guint left = 0;
  for (guint i = 0; i < AAP_INTENTS; i++)
    if (intents->by[i] != intent)
      intents->by[left++] = intents->by[i];
  g_assert(left == AAP_INTENTS - 1);
  intents->by[left] = NULL;
}

/* Where it is full, the one heard longest ago is returned, and has to lose these addresses. */
static AapIntent *with(AapIntents *intents, AapIntent *intent)
{
  AapIntent *oldest = NULL;
  if (intents->by[AAP_INTENTS - 1] != NULL) {
    oldest = intents->by[0];
    for (guint i = 1; i < AAP_INTENTS; i++)
      if (intents->by[i]->heard < oldest->heard)
        oldest = intents->by[i];
    without(intents, oldest);
  }
  guint at = 0;
  while (intents->by[at] != NULL && intents->by[at]->serial < intent->serial)
    at++;
  for (guint i = AAP_INTENTS - 1; i > at; i--)
    intents->by[i] = intents->by[i - 1];
  intents->by[at] = intent;
  return oldest;
}

typedef struct {
  MalSpan span;
  AapIntents intents;
} Stretch;

static void gather(MalSpan span, void *value, void *data)
{
  Stretch stretch = { span, *(AapIntents *)value };
  g_array_append_val((GArray *)data, stretch);
}

static GArray *stretches(const AapRecord *record, MalSpan span)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(Stretch));
  aap_intervals_each(record->intended, span, gather, out);
  return out;
}

static void unmap(AapRecord *record, const AapIntent *intent, MalSpan span)
{
  g_autoptr(GArray) met = stretches(record, span);
  for (guint i = 0; i < met->len; i++) {
    Stretch *stretch = &g_array_index(met, Stretch, i);
    without(&stretch->intents, intent);
    if (stretch->intents.by[0] == NULL)
      aap_intervals_remove(record->intended, stretch->span);
    else
      aap_intervals_set(record->intended, stretch->span, &stretch->intents);
  }
}

static void unmap_all(AapRecord *record, const AapIntent *intent)
{
  for (guint i = 0; i < intent->extents->len; i++)
    unmap(record, intent, g_array_index(intent->extents, AapExtent, i).span);
}

static void lose(AapRecord *record, AapIntent *intent, MalSpan span)
{
  leave(record, intent);
  subtract(intent->extents, span);
  enter(record, intent);
}

static void map_one(AapRecord *record, AapIntent *intent, MalSpan span, const AapIntents *before)
{
  AapIntents intents = before != NULL ? *before : (AapIntents){ { NULL } };
  AapIntent *loser = with(&intents, intent);
  aap_intervals_set(record->intended, span, &intents);
  if (loser != NULL)
    lose(record, loser, span);
}

static void map(AapRecord *record, AapIntent *intent, MalSpan span)
{
  g_autoptr(GArray) met = stretches(record, span);
  MalSpan rest = span, gap;
  bool left = true;
  for (guint i = 0; i < met->len; i++) {
    const Stretch *stretch = &g_array_index(met, Stretch, i);
    if (aap_span_below(rest, stretch->span.first, &gap))
      map_one(record, intent, gap, NULL);
    map_one(record, intent, stretch->span, &stretch->intents);
    left = aap_span_above(rest, stretch->span.last, &rest);
  }
  if (left)
    map_one(record, intent, rest, NULL);
}

static void discard(AapRecord *record, AapIntent *intent)
{
  unmap_all(record, intent);
  leave(record, intent);
  g_array_set_size(intent->extents, 0);
  enter(record, intent);
}

/* ---- AITU ------------------------------------------------------------------------------------ */

typedef struct {
  GArray *out;
  AapExtent rest; /* LEFT: of the range, not yet handled */
  bool left;
  MalTime now;
} Free;

static void keep_before(MalSpan span, void *value, void *data)
{
  Free *free = data;
  AapExtent piece = { .end = free->rest.end };
  if (aap_time_ended(((AapForeign *)value)->end, free->now))
    return;
  if (aap_span_below(free->rest.span, span.first, &piece.span))
    g_array_append_val(free->out, piece);
  free->left = aap_span_above(free->rest.span, span.last, &free->rest.span);
}

/* RANGES that have not ended, without what somebody has allocated. */
static GArray *intended(const AapRecord *record, const AapExtent *ranges, size_t n, AapNow now)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (size_t i = 0; i < n; i++) {
    if (aap_time_ended(ranges[i].end, now.wall))
      continue;
    Free free = { .out = out, .rest = ranges[i], .left = true, .now = now.wall };
    aap_intervals_each(record->foreign, ranges[i].span, keep_before, &free);
    if (free.left)
      g_array_append_val(out, free.rest);
  }
  return out;
}

static void replace(AapRecord *record, AapIntent *intent, const GArray *extents)
{
  unmap_all(record, intent);
  leave(record, intent);
  g_array_set_size(intent->extents, 0);
  g_array_append_vals(intent->extents, extents->data, extents->len);
  enter(record, intent);
  for (guint i = 0; i < extents->len; i++)
    map(record, intent, g_array_index(extents, AapExtent, i).span);
}

static void repeat(AapRecord *record, AapIntent *intent, const GArray *extents)
{
  leave(record, intent);
  g_array_set_size(intent->extents, 0);
  g_array_append_vals(intent->extents, extents->data, extents->len);
  enter(record, intent);
}

bool aap_record_intend(AapRecord *record, MalEndpoint peer, uint32_t rseq, const AapExtent *ranges,
                       size_t n, AapNow now)
{
  AapIntent key = { .peer = peer, .rseq = rseq };
  AapIntent *intent = g_tree_lookup(record->intents, &key);
  g_autoptr(GArray) extents = intended(record, ranges, n, now);
  if (extents->len > AAP_INTENT_EXTENTS)
    g_array_set_size(extents, AAP_INTENT_EXTENTS);
  size_t had = intent != NULL ? intent->extents->len : 0;
  if (extents->len == 0) {
    if (intent != NULL)
      discard(record, intent);
    return true;
  }
  if (extents->len > had &&
      !aap_record_make_room(record, AAP_WORTH_INTENDED, extents->len - had))
    return false;
  if (intent == NULL)
    intent = make(record, peer, rseq);
  intent->heard = now.mono;
  if (same_spans(intent->extents, extents))
    repeat(record, intent, extents);
  else
    replace(record, intent, extents);
  aap_record_make_room(record, AAP_WORTH_FOREIGN, 0); /* others may have been cut in two */
  return true;
}

/* ---- what others do to them ------------------------------------------------------------------ */

void aap_intents_lose(AapRecord *record, MalSpan span)
{
  g_autoptr(GArray) met = stretches(record, span);
  for (guint i = 0; i < met->len; i++) {
    const Stretch *stretch = &g_array_index(met, Stretch, i);
    for (guint k = 0; k < AAP_INTENTS && stretch->intents.by[k] != NULL; k++)
      lose(record, stretch->intents.by[k], stretch->span);
  }
  if (met->len > 0)
    aap_intervals_remove(record->intended, span);
}

static AapIntent *first(const AapRecord *record, MalTime *end)
{
  MalU128 key;
  if (!aap_ends_first(record->intent_ends, end, &key))
    return NULL;
  uint64_t serial = (uint64_t)key;
  return g_hash_table_lookup(record->serials, &serial);
}

bool aap_intents_drop_first(AapRecord *record)
{
  MalTime end;
  AapIntent *intent = first(record, &end);
  if (intent == NULL)
    return false;
  discard(record, intent);
  return true;
}

void aap_intents_expire(AapRecord *record, AapNow now)
{
  MalTime end;
  for (AapIntent *intent; (intent = first(record, &end)) != NULL &&
                          aap_time_ended(end, now.wall);) {
    leave(record, intent);
    for (guint i = intent->extents->len; i-- > 0;) {
      AapExtent extent = g_array_index(intent->extents, AapExtent, i);
      if (!aap_time_ended(extent.end, now.wall))
        continue;
      unmap(record, intent, extent.span);
      g_array_remove_index(intent->extents, i);
    }
    enter(record, intent);
  }
}

void aap_intents_shift(AapRecord *record, int64_t delta)
{
  for (GTreeNode *node = g_tree_node_first(record->intents); node != NULL;
       node = g_tree_node_next(node)) {
    AapIntent *intent = g_tree_node_value(node);
    leave(record, intent);
    for (guint i = 0; i < intent->extents->len; i++) {
      AapExtent *extent = &g_array_index(intent->extents, AapExtent, i);
      extent->end = aap_record_shifted(extent->end, delta);
    }
    enter(record, intent);
  }
}

/* ---- looking --------------------------------------------------------------------------------- */

bool aap_intents_heard(const AapIntents *intents, MalAddress at, MalTime now, int64_t *heard,
                       MalAddress *last)
{
  bool any = false;
  for (guint i = 0; i < AAP_INTENTS && intents->by[i] != NULL; i++) {
    const AapIntent *intent = intents->by[i];
    const AapExtent *extent =
        &g_array_index(intent->extents, AapExtent, aap_extents_from(intent->extents, at));
    if (mal_address_compare(extent->span.last, *last) < 0)
      *last = extent->span.last;
    if (aap_time_ended(extent->end, now))
      continue;
    *heard = any ? MAX(*heard, intent->heard) : intent->heard;
    any = true;
  }
  return any;
}

static gint by_serial(gconstpointer a, gconstpointer b)
{
  const AapIntent *x = *(AapIntent *const *)a, *y = *(AapIntent *const *)b;
  return (x->serial > y->serial) - (x->serial < y->serial);
}

static void show(const AapRecord *record, const AapIntent *intent, MalSpan span, AapNow now,
                 AapForeignFunc func, void *data)
{
  MalSpan part;
  for (guint i = aap_extents_from(intent->extents, span.first); i < intent->extents->len; i++) {
    const AapExtent *extent = &g_array_index(intent->extents, AapExtent, i);
    if (!mal_span_intersect(extent->span, span, &part))
      return;
    aap_record_show(record, part, extent->end, intent->peer, intent->heard, now, func, data);
  }
}

void aap_record_foreign_preallocated(const AapRecord *record, MalSpan span, AapNow now,
                                     AapForeignFunc func, void *data)
{
  g_autoptr(GPtrArray) met = g_ptr_array_new();
  g_autoptr(GArray) all = stretches(record, span);
  for (guint i = 0; i < all->len; i++) {
    const AapIntents *intents = &g_array_index(all, Stretch, i).intents;
    for (guint k = 0; k < AAP_INTENTS && intents->by[k] != NULL; k++)
      g_ptr_array_add(met, intents->by[k]);
  }
  g_ptr_array_sort(met, by_serial);
  for (guint i = 0; i < met->len; i++)
    if (i == 0 || met->pdata[i] != met->pdata[i - 1])
      show(record, met->pdata[i], span, now, func, data);
}

void aap_intents_check(const AapRecord *record)
{
  size_t n = 0;
  for (GTreeNode *node = g_tree_node_first(record->intents); node != NULL;
       node = g_tree_node_next(node)) {
    const AapIntent *intent = g_tree_node_value(node);
    g_assert_cmpuint(intent->extents->len, >, 0);
    n += intent->extents->len;
    for (guint i = 0; i < intent->extents->len; i++) {
      MalSpan span = g_array_index(intent->extents, AapExtent, i).span;
      g_autoptr(GArray) met = stretches(record, span);
      MalU128 size = 0;
      for (guint k = 0; k < met->len; k++) {
        Stretch stretch = g_array_index(met, Stretch, k);
        without(&stretch.intents, intent);
        size += mal_span_size(stretch.span);
      }
      g_assert_true(size == mal_span_size(span));
    }
  }
  g_assert_cmpuint(n, ==, record->n_extents);
  g_assert_cmpint(g_tree_nnodes(record->intents), ==, g_tree_nnodes(record->intent_ends));
}
