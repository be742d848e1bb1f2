/* The daemon's main function, as the program mallocd calls it. Not installed. */
#ifndef MAL_DAEMON_H
#define MAL_DAEMON_H

#include "api.h"

G_BEGIN_DECLS

/* How the service manager is told. STATE as sd_notify has it ("READY=1"). */
typedef struct {
  void (*notify)(const char *state);
  int64_t watchdog_us;          /* how often it wants to hear; 0: not at all */
} MalServiceManager;

/* The exit status: 0 done, 1 failed, 2 bad usage. */
MAL_API int mal_daemon_main(int argc, char **argv, const MalServiceManager *manager);

G_END_DECLS
#endif
