/* What each server has promised: leases that it acknowledged, and what may become of them. */
#include "madcap-world-private.h"

#include <string.h>

#define UNSURE (6 * MAL_US)        /* after a step of the clock: times are on their way */
#define ASKING_MOST (70 * MAL_US)  /* no exchange takes longer */

static guint promise_hash(gconstpointer data)
{
  const Promise *p = data;
  guint hash = p->server->index;
  for (size_t i = 0; i < ID_LENGTH; i++)
    hash = hash * 31 + p->id.bytes[i];
  return hash;
}

static gboolean promise_equal(gconstpointer a, gconstpointer b)
{
  const Promise *x = a, *y = b;
  return x->server == y->server && memcmp(&x->id, &y->id, sizeof x->id) == 0;
}

Promise *world_promise_of(MadcapWorld *w, Server *s, MalLeaseId id)
{
  Promise key = { .server = s, .id = world_id(id) };
  return g_hash_table_lookup(w->promises, &key);
}

Promise *world_promise(Server *s, const MalLease *lease)
{
  MadcapWorld *w = s->world;
  Promise *p = world_promise_of(w, s, lease->id);
  if (!p) {
    p = g_new0(Promise, 1);
    p->server = s;
    p->id = world_id(lease->id);
    g_hash_table_add(w->promises, p);
    count(w, COUNT_LEASES);
  }
  p->n_blocks = MIN(lease->n_blocks, BLOCKS);
  memcpy(p->blocks, lease->blocks, p->n_blocks * sizeof *p->blocks);
  p->start = lease->start;
  p->end = lease->end;
  p->moved = 0;
  p->asked = mal_sim_now(w->sim);
  p->given_up = false;
  return p;
}

bool world_same_blocks(const MalBlock *a, size_t n_a, const MalBlock *b, size_t n_b)
{
  for (size_t i = 0; n_a == n_b && i < n_a; i++)
    if (!mal_address_equal(a[i].first, b[i].first) || a[i].count != b[i].count)
      return false;
  return n_a == n_b;
}

void world_broken(Server *s, MalLeaseId id, const char *what, const MalLease *lease)
{
  g_autofree char *text = mal_lease_id_to_hex(id);
  g_autofree char *blocks = lease ? mal_blocks_format(lease->blocks, lease->n_blocks) : NULL;
  mal_sim_fail(s->world->sim,
               "%s: %s (lease %s%s%s, from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
               ", flags %x, now %" G_GINT64_FORMAT ")",
               mal_sim_node_name(s->node), what, text, blocks ? ": " : "", blocks ? blocks : "",
               lease ? lease->start : 0, lease ? lease->end : 0, lease ? lease->flags : 0,
               server_now(s));
}

static bool unsure(const Server *s)
{
  return mal_sim_now(s->world->sim) - s->step_seen < UNSURE;
}

/* What a step of the clock moved is written when the disk works (again). */
bool world_may_lag(const Server *s)
{
  return unsure(s) || mal_sim_now(s->world->sim) < s->lags_until;
}

/* ---- do they stand? -------------------------------------------------------------------------- */

static bool is_its(const Promise *p, MalLeaseId id)
{
  return mal_lease_id_equal(lease_id(&p->id), id);
}

/* What a step forward moved must give way to what keeps its time, but to nothing else; END is what
   was left of it. */
static bool gave_way(Promise *p, MalTime end)
{
  MalLeaseFilter filter = { .holds = true };
  MalLease other = { .start = MAL_BEGINNING };
  if (p->moved == 0 || end < p->end - p->moved - 1)
    return false;
  for (uint64_t cursor = 0;
       mal_leases_next(mal_core_leases(p->server->core), &filter, &cursor, &other);)
    if (other.start >= end && !is_its(p, other.id))
      break;
  /* What it gave way to may be gone again. */
  if (other.start < end && p->server->latest_start < end)
    return false;
  p->end = end;
  p->moved = 0;
  return true;
}

/* Shown as it is now: a view borrows its blocks, and others were looked at since. */
static void broken_short(Promise *p)
{
  MalLease lease;
  if (mal_leases_get(mal_core_leases(p->server->core), lease_id(&p->id), &lease))
    world_broken(p->server, lease.id, "shortened a lease that it has promised", &lease);
}

