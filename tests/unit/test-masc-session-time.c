/* Timers, back-off, and what waits for a peer that does not read (RFC 2909 6, 7.2, 7.4, 10.1). */
#include "tests/unit/masc-session-bed.h"
#include "tests/support/masc-packets.h"

#include <criterion/criterion.h>

static char *open_with(unsigned hold_time)
{
  return g_strdup_printf("0014 01 00 01 05 %04x 0000fbf6 c0000202 00000000", hold_time);
}

/* ---- Hold and KeepAlive ---------------------------------------------------------------------- */

Test(rfc2909_7_2, the_smaller_hold_time_counts)
{
  static const struct {
    uint16_t ours, theirs, agreed;
  } rows[] = { { 240, 90, 90 }, { 90, 240, 90 }, { 240, 240, 240 },
               { 240, 3, 3 },   { 3, 65535, 3 }, { 0, 240, 0 },
               { 240, 0, 0 },   { 0, 0, 0 },     { 65535, 4000, 4000 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascSessionConfig config = masc_bed_config(MASC_PARENT);
    config.hold_time = rows[i].ours;
    MascEnd *end = masc_bed_alone(bed, &config);
    g_autofree char *open = open_with(rows[i].theirs);
    masc_bed_reach(end, MASC_ESTABLISHED, open);
    cr_expect_eq(masc_bed_status(end).hold_time, rows[i].agreed, "row %zu", i);
    if (rows[i].agreed == 0) {
      cr_expect_eq(masc_session_due(end->session), MASC_NEVER, "row %zu: no timer at all", i);
      continue;
    }
    masc_bed_pass(bed, S(rows[i].agreed) - 1);
    cr_expect(end->up, "row %zu", i);
    masc_bed_pass(bed, 1);
    cr_expect_eq(end->downs[MASC_DOWN_HOLD], 1, "row %zu", i);
    cr_expect_eq(masc_bed_status(end).error_out.code, MASC_ERROR_HOLD_TIMER, "row %zu", i);
  }
}

Test(rfc2909_7_4, keepalives_at_a_third_and_one_a_second_at_most)
{
  static const struct {
    uint16_t hold, interval;
  } rows[] = { { 240, 80 }, { 90, 30 }, { 10, 3 }, { 5, 1 }, { 4, 1 }, { 3, 1 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    g_autofree char *open = open_with(rows[i].hold);
    MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, open);
    for (unsigned n = 1; n < 20; n++) {
      masc_bed_pass(bed, S(rows[i].interval) - 1);
      cr_expect_str_eq(masc_bed_said(end), "", "row %zu", i);
      masc_bed_pass(bed, 1);
      cr_expect_str_eq(masc_bed_said(end), "KEEPALIVE", "row %zu", i);
      masc_bed_feed(end, link, MASC_BED_KEEPALIVE);
    }
    cr_expect(end->up);
  }
}

Test(rfc2909_7_4, without_a_hold_time_silence_is_no_error_and_none_is_sent)
{
  for (unsigned ours = 0; ours < 2; ours++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascSessionConfig config = masc_bed_config(MASC_PARENT);
    config.hold_time = ours ? 0 : 240;
    MascEnd *end = masc_bed_alone(bed, &config);
    masc_bed_reach(end, MASC_ESTABLISHED, ours ? MASC_BED_OPEN : MASC_BED_OPEN_NO_HOLD);
    masc_bed_pass(bed, S(10 * 86400));
    cr_expect_str_eq(masc_bed_said(end), "");
    cr_expect(end->up);
  }
}

Test(rfc2909_7_4, an_update_takes_the_place_of_a_keepalive)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  g_autofree char *open = open_with(240);
  masc_bed_reach(end, MASC_ESTABLISHED, open);
  MascClaim claim = masc_claim_make(MASC_NEW_CLAIM, "233.252.0.0/24", 1, 1);
  masc_bed_pass(bed, S(79));
  cr_expect(masc_session_send(end->session, &claim, 1, masc_bed_now(bed)));
  masc_bed_pass(bed, S(80) - 1);
  cr_expect_str_eq(masc_bed_said(end), "UPDATE 1");
  masc_bed_pass(bed, 1);
  cr_expect_str_eq(masc_bed_said(end), "KEEPALIVE");
}

