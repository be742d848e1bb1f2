#include "tests/unit/masc-rig.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
  MascRole we_are;
  MascId domain, parent;
} ends[] = {
  { MASC_CHILD, 1, 0 },    { MASC_CHILD, 1, 0 },     { MASC_CHILD, 2, 0 },
  { MASC_SIBLING, 20, 1 }, { MASC_SIBLING, 21, 1 },  { MASC_SIBLING, 22, 2 },
  { MASC_PARENT, 30, 0 },  { MASC_PARENT, 30, 0 },   { MASC_PARENT, 31, 0 },
  { MASC_INTERNAL, 10, 0 }, { MASC_INTERNAL, 10, 0 },
};
G_STATIC_ASSERT(G_N_ELEMENTS(ends) == sizeof MASC_RIG_PEERS - 1);

MascRig masc_rig_new(void)
{
  MascRig rig = { .bed = masc_bed_new() };
  masc_bed_add(rig.bed, 10, 10001, false);
  rig.zone = rig.bed->nodes[0].zone;
  rig.own = rig.zone->owns;
  for (size_t i = 0; i < G_N_ELEMENTS(ends); i++)
    masc_bed_open(rig.bed, 0, ends[i].we_are, ends[i].domain, ends[i].parent);
  MascClaim managed = masc_rig_claim(&rig, MASC_PREFIX_MANAGED, MASC_INTERNAL, 1,
                                     "233.252.0.0/18");
  cr_assert_eq(masc_rig_say(&rig, 'a', &managed), 0);
  managed = masc_rig_claim(&rig, MASC_PREFIX_MANAGED, MASC_INTERNAL, 2, "233.252.128.0/17");
  cr_assert_eq(masc_rig_say(&rig, 'q', &managed), 0);
  rig.own->held = rig.own->overlaps = mal_span_of_prefix(masc_bed_prefix("233.252.4.0/22"));
  rig.own->denied = rig.own->withdrawn = true;
  masc_bed_clear(rig.bed);
  return rig;
}

void masc_rig_clear(MascRig *rig)
{
  g_clear_pointer(&rig->bed, masc_bed_free);
}

unsigned masc_rig_peer(char letter)
{
  const char *at = strchr(MASC_RIG_PEERS, letter);
  cr_assert(at != NULL && letter != '\0');
  return (unsigned)(at - MASC_RIG_PEERS);
}

MascClaim masc_rig_claim(const MascRig *rig, MascClaimType type, MascRole role, MascId origin,
                         const char *prefix)
{
  return masc_bed_claim(rig->bed, type, role, origin, prefix);
}

uint8_t masc_rig_say(MascRig *rig, char letter, const MascClaim *claim)
{
  return masc_bed_say(rig->bed, 0, masc_rig_peer(letter), claim);
}

const char *masc_rig_told(MascRig *rig, const MascClaim *claim, char *text)
{
  bool told[G_N_ELEMENTS(ends)] = { false };
  size_t n = 0;
  for (guint i = 0; i < rig->bed->sent->len; i++) {
    const MascSaid *said = &g_array_index(rig->bed->sent, MascSaid, i);
    if (said->claim.domain == claim->domain &&
        said->claim.prefix.length == claim->prefix.length &&
        mal_address_equal(said->claim.prefix.address, claim->prefix.address))
      told[said->peer] = true;
  }
  for (size_t i = 0; i < G_N_ELEMENTS(ends); i++)
    if (told[i])
      text[n++] = MASC_RIG_PEERS[i];
  text[n] = '\0';
  masc_bed_clear(rig->bed);
  return text;
}

MascClaim masc_rig_last(const MascRig *rig, char letter)
{
  unsigned peer = masc_rig_peer(letter);
  for (guint i = rig->bed->sent->len; i > 0; i--) {
    const MascSaid *said = &g_array_index(rig->bed->sent, MascSaid, i - 1);
    if (said->peer == peer)
      return said->claim;
  }
  cr_assert_fail("nothing was sent to %c", letter);
  return (MascClaim){ .domain = 0 };
}
