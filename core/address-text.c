/* Addresses as text. The parsers work on slices, so that a list of blocks is read without copies: a
   daemon reads a million of these when it starts. Written by hand rather than with inet_pton, which
   wants NUL-terminated text and takes several times as long for IPv4. */
#include "address.h"

#include <string.h>

typedef struct {
  const char *at;
  const char *end;
} Slice;

static Slice slice(const char *text)
{
  return (Slice){ text, text + strlen(text) };
}

static Slice trim(Slice s)
{
  while (s.at < s.end && g_ascii_isspace(*s.at))
    s.at++;
  while (s.at < s.end && g_ascii_isspace(s.end[-1]))
    s.end--;
  return s;
}

static const char *find(Slice s, char c)
{
  return s.at < s.end ? memchr(s.at, c, (size_t)(s.end - s.at)) : NULL;
}

/* Text from outside goes into messages shortened and without control characters. */
static bool refuse(GError **error, Slice s, const char *what)
{
  enum { SHOWN = 60 };
  size_t length = (size_t)(s.end - s.at);
  g_autofree char *head = g_strndup(s.at, MIN(length, SHOWN));
  g_autofree char *shown = g_strescape(head, NULL);

  g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "\"%s%s\": %s", shown,
              length > SHOWN ? "..." : "", what);
  return false;
}

/* ---- numbers and addresses ------------------------------------------------------------------- */

/* A decimal number without sign or leading zeros, up to MAX; moves s->at behind it. */
static bool take_decimal(Slice *s, uint32_t max, uint32_t *out)
{
  const char *start = s->at;
  uint64_t value = 0;

  while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
    value = value * 10 + (uint64_t)(*s->at++ - '0');
    if (value > max || (s->at - start > 1 && *start == '0'))
      return false;
  }
  *out = (uint32_t)value;
  return s->at > start;
}

static bool whole_decimal(Slice s, uint32_t max, uint32_t *out)
{
  return take_decimal(&s, max, out) && s.at == s.end;
}

static bool take_ipv4(Slice s, uint32_t *out)
{
  uint32_t value = 0;

  for (int i = 0; i < 4; i++) {
    uint32_t octet;
    if (i > 0 && (s.at == s.end || *s.at++ != '.'))
      return false;
    if (!take_decimal(&s, 255, &octet))
      return false;
    value = value << 8 | octet;
  }
  *out = value;
  return s.at == s.end;
}

typedef struct {
  uint16_t groups[8];
  int count;
  int gap;              /* the group before which "::" stands, or -1 */
} Groups;

/* One group of one to four hex digits. */
static bool take_group(Slice *s, Groups *g)
{
  unsigned value = 0;
  int digits = 0;

  while (s->at < s->end && g_ascii_isxdigit(*s->at) && digits < 4) {
    value = value << 4 | (unsigned)g_ascii_xdigit_value(*s->at++);
    digits++;
  }
  if (digits == 0 || g->count == 8)
    return false;
  g->groups[g->count++] = (uint16_t)value;
  return true;
}

/* The last 32 bits may be a dotted quad (RFC 4291 2.2). */
static bool take_quad(Slice s, Groups *g)
{
  uint32_t quad;

  if (g->count > 6 || !take_ipv4(s, &quad))
    return false;
  g->groups[g->count++] = (uint16_t)(quad >> 16);
  g->groups[g->count++] = (uint16_t)quad;
  return true;
}

static bool take_groups(Slice s, Groups *g)
{
  if (s.end - s.at >= 2 && s.at[0] == ':' && s.at[1] == ':') {
    s.at += 2;
    g->gap = 0;
  }
  while (s.at < s.end) {
    const char *colon = find(s, ':');
    if (colon == NULL && find(s, '.') != NULL)
      return take_quad(s, g);
    if (!take_group(&s, g))
      return false;
    if (s.at == s.end)
      break;
    if (*s.at++ != ':' || s.at == s.end)
      return false;
    if (*s.at == ':') {
      if (g->gap >= 0)
        return false;
      g->gap = g->count;
      s.at++;
    }
  }
  return true;
}

static bool take_ipv6(Slice s, MalU128 *out)
{
  Groups g = { .gap = -1 };
  MalU128 value = 0;

  if (!take_groups(s, &g) || (g.gap < 0 ? g.count != 8 : g.count > 7))
    return false;
  for (int i = 0; i < g.count; i++) {
    if (i == g.gap)
      value <<= 16 * (8 - g.count);
    value = value << 16 | g.groups[i];
  }
  /* A "::" at the end stands before no group, so the loop did not shift for it. */
  if (g.gap == g.count && g.count > 0)
    value <<= 16 * (8 - g.count);
  *out = value;
  return true;
}

static bool take_address(Slice s, MalAddress *out, GError **error)
{
  uint32_t v4;
  MalU128 v6;

  if (s.at == s.end)
    return refuse(error, s, "an address is missing");
  if (find(s, ':') != NULL) {
    if (!take_ipv6(s, &v6))
      return refuse(error, s, "not an IPv6 address");
    *out = (MalAddress){ .value = v6, .family = MAL_IPV6 };
    return true;
  }
  if (!take_ipv4(s, &v4))
    return refuse(error, s, "not an IPv4 address (four numbers from 0 to 255)");
  *out = mal_address_ipv4(v4);
  return true;
}

