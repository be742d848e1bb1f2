/* What a prefix coordinator overhears of the use of its scope (draft-ietf-malloc-aap-04 3.2.2,
   3.2.10.3). */
#include "plugins/aap/aap-time.h"
#include "plugins/aap/aap-used.h"
#include "plugins/aap/aap-wanted.h"

#include <criterion/criterion.h>
#include <string.h>

#define T0 ((MalTime)962409600)

static const AapParams params = { .asrp_interval = 30 * AAP_US, .own_lifetime_s = 86400 };
static AapUsed *used;
static int64_t elapsed; /* seconds */

static MalSpan span_of(const char *text)
{
  MalSpan span = { 0 };
  cr_assert(mal_span_parse(text, &span, NULL), "%s", text);
  return span;
}

static void set_up(void)
{
  used = aap_used_new(span_of("233.252.0.0-233.252.3.255"), &params);
}

static void tear_down(void)
{
  aap_used_free(used);
}

TestSuite(aap_used, .init = set_up, .fini = tear_down);

static AapNow now_of(void)
{
  return (AapNow){ elapsed * AAP_US, T0 + elapsed };
}

/* VALUE: an end in seconds after T0, or a count. The sender's clock is SKEW ahead. */
static void hear(AapType type, const char *span, int64_t value, int64_t skew)
{
  bool aiu = type == AAP_AIU;
  AapRange range = { span_of(span), aiu ? (uint32_t)(T0 + value + skew) : (uint32_t)value };
  AapMessage msg = { .type = type,
                     .family = MAL_IPV4,
                     .current_time = (uint32_t)(now_of().wall + skew),
                     .ranges = &range,
                     .n_ranges = 1 };
  aap_used_heard(used, &msg, now_of());
}

static void tell(MalSpan span, uint64_t n, MalTime end, void *data)
{
  char text[MAL_SPAN_STRLEN];
  g_string_append_printf(data, "%s %u %d\n", mal_span_format(span, text), (unsigned)n,
                         (int)(end - T0));
}

static void expect(const char *span, const char *expected)
{
  g_autoptr(GString) text = g_string_new(NULL);
  aap_used_each(used, span_of(span), now_of(), tell, text);
  cr_assert_str_eq(text->str, expected, "got\n%sinstead of\n%s", text->str, expected);
}

#define ALL "233.252.0.0-233.252.3.255"
#define R "233.252.1.0-233.252.1.255"
#define A "233.252.1.0-233.252.1.15"
#define B "233.252.1.32-233.252.1.63"

Test(aap_used, allocations_are_known_by_aiu_until_their_end)
{
  expect(ALL, "");
  hear(AAP_AIU, A, 500, 0);
  hear(AAP_AIU, B, 900, 3600);
  hear(AAP_AITU, "233.252.1.128-233.252.1.159", 900, 0);
  hear(AAP_ACLM, "233.252.1.160-233.252.1.191", 900, 0);
  expect(ALL, A " 16 500\n" B " 32 900\n");
  expect("233.252.1.8-233.252.1.39", "233.252.1.8-233.252.1.15 8 500\n"
                                     "233.252.1.32-233.252.1.39 8 900\n");
  hear(AAP_AIU, A, 700, 0);
  expect(A, A " 16 700\n");
  elapsed = 700;
  expect(ALL, B " 32 900\n");
  hear(AAP_AIU, B, 700, 0);
  expect(ALL, "");
}

Test(aap_used, what_is_outside_of_the_scope_is_left)
{
  hear(AAP_AIU, "233.252.3.128-233.252.4.127", 500, 0);
  hear(AAP_AIU, "233.252.8.0-233.252.8.255", 500, 0);
  expect("233.252.0.0-233.255.255.255", "233.252.3.128-233.252.3.255 128 500\n");
}

/* After a start a coordinator has not heard everybody yet, and one server may be down. */
Test(aap_used, a_report_of_more_than_is_known_counts_as_a_whole)
{
  hear(AAP_AIU, A, 500, 0);
  hear(AAP_ASRP, R, 100, 0);
  expect(ALL, R " 100 86400\n");
  hear(AAP_AIU, B, 99999, 0);
  expect(ALL, R " 100 99999\n");
  hear(AAP_AIU, "233.252.1.64-233.252.1.127", 500, 0);
  expect(ALL, A " 16 500\n" B " 32 99999\n233.252.1.64-233.252.1.127 64 500\n");
  elapsed = 600;
  expect(ALL, B " 32 99999\n");
  hear(AAP_ASRP, R, 33, 0);
  expect(ALL, R " 33 99999\n");
  elapsed += 151;
  expect(ALL, B " 32 99999\n");
}

