/* What an operator claims and withdraws by hand, and sees (RFC 2909 5.1, 5.2, 5.4, 11.5, 12.2). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

static MascZone *zone_of(const OwnBed *own)
{
  return own->bed->nodes[0].zone;
}

static MascNow now_of(const OwnBed *own)
{
  return masc_bed_now(own->bed, 0);
}

#define TAKEN (-1)

static int code_of(OwnBed *own, MalPrefix prefix, bool lower, int64_t lifetime)
{
  g_autoptr(GError) error = NULL;

  return masc_zone_claim(zone_of(own), prefix, lower, lifetime, now_of(own), &error) ? TAKEN
                                                                                    : error->code;
}

/* Domain 2 with 233.252.4.0/22 and children by configuration. */
static OwnBed *parent_of_children(void)
{
  OwnBed *own = own_bed_child();

  zone_of(own)->config.parent = true;
  masc_own_children_changed(zone_of(own), now_of(own));
  own_bed_win(own, 0, "233.252.4.0/22");
  return own;
}

Test(masc_own_hand, s5_1_what_can_be_claimed_at_all)
{
  static const struct {
    const char *why, *prefix;
    bool any;
    int64_t lifetime;
    int code;
  } rows[] = {
    { "for as long as usual", "233.252.4.0/24", false, 0, TAKEN },
    { "for a negative time", "233.252.4.0/24", false, -1, MAL_ERROR_INVALID },
    { "over before it is won", "233.252.4.0/24", false, 1000, MAL_ERROR_INVALID },
    { "over soon after", "233.252.4.0/24", false, 1001, TAKEN },
    { "any of a length", "233.252.0.0/24", true, 0, TAKEN },
    { "any that is larger than what there is", "233.252.0.0/16", true, 0, MAL_ERROR_NO_SPACE },
    { "out of nobody's", "233.252.200.0/24", false, 0, MAL_ERROR_DENIED },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MalPrefix prefix = masc_bed_prefix(rows[i].prefix);
    if (rows[i].any)
      prefix.address.value = 0;
    cr_expect_eq(code_of(own, prefix, false, rows[i].lifetime), rows[i].code, "%s", rows[i].why);
    cr_expect_eq(own_bed_owns(own, 0)->pends->len, rows[i].code == TAKEN, "%s", rows[i].why);
  }
}

Test(masc_own_hand, no_prefix_is_longer_than_an_address)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MalPrefix prefix = masc_bed_prefix("233.252.4.0/24");

  prefix.length = masc_family_bits(prefix.address.family) + 1;
  cr_expect_eq(code_of(own, prefix, false, 0), MAL_ERROR_INVALID);
}

typedef struct {
  unsigned n[MASC_ENTRY_WITHDRAWN + 1];
} Seen;

static void see(const MascEntry *entry, void *data)
{
  ((Seen *)data)->n[entry->kind]++;
}

Test(masc_own_hand, s12_2_for_local_use_out_of_what_is_held)
{
  g_autoptr(OwnBed) own = parent_of_children();
  GArray *pends = own_bed_owns(own, 0)->pends;
  MalPrefix any = { .length = MASC_BED_LENGTH(24) };
  Seen seen = { { 0 } };

  for (unsigned i = 0; i < 2; i++)
    cr_assert_eq(code_of(own, any, true, 0), TAKEN);
  cr_assert_eq(pends->len, 2);
  MalPrefix a = g_array_index(pends, MascPend, 0).prefix;
  MalPrefix b = g_array_index(pends, MascPend, 1).prefix;
  cr_expect_not(masc_prefix_meets(a, b), "the second is another one");
  cr_expect(masc_prefix_covers(masc_bed_prefix("233.252.4.0/22"), a));
  cr_expect(masc_prefix_covers(masc_bed_prefix("233.252.4.0/22"), b));
  own_bed_pass(own, 20);
  cr_expect_eq(masc_zone_usage(zone_of(own), now_of(own)).used, 0, "it is being claimed");
  own_bed_pass(own, 1100);
  cr_expect_not_null(masc_own_find(zone_of(own), a, true));
  cr_expect_not_null(masc_own_find(zone_of(own), b, true));
  masc_zone_each(zone_of(own), now_of(own), see, &seen);
  cr_expect_eq(seen.n[MASC_ENTRY_HELD], 1);
  cr_expect_eq(seen.n[MASC_ENTRY_LOCAL], 2);
  MascZoneUsage usage = masc_zone_usage(zone_of(own), now_of(own));
  cr_expect_eq(usage.held, 1024);
  cr_expect_eq(usage.local, 512);
  cr_expect_eq(usage.used, 512, "by us, as one of our children");
  cr_expect(masc_zone_withdraw(zone_of(own), a, now_of(own), NULL));
  own_bed_pass(own, 0);
  cr_expect_null(masc_own_meeting(zone_of(own), a, true));
  cr_expect_eq(own_bed_owns(own, 0)->held[MASC_UPPER]->len, 1);
}

