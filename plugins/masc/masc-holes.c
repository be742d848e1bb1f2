#include "masc-holes.h"

#define MASC_SPREAD 2 /* bits: a new prefix starts in one of so many parts of a hole ... */
#define MASC_ROOM 3   /* ... if each is so many times (bits) what is wanted */

unsigned masc_family_bits(MalFamily family)
{
  return 8 * (unsigned)mal_family_octets(family);
}

MalU128 masc_prefix_addresses(MalPrefix prefix)
{
  unsigned host = masc_family_bits(prefix.address.family) - prefix.length;
  return host >= 128 ? ~(MalU128)0 : (MalU128)1 << host;
}

bool masc_prefix_equal(MalPrefix a, MalPrefix b)
{
  return a.length == b.length && mal_address_equal(a.address, b.address);
}

bool masc_prefix_covers(MalPrefix outer, MalPrefix inner)
{
  return outer.address.family == inner.address.family && outer.length <= inner.length &&
         masc_prefix_widen(inner, outer.length).address.value == outer.address.value;
}

bool masc_prefix_meets(MalPrefix a, MalPrefix b)
{
  return a.length <= b.length ? masc_prefix_covers(a, b) : masc_prefix_covers(b, a);
}

int masc_prefix_compare(const void *a, const void *b)
{
  const MalPrefix *x = a, *y = b;
  int order = mal_address_compare(x->address, y->address);
  return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

MalPrefix masc_prefix_widen(MalPrefix prefix, unsigned length)
{
  unsigned host = masc_family_bits(prefix.address.family) - length;
  prefix.length = length;
  prefix.address.value = host >= 128 ? 0 : prefix.address.value >> host << host;
  return prefix;
}

MalPrefix masc_prefix_buddy(MalPrefix prefix)
{
  prefix.address.value ^= masc_prefix_addresses(prefix);
  return prefix;
}

MalPrefix masc_prefix_part(MalPrefix prefix, unsigned length, uint64_t index)
{
  prefix.length = length;
  prefix.address.value += index * masc_prefix_addresses(prefix);
  return prefix;
}

static MalU128 last_of(MalPrefix prefix)
{
  return prefix.address.value + (masc_prefix_addresses(prefix) - 1);
}

/* FIRST..LAST, both included, as prefixes. */
static void add_gap(GArray *holes, MalFamily family, MalU128 first, MalU128 last, unsigned longest)
{
  for (;;) {
    MalSpan span = { { first, family }, { last, family } };
    MalPrefix prefix = mal_prefix_first_of(span);
    if (prefix.length <= longest)
      g_array_append_val(holes, prefix);
    if (last_of(prefix) >= last)
      return;
    first = last_of(prefix) + 1;
  }
}

static void add_ground(GArray *holes, MalPrefix ground, const MalPrefix *taken, size_t n,
                       unsigned longest)
{
  MalFamily family = ground.address.family;
  MalU128 next = ground.address.value, end = last_of(ground);
  for (size_t i = 0; i < n; i++) {
    if (taken[i].address.family != family || last_of(taken[i]) < next)
      continue;
    if (taken[i].address.value > end)
      break;
    if (taken[i].address.value > next)
      add_gap(holes, family, next, taken[i].address.value - 1, longest);
    if (last_of(taken[i]) >= end)
      return;
    next = last_of(taken[i]) + 1;
  }
  add_gap(holes, family, next, end, longest);
}

GArray *masc_holes(const MascGround *grounds, size_t n_grounds, const MalPrefix *taken,
                   size_t n_taken, MalTime until, unsigned longest)
{
  GArray *holes = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  for (size_t i = 0; i < n_grounds; i++) {
    if (!grounds[i].deprecated && grounds[i].until > until)
      add_ground(holes, grounds[i].prefix, taken, n_taken, longest);
  }
  return holes;
}

void masc_holes_take(GArray *holes, MalPrefix prefix, unsigned longest)
{
  g_autoptr(GArray) rest = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  for (guint i = holes->len; i-- > 0;) {
    MalPrefix hole = g_array_index(holes, MalPrefix, i);
    if (!masc_prefix_meets(hole, prefix))
      continue;
    g_array_remove_index(holes, i);
    if (hole.length < prefix.length)
      add_ground(rest, hole, &prefix, 1, longest);
  }
  g_array_append_vals(holes, rest->data, rest->len);
  g_array_sort(holes, masc_prefix_compare);
}

/* What of HOLE can be used: all of it, or what of it lies in WITHIN. */
static bool usable(MalPrefix hole, const MalPrefix *within, unsigned length, MalPrefix *out)
{
  if (within != NULL && !masc_prefix_meets(hole, *within))
    return false;
  *out = within != NULL && within->length > hole.length ? *within : hole;
  return out->length <= length;
}

bool masc_holes_place(const GArray *holes, MascPlace how, const MalPrefix *within, unsigned length,
                      MascRandom draw, void *user, MalPrefix *out)
{
  bool found = false;
  MalPrefix best = { 0 }, hole;
  uint64_t equals = 0;
  for (guint i = 0; i < holes->len; i++) {
    if (!usable(g_array_index(holes, MalPrefix, i), within, length, &hole))
      continue;
    bool better = how == MASC_PLACE_BEST ? hole.length > best.length : hole.length < best.length;
    if (!found || better) {
      found = true;
      best = hole;
      equals = 1;
    } else if (hole.length == best.length && draw(user, 0, equals++) == 0)
      best = hole;
  }
  if (!found)
    return false;
  uint64_t part = 0;
  if (how == MASC_PLACE_WORST && best.length + MASC_SPREAD + MASC_ROOM <= length) {
    part = draw(user, 0, (1u << MASC_SPREAD) - 1);
    best = masc_prefix_part(best, best.length + MASC_SPREAD, part);
  }
  *out = masc_prefix_part(best, length, 0);
  return true;
}

static uint64_t never(void *user, uint64_t low, uint64_t high)
{
  (void)user;
  (void)low;
  return high;
}

bool masc_holes_pack(GArray *holes, const unsigned *lengths, size_t n, unsigned longest)
{
  for (size_t i = 0; i < n; i++) {
    MalPrefix place;
    if (!masc_holes_place(holes, MASC_PLACE_BEST, NULL, lengths[i], never, NULL, &place))
      return false;
    masc_holes_take(holes, place, longest);
  }
  return true;
}
