#include <config.h>

#include "daemon.h"

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

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

/* The tables of leases are few, large, and grow: each is to lie by itself, so that what one has
   outgrown goes back to the system. By default the C library takes to putting such blocks on the
   heap, where they leave holes. */
static void large_blocks_apart(void)
{
#ifdef M_MMAP_THRESHOLD
  // NOLINTBEGIN(concurrency-mt-unsafe): no thread yet
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 22);
  // NOLINTEND(concurrency-mt-unsafe)
#endif
}

int main(int argc, char **argv)
{
  large_blocks_apart();
  MalServiceManager manager = { .notify = notify };
#ifdef HAVE_SYSTEMD
  uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) > 0)
    manager.watchdog_us = (int64_t)usec;
#endif
  return mal_daemon_main(argc, argv, &manager);
}
