/* What servers tell: scopes with their names and nesting (RFC 2730 3.10, RFC 2907), and who they
   are. */
#include "madcap-plugin-client.h"

#include <string.h>

#define LOCAL_TTL 16

typedef struct {
  MalAddress first, last;
  unsigned ttl;
  GPtrArray *names;   /* char *: language, name, in turn */
  unsigned preferred; /* index of the name to use by default */
  GArray *inside;     /* MalAddress: the first ones of the scopes that it nests inside */
  MalEndpoint from;   /* who told last */
} ClientScope;

void client_scopes_clear(gpointer data)
{
  ClientScope *scope = data;

  g_ptr_array_unref(scope->names);
  g_array_unref(scope->inside);
  g_free(scope);
}

/* ---- servers --------------------------------------------------------------------------------- */

static guint place_for(ClientPart *p, const MalEndpoint *from)
{
  guint oldest = 0;

  for (guint i = 0; i < p->known->len; i++) {
    const ClientServer *server = &g_array_index(p->known, ClientServer, i);
    if (mal_endpoint_equal(server->endpoint, *from))
      return i;
    if (server->heard < g_array_index(p->known, ClientServer, oldest).heard)
      oldest = i;
  }
  if (p->known->len < CLIENT_MAX_KNOWN) {
    oldest = p->known->len;
    g_array_set_size(p->known, oldest + 1);
  }
  g_array_index(p->known, ClientServer, oldest) = (ClientServer){ .endpoint = *from };
  return oldest;
}

void client_note_server(ClientPart *p, const MalEndpoint *from)
{
  guint place = place_for(p, from);
  ClientServer *server = &g_array_index(p->known, ClientServer, place);

  server->heard = client_now(p);
  server->answers++;
}

