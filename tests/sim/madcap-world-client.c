/* The scripted clients: a small protocol of their own (RFC 2730 2.2, 2.3), polite and not. A client
   asks, renews and releases at random; what it isn't sure of (a REQUEST without an answer) it
   releases at whoever may have leased it. It never forgets that it may have been given something,
   so that in the end nothing is leased that nobody knows of. */
#include "madcap-world-private.h"

#include <string.h>

#define SEND_AGAIN 4          /* seconds; doubled each time, four messages in all, 60 s (2.3) */
#define TRIES 4
#define DISCOVER_DELAY 2

static void think_in(Slot *s, int64_t microseconds)
{
  MalRuntime *rt = mal_sim_node_runtime(s->client->node);
  mal_timer_set(s->timer, mal_runtime_monotonic(rt) + microseconds);
}

/* Late enough that nothing of the last exchange is on its way any more. */
static void think_later(Slot *s)
{
  MadcapWorld *w = s->client->world;
  MalWorldRandom *r = &s->client->random;
  int64_t most = w->closing ? 6 * MAL_US : MAX(s->client->hurry, DELAY_MOST + MAL_US);
  think_in(s, (int64_t)between(r, DELAY_MOST, (uint64_t)most));
}

static void new_id(Slot *s)
{
  MadcapWorld *w = s->client->world;
  uint64_t n = ++w->ids, r = mal_world_random(&s->client->random);
  memset(s->id, 0, sizeof s->id);
  memcpy(s->id + 1, &r, sizeof r);
  memcpy(s->id + 10, &n, sizeof n);
  s->state = IDLE;
  s->touched = 0;
  s->holder = NOBODY;
  s->n_blocks = 0;
}

/* ---- messages -------------------------------------------------------------------------------- */

static void put_time(const Slot *s, MadcapEncoder *e)
{
  MalTime now = mal_runtime_now(mal_sim_node_runtime(s->client->node));
  if (s->wish.start_in)
    madcap_put_start_time(e, (uint32_t)now + s->wish.start_in);
}

static void put_late(const Slot *s, MadcapEncoder *e)
{
  MalTime now = mal_runtime_now(mal_sim_node_runtime(s->client->node));
  static const uint16_t retry[] = { MADCAP_FEATURE_RETRY_AFTER },
                        shared[] = { MADCAP_FEATURE_SHARED_LEASE_ID },
                        mobility[] = { MADCAP_FEATURE_SERVER_MOBILITY };
  if (s->wish.time || s->wish.start_in || s->wish.max_start_in)
    madcap_put_current_time(e, (uint32_t)now);
  if (s->wish.retry || s->wish.shared || s->wish.mobility)
    madcap_put_features(e, retry, s->wish.retry, shared, s->wish.shared, mobility,
                        s->wish.mobility);
  if (s->wish.min_lease_time)
    madcap_put_min_lease_time(e, s->wish.min_lease_time);
  if (s->wish.max_start_in)
    madcap_put_max_start_time(e, (uint32_t)now + s->wish.start_in + s->wish.max_start_in);
}

static size_t write_message(Slot *s, bool multicast, MalAddress server_id)
{
  bool asks = s->type == MADCAP_DISCOVER || s->type == MADCAP_REQUEST;
  MalAddress scope = world_address(world_scopes[s->scope].first);
  MadcapEncoder e = madcap_encoder(s->bytes, sizeof s->bytes, s->type,
                                   (MadcapContext){ .multicast = multicast }, scope.family,
                                   s->xid);
  if (s->type != MADCAP_RELEASE)
    madcap_put_lease_time(&e, s->wish.lease_time);
  if (server_id.family != MAL_FAMILY_NONE)
    madcap_put_server_id(&e, server_id);
  madcap_put_lease_id(&e, s->id, sizeof s->id);
  if (asks)
    madcap_put_scope(&e, scope);
  if (s->type != MADCAP_RELEASE)
    put_time(s, &e);
  if (asks && !s->wish.named.count)
    madcap_put_number(&e, s->wish.min, s->wish.desired);
  if (asks && s->wish.named.count)
    madcap_put_ranges(&e, &s->wish.named, 1);
  if (s->type != MADCAP_RELEASE)
    put_late(s, &e);
  return madcap_finish(&e);
}

