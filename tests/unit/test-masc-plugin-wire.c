/* What whole daemons with the MASC plugin say on the wire, to peers made of nothing but the codec.
   Sections are RFC 2909's. */
#include "plugins/masc/masc-wire.h"
#include "tests/unit/masc-daemons.h"

#define SCOPE                                                                                      \
  "[scope global]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=127\ndivisible=yes\n"
#define MASC(domain, node)                                                                         \
  SCOPE "[masc]\ndomain-id=" domain "\nnode-id=" node "\nwaiting-period=60\nclaim=no\n"            \
        "initiate-claim-delay=4\nprefix-lifetime=1h\nrenew-interval=50m\nextra-holding-time=10\n"  \
        "connect-retry=4\nbackoff=5\nbackoff-most=20\nholdtime=90\n"
#define PEER(name, host, role, domain)                                                             \
  "[masc-peer " name "]\naddress=192.0.2." host "\nrole=" role "\ndomain-id=" domain "\n"
#define HAND(name, host, role, domain) PEER(name, host, role, domain) "passive=yes\n"

/* Host 0: a top-level domain. Host 1: its child. The others are hands. */
#define TOP                                                                                        \
  MASC("64496", "192.0.2.1") PEER("kid", "2", "child", "64501")                                    \
  HAND("kid2", "3", "child", "64502") HAND("twin", "4", "sibling", "64497") "parent=none\n"
#define LEAF                                                                                       \
  MASC("64501", "192.0.2.2") PEER("up", "1", "parent", "64496")                                    \
  HAND("sister", "3", "sibling", "64502") HAND("other", "5", "internal", "64501")
#define CHILD                                                                                      \
  LEAF                                                                                             \
  HAND("grandchild", "6", "child", "64503")

/* ---- a hand ---------------------------------------------------------------------------------- */

typedef enum { KID2, TWIN, SISTER, OTHER, GRANDCHILD, N_HANDS } Who;

static const struct {
  const char *name;
  unsigned host, daemon;
  MascRole role;              /* what it is to the daemon */
  MascId domain, parent;
} whos[N_HANDS] = {
  [KID2] = { "kid2", 2, 0, MASC_CHILD, 64502, 0 },
  [TWIN] = { "twin", 3, 0, MASC_SIBLING, 64497, 0 },
  [SISTER] = { "sister", 2, 1, MASC_SIBLING, 64502, 64496 },
  [OTHER] = { "other", 4, 1, MASC_INTERNAL, 64501, 64496 },
  [GRANDCHILD] = { "grandchild", 5, 1, MASC_CHILD, 64503, 0 },
};

typedef struct {
  Who who;
  MalStream *stream;
  MascDeframer in;
  MascOpen open;              /* the daemon's */
  GArray *claims;             /* MascClaim, as they came */
  unsigned errors;
} Hand;

typedef struct {
  MascWorld w;
  Hand hands[N_HANDS];
} World;

static void send(Hand *h, const MascMessage *msg)
{
  uint8_t octets[MASC_MAX_LENGTH];
  size_t length = masc_encode(msg, octets, sizeof octets, NULL);
  cr_assert_gt(length, 0);
  cr_assert(mal_stream_send(h->stream, octets, length));
}

static void heard(Hand *h, const uint8_t *octets, size_t length)
{
  MascMessage msg;
  MascClaim claim;
  MascFault fault;
  cr_assert(masc_decode(octets, length, &msg, &fault), "%s: %u.%u", whos[h->who].name, fault.code,
            fault.subcode);
  if (msg.type == MASC_OPEN) {
    h->open = msg.open;
    send(h, &(MascMessage){ .type = MASC_KEEPALIVE });
  } else if (msg.type == MASC_NOTIFICATION) {
    h->errors++;
  } else if (msg.type == MASC_UPDATE) {
    MascCursor cursor = masc_cursor(&msg.update);
    while (masc_cursor_next(&cursor, &claim, &fault) == MASC_NEXT_CLAIM)
      g_array_append_val(h->claims, claim);
  }
}

static void on_stream(MalStream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                      const GError *error, void *user)
{
  Hand *h = user;
  const uint8_t *message;
  size_t size;
  (void)error;
  if (what == MAL_STREAM_CONNECTED)
    send(h, &(MascMessage){ .type = MASC_OPEN,
                            .open = { .family = MAL_IPV4,
                                      .role = whos[h->who].role,
                                      .domain = whos[h->who].domain,
                                      .node = 0xc0000201 + whos[h->who].host,
                                      .parent = whos[h->who].parent } });
  while (what == MAL_STREAM_DATA &&
         masc_deframe(&h->in, &data, &length, &message, &size) == MASC_FRAME_MESSAGE)
    heard(h, message, size);
  if (what == MAL_STREAM_CLOSED) {
    mal_stream_close(stream);
    h->stream = NULL;
  }
}

