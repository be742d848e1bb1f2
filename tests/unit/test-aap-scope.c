/* Scopes of AAP messages (draft-ietf-malloc-aap-04 section 2.1). The suites carry the numbers of
   the conformance checklist. */
#include "plugins/aap/aap-scope.h"
#include "tests/support/aap-packets.h"

#include <criterion/criterion.h>

enum { GLOBAL, ORG, LOCAL, ALLOCATION, DEPARTMENT, WIDE6, SITE6, N };
static const struct { const char *id, *span; bool large; } table[N] = {
  [GLOBAL] = { "global", "224.0.1.0-238.255.255.255", true },
  [ORG] = { "org", "239.192.0.0-239.195.255.255", false },
  [LOCAL] = { "local", "239.255.0.0-239.255.255.255", false },
  [ALLOCATION] = { "allocation", "239.251.0.0-239.251.255.255", false },
  [DEPARTMENT] = { "department", "239.192.16.0-239.192.31.255", false },
  [WIDE6] = { "wide6", "ff3e:20:2001:db8::-ff3e:20:2001:db8:ffff:ffff:ffff:ffff", true },
  [SITE6] = { "site6", "ff16::-ff16:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false },
};

typedef struct {
  MalScope scopes[N];
  AapPlace places[N];
  size_t n_places;
  AapGroupRule rule;
} Bed;

static void set_up(Bed *bed)
{
  *bed = (Bed){ .rule = { AAP_OFFSET4, aap_address("ff1e::8000:b3e") } };
  for (unsigned i = 0; i < N; i++)
    bed->scopes[i] = (MalScope){ .id = (char *)table[i].id,
                                 .span = aap_range(table[i].span, 0).span,
                                 .divisible = table[i].large,
                                 .group_id_first = 0x80000000u,
                                 .group_id_last = 0x8FFFFFFFu,
                                 .index = i };
}

/* Serves the scopes of the list of digits, in its order. */
static void serve(Bed *bed, const char *list)
{
  set_up(bed);
  for (; *list != '\0'; list++) {
    const MalScope *scope = &bed->scopes[*list - '0'];
    bool v6 = scope->span.first.family == MAL_IPV6;
    cr_assert(aap_scope_place(scope, &bed->scopes[v6 ? SITE6 : ALLOCATION], &bed->rule,
                              &bed->places[bed->n_places++]), "%s", scope->id);
  }
}

/* ---- groups ---------------------------------------------------------------------------------- */

Test(aap_2, group_of_each_scope)
{
  static const struct { unsigned scope; const char *group; } cases[] = {
    { ALLOCATION, "239.251.255.248" }, { LOCAL, "239.255.255.248" }, { ORG, "239.195.255.248" },
    { GLOBAL, "238.255.255.248" },     { WIDE6, "ff1e::8000:b3e" },  { SITE6, "ff16::8000:b3e" },
  };
  Bed bed;
  set_up(&bed);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    cr_expect(mal_address_equal(aap_scope_group(&bed.scopes[cases[i].scope], &bed.rule),
                                aap_address(cases[i].group)), "%s", cases[i].group);
  bed.rule.offset4 = 255;
  cr_expect(mal_address_equal(aap_scope_group(&bed.scopes[LOCAL], &bed.rule),
                              aap_address("239.255.255.0")));
  bed.rule.offset4 = 65536;
  cr_expect_eq(aap_scope_group(&bed.scopes[LOCAL], &bed.rule).family, MAL_FAMILY_NONE);
}

Test(aap_2, an_ipv6_scope_without_configured_group_is_not_served)
{
  AapPlace place;
  Bed bed;
  set_up(&bed);
  bed.rule.group6 = mal_address_none();
  cr_expect_not(aap_scope_place(&bed.scopes[SITE6], &bed.scopes[SITE6], &bed.rule, &place));
}

Test(aap_4_8, large_scopes_use_the_allocation_scopes_group)
{
  Bed bed;
  serve(&bed, "0123456");
  cr_expect(mal_address_equal(bed.places[0].group, aap_address("239.251.255.248")));
  cr_expect(mal_address_equal(bed.places[1].group, aap_address("239.195.255.248")));
  cr_expect(mal_address_equal(bed.places[3].group, aap_address("239.251.255.248")));
  cr_expect(mal_address_equal(bed.places[5].group, aap_address("ff16::8000:b3e")));
}

Test(aap_5, a_large_scope_needs_an_allocation_scope)
{
  AapPlace place;
  Bed bed;
  set_up(&bed);
  cr_expect_not(aap_scope_place(&bed.scopes[GLOBAL], NULL, &bed.rule, &place));
  cr_expect_not(aap_scope_place(&bed.scopes[GLOBAL], &bed.scopes[SITE6], &bed.rule, &place));
  cr_expect(aap_scope_place(&bed.scopes[LOCAL], NULL, &bed.rule, &place));
}

/* ---- deciding -------------------------------------------------------------------------------- */

#define ALLOC "239.251.255.248"
#define ALLOC6 "ff16::8000:b3e"
#define G1 "233.252.0.64-233.252.0.79"
#define G2 "225.1.2.3"
#define L1 "239.255.7.0-239.255.7.3"
#define D1 "239.192.20.0-239.192.20.255"
#define O1 "239.193.0.0-239.193.0.9"
#define W1 "ff3e:20:2001:db8::8000:0-ff3e:20:2001:db8::8000:ffff"

static const struct {
  const char *served, *group;
  unsigned type;
  const char *ranges[4];
  AapScopeVerdict verdict;
  int scope;              /* or reason, or -1 */
} verdicts[] = {
  { "0123", ALLOC, AAP_AIU, { G1 }, AAP_SCOPE_ONE, GLOBAL },
  { "0123", ALLOC, AAP_AIU, { G1, G2 }, AAP_SCOPE_ONE, GLOBAL },
  { "0123", ALLOC, AAP_AIU, { "239.251.3.0" }, AAP_SCOPE_ONE, ALLOCATION },
  { "0123", "239.255.255.248", AAP_AIU, { L1 }, AAP_SCOPE_ONE, LOCAL },
  { "0123", "239.255.255.248", AAP_ASA, { L1 }, AAP_SCOPE_ONE, LOCAL },
  /* on another scope's group */
  { "0123", ALLOC, AAP_AIU, { L1 }, AAP_SCOPE_OTHER, -1 },
  { "0123", "239.255.255.248", AAP_AIU, { G1 }, AAP_SCOPE_OTHER, -1 },
  /* of a scope that we don't serve */
  { "03", ALLOC, AAP_AIU, { L1 }, AAP_SCOPE_OTHER, -1 },
  { "03", ALLOC, AAP_AIU, { G1, L1 }, AAP_SCOPE_OTHER, -1 },
  { "3", ALLOC, AAP_AIU, { G1 }, AAP_SCOPE_OTHER, -1 },
  /* in two scopes */
  { "0123", ALLOC, AAP_AITU, { G1, L1 }, AAP_SCOPE_MALFORMED, AAP_REASON_SCOPES },
  { "0123", ALLOC, AAP_AITU, { L1, "239.250.0.1", G1 }, AAP_SCOPE_MALFORMED, AAP_REASON_SCOPES },
  { "0123", ALLOC, AAP_AITU, { "239.251.3.0", G1 }, AAP_SCOPE_MALFORMED, AAP_REASON_SCOPES },
  { "0123", ALLOC, AAP_AITU, { "238.255.255.0-239.255.0.9" }, AAP_SCOPE_OTHER, -1 },
  { "0123", ALLOC, AAP_AITU, { "239.250.0.1", G1 }, AAP_SCOPE_OTHER, -1 },
  /* of nested scopes the smallest that contains all; each on its own group */
  { "14", "239.195.255.248", AAP_ACLM, { O1 }, AAP_SCOPE_ONE, ORG },
  { "14", "239.195.255.248", AAP_ACLM, { D1, O1 }, AAP_SCOPE_ONE, ORG },
  { "14", "239.195.255.248", AAP_ACLM, { D1 }, AAP_SCOPE_ONE, ORG },
  { "14", "239.192.31.248", AAP_ACLM, { D1 }, AAP_SCOPE_ONE, DEPARTMENT },
  { "41", "239.192.31.248", AAP_ACLM, { D1, O1 }, AAP_SCOPE_OTHER, -1 },
  /* no addresses */
  { "03", ALLOC, AAP_ANA, { NULL }, AAP_SCOPE_ONE, GLOBAL },
  { "30", ALLOC, AAP_ASA, { NULL }, AAP_SCOPE_ONE, GLOBAL },
  { "03", ALLOC, AAP_ASRP, { NULL }, AAP_SCOPE_ONE, GLOBAL },
  { "3", ALLOC, AAP_ANA, { NULL }, AAP_SCOPE_NONE, -1 },
  { "3", ALLOC, AAP_ASA, { NULL }, AAP_SCOPE_NONE, -1 },
  { "012", "239.255.255.248", AAP_ANA, { NULL }, AAP_SCOPE_NONE, -1 },
  /* no group of ours, or the other family's */
  { "012", "239.251.255.249", AAP_AIU, { G1 }, AAP_SCOPE_MALFORMED, AAP_REASON_GROUP },
  { "", ALLOC, AAP_AIU, { G1 }, AAP_SCOPE_MALFORMED, AAP_REASON_GROUP },
  { "0356", ALLOC6, AAP_AIU, { G1 }, AAP_SCOPE_MALFORMED, AAP_REASON_GROUP },
  { "0356", ALLOC, AAP_AIU, { W1 }, AAP_SCOPE_MALFORMED, AAP_REASON_GROUP },
  { "0356", ALLOC6, AAP_AIU, { W1 }, AAP_SCOPE_ONE, WIDE6 },
  { "0356", ALLOC6, AAP_AIU, { "ff16::8000:1" }, AAP_SCOPE_ONE, SITE6 },
};

Test(aap_11_12_14_15_28, scope_of_a_message)
{
  for (size_t i = 0; i < G_N_ELEMENTS(verdicts); i++) {
    Bed bed;
    AapRange ranges[4];
    AapMessage msg = { .type = (AapType)verdicts[i].type, .ranges = ranges };
    MalAddress group = aap_address(verdicts[i].group);
    serve(&bed, verdicts[i].served);
    for (; msg.n_ranges < 4 && verdicts[i].ranges[msg.n_ranges] != NULL; msg.n_ranges++)
      ranges[msg.n_ranges] = aap_range(verdicts[i].ranges[msg.n_ranges], 1);
    msg.family = msg.n_ranges > 0 ? ranges[0].span.first.family : group.family;
    AapScopeDecision d = aap_scope_decide(bed.places, bed.n_places, group, &msg);
    cr_expect_eq(d.verdict, verdicts[i].verdict, "case %zu: verdict %d", i, d.verdict);
    if (verdicts[i].verdict == AAP_SCOPE_ONE)
      cr_expect(d.place != NULL && d.place->scope == &bed.scopes[verdicts[i].scope], "case %zu", i);
    else
      cr_expect_null(d.place, "case %zu", i);
    cr_expect_eq(d.reason,
                 verdicts[i].verdict == AAP_SCOPE_MALFORMED ? verdicts[i].scope : AAP_REASON_NONE,
                 "case %zu", i);
  }
}

Test(aap_15, without_addresses_among_several_large_scopes)
{
  static const struct { AapType type; AapScopeVerdict verdict;
  } cases[] = {
    { AAP_ANA, AAP_SCOPE_EACH },
    { AAP_ASRP, AAP_SCOPE_AMBIGUOUS },
    { AAP_ASA, AAP_SCOPE_AMBIGUOUS },
  };
  Bed bed;
  serve(&bed, "0123");
  bed.scopes[ORG].divisible = true;
  cr_assert(aap_scope_place(&bed.scopes[ORG], &bed.scopes[ALLOCATION], &bed.rule, &bed.places[1]));
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapMessage msg = { .type = cases[i].type, .family = MAL_IPV4 };
    AapScopeDecision d = aap_scope_decide(bed.places, bed.n_places, aap_address(ALLOC), &msg);
    cr_expect_eq(d.verdict, cases[i].verdict);
    for (size_t p = 0; p < bed.n_places; p++)
      cr_expect_eq(aap_scope_concerns(&d, &bed.places[p], aap_address(ALLOC)),
                   cases[i].type == AAP_ANA && p < 2, "%s %zu", aap_type_name(cases[i].type), p);
  }
}

