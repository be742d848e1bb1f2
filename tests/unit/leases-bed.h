/* A lease engine over a memory store and a fake runtime, and what its tests ask of it. */
#ifndef LEASES_BED_H
#define LEASES_BED_H

#include "core/leases-core.h"
#include "tests/support/fake-runtime.h"

#define SCOPES \
  "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n" \
  "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\n"
#define LAB "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.15\n"

typedef struct {
  FakeRuntime *fake;
  MalRuntime *rt;
  MalStore *store;
  MalSpace *space;
  MalLeases *leases;
  /* The last DONE call. */
  unsigned calls;
  char text[512];
  int code;
  MalTime start, end;
  unsigned changes[8];
} Bed;

bool replan(Bed *b, const char *text, GError **error);
/* Would it be done? */
bool could_replan(Bed *b, const char *text);
void on_change(MalLeaseChange what, const MalLease *lease, const char *reason, void *data);
Bed bed_of(const char *config);
void bed_clear(Bed *b);
void done(const MalLease *lease, const GError *error, void *user, uint64_t cookie);
MalLeaseId id_of(const char *text);
MalLeaseRequest request_of(Bed *b, const char *id, uint32_t count, int64_t lifetime);
MalAnswer ask(Bed *b, const MalLeaseRequest *r, MalRefusal *why);
MalAnswer lease(Bed *b, const char *id, uint32_t count, int64_t lifetime, MalRefusal *why);
void expire(Bed *b);

#endif
