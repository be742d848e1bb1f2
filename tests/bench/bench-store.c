/* How fast leases become durable, against a bare file that is appended to and synced in the same
   directory; how long a million take to load; what one costs on disk. Usage: bench-store [DIRECTORY
   [SECONDS [RATE]]]; with a RATE of leases a second, how long each waits until it is durable. */
#define _GNU_SOURCE

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/runtime-glib.h"
#include "core/store.h"

#define MANY 1000000u
#define FILE_ROW 96u          /* about what a lease takes in the database */

typedef struct {
  GMainContext *context;
  MalRuntime *rt;
  MalStore *store;
  char *dir;
  uint32_t batch;             /* leases a commit */
  uint32_t serial;            /* leases appended so far */
  uint32_t cycle;             /* their numbers come round after so many */
  uint64_t told;
  int64_t until;
} Bench;

static void die(const GError *error)
{
  fprintf(stderr, "%s\n", error->message);
  exit(1);
}

/* As a MADCAP server of one IPv4 scope would store them: an identifier of 16 octets, one
   address. */
static MalTicket put(Bench *b)
{
  uint8_t id[16];
  uint32_t n = b->serial++ % b->cycle;
  for (uint32_t i = 0; i < 4; i++) {
    uint32_t word = (n + 1) * (2654435761u + i * 2246822518u);
    memcpy(id + 4 * i, &word, sizeof word);
  }
  MalBlock block = mal_block_make(mal_address_ipv4(0xe8000000u + n * 2), 1);
  MalTime now = mal_runtime_now(b->rt);
  MalLease lease = {
    .id = { .bytes = id, .length = sizeof id },
    .scope = "local",
    .blocks = &block,
    .n_blocks = 1,
    .start = now,
    .end = now + 3600,
    .pad = 1800,
    .granted = now,
    .client = mal_address_ipv4(0xc0000200u + n % 250),
    .origin = "madcap",
  };
  return mal_store_put_lease(b->store, &lease);
}

static void put_batch(void *data)
{
  Bench *b = data;
  if (mal_runtime_monotonic(b->rt) >= b->until)
    return;
  for (uint32_t i = 0; i < b->batch; i++)
    put(b);
  mal_store_flush(b->store);
}

/* When this one is told, the next is already with the worker, and the one after it is made. */
static void told(MalTicket through, const GError *error, void *data)
{
  Bench *b = data;
  (void)through;
  if (error)
    die(error);
  b->told += b->batch;
  mal_runtime_defer(b->rt, put_batch, b);
}

static void open_store(Bench *b)
{
  g_autoptr(GError) error = NULL;
  b->store = mal_store_sqlite_open(b->rt, b->dir, NULL, &error);
  if (!b->store)
    die(error);
}

static bool count_lease(const MalLease *lease, void *data, GError **error)
{
  (void)lease, (void)error;
  ++*(uint64_t *)data;
  return true;
}

static uint64_t load(Bench *b)
{
  g_autoptr(GError) error = NULL;
  uint64_t count = 0;
  if (!mal_store_load(b->store, mal_runtime_now(b->rt), count_lease, NULL, &count, &error))
    die(error);
  return count;
}

static void remove_all(const char *dir)
{
  GDir *entries = g_dir_open(dir, 0, NULL);
  const char *name;
  while (entries && (name = g_dir_read_name(entries))) {
    g_autofree char *path = g_build_filename(dir, name, NULL);
    unlink(path);
  }
  if (entries)
    g_dir_close(entries);
}

static double store_rate(Bench *b, uint32_t batch, double seconds, MalStoreCounters *counters)
{
  remove_all(b->dir);
  open_store(b);
  load(b);
  b->batch = batch;
  b->told = 0;
  mal_store_listen(b->store, told, b);
  int64_t start = mal_runtime_monotonic(b->rt);
  b->until = start + (int64_t)(seconds * MAL_US);
  put_batch(b);
  put_batch(b);
  while (mal_runtime_monotonic(b->rt) < b->until)
    g_main_context_iteration(b->context, TRUE);
  double rate = (double)b->told * MAL_US / (double)(mal_runtime_monotonic(b->rt) - start);
  *counters = mal_store_counters(b->store);
  mal_store_close(b->store);
  while (g_main_context_iteration(b->context, FALSE))
    ;
  return rate;
}

static double file_rate(Bench *b, uint32_t batch, double seconds)
{
  g_autofree char *path = g_build_filename(b->dir, "bare", NULL);
  g_autofree uint8_t *buffer = g_malloc0(batch * FILE_ROW);
  uint64_t written = 0;
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  int64_t start = mal_runtime_monotonic(b->rt), now = start;
  while (now < start + (int64_t)(seconds * MAL_US)) {
    if (write(fd, buffer, batch * FILE_ROW) < 0 || fdatasync(fd) < 0) {
      perror(path);
      exit(1);
    }
    written += batch;
    now = mal_runtime_monotonic(b->rt);
  }
  close(fd);
  unlink(path);
  return (double)written * MAL_US / (double)(now - start);
}

static void fill(Bench *b)
{
  remove_all(b->dir);
  open_store(b);
  b->serial = 0;
  b->cycle = MANY;
  for (uint32_t i = 0; i < MANY; i++) {
    put(b);
    if (i % 10000 == 9999) {
      mal_store_flush(b->store);
      g_main_context_iteration(b->context, FALSE);
    }
  }
  mal_store_close(b->store);
}

