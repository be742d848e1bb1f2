/* What a zone keeps and forgets (RFC 2909 11.1, 12.3, 13), and clocks that step. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/masc-rig.h"

#define IN_USE MASC_PREFIX_IN_USE
#define NEW MASC_NEW_CLAIM
#define WITHDRAW MASC_WITHDRAW
#define FREE "233.252.8.0/24"

static bool among(const MascBedRecords *r, const MascClaim *claim)
{
  for (size_t i = 0; i < r->n; i++)
    if (masc_claim_same(&r->claims[i], claim))
      return true;
  return false;
}

static void fill(MascRig *rig)
{
  MascClaim used = masc_rig_claim(rig, IN_USE, MASC_INTERNAL, 20, FREE), w = used, later = used;
  MascClaim child = masc_rig_claim(rig, NEW, MASC_INTERNAL, 30, "233.252.4.0/24");
  MascClaim hint = masc_rig_claim(rig, NEW, MASC_INTERNAL, 30, "0.0.0.0/24");
  MascClaim ours = masc_rig_claim(rig, IN_USE, MASC_INTERNAL, 10, "233.252.16.0/24");
  w.type = WITHDRAW;
  w.prefix.length = MASC_BED_LENGTH(25);
  later.timestamp++;
  hint.timestamp++;
  masc_rig_say(rig, 's', &used);
  masc_rig_say(rig, 's', &w);
  masc_rig_say(rig, 's', &later);
  masc_rig_say(rig, 'c', &child);
  masc_rig_say(rig, 'c', &hint);
  masc_rig_say(rig, 'i', &ours);
}

Test(rfc2909_13, all_that_is_known_outlives_a_restart)
{
  g_auto(MascRig) rig = masc_rig_new();
  fill(&rig);
  MascBedRecords before = masc_bed_records(rig.bed, 0, 0);
  cr_assert_eq(before.n, 7);
  cr_expect_eq(g_hash_table_size(rig.bed->nodes[0].kept), 7, "nothing is kept that is not there");
  masc_bed_reboot(rig.bed, 0, true);
  MascBedRecords after = masc_bed_records(rig.bed, 0, 0);
  cr_assert_eq(after.n, before.n);
  for (size_t i = 0; i < after.n; i++)
    cr_expect(among(&after, &before.claims[i]), "record %zu", i);
}

Test(rfc2909_13, without_a_store_all_goes_on)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascZoneOps ops = *rig.zone->config.ops;
  ops.keep = NULL;
  rig.zone->config.ops = &ops;
  fill(&rig);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 7);
  masc_bed_pass(rig.bed, (int64_t)40 * 86400);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 0);
  cr_expect_eq(g_hash_table_size(rig.bed->nodes[0].kept), 2, "of before");
}

Test(rfc2909_13, an_empty_disk_is_filled_by_the_neighbours)
{
  g_autoptr(MascBed) bed = masc_bed_new();
  unsigned a = masc_bed_add(bed, 10, 10001, true), b = masc_bed_add(bed, 11, 11001, true);
  masc_bed_join(bed, a, b, MASC_SIBLING, 0);
  MascClaim c = masc_bed_claim(bed, IN_USE, MASC_INTERNAL, 10, FREE);
  masc_originate(bed->nodes[a].zone, &c, 0, true, NULL, masc_bed_now(bed, a));
  masc_bed_settle(bed);
  masc_bed_reboot(bed, a, false);
  cr_expect_eq(masc_bed_records(bed, a, 0).n, 0);
  masc_bed_settle(bed);
  cr_expect_eq(bed->nodes[a].zone->owns->n_told, 1);
  cr_expect(masc_bed_has(bed, a, IN_USE, 10, FREE));
}

Test(rfc2909_12_3, forgotten_after_holdtime_and_the_extra)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 20, FREE);
  masc_rig_say(&rig, 's', &c);
  masc_bed_pass(rig.bed, 1099);
  cr_expect(masc_bed_has(rig.bed, 0, NEW, 20, FREE));
  masc_bed_pass(rig.bed, 10);
  cr_expect_not(masc_bed_has(rig.bed, 0, NEW, 20, FREE));
  cr_expect_eq(g_hash_table_size(rig.bed->nodes[0].kept), 2, "the parents' two");
}

Test(rfc2909_4_2, a_parents_prefix_ends)
{
  g_auto(MascRig) rig = masc_rig_new();
  unsigned before = rig.own->n_parents;
  MascNow now = masc_bed_now(rig.bed, 0);
  now.wall += 30 * 86400;
  g_autoptr(GArray) grounds = masc_grounds(rig.zone, false, now);
  cr_expect_eq(grounds->len, 0, "nothing to claim from, though it is remembered");
  masc_bed_pass(rig.bed, 30 * 86400 + 200);
  cr_expect_gt(rig.own->n_parents, before);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 0);
}

/* ---- steps of the wall clock ----------------------------------------------------------------- */

