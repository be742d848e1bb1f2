/* The program beside a client daemon: it asks for leases through the control API, and knows what it
   was told. A lease that it was given outlives crashes of the daemon, until it ends. */
#include "madcap-world-agent.h"

#include <string.h>

#define LEASES 4

/* What the program was told. */
typedef struct {
  char *hex;
  WorldId id;
  MalBlock blocks[BLOCKS];
  size_t n_blocks;
  int64_t ends;               /* virtual time */
  bool leaving;               /* it was asked to be released */
  bool seen;                  /* in the list under way */
} Told;

typedef enum { ASK_REQUEST, ASK_RENEW, ASK_RELEASE, ASK_SCOPES } AskKind;

typedef struct {
  Agent *agent;
  unsigned boots;
  AskKind kind;
} Ask;

static void told_free(void *data)
{
  Told *t = data;
  g_free(t->hex);
  g_free(t);
}

static Told *told_find(Agent *a, const char *hex)
{
  for (guint i = 0; i < a->told->len; i++)
    if (strcmp(((Told *)g_ptr_array_index(a->told, i))->hex, hex) == 0)
      return g_ptr_array_index(a->told, i);
  return NULL;
}

/* ---- what the daemon answers ----------------------------------------------------------------- */

static const char *text_of(json_object *o, const char *key)
{
  json_object *member;
  return json_object_object_get_ex(o, key, &member) ? json_object_get_string(member) : "";
}

static size_t read_blocks(json_object *lease, MalBlock *out)
{
  json_object *list;
  size_t n = 0;
  if (!json_object_object_get_ex(lease, "addresses", &list))
    return 0;
  for (size_t i = 0; i < json_object_array_length(list) && n < BLOCKS; i++) {
    MalSpan span;
    if (mal_span_parse(json_object_get_string(json_object_array_get_idx(list, i)), &span, NULL))
      out[n++] = mal_block_make(span.first, (uint32_t)mal_span_size(span));
  }
  return n;
}

static int64_t ends_at(const Agent *a, json_object *lease)
{
  MalTime end, now = mal_runtime_now(mal_sim_node_runtime(a->node));
  if (!mal_time_parse(text_of(lease, "end"), &end, NULL))
    return 0;
  return mal_sim_now(a->world->sim) + (end - now) * MAL_US;
}

/* The server that has promised this lease, where it is up and the promise stands. */
static const Promise *standing_promise(Agent *a, MalLeaseId id)
{
  MadcapWorld *w = a->world;
  for (unsigned i = 0; i < w->n_servers; i++) {
    Server *s = &w->server[i];
    const Promise *p = world_promise_of(w, s, id);
    if (p && s->core && !p->given_up && !world_may_lag(s) && server_now(s) < p->end - 2)
      return p;
  }
  return NULL;
}

static void check_told(Agent *a, const Told *t, const char *when)
{
  const Promise *p = standing_promise(a, lease_id(&t->id));
  if (p && !world_same_blocks(p->blocks, p->n_blocks, t->blocks, t->n_blocks))
    mal_sim_fail(a->world->sim, "%s: its daemon has other addresses than its server %s (lease %s)",
                 mal_sim_node_name(a->node), when, t->hex);
}

static Told *learn(Agent *a, json_object *lease)
{
  const char *hex = text_of(lease, "lease");
  uint8_t bytes[MAL_LEASE_ID_MAX];
  Told *t = told_find(a, hex);
  if (!t) {
    t = g_new0(Told, 1);
    t->hex = g_strdup(hex);
    t->id = world_id((MalLeaseId){ bytes, mal_lease_id_from_hex(hex, bytes, NULL) });
    g_ptr_array_add(a->told, t);
  }
  t->n_blocks = read_blocks(lease, t->blocks);
  t->ends = ends_at(a, lease);
  return t;
}

static void requested(Agent *a, json_object *result)
{
  count(a->world, COUNT_AGENT_LEASED);
  if (a->world->plan->plant == MAL_MADCAP_PLANT_ABORT)
    g_error("the planted bug aborts");
  check_told(a, learn(a, result), "as it is leased");
}

static void on_answer(json_object *result, const GError *error, void *data)
{
  Ask ask = *(Ask *)data;
  Agent *a = ask.agent;
  MadcapWorld *w = a->world;
  g_ptr_array_remove_fast(a->asks, data);
  if (ask.boots != a->boots || !a->core)
    return;
  if (error && ask.kind == ASK_REQUEST)
    count(w, COUNT_AGENT_REFUSED);
  if (error)
    return;
  switch (ask.kind) {
  case ASK_REQUEST: requested(a, result); break;
  case ASK_RENEW:
    a->renewals_asked++;
    count(w, COUNT_AGENT_ASKED_RENEW);
    break;
  case ASK_RELEASE: count(w, COUNT_AGENT_RELEASED); break;
  case ASK_SCOPES: count(w, COUNT_AGENT_SCOPES); break;
  }
}

