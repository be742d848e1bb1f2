/* The tree of busy segments: questions. Every search walks down with the borders of the subtree,
   LOW..HIGH: the keys between the segments before and after it, so that the free gaps at its two
   ends are known. */
#include "allocator-index.h"

typedef struct {
  const MalIndex *ix;
  MalQuery q;
  uint64_t n;          /* adjacent keys looked for */
  uint64_t *random;    /* NULL: the lowest */
  int64_t first, last; /* the answer */
  uint64_t best;       /* longest so far */
  int64_t run_first;   /* the run that is growing, and how long it is */
  uint64_t run;
  MalTime earliest;
  bool in_pauses; /* a pause covers the window, so the two ends of a segment don't say it all */
  uint64_t visited;
} Search;

#define TOP INT64_C(0xffffffff)
#define NOWHERE -1

static Search search_of(const MalIndex *ix, const MalQuery *q)
{
  return (Search){ .ix = ix, .q = *q, .first = NOWHERE, .last = NOWHERE, .earliest = MAL_FOREVER };
}

/* Cuts LOW..HIGH to what is asked about; how many keys remain. */
static uint64_t cut(const Search *s, int64_t *low, int64_t *high)
{
  *low = MAX(*low, (int64_t)s->q.within.first);
  *high = MIN(*high, (int64_t)s->q.within.last);
  return *high >= *low ? (uint64_t)(*high - *low) + 1 : 0;
}

static bool is_inside(const Search *s, int64_t low, int64_t high)
{
  return low >= (int64_t)s->q.within.first && high <= (int64_t)s->q.within.last;
}

/* The longest gap of a subtree with these borders. */
static uint64_t longest_gap_of(const MalSegment *t, int64_t low, int64_t high)
{
  uint64_t before = (uint64_t)((int64_t)t->reach.first - low);
  uint64_t after = (uint64_t)(high - (int64_t)t->reach.last);
  return MAX((uint64_t)t->gap, MAX(before, after));
}

/* Is some segment of the subtree free before, or after, all that is busy on it? With an owner to
   ignore, any may be. */
static bool has_end_free(const Search *s, const MalSegment *t)
{
  return s->q.ignore != 0 || mal_time_of_short(t->head) >= s->q.until ||
         mal_time_of_short(t->tail) <= s->q.from;
}

static bool segment_is_free(const Search *s, const MalSegment *t)
{
  MalCursor cursor = { 0 };
  for (const MalBusy *b = mal_index_next(s->ix, t, &cursor); b != NULL && b->from < s->q.until;
       b = mal_index_next(s->ix, t, &cursor)) {
    bool ignored = b->plane == MAL_PLANE_RESERVED ? s->q.ignore_reserves
                                                  : s->q.ignore != 0 && b->owner == s->q.ignore;
    if (b->until > s->q.from && !ignored)
      return false;
  }
  return true;
}

static bool flip(Search *s)
{
  return s->random != NULL && (mal_random_next(s->random) & 1) != 0;
}

/* ---- wholly free ----------------------------------------------------------------------------- */

static bool gap_in(Search *s, uint32_t id, int64_t low, int64_t high)
{
  int64_t a = low, b = high;
  if (cut(s, &a, &b) < s->n)
    return false;
  if (id == 0) {
    s->first = a;
    s->last = b;
    return true;
  }
  const MalSegment *t = &s->ix->segments[id];
  if (longest_gap_of(t, low, high) < s->n)
    return false;
  int64_t left = (int64_t)t->keys.first - 1, right = (int64_t)t->keys.last + 1;
  if (flip(s))
    return gap_in(s, t->right, right, high) || gap_in(s, t->left, low, left);
  return gap_in(s, t->left, low, left) || gap_in(s, t->right, right, high);
}

/* A place for N keys in the wholly free LOW..HIGH, at random, but aligned so that the space around
   it stays in large pieces. */
static uint32_t place_in_empty(int64_t low, int64_t high, uint32_t n, uint64_t *random)
{
  int64_t align = 1;
  while (align < (int64_t)n)
    align <<= 1;
  for (int64_t by = MAX(align, 256); by >= align; by = by > align ? align : 0) {
    int64_t begin = (low + by - 1) / by;
    int64_t end = (high - (int64_t)n + 1) / by;
    if (end >= begin)
      return (uint32_t)((begin + (int64_t)mal_random_below(random, (uint64_t)(end - begin) + 1)) *
                        by);
  }
  return (uint32_t)low;
}

