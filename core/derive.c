#include "derive.h"

#define PREFIX_STRLEN (MAL_ADDRESS_STRLEN + 4)

G_GNUC_PRINTF(2, 3)
static bool refuse(GError **error, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, MAL_ERROR, MAL_ERROR_CONFIG, what);
  return false;
}

/* ---- RFC 3180: GLOP -------------------------------------------------------------------------- */

#define GLOP_BLOCK (UINT32_C(233) << 24)
#define AS_TRANS 23456         /* RFC 6793: stands for a number of 32 bits */
#define AS_PRIVATE_FIRST 64512 /* RFC 1930 section 10; from here on 233.252.0.0/14 */
#define AS_LAST16 65535

static bool check_as(int64_t as, GError **error)
{
  if (as < 0 || as > UINT32_MAX)
    return refuse(error, "%" G_GINT64_FORMAT " is no AS number; write yours, from 1 to %d", as,
                  AS_PRIVATE_FIRST - 1);
  if (as > AS_LAST16)
    return refuse(error,
                  "AS %" G_GINT64_FORMAT
                  " has 32 bits, and GLOP has room for 16 (RFC 3180 section 5): use unicast-prefix "
                  "(RFC 6034; RFC 3306 in an IPv6 scope), or apply to IANA for addresses of AD-HOC "
                  "Block III (RFC 5771 section 9) and write these as first and last",
                  as);
  if (as >= AS_PRIVATE_FIRST)
    return refuse(error,
                  "AS %" G_GINT64_FORMAT
                  " is %s, and the addresses in its place, of 233.252.0.0/14, are assigned by IANA "
                  "(AD-HOC Block III, RFC 5771 section 9.2): use an AS number that a registry gave "
                  "you, or addresses of 239.0.0.0/8 within your site",
                  as, as == AS_LAST16 ? "reserved" : "for private use");
  if (as == 0)
    return refuse(error, "AS 0 is reserved (RFC 7607); use the number that a registry gave you");
  if (as == AS_TRANS)
    return refuse(error,
                  "AS %d is nobody's: it stands for AS numbers of 32 bits (RFC 6793), for which "
                  "GLOP has no room (RFC 3180 section 5); use unicast-prefix",
                  AS_TRANS);
  return true;
}

bool mal_derive_glop(int64_t as_number, MalDerived *out, GError **error)
{
  if (!check_as(as_number, error))
    return false;
  uint32_t first = GLOP_BLOCK | (uint32_t)as_number << 8;
  out->span = (MalSpan){ mal_address_ipv4(first), mal_address_ipv4(first | 0xff) };
  g_snprintf(out->from, sizeof out->from, "AS %" G_GINT64_FORMAT " (RFC 3180)", as_number);
  return true;
}

/* ---- prefixes that are nobody's -------------------------------------------------------------- */

typedef struct {
  const char *prefix;
  const char *what;
  unsigned widest; /* multicast scope value; 0: none */
} Special;

/* RFC 6034 section 3: "no loopback, multicast, link-local, or private-use IP address space", and
   what else is never routed globally. The prefixes for documentation are in the RFC's own
   examples. */
static const Special special4[] = {
  { "0.0.0.0/8", "this network (RFC 791)", 0 },
  { "10.0.0.0/8", "private (RFC 1918)", 0 },
  { "100.64.0.0/10", "shared by carriers (RFC 6598)", 0 },
  { "127.0.0.0/8", "loopback (RFC 1122)", 0 },
  { "169.254.0.0/16", "link-local (RFC 3927)", 0 },
  { "172.16.0.0/12", "private (RFC 1918)", 0 },
  { "192.0.0.0/24", "for protocols (RFC 6890)", 0 },
  { "192.168.0.0/16", "private (RFC 1918)", 0 },
  { "198.18.0.0/15", "for benchmarks (RFC 2544)", 0 },
  { "224.0.0.0/4", "multicast (RFC 5771)", 0 },
  { "240.0.0.0/4", "reserved (RFC 1112)", 0 },
};