static void send_bytes(Client *c, MalUdp *udp, MalEndpoint to, const void *bytes, size_t length)
{
  MalDatagram d = { .peer = to, .data = bytes, .length = length };
  if (mal_address_is_multicast(to.address))
    d.ifindex = mal_sim_iface_index(c->iface);
  mal_udp_send(udp, &d);
}

static void transmit(Slot *s)
{
  send_bytes(s->client, s->client->udp[s->transport == MAL_IPV6], s->to, s->bytes, s->length);
}

static MalEndpoint endpoint(MalAddress address)
{
  return (MalEndpoint){ .address = address, .port = MADCAP_PORT };
}

/* SERVER NOBODY: to all. NAMED: a Server Identifier goes with it. */
static void begin(Slot *s, MadcapType type, uint32_t server, bool multicast, bool named)
{
  MadcapWorld *w = s->client->world;
  MalAddress address = mal_address_none();
  s->type = type;
  s->xid = ++w->last_xid;
  s->server = server;
  s->tries = 0;
  s->chosen = NOBODY;
  s->offers = 0;
  if (server != NOBODY)
    address = w->server[server].address[s->transport == MAL_IPV6];
  g_assert(type != MADCAP_REQUEST || server != NOBODY);
  if (type == MADCAP_REQUEST && !w->server[server].absent)
    s->touched |= 1u << server;
  s->to = endpoint(multicast ? world_address(world_scopes[s->scope].group) : address);
  s->length = write_message(s, multicast, named ? address : mal_address_none());
  if (!s->length) {
    mal_sim_fail(w->sim, "a client could not write its %s", madcap_type_name(type));
    return;
  }
  transmit(s);
  think_in(s, SEND_AGAIN * MAL_US);
}

static void end(Slot *s)
{
  s->length = 0;
  s->settled = mal_sim_now(s->client->world->sim);
  think_later(s);
}

/* ---- wishes ---------------------------------------------------------------------------------- */

static void wish_times(Slot *s)
{
  MalWorldRandom *r = &s->client->random;
  s->wish.lease_time = (uint32_t)(chance(r, 50) ? between(r, 20, 300) : between(r, 60, 7200));
  s->wish.min_lease_time = chance(r, 20) ? (uint32_t)between(r, 1, s->wish.lease_time) : 0;
  s->wish.start_in = chance(r, 15) ? (uint32_t)between(r, 1, 1200) : 0;
  s->wish.max_start_in = chance(r, 15) ? (uint32_t)between(r, 1, 3000) : 0;
  s->wish.time = chance(r, 30);
  s->wish.retry = chance(r, 30);
  s->wish.shared = chance(r, 10);
  s->wish.mobility = chance(r, 3);
}

static void wish(Slot *s, uint32_t server)
{
  MalWorldRandom *r = &s->client->random;
  s->scope = (unsigned)between(r, 0, SCOPES - 1);
  s->transport = world_scopes[s->scope].family;
  wish_times(s);
  s->wish.desired = (uint16_t)(chance(r, 70) ? 1 : between(r, 2, 9));
  s->wish.min = (uint16_t)between(r, 1, s->wish.desired);
  s->wish.named.count = 0;
  if (!chance(r, 15))
    return;
  MalSpan share = world_share(server, s->scope, 64);
  share.first.value += between(r, 0, 60);
  s->wish.named = mal_block_make(share.first, (uint32_t)between(r, 1, 4));
}

static void ask(Slot *s)
{
  MalWorldRandom *r = &s->client->random;
  MadcapWorld *w = s->client->world;
  uint32_t server = (uint32_t)between(r, 0, w->n_servers - 1);
  new_id(s);
  wish(s, server);
  s->state = ASKING;
  if (chance(r, 50))
    begin(s, MADCAP_DISCOVER, NOBODY, true, false);
  else if (chance(r, 10))
    begin(s, MADCAP_DISCOVER, server, false, false);
  else
    begin(s, MADCAP_REQUEST, server, false, chance(r, 50));
}

