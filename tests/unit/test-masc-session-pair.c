/* Two sessions that talk to each other: they meet, collide, break and meet again (RFC
   2909 7.2, 8.8, 10). */
#include "tests/unit/masc-session-bed.h"
#include "tests/support/masc-packets.h"

#include <criterion/criterion.h>

static void start(MascBed *bed, unsigned end)
{
  masc_session_start(bed->ends[end].session, 0, masc_bed_now(bed));
}

static MascBed *pair(MascRole role, uint64_t seed, uint16_t hold_time)
{
  MascBed *bed = masc_bed_new(seed);
  MascSessionConfig a = masc_bed_config(role);
  a.hold_time = hold_time;
  MascSessionConfig b = masc_bed_peer_config(&a);
  masc_bed_add(bed, &a);
  masc_bed_add(bed, &b);
  return bed;
}

/* Both established, and on the same connection. */
static bool together(const MascBed *bed)
{
  return bed->ends[0].up && bed->ends[1].up &&
         masc_bed_status(&bed->ends[0]).link == masc_bed_status(&bed->ends[1]).link;
}

Test(rfc2909_10, every_role_finds_its_counterpart)
{
  for (unsigned role = 0; role < MASC_N_ROLES; role++)
    for (unsigned first = 0; first < 2; first++) {
      g_autoptr(MascBed) bed = pair(role, role + 1, 240);
      start(bed, first);
      masc_bed_pass(bed, S(1)); /* the other one is in Idle: turned away */
      cr_expect_eq(masc_bed_status(&bed->ends[1 - first]).turned_away, 1);
      cr_expect_eq(masc_session_state(bed->ends[first].session), MASC_ACTIVE);
      start(bed, 1 - first);
      masc_bed_pass(bed, S(1));
      cr_expect(together(bed), "role %u", role);
      masc_bed_pass(bed, S(86400));
      cr_expect(together(bed), "role %u", role);
      cr_expect_eq(bed->ends[0].ups + bed->ends[1].ups, 2);
    }
}

Test(rfc2909_10, claims_arrive_once_and_in_order_however_the_stream_is_cut)
{
  for (uint64_t seed = 1; seed <= 20; seed++) {
    g_autoptr(MascBed) bed = pair(MASC_PARENT, seed, 240);
    bed->split = true;
    bed->jitter = MASC_SECOND / 10;
    bed->ends[0].room = 20000;
    for (unsigned i = 0; i < 2000; i++) {
      MascClaim claim = masc_claim_make(MASC_PREFIX_IN_USE, "233.252.0.0/24", i, 1);
      g_array_append_val(bed->ends[0].dump, claim);
    }
    start(bed, 0);
    start(bed, 1);
    masc_bed_pass(bed, S(60));
    const GArray *got = bed->ends[1].claims;
    cr_assert_eq(got->len, 2000, "seed %" G_GUINT64_FORMAT ": %u", seed, got->len);
    for (unsigned i = 0; i < got->len; i++)
      cr_assert_eq(g_array_index(got, MascClaim, i).timestamp, i);
    cr_expect_eq(masc_bed_status(&bed->ends[1]).claims_in[MASC_PREFIX_IN_USE], 2000);
    cr_expect_eq(masc_bed_status(&bed->ends[0]).claims_out[MASC_PREFIX_IN_USE], 2000);
  }
}

/* ---- 8.8 ------------------------------------------------------------------------------------- */

typedef enum {
  BOTH_OURS,   /* both in OpenSent, the OPEN comes on ours */
  BOTH_THEIRS, /* on theirs */
  OURS_AHEAD,  /* ours is in OpenConfirm when theirs comes */
  THEIRS_AHEAD
} Order;

static void collide(MascEnd *end, Order order, const char *open, MascLink *ours, MascLink *theirs)
{
  if (order == THEIRS_AHEAD) {
    *ours = masc_bed_reach(end, MASC_CONNECT, "");
    *theirs = masc_bed_call(end);
    masc_bed_feed(end, *theirs, open);
    masc_session_connected(end->session, *ours, masc_bed_now(end->bed));
    cr_expect_eq(masc_bed_status(end).links, 2);
  } else {
    *ours = masc_bed_reach(end, order == OURS_AHEAD ? MASC_OPEN_CONFIRM : MASC_OPEN_SENT, open);
    *theirs = masc_bed_call(end);
  }
  cr_expect_eq(masc_bed_status(end).links, 2);
  masc_bed_said(end);
  masc_bed_feed(end, order == BOTH_OURS || order == THEIRS_AHEAD ? *ours : *theirs, open);
}