Test(aap_13, a_message_concerns_its_scope_alone)
{
  AapRange range = aap_range(G1, 1);
  AapMessage msg = { .type = AAP_AIU, .family = MAL_IPV4, .ranges = &range, .n_ranges = 1 };
  Bed bed;
  serve(&bed, "0123");
  AapScopeDecision d = aap_scope_decide(bed.places, bed.n_places, aap_address(ALLOC), &msg);
  for (size_t p = 0; p < bed.n_places; p++)
    cr_expect_eq(aap_scope_concerns(&d, &bed.places[p], aap_address(ALLOC)), p == 0, "%zu", p);
}

/* ---- what is never allocated ----------------------------------------------------------------- */

Test(aap_19, what_is_clipped_away)
{
  static const struct { unsigned scope; const char *span, *kept; } cases[] = {
    { LOCAL, "239.255.0.0-239.255.255.255", "239.255.0.0-239.255.254.255" },
    { LOCAL, "239.255.254.9-239.255.255.9", "239.255.254.9-239.255.254.255" },
    { LOCAL, "239.255.255.0-239.255.255.255", NULL },
    { LOCAL, "239.254.0.0-239.255.0.1", "239.255.0.0-239.255.0.1" },
    { LOCAL, "233.252.0.1", NULL },
    { LOCAL, "ff16::8000:1", NULL },
    { SITE6, "ff16::-ff16::ffff:ffff", "ff16::8000:0-ff16::8fff:ffff" },
    { SITE6, "ff16::8000:5-ff16::8000:9", "ff16::8000:5-ff16::8000:9" },
    { SITE6, "ff16::9000:0-ff16::1:7fff:ffff", NULL },
    { SITE6, "ff16::9000:0-ff16::1:8000:1", "ff16::1:8000:0-ff16::1:8000:1" },
    { SITE6, "ff16::1-ff16::7fff:ffff", NULL },
    { SITE6, "ff16::8fff:ffff-ff16::2:8000:1", "ff16::8fff:ffff" },
    { SITE6, "ff16:ffff:ffff:ffff:ffff:ffff:9000:0-ff16:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
    { SITE6, "ff1e::8000:1", NULL },
  };
  Bed bed;
  set_up(&bed);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    MalSpan out, span = aap_range(cases[i].span, 0).span;
    bool kept = aap_scope_clip(&bed.scopes[cases[i].scope], span, &out);
    cr_expect_eq(kept, cases[i].kept != NULL, "%s", cases[i].span);
    if (!kept || cases[i].kept == NULL)
      continue;
    MalSpan want = aap_range(cases[i].kept, 0).span;
    cr_expect(mal_address_equal(out.first, want.first) && mal_address_equal(out.last, want.last),
              "%s", cases[i].span);
  }
}

Test(aap_19, reserved_addresses_and_groups)
{
  Bed bed;
  serve(&bed, "0123");
  cr_expect(aap_scope_allocates(&bed.scopes[LOCAL], aap_address("239.255.254.255")));
  cr_expect_not(aap_scope_allocates(&bed.scopes[LOCAL], aap_address("239.255.255.0")));
  cr_expect_not(aap_scope_allocates(&bed.scopes[LOCAL], aap_address("239.255.255.248")));
  bed.scopes[LOCAL].span.first = aap_address("239.255.255.0");
  cr_expect_not(aap_scope_allocates(&bed.scopes[LOCAL], aap_address("239.255.255.0")));
  cr_expect(aap_is_group(bed.places, bed.n_places, aap_address("239.195.255.248")));
  cr_expect_not(aap_is_group(bed.places, bed.n_places, aap_address("239.195.255.247")));
}
