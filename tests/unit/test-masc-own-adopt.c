/* What our servers use by an announcement that layer 2 took over, though we brought them none of
   it: what of it may go on, and what is claimed (RFC 2909 12.2, 13, 14). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

#define OVER 1001 /* of a waiting period in this bed: recovery is over, too */

static void add_part(MalSpan part, void *data)
{
  GArray *prefixes = data;
  MalPrefix p = mal_prefix_first_of(part);

  cr_expect(mal_address_equal(mal_span_of_prefix(p).last, part.last));
  g_array_append_val(prefixes, p);
}

static int by_prefix(const void *a, const void *b)
{
  return masc_prefix_compare(a, b);
}

/* What of it the zone vouches for, as text. */
static char *vouched(OwnBed *own, const char *span)
{
  g_autoptr(GArray) prefixes = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  GString *out = g_string_new(NULL);
  char text[MAL_ADDRESS_STRLEN];

  masc_zone_vouch(own->bed->nodes[0].zone, masc_bed_span(span), masc_bed_now(own->bed, 0), add_part,
                  prefixes);
  g_array_sort(prefixes, by_prefix);
  for (guint i = 0; i < prefixes->len; i++) {
    MalPrefix p = g_array_index(prefixes, MalPrefix, i);
    g_string_append_printf(out, "%s%s/%u", i > 0 ? " " : "", mal_address_format(p.address, text),
                           p.length);
  }
  return g_string_free(out, FALSE);
}

static void adopt(OwnBed *own, const char *text)
{
  MalSpan span = masc_bed_span(text);

  masc_zone_adopted(own->bed->nodes[0].zone, &span, 1, masc_bed_now(own->bed, 0));
}

#define SPAN "233.252.4.0-233.252.7.255"

/* A top-level domain without its disk; peer 0 is a sibling. */
static OwnBed *top_recovers(void)
{
  OwnBed *own = own_bed_top();

  own_bed_reboot(own, 0, false);
  return own;
}

Test(masc_own_adopt, s14_while_we_recover_all_goes_on_that_nobody_else_is_heard_to_have)
{
  g_autoptr(OwnBed) own = top_recovers();

  own_expect(vouched(own, SPAN), "233.252.4.0/22");
  own_bed_say(own, 0, MASC_PREFIX_IN_USE, "233.252.5.0/24", 500);
  own_bed_say(own, 0, MASC_NEW_CLAIM, "233.252.6.0/24", 500);
  own_expect(vouched(own, SPAN), "233.252.4.0/24 233.252.7.0/24");
}

Test(masc_own_adopt, s14_after_recovery_it_is_claimed_and_goes_on_until_that_is_won)
{
  g_autoptr(OwnBed) own = top_recovers();

  adopt(own, SPAN);
  own_bed_pass(own, OVER - 10);
  own_expect(own_bed_pending(own, 0), "");
  own_bed_pass(own, 60);
  own_expect(own_bed_pending(own, 0), "233.252.4.0/22");
  own_expect(own_bed_local(own, 0), "");
  own_expect(vouched(own, SPAN), "233.252.4.0/22");
  own_bed_pass(own, OVER);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  own_expect(vouched(own, SPAN), "233.252.4.0/22");
}

Test(masc_own_adopt, s5_1_c_where_the_claim_is_lost_it_ends_and_the_rest_is_claimed_again)
{
  g_autoptr(OwnBed) own = top_recovers();

  adopt(own, SPAN);
  own_bed_pass(own, OVER + 60);
  own_bed_say(own, 0, MASC_PREFIX_IN_USE, "233.252.4.0/24", 5000);
  own_bed_pass(own, 0);
  own_expect(vouched(own, SPAN), "233.252.5.0/24 233.252.6.0/23");
  own_bed_pass(own, 200);
  own_expect(own_bed_pending(own, 0), "233.252.5.0/24 233.252.6.0/23");
  own_bed_pass(own, OVER);
  own_expect(own_bed_local(own, 0), "233.252.5.0/24 233.252.6.0/23");
}

