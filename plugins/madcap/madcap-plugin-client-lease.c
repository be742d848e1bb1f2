/* What local programs ask of the client: request, renew, release. */
#include "madcap-plugin-client.h"

#include <string.h>

#define LIFETIME 3600
#define COUNT_MOST 65535

/* ---- what a call asks for -------------------------------------------------------------------- */

static bool bad(MalCall *call, const char *text)
{
  mal_call_fail_literal(call, MAL_ERROR_INVALID, text);
  return false;
}

static bool read_counts(MalCall *call, json_object *params, MadcapClientAsk *ask)
{
  int64_t count = mal_param_integer(params, "count", 1);
  bool has_min = mal_param_given(params, "min"), has_max = mal_param_given(params, "max");
  int64_t min = mal_param_integer(params, "min", has_max ? 1 : count);
  int64_t max = mal_param_integer(params, "max", MAX(count, min));

  if (mal_param_given(params, "count") && (has_min || has_max))
    return bad(call, "say either \"count\", or \"min\" and \"max\"");
  if (min < 1 || max < min || max > COUNT_MOST)
    return bad(call, "the number of addresses must be 1 to 65535, and \"min\" at most \"max\"");
  ask->min = (uint32_t)min;
  ask->desired = (uint32_t)max;
  return true;
}

/* What isn't to start later starts now; the server's clock may be wrong by what it allows, so "now"
   has that slack. */
static bool read_times(ClientPart *p, MalCall *call, json_object *params, MadcapClientAsk *ask)
{
  MalTime now = client_now(p), start = mal_param_integer(params, "start", MAL_BEGINNING);
  int64_t slack = mal_conf_integer(client_section(p), "clock-skew-allowance");

  ask->start = start > now ? start : MAL_BEGINNING;
  ask->max_start = mal_param_integer(
      params, "max_start", ask->start != MAL_BEGINNING ? start : mal_time_add(now, slack));
  ask->lifetime = mal_param_integer(params, "lifetime", LIFETIME);
  ask->min_lifetime = mal_param_integer(params, "min_lifetime", ask->lifetime);
  if (ask->lifetime <= 0 || ask->lifetime > UINT32_MAX || ask->min_lifetime < 0 ||
      ask->min_lifetime > ask->lifetime)
    return bad(call, "\"lifetime\" must be 1 to 4294967295 s, and \"min_lifetime\" not above it");
  if (ask->max_start < ask->start)
    return bad(call, "\"max_start\" is before \"start\"");
  return true;
}

static bool read_address(MalCall *call, json_object *params, MadcapClientAsk *ask, MalBlock *named)
{
  const char *text = mal_param_string(params, "address", NULL);
  MalSpan span;

  if (text == NULL || !mal_span_parse(text, &span, NULL))
    return true;
  if (!mal_address_is_multicast(span.first) || mal_span_size(span) > COUNT_MOST)
    return bad(call, "\"address\" must be multicast addresses, 65535 at most");
  *named = mal_block_make(span.first, (uint32_t)mal_span_size(span));
  ask->named = named;
  ask->n_named = 1;
  ask->min = ask->desired = named->count;
  return true;
}

static size_t read_id(ClientPart *p, json_object *params, uint8_t id[MAL_LEASE_ID_MAX])
{
  const char *hex = mal_param_string(params, "lease", NULL);

  if (hex != NULL)
    return mal_lease_id_from_hex(hex, id, NULL);
  id[0] = MADCAP_LEASE_ID_RANDOM;
  mal_runtime_random(p->host.runtime, id + 1, 16);
  return 17;
}

static MalEndpoint server_of(ClientPart *p, json_object *params)
{
  MalEndpoint server;

  client_param_server(p, NULL, params, &server);
  return server;
}

/* ---- request --------------------------------------------------------------------------------- */

static void fail_of(ClientErrand *e, const MadcapClientResult *r)
{
  client_fail(e->call, r->code, "%s", r->text);
}