static void connect_hand(World *world, Who who)
{
  static const MalStreamOps ops = { on_stream };
  Hand *h = &world->hands[who];
  MalEndpoint from = { .address = mal_address_ipv4(0xc0000201 + whos[who].host) };
  MalEndpoint to = { .address = mal_address_ipv4(0xc0000201 + whos[who].daemon),
                     .port = MASC_PORT };
  MalRuntime *rt = mal_sim_node_runtime(world->w.host[whos[who].host].node);
  g_autofree char *params = g_strdup_printf("{\"peer\":\"%s\"}", whos[who].name);
  g_clear_pointer(&h->stream, mal_stream_close);
  masc_world_run(&world->w, 2);
  masc_world_call(&world->w, whos[who].daemon, "masc.start", params, 2);
  h->who = who;
  h->in = (MascDeframer){ .used = 0 };
  h->errors = 0;
  if (h->claims == NULL)
    h->claims = g_array_new(FALSE, FALSE, sizeof(MascClaim));
  g_array_set_size(h->claims, 0);
  h->stream = mal_stream_connect(rt, from, to, &ops, h, NULL);
  cr_assert_not_null(h->stream);
  masc_world_run(&world->w, 2);
  cr_assert_str_eq(masc_world_state(&world->w, whos[who].daemon, whos[who].name), "Established",
                   "%s", whos[who].name);
}

static void world_new(World *world)
{
  memset(world, 0, sizeof *world);
  world->w = masc_world(6);
  masc_world_start(&world->w, 0, TOP);
  masc_world_start(&world->w, 1, CHILD);
  masc_world_run(&world->w, 15);
  for (Who who = 0; who < N_HANDS; who++)
    connect_hand(world, who);
}

static void world_clear(World *world)
{
  for (Who who = 0; who < N_HANDS; who++) {
    cr_expect_eq(world->hands[who].errors, 0, "%s was told errors", whos[who].name);
    g_clear_pointer(&world->hands[who].stream, mal_stream_close);
    g_clear_pointer(&world->hands[who].claims, g_array_unref);
  }
  masc_world_clear(&world->w);
}

static void forget(World *world)
{
  for (Who who = 0; who < N_HANDS; who++)
    g_array_set_size(world->hands[who].claims, 0);
}

static void ask(World *world, unsigned daemon, const char *method, const char *prefix, int64_t wait)
{
  g_autofree char *params = g_strdup_printf("{\"prefix\":\"%s\"}", prefix);
  masc_world_call(&world->w, daemon, method, params, 5);
  cr_assert_null(world->w.error, "%s: %s", method, world->w.error);
  masc_world_run(&world->w, wait);
}

static void say(World *world, Who who, MascClaimType type, const char *prefix)
{
  MascClaim claim = { .type = type,
                      .timestamp =
                          (uint32_t)mal_runtime_now(mal_sim_node_runtime(world->w.host[0].node)),
                      .lifetime = 1000,
                      .holdtime = type == MASC_PREFIX_IN_USE ? 1000 : 60,
                      .domain = whos[who].domain,
                      .node = 0xc0000201 + whos[who].host };
  cr_assert(mal_prefix_parse(prefix, &claim.prefix, NULL));
  send(&world->hands[who], &(MascMessage){ .type = MASC_UPDATE,
                                           .update = { .claims = &claim, .n_claims = 1 } });
  masc_world_run(&world->w, 2);
}

/* "type role domain prefix", one after the other. */
static char *all_heard(const World *world, Who who)
{
  GString *out = g_string_new(NULL);
  const GArray *claims = world->hands[who].claims;
  char address[MAL_ADDRESS_STRLEN];
  for (guint i = 0; i < claims->len; i++) {
    const MascClaim *c = &g_array_index(claims, MascClaim, i);
    g_string_append_printf(out, "%s%s %s %u %s/%u%s", i > 0 ? "; " : "",
                           masc_claim_type_name(c->type), masc_role_name(c->role),
                           (unsigned)c->domain, mal_address_format(c->prefix.address, address),
                           c->prefix.length, c->deprecated ? " deprecated" : "");
  }
  return g_string_free(out, FALSE);
}

