/* The cache of claims against a naive one, by random operations; WITHDRAWs as an overlay (RFC 2909
   11.7, 12.3, 12.4). */
#include "plugins/masc/masc-cache.h"

#include <criterion/criterion.h>
#include <string.h>

#define BASE UINT32_C(0xE9FC0000)
#define OWN 9

static MascCache *new_cache(uint64_t seed)
{
  MalHashKey key = { { (uint8_t)seed, 1, 2, 3 } };
  return masc_cache_new(OWN, &key);
}

static uint64_t next(uint64_t *seed)
{
  uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  return z ^ (z >> 31);
}

static uint64_t below(uint64_t *seed, uint64_t n)
{
  return next(seed) % n;
}

/* Of 256 addresses; now and then a hint. */
static MalPrefix some_prefix(uint64_t *seed)
{
  unsigned length = 24 + (unsigned)below(seed, 9);
  uint32_t mask = UINT32_MAX << (32 - length);
  uint32_t low = (uint32_t)below(seed, 256);
  if (below(seed, 16) == 0)
    return (MalPrefix){ mal_address_ipv4(0), length };
  return (MalPrefix){ mal_address_ipv4((BASE | low) & mask), length };
}

static MascRecord some_record(uint64_t *seed)
{
  static const MascRole roles[] = { MASC_SIBLING, MASC_CHILD };
  MascRecord r = { .claim = { .type = (MascClaimType)below(seed, MASC_N_CLAIM_TYPES),
                              .role = roles[below(seed, 2)],
                              .timestamp = 100 + (uint32_t)below(seed, 8),
                              .lifetime = 100,
                              .holdtime = (uint32_t)below(seed, 3),
                              .domain = 5 + below(seed, 6),
                              .node = 1 + below(seed, 2),
                              .prefix = some_prefix(seed) },
                   .forget_at = (MalTime)below(seed, 50) };
  if (r.claim.type == MASC_WITHDRAW) {
    r.names = below(seed, 4) == 0;
    r.clash = !r.names && below(seed, 4) == 0;
  }
  return r;
}

/* ---- the naive one --------------------------------------------------------------------------- */

typedef struct {
  MascRecord *records[400];
  size_t n;
} Naive;

static MascRecord *naive_same(const Naive *naive, const MascClaim *claim)
{
  for (size_t i = 0; i < naive->n; i++)
    if (masc_claim_same(&naive->records[i]->claim, claim))
      return naive->records[i];
  return NULL;
}

static void naive_remove(Naive *naive, const MascRecord *record)
{
  size_t i = 0;
  while (naive->records[i] != record)
    i++;
  for (naive->n--; i < naive->n; i++)
    naive->records[i] = naive->records[i + 1];
}

static bool naive_withdrawn_at(const Naive *naive, const MascRecord *r, uint32_t address)
{
  MalAddress a = mal_address_ipv4(address);
  for (size_t i = 0; i < naive->n; i++) {
    const MascRecord *w = naive->records[i];
    if (w->claim.type == MASC_WITHDRAW && !w->names && w->claim.domain == r->claim.domain &&
        w->claim.role == r->claim.role && !masc_claim_is_hint(&w->claim) &&
        mal_span_has(mal_span_of_prefix(w->claim.prefix), a) &&
        (w->clash || w->claim.timestamp >= r->claim.timestamp))
      return true;
  }
  return false;
}

/* ---- comparing ------------------------------------------------------------------------------- */

typedef struct {
  const Naive *naive;
  const MascRecord *last;
  size_t n;
  MalSpan span;
  MascId domain;
} Seen;

static bool see_overlapping(MascRecord *record, void *data)
{
  Seen *s = data;
  cr_assert(mal_span_overlaps(mal_span_of_prefix(record->claim.prefix), s->span));
  cr_assert(!masc_claim_is_hint(&record->claim));
  if (s->last != NULL) {
    int order = mal_address_compare(s->last->claim.prefix.address, record->claim.prefix.address);
    cr_assert(order < 0 ||
              (order == 0 && s->last->claim.prefix.length <= record->claim.prefix.length));
    cr_assert(order < 0 || s->last->claim.prefix.length < record->claim.prefix.length ||
              s->last->serial < record->serial);
  }
  s->last = record;
  s->n++;
  return true;
}

