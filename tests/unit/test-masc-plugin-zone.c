/* Zone TLDs (RFC 2909 4.5) in whole daemons, over both families: domains that have no provider
   within a scope, whatever they have outside. */
#include "tests/unit/masc-daemons.h"

#define TIMES                                                                                      \
  "waiting-period=60\ninitiate-claim-delay=4\nprefix-lifetime=1h\nrenew-interval=10m\n"           \
  "plan-interval=5m\nextra-holding-time=10\nholdtime=30\nconnect-retry=4\nbackoff=5\n"            \
  "backoff-most=20\nclaim=no\n"
#define MASC(domain, node) "[masc]\ndomain-id=" domain "\nnode-id=" node "\n" TIMES

typedef struct {
  const char *scopes;           /* "zone", in which the domain is a TLD, and "global" */
  const char *global;           /* the provider's there */
  const char *a, *b;            /* prefixes in the zone */
  const char *range_a;
  const char *provided, *of_it; /* what the provider has in the zone, and of it */
} Family;

static const Family families[] = {
  { "[scope zone]\nfamily=ipv4\nfirst=239.128.0.0\nlast=239.131.255.255\nttl=63\ndivisible=yes\n"
    "[scope global]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=127\n"
    "divisible=yes\n",
    "239.193.0.0/16", "239.128.4.0/24", "239.128.5.0/24", "239.128.4.0-239.128.4.255",
    "239.130.0.0/16", "239.130.7.0/24" },
  { "[scope zone]\nfamily=ipv6\nfirst=ff18::8000:0\nlast=ff18::8fff:ffff\nttl=63\ndivisible=yes\n"
    "[scope global]\nfamily=ipv6\nfirst=ff1e::8000:0\nlast=ff1e::8fff:ffff\nttl=127\n"
    "divisible=yes\n",
    "ff1e::8100:0/112", "ff18::8000:400/120", "ff18::8000:500/120",
    "ff18::8000:400-ff18::8000:4ff", "ff18::8200:0/112", "ff18::8200:700/120" },
};
#define EACH(f) for (const Family *f = families; f < families + G_N_ELEMENTS(families); f++)

#define PROVIDER MASC("64496", "192.0.2.1") "[masc-peer kid]\naddress=192.0.2.2\nrole=child\n"    \
                                            "domain-id=64501\n"
#define TLD MASC("64501", "192.0.2.2")
#define UP "[masc-peer up]\naddress=192.0.2.1\nrole=parent\ndomain-id=64496\n"
#define OUTSIDE "scopes=global\n"
#define PEER "[masc-peer peer]\naddress=192.0.2.3\nrole=sibling\ndomain-id=64502\nscopes=zone\n"
#define OTHER MASC("64502", "192.0.2.3")                                                           \
  "[masc-peer peer]\naddress=192.0.2.2\nrole=sibling\ndomain-id=64501\nscopes=zone\n"

/* Started, or, where it runs, reloaded. */
static void start(MascWorld *w, unsigned i, const Family *f, const char *text)
{
  g_autofree char *all = g_strconcat(f->scopes, text, NULL);
  g_autoptr(GError) error = NULL;
  if (w->host[i].core == NULL)
    masc_world_start(w, i, all);
  else
    cr_assert(masc_world_reload(w, i, all, &error), "%s", error != NULL ? error->message : "");
}

static void call(MascWorld *w, unsigned i, const char *method, const char *prefix, const char *more)
{
  g_autofree char *params = g_strdup_printf("{\"prefix\":\"%s\"%s}", prefix, more);
  masc_world_call(w, i, method, params, 5);
  cr_assert_null(w->error, "%s %s: %s", method, prefix, w->error);
}

static void lease(MascWorld *w, unsigned i, int64_t lifetime)
{
  g_autofree char *params =
      g_strdup_printf("{\"scope\":\"zone\",\"lifetime\":%d}", (int)lifetime);
  masc_world_call(w, i, "lease.request", params, 5);
  cr_assert_null(w->error, "%s", w->error);
}

static size_t leases(MascWorld *w, unsigned i)
{
  return json_object_array_length(masc_at(masc_world_call(w, i, "lease.list", "{}", 2), "leases"));
}