bool mal_index_find_gap(const MalIndex *ix, const MalQuery *q, uint32_t n, uint64_t *random,
                        uint32_t *first, bool *beside)
{
  Search s = search_of(ix, q);
  s.n = n;
  s.random = random;
  if (!gap_in(&s, ix->root, 0, TOP))
    return false;
  bool busy_below = s.first > (int64_t)q->within.first;
  bool busy_above = s.last < (int64_t)q->within.last;
  *beside = busy_below || busy_above;
  if (!*beside)
    *first = place_in_empty(s.first, s.last, n, random);
  else if (busy_below && !(busy_above && flip(&s)))
    *first = (uint32_t)s.first;
  else
    *first = (uint32_t)(s.last - (int64_t)n + 1);
  return true;
}

static void longest_gap_in(Search *s, uint32_t id, int64_t low, int64_t high)
{
  int64_t a = low, b = high;
  uint64_t size = cut(s, &a, &b);
  if (size <= s->best)
    return;
  if (id == 0) {
    s->best = size;
    return;
  }
  const MalSegment *t = &s->ix->segments[id];
  uint64_t most = longest_gap_of(t, low, high);
  if (most <= s->best)
    return;
  if (is_inside(s, low, high)) {
    s->best = most;
    return;
  }
  longest_gap_in(s, t->left, low, (int64_t)t->keys.first - 1);
  longest_gap_in(s, t->right, (int64_t)t->keys.last + 1, high);
}

uint64_t mal_index_longest_gap(const MalIndex *ix, MalKeys within)
{
  Search s = search_of(ix, &(MalQuery){ .within = within });
  longest_gap_in(&s, ix->root, 0, TOP);
  return s.best;
}

/* ---- free over the window -------------------------------------------------------------------- */

static bool grow_run(Search *s, int64_t low, int64_t high)
{
  uint64_t size = cut(s, &low, &high);
  if (size == 0)
    return false;
  if (s->run == 0)
    s->run_first = low;
  s->run += size;
  s->best = MAX(s->best, s->run);
  return s->run >= s->n;
}

/* In order through gaps and segments; a subtree without any segment that could be free is one
   step. */
static bool run_in(Search *s, uint32_t id, int64_t low, int64_t high)
{
  int64_t a = low, b = high;
  if (cut(s, &a, &b) == 0)
    return false;
  if (id == 0)
    return grow_run(s, low, high);
  const MalSegment *t = &s->ix->segments[id];
  s->visited++;
  if (!s->in_pauses && !has_end_free(s, t) && is_inside(s, low, high) && t->gap < s->n) {
    if (grow_run(s, low, (int64_t)t->reach.first - 1))
      return true;
    s->best = MAX(s->best, t->gap);
    s->run = 0;
    return grow_run(s, (int64_t)t->reach.last + 1, high);
  }
  if (run_in(s, t->left, low, (int64_t)t->keys.first - 1))
    return true;
  if (!segment_is_free(s, t))
    s->run = 0;
  else if (grow_run(s, t->keys.first, t->keys.last))
    return true;
  return run_in(s, t->right, (int64_t)t->keys.last + 1, high);
}

/* As run_in, for runs that are free at the reference instant. */
static bool candidate_in(Search *s, uint32_t id, int64_t low, int64_t high)
{
  int64_t a = low, b = high;
  if (cut(s, &a, &b) == 0)
    return false;
  if (id == 0)
    return grow_run(s, low, high);
  const MalSegment *t = &s->ix->segments[id];
  uint64_t before = (uint64_t)((int64_t)t->reach.first - low);
  uint64_t lead = mal_run_of(t, t->lead);
  if (is_inside(s, low, high) && mal_run_of(t, t->run) < s->n && s->run + before + lead < s->n) {
    if (lead >= mal_keys_count(t->reach))
      return grow_run(s, low, high);
    s->run = 0;
    return grow_run(s, (int64_t)t->reach.last - (int64_t)mal_run_of(t, t->trail) + 1, high);
  }
  if (candidate_in(s, t->left, low, (int64_t)t->keys.first - 1))
    return true;
  if (t->busy_at)
    s->run = 0;
  else if (grow_run(s, t->keys.first, t->keys.last))
    return true;
  return candidate_in(s, t->right, (int64_t)t->keys.last + 1, high);
}

/* The first key from KEY on that is busy at the reference instant; beyond all keys where none
   is. */
