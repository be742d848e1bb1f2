/* What must hold in a world of MADCAP, beside what each datagram says (madcap-world-tap.c) and what
   was promised (madcap-world-promise.c). */
#include "madcap-world-private.h"

#include <string.h>

#include "core/leases-core.h"

#define LEAVING (5 * MAL_US)       /* a revocation that waits for the disk */
#define WHOLE_MOST 48              /* leases of a server that are all looked at after each change */

/* ---- one lease ------------------------------------------------------------------------------- */

static unsigned scope_of(const MalLease *lease)
{
  unsigned k = 0;
  while (k < SCOPES && strcmp(world_scopes[k].id, lease->scope) != 0)
    k++;
  return k;
}

static MalSpan part_of(const Server *s, unsigned scope, unsigned first, unsigned size)
{
  MalSpan span = world_share(s->index, scope, SHARE_ALL);
  span.first.value += first;
  span.last = span.first;
  span.last.value += size - 1;
  return span;
}

static bool is_kept_out(const Server *s, unsigned k, MalSpan span)
{
  const ServerConf *c = &s->conf;
  return (c->exclude_size[k] &&
          mal_span_overlaps(part_of(s, k, c->exclude[k], c->exclude_size[k]), span)) ||
         (c->reserve_size[k] &&
          mal_span_overlaps(part_of(s, k, c->reserve[k], c->reserve_size[k]), span));
}

/* leased, owned, available, scope: each within the next one (design: three nested sets). */
static void check_place(Server *s, const MalLease *lease)
{
  MalLeases *leases = mal_core_leases(s->core);
  const MalSpace *space = mal_core_space(s->core);
  const MalScope *scope = mal_scope_set_find(mal_leases_scopes(leases), lease->scope);
  unsigned k = scope_of(lease);
  MalTime now = server_now(s);
  /* What is being written while its range goes is revoked as soon as it is written. */
  bool leaving = mal_sim_now(s->world->sim) - s->revoked < LEAVING || world_may_lag(s);
  if (!scope || k == SCOPES) {
    world_broken(s, lease->id, "leased in a scope that is not there", lease);
    return;
  }
  for (size_t i = 0; i < lease->n_blocks; i++) {
    MalSpan span = mal_span_of_block(lease->blocks[i]);
    if (!mal_span_contains(world_share(s->index, k, SHARE_ALL), span))
      world_broken(s, lease->id, "leased what is another server's", lease);
    else if (!mal_span_contains(scope->span, span))
      world_broken(s, lease->id, "leased outside of its scope", lease);
    else if (!leaving && !mal_space_covers(space, MAL_LEVEL_AVAILABLE, scope, span, now))
      world_broken(s, lease->id, "leased what is not available", lease);
    else if (!leaving && !mal_space_covers(space, MAL_LEVEL_OWNED, scope, span, now))
      world_broken(s, lease->id, "leased what it doesn't own", lease);
    else if (!s->ghosts && is_kept_out(s, k, span))
      world_broken(s, lease->id, "leased what is excluded or reserved", lease);
  }
}

/* ---- incrementally: what the watch tells ----------------------------------------------------- */

static uint64_t group_of(MalAddress a)
{
  return (uint64_t)a.family << 32 | mal_address_ethernet_group(a);
}

static void leave_group(Server *s, uint64_t group, const WorldId *id)
{
  GArray *ids = g_hash_table_lookup(s->groups, &group);
  for (guint i = 0; ids && i < ids->len; i++)
    if (memcmp(&g_array_index(ids, WorldId, i), id, sizeof *id) == 0) {
      g_array_remove_index_fast(ids, i);
      return;
    }
}

/* Past parts of periods don't count: a step of the clock may have moved them anywhere. */
static void enter_group(Server *s, uint64_t group, const MalLease *lease, const WorldId *id)
{
  GArray *ids = g_hash_table_lookup(s->groups, &group);
  MalLease other;
  if (!ids) {
    ids = g_array_new(FALSE, FALSE, sizeof(WorldId));
    g_hash_table_insert(s->groups, g_memdup2(&group, sizeof group), ids);
  }
  for (guint i = 0; i < ids->len; i++) {
    if (s->ghosts || !mal_leases_get(mal_core_leases(s->core),
                                     lease_id(&g_array_index(ids, WorldId, i)), &other))
      continue;
    MalTime from = MAX(MAX(mal_lease_held_from(lease), mal_lease_held_from(&other)),
                       server_now(s)),
            until = MIN(mal_lease_held_until(lease), mal_lease_held_until(&other));
    if (from < until)
      world_broken(s, lease->id, "was granted with another lease's Ethernet group", &other);
  }
  g_array_append_val(ids, *id);
}

