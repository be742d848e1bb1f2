/* Keys x time: the tree under the allocator. A key is a 32-bit number: an address of a plane, or an
   Ethernet group. The tree holds the keys that are busy at some time, as segments of adjacent keys
   with the same busy periods; what lies between segments is wholly free and takes no memory.

   It is a treap in one array, linked by index. Each subtree knows its longest gap between segments,
   the latest first busy instant and the earliest last busy instant of any segment: enough to go
   straight to a free gap, or to a segment that is free before or after all that is busy on it, or
   to see that there is none. Pauses stand in a second treap, by time.

   Runs across segments that are busy at other times have no such exact summary. For them each
   subtree knows its longest run at one reference instant, which bounds the runs over every window
   around that instant. Where windows move away from it the searches walk; once they have walked as
   far as there are segments, the instant is chosen anew. Internal to the allocator. */
#ifndef MAL_ALLOCATOR_INDEX_H
#define MAL_ALLOCATOR_INDEX_H

#include "short-time.h"

G_BEGIN_DECLS

#define MAL_PLANE_RESERVED UINT32_MAX

/* One holder's period on one segment. */
typedef struct {
  MalTime from, until;
  uint32_t owner; /* of a lease, or the number of a reserve */
  uint32_t plane; /* which of the addresses that share the key; MAL_PLANE_RESERVED: a reserve */
} MalBusy;

/* first..last, both included. */
typedef struct {
  uint32_t first, last;
} MalKeys;

/* So many keys, or more: what is known of runs. */
#define MAL_SHORT_RUN ((UINT32_C(1) << 24) - 1)

#define MAL_SHORT_PLANE ((UINT32_C(1) << 22) - 1) /* MAL_PLANE_RESERVED */

/* One cache line: a change reads and writes as many of them as the path is long. Instants and runs
   of keys are in a short form (short-time.h): what that can't say of a period makes it one of the
   pool's. */
typedef struct {
  MalKeys keys;
  uint32_t left, right; /* 0: none */
  MalKeys reach;        /* of the subtree: its first and last busy key */
  uint32_t gap;         /* of the subtree: most free keys between two segments */
  union {
    uint32_t owner;     /* of the only period */
    uint32_t more;      /* MANY: the first of the periods in the pool */
  };
  uint64_t from : 40;   /* of the only period. MANY: when the first begins, rounded up */
  uint64_t plane : 22;
  uint64_t many : 1;    /* several periods, or one that does not fit in here */
  uint64_t busy_at : 1; /* busy at the index's reference instant */
  uint64_t until : 40;  /* of the only period. MANY: when the last ends, rounded down */
  uint64_t run : 24;    /* of the subtree at the reference instant: the longest run of free keys */
  uint64_t head : 40;   /* of the subtree: latest first busy instant, rounded up */
  uint64_t lead : 24;   /* free at the reference instant at the subtree's beginning */
  uint64_t tail : 40;   /* of the subtree: earliest end of all busy periods, rounded down */
  uint64_t trail : 24;  /* and at its end. All three saturate */
} MalSegment;

G_STATIC_ASSERT(sizeof(MalSegment) == 64);

/* The periods of a segment with several. */
typedef struct {
  MalBusy busy;
  uint32_t next;
} MalCellOfPeriods;

/* The time between two busy periods of a segment. */
typedef struct {
  MalTime from, until;
  MalKeys keys; /* the segment's */
  uint32_t left, right;
  MalTime latest;   /* of the subtree: latest end */
  uint64_t longest; /* of the subtree */
  MalKeys reach;    /* of the subtree: lowest and highest key */
} MalPause;

