#include "conf-doc.h"

#include <stdbool.h>
#include <string.h>

void mal_doc_roff(GString *out, const char *text)
{
  bool line_start = out->len == 0 || out->str[out->len - 1] == '\n';
  for (; *text; text++) {
    if (line_start && strchr(".'", *text))
      g_string_append(out, "\\&");
    line_start = *text == '\n';
    if (*text == '\\')
      g_string_append(out, "\\e");
    else if (*text == '-')
      g_string_append(out, "\\-");
    else if (*text == '\'')
      g_string_append(out, "\\(aq");
    else
      g_string_append_c(out, *text);
  }
}

/* Filled lines: roff's readers want short ones. */
static void roff_filled(GString *out, const char *text)
{
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  size_t column = 0;
  for (char **w = words; *w; w++) {
    size_t n = strlen(*w);
    if (column > 0)
      g_string_append_c(out, column + 1 + n > 72 ? '\n' : ' ');
    column = column > 0 && column + 1 + n <= 72 ? column + 1 + n : n;
    mal_doc_roff(out, *w);
  }
  g_string_append_c(out, '\n');
}

void mal_doc_roff_sentences(GString *out, const char *text)
{
  const char *end;
  while ((end = strstr(text, ". "))) {
    g_autofree char *sentence = g_strndup(text, (gsize) (end + 1 - text));
    roff_filled(out, sentence);
    text = end + 2;
  }
  roff_filled(out, text);
}
