/* The overload controller against a model of a socket: a queue of cohorts, one for each
   millisecond, that is served first come, first served, at a steady rate. */
#include "plugins/madcap/madcap-shed.h"
#include "plugins/madcap/madcap-wire.h"

#include <criterion/criterion.h>

enum { STEP = 1000, ROOM = 11000, COHORTS = 8192 };
#define SERVED 100.0             /* a millisecond */

typedef struct {
  int64_t at;
  double n[MADCAP_SHED_CLASSES];
} Cohort;

typedef struct {
  MadcapShed shed;
  int64_t now;
  Cohort queue[COHORTS];
  unsigned head, tail;
  double waiting;
  double answered[MADCAP_SHED_CLASSES], offered[MADCAP_SHED_CLASSES];
  int64_t worst;                 /* latency */
  unsigned changes;
} Model;

static Model *model_new(void)
{
  Model *m = g_new0(Model, 1);
  m->now = 1000 * MAL_US;
  madcap_shed_init(&m->shed, m->now);
  return m;
}

static void arrive(Model *m, const double rate[MADCAP_SHED_CLASSES])
{
  Cohort *c = &m->queue[m->tail++ % COHORTS];
  *c = (Cohort){ .at = m->now };
  for (unsigned k = 0; k < MADCAP_SHED_CLASSES; k++) {
    m->offered[k] += rate[k];
    if (m->waiting < ROOM)
      c->n[k] = rate[k] * (MAL_UDP_ALL - madcap_shed_part(&m->shed, k)) / MAL_UDP_ALL;
    m->waiting += c->n[k];
  }
}

/* As much as a millisecond allows; then what is left has a lag. */
static void serve(Model *m)
{
  double can = SERVED;
  unsigned seen = 0;
  int64_t lag = 0;

  while (m->head != m->tail && can > 0) {
    Cohort *c = &m->queue[m->head % COHORTS];
    double all = 0;
    for (unsigned k = 0; k < MADCAP_SHED_CLASSES; k++)
      all += c->n[k];
    double part = all <= can ? 1 : can / all;
    for (unsigned k = 0; k < MADCAP_SHED_CLASSES; k++) {
      seen |= c->n[k] > 0 ? 1u << k : 0;
      m->answered[k] += c->n[k] * part;
      m->waiting -= c->n[k] * part;
      c->n[k] *= 1 - part;
    }
    if (all > 0)
      m->worst = MAX(m->worst, m->now - c->at);
    can = part < 1 ? 0 : can - all;
    lag = m->now - c->at;
    m->head += part >= 1;
  }
  if (m->head == m->tail)
    lag = 0;
  m->changes += madcap_shed_note(&m->shed, seen, lag, m->now);
}

static void run(Model *m, int64_t span, double fresh, double wanted, double held)
{
  const double rate[] = { fresh * SERVED, wanted * SERVED, held * SERVED };

  memset(m->answered, 0, sizeof m->answered);
  memset(m->offered, 0, sizeof m->offered);
  m->worst = 0;
  m->changes = 0;
  for (int64_t end = m->now + span; m->now < end; m->now += STEP) {
    arrive(m, rate);
    serve(m);
  }
}

static double all_answered(const Model *m)
{
  return m->answered[0] + m->answered[1] + m->answered[2];
}

TestSuite(madcap_shed, .timeout = 30);

