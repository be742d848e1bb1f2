/* Every datagram of a world passes here: what servers may say, and the bookkeeping of who asked for
   what and was answered how. */
#include "madcap-world-private.h"

#include <string.h>

#define SAME_ANSWER (55 * MAL_US)  /* somewhat less than the response cache keeps it */
#define UNSURE (6 * MAL_US)        /* after a step of the clock: times are on their way */
#define SLACK 12                   /* seconds from a decision until its answer leaves */
#define ASKING_MOST (70 * MAL_US)  /* no exchange takes longer */
#define SLACK_KEPT (SLACK + 60)    /* or leaves again: the first time its interface was down */

typedef struct {
  uint32_t server, boots, xid;
  WorldId id;
  MalEndpoint peer;
} AnswerKey;

typedef struct {
  AnswerKey key;
  int64_t first;
  uint64_t digest;
} Answer;

/* What a client sent. */
typedef struct {
  uint32_t xid;
  WorldId id;
  uint8_t type;
} Asked;

static guint answer_hash(gconstpointer data)
{
  const Answer *a = data;
  return (guint)(a->key.xid * 2654435761u ^ a->key.server ^ (guint)a->key.peer.address.value);
}

static gboolean answer_equal(gconstpointer a, gconstpointer b)
{
  const AnswerKey *x = &((const Answer *)a)->key, *y = &((const Answer *)b)->key;
  return x->server == y->server && x->boots == y->boots && x->xid == y->xid &&
         memcmp(&x->id, &y->id, sizeof x->id) == 0 && mal_endpoint_equal(x->peer, y->peer);
}

static guint asked_hash(gconstpointer data)
{
  return ((const Asked *)data)->xid * 2654435761u;
}

static gboolean asked_equal(gconstpointer a, gconstpointer b)
{
  const Asked *x = a, *y = b;
  return x->xid == y->xid && memcmp(&x->id, &y->id, sizeof x->id) == 0;
}

static MadcapType type_of(const MadcapWorld *w, const MadcapMessage *m)
{
  Asked key = { .xid = m->xid,
                .id = world_id((MalLeaseId){ m->lease_id.data, m->lease_id.length }) };
  const Asked *asked = g_hash_table_lookup(w->asked, &key);
  return asked ? (MadcapType)asked->type : 0;
}

static MalLeaseId id_of(const MadcapMessage *m)
{
  return (MalLeaseId){ m->lease_id.data, m->lease_id.length };
}

static uint64_t digest(const uint8_t *data, size_t length)
{
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ data[i]) * 0x100000001B3u;
  return hash;
}

/* ---- what servers send ----------------------------------------------------------------------- */

static bool unsure(const Server *s)
{
  return mal_sim_now(s->world->sim) - s->step_seen < UNSURE;
}

static bool is_durable(Server *s, const MalLease *lease)
{
  MalLease kept;
  return mal_sim_store_get(s->store, lease->id, &kept) &&
         world_same_blocks(kept.blocks, kept.n_blocks, lease->blocks, lease->n_blocks) &&
         (kept.end >= lease->end || world_may_lag(s));
}

static size_t blocks_of(const MadcapMessage *m, MalBlock *out)
{
  MadcapRangeIter iter = madcap_ranges(m);
  size_t n = 0;
  while (n < BLOCKS && madcap_ranges_next(&iter, &out[n]))
    n++;
  return n;
}

/* Nothing may be said of a lease but what is true and durable. */
static void check_said(Server *s, const MadcapMessage *m, const MalLease *lease,
                       const MalBlock *blocks, size_t n)
{
  MalTime told = server_now(s) - SLACK_KEPT;
  if (madcap_has(m, MADCAP_OPTION_START_TIME))
    told = m->start_time;
  if (!world_same_blocks(blocks, n, lease->blocks, lease->n_blocks))
    world_broken(s, lease->id, "acknowledged other addresses than it leased", lease);
  else if (!is_durable(s, lease))
    world_broken(s, lease->id, "acknowledged a lease before it was durable", lease);
  else if (told + m->lease_time > lease->end && !unsure(s))
    world_broken(s, lease->id, "acknowledged a longer time than it leased", lease);
  const Promise *p = world_promise_of(s->world, s, lease->id);
  if (p && !p->given_up && type_of(s->world, m) == MADCAP_RENEW &&
      !world_same_blocks(p->blocks, p->n_blocks, blocks, n))
    world_broken(s, lease->id, "renewed a lease with other addresses", lease);
}

static void count_promised(Server *s, const MalLease *lease)
{
  count(s->world, COUNT_ACK_LEASE);
  if (lease->start > server_now(s) + 1)
    count(s->world, COUNT_ACK_ADVANCE);
  if (lease->flags & MAL_LEASE_SHARED)
    count(s->world, COUNT_ACK_SHARED);
}

