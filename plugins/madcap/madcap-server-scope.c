/* Scopes as clients see them: where a multicast message must arrive (RFC 2730 2.11), and GETINFO
   with the scope list (3.10) and its nesting (RFC 2907). */
#include "madcap-server-private.h"

#include <string.h>

/* ---- arrival --------------------------------------------------------------------------------- */

/* No other scope of its family nests inside. */
static bool is_innermost(const MadcapServer *s, const MalScope *scope)
{
  for (size_t i = 0; i < mal_scope_set_size(s->scopes); i++) {
    const MalScope *other = mal_scope_set_at(s->scopes, i);
    if (other != scope && other->span.first.family == scope->span.first.family &&
        mal_scope_nests(s->scopes, other, scope) && !mal_scope_nests(s->scopes, scope, other))
      return false;
  }
  return true;
}

static bool family_has_local(const GArray *groups, MalFamily family)
{
  for (guint i = 0; i < groups->len; i++) {
    MalAddress address = g_array_index(groups, MadcapGroup, i).address;
    if (address.family == family && madcap_group_is_local(address))
      return true;
  }
  return false;
}

/* Local Scope's group is the one to which clients send by default. Where no scope has it, the
   smallest scopes of the family take its place. */
void madcap_groups_set(MadcapServer *s, const GArray *groups)
{
  g_array_set_size(s->groups, 0);
  for (guint i = 0; i < groups->len; i++) {
    MadcapServedGroup served = { .group = g_array_index(groups, MadcapGroup, i) };
    const MalScope *scope = mal_scope_set_at(s->scopes, served.group.scope);
    served.local = family_has_local(groups, served.group.address.family)
                   ? madcap_group_is_local(served.group.address) : is_innermost(s, scope);
    g_array_append_val(s->groups, served);
  }
}

/* Matches or encloses; between families nesting is known only where it is configured, and a client
   that reached us in the local scope counts as being where we are. */
static bool encloses(const MadcapServer *s, const MalScope *scope, const MadcapServedGroup *g)
{
  const MalScope *of_group = mal_scope_set_at(s->scopes, g->group.scope);

  if (mal_scope_nests(s->scopes, of_group, scope))
    return true;
  return of_group->span.first.family != scope->span.first.family && g->local &&
         !mal_scope_nests(s->scopes, scope, of_group);
}

bool madcap_scope_arrives_well(const MadcapServer *s, MalAddress destination, const MalScope *scope)
{
  for (guint i = 0; i < s->groups->len; i++) {
    const MadcapServedGroup *g = &g_array_index(s->groups, MadcapServedGroup, i);
    if (mal_address_equal(g->group.address, destination) &&
        (s->config.beyond_local_scope || scope == NULL || encloses(s, scope, g)))
      return true;
  }
  return false;
}

bool madcap_getinfo_arrives_well(const MadcapServer *s, MalAddress destination)
{
  for (guint i = 0; i < s->groups->len; i++) {
    const MadcapServedGroup *g = &g_array_index(s->groups, MadcapServedGroup, i);
    if (mal_address_equal(g->group.address, destination) &&
        (s->config.beyond_local_scope || g->local))
      return true;
  }
  return false;
}

/* ---- the scope list -------------------------------------------------------------------------- */

#define MAX_LISTED 255        /* the count is one octet */

static MadcapName listed_name(const MalScope *scope, const MalScopeName *name)
{
  return (MadcapName){
    .language = name->language,
    .name = name->name,
    .is_default = scope->default_language != NULL &&
                  g_ascii_strcasecmp(scope->default_language, name->language) == 0,
  };
}

static void build_table(MadcapScopeTable *t, const MalScopeSet *set, MalFamily family)
{
  t->order = mal_scope_set_ordered(set, family);
  if (t->order->len > MAX_LISTED)
    g_ptr_array_set_size(t->order, MAX_LISTED);
  t->scopes = g_new0(MadcapScope, t->order->len + 1);
  t->names = g_new0(MadcapName *, t->order->len + 1);
  for (guint i = 0; i < t->order->len; i++) {
    const MalScope *scope = g_ptr_array_index(t->order, i);
    t->names[i] = g_new0(MadcapName, scope->n_names + 1);
    for (size_t k = 0; k < scope->n_names; k++)
      t->names[i][k] = listed_name(scope, &scope->names[k]);
    t->scopes[i] = (MadcapScope){
      .first = scope->span.first, .last = scope->span.last, .ttl = (uint8_t)scope->ttl,
      .names = t->names[i], .n_names = MIN(scope->n_names, 255),
    };
  }
}

void madcap_scope_tables_build(MadcapServer *s)
{
  build_table(&s->table[0], s->scopes, MAL_IPV4);
  build_table(&s->table[1], s->scopes, MAL_IPV6);
}

