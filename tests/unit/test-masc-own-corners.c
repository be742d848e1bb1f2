/* Our own claims in their corners (RFC 2909 5, 8.3, 11.5, 13): before the start, instants beyond
   all bounds, what is asked for by hand or wished for in vain, rows of a hostile disk. */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>
#include <string.h>

static MascZone *zone_of(const OwnBed *own)
{
  return own->bed->nodes[0].zone;
}

static MascNow now_of(const OwnBed *own)
{
  return masc_bed_now(own->bed, 0);
}

/* ---- before the start ------------------------------------------------------------------------ */

Test(masc_own_corners, s13_before_the_start_nothing_is_done)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascRecord ours = { .claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 2,
                                              "233.252.4.0/24"),
                      .parent = 1 };
  MascRecord theirs = { .claim = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_SIBLING, 3,
                                                "233.252.4.0/24"),
                        .parent = 1 };
  MascZone *zone = zone_of(own);
  MascOwns *owns = zone->owns;
  unsigned plans;

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  plans = own->nodes[0].plans;
  owns->due = MASC_NEVER;
  owns->plan_at = owns->renew_at = MASC_NEVER;
  zone->started = false;
  masc_own_touched(zone, now_of(own));
  masc_own_children_changed(zone, now_of(own));
  masc_owns_params_changed(zone, now_of(own));
  masc_owns_stepped(zone, 5, now_of(own));
  masc_own_rivalled(zone, &theirs, now_of(own));
  masc_own_took(zone, &ours, now_of(own));
  cr_expect_not(masc_local_leaf(zone, now_of(own)));
  owns->dirty = true;
  cr_expect_not(masc_own_catch_up(zone, now_of(own)));
  owns->dirty = false;
  masc_owns_run(zone, now_of(own));
  cr_expect_eq(masc_owns_due(zone), MASC_NEVER);
  cr_expect_eq(owns->due, MASC_NEVER);
  cr_expect_eq(owns->plan_at, MASC_NEVER);
  cr_expect_eq(owns->renew_at, MASC_NEVER);
  cr_expect_eq(own->nodes[0].plans, plans);
  own_expect(own_bed_pending(own, 0), "233.252.4.0/24");
  zone->started = true;
  masc_owns_run(zone, now_of(own));
  cr_expect_eq(own->nodes[0].plans, plans, "nor before it is time");
  masc_own_rivalled(zone, &theirs, now_of(own));
  own_expect(own_bed_pending(own, 0), "");
}

/* Neither is about space. */
Test(masc_own_corners, s5_1_c_neither_hints_nor_denials_collide)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascRecord hint = { .claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_CHILD, 7,
                                              "0.0.0.0/24") };
  MascRecord denial = { .claim = masc_bed_claim(own->bed, MASC_CLAIM_DENIED, MASC_SIBLING, 3,
                                                "233.252.4.0/24"),
                        .parent = 1 };

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  denial.claim.timestamp -= 100;
  masc_own_rivalled(zone_of(own), &hint, now_of(own));
  masc_own_rivalled(zone_of(own), &denial, now_of(own));
  own_expect(own_bed_pending(own, 0), "233.252.4.0/24");
}

/* ---- instants -------------------------------------------------------------------------------- */

