#include "tests/unit/aap-bed.h"

#include "plugins/aap/aap-intervals.h"
#include "plugins/aap/aap-time.h"
#include "plugins/aap/aap-zone-private.h"

#include <criterion/criterion.h>
#include <string.h>

/* A datagram on its way to a node, or (octets NULL) a confirmation of ops->keep. */
typedef struct {
  int64_t at;
  uint64_t order;
  unsigned to;
  AapZone *zone; /* the one that it was meant for: one that died gets nothing */
  MalEndpoint from;
  uint8_t *octets;
  size_t length;
  MalAddress first;
  bool ok;
} Flight;

static void flight_free(gpointer data)
{
  Flight *flight = data;
  g_free(flight->octets);
  g_free(flight);
}

static uint64_t draw(AapBed *bed)
{
  uint64_t z = bed->seed += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

static uint64_t between(AapBed *bed, uint64_t low, uint64_t high)
{
  return high - low == UINT64_MAX ? draw(bed) : low + draw(bed) % (high - low + 1);
}

MalSpan aap_bed_span(const char *text)
{
  MalSpan span = { 0 };
  g_autoptr(GError) error = NULL;
  cr_assert(mal_span_parse(text, &span, &error), "%s", error ? error->message : "");
  return span;
}

AapNow aap_bed_clock(const AapNode *node)
{
  return (AapNow){ node->bed->now, AAP_BED_EPOCH + node->bed->now / AAP_US + node->skew_s };
}

/* ---- what a zone asks for -------------------------------------------------------------------- */

static void launch(AapBed *bed, Flight *flight)
{
  flight->order = draw(bed);
  g_ptr_array_add(bed->flying, flight);
}

static void note_sent(AapNode *node, const uint8_t *octets, size_t length)
{
  AapBed *bed = node->bed;
  AapSent sent = {
    .at = bed->now, .from = node->index, .octets = g_memdup2(octets, length), .length = length
  };
  cr_assert(aap_decode(sent.octets, length, bed->scratch, &sent.msg, NULL),
            "sends what it would refuse");
  sent.msg.ranges = g_memdup2(sent.msg.ranges, sent.msg.n_ranges * sizeof(AapRange));
  sent.msg.requests = g_memdup2(sent.msg.requests, sent.msg.n_requests * sizeof(AapRequest));
  aap_describe(&sent.msg, sent.text, sizeof sent.text);
  g_array_append_val(bed->sent, sent);
}

static bool on_send(void *user, AapZone *zone, const AapMessage *msg)
{
  AapNode *node = user;
  AapBed *bed = node->bed;
  uint8_t octets[AAP_MAX_LENGTH];
  (void)zone;
  if (node->mute)
    return false;
  size_t length = msg->body ? aap_encode_resent(msg->family, msg->rseq, msg->current_time,
                                                msg->body, msg->body_length, octets, sizeof octets)
                            : aap_encode(msg, octets, sizeof octets, NULL);
  cr_assert_gt(length, 0, "can't be encoded");
  note_sent(node, octets, length);
  for (unsigned i = 0; i < bed->n; i++) {
    AapNode *other = &bed->nodes[i];
    if (other == node || other->side != node->side || other->deaf || !other->zone ||
        (double)(draw(bed) >> 11) / (double)(UINT64_C(1) << 53) < bed->loss)
      continue;
    Flight *flight = g_new0(Flight, 1);
    *flight =
        (Flight){ .at = bed->now + bed->delay + (int64_t)between(bed, 0, (uint64_t)bed->jitter),
                  .to = i,
                  .zone = other->zone,
                  .from = node->endpoint,
                  .octets = g_memdup2(octets, length),
                  .length = length };
    launch(bed, flight);
  }
  return true;
}

static uint64_t on_random(void *user, uint64_t low, uint64_t high)
{
  return between(((AapNode *)user)->bed, low, high);
}

static void on_keep(void *user, AapZone *zone, const AapOwn *own)
{
  AapNode *node = user;
  AapBed *bed = node->bed;
  if (!node->keep_fails) {
    g_autofree char *key = g_strdup_printf("%" G_GUINT64_FORMAT, (uint64_t)own->span.first.value);
    g_hash_table_replace(node->stored, g_steal_pointer(&key), g_memdup2(own, sizeof *own));
  }
  node->kept++;
  if (node->keep_delay < 0)
    return;
  Flight *flight = g_new0(Flight, 1);
  *flight = (Flight){ .at = bed->now + node->keep_delay,
                      .to = node->index,
                      .zone = zone,
                      .first = own->span.first,
                      .ok = !node->keep_fails };
  launch(bed, flight);
}

static void on_forget(void *user, AapZone *zone, MalAddress first)
{
  AapNode *node = user;
  g_autofree char *key = g_strdup_printf("%" G_GUINT64_FORMAT, (uint64_t)first.value);
  (void)zone;
  node->forgotten++;
  g_hash_table_remove(node->stored, key);
}

static void on_owned(void *user, AapZone *zone, MalSpan span, MalTime end)
{
  AapNode *node = user;
  (void)zone;
  cr_assert_gt(end, aap_bed_clock(node).wall, "owned in the past");
  aap_spans_add(node->owned, span);
}

static void on_gone(void *user, AapZone *zone, MalSpan span, AapGone why)
{
  AapNode *node = user;
  (void)zone;
  node->gone[why]++;
  aap_spans_subtract(node->owned, span);
}

static void on_suspend(void *user, AapZone *zone, MalSpan span, bool on)
{
  AapNode *node = user;
  (void)zone;
  if (on)
    aap_spans_add(node->suspended, span);
  else
    aap_spans_subtract(node->suspended, span);
}

static void on_use(void *user, AapZone *zone, MalSpan span, uint64_t *leased, uint64_t *more)
{
  const AapNode *node = user;
  uint64_t size = (uint64_t)mal_span_size(span);
  (void)zone;
  *leased = MIN(node->leased, size);
  *more = size - *leased;
}

static void on_foreign_changed(void *user, AapZone *zone)
{
  (void)user;
  (void)zone;
}

static void on_asa(void *user, AapZone *zone, const AapExtent *ranges, size_t n,
                   const uint8_t *payload, size_t length)
{
  AapNode *node = user;
  (void)zone;
  g_free(node->asa);
  node->asa = g_memdup2(payload, length);
  node->asa_length = length;
  node->asa_received = aap_bed_clock(node).wall;
  g_clear_pointer(&node->announced, g_array_unref);
  node->announced = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  g_array_append_vals(node->announced, ranges, (guint)n);
}

/* What an ASA brought is available once the zone's own call is over, as in the daemon. */
static void apply_asa(AapNode *node)
{
  g_autoptr(GArray) ranges = g_steal_pointer(&node->announced);
  if (ranges != NULL && node->zone != NULL)
    aap_zone_set_available(node->zone, (const AapExtent *)(void *)ranges->data, ranges->len,
                           aap_bed_clock(node));
}

static void on_failed(void *user, AapZone *zone, MalSpan named, uint64_t count, MalTime end,
                      AapNote why)
{
  (void)zone;
  (void)named;
  (void)count;
  (void)end;
  (void)why;
  ((AapNode *)user)->failed++;
}

static void on_note(void *user, AapZone *zone, AapNote note, MalSpan span, MalEndpoint peer,
                    uint64_t n)
{
  (void)zone;
  (void)span;
  (void)peer;
  (void)n;
  ((AapNode *)user)->notes[note]++;
}

static const AapZoneOps ops = {
  .send = on_send,
  .random = on_random,
  .keep = on_keep,
  .forget = on_forget,
  .owned = on_owned,
  .gone = on_gone,
  .suspend = on_suspend,
  .use = on_use,
  .foreign_changed = on_foreign_changed,
  .asa = on_asa,
  .failed = on_failed,
  .note = on_note,
};

/* ---- the bed --------------------------------------------------------------------------------- */

static void sent_clear(gpointer data)
{
  AapSent *sent = data;
  g_free((void *)(uintptr_t)sent->msg.ranges);
  g_free((void *)(uintptr_t)sent->msg.requests);
  g_free(sent->octets);
}

AapBed *aap_bed_new(const char *scope, bool large, uint64_t seed)
{
  AapBed *bed = g_new0(AapBed, 1);
  bed->scope = aap_bed_span(scope);
  bed->large = large;
  bed->seed = seed;
  bed->delay = 1000;
  bed->jitter = 4000;
  bed->scratch = g_new(AapScratch, 1);
  bed->sent = g_array_new(FALSE, FALSE, sizeof(AapSent));
  g_array_set_clear_func(bed->sent, sent_clear);
  bed->flying = g_ptr_array_new_with_free_func(flight_free);
  bed->params = (AapParams){
    .startup_wait = S(150),
    .announce_wait = S(10),
    .resend_wait = S(1),
    .repeat_interval = S(30),
    .asa_interval = S(30),
    .asrp_interval = S(30),
    .end_tolerance_s = 10,
    .asa_horizon_s = 150,
    .asa_max_horizon_s = 86400,
    .delete_grace_s = 180,
    .reuse_guard_s = 300,
    .partition_cover_s = 3600,
    .own_lifetime_s = 86400,
    .claim_memory = S(10),
    .prealloc_recent = S(90),
    .echo_window = S(90),
    .claim_attempts = 16,
    .preallocate = 0,
    .block = 1,
    .max_entries = 100000,
    .report = true,
  };
  return bed;
}

static void node_clear(AapNode *node)
{
  aap_zone_free(node->zone);
  aap_sequence_free(node->sequence);
  g_array_unref(node->owned);
  g_array_unref(node->suspended);
  g_hash_table_unref(node->stored);
  g_free(node->asa);
  g_clear_pointer(&node->announced, g_array_unref);
}

void aap_bed_free(AapBed *bed)
{
  g_ptr_array_unref(bed->flying);
  for (unsigned i = 0; i < bed->n; i++)
    node_clear(&bed->nodes[i]);
  g_array_unref(bed->sent);
  g_free(bed->scratch);
  g_free(bed);
}

static void bring_up(AapNode *node)
{
  AapBed *bed = node->bed;
  node->sequence = aap_sequence_new();
  AapZoneConfig config = {
    "test", bed->scope, bed->large, &bed->params, node->sequence, &ops, node
  };
  node->zone = aap_zone_new(&config);
}

AapNode *aap_bed_add_stopped(AapBed *bed)
{
  cr_assert_lt(bed->n, AAP_BED_NODES);
  AapNode *node = &bed->nodes[bed->n];
  *node = (AapNode){ .bed = bed, .index = bed->n++, .keep_delay = 1000 };
  node->endpoint = (MalEndpoint){ mal_address_ipv4(0xc0000201 + node->index), AAP_PORT, 0 };
  node->owned = aap_spans_new();
  node->suspended = aap_spans_new();
  node->stored = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  bring_up(node);
  return node;
}

AapNode *aap_bed_add(AapBed *bed)
{
  AapNode *node = aap_bed_add_stopped(bed);
  aap_zone_start(node->zone, aap_bed_clock(node));
  return node;
}

AapBed *aap_bed_of_owners(uint64_t seed, unsigned nodes)
{
  AapBed *bed = aap_bed_new(AAP_BED_SPACE, true, seed);
  bed->params.own_lifetime_s = 60;
  for (unsigned i = 0; i < nodes; i++)
    aap_bed_add(bed)->leased = 1;
  aap_bed_available(bed, AAP_BED_SPACE, 30 * 86400);
  aap_bed_listened(bed);
  return bed;
}

AapBed *aap_bed_with_pool(uint32_t size, uint32_t block)
{
  AapBed *bed = aap_bed_new("239.255.0.0-239.255.255.255", false, 1);
  bed->params.preallocate = size;
  bed->params.block = block;
  aap_bed_add(bed);
  aap_bed_available(bed, "239.255.1.0-239.255.1.255", -1);
  return bed;
}

static GArray *spans_of(const char *text)
{
  g_auto(GStrv) parts = g_strsplit(text, ";", -1);
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  for (unsigned i = 0; parts[i] != NULL && *text != '\0'; i++) {
    MalSpan span = aap_bed_span(g_strstrip(parts[i]));
    g_array_append_val(out, span);
  }
  return out;
}

void aap_bed_available(AapBed *bed, const char *spans, int64_t end_s)
{
  g_autoptr(GArray) list = spans_of(spans);
  for (unsigned i = 0; i < bed->n; i++) {
    AapNode *node = &bed->nodes[i];
    g_autofree AapExtent *extents = g_new0(AapExtent, list->len + 1);
    for (guint k = 0; k < list->len; k++)
      extents[k] = (AapExtent){ g_array_index(list, MalSpan, k),
                                end_s < 0 ? MAL_FOREVER : AAP_BED_EPOCH + end_s + node->skew_s };
    if (node->zone != NULL)
      aap_zone_set_available(node->zone, extents, list->len, aap_bed_clock(node));
  }
}

void aap_bed_own(AapNode *node, const char *spans, int64_t end_s)
{
  g_autoptr(GArray) list = spans_of(spans);
  node->zone->now = aap_bed_clock(node);
  for (guint i = 0; i < list->len; i++)
    aap_owns_add(node->zone, g_array_index(list, MalSpan, i), AAP_BED_EPOCH + end_s);
}

static void land(AapBed *bed, guint at)
{
  Flight *flight = g_ptr_array_steal_index_fast(bed->flying, at);
  AapNode *node = &bed->nodes[flight->to];
  AapMessage msg;
  if (node->zone == flight->zone && flight->octets == NULL)
    aap_zone_kept(node->zone, flight->first, flight->ok, aap_bed_clock(node));
  else if (node->zone == flight->zone &&
           aap_decode(flight->octets, flight->length, bed->scratch, &msg, NULL))
    aap_zone_heard(node->zone, flight->from, &msg, flight->octets, flight->length,
                   aap_bed_clock(node));
  apply_asa(node);
  flight_free(flight);
}

/* The next thing to happen: a flight (its index) or a node's deadline (-1 - node). */
static int64_t next_event(const AapBed *bed, int *what)
{
  int64_t due = AAP_NEVER;
  uint64_t order = UINT64_MAX;
  for (guint i = 0; i < bed->flying->len; i++) {
    const Flight *flight = g_ptr_array_index(bed->flying, i);
    if (flight->at < due || (flight->at == due && flight->order < order)) {
      due = flight->at;
      order = flight->order;
      *what = (int)i;
    }
  }
  for (unsigned i = 0; i < bed->n; i++)
    if (bed->nodes[i].zone != NULL && aap_zone_due(bed->nodes[i].zone) < due) {
      due = aap_zone_due(bed->nodes[i].zone);
      *what = -1 - (int)i;
    }
  return due;
}

void aap_bed_run(AapBed *bed, int64_t until)
{
  int what = 0;
  unsigned stuck = 0;
  for (int64_t due; (due = next_event(bed, &what)) <= until;) {
    stuck = due <= bed->now ? stuck + 1 : 0;
    cr_assert_lt(stuck, 100000, "time stands still");
    bed->now = MAX(bed->now, due);
    if (what >= 0)
      land(bed, (guint)what);
    else
      aap_zone_run(bed->nodes[-1 - what].zone, aap_bed_clock(&bed->nodes[-1 - what]));
  }
  bed->now = MAX(bed->now, until);
}

void aap_bed_listened(AapBed *bed)
{
  bool listening = true;
  while (listening) {
    aap_bed_run(bed, bed->now + AAP_US);
    listening = false;
    for (unsigned i = 0; i < bed->n; i++)
      listening = listening ||
                  (bed->nodes[i].zone != NULL &&
                   aap_zone_usage(bed->nodes[i].zone, aap_bed_clock(&bed->nodes[i])).listening);
  }
}

void aap_bed_crash(AapBed *bed, unsigned n)
{
  AapNode *node = &bed->nodes[n];
  aap_zone_free(node->zone);
  aap_sequence_free(node->sequence);
  node->zone = NULL;
  node->sequence = NULL;
  g_array_set_size(node->owned, 0);
  g_array_set_size(node->suspended, 0);
}

void aap_bed_restart(AapBed *bed, unsigned n, bool with_disk)
{
  AapNode *node = &bed->nodes[n];
  GHashTableIter iter;
  gpointer own;
  bring_up(node);
  if (!with_disk)
    g_hash_table_remove_all(node->stored);
  g_hash_table_iter_init(&iter, node->stored);
  while (g_hash_table_iter_next(&iter, NULL, &own))
    aap_zone_restore_own(node->zone, own);
  if (with_disk && node->asa != NULL)
    cr_assert(aap_zone_restore_asa(node->zone, node->asa, node->asa_length, node->asa_received,
                                   aap_bed_clock(node)));
  aap_zone_start(node->zone, aap_bed_clock(node));
}

void aap_bed_inject_octets(AapNode *node, const char *from, const uint8_t *octets, size_t length)
{
  MalEndpoint peer = { .port = AAP_PORT };
  AapMessage msg;
  cr_assert(mal_address_parse(from, &peer.address, NULL));
  cr_assert(aap_decode(octets, length, node->bed->scratch, &msg, NULL));
  aap_zone_heard(node->zone, peer, &msg, octets, length, aap_bed_clock(node));
  apply_asa(node);
}

/* MSG with SPANS, each until END_S. */
static void inject(AapNode *node, const char *from, AapMessage msg, const char *spans,
                   int64_t end_s)
{
  g_autoptr(GArray) list = spans_of(spans);
  g_autofree AapRange *ranges = g_new0(AapRange, list->len + 1);
  uint8_t octets[AAP_MAX_LENGTH];
  for (guint i = 0; i < list->len; i++)
    ranges[i] = (AapRange){ g_array_index(list, MalSpan, i), (uint32_t)(AAP_BED_EPOCH + end_s) };
  msg.family = node->bed->scope.first.family;
  msg.ranges = ranges;
  msg.n_ranges = list->len;
  size_t length = aap_encode(&msg, octets, sizeof octets, NULL);
  cr_assert_gt(length, 0);
  aap_bed_inject_octets(node, from, octets, length);
}

static uint32_t true_time(const AapNode *node)
{
  return (uint32_t)(AAP_BED_EPOCH + node->bed->now / AAP_US);
}

void aap_bed_inject(AapNode *node, const char *from, AapType type, uint32_t rseq, const char *spans,
                    int64_t end_s)
{
  AapMessage msg = { .type = type, .rseq = rseq, .current_time = true_time(node) };
  inject(node, from, msg, spans, end_s);
}

void aap_bed_inject_asa(AapNode *node, const char *from, const char *spans, int64_t clock_s,
                        int64_t expires_s, int64_t end_s)
{
  AapMessage msg = { .type = AAP_ASA,
                     .current_time = (uint32_t)(AAP_BED_EPOCH + clock_s),
                     .expiration_time = (uint32_t)(AAP_BED_EPOCH + expires_s) };
  inject(node, from, msg, spans, end_s);
}

void aap_bed_inject_ana(AapNode *node, const char *from, uint32_t rseq, uint32_t count,
                        int64_t end_s)
{
  AapRequest request = { count, (uint32_t)(AAP_BED_EPOCH + end_s) };
  AapMessage msg = { .type = AAP_ANA,
                     .rseq = rseq,
                     .current_time = true_time(node),
                     .requests = &request,
                     .n_requests = 1 };
  inject(node, from, msg, "", 0);
}

void aap_bed_want(AapNode *node, uint64_t count, int64_t seconds)
{
  aap_zone_want(node->zone, count, aap_bed_clock(node).wall + seconds, aap_bed_clock(node));
}

uint64_t aap_bed_owned(const AapNode *node)
{
  return (uint64_t)aap_spans_size(node->owned);
}

unsigned aap_bed_count(const AapBed *bed, int node, AapType type, int64_t since,
                       const AapSent **last)
{
  unsigned n = 0;
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    if (sent->at < since || sent->msg.type != type || (node >= 0 && sent->from != (unsigned)node))
      continue;
    n++;
    if (last != NULL)
      *last = sent;
  }
  return n;
}

char *aap_bed_times(const AapBed *bed, int node, AapType type, int64_t since)
{
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    if (sent->at >= since && sent->msg.type == type && (node < 0 || sent->from == (unsigned)node))
      g_string_append_printf(out, "%s%" G_GINT64_FORMAT, out->len > 0 ? " " : "",
                             (int64_t)((sent->at - since) / (AAP_US / 10)));
  }
  return g_string_free(out, FALSE);
}

void aap_bed_check(const AapBed *bed)
{
  char text[MAL_SPAN_STRLEN];
  for (unsigned i = 0; i < bed->n; i++) {
    const AapNode *a = &bed->nodes[i];
    if (a->zone != NULL)
      aap_zone_check(a->zone, aap_bed_clock(a));
    for (unsigned k = i + 1; k < bed->n; k++) {
      g_autoptr(GArray) both = aap_spans_intersection(a->owned, bed->nodes[k].owned);
      cr_assert_eq(both->len, 0, "%s is owned by %u and %u at %.1f s",
                   both->len ? mal_span_format(g_array_index(both, MalSpan, 0), text) : "", i, k,
                   (double)bed->now / 1e6);
    }
  }
}
