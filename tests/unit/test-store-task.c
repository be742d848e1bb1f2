#define _GNU_SOURCE

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/runtime-glib.h"
#include "store-fixture.h"

TestSuite(store_task, .init = setup, .fini = teardown);

/* ---- backup and check ------------------------------------------------------------------------ */

Test(store_task, a_backup_is_a_store)
{
  g_auto(Done) result = { 0 };
  g_autofree char *file = in_dir("copy");
  g_autofree char *moved = in_dir(MAL_SQLITE_FILE);
  struct stat st;
  reopen(NULL);
  for (uint32_t n = 0; n < 300; n++)
    put(n, 2);
  fake_run(fake_rt);
  mal_store_backup(store, file, done, &result);
  cr_assert_eq(result.calls, 0);
  fake_run(fake_rt);
  cr_assert_eq(result.calls, 1);
  cr_assert_null(result.error, "%s", result.error);
  assert_says(result.detail, file);
  cr_assert_eq(stat(file, &st), 0);
  cr_assert_eq(st.st_mode & 0777, 0600);
  put(1000, 0);
  mal_store_close(g_steal_pointer(&store));
  cr_assert_eq(rename(file, moved), 0);
  reopen(NULL);
  g_auto(Loaded) loaded = load_from(NOW);
  cr_assert_eq(g_hash_table_size(loaded.lives), 300);
  expect_lease(&loaded, 299, 2);
}

Test(store_task, a_backup_overwrites_nothing)
{
  g_auto(Done) result = { 0 };
  g_autofree char *file = in_dir("copy");
  g_autofree char *content = NULL;
  cr_assert(g_file_set_contents(file, "precious", -1, NULL));
  reopen(NULL);
  mal_store_backup(store, file, done, &result);
  fake_run(fake_rt);
  assert_says(result.error, file);
  cr_assert(g_file_get_contents(file, &content, NULL, NULL));
  cr_assert_str_eq(content, "precious");
}

Test(store_task, a_backup_that_fails_leaves_nothing)
{
  g_auto(Done) result = { 0 };
  g_autofree char *file = in_dir("copy");
  FaultVfs *faults = fault_vfs_reset();
  reopen(FAULT_VFS);
  for (uint32_t n = 0; n < 300; n++)
    put(n, 2);
  fake_run(fake_rt);
  faults->room = 10000;
  mal_store_backup(store, file, done, &result);
  fake_run(fake_rt);
  assert_says(result.error, "the disk is full");
  cr_assert_not(g_file_test(file, G_FILE_TEST_EXISTS));
  cr_assert_eq(mal_store_state(store, NULL), MAL_STORE_OK);
  mal_store_backup(store, file, done, &result);
  mal_store_close(g_steal_pointer(&store));
  cr_assert_eq(result.calls, 2);
  assert_says(result.error, "the daemon stops");
}

Test(store_task, check_counts)
{
  g_auto(Done) result = { 0 };
  reopen(NULL);
  for (uint32_t n = 0; n < 30; n++)
    put(n, 2);
  drop(3);
  put_record("core", "a", "b", "c");
  fake_run(fake_rt);
  mal_store_check(store, done, &result);
  fake_run(fake_rt);
  cr_assert_null(result.error, "%s", result.error);
  assert_says(result.detail, "is sound: 29 live leases");
  assert_says(result.detail, "31 rows, 1 records in 1 rows");
}

