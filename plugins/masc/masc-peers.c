/* To whom things go, in which order (RFC 2909 11.2 to 11.8). One table says both: where the
   propagation rules send something on, 11.8 has a step for it. */
#include "masc-update.h"

#define CLAIMS(n) [MASC_PREFIX_IN_USE] = (n), [MASC_CLAIM_TO_EXPAND] = (n), [MASC_NEW_CLAIM] = (n)
#define MANAGED(n) [MASC_PREFIX_MANAGED] = (n)
#define IN_USE(n) [MASC_PREFIX_IN_USE] = (n)
#define DENIED(n) [MASC_CLAIM_DENIED] = (n)
#define WITHDRAW(n) [MASC_WITHDRAW] = (n)

/* What we are to the peer; what the origin is to us: the step; 0: doesn't go there. */
static const uint8_t steps[MASC_N_ROLES][MASC_N_ROLES][MASC_N_CLAIM_TYPES] = {
  /* 11.8.1 parent to child */
  [MASC_PARENT] = { [MASC_INTERNAL] = { IN_USE(1), WITHDRAW(1), DENIED(3) },
                    [MASC_CHILD] = { CLAIMS(2), WITHDRAW(3) } },
  /* 11.8.2 child to parent */
  [MASC_CHILD] = { [MASC_PARENT] = { MANAGED(1), WITHDRAW(1), DENIED(3) },
                   [MASC_INTERNAL] = { CLAIMS(2), WITHDRAW(3) },
                   [MASC_SIBLING] = { CLAIMS(2), WITHDRAW(3) } },
  /* 11.8.3 sibling to sibling */
  [MASC_SIBLING] = { [MASC_PARENT] = { MANAGED(1), WITHDRAW(1), DENIED(3) },
                     [MASC_INTERNAL] = { CLAIMS(2), WITHDRAW(3) },
                     [MASC_SIBLING] = { CLAIMS(2), WITHDRAW(3) } },
  /* 11.8.4 internal to internal */
  [MASC_INTERNAL] = { [MASC_PARENT] = { MANAGED(1), WITHDRAW(1), DENIED(3) },
                      [MASC_INTERNAL] = { CLAIMS(2), WITHDRAW(3), DENIED(5) },
                      [MASC_SIBLING] = { CLAIMS(2), WITHDRAW(3) },
                      [MASC_CHILD] = { CLAIMS(4), WITHDRAW(5) } },
};

/* 11.5, 11.8: hints and what is said of them stay between a child domain and its parent domain. Of
   our own domain they go to the one parent that is asked, or to those internal peers who are. */
static bool hint_goes(const MascZone *zone, const MascRecord *record, const MascPeer *peer)
{
  const MascClaim *hint = &record->claim;
  if (hint->role == MASC_INTERNAL && hint->domain == zone->config.domain)
    return peer->role == (record->parent != 0 ? MASC_CHILD : MASC_INTERNAL);
  return peer->role == MASC_PARENT ? peer->domain == hint->domain : peer->role != MASC_SIBLING;
}

/* Of what no parent manages: we had it before there were parents (4.5), and they would take it from
   us, as what they don't have (11.2.3). */
static bool is_nobodys(const MascZone *zone, const MascClaim *c, MascId *parent)
{
  return c->role == MASC_INTERNAL && !masc_claim_is_hint(c) &&
         !masc_parent_of(zone, c->prefix, zone->at, parent);
}

/* Children hear of nothing above us; everybody above, of what is in the space that we share. */
static bool concerns(const MascZone *zone, const MascRecord *record, const MascPeer *peer)
{
  const MascClaim *c = &record->claim;
  bool by_parent = c->role == MASC_PARENT && c->type != MASC_CLAIM_DENIED;
  MascId parent = by_parent ? c->domain : record->parent;
  if (zone->config.top)
    return true;
  if (parent == 0 && is_nobodys(zone, c, &parent))
    return peer->role == MASC_PARENT || peer->role == MASC_INTERNAL;
  if (parent == 0)
    return true;
  if (c->role == MASC_INTERNAL && (peer->role == MASC_CHILD || peer->role == MASC_SIBLING) &&
      !masc_claim_is_hint(c))
    parent = masc_parent_now(zone, c->prefix, parent);
  if (peer->role == MASC_CHILD)
    return peer->domain == parent;
  return peer->role != MASC_SIBLING || peer->parent == parent;
}

