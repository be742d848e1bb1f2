/* Instants, durations, addresses, spans, lists of blocks and endpoints as text: what is read is
   written and read back as the same; the C library and GLib, where they read a text too, read the
   same. Covers: core/address-text.c core/time-text.c */
#include <arpa/inet.h>
#include <string.h>

#include "core/address.h"
#include "core/events.h"
#include "tests/fuzz/fuzz.h"

static void read_time(const char *text)
{
  char out[MAL_TIME_STRLEN];
  /* GLib rounds fractions, and knows no leap second. */
  bool differs = strchr(text, '.') || strstr(text, ":60") || !g_ascii_isdigit(*text);
  MalTime t, again;
  if (!mal_time_parse(text, &t, NULL))
    return;
  must(mal_time_parse(mal_time_format(t, out), &again, NULL) && again == t);
  g_autoptr(GDateTime) glib = differs ? NULL : g_date_time_new_from_iso8601(text, NULL);
  must(!glib || g_date_time_to_unix(glib) == t);
}

static void read_duration(const char *text)
{
  int64_t seconds, again;
  if (!mal_duration_parse(text, &seconds, NULL))
    return;
  must(seconds >= 0);
  g_autofree char *out = mal_duration_format(seconds);
  must(mal_duration_parse(out, &again, NULL) && again == seconds);
}

static void read_address(const char *text)
{
  char out[MAL_ADDRESS_STRLEN];
  uint8_t theirs[16], ours[16];
  MalAddress a, again;
  bool good = mal_address_parse(text, &a, NULL);
  int family = strchr(text, ':') ? AF_INET6 : AF_INET;
  if (inet_pton(family, text, theirs) == 1) {
    must(good && a.family == (family == AF_INET ? MAL_IPV4 : MAL_IPV6));
    must(memcmp(theirs, ours, mal_address_to_bytes(a, ours)) == 0);
  }
  if (!good)
    return;
  must(mal_address_parse(mal_address_format(a, out), &again, NULL) && mal_address_equal(a, again));
  must(inet_pton(a.family == MAL_IPV4 ? AF_INET : AF_INET6, out, theirs) == 1);
}

static void read_spans(const char *text)
{
  char out[MAL_SPAN_STRLEN];
  MalSpan s, again;
  MalPrefix prefix;
  if (mal_prefix_parse(text, &prefix, NULL))
    must(prefix.length <= (prefix.address.family == MAL_IPV4 ? 32u : 128u));
  if (!mal_span_parse(text, &s, NULL))
    return;
  must(s.first.family == s.last.family && s.first.value <= s.last.value);
  must(mal_span_parse(mal_span_format(s, out), &again, NULL)
       && mal_address_equal(s.first, again.first) && mal_address_equal(s.last, again.last));
}

static void read_blocks(const char *text)
{
  g_autoptr(GArray) blocks = mal_blocks_parse(text, NULL);
  if (!blocks)
    return;
  g_autofree char *out =
      mal_blocks_format((const MalBlock *)(const void *)blocks->data, blocks->len);
  g_autoptr(GArray) again = mal_blocks_parse(out, NULL);
  must(again && again->len == blocks->len);
  for (guint i = 0; i < blocks->len; i++) {
    const MalBlock *b = &g_array_index(blocks, MalBlock, i),
                   *c = &g_array_index(again, MalBlock, i);
    must(b->count >= 1 && b->count == c->count && mal_address_equal(b->first, c->first));
  }
}

static void read_endpoint(const char *text)
{
  char out[MAL_ENDPOINT_STRLEN];
  MalEndpoint e, again;
  if (!mal_endpoint_parse(text, 2535, &e, NULL))
    return;
  must(mal_endpoint_parse(mal_endpoint_format(e, out), 0, &again, NULL));
  must(again.port == e.port && mal_address_equal(again.address, e.address));
}

/* Any number is an instant that can be written. */
static void write_time(const uint8_t *data, size_t size)
{
  char out[MAL_TIME_STRLEN];
  MalTime t = 0, again;
  memcpy(&t, data, MIN(size, sizeof t));
  must(mal_time_parse(mal_time_format(t, out), &again, NULL) && again == t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  /* Not g_strndup, which would fill up what follows a NUL. */
  g_autofree char *text = g_malloc(size + 1);
  g_autoptr(GError) error = NULL;
  MalAddress a;
  if (size)
    memcpy(text, data, size);
  text[size] = '\0';
  if (!mal_address_parse(text, &a, &error))
    must(error && g_utf8_validate(error->message, -1, NULL));
  read_time(text);
  read_duration(text);
  read_address(text);
  read_spans(text);
  read_blocks(text);
  read_endpoint(text);
  write_time(data, size);
  return 0;
}