static bool see_of(MascRecord *record, void *data)
{
  Seen *s = data;
  cr_assert_eq(record->claim.domain, s->domain);
  cr_assert(s->last == NULL || s->last->serial < record->serial);
  s->last = record;
  s->n++;
  return true;
}

static bool see(MascRecord *record, void *data)
{
  (void)record;
  ++*(size_t *)data;
  return true;
}

static void compare_overlapping(const MascCache *cache, const Naive *naive, MalPrefix prefix)
{
  Seen s = { .span = mal_span_of_prefix(prefix) };
  size_t n = 0;
  for (size_t i = 0; i < naive->n; i++)
    n += !masc_claim_is_hint(&naive->records[i]->claim) &&
         mal_span_overlaps(mal_span_of_prefix(naive->records[i]->claim.prefix), s.span);
  Seen look = s;
  masc_cache_overlapping(cache, prefix, see_overlapping, &s);
  masc_cache_look(cache, prefix, see_overlapping, &look);
  cr_assert_eq(s.n, n);
  cr_assert_eq(look.n, n);
}

static void compare_remains(const MascCache *cache, const Naive *naive, const MascRecord *record)
{
  MalPrefix rest[256];
  bool left[256] = { false };
  MalSpan span = mal_span_of_prefix(record->claim.prefix);
  size_t n = masc_cache_remains(cache, record, rest, G_N_ELEMENTS(rest));
  size_t expected = 0, found = 0;
  if (masc_claim_is_hint(&record->claim))
    return;
  for (size_t i = 0; i < n; i++) {
    MalSpan piece = mal_span_of_prefix(rest[i]);
    cr_assert(mal_span_contains(span, piece));
    cr_assert(i == 0 || mal_address_compare(mal_span_of_prefix(rest[i - 1]).last,
                                            piece.first) < 0);
    for (MalU128 a = piece.first.value; a <= piece.last.value; a++)
      left[a & 255] = true;
    found += (size_t)mal_span_size(piece);
  }
  for (uint32_t a = (uint32_t)span.first.value; a <= (uint32_t)span.last.value; a++) {
    bool stands = !naive_withdrawn_at(naive, record, a);
    cr_assert_eq(left[a & 255], stands);
    expected += stands;
  }
  cr_assert_eq(found, expected);
  cr_assert_eq(masc_cache_withdrawn(cache, record), expected == 0);
}

static void compare(const MascCache *cache, const Naive *naive, uint64_t *seed)
{
  MascRecord probe = some_record(seed);
  Seen s = { .domain = 5 + below(seed, 6) };
  size_t n = 0, all = 0, children = 0;
  MalTime due = MAL_FOREVER;
  masc_cache_check(cache);
  for (size_t i = 0; i < naive->n; i++) {
    n += naive->records[i]->claim.domain == s.domain;
    due = MIN(due, naive->records[i]->forget_at);
    children += naive->records[i]->claim.role == MASC_CHILD &&
                naive->records[i]->claim.domain != OWN;
  }
  masc_cache_each_of(cache, s.domain, see_of, &s);
  cr_assert_eq(s.n, n);
  masc_cache_each(cache, see, &all);
  cr_assert_eq(all, naive->n);
  cr_assert_eq(masc_cache_size(cache), naive->n);
  cr_assert_eq(masc_cache_children(cache), children);
  cr_assert_eq(masc_cache_due(cache), due);
  cr_assert_eq(masc_cache_same(cache, &probe.claim), naive_same(naive, &probe.claim));
  if (!masc_claim_is_hint(&probe.claim))
    compare_overlapping(cache, naive, probe.claim.prefix);
  compare_remains(cache, naive, &probe);
}

