/* Load on a MADCAP server, in the manner of perfdhcp, and the bare UDP echo between the same hosts
   for comparison: tests/bench/run.sh starts both ends.

     bench-madcap --echo PORT          the other end of the bare echo: recvmmsg, sendmmsg, no more
     bench-madcap --server ADDRESS     measures, in turns, and prints the medians as one table

   The echo's pairs have the sizes of the exchange that stands below them, the same number in
   flight, the same batches. Latency runs from the moment when a message was due to be sent, so an
   overdue one counts in full, until the system has its answer. What is not answered within a second
   is lost; nothing is sent twice. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TURNS = 15, MADCAP = 2535, RENEWED = 20000, TURNED_OVER = 20000 };

static LoadOptions load_options = { .port = MADCAP, .in_flight = 1024, .lifetime = 3600 };
static char *only;
static int turns = 3, fill, occupancy;
static double seconds = 2, open_rate;
static gboolean json;
static const GOptionEntry entries[] = {
  { "server", 0, 0, G_OPTION_ARG_STRING, &load_options.server, "the server's IPv4 address",
    "ADDRESS" },
  { "group", 0, 0, G_OPTION_ARG_STRING, &load_options.group,
    "its MADCAP Server Multicast Address", "GROUP" },
  { "scope", 0, 0, G_OPTION_ARG_STRING, &load_options.scope, "first address of the scope",
    "ADDRESS" },
  { "port", 0, 0, G_OPTION_ARG_INT, &load_options.port, "the server's port", "PORT" },
  { "echo", 0, 0, G_OPTION_ARG_INT, &load_options.echo_port,
    "the echo's port; without --server: be the echo", "PORT" },
  { "in-flight", 0, 0, G_OPTION_ARG_INT, &load_options.in_flight,
    "messages under way in the closed loop", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "of each measurement", "S" },
  { "turns", 0, 0, G_OPTION_ARG_INT, &turns, "how often; medians are printed", "N" },
  { "lifetime", 0, 0, G_OPTION_ARG_INT, &load_options.lifetime, "of the leases", "S" },
  { "only", 0, 0, G_OPTION_ARG_STRING, &only,
    "request, full, mix, renew or release alone, without open loop", "KIND" },
  { "rate", 0, 0, G_OPTION_ARG_DOUBLE, &open_rate,
    "open loop at this rate alone, of requests or what --only says", "R" },
  { "fill", 0, 0, G_OPTION_ARG_INT, &fill, "only take N leases", "N" },
  { "occupancy", 0, 0, G_OPTION_ARG_INT, &occupancy,
    "REQUEST and RELEASE by turns, with 50 % to 99.9 % of N addresses leased", "N" },
  { "pid", 0, 0, G_OPTION_ARG_INT, &load_options.pid,
    "the server's process: its processor time is shown", "PID" },
  { "echo-pid", 0, 0, G_OPTION_ARG_INT, &load_options.echo_pid, "the echo's process, likewise",
    "PID" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "an object a line instead of the table", NULL },
  G_OPTION_ENTRY_NULL,
};

typedef struct {
  const char *name, *what;
  Kind kind, echo;
  double pairs;                         /* of the echo in one exchange */
} Exchange;

static const Exchange exchanges[] = {
  { "request", "unicast REQUEST, ACK", REQUEST, ECHO_REQUEST, 1 },
  { "full", "DISCOVER, OFFER, REQUEST, ACK", FULL, ECHO_FULL, 2 },
  { "mix", "40 REQUEST, 40 RENEW, 20 RELEASE", MIX, ECHO_REQUEST, 1 },
  { "renew", "RENEW, ACK", RENEW, ECHO_REQUEST, 1 },
  { "release", "REQUEST and RELEASE by turns", TURNOVER, ECHO_REQUEST, 1 },
};

/* ---- what is printed ------------------------------------------------------------------------- */

typedef struct {
  double ratio, lowest, highest;        /* of what the echo allows */
  double echo_rate, echo_cpu;
} Ratio;

