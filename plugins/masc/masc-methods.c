/* Control methods: those that change something, and the table of all. */
#include "masc-methods.h"

#include <string.h>

/* ---- what is meant --------------------------------------------------------------------------- */

static bool fail(MalCall *call, const char *text, const char *what)
{
  g_autofree char *why = g_strdup_printf("\"%s\" %s", text, what);
  mal_call_fail_params(call, why);
  return false;
}

static void fail_unscoped(MalCall *call, json_object *params)
{
  g_autoptr(GError) error =
      g_error_new(MAL_ERROR, MAL_ERROR_NOT_FOUND,
                  "%s: that is in no scope that MASC claims in (masc prefixes lists them)",
                  mal_param_string(params, "prefix", ""));
  mal_call_fail(call, error);
}

/* Of `scope`, or of the only one that can be meant. */
static MascArea *area_for(Masc *masc, MalCall *call, json_object *params, MalPrefix prefix)
{
  MascArea *found;
  if (!masc_check_scope(masc, call, params, &found) || found != NULL)
    return found;
  for (guint i = 0; i < masc->areas->len; i++) {
    MascArea *area = masc_area_at(masc, i);
    bool in = prefix.address.family == MAL_FAMILY_NONE ||
              (prefix.address.family == area->span.first.family &&
               mal_span_contains(area->span, mal_span_of_prefix(prefix)));
    if (in && found != NULL) {
      mal_call_fail_params(call, "several scopes are claimed in: say which one (scope)");
      return NULL;
    }
    found = in ? area : found;
  }
  if (found == NULL)
    fail_unscoped(call, params);
  return found;
}

/* "A/len", or "/len" for any of that length: family NONE then. */
static bool prefix_of(MalCall *call, json_object *params, bool any, MalPrefix *out)
{
  const char *text = mal_param_string(params, "prefix", "");
  guint64 length;
  *out = (MalPrefix){ mal_address_none(), 0 };
  if (any && *text == '/' && g_ascii_string_to_unsigned(text + 1, 10, 4, 128, &length, NULL)) {
    out->length = (unsigned)length;
    return true;
  }
  if (strchr(text, '/') != NULL && mal_prefix_parse(text, out, NULL) &&
      mal_address_is_multicast(out->address))
    return true;
  return fail(call, text,
              any ? "is no multicast prefix (\"A/length\"), nor \"/length\""
                  : "is no multicast prefix (\"A/length\")");
}

static void answer(Masc *masc, MalCall *call, bool ok, GError *error)
{
  masc_settle(masc);
  if (ok) {
    json_object *out = json_object_new_object();
    json_object_object_add(out, "ok", json_object_new_boolean(true));
    mal_call_reply(call, out);
  } else {
    mal_call_fail(call, error);
  }
}

static void answer_about(Masc *masc, MalCall *call, json_object *params, bool ok, GError *error)
{
  if (error != NULL) {
    g_autofree char *why = error->message;
    error->message = g_strdup_printf("%s: %s", mal_param_string(params, "prefix", ""), why);
  }
  answer(masc, call, ok, error);
}

/* ---- changes --------------------------------------------------------------------------------- */

static void claim(MalCall *call, json_object *params, void *user)
{
  Masc *masc = user;
  g_autoptr(GError) error = NULL;
  MalPrefix prefix;
  masc_step(masc);
  int64_t lifetime = mal_param_integer(params, "lifetime", masc->params.prefix_lifetime);
  if (!prefix_of(call, params, true, &prefix))
    return;
  MascArea *area = area_for(masc, call, params, prefix);
  if (area == NULL)
    return;
  if (prefix.address.family == MAL_FAMILY_NONE)
    prefix.address = mal_address_make(area->span.first.family, 0);
  if (prefix.length > 8 * mal_family_octets(prefix.address.family)) {
    fail(call, mal_param_string(params, "prefix", ""), "is longer than an address of the scope");
    return;
  }
  if (lifetime <= masc->params.waiting_period) {
    mal_call_fail_params(call, "the lifetime must be longer than waiting-period");
    return;
  }
  bool ok = masc_zone_claim(area->zone, prefix, mal_param_bool(params, "local", false), lifetime,
                            masc->now, &error);
  answer_about(masc, call, params, ok, error);
}

