/* What our limits refused, and others may hold nevertheless (RFC 2909 8.3). */
#include "plugins/masc/masc-refused.h"

#include <criterion/criterion.h>

#define IN_USE MASC_PREFIX_IN_USE
#define NEW MASC_NEW_CLAIM
#define HERE "233.252.8.0/24"

static const MascNow now = { 0, 10000 };

/* Of domain DOMAIN, made now, for 500 s; as a claim for 300 s. */
static MascClaim claim_of(MascClaimType type, MascRole role, MascId domain, const char *prefix)
{
  MascClaim c = { .type = type,
                  .role = role,
                  .timestamp = 10000,
                  .lifetime = 500,
                  .holdtime = 300,
                  .domain = domain,
                  .node = domain * 1000 };
  cr_assert(mal_prefix_parse(prefix, &c.prefix, NULL));
  return c;
}

static guint left(const MascRefused *refused, bool lower, MalTime at)
{
  g_autoptr(GArray) out = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  masc_refused_gather(refused, lower, (MascNow){ 0, at }, out);
  return out->len;
}

Test(rfc2909_8_3, how_long_a_refused_claim_is_in_the_way)
{
  static const struct {
    const char *why;
    MascClaimType type;
    int32_t later;              /* than now */
    MascLimits limits;
    MalTime until;              /* 10000: not at all */
  } rows[] = {
    { "what is in use", IN_USE, 0, { .lifetime_max = 0 }, 10500 },
    { "what is claimed", NEW, 0, { .lifetime_max = 0 }, 10300 },
    { "no longer than we allow", IN_USE, 0, { .lifetime_max = 200 }, 10200 },
    { "which is more", IN_USE, 0, { .lifetime_max = 900 }, 10500 },
    { "of a claim", NEW, 0, { .holdtime_max = 100 }, 10100 },
    { "of a clock that is ahead", IN_USE, 5000, { .lifetime_max = 0 }, 10500 },
    { "of a clock that is behind", IN_USE, -400, { .lifetime_max = 0 }, 10100 },
    { "what was over", IN_USE, -500, { .lifetime_max = 0 }, 10000 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascRefused *refused = masc_refused_new();
    MascClaim c = claim_of(rows[i].type, MASC_SIBLING, 5, HERE);
    c.timestamp += (uint32_t)rows[i].later;
    masc_refused_add(refused, &c, &rows[i].limits, now);
    cr_expect_eq(left(refused, false, rows[i].until - 1), rows[i].until > 10000, "%s", rows[i].why);
    cr_expect_eq(left(refused, false, rows[i].until), 0, "%s", rows[i].why);
    masc_refused_free(refused);
  }
}

/* One said again takes its own place; what is over makes room. */
Test(rfc2909_8_3, what_is_refused_beside_what_was)
{
  static const struct {
    const char *why;
    MascRole role;
    MascId domain;
    const char *prefix;
    int64_t passes;
    guint n;
  } rows[] = {
    { "the same", MASC_SIBLING, 5, HERE, 0, 1 },
    { "of the other arena", MASC_CHILD, 5, HERE, 0, 2 },
    { "another domain's", MASC_SIBLING, 6, HERE, 0, 2 },
    { "a part of it", MASC_SIBLING, 5, "233.252.8.0/25", 0, 2 },
    { "another one", MASC_SIBLING, 5, "233.252.9.0/24", 0, 2 },
    { "when the first is over", MASC_SIBLING, 5, "233.252.9.0/24", 500, 1 },
  };
  static const MascLimits none = { 0 };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascRefused *refused = masc_refused_new();
    MascClaim a = claim_of(IN_USE, MASC_SIBLING, 5, HERE);
    MascClaim b = claim_of(IN_USE, rows[i].role, rows[i].domain, rows[i].prefix);
    MascNow then = { 0, now.wall + rows[i].passes };
    b.timestamp += (uint32_t)rows[i].passes;
    masc_refused_add(refused, &a, &none, now);
    masc_refused_add(refused, &b, &none, then);
    cr_expect_eq(left(refused, false, then.wall) + left(refused, true, then.wall), rows[i].n, "%s",
                 rows[i].why);
    masc_refused_free(refused);
  }
}