/* ---- thinking -------------------------------------------------------------------------------- */

static void give_back(Slot *s)
{
  for (uint32_t i = 0; i < SERVERS; i++)
    if (s->touched & 1u << i) {
      if (i == s->holder)
        s->state = ASKING;
      begin(s, MADCAP_RELEASE, i, false, false);
      return;
    }
  new_id(s);
  think_later(s);
}

static void garbage(Client *c)
{
  MalWorldRandom *r = &c->random;
  MadcapWorld *w = c->world;
  uint8_t bytes[200];
  size_t length = (size_t)between(r, 0, sizeof bytes);
  for (size_t i = 0; i < length; i++)
    bytes[i] = (uint8_t)between(r, 0, 255);
  /* Not by chance a message of a client. */
  bytes[1] = (uint8_t)(MADCAP_OFFER + (chance(r, 50) ? 0 : between(r, 3, 4)));
  const Server *to = &w->server[between(r, 0, w->n_servers - 1)];
  send_bytes(c, c->rogue, endpoint(to->address[0]), bytes, length);
}

/* What a server never answers (2.6). */
static void play_server(Client *c, const Slot *s)
{
  MalWorldRandom *r = &c->random;
  static const MadcapType types[] = { MADCAP_OFFER, MADCAP_ACK, MADCAP_NAK };
  MadcapWorld *w = c->world;
  uint8_t bytes[200];
  const Server *to = &w->server[between(r, 0, w->n_servers - 1)];
  MadcapEncoder e = madcap_encoder(bytes, sizeof bytes, types[between(r, 0, 2)],
                                   (MadcapContext){ .answers = MADCAP_REQUEST }, MAL_IPV4,
                                   ++w->last_xid);
  if (e.type != MADCAP_NAK)
    madcap_put_lease_time(&e, 60);
  madcap_put_server_id(&e, to->address[0]);
  madcap_put_lease_id(&e, s->id, sizeof s->id);
  if (e.type == MADCAP_NAK) {
    madcap_put_error_option(&e, MADCAP_ERROR_NOT_COMPLETED, MADCAP_NO_OPTION);
  } else {
    MalBlock block = mal_block_make(world_share(to->index, 0, 1).first, 1);
    madcap_put_scope(&e, world_address(world_scopes[0].first));
    madcap_put_ranges(&e, &block, 1);
  }
  size_t length = madcap_finish(&e);
  if (length)
    send_bytes(c, c->rogue, endpoint(to->address[0]), bytes, length);
  else
    mal_sim_fail(w->sim, "a client could not write a server's %s", madcap_type_name(e.type));
}

static void ask_for_scopes(Client *c, const Slot *s)
{
  MalWorldRandom *r = &c->random;
  static const uint16_t list[] = { MADCAP_OPTION_SCOPE_LIST, MADCAP_OPTION_CURRENT_TIME };
  MadcapWorld *w = c->world;
  uint8_t bytes[200];
  bool multicast = chance(r, 50);
  const Server *to = &w->server[between(r, 0, w->n_servers - 1)];
  MadcapEncoder e = madcap_encoder(bytes, sizeof bytes, MADCAP_GETINFO,
                                   (MadcapContext){ .multicast = multicast }, MAL_IPV4,
                                   ++w->last_xid);
  madcap_put_lease_id(&e, s->id, sizeof s->id);
  madcap_put_request_list(&e, list, 1);
  size_t length = madcap_finish(&e);
  MalAddress address = multicast ? world_address(world_scopes[0].group) : to->address[0];
  send_bytes(c, c->udp[0], endpoint(address), bytes, length);
}

/* What is answered with Invalid Request (2.6), to nobody who waits for it. */
static void ask_nonsense(Client *c, const Slot *s)
{
  MadcapWorld *w = c->world;
  uint8_t bytes[64];
  const Server *to = &w->server[between(&c->random, 0, w->n_servers - 1)];
  MadcapEncoder e = madcap_encoder(bytes, sizeof bytes, MADCAP_RELEASE, (MadcapContext){ 0 },
                                   MAL_IPV4, ++w->last_xid);
  madcap_put_lease_id(&e, s->id, sizeof s->id);
  size_t length = madcap_finish(&e);
  bytes[1] = (uint8_t)between(&c->random, MADCAP_GETINFO + 1, 255);
  send_bytes(c, c->udp[0], endpoint(to->address[0]), bytes, length);
}

