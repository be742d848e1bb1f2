#include "masc-refused.h"

#include "masc-compare.h"

typedef struct {
  MascClaim claim;
  MalTime until;
} Refused;

struct MascRefused {
  GArray *all;                /* Refused, by arrival */
};

MascRefused *masc_refused_new(void)
{
  MascRefused *refused = g_new0(MascRefused, 1);
  refused->all = g_array_new(FALSE, FALSE, sizeof(Refused));
  return refused;
}

void masc_refused_free(MascRefused *refused)
{
  g_array_unref(refused->all);
  g_free(refused);
}

static Refused *at(const MascRefused *refused, guint i)
{
  return &g_array_index(refused->all, Refused, i);
}

/* A claim that is pending stands for its Holdtime, what is in use for its Lifetime. A clock that is
   ahead makes neither longer. */
static MalTime end_of(const MascClaim *claim, const MascLimits *limits, MalTime now)
{
  bool in_use = claim->type == MASC_PREFIX_IN_USE;
  int64_t seconds = in_use ? claim->lifetime : claim->holdtime;
  uint32_t most = in_use ? limits->lifetime_max : limits->holdtime_max;
  MalTime until = mal_time_add((MalTime)claim->timestamp, seconds);
  if (most != 0)
    seconds = MIN(seconds, (int64_t)most);
  return MIN(until, mal_time_add(now, seconds));
}

static bool same(const MascClaim *a, const MascClaim *b)
{
  return a->domain == b->domain && a->role == b->role && a->prefix.length == b->prefix.length &&
         mal_address_equal(a->prefix.address, b->prefix.address);
}

/* Out with what is over and with what CLAIM replaces; then, where there are too many of its domain,
   or in all, with the one of these that ends first. */
static void make_room(MascRefused *refused, const MascClaim *claim, MalTime now)
{
  guint of_one = 0, first = G_MAXUINT, first_of_one = G_MAXUINT;
  for (guint i = refused->all->len; i-- > 0;)
    if (at(refused, i)->until <= now || same(&at(refused, i)->claim, claim))
      g_array_remove_index(refused->all, i);
  for (guint i = 0; i < refused->all->len; i++) {
    const Refused *r = at(refused, i);
    if (first == G_MAXUINT || r->until < at(refused, first)->until)
      first = i;
    if (r->claim.domain != claim->domain)
      continue;
    of_one++;
    if (first_of_one == G_MAXUINT || r->until < at(refused, first_of_one)->until)
      first_of_one = i;
  }
  if (of_one >= MASC_REFUSED_OF_ONE)
    g_array_remove_index(refused->all, first_of_one);
  else if (refused->all->len >= MASC_REFUSED_MAX)
    g_array_remove_index(refused->all, first);
}

void masc_refused_add(MascRefused *refused, const MascClaim *claim, const MascLimits *limits,
                      MascNow now)
{
  Refused r = { *claim, end_of(claim, limits, now.wall) };
  if (r.until <= now.wall)
    return;
  make_room(refused, claim, now.wall);
  g_array_append_val(refused->all, r);
}

bool masc_refused_grows(const MascRefused *refused, const MascClaim *claim)
{
  for (guint i = 0; i < refused->all->len; i++) {
    const MascClaim *c = &at(refused, i)->claim;
    if (c->domain == claim->domain && c->role == claim->role && c->type == MASC_PREFIX_IN_USE &&
        claim->prefix.length < c->prefix.length && masc_claim_covers(claim, c))
      return true;
  }
  return false;
}

void masc_refused_settle(MascRefused *refused, const MascClaim *claim)
{
  for (guint i = refused->all->len; i-- > 0;) {
    const MascClaim *c = &at(refused, i)->claim;
    bool weaker = claim->type != MASC_PREFIX_IN_USE && claim->type != MASC_WITHDRAW &&
                  c->type == MASC_PREFIX_IN_USE;
    if (c->domain == claim->domain && c->role == claim->role && !weaker &&
        claim->timestamp >= c->timestamp && masc_claim_covers(claim, c))
      g_array_remove_index(refused->all, i);
  }
}

void masc_refused_flood(MascRefused *refused, MascId domain)
{
  for (guint i = refused->all->len; i-- > 0;) {
    const MascClaim *c = &at(refused, i)->claim;
    if (c->domain == domain && c->type != MASC_PREFIX_IN_USE)
      g_array_remove_index(refused->all, i);
  }
}

void masc_refused_gather(const MascRefused *refused, bool lower, MascNow now, GArray *out)
{
  for (guint i = 0; i < refused->all->len; i++) {
    const Refused *r = at(refused, i);
    if (lower == (r->claim.role == MASC_CHILD) && r->until > now.wall)
      g_array_append_val(out, r->claim.prefix);
  }
}
