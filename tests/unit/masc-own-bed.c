#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

/* The ops know only the node that they are called for. */
static OwnBed *the_bed;
static const MascZoneOps *inner;

static OwnNode *node_of(void *user)
{
  return &the_bed->nodes[((MascBedNode *)user)->index];
}

/* ---- the world ------------------------------------------------------------------------------- */

static void op_send(void *user, MascZone *zone, unsigned peer, const MascClaim *claims, size_t n)
{
  inner->send(user, zone, peer, claims, n);
}

static uint64_t op_random(void *user, uint64_t low, uint64_t high)
{
  return inner->random(user, low, high);
}

static void op_note(void *user, MascZone *zone, MascNote note, MalPrefix prefix, MascId domain,
                    uint64_t n)
{
  inner->note(user, zone, note, prefix, domain, n);
}

static uint64_t op_keep(void *user, MascZone *zone, const MascKept *kept)
{
  OwnNode *node = node_of(user);

  if (!node->broken)
    inner->keep(user, zone, kept);
  return node->slow ? ++node->asked : 0;
}

static int by_prefix(const void *a, const void *b)
{
  return masc_prefix_compare(&((const MascShown *)a)->prefix, &((const MascShown *)b)->prefix);
}

static void cut(GArray *array, MalPrefix prefix)
{
  g_autoptr(GArray) rest = g_array_new(FALSE, FALSE, sizeof(MalPrefix));

  for (guint i = array->len; i-- > 0;) {
    MascShown s = g_array_index(array, MascShown, i);
    if (!masc_prefix_meets(s.prefix, prefix))
      continue;
    g_array_remove_index(array, i);
    g_array_set_size(rest, 0);
    masc_prefix_minus(s.prefix, &prefix, 1, rest);
    for (guint k = 0; k < rest->len; k++) {
      s.prefix = g_array_index(rest, MalPrefix, k);
      g_array_append_val(array, s);
    }
  }
}

static void op_local(void *user, MascZone *zone, MalPrefix prefix, MalTime until, bool deprecated)
{
  GArray *local = node_of(user)->local;
  MascShown s = { prefix, until, deprecated };

  (void)zone;
  cut(local, prefix);
  g_array_append_val(local, s);
  g_array_sort(local, by_prefix);
}

static void op_local_ends(void *user, MascZone *zone, MalPrefix prefix)
{
  (void)zone;
  cut(node_of(user)->local, prefix);
  g_array_sort(node_of(user)->local, by_prefix);
}

static void remove_route(GArray *routes, MalPrefix prefix)
{
  for (guint i = routes->len; i-- > 0;)
    if (masc_prefix_equal(g_array_index(routes, MascShown, i).prefix, prefix))
      g_array_remove_index(routes, i);
}

static void op_managed(void *user, MascZone *zone, MalPrefix prefix, MalTime until,
                       bool deprecated)
{
  GArray *routes = node_of(user)->routes;
  MascShown s = { prefix, until, deprecated };

  (void)zone;
  remove_route(routes, prefix);
  g_array_append_val(routes, s);
  g_array_sort(routes, by_prefix);
}

static void op_unmanaged(void *user, MascZone *zone, MalPrefix prefix)
{
  (void)zone;
  remove_route(node_of(user)->routes, prefix);
}

static void op_uses(void *user, MascZone *zone, MalPrefix prefix,
                    void (*func)(MalSpan span, MalTime until, void *data), void *data)
{
  GArray *uses = node_of(user)->uses;
  MalSpan cut_span;

  (void)zone;
  for (guint i = 0; i < uses->len; i++) {
    const MascUse *u = &g_array_index(uses, MascUse, i);
    if (mal_span_intersect(u->span, mal_span_of_prefix(prefix), &cut_span))
      func(cut_span, u->until, data);
  }
}

static const MascZoneOps ops = {
  .send = op_send,
  .random = op_random,
  .keep = op_keep,
  .managed = op_managed,
  .unmanaged = op_unmanaged,
  .local = op_local,
  .local_ends = op_local_ends,
  .uses = op_uses,
  .note = op_note,
};

static size_t planner(MascForecast *forecast, const MascPlanView *view, MascRandom random,
                      void *user, MascWish *wishes, size_t most, MalTime *next)
{
  unsigned index = ((MascBedNode *)user)->index;
  OwnNode *node = &the_bed->nodes[index];
  GArray *queue = node->wishes[forecast == own_bed_owns(the_bed, index)->children];
  size_t n = MIN(most, queue->len);

  (void)random;
  node->plans++;
  node->seen = *view;
  if (view->busy_of != NULL)
    node->seen.busy = view->busy_of(view->busy_data, &node->seen.n_busy);
  *next = MAL_FOREVER;
  for (size_t i = 0; i < n; i++)
    wishes[i] = g_array_index(queue, MascWish, i);
  g_array_set_size(queue, 0);
  return n;
}

