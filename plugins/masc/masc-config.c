/* [masc], and the order in which all is read. */
#include "masc-config-private.h"

#include <string.h>

bool masc_settings_refuse(const MalConfSection *s, const char *key, GError **error,
                          const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *why = g_strdup_vprintf(format, args), *place = mal_conf_place(s, key);
  va_end(args);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", place, why);
  return false;
}

static void peer_free(gpointer data)
{
  MascPeerSettings *peer = data;
  memset(peer->key, 0, sizeof peer->key);
  g_free(peer->name);
  g_free(peer);
}

void masc_settings_free(MascSettings *s)
{
  if (s == NULL)
    return;
  g_array_unref(s->listen);
  g_ptr_array_unref(s->scopes);
  g_array_unref(s->parents);
  g_array_unref(s->far_parents);
  g_ptr_array_unref(s->peers);
  g_free(s);
}

const MascPeerSettings *masc_settings_peer(const MascSettings *settings, guint i)
{
  return g_ptr_array_index(settings->peers, i);
}

/* ---- identifiers ----------------------------------------------------------------------------- */

static bool all_digits(const char *text)
{
  return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

bool masc_id_parse(const char *text, MascId *out, GError **error)
{
  guint64 number = 0;
  MalAddress address;
  if (all_digits(text) && g_ascii_string_to_unsigned(text, 10, 1, UINT32_MAX, &number, NULL)) {
    *out = number;
    return true;
  }
  if (!all_digits(text) && mal_address_parse(text, &address, NULL) && address.value != 0 &&
      !mal_address_is_multicast(address)) {
    *out = address.value;
    return true;
  }
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
              "\"%s\" is no identifier: an AS number from 1 to 4294967295, digits alone, or a "
              "unicast address",
              text);
  return false;
}

/* 0 where nothing is said. */
bool masc_settings_id(const MalConfSection *s, const char *key, MascId *out, GError **error)
{
  const char *text = mal_conf_string(s, key);
  g_autoptr(GError) why = NULL;
  *out = 0;
  if (text == NULL || *text == '\0' || masc_id_parse(text, out, &why))
    return true;
  return masc_settings_refuse(s, key, error, "%s", why->message);
}

bool masc_has_id(const GArray *ids, MascId id)
{
  for (guint i = 0; i < ids->len; i++)
    if (g_array_index(ids, MascId, i) == id)
      return true;
  return false;
}

void masc_add_id(GArray *ids, MascId id)
{
  if (id != 0 && !masc_has_id(ids, id))
    g_array_append_val(ids, id);
}

/* ---- [masc] ---------------------------------------------------------------------------------- */

static bool read_identity(MascReading *r, GError **error)
{
  MascSettings *out = r->out;
  if (!masc_settings_id(r->s, "domain-id", &out->domain, error) ||
      !masc_settings_id(r->s, "node-id", &out->node, error))
    return false;
  if (!r->coordinator || (out->domain != 0 && out->node != 0))
    return true;
  return masc_settings_refuse(
      r->s, NULL, error,
      "%s is missing: with role prefix-coordinator MASC needs a domain-id (AS number or "
      "unicast prefix address) and a node-id (an address of this host)",
      out->domain == 0 ? "domain-id" : "node-id");
}

static bool add_scope(MascReading *r, const MalScope *scope, GError **error)
{
  GPtrArray *scopes = r->out->scopes;
  if (scopes->len == MASC_SCOPES_MAX)
    return masc_settings_refuse(r->s, "scopes", error, "more than %d scopes", MASC_SCOPES_MAX);
  g_ptr_array_add(scopes, g_strdup(scope->id));
  return true;
}

