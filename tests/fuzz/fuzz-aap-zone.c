/* One zone of AAP, or a coordinator, under arbitrary messages, time, disks and demands. The input's
   first octet chooses a small or a large scope, a pool or none; then steps:

     0 PEER TYPE RSEQ N (FIRST LENGTH END)...   a message of others with N ranges of a toy space of
   256 addresses 1 PEER LENGTH OCTETS                       a datagram, if it decodes 2 time passes
   to the next deadline 3 SECONDS(2)                               time passes, with each deadline
   on the way 4 STEP                                     the wall clock steps 5 COUNT END addresses
   are wanted 6 FIRST LENGTH END                         these are wanted 7 N (FIRST LENGTH END)...
   what is available changes 8 FIRST LENGTH                             what is excluded changes 9
   OK                                       the oldest write ends well, or not 10 LEASED so many
   addresses of each block are in use 11 MUTE                                     nothing leaves, or
   does again

   What must hold: nothing is said while it listens; what is said can be decoded; what is owned was
   kept before, lies in what is available, and is owned until no later than that; the zone's own
   check; deadlines are met in bounded work. Covers: plugins/aap/aap-zone*.c, aap-record*.c,
   aap-choose.c, aap-claim.c, aap-prealloc.c, aap-pool.c, aap-own*.c, aap-conflict.c, aap-defence.c,
   aap-asa.c, aap-asrp.c, aap-ana.c, aap-coordinator.c */
#include <string.h>

#include "plugins/aap/aap-coordinator.h"
#include "plugins/aap/aap-intervals.h"
#include "plugins/aap/aap-time.h"
#include "plugins/aap/aap-zone.h"
#include "tests/fuzz/fuzz.h"

#define EPOCH ((MalTime)962409600)
#define BASE UINT32_C(0xE9FC0000)
#define MOST_STEPS 256
#define MOST_TICKS 2000
#define MOST_WRITES 64

typedef struct {
  MalReader in;
  AapZone *zone;
  AapCoordinator *coordinator;
  AapSequence *sequence;
  AapParams params;
  AapScratch *scratch;
  int64_t mono, shift; /* SHIFT: wall clock, seconds, beside the monotonic one */
  bool mute, listening;
  uint8_t leased;
  uint64_t seed;
  MalAddress writes[MOST_WRITES];
  unsigned n_writes;
  GArray *kept; /* MalSpan: told to be written, ever */
  AapExtent available[4];
  size_t n_available;
  AapExtent announced[AAP_MAX_RANGES];
  size_t n_announced;
  bool has_announced;
  uint8_t octets[AAP_MAX_LENGTH];
} World;

static AapNow now(const World *w)
{
  return (AapNow){ w->mono, EPOCH + w->mono / AAP_US + w->shift };
}

/* ---- what the machines do -------------------------------------------------------------------- */

static bool said(World *w, const AapMessage *msg)
{
  AapMessage again;
  size_t length = msg->body != NULL
                      ? aap_encode_resent(msg->family, msg->rseq, msg->current_time, msg->body,
                                          msg->body_length, w->octets, sizeof w->octets)
                      : aap_encode(msg, w->octets, sizeof w->octets, NULL);
  must(length > 0);
  must(aap_decode(w->octets, length, w->scratch, &again, NULL));
  must(msg->type == AAP_ASA || length <= AAP_SEND_LIMIT || msg->type == AAP_ASRP);
  return !w->mute;
}

static bool op_send(void *user, AapZone *zone, const AapMessage *msg)
{
  World *w = user;
  (void)zone;
  must(!w->listening);
  return said(w, msg);
}

static uint64_t op_random(void *user, uint64_t low, uint64_t high)
{
  World *w = user;
  uint64_t z = w->seed += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z ^= z >> 31;
  must(low <= high);
  return high - low == UINT64_MAX ? z : low + z % (high - low + 1);
}

static void op_keep(void *user, AapZone *zone, const AapOwn *own)
{
  World *w = user;
  (void)zone;
  aap_spans_add(w->kept, own->span);
  if (w->n_writes < MOST_WRITES)
    w->writes[w->n_writes++] = own->span.first;
}

static void op_forget(void *user, AapZone *zone, MalAddress first)
{
  (void)user;
  (void)zone;
  (void)first;
}

static void op_owned(void *user, AapZone *zone, MalSpan span, MalTime end)
{
  World *w = user;
  g_autoptr(GArray) asked = aap_spans_new();
  (void)zone;
  aap_spans_add(asked, span);
  g_autoptr(GArray) both = aap_spans_intersection(asked, w->kept);
  must(aap_spans_size(both) == mal_span_size(span));
  must(end > now(w).wall);
}

