/* The core's control methods, by topic. Each table is added with the MalCore as user. Not
   installed. */
#ifndef MAL_METHODS_H
#define MAL_METHODS_H

#include "control-core.h"
#include "core.h"

G_BEGIN_DECLS

extern const MalMethod mal_methods_daemon[], mal_methods_model[], mal_methods_lease[];
extern const size_t mal_methods_daemon_n, mal_methods_model_n, mal_methods_lease_n;

/* Named members, skipped where TEXT is NULL. */
void json_add_string(json_object *o, const char *name, const char *text);
void json_add_int(json_object *o, const char *name, int64_t n);
void json_add_count(json_object *o, const char *name, uint64_t n);
void json_add_bool(json_object *o, const char *name, bool b);
void json_add_time(json_object *o, const char *name, MalTime t);
void json_add_address(json_object *o, const char *name, MalAddress a);
void json_add_span(json_object *o, MalSpan span);        /* "first" and "last" */

/* Parameter "scope": NULL where it wasn't said; where there is no such scope, the call is failed
   and *FAILED set. */
const MalScope *method_scope(MalCore *core, MalCall *call, json_object *params, bool *failed);

G_END_DECLS
#endif
