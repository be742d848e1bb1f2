/* RFC 2909 11.2 to 11.6 against a zone: what is refused with which NOTIFICATION, and who is told of
   the rest. Letters: masc-rig.h. */
#include <criterion/criterion.h>

#include "tests/unit/masc-rig.h"

#define IN_USE MASC_PREFIX_IN_USE
#define EXPAND MASC_CLAIM_TO_EXPAND
#define NEW MASC_NEW_CLAIM
#define DENIED MASC_CLAIM_DENIED
#define MANAGED MASC_PREFIX_MANAGED
#define INTERNAL MASC_INTERNAL
#define CHILD MASC_CHILD
#define SIBLING MASC_SIBLING
#define PARENT MASC_PARENT

#define FREE "233.252.8.0/24"     /* parent 1's */
#define WIDE "233.252.8.0/23"
#define OTHER "233.252.200.0/24"  /* parent 2's */
#define NOBODY "233.252.64.0/24"  /* no parent's */
#define HELD "233.252.4.0/24"     /* of what we hold */
#define NOT_OURS "233.252.3.0/24"
#define HINT "0.0.0.0/24"

typedef struct {
  const char *rule;
  char by;
  MascClaimType type;
  MascRole role;                  /* as told */
  MascId domain;
  const char *prefix;
  const char *before;             /* the same origin was told to use that, by the same peer */
  uint8_t subcode;
  const char *told;
} Row;

static void run(const Row *row)
{
  g_auto(MascRig) rig = masc_rig_new();
  char text[16];
  MascClaim c = masc_rig_claim(&rig, row->type, row->role, row->domain, row->prefix);
  if (row->before != NULL) {
    MascClaim used = masc_rig_claim(&rig, IN_USE, row->role, row->domain, row->before);
    used.timestamp -= 10;
    cr_assert_eq(masc_rig_say(&rig, row->by, &used), 0, "%s: before", row->rule);
    masc_bed_clear(rig.bed);
  }
  size_t n = masc_bed_records(rig.bed, 0, 0).n;
  uint8_t subcode = masc_rig_say(&rig, row->by, &c);
  cr_expect_eq(subcode, row->subcode, "%s: %u", row->rule, subcode);
  if (subcode != 0)
    cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, n, "%s: refused, but kept", row->rule);
  cr_expect_str_eq(masc_rig_told(&rig, &c, text), row->told, "%s: told %s", row->rule, text);
}

static void run_all(const Row *rows, size_t n)
{
  for (size_t i = 0; i < n; i++)
    run(&rows[i]);
}

/* ---- PREFIX_IN_USE --------------------------------------------------------------------------- */

Test(rfc2909_11_2, prefix_in_use)
{
  static const Row rows[] = {
    { "11.2.1 by a parent", 'a', IN_USE, INTERNAL, 1, FREE, NULL, MASC_UPDATE_ORIGIN_ROLE, "" },
    { "11.2.2 by a sibling", 's', IN_USE, INTERNAL, 20, FREE, NULL, 0, "abtij" },
    { "11.2.2 of a sibling's sibling", 's', IN_USE, SIBLING, 23, FREE, NULL, 0, "abtij" },
    { "11.2.2 through the parent", 'a', IN_USE, CHILD, 21, FREE, NULL, 0, "bstij" },
    { "11.2.2 through an internal peer", 'i', IN_USE, SIBLING, 21, FREE, NULL, 0, "abstj" },
    { "11.2.2 of the other parent's space", 'u', IN_USE, INTERNAL, 22, OTHER, NULL, 0, "qij" },
    { "11.2.2 of no parent's space", 's', IN_USE, INTERNAL, 20, NOBODY, NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "11.2.2 of more than the parent has", 's', IN_USE, INTERNAL, 20, "233.252.0.0/17", NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "11.2.3 by a child", 'c', IN_USE, INTERNAL, 30, HELD, NULL, 0, "deij" },
    { "11.2.3 of a child's sibling", 'c', IN_USE, SIBLING, 31, HELD, NULL, 0, "deij" },
    { "11.2.3 through an internal peer", 'i', IN_USE, CHILD, 30, HELD, NULL, 0, "cdej" },
    { "11.2.3 not of ours", 'c', IN_USE, INTERNAL, 30, NOT_OURS, NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "11.2.3 of more than ours", 'c', IN_USE, INTERNAL, 30, "233.252.0.0/21", NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "11.2.4 by an internal peer", 'i', IN_USE, INTERNAL, 10, FREE, NULL, 0, "abstcdej" },
    { "12.2 ours as a child of ourselves", 'i', IN_USE, CHILD, 10, HELD, NULL, 0, "cdej" },
  };
  run_all(rows, G_N_ELEMENTS(rows));
}

