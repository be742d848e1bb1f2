/* Control methods that show something. */
#include "masc-methods.h"

#include <string.h>

#define PAGE 100
#define PAGE_MOST 1000

json_object *masc_json_text(const char *text)
{
  return json_object_new_string(text);
}

json_object *masc_json_id(MascId id)
{
  char text[MAL_ADDRESS_STRLEN];
  return id == 0 ? NULL : masc_json_text(masc_id_format(id, text));
}

json_object *masc_json_prefix(MalPrefix prefix)
{
  char text[MAL_SPAN_STRLEN];
  return masc_json_text(masc_prefix_format(prefix, text));
}

static json_object *number(uint64_t n)
{
  return json_object_new_int64((int64_t)MIN(n, (uint64_t)INT64_MAX));
}

static json_object *boolean(bool value)
{
  return json_object_new_boolean(value);
}

bool masc_check_scope(Masc *masc, MalCall *call, json_object *params, MascArea **only)
{
  const char *id = mal_param_string(params, "scope", NULL);
  *only = id != NULL ? masc_area_find(masc, id) : NULL;
  if (id == NULL || *only != NULL)
    return true;
  g_autofree char *why = g_strdup_printf("no scope called %s is claimed in by MASC", id);
  mal_call_fail_literal(call, MAL_ERROR_NOT_FOUND, why);
  return false;
}

/* ---- peers ----------------------------------------------------------------------------------- */

static json_object *messages_json(const uint64_t counts[MASC_KEEPALIVE + 1])
{
  json_object *out = json_object_new_object();
  for (unsigned type = MASC_OPEN; type <= MASC_KEEPALIVE; type++)
    json_object_object_add(out, masc_type_name(type), number(counts[type]));
  return out;
}

static json_object *claims_json(const uint64_t counts[MASC_N_CLAIM_TYPES])
{
  json_object *out = json_object_new_object();
  for (unsigned type = 0; type < MASC_N_CLAIM_TYPES; type++)
    if (counts[type] > 0)
      json_object_object_add(out, masc_claim_type_name(type), number(counts[type]));
  return out;
}

static json_object *error_json(const MascSessionError *error)
{
  if (error->code == 0)
    return NULL;
  char at[MAL_TIME_STRLEN];
  g_autofree char *text = g_strdup_printf(
      "%s, %s%s, %s", masc_error_name(error->code), masc_subcode_name(error->code, error->subcode),
      error->open ? " (session kept)" : "", mal_time_format(error->at, at));
  return masc_json_text(text);
}

static json_object *failure_json(const MascSessionStatus *s)
{
  if (s->failure == MASC_FAILURE_NONE)
    return NULL;
  char at[MAL_TIME_STRLEN];
  g_autofree char *text = g_strdup_printf("%s, %s", masc_failure_name(s->failure),
                                          mal_time_format(s->failed_at, at));
  return masc_json_text(text);
}

static json_object *scopes_json(const MascPeering *peer)
{
  json_object *out = json_object_new_array();
  for (guint i = 0; i < peer->masc->areas->len; i++)
    if (masc_area_shares(masc_area_at(peer->masc, i), peer))
      json_object_array_add(out, masc_json_text(masc_area_at(peer->masc, i)->scope));
  return out;
}

static void add_session(json_object *one, const MascPeering *peer, const MascSessionStatus *s)
{
  bool established = s->state == MASC_ESTABLISHED;
  MascNow now = peer->masc->now;
  json_object_object_add(one, "state", masc_json_text(masc_state_name(s->state)));
  json_object_object_add(one, "uptime_s",
                         established ? number((uint64_t)MAX(now.wall - s->since, 0)) : NULL);
  json_object_object_add(one, "retry_s",
                         s->backoff_until > now.mono
                             ? number((uint64_t)((s->backoff_until - now.mono) / MASC_SECOND) + 1)
                             : NULL);
  json_object_object_add(one, "sessions", number(s->established));
  json_object_object_add(one, "hold_time_s", established ? number(s->hold_time) : NULL);
  json_object_object_add(one, "queued", number(s->queued));
  json_object_object_add(one, "refused", number(s->refused_in));
  json_object_object_add(one, "error_sent", error_json(&s->error_out));
  json_object_object_add(one, "error_received", error_json(&s->error_in));
  json_object_object_add(one, "connect_failed", failure_json(s));
  json_object_object_add(one, "down",
                         peer->was_down ? masc_json_text(masc_down_name(peer->last_down)) : NULL);
}

static uint64_t sum(const uint64_t *counts, size_t n)
{
  uint64_t out = 0;
  for (size_t i = 0; i < n; i++)
    out += counts[i];
  return out;
}

