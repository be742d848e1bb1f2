/* The prefix coordinator (draft-ietf-malloc-aap-04 section 4). */
#include "aap-coordinator.h"

#include "aap-ranges.h"
#include "aap-time.h"
#include "aap-wanted.h"

#include <string.h>

#define FAR_S ((MalTime)10 * 365 * 86400) /* ends further away than this are all "no end" */
#define FULL_PERCENT 90                   /* in use: more is wanted */

struct AapCoordinator {
  char *scope;
  MalSpan span;
  const AapParams *params;
  AapSequence *sequence;
  const AapCoordinatorOps *ops;
  void *user;

  AapCoordinatorState state;
  bool started, too_many;
  GArray *ranges;     /* AapExtent, sorted, disjoint: what is announced */
  GArray *announced;  /* the same, as last sent */
  int64_t timer;      /* ASA Send timer, or the hold while suspended; AAP_NEVER: off */
  int64_t hold;       /* until when the operator knows of an inconsistent one */
  int64_t other;      /* until when another one is taken for the lead */
  MalTime expiration; /* the latest sent or heard */
  MalTime last;
  AapUsed *used;
  AapWanted *wanted;
  int64_t remind; /* when what is wanted is said again; AAP_NEVER: nothing is */
};

AapCoordinator *aap_coordinator_new(const AapCoordinatorConfig *config)
{
  AapCoordinator *c = g_new0(AapCoordinator, 1);
  c->scope = g_strdup(config->scope);
  c->span = config->span;
  c->params = config->params;
  c->sequence = config->sequence;
  c->ops = config->ops;
  c->user = config->user;
  c->ranges = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  c->announced = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  c->timer = AAP_NEVER;
  c->hold = INT64_MIN;
  c->other = INT64_MIN;
  c->last = MAL_BEGINNING;
  c->expiration = MAL_BEGINNING;
  c->used = aap_used_new(config->span, config->params);
  c->wanted = aap_wanted_new();
  c->remind = AAP_NEVER;
  return c;
}

void aap_coordinator_free(AapCoordinator *c)
{
  if (c == NULL)
    return;
  g_array_unref(c->ranges);
  g_array_unref(c->announced);
  aap_used_free(c->used);
  aap_wanted_free(c->wanted);
  g_free(c->scope);
  g_free(c);
}

static void note(AapCoordinator *c, AapCoordinatorNote what, MalEndpoint peer, uint64_t n)
{
  c->ops->note(c->user, c, what, peer, n);
}

static void set_timer(AapCoordinator *c, AapNow now, double low, double high)
{
  double unit = (double)c->params->asa_interval;
  c->timer =
      now.mono + (int64_t)c->ops->random(c->user, (uint64_t)(low * unit), (uint64_t)(high * unit));
}

static void wait_as_backup(AapCoordinator *c, AapNow now)
{
  if (c->state == AAP_COORDINATOR_LEAD)
    note(c, AAP_CNOTE_STANDS_BACK, (MalEndpoint){ 0 }, 0);
  c->state = AAP_COORDINATOR_BACKUP;
  set_timer(c, now, 1.7, 2.3);
}

/* ---- announcing ------------------------------------------------------------------------------ */

static bool is_adjacent(MalSpan a, MalSpan b)
{
  MalAddress next;
  return mal_address_add(a.last, 1, &next) && mal_address_equal(next, b.first);
}

/* Unended ranges, neighbours of one end joined. */
static GArray *joined(const GArray *ranges, MalTime now)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (guint i = 0; i < ranges->len; i++) {
    AapExtent extent = g_array_index(ranges, AapExtent, i);
    AapExtent *last = out->len > 0 ? &g_array_index(out, AapExtent, out->len - 1) : NULL;
    if (aap_time_ended(extent.end, now))
      continue;
    if (last != NULL && last->end == extent.end && is_adjacent(last->span, extent.span))
      last->span.last = extent.span.last;
    else
      g_array_append_val(out, extent);
  }
  return out;
}

/* Later than all that were sent or heard by 2 s at least, else it would not be newer; but not so
   late that nobody believes it (3.2.10.1). */
static MalTime next_expiration(const AapCoordinator *c, MalTime now)
{
  MalTime newer =
      MAX(mal_time_add(now, c->params->asa_horizon_s), mal_time_add(c->expiration, 2));
  return MIN(newer, mal_time_add(now, c->params->asa_max_horizon_s));
}