static void on_change(MalLeaseChange what, const MalLease *lease, const char *reason, void *data)
{
  Server *s = data;
  WorldId id = world_id(lease->id);
  bool there = what == MAL_LEASE_GRANTED || what == MAL_LEASE_RENEWED;
  (void)reason;
  count(s->world, COUNT_CHANGES);
  for (size_t i = 0; i < lease->n_blocks; i++)
    for (uint32_t k = 0; k < lease->blocks[i].count; k++) {
      MalAddress a = lease->blocks[i].first;
      a.value += k;
      leave_group(s, group_of(a), &id);
      if (there)
        enter_group(s, group_of(a), lease, &id);
    }
  /* What this event moves may not be at its new place yet; the step's end looks again. */
  if (there && mal_sim_now(s->world->sim) - s->step_seen > 2 * MAL_US)
    check_place(s, lease);
}

static void ids_free(void *ids)
{
  g_array_unref(ids);
}

void world_check_server_up(Server *s)
{
  MalLeases *leases = mal_core_leases(s->core);
  MalLease lease;
  if (s->groups)
    g_hash_table_unref(s->groups);
  s->groups = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, ids_free);
  s->watch = mal_leases_watch(leases, on_change, s);
  s->dirty = true;
  /* A copy: the view is good for a few others only. */
  for (uint64_t cursor = 0; mal_leases_next(leases, NULL, &cursor, &lease);) {
    g_autofree MalBlock *blocks = g_memdup2(lease.blocks, lease.n_blocks * sizeof *blocks);
    lease.blocks = blocks;
    on_change(MAL_LEASE_GRANTED, &lease, NULL, s);
  }
}

/* ---- one server, completely ------------------------------------------------------------------ */

typedef struct {
  uint64_t group;
  MalTime from, until;
  size_t lease;
} Use;

static int use_order(gconstpointer a, gconstpointer b)
{
  const Use *x = a, *y = b;
  return x->group < y->group ? -1 : x->group > y->group;
}

static void add_uses(GArray *uses, const MalLease *lease, size_t number)
{
  for (size_t i = 0; i < lease->n_blocks; i++)
    for (uint32_t k = 0; k < lease->blocks[i].count; k++) {
      MalAddress a = lease->blocks[i].first;
      a.value += k;
      Use use = { group_of(a), mal_lease_held_from(lease), 
                  mal_lease_held_until(lease), number };
      g_array_append_val(uses, use);
    }
}

static void check_ethernet(Server *s)
{
  g_autoptr(GArray) uses = g_array_new(FALSE, FALSE, sizeof(Use));
  MalLeaseFilter filter = { .holds = true };
  MalTime now = server_now(s);
  MalLease lease;
  size_t n = 0;
  for (uint64_t cursor = 0; mal_leases_next(mal_core_leases(s->core), &filter, &cursor, &lease);) {
    check_place(s, &lease);
    add_uses(uses, &lease, n++);
  }
  g_array_sort(uses, use_order);
  for (guint i = 0; i < uses->len; i++)
    for (guint j = i + 1; j < uses->len; j++) {
      const Use *a = &g_array_index(uses, Use, i), *b = &g_array_index(uses, Use, j);
      if (a->group != b->group)
        break;
      MalTime from = MAX(MAX(a->from, b->from), now), until = MIN(a->until, b->until);
      if (a->lease != b->lease && !s->ghosts && from < until)
        mal_sim_fail(s->world->sim, "%s: two leases share Ethernet group %x: %" G_GINT64_FORMAT
                     "..%" G_GINT64_FORMAT ", %" G_GINT64_FORMAT "..%" G_GINT64_FORMAT
                     ", now %" G_GINT64_FORMAT, mal_sim_node_name(s->node), (unsigned)b->group,
                     a->from, a->until, b->from, b->until, now);
    }
}

static void check_server(Server *s)
{
  /* What is past is ahead again until the engine has noticed a step back, within a second. */
  if (mal_sim_now(s->world->sim) - s->step_seen < 2 * MAL_US)
    return;
  count(s->world, COUNT_WHOLE);
  s->dirty = false;
  mal_leases_check(mal_core_leases(s->core), server_now(s));
  check_ethernet(s);
}

