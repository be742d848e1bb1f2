/* The AAP plugin in whole daemons on the simulator: cores, stores, sockets, the plugin, and nothing
   between them that a real one hasn't. Sections are draft-ietf-malloc-aap-04's. */
#ifndef AAP_DAEMONS_H
#define AAP_DAEMONS_H

#include "plugins/aap/aap-peers.h"
#include "tests/unit/daemons.h"

#include <criterion/criterion.h>
#include <string.h>

extern const MalPlugin mal_plugin;

typedef Daemons World;

extern const char small[];
extern const char large[];
extern const char world_range[];

void quiet(MalLogLevel level, const char *line, void *data);
bool try_start(World *w, unsigned i, const char *roles, const char *text, GError **error);
void start(World *w, unsigned i, const char *roles, const char *text);
bool is_owned(World *w, unsigned i, MalSpan span);
uint64_t owned(World *w, unsigned i);
void assert_disjoint(World *w);
void lease(World *w, unsigned i, const char *scope, unsigned count);

static inline World world(unsigned n)
{
  return daemons_new(n, 7);
}

static inline void clear(World *w)
{
  daemons_clear(w);
}

static inline void run(World *w, int64_t seconds)
{
  daemons_run(w, seconds);
}

static inline json_object *call(World *w, unsigned i, const char *method, const char *params,
                                int64_t wait)
{
  return daemons_call(w, i, method, params, wait);
}

static inline json_object *at(json_object *o, const char *key)
{
  return daemons_at(o, key);
}

static inline uint64_t metric(World *w, unsigned i, const char *name)
{
  return daemons_metric(w, i, "aap", name);
}

#endif
