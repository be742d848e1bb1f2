/* Interval maps over a balanced tree keyed by first addresses, and sets of spans in arrays. */
#include "aap-intervals.h"

#include <string.h>

struct AapIntervals {
  GTree *tree;                /* Stretch, by its first address */
  size_t size;
  bool (*equal)(const void *a, const void *b);
  AapIntervalsWatch watch;
  void *watch_data;
};

typedef struct {
  MalSpan span;
  max_align_t value[];
} Stretch;

/* ---- the tree -------------------------------------------------------------------------------- */

static gint by_first(gconstpointer a, gconstpointer b, gpointer data)
{
  (void)data;
  return mal_address_compare(((const Stretch *)a)->span.first, ((const Stretch *)b)->span.first);
}

AapIntervals *aap_intervals_new(size_t size, bool (*equal)(const void *a, const void *b))
{
  AapIntervals *map = g_new0(AapIntervals, 1);
  map->tree = g_tree_new_full(by_first, NULL, NULL, g_free);
  map->size = size;
  map->equal = equal;
  return map;
}

void aap_intervals_free(AapIntervals *map)
{
  if (map == NULL)
    return;
  g_tree_unref(map->tree);
  g_free(map);
}

void aap_intervals_watch(AapIntervals *map, AapIntervalsWatch func, void *data)
{
  map->watch = func;
  map->watch_data = data;
}

void aap_intervals_clear(AapIntervals *map)
{
  for (GTreeNode *node = g_tree_node_first(map->tree); node != NULL && map->watch != NULL;
       node = g_tree_node_next(node)) {
    const Stretch *stretch = g_tree_node_value(node);
    map->watch(stretch->span, stretch->value, false, map->watch_data);
  }
  g_tree_remove_all(map->tree);
}

size_t aap_intervals_count(const AapIntervals *map)
{
  return (size_t)g_tree_nnodes(map->tree);
}

static bool same_value(const AapIntervals *map, const void *a, const void *b)
{
  return map->equal != NULL ? map->equal(a, b) : memcmp(a, b, map->size) == 0;
}

/* The last stretch that begins at or before AT, or the first of all where none does. */
static GTreeNode *node_from(const AapIntervals *map, MalAddress at)
{
  Stretch key = { .span = { at, at } };
  GTreeNode *above = g_tree_upper_bound(map->tree, &key);
  GTreeNode *below = above != NULL ? g_tree_node_previous(above) : g_tree_node_last(map->tree);
  return below != NULL ? below : above;
}

static GTreeNode *node_ending_at_or_after(const AapIntervals *map, MalAddress at)
{
  GTreeNode *node = node_from(map, at);
  while (node != NULL &&
         mal_address_compare(((Stretch *)g_tree_node_value(node))->span.last, at) < 0)
    node = g_tree_node_next(node);
  return node;
}

static Stretch *first_ending_at_or_after(const AapIntervals *map, MalAddress at)
{
  GTreeNode *node = node_ending_at_or_after(map, at);
  return node != NULL ? g_tree_node_value(node) : NULL;
}

static void insert(AapIntervals *map, MalSpan span, const void *value)
{
  Stretch *stretch = g_malloc0(sizeof *stretch + map->size);
  stretch->span = span;
  memcpy(stretch->value, value, map->size);
  if (map->watch != NULL)
    map->watch(span, stretch->value, true, map->watch_data);
  g_tree_insert(map->tree, stretch, stretch);
}

static void take_out(AapIntervals *map, const Stretch *stretch)
{
  Stretch key = { .span = stretch->span };
  if (map->watch != NULL)
    map->watch(stretch->span, stretch->value, false, map->watch_data);
  g_tree_remove(map->tree, &key);
}

/* ---- one span against another ---------------------------------------------------------------- */

bool aap_follows(MalAddress last, MalAddress first)
{
  MalAddress next;
  return mal_address_add(last, 1, &next) && mal_address_equal(next, first);
}

