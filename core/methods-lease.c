/* Methods about leases. */
#include "methods.h"

#include <string.h>

#define PAGE 100
#define PAGE_MOST 1000
#define LIFETIME 3600
#define COUNT_MOST 65536
#define START_LATE 5            /* seconds that a start may be past before that is worth a word */
#define WAIT_MOST 600           /* seconds that the engine lets a request wait for space */
#define LIFETIME_MOST (100 * INT64_C(31557600))
#define YEAR_10000 INT64_C(253402300800)

json_object *mal_json_lease(const MalLease *lease, const char *via)
{
  json_object *o = json_object_new_object(), *addresses = json_object_new_array();
  g_autofree char *hex = mal_lease_id_to_hex(lease->id);
  for (size_t i = 0; i < lease->n_blocks; i++) {
    char text[MAL_SPAN_STRLEN];
    json_object_array_add(addresses,
                          json_object_new_string(mal_block_format(lease->blocks[i], text)));
  }
  json_add_string(o, "lease", hex);
  json_add_string(o, "scope", lease->scope);
  json_object_object_add(o, "addresses", addresses);
  json_add_count(o, "count", mal_lease_addresses(lease));
  json_add_time(o, "start", lease->start);
  json_add_time(o, "end", lease->end);
  json_add_int(o, "pad", lease->pad);
  json_add_time(o, "granted", lease->granted);
  json_add_address(o, "client", lease->client);
  json_add_string(o, "origin", lease->origin);
  json_add_string(o, "state", lease->flags & MAL_LEASE_HELD      ? "held"
                              : lease->flags & MAL_LEASE_PENDING ? "pending"
                                                                 : "leased");
  json_add_bool(o, "shared", lease->flags & MAL_LEASE_SHARED);
  json_add_string(o, "via", via);
  return o;
}

static MalLeaseId id_of(json_object *params, uint8_t bytes[MAL_LEASE_ID_MAX])
{
  const char *hex = mal_param_string(params, "lease", "");
  return (MalLeaseId){ bytes, mal_lease_id_from_hex(hex, bytes, NULL) };
}

/* ---- list, get ------------------------------------------------------------------------------- */

static void add_client_leases(MalCore *core, json_object *o)
{
  json_object *list = json_object_new_array();
  for (size_t i = 0; i < mal_core_plugins(core); i++) {
    MalPluginStatus s = mal_core_plugin(core, i);
    if (s.instance && s.plugin->client && s.plugin->client->list)
      s.plugin->client->list(s.instance, list);
  }
  if (json_object_array_length(list) > 0)
    json_object_object_add(o, "client_leases", list);
  else
    json_object_put(list);
}

static void lease_list(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  bool failed;
  MalLeaseFilter filter = { .scope = method_scope(core, call, params, &failed),
                            .holds = mal_param_bool(params, "holds", false) };
  if (failed)
    return;
  const char *text = mal_param_string(params, "client", NULL);
  if (text)
    mal_address_parse(text, &filter.client, NULL);
  text = mal_param_string(params, "address", NULL);
  if (text)
    mal_span_parse(text, &filter.span, NULL);
  int64_t limit = CLAMP(mal_param_integer(params, "limit", PAGE), 1, PAGE_MOST);
  uint64_t cursor = (uint64_t)MAX(mal_param_integer(params, "cursor", 0), 0);
  bool first = cursor == 0;
  json_object *o = json_object_new_object(), *list = json_object_new_array();
  MalLease lease;
  int64_t n = 0;
  while (n < limit && mal_leases_next(mal_core_leases(core), &filter, &cursor, &lease)) {
    json_object_array_add(list, mal_json_lease(&lease, NULL));
    n++;
  }
  json_object_object_add(o, "leases", list);
  json_object_object_add(o, "next", n == limit ? json_object_new_int64((int64_t)cursor) : NULL);
  json_add_count(o, "total", mal_leases_totals(mal_core_leases(core), NULL).leases);
  if (first)
    add_client_leases(core, o);
  mal_call_reply(call, o);
}

