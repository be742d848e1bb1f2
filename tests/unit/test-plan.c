#include <criterion/criterion.h>
#include <string.h>

#include "core/conf.h"

static MalPlan *plan_of(const char *text, GError **error)
{
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config = mal_config_parse(schema, text, strlen(text), "t", error);
  MalPlan *plan = config ? mal_plan_from_config(config, error) : NULL;
  mal_conf_schema_free(schema);
  return plan;
}

#define LOCAL "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"
#define ORG "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\n"
#define SIX "[scope six]\nfamily=ipv6\nfirst=ff35::\nlast=ff35::ffff:ffff\n"
#define SITE "[scope site]\nfamily=ipv4\nfirst=239.127.0.0\nlast=239.129.255.255\n"
#define RANGE(name, scope, first, last)                                                            \
  "[range " name "]\nscope=" scope "\nfirst=" first "\nlast=" last "\n"
#define LAB RANGE("lab", "local", "239.255.1.0", "239.255.199.255")
#define RESERVE(name, scope, addresses)                                                            \
  "[reserve " name "]\nscope=" scope "\naddresses=" addresses "\n"

Test(plan, scopes_ranges_and_reserves_are_read)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(MalPlan) p = plan_of(
      LOCAL "ttl=16\nname[en]=Site\nname[fr]=Lieu\ndefault-language=FR\nnests-inside=org\n" ORG
            "divisible=yes\n" SIX LAB
            "until=2030-01-01T00:00:00Z\nexclude=239.255.9.9; 239.255.2.0-239.255.2.15; "
            "239.255.2.8-239.255.2.20\n" RANGE("all", "org", "239.192.0.0", "239.195.255.255")
                RESERVE("camera", "local",
                        "239.255.20.1-239.255.20.4; 239.255.0.0/24") "comment=static sender\n",
      &error);
  cr_assert_not_null(p, "%s", error ? error->message : "");
  const MalScope *local = mal_scope_set_at(p->scopes, 0),
                 *org = mal_scope_set_find(p->scopes, "org");
  cr_assert(local->ttl == 16 && org->ttl == 255 && org->divisible && !local->divisible);
  cr_assert(mal_scope_nests(p->scopes, local, org) && !mal_scope_nests(p->scopes, org, local));
  cr_assert_str_eq(mal_scope_name(local, NULL)->name, "Lieu");
  const MalScope *six = mal_scope_set_find(p->scopes, "six");
  cr_assert(six->group_id_first == 0x80000000 && six->group_id_last == 0x8fffffff);
  const MalStaticRange *lab = p->ranges->pdata[0], *all = p->ranges->pdata[1];
  cr_assert(strcmp(lab->name, "lab") == 0 && lab->scope == local->index
            && lab->until == 1893456000);
  cr_assert(all->scope == org->index && all->until == MAL_FOREVER && all->excludes->len == 0);
  char text[MAL_SPAN_STRLEN];
  cr_assert_eq(lab->excludes->len, 2, "sorted, and joined where they overlap");
  cr_assert_str_eq(mal_span_format(g_array_index(lab->excludes, MalSpan, 0), text),
                   "239.255.2.0-239.255.2.20");
  const MalReserve *camera = p->reserves->pdata[0];
  cr_assert(camera->spans->len == 2 && camera->scope == local->index);
  cr_assert_str_eq(camera->comment, "static sender");
}

static const char *const good[] = {
  "",
  LOCAL,
  LOCAL LAB RANGE("next", "local", "239.255.200.0", "239.255.200.255"),
  /* Reserves may lie outside every range, and exactly beside each other. */
  LOCAL RESERVE("a", "local", "239.255.255.0") RESERVE("b", "local", "239.255.255.1"),
  /* The first address that isn't flooded, and the last one below the 256 that are kept free. */
  SITE RANGE("a", "site", "239.128.0.0", "239.128.1.0"),
  SITE RANGE("a", "site", "239.127.255.255", "239.128.0.255"),
  LOCAL RANGE("a", "local", "239.255.254.255", "239.255.255.255"),
  LOCAL RANGE("a", "local", "239.255.0.0", "239.255.0.0"),
  SIX RANGE("a", "six", "ff35::8fff:ffff", "ff35::ffff:ffff"),
  SIX RANGE("a", "six", "ff35::", "ff35::8000:0"),
  SIX "group-ids=1-ff\n" RANGE("a", "six", "ff35::", "ff35::1"),
  /* Beyond the identifiers of one prefix come those of the next. */
  "[scope s]\nfamily=ipv6\nfirst=ff35::\nlast=ff35::f:ffff:ffff\n" RANGE("a", "s", "ff35::9000:0",
                                                                         "ff35::1:8000:0"),
  LOCAL LAB "exclude=239.255.1.0-239.255.199.254\n",
  LOCAL LAB "exclude=239.255.1.1-239.255.199.255\n",
  LOCAL "nests-inside=org\n" ORG,
};

