#include "masc-compare.h"

/* 0 for what does not compete. */
static unsigned precedence(MascClaimType type)
{
  switch (type) {
  case MASC_PREFIX_IN_USE:
    return 4;
  case MASC_CLAIM_DENIED:
    return 3;
  case MASC_CLAIM_TO_EXPAND:
    return 2;
  case MASC_NEW_CLAIM:
    return 1;
  case MASC_PREFIX_MANAGED:
  case MASC_WITHDRAW:
  default:
    return 0;
  }
}

bool masc_claim_competes(const MascClaim *claim)
{
  return precedence(claim->type) > 0;
}

int masc_claim_compare(const MascClaim *a, const MascClaim *b)
{
  unsigned pa = precedence(a->type), pb = precedence(b->type);

  if (pa != pb)
    return pa > pb ? 1 : -1;
  if (a->timestamp != b->timestamp)
    return a->timestamp < b->timestamp ? 1 : -1;
  if (a->node != b->node)
    return a->node < b->node ? 1 : -1;
  return 0;
}

static bool same_prefix(const MascClaim *a, const MascClaim *b)
{
  return mal_address_equal(a->prefix.address, b->prefix.address) &&
         a->prefix.length == b->prefix.length;
}

bool masc_claim_same(const MascClaim *a, const MascClaim *b)
{
  return a->role == b->role && a->deprecated == b->deprecated && a->type == b->type &&
         a->timestamp == b->timestamp && a->lifetime == b->lifetime &&
         a->holdtime == b->holdtime && a->domain == b->domain && a->node == b->node &&
         same_prefix(a, b);
}

bool masc_claim_about(const MascClaim *a, const MascClaim *b)
{
  return a->domain == b->domain && a->timestamp == b->timestamp && same_prefix(a, b);
}

bool masc_claim_covers(const MascClaim *outer, const MascClaim *inner)
{
  return !masc_claim_is_hint(outer) && !masc_claim_is_hint(inner) &&
         mal_span_contains(mal_span_of_prefix(outer->prefix), mal_span_of_prefix(inner->prefix));
}

bool masc_claims_overlap(const MascClaim *a, const MascClaim *b)
{
  return !masc_claim_is_hint(a) && !masc_claim_is_hint(b) &&
         mal_span_overlaps(mal_span_of_prefix(a->prefix), mal_span_of_prefix(b->prefix));
}

bool masc_claims_collide(const MascClaim *a, const MascClaim *b)
{
  return masc_claim_competes(a) && masc_claim_competes(b) && masc_claims_overlap(a, b);
}
