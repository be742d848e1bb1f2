/* What is ours, what it is derived from, and what of it is on the disk (RFC 2909 4.3, 5.2, 5.4,
   11.5, 11.7, 12.4, 13): single questions, each with what it takes to ask it. */
#include "tests/unit/masc-own-ask.h"

#include <criterion/criterion.h>

/* In the cache, of ours or of whoever is meant; told by parent 1's or in its space. */
static MascRecord *add_claim(OwnBed *own, const MascClaim *claim)
{
  MascRecord r = { .claim = *claim, .parent = 1, .forget_at = masc_claim_forget_at(claim, 100) };

  return masc_cache_add(zone_of(own)->cache, &r);
}

static MascClaim ours(const OwnBed *own, MascClaimType type, const char *prefix)
{
  return masc_bed_claim(own->bed, type, MASC_INTERNAL, 2, prefix);
}

/* ---- what is ours ---------------------------------------------------------------------------- */

/* What an internal peer calls PREFIX_MANAGED is in use, until its lifetime is over. */
Test(masc_own_records, s11_6_3_what_is_in_use)
{
  static const struct {
    MascClaimType type;
    MascRole role;
    int64_t left;
    bool used;
  } rows[] = {
    { MASC_PREFIX_IN_USE, MASC_INTERNAL, 1, true }, { MASC_PREFIX_IN_USE, MASC_INTERNAL, 0, false },
    { MASC_PREFIX_IN_USE, MASC_CHILD, 1, false },   { MASC_PREFIX_MANAGED, MASC_INTERNAL, 1, true },
    { MASC_NEW_CLAIM, MASC_INTERNAL, 1, false },    { MASC_WITHDRAW, MASC_INTERNAL, 1, false },
  };
  g_autoptr(OwnBed) own = own_bed_child();

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascClaim claim = masc_bed_claim(own->bed, rows[i].type, rows[i].role, 2, HELD);
    claim.timestamp -= 100;
    claim.lifetime = (uint32_t)(100 + rows[i].left);
    cr_expect_eq(masc_own_in_use(zone_of(own), &claim, false, now_of(own)), rows[i].used, "row %zu",
                 i);
  }
}

/* A claim counts whole or in parts, the newest first; of equally old ones what is smaller, then
   what came last. */
Test(masc_own_records, s11_2_which_of_two_claims_counts)
{
  static const struct {
    const char *first, *second;
    int32_t later; /* the second one */
    const char *held;
    MascId node; /* of the first that is held: 1 or 2 */
  } rows[] = {
    { HELD, HELD, 0, HELD, 2 },
    { HELD, HELD, 5, HELD, 2 },
    { HELD, HELD, -5, HELD, 1 },
    { "233.252.4.0/25", HELD, 0, "233.252.4.0/25 233.252.4.128/25", 1 },
    { "233.252.4.0/25", HELD, 5, HELD, 2 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim first = ours(own, MASC_PREFIX_IN_USE, rows[i].first);
    MascClaim second = ours(own, MASC_PREFIX_IN_USE, rows[i].second);
    first.node = 1;
    second.node = 2;
    second.timestamp += (uint32_t)rows[i].later;
    add_claim(own, &first);
    add_claim(own, &second);
    masc_own_refresh(zone_of(own), now_of(own));
    own_expect(own_bed_held(own, 0, false), rows[i].held);
    cr_expect(held_of(own)->claim.node == rows[i].node, "row %zu", i);
  }
}

/* 12.4: who came back lately loses; a claim or a denial is no holding that came. */
Test(masc_own_records, s12_4_which_record_is_the_newest_of_ours)
{
  static const struct {
    MascClaimType type;
    bool counts;
  } rows[] = {
    { MASC_PREFIX_IN_USE, true },    { MASC_PREFIX_MANAGED, true }, { MASC_NEW_CLAIM, false },
    { MASC_CLAIM_TO_EXPAND, false }, { MASC_CLAIM_DENIED, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    MascClaim claim = held_of(own)->claim;
    const MascRecord *held = masc_cache_same(zone_of(own)->cache, &claim), *other;
    claim.type = rows[i].type;
    claim.node = 2001;
    other = add_claim(own, &claim);
    owns_of(own)->seen = 0;
    masc_own_refresh(zone_of(own), now_of(own));
    cr_expect_eq(owns_of(own)->seen, rows[i].counts ? other->serial : held->serial, "row %zu", i);
  }
}

/* The operator hears of what ended and is not ours by another claim. */
Test(masc_own_records, s5_2_what_ended)
{
  for (unsigned renewed = 0; renewed < 2; renewed++) {
    g_autoptr(OwnBed) own = holder();
    held_of(own)->until = now_of(own).wall;
    if (!renewed)
      masc_cache_remove(zone_of(own)->cache,
                        masc_cache_same(zone_of(own)->cache, &held_of(own)->claim));
    masc_own_refresh(zone_of(own), now_of(own));
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_ENDED), !renewed);
  }
}

