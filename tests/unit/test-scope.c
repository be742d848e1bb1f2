#include "core/model.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* NESTS: ids separated by spaces. NAMES: "en=Site fr=Lieu". */
typedef struct {
  const char *id, *span, *nests;
  unsigned ttl;
  const char *names, *fallback;
} Row;

static MalScope *scope_of(const Row *row)
{
  MalScope *scope = g_new0(MalScope, 1);
  g_auto(GStrv) ends = g_strsplit(row->span, "-", 2);
  cr_assert(mal_address_parse(ends[0], &scope->span.first, NULL), "%s", row->span);
  cr_assert(mal_address_parse(ends[1], &scope->span.last, NULL), "%s", row->span);
  scope->id = g_strdup(row->id);
  scope->ttl = row->ttl;
  scope->default_language = g_strdup(row->fallback);
  if (row->nests != NULL)
    scope->nests_inside = g_strsplit(row->nests, " ", 0);
  if (row->names != NULL) {
    g_auto(GStrv) names = g_strsplit(row->names, " ", 0);
    scope->n_names = g_strv_length(names);
    scope->names = g_new0(MalScopeName, scope->n_names);
    for (size_t i = 0; i < scope->n_names; i++) {
      char *equals = strchr(names[i], '=');
      scope->names[i].language = g_strndup(names[i], (gsize)(equals - names[i]));
      scope->names[i].name = g_strdup(equals + 1);
    }
  }
  return scope;
}

static MalScopeSet *set_of(const Row *rows, size_t n, GError **error)
{
  g_autoptr(GPtrArray) scopes = g_ptr_array_new();
  for (size_t i = 0; i < n && rows[i].id != NULL; i++)
    g_ptr_array_add(scopes, scope_of(&rows[i]));
  MalScopeSet *set = mal_scope_set_new(scopes, error);
  cr_assert_eq(scopes->len, 0, "the set takes the scopes over");
  return set;
}

Test(scope, refused)
{
  static const struct { Row rows[2]; const char *says;
  } cases[] = {
    { { { "a", "192.0.2.0-192.0.2.9", NULL, 1, NULL, NULL } },
      "first: 192.0.2.0 is not a multicast" },
    { { { "a", "223.255.255.255-239.255.255.255", NULL, 1, NULL, NULL } },
      "first: 223.255.255.255" },
    { { { "a", "239.0.0.0-240.0.0.0", NULL, 1, NULL, NULL } },
      "last: 240.0.0.0 is not a multicast" },
    { { { "a", "fe80::1-ff1e::1", NULL, 1, NULL, NULL } }, "first: fe80::1 is not a multicast" },
    { { { "a", "239.0.0.9-239.0.0.1", NULL, 1, NULL, NULL } }, "last: 239.0.0.1 is below first" },
    { { { "a", "239.0.0.1-ff1e::1", NULL, 1, NULL, NULL } }, "same family" },
    { { { "a", "ff0e::1-ff0e::9", NULL, 1, NULL, NULL } }, "T flag" },
    { { { "a", "ff1e::-ff3e::", NULL, 1, NULL, NULL } }, "T flag" },
    { { { "a", "ff15::-ff16::", NULL, 1, NULL, NULL } }, "another scope value than first" },
    { { { "a", "ff0e::db8:0:0-ff0e::db9:0:0", NULL, 1, NULL, NULL } }, "T flag" },
    { { { "a", "239.0.0.0-239.0.9.9", NULL, 0, NULL, NULL } }, "ttl: 0" },
    { { { "a", "239.0.0.0-239.0.9.9", NULL, 256, NULL, NULL } }, "ttl: 256" },
    { { { "a b", "239.0.0.0-239.0.9.9", NULL, 1, NULL, NULL } }, "letters" },
    { { { "", "239.0.0.0-239.0.9.9", NULL, 1, NULL, NULL } }, "letters" },
    { { { "a", "239.0.0.0-239.0.9.9", "a b", 1, NULL, NULL } },
      "nests-inside: there is no scope b" },
    { { { "a", "239.0.0.0-239.0.9.9", NULL, 1, "en=", NULL } }, "name[en]: a name has 1 to" },
    { { { "a", "239.0.0.0-239.0.9.9", NULL, 1, "=x", NULL } }, "language tag" },
    { { { "a", "239.0.0.0-239.0.9.9", NULL, 1, "en=\xff", NULL } }, "not UTF-8" },
    { { { "a", "239.0.0.0-239.0.0.9", NULL, 1, NULL, NULL },
        { "a", "239.1.0.0-239.1.0.9", NULL, 1, NULL, NULL } },
      "scope a: there are two" },
    { { { "a", "239.0.0.0-239.0.0.9", NULL, 1, NULL, NULL },
        { "b", "239.0.0.0-239.1.0.9", NULL, 1, NULL, NULL } },
      "scope b: first: 239.0.0.0" },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MalScopeSet) set = set_of(cases[i].rows, 2, &error);
    cr_assert_null(set, "case %zu", i);
    cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_CONFIG), "case %zu", i);
    cr_expect(strstr(error->message, cases[i].says), "case %zu: %s", i, error->message);
  }
}