/* Another of the same domain and prefix takes the place of one of them. */
static void replace(MascCache *cache, Naive *naive, uint64_t *seed)
{
  MascRecord *old = naive->records[below(seed, naive->n)], r = some_record(seed);
  r.claim.domain = old->claim.domain;
  r.claim.prefix = old->claim.prefix;
  if (masc_claim_is_hint(&r.claim) || naive_same(naive, &r.claim) != NULL)
    return;
  naive_remove(naive, old);
  naive->records[naive->n++] = masc_cache_replace(cache, old, &r);
}

Test(cache, like_a_naive_one)
{
  for (uint64_t run = 1; run <= 40; run++) {
    uint64_t seed = run;
    MascCache *cache = new_cache(run);
    Naive naive = { .n = 0 };
    size_t most = 20 + below(&seed, 300);
    for (unsigned i = 0; i < 600; i++) {
      MascRecord r = some_record(&seed);
      if (naive.n > 0 && (naive.n >= most || below(&seed, 5) < 2)) {
        MascRecord *gone = naive.records[below(&seed, naive.n)];
        naive_remove(&naive, gone);
        masc_cache_remove(cache, gone);
      } else if (naive.n > 0 && below(&seed, 4) == 0) {
        replace(cache, &naive, &seed);
      } else if (naive_same(&naive, &r.claim) == NULL) {
        naive.records[naive.n++] = masc_cache_add(cache, &r);
      }
      compare(cache, &naive, &seed);
    }
    masc_cache_free(cache);
  }
}

/* ---- removing while walking ------------------------------------------------------------------ */

typedef struct {
  MascCache *cache;
  uint64_t seed;
  size_t seen;
} Sweep;

static bool sweep(MascRecord *record, void *data)
{
  Sweep *s = data;
  s->seen++;
  if (below(&s->seed, 2) == 0)
    masc_cache_remove(s->cache, record);
  return true;
}

static void fill(MascCache *cache, size_t n, uint64_t *seed)
{
  while (masc_cache_size(cache) < n) {
    MascRecord r = some_record(seed);
    if (masc_cache_same(cache, &r.claim) == NULL)
      masc_cache_add(cache, &r);
  }
}

Test(cache, the_record_at_hand_may_go)
{
  uint64_t seed = 77;
  for (unsigned run = 0; run < 50; run++) {
    MascCache *cache = new_cache(run);
    Sweep s = { cache, run, 0 };
    MalPrefix all = { mal_address_ipv4(0), 0 };
    fill(cache, 100, &seed);
    if (run % 2 == 0) {
      masc_cache_each(cache, sweep, &s);
      cr_assert_eq(s.seen, 100);
    } else {
      masc_cache_overlapping(cache, all, sweep, &s);
    }
    masc_cache_check(cache);
    cr_assert_lt(masc_cache_size(cache), 100);
    masc_cache_free(cache);
  }
}

static bool stop_at(MascRecord *record, void *data)
{
  unsigned *left = data;
  (void)record;
  return --*left > 0;
}

static bool take_out(MascRecord *record, void *data)
{
  masc_cache_remove(data, record);
  return true;
}

