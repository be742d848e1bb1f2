/* Ranges that follow from an AS number or a unicast prefix: each rule of the documents as a row,
   and the places that their errors name in a configuration. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/conf.h"
#include "core/derive.h"

static MalAddress address_of(const char *text)
{
  MalAddress address = mal_address_none();
  cr_assert(mal_address_parse(text, &address, NULL), "%s", text);
  return address;
}

static void expect_span(const MalDerived *d, const char *span, const char *from, const char *what)
{
  char text[MAL_SPAN_STRLEN];
  cr_expect_str_eq(mal_span_format(d->span, text), span, "%s: %s", what, text);
  cr_expect_str_eq(d->from, from, "%s: %s", what, d->from);
}

static void expect_refused(bool ok, const GError *error, const char *const *says, const char *what)
{
  cr_expect_not(ok, "accepted: %s", what);
  cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_CONFIG), "%s", what);
  for (; error && *says; says++)
    cr_expect(strstr(error->message, *says), "%s: '%s' is not in: %s", what, *says,
              error->message);
}

/* ---- GLOP ------------------------------------------------------------------------------------ */

static const struct {
  int64_t as;
  const char *span;           /* NULL: refused */
  const char *says[4];
} glop[] = {
  /* RFC 3180 3.1: the example there */
  { 5662, "233.22.30.0-233.22.30.255", { "AS 5662 (RFC 3180)" } },
  /* RFC 3180 3, RFC 5771 9: the high-order octet is the second octet, the low-order the third */
  { 1, "233.0.1.0-233.0.1.255", { "AS 1 (RFC 3180)" } },
  { 256, "233.1.0.0-233.1.0.255", { "AS 256 (RFC 3180)" } },
  { 23455, "233.91.159.0-233.91.159.255", { "AS 23455 (RFC 3180)" } },
  { 23457, "233.91.161.0-233.91.161.255", { "AS 23457 (RFC 3180)" } },
  { 64495, "233.251.239.0-233.251.239.255", { "AS 64495 (RFC 3180)" } },
  /* RFC 6676 2.2: the first and the last for documentation */
  { 64496, "233.251.240.0-233.251.240.255", { "AS 64496 (RFC 3180)" } },
  { 64511, "233.251.255.0-233.251.255.255", { "AS 64511 (RFC 3180)" } },
  /* RFC 3180 4: a previously assigned AS number */
  { 0, NULL, { "AS 0 is reserved", "that a registry gave you" } },
  { 23456, NULL, { "AS 23456 is nobody's", "RFC 6793", "use unicast-prefix" } },
  /* RFC 3180 4.1, RFC 5771 9.2: what was EGLOP is AD-HOC Block III */
  { 64512, NULL, { "AS 64512 is for private use", "233.252.0.0/14", "AD-HOC Block III",
                   "239.0.0.0/8" } },
  { 65534, NULL, { "AS 65534 is for private use", "RFC 5771 section 9.2" } },
  { 65535, NULL, { "AS 65535 is reserved", "RFC 5771 section 9.2" } },
  /* RFC 3180 5: two octets only */
  { 65536, NULL, { "AS 65536 has 32 bits", "RFC 3180 section 5", "RFC 6034; RFC 3306",
                   "RFC 5771 section 9" } },
  { 4200000000, NULL, { "AS 4200000000 has 32 bits" } },
  { 4294967295, NULL, { "AS 4294967295 has 32 bits" } },
  { 4294967296, NULL, { "4294967296 is no AS number; write yours, from 1 to 64511" } },
  { -1, NULL, { "-1 is no AS number" } },
  { INT64_MIN, NULL, { "is no AS number" } },
};

Test(derive, rfc3180_glop)
{
  for (size_t i = 0; i < G_N_ELEMENTS(glop); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *what = g_strdup_printf("AS %" G_GINT64_FORMAT, glop[i].as);
    MalDerived d;
    const char *says[G_N_ELEMENTS(glop[i].says) + 1] = { NULL };
    memcpy(says, glop[i].says, sizeof glop[i].says);
    bool ok = mal_derive_glop(glop[i].as, &d, &error);
    if (glop[i].span) {
      cr_assert(ok, "%s: %s", what, error ? error->message : "");
      expect_span(&d, glop[i].span, says[0], what);
    } else {
      expect_refused(ok, error, says, what);
    }
  }
}

