#include <criterion/criterion.h>
#include <string.h>

#include "core/events.h"

static const struct {
  const char *text;
  MalTime t;
  const char *again;          /* how it is written back; NULL: the same */
} good_times[] = {
  { "1970-01-01T00:00:00Z", 0, NULL },
  { "1969-12-31T23:59:59Z", -1, NULL },
  { "1996-02-29T12:00:00Z", 825595200, NULL },
  { "2000-02-29T00:00:00Z", 951782400, NULL },
  { "2000-03-01T00:00:00Z", 951868800, NULL },
  { "2026-01-01T00:00:00Z", 1767225600, NULL },
  { "2038-01-19T03:14:08Z", 2147483648, NULL },
  { "2100-02-28T23:59:59Z", 4107542399, NULL },
  { "2100-03-01T00:00:00Z", 4107542400, NULL },
  { "0000-01-01T00:00:00Z", -62167219200, NULL },
  { "0000-02-29T00:00:00Z", -62162121600, NULL },
  { "0001-01-01T00:00:00Z", -62135596800, NULL },
  { "9999-12-31T23:59:59Z", 253402300799, NULL },
  { "1937-01-01T12:00:27.87+00:20", -1041337173, "1937-01-01T11:40:27Z" },
  { "1985-04-12T23:20:50.52Z", 482196050, "1985-04-12T23:20:50Z" },
  { "1996-12-19T16:39:57-08:00", 851042397, "1996-12-20T00:39:57Z" },
  { "1990-12-31T23:59:60Z", 662688000, "1991-01-01T00:00:00Z" },
  { "1990-12-31T15:59:60-08:00", 662688000, "1991-01-01T00:00:00Z" },
  { "2030-01-01t00:00:00z", 1893456000, "2030-01-01T00:00:00Z" },
  { "2030-01-01T00:00:00-00:00", 1893456000, "2030-01-01T00:00:00Z" },
  { "2030-01-01T00:00:00+23:59", 1893369660, "2029-12-31T00:01:00Z" },
  { "@1893456000", 1893456000, "2030-01-01T00:00:00Z" },
  { "@-1", -1, "1969-12-31T23:59:59Z" },
  { "@253402300800", 253402300800, NULL },
  { "@-9223372036854775808", MAL_BEGINNING, NULL },
  { "@9223372036854775807", MAL_FOREVER, "never" },
  { "now", MAL_BEGINNING, "@-9223372036854775808" },
  { "never", MAL_FOREVER, NULL },
};

Test(time_text, reads_and_writes_rfc3339)
{
  for (size_t i = 0; i < G_N_ELEMENTS(good_times); i++) {
    MalTime t = 42;
    char out[MAL_TIME_STRLEN];
    g_autoptr(GError) error = NULL;
    cr_expect(mal_time_parse(good_times[i].text, &t, &error), "%s: %s", good_times[i].text,
              error ? error->message : "");
    cr_expect(t == good_times[i].t, "%s is %lld, not %lld", good_times[i].text, (long long) t,
              (long long) good_times[i].t);
    cr_expect_str_eq(mal_time_format(t, out),
                     good_times[i].again ? good_times[i].again : good_times[i].text);
  }
}

Test(time_text, refuses_what_is_not_rfc3339)
{
  static const char *const bad[] = {
    "",
    "@",
    "@-",
    "@+1",
    "@ 1",
    "@1x",
    "@9223372036854775808",
    "Now",
    "forever",
    "1893456000",
    "2030",
    "2030-01-01",
    "2030-01-01T00:00:00",
    "2030-01-01 00:00:00Z",
    "2030-1-1T00:00:00Z",
    "2030-00-01T00:00:00Z",
    "2030-13-01T00:00:00Z",
    "2030-01-00T00:00:00Z",
    "2030-01-32T00:00:00Z",
    "2030-04-31T00:00:00Z",
    "2030-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2030-01-01T24:00:00Z",
    "2030-01-01T00:60:00Z",
    "2030-01-01T00:00:61Z",
    "2030-01-01T00:00:60Z",
    "1990-12-30T23:59:60Z",
    "1990-12-31T23:59:60+01:00",
    "2030-01-01T00:00:00.Z",
    "2030-01-01T00:00:00,5Z",
    "2030-01-01T00:00:00+0100",
    "2030-01-01T00:00:00+24:00",
    "2030-01-01T00:00:00+01:60",
    "2030-01-01T00:00:00+1:00",
    "2030-01-01T00:00:00ZZ",
    " 2030-01-01T00:00:00Z",
    "2030-01-01T00:00:00Z ",
    "+2030-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "2030-01-01T00:00:0\xc2\xb2Z",
    "2030-01-01T-1:00:00Z",
  };
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    MalTime t = 42;
    g_autoptr(GError) error = NULL;
    cr_expect_not(mal_time_parse(bad[i], &t, &error), "'%s' was read as %lld", bad[i],
                  (long long)t);
    cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_INVALID)
              && strstr(error->message, "2030-01-31T18:00:00Z"));
  }
}

