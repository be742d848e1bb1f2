/* core/table.h: nothing is lost or found twice while the table moves; no addition moves much. */
#include "core/table.h"

#include <criterion/criterion.h>

typedef struct {
  uint64_t hash;
  uint64_t key;               /* 0: free */
} Cell;

static bool taken(const void *cell)
{
  return ((const Cell *)cell)->key != 0;
}

static uint64_t hash_of_cell(const void *cell)
{
  return ((const Cell *)cell)->hash;
}

static bool same(const void *cell, const void *key, const void *data)
{
  (void)data;
  return ((const Cell *)cell)->key == *(const uint64_t *)key;
}

static const MalTableKind kind = { sizeof(Cell), taken, hash_of_cell, same };

typedef uint64_t (*HashFunc)(uint64_t key);

static uint64_t spread(uint64_t key)
{
  key *= UINT64_C(0x9e3779b97f4a7c15);
  return key ^ key >> 29;
}

static uint64_t at_the_end(uint64_t key)
{
  return UINT64_MAX - key % 3;
}

static uint64_t few(uint64_t key)
{
  return spread(key % 7);
}

static const struct {
  const char *name;
  HashFunc hash;
  uint64_t keys;
  int steps;
} hashes[] = {
  { "spread", spread, 4000, 60000 },
  { "one chain, around the end", at_the_end, 120, 6000 },
  { "seven chains", few, 300, 12000 },
};

static Cell *find(const MalTable *t, HashFunc hash, uint64_t key)
{
  return mal_table_find(t, &kind, hash(key), &key, NULL);
}

static size_t in_place(MalTablePlace place)
{
  size_t n = 0;
  for (size_t i = 0; place.cells && i < place.size; i++)
    n += taken(mal_table_cell(&kind, place, i));
  return n;
}

static void put(MalTable *t, HashFunc hash, uint64_t key)
{
  Cell *cell = mal_table_add(t, &kind, hash(key));
  cr_assert_not(taken(cell));
  *cell = (Cell){ hash(key), key };
}

Test(table, is_the_set_that_it_should_be_while_it_moves)
{
  for (size_t k = 0; k < G_N_ELEMENTS(hashes); k++) {
    g_autoptr(GHashTable) model = g_hash_table_new(NULL, NULL);
    GRand *rand = g_rand_new_with_seed(7);
    bool moving = false;
    MalTable t;
    mal_table_init(&t, &kind, 8);
    for (int i = 0; i < hashes[k].steps; i++) {
      /* Grows at first, shrinks at last. */
      bool more = g_rand_int_range(rand, 0, hashes[k].steps) > i;
      uint64_t key = 1 + (uint64_t)g_rand_int_range(rand, 0, (int)hashes[k].keys);
      Cell *cell = find(&t, hashes[k].hash, key);
      cr_assert_eq(cell != NULL, g_hash_table_contains(model, GSIZE_TO_POINTER(key)), "%s",
                   hashes[k].name);
      if (cell && !more) {
        mal_table_remove(&t, &kind, cell);
        g_hash_table_remove(model, GSIZE_TO_POINTER(key));
        cr_assert_null(find(&t, hashes[k].hash, key), "%s", hashes[k].name);
      } else if (!cell && more) {
        put(&t, hashes[k].hash, key);
        g_hash_table_add(model, GSIZE_TO_POINTER(key));
      }
      moving = moving || t.before.cells;
      cr_assert_eq(t.count, g_hash_table_size(model));
      if (i % 97 == 0)
        cr_assert_eq(in_place(t.now) + in_place(t.before), t.count, "%s", hashes[k].name);
    }
    for (uint64_t key = 1; key <= hashes[k].keys; key++)
      cr_assert_eq(find(&t, hashes[k].hash, key) != NULL,
                   g_hash_table_contains(model, GSIZE_TO_POINTER(key)), "%s", hashes[k].name);
    cr_assert(moving || hashes[k].hash != spread, "it never moved");
    mal_table_free(&t);
    g_rand_free(rand);
  }
}

Test(table, no_addition_moves_much_and_each_move_ends_before_the_next)
{
  size_t most = 0, moves = 0;
  MalTable t;
  mal_table_init(&t, &kind, 320);
  for (uint64_t key = 1; key <= 300000; key++) {
    size_t left = t.before.cells ? t.left : t.now.size;
    bool began = !t.before.cells;
    put(&t, spread, key);
    if (!t.before.cells && began)
      continue;
    moves += began;
    most = MAX(most, left - t.left);
  }
  cr_assert_gt(moves, 20);
  cr_assert_lt(most, 2000, "%zu cells at once", most);
  cr_assert_eq(t.count, 300000);
  mal_table_free(&t);
}

/* Each page that is touched for the first time costs microseconds. */
Test(table, a_larger_place_is_filled_from_one_end_to_the_other)
{
  enum { PAGE = 4096 / sizeof(Cell), PAGES = 256 };
  size_t moves = 0;
  MalTable t;
  mal_table_init(&t, &kind, 320);
  for (uint64_t key = 1; moves < 8; key++) {
    bool began = !t.before.cells;
    put(&t, spread, key);
    if (!t.before.cells || t.before.size < PAGE * PAGES)
      continue;
    moves += began;
    /* What was passed may have gone to as many pages, and a quarter more, and the chain that the
       place begins with to its first ones. */
    size_t passed = t.before.size - t.left, touched = 0;
    for (size_t i = 0; i < t.now.size; i += PAGE)
      for (size_t at = i; at < MIN(i + PAGE, t.now.size); at++)
        if (taken(mal_table_cell(&kind, t.now, at))) {
          touched++;
          break;
        }
    cr_assert_leq(touched, passed * 5 / 4 / PAGE + 3);
    for (int skip = 0; skip < 997 && t.before.cells && t.left > 20000; skip++)
      put(&t, spread, ++key);
  }
  mal_table_free(&t);
}

Test(table, is_empty_when_cleared_in_mid_move)
{
  MalTable t;
  uint64_t key = 0;
  mal_table_init(&t, &kind, 320);
  while (!t.before.cells || t.left == 0)
    put(&t, spread, ++key);
  mal_table_clear(&t, &kind);
  cr_assert_eq(t.count, 0);
  for (uint64_t k = 1; k <= key; k++)
    cr_assert_null(find(&t, spread, k));
  put(&t, spread, 1);
  cr_assert_not_null(find(&t, spread, 1));
  mal_table_free(&t);
}
