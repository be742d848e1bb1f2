/* MADCAP Server Multicast Addresses (RFC 2730 2.10): the group at which servers of a scope
   listen. */
#ifndef MADCAP_GROUPS_H
#define MADCAP_GROUPS_H

#include "core/conf.h"
#include "core/model.h"

G_BEGIN_DECLS

typedef struct {
  MalAddress address;
  unsigned scope;             /* index in its set */
} MadcapGroup;

/* One or more for each scope, in the order of the scopes: what server-groups in SECTION says, else
   the last address - 1. A scope of a single address has none. Several scopes may share an address.
   The caller unrefs. Errors: an unknown scope, no multicast address, the wrong family. */
GArray *madcap_groups_new(const MalConfSection *section, const MalScopeSet *scopes, GError **error);

/* A group that clients could lease is an error: none may lie in a range of PLAN, but where an
   exclude or a reserve takes it, or at the end of its scope, which is not leased. */
bool madcap_groups_check(const GArray *groups, const MalConfSection *section, const MalPlan *plan,
                         GError **error);

/* The last address - 1; MAL_FAMILY_NONE where the scope has only one. */
MalAddress madcap_group_default(const MalScope *scope);

/* Is it the well-known one of IPv4 Local Scope (239.255.255.254), or in an IPv6 scope 3 (RFC 2730
   2.10)? */
bool madcap_group_is_local(MalAddress group);

G_END_DECLS
#endif
