/* Those who use addresses: they ask, ask again until they have them, and leave them to end. */
#include "masc-world-private.h"

#define ANSWER_WITHIN (HOUR / 3)

static void ask(User *u);

/* Who waits is answered after ten minutes. Others ask sooner, which costs. */
static int64_t answer_within(const User *u)
{
  bool patient = u->domain->site != NULL || u->world->plan->settings[SET_HAND] > 0;
  return patient ? 660 * MAL_US : ANSWER_WITHIN;
}

static void again(void *data)
{
  User *u = data;
  World *w = u->world;
  if (u->done)
    return;
  if (!u->asking && mal_sim_now(w->sim) > u->patience && !w->healed) {
    u->done = true;
    count(w, COUNT_GAVE_UP);
    return;
  }
  /* Who asked a node that crashed meanwhile gets no answer. */
  if (!u->asking || mal_sim_now(w->sim) - u->asked >= answer_within(u))
    ask(u);
}

static void later(User *u, int64_t least)
{
  World *w = u->world;
  int64_t wait = least + (int64_t)between(&u->domain->random, 0, HOUR);
  mal_sim_at(w->sim, mal_sim_now(w->sim) + wait, again, u);
}

static void answered(json_object *result, const GError *error, void *data)
{
  User *u = data;
  (void)result;
  if (u->done || !u->asking)
    return;
  u->asking = false;
  if (error != NULL)
    return;
  u->done = true;
  count(u->world, COUNT_SERVED);
  u->world->result->counts[COUNT_VIA_MADCAP] += u->via_madcap;
  if (u->tries > 1)
    count(u->world, COUNT_WAITED);
}

/* At a server, or by way of the client. */
static Node *any_server(User *u)
{
  Domain *d = u->domain;
  Node *n[NODES + SERVERS];
  unsigned n_servers = world_leasing(d, n);
  u->via_madcap = chance(&d->random, 60);
  Node *one = u->via_madcap ? &d->client : n[between(&d->random, 0, n_servers - 1)];
  return one->core != NULL ? one : NULL;
}

static Node *any_node(Domain *d)
{
  unsigned first = (unsigned)between(&d->random, 0, d->n_nodes - 1);
  for (unsigned i = 0; i < d->n_nodes; i++)
    if (d->node[(first + i) % d->n_nodes].core != NULL)
      return &d->node[(first + i) % d->n_nodes];
  return NULL;
}

static void ask(User *u)
{
  Node *n = u->domain->site != NULL ? any_server(u) : any_node(u->domain);
  u->tries++;
  u->asked = mal_sim_now(u->world->sim);
  later(u, answer_within(u));
  if (n == NULL)
    return;
  json_object *params = json_object_new_object();
  json_object_object_add(params, "scope", json_object_new_string(u->world->scope[u->scope].name));
  json_object_object_add(params, "count", json_object_new_int((int)u->count));
  json_object_object_add(params, "lifetime", json_object_new_int64(u->lifetime_s));
  json_object_object_add(params, "wait", json_object_new_boolean(true));
  if (u->via_madcap) {
    json_object_object_add(params, "via", json_object_new_string("madcap"));
    json_object_object_add(params, "renew", json_object_new_boolean(false));
  }
  u->asking = true;
  mal_control_call(mal_core_control(n->core), "lease.request", params, true, answered, NULL, u);
  json_object_put(params);
}

void world_user_new(Domain *d, MalWorldRandom *r)
{
  World *w = d->world;
  User *u = g_new0(User, 1);
  u->world = w;
  u->domain = d;
  u->count = (unsigned)between(r, 1, d->most);
  u->scope = w->n_scopes > 2 ? (unsigned)between(r, 0, w->n_scopes - 1)
                             : w->n_scopes == 2 && chance(r, 30);
  u->lifetime_s = (int64_t)between(r, 12, chance(r, 50) ? 72 : 18 * 24) * SECONDS(HOUR);
  u->since = mal_sim_now(w->sim);
  u->patience = u->since + (int64_t)between(r, 6, 20) * DAY;
  g_ptr_array_add(w->users, u);
  count(w, COUNT_ASKED);
  ask(u);
}

static void next(void *data)
{
  Domain *d = data;
  World *w = d->world;
  if (w->healed)
    return;
  if (mal_sim_now(w->sim) >= d->lull_until)
    world_user_new(d, &d->random);
  int64_t hour = HOUR;
  uint64_t most = (uint64_t)(2 * d->gap_h * (double)hour);
  mal_sim_at(w->sim, mal_sim_now(w->sim) + (int64_t)between(&d->random, MAL_US, most), next, d);
}

void world_users_begin(Domain *d)
{
  World *w = d->world;
  mal_sim_at(w->sim, (int64_t)between(&d->random, HOUR, 3 * DAY), next, d);
}

unsigned world_users_waiting(const World *w, int64_t for_longer_than, const User **one)
{
  unsigned n = 0;
  for (guint i = 0; i < w->users->len; i++) {
    const User *u = g_ptr_array_index(w->users, i);
    if (u->done || mal_sim_now(w->sim) - u->since <= for_longer_than)
      continue;
    n++;
    *one = u;
  }
  return n;
}
