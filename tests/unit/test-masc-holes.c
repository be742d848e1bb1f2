/* Free space as prefixes, and where a claim goes (RFC 2909 17.1.1). */
#include "plugins/masc/masc-holes.h"

#include <criterion/criterion.h>

static MalPrefix pfx(const char *text)
{
  MalPrefix prefix;
  cr_assert(mal_prefix_parse(text, &prefix, NULL), "%s", text);
  return prefix;
}

static GArray *prefixes(const char *text)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  g_auto(GStrv) parts = g_strsplit(text, " ", -1);
  for (unsigned i = 0; parts[i] != NULL; i++) {
    if (*parts[i] != '\0') {
      MalPrefix prefix = pfx(parts[i]);
      g_array_append_val(out, prefix);
    }
  }
  g_array_sort(out, masc_prefix_compare);
  return out;
}

static char *text_of(const GArray *holes)
{
  GString *out = g_string_new("");
  for (guint i = 0; i < holes->len; i++) {
    char text[MAL_ADDRESS_STRLEN];
    MalPrefix prefix = g_array_index(holes, MalPrefix, i);
    g_string_append_printf(out, "%s%s/%u", i > 0 ? " " : "",
                           mal_address_format(prefix.address, text), prefix.length);
  }
  return g_string_free(out, FALSE);
}

static GArray *holes_of(const char *grounds_text, const char *taken_text, unsigned longest)
{
  g_autoptr(GArray) grounds = prefixes(grounds_text), taken = prefixes(taken_text);
  g_autofree MascGround *list = g_new0(MascGround, grounds->len);
  for (guint i = 0; i < grounds->len; i++)
    list[i] = (MascGround){ g_array_index(grounds, MalPrefix, i), MAL_FOREVER, false };
  return masc_holes(list, grounds->len, (const MalPrefix *)(void *)taken->data, taken->len, 0,
                    longest);
}

static uint64_t first(void *user, uint64_t low, uint64_t high)
{
  (void)user;
  (void)high;
  return low;
}

static uint64_t last(void *user, uint64_t low, uint64_t high)
{
  (void)user;
  (void)low;
  return high;
}

