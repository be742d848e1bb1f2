/* Restarts, clocks, and claims by hand (RFC 2909 13, 5.4). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

#include <string.h>

/* ---- restarts -------------------------------------------------------------------------------- */

Test(masc_own_store, s13_what_is_ours_stays_so)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MalTime until;

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_win(own, 0, "233.252.8.0/22");
  own_bed_wish(own, 0, MASC_WISH_DRAIN, "233.252.9.0/24", NULL);
  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.10.0/23", NULL);
  until = own_bed_until(own, 0, "233.252.4.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.8.0/24 233.252.9.0/24D");
  own_bed_reboot(own, 0, true);
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.8.0/24 233.252.9.0/24D");
  own_expect(own_bed_routes(own, 0), "233.252.4.0/24 233.252.8.0/24 233.252.9.0/24D");
  cr_expect_eq(own_bed_until(own, 0, "233.252.4.0/24"), until);
  own_bed_pass(own, until - masc_bed_now(own->bed, 0).wall + 10);
  own_bed_reboot(own, 0, true);
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "");
}

Test(masc_own_store, s13_a_claim_goes_on_waiting)
{
  static const struct {
    int64_t before, down, step;   /* seconds; the wall clock was set meanwhile */
    int64_t after;                /* it is won so much later at the earliest, and soon after */
  } cases[] = {
    { 400, 0, 0, 590 },
    { 400, 300, 0, 290 },
    { 400, 3000, 0, 62 },         /* but not before the others had time to object */
    { 400, 0, -5000, 990 },       /* all that was left when it was written */
    { 990, 0, 0, 62 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
    own_bed_pass(own, cases[i].before);
    own->bed->mono += cases[i].down * MASC_SECOND;
    own->bed->nodes[0].skew += cases[i].step;
    own_bed_reboot(own, 0, true);
    own_expect(own_bed_pending(own, 0), "233.252.4.0/24");
    own_bed_pass(own, cases[i].after - 2);
    own_expect(own_bed_local(own, 0), "");
    own_bed_pass(own, 30);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  }
}

Test(masc_own_store, s13_a_claim_that_lost_while_we_were_down)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 400);
  own->bed->mono += 3000 * MASC_SECOND;
  own_bed_reboot(own, 0, true);
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.4.0/24", 100);
  own_bed_pass(own, 2000);
  own_expect(own_bed_held(own, 0, false), "");
}

Test(masc_own_store, s13_won_but_not_announced_yet)
{
  for (int durable = 0; durable < 2; durable++) {
    g_autoptr(OwnBed) own = own_bed_child();
    own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
    own_bed_pass(own, 500);
    own->nodes[0].slow = true;
    own->nodes[0].broken = !durable;
    own_bed_pass(own, 600);
    own_expect(own_bed_local(own, 0), "");
    own->nodes[0].slow = own->nodes[0].broken = false;
    own_bed_reboot(own, 0, true);
    own_bed_pass(own, 1);
    own_expect(own_bed_local(own, 0), durable ? "233.252.4.0/24" : "");
    own_bed_pass(own, 1000);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
    own_expect(own_bed_pending(own, 0), "");
  }
}

/* What is withdrawn is said once it is durable: a disk that fails is asked now and then. */
Test(masc_own_store, s13_a_disk_that_fails_is_not_asked_all_the_time)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_win(own, 0, "233.252.4.0/24");
  own->nodes[0].slow = true;
  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/24", NULL);
  uint64_t before = own->nodes[0].asked;
  for (int i = 0; i < 10; i++)
    own_bed_disk(own, 0, false);
  cr_expect_leq(own->nodes[0].asked, before + 1, "%d times", (int)(own->nodes[0].asked - before));
  for (int i = 0; i < 30; i++) {
    own_bed_pass(own, 1);
    own_bed_disk(own, 0, false);
  }
  cr_expect_gt(own->nodes[0].asked, before);
  cr_expect_leq(own->nodes[0].asked, before + 6, "%d times", (int)(own->nodes[0].asked - before));
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0);
  own_bed_pass(own, 11);
  own_bed_disk(own, 0, true);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 1);
}