static void expect_heard(World *world, const char *when, const char *const expected[N_HANDS])
{
  for (Who who = 0; who < N_HANDS; who++) {
    g_autofree char *is = all_heard(world, who);
    cr_expect_str_eq(is, expected[who], "%s, %s: \"%s\", not \"%s\"", when, whos[who].name, is,
                     expected[who]);
  }
  forget(world);
}

/* ---- OPEN ------------------------------------------------------------------------------------ */

Test(masc_plugin_wire, an_open_says_who_we_are_and_who_our_parent_is_7_2)
{
  static const struct {
    MascRole role;
    MascId domain, node, parent;
  } opens[N_HANDS] = {
    [KID2] = { MASC_PARENT, 64496, 0xc0000201, 0 },
    [TWIN] = { MASC_SIBLING, 64496, 0xc0000201, 0 },
    [SISTER] = { MASC_SIBLING, 64501, 0xc0000202, 64496 },
    [OTHER] = { MASC_INTERNAL, 64501, 0xc0000202, 64496 },
    [GRANDCHILD] = { MASC_PARENT, 64501, 0xc0000202, 64496 },
  };
  World world;
  world_new(&world);
  for (Who who = 0; who < N_HANDS; who++) {
    const MascOpen *o = &world.hands[who].open;
    cr_expect_eq(o->role, opens[who].role, "%s", whos[who].name);
    cr_expect_eq((uint64_t)o->domain, (uint64_t)opens[who].domain, "%s", whos[who].name);
    cr_expect_eq((uint64_t)o->node, (uint64_t)opens[who].node, "%s", whos[who].name);
    cr_expect_eq((uint64_t)o->parent, (uint64_t)opens[who].parent, "%s", whos[who].name);
    cr_expect_eq(o->hold_time, 90);
    cr_expect_eq(o->family, MAL_IPV4);
  }
  world_clear(&world);
}

/* ---- from hop to hop ------------------------------------------------------------------------- */

#define P16 "239.193.0.0/16"
#define P24 "239.193.4.0/24"

/* All claims about one prefix have one origin and timestamp; Holdtimes are as 7.3 wants them. */
static void check_times(const World *world, MascId domain, uint64_t node, uint32_t lifetime)
{
  uint32_t timestamp = 0;
  for (Who who = 0; who < N_HANDS; who++) {
    const GArray *claims = world->hands[who].claims;
    for (guint i = 0; i < claims->len; i++) {
      const MascClaim *c = &g_array_index(claims, MascClaim, i);
      bool pending = c->type == MASC_NEW_CLAIM || c->type == MASC_CLAIM_TO_EXPAND;
      if (c->domain != domain)
        continue;
      timestamp = timestamp == 0 ? c->timestamp : timestamp;
      cr_expect_eq(c->timestamp, timestamp, "%s", whos[who].name);
      cr_expect_eq((uint64_t)c->node, node, "%s", whos[who].name);
      cr_expect_eq(c->lifetime, lifetime, "%s: %u", whos[who].name, c->lifetime);
      cr_expect_eq(c->holdtime, pending ? 60 : lifetime, "%s: %u", whos[who].name, c->holdtime);
    }
  }
}

