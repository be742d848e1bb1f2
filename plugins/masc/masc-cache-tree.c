#include <stdlib.h>
#include <string.h>

#include "masc-cache-private.h"

/* ---- by prefix ------------------------------------------------------------------------------- */

MascTreeKey masc_tree_key(const MascRecord *record)
{
  return (MascTreeKey){ record->claim.prefix.address.value, record->claim.prefix.length,
                        record->serial };
}

/* A cache holds one family. */
static int compare(const MascSpot *a, MalU128 first, unsigned length)
{
  if (a->first != first)
    return a->first < first ? -1 : 1;
  return a->length < length ? -1 : a->length > length;
}

static void sum(MascSpot *spot)
{
  spot->below = spot->last;
  if (spot->left != NULL)
    spot->below = MAX(spot->below, spot->left->below);
  if (spot->right != NULL)
    spot->below = MAX(spot->below, spot->right->below);
}

static void split(MascSpot *tree, const MascSpot *at, MascSpot **less, MascSpot **more)
{
  if (tree == NULL) {
    *less = *more = NULL;
  } else if (compare(tree, at->first, at->length) < 0) {
    split(tree->right, at, &tree->right, more);
    *less = tree;
    sum(tree);
  } else {
    split(tree->left, at, less, &tree->left);
    *more = tree;
    sum(tree);
  }
}

static MascSpot *join(MascSpot *less, MascSpot *more)
{
  if (less == NULL || more == NULL)
    return less != NULL ? less : more;
  if (less->rank > more->rank) {
    less->below = MAX(less->below, more->below);
    less->right = join(less->right, more);
    return less;
  }
  more->below = MAX(more->below, less->below);
  more->left = join(less, more->left);
  return more;
}

static void tree_add(MascSpot **root, MascSpot *spot)
{
  MascSpot *top;
  for (; (top = *root) != NULL && spot->rank <= top->rank;
       root = compare(top, spot->first, spot->length) > 0 ? &top->left : &top->right)
    top->below = MAX(top->below, spot->last);
  split(top, spot, &spot->left, &spot->right);
  sum(spot);
  *root = spot;
}

static void tree_remove(MascSpot **root, const MascSpot *spot)
{
  MascSpot *top = *root;
  g_assert(top != NULL);
  if (top == spot) {
    *root = join(spot->left, spot->right);
    return;
  }
  tree_remove(compare(top, spot->first, spot->length) > 0 ? &top->left : &top->right, spot);
  if (top->below == spot->last)
    sum(top);
}

/* The first one after (FIRST, LENGTH), or of all, that overlaps SPAN. */
static MascSpot *next_spot(MascSpot *root, MalSpan span, const MascTreeKey *after)
{
  while (root != NULL && root->below >= span.first.value) {
    if (after == NULL || compare(root, after->first, after->length) > 0) {
      MascSpot *found = next_spot(root->left, span, after);
      if (found != NULL)
        return found;
      if (root->first > span.last.value)
        return NULL;
      if (root->last >= span.first.value)
        return root;
    }
    root = root->right;
  }
  return NULL;
}

typedef bool (*SpotFunc)(MascSpot *spot, void *data);

static bool walk_spots(MascSpot *root, const MalSpan *span, SpotFunc func, void *data)
{
  for (; root != NULL && root->below >= span->first.value; root = root->right) {
    if (root->left != NULL && root->left->below >= span->first.value &&
        !walk_spots(root->left, span, func, data))
      return false;
    if (root->first > span->last.value)
      return true;
    if (root->last >= span->first.value && !func(root, data))
      return false;
  }
  return true;
}

typedef struct {
  MascRecordFunc func;
  void *data;
} Records;

static bool each_record(MascSpot *spot, void *data)
{
  const Records *r = data;
  return masc_spot_each(spot, r->func, r->data);
}

bool masc_tree_walk(MascSpot *root, const MalSpan *span, MascRecordFunc func, void *data)
{
  Records r = { func, data };
  return walk_spots(root, span, each_record, &r);
}

bool masc_spot_each(const MascSpot *spot, MascRecordFunc func, void *data)
{
  for (uint32_t i = 0; i < spot->n; i++) {
    if (!func(&spot->nodes[i]->record, data))
      return false;
  }
  return true;
}

