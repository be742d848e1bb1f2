/* The AAP plugin and its disk: what is there after a crash, and after writes that failed. Sections:
   draft-ietf-malloc-aap-04. */
#include "tests/unit/aap-daemons.h"

Test(aap_plugin_disk, aap_51_own_allocations_and_those_of_others_survive_a_crash_3_1)
{
  World w = world(2);
  start(&w, 0, "maas", small);
  start(&w, 1, "maas", small);
  run(&w, 250);
  lease(&w, 0, "local", 5);
  lease(&w, 1, "local", 3);
  run(&w, 60);
  uint64_t before = owned(&w, 0);
  cr_assert_gt(before, 0);
  mal_sim_node_crash(w.host[0].node, MAL_SIM_DISK_KEPT);
  g_clear_pointer(&w.host[0].core, mal_core_free);
  mal_sim_node_bury(w.host[0].node);
  run(&w, 20);
  mal_sim_node_restart(w.host[0].node);
  start(&w, 0, "maas", small);
  cr_assert_eq(owned(&w, 0), before, "at once, while it listens");
  cr_assert_eq(json_object_array_length(at(call(&w, 0, "lease.list", "{}", 2), "leases")), 1);
  bool foreign = false;
  json_object *records = at(call(&w, 0, "aap.records", "{}", 2), "records");
  for (size_t i = 0; i < json_object_array_length(records); i++)
    foreign = foreign || strcmp(json_object_get_string(
                                    at(json_object_array_get_idx(records, i), "kind")),
                                "foreign") == 0;
  cr_assert(foreign);
  run(&w, 300);
  assert_disjoint(&w);
  clear(&w);
}

typedef struct {
  World *w;
  unsigned i, stale;
} Rows;

static bool count_stale(const MalRecord *record, void *data, GError **error)
{
  Rows *rows = data;
  (void)error;
  if (strcmp(record->kind, "own") == 0) {
    cr_assert_gt(record->key_length, 5);
    MalAddress first = mal_address_from_bytes(MAL_IPV4, record->key + 1, 4);
    rows->stale += !is_owned(rows->w, rows->i, (MalSpan){ first, first });
  }
  return true;
}

static unsigned stale_rows(World *w)
{
  Rows rows = { .w = w };
  for (; rows.i < w->n; rows.i++)
    cr_assert(mal_store_each_record(mal_core_store(w->host[rows.i].core), "aap", count_stale, &rows,
                                    NULL));
  return rows.stale;
}

/* A row that stayed would be ours again after a crash, and somebody else's. */
Test(aap_plugin_disk, what_is_lost_while_the_disk_fails_is_gone_later_3_1, .timeout = 60)
{
  const MalAddress at = mal_address_ipv4(0xefff0808);
  World w = world(2);
  for (unsigned i = 0; i < 2; i++)
    start(&w, i, "maas", small);
  MalSimCut *cut = mal_sim_partition(w.sim, &w.host[0].node, 1, &w.host[1].node, 1);
  run(&w, 250);
  for (unsigned i = 0; i < 2; i++)
    call(&w, i, "lease.request", "{\"scope\":\"local\",\"address\":\"239.255.8.8\",\"wait\":true}",
         60);
  cr_assert(is_owned(&w, 0, (MalSpan){ at, at }) && is_owned(&w, 1, (MalSpan){ at, at }));
  for (unsigned i = 0; i < 2; i++)
    mal_sim_disk_set_fault(mal_sim_node_disk(w.host[i].node, "journal"), MAL_SIM_DISK_FULL);
  mal_sim_heal(w.sim, cut);
  run(&w, 600);
  assert_disjoint(&w);
  cr_assert_gt(stale_rows(&w), 0);
  for (unsigned i = 0; i < 2; i++)
    mal_sim_disk_set_fault(mal_sim_node_disk(w.host[i].node, "journal"), MAL_SIM_DISK_OK);
  run(&w, 60);
  cr_assert_eq(stale_rows(&w), 0);
  clear(&w);
}