static void check_promise(Promise *p)
{
  Server *s = p->server;
  MalLease lease;
  if (p->moved && world_may_lag(s))
    return;
  bool there = mal_leases_get(mal_core_leases(s->core), lease_id(&p->id), &lease);
  /* One that has not begun yet was granted under the same identifier since. */
  bool another = there && p->start <= server_now(s) && lease.start > server_now(s);
  if ((!there || another) && gave_way(p, p->end - p->moved))
    return;
  if (!there)
    world_broken(s, lease_id(&p->id), "lost a lease that it has promised", NULL);
  else if (!world_same_blocks(p->blocks, p->n_blocks, lease.blocks, lease.n_blocks))
    world_broken(s, lease_id(&p->id), "gave other addresses to a lease than it has promised",
                 &lease);
  else if (lease.end < p->end - 1 && !gave_way(p, lease.end))
    broken_short(p);
  else if (!mal_sim_store_get(s->store, lease.id, &lease) || lease.end < p->end - 1)
    world_broken(s, lease_id(&p->id), "lost from its disk a lease that it has promised", NULL);
  count(s->world, COUNT_PROMISES);
}

static gboolean look_at_promise(gpointer key, gpointer value, gpointer data)
{
  Promise *p = key;
  (void)value, (void)data;
  if (!p->server->core)
    return FALSE;
  if (server_now(p->server) >= p->end - 1) {
    /* A RENEW that is on its way may come true after this. */
    p->given_up = true;
    return !world_is_renewing(p, 0);
  }
  if (!p->given_up)
    check_promise(p);
  return FALSE;
}

void world_promises_check(MadcapWorld *w)
{
  g_hash_table_foreach_remove(w->promises, look_at_promise, NULL);
}

/* ---- what befalls a server ------------------------------------------------------------------- */

static gboolean is_of(gpointer key, gpointer value, gpointer data)
{
  (void)value;
  return ((Promise *)key)->server == data;
}

void world_forget(Server *s)
{
  s->world->result->counts[COUNT_WIPED] +=
      g_hash_table_foreach_remove(s->world->promises, is_of, s);
}

/* Whether it has begun, by the server's clock, nobody knows any more. */
static void back_to_promised(Promise *p)
{
  p->end -= p->moved;
  p->moved = 0;
  p->asked = MAL_SIM_NEVER / 2;
}

void world_crashed(Server *s)
{
  GHashTableIter iter;
  g_hash_table_iter_init(&iter, s->world->promises);
  for (gpointer key; world_may_lag(s) && g_hash_table_iter_next(&iter, &key, NULL);)
    if (((Promise *)key)->server == s)
      back_to_promised(key);
}

/* A lease that has begun moves with the clock; one that hasn't keeps its time, and so does one that
   is being changed. */
static void step_promise(Promise *p, int64_t delta)
{
  MadcapWorld *w = p->server->world;
  MalTime now = server_now(p->server);
  if (delta < 0 && p->start <= now + 3) {
    p->start += delta;
    p->end += delta;
  } else if (delta > 3 && p->start < now - 3 && mal_sim_now(w->sim) - p->asked > ASKING_MOST) {
    p->end += delta - 1;
    p->moved += delta - 1;
  }
}

void world_stepped(Server *s, int64_t delta)
{
  GHashTableIter iter;
  g_hash_table_iter_init(&iter, s->world->promises);
  for (gpointer key; g_hash_table_iter_next(&iter, &key, NULL);)
    if (((Promise *)key)->server == s)
      step_promise(key, delta);
  s->step_seen = mal_sim_now(s->world->sim);
  s->latest_start = MAL_BEGINNING;
  MalLeaseFilter all = { .holds = true };
  MalLease lease;
  for (uint64_t cursor = 0; mal_leases_next(mal_core_leases(s->core), &all, &cursor, &lease);)
    s->latest_start = MAX(s->latest_start, lease.start);
}

typedef struct {
  Server *server;
  MalSpan span;
} Revoked;

static gboolean is_within(gpointer key, gpointer value, gpointer data)
{
  const Promise *p = key;
  const Revoked *revoked = data;
  (void)value;
  for (size_t i = 0; p->server == revoked->server && i < p->n_blocks; i++)
    if (mal_span_overlaps(revoked->span, mal_span_of_block(p->blocks[i])))
      return TRUE;
  return FALSE;
}

void world_promises_revoke(Server *s, MalSpan span)
{
  Revoked revoked = { s, span };
  s->revoked = mal_sim_now(s->world->sim);
  g_hash_table_foreach_remove(s->world->promises, is_within, &revoked);
}

void world_promises_init(MadcapWorld *w)
{
  w->promises = g_hash_table_new_full(promise_hash, promise_equal, g_free, NULL);
}

void world_promises_clear(MadcapWorld *w)
{
  g_hash_table_unref(w->promises);
}
