/* By hand: masc.claim and masc.withdraw; and looking in. */
#include "masc-own.h"

/* ---- claiming -------------------------------------------------------------------------------- */

static bool refuse(GError **error, int code, const char *why)
{
  g_set_error(error, MAL_ERROR, code, "%s", why);
  return false;
}

static int by_prefix(const void *a, const void *b)
{
  return masc_prefix_compare(a, b);
}

/* What nobody new can have. */
static GArray *taken(MascZone *zone, bool lower, MascNow now)
{
  MascOwns *owns = zone->owns;
  GArray *out = masc_busy(zone, lower, now);

  for (guint i = 0; i < owns->held[lower]->len; i++)
    g_array_append_val(out, g_array_index(owns->held[lower], MascHeld, i).prefix);
  for (guint i = 0; i < owns->pends->len; i++)
    if (g_array_index(owns->pends, MascPend, i).lower == lower)
      g_array_append_val(out, g_array_index(owns->pends, MascPend, i).prefix);
  masc_clash_lost(zone, lower, out);
  if (!lower)
    masc_own_unreachable(zone, now, out);
  g_array_sort(out, by_prefix);
  return out;
}

static bool choose(MascZone *zone, MalPrefix *prefix, bool lower, MascNow now)
{
  const MascParams *params = zone->config.params;
  g_autoptr(GArray) grounds = masc_grounds(zone, lower, now);
  g_autoptr(GArray) busy = taken(zone, lower, now);
  unsigned bits = masc_family_bits(zone->config.span.first.family);
  g_autoptr(GArray) holes =
      masc_holes((const MascGround *)(void *)grounds->data, grounds->len,
                 (const MalPrefix *)(void *)busy->data, busy->len,
                 mal_time_add(now.wall, params->waiting_period), bits);

  return masc_holes_place(holes, MASC_PLACE_BEST, NULL, prefix->length, zone->config.ops->random,
                          zone->config.user, prefix);
}

static bool is_busy(MascZone *zone, MalPrefix prefix, bool lower, MascNow now)
{
  g_autoptr(GArray) busy = masc_busy(zone, lower, now);

  masc_clash_lost(zone, lower, busy);
  for (guint i = 0; i < busy->len; i++)
    if (masc_prefix_meets(g_array_index(busy, MalPrefix, i), prefix))
      return true;
  return false;
}

/* A named prefix: new, larger than what we have, or the same for longer. */
static bool examine(MascZone *zone, MascPend *pend, MascNow now, GError **error)
{
  GArray *held = zone->owns->held[pend->lower];
  const MascPend *other = masc_pend_meeting(zone, pend->prefix, pend->lower);

  if (masc_own_ground(zone, pend->prefix, pend->lower, false, now) == MAL_BEGINNING)
    return refuse(error, MAL_ERROR_DENIED, "it is in no prefix from which can be claimed");
  if (is_busy(zone, pend->prefix, pend->lower, now))
    return refuse(error, MAL_ERROR_EXISTS, "another domain claims or uses some of it");
  if (other != NULL && !other->renews)
    return refuse(error, MAL_ERROR_EXISTS, "some of it is being claimed already");
  for (guint i = 0; i < held->len; i++) {
    MalPrefix p = g_array_index(held, MascHeld, i).prefix;
    if (masc_prefix_equal(p, pend->prefix))
      pend->renews = true;
    else if (masc_prefix_covers(p, pend->prefix))
      return refuse(error, MAL_ERROR_EXISTS, "it is part of a prefix that is ours");
    else if (masc_prefix_covers(pend->prefix, p))
      pend->from = p;
  }
  return true;
}

/* Has this node a session with PARENT, up or not? One whose domain isn't known as yet may be it. */
static bool has_session(const MascZone *zone, MascId parent)
{
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role == MASC_CHILD && (peer->domain == parent || peer->domain == 0))
      return true;
  }
  return false;
}

/* The internal peer who told what PARENT manages, or any. */
static MascId who_may(const MascZone *zone, MascId parent, bool *told)
{
  const GPtrArray *grounds = masc_cache_grounds(zone->cache);
  MascId node = 0;

  *told = false;
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role != MASC_INTERNAL || peer->node == 0)
      continue;
    node = node == 0 && peer->up ? peer->node : node;
    for (guint k = 0; k < grounds->len; k++) {
      const MascRecord *ground = g_ptr_array_index(grounds, k);
      *told = ground->claim.domain == parent && ground->from == peer->id;
      if (*told)
        return peer->node;
    }
  }
  return node;
}

