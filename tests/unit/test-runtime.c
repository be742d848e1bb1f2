/* What core/runtime.c adds to an implementation: numbers without bias, whole seconds. */
#include "core/runtime.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct {
  MalRuntime base;
  int64_t wall;
  const uint64_t *draws;
  size_t drawn;
} Script;

static int64_t script_wall(MalRuntime *rt)
{
  return ((Script *)rt)->wall;
}

static void script_random(MalRuntime *rt, void *out, size_t length)
{
  Script *script = (Script *)rt;
  cr_assert_eq(length, sizeof(uint64_t));
  memcpy(out, &script->draws[script->drawn++], length);
}

static const MalRuntimeOps script_ops = { .wall = script_wall, .random = script_random };

Test(runtime, random_below_draws_again_where_modulo_is_unfair)
{
  static const struct {
    uint32_t bound;
    uint64_t draws[3];
    uint32_t want;
    size_t drawn;
  } cases[] = {
    { 0, { 9 }, 0, 0 },
    { 1, { 9 }, 0, 0 },
    { 2, { 0 }, 0, 1 },
    { 2, { UINT64_MAX }, 1, 1 },
    /* 2^64 mod 3 is 1: the draw 0 is one too many */
    { 3, { 0, 1 }, 1, 2 },
    { 3, { 1 }, 1, 1 },
    { 3, { UINT64_MAX }, 0, 1 },
    { 10, { 5, 0, 16 }, 6, 3 }, /* 2^64 mod 10 is 6 */
    { UINT32_MAX, { 0, UINT64_MAX }, 0, 2 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Script script = { .base.ops = &script_ops, .draws = cases[i].draws };
    cr_expect_eq(mal_runtime_random_below(&script.base, cases[i].bound), cases[i].want, "%zu", i);
    cr_expect_eq(script.drawn, cases[i].drawn, "%zu", i);
  }
}

Test(runtime, random_between_includes_both_ends)
{
  static const struct { uint64_t low, high, draws[2], want; size_t drawn;
  } cases[] = {
    { 7, 7, { 5 }, 7, 0 },
    { 9, 3, { 5 }, 9, 0 },
    { 10, 11, { 6 }, 10, 1 },
    { 10, 11, { 7 }, 11, 1 },
    { 0, UINT64_MAX, { 0 }, 0, 1 },
    { 0, UINT64_MAX, { UINT64_MAX }, UINT64_MAX, 1 },
    { 1, UINT64_MAX, { 0, UINT64_MAX }, 1, 2 },
    { UINT64_MAX - 1, UINT64_MAX, { 1 }, UINT64_MAX, 1 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Script script = { .base.ops = &script_ops, .draws = cases[i].draws };
    cr_expect_eq(mal_runtime_random_between(&script.base, cases[i].low, cases[i].high),
                 cases[i].want, "%zu", i);
    cr_expect_eq(script.drawn, cases[i].drawn, "%zu", i);
  }
}

Test(runtime, now_rounds_down_on_both_sides_of_1970)
{
  static const struct { int64_t wall; MalTime now;
  } cases[] = {
    { 0, 0 },   { 1, 0 },         { 999999, 0 },    { 1000000, 1 },
    { -1, -1 }, { -1000000, -1 }, { -1000001, -2 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Script script = { .base.ops = &script_ops, .wall = cases[i].wall };
    cr_expect_eq(mal_runtime_now(&script.base), cases[i].now, "%zu", i);
  }
}

Test(runtime, freeing_nothing_is_nothing)
{
  mal_timer_free(NULL);
  mal_udp_close(NULL);
  mal_listener_close(NULL);
  mal_stream_close(NULL);
  mal_worker_free(NULL);
  mal_interface_watch_free(NULL);
}