Test(rfc2909_8_4, what_restarts_the_hold_timer)
{
  static const struct {
    const char *fed;
    bool restarts;
  } rows[] = {
    { MASC_BED_KEEPALIVE, true }, { MASC_BED_UPDATE, true },
    { MASC_BED_NOTE, true },      { "0004 09 00", false }, /* no such message */
    { "0028 02 00", false },                               /* not whole */
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    g_autofree char *open = open_with(90);
    MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, open);
    masc_bed_pass(bed, S(89));
    masc_bed_feed(end, link, rows[i].fed);
    masc_bed_pass(bed, S(89));
    cr_expect_eq(end->up, rows[i].restarts, "row %zu", i);
    masc_bed_pass(bed, S(1));
    cr_expect_not(end->up, "row %zu", i);
  }
}

Test(rfc2909_10_1, open_is_waited_for_as_long_as_the_large_hold_timer)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.hold_time = 3;
  MascEnd *end = masc_bed_alone(bed, &config);
  masc_bed_reach(end, MASC_OPEN_SENT, "");
  masc_bed_pass(bed, S(MASC_HOLDTIME) - 1);
  cr_expect_eq(masc_session_state(end->session), MASC_OPEN_SENT);
  masc_bed_pass(bed, 1);
  cr_expect_str_eq(masc_bed_said(end), "NOTIFICATION 4.0; close");
}

/* ---- ConnectRetry and back-off --------------------------------------------------------------- */

Test(rfc2909_10_1, connect_retry_goes_on_for_ever)
{
  g_autoptr(MascBed) bed = masc_bed_new(3);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_CONNECT, "");
  bool early = false, late = false;
  for (unsigned i = 0; i < 40; i++) {
    int64_t wait = masc_session_due(end->session) - bed->now;
    cr_expect(wait >= S(90) && wait <= S(120), "%" G_GINT64_FORMAT, wait);
    early = early || wait < S(100);
    late = late || wait > S(110);
    end->no_connect = i % 3 == 1;
    if (i % 3 == 2)
      masc_session_failed(end->session, end->connecting, masc_bed_now(bed));
    wait = masc_session_due(end->session) - bed->now;
    masc_bed_pass(bed, wait);
    cr_expect_eq(masc_session_state(end->session), end->no_connect ? MASC_ACTIVE : MASC_CONNECT);
  }
  cr_expect(early && late, "it is drawn");
  cr_expect_eq(masc_bed_status(end).backoff, 0, "no error");
}

/* A wrong key of TCP-MD5 is silence: the operator sees why there is no session. */
Test(rfc2909_10_1, what_keeps_a_connection_from_being_made_is_said)
{
  g_autoptr(MascBed) bed = masc_bed_new(3);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_CONNECT, "");
  cr_expect_eq(masc_bed_status(end).failure, MASC_FAILURE_NONE, "not yet");
  masc_bed_pass(bed, masc_session_due(end->session) - bed->now);
  cr_expect_eq(end->notes[MASC_SESSION_FAILED], 1);
  cr_expect_eq(end->last[MASC_SESSION_FAILED].n, MASC_FAILURE_UNANSWERED);
  cr_expect_eq(masc_bed_status(end).failure, MASC_FAILURE_UNANSWERED);
  cr_expect_eq(masc_bed_status(end).failed_at, masc_bed_now(bed).wall);
  masc_session_failed(end->session, end->connecting, masc_bed_now(bed));
  cr_expect_eq(masc_bed_status(end).failure, MASC_FAILURE_REFUSED);
  end->no_connect = true;
  masc_bed_pass(bed, masc_session_due(end->session) - bed->now);
  cr_expect_eq(masc_bed_status(end).failure, MASC_FAILURE_SYSTEM);
  cr_expect_eq(end->notes[MASC_SESSION_FAILED], 3);
  end->no_connect = false;
  masc_bed_pass(bed, masc_session_due(end->session) - bed->now);
  masc_session_connected(end->session, end->connecting, masc_bed_now(bed));
  cr_expect_eq(masc_bed_status(end).failure, MASC_FAILURE_NONE, "it is there");
  for (unsigned i = 0; i < MASC_N_FAILURES; i++)
    cr_expect_str_neq(masc_failure_name((MascFailure)i), "unknown");
  cr_expect_str_eq(masc_failure_name(MASC_N_FAILURES), "unknown");
}