json_object *client_known_json(const ClientPart *p)
{
  json_object *out = json_object_new_array();
  char text[MAL_ENDPOINT_STRLEN];

  for (guint i = 0; i < p->known->len; i++) {
    const ClientServer *server = &g_array_index(p->known, ClientServer, i);
    json_object *one = json_object_new_object();
    json_object_object_add(one, "address",
                           json_object_new_string(mal_endpoint_format(server->endpoint, text)));
    json_object_object_add(one, "heard", mal_json_time(server->heard));
    json_object_object_add(one, "answers", json_object_new_int64((int64_t)server->answers));
    json_object_array_add(out, one);
  }
  return out;
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static ClientScope *find(const ClientPart *p, MalAddress first)
{
  for (guint i = 0; i < p->scopes->len; i++) {
    ClientScope *scope = g_ptr_array_index(p->scopes, i);
    if (mal_address_equal(scope->first, first))
      return scope;
  }
  return NULL;
}

static void note_names(ClientScope *scope, const MadcapScopeView *view)
{
  MadcapNameIter iter = madcap_names(view);
  MadcapNameView name;

  g_ptr_array_set_size(scope->names, 0);
  scope->preferred = 0;
  while (madcap_names_next(&iter, &name)) {
    if (name.is_default)
      scope->preferred = scope->names->len / 2;
    g_autofree char *language = g_strndup((const char *)name.language.data, name.language.length);
    g_ptr_array_add(scope->names, g_utf8_make_valid(language, -1));
    g_ptr_array_add(scope->names, g_strndup((const char *)name.name.data, name.name.length));
  }
}

static ClientScope *note_scope(ClientPart *p, const MalEndpoint *from, const MadcapScopeView *view)
{
  ClientScope *scope = find(p, view->first);

  if (!mal_address_is_multicast(view->first) || mal_address_compare(view->first, view->last) > 0)
    return NULL;
  if (scope == NULL && p->scopes->len >= CLIENT_MAX_SCOPES)
    return NULL;
  if (scope == NULL) {
    scope = g_new0(ClientScope, 1);
    scope->names = g_ptr_array_new_with_free_func(g_free);
    scope->inside = g_array_new(FALSE, FALSE, sizeof(MalAddress));
    g_ptr_array_add(p->scopes, scope);
  }
  scope->first = view->first;
  scope->last = view->last;
  scope->ttl = view->ttl;
  scope->from = *from;
  note_names(scope, view);
  return scope;
}

void client_note_info(ClientPart *p, const MalEndpoint *from, const MadcapMessage *msg)
{
  MadcapScopeIter iter = madcap_scopes(msg);
  g_autoptr(GPtrArray) noted = g_ptr_array_new();
  MadcapScopeView view;

  while (madcap_has(msg, MADCAP_OPTION_SCOPE_LIST) && madcap_scopes_next(&iter, &view))
    g_ptr_array_add(noted, note_scope(p, from, &view));
  for (guint x = 0; x < noted->len; x++) {
    ClientScope *inner = g_ptr_array_index(noted, x);
    if (inner == NULL)
      continue;
    g_array_set_size(inner->inside, 0);
    for (guint y = 0; y < noted->len; y++) {
      const ClientScope *outer = g_ptr_array_index(noted, y);
      if (x != y && outer != NULL && madcap_nests(msg, x, y))
        g_array_append_val(inner->inside, outer->first);
    }
  }
}

static const char *name_of(const ClientScope *scope, char fallback[MAL_ADDRESS_STRLEN])
{
  if (scope->names->len > 0)
    return g_ptr_array_index(scope->names, 2 * scope->preferred + 1);
  return mal_address_format(scope->first, fallback);
}

typedef enum { CALLED_NOT, CALLED_PARTLY, CALLED_SO } Called;

/* Any of its names, in any language, without regard to case. */
static Called is_called(const ClientScope *scope, const char *name)
{
  g_autofree char *wanted = g_utf8_casefold(name, -1);
  Called best = CALLED_NOT;

  for (guint i = 1; i < scope->names->len; i += 2) {
    g_autofree char *known = g_utf8_casefold(g_ptr_array_index(scope->names, i), -1);
    if (strcmp(known, wanted) == 0)
      return CALLED_SO;
    if (strstr(known, wanted) != NULL)
      best = CALLED_PARTLY;
  }
  return best;
}

/* What RFC 2365 section 6 calls its scopes, for those whose servers call them something else. */
static const ClientScope *find_well_known(const ClientPart *p, const char *name)
{
  static const struct {
    const char *name;
    uint32_t first;
  } known[] = { { "local", 0xefff0000 }, { "org", 0xefc00000 }, { "organization", 0xefc00000 } };

  for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
    if (g_ascii_strcasecmp(known[i].name, name) == 0)
      return find(p, mal_address_ipv4(known[i].first));
  return NULL;
}

/* The one with this name; the one that RFC 2365 calls so; else the only one with this in a name. */
static const ClientScope *find_called(const ClientPart *p, const char *name)
{
  const ClientScope *partly = find_well_known(p, name);
  bool well_known = partly != NULL;
  guint n = 0;

  for (guint i = 0; i < p->scopes->len && *name != '\0'; i++) {
    const ClientScope *scope = g_ptr_array_index(p->scopes, i);
    Called called = is_called(scope, name);
    if (called == CALLED_SO)
      return scope;
    if (called == CALLED_PARTLY && !well_known) {
      partly = scope;
      n++;
    }
  }
  return well_known || n == 1 ? partly : NULL;
}

char *client_known_scopes(const ClientPart *p)
{
  GString *out = g_string_new(NULL);
  char first[MAL_ADDRESS_STRLEN];

  for (guint i = 0; i < MIN(p->scopes->len, 16u); i++)
    g_string_append_printf(out, "%s\"%s\"", i == 0 ? "" : ", ",
                           name_of(g_ptr_array_index(p->scopes, i), first));
  return g_string_free(out, FALSE);
}

/* ---- which one is meant ---------------------------------------------------------------------- */

static bool take(const ClientScope *scope, MalAddress *first, char **name)
{
  char text[MAL_ADDRESS_STRLEN];

  if (scope == NULL)
    return false;
  *first = scope->first;
  *name = g_strdup(name_of(scope, text));
  return true;
}

static bool find_named(ClientPart *p, const char *text, MalAddress *first, char **name)
{
  const MalScope *configured = mal_scope_set_find(mal_leases_scopes(p->host.leases), text);

  if (mal_address_parse(text, first, NULL) || configured != NULL) {
    if (configured != NULL)
      *first = configured->span.first;
    *name = g_strdup(text);
    return mal_address_is_multicast(*first);
  }
  return take(find_called(p, text), first, name);
}

static bool find_containing(ClientPart *p, MalAddress address, MalAddress *first, char **name)
{
  const MalScope *configured = mal_scope_set_containing(mal_leases_scopes(p->host.leases), address);
  const ClientScope *best = NULL;

  if (configured != NULL) {
    *first = configured->span.first;
    *name = g_strdup(configured->id);
    return true;
  }
  for (guint i = 0; i < p->scopes->len; i++) {
    const ClientScope *scope = g_ptr_array_index(p->scopes, i);
    MalSpan span = { scope->first, scope->last };
    if (mal_span_has(span, address) &&
        (best == NULL || mal_span_size(span) < mal_span_size((MalSpan){ best->first, best->last })))
      best = scope;
  }
  return take(best, first, name);
}

bool client_find_scope(ClientPart *p, json_object *params, MalAddress *first, char **name)
{
  const char *scope = mal_param_string(params, "scope", NULL);
  const char *address = mal_param_string(params, "address", NULL);
  const MalScopeSet *set = mal_leases_scopes(p->host.leases);
  MalSpan span;

  if (scope != NULL)
    return find_named(p, scope, first, name);
  if (address != NULL && mal_span_parse(address, &span, NULL))
    return find_containing(p, span.first, first, name);
  if (mal_scope_set_size(set) > 0) {
    g_autoptr(GPtrArray) ordered = mal_scope_set_ordered(set, MAL_FAMILY_NONE);
    const MalScope *smallest = g_ptr_array_index(ordered, 0);
    *first = smallest->span.first;
    *name = g_strdup(smallest->id);
    return true;
  }
  /* Servers list them from the smallest to the largest (3.10). */
  return p->scopes->len > 0 && take(g_ptr_array_index(p->scopes, 0), first, name);
}

/* ---- asking ---------------------------------------------------------------------------------- */

void client_begin_info(ClientErrand *e, MalFamily family, const MalEndpoint *server)
{
  uint8_t id[17] = { MADCAP_LEASE_ID_RANDOM };
  MadcapClientAsk ask = {
    .errand = MADCAP_GETINFO,
    .family = family,
    .id = { id, sizeof id },
    .start = MAL_BEGINNING,
    .max_start = MAL_FOREVER,
    .language = mal_param_string(e->params, "language", NULL),
  };

  mal_runtime_random(e->part->host.runtime, id + 1, sizeof id - 1);
  client_errand_start(e, &ask, server);
}

static json_object *text_json(MalAddress address)
{
  char text[MAL_ADDRESS_STRLEN];

  return json_object_new_string(mal_address_format(address, text));
}

static json_object *scope_json(const ClientScope *scope)
{
  json_object *o = json_object_new_object(), *names = json_object_new_array();
  json_object *inside = json_object_new_array();
  char from[MAL_ENDPOINT_STRLEN];

  for (guint i = 0; i + 1 < scope->names->len; i += 2) {
    json_object *one = json_object_new_object();
    json_object_object_add(one, "language",
                           json_object_new_string(g_ptr_array_index(scope->names, i)));
    json_object_object_add(one, "name",
                           json_object_new_string(g_ptr_array_index(scope->names, i + 1)));
    json_object_object_add(one, "default", json_object_new_boolean(i / 2 == scope->preferred));
    json_object_array_add(names, one);
  }
  for (guint i = 0; i < scope->inside->len; i++)
    json_object_array_add(inside, text_json(g_array_index(scope->inside, MalAddress, i)));
  json_object_object_add(o, "first", text_json(scope->first));
  json_object_object_add(o, "last", text_json(scope->last));
  json_object_object_add(o, "ttl", json_object_new_int((int)scope->ttl));
  json_object_object_add(o, "names", names);
  json_object_object_add(o, "nests_inside", inside);
  json_object_object_add(o, "server",
                         json_object_new_string(mal_endpoint_format(scope->from, from)));
  return o;
}

static void reply_scopes(ClientErrand *e)
{
  ClientPart *p = e->part;
  json_object *out = json_object_new_object(), *list = json_object_new_array();

  for (guint i = 0; i < p->scopes->len; i++)
    json_object_array_add(list, scope_json(g_ptr_array_index(p->scopes, i)));
  json_object_object_add(out, "scopes", list);
  json_object_object_add(out, "servers", client_known_json(p));
  mal_call_reply(e->call, out);
}

static void told(ClientErrand *e, const MadcapClientResult *r);

static void ask_family(ClientPart *p, MalCall *call, json_object *params, MalFamily family,
                       bool second)
{
  ClientErrand *e = client_errand_new(p, MADCAP_GETINFO, call, params, told);
  MalEndpoint server;

  if (e == NULL)
    return;
  e->second = second;
  client_param_server(p, NULL, params, &server);
  if (second && server.address.family == MAL_FAMILY_NONE && p->scopes->len > 0)
    server = ((const ClientScope *)g_ptr_array_index(p->scopes, 0))->from;
  client_begin_info(e, family, &server);
}

/* IPv4 scopes, then IPv6 ones, unless one family was asked for. Who answered the first is asked for
   the second directly: silence of an IPv6 group that nobody serves would take a minute to be
   believed. */
static void told(ClientErrand *e, const MadcapClientResult *r)
{
  bool both = !mal_param_given(e->params, "family");

  if (!r->done && !e->second)
    client_fail(e->call, r->code, "%s", r->text);
  else if (both && !e->second && e->part->running)
    ask_family(e->part, e->call, e->params, MAL_IPV6, true);
  else
    reply_scopes(e);
}

void client_ask_scopes(ClientPart *p, MalCall *call, json_object *params)
{
  const char *text = mal_param_string(params, "family", "ipv4");
  const char *language = mal_param_string(params, "language", NULL);
  MalEndpoint server;
  MalFamily family;

  if (!mal_family_parse(text, &family)) {
    client_fail(call, MAL_ERROR_INVALID, "family: say \"ipv4\" or \"ipv6\"");
    return;
  }
  if (language != NULL && (*language == '\0' || strlen(language) > 255)) {
    client_fail(call, MAL_ERROR_INVALID, "language: expected a language tag, such as \"en\"");
    return;
  }
  if (!client_param_server(p, call, params, &server))
    return;
  g_ptr_array_set_size(p->scopes, 0);
  ask_family(p, call, params, family, false);
}
