/* How much to claim, and where (RFC 2909 Appendix A): single situations. */
#include "plugins/masc/masc-holes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1767225600
#define HOUR 3600
#define LIFE (720 * HOUR)

/* Holdings: "P" pending, "D" draining, "E" ends, "<" grows from the one before. Uses: of 256
   addresses, from the start of their prefix, "*N" of them. */
typedef struct {
  MascPlanKind kind;
  const char *grounds, *busy, *holdings, *uses;
  uint64_t waiting;   /* units */
  const char *wishes; /* those that are expected, as wishes_text() has them */
} Case;

static uint64_t low(void *user, uint64_t least, uint64_t most)
{
  (void)user;
  (void)most;
  return least;
}

static int compare_holdings(const void *a, const void *b)
{
  const MascHolding *x = a, *y = b;
  int order = masc_prefix_compare(&x->prefix, &y->prefix);
  return order != 0 ? order : x->pending - y->pending;
}

static GArray *parse_holdings(const char *text)
{
  GArray *out = g_array_new(FALSE, TRUE, sizeof(MascHolding));
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  for (unsigned i = 0; words[i] != NULL && *words[i] != '\0'; i++) {
    MascHolding holding = { .until = NOW + LIFE, .since = NOW - HOUR };
    size_t length = strcspn(words[i], "PDE<");
    holding.pending = strpbrk(words[i], "P<") != NULL;
    holding.draining = strchr(words[i], 'D') != NULL;
    holding.ends = strchr(words[i], 'E') != NULL;
    holding.grows = strchr(words[i], '<') != NULL;
    if (holding.grows)
      holding.from = g_array_index(out, MascHolding, out->len - 1).prefix;
    words[i][length] = '\0';
    cr_assert(mal_prefix_parse(words[i], &holding.prefix, NULL), "%s", words[i]);
    g_array_append_val(out, holding);
  }
  g_array_sort(out, compare_holdings);
  return out;
}

static GArray *parse_uses(const char *text)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MascUse));
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  for (unsigned i = 0; words[i] != NULL && *words[i] != '\0'; i++) {
    char *star = strchr(words[i], '*');
    unsigned n = star != NULL ? (unsigned)atoi(star + 1) : 0;
    MalPrefix prefix;
    if (star != NULL)
      *star = '\0';
    cr_assert(mal_prefix_parse(words[i], &prefix, NULL), "%s", words[i]);
    for (unsigned k = 0; k < MAX(n, 1); k++) {
      MalPrefix part = n > 0 ? masc_prefix_part(prefix, 24, k) : prefix;
      MascUse use = { mal_span_of_prefix(part), NOW + LIFE - HOUR, false };
      g_array_append_val(out, use);
    }
  }
  return out;
}

static GArray *parse_grounds(const char *text)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MascGround));
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  for (unsigned i = 0; words[i] != NULL && *words[i] != '\0'; i++) {
    MascGround ground = { .until = NOW + 2 * LIFE, .deprecated = strchr(words[i], 'D') != NULL };
    words[i][strcspn(words[i], "D")] = '\0';
    cr_assert(mal_prefix_parse(words[i], &ground.prefix, NULL), "%s", words[i]);
    g_array_append_val(out, ground);
  }
  return out;
}

static GArray *parse_busy(const char *text)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  for (unsigned i = 0; words[i] != NULL && *words[i] != '\0'; i++) {
    MalPrefix prefix;
    cr_assert(mal_prefix_parse(words[i], &prefix, NULL), "%s", words[i]);
    g_array_append_val(out, prefix);
  }
  g_array_sort(out, masc_prefix_compare);
  return out;
}

static char *wishes_text(const MascWish *wishes, size_t n)
{
  static const char *names[] = { "claim", "grow", "give", "drain", "keep", "hint" };
  GString *out = g_string_new("");
  for (size_t i = 0; i < n; i++) {
    char text[MAL_ADDRESS_STRLEN];
    g_string_append_printf(out, "%s%s %s/%u", i > 0 ? ", " : "", names[wishes[i].kind],
                           mal_address_format(wishes[i].prefix.address, text),
                           wishes[i].prefix.length);
  }
  return g_string_free(out, FALSE);
}

