/* MADCAP clients against real servers, whole daemons on a simulated network: what a program asks of
   the client's daemon, and what the server's lease engine then holds. Sections are RFC 2730's. */
#include "core/control-core.h"
#include "madcap-world.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- the ordinary course --------------------------------------------------------------------- */

Test(madcap_client_sim, a_lease_from_request_to_release_2_2)
{
  World w = world_new(1);
  Host *server = add_host(&w, "server", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = must(&w, client, "lease.request", REQUEST);

  cr_assert_eq(leases_at(server), 1);
  cr_assert_str_eq(text_of(a, "server"), "192.0.2.1:2535");
  cr_assert_not_null(strstr(a->progress->str, "DISCOVER"), "%s", a->progress->str);
  cr_assert_not_null(strstr(a->progress->str, "OFFER"), "%s", a->progress->str);
  cr_assert_not_null(strstr(a->progress->str, "ACK"), "%s", a->progress->str);
  cr_assert_eq(metric(client, "client-leases"), 1);

  g_autofree char *longer = about(a, ",\"lifetime\":7200"), *it = about(a, "");
  answer_free(must(&w, client, "lease.renew", longer));
  cr_assert_eq(metric(client, "client-renewed"), 1);
  answer_free(must(&w, client, "lease.release", it));
  cr_assert_eq(leases_at(server), 0);
  cr_assert_eq(metric(client, "client-leases"), 0);
  Answer *again = call(&w, client, "lease.release", it);
  cr_assert_not_null(again->text);
  answer_free(again);
  answer_free(a);
  world_free(&w);
}

/* Else nobody knows which of them the server takes last, and when the lease ends. */
Test(madcap_client_sim, changes_of_one_lease_are_made_one_after_the_other_2_5)
{
  World w = world_new(4);
  Host *server = add_host(&w, "server", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = must(&w, client, "lease.request", REQUEST);
  g_autofree char *longer = about(a, ",\"lifetime\":7200"), *it = about(a, "");
  uint64_t sent = metric(client, "client-sent");
  Answer *first = begin(client, "lease.renew", longer), *second = begin(client, "lease.renew", it),
         *last = begin(client, "lease.release", it);

  cr_assert_eq(metric(client, "client-sent"), sent + 1);
  mal_sim_run_for(w.sim, 20 * SECOND);
  cr_assert(first->done && first->result && second->done && second->result, "both are answered");
  cr_assert(last->done && last->result, "%s", last->text ? last->text : "no answer");
  cr_assert_eq(metric(client, "client-sent"), sent + 3);
  cr_assert_eq(metric(client, "client-renewed"), 2);
  cr_assert_eq(leases_at(server), 0);
  answer_free(first);
  answer_free(second);
  answer_free(last);
  answer_free(a);
  world_free(&w);
}

/* The one whose turn comes finds the lease gone, and says so. */
Test(madcap_client_sim, who_waits_for_a_release_hears_that_the_lease_is_gone)
{
  World w = world_new(5);
  add_host(&w, "server", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = must(&w, client, "lease.request", REQUEST);
  g_autofree char *it = about(a, "");
  Answer *first = begin(client, "lease.release", it), *second = begin(client, "lease.renew", it);

  mal_sim_run_for(w.sim, 20 * SECOND);
  cr_assert(first->done && first->result && second->done && second->text != NULL);
  answer_free(first);
  answer_free(second);
  answer_free(a);
  world_free(&w);
}

Test(madcap_client_sim, both_roles_in_one_daemon)
{
  World w = world_new(2);
  Host *both = add_host(&w, "both", "192.0.2.1",
                        "[daemon]\nroles=maas; client\nplugins=madcap\n" SCOPES RANGE_A
                        "[madcap]\n");
  static const char *const ways[] = { "", ",\"via\":\"madcap\"" };

  for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
    Answer *a = must(&w, both, "lease.request", REQUEST);
    g_autofree char *it = about(a, ways[i]);
    cr_assert_eq(leases_at(both), 1);
    answer_free(must(&w, both, "lease.renew", it));
    answer_free(must(&w, both, "lease.release", it));
    answer_free(a);
    cr_assert_eq(leases_at(both), 0);
    a = must(&w, both, "lease.list", "{}");
    cr_assert_not(json_object_object_get_ex(a->result, "client_leases", NULL),
                  "the client lets go of it, too");
    answer_free(a);
  }
  world_free(&w);
}

Test(madcap_client_sim, the_network_tells_scopes_with_names_and_nesting_3_10)
{
  World w = world_new(3);
  add_host(&w, "server", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = must(&w, client, "madcap.scopes", "{}");
  cr_assert_lt(mal_sim_now(w.sim), 5 * SECOND, "both families are answered at once");
  json_object *scopes = json_object_object_get(a->result, "scopes");

  cr_assert_eq(json_object_array_length(scopes), 3, "%s", json_object_to_json_string(a->result));
  const char *text = json_object_to_json_string_ext(json_object_array_get_idx(scopes, 0),
                                                    JSON_C_TO_STRING_NOSLASHESCAPE);
  cr_assert_not_null(strstr(text, "\"Site local\""), "%s", text);
  cr_assert_not_null(strstr(text, "\"nests_inside\":[\"239.192.0.0\"]"), "%s", text);
  answer_free(a);
  a = must(&w, client, "madcap.servers", "{}");
  cr_assert_not_null(strstr(json_object_to_json_string(a->result), "192.0.2.1"));
  answer_free(a);
  world_free(&w);
}

Test(madcap_client_sim, a_scope_by_its_learned_name)
{
  World w = world_new(4);
  Host *server = add_host(&w, "server", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = must(&w, client, "lease.request", "{\"via\":\"madcap\",\"scope\":\"site LOCAL\"}");

  cr_assert_eq(leases_at(server), 1);
  answer_free(a);
  a = must(&w, client, "lease.request", "{\"via\":\"madcap\",\"scope\":\"local\"}");
  cr_assert_str_eq(text_of(a, "scope"), "Site local");
  answer_free(a);
  a = call(&w, client, "lease.request", "{\"via\":\"madcap\",\"scope\":\"mars\"}");
  cr_assert_eq(a->code, MAL_ERROR_NOT_FOUND);
  cr_assert_not_null(strstr(a->text, "\"Site local\""), "%s", a->text);
  answer_free(a);
  world_free(&w);
}

Test(madcap_client_sim, a_scope_by_the_name_that_rfc2365_gives_it)
{
  World w = world_new(6);
  Host *server = add_host(
      &w, "server", "192.0.2.1",
      "[daemon]\nroles=maas\nplugins=madcap\n"
      "[scope campus]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\nname[en]=Campus\n"
      "[scope hall]\nfamily=ipv4\nfirst=239.254.0.0\nlast=239.254.255.255\nname[en]=Local hall\n"
      "[range a]\nscope=campus\nfirst=239.255.1.0\nlast=239.255.1.255\n[madcap]\n");
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = must(&w, client, "lease.request", "{\"via\":\"madcap\",\"scope\":\"local\"}");

  cr_assert_str_eq(text_of(a, "scope"), "Campus");
  cr_assert_eq(leases_at(server), 1);
  answer_free(a);
  world_free(&w);
}

Test(madcap_client_sim, over_ipv6)
{
  World w = world_new(5);
  Host *server = add_host(
      &w, "server", "192.0.2.1",
      SERVER("[range six]\nscope=site6\nfirst=ff13::8000:0\nlast=ff13::8000:ffff\n"));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = must(&w, client, "lease.request",
                   "{\"via\":\"madcap\",\"scope\":\"ff13::8000:0\",\"count\":4}");

  cr_assert_eq(leases_at(server), 1);
  cr_assert_str_eq(text_of(a, "server"), "[2001:db8::1]:2535");
  g_autofree char *foreign = about(a, ",\"via\":\"madcap\",\"server\":\"2001:db8::1\"");
  answer_free(must(&w, client, "lease.renew", foreign));
  answer_free(a);
  world_free(&w);
}

/* ---- a lease that this process doesn't hold -------------------------------------------------- */

Test(madcap_client_sim, renew_and_release_need_only_identifier_and_server)
{
  World w = world_new(6);
  Host *server = add_host(&w, "server", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = must(&w, client, "lease.request", REQUEST);
  g_autofree char *it = about(a, ""),
                  *there = about(a, ",\"via\":\"madcap\",\"server\":\"192.0.2.1\"");

  mal_core_free(client->core);
  boot(client);
  Answer *unknown = call(&w, client, "lease.renew", it);
  cr_assert_eq(unknown->code, MAL_ERROR_NOT_FOUND);
  answer_free(unknown);
  answer_free(must(&w, client, "lease.renew", there));
  cr_assert_eq(leases_at(server), 1);
  answer_free(must(&w, client, "lease.release", there));
  cr_assert_eq(leases_at(server), 0);
  answer_free(a);
  world_free(&w);
}

/* ---- choosing -------------------------------------------------------------------------------- */

Test(madcap_client_sim, one_of_two_servers_gives_and_the_other_lets_its_hold_go_2_2_3)
{
  World w = world_new(7);
  Host *a = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *b = add_host(&w, "b", "192.0.2.2", SERVER(RANGE_B));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT "choose=best\n");
  Answer *got = must(&w, client, "lease.request", REQUEST);

  cr_assert_str_eq(text_of(got, "server"), "192.0.2.1:2535", "the lowest address among equals");
  cr_assert_eq(leases_at(a), 1);
  cr_assert_eq(leases_at(b), 0);
  mal_sim_run_for(w.sim, SECOND);
  cr_assert_eq(mal_leases_totals(mal_core_leases(b->core), NULL).holds, 0);
  answer_free(got);
  world_free(&w);
}

Test(madcap_client_sim, a_configured_server_comes_first)
{
  World w = world_new(8);
  Host *a = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *b = add_host(&w, "b", "192.0.2.2", SERVER(RANGE_B));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT "servers=192.0.2.2\n");

  answer_free(must(&w, client, "lease.request", REQUEST));
  cr_assert_eq(leases_at(a), 0);
  cr_assert_eq(leases_at(b), 1);
  answer_free(must(&w, client, "lease.request",
                   "{\"via\":\"madcap\",\"scope\":\"239.255.0.0\",\"server\":\"192.0.2.1\"}"));
  cr_assert_eq(leases_at(a), 1);
  world_free(&w);
}

Test(madcap_client_sim, a_full_server_s_refusal_leads_to_the_next)
{
  World w = world_new(9);
  Host *a = add_host(&w, "a", "192.0.2.1",
                     SERVER("[range a]\nscope=local\nfirst=239.255.1.1\nlast=239.255.1.1\n"));
  Host *b = add_host(&w, "b", "192.0.2.2", SERVER(RANGE_B));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT "servers=192.0.2.1; 192.0.2.2\n");

  answer_free(must(&w, client, "lease.request", REQUEST));
  answer_free(must(&w, client, "lease.request", REQUEST));
  cr_assert_eq(leases_at(a), 1);
  cr_assert_eq(leases_at(b), 1);
  world_free(&w);
}

/* ---- refusals -------------------------------------------------------------------------------- */

Test(madcap_client_sim, nobody_answers_for_60_s_2_3)
{
  World w = world_new(10);
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = call(&w, client, "lease.request", REQUEST);

  cr_assert_eq(a->code, MAL_ERROR_TIMEOUT);
  cr_assert(mal_sim_now(w.sim) >= 60 * SECOND && mal_sim_now(w.sim) < 61 * SECOND);
  cr_assert_eq(metric(client, "client-sent"), 4);
  answer_free(a);
  world_free(&w);
}

Test(madcap_client_sim, a_refusal_names_the_option_at_fault_3_17)
{
  World w = world_new(11);
  add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = call(&w, client, "lease.request",
                   "{\"via\":\"madcap\",\"scope\":\"239.255.0.0\",\"min\":600,\"max\":700,"
                   "\"server\":\"192.0.2.1\"}");

  cr_assert_eq(a->code, MAL_ERROR_NO_SPACE);
  cr_assert_not_null(strstr(a->text, "Number of Addresses"), "%s", a->text);
  answer_free(a);
  world_free(&w);
}

Test(madcap_client_sim, a_wrong_clock_is_told_2_12)
{
  World w = world_new(12);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);

  mal_sim_node_set_clock(client->node, -7200 * SECOND, 0);
  Answer *a = call(&w, client, "lease.request",
                   "{\"via\":\"madcap\",\"scope\":\"239.255.0.0\",\"server\":\"192.0.2.1\"}");
  cr_assert_not_null(a->text);
  cr_assert_not_null(strstr(a->text, "7200 s ahead of ours"), "%s", a->text);
  cr_assert_eq(leases_at(server), 0);
  answer_free(a);
  world_free(&w);
}

/* ---- Retry After ----------------------------------------------------------------------------- */

static void on_demand(MalLevel level, const MalScope *scope, uint64_t count, MalTime until,
                      void *data)
{
  (void)level;
  (void)scope;
  (void)count;
  (void)until;
  ++*(unsigned *)data;
}

Test(madcap_client_sim, waits_for_a_server_that_acquires_space_2_13_2)
{
  World w = world_new(50);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(""));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  MalSpan span;
  unsigned demands = 0;

  cr_assert(mal_span_parse("239.255.7.0-239.255.7.255", &span, NULL));
  mal_space_set_demand(mal_core_space(server->core), MAL_LEVEL_AVAILABLE, on_demand, &demands);
  Answer *a = begin(client, "lease.request",
                    "{\"via\":\"madcap\",\"scope\":\"239.255.0.0\",\"wait\":true,"
                    "\"server\":\"192.0.2.1\"}");
  mal_sim_run_for(w.sim, 300 * SECOND);
  cr_assert_not(a->done, "%s: %s", a->text, a->progress->str);
  cr_assert_gt(demands, 0);
  cr_assert_not_null(strstr(a->progress->str, "asked to come again"), "%s", a->progress->str);
  cr_assert(mal_space_add(mal_core_space(server->core), MAL_LEVEL_AVAILABLE, "local", span,
                          MAL_FOREVER, "late", "test", NULL));
  mal_sim_run_for(w.sim, 120 * SECOND);
  cr_assert(a->done);
  cr_assert_not_null(a->result, "%s: %s", a->text, a->progress->str);
  cr_assert_eq(leases_at(server), 1);
  answer_free(a);
  world_free(&w);
}