static void step(MascRig *rig, int64_t seconds)
{
  rig->bed->nodes[0].skew += seconds;
  masc_zone_clock_stepped(rig->zone, seconds, masc_bed_now(rig->bed, 0));
}

Test(clock, a_step_forward_that_is_taken_back_costs_nothing)
{
  g_auto(MascRig) rig = masc_rig_new();
  step(&rig, 400 * 86400);
  masc_bed_pass(rig.bed, 60);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 2);
  step(&rig, -400 * 86400);
  masc_bed_pass(rig.bed, 600);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 2);
}

Test(clock, a_step_forward_is_believed_in_time)
{
  g_auto(MascRig) rig = masc_rig_new();
  step(&rig, 400 * 86400);
  masc_bed_pass(rig.bed, 99);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 2);
  masc_bed_pass(rig.bed, 2);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 0);
}

Test(clock, small_steps_add_up)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 20, FREE);
  masc_rig_say(&rig, 's', &c);
  for (unsigned i = 0; i < 20; i++) {
    step(&rig, 100);
    masc_bed_pass(rig.bed, 40);
  }
  cr_expect(masc_bed_has(rig.bed, 0, NEW, 20, FREE), "800 s passed, whatever the clock says");
  step(&rig, -5000);
  masc_bed_pass(rig.bed, 5000);
  cr_expect_not(masc_bed_has(rig.bed, 0, NEW, 20, FREE));
}

/* However far it goes: what is remembered is believed to be over when the step is. */
Test(clock, a_step_beyond_all_bounds)
{
  static const struct {
    int64_t said, went;         /* twice SAID */
  } rows[] = {
    { INT64_C(10000000000000), INT64_C(10000000000000) },
    { INT64_MAX, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascNow now = masc_bed_now(rig.bed, 0);
    int64_t before = now.mono;
    now.wall = mal_time_add(now.wall, rows[i].went);
    masc_zone_clock_stepped(rig.zone, rows[i].said, now);
    masc_zone_clock_stepped(rig.zone, rows[i].said, now);
    cr_expect_gt(masc_zone_due(rig.zone), before, "row %zu", i);
    cr_expect_leq(masc_zone_due(rig.zone), before + 100 * MASC_SECOND, "row %zu", i);
    masc_zone_run(rig.zone, now);
    cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 2, "row %zu", i);
    now.mono += 100 * MASC_SECOND;
    masc_zone_run(rig.zone, now);
    cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, rows[i].went != 0 ? 0 : 2, "row %zu", i);
  }
}

/* Restored, and not started as yet. */
Test(rfc2909_13, what_ends_before_the_start_ends)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascZone *zone = rig.zone;
  zone->started = false;
  cr_assert_lt(masc_zone_due(zone), MASC_NEVER);
  rig.bed->mono = masc_zone_due(zone);
  masc_zone_run(zone, masc_bed_now(rig.bed, 0));
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 0);
  cr_expect_eq(masc_zone_due(zone), MASC_NEVER);
  cr_expect_eq(rig.own->n_parents, 2, "only of when they came");
}

/* ---- hostile disks --------------------------------------------------------------------------- */

static uint64_t next(uint64_t *seed)
{
  *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return *seed >> 33;
}