Test(plan, what_is_allowed)
{
  for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MalPlan) p = plan_of(good[i], &error);
    cr_expect_not_null(p, "%s: %s", good[i], error ? error->message : "");
  }
}

static const struct {
  const char *text;
  const char *says[4];
} bad[] = {
  { "[scope a]\nfamily=ipv6\nfirst=239.255.0.0\nlast=239.255.255.255\n",
    { "t:3: [scope a] first: ", "239.255.0.0 is not an ipv6 address, as 'family' says" } },
  { "[scope a]\nfamily=ipv4\nfirst=239.255.0.0\nlast=ff35::1\n",
    { "t:4: [scope a] last: ", "ff35::1 is not an ipv4 address" } },
  { "[scope a]\nfamily=ipv4\nfirst=239.255.0.9\nlast=239.255.0.0\n",
    { "t:1: [scope a]: ", "239.255.0.0 is below first" } },
  { "[scope a]\nfamily=ipv4\nfirst=192.0.2.1\nlast=192.0.2.9\n",
    { "t:1: [scope a]: ", "192.0.2.1 is not a multicast" } },
  { LOCAL "[scope b]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.0.255\n",
    { "t:5: [scope b]: ", "239.255.0.0 is the first address of scope local too" } },
  { LOCAL "nests-inside = orgg\n" ORG,
    { "t:5: [scope local] nests-inside: ", "there is no [scope orgg]; did you mean 'org'?" } },
  { LOCAL "nests-inside = org # the company\n" ORG,
    { "t:5: [scope local] nests-inside: ", "there is no [scope org # the company]",
      "begins no comment" } },
  { LOCAL "nests-inside = org\n" ORG "nests-inside = local\n",
    { "t:10: [scope org] nests-inside: ", "scopes org and local would each lie inside the other",
      "t:5: [scope local]" } },
  { LOCAL "nests-inside = local\n",
    { "t:5: [scope local] nests-inside: ", "local can't lie inside itself; remove it" } },
  { LOCAL "default-language = en\n",
    { "t:5: [scope local] default-language: ", "there is no name in 'en'; add name[en]" } },
  { LOCAL "group-ids = 1-2\n",
    { "t:5: [scope local] group-ids: ", "only IPv6 addresses", "remove the key" } },
  { SIX "group-ids = 8fffffff-80000000\n",
    { "t:5: [scope six] group-ids: ", "'8fffffff-80000000' is not two hex" } },
  { SIX "group-ids = 1-100000000\n",
    { "t:5: [scope six] group-ids: ", "is not two hexadecimal numbers" } },
  { SIX "group-ids = 80000000\n",
    { "t:5: [scope six] group-ids: ", "is not two hexadecimal numbers" } },
  { SIX "group-ids = 1-2 # few\n", { "t:5: [scope six] group-ids: ", "begins no comment" } },
  { RANGE("a", "lokal", "239.255.1.0", "239.255.1.9") LOCAL,
    { "t:2: [range a] scope: ", "there is no [scope lokal]; did you mean 'local'?" } },
  { RANGE("a", "local # x", "239.255.1.0", "239.255.1.9") LOCAL,
    { "t:2: [range a] scope: ", "begins no comment" } },
  { LOCAL RANGE("a", "local", "239.255.1.9", "239.255.1.0"),
    { "t:8: [range a] last: ", "239.255.1.0 is below first, 239.255.1.9; swap the two" } },
  { LOCAL RANGE("a", "local", "239.255.1.9", "ff35::1"),
    { "t:8: [range a] last: ", "not of the family of first" } },
  { LOCAL RANGE("a", "local", "239.254.255.255", "239.255.1.0"),
    { "t:7: [range a] first: ",
      "239.254.255.255-239.255.1.0 is not within 239.255.0.0-239.255.255.255 of ",
      "t:1: [scope local]", "name another scope" } },
  { SIX RANGE("a", "six", "239.255.1.0", "239.255.1.9"),
    { "t:7: [range a] first: ", "is not within", "[scope six]" } },
  { LOCAL RANGE("a", "local", "239.255.200.0", "240.0.0.0"),
    { "t:7: [range a] first: ", "is not within" } },
  { LOCAL LAB RANGE("b", "local", "239.255.199.255", "239.255.210.0"),
    { "t:9: [range b]: ", "239.255.199.255-239.255.210.0 overlaps 239.255.1.0-239.255.199.255 of ",
      "t:5: [range lab]" } },
  { LOCAL RANGE("b", "local", "239.255.199.255", "239.255.210.0") LAB,
    { "t:9: [range lab]: ", "overlaps", "t:5: [range b]" } },
  { LOCAL LAB RANGE("b", "local", "239.255.5.0", "239.255.5.9"),
    { "t:9: [range b]: ", "overlaps", "t:5: [range lab]" } },
  /* Also across scopes that lie inside each other: an address is in one range. */
  { LOCAL "[scope big]\nfamily=ipv4\nfirst=239.0.0.0\nlast=239.255.255.255\n" LAB RANGE(
        "b", "big", "239.255.5.0", "239.255.5.9"),
    { "t:13: [range b]: ", "overlaps", "t:9: [range lab]" } },
  { LOCAL LAB "exclude = 239.255.2.2; 239.255.0.255-239.255.1.1\n",
    { "t:9: [range lab] exclude: ",
      "239.255.0.255-239.255.1.1 is not within the range, 239.255.1.0-239.255.199.255" } },
  { LOCAL LAB "exclude = ff35::1\n",
    { "t:9: [range lab] exclude: ", "ff35::1 is not within the range" } },
  { LOCAL RESERVE("a", "locl", "239.255.1.1"),
    { "t:6: [reserve a] scope: ", "did you mean 'local'?" } },
  { LOCAL RESERVE("a", "local", "239.255.1.1; 239.254.0.1"),
    { "t:7: [reserve a] addresses: ", "239.254.0.1 is not within 239.255.0.0-239.255.255.255 of ",
      "[scope local]" } },
  { LOCAL RESERVE("a", "local", "239.255.1.1-239.255.1.9") RESERVE("b", "local", "239.255.1.9"),
    { "t:10: [reserve b] addresses: ", "239.255.1.9 overlaps 239.255.1.1-239.255.1.9 of ",
      "t:7: [reserve a]" } },
  { LOCAL RESERVE("a", "local", "239.255.1.1-239.255.1.9; 239.255.1.4"),
    { "t:7: [reserve a] addresses: ", "239.255.1.4 overlaps", "reserve each address once" } },
  { SITE RANGE("a", "site", "239.128.0.0", "239.128.0.255"),
    { "t:5: [range a]: ", "holds nothing to lease", "flooded by switches", "t:1: [scope site]" } },
  { LOCAL RANGE("a", "local", "239.255.255.0", "239.255.255.255"),
    { "t:5: [range a]: ", "holds nothing to lease" } },
  { "[scope s]\nfamily=ipv4\nfirst=239.255.7.0\nlast=239.255.7.255\n" RANGE("a", "s", "239.255.7.0",
                                                                            "239.255.7.255"),
    { "t:5: [range a]: ", "holds nothing to lease", "highest 256" } },
  { LOCAL LAB
    "exclude = 239.255.1.0-239.255.100.0\n" RESERVE("r", "local", "239.255.100.1-239.255.255.255"),
    { "t:5: [range lab]: ", "holds nothing to lease: exclude and [reserve]s take all of it" } },
  { LOCAL RANGE("a", "local", "239.255.0.0", "239.255.1.9") "exclude=239.255.1.0/24\n",
    { "t:9: [range a] exclude: ", "is not within the range" } },
  { SITE RANGE("a", "site", "239.128.0.9", "239.128.1.255") "exclude=239.128.1.0/24\n",
    { "t:5: [range a]: ", "holds nothing to lease", "flooded" } },
  { SIX RANGE("a", "six", "ff35::", "ff35::7fff:ffff"),
    { "t:5: [range a]: ", "holds nothing to lease", "80000000-8fffffff", "group-ids" } },
  { SIX RANGE("a", "six", "ff35::9000:0", "ff35::ffff:ffff"),
    { "t:5: [range a]: ", "holds nothing to lease" } },
  { "[scope s]\nfamily=ipv6\nfirst=ff35::\nlast=ff35::ffff:ffff:ffff\n" RANGE(
        "a", "s", "ff35::", "ff35::100:0:0"),
    { "t:8: [range a] last: ", "more than 256 prefixes of length 96" } },
};

Test(plan, each_contradiction_names_both_places)
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
