/* Whole daemons with the MASC plugin on the simulator: cores, stores, connections, and nothing
   between them that a real one hasn't. Host i has the address 192.0.2.(i + 1). */
#ifndef MASC_DAEMONS_H
#define MASC_DAEMONS_H

#include "tests/unit/daemons.h"

#include <criterion/criterion.h>
#include <string.h>

typedef Daemons MascWorld;

MascWorld masc_world(unsigned n);
MascWorld masc_world_seeded(unsigned n, uint64_t seed);
bool masc_world_try(MascWorld *w, unsigned i, const char *text, GError **error);
void masc_world_start(MascWorld *w, unsigned i, const char *text);
void masc_world_stop(MascWorld *w, unsigned i);
/* Crashes; what is on the disk stays. */
void masc_world_crash(MascWorld *w, unsigned i, MalSimCrash disk);
/* After masc_world_stop or _crash, with the configuration as it was. */
void masc_world_return(MascWorld *w, unsigned i);
bool masc_world_reload(MascWorld *w, unsigned i, const char *text, GError **error);
/* Of masc.peers: that peer; its state. */
json_object *masc_world_peer(MascWorld *w, unsigned i, const char *name);
const char *masc_world_state(MascWorld *w, unsigned i, const char *name);
/* Ranges of LEVEL from masc, "A-B C-D"; routes, "A/len B/len". The caller frees. */
char *masc_ranges(MascWorld *w, unsigned i, MalLevel level);
char *masc_routes(MascWorld *w, unsigned i);
/* How often was the event told? */
unsigned masc_told(const MascWorld *w, unsigned i, const char *event);

static inline void masc_world_clear(MascWorld *w)
{
  daemons_clear(w);
}

static inline void masc_world_run(MascWorld *w, int64_t seconds)
{
  daemons_run(w, seconds);
}

static inline json_object *masc_world_call(MascWorld *w, unsigned i, const char *method,
                                           const char *params, int64_t wait)
{
  return daemons_call(w, i, method, params, wait);
}

static inline void masc_world_answered(json_object *result, const GError *error, void *data)
{
  daemons_answered(result, error, data);
}

static inline json_object *masc_at(json_object *o, const char *key)
{
  return daemons_at(o, key);
}

static inline uint64_t masc_metric(MascWorld *w, unsigned i, const char *name)
{
  return daemons_metric(w, i, "masc", name);
}

#endif