/* What any number that is taken gives is in the GLOP block (RFC 5771 3), and no other's. */
Test(derive, rfc5771_9_every_as_number_has_its_own)
{
  uint32_t before = UINT32_C(233) << 24 | 0xff;
  unsigned taken = 0;
  for (int64_t as = 0; as < 70000; as++) {
    MalDerived d;
    if (!mal_derive_glop(as, &d, NULL))
      continue;
    taken++;
    cr_assert(d.span.first.value > before && d.span.last.value - d.span.first.value == 255);
    before = (uint32_t)d.span.last.value;
  }
  cr_assert_eq(taken, 64510, "all but AS_TRANS from 1 to 64511: %u", taken);
  cr_assert_eq(before, UINT32_C(0xe9fbffff), "233.251.255.255");
}

/* ---- unicast prefixes ------------------------------------------------------------------------ */

static MalScope scope_of(const char *first, const char *last)
{
  return (MalScope){ .id = (char *)"s",
                     .span = { address_of(first), address_of(last) },
                     .group_id_first = 0x80000000,
                     .group_id_last = 0x8fffffff };
}

typedef struct {
  const char *prefix;
  const char *span;           /* NULL: refused */
  const char *says[4];        /* or [0]: what it is derived from */
} Row;

static void check_rows(const Row *rows, size_t n, const MalScope *scope)
{
  for (size_t i = 0; i < n; i++) {
    g_autoptr(GError) error = NULL;
    MalPrefix prefix;
    MalDerived d;
    const char *says[G_N_ELEMENTS(rows[i].says) + 1] = { NULL };
    memcpy(says, rows[i].says, sizeof rows[i].says);
    cr_assert(mal_prefix_parse(rows[i].prefix, &prefix, &error), "%s", rows[i].prefix);
    bool ok = mal_derive_unicast(prefix, scope, &d, &error);
    if (rows[i].span) {
      cr_assert(ok, "%s: %s", rows[i].prefix, error ? error->message : "");
      expect_span(&d, rows[i].span, says[0], rows[i].prefix);
    } else {
      expect_refused(ok, error, says, rows[i].prefix);
    }
  }
}

#define RULE "only a global unicast prefix gives multicast addresses (RFC 6034 section 3)"

static const Row ubm[] = {
  /* RFC 6034 4: the examples there */
  { "192.0.2.0/24", "234.192.0.2", { "192.0.2.0/24 (RFC 6034)" } },
  { "198.51.0.0/16", "234.198.51.0-234.198.51.255", { "198.51.0.0/16 (RFC 6034)" } },
  /* RFC 6676 2.3 */
  { "198.51.100.0/24", "234.198.51.100", { "198.51.100.0/24 (RFC 6034)" } },
  { "203.0.113.0/24", "234.203.0.113", { "203.0.113.0/24 (RFC 6034)" } },
  /* RFC 6034 3: a /24 or shorter, appended to the common /8 */
  { "198.51.96.0/23", "234.198.51.96-234.198.51.97", { "198.51.96.0/23 (RFC 6034)" } },
  { "202.0.0.0/8", "234.202.0.0-234.202.255.255", { "202.0.0.0/8 (RFC 6034)" } },
  { "96.0.0.0/4", NULL, { "96.0.0.0/4 has addresses of 100.64.0.0/10" } },
  { "198.51.100.0/25", NULL, { "198.51.100.0/25: prefixes of more than 24 bits", "use a shorter",
                               "or glop" } },
  { "198.51.100.1/32", NULL, { "more than 24 bits" } },
  /* RFC 6034 3: no loopback, multicast, link-local, or private-use space; nor what isn't routed */
  { "0.0.0.0/0", NULL, { "0.0.0.0/0 has addresses of 0.0.0.0/8", RULE } },
  { "0.1.0.0/16", NULL, { "this network", RULE } },
  { "10.0.0.0/8", NULL, { "10.0.0.0/8, which is private (RFC 1918)", RULE, "239.0.0.0/8" } },
  { "10.9.8.0/24", NULL, { "private (RFC 1918)", RULE } },
  { "8.0.0.0/6", NULL, { "8.0.0.0/6 has addresses of 10.0.0.0/8", RULE } },
  { "11.0.0.0/24", "234.11.0.0", { "11.0.0.0/24 (RFC 6034)" } },
  { "100.64.0.0/16", NULL, { "shared by carriers", RULE } },
  { "100.63.255.0/24", "234.100.63.255", { "100.63.255.0/24 (RFC 6034)" } },
  { "100.128.0.0/24", "234.100.128.0", { "100.128.0.0/24 (RFC 6034)" } },
  { "127.0.0.0/16", NULL, { "loopback", RULE } },
  { "169.254.7.0/24", NULL, { "link-local", RULE } },
  { "172.31.0.0/16", NULL, { "private", RULE } },
  { "172.32.0.0/16", "234.172.32.0-234.172.32.255", { "172.32.0.0/16 (RFC 6034)" } },
  { "192.0.0.0/24", NULL, { "for protocols", RULE } },
  { "192.168.7.0/24", NULL, { "private", RULE } },
  { "198.19.0.0/16", NULL, { "for benchmarks", RULE } },
  { "224.0.1.0/24", NULL, { "multicast", RULE } },
  { "239.255.0.0/16", NULL, { "multicast", RULE } },
  { "223.255.255.0/24", "234.223.255.255", { "223.255.255.0/24 (RFC 6034)" } },
  { "240.0.0.0/8", NULL, { "reserved", RULE } },
  { "255.255.255.0/24", NULL, { "reserved", RULE } },
  { "2001:db8::/48", NULL, { "2001:db8::/48 is of another family than [scope s], which is ipv4" } },
};