static bool transmit(AapCoordinator *c, const GArray *extents, bool ended, AapNow now)
{
  g_autofree AapRange *wire = g_new(AapRange, extents->len + 1);
  for (guint i = 0; i < extents->len; i++) {
    const AapExtent *extent = &g_array_index(extents, AapExtent, i);
    wire[i] = (AapRange){ extent->span, aap_time_to_wire(ended ? now.wall : extent->end) };
  }
  uint32_t rseq = aap_sequence_take(c->sequence);
  MalTime expiration = next_expiration(c, now.wall);
  AapMessage msg = { .type = AAP_ASA,
                     .family = c->span.first.family,
                     .rseq = rseq,
                     .current_time = aap_time_to_wire(now.wall),
                     .expiration_time = aap_time_to_wire(expiration),
                     .ranges = wire,
                     .n_ranges = extents->len };
  bool sent = c->ops->send(c->user, c, &msg);
  aap_sequence_let_go(c->sequence, rseq);
  if (!sent)
    return false;
  c->expiration = expiration;
  c->last = now.wall;
  note(c, AAP_CNOTE_ANNOUNCED, (MalEndpoint){ 0 }, extents->len);
  return true;
}

/* With nothing to announce it is silent; what it announced before is then taken back once. */
static bool announce(AapCoordinator *c, AapNow now)
{
  g_autoptr(GArray) extents = joined(c->ranges, now.wall);
  if (extents->len > AAP_MAX_REPORTS) {
    if (!c->too_many)
      note(c, AAP_CNOTE_TOO_MANY_RANGES, (MalEndpoint){ 0 }, extents->len);
    c->too_many = true;
    return false;
  }
  c->too_many = false;
  bool take_back = extents->len == 0;
  if (take_back && c->announced->len == 0)
    return false;
  if (!transmit(c, take_back ? c->announced : extents, take_back, now))
    return false;
  g_array_set_size(c->announced, 0);
  g_array_append_vals(c->announced, extents->data, extents->len);
  return true;
}

static void lead(AapCoordinator *c, AapNow now)
{
  if (announce(c, now) && c->state != AAP_COORDINATOR_LEAD) {
    c->state = AAP_COORDINATOR_LEAD;
    note(c, AAP_CNOTE_LEADS, (MalEndpoint){ 0 }, 0);
  }
  set_timer(c, now, 0.7, 1.3);
}

/* ---- life ------------------------------------------------------------------------------------ */

void aap_coordinator_start(AapCoordinator *c, AapNow now)
{
  c->started = true;
  if (c->ranges->len > 0)
    wait_as_backup(c, now);
}

/* What ANAs said in all. */
static void say_wanted(AapCoordinator *c, AapNow now)
{
  MalTime end;
  uint64_t sum = aap_wanted_sum(c->wanted, now.wall, &end);
  c->remind = sum > 0 ? now.mono + MAX(c->params->asrp_interval, AAP_US / 10) : AAP_NEVER;
  if (sum > 0)
    c->ops->demand(c->user, c, sum, end);
}

static void forget_wanted(AapCoordinator *c)
{
  aap_wanted_clear(c->wanted);
  c->remind = AAP_NEVER;
}

static MalU128 addresses_of(const GArray *extents)
{
  MalU128 sum = 0;
  for (guint i = 0; i < extents->len; i++)
    sum += mal_span_size(g_array_index(extents, AapExtent, i).span);
  return sum;
}

static bool same_extents(const GArray *a, const GArray *b)
{
  if (a->len != b->len)
    return false;
  for (guint i = 0; i < a->len; i++) {
    const AapExtent *x = &g_array_index(a, AapExtent, i), *y = &g_array_index(b, AapExtent, i);
    if (x->end != y->end || !mal_address_equal(x->span.first, y->span.first) ||
        !mal_address_equal(x->span.last, y->span.last))
      return false;
  }
  return true;
}

void aap_coordinator_set_ranges(AapCoordinator *c, const AapExtent *ranges, size_t n, AapNow now)
{
  g_autoptr(GArray) old = c->ranges;
  c->ranges = g_array_sized_new(FALSE, FALSE, sizeof(AapExtent), (guint)n + 1);
  g_array_append_vals(c->ranges, ranges, (guint)n);
  if (!c->started || same_extents(old, c->ranges))
    return;
  if (addresses_of(c->ranges) > addresses_of(old))
    forget_wanted(c);
  if (c->state == AAP_COORDINATOR_INIT)
    wait_as_backup(c, now);
  else if (c->state == AAP_COORDINATOR_LEAD)
    lead(c, now);
}

int64_t aap_coordinator_due(const AapCoordinator *c)
{
  return MIN(c->timer, c->remind);
}

void aap_coordinator_run(AapCoordinator *c, AapNow now)
{
  if (c->remind <= now.mono)
    say_wanted(c, now);
  if (c->timer > now.mono)
    return;
  if (c->state == AAP_COORDINATOR_SUSPENDED) {
    wait_as_backup(c, now);
  } else {
    lead(c, now);
  }
}

bool aap_coordinator_announce(AapCoordinator *c, AapNow now)
{
  if (c->state != AAP_COORDINATOR_LEAD)
    return false;
  lead(c, now);
  return true;
}