static int64_t next_busy(const MalIndex *ix, uint32_t id, int64_t key)
{
  if (id == 0)
    return TOP + 1;
  const MalSegment *t = &ix->segments[id];
  if (t->reach.last < key || mal_run_of(t, t->lead) >= mal_keys_count(t->reach))
    return TOP + 1;
  int64_t found = next_busy(ix, t->left, key);
  if (found <= TOP)
    return found;
  if (t->busy_at && t->keys.last >= key) {
    g_assert(t->keys.first >= key); /* KEY begins a candidate: a gap, or at least a segment */
    return t->keys.first;
  }
  return next_busy(ix, t->right, key);
}

static bool walk_run(MalIndex *ix, Search *s)
{
  s->run = 0;
  s->visited = 0;
  bool found = run_in(s, ix->root, 0, TOP);
  ix->walked += s->visited;
  return found;
}

/* From candidate to candidate: what is free over the window is free at the reference instant. */
static bool run_by_candidates(MalIndex *ix, Search *s)
{
  int64_t top = s->q.within.last;
  for (int64_t from = s->q.within.first; from <= top;) {
    s->q.within = (MalKeys){ (uint32_t)from, (uint32_t)top };
    s->run = 0;
    if (!candidate_in(s, ix->root, 0, TOP))
      return false;
    int64_t end = MIN(next_busy(ix, ix->root, s->run_first) - 1, top);
    s->q.within = (MalKeys){ (uint32_t)s->run_first, (uint32_t)end };
    if (walk_run(ix, s))
      return true;
    from = end + 2;
  }
  return false;
}

/* An instant that the windows of the next requests will have in them as well: not too early, not
   too late. */
static MalTime centre_of(const MalQuery *q)
{
  if (q->from == MAL_BEGINNING)
    return q->until - 1;
  uint64_t length = (uint64_t)q->until - (uint64_t)q->from;
  return q->from + (MalTime)MIN(length / 2, 3600);
}

bool mal_index_find_run(MalIndex *ix, const MalQuery *q, uint32_t n, uint32_t *first)
{
  Search s = search_of(ix, q);
  MalKeys pause;
  s.n = n;
  s.q.ignore = 0;
  s.in_pauses = mal_pauses_find(ix, &s.q, &pause);
  bool found =
      q->from <= ix->at && ix->at < q->until ? run_by_candidates(ix, &s) : walk_run(ix, &s);
  if (!found && q->ignore != 0) {
    s.q = *q;
    found = walk_run(ix, &s);
  }
  if (ix->walked > ix->live && centre_of(q) != ix->at)
    mal_index_recentre(ix, centre_of(q));
  *first = (uint32_t)s.run_first;
  return found;
}

uint64_t mal_index_longest_run(const MalIndex *ix, const MalQuery *q)
{
  Search s = search_of(ix, q);
  MalKeys pause;
  s.n = UINT64_MAX;
  s.in_pauses = q->ignore != 0 || mal_pauses_find(ix, q, &pause);
  run_in(&s, ix->root, 0, TOP);
  return s.best;
}

static bool touches(const Search *s, MalKeys keys)
{
  return keys.first <= s->q.within.last && keys.last >= s->q.within.first;
}

static bool spot_at(Search *s, const MalSegment *t)
{
  if (!touches(s, t->keys) || !segment_is_free(s, t))
    return false;
  s->first = t->keys.first;
  s->last = t->keys.last;
  cut(s, &s->first, &s->last);
  return true;
}

static bool spot_in(Search *s, uint32_t id)
{
  if (id == 0)
    return false;
  const MalSegment *t = &s->ix->segments[id];
  if (!touches(s, t->reach) || !has_end_free(s, t))
    return false;
  if (flip(s))
    return spot_in(s, t->right) || spot_at(s, t) || spot_in(s, t->left);
  return spot_in(s, t->left) || spot_at(s, t) || spot_in(s, t->right);
}

bool mal_index_find_spot(const MalIndex *ix, const MalQuery *q, uint64_t *random, MalKeys *out)
{
  Search s = search_of(ix, q);
  s.random = random;
  s.q.ignore = 0;
  if (!spot_in(&s, ix->root)) {
    if (mal_pauses_find(ix, q, out))
      return true;
    if (q->ignore == 0)
      return false;
    s.q.ignore = q->ignore;
    if (!spot_in(&s, ix->root))
      return false;
  }
  *out = (MalKeys){ (uint32_t)s.first, (uint32_t)s.last };
  return true;
}