Test(masc_plugin_wire, a_claim_from_hop_to_hop_5_1_7_3_11_1)
{
  World world;
  world_new(&world);
  ask(&world, 0, "masc.claim", P16, 100);
  check_times(&world, 64496, 0xc0000201, 3600);
  expect_heard(&world, "the parent's claim", (const char *const[]){
    [KID2] = "PREFIX_MANAGED internal 64496 " P16,
    [TWIN] = "NEW_CLAIM internal 64496 " P16 "; PREFIX_IN_USE internal 64496 " P16,
    [SISTER] = "PREFIX_MANAGED parent 64496 " P16,
    [OTHER] = "PREFIX_MANAGED parent 64496 " P16,
    [GRANDCHILD] = "",
  });
  masc_world_call(&world.w, 1, "masc.claim", "{\"prefix\":\"" P24 "\",\"lifetime\":2000}", 5);
  masc_world_run(&world.w, 100);
  check_times(&world, 64501, 0xc0000202, 2000);
  expect_heard(&world, "the child's", (const char *const[]){
    [KID2] = "NEW_CLAIM child 64501 " P24 "; PREFIX_IN_USE child 64501 " P24,
    [TWIN] = "",
    [SISTER] = "NEW_CLAIM internal 64501 " P24 "; PREFIX_IN_USE internal 64501 " P24,
    [OTHER] = "NEW_CLAIM internal 64501 " P24 "; PREFIX_MANAGED internal 64501 " P24,
    [GRANDCHILD] = "PREFIX_MANAGED internal 64501 " P24,
  });
  say(&world, GRANDCHILD, MASC_NEW_CLAIM, "239.193.4.128/25");
  expect_heard(&world, "its child's", (const char *const[]){
    [KID2] = "", [TWIN] = "", [SISTER] = "",
    [OTHER] = "NEW_CLAIM child 64503 239.193.4.128/25", [GRANDCHILD] = "",
  });
  say(&world, SISTER, MASC_NEW_CLAIM, "239.193.9.0/24");
  expect_heard(&world, "a sibling's", (const char *const[]){
    [KID2] = "NEW_CLAIM child 64502 239.193.9.0/24", [TWIN] = "", [SISTER] = "",
    [OTHER] = "NEW_CLAIM sibling 64502 239.193.9.0/24", [GRANDCHILD] = "",
  });
  say(&world, KID2, MASC_PREFIX_IN_USE, "239.193.9.0/24");
  expect_heard(&world, "the same by its parent", (const char *const[]){
    [KID2] = "", [TWIN] = "", [SISTER] = "PREFIX_IN_USE sibling 64502 239.193.9.0/24",
    [OTHER] = "PREFIX_IN_USE sibling 64502 239.193.9.0/24", [GRANDCHILD] = "",
  });
  masc_world_run(&world.w, 100);
  ask(&world, 1, "masc.withdraw", P24, 5);
  expect_heard(&world, "what is withdrawn", (const char *const[]){
    [KID2] = "WITHDRAW child 64501 " P24, [TWIN] = "", [SISTER] = "WITHDRAW internal 64501 " P24,
    [OTHER] = "WITHDRAW internal 64501 " P24, [GRANDCHILD] = "WITHDRAW internal 64501 " P24,
  });
  world_clear(&world);
}

/* ---- all at once ----------------------------------------------------------------------------- */

Test(masc_plugin_wire, all_that_concerns_a_peer_in_its_order_11_8)
{
  World world;
  world_new(&world);
  ask(&world, 0, "masc.claim", P16, 100);
  ask(&world, 1, "masc.claim", P24, 100);
  say(&world, KID2, MASC_PREFIX_IN_USE, "239.193.9.0/24");
  say(&world, GRANDCHILD, MASC_NEW_CLAIM, "239.193.4.128/25");
  say(&world, TWIN, MASC_PREFIX_IN_USE, "239.194.0.0/16");
  ask(&world, 1, "masc.claim", "239.193.8.0/24", 10);
  for (Who who = 0; who < N_HANDS; who++)
    connect_hand(&world, who);
  expect_heard(&world, "established again", (const char *const[]){
    [KID2] = "PREFIX_MANAGED internal 64496 " P16 "; PREFIX_IN_USE child 64501 " P24
             "; PREFIX_IN_USE child 64502 239.193.9.0/24; NEW_CLAIM child 64501 239.193.8.0/24",
    [TWIN] = "PREFIX_IN_USE internal 64496 " P16 "; PREFIX_IN_USE sibling 64497 239.194.0.0/16",
    [SISTER] = "PREFIX_MANAGED parent 64496 " P16 "; PREFIX_IN_USE internal 64501 " P24
               "; PREFIX_IN_USE sibling 64502 239.193.9.0/24"
               "; NEW_CLAIM internal 64501 239.193.8.0/24",
    [OTHER] = "PREFIX_MANAGED parent 64496 " P16 "; PREFIX_MANAGED internal 64501 " P24
              "; PREFIX_IN_USE sibling 64502 239.193.9.0/24"
              "; NEW_CLAIM internal 64501 239.193.8.0/24; NEW_CLAIM child 64503 239.193.4.128/25",
    [GRANDCHILD] = "PREFIX_MANAGED internal 64501 " P24 "; NEW_CLAIM child 64503 239.193.4.128/25",
  });
  world_clear(&world);
}

/* ---- who is connected to first --------------------------------------------------------------- */

typedef struct {
  MalRuntime *clock;          /* one for all: hosts' clocks differ */
  int64_t at;                 /* of the first connection */
} Door;