static void requested(ClientErrand *e, const MadcapClientResult *r)
{
  ClientPart *p = e->part;
  MalLeaseId id = madcap_client_id(e->machine);

  if (!r->done) {
    mal_count(p->host.metrics, MADCAP_M_CLIENT_REFUSED, 1);
    fail_of(e, r);
    return;
  }
  if (mal_call_is_gone(e->call)) {
    client_send_release(p, &r->server, e->interface, client_errand_local(e, r->server.address), id);
    client_fail(e->call, MAL_ERROR_TIMEOUT, "the caller went away");
    return;
  }
  MadcapHeld *held = client_held_find(p, id);
  if (held != NULL) { /* two calls with one identifier, at once: one lease */
    client_held_await(p, client_held_save(p, held), e->call, client_held_json(held), false, id);
    return;
  }
  held = madcap_held_new();
  memcpy(held->id, id.bytes, id.length);
  held->id_length = id.length;
  held->scope = g_strdup(e->scope);
  held->lifetime = e->lifetime;
  held->renew = e->renew;
  held->local = client_errand_local(e, r->server.address);
  madcap_held_granted(held, r, client_now(p), client_mono(p), client_jitter(p));
  client_held_note_interface(p, held);
  client_held_add(p, held);
  mal_count(p->host.metrics, MADCAP_M_CLIENT_LEASED, 1);
  client_held_say(p, &madcap_event_leased, held, "taken", NULL);
  client_held_await(p, client_held_save(p, held), e->call, client_held_json(held), true, id);
  client_held_schedule(p);
}

/* Whose scopes were asked for. */
typedef enum { ASKED_NOBODY, ASKED_ONE_FAMILY, ASKED_BOTH } Asked;

/* TELLER: who told of IPv4 scopes. */
static void request(ClientPart *p, MalCall *call, json_object *params, Asked asked,
                    const MalEndpoint *teller);

static void told_scopes(ClientErrand *e, const MadcapClientResult *r)
{
  if (!r->done && !e->second)
    fail_of(e, r);
  else
    request(e->part, e->call, e->params, e->second ? ASKED_BOTH : ASKED_ONE_FAMILY, &r->server);
}

static void ask_network(ClientPart *p, MalCall *call, json_object *params,
                        const MalEndpoint *teller)
{
  ClientErrand *e = client_errand_new(p, MADCAP_GETINFO, call, params, told_scopes);
  MalEndpoint server = teller != NULL ? *teller : server_of(p, params);
  MalSpan span = { .first = mal_address_none() };
  const char *address = mal_param_string(params, "address", NULL);

  if (e == NULL)
    return;
  e->second = teller != NULL;
  mal_call_progress(call, "asking for the list of %sscopes", e->second ? "IPv6 " : "");
  if (address != NULL)
    mal_span_parse(address, &span, NULL);
  client_begin_info(e, e->second || span.first.family == MAL_IPV6 ? MAL_IPV6 : MAL_IPV4, &server);
}

static void fail_unknown_scope(ClientPart *p, MalCall *call, json_object *params)
{
  g_autofree char *known = client_known_scopes(p);
  const char *scope = mal_param_string(params, "scope", NULL);

  client_fail(call, MAL_ERROR_NOT_FOUND, "%s%s%s; servers tell of %s",
              scope != NULL ? "no scope is called \"" : "no scope was found",
              scope != NULL ? scope : "", scope != NULL ? "\"" : "",
              *known != '\0' ? known : "none");
}

static void request(ClientPart *p, MalCall *call, json_object *params, Asked asked,
                    const MalEndpoint *teller)
{
  uint8_t id[MAL_LEASE_ID_MAX];
  MadcapClientAsk ask = { .errand = MADCAP_REQUEST,
                          .id = { id, read_id(p, params, id) },
                          .fixed_id = mal_param_given(params, "lease"),
                          .shared = mal_param_bool(params, "shared", false),
                          .wait = mal_param_bool(params, "wait", false) };
  g_autofree char *name = NULL;
  MalEndpoint server;
  MalBlock named;

  if (!read_counts(call, params, &ask) || !read_times(p, call, params, &ask) ||
      !read_address(call, params, &ask, &named) || !client_param_server(p, call, params, &server))
    return;
  if (client_held_find(p, ask.id) != NULL) {
    client_fail(call, MAL_ERROR_EXISTS, "a lease of this identifier is held already");
    return;
  }
  if (!client_find_scope(p, params, &ask.scope, &name)) {
    if (asked == ASKED_NOBODY)
      ask_network(p, call, params, NULL);
    else if (asked == ASKED_ONE_FAMILY && mal_param_given(params, "scope") && p->running)
      ask_network(p, call, params, teller); /* a name may be that of a scope of either family */
    else
      fail_unknown_scope(p, call, params);
    return;
  }
  ClientErrand *e = client_errand_new(p, MADCAP_REQUEST, call, params, requested);
  if (e == NULL)
    return;
  e->scope = g_steal_pointer(&name);
  e->lifetime = ask.lifetime;
  e->renew = mal_param_bool(params, "renew", true);
  ask.family = ask.scope.family;
  client_errand_start(e, &ask, &server);
}

