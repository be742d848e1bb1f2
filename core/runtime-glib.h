/* The production runtime: GLib's main loop, recvmmsg/sendmmsg in batches, one thread per worker.
   Not installed: plugins see runtime.h only. */
#ifndef MAL_RUNTIME_GLIB_H
#define MAL_RUNTIME_GLIB_H

#include "runtime.h"

/* Runs on CONTEXT (a reference is kept), or the default context for NULL. Free after all its
   handles. */
MAL_API MalRuntime *mal_runtime_glib_new(GMainContext *context);
MAL_API void mal_runtime_glib_free(MalRuntime *rt);
MAL_API GMainContext *mal_runtime_glib_context(MalRuntime *rt);

#endif
