#include "masc-cache-private.h"

/* ---- by prefix ------------------------------------------------------------------------------- */

MascTreeKey masc_tree_key(const MascRecord *record)
{
  return (MascTreeKey){ record->claim.prefix.address.value, record->claim.prefix.length,
                        record->serial };
}

/* A cache holds one family. */
static int compare_key(const MascNode *a, const MascTreeKey *b)
{
  const MascRecord *r = &a->record;
  if (a->first != b->first)
    return a->first < b->first ? -1 : 1;
  if (r->claim.prefix.length != b->length)
    return r->claim.prefix.length < b->length ? -1 : 1;
  return r->serial < b->serial ? -1 : r->serial > b->serial;
}

static int compare(const MascNode *a, const MascNode *b)
{
  MascTreeKey key = masc_tree_key(&b->record);
  return compare_key(a, &key);
}

static void sum(MascNode *node)
{
  node->below = node->last;
  if (node->left != NULL)
    node->below = MAX(node->below, node->left->below);
  if (node->right != NULL)
    node->below = MAX(node->below, node->right->below);
}

static void split(MascNode *tree, const MascTreeKey *at, MascNode **less, MascNode **more)
{
  if (tree == NULL) {
    *less = *more = NULL;
  } else if (compare_key(tree, at) < 0) {
    split(tree->right, at, &tree->right, more);
    *less = tree;
    sum(tree);
  } else {
    split(tree->left, at, less, &tree->left);
    *more = tree;
    sum(tree);
  }
}

static MascNode *join(MascNode *less, MascNode *more)
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

void masc_tree_add(MascNode **root, MascNode *node)
{
  MascTreeKey key = masc_tree_key(&node->record);
  MascNode *top;
  for (; (top = *root) != NULL && node->rank <= top->rank;
       root = compare_key(top, &key) > 0 ? &top->left : &top->right)
    top->below = MAX(top->below, node->last);
  split(top, &key, &node->left, &node->right);
  sum(node);
  *root = node;
}

static void take_out(MascNode **root, MascNode *node, const MascTreeKey *key)
{
  MascNode *top = *root;
  g_assert(top != NULL);
  if (top == node) {
    *root = join(node->left, node->right);
    node->left = node->right = NULL;
    return;
  }
  take_out(compare_key(top, key) > 0 ? &top->left : &top->right, node, key);
  if (top->below == node->last)
    sum(top);
}

void masc_tree_remove(MascNode **root, MascNode *node)
{
  MascTreeKey key = masc_tree_key(&node->record);
  take_out(root, node, &key);
}

bool masc_tree_is_newest(const MascNode *root, const MascNode *node)
{
  MascTreeKey key = masc_tree_key(&node->record);
  const MascNode *next = NULL;
  while (root != NULL) {
    if (compare_key(root, &key) > 0) {
      next = root;
      root = root->left;
    } else {
      root = root->right;
    }
  }
  return next == NULL || next->first != node->first ||
         next->record.claim.prefix.length != node->record.claim.prefix.length;
}

MascNode *masc_tree_next(MascNode *root, MalSpan span, const MascTreeKey *after)
{
  while (root != NULL && root->below >= span.first.value) {
    if (after == NULL || compare_key(root, after) > 0) {
      MascNode *found = masc_tree_next(root->left, span, after);
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

bool masc_tree_walk(MascNode *root, const MalSpan *span, MascRecordFunc func, void *data)
{
  for (; root != NULL && root->below >= span->first.value; root = root->right) {
    if (root->left != NULL && root->left->below >= span->first.value &&
        !masc_tree_walk(root->left, span, func, data))
      return false;
    if (root->first > span->last.value)
      return true;
    if (root->last >= span->first.value && !func(&root->record, data))
      return false;
  }
  return true;
}

size_t masc_tree_check(const MascNode *root)
{
  MalU128 below;
  if (root == NULL)
    return 0;
  below = root->last;
  if (root->left != NULL) {
    g_assert(root->left->rank <= root->rank && compare(root->left, root) < 0);
    below = MAX(below, root->left->below);
  }
  if (root->right != NULL) {
    g_assert(root->right->rank <= root->rank && compare(root->right, root) > 0);
    below = MAX(below, root->right->below);
  }
  g_assert(below == root->below);
  return 1 + masc_tree_check(root->left) + masc_tree_check(root->right);
}

/* ---- by when they are forgotten -------------------------------------------------------------- */

static MascDue *at(const GArray *heap, size_t i)
{
  return &g_array_index(heap, MascDue, i);
}

static void put(const GArray *heap, size_t i, MascDue due)
{
  *at(heap, i) = due;
  due.node->heap = i;
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
  MascDue due = { node->record.forget_at, node };
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
  MascDue due = { node->record.forget_at, node };
  move(heap, node->heap, due);
}
