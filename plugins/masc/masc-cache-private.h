/* How the cache finds its records: a hash over whole messages, a tree by prefix (a treap, with the
   last address below each node), a list of each domain's, a heap of when they are forgotten. */
#ifndef MASC_CACHE_PRIVATE_H
#define MASC_CACHE_PRIVATE_H

#include "masc-cache.h"

G_BEGIN_DECLS

typedef struct MascNode MascNode;

typedef struct {
  MascId domain;
  MascNode *first, *last;     /* by serial */
  size_t n;
  GPtrArray *withdraws;       /* MascRecord; NULL: none yet */
} MascOrigin;

/* What a walk through the tree reads comes first, and fits one line of the processor's cache. */
struct MascNode {
  _Alignas(64) MalU128 first; /* address */
  MalU128 last;
  MalU128 below;              /* the greatest last one of the subtree */
  MascNode *left, *right;
  MascRecord record;
  MascNode *chain;
  MascNode *older, *newer;
  MascOrigin *origin;
  size_t heap;                /* its place there */
  uint32_t rank;              /* a node's is above those of its children */
  uint32_t hash;
};

static inline MascNode *masc_node(const MascRecord *record)
{
  return (MascNode *)(void *)((char *)record - G_STRUCT_OFFSET(MascNode, record));
}

typedef struct {
  MalTime at;
  MascNode *node;
} MascDue;

struct MascCache {
  MascId own;
  MalHashKey key;
  uint64_t serial;
  MascNode *root;
  MascNode **buckets;
  size_t n_buckets;           /* a power of two */
  GPtrArray *origins;         /* MascOrigin, by domain */
  GArray *heap;               /* MascDue */
  GPtrArray *grounds;         /* MascRecord: PREFIX_MANAGED of parents, by arrival */
  size_t n_children, n_withdraws;
  MascNode *spare;            /* removed ones, by CHAIN */
  unsigned n_spare;
};

void masc_tree_add(MascNode **root, MascNode *node);
void masc_tree_remove(MascNode **root, MascNode *node);
/* None of the same prefix came later: it keeps its place with any later serial. */
bool masc_tree_is_newest(const MascNode *root, const MascNode *node);
/* The order of the tree: by address, the larger prefix first, then by arrival. */
typedef struct {
  MalU128 first;
  unsigned length;
  uint64_t serial;
} MascTreeKey;

MascTreeKey masc_tree_key(const MascRecord *record);
/* The first one after AFTER (NULL: of all) whose prefix overlaps SPAN. AFTER need not be there. */
MascNode *masc_tree_next(MascNode *root, MalSpan span, const MascTreeKey *after);
/* All of those in order; false: FUNC said so. */
bool masc_tree_walk(MascNode *root, const MalSpan *span, MascRecordFunc func, void *data);
/* How many; aborts where the order is wrong. */
size_t masc_tree_check(const MascNode *root);

void masc_heap_add(GArray *heap, MascNode *node);
void masc_heap_remove(GArray *heap, MascNode *node);
/* Its forget_at is another one. */
void masc_heap_again(GArray *heap, MascNode *node);

G_END_DECLS
#endif