Test(derive, rfc6034_3_ipv4_unicast_prefixes)
{
  MalScope scope = scope_of("234.0.0.0", "234.255.255.255");
  check_rows(ubm, G_N_ELEMENTS(ubm), &scope);
}

/* RFC 3306 as RFC 7371 has it, for a scope of value e. */
static const Row global6[] = {
  /* RFC 3306 7: a network with the example's length */
  { "2001:db8:1::/48", "ff3e:30:2001:db8:1::-ff3e:30:2001:db8:1:0:ffff:ffff",
    { "2001:db8:1::/48 (RFC 3306)" } },
  /* RFC 6676 3.1: the prefixes for documentation */
  { "2001:db8:dead:beef::/64",
    "ff3e:40:2001:db8:dead:beef::-ff3e:40:2001:db8:dead:beef:ffff:ffff",
    { "2001:db8:dead:beef::/64 (RFC 3306)" } },
  /* RFC 3306 4: bits of the field behind plen are zero */
  { "2001:db8::/32", "ff3e:20:2001:db8::-ff3e:20:2001:db8::ffff:ffff",
    { "2001:db8::/32 (RFC 3306)" } },
  /* RFC 3306 4: plen says how many bits count: the same field, another range */
  { "2001:db8::/33", "ff3e:21:2001:db8::-ff3e:21:2001:db8::ffff:ffff",
    { "2001:db8::/33 (RFC 3306)" } },
  { "3000::/4", "ff3e:4:3000::-ff3e:4:3000::ffff:ffff", { "3000::/4 (RFC 3306)" } },
  /* RFC 3306 4: at most 64 bits */
  { "2001:db8::/65", NULL, { "2001:db8::/65", "room for 64 bits", "RFC 3306 section 4" } },
  { "2001:db8::7/128", NULL, { "room for 64 bits", "use the /64 of the subnet" } },
  /* RFC 3306 6: plen 0 is source-specific multicast */
  { "::/0", NULL, { "source-specific multicast (RFC 3306 section 6)" } },
  /* RFC 3306 4: a prefix assigned to the domain */
  { "::/64", NULL, { "unspecified, loopback", "no subnet has them" } },
  { "64:ff9b:1::/48", NULL, { "::/8" } },
  { "100::/64", NULL, { "100::/64, which is discarded (RFC 6666)" } },
  { "100:0:0:2::/64", "ff3e:40:100::2:0:0-ff3e:40:100::2:ffff:ffff",
    { "100:0:0:2::/64 (RFC 3306)" } },
  { "2001::/32", NULL, { "2001::/23, which is for protocols (RFC 2928)" } },
  { "2001:2::/48", NULL, { "2001::/23" } },
  { "2001:200::/32", "ff3e:20:2001:200::-ff3e:20:2001:200::ffff:ffff",
    { "2001:200::/32 (RFC 3306)" } },
  { "2000::/3", NULL, { "2000::/3 has addresses of 2001::/23" } },
  { "5f00:1::/32", NULL, { "5f00::/16, which is for segment identifiers (RFC 9602)" } },
  { "ff3e::/32", NULL, { "ff00::/8, which is multicast" } },
  { "f000::/4", NULL, { "f000::/4 has addresses of fc00::/7" } },
  { "fec0:0:0:1::/64", NULL, { "fec0::/10", "RFC 3879" } },
  /* RFC 3306 4: the scope doesn't exceed that of the unicast prefix */
  { "fd00:0:0:1::/64", NULL, { "unique local", "at most d", "this scope has e",
                               "RFC 3306 section 4" } },
  { "fe80::/64", NULL, { "link-local", "at most 2" } },
  { "198.51.100.0/24", NULL, { "198.51.100.0/24 is of another family than [scope s]", "ipv6" } },
};

