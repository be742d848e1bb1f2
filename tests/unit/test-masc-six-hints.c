/* What children ask for over IPv6 (RFC 2909 11.5), where it is more than 64 bits can count. */
#include "tests/unit/masc-rig.h"

#include <criterion/criterion.h>

Test(masc_six, s11_5_hints_add_up_and_saturate)
{
  static const struct {
    const char *name;
    unsigned a, b;              /* what two children ask for; 0: nothing */
    uint64_t sum;
  } rows[] = {
    { "a few", 120, 0, 256 },
    { "beyond 32 bits", 90, 100, (UINT64_C(1) << 38) + (UINT64_C(1) << 28) },
    { "the most that is counted", 65, 66, (UINT64_C(1) << 63) + (UINT64_C(1) << 62) },
    { "one more bit", 65, 65, UINT64_MAX },
    { "2^64 is not 0", 64, 0, UINT64_MAX },
    { "nor with something added", 64, 120, UINT64_MAX },
    { "nor 2^120", 8, 8, UINT64_MAX },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim a = masc_rig_claim(&rig, MASC_NEW_CLAIM, MASC_INTERNAL, 30, "0.0.0.0/24"), b = a;
    a.prefix.length = rows[i].a;
    b.prefix.length = rows[i].b;
    b.domain = 31;
    b.node = 31000;
    cr_assert_eq(masc_rig_say(&rig, 'c', &a), 0, "%s", rows[i].name);
    if (rows[i].b > 0)
      cr_assert_eq(masc_rig_say(&rig, 'e', &b), 0, "%s", rows[i].name);
    cr_expect_eq(masc_hints(rig.zone, masc_bed_now(rig.bed, 0)), rows[i].sum, "%s", rows[i].name);
  }
}