void client_request(ClientPart *p, MalCall *call, json_object *params)
{
  request(p, call, params, ASKED_NOBODY, NULL);
}

/* ---- one change at a time -------------------------------------------------------------------- */

/* Of two RENEWs that are under way at once nobody knows which one the server takes last, and so
   when the lease ends. */
typedef struct {
  MalCall *call;
  json_object *params;
  bool release;
  uint8_t id[MAL_LEASE_ID_MAX];
  size_t id_length;
} Turn;

void client_line_free(void *data)
{
  Turn *turn = data;

  json_object_put(turn->params);
  g_free(turn);
}

static bool stand_in_line(ClientPart *p, const MadcapHeld *held, MalCall *call, json_object *params,
                          bool release)
{
  if (!held->busy)
    return false;
  Turn *turn = g_new0(Turn, 1);
  turn->call = call;
  turn->params = json_object_get(params);
  turn->release = release;
  memcpy(turn->id, held->id, held->id_length);
  turn->id_length = held->id_length;
  g_ptr_array_add(p->line, turn);
  return true;
}

static Turn *take_turn(ClientPart *p, MalLeaseId id)
{
  for (guint i = 0; i < p->line->len; i++) {
    Turn *turn = g_ptr_array_index(p->line, i);
    if (mal_lease_id_equal((MalLeaseId){ turn->id, turn->id_length }, id))
      return g_ptr_array_steal_index(p->line, i);
  }
  return NULL;
}

/* A change of this lease is over. */
static void next_in_line(ClientPart *p, MalLeaseId id)
{
  const MadcapHeld *held = client_held_find(p, id);
  Turn *turn = NULL;

  while ((held == NULL || !held->busy) && (turn = take_turn(p, id)) != NULL) {
    if (mal_call_is_gone(turn->call))
      client_fail(turn->call, MAL_ERROR_TIMEOUT, "the caller went away");
    else if (turn->release)
      client_release(p, turn->call, turn->params);
    else
      client_renew(p, turn->call, turn->params);
    client_line_free(turn);
    held = client_held_find(p, id);
  }
}

/* ---- renew ----------------------------------------------------------------------------------- */

static void renew_failed(ClientPart *p, MadcapHeld *held, const MadcapClientResult *r)
{
  mal_count(p->host.metrics, MADCAP_M_CLIENT_RENEWALS_FAILED, 1);
  if (r->nak != MADCAP_ERROR_LEASE_ID_UNKNOWN) {
    madcap_held_failed(held, client_now(p), client_mono(p), client_jitter(p));
    client_held_say(p, &madcap_event_renewal_failed, held, "could not be renewed", r->text);
    return;
  }
  mal_count(p->host.metrics, MADCAP_M_CLIENT_LOST, 1);
  client_held_say(p, &madcap_event_lease_lost, held, "is lost", r->text);
  client_held_unsave(p, madcap_held_id(held));
  client_held_forget(p, held);
}

static void settle_renewal(ClientErrand *e, const MadcapClientResult *r)
{
  ClientPart *p = e->part;
  MadcapHeld *held = client_held_find(p, madcap_client_id(e->machine));

  if (held != NULL)
    held->busy = false;
  if (!r->done) {
    if (held != NULL && p->running)
      renew_failed(p, held, r);
    fail_of(e, r);
    client_held_schedule(p);
    return;
  }
  if (held == NULL) {
    client_send_release(p, &r->server, e->interface, e->source, madcap_client_id(e->machine));
    client_fail(e->call, MAL_ERROR_NOT_FOUND, "the lease was released meanwhile");
    return;
  }
  if (e->call != NULL)
    held->lifetime = e->lifetime;
  madcap_held_granted(held, r, client_now(p), client_mono(p), client_jitter(p));
  client_held_note_interface(p, held);
  mal_count(p->host.metrics, MADCAP_M_CLIENT_RENEWED, 1);
  client_held_say(p, &madcap_event_renewed, held, "renewed", NULL);
  client_held_await(p, client_held_save(p, held), e->call, client_held_json(held), false,
                    madcap_held_id(held));
  client_held_schedule(p);
}

