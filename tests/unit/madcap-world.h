/* Whole daemons with the MADCAP plugin on one simulated link, and calls to their control API. */
#ifndef MADCAP_WORLD_H
#define MADCAP_WORLD_H

#include "core/core.h"
#include "tests/sim/sim.h"

#define SCOPES                                                                                     \
  "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\nttl=16\n"                  \
  "name[en]=Site local\nname[fr]=Site\ndefault-language=en\nnests-inside=org\n"                    \
  "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=64\nname[en]=Org\n"      \
  "[scope site6]\nfamily=ipv6\nfirst=ff13::8000:0\nlast=ff13:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n" \
  "ttl=32\n"

#define SERVER(range) "[daemon]\nroles=maas\nplugins=madcap\n" SCOPES range "[madcap]\n"
#define RANGE_A "[range a]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.255\n"
#define RANGE_B "[range b]\nscope=local\nfirst=239.255.2.0\nlast=239.255.2.255\n"
#define CLIENT "[daemon]\nroles=client\nplugins=madcap\n[madcap]\n"
#define SECOND MAL_US
#define REQUEST "{\"via\":\"madcap\",\"scope\":\"239.255.0.0\",\"lifetime\":3600}"

typedef struct {
  MalSim *sim;
  MalSimNode *node;
  MalCore *core;
  char *config;
  GString *log;
  char *dir; /* its state-dir; NULL: a store in memory */
} Host;

typedef struct {
  MalSim *sim;
  MalSimLink *link;
  Host hosts[8];
  size_t n;
} World;

typedef struct {
  bool done;
  json_object *result;
  int code;
  char *text;
  GString *progress;
} Answer;

void boot(Host *h);
World world_new(uint64_t seed);
Host *add_host(World *w, const char *name, const char *address, const char *config);
void world_free(World *w);
Answer *begin(Host *h, const char *method, const char *json);
Answer *call(World *w, Host *h, const char *method, const char *json);
Answer *must(World *w, Host *h, const char *method, const char *json);
void answer_free(Answer *a);
const char *text_of(const Answer *a, const char *name);
uint64_t leases_at(const Host *h);
uint64_t metric(const Host *h, const char *name);
char *about(const Answer *lease, const char *more);

#endif