/* While there is a clash it is looked at again soon; sooner where something ends. */
Test(masc_own_records, s12_4_when_to_look_again)
{
  static const struct {
    uint32_t lifetime;
    int64_t soon;
  } rows[] = { { 20, 19 }, { 5000, 62 } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim claim = ours(own, MASC_PREFIX_IN_USE, HELD);
    own->bed->params.clash = MASC_CLASH_MANUAL;
    claim.lifetime = rows[i].lifetime;
    add_claim(own, &claim);
    add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, HELD, -500);
    masc_own_refresh(zone_of(own), now_of(own));
    cr_expect_eq(owns_of(own)->clashes->len, 1);
    cr_expect_eq(owns_of(own)->end_at, masc_own_after(now_of(own), rows[i].soon), "row %zu", i);
  }
}

/* Looking anew at what is ours puts off no renewal. */
Test(masc_own_records, s5_2_renewals_are_not_put_off)
{
  g_autoptr(OwnBed) own = holder();

  owns_of(own)->renew_at = 5;
  masc_own_refresh(zone_of(own), now_of(own));
  cr_expect_eq(owns_of(own)->renew_at, 5);
  owns_of(own)->renew_at = MASC_NEVER;
  masc_own_refresh(zone_of(own), now_of(own));
  cr_expect_eq(owns_of(own)->renew_at, now_of(own).mono);
}

/* ---- split, deprecated, given back (4.3, 5.4) ------------------------------------------------ */

/* A second newer, but for what can't be. */
Test(masc_own_records, s5_4_what_is_split_off)
{
  static const struct {
    bool last; /* its timestamp has no successor */
    uint32_t lifetime, left;
    uint32_t later;
  } rows[] = { { false, 5000, 4999, 1 }, { false, 0, 0, 0 }, { true, 5000, 5000, 0 } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    MascHeld held = *held_of(own);
    MascBedRecords all;
    held.claim.timestamp = rows[i].last ? UINT32_MAX : held.claim.timestamp;
    held.claim.lifetime = rows[i].lifetime;
    masc_own_split(zone_of(own), &held, masc_bed_prefix("233.252.4.0/25"), now_of(own));
    all = masc_bed_records(own->bed, 0, 2);
    cr_assert_eq(all.n, 2);
    cr_expect(masc_prefix_equal(all.claims[1].prefix, masc_bed_prefix("233.252.4.128/25")));
    cr_expect_eq(all.claims[1].timestamp, held.claim.timestamp + rows[i].later, "row %zu", i);
    cr_expect_eq(all.claims[1].lifetime, rows[i].left, "row %zu", i);
  }
}

/* 4.3: a renewal would undo the D-bit; what it won already is what gets it. */
Test(masc_own_records, s4_3_renewals_of_what_is_deprecated)
{
  static const struct {
    MascPendState state;
    bool renews;
    guint stays;
  } rows[] = {
    { MASC_PEND_DELAYED, true, 0 },
    { MASC_PEND_CLAIMING, true, 0 },
    { MASC_PEND_KEPT, true, 1 },
    { MASC_PEND_CLAIMING, false, 1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    add_pend(own, HELD, rows[i].state)->renews = rows[i].renews;
    cr_expect(masc_own_drain(zone_of(own), masc_bed_prefix(HELD), false, true, now_of(own)));
    cr_expect_eq(owns_of(own)->pends->len, rows[i].stays, "row %zu", i);
  }
}

/* The bit is of the whole claim: what else is left of it gets one of its own. */
Test(masc_own_records, s4_3_what_is_left_of_a_claim_stays_active)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim whole = ours(own, MASC_PREFIX_IN_USE, "233.252.4.0/23");
  MascClaim part = ours(own, MASC_WITHDRAW, "233.252.4.0/25");
  MascClaim other = ours(own, MASC_PREFIX_IN_USE, "233.252.16.0/24");

  other.timestamp -= 50;
  add_claim(own, &whole);
  add_claim(own, &part);
  add_claim(own, &other);
  masc_own_refresh(zone_of(own), now_of(own));
  own_expect(own_bed_held(own, 0, false), "233.252.4.128/25 233.252.5.0/24 233.252.16.0/24");
  masc_bed_clear(own->bed);
  cr_expect(
      masc_own_drain(zone_of(own), masc_bed_prefix("233.252.5.0/24"), false, true, now_of(own)));
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "233.252.4.128/25 233.252.5.0/24D 233.252.16.0/24");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, NULL), 2,
               "the other claim is as it was");
}

