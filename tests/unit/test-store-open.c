#define _GNU_SOURCE

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store-fixture.h"

TestSuite(store_open, .init = setup, .fini = teardown);

/* ---- opening --------------------------------------------------------------------------------- */

Test(store_open, everything_is_private)
{
  static const char *const names[] = { MAL_SQLITE_FILE, MAL_SQLITE_FILE "-wal", MAL_SQLITE_LOCK };
  struct stat st;
  rmdir(dir);                         /* the store makes it */
  umask(0);
  reopen(NULL);
  put(1, 0);
  fake_run(fake_rt);
  cr_assert_eq(stat(dir, &st), 0);
  cr_assert_eq(st.st_mode & 0777, 0700);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = in_dir(names[i]);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600, "%s", names[i]);
  }
}

Test(store_open, a_second_daemon_is_told_who_holds_the_directory)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *pid = g_strdup_printf("process %ld)", (long)getpid());
  reopen(NULL);
  cr_assert_null(mal_store_sqlite_open(fake_runtime(fake_rt), dir, NULL, &error));
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_STORE));
  assert_says(error->message, pid);
  assert_says(error->message, dir);
}

Test(store_open, a_lock_file_with_anything_inside)
{
  static const struct { const char *text, *says; } cases[] = {
    { "", "process unknown)" },
    { "\x1b[31mred", "process unknown)" },
    { "99999999999999999999999999999999", "process 999999999999999)" },
    { "12 rm", "process 12)" },
  };
  g_autofree char *path = in_dir(MAL_SQLITE_LOCK);
  reopen(NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    int fd = open(path, O_WRONLY | O_TRUNC);
    cr_assert_eq(write(fd, cases[i].text, strlen(cases[i].text)), (ssize_t)strlen(cases[i].text));
    close(fd);
    cr_assert_null(mal_store_sqlite_open(fake_runtime(fake_rt), dir, NULL, &error));
    assert_says(error->message, cases[i].says);
  }
}

Test(store_open, a_newer_schema_is_refused)
{
  reopen(NULL);
  mal_store_close(g_steal_pointer(&store));
  run_sql("PRAGMA user_version = 77");
  g_autofree char *message = refusal();
  assert_says(message, "version 77");
  assert_says(message, "up to 1");
  assert_says(message, "upgrade mallocd or restore an older backup");
}

Test(store_open, a_foreign_database_is_refused)
{
  run_sql("CREATE TABLE songs (title TEXT)");
  g_autofree char *message = refusal();
  assert_says(message, MAL_SQLITE_FILE);
  assert_says(message, "another program's database");
  assert_says(message, "move it aside");
  run_sql("PRAGMA application_id = 1234; PRAGMA user_version = 1");
  g_autofree char *other = refusal();
  assert_says(other, "another program's database (application 000004d2)");
}

Test(store_open, garbage_is_refused)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  g_autofree char *garbage = g_malloc(20000);
  for (size_t i = 0; i < 20000; i++)
    garbage[i] = (char)mal_runtime_random_below(fake_runtime(fake_rt), 256);
  cr_assert(g_file_set_contents(path, garbage, 20000, NULL));
  g_autofree char *message = refusal();
  assert_says(message, path);
  assert_says(message, "move it aside together with its -wal");
}

Test(store_open, a_truncated_file_is_refused)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  g_autofree char *bytes = NULL;
  size_t length = make_plenty(&bytes);
  static const double cuts[] = { 0.01, 0.3, 0.5, 0.99 };
  for (size_t i = 0; i < G_N_ELEMENTS(cuts); i++) {
    cr_assert(g_file_set_contents(path, bytes, (gssize)((double)length * cuts[i]), NULL));
    g_autofree char *message = refusal();
    assert_says(message, path);
    assert_says(message, "restore a backup");
  }
}

/* Whatever is on the disk: an error or a load, never a crash. */
Test(store_open, flipped_octets_never_crash)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  g_autofree char *bytes = NULL;
  size_t length = make_plenty(&bytes);
  MalRuntime *rt = fake_runtime(fake_rt);
  unsigned refused = 0;
  for (int round = 0; round < 150; round++) {
    g_autofree char *copy = g_memdup2(bytes, length);
    g_autoptr(GError) error = NULL;
    for (int i = 0; i < 1 + round / 4; i++)
      copy[mal_runtime_random_below(rt, (uint32_t)length)] =
          (char)mal_runtime_random_below(rt, 256);
    cr_assert(g_file_set_contents(path, copy, (gssize)length, NULL));
    store = mal_store_sqlite_open(rt, dir, NULL, &error);
    if (!store || !mal_store_load(store, NOW, take_lease, NULL, NULL, &error)) {
      cr_assert_not_null(error);
      refused++;
    }
    mal_store_close(g_steal_pointer(&store));
  }
  cr_assert_gt(refused, 10);
}

