/* The pauses: the times between two busy periods of one segment, ordered by when they begin. A
   treap as the tree of segments is, which knows of each subtree its latest end, its greatest
   length, and the keys it reaches over. So a pause that covers a window, or the first one of a
   length, is found without looking at all of them. */
#include "allocator-index.h"

static uint64_t length_of(const MalPause *p)
{
  return (uint64_t)p->until - (uint64_t)p->from;
}

static void pull(MalIndex *ix, uint32_t id)
{
  MalPause *p = &ix->pauses[id];
  p->latest = p->until;
  p->longest = length_of(p);
  p->reach = p->keys;
  const uint32_t children[] = { p->left, p->right };
  for (size_t i = 0; i < G_N_ELEMENTS(children); i++) {
    if (children[i] == 0)
      continue;
    const MalPause *c = &ix->pauses[children[i]];
    p->latest = MAX(p->latest, c->latest);
    p->longest = MAX(p->longest, c->longest);
    p->reach.first = MIN(p->reach.first, c->reach.first);
    p->reach.last = MAX(p->reach.last, c->reach.last);
  }
}

/* One segment has at most one pause that begins at an instant, so this tells all of them apart. */
static bool is_before(const MalPause *p, MalTime from, uint32_t key)
{
  return p->from < from || (p->from == from && p->keys.first < key);
}

static uint32_t join(MalIndex *ix, uint32_t a, uint32_t b)
{
  if (a == 0 || b == 0)
    return a | b;
  if (mal_index_rank(ix, a) > mal_index_rank(ix, b)) {
    ix->pauses[a].right = join(ix, ix->pauses[a].right, b);
    pull(ix, a);
    return a;
  }
  ix->pauses[b].left = join(ix, a, ix->pauses[b].left);
  pull(ix, b);
  return b;
}

static void split(MalIndex *ix, uint32_t id, MalTime from, uint32_t key, uint32_t *low,
                  uint32_t *high)
{
  if (id == 0) {
    *low = *high = 0;
    return;
  }
  MalPause *p = &ix->pauses[id];
  uint32_t inner;
  if (is_before(p, from, key)) {
    split(ix, p->right, from, key, &inner, high);
    p->right = inner;
    *low = id;
  } else {
    split(ix, p->left, from, key, low, &inner);
    p->left = inner;
    *high = id;
  }
  pull(ix, id);
}

static uint32_t new_pause(MalIndex *ix)
{
  uint32_t id = ix->free_pauses;
  ix->live_pauses++;
  if (id != 0) {
    ix->free_pauses = ix->pauses[id].left;
    return id;
  }
  if (ix->n_pauses >= ix->max_pauses) {
    ix->max_pauses = mal_index_grown(ix->max_pauses);
    ix->pauses = g_realloc_n(ix->pauses, ix->max_pauses, sizeof(MalPause));
  }
  return ix->n_pauses++;
}

static void add(MalIndex *ix, MalTime from, MalTime until, MalKeys keys)
{
  uint32_t id = new_pause(ix), low, high;
  ix->pauses[id] = (MalPause){ .from = from, .until = until, .keys = keys };
  pull(ix, id);
  split(ix, ix->pause_root, from, keys.first, &low, &high);
  ix->pause_root = join(ix, join(ix, low, id), high);
}

static uint32_t without(MalIndex *ix, uint32_t id, MalTime from, uint32_t key)
{
  g_assert(id != 0);
  MalPause *p = &ix->pauses[id];
  if (p->from == from && p->keys.first == key) {
    uint32_t rest = join(ix, p->left, p->right);
    p->left = ix->free_pauses;
    ix->free_pauses = id;
    ix->live_pauses--;
    return rest;
  }
  if (is_before(p, from, key))
    p->right = without(ix, p->right, from, key);
  else
    p->left = without(ix, p->left, from, key);
  pull(ix, id);
  return id;
}

void mal_pauses_note(MalIndex *ix, const MalSegment *s, bool present)
{
  if (!s->many)
    return;
  MalCursor cursor = { 0 };
  const MalBusy *b = mal_index_next(ix, s, &cursor);
  MalTime tail = b->until;
  for (b = mal_index_next(ix, s, &cursor); b != NULL;
       b = mal_index_next(ix, s, &cursor)) {
    if (b->from > tail && present)
      add(ix, tail, b->from, s->keys);
    else if (b->from > tail)
      ix->pause_root = without(ix, ix->pause_root, tail, s->keys.first);
    tail = MAX(tail, b->until);
  }
}

/* ---- questions ------------------------------------------------------------------------------- */

static bool reaches(MalKeys keys, MalKeys within)
{
  return keys.first <= within.last && keys.last >= within.first;
}

static uint32_t covering(const MalIndex *ix, uint32_t id, const MalQuery *q)
{
  if (id == 0)
    return 0;
  const MalPause *p = &ix->pauses[id];
  if (p->latest < q->until || !reaches(p->reach, q->within))
    return 0;
  uint32_t found = covering(ix, p->left, q);
  if (found != 0 || p->from > q->from)
    return found;
  if (p->until >= q->until && reaches(p->keys, q->within))
    return id;
  return covering(ix, p->right, q);
}

bool mal_pauses_find(const MalIndex *ix, const MalQuery *q, MalKeys *out)
{
  uint32_t id = covering(ix, ix->pause_root, q);
  if (id == 0)
    return false;
  MalKeys keys = ix->pauses[id].keys;
  *out = (MalKeys){ MAX(keys.first, q->within.first), MIN(keys.last, q->within.last) };
  return true;
}

static MalTime first_long(const MalIndex *ix, uint32_t id, const MalQuery *q, uint64_t length)
{
  if (id == 0)
    return MAL_FOREVER;
  const MalPause *p = &ix->pauses[id];
  if (p->longest < length || !reaches(p->reach, q->within))
    return MAL_FOREVER;
  if (p->from >= q->from) {
    MalTime found = first_long(ix, p->left, q, length);
    if (found != MAL_FOREVER)
      return found;
    if (length_of(p) >= length && reaches(p->keys, q->within))
      return p->from;
  }
  return first_long(ix, p->right, q, length);
}

MalTime mal_pauses_first(const MalIndex *ix, const MalQuery *q)
{
  return first_long(ix, ix->pause_root, q, (uint64_t)q->until - (uint64_t)q->from);
}

/* ---- check ----------------------------------------------------------------------------------- */

static uint32_t check_subtree(const MalIndex *ix, uint32_t id, const MalPause **before)
{
  if (id == 0)
    return 0;
  const MalPause *p = &ix->pauses[id];
  uint32_t n = check_subtree(ix, p->left, before);
  g_assert(p->from < p->until);
  g_assert(*before == NULL || is_before(*before, p->from, p->keys.first));
  *before = p;
  n += 1 + check_subtree(ix, p->right, before);
  MalPause was = *p;
  pull((MalIndex *)ix, id);
  g_assert(was.latest == p->latest && was.longest == p->longest);
  g_assert(was.reach.first == p->reach.first && was.reach.last == p->reach.last);
  return n;
}

uint32_t mal_pauses_check(const MalIndex *ix)
{
  const MalPause *before = NULL;
  return check_subtree(ix, ix->pause_root, &before);
}
