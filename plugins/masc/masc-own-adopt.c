/* What our servers use although we brought them none of it (RFC 2909 12.2, 13, 14): layer 2 took it
   over from an announcement. Our disk has lost that it is ours, and maybe everybody else has; or it
   is ours no more, and a server did not hear of that. */
#include "masc-own.h"

/* Claims for it at once: a parent that refuses them all is not to take us for who floods (14). */
#define ADOPTED_MOST 32

static GArray *prefixes_new(void)
{
  return g_array_new(FALSE, FALSE, sizeof(MalPrefix));
}

static GArray *prefixes_of(MalSpan span)
{
  GArray *out = prefixes_new();

  for (;;) {
    MalPrefix p = mal_prefix_first_of(span);
    MalSpan done = mal_span_of_prefix(p);
    g_array_append_val(out, p);
    if (mal_address_compare(done.last, span.last) >= 0 ||
        !mal_address_add(done.last, 1, &span.first))
      return out;
  }
}

static GArray *without(const GArray *prefixes, const GArray *taken)
{
  GArray *out = prefixes_new();

  for (guint i = 0; i < prefixes->len; i++)
    masc_prefix_minus(g_array_index(prefixes, MalPrefix, i),
                      (const MalPrefix *)(void *)taken->data, taken->len, out);
  return out;
}

static GArray *within(const GArray *prefixes, const GArray *ground)
{
  g_autoptr(GArray) outside = without(prefixes, ground);

  return without(prefixes, outside);
}

/* ---- what is known --------------------------------------------------------------------------- */

static GArray *held(const MascZone *zone, bool lower)
{
  GArray *all = zone->owns->held[lower], *out = prefixes_new();

  for (guint i = 0; i < all->len; i++)
    g_array_append_val(out, g_array_index(all, MascHeld, i).prefix);
  return out;
}

typedef struct {
  const MascZone *zone;
  MascNow now;
  GArray *claimed, *given; /* MalPrefix */
  bool lately;
} Ours;

static bool find_ours(MascRecord *record, void *data)
{
  Ours *o = data;

  if (masc_own_peer_claims(o->zone, record, false, o->now))
    g_array_append_val(o->claimed, record->claim.prefix);
  else if (record->claim.type == MASC_WITHDRAW && masc_own_is(o->zone, &record->claim, false) &&
           (record->clash || !o->lately))
    g_array_append_val(o->given, record->claim.prefix);
  return true;
}

/* By us or by internal peers, and not won yet. To GIVEN, what we gave up: after a disk was lost
   only what we lost in clashes, since a claim that met another one is withdrawn, too, all of it. */
static GArray *claimed(const MascZone *zone, GArray *given, MascNow now)
{
  GArray *pends = zone->owns->pends;
  Ours o = { zone, now, prefixes_new(), given, now.mono < zone->owns->adopt_until };

  masc_cache_each_of(zone->cache, zone->config.domain, find_ours, &o);
  for (guint i = 0; i < pends->len; i++) {
    const MascPend *p = &g_array_index(pends, MascPend, i);
    if (!p->lower && p->state != MASC_PEND_KEPT)
      g_array_append_val(o.claimed, p->prefix);
  }
  return o.claimed;
}

/* What others have, and what was denied to us. */
static void add_taken(const MascZone *zone, GArray *out, MascNow now)
{
  g_autoptr(GArray) busy = masc_busy(zone, false, now);
  GArray *avoid = zone->owns->avoid;

  g_array_append_vals(out, busy->data, busy->len);
  for (guint i = 0; i < avoid->len; i++)
    if (g_array_index(avoid, MascAvoid, i).until > now.mono)
      g_array_append_val(out, g_array_index(avoid, MascAvoid, i).prefix);
}

/* Is it known what parents manage? Not before they had time to say so. */
static bool parents_said(const MascZone *zone, MascNow now)
{
  bool some = zone->config.top;

  if (!masc_own_recovering(zone, now))
    return true;
  for (guint i = 0; i < zone->peers->len && !zone->config.top; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role != MASC_CHILD)
      continue;
    int64_t since = masc_own_touch_since(zone, peer->domain, false);
    if (since == MASC_NEVER || now.mono - since < masc_own_settle(zone) * MASC_SECOND)
      return false;
    some = true;
  }
  return some;
}

static GArray *in_parents(const MascZone *zone, const GArray *prefixes, MascNow now)
{
  g_autoptr(GArray) grounds = masc_grounds(zone, false, now);
  g_autoptr(GArray) all = prefixes_new();

  for (guint i = 0; i < grounds->len; i++)
    g_array_append_val(all, g_array_index(grounds, MascGround, i).prefix);
  return within(prefixes, all);
}

/* Somebody may know of it who is not in touch. */
static bool is_missed(const MascZone *zone, MascNow now)
{
  if (masc_own_recovering(zone, now))
    return true;
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role == MASC_INTERNAL && !peer->up)
      return true;
  }
  return false;
}

/* ---- what may go on -------------------------------------------------------------------------- */

/* Recovery is over, and what nobody knew of goes on, since it is being claimed, or the operator has
   time to do so. */
static bool goes_on(const MascZone *zone, MascNow now)
{
  return now.mono < zone->owns->adopt_until && !masc_own_recovering(zone, now) &&
         !masc_own_asks_inside(zone);
}

