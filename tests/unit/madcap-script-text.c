/* Lines of the scripts: messages out of them, and answers as they stand there. */
#include "madcap-script-private.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

MalAddress script_address(const char *text)
{
  MalAddress a = mal_address_none();

  cr_assert(mal_address_parse(text, &a, NULL), "address %s", text);
  return a;
}

/* ---- a message from its line ----------------------------------------------------------------- */

static void put(GByteArray *b, uint64_t v, size_t octets)
{
  while (octets-- > 0)
    g_byte_array_append(b, &(uint8_t){ (uint8_t)(v >> (8 * octets)) }, 1);
}

static void put_option(GByteArray *b, unsigned code, const void *data, size_t length)
{
  put(b, code, 2);
  put(b, length, 2);
  if (length > 0)
    g_byte_array_append(b, data, (guint)length);
}

static void put_address(GByteArray *b, MalAddress a)
{
  uint8_t octets[16];
  size_t n = mal_address_to_bytes(a, octets);

  g_byte_array_append(b, octets, (guint)n);
}

static void put_codes(GByteArray *b, const char *text, bool counted)
{
  g_auto(GStrv) items = g_strsplit(text, ",", -1);
  guint n = *text != '\0' ? g_strv_length(items) : 0;

  if (counted)
    put(b, n, 2);
  for (guint i = 0; i < n; i++)
    put(b, strtoul(items[i], NULL, 10), 2);
}

GByteArray *script_hex(const char *text)
{
  GByteArray *b = g_byte_array_new();

  for (; text[0] != '\0' && text[1] != '\0'; text += 2)
    put(b, (uint64_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1])), 1);
  return b;
}

static void put_list(GByteArray *b, unsigned code, const char *key, const char *value)
{
  g_autoptr(GByteArray) body = g_byte_array_new();

  if (strcmp(key, "ranges") == 0) {
    g_auto(GStrv) items = g_strsplit(value, ",", -1);
    for (char **i = items; *i != NULL && **i != '\0'; i++) {
      g_auto(GStrv) parts = g_strsplit(*i, "/", 2);
      put_address(body, script_address(parts[0]));
      put(body, strtoul(parts[1], NULL, 10), 2);
    }
  } else if (strcmp(key, "feat") == 0) {
    g_auto(GStrv) lists = g_strsplit(value, "/", 3);
    for (int i = 0; i < 3; i++)
      put_codes(body, lists[i], true);
  } else if (strcmp(key, "list") == 0) {
    put_codes(body, value, false);
  } else if (strcmp(key, "number") == 0) {
    put(body, strtoul(value, NULL, 10), 2);
    put(body, strtoul(strchr(value, '-') + 1, NULL, 10), 2);
  } else if (strcmp(key, "server") == 0) {
    MalAddress a = script_address(value);
    put(body, (uint64_t)a.family, 2);
    put_address(body, a);
  } else {
    put_address(body, script_address(value));
  }
  put_option(b, code, body->data, body->len);
}

static const struct {
  const char *key;
  unsigned code;
  enum { U32, RELATIVE, LIST } form;
} options[] = {
  { "lease", 1, U32 },          { "minlease", 14, U32 },   { "start", 6, RELATIVE },
  { "maxstart", 15, RELATIVE }, { "clock", 11, RELATIVE }, { "server", 2, LIST },
  { "scope", 4, LIST },         { "list", 5, LIST },       { "number", 7, LIST },
  { "ranges", 10, LIST },       { "feat", 12, LIST },
};

static void put_token(Script *t, GByteArray *b, const char *key, const char *value)
{
  for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
    if (strcmp(options[i].key, key) != 0)
      continue;
    if (options[i].form == LIST) {
      put_list(b, options[i].code, key, value);
      return;
    }
    uint64_t v =
        (uint64_t)strtoll(value, NULL, 10) + (options[i].form == RELATIVE ? (uint64_t)t->now : 0);
    put(b, options[i].code, 2);
    put(b, 4, 2);
    put(b, v, 4);
    return;
  }
  if (strcmp(key, "lang") == 0) {
    put_option(b, 8, value, strlen(value));
  } else if (strcmp(key, "raw") == 0) {
    g_autoptr(GByteArray) body = script_hex(strchr(value, ':') + 1);
    put_option(b, (unsigned)strtoul(value, NULL, 10), body->data, body->len);
  } else {
    cr_assert_fail("%s:%d: unknown token %s", t->name, t->line, key);
  }
}