/* Did the last event change anything of its leases? */
static bool has_changed(Server *s)
{
  MalLeaseTotals t = mal_leases_totals(mal_core_leases(s->core), NULL);
  MalStoreCounters c = mal_store_counters(s->store);
  bool changed = c.changes != s->seen_changes || c.batches != s->seen_batches ||
                 t.holds != s->seen_holds || t.leases != s->seen_leases;
  s->seen_changes = c.changes;
  s->seen_batches = c.batches;
  s->seen_holds = t.holds;
  s->seen_leases = t.leases;
  return changed;
}

void world_check_step(MadcapWorld *w)
{
  for (unsigned i = 0; i < w->n_servers; i++) {
    Server *s = &w->server[i];
    if (!s->core)
      continue;
    s->dirty |= has_changed(s);
    if (s->dirty && s->seen_leases + s->seen_holds <= WHOLE_MOST)
      check_server(s);
  }
}

void world_check(MadcapWorld *w)
{
  for (unsigned i = 0; i < w->n_servers; i++)
    if (w->server[i].core)
      check_server(&w->server[i]);
  world_promises_check(w);
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool client_has(MadcapWorld *w, const Server *s, MalLeaseId id)
{
  for (unsigned i = 0; i < w->n_clients; i++)
    for (unsigned k = 0; k < w->client[i].n_slots; k++) {
      const Slot *slot = &w->client[i].slot[k];
      if (slot->state == HAVING && slot->holder == s->index && id.length == ID_LENGTH &&
          memcmp(id.bytes, slot->id, ID_LENGTH) == 0)
        return true;
    }
  return false;
}

static Agent *agent_at(MadcapWorld *w, MalAddress address)
{
  for (unsigned i = 0; i < w->n_agents; i++)
    if (w->agent[i] && world_agent_is_at(w->agent[i], address))
      return w->agent[i];
  return NULL;
}

/* A daemon that was disturbed, or whose RELEASE was not answered, may leave a lease behind: it ends
   by itself. */
static bool is_known(Server *s, const MalLease *lease)
{
  MadcapWorld *w = s->world;
  if (strcmp(lease->origin, "control") == 0 || client_has(w, s, lease->id))
    return true;
  Agent *a = agent_at(w, lease->client);
  if (!a)
    return false;
  if (world_agent_has(a, lease->id))
    return true;
  const Promise *p = world_promise_of(w, s, lease->id);
  count(w, COUNT_AGENT_ORPHANS);
  return world_agent_is_excused(a) || !p || p->given_up;
}

static void check_known(Server *s)
{
  MalLease lease;
  for (uint64_t cursor = 0; mal_leases_next(mal_core_leases(s->core), NULL, &cursor, &lease);)
    if (lease.end > server_now(s) && !is_known(s, &lease) && !s->ghosts)
      world_broken(s, lease.id, "has leased to a client that knows nothing of it", &lease);
}

static void check_slot(MadcapWorld *w, const Slot *slot)
{
  MalLeaseId id = { slot->id, ID_LENGTH };
  MalLease lease;
  if (slot->state != HAVING)
    return;
  Server *s = &w->server[slot->holder];
  const Promise *p = world_promise_of(w, s, id);
  if (!p || server_now(s) >= p->end - 1)
    return;
  count(w, COUNT_COMPARED);
  if (!mal_leases_get(mal_core_leases(s->core), id, &lease))
    world_broken(s, id, "does not know a lease that its client has", NULL);
  else if (!world_same_blocks(lease.blocks, lease.n_blocks, slot->blocks, slot->n_blocks))
    world_broken(s, id, "leased other addresses than its client knows", &lease);
}

void world_check_end(MadcapWorld *w)
{
  world_check(w);
  for (unsigned i = 0; i < w->n_servers; i++)
    if (!w->server[i].core && !w->server[i].absent) {
      mal_sim_fail(w->sim, "%s is down at the end", mal_sim_node_name(w->server[i].node));
      return;
    }
  for (unsigned i = 0; i < w->n_clients; i++)
    for (unsigned k = 0; k < w->client[i].n_slots; k++) {
      const Slot *slot = &w->client[i].slot[k];
      if (slot->length || slot->state == ASKING)
        mal_sim_fail(w->sim, "%s did not come to rest", mal_sim_node_name(slot->client->node));
      check_slot(w, slot);
    }
  for (unsigned i = 0; i < w->n_agents; i++)
    if (w->agent[i])
      world_agent_check_end(w->agent[i]);
  for (unsigned i = 0; i < w->n_servers; i++)
    if (!w->server[i].absent)
      check_known(&w->server[i]);
}