Test(masc_own_corners, s5_1_1_instants_saturate)
{
  static const struct {
    int64_t mono, seconds, after;
  } rows[] = {
    { 5, 2, 5 + 2 * MASC_SECOND },
    { 5, -2, 5 - 2 * MASC_SECOND },
    { 5, INT64_MAX, MASC_NEVER },
    { 5, INT64_MIN, INT64_MIN },
    { INT64_MAX - 5, 1, MASC_NEVER },
    { INT64_MIN + 5, -1, INT64_MIN },
  };
  static const struct {
    MalTime wall, at;
    int64_t mono;
  } walls[] = {
    { 100, 102, 5 + 2 * MASC_SECOND },
    { 100, MAL_FOREVER, MASC_NEVER },
    { -100, MAL_FOREVER - 1, MASC_NEVER },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    cr_expect_eq(masc_own_after((MascNow){ rows[i].mono, 0 }, rows[i].seconds), rows[i].after,
                 "row %zu", i);
  for (size_t i = 0; i < G_N_ELEMENTS(walls); i++)
    cr_expect_eq(masc_own_mono((MascNow){ 5, walls[i].wall }, walls[i].at), walls[i].mono,
                 "row %zu", i);
}

Test(masc_own_corners, s6_a_delay_is_never_none_and_never_beyond_all_bounds)
{
  static const int64_t seconds[] = { -5, 0, 1, 600, INT64_MAX };
  g_autoptr(OwnBed) own = own_bed_child();
  MascNow now = now_of(own);

  for (size_t i = 0; i < G_N_ELEMENTS(seconds); i++) {
    int64_t at = masc_own_draw(zone_of(own), now, seconds[i]);
    cr_expect_gt(at, now.mono);
    cr_expect_leq(at, MAX(masc_own_after(now, seconds[i]), now.mono + 1));
  }
}

/* ---- by hand --------------------------------------------------------------------------------- */

static int code_of(OwnBed *own, MalPrefix prefix, int64_t lifetime)
{
  g_autoptr(GError) error = NULL;

  return masc_zone_claim(zone_of(own), prefix, false, lifetime, now_of(own), &error) ? -1
                                                                                   : error->code;
}

Test(masc_own_corners, by_hand_what_is_no_prefix_of_the_scope)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MalPrefix good = masc_bed_prefix("233.252.4.0/24"), bits = good, family = good;

  bits.address.value |= 1;
  family.address.family = good.address.family == MAL_IPV4 ? MAL_IPV6 : MAL_IPV4;
  cr_expect_eq(code_of(own, bits, 0), MAL_ERROR_INVALID);
  cr_expect_eq(code_of(own, family, 0), MAL_ERROR_INVALID);
  cr_expect_eq(code_of(own, good, -1), MAL_ERROR_INVALID);
  cr_expect_eq(code_of(own, good, 0), -1);
}

typedef struct {
  unsigned n[MASC_ENTRY_WITHDRAWN + 1];
  MalTime due[MASC_ENTRY_WITHDRAWN + 1];
} Seen;

static void see(const MascEntry *entry, void *data)
{
  Seen *seen = data;

  seen->n[entry->kind]++;
  seen->due[entry->kind] = entry->due;
}

/* Any prefix of a length is one that is free; what is pending below doesn't matter above. What is
   won, and only waits for its row to be dropped, is pending no longer. */
Test(masc_own_corners, by_hand_any_prefix_beside_what_there_is)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascPend pend = { .id = 100, .prefix = masc_bed_prefix("233.252.4.0/25"), .lower = true,
                    .due = MASC_NEVER };
  GArray *pends = own_bed_owns(own, 0)->pends;
  MalPrefix any = { .length = MASC_BED_LENGTH(26) };
  Seen seen = { { 0 }, { 0 } };

  own_bed_win(own, 0, "233.252.4.0/24");
  g_array_append_val(pends, pend);
  cr_assert_eq(code_of(own, any, 0), -1);
  const MascPend *found = masc_pend_meeting(zone_of(own), masc_bed_prefix("233.252.0.0/16"), false);
  cr_assert_not_null(found);
  cr_expect_not(masc_prefix_meets(found->prefix, masc_bed_prefix("233.252.4.0/24")));
  pend = (MascPend){ .id = 101, .prefix = masc_bed_prefix("233.252.9.0/24"),
                     .state = MASC_PEND_KEPT };
  g_array_append_val(pends, pend);
  masc_zone_each(zone_of(own), now_of(own), see, &seen);
  cr_expect_eq(seen.n[MASC_ENTRY_PENDING], 1);
  cr_expect_eq(seen.n[MASC_ENTRY_PENDING_LOCAL], 1);
  cr_expect_eq(seen.due[MASC_ENTRY_PENDING_LOCAL], MAL_FOREVER);
  g_array_index(pends, MascPend, 0).due = 5;
  masc_zone_each(zone_of(own), now_of(own), see, &seen);
  cr_expect_eq(seen.due[MASC_ENTRY_PENDING_LOCAL], now_of(own).wall, "it was due long ago");
  cr_expect_not(masc_zone_withdraw(zone_of(own), pend.prefix, now_of(own), NULL));
}

Test(masc_own_corners, s4_3_only_what_is_held_and_otherwise_is_deprecated)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MalPrefix held = masc_bed_prefix("233.252.4.0/24"), other = masc_bed_prefix("233.252.8.0/24");

  own_bed_win(own, 0, "233.252.4.0/24");
  cr_expect_not(masc_own_drain(zone_of(own), other, false, true, now_of(own)));
  cr_expect_not(masc_own_drain(zone_of(own), held, false, false, now_of(own)));
  cr_expect(masc_own_drain(zone_of(own), held, false, true, now_of(own)));
  own_bed_pass(own, 0);
  cr_expect_not(masc_own_drain(zone_of(own), held, false, true, now_of(own)));
  own_expect(own_bed_local(own, 0), "233.252.4.0/24D");
}

