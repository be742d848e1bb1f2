#include <criterion/criterion.h>
#include "core/api.h"

Test(error, quark_is_ours)
{
  cr_assert_str_eq(g_quark_to_string(mal_error_quark()), "mal-error-quark");
}

Test(error, lifetimes_never_wrap)
{
  cr_assert(mal_time_add(INT64_MAX - 1, 5) == MAL_FOREVER);
  cr_assert(mal_time_add(INT64_MIN + 1, -5) == MAL_BEGINNING);
  cr_assert(mal_time_add(MAL_FOREVER, -5) == MAL_FOREVER);
  cr_assert(mal_time_add(40, 2) == 42);
}
