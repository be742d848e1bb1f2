/* Files that are replaced at once, or not at all. */
#define _XOPEN_SOURCE 700

#include "core/file.h"

#include <criterion/criterion.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *dir, *path;

static void set_up(void)
{
  dir = g_dir_make_tmp("mallocd-file-XXXXXX", NULL);
  path = g_build_filename(dir, "f.conf", NULL);
  umask(077);
}

static void tear_down(void)
{
  g_unlink(path);
  cr_expect_eq(g_rmdir(dir), 0, "something is left");
  g_free(path);
  g_free(dir);
}

TestSuite(file, .init = set_up, .fini = tear_down);

static void must_hold(const char *text)
{
  g_autofree char *found = NULL;
  cr_assert(g_file_get_contents(path, &found, NULL, NULL));
  cr_expect_str_eq(found, text);
}

Test(file, is_replaced)
{
  g_autoptr(GError) error = NULL;
  struct stat before, after;
  cr_assert(mal_file_replace(path, "one", 3, 0644, &error), "%s", error ? error->message : "");
  cr_assert_eq(stat(path, &before), 0);
  cr_expect_eq(before.st_mode & 07777, 0644, "whatever the umask");
  must_hold("one");
  cr_assert(mal_file_replace(path, "", 0, 0600, NULL));
  cr_assert_eq(stat(path, &after), 0);
  cr_expect_eq(after.st_mode & 07777, 0600);
  cr_expect_neq(before.st_ino, after.st_ino, "another file: readers of the old one have it whole");
  must_hold("");
}

Test(file, failures_leave_the_old_one)
{
  g_autofree char *fresh = g_build_filename(dir, ".f.conf.new", NULL);
  g_autoptr(GError) error = NULL;
  cr_assert(mal_file_replace(path, "old", 3, 0644, NULL));
  cr_assert_eq(symlink("f.conf", fresh), 0);
  cr_expect_not(mal_file_replace(path, "new", 3, 0644, &error), "through somebody's link");
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_STORE));
  cr_expect(strstr(error->message, path), "%s", error->message);
  must_hold("old");
  cr_expect(mal_file_replace(path, "new", 3, 0644, NULL), "the link is gone");
  must_hold("new");
  cr_expect_not(mal_file_replace("/nonexistent/f", "x", 1, 0644, NULL));
  cr_expect_not(mal_file_replace(dir, "x", 1, 0644, NULL));
}
