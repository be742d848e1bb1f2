/* Which interfaces the server serves: follows them as they come and go, joins the server groups
   there, and knows which of our addresses an answer leaves from. */
#ifndef MADCAP_PLUGIN_LINKS_H
#define MADCAP_PLUGIN_LINKS_H

#include "core/plugin.h"
#include "madcap-groups.h"

G_BEGIN_DECLS

typedef struct MadcapLinks MadcapLinks;

/* UDP: sockets for IPv4 and IPv6, either may be NULL; both must outlive the links. CHANGED is
   called after any change of addresses, but not from within these functions. */
MadcapLinks *madcap_links_new(const MalHost *host, MalUdp *const udp[2], MalTimerFunc changed,
                              void *data);
/* Leaves all groups. */
void madcap_links_free(MadcapLinks *links);

/* NAMES: NULL-terminated, empty for all multicast-capable ones. GROUPS: array of MadcapGroup,
   copied. Joins and leaves what changed. */
void madcap_links_configure(MadcapLinks *links, char *const *names, const GArray *groups);

/* Our address for an answer to what came from PEER to DESTINATION on interface IFINDEX; family
   NONE: not to be answered, since the interface is not served. */
MalAddress madcap_links_server_id(const MadcapLinks *links, const MalDatagram *datagram);
bool madcap_links_is_loopback(const MadcapLinks *links, uint32_t ifindex);
/* All unicast addresses of this host: array of MalAddress, borrowed. */
const GArray *madcap_links_addresses(const MadcapLinks *links);
size_t madcap_links_count(const MadcapLinks *links);
/* Names, addresses and joined groups, as an array; SCOPES: those of the groups. */
json_object *madcap_links_describe(const MadcapLinks *links, const MalScopeSet *scopes);

G_END_DECLS
#endif
