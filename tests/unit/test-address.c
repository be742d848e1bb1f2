#include "core/address.h"

#include <criterion/criterion.h>
#include <string.h>

#define U128_MAX (~(MalU128)0)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static MalAddress addr(const char *text)
{
  MalAddress a = mal_address_none();
  g_autoptr(GError) error = NULL;
  bool ok = mal_address_parse(text, &a, &error);
  cr_assert(ok, "%s: %s", text, error != NULL ? error->message : "");
  return a;
}

static MalSpan span(const char *text)
{
  MalSpan s = { 0 };
  g_autoptr(GError) error = NULL;
  bool ok = mal_span_parse(text, &s, &error);
  cr_assert(ok, "%s: %s", text, error != NULL ? error->message : "");
  return s;
}

Test(address, text_round_trip_rfc5952)
{
  static const struct { const char *in, *out;
  } cases[] = {
    { "0.0.0.0", NULL },
    { "255.255.255.255", NULL },
    { "233.252.0.9", NULL },
    { "10.0.100.200", NULL },
    { "::", NULL },
    { "::1", NULL },
    { "1::", NULL },
    { "ff02::db8:0:1", NULL },
    { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
    { "0:0:0:0:0:0:0:0", "::" },
    { "2001:DB8::00A0", "2001:db8::a0" },
    { "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" }, /* the first of equal runs (4.2.3) */
    { "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },       /* the longest run */
    /* one group is not shortened (4.2.2) */
    { "2001:db8:0:1:1:1:1:1", NULL },
    { "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
    { "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
    { "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
    { "1:0:0:4:5:6:0:0", "1::4:5:6:0:0" },
    { "0:0:3:4:5:0:0:0", "0:0:3:4:5::" },
    { "::ffff:192.0.2.1", NULL },
    { "::ffff:c000:201", "::ffff:192.0.2.1" },
    { "64:ff9b::192.0.2.33", "64:ff9b::c000:221" },
    { "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
    { "::1.2.3.4", "::102:304" },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    char text[MAL_ADDRESS_STRLEN];
    MalAddress a = addr(cases[i].in);
    const char *want = cases[i].out != NULL ? cases[i].out : cases[i].in;
    cr_expect_str_eq(mal_address_format(a, text), want, "%s gave %s", cases[i].in, text);
    cr_expect(mal_address_equal(addr(text), a), "%s", text);
  }
}

Test(address, refused_text)
{
  static const struct { const char *in, *says;
  } cases[] = {
    { "", "missing" },
    { " ", "not an IPv4" },
    { "1.2.3", "not an IPv4" },
    { "1.2.3.4.5", "not an IPv4" },
    { "1.2.3.256", "0 to 255" },
    { "1.2.3.04", "not an IPv4" },
    { "1.2.3.", "not an IPv4" },
    { ".1.2.3", "not an IPv4" },
    { "1..2.3", "not an IPv4" },
    { "1.2.3.4 ", "not an IPv4" },
    { "+1.2.3.4", "not an IPv4" },
    { "0x1.2.3.4", "not an IPv4" },
    { "localhost", "not an IPv4" },
    { "1.2.3.99999999999999999999", "not an IPv4" },
    { "00.0.0.0", "not an IPv4" },
    { ":", "not an IPv6" },
    { ":::", "not an IPv6" },
    { ":1", "not an IPv6" },
    { "1:", "not an IPv6" },
    { "1::2::3", "not an IPv6" },
    { "1:::2", "not an IPv6" },
    { "1:2:3:4:5:6:7", "not an IPv6" },
    { "1:2:3:4:5:6:7:8:9", "not an IPv6" },
    { "1:2:3:4::5:6:7:8", "not an IPv6" },
    { "12345::", "not an IPv6" },
    { "g::", "not an IPv6" },
    { "1:2:3:4:5:6:7:1.2.3.4", "not an IPv6" },
    { "1.2.3.4::", "not an IPv6" },
    { "::1.2.3", "not an IPv6" },
    { "fe80::1%1", "not an IPv6" },
    { "1:2:3:4:5:6:7:", "not an IPv6" },
    { "\x01\x7f", "\"\\001\\177\"" },
    { "111111111111111111111111111111111111111111111111111111111111111111111", "11...\"" },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalAddress a = mal_address_ipv4(7);
    g_autoptr(GError) error = NULL;
    cr_expect_not(mal_address_parse(cases[i].in, &a, &error), "%s", cases[i].in);
    cr_assert_not_null(error);
    cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_INVALID));
    cr_expect_not_null(strstr(error->message, cases[i].says), "%s: %s", cases[i].in,
                       error->message);
    cr_expect_eq(a.value, 7, "untouched");
  }
}

Test(address, every_ipv4_octet_round_trips)
{
  for (uint32_t v = 0; v < 256; v++)
    for (int shift = 0; shift < 32; shift += 8) {
      char text[MAL_ADDRESS_STRLEN];
      MalAddress a = mal_address_ipv4(v << shift);
      cr_assert(mal_address_equal(addr(mal_address_format(a, text)), a), "%s", text);
    }
}

Test(address, bytes)
{
  uint8_t out[16], in[17] = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd, 0xb8, 0, 1, 9 };
  MalAddress six = mal_address_from_bytes(MAL_IPV6, in, 16);
  cr_expect(mal_address_equal(six, addr("ff02::db8:1")));
  cr_expect_eq(mal_address_to_bytes(six, out), 16);
  cr_expect_arr_eq(out, in, 16);
  cr_expect_eq(mal_address_to_bytes(addr("233.252.0.1"), out), 4);
  cr_expect_arr_eq(out, "\xe9\xfc\x00\x01", 4);
  cr_expect_eq(mal_address_to_bytes(mal_address_none(), out), 0);
  static const struct { MalFamily family; size_t length;
  } wrong[] = {
    { MAL_IPV4, 0 },        { MAL_IPV4, 3 },     { MAL_IPV4, 5 },  { MAL_IPV4, 16 },
    { MAL_IPV6, 4 },        { MAL_IPV6, 15 },    { MAL_IPV6, 17 }, { MAL_FAMILY_NONE, 0 },
    { MAL_FAMILY_NONE, 4 }, { (MalFamily)3, 4 },
  };
  for (size_t i = 0; i < COUNT(wrong); i++)
    cr_expect_eq(mal_address_from_bytes(wrong[i].family, in, wrong[i].length).family,
                 MAL_FAMILY_NONE);
}

Test(address, arithmetic_keeps_within_the_family)
{
  const MalAddress v4 = mal_address_ipv4(UINT32_MAX), v6 = mal_address_make(MAL_IPV6, U128_MAX);
  const MalAddress zero4 = mal_address_ipv4(0), zero6 = mal_address_make(MAL_IPV6, 0);
  static const MalU128 big = (MalU128)1 << 32;
  struct { MalAddress a; MalU128 n; bool add, sub;
  } cases[] = {
    { v4, 0, true, true },
    { v4, 1, false, true },
    { v4, UINT32_MAX, false, true },
    { v4, big, false, false },
    { v4, U128_MAX, false, false },
    { zero4, UINT32_MAX, true, false },
    { zero4, big, false, false },
    { zero4, 0, true, true },
    { zero4, 1, true, false },
    { v6, 0, true, true },
    { v6, 1, false, true },
    { v6, U128_MAX, false, true },
    { zero6, U128_MAX, true, false },
    { zero6, big, true, false },
    { mal_address_none(), 0, false, false },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalAddress out = mal_address_ipv4(4711), back;
    cr_expect_eq(mal_address_add(cases[i].a, cases[i].n, &out), cases[i].add, "add %zu", i);
    if (cases[i].add) {
      cr_expect(mal_address_sub(out, cases[i].n, &back));
      cr_expect(mal_address_equal(back, cases[i].a));
    } else
      cr_expect_eq(out.value, 4711);
    cr_expect_eq(mal_address_sub(cases[i].a, cases[i].n, &out), cases[i].sub, "sub %zu", i);
  }
  cr_expect_eq(mal_address_make(MAL_IPV4, big).family, MAL_FAMILY_NONE);
  cr_expect_eq(mal_address_make(MAL_IPV4, big - 1).family, MAL_IPV4);
  cr_expect_eq(mal_address_make(MAL_FAMILY_NONE, 1).value, 0);
  cr_expect_eq(mal_address_make((MalFamily)9, 0).family, MAL_FAMILY_NONE);
}

Test(address, compare_multicast_family)
{
  cr_expect_lt(mal_address_compare(addr("255.255.255.255"), addr("::")), 0);
  cr_expect_gt(mal_address_compare(addr("::1:0:0:0:0"), addr("::ffff:ffff:ffff:ffff")), 0);
  cr_expect_eq(mal_address_compare(addr("::1"), addr("::1")), 0);
  cr_expect_not(mal_address_equal(addr("0.0.0.1"), addr("::1")));
  static const struct { const char *text; bool multicast;
  } cases[] = {
    { "223.255.255.255", false },
    { "224.0.0.0", true },
    { "239.255.255.255", true },
    { "240.0.0.0", false },
    { "feff:ffff::", false },
    { "ff00::", true },
    { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true },
  };
  for (size_t i = 0; i < COUNT(cases); i++)
    cr_expect_eq(mal_address_is_multicast(addr(cases[i].text)), cases[i].multicast, "%s",
                 cases[i].text);
  cr_expect_not(mal_address_is_multicast(mal_address_none()));
  MalFamily family = MAL_FAMILY_NONE;
  cr_expect(mal_family_parse("ipv4", &family) && family == MAL_IPV4);
  cr_expect(mal_family_parse("ipv6", &family) && family == MAL_IPV6);
  cr_expect_not(mal_family_parse("IPv5", &family));
  cr_expect_not(mal_family_parse("", &family));
  cr_expect_eq(family, MAL_IPV6);
  cr_expect_str_eq(mal_family_name(MAL_IPV4), "ipv4");
  cr_expect_str_eq(mal_family_name(MAL_IPV6), "ipv6");
  cr_expect_str_eq(mal_family_name(MAL_FAMILY_NONE), "none");
  char text[MAL_ADDRESS_STRLEN];
  cr_expect_str_eq(mal_address_format(mal_address_none(), text), "none");
}

Test(address, ethernet_group_rfc1112_rfc2464)
{
  cr_expect_eq(mal_address_ethernet_group(addr("224.1.2.3")), 0x010203);
  cr_expect_eq(mal_address_ethernet_group(addr("239.129.2.3")), 0x010203);
  cr_expect_eq(mal_address_ethernet_group(addr("239.255.255.255")), 0x7fffff);
  cr_expect_eq(mal_address_ethernet_group(addr("ff0e::89ab:cdef")), 0x89abcdef);
}

Test(span, parse_and_format)
{
  static const struct { const char *in, *out;
  } cases[] = {
    { "233.252.0.1-233.252.0.9", "233.252.0.1-233.252.0.9" },
    { "233.252.0.1", "233.252.0.1" },
    { " 233.252.0.1 - 233.252.0.9 ", "233.252.0.1-233.252.0.9" },
    { "0.0.0.0/0", "0.0.0.0-255.255.255.255" },
    { "239.0.0.0/8", "239.0.0.0-239.255.255.255" },
    { "192.0.2.1/32", "192.0.2.1" },
    { "::/0", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
    { "ff05::db8:0:0/96", "ff05::db8:0:0-ff05::db8:ffff:ffff" },
    { "::1/128", "::1" },
    { "ff00::-ff0e::", "ff00::-ff0e::" },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    char text[MAL_SPAN_STRLEN];
    cr_expect_str_eq(mal_span_format(span(cases[i].in), text), cases[i].out, "%s gave %s",
                     cases[i].in, text);
  }
  static const struct { const char *in, *says;
  } wrong[] = {
    { "", "missing" },
    { "-", "missing" },
    { "1.2.3.4-", "missing" },
    { "-1.2.3.4", "missing" },
    { "1.2.3.4-1.2.3.3", "below the first" },
    { "1.2.3.4-::1", "different families" },
    { "1.2.3.4/33", "0 to 32" },
    { "1.2.3.4/", "0 to 32" },
    { "1.2.3.4/031", "0 to 32" },
    { "::/129", "0 to 128" },
    { "1.2.3.4/99999999999999999999", "0 to 32" },
    { "1.2.3.4/24", "bits are set" },
    { "::1/0", "bits are set" },
    { "1.2.3.4/-1", "not an IPv4" },
    { "1.2.3.4-1.2.3.5-1.2.3.6", "not an IPv4" },
  };
  for (size_t i = 0; i < COUNT(wrong); i++) {
    MalSpan s;
    g_autoptr(GError) error = NULL;
    cr_expect_not(mal_span_parse(wrong[i].in, &s, &error), "%s", wrong[i].in);
    cr_assert_not_null(error);
    cr_expect_not_null(strstr(error->message, wrong[i].says), "%s: %s", wrong[i].in,
                       error->message);
  }
}

Test(span, size_and_sets)
{
  cr_expect(mal_span_size(span("0.0.0.0/0")) == (MalU128)1 << 32);
  cr_expect(mal_span_size(span("::/0")) == U128_MAX, "saturates");
  cr_expect(mal_span_size(span("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")) == U128_MAX);
  cr_expect(mal_span_size(span("::1")) == 1);
  cr_expect(mal_span_size((MalSpan){ 0 }) == 0);
  static const struct {
    const char *a, *b;
    bool contains, overlaps;
    const char *common;
  } cases[] = {
    { "10.0.0.0/8", "10.0.0.0/8", true, true, "10.0.0.0-10.255.255.255" },
    { "10.0.0.0/8", "10.255.255.255", true, true, "10.255.255.255" },
    { "10.0.0.0/8", "10.255.255.255-11.0.0.0", false, true, "10.255.255.255" },
    { "10.0.0.0/8", "11.0.0.0", false, false, NULL },
    { "10.0.0.0/8", "9.255.255.255", false, false, NULL },
    { "10.0.0.4", "10.0.0.0/8", false, true, "10.0.0.4" },
    { "0.0.0.0/0", "::/96", false, false, NULL },
    { "::/0", "0.0.0.0/0", false, false, NULL },
    { "0.0.0.0/0", "255.255.255.255", true, true, "255.255.255.255" },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalSpan a = span(cases[i].a), b = span(cases[i].b), common = { 0 };
    char text[MAL_SPAN_STRLEN];
    cr_expect_eq(mal_span_contains(a, b), cases[i].contains, "%zu", i);
    cr_expect_eq(mal_span_overlaps(a, b), cases[i].overlaps, "%zu", i);
    cr_expect_eq(mal_span_overlaps(b, a), cases[i].overlaps, "%zu", i);
    cr_expect_eq(mal_span_intersect(a, b, &common), cases[i].common != NULL, "%zu", i);
    if (cases[i].common != NULL)
      cr_expect_str_eq(mal_span_format(common, text), cases[i].common);
  }
  MalSpan none = { 0 };
  cr_expect_not(mal_span_has(none, mal_address_none()));
  cr_expect_not(mal_span_overlaps(none, none));
  cr_expect_not(mal_span_contains(none, none));
}

Test(block, text)
{
  static const struct { const char *in, *out; size_t count; } cases[] = {
    { "", "", 0 }, { "233.252.0.1", "233.252.0.1", 1 },
    { "233.252.0.0/30,::1-::2", "233.252.0.0-233.252.0.3,::1-::2", 2 },
    { "233.252.0.1-233.252.0.1, 233.252.0.9", "233.252.0.1,233.252.0.9", 2 },
    { "0.0.0.0-255.255.255.254", "0.0.0.0-255.255.255.254", 1 },
    { "ff05::-ff05::ffff:fffe", "ff05::-ff05::ffff:fffe", 1 },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) blocks = mal_blocks_parse(cases[i].in, &error);
    cr_assert_not_null(blocks, "%s", cases[i].in);
    cr_assert_eq(blocks->len, cases[i].count);
    g_autofree char *text = mal_blocks_format((const MalBlock *)(void *)blocks->data, blocks->len);
    cr_expect_str_eq(text, cases[i].out);
  }
  static const char *const wrong[] = {
    ",", "233.252.0.1,", ",233.252.0.1", "0.0.0.0/0", "::/96", "x", "233.252.0.2-233.252.0.1"
  };
  for (size_t i = 0; i < COUNT(wrong); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) blocks = mal_blocks_parse(wrong[i], &error);
    cr_expect_null(blocks, "%s", wrong[i]);
    cr_expect_not_null(error);
  }
  char text[MAL_SPAN_STRLEN];
  cr_expect_str_eq(mal_block_format(mal_block_make(addr("::1"), 1), text), "::1");
  cr_expect_str_eq(mal_block_format(mal_block_make(addr("10.0.0.255"), 2), text),
                   "10.0.0.255-10.0.1.0");
  /* A block that would leave the family's space ends with the space. */
  cr_expect_str_eq(mal_block_format(mal_block_make(addr("255.255.255.254"), 9), text),
                   "255.255.255.254-255.255.255.255");
  cr_expect(
      mal_span_size(mal_span_of_block(mal_block_make(mal_address_make(MAL_IPV6, U128_MAX), 2)))
      == 1);
  MalSpan none = mal_span_of_block(mal_block_make(mal_address_none(), 2));
  cr_expect(mal_address_equal(none.first, none.last) && none.last.family == MAL_FAMILY_NONE);
}

Test(block, a_long_list_is_written_whole)
{
  enum { N = 1025 };
  static MalBlock blocks[N];
  for (uint32_t i = 0; i < N; i++)
    blocks[i] = mal_block_make(mal_address_ipv4(0xe0000000u + 4 * i), 2);
  g_autofree char *text = mal_blocks_format(blocks, N);
  g_autoptr(GArray) back = mal_blocks_parse(text, NULL);
  cr_assert_not_null(back);
  cr_assert_eq(back->len, N);
  for (guint i = 0; i < N; i++) {
    MalBlock got = g_array_index(back, MalBlock, i);
    cr_assert(got.count == 2 && mal_address_equal(got.first, blocks[i].first), "block %u", i);
  }
}

Test(prefix, parse_and_cut)
{
  static const struct { const char *span; const char *prefixes;
  } cases[] = {
    { "0.0.0.0/0", "0.0.0.0/0" },
    { "::/0", "::/0" },
    { "10.0.0.1", "10.0.0.1/32" },
    { "::1", "::1/128" },
    { "10.0.0.1-10.0.0.6", "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32" },
    { "0.0.0.0-255.255.255.254", NULL },
    { "255.255.255.254-255.255.255.255", "255.255.255.254/31" },
    { "0.0.0.0-0.0.0.2", "0.0.0.0/31 0.0.0.2/32" },
    { "ff05::ffff:ffff:ffff:ffff-ff05::1:0:0:0:1",
      "ff05::ffff:ffff:ffff:ffff/128 ff05:0:0:1::/127" },
    { "8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "8000::/1" },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalSpan rest = span(cases[i].span);
    g_autoptr(GString) got = g_string_new(NULL);
    int count = 0;
    for (;;) {
      MalPrefix p = mal_prefix_first_of(rest);
      char text[MAL_ADDRESS_STRLEN];
      g_string_append_printf(got, "%s%s/%u", count++ > 0 ? " " : "",
                             mal_address_format(p.address, text), p.length);
      MalSpan cut = mal_span_of_prefix(p);
      cr_assert(mal_span_contains(rest, cut), "%s", got->str);
      if (mal_address_equal(cut.last, rest.last))
        break;
      cr_assert(mal_address_add(cut.last, 1, &rest.first));
    }
    if (cases[i].prefixes != NULL)
      cr_expect_str_eq(got->str, cases[i].prefixes);
    else
      cr_expect_eq(count, 32);
  }
  MalPrefix p;
  g_autoptr(GError) error = NULL;
  cr_expect(mal_prefix_parse("239.192.0.0/14", &p, NULL) && p.length == 14);
  cr_expect_not(mal_prefix_parse("239.192.0.0", &p, &error));
  cr_expect_not_null(strstr(error->message, "address/length"));
  cr_expect_eq(mal_prefix_first_of((MalSpan){ 0 }).address.family, MAL_FAMILY_NONE);
  /* A length that no prefix has is the address alone. */
  MalSpan alone = mal_span_of_prefix((MalPrefix){ .address = addr("239.0.0.0"), .length = 33 });
  cr_expect(mal_address_equal(alone.first, addr("239.0.0.0")));
  cr_expect(mal_address_equal(alone.last, addr("239.0.0.0")));
}

Test(endpoint, text)
{
  static const struct { const char *in, *out; uint16_t port; uint32_t scope;
  } cases[] = {
    { "192.0.2.1", "192.0.2.1:2535", 2535, 0 },
    { "192.0.2.1:1", "192.0.2.1:1", 1, 0 },
    { "192.0.2.1:65535", "192.0.2.1:65535", 65535, 0 },
    { "2001:db8::1", "[2001:db8::1]:2535", 2535, 0 },
    { "[2001:db8::1]", "[2001:db8::1]:2535", 2535, 0 },
    { "[2001:db8::1]:99", "[2001:db8::1]:99", 99, 0 },
    { "fe80::1%3", "[fe80::1%3]:2535", 2535, 3 },
    { "[fe80::1%2147483647]:9", "[fe80::1%2147483647]:9", 9, 2147483647 },
  };
  char text[MAL_ENDPOINT_STRLEN];
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalEndpoint e;
    g_autoptr(GError) error = NULL;
    cr_assert(mal_endpoint_parse(cases[i].in, 2535, &e, &error), "%s", cases[i].in);
    cr_expect_eq(e.port, cases[i].port);
    cr_expect_eq(e.scope_id, cases[i].scope);
    cr_expect_str_eq(mal_endpoint_format(e, text), cases[i].out);
  }
}

Test(endpoint, refuses_what_is_none)
{
  static const char *const wrong[] = {
    "",
    "192.0.2.1:",
    "192.0.2.1:0",
    "192.0.2.1:65536",
    "192.0.2.1:x",
    "[192.0.2.1]:5",
    "[::1",
    "[::1]5",
    "[]:5",
    "::1]:5",
    "[::1]:",
    "fe80::1%",
    "fe80::1%eth0",
    "fe80::1%2147483648",
    ":5",
    "[::1]:5:5",
    "[",
  };
  for (size_t i = 0; i < COUNT(wrong); i++) {
    MalEndpoint e;
    g_autoptr(GError) error = NULL;
    cr_expect_not(mal_endpoint_parse(wrong[i], 2535, &e, &error), "%s", wrong[i]);
    cr_expect_not_null(error);
  }
}

Test(endpoint, equal_in_all_three)
{
  MalEndpoint a = { addr("::1"), 5, 0 }, b = a;
  cr_expect(mal_endpoint_equal(a, b));
  b.scope_id = 1;
  cr_expect_not(mal_endpoint_equal(a, b));
  b = (MalEndpoint){ addr("::1"), 6, 0 };
  cr_expect_not(mal_endpoint_equal(a, b));
  b = (MalEndpoint){ addr("::2"), 5, 0 };
  cr_expect_not(mal_endpoint_equal(a, b));
}

Test(endpoint, without_a_port_and_the_longest_of_all)
{
  char text[MAL_ENDPOINT_STRLEN];
  cr_expect_str_eq(mal_endpoint_format((MalEndpoint){ addr("::1"), 0, 7 }, text), "::1%7");
  MalEndpoint longest = { mal_address_make(MAL_IPV6, U128_MAX), 65535, UINT32_MAX };
  cr_expect_eq(strlen(mal_endpoint_format(longest, text)), 58);
}
