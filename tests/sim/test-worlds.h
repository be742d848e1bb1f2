/* What the tests of all kinds of worlds ask of them: they hold, everything happens, one seed is one
   run, and the checks see what they are there for. */
#ifndef MAL_TEST_WORLDS_H
#define MAL_TEST_WORLDS_H

#include "world-plan.h"

/* How many seeds; MAL_SIM_SEEDS in the environment says another number (sanitizers). */
unsigned worlds_seeds(unsigned usual);
/* Runs the worlds FIRST to LAST, which must hold, and adds up what befell them. SIZE as in
   mal_world_plan_new. */
void worlds_hold(const MalWorldType *type, uint64_t first, uint64_t last, int size,
                 MalWorldResult *sum);
/* All that a plan may hold was seen, else a world in which nothing happens would pass as well. */
void worlds_had_everything(const MalWorldType *type, const MalWorldResult *sum);
void worlds_repeat(const MalWorldType *type, int size);
/* The bug PLANT is found in one of 60 seeds, and said with WORDS. */
void worlds_see(const MalWorldType *type, unsigned plant, uint64_t first, const char *words);

#endif