/* What others told once they don't tell again while the session lasts (11.1). */
Test(masc_own_store, s13_what_others_told_a_full_disk_is_written_once_it_can_be)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own->nodes[0].slow = own->nodes[0].broken = true;
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.4.0/24", 100);
  own_bed_disk(own, 0, false);
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.5.0/24", 50);
  own_bed_disk(own, 0, false);
  own->nodes[0].broken = false;
  uint64_t before = own->nodes[0].asked;
  own_bed_pass(own, 60);
  cr_expect_eq(own->nodes[0].asked, before, "a disk that fails is not asked for that");
  own_bed_disk(own, 0, true);
  cr_expect_eq(own->nodes[0].asked, before + 2, "only what was refused is written again");
  own_bed_reboot(own, 0, true);
  cr_expect(masc_bed_has(own->bed, 0, MASC_PREFIX_IN_USE, 3, "233.252.4.0/24"));
  cr_expect(masc_bed_has(own->bed, 0, MASC_PREFIX_IN_USE, 3, "233.252.5.0/24"));
}

Test(masc_own_store, s13_what_was_refused_twice_is_written_the_third_time)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own->nodes[0].slow = own->nodes[0].broken = true;
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.4.0/24", 100);
  own_bed_disk(own, 0, false);
  own_bed_disk(own, 0, true); /* takes a little, but not that */
  own_bed_disk(own, 0, false);
  own->nodes[0].broken = false;
  own_bed_disk(own, 0, true);
  own_bed_reboot(own, 0, true);
  cr_expect(masc_bed_has(own->bed, 0, MASC_PREFIX_IN_USE, 3, "233.252.4.0/24"));
}

/* 12.4: what an operator decided, though the disk was full just then. */
Test(masc_own_store, s13_marks_that_could_not_be_written_are_written_later)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own->bed->params.clash = MASC_CLASH_MANUAL;
  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.4.0/24", 5000);
  own_bed_pass(own, 1);
  own_expect(own_bed_local(own, 0), "");
  own->nodes[0].slow = own->nodes[0].broken = true;
  cr_assert(masc_zone_resolve(own->bed->nodes[0].zone, masc_bed_prefix("233.252.4.0/24"), true,
                              masc_bed_now(own->bed, 0), NULL));
  own_bed_pass(own, 1);
  own_bed_disk(own, 0, false);
  own->nodes[0].broken = false;
  own_bed_disk(own, 0, true);
  own->nodes[0].slow = false;
  own_bed_reboot(own, 0, true);
  own_bed_pass(own, 1);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

static unsigned rows_of_claims(const OwnBed *own)
{
  GHashTableIter iter;
  gpointer key;
  unsigned n = 0;

  g_hash_table_iter_init(&iter, own->bed->nodes[0].kept);
  while (g_hash_table_iter_next(&iter, &key, NULL)) {
    gsize length;
    const uint8_t *octets = g_bytes_get_data(key, &length);
    n += length > 1 && octets[0] == 'o' && octets[1] == 'p';
  }
  return n;
}

/* Won, written, said; only the row of the claim could not be dropped. */
static OwnBed *with_a_row_that_stayed(void)
{
  OwnBed *own = own_bed_child();

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 500);
  own->nodes[0].slow = true;
  own_bed_pass(own, 600);
  own_bed_disk(own, 0, true);
  own_bed_pass(own, 0);
  own->nodes[0].broken = true;
  own_bed_disk(own, 0, true);
  own_bed_disk(own, 0, false);
  own->nodes[0].broken = false;
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_assert_eq(rows_of_claims(own), 1);
  return own;
}

Test(masc_own_store, s13_a_row_that_could_not_be_dropped_is_dropped_later)
{
  g_autoptr(OwnBed) own = with_a_row_that_stayed();

  own_bed_pass(own, 11);
  own_bed_disk(own, 0, true);
  cr_expect_eq(rows_of_claims(own), 0);
}

Test(masc_own_store, s13_a_row_that_stayed_is_no_claim)
{
  g_autoptr(OwnBed) own = with_a_row_that_stayed();
  unsigned won = own_bed_notes(own, 0, MASC_NOTE_WON);

  own->nodes[0].slow = false;
  own_bed_reboot(own, 0, true);
  own_bed_pass(own, 100);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_WON), won);
  cr_expect_eq(rows_of_claims(own), 0);
}

Test(masc_own_store, s13_a_renewal_over_a_restart)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 3000;
  own_bed_win(own, 0, "233.252.4.0/24");
  for (int i = 0; i < 40; i++) {
    own_bed_pass(own, 777);
    own_bed_reboot(own, 0, true);
    own_bed_pass(own, 0);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  }
  cr_expect_geq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 5);
}

