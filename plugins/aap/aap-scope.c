#include "aap-scope.h"

#define RESERVED4 256       /* RFC 2365 section 9 */
#define SCOP_SHIFT 112      /* the low four bits of an IPv6 multicast address's second octet */

static const MalU128 group_ids = (MalU128)1 << 32;

/* ---- groups ---------------------------------------------------------------------------------- */

MalAddress aap_scope_group(const MalScope *scope, const AapGroupRule *rule)
{
  MalAddress group = mal_address_none();
  MalU128 scop = (MalU128)0xF << SCOP_SHIFT;

  if (scope->span.first.family == MAL_IPV4) {
    if (rule->offset4 < mal_span_size(scope->span))
      mal_address_sub(scope->span.last, rule->offset4, &group);
  } else if (rule->group6.family == MAL_IPV6) {
    group =
        mal_address_make(MAL_IPV6, (rule->group6.value & ~scop) | (scope->span.first.value & scop));
  }
  return group;
}

bool aap_scope_place(const MalScope *scope, const MalScope *allocation, const AapGroupRule *rule,
                     AapPlace *out)
{
  const MalScope *carrier = scope->divisible ? allocation : scope;

  if (carrier == NULL || carrier->span.first.family != scope->span.first.family)
    return false;
  *out = (AapPlace){ .scope = scope, .group = aap_scope_group(carrier, rule) };
  return out->group.family != MAL_FAMILY_NONE;
}

bool aap_is_group(const AapPlace *places, size_t n_places, MalAddress address)
{
  for (size_t i = 0; i < n_places; i++)
    if (mal_address_equal(places[i].group, address))
      return true;
  return false;
}

/* ---- deciding -------------------------------------------------------------------------------- */

typedef struct {
  const AapPlace *places;
  size_t n_places;
  MalAddress group;
  const AapMessage *msg;
} Question;

static bool contains_all(const MalScope *scope, const AapMessage *msg)
{
  for (size_t i = 0; i < msg->n_ranges; i++)
    if (!mal_span_contains(scope->span, msg->ranges[i].span))
      return false;
  return true;
}

static bool known(const Question *q, MalSpan span)
{
  for (size_t i = 0; i < q->n_places; i++)
    if (mal_span_contains(q->places[i].scope->span, span))
      return true;
  return false;
}

/* Of the ranges that are in scopes at all, no scope holds all: there are two. */
static bool two_scopes(const Question *q)
{
  size_t n_known = 0;

  for (size_t i = 0; i < q->msg->n_ranges; i++)
    n_known += known(q, q->msg->ranges[i].span);
  for (size_t p = 0; p < q->n_places; p++) {
    size_t inside = 0;
    for (size_t i = 0; i < q->msg->n_ranges; i++)
      inside += mal_span_contains(q->places[p].scope->span, q->msg->ranges[i].span);
    if (inside == n_known)
      return false;
  }
  return n_known > 0;
}

static AapScopeDecision by_ranges(const Question *q)
{
  const AapPlace *best = NULL;

  for (size_t i = 0; i < q->n_places; i++) {
    const AapPlace *place = &q->places[i];
    if (!mal_address_equal(place->group, q->group) || !contains_all(place->scope, q->msg))
      continue;
    if (best == NULL || mal_span_size(place->scope->span) < mal_span_size(best->scope->span))
      best = place;
  }
  if (best != NULL)
    return (AapScopeDecision){ .verdict = AAP_SCOPE_ONE, .place = best };
  if (two_scopes(q))
    return (AapScopeDecision){ .verdict = AAP_SCOPE_MALFORMED, .reason = AAP_REASON_SCOPES };
  return (AapScopeDecision){ .verdict = AAP_SCOPE_OTHER };
}

/* ANA, ASRP and ASA are for large scopes only (2.1.2). */
static AapScopeDecision without_ranges(const Question *q)
{
  const AapPlace *large = NULL;
  size_t n = 0;

  for (size_t i = 0; i < q->n_places; i++) {
    if (!q->places[i].scope->divisible || !mal_address_equal(q->places[i].group, q->group))
      continue;
    large = &q->places[i];
    n++;
  }
  if (n == 0)
    return (AapScopeDecision){ .verdict = AAP_SCOPE_NONE };
  if (n == 1)
    return (AapScopeDecision){ .verdict = AAP_SCOPE_ONE, .place = large };
  return (AapScopeDecision){
    .verdict = q->msg->type == AAP_ANA ? AAP_SCOPE_EACH : AAP_SCOPE_AMBIGUOUS,
  };
}

AapScopeDecision aap_scope_decide(const AapPlace *places, size_t n_places, MalAddress group,
                                  const AapMessage *msg)
{
  Question q = { places, n_places, group, msg };

  if (msg->family != group.family || !aap_is_group(places, n_places, group))
    return (AapScopeDecision){ .verdict = AAP_SCOPE_MALFORMED, .reason = AAP_REASON_GROUP };
  return msg->n_ranges > 0 ? by_ranges(&q) : without_ranges(&q);
}

bool aap_scope_concerns(const AapScopeDecision *decision, const AapPlace *place, MalAddress group)
{
  if (decision->verdict == AAP_SCOPE_ONE)
    return decision->place == place;
  return decision->verdict == AAP_SCOPE_EACH && place->scope->divisible &&
         mal_address_equal(place->group, group);
}

/* ---- what is never allocated ----------------------------------------------------------------- */

static bool clip4(const MalScope *scope, MalSpan span, MalSpan *out)
{
  MalSpan usable = scope->span;

  if (mal_span_size(scope->span) <= RESERVED4)
    return false;
  usable.last.value -= RESERVED4;
  return mal_span_intersect(usable, span, out);
}

static bool clip6(const MalScope *scope, MalSpan span, MalSpan *out)
{
  if (!mal_span_intersect(scope->span, span, out))
    return false;
  MalU128 first = out->first.value, last = out->last.value;
  MalU128 base = first - first % group_ids;
  MalU128 id = MAX(first - base, scope->group_id_first);

  if (id > scope->group_id_last) {
    if (last - base < group_ids)
      return false;
    base += group_ids;
    id = scope->group_id_first;
  }
  if (last - base < id)
    return false;
  out->first.value = base + id;
  out->last.value = MIN(last, base + scope->group_id_last);
  return true;
}

bool aap_scope_clip(const MalScope *scope, MalSpan span, MalSpan *out)
{
  if (span.first.family != scope->span.first.family)
    return false;
  return span.first.family == MAL_IPV4 ? clip4(scope, span, out) : clip6(scope, span, out);
}

bool aap_scope_allocates(const MalScope *scope, MalAddress address)
{
  MalSpan out;
  return aap_scope_clip(scope, (MalSpan){ address, address }, &out);
}