#define CEASE "NOTIFICATION 7.0; close"

/* Whose connection stays, whichever comes first. */
Test(rfc2909_8_8, the_higher_node_initiated_what_stays)
{
  static const struct {
    const char *node;
    Order order;
    bool ours_stays;
    const char *said;
  } rows[] = {
    { "c0000202", BOTH_OURS, false, CEASE },
    { "c0000202", BOTH_THEIRS, false, CEASE "; KEEPALIVE" },
    { "c0000202", OURS_AHEAD, false, CEASE "; KEEPALIVE" },
    { "c0000202", THEIRS_AHEAD, false, CEASE },
    { "c0000200", BOTH_OURS, true, CEASE "; KEEPALIVE" },
    { "c0000200", BOTH_THEIRS, true, CEASE },
    { "c0000200", OURS_AHEAD, true, CEASE },
    { "c0000200", THEIRS_AHEAD, true, CEASE "; KEEPALIVE" },
    { "ffffffff", BOTH_OURS, false, CEASE }, /* unsigned */
    { "00000001", OURS_AHEAD, true, CEASE },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    MascLink ours, theirs;
    g_autofree char *open =
        g_strdup_printf("0014 01 00 01 05 00f0 0000fbf6 %s 00000000", rows[i].node);
    collide(end, rows[i].order, open, &ours, &theirs);
    MascLink stays = rows[i].ours_stays ? ours : theirs;
    const char *said = masc_bed_said(end);
    cr_expect_str_eq(said, rows[i].said, "row %zu: %s", i, said);
    cr_expect_eq(masc_bed_status(end).link, stays, "row %zu", i);
    cr_expect_eq(masc_bed_status(end).incoming, !rows[i].ours_stays, "row %zu", i);
    cr_expect_eq(masc_bed_status(end).links, 1);
    cr_expect_eq(masc_bed_status(end).collisions, 1);
    if (masc_session_state(end->session) == MASC_OPEN_SENT)
      masc_bed_feed(end, stays, open);
    masc_bed_feed(end, stays, MASC_BED_KEEPALIVE);
    cr_expect(end->up, "row %zu", i);
  }
}

/* Another node behind the address of the one that is there already. */
Test(rfc2909_8_8, a_session_has_one_node_at_its_other_end)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink ours, theirs;
  ours = masc_bed_reach(end, MASC_OPEN_CONFIRM, MASC_BED_OPEN);
  theirs = masc_bed_call(end);
  masc_bed_said(end);
  masc_bed_feed(end, theirs, "0014 01 00 01 05 00f0 0000fbf6 c0000203 00000000");
  cr_expect_str_eq(masc_bed_said(end), CEASE);
  cr_expect_eq(masc_bed_status(end).link, ours);
}

Test(rfc2909_8_8, what_is_established_stays_and_is_tried)
{
  static const char *const nodes[] = { "c0000200", "c0000202" };
  for (size_t i = 0; i < G_N_ELEMENTS(nodes); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    g_autofree char *open = g_strdup_printf("0014 01 00 01 05 0000 0000fbf6 %s 00000000", nodes[i]);
    MascLink first = masc_bed_reach(end, MASC_ESTABLISHED, open);
    masc_bed_pass(bed, S(5));
    MascLink second = masc_bed_call(end);
    masc_bed_feed(end, second, open);
    cr_expect_str_eq(masc_bed_said(end), "OPEN; NOTIFICATION 7.0; close; KEEPALIVE");
    masc_bed_feed(end, masc_bed_call(end), open);
    cr_expect_str_eq(masc_bed_said(end), "OPEN; NOTIFICATION 7.0; close", "one KEEPALIVE a second");
    cr_expect(end->up);
    cr_expect_eq(masc_bed_status(end).link, first);
    cr_expect_eq(masc_bed_status(end).collisions, 2);
    cr_expect_eq(end->downs[MASC_DOWN_ERROR], 0);
  }
}

/* One peer has one connection in the making: the newer one is meant. */
Test(rfc2909_8_8, a_newer_incoming_connection_takes_the_place_of_an_older_one)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_ACTIVE, "");
  MascLink first = masc_bed_call(end);
  masc_bed_feed(end, first, MASC_BED_OPEN);
  masc_bed_said(end);
  MascLink second = masc_bed_call(end);
  cr_expect_str_eq(masc_bed_said(end), "NOTIFICATION 7.0; close; OPEN");
  masc_bed_feed(end, second, MASC_BED_OPEN MASC_BED_KEEPALIVE);
  cr_expect_eq(masc_bed_status(end).link, second);
  cr_expect(end->up);
}