Test(cache, a_walk_ends_where_it_is_told_and_outlives_what_it_walks_through)
{
  uint64_t seed = 5;
  for (unsigned left = 1; left <= 30; left += 29) {
    MascCache *cache = new_cache(left);
    unsigned more = left;
    fill(cache, 40, &seed);
    masc_cache_each(cache, stop_at, &more);
    cr_expect_eq(more, 0, "%u too many", left);
    masc_cache_each(cache, take_out, cache);
    cr_expect_eq(masc_cache_size(cache), 0);
    masc_cache_check(cache);
    masc_cache_free(cache);
  }
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static MascRecord of_origin(MascId domain, uint32_t number)
{
  return (MascRecord){ .claim = { .type = MASC_NEW_CLAIM,
                                  .role = MASC_SIBLING,
                                  .timestamp = number,
                                  .domain = domain,
                                  .node = 1,
                                  .prefix = { mal_address_ipv4(BASE | (number & 0xFFFF)), 32 } },
                       .forget_at = 1000 };
}

Test(cache, full_and_who_has_most_goes)
{
  MascCache *cache = new_cache(1);
  for (uint32_t i = 0; i < MASC_CACHE_MAX; i++) {
    MascRecord r = of_origin(i < 100 ? 5 : i < 40000 ? OWN : 6, i);
    cr_assert_not_null(masc_cache_add(cache, &r));
  }
  MascRecord more = of_origin(7, 1);
  cr_expect_null(masc_cache_add(cache, &more));
  MascRecord *victim = masc_cache_victim(cache);
  cr_assert_eq(victim->claim.domain, 6);
  cr_expect_eq(victim->claim.timestamp, 40000, "the oldest one");
  masc_cache_remove(cache, victim);
  cr_expect_not_null(masc_cache_add(cache, &more));
  masc_cache_check(cache);
  masc_cache_free(cache);
}

Test(cache, of_two_origins_that_with_more_is_the_victim)
{
  for (MascId most = 5; most <= 6; most++) {
    MascCache *cache = new_cache(1);
    for (uint32_t i = 0; i < 5; i++) {
      MascRecord r = of_origin(i < 3 ? most : 11 - most, i);
      masc_cache_add(cache, &r);
    }
    cr_expect_eq(masc_cache_victim(cache)->claim.domain, most);
    masc_cache_free(cache);
  }
}

Test(cache, only_our_own_is_no_victim)
{
  MascCache *cache = new_cache(1);
  MascRecord r = of_origin(OWN, 1);
  cr_expect_null(masc_cache_victim(cache));
  masc_cache_add(cache, &r);
  cr_expect_null(masc_cache_victim(cache));
  masc_cache_free(cache);
}

/* ---- WITHDRAW -------------------------------------------------------------------------------- */

static MascRecord record_of(MascClaimType type, const char *prefix, uint32_t timestamp)
{
  MascRecord r = { .claim = { .type = type,
                              .role = MASC_SIBLING,
                              .timestamp = timestamp,
                              .domain = 5,
                              .node = 50 } };
  cr_assert(mal_prefix_parse(prefix, &r.claim.prefix, NULL));
  return r;
}

Test(rfc2909_11_7, what_a_withdraw_leaves)
{
  static const struct {
    const char *withdraws[3];
    const char *left;
  } rows[] = {
    { { NULL }, "233.252.0.0/24" },
    { { "233.252.0.0/24" }, "" },
    { { "233.252.0.0/20" }, "" },
    { { "233.252.1.0/24" }, "233.252.0.0/24" },
    { { "233.252.0.0/25" }, "233.252.0.128/25" },
    { { "233.252.0.64/26" }, "233.252.0.0/26 233.252.0.128/25" },
    { { "233.252.0.0/26", "233.252.0.192/26" }, "233.252.0.64/26 233.252.0.128/26" },
    { { "233.252.0.0/25", "233.252.0.128/25" }, "" },
    { { "233.252.0.255/32" },
      "233.252.0.0/25 233.252.0.128/26 233.252.0.192/27 233.252.0.224/28 233.252.0.240/29 "
      "233.252.0.248/30 233.252.0.252/31 233.252.0.254/32" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascCache *cache = new_cache(1);
    MascRecord used = record_of(MASC_PREFIX_IN_USE, "233.252.0.0/24", 100);
    MalPrefix rest[16];
    g_autoptr(GString) text = g_string_new(NULL);
    for (size_t w = 0; w < 3 && rows[i].withdraws[w] != NULL; w++) {
      MascRecord withdraw = record_of(MASC_WITHDRAW, rows[i].withdraws[w], 100);
      masc_cache_add(cache, &withdraw);
    }
    size_t n = masc_cache_remains(cache, &used, rest, G_N_ELEMENTS(rest));
    for (size_t p = 0; p < n; p++) {
      char address[MAL_ADDRESS_STRLEN];
      g_string_append_printf(text, "%s%s/%u", p > 0 ? " " : "",
                             mal_address_format(rest[p].address, address), rest[p].length);
    }
    cr_expect_str_eq(text->str, rows[i].left, "row %zu: %s", i, text->str);
    /* Of a part it says the same: something is left of it, or nothing. */
    for (unsigned length = 22; length <= 32; length++) {
      for (unsigned k = 0; k < 1u << (length - 22); k++) {
        MalPrefix part = { mal_address_ipv4(0xe9fc0000 + (k << (32 - length))), length };
        bool stands = false;
        for (size_t p = 0; p < n; p++)
          stands = stands || mal_span_overlaps(mal_span_of_prefix(rest[p]),
                                               mal_span_of_prefix(part));
        cr_assert_eq(masc_cache_stands(cache, &used, part), stands, "row %zu, %u of /%u", i, k,
                     length);
      }
    }
    masc_cache_free(cache);
  }
}

/* However many there are, elsewhere or here. */
Test(rfc2909_11_7, what_many_withdraws_leave)
{
  MascCache *cache = new_cache(1);
  MascRecord used = record_of(MASC_PREFIX_IN_USE, "233.252.0.0/24", 100);
  MalPrefix rest[128];
  for (unsigned i = 0; i < 128; i++) {
    MascRecord withdraw = record_of(MASC_WITHDRAW, "233.252.0.0/32", 100);
    withdraw.claim.prefix.address.value += 2 * i;
    masc_cache_add(cache, &withdraw);
    if (i % 32 != 31)
      continue;
    cr_assert_eq(masc_cache_remains(cache, &used, rest, 3), 3, "no more than there is room for");
    cr_assert(masc_cache_stands(cache, &used, rest[2]));
    cr_assert_not(masc_cache_withdrawn(cache, &used));
  }
  cr_assert_eq(masc_cache_remains(cache, &used, rest, G_N_ELEMENTS(rest)), 128);
  for (unsigned i = 0; i < 128; i++) {
    cr_expect_eq(rest[i].address.value, BASE + 2 * i + 1);
    cr_expect_eq(rest[i].length, 32);
  }
  masc_cache_free(cache);
}

/* It has no address that could be taken. */
Test(rfc2909_11_7, a_hint_is_not_withdrawn_by_what_is_about_prefixes)
{
  MascCache *cache = new_cache(1);
  MascRecord hint = record_of(MASC_NEW_CLAIM, "0.0.0.0/24", 100);
  MascRecord withdraw = record_of(MASC_WITHDRAW, "233.252.0.0/24", 100);
  MalPrefix rest[2];
  masc_cache_add(cache, &withdraw);
  cr_expect_not(masc_cache_withdrawn(cache, &hint));
  cr_expect_eq(masc_cache_remains(cache, &hint, rest, 2), 0, "nor is there a prefix of it");
  masc_cache_free(cache);
}

Test(rfc2909_12_4, which_withdraws_count)
{
  static const struct {
    uint32_t at;
    MascId domain;
    MascRole role;
    bool names, clash, counts;
    const char *why;
  } rows[] = {
    { 100, 5, MASC_SIBLING, false, false, true, "its timestamp" },
    { 101, 5, MASC_SIBLING, false, false, true, "a later one" },
    { 99, 5, MASC_SIBLING, false, false, false, "an older one: the prefix was claimed again" },
    { 99, 5, MASC_SIBLING, false, true, true, "an older one, but of a clash" },
    { 101, 6, MASC_SIBLING, false, true, false, "another domain's" },
    { 101, 5, MASC_CHILD, false, false, false, "of the other arena" },
    { 101, 5, MASC_SIBLING, true, false, false, "of a claim only" },
  };
  MascRecord used = record_of(MASC_PREFIX_IN_USE, "233.252.0.0/24", 100);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascRecord w = record_of(MASC_WITHDRAW, "233.252.0.0/24", rows[i].at);
    w.claim.domain = rows[i].domain;
    w.claim.role = rows[i].role;
    w.names = rows[i].names;
    w.clash = rows[i].clash;
    cr_expect_eq(masc_withdraw_counts(&w, &used), rows[i].counts, "%s", rows[i].why);
  }
}