/* Of PREFIXES, which we neither hold nor claim, what could be ours, as far as is known. */
static GArray *possible(const MascZone *zone, const GArray *prefixes, GArray *taken, MascNow now)
{
  add_taken(zone, taken, now);
  g_autoptr(GArray) left = without(prefixes, taken);

  return parents_said(zone, now) ? in_parents(zone, left, now) : g_steal_pointer(&left);
}

/* Of PREFIXES, which we hold. Of a domain with children, where the servers have nothing else, what
   no child has: what they use of it is claimed for them (masc_local_adopt). */
static GArray *of_held(const MascZone *zone, const GArray *prefixes, MascNow now)
{
  g_autoptr(GArray) taken = masc_clash_spots(zone, false);

  if (!zone->owns->leaf) {
    g_autoptr(GArray) busy = masc_busy(zone, true, now);
    g_array_append_vals(taken, busy->data, busy->len);
    if (zone->owns->shown->len > 0)
      g_array_append_vals(taken, prefixes->data, prefixes->len);
  }
  return without(prefixes, taken);
}

static void say(const GArray *prefixes, MascPartFunc func, void *data)
{
  for (guint i = 0; i < prefixes->len; i++)
    func(mal_span_of_prefix(g_array_index(prefixes, MalPrefix, i)), data);
}

void masc_zone_vouch(const MascZone *zone, MalSpan span, MascNow now, MascPartFunc func, void *data)
{
  g_autoptr(GArray) all = prefixes_of(span);
  g_autoptr(GArray) ours = held(zone, false);
  g_autoptr(GArray) in = within(all, ours);
  g_autoptr(GArray) out = without(all, ours);
  g_autoptr(GArray) taken = prefixes_new();
  g_autoptr(GArray) pending = claimed(zone, taken, now);
  g_autoptr(GArray) used = of_held(zone, in, now);
  g_autoptr(GArray) waiting = within(out, pending);

  say(used, func, data);
  say(waiting, func, data);
  if (!is_missed(zone, now) && !goes_on(zone, now))
    return;
  g_autoptr(GArray) rest = without(out, pending);
  g_autoptr(GArray) free = possible(zone, rest, taken, now);
  say(free, func, data);
}

/* ---- claiming it ----------------------------------------------------------------------------- */

void masc_zone_adopted(MascZone *zone, const MalSpan *spans, size_t n, MascNow now)
{
  MascOwns *owns = zone->owns;

  g_array_set_size(owns->adopted, 0);
  g_array_append_vals(owns->adopted, spans, (guint)n);
  if (n > 0 && owns->adopt_at != MASC_NEVER)
    owns->due = MIN(owns->due, MAX(owns->adopt_at, now.mono));
}

static bool has_room(const MascZone *zone)
{
  GArray *pends = zone->owns->pends;
  unsigned n = 0;

  for (guint i = 0; i < pends->len; i++) {
    const MascPend *p = &g_array_index(pends, MascPend, i);
    n += !p->lower && !p->renews && p->state != MASC_PEND_KEPT;
  }
  return n < ADOPTED_MOST;
}

/* False: there was no room for all of FREE. */
static bool claim(MascZone *zone, const GArray *free, MascNow now)
{
  for (guint i = 0; i < free->len; i++) {
    MascPend pend = { .prefix = g_array_index(free, MalPrefix, i) };
    if (pend.prefix.length > masc_own_unit(zone))
      continue;
    if (!has_room(zone))
      return false;
    masc_pend_add(zone, &pend, now);
  }
  return true;
}

/* Once. */
static void tell_operator(MascZone *zone, const GArray *free)
{
  MascOwns *owns = zone->owns;
  g_autoptr(GArray) fresh = without(free, owns->unclaimed);

  for (guint i = 0; i < fresh->len; i++)
    masc_note(zone, MASC_NOTE_UNCLAIMED, g_array_index(fresh, MalPrefix, i), zone->config.domain,
              0);
  g_array_append_vals(owns->unclaimed, fresh->data, fresh->len);
}

static bool adopt(MascZone *zone, MalSpan span, MascNow now)
{
  g_autoptr(GArray) all = prefixes_of(span);
  g_autoptr(GArray) ours = held(zone, false);
  g_autoptr(GArray) taken = prefixes_new();
  g_autoptr(GArray) pending = claimed(zone, taken, now);

  g_array_append_vals(ours, pending->data, pending->len);
  g_autoptr(GArray) rest = without(all, ours);
  g_autoptr(GArray) free = possible(zone, rest, taken, now);
  if (zone->config.params->claim)
    return claim(zone, free, now);
  tell_operator(zone, free);
  return true;
}

void masc_own_adopt(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  bool all = true;

  if (now.mono < owns->adopt_at)
    return;
  owns->adopt_at = masc_own_after(now, masc_own_settle(zone));
  if (now.mono >= owns->adopt_until)
    owns->adopt_at = MASC_NEVER;
  for (guint i = 0; i < owns->adopted->len && goes_on(zone, now); i++)
    all = adopt(zone, g_array_index(owns->adopted, MalSpan, i), now) && all;
  if (all)
    return;
  /* What found no room has its turn when these are won or lost. */
  owns->adopt_until = masc_own_after(now, zone->config.params->waiting_period);
  owns->marks_changed = true;
}
