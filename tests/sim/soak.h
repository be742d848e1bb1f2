/* Runs any number of worlds on all processors, stops at the first that breaks an invariant, says
   how to run it again, and makes it smaller. Each world that may abort runs in a child process. */
#ifndef MAL_SOAK_H
#define MAL_SOAK_H

#include "world-plan.h"

G_BEGIN_DECLS

/* The whole program:

     soak-X [-j N] FIRST LAST         all seeds from FIRST to LAST; the report at the end
     soak-X SEED [--without MASK] [--until SECONDS] [--size SIZE] [--trace FILE] [--plan]
                                      one world in this process (for a debugger)
     soak-X --shrink SEED             reduces a failing world by delta debugging (items, then time)

   --plant N switches a bug of the harness on, to try all that. */
int mal_soak_main(const MalWorldType *type, int argc, char **argv);

/* Runs PLAN in a child process; false where it failed or died (FAILURE says of what). */
bool mal_soak_try(const MalWorldPlan *plan, MalWorldResult *result);

/* Makes PLAN, which fails with RESULT, as small as it gets within RUNS runs while it still fails
   with the same words (numbers apart). PROGRESS may be NULL. Returns how many runs it took. */
unsigned mal_soak_shrink(MalWorldPlan *plan, MalWorldResult *result, unsigned runs, FILE *progress);

/* The command that runs PLAN again; the caller frees. */
char *mal_soak_command(const MalWorldPlan *plan, bool traced);

G_END_DECLS
#endif