/* ---- callers --------------------------------------------------------------------------------- */

typedef struct {
  bool gone, answered;
} Program;

static void hear(json_object *result, const GError *error, void *data)
{
  Program *program = data;

  (void)result;
  (void)error;
  cr_assert_not(program->gone, "answered to nobody");
  program->answered = true;
}

/* Whenever the program goes away, no lease stays that it never heard of. */
Test(madcap_client_sim, a_program_that_went_away_leaves_no_lease)
{
  unsigned leased = 0;

  for (int64_t after = 0; after <= 3000; after += 100) {
    World w = world_new(30);
    Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
    Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
    Program program = { false, false };
    MalCaller caller = { .done = hear, .data = &program };
    json_object *params = json_tokener_parse(REQUEST);
    MalCall *call = mal_control_begin(mal_core_control(client->core), "lease.request", params, true,
                                      &caller);
    json_object_put(params);
    mal_sim_run_for(w.sim, after);
    program.gone = !program.answered;
    if (program.gone) {
      mal_call_abandon(call);
      leased += leases_at(server) > 0;
      mal_sim_run_for(w.sim, 200 * SECOND);
      cr_assert_eq(leases_at(server), 0, "after %d us", (int)after);
      cr_assert_eq(metric(client, "client-leases"), 0, "after %d us", (int)after);
    }
    world_free(&w);
  }
  cr_assert_gt(leased, 0, "never went away between lease and answer");
}

