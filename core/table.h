/* A hash table that grows without a pause: open addressing with linear probing, cells in the order
   of their hashes, and while it moves to a larger place each cell that is added takes some along.
   A million cells moved at once would stop the daemon for tens of milliseconds. Not installed.

   The larger place is filled from one end to the other: until its turn has come, a cell is added
   where its like still are. Memory that is touched for the first time costs microseconds a page,
   and cells scattered all over a fresh place would touch all its pages within a few additions.

   A cell is of fixed size and a cell of zeros is free. The functions are inline so that a KIND,
   being constant, costs nothing. Pointers to cells hold until the next mal_table_add or
   mal_table_remove. */
#ifndef MAL_TABLE_H
#define MAL_TABLE_H

#include "api.h"

#include <string.h>

typedef struct {
  size_t octets;                          /* of a cell */
  bool (*taken)(const void *cell);
  uint64_t (*hash)(const void *cell);
  bool (*same)(const void *cell, const void *key, const void *data);
} MalTableKind;

typedef struct {
  uint8_t *cells;                         /* NULL: none */
  size_t size;
} MalTablePlace;

typedef struct {
  MalTablePlace now, before;              /* BEFORE is left bit by bit */
  size_t next, left;                      /* of BEFORE: what to look at next, and how many */
  size_t first;                           /* of BEFORE: where that began, at a free cell */
  size_t count;                           /* in both */
} MalTable;

/* An addition looks at these many of BEFORE, or more: what is added meanwhile makes what is left of
   it fuller by a sixteenth. */
enum { MAL_TABLE_STEP = 16 };

#define MAL_TABLE_INLINE static inline __attribute__((always_inline, unused))

MAL_TABLE_INLINE void *mal_table_cell(const MalTableKind *kind, MalTablePlace place, size_t i)
{
  return place.cells + i * kind->octets;
}

MAL_TABLE_INLINE size_t mal_table_home(MalTablePlace place, uint64_t hash)
{
  __extension__ typedef unsigned __int128 Wide;
  return (size_t)((Wide)hash * place.size >> 64);
}

MAL_TABLE_INLINE size_t mal_table_after(MalTablePlace place, size_t i)
{
  return i + 1 == place.size ? 0 : i + 1;
}

MAL_TABLE_INLINE size_t mal_table_distance(MalTablePlace place, size_t from, size_t to)
{
  return to >= from ? to - from : to + place.size - from;
}

/* SIZE: at least 8. */
MAL_TABLE_INLINE void mal_table_init(MalTable *t, const MalTableKind *kind, size_t size)
{
  *t = (MalTable){ .now = { g_malloc0_n(size, kind->octets), size } };
}

MAL_TABLE_INLINE void mal_table_free(MalTable *t)
{
  g_free(t->now.cells);
  g_free(t->before.cells);
  *t = (MalTable){ 0 };
}

/* Keeps the room. */
MAL_TABLE_INLINE void mal_table_clear(MalTable *t, const MalTableKind *kind)
{
  if (t->count > 0)
    memset(t->now.cells, 0, t->now.size * kind->octets);
  g_clear_pointer(&t->before.cells, g_free);
  t->count = 0;
}

MAL_TABLE_INLINE size_t mal_table_octets(const MalTable *t, const MalTableKind *kind)
{
  return (t->now.size + (t->before.cells ? t->before.size : 0)) * kind->octets;
}

/* Where a cell of that hash is, or is to be: all whose home in BEFORE was passed have moved. */
MAL_TABLE_INLINE MalTablePlace mal_table_place(const MalTable *t, uint64_t hash)
{
  if (G_LIKELY(!t->before.cells))
    return t->now;
  size_t distance = mal_table_distance(t->before, t->first, mal_table_home(t->before, hash));
  return distance < t->before.size - t->left ? t->now : t->before;
}