static void fail_once(MascEnd *end)
{
  masc_session_connected(end->session, end->connecting, masc_bed_now(end->bed));
  masc_bed_feed(end, end->connecting, MASC_BED_OPEN "0003 04 00");
  cr_assert_eq(masc_session_state(end->session), MASC_IDLE);
}

Test(rfc2909_10_1, errors_double_the_wait_up_to_a_day)
{
  static const int64_t waits[] = { 60,   120,   240,   480,   960,   1920, 3840,
                                   7680, 15360, 30720, 61440, 86400, 86400 };
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_CONNECT, "");
  for (size_t i = 0; i < G_N_ELEMENTS(waits); i++) {
    fail_once(end);
    cr_expect_eq(masc_bed_status(end).backoff, S(waits[i]), "wait %zu", i);
    cr_expect_eq(end->last[MASC_SESSION_BACKOFF].n, (uint64_t)S(waits[i]));
    cr_expect_eq(masc_bed_status(end).backoff_until, bed->now + S(waits[i]));
    cr_expect_eq(masc_bed_call(end), 0, "Idle refuses");
    masc_bed_said(end);
    masc_bed_pass(bed, S(waits[i]) - 1);
    cr_expect_str_eq(masc_bed_said(end), "");
    masc_bed_pass(bed, 1);
    cr_expect_str_eq(masc_bed_said(end), "connect");
  }
  cr_expect_eq(masc_bed_status(end).turned_away, G_N_ELEMENTS(waits));
}

Test(rfc2909_10_1, the_wait_begins_anew_once_a_session_stood)
{
  static const struct {
    int64_t up;
    unsigned failures;
    int64_t wait;
  } rows[] = { { 239, 2, 240 }, { 240, 2, 60 }, { 0, 1, 120 }, { 100000, 11, 60 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    masc_bed_reach(end, MASC_CONNECT, "");
    for (unsigned n = 0; n < rows[i].failures; n++) {
      fail_once(end);
      masc_bed_run(bed, masc_session_due(end->session));
    }
    masc_session_connected(end->session, end->connecting, masc_bed_now(bed));
    masc_bed_feed(end, end->connecting, MASC_BED_OPEN_NO_HOLD MASC_BED_KEEPALIVE);
    masc_bed_pass(bed, S(rows[i].up));
    masc_session_closed(end->session, end->connecting, masc_bed_now(bed));
    cr_expect_eq(masc_bed_status(end).backoff, S(rows[i].wait), "row %zu", i);
  }
}

Test(rfc2909_10_1, the_operator_ends_the_wait)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_CONNECT, "");
  fail_once(end);
  masc_bed_run(bed, masc_session_due(end->session));
  fail_once(end);
  masc_session_start(end->session, 0, masc_bed_now(bed));
  cr_expect_eq(masc_session_state(end->session), MASC_CONNECT);
  fail_once(end);
  cr_expect_eq(masc_bed_status(end).backoff, S(60));
  masc_session_stop(end->session, masc_bed_now(bed));
  cr_expect_eq(masc_session_due(end->session), MASC_NEVER);
}

/* ---- what waits ------------------------------------------------------------------------------ */

static void fill(GArray *claims, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    MascClaim claim = masc_claim_make(MASC_PREFIX_IN_USE, "233.252.0.0/24", i, 1);
    g_array_append_val(claims, claim);
  }
}

#define CLAIMS(array) ((const MascClaim *)(const void *)(array)->data)

Test(masc_session, claims_are_packed)
{
  static const struct {
    unsigned n;
    const char *said;
  } rows[] = { { 1, "UPDATE 1" },
               { 113, "UPDATE 113" },
               { 114, "UPDATE 113; UPDATE 1" },
               { 300, "UPDATE 113; UPDATE 113; UPDATE 74" },
               { 0, "" } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    g_autoptr(GArray) claims = g_array_new(FALSE, FALSE, sizeof(MascClaim));
    MascEnd *end = masc_bed_alone(bed, NULL);
    masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
    fill(claims, rows[i].n);
    cr_expect(masc_session_send(end->session, CLAIMS(claims), claims->len, masc_bed_now(bed)));
    cr_expect_str_eq(masc_bed_said(end), rows[i].said);
    cr_expect_eq(masc_bed_status(end).claims_out[MASC_PREFIX_IN_USE], rows[i].n);
  }
}

