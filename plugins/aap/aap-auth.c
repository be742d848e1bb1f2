/* The trailer: sealing, opening, and what was heard of whom. */
#include "aap-auth.h"

#include "aap-keys.h"
#include "core/wire.h"

#include <string.h>

#define WINDOW 64
static const uint8_t magic[4] = { 'A', 'A', 'P', 1 };

/* What was heard under one key from one sender: the highest counter and which of the 64 up to
   it. */
typedef struct {
  uint64_t sender;
  uint64_t highest;
  uint64_t seen;
  uint32_t key_id;
  bool changed;
} Peer;

struct AapAuth {
  AapKeys *keys;
  uint64_t sender, next, durable, asked;
  AapAuthReserve reserve;
  void *data;
  GHashTable *peers;
};

/* ---- life ------------------------------------------------------------------------------------ */

static guint peer_hash(gconstpointer data)
{
  const Peer *peer = data;
  return (guint)(peer->sender ^ (peer->sender >> 32)) ^ peer->key_id;
}

static gboolean peer_equal(gconstpointer a, gconstpointer b)
{
  const Peer *p = a, *q = b;
  return p->sender == q->sender && p->key_id == q->key_id;
}

static void ask(AapAuth *auth)
{
  if (auth->asked >= auth->next + AAP_AUTH_RESERVE / 2)
    return;
  auth->asked = auth->next + AAP_AUTH_RESERVE;
  auth->reserve(auth->asked, auth->data);
}

/* More than RESERVE messages a second nobody sends. */
uint64_t aap_auth_begin_at(uint64_t next, int64_t wall_s)
{
  uint64_t clock = (uint64_t)CLAMP(wall_s, 0, INT64_C(1) << 40) * AAP_AUTH_RESERVE;
  return MAX(next, clock);
}

AapAuth *aap_auth_new(AapKeys *keys, uint64_t sender, uint64_t next, AapAuthReserve reserve,
                      void *data)
{
  AapAuth *auth = g_new0(AapAuth, 1);
  auth->keys = aap_keys_ref(keys);
  auth->sender = sender;
  auth->next = next;
  auth->durable = next;
  auth->reserve = reserve;
  auth->data = data;
  auth->peers = g_hash_table_new_full(peer_hash, peer_equal, g_free, NULL);
  ask(auth);
  return auth;
}

void aap_auth_free(AapAuth *auth)
{
  if (auth == NULL)
    return;
  g_hash_table_unref(auth->peers);
  aap_keys_unref(auth->keys);
  g_free(auth);
}

void aap_auth_set_keys(AapAuth *auth, AapKeys *keys)
{
  aap_keys_ref(keys);
  aap_keys_unref(auth->keys);
  auth->keys = keys;
}

void aap_auth_reserved(AapAuth *auth, uint64_t upto)
{
  auth->durable = MAX(auth->durable, upto);
}

/* ---- the tag --------------------------------------------------------------------------------- */

static size_t tag_size(const AapKey *key)
{
  return key->kind == AAP_KEY_SHARED ? AAP_AUTH_TAG_SHARED : AAP_AUTH_TAG_SIGNED;
}

static uint8_t kind_code(const AapKey *key)
{
  return key->kind == AAP_KEY_SHARED ? 1 : 2;
}

/* What the tag is over: a name for the purpose, the group, the message and the trailer's other
   fields. */
static void digest(MalAddress group, const uint8_t *message, size_t length, const uint8_t *fields,
                   uint8_t out[64])
{
  static const char purpose[] = "mallocd AAP message";
  uint8_t address[17] = { (uint8_t)group.family };
  crypto_generichash_state state;
  mal_address_to_bytes(group, address + 1);
  crypto_generichash_init(&state, NULL, 0, 64);
  crypto_generichash_update(&state, (const uint8_t *)purpose, sizeof purpose);
  crypto_generichash_update(&state, address, sizeof address);
  crypto_generichash_update(&state, fields, AAP_AUTH_FIXED);
  crypto_generichash_update(&state, message, length);
  crypto_generichash_final(&state, out, 64);
}

static void make_tag(const AapKey *key, const uint8_t hash[64], uint8_t *tag)
{
  if (key->kind == AAP_KEY_SHARED)
    crypto_auth(tag, hash, 64, key->secret);
  else
    crypto_sign_detached(tag, NULL, hash, 64, key->secret);
}

static bool check_tag(const AapKey *key, const uint8_t hash[64], const uint8_t *tag)
{
  if (key->kind == AAP_KEY_SHARED)
    return crypto_auth_verify(tag, hash, 64, key->secret) == 0;
  return crypto_sign_verify_detached(tag, hash, 64, key->public) == 0;
}

/* ---- sealing --------------------------------------------------------------------------------- */

size_t aap_auth_overhead(const AapAuth *auth)
{
  return AAP_AUTH_FIXED + tag_size(auth->keys->sender);
}

size_t aap_auth_seal(AapAuth *auth, MalAddress group, uint8_t *buffer, size_t length,
                     size_t capacity)
{
  const AapKey *key = auth->keys->sender;
  size_t tag = tag_size(key);
  uint8_t hash[64];
  if (capacity < length || capacity - length < tag + AAP_AUTH_FIXED || auth->next >= auth->durable)
    return 0;
  uint8_t *fields = buffer + length + tag;
  MalWriter w = mal_writer(fields, AAP_AUTH_FIXED);
  mal_write_u64(&w, auth->sender);
  mal_write_u64(&w, auth->next);
  mal_write_u32(&w, key->id);
  mal_write_u8(&w, kind_code(key));
  mal_write_bytes(&w, magic, sizeof magic);
  auth->next++;
  ask(auth);
  digest(group, buffer, length, fields, hash);
  make_tag(key, hash, buffer + length);
  return length + tag + AAP_AUTH_FIXED;
}

