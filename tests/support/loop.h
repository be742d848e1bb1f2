/* Runs a GLib runtime's loop until something is true, with a limit instead of fixed sleeps. */
#ifndef TESTS_SUPPORT_LOOP_H
#define TESTS_SUPPORT_LOOP_H

#include "core/runtime-glib.h"

#include <criterion/criterion.h>

#define LOOP_LIMIT_MS 20000

static inline gboolean loop_expired(gpointer flag)
{
  *(bool *)flag = true;
  return G_SOURCE_REMOVE;
}

#define RUN_UNTIL(rt, condition)                                                                   \
  do {                                                                                             \
    GMainContext *run_context = mal_runtime_glib_context(rt);                                      \
    GSource *run_limit = g_timeout_source_new(LOOP_LIMIT_MS);                                      \
    bool run_expired = false;                                                                      \
    g_source_set_callback(run_limit, loop_expired, &run_expired, NULL);                            \
    g_source_attach(run_limit, run_context);                                                       \
    while (!(condition) && !run_expired)                                                           \
      g_main_context_iteration(run_context, TRUE);                                                 \
    g_source_destroy(run_limit);                                                                   \
    g_source_unref(run_limit);                                                                     \
    cr_assert(condition, "not within %d ms: %s", LOOP_LIMIT_MS, #condition);                       \
  } while (0)

#endif