Test(masc_own_store, s13_octets_that_are_damaged_are_dropped)
{
  g_autoptr(OwnBed) own = own_bed_child();
  GHashTableIter iter;
  gpointer key, value;
  unsigned rows = 0;

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.6.0/24", NULL);
  own_bed_pass(own, 100);
  MascZone *zone = masc_zone_new(&own->bed->nodes[0].config);
  g_hash_table_iter_init(&iter, own->bed->nodes[0].kept);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    size_t kl, vl;
    const uint8_t *k = g_bytes_get_data(key, &kl), *v = g_bytes_get_data(value, &vl);
    if (k[0] != 'o')
      continue;
    rows++;
    for (size_t cut = 0; cut < vl; cut++)
      cr_expect_not(masc_zone_restore(zone, k, kl, v, cut, masc_bed_now(own->bed, 0)) &&
                    k[1] == 'p');
    for (size_t at = 0; at < vl; at++) {
      g_autofree uint8_t *copy = g_memdup2(v, vl);
      copy[at] ^= 0xff;
      masc_zone_restore(zone, k, kl, copy, vl, masc_bed_now(own->bed, 0));
    }
    cr_expect_not(masc_zone_restore(zone, k, kl + (kl < 6), v, vl, masc_bed_now(own->bed, 0)) &&
                  kl == 6 && k[1] != 'p');
  }
  cr_expect_geq(rows, 2);
  masc_zone_free(zone);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

Test(masc_own_store, s5_1_d_the_claim_timer_does_not_heed_the_wall_clock)
{
  static const int64_t steps[] = { 100000, -100000 };

  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
    own_bed_pass(own, 500);
    own->bed->nodes[0].skew += steps[i];
    masc_zone_clock_stepped(own->bed->nodes[0].zone, steps[i], masc_bed_now(own->bed, 0));
    own_bed_pass(own, 490);
    own_expect(own_bed_local(own, 0), "");
    own_bed_pass(own, 30);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  }
}

Test(masc_own_store, s4_2_an_end_is_an_instant_of_the_wall_clock)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_win(own, 0, "233.252.4.0/24");
  own->bed->nodes[0].skew += 40 * OWN_DAY;
  masc_zone_clock_stepped(own->bed->nodes[0].zone, 40 * OWN_DAY, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "");
}

Test(masc_own_store, s5_2_renewals_after_the_clock_was_set_back)
{
  g_autoptr(OwnBed) own = own_bed_child();
  GArray *pends = own_bed_owns(own, 0)->pends;
  uint32_t stamp;

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 3000;
  own_bed_win(own, 0, "233.252.4.0/24");
  own->bed->params.initiate_claim_delay = 200;
  stamp = g_array_index(own_bed_owns(own, 0)->held[0], MascHeld, 0).claim.timestamp;
  for (int i = 0; i < 3000 && pends->len == 0; i++)
    own_bed_pass(own, 1);
  cr_assert(pends->len == 1 && g_array_index(pends, MascPend, 0).state == MASC_PEND_DELAYED);
  own->bed->nodes[0].skew -= 6000;
  masc_zone_clock_stepped(own->bed->nodes[0].zone, -6000, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 1300);
  cr_expect_lt(masc_bed_now(own->bed, 0).wall, (MalTime)stamp, "by our clock it is older");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 1);
  cr_expect_gt(g_array_index(own_bed_owns(own, 0)->held[0], MascHeld, 0).claim.timestamp, stamp);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

/* ---- by hand --------------------------------------------------------------------------------- */

static bool claim(OwnBed *own, const char *prefix, bool lower, int64_t lifetime, int code)
{
  g_autoptr(GError) error = NULL;
  MalPrefix p = { .length = 24 };
  bool ok;

  if (prefix[0] != '/')
    p = masc_bed_prefix(prefix);
  else
    p.length = MASC_BED_LENGTH((unsigned)atoi(prefix + 1));
  ok = masc_zone_claim(own->bed->nodes[0].zone, p, lower, lifetime, masc_bed_now(own->bed, 0),
                       &error);
  cr_expect_eq(ok, code < 0, "%s: %s", prefix, error != NULL ? error->message : "claimed");
  cr_expect(code < 0 || g_error_matches(error, MAL_ERROR, code), "%s", prefix);
  return ok;
}