static void withdraw(MalCall *call, json_object *params, void *user)
{
  Masc *masc = user;
  g_autoptr(GError) error = NULL;
  MalPrefix prefix;
  masc_step(masc);
  MascArea *area =
      prefix_of(call, params, false, &prefix) ? area_for(masc, call, params, prefix) : NULL;
  if (area == NULL)
    return;
  bool ok = masc_zone_withdraw(area->zone, prefix, masc->now, &error);
  answer_about(masc, call, params, ok, error);
}

static void resolve(MalCall *call, json_object *params, void *user)
{
  Masc *masc = user;
  g_autoptr(GError) error = NULL;
  MalPrefix prefix;
  const char *how = mal_param_string(params, "how", "");
  bool keep = strcmp(how, "keep") == 0;
  masc_step(masc);
  if (!keep && strcmp(how, "yield") != 0) {
    fail(call, how, "is neither keep nor yield");
    return;
  }
  MascArea *area =
      prefix_of(call, params, false, &prefix) ? area_for(masc, call, params, prefix) : NULL;
  if (area == NULL)
    return;
  bool ok = masc_zone_resolve(area->zone, prefix, keep, masc->now, &error);
  answer_about(masc, call, params, ok, error);
}

static void forgive(MalCall *call, json_object *params, void *user)
{
  Masc *masc = user;
  g_autoptr(GError) error = NULL;
  MascId domain;
  bool some = false;
  masc_step(masc);
  if (!masc_id_parse(mal_param_string(params, "domain", ""), &domain, &error)) {
    mal_call_fail_params(call, error->message);
    return;
  }
  for (guint i = 0; i < masc->areas->len; i++)
    some = masc_zone_forgive(masc_area_at(masc, i)->zone, domain) || some;
  if (!some)
    g_set_error(&error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "domain %s is not ignored",
                mal_param_string(params, "domain", ""));
  answer(masc, call, some, error);
}

/* ---- sessions (10.1) ------------------------------------------------------------------------- */

static void event_for(MalCall *call, json_object *params, Masc *masc, bool start)
{
  const char *name = mal_param_string(params, "peer", "");
  masc_step(masc);
  MascPeering *peer = masc_peer_named(masc, name);
  if (peer == NULL) {
    g_autofree char *why = g_strdup_printf("there is no [masc-peer %s]", name);
    mal_call_fail_literal(call, MAL_ERROR_NOT_FOUND, why);
    return;
  }
  if (start)
    masc_session_start(peer->session, 0, masc->now);
  else
    masc_session_stop(peer->session, masc->now);
  masc_news_count(peer);
  masc_settle(masc);
  json_object *out = json_object_new_object();
  json_object_object_add(out, "peer", masc_json_text(name));
  json_object_object_add(out, "state",
                         masc_json_text(masc_state_name(masc_session_state(peer->session))));
  mal_call_reply(call, out);
}

static void start(MalCall *call, json_object *params, void *user)
{
  event_for(call, params, user, true);
}

