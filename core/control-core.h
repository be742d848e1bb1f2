/* The control API as the core and its socket see it. Not installed. */
#ifndef MAL_CONTROL_CORE_H
#define MAL_CONTROL_CORE_H

#include "control.h"

G_BEGIN_DECLS

/* Who makes a call: the socket's connection, or nobody in particular. */
typedef struct {
  MalCallDone done;
  MalCallProgress progress;     /* may be NULL */
  void (*subscribe)(void *data, const char *prefix);   /* NULL: this caller can't listen */
  void *data;
} MalCaller;

/* Like mal_control_call. Returns the call while it waits for its answer, NULL where it had it
   already. */
MalCall *mal_control_begin(MalControl *control, const char *method, json_object *params,
                           bool may_write, const MalCaller *caller);
/* The caller is gone: the answer will be dropped. */
void mal_call_abandon(MalCall *call);
/* From now on the caller hears events whose name begins with PREFIX ("" for all); false where it
   can't. */
bool mal_call_subscribe(MalCall *call, const char *prefix);

typedef void (*MalNotify)(const char *topic, json_object *params, void *data);
void mal_control_set_notify(MalControl *control, MalNotify func, void *data);

/* All methods by name: array of const MalMethod *, borrowed content. */
GPtrArray *mal_control_methods(MalControl *control);
const char *mal_access_name(MalAccess access);
const char *mal_param_type_name(MalParamType type);
/* "no-space" and so on: the stable word for programs. */
const char *mal_error_kind(int code);

/* JSON-RPC 2.0's code for an error: -32601 and -32602 for MAL_CALL_ERROR, -32000 - MalErrorCode for
   ours. */
int mal_json_rpc_code(const GError *error);

/* What is wrong with a call itself, before any handler saw it. */
#define MAL_CALL_ERROR (mal_call_error_quark())
GQuark mal_call_error_quark(void);
enum { MAL_CALL_NO_METHOD, MAL_CALL_BAD_PARAMS };

G_END_DECLS
#endif
