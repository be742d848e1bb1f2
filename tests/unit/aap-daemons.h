/* The AAP plugin in whole daemons on the simulator: cores, stores, sockets, the plugin, and nothing
   between them that a real one hasn't. Sections are draft-ietf-malloc-aap-04's. */
#ifndef AAP_DAEMONS_H
#define AAP_DAEMONS_H

#include "core/core.h"
#include "plugins/aap/aap-peers.h"
#include "tests/sim/sim-store.h"
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOSTS 3

extern const MalPlugin mal_plugin;

typedef struct {
  MalSim *sim;
  MalSimLink *link;
  struct {
    MalSimNode *node;
    MalCore *core;
    MalSimIface *iface;
  } host[HOSTS];
  unsigned n;
  /* of the call that was made last */
  json_object *result;
  char *error;
  bool answered;
} World;

extern const char small[];
extern const char large[];
extern const char world_range[];

void quiet(MalLogLevel level, const char *line, void *data);
bool try_start(World *w, unsigned i, const char *roles, const char *text, GError **error);
void start(World *w, unsigned i, const char *roles, const char *text);
World world(unsigned n);
void clear(World *w);
void run(World *w, int64_t seconds);
json_object *call(World *w, unsigned i, const char *method, const char *params, int64_t wait);
json_object *at(json_object *o, const char *key);
uint64_t metric(World *w, unsigned i, const char *name);
bool is_owned(World *w, unsigned i, MalSpan span);
uint64_t owned(World *w, unsigned i);
void assert_disjoint(World *w);
void lease(World *w, unsigned i, const char *scope, unsigned count);

#endif
