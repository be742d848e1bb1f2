/* Overload of the server's sockets: carries what the controller (madcap-shed.h) decides to the
   system, and tells of it. */
#ifndef MADCAP_PLUGIN_OVERLOAD_H
#define MADCAP_PLUGIN_OVERLOAD_H

#include "core/plugin.h"
#include "madcap-shed.h"

G_BEGIN_DECLS

typedef struct {
  MalUdp *udp;                /* NULL: none of this family */
  MadcapShed shed;
  uint64_t dropped;           /* of the socket's count, what was counted */
} MadcapOverloadSocket;

typedef struct {
  const MalHost *host;
  MadcapOverloadSocket sockets[2];
  uint64_t probe;             /* the cookie of one change on its way to the disk; 0: none */
  int64_t probe_sent;
  int64_t commit;             /* how long the last one took */
  int64_t looked;             /* at the sockets' counters */
  int64_t last;               /* when something was dropped; INT64_MIN: not, or long ago */
  uint64_t since;             /* dropped since it began */
} MadcapOverload;

/* HOST and the sockets stay the caller's. */
void madcap_overload_start(MadcapOverload *o, const MalHost *host, MalUdp *const udp[2]);
/* A change went on its way to the disk; it came back, or failed. */
void madcap_overload_sent(MadcapOverload *o, uint64_t cookie);
void madcap_overload_back(MadcapOverload *o, uint64_t cookie, int64_t mono);
/* After each batch of UDP; SEEN: bits of the classes in it. */
void madcap_overload_note(MadcapOverload *o, const MalUdp *udp, unsigned seen, int64_t mono);
void madcap_overload_tick(MadcapOverload *o, int64_t mono);
/* When to tick, INT64_MAX: no need. */
int64_t madcap_overload_due(const MadcapOverload *o);
json_object *madcap_overload_json(const MadcapOverload *o, size_t socket);

G_END_DECLS
#endif