/* ---- wishes that can't be -------------------------------------------------------------------- */

/* Between the plan and what it is about something may have changed. */
Test(masc_own_corners, s17_1_what_is_wished_for_in_vain)
{
  static const struct {
    MascWishKind kind;
    const char *prefix, *from, *pending;
  } rows[] = {
    { MASC_WISH_CLAIM, "233.252.4.0/24", NULL, "233.252.16.0/24" },
    { MASC_WISH_CLAIM, "233.252.4.0/25", NULL, "233.252.16.0/24" },
    { MASC_WISH_CLAIM, "233.252.16.0/25", NULL, "233.252.16.0/24" },
    { MASC_WISH_GROW, "233.252.8.0/23", "233.252.8.0/24", "233.252.16.0/24" },
    { MASC_WISH_GROW, "233.252.8.0/23", "233.252.4.0/24", "233.252.16.0/24" },
    { MASC_WISH_GROW, "233.252.4.0/24", "233.252.4.0/24", "233.252.16.0/24" },
    { MASC_WISH_GROW, "233.252.0.0/19", "233.252.4.0/24", "233.252.16.0/24" },
    { MASC_WISH_GROW, "233.252.4.0/23", "233.252.4.0/24", "233.252.16.0/24 233.252.4.0/23" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    own_bed_win(own, 0, "233.252.4.0/24");
    own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.16.0/24", NULL);
    own_bed_pass(own, 20);
    own_bed_wish(own, 0, rows[i].kind, rows[i].prefix, rows[i].from);
    own_expect(own_bed_pending(own, 0), rows[i].pending);
  }
}

/* ---- bounds of parents (8.3) ----------------------------------------------------------------- */

Test(masc_own_corners, s8_3_bounds_last_a_while_each_by_itself)
{
  static const struct {
    const char *wanted, *is;
  } rows[] = {
    { "233.252.0.0/18", "233.252.0.0/25" },
    { "233.252.0.0/24", "233.252.0.0/25" },
    { "233.252.0.0/25", "233.252.0.0/25" },
    { "233.252.128.0/20", "233.252.128.0/20" }, /* nobody's */
  };
  g_autoptr(OwnBed) own = own_bed_child();
  GArray *bounds = own_bed_owns(own, 0)->bounds;
  MascZone *zone = zone_of(own);
  MascNow now = now_of(own);

  masc_own_bound_size(zone, 1, MASC_BED_LENGTH(24), now);
  masc_own_bound_size(zone, 5, MASC_BED_LENGTH(20), now);
  cr_assert_eq(bounds->len, 2);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    cr_expect(masc_prefix_equal(masc_own_within_bound(zone, masc_bed_prefix(rows[i].wanted), now),
                                masc_bed_prefix(rows[i].is)),
              "row %zu", i);
  /* Of parent 5 something else is still known. */
  g_array_index(bounds, MascBound, 1).longest = 700;
  g_array_index(bounds, MascBound, 1).longer_until = masc_own_after(now, 5000);
  now.mono += 1000 * MASC_SECOND;
  cr_expect(masc_prefix_equal(masc_own_within_bound(zone, masc_bed_prefix("233.252.0.0/18"), now),
                              masc_bed_prefix("233.252.0.0/18")));
  masc_own_bound_size(zone, 6, MASC_BED_LENGTH(20), now);
  cr_assert_eq(bounds->len, 2, "parent 1's is gone");
  cr_expect_eq(masc_own_longest(zone, 5, now), 700);
  cr_expect_eq(masc_own_longest(zone, 1, now), INT64_MAX);
}

/* ---- hints (11.5) ---------------------------------------------------------------------------- */

Test(masc_own_corners, s11_5_nobody_asks_for_more_than_a_mask_can_say)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascOwns *owns = own_bed_owns(own, 0);
  MascClaim hint;

  masc_own_hint(zone_of(own), 2, now_of(own));
  cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, &hint), 1);
  cr_expect_eq(hint.prefix.length, hint.prefix.address.family == MAL_IPV4 ? 4 : 8);
  cr_expect_eq(masc_claim_check(&hint), 0);
  /* A timestamp that can't be passed is no reason not to ask. */
  owns->hint.timestamp = UINT32_MAX;
  owns->hinted_at = INT64_MIN;
  masc_own_hint(zone_of(own), MASC_BED_LENGTH(24), now_of(own));
  cr_expect_eq(owns->hint.prefix.length, MASC_BED_LENGTH(24));
}

