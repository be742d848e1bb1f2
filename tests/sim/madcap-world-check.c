/* What must hold in a world of MADCAP, and the bookkeeping that it takes: what each server has
   promised, and what it has answered to whom. */
#include "madcap-world-private.h"

#include <string.h>

#include "core/leases-core.h"

#define SAME_ANSWER (55 * MAL_US)  /* somewhat less than the response cache keeps it */
#define UNSURE (6 * MAL_US)        /* after a step of the clock: times are on their way */
#define SLACK 12                   /* seconds from a decision until its answer leaves */
#define ASKING_MOST (70 * MAL_US)  /* no exchange takes longer */
#define SLACK_KEPT (SLACK + 60)    /* or leaves again: the first time its interface was down */

typedef struct {
  uint32_t server, boots, xid;
  uint8_t id[ID_LENGTH];
  MalEndpoint peer;
} AnswerKey;

typedef struct {
  AnswerKey key;
  int64_t first;
  uint64_t digest;
} Answer;

/* ---- tables ---------------------------------------------------------------------------------- */

static guint promise_hash(gconstpointer data)
{
  const Promise *p = data;
  guint hash = p->server->index;
  for (size_t i = 0; i < ID_LENGTH; i++)
    hash = hash * 31 + p->id[i];
  return hash;
}

static gboolean promise_equal(gconstpointer a, gconstpointer b)
{
  const Promise *x = a, *y = b;
  return x->server == y->server && memcmp(x->id, y->id, ID_LENGTH) == 0;
}

static guint answer_hash(gconstpointer data)
{
  const Answer *a = data;
  return (guint)(a->key.xid * 2654435761u ^ a->key.server ^ (guint)a->key.peer.address.value);
}

static gboolean answer_equal(gconstpointer a, gconstpointer b)
{
  const AnswerKey *x = &((const Answer *)a)->key, *y = &((const Answer *)b)->key;
  return x->server == y->server && x->boots == y->boots && x->xid == y->xid &&
         memcmp(x->id, y->id, ID_LENGTH) == 0 && mal_endpoint_equal(x->peer, y->peer);
}

static Promise *promise_of(MadcapWorld *w, Server *s, const uint8_t *id)
{
  Promise key = { .server = s };
  memcpy(key.id, id, ID_LENGTH);
  return g_hash_table_lookup(w->promises, &key);
}

static uint64_t digest(const uint8_t *data, size_t length)
{
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ data[i]) * 0x100000001B3u;
  return hash;
}

static bool same_blocks(const MalBlock *a, size_t n_a, const MalBlock *b, size_t n_b)
{
  for (size_t i = 0; n_a == n_b && i < n_a; i++)
    if (!mal_address_equal(a[i].first, b[i].first) || a[i].count != b[i].count)
      return false;
  return n_a == n_b;
}

static void broken(Server *s, const uint8_t *id, const char *what, const MalLease *lease)
{
  g_autofree char *text = mal_lease_id_to_hex((MalLeaseId){ id, ID_LENGTH });
  g_autofree char *blocks = lease ? mal_blocks_format(lease->blocks, lease->n_blocks) : NULL;
  mal_sim_fail(s->world->sim,
               "%s: %s (lease %s%s%s, from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
               ", flags %x, now %" G_GINT64_FORMAT ")",
               mal_sim_node_name(s->node), what, text, blocks ? ": " : "", blocks ? blocks : "",
               lease ? lease->start : 0, lease ? lease->end : 0, lease ? lease->flags : 0,
               server_now(s));
}

/* ---- what servers send ----------------------------------------------------------------------- */

static MadcapType type_of(const MadcapWorld *w, uint32_t xid)
{
  return xid < w->types->len ? (MadcapType)w->types->data[xid] : 0;
}

static bool unsure(const Server *s)
{
  return mal_sim_now(s->world->sim) - s->step_seen < UNSURE;
}

/* What a step of the clock moved is written when the disk works (again). */
static bool may_lag(const Server *s)
{
  return unsure(s) || mal_sim_now(s->world->sim) < s->lags_until;
}

static bool is_durable(Server *s, const MalLease *lease)
{
  MalLease kept;
  return mal_sim_store_get(s->store, lease->id, &kept) &&
         same_blocks(kept.blocks, kept.n_blocks, lease->blocks, lease->n_blocks) &&
         (kept.end >= lease->end || may_lag(s));
}

static size_t blocks_of(const MadcapMessage *m, MalBlock *out)
{
  MadcapRangeIter iter = madcap_ranges(m);
  size_t n = 0;
  while (n < BLOCKS && madcap_ranges_next(&iter, &out[n]))
    n++;
  return n;
}