static void add_types(json_object *one, const MascSessionStatus *s)
{
  json_object_object_add(one, "sent_by_type", messages_json(s->messages_out));
  json_object_object_add(one, "received_by_type", messages_json(s->messages_in));
  json_object_object_add(one, "claims_sent_by_type", claims_json(s->claims_out));
  json_object_object_add(one, "claims_received_by_type", claims_json(s->claims_in));
}

static json_object *peer_json(const MascPeering *peer, bool types)
{
  const MascPeerSettings *settings = peer->settings;
  char address[MAL_ENDPOINT_STRLEN];
  MascSessionStatus s;
  json_object *one = json_object_new_object();
  masc_session_status(peer->session, &s);
  json_object_object_add(one, "peer", masc_json_text(settings->name));
  json_object_object_add(one, "role",
                         masc_json_text(masc_role_name(masc_role_of_peer(settings->role))));
  json_object_object_add(one, "address",
                         masc_json_text(mal_endpoint_format(settings->address, address)));
  json_object_object_add(one, "domain", masc_json_id(s.domain != 0 ? s.domain : settings->domain));
  json_object_object_add(one, "node", masc_json_id(s.node != 0 ? s.node : settings->node));
  if (settings->role == MASC_SIBLING)
    json_object_object_add(one, "parent",
                           settings->parent != 0 ? masc_json_id(settings->parent)
                                                 : masc_json_text("none"));
  add_session(one, peer, &s);
  json_object_object_add(one, "scopes", scopes_json(peer));
  json_object_object_add(one, "sent", number(sum(s.messages_out, MASC_KEEPALIVE + 1)));
  json_object_object_add(one, "received", number(sum(s.messages_in, MASC_KEEPALIVE + 1)));
  json_object_object_add(one, "claims_sent", number(sum(s.claims_out, MASC_N_CLAIM_TYPES)));
  json_object_object_add(one, "claims_received", number(sum(s.claims_in, MASC_N_CLAIM_TYPES)));
  if (types)
    add_types(one, &s);
  return one;
}

static void show_peer(MalCall *call, const Masc *masc, const char *name)
{
  const MascPeering *peer = masc_peer_named(masc, name);
  g_autofree char *why = g_strdup_printf("there is no [masc-peer %s]", name);
  if (peer != NULL)
    mal_call_reply(call, peer_json(peer, true));
  else
    mal_call_fail_literal(call, MAL_ERROR_NOT_FOUND, why);
}

void masc_show_peers(MalCall *call, json_object *params, void *user)
{
  Masc *masc = user;
  const char *only = mal_param_string(params, "peer", NULL);
  masc_step(masc);
  if (only != NULL) {
    show_peer(call, masc, only);
    return;
  }
  json_object *out = json_object_new_object(), *list = json_object_new_array();
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++)
    if (masc->peers[i] != NULL)
      json_object_array_add(list, peer_json(masc->peers[i], false));
  json_object_object_add(out, "domain", masc_json_id(masc->settings->domain));
  json_object_object_add(out, "node", masc_json_id(masc->settings->node));
  json_object_object_add(out, "peers", list);
  mal_call_reply(call, out);
}

/* ---- prefixes and claims --------------------------------------------------------------------- */

static const char *kind_name(MascEntryKind kind)
{
  static const char *const names[] = {
    [MASC_ENTRY_HELD] = "held",           [MASC_ENTRY_LOCAL] = "local",
    [MASC_ENTRY_PENDING] = "ours",        [MASC_ENTRY_PENDING_LOCAL] = "ours, local",
    [MASC_ENTRY_PARENT] = "parent's",     [MASC_ENTRY_SIBLING] = "sibling's",
    [MASC_ENTRY_CHILD] = "child's",       [MASC_ENTRY_DENIED] = "denied",
    [MASC_ENTRY_WITHDRAWN] = "withdrawn",
  };
  return names[kind];
}

typedef struct {
  const MascArea *area;
  uint32_t kinds; /* a bit for each MascEntryKind */
  bool claims;    /* as they were said, and what is of interest of claims */
  json_object *list;
  int64_t skip, left;
  bool more;
} Page;

/* One of ours that was told to nobody yet has no times. */
static void add_claim(json_object *one, const MascEntry *entry)
{
  bool pending = entry->kind == MASC_ENTRY_PENDING || entry->kind == MASC_ENTRY_PENDING_LOCAL;
  bool told = entry->claim.timestamp != 0;
  const char *type = told ? masc_claim_type_name(entry->claim.type) : "not sent yet";
  json_object_object_add(one, "type", masc_json_text(type));
  json_object_object_add(one, "node", masc_json_id(entry->claim.node));
  json_object_object_add(one, "made", told ? mal_json_time((MalTime)entry->claim.timestamp) : NULL);
  if (pending)
    json_object_object_add(one, "due", mal_json_time(entry->due));
}

