/* Domains with the real planner in a world that breaks and heals (RFC 2909 5, 12.4): once it has
   been whole for long enough, no two of them hold the same, and nobody more than its parent has. */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

enum { T1, T2, P3, C4, D5A, D5B, G6, N_NODES };

static const struct {
  MascId domain, node;
  int parent;                 /* a node */
} places[N_NODES] = {
  [T1] = { 1, 1000, -1 }, [T2] = { 2, 2000, -1 },  [P3] = { 3, 3000, T1 }, [C4] = { 4, 4000, T1 },
  [D5A] = { 5, 5000, T2 }, [D5B] = { 5, 5001, T2 }, [G6] = { 6, 6000, P3 },
};

typedef struct {
  OwnBed *own;
  uint64_t seed;
} World;

static uint64_t draw(World *w, uint64_t below)
{
  uint64_t z = w->seed += UINT64_C(0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (z ^ (z >> 31)) % below;
}

static World new_world(uint64_t seed)
{
  World w = { own_bed_new(), seed };
  MascParams *params = &w.own->bed->params;

  w.own->bed->seed = seed;
  params->prefix_lifetime = 20000;
  params->renew_interval = 1000;
  params->plan_interval = 250;
  params->extra_holding = 500;
  for (unsigned i = 0; i < N_NODES; i++) {
    MascBedNode *n = &w.own->bed->nodes[i];
    own_bed_add(w.own, places[i].domain, places[i].node, places[i].parent < 0);
    own_bed_owns(w.own, i)->planner = masc_plan;
    /* So little that they often want the same. */
    n->config.span = masc_bed_span("233.252.0.0/18");
    n->zone->config.span = n->config.span;
  }
  for (unsigned i = T1; i <= T2; i++) {
    w.own->bed->nodes[i].config.parent = w.own->bed->nodes[i].zone->config.parent = true;
    masc_own_children_changed(w.own->bed->nodes[i].zone, masc_bed_now(w.own->bed, i));
  }
  masc_bed_join(w.own->bed, T1, T2, MASC_SIBLING, 0);
  for (unsigned i = P3; i < N_NODES; i++)
    masc_bed_join(w.own->bed, i, (unsigned)places[i].parent, MASC_CHILD, 0);
  masc_bed_join(w.own->bed, P3, C4, MASC_SIBLING, 1);
  masc_bed_join(w.own->bed, D5A, D5B, MASC_INTERNAL, 0);
  own_bed_pass(w.own, 10);
  return w;
}

/* ---- demand ---------------------------------------------------------------------------------- */

static void drop_lost_uses(World *w, unsigned node)
{
  OwnNode *n = &w->own->nodes[node];

  for (guint i = n->uses->len; i-- > 0;) {
    MalSpan span = g_array_index(n->uses, MascUse, i).span;
    bool in = false;
    for (guint k = 0; k < n->local->len; k++)
      in = in || mal_span_contains(
                     mal_span_of_prefix(g_array_index(n->local, MascShown, k).prefix), span);
    if (!in || draw(w, 60) == 0)
      g_array_remove_index(n->uses, i);
  }
}

static void demand(World *w, unsigned node)
{
  OwnNode *n = &w->own->nodes[node];
  MascZone *zone = w->own->bed->nodes[node].zone;
  MascNow now = masc_bed_now(w->own->bed, node);
  uint64_t wanted = draw(w, 600);

  drop_lost_uses(w, node);
  if (n->uses->len < 40 && n->local->len > 0) {
    MascUse use = { .until = MAL_FOREVER };
    MalPrefix p = g_array_index(n->local, MascShown, draw(w, n->local->len)).prefix;
    MalU128 size = masc_prefix_addresses(p);
    use.span.first = p.address;
    use.span.first.value += draw(w, (uint64_t)size);
    use.span.last = use.span.first;
    g_array_append_val(n->uses, use);
  }
  masc_zone_arrived(zone, 1 + wanted / 8, now);
  masc_zone_waiting(zone, wanted > 300 ? wanted : 0, MAL_FOREVER, now);
}

/* ---- trouble --------------------------------------------------------------------------------- */

static void trouble(World *w)
{
  MascBed *bed = w->own->bed;
  unsigned link = (unsigned)draw(w, bed->links->len), node = (unsigned)draw(w, N_NODES);

  switch (draw(w, 12)) {
  case 0:
  case 1:
  case 2:
    masc_bed_down(bed, link);
    break;
  case 3:
  case 4:
  case 5:
    if (!g_array_index(bed->links, MascBedLink, link).up)
      masc_bed_up(bed, link);
    break;
  case 6:
    own_bed_reboot(w->own, node, draw(w, 3) > 0);
    own_bed_owns(w->own, node)->planner = masc_plan;
    break;
  case 7: {
    int64_t step = (int64_t)draw(w, 1000) - 500 - bed->nodes[node].skew;
    bed->nodes[node].skew += step;
    masc_zone_clock_stepped(bed->nodes[node].zone, step, masc_bed_now(bed, node));
    break;
  }
  default:
    demand(w, (unsigned)(P3 + draw(w, N_NODES - P3)));
    break;
  }
}

static void heal(World *w)
{
  MascBed *bed = w->own->bed;

  for (unsigned i = 0; i < bed->links->len; i++)
    if (!g_array_index(bed->links, MascBedLink, i).up)
      masc_bed_up(bed, i);
}

/* ---- what has to be -------------------------------------------------------------------------- */

static void expect_apart(World *w, uint64_t seed, unsigned a, unsigned b, bool lower)
{
  GArray *x = own_bed_owns(w->own, a)->held[0], *y = own_bed_owns(w->own, b)->held[0];

  if (lower) {
    x = w->own->nodes[a].local;
    y = w->own->nodes[b].local;
  }
  for (guint i = 0; i < x->len; i++)
    for (guint k = 0; k < y->len; k++) {
      MalPrefix p = lower ? g_array_index(x, MascShown, i).prefix
                          : g_array_index(x, MascHeld, i).prefix;
      MalPrefix q = lower ? g_array_index(y, MascShown, k).prefix
                          : g_array_index(y, MascHeld, k).prefix;
      cr_assert(!masc_prefix_meets(p, q), "seed %" PRIu64 ": %u and %u %s the same", seed, a, b,
                lower ? "use" : "hold");
    }
}

static void expect_inside(World *w, uint64_t seed, unsigned node)
{
  unsigned parent = (unsigned)places[node].parent;
  GArray *held = own_bed_owns(w->own, node)->held[0];

  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    /* What ends with the parent's, at the same instant, is over earlier by the clock that is ahead
       (12.3). */
    cr_expect(h->until <= masc_bed_now(w->own->bed, parent).wall ||
                  masc_own_covers(w->own->bed->nodes[parent].zone, h->prefix, NULL, NULL),
              "seed %" PRIu64 ": %u holds more than %u", seed, node, parent);
  }
}

