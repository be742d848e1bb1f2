#include "masc-cache-private.h"

/* ---- by prefix ------------------------------------------------------------------------------- */

MascTreeKey masc_tree_key(const MascRecord *record)
{
  return (MascTreeKey){ record->claim.prefix.address.value, record->claim.prefix.length,
                        record->serial };
}

/* A cache holds one family. */
static int compare_key(const MascRecord *a, const MascTreeKey *b)
{
  if (a->claim.prefix.address.value != b->first)
    return a->claim.prefix.address.value < b->first ? -1 : 1;
  if (a->claim.prefix.length != b->length)
    return a->claim.prefix.length < b->length ? -1 : 1;
  return a->serial < b->serial ? -1 : a->serial > b->serial;
}

static int compare(const MascRecord *a, const MascRecord *b)
{
  MascTreeKey key = masc_tree_key(b);
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

static void split(MascNode *tree, const MascNode *at, MascNode **less, MascNode **more)
{
  if (tree == NULL) {
    *less = *more = NULL;
  } else if (compare(&tree->record, &at->record) < 0) {
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
    less->right = join(less->right, more);
    sum(less);
    return less;
  }
  more->left = join(less, more->left);
  sum(more);
  return more;
}

void masc_tree_add(MascNode **root, MascNode *node)
{
  MascNode *top = *root;
  if (top == NULL || node->rank > top->rank) {
    split(top, node, &node->left, &node->right);
    *root = node;
    sum(node);
    return;
  }
  masc_tree_add(compare(&node->record, &top->record) < 0 ? &top->left : &top->right, node);
  sum(top);
}

void masc_tree_remove(MascNode **root, MascNode *node)
{
  MascNode *top = *root;
  g_assert(top != NULL);
  if (top == node) {
    *root = join(node->left, node->right);
    node->left = node->right = NULL;
    return;
  }
  masc_tree_remove(compare(&node->record, &top->record) < 0 ? &top->left : &top->right, node);
  sum(top);
}

MascNode *masc_tree_next(MascNode *root, MalSpan span, const MascTreeKey *after)
{
  while (root != NULL && root->below >= span.first.value) {
    if (after == NULL || compare_key(&root->record, after) > 0) {
      MascNode *found = masc_tree_next(root->left, span, after);
      if (found != NULL)
        return found;
      if (root->record.claim.prefix.address.value > span.last.value)
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
    if (!masc_tree_walk(root->left, span, func, data))
      return false;
    if (root->record.claim.prefix.address.value > span->last.value)
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
    g_assert(root->left->rank <= root->rank && compare(&root->left->record, &root->record) < 0);
    below = MAX(below, root->left->below);
  }
  if (root->right != NULL) {
    g_assert(root->right->rank <= root->rank && compare(&root->right->record, &root->record) > 0);
    below = MAX(below, root->right->below);
  }
  g_assert(below == root->below);
  return 1 + masc_tree_check(root->left) + masc_tree_check(root->right);
}

/* ---- by when they are forgotten -------------------------------------------------------------- */

static MascNode *at(const GPtrArray *heap, size_t i)
{
  return g_ptr_array_index(heap, i);
}

static bool earlier(const MascNode *a, const MascNode *b)
{
  if (a->record.forget_at != b->record.forget_at)
    return a->record.forget_at < b->record.forget_at;
  return a->record.serial < b->record.serial;
}

static void put(GPtrArray *heap, size_t i, MascNode *node)
{
  g_ptr_array_index(heap, i) = node;
  node->heap = i;
}

static void up(GPtrArray *heap, size_t i, MascNode *node)
{
  for (; i > 0 && earlier(node, at(heap, (i - 1) / 2)); i = (i - 1) / 2)
    put(heap, i, at(heap, (i - 1) / 2));
  put(heap, i, node);
}

static void down(GPtrArray *heap, size_t i, MascNode *node)
{
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= heap->len)
      break;
    if (child + 1 < heap->len && earlier(at(heap, child + 1), at(heap, child)))
      child++;
    if (!earlier(at(heap, child), node))
      break;
    put(heap, i, at(heap, child));
    i = child;
  }
  put(heap, i, node);
}

void masc_heap_add(GPtrArray *heap, MascNode *node)
{
  g_ptr_array_add(heap, node);
  up(heap, heap->len - 1, node);
}

void masc_heap_remove(GPtrArray *heap, MascNode *node)
{
  size_t i = node->heap;
  MascNode *moved = at(heap, heap->len - 1);
  g_ptr_array_set_size(heap, (int)heap->len - 1);
  if (moved == node)
    return;
  if (i > 0 && earlier(moved, at(heap, (i - 1) / 2)))
    up(heap, i, moved);
  else
    down(heap, i, moved);
}
