/* What must hold in a world of AAP: aap-world.h says what, and why no more. */
#include "aap-world-private.h"

#define SAME_END 12 /* seconds */

static const char *span_text(MalSpan span)
{
  static char text[MAL_SPAN_STRLEN];
  return mal_span_format(span, text);
}

/* ---- what is told to clients ----------------------------------------------------------------- */

typedef struct {
  MalTime end;
  GArray *rest; /* spans */
} Covered;

static void covers(MalSpan span, void *value, void *data)
{
  Covered *covered = data;
  if (*(const MalTime *)value >= covered->end)
    aap_spans_subtract(covered->rest, span);
}

/* On the disk, until END at least. */
static bool is_durable(const AapNode *s, MalSpan span, MalTime end)
{
  g_autoptr(GArray) rest = aap_spans_new();
  Covered covered = { end, rest };
  aap_spans_add(rest, span);
  aap_intervals_each(s->durable, span, covers, &covered);
  return rest->len == 0;
}

static bool is_available(const AapNode *s, MalSpan span, MalTime end)
{
  g_autoptr(GArray) rest = aap_spans_new();
  aap_spans_add(rest, span);
  for (guint i = 0; i < s->available->len; i++) {
    const AapExtent *range = &g_array_index(s->available, AapExtent, i);
    if (range->end >= end)
      aap_spans_subtract(rest, range->span);
  }
  return rest->len == 0;
}

/* Not one that was made before what is excluded now was. */
static bool is_new(const AapNode *s, MalSpan span)
{
  MalTime since = EPOCH + (s->excluded_at + s->skew) / AAP_US + 4000;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, s->disk);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    if (mal_span_overlaps(((const AapOwn *)value)->span, span) &&
        ((const AapOwn *)value)->advertised_since < since)
      return false;
  return true;
}

void world_check_owned(AapNode *s, MalSpan span, MalTime end)
{
  AapWorld *w = s->world;
  if (!mal_span_contains(w->scope, span))
    world_fail(w, "%u owns %s, outside the scope", s->index, span_text(span));
  else if (s->available->len > 0 && !is_available(s, span, end))
    world_fail(w, "%u owns %s, which isn't available (until %" G_GINT64_FORMAT ")", s->index,
               span_text(span), (int64_t)end);
  else if (!is_durable(s, span, end))
    world_fail(w, "%u owns %s, which isn't on its disk (until %" G_GINT64_FORMAT ")", s->index,
               span_text(span), (int64_t)end);
  else if (end <= world_clock(s).wall)
    world_fail(w, "%u owns %s, which has ended", s->index, span_text(span));
  else if (w->now - s->excluded_at > SETTLED && aap_spans_overlap(s->excluded, span) &&
           is_new(s, span))
    world_fail(w, "%u owns %s, which is excluded", s->index, span_text(span));
}

/* Whatever was available when it was told: now, too. */
void world_check_bounds(AapNode *s)
{
  MalSpan span;
  void *value;
  if (s->zone == NULL || s->world->over)
    return;
  for (AapCursor c = aap_intervals_cursor(s->owned, s->world->scope.first);
       aap_cursor_get(c, &span, &value); aap_cursor_step(&c)) {
    MalTime end = ((const Owned *)value)->end;
    if (s->available->len > 0 && !is_available(s, span, end))
      world_fail(s->world, "%u still owns %s, which isn't available", s->index, span_text(span));
    if (end + 2 < world_clock(s).wall)
      world_fail(s->world, "%u still owns %s, which has ended", s->index, span_text(span));
  }
}

/* ---- duplicates ------------------------------------------------------------------------------ */

typedef struct {
  const AapNode *witness;
  MalAddress address;
  bool knows;
} Witness;

static void see_entry(const AapEntry *entry, void *data)
{
  Witness *w = data;
  if (entry->kind == AAP_ENTRY_FOREIGN && mal_span_has(entry->span, w->address) &&
      entry->heard != 0 && entry->heard < world_clock(w->witness).mono - SETTLED)
    w->knows = true;
}

