/* [masc-peer], each for itself and all beside each other. */
#include "masc-config-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_FILE_MOST 4096

/* ---- each ----------------------------------------------------------------------------------- */

static bool check_key_mode(const MalConfSection *s, const char *path, GError **error)
{
  GStatBuf info;
  if (g_stat(path, &info) != 0)
    return masc_settings_refuse(s, "key-file", error, "%s can't be read: %s", path,
                                g_strerror(errno));
  if (!S_ISREG(info.st_mode))
    return masc_settings_refuse(s, "key-file", error, "%s is no ordinary file", path);
  if ((info.st_mode & (S_IWGRP | S_IWOTH | S_IROTH)) != 0)
    return masc_settings_refuse(
        s, "key-file", error,
        "%s holds a key: others than its owner must not write it, and not everybody may "
        "read it (chmod 640)",
        path);
  if (info.st_size > KEY_FILE_MOST)
    return masc_settings_refuse(s, "key-file", error, "%s is longer than %d octets", path,
                                KEY_FILE_MOST);
  return true;
}

static bool read_key(const MalConfSection *s, MascPeerSettings *peer, GError **error)
{
  const char *path = mal_conf_string(s, "key-file");
  g_autoptr(GError) why = NULL;
  if (path == NULL || *path == '\0')
    return true;
  if (!check_key_mode(s, path, error))
    return false;
  GByteArray *text = mal_config_read(path, &why);
  if (text == NULL)
    return masc_settings_refuse(s, "key-file", error, "%s: %s", path, why->message);
  const uint8_t *end = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
  size_t length = end != NULL ? (size_t)(end - text->data) : text->len;
  if (length > 0 && text->data[length - 1] == '\r')
    length--;
  bool fits = length > 0 && length <= MASC_KEY_MAX;
  if (fits) {
    memcpy(peer->key, text->data, length);
    peer->key_length = length;
  }
  if (text->len > 0)
    memset(text->data, 0, text->len);
  g_byte_array_unref(text);
  return fits ||
         masc_settings_refuse(s, "key-file", error,
                              "the first line of %s has %zu octets: a key of TCP-MD5 has 1 to %d",
                              path, length, MASC_KEY_MAX);
}

static MascRole role_of(const MalConfSection *s)
{
  static const char *const names[MASC_N_ROLES] = {
    [MASC_INTERNAL] = "internal",
    [MASC_CHILD] = "child",
    [MASC_SIBLING] = "sibling",
    [MASC_PARENT] = "parent",
  };
  for (MascRole role = MASC_INTERNAL; role < MASC_N_ROLES; role++)
    if (strcmp(mal_conf_string(s, "role"), names[role]) == 0)
      return masc_role_of_peer(role);
  g_assert_not_reached(); /* choices of the table */
}

static bool read_peer_ids(const MascReading *r, const MalConfSection *s, MascPeerSettings *peer,
                          GError **error)
{
  const MascSettings *out = r->out;
  char text[MAL_ADDRESS_STRLEN];
  if (!masc_settings_id(s, "domain-id", &peer->domain, error) ||
      !masc_settings_id(s, "node-id", &peer->node, error))
    return false;
  if (peer->role == MASC_INTERNAL && peer->domain != 0 && peer->domain != out->domain)
    return masc_settings_refuse(s, "domain-id", error,
                                "%s: an internal peer is of this domain, whose domain-id is %s",
                                mal_conf_string(s, "domain-id"), masc_id_format(out->domain, text));
  if (peer->role == MASC_INTERNAL)
    peer->domain = out->domain;
  else if (peer->domain == 0)
    return masc_settings_refuse(s, "domain-id", error, "it is missing: which domain is %s?",
                                peer->name);
  else if (peer->domain == out->domain)
    return masc_settings_refuse(s, "domain-id", error,
                                "%s is this domain itself: only an internal peer has it",
                                mal_conf_string(s, "domain-id"));
  if (peer->node != 0 && peer->node == out->node)
    return masc_settings_refuse(s, "node-id", error, "%s is this node itself",
                                mal_conf_string(s, "node-id"));
  return true;
}

