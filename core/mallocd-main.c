#include <config.h>

#include "daemon.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

static void notify(const char *state)
{
  sd_notify(0, state);
}
#else
static void notify(const char *state)
{
  (void)state;
}
#endif

int main(int argc, char **argv)
{
  MalServiceManager manager = { .notify = notify };
#ifdef HAVE_SYSTEMD
  uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) > 0)
    manager.watchdog_us = (int64_t)usec;
#endif
  return mal_daemon_main(argc, argv, &manager);
}
