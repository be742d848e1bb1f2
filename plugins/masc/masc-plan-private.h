/* One run of the planner, shared by masc-plan*.c. */
#ifndef MASC_PLAN_PRIVATE_H
#define MASC_PLAN_PRIVATE_H

#include "masc-forecast.h"
#include "masc-holes.h"

G_BEGIN_DECLS

/* A holding, or what this run wished for. */
typedef struct {
  MalPrefix prefix;
  uint64_t units;
  MalU128 used;           /* addresses */
  bool pending;
  bool draining, ends;
  bool doomed;            /* one of these, or in no ground that lasts: no room for what comes */
  bool covered;           /* a pending claim of ours will take its place */
} MascMine;

typedef struct {
  MascForecast *forecast;
  const MascPlanView *view;
  const MascParams *params;
  MascRandom random;
  void *user;
  MascWish *wishes;
  size_t n, most;
  unsigned bits, unit;    /* of an address; prefix length of a unit */
  GArray *mine;           /* MascMine, sorted by masc_prefix_compare */
  GArray *holes;          /* made when first asked for */
  const MalPrefix *busy;  /* once asked for */
  size_t n_busy;
  bool busy_known;
  uint64_t ground;        /* units that could be claimed from, in all */
} MascPlan;

void masc_plan_leaf(MascPlan *plan);
void masc_plan_parent(MascPlan *plan);

#define masc_mine(plan, i) (&g_array_index((plan)->mine, MascMine, i))
MalU128 masc_used_in(const MascPlanView *view, MalPrefix prefix);
/* Units: what there is for what comes; with PENDING, what will be there. */
uint64_t masc_plan_capacity(const MascPlan *plan, bool pending);
unsigned masc_plan_count(const MascPlan *plan);       /* prefixes in the end */
unsigned masc_plan_limit(const MascPlan *plan, unsigned usual);
uint64_t masc_plan_largest(const MascPlan *plan);     /* of those that stay, pending or not */
/* The prefix length of that many units (a power of two). */
unsigned masc_plan_length(const MascPlan *plan, uint64_t units);
/* UNITS: 1 at least. */
uint64_t masc_power_up(uint64_t units);
uint64_t masc_power_down(uint64_t units);
/* UNITS, but no more than the ground's DIVISOR-th part, and 1 at least: for small grounds. */
uint64_t masc_plan_scaled(const MascPlan *plan, uint64_t units, uint64_t divisor);

bool masc_wish(MascPlan *plan, MascWishKind kind, MalPrefix prefix, MalPrefix from);
/* Grows WHICH in place to UNITS where nobody else and no pending claim of ours is in the way. */
bool masc_plan_grow(MascPlan *plan, guint which, uint64_t units);
/* Could it but for our own pending claims? */
bool masc_plan_obstructed(MascPlan *plan, guint which, uint64_t units);
bool masc_plan_claim(MascPlan *plan, MascPlace how, const MalPrefix *within, uint64_t units);
void masc_plan_hint(MascPlan *plan, uint64_t units);
/* A draining one that need not. */
bool masc_plan_keep(MascPlan *plan);

G_END_DECLS
#endif