static void row_json(const char *name, const char *what, const Result *r, const Ratio *ratio)
{
  printf("{\"name\":\"%s\",\"what\":\"%s\",\"in_flight\":%d,\"seconds\":%.3f,\"rate\":%.1f,"
         "\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"worst_us\":%.1f,\"late_p99_us\":%.1f,"
         "\"done\":%" PRIu64
         ",\"lost\":%" PRIu64 ",\"unsent\":%" PRIu64 ",\"refused\":%" PRIu64
         ",\"cpu_us\":%.3f,\"cpu_main_us\":%.3f",
         name, what, load_options.in_flight, r->seconds, r->rate, r->p50, r->p99, r->p999, r->worst,
         r->late, r->done, r->lost, r->unsent, r->refused, r->cpu, r->cpu_main);
  if (ratio != NULL)
    printf(",\"ratio\":%.4f,\"ratio_lowest\":%.4f,\"ratio_highest\":%.4f,\"echo_rate\":%.1f,"
           "\"echo_cpu_us\":%.3f",
           ratio->ratio, ratio->lowest, ratio->highest, ratio->echo_rate, ratio->echo_cpu);
  printf("}\n");
  fflush(stdout);
}

static void row(const char *what, const Result *r, double ratio, const char *of)
{
  printf("%-34s %9.0f/s %8.0f %8.0f %8.0f %8.0f %7" PRIu64 " %7" PRIu64 " %7" PRIu64
         " %6.2f %6.2f",
         what, r->rate, r->p50, r->p99, r->p999, r->worst, r->lost, r->unsent, r->refused, r->cpu,
         r->cpu_main);
  if (ratio > 0)
    printf("  %5.1f %% of %s", 100 * ratio, of);
  printf("\n");
  fflush(stdout);
}

static void row_alone(const char *name, const char *what, const Result *r)
{
  if (json)
    row_json(name, what, r, NULL);
  else
    row(what, r, 0, "");
}

static void head(void)
{
  if (!json)
    printf("%-34s %11s %8s %8s %8s %8s %7s %7s %7s %6s %6s\n",
           "median of the turns; latency in us", "rate", "p50", "p99", "p99.9", "worst", "lost",
           "unsent", "refused", "cpu us", "main");
}

/* ---- measurements ---------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;   /* or a Result's rate */
  return x < y ? -1 : x > y;
}

static int by_cpu(const void *a, const void *b)
{
  return by_value(&((const Result *)a)->cpu, &((const Result *)b)->cpu);
}

/* The leases that this exchange starts from. */
static void prepare(Load *load, Kind kind)
{
  size_t aim = kind == RENEW ? RENEWED : kind == TURNOVER ? TURNED_OVER : 0;

  if (aim == 0)
    return;
  load_hold(load, aim);
  if (load_held(load) < aim)
    load_measure(load, TURNOVER, 0, seconds * 4, aim - load_held(load));
}

/* The echo before and after each measurement, since the machine's speed changes with its other
   work. */
static double compare(Load *load, const Exchange *exchange)
{
  Result bare[MOST_TURNS] = { 0 }, real[MOST_TURNS];
  double ratios[MOST_TURNS];
  bool with_echo = load_options.echo_port != 0;
  int middle = turns / 2;

  prepare(load, exchange->kind);
  for (int i = 0; i < turns; i++) {
    double before = 0;
    if (with_echo)
      before = load_measure(load, exchange->echo, 0, seconds / 2, UINT64_MAX).rate;
    real[i] = load_measure(load, exchange->kind, 0, seconds, UINT64_MAX);
    if (with_echo)
      bare[i] = load_measure(load, exchange->echo, 0, seconds / 2, UINT64_MAX);
    bare[i].rate = (before + bare[i].rate) / 2;
    ratios[i] = bare[i].rate > 0 ? real[i].rate * exchange->pairs / bare[i].rate : 0;
  }
  qsort(bare, (size_t)turns, sizeof *bare, by_value);
  qsort(real, (size_t)turns, sizeof *real, by_value);
  qsort(ratios, (size_t)turns, sizeof *ratios, by_value);
  Ratio ratio = {
    ratios[middle], ratios[0], ratios[turns - 1], bare[middle].rate, bare[middle].cpu,
  };
  if (json) {
    row_json(exchange->name, exchange->what, &real[middle], with_echo ? &ratio : NULL);
  } else {
    if (with_echo)
      row(exchange->kind == FULL ? "bare echo, sizes of DISCOVER" : "bare echo, sizes of REQUEST",
          &bare[middle], 0, "");
    row(exchange->what, &real[middle], ratio.ratio,
        exchange->pairs > 1 ? "half the pairs" : "the pairs");
  }
  return real[middle].rate;
}