/* Internal peers hear what is wanted of each other (11.5), but not which prefix, how long, nor that
   an operator wants it: so a claim by hand is made where it can be told to the parent. */
static bool is_elsewhere(const MascZone *zone, MalPrefix prefix, MascNow now, GError **error)
{
  char domain[MAL_ADDRESS_STRLEN], node[MAL_ADDRESS_STRLEN];
  MascId parent, other;
  bool told;

  if (zone->config.top || !masc_parent_to_ask(zone, prefix, now, &parent) ||
      has_session(zone, parent) || (other = who_may(zone, parent, &told)) == 0)
    return false;
  masc_id_format(parent, domain);
  masc_id_format(other, node);
  g_set_error(error, MAL_ERROR, MAL_ERROR_DENIED,
              "this node has no session with domain %s, whose space it is: claim it at %s %s of "
              "ours%s",
              domain, told ? "node" : "the node that has one; node", node,
              told ? ", which has told of that space" : " is in touch");
  return true;
}

bool masc_zone_claim(MascZone *zone, MalPrefix prefix, bool lower, int64_t lifetime, MascNow now,
                     GError **error)
{
  MalFamily family = zone->config.span.first.family;
  MascPend pend = { .lower = lower, .hand = true, .prefix = prefix, .lifetime = lifetime };
  bool any = prefix.address.value == 0;

  if (prefix.length > masc_family_bits(family) || (!any && prefix.address.family != family) ||
      !masc_prefix_equal(masc_prefix_widen(prefix, prefix.length), prefix))
    return refuse(error, MAL_ERROR_INVALID, "not a prefix of this scope");
  if (lower && zone->owns->leaf)
    return refuse(error, MAL_ERROR_INVALID, "a leaf domain uses all that it has without a claim");
  if (lifetime < 0 || (lifetime > 0 && lifetime <= zone->config.params->waiting_period))
    return refuse(error, MAL_ERROR_INVALID, "it would end before it could be used");
  pend.prefix.address.family = family;
  if (any && !choose(zone, &pend.prefix, lower, now))
    return refuse(error, MAL_ERROR_NO_SPACE, "no prefix of this length is free");
  if (!examine(zone, &pend, now, error) ||
      (!lower && is_elsewhere(zone, pend.prefix, now, error)))
    return false;
  for (MascPend *p; (p = masc_pend_meeting(zone, pend.prefix, lower)) != NULL;)
    masc_pend_cancel(zone, p, now);
  masc_pend_add(zone, &pend, now);
  return true;
}

/* ---- withdrawing ----------------------------------------------------------------------------- */

bool masc_zone_withdraw(MascZone *zone, MalPrefix prefix, MascNow now, GError **error)
{
  GArray *pends = zone->owns->pends;

  for (guint i = 0; i < pends->len; i++) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (p->renews || p->state == MASC_PEND_KEPT || !masc_prefix_equal(p->prefix, prefix))
      continue;
    masc_note(zone, MASC_NOTE_CANCELLED, prefix, zone->config.domain, 0);
    masc_pend_cancel(zone, p, now);
    return true;
  }
  for (int lower = 1; lower >= 0; lower--) {
    if (masc_own_covering(zone, prefix, lower) == NULL)
      continue;
    if (masc_own_give(zone, prefix, lower, now))
      return true;
    return refuse(error, MAL_ERROR_EXISTS, "some of it is in use");
  }
  return refuse(error, MAL_ERROR_NOT_FOUND, "it is no prefix of ours (masc prefixes lists them)");
}

/* ---- looking in ------------------------------------------------------------------------------ */

static void each_held(const MascZone *zone, bool lower, MascEntryFunc func, void *data)
{
  GArray *held = zone->owns->held[lower];

  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    MascEntry entry = { .kind = lower ? MASC_ENTRY_LOCAL : MASC_ENTRY_HELD,
                        .claim = h->claim,
                        .parent = h->parent,
                        .until = h->until,
                        .clash = masc_clash_withheld(zone, h->prefix, lower),
                        .rival = masc_clash_rival(zone, h->prefix, lower),
                        .draining = h->claim.deprecated };
    entry.claim.prefix = h->prefix;
    func(&entry, data);
  }
}

