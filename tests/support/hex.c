#include "tests/support/hex.h"

#include <string.h>

void hex_free(HexFile *file)
{
  if (file == NULL)
    return;
  g_byte_array_unref(file->bytes);
  g_hash_table_unref(file->directives);
  g_free(file);
}

const char *hex_directive(const HexFile *file, const char *name)
{
  return g_hash_table_lookup(file->directives, name);
}

static void add_directive(HexFile *file, char *text)
{
  char *value = strchr(text, '=');
  if (value != NULL)
    *value++ = '\0';
  g_hash_table_insert(file->directives, g_strdup(g_strstrip(text)),
                      g_strdup(value == NULL ? "" : g_strstrip(value)));
}

static gboolean add_octets(HexFile *file, const char *text, unsigned line, GError **error)
{
  for (const char *p = text; *p != '\0';) {
    if (g_ascii_isspace(*p)) {
      p++;
      continue;
    }
    int high = g_ascii_xdigit_value(p[0]);
    int low = high < 0 ? -1 : g_ascii_xdigit_value(p[1]);
    if (low < 0) {
      g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "line %u: not hex: %s", line, text);
      return FALSE;
    }
    guint8 octet = (guint8)(high << 4 | low);
    g_byte_array_append(file->bytes, &octet, 1);
    p += 2;
  }
  return TRUE;
}

HexFile *hex_parse(const char *text, GError **error)
{
  HexFile *file = g_new0(HexFile, 1);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

  file->bytes = g_byte_array_new();
  file->directives = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  for (unsigned i = 0; lines[i] != NULL; i++) {
    if (g_str_has_prefix(lines[i], "#!")) {
      add_directive(file, lines[i] + 2);
      continue;
    }
    char *comment = strchr(lines[i], '#');
    if (comment != NULL)
      *comment = '\0';
    if (!add_octets(file, lines[i], i + 1, error)) {
      hex_free(file);
      return NULL;
    }
  }
  return file;
}

HexFile *hex_load(const char *path, GError **error)
{
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, error))
    return NULL;
  HexFile *file = hex_parse(text, error);
  if (file == NULL)
    g_prefix_error(error, "%s: ", path);
  return file;
}

static int compare(gconstpointer a, gconstpointer b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *hex_list(const char *folder)
{
  const char *top = g_getenv("top_srcdir");
  g_autofree char *path = g_build_filename(top == NULL ? "." : top, folder, NULL);
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
    if (g_str_has_suffix(name, ".hex"))
      g_ptr_array_add(paths, g_build_filename(path, name, NULL));
  g_ptr_array_sort(paths, compare);
  return paths;
}