bool aap_span_below(MalSpan span, MalAddress at, MalSpan *out)
{
  if (mal_address_compare(span.first, at) >= 0)
    return false;
  if (mal_address_compare(span.last, at) >= 0)
    mal_address_sub(at, 1, &span.last);
  *out = span;
  return true;
}

bool aap_span_above(MalSpan span, MalAddress at, MalSpan *out)
{
  if (mal_address_compare(span.last, at) <= 0)
    return false;
  if (mal_address_compare(span.first, at) <= 0)
    mal_address_add(at, 1, &span.first);
  *out = span;
  return true;
}

/* ---- changing -------------------------------------------------------------------------------- */

void aap_intervals_remove(AapIntervals *map, MalSpan span)
{
  for (Stretch *s; (s = first_ending_at_or_after(map, span.first)) != NULL &&
                   mal_span_overlaps(s->span, span);) {
    MalSpan old = s->span, rest;
    g_autofree void *value = g_memdup2(s->value, map->size);
    take_out(map, s);
    if (aap_span_above(old, span.last, &rest))
      insert(map, rest, value);
    if (aap_span_below(old, span.first, &rest))
      insert(map, rest, value);
  }
}

static void join(AapIntervals *map, MalSpan *span, const void *value, bool after)
{
  MalAddress beside;
  if (!(after ? mal_address_add(span->last, 1, &beside) : mal_address_sub(span->first, 1, &beside)))
    return;
  const Stretch *other = first_ending_at_or_after(map, beside);
  if (other == NULL || !mal_span_has(other->span, beside) || !same_value(map, other->value, value))
    return;
  if (after)
    span->last = other->span.last;
  else
    span->first = other->span.first;
  take_out(map, other);
}

void aap_intervals_set(AapIntervals *map, MalSpan span, const void *value)
{
  aap_intervals_remove(map, span);
  join(map, &span, value, false);
  join(map, &span, value, true);
  insert(map, span, value);
}

/* ---- looking --------------------------------------------------------------------------------- */

static gboolean add_size(gpointer key, gpointer value, gpointer data)
{
  const Stretch *stretch = value;
  MalU128 *sum = data, n = mal_span_size(stretch->span);
  (void)key;
  *sum = *sum + n < n ? ~(MalU128)0 : *sum + n;
  return FALSE;
}

MalU128 aap_intervals_size(const AapIntervals *map)
{
  MalU128 sum = 0;
  g_tree_foreach(map->tree, add_size, &sum);
  return sum;
}

void *aap_intervals_at(const AapIntervals *map, MalAddress at, MalSpan *span)
{
  Stretch *stretch = first_ending_at_or_after(map, at);
  if (stretch == NULL || !mal_span_has(stretch->span, at))
    return NULL;
  if (span != NULL)
    *span = stretch->span;
  return stretch->value;
}

bool aap_intervals_next(const AapIntervals *map, MalAddress at, MalSpan *span, void **value)
{
  Stretch *stretch = first_ending_at_or_after(map, at);
  if (stretch == NULL)
    return false;
  *span = stretch->span;
  if (value != NULL)
    *value = stretch->value;
  return true;
}

bool aap_intervals_overlaps(const AapIntervals *map, MalSpan span)
{
  const Stretch *stretch = first_ending_at_or_after(map, span.first);
  return stretch != NULL && mal_span_overlaps(stretch->span, span);
}

void aap_intervals_each(const AapIntervals *map, MalSpan span, AapIntervalFunc func, void *data)
{
  for (GTreeNode *node = node_from(map, span.first); node != NULL; node = g_tree_node_next(node)) {
    Stretch *stretch = g_tree_node_value(node);
    MalSpan part;
    if (mal_address_compare(stretch->span.first, span.last) > 0)
      return;
    if (mal_span_intersect(stretch->span, span, &part))
      func(part, stretch->value, data);
  }
}