/* ---- the bed --------------------------------------------------------------------------------- */

OwnBed *own_bed_new(void)
{
  OwnBed *own = g_new0(OwnBed, 1);

  own->bed = masc_bed_new();
  the_bed = own;
  return own;
}

void own_bed_free(OwnBed *own)
{
  for (unsigned i = 0; i < own->bed->n; i++) {
    g_array_unref(own->nodes[i].local);
    g_array_unref(own->nodes[i].routes);
    g_array_unref(own->nodes[i].uses);
    g_array_unref(own->nodes[i].wishes[0]);
    g_array_unref(own->nodes[i].wishes[1]);
  }
  masc_bed_free(own->bed);
  g_free(own);
}

MascOwns *own_bed_owns(const OwnBed *own, unsigned node)
{
  return own->bed->nodes[node].zone->owns;
}

unsigned own_bed_add(OwnBed *own, MascId domain, MascId id, bool top)
{
  unsigned index = masc_bed_add(own->bed, domain, id, top);
  MascBedNode *n = &own->bed->nodes[index];
  OwnNode *node = &own->nodes[index];

  inner = n->config.ops != &ops ? n->config.ops : inner;
  n->config.ops = n->zone->config.ops = &ops;
  n->zone->owns->planner = planner;
  node->local = g_array_new(FALSE, TRUE, sizeof(MascShown));
  node->routes = g_array_new(FALSE, TRUE, sizeof(MascShown));
  node->uses = g_array_new(FALSE, TRUE, sizeof(MascUse));
  node->wishes[0] = g_array_new(FALSE, TRUE, sizeof(MascWish));
  node->wishes[1] = g_array_new(FALSE, TRUE, sizeof(MascWish));
  return index;
}

void own_bed_reboot(OwnBed *own, unsigned index, bool disk)
{
  OwnNode *node = &own->nodes[index];

  g_array_set_size(node->local, 0);
  g_array_set_size(node->routes, 0);
  masc_bed_reboot(own->bed, index, disk);
  own_bed_owns(own, index)->planner = planner;
}

/* ---- what the test does ---------------------------------------------------------------------- */

static void wish(OwnBed *own, unsigned index, bool parent, MascWishKind kind, const char *prefix,
                 const char *from)
{
  MascWish w = { .kind = kind, .prefix = masc_bed_prefix(prefix) };
  MascZone *zone = own->bed->nodes[index].zone;

  if (from != NULL)
    w.from = masc_bed_prefix(from);
  g_array_append_val(own->nodes[index].wishes[parent], w);
  masc_bed_settle(own->bed);
  masc_zone_run(zone, masc_bed_now(own->bed, index));
  zone->owns->asked = true;
  zone->owns->plan_at = own->bed->mono;
  zone->owns->due = 0;
  masc_zone_run(zone, masc_bed_now(own->bed, index));
  masc_zone_check(zone, masc_bed_now(own->bed, index));
  cr_assert_eq(own->nodes[index].wishes[parent]->len, 0, "no plan was made");
  masc_bed_settle(own->bed);
}

void own_bed_wish(OwnBed *own, unsigned node, MascWishKind kind, const char *prefix,
                  const char *from)
{
  wish(own, node, false, kind, prefix, from);
}

void own_bed_wish_parent(OwnBed *own, unsigned node, MascWishKind kind, const char *prefix,
                         const char *from)
{
  wish(own, node, true, kind, prefix, from);
}

void own_bed_win(OwnBed *own, unsigned node, const char *prefix)
{
  masc_bed_pass(own->bed, 0);
  wish(own, node, !own_bed_owns(own, node)->leaf, MASC_WISH_CLAIM, prefix, NULL);
  masc_bed_pass(own->bed, own->bed->params.waiting_period + 20);
  cr_assert_not_null(masc_own_find(own->bed->nodes[node].zone, masc_bed_prefix(prefix), false),
                     "%s was not won", prefix);
}

void own_bed_use(OwnBed *own, unsigned node, const char *text)
{
  MascUse use = { .until = MAL_FOREVER };

  use.span = masc_bed_span(text);
  g_array_append_val(own->nodes[node].uses, use);
}

void own_bed_unuse(OwnBed *own, unsigned node)
{
  g_array_set_size(own->nodes[node].uses, 0);
}

void own_bed_disk(OwnBed *own, unsigned index, bool ok)
{
  OwnNode *node = &own->nodes[index];
  MascNow now = masc_bed_now(own->bed, index);
  uint64_t through = node->asked;

  if (ok)
    masc_zone_kept(own->bed->nodes[index].zone, through, true, now);
  else
    for (uint64_t t = node->answered + 1; t <= through; t++)
      masc_zone_kept(own->bed->nodes[index].zone, t, false, now);
  node->answered = through;
  masc_bed_settle(own->bed);
}