Test(masc_own_adopt, s14_what_comes_after_another_waiting_period_is_not_claimed)
{
  g_autoptr(OwnBed) own = top_recovers();

  own_bed_pass(own, 2 * OVER);
  adopt(own, SPAN);
  own_bed_pass(own, 200);
  own_expect(own_bed_pending(own, 0), "");
  own_expect(vouched(own, SPAN), "");
}

Test(masc_own_adopt, s14_with_the_disk_we_know_what_is_ours)
{
  g_autoptr(OwnBed) own = own_bed_top();

  own_expect(vouched(own, SPAN), "");
  own_bed_win(own, 0, "233.252.4.0/24");
  own_expect(vouched(own, SPAN), "233.252.4.0/24");
  adopt(own, SPAN);
  own_bed_pass(own, OVER);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

Test(masc_own_adopt, s11_an_internal_peer_that_is_out_of_touch_may_know_it)
{
  g_autoptr(OwnBed) own = own_bed_top();
  unsigned peer = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);

  own_expect(vouched(own, SPAN), "");
  masc_bed_down(own->bed, peer);
  own_expect(vouched(own, SPAN), "233.252.4.0/22");
  own_bed_say(own, 0, MASC_PREFIX_IN_USE, "233.252.4.0/23", 500);
  own_expect(vouched(own, SPAN), "233.252.6.0/23");
}

/* What that one claims is ours as far as it goes. */
Test(masc_own_adopt, s11_2_4_what_an_internal_peer_claims_goes_on)
{
  g_autoptr(OwnBed) own = own_bed_top();
  unsigned peer = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);

  own_bed_say_of(own, peer, MASC_NEW_CLAIM, "233.252.6.0/23", 10, MASC_INTERNAL, 2, 77);
  own_expect(vouched(own, SPAN), "233.252.6.0/23");
}

Test(masc_own_adopt, s12_4_what_was_lost_in_a_clash_is_over_for_good)
{
  g_autoptr(OwnBed) own = own_bed_top();
  unsigned peer = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);

  own_bed_win(own, 0, "233.252.4.0/22");
  own_bed_say(own, 0, MASC_PREFIX_IN_USE, "233.252.4.0/23", 50000);
  own_bed_pass(own, 10);
  own_expect(own_bed_local(own, 0), "233.252.6.0/23");
  own_bed_say(own, 0, MASC_WITHDRAW, "233.252.4.0/23", 50000);
  masc_bed_down(own->bed, peer);
  own_expect(vouched(own, SPAN), "233.252.6.0/23");
}

/* Domain 2 below domain 1, which manages 233.252.0.0/17. */
Test(masc_own_adopt, s11_7_4_nothing_goes_on_outside_of_what_parents_manage)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_reboot(own, 0, false);
  own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.0.0/21", 10);
  own_expect(vouched(own, "233.252.6.0-233.252.9.255"), "233.252.6.0/23 233.252.8.0/23");
  own_bed_pass(own, 100);
  own_expect(vouched(own, "233.252.6.0-233.252.9.255"), "233.252.6.0/23");
  adopt(own, "233.252.6.0-233.252.9.255");
  own_bed_pass(own, 2 * OVER);
  own_expect(own_bed_local(own, 0), "233.252.6.0/23");
}

/* A parent that has said nothing yet: who knows. */
Test(masc_own_adopt, s14_without_a_parent_in_touch_nobody_knows)
{
  g_autoptr(OwnBed) own = own_bed_child();

  masc_bed_down(own->bed, OWN_PARENT);
  own_bed_reboot(own, 0, false);
  own_bed_pass(own, 500);
  own_expect(vouched(own, SPAN), "233.252.4.0/22");
}

/* With children of its own: what these have is theirs, and servers that have something need no more
   than what was claimed for them. */