Test(madcap_client_sim, two_calls_with_one_identifier_have_one_lease)
{
  World w = world_new(40);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  const char *params = "{\"via\":\"madcap\",\"scope\":\"239.255.0.0\",\"lease\":\"00112233\"}";
  Answer *a = begin(client, "lease.request", params), *b = begin(client, "lease.request", params);

  mal_sim_run_for(w.sim, 10 * SECOND);
  cr_assert(a->done && b->done);
  cr_assert_not_null(a->result);
  cr_assert_eq(leases_at(server), 1);
  cr_assert_eq(metric(client, "client-leases"), 1);
  answer_free(must(&w, client, "lease.release", "{\"lease\":\"00112233\"}"));
  cr_assert_eq(metric(client, "client-leases"), 0);
  answer_free(a);
  answer_free(b);
  world_free(&w);
}

/* ---- addresses of ours ----------------------------------------------------------------------- */

/* The system's choice of a source may be another address than the interface's first one. */
Test(madcap_client_sim, with_two_interfaces_the_server_knows_us_by_one_address)
{
  World w = world_new(23);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  MalSimLink *second = mal_sim_link_new(w.sim, "second");

  mal_sim_iface_add(mal_sim_iface_new(client->node, second, "eth1"), "198.51.100.50");
  mal_sim_iface_add(mal_sim_iface_new(client->node, w.link, "eth2"), "192.0.2.51");
  Answer *a = must(&w, client, "lease.request", REQUEST);
  mal_sim_run_for(w.sim, 3 * 3600 * SECOND);
  cr_assert_eq(metric(client, "client-renewals-failed"), 0, "%s", client->log->str);
  g_autofree char *it = about(a, "");
  answer_free(must(&w, client, "lease.release", it));
  cr_assert_eq(leases_at(server), 0);
  answer_free(a);
  world_free(&w);
}

