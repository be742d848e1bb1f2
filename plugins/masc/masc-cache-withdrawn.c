#include "masc-cache.h"

#define FEW 32
#define FEWER 4

bool masc_withdraw_counts(const MascRecord *withdraw, const MascRecord *record)
{
  const MascClaim *w = &withdraw->claim, *r = &record->claim;
  return w->type == MASC_WITHDRAW && !withdraw->names && w->domain == r->domain &&
         w->role == r->role && (withdraw->clash || w->timestamp >= r->timestamp) &&
         masc_claims_overlap(w, r) && masc_same_space(withdraw, record);
}

typedef struct {
  const MascRecord *record;
  MalPrefix few[FEW];
  guint n;
  GArray *more;               /* MalPrefix: instead, where they are more; else NULL */
} Search;

static bool collect(MascRecord *record, void *data)
{
  Search *s = data;
  if (!masc_withdraw_counts(record, s->record))
    return true;
  if (s->more != NULL)
    g_array_append_val(s->more, record->claim.prefix);
  else
    s->few[s->n++] = record->claim.prefix;
  return true;
}

/* What counts against S->RECORD, to S. Of what a domain has withdrawn a few are near; among more,
   the tree knows better, and at once where a prefix has no others in it. */
static void against(const MascCache *cache, Search *s)
{
  const GPtrArray *all = masc_cache_withdraws_of(cache, s->record->claim.domain);
  s->n = 0;
  s->more = NULL;
  if (all == NULL)
    return;
  if (all->len > FEW)
    s->more = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  if (all->len > FEW ||
      (all->len > FEWER && masc_cache_is_apart(cache, s->record->claim.prefix))) {
    masc_cache_look(cache, s->record->claim.prefix, collect, s);
  } else {
    for (guint i = 0; i < all->len; i++)
      collect(g_ptr_array_index(all, i), s);
  }
  if (s->more != NULL)
    s->n = s->more->len;
}

typedef struct {
  const MalPrefix *withdrawn;
  guint n_withdrawn;
  MalPrefix *out;
  size_t most, n;
} Rest;

/* What is left of PREFIX goes out, by halves where a part of it is withdrawn. */
static void rest(Rest *r, MalPrefix prefix)
{
  MalSpan span = mal_span_of_prefix(prefix);
  bool whole = true;
  if (r->n == r->most)
    return;
  for (guint i = 0; i < r->n_withdrawn; i++) {
    MalSpan w = mal_span_of_prefix(r->withdrawn[i]);
    if (mal_span_contains(w, span))
      return;
    whole = whole && !mal_span_overlaps(w, span);
  }
  if (whole) {
    r->out[r->n++] = prefix;
    return;
  }
  MalPrefix half = { prefix.address, prefix.length + 1 };
  rest(r, half);
  half.address.value = mal_span_of_prefix(half).last.value + 1;
  rest(r, half);
}

/* What is left of RECORD in PREFIX, which lies in it. */
static size_t remains_in(const MascCache *cache, const MascRecord *record, MalPrefix prefix,
                         MalPrefix *out, size_t most)
{
  Search s;
  g_assert(most > 0);
  if (masc_claim_is_hint(&record->claim))
    return 0;
  s.record = record;
  against(cache, &s);
  Rest r = { s.more != NULL ? (const MalPrefix *)(void *)s.more->data : s.few, s.n, out, most, 0 };
  if (s.n > 0)
    rest(&r, prefix);
  else
    out[r.n++] = prefix;
  g_clear_pointer(&s.more, g_array_unref);
  return r.n;
}

size_t masc_cache_remains(const MascCache *cache, const MascRecord *record, MalPrefix *out,
                          size_t most)
{
  return remains_in(cache, record, record->claim.prefix, out, most);
}

bool masc_cache_withdrawn(const MascCache *cache, const MascRecord *record)
{
  MalPrefix one;
  return !masc_claim_is_hint(&record->claim) && masc_cache_remains(cache, record, &one, 1) == 0;
}

bool masc_cache_stands(const MascCache *cache, const MascRecord *record, MalPrefix prefix)
{
  MalPrefix one, mine = record->claim.prefix;
  MalSpan shared;
  if (!mal_span_intersect(mal_span_of_prefix(mine), mal_span_of_prefix(prefix), &shared))
    return false;
  return remains_in(cache, record, prefix.length > mine.length ? prefix : mine, &one, 1) > 0;
}