void masc_owns_each(const MascZone *zone, MascNow now, MascEntryFunc func, void *data)
{
  GArray *pends = zone->owns->pends;

  each_held(zone, false, func, data);
  each_held(zone, true, func, data);
  for (guint i = 0; i < pends->len; i++) {
    const MascPend *p = &g_array_index(pends, MascPend, i);
    MascEntry entry = { .kind = p->lower ? MASC_ENTRY_PENDING_LOCAL : MASC_ENTRY_PENDING,
                        .claim = p->claim,
                        .parent = p->parent,
                        .until = masc_claim_free_at(&p->claim),
                        .due = MAL_FOREVER };
    if (p->state == MASC_PEND_KEPT)
      continue;
    entry.claim.prefix = p->prefix;
    entry.claim.domain = zone->config.domain;
    entry.claim.node = zone->config.node;
    if (p->due != MASC_NEVER)
      entry.due = mal_time_add(now.wall, MAX(p->due - now.mono, 0) / MASC_SECOND);
    func(&entry, data);
  }
}

static uint64_t plus(uint64_t a, MalU128 b)
{
  return b > UINT64_MAX - a ? UINT64_MAX : a + (uint64_t)b;
}

static void count_use(MalSpan span, MalTime until G_GNUC_UNUSED, void *data)
{
  uint64_t *used = data;

  *used = plus(*used, mal_span_size(span));
}

void masc_owns_usage(const MascZone *zone, MascNow now, MascZoneUsage *usage)
{
  const MascOwns *owns = zone->owns;

  usage->leaf = owns->leaf;
  usage->waiting = owns->waiting;
  usage->n_held = owns->held[MASC_UPPER]->len;
  usage->n_pending = owns->pends->len;
  for (guint i = 0; i < owns->held[MASC_UPPER]->len; i++)
    usage->held = plus(usage->held, masc_prefix_addresses(
                                        g_array_index(owns->held[MASC_UPPER], MascHeld, i).prefix));
  for (guint i = 0; i < owns->shown->len; i++) {
    MalPrefix p = g_array_index(owns->shown, MascShown, i).prefix;
    usage->local = plus(usage->local, masc_prefix_addresses(p));
    if (owns->leaf)
      zone->config.ops->uses(zone->config.user, (MascZone *)zone, p, count_use, &usage->used);
  }
  if (owns->leaf)
    return;
  g_autoptr(GArray) uses = masc_own_children_uses(zone, now);
  for (guint i = 0; i < uses->len; i++)
    if (!g_array_index(uses, MascUse, i).pending)
      usage->used = plus(usage->used, mal_span_size(g_array_index(uses, MascUse, i).span));
}

/* ---- invariants ------------------------------------------------------------------------------ */

static void check_disjoint(GArray *array, size_t size)
{
  for (guint i = 0; i + 1 < array->len; i++) {
    MalPrefix a = *(const MalPrefix *)(void *)(array->data + i * size);
    MalPrefix b = *(const MalPrefix *)(void *)(array->data + (i + 1) * size);
    g_assert(masc_prefix_compare(&a, &b) < 0);
    g_assert(!masc_prefix_meets(a, b));
  }
}

G_STATIC_ASSERT(G_STRUCT_OFFSET(MascHeld, prefix) == 0);
G_STATIC_ASSERT(G_STRUCT_OFFSET(MascShown, prefix) == 0);

void masc_owns_check(const MascZone *zone, MascNow now)
{
  const MascOwns *owns = zone->owns;

  check_disjoint(owns->held[MASC_UPPER], sizeof(MascHeld));
  check_disjoint(owns->held[MASC_LOWER], sizeof(MascHeld));
  check_disjoint(owns->shown, sizeof(MascShown));
  check_disjoint(owns->routes, sizeof(MascShown));
  /* What happened just now is seen to by the next run. */
  if (owns->dirty || now.mono >= owns->due)
    return;
  g_assert(!owns->leaf || owns->held[MASC_LOWER]->len == 0);
  for (guint i = 0; i < owns->shown->len; i++) {
    const MascShown *s = &g_array_index(owns->shown, MascShown, i);
    const MascHeld *h = masc_own_covering(zone, s->prefix, !owns->leaf);
    g_assert(h != NULL);
    g_assert(s->until == h->until && s->until >= now.wall);
    g_assert(!masc_clash_withheld(zone, s->prefix, !owns->leaf));
    g_assert(owns->leaf || masc_own_covering(zone, s->prefix, false) != NULL);
  }
}
