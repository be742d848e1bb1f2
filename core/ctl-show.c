/* The terminal: what it is, text that can't harm it, times, tables. */
#include "ctl.h"

#include "events.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP 2
#define NARROWEST 8             /* a flexible column is cut no further */
#define READABLE 16             /* an address, and the beginning of a sentence */

/* Not G_DEFINE_QUARK, which keeps a mutable static. */
GQuark mal_ctl_error_quark(void)
{
  return g_quark_from_static_string("mal-ctl-error-quark");
}

bool mal_ctl_fail(GError **error, MalCtlStatus status, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autoptr(GError) e = g_error_new_valist(MAL_CTL_ERROR, (gint)status, format, args);
  va_end(args);
  g_propagate_error(error, g_steal_pointer(&e));
  return false;
}

static unsigned from_environment(const char *name, unsigned fallback)
{
  const char *text = g_getenv(name);
  gint64 n = text ? g_ascii_strtoll(text, NULL, 10) : 0;
  return n > 0 && n < 10000 ? (unsigned)n : fallback;
}

void mal_ctl_term_init(MalCtlTerm *term, FILE *out)
{
  struct winsize size = { 0 };
  *term = (MalCtlTerm){ .out = out,
                        .utf8 = g_get_charset(NULL),
                        .now = g_get_real_time() / G_USEC_PER_SEC };
  if (!isatty(fileno(out)))
    return;
  const char *no_color = g_getenv("NO_COLOR");
  ioctl(fileno(out), TIOCGWINSZ, &size);
  term->width = from_environment("COLUMNS", size.ws_col ? size.ws_col : 80);
  term->height = from_environment("LINES", size.ws_row ? size.ws_row : 24);
  term->colours = !(no_color && *no_color) && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* Of what comes from the network, nothing may move the cursor or turn the text around. */
static bool harmless(gunichar c)
{
  GUnicodeType type = g_unichar_type(c);
  return c >= ' ' && type != G_UNICODE_CONTROL && type != G_UNICODE_FORMAT &&
         type != G_UNICODE_LINE_SEPARATOR && type != G_UNICODE_PARAGRAPH_SEPARATOR &&
         type != G_UNICODE_SURROGATE;
}

char *mal_ctl_clean(const MalCtlTerm *term, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  GString *out = g_string_new(NULL);
  for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (!harmless(c))
      c = c == '\n' || c == '\t' ? ' ' : '?';
    g_string_append_unichar(out, c > 0x7e && !term->utf8 ? '?' : c);
  }
  return g_string_free(out, FALSE);
}