static void load_many(Bench *b)
{
  g_autofree char *path = g_build_filename(b->dir, "mallocd.db", NULL);
  struct stat st = { 0 };
  fill(b);
  stat(path, &st);
  open_store(b);
  int64_t start = mal_runtime_monotonic(b->rt);
  uint64_t count = load(b);
  double took = (double)(mal_runtime_monotonic(b->rt) - start) / MAL_US;
  printf("load of %" G_GUINT64_FORMAT " leases: %.2f s; %.1f octets a lease on disk\n", count, took,
         (double)st.st_size / (double)count);
  mal_store_close(b->store);
}

/* ---- at a given rate ------------------------------------------------------------------------- */

#define TICK 500              /* us between two handfuls of leases */

typedef struct {
  MalTicket ticket;
  int64_t due;
} Handful;

typedef struct {
  Bench *bench;
  MalTimer *timer;
  uint32_t size;              /* leases in a handful */
  int64_t next;
  GArray *handfuls;
  guint durable;              /* of them */
  GArray *waits;              /* of those, in us */
} Paced;

static void hand_in(void *data)
{
  Paced *p = data;
  Bench *b = p->bench;
  int64_t now = mal_runtime_monotonic(b->rt);
  for (; p->next <= now; p->next += TICK) {
    Handful handful = { .due = p->next };
    for (uint32_t i = 0; i < p->size; i++)
      handful.ticket = put(b);
    g_array_append_val(p->handfuls, handful);
  }
  mal_store_flush(b->store);
  if (now < b->until)
    mal_timer_set(p->timer, p->next);
}

static void note_waits(MalTicket through, const GError *error, void *data)
{
  Paced *p = data;
  int64_t now = mal_runtime_monotonic(p->bench->rt);
  if (error)
    die(error);
  for (; p->durable < p->handfuls->len; p->durable++) {
    const Handful *handful = &g_array_index(p->handfuls, Handful, p->durable);
    int64_t waited = now - handful->due;
    if (handful->ticket > through)
      break;
    g_array_append_val(p->waits, waited);
  }
}

static int by_size(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

static double ms(const Paced *p, guint of_a_thousand)
{
  guint at = (guint)((uint64_t)p->waits->len * of_a_thousand / 1000);
  return (double)g_array_index(p->waits, int64_t, MIN(at, p->waits->len - 1)) / 1000;
}

static void at_rate(Bench *b, uint32_t rate, double seconds)
{
  Paced p = { .bench = b, .size = MAX(rate / (1000000 / TICK), 1) };
  p.handfuls = g_array_new(FALSE, FALSE, sizeof(Handful));
  p.waits = g_array_new(FALSE, FALSE, sizeof(int64_t));
  b->cycle = MANY;
  open_store(b);
  load(b);
  mal_store_listen(b->store, note_waits, &p);
  p.timer = mal_timer_new(b->rt, hand_in, &p);
  p.next = mal_runtime_monotonic(b->rt);
  b->until = p.next + (int64_t)(seconds * MAL_US);
  mal_timer_set(p.timer, p.next);
  while (mal_runtime_monotonic(b->rt) < b->until || p.durable < p.handfuls->len)
    g_main_context_iteration(b->context, TRUE);
  g_array_sort(p.waits, by_size);
  printf("%u leases at %u/s, durable after: p50 %.1f ms, p90 %.1f, p99 %.1f, p99.9 %.1f, worst "
         "%.1f\n", p.durable * p.size, rate, ms(&p, 500), ms(&p, 900), ms(&p, 990), ms(&p, 999),
         ms(&p, 1000));
  mal_timer_free(p.timer);
  mal_store_close(b->store);
  g_array_unref(p.handfuls);
  g_array_unref(p.waits);
}

static void at_any_rate(Bench *b, double seconds)
{
  static const struct { uint32_t cycle, batch; } cases[] = {
    { MANY, 1 }, { MANY, 16 }, { MANY, 64 }, { MANY, 256 }, { MANY, 1024 },
    /* Few live: compaction goes along. */
    { MANY / 100, 64 }, { MANY / 100, 256 }, { MANY / 100, 1024 },
  };
  printf("%9s %8s %12s %12s %7s %10s %12s\n", "up to", "a commit", "store, /s", "file, /s", "ratio",
         "worst, ms", "compactions");
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    MalStoreCounters counters;
    b->cycle = cases[i].cycle;
    double file = file_rate(b, cases[i].batch, seconds);
    double store = store_rate(b, cases[i].batch, seconds, &counters);
    printf("%9u %8u %12.0f %12.0f %7.2f %10.1f %12" G_GUINT64_FORMAT "\n", b->cycle, cases[i].batch,
           store, file, store / file, (double)counters.max_commit_us / 1000, counters.compactions);
  }
  load_many(b);
}

int main(int argc, char **argv)
{
  g_autofree char *template =
      g_build_filename(argc > 1 ? argv[1] : ".", "bench-store-XXXXXX", NULL);
  double seconds = argc > 2 ? g_ascii_strtod(argv[2], NULL) : 1;
  Bench b = { .context = g_main_context_new() };
  b.rt = mal_runtime_glib_new(b.context);
  b.dir = g_mkdtemp(template);
  if (!b.dir) {
    perror(template);
    return 1;
  }
  if (argc > 3)
    at_rate(&b, (uint32_t)g_ascii_strtoull(argv[3], NULL, 10), seconds);
  else
    at_any_rate(&b, seconds);
  remove_all(b.dir);
  rmdir(b.dir);
  mal_runtime_glib_free(b.rt);
  g_main_context_unref(b.context);
  return 0;
}