Test(masc_own_adopt, s12_2_a_childs_space_is_not_our_servers)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim claim;

  masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);
  own_bed_win(own, 0, "233.252.4.0/22");
  claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 5, "233.252.5.0/24");
  claim.lifetime = 10 * OWN_DAY;
  cr_expect_eq(masc_bed_say(own->bed, 0, 2, &claim), 0);
  own_bed_pass(own, 0);
  own_expect(vouched(own, SPAN), "233.252.4.0/24 233.252.6.0/23");
  own_bed_use(own, 0, "233.252.6.1");
  masc_zone_replan(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 60);
  own_expect(own_bed_local(own, 0), "233.252.6.0/24");
  own_expect(vouched(own, SPAN), "");
}

/* Time to claim it as long as it would be claimed by itself; each prefix is said once. */
Test(masc_own_adopt, s14_who_claims_by_hand_alone_is_told_when_recovery_is_over)
{
  g_autoptr(OwnBed) own = top_recovers();

  own->bed->params.claim = false;
  adopt(own, SPAN);
  own_expect(vouched(own, SPAN), "233.252.4.0/22");
  own_bed_pass(own, OVER - 10);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNCLAIMED), 0);
  own_bed_pass(own, 60);
  own_expect(own_bed_pending(own, 0), "");
  own_expect(vouched(own, SPAN), "233.252.4.0/22");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNCLAIMED), 1);
  own_bed_pass(own, 500);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNCLAIMED), 1);
  adopt(own, "233.252.4.0-233.252.8.255");
  own_bed_pass(own, 100);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNCLAIMED), 2);
  own_bed_pass(own, 500);
  own_expect(vouched(own, SPAN), "");
}

Test(masc_own_adopt, s14_what_is_claimed_by_hand_meanwhile_goes_on)
{
  g_autoptr(OwnBed) own = top_recovers();

  own->bed->params.claim = false;
  adopt(own, SPAN);
  own_bed_pass(own, OVER + 60);
  cr_assert(masc_zone_claim(own->bed->nodes[0].zone, masc_bed_prefix("233.252.4.0/23"), false, 0,
                            masc_bed_now(own->bed, 0), NULL));
  own_bed_pass(own, OVER - 60);
  own_expect(vouched(own, SPAN), "233.252.4.0/23");
  own_bed_pass(own, 200);
  own_expect(own_bed_local(own, 0), "233.252.4.0/23");
}

Test(masc_own_adopt, s14_a_restart_leaves_as_much_time)
{
  g_autoptr(OwnBed) own = top_recovers();

  own->bed->params.claim = false;
  adopt(own, SPAN);
  own_bed_pass(own, OVER + 300);
  own_bed_reboot(own, 0, true);
  own_expect(vouched(own, SPAN), "233.252.4.0/22");
  own_bed_pass(own, 300);
  own_expect(vouched(own, SPAN), "233.252.4.0/22");
  own_bed_pass(own, OVER - 600);
  own_expect(vouched(own, SPAN), "");
}

/* ---- single questions ------------------------------------------------------------------------ */

static MascZone *zone_of(const OwnBed *own)
{
  return own->bed->nodes[0].zone;
}

static MascNow now_of(const OwnBed *own)
{
  return masc_bed_now(own->bed, 0);
}

/* A top-level domain with a node of ours out of touch, who may know of what we don't. */
static OwnBed *top_that_misses_one(void)
{
  OwnBed *own = own_bed_top();

  masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
  masc_bed_down(own->bed, 1);
  return own;
}

/* 5.4, 12.4: who lost a disk can't know whether a WITHDRAW is about more than a claim that was in
   the way; of a clash there is no doubt. What was local use of ours is nobody's business here. */