static void fail_unknown_lease(MalCall *call, json_object *params)
{
  g_autoptr(GError) error =
      g_error_new(MAL_ERROR, MAL_ERROR_NOT_FOUND, "no live lease has the identifier %s",
                  mal_param_string(params, "lease", ""));
  mal_call_fail(call, error);
}

static void lease_get(MalCall *call, json_object *params, void *user)
{
  uint8_t bytes[MAL_LEASE_ID_MAX];
  MalLeaseId id = id_of(params, bytes);
  MalLease lease;
  if (mal_leases_get(mal_core_leases(user), id, &lease)
      || mal_leases_get_hold(mal_core_leases(user), id, &lease))
    mal_call_reply(call, mal_json_lease(&lease, NULL));
  else
    fail_unknown_lease(call, params);
}

/* ---- changes --------------------------------------------------------------------------------- */

static void on_changed(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  MalCall *call = (MalCall *)(uintptr_t)cookie;
  (void)user;
  if (error)
    mal_call_fail(call, error);
  else
    mal_call_reply(call, mal_json_lease(lease, NULL));
}

/* Who went away while it waited, and left it to us to choose an identifier, will never know it. */
static void on_leased(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  const MalCall *call = (const MalCall *)(uintptr_t)cookie;
  MalCore *core = user;
  if (lease && mal_call_is_gone(call)) {
    uint8_t bytes[MAL_LEASE_ID_MAX];
    MalLeaseId id = { bytes, lease->id.length };
    MalRefusal why;
    memcpy(bytes, lease->id.bytes, id.length);
    on_changed(lease, error, user, cookie);
    mal_leases_release(mal_core_leases(core), id, mal_runtime_now(mal_core_runtime(core)),
                       "nobody waited for it any more", NULL, NULL, 0, &why);
    return;
  }
  on_changed(lease, error, user, cookie);
}

/* The lease as it was, so that whoever gave it back sees what is free now. */
static void on_released(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  MalCall *call = (MalCall *)(uintptr_t)cookie;
  (void)user;
  if (error) {
    mal_call_fail(call, error);
    return;
  }
  json_object *o = mal_json_lease(lease, NULL);
  json_add_string(o, "state", "released");
  mal_call_reply(call, o);
}

static bool plugin_for(MalCore *core, MalCall *call, const char *via, MalPluginStatus *out)
{
  for (size_t i = 0; i < mal_core_plugins(core); i++) {
    *out = mal_core_plugin(core, i);
    if (strcmp(out->plugin->name, via) != 0)
      continue;
    if (out->instance && out->plugin->client)
      return true;
    g_autoptr(GError) error = g_error_new(
        MAL_ERROR, MAL_ERROR_PLUGIN, "plugin %s is %s and can't lease for a local program%s", via,
        out->state, mal_core_roles(core) & MAL_ROLE_CLIENT ? "" : ": add client to [daemon] roles");
    mal_call_fail(call, error);
    return false;
  }
  g_autoptr(GError) error =
      g_error_new(MAL_ERROR, MAL_ERROR_NOT_FOUND,
                  "via %s: no such plugin is loaded; say \"local\" or a plugin's name", via);
  mal_call_fail(call, error);
  return false;
}

static GArray *blocks_of(MalSpan span)
{
  GArray *blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  MalBlock block = mal_block_make(span.first, (uint32_t)mal_span_size(span));
  g_array_append_val(blocks, block);
  return blocks;
}

static void fail_text(MalCall *call, const char *text)
{
  mal_call_fail_params(call, text);
}

/* count N, or min and max; an address names them itself. */
static bool counts_of(MalCall *call, json_object *params, MalLeaseRequest *r)
{
  int64_t count = mal_param_integer(params, "count", 1);
  int64_t min = mal_param_integer(params, "min", count),
          max = mal_param_integer(params, "max", MAX(count, min));
  if (mal_param_given(params, "count")
      && (mal_param_given(params, "min") || mal_param_given(params, "max"))) {
    fail_text(call, "lease.request: say either \"count\", or \"min\" and \"max\"");
    return false;
  }
  if (!mal_param_given(params, "min") && mal_param_given(params, "max"))
    min = 1;
  if (min < 1 || max < min || max > COUNT_MOST) {
    fail_text(
        call,
        "lease.request: the number of addresses must be 1 to 65536, and \"min\" at most \"max\"");
    return false;
  }
  r->min = (uint32_t)min;
  r->desired = (uint32_t)max;
  return true;
}