/* Of too many of one domain, or of all, the one goes that ends first. */
Test(rfc2909_8_3, of_too_many_the_one_that_ends_first_goes)
{
  static const MascLimits none = { 0 };
  for (unsigned all = 0; all < 2; all++) {
    MascRefused *refused = masc_refused_new();
    unsigned most = all ? MASC_REFUSED_MAX : MASC_REFUSED_OF_ONE;
    MascClaim c = claim_of(IN_USE, MASC_SIBLING, 5, "233.252.8.0/32");
    for (unsigned i = 0; i <= most; i++) {
      c.domain = all ? 5 + i : 5;
      c.prefix.address.value++;
      c.lifetime = i == most / 2 ? 100 : 500; /* that one */
      masc_refused_add(refused, &c, &none, now);
    }
    cr_expect_eq(left(refused, false, now.wall), most);
    cr_expect_eq(left(refused, false, now.wall + 200), most, "the short one has gone");
    masc_refused_free(refused);
  }
}

/* What settles it is of the same domain and arena, as new, and says as much. */
Test(rfc2909_8_3, what_settles_it)
{
  static const struct {
    const char *why;
    MascClaimType was, type;
    MascRole role;
    bool settles;
  } rows[] = {
    { "in use, as we like it", IN_USE, IN_USE, MASC_SIBLING, true },
    { "withdrawn", IN_USE, MASC_WITHDRAW, MASC_SIBLING, true },
    { "only claimed", IN_USE, NEW, MASC_SIBLING, false },
    { "claimed, as we like it", NEW, NEW, MASC_SIBLING, true },
    { "of the other arena", IN_USE, IN_USE, MASC_CHILD, false },
  };
  static const MascLimits none = { 0 };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascRefused *refused = masc_refused_new();
    MascClaim a = claim_of(rows[i].was, MASC_SIBLING, 5, HERE);
    MascClaim b = claim_of(rows[i].type, rows[i].role, 5, HERE);
    masc_refused_add(refused, &a, &none, now);
    masc_refused_settle(refused, &b);
    cr_expect_eq(left(refused, false, now.wall), !rows[i].settles, "%s", rows[i].why);
    masc_refused_free(refused);
  }
}

/* 14: what who floods claims is in nobody's way any more; what it uses is. */
Test(rfc2909_14, what_who_floods_uses_is_still_in_the_way)
{
  static const MascLimits none = { 0 };
  MascRefused *refused = masc_refused_new();
  MascClaim used = claim_of(IN_USE, MASC_SIBLING, 5, HERE);
  MascClaim claimed = claim_of(NEW, MASC_SIBLING, 5, "233.252.9.0/24");
  MascClaim others = claim_of(NEW, MASC_SIBLING, 6, "233.252.10.0/24");
  masc_refused_add(refused, &used, &none, now);
  masc_refused_add(refused, &claimed, &none, now);
  masc_refused_add(refused, &others, &none, now);
  masc_refused_flood(refused, 5);
  cr_expect_eq(left(refused, false, now.wall), 2);
  masc_refused_free(refused);
}

/* 11.4.2: who uses something may claim what it is a part of, and asks for nothing else by that. */
Test(rfc2909_8_3, what_was_refused_grows)
{
  static const struct {
    const char *why;
    MascClaimType was;
    MascRole role;              /* what claims it is to us */
    MascId domain;
    const char *prefix;
    bool grows;
  } rows[] = {
    { "a part of it", IN_USE, MASC_SIBLING, 5, "233.252.8.0/23", true },
    { "all of it", IN_USE, MASC_SIBLING, 5, HERE, false },
    { "what is beside it", IN_USE, MASC_SIBLING, 5, "233.252.10.0/23", false },
    { "another domain's", IN_USE, MASC_SIBLING, 6, "233.252.8.0/23", false },
    { "of the other arena", IN_USE, MASC_CHILD, 5, "233.252.8.0/23", false },
    { "only claimed", NEW, MASC_SIBLING, 5, "233.252.8.0/23", false },
  };
  static const MascLimits none = { 0 };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascRefused *refused = masc_refused_new();
    MascClaim was = claim_of(rows[i].was, MASC_SIBLING, 5, HERE);
    MascClaim claim = claim_of(MASC_CLAIM_TO_EXPAND, rows[i].role, rows[i].domain, rows[i].prefix);
    masc_refused_add(refused, &was, &none, now);
    cr_expect_eq(masc_refused_grows(refused, &claim), rows[i].grows, "%s", rows[i].why);
    masc_refused_free(refused);
  }
}
