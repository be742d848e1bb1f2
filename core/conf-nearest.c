#include "conf-internal.h"

#include <string.h>

#define LONGEST 64

static size_t min3(size_t a, size_t b, size_t c)
{
  return MIN(a, MIN(b, c));
}

/* Edits (insert, delete, replace, swap neighbours) from A to B, without regard to case. */
static size_t distance(const char *a, size_t la, const char *b, size_t lb)
{
  size_t rows[3][LONGEST + 1];
  for (size_t j = 0; j <= lb; j++)
    rows[0][j] = j;
  for (size_t i = 1; i <= la; i++) {
    size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= lb; j++) {
      char ca = g_ascii_tolower(a[i - 1]), cb = g_ascii_tolower(b[j - 1]);
      row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (ca != cb));
      if (i > 1 && j > 1 && ca == g_ascii_tolower(b[j - 2]) && g_ascii_tolower(a[i - 2]) == cb)
        row[j] = MIN(row[j], above2[j - 2] + 1);
    }
  }
  return rows[la % 3][lb];
}

const char *mal_nearest(const char *word, const char *const *names)
{
  const char *best = NULL;
  size_t best_distance = 0, length = strlen(word);
  for (; *names && length <= LONGEST; names++) {
    size_t n = strlen(*names);
    if (n > LONGEST)
      continue;
    size_t d = distance(word, length, *names, n);
    /* A third of the letters may be wrong, at least one must be right. */
    if (d > MAX(1, MAX(length, n) / 3) || d >= MAX(length, n))
      continue;
    if (!best || d < best_distance) {
      best = *names;
      best_distance = d;
    }
  }
  return best;
}

void mal_conf_suggest(GString *message, const char *word, const char *const *names)
{
  const char *near = mal_nearest(word, names);
  if (near)
    g_string_append_printf(message, "; did you mean '%s'?", near);
}