static void stop(MalCall *call, json_object *params, void *user)
{
  event_for(call, params, user, false);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const MalParam peers_params[] = {
  { "peer", MAL_PARAM_STRING, false, "only this one, with messages and claims by type" },
};
static const MalParam scope_param[] = {
  { "scope", MAL_PARAM_STRING, false, "only this scope" },
};
static const MalParam claims_params[] = {
  { "scope", MAL_PARAM_STRING, false, "only this scope" },
  { "all", MAL_PARAM_BOOL, false, "those of others, too, and what was withdrawn" },
  { "cursor", MAL_PARAM_INTEGER, false, "\"next\" of the page before" },
  { "limit", MAL_PARAM_INTEGER, false, "claims a page; 100, at most 1000" },
};
static const MalParam claim_params[] = {
  { "prefix", MAL_PARAM_STRING, true, "\"A/length\", or \"/length\" for any of that length" },
  { "scope", MAL_PARAM_STRING, false, "in this scope; needed where several could be meant" },
  { "lifetime", MAL_PARAM_DURATION, false, "for so long; default: prefix-lifetime" },
  { "local", MAL_PARAM_BOOL, false, "out of our own prefixes, for our own servers (12.2)" },
};
static const MalParam prefix_params[] = {
  { "prefix", MAL_PARAM_STRING, true, "\"A/length\"" },
  { "scope", MAL_PARAM_STRING, false, "in this scope" },
};
static const MalParam resolve_params[] = {
  { "prefix", MAL_PARAM_STRING, true, "\"A/length\", a prefix of ours that clashes" },
  { "how", MAL_PARAM_STRING, true, "keep: go on using it; yield: withdraw it" },
  { "scope", MAL_PARAM_STRING, false, "in this scope" },
};
static const MalParam peer_params[] = {
  { "peer", MAL_PARAM_STRING, true, "the name of a [masc-peer]" },
};
static const MalParam forgive_params[] = {
  { "domain", MAL_PARAM_STRING, true, "the domain's identifier" },
};

#define PARAMS(table) .params = (table), .n_params = G_N_ELEMENTS(table)

const MalMethod masc_methods[MASC_N_METHODS] = {
  { .name = "masc.peers",
    .access = MAL_ACCESS_READ,
    .handle = masc_show_peers,
    PARAMS(peers_params),
    .help = "The configured peers: role, state of the session (section 10), how long it is "
            "established (\"uptime_s\") or waits after an error (\"retry_s\"), how often it was "
            "established (\"sessions\"), the last errors, why no connection could be made "
            "(\"connect_failed\"), and how many messages and claims." },
  { .name = "masc.prefixes",
    .access = MAL_ACCESS_READ,
    .handle = masc_show_prefixes,
    PARAMS(scope_param),
    .help = "Prefixes allocated to this domain (held), those of them for its own servers (local), "
            "and what of theirs its parents have not withdrawn; with how much is held, local, in "
            "use and waited for in each scope. \"used_too_by\": a domain that uses the same, "
            "since in a clash neither gave way (12.4); \"clash\": undecided, and so used by "
            "nobody." },
  { .name = "masc.claims",
    .access = MAL_ACCESS_READ,
    .handle = masc_show_claims,
    PARAMS(claims_params),
    .help = "Our claims that are planned (\"not sent yet\") or wait for objections, and until "
            "when (\"due\"); with all, everybody's claims that are known, as they were said, a "
            "page at a time. \"next\" is the cursor of the next page, or null." },
  { .name = "masc.tree",
    .access = MAL_ACCESS_READ,
    .handle = masc_show_tree,
    PARAMS(scope_param),
    .help = "The hierarchy as it is known here: scopes, parents, siblings, this domain, its "
            "children, and the prefixes of each." },
  { .name = "masc.claim",
    .access = MAL_ACCESS_WRITE,
    .handle = claim,
    PARAMS(claim_params),
    .help = "Claims a prefix. It is ours when nobody has objected for waiting-period." },
  { .name = "masc.withdraw",
    .access = MAL_ACCESS_WRITE,
    .handle = withdraw,
    PARAMS(prefix_params),
    .help = "Gives back a prefix of ours that nobody uses any of, or takes a claim back (5.4)." },
  { .name = "masc.resolve",
    .access = MAL_ACCESS_WRITE,
    .handle = resolve,
    PARAMS(resolve_params),
    .help = "Says what to do about a clash (12.4)." },
  { .name = "masc.forgive",
    .access = MAL_ACCESS_WRITE,
    .handle = forgive,
    PARAMS(forgive_params),
    .help = "A domain that was ignored for too many colliding claims is heard again." },
  { .name = "masc.start",
    .access = MAL_ACCESS_WRITE,
    .handle = start,
    PARAMS(peer_params),
    .help = "Connects to a peer at once that waits after an error or was stopped (10.1); does "
            "nothing where the session is not Idle." },
  { .name = "masc.stop",
    .access = MAL_ACCESS_WRITE,
    .handle = stop,
    PARAMS(peer_params),
    .help = "Ends the session with a peer (Cease) until masc.start or the next start of the "
            "daemon; what was learnt by it stays." },
};