/* ---- a bad network --------------------------------------------------------------------------- */

static const MalSimFaults bad = {
  .latency_min = 1000,
  .latency_max = 50000,
  .jitter = 20000,
  .loss = MAL_SIM_PERCENT(30),
  .duplicate = MAL_SIM_PERCENT(20),
  .reorder = MAL_SIM_PERCENT(30),
  .reorder_delay = 5 * MAL_US,
};

static bool leased_at(const Host *h, const Answer *a, MalLease *out)
{
  uint8_t bytes[MAL_LEASE_ID_MAX];
  MalLeaseId id = { bytes, mal_lease_id_from_hex(text_of(a, "lease"), bytes, NULL) };

  return mal_leases_get(mal_core_leases(h->core), id, out);
}

/* Each program that got a lease has it at exactly one server, and nothing is leased to nobody. */
static void check_leases(const World *w, const GPtrArray *answers, uint64_t seed)
{
  uint64_t granted = 0, live = 0;

  for (guint i = 0; i < answers->len; i++) {
    const Answer *a = g_ptr_array_index(answers, i);
    unsigned at = 0;
    cr_assert(a->done, "seed %d", (int)seed);
    if (a->result == NULL)
      continue;
    granted++;
    for (size_t k = 0; k < 2; k++) {
      MalLease lease;
      at += leased_at(&w->hosts[k], a, &lease);
    }
    cr_assert_eq(at, 1, "seed %d: leased at %u servers", (int)seed, at);
  }
  for (size_t k = 0; k < 2; k++)
    live += leases_at(&w->hosts[k]);
  cr_assert_eq(live, granted, "seed %d: %d leases for %d grants", (int)seed, (int)live,
               (int)granted);
}