Test(scope, accepted_with_group_ids_rfc10028_3)
{
  static const struct { Row row; uint32_t first, last;
  } cases[] = {
    { { "v4", "239.255.0.0-239.255.255.255", NULL, 255, NULL, NULL }, 0, 0 },
    { { "v6", "ff1e::-ff1e:ffff::", NULL, 1, NULL, NULL }, 0x80000000, 0x8fffffff },
    { { "prefix-based", "ff35:30:2001:db8::-ff35:30:2001:db8::ffff:ffff", NULL, 1, NULL, NULL },
      0x80000000,
      0x8fffffff },
    { { "rfc6676", "ff08::db8:8000:0-ff08::db8:ffff:ffff", NULL, 9, NULL, NULL },
      0x80000000,
      0x8fffffff },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MalScopeSet) set = set_of(&cases[i].row, 1, &error);
    cr_assert(set, "%s: %s", cases[i].row.id, error ? error->message : "");
    cr_expect_eq(mal_scope_set_at(set, 0)->group_id_first, cases[i].first);
    cr_expect_eq(mal_scope_set_at(set, 0)->group_id_last, cases[i].last);
  }
}

static void expect_order(const MalScopeSet *set, MalFamily family, const char *want, size_t number)
{
  g_autoptr(GPtrArray) ordered = mal_scope_set_ordered(set, family);
  g_autoptr(GString) got = g_string_new(NULL);
  for (size_t i = 0; i < ordered->len; i++)
    g_string_append_printf(got, "%s%s", i ? " " : "", ((MalScope *)ordered->pdata[i])->id);
  cr_expect_str_eq(got->str, want, "case %zu: %s", number, got->str);
}