Test(masc_own_adopt, s5_4_what_was_given_up)
{
  static const struct {
    const char *why;
    MascRole role;
    bool clash, lately;
    const char *left;
  } rows[] = {
    { "given back", MASC_INTERNAL, false, false, "233.252.6.0/23" },
    { "who knows, after a disk was lost", MASC_INTERNAL, false, true, "233.252.4.0/22" },
    { "lost in a clash", MASC_INTERNAL, true, false, "233.252.6.0/23" },
    { "the same after a disk was lost", MASC_INTERNAL, true, true, "233.252.6.0/23" },
    { "as our own child", MASC_CHILD, true, false, "233.252.4.0/22" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = top_that_misses_one();
    MascRecord w = { .claim = masc_bed_claim(own->bed, MASC_WITHDRAW, rows[i].role, 2,
                                             "233.252.4.0/23"),
                     .clash = rows[i].clash };
    w.forget_at = masc_claim_forget_at(&w.claim, 100);
    masc_cache_add(zone_of(own)->cache, &w);
    own_bed_owns(own, 0)->adopt_until = rows[i].lately ? MASC_NEVER : INT64_MIN;
    own_expect(vouched(own, SPAN), rows[i].left);
  }
}

/* What waits below is for children's sake; what is won waits for nothing. */
Test(masc_own_adopt, s5_1_b_what_is_being_claimed_goes_on)
{
  static const struct {
    bool lower;
    MascPendState state;
    const char *goes_on;
  } rows[] = {
    { false, MASC_PEND_DELAYED, "233.252.4.0/23" },
    { false, MASC_PEND_CLAIMING, "233.252.4.0/23" },
    { false, MASC_PEND_KEEPING, "233.252.4.0/23" },
    { false, MASC_PEND_KEPT, "" },
    { true, MASC_PEND_CLAIMING, "" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_top();
    MascPend pend = { .id = 100, .prefix = masc_bed_prefix("233.252.4.0/23"), .due = MASC_NEVER,
                      .lower = rows[i].lower, .state = rows[i].state };
    g_array_append_val(own_bed_owns(own, 0)->pends, pend);
    own_expect(vouched(own, SPAN), rows[i].goes_on);
  }
}

Test(masc_own_adopt, s11_3_3_what_was_denied_lately_does_not_go_on)
{
  g_autoptr(OwnBed) own = top_that_misses_one();

  masc_own_avoid(zone_of(own), masc_bed_prefix("233.252.4.0/24"), 100, now_of(own));
  masc_own_avoid(zone_of(own), masc_bed_prefix("233.252.6.0/24"), 0, now_of(own));
  own_expect(vouched(own, SPAN), "233.252.5.0/24 233.252.6.0/23");
}

/* It is claimed now: what of it? */
static guint claimed(OwnBed *own)
{
  MascOwns *owns = own_bed_owns(own, 0);

  owns->adopt_at = 0;
  owns->adopt_until = MASC_NEVER;
  masc_own_adopt(zone_of(own), now_of(own));
  return owns->pends->len;
}

Test(masc_own_adopt, s14_not_before_recovery_is_over)
{
  g_autoptr(OwnBed) own = own_bed_top();

  adopt(own, SPAN);
  own_bed_owns(own, 0)->recovering_until = MASC_NEVER;
  cr_expect_eq(claimed(own), 0);
  own_bed_owns(own, 0)->recovering_until = 0;
  cr_expect_eq(claimed(own), 1);
}

/* 5.1: a claim toward a parent is for nodes that are in touch with it. */
Test(masc_own_adopt, s5_1_who_has_no_parent_in_touch_leaves_it_to_who_has)
{
  for (unsigned up = 0; up < 2; up++) {
    g_autoptr(OwnBed) own = own_bed_child();
    masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
    if (!up)
      masc_bed_down(own->bed, OWN_PARENT);
    adopt(own, SPAN);
    cr_expect_eq(claimed(own), up);
    own_expect(vouched(own, SPAN), up ? "233.252.4.0/22" : "");
  }
}

Test(masc_own_adopt, s12_2_nothing_was_taken_over)
{
  g_autoptr(OwnBed) own = top_recovers();
  MascOwns *owns = own_bed_owns(own, 0);

  adopt(own, SPAN);
  owns->due = MASC_NEVER;
  masc_zone_adopted(zone_of(own), NULL, 0, now_of(own));
  cr_expect_eq(owns->due, MASC_NEVER, "there is nothing to wait for");
  cr_expect_eq(claimed(own), 0);
  adopt(own, SPAN);
  cr_expect_neq(owns->due, MASC_NEVER);
}

/* Forty that can't be one. */
static void adopt_many(OwnBed *own)
{
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MalSpan));

  for (unsigned i = 0; i < 40; i++) {
    g_autofree char *text = g_strdup_printf("233.252.%u.0-233.252.%u.255", 2 * i, 2 * i);
    MalSpan span = masc_bed_span(text);
    g_array_append_val(spans, span);
  }
  masc_zone_adopted(zone_of(own), (const MalSpan *)(void *)spans->data, spans->len, now_of(own));
}

