/* Between AAP and layer 3, in whole daemons on the simulator, with a toy in MASC's place: who waits
   for space that layer 3 may bring, how often layer 3 hears of it, what becomes of what it brings.
   Sections are draft-ietf-malloc-aap-04's. */
#include "tests/unit/daemons.h"

#include <criterion/criterion.h>
#include <string.h>

extern const MalPlugin mal_plugin;

typedef Daemons World;

static const char scopes[] =
    "[scope domain]\nfamily=ipv4\nfirst=239.251.0.0\nlast=239.251.255.255\nttl=63\n"
    "[scope world]\nfamily=ipv4\nfirst=233.252.0.0\nlast=233.252.3.255\nttl=127\ndivisible=yes\n";
static const char one_range[] = "[range w]\nscope=world\nfirst=233.252.1.0\nlast=233.252.1.15\n";

/* ---- the toy --------------------------------------------------------------------------------- */

static struct {
  const MalHost *host; /* of the last one that was opened */
  unsigned demands, said_nothing;
  uint64_t count;
  MalTime until;
  /* What it has again after a restart, of its records or of its peers. */
  const char *restores, *learns;
} toy;

static MalSpan span_of(const char *text)
{
  MalSpan span = { 0 };
  cr_assert(mal_span_parse(text, &span, NULL));
  return span;
}

static void bring(const char *span, int64_t seconds)
{
  g_autoptr(GError) error = NULL;
  cr_assert(mal_space_add(toy.host->space, MAL_LEVEL_AVAILABLE, "world", span_of(span),
                          mal_time_add(mal_runtime_now(toy.host->runtime), seconds), span, "toy",
                          &error),
            "%s", error ? error->message : "");
}

static void *toy_open(const MalHost *host, GError **error)
{
  (void)error;
  toy.host = host;
  if (toy.restores)
    bring(toy.restores, 86400);
  return &toy;
}

static bool toy_start(void *instance, GError **error)
{
  (void)instance, (void)error;
  if (toy.learns)
    bring(toy.learns, 86400);
  return true;
}

static void toy_stop(void *instance)
{
  (void)instance;
}

static void toy_demand(void *instance, MalLevel level, const MalScope *scope, uint64_t count,
                       MalTime until)
{
  (void)instance;
  cr_assert(level == MAL_LEVEL_AVAILABLE && strcmp(scope->id, "world") == 0);
  toy.demands++;
  toy.count = count;
  toy.until = until;
}

static const MalPlugin toy_plugin = { .abi = MAL_PLUGIN_ABI,
                                      .name = "toy",
                                      .version = "0",
                                      .summary = "layer 3",
                                      .roles = MAL_ROLE_COORDINATOR,
                                      .open = toy_open,
                                      .start = toy_start,
                                      .stop = toy_stop,
                                      .close = toy_stop,
                                      .demand = toy_demand };

/* ---- the world ------------------------------------------------------------------------------- */

static void hear(MalLogLevel level, const char *line, void *data)
{
  (void)level, (void)data;
  toy.said_nothing += strstr(line, "scope world: no address is available;") != NULL;
}

static void start(World *w, unsigned i, const char *roles, const char *plugins, const char *text)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, &toy_plugin, NULL };
  g_autoptr(GError) error = NULL;
  g_autofree char *config =
      g_strdup_printf("[daemon]\nroles=%s\nlog-level=warning\nplugins=%s\n%s%s", roles, plugins,
                      scopes, text);
  MalCoreOptions options = { .runtime = mal_sim_node_runtime(w->host[i].node),
                             .store = mal_sim_store_open(w->host[i].node),
                             .config_text = config,
                             .builtin = builtin,
                             .log = hear };
  w->host[i].core = mal_core_new(&options, &error);
  cr_assert(w->host[i].core && mal_core_start(w->host[i].core, &error), "%s",
            error ? error->message : "");
}

static World world(unsigned n)
{
  memset(&toy, 0, sizeof toy);
  return daemons_new(n, 7);
}

/* How many seconds it took. */
static int64_t answer(World *w, int64_t most)
{
  int64_t t = 0;
  for (; t < most && !w->answered; t++)
    daemons_run(w, 1);
  cr_assert(w->answered, "not within %d s", (int)most);
  return t;
}

static void ask(World *w, unsigned i, unsigned count)
{
  g_autofree char *params = g_strdup_printf(
      "{\"scope\":\"world\",\"count\":%u,\"lifetime\":3600,\"wait\":true}", count);
  daemons_ask(w, i, "lease.request", params);
}

