/* The workload with real zones: each domain is one MASC node, leaves talk to their parent alone,
   top-level domains to four of their siblings, and each message goes as octets. */
#include <string.h>

#include "masc-workload-real.h"
#include "plugins/masc/masc-holes.h"

/* ---- what zones ask for ---------------------------------------------------------------------- */

static void op_send(void *user, MascZone *zone, unsigned peer, const MascClaim *claims, size_t n)
{
  (void)zone;
  real_send(user, peer, claims, n);
}

static uint64_t op_random(void *user, uint64_t low, uint64_t high)
{
  return dice_between(&((Node *)user)->dice, low, high);
}

static void drop_route(Node *node, MalPrefix prefix)
{
  for (guint i = node->routes->len; i-- > 0;) {
    if (masc_prefix_equal(g_array_index(node->routes, MalPrefix, i), prefix))
      g_array_remove_index_fast(node->routes, i);
  }
}

static void op_managed(void *user, MascZone *zone, MalPrefix prefix, MalTime until, bool deprecated)
{
  Node *node = user;
  (void)zone;
  (void)until;
  (void)deprecated;
  drop_route(node, prefix);
  g_array_append_val(node->routes, prefix);
}

static void op_unmanaged(void *user, MascZone *zone, MalPrefix prefix)
{
  (void)zone;
  drop_route(user, prefix);
}

/* Takes PREFIX out of the rooms; one that is larger is split. */
static void cut(Node *node, MalPrefix prefix)
{
  for (guint i = node->rooms->len; i-- > 0;) {
    Room room = g_array_index(node->rooms, Room, i);
    if (!masc_prefix_meets(room.prefix, prefix))
      continue;
    g_array_remove_index_fast(node->rooms, i);
    while (room.prefix.length < prefix.length) {
      MalPrefix half = masc_prefix_widen(prefix, room.prefix.length + 1);
      Room rest = room;
      rest.prefix = masc_prefix_buddy(half);
      g_array_append_val(node->rooms, rest);
      room.prefix = half;
    }
  }
  node->rooms_changed = true;
}

static void op_local(void *user, MascZone *zone, MalPrefix prefix, MalTime until, bool deprecated)
{
  Node *node = user;
  Room room = { prefix, until, deprecated };
  (void)zone;
  cut(node, prefix);
  g_array_append_val(node->rooms, room);
}

static void op_local_ends(void *user, MascZone *zone, MalPrefix prefix)
{
  (void)zone;
  cut(user, prefix);
}

static void op_uses(void *user, MascZone *zone, MalPrefix prefix,
                    void (*func)(MalSpan span, MalTime until, void *data), void *data)
{
  const Demand *demand = &((Node *)user)->demand;
  MalSpan all = mal_span_of_prefix(prefix), part;
  (void)zone;
  for (unsigned i = 0; i < demand->n_blocks; i++) {
    MalAddress first = mal_address_ipv4(demand->blocks[i].unit << 8);
    MalSpan block = { first, { first.value | 255, MAL_IPV4 } };
    if (mal_span_intersect(block, all, &part))
      func(part, demand->blocks[i].until, data);
  }
}

/* Who has no sibling tells nobody; what it would have told counts. */
static void count_alone(const Node *node, MascNote note)
{
  if (node->leaf || node->n_siblings > 0)
    return;
  switch (note) {
  case MASC_NOTE_CLAIMED:
  case MASC_NOTE_WON:
  case MASC_NOTE_RENEWED:
  case MASC_NOTE_GREW:
  case MASC_NOTE_GIVEN_BACK: node->real->score->updates_tld++; break;
  default: break;
  }
}

static void op_note(void *user, MascZone *zone, MascNote note, MalPrefix prefix, MascId domain,
                    uint64_t n)
{
  Node *node = user;
  Score *score = node->real->score;
  (void)zone;
  (void)prefix;
  (void)n;
  if (!score->scoring)
    return;
  count_alone(node, note);
  switch (note) {
  case MASC_NOTE_CLAIMED: score->claims++; break;
  case MASC_NOTE_COLLISION: score->collisions++; break;
  case MASC_NOTE_HINT: score->hints += domain == node->index + 1; break;
  case MASC_NOTE_CLASH: score->clashes++; break;
  default: break;
  }
}