Test(masc_own_store, by_hand_claims)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own->bed->params.claim = false;
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.32.0/24", 0);
  claim(own, "233.252.4.0/24", false, 0, -1);
  claim(own, "233.252.4.0/25", false, 0, MAL_ERROR_EXISTS);
  claim(own, "233.252.32.0/23", false, 0, MAL_ERROR_EXISTS);
  claim(own, "233.252.200.0/24", false, 0, MAL_ERROR_DENIED);
  claim(own, "233.252.6.0/24", true, 0, MAL_ERROR_INVALID);
  claim(own, "233.252.6.0/24", false, 500, MAL_ERROR_INVALID);
  claim(own, "ff0e::/96", false, 0, MAL_ERROR_INVALID);
  claim(own, "/16", false, 0, MAL_ERROR_NO_SPACE);
  claim(own, "/26", false, 5000, -1);
  own_bed_pass(own, 1100);
  cr_expect_eq(own_bed_owns(own, 0)->held[0]->len, 2);
  claim(own, "233.252.4.0/25", false, 0, MAL_ERROR_EXISTS);
  claim(own, "233.252.4.0/24", false, 0, -1);
  own_expect(own_bed_pending(own, 0), "r:233.252.4.0/24");
}

Test(masc_own_store, by_hand_survives_a_restart_and_the_planner)
{
  g_autoptr(OwnBed) own = own_bed_child();

  claim(own, "233.252.4.0/24", false, 0, -1);
  own_bed_reboot(own, 0, true);
  own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.0.0/17", -1);
  own_expect(own_bed_pending(own, 0), "233.252.4.0/24");
  own_bed_pass(own, 1200);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_reboot(own, 0, true);
  own_bed_wish(own, 0, MASC_WISH_DRAIN, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

/* Neither a child nor the parent in which it is has any demand: the real planner leaves it at
   that. */
Test(masc_own_store, by_hand_is_no_demand)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own->bed->params.plan_interval = 100;
  own_bed_owns(own, 0)->planner = masc_plan;
  claim(own, "233.252.4.0/24", false, 0, -1);
  own_bed_pass(own, 6000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(own_bed_owns(own, 0)->held[0]->len, 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL), 1);
  masc_zone_arrived(own->bed->nodes[0].zone, 256, masc_bed_now(own->bed, 0));
  masc_zone_waiting(own->bed->nodes[0].zone, 256, MAL_FOREVER, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 200);
  cr_expect_gt(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL) +
                   masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, NULL),
               1);
}

Test(masc_own_store, s5_4_by_hand_withdrawals)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascZone *zone = own->bed->nodes[0].zone;
  g_autoptr(GError) error = NULL;

  claim(own, "233.252.4.0/24", false, 0, -1);
  own_bed_pass(own, 100);
  cr_expect(masc_zone_withdraw(zone, masc_bed_prefix("233.252.4.0/24"),
                               masc_bed_now(own->bed, 0), NULL));
  own_expect(own_bed_pending(own, 0), "");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 1);
  own_bed_win(own, 0, "233.252.6.0/24");
  own_bed_use(own, 0, "233.252.6.9");
  cr_expect_not(masc_zone_withdraw(zone, masc_bed_prefix("233.252.6.0/24"),
                                   masc_bed_now(own->bed, 0), &error));
  cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_EXISTS));
  g_clear_error(&error);
  own_bed_unuse(own, 0);
  cr_expect(masc_zone_withdraw(zone, masc_bed_prefix("233.252.6.0/24"),
                               masc_bed_now(own->bed, 0), NULL));
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "");
  cr_expect_not(masc_zone_withdraw(zone, masc_bed_prefix("233.252.6.0/24"),
                                   masc_bed_now(own->bed, 0), &error));
  cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_NOT_FOUND));
}

/* ---- looking in ------------------------------------------------------------------------------ */

static void count(const MascEntry *entry, void *data)
{
  unsigned *counts = data;

  counts[entry->kind]++;
}

