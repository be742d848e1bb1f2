/* The AAP plugin (draft-ietf-malloc-aap-04): descriptor and control methods.

   aap-wire-*, aap-scope, aap-seq, aap-time, aap-ranges  the codec and what is said about messages
   aap-zone, aap-own*, aap-claim, aap-prealloc, aap-pool, aap-conflict, aap-defence, aap-record*,
   aap-choose, aap-asa, aap-asrp, aap-ana                the machine of a server in one scope
   aap-coordinator, aap-used                             that of a prefix coordinator
   aap-auth, aap-keys                                    authentication
   aap-plugin*                                           all that touches the world */
#include <config.h>

#include "aap-plugin.h"
#include "aap-plugin-scopes.h"

#include <string.h>

#define PAGE 100
#define PAGE_MOST 1000
#define ROLES (MAL_ROLE_MAAS | MAL_ROLE_COORDINATOR)

/* ---- hooks ----------------------------------------------------------------------------------- */

static bool check(const MalConfig *config, const MalPlan *plan, uint32_t roles, GError **error)
{
  const MalConfSection *s = mal_config_section(config, "aap");
  AapKeys *keys = NULL;
  if (!mal_conf_check_interfaces(s, "interfaces", error) || !aap_auth_load(s, &keys, error))
    return false;
  g_clear_pointer(&keys, aap_keys_unref);
  return (roles & ROLES) == 0 || aap_scopes_check(s, config, plan->scopes, error);
}

static void *open_instance(const MalHost *host, GError **error)
{
  return aap_plugin_open(host, error);
}

static bool restore(void *instance, const MalRecord *record, GError **error)
{
  (void)error;
  aap_store_restore(instance, record);
  return true;
}

static bool start(void *instance, GError **error)
{
  return aap_plugin_start(instance, error);
}

static MalReload reload(void *instance, const MalConfig *config)
{
  return aap_plugin_reload(instance, config);
}

static void stop(void *instance)
{
  aap_plugin_stop(instance);
}

static void close_instance(void *instance)
{
  aap_plugin_close(instance);
}

static void acquire(void *instance, const MalScope *scope, MalSpan span, uint64_t count,
                    MalTime until)
{
  aap_plugin_acquire(instance, scope, span, count, until);
}

static bool adopt(void *instance, const MalScope *scope, MalSpan span, MalTime until)
{
  return aap_space_adopt(instance, scope, span, until);
}

static void usage(void *instance, const MalScope *scope, MalSpan span, MalUsageFunc func, void *to)
{
  aap_plugin_usage(instance, scope, span, func, to);
}

/* ---- control --------------------------------------------------------------------------------- */

static json_object *text(const char *string)
{
  return json_object_new_string(string);
}

static json_object *number(uint64_t n)
{
  return json_object_new_int64((int64_t)MIN(n, (uint64_t)INT64_MAX));
}

/* With three decimals at most, in JSON's text, too. */
static json_object *rounded(double x)
{
  char out[32];
  g_ascii_formatd(out, sizeof out, "%.3f", CLAMP(x, 0, 1e12));
  for (size_t n = strlen(out); out[n - 1] == '0' && out[n - 2] != '.'; n--)
    out[n - 1] = '\0';
  return json_object_new_double_s(x, out);
}

static json_object *span_json(MalSpan span)
{
  char out[MAL_SPAN_STRLEN];
  return text(mal_span_format(span, out));
}

static json_object *peer_json(MalEndpoint peer)
{
  char out[MAL_ENDPOINT_STRLEN];
  return peer.address.family == MAL_FAMILY_NONE ? NULL : text(mal_endpoint_format(peer, out));
}

static const char *kind_name(AapEntryKind kind)
{
  static const char *const names[] = {
    [AAP_ENTRY_OWN] = "own",
    [AAP_ENTRY_OWN_WRITING] = "own, being written",
    [AAP_ENTRY_CLAIM] = "claimed",
    [AAP_ENTRY_POOL_TENTATIVE] = "preallocating",
    [AAP_ENTRY_POOL] = "preallocated",
    [AAP_ENTRY_FOREIGN] = "foreign",
    [AAP_ENTRY_FOREIGN_PREALLOCATED] = "foreign, preallocated",
    [AAP_ENTRY_FOREIGN_CLAIMED] = "foreign, claimed",
    [AAP_ENTRY_ENDED] = "ended",
    [AAP_ENTRY_TOMBSTONE] = "tombstone",
  };
  return names[kind];
}

typedef struct {
  const AapServed *served;
  json_object *records;
  int64_t skip, left, now;
  bool more;
} Page;