/* An address names how many by itself: a number beside it may only agree. */
static bool counts_fit(json_object *params, const MalLeaseRequest *r, uint64_t named)
{
  bool given = mal_param_given(params, "count") || mal_param_given(params, "min")
               || mal_param_given(params, "max");
  return !given || (named >= r->min && named <= r->desired);
}

/* "now" is ours to say. */
static MalTime time_of(json_object *params, const char *name, MalTime now, MalTime fallback)
{
  MalTime t = mal_param_integer(params, name, fallback);
  return t == MAL_BEGINNING && mal_param_given(params, name) ? now : t;
}

/* Where other servers have a say, to have nothing at this instant is the usual case. */
static bool waits(MalCore *core, json_object *params)
{
  return mal_param_bool(params, "wait", mal_space_acquires(mal_core_space(core)));
}

static bool times_of(MalCore *core, MalCall *call, json_object *params, MalTime now,
                     MalLeaseRequest *r)
{
  r->start = time_of(params, "start", now, now);
  /* Who waits for space can't have it now. */
  int64_t slack = waits(core, params) ? WAIT_MOST : 0;
  r->max_start = time_of(params, "max_start", now, mal_time_add(MAX(r->start, now), slack));
  r->lifetime = mal_param_integer(params, "lifetime", LIFETIME);
  r->min_lifetime = mal_param_integer(params, "min_lifetime", r->lifetime);
  r->pad = mal_param_integer(params, "pad", 0);
  if (r->lifetime <= 0 || r->lifetime > LIFETIME_MOST || r->min_lifetime > r->lifetime) {
    fail_text(call, "lease.request: \"lifetime\" must be above 0 and at most 100 years, and "
                    "\"min_lifetime\" not above it");
    return false;
  }
  if (r->start > YEAR_10000) {
    fail_text(call, "lease.request: \"start\" is too far away");
    return false;
  }
  if (r->pad < 0 || r->pad > UINT32_MAX) {
    fail_text(call, "lease.request: \"pad\" is out of range");
    return false;
  }
  return true;
}

static void say_waiting(const MalSpace *space, MalCall *call, const MalScope *scope, MalTime now)
{
  int64_t listens = mal_space_listens(space, scope, now);
  if (listens > 0)
    mal_call_progress(call,
                      "no space in scope %s yet: after its start this server listens to the others "
                      "for %" G_GINT64_FORMAT " s more before it takes addresses for itself",
                      scope->id, listens);
  else
    mal_call_progress(call, "no space in scope %s; more has been asked for", scope->id);
}