static char *plan_once(MascForecast *forecast, const Case *c, MalTime now)
{
  g_autoptr(GArray) holdings = parse_holdings(c->holdings), uses = parse_uses(c->uses);
  g_autoptr(GArray) grounds = parse_grounds(c->grounds), busy = parse_busy(c->busy);
  MascPlanView view = { .now = now,
                        .grounds = (const MascGround *)(void *)grounds->data,
                        .n_grounds = grounds->len,
                        .busy = (const MalPrefix *)(void *)busy->data,
                        .n_busy = busy->len,
                        .holdings = (const MascHolding *)(void *)holdings->data,
                        .n_holdings = holdings->len,
                        .uses = (const MascUse *)(void *)uses->data,
                        .n_uses = uses->len,
                        .waiting = c->waiting * 256,
                        .waiting_until = now + LIFE };
  MascWish wishes[MASC_WISHES_MAX];
  MalTime next;
  size_t n = masc_plan(forecast, &view, low, NULL, wishes, MASC_WISHES_MAX, &next);
  return wishes_text(wishes, n);
}

static void judge(const Case *cases, size_t n, unsigned max_prefixes)
{
  MascParams params;
  masc_params_init(&params);
  params.max_prefixes = max_prefixes;
  for (size_t i = 0; i < n; i++) {
    MascForecast *forecast = masc_forecast_new(cases[i].kind, MAL_IPV4, &params);
    g_autofree char *text = plan_once(forecast, &cases[i], NOW);
    cr_expect_str_eq(text, cases[i].wishes, "case %zu: %s", i, text);
    masc_forecast_free(forecast);
  }
}

#define G "233.252.0.0/16"

/* Nothing was asked for as yet: two arrivals may come until a claim is won, and one more unit
   starts the next claim early. */
Test(masc_plan, leaf)
{
  static const Case cases[] = {
    { MASC_PLAN_LEAF, G, "", "", "", 0, "claim 233.252.0.0/23, claim 233.252.2.0/23" },
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/23 233.252.2.0/23P", "", 0, "" },
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/22", "", 0, "" },
    /* What waits counts as if it were in use. */
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/22", "", 6, "grow 233.252.0.0/21, claim 233.252.8.0/23" },
    /* In place where there is room, else a new main prefix elsewhere. */
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/21", "233.252.0.0/24*7", 4, "grow 233.252.0.0/20" },
    { MASC_PLAN_LEAF, G, "233.252.8.0/24", "233.252.0.0/21", "233.252.0.0/24*7", 4,
      "claim 233.252.128.0/20" },
    /* Not worth a main prefix of twice the size: one beside it, in the hole that fits best. */
    { MASC_PLAN_LEAF, G, "233.252.10.0/24 233.252.12.0/22", "233.252.0.0/21", "233.252.0.0/24*7", 0,
      "claim 233.252.8.0/23" },
    /* In the smallest ground that has room, so that the large one stays whole. */
    { MASC_PLAN_LEAF, "233.252.0.0/20 233.252.16.0/21", "233.252.10.0/24 233.252.12.0/22",
      "233.252.0.0/21", "233.252.0.0/24*7", 0, "claim 233.252.16.0/23" },
    { MASC_PLAN_LEAF, "233.252.0.0/20 233.252.16.0/21",
      "233.252.10.0/24 233.252.12.0/22 233.252.16.0/21", "233.252.0.0/21", "233.252.0.0/24*7", 0,
      "claim 233.252.8.0/23" },
    { MASC_PLAN_LEAF, "233.252.0.0/20 233.252.16.0/21D", "233.252.10.0/24 233.252.12.0/22",
      "233.252.0.0/21", "233.252.0.0/24*7", 0, "claim 233.252.8.0/23" },
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/21 233.252.8.0/23", "233.252.0.0/24*8 233.252.8.0/24*1",
      0, "grow 233.252.8.0/22" },
    { MASC_PLAN_LEAF, G, "233.252.10.0/24", "233.252.0.0/21 233.252.8.0/23",
      "233.252.0.0/24*8 233.252.8.0/24*1", 0, "claim 233.252.12.0/23" },
    /* Nothing is free: the parent hears of it (11.5). */
    { MASC_PLAN_LEAF, G, G, "", "", 0, "hint 0.0.0.0/22" },
    { MASC_PLAN_LEAF, "", "", "", "", 0, "hint 0.0.0.0/22" },
    /* Nothing as large is free: who waits gets what there is. */
    { MASC_PLAN_LEAF, G,
      "233.252.0.0/17 233.252.128.0/18 233.252.192.0/19 233.252.224.0/20 233.252.240.0/21 "
      "233.252.248.0/22", "", "", 20, "hint 0.0.0.0/19, claim 233.252.252.0/22" },
    /* Of a deprecated prefix nothing is claimed, and what is there is replaced, then left. */
    { MASC_PLAN_LEAF, "233.252.0.0/20D 233.252.16.0/20", "", "233.252.0.0/22", "233.252.0.0/24*1",
      0, "claim 233.252.16.0/22" },
    { MASC_PLAN_LEAF, "233.252.0.0/20D 233.252.16.0/20", "", "233.252.0.0/22 233.252.16.0/22",
      "233.252.0.0/24*1", 0, "drain 233.252.0.0/22" },
    { MASC_PLAN_LEAF, "233.252.0.0/20D 233.252.16.0/20", "", "233.252.0.0/22D 233.252.16.0/22", "",
      0, "give 233.252.0.0/22" },
    { MASC_PLAN_LEAF, "233.252.0.0/20D 233.252.16.0/20", "", "233.252.0.0/22 233.252.16.0/22P",
      "233.252.0.0/24*1", 0, "" },
    /* So with what can't be renewed. It is not taken back either. */
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/22E", "233.252.0.0/24*1", 0, "claim 233.252.128.0/22" },
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/22E 233.252.128.0/22", "233.252.0.0/24*1", 0,
      "drain 233.252.0.0/22" },
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/22DE 233.252.128.0/22",
      "233.252.0.0/24*1 233.252.128.0/24*4", 0, "grow 233.252.128.0/21" },
    /* What drains is taken back before more is claimed. */
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/22 233.252.4.0/22D", "233.252.0.0/24*4 233.252.4.0/24*1",
      0, "keep 233.252.4.0/22" },
    /* Empty ones go back, then empty halves; the main prefix stays as long as its size is right. */
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/21 233.252.8.0/22", "233.252.0.0/24*3", 0,
      "give 233.252.8.0/22" },
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/20", "233.252.0.0/24*2", 0, "give 233.252.8.0/21" },
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/20", "", 0, "give 233.252.8.0/21" },
  };
  judge(cases, G_N_ELEMENTS(cases), 0);
}