/* 11.2.4, 11.6.3, 5.1 d: the same holding has two names. */
Test(rfc2909_11_2_4, in_use_above_and_managed_below)
{
  static const MascClaimType types[] = { IN_USE, MANAGED };
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, types[i], INTERNAL, 10, FREE);
    cr_assert_eq(masc_rig_say(&rig, 'i', &c), 0);
    for (const char *p = "abst"; *p != '\0'; p++) {
      cr_expect_eq(masc_rig_last(&rig, *p).type, IN_USE, "%c", *p);
      cr_expect_eq(masc_rig_last(&rig, *p).role, INTERNAL, "%c", *p);
    }
    for (const char *p = "cdej"; *p != '\0'; p++)
      cr_expect_eq(masc_rig_last(&rig, *p).type, MANAGED, "%c", *p);
    cr_expect_eq(rig.own->n_took, 1);
    cr_expect_eq(rig.own->took.claim.type, IN_USE);
    cr_expect_eq(rig.own->took.parent, 1);
    /* and the other name is no news */
    c.type = c.type == IN_USE ? MANAGED : IN_USE;
    masc_bed_clear(rig.bed);
    cr_expect_eq(masc_rig_say(&rig, 'j', &c), 0);
    cr_expect_eq(rig.bed->sent->len, 0);
  }
}

Test(rfc2909_11_2, our_own_half_is_asked)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim sibling = masc_rig_claim(&rig, IN_USE, INTERNAL, 20, FREE);
  MascClaim child = masc_rig_claim(&rig, NEW, INTERNAL, 30, HELD);
  MascClaim ours = masc_rig_claim(&rig, IN_USE, SIBLING, 10, FREE);
  masc_rig_say(&rig, 's', &sibling);
  cr_expect_eq(rig.own->n_rivalled, 1);
  cr_expect_eq(rig.own->rivalled.parent, 1);
  masc_rig_say(&rig, 'c', &child);
  cr_expect_eq(rig.own->n_rivalled, 2);
  cr_expect_eq(rig.own->rivalled.parent, 10);
  cr_expect_eq(rig.own->n_children, 1);
  rig.own->doubts = true;
  cr_expect_eq(masc_rig_say(&rig, 's', &ours), 0);
  cr_expect_eq(rig.own->n_told, 1);
  cr_expect_eq(rig.own->n_took, 0);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 10).n, 0);
}

Test(rfc2909_12_4, children_that_clash_are_noted)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, IN_USE, INTERNAL, 30, HELD);
  MascClaim e = masc_rig_claim(&rig, IN_USE, INTERNAL, 31, "233.252.4.0/25");
  MascClaim ours = masc_rig_claim(&rig, IN_USE, INTERNAL, 10, HELD);
  MascClaim wish = masc_rig_claim(&rig, NEW, INTERNAL, 31, "233.252.4.0/25");
  masc_rig_say(&rig, 'i', &ours);
  masc_rig_say(&rig, 'c', &c);
  masc_rig_say(&rig, 'e', &wish);
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_CHILDREN_CLASH], 0, "by no claim");
  masc_rig_say(&rig, 'e', &e);
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_CHILDREN_CLASH], 1);
}