/* The rows of the matrix as bit strings, in order of configuration. */
Test(scope, nesting_and_order_rfc2907_2_and_rfc2730_3_10)
{
  static const struct { Row rows[7]; const char *matrix, *order, *order6; } cases[] = {
    /* RFC 2907 figure 4 */
    { { { "s1", "239.1.0.0-239.1.255.255", "s2", 1, NULL, NULL },
        { "s2", "239.2.0.0-239.2.255.255", "s3 s4", 1, NULL, NULL },
        { "s3", "239.3.0.0-239.3.255.255", "s5", 1, NULL, NULL },
        { "s4", "239.4.0.0-239.4.255.255", "s5", 1, NULL, NULL },
        { "s5", "239.5.0.0-239.5.255.255", "s6", 1, NULL, NULL },
        { "s6", "239.6.0.0-239.6.255.255", "s7", 1, NULL, NULL },
        { "s7", "239.7.0.0-239.7.255.255", NULL, 1, NULL, NULL } },
      "1111111 0111111 0010111 0001111 0000111 0000011 0000001", "s1 s2 s3 s4 s5 s6 s7", "" },
    /* the largest first, over both families */
    { { { "global", "ff1e::-ff1e:ffff::", NULL, 1, NULL, NULL },
        { "org", "239.192.0.0-239.195.255.255", "global", 1, NULL, NULL },
        { "site", "ff15::-ff15:ffff::", "org", 1, NULL, NULL } },
      "100 110 111", "site org global", "site global" },
    /* a cycle: the same border (2, case 4); what is inside comes before, what is around after */
    { { { "outer", "239.1.0.0-239.1.0.9", NULL, 1, NULL, NULL },
        { "a", "239.2.0.0-239.2.0.9", "b", 1, NULL, NULL },
        { "b", "239.3.0.0-239.3.0.9", "c", 1, NULL, NULL },
        { "c", "239.4.0.0-239.4.0.9", "a outer", 1, NULL, NULL },
        { "inner", "239.5.0.0-239.5.0.9", "c", 1, NULL, NULL } },
      "10000 11110 11110 11110 11111", "inner a b c outer", "" },
    /* overlap: no order but that of the configuration */
    { { { "x", "239.1.0.0-239.1.0.9", NULL, 1, NULL, NULL },
        { "y", "239.2.0.0-239.2.0.9", "y", 1, NULL, NULL } }, "10 01", "x y", "" },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MalScopeSet) set = set_of(cases[i].rows, 7, &error);
    cr_assert(set, "case %zu: %s", i, error ? error->message : "");
    g_autoptr(GString) matrix = g_string_new(NULL);
    for (size_t x = 0; x < mal_scope_set_size(set); x++) {
      if (x > 0)
        g_string_append_c(matrix, ' ');
      for (size_t y = 0; y < mal_scope_set_size(set); y++) {
        bool inside = mal_scope_nests(set, mal_scope_set_at(set, x), mal_scope_set_at(set, y));
        g_string_append_c(matrix, inside ? '1' : '0');
      }
    }
    cr_expect_str_eq(matrix->str, cases[i].matrix, "case %zu: %s", i, matrix->str);
    expect_order(set, MAL_FAMILY_NONE, cases[i].order, i);
    expect_order(set, MAL_IPV6, cases[i].order6, i);
  }
}

Test(scope, found_by_id_scope_id_and_address)
{
  static const Row rows[] = {
    { "all", "239.0.0.0-239.255.255.255", NULL, 1, NULL, NULL },
    { "local", "239.255.0.0-239.255.255.255", "all", 1, NULL, NULL },
    { "deep", "239.255.4.0-239.255.4.255", NULL, 1, NULL, NULL },
    { "v6", "ff15::-ff15::ffff:ffff", NULL, 1, NULL, NULL },
  };
  static const struct { const char *address, *containing, *first;
  } cases[] = {
    { "239.0.0.0", "all", "all" },     { "239.255.0.0", "local", "local" },
    { "239.255.4.7", "deep", NULL },   { "239.255.5.0", "local", NULL },
    { "238.255.255.255", NULL, NULL }, { "ff15::8000:1", "v6", NULL },
    { "ff15::", "v6", "v6" },          { "ff15::1:0:0", NULL, NULL },
  };
  g_autoptr(MalScopeSet) first = set_of(rows, COUNT(rows), NULL);
  g_autoptr(MalScopeSet) set = mal_scope_set_ref(first);
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalAddress address;
    cr_assert(mal_address_parse(cases[i].address, &address, NULL));
    const MalScope *in = mal_scope_set_containing(set, address);
    const MalScope *at = mal_scope_set_find_first(set, address);
    cr_expect(g_strcmp0(in ? in->id : NULL, cases[i].containing) == 0, "%s", cases[i].address);
    cr_expect(g_strcmp0(at ? at->id : NULL, cases[i].first) == 0, "%s", cases[i].address);
  }
  cr_expect_eq(mal_scope_set_find(set, "deep")->index, 2);
  cr_expect_null(mal_scope_set_find(set, "Deep"));
}