static void promised(Server *s, const MadcapMessage *m)
{
  MadcapWorld *w = s->world;
  const uint8_t *id = m->lease_id.data;
  MalBlock blocks[BLOCKS];
  size_t n = blocks_of(m, blocks);
  MalLease lease;
  if (n == 0) {
    w->figures.waits++;
    return;
  }
  if (!mal_leases_get(mal_core_leases(s->core), (MalLeaseId){ id, ID_LENGTH }, &lease)) {
    /* An answer that is kept: the lease may have ended since, by a step of the clock or not. */
    if (mal_sim_now(w->sim) - s->step_seen > ASKING_MOST && m->lease_time > SLACK_KEPT)
      broken(s, id, "acknowledged what it hasn't leased", NULL);
    return;
  }
  MalTime told = server_now(s) - SLACK_KEPT;
  if (madcap_has(m, MADCAP_OPTION_START_TIME))
    told = m->start_time;
  if (!same_blocks(blocks, n, lease.blocks, lease.n_blocks))
    broken(s, id, "acknowledged other addresses than it leased", &lease);
  else if (!is_durable(s, &lease))
    broken(s, id, "acknowledged a lease before it was durable", &lease);
  else if (told + m->lease_time > lease.end && !unsure(s))
    broken(s, id, "acknowledged a longer time than it leased", &lease);
  Promise *p = promise_of(w, s, id);
  if (p && type_of(w, m->xid) == MADCAP_RENEW && !same_blocks(p->blocks, p->n_blocks, blocks, n))
    broken(s, id, "renewed a lease with other addresses", &lease);
  if (!p) {
    p = g_new0(Promise, 1);
    p->server = s;
    memcpy(p->id, id, ID_LENGTH);
    g_hash_table_add(w->promises, p);
    w->figures.leases++;
  }
  memcpy(p->blocks, blocks, sizeof blocks);
  p->n_blocks = n;
  p->start = lease.start;
  p->end = lease.end;
  p->moved = 0;
  p->asked = mal_sim_now(w->sim);
  if (mal_sim_store_get(s->store, lease.id, &lease))
    p->end = MIN(p->end, lease.end);
  /* The engine may not yet have moved it. */
  /* And a release that a failing disk refused may be on it all the same. */
  p->given_up = may_lag(s);
}

static void released(Server *s, const MadcapMessage *m)
{
  Promise key = { .server = s };
  memcpy(key.id, m->lease_id.data, ID_LENGTH);
  g_hash_table_remove(s->world->promises, &key);
  /* What had lapsed while the server was down may still have a row. */
  MalLease kept;
  if (mal_sim_store_get(s->store, (MalLeaseId){ m->lease_id.data, ID_LENGTH }, &kept) &&
      kept.end > server_now(s))
    broken(s, m->lease_id.data, "acknowledged a release before it was durable", NULL);
}

static void refused(Server *s, const MadcapMessage *m)
{
  s->world->figures.naks++;
  const Promise *p = promise_of(s->world, s, m->lease_id.data);
  if (m->error_code == MADCAP_ERROR_LEASE_ID_UNKNOWN && p && !p->given_up &&
      server_now(s) < p->end - SLACK && type_of(s->world, m->xid) == MADCAP_RENEW)
    broken(s, p->id, "does not know a lease that it has promised", NULL);
}

/* False: this transaction was answered before, and the same. */
static bool first_answer(Server *s, const MadcapMessage *m, const MalSimPacketView *packet)
{
  MadcapWorld *w = s->world;
  Answer *a = g_new0(Answer, 1);
  a->key = (AnswerKey){ .server = s->index, .boots = s->boots, .xid = m->xid,
                        .peer = packet->destination };
  memcpy(a->key.id, m->lease_id.data, ID_LENGTH);
  a->first = mal_sim_now(w->sim);
  a->digest = digest(packet->data, packet->length);
  const Answer *before = g_hash_table_lookup(w->answers, a);
  bool again = before && a->first - before->first < SAME_ANSWER;
  if (again && before->digest != a->digest)
    broken(s, a->key.id, "answered a retransmission with other octets (RFC 2730 2.1.4)", NULL);
  w->figures.repeats += again;
  if (again)
    g_free(a);
  else
    g_hash_table_replace(w->answers, a, a);
  return !again;
}

static void from_server(Server *s, const MalSimPacketView *packet)
{
  MadcapMessage m;
  if (!s->core || madcap_decode(packet->data, packet->length, &m, NULL) != MADCAP_OK ||
      !madcap_type_from_server(m.type)) {
    mal_sim_fail(s->world->sim, "%s sent what no server sends", mal_sim_node_name(s->node));
    return;
  }
  if (m.lease_id.length != ID_LENGTH || !first_answer(s, &m, packet))
    return;
  if (m.type == MADCAP_NAK) {
    refused(s, &m);
  } else if (m.type == MADCAP_ACK) {
    s->world->figures.acks++;
    MadcapType type = type_of(s->world, m.xid);
    if (type == MADCAP_RELEASE)
      released(s, &m);
    else if (type == MADCAP_REQUEST || type == MADCAP_RENEW)
      promised(s, &m);
    if (s->world->ambush == AMBUSH_ANSWER)
      s->world->sprung = s;
  }
}