OwnBed *own_bed_child(void)
{
  OwnBed *own = own_bed_new();

  own->bed->params.renew_interval = 50 * OWN_DAY;
  own_bed_add(own, 2, 2000, false);
  masc_bed_open(own->bed, 0, MASC_CHILD, 1, 0);
  masc_bed_open(own->bed, 0, MASC_SIBLING, 3, 1);
  own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
  masc_bed_pass(own->bed, 100);
  masc_bed_clear(own->bed);
  return own;
}

OwnBed *own_bed_top(void)
{
  OwnBed *own = own_bed_new();

  own->bed->params.renew_interval = 50 * OWN_DAY;
  own_bed_add(own, 2, 2000, true);
  masc_bed_open(own->bed, 0, MASC_SIBLING, 3, 0);
  masc_bed_pass(own->bed, 100);
  masc_bed_clear(own->bed);
  return own;
}

static const MascBedLink *open_end(const OwnBed *own, unsigned peer)
{
  for (guint i = 0; i < own->bed->links->len; i++) {
    const MascBedLink *l = &g_array_index(own->bed->links, MascBedLink, i);
    if (l->a == 0 && l->peer_a == peer)
      return l;
  }
  cr_assert(false, "no peer %u", peer);
  return NULL;
}

uint8_t own_bed_say_of(OwnBed *own, unsigned peer, MascClaimType type, const char *prefix,
                       int64_t ago, MascRole role, MascId domain, MascId node)
{
  MascClaim claim = masc_bed_claim(own->bed, type, role, domain, prefix);
  uint8_t answer;

  claim.timestamp = masc_bed_time(own->bed, ago);
  claim.node = node;
  answer = masc_bed_say(own->bed, 0, peer, &claim);
  masc_bed_pass(own->bed, 0);
  return answer;
}

uint8_t own_bed_say(OwnBed *own, unsigned peer, MascClaimType type, const char *prefix,
                    int64_t ago)
{
  const MascBedLink *l = open_end(own, peer);

  return own_bed_say_of(own, peer, type, prefix, ago, MASC_INTERNAL, l->domain, l->node);
}

void own_bed_pass(OwnBed *own, int64_t seconds)
{
  masc_bed_pass(own->bed, seconds);
}

/* ---- as text --------------------------------------------------------------------------------- */

static void add_prefix(GString *out, MalPrefix prefix)
{
  char text[MAL_SPAN_STRLEN];

  g_string_append_printf(out, "%s%s", out->len > 0 ? " " : "", masc_bed_format(prefix, text));
}

static char *shown(GArray *array)
{
  GString *out = g_string_new(NULL);

  for (guint i = 0; i < array->len; i++) {
    add_prefix(out, g_array_index(array, MascShown, i).prefix);
    if (g_array_index(array, MascShown, i).deprecated)
      g_string_append_c(out, 'D');
  }
  return g_string_free(out, FALSE);
}

char *own_bed_held(const OwnBed *own, unsigned node, bool lower)
{
  GString *out = g_string_new(NULL);
  GArray *held = own_bed_owns(own, node)->held[lower];

  for (guint i = 0; i < held->len; i++)
    add_prefix(out, g_array_index(held, MascHeld, i).prefix);
  return g_string_free(out, FALSE);
}

char *own_bed_local(const OwnBed *own, unsigned node)
{
  return shown(own->nodes[node].local);
}

char *own_bed_routes(const OwnBed *own, unsigned node)
{
  return shown(own->nodes[node].routes);
}

char *own_bed_pending(const OwnBed *own, unsigned node)
{
  GString *out = g_string_new(NULL);
  GArray *pends = own_bed_owns(own, node)->pends;

  for (guint i = 0; i < pends->len; i++) {
    const MascPend *p = &g_array_index(pends, MascPend, i);
    GString *one = g_string_new(NULL);
    add_prefix(one, p->prefix);
    g_string_append_printf(out, "%s%s%s", out->len > 0 ? " " : "", p->renews ? "r:" : "",
                           one->str);
    g_string_free(one, TRUE);
  }
  return g_string_free(out, FALSE);
}

unsigned own_bed_notes(const OwnBed *own, unsigned node, MascNote note)
{
  return own->bed->nodes[node].notes[note];
}

MalTime own_bed_until(const OwnBed *own, unsigned node, const char *prefix)
{
  const MascHeld *h = masc_own_covering(own->bed->nodes[node].zone, masc_bed_prefix(prefix), false);

  cr_assert_not_null(h, "%s is not held", prefix);
  return h->until;
}