Test(scope, name_choice_rfc2730_3_10)
{
  static const struct { const char *names, *fallback, *language, *want; } cases[] = {
    { NULL, NULL, "en", NULL },
    { "en=Site fr=Lieu", NULL, "fr", "Lieu" },
    { "en=Site fr-CA=Lieu", NULL, "FR-ca", "Lieu" },
    { "en=Site fr=Lieu", "fr", "de", "Lieu" },
    { "en=Site fr=Lieu", "FR", NULL, "Lieu" },
    { "en=Site fr=Lieu", NULL, "de", "Site" },
    { "en=Site fr=Lieu", "de", "es", "Site" },
    { "en=Site fr=Lieu", NULL, "fr-CA", "Site" },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    Row row = { "a", "239.0.0.0-239.0.9.9", NULL, 1, cases[i].names, cases[i].fallback };
    g_autoptr(MalScopeSet) set = set_of(&row, 1, NULL);
    const MalScopeName *name = mal_scope_name(mal_scope_set_at(set, 0), cases[i].language);
    cr_expect(g_strcmp0(name ? name->name : NULL, cases[i].want) == 0, "case %zu", i);
  }
}

Test(lease, identifier_as_hex)
{
  static const struct { const char *hex; size_t length; const char *back; } cases[] = {
    { "00", 1, "00" }, { "dEADbeef01", 5, "deadbeef01" }, { "", 0, NULL }, { "abc", 0, NULL },
    { "0g", 0, NULL }, { "g0", 0, NULL }, { "0 ", 0, NULL }, { "0x00", 0, NULL },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    uint8_t bytes[MAL_LEASE_ID_MAX];
    g_autoptr(GError) error = NULL;
    size_t length = mal_lease_id_from_hex(cases[i].hex, bytes, &error);
    cr_expect_eq(length, cases[i].length, "%s", cases[i].hex);
    cr_expect_eq(error == NULL, length > 0, "%s", cases[i].hex);
    g_autofree char *back = mal_lease_id_to_hex((MalLeaseId){ bytes, length });
    cr_expect(length == 0 || strcmp(back, cases[i].back) == 0, "%s", back);
  }
  g_autofree char *longest = g_strnfill(2 * MAL_LEASE_ID_MAX, 'a');
  g_autofree char *longer = g_strnfill(2 * MAL_LEASE_ID_MAX + 2, 'a');
  uint8_t bytes[MAL_LEASE_ID_MAX];
  cr_expect_eq(mal_lease_id_from_hex(longest, bytes, NULL), MAL_LEASE_ID_MAX);
  cr_expect_eq(mal_lease_id_from_hex(longer, bytes, NULL), 0);
}

Test(lease, equality_sum_and_padding)
{
  const uint8_t x[] = { 1, 2, 3 }, y[] = { 1, 2, 4 };
  cr_expect(mal_lease_id_equal((MalLeaseId){ x, 3 }, (MalLeaseId){ x, 3 }));
  cr_expect(mal_lease_id_equal((MalLeaseId){ x, 2 }, (MalLeaseId){ y, 2 }));
  cr_expect_not(mal_lease_id_equal((MalLeaseId){ x, 3 }, (MalLeaseId){ y, 3 }));
  cr_expect_not(mal_lease_id_equal((MalLeaseId){ x, 3 }, (MalLeaseId){ x, 2 }));
  MalBlock blocks[] = { { mal_address_ipv4(0xefff0100), UINT32_MAX },
                        { mal_address_ipv4(0xefff0000), 2 } };
  MalLease lease = {
    .blocks = blocks, .n_blocks = 2, .start = 100, .end = MAL_FOREVER, .pad = 3600
  };
  cr_expect_eq(mal_lease_addresses(&lease), UINT64_C(0x100000001));
  cr_expect_eq(mal_lease_held_from(&lease), -3500);
  cr_expect_eq(mal_lease_held_until(&lease), MAL_FOREVER);
}
