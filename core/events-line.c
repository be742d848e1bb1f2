#include "events-line.h"

#include <string.h>

/* A log line shows the beginning of long octet strings; JSON has them whole. */
#define TEXT_BYTES_MAX 64

static void append_hex(GString *out, const uint8_t *bytes, size_t length)
{
  for (size_t i = 0; i < length; i++)
    g_string_append_printf(out, "%02x", bytes[i]);
}

/* Control characters (also the C1 ones, which terminals obey) and broken UTF-8 as \xNN. */
static void append_safe(GString *out, const char *text)
{
  const char *end = text + strlen(text);
  while (text < end) {
    gunichar c = g_utf8_get_char_validated(text, end - text);
    if (c == (gunichar) -1 || c == (gunichar) -2 || c == '\\' || c < 0x20 ||
        (c >= 0x7f && c < 0xa0)) {
      size_t n =
          c == (gunichar) -1 || c == (gunichar) -2 ? 1 : (size_t) (g_utf8_next_char(text) - text);
      for (; n > 0; n--, text++)
        g_string_append_printf(out, c == '\\' ? "\\\\" : "\\x%02x", (unsigned char) *text);
      continue;
    }
    const char *next = g_utf8_next_char(text);
    g_string_append_len(out, text, next - text);
    text = next;
  }
}

static void append_field(GString *out, const MalField *f)
{
  char text[MAX(MAL_TIME_STRLEN, MAL_ADDRESS_STRLEN)];
  g_string_append_printf(out, "%s=", f->name);
  switch (f->type) {
  case MAL_FIELD_STRING:
    append_safe(out, f->string ? f->string : "-");
    break;
  case MAL_FIELD_INTEGER:
    g_string_append_printf(out, "%" G_GINT64_FORMAT, f->integer);
    break;
  case MAL_FIELD_ADDRESS:
    g_string_append(
        out, f->address.family == MAL_FAMILY_NONE ? "-" : mal_address_format(f->address, text));
    break;
  case MAL_FIELD_TIME:
    g_string_append(out, mal_time_format(f->integer, text));
    break;
  case MAL_FIELD_BYTES:
    append_hex(out, f->bytes, MIN(f->length, TEXT_BYTES_MAX));
    if (f->length > TEXT_BYTES_MAX)
      g_string_append_printf(out, "...(%zu octets)", f->length);
    break;
  default:
    g_assert_not_reached();
  }
}

static char *text_line(const MalEventView *e)
{
  char at[MAL_TIME_STRLEN];
  GString *line = g_string_new(mal_time_format(e->at, at));
  g_string_append_printf(line, " %s %s: ", mal_log_level_name(e->def->level), e->def->name);
  append_safe(line, e->message);
  for (size_t i = 0; i < e->n_fields; i++) {
    g_string_append(line, i == 0 ? " [" : " ");
    append_field(line, &e->fields[i]);
  }
  if (e->n_fields > 0)
    g_string_append_c(line, ']');
  return g_string_free(line, FALSE);
}

static struct json_object *json_text(const char *text)
{
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  return json_object_new_string(valid);
}

static struct json_object *json_hex(const MalField *f)
{
  g_autoptr(GString) hex = g_string_new(NULL);
  append_hex(hex, f->bytes, f->length);
  return json_object_new_string(hex->str);
}

static struct json_object *json_field(const MalField *f)
{
  char text[MAX(MAL_TIME_STRLEN, MAL_ADDRESS_STRLEN)];
  switch (f->type) {
  case MAL_FIELD_STRING:
    return f->string ? json_text(f->string) : NULL;
  case MAL_FIELD_INTEGER:
    return json_object_new_int64(f->integer);
  case MAL_FIELD_ADDRESS:
    return f->address.family == MAL_FAMILY_NONE
               ? NULL
               : json_object_new_string(mal_address_format(f->address, text));
  case MAL_FIELD_TIME:
    return json_object_new_string(mal_time_format(f->integer, text));
  case MAL_FIELD_BYTES:
    return json_hex(f);
  default:
    g_assert_not_reached();
  }
}

struct json_object *mal_event_to_json(const MalEventView *e)
{
  char at[MAL_TIME_STRLEN];
  struct json_object *o = json_object_new_object();
  json_object_object_add(o, "time", json_object_new_string(mal_time_format(e->at, at)));
  json_object_object_add(o, "level", json_object_new_string(mal_log_level_name(e->def->level)));
  json_object_object_add(o, "event", json_object_new_string(e->def->name));
  json_object_object_add(o, "fault", json_object_new_string(mal_fault_name(e->def->fault)));
  json_object_object_add(o, "message", json_text(e->message));
  struct json_object *fields = json_object_new_object();
  for (size_t i = 0; i < e->n_fields; i++)
    json_object_object_add(fields, e->fields[i].name, json_field(&e->fields[i]));
  json_object_object_add(o, "fields", fields);
  return o;
}

char *mal_event_to_line(const MalEventView *e, MalLogFormat format)
{
  if (format == MAL_LOG_TEXT)
    return text_line(e);
  struct json_object *o = mal_event_to_json(e);
  char *line = g_strdup(
      json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(o);
  return line;
}