static void renewed(ClientErrand *e, const MadcapClientResult *r)
{
  settle_renewal(e, r);
  next_in_line(e->part, madcap_client_id(e->machine));
}

void client_renew_by_itself(ClientPart *p, MadcapHeld *held)
{
  MadcapClientAsk ask = { .errand = MADCAP_RENEW,
                          .family = held->scope_first.family,
                          .id = madcap_held_id(held),
                          .lifetime = held->lifetime,
                          .start = MAL_BEGINNING,
                          .max_start = MAL_FOREVER,
                          .shared = held->shared };
  ClientErrand *e = client_errand_new(p, MADCAP_RENEW, NULL, NULL, renewed);

  if (e == NULL) {
    madcap_held_failed(held, client_now(p), client_mono(p), client_jitter(p));
    return;
  }
  client_held_note_interface(p, held);
  held->busy = true;
  e->lifetime = held->lifetime;
  e->source = held->local;
  if (!client_errand_start(e, &ask, &held->server))
    held->busy = false;
}

/* A lease that this process doesn't hold: the answer is all there is of it. */
static json_object *foreign_json(const ClientErrand *e, const MadcapClientResult *r)
{
  g_autoptr(MadcapHeld) lease = madcap_held_new();
  MalLeaseId id = madcap_client_id(e->machine);
  char text[MAL_ADDRESS_STRLEN];

  memcpy(lease->id, id.bytes, id.length);
  lease->id_length = id.length;
  lease->server = r->server;
  madcap_held_granted(lease, r, client_now(e->part), client_mono(e->part), 0);
  lease->scope = g_strdup(mal_address_format(r->scope, text));
  return client_held_json(lease);
}

static json_object *released_json(const ClientErrand *e, const MadcapClientResult *r)
{
  g_autofree char *hex = mal_lease_id_to_hex(madcap_client_id(e->machine));
  char server[MAL_ENDPOINT_STRLEN];
  json_object *o = json_object_new_object();

  json_object_object_add(o, "lease", json_object_new_string(hex));
  json_object_object_add(o, "state", json_object_new_string("released"));
  json_object_object_add(o, "via", json_object_new_string("madcap"));
  json_object_object_add(o, "server",
                         json_object_new_string(mal_endpoint_format(r->server, server)));
  return o;
}

static void begin_foreign(ClientPart *p, MalCall *call, json_object *params, MadcapType kind,
                          MalFamily family);

/* A RENEW must be of the lease's family, which only the answer tells. */
static void foreign_done(ClientErrand *e, const MadcapClientResult *r)
{
  if (r->done)
    mal_call_reply(e->call, e->kind == MADCAP_RENEW ? foreign_json(e, r) : released_json(e, r));
  else if (e->family == MAL_IPV4 && e->kind == MADCAP_RENEW &&
           r->nak == MADCAP_ERROR_INVALID_REQUEST && e->part->running)
    begin_foreign(e->part, e->call, e->params, e->kind, MAL_IPV6);
  else
    fail_of(e, r);
}

static void begin_foreign(ClientPart *p, MalCall *call, json_object *params, MadcapType kind,
                          MalFamily family)
{
  uint8_t id[MAL_LEASE_ID_MAX];
  MadcapClientAsk ask = { .errand = kind,
                          .family = family,
                          .id = { id, read_id(p, params, id) },
                          .start = mal_param_integer(params, "start", MAL_BEGINNING),
                          .max_start = MAL_FOREVER };
  MalEndpoint server;

  if (!client_param_server(p, call, params, &server))
    return;
  if (server.address.family == MAL_FAMILY_NONE) {
    client_fail(call, MAL_ERROR_NOT_FOUND,
                "this process doesn't hold the lease %s; say \"server\" to ask "
                "the one that leased it",
                mal_param_string(params, "lease", ""));
    return;
  }
  if (kind == MADCAP_RENEW) {
    ask.lifetime = mal_param_integer(params, "lifetime", LIFETIME);
    ask.min_lifetime = mal_param_integer(params, "min_lifetime", 0);
  }
  ClientErrand *e = client_errand_new(p, kind, call, params, foreign_done);
  if (e != NULL)
    client_errand_start(e, &ask, &server);
}