static unsigned type_number(const char *word)
{
  for (unsigned i = 1; i <= 8; i++)
    if (strcmp(madcap_type_name(i), word) == 0)
      return i;
  return (unsigned)strtoul(word, NULL, 10);
}

void script_send(Script *t, char *const *words)
{
  GByteArray *b = g_byte_array_new();
  g_autoptr(GByteArray) opts = g_byte_array_new();
  g_autoptr(GByteArray) id = script_hex("00aabbccdd");
  uint64_t xid = 1, family = 1, version = 0;

  t->last = (MadcapArrival){
    .peer = { .address = script_address("192.0.2.50"), .port = 4000 },
    .destination = script_address("192.0.2.1"),
    .server_id = script_address("192.0.2.1"),
    .ifindex = 1,
  };
  for (char *const *w = words + 1; *w != NULL; w++) {
    g_auto(GStrv) kv = g_strsplit(*w, "=", 2);
    if (strcmp(*w, "nowhere") == 0) {
      t->last.server_id = mal_address_none();
    } else if (strcmp(*w, "@m") == 0) {
      t->last.destination = script_address("239.255.255.254");
    } else if (**w == '@') {
      t->last.destination = script_address(*w + 1);
    } else if (strcmp(kv[0], "from") == 0) {
      t->last.peer.address = script_address(kv[1]);
    } else if (strcmp(kv[0], "xid") == 0) {
      xid = strtoul(kv[1], NULL, 10);
    } else if (strcmp(kv[0], "fam") == 0) {
      family = strtoul(kv[1], NULL, 10);
    } else if (strcmp(kv[0], "ver") == 0) {
      version = strtoul(kv[1], NULL, 10);
    } else if (strcmp(kv[0], "id") == 0) {
      g_byte_array_unref(id);
      id = script_hex(kv[1]);
    } else if (strcmp(kv[0], "longid") == 0) {
      g_byte_array_set_size(id, (guint)strtoul(kv[1], NULL, 10));
      memset(id->data, 7, id->len);
    } else if (strcmp(*w, "noid") == 0) {
      g_clear_pointer(&id, g_byte_array_unref);
    } else if (strcmp(kv[0], "noend") != 0) {
      put_token(t, opts, kv[0], kv[1]);
    }
  }
  put(b, version, 1);
  put(b, type_number(words[0]), 1);
  put(b, family, 2);
  put(b, xid, 4);
  if (id != NULL)
    put_option(b, 3, id->data, id->len);
  g_byte_array_append(b, opts->data, opts->len);
  if (!g_strv_contains((const char *const *)words, "noend"))
    put(b, 0, 4);
  if (t->last_message != NULL)
    g_byte_array_unref(t->last_message);
  t->last_message = b;
  madcap_server_receive(t->server, &t->last, b->data, b->len, t->now, t->mono);
}

/* ---- an answer as a line --------------------------------------------------------------------- */

static void say_codes(GString *s, MadcapView codes)
{
  for (size_t i = 0; i < madcap_codes_count(codes); i++)
    g_string_append_printf(s, "%s%u", i > 0 ? "," : "", madcap_codes_at(codes, i));
}

static void say_ranges(GString *s, const MadcapMessage *m)
{
  MadcapRangeIter iter = madcap_ranges(m);
  char text[MAL_ADDRESS_STRLEN];
  const char *comma = "";
  MalBlock block;

  g_string_append(s, " ranges=");
  while (madcap_ranges_next(&iter, &block)) {
    g_string_append_printf(s, "%s%s/%u", comma, mal_address_format(block.first, text), block.count);
    comma = ",";
  }
}

static void say_scopes(GString *s, const MadcapMessage *m)
{
  MadcapScopeIter scopes = madcap_scopes(m);
  char text[MAL_ADDRESS_STRLEN];
  const char *comma = "";
  MadcapScopeView scope;

  g_string_append(s, " scopes=");
  while (madcap_scopes_next(&scopes, &scope)) {
    MadcapNameIter names = madcap_names(&scope);
    MadcapNameView name;
    g_string_append_printf(s, "%s%s/%u", comma, mal_address_format(scope.first, text), scope.ttl);
    while (madcap_names_next(&names, &name))
      g_string_append_printf(s, "[%.*s%s:%.*s]", (int)name.language.length,
                             (const char *)name.language.data, name.is_default ? "*" : "",
                             (int)name.name.length, (const char *)name.name.data);
    comma = ",";
  }
}

