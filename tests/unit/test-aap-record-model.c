/* The Allocation Record against a plain array under random messages, times and clock steps
   (draft-ietf-malloc-aap-04 section 3.2). */
#include "plugins/aap/aap-record.h"
#include "tests/unit/aap-toy.h"

#include <criterion/criterion.h>

#define N_INTENTS 4
#define NONE MAL_BEGINNING

static const Toy toys[] = TOYS;
static const AapParams params = { .end_tolerance_s = 10,
                                  .reuse_guard_s = 300,
                                  .claim_memory = 10 * AAP_US,
                                  .prealloc_recent = 90 * AAP_US,
                                  .max_entries = 100000 };

typedef struct {
  MalTime end; /* NONE: not allocated */
  int64_t heard;
  unsigned peer;
} Foreign;

typedef struct {
  MalTime ends[TOY_CELLS]; /* NONE: not intended */
  int64_t heard;
} Intent;

typedef struct {
  const Toy *toy;
  GRand *rand;
  AapRecord *record;
  AapNow now;
  Foreign foreign[TOY_CELLS];
  Intent intents[N_INTENTS];
  int64_t claimed[TOY_CELLS];
  MalTime ended[TOY_CELLS], limit[TOY_CELLS], stored[TOY_CELLS];
  bool expired[TOY_CELLS];
} Model;

static int pick(Model *m, int low, int high)
{
  return g_rand_int_range(m->rand, low, high);
}

/* ---- the model ------------------------------------------------------------------------------- */

static void model_ended(Model *m, unsigned i, MalTime end)
{
  m->ended[i] = MAX(m->ended[i], end);
}

static void model_in_use(Model *m, unsigned i, MalTime end, unsigned peer)
{
  if (end > m->now.wall) {
    m->foreign[i] = (Foreign){ end, m->now.mono, peer };
    for (unsigned k = 0; k < N_INTENTS; k++)
      m->intents[k].ends[i] = NONE;
  } else if (m->foreign[i].end != NONE) {
    model_ended(m, i, MIN(end, m->foreign[i].end));
    m->foreign[i].end = NONE;
  }
}

static void model_expire(Model *m)
{
  for (unsigned i = 0; i < TOY_CELLS; i++) {
    m->expired[i] = m->foreign[i].end != NONE && m->foreign[i].end <= m->now.wall;
    if (m->expired[i]) {
      model_ended(m, i, m->foreign[i].end);
      m->foreign[i].end = NONE;
    }
    for (unsigned k = 0; k < N_INTENTS; k++)
      if (m->intents[k].ends[i] <= m->now.wall)
        m->intents[k].ends[i] = NONE;
    if (m->ended[i] != NONE && m->ended[i] <= m->now.wall - params.reuse_guard_s)
      m->ended[i] = NONE;
  }
}

static void shift(MalTime *end, int64_t delta)
{
  if (*end != NONE)
    *end += delta;
}

static bool lives(const Model *m, unsigned i, MalTime end)
{
  return end != NONE && MIN(end, m->limit[i]) > m->now.wall;
}

static AapRank model_rank(const Model *m, unsigned i)
{
  bool any = false, recent = false;
  if (lives(m, i, m->foreign[i].end))
    return AAP_RANK_TAKEN;
  for (unsigned k = 0; k < N_INTENTS; k++)
    if (lives(m, i, m->intents[k].ends[i])) {
      any = true;
      recent = recent || m->now.mono - m->intents[k].heard <= params.prealloc_recent;
    }
  if (any)
    return recent ? AAP_RANK_RECENT : AAP_RANK_SILENT;
  if (m->claimed[i] != NONE && m->now.mono - m->claimed[i] < params.claim_memory)
    return AAP_RANK_GUARDED;
  if (m->ended[i] != NONE && m->now.wall - m->ended[i] < params.reuse_guard_s)
    return AAP_RANK_GUARDED;
  return AAP_RANK_FREE;
}

/* ---- checks ---------------------------------------------------------------------------------- */

typedef struct {
  const Model *m;
  MalSpan within;
  uint64_t sums[TOY_CELLS];
  unsigned calls[TOY_CELLS], next;
  AapRank before;
} Seen;

static uint64_t mix(MalTime end, int64_t heard, MalEndpoint peer)
{
  return ((uint64_t)end * 0x9E3779B97F4A7C15u) ^ ((uint64_t)heard * 0xC2B2AE3D27D4EB4Fu) ^
         (uint64_t)peer.address.value;
}

static void see(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard, void *data)
{
  Seen *seen = data;
  const Toy *toy = seen->m->toy;
  MUST(toy_fits(toy, span) && mal_span_contains(seen->within, span));
  for (unsigned i = toy_cell(toy, span.first); i <= toy_cell(toy, span.last); i++) {
    seen->sums[i] += mix(end, heard, peer);
    seen->calls[i]++;
  }
}