static bool read_peer_scopes(const MascReading *r, const MalConfSection *s, MascPeerSettings *peer,
                             GError **error)
{
  for (size_t i = 0; i < mal_conf_length(s, "scopes"); i++) {
    const char *id = mal_conf_item(s, "scopes", i);
    uint64_t bit = masc_settings_scope_bit(r->out, id);
    if (bit == 0)
      return masc_settings_refuse(s, "scopes", error, "%s is none of [masc] scopes", id);
    peer->scopes |= bit;
  }
  if (!mal_conf_given(s, "scopes"))
    peer->scopes = masc_settings_all_scopes(r->out);
  return true;
}

#define TOP_BITS(value, n) ((value) >> (128 - (n)))

/* What a connection can't be made to, or comes from under another name. */
static bool check_address(const MalConfSection *s, MalAddress address, GError **error)
{
  const char *text = mal_conf_string(s, "address");
  bool six = address.family == MAL_IPV6;
  if (mal_address_is_multicast(address) || address.value == 0 ||
      (!six && address.value >= (uint32_t)0xf0 << 24))
    return masc_settings_refuse(s, "address", error, "%s is nobody's unicast address", text);
  if (six && TOP_BITS(address.value, 10) == 0xfe80 >> 6)
    return masc_settings_refuse(s, "address", error,
                                "%s says nothing without its link: choose an address of the peer "
                                "that isn't link-local",
                                text);
  if (six && TOP_BITS(address.value, 96) == 0xffff)
    return masc_settings_refuse(s, "address", error, "%s is an IPv4 address: say it as one", text);
  return true;
}

static bool read_peer_address(const MascReading *r, const MalConfSection *s, MascPeerSettings *peer,
                              GError **error)
{
  peer->address = (MalEndpoint){ .address = mal_conf_address(s, "address"),
                                 .port = (uint16_t)mal_conf_integer(s, "port") };
  peer->local = mal_conf_address(s, "local-address");
  if (!check_address(s, peer->address.address, error))
    return false;
  if (peer->local.family != MAL_FAMILY_NONE && peer->local.family != peer->address.address.family)
    return masc_settings_refuse(s, "local-address", error,
                                "%s is of another family than address, %s",
                                mal_conf_string(s, "local-address"), mal_conf_string(s, "address"));
  peer->hold_time = (uint16_t)(mal_conf_given(s, "holdtime") ? mal_conf_integer(s, "holdtime")
                                                             : mal_conf_integer(r->s, "holdtime"));
  if (peer->hold_time == 1 || peer->hold_time == 2)
    return masc_settings_refuse(s, "holdtime", error,
                                "%u s is too short: 0 (no timer), or at least 3 (RFC 2909 7.2)",
                                peer->hold_time);
  return true;
}

bool masc_settings_read_peer(MascReading *r, const MalConfSection *s, GError **error)
{
  MascPeerSettings *peer = g_new0(MascPeerSettings, 1);
  g_ptr_array_add(r->out->peers, peer);
  peer->name = g_strdup(mal_conf_name(s));
  peer->role = role_of(s);
  peer->passive = mal_conf_bool(s, "passive");
  peer->gtsm = (uint8_t)mal_conf_integer(s, "ttl-security");
  peer->largest4 = (unsigned)mal_conf_integer(s, "largest-prefix");
  peer->largest6 = (unsigned)mal_conf_integer(s, "largest-prefix6");
  if (!read_peer_address(r, s, peer, error) || !read_peer_ids(r, s, peer, error) ||
      !read_peer_scopes(r, s, peer, error) || !read_key(s, peer, error))
    return false;
  if ((peer->largest4 != 0 || peer->largest6 != 0) && peer->role != MASC_PARENT)
    return masc_settings_refuse(s, peer->largest4 != 0 ? "largest-prefix" : "largest-prefix6",
                                error, "%s is no child: only children's claims are bounded so",
                                peer->name);
  if (peer->role == MASC_CHILD)
    masc_add_id(r->out->parents, peer->domain);
  return true;
}