/* A holding below a unit, by hand or from when units were smaller, is no room and doesn't grow. */
Test(masc_plan, s17_1_1_what_is_smaller_than_a_unit)
{
  static const Case cases[] = {
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/25", "", 0,
      "claim 233.252.128.0/23, claim 233.252.130.0/23" },
    { MASC_PLAN_PARENT, "233.252.0.0/20", "", "233.252.0.0/25", "", 0, "claim 233.252.8.0/24" },
  };
  judge(cases, G_N_ELEMENTS(cases), 0);
}

Test(masc_plan, who_does_not_claim_wishes_nothing)
{
  static const Case c = { MASC_PLAN_LEAF, G, "", "", "", 100, "" };
  MascParams params;
  masc_params_init(&params);
  params.claim = false;
  MascForecast *f = masc_forecast_new(c.kind, MAL_IPV4, &params);
  g_autofree char *text = plan_once(f, &c, NOW);
  cr_expect_str_eq(text, "");
  masc_forecast_free(f);
}

Test(masc_plan, leaf_of_two_prefixes)
{
  static const Case cases[] = {
    /* The second one can't grow: a larger one takes its place. */
    { MASC_PLAN_LEAF, G, "233.252.10.0/24", "233.252.0.0/21 233.252.8.0/23",
      "233.252.0.0/24*8 233.252.8.0/24*1", 0, "claim 233.252.12.0/22" },
    { MASC_PLAN_LEAF, G, "233.252.10.0/24", "233.252.0.0/21 233.252.8.0/23 233.252.12.0/22",
      "233.252.0.0/24*8 233.252.8.0/24*2", 0, "drain 233.252.8.0/23" },
  };
  judge(cases, G_N_ELEMENTS(cases), 2);
}

Test(masc_plan, leaf_of_one_prefix)
{
  static const Case cases[] = {
    { MASC_PLAN_LEAF, G, "", "", "", 0, "claim 233.252.0.0/22" },
    { MASC_PLAN_LEAF, G, "", "233.252.0.0/21", "233.252.0.0/24*8", 0, "grow 233.252.0.0/20" },
    { MASC_PLAN_LEAF, G, "233.252.8.0/24", "233.252.0.0/21", "233.252.0.0/24*8", 0,
      "claim 233.252.128.0/20" },
  };
  judge(cases, G_N_ELEMENTS(cases), 1);
}