/* RFC 3306 section 4: the scope of the multicast address doesn't exceed the prefix's. */
static const Special special6[] = {
  { "::/8", "unspecified, loopback or made of IPv4 addresses (RFC 4291)", 0 },
  { "100::/64", "discarded (RFC 6666)", 0 },
  { "2001::/23", "for protocols (RFC 2928)", 0 },
  { "5f00::/16", "for segment identifiers (RFC 9602)", 0 },
  { "fc00::/7", "unique local (RFC 4193)", 0xd },
  { "fe80::/10", "link-local (RFC 4291)", 2 },
  { "fec0::/10", "the site-local prefix of old (RFC 3879)", 0 },
  { "ff00::/8", "multicast (RFC 4291)", 0 },
};

static const char *prefix_text(MalPrefix prefix, char out[PREFIX_STRLEN])
{
  char address[MAL_ADDRESS_STRLEN];
  g_snprintf(out, PREFIX_STRLEN, "%s/%u", mal_address_format(prefix.address, address),
             prefix.length);
  return out;
}

/* The next of the N specials that has addresses of SPAN, from *AT on; NULL: no more. */
static const Special *next_special(const Special *specials, size_t n, MalSpan span, size_t *at)
{
  while (*at < n) {
    const Special *s = &specials[(*at)++];
    MalPrefix prefix;
    bool known = mal_prefix_parse(s->prefix, &prefix, NULL);
    g_assert(known);
    if (mal_span_overlaps(mal_span_of_prefix(prefix), span))
      return s;
  }
  return NULL;
}

/* ---- RFC 6034: IPv4 -------------------------------------------------------------------------- */

#define UBM_BLOCK (UINT32_C(234) << 24)
#define UBM_LENGTH_MAX 24u

static bool derive4(MalPrefix prefix, MalDerived *out, GError **error)
{
  char text[PREFIX_STRLEN];
  size_t at = 0;
  prefix_text(prefix, text);
  if (prefix.length > UBM_LENGTH_MAX)
    return refuse(error,
                  "%s: prefixes of more than %u bits give no multicast addresses (RFC 6034 section "
                  "3): use a shorter one that is wholly yours, or glop with your AS number",
                  text, UBM_LENGTH_MAX);
  const Special *s =
      next_special(special4, G_N_ELEMENTS(special4), mal_span_of_prefix(prefix), &at);
  if (s)
    return refuse(
        error,
        "%s has addresses of %s, which is %s: only a global unicast prefix gives "
        "multicast addresses (RFC 6034 section 3); use yours, or addresses of 239.0.0.0/8 "
        "within your site",
        text, s->prefix, s->what);
  MalPrefix group = { mal_address_ipv4(UBM_BLOCK | (uint32_t)prefix.address.value >> 8),
                      prefix.length + 8 };
  out->span = mal_span_of_prefix(group);
  g_snprintf(out->from, sizeof out->from, "%s (RFC 6034)", text);
  return true;
}

/* ---- RFC 3306, RFC 3307, RFC 10028: IPv6 ----------------------------------------------------- */

#define NETWORK_BITS 64u /* what an address has room for */
#define FLAGS_PT 0x3u    /* of ff1, X and R being 0 (RFC 7371 4.1.1) */

typedef struct {
  uint32_t first, last;
  const char *what;
  bool leased; /* by a server that the configuration tells so */
} GroupIds;

/* RFC 3307 sections 4.1 and 4.2; RFC 10028 section 3, table 2. */
static const GroupIds group_ids[] = {
  { 0x00000000, 0x3fffffff, "for permanent addresses (RFC 3307 section 4.1)", false },
  { 0x40000000, 0x7fffffff, "permanent group identifiers (RFC 3307 section 4.2)", false },
  { 0x80000000, 0x8fffffff, "for MADCAP (RFC 10028 section 3)", true },
  { 0x90000000, 0xefffffff, "unassigned (RFC 10028 section 3)", false },
  { 0xf0000000, 0xfcffffff, "for hosts that choose SSM groups (RFC 10028 section 3)", false },
  { 0xfd000000, 0xfdffffff, "for private use (RFC 10028 section 3)", true },
  { 0xfe000000, 0xfeffffff, "for experiments (RFC 10028 section 3)", true },
  { 0xff000000, 0xffffffff, "solicited-node addresses (RFC 10028 section 3)", false },
};