/* ---- opening --------------------------------------------------------------------------------- */

typedef struct {
  uint64_t sender, counter;
  uint32_t key_id;
  uint8_t kind;
} Fields;

static bool read_fields(const uint8_t *data, size_t length, Fields *out)
{
  if (length < AAP_AUTH_FIXED)
    return false;
  MalReader r = mal_reader(data + length - AAP_AUTH_FIXED, AAP_AUTH_FIXED);
  out->sender = mal_read_u64(&r);
  out->counter = mal_read_u64(&r);
  out->key_id = mal_read_u32(&r);
  out->kind = mal_read_u8(&r);
  const uint8_t *found = mal_read_bytes(&r, sizeof magic);
  g_assert(found != NULL);
  return memcmp(found, magic, sizeof magic) == 0;
}

static bool is_fresh(const Peer *peer, uint64_t counter)
{
  if (counter > peer->highest)
    return true;
  uint64_t back = peer->highest - counter;
  return back < WINDOW && (peer->seen >> back & 1) == 0;
}

static void use_up(Peer *peer, uint64_t counter)
{
  if (counter > peer->highest) {
    uint64_t ahead = counter - peer->highest;
    peer->seen = ahead < WINDOW ? peer->seen << ahead | 1 : 1;
    peer->highest = counter;
    peer->changed = true;
  } else {
    peer->seen |= UINT64_C(1) << (peer->highest - counter);
  }
}

static AapAuthVerdict count(AapAuth *auth, const Fields *fields)
{
  Peer *peer = g_hash_table_lookup(auth->peers,
                                   &(Peer){ .sender = fields->sender, .key_id = fields->key_id });
  if (peer != NULL && !is_fresh(peer, fields->counter))
    return AAP_AUTH_REPLAY;
  if (peer == NULL) {
    if (g_hash_table_size(auth->peers) >= AAP_AUTH_PEERS_MOST)
      return AAP_AUTH_CROWD;
    peer = g_new0(Peer, 1);
    *peer = (Peer){ .sender = fields->sender,
                    .key_id = fields->key_id,
                    .highest = fields->counter,
                    .seen = 1,
                    .changed = true };
    g_hash_table_add(auth->peers, peer);
  }
  use_up(peer, fields->counter);
  return AAP_AUTH_OK;
}

AapAuthVerdict aap_auth_open(AapAuth *auth, MalAddress group, const uint8_t *data, size_t length,
                             size_t *message, uint64_t *sender, const char **key_name)
{
  Fields fields;
  uint8_t hash[64];
  if (!read_fields(data, length, &fields))
    return AAP_AUTH_NONE;
  const AapKey *key = aap_keys_find(auth->keys, fields.key_id);
  if (key == NULL || kind_code(key) != fields.kind)
    return AAP_AUTH_KEY;
  size_t tag = tag_size(key);
  if (length < AAP_AUTH_FIXED + tag)
    return AAP_AUTH_FORGED;
  size_t body = length - AAP_AUTH_FIXED - tag;
  digest(group, data, body, data + length - AAP_AUTH_FIXED, hash);
  if (!check_tag(key, hash, data + body))
    return AAP_AUTH_FORGED;
  if (fields.sender == auth->sender && key == auth->keys->sender)
    return AAP_AUTH_OWN;
  AapAuthVerdict verdict = count(auth, &fields);
  if (verdict != AAP_AUTH_OK)
    return verdict;
  if (message != NULL)
    *message = body;
  if (sender != NULL)
    *sender = fields.sender;
  if (key_name != NULL)
    *key_name = key->name;
  return AAP_AUTH_OK;
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static void each(const AapAuth *auth, bool changed_only, AapAuthPeerFunc func, void *data)
{
  GHashTableIter iter;
  gpointer item;
  g_hash_table_iter_init(&iter, auth->peers);
  while (g_hash_table_iter_next(&iter, &item, NULL)) {
    Peer *peer = item;
    if (changed_only && !peer->changed)
      continue;
    if (changed_only)
      peer->changed = false;
    func(peer->key_id, peer->sender, peer->highest, data);
  }
}

void aap_auth_each_peer(const AapAuth *auth, AapAuthPeerFunc func, void *data)
{
  each(auth, false, func, data);
}

void aap_auth_changes(AapAuth *auth, AapAuthPeerFunc func, void *data)
{
  each(auth, true, func, data);
}

/* All that came before is used up: which of the last 64 is not known any more. */
void aap_auth_restore_peer(AapAuth *auth, uint32_t key_id, uint64_t sender, uint64_t highest)
{
  if (g_hash_table_size(auth->peers) >= AAP_AUTH_PEERS_MOST)
    return;
  Peer *peer = g_new0(Peer, 1);
  *peer = (Peer){ .sender = sender, .key_id = key_id, .highest = highest, .seen = UINT64_MAX };
  g_hash_table_add(auth->peers, peer);
}

const char *aap_auth_verdict_name(AapAuthVerdict verdict)
{
  static const char *const names[AAP_AUTH_N_VERDICTS] = {
    "ok", "unauthenticated", "unknown-key", "forged", "replayed", "too-many-senders", "own",
  };
  return names[verdict];
}