Test(masc_own_hand, s12_2_a_leaf_has_all_of_it_already)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_win(own, 0, "233.252.4.0/22");
  cr_expect_eq(code_of(own, masc_bed_prefix("233.252.4.0/24"), true, 0), MAL_ERROR_INVALID);
}

/* 5.2: the operator wants it now, and for as long as he says. */
Test(masc_own_hand, s5_2_a_renewal_that_waits_gives_way_to_one_by_hand)
{
  g_autoptr(OwnBed) own = own_bed_child();
  GArray *pends = own_bed_owns(own, 0)->pends;
  MalPrefix held = masc_bed_prefix("233.252.4.0/24");
  MascPend renewal = { .prefix = held, .renews = true };

  own_bed_win(own, 0, "233.252.4.0/24");
  masc_pend_add(zone_of(own), &renewal, now_of(own));
  cr_assert_eq(code_of(own, held, false, 5000), TAKEN);
  own_expect(own_bed_pending(own, 0), "r:233.252.4.0/24");
  cr_expect(g_array_index(pends, MascPend, 0).hand);
  cr_expect_eq(g_array_index(pends, MascPend, 0).lifetime, 5000);
}

/* 5.3: what is ours is the smaller part of what is claimed. */
Test(masc_own_hand, s5_3_larger_than_what_we_have)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim said;

  own_bed_win(own, 0, "233.252.4.0/24");
  masc_bed_clear(own->bed);
  cr_assert_eq(code_of(own, masc_bed_prefix("233.252.4.0/23"), false, 0), TAKEN);
  own_bed_pass(own, 20);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, &said), 1);
  cr_expect(masc_prefix_equal(said.prefix, masc_bed_prefix("233.252.4.0/23")));
}

/* 5.4: what is withdrawn is the prefix, not the claim that would renew it. */
Test(masc_own_hand, s5_4_a_renewal_is_withdrawn_with_what_it_renews)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MalPrefix held = masc_bed_prefix("233.252.4.0/24");
  MascPend renewal = { .prefix = held, .renews = true };

  own_bed_win(own, 0, "233.252.4.0/24");
  masc_pend_add(zone_of(own), &renewal, now_of(own));
  cr_expect(masc_zone_withdraw(zone_of(own), held, now_of(own), NULL));
  own_bed_pass(own, 0);
  own_expect(own_bed_held(own, 0, false), "");
  own_expect(own_bed_pending(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_GIVEN_BACK), 1);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CANCELLED), 0);
}

/* ---- where to claim (5.1, 11.5) -------------------------------------------------------------- */

typedef struct {
  MascRole we_are;
  MascId domain, node;        /* 0: not known yet */
  bool up;
} Session;

#define NOBODY { MASC_N_ROLES, 0, 0, false }
#define PREFIX "233.252.4.0/24"
#define AT "this node has no session with domain 1, whose space it is: claim it at "
#define SOMEBODY(node) AT "the node that has one; node " node " of ours is in touch"
#define TELLER(node) AT "node " node " of ours, which has told of that space"

