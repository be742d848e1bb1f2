/* Operators: what they say by the control API. */
#include "masc-world-private.h"

#include <string.h>

/* ---- clashes and floods ---------------------------------------------------------------------- */

static void nothing(json_object *result, const GError *error, void *data)
{
  (void)result;
  bool *done = data;
  *done = error == NULL;
}

static bool call(const Node *n, const char *method, const char *params)
{
  bool done = false;
  json_object *p = json_tokener_parse(params);
  mal_control_call(mal_core_control(n->core), method, p, true, nothing, NULL, &done);
  json_object_put(p);
  return done;
}

typedef struct {
  const Node *node;
  GPtrArray *clashes; /* char *: prefixes */
} Operator;

static void see(const MascEntry *entry, void *data)
{
  Operator *o = data;
  char text[MAL_SPAN_STRLEN];
  if (!entry->clash || entry->kind != MASC_ENTRY_HELD)
    return;
  g_ptr_array_add(o->clashes, g_strdup(masc_prefix_format(entry->claim.prefix, text)));
}

/* Both operators have spoken: who has the lower number keeps it, but not against a domain that has
   no operator. */
static const char *verdict(const World *w, const Domain *d, const char *text)
{
  MalPrefix prefix;
  if (!mal_prefix_parse(text, &prefix, NULL))
    g_error("%s is no prefix", text);
  unsigned scope = world_scope_of(w, prefix.address);
  for (guint i = 0; i < w->held->len; i++) {
    const Held *h = &g_array_index(w->held, Held, i);
    const Domain *other = h->node->domain;
    bool rival = other != d && mal_span_overlaps(h->span, mal_span_of_prefix(prefix)) &&
                 world_zoned(w, scope, other->index, d->index) &&
                 !world_is_ancestor(w, scope, other->index, d->index) &&
                 !world_is_ancestor(w, scope, d->index, other->index);
    if (rival && (!other->manual || other->index < d->index))
      return "yield";
  }
  return "keep";
}

static void resolve(World *w, Node *n)
{
  Operator o = { .node = n, .clashes = g_ptr_array_new_with_free_func(g_free) };
  for (guint i = 0; i < n->masc->areas->len; i++)
    masc_zone_each(masc_area_at(n->masc, i)->zone, n->masc->now, see, &o);
  for (guint i = 0; i < o.clashes->len; i++) {
    const char *prefix = g_ptr_array_index(o.clashes, i);
    const char *how = verdict(w, n->domain, prefix);
    g_autofree char *params = g_strdup_printf("{\"prefix\":\"%s\",\"how\":\"%s\"}", prefix, how);
    mal_sim_note(w->sim, n->node, "the operator: %s %s", how, prefix);
    if (call(n, "masc.resolve", params))
      count(w, COUNT_RESOLVED);
  }
  g_ptr_array_unref(o.clashes);
}

static void forgive(World *w, Node *n)
{
  char why[200];
  if (world_ignores_nobody(n, why))
    return;
  for (unsigned i = 0; i < DOMAINS; i++) {
    g_autofree char *id = world_domain_id(w, i);
    g_autofree char *params = g_strdup_printf("{\"domain\":\"%s\"}", id);
    if (mal_sim_now(w->sim) >= w->domain[i].flooded_until && call(n, "masc.forgive", params))
      count(w, COUNT_FORGIVEN);
  }
}

void world_operate(World *w)
{
  if (mal_sim_now(w->sim) / OPERATOR == (mal_sim_now(w->sim) - LOOK_EVERY) / OPERATOR)
    return;
  for (unsigned i = 0; i < DOMAINS; i++)
    for (unsigned k = 0; exists(&w->domain[i]) && k < w->domain[i].n_nodes; k++) {
      Node *n = &w->domain[i].node[k];
      if (n->masc == NULL)
        continue;
      forgive(w, n);
      if (n->domain->manual)
        resolve(w, n);
    }
}

/* ---- claims ---------------------------------------------------------------------------------- */

static Node *operated(Domain *d, MalWorldRandom *r)
{
  Node *n = &d->node[between(r, 0, d->n_nodes - 1)];
  return n->masc != NULL ? n : NULL;
}

/* Of some length, or what somebody near may want, too. */
void world_claim_by_hand(Domain *d, MalWorldRandom *r)
{
  World *w = d->world;
  Node *n = operated(d, r);
  unsigned scope = (unsigned)between(r, 0, w->n_scopes - 1);
  const Scope *s = &w->scope[scope];
  bool four = s->span.first.family == MAL_IPV4, any = chance(r, 60), local = chance(r, 25);
  unsigned length = (four ? 32 : 128) - (unsigned)between(r, 8, 11);
  uint64_t most = (uint64_t)mal_span_size(s->span);
  MalAddress at = s->span.first;
  char text[MAL_ADDRESS_STRLEN];
  at.value += (MalU128)(between(r, 0, most - 1) >> 11 << 11);
  if (n == NULL)
    return;
  g_autofree char *prefix = any ? g_strdup_printf("/%u", length)
                                : g_strdup_printf("%s/%u", mal_address_format(at, text), length);
  g_autofree char *params =
      g_strdup_printf("{\"prefix\":\"%s\",\"scope\":\"%s\",\"local\":%s}", prefix, s->name,
                      local ? "true" : "false");
  mal_sim_note(w->sim, n->node, "the operator: claim %s", prefix);
  w->result->happened[KIND_CLAIM] += call(n, "masc.claim", params);
}

typedef struct {
  MalWorldRandom *random;
  MalPrefix prefix;
  unsigned n;
} Choice;

static void choose(const MascEntry *entry, void *data)
{
  Choice *c = data;
  bool ours = entry->kind == MASC_ENTRY_HELD || entry->kind == MASC_ENTRY_LOCAL ||
              entry->kind == MASC_ENTRY_PENDING;
  if (ours && between(c->random, 0, c->n++) == 0)
    c->prefix = entry->claim.prefix;
}

/* What is in use is not given back. */
void world_withdraw_by_hand(Domain *d, MalWorldRandom *r)
{
  World *w = d->world;
  Node *n = operated(d, r);
  Choice c = { .random = r };
  char text[MAL_SPAN_STRLEN];
  for (guint i = 0; n != NULL && i < n->masc->areas->len; i++)
    masc_zone_each(masc_area_at(n->masc, i)->zone, n->masc->now, choose, &c);
  if (c.n == 0)
    return;
  masc_prefix_format(c.prefix, text);
  g_autofree char *params = g_strdup_printf("{\"prefix\":\"%s\"}", text);
  mal_sim_note(w->sim, n->node, "the operator: withdraw %s", text);
  w->result->happened[KIND_WITHDRAW] += call(n, "masc.withdraw", params);
}