static const MascZoneOps ops = {
  .send = op_send,
  .random = op_random,
  .managed = op_managed,
  .unmanaged = op_unmanaged,
  .local = op_local,
  .local_ends = op_local_ends,
  .uses = op_uses,
  .note = op_note,
};

/* ---- time ------------------------------------------------------------------------------------ */

void real_arm(Node *node)
{
  int64_t due = masc_zone_due(node->zone);
  due = MAX(due, node->real->now);
  if (due >= node->armed || due == MASC_NEVER)
    return;
  node->armed = due;
  agenda_add(&node->real->agenda, due, AT_NODE, node->index, NULL, NULL);
}

/* Clients get what there is; the zone hears of it. */
static void serve(Node *node)
{
  Real *real = node->real;
  MascNow now = real_now(real);
  unsigned queue = node->demand.queue, blocks = node->demand.n_blocks;
  Served served = demand_run(&node->demand, now.wall);
  if (real->score->scoring) {
    real->score->requests += served.requests;
    real->score->waited += served.waited;
  }
  if (served.requests > 0)
    masc_zone_arrived(node->zone, 256 * served.requests, now);
  if (node->demand.queue != queue)
    masc_zone_waiting(node->zone, 256 * (uint64_t)node->demand.queue, now.wall + BLOCK_LIFE, now);
  if (served.requests > 0 || node->demand.n_blocks != blocks)
    masc_zone_replan(node->zone, now);
}

static void run(Node *node)
{
  Real *real = node->real;
  masc_zone_run(node->zone, real_now(real));
  if (!node->rooms_changed)
    return;
  node->rooms_changed = false;
  real->score->cut +=
      demand_set_rooms(&node->demand, (const Room *)(void *)node->rooms->data, node->rooms->len);
  if (node->demand.queue > 0)
    serve(node);
}

static void demand_again(Node *node)
{
  agenda_add(&node->real->agenda, (demand_due(&node->demand) - EPOCH) * MASC_SECOND, AT_DEMAND,
             node->index, NULL, NULL);
}

static double units_of(const Node *node)
{
  double units = 0;
  for (guint i = 0; i < node->routes->len; i++)
    units += (double)(1u << (24 - g_array_index(node->routes, MalPrefix, i).length));
  return units;
}

static void day(Real *real, unsigned number)
{
  g_autofree unsigned *own = g_new0(unsigned, real->n_tlds);
  g_autofree unsigned *below = g_new0(unsigned, real->n_tlds);
  double blocks = 0, claimed = 0;
  for (unsigned i = 0; i < real->n_nodes; i++) {
    const Node *node = &real->nodes[i];
    blocks += node->demand.n_blocks;
    claimed += node->leaf ? 0 : units_of(node);
    *(node->leaf ? &below[node->tld] : &own[i]) += node->routes->len;
    if (number % 50 == 0)
      masc_zone_check(node->zone, real_now(real));
  }
  score_day(real->score, number, blocks, claimed, own, below, real->n_tlds);
  real->score->overlaps += real_overlaps(real);
}