static void bench_open(Load *load)
{
  const Exchange *exchange = &exchanges[0];

  for (size_t i = 0; only != NULL && i < G_N_ELEMENTS(exchanges); i++)
    if (strcmp(only, exchanges[i].name) == 0)
      exchange = &exchanges[i];
  prepare(load, exchange->kind);
  Result r = load_measure(load, exchange->kind, open_rate, seconds, UINT64_MAX);
  head();
  row_alone(exchange->name, "at a given rate", &r);
}

static void bench_fill(Load *load)
{
  Result r = load_measure(load, REQUEST, 0, 600, (uint64_t)fill);

  head();
  row_alone("fill", "filling by unicast REQUEST", &r);
}

/* More are under way at the highest occupancy than are free, if --in-flight isn't small. */
static void bench_occupancy(Load *load)
{
  static const struct { const char *name; double part; } levels[] = {
    { "50 %", 0.5 }, { "90 %", 0.9 }, { "99 %", 0.99 }, { "99.9 %", 0.999 },
  };
  Result results[MOST_TURNS];

  head();
  for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
    size_t aim = (size_t)(occupancy * levels[i].part);
    load_hold(load, aim);
    if (load_held(load) < aim)
      load_measure(load, TURNOVER, 0, 600, aim - load_held(load));
    for (int turn = 0; turn < turns; turn++)
      results[turn] = load_measure(load, TURNOVER, 0, seconds, UINT64_MAX);
    qsort(results, (size_t)turns, sizeof *results, by_cpu);
    row_alone(levels[i].name, levels[i].name, &results[turns / 2]);
  }
}

static void bench_all(Load *load)
{
  double requests = 0;

  head();
  for (size_t i = 0; i < G_N_ELEMENTS(exchanges); i++)
    if (only == NULL || strcmp(only, exchanges[i].name) == 0) {
      double rate = compare(load, &exchanges[i]);
      requests = exchanges[i].kind == REQUEST ? rate : requests;
    }
  // NOLINTNEXTLINE(cert-flp30-c): powers of two are exact
  for (double part = 0.5; part <= 2 && only == NULL; part *= 4) {
    Result r = load_measure(load, REQUEST, requests * part, seconds, UINT64_MAX);
    const char *what = part < 1 ? "REQUEST, ACK at half that rate"
                                : "REQUEST, ACK at twice that rate";
    if (json)
      row_json(part < 1 ? "half" : "twice", what, &r, NULL);
    else
      row(what, &r, r.rate / requests, "that rate");
  }
}

int main(int argc, char **argv)
{
  g_autoptr(GOptionContext) context = g_option_context_new("- load on a MADCAP server");
  g_autoptr(GError) error = NULL;

  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error)) {
    fprintf(stderr, "bench-madcap: %s\n", error->message);
    return 2;
  }
  if (load_options.server == NULL && load_options.echo_port != 0)
    load_echo(load_options.echo_port);
  turns = CLAMP(turns, 1, MOST_TURNS);
  seconds = CLAMP(seconds, 0.02, 600);
  Load *load = load_new(&load_options);
  if (fill == 0 && occupancy == 0) {    /* the answers' sizes */
    load_measure(load, REQUEST, 0, 0.2, 1000);
    load_measure(load, FULL, 0, 0.2, 1000);
  }
  if (fill > 0)
    bench_fill(load);
  else if (occupancy > 0)
    bench_occupancy(load);
  else if (open_rate > 0)
    bench_open(load);
  else
    bench_all(load);
  load_free(load);
  return 0;
}