/* ---- peers beside each other ----------------------------------------------------------------- */

/* The domain's parents in one of SCOPES. */
static GArray *parents_in(const MascSettings *settings, uint64_t scopes)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MascId));
  for (guint i = 0; i < settings->peers->len; i++) {
    const MascPeerSettings *peer = masc_settings_peer(settings, i);
    if (peer->role == MASC_CHILD && (peer->scopes & scopes) != 0)
      masc_add_id(out, peer->domain);
  }
  for (guint i = 0; i < settings->far_parents->len; i++) {
    const MascFarParent *parent = &g_array_index(settings->far_parents, MascFarParent, i);
    if ((parent->scopes & scopes) != 0)
      masc_add_id(out, parent->domain);
  }
  return out;
}

MascId masc_settings_parent_in(const MascSettings *settings, guint scope)
{
  g_autoptr(GArray) parents = parents_in(settings, UINT64_C(1) << scope);
  return parents->len > 0 ? g_array_index(parents, MascId, 0) : MASC_TLD_ID;
}

bool masc_settings_is_top(const MascSettings *settings, guint scope)
{
  g_autoptr(GArray) parents = parents_in(settings, UINT64_C(1) << scope);
  return parents->len == 0;
}

bool masc_settings_has_children(const MascSettings *settings, guint scope)
{
  for (guint i = 0; i < settings->peers->len; i++) {
    const MascPeerSettings *peer = masc_settings_peer(settings, i);
    if (peer->role == MASC_PARENT && (peer->scopes >> scope & 1) != 0)
      return true;
  }
  return false;
}

/* Scopes that a session between siblings is about: those in which PARENT is the parent of both. */
static uint64_t sibling_scopes(const MascSettings *settings, const MascPeerSettings *peer)
{
  uint64_t out = 0;
  for (guint i = 0; i < settings->scopes->len; i++) {
    uint64_t bit = UINT64_C(1) << i;
    g_autoptr(GArray) parents = parents_in(settings, bit);
    if ((peer->scopes & bit) != 0 &&
        (peer->parent == MASC_TLD_ID ? parents->len == 0 : masc_has_id(parents, peer->parent)))
      out |= bit;
  }
  return out;
}

static bool find_parent(const MascSettings *settings, const MalConfSection *s,
                        MascPeerSettings *peer, GError **error)
{
  const char *text = mal_conf_string(s, "parent");
  g_autoptr(GArray) parents = parents_in(settings, peer->scopes);
  g_autoptr(GError) why = NULL;
  if (text != NULL && (strcmp(text, "none") == 0 || strcmp(text, "0") == 0))
    return true;
  if (text != NULL && *text != '\0')
    return masc_id_parse(text, &peer->parent, &why) ||
           masc_settings_refuse(s, "parent", error, "%s", why->message);
  if (parents->len > 1)
    return masc_settings_refuse(
        s, "parent", error,
        "it is missing: this domain has several parents; which one has %s in common with "
        "us? (None, among top-level domains: parent = none)",
        peer->name);
  if (parents->len == 1)
    peer->parent = g_array_index(parents, MascId, 0);
  return true;
}