Test(masc_holes, arithmetic)
{
  static const struct {
    const char *prefix, *buddy, *wide;
    unsigned length;
  } rows[] = {
    { "233.252.0.0/24", "233.252.1.0/24", "233.252.0.0/20", 20 },
    { "233.252.1.0/24", "233.252.0.0/24", "233.252.0.0/23", 23 },
    { "233.252.0.255/32", "233.252.0.254/32", "233.252.0.255/32", 32 },
    { "ff3e::8000:0/112", "ff3e::8001:0/112", "ff3e::/96", 96 },
    { "ff3e::db8:1/128", "ff3e::db8:0/128", "ff00::/8", 8 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalPrefix prefix = masc_prefix_widen(pfx(rows[i].prefix), pfx(rows[i].prefix).length);
    cr_expect(masc_prefix_equal(masc_prefix_buddy(prefix), pfx(rows[i].buddy)), "%zu", i);
    cr_expect(masc_prefix_equal(masc_prefix_widen(prefix, rows[i].length), pfx(rows[i].wide)),
              "%zu", i);
  }
  cr_expect(
      masc_prefix_equal(masc_prefix_part(pfx("233.252.0.0/20"), 24, 15), pfx("233.252.15.0/24")));
  cr_expect(masc_prefix_covers(pfx("233.252.0.0/16"), pfx("233.252.255.0/24")));
  cr_expect_not(masc_prefix_covers(pfx("233.252.255.0/24"), pfx("233.252.0.0/16")));
  cr_expect(masc_prefix_meets(pfx("233.252.255.0/24"), pfx("233.252.0.0/16")));
  cr_expect_not(masc_prefix_covers(pfx("233.252.0.0/16"), pfx("ff3e::/96")));
  cr_expect_eq(masc_prefix_addresses(pfx("233.252.0.0/20")), 4096);
  cr_expect_eq(masc_prefix_addresses(pfx("::/0")), ~(MalU128)0, "it saturates");
}

Test(masc_holes, rfc2909_17_1_1_what_is_free)
{
  static const struct {
    const char *grounds, *taken, *holes;
    unsigned longest;
  } rows[] = {
    { "233.252.0.0/24", "", "233.252.0.0/24", 32 },
    { "233.252.0.0/24", "233.252.0.0/24", "", 32 },
    { "233.252.0.0/24", "233.0.0.0/8", "", 32 },
    { "233.252.0.0/24", "233.252.1.0/24 233.251.255.0/24", "233.252.0.0/24", 32 },
    { "233.252.0.0/24", "233.252.0.0/26", "233.252.0.64/26 233.252.0.128/25", 32 },
    { "233.252.0.0/24", "233.252.0.192/26", "233.252.0.0/25 233.252.0.128/26", 32 },
    { "233.252.0.0/24", "233.252.0.100/32", "233.252.0.0/26 233.252.0.128/25", 26 },
    { "233.252.0.0/24", "233.252.0.0/25 233.252.0.0/26 233.252.0.64/26", "233.252.0.128/25", 32 },
    { "233.252.0.0/24", "233.252.0.64/26 233.252.0.64/26 233.252.0.128/25", "233.252.0.0/26", 32 },
    /* Two grounds stay two, though their addresses are one run. */
    { "233.252.0.0/24 233.252.1.0/24", "", "233.252.0.0/24 233.252.1.0/24", 32 },
    { "233.252.0.0/24 233.252.1.0/24", "233.252.0.0/25", "233.252.0.128/25 233.252.1.0/24", 32 },
    { "ff3e::8000:0/97", "ff3e::8000:0/98", "ff3e::c000:0/98", 128 },
    { "255.255.255.0/24", "255.255.255.0/25", "255.255.255.128/25", 32 },
    { "233.252.0.0/24", "ff3e::/96", "233.252.0.0/24", 32 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GArray) holes = holes_of(rows[i].grounds, rows[i].taken, rows[i].longest);
    g_autofree char *text = text_of(holes);
    cr_expect_str_eq(text, rows[i].holes, "row %zu: %s", i, text);
  }
}

Test(masc_holes, rfc2909_4_3_not_of_what_is_deprecated_or_ends)
{
  MascGround grounds[] = { { pfx("233.252.0.0/24"), 100, false },
                           { pfx("233.252.1.0/24"), 200, false },
                           { pfx("233.252.2.0/24"), 200, true } };
  g_autoptr(GArray) holes = masc_holes(grounds, 3, NULL, 0, 100, 32);
  g_autofree char *text = text_of(holes);
  cr_expect_str_eq(text, "233.252.1.0/24");
}

Test(masc_holes, taking)
{
  g_autoptr(GArray) holes = holes_of("233.252.0.0/24", "233.252.0.128/26", 32);
  masc_holes_take(holes, pfx("233.252.0.32/27"), 32);
  g_autofree char *one = text_of(holes);
  cr_expect_str_eq(one, "233.252.0.0/27 233.252.0.64/26 233.252.0.192/26");
  masc_holes_take(holes, pfx("233.252.0.0/25"), 32);
  g_autofree char *two = text_of(holes);
  cr_expect_str_eq(two, "233.252.0.192/26");
}

Test(masc_holes, rfc2909_17_1_1_places)
{
  static const struct {
    const char *taken, *within;
    MascPlace how;
    unsigned length;
    const char *low, *high; /* by what the dice say */
  } rows[] = {
    /* The RFC's example: of 01xx, 10xx and 110x one of the first two. */
    { "233.252.0.0/26 233.252.0.224/27", NULL, MASC_PLACE_WORST, 28, "233.252.0.128/28",
      "233.252.0.64/28" },
    { "233.252.0.0/26 233.252.0.224/27", NULL, MASC_PLACE_BEST, 28, "233.252.0.192/28",
      "233.252.0.192/28" },
    { "233.252.0.0/26 233.252.0.224/27", NULL, MASC_PLACE_BEST, 26, "233.252.0.128/26",
      "233.252.0.64/26" },
    { "233.252.0.0/26 233.252.0.224/27", NULL, MASC_PLACE_BEST, 25, NULL, NULL },
    /* An empty ground: in one of four parts. */
    { "", NULL, MASC_PLACE_WORST, 30, "233.252.0.0/30", "233.252.0.192/30" },
    { "", NULL, MASC_PLACE_WORST, 26, "233.252.0.0/26", "233.252.0.0/26" },
    { "233.252.0.0/26", "233.252.0.64/26", MASC_PLACE_BEST, 28, "233.252.0.64/28",
      "233.252.0.64/28" },
    { "233.252.0.0/26", "233.252.0.128/27", MASC_PLACE_BEST, 28, "233.252.0.128/28",
      "233.252.0.128/28" },
    { "233.252.0.0/26", "233.252.0.0/26", MASC_PLACE_BEST, 28, NULL, NULL },
    { "233.252.0.0/24", NULL, MASC_PLACE_WORST, 28, NULL, NULL },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GArray) holes = holes_of("233.252.0.0/24", rows[i].taken, 32);
    MalPrefix within = rows[i].within != NULL ? pfx(rows[i].within) : (MalPrefix){ 0 }, place;
    for (unsigned high = 0; high < 2; high++) {
      const char *wanted = high ? rows[i].high : rows[i].low;
      bool found = masc_holes_place(holes, rows[i].how, rows[i].within != NULL ? &within : NULL,
                                    rows[i].length, high ? last : first, NULL, &place);
      cr_expect_eq(found, wanted != NULL, "row %zu", i);
      if (found && wanted != NULL)
        cr_expect(masc_prefix_equal(place, pfx(wanted)), "row %zu: .%u", i,
                  (unsigned)place.address.value & 255);
    }
  }
}

Test(masc_holes, packing)
{
  static const struct {
    const char *taken;
    unsigned lengths[4];
    size_t n;
    bool fit;
  } rows[] = {
    { "", { 25, 26, 27, 27 }, 4, true },
    { "", { 25, 26, 26, 32 }, 4, false },
    { "233.252.0.0/26 233.252.0.128/26", { 26, 26 }, 2, true },
    { "233.252.0.0/26 233.252.0.128/26", { 25 }, 1, false }, /* as much, but in two pieces */
    { "233.252.0.0/24", { 0 }, 0, true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GArray) holes = holes_of("233.252.0.0/24", rows[i].taken, 32);
    cr_expect_eq(masc_holes_pack(holes, rows[i].lengths, rows[i].n, 32), rows[i].fit, "%zu", i);
  }
}
