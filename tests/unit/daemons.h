/* Whole daemons on the simulator, on one link: what tests of all plugins share. Host i has the
   address 192.0.2.(i + 1); who starts the cores says with which plugins. */
#ifndef DAEMONS_H
#define DAEMONS_H

#include "core/core.h"
#include "tests/sim/sim-store.h"
#include "tests/sim/sim.h"

#define DAEMONS_MOST 6

typedef struct {
  MalSim *sim;
  MalSimLink *link;
  struct {
    MalSimNode *node;
    MalSimIface *iface;
    MalCore *core;
    char *file;             /* its configuration, where it is in a file; with it goes: */
    GString *events;        /* names of events, one a line, at level info and above */
  } host[DAEMONS_MOST];
  unsigned n;
  char *dir;
  /* of the call that was made last */
  json_object *result;
  char *error;
  bool answered;
} Daemons;

Daemons daemons_new(unsigned n, uint64_t seed);
/* Frees the cores, too. */
void daemons_clear(Daemons *d);
void daemons_run(Daemons *d, int64_t seconds);
/* Calls METHOD and does not wait for the answer. */
void daemons_ask(Daemons *d, unsigned i, const char *method, const char *params);
/* The result (NULL with d->error), within WAIT seconds. */
json_object *daemons_call(Daemons *d, unsigned i, const char *method, const char *params,
                          int64_t wait);
/* DATA: the daemons. */
void daemons_answered(json_object *result, const GError *error, void *data);
/* The member, which must be there. */
json_object *daemons_at(json_object *o, const char *key);
/* Of stats.get. */
uint64_t daemons_metric(Daemons *d, unsigned i, const char *plugin, const char *name);

#endif