static void on_accept(MalListener *listener, MalStream *stream, MalEndpoint peer, void *data)
{
  Door *door = data;
  (void)listener, (void)peer;
  if (door->at == 0)
    door->at = mal_runtime_monotonic(door->clock);
  mal_stream_close(stream);
}

Test(masc_plugin_wire, parents_and_internal_peers_are_connected_to_first_12_1)
{
  enum { KIDS, SIBLINGS, PARENTS, INTERNALS, N };
  MascWorld w = masc_world(N + 1);
  Door doors[N] = { { 0 } };
  MalListener *listeners[N];
  for (unsigned i = 0; i < N; i++) {
    doors[i].clock = mal_sim_node_runtime(w.host[0].node);
    MalEndpoint local = { .address = mal_address_ipv4(0xc0000202 + i), .port = MASC_PORT };
    listeners[i] = mal_listener_open(mal_sim_node_runtime(w.host[i + 1].node), local, on_accept,
                                     &doors[i], NULL);
    cr_assert_not_null(listeners[i]);
  }
  masc_world_start(&w, 0, MASC("64501", "192.0.2.1") PEER("kid", "2", "child", "64503")
                   PEER("sister", "3", "sibling", "64502") PEER("up", "4", "parent", "64496")
                   PEER("other", "5", "internal", "64501"));
  masc_world_run(&w, 10);
  for (unsigned first = PARENTS; first <= INTERNALS; first++)
    for (unsigned later = KIDS; later <= SIBLINGS; later++) {
      cr_expect_gt(doors[first].at, 0);
      cr_expect_gt(doors[later].at, doors[first].at + MAL_US, "%u, %u", first, later);
    }
  for (unsigned i = 0; i < N; i++)
    mal_listener_close(listeners[i]);
  masc_world_clear(&w);
}

/* ---- deprecated prefixes (4.3) --------------------------------------------------------------- */

/* The daemon's own prefix, as the other node of its domain has it now. */
static void other_says(World *world, const char *prefix, bool deprecated)
{
  MascClaim claim = { .type = MASC_PREFIX_IN_USE,
                      .deprecated = deprecated,
                      .timestamp =
                          (uint32_t)mal_runtime_now(mal_sim_node_runtime(world->w.host[0].node)),
                      .lifetime = 1500,
                      .holdtime = 1500,
                      .domain = whos[OTHER].domain,
                      .node = 0xc0000201 + whos[OTHER].host };
  cr_assert(mal_prefix_parse(prefix, &claim.prefix, NULL));
  send(&world->hands[OTHER],
       &(MascMessage){ .type = MASC_UPDATE, .update = { .claims = &claim, .n_claims = 1 } });
  masc_world_run(&world->w, 5);
}

/* The first of COUNT addresses, which may wait for them. */
static const char *leased(World *world, unsigned count)
{
  g_autofree char *params =
      g_strdup_printf("{\"scope\":\"global\",\"count\":%u,\"lifetime\":100,\"wait\":true}", count);
  masc_world_call(&world->w, 1, "lease.request", params, 20);
  cr_assert_null(world->w.error, "%u: %s", count, world->w.error);
  return json_object_get_string(
      json_object_array_get_idx(masc_at(world->w.result, "addresses"), 0));
}

Test(masc_plugin_wire, what_is_deprecated_is_leased_only_to_who_would_wait_4_3)
{
  World world = { .w = masc_world(6) };
  masc_world_start(&world.w, 0, TOP);
  masc_world_start(&world.w, 1, LEAF);
  masc_world_run(&world.w, 15);
  connect_hand(&world, TWIN);
  connect_hand(&world, OTHER);
  ask(&world, 0, "masc.claim", "239.193.0.0/16", 100);
  ask(&world, 1, "masc.claim", "239.193.4.0/24", 100);
  ask(&world, 1, "masc.claim", "239.193.8.0/24", 100);
  other_says(&world, "239.193.4.0/24", false);
  cr_expect(g_str_has_prefix(leased(&world, 1), "239.193.4."), "the one that ends sooner");
  other_says(&world, "239.193.4.0/24", true);
  for (unsigned i = 0; i < 5; i++)
    cr_expect(g_str_has_prefix(leased(&world, 1), "239.193.8."));
  leased(&world, 300);
  masc_world_run(&world.w, 150);
  cr_expect(g_str_has_prefix(leased(&world, 1), "239.193.8."), "nobody waits any more");
  other_says(&world, "239.193.4.0/24", false);
  cr_expect(g_str_has_prefix(leased(&world, 1), "239.193.4."));
  world_clear(&world);
}
