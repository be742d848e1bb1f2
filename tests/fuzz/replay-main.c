/* Stands in for libFuzzer: runs the target once for each file of its corpus, so that corpora are
   part of make check. Arguments name files or folders; without any, the corpus is found by the
   program's name. An empty input is always tried first. */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static void replay_file(const char *path)
{
  g_autofree char *content = NULL;
  g_autofree uint8_t *exact = NULL;
  gsize length;
  g_autoptr(GError) error = NULL;

  if (!g_file_get_contents(path, &content, &length, &error))
    g_error("%s", error->message);
  /* GLib adds a NUL, behind which an overrun by one would hide. */
  exact = g_memdup2(content, length);
  LLVMFuzzerTestOneInput(exact, length);
  replayed++;
}

static void replay(const char *path)
{
  g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
  const char *name;

  if (!folder) {
    replay_file(path);
    return;
  }
  while ((name = g_dir_read_name(folder))) {
    g_autofree char *inner = g_build_filename(path, name, NULL);
    replay_file(inner);
  }
}

static char *own_corpus(const char *program)
{
  g_autofree char *base = g_path_get_basename(program);
  const char *name = base, *top = g_getenv("top_srcdir");

  if (g_str_has_prefix(name, "lt-"))
    name += 3;
  if (g_str_has_prefix(name, "fuzz-"))
    name += 5;
  return g_build_filename(top ? top : ".", "tests", "fuzz", "corpus", name, NULL);
}

int main(int argc, char **argv)
{
  LLVMFuzzerTestOneInput((const uint8_t *) "", 0);
  for (int i = 1; i < argc; i++)
    replay(argv[i]);
  if (argc < 2) {
    g_autofree char *corpus = own_corpus(argv[0]);
    if (!g_file_test(corpus, G_FILE_TEST_IS_DIR)) {
      fprintf(stderr, "no corpus at %s\n", corpus);
      return 1;
    }
    replay(corpus);
  }
  printf("%u inputs replayed\n", replayed);
  return replayed ? 0 : 1;
}