Test(rfc2909_8_8, an_attempt_of_ours_ends_with_what_is_established)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_CONNECT, "");
  MascLink link = masc_bed_call(end);
  masc_bed_feed(end, link, MASC_BED_OPEN MASC_BED_KEEPALIVE);
  cr_expect_str_eq(masc_bed_said(end), "OPEN; KEEPALIVE; close");
  cr_expect_eq(masc_bed_status(end).links, 1);
}

Test(rfc2909_8_8, both_connect_at_once)
{
  unsigned at_once = 0;
  for (uint64_t seed = 1; seed <= 300; seed++) {
    g_autoptr(MascBed) bed = pair(MASC_SIBLING, seed, 240);
    bed->delay = MASC_SECOND / 100;
    bed->jitter = seed % 3 == 0 ? 0 : MASC_SECOND / 20;
    bed->split = seed % 2 == 0;
    start(bed, 0);
    masc_bed_pass(bed, (int64_t)masc_bed_random(bed, 0, (uint64_t)MASC_SECOND / 50));
    start(bed, 1);
    masc_bed_pass(bed, S(2));
    at_once += together(bed);
    /* where KEEPALIVE overtook an OPEN, each end closed what the other one kept */
    masc_bed_pass(bed, S(3600));
    cr_assert(together(bed), "seed %" G_GUINT64_FORMAT, seed);
  }
  cr_expect_geq(at_once, 290, "%u", at_once);
}

Test(rfc2909_8_8, with_equal_delays_the_lower_node_has_the_incoming_one)
{
  g_autoptr(MascBed) bed = pair(MASC_INTERNAL, 1, 240);
  start(bed, 0);
  start(bed, 1);
  masc_bed_pass(bed, S(1));
  cr_expect(together(bed));
  cr_expect(masc_bed_status(&bed->ends[0]).incoming);
  cr_expect_not(masc_bed_status(&bed->ends[1]).incoming);
  cr_expect_eq(bed->ends[0].ups + bed->ends[1].ups, 2);
}

/* ---- 4.4 ------------------------------------------------------------------------------------- */

