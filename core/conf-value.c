#include "conf-internal.h"
#include "events.h"

#include <string.h>

/* What no timer or sum can overflow with. */
#define DURATION_LONGEST (INT64_C(36525) * 86400)

static bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool fail(GError **error, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, MAL_ERROR, MAL_ERROR_CONFIG, what);
  return false;
}

static bool parse_bool(ConfItem *item, GError **error)
{
  static const char *const words[] = { "no", "yes", "false", "true" };
  for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
    if (strcmp(item->text, words[i]) == 0) {
      item->integer = (int64_t)(i % 2);
      return true;
    }
  return fail(error, "'%.64s' is not one of yes, no, true, false", item->text);
}

static bool parse_integer(const MalConfKey *key, ConfItem *item, GError **error)
{
  bool bounded = key->min != 0 || key->max != 0;
  int64_t min = bounded ? key->min : INT64_MIN, max = bounded ? key->max : INT64_MAX;
  const char *digits = item->text + (*item->text == '-');
  if (!*digits || digits[strspn(digits, "0123456789")])
    return fail(error, "'%.64s' is not a whole number", item->text);
  if (!g_ascii_string_to_signed(item->text, 10, min, max, &item->integer, NULL))
    return fail(error, "%.64s is not within %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, item->text,
                min, max);
  return true;
}

static bool parse_duration(const MalConfKey *key, ConfItem *item, GError **error)
{
  if (!mal_duration_parse(item->text, &item->integer, error))
    return false;
  bool bounded = key->min != 0 || key->max != 0;
  int64_t min = bounded ? key->min : 0, max = bounded ? key->max : DURATION_LONGEST;
  if (item->integer >= min && item->integer <= max)
    return true;
  g_autofree char *low = mal_duration_format(min);
  g_autofree char *high = mal_duration_format(max);
  return fail(error, "%.64s is not within %s to %s", item->text, low, high);
}

static bool parse_time(ConfItem *item, GError **error)
{
  if (strcmp(item->text, "now") == 0)
    return fail(error, "'now' is no lasting instant; write the time, such as 2030-01-31T18:00:00Z");
  return mal_time_parse(item->text, &item->integer, error);
}

static bool parse_choice(const MalConfKey *key, ConfItem *item, GError **error)
{
  g_auto(GStrv) choices = g_strsplit(key->choices, "|", -1);
  if (g_strv_contains((const char *const *) choices, item->text))
    return true;
  g_autofree char *all = g_strjoinv(", ", choices);
  g_autoptr(GString) message = g_string_new(NULL);
  g_string_printf(message, "'%.64s' is not one of %s", item->text, all);
  mal_conf_suggest(message, item->text, (const char *const *) choices);
  return fail(error, "%s", message->str);
}

static bool parse_path(ConfItem *item, GError **error)
{
  if (strstr(item->text, " #"))
    return fail(error, "'%.64s' is not a path", item->text);
  return true;
}

static bool parse_pair(ConfItem *item, GError **error)
{
  const char *equals = strchr(item->text, '=');
  if (!equals || equals == item->text || !equals[1])
    return fail(error, "'%.64s' is not a pair; write NAME=VALUE", item->text);
  return true;
}

static bool parse_typed(const MalConfKey *key, ConfItem *item, GError **error)
{
  switch (key->type) {
  case MAL_CONF_STRING:
    return true;
  case MAL_CONF_PATH:
    return parse_path(item, error);
  case MAL_CONF_BOOL:
    return parse_bool(item, error);
  case MAL_CONF_INTEGER:
    return parse_integer(key, item, error);
  case MAL_CONF_DURATION:
    return parse_duration(key, item, error);
  case MAL_CONF_TIME:
    return parse_time(item, error);
  case MAL_CONF_ADDRESS:
    return mal_address_parse(item->text, &item->span.first, error);
  case MAL_CONF_SPAN:
    return mal_span_parse(item->text, &item->span, error);
  case MAL_CONF_ENDPOINT:
    return mal_endpoint_parse(item->text, 0, &item->endpoint, error);
  case MAL_CONF_CHOICE:
    return parse_choice(key, item, error);
  case MAL_CONF_PAIR:
    return parse_pair(item, error);
  case MAL_CONF_PREFIX:
    return mal_prefix_parse(item->text, &item->prefix, error);
  default:
    g_assert_not_reached();
  }
}

const char *mal_conf_remark_hint(const char *text)
{
  return strstr(text, " #") || strstr(text, "\t#")
           ? " (a '#' within a line begins no comment: comments stand on lines of their own)"
           : "";
}

/* What is most often meant where no address was read. */
static const char *hint(const MalConfKey *key, const char *text)
{
  bool is_address = key->type == MAL_CONF_ADDRESS || key->type == MAL_CONF_ENDPOINT;
  if (strstr(text, " #") || strstr(text, "\t#"))
    return mal_conf_remark_hint(text);
  if (key->list && strchr(text, ','))
    return " (items of a list are separated by ';')";
  if (key->type == MAL_CONF_ADDRESS && strchr(text, '/'))
    return "; one address is wanted here, without a prefix length";
  /* Groups of hexadecimal digits have no other letters, nor points behind them. */
  if (is_address && !strchr(text, ':') && strpbrk(text, "abcdefghijklmnopqrstuvwxyz"))
    return "; host names are not looked up";
  return "";
}

bool mal_conf_item_parse(const MalConfKey *key, ConfItem *item, GError **error)
{
  GError *why = NULL;
  if (parse_typed(key, item, &why))
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s%s", why->message, hint(key, item->text));
  g_error_free(why);
  return false;
}