/* What it refused to hear, or lost: the other one's defence would be no news to us (11.1). */
Test(rfc2909_12_4, a_child_that_claims_what_another_one_uses_is_told_of_it)
{
  g_auto(MascRig) rig = masc_rig_new();
  unsigned other = masc_rig_peer('e');
  MascClaim ours = masc_rig_claim(&rig, IN_USE, INTERNAL, 10, "233.252.4.0/22");
  MascClaim used = masc_rig_claim(&rig, IN_USE, INTERNAL, 30, "233.252.4.0/24");
  MascClaim apart = masc_rig_claim(&rig, NEW, INTERNAL, 31, "233.252.5.0/24");
  MascClaim wish = masc_rig_claim(&rig, NEW, INTERNAL, 31, "233.252.4.0/25");
  MascClaim said;
  masc_rig_say(&rig, 'i', &ours);
  masc_rig_say(&rig, 'c', &used);
  MascClaim claimed = masc_rig_claim(&rig, NEW, INTERNAL, 30, "233.252.5.0/25"), w;
  MascClaim given = masc_rig_claim(&rig, IN_USE, INTERNAL, 30, "233.252.5.128/25");
  masc_rig_say(&rig, 'c', &claimed);
  masc_rig_say(&rig, 'c', &given);
  w = given;
  w.type = MASC_WITHDRAW;
  w.timestamp++;
  w.holdtime = 1000;
  cr_assert_eq(masc_rig_say(&rig, 'c', &w), 0);
  masc_bed_clear(rig.bed);
  masc_rig_say(&rig, 'e', &apart);
  cr_expect_eq(masc_bed_sent(rig.bed, 0, other, IN_USE, NULL), 0, "withdrawn");
  cr_expect_eq(masc_bed_sent(rig.bed, 0, other, NEW, NULL), 0, "only claimed");
  masc_rig_say(&rig, 'e', &wish);
  cr_assert_eq(masc_bed_sent(rig.bed, 0, other, IN_USE, &said), 1);
  cr_expect_eq(said.domain, 30);
  cr_expect_eq(said.role, CHILD);
  cr_expect_eq(said.timestamp, used.timestamp);
  cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('c'), IN_USE, NULL), 0, "it has it");
}

/* ---- CLAIM_DENIED ---------------------------------------------------------------------------- */

Test(rfc2909_11_3, claim_denied)
{
  static const Row rows[] = {
    { "11.3.1 by a child", 'c', DENIED, INTERNAL, 30, HELD, NULL, MASC_UPDATE_ORIGIN_ROLE, "" },
    { "11.3.1 by a sibling", 's', DENIED, INTERNAL, 20, FREE, NULL, MASC_UPDATE_ORIGIN_ROLE, "" },
    { "11.3.2 by an internal peer", 'i', DENIED, INTERNAL, 30, HELD, NULL, 0, "cdej" },
    { "11.3.3 of another domain", 'a', DENIED, INTERNAL, 20, FREE, NULL, 0, "bstij" },
    { "11.3.3 through a sibling", 's', DENIED, PARENT, 21, FREE, NULL, 0, "abtij" },
    { "11.3.3 through an internal peer", 'i', DENIED, PARENT, 21, FREE, NULL, 0, "abstj" },
    { "11.3.3 of no parent's space", 'a', DENIED, INTERNAL, 20, NOBODY, NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "11.3.3 ours", 'a', DENIED, INTERNAL, 10, FREE, NULL, 0, "bstij" },
    { "11.3.3 ours, where no parent has anything", 'a', DENIED, INTERNAL, 10, NOBODY, NULL, 0,
      "bqstuij" },
  };
  run_all(rows, G_N_ELEMENTS(rows));
}

Test(rfc2909_11_3_3, ours_but_no_such_claim)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, DENIED, INTERNAL, 10, FREE);
  rig.own->denied = false;
  cr_expect_eq(masc_rig_say(&rig, 'a', &c), MASC_UPDATE_NO_INTERNAL_PREFIX);
  cr_expect_eq(rig.bed->sent->len, 0);
}

Test(rfc2909_11_3, a_denied_claim_is_gone_for_good)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim claim = masc_rig_claim(&rig, NEW, CHILD, 21, FREE), denied = claim;
  char text[16];
  denied.type = DENIED;
  denied.role = INTERNAL;
  masc_rig_say(&rig, 'a', &claim);
  cr_expect(masc_bed_has(rig.bed, 0, NEW, 21, FREE));
  masc_rig_say(&rig, 'a', &denied);
  cr_expect_not(masc_bed_has(rig.bed, 0, NEW, 21, FREE));
  masc_rig_told(&rig, &claim, text);
  cr_expect_eq(masc_rig_say(&rig, 'b', &claim), 0);
  cr_expect_str_eq(masc_rig_told(&rig, &claim, text), "");
}

/* ---- CLAIM_TO_EXPAND ------------------------------------------------------------------------- */