static bool read_scopes(MascReading *r, GError **error)
{
  for (size_t i = 0; i < mal_conf_length(r->s, "scopes"); i++) {
    const char *id = mal_conf_item(r->s, "scopes", i);
    const MalScope *scope = mal_scope_set_find(r->scopes, id);
    if (scope == NULL)
      return masc_settings_refuse(r->s, "scopes", error, "there is no [scope %s]", id);
    if (!scope->divisible)
      return masc_settings_refuse(
          r->s, "scopes", error,
          "scope %s is not divisible, so nobody shares it: set divisible = yes there if "
          "domains are to share it (RFC 2909 4.5), or use a [range]",
          id);
    if (!add_scope(r, scope, error))
      return false;
  }
  for (size_t i = 0; !mal_conf_given(r->s, "scopes") && i < mal_scope_set_size(r->scopes); i++) {
    const MalScope *scope = mal_scope_set_at(r->scopes, i);
    if (scope->divisible && !add_scope(r, scope, error))
      return false;
  }
  if (r->coordinator && mal_conf_given(r->s, "scopes") && r->out->scopes->len == 0)
    return masc_settings_refuse(r->s, "scopes", error,
                                "the list is empty, so there is nothing to claim: name a divisible "
                                "scope, or leave the key out for all of them");
  if (r->coordinator && r->out->scopes->len == 0)
    return masc_settings_refuse(
        r->s, "scopes", error,
        "no scope is divisible, so there is nothing to claim: set divisible = yes in the "
        "[scope] that domains share");
  return true;
}