static void op_gone(void *user, AapZone *zone, MalSpan span, AapGone why)
{
  (void)user;
  (void)zone;
  (void)why;
  must(mal_address_compare(span.first, span.last) <= 0);
}

static void op_suspend(void *user, AapZone *zone, MalSpan span, bool on)
{
  (void)user;
  (void)zone;
  (void)on;
  must(mal_address_compare(span.first, span.last) <= 0);
}

static void op_use(void *user, AapZone *zone, MalSpan span, uint64_t *leased, uint64_t *more)
{
  const World *w = user;
  uint64_t size = (uint64_t)mal_span_size(span);
  (void)zone;
  *leased = MIN(w->leased, size);
  *more = size - *leased;
}

static void op_foreign_changed(void *user, AapZone *zone)
{
  (void)user;
  (void)zone;
}

static void op_asa(void *user, AapZone *zone, const AapExtent *ranges, size_t n,
                   const uint8_t *payload, size_t length)
{
  World *w = user;
  (void)zone;
  must(payload != NULL && length >= AAP_MIN_LENGTH && n <= G_N_ELEMENTS(w->announced));
  if (n > 0)
    memcpy(w->announced, ranges, n * sizeof *ranges);
  w->n_announced = n;
  w->has_announced = true;
}

static void op_failed(void *user, AapZone *zone, MalSpan named, uint64_t count, MalTime end,
                      AapNote why)
{
  (void)user;
  (void)named;
  (void)zone;
  (void)count;
  (void)end;
  (void)why;
}

static void op_note(void *user, AapZone *zone, AapNote note, MalSpan span, MalEndpoint peer,
                    uint64_t n)
{
  (void)user;
  (void)span;
  (void)peer;
  (void)n;
  (void)zone;
  must(note < AAP_N_NOTES);
  if (note == AAP_NOTE_STARTED)
    ((World *)user)->listening = false;
}

static const AapZoneOps ops = {
  .send = op_send,
  .random = op_random,
  .keep = op_keep,
  .forget = op_forget,
  .owned = op_owned,
  .gone = op_gone,
  .suspend = op_suspend,
  .use = op_use,
  .foreign_changed = op_foreign_changed,
  .asa = op_asa,
  .failed = op_failed,
  .note = op_note,
};

static bool cop_send(void *user, AapCoordinator *c, const AapMessage *msg)
{
  (void)c;
  return said(user, msg);
}

static uint64_t cop_random(void *user, uint64_t low, uint64_t high)
{
  return op_random(user, low, high);
}

static void cop_adopted(void *user, AapCoordinator *c, const AapExtent *ranges, size_t n)
{
  World *w = user;
  (void)c;
  must(n > 0 && n <= G_N_ELEMENTS(w->announced));
  if (n > 0)
    memcpy(w->announced, ranges, n * sizeof *ranges);
  w->n_announced = n;
  w->has_announced = true;
}

static void cop_demand(void *user, AapCoordinator *c, uint64_t count, MalTime end)
{
  (void)c;
  must(count > 0 && end > now(user).wall);
}

static void cop_note(void *user, AapCoordinator *c, AapCoordinatorNote note, MalEndpoint peer,
                     uint64_t n)
{
  (void)user;
  (void)c;
  (void)peer;
  (void)n;
  must(note < AAP_N_CNOTES);
}

/* Layer 3 knows that a quarter of all places is not the domain's. */
static void cop_vouch(void *user, AapCoordinator *c, GArray *ranges)
{
  (void)user;
  (void)c;
  for (guint i = ranges->len; i-- > 0;)
    if ((g_array_index(ranges, AapExtent, i).span.first.value & 3) == 3)
      g_array_remove_index(ranges, i);
}

static const AapCoordinatorOps coordinator_ops = { cop_send,   cop_random, cop_adopted,
                                                   cop_demand, cop_note,   cop_vouch };

/* ---- steps ----------------------------------------------------------------------------------- */

static MalSpan span_of(World *w)
{
  uint32_t first = mal_read_u8(&w->in), length = mal_read_u8(&w->in);
  return (MalSpan){ mal_address_ipv4(BASE + first),
                    mal_address_ipv4(BASE + MIN(first + length, 255)) };
}

/* Most ends are near, some in the past, some far. */
static MalTime end_of(World *w)
{
  uint8_t end = mal_read_u8(&w->in);
  return now(w).wall + (end < 32 ? -(MalTime)end : end == 255 ? 1000000 : (MalTime)end * 40);
}