static bool check_sibling(const MascSettings *settings, const MalConfSection *s,
                          MascPeerSettings *peer, GError **error)
{
  char text[MAL_ADDRESS_STRLEN];
  if (peer->role != MASC_SIBLING)
    return mal_conf_string(s, "parent") == NULL ||
           masc_settings_refuse(s, "parent", error,
                                "%s is no sibling: only siblings have a parent in common",
                                peer->name);
  if (!find_parent(settings, s, peer, error))
    return false;
  peer->scopes = sibling_scopes(settings, peer);
  if (settings->scopes->len == 0 || peer->scopes != 0)
    return true;
  if (peer->parent == MASC_TLD_ID)
    return masc_settings_refuse(
        s, "parent", error,
        "%s would be a sibling among top-level domains, but this domain has a parent: "
        "name it",
        peer->name);
  return masc_settings_refuse(
      s, "parent", error,
      "%s is no parent of this domain: there is no [masc-peer] of role parent with that "
      "domain-id in a scope of this session, and [masc] parents doesn't have it",
      masc_id_format(peer->parent, text));
}

static bool check_duplicate(const MascSettings *settings, guint i, const MalConfSection *s,
                            GError **error)
{
  const MascPeerSettings *peer = masc_settings_peer(settings, i);
  for (guint k = 0; k < i; k++) {
    const MascPeerSettings *other = masc_settings_peer(settings, k);
    if (!mal_address_equal(peer->address.address, other->address.address))
      continue;
    if (peer->role == MASC_SIBLING && other->role == MASC_SIBLING &&
        peer->parent != other->parent && peer->domain == other->domain &&
        peer->key_length == other->key_length &&
        memcmp(peer->key, other->key, peer->key_length) == 0 && peer->gtsm == other->gtsm)
      continue;
    return masc_settings_refuse(
        s, "address", error,
        "%s is the address of [masc-peer %s], too: only siblings have several sessions, "
        "one for each parent in common, and of these domain-id, key-file and "
        "ttl-security must be the same",
        mal_conf_string(s, "address"), other->name);
  }
  return true;
}

static bool check_peer_ids(const MascSettings *settings, const MascPeerSettings *peer,
                           const MalScopeSet *scopes, const MalConfSection *s, GError **error)
{
  for (guint i = 0; i < settings->scopes->len; i++) {
    const MalScope *scope = mal_scope_set_find(scopes, g_ptr_array_index(settings->scopes, i));
    if ((peer->scopes >> i & 1) == 0 || scope->span.first.family != MAL_IPV4)
      continue;
    if (masc_id_is_long(peer->domain))
      return masc_settings_refuse(
          s, "domain-id", error,
          "an IPv6 address can't be named in claims of IPv4 addresses, and scope %s is "
          "IPv4",
          scope->id);
  }
  return true;
}

bool masc_settings_check_peers(MascReading *r, GError **error)
{
  const MascSettings *out = r->out;
  for (guint i = 0; i < out->peers->len; i++) {
    const MalConfSection *s = mal_config_nth(r->config, "masc-peer", i);
    if (!check_sibling(out, s, g_ptr_array_index(out->peers, i), error) ||
        !check_duplicate(out, i, s, error) ||
        !check_peer_ids(out, masc_settings_peer(out, i), r->scopes, s, error))
      return false;
    const MascPeerSettings *peer = masc_settings_peer(out, i);
    if (peer->role == MASC_PARENT && masc_has_id(out->parents, peer->domain))
      return masc_settings_refuse(s, "role", error,
                                  "%s is a parent of this domain; it can't be a child, too",
                                  mal_conf_string(s, "domain-id"));
  }
  if (out->peers->len > MASC_PEERS_MAX)
    return masc_settings_refuse(mal_config_nth(r->config, "masc-peer", MASC_PEERS_MAX), NULL, error,
                                "more than %d peers", MASC_PEERS_MAX);
  return true;
}

bool masc_peer_settings_same(const MascPeerSettings *a, const MascPeerSettings *b)
{
  return mal_endpoint_equal(a->address, b->address) && mal_address_equal(a->local, b->local) &&
         a->role == b->role && a->domain == b->domain && a->node == b->node &&
         a->parent == b->parent && a->hold_time == b->hold_time && a->passive == b->passive &&
         a->gtsm == b->gtsm && a->scopes == b->scopes && a->key_length == b->key_length &&
         memcmp(a->key, b->key, a->key_length) == 0;
}
