/* Which scope a message is about (draft-ietf-malloc-aap-04 section 2.1): there is no field for it.
   The group and the addresses decide. And the AAP group of a scope, and what is never allocated. */
#ifndef AAP_SCOPE_H
#define AAP_SCOPE_H

#include "aap-wire.h"
#include "core/model.h"

G_BEGIN_DECLS

#define AAP_OFFSET4 7       /* IANA's relative offset of AAP (RFC 2365 section 9) */

/* ---- groups ---------------------------------------------------------------------------------- */

typedef struct {
  uint32_t offset4;         /* the IPv4 group is the scope's last address minus this */
  MalAddress group6; /* any scope's IPv6 group: the scope value is replaced. NONE: not known, and
                        IPv6 scopes are not served */
} AapGroupRule;

/* The AAP group of a scope's own range; MAL_FAMILY_NONE where there is none (IPv6 without group6,
   or a scope of not more addresses than offset4). */
MalAddress aap_scope_group(const MalScope *scope, const AapGroupRule *rule);

/* A scope that is served on one interface, with the group that carries it. Made by
   aap_scope_place. */
typedef struct {
  const MalScope *scope;
  MalAddress group;
} AapPlace;

/* Small scopes use their own group, large ones (divisible) that of the Allocation Scope (2.1.1,
   2.1.2). ALLOCATION is the Allocation Scope of SCOPE's family; NULL: there is none, and large
   scopes have no place. False without a place. */
bool aap_scope_place(const MalScope *scope, const MalScope *allocation, const AapGroupRule *rule,
                     AapPlace *out);

/* ---- deciding -------------------------------------------------------------------------------- */

typedef enum {
  AAP_SCOPE_ONE,            /* that scope */
  AAP_SCOPE_EACH,           /* ANA: each large scope of that group (aap_scope_concerns) */
  AAP_SCOPE_NONE,           /* ignore: an ANA where there are small scopes only */
  AAP_SCOPE_AMBIGUOUS,      /* ignore: an ASRP or ASA without ranges, and several large scopes */
  /* discard, "other scope": not one of those on this group; not malformed */
  AAP_SCOPE_OTHER,
  AAP_SCOPE_MALFORMED,      /* drop: reason is AAP_REASON_GROUP or AAP_REASON_SCOPES */
} AapScopeVerdict;

typedef struct {
  AapScopeVerdict verdict;
  AapReason reason;         /* with MALFORMED, else NONE */
  const AapPlace *place;    /* with ONE, else NULL */
} AapScopeDecision;

/* PLACES are all that are served on the interface of arrival, GROUP is where the datagram was sent
   to. Of nested scopes the smallest that contains all ranges is meant. Costs as many steps as there
   are ranges times places. */
AapScopeDecision aap_scope_decide(const AapPlace *places, size_t n_places, MalAddress group,
                                  const AapMessage *msg);
/* Whether PLACE, one of the array given to aap_scope_decide, is one that the message is about. */
bool aap_scope_concerns(const AapScopeDecision *decision, const AapPlace *place, MalAddress group);

/* ---- what is never allocated ----------------------------------------------------------------- */

/* The last 256 addresses of an IPv4 scope (RFC 2365 section 9); IPv6 addresses outside the scope's
   group identifiers (RFC 3307 4.3), and all that are not in the scope. AAP groups: aap_is_group. */
bool aap_scope_allocates(const MalScope *scope, MalAddress address);
/* The first run of addresses in SPAN that aap_scope_allocates; false where there is none. Called
   again with what is behind OUT, it gives all of them. */
bool aap_scope_clip(const MalScope *scope, MalSpan span, MalSpan *out);
/* ADDRESS carries AAP in one of the places. */
bool aap_is_group(const AapPlace *places, size_t n_places, MalAddress address);

G_END_DECLS
#endif