unsigned masc_goes_to(const MascZone *zone, const MascRecord *record, const MascPeer *peer,
                      MascClaim *out)
{
  unsigned step = steps[peer->role][record->claim.role][record->claim.type];
  if (step == 0 || !concerns(zone, record, peer))
    return 0;
  if (masc_claim_is_hint(&record->claim) && !hint_goes(zone, record, peer))
    return 0;
  *out = record->claim;
  if (out->role == MASC_INTERNAL && out->type == MASC_PREFIX_IN_USE &&
      (peer->role == MASC_PARENT || peer->role == MASC_INTERNAL))
    out->type = MASC_PREFIX_MANAGED;
  return step;
}

void masc_spread_to_peer(MascZone *zone, const MascRecord *record, const MascPeer *peer)
{
  MascClaim claim;
  if (peer->up && masc_goes_to(zone, record, peer, &claim) != 0)
    zone->config.ops->send(zone->config.user, zone, peer->id, &claim, 1);
}

static void spread(MascZone *zone, const MascRecord *record, uint32_t except, bool inside)
{
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->id != except && (!inside || peer->role == MASC_INTERNAL))
      masc_spread_to_peer(zone, record, peer);
  }
}

void masc_spread(MascZone *zone, const MascRecord *record, uint32_t except)
{
  spread(zone, record, except, false);
}

void masc_spread_inside(MascZone *zone, const MascRecord *record, uint32_t except)
{
  spread(zone, record, except, true);
}

void masc_spread_to_child(MascZone *zone, const MascRecord *record, MascId child)
{
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role == MASC_PARENT && peer->domain == child)
      masc_spread_to_peer(zone, record, peer);
  }
}

/* ---- all at once (11.8) ---------------------------------------------------------------------- */

typedef struct {
  unsigned order;             /* the step, and in it the type */
  uint64_t serial;
  MascClaim claim;
} Item;

typedef struct {
  const MascZone *zone;
  const MascPeer *peer;
  GArray *items;
} All;

static bool stands(MascRecord *record, void *data)
{
  const MascRecord **withdraw = data;
  bool below = (*withdraw)->claim.role == MASC_INTERNAL && record->claim.role == MASC_CHILD &&
               record->claim.type == MASC_PREFIX_IN_USE && !(*withdraw)->names;
  bool takes = masc_is_holding(&record->claim) && masc_withdraw_counts(*withdraw, record);
  if (!below && !takes)
    return true;
  *withdraw = NULL;
  return false;
}

/* Of WITHDRAWs, only those that take something from what is sent with them: who has what others
   took away hears of it when he tells it (masc_record_stale). */
static bool worth_sending(const MascZone *zone, const MascRecord *record, const MascPeer *peer)
{
  const MascRecord *withdraw = record;
  if (record->claim.type != MASC_WITHDRAW)
    return true;
  if (masc_claim_is_hint(&record->claim))
    return false;
  /* The peer's own: it may have lost its disk (14). */
  if (record->claim.domain == peer->domain)
    return true;
  masc_cache_look(zone->cache, record->claim.prefix, stands, &withdraw);
  return withdraw == NULL;
}

static unsigned within_step(MascClaimType type)
{
  static const uint8_t orders[MASC_N_CLAIM_TYPES] = {
    [MASC_PREFIX_MANAGED] = 0, [MASC_PREFIX_IN_USE] = 0, [MASC_CLAIM_TO_EXPAND] = 1,
    [MASC_NEW_CLAIM] = 2,      [MASC_CLAIM_DENIED] = 3,  [MASC_WITHDRAW] = 4,
  };
  return orders[type];
}

static bool add_item(MascRecord *record, void *data)
{
  const All *all = data;
  Item item = { .serial = record->serial };
  unsigned step = masc_goes_to(all->zone, record, all->peer, &item.claim);
  if (step == 0 || !worth_sending(all->zone, record, all->peer))
    return true;
  item.order = step * 8 + within_step(record->claim.type);
  g_array_append_val(all->items, item);
  return true;
}

static int compare_items(const void *a, const void *b)
{
  const Item *x = a, *y = b;
  if (x->order != y->order)
    return x->order < y->order ? -1 : 1;
  return x->serial < y->serial ? -1 : x->serial > y->serial;
}

void masc_send_all(MascZone *zone, const MascPeer *peer)
{
  g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(Item));
  All all = { zone, peer, items };
  masc_cache_each(zone->cache, add_item, &all);
  if (items->len == 0)
    return;
  g_array_sort(items, compare_items);
  g_autofree MascClaim *claims = g_new(MascClaim, items->len);
  for (guint i = 0; i < items->len; i++)
    claims[i] = g_array_index(items, Item, i).claim;
  zone->config.ops->send(zone->config.user, zone, peer->id, claims, items->len);
}

/* ---- peers ----------------------------------------------------------------------------------- */

MascPeer *masc_peer(const MascZone *zone, unsigned id)
{
  unsigned place = id < MASC_PEERS_MAX ? zone->peer_at[id] : 0;
  return place != 0 ? &g_array_index(zone->peers, MascPeer, place - 1) : NULL;
}