Test(rfc2909_11_4, claim_to_expand)
{
  static const Row rows[] = {
    { "11.4.1 by a parent", 'a', EXPAND, INTERNAL, 1, FREE, NULL, MASC_UPDATE_ORIGIN_ROLE, "" },
    { "11.4.2 by a sibling", 's', EXPAND, INTERNAL, 20, WIDE, FREE, 0, "abtij" },
    { "11.4.2 a renewal", 's', EXPAND, INTERNAL, 20, FREE, FREE, 0, "abtij" },
    { "11.4.2 through the parent", 'a', EXPAND, CHILD, 20, WIDE, FREE, 0, "bstij" },
    { "11.4.2 uses nothing there", 's', EXPAND, INTERNAL, 20, WIDE, "233.252.16.0/24",
      MASC_UPDATE_NO_SIBLING_PREFIX, "" },
    { "11.4.2 of no parent's space", 's', EXPAND, INTERNAL, 20, "233.252.0.0/16", FREE,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "11.4.3 by a child", 'c', EXPAND, INTERNAL, 30, "233.252.4.0/23", HELD, 0, "deij" },
    { "11.4.3 through an internal peer", 'i', EXPAND, CHILD, 30, HELD, HELD, 0, "cdej" },
    { "11.4.3 uses nothing there", 'c', EXPAND, INTERNAL, 30, "233.252.6.0/24", HELD,
      MASC_UPDATE_NO_CHILD_PREFIX, "" },
    { "11.4.3 not of ours", 'c', EXPAND, INTERNAL, 30, "233.252.0.0/21", HELD,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "11.4.4 by an internal peer", 'i', EXPAND, INTERNAL, 10, HELD, NULL, 0, "abstj" },
    { "11.4.4 we use nothing there", 'i', EXPAND, INTERNAL, 10, FREE, NULL,
      MASC_UPDATE_NO_INTERNAL_PREFIX, "" },
    { "11.4.4 of no parent's space", 'i', EXPAND, INTERNAL, 10, NOBODY, NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
  };
  run_all(rows, G_N_ELEMENTS(rows));
}

/* ---- NEW_CLAIM ------------------------------------------------------------------------------- */

Test(rfc2909_11_5, new_claim)
{
  static const Row rows[] = {
    { "by a parent", 'a', NEW, INTERNAL, 1, FREE, NULL, MASC_UPDATE_ORIGIN_ROLE, "" },
    { "by a sibling", 's', NEW, INTERNAL, 20, FREE, NULL, 0, "abtij" },
    { "by a sibling, no parent's", 's', NEW, INTERNAL, 20, NOBODY, NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "by a child", 'c', NEW, INTERNAL, 30, HELD, NULL, 0, "deij" },
    { "by a child, not of ours", 'c', NEW, INTERNAL, 30, NOT_OURS, NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "by an internal peer", 'i', NEW, INTERNAL, 10, FREE, NULL, 0, "abstj" },
    { "by an internal peer, no parent's", 'i', NEW, INTERNAL, 10, NOBODY, NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "ours as a child of ourselves", 'j', NEW, CHILD, 10, HELD, NULL, 0, "cdei" },
  };
  run_all(rows, G_N_ELEMENTS(rows));
}

Test(rfc2909_11_5, hints_stay_between_a_child_and_its_parent)
{
  static const Row rows[] = {
    { "by a child", 'c', NEW, INTERNAL, 30, HINT, NULL, 0, "dij" },
    { "through an internal peer", 'i', NEW, CHILD, 30, HINT, NULL, 0, "cdj" },
    { "through another child", 'e', NEW, SIBLING, 30, HINT, NULL, 0, "cdij" },
    { "of our own domain: asked on by who counts it", 'i', NEW, INTERNAL, 10, HINT, NULL, 0, "j" },
    { "of our own domain, by a parent", 'a', NEW, CHILD, 10, HINT, NULL, 0, "" },
    { "11.8.1 a sibling's, by the parent", 'a', NEW, CHILD, 21, HINT, NULL, 0, "" },
    { "11.8.4 a sibling's, by an internal peer", 'i', NEW, SIBLING, 21, HINT, NULL, 0, "" },
    { "11.8.1 denied a sibling", 'a', DENIED, INTERNAL, 21, HINT, NULL, 0, "" },
    { "denied a child, by an internal peer", 'i', DENIED, INTERNAL, 30, HINT, NULL, 0, "cdj" },
  };
  run_all(rows, G_N_ELEMENTS(rows));
}

/* 8.3: its size says how much is wanted, its lifetime nothing; when it was said counts. */
Test(rfc2909_8_3, what_limits_say_of_hints)
{
  static const struct {
    MascLimits limits;
    uint8_t answer;
  } rows[] = {
    { { .lifetime_min = 31 * 86400 }, 0 },
    { { .lifetime_max = 86400 }, 0 },
    { { .MASC_BED_LONGEST = MASC_BED_LENGTH(20) }, 0 },
    { { .MASC_BED_SHORTEST = MASC_BED_LENGTH(28) }, 0 },
    { { .timestamp_old = 500 }, MASC_UPDATE_TIMESTAMP_OLD },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim hint = masc_rig_claim(&rig, NEW, INTERNAL, 30, HINT);
    rig.bed->params.limits = rows[i].limits;
    hint.timestamp -= 501;
    uint8_t answer = masc_rig_say(&rig, 'c', &hint);
    cr_expect_eq(answer, rows[i].answer, "row %zu: %u", i, answer);
  }
}

Test(rfc2909_11_5, hints_are_demand_until_they_are_met)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim hint = masc_rig_claim(&rig, NEW, INTERNAL, 30, HINT);
  MascClaim other = masc_rig_claim(&rig, NEW, INTERNAL, 31, "0.0.0.0/28");
  MascNow now = masc_bed_now(rig.bed, 0);
  masc_rig_say(&rig, 'c', &hint);
  masc_rig_say(&rig, 'e', &other);
  cr_expect_eq(masc_hints(rig.zone, now), 256 + 16);
  hint.timestamp++;
  hint.prefix.length = MASC_BED_LENGTH(25);
  masc_rig_say(&rig, 'c', &hint);
  cr_expect_eq(masc_hints(rig.zone, now), 128 + 16, "the newer one counts");
  hint.timestamp -= 2;
  masc_rig_say(&rig, 'c', &hint);
  cr_expect_eq(masc_hints(rig.zone, now), 128 + 16, "an older one does not");
  MascClaim claim = masc_rig_claim(&rig, NEW, INTERNAL, 30, "233.252.4.0/26");
  claim.timestamp += 5;
  masc_rig_say(&rig, 'c', &claim);
  cr_expect_eq(masc_hints(rig.zone, now), 128 + 16, "claimed, but less than it wants");
  claim.prefix = masc_bed_prefix("233.252.5.0/25");
  masc_rig_say(&rig, 'c', &claim);
  cr_expect_eq(masc_hints(rig.zone, now), 16);
  rig.bed->mono += 999 * MASC_SECOND;
  cr_expect_eq(masc_hints(rig.zone, masc_bed_now(rig.bed, 0)), 16);
  rig.bed->mono += MASC_SECOND;
  cr_expect_eq(masc_hints(rig.zone, masc_bed_now(rig.bed, 0)), 0,
               "no longer, though it is remembered for longer (12.3)");
}

