/* Instants and durations as text: RFC 3339 and "1d12h". Everything is proleptic Gregorian and UTC;
   no locale, no time zone database, no clock. */
#include "events.h"

#include <string.h>

#define DAY 86400LL

/* ---- the calendar ---------------------------------------------------------------------------- */

static bool is_leap(int64_t year)
{
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int64_t year, int month)
{
  static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
  return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 0000-01-01 to the first of January of YEAR (0..10000). */
static int64_t days_before_year(int64_t year)
{
  int64_t y = year - 1;
  return year == 0 ? 0 : year * 365 + y / 4 - y / 100 + y / 400 + 1;
}

static int64_t days_since_1970(int64_t year, int month, int day)
{
  int64_t days = days_before_year(year) - days_before_year(1970);
  for (int m = 1; m < month; m++)
    days += days_in_month(year, m);
  return days + day - 1;
}

/* ---- writing an instant ---------------------------------------------------------------------- */

const char *mal_time_format(MalTime t, char out[MAL_TIME_STRLEN])
{
  if (t == MAL_FOREVER) {
    g_strlcpy(out, "never", MAL_TIME_STRLEN);
    return out;
  }
  int64_t days = t / DAY - (t % DAY < 0);
  int64_t second = t % DAY + (t % DAY < 0 ? DAY : 0);
  if (days < days_since_1970(0, 1, 1) || days >= days_since_1970(10000, 1, 1)) {
    /* RFC 3339 has four digits for the year. */
    g_snprintf(out, MAL_TIME_STRLEN, "@%" G_GINT64_FORMAT, t);
    return out;
  }
  int64_t of_era = days - days_since_1970(0, 1, 1);
  int64_t year = of_era / 366;
  while (days_before_year(year + 1) <= of_era)
    year++;
  int64_t day = of_era - days_before_year(year);
  int month = 1;
  for (; day >= days_in_month(year, month); month++)
    day -= days_in_month(year, month);
  g_snprintf(out, MAL_TIME_STRLEN, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int) year, month,
             (int) day + 1, (int) (second / 3600), (int) (second / 60 % 60), (int) (second % 60));
  return out;
}

/* ---- reading an instant ---------------------------------------------------------------------- */

/* COUNT digits at *P, within low..high; steps over them. */
static bool take_number(const char **p, int count, int low, int high, int *out)
{
  int value = 0;
  for (int i = 0; i < count; i++) {
    if (!g_ascii_isdigit((*p)[i]))
      return false;
    value = value * 10 + ((*p)[i] - '0');
  }
  *p += count;
  *out = value;
  return value >= low && value <= high;
}

static bool take_char(const char **p, char c)
{
  if (g_ascii_toupper(**p) != c)
    return false;
  ++*p;
  return true;
}

typedef struct {
  int year, month, day, hour, minute, second;
  int offset;                 /* seconds east of UTC */
} Stamp;

static bool take_date(const char **p, Stamp *s)
{
  return take_number(p, 4, 0, 9999, &s->year) && take_char(p, '-') &&
         take_number(p, 2, 1, 12, &s->month) && take_char(p, '-') &&
         take_number(p, 2, 1, days_in_month(s->year, s->month), &s->day);
}

static bool take_clock(const char **p, Stamp *s)
{
  if (!take_number(p, 2, 0, 23, &s->hour) || !take_char(p, ':') ||
      !take_number(p, 2, 0, 59, &s->minute) || !take_char(p, ':') ||
      !take_number(p, 2, 0, 60, &s->second))
    return false;
  if (**p != '.')
    return true;
  ++*p;
  if (!g_ascii_isdigit(**p))
    return false;
  while (g_ascii_isdigit(**p))
    ++*p;
  return true;
}

static bool take_offset(const char **p, Stamp *s)
{
  s->offset = 0;
  if (take_char(p, 'Z'))
    return true;
  int sign = **p == '-' ? -1 : 1;
  if (**p != '+' && **p != '-')
    return false;
  ++*p;
  int hours, minutes;
  if (!take_number(p, 2, 0, 23, &hours) || !take_char(p, ':') ||
      !take_number(p, 2, 0, 59, &minutes))
    return false;
  s->offset = sign * (hours * 3600 + minutes * 60);
  return true;
}

/* A leap second is the last one of a month in UTC; it becomes the first of the next. */
static bool misplaced_leap_second(const Stamp *s, MalTime t)
{
  char text[MAL_TIME_STRLEN];
  return s->second == 60 &&
         strcmp(mal_time_format(t, text) + strlen("2016-12-"), "01T00:00:00Z") != 0;
}

static bool parse_rfc3339(const char *text, MalTime *out)
{
  Stamp s;
  const char *p = text;
  if (!take_date(&p, &s) || !take_char(&p, 'T') || !take_clock(&p, &s) || !take_offset(&p, &s) ||
      *p)
    return false;
  MalTime t = days_since_1970(s.year, s.month, s.day) * DAY + s.hour * 3600LL + s.minute * 60LL +
              s.second - s.offset;
  if (misplaced_leap_second(&s, t))
    return false;
  *out = t;
  return true;
}