static void misbehave(Slot *s)
{
  switch (between(&s->client->random, 0, 9)) {
  case 0: garbage(s->client); break;
  case 1: play_server(s->client, s); break;
  case 2: ask_for_scopes(s->client, s); break;
  case 3: ask_nonsense(s->client, s); break;
  default: break;
  }
}

static void renew(Slot *s)
{
  wish_times(s);
  if (!chance(&s->client->random, 10))
    s->wish.start_in = s->wish.max_start_in = 0;
  begin(s, MADCAP_RENEW, s->holder, false, false);
}

static void having(Slot *s)
{
  MalWorldRandom *r = &s->client->random;
  MadcapWorld *w = s->client->world;
  uint64_t dice = between(r, 0, 99);
  bool over = mal_sim_now(w->sim) > s->ends;
  if (over ? dice < 30 : dice < 35)
    renew(s);
  else if (over ? dice < 60 : dice < 45)
    begin(s, MADCAP_REQUEST, s->holder, false, chance(r, 50));
  else if (over || dice < 65)
    give_back(s);
  else
    think_later(s);
}

static void think(Slot *s)
{
  MalWorldRandom *r = &s->client->random;
  MadcapWorld *w = s->client->world;
  if (!w->closing)
    misbehave(s);
  if (s->state == IDLE) {
    if (!w->closing)
      ask(s);
  } else if (s->state == HAVING && w->closing) {
    /* Every other one keeps what it has. */
    uint32_t others = s->touched & ~(1u << s->holder);
    if (others || s->client->index % 2 || mal_sim_now(w->sim) > s->ends) {
      if (others)
        s->touched = others;
      uint32_t keep = others ? 1u << s->holder : 0;
      give_back(s);
      s->touched |= keep;
    } else {
      s->resting = true;
    }
  } else if (s->state == HAVING) {
    having(s);
  } else if (!w->closing && s->touched && chance(r, 30)) {
    begin(s, MADCAP_REQUEST, (uint32_t)__builtin_ctz(s->touched), false, false);
  } else {
    give_back(s);
  }
}

