/* The shared model's nouns: scopes, ranges and leases as values (RFC 2908, RFC 2365).
   The model knows no I/O and no clock: every function that needs an instant is given one. */
#ifndef MAL_MODEL_H
#define MAL_MODEL_H

#include "address.h"

G_BEGIN_DECLS

/* ---- scopes ---------------------------------------------------------------------------------- */

typedef struct {
  char *language;             /* RFC 1766 / 5646 tag, as configured */
  char *name;                 /* UTF-8, at most 255 octets */
} MalScopeName;

/* One multicast scope. Immutable once its set is built; owned by the MalScopeSet. */
typedef struct {
  char *id;                   /* the name of its [scope ID] group: letters, digits, '-', '_', '.' */
  MalSpan span;               /* first..last; RFC 2730's Scope ID is span.first */
  unsigned ttl;               /* 1..255 */
  bool divisible;             /* shared out among domains (needs layer 3), or wholly ours */
  MalScopeName *names;
  size_t n_names;
  char *default_language;     /* NULL: none; then no name is marked as the default */
  char **nests_inside;        /* NULL-terminated ids as configured, before closure */
  /* IPv6: usable group ids (RFC 10028 table 2: 0x80000000..0x8FFFFFFF) */
  uint32_t group_id_first;
  uint32_t group_id_last;
  unsigned index;             /* place in its set */
} MalScope;

/* All scopes of a configuration, in configuration order, with the transitive closure of nesting. */
typedef struct MalScopeSet MalScopeSet;

/* Takes over the scopes in SCOPES (array of MalScope *, emptied). Errors (MAL_ERROR_CONFIG) name
   the scope and say what to do: not multicast, first > last, families differ, duplicate id or Scope
   ID, unknown name in nests-inside, an IPv6 scope without the T flag (RFC 3307 4.3; the
   documentation prefix of RFC 6676 is let through), bad ttl. Reference counted. */
MAL_API MalScopeSet *mal_scope_set_new(GPtrArray *scopes, GError **error);
MAL_API MalScopeSet *mal_scope_set_ref(MalScopeSet *set);
MAL_API void mal_scope_set_unref(MalScopeSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalScopeSet, mal_scope_set_unref)
MAL_API size_t mal_scope_set_size(const MalScopeSet *set);
MAL_API const MalScope *mal_scope_set_at(const MalScopeSet *set, size_t index);
MAL_API const MalScope *mal_scope_set_find(const MalScopeSet *set, const char *id);
/* By RFC 2730's Scope ID (the first address). */
MAL_API const MalScope *mal_scope_set_find_first(const MalScopeSet *set, MalAddress first);
/* The smallest scope that contains ADDRESS, or NULL. */
MAL_API const MalScope *mal_scope_set_containing(const MalScopeSet *set, MalAddress address);
/* X/Y of RFC 2907 section 2: X nests inside Y, by configuration or its transitive closure.
   Every scope nests inside itself. */
MAL_API bool mal_scope_nests(const MalScopeSet *set, const MalScope *x, const MalScope *y);
/* The scopes of FAMILY (NONE: all) from smallest to largest, topologically (RFC 2730 3.10), the
   order of configuration among equals. A fresh array of const MalScope *. */
MAL_API GPtrArray *mal_scope_set_ordered(const MalScopeSet *set, MalFamily family);
MAL_API void mal_scope_free(MalScope *scope);
/* The name for LANGUAGE by RFC 2730 3.10 (case-insensitive match, else the default one, else the
   first), or NULL where the scope has no name. LANGUAGE may be NULL. */
MAL_API const MalScopeName *mal_scope_name(const MalScope *scope, const char *language);

/* ---- ranges ---------------------------------------------------------------------------------- */

typedef enum {
  MAL_LEVEL_AVAILABLE,        /* this domain may hand them out */
  MAL_LEVEL_OWNED,            /* this server alone may */
} MalLevel;

/* ---- leases ---------------------------------------------------------------------------------- */

/* longer MADCAP lease identifiers are refused (doc/interpretations.md) */
#define MAL_LEASE_ID_MAX 255

/* An opaque identifier, unique in the domain (RFC 2730 2.4). A view: owns nothing. */
typedef struct {
  const uint8_t *bytes;
  size_t length;              /* 1..MAL_LEASE_ID_MAX */
} MalLeaseId;

MAL_API bool mal_lease_id_equal(MalLeaseId a, MalLeaseId b);
MAL_API char *mal_lease_id_to_hex(MalLeaseId id);            /* the caller frees */
/* OUT must hold MAL_LEASE_ID_MAX octets; returns the length, 0 with ERROR for text that isn't
   hex. */
MAL_API size_t mal_lease_id_from_hex(const char *hex, uint8_t *out, GError **error);

typedef enum {
  MAL_LEASE_SHARED = 1 << 0,  /* RFC 2730 2.13.3: whoever knows the identifier may change it */
  MAL_LEASE_HELD = 1 << 1,    /* offered, not leased: in memory only (offer-hold) */
  MAL_LEASE_PENDING = 1 << 2, /* decided, not yet durable */
} MalLeaseFlags;

/* A lease as the engine shows it and the store keeps it. Pointers are views that stay valid until
   the engine's next change. */
typedef struct {
  MalLeaseId id;
  const char *scope;          /* its scope's id */
  const MalBlock *blocks;     /* sorted, disjoint, not adjacent */
  size_t n_blocks;
  MalTime start, end;         /* [start, end): what the client was told */
  int64_t pad;                /* seconds held besides on both sides (EXTRA-ALLOCATION-TIME) */
  MalTime granted;            /* when it was first leased */
  MalAddress client;          /* who took it; NONE for the control socket */
  const char *origin;         /* "madcap", "control", ...: who speaks for the client */
  uint32_t flags;
} MalLease;

static inline MalTime mal_lease_held_from(const MalLease *lease)
{
  return mal_time_add(lease->start, -lease->pad);
}

static inline MalTime mal_lease_held_until(const MalLease *lease)
{
  return mal_time_add(lease->end, lease->pad);
}

MAL_API uint64_t mal_lease_addresses(const MalLease *lease);

G_END_DECLS
#endif