Test(time_text, agrees_with_glib_on_every_day_of_four_centuries)
{
  g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
  g_autoptr(GDateTime) day = g_date_time_new(utc, 1900, 1, 1, 0, 0, 0);
  for (int i = 0; i < 146097 + 366; i++) {
    char out[MAL_TIME_STRLEN];
    MalTime t;
    g_autofree char *expected = g_date_time_format(day, "%Y-%m-%dT00:00:00Z");
    cr_assert_str_eq(mal_time_format(g_date_time_to_unix(day), out), expected);
    cr_assert(mal_time_parse(expected, &t, NULL) && t == g_date_time_to_unix(day));
    GDateTime *next = g_date_time_add_days(day, 1);
    g_date_time_unref(day);
    day = next;
  }
}

static const struct {
  const char *text;
  int64_t seconds;
  const char *again;
} good_durations[] = {
  { "0", 0, "0s" },
  { "90", 90, "90s" },
  { "15m", 900, "15m" },
  { "2h", 7200, "2h" },
  { "1h30m", 5400, "90m" },
  { "1d12h", 129600, "36h" },
  { "4w", 2419200, "4w" },
  { "30d", 2592000, "30d" },
  { "1w2d3h4m5s", 788645, "788645s" },
  { "1h1s", 3601, "1h1s" },
  { "100d", 8640000, "100d" },
  { "7d", 604800, "1w" },
  { "4294967295", 4294967295, "4294967295s" },
  { "0s", 0, "0s" },
  { "007m", 420, "7m" },
  { "1d90m", 91800, "1530m" },
  { "9223372036854775807", INT64_MAX, "9223372036854775807s" },
  { "9223372036854775807s", INT64_MAX, "9223372036854775807s" },
};

Test(time_text, reads_and_writes_durations)
{
  for (size_t i = 0; i < G_N_ELEMENTS(good_durations); i++) {
    int64_t seconds = -1, back = -1;
    cr_expect(mal_duration_parse(good_durations[i].text, &seconds, NULL), "%s",
              good_durations[i].text);
    cr_expect_eq(seconds, good_durations[i].seconds, "%s is %lld", good_durations[i].text,
                 (long long)seconds);
    g_autofree char *again = mal_duration_format(seconds);
    cr_expect(mal_duration_parse(again, &back, NULL) && back == seconds, "%s", again);
    if (good_durations[i].seconds != INT64_MAX)
      cr_expect_str_eq(again, good_durations[i].again);
  }
}

Test(time_text, refuses_bad_durations)
{
  static const struct {
    const char *text, *message;
  } bad[] = {
    { "", "is not a duration" },
    { "h", "is not a duration" },
    { "-5", "is not a duration" },
    { "+5", "is not a duration" },
    { "1.5h", "is not a duration" },
    { "1h30", "is not a duration" },
    { "30m1h", "is not a duration" },
    { "1h1h", "is not a duration" },
    { "1y", "is not a duration" },
    { "1 h", "is not a duration" },
    { "1H", "is not a duration" },
    { " 1h", "is not a duration" },
    { "1h ", "is not a duration" },
    { "0x10", "is not a duration" },
    { "9223372036854775808", "too long" },
    { "99999999999999999999999s", "too long" },
    { "15250284452472w", "too long" },
    { "15250284452471w9d", "too long" },
    { "99999999999999999999999x", "is not a duration" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    int64_t seconds = -1;
    g_autoptr(GError) error = NULL;
    cr_expect_not(mal_duration_parse(bad[i].text, &seconds, &error), "'%s'", bad[i].text);
    cr_expect(error && strstr(error->message, bad[i].message), "'%s': %s", bad[i].text,
              error ? error->message : "no error");
    cr_expect_eq(seconds, -1);
  }
}
