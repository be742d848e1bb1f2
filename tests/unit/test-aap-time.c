/* Times and sequence numbers of AAP (draft-ietf-malloc-aap-04 sections 5.1.4, 5.1.5, 5.3). The
   suites carry the numbers of the conformance checklist. */
#include "plugins/aap/aap-seq.h"
#include "plugins/aap/aap-time.h"
#include "tests/support/aap-packets.h"

#include <criterion/criterion.h>

#define T0 962409600

/* ---- times ----------------------------------------------------------------------------------- */

Test(aap_39_40_41, correction_by_the_difference_of_the_clocks)
{
  static const struct {
    MalTime now;
    uint32_t current, field;
    int64_t delta;
    MalTime adjusted;
  } cases[] = {
    { T0, T0, T0 + 3600, 0, T0 + 3600 },
    { T0, T0 + 240, T0 + 3840, -240, T0 + 3600 }, /* sender fast */
    { T0, T0 - 76, T0 + 3524, 76, T0 + 3600 },    /* sender slow */
    { T0, T0 + 240, T0 + 180, -240, T0 - 60 },    /* ended a minute ago */
    { T0, 4294967280u, 4294967295u, -3332557680, T0 + 15 },
    { T0 + 5000, T0 + 180, T0 + 150, 4820, T0 + 4970 }, /* resent: expired 30 s ago */
    { T0 - 350, T0 + 10, T0 + 7200, -360, T0 + 6840 },
    { 4294967290, 4294967280u, 4294967295u, 10, 4294967295 },
    { 5000000, T0 + 600, T0 + 540, 5000000 - T0 - 600, 4999940 },
    { 10, 1000, 500, -990, 0 },
    { -5, 0, 3, -5, 0 },
    { MAL_FOREVER, 7, 3, INT64_MAX, 4294967295 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    int64_t delta = aap_time_delta(cases[i].now, cases[i].current);
    cr_expect_eq(delta, cases[i].delta, "case %zu", i);
    cr_expect_eq(aap_time_adjust(cases[i].field, delta), cases[i].adjusted, "case %zu", i);
  }
}

Test(aap_38_41, our_times_on_the_wire)
{
  cr_expect_eq(aap_time_to_wire(T0), T0);
  cr_expect_eq(aap_time_to_wire(-1), 0);
  cr_expect_eq(aap_time_to_wire(MAL_BEGINNING), 0);
  cr_expect_eq(aap_time_to_wire((MalTime)1 << 32), AAP_TIME_MAX);
  cr_expect_eq(aap_time_to_wire(MAL_FOREVER), AAP_TIME_MAX);
}

Test(aap_129, times_are_the_same_within_a_tolerance)
{
  cr_expect(aap_time_same(100, 110, 10));
  cr_expect(aap_time_same(110, 100, 10));
  cr_expect_not(aap_time_same(100, 111, 10));
  cr_expect(aap_time_same(5, 5, 0));
  cr_expect_not(aap_time_same(5, 6, -3));
  cr_expect(aap_time_same(MAL_FOREVER, MAL_FOREVER, 10));
  cr_expect_not(aap_time_same(MAL_BEGINNING, MAL_FOREVER, 10));
}

Test(aap_59, a_range_has_ended_at_its_end_time)
{
  cr_expect(aap_time_ended(T0, T0));
  cr_expect(aap_time_ended(T0 - 1, T0));
  cr_expect_not(aap_time_ended(T0 + 1, T0));
}

Test(skew, above_the_limit_either_way)
{
  cr_expect_not(aap_skew_exceeds(60, 60));
  cr_expect(aap_skew_exceeds(61, 60));
  cr_expect(aap_skew_exceeds(-61, 60));
  cr_expect_not(aap_skew_exceeds(INT64_MIN, 0));
}

static AapMessage asa(uint32_t current, uint32_t expiration)
{
  return (AapMessage){ .type = AAP_ASA, .family = MAL_IPV4, .current_time = current,
                       .expiration_time = expiration };
}

Test(aap_153, a_resent_announcement_has_passed_its_expiration_time)
{
  static const struct { const char *name; bool resent; } cases[] = {
    { "announce-ipv4", false }, { "announce-resent", true }, { "announce-empty", false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(HexFile) hex = aap_golden(cases[i].name);
    g_auto(AapDecoded) d = aap_decoded(hex->bytes->data, hex->bytes->len);
    cr_expect_eq(aap_asa_is_resent(&d.msg), cases[i].resent, "%s", cases[i].name);
  }
  AapMessage equal = asa(7, 7);
  cr_expect(aap_asa_is_resent(&equal));
}

Test(aap_42, an_absurd_expiration_time)
{
  static const struct { uint32_t current, expiration; bool ok; } cases[] = {
    { T0, UINT32_MAX, false }, { T0, T0 + 86400, true }, { T0, T0 + 86401, false },
    { T0, T0 - 5, true }, { UINT32_MAX, 0, true }, { 0, UINT32_MAX, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapMessage msg = asa(cases[i].current, cases[i].expiration);
    cr_expect_eq(aap_horizon_ok(&msg, 86400), cases[i].ok, "case %zu", i);
  }
}

Test(aap_136, current_time_of_a_resent_announcement)
{
  cr_expect_eq(aap_resend_time(T0, 180), T0 + 180);
  cr_expect_eq(aap_resend_time(T0, -3), T0);
  cr_expect_eq(aap_resend_time(UINT32_MAX - 1, 3), UINT32_MAX);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static bool in_list(uint32_t rseq, void *data)
{
  for (const uint32_t *r = data; *r != UINT32_MAX; r++)
    if (*r == rseq)
      return true;
  return false;
}

static bool always(uint32_t rseq, void *data)
{
  (void)rseq;
  (*(unsigned *)data)++;
  return true;
}

Test(aap_43, the_first_is_0_and_each_further_one_the_next)
{
  AapRseq counter = { 0 };
  for (uint32_t i = 0; i < 300; i++)
    cr_expect_eq(aap_rseq_take(&counter, NULL, NULL), i);
}

Test(aap_49, numbers_of_running_requests_are_skipped)
{
  uint32_t running[] = { 0xFFFFFE, 0, 1, 4, UINT32_MAX };
  static const uint32_t want[] = { 0xFFFFFD, 0xFFFFFF, 2, 3, 5 };
  AapRseq counter = { 0xFFFFFD };
  for (size_t i = 0; i < G_N_ELEMENTS(want); i++)
    cr_expect_eq(aap_rseq_take(&counter, in_list, running), want[i], "%zu", i);
  unsigned asked = 0;
  aap_rseq_take(&counter, always, &asked);
  cr_expect_leq(asked, 1 << 24);
}

Test(aap_44_50, numbers_wrap)
{
  cr_expect_eq(aap_mseq_next(0), 1);
  cr_expect_eq(aap_mseq_next(255), 0);
  cr_expect_eq(aap_rseq_next(0xFFFFFF), 0);
  cr_expect_eq(aap_rseq_next(0xFFFFFE), 0xFFFFFF);
  cr_expect_eq(aap_rseq_distance(0xFFFFFE, 2), 4);
  cr_expect_eq(aap_rseq_distance(2, 0xFFFFFE), -4);
  cr_expect_eq(aap_rseq_distance(0, 0x7FFFFF), 0x7FFFFF);
  cr_expect_eq(aap_rseq_distance(0, 0x800000), -0x800000);
  cr_expect_eq(aap_rseq_distance(7, 7), 0);
  cr_expect_eq(aap_mseq_distance(250, 3), 9);
  cr_expect_eq(aap_mseq_distance(3, 250), -9);
}

/* ---- loss ------------------------------------------------------------------------------------ */

/* "R.M R.M ...": the messages heard. */
static AapLoss heard(const char *text)
{
  AapLoss loss = { 0 };
  g_auto(GStrv) items = g_strsplit(text, " ", -1);
  for (char **item = items; *item != NULL; item++) {
    char *end;
    uint32_t rseq = (uint32_t)g_ascii_strtoull(*item, &end, 10);
    cr_assert_eq(*end, '.');
    aap_loss_heard(&loss, rseq, (uint8_t)g_ascii_strtoull(end + 1, NULL, 10));
  }
  return loss;
}

Test(loss, estimate)
{
  static const struct { const char *heard; uint64_t lost, repeated, restarts; } cases[] = {
    { "5.0 6.0 7.0 7.1 7.2 8.0", 0, 0, 0 },
    { "5.9 6.0", 0, 0, 0 },                   /* nothing is known of the time before */
    { "5.0 5.1 5.3 5.7", 4, 0, 0 },
    { "5.0 6.2 7.0", 2, 0, 0 },               /* the first two of request 6 */
    { "5.0 8.0", 2, 0, 0 },
    { "5.0 8.0 6.0 7.0", 0, 0, 0 },           /* only late */
    { "5.0 8.0 7.3", 4, 0, 0 },
    { "5.0 5.2 5.1", 0, 0, 0 },
    { "5.0 5.0 5.1 5.1 6.0 6.0", 0, 3, 0 },
    { "5.254 5.255 5.0 5.2", 1, 0, 0 },       /* wraps */
    { "16777214.0 16777215.0 0.0 1.0", 0, 0, 0 },
    { "16777214.0 1.0", 2, 0, 0 },
    { "5.0 6.0 0.0 1.0", 0, 0, 1 },           /* restarted */
    { "90.0 91.0 1.0 2.0", 0, 0, 1 },         /* and its first message is lost */
    { "5.0 36.0", 30, 0, 0 },
    { "5.0 37.0", 0, 0, 1 },                  /* away for too long to say */
    { "1.0 2.0 2.1 90.0 1.4 1.7 91.0", 0, 0, 1 },
    { "9.0 7.3 7.5 10.0", 1, 0, 0 },          /* began before we listened */
    { "5.4 6.9 9.3 9.4 7.1 6.10", 0, 0, 0 },  /* and so did all of these */
    { "5.4 6.9 8.0 9.2 11.0", 3, 0, 0 },      /* 8 is new, and so is what follows */
    { "5.4 6.9 6.11", 1, 0, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapLoss loss = heard(cases[i].heard);
    cr_expect_eq(loss.lost, cases[i].lost, "%s: lost %u", cases[i].heard, (unsigned)loss.lost);
    cr_expect_eq(loss.repeated, cases[i].repeated, "%s", cases[i].heard);
    cr_expect_eq(loss.restarts, cases[i].restarts, "%s", cases[i].heard);
  }
}

/* Eight running requests, each a message behind the next; a third of all is dropped. The last
   messages of a request leave no trace when they are lost, so the estimate is a little low. */
Test(loss, share_of_a_lossy_sender)
{
  AapLoss loss = { 0 };
  uint32_t state = 7, dropped = 0, sent = 0;
  cr_expect_eq(aap_loss_share(&loss), 0);
  for (uint32_t rseq = 0; rseq < 2000; rseq++)
    for (uint32_t back = 0; back < 8 && back <= rseq; back++) {
      state = state * 1664525u + 1013904223u;
      sent++;
      if ((state >> 8) % 3 == 0)
        dropped++;
      else
        aap_loss_heard(&loss, rseq - back, (uint8_t)back);
    }
  cr_expect_eq(loss.received, sent - dropped);
  double share = aap_loss_share(&loss), real = (double)dropped / sent;
  cr_expect(share > real - 0.06 && share < real, "%f of %f", share, real);
}