/* Siblings by two parents: which session an incoming connection is for, its OPEN says. */
Test(rfc2909_4_4, the_open_says_which_common_parent_a_connection_is_about)
{
  static const struct {
    const char *octets;
    MascPeek peek;
    MascId parent;
  } rows[] = {
    { "", MASC_PEEK_MORE, 0 },
    { "0014 01", MASC_PEEK_MORE, 0 },
    { "0014 01 00 01 06 00f0 0000fbf6 c0000202 0000fb", MASC_PEEK_MORE, 0 },
    { "0014 01 00 01 06 00f0 0000fbf6 c0000202 0000fbf3", MASC_PEEK_OPEN, 64499 },
    { "0014 01 00 01 06 00f0 0000fbf6 c0000202 0000fbf3 0004", MASC_PEEK_OPEN, 64499 },
    { "0014 01 00 02 06 00f0 0000fbf6 c0000202 0000fbf3", MASC_PEEK_OTHER, 0 },
    { "0014 02 00", MASC_PEEK_OTHER, 0 },
    { "0003 01 00", MASC_PEEK_OTHER, 0 },
    { "1001 01 00", MASC_PEEK_OTHER, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(HexFile) hex = hex_parse(rows[i].octets, NULL);
    MascOpen open = { 0 };
    cr_expect_eq(masc_peek_open(hex->bytes->data, hex->bytes->len, &open), rows[i].peek, "row %zu",
                 i);
    cr_expect_eq(open.parent, rows[i].parent, "row %zu", i);
  }
}

/* ---- breaking -------------------------------------------------------------------------------- */

/* One end met so many errors that it waits for hours; the other one does not. */
Test(rfc2909_10_1, they_find_each_other_whoever_waits_longer)
{
  for (unsigned longer = 0; longer < 2; longer++)
    for (unsigned errors = 1; errors < 8; errors++) {
      g_autoptr(MascBed) bed = pair(MASC_PARENT, 7 + errors, 240);
      MascEnd *end = &bed->ends[longer];
      start(bed, longer);
      for (unsigned i = 0; i < errors; i++) {
        MascLink link = ++bed->n_pipes;
        masc_bed_pass(bed, S(3600));
        bed->pipes[link].open[longer] = true;
        cr_assert(masc_session_accepted(end->session, link, masc_bed_now(bed)));
        masc_bed_feed(end, link, MASC_BED_KEEPALIVE);
      }
      start(bed, 1 - longer);
      MascSessionStatus status = masc_bed_status(end);
      cr_assert_eq(status.backoff, S(60) << (errors - 1));
      masc_bed_run(bed, status.backoff_until - 1);
      cr_expect_eq(bed->ends[0].ups, 0, "Idle refuses");
      masc_bed_pass(bed, S(1));
      cr_expect(together(bed), "%u errors", errors);
    }
}

static MascSessionConfig config_of(const MascBed *bed, unsigned end)
{
  return *masc_session_config(bed->ends[end].session);
}

static void crash_and_restart(MascBed *bed, unsigned end, int64_t pause)
{
  static const MascId parents[] = { 64496 };
  MascSessionConfig config = config_of(bed, end);
  config.rule.parents = parents;
  masc_bed_crash(bed, end);
  masc_bed_pass(bed, pause);
  masc_bed_restart(bed, end, &config);
  start(bed, end);
}

Test(rfc2909_10, who_crashed_is_heard_again)
{
  static const uint16_t holds[] = { 240, 3, 0 };
  static const int64_t pauses[] = { 0, S(1), S(100), S(1000) };
  for (size_t h = 0; h < G_N_ELEMENTS(holds); h++)
    for (size_t p = 0; p < G_N_ELEMENTS(pauses); p++)
      for (unsigned end = 0; end < 2; end++) {
        g_autoptr(MascBed) bed = pair(MASC_PARENT, 5, holds[h]);
        start(bed, 0);
        start(bed, 1);
        masc_bed_pass(bed, S(300));
        crash_and_restart(bed, end, pauses[p]);
        masc_bed_pass(bed, S(600));
        cr_expect(together(bed), "hold %u, pause %zu, end %u", holds[h], p, end);
      }
}

/* Whatever breaks, in whatever order: once all is whole and nobody waits any more, they are one
   session again. */
static void disturb(MascBed *bed)
{
  unsigned end = (unsigned)masc_bed_random(bed, 0, 1);
  MascEnd *who = &bed->ends[end];
  MascNow now = masc_bed_now(bed);
  MascLink link = masc_bed_status(who).link;
  switch (masc_bed_random(bed, 0, 7)) {
  case 0: crash_and_restart(bed, end, (int64_t)masc_bed_random(bed, 0, (uint64_t)S(5))); break;
  case 1:
    masc_session_stop(who->session, now);
    masc_session_start(who->session, 0, now);
    break;
  case 2:
    if (link != 0) { /* rubbish */
      static const uint8_t rubbish[] = { 0, 3, 9, 0 };
      masc_session_data(who->session, link, rubbish, sizeof rubbish, now);
    }
    break;
  case 3: bed->cut = !bed->cut; break;
  case 4: who->deaf = !who->deaf; break;
  case 5: who->no_connect = !who->no_connect; break;
  case 6: who->full = !who->full; break;
  default:
    if (link != 0) { /* reset */
      bed->pipes[link].open[end] = false;
      masc_session_closed(who->session, link, now);
    }
    break;
  }
}

Test(rfc2909_10, after_any_storm_they_are_together_again)
{
  for (uint64_t seed = 1; seed <= 200; seed++) {
    g_autoptr(MascBed) bed = pair((MascRole)(seed % MASC_N_ROLES), seed, seed % 3 == 0 ? 0 : 30);
    bed->split = true;
    bed->jitter = MASC_SECOND / 20;
    start(bed, 0);
    start(bed, 1);
    for (unsigned i = 0; i < 40; i++) {
      masc_bed_pass(bed, (int64_t)masc_bed_random(bed, 0, (uint64_t)S(60)));
      disturb(bed);
      masc_bed_check(bed);
    }
    bed->cut = false;
    for (unsigned i = 0; i < 2; i++)
      bed->ends[i].deaf = bed->ends[i].no_connect = bed->ends[i].full = false;
    masc_bed_pass(bed, 3 * S(86400));
    cr_assert(together(bed), "seed %" G_GUINT64_FORMAT ": %s, %s", seed,
              masc_state_name(masc_session_state(bed->ends[0].session)),
              masc_state_name(masc_session_state(bed->ends[1].session)));
  }
}