bool mal_address_parse(const char *text, MalAddress *out, GError **error)
{
  return take_address(slice(text), out, error);
}

static char *put_decimal(char *p, uint32_t value)
{
  char digits[10];
  int n = 0;

  do
    digits[n++] = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  while (n > 0)
    *p++ = digits[--n];
  return p;
}

static char *put_ipv4(char *p, uint32_t value)
{
  for (int shift = 24; shift >= 0; shift -= 8) {
    p = put_decimal(p, value >> shift & 0xff);
    if (shift > 0)
      *p++ = '.';
  }
  return p;
}

static char *put_hex(char *p, unsigned group)
{
  int shift = 12;

  while (shift > 0 && group >> shift == 0)
    shift -= 4;
  for (; shift >= 0; shift -= 4)
    *p++ = "0123456789abcdef"[group >> shift & 0xf];
  return p;
}

static unsigned group_at(MalU128 value, int i)
{
  return (unsigned)(value >> (112 - 16 * i)) & 0xffff;
}

/* The first longest run of at least two zero groups (RFC 5952 4.2); its length, 0 for none. */
static int zero_run(MalU128 value, int groups, int *start)
{
  int best = 1, run = 0;

  *start = -1;
  for (int i = 0; i < groups; i++) {
    run = group_at(value, i) == 0 ? run + 1 : 0;
    if (run > best) {
      best = run;
      *start = i - run + 1;
    }
  }
  return *start < 0 ? 0 : best;
}

/* RFC 5952: lower case, no leading zeros, the IPv4-mapped prefix with a dotted quad. */
static char *put_ipv6(char *p, MalU128 value)
{
  bool mapped = value >> 32 == 0xffff;
  int groups = mapped ? 6 : 8, start;
  int length = zero_run(value, groups, &start);

  for (int i = 0; i < groups; i++) {
    if (i == start) {
      *p++ = ':';
      *p++ = ':';
      i += length - 1;
      continue;
    }
    if (i > 0 && p[-1] != ':')
      *p++ = ':';
    p = put_hex(p, group_at(value, i));
  }
  if (!mapped)
    return p;
  *p++ = ':';
  return put_ipv4(p, (uint32_t)value);
}

static char *put_address(char *p, MalAddress address)
{
  if (address.family == MAL_IPV4)
    return put_ipv4(p, (uint32_t)address.value);
  if (address.family == MAL_IPV6)
    return put_ipv6(p, address.value);
  memcpy(p, "none", 4);  // NOLINT(bugprone-not-null-terminated-result): the caller ends it
  return p + 4;
}

const char *mal_address_format(MalAddress address, char out[MAL_ADDRESS_STRLEN])
{
  *put_address(out, address) = '\0';
  return out;
}

/* ---- spans, blocks, prefixes ----------------------------------------------------------------- */

static bool take_prefix(Slice s, const char *stroke, MalPrefix *out, GError **error)
{
  MalAddress address = mal_address_none();
  uint32_t length;

  if (!take_address((Slice){ s.at, stroke }, &address, error))
    return false;
  unsigned bits = (unsigned)mal_family_octets(address.family) * 8;
  if (!whole_decimal((Slice){ stroke + 1, s.end }, bits, &length))
    return refuse(error, s, bits == 32 ? "the prefix length must be a number from 0 to 32"
                                       : "the prefix length must be a number from 0 to 128");
  unsigned host = bits - length;
  MalU128 mask = host == 128 ? ~(MalU128)0 : ((MalU128)1 << host) - 1;
  if ((address.value & mask) != 0)
    return refuse(error, s, "bits are set behind the prefix length");
  *out = (MalPrefix){ .address = address, .length = length };
  return true;
}

bool mal_prefix_parse(const char *text, MalPrefix *out, GError **error)
{
  Slice s = trim(slice(text));
  const char *stroke = find(s, '/');

  if (stroke == NULL)
    return refuse(error, s, "a prefix is written as address/length");
  return take_prefix(s, stroke, out, error);
}

static bool take_pair(Slice s, const char *dash, MalSpan *out, GError **error)
{
  MalSpan span = { 0 };

  if (!take_address(trim((Slice){ s.at, dash }), &span.first, error)
      || !take_address(trim((Slice){ dash + 1, s.end }), &span.last, error))
    return false;
  if (span.first.family != span.last.family)
    return refuse(error, s, "the two addresses are of different families");
  if (span.first.value > span.last.value)
    return refuse(error, s, "the last address is below the first");
  *out = span;
  return true;
}

static bool take_span(Slice s, MalSpan *out, GError **error)
{
  const char *mark;
  MalPrefix prefix;
  MalAddress address;

  s = trim(s);
  if ((mark = find(s, '-')) != NULL)
    return take_pair(s, mark, out, error);
  if ((mark = find(s, '/')) != NULL) {
    if (!take_prefix(s, mark, &prefix, error))
      return false;
    *out = mal_span_of_prefix(prefix);
    return true;
  }
  if (!take_address(s, &address, error))
    return false;
  *out = (MalSpan){ address, address };
  return true;
}

