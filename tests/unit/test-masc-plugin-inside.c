/* The MASC plugin in several coordinators of one domain. Sections are RFC 2909's. */
#include "tests/unit/masc-daemons.h"

#define SCOPE                                                                                      \
  "[scope global]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=127\ndivisible=yes\n"
#define TIMES                                                                                      \
  "waiting-period=60\ninitiate-claim-delay=4\nprefix-lifetime=1h\nrenew-interval=10m\n"           \
  "plan-interval=5m\nextra-holding-time=10\nholdtime=30\nconnect-retry=4\nbackoff=5\n"            \
  "backoff-most=20\n"
#define MASC(domain, node) SCOPE "[masc]\ndomain-id=" domain "\nnode-id=" node "\n" TIMES
#define TOP MASC("64496", "192.0.2.1")
#define KID "[masc-peer kid]\naddress=192.0.2.2\nrole=child\ndomain-id=64501\n"
#define NEAR MASC("64501", "192.0.2.2")
#define UP "[masc-peer up]\naddress=192.0.2.1\nrole=parent\ndomain-id=64496\n"
#define OTHER "[masc-peer other]\naddress=192.0.2.3\nrole=internal\n"
#define FAR MASC("64501", "192.0.2.3") "parents=64496\n"
#define BACK "[masc-peer back]\naddress=192.0.2.2\nrole=internal\n"

/* Node 2 speaks to nobody but node 1: what its clients want reaches the parent all the same, which
   has nothing either, and comes back as the domain's. */
Test(masc_inside, demand_of_who_speaks_to_no_parent_is_served_5_1_11_5)
{
  MascWorld w = masc_world(3);
  masc_world_start(&w, 0, TOP KID);
  masc_world_start(&w, 1, NEAR UP OTHER);
  masc_world_start(&w, 2, FAR BACK);
  masc_world_run(&w, 20);
  cr_assert_str_eq(masc_world_state(&w, 2, "back"), "Established");
  masc_world_call(&w, 2, "lease.request",
                  "{\"scope\":\"global\",\"count\":20,\"lifetime\":600,\"wait\":true}", 600);
  cr_assert_null(w.error, "%s", w.error);
  g_autofree char *ranges = masc_ranges(&w, 2, MAL_LEVEL_AVAILABLE);
  cr_assert_str_neq(ranges, "");
  cr_assert_eq(masc_told(&w, 1, "masc.won"), 1);
  cr_assert_eq(masc_told(&w, 2, "masc.claimed"), 0, "5.1: it is in touch with no parent");
  cr_assert_eq(masc_metric(&w, 0, "error-update-sent"), 0);
  masc_world_clear(&w);
}

Test(masc_inside, what_is_planned_is_shown_before_it_is_sent_5_1_a)
{
  MascWorld w = masc_world(1);
  masc_world_start(&w, 0, TOP KID);
  masc_world_call(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}", 1);
  cr_assert_null(w.error, "%s", w.error);
  static const char *const types[] = { "not sent yet", "NEW_CLAIM" };
  for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
    json_object *claims = masc_at(masc_world_call(&w, 0, "masc.claims", "{}", 1), "claims");
    cr_assert_eq(json_object_array_length(claims), 1);
    json_object *one = json_object_array_get_idx(claims, 0);
    cr_expect_str_eq(json_object_get_string(masc_at(one, "type")), types[i]);
    cr_expect_str_eq(json_object_get_string(masc_at(one, "prefix")), "239.193.0.0/16");
    cr_expect_not_null(masc_at(one, "due"));
    masc_world_run(&w, 5);
  }
  masc_world_clear(&w);
}

/* Two providers, top-level domains beside each other; the one that is asked first claims nothing by
   itself. */
#define FIRST MASC("64496", "192.0.2.1") "claim=no\n"
#define SECOND MASC("64499", "192.0.2.3")
#define BESIDE(n, domain)                                                                          \
  "[masc-peer beside]\naddress=192.0.2." n "\nrole=sibling\ndomain-id=" domain "\n"
#define UP2 "[masc-peer up2]\naddress=192.0.2.3\nrole=parent\ndomain-id=64499\n"

Test(masc_inside, where_one_provider_brings_nothing_the_next_is_asked_11_5)
{
  MascWorld w = masc_world(3);
  masc_world_start(&w, 0, FIRST KID BESIDE("3", "64499"));
  masc_world_start(&w, 1, NEAR UP UP2);
  masc_world_start(&w, 2, SECOND KID BESIDE("1", "64496"));
  masc_world_run(&w, 20);
  cr_assert_str_eq(masc_world_state(&w, 1, "up2"), "Established");
  masc_world_call(&w, 1, "lease.request",
                  "{\"scope\":\"global\",\"count\":20,\"lifetime\":600,\"wait\":true}", 600);
  cr_assert_null(w.error, "%s", w.error);
  cr_assert_eq(masc_told(&w, 0, "masc.won"), 0);
  cr_assert_geq(masc_told(&w, 2, "masc.won"), 1);
  masc_world_clear(&w);
}

/* ---- what layer 2 took over ------------------------------------------------------------------ */

static void add_part(MalSpan part, void *to)
{
  g_array_append_val((GArray *)to, part);
}

/* How many of N spans of 256 addresses from FIRST on are vouched for. */
static unsigned vouched(MascWorld *w, const char *first, unsigned n)
{
  MalSpace *space = mal_core_space(w->host[0].core);
  const MalScope *scope = mal_scope_set_find(mal_leases_scopes(mal_core_leases(w->host[0].core)),
                                             "global");
  g_autoptr(GArray) parts = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  g_autofree MalSpan *spans = g_new(MalSpan, n + 1);
  cr_assert(mal_address_parse(first, &spans[0].first, NULL));
  for (unsigned i = 0; i < n; i++) {
    mal_address_add(spans[0].first, 256 * i, &spans[i].first);
    mal_address_add(spans[i].first, 255, &spans[i].last);
  }
  cr_assert(mal_space_vouch(space, scope, spans, n, add_part, parts));
  return parts->len;
}

Test(masc_inside, what_layer_2_took_over_goes_on_until_we_know_better_14)
{
  MascWorld w = masc_world(1);
  masc_world_start(&w, 0, TOP KID);
  masc_world_run(&w, 1);
  cr_expect_eq(vouched(&w, "239.193.0.0", 2), 2, "the disk was empty");
  cr_expect_eq(vouched(&w, "239.191.255.0", 2), 1, "outside of the scope");
  cr_expect_eq(vouched(&w, "239.193.0.0", 300), 256);
  cr_expect_eq(vouched(&w, "239.193.0.0", 0), 0);
  masc_world_run(&w, 200);
  cr_expect_eq(vouched(&w, "239.193.0.0", 2), 0, "nobody knows it");
  cr_expect_eq(masc_told(&w, 0, "masc.claimed"), 0, "and it was taken over no more");
  masc_world_clear(&w);
}

Test(masc_inside, what_layer_2_took_over_is_claimed_12_2_14)
{
  MascWorld w = masc_world(1);
  masc_world_start(&w, 0, TOP);
  masc_world_run(&w, 1);
  cr_expect_eq(vouched(&w, "239.193.0.0", 1), 1);
  masc_world_run(&w, 75);
  cr_expect_eq(masc_told(&w, 0, "masc.claimed"), 1);
  masc_world_run(&w, 70);
  g_autofree char *ranges = masc_ranges(&w, 0, MAL_LEVEL_AVAILABLE);
  cr_expect_not_null(strstr(ranges, "239.193.0.0"), "%s", ranges);
  masc_world_clear(&w);
}