static void check(World *w, uint64_t seed)
{
  for (unsigned a = 0; a < N_NODES; a++) {
    for (unsigned b = a + 1; b < N_NODES; b++) {
      if (places[a].domain == places[b].domain)
        continue;
      expect_apart(w, seed, a, b, true);
      if (places[a].parent == places[b].parent)
        expect_apart(w, seed, a, b, false);
    }
    if (places[a].parent >= 0)
      expect_inside(w, seed, a);
  }
}

/* SEED=7 SEED_DUMP=1: what everybody thinks, before it is checked. */
static void dump(const World *w)
{
  for (unsigned i = 0; i < N_NODES; i++) {
    g_autofree char *held = own_bed_held(w->own, i, false), *lower = own_bed_held(w->own, i, true);
    g_autofree char *local = own_bed_local(w->own, i), *pending = own_bed_pending(w->own, i);
    fprintf(stderr, "%u at %" PRId64 ": %s; lower %s; local %s; pending %s\n", i,
            masc_bed_now(w->own->bed, i).wall - MASC_BED_EPOCH, held, lower, local, pending);
    if (g_strcmp0(g_getenv("SEED_DUMP"), "2") != 0)
      continue;
    MascBedRecords r = masc_bed_records(w->own->bed, i, 0);
    for (size_t k = 0; k < r.n; k++) {
      char line[MASC_DESCRIPTION_SIZE];
      fprintf(stderr, "    %s (from %d)\n", masc_describe_claim(&r.claims[k], line, sizeof line),
              (int)(r.claims[k].timestamp - MASC_BED_EPOCH));
    }
  }
}

static void run(uint64_t seed)
{
  World w = new_world(seed);

  for (int phase = 0; phase < 6; phase++) {
    for (int i = 0; i < 120; i++) {
      trouble(&w);
      own_bed_pass(w.own, 1 + (int64_t)draw(&w, 120));
    }
    heal(&w);
    own_bed_pass(w.own, w.own->bed->params.waiting_period);
    if (g_getenv("SEED_DUMP") != NULL)
      dump(&w);
    check(&w, seed);
  }
  for (unsigned i = 0; i < N_NODES && g_getenv("SEED_NOTES") != NULL; i++)
    for (unsigned note = 0; note < MASC_N_NOTES; note++)
      if (own_bed_notes(w.own, i, note) > 0)
        fprintf(stderr, "%u: note %u: %u\n", i, note, own_bed_notes(w.own, i, note));
  own_bed_free(w.own);
}

Test(masc_own_world, s12_4_nobody_holds_what_another_does_once_the_world_is_whole)
{
  const char *one = g_getenv("SEED"), *many = g_getenv("SEEDS");
  uint64_t first = one != NULL ? g_ascii_strtoull(one, NULL, 10) : 1;
  uint64_t n = one != NULL ? 1 : many != NULL ? g_ascii_strtoull(many, NULL, 10) : 10;

  for (uint64_t seed = first; seed < first + n; seed++)
    run(seed);
}