static void request_local(MalCore *core, MalCall *call, json_object *params)
{
  MalTime now = mal_runtime_now(mal_core_runtime(core));
  uint8_t bytes[MAL_LEASE_ID_MAX] = { 0 };
  bool failed;
  MalLeaseRequest r = { .scope = method_scope(core, call, params, &failed), .origin = "control",
                        .flags = mal_param_bool(params, "shared", false) ? MAL_LEASE_SHARED : 0 };
  if (failed || !counts_of(call, params, &r) || !times_of(core, call, params, now, &r))
    return;
  r.id = id_of(params, bytes);
  if (!mal_param_given(params, "lease")) {
    mal_runtime_random(mal_core_runtime(core), bytes + 1, 16);
    r.id.length = 17;
  }
  MalSpan span;
  g_autoptr(GArray) named = NULL;
  const char *address = mal_param_string(params, "address", NULL);
  if (address && mal_span_parse(address, &span, NULL)) {
    if (mal_span_size(span) > COUNT_MOST) {
      fail_text(call, "lease.request: \"address\" names more than 65536 addresses");
      return;
    }
    if (!counts_fit(params, &r, (uint64_t)mal_span_size(span))) {
      fail_text(call,
                "lease.request: \"address\" names another number of addresses than asked for");
      return;
    }
    named = blocks_of(span);
    r.named = (const MalBlock *)(void *)named->data;
    r.n_named = named->len;
  }
  /* Clocks differ by a little, and a call takes its time. */
  if (mal_time_add(r.start, START_LATE) < now)
    mal_call_progress(call, "the start that was asked for is past: the lease begins now at "
                            "the earliest");
  MalRefusal why;
  r.may_wait = waits(core, params);
  MalLeaseFunc done = mal_param_given(params, "lease") ? on_changed : on_leased;
  MalAnswer answer =
      mal_leases_request(mal_core_leases(core), &r, now, done, core, (uintptr_t)call, &why);
  if (answer == MAL_ANSWER_WAITING)
    say_waiting(mal_core_space(core), call, r.scope, now);
  if (answer != MAL_ANSWER_REFUSED)
    return;
  g_autoptr(GError) error = mal_leases_refusal_error(mal_core_leases(core), &r, now, &why);
  mal_call_fail(call, error);
}

static void lease_request(MalCall *call, json_object *params, void *user)
{
  const char *via = mal_param_string(params, "via", "local");
  MalPluginStatus plugin;
  if (strcmp(via, "local") == 0) {
    if (!mal_param_given(params, "scope"))
      fail_text(call, "lease.request: parameter \"scope\" is missing");
    else if (mal_param_given(params, "server") || mal_param_given(params, "interface"))
      fail_text(call, "lease.request: \"server\" and \"interface\" go with \"via\" and a plugin "
                      "that asks there");
    else
      request_local(user, call, params);
    return;
  }
  if (plugin_for(user, call, via, &plugin))
    plugin.plugin->client->request(plugin.instance, call, params);
}

/* The plugin that holds this lease for a local program, if one does. */
static bool held_by_plugin(MalCore *core, MalLeaseId id, MalPluginStatus *out)
{
  for (size_t i = 0; i < mal_core_plugins(core); i++) {
    *out = mal_core_plugin(core, i);
    const MalClientHooks *client = out->plugin->client;
    if (out->instance && client && client->holds && client->holds(out->instance, id))
      return true;
  }
  return false;
}

/* The plugin that "via" names (whether it knows the lease is for it to say), else the one that
   holds the lease: also where this daemon is its server, too, since that hears of it then. *FAILED:
   there is none of that name, and the call was told. */
static bool plugin_of(MalCore *core, MalCall *call, json_object *params, MalLeaseId id,
                      MalPluginStatus *out, bool *failed)
{
  const char *via = mal_param_string(params, "via", NULL);
  *failed = false;
  if (!via)
    return held_by_plugin(core, id, out);
  if (strcmp(via, "local") == 0)
    return false;
  *failed = !plugin_for(core, call, via, out);
  return !*failed;
}

static void fail_refused(MalCall *call, json_object *params, const MalRefusal *why)
{
  if (why->code == MAL_ERROR_NOT_FOUND) {
    fail_unknown_lease(call, params);
    return;
  }
  const char *text =
      why->code == MAL_ERROR_STORE ? "nothing can be changed while the store can't be written"
      : why->code == MAL_ERROR_LIMIT ? "too many changes of this lease wait for the disk: try again"
      : why->code == MAL_ERROR_INVALID
          ? "the lifetime must be above 0 and at most 100 years, and min_lifetime not above it"
      : why->part == MAL_REFUSED_LIFETIME ? "the addresses are not free for so long: somebody else "
                                            "has them later, or their range ends"
                                          : "the lease can't have this period";
  mal_call_fail_literal(call, why->code, text);
}