AapCursor aap_intervals_cursor(const AapIntervals *map, MalAddress at)
{
  return (AapCursor){ node_ending_at_or_after(map, at) };
}

bool aap_cursor_get(AapCursor cursor, MalSpan *span, void **value)
{
  if (cursor.node == NULL)
    return false;
  Stretch *stretch = g_tree_node_value(cursor.node);
  *span = stretch->span;
  *value = stretch->value;
  return true;
}

void aap_cursor_step(AapCursor *cursor)
{
  cursor->node = g_tree_node_next(cursor->node);
}

/* ---- sets of spans --------------------------------------------------------------------------- */

GArray *aap_spans_new(void)
{
  return g_array_new(FALSE, FALSE, sizeof(MalSpan));
}

/* The place of the first that ends at or after AT. */
static guint place(const GArray *spans, MalAddress at)
{
  guint low = 0, high = spans->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (mal_address_compare(g_array_index(spans, MalSpan, middle).last, at) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void aap_spans_add(GArray *spans, MalSpan span)
{
  guint from = place(spans, span.first), to;
  if (from > 0 && aap_follows(g_array_index(spans, MalSpan, from - 1).last, span.first))
    from--;
  for (to = from; to < spans->len; to++) {
    MalSpan *other = &g_array_index(spans, MalSpan, to);
    if (!mal_span_overlaps(*other, span) && !aap_follows(span.last, other->first) &&
        !aap_follows(other->last, span.first))
      break;
    if (mal_address_compare(other->first, span.first) < 0)
      span.first = other->first;
    if (mal_address_compare(other->last, span.last) > 0)
      span.last = other->last;
  }
  if (to > from)
    g_array_remove_range(spans, from, to - from);
  g_array_insert_val(spans, from, span);
}

void aap_spans_subtract(GArray *spans, MalSpan span)
{
  guint at = place(spans, span.first);
  while (at < spans->len && mal_span_overlaps(g_array_index(spans, MalSpan, at), span)) {
    MalSpan old = g_array_index(spans, MalSpan, at), rest;
    g_array_remove_index(spans, at);
    if (aap_span_below(old, span.first, &rest)) {
      g_array_insert_val(spans, at, rest);
      at++;
    }
    if (aap_span_above(old, span.last, &rest)) {
      g_array_insert_val(spans, at, rest);
      return;
    }
  }
}

GArray *aap_spans_intersection(const GArray *a, const GArray *b)
{
  GArray *out = aap_spans_new();
  for (guint i = 0, k = 0; i < a->len && k < b->len;) {
    MalSpan x = g_array_index(a, MalSpan, i), y = g_array_index(b, MalSpan, k), both;
    if (mal_span_intersect(x, y, &both))
      g_array_append_val(out, both);
    if (mal_address_compare(x.last, y.last) < 0)
      i++;
    else
      k++;
  }
  return out;
}

bool aap_spans_equal(const GArray *a, const GArray *b)
{
  if (a->len != b->len)
    return false;
  for (guint i = 0; i < a->len; i++) {
    MalSpan x = g_array_index(a, MalSpan, i), y = g_array_index(b, MalSpan, i);
    if (!mal_address_equal(x.first, y.first) || !mal_address_equal(x.last, y.last))
      return false;
  }
  return true;
}

bool aap_spans_next(const GArray *spans, MalAddress at, MalSpan *span)
{
  guint found = place(spans, at);
  if (found == spans->len)
    return false;
  *span = g_array_index(spans, MalSpan, found);
  return true;
}

bool aap_spans_overlap(const GArray *a, MalSpan span)
{
  guint at = place(a, span.first);
  return at < a->len && mal_span_overlaps(g_array_index(a, MalSpan, at), span);
}

MalU128 aap_spans_size(const GArray *spans)
{
  MalU128 sum = 0; /* less than 2^128: no two are adjacent */
  for (guint i = 0; i < spans->len; i++)
    sum += mal_span_size(g_array_index(spans, MalSpan, i));
  return sum;
}
