/* A prefix coordinator under a clock that tests move, and what it said. */
#ifndef AAP_COORDINATOR_BED_H
#define AAP_COORDINATOR_BED_H

#include "plugins/aap/aap-coordinator.h"
#include "plugins/aap/aap-time.h"

#include <criterion/criterion.h>
#include <string.h>

#define T0 ((MalTime)962409600)
#define S(n) ((int64_t)(n) * AAP_US)
#define A "233.252.0.0-233.252.0.127"
#define B "233.252.0.128-233.252.0.255"

typedef struct {
  AapCoordinator *c;
  AapSequence *sequence;
  AapParams params;
  int64_t now;
  double draw; /* where in each range the draws fall */
  AapMessage sent;
  AapRange ranges[300];
  unsigned n_sent, notes[AAP_N_CNOTES], n_adopted;
  AapExtent adopted[8];
  uint64_t wanted;
  MalTime wanted_end;
  unsigned n_wanted;
  bool mute; /* nothing leaves */
  const char *vouched; /* layer 3 says that only this is the domain's, "" that nothing is; NULL: it
                          says nothing */
} Bed;

static bool on_send(void *user, AapCoordinator *c, const AapMessage *msg)
{
  Bed *b = user;
  uint8_t octets[AAP_MAX_LENGTH];
  (void)c;
  if (b->mute)
    return false;
  cr_assert_gt(aap_encode(msg, octets, sizeof octets, NULL), 0);
  b->sent = *msg;
  memcpy(b->ranges, msg->ranges, msg->n_ranges * sizeof *msg->ranges);
  b->sent.ranges = b->ranges;
  b->n_sent++;
  return true;
}

static uint64_t on_random(void *user, uint64_t low, uint64_t high)
{
  return low + (uint64_t)((double)(high - low) * ((Bed *)user)->draw);
}

static void on_adopted(void *user, AapCoordinator *c, const AapExtent *ranges, size_t n)
{
  Bed *b = user;
  (void)c;
  b->n_adopted = (unsigned)n;
  memcpy(b->adopted, ranges, n * sizeof *ranges);
}

static void on_demand(void *user, AapCoordinator *c, uint64_t count, MalTime end)
{
  Bed *b = user;
  (void)c;
  b->wanted = count;
  b->wanted_end = end;
  b->n_wanted++;
}

static void on_note(void *user, AapCoordinator *c, AapCoordinatorNote note, MalEndpoint peer,
                    uint64_t n)
{
  (void)c;
  (void)peer;
  (void)n;
  ((Bed *)user)->notes[note]++;
}

static void on_vouch(void *user, AapCoordinator *c, GArray *ranges)
{
  const Bed *b = user;
  MalSpan span = { 0 };
  (void)c;
  if (b->vouched == NULL)
    return;
  bool some = mal_span_parse(b->vouched, &span, NULL);
  for (guint i = ranges->len; i-- > 0;)
    if (!some || !mal_span_intersect(g_array_index(ranges, AapExtent, i).span, span,
                                     &g_array_index(ranges, AapExtent, i).span))
      g_array_remove_index(ranges, i);
}

static const AapCoordinatorOps ops = { on_send,   on_random, on_adopted,
                                       on_demand, on_note,   on_vouch };

static AapNow now_of(const Bed *b)
{
  return (AapNow){ b->now, T0 + b->now / AAP_US };
}

static MalSpan span_of(const char *text)
{
  MalSpan span = { 0 };
  cr_assert(mal_span_parse(text, &span, NULL));
  return span;
}

static void init(Bed *b)
{
  *b = (Bed){ .draw = 0.5 };
  b->params = (AapParams){ .asa_interval = S(30),
                           .asa_horizon_s = 150,
                           .asa_max_horizon_s = 86400,
                           .end_tolerance_s = 10,
                           .own_lifetime_s = 86400 };
  b->sequence = aap_sequence_new();
  b->c = aap_coordinator_new(&(AapCoordinatorConfig){
      "global", span_of("224.0.1.0-238.255.255.255"), &b->params, b->sequence, &ops, b });
}

static void clear(Bed *b)
{
  aap_coordinator_free(b->c);
  aap_sequence_free(b->sequence);
}

static void set(Bed *b, const char *first, const char *second, MalTime end)
{
  AapExtent extents[2] = { { span_of(first), end } };
  if (second != NULL)
    extents[1] = (AapExtent){ span_of(second), end };
  aap_coordinator_set_ranges(b->c, extents, second != NULL ? 2 : 1, now_of(b));
}

static void run(Bed *b, int64_t until)
{
  for (unsigned i = 0; aap_coordinator_due(b->c) <= until; i++) {
    cr_assert_lt(i, 10000);
    b->now = MAX(b->now, aap_coordinator_due(b->c));
    aap_coordinator_run(b->c, now_of(b));
  }
  b->now = until;
}

/* With A, in the back of others; then as the lead, which has announced it once. */
static void begin_backup(Bed *b)
{
  init(b);
  set(b, A, NULL, T0 + 86400);
  aap_coordinator_start(b->c, now_of(b));
}

static void begin_lead(Bed *b)
{
  begin_backup(b);
  run(b, S(60));
}

static const MalEndpoint other = { .port = AAP_PORT };

/* As another coordinator, whose clock is SKEW seconds ahead, says it. */
static void hear(Bed *b, const char *first, const char *second, MalTime end, int64_t skew,
                 bool resent)
{
  uint32_t clock = (uint32_t)(now_of(b).wall + skew);
  AapRange ranges[2] = { { span_of(first), aap_time_to_wire(end + skew) } };
  if (second != NULL)
    ranges[1] = (AapRange){ span_of(second), aap_time_to_wire(end + skew) };
  AapMessage msg = { .type = AAP_ASA,
                     .family = MAL_IPV4,
                     .current_time = clock,
                     .expiration_time = resent ? clock : clock + 150,
                     .ranges = ranges,
                     .n_ranges = second != NULL ? 2 : 1 };
  aap_coordinator_heard(b->c, other, &msg, now_of(b));
}

/* A server wants COUNT addresses until END. */
static void hear_ana(Bed *b, uint32_t count, MalTime end)
{
  AapRequest request = { count, (uint32_t)end };
  AapMessage msg = { .type = AAP_ANA,
                     .family = MAL_IPV4,
                     .current_time = (uint32_t)T0,
                     .requests = &request,
                     .n_requests = 1 };
  aap_coordinator_heard(b->c, other, &msg, now_of(b));
}

static void report(Bed *b, const char *span, uint32_t used, uint32_t count)
{
  AapRange range = { span_of(span), used };
  AapRequest request = { count, (uint32_t)now_of(b).wall + 5000 };
  AapMessage msg = { .type = AAP_ASRP,
                     .family = MAL_IPV4,
                     .current_time = (uint32_t)now_of(b).wall,
                     .ranges = &range,
                     .n_ranges = 1,
                     .requests = &request,
                     .n_requests = count > 0 };
  aap_coordinator_heard(b->c, other, &msg, now_of(b));
}

#endif