/* Where what came after SERIAL stands. */
static uint32_t place_after(const MascSpot *spot, uint64_t serial)
{
  uint32_t low = 0, high = spot->n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (spot->nodes[middle]->record.serial <= serial)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

MascNode *masc_tree_next(const MascCache *cache, MalSpan span, const MascTreeKey *after)
{
  const MascSpot *spot;
  if (after != NULL) {
    MalPrefix prefix = { { after->first, span.first.family }, after->length };
    if ((spot = masc_spot_of(cache, prefix)) != NULL) {
      uint32_t place = place_after(spot, after->serial);
      if (place < spot->n)
        return spot->nodes[place];
    }
  }
  spot = next_spot(cache->root, span, after);
  return spot != NULL ? spot->nodes[0] : NULL;
}

/* ---- one prefix ------------------------------------------------------------------------------ */

static uint64_t hash_of(const MascCache *cache, MalPrefix prefix)
{
  uint64_t all[] = { (uint64_t)prefix.address.value, prefix.length,
                     (uint64_t)(prefix.address.value >> 64) };
  bool v4 = prefix.address.family == MAL_IPV4;
  return mal_hash_keyed(&cache->key, all, v4 ? 2 * sizeof *all : sizeof all);
}

static MascSpot *find(const MascCache *cache, MalPrefix prefix, uint32_t hash)
{
  MascSpot *spot = cache->spots[hash & (cache->n_buckets - 1)];
  while (spot != NULL && (spot->hash != hash || spot->length != prefix.length ||
                          spot->first != prefix.address.value))
    spot = spot->chain;
  return spot;
}

MascSpot *masc_spot_of(const MascCache *cache, MalPrefix prefix)
{
  return find(cache, prefix, (uint32_t)hash_of(cache, prefix));
}

static void hash_add(MascCache *cache, MascSpot *spot)
{
  MascSpot **bucket = &cache->spots[spot->hash & (cache->n_buckets - 1)];
  spot->chain = *bucket;
  *bucket = spot;
}

static void hash_all(MascCache *cache, MascSpot *tree)
{
  if (tree == NULL)
    return;
  hash_add(cache, tree);
  hash_all(cache, tree->left);
  hash_all(cache, tree->right);
}

static void hash_more(MascCache *cache)
{
  if (++cache->n_spots < cache->n_buckets)
    return;
  g_free(cache->spots);
  cache->n_buckets *= 2;
  cache->spots = g_new0(MascSpot *, cache->n_buckets);
  hash_all(cache, cache->root);
}

/* SPOT is about to be in the tree: those around it come before those inside of it. */
static bool meet(MascSpot *other, void *data)
{
  MascSpot *spot = data;
  if (other->length < spot->length) {
    spot->outer = other;
    other->n_inside++;
    return true;
  }
  if (other->outer == spot->outer)
    other->outer = spot;
  spot->n_inside++;
  return true;
}

static bool part(MascSpot *other, void *data)
{
  const MascSpot *spot = data;
  if (other->length < spot->length)
    other->n_inside--;
  else if (other->outer == spot)
    other->outer = spot->outer;
  return true;
}

static MascSpot *new_spot(MascCache *cache, MalPrefix prefix, uint64_t hash)
{
  MalSpan span = mal_span_of_prefix(prefix);
  MascSpot *spot = aligned_alloc(_Alignof(MascSpot), sizeof *spot);
  if (spot == NULL)
    g_error("no memory for a claim");
  memset(spot, 0, sizeof *spot);
  spot->first = span.first.value;
  spot->last = span.last.value;
  spot->length = (uint16_t)prefix.length;
  spot->hash = (uint32_t)hash;
  spot->rank = (uint32_t)(hash >> 32);
  spot->nodes = spot->few;
  spot->room = G_N_ELEMENTS(spot->few);
  walk_spots(cache->root, &span, meet, spot);
  tree_add(&cache->root, spot);
  hash_add(cache, spot);
  hash_more(cache);
  return spot;
}

static void free_spot(MascSpot *spot)
{
  if (spot->nodes != spot->few)
    g_free(spot->nodes);
  free(spot);
}

static void drop_spot(MascCache *cache, MascSpot *spot)
{
  MascSpot **at = &cache->spots[spot->hash & (cache->n_buckets - 1)];
  MalSpan span = { { spot->first, MAL_FAMILY_NONE }, { spot->last, MAL_FAMILY_NONE } };
  while (*at != spot)
    at = &(*at)->chain;
  *at = spot->chain;
  cache->n_spots--;
  tree_remove(&cache->root, spot);
  walk_spots(cache->root, &span, part, spot);
  free_spot(spot);
}

void masc_tree_free(MascSpot *root)
{
  if (root == NULL)
    return;
  masc_tree_free(root->left);
  masc_tree_free(root->right);
  free_spot(root);
}

void masc_spot_add(MascCache *cache, MascNode *node)
{
  MalPrefix prefix = node->record.claim.prefix;
  uint64_t hash = hash_of(cache, prefix);
  MascSpot *spot = find(cache, prefix, (uint32_t)hash);
  if (spot == NULL)
    spot = new_spot(cache, prefix, hash);
  if (spot->n == spot->room) {
    uint32_t room = spot->room * 2;
    MascNode **more = g_new(MascNode *, room);
    for (uint32_t i = 0; i < spot->n; i++)
      more[i] = spot->nodes[i];
    if (spot->nodes != spot->few)
      g_free(spot->nodes);
    spot->nodes = more;
    spot->room = room;
  }
  spot->nodes[spot->n++] = node;
  node->spot = spot;
}

/* The last place is free then. */
static void take_out(MascSpot *spot, const MascNode *node)
{
  uint32_t place = place_after(spot, node->record.serial);
  g_assert(place > 0 && spot->nodes[place - 1] == node);
  for (; place < spot->n; place++)
    spot->nodes[place - 1] = spot->nodes[place];
}

void masc_spot_last(MascNode *node)
{
  MascSpot *spot = node->spot;
  take_out(spot, node);
  spot->nodes[spot->n - 1] = node;
}

void masc_spot_remove(MascCache *cache, MascNode *node)
{
  MascSpot *spot = node->spot;
  take_out(spot, node);
  node->spot = NULL;
  if (--spot->n == 0)
    drop_spot(cache, spot);
}

/* ---- checking -------------------------------------------------------------------------------- */

typedef struct {
  const MascSpot *spot, *outer;
  uint32_t n_inside;
} Around;

static bool look_around(MascSpot *other, void *data)
{
  Around *a = data;
  if (other->length < a->spot->length)
    a->outer = other;
  a->n_inside += other->length > a->spot->length;
  return true;
}

static void check_spot(const MascCache *cache, const MascSpot *spot)
{
  MalSpan span = { { spot->first, MAL_FAMILY_NONE }, { spot->last, MAL_FAMILY_NONE } };
  Around a = { .spot = spot };
  walk_spots(cache->root, &span, look_around, &a);
  g_assert(a.outer == spot->outer && a.n_inside == spot->n_inside);
  g_assert(spot->n > 0 && spot->n <= spot->room);
  for (uint32_t i = 0; i < spot->n; i++) {
    const MascRecord *record = &spot->nodes[i]->record;
    g_assert(spot->nodes[i]->spot == spot);
    g_assert(masc_spot_of(cache, record->claim.prefix) == spot);
    g_assert(i == 0 || spot->nodes[i - 1]->record.serial < record->serial);
  }
}

size_t masc_tree_check(const MascCache *cache, const MascSpot *root)
{
  MalU128 below;
  if (root == NULL)
    return 0;
  below = root->last;
  if (root->left != NULL) {
    g_assert(root->left->rank <= root->rank);
    g_assert(compare(root->left, root->first, root->length) < 0);
    below = MAX(below, root->left->below);
  }
  if (root->right != NULL) {
    g_assert(root->right->rank <= root->rank);
    g_assert(compare(root->right, root->first, root->length) > 0);
    below = MAX(below, root->right->below);
  }
  g_assert(below == root->below);
  check_spot(cache, root);
  return root->n + masc_tree_check(cache, root->left) + masc_tree_check(cache, root->right);
}

/* ---- by when they are forgotten -------------------------------------------------------------- */

static MascDue *at(const GArray *heap, size_t i)
{
  return &g_array_index(heap, MascDue, i);
}

static void put(const GArray *heap, size_t i, MascDue due)
{
  *at(heap, i) = due;
  due.node->heap = (uint32_t)i;
}

static void up(const GArray *heap, size_t i, MascDue due)
{
  for (; i > 0 && due.at < at(heap, (i - 1) / 2)->at; i = (i - 1) / 2)
    put(heap, i, *at(heap, (i - 1) / 2));
  put(heap, i, due);
}

static void down(const GArray *heap, size_t i, MascDue due)
{
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= heap->len)
      break;
    if (child + 1 < heap->len && at(heap, child + 1)->at < at(heap, child)->at)
      child++;
    if (at(heap, child)->at >= due.at)
      break;
    put(heap, i, *at(heap, child));
    i = child;
  }
  put(heap, i, due);
}

void masc_heap_add(GArray *heap, MascNode *node)
{
  MascDue due = { node->record.forget_at, node, false };
  g_array_append_val(heap, due);
  up(heap, heap->len - 1, due);
}

static void move(const GArray *heap, size_t i, MascDue due)
{
  if (i > 0 && due.at < at(heap, (i - 1) / 2)->at)
    up(heap, i, due);
  else
    down(heap, i, due);
}

void masc_heap_remove(GArray *heap, MascNode *node)
{
  size_t i = node->heap;
  MascDue moved = *at(heap, heap->len - 1);
  g_array_set_size(heap, heap->len - 1);
  if (moved.node != node)
    move(heap, i, moved);
}

void masc_heap_again(GArray *heap, MascNode *node)
{
  MascDue due = { node->record.forget_at, node, false };
  if (due.at < at(heap, node->heap)->at)
    up(heap, node->heap, due);
  else
    at(heap, node->heap)->later = true;
}

MascNode *masc_heap_first(const GArray *heap)
{
  while (heap->len > 0) {
    MascDue due = *at(heap, 0);
    if (!due.later)
      return due.node;
    due.at = due.node->record.forget_at;
    due.later = false;
    down(heap, 0, due);
  }
  return NULL;
}