static void add_record(const AapEntry *entry, void *data)
{
  Page *page = data;
  if (page->skip > 0) {
    page->skip--;
    return;
  }
  if (page->left == 0) {
    page->more = true;
    return;
  }
  page->left--;
  json_object *one = json_object_new_object();
  json_object_object_add(one, "scope", text(page->served->scope->id));
  json_object_object_add(one, "addresses", span_json(entry->span));
  json_object_object_add(one, "kind", text(kind_name(entry->kind)));
  json_object_object_add(one, "end", mal_json_time(entry->end));
  json_object_object_add(one, "peer", peer_json(entry->peer));
  json_object_object_add(one, "heard_s",
                         entry->heard != 0
                             ? json_object_new_int64((page->now - entry->heard) / AAP_US)
                             : NULL);
  if (entry->suspended)
    json_object_object_add(one, "suspended", json_object_new_boolean(true));
  json_object_array_add(page->records, one);
}

static bool known_scope(const Aap *aap, const char *id, MalCall *call)
{
  if (id == NULL || aap_served_find(aap, id) != NULL)
    return true;
  g_autofree char *why = g_strdup_printf("no scope called %s is served by AAP", id);
  mal_call_fail_literal(call, MAL_ERROR_NOT_FOUND, why);
  return false;
}

static void records(MalCall *call, json_object *params, void *user)
{
  Aap *aap = user;
  const char *id = mal_param_string(params, "scope", NULL);
  int64_t cursor = MAX(mal_param_integer(params, "cursor", 0), 0);
  int64_t limit = CLAMP(mal_param_integer(params, "limit", PAGE), 1, PAGE_MOST);
  if (!known_scope(aap, id, call))
    return;
  AapNow now = aap_now(aap);
  Page page = { .records = json_object_new_array(), .skip = cursor, .left = limit,
                .now = now.mono };
  for (guint i = 0; i < aap->served->len; i++) {
    page.served = g_ptr_array_index(aap->served, i);
    if (page.served->zone != NULL && (id == NULL || strcmp(page.served->scope->id, id) == 0))
      aap_zone_each(page.served->zone, now, add_record, &page);
  }
  json_object *out = json_object_new_object();
  json_object_object_add(out, "records", page.records);
  json_object_object_add(out, "next",
                         page.more ? json_object_new_int64(cursor + limit) : NULL);
  mal_call_reply(call, out);
}

static const char *state_name(AapCoordinatorState state)
{
  static const char *const names[] = {
    [AAP_COORDINATOR_INIT] = "nothing to announce",
    [AAP_COORDINATOR_BACKUP] = "backup",
    [AAP_COORDINATOR_LEAD] = "leads",
    [AAP_COORDINATOR_SUSPENDED] = "suspended",
  };
  return names[state];
}

static void add_request(MalEndpoint peer, uint64_t count, MalTime end, void *data)
{
  json_object *one = json_object_new_object();
  json_object_object_add(one, "peer", peer_json(peer));
  json_object_object_add(one, "count", number(count));
  json_object_object_add(one, "end", mal_json_time(end));
  json_object_array_add(data, one);
}

static void add_usage(const AapServed *served, json_object *one, AapNow now)
{
  AapZoneUsage u = aap_zone_usage(served->zone, now);
  json_object *requests = json_object_new_array();
  json_object_object_add(one, "state", text(u.listening ? "listening" : "taking part"));
  if (u.listening)
    json_object_object_add(one, "listens_s",
                           number((uint64_t)(MAX(u.startup_ends - now.mono, 0) / AAP_US + 1)));
  json_object_object_add(one, "available", number(u.available));
  json_object_object_add(one, "own", number(u.own));
  json_object_object_add(one, "own_free", number(u.own_free));
  json_object_object_add(one, "blocks", number(u.own_blocks));
  json_object_object_add(one, "preallocated", number(u.pool));
  json_object_object_add(one, "preallocating", number(u.pool_tentative));
  json_object_object_add(one, "target", number(u.pool_target));
  json_object_object_add(one, "per_hour", json_object_new_int64((int64_t)(u.demand + 0.5)));
  json_object_object_add(one, "foreign", number(u.foreign));
  json_object_object_add(one, "foreign_preallocated", number(u.foreign_preallocated));
  json_object_object_add(one, "claims", number(u.claims));
  json_object_object_add(one, "defences", number(u.defences));
  json_object_object_add(one, "entries", number(u.entries));
  if (!served->scope->divisible) {
    json_object_put(requests);
    return;
  }
  aap_zone_each_request(served->zone, add_request, requests);
  json_object_object_add(one, "asa_expires",
                         u.asa_expires == MAL_BEGINNING ? NULL : mal_json_time(u.asa_expires));
  json_object_object_add(one, "requests", requests);
}

static void pool(MalCall *call, json_object *params, void *user)
{
  Aap *aap = user;
  json_object *out = json_object_new_object(), *scopes = json_object_new_array();
  char group[MAL_ADDRESS_STRLEN];
  (void)params;
  for (guint i = 0; i < aap->served->len; i++) {
    const AapServed *served = g_ptr_array_index(aap->served, i);
    json_object *one = json_object_new_object();
    json_object_object_add(one, "scope", text(served->scope->id));
    json_object_object_add(
        one, "group",
        text(mal_address_format(g_array_index(aap->places, AapPlace, i).group, group)));
    json_object_object_add(one, "large", json_object_new_boolean(served->scope->divisible));
    if (served->zone != NULL)
      add_usage(served, one, aap_now(aap));
    if (served->coordinator != NULL)
      json_object_object_add(one, "coordinator",
                             text(state_name(aap_coordinator_state(served->coordinator))));
    json_object_array_add(scopes, one);
  }
  aap_news_gauges(aap);
  json_object_object_add(out, "scopes", scopes);
  json_object_object_add(out, "interfaces", aap_links_describe(aap->links));
  mal_call_reply(call, out);
}

