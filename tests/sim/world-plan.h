/* What all soaks share, whatever protocol their worlds speak: a world's plan, what became of it,
   and what a kind of world has to offer.

   The plan is data, drawn wholly from the seed before the world begins: settings, and a list of
   items (a server, a client, a crash at a certain time, ...). Each item has a seed of its own for
   what it draws while it happens, so items can be switched off (by their numbers, the mask) and
   the rest stays what it was. That is what the shrinker (soak.h) works with, and what the command
   that runs a failing world again says.

   A new kind of world (AAP, MASC) is a MalWorldType: names of its kinds of items and of what it
   counts, a function that draws a plan and one that runs it. Its program is one call of
   mal_soak_main. tests/sim/madcap-world-plan.c is the example. */
#ifndef MAL_WORLD_PLAN_H
#define MAL_WORLD_PLAN_H

#include <stdio.h>

#include "core/runtime.h"

G_BEGIN_DECLS

#define MAL_WORLD_SETTINGS 16
#define MAL_WORLD_KINDS 48
#define MAL_WORLD_COUNTS 96

/* ---- random numbers -------------------------------------------------------------------------- */

/* A stream by value: whoever has one shifts nobody else's numbers. */
typedef struct {
  uint64_t state;
} MalWorldRandom;

uint64_t mal_world_random(MalWorldRandom *r);
uint64_t mal_world_between(MalWorldRandom *r, uint64_t low, uint64_t high); /* both included */
bool mal_world_chance(MalWorldRandom *r, unsigned percent);

/* ---- plans ----------------------------------------------------------------------------------- */

typedef enum { MAL_WORLD_SMALL, MAL_WORLD_MEDIUM, MAL_WORLD_LARGE, MAL_WORLD_HUGE } MalWorldSize;
#define MAL_WORLD_SIZES 4
/* By the seed: of a thousand worlds 800 are small, 180 medium, 19 large, one is huge. */
#define MAL_WORLD_ANY_SIZE (-1)

typedef struct MalWorldType MalWorldType;

typedef struct {
  unsigned kind;              /* of the type's kinds */
  bool off;
  int64_t at;                 /* virtual microseconds; 0: from the beginning */
  uint64_t who, a, b;         /* whatever the kind says */
  uint64_t seed;              /* for what it draws itself */
} MalWorldItem;

typedef struct {
  const MalWorldType *type;
  uint64_t seed;
  MalWorldSize size;
  int64_t until;              /* virtual microseconds of trouble; then all is healed */
  int64_t settings[MAL_WORLD_SETTINGS];
  GArray *items;              /* MalWorldItem, in the order of their times */
  bool quiet;                 /* a failure is not printed */
  unsigned plant;             /* not 0: a bug of the harness' own, to test the shrinker with */
} MalWorldPlan;

/* Draws the plan of SEED; SIZE may be MAL_WORLD_ANY_SIZE. */
MalWorldPlan *mal_world_plan_new(const MalWorldType *type, uint64_t seed, int size);
MalWorldPlan *mal_world_plan_copy(const MalWorldPlan *plan);
void mal_world_plan_free(MalWorldPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalWorldPlan, mal_world_plan_free)

/* For the type's draw function. The result is valid until the next item is added. */
MalWorldItem *mal_world_plan_add(MalWorldPlan *plan, MalWorldRandom *r, unsigned kind, int64_t at);
static inline MalWorldItem *mal_world_plan_item(const MalWorldPlan *plan, guint n)
{
  return &g_array_index(plan->items, MalWorldItem, n);
}

/* How many items happen: neither switched off nor after the end. */
guint mal_world_plan_live(const MalWorldPlan *plan);
/* Items by their numbers, "3-17,20"; "" for none. The caller frees. */
char *mal_world_plan_mask(const MalWorldPlan *plan);
bool mal_world_plan_set_mask(MalWorldPlan *plan, const char *mask, GError **error);
/* What is on, one item a line. */
void mal_world_plan_print(const MalWorldPlan *plan, FILE *out);

/* ---- results --------------------------------------------------------------------------------- */

typedef struct {
  char failure[600];          /* "": all invariants held */
  int64_t ended;              /* virtual microseconds */
  uint64_t events, hash;
  uint64_t happened[MAL_WORLD_KINDS]; /* items, by kind, that did have an effect */
  uint64_t counts[MAL_WORLD_COUNTS];
} MalWorldResult;

struct MalWorldType {
  const char *program;        /* "tests/sim/soak-madcap", for the command that runs it again */
  const char *const *kinds;
  size_t n_kinds;
  const char *const *counts;
  size_t n_counts;
  void (*draw)(MalWorldPlan *plan, MalWorldRandom *r);
  /* May abort: the soak runs it in a process of its own. RESULT is zeroed, and filled in all the
     way, so that an abort leaves what is known. */
  void (*run)(const MalWorldPlan *plan, MalWorldResult *result);
};

/* Adds events, happened and counts. */
void mal_world_result_add(MalWorldResult *sum, const MalWorldResult *one);
/* Every kind and count with its number, and those that never happened marked. */
void mal_world_result_print(const MalWorldType *type, const MalWorldResult *sum, FILE *out);
/* The first kind or count that never happened, or NULL. */
const char *mal_world_result_missing(const MalWorldType *type, const MalWorldResult *sum);

G_END_DECLS
#endif
