#include <stdlib.h>
#include <string.h>

#include "masc-cache-private.h"

/* Where one comes, one often went just before. */
#define SPARE_MAX 8

static MascOrigin *origin_at(const MascCache *cache, guint i)
{
  return g_array_index(cache->origins, MascOriginPlace, i).origin;
}

static void free_origin(MascOrigin *o)
{
  g_clear_pointer(&o->withdraws, g_ptr_array_unref);
  g_free(o);
}

MascCache *masc_cache_new(MascId own, const MalHashKey *key)
{
  MascCache *cache = g_new0(MascCache, 1);
  cache->own = own;
  cache->key = *key;
  cache->n_buckets = MASC_BUCKETS_MIN;
  cache->spots = g_new0(MascSpot *, MASC_BUCKETS_MIN);
  cache->origins = g_array_new(FALSE, FALSE, sizeof(MascOriginPlace));
  cache->heap = g_array_new(FALSE, FALSE, sizeof(MascDue));
  cache->grounds = g_ptr_array_new();
  return cache;
}

void masc_cache_free(MascCache *cache)
{
  for (guint i = 0; i < cache->heap->len; i++)
    g_free(g_array_index(cache->heap, MascDue, i).node);
  for (MascNode *n = cache->spare, *next; n != NULL; n = next) {
    next = n->newer;
    g_free(n);
  }
  for (guint i = 0; i < cache->origins->len; i++)
    free_origin(origin_at(cache, i));
  masc_tree_free(cache->root);
  g_array_unref(cache->heap);
  g_ptr_array_unref(cache->grounds);
  g_array_unref(cache->origins);
  g_free(cache->spots);
  g_free(cache);
}

size_t masc_cache_size(const MascCache *cache)
{
  return cache->heap->len;
}

size_t masc_cache_hints(const MascCache *cache)
{
  return cache->n_hints;
}

size_t masc_cache_children(const MascCache *cache)
{
  return cache->n_children;
}

/* ---- whole messages -------------------------------------------------------------------------- */

typedef struct {
  const MascClaim *claim;
  MascRecord *found;
} Same;

static bool find_same(MascRecord *record, void *data)
{
  Same *s = data;
  if (masc_claim_same(&record->claim, s->claim))
    s->found = record;
  return s->found == NULL;
}

static bool in_tree(const MascClaim *claim)
{
  return !masc_claim_is_hint(claim);
}

MascRecord *masc_cache_same(const MascCache *cache, const MascClaim *claim)
{
  Same s = { claim, NULL };
  const MascSpot *spot;
  if (!in_tree(claim))
    masc_cache_each_of(cache, claim->domain, find_same, &s);
  else if ((spot = masc_spot_of(cache, claim->prefix)) != NULL)
    masc_spot_each(spot, find_same, &s);
  return s.found;
}

/* ---- by domain ------------------------------------------------------------------------------- */