Test(restore, hostile_octets)
{
  g_auto(MascRig) rig = masc_rig_new();
  GHashTableIter iter;
  gpointer key, value;
  uint64_t seed = 1;
  unsigned taken = 0, refused = 0;
  fill(&rig);
  g_autoptr(MascBed) other = masc_bed_new();
  masc_bed_add(other, 10, 10001, false);
  MascZone *zone = other->nodes[0].zone;
  MascNow now = masc_bed_now(other, 0);
  g_hash_table_iter_init(&iter, rig.bed->nodes[0].kept);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    size_t kn, vn;
    const uint8_t *k = g_bytes_get_data(key, &kn), *v = g_bytes_get_data(value, &vn);
    for (size_t cut = 0; cut < vn; cut++)
      cr_expect_not(masc_zone_restore(zone, k, kn, v, cut, now), "cut to %zu", cut);
    for (size_t cut = 0; cut < kn; cut++)
      cr_expect_not(masc_zone_restore(zone, k, cut, v, vn, now), "key cut to %zu", cut);
    for (unsigned i = 0; i < 500; i++) {
      g_autofree uint8_t *octets = g_memdup2(v, vn);
      octets[next(&seed) % vn] ^= (uint8_t)(1 + next(&seed) % 255);
      bool ok = masc_zone_restore(zone, k, kn, octets, vn, now);
      taken += ok;
      refused += !ok;
      masc_zone_check(zone, now);
    }
  }
  cr_expect_not(masc_zone_restore(zone, NULL, 0, NULL, 0, now));
  cr_expect(taken > 0 && refused > 0);
}

Test(restore, a_top_level_domain_has_no_parents_any_more)
{
  g_auto(MascRig) rig = masc_rig_new();
  GHashTableIter iter;
  gpointer key, value;
  fill(&rig);
  g_autoptr(MascBed) other = masc_bed_new();
  masc_bed_add(other, 10, 10001, true);
  g_hash_table_iter_init(&iter, rig.bed->nodes[0].kept);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    size_t kn, vn;
    const uint8_t *k = g_bytes_get_data(key, &kn), *v = g_bytes_get_data(value, &vn);
    masc_zone_restore(other->nodes[0].zone, k, kn, v, vn, masc_bed_now(other, 0));
  }
  cr_expect_eq(masc_bed_records(other, 0, 0).n, 5, "all but the parents' two");
}

static unsigned rows_of_others(const MascRig *rig)
{
  GHashTableIter iter;
  gpointer key;
  unsigned n = 0;
  g_hash_table_iter_init(&iter, rig->bed->nodes[0].kept);
  while (g_hash_table_iter_next(&iter, &key, NULL))
    n += *(const uint8_t *)g_bytes_get_data(key, NULL) == 'r';
  return n;
}

/* And its rows go, or they would be read at each start. */
typedef enum { AS_IT_WAS, LONGER, OTHERS, OTHER_FAMILY } Damage;

/* A row of ours: the value's role, domain and family, and the key's, stand at known places. */
Test(restore, what_is_not_of_this_zone)
{
  for (unsigned damage = AS_IT_WAS; damage <= OTHER_FAMILY; damage++) {
    g_auto(MascRig) rig = masc_rig_new();
    GHashTableIter iter;
    gpointer key, value;
    MascClaim ours = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 10, FREE);
    masc_bed_reboot(rig.bed, 0, false);
    MascZone *zone = rig.bed->nodes[0].zone;
    MascNow now = masc_bed_now(rig.bed, 0);
    masc_originate(zone, &ours, 1, false, NULL, now);
    cr_assert_eq(g_hash_table_size(rig.bed->nodes[0].kept), 1);
    g_hash_table_iter_init(&iter, rig.bed->nodes[0].kept);
    cr_assert(g_hash_table_iter_next(&iter, &key, &value));
    size_t kn, vn;
    const uint8_t *k = g_bytes_get_data(key, &kn), *v = g_bytes_get_data(value, &vn);
    g_autofree uint8_t *ko = g_malloc0(kn + 1), *vo = g_malloc0(vn + 1);
    memcpy(ko, k, kn);
    memcpy(vo, v, vn);
    MalSpan span = zone->config.span;
    if (damage == OTHERS)
      ko[17] = vo[31] = 11;     /* the domain's last octet */
    if (damage == OTHER_FAMILY)
      zone->config.span = (MalSpan){ { 0, 7 }, { 0, 7 } };
    cr_expect_eq(masc_zone_restore(zone, ko, kn, vo, vn + (damage == LONGER), now),
                 damage == AS_IT_WAS, "damage %u", damage);
    zone->config.span = span;
  }
}