static size_t leases(World *w, unsigned i)
{
  json_object *list = NULL;
  daemons_ask(w, i, "lease.list", "{}");
  answer(w, 5);
  cr_assert(json_object_object_get_ex(w->result, "leases", &list));
  return json_object_array_length(list);
}

static void forget_demand(void)
{
  toy.demands = 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Coordinator and layer 3 in a process of their own, server and clients in another. */
static World apart(const char *coordinator_has)
{
  World w = world(3);
  start(&w, 0, "prefix-coordinator", "aap;toy", coordinator_has);
  start(&w, 1, "maas", "aap", "");
  start(&w, 2, "maas", "aap", "");
  daemons_run(&w, 350);
  return w;
}

Test(aap_layer3, who_lacks_space_waits_and_layer_3_hears_it_until_it_brings_some_3_2_9)
{
  World w = apart(one_range);
  cr_assert_eq(toy.demands, 0);
  ask(&w, 1, 20);
  daemons_run(&w, 20);
  cr_assert_not(w.answered);
  cr_assert_geq(toy.demands, 1, "by ANA");
  cr_assert_geq(toy.count, 4);
  forget_demand();
  daemons_run(&w, 200);
  cr_assert_not(w.answered);
  cr_assert_geq(toy.demands, 4, "by reports: %u", toy.demands);
  cr_assert_leq(toy.demands, 10);
  bring("233.252.2.0-233.252.2.63", 86400);
  cr_assert_leq(answer(&w, 60), 30, "announced at once, claimed, leased");
  cr_assert_null(w.error, "%s", w.error);
  cr_assert_eq(leases(&w, 1), 1);
  forget_demand();
  daemons_run(&w, 200);
  cr_assert_eq(toy.demands, 0, "nobody wants more");
  daemons_clear(&w);
}

Test(aap_layer3, the_core_gives_up_at_last)
{
  World w = apart(one_range);
  ask(&w, 1, 20);
  cr_assert_geq(answer(&w, 700), 590);
  cr_assert(g_str_has_prefix(w.error, "no space came within ten minutes: "), "%s", w.error);
  cr_assert(strstr(w.error, "of 16 available"), "%s", w.error);
  daemons_clear(&w);
}

/* With nothing to announce a coordinator is silent, so nobody knows of it: who asks waits, since
   layer 3 may stand behind it, and hears of his ANA until there is something. */
Test(aap_layer3, the_first_space_of_a_domain_3_2_9)
{
  World w = apart("");
  ask(&w, 1, 3);
  daemons_run(&w, 20);
  cr_assert_not(w.answered, "%s", w.error);
  cr_assert_geq(toy.demands, 1);
  cr_assert_eq(toy.count, 3);
  forget_demand();
  daemons_run(&w, 120);
  cr_assert_not(w.answered, "%s", w.error);
  cr_assert_geq(toy.demands, 3, "%u", toy.demands);
  cr_assert_eq(toy.count, 3);
  cr_assert_eq(toy.said_nothing, 1, "%u", toy.said_nothing);
  bring("233.252.2.0-233.252.2.63", 86400);
  cr_assert_leq(answer(&w, 100), 90, "the first announcement comes after 51 to 69 s");
  cr_assert_null(w.error, "%s", w.error);
  cr_assert_eq(leases(&w, 1), 1);
  forget_demand();
  daemons_run(&w, 120);
  cr_assert_eq(toy.demands, 0, "nobody wants more");
  daemons_clear(&w);
}

/* What was announced is over, and so is the time for which the coordinator's word counts. */
Test(aap_layer3, the_next_space_of_a_domain_that_has_none_left)
{
  World w = apart("");
  bring("233.252.2.0-233.252.2.63", 200);
  daemons_run(&w, 500);
  forget_demand();
  cr_assert_eq(toy.said_nothing, 0);
  ask(&w, 1, 3);
  daemons_run(&w, 60);
  cr_assert_not(w.answered, "%s", w.error);
  cr_assert_geq(toy.demands, 1);
  cr_assert_eq(toy.said_nothing, 1, "%u", toy.said_nothing);
  bring("233.252.1.0-233.252.1.63", 86400);
  answer(&w, 100);
  cr_assert_null(w.error, "%s", w.error);
  daemons_clear(&w);
}

Test(aap_layer3, who_waited_for_a_coordinator_in_vain_hears_that_none_was_there)
{
  World w = world(1);
  start(&w, 0, "maas", "aap", "");
  daemons_run(&w, 250);
  ask(&w, 0, 3);
  cr_assert_geq(answer(&w, 700), 590);
  cr_assert(w.error && strstr(w.error, "no prefix coordinator has announced any"), "%s", w.error);
  daemons_clear(&w);
}

/* It is this process itself, and has nothing behind it. */
Test(aap_layer3, a_coordinator_without_ranges_and_without_layer_3_is_not_waited_for)
{
  World w = world(1);
  start(&w, 0, "maas;prefix-coordinator", "aap", "");
  daemons_run(&w, 250);
  ask(&w, 0, 3);
  cr_assert_leq(answer(&w, 20), 15);
  cr_assert(w.error && strstr(w.error, "it has no [range]"), "%s", w.error);
  daemons_clear(&w);
}

/* A coordinator that was away when it was said hears it, since who waits says it again. */
Test(aap_layer3, a_coordinator_that_comes_later_hears_what_is_still_wanted)
{
  World w = world(2);
  start(&w, 1, "maas", "aap", "");
  daemons_run(&w, 250);
  ask(&w, 1, 3);
  daemons_run(&w, 80);
  cr_assert_not(w.answered, "%s", w.error);
  start(&w, 0, "prefix-coordinator", "aap;toy", "");
  daemons_run(&w, 80);
  cr_assert_geq(toy.demands, 1);
  cr_assert_eq(toy.count, 3);
  bring("233.252.2.0-233.252.2.63", 86400);
  answer(&w, 100);
  cr_assert_null(w.error, "%s", w.error);
  daemons_clear(&w);
}

/* Server, coordinator and layer 3 in one process: nobody announces anything yet. */
Test(aap_layer3, all_in_one_process)
{
  World w = world(1);
  start(&w, 0, "maas;prefix-coordinator", "aap;toy", "");
  daemons_run(&w, 250);
  ask(&w, 0, 3);
  daemons_run(&w, 100);
  cr_assert_not(w.answered);
  cr_assert_geq(toy.demands, 3, "%u", toy.demands);
  cr_assert_eq(toy.count, 3);
  bring("233.252.2.0-233.252.2.63", 86400);
  answer(&w, 30);
  cr_assert_null(w.error, "%s", w.error);
  daemons_clear(&w);
}

Test(aap_layer3, who_asks_where_nobody_could_bring_any_is_told_at_once)
{
  World w = world(2);
  start(&w, 0, "maas;prefix-coordinator", "aap", one_range);
  daemons_run(&w, 350);
  ask(&w, 0, 20);
  cr_assert_leq(answer(&w, 20), 15, "no layer 3, no other coordinator");
  cr_assert_not_null(w.error);
  daemons_clear(&w);
}

Test(aap_layer3, a_coordinator_that_is_gone_is_not_waited_for)
{
  World w = apart(one_range);
  mal_sim_node_crash(w.host[0].node, MAL_SIM_DISK_KEPT);
  g_clear_pointer(&w.host[0].core, mal_core_free);
  daemons_run(&w, 200);
  ask(&w, 1, 20);
  cr_assert_leq(answer(&w, 30), 20);
  cr_assert_not_null(w.error);
  daemons_clear(&w);
}

/* Who named addresses that can't be had is told so, and nobody else is. */
Test(aap_layer3, named_addresses_are_no_lack_of_space)
{
  World w = apart(one_range);
  World named = { .sim = w.sim };
  ask(&w, 2, 3);
  answer(&w, 30);
  ask(&w, 1, 20);
  daemons_run(&w, 20);
  cr_assert_not(w.answered);
  json_object *p = json_tokener_parse(
      "{\"scope\":\"world\",\"address\":\"233.252.1.0-233.252.1.15\",\"lifetime\":3600,"
      "\"wait\":true}");
  mal_control_call(mal_core_control(w.host[1].core), "lease.request", p, true, daemons_answered,
                   NULL, &named);
  json_object_put(p);
  daemons_run(&w, 20);
  cr_assert(named.answered && named.error);
  cr_assert_not(w.answered, "still waits");
  json_object_put(named.result);
  g_free(named.error);
  daemons_clear(&w);
}

/* ---- coming and going ------------------------------------------------------------------------ */

Test(aap_layer3, what_is_taken_away_ends_leases_everywhere_3_2_10_1)
{
  World w = apart(one_range);
  bring("233.252.2.0-233.252.2.63", 86400);
  daemons_run(&w, 5);
  for (unsigned i = 1; i <= 2; i++) {
    ask(&w, i, 18);
    answer(&w, 60);
    cr_assert_null(w.error, "%s", w.error);
    cr_assert_eq(leases(&w, i), 1);
  }
  cr_assert(mal_space_remove(toy.host->space, MAL_LEVEL_AVAILABLE,
                             span_of("233.252.2.0-233.252.2.63").first, NULL));
  daemons_run(&w, 10);
  cr_assert_eq(leases(&w, 1) + leases(&w, 2), 0, "announced at once");
  daemons_clear(&w);
}

/* The last of all: an announcement takes it back (4.2.1). */
Test(aap_layer3, what_was_all_is_taken_away)
{
  World w = apart("");
  bring("233.252.2.0-233.252.2.63", 86400);
  daemons_run(&w, 90);
  ask(&w, 1, 5);
  answer(&w, 60);
  cr_assert_null(w.error, "%s", w.error);
  cr_assert(mal_space_remove(toy.host->space, MAL_LEVEL_AVAILABLE,
                             span_of("233.252.2.0-233.252.2.63").first, NULL));
  daemons_run(&w, 10);
  cr_assert_eq(leases(&w, 1), 0);
  daemons_clear(&w);
}

Test(aap_layer3, what_lasts_longer_now_is_leased_longer)
{
  World w = apart("");
  bring("233.252.2.0-233.252.2.63", 3000);
  daemons_run(&w, 90);
  MalAddress first = span_of("233.252.2.0-233.252.2.63").first;
  cr_assert(mal_space_set_until(toy.host->space, MAL_LEVEL_AVAILABLE, first,
                                mal_time_add(mal_runtime_now(toy.host->runtime), 9000), NULL));
  daemons_run(&w, 5);
  ask(&w, 1, 5);
  answer(&w, 60);
  cr_assert_null(w.error, "%s", w.error);
  daemons_run(&w, 3300);
  cr_assert_eq(leases(&w, 1), 1, "beyond the first end");
  daemons_clear(&w);
}

static void lose_coordinators_disk(World *w)
{
  mal_sim_node_crash(w->host[0].node, MAL_SIM_DISK_WIPED);
  g_clear_pointer(&w->host[0].core, mal_core_free);
  mal_sim_node_bury(w->host[0].node);
  daemons_run(w, 250);
  mal_sim_node_restart(w->host[0].node);
  start(w, 0, "prefix-coordinator", "aap;toy", "");
}

/* The coordinator lost its disk, and announces what the servers remember; then layer 3 has its own
   back. */
Test(aap_layer3, what_comes_back_takes_the_place_of_what_was_adopted_4_1)
{
  World w = apart("");
  bring("233.252.2.0-233.252.2.63", 86400);
  daemons_run(&w, 90);
  ask(&w, 1, 5);
  answer(&w, 60);
  lose_coordinators_disk(&w);
  daemons_run(&w, 120);
  const MalRange *adopted = mal_space_containing(toy.host->space, MAL_LEVEL_AVAILABLE,
                                                 span_of("233.252.2.0").first);
  cr_assert(adopted && adopted->stand_in);
  bring("233.252.2.0-233.252.2.63", 86400);
  adopted = mal_space_containing(toy.host->space, MAL_LEVEL_AVAILABLE,
                                 span_of("233.252.2.0").first);
  cr_assert(adopted && strcmp(adopted->source, "toy") == 0);
  daemons_run(&w, 120);
  cr_assert_eq(leases(&w, 1), 1, "nobody lost anything");
  daemons_clear(&w);
}

/* The same, where layer 3 knows what is the domain's: it goes on as long as that vouches for it. */
static void vouch_for(const MalScope *scope, const MalSpan *spans, size_t n, MalVouchFunc func,
                      void *to, void *data)
{
  MalSpan part;
  (void)scope;
  for (size_t i = 0; i < n && data != NULL; i++)
    if (mal_span_intersect(spans[i], span_of(data), &part))
      func(part, to);
}

static size_t leases_of_two(const char *vouched, const char *later, const char *brings)
{
  World w = apart("");
  bring("233.252.2.0-233.252.2.63", 86400);
  daemons_run(&w, 90);
  for (unsigned i = 0; i < 2; i++) {
    g_autofree char *params = g_strdup_printf("{\"scope\":\"world\",\"lifetime\":36000,"
                                              "\"address\":\"233.252.2.%u\"}", 8 + 40 * i);
    daemons_ask(&w, 1, "lease.request", params);
    answer(&w, 60);
    cr_assert_null(w.error, "%s", w.error);
  }
  lose_coordinators_disk(&w);
  mal_space_set_vouch(toy.host->space, vouch_for, (void *)(uintptr_t)vouched);
  daemons_run(&w, 120);
  cr_assert_eq(mal_space_containing(toy.host->space, MAL_LEVEL_AVAILABLE,
                                    span_of("233.252.2.8").first) != NULL, vouched != NULL);
  if (brings != NULL)
    bring(brings, 86400);
  mal_space_set_vouch(toy.host->space, vouch_for, (void *)(uintptr_t)later);
  mal_space_vouch_again(toy.host->space);
  daemons_run(&w, 120);
  size_t n = leases(&w, 1);
  daemons_clear(&w);
  return n;
}

Test(aap_layer3, what_was_adopted_goes_on_while_layer_3_vouches_for_it_4_1)
{
  static const char all[] = "233.252.2.0-233.252.2.63", half[] = "233.252.2.0-233.252.2.31";
  static const char rest[] = "233.252.2.32-233.252.2.63";
  cr_expect_eq(leases_of_two(all, all, NULL), 2);
  cr_expect_eq(leases_of_two(all, half, NULL), 1, "a part of it ends");
  cr_expect_eq(leases_of_two(all, NULL, NULL), 0, "all of it ends");
  cr_expect_eq(leases_of_two(half, half, NULL), 1, "a part is not taken over");
  cr_expect_eq(leases_of_two(NULL, NULL, NULL), 0, "what servers say again is taken back");
  cr_expect_eq(leases_of_two(all, rest, half), 2, "beside what layer 3 brings");
  cr_expect_eq(leases_of_two(all, NULL, half), 1);
}

/* All in one process, after a crash: what layer 3 brings back, early or late, meets what AAP
   remembers of its own announcements (of two ranges that it had joined); the leases in it stay. */
static void restart_of_all_in_one(const char **back)
{
  static const char one[] = "233.252.2.0-233.252.2.63", two[] = "233.252.2.64-233.252.2.95";
  World w = world(1);
  start(&w, 0, "maas;prefix-coordinator", "aap;toy", "");
  bring(one, 86400);
  bring(two, 86400);
  daemons_run(&w, 350);
  ask(&w, 0, 70);
  answer(&w, 30);
  cr_assert_null(w.error, "%s", w.error);
  daemons_run(&w, 100);
  *back = one;
  toy.demands = 0;
  mal_sim_node_crash(w.host[0].node, MAL_SIM_DISK_KEPT);
  g_clear_pointer(&w.host[0].core, mal_core_free);
  mal_sim_node_bury(w.host[0].node);
  daemons_run(&w, 20);
  mal_sim_node_restart(w.host[0].node);
  start(&w, 0, "maas;prefix-coordinator", "aap;toy", "");
  bring(two, 86400);
  cr_assert_eq(leases(&w, 0), 1);
  daemons_run(&w, 300);
  cr_assert_eq(leases(&w, 0), 1);
  daemons_clear(&w);
}

Test(aap_layer3, all_in_one_process_restarts_and_layer_3_restores_its_own)
{
  restart_of_all_in_one(&toy.restores);
}

Test(aap_layer3, all_in_one_process_restarts_and_layer_3_learns_its_own)
{
  restart_of_all_in_one(&toy.learns);
}

/* ---- usage ----------------------------------------------------------------------------------- */

static void add_up(MalSpan span, uint64_t used, MalTime until, void *data)
{
  (void)span;
  cr_assert_gt(until, mal_runtime_now(toy.host->runtime));
  *(uint64_t *)data += used;
}

static uint64_t used_in(World *w, unsigned i, const char *span)
{
  uint64_t sum = 0;
  const MalScopeSet *set = mal_leases_scopes(toy.host->leases);
  mal_space_usage(mal_core_space(w->host[i].core), mal_scope_set_find(set, "world"), span_of(span),
                  add_up, &sum);
  return sum;
}

/* The coordinator, which leases nothing itself, and a server know the same of the domain. */
Test(aap_layer3, what_is_used_is_known_to_coordinator_and_servers)
{
  World w = apart("[range w]\nscope=world\nfirst=233.252.1.0\nlast=233.252.1.255\n");
  cr_assert_eq(used_in(&w, 0, "233.252.0.0-233.252.3.255"), 0);
  ask(&w, 1, 5);
  answer(&w, 60);
  ask(&w, 2, 7);
  answer(&w, 60);
  daemons_run(&w, 60);
  uint64_t all = used_in(&w, 0, "233.252.0.0-233.252.3.255");
  cr_assert_geq(all, 12);
  cr_assert_leq(all, 256);
  cr_assert_eq(used_in(&w, 1, "233.252.1.0-233.252.1.255"), all);
  cr_assert_eq(used_in(&w, 2, "233.252.1.0-233.252.1.255"), all);
  cr_assert_eq(used_in(&w, 0, "233.252.2.0-233.252.2.255"), 0);
  daemons_clear(&w);
}