typedef struct {
  MalSegment *segments;    /* [0] is unused; begins with a cache line in SPACE */
  void *space;
  MalCellOfPeriods *cells; /* [0] is unused */
  uint32_t n_segments, max_segments, free_segments;
  uint32_t n_cells, max_cells, free_cells;
  MalPause *pauses; /* [0] is unused */
  uint32_t n_pauses, max_pauses, free_pauses, pause_root, live_pauses;
  uint32_t root;
  uint32_t live; /* segments in the tree */
  uint32_t live_cells;
  uint32_t salt;
  MalTime at; /* the reference instant: what is busy then can't be free over a window around it */
  uint64_t walked;     /* segments visited by searches for runs since it was chosen */
  GArray *old, *fresh; /* scratch: pieces of the tree while they change */
  GArray *periods;     /* scratch: MalBusy, of both */
} MalIndex;

void mal_index_init(MalIndex *ix, uint32_t salt);
void mal_index_clear(MalIndex *ix);
size_t mal_index_bytes(const MalIndex *ix);

void mal_index_take(MalIndex *ix, MalKeys keys, MalBusy busy);
/* BUSY instead of what its owner holds in its plane; returns as mal_index_give. */
uint64_t mal_index_retake(MalIndex *ix, MalKeys keys, MalBusy busy);
/* Removes what OWNER holds in PLANE; returns how many keys it held (each as often as it held
   it). */
uint64_t mal_index_give(MalIndex *ix, MalKeys keys, uint32_t owner, uint32_t plane);
/* Removes everything in PLANE. */
void mal_index_purge(MalIndex *ix, MalKeys keys, uint32_t plane);

/* What is looked for: keys inside WITHIN that are free over [from, until), counting IGNORE (0:
   nobody) as gone, and reserves, too (mal_index_is_free only). */
typedef struct {
  MalKeys within;
  MalTime from, until;
  uint32_t ignore;
  bool ignore_reserves;
} MalQuery;

bool mal_index_is_free(const MalIndex *ix, const MalQuery *q);
/* Is KEY held at any time for PLANE? */
bool mal_index_has(const MalIndex *ix, uint32_t key, uint32_t plane);
/* N adjacent keys that are wholly free, at the end of a free gap that is beside a busy segment;
   BESIDE is false where nothing in WITHIN is busy: then the place is at random. RANDOM is the state
   of a generator. */
bool mal_index_find_gap(const MalIndex *ix, const MalQuery *q, uint32_t n, uint64_t *random,
                        uint32_t *first, bool *beside);
/* N adjacent keys that are free over the window, whatever is busy in them at other times: the
   lowest. For what find_gap didn't find. */
bool mal_index_find_run(MalIndex *ix, const MalQuery *q, uint32_t n, uint32_t *first);
/* A stretch of busy keys (one segment's) that are free over the window: any (RANDOM), or the lowest
   (NULL). */
bool mal_index_find_spot(const MalIndex *ix, const MalQuery *q, uint64_t *random, MalKeys *out);
uint64_t mal_index_longest_gap(const MalIndex *ix, MalKeys within);
uint64_t mal_index_longest_run(const MalIndex *ix, const MalQuery *q);
/* The earliest instant from q->from on at which some key is free for as long as the window;
   MAL_FOREVER: none. */
MalTime mal_index_earliest(const MalIndex *ix, const MalQuery *q);

/* Calls VISIT with every segment that reaches into WITHIN, in order. KEYS are cut to it. */
typedef void (*MalIndexVisit)(const MalIndex *ix, const MalSegment *s, MalKeys keys, void *data);
void mal_index_walk(const MalIndex *ix, MalKeys within, MalIndexVisit visit, void *data);

/* The keys that RUN, a summary of the subtree of S, stands for at most. */
static inline uint64_t mal_run_of(const MalSegment *s, uint64_t run)
{
  return run == MAL_SHORT_RUN ? (uint64_t)s->reach.last - s->reach.first + 1 : run;
}

typedef struct {
  uint32_t at;
  MalBusy busy;
} MalCursor;

/* The periods of S in order of their beginning: start with a CURSOR of zeros; NULL at the end. What
   is returned lives as long as CURSOR and until the next change. */