/* A hint has two waiting periods; then who waits gets what at least doubles what he has. */
Test(masc_plan, s11_5_a_hint_that_brings_nothing)
{
  static const struct {
    const char *busy, *holdings, *uses;
    uint64_t waiting;
    unsigned max_prefixes;
    const char *wishes;
  } rows[] = {
    { "", "233.252.252.0/24", "233.252.252.0/24", 20, 0,
      "hint 0.0.0.0/19, claim 233.252.254.0/23" },
    { "233.252.254.0/23", "233.252.252.0/24", "233.252.252.0/24", 20, 0,
      "hint 0.0.0.0/19, claim 233.252.253.0/24" },
    { "233.252.255.0/24", "233.252.252.0/23", "233.252.252.0/23", 20, 0, "hint 0.0.0.0/19" },
    { "233.252.253.0/24", "233.252.252.0/24", "233.252.252.0/24", 20, 1, "hint 0.0.0.0/19" },
    /* Nobody waits: there's no hurry. */
    { "233.252.254.0/23", "233.252.252.0/24", "233.252.252.0/24", 0, 0, "hint 0.0.0.0/22" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascParams params;
    masc_params_init(&params);
    params.max_prefixes = rows[i].max_prefixes;
    Case c = { MASC_PLAN_LEAF,  "233.252.252.0/22", rows[i].busy, rows[i].holdings, rows[i].uses,
               rows[i].waiting, "" };
    MascForecast *f = masc_forecast_new(c.kind, MAL_IPV4, &params);
    for (unsigned half = 0; half < 8; half++) {
      g_autofree char *early = plan_once(f, &c, NOW + half * 12 * HOUR);
      cr_expect(g_str_has_prefix(early, "hint") && strchr(early, ',') == NULL,
                "row %zu, half day %u: %s", i, half, early);
    }
    g_autofree char *text = plan_once(f, &c, NOW + 96 * HOUR);
    cr_expect_str_eq(text, rows[i].wishes, "row %zu: %s", i, text);
    g_autofree char *again = plan_once(f, &c, NOW + 97 * HOUR);
    cr_expect(strchr(again, ',') == NULL, "row %zu again: %s", i, again);
    masc_forecast_free(f);
  }
}

Test(masc_plan, parent)
{
  static const Case cases[] = {
    /* Room for children before the first one asks; all of a small ground is not for one domain. */
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "", "", 0, "claim 233.0.0.0/21" },
    { MASC_PLAN_PARENT, "233.252.0.0/20", "", "", "", 0, "claim 233.252.0.0/24" },
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/20P", "", 0, "" },
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/20", "233.0.0.0/24*14", 0,
      "grow 233.0.0.0/19" },
    { MASC_PLAN_PARENT, "233.0.0.0/8", "233.0.16.0/20", "233.0.0.0/20", "233.0.0.0/24*14", 0,
      "claim 233.0.32.0/19" },
    /* In the buddy, so that both are one some day. */
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/18", "233.0.0.0/19 233.0.32.0/19", 0,
      "claim 233.0.64.0/19" },
    /* Children's hints (11.5) count. */
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/18", "233.0.0.0/19", 40,
      "claim 233.0.64.0/19" },
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/18", "233.0.0.0/19", 70,
      "grow 233.0.0.0/17" },
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/18 233.0.64.0/19D",
      "233.0.0.0/19 233.0.32.0/19", 0, "keep 233.0.64.0/19" },
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/18 233.0.64.0/19D", "233.0.0.0/19", 0,
      "give 233.0.64.0/19" },
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/18 233.0.0.0/17<", "233.0.0.0/18", 0, "" },
    { MASC_PLAN_PARENT, "233.0.0.0/8", "233.0.0.0/8", "", "233.0.0.0/24", 0, "hint 0.0.0.0/20" },
    /* What is in the way goes anyway: wait for that. */
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/20 233.0.16.0/20E",
      "233.0.0.0/20 233.0.16.0/24", 4, "drain 233.0.16.0/20" },
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/20 233.0.16.0/20E", "233.0.0.0/20", 4,
      "give 233.0.16.0/20" },
    /* The second one can't grow, and the first is not worth doubling: another second one. */
    { MASC_PLAN_PARENT, "233.0.0.0/8", "233.0.72.0/21", "233.0.0.0/18 233.0.64.0/21",
      "233.0.0.0/18 233.0.64.0/24", 0, "claim 233.0.80.0/20" },
    /* No room for a second one of the usual size, but for one as large as all that is needed. */
    { MASC_PLAN_PARENT, "233.0.0.0/8",
      "233.0.8.0/21 233.0.32.0/19 233.0.64.0/18 233.0.128.0/17 233.1.0.0/16 233.2.0.0/15 "
      "233.4.0.0/14 233.8.0.0/13 233.16.0.0/12 233.32.0.0/11 233.64.0.0/10 233.128.0.0/9",
      "233.0.0.0/21", "233.0.0.0/24", 0, "claim 233.0.16.0/20" },
    /* What drains is not kept where a claim of ours takes its place. */
    { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/20 233.0.16.0/21D 233.0.16.0/20P",
      "233.0.0.0/24*15 233.0.16.0/24*7", 12, "" },
  };
  judge(cases, G_N_ELEMENTS(cases), 0);
}