static void call(Agent *a, AskKind kind, json_object *params)
{
  static const char *const methods[] = { "lease.request", "lease.renew", "lease.release",
                                         "madcap.scopes" };
  Ask *ask = g_new(Ask, 1);
  *ask = (Ask){ a, a->boots, kind };
  g_ptr_array_add(a->asks, ask);
  mal_control_call(mal_core_control(a->core), methods[kind], params, true, on_answer, NULL, ask);
  json_object_put(params);
}

/* ---- what the program does ------------------------------------------------------------------- */

static void add_text(json_object *o, const char *key, const char *text)
{
  json_object_object_add(o, key, json_object_new_string(text));
}

static void add_number(json_object *o, const char *key, uint64_t n)
{
  json_object_object_add(o, key, json_object_new_int64((int64_t)n));
}

static void add_time(json_object *o, const char *key, MalTime at)
{
  g_autofree char *text = g_strdup_printf("@%" G_GINT64_FORMAT, at);
  add_text(o, key, text);
}

static void add_times(Agent *a, json_object *o)
{
  MalWorldRandom *r = &a->random;
  MalTime now = mal_runtime_now(mal_sim_node_runtime(a->node));
  bool wait = chance(r, 30);
  uint64_t lifetime = chance(r, 60) ? between(r, 20, 300) : between(r, 60, 7200);
  add_number(o, "lifetime", lifetime);
  if (chance(r, 80))
    add_number(o, "min_lifetime", between(r, 1, lifetime));
  json_object_object_add(o, "wait", json_object_new_boolean(wait));
  /* Who waits, waits for minutes, so that the world comes to rest. */
  if (wait)
    add_time(o, "max_start", now + (MalTime)between(r, 30, 300));
  if (wait || !chance(r, 20))
    return;
  MalTime start = now + (MalTime)between(r, 1, 900);
  add_time(o, "start", start);
  if (chance(r, 50))
    add_time(o, "max_start", start + (MalTime)between(r, 0, 900));
}

static void ask_lease(Agent *a)
{
  MalWorldRandom *r = &a->random;
  MadcapWorld *w = a->world;
  json_object *o = json_object_new_object();
  unsigned scope = (unsigned)between(r, 0, SCOPES - 1);
  uint32_t server = (uint32_t)between(r, 0, w->n_servers - 1);
  char text[MAL_SPAN_STRLEN];
  add_text(o, "via", "madcap");
  if (chance(r, 85))
    add_text(o, "scope", world_scopes[scope].id);
  if (chance(r, 12)) {
    MalSpan span = world_share(server, scope, 60);
    span.first.value += between(r, 0, 50);
    span.last = span.first;
    span.last.value += between(r, 0, 2);
    add_text(o, "address", mal_span_format(span, text));
  } else if (chance(r, 50)) {
    uint64_t min = between(r, 1, 3);
    add_number(o, "min", min);
    add_number(o, "max", min + between(r, 0, 4));
  } else {
    add_number(o, "count", between(r, 1, 3));
  }
  if (chance(r, 25))
    add_text(o, "server", mal_address_format(w->server[server].address[between(r, 0, 1)], text));
  add_times(a, o);
  json_object_object_add(o, "renew", json_object_new_boolean(chance(r, 70)));
  json_object_object_add(o, "shared", json_object_new_boolean(chance(r, 10)));
  call(a, ASK_REQUEST, o);
}

static void ask_about(Agent *a, AskKind kind, Told *t)
{
  json_object *o = json_object_new_object();
  add_text(o, "lease", t->hex);
  if (kind == ASK_RENEW && chance(&a->random, 70))
    add_number(o, "lifetime", between(&a->random, 20, 3600));
  t->leaving |= kind == ASK_RELEASE;
  call(a, kind, o);
}

/* ---- what the daemon holds ------------------------------------------------------------------- */

static void on_list(json_object *result, const GError *error, void *data)
{
  Agent *a = data;
  json_object *list;
  if (error || !json_object_object_get_ex(result, "client_leases", &list))
    return;
  for (size_t i = 0; i < json_object_array_length(list); i++)
    learn(a, json_object_array_get_idx(list, i))->seen = true;
}

/* A daemon reckons the time of a lease from when it first asked for it, a server from when it
   decided: it may end the lease before its server does. Where it was renewed since the last look,
   its end is not known here. */