Test(masc_session, what_cannot_be_written_is_left_out)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  MascClaim good = masc_claim_make(MASC_NEW_CLAIM, "233.252.0.0/24", 1, 1);
  MascClaim long_id = good, no_origin = good;
  long_id.node = (MascId)1 << 40;
  no_origin.domain = 0;
  const MascClaim claims[] = { long_id, good, no_origin, good, good, long_id };
  cr_expect(masc_session_send(end->session, claims, G_N_ELEMENTS(claims), masc_bed_now(bed)));
  cr_expect_str_eq(masc_bed_said(end), "UPDATE 3");
  cr_expect_eq(end->notes[MASC_SESSION_UNSENDABLE], 3);
  cr_expect_eq(end->last[MASC_SESSION_UNSENDABLE].n, MASC_REASON_FIT);
}

Test(masc_session, nothing_is_sent_before_it_is_established)
{
  for (unsigned state = MASC_IDLE; state < MASC_ESTABLISHED; state++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    MascClaim claim = masc_claim_make(MASC_NEW_CLAIM, "233.252.0.0/24", 1, 1);
    masc_bed_reach(end, state, MASC_BED_OPEN);
    cr_expect_not(masc_session_send(end->session, &claim, 1, masc_bed_now(bed)));
    cr_expect_str_eq(masc_bed_said(end), "");
  }
}

Test(masc_session, what_is_not_taken_waits_in_order)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  g_autoptr(GArray) claims = g_array_new(FALSE, FALSE, sizeof(MascClaim));
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  fill(claims, 150);
  end->full = true;
  for (unsigned i = 0; i < 150; i++)
    cr_expect(masc_session_send(end->session, &CLAIMS(claims)[i], 1, masc_bed_now(bed)));
  cr_expect_eq(masc_bed_status(end).queued, 150);
  cr_expect_eq(end->notes[MASC_SESSION_SLOW], 1);
  masc_bed_pass(bed, S(2));
  cr_expect_str_eq(masc_bed_said(end), "");
  end->full = false;
  masc_session_writable(end->session, link, masc_bed_now(bed));
  cr_expect_str_eq(masc_bed_said(end), "UPDATE 113; UPDATE 37");
  MascDecoded last = masc_decoded(end->octets->data, end->octets->len);
  for (unsigned i = 0; i < 37; i++)
    cr_expect_eq(last.claims[i].timestamp, 113 + i);
  masc_decoded_clear(&last);
}

Test(masc_session, a_full_transport_is_tried_again_every_second)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  MascClaim claim = masc_claim_make(MASC_NEW_CLAIM, "233.252.0.0/24", 1, 1);
  end->full = true;
  cr_expect(masc_session_send(end->session, &claim, 1, masc_bed_now(bed)));
  masc_bed_pass(bed, S(10));
  end->full = false;
  masc_bed_pass(bed, S(1));
  cr_expect_str_eq(masc_bed_said(end), "UPDATE 1");
}

/* Without a Hold Timer nothing else would do it; with one, not where the peer goes on talking. */
Test(masc_session, a_peer_that_never_reads_is_left)
{
  static const char *const opens[] = { MASC_BED_OPEN_NO_HOLD, MASC_BED_OPEN };
  for (unsigned i = 0; i < G_N_ELEMENTS(opens); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    MascEnd *end = masc_bed_alone(bed, NULL);
    MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, opens[i]);
    MascClaim claim = masc_claim_make(MASC_NEW_CLAIM, "233.252.0.0/24", 1, 1);
    end->full = true;
    cr_expect(masc_session_send(end->session, &claim, 1, masc_bed_now(bed)));
    masc_bed_pass(bed, S(120));
    masc_bed_feed(end, link, MASC_BED_KEEPALIVE);
    masc_bed_pass(bed, S(120) - 1);
    cr_expect(end->up);
    masc_bed_pass(bed, 1);
    cr_expect_eq(end->downs[MASC_DOWN_SLOW], 1);
    cr_expect_str_eq(masc_bed_said(end), "close");
    cr_expect_eq(masc_bed_status(end).queued, 0);
  }
}