/* Where DOMAIN stands, or would. */
static guint origin_place(const MascCache *cache, MascId domain, MascOrigin **found)
{
  guint low = 0, high = cache->origins->len;
  *found = NULL;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    const MascOriginPlace *o = &g_array_index(cache->origins, MascOriginPlace, middle);
    if (o->domain == domain) {
      *found = o->origin;
      return middle;
    }
    if (o->domain < domain)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static MascOrigin *origin_of(MascCache *cache, MascId domain)
{
  MascOrigin *o;
  guint place = origin_place(cache, domain, &o);
  if (o == NULL) {
    o = g_new0(MascOrigin, 1);
    o->domain = domain;
    g_array_insert_val(cache->origins, place, ((MascOriginPlace){ domain, o }));
  }
  return o;
}

static void count(MascCache *cache, MascNode *node, int by)
{
  const MascClaim *c = &node->record.claim;
  MascOrigin *o = node->origin;
  if (c->role == MASC_CHILD && c->domain != cache->own)
    cache->n_children += (size_t)by;
  if (c->type != MASC_WITHDRAW)
    return;
  cache->n_withdraws += (size_t)by;
  if (by < 0)
    g_ptr_array_remove(o->withdraws, &node->record);
  else if (o->withdraws != NULL)
    g_ptr_array_add(o->withdraws, &node->record);
  else
    g_ptr_array_add(o->withdraws = g_ptr_array_new(), &node->record);
}

const GPtrArray *masc_cache_withdraws_of(const MascCache *cache, MascId domain)
{
  MascOrigin *o;
  if (cache->n_withdraws == 0)
    return NULL;
  origin_place(cache, domain, &o);
  return o != NULL ? o->withdraws : NULL;
}

size_t masc_cache_withdraws(const MascCache *cache, MascId domain)
{
  const GPtrArray *withdraws;
  if (domain == 0)
    return cache->n_withdraws;
  withdraws = masc_cache_withdraws_of(cache, domain);
  return withdraws != NULL ? withdraws->len : 0;
}

bool masc_record_untouched(const MascRecord *record)
{
  const GPtrArray *withdraws = masc_node(record)->origin->withdraws;
  return withdraws == NULL || withdraws->len == 0;
}

const GPtrArray *masc_cache_grounds(const MascCache *cache)
{
  return cache->grounds;
}

static void list_add(MascOrigin *o, MascNode *node)
{
  node->older = o->last;
  node->newer = NULL;
  *(o->last != NULL ? &o->last->newer : &o->first) = node;
  o->last = node;
}

static void list_remove(MascOrigin *o, const MascNode *node)
{
  *(node->older != NULL ? &node->older->newer : &o->first) = node->newer;
  *(node->newer != NULL ? &node->newer->older : &o->last) = node->older;
}

static void origin_add(MascCache *cache, MascNode *node)
{
  MascOrigin *o = node->origin = origin_of(cache, node->record.claim.domain);
  list_add(o, node);
  o->n++;
  count(cache, node, 1);
}

static void origin_remove(MascCache *cache, MascNode *node)
{
  MascOrigin *o = node->origin, *found;
  list_remove(o, node);
  count(cache, node, -1);
  if (--o->n > 0)
    return;
  g_array_remove_index(cache->origins, origin_place(cache, o->domain, &found));
  free_origin(o);
}

MascRecord *masc_cache_victim(const MascCache *cache)
{
  const MascOrigin *most = NULL;
  for (guint i = 0; i < cache->origins->len; i++) {
    const MascOrigin *o = origin_at(cache, i);
    if (o->domain != cache->own && (most == NULL || o->n > most->n))
      most = o;
  }
  return most != NULL ? &most->first->record : NULL;
}

/* False: FUNC said so. */
static bool walk(const MascOrigin *o, MascRecordFunc func, void *data)
{
  for (MascNode *n = o->first, *newer; n != NULL; n = newer) {
    newer = n->newer;
    if (!func(&n->record, data))
      return false;
  }
  return true;
}

void masc_cache_each(const MascCache *cache, MascRecordFunc func, void *data)
{
  guint i = 0;
  while (i < cache->origins->len) {
    const MascOrigin *o = origin_at(cache, i);
    MascId domain = o->domain;
    if (!walk(o, func, data))
      return;
    /* Its last record may have gone, and it with it. */
    if (i < cache->origins->len &&
        g_array_index(cache->origins, MascOriginPlace, i).domain == domain)
      i++;
  }
}

void masc_cache_each_of(const MascCache *cache, MascId domain, MascRecordFunc func, void *data)
{
  MascOrigin *o;
  origin_place(cache, domain, &o);
  if (o != NULL)
    walk(o, func, data);
}

size_t masc_cache_size_of(const MascCache *cache, MascId domain)
{
  MascOrigin *o;
  origin_place(cache, domain, &o);
  return o != NULL ? o->n : 0;
}

/* ---- all together ---------------------------------------------------------------------------- */

static bool is_ground(const MascClaim *claim)
{
  return claim->role == MASC_PARENT && claim->type == MASC_PREFIX_MANAGED;
}

static MascNode *new_node(MascCache *cache)
{
  MascNode *node = cache->spare;
  if (node != NULL) {
    cache->spare = node->newer;
    cache->n_spare--;
    memset(node, 0, sizeof *node);
    return node;
  }
  return g_new0(MascNode, 1);
}

static void free_node(MascCache *cache, MascNode *node)
{
  if (cache->n_spare == SPARE_MAX) {
    g_free(node);
    return;
  }
  node->newer = cache->spare;
  cache->spare = node;
  cache->n_spare++;
}

static void write(MascCache *cache, MascNode *node, const MascRecord *record)
{
  node->record = *record;
  node->record.serial = ++cache->serial;
}

MascRecord *masc_cache_add(MascCache *cache, const MascRecord *record)
{
  MascNode *node;
  if (cache->heap->len >= MASC_CACHE_MAX)
    return NULL;
  node = new_node(cache);
  write(cache, node, record);
  origin_add(cache, node);
  masc_heap_add(cache->heap, node);
  if (in_tree(&record->claim))
    masc_spot_add(cache, node);
  else
    cache->n_hints++;
  if (is_ground(&record->claim))
    g_ptr_array_add(cache->grounds, &node->record);
  return &node->record;
}

void masc_cache_remove(MascCache *cache, MascRecord *record)
{
  MascNode *node = masc_node(record);
  origin_remove(cache, node);
  masc_heap_remove(cache->heap, node);
  if (in_tree(&record->claim))
    masc_spot_remove(cache, node);
  else
    cache->n_hints--;
  if (is_ground(&record->claim))
    g_ptr_array_remove(cache->grounds, record);
  free_node(cache, node);
}

MascRecord *masc_cache_replace(MascCache *cache, MascRecord *old, const MascRecord *record)
{
  MascNode *node = masc_node(old);
  list_remove(node->origin, node);
  count(cache, node, -1);
  if (is_ground(&old->claim))
    g_ptr_array_remove(cache->grounds, old);
  masc_spot_last(node);
  write(cache, node, record);
  list_add(node->origin, node);
  count(cache, node, 1);
  masc_heap_again(cache->heap, node);
  if (is_ground(&record->claim))
    g_ptr_array_add(cache->grounds, &node->record);
  return &node->record;
}

void masc_cache_overlapping(const MascCache *cache, MalPrefix prefix, MascRecordFunc func,
                            void *data)
{
  MalSpan span = mal_span_of_prefix(prefix);
  MascTreeKey after;
  MascNode *node = masc_tree_next(cache, span, NULL);
  while (node != NULL) {
    after = masc_tree_key(&node->record);
    if (!func(&node->record, data))
      return;
    node = masc_tree_next(cache, span, &after);
  }
}

bool masc_cache_is_apart(const MascCache *cache, MalPrefix prefix)
{
  const MascSpot *spot = masc_spot_of(cache, prefix);
  return spot != NULL && spot->n_inside == 0;
}

void masc_cache_look(const MascCache *cache, MalPrefix prefix, MascRecordFunc func, void *data)
{
  const MascSpot *spot = masc_spot_of(cache, prefix), *around[MASC_AROUND_MAX];
  MalSpan span = mal_span_of_prefix(prefix);
  size_t n = 0;
  if (spot == NULL || spot->n_inside > 0) {
    masc_tree_walk(cache->root, &span, func, data);
    return;
  }
  for (; spot != NULL; spot = spot->outer)
    around[n++] = spot;
  while (n > 0 && masc_spot_each(around[n - 1], func, data))
    n--;
}

MascRecord *masc_cache_first(const MascCache *cache)
{
  MascNode *node = masc_heap_first(cache->heap);
  return node != NULL ? &node->record : NULL;
}

MalTime masc_cache_due(const MascCache *cache)
{
  return masc_heap_first(cache->heap) != NULL ? g_array_index(cache->heap, MascDue, 0).at
                                              : MAL_FOREVER;
}

static bool check_one(MascRecord *record, void *data)
{
  const MascCache *cache = ((void **)data)[0];
  size_t *hints = ((void **)data)[1];
  const MascNode *node = masc_node(record);
  g_assert(masc_cache_same(cache, &record->claim) == record);
  const MascDue *due = &g_array_index(cache->heap, MascDue, node->heap);
  const MascDue *above = due->node->heap > 0 ? due - (node->heap / 2 + 1) : due;
  g_assert(due->node == node && above->at <= due->at);
  g_assert(due->later ? due->at <= record->forget_at : due->at == record->forget_at);
  g_assert(is_ground(&record->claim) == g_ptr_array_find(cache->grounds, record, NULL));
  *hints += !in_tree(&record->claim);
  return true;
}

void masc_cache_check(const MascCache *cache)
{
  size_t hints = 0, n = 0;
  masc_cache_each(cache, check_one, (void *[]){ (void *)cache, &hints });
  for (guint i = 0; i < cache->origins->len; i++)
    n += origin_at(cache, i)->n;
  g_assert(n == cache->heap->len && hints == cache->n_hints);
  g_assert(n == hints + masc_tree_check(cache, cache->root));
}