/* ---- PREFIX_MANAGED -------------------------------------------------------------------------- */

Test(rfc2909_11_6, prefix_managed)
{
  static const Row rows[] = {
    { "11.6.1 by a parent", 'a', MANAGED, INTERNAL, 1, NOBODY, NULL, 0, "bstij" },
    { "11.6.1 by the other parent", 'q', MANAGED, INTERNAL, 2, NOBODY, NULL, 0, "uij" },
    { "11.6.1 through a sibling", 's', MANAGED, PARENT, 1, NOBODY, NULL, 0, "abtij" },
    { "11.6.1 through an internal peer", 'i', MANAGED, PARENT, 1, NOBODY, NULL, 0, "abstj" },
    { "11.6.1 of a parent that only an internal peer has", 'i', MANAGED, PARENT, 3, NOBODY, NULL,
      0, "j" },
    { "11.6.1 of no parent of ours", 's', MANAGED, PARENT, 3, NOBODY, NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "11.6.1 of a sibling, as if it were a parent", 's', MANAGED, PARENT, 21, NOBODY, NULL,
      MASC_UPDATE_NO_PARENT_PREFIX, "" },
    { "11.6.2 by a child", 'c', MANAGED, INTERNAL, 30, HELD, NULL, MASC_UPDATE_ORIGIN_ROLE, "" },
    { "11.6.2 by a sibling", 's', MANAGED, INTERNAL, 20, FREE, NULL, MASC_UPDATE_ORIGIN_ROLE,
      "" },
    { "11.6.3 by an internal peer", 'i', MANAGED, INTERNAL, 10, FREE, NULL, 0, "abstcdej" },
  };
  run_all(rows, G_N_ELEMENTS(rows));
}