static bool parse_seconds(const char *text, MalTime *out)
{
  const char *digits = *text == '-' ? text + 1 : text;
  return g_ascii_isdigit(*digits) &&
         g_ascii_string_to_signed(text, 10, INT64_MIN, INT64_MAX, out, NULL);
}

bool mal_time_parse(const char *text, MalTime *out, GError **error)
{
  if (strcmp(text, "never") == 0) {
    *out = MAL_FOREVER;
    return true;
  }
  if (strcmp(text, "now") == 0) {
    *out = MAL_BEGINNING;
    return true;
  }
  if (*text == '@' ? parse_seconds(text + 1, out) : parse_rfc3339(text, out))
    return true;
  g_set_error(
      error, MAL_ERROR, MAL_ERROR_INVALID,
      "'%.64s' is not a time; write it as 2030-01-31T18:00:00Z or 2030-01-31T18:00:00+01:00, "
      "'never', or '@' and the seconds since 1970",
      text);
  return false;
}

/* ---- durations ------------------------------------------------------------------------------- */

static const struct {
  char letter;
  int64_t seconds;
} units[] = { { 'w', 7 * DAY }, { 'd', DAY }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };

static bool take_digits(const char **p, int64_t *out)
{
  if (!g_ascii_isdigit(**p))
    return false;
  for (*out = 0; g_ascii_isdigit(**p); ++*p)
    if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, **p - '0', out))
      *out = -1;
  return true;
}

/* The unit's place in the table from FROM on, so that each comes once and the larger ones first. */
static size_t find_unit(char letter, size_t from)
{
  while (from < G_N_ELEMENTS(units) && units[from].letter != letter)
    from++;
  return from;
}

typedef enum { DURATION_OK, DURATION_MALFORMED, DURATION_TOO_LONG } DurationResult;

static DurationResult parse_duration(const char *text, int64_t *out)
{
  const char *p = text;
  int64_t sum = 0, number, part;
  bool overflow = false;
  if (take_digits(&p, &number) && !*p) {
    *out = number;
    return number < 0 ? DURATION_TOO_LONG : DURATION_OK;
  }
  p = text;
  size_t next = 0;
  do {
    if (!take_digits(&p, &number))
      return DURATION_MALFORMED;
    size_t unit = find_unit(*p, next);
    if (unit == G_N_ELEMENTS(units))
      return DURATION_MALFORMED;
    p++;
    next = unit + 1;
    if (number < 0 || overflow || __builtin_mul_overflow(number, units[unit].seconds, &part) ||
        __builtin_add_overflow(sum, part, &sum))
      overflow = true;
  } while (*p);
  *out = sum;
  return overflow ? DURATION_TOO_LONG : DURATION_OK;
}

bool mal_duration_parse(const char *text, int64_t *out, GError **error)
{
  int64_t seconds = 0;
  switch (parse_duration(text, &seconds)) {
  case DURATION_OK:
    *out = seconds;
    return true;
  case DURATION_TOO_LONG:
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "the duration '%.64s' is too long", text);
    return false;
  default:
    g_set_error(
        error, MAL_ERROR, MAL_ERROR_INVALID,
        "'%.64s' is not a duration; write plain seconds, or numbers with w, d, h, m, s, the larger "
        "units first, such as 90, 15m, 1h30m or 4w",
        text);
    return false;
  }
}

/* SECONDS in the units from FROM on; PARTS: how many of them it takes. */
static char *decompose(int64_t seconds, size_t from, unsigned *parts)
{
  GString *s = g_string_new(NULL);
  *parts = 0;
  for (size_t i = from; i < G_N_ELEMENTS(units); i++) {
    if (seconds >= units[i].seconds) {
      g_string_append_printf(s, "%" G_GINT64_FORMAT "%c", seconds / units[i].seconds,
                             units[i].letter);
      ++*parts;
    }
    seconds %= units[i].seconds;
  }
  return g_string_free(s, FALSE);
}

/* The shortest; of two as short the one of fewer parts, else the one of larger units. */
char *mal_duration_format(int64_t seconds)
{
  if (seconds <= 0)
    return g_strdup_printf("%" G_GINT64_FORMAT "s", seconds);
  unsigned best_parts, parts;
  char *best = decompose(seconds, 0, &best_parts);
  for (size_t from = 1; from < G_N_ELEMENTS(units); from++) {
    char *other = decompose(seconds, from, &parts);
    size_t n = strlen(other), shortest = strlen(best);
    if (n < shortest || (n == shortest && parts < best_parts)) {
      char *longer = best;
      best = other;
      other = longer;
      best_parts = parts;
    }
    g_free(other);
  }
  return best;
}