static bool is_witness(const AapNode *s, const AapNode *gainer, uint64_t offset)
{
  const AapWorld *w = s->world;
  if (s == gainer || s->zone == NULL || s->takes_part == AAP_NEVER ||
      s->takes_part > w->now - SETTLED)
    return false;
  Witness witness = { s, world_at(w, offset), s->mine[offset] != 0 };
  if (witness.knows) {
    MalSpan span;
    const Owned *owned = aap_intervals_at(s->owned, witness.address, &span);
    return owned != NULL && owned->told < w->now - SETTLED;
  }
  aap_zone_each(s->zone, world_clock(s), see_entry, &witness);
  return witness.knows;
}

static void duplicate(AapNode *s, uint64_t offset, bool first)
{
  AapWorld *w = s->world;
  WorldCount what = COUNT_DUP_UNWITNESSED;
  MalSpan one = world_span(w, offset, offset);
  if (w->owners[offset] == 2) {
    w->duplicates++;
    w->since[offset] = w->now;
  }
  world_count(w, COUNT_DUP_ADDRESSES, 1);
  if (s->starting)
    what = COUNT_DUP_RESTORED;
  else if (s->returning)
    what = COUNT_DUP_RETURNED;
  else if (aap_spans_overlap(s->adopted, one))
    what = COUNT_DUP_ADOPTED;
  else if (!w->deaf && (w->clean_since == AAP_NEVER || w->clean_since > w->now - SETTLED))
    what = COUNT_DUP_DIRTY;
  if (first)
    world_count(w, what, 1);
  world_trace(w, "%2u duplicates %s (%d)", s->index, span_text(one), (int)what);
  for (unsigned i = 0; what == COUNT_DUP_UNWITNESSED && i < w->n_servers; i++)
    if (is_witness(&w->node[i], s, offset))
      world_fail(w, "%u came to own %s, somebody else's: %u knew, and the network is clean",
                 s->index, span_text(one), i);
}

void world_gained(AapNode *s, MalSpan span)
{
  AapWorld *w = s->world;
  uint64_t last = world_offset(w, span.last);
  bool first = true;
  for (uint64_t i = world_offset(w, span.first); i <= last && !w->over; i++) {
    if (s->mine[i])
      continue;
    s->mine[i] = 1;
    if (++w->owners[i] < 2) {
      first = true;
      continue;
    }
    duplicate(s, i, first);
    first = false;
  }
}

static void resolved(AapWorld *w, uint64_t offset)
{
  static const struct {
    int64_t seconds;
    WorldCount count;
  } steps[] = {
    { 1, COUNT_IN_1 },     { 5, COUNT_IN_5 },     { 10, COUNT_IN_10 },   { 20, COUNT_IN_20 },
    { 30, COUNT_IN_30 },   { 40, COUNT_IN_40 },   { 60, COUNT_IN_60 },   { 90, COUNT_IN_90 },
    { 120, COUNT_IN_120 }, { 150, COUNT_IN_150 }, { 200, COUNT_IN_200 }, { 300, COUNT_IN_300 },
  };
  int64_t took = w->now - MAX(w->since[offset], w->clean_since);
  /* In a network that isn't clean: from when it came about. */
  if (w->clean_since == AAP_NEVER)
    took = w->now - w->since[offset];
  size_t i = 0;
  while (i < G_N_ELEMENTS(steps) && took > SEC(steps[i].seconds))
    i++;
  world_count(w, i < G_N_ELEMENTS(steps) ? steps[i].count : COUNT_LATER, 1);
}

