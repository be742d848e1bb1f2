/* Making, running and ending a world. */
#include "aap-world-private.h"

#include <stdarg.h>
#include <string.h>

#define LOOK_EVERY SEC(10)

/* ---- what all parts use ---------------------------------------------------------------------- */

void world_fail(AapWorld *w, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  w->over = true;
  if (w->result == NULL)
    g_error("%s", text);
  if (w->result->failure[0] == '\0')
    g_snprintf(w->result->failure, sizeof w->result->failure, "%s (at %.3f s)", text,
               (double)w->now / 1e6);
}

void world_count(AapWorld *w, WorldCount what, uint64_t n)
{
  if (w->result != NULL)
    w->result->counts[what] += n;
}

void world_trace(AapWorld *w, const char *format, ...)
{
  const char *path = g_getenv("MAL_SIM_TRACE");
  if (path == NULL)
    return;
  FILE *file = fopen(path, w->order == 0 ? "w" : "a");
  va_list args;
  if (file == NULL)
    return;
  fprintf(file, "%12.6f ", (double)w->now / 1e6);
  va_start(args, format);
  vfprintf(file, format, args);
  va_end(args);
  fputc('\n', file);
  fclose(file);
}

/* Nobody's monotonic clock begins at the same value. */
AapNow world_clock(const AapNode *node)
{
  int64_t now = node->world->now;
  return (AapNow){ now + SEC(1000) * (1 + node->index),
                   EPOCH + (MalTime)((now + SEC(86400) + node->skew) / AAP_US) - 86400 };
}

MalAddress world_at(const AapWorld *w, uint64_t offset)
{
  MalAddress address = w->scope.first;
  address.value += offset;
  return address;
}

uint64_t world_offset(const AapWorld *w, MalAddress address)
{
  return (uint64_t)(address.value - w->scope.first.value);
}

MalSpan world_span(const AapWorld *w, uint64_t first, uint64_t last)
{
  return (MalSpan){ world_at(w, first), world_at(w, last) };
}

/* ---- the wheel: a heap by time, then order --------------------------------------------------- */

static bool is_before(const Event *a, const Event *b)
{
  return a->at < b->at || (a->at == b->at && a->order < b->order);
}