Test(aap_used, only_the_range_in_question_is_taken_as_a_whole)
{
  hear(AAP_AIU, A, 500, 0);
  hear(AAP_AIU, "233.252.2.0-233.252.2.7", 500, 0);
  hear(AAP_ASRP, R, 20, 0);
  expect(ALL, R " 20 86400\n233.252.2.0-233.252.2.7 8 500\n");
}

Test(aap_used, ends_move_with_a_step_of_our_clock)
{
  hear(AAP_AIU, A, 500, 0);
  elapsed = 10000;
  aap_used_clock_stepped(used, 10000);
  expect(ALL, A " 16 10500\n");
}

Test(aap_used, a_flood_of_allocations_is_bounded)
{
  AapUsed *wide = aap_used_new(span_of("225.0.0.0-238.255.255.255"), &params);
  unsigned n = 0;
  for (uint32_t i = 0; i < 70000; i++) {
    MalAddress at = mal_address_ipv4(0xe1000000u + 2 * i);
    AapRange range = { { at, at }, (uint32_t)T0 + 1000 + i };
    AapMessage msg = { .type = AAP_AIU,
                       .family = MAL_IPV4,
                       .current_time = (uint32_t)T0,
                       .ranges = &range,
                       .n_ranges = 1 };
    aap_used_heard(wide, &msg, now_of());
  }
  GString *text = g_string_new(NULL);
  aap_used_each(wide, span_of("225.0.0.0-238.255.255.255"), now_of(), tell, text);
  for (const char *p = text->str; (p = strchr(p, '\n')) != NULL; p++)
    n++;
  cr_assert_eq(n, 65536);
  g_string_free(text, TRUE);
  aap_used_free(wide);
}

/* What ended since the report doesn't count as known of it. */
Test(aap_used, what_ended_after_a_report)
{
  hear(AAP_AIU, A, 20, 0);
  hear(AAP_AIU, B, 900, 0);
  hear(AAP_ASRP, R, 48, 0);
  expect(ALL, A " 16 20\n" B " 32 900\n");
  elapsed = 30;
  expect(ALL, R " 48 86430\n");
}

static void keep_count(MalSpan span, uint64_t n, MalTime end, void *data)
{
  (void)span;
  (void)end;
  *(uint64_t *)data = n;
}

Test(aap_used, more_than_64_bits_count)
{
  MalSpan scope = span_of("ff0e::/16");
  AapRange range = { scope, (uint32_t)T0 + 1000 };
  AapMessage msg = { .type = AAP_AIU,
                     .family = MAL_IPV6,
                     .current_time = (uint32_t)T0,
                     .ranges = &range,
                     .n_ranges = 1 };
  AapUsed *wide = aap_used_new(scope, &params);
  uint64_t n = 0;
  aap_used_heard(wide, &msg, now_of());
  aap_used_each(wide, scope, now_of(), keep_count, &n);
  cr_expect_eq(n, UINT64_MAX);
  aap_used_free(wide);
  aap_used_free(NULL);
}

/* ---- what is missing (3.2.9) ----------------------------------------------------------------- */

Test(aap_wanted, two_servers_may_use_one_number)
{
  const MalEndpoint a = { mal_address_ipv4(0xc0000201), 2878, 0 },
                    b = { mal_address_ipv4(0xc0000202), 2878, 0 };
  AapWanted *wanted = aap_wanted_new();
  MalTime end;
  cr_expect(aap_wanted_heard(wanted, a, 7, 10, T0 + 100));
  cr_expect(aap_wanted_heard(wanted, b, 7, 20, T0 + 200));
  cr_expect_not(aap_wanted_heard(wanted, b, 7, 20, T0 + 200), "repeated");
  cr_expect_eq(aap_wanted_sum(wanted, T0, &end), 30);
  cr_expect_eq(end, T0 + 200);
  aap_wanted_clock_stepped(wanted, 1000);
  cr_expect_eq(aap_wanted_sum(wanted, T0 + 1150, &end), 20, "ends moved, and one has come");
  cr_expect_eq(end, T0 + 1200);
  aap_wanted_free(wanted);
  aap_wanted_free(NULL);
}

Test(aap_wanted, aap_169_a_flood_is_bounded)
{
  const MalEndpoint a = { mal_address_ipv4(0xc0000201), 2878, 0 };
  AapWanted *wanted = aap_wanted_new();
  MalTime end;
  for (uint32_t i = 0; i < 2000; i++)
    cr_expect_eq(aap_wanted_heard(wanted, a, i, 1, T0 + 100), i < 1024, "%u", i);
  cr_expect_eq(aap_wanted_sum(wanted, T0, &end), 1024);
  aap_wanted_free(wanted);
}