void client_renew(ClientPart *p, MalCall *call, json_object *params)
{
  uint8_t id[MAL_LEASE_ID_MAX];
  MadcapHeld *held = client_held_find(p, (MalLeaseId){ id, read_id(p, params, id) });

  if (held == NULL) {
    begin_foreign(p, call, params, MADCAP_RENEW, MAL_IPV4);
    return;
  }
  if (stand_in_line(p, held, call, params, false))
    return;
  int64_t lifetime = mal_param_integer(params, "lifetime", held->lifetime);
  MadcapClientAsk ask = { .errand = MADCAP_RENEW,
                          .family = held->scope_first.family,
                          .id = madcap_held_id(held),
                          .lifetime = lifetime,
                          .min_lifetime = mal_param_integer(params, "min_lifetime", 0),
                          .start = mal_param_integer(params, "start", MAL_BEGINNING),
                          .max_start = mal_param_integer(params, "start", MAL_FOREVER),
                          .shared = held->shared };
  if (lifetime <= 0 || lifetime > UINT32_MAX || ask.min_lifetime > lifetime) {
    bad(call, "\"lifetime\" must be 1 to 4294967295 s, and \"min_lifetime\" not above it");
    return;
  }
  ClientErrand *e = client_errand_new(p, MADCAP_RENEW, call, params, renewed);
  if (e == NULL)
    return;
  client_held_note_interface(p, held);
  held->busy = true;
  e->lifetime = lifetime;
  e->source = held->local;
  if (!client_errand_start(e, &ask, &held->server))
    held->busy = false;
}

/* ---- release --------------------------------------------------------------------------------- */

static void settle_release(ClientErrand *e, const MadcapClientResult *r)
{
  ClientPart *p = e->part;
  MadcapHeld *held = client_held_find(p, madcap_client_id(e->machine));

  if (held == NULL) {
    client_fail(e->call, MAL_ERROR_NOT_FOUND, "the lease has ended meanwhile");
    return;
  }
  held->busy = false;
  if (!r->done && r->nak != MADCAP_ERROR_LEASE_ID_UNKNOWN) {
    client_fail(e->call, r->code, "%s; the lease is not renewed any more and ends by itself",
                r->text);
    client_held_schedule(p);
    return;
  }
  mal_count(p->host.metrics, MADCAP_M_CLIENT_RELEASED, 1);
  client_held_say(p, &madcap_event_released, held, "released", r->done ? NULL : r->text);
  json_object *reply = client_held_json(held);
  json_object_object_add(reply, "state", json_object_new_string("released"));
  client_held_await(p, client_held_unsave(p, madcap_held_id(held)), e->call, reply, false,
                    madcap_held_id(held));
  client_held_forget(p, held);
}

static void released(ClientErrand *e, const MadcapClientResult *r)
{
  settle_release(e, r);
  next_in_line(e->part, madcap_client_id(e->machine));
}

void client_release(ClientPart *p, MalCall *call, json_object *params)
{
  uint8_t id[MAL_LEASE_ID_MAX];
  MadcapHeld *held = client_held_find(p, (MalLeaseId){ id, read_id(p, params, id) });

  if (held == NULL) {
    begin_foreign(p, call, params, MADCAP_RELEASE, MAL_IPV4);
    return;
  }
  if (stand_in_line(p, held, call, params, true))
    return;
  MadcapClientAsk ask = { .errand = MADCAP_RELEASE,
                          .family = held->scope_first.family,
                          .id = madcap_held_id(held),
                          .start = MAL_BEGINNING,
                          .max_start = MAL_FOREVER };
  ClientErrand *e = client_errand_new(p, MADCAP_RELEASE, call, params, released);
  if (e == NULL)
    return;
  client_held_note_interface(p, held);
  held->renew = false;
  held->due = MAL_FOREVER;
  held->due_mono = INT64_MAX;
  held->busy = true;
  client_held_save(p, held);
  e->source = held->local;
  if (!client_errand_start(e, &ask, &held->server))
    held->busy = false;
}