Test(derive, rfc3306_4_ipv6_unicast_prefixes)
{
  MalScope scope = scope_of("ff3e::", "ff3e:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  check_rows(global6, G_N_ELEMENTS(global6), &scope);
}

/* Which scope values a prefix is taken with: its own reach and all below. */
static const struct {
  const char *prefix;
  unsigned widest;
} reaches[] = { { "2001:db8::/48", 0xe }, { "fd00:0:0:1::/64", 0xd }, { "fe80::/64", 2 } };

Test(derive, rfc3306_4_scope_does_not_exceed_the_prefix)
{
  for (size_t i = 0; i < G_N_ELEMENTS(reaches); i++)
    for (unsigned x = 0; x < 16; x++) {
      g_autoptr(GError) error = NULL;
      g_autofree char *at = g_strdup_printf("ff3%x::", x);
      MalScope scope = scope_of(at, at);
      MalPrefix prefix;
      MalDerived d;
      cr_assert(mal_prefix_parse(reaches[i].prefix, &prefix, NULL));
      bool ok = mal_derive_unicast(prefix, &scope, &d, &error);
      cr_expect_eq(ok, x > 0 && x <= reaches[i].widest, "%s in %s: %s", reaches[i].prefix, at,
                   error ? error->message : "taken");
      if (ok)
        cr_expect_eq((unsigned)(d.span.first.value >> 112), 0xff30 | x);
      else if (x == 0 || x == 0xf)
        cr_expect(strstr(error->message, "which is reserved (RFC 4291 section 2.7)"), "%s",
                  error->message);
    }
}

/* RFC 7371 4.1.1: P and T are set, X, R and all of ff2 are zero, whatever flags the scope has. */
Test(derive, rfc7371_4_1_flags)
{
  static const char *const scopes[] = { "ff3e::", "ff7e:130::", "ffbe::", "ff1e::", "ff3e:8000::" };
  for (size_t i = 0; i < G_N_ELEMENTS(scopes); i++) {
    MalScope scope = scope_of(scopes[i], scopes[i]);
    MalPrefix prefix;
    MalDerived d;
    cr_assert(mal_prefix_parse("2001:db8:1::/48", &prefix, NULL));
    cr_assert(mal_derive_unicast(prefix, &scope, &d, NULL));
    cr_expect_eq((uint32_t)(d.span.first.value >> 96), UINT32_C(0xff3e0030), "%s", scopes[i]);
  }
}

Test(derive, rfc3306_4_one_scope_value)
{
  static const Row row = { "2001:db8::/48", NULL, { "begins with scope value 5 and ends with e" } };
  MalScope scope = scope_of("ff35::", "ff3e::ffff:ffff");
  check_rows(&row, 1, &scope);
}

static const struct {
  uint32_t first, last;
  const char *says;           /* NULL: taken */
} ids[] = {
  { 0x80000000, 0x8fffffff, NULL },
  { 0x80001000, 0x80001fff, NULL },
  { 0xfd000000, 0xfdffffff, NULL },
  { 0xfd000000, 0xfeffffff, NULL },
  { 0x3fffffff, 0x3fffffff, "00000000-3fffffff, which are for permanent addresses" },
  { 0x00000001, 0xffffffff, "RFC 3307 section 4.1" },
  { 0x7fffffff, 0x80000000, "40000000-7fffffff, which are permanent group identifiers" },
  { 0x40404040, 0x40404040, "RFC 3307 section 4.2" },
  { 0x80000000, 0x90000000, "90000000-efffffff, which are unassigned" },
  { 0x80000000, 0xffffffff, "unassigned" },
  { 0xf0000000, 0xf0000000, "for hosts that choose SSM groups" },
  { 0xfcffffff, 0xfd000000, "for hosts that choose SSM groups" },
  { 0xfeffffff, 0xff000000, "ff000000-ffffffff, which are solicited-node addresses" },
};

Test(derive, rfc10028_3_group_identifiers)
{
  for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
    MalScope scope = scope_of("ff3e::", "ff3e:ffff::");
    scope.group_id_first = ids[i].first;
    scope.group_id_last = ids[i].last;
    Row row = { "2001:db8::/48",
                ids[i].says ? NULL : "ff3e:30:2001:db8::-ff3e:30:2001:db8::ffff:ffff",
                { ids[i].says ? ids[i].says : "2001:db8::/48 (RFC 3306)" } };
    check_rows(&row, 1, &scope);
  }
}