/* What could be spared for ten days goes, if the children in it find room in the rest. */
Test(masc_plan, parent_has_patience)
{
  static const struct {
    const char *holdings, *uses, *wishes;
  } rows[] = {
    { "233.0.0.0/18", "233.0.0.0/24*4", "give 233.0.32.0/19" },
    { "233.0.0.0/18", "233.0.0.0/24*4 233.0.16.0/24 233.0.32.0/23 233.0.48.0/24*3",
      "drain 233.0.16.0/20" },
    { "233.0.0.0/18", "233.0.0.0/19 233.0.32.0/21", "" },
    /* What drains is no room, though a claim of ours is to take its place. */
    { "233.0.0.0/18 233.1.0.0/20D 233.1.0.0/19P", "233.0.0.0/24*4", "give 233.0.32.0/19" },
    { "233.0.0.0/19 233.1.0.0/20D 233.1.0.0/19P", "233.0.0.0/20", "" },
  };
  MascParams params;
  masc_params_init(&params);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Case c = { MASC_PLAN_PARENT, "233.0.0.0/8", "", rows[i].holdings, rows[i].uses, 0, "" };
    MascForecast *f = masc_forecast_new(c.kind, MAL_IPV4, &params);
    for (unsigned half = 0; half < 20; half++) {
      g_autofree char *early = plan_once(f, &c, NOW + half * 12 * HOUR);
      cr_expect_str_eq(early, "", "row %zu, half day %u: %s", i, half, early);
    }
    g_autofree char *text = plan_once(f, &c, NOW + 240 * HOUR);
    cr_expect_str_eq(text, rows[i].wishes, "row %zu: %s", i, text);
    masc_forecast_free(f);
  }
}

/* Children who wait (11.5) were to be expected as a part of the growth: they count once. */
Test(masc_plan, parent_whose_children_grow)
{
  static const struct {
    uint64_t waiting;
    const char *wishes;
  } rows[] = {
    { 0, "" },
    { 10, "" },     /* of 31 that are expected to come */
    { 50, "claim 233.1.0.0/19" },
  };
  MascParams params;
  masc_params_init(&params);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Case before = { MASC_PLAN_PARENT, "233.0.0.0/8", "", "233.0.0.0/16", "233.0.0.0/17", 0, "" };
    Case c = before;
    MascForecast *f = masc_forecast_new(c.kind, MAL_IPV4, &params);
    c.uses = "233.0.0.0/17 233.0.128.0/18 233.0.192.0/20 233.0.208.0/22";
    c.waiting = rows[i].waiting;
    g_free(plan_once(f, &before, NOW - 10 * 24 * HOUR));
    g_autofree char *text = plan_once(f, &c, NOW);
    cr_expect_str_eq(text, rows[i].wishes, "row %zu: %s", i, text);
    masc_forecast_free(f);
  }
}

