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

Test(masc_own_adopt, who_claims_by_hand_alone_has_it_no_longer_than_recovery_takes)
{
  g_autoptr(OwnBed) own = top_recovers();

  own->bed->params.claim = false;
  adopt(own, SPAN);
  own_expect(vouched(own, SPAN), "233.252.4.0/22");
  own_bed_pass(own, OVER + 60);
  own_expect(own_bed_pending(own, 0), "");
  own_expect(vouched(own, SPAN), "");
}