static MalEndpoint peer_of(World *w)
{
  return (MalEndpoint){ mal_address_ipv4(0xC0000201 + mal_read_u8(&w->in) % 8), AAP_PORT, 0 };
}

static void settle(World *w)
{
  if (!w->has_announced)
    return;
  w->has_announced = false;
  if (w->zone != NULL)
    aap_zone_set_available(w->zone, w->announced, w->n_announced, now(w));
  else
    aap_coordinator_set_ranges(w->coordinator, w->announced, w->n_announced, now(w));
}

static void hear(World *w, MalEndpoint peer, const AapMessage *msg, const uint8_t *octets,
                 size_t length)
{
  if (w->zone != NULL)
    aap_zone_heard(w->zone, peer, msg, octets, length, now(w));
  else
    aap_coordinator_heard(w->coordinator, peer, msg, now(w));
  settle(w);
}

static void step_message(World *w)
{
  MalEndpoint peer = peer_of(w);
  AapRange ranges[8];
  AapRequest request;
  AapType type = mal_read_u8(&w->in) % AAP_N_TYPES;
  uint32_t rseq = mal_read_u8(&w->in) % 16;
  size_t n = mal_read_u8(&w->in) % (G_N_ELEMENTS(ranges) + 1);
  for (size_t i = 0; i < n; i++) {
    ranges[i].span = span_of(w);
    ranges[i].value = aap_time_to_wire(end_of(w));
  }
  request = (AapRequest){ (uint32_t)n + 1, aap_time_to_wire(end_of(w)) };
  AapMessage msg = { .type = type,
                     .family = MAL_IPV4,
                     .rseq = rseq,
                     .current_time = aap_time_to_wire(now(w).wall),
                     .ranges = ranges,
                     .n_ranges = type == AAP_ANA ? 0 : n,
                     .requests = &request,
                     .n_requests = type == AAP_ANA || type == AAP_ASRP };
  if (type == AAP_ASA)
    msg.expiration_time = aap_time_to_wire(end_of(w));
  uint8_t octets[1000];
  size_t length = aap_encode(&msg, octets, sizeof octets, NULL);
  AapMessage again;
  if (length > 0 && aap_decode(octets, length, w->scratch, &again, NULL))
    hear(w, peer, &again, octets, length);
}

static void step_octets(World *w)
{
  MalEndpoint peer = peer_of(w);
  size_t length = mal_read_u8(&w->in);
  const uint8_t *octets = mal_read_bytes(&w->in, length);
  AapMessage msg;
  if (octets != NULL && aap_decode(octets, length, w->scratch, &msg, NULL) &&
      msg.family == MAL_IPV4)
    hear(w, peer, &msg, octets, length);
}

static int64_t due(const World *w)
{
  return w->zone != NULL ? aap_zone_due(w->zone) : aap_coordinator_due(w->coordinator);
}

static void pass(World *w, int64_t until)
{
  unsigned ticks = 0;
  while (due(w) <= until && ticks++ < MOST_TICKS) {
    int64_t before = due(w);
    w->mono = MAX(w->mono, before);
    if (w->zone != NULL)
      aap_zone_run(w->zone, now(w));
    else
      aap_coordinator_run(w->coordinator, now(w));
    settle(w);
  }
  must(ticks <= MOST_TICKS || w->mono > until - (int64_t)65536 * AAP_US);
  w->mono = MAX(w->mono, until);
}

static void step_clock(World *w)
{
  int64_t step = ((int64_t)mal_read_u8(&w->in) - 128) * 30;
  w->shift += step;
  if (w->zone != NULL)
    aap_zone_clock_stepped(w->zone, step, now(w));
  else
    aap_coordinator_clock_stepped(w->coordinator, step, now(w));
  for (size_t i = 0; i < w->n_available; i++)
    w->available[i].end = mal_time_add(w->available[i].end, step);
}

static void step_available(World *w)
{
  size_t n = mal_read_u8(&w->in) % (G_N_ELEMENTS(w->available) + 1);
  MalAddress from = mal_address_ipv4(BASE);
  w->n_available = 0;
  for (size_t i = 0; i < n; i++) {
    AapExtent extent = { span_of(w), end_of(w) };
    if (mal_address_compare(extent.span.first, from) < 0)
      extent.span.first = from;
    if (mal_address_compare(extent.span.first, extent.span.last) > 0)
      continue;
    w->available[w->n_available++] = extent;
    mal_address_add(extent.span.last, 1, &from);
  }
  if (w->zone != NULL)
    aap_zone_set_available(w->zone, w->available, w->n_available, now(w));
  else
    aap_coordinator_set_ranges(w->coordinator, w->available, w->n_available, now(w));
}