/* Blocks A and B of two leases, in seconds from now; pad on both sides. */
Test(store_task, check_finds_leases_that_meet)
{
  static const struct {
    uint32_t first[2], count[2];
    int start[2], end[2], pad[2];
    bool meet;
  } cases[] = {
    { { 1, 1 }, { 1, 1 }, { 0, 0 }, { 9, 9 }, { 0, 0 }, true },
    { { 1, 1 }, { 1, 1 }, { 0, 9 }, { 9, 20 }, { 0, 0 }, false },
    { { 1, 1 }, { 1, 1 }, { 0, 9 }, { 9, 20 }, { 1, 0 }, true },
    { { 1, 1 }, { 1, 1 }, { 0, 9 }, { 9, 20 }, { 0, 1 }, true },
    { { 1, 2 }, { 1, 1 }, { 0, 0 }, { 9, 9 }, { 0, 0 }, false },
    { { 1, 5 }, { 5, 1 }, { 0, 0 }, { 9, 9 }, { 0, 0 }, true },
    { { 5, 1 }, { 9, 100 }, { 0, 0 }, { 9, 9 }, { 0, 0 }, true },
    { { 5, 1 }, { 9, 4 }, { 0, 0 }, { 9, 9 }, { 0, 0 }, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Done) result = { 0 };
    reopen(NULL);
    for (uint32_t n = 0; n < 40; n++)
      put(n + 50, 0);                 /* others, elsewhere */
    for (uint32_t n = 0; n < 2; n++) {
      Sample s;
      sample(&s, n, 0);
      s.blocks[0] =
          mal_block_make(mal_address_ipv4(0xef000000u + cases[i].first[n]), cases[i].count[n]);
      s.lease.n_blocks = 1;
      s.lease.start = NOW + 10 + cases[i].start[n];
      s.lease.end = NOW + 10 + cases[i].end[n];
      s.lease.pad = cases[i].pad[n];
      mal_store_put_lease(store, &s.lease);
    }
    fake_run(fake_rt);
    mal_store_check(store, done, &result);
    fake_run(fake_rt);
    cr_assert_eq(result.error != NULL, cases[i].meet, "case %zu: %s", i, result.error);
    if (cases[i].meet)
      assert_says(result.error, "1 blocks of addresses are leased twice");
  }
}

Test(store_task, check_finds_damage)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  g_autofree char *bytes = NULL;
  g_auto(Done) result = { 0 };
  size_t length = make_plenty(&bytes);
  reopen(NULL);
  int fd = open(path, O_WRONLY);
  cr_assert_eq(pwrite(fd, "\x55\xaa\x55\xaa\x55\xaa\x55\xaa\x55\xaa\x55", 11,
                      (off_t)(length / 4096 / 2 * 4096)),
               11);
  close(fd);
  mal_store_check(store, done, &result);
  fake_run(fake_rt);
  assert_says(result.error, path);
  assert_says(result.error, "damaged");
}

/* ---- with threads ---------------------------------------------------------------------------- */

static void count_told(MalTicket through, const GError *error, void *data)
{
  MalTicket *last = data;
  cr_assert_null(error);
  cr_assert_gt(through, *last);
  *last = through;
}

/* Writing goes on while a backup and checks read; closing ends what is under way, and every DONE is
   called. */
Test(store_task, threads)
{
  g_autoptr(GMainContext) context = g_main_context_new();
  g_autoptr(GError) error = NULL;
  g_autofree char *file = in_dir("copy");
  g_auto(Done) backup = { 0 };
  g_auto(Done) check = { 0 };
  MalRuntime *rt = mal_runtime_glib_new(context);
  MalTicket last = 0;
  MalTicket ticket = 0;
  store = mal_store_sqlite_open(rt, dir, NULL, &error);
  cr_assert_not_null(store);
  cr_assert(mal_store_load(store, NOW, take_lease, NULL, NULL, &error));
  mal_store_sqlite_tune(store, 100, 50);
  mal_store_listen(store, count_told, &last);
  for (uint32_t round = 1; round <= 200; round++) {
    for (uint32_t n = 0; n < 20; n++)
      ticket = put(n + round % 3 * 20, round);
    if (round % 50 == 1)
      mal_store_check(store, done, &check);
    if (round == 20)
      mal_store_backup(store, file, done, &backup);
    g_main_context_iteration(context, round % 7 == 0);
    mal_store_counters(store);
  }
  while (last < ticket || !backup.calls)
    g_main_context_iteration(context, TRUE);
  cr_assert_null(backup.error, "%s", backup.error);
  mal_store_check(store, done, &check);
  put(1, 1);
  mal_store_close(g_steal_pointer(&store));
  cr_assert_eq(check.calls, 5);
  cr_assert_eq(last, ticket + 1);
  mal_runtime_glib_free(rt);
}