void aap_coordinator_clock_stepped(AapCoordinator *c, int64_t delta, AapNow now)
{
  (void)now;
  if (c->expiration != MAL_BEGINNING)
    c->expiration = mal_time_add(c->expiration, delta);
  aap_used_clock_stepped(c->used, delta);
  aap_wanted_clock_stepped(c->wanted, delta);
}

void aap_coordinator_each_use(const AapCoordinator *c, MalSpan span, AapNow now, AapUsedFunc func,
                              void *data)
{
  aap_used_each(c->used, span, now, func, data);
}

AapCoordinatorState aap_coordinator_state(const AapCoordinator *c)
{
  return c->state;
}

MalTime aap_coordinator_last_announced(const AapCoordinator *c)
{
  return c->last;
}

/* ---- hearing --------------------------------------------------------------------------------- */

static GArray *extents_of(const AapMessage *msg, MalTime now)
{
  int64_t delta = aap_time_delta(now, msg->current_time);
  g_autofree AapRange *scratch = g_memdup2(msg->ranges, msg->n_ranges * sizeof *msg->ranges);
  g_autofree AapRange *united = g_new(AapRange, 2 * msg->n_ranges + 1);
  size_t n = msg->n_ranges > 0 ? aap_ranges_unite(scratch, msg->n_ranges, united) : 0;
  g_autoptr(GArray) out = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (size_t i = 0; i < n; i++) {
    AapExtent extent = { united[i].span, united[i].value == AAP_TIME_MAX
                                             ? MAL_FOREVER
                                             : aap_time_adjust(united[i].value, delta) };
    g_array_append_val(out, extent);
  }
  return joined(out, now);
}

static bool same_end(const AapCoordinator *c, MalTime a, MalTime b, MalTime now)
{
  bool far_a = a > mal_time_add(now, FAR_S), far_b = b > mal_time_add(now, FAR_S);
  return (far_a && far_b) || aap_time_same(a, b, c->params->end_tolerance_s);
}

/* The same addresses, ends within the tolerance (4.2.1.1). Both are cut at each other's edges, so
   that how they were joined plays no part. */
static bool is_consistent(const AapCoordinator *c, const GArray *theirs, MalTime now)
{
  g_autoptr(GArray) ours = joined(c->ranges, now);
  guint i = 0, k = 0;
  if (ours->len == 0 || theirs->len == 0)
    return ours->len == theirs->len;
  AapExtent a = g_array_index(ours, AapExtent, 0), b = g_array_index(theirs, AapExtent, 0);
  for (;;) {
    if (!mal_address_equal(a.span.first, b.span.first) || !same_end(c, a.end, b.end, now))
      return false;
    int order = mal_address_compare(a.span.last, b.span.last);
    MalAddress next = order <= 0 ? a.span.last : b.span.last;
    i += order <= 0;
    k += order >= 0;
    mal_address_add(next, 1, &next); /* after the last address of all, both have ended */
    if (i >= ours->len || k >= theirs->len)
      return i >= ours->len && k >= theirs->len;
    if (order <= 0)
      a = g_array_index(ours, AapExtent, i);
    else
      a.span.first = next;
    if (order >= 0)
      b = g_array_index(theirs, AapExtent, k);
    else
      b.span.first = next;
  }
}

static void heard_inconsistent(AapCoordinator *c, MalEndpoint from, AapNow now)
{
  if (c->hold <= now.mono)
    note(c, AAP_CNOTE_INCONSISTENT, from, 0);
  c->hold = now.mono + 5 * c->params->asa_interval;
  if (c->params->go_on_if_inconsistent)
    return;
  c->state = AAP_COORDINATOR_SUSPENDED;
  c->timer = c->hold;
}

void aap_coordinator_take_back(AapCoordinator *c, const AapExtent *ranges, size_t n, AapNow now)
{
  if (!c->started || c->state == AAP_COORDINATOR_SUSPENDED || c->ranges->len > 0 ||
      c->other > now.mono || n == 0 || n > AAP_MAX_REPORTS)
    return;
  g_autoptr(GArray) extents = g_array_sized_new(FALSE, FALSE, sizeof(AapExtent), (guint)n);
  g_array_append_vals(extents, ranges, (guint)n);
  transmit(c, extents, true, now);
}

/* What servers say again, since no coordinator does, and is not the domain's any more, they did not
   hear to be over: they were not there. */
static void heard_unknown(AapCoordinator *c, MalEndpoint from, const AapMessage *msg,
                          GArray *theirs, AapNow now)
{
  g_autoptr(GArray) all = g_array_copy(theirs);
  if (c->ops->vouch != NULL)
    c->ops->vouch(c->user, c, theirs);
  if (theirs->len > 0) {
    note(c, AAP_CNOTE_ADOPTED, from, theirs->len);
    c->ops->adopted(c->user, c, (const AapExtent *)(void *)theirs->data, theirs->len);
  } else if (aap_asa_is_resent(msg)) {
    aap_coordinator_take_back(c, (const AapExtent *)(void *)all->data, all->len, now);
  }
}