static void step_kept(World *w)
{
  bool ok = mal_read_u8(&w->in) % 4 != 0;
  if (w->n_writes == 0)
    return;
  MalAddress first = w->writes[0];
  memmove(w->writes, w->writes + 1, --w->n_writes * sizeof w->writes[0]);
  aap_zone_kept(w->zone, first, ok, now(w));
}

static void zone_step(World *w, uint8_t kind)
{
  MalSpan span;
  MalTime end;
  uint8_t count;
  switch (kind) {
  case 5:
    count = mal_read_u8(&w->in);
    end = end_of(w);
    aap_zone_want(w->zone, count, end, now(w));
    break;
  case 6:
    span = span_of(w);
    end = end_of(w);
    aap_zone_want_span(w->zone, span, end, now(w));
    break;
  case 8:
    span = span_of(w);
    aap_zone_set_excluded(w->zone, &span, 1, now(w));
    break;
  case 9: step_kept(w); break;
  case 10: w->leased = mal_read_u8(&w->in); break;
  default: break;
  }
  settle(w);
}

static void step(World *w)
{
  uint8_t kind = mal_read_u8(&w->in) % 12;
  switch (kind) {
  case 0: step_message(w); break;
  case 1: step_octets(w); break;
  case 2: pass(w, due(w) == AAP_NEVER ? w->mono : due(w)); break;
  case 3: pass(w, w->mono + mal_read_u16(&w->in) * AAP_US); break;
  case 4: step_clock(w); break;
  case 7: step_available(w); break;
  case 11: w->mute = mal_read_u8(&w->in) & 1; break;
  default:
    if (w->zone != NULL)
      zone_step(w, kind);
    break;
  }
  if (w->zone != NULL)
    aap_zone_check(w->zone, now(w));
}

static void add(const AapEntry *entry, void *data)
{
  must(mal_address_compare(entry->span.first, entry->span.last) <= 0);
  ++*(size_t *)data;
}

static void begin(World *w)
{
  uint8_t how = mal_read_u8(&w->in);
  MalSpan scope = { mal_address_ipv4(BASE), mal_address_ipv4(BASE + 255) };
  w->params = (AapParams){ .startup_wait = 15 * AAP_US,
                           .announce_wait = 10 * AAP_US,
                           .resend_wait = AAP_US,
                           .repeat_interval = 30 * AAP_US,
                           .asa_interval = 30 * AAP_US,
                           .asrp_interval = 30 * AAP_US,
                           .end_tolerance_s = 10,
                           .asa_horizon_s = 150,
                           .asa_max_horizon_s = 86400,
                           .delete_grace_s = 180,
                           .reuse_guard_s = 300,
                           .partition_cover_s = 3600,
                           .own_lifetime_s = 3600,
                           .claim_memory = 10 * AAP_US,
                           .prealloc_recent = 90 * AAP_US,
                           .echo_window = 90 * AAP_US,
                           .claim_attempts = 4,
                           .preallocate = how & 2 ? 16 : 0,
                           .block = how & 4 ? 8 : 1,
                           .max_entries = how & 8 ? 16 : 1000,
                           .literal_conflicts = (how & 16) != 0,
                           .report = true };
  w->sequence = aap_sequence_new();
  if (how & 32) {
    w->coordinator = aap_coordinator_new(
        &(AapCoordinatorConfig){ "test", scope, &w->params, w->sequence, &coordinator_ops, w });
    aap_coordinator_start(w->coordinator, now(w));
    return;
  }
  w->zone =
      aap_zone_new(&(AapZoneConfig){ "test", scope, how & 1, &w->params, w->sequence, &ops, w });
  w->listening = true;
  aap_zone_start(w->zone, now(w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  World *w = g_new0(World, 1);
  size_t entries = 0;
  w->in = mal_reader(data, size);
  w->seed = size;
  w->scratch = g_new(AapScratch, 1);
  w->kept = aap_spans_new();
  begin(w);
  for (unsigned i = 0; i < MOST_STEPS && mal_reader_more(&w->in); i++)
    step(w);
  if (w->zone != NULL) {
    aap_zone_each(w->zone, now(w), add, &entries);
    aap_zone_usage(w->zone, now(w));
  }
  aap_zone_free(w->zone);
  aap_coordinator_free(w->coordinator);
  aap_sequence_free(w->sequence);
  g_array_unref(w->kept);
  g_free(w->scratch);
  g_free(w);
  return 0;
}