Test(restore, what_has_expired_is_left_out)
{
  g_auto(MascRig) rig = masc_rig_new();
  fill(&rig);
  cr_expect_eq(rows_of_others(&rig), masc_bed_records(rig.bed, 0, 0).n);
  masc_bed_reboot(rig.bed, 0, true);
  cr_expect_eq(rows_of_others(&rig), masc_bed_records(rig.bed, 0, 0).n);
  cr_expect_gt(rows_of_others(&rig), 5);
  rig.bed->mono += (int64_t)40 * 86400 * MASC_SECOND;
  masc_bed_reboot(rig.bed, 0, true);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 0);
  cr_expect_eq(rows_of_others(&rig), 0);
}

/* ---- looking in ------------------------------------------------------------------------------ */

static void count(const MascEntry *entry, void *data)
{
  ((unsigned *)data)[entry->kind]++;
}

Test(zone, each_and_usage)
{
  g_auto(MascRig) rig = masc_rig_new();
  unsigned kinds[MASC_ENTRY_WITHDRAWN + 1] = { 0 };
  MascNow now = masc_bed_now(rig.bed, 0);
  cr_expect(masc_zone_is_leaf(rig.zone));
  fill(&rig);
  masc_zone_each(rig.zone, now, count, kinds);
  cr_expect_eq(kinds[MASC_ENTRY_PARENT], 2);
  cr_expect_eq(kinds[MASC_ENTRY_SIBLING], 1);
  cr_expect_eq(kinds[MASC_ENTRY_CHILD], 2);
  cr_expect_eq(kinds[MASC_ENTRY_WITHDRAWN], 1);
  cr_expect_eq(kinds[MASC_ENTRY_HELD], 0, "not of this half");
  MascZoneUsage usage = masc_zone_usage(rig.zone, now);
  cr_expect_eq(usage.n_cached, 7);
  cr_expect_eq(usage.n_parents, 3);
  cr_expect_eq(usage.n_siblings, 3);
  cr_expect_eq(usage.n_children, 3);
  cr_expect_not(masc_zone_is_leaf(rig.zone));
  cr_expect_not(usage.leaf);
}

/* A parent's denial of a sibling's, and ours of a child's, which has the child's identifiers. */
Test(rfc2909_11_3, denials_outlive_a_restart)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim theirs = masc_rig_claim(&rig, MASC_CLAIM_DENIED, MASC_INTERNAL, 20, FREE);
  MascClaim child = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, "233.252.4.0/24");
  unsigned kinds[MASC_ENTRY_WITHDRAWN + 1] = { 0 };
  rig.own->until = (MalTime)child.timestamp + 5000;
  cr_assert_eq(masc_rig_say(&rig, 'a', &theirs), 0);
  cr_assert_eq(masc_rig_say(&rig, 'c', &child), 0);
  masc_bed_reboot(rig.bed, 0, true);
  cr_expect(masc_bed_has(rig.bed, 0, MASC_CLAIM_DENIED, 20, FREE));
  cr_expect(masc_bed_has(rig.bed, 0, MASC_CLAIM_DENIED, 30, "233.252.4.0/24"));
  masc_zone_each(rig.bed->nodes[0].zone, masc_bed_now(rig.bed, 0), count, kinds);
  cr_expect_eq(kinds[MASC_ENTRY_DENIED], 2);
}

typedef struct {
  MascEntryKind kind;
  GString *text;
} Seen;