static void on_timer(void *data)
{
  Slot *s = data;
  MadcapWorld *w = s->client->world;
  if (!s->length) {
    think(s);
    return;
  }
  if (s->type == MADCAP_DISCOVER && s->chosen != NOBODY) {
    begin(s, MADCAP_REQUEST, s->chosen, true, true);
    return;
  }
  if (++s->tries < TRIES) {
    transmit(s);
    think_in(s, (int64_t)(SEND_AGAIN << s->tries) * MAL_US);
    return;
  }
  /* It may have been given other addresses. */
  if (s->type == MADCAP_REQUEST)
    s->state = ASKING;
  mal_sim_note(w->sim, s->client->node, "gives up %s %u", madcap_type_name(s->type), s->xid);
  end(s);
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool answers_wish(const Slot *s, uint64_t total)
{
  if (!s->wish.named.count)
    return total >= s->wish.min && total <= s->wish.desired;
  return s->n_blocks == 1 && s->blocks[0].count == s->wish.named.count &&
         mal_address_equal(s->blocks[0].first, s->wish.named.first);
}

static void take_lease(Slot *s, uint32_t server, const MadcapMessage *m)
{
  MadcapWorld *w = s->client->world;
  MalBlock block;
  size_t n = 0;
  MadcapRangeIter iter = madcap_ranges(m);
  while (n < BLOCKS && madcap_ranges_next(&iter, &block))
    s->blocks[n++] = block;
  s->n_blocks = n;
  if (s->type == MADCAP_REQUEST && s->state == ASKING && s->touched == 1u << server &&
      !answers_wish(s, madcap_ranges_total(m)))
    mal_sim_fail(w->sim, "REQUEST %u was given something else than it wished", s->xid);
  s->state = HAVING;
  s->holder = server;
  s->ends = mal_sim_now(w->sim) + (int64_t)m->lease_time * MAL_US;
  if (madcap_has(m, MADCAP_OPTION_START_TIME) && madcap_has(m, MADCAP_OPTION_CURRENT_TIME) &&
      m->start_time > m->current_time)
    s->ends += (int64_t)(m->start_time - m->current_time) * MAL_US;
}

static void gone(Slot *s, uint32_t server)
{
  s->touched &= ~(1u << server);
  if (s->holder == server) {
    s->holder = NOBODY;
    s->n_blocks = 0;
    s->state = ASKING;
  }
}

static void on_ack(Slot *s, uint32_t server, const MadcapMessage *m)
{
  if (s->type == MADCAP_RELEASE)
    gone(s, server);
  else if (madcap_has(m, MADCAP_OPTION_RANGES) && madcap_ranges_count(m) > 0)
    take_lease(s, server, m);
}

static void on_answer(Client *c, Slot *s, uint32_t server, const MadcapMessage *m)
{
  MalWorldRandom *r = &c->random;
  if (m->type == MADCAP_OFFER) {
    if (s->type != MADCAP_DISCOVER)
      return;
    /* Each of the offers with the same chance. */
    if (between(r, 0, s->offers++) == 0)
      s->chosen = server;
    if (s->offers == 1)
      think_in(s, DISCOVER_DELAY * MAL_US);
    return;
  }
  if (m->type == MADCAP_NAK && s->type == MADCAP_DISCOVER)
    return;
  if (m->type == MADCAP_ACK)
    on_ack(s, server, m);
  else if (m->error_code == MADCAP_ERROR_LEASE_ID_UNKNOWN)
    gone(s, server);
  end(s);
}

static uint32_t server_of(const MadcapWorld *w, MalAddress address)
{
  for (uint32_t i = 0; i < w->n_servers; i++)
    if (mal_address_equal(address, w->server[i].address[address.family == MAL_IPV6]))
      return i;
  return NOBODY;
}

static void on_datagrams(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  Client *c = data;
  (void)udp;
  for (size_t i = 0; i < count; i++) {
    MadcapMessage m;
    uint32_t server = server_of(c->world, datagrams[i].peer.address);
    if (madcap_decode(datagrams[i].data, datagrams[i].length, &m, NULL) != MADCAP_OK) {
      mal_sim_fail(c->world->sim, "a client got a message that is not one");
      return;
    }
    for (unsigned k = 0; server != NOBODY && k < c->n_slots; k++) {
      Slot *s = &c->slot[k];
      if (s->length && s->xid == m.xid && m.lease_id.length == sizeof s->id &&
          memcmp(m.lease_id.data, s->id, sizeof s->id) == 0 &&
          (s->server == NOBODY || s->server == server))
        on_answer(c, s, server, &m);
    }
  }
}

static void on_rogue(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  Client *c = data;
  (void)udp, (void)datagrams, (void)count;
  mal_sim_fail(c->world->sim, "a server answered what must not be answered (RFC 2730 2.6)");
}

/* ---- beginning ------------------------------------------------------------------------------- */

static MalUdp *open_udp(Client *c, MalFamily family, MalUdpFunc func)
{
  MalUdpOptions options = { .family = family, .multicast_ttl = 8 };
  return mal_udp_open(mal_sim_node_runtime(c->node), &options, func, c, NULL);
}

void world_client_start(Client *c)
{
  MalWorldRandom *r = &c->random;
  c->udp[0] = open_udp(c, MAL_IPV4, on_datagrams);
  c->udp[1] = open_udp(c, MAL_IPV6, on_datagrams);
  c->rogue = open_udp(c, MAL_IPV4, on_rogue);
  c->n_slots = (unsigned)between(r, 1, SLOTS);
  c->hurry = (int64_t)between(r, 5, 60) * MAL_US;
  for (unsigned k = 0; k < c->n_slots; k++) {
    Slot *s = &c->slot[k];
    s->client = c;
    s->timer = mal_timer_new(mal_sim_node_runtime(c->node), on_timer, s);
    new_id(s);
    think_in(s, (int64_t)between(r, 0, 20 * MAL_US));
  }
}
