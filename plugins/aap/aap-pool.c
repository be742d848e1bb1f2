/* How much to keep: meeting what is wanted, the size of the pool, and the life of own allocations
   by their use (draft-ietf-malloc-aap-04 2.2, 3.2.5.1, 3.2.6.1, 3.2.8). */
#include "aap-pool.h"

#include "aap-seq.h"
#include "aap-time.h"

#include <math.h>
#include <string.h>

#define HOUR (3600 * AAP_US)
#define LOOK_S 10     /* between looks at the pool and the blocks, at most */
#define IDLE_LOOKS 30 /* so many looks without a lease, and a block may go back */
#define OFFSET_S 600  /* own ends differ by so much from server to server (3.2.8) */
#define PEER_SILENCE (300 * AAP_US)
#define PEERS_MOST 1024
#define SPANS_MOST 1024 /* wanted while it listens; of more it is said that they can't be had */
#define UNUSED_MOST 256 /* more free addresses than this don't help who finds none among them */
#define CHUNKS 4        /* the pool is cut into so many: a collision costs one of them */

static GHashTable *new_idle(void)
{
  return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

AapPool *aap_pool_new(AapZone *zone)
{
  AapPool *pool = g_new0(AapPool, 1);
  pool->sequence = zone->sequence;
  pool->preallocs = g_ptr_array_new_with_free_func(aap_prealloc_free);
  pool->peers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  pool->idle = new_idle();
  pool->wanted_spans = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  pool->look = AAP_NEVER;
  return pool;
}

void aap_pool_free(AapPool *pool)
{
  for (guint i = 0; i < pool->preallocs->len; i++)
    aap_sequence_let_go(pool->sequence,
                        ((const AapPrealloc *)g_ptr_array_index(pool->preallocs, i))->rseq);
  g_ptr_array_unref(pool->preallocs);
  g_hash_table_unref(pool->peers);
  g_hash_table_unref(pool->idle);
  g_array_unref(pool->wanted_spans);
  g_free(pool);
}

/* ---- choosing -------------------------------------------------------------------------------- */

static uint64_t draw(void *user, uint64_t low, uint64_t high)
{
  AapZone *zone = user;
  return zone->ops->random(zone->user, low, high);
}

static void add_span(MalSpan span, MalTime end, void *data)
{
  (void)end;
  aap_spans_add(data, span);
}

GArray *aap_pool_choose(AapZone *zone, uint64_t count, MalTime end, AapRank worst)
{
  GArray *spans = aap_spans_new();
  g_autoptr(GArray) ours = aap_zone_ours(zone), beside = aap_spans_new();
  aap_owns_each(zone, zone->span, false, add_span, beside);
  AapChoice choice = { .record = zone->record,
                       .available = (const AapExtent *)(void *)zone->available->data,
                       .n_available = zone->available->len,
                       .excluded = zone->excluded,
                       .ours = ours,
                       .beside = beside,
                       .end = end,
                       .worst = worst,
                       .random = draw,
                       .user = zone };
  aap_choose(&choice, count, zone->now, spans);
  return spans;
}

MalTime aap_pool_end_for(AapZone *zone, MalSpan span, MalTime end)
{
  MalTime usual = mal_time_add(zone->now.wall, zone->params->own_lifetime_s);
  return MIN(MAX(end, usual), aap_record_available_until(zone->record, span));
}

/* ---- demand ---------------------------------------------------------------------------------- */

static double hour_now(const AapZone *zone)
{
  const AapPool *pool = zone->pool;
  return pool->hour * exp(-(double)(zone->now.mono - pool->hour_at) / (double)HOUR);
}

void aap_pool_taken(AapZone *zone, uint64_t count)
{
  zone->pool->hour = hour_now(zone) + (double)count;
  zone->pool->hour_at = zone->now.mono;
}

static gboolean is_silent(gpointer key, gpointer value, gpointer data)
{
  (void)key;
  return *(const int64_t *)value + PEER_SILENCE < *(const int64_t *)data;
}

static void note_peer(AapZone *zone, MalEndpoint peer)
{
  char text[MAL_ENDPOINT_STRLEN];
  int64_t *heard;
  mal_endpoint_format(peer, text);
  if ((heard = g_hash_table_lookup(zone->pool->peers, text)) != NULL)
    *heard = zone->now.mono;
  else if (g_hash_table_size(zone->pool->peers) < PEERS_MOST)
    g_hash_table_insert(zone->pool->peers, g_strdup(text),
                        g_memdup2(&zone->now.mono, sizeof zone->now.mono));
}

static uint64_t own_addresses(const AapZone *zone)
{
  AapZoneUsage usage = { 0 };
  aap_owns_usage(zone, &usage);
  return usage.own;
}

/* What nobody has: never more than a fair share of it is kept in the pool, so that the pools give
   way as the space fills. */
static uint64_t left_over(const AapZone *zone)
{
  MalU128 available = 0;
  for (guint i = 0; i < zone->available->len; i++) {
    const AapExtent *extent = &g_array_index(zone->available, AapExtent, i);
    available += aap_time_ended(extent->end, zone->now.wall) ? 0 : mal_span_size(extent->span);
  }
  MalU128 taken = (MalU128)aap_record_size(zone->record).foreign_addresses + own_addresses(zone);
  return (uint64_t)MIN(available - MIN(available, taken), (MalU128)UINT64_MAX);
}

static uint64_t target(const AapZone *zone)
{
  const AapParams *params = zone->params;
  if (params->preallocate == 0)
    return 0;
  double demand = hour_now(zone) * (double)params->partition_cover_s / 3600;
  uint64_t wish = MAX((uint64_t)params->preallocate, (uint64_t)MIN(demand, 1e15));
  uint64_t others = g_hash_table_size(zone->pool->peers);
  return MIN(wish, left_over(zone) / (2 * (others + 1)));
}

/* ---- the size of the pool -------------------------------------------------------------------- */

static void shrink(AapZone *zone, uint64_t surplus)
{
  GPtrArray *preallocs = zone->pool->preallocs;
  for (guint i = preallocs->len; i-- > 0;) {
    AapPrealloc *p = g_ptr_array_index(preallocs, i);
    uint64_t n = (uint64_t)aap_spans_size(p->spans);
    if (n > surplus)
      continue;
    surplus -= n;
    aap_prealloc_withdraw(zone, p);
  }
}

static void adjust(AapZone *zone)
{
  uint64_t established, tentative, wish = target(zone);
  aap_prealloc_sizes(zone, &established, &tentative);
  uint64_t have = established + tentative;
  if (!aap_zone_may_allocate(zone))
    return;
  if (have > 2 * wish)
    shrink(zone, have - wish);
  uint64_t chunk = MAX(wish / CHUNKS, MIN(wish, (uint64_t)zone->params->block));
  bool low = have < wish - wish / CHUNKS;
  for (unsigned n = 0; low && have < wish && n < 2 * CHUNKS; n++) {
    uint64_t got = aap_prealloc_begin(zone, MIN(chunk, wish - have));
    if (got == 0)
      break;
    have += got;
  }
}

/* ---- own blocks by their use ----------------------------------------------------------------- */

typedef struct {
  AapZone *zone;
  GArray *blocks; /* AapOwnBlock */
} Blocks;

static void add_block(const AapOwnBlock *block, void *data)
{
  g_array_append_val(((Blocks *)data)->blocks, *block);
}

/* A copy: what is done to one changes the list. */
static GArray *blocks_of(AapZone *zone)
{
  Blocks blocks = { zone, g_array_new(FALSE, FALSE, sizeof(AapOwnBlock)) };
  aap_owns_each_block(zone, add_block, &blocks);
  return blocks.blocks;
}

static uint64_t free_in_all(AapZone *zone, const GArray *blocks)
{
  uint64_t sum = 0, leased, more;
  for (guint i = 0; i < blocks->len; i++) {
    const AapOwnBlock *block = &g_array_index(blocks, AapOwnBlock, i);
    if (block->ending || block->writing)
      continue;
    zone->ops->use(zone->user, zone, block->span, &leased, &more);
    sum += more;
  }
  return sum;
}

/* How many looks it has been without a lease; NOW gets what this look adds. */
static unsigned idle_looks(AapZone *zone, const AapOwnBlock *block, uint64_t leased,
                           GHashTable *now)
{
  char text[MAL_ADDRESS_STRLEN];
  mal_address_format(block->span.first, text);
  unsigned looks = GPOINTER_TO_UINT(g_hash_table_lookup(zone->pool->idle, text));
  if (leased > 0)
    return 0;
  g_hash_table_replace(now, g_strdup(text), GUINT_TO_POINTER(looks + 1));
  return looks;
}

/* In use, or still needed: extended before its end. Idle and more than is needed: given back, or
   left to its end. All that are extended in one look get the same end, so that they fit few ranges
   of AIU. */
static void look_at_blocks(AapZone *zone)
{
  g_autoptr(GArray) blocks = blocks_of(zone);
  g_autoptr(GHashTable) idle = new_idle();
  uint64_t reserve = MAX((uint64_t)zone->params->block, (uint64_t)MIN(hour_now(zone) / 4, 1e15));
  uint64_t spare = free_in_all(zone, blocks), leased, more;
  int64_t lifetime = zone->params->own_lifetime_s;
  MalTime end = mal_time_add(
      zone->now.wall,
      lifetime + (int64_t)zone->ops->random(zone->user, 0, (uint64_t)MIN(OFFSET_S, lifetime / 4)));
  for (guint i = 0; i < blocks->len; i++) {
    const AapOwnBlock *block = &g_array_index(blocks, AapOwnBlock, i);
    if (block->ending || block->writing)
      continue;
    zone->ops->use(zone->user, zone, block->span, &leased, &more);
    unsigned looks = idle_looks(zone, block, leased, idle);
    bool needed = leased > 0 || spare < reserve + more;
    if (!needed && looks >= IDLE_LOOKS) {
      spare -= more;
      aap_owns_give_back(zone, block->span.first);
    } else if (needed && block->end - zone->now.wall < lifetime / 2) {
      MalTime new_end = MIN(end, aap_record_available_until(zone->record, block->span));
      if (new_end > block->end)
        aap_owns_set_end(zone, block->span.first, new_end);
    }
  }
  g_hash_table_unref(zone->pool->idle);
  zone->pool->idle = g_steal_pointer(&idle);
}

/* ---- what is wanted -------------------------------------------------------------------------- */

/* CLAIM_FAILED: there is too little space. */
static void fail(AapZone *zone, uint64_t count, MalTime end, AapNote why)
{
  aap_zone_note(zone, AAP_NOTE_CLAIM_FAILED, (MalSpan){ 0 }, (MalEndpoint){ 0 }, count);
  aap_space_failed(zone, count, end);
  zone->ops->failed(zone->user, zone, (MalSpan){ 0 }, count, end, why);
}

/* Free addresses of ours until END, extended where that is what they lack; what is on its way
   counts, too. */
static uint64_t gather(AapZone *zone, MalTime end, uint64_t *unused)
{
  g_autoptr(GArray) blocks = blocks_of(zone);
  uint64_t coming = aap_claims_pending(zone), leased, more;
  *unused = 0;
  for (guint i = 0; i < blocks->len; i++) {
    const AapOwnBlock *block = &g_array_index(blocks, AapOwnBlock, i);
    if (block->writing) {
      coming += aap_zone_saturated(mal_span_size(block->span));
      continue;
    }
    if (block->ending || block->suspended)
      continue;
    zone->ops->use(zone->user, zone, block->span, &leased, &more);
    if (more == 0)
      continue;
    MalTime longest = aap_pool_end_for(zone, block->span, end);
    if (block->end >= end) {
      *unused += more;
    } else if (longest >= end) {
      aap_owns_set_end(zone, block->span.first, longest);
      coming += more;
    }
  }
  return coming;
}

static void acquire(AapZone *zone)
{
  AapPool *pool = zone->pool;
  uint64_t count = pool->wanted, unused;
  MalTime end = pool->wanted_end;
  if (count == 0 || zone->listening)
    return;
  pool->wanted = 0; /* who still waits when something came says so again */
  uint64_t coming = gather(zone, end, &unused);
  if (unused > MAX(UNUSED_MOST, 4 * count)) { /* no more space would help */
    fail(zone, count, end, AAP_NOTE_CLAIM_EXHAUSTED);
    return;
  }
  if (coming >= count)
    return;
  uint64_t missing = count - coming, block = zone->params->block;
  uint64_t got = aap_zone_may_allocate(zone) ? aap_pool_take(zone, MAX(missing, block), end) : 0;
  aap_pool_taken(zone, MAX(got, missing));
  while (got < missing && aap_zone_may_allocate(zone)) {
    uint64_t more = aap_claims_begin(zone, MAX(missing - got, block), end, (MalSpan){ 0 });
    if (more == 0)
      break;
    got += more;
  }
  if (coming + got == 0)
    fail(zone, count, end, AAP_NOTE_CLAIM_FAILED);
  else if (got < missing)
    aap_space_failed(zone, missing - got, end);
  adjust(zone);
}

void aap_pool_want(AapZone *zone, uint64_t count, MalTime end)
{
  AapPool *pool = zone->pool;
  pool->wanted = count;
  pool->wanted_end = end;
  acquire(zone);
}

bool aap_pool_is_acquiring(const AapZone *zone)
{
  return zone->pool->wanted > 0; /* while it listens: afterwards it is acted upon at once */
}

/* A claim that was lost is made good by another where there is one to make. */
void aap_pool_claim_ended(AapZone *zone, uint64_t got, uint64_t missing, MalTime end, AapNote why)
{
  (void)got;
  if (missing > 0 && why == AAP_NOTE_CLAIM_EXHAUSTED)
    /* no ANA: there was space */
    zone->ops->failed(zone->user, zone, (MalSpan){ 0 }, missing, end, why);
  else if (missing > 0)
    aap_pool_want(zone, missing, end);
}

/* ---- named addresses ------------------------------------------------------------------------- */

static void see_rank(MalSpan span, AapRank rank, void *data)
{
  (void)span;
  *(bool *)data = *(bool *)data && rank != AAP_RANK_TAKEN;
}

static bool could_be_ours(AapZone *zone, MalSpan span, MalTime end)
{
  bool free = !aap_spans_overlap(zone->excluded, span) &&
              aap_record_available_until(zone->record, span) >= end;
  aap_record_ranks(zone->record, span, zone->now, see_rank, &free);
  return free;
}

/* What of SPAN is in own blocks is extended; the parts that aren't ours are asked for. */
static bool want_parts(AapZone *zone, MalSpan span, MalTime end)
{
  g_autoptr(GArray) blocks = blocks_of(zone), missing = aap_spans_new(), claimed = aap_spans_new();
  aap_claims_spans(zone, claimed);
  aap_spans_add(missing, span);
  for (guint i = 0; i < blocks->len; i++) {
    const AapOwnBlock *block = &g_array_index(blocks, AapOwnBlock, i);
    if (!mal_span_overlaps(block->span, span))
      continue;
    aap_spans_subtract(missing, block->span);
    MalTime longest = aap_pool_end_for(zone, block->span, end);
    if (block->ending || longest < end)
      return false;
    if (!block->writing && block->end < end)
      aap_owns_set_end(zone, block->span.first, longest);
  }
  for (guint i = 0; i < missing->len; i++) {
    MalSpan part = g_array_index(missing, MalSpan, i);
    if (aap_pool_take_span(zone, part, end))
      continue;
    if (aap_spans_overlap(claimed, part))
      continue;
    /* What is preallocated, but not all of it yet, isn't waited for: a claim is as fast. */
    if (!could_be_ours(zone, part, end))
      return false;
    aap_prealloc_release(zone, part);
    aap_claims_begin(zone, 0, end, part);
  }
  return true;
}

void aap_pool_want_span(AapZone *zone, MalSpan span, MalTime end)
{
  if (zone->listening && zone->pool->wanted_spans->len < SPANS_MOST) {
    AapExtent extent = { span, end };
    g_array_append_val(zone->pool->wanted_spans, extent);
    return;
  }
  if (!aap_zone_may_allocate(zone) || !want_parts(zone, span, end))
    zone->ops->failed(zone->user, zone, span, aap_zone_saturated(mal_span_size(span)), end,
                      AAP_NOTE_CLAIM_FAILED);
}

/* ---- events ---------------------------------------------------------------------------------- */

void aap_pool_demand_changed(AapZone *zone)
{
  g_autoptr(GArray) spans = zone->pool->wanted_spans;
  zone->pool->wanted_spans = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (guint i = 0; i < spans->len; i++)
    aap_pool_want_span(zone, g_array_index(spans, AapExtent, i).span,
                       g_array_index(spans, AapExtent, i).end);
  if (zone->listening)
    return;
  acquire(zone);
  adjust(zone);
  zone->pool->look = zone->now.mono + LOOK_S * AAP_US;
}

int64_t aap_pool_due(const AapPool *pool)
{
  return MIN(pool->look, aap_prealloc_due(pool));
}

/* Looks come as often as the shortest of the lifetimes needs. */
static int64_t look_interval(const AapZone *zone)
{
  return MIN(zone->params->own_lifetime_s * AAP_US / 16, LOOK_S * AAP_US);
}

void aap_pool_run(AapZone *zone)
{
  AapPool *pool = zone->pool;
  aap_prealloc_run(zone);
  if (pool->look > zone->now.mono)
    return;
  g_hash_table_foreach_remove(pool->peers, is_silent, &zone->now.mono);
  look_at_blocks(zone);
  adjust(zone);
  pool->look = zone->now.mono + look_interval(zone);
}

void aap_pool_heard(AapZone *zone, MalEndpoint peer, AapType type, const GArray *ranges)
{
  (void)type;
  note_peer(zone, peer);
  aap_prealloc_heard(zone, ranges);
}

void aap_pool_available_changed(AapZone *zone)
{
  aap_prealloc_available_changed(zone);
  if (!zone->listening) {
    acquire(zone);
    adjust(zone);
  }
}

void aap_pool_usage(const AapZone *zone, AapZoneUsage *usage)
{
  aap_prealloc_sizes(zone, &usage->pool, &usage->pool_tentative);
  usage->pool_target = target(zone);
  usage->demand = hour_now(zone);
}
