/* The control API: JSON-RPC 2.0 methods, declared in tables and checked against them before the
   handler runs. The unix socket is one way to call; mallocctl --direct and tests call in the
   process. */
#ifndef MAL_CONTROL_H
#define MAL_CONTROL_H

#include "model.h"

#include <json-c/json.h>

G_BEGIN_DECLS

typedef struct MalControl MalControl;
typedef struct MalCall MalCall;   /* one call that waits for its answer */

typedef enum { MAL_ACCESS_READ, MAL_ACCESS_WRITE } MalAccess;
typedef enum {
  MAL_PARAM_STRING, MAL_PARAM_INTEGER, MAL_PARAM_BOOL,
  MAL_PARAM_DURATION,         /* integer seconds, or text such as "2h" */
  MAL_PARAM_TIME,             /* RFC 3339 text */
  MAL_PARAM_ADDRESS,          /* "A" */
  MAL_PARAM_SPAN,             /* "A", "A-B", "A/len" */
  MAL_PARAM_LEASE_ID,         /* hex */
  MAL_PARAM_SPANS,            /* spans: an array of texts, or one text with ';' between them */
  MAL_PARAM_ARRAY, MAL_PARAM_OBJECT,
} MalParamType;
typedef struct {
  const char *name;
  MalParamType type;
  bool required;
  const char *help;
} MalParam;

typedef struct {
  const char *name;           /* "noun.verb" */
  MalAccess access;
  const MalParam *params;
  size_t n_params;
  const char *help;           /* what it does and what it answers */
  /* Must end in exactly one mal_call_reply or mal_call_fail, now or later. PARAMS (never NULL) is
     borrowed during the call. */
  void (*handle)(MalCall *call, json_object *params, void *user);
} MalMethod;

MAL_API void mal_call_reply(MalCall *call, json_object *result);     /* takes RESULT */
MAL_API void mal_call_fail(MalCall *call, const GError *error);
MAL_API void mal_call_fail_literal(MalCall *call, MalErrorCode code, const char *message);
/* Parameters that the table can't tell to be wrong: JSON-RPC's -32602, and the caller's wrong
   usage. */
MAL_API void mal_call_fail_params(MalCall *call, const char *message);
/* A line of visible progress to the caller while it waits:
   {"method":"progress","params":{"id":...,"message":...}}, for those who say "progress": true
   beside "params". */
MAL_API void mal_call_progress(MalCall *call, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Did the caller go away? Answers are then dropped silently, but must still come: they free it. */
MAL_API bool mal_call_is_gone(const MalCall *call);

/* Typed reads of checked parameters; absent ones give the fallback. */
MAL_API bool mal_param_given(json_object *params, const char *name);
MAL_API const char *mal_param_string(json_object *params, const char *name, const char *fallback);
/* and durations, times */
MAL_API int64_t mal_param_integer(json_object *params, const char *name, int64_t fallback);
MAL_API bool mal_param_bool(json_object *params, const char *name, bool fallback);

/* Called in the process. PARAMS (NULL: none) is borrowed. DONE comes once, from within the call
   where the answer is known at once, and gets RESULT (borrowed) or ERROR; PROGRESS may be NULL. */
typedef void (*MalCallDone)(json_object *result, const GError *error, void *data);
typedef void (*MalCallProgress)(const char *message, void *data);
MAL_API void mal_control_call(MalControl *control, const char *method, json_object *params,
                              bool may_write, MalCallDone done, MalCallProgress progress,
                              void *data);
/* Tells all who subscribed: {"method":"event","params":...}. */
MAL_API void mal_control_notify(MalControl *control, const char *topic, json_object *params);

/* ---- the core's side ------------------------------------------------------------------------- */

MAL_API MalControl *mal_control_new(void);
MAL_API void mal_control_free(MalControl *control);
/* METHODS must stay until mal_control_remove, which takes back all of OWNER's; USER goes to their
   handlers. Of two methods of one name the first counts. */
MAL_API void mal_control_add(MalControl *control, const char *owner, const MalMethod *methods,
                             size_t n, void *user);
MAL_API void mal_control_remove(MalControl *control, const char *owner);
/* JSON values for times, leases, ... are made in one place so that all methods look alike. */
MAL_API json_object *mal_json_time(int64_t t);                 /* RFC 3339, or null for "never" */
/* A lease in lease.get's form: {"lease": hex, "scope", "addresses": ["A-B", ...], "count", "start",
   "end", "pad", "granted", "client", "origin", "state": "leased", "held" or "pending", "shared"}.
   VIA may be NULL. */
MAL_API json_object *mal_json_lease(const MalLease *lease, const char *via);

G_END_DECLS
#endif