static void happen(Real *real, const Event *event)
{
  /* A day is of nobody, and looks at none. */
  Node *node = &real->nodes[event->who < real->n_nodes ? event->who : 0];
  switch (event->kind) {
  case AT_PACKET: real_receive(real, event->data, event->more); break;
  case AT_NODE:
    if (node->armed != event->time)
      return;
    node->armed = MASC_NEVER;
    run(node);
    real_arm(node);
    break;
  case AT_DEMAND:
    serve(node);
    demand_again(node);
    real_arm(node);
    break;
  default:
    day(real, event->who);
    agenda_add(&real->agenda, real->now + DAY * MASC_SECOND, AT_DAY, event->who + 1, NULL, NULL);
  }
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void add_node(Real *real, uint32_t index, unsigned tld, Dice *dice)
{
  Node *node = &real->nodes[index];
  bool leaf = index >= real->n_tlds;
  MalPrefix pool = { mal_address_ipv4(0xe4000000), 6 };
  *node = (Node){ .real = real, .index = index, .tld = tld, .leaf = leaf, .armed = MASC_NEVER };
  node->dice.state = dice_roll(dice);
  node->rooms = g_array_new(FALSE, FALSE, sizeof(Room));
  node->routes = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  MascZoneConfig config = { .scope = "global",
                            .span = mal_span_of_prefix(pool),
                            .domain = index + 1,
                            .node = index + 1,
                            .top = !leaf,
                            .parent = !leaf,
                            .params = leaf ? &real->leaf_params : &real->tld_params,
                            .ops = &ops,
                            .user = node };
  node->zone = masc_zone_new(&config);
  masc_zone_start(node->zone, real_now(real));
}

static int64_t latency(Real *real, Dice *dice)
{
  return (int64_t)dice_between(dice, MASC_SECOND / 1000,
                               (uint64_t)MAX(real->score->options.latency, MASC_SECOND / 1000));
}

/* A ring with chords. */
static void join_tlds(Real *real, Dice *dice)
{
  static const unsigned steps[NEIGHBOURS / 2] = { 1, 7 };
  for (unsigned s = 0; s < NEIGHBOURS / 2; s++) {
    for (unsigned i = 0; i < real->n_tlds; i++) {
      unsigned k = (i + steps[s]) % real->n_tlds;
      if (k == i || (real->n_tlds == 2 && i == 1) || (s > 0 && real->n_tlds <= 2 * steps[s]))
        continue;
      real_link(real, i, MASC_SIBLING, k, MASC_TLD_ID, latency(real, dice));
      real->nodes[i].n_siblings++;
      real->nodes[k].n_siblings++;
    }
  }
}

static void set_up(Real *real)
{
  const Options *options = &real->score->options;
  Dice dice = { options->seed }, links = { ~options->seed };
  masc_params_init(&real->leaf_params);
  real->leaf_params.prefix_lifetime = 36 * DAY;
  real->tld_params = real->leaf_params;
  real->tld_params.prefix_lifetime = 42 * DAY;
  for (unsigned i = 0; i < real->n_tlds; i++)
    add_node(real, i, i, &dice);
  join_tlds(real, &links);
  uint32_t next = real->n_tlds;
  for (unsigned i = 0; i < real->n_tlds; i++) {
    for (unsigned k = tree_children(options, i); k > 0; k--, next++) {
      Node *leaf = &real->nodes[next];
      add_node(real, next, i, &dice);
      demand_init(&leaf->demand, dice_roll(&dice), tree_gap(options, next - real->n_tlds));
      real_link(real, next, MASC_CHILD, i, 0, latency(real, &links));
      demand_again(leaf);
    }
  }
  for (unsigned i = 0; i < real->n_nodes; i++)
    real_arm(&real->nodes[i]);
  agenda_add(&real->agenda, DAY * MASC_SECOND, AT_DAY, 1, NULL, NULL);
}

void real_run(Score *score)
{
  Real real = { .score = score, .n_tlds = score->options.tlds };
  real.n_nodes = real.n_tlds + score->n_leaves;
  real.nodes = g_new0(Node, real.n_nodes);
  set_up(&real);
  int64_t end = (int64_t)score->options.days * DAY * MASC_SECOND;
  for (Event event; agenda_next(&real.agenda, &event);) {
    if (event.time <= end) {
      real.now = event.time;
      score->scoring = real.now >= (int64_t)score->options.from * DAY * MASC_SECOND;
      happen(&real, &event);
    } else if (event.kind == AT_PACKET) {
      real_packet_unref(event.more);
    }
  }
  for (unsigned i = 0; i < real.n_nodes; i++) {
    masc_zone_free(real.nodes[i].zone);
    demand_clear(&real.nodes[i].demand);
    g_array_unref(real.nodes[i].rooms);
    g_array_unref(real.nodes[i].routes);
  }
  real_links_free(&real);
  agenda_clear(&real.agenda);
  g_free(real.nodes);
}
