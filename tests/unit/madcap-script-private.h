/* Shared by the files of madcap-script only. */
#ifndef MADCAP_SCRIPT_PRIVATE_H
#define MADCAP_SCRIPT_PRIVATE_H

#include "madcap-script.h"

#include "plugins/madcap/madcap-tables.h"

typedef struct {
  uint8_t id[MAL_LEASE_ID_MAX];
  size_t id_length;
  MalBlock blocks[8];
  size_t n_blocks;
  MalLease lease;
  bool release;
  uint64_t cookie;            /* under way */
  bool waiting;
} FakeLease;

typedef struct {
  MadcapArrival to;
  GBytes *bytes;
} Sent;

typedef struct {
  const char *name;
  int line;
  MadcapServer *server;
  MadcapServerConfig config;
  MalScopeSet *scopes;
  GArray *groups;
  uint64_t values[MADCAP_N_METRICS];
  MalMetricSet metrics;
  GPtrArray *leases;
  GArray *durable;            /* cookies of when_durable */
  MalAnswer answer;
  bool no_hold;
  MalRefusal refusal;
  GString *calls;
  GQueue sent;
  MalTime now;
  int64_t mono;
  uint32_t next;
  MadcapArrival last;
  GByteArray *last_message;
} Script;

/* madcap-script-model.c: what the machine acts upon */
extern const MadcapServerOps script_ops;
FakeLease *script_add_lease(Script *t, MalLeaseId id);
/* What is under way becomes durable, or fails. */
void script_settle(Script *t, bool ok);

/* madcap-script-text.c */
MalAddress script_address(const char *text);
GByteArray *script_hex(const char *text);
/* "> TYPE token ...", without its first word. */
void script_send(Script *t, char *const *words);
/* "< TYPE field ...", without its first word. */
void script_expect(Script *t, const char *expected);

#endif