/* ---- what clients send ----------------------------------------------------------------------- */

static Server *server_at(MadcapWorld *w, MalAddress address)
{
  for (unsigned i = 0; i < w->n_servers; i++)
    for (unsigned k = 0; k < 2; k++)
      if (mal_address_equal(w->server[i].address[k], address))
        return &w->server[i];
  return NULL;
}

/* It may now end at any time from the least that the client accepts. */
static void may_be_renewed(Promise *p, const MadcapMessage *m)
{
  p->end -= p->moved;
  p->moved = 0;
  p->asked = mal_sim_now(p->server->world->sim);
  MalTime least = madcap_has(m, MADCAP_OPTION_MIN_LEASE_TIME) ? m->min_lease_time : 1;
  if (p->server->core)
    p->end = MIN(p->end, server_now(p->server) + least - 1);
  else
    p->given_up = true;
}

static void from_client(MadcapWorld *w, const MalSimPacketView *packet)
{
  MadcapMessage m;
  if (madcap_decode(packet->data, packet->length, &m, NULL) == MADCAP_IGNORE ||
      m.xid > w->last_xid)
    return;
  while (m.xid >= w->types->len)
    g_byte_array_append(w->types, (const uint8_t[]){ 0 }, 1);
  w->types->data[m.xid] = m.type;
  Server *s = server_at(w, packet->destination.address);
  Promise *p = s && m.lease_id.length == ID_LENGTH ? promise_of(w, s, m.lease_id.data) : NULL;
  if (p && m.type == MADCAP_RELEASE)
    p->given_up = true;
  if (p && m.type == MADCAP_RENEW)
    may_be_renewed(p, &m);
}

/* For who reads the trace. */
static void tell(MalSim *sim, const MalSimPacketView *packet)
{
  MadcapMessage m;
  char to[MAL_ENDPOINT_STRLEN], text[MADCAP_DESCRIPTION_SIZE];
  if (madcap_decode(packet->data, packet->length, &m, NULL) != MADCAP_OK)
    return;
  g_autofree char *id = mal_lease_id_to_hex((MalLeaseId){ m.lease_id.data, m.lease_id.length });
  mal_sim_note(sim, packet->from, "to %s: %s [%s]", mal_endpoint_format(packet->destination, to),
               madcap_describe(&m, text, sizeof text), id);
}

static bool tap(MalSim *sim, const MalSimPacketView *packet, void *data)
{
  MadcapWorld *w = data;
  if (w->talks)
    tell(sim, packet);
  for (unsigned i = 0; i < w->n_servers; i++)
    if (w->server[i].node == packet->from) {
      from_server(&w->server[i], packet);
      return true;
    }
  from_client(w, packet);
  return true;
}

/* ---- invariants of one server ---------------------------------------------------------------- */

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
      Use use = { (uint64_t)a.family << 32 | mal_address_ethernet_group(a),
                  mal_lease_held_from(lease), mal_lease_held_until(lease), number };
      g_array_append_val(uses, use);
    }
}

static void check_share(Server *s, const MalLease *lease)
{
  for (unsigned k = 0; k < SCOPES; k++)
    if (strcmp(world_scopes[k].id, lease->scope) == 0)
      for (size_t i = 0; i < lease->n_blocks; i++)
        if (!mal_span_contains(world_share(s->index, k, SHARE_MOST + SHARE_EXTRA),
                               mal_span_of_block(lease->blocks[i])))
          broken(s, lease->id.bytes, "leased what is another server's", lease);
}

