/* What [masc] and [masc-peer] say, read and checked against each other and the scopes. */
#ifndef MASC_CONFIG_H
#define MASC_CONFIG_H

#include "masc-session.h"
#include "masc-tables.h"

G_BEGIN_DECLS

#define MASC_SCOPES_MAX 64        /* that are claimed in; a session's are a bit each */
#define MASC_KEY_MAX 80

typedef struct {
  char *name;               /* of [masc-peer NAME] */
  MalEndpoint address;
  MalAddress local;         /* NONE: the system chooses */
  MascRole role;            /* what we are to it */
  MascId domain, node;      /* 0: any */
  MascId parent;            /* siblings: the common one; MASC_TLD_ID among top-level domains */
  uint16_t hold_time;
  bool passive;
  uint8_t key[MASC_KEY_MAX];
  size_t key_length;        /* 0: none */
  uint8_t gtsm;
  uint64_t scopes;          /* those that both ends are in: by place in MascSettings.scopes */
  unsigned largest4, largest6;    /* 0: no bound */
} MascPeerSettings;

typedef struct {
  MascId domain;
  uint64_t scopes;          /* in which it is a parent; by place in MascSettings.scopes */
} MascFarParent;

typedef struct {
  MascId domain, node;      /* 0: not said, without role prefix-coordinator */
  uint16_t port;
  GArray *listen;           /* MalAddress; as configured or, for each family of a peer, any */
  GPtrArray *scopes;        /* char *: ids */
  GArray *parents;          /* MascId: of all peers and of `parents` */
  GArray *far_parents;      /* MascFarParent: of `parents` alone */
  GPtrArray *peers;         /* MascPeerSettings */
  MascParams params;
  int64_t connect_retry, backoff_first, backoff_most;     /* seconds */
  bool forget;              /* identity-change */
} MascSettings;

/* CHECK_ROLE: this daemon is a prefix coordinator, so that all that it needs must be there. Errors
   are MAL_ERROR_CONFIG with their place. */
MascSettings *masc_settings_new(const MalConfig *config, const MalScopeSet *scopes,
                                bool coordinator, GError **error);
void masc_settings_free(MascSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MascSettings, masc_settings_free)

/* "64501", "192.0.2.1", "2001:db8::": a number of 32 bits, or an address. Not 0. */
bool masc_id_parse(const char *text, MascId *out, GError **error);

const MascPeerSettings *masc_settings_peer(const MascSettings *settings, guint i);
/* Of the scope at that place: has the domain no parent in it (4.5)? */
bool masc_settings_is_top(const MascSettings *settings, guint scope);
/* Its first parent there; MASC_TLD_ID: none. */
MascId masc_settings_parent_in(const MascSettings *settings, guint scope);
/* Has it children there? */
bool masc_settings_has_children(const MascSettings *settings, guint scope);
/* How long the identifiers in an OPEN to PEER are (7.2): as long as the longest that we know of. */
MalFamily masc_settings_family(const MascSettings *settings, const MascPeerSettings *peer);
/* Do both speak to the same node over the same kind of session, so that it may go on? */
bool masc_peer_settings_same(const MascPeerSettings *a, const MascPeerSettings *b);

G_END_DECLS
#endif