/* Neighbours that came and go together count as one. */
void world_lost(AapNode *s, MalSpan span, bool by_itself)
{
  AapWorld *w = s->world;
  uint64_t last = world_offset(w, span.last);
  int64_t before = -1;
  for (uint64_t i = world_offset(w, span.first); i <= last; i++) {
    if (!s->mine[i]) {
      before = -1;
      continue;
    }
    s->mine[i] = 0;
    if (--w->owners[i] != 1) {
      before = -1;
      continue;
    }
    w->duplicates--;
    if (w->since[i] != before && by_itself)
      world_count(w, COUNT_BY_END, 1);
    else if (w->since[i] != before)
      resolved(w, i);
    before = w->since[i];
  }
}

/* From when on ADDRESS' owners could have heard each other. */
static int64_t audible_since(const AapWorld *w, uint64_t offset)
{
  int64_t since = MAX(w->since[offset], w->clean_since);
  for (unsigned i = 0; i < w->n_servers; i++)
    if (w->node[i].mine[offset])
      since = MAX(since, w->node[i].takes_part);
  return since;
}

static void look_for_old(AapWorld *w)
{
  for (uint64_t i = 0; w->duplicates > 0 && i < w->addresses && !w->over; i++) {
    if (w->owners[i] < 2)
      continue;
    int64_t since = audible_since(w, i);
    if (since != AAP_NEVER && w->now - since > RESOLVED_WITHIN)
      world_fail(w, "%s has had %u owners, who can hear each other, for %" G_GINT64_FORMAT " s",
                 span_text(world_span(w, i, i)), (unsigned)w->owners[i],
                 (int64_t)((w->now - since) / AAP_US));
  }
}

/* ---- messages -------------------------------------------------------------------------------- */

static void take_foreign(const AapEntry *entry, void *data)
{
  if (entry->kind == AAP_ENTRY_FOREIGN)
    aap_spans_subtract(data, entry->span);
}

static void check_range(AapNode *s, const AapRange *range)
{
  g_autoptr(GArray) rest = aap_spans_new();
  MalTime wall = world_clock(s).wall;
  Covered covered = { range->value == UINT32_MAX ? MAL_FOREVER : (MalTime)range->value, rest };
  if ((MalTime)range->value <= wall)
    return;
  aap_spans_add(rest, range->span);
  aap_intervals_each(s->durable, range->span, covers, &covered);
  if (rest->len > 0)
    aap_zone_each(s->zone, world_clock(s), take_foreign, rest);
  if (rest->len > 0)
    world_fail(s->world, "%u announces %s, which is neither on its disk nor on its record",
               s->index, span_text(g_array_index(rest, MalSpan, 0)));
}

void world_check_message(AapNode *s, const AapMessage *msg)
{
  if (s->takes_part == AAP_NEVER)
    world_fail(s->world, "%u speaks while it listens", s->index);
  for (size_t i = 0; msg->type == AAP_AIU && i < msg->n_ranges && !s->world->over; i++)
    check_range(s, &msg->ranges[i]);
}

/* ---- now and then ---------------------------------------------------------------------------- */

static void check_leases(AapNode *s)
{
  for (uint64_t i = 0; i < s->world->addresses && s->zone != NULL; i++)
    if (s->leased[i] && !s->mine[i]) {
      world_fail(s->world, "%u has leased %s, which it doesn't own", s->index,
                 span_text(world_span(s->world, i, i)));
      return;
    }
}

static void count_exhausted(AapWorld *w)
{
  uint64_t leased = 0;
  for (unsigned i = 0; i < w->n_servers; i++)
    leased += w->node[i].n_leased;
  if (leased * 100 >= (uint64_t)w->addresses * 98)
    world_count(w, COUNT_EXHAUSTED, 1);
}

void world_look(AapWorld *w)
{
  if (w->result == NULL || w->n_servers == 0)
    return;
  AapNode *s = &w->node[w->look++ % w->n_servers];
  if (s->zone != NULL) {
    aap_zone_check(s->zone, world_clock(s));
    world_check_bounds(s);
    check_leases(s);
  }
  look_for_old(w);
  count_exhausted(w);
}

/* ---- the end --------------------------------------------------------------------------------- */

typedef struct {
  AapNode *owner, *other;
  GArray *rest;
  MalTime end; /* in true time */
} Agreement;

