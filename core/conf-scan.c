#include "conf-internal.h"

#include <string.h>

#define NAME_MAX_LENGTH 64

typedef struct {
  const char *file;
  unsigned line;
  GPtrArray *blocks;
  GHashTable *groups;         /* "type name" -> ConfBlock */
  GHashTable *keys;           /* of the current group: "key[tag]" -> ConfEntry */
  GError **error;
} Scan;

static void entry_free(void *p)
{
  ConfEntry *e = p;
  g_free(e->key);
  g_free(e->tag);
  g_free(e->raw);
  g_free(e);
}

static void block_free(void *p)
{
  ConfBlock *b = p;
  g_free(b->type);
  g_free(b->name);
  g_free(b->raw);
  g_ptr_array_unref(b->entries);
  g_free(b);
}

G_GNUC_PRINTF(2, 3) static bool fail(Scan *s, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(s->error, MAL_ERROR, MAL_ERROR_CONFIG, "%s:%u: %s", s->file, s->line, what);
  return false;
}

static bool is_space(char c)
{
  return c == ' ' || c == '\t';
}

/* A copy of [begin, end) without blanks around it. */
static char *trimmed(const char *begin, const char *end)
{
  while (begin < end && is_space(*begin))
    begin++;
  while (end > begin && is_space(end[-1]))
    end--;
  return g_strndup(begin, (gsize) (end - begin));
}

static bool name_is_valid(const char *name)
{
  size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
  return name[n] == '\0' && n >= 1 && n <= NAME_MAX_LENGTH;
}

static bool scan_group(Scan *s, const char *line, const char *end)
{
  const char *close = memchr(line, ']', (size_t) (end - line));
  if (!close)
    return fail(s, "the group has no closing ']'");
  g_autofree char *rest = trimmed(close + 1, end);
  if (*rest)
    return fail(s, "'%.40s' after the group; comments stand on lines of their own", rest);
  ConfBlock *b = g_new0(ConfBlock, 1);
  b->line = s->line;
  b->raw = g_strndup(line + 1, (gsize) (close - line - 1));
  b->entries = g_ptr_array_new_with_free_func(entry_free);
  g_ptr_array_add(s->blocks, b);
  g_autofree char *inner = trimmed(line + 1, close);
  size_t n = strcspn(inner, " \t");
  b->type = g_strndup(inner, n);
  if (inner[n])
    b->name = trimmed(inner + n, inner + strlen(inner));
  if (!*b->type)
    return fail(s, "a group needs a name: [daemon]");
  if (!name_is_valid(b->type))
    return fail(s, "[%.64s]: there is no such group", b->type);
  if (b->name && !name_is_valid(b->name))
    return fail(s, "[%s %.64s]: a name has 1 to %d letters, digits, '-', '_' and '.'", b->type,
                b->name, NAME_MAX_LENGTH);
  char *id = b->name ? g_strdup_printf("%s %s", b->type, b->name) : g_strdup(b->type);
  const ConfBlock *first = g_hash_table_lookup(s->groups, id);
  if (first) {
    fail(s, "[%s] was there already, on line %u; put all its keys together", id, first->line);
    g_free(id);
    return false;
  }
  g_hash_table_insert(s->groups, id, b);
  g_hash_table_remove_all(s->keys);
  return true;
}

/* "en", "pt-BR", "zh-Hant-TW". */
static bool tag_is_valid(const char *tag)
{
  size_t n = strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
  while (n >= 1 && n <= 8 && tag[n] == '-') {
    tag += n + 1;
    n = strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
  }
  return n >= 1 && n <= 8 && tag[n] == '\0';
}

/* Splits "key[tag]". */
static bool split_tag(Scan *s, ConfEntry *e)
{
  const char *open = strchr(e->raw, '[');
  if (!open && !strchr(e->raw, ']')) {
    e->key = g_strdup(e->raw);
    return true;
  }
  const char *close = open ? strchr(open, ']') : NULL;
  if (!close || close[1] || close == open + 1)
    return fail(s, "'%.64s' is not a key; one with a language is written name[en]", e->raw);
  e->key = g_strndup(e->raw, (gsize) (open - e->raw));
  e->tag = g_strndup(open + 1, (gsize) (close - open - 1));
  if (!tag_is_valid(e->tag))
    return fail(s, "%.64s: '%.64s' is not a language tag, such as en or pt-BR", e->raw, e->tag);
  return true;
}

static bool scan_entry(Scan *s, const char *line, const char *equals)
{
  if (s->blocks->len == 0)
    return fail(s, "a key before the first group; begin with [daemon]");
  ConfBlock *b = s->blocks->pdata[s->blocks->len - 1];
  ConfEntry *e = g_new0(ConfEntry, 1);
  e->line = s->line;
  e->raw = trimmed(line, equals);
  g_ptr_array_add(b->entries, e);
  if (!*e->raw)
    return fail(s, "there is no key before the '='");
  if (!split_tag(s, e))
    return false;
  /* Language tags don't differ by case. */
  g_autofree char *tag = e->tag ? g_ascii_strdown(e->tag, -1) : NULL;
  char *id = tag ? g_strdup_printf("%s[%s]", e->key, tag) : g_strdup(e->key);
  const ConfEntry *first = g_hash_table_lookup(s->keys, id);
  if (first) {
    g_free(id);
    return fail(s, "[%s] %s was given already, on line %u", b->raw, e->raw, first->line);
  }
  g_hash_table_insert(s->keys, id, e);
  return true;
}

static bool scan_line(Scan *s, const char *line, const char *end)
{
  if (end > line && end[-1] == '\r')
    end--;
  while (line < end && is_space(*line))
    line++;
  if (line == end || *line == '#')
    return true;
  if (*line == '[')
    return scan_group(s, line, end);
  const char *equals = memchr(line, '=', (size_t) (end - line));
  if (equals)
    return scan_entry(s, line, equals);
  g_autofree char *shown = g_strndup(line, (gsize) (end - line));
  return fail(s,
              "'%.40s' is neither a [group], a key = value, nor a comment; comments begin with '#'",
              shown);
}

static unsigned line_of(const char *text, const char *place)
{
  unsigned line = 1;
  for (; text < place; text++)
    line += *text == '\n';
  return line;
}

static bool scan_characters(Scan *s, const char *text, size_t length)
{
  const char *bad;
  s->line = 1;
  if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
    return fail(s, "the file begins with a byte order mark; save it as UTF-8 without one");
  s->line = 0;
  if (g_utf8_validate_len(text, length, &bad))
    return true;
  s->line = line_of(text, bad);
  return *bad ? fail(s, "octet 0x%02x is not UTF-8; save the file as UTF-8", (unsigned char) *bad)
              : fail(s, "there is a NUL octet; this is not a text file");
}

GPtrArray *mal_conf_scan(const char *text, size_t length, const char *file, GError **error)
{
  Scan s = { .file = file, .error = error };
  if (!scan_characters(&s, text, length))
    return NULL;
  s.blocks = g_ptr_array_new_with_free_func(block_free);
  s.groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  s.keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  const char *end = text + length;
  bool ok = true;
  while (ok && text < end) {
    const char *newline = memchr(text, '\n', (size_t) (end - text));
    const char *line_end = newline ? newline : end;
    s.line++;
    ok = scan_line(&s, text, line_end);
    text = line_end + (newline != NULL);
  }
  g_hash_table_unref(s.groups);
  g_hash_table_unref(s.keys);
  if (!ok)
    g_clear_pointer(&s.blocks, g_ptr_array_unref);
  return s.blocks;
}
