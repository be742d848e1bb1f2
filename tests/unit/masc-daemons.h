/* Whole daemons with the MASC plugin on the simulator: cores, stores, connections, and nothing
   between them that a real one hasn't. Host i has the address 192.0.2.(i + 1). */
#ifndef MASC_DAEMONS_H
#define MASC_DAEMONS_H

#include "core/core.h"
#include "tests/sim/sim-store.h"
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <string.h>

#define MASC_HOSTS 6

typedef struct {
  MalSim *sim;
  MalSimLink *link;
  struct {
    MalSimNode *node;
    MalCore *core;
    MalSimIface *iface;
    char *file;             /* its configuration */
    GString *events;        /* names of events, one a line, at level info and above */
    unsigned subscription;
  } host[MASC_HOSTS];
  unsigned n;
  char *dir;
  /* of the call that was made last */
  json_object *result;
  char *error;
  bool answered;
} MascWorld;

MascWorld masc_world(unsigned n);
MascWorld masc_world_seeded(unsigned n, uint64_t seed);
void masc_world_clear(MascWorld *w);
bool masc_world_try(MascWorld *w, unsigned i, const char *text, GError **error);
void masc_world_start(MascWorld *w, unsigned i, const char *text);
void masc_world_stop(MascWorld *w, unsigned i);
/* Crashes; what is on the disk stays. */
void masc_world_crash(MascWorld *w, unsigned i, MalSimCrash disk);
/* After masc_world_stop or _crash, with the configuration as it was. */
void masc_world_return(MascWorld *w, unsigned i);
bool masc_world_reload(MascWorld *w, unsigned i, const char *text, GError **error);
void masc_world_run(MascWorld *w, int64_t seconds);
/* The result (NULL with w->error). */
json_object *masc_world_call(MascWorld *w, unsigned i, const char *method, const char *params,
                             int64_t wait);
/* DATA: the world. */
void masc_world_answered(json_object *result, const GError *error, void *data);
json_object *masc_at(json_object *o, const char *key);
uint64_t masc_metric(MascWorld *w, unsigned i, const char *name);
/* Of masc.peers: that peer; its state. */
json_object *masc_world_peer(MascWorld *w, unsigned i, const char *name);
const char *masc_world_state(MascWorld *w, unsigned i, const char *name);
/* Ranges of LEVEL from masc, "A-B C-D"; routes, "A/len B/len". The caller frees. */
char *masc_ranges(MascWorld *w, unsigned i, MalLevel level);
char *masc_routes(MascWorld *w, unsigned i);
/* How often was the event told? */
unsigned masc_told(const MascWorld *w, unsigned i, const char *event);

#endif