uint64_t masc_settings_all_scopes(const MascSettings *settings)
{
  guint n = settings->scopes->len;
  return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

uint64_t masc_settings_scope_bit(const MascSettings *settings, const char *id)
{
  for (guint i = 0; i < settings->scopes->len; i++)
    if (strcmp(g_ptr_array_index(settings->scopes, i), id) == 0)
      return UINT64_C(1) << i;
  return 0;
}

/* "ID", a parent in all scopes, or "ID@SCOPE". */
static bool read_far_parent(MascReading *r, const char *text, GError **error)
{
  MascSettings *out = r->out;
  g_auto(GStrv) parts = g_strsplit(text, "@", 2);
  MascFarParent parent = { .scopes = masc_settings_all_scopes(out) };
  g_autoptr(GError) why = NULL;
  if (!masc_id_parse(parts[0], &parent.domain, &why))
    return masc_settings_refuse(r->s, "parents", error, "%s", why->message);
  if (parent.domain == out->domain)
    return masc_settings_refuse(r->s, "parents", error, "%s is this domain itself", parts[0]);
  if (parts[1] != NULL && (parent.scopes = masc_settings_scope_bit(out, parts[1])) == 0)
    return masc_settings_refuse(r->s, "parents", error, "%s is none of [masc] scopes", parts[1]);
  g_array_append_val(out->far_parents, parent);
  masc_add_id(out->parents, parent.domain);
  return true;
}

static bool read_far_parents(MascReading *r, GError **error)
{
  for (size_t i = 0; i < mal_conf_length(r->s, "parents"); i++)
    if (!read_far_parent(r, mal_conf_item(r->s, "parents", i), error))
      return false;
  return true;
}

static bool overlaps_other(const MascReading *r, guint i, const char **other)
{
  const MalScope *a = mal_scope_set_find(r->scopes, g_ptr_array_index(r->out->scopes, i));
  for (guint k = 0; k < i; k++) {
    const MalScope *b = mal_scope_set_find(r->scopes, g_ptr_array_index(r->out->scopes, k));
    *other = b->id;
    if (a->span.first.family == b->span.first.family && mal_span_overlaps(a->span, b->span))
      return true;
  }
  return false;
}

/* A prefix of 96 bits or fewer has all group identifiers, so those that are leased with them. */
static bool may_win_what_is_never_leased(const MascReading *r, const MalScope *scope)
{
  MalSpan span = scope->span;
  bool all = scope->group_id_first == 0 && scope->group_id_last == UINT32_MAX;
  if (span.first.family != MAL_IPV6 || all || mal_conf_integer(r->s, "unit6") <= 96)
    return false;
  return span.first.value >> 32 != span.last.value >> 32
         || (uint32_t)span.first.value < scope->group_id_first
         || (uint32_t)span.last.value > scope->group_id_last;
}

static bool refuse_ids(const MascReading *r, const MalScope *scope, GError **error)
{
  return masc_settings_refuse(
      r->s, "unit6", error,
      "of most prefixes that may be won of scope %s nothing is leased, since its group-ids are "
      "%08x-%08x: claim prefixes that have some of these (unit6 = 96), let the scope reach from "
      "such an identifier to another with all domains that share it, set group-ids = 0-ffffffff "
      "there, or leave the scope out of scopes",
      scope->id, scope->group_id_first, scope->group_id_last);
}

/* A claim says no scope, so its addresses have to. */
static bool check_scopes(MascReading *r, GError **error)
{
  for (guint i = 0; i < r->out->scopes->len; i++) {
    const char *id = g_ptr_array_index(r->out->scopes, i), *other;
    const MalScope *scope = mal_scope_set_find(r->scopes, id);
    if (overlaps_other(r, i, &other))
      return masc_settings_refuse(
          r->s, "scopes", error,
          "%s and %s overlap: of a claim there nobody could say which scope it is in", id, other);
    if (scope->span.first.family == MAL_IPV4 && masc_id_is_long(r->out->domain))
      return masc_settings_refuse(
          r->s, "domain-id", error,
          "an IPv6 address can't be named in claims of IPv4 addresses, and scope %s is "
          "IPv4: use an AS number",
          id);
    if (scope->span.first.family == MAL_IPV4 && masc_id_is_long(r->out->node))
      return masc_settings_refuse(
          r->s, "node-id", error,
          "an IPv6 address can't be named in claims of IPv4 addresses, and scope %s is "
          "IPv4: use an IPv4 address or a number",
          id);
    if (may_win_what_is_never_leased(r, scope))
      return refuse_ids(r, scope, error);
  }
  return true;
}

static uint32_t seconds(const MascReading *r, const char *key)
{
  return (uint32_t)mal_conf_integer(r->s, key);
}

static void read_limits(MascReading *r, MascLimits *limits)
{
  *limits = (MascLimits){
    .lifetime_min = seconds(r, "least-lifetime"),
    .lifetime_max = seconds(r, "most-lifetime"),
    .holdtime_min = seconds(r, "least-holdtime"),
    .holdtime_max = seconds(r, "most-holdtime"),
    .timestamp_old = seconds(r, "timestamp-old"),
    .timestamp_new = seconds(r, "timestamp-ahead"),
    .longest4 = (unsigned)mal_conf_integer(r->s, "smallest-prefix"),
    .shortest4 = (unsigned)mal_conf_integer(r->s, "largest-prefix"),
    .longest6 = (unsigned)mal_conf_integer(r->s, "smallest-prefix6"),
    .shortest6 = (unsigned)mal_conf_integer(r->s, "largest-prefix6"),
  };
}

static void read_params(MascReading *r)
{
  MascParams *p = &r->out->params;
  masc_params_init(p);
  p->waiting_period = mal_conf_integer(r->s, "waiting-period");
  p->initiate_claim_delay = mal_conf_integer(r->s, "initiate-claim-delay");
  p->prefix_lifetime = mal_conf_integer(r->s, "prefix-lifetime");
  p->renew_interval = mal_conf_integer(r->s, "renew-interval");
  p->plan_interval = mal_conf_integer(r->s, "plan-interval");
  p->extra_holding = mal_conf_integer(r->s, "extra-holding-time");
  p->clash = g_strcmp0(mal_conf_string(r->s, "clash-resolution"), "manual") == 0
                 ? MASC_CLASH_MANUAL
                 : MASC_CLASH_AUTOMATIC;
  p->flood_limit = (unsigned)mal_conf_integer(r->s, "flood-limit");
  p->unit4 = (unsigned)mal_conf_integer(r->s, "unit");
  p->unit6 = (unsigned)mal_conf_integer(r->s, "unit6");
  p->max_prefixes = (unsigned)mal_conf_integer(r->s, "max-prefixes");
  p->claim = mal_conf_bool(r->s, "claim");
  read_limits(r, &p->limits);
  r->out->port = (uint16_t)mal_conf_integer(r->s, "port");
  r->out->connect_retry = mal_conf_integer(r->s, "connect-retry");
  r->out->backoff_first = mal_conf_integer(r->s, "backoff");
  r->out->backoff_most = mal_conf_integer(r->s, "backoff-most");
  r->out->forget = g_strcmp0(mal_conf_string(r->s, "identity-change"), "forget") == 0;
}

static bool refuse_pair(const MascReading *r, const char *key, const char *than, const char *why,
                        GError **error)
{
  g_autofree char *a = mal_duration_format(mal_conf_integer(r->s, key));
  g_autofree char *b = mal_duration_format(mal_conf_integer(r->s, than));
  return masc_settings_refuse(r->s, key, error, "%s against %s = %s: %s", a, than, b, why);
}

static bool check_bounds(const MascReading *r, GError **error)
{
  const MascLimits *l = &r->out->params.limits;
  if (l->lifetime_max != 0 && l->lifetime_min > l->lifetime_max)
    return refuse_pair(r, "least-lifetime", "most-lifetime", "no claim could keep both", error);
  if (l->holdtime_max != 0 && l->holdtime_min > l->holdtime_max)
    return refuse_pair(r, "least-holdtime", "most-holdtime", "no claim could keep both", error);
  if (l->shortest4 > l->longest4)
    return masc_settings_refuse(r->s, "largest-prefix", error,
                                "/%u is smaller than smallest-prefix, /%u", l->shortest4,
                                l->longest4);
  if (l->shortest6 > l->longest6)
    return masc_settings_refuse(r->s, "largest-prefix6", error,
                                "/%u is smaller than smallest-prefix6, /%u", l->shortest6,
                                l->longest6);
  return true;
}

static bool check_times(const MascReading *r, GError **error)
{
  const MascParams *p = &r->out->params;
  int64_t hold = mal_conf_integer(r->s, "holdtime");
  if (p->prefix_lifetime <= p->waiting_period + p->initiate_claim_delay)
    return refuse_pair(r, "prefix-lifetime", "waiting-period",
                       "a prefix would be over before it can be used; with initiate-claim-delay "
                       "both together must be shorter",
                       error);
  if (p->renew_interval + p->waiting_period + p->initiate_claim_delay > p->prefix_lifetime)
    return refuse_pair(r, "renew-interval", "prefix-lifetime",
                       "a prefix would be over before its renewal has waited for waiting-period",
                       error);
  if (hold == 1 || hold == 2)
    return masc_settings_refuse(r->s, "holdtime", error,
                                "%" G_GINT64_FORMAT
                                " s is too short: 0 (no timer), or at least 3 (RFC 2909 7.2)",
                                hold);
  if (r->out->backoff_most < r->out->backoff_first)
    return refuse_pair(r, "backoff-most", "backoff", "the longest wait is shorter than the first",
                       error);
  return check_bounds(r, error);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void find_listen(MascReading *r)
{
  static const MalFamily families[] = { MAL_IPV4, MAL_IPV6 };
  MascSettings *out = r->out;
  for (size_t i = 0; i < mal_conf_length(r->s, "listen"); i++) {
    MalAddress address;
    if (mal_address_parse(mal_conf_item(r->s, "listen", i), &address, NULL))
      g_array_append_val(out->listen, address);
  }
  if (out->listen->len > 0)
    return;
  for (size_t f = 0; f < G_N_ELEMENTS(families); f++)
    for (guint i = 0; i < out->peers->len; i++)
      if (masc_settings_peer(out, i)->address.address.family == families[f]) {
        MalAddress any = mal_address_make(families[f], 0);
        g_array_append_val(out->listen, any);
        break;
      }
}

MalFamily masc_settings_family(const MascSettings *s, const MascPeerSettings *peer)
{
  bool wide = masc_id_is_long(s->domain) || masc_id_is_long(s->node) ||
              masc_id_is_long(peer->domain) || masc_id_is_long(peer->node);
  for (guint i = 0; i < s->parents->len; i++)
    wide = wide || masc_id_is_long(g_array_index(s->parents, MascId, i));
  return wide ? MAL_IPV6 : MAL_IPV4;
}

static bool read_all(MascReading *r, GError **error)
{
  if (!read_identity(r, error) || !read_scopes(r, error) || !check_scopes(r, error) ||
      !read_far_parents(r, error))
    return false;
  read_params(r);
  if (!check_times(r, error))
    return false;
  for (size_t i = 0; r->out->domain != 0 && i < mal_config_count(r->config, "masc-peer"); i++)
    if (!masc_settings_read_peer(r, mal_config_nth(r->config, "masc-peer", i), error))
      return false;
  if (!masc_settings_check_peers(r, error))
    return false;
  find_listen(r);
  return true;
}

MascSettings *masc_settings_new(const MalConfig *config, const MalScopeSet *scopes,
                                bool coordinator, GError **error)
{
  g_autoptr(MascSettings) out = g_new0(MascSettings, 1);
  out->listen = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  out->scopes = g_ptr_array_new_with_free_func(g_free);
  out->parents = g_array_new(FALSE, FALSE, sizeof(MascId));
  out->far_parents = g_array_new(FALSE, FALSE, sizeof(MascFarParent));
  out->peers = g_ptr_array_new_with_free_func(peer_free);
  MascReading r = { config, mal_config_section(config, "masc"), scopes, coordinator, out };
  return read_all(&r, error) ? g_steal_pointer(&out) : NULL;
}