/* ---- in a configuration ---------------------------------------------------------------------- */

static MalPlan *plan_of(const char *text, GError **error)
{
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config = mal_config_parse(schema, text, strlen(text), "t", error);
  MalPlan *plan = config ? mal_plan_from_config(config, error) : NULL;
  mal_conf_schema_free(schema);
  return plan;
}

#define SCOPE(name, family, first, last)                                                           \
  "[scope " name "]\nfamily=" family "\nfirst=" first "\nlast=" last "\n"
#define GLOP SCOPE("glop", "ipv4", "233.0.0.0", "233.255.255.255")
#define UBM SCOPE("ubm", "ipv4", "234.0.0.0", "234.255.255.255")
#define SIX SCOPE("six", "ipv6", "ff3e::", "ff3e:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
/* lines 5, 6, 7 behind one scope */
#define RANGE(name, scope, line) "[range " name "]\nscope=" scope "\n" line "\n"

Test(derive, ranges_of_a_configuration)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(MalPlan) p = plan_of(
      GLOP UBM SIX RANGE("a", "glop", "glop = 64501") "until=2030-01-01T00:00:00Z\n"
                                                      "exclude=233.251.245.7\n"
      RANGE("b", "ubm", "unicast-prefix = 198.51.0.0/16")
      RANGE("c", "six", "unicast-prefix = 2001:db8::/48")
      RANGE("d", "glop", "first = 233.252.0.0\nlast = 233.252.0.255"),
      &error);
  cr_assert_not_null(p, "%s", error ? error->message : "");
  static const char *const spans[] = { "233.251.245.0-233.251.245.255",
                                       "234.198.51.0-234.198.51.255",
                                       "ff3e:30:2001:db8::-ff3e:30:2001:db8::ffff:ffff",
                                       "233.252.0.0-233.252.0.255" };
  static const char *const from[] = { "AS 64501 (RFC 3180)", "198.51.0.0/16 (RFC 6034)",
                                      "2001:db8::/48 (RFC 3306)", NULL };
  for (size_t i = 0; i < G_N_ELEMENTS(spans); i++) {
    const MalStaticRange *r = p->ranges->pdata[i];
    char text[MAL_SPAN_STRLEN];
    cr_expect_str_eq(mal_span_format(r->span, text), spans[i]);
    cr_expect(g_strcmp0(r->derived_from, from[i]) == 0, "%s", r->derived_from);
  }
  const MalStaticRange *a = p->ranges->pdata[0];
  cr_assert(a->until == 1893456000 && a->excludes->len == 1);
}