static bool all_free_in(const Search *s, uint32_t id)
{
  if (id == 0)
    return true;
  const MalSegment *t = &s->ix->segments[id];
  if (!touches(s, t->reach))
    return true;
  if (touches(s, t->keys) && !segment_is_free(s, t))
    return false;
  return all_free_in(s, t->left) && all_free_in(s, t->right);
}

bool mal_index_has(const MalIndex *ix, uint32_t key, uint32_t plane)
{
  uint32_t id = ix->root;
  while (id != 0 && (ix->segments[id].keys.first > key || ix->segments[id].keys.last < key))
    id = ix->segments[id].keys.first > key ? ix->segments[id].left : ix->segments[id].right;
  MalCursor cursor = { 0 };
  for (const MalBusy *b = id != 0 ? mal_index_next(ix, &ix->segments[id], &cursor) : NULL;
       b != NULL; b = mal_index_next(ix, &ix->segments[id], &cursor)) {
    if (b->plane == plane)
      return true;
  }
  return false;
}

bool mal_index_is_free(const MalIndex *ix, const MalQuery *q)
{
  Search s = search_of(ix, q);
  return all_free_in(&s, ix->root);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* The earliest instant from which this segment is free for the length of the window. With an owner
   to ignore. */
static MalTime segment_earliest(const Search *s, const MalSegment *t)
{
  uint64_t window = (uint64_t)s->q.until - (uint64_t)s->q.from;
  MalTime at = s->q.from;
  MalCursor cursor = { 0 };
  for (const MalBusy *b = mal_index_next(s->ix, t, &cursor); b != NULL;
       b = mal_index_next(s->ix, t, &cursor)) {
    bool ignored = b->owner == s->q.ignore && b->plane != MAL_PLANE_RESERVED;
    if (ignored || b->until <= at)
      continue;
    if (b->from > at && (uint64_t)b->from - (uint64_t)at >= window)
      return at;
    at = b->until;
  }
  return at;
}

/* The earliest end of all that is busy on one key. */
static void earliest_tail_in(Search *s, uint32_t id)
{
  if (id == 0)
    return;
  const MalSegment *t = &s->ix->segments[id];
  MalTime tail = mal_time_of_short(t->tail);
  if (tail >= s->earliest || !touches(s, t->reach))
    return;
  if (mal_short_is_exact(t->tail) && t->reach.first >= s->q.within.first &&
      t->reach.last <= s->q.within.last) {
    s->earliest = tail;
    return;
  }
  if (touches(s, t->keys))
    s->earliest = MIN(s->earliest, mal_index_tail(s->ix, t));
  earliest_tail_in(s, t->left);
  earliest_tail_in(s, t->right);
}

static void earliest_in_all(Search *s, uint32_t id)
{
  if (id == 0)
    return;
  const MalSegment *t = &s->ix->segments[id];
  if (!touches(s, t->reach) || s->earliest == s->q.from)
    return;
  if (touches(s, t->keys))
    s->earliest = MIN(s->earliest, segment_earliest(s, t));
  earliest_in_all(s, t->left);
  earliest_in_all(s, t->right);
}

MalTime mal_index_earliest(const MalIndex *ix, const MalQuery *q)
{
  Search s = search_of(ix, q);
  MalQuery now = *q;
  now.ignore = 0;
  MalKeys spot;
  if (mal_index_longest_gap(ix, q->within) > 0 || mal_index_find_spot(ix, &now, NULL, &spot))
    return q->from;
  if (q->ignore != 0) {
    earliest_in_all(&s, ix->root);
    return s.earliest;
  }
  s.earliest = mal_pauses_first(ix, q);
  earliest_tail_in(&s, ix->root);
  return s.earliest;
}

/* ---- walk ------------------------------------------------------------------------------------ */

static void walk_in(const Search *s, uint32_t id, MalIndexVisit visit, void *data)
{
  if (id == 0)
    return;
  const MalSegment *t = &s->ix->segments[id];
  if (!touches(s, t->reach))
    return;
  walk_in(s, t->left, visit, data);
  if (touches(s, t->keys)) {
    MalKeys keys = { MAX(t->keys.first, s->q.within.first), MIN(t->keys.last, s->q.within.last) };
    visit(s->ix, t, keys, data);
  }
  walk_in(s, t->right, visit, data);
}

void mal_index_walk(const MalIndex *ix, MalKeys within, MalIndexVisit visit, void *data)
{
  Search s = search_of(ix, &(MalQuery){ .within = within });
  walk_in(&s, ix->root, visit, data);
}