void madcap_scope_tables_clear(MadcapServer *s)
{
  for (size_t f = 0; f < 2; f++) {
    MadcapScopeTable *t = &s->table[f];
    if (t->order == NULL)
      continue;
    for (guint i = 0; i < t->order->len; i++)
      g_free(t->names[i]);
    g_free(t->names);
    g_free(t->scopes);
    g_clear_pointer(&t->order, g_ptr_array_unref);
  }
}

/* One name for each scope (RFC 2730 3.10). LANGUAGE NULL: the default one. */
static void choose_names(const MadcapScopeTable *t, const char *language, MadcapScope *scopes,
                         MadcapName *names)
{
  for (guint i = 0; i < t->order->len; i++) {
    const MalScope *scope = g_ptr_array_index(t->order, i);
    const MalScopeName *name = mal_scope_name(scope, language);
    scopes[i] = t->scopes[i];
    scopes[i].n_names = 0;
    if (name == NULL)
      continue;
    names[i] = listed_name(scope, name);
    scopes[i].names = &names[i];
    scopes[i].n_names = 1;
  }
}

/* How many of the scopes, smallest first, fit into ROOM with their nesting. */
static size_t how_many_fit(const MadcapScope *scopes, size_t n, bool nesting, size_t room)
{
  size_t octets = 5, fit = 0;

  while (fit < n) {
    octets += madcap_scope_octets(&scopes[fit]);
    if (octets + (nesting ? 5 + madcap_nesting_octets(fit + 1) : 0) > room)
      break;
    fit++;
  }
  return fit;
}

/* ---- GETINFO --------------------------------------------------------------------------------- */

typedef struct {
  const MalScopeSet *set;
  const GPtrArray *order;
} NestingView;

static bool nests(size_t a, size_t b, void *data)
{
  const NestingView *v = data;

  return mal_scope_nests(v->set, g_ptr_array_index(v->order, a), g_ptr_array_index(v->order, b));
}

static const char *asked_language(const MadcapMessage *msg, char out[256])
{
  size_t n = MIN(msg->language.length, 255);

  memcpy(out, n > 0 ? (const char *)msg->language.data : "", n);
  out[n] = '\0';
  return out;
}

/* What does not fit with all names gets one name each; what does not fit even then is cut off at
   the largest. */
static size_t chosen_list(const MadcapExchange *x, const MadcapScopeTable *t, bool nesting,
                          MadcapScope *scopes, MadcapName *names)
{
  size_t room = MADCAP_MAX_LENGTH - 8 - 22 - 4 - x->id.length - 8 - 32 - 4;
  char language[256];

  if (madcap_has(x->msg, MADCAP_OPTION_LANGUAGE)) {
    choose_names(t, asked_language(x->msg, language), scopes, names);
  } else {
    for (guint i = 0; i < t->order->len; i++)
      scopes[i] = t->scopes[i];
    if (how_many_fit(scopes, t->order->len, nesting, room) < t->order->len)
      choose_names(t, NULL, scopes, names);
  }
  return how_many_fit(scopes, t->order->len, nesting, room);
}

void madcap_handle_getinfo(const MadcapExchange *x)
{
  const MadcapMessage *msg = x->msg;
  const MadcapScopeTable *t = &x->s->table[msg->family == MAL_IPV6];
  MadcapReplyTo to = madcap_reply_to(x);
  MadcapEncoder e =
      madcap_encoder(x->s->buffer, sizeof x->s->buffer, MADCAP_ACK,
                     (MadcapContext){ .answers = MADCAP_GETINFO }, msg->family, msg->xid);
  bool list = madcap_requests(msg, MADCAP_OPTION_SCOPE_LIST);
  bool nesting = list && madcap_requests(msg, MADCAP_OPTION_NESTING);
  size_t n = 0;

  madcap_put_server_id(&e, x->from->server_id);
  madcap_put_lease_id(&e, msg->lease_id.data, msg->lease_id.length);
  if (list) {
    MadcapScope scopes[MAX_LISTED];
    MadcapName names[MAX_LISTED];
    n = chosen_list(x, t, nesting, scopes, names);
    madcap_put_scope_list(&e, scopes, n);
  }
  if (madcap_requests(msg, MADCAP_OPTION_CURRENT_TIME))
    madcap_put_current_time(&e, madcap_time32(x->now));
  madcap_put_our_features(&e, &to, false, madcap_requests(msg, MADCAP_OPTION_FEATURES));
  if (nesting) {
    NestingView view = { x->s->scopes, t->order };
    madcap_put_nesting(&e, n, nests, &view);
  }
  madcap_answer_now(x, madcap_finish(&e), true);
}
