/* How the cache finds its records: a hash over prefixes, a tree of these (a treap, with the last
   address below each one), in which each also knows the one around it; a list of each domain's
   records, a heap of when they are forgotten. */
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

/* All records about one prefix. What a walk through the tree reads comes first, and fits one line
   of the processor's cache, as does the rest. Renewals come and go, and the tree stays as it is. */
typedef struct MascSpot MascSpot;
#define MASC_AROUND_MAX 129     /* prefixes, each in the next one */
#define MASC_BUCKETS_MIN 16     /* so that a leaf that hears of some dozen prefixes stays small */
struct MascSpot {
  _Alignas(64) MalU128 first; /* address */
  MalU128 last;
  MalU128 below;              /* the greatest last one of the subtree */
  MascSpot *left, *right;
  MascSpot *outer;            /* the smallest one around it */
  MascSpot *chain;
  MascNode **nodes;           /* by serial; FEW, or allocated */
  MascNode *few[2];
  uint32_t n, room;
  uint32_t n_inside;          /* spots in it, itself not counted */
  uint32_t rank;              /* above those of its children */
  uint32_t hash;
  uint16_t length;
};

struct MascNode {
  MascRecord record;
  MascNode *older, *newer;    /* of the same domain */
  MascOrigin *origin;
  MascSpot *spot;             /* NULL: a hint */
  uint32_t heap;              /* its place there */
};

static inline MascNode *masc_node(const MascRecord *record)
{
  return (MascNode *)(void *)((char *)record - G_STRUCT_OFFSET(MascNode, record));
}

/* AT is no later than when it is forgotten: what is renewed moves when it comes to the top. */
typedef struct {
  MalTime at;
  MascNode *node;
  bool later;                 /* in truth */
} MascDue;

typedef struct {
  MascId domain;
  MascOrigin *origin;
} MascOriginPlace;

struct MascCache {
  MascId own;
  MalHashKey key;
  uint64_t serial;
  MascSpot *root;
  MascSpot **spots;
  size_t n_buckets, n_spots;  /* a power of two */
  GArray *origins;            /* MascOriginPlace, by domain */
  GArray *heap;               /* MascDue */
  GPtrArray *grounds;         /* MascRecord: PREFIX_MANAGED of parents, by arrival */
  size_t n_children, n_withdraws, n_hints;
  MascNode *spare;            /* removed ones, by NEWER */
  unsigned n_spare;
};

/* Its place in the order of a walk: by address, the larger prefix first, then by arrival. */
typedef struct {
  MalU128 first;
  unsigned length;
  uint64_t serial;
} MascTreeKey;

MascTreeKey masc_tree_key(const MascRecord *record);
/* NODE, with the latest serial, to the others of its prefix; and away from them. */
void masc_spot_add(MascCache *cache, MascNode *node);
void masc_spot_remove(MascCache *cache, MascNode *node);
/* It becomes the latest of its prefix: before its serial is another one. */
void masc_spot_last(MascNode *node);
/* What is there of exactly that prefix, or NULL. */
MascSpot *masc_spot_of(const MascCache *cache, MalPrefix prefix);
/* The first record after AFTER (NULL: of all) whose prefix overlaps SPAN. AFTER need not be there.
 */
MascNode *masc_tree_next(const MascCache *cache, MalSpan span, const MascTreeKey *after);
/* All of those in order; false: FUNC said so. */
bool masc_tree_walk(MascSpot *root, const MalSpan *span, MascRecordFunc func, void *data);
bool masc_spot_each(const MascSpot *spot, MascRecordFunc func, void *data);
void masc_tree_free(MascSpot *root);
/* How many records; aborts where something is wrong. */
size_t masc_tree_check(const MascCache *cache, const MascSpot *root);

void masc_heap_add(GArray *heap, MascNode *node);
void masc_heap_remove(GArray *heap, MascNode *node);
/* Its forget_at is another one. */
void masc_heap_again(GArray *heap, MascNode *node);
/* The one that is forgotten first; NULL: none. */
MascNode *masc_heap_first(const GArray *heap);

G_END_DECLS
#endif