static unsigned char_width(gunichar c)
{
  return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

unsigned mal_ctl_width(const char *text)
{
  unsigned width = 0;
  for (const char *p = text; *p; p = g_utf8_next_char(p))
    width += char_width(g_utf8_get_char(p));
  return width;
}

/* At most WIDTH columns of TEXT, the last one saying that there was more. */
static char *cut(const MalCtlTerm *term, const char *text, unsigned width)
{
  unsigned used = 0;
  const char *p = text;
  if (mal_ctl_width(text) <= width)
    return g_strdup(text);
  for (; *p; p = g_utf8_next_char(p)) {
    unsigned w = char_width(g_utf8_get_char(p));
    if (used + w + 1 > width)
      break;
    used += w;
  }
  g_autofree char *head = g_strndup(text, (size_t)(p - text));
  return g_strconcat(head, term->utf8 ? "…" : ">", NULL);
}

/* ---- times ----------------------------------------------------------------------------------- */

char *mal_ctl_relative(MalTime t, MalTime now)
{
  static const struct { int64_t below, unit; const char *name;
  } steps[] = {
    { 100, 1, "s" },
    { 100 * 60LL, 60, "min" },
    { 48 * 3600LL, 3600, "h" },
    { 1000LL * 86400, 86400, "d" },
    { INT64_MAX, 365 * 86400LL, "years" },
  };
  int64_t distance;
  if (__builtin_sub_overflow(t, now, &distance) || distance == INT64_MIN)
    return g_strdup(t > now ? "far ahead" : "long ago");
  if (distance == 0)
    return g_strdup("now");
  bool ahead = distance > 0;
  distance = ahead ? distance : -distance;
  size_t i = 0;
  while (distance >= steps[i].below && i + 1 < G_N_ELEMENTS(steps))
    i++;
  return g_strdup_printf("%s%" G_GINT64_FORMAT " %s%s", ahead ? "in " : "",
                         distance / steps[i].unit, steps[i].name, ahead ? "" : " ago");
}

char *mal_ctl_time(MalTime t)
{
  char text[MAL_TIME_STRLEN];
  mal_time_format(t, text);
  if (strlen(text) != strlen("2030-01-31T18:00:00Z"))
    return g_strdup(text);
  text[10] = ' ';
  text[16] = '\0';
  return g_strdup(text);
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct MalCtlTable {
  const MalCtlColumn *columns;
  size_t n;
  GPtrArray *cells;             /* char *, NULL for empty ones */
};

MalCtlTable *mal_ctl_table_new(const MalCtlColumn *columns, size_t n)
{
  MalCtlTable *t = g_new0(MalCtlTable, 1);
  *t = (MalCtlTable){ columns, n, g_ptr_array_new_with_free_func(g_free) };
  return t;
}

void mal_ctl_table_free(MalCtlTable *t)
{
  if (!t)
    return;
  g_ptr_array_unref(t->cells);
  g_free(t);
}

void mal_ctl_table_add(MalCtlTable *t, const char *text)
{
  g_ptr_array_add(t->cells, text && *text ? g_strdup(text) : NULL);
}

static const char *cell(const MalCtlTable *t, size_t row, size_t column)
{
  size_t i = row * t->n + column;
  const char *text = i < t->cells->len ? g_ptr_array_index(t->cells, i) : NULL;
  return text ? text : "";
}

static size_t n_rows(const MalCtlTable *t)
{
  return t->n == 0 ? 0 : (t->cells->len + t->n - 1) / t->n;
}

/* 0 for a column that says nothing. */
static void measure(const MalCtlTable *t, unsigned *widths)
{
  for (size_t c = 0; c < t->n; c++) {
    widths[c] = 0;
    for (size_t r = 0; r < n_rows(t); r++)
      widths[c] = MAX(widths[c], mal_ctl_width(cell(t, r, c)));
    if (widths[c] > 0)
      widths[c] = MAX(widths[c], mal_ctl_width(t->columns[c].title));
  }
}

static unsigned whole_width(const MalCtlTable *t, const unsigned *widths)
{
  unsigned sum = 0;
  for (size_t c = 0; c < t->n; c++)
    sum += widths[c] ? widths[c] + (sum ? GAP : 0) : 0;
  return sum;
}

/* Takes from the widest flexible column, one after the other, until all fits. */
static void squeeze(const MalCtlTable *t, unsigned *widths, unsigned most)
{
  while (most > 0 && whole_width(t, widths) > most) {
    size_t widest = t->n;
    for (size_t c = 0; c < t->n; c++)
      if (t->columns[c].flexible && widths[c] > NARROWEST &&
          (widest == t->n || widths[c] > widths[widest]))
        widest = c;
    if (widest == t->n)
      return;
    widths[widest]--;
  }
}

static void clean(MalCtlTable *t, const MalCtlTerm *term)
{
  for (unsigned i = 0; i < t->cells->len; i++) {
    char *raw = g_ptr_array_index(t->cells, i);
    if (raw)
      t->cells->pdata[i] = mal_ctl_clean(term, raw);
    g_free(raw);
  }
}

bool mal_ctl_table_fits(MalCtlTable *t, const MalCtlTerm *term)
{
  g_autofree unsigned *widths = g_new(unsigned, t->n);
  clean(t, term);
  measure(t, widths);
  for (size_t c = 0; c < t->n; c++)
    widths[c] = t->columns[c].flexible ? MIN(widths[c], READABLE) : widths[c];
  return term->width == 0 || whole_width(t, widths) <= term->width;
}

static void print_row(const MalCtlTable *t, const MalCtlTerm *term, const unsigned *widths,
                      const char *const *texts)
{
  g_autoptr(GString) line = g_string_new(NULL);
  for (size_t c = 0; c < t->n; c++) {
    if (widths[c] == 0)
      continue;
    g_autofree char *text = cut(term, texts[c], t->columns[c].flexible ? widths[c] : G_MAXUINT);
    unsigned used = mal_ctl_width(text);
    int pad = widths[c] > used ? (int)(widths[c] - used) : 0;
    if (t->columns[c].right)
      g_string_append_printf(line, "%*s%s", pad, "", text);
    else
      g_string_append_printf(line, "%s%*s", text, pad, "");
    g_string_append_printf(line, "%*s", GAP, "");
  }
  while (line->len > 0 && line->str[line->len - 1] == ' ')
    g_string_truncate(line, line->len - 1);
  fprintf(term->out, "%s\n", line->str);
}

void mal_ctl_table_print(MalCtlTable *t, const MalCtlTerm *term)
{
  g_autofree unsigned *widths = g_new(unsigned, t->n);
  g_autofree const char **texts = g_new(const char *, t->n);
  clean(t, term);
  measure(t, widths);
  squeeze(t, widths, term->width);
  for (size_t c = 0; c < t->n; c++)
    texts[c] = t->columns[c].title;
  fputs(term->colours ? "\033[1m" : "", term->out);
  print_row(t, term, widths, texts);
  fputs(term->colours ? "\033[0m" : "", term->out);
  for (size_t r = 0; r < n_rows(t); r++) {
    for (size_t c = 0; c < t->n; c++)
      texts[c] = cell(t, r, c);
    print_row(t, term, widths, texts);
  }
}

/* ---- json ------------------------------------------------------------------------------------ */

json_object *mal_ctl_member(json_object *o, const char *name)
{
  json_object *value;
  if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &value))
    return NULL;
  return value;
}

size_t mal_ctl_length(json_object *list)
{
  return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

const char *mal_ctl_text(json_object *o, const char *name)
{
  json_object *value = mal_ctl_member(o, name);
  return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

int64_t mal_ctl_number(json_object *o, const char *name)
{
  return json_object_get_int64(mal_ctl_member(o, name));
}