/* ---- hints (11.5) ---------------------------------------------------------------------------- */

/* What of a parent's is over, or being given up, is no room. */
Test(masc_own_records, s11_5_the_room_that_a_parent_has)
{
  static const struct {
    MascId domain;
    uint32_t lifetime;
    bool deprecated, counts;
  } rows[] = {
    { 1, 101, false, true },
    { 1, 100, false, false },
    { 1, 101, true, false },
    { 7, 101, false, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim more = masc_bed_claim(own->bed, MASC_PREFIX_MANAGED, MASC_PARENT, rows[i].domain,
                                    "233.252.128.0/18");
    MalU128 room = masc_prefix_addresses(masc_bed_prefix("233.252.0.0/17"));
    more.timestamp -= 100;
    more.lifetime = rows[i].lifetime;
    more.deprecated = rows[i].deprecated;
    add_claim(own, &more);
    masc_own_hint(zone_of(own), MASC_BED_LENGTH(24), now_of(own));
    cr_expect(owns_of(own)->hint_room == room + (rows[i].counts ? room / 2 : 0), "row %zu", i);
  }
}

Test(masc_own_records, s11_5_when_a_hint_is_said_again)
{
  static const struct {
    int64_t waiting, delay, pause;
  } rows[] = { { 1000, 10, 250 }, { 40, 10, 10 }, { 44, 10, 11 }, { 20, 10, 10 } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    own->bed->params.waiting_period = rows[i].waiting;
    own->bed->params.initiate_claim_delay = rows[i].delay;
    owns_of(own)->plan_at = MASC_NEVER;
    masc_own_hint(zone_of(own), MASC_BED_LENGTH(24), now_of(own));
    cr_expect_eq(owns_of(own)->plan_at, masc_own_after(now_of(own), rows[i].pause), "row %zu", i);
  }
}

/* It is taken back where another parent than the one that was asked has what is claimed. */
Test(masc_own_records, s11_5_what_makes_a_hint_needless)
{
  static const struct {
    const char *claimed;
    unsigned withdrawn;
  } rows[] = {
    { "233.252.4.0/24", 0 },   /* the parent's that was asked */
    { "233.252.128.0/24", 1 }, /* another one's */
    { "233.252.128.0/25", 0 }, /* less than was asked for */
    { "233.252.192.0/24", 0 }, /* nobody's */
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    add_record(own, MASC_PREFIX_MANAGED, MASC_PARENT, 7, "233.252.128.0/18", 0);
    masc_own_hint(zone_of(own), MASC_BED_LENGTH(24), now_of(own));
    masc_own_hint_met(zone_of(own), masc_bed_prefix(rows[i].claimed), now_of(own));
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), rows[i].withdrawn,
                 "row %zu", i);
  }
}

/* Of several the largest counts, as far as it can be counted. */
Test(masc_own_records, s11_5_what_internal_peers_want)
{
  static const struct {
    MalFamily family;
    unsigned first, second;
    uint64_t wanted;
  } rows[] = {
    { MAL_IPV4, 20, 24, 4096 },
    { MAL_IPV4, 24, 20, 4096 },
    { MAL_IPV6, 8, 120, UINT64_MAX },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    for (unsigned k = 0; k < 2; k++) {
      MascClaim hint = ours(own, MASC_NEW_CLAIM, HELD);
      hint.node = 2001 + k;
      hint.prefix = (MalPrefix){ mal_address_make(rows[i].family, 0),
                                 k == 0 ? rows[i].first : rows[i].second };
      add_claim(own, &hint);
    }
    cr_expect_eq(masc_own_wanted_inside(zone_of(own), now_of(own)), rows[i].wanted, "row %zu", i);
  }
}

/* ---- rows (13) ------------------------------------------------------------------------------- */