static const struct {
  const char *text;
  const char *says[4];
} bad[] = {
  { GLOP RANGE("a", "glop", "glop = 65536"), { "t:7: [range a] glop: AS 65536 has 32 bits" } },
  { GLOP RANGE("a", "glop", "glop = AS64501"), { "t:7: [range a] glop: 'AS64501' is not a" } },
  { GLOP RANGE("a", "glop", "glop = 1.10"), { "t:7: [range a] glop: '1.10' is not a whole" } },
  { GLOP RANGE("a", "glop", "glop ="), { "t:7: [range a] glop: ", "has no value" } },
  { UBM RANGE("a", "ubm", "unicast-prefix = 10.0.0.0/8"),
    { "t:7: [range a] unicast-prefix: ", RULE } },
  { UBM RANGE("a", "ubm", "unicast-prefix = 198.51.100.0"),
    { "t:7: [range a] unicast-prefix: ", "198.51.100.0", "address/length" } },
  { UBM RANGE("a", "ubm", "unicast-prefix = 198.51.100.1/24"),
    { "t:7: [range a] unicast-prefix: ", "bits are set behind the prefix length" } },
  { UBM RANGE("a", "ubm", "unicast-prefix = 203.0.0.0/7"),
    { "t:7: [range a] unicast-prefix: ", "bits are set behind the prefix length" } },
  { UBM RANGE("a", "ubm", "unicast-prefix = 2001:db8::/48"),
    { "t:7: [range a] unicast-prefix: ", "of another family than [scope ubm], which is ipv4" } },
  { SIX "group-ids = 1-ff\n" RANGE("a", "six", "unicast-prefix = 2001:db8::/48"),
    { "t:8: [range a] unicast-prefix: ", "group-ids of [scope six]", "RFC 3307 section 4.1" } },
  /* what was derived, and where it has no place */
  { UBM RANGE("a", "ubm", "glop = 64501"),
    { "t:7: [range a] glop: ", "AS 64501 (RFC 3180) gives 233.251.245.0-233.251.245.255",
      "not within 234.0.0.0-234.255.255.255 of t:1: [scope ubm]", "name another scope" } },
  { SIX RANGE("a", "six", "glop = 64501"),
    { "t:7: [range a] glop: ", "gives 233.251.245.0-233.251.245.255", "[scope six]" } },
  { GLOP RANGE("a", "glop", "unicast-prefix = 198.51.100.0/24"),
    { "t:7: [range a] unicast-prefix: ", "198.51.100.0/24 (RFC 6034) gives 234.198.51.100",
      "[scope glop]" } },
  /* the flags of the scope are others (RFC 7371 4.1.1) */
  { SCOPE("s", "ipv6", "ff1e::", "ff1e:ffff::") RANGE("a", "s", "unicast-prefix = 2001:db8::/48"),
    { "t:7: [range a] unicast-prefix: ", "gives ff3e:30:2001:db8::-", "not within ff1e::-" } },
  { SCOPE("s", "ipv6", "ff3e:30:2001:db8::8000:0", "ff3e:30:2001:db8::8fff:ffff")
        RANGE("a", "s", "unicast-prefix = 2001:db8::/48"),
    { "t:7: [range a] unicast-prefix: ", "let that scope hold it" } },
  /* one way to say which addresses */
  { GLOP RANGE("a", "glop", "glop = 64501\nfirst = 233.251.245.0"),
    { "t:8: [range a] first: ", "follow from glop; remove one of the two" } },
  { GLOP RANGE("a", "glop", "last = 233.251.245.0\nglop = 64501"),
    { "t:7: [range a] last: ", "follow from glop" } },
  { UBM RANGE("a", "ubm", "unicast-prefix=198.51.100.0/24\nfirst=234.0.0.0\nlast=234.0.0.9"),
    { "t:8: [range a] first: ", "follow from unicast-prefix" } },
  { GLOP RANGE("a", "glop", "glop = 64501\nunicast-prefix = 198.51.100.0/24"),
    { "t:8: [range a] unicast-prefix: ", "there is glop besides", "a [range] of its own" } },
  { GLOP RANGE("a", "glop", "glop = 64501\nglop = 64502"), { "t:8: ", "glop" } },
  { GLOP "[range a]\nscope=glop\n",
    { "t:5: [range a]: ", "the key 'first' is missing", "glop, or unicast-prefix" } },
  { GLOP RANGE("a", "glop", "first = 233.0.1.0"),
    { "t:5: [range a]: ", "the key 'last' is missing" } },
  { GLOP RANGE("a", "glop", "last = 233.0.1.0"),
    { "t:5: [range a]: ", "the key 'first' is missing" } },
  { GLOP RANGE("a", "glop", "glob = 64501"),
    { "t:7: [range a] glob: ", "did you mean 'glop'?" } },
  /* the keys of every range */
  { GLOP RANGE("a", "glop", "glop = 64501\nexclude = 233.251.246.0"),
    { "t:8: [range a] exclude: ", "not within the range, 233.251.245.0-233.251.245.255" } },
  { GLOP RANGE("a", "glop", "glop = 64501\nexclude = 233.251.245.0/24"),
    { "t:5: [range a]: ", "exclude and [reserve]s take all" } },
  { GLOP RANGE("a", "glop", "glop = 64501") RANGE("b", "glop", "glop = 64501"),
    { "t:8: [range b]: ", "overlaps", "t:5: [range a]" } },
  { UBM RANGE("a", "ubm", "unicast-prefix = 198.51.0.0/16")
        RANGE("b", "ubm", "unicast-prefix = 198.51.100.0/24"),
    { "t:8: [range b]: ", "234.198.51.100 overlaps 234.198.51.0-234.198.51.255" } },
  /* RFC 2365 9: a scope of its own is too small, and the last of the block needs room above */
  { SCOPE("s", "ipv4", "233.251.245.0", "233.251.245.255") RANGE("a", "s", "glop = 64501"),
    { "t:5: [range a]: ", "233.251.245.0-233.251.245.255, which follows from AS 64501 (RFC 3180), "
      "holds nothing to lease", "highest 256 addresses of t:1: [scope s]",
      "233.0.0.0 to 233.255.255.255" } },
  { SCOPE("s", "ipv4", "233.0.0.0", "233.251.255.255") RANGE("a", "s", "glop = 64511"),
    { "t:5: [range a]: ", "let the scope reach further up" } },
  { SCOPE("s", "ipv4", "234.198.51.0", "234.198.51.255")
        RANGE("a", "s", "unicast-prefix = 198.51.100.0/24"),
    { "t:5: [range a]: ", "highest 256", "234.0.0.0 to 234.255.255.255" } },
  /* RFC 1112 6.4: 233.128.0.0/24 and 234.128.0.0 share their Ethernet groups with 224.0.0.0/24 */
  { GLOP RANGE("a", "glop", "glop = 32768"),
    { "t:5: [range a]: ", "AS 32768 (RFC 3180)", "224.0.0.x, which switches flood" } },
  { UBM RANGE("a", "ubm", "unicast-prefix = 128.0.7.0/24"),
    { "t:5: [range a]: ", "holds nothing to lease", "switches flood" } },
};

