/* MADCAP clients against real servers: what is held is renewed, kept, and given up in the end.
   Sections are RFC 2730's. */
#include "core/control-core.h"
#include "madcap-world.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- renewal --------------------------------------------------------------------------------- */

Test(madcap_client_sim_held, a_held_lease_is_renewed_until_it_is_released)
{
  World w = world_new(13);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = must(&w, client, "lease.request", REQUEST);

  mal_sim_run_for(w.sim, 10 * 3600 * SECOND);
  cr_assert_eq(leases_at(server), 1);
  cr_assert_eq(metric(client, "client-leases"), 1);
  cr_assert(metric(client, "client-renewed") >= 18 && metric(client, "client-renewed") <= 25, "%d",
            (int)metric(client, "client-renewed"));
  answer_free(a);
  world_free(&w);
}

Test(madcap_client_sim_held, not_renewed_where_the_program_does_not_want_it)
{
  World w = world_new(14);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A) "extra-allocation-time=0\n");
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);

  answer_free(must(&w, client, "lease.request",
                   "{\"via\":\"madcap\",\"scope\":\"239.255.0.0\",\"renew\":false}"));
  mal_sim_run_for(w.sim, 3700 * SECOND);
  cr_assert_eq(metric(client, "client-renewed"), 0);
  cr_assert_eq(metric(client, "client-leases"), 0);
  cr_assert_eq(leases_at(server), 0);
  world_free(&w);
}

Test(madcap_client_sim_held, a_server_that_is_gone_is_told_of_before_the_end)
{
  World w = world_new(15);
  add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);

  answer_free(must(&w, client, "lease.request", REQUEST));
  mal_sim_link_set_up(w.link, false);
  mal_sim_run_for(w.sim, 2100 * SECOND);
  cr_assert_eq(metric(client, "client-renewals-failed"), 1);
  cr_assert_not_null(strstr(client->log->str, "could not be renewed"), "%s", client->log->str);
  mal_sim_run_for(w.sim, 1600 * SECOND);
  cr_assert(metric(client, "client-renewals-failed") >= 3);
  cr_assert_eq(metric(client, "client-leases"), 0);
  cr_assert_not_null(strstr(client->log->str, "has ended"), "%s", client->log->str);
  world_free(&w);
}

/* All RENEWs arrive and no answer does: what the server granted is longer than what the client
   knows of. */
Test(madcap_client_sim_held, what_a_renewal_without_an_answer_got_is_given_back)
{
  World w = world_new(17);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A) "extra-allocation-time=0\n");
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);

  answer_free(must(&w, client, "lease.request", REQUEST));
  MalSimNode *from[] = { server->node }, *to[] = { client->node };
  MalSimCut *cut = mal_sim_partition_one_way(w.sim, from, 1, to, 1);
  mal_sim_run_for(w.sim, 3590 * SECOND);
  cr_assert_eq(leases_at(server), 1);
  mal_sim_run_for(w.sim, 60 * SECOND);
  cr_assert_eq(metric(client, "client-leases"), 0);
  cr_assert_eq(leases_at(server), 0);
  mal_sim_heal(w.sim, cut);
  world_free(&w);
}

Test(madcap_client_sim_held, a_server_that_forgot_the_lease_loses_it)
{
  World w = world_new(16);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);

  answer_free(must(&w, client, "lease.request", REQUEST));
  mal_core_free(server->core);
  boot(server);
  mal_sim_run_for(w.sim, 1900 * SECOND);
  cr_assert_eq(metric(client, "client-leases"), 0);
  cr_assert_eq(metric(client, "client-lost"), 1);
  world_free(&w);
}

Test(madcap_client_sim_held, a_step_of_the_wall_clock_loses_no_lease)
{
  static const int64_t steps[] = { 86400, -86400 };

  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
    World w = world_new(17 + i);
    Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
    Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
    answer_free(must(&w, client, "lease.request", REQUEST));
    mal_sim_node_step_clock(client->node, steps[i] * SECOND);
    mal_sim_run_for(w.sim, 3 * 3600 * SECOND);
    cr_assert_eq(metric(client, "client-leases"), 1, "step %d", (int)steps[i]);
    cr_assert_eq(leases_at(server), 1, "step %d", (int)steps[i]);
    world_free(&w);
  }
}

/* ---- the store ------------------------------------------------------------------------------- */

Test(madcap_client_sim_held, leases_outlive_the_daemon_s_restart)
{
  World w = world_new(20);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);

  mal_core_free(client->core);
  client->dir = g_dir_make_tmp("mal-client-XXXXXX", NULL);
  boot(client);
  Answer *a = must(&w, client, "lease.request", REQUEST);
  Answer *b = must(&w, client, "lease.request", REQUEST);
  g_autofree char *it = about(b, "");
  answer_free(must(&w, client, "lease.release", it));
  mal_core_free(client->core);
  mal_sim_run_for(w.sim, 600 * SECOND);
  boot(client);
  cr_assert_eq(metric(client, "client-leases"), 1);
  mal_sim_run_for(w.sim, 3 * 3600 * SECOND);
  cr_assert_eq(leases_at(server), 1, "renewed in time");
  cr_assert_eq(metric(client, "client-leases"), 1);
  g_autofree char *that = about(a, "");
  answer_free(must(&w, client, "lease.release", that));
  cr_assert_eq(leases_at(server), 0);
  mal_core_free(client->core);
  boot(client);
  cr_assert_eq(metric(client, "client-leases"), 0);
  answer_free(a);
  answer_free(b);
  world_free(&w);
}

Test(madcap_client_sim_held, what_cannot_be_kept_goes_back)
{
  World w = world_new(21);
  Host *server = add_host(&w, "a", "192.0.2.1", SERVER(RANGE_A));
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);

  mal_store_memory_fail(mal_core_store(client->core), "the disk is full");
  Answer *a = call(&w, client, "lease.request", REQUEST);
  cr_assert_not_null(a->text);
  cr_assert_not_null(strstr(a->text, "the disk is full"), "%s", a->text);
  mal_sim_run_for(w.sim, SECOND);
  cr_assert_eq(leases_at(server), 0);
  cr_assert_eq(metric(client, "client-leases"), 0);
  answer_free(a);
  world_free(&w);
}

Test(madcap_client_sim_held, a_daemon_that_stops_fails_who_waits)
{
  World w = world_new(22);
  Host *client = add_host(&w, "client", "192.0.2.50", CLIENT);
  Answer *a = begin(client, "lease.request", REQUEST);

  mal_sim_run_for(w.sim, 2 * SECOND);
  mal_core_stop(client->core);
  cr_assert(a->done);
  cr_assert_not_null(a->text);
  answer_free(a);
  world_free(&w);
}