/* Another RENEW than XID may still be carried out, and leave any time. */
bool world_is_renewing(const Promise *p, uint32_t xid)
{
  for (unsigned i = 0; i < RENEWS; i++)
    if (p->renew[i].at && p->renew[i].xid != xid &&
        mal_sim_now(p->server->world->sim) - p->renew[i].at < ASKING_MOST)
      return true;
  return false;
}

/* No longer, where its range went by force while it was being written: it is revoked next. */
static bool is_owned(const Server *s, const MalLease *lease)
{
  const MalScope *scope = mal_scope_set_find(mal_leases_scopes(mal_core_leases(s->core)),
                                             lease->scope);
  for (size_t i = 0; scope && i < lease->n_blocks; i++)
    if (!mal_space_covers(mal_core_space(s->core), MAL_LEVEL_OWNED, scope,
                          mal_span_of_block(lease->blocks[i]), MAL_BEGINNING))
      return false;
  return scope;
}

static void promised(Server *s, const MadcapMessage *m)
{
  MadcapWorld *w = s->world;
  MalBlock blocks[BLOCKS];
  size_t n = blocks_of(m, blocks);
  MalLease lease;
  if (n == 0) {
    count(w, COUNT_ACK_LATER);
    return;
  }
  if (!mal_leases_get(mal_core_leases(s->core), id_of(m), &lease)) {
    /* An answer that is kept: the lease may have ended since, by a step of the clock or not, or it
       was revoked. */
    int64_t last = MAX(s->step_seen, s->revoked);
    if (mal_sim_now(w->sim) - last > ASKING_MOST && m->lease_time > SLACK_KEPT)
      world_broken(s, id_of(m), "acknowledged what it hasn't leased", NULL);
    return;
  }
  check_said(s, m, &lease, blocks, n);
  count_promised(s, &lease);
  Promise *p = world_promise(s, &lease);
  MalLease kept;
  if (mal_sim_store_get(s->store, lease.id, &kept))
    p->end = MIN(p->end, kept.end);
  /* The engine may not yet have moved it. */
  /* And a release that a failing disk refused may be on it all the same. */
  p->given_up = world_may_lag(s) || world_is_renewing(p, m->xid) || !is_owned(s, &lease);
}

static void released(Server *s, const MadcapMessage *m)
{
  Promise key = { .server = s, .id = world_id(id_of(m)) };
  count(s->world, COUNT_ACK_RELEASE);
  g_hash_table_remove(s->world->promises, &key);
  /* What had lapsed while the server was down may still have a row. */
  MalLease kept;
  if (mal_sim_store_get(s->store, id_of(m), &kept) && kept.end > server_now(s))
    world_broken(s, id_of(m), "acknowledged a release before it was durable", NULL);
}

static void refused(Server *s, const MadcapMessage *m)
{
  const Promise *p = world_promise_of(s->world, s, id_of(m));
  if (m->error_code <= MADCAP_ERROR_FEATURE_UNSUPPORTED)
    count(s->world, (WorldCount)(COUNT_NAK_0 + m->error_code));
  if (m->error_code == MADCAP_ERROR_LEASE_ID_UNKNOWN && p && !p->given_up &&
      server_now(s) < p->end - SLACK && type_of(s->world, m) == MADCAP_RENEW)
    world_broken(s, id_of(m), "does not know a lease that it has promised", NULL);
}

/* False: this transaction was answered before, and the same. */
static bool first_answer(Server *s, const MadcapMessage *m, const MalSimPacketView *packet)
{
  MadcapWorld *w = s->world;
  Answer *a = g_new0(Answer, 1);
  a->key = (AnswerKey){ .server = s->index, .boots = s->boots, .xid = m->xid,
                        .peer = packet->destination };
  a->key.id = world_id(id_of(m));
  a->first = mal_sim_now(w->sim);
  a->digest = digest(packet->data, packet->length);
  const Answer *before = g_hash_table_lookup(w->answers, a);
  bool again = before && a->first - before->first < SAME_ANSWER;
  if (again && before->digest != a->digest)
    world_broken(s, id_of(m), "answered a retransmission with other octets (RFC 2730 2.1.4)", NULL);
  w->result->counts[COUNT_REPEATED] += again;
  if (again)
    g_free(a);
  else
    g_hash_table_replace(w->answers, a, a);
  return !again;
}

static void acknowledged(Server *s, const MadcapMessage *m)
{
  MadcapWorld *w = s->world;
  MadcapType type = type_of(w, m);
  if (type == MADCAP_RELEASE)
    released(s, m);
  else if (type == MADCAP_REQUEST || type == MADCAP_RENEW)
    promised(s, m);
  else if (type == MADCAP_GETINFO)
    count(w, COUNT_ACK_INFO);
  if (w->ambush == AMBUSH_ANSWER)
    w->sprung = s;
  world_plant_acked(w, s);
}