Test(store_open, hostile_rows_are_named)
{
  static const struct { const char *set, *says; } cases[] = {
    { "id = 'text'", "column id" },
    { "id = x''", "column id" },
    { "id = zeroblob(256)", "column id" },
    { "op = 'frob'", "column op" },
    { "op = 7", "column op" },
    { "scope = NULL", "column scope" },
    { "scope = x'ff'", "column scope" },
    { "scope = CAST(x'ff41' AS TEXT)", "column scope" },
    { "scope = 'a' || char(0) || 'b'", "column scope" },
    { "blocks = ''", "column blocks" },
    { "blocks = '239.255.0.1,239.255.0.1'", "column blocks" },
    { "blocks = '239.255.0.9,239.255.0.1'", "column blocks" },
    { "blocks = '239.255.0.1-239.255.0.4,239.255.0.5'", "column blocks" },
    { "blocks = '239.255.0.1,ff05::1'", "column blocks" },
    { "blocks = '192.0.2.1'", "column blocks" },
    { "blocks = '239.255.0.5-239.255.0.1'", "column blocks" },
    { "blocks = zeroblob(3000000)", "column blocks" },
    { "starts = 'soon'", "column starts" },
    { "ends = 1.5e300", "column ends" },
    { "ends = starts - 1", "ends before it starts" },
    { "pad = -1", "column pad" },
    { "granted = NULL", "column granted" },
    { "client = 'localhost'", "column client" },
    { "client = 7", "column client" },
    { "origin = x'00'", "column origin" },
    { "flags = -1", "column flags" },
    { "flags = 4294967296", "column flags" },
    { "seq = -5", "bounds" },
    { "seq = 9223372036854775807", "bounds" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    reopen(NULL);
    put(1, 0);
    mal_store_close(g_steal_pointer(&store));
    g_autofree char *sql = g_strdup_printf("UPDATE lease_log SET %s", cases[i].set);
    run_sql(sql);
    g_autofree char *message = refusal();
    assert_says(message, cases[i].says);
    assert_says(message, "restore a backup");
    if (!strstr(cases[i].set, "seq"))
      assert_says(message, "table lease_log, row 1:");
    run_sql("DELETE FROM lease_log");
  }
  run_sql("INSERT INTO record_log VALUES (4, 'core', 'reserve', 'text', 'put', 0, x'00')");
  g_autofree char *message = refusal();
  assert_says(message, "table record_log, row 4: column key");
}

Test(store_open, missing_tables_and_triggers_do_no_harm)
{
  reopen(NULL);
  mal_store_close(g_steal_pointer(&store));
  run_sql("CREATE TRIGGER evil AFTER INSERT ON lease_log BEGIN DELETE FROM lease_log; END");
  reopen(NULL);
  put(1, 0);
  reopen(NULL);
  g_auto(Loaded) loaded = load_from(NOW);
  cr_assert_eq(g_hash_table_size(loaded.lives), 1);
  mal_store_close(g_steal_pointer(&store));
  run_sql("DROP VIEW leases; DROP TABLE lease_log");
  g_autofree char *message = refusal();
  assert_says(message, "hasn't the tables of mallocd");
}

/* Root may write everywhere, so that it has to be somebody else for a while. */
Test(store_open, a_directory_that_cannot_be_written)
{
  bool root = geteuid() == 0;
  cr_assert_eq(chmod(dir, 0500), 0);
  if (root) {
    cr_assert_eq(chown(dir, 65534, 65534), 0);
    cr_assert_eq(seteuid(65534), 0);
  }
  g_autofree char *message = refusal();
  if (root)
    cr_assert_eq(seteuid(0), 0);
  assert_says(message, dir);
  assert_says(message, "Permission denied");
  cr_assert_null(strstr(message, "belongs to"), "it is ours: %s", message);
  chmod(dir, 0700);
}

Test(store_open, a_directory_of_somebody_else_is_said_to_be)
{
  static const mode_t modes[] = { 0700, 0755 };
  if (geteuid() != 0)
    cr_skip_test("only root can have it be somebody else's");
  for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
    cr_assert_eq(chmod(dir, modes[i]), 0);
    cr_assert_eq(seteuid(65534), 0);
    g_autofree char *message = refusal();
    cr_assert_eq(seteuid(0), 0);
    assert_says(message, "Permission denied");
    assert_says(message, " belongs to root, and this mallocd runs as ");
    assert_says(message, ": run it as root, ");
  }
}

Test(store_open, a_directory_that_cannot_be_made)
{
  g_autofree char *path = in_dir("file");
  g_autofree char *below = g_build_filename(path, "state", NULL);
  g_autoptr(GError) error = NULL;
  cr_assert(g_file_set_contents(path, "", 0, NULL));
  cr_assert_null(mal_store_sqlite_open(fake_runtime(fake_rt), below, NULL, &error));
  assert_says(error->message, below);
}