bool masc_is_parent(const MascZone *zone, MascId domain)
{
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role == MASC_CHILD && peer->domain == domain)
      return true;
  }
  return false;
}

static bool of_child(MascRecord *record, void *data)
{
  *(bool *)data = record->claim.role == MASC_CHILD;
  return !*(bool *)data;
}

bool masc_is_child(const MascZone *zone, MascId domain)
{
  bool found = domain == zone->config.domain;
  for (guint i = 0; i < zone->peers->len && !found; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    found = peer->role == MASC_PARENT && peer->domain == domain;
  }
  if (!found)
    masc_cache_each_of(zone->cache, domain, of_child, &found);
  return found;
}

void masc_zone_add_peer(MascZone *zone, unsigned id, MascRole role, MascId domain, MascId parent)
{
  MascPeer peer = { .id = id, .role = role, .domain = domain, .parent = parent };
  g_return_if_fail(id < MASC_PEERS_MAX && zone->peer_at[id] == 0);
  g_array_append_val(zone->peers, peer);
  zone->peer_at[id] = (uint16_t)zone->peers->len;
}

void masc_zone_bound_peer(MascZone *zone, unsigned id, unsigned shortest)
{
  MascPeer *peer = masc_peer(zone, id);
  g_return_if_fail(peer != NULL);
  peer->shortest = shortest;
}

static bool add_of_parent(MascRecord *record, void *data)
{
  GPtrArray *gone = data;
  if (record->claim.role == MASC_PARENT && record->claim.type != MASC_CLAIM_DENIED)
    g_ptr_array_add(gone, record);
  return true;
}

/* 12.5: nobody of that domain is left to ask. */
static void parent_gone(MascZone *zone, MascId domain, MascNow now)
{
  g_autoptr(GPtrArray) gone = g_ptr_array_new();
  masc_cache_each_of(zone->cache, domain, add_of_parent, gone);
  for (guint i = 0; i < gone->len; i++)
    masc_record_forget(zone, g_ptr_array_index(gone, i));
  if (gone->len > 0)
    masc_own_parent_changed(zone, NULL, now);
}

void masc_zone_remove_peer(MascZone *zone, unsigned id, MascNow now)
{
  const MascPeer *peer = masc_peer(zone, id);
  g_return_if_fail(peer != NULL);
  MascPeer was = *peer;
  guint place = zone->peer_at[id] - 1u;
  zone->at = now;
  g_array_remove_index(zone->peers, place);
  zone->peer_at[id] = 0;
  for (guint i = place; i < zone->peers->len; i++)
    zone->peer_at[g_array_index(zone->peers, MascPeer, i).id] = (uint16_t)(i + 1);
  if (was.role == MASC_CHILD && !masc_is_parent(zone, was.domain))
    parent_gone(zone, was.domain, now);
  masc_own_touched(zone, now);
}

static bool add_domain(MascRecord *record, void *data)
{
  GArray *domains = data;
  bool known = record->claim.role != MASC_PARENT;
  for (guint i = 0; i < domains->len && !known; i++)
    known = g_array_index(domains, MascId, i) == record->claim.domain;
  if (!known)
    g_array_append_val(domains, record->claim.domain);
  return true;
}

void masc_zone_forget_parents(MascZone *zone, MascNow now)
{
  g_autoptr(GArray) domains = g_array_new(FALSE, FALSE, sizeof(MascId));
  for (guint i = 0; i < zone->peers->len; i++)
    if (g_array_index(zone->peers, MascPeer, i).role == MASC_INTERNAL)
      return;
  masc_cache_each(zone->cache, add_domain, domains);
  for (guint i = 0; i < domains->len; i++)
    if (!masc_is_parent(zone, g_array_index(domains, MascId, i)))
      parent_gone(zone, g_array_index(domains, MascId, i), now);
}

void masc_zone_up(MascZone *zone, unsigned id, MascId domain, MascId node, MascNow now)
{
  MascPeer *peer = masc_peer(zone, id);
  g_return_if_fail(peer != NULL);
  zone->at = now;
  peer->domain = domain;
  peer->node = node;
  peer->up = true;
  masc_send_all(zone, peer);
  masc_own_touched(zone, now);
}

/* The session's state goes with it (10.1); what it told stays as long as that says (11.1). */
void masc_zone_down(MascZone *zone, unsigned id, MascNow now)
{
  MascPeer *peer = masc_peer(zone, id);
  g_return_if_fail(peer != NULL);
  zone->at = now;
  if (!peer->up)
    return;
  peer->up = false;
  masc_own_touched(zone, now);
}