/* Layer 2 was asked for longer by the refusal itself: its answer comes too late for this call. */
static bool may_come(MalCore *core, MalLeaseId id, const MalRenewal *r, MalTime now)
{
  MalLeases *leases = mal_core_leases(core);
  MalSpace *space = mal_core_space(core);
  MalLease lease;
  bool some = false;
  if (!mal_leases_get(leases, id, &lease))
    return false;
  const MalScope *scope = mal_scope_set_find(mal_leases_scopes(leases), lease.scope);
  MalTime begin = MAX(r->start == MAL_BEGINNING ? lease.start : r->start, now);
  MalTime until = mal_time_add(mal_time_add(begin, r->lifetime), lease.pad);
  for (size_t i = 0; i < lease.n_blocks; i++) {
    MalSpan span = mal_span_of_block(lease.blocks[i]);
    if (!mal_space_covers(space, MAL_LEVEL_AVAILABLE, scope, span, until))
      return false;
    some = some || !mal_space_covers(space, MAL_LEVEL_OWNED, scope, span, until);
  }
  return some && mal_space_acquires(space);
}

/* Who renews without a word must not make the lease shorter. */
static int64_t usual_lifetime(const MalLease *lease, MalTime now)
{
  return CLAMP(lease->end - MAX(lease->start, now), LIFETIME, LIFETIME_MOST);
}

static void lease_renew(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  uint8_t bytes[MAL_LEASE_ID_MAX];
  MalLeaseId id = id_of(params, bytes);
  MalPluginStatus plugin;
  MalLease lease;
  MalRefusal why;
  MalTime now = mal_runtime_now(mal_core_runtime(core));
  bool failed, here = mal_leases_get(mal_core_leases(core), id, &lease);
  if (plugin_of(core, call, params, id, &plugin, &failed)) {
    plugin.plugin->client->renew(plugin.instance, call, params);
    return;
  }
  if (failed)
    return;
  int64_t lifetime =
      mal_param_integer(params, "lifetime", here ? usual_lifetime(&lease, now) : LIFETIME);
  if (lifetime > LIFETIME_MOST || time_of(params, "start", now, 0) > YEAR_10000) {
    fail_text(
        call,
        "lease.renew: \"lifetime\" is at most 100 years, and \"start\" before the year 10000");
    return;
  }
  MalRenewal renewal = { .start = time_of(params, "start", now, MAL_BEGINNING),
                         .max_start = MAL_FOREVER,
                         .lifetime = lifetime,
                         .min_lifetime = mal_param_integer(params, "min_lifetime", lifetime) };
  if (mal_leases_renew(mal_core_leases(core), id, &renewal, now, on_changed, core, (uintptr_t)call,
                       &why)
      != MAL_ANSWER_REFUSED)
    return;
  if (why.part == MAL_REFUSED_LIFETIME && why.code == MAL_ERROR_NO_SPACE
      && may_come(core, id, &renewal, now))
    mal_call_fail_literal(call, MAL_ERROR_NO_SPACE,
                          "this server does not own the addresses for so long yet; the other "
                          "servers have been asked: try again in half a minute");
  else
    fail_refused(call, params, &why);
}

static void lease_release(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  uint8_t bytes[MAL_LEASE_ID_MAX];
  MalLeaseId id = id_of(params, bytes);
  MalPluginStatus plugin;
  MalRefusal why;
  bool failed;
  if (plugin_of(core, call, params, id, &plugin, &failed)) {
    plugin.plugin->client->release(plugin.instance, call, params);
    return;
  }
  if (failed)
    return;
  if (mal_leases_release(mal_core_leases(core), id, mal_runtime_now(mal_core_runtime(core)),
                         "released", on_released, core, (uintptr_t)call, &why)
      == MAL_ANSWER_REFUSED)
    fail_refused(call, params, &why);
}