static void see(const MascEntry *entry, void *data)
{
  const Seen *seen = data;
  char text[MAL_SPAN_STRLEN];
  if (entry->kind == seen->kind)
    g_string_append_printf(seen->text, "%s%s", seen->text->len > 0 ? " " : "",
                           masc_bed_format(entry->claim.prefix, text));
}

/* masc.prefixes and masc.tree show what is left; masc.claims, what was said. */
Test(zone, what_withdraws_leave_of_what_others_have)
{
  static const struct {
    char by;
    MascClaimType type;
    MascId domain;
    const char *prefix, *withdrawn;
    MascEntryKind kind;
    const char *left, *anew; /* said anew */
  } rows[] = {
    { 's', IN_USE, 20, FREE, NULL, MASC_ENTRY_SIBLING, FREE, NULL },
    { 's', IN_USE, 20, FREE, "233.252.8.0/25", MASC_ENTRY_SIBLING, "233.252.8.128/25", NULL },
    { 's', IN_USE, 20, FREE, "233.252.8.64/26", MASC_ENTRY_SIBLING,
      "233.252.8.0/26 233.252.8.128/25", NULL },
    { 's', IN_USE, 20, FREE, FREE, MASC_ENTRY_SIBLING, "", NULL },
    { 'c', IN_USE, 30, "233.252.4.0/24", "233.252.4.0/25", MASC_ENTRY_CHILD, "233.252.4.128/25",
      NULL },
    { 'a', MASC_PREFIX_MANAGED, 1, "233.252.0.0/18", "233.252.32.0/19", MASC_ENTRY_PARENT,
      "233.252.0.0/19 233.252.128.0/17", NULL },
    { 'c', NEW, 30, "233.252.4.0/24", NULL, MASC_ENTRY_CHILD, "233.252.4.0/24", NULL },
    { 's', IN_USE, 20, FREE, "233.252.8.0/25", MASC_ENTRY_SIBLING, "233.252.8.128/25",
      "233.252.8.128/25" },
    { 's', IN_USE, 20, FREE, "233.252.8.64/26", MASC_ENTRY_SIBLING,
      "233.252.8.0/26 233.252.8.128/25", "233.252.8.0/26" },
    { 'c', IN_USE, 30, "233.252.4.0/24", "233.252.4.0/25", MASC_ENTRY_CHILD, "233.252.4.128/25",
      "233.252.4.128/25" },
    { 'a', MASC_PREFIX_MANAGED, 1, "233.252.0.0/18", "233.252.32.0/19", MASC_ENTRY_PARENT,
      "233.252.0.0/19 233.252.128.0/17", "233.252.0.0/19" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    g_autoptr(GString) left = g_string_new(NULL);
    Seen seen = { rows[i].kind, left };
    MascClaim said = masc_rig_claim(&rig, rows[i].type, MASC_INTERNAL, rows[i].domain,
                                    rows[i].prefix);
    MascClaim withdraw = said;
    masc_rig_say(&rig, rows[i].by, &said);
    withdraw.type = WITHDRAW;
    /* Not for as long as the prefix lasts, which would end it for good. */
    withdraw.holdtime -= 1000;
    if (rows[i].withdrawn != NULL) {
      withdraw.prefix = masc_bed_prefix(rows[i].withdrawn);
      cr_assert_eq(masc_rig_say(&rig, rows[i].by, &withdraw), 0, "row %zu", i);
    }
    if (rows[i].anew != NULL) {
      said.prefix = masc_bed_prefix(rows[i].anew);
      said.timestamp++;
      cr_assert_eq(masc_rig_say(&rig, rows[i].by, &said), 0, "row %zu", i);
    }
    masc_zone_each_left(rig.zone, masc_bed_now(rig.bed, 0), see, &seen);
    cr_expect_str_eq(left->str, rows[i].left, "row %zu: %s", i, left->str);
    g_string_truncate(left, 0);
    masc_zone_each(rig.zone, masc_bed_now(rig.bed, 0), see, &seen);
    cr_expect_not_null(strstr(left->str, rows[i].prefix), "row %zu: %s", i, left->str);
  }
}