MAL_TABLE_INLINE void mal_table_prefetch(const MalTable *t, const MalTableKind *kind, uint64_t hash)
{
  MalTablePlace place = mal_table_place(t, hash);
  __builtin_prefetch(mal_table_cell(kind, place, mal_table_home(place, hash)), 1);
}

/* The cell of KEY, whose hash is HASH; NULL: none. DATA is for the kind's SAME. */
MAL_TABLE_INLINE void *mal_table_find(const MalTable *t, const MalTableKind *kind, uint64_t hash,
                                      const void *key, const void *data)
{
  MalTablePlace place = mal_table_place(t, hash);
  for (size_t i = mal_table_home(place, hash);; i = mal_table_after(place, i)) {
    void *cell = mal_table_cell(kind, place, i);
    if (!kind->taken(cell))
      return NULL;
    if (kind->same(cell, key, data))
      return cell;
  }
}

MAL_TABLE_INLINE size_t mal_table_gap(MalTablePlace place, const MalTableKind *kind, size_t i)
{
  while (kind->taken(mal_table_cell(kind, place, i)))
    i = mal_table_after(place, i);
  return i;
}

/* Whole chains, up to a free cell, also where the last one has grown over the first cell. */
MAL_TABLE_INLINE void mal_table_move(MalTable *t, const MalTableKind *kind, size_t step)
{
  bool between = true;
  for (size_t seen = 0; (seen < step && t->left > 0) || !between; seen++) {
    void *cell = mal_table_cell(kind, t->before, t->next);
    between = !kind->taken(cell);
    if (!between) {
      size_t to = mal_table_gap(t->now, kind, mal_table_home(t->now, kind->hash(cell)));
      memcpy(mal_table_cell(kind, t->now, to), cell, kind->octets);
      memset(cell, 0, kind->octets);
    }
    t->next = mal_table_after(t->before, t->next);
    t->left -= t->left > 0;
  }
  if (t->left == 0)
    g_clear_pointer(&t->before.cells, g_free);
}

MAL_TABLE_INLINE void mal_table_grow(MalTable *t, const MalTableKind *kind)
{
  if (t->before.cells)
    mal_table_move(t, kind, t->left);
  size_t size = t->now.size + t->now.size / 4;
  t->before = t->now;
  t->now = (MalTablePlace){ g_malloc0_n(size, kind->octets), size };
  t->first = t->next = mal_table_gap(t->before, kind, 0);
  t->left = t->before.size;
}

/* A free cell for a key that is not there, to be filled at once. Seven eighths may be taken. */
MAL_TABLE_INLINE void *mal_table_add(MalTable *t, const MalTableKind *kind, uint64_t hash)
{
  if ((t->count + 1) * 8 > t->now.size * 7)
    mal_table_grow(t, kind);
  if (G_UNLIKELY(t->before.cells != NULL))
    mal_table_move(t, kind, MAL_TABLE_STEP);
  t->count++;
  MalTablePlace place = mal_table_place(t, hash);
  return mal_table_cell(kind, place, mal_table_gap(place, kind, mal_table_home(place, hash)));
}

/* Later members of the chain move up where they may, so that no tombstones pile up. */
MAL_TABLE_INLINE void mal_table_remove(MalTable *t, const MalTableKind *kind, void *cell)
{
  const uint8_t *at = cell, *end = t->now.cells + t->now.size * kind->octets;
  MalTablePlace place = at >= t->now.cells && at < end ? t->now : t->before;
  size_t gap = (size_t)(at - place.cells) / kind->octets;
  for (size_t i = mal_table_after(place, gap);; i = mal_table_after(place, i)) {
    void *member = mal_table_cell(kind, place, i);
    if (!kind->taken(member))
      break;
    size_t home = mal_table_home(place, kind->hash(member));
    if (mal_table_distance(place, home, i) >= mal_table_distance(place, gap, i)) {
      memcpy(mal_table_cell(kind, place, gap), member, kind->octets);
      gap = i;
    }
  }
  memset(mal_table_cell(kind, place, gap), 0, kind->octets);
  t->count--;
}

#endif