static unsigned bad_network(uint64_t seed, const char *servers)
{
  World w = world_new(seed);
  g_autoptr(GPtrArray) answers = g_ptr_array_new();
  unsigned granted = 0;

  add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  add_host(&w, "b", "192.0.2.2", SERVER(RANGE_B));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Host *other = add_host(&w, "other", "192.0.2.51", servers);
  mal_sim_link_set_faults(w.link, &bad);
  for (unsigned i = 0; i < 8; i++)
    g_ptr_array_add(answers, begin(i % 2 ? client : other, "lease.request",
                                   "{\"via\":\"madcap\",\"scope\":\"239.255.0.0\","
                                   "\"lifetime\":86400,\"renew\":false}"));
  mal_sim_run_for(w.sim, 1200 * SECOND);
  check_leases(&w, answers, seed);
  for (guint i = 0; i < answers->len; i++) {
    Answer *a = g_ptr_array_index(answers, i);
    granted += a->result != NULL;
    answer_free(a);
  }
  world_free(&w);
  return granted;
}

Test(madcap_client_sim, gets_its_lease_and_never_two_on_a_bad_network, .timeout = 300)
{
  unsigned granted = 0;

  for (uint64_t seed = 1; seed <= 40; seed++)
    granted += bad_network(seed, CLIENT "servers=192.0.2.1; 192.0.2.2\n");
  cr_assert(granted >= 300, "only %u of 320 requests got a lease", granted);
}