static json_object *entry_json(const MascArea *area, const MascEntry *entry, bool claims)
{
  json_object *one = json_object_new_object();
  json_object_object_add(one, "scope", masc_json_text(area->scope));
  json_object_object_add(one, "prefix", masc_json_prefix(entry->claim.prefix));
  json_object_object_add(one, "kind", masc_json_text(kind_name(entry->kind)));
  json_object_object_add(one, "domain", masc_json_id(entry->claim.domain));
  json_object_object_add(one, "parent", masc_json_id(entry->parent));
  json_object_object_add(one, "until", entry->until > 0 ? mal_json_time(entry->until) : NULL);
  if (claims)
    add_claim(one, entry);
  if (entry->claim.deprecated)
    json_object_object_add(one, "deprecated", boolean(true));
  if (entry->clash)
    json_object_object_add(one, "clash", boolean(true));
  if (entry->rival != 0)
    json_object_object_add(one, "used_too_by", masc_json_id(entry->rival));
  if (entry->draining)
    json_object_object_add(one, "draining", boolean(true));
  return one;
}

static void add_entry(const MascEntry *entry, void *data)
{
  Page *page = data;
  if ((page->kinds >> entry->kind & 1) == 0 || page->more)
    return;
  if (page->skip > 0) {
    page->skip--;
  } else if (page->left == 0) {
    page->more = true;
  } else {
    page->left--;
    json_object_array_add(page->list, entry_json(page->area, entry, page->claims));
  }
}

static void fill(Masc *masc, const MascArea *only, Page *page)
{
  for (guint i = 0; i < masc->areas->len; i++) {
    page->area = masc_area_at(masc, i);
    if (only != NULL && only != page->area)
      continue;
    if (page->claims)
      masc_zone_each(page->area->zone, masc->now, add_entry, page);
    else
      masc_zone_each_left(page->area->zone, masc->now, add_entry, page);
  }
}

static json_object *usage_json(const Masc *masc, const MascArea *area)
{
  MascZoneUsage u = masc_zone_usage(area->zone, masc->now);
  json_object *one = json_object_new_object();
  json_object_object_add(one, "scope", masc_json_text(area->scope));
  json_object_object_add(one, "top", boolean(masc_settings_is_top(masc->settings, area->place)));
  json_object_object_add(one, "leaf", boolean(u.leaf));
  json_object_object_add(one, "held", number(u.held));
  json_object_object_add(one, "local", number(u.local));
  json_object_object_add(one, "used", number(area->used));
  json_object_object_add(one, "waiting", number(u.waiting));
  json_object_object_add(one, "pending", number(u.n_pending));
  json_object_object_add(one, "cached", number(u.n_cached));
  json_object_object_add(one, "ignored", number(u.n_ignored));
  return one;
}

void masc_show_prefixes(MalCall *call, json_object *params, void *user)
{
  Masc *masc = user;
  MascArea *only;
  masc_step(masc);
  if (!masc_check_scope(masc, call, params, &only))
    return;
  json_object *out = json_object_new_object(), *scopes = json_object_new_array();
  Page page = { .kinds = 1u << MASC_ENTRY_HELD | 1u << MASC_ENTRY_LOCAL | 1u << MASC_ENTRY_PARENT,
                .list = json_object_new_array(),
                .left = INT64_MAX };
  fill(masc, only, &page);
  for (guint i = 0; i < masc->areas->len; i++)
    if (only == NULL || only == masc_area_at(masc, i))
      json_object_array_add(scopes, usage_json(masc, masc_area_at(masc, i)));
  json_object_object_add(out, "prefixes", page.list);
  json_object_object_add(out, "scopes", scopes);
  mal_call_reply(call, out);
}

void masc_show_claims(MalCall *call, json_object *params, void *user)
{
  Masc *masc = user;
  int64_t cursor = MAX(mal_param_integer(params, "cursor", 0), 0);
  int64_t limit = CLAMP(mal_param_integer(params, "limit", PAGE), 1, PAGE_MOST);
  MascArea *only;
  masc_step(masc);
  if (!masc_check_scope(masc, call, params, &only))
    return;
  json_object *out = json_object_new_object();
  Page page = { .kinds = 1u << MASC_ENTRY_PENDING | 1u << MASC_ENTRY_PENDING_LOCAL,
                .claims = true,
                .list = json_object_new_array(),
                .skip = cursor,
                .left = limit };
  if (mal_param_bool(params, "all", false))
    page.kinds |= 1u << MASC_ENTRY_SIBLING | 1u << MASC_ENTRY_CHILD | 1u << MASC_ENTRY_DENIED |
                  1u << MASC_ENTRY_WITHDRAWN;
  fill(masc, only, &page);
  json_object_object_add(out, "claims", page.list);
  json_object_object_add(out, "next", page.more ? number((uint64_t)(cursor + limit)) : NULL);
  mal_call_reply(call, out);
}
