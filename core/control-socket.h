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
/* May who connected change things? */
bool mal_control_peer_may_write(int fd, const char *group);
/* Why TEXT is no JSON text, or NULL; *OUT is what it says, the caller's, and NULL for null, too. */
const char *mal_json_parse(const char *text, size_t length, json_object **out);

G_END_DECLS
#endif