Test(derive, what_a_configuration_may_not_say)
{
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MalPlan) p = plan_of(bad[i].text, &error);
    const char *message = error ? error->message : "(no error)";
    cr_expect_null(p, "accepted: %s", bad[i].text);
    cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_CONFIG));
    cr_expect(g_str_has_prefix(message, bad[i].says[0]), "%s: %s", bad[i].text, message);
    for (size_t k = 0; k < G_N_ELEMENTS(bad[i].says) && bad[i].says[k]; k++)
      cr_expect(strstr(message, bad[i].says[k]), "'%s' is not in: %s", bad[i].says[k], message);
  }
}

static const char *const good[] = {
  SCOPE("s", "ipv4", "233.0.0.0", "233.251.255.255") RANGE("a", "s", "glop = 64501"),
  GLOP RANGE("a", "glop", "glop = 64511"),
  GLOP RANGE("a", "glop", "glop = 64501") RANGE("b", "glop", "glop = 64502"),
  /* RFC 6034 1: both are allowed; and prefixes of several lengths, which are different ranges */
  GLOP UBM RANGE("a", "glop", "glop = 64501") RANGE("b", "ubm", "unicast-prefix=198.51.100.0/24"),
  SIX RANGE("a", "six", "unicast-prefix = 2001:db8::/32")
      RANGE("b", "six", "unicast-prefix = 2001:db8::/48")
      RANGE("c", "six", "unicast-prefix = 2001:db8:0:1::/64"),
  /* a scope that is the derived prefix itself, and one for private use of group identifiers */
  SCOPE("s", "ipv6", "ff3e:30:2001:db8::", "ff3e:30:2001:db8::ffff:ffff")
      RANGE("a", "s", "unicast-prefix = 2001:db8::/48"),
  SCOPE("s", "ipv6", "ff38::", "ff38:ffff::") "group-ids = fd000000-fdffffff\n"
      RANGE("a", "s", "unicast-prefix = fd00:0:0:1::/64"),
  /* group-ids of a scope without such ranges are the operator's */
  SIX "group-ids = 1-ff\n" RANGE("a", "six", "first = ff3e:30:2001:db8::\n"
                                             "last = ff3e:30:2001:db8::ffff"),
};

Test(derive, what_a_configuration_may_say)
{
  for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MalPlan) p = plan_of(good[i], &error);
    cr_expect_not_null(p, "%s: %s", good[i], error ? error->message : "");
  }
}