static void check_foreign(Model *m)
{
  MalSpan span = toy_random(m->toy, m->rand, 200);
  Seen seen = { .m = m, .within = span };
  bool any = false;
  aap_record_foreign(m->record, span, m->now, see, &seen);
  for (unsigned i = toy_cell(m->toy, span.first); i <= toy_cell(m->toy, span.last); i++) {
    const Foreign *f = &m->foreign[i];
    bool here = lives(m, i, f->end);
    MUST(seen.calls[i] == here);
    if (here)
      MUST(seen.sums[i] == mix(MIN(f->end, m->limit[i]), f->heard, toy_peer(f->peer)));
    any = any || here;
  }
  MUST(aap_record_is_foreign(m->record, span, m->now) == any);
}

static void check_intended(Model *m)
{
  MalSpan span = toy_random(m->toy, m->rand, 200);
  Seen seen = { .m = m, .within = span };
  aap_record_foreign_preallocated(m->record, span, m->now, see, &seen);
  for (unsigned i = toy_cell(m->toy, span.first); i <= toy_cell(m->toy, span.last); i++) {
    uint64_t sum = 0;
    unsigned n = 0;
    for (unsigned k = 0; k < N_INTENTS; k++)
      if (lives(m, i, m->intents[k].ends[i])) {
        sum += mix(MIN(m->intents[k].ends[i], m->limit[i]), m->intents[k].heard, toy_peer(k / 2));
        n++;
      }
    MUST(seen.calls[i] == n);
    MUST(seen.sums[i] == sum);
  }
}

static void see_rank(MalSpan span, AapRank rank, void *data)
{
  Seen *seen = data;
  MUST(toy_fits(seen->m->toy, span));
  MUST(toy_cell(seen->m->toy, span.first) == seen->next);
  MUST(rank != seen->before);
  for (; seen->next <= toy_cell(seen->m->toy, span.last); seen->next++)
    MUST(rank == model_rank(seen->m, seen->next));
  seen->before = rank;
}

static void check_ranks(Model *m)
{
  MalSpan span = toy_random(m->toy, m->rand, 256);
  Seen seen = { .m = m, .next = toy_cell(m->toy, span.first), .before = (AapRank)99 };
  aap_record_ranks(m->record, span, m->now, see_rank, &seen);
  MUST(seen.next == toy_cell(m->toy, span.last) + 1);
}

static void check_until(Model *m)
{
  MalSpan span = toy_random(m->toy, m->rand, 40);
  MalTime until = MAL_FOREVER;
  for (unsigned i = toy_cell(m->toy, span.first); i <= toy_cell(m->toy, span.last); i++)
    until = MIN(until, m->limit[i]);
  MUST(aap_record_available_until(m->record, span) == until);
}

static void check_due(Model *m)
{
  MalTime due = MAL_FOREVER;
  for (unsigned i = 0; i < TOY_CELLS; i++) {
    due = m->foreign[i].end != NONE ? MIN(due, m->foreign[i].end) : due;
    for (unsigned k = 0; k < N_INTENTS; k++)
      due = m->intents[k].ends[i] != NONE ? MIN(due, m->intents[k].ends[i]) : due;
  }
  MUST(aap_record_due(m->record) == due);
}

static void store(MalSpan span, MalTime end, MalEndpoint peer, void *data)
{
  Model *m = data;
  (void)peer;
  MUST(toy_fits(m->toy, span));
  for (unsigned i = toy_cell(m->toy, span.first); i <= toy_cell(m->toy, span.last); i++)
    m->stored[i] = end;
}

/* What the store was told is what is known, up to transit and rounding. */
static void check_changes(Model *m)
{
  aap_record_changes(m->record, store, m);
  MUST(!aap_record_has_changes(m->record));
  for (unsigned i = 0; i < TOY_CELLS; i++)
    if (m->foreign[i].end == NONE)
      MUST(m->stored[i] == NONE);
    else
      MUST(llabs(m->stored[i] - m->foreign[i].end) <= params.end_tolerance_s);
}

/* ---- what happens ---------------------------------------------------------------------------- */

static MalTime some_end(Model *m)
{
  return m->now.wall + (pick(m, 0, 5) == 0 ? pick(m, -60, 1) : 100 * pick(m, 1, 7) + pick(m, 0, 3));
}

static void do_in_use(Model *m)
{
  AapExtent range = { toy_random(m->toy, m->rand, 24), some_end(m) };
  unsigned peer = (unsigned)pick(m, 0, 3);
  MUST(aap_record_in_use(m->record, toy_peer(peer), &range, m->now));
  for (unsigned i = toy_cell(m->toy, range.span.first); i <= toy_cell(m->toy, range.span.last); i++)
    model_in_use(m, i, range.end, peer);
}

/* Up to four ranges, sorted and disjoint. */
static size_t some_ranges(Model *m, AapExtent *out)
{
  unsigned at = (unsigned)pick(m, 0, 100);
  size_t n = (size_t)pick(m, 0, 5);
  for (size_t i = 0; i < n; i++) {
    unsigned last = at + (unsigned)pick(m, 0, 20);
    out[i] = (AapExtent){ toy_span(m->toy, at, last), some_end(m) };
    at = last + 1 + (unsigned)pick(m, 0, 12);
  }
  return n;
}