Event *world_push(AapWorld *w, EventKind kind, int64_t at, unsigned node)
{
  Event event = { .at = MAX(at, w->now), .order = w->order++, .kind = kind, .node = node };
  event.life = node < NODES ? w->node[node].life : 0;
  g_array_append_val(w->heap, event);
  Event *heap = (Event *)(void *)w->heap->data;
  guint i = w->heap->len - 1;
  while (i > 0 && is_before(&event, &heap[(i - 1) / 2])) {
    heap[i] = heap[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  heap[i] = event;
  return &heap[i];
}

static Event pop(AapWorld *w)
{
  Event *heap = (Event *)(void *)w->heap->data, first = heap[0];
  guint n = w->heap->len - 1;
  Event last = heap[n];
  guint i = 0;
  g_array_set_size(w->heap, n);
  for (guint child = 1; child < n; child = 2 * i + 1) {
    if (child + 1 < n && is_before(&heap[child + 1], &heap[child]))
      child++;
    if (!is_before(&heap[child], &last))
      break;
    heap[i] = heap[child];
    i = child;
  }
  if (n > 0)
    heap[i] = last;
  return first;
}

static void due(AapWorld *w, const Event *event)
{
  AapNode *node = &w->node[event->node];
  if (event->at != node->scheduled)
    return;
  node->scheduled = AAP_NEVER;
  if (node->zone != NULL) {
    aap_zone_run(node->zone, world_clock(node));
    world_settle(node);
  } else if (node->coordinator != NULL) {
    aap_coordinator_run(node->coordinator, world_clock(node));
    world_settle_coordinator(node);
  }
}

static void of_node(AapWorld *w, const Event *event)
{
  AapNode *node = &w->node[event->node];
  if (event->kind == EVENT_CLIENT) {
    world_client(node);
    return;
  }
  if (event->kind == EVENT_START) {
    if (!node->up && node->is_coordinator)
      world_coordinator_start(node);
    else if (!node->up)
      world_server_start(node);
    return;
  }
  if (event->kind == EVENT_LEASE_END) {
    world_lease_end(node, event->a & 0xffffffff, (uint32_t)(event->a >> 32));
    return;
  }
  if (event->life != node->life)
    return;
  if (event->kind == EVENT_DUE)
    due(w, event);
  else if (event->kind == EVENT_DATAGRAM)
    world_datagram(w, event);
  else if (event->kind == EVENT_DISK)
    world_disk_done(node);
  else
    world_news(node);
}

static void step(AapWorld *w)
{
  Event event = pop(w);
  w->now = MAX(w->now, event.at);
  if (w->result != NULL) {
    w->result->events++;
    w->result->ended = w->now;
    w->result->hash = (w->result->hash ^ (uint64_t)event.at ^ (uint64_t)event.kind << 56 ^
                       (uint64_t)event.node << 48) * 0x100000001b3u;
  }
  if (event.kind == EVENT_ITEM)
    world_item(w, (guint)event.a);
  else if (event.kind == EVENT_MEND)
    world_mend(w, (guint)event.a);
  else if (event.kind == EVENT_CHECK)
    world_look(w);
  else
    of_node(w, &event);
  if (event.kind == EVENT_CHECK)
    world_push(w, EVENT_CHECK, w->now + LOOK_EVERY, NODES);
  g_clear_pointer(&event.octets, g_bytes_unref);
}

void mal_aap_world_run(AapWorld *w, int64_t until)
{
  while (!w->over && w->heap->len > 0 && g_array_index(w->heap, Event, 0).at <= until)
    step(w);
  w->now = MAX(w->now, until);
}

/* ---- making ---------------------------------------------------------------------------------- */

static AapParams draft_params(void)
{
  return (AapParams){
    .startup_wait = SEC(150),
    .announce_wait = SEC(10),
    .resend_wait = SEC(1),
    .repeat_interval = SEC(30),
    .asa_interval = SEC(30),
    .asrp_interval = SEC(30),
    .end_tolerance_s = 10,
    .asa_horizon_s = 150,
    .asa_max_horizon_s = 86400,
    .delete_grace_s = 180,
    .reuse_guard_s = 300,
    .partition_cover_s = 3600,
    .own_lifetime_s = 86400,
    .claim_memory = SEC(10),
    .prealloc_recent = SEC(90),
    .echo_window = SEC(90),
    .claim_attempts = 16,
    .preallocate = 256,
    .block = 16,
    .max_entries = 100000,
    .report = true,
  };
}

static void owned_cleared(AapNode *n)
{
  aap_intervals_clear(n->owned);
  g_array_set_size(n->suspended, 0);
}

static void node_init(AapWorld *w, unsigned index)
{
  AapNode *n = &w->node[index];
  size_t size = w->addresses + 256;
  *n = (AapNode){ .world = w, .index = index, .is_coordinator = index >= SERVERS };
  n->absent = true;
  n->random.state = w->random.state ^ (0x1234567u * (index + 1));
  n->clients.state = w->random.state ^ (0x7654321u * (index + 1));
  n->endpoint = (MalEndpoint){ mal_address_ipv4(0xc0000201 + index), AAP_PORT, 0 };
  n->params = w->params;
  n->scheduled = n->takes_part = AAP_NEVER;
  n->disk_us = 5000;
  n->owned = aap_intervals_new(sizeof(Owned), NULL);
  n->durable = aap_intervals_new(sizeof(MalTime), NULL);
  n->foreign = aap_intervals_new(sizeof(Foreign), NULL);
  n->suspended = aap_spans_new();
  n->adopted = aap_spans_new();
  n->excluded = aap_spans_new();
  n->available = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  n->tickets = g_array_new(FALSE, FALSE, sizeof(Ticket));
  n->disk = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
  g_queue_init(&n->writes);
  n->mine = g_malloc0(size);
  n->leased = g_malloc0(size);
  n->lease = g_new0(uint32_t, size);
  n->burst = 1;
}

static void node_clear(AapNode *n)
{
  aap_zone_free(n->zone);
  aap_coordinator_free(n->coordinator);
  aap_sequence_free(n->sequence);
  owned_cleared(n);
  aap_intervals_free(n->owned);
  aap_intervals_free(n->durable);
  aap_intervals_free(n->foreign);
  g_array_unref(n->suspended);
  g_array_unref(n->adopted);
  g_array_unref(n->excluded);
  g_array_unref(n->available);
  g_array_unref(n->tickets);
  g_clear_pointer(&n->announced, g_array_unref);
  g_hash_table_unref(n->disk);
  g_queue_clear_full(&n->writes, g_free);
  g_free(n->asa);
  g_free(n->mine);
  g_free(n->leased);
  g_free(n->lease);
}

/* The last 256 addresses of the scope are nobody's (RFC 2365 section 9). */
static void make_scope(AapWorld *w)
{
  MalAddress first = mal_address_none();
  if (!mal_address_parse(w->ipv6 ? "ff15::db8:8000:0" : "239.192.0.0", &first, NULL))
    g_assert_not_reached();
  w->scope.first = first;
  w->scope = world_span(w, 0, w->addresses + 255);
  AapExtent all = { world_span(w, 0, w->addresses - 1), MAL_FOREVER };
  g_array_append_val(w->ranges, all);
}

static AapWorld *make(uint64_t seed, bool large, bool ipv6, unsigned addresses)
{
  AapWorld *w = g_new0(AapWorld, 1);
  w->random.state = seed * 0x9e3779b97f4a7c15u + 77;
  w->large = large;
  w->ipv6 = ipv6;
  w->addresses = addresses;
  w->heap = g_array_new(FALSE, FALSE, sizeof(Event));
  w->ranges = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  w->scratch = g_new(AapScratch, 1);
  w->params = draft_params();
  w->delay = 1000;
  w->jitter = 2000;
  w->owners = g_malloc0(addresses + 256);
  w->since = g_new0(int64_t, addresses + 256);
  make_scope(w);
  for (unsigned i = 0; i < NODES; i++)
    node_init(w, i);
  world_push(w, EVENT_CHECK, LOOK_EVERY, NODES);
  return w;
}

void mal_aap_world_free(AapWorld *w)
{
  for (guint i = 0; i < w->heap->len; i++)
    g_clear_pointer(&g_array_index(w->heap, Event, i).octets, g_bytes_unref);
  for (unsigned i = 0; i < NODES; i++)
    node_clear(&w->node[i]);
  g_array_unref(w->heap);
  g_array_unref(w->ranges);
  g_free(w->scratch);
  g_free(w->owners);
  g_free(w->since);
  g_free(w);
}

/* ---- by hand --------------------------------------------------------------------------------- */

AapWorld *mal_aap_world_new(const MalAapWorldConfig *config)
{
  AapWorld *w = make(config->seed, config->large, config->ipv6, config->addresses);
  w->params.preallocate = config->preallocate;
  w->params.block = config->block;
  w->params.own_lifetime_s = config->own_lifetime_s;
  w->n_servers = config->servers;
  w->n_coordinators = config->with_coordinators ? COORDINATORS : 0;
  for (unsigned i = 0; i < NODES; i++) {
    bool there = i < w->n_servers || (i >= SERVERS && i < SERVERS + w->n_coordinators);
    w->node[i].params = w->params;
    w->node[i].disk_us = config->disk_us;
    w->node[i].absent = !there;
    if (there)
      world_push(w, EVENT_START, (int64_t)between(&w->random, 0, AAP_US), i);
  }
  return w;
}

void mal_aap_world_load(AapWorld *w, unsigned server, double rate, unsigned burst,
                        int64_t lifetime_s)
{
  AapNode *s = &w->node[server];
  bool idle = s->rate <= 0;
  s->rate = rate;
  s->burst = burst;
  s->lifetime_s = lifetime_s;
  if (idle && rate > 0)
    world_push(w, EVENT_CLIENT, w->now + 1, server);
}

void mal_aap_world_ask(AapWorld *w, unsigned server, int64_t lifetime_s)
{
  world_ask(&w->node[server], lifetime_s);
}

MalAapWorldFigures mal_aap_world_figures(const AapWorld *w)
{
  MalAapWorldFigures f = w->figures;
  f.leased = f.owned = f.blocks = 0;
  for (unsigned i = 0; i < w->n_servers; i++) {
    const AapNode *s = &w->node[i];
    f.leased += s->n_leased;
    f.owned += (uint64_t)aap_intervals_size(s->owned);
    f.blocks += g_hash_table_size(s->disk);
  }
  return f;
}

/* ---- from a plan ----------------------------------------------------------------------------- */

static void populate(AapWorld *w)
{
  const int64_t *set = w->plan->settings;
  w->params.preallocate = (uint32_t)set[SET_PREALLOCATE];
  w->params.block = (uint32_t)set[SET_BLOCK];
  w->params.own_lifetime_s = set[SET_LIFETIME];
  w->n_servers = (unsigned)set[SET_SERVERS];
  w->n_coordinators = w->large ? COORDINATORS : 0;
  for (unsigned i = 0; i < NODES; i++)
    w->node[i].params = w->params;
  for (guint i = 0; i < w->plan->items->len; i++) {
    const MalWorldItem *item = mal_world_plan_item(w->plan, i);
    if (!item->off && item->at < w->plan->until)
      world_push(w, EVENT_ITEM, item->at, NODES)->a = i;
  }
  world_count(w, COUNT_CALM, set[SET_CALM] != 0);
  world_count(w, COUNT_LARGE, w->large);
  world_count(w, COUNT_IPV6, w->ipv6);
  world_count(w, COUNT_STORM, set[SET_STORM] != 0);
}

void world_run(const MalWorldPlan *plan, MalWorldResult *result)
{
  const int64_t *set = plan->settings;
  AapWorld *w =
      make(plan->seed, set[SET_LARGE] != 0, set[SET_IPV6] != 0, (unsigned)set[SET_ADDRESSES]);
  w->plan = plan;
  w->result = result;
  w->deaf = plan->plant == MAL_AAP_PLANT_DEAF;
  populate(w);
  mal_aap_world_run(w, plan->until);
  if (!w->over)
    world_heal(w);
  mal_aap_world_run(w, plan->until + QUIET);
  if (!w->over)
    world_check_end(w);
  mal_aap_world_free(w);
}