static void say_error(GString *s, const MadcapMessage *m, MalTime now)
{
  uint16_t option;
  uint32_t at;

  g_string_append_printf(s, " %u", m->error_code);
  if (madcap_error_option(m, &option))
    g_string_append_printf(s, "/%u", option);
  else if (madcap_error_time(m, &at))
    g_string_append_printf(s, "/%+d", (int)((int64_t)at - now));
  else if (m->error_data.length > 0) {
    g_string_append_c(s, '/');
    say_codes(s, m->error_data);
  }
}

static char *describe(Script *t, const uint8_t *data, size_t length)
{
  GString *s = g_string_new(NULL);
  char text[MAL_ADDRESS_STRLEN];
  MadcapMessage m;
  MadcapFault fault;

  /* A NAK for a message of an unknown family echoes that. */
  if (madcap_decode(data, length, &m, &fault) != MADCAP_OK && fault.reason != MADCAP_REASON_FAMILY)
    cr_assert_fail("%s:%d: %s of option %u", t->name, t->line, madcap_reason_name(fault.reason),
                   fault.option);
  g_string_append(s, madcap_type_name(m.type));
  if (madcap_has(&m, MADCAP_OPTION_ERROR))
    say_error(s, &m, t->now);
  if (madcap_has(&m, MADCAP_OPTION_LEASE_TIME))
    g_string_append_printf(s, " lease=%u", m.lease_time);
  if (madcap_has(&m, MADCAP_OPTION_SCOPE))
    g_string_append_printf(s, " scope=%s", mal_address_format(m.scope, text));
  if (madcap_has(&m, MADCAP_OPTION_START_TIME))
    g_string_append_printf(s, " start=%+d", (int)((int64_t)m.start_time - t->now));
  if (madcap_has(&m, MADCAP_OPTION_SCOPE_LIST))
    say_scopes(s, &m);
  if (madcap_has(&m, MADCAP_OPTION_RANGES))
    say_ranges(s, &m);
  if (madcap_has(&m, MADCAP_OPTION_CURRENT_TIME))
    g_string_append_printf(s, " clock=%+d", (int)((int64_t)m.current_time - t->now));
  if (madcap_has(&m, MADCAP_OPTION_FEATURES)) {
    g_string_append(s, " feat=");
    say_codes(s, m.supported);
    g_string_append_c(s, '/');
    say_codes(s, m.requested);
    g_string_append_c(s, '/');
    say_codes(s, m.required);
  }
  if (madcap_has(&m, MADCAP_OPTION_RETRY_TIME))
    g_string_append_printf(s, " retry=%+d", (int)((int64_t)m.retry_time - t->now));
  if (madcap_has(&m, MADCAP_OPTION_NESTING)) {
    g_string_append(s, " nesting=");
    for (size_t i = 0; i < m.nesting.length; i++)
      g_string_append_printf(s, "%02x", m.nesting.data[i]);
  }
  return g_string_free(s, FALSE);
}

/* What every answer has in common with the message that it answers (2.1.4, 2.2, 3.3). */
static void check_common(Script *t, const Sent *sent, const uint8_t *data, size_t length)
{
  MadcapMessage m, asked;
  MadcapFault fault;

  madcap_decode(data, length, &m, &fault);
  madcap_decode(t->last_message->data, t->last_message->len, &asked, &fault);
  cr_assert_eq(m.xid, asked.xid, "%s:%d: xid", t->name, t->line);
  cr_assert_eq(m.lease_id.length, asked.lease_id.length, "%s:%d: lease id", t->name, t->line);
  if (m.lease_id.length > 0)
    cr_assert_arr_eq(m.lease_id.data, asked.lease_id.data, m.lease_id.length);
  cr_assert(mal_address_equal(m.server_id, t->last.server_id), "%s:%d: server id", t->name,
            t->line);
  cr_assert(mal_endpoint_equal(sent->to.peer, t->last.peer), "%s:%d: sent to another", t->name,
            t->line);
}

void script_expect(Script *t, const char *expected)
{
  Sent *sent = g_queue_pop_head(&t->sent);
  size_t length = 0;

  if (sent == NULL) {
    cr_assert_eq(*expected, '\0', "%s:%d: no answer, expected %s", t->name, t->line, expected);
    return;
  }
  const uint8_t *data = g_bytes_get_data(sent->bytes, &length);
  g_autofree char *got = describe(t, data, length);
  cr_assert_str_eq(got, expected, "%s:%d: got \"%s\", expected \"%s\"", t->name, t->line, got,
                   expected);
  check_common(t, sent, data, length);
  g_bytes_unref(sent->bytes);
  g_free(sent);
}