static void do_intend(Model *m)
{
  AapExtent ranges[4];
  size_t n = some_ranges(m, ranges);
  unsigned k = (unsigned)pick(m, 0, N_INTENTS);
  Intent *intent = &m->intents[k];
  MUST(aap_record_intend(m->record, toy_peer(k / 2), 1 + k % 2, ranges, n, m->now));
  for (unsigned i = 0; i < TOY_CELLS; i++)
    intent->ends[i] = NONE;
  intent->heard = m->now.mono;
  for (size_t r = 0; r < n; r++)
    for (unsigned i = toy_cell(m->toy, ranges[r].span.first);
         i <= toy_cell(m->toy, ranges[r].span.last); i++)
      if (ranges[r].end > m->now.wall && m->foreign[i].end <= m->now.wall)
        intent->ends[i] = ranges[r].end;
}

static void do_claim(Model *m)
{
  AapExtent ranges[4];
  size_t n = some_ranges(m, ranges);
  MUST(aap_record_claimed(m->record, toy_peer(9), 1, ranges, n, m->now));
  for (size_t r = 0; r < n; r++)
    for (unsigned i = toy_cell(m->toy, ranges[r].span.first);
         i <= toy_cell(m->toy, ranges[r].span.last); i++)
      if (ranges[r].end > m->now.wall)
        m->claimed[i] = m->now.mono;
}

static void do_ended(Model *m)
{
  MalSpan span = toy_random(m->toy, m->rand, 16);
  MalTime end = m->now.wall - pick(m, 0, 200);
  aap_record_ended(m->record, span, end);
  for (unsigned i = toy_cell(m->toy, span.first); i <= toy_cell(m->toy, span.last); i++)
    model_ended(m, i, end);
}

/* The space as the array says it, in ranges of several ends, some of them already over. */
static void do_available(Model *m)
{
  AapExtent ranges[TOY_CELLS];
  size_t n = 0;
  for (unsigned i = 0; i < TOY_CELLS;) {
    unsigned length = (unsigned)pick(m, 0, 60), last = MIN(i + length, TOY_CELLS - 1u);
    MalTime end = pick(m, 0, 3) == 0 ? NONE : m->now.wall + pick(m, -50, 900);
    if (end != NONE)
      ranges[n++] = (AapExtent){ toy_span(m->toy, i, last), end };
    for (; i <= last; i++)
      m->limit[i] = end;
  }
  aap_record_set_available(m->record, ranges, n);
}

static void mark_expired(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard, void *data)
{
  Model *m = data;
  (void)peer;
  (void)heard;
  MUST(end <= m->now.wall);
  for (unsigned i = toy_cell(m->toy, span.first); i <= toy_cell(m->toy, span.last); i++) {
    MUST(m->expired[i]);
    m->expired[i] = false;
  }
}

static void do_expire(Model *m)
{
  model_expire(m);
  aap_record_expire(m->record, m->now, mark_expired, m);
  for (unsigned i = 0; i < TOY_CELLS; i++)
    MUST(!m->expired[i]);
}

static void do_step(Model *m)
{
  int64_t delta = pick(m, -2000, 2000);
  m->now.wall += delta;
  aap_record_clock_stepped(m->record, delta);
  for (unsigned i = 0; i < TOY_CELLS; i++) {
    shift(&m->foreign[i].end, delta);
    shift(&m->ended[i], delta);
    for (unsigned k = 0; k < N_INTENTS; k++)
      shift(&m->intents[k].ends[i], delta);
  }
}

static void do_something(Model *m)
{
  int what = pick(m, 0, 100);
  if (what < 35)
    do_in_use(m);
  else if (what < 65)
    do_intend(m);
  else if (what < 80)
    do_claim(m);
  else if (what < 88)
    do_ended(m);
  else if (what < 92)
    do_available(m);
  else if (what < 99)
    do_expire(m);
  else
    do_step(m);
}

static void run(const Toy *toy, uint32_t seed)
{
  Model m = { .toy = toy,
              .rand = g_rand_new_with_seed(seed),
              .record = aap_record_new(toy->family, &params),
              .now = { 1000 * AAP_US, 1000000 } };
  for (unsigned i = 0; i < TOY_CELLS; i++) {
    m.foreign[i].end = m.claimed[i] = m.ended[i] = m.stored[i] = NONE;
    m.limit[i] = MAL_FOREVER;
    for (unsigned k = 0; k < N_INTENTS; k++)
      m.intents[k].ends[i] = NONE;
  }
  for (unsigned step = 0; step < 400; step++) {
    int seconds = pick(&m, 0, 20);
    m.now.wall += seconds;
    m.now.mono += seconds * AAP_US;
    do_something(&m);
    aap_record_check(m.record);
    check_foreign(&m);
    check_intended(&m);
    check_ranks(&m);
    check_until(&m);
    check_due(&m);
    if (step % 10 == 9)
      check_changes(&m);
  }
  aap_record_free(m.record);
  g_rand_free(m.rand);
}

Test(aap_record_model, aap_55_57_58_59_random_messages)
{
  for (size_t t = 0; t < G_N_ELEMENTS(toys); t++)
    for (uint32_t seed = 1; seed <= 8; seed++)
      run(&toys[t], seed);
}