bool mal_span_parse(const char *text, MalSpan *out, GError **error)
{
  return take_span(slice(text), out, error);
}

static char *put_span(char *p, MalSpan span)
{
  p = put_address(p, span.first);
  if (mal_address_equal(span.first, span.last))
    return p;
  *p++ = '-';
  return put_address(p, span.last);
}

static char *put_block(char *p, MalBlock block)
{
  return put_span(p, mal_span_of_block(block));
}

const char *mal_span_format(MalSpan span, char out[MAL_SPAN_STRLEN])
{
  *put_span(out, span) = '\0';
  return out;
}

const char *mal_block_format(MalBlock block, char out[MAL_SPAN_STRLEN])
{
  *put_block(out, block) = '\0';
  return out;
}

char *mal_blocks_format(const MalBlock *blocks, size_t count)
{
  GString *text = g_string_sized_new(MIN(count, 1024) * 32);
  char one[MAL_SPAN_STRLEN];

  for (size_t i = 0; i < count; i++) {
    if (i > 0)
      g_string_append_c(text, ',');
    g_string_append_len(text, one, put_block(one, blocks[i]) - one);
  }
  return g_string_free(text, FALSE);
}

static bool take_block(Slice s, MalBlock *out, GError **error)
{
  MalSpan span;

  if (!take_span(s, &span, error))
    return false;
  MalU128 size = mal_span_size(span);
  if (size > UINT32_MAX)
    return refuse(error, s, "a block holds at most 4294967295 addresses");
  *out = mal_block_make(span.first, (uint32_t)size);
  return true;
}

GArray *mal_blocks_parse(const char *text, GError **error)
{
  g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  Slice rest = slice(text);

  if (rest.at == rest.end)
    return g_steal_pointer(&blocks);
  for (;;) {
    const char *comma = find(rest, ',');
    MalBlock block;
    if (!take_block((Slice){ rest.at, comma != NULL ? comma : rest.end }, &block, error))
      return NULL;
    g_array_append_val(blocks, block);
    if (comma == NULL)
      return g_steal_pointer(&blocks);
    rest.at = comma + 1;
  }
}

/* ---- endpoints ------------------------------------------------------------------------------- */

const char *mal_endpoint_format(MalEndpoint endpoint, char out[MAL_ENDPOINT_STRLEN])
{
  bool bracket = endpoint.address.family == MAL_IPV6 && endpoint.port != 0;
  char *p = out;

  if (bracket)
    *p++ = '[';
  p = put_address(p, endpoint.address);
  if (endpoint.scope_id != 0) {
    *p++ = '%';
    p = put_decimal(p, endpoint.scope_id);
  }
  if (bracket)
    *p++ = ']';
  if (endpoint.port != 0) {
    *p++ = ':';
    p = put_decimal(p, endpoint.port);
  }
  *p = '\0';
  return out;
}

/* "[host]:port", "[host]", "v4:port" or a bare address: HOST and, where there is one, PORT. */
static bool split_endpoint(Slice s, Slice *host, Slice *port)
{
  const char *colon = find(s, ':');

  *host = s;
  *port = (Slice){ NULL, NULL };
  if (s.at < s.end && *s.at == '[') {
    const char *close = find(s, ']');
    if (close == NULL || (close + 1 < s.end && close[1] != ':'))
      return false;
    *host = (Slice){ s.at + 1, close };
    if (find(*host, ':') == NULL)
      return false;
    if (close + 1 < s.end)
      *port = (Slice){ close + 2, s.end };
  } else if (colon != NULL && find((Slice){ colon + 1, s.end }, ':') == NULL) {
    *host = (Slice){ s.at, colon };
    *port = (Slice){ colon + 1, s.end };
  }
  return true;
}

bool mal_endpoint_parse(const char *text, uint16_t default_port, MalEndpoint *out, GError **error)
{
  Slice s = slice(text), host, port;
  MalEndpoint endpoint = { .port = default_port };
  uint32_t number;

  if (!split_endpoint(s, &host, &port))
    return refuse(error, s, "write an IPv6 address with a port as [address]:port");
  if (port.at != NULL) {
    if (!whole_decimal(port, UINT16_MAX, &number) || number == 0)
      return refuse(error, s, "the port must be a number from 1 to 65535");
    endpoint.port = (uint16_t)number;
  }
  const char *percent = find(host, '%');
  if (percent != NULL) {
    if (!whole_decimal((Slice){ percent + 1, host.end }, INT32_MAX, &endpoint.scope_id))
      return refuse(error, s, "the interface index behind % must be a number");
    host.end = percent;
  }
  if (!take_address(host, &endpoint.address, error))
    return false;
  *out = endpoint;
  return true;
}

bool mal_endpoint_equal(MalEndpoint a, MalEndpoint b)
{
  return a.port == b.port && a.scope_id == b.scope_id && mal_address_equal(a.address, b.address);
}
