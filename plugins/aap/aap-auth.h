/* Authentication of AAP messages: a trailer behind each message, which an implementation that knows
   nothing of it drops, since the length is none that the message may have
   (doc/aap-authentication.md is the format, for other implementers; the draft itself, section 6,
   leaves authentication to IPsec). Pure: keys and counters come from and go to the caller. */
#ifndef AAP_AUTH_H
#define AAP_AUTH_H

#include "aap-params.h"

G_BEGIN_DECLS

#define AAP_AUTH_TAG_SHARED 32 /* HMAC-SHA-512-256 */
#define AAP_AUTH_TAG_SIGNED 64 /* Ed25519 */
#define AAP_AUTH_FIXED 25      /* sender, counter, key id, kind, magic */
#define AAP_AUTH_MAX (AAP_AUTH_FIXED + AAP_AUTH_TAG_SIGNED)
#define AAP_AUTH_PEERS_MOST 4096
#define AAP_AUTH_RESERVE (UINT64_C(1) << 20)

/* ---- keys ------------------------------------------------------------------------------------ */

typedef struct AapKeys AapKeys;

/* A key file: key-file groups [shared NAME] (key = 64 hex digits; send = yes for the one to send
   with), [own NAME] (secret = the 64 hex digits of an Ed25519 seed; send = yes) and [peer NAME]
   (public = 64 hex digits). All of them are valid for what is received; exactly one of those that
   can send says send = yes, or there is only one. Errors (MAL_ERROR_CONFIG) name the group and
   never show a key. */
AapKeys *aap_keys_parse(const char *text, size_t length, GError **error);
AapKeys *aap_keys_ref(AapKeys *keys);
void aap_keys_unref(AapKeys *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AapKeys, aap_keys_unref)
/* The name of what is sent with, and its public half as hex digits (NULL: it is a shared key). The
   caller frees. */
const char *aap_keys_sends_with(const AapKeys *keys);
char *aap_keys_public(const AapKeys *keys);
/* Name and kind ("shared", "own", "peer") of each; false after the last. */
bool aap_keys_at(const AapKeys *keys, size_t index, const char **name, const char **kind);

/* ---- sealing and opening --------------------------------------------------------------------- */

typedef struct AapAuth AapAuth;

typedef enum {
  AAP_AUTH_OK,
  AAP_AUTH_NONE,   /* no trailer */
  AAP_AUTH_KEY,    /* of a key that isn't ours */
  AAP_AUTH_FORGED, /* the tag is wrong */
  AAP_AUTH_REPLAY, /* that counter was heard, or is too old */
  AAP_AUTH_CROWD,  /* more senders than are remembered */
  AAP_AUTH_OWN,    /* our own, come back */
} AapAuthVerdict;
#define AAP_AUTH_N_VERDICTS (AAP_AUTH_OWN + 1)
const char *aap_auth_verdict_name(AapAuthVerdict verdict);

/* The counter to begin with: NEXT, which the disk has, or what the clock (seconds since 1970) gives
   where that is more. A disk that was restored from an older copy has counters that were used
   meanwhile; with them this server would be taken for a replay of itself. */
uint64_t aap_auth_begin_at(uint64_t next, int64_t wall_s);
/* SENDER: random, made once and kept. NEXT: the first counter that was never reserved (0 at the
   very first start). RESERVE asks that UPTO be made durable; aap_auth_reserved says that it is.
   Nothing is sealed beyond what is. */
typedef void (*AapAuthReserve)(uint64_t upto, void *data);
AapAuth *aap_auth_new(AapKeys *keys, uint64_t sender, uint64_t next, AapAuthReserve reserve,
                      void *data);
void aap_auth_free(AapAuth *auth);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AapAuth, aap_auth_free)
void aap_auth_set_keys(AapAuth *auth, AapKeys *keys);
void aap_auth_reserved(AapAuth *auth, uint64_t upto);
/* Octets that sealing adds. */
size_t aap_auth_overhead(const AapAuth *auth);
/* Appends the trailer to the LENGTH octets in BUFFER, which go to GROUP. Returns the new length; 0
   where CAPACITY is too small or no counter is reserved. */
size_t aap_auth_seal(AapAuth *auth, MalAddress group, uint8_t *buffer, size_t length,
                     size_t capacity);
/* Checks what came to GROUP. With OK, *MESSAGE is the length of the message before the trailer,
   *SENDER who sent it and *KEY the name of the key (any may be NULL); the counter is used up then,
   and only then. */
AapAuthVerdict aap_auth_open(AapAuth *auth, MalAddress group, const uint8_t *data, size_t length,
                             size_t *message, uint64_t *sender, const char **key);

/* What was heard of each sender, to be kept and shown again after a restart: KEY_ID and SENDER name
   it, HIGHEST its last counter. */
typedef void (*AapAuthPeerFunc)(uint32_t key_id, uint64_t sender, uint64_t highest, void *data);
void aap_auth_each_peer(const AapAuth *auth, AapAuthPeerFunc func, void *data);
/* Those that changed since the last call. */
void aap_auth_changes(AapAuth *auth, AapAuthPeerFunc func, void *data);
void aap_auth_restore_peer(AapAuth *auth, uint32_t key_id, uint64_t sender, uint64_t highest);

G_END_DECLS
#endif