/* What is kept under that kind of row, read by a zone that starts; LATER by the wall clock. */
static MascZone *read_again(OwnBed *own, uint8_t kind, int64_t later, bool *taken)
{
  MascZone *zone = masc_zone_new(&own->bed->nodes[0].config);
  MascNow now = now_of(own);
  GHashTableIter iter;
  gpointer key, value;

  now.wall += later;
  *taken = false;
  g_hash_table_iter_init(&iter, own->bed->nodes[0].kept);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    gsize key_length, length;
    const uint8_t *k = g_bytes_get_data(key, &key_length);
    const uint8_t *v = g_bytes_get_data(value, &length);
    if (k[0] == 'o' && k[1] == kind)
      *taken = masc_owns_restore(zone, k, key_length, v, length, now);
  }
  return zone;
}

Test(masc_own_records, s13_numbers_that_a_row_has_no_room_for)
{
  static const unsigned tries[][2] = { { 3, 3 }, { 255, 255 }, { 300, 255 } };
  static const unsigned denials[][2] = { { 3, 3 }, { 31, 31 }, { 40, 31 } };
  bool taken;

  for (size_t i = 0; i < G_N_ELEMENTS(tries); i++) {
    g_autoptr(OwnBed) own = holder();
    MascPend *pend = add_pend(own, "233.252.8.0/24", MASC_PEND_CLAIMING);
    pend->tries = tries[i][0];
    masc_pend_keep(zone_of(own), pend, now_of(own));
    g_autoptr(MascZone) again = read_again(own, 'p', 0, &taken);
    cr_assert(taken);
    cr_expect_eq(g_array_index(again->owns->pends, MascPend, 0).tries, tries[i][1]);
    g_array_index(owns_of(own)->marks, MascMark, 0).denials = denials[i][0];
    masc_marks_keep(zone_of(own), now_of(own));
    g_autoptr(MascZone) marks = read_again(own, 'm', 0, &taken);
    cr_assert(taken);
    cr_expect_eq(g_array_index(marks->owns->marks, MascMark, 0).denials, denials[i][1]);
  }
}

/* No message is from node 0. */
Test(masc_own_records, s13_a_row_of_what_could_not_be_said)
{
  for (unsigned node = 0; node < 2; node++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascPend *pend = add_pend(own, HELD, MASC_PEND_CLAIMING);
    bool taken;
    pend->claim.node = node;
    masc_pend_keep(zone_of(own), pend, now_of(own));
    masc_zone_free(read_again(own, 'p', 0, &taken));
    cr_expect_eq(taken, node != 0);
  }
}

/* 5.1: never less than was promised, and time enough to hear what others said meanwhile. */
Test(masc_own_records, s5_1_the_claim_timer_after_a_restart)
{
  static const struct {
    int64_t left, gone, due;
  } rows[] = {
    { 500, 0, 500 },   { 500, 400, 100 }, { 500, 480, 62 },
    { 500, 5000, 62 }, { 30, 0, 62 },     { 500, -50, 500 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascPend *pend = add_pend(own, HELD, MASC_PEND_CLAIMING);
    bool taken;
    pend->due = masc_own_after(now_of(own), rows[i].left);
    masc_pend_keep(zone_of(own), pend, now_of(own));
    g_autoptr(MascZone) again = read_again(own, 'p', rows[i].gone, &taken);
    cr_assert(taken);
    cr_expect_eq(g_array_index(again->owns->pends, MascPend, 0).due,
                 masc_own_after(now_of(own), rows[i].due), "row %zu", i);
  }
}

static void add_row(OwnBed *own, uint64_t ticket, int64_t again)
{
  MascRow row = { .id = 100 + owns_of(own)->rows->len, .ticket = ticket, .again = again };

  g_array_append_val(owns_of(own)->rows, row);
}

/* What the disk doesn't drop is tried again, each by itself. */
Test(masc_own_records, s13_rows_that_the_disk_drops_or_does_not)
{
  for (unsigned soon = 0; soon < 2; soon++) {
    g_autoptr(OwnBed) own = own_bed_child();
    GArray *rows = owns_of(own)->rows;
    int64_t later = masc_own_after(now_of(own), MASC_DISK_PAUSE);
    owns_of(own)->due = soon ? 5 : MASC_NEVER;
    add_row(own, 5, MASC_NEVER);
    add_row(own, 9, MASC_NEVER);
    cr_expect_eq(masc_rows_due(zone_of(own)), MASC_NEVER);
    masc_rows_kept(zone_of(own), 5, false, now_of(own));
    cr_expect_eq(g_array_index(rows, MascRow, 0).again, later);
    cr_expect_eq(g_array_index(rows, MascRow, 1).again, MASC_NEVER);
    cr_expect_eq(masc_rows_due(zone_of(own)), later);
    cr_expect_eq(owns_of(own)->due, soon ? 5 : later);
    masc_rows_kept(zone_of(own), 9, true, now_of(own));
    cr_assert_eq(rows->len, 1, "the first one is still there");
    cr_expect_eq(g_array_index(rows, MascRow, 0).id, 100);
  }
}

/* ---- what waits for the disk ----------------------------------------------------------------- */

static void add_later(OwnBed *own, const char *prefix, uint64_t ticket, bool known)
{
  MascLater later = { ours(own, MASC_PREFIX_IN_USE, prefix), ticket, MASC_NEVER };

  if (known)
    add_claim(own, &later.claim);
  g_array_append_val(owns_of(own)->later, later);
}

static unsigned said(const OwnBed *own)
{
  return masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, NULL);
}

