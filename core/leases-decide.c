/* Which addresses and which period a request gets, or why none. Nothing is changed by the question:
   the blocks found are in `found` until the next one. */
#include "leases-internal.h"

static MalFit fit_of(const MalLeaseRequest *r, MalTime now, MalTime start, int64_t lifetime,
                     uint32_t count)
{
  return (MalFit){
    .scope = r->scope->index,
    .from = MAX(now, mal_time_add(start, -r->pad)),
    .until = mal_time_add(mal_time_add(start, lifetime), r->pad),
    .count = count,
  };
}

static bool named_fit(MalLeases *l, const MalLeaseRequest *r, const MalFit *fit)
{
  for (size_t i = 0; i < r->n_named; i++)
    if (!mal_allocator_is_free(l->allocator, fit, r->named[i]))
      return false;
  return true;
}

static bool fits(MalLeases *l, const MalLeaseRequest *r, uint32_t desired, MalTime now,
                 MalTime start, int64_t lifetime)
{
  MalFit fit = fit_of(r, now, start, lifetime, desired);
  g_array_set_size(l->found, 0);
  if (!r->n_named)
    return mal_allocator_find(l->allocator, &fit, r->min, l->found) >= r->min &&
           l->found->len <= UINT16_MAX;
  if (!named_fit(l, r, &fit))
    return false;
  g_array_append_vals(l->found, r->named, (unsigned)r->n_named);
  return true;
}

/* The longest lifetime up to the asked one that can be had from START: "if a server can only
   process the request with a shorter lease time, it SHOULD" (RFC 2730 2.2.4). 0: none. */
static int64_t longest(MalLeases *l, const MalLeaseRequest *r, MalTime now, MalTime start)
{
  MalFit fit = fit_of(r, now, start, r->lifetime, r->min);
  if (!r->n_named) {
    MalTime until = mal_allocator_longest_until(l->allocator, &fit);
    if (until == MAL_BEGINNING)
      return 0;
    int64_t lifetime = until == MAL_FOREVER ? r->lifetime : until - r->pad - start;
    return CLAMP(lifetime, 0, r->lifetime);
  }
  int64_t good = 0, bad = r->lifetime;
  while (good + 1 < bad) {
    int64_t middle = good + (bad - good) / 2;
    fit = fit_of(r, now, start, middle, r->min);
    if (named_fit(l, r, &fit))
      good = middle;
    else
      bad = middle;
  }
  return good;
}

static bool decide_later(MalLeases *l, const MalLeaseRequest *r, uint32_t desired, MalTime now,
                         MalTime start, Period *out)
{
  if (r->n_named || r->max_start <= start)
    return false;
  MalFit fit = fit_of(r, now, start, r->lifetime, r->min);
  /* A later period is padded on both sides; only the first may have its leading pad in the past. */
  fit.until = mal_time_add(fit.from, r->lifetime + 2 * r->pad);
  MalTime from = mal_allocator_earliest(l->allocator, &fit, mal_time_add(r->max_start, -r->pad));
  if (from == MAL_FOREVER)
    return false;
  MalTime later = mal_time_add(from, r->pad);
  g_assert(later > start && later <= r->max_start);
  if (!fits(l, r, desired, now, later, r->lifetime))
    return false;
  *out = (Period){ later, mal_time_add(later, r->lifetime) };
  return true;
}

static bool explain(MalLeases *l, const MalLeaseRequest *r, MalTime now, MalTime start,
                    MalRefusal *why)
{
  if (r->n_named)
    return leases_refuse(why, MAL_ERROR_NO_SPACE, MAL_REFUSED_NAMED);
  if (longest(l, r, now, start) > 0)
    return leases_refuse(why, MAL_ERROR_NO_SPACE, MAL_REFUSED_LIFETIME);
  /* Only who said that a later start would do is told that the start is what can't be had. */
  if (r->max_start != MAL_FOREVER && r->max_start > start) {
    MalFit fit = fit_of(r, now, start, MAX(r->min_lifetime, 1), r->min);
    if (mal_allocator_earliest(l->allocator, &fit, MAL_FOREVER) != MAL_FOREVER)
      return leases_refuse(why, MAL_ERROR_NO_SPACE,
                           r->min > 1 ? MAL_REFUSED_COUNT : MAL_REFUSED_START);
  }
  if (mal_allocator_stats(l->allocator, (int)r->scope->index).owned == 0)
    return leases_refuse(why, MAL_ERROR_NO_SPACE, MAL_REFUSED_SCOPE);
  return leases_refuse(why, MAL_ERROR_NO_SPACE, r->min > 1 ? MAL_REFUSED_COUNT : MAL_REFUSED_OTHER);
}

uint64_t leases_addresses_asked(const MalLeaseRequest *r)
{
  uint64_t n = r->n_named ? 0 : r->min;
  for (size_t i = 0; i < r->n_named; i++)
    n += r->named[i].count;
  return n;
}

static bool apply_limit(MalLeases *l, const MalLeaseRequest *r, uint32_t *desired, MalRefusal *why)
{
  *desired = r->desired;
  if (r->client_limit == 0 || r->client.family == MAL_FAMILY_NONE)
    return true;
  uint64_t has = mal_leases_client_addresses(l, r->client);
  uint64_t left = has >= r->client_limit ? 0 : r->client_limit - has;
  if (leases_addresses_asked(r) > left)
    return leases_refuse(why, MAL_ERROR_LIMIT, MAL_REFUSED_COUNT);
  *desired = (uint32_t)MIN(r->desired, left);
  return true;
}

bool leases_decide(MalLeases *l, const MalLeaseRequest *r, MalTime now, Period *out,
                   MalRefusal *why)
{
  uint32_t desired;
  MalTime start = MAX(r->start, now);
  if (!apply_limit(l, r, &desired, why))
    return false;
  if (r->max_start < start)
    return leases_refuse(why, MAL_ERROR_NO_SPACE, MAL_REFUSED_START);
  if (fits(l, r, desired, now, start, r->lifetime)) {
    *out = (Period){ start, mal_time_add(start, r->lifetime) };
    return true;
  }
  int64_t least = MAX(r->min_lifetime, 1);
  int64_t lifetime = least < r->lifetime ? longest(l, r, now, start) : 0;
  if (lifetime >= least && fits(l, r, desired, now, start, lifetime)) {
    *out = (Period){ start, mal_time_add(start, lifetime) };
    return true;
  }
  if (decide_later(l, r, desired, now, start, out))
    return true;
  return explain(l, r, now, start, why);
}

bool leases_is_late(const MalLeaseRequest *r, MalTime now, const Period *period)
{
  return period->start > MAX(r->start, now);
}