static inline const MalBusy *mal_index_next(const MalIndex *ix, const MalSegment *s,
                                            MalCursor *cursor)
{
  uint32_t at = cursor->at;
  if (at == UINT32_MAX)
    return NULL;
  if (at == 0 && !s->many) {
    uint32_t plane = s->plane == MAL_SHORT_PLANE ? MAL_PLANE_RESERVED : (uint32_t)s->plane;
    cursor->at = UINT32_MAX;
    cursor->busy = (MalBusy){ mal_time_of_short(s->from), mal_time_of_short(s->until), s->owner,
                              plane };
    return &cursor->busy;
  }
  if (at == 0)
    at = s->more;
  cursor->at = ix->cells[at].next == 0 ? UINT32_MAX : ix->cells[at].next;
  return &ix->cells[at].busy;
}

/* The treap's heap order: a number that nobody outside can know or choose. */
static inline uint32_t mal_index_rank(const MalIndex *ix, uint32_t segment)
{
  uint64_t x = ((uint64_t)ix->salt << 32 | segment) * UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
  return (uint32_t)(x >> 32);
}

/* The next number of a small generator (a Weyl sequence, mixed). */
static inline uint64_t mal_random_next(uint64_t *state)
{
  uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return x ^ x >> 31;
}

/* 0..LIMIT-1. The bias of a remainder is of no weight here: limits are far below 2^64. */
static inline uint64_t mal_random_below(uint64_t *state, uint64_t limit)
{
  return mal_random_next(state) % limit;
}

static inline uint64_t mal_keys_count(MalKeys keys)
{
  return (uint64_t)keys.last - keys.first + 1;
}

/* When the last busy period of one segment ends. */
MalTime mal_index_tail(const MalIndex *ix, const MalSegment *s);

/* Chooses another reference instant. O(n). */
void mal_index_recentre(MalIndex *ix, MalTime at);

/* The size to which a pool of SIZE grows: an eighth more, so the slack stays small. */
static inline uint32_t mal_index_grown(uint32_t size)
{
  g_assert(size < UINT32_MAX / 2);
  return size + size / 8 + 16;
}

/* ---- allocator-pauses.c ---------------------------------------------------------------------- */

/* Enters or removes the pauses of S. */
void mal_pauses_note(MalIndex *ix, const MalSegment *s, bool present);
/* Keys inside q->within that have a pause which covers the window. */
bool mal_pauses_find(const MalIndex *ix, const MalQuery *q, MalKeys *out);
/* The first beginning, from q->from on, of a pause as long as the window; MAL_FOREVER: none. */
MalTime mal_pauses_first(const MalIndex *ix, const MalQuery *q);
uint32_t mal_pauses_check(const MalIndex *ix);

/* ---- allocator-treap.c ----------------------------------------------------------------------- */

/* A segment, or a cell for periods, that is in no tree; what points into the pools moves. */
uint32_t mal_segment_new(MalIndex *ix);
uint32_t mal_cell_new(MalIndex *ix);
/* The segment with its periods; the list of cells that begins with ID. */
void mal_segment_free(MalIndex *ix, uint32_t id);
void mal_cells_free(MalIndex *ix, uint32_t id);

/* One tree of two; all of A lies before B. */
uint32_t mal_segments_join(MalIndex *ix, uint32_t a, uint32_t b);
/* Two trees of one: LOW gets the segments that end before KEY. */
void mal_segments_split(MalIndex *ix, uint32_t id, uint64_t key, uint32_t *low, uint32_t *high);
/* The same, but HIGH gets the segments that begin after KEY. */
void mal_segments_split_after(MalIndex *ix, uint32_t id, uint64_t key, uint32_t *low,
                              uint32_t *high);
/* A segment's summary of its subtree, from its children's. */
void mal_index_pull(MalIndex *ix, uint32_t id);
bool mal_index_is_busy_at(const MalIndex *ix, const MalSegment *s);
int mal_busy_compare(const MalBusy *a, const MalBusy *b);

/* Aborts where the tree is broken. */
void mal_index_check(const MalIndex *ix);

G_END_DECLS
#endif