static void forgot(Agent *a, const Told *t)
{
  const Promise *p = standing_promise(a, lease_id(&t->id));
  bool early = mal_sim_now(a->world->sim) < t->ends - 3 * MAL_US && p && p->asked <= a->looked;
  count(a->world, COUNT_AGENT_LOST);
  if (!early || a->stepped_ever)
    g_array_append_val(a->ended, t->id);
  else
    mal_sim_fail(a->world->sim, "%s: its daemon forgot a lease that its server has (lease %s)",
                 mal_sim_node_name(a->node), t->hex);
}

void world_program_look(Agent *a)
{
  json_object *o = json_object_new_object();
  for (guint i = 0; i < a->told->len; i++)
    ((Told *)g_ptr_array_index(a->told, i))->seen = false;
  mal_control_call(mal_core_control(a->core), "lease.list", o, false, on_list, NULL, a);
  json_object_put(o);
  for (guint i = a->told->len; i-- > 0;) {
    Told *t = g_ptr_array_index(a->told, i);
    if (t->seen)
      continue;
    if (!t->leaving)
      forgot(a, t);
    g_ptr_array_remove_index_fast(a->told, i);
  }
  a->looked = mal_sim_now(a->world->sim);
}

static void think(void *data);
void world_program_think_soon(Agent *a)
{
  if (a->thinking)
    return;
  a->thinking = true;
  mal_sim_at(a->world->sim, mal_sim_now(a->world->sim) +
                                (int64_t)between(&a->random, MAL_US, (uint64_t)a->hurry),
             think, a);
}

/* Every other one keeps what it has. */
static void come_to_rest(Agent *a)
{
  Told *t = NULL;
  for (guint i = 0; a->index % 2 && i < a->told->len && !t; i++)
    if (!((Told *)g_ptr_array_index(a->told, i))->leaving)
      t = g_ptr_array_index(a->told, i);
  if (t)
    ask_about(a, ASK_RELEASE, t);
  else
    a->resting = true;
}

static void think(void *data)
{
  Agent *a = data;
  MalWorldRandom *r = &a->random;
  a->thinking = false;
  if (!a->core)
    return;
  world_program_look(a);
  uint64_t dice = between(r, 0, 99);
  guint n = a->told->len;
  Told *t = n ? g_ptr_array_index(a->told, between(r, 0, n - 1)) : NULL;
  if (a->world->closing) {
    if (a->asks->len == 0)
      come_to_rest(a);
  } else if (dice < 45 && a->told->len + a->asks->len < LEASES) {
    ask_lease(a);
  } else if (dice < 60 && t && !t->leaving) {
    ask_about(a, ASK_RENEW, t);
  } else if (dice < 75 && t) {
    ask_about(a, ASK_RELEASE, t);
  } else if (dice < 82) {
    call(a, ASK_SCOPES, json_object_new_object());
  }
  if (!a->resting)
    world_program_think_soon(a);
}

/* ---- life ------------------------------------------------------------------------------------ */

void world_program_init(Agent *a)
{
  a->told = g_ptr_array_new_with_free_func(told_free);
  a->ended = g_array_new(FALSE, FALSE, sizeof(WorldId));
  a->asks = g_ptr_array_new_with_free_func(g_free);
  a->hurry = (int64_t)between(&a->random, 4, 40) * MAL_US;
}

void world_program_clear(Agent *a)
{
  g_ptr_array_unref(a->told);
  g_array_unref(a->ended);
  g_ptr_array_unref(a->asks);
}

/* ---- the end --------------------------------------------------------------------------------- */

bool world_agent_has(Agent *a, MalLeaseId id)
{
  WorldId key = world_id(id);
  for (guint i = 0; i < a->told->len; i++)
    if (memcmp(&((Told *)g_ptr_array_index(a->told, i))->id, &key, sizeof key) == 0)
      return true;
  for (guint i = 0; i < a->ended->len; i++)
    if (memcmp(&g_array_index(a->ended, WorldId, i), &key, sizeof key) == 0)
      return true;
  return false;
}

void world_agent_check_end(Agent *a)
{
  MadcapWorld *w = a->world;
  if (!a->core) {
    mal_sim_fail(w->sim, "%s is down at the end", mal_sim_node_name(a->node));
    return;
  }
  if (a->asks->len > 0)
    mal_sim_fail(w->sim, "%s did not come to rest", mal_sim_node_name(a->node));
  world_program_look(a);
  for (guint i = 0; i < a->told->len; i++) {
    const Told *t = g_ptr_array_index(a->told, i);
    const Promise *p = standing_promise(a, lease_id(&t->id));
    MalLease lease;
    if (!p)
      continue;
    count(w, COUNT_COMPARED);
    check_told(a, t, "at the end");
    if (!mal_leases_get(mal_core_leases(p->server->core), lease_id(&t->id), &lease))
      world_broken(p->server, lease_id(&t->id), "does not know a lease that a daemon has", NULL);
  }
}