Test(masc_own_corners, s11_5_a_top_level_domain_asks_nobody)
{
  g_autoptr(OwnBed) own = own_bed_top();
  MascClaim denial = masc_bed_claim(own->bed, MASC_CLAIM_DENIED, MASC_PARENT, 2, "0.0.0.0/24");

  masc_own_hint(zone_of(own), MASC_BED_LENGTH(24), now_of(own));
  cr_expect_eq(own->bed->sent->len, 0);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_HINT), 0);
  denial.node = 2000;
  cr_expect_not(masc_own_hint_denied(zone_of(own), &denial, now_of(own)), "it asked nobody");
}

/* ---- hostile disks --------------------------------------------------------------------------- */

typedef struct {
  uint8_t key[8], value[1024];
  size_t key_length, value_length;
} Row;

/* The row of that kind that was kept last. */
static Row row_of(const OwnBed *own, uint8_t kind)
{
  GHashTableIter iter;
  gpointer key, value;
  Row row = { { 0 }, { 0 }, 0, 0 };

  g_hash_table_iter_init(&iter, own->bed->nodes[0].kept);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    const uint8_t *k = g_bytes_get_data(key, NULL);
    if (k[0] != 'o' || k[1] != kind)
      continue;
    row.key_length = g_bytes_get_size(key);
    row.value_length = g_bytes_get_size(value);
    cr_assert(row.key_length < sizeof row.key && row.value_length < sizeof row.value);
    memcpy(row.key, k, row.key_length);
    memcpy(row.value, g_bytes_get_data(value, NULL), row.value_length);
  }
  cr_assert_gt(row.key_length, 0);
  return row;
}

Test(masc_own_corners, s13_rows_that_nobody_wrote)
{
  static const struct {
    const char *why;
    uint8_t kind;
    unsigned at;                /* octet of the key, or 16 + octet of the value */
    uint8_t octet;
    size_t longer, shorter;     /* the key */
    size_t more;                /* the value */
    bool taken;
  } rows[] = {
    { "a claim", 'p', 0, 'o', 0, 0, 0, true },
    { "of another half", 'p', 0, 'r', 0, 0, 0, false },
    { "of no kind", 'p', 1, 'z', 0, 0, 0, false },
    { "a key of one octet", 'p', 0, 'o', 0, 5, 0, false },
    { "a key that is too short", 'p', 0, 'o', 0, 1, 0, false },
    { "a key that is too long", 'p', 0, 'o', 1, 0, 0, false },
    { "something after it", 'p', 0, 'o', 0, 0, 1, false },
    { "a state that needs a PREFIX_IN_USE", 'p', 16 + 1, MASC_PEND_KEPT, 0, 0, 0, false },
    { "what is known of holdings", 'm', 0, 'o', 0, 0, 0, true },
    { "something after that", 'm', 0, 'o', 0, 0, 1, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
    own_bed_pass(own, 100);
    Row row = row_of(own, rows[i].kind);
    if (rows[i].at < 16)
      row.key[rows[i].at] = rows[i].octet;
    else
      row.value[rows[i].at - 16] = rows[i].octet;
    MascZone *zone = masc_zone_new(&own->bed->nodes[0].config);
    bool taken = masc_owns_restore(zone, row.key, row.key_length + rows[i].longer - rows[i].shorter,
                                   row.value, row.value_length + rows[i].more, now_of(own));
    cr_expect_eq(taken, rows[i].taken, "%s", rows[i].why);
    masc_zone_free(zone);
  }
}

Test(masc_own_corners, s13_without_a_store_all_goes_on)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascZoneOps ops = *zone_of(own)->config.ops;
  guint rows = g_hash_table_size(own->bed->nodes[0].kept);

  ops.keep = NULL;
  zone_of(own)->config.ops = &ops;
  own_bed_win(own, 0, "233.252.4.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(g_hash_table_size(own->bed->nodes[0].kept), rows);
}

/* A number that has no successor is nobody's. */
Test(masc_own_corners, s13_the_last_number)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 100);
  Row row = row_of(own, 'p');
  memset(row.key + 2, 0xff, 4);
  MascZone *zone = masc_zone_new(&own->bed->nodes[0].config);
  cr_expect_not(masc_owns_restore(zone, row.key, row.key_length, row.value, row.value_length,
                                  now_of(own)));
  masc_zone_free(zone);
}
