/* Sockets, interfaces and groups: every served group is joined on every served interface, and what
   is sent to a group leaves on all of them. */
#ifndef AAP_PLUGIN_LINKS_H
#define AAP_PLUGIN_LINKS_H

#include "core/plugin.h"

G_BEGIN_DECLS

typedef struct AapLinks AapLinks;

/* What did not come from ourselves. */
typedef void (*AapLinksFunc)(const MalDatagram *datagrams, size_t count, void *data);

AapLinks *aap_links_new(const MalHost *host, uint16_t port, AapLinksFunc func, void *data);
void aap_links_free(AapLinks *links);
/* NAMES NULL or empty: every multicast-capable interface that is up. False where the port can't be
   had. */
bool aap_links_configure(AapLinks *links, char *const *names, unsigned ttl,
                         const MalAddress *groups, size_t n, GError **error);
/* On how many interfaces it left. */
unsigned aap_links_send(AapLinks *links, MalAddress group, const uint8_t *data, size_t length);
/* As others see us in FAMILY: for what we say to ourselves. */
MalEndpoint aap_links_self(const AapLinks *links, MalFamily family);
json_object *aap_links_describe(const AapLinks *links);

G_END_DECLS
#endif
