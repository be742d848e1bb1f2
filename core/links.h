/* Which interfaces a protocol serves, and the groups that it has joined there: follows both as they
   come and go. The protocol brings the sockets. */
#ifndef MAL_LINKS_H
#define MAL_LINKS_H

#include "runtime.h"

G_BEGIN_DECLS

typedef struct MalLinks MalLinks;

typedef struct {
  MalAddress group;
  MalUdp *udp;                /* NULL: it could not be joined; tried again at every change */
} MalJoined;

/* One interface that is served. Valid until the next change. */
typedef struct {
  char name[16];
  uint32_t index;
  bool loopback;
  GArray *addresses;          /* MalAddress, as the runtime orders them; one at least */
  GArray *joined;             /* MalJoined */
} MalLink;

typedef enum {
  MAL_LINK_SERVED,            /* new, its groups are joined */
  MAL_LINK_LOST,              /* down, gone, or no longer wanted */
  MAL_LINK_NONE,              /* none is left to serve: LINK is NULL */
  MAL_LINK_JOIN_FAILED,       /* GROUP, for the reason ERROR; said once */
} MalLinkNews;

typedef struct {
  /* The socket on which another group of FAMILY is to be joined. NULL without ERROR: none, that
     family is not spoken. */
  MalUdp *(*socket)(void *user, MalFamily family, GError **error);
  /* A group was joined on UDP (ON), or left. May be NULL. */
  void (*member)(void *user, MalUdp *udp, bool on);
  void (*news)(void *user, MalLinkNews what, const MalLink *link, MalAddress group,
               const GError *error);
  /* After any change of this host's interfaces or addresses, but not from within mal_links_
     functions. May be NULL. */
  void (*changed)(void *user);
  bool loopback;              /* where no interfaces are named, loopback is one of them if it can do
                                 multicast */
} MalLinksOps;

/* OPS and USER must outlive the links; so must the sockets. */
MAL_API MalLinks *mal_links_new(MalRuntime *rt, const MalLinksOps *ops, void *user);
/* Leaves all groups. */
MAL_API void mal_links_free(MalLinks *links);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalLinks, mal_links_free)

/* NAMES: NULL-terminated, copied; empty: every interface that can do multicast. One that is named
   is served even if it says that it can't. GROUPS may name one twice. Joins and leaves what
   changed. */
MAL_API void mal_links_configure(MalLinks *links, char *const *names, const MalAddress *groups,
                                 size_t n_groups);
/* What an operator is told where MAL_LINK_NONE came: which interfaces, and what to do. */
MAL_API char *mal_links_none_text(const MalLinks *links);
/* Are all interfaces served that can do multicast, since none was named? */
MAL_API bool mal_links_is_everywhere(const MalLinks *links);
MAL_API size_t mal_links_count(const MalLinks *links);
MAL_API const MalLink *mal_links_at(const MalLinks *links, size_t n);
/* NULL: not served. */
MAL_API const MalLink *mal_links_find(const MalLinks *links, uint32_t index);
/* All unicast addresses of this host, of any interface: array of MalAddress, borrowed. */
MAL_API const GArray *mal_links_addresses(const MalLinks *links);
MAL_API bool mal_links_is_own(const MalLinks *links, MalAddress address);
/* Is this interface, served or not, a loopback one? */
MAL_API bool mal_links_is_loopback(const MalLinks *links, uint32_t index);

/* The first address of FAMILY; family NONE: it has none. */
MAL_API MalAddress mal_link_address(const MalLink *link, MalFamily family);
/* How many groups are joined there; is GROUP? */
MAL_API unsigned mal_link_n_joined(const MalLink *link);
MAL_API bool mal_link_has_joined(const MalLink *link, MalAddress group);

G_END_DECLS
#endif