static void from_server(Server *s, const MalSimPacketView *packet)
{
  MadcapMessage m;
  if (!s->core || madcap_decode(packet->data, packet->length, &m, NULL) != MADCAP_OK ||
      !madcap_type_from_server(m.type)) {
    mal_sim_fail(s->world->sim, "%s sent what no server sends", mal_sim_node_name(s->node));
    return;
  }
  if (m.lease_id.length == 0 || m.lease_id.length > ID_LENGTH || !first_answer(s, &m, packet))
    return;
  if (m.type == MADCAP_NAK)
    refused(s, &m);
  else if (m.type == MADCAP_ACK)
    acknowledged(s, &m);
  else
    count(s->world, COUNT_OFFER);
}

/* ---- what clients send ----------------------------------------------------------------------- */

Server *world_server_at(MadcapWorld *w, MalAddress address)
{
  for (unsigned i = 0; i < w->n_servers; i++)
    for (unsigned k = 0; k < 2; k++)
      if (mal_address_equal(w->server[i].address[k], address))
        return &w->server[i];
  return NULL;
}

static void note_renew(Promise *p, uint32_t xid)
{
  unsigned oldest = 0;
  for (unsigned i = 0; i < RENEWS; i++) {
    if (p->renew[i].xid == xid) {
      oldest = i;
      break;
    }
    if (p->renew[i].at < p->renew[oldest].at)
      oldest = i;
  }
  p->renew[oldest].xid = xid;
  p->renew[oldest].at = mal_sim_now(p->server->world->sim);
}

/* It may now end at any time from the least that the client accepts. */
static void may_be_renewed(Promise *p, const MadcapMessage *m)
{
  note_renew(p, m->xid);
  p->end -= p->moved;
  p->moved = 0;
  p->asked = mal_sim_now(p->server->world->sim);
  MalTime least = madcap_has(m, MADCAP_OPTION_MIN_LEASE_TIME) ? m->min_lease_time : 1;
  if (p->server->core)
    p->end = MIN(p->end, server_now(p->server) + least - 1);
  else
    p->given_up = true;
}

static void count_request(MadcapWorld *w, const MadcapMessage *m, bool group)
{
  count(w, group ? COUNT_REQUEST_GROUP : COUNT_REQUEST_ONE);
  if (madcap_has(m, MADCAP_OPTION_RANGES))
    count(w, COUNT_NAMED);
  if (madcap_has(m, MADCAP_OPTION_START_TIME))
    count(w, COUNT_ADVANCE);
  if (madcap_has(m, MADCAP_OPTION_MAX_START_TIME))
    count(w, COUNT_MAX_START);
  if (madcap_has(m, MADCAP_OPTION_MIN_LEASE_TIME))
    count(w, COUNT_MIN_TIME);
}

static void count_message(MadcapWorld *w, const MadcapMessage *m, MalAddress to)
{
  bool group = mal_address_is_multicast(to);
  if (to.family == MAL_IPV6)
    count(w, COUNT_OVER_IPV6);
  switch ((int)m->type) {
  case MADCAP_DISCOVER: count(w, group ? COUNT_DISCOVER_GROUP : COUNT_DISCOVER_ONE); break;
  case MADCAP_REQUEST: count_request(w, m, group); break;
  case MADCAP_RENEW:
    count(w, madcap_has(m, MADCAP_OPTION_START_TIME) ? COUNT_RENEW_START : COUNT_RENEW);
    break;
  case MADCAP_RELEASE: count(w, COUNT_RELEASE); break;
  case MADCAP_GETINFO: count(w, group ? COUNT_GETINFO_GROUP : COUNT_GETINFO_ONE); break;
  case MADCAP_OFFER:
  case MADCAP_ACK:
  case MADCAP_NAK: count(w, COUNT_FALSE_SERVER); break;
  default: count(w, COUNT_UNKNOWN_TYPE); break;
  }
}

static void from_client(MadcapWorld *w, const MalSimPacketView *packet)
{
  MadcapMessage m;
  if (madcap_decode(packet->data, packet->length, &m, NULL) == MADCAP_IGNORE) {
    count(w, COUNT_GARBAGE);
    return;
  }
  count_message(w, &m, packet->destination.address);
  if (m.lease_id.length == 0 || m.lease_id.length > ID_LENGTH)
    return;
  Asked *asked = g_new0(Asked, 1);
  *asked = (Asked){ .xid = m.xid, .type = m.type };
  asked->id = world_id(id_of(&m));
  g_hash_table_add(w->asked, asked);
  Server *s = world_server_at(w, packet->destination.address);
  Promise *p = s ? world_promise_of(w, s, id_of(&m)) : NULL;
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

void world_tap_init(MadcapWorld *w)
{
  w->answers = g_hash_table_new_full(answer_hash, answer_equal, g_free, NULL);
  w->asked = g_hash_table_new_full(asked_hash, asked_equal, g_free, NULL);
  w->talks = g_getenv("MAL_SIM_TRACE") != NULL;
  mal_sim_set_tap(w->sim, tap, w);
}

void world_tap_clear(MadcapWorld *w)
{
  g_hash_table_unref(w->answers);
  g_hash_table_unref(w->asked);
}