/* PREFIX_MANAGED of DOMAIN, told by PEER. */
static void manage(OwnBed *own, MascId domain, const char *prefix, uint32_t peer)
{
  MascRecord r = { .claim = masc_bed_claim(own->bed, MASC_PREFIX_MANAGED, MASC_PARENT, domain,
                                           prefix),
                   .from = peer };

  r.forget_at = masc_claim_forget_at(&r.claim, 100);
  masc_cache_add(zone_of(own)->cache, &r);
}

Test(masc_own_hand, s5_1_at_which_node_it_is_claimed)
{
  static const struct {
    const char *why;
    Session sessions[3];
    uint32_t told;              /* which of them told what domain 1 manages */
    const char *elsewhere;      /* NULL: it is claimed here */
  } rows[] = {
    { "the parent's node", { { MASC_CHILD, 1, 1000, true }, NOBODY, NOBODY }, 0, NULL },
    { "its domain isn't known yet, but may be that",
      { { MASC_CHILD, 0, 0, false }, { MASC_INTERNAL, 2, 2001, true }, NOBODY }, 9, NULL },
    { "another parent, and nobody else", { { MASC_CHILD, 4, 4000, true }, NOBODY, NOBODY }, 9,
      NULL },
    { "another parent, and one of ours",
      { { MASC_CHILD, 4, 4000, true }, { MASC_INTERNAL, 2, 2001, true }, NOBODY }, 9,
      SOMEBODY("2001") },
    { "one of ours that was never in touch",
      { { MASC_INTERNAL, 2, 0, false }, NOBODY, NOBODY }, 9, NULL },
    { "one that is not in touch now, and one that is",
      { { MASC_INTERNAL, 2, 2001, false }, { MASC_INTERNAL, 2, 2002, true }, NOBODY }, 9,
      SOMEBODY("2002") },
    { "the first of two",
      { { MASC_INTERNAL, 2, 2001, true }, { MASC_INTERNAL, 2, 2002, true }, NOBODY }, 9,
      SOMEBODY("2001") },
    { "who told of it before others, though out of touch",
      { { MASC_INTERNAL, 2, 2001, true }, { MASC_INTERNAL, 2, 2002, false }, NOBODY }, 1,
      TELLER("2002") },
    { "a sibling has nothing to say",
      { { MASC_SIBLING, 3, 3000, true }, { MASC_INTERNAL, 2, 2001, true }, NOBODY }, 1,
      TELLER("2001") },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_new();
    g_autoptr(GError) error = NULL;
    own_bed_add(own, 2, 2000, false);
    for (unsigned k = 0; k < 3 && rows[i].sessions[k].we_are != MASC_N_ROLES; k++) {
      const Session *s = &rows[i].sessions[k];
      masc_zone_add_peer(zone_of(own), k, s->we_are, s->domain, 0);
      MascPeer *peer = &g_array_index(zone_of(own)->peers, MascPeer, k);
      peer->node = s->node;
      peer->up = s->up;
    }
    manage(own, 4, "233.252.128.0/18", 0);
    manage(own, 1, "233.252.0.0/17", rows[i].told);
    bool claimed = masc_zone_claim(zone_of(own), masc_bed_prefix(PREFIX), false, 0, now_of(own),
                                   &error);
    cr_expect_eq(claimed, rows[i].elsewhere == NULL, "%s", rows[i].why);
    own_expect(own_bed_pending(own, 0), claimed ? PREFIX : "");
    if (!claimed)
      cr_expect(error != NULL && g_str_equal(error->message, rows[i].elsewhere), "%s: \"%s\"",
                rows[i].why, error != NULL ? error->message : "");
  }
}

/* 4.5: nobody is above it, whoever else of its domain there is. */
Test(masc_own_hand, s4_5_a_top_level_domain_claims_wherever_it_is_asked)
{
  g_autoptr(OwnBed) own = own_bed_top();

  masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
  cr_expect_eq(code_of(own, masc_bed_prefix(PREFIX), false, 0), TAKEN);
  own_expect(own_bed_pending(own, 0), PREFIX);
}