Test(masc_session, slow_reading_is_reading)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  g_autoptr(GArray) claims = g_array_new(FALSE, FALSE, sizeof(MascClaim));
  MascEnd *end = masc_bed_alone(bed, NULL);
  MascLink link = masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN_NO_HOLD);
  fill(claims, 113 * 10);
  end->full = true;
  cr_expect(masc_session_send(end->session, CLAIMS(claims), claims->len, masc_bed_now(bed)));
  for (unsigned i = 0; i < 10; i++) {
    masc_bed_pass(bed, S(230));
    end->take = 1;
    masc_session_writable(end->session, link, masc_bed_now(bed));
    cr_expect_str_eq(masc_bed_said(end), "UPDATE 113");
    cr_expect(end->up);
  }
  cr_expect_eq(masc_bed_status(end).queued, 0);
}

Test(masc_session, what_waits_has_a_limit)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  g_autoptr(GArray) claims = g_array_new(FALSE, FALSE, sizeof(MascClaim));
  MascSessionConfig config = masc_bed_config(MASC_PARENT);
  config.queue_limit = 100;
  MascEnd *end = masc_bed_alone(bed, &config);
  masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  fill(claims, 101);
  end->full = true;
  cr_expect(masc_session_send(end->session, CLAIMS(claims), 60, masc_bed_now(bed)));
  cr_expect(masc_session_send(end->session, CLAIMS(claims), 40, masc_bed_now(bed)));
  cr_expect_not(masc_session_send(end->session, CLAIMS(claims), 1, masc_bed_now(bed)));
  cr_expect_not(masc_session_send(end->session, CLAIMS(claims), 0, masc_bed_now(bed)));
  cr_expect(end->up, "down comes with the next run, and not from within");
  end->full = false;
  masc_bed_pass(bed, 0);
  cr_expect_eq(end->downs[MASC_DOWN_SLOW], 1);
  cr_expect_str_eq(masc_bed_said(end), "NOTIFICATION 7.0; close");
}

Test(masc_session, the_limit_is_for_what_waits_and_not_for_what_went)
{
  static const struct {
    size_t first, taken, second; /* UPDATEs of 113 */
    bool fits;
  } rows[] = { { 400, 0, 0, true },    { 401, 0, 0, false },  { 400, 1, 113, true },
               { 400, 1, 114, false }, { 400, 2, 226, true }, { 10, 0, 401, false } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascBed) bed = masc_bed_new(1);
    g_autoptr(GArray) claims = g_array_new(FALSE, FALSE, sizeof(MascClaim));
    MascSessionConfig config = masc_bed_config(MASC_PARENT);
    config.queue_limit = 400;
    MascEnd *end = masc_bed_alone(bed, &config);
    masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
    fill(claims, 500);
    end->full = true;
    end->take = (unsigned)rows[i].taken;
    MascNow now = masc_bed_now(bed);
    bool fits = masc_session_send(end->session, CLAIMS(claims), rows[i].first, now) &&
                masc_session_send(end->session, CLAIMS(claims), rows[i].second, now);
    cr_expect_eq(fits, rows[i].fits, "row %zu", i);
    masc_bed_pass(bed, 0);
    cr_expect_eq(end->up, rows[i].fits, "row %zu", i);
  }
}

Test(masc_session, a_keepalive_that_is_not_taken_is_tried_again)
{
  g_autoptr(MascBed) bed = masc_bed_new(1);
  MascEnd *end = masc_bed_alone(bed, NULL);
  masc_bed_reach(end, MASC_ESTABLISHED, MASC_BED_OPEN);
  end->full = true;
  masc_bed_pass(bed, S(90));
  end->full = false;
  masc_bed_pass(bed, S(1));
  cr_expect_str_eq(masc_bed_said(end), "KEEPALIVE");
}