/* Of very many pieces so many at once, and no more while these wait. */
Test(masc_own_adopt, s14_not_all_at_once)
{
  g_autoptr(OwnBed) own = own_bed_top();

  adopt_many(own);
  cr_expect_eq(claimed(own), 32);
  cr_expect_eq(claimed(own), 32);
}

/* Nor while others of ours wait; but neither renewals, nor what is won, nor what is below it takes
   a place. */
Test(masc_own_adopt, s14_what_takes_a_place)
{
  static const struct {
    MascPendState state;
    bool lower, renews;
    guint claims;
  } rows[] = {
    { MASC_PEND_CLAIMING, false, false, 31 },
    { MASC_PEND_CLAIMING, true, false, 32 },
    { MASC_PEND_CLAIMING, false, true, 32 },
    { MASC_PEND_KEPT, false, false, 32 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_top();
    MascPend pend = { .id = 100, .state = rows[i].state, .lower = rows[i].lower,
                      .renews = rows[i].renews, .prefix = masc_bed_prefix("233.252.240.0/24"),
                      .due = MASC_NEVER };
    g_array_append_val(own_bed_owns(own, 0)->pends, pend);
    adopt_many(own);
    cr_expect_eq(claimed(own), rows[i].claims + 1, "row %zu", i);
  }
}

/* What is ours already needs no room: it doesn't hide that others found none. */
Test(masc_own_adopt, s14_the_last_one_is_ours)
{
  g_autoptr(OwnBed) own = own_bed_top();
  MalSpan last;

  own_bed_win(own, 0, "233.252.240.0/24");
  adopt_many(own);
  last = masc_bed_span("233.252.240.0-233.252.240.255");
  g_array_append_val(own_bed_owns(own, 0)->adopted, last);
  cr_expect_eq(claimed(own), 32);
  cr_expect_eq(own_bed_owns(own, 0)->adopt_until,
               masc_own_after(now_of(own), own->bed->params.waiting_period));
}

static guint held(OwnBed *own)
{
  return own_bed_owns(own, 0)->held[MASC_UPPER]->len;
}

/* The others when these are won: until then they go on. */
Test(masc_own_adopt, s14_all_one_after_the_other)
{
  g_autoptr(OwnBed) own = top_recovers();

  adopt_many(own);
  own_bed_pass(own, 2 * OVER + 100);
  cr_expect_eq(held(own), 32, "%u", held(own));
  own_expect(vouched(own, "233.252.78.0-233.252.78.255"), "233.252.78.0/24");
  own_bed_pass(own, OVER + 200);
  cr_expect_eq(held(own), 40, "%u", held(own));
  own_bed_pass(own, OVER);
  cr_expect_eq(own_bed_owns(own, 0)->adopt_at, MASC_NEVER, "it comes to an end");
}

/* 17.1: nothing smaller than what is ever claimed; it goes on, and what is larger beside it. */
Test(masc_own_adopt, s17_1_pieces_that_are_too_small_are_not_claimed)
{
  static const struct {
    const char *span, *pending;
  } rows[] = {
    { "233.252.4.0-233.252.4.127", "" },
    { "233.252.4.0-233.252.5.127", "233.252.4.0/24" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_top();
    adopt(own, rows[i].span);
    claimed(own);
    own_expect(own_bed_pending(own, 0), rows[i].pending);
  }
}