/* What is scattered over far more than is needed never leaves a half empty by itself. */
Test(masc_plan, leaf_has_patience)
{
  static const struct {
    const char *holdings, *uses, *wishes;
  } rows[] = {
    { "233.252.0.0/18", "233.252.0.0/24 233.252.33.0/24 233.252.40.0/24", "drain 233.252.0.0/19" },
    { "233.252.0.0/18", "233.252.0.0/24*2 233.252.33.0/24", "drain 233.252.32.0/19" },
    { "233.252.0.0/19 233.252.32.0/19D", "233.252.0.0/24 233.252.17.0/24 233.252.40.0/24", "" },
    { "233.252.0.0/20", "233.252.0.0/24 233.252.9.0/24 233.252.10.0/24", "" },
  };
  MascParams params;
  masc_params_init(&params);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Case c = { MASC_PLAN_LEAF, G, "", rows[i].holdings, rows[i].uses, 0, "" };
    MascForecast *f = masc_forecast_new(c.kind, MAL_IPV4, &params);
    for (unsigned half = 0; half < 20; half++) {
      g_autofree char *early = plan_once(f, &c, NOW + half * 12 * HOUR);
      cr_expect_str_eq(early, "", "row %zu, half day %u: %s", i, half, early);
    }
    g_autofree char *text = plan_once(f, &c, NOW + 240 * HOUR);
    cr_expect_str_eq(text, rows[i].wishes, "row %zu: %s", i, text);
    masc_forecast_free(f);
  }
}

/* ---- forecast -------------------------------------------------------------------------------- */

Test(masc_plan, what_is_kept)
{
  MascParams params;
  masc_params_init(&params);
  for (unsigned kind = MASC_PLAN_LEAF; kind <= MASC_PLAN_PARENT; kind++) {
    Case c = {
      (MascPlanKind)kind, "233.0.0.0/8", "", "233.252.0.0/20", "233.252.0.0/24*12", 0, ""
    };
    MascForecast *a = masc_forecast_new(c.kind, MAL_IPV4, &params);
    for (unsigned i = 0; i < 40; i++) {
      masc_forecast_arrived(a, 256, NOW - (40 - i) * 7 * HOUR);
      if (i % 10 == 0)
        g_free(plan_once(a, &c, NOW - (40 - i) * 7 * HOUR));
    }
    size_t length;
    g_autofree uint8_t *octets = masc_forecast_save(a, &length);
    MascForecast *b = masc_forecast_new(c.kind, MAL_IPV4, &params);
    for (size_t cut = 0; cut < length; cut++)
      cr_expect_not(masc_forecast_load(b, octets, cut));
    cr_assert(masc_forecast_load(b, octets, length));
    g_autofree char *one = plan_once(a, &c, NOW), *other = plan_once(b, &c, NOW);
    cr_expect_str_eq(one, other);
    cr_expect_str_neq(one, "");
    /* Whatever the octets are, what comes out of them can be planned with. */
    for (size_t i = 0; i < length; i++) {
      uint8_t was = octets[i];
      octets[i] ^= 0xff;
      if (masc_forecast_load(b, octets, length))
        g_free(plan_once(b, &c, NOW));
      octets[i] = was;
    }
    masc_forecast_free(a);
    masc_forecast_free(b);
  }
}

/* One request an hour instead of one in two days: much more is claimed, and it's the units that
   count, not the requests. */
Test(masc_plan, arrivals)
{
  static const struct {
    unsigned n;
    uint64_t count;
    int64_t gap;
    const char *wishes;
  } rows[] = {
    { 0, 256, HOUR, "claim 233.252.0.0/23, claim 233.252.2.0/23" },
    { 30, 256, HOUR, "claim 233.252.0.0/21, claim 233.252.8.0/23" },
    { 30 * 256, 1, HOUR / 256, "claim 233.252.0.0/21, claim 233.252.8.0/23" },
    { 15, 512, 2 * HOUR, "claim 233.252.0.0/21, claim 233.252.8.0/22" },
  };
  MascParams params;
  masc_params_init(&params);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Case c = { MASC_PLAN_LEAF, G, "", "", "", 0, "" };
    MascForecast *f = masc_forecast_new(c.kind, MAL_IPV4, &params);
    for (unsigned k = 0; k < rows[i].n; k++)
      masc_forecast_arrived(f, rows[i].count, NOW - (int64_t)(rows[i].n - 1 - k) * rows[i].gap);
    g_autofree char *text = plan_once(f, &c, NOW);
    cr_expect_str_eq(text, rows[i].wishes, "row %zu: %s", i, text);
    masc_forecast_free(f);
  }
}