/* Past parts of periods don't count: a step of the clock may have moved them anywhere. */
static void check_ethernet(Server *s)
{
  g_autoptr(GArray) uses = g_array_new(FALSE, FALSE, sizeof(Use));
  MalLeaseFilter filter = { .holds = true };
  MalTime now = server_now(s);
  MalLease lease;
  size_t n = 0;
  for (uint64_t cursor = 0; mal_leases_next(mal_core_leases(s->core), &filter, &cursor, &lease);) {
    check_share(s, &lease);
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

/* What a step forward moved must give way to what keeps its time, but to nothing else; END is what
   was left of it. */
static bool gave_way(Promise *p, MalTime end)
{
  MalLeaseFilter filter = { .holds = true };
  MalLease other;
  if (p->moved == 0 || end < p->end - p->moved - 1)
    return false;
  for (uint64_t cursor = 0;
       mal_leases_next(mal_core_leases(p->server->core), &filter, &cursor, &other);)
    if (other.start > end) {
      p->end = end;
      p->moved = 0;
      return true;
    }
  return false;
}

static void check_promise(Promise *p)
{
  Server *s = p->server;
  MalLease lease;
  if (p->moved && may_lag(s))
    return;
  bool there = mal_leases_get(mal_core_leases(s->core), (MalLeaseId){ p->id, ID_LENGTH }, &lease);
  if (!there && gave_way(p, p->end - p->moved))
    return;
  if (!there)
    broken(s, p->id, "lost a lease that it has promised", NULL);
  else if (!same_blocks(p->blocks, p->n_blocks, lease.blocks, lease.n_blocks))
    broken(s, p->id, "gave other addresses to a lease than it has promised", &lease);
  else if (lease.end < p->end - 1 && !gave_way(p, lease.end))
    broken(s, p->id, "shortened a lease that it has promised", &lease);
  else if (!mal_sim_store_get(s->store, lease.id, &lease) || lease.end < p->end - 1)
    broken(s, p->id, "lost from its disk a lease that it has promised", NULL);
  s->world->figures.checked++;
}

static gboolean look_at_promise(gpointer key, gpointer value, gpointer data)
{
  Promise *p = key;
  (void)value, (void)data;
  if (!p->server->core)
    return FALSE;
  if (server_now(p->server) >= p->end - 1)
    return TRUE;
  if (!p->given_up)
    check_promise(p);
  return FALSE;
}

void world_check(MadcapWorld *w)
{
  for (unsigned i = 0; i < w->n_servers; i++) {
    Server *s = &w->server[i];
    /* What is past is ahead again until the engine has noticed a step back, within a second. */
    if (!s->core || mal_sim_now(w->sim) - s->step_seen < 2 * MAL_US)
      continue;
    mal_leases_check(mal_core_leases(s->core), server_now(s));
    check_ethernet(s);
  }
  g_hash_table_foreach_remove(w->promises, look_at_promise, NULL);
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool is_known(MadcapWorld *w, const Server *s, MalLeaseId id)
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

static void check_known(Server *s)
{
  MalLease lease;
  for (uint64_t cursor = 0; mal_leases_next(mal_core_leases(s->core), NULL, &cursor, &lease);)
    if (lease.end > server_now(s) && !is_known(s->world, s, lease.id) && !s->ghosts)
      broken(s, lease.id.bytes, "has leased to a client that knows nothing of it", &lease);
}

static void check_slot(MadcapWorld *w, const Slot *slot)
{
  MalLease lease;
  if (slot->state != HAVING)
    return;
  Server *s = &w->server[slot->holder];
  const Promise *p = promise_of(w, s, slot->id);
  if (!p || server_now(s) >= p->end - 1)
    return;
  if (!mal_leases_get(mal_core_leases(s->core), (MalLeaseId){ slot->id, ID_LENGTH }, &lease))
    broken(s, slot->id, "does not know a lease that its client has", NULL);
  else if (!same_blocks(lease.blocks, lease.n_blocks, slot->blocks, slot->n_blocks))
    broken(s, slot->id, "leased other addresses than its client knows", &lease);
}

void world_check_end(MadcapWorld *w)
{
  world_check(w);
  for (unsigned i = 0; i < w->n_clients; i++)
    for (unsigned k = 0; k < w->client[i].n_slots; k++) {
      const Slot *slot = &w->client[i].slot[k];
      if (slot->length || slot->state == ASKING)
        mal_sim_fail(w->sim, "%s did not come to rest", mal_sim_node_name(slot->client->node));
      check_slot(w, slot);
    }
  for (unsigned i = 0; i < w->n_servers; i++)
    if (w->server[i].core)
      check_known(&w->server[i]);
    else
      mal_sim_fail(w->sim, "%s is down at the end", mal_sim_node_name(w->server[i].node));
}

/* ---- what befalls a server ------------------------------------------------------------------- */

static gboolean is_of(gpointer key, gpointer value, gpointer data)
{
  (void)value;
  return ((Promise *)key)->server == data;
}

void world_forget(Server *s)
{
  s->world->figures.lost_to_wipes +=
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
  for (gpointer key; may_lag(s) && g_hash_table_iter_next(&iter, &key, NULL);)
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
}

void world_check_init(MadcapWorld *w)
{
  w->promises = g_hash_table_new_full(promise_hash, promise_equal, g_free, NULL);
  w->answers = g_hash_table_new_full(answer_hash, answer_equal, g_free, NULL);
  w->types = g_byte_array_new();
  w->talks = g_getenv("MAL_SIM_TRACE") != NULL;
  mal_sim_set_tap(w->sim, tap, w);
}

void world_check_clear(MadcapWorld *w)
{
  g_hash_table_unref(w->promises);
  g_hash_table_unref(w->answers);
  g_byte_array_unref(w->types);
}
