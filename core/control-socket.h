/* The control API on a unix stream socket: JSON-RPC 2.0, one object a line. Production only (GLib
   main loop). */
#ifndef MAL_CONTROL_SOCKET_H
#define MAL_CONTROL_SOCKET_H

#include "control-core.h"
#include "events.h"

G_BEGIN_DECLS

typedef struct MalControlSocket MalControlSocket;

typedef struct {
  GMainContext *context;        /* NULL: the default one */
  MalControl *control;
  MalEvents *events;            /* what subscribers hear */
  const char *path;
  /* its members may change things; NULL or unknown: only root and ourselves */
  const char *group;
} MalControlSocketOptions;

/* Takes over a socket file that nobody listens on; a live one is MAL_ERROR_NETWORK ("is another
   mallocd running?"). */
MalControlSocket *mal_control_socket_open(const MalControlSocketOptions *options, GError **error);
/* Closes all connections and removes the file. */
void mal_control_socket_close(MalControlSocket *socket);

typedef struct { uint64_t accepted, refused, calls, too_long, slow; } MalControlSocketCounters;
MalControlSocketCounters mal_control_socket_counters(const MalControlSocket *socket);

/* ---- control-socket-listen.c ----------------------------------------------------------------- */

/* A listening socket at PATH; -1 with an error. */
int mal_control_listen(const char *path, GError **error);
/* Accepts who comes to FD, which is its own from then on. FUNC gets the descriptor, non-blocking;
   NO_ROOM hears why nobody can be accepted, once until it goes again. */
typedef struct MalControlDoor MalControlDoor;
typedef void (*MalControlDoorFunc)(int peer, void *data);
typedef void (*MalControlNoRoom)(const char *why, void *data);
MalControlDoor *mal_control_door_new(GMainContext *context, int fd, MalControlDoorFunc func,
                                     MalControlNoRoom no_room, void *data);
void mal_control_door_free(MalControlDoor *door);
/* May who connected change things? */
bool mal_control_peer_may_write(int fd, const char *group);
/* Why TEXT is no JSON text, or NULL; *OUT is what it says, the caller's, and NULL for null, too. */
const char *mal_json_parse(const char *text, size_t length, json_object **out);

/* ---- control-rpc.c: messages of JSON-RPC 2.0 ------------------------------------------------- */

/* What a message asks for; borrowed from it. */
typedef struct {
  const char *method;
  json_object *params;          /* an object, or NULL */
  json_object *id;
  bool has_id;                  /* else it is a notification, which gets no answer */
  bool progress;                /* ours: whoever doesn't say it gets one line for one line */
} MalRpcRequest;

/* False where MESSAGE is no request, with what to answer in *REFUSAL (NULL: nothing). */
bool mal_rpc_read(json_object *message, MalRpcRequest *out, json_object **refusal);
/* What the following make is the caller's. */
json_object *mal_rpc_result(json_object *id, json_object *result);
/* KIND (NULL: none) is for programs, as mal_error_kind() says it. */
json_object *mal_rpc_error(json_object *id, int code, const char *message, const char *kind);
json_object *mal_rpc_failure(json_object *id, const GError *error);
/* Takes over PARAMS. */
json_object *mal_rpc_notification(const char *method, json_object *params);

G_END_DECLS
#endif
