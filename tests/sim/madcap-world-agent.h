/* Shared by tests/sim/madcap-world-agent.c and madcap-world-program.c only. */
#ifndef MAL_MADCAP_WORLD_AGENT_H
#define MAL_MADCAP_WORLD_AGENT_H

#include "madcap-world-private.h"

struct Agent {
  MadcapWorld *world;
  unsigned index;
  MalWorldRandom random;
  MalSimNode *node;
  MalAddress address[2];
  MalCore *core;              /* NULL: down */
  char *file;
  unsigned boots;
  int64_t stepped;
  bool excused, stepped_ever;
  /* its program */
  GPtrArray *told;            /* Told */
  GArray *ended;              /* WorldId: of leases that ended by its own reckoning */
  int64_t looked;             /* virtual time */
  GPtrArray *asks;            /* Ask, under way */
  uint64_t renewals_asked;    /* done since it booted */
  int64_t hurry;
  bool resting, thinking;
};

/* madcap-world-program.c */
void world_program_init(Agent *a);
void world_program_clear(Agent *a);
/* Compares what the daemon holds with what its program was told. */
void world_program_look(Agent *a);
/* It has its daemon do something in a while, and again until it rests. */
void world_program_think_soon(Agent *a);

#endif