Test(madcap_shed, goes_on_answering_what_it_can_and_soon)
{
  static const double cases[][MADCAP_SHED_CLASSES] = {
    { 2, 0, 0 }, { 0, 2, 0 }, { 0, 0, 2 }, { 1, 1, 0 }, { 0, 1.2, 0 }, { 0, 4, 0 }, { .5, 1, .5 },
    { 3, 3, 3 }, { 0, .6, .6 }, { .02, 2, .02 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree Model *m = model_new();
    run(m, MAL_US, cases[i][0], cases[i][1], cases[i][2]);
    cr_expect_leq(m->worst, 130000, "case %zu: at first %" G_GINT64_FORMAT, i, m->worst);
    run(m, 2 * MAL_US, cases[i][0], cases[i][1], cases[i][2]);
    cr_expect_geq(all_answered(m), 0.95 * 2000 * SERVED, "case %zu: %.0f", i, all_answered(m));
    cr_expect_leq(m->worst, 100000, "case %zu: %" G_GINT64_FORMAT, i, m->worst);
    cr_expect_leq(m->changes, 200, "not more often than once an interval");
  }
}

Test(madcap_shed, leases_that_are_there_live_longest)
{
  g_autofree Model *m = model_new();

  run(m, MAL_US, 1, .6, .3);
  run(m, 2 * MAL_US, 1, .6, .3);
  cr_expect_geq(m->answered[MADCAP_SHED_HELD], 0.99 * m->offered[MADCAP_SHED_HELD]);
  cr_expect_geq(m->answered[MADCAP_SHED_WANTED], 0.99 * m->offered[MADCAP_SHED_WANTED]);
  cr_expect_leq(m->answered[MADCAP_SHED_NEW], 0.2 * m->offered[MADCAP_SHED_NEW]);
  run(m, MAL_US, 1, 1.5, .3);
  run(m, 2 * MAL_US, 1, 1.5, .3);
  cr_expect_geq(m->answered[MADCAP_SHED_HELD], 0.99 * m->offered[MADCAP_SHED_HELD]);
  cr_expect_leq(m->answered[MADCAP_SHED_NEW], 0.02 * m->offered[MADCAP_SHED_NEW]);
}

Test(madcap_shed, nothing_is_dropped_below_the_limit)
{
  g_autofree Model *m = model_new();

  run(m, 2 * MAL_US, .5, .4, .09);
  cr_expect_eq(m->changes, 0);
  cr_expect_eq(madcap_shed_due(&m->shed), INT64_MAX);
}

Test(madcap_shed, nothing_is_dropped_for_a_burst)
{
  g_autofree Model *m = model_new();

  run(m, 40000, 1.5, .5, 0);
  run(m, MAL_US, .1, .1, 0);
  cr_expect_eq(m->changes, 0, "%u", m->changes);
}

Test(madcap_shed, who_was_kept_from_the_processor_is_not_overloaded)
{
  MadcapShed shed;
  int64_t now = 0;

  madcap_shed_init(&shed, now);
  for (int i = 0; i < 100; i++) {
    now += 80000;
    for (int64_t lag = 80000; lag > 0; lag -= 20000, now += 1000)
      cr_expect_not(madcap_shed_note(&shed, 1, lag, now));
    cr_expect_not(madcap_shed_note(&shed, 1, 0, now));
  }
}

Test(madcap_shed, ends_with_the_overload)
{
  g_autofree Model *m = model_new();

  run(m, 2 * MAL_US, 2, 2, 2);
  cr_expect_eq(madcap_shed_part(&m->shed, MADCAP_SHED_NEW), MAL_UDP_ALL);
  run(m, 2 * MAL_US, .2, .2, .2);
  for (unsigned k = 0; k < MADCAP_SHED_CLASSES; k++)
    cr_expect_eq(madcap_shed_part(&m->shed, k), 0);
  cr_expect_eq(madcap_shed_due(&m->shed), INT64_MAX);
}

Test(madcap_shed, ends_without_any_arrival)
{
  g_autofree Model *m = model_new();
  int64_t due;

  run(m, 2 * MAL_US, 2, 2, 2);
  for (int i = 0; i < 1000 && (due = madcap_shed_due(&m->shed)) != INT64_MAX; i++)
    madcap_shed_note(&m->shed, 0, 0, m->now = MAX(due, m->now));
  cr_expect_eq(madcap_shed_due(&m->shed), INT64_MAX);
  cr_expect_eq(madcap_shed_part(&m->shed, MADCAP_SHED_NEW), 0);
}

Test(madcap_shed, says_it_by_message_type)
{
  static const uint8_t classes[][2] = {
    { MADCAP_DISCOVER, MADCAP_SHED_NEW }, { MADCAP_GETINFO, MADCAP_SHED_NEW },
    { 0, MADCAP_SHED_NEW },
    { MADCAP_REQUEST, MADCAP_SHED_WANTED }, { MADCAP_RENEW, MADCAP_SHED_HELD },
    { MADCAP_RELEASE, MADCAP_SHED_HELD },
  };
  MadcapShed shed = { .pressure = MAL_UDP_ALL + 100 };
  static const uint16_t parts[] = { MAL_UDP_ALL, 100, 0 };
  MalUdpShed say;

  madcap_shed_say(&shed, &say);
  cr_expect_eq(say.octet, 1);
  for (size_t i = 0; i < G_N_ELEMENTS(classes); i++)
    cr_expect_eq(say.drop[classes[i][0]], parts[classes[i][1]], "type %u", classes[i][0]);
}