static void peers(MalCall *call, json_object *params, void *user)
{
  Aap *aap = user;
  json_object *out = json_object_new_object(), *list = json_object_new_array();
  g_autoptr(GArray) all = aap_peers_list(aap->peers);
  int64_t now = aap_now(aap).mono;
  (void)params;
  for (guint i = 0; i < all->len; i++) {
    const AapPeer *peer = &g_array_index(all, AapPeer, i);
    json_object *one = json_object_new_object(), *messages = json_object_new_object();
    for (unsigned t = 0; t < AAP_N_TYPES; t++)
      json_object_object_add(messages, aap_type_name(t), number(peer->messages[t]));
    json_object_object_add(one, "peer", peer_json(peer->endpoint));
    json_object_object_add(one, "heard_s", json_object_new_int64((now - peer->heard) / AAP_US));
    json_object_object_add(one, "skew_s", json_object_new_int64(peer->skew));
    json_object_object_add(one, "lost", number(peer->loss.lost));
    json_object_object_add(one, "loss", rounded(aap_loss_share(&peer->loss)));
    json_object_object_add(one, "repeated", number(peer->loss.repeated));
    json_object_object_add(one, "restarts", number(peer->loss.restarts));
    json_object_object_add(one, "messages", messages);
    json_object_array_add(list, one);
  }
  json_object_object_add(out, "peers", list);
  mal_call_reply(call, out);
}

static void announce(MalCall *call, json_object *params, void *user)
{
  json_object *out = json_object_new_object();
  (void)params;
  json_object_object_add(out, "messages", number(aap_plugin_announce(user)));
  mal_call_reply(call, out);
}

static void keys(MalCall *call, json_object *params, void *user)
{
  (void)params;
  mal_call_reply(call, aap_auth_describe(user));
}

static const MalParam records_params[] = {
  { "scope", MAL_PARAM_STRING, false, "only this scope" },
  { "cursor", MAL_PARAM_INTEGER, false, "\"next\" of the page before" },
  { "limit", MAL_PARAM_INTEGER, false, "records a page; 100, at most 1000" },
};

static const MalMethod methods[] = {
  { .name = "aap.records", .access = MAL_ACCESS_READ, .params = records_params,
    .n_params = G_N_ELEMENTS(records_params), .handle = records,
    .help = "The Allocation Record, a page at a time: own allocations, claims and preallocations, "
            "and those of others with who was last heard with them, and how many seconds ago "
            "(\"heard_s\"). "
            "\"next\" is the cursor of the next page, or null." },
  { .name = "aap.pool", .access = MAL_ACCESS_READ, .handle = pool,
    .help = "For each scope: how many addresses are available, owned, free, preallocated (and how "
            "many should be), and what is known of others; and the interfaces." },
  { .name = "aap.peers", .access = MAL_ACCESS_READ, .handle = peers,
    .help = "Who was heard: how many seconds ago (\"heard_s\"), how far its clock is ahead "
            "(\"skew_s\", seconds), what was lost by its sequence numbers (\"loss\": what share), and "
            "messages by type. A server with several interfaces in the domain is heard from each of "
            "its addresses, and listed so often." },
  { .name = "aap.announce", .access = MAL_ACCESS_WRITE, .handle = announce,
    .help = "Announces own allocations now, and a leading prefix coordinator's ranges; answers "
            "with the number of messages that leave." },
  { .name = "aap.keys", .access = MAL_ACCESS_READ, .handle = keys,
    .help = "Names and kinds of the keys in use (never a secret), the one that is sent with, and "
            "this server's sender number." },
};

MAL_API const MalPlugin mal_plugin;
const MalPlugin mal_plugin = {
  .abi = MAL_PLUGIN_ABI,
  .name = "aap",
  .version = PACKAGE_VERSION,
  .summary = "Multicast Address Allocation Protocol (draft-ietf-malloc-aap-04)",
  .roles = ROLES,
  .groups = aap_conf_groups,
  .n_groups = AAP_N_CONF_GROUPS,
  .methods = methods,
  .n_methods = G_N_ELEMENTS(methods),
  .events = aap_events,
  .n_events = AAP_N_EVENTS,
  .metrics = aap_metrics,
  .n_metrics = AAP_N_METRICS,
  .check = check,
  .open = open_instance,
  .restore = restore,
  .start = start,
  .reload = reload,
  .stop = stop,
  .close = close_instance,
  .acquire = acquire,
  .adopt = adopt,
  .usage = usage,
};