static const MalParam list_params[] = {
  { "scope", MAL_PARAM_STRING, false, "only leases of this scope" },
  { "client", MAL_PARAM_ADDRESS, false, "only leases that this host took" },
  { "address", MAL_PARAM_SPAN, false, "only leases that hold one of these addresses" },
  { "holds", MAL_PARAM_BOOL, false, "offers that are held, too" },
  { "cursor", MAL_PARAM_INTEGER, false, "\"next\" of the page before" },
  { "limit", MAL_PARAM_INTEGER, false, "leases a page; 100, at most 1000" },
};
static const MalParam get_params[] = {
  { "lease", MAL_PARAM_LEASE_ID, true, "the lease identifier" },
};
static const MalParam request_params[] = {
  { "scope", MAL_PARAM_STRING, false, "the scope to lease from; via a plugin it may choose" },
  { "count", MAL_PARAM_INTEGER, false, "how many addresses; 1" },
  { "min", MAL_PARAM_INTEGER, false, "instead of count: at least so many" },
  { "max", MAL_PARAM_INTEGER, false, "with min: at most so many" },
  { "lifetime", MAL_PARAM_DURATION, false, "for how long; 1h" },
  { "min_lifetime", MAL_PARAM_DURATION, false, "accept a shorter lease, but not below this" },
  { "start", MAL_PARAM_TIME, false, "when the lease begins; now" },
  { "max_start", MAL_PARAM_TIME, false,
    "accept a later start, but not after this; with wait: ten minutes" },
  { "address", MAL_PARAM_SPAN, false, "exactly these addresses" },
  { "lease", MAL_PARAM_LEASE_ID, false, "the identifier to use; a random one" },
  { "pad", MAL_PARAM_DURATION, false, "hold the addresses so much longer on both sides; 0" },
  { "shared", MAL_PARAM_BOOL, false,
    "whoever knows the identifier may change the lease (RFC 2730 2.13.3)" },
  { "wait", MAL_PARAM_BOOL, false,
    "wait for space instead of failing, where a plugin can bring some; unless told otherwise: yes "
    "where one coordinates with other servers, who answer in seconds" },
  { "renew", MAL_PARAM_BOOL, false, "via a plugin: renew it until it is released; yes" },
  { "via", MAL_PARAM_STRING, false, "\"local\": from this server; a plugin's name: as its client" },
  { "server", MAL_PARAM_STRING, false, "via a plugin: the server to ask" },
  { "interface", MAL_PARAM_STRING, false, "via a plugin: the interface to ask on" },
};
static const MalParam renew_params[] = {
  { "lease", MAL_PARAM_LEASE_ID, true, "the lease identifier" },
  { "lifetime", MAL_PARAM_DURATION, false,
    "from now, or from the start of a lease that hasn't begun; 1h, but no shorter than it is" },
  { "min_lifetime", MAL_PARAM_DURATION, false, "accept a shorter one, but not below this" },
  { "start", MAL_PARAM_TIME, false, "a new start" },
  { "via", MAL_PARAM_STRING, false,
    "\"local\": as the server; a plugin's name: as its client; else whoever holds it" },
  { "server", MAL_PARAM_STRING, false, "via a plugin: the server to ask" },
};
static const MalParam release_params[] = {
  { "lease", MAL_PARAM_LEASE_ID, true, "the lease identifier" },
  { "via", MAL_PARAM_STRING, false,
    "\"local\": as the server; a plugin's name: as its client; else whoever holds it" },
  { "server", MAL_PARAM_STRING, false, "via a plugin: the server to ask" },
};

const MalMethod mal_methods_lease[] = {
  { "lease.list", MAL_ACCESS_READ, list_params, G_N_ELEMENTS(list_params),
    "Live leases, a page at a time; \"next\" is the cursor of the next page, or null.",
    lease_list },
  { "lease.get", MAL_ACCESS_READ, get_params, G_N_ELEMENTS(get_params), "One lease.", lease_get },
  { "lease.request", MAL_ACCESS_WRITE, request_params, G_N_ELEMENTS(request_params),
    "Leases addresses. Answers with the lease once it is durable; refuses with the counts that "
    "say why.",
    lease_request },
  { "lease.renew", MAL_ACCESS_WRITE, renew_params, G_N_ELEMENTS(renew_params),
    "Changes a lease's period.", lease_renew },
  { "lease.release", MAL_ACCESS_WRITE, release_params, G_N_ELEMENTS(release_params),
    "Gives a lease back, for everybody to use.", lease_release },
};
const size_t mal_methods_lease_n = G_N_ELEMENTS(mal_methods_lease);