static void heard_asa(AapCoordinator *c, MalEndpoint from, const AapMessage *msg, AapNow now)
{
  if (!aap_horizon_ok(msg, c->params->asa_max_horizon_s))
    return;
  g_autoptr(GArray) theirs = extents_of(msg, now.wall);
  MalTime expiration =
      aap_time_adjust(msg->expiration_time, aap_time_delta(now.wall, msg->current_time));
  c->expiration = MAX(c->expiration, expiration);
  if (!aap_asa_is_resent(msg) && theirs->len > 0)
    c->other = now.mono + 23 * c->params->asa_interval / 10;
  if (c->ranges->len == 0) {
    if (theirs->len > 0)
      heard_unknown(c, from, msg, theirs, now);
    return;
  }
  if (aap_asa_is_resent(msg))
    return;
  if (!is_consistent(c, theirs, now.wall))
    heard_inconsistent(c, from, now);
  else if (c->state != AAP_COORDINATOR_SUSPENDED)
    wait_as_backup(c, now);
}

static int range_order(const void *a, const void *b)
{
  return mal_address_compare(((const AapRange *)a)->span.first, ((const AapRange *)b)->span.first);
}

/* The same set of (first, last); order and ends play no part (4.2.2). */
static bool matches(const AapCoordinator *c, const AapMessage *msg)
{
  if (msg->n_ranges != c->announced->len || msg->n_ranges == 0)
    return false;
  g_autofree AapRange *sorted = g_memdup2(msg->ranges, msg->n_ranges * sizeof *msg->ranges);
  qsort(sorted, msg->n_ranges, sizeof *sorted, range_order);
  for (size_t i = 0; i < msg->n_ranges; i++) {
    MalSpan own = g_array_index(c->announced, AapExtent, i).span;
    if (!mal_address_equal(own.first, sorted[i].span.first) ||
        !mal_address_equal(own.last, sorted[i].span.last))
      return false;
  }
  return true;
}

static void want(AapCoordinator *c, uint64_t count, MalTime end, AapNow now)
{
  if (!aap_time_ended(end, now.wall))
    c->ops->demand(c->user, c, count, end);
}

static void heard_asrp(AapCoordinator *c, MalEndpoint from, const AapMessage *msg, AapNow now)
{
  int64_t delta = aap_time_delta(now.wall, msg->current_time);
  uint64_t used = 0, wanted = 0;
  MalU128 size = 0;
  MalTime end = MAL_BEGINNING;
  if (c->state != AAP_COORDINATOR_LEAD)
    return;
  if (!matches(c, msg)) {
    note(c, AAP_CNOTE_REPORT_IGNORED, from, msg->n_ranges);
    return;
  }
  for (size_t i = 0; i < msg->n_ranges; i++) {
    used += msg->ranges[i].value;
    size += mal_span_size(msg->ranges[i].span);
  }
  for (size_t i = 0; i < msg->n_requests; i++) {
    wanted += msg->requests[i].count;
    end = MAX(end, aap_time_adjust(msg->requests[i].end_time, delta));
  }
  note(c, AAP_CNOTE_REPORT, from, used);
  forget_wanted(c);
  if (wanted > 0)
    want(c, wanted, end, now);
  else if ((MalU128)used * 100 > size * FULL_PERCENT)
    want(c, used / 4 + 1, mal_time_add(now.wall, c->params->own_lifetime_s), now);
}

/* Whoever leads hears of what is missing, and everybody while there is nothing to announce. */
static void heard_ana(AapCoordinator *c, MalEndpoint from, const AapMessage *msg, AapNow now)
{
  if (c->state != AAP_COORDINATOR_LEAD && c->state != AAP_COORDINATOR_INIT)
    return;
  MalTime end =
      aap_time_adjust(msg->requests[0].end_time, aap_time_delta(now.wall, msg->current_time));
  if (aap_wanted_heard(c->wanted, from, msg->rseq, msg->requests[0].count, end))
    say_wanted(c, now);
}

void aap_coordinator_heard(AapCoordinator *c, MalEndpoint from, const AapMessage *msg, AapNow now)
{
  if (!c->started)
    return;
  aap_used_heard(c->used, msg, now);
  if (msg->type == AAP_ASA)
    heard_asa(c, from, msg, now);
  else if (msg->type == AAP_ASRP)
    heard_asrp(c, from, msg, now);
  else if (msg->type == AAP_ANA)
    heard_ana(c, from, msg, now);
}