Test(masc_own_store, looking_in)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned counts[MASC_ENTRY_WITHDRAWN + 1] = { 0 };

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_use(own, 0, "233.252.4.8-233.252.4.15");
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.8.0/24", NULL);
  masc_zone_each(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0), count, counts);
  cr_expect_eq(counts[MASC_ENTRY_HELD], 1);
  cr_expect_eq(counts[MASC_ENTRY_PENDING], 1);
  cr_expect_eq(counts[MASC_ENTRY_PARENT], 1);
  MascZoneUsage u = masc_zone_usage(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  cr_expect_eq(u.held, 256);
  cr_expect_eq(u.local, 256);
  cr_expect_eq(u.used, 8);
  cr_expect_eq(u.n_held, 1);
  cr_expect_eq(u.n_pending, 1);
}

static void find_planned(const MascEntry *entry, void *data)
{
  if (entry->kind == MASC_ENTRY_PENDING)
    *(MascEntry *)data = *entry;
}

/* What will be claimed after a start is known long before it is sent. */
Test(masc_own_store, looking_in_what_is_planned)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascWish wish = { .kind = MASC_WISH_CLAIM, .prefix = masc_bed_prefix("233.252.8.0/24") };
  MascZone *zone;
  MascEntry entry = { .kind = MASC_ENTRY_HELD };

  own->bed->params.waiting_period = 2 * OWN_DAY;
  own->bed->params.initiate_claim_delay = 4 * OWN_HOUR;
  g_array_append_val(own->nodes[0].wishes[0], wish);
  own_bed_owns(own, 0)->asked = true;
  masc_zone_replan(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  masc_marks_keep(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  own_bed_reboot(own, 0, true);
  masc_bed_clear(own->bed);
  zone = own->bed->nodes[0].zone;
  own_bed_owns(own, 0)->waiting = 256;
  own_bed_pass(own, MASC_LEARNING - 1);
  own_expect(own_bed_pending(own, 0), "");
  own_bed_pass(own, 600);
  masc_zone_each(zone, masc_bed_now(own->bed, 0), find_planned, &entry);
  cr_assert_eq(entry.kind, MASC_ENTRY_PENDING);
  cr_expect(masc_prefix_equal(entry.claim.prefix, wish.prefix));
  cr_expect_eq(entry.claim.timestamp, 0, "not sent yet");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL), 0);
  cr_expect_leq(entry.due, masc_bed_now(own->bed, 0).wall + 4 * OWN_HOUR);
  own_bed_pass(own, entry.due + 1 - masc_bed_now(own->bed, 0).wall);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL), 1, "then it is");
}

/* Whose servers use it says so only after a while. */
Test(masc_own_store, s5_4_nothing_is_given_back_at_the_start)
{
  static const int64_t delays[] = { 2, 600 };
  for (size_t i = 0; i < G_N_ELEMENTS(delays); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascWish wish = { .kind = MASC_WISH_GIVE, .prefix = masc_bed_prefix("233.252.4.0/24") };

    own_bed_win(own, 0, "233.252.4.0/24");
    own->bed->params.waiting_period = 3;
    own->bed->params.initiate_claim_delay = delays[i];
    own_bed_reboot(own, 0, true);
    own_bed_owns(own, 0)->asked = true;
    g_array_append_val(own->nodes[0].wishes[0], wish);
    own_bed_pass(own, MIN(delays[i], MASC_LEARNING) - 1);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
    own_bed_pass(own, MASC_LEARNING + delays[i]);
    own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/24", NULL);
    own_expect(own_bed_local(own, 0), "");
  }
}

/* What is in use is told by the domain's servers, and none has said anything yet. */
Test(masc_own_store, s13_after_a_start_nothing_is_given_back_before_it_is_known_what_is_in_use)
{
  static const MascWishKind kinds[] = { MASC_WISH_GIVE, MASC_WISH_DRAIN };
  for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    own->bed->params.waiting_period = 3;
    own_bed_win(own, 0, "233.252.8.0/24");
    own_bed_reboot(own, 0, true);
    own_bed_wish(own, 0, kinds[i], "233.252.8.0/24", NULL);
    g_autofree char *before = own_bed_local(own, 0);
    cr_expect(strstr(before, "233.252.8.0/24"), "%s", before);
    own_bed_pass(own, MASC_LEARNING - 10);
    own_bed_wish(own, 0, kinds[i], "233.252.8.0/24", NULL);
    own_expect(own_bed_local(own, 0), before);
    own_bed_pass(own, 20);
    own_bed_wish(own, 0, kinds[i], "233.252.8.0/24", NULL);
    g_autofree char *after = own_bed_local(own, 0);
    cr_expect_str_neq(after, before);
  }
}