Test(rfc2909_11_6_1, can_be_claimed_from)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, MANAGED, INTERNAL, 1, NOBODY);
  MascNow now = masc_bed_now(rig.bed, 0);
  MascId parent = 0;
  cr_expect_not(masc_parent_of(rig.zone, c.prefix, now, &parent));
  c.deprecated = true;
  masc_rig_say(&rig, 'a', &c);
  cr_expect_eq(rig.own->n_parents, 3);
  cr_expect(masc_parent_of(rig.zone, c.prefix, now, &parent) && parent == 1);
  g_autoptr(GArray) grounds = masc_grounds(rig.zone, false, now);
  cr_assert_eq(grounds->len, 3);
  MascGround g = g_array_index(grounds, MascGround, 1);
  cr_expect_eq(g.prefix.address.value, c.prefix.address.value);
  cr_expect_eq(g.until, (MalTime)c.timestamp + c.lifetime);
  cr_expect(g.deprecated);
  /* An older one is no news. */
  c.timestamp--;
  c.deprecated = false;
  cr_expect_eq(masc_rig_say(&rig, 'b', &c), 0);
  cr_expect_eq(rig.own->n_parents, 3);
}

/* A parent may have more than the scope; what we claim from it lies inside. */
Test(rfc2909_4_5, grounds_lie_in_the_scope)
{
  g_autoptr(MascBed) bed = masc_bed_new();
  unsigned zone = masc_bed_add(bed, 10, 10001, false);
  unsigned p = masc_bed_open(bed, zone, MASC_CHILD, 1, 0);
  MascClaim managed = masc_bed_claim(bed, MANAGED, INTERNAL, 1, "233.0.0.0/8");
  MalSpan scope = masc_zone_span(bed->nodes[zone].zone);
  cr_expect_eq(masc_bed_say(bed, zone, p, &managed), 0);
  g_autoptr(GArray) grounds = masc_grounds(bed->nodes[zone].zone, false, masc_bed_now(bed, zone));
  cr_assert_eq(grounds->len, 1);
  MascGround g = g_array_index(grounds, MascGround, 0);
  cr_expect(mal_span_contains(scope, mal_span_of_prefix(g.prefix)));
  cr_expect_eq(mal_span_size(mal_span_of_prefix(g.prefix)), mal_span_size(scope));
  cr_expect_eq(g.until, (MalTime)managed.timestamp + managed.lifetime);
}

/* A top-level domain has no parents, and the whole scope before it. */
Test(rfc2909_4, top_level_domains)
{
  g_autoptr(MascBed) bed = masc_bed_new();
  unsigned zone = masc_bed_add(bed, 10, 10001, true);
  unsigned s = masc_bed_open(bed, zone, MASC_SIBLING, 20, 0);
  unsigned t = masc_bed_open(bed, zone, MASC_SIBLING, 21, 0);
  unsigned i = masc_bed_open(bed, zone, MASC_INTERNAL, 10, 0);
  MascClaim managed = masc_bed_claim(bed, MANAGED, PARENT, 1, FREE);
  MascClaim claim = masc_bed_claim(bed, NEW, INTERNAL, 20, OTHER);
  MascClaim outside = masc_bed_claim(bed, NEW, INTERNAL, 20, "233.252.0.0/15");
  g_autoptr(GArray) grounds = masc_grounds(bed->nodes[zone].zone, false, masc_bed_now(bed, zone));
  cr_expect_eq(masc_bed_say(bed, zone, s, &managed), MASC_UPDATE_NO_PARENT_PREFIX);
  cr_expect_eq(masc_bed_say(bed, zone, i, &managed), MASC_UPDATE_NO_PARENT_PREFIX);
  cr_expect_eq(masc_bed_say(bed, zone, s, &claim), 0);
  cr_expect_eq(masc_bed_sent(bed, zone, t, NEW, NULL), 1);
  cr_expect_eq(masc_bed_say(bed, zone, s, &outside), MASC_UPDATE_NO_PARENT_PREFIX);
  cr_assert_eq(grounds->len, 1);
  cr_expect_eq(g_array_index(grounds, MascGround, 0).prefix.length,
               MASC_BED_LENGTH(16));
}