static bool check_group_ids(const MalScope *scope, GError **error)
{
  for (size_t i = 0; i < G_N_ELEMENTS(group_ids); i++) {
    const GroupIds *g = &group_ids[i];
    if (g->leased || scope->group_id_last < g->first || scope->group_id_first > g->last)
      continue;
    return refuse(error,
                  "group-ids of [scope %s] has identifiers of %08x-%08x, which are %s: of "
                  "unicast-prefix-based addresses a server leases 80000000-8fffffff, or, told so, "
                  "fd000000-fdffffff (private use); change group-ids",
                  scope->id, g->first, g->last, g->what);
  }
  return true;
}

/* The scope value is the same in all of SCOPE, and one that traffic may have. */
static bool read_scope_value(const MalScope *scope, unsigned *value, GError **error)
{
  *value = (unsigned)(scope->span.first.value >> 112) & 0xf;
  unsigned last = (unsigned)(scope->span.last.value >> 112) & 0xf;
  if (*value != last)
    return refuse(error,
                  "[scope %s] begins with scope value %x and ends with %x, so that the x of ff3x "
                  "is not known; make it a scope for each",
                  scope->id, *value, last);
  if (*value == 0 || *value == 0xf)
    return refuse(error,
                  "[scope %s] has scope value %x, which is reserved (RFC 4291 section 2.7); use "
                  "one from 1 to e",
                  scope->id, *value);
  return true;
}

static bool check_prefix6(MalPrefix prefix, const char *text, GError **error)
{
  if (prefix.length == 0)
    return refuse(error,
                  "%s: a prefix of 0 bits means source-specific multicast (RFC 3306 section 6), "
                  "where each sender chooses by itself; write the unicast prefix that is yours",
                  text);
  if (prefix.length > NETWORK_BITS)
    return refuse(error,
                  "%s: a multicast address has room for %u bits of a unicast prefix (RFC 3306 "
                  "section 4); use the /64 of the subnet, or a shorter prefix that is yours",
                  text, NETWORK_BITS);
  return true;
}

/* The prefix belongs to somebody, and reaches as far as SCOPE does. */
static bool check_reach6(MalPrefix prefix, const char *text, unsigned value, GError **error)
{
  size_t at = 0;
  const Special *s;
  while ((s = next_special(special6, G_N_ELEMENTS(special6), mal_span_of_prefix(prefix), &at))) {
    if (s->widest == 0)
      return refuse(error,
                    "%s has addresses of %s, which is %s: no subnet has them as its own (RFC 3306 "
                    "section 4); use a prefix that is yours",
                    text, s->prefix, s->what);
    if (value > s->widest)
      return refuse(error,
                    "%s has addresses of %s, which is %s: multicast addresses made of it have a "
                    "scope value of at most %x (RFC 3306 section 4), and this scope has %x; name a "
                    "smaller scope, or use a global prefix",
                    text, s->prefix, s->what, s->widest, value);
  }
  return true;
}

static bool derive6(MalPrefix prefix, const MalScope *scope, MalDerived *out, GError **error)
{
  char text[PREFIX_STRLEN];
  unsigned value;
  prefix_text(prefix, text);
  if (!check_prefix6(prefix, text, error) || !read_scope_value(scope, &value, error) ||
      !check_reach6(prefix, text, value, error) || !check_group_ids(scope, error))
    return false;
  /* ff2 and the reserved bits are 0, and so are the bits of the network prefix field behind
     plen. */
  uint32_t head = UINT32_C(0xff) << 24 | FLAGS_PT << 20 | value << 16 | prefix.length;
  MalU128 group = (MalU128)head << 96 | (prefix.address.value >> NETWORK_BITS) << 32;
  out->span = mal_span_of_prefix((MalPrefix){ mal_address_make(MAL_IPV6, group), 96 });
  g_snprintf(out->from, sizeof out->from, "%s (RFC 3306)", text);
  return true;
}

bool mal_derive_unicast(MalPrefix prefix, const MalScope *scope, MalDerived *out, GError **error)
{
  char text[PREFIX_STRLEN];
  if (prefix.address.family != scope->span.first.family)
    return refuse(error,
                  "%s is of another family than [scope %s], which is %s; name a scope of its "
                  "family",
                  prefix_text(prefix, text), scope->id, mal_family_name(scope->span.first.family));
  return prefix.address.family == MAL_IPV4 ? derive4(prefix, out, error)
                                           : derive6(prefix, scope, out, error);
}