/* Spread when it is durable, and known still. */
Test(masc_own_records, s13_what_is_spread_once_it_is_durable)
{
  g_autoptr(OwnBed) own = own_bed_child();
  GArray *later = owns_of(own)->later;

  add_later(own, "233.252.4.0/24", 0, true);
  add_later(own, "233.252.5.0/24", 5, true);
  add_later(own, "233.252.6.0/24", 5, false);
  add_later(own, "233.252.7.0/24", 9, true);
  masc_owns_kept(zone_of(own), 5, true, now_of(own));
  cr_expect_eq(said(own), 1);
  cr_assert_eq(later->len, 2);
  cr_expect_eq(g_array_index(later, MascLater, 0).ticket, 0);
  cr_expect_eq(g_array_index(later, MascLater, 1).ticket, 9);
}

Test(masc_own_records, s13_what_could_not_be_written_is_tried_again)
{
  g_autoptr(OwnBed) own = own_bed_child();
  GArray *later = owns_of(own)->later;

  add_later(own, "233.252.4.0/24", 0, true);
  add_later(own, "233.252.5.0/24", 0, false);
  add_later(own, "233.252.6.0/24", 9, true);
  g_array_index(later, MascLater, 0).again = g_array_index(later, MascLater, 1).again = 5;
  masc_owns_run(zone_of(own), masc_bed_now(own->bed, 0));
  own_bed_pass(own, 0);
  owns_of(own)->due = 0;
  masc_owns_run(zone_of(own), now_of(own));
  cr_expect_eq(said(own), 1);
  cr_assert_eq(later->len, 1);
  cr_expect_eq(g_array_index(later, MascLater, 0).ticket, 9);
}

/* What was durable at once is spread at once, if it is known. */
Test(masc_own_records, s13_what_is_durable_already)
{
  static const struct {
    uint64_t ticket;
    bool known;
    guint later;
    unsigned said;
  } rows[] = { { 0, true, 0, 1 }, { 0, false, 0, 0 }, { 5, true, 1, 0 }, { 5, false, 1, 0 } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim claim = ours(own, MASC_PREFIX_IN_USE, HELD);
    if (rows[i].known)
      add_claim(own, &claim);
    masc_own_spread_later(zone_of(own), &claim, rows[i].ticket);
    cr_expect_eq(owns_of(own)->later->len, rows[i].later, "row %zu", i);
    cr_expect_eq(said(own), rows[i].said, "row %zu", i);
  }
}

/* What is left of a Claim-Timer is written with what the wall clock says; nothing else depends on
   it. */
Test(masc_own_records, s13_what_is_written_when_the_clock_steps)
{
  static const struct {
    MascPendState state;
    uint64_t written;
  } rows[] = {
    { MASC_PEND_DELAYED, 0 }, { MASC_PEND_CLAIMING, 1 }, { MASC_PEND_HELD_UP, 1 },
    { MASC_PEND_KEEPING, 0 }, { MASC_PEND_KEPT, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    uint64_t before;
    add_pend(own, HELD, rows[i].state);
    own->nodes[0].slow = true;
    before = own->nodes[0].asked;
    masc_owns_stepped(zone_of(own), 500, now_of(own));
    cr_expect_eq(own->nodes[0].asked - before, rows[i].written, "row %zu", i);
  }
}
