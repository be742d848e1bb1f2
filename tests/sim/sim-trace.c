/* What happened: a hash over all events, a ring of the last ones, and the whole story in a file on
   demand. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim-internal.h"

#define DEFAULT_RING 512

/* How the two numbers of a record read. */
static const struct {
  const char *name, *a, *b;
} kinds[MAL_SIM_TRACE_KINDS] = {
  [MAL_SIM_TRACE_TIMER] = { "timer", NULL, NULL },
  [MAL_SIM_TRACE_DEFER] = { "deferred", NULL, NULL },
  [MAL_SIM_TRACE_CALL] = { "scenario", NULL, NULL },
  [MAL_SIM_TRACE_SEND] = { "sends", "packet", "octets" },
  [MAL_SIM_TRACE_LOST] = { "loses", "packet", "link" },
  [MAL_SIM_TRACE_CUT] = { "is cut off from", "packet", "why" },
  [MAL_SIM_TRACE_COPY] = { "will get", "packet", "after" },
  [MAL_SIM_TRACE_ARRIVE] = { "gets", "packet", "ifindex" },
  [MAL_SIM_TRACE_NOBODY] = { "does not want", "packet", "ifindex" },
  [MAL_SIM_TRACE_DELIVER] = { "delivers", "port", "datagrams" },
  [MAL_SIM_TRACE_RUN] = { "runs a job", NULL, NULL },
  [MAL_SIM_TRACE_DONE] = { "ends a job", NULL, NULL },
  [MAL_SIM_TRACE_CRASH] = { "crashes", "disk", NULL },
  [MAL_SIM_TRACE_BOOT] = { "boots", "boot", NULL },
  [MAL_SIM_TRACE_CLOCK] = { "clock steps", "by", NULL },
  [MAL_SIM_TRACE_IFACE] = { "interface changes", "ifindex", "state" },
  [MAL_SIM_TRACE_WATCH] = { "sees its interfaces change", NULL, NULL },
  [MAL_SIM_TRACE_PARTITION] = { "partition", "began", NULL },
  [MAL_SIM_TRACE_STREAM] = { "stream", "event", "octets" },
  [MAL_SIM_TRACE_DISK] = { "disk keeps", "octets", "of" },
  [MAL_SIM_TRACE_NOTE] = { "note", NULL, NULL },
};

uint64_t mal_sim_digest(const void *data, size_t length)
{
  const uint8_t *bytes = data;
  uint64_t h = 0x9e3779b97f4a7c15u ^ length;
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  uint64_t rest = 0;
  if (length)
    memcpy(&rest, bytes, length);
  return mal_sim_mix(h ^ rest);
}

static void print_record(MalSim *sim, FILE *out, const MalSimRecord *r)
{
  const MalSimNode *node = r->node == UINT32_MAX ? NULL : g_ptr_array_index(sim->nodes, r->node);
  fprintf(out, "%10" PRId64 ".%06d  %-12s %s", (int64_t)(r->time / MAL_US), (int)(r->time % MAL_US),
          node ? node->name : "-", kinds[r->kind].name);
  if (kinds[r->kind].a)
    fprintf(out,
            r->kind == MAL_SIM_TRACE_CLOCK ? " %s=%" PRId64
            : r->a >> 32                   ? " %s=%" PRIx64
                                           : " %s=%" PRIu64,
            kinds[r->kind].a, r->a);
  if (kinds[r->kind].b)
    fprintf(out, " %s=%" PRIu64, kinds[r->kind].b, r->b);
  if (r->text)
    fprintf(out, ": %s", r->text);
  fputc('\n', out);
}

static void record(MalSim *sim, MalSimRecord r)
{
  uint64_t h = sim->hash ^ ((uint64_t)r.time << 8) ^ r.kind;
  h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u + r.a;
  h = (h ^ (h >> 32)) * 0x94d049bb133111ebu + r.b;
  sim->hash = (h ^ (h >> 31)) + r.node;
  if (G_UNLIKELY(sim->trace_file))
    print_record(sim, sim->trace_file, &r);
  uint64_t n = sim->n_traced++;
  if (!sim->ring_room) {
    g_free(r.text);
    return;
  }
  MalSimRecord *place = &sim->ring[n & (sim->ring_room - 1)];
  if (G_UNLIKELY(place->text))
    g_free(place->text);
  *place = r;
}

void mal_sim_trace(MalSim *sim, MalSimTraceKind kind, const MalSimNode *node, uint64_t a,
                   uint64_t b)
{
  record(sim,
         (MalSimRecord){ (uint8_t)kind, node ? node->index : UINT32_MAX, sim->now, a, b, NULL });
}

void mal_sim_note(MalSim *sim, MalSimNode *node, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  char *text = g_strdup_vprintf(format, args);
  va_end(args);
  record(sim, (MalSimRecord){ MAL_SIM_TRACE_NOTE, node ? node->index : UINT32_MAX, sim->now,
                              mal_sim_digest(text, strlen(text)), 0, text });
}

uint64_t mal_sim_hash(const MalSim *sim)
{
  return mal_sim_mix(sim->hash);
}

static void drop_ring(MalSim *sim)
{
  for (size_t i = 0; i < sim->ring_room; i++)
    g_free(sim->ring[i].text);
  g_clear_pointer(&sim->ring, g_free);
  sim->ring_room = 0;
}

void mal_sim_set_trace_size(MalSim *sim, size_t n)
{
  drop_ring(sim);
  sim->n_traced = 0;
  if (n) {
    for (sim->ring_room = 1; sim->ring_room < n; sim->ring_room *= 2)
      ;
    sim->ring = g_new0(MalSimRecord, sim->ring_room);
  }
}

void mal_sim_print_trace(MalSim *sim, FILE *out)
{
  uint64_t kept = MIN(sim->n_traced, sim->ring_room);
  fprintf(out, "the last %" PRIu64 " of %" PRIu64 " records:\n", kept, sim->n_traced);
  for (uint64_t i = sim->n_traced - kept; i < sim->n_traced; i++)
    print_record(sim, out, &sim->ring[i & (sim->ring_room - 1)]);
}

void mal_sim_trace_open(MalSim *sim)
{
  mal_sim_set_trace_size(sim, DEFAULT_RING);
  const char *path = getenv("MAL_SIM_TRACE");
  if (path && *path && (sim->trace_file = fopen(path, "ae")))
    fprintf(sim->trace_file, "seed %" PRIu64 "\n", sim->seed);
}

void mal_sim_trace_close(MalSim *sim)
{
  drop_ring(sim);
  if (sim->trace_file)
    fclose(sim->trace_file);
}

void mal_sim_fail(MalSim *sim, const char *format, ...)
{
  if (sim->failure)
    return;
  va_list args;
  va_start(args, format);
  sim->failure = g_strdup_vprintf(format, args);
  va_end(args);
  if (sim->quiet)
    return;
  mal_sim_print_trace(sim, stderr);
  fprintf(stderr, "seed %" PRIu64 " failed at %" PRId64 " us after %" PRIu64 " events: %s\n",
          sim->seed, sim->now, sim->counters.events, sim->failure);
}

const char *mal_sim_failure(const MalSim *sim)
{
  return sim->failure;
}

void mal_sim_set_quiet(MalSim *sim, bool quiet)
{
  sim->quiet = quiet;
}