static MalTime true_time(const AapNode *s, MalTime end)
{
  return end >= MAL_FOREVER - 7200 ? MAL_FOREVER : end - s->skew / AAP_US;
}

static void agree(const AapEntry *entry, void *data)
{
  Agreement *a = data;
  MalTime end = true_time(a->other, entry->end);
  bool same = a->end >= end - SAME_END && end >= a->end - SAME_END;
  bool far = a->end > EPOCH + 4000000000 - 962409600 - 7200 && end > EPOCH + 2000000000;
  if (entry->kind == AAP_ENTRY_FOREIGN && (same || far))
    aap_spans_subtract(a->rest, entry->span);
}

static void check_known(AapWorld *w, AapNode *owner, AapNode *other)
{
  MalSpan span;
  void *value;
  for (AapCursor c = aap_intervals_cursor(owner->owned, w->scope.first);
       aap_cursor_get(c, &span, &value); aap_cursor_step(&c)) {
    const Owned *owned = value;
    g_autoptr(GArray) rest = aap_spans_new();
    Agreement a = { owner, other, rest, true_time(owner, owned->end) };
    if (owned->told > w->now - SEC(60) || owned->end < world_clock(owner).wall + 60)
      continue;
    aap_spans_add(rest, span);
    aap_zone_each(other->zone, world_clock(other), agree, &a);
    if (rest->len > 0) {
      world_fail(w, "in the end %u doesn't know that %u owns %s until %" G_GINT64_FORMAT,
                 other->index, owner->index, span_text(g_array_index(rest, MalSpan, 0)),
                 (int64_t)a.end);
      return;
    }
  }
}

typedef struct {
  AapWorld *world;
  const AapNode *node;
  uint64_t leftover;
} Leftover;

static void see_leftover(const AapEntry *entry, void *data)
{
  Leftover *l = data;
  if (entry->kind != AAP_ENTRY_FOREIGN || entry->end < world_clock(l->node).wall + 600)
    return;
  uint64_t last = world_offset(l->world, entry->span.last);
  for (uint64_t i = world_offset(l->world, entry->span.first); i <= last; i++)
    l->leftover += l->world->owners[i] == 0;
}

static void check_space(AapWorld *w, const AapNode *s)
{
  g_autoptr(GArray) theirs = aap_spans_new(), ours = aap_spans_new();
  MalTime now = EPOCH + w->now / AAP_US;
  for (guint i = 0; i < w->ranges->len; i++) {
    const AapExtent *range = &g_array_index(w->ranges, AapExtent, i);
    if (range->end > now + SAME_END)
      aap_spans_add(theirs, range->span);
    else if (range->end > now - SAME_END)
      return;
  }
  for (guint i = 0; i < s->available->len; i++)
    if (g_array_index(s->available, AapExtent, i).end > world_clock(s).wall)
      aap_spans_add(ours, g_array_index(s->available, AapExtent, i).span);
  if (!aap_spans_equal(ours, theirs))
    world_fail(w, "in the end %u doesn't know what is available", s->index);
}

void world_check_end(AapWorld *w)
{
  for (unsigned i = 0; i < w->n_servers && !w->over; i++) {
    AapNode *s = &w->node[i];
    Leftover leftover = { w, s, 0 };
    if (s->zone == NULL)
      continue;
    aap_zone_check(s->zone, world_clock(s));
    world_check_bounds(s);
    check_leases(s);
    check_space(w, s);
    for (unsigned k = 0; k < w->n_servers && !w->over; k++)
      if (k != i && w->node[k].zone != NULL)
        check_known(w, s, &w->node[k]);
    aap_zone_each(s->zone, world_clock(s), see_leftover, &leftover);
    world_count(w, COUNT_LEFTOVER, leftover.leftover);
  }
  if (!w->over && w->duplicates > 0)
    world_fail(w, "in the end %" G_GUINT64_FORMAT " addresses have two owners", w->duplicates);
}