static void expect(MascWorld *w, unsigned i, const char *routes, const char *ranges)
{
  g_autofree char *r = masc_routes(w, i), *a = masc_ranges(w, i, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(r, routes, "host %u: %s instead of %s", i, r, routes);
  cr_assert(ranges == NULL || strcmp(a, ranges) == 0, "host %u: %s instead of %s", i, a, ranges);
}

static MascWorld settled(const Family *f, unsigned n)
{
  MascWorld w = masc_world(n);
  start(&w, 0, f, PROVIDER OUTSIDE);
  start(&w, 1, f, n > 2 ? TLD UP OUTSIDE PEER : TLD UP OUTSIDE);
  if (n > 2)
    start(&w, 2, f, OTHER);
  masc_world_run(&w, 20);
  cr_assert_str_eq(masc_world_state(&w, 1, "up"), "Established");
  return w;
}

Test(masc_zone_tld, what_it_claims_is_of_the_whole_scope_and_renewed_4_5_5_2)
{
  EACH(f) {
    MascWorld w = settled(f, 3);
    call(&w, 1, "masc.claim", f->a, "");
    masc_world_run(&w, 100);
    expect(&w, 1, f->a, f->range_a);
    lease(&w, 1, 600);
    masc_world_run(&w, 3 * 3600);
    expect(&w, 1, f->a, f->range_a);
    cr_assert_geq(masc_told(&w, 1, "masc.renewed"), 10);
    cr_assert_eq(masc_metric(&w, 0, "update-received"), 0, "the provider hears nothing of it");
    masc_world_clear(&w);
  }
}

Test(masc_zone_tld, what_expires_takes_its_leases_along_4_2)
{
  EACH(f) {
    MascWorld w = settled(f, 3);
    call(&w, 1, "masc.claim", f->a, ",\"lifetime\":400");
    masc_world_run(&w, 100);
    lease(&w, 1, 200);
    cr_assert_eq(leases(&w, 1), 1);
    masc_world_crash(&w, 1, MAL_SIM_DISK_KEPT);
    masc_world_return(&w, 1);
    masc_world_run(&w, 20);
    expect(&w, 1, f->a, f->range_a);
    masc_world_run(&w, 300);
    expect(&w, 1, "", "");
    cr_assert_eq(leases(&w, 1), 0);
    call(&w, 2, "masc.claim", f->a, "");
    masc_world_run(&w, 100);
    expect(&w, 2, f->a, f->range_a);
    masc_world_clear(&w);
  }
}

/* Both won the same while they were apart; the older claim stays. */
Test(masc_zone_tld, a_clash_is_resolved_12_4)
{
  EACH(f) {
    MascWorld w = settled(f, 3);
    MalSimCut *cut = mal_sim_partition(w.sim, &w.host[1].node, 1, &w.host[2].node, 1);
    masc_world_run(&w, 60);
    call(&w, 2, "masc.claim", f->a, "");
    masc_world_run(&w, 30);
    call(&w, 1, "masc.claim", f->a, "");
    call(&w, 1, "masc.claim", f->b, "");
    masc_world_run(&w, 200);
    expect(&w, 2, f->a, f->range_a);
    g_autofree char *both = g_strdup_printf("%s %s", f->a, f->b);
    expect(&w, 1, both, NULL);
    mal_sim_heal(w.sim, cut);
    masc_world_run(&w, 120);
    cr_assert_str_eq(masc_world_state(&w, 1, "peer"), "Established");
    expect(&w, 2, f->a, f->range_a);
    expect(&w, 1, f->b, NULL);
    cr_assert_geq(masc_told(&w, 1, "masc.clash"), 1);
    cr_assert_geq(masc_told(&w, 2, "masc.clash"), 1);
    masc_world_clear(&w);
  }
}

/* The provider comes into the zone: from then on it is claimed from, and what was won as a TLD
   lives until its end. It goes, and the domain is a TLD again. */
Test(masc_zone_tld, a_provider_comes_and_goes_12_5)
{
  EACH(f) {
    MascWorld w = settled(f, 2);
    call(&w, 1, "masc.claim", f->a, ",\"lifetime\":1500");
    masc_world_run(&w, 100);
    expect(&w, 1, f->a, f->range_a);
    start(&w, 0, f, PROVIDER);
    start(&w, 1, f, TLD UP);
    masc_world_run(&w, 60);
    expect(&w, 1, f->a, f->range_a);
    call(&w, 0, "masc.claim", f->provided, "");
    masc_world_run(&w, 100);
    expect(&w, 0, f->provided, NULL);
    g_autofree char *params = g_strdup_printf("{\"prefix\":\"%s\"}", f->b);
    masc_world_call(&w, 1, "masc.claim", params, 5);
    cr_assert_not_null(w.error, "it is nobody's to claim any more");
    call(&w, 1, "masc.claim", f->of_it, ",\"lifetime\":1000");
    masc_world_run(&w, 100);
    g_autofree char *both = g_strdup_printf("%s %s", f->a, f->of_it);
    expect(&w, 1, both, NULL);
    start(&w, 0, f, PROVIDER OUTSIDE);
    start(&w, 1, f, TLD UP OUTSIDE);
    masc_world_run(&w, 60);
    expect(&w, 1, both, NULL);
    call(&w, 1, "masc.claim", f->b, "");
    masc_world_run(&w, 100);
    g_autofree char *three = g_strdup_printf("%s %s %s", f->a, f->b, f->of_it);
    expect(&w, 1, three, NULL);
    masc_world_clear(&w);
  }
}
