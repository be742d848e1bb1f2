/* The writer's thread works for some ten microseconds at a time and then waits for the disk, while
   everybody waits for it. On a busy processor Linux may leave it waiting behind a thread that
   computes until the next tick, 4 ms later, before it looks whether to let it go on. A thread that
   says that it needs little at a time goes first as soon as it wakes, if it had no more than its
   share (EEVDF, Linux 6.12 and later; before, the system takes no notice). */
#define _GNU_SOURCE

#include "store-sqlite.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE 100000u         /* ns; the least that the system takes */

/* The system's struct sched_attr as it first was; not every C library has it. */
typedef struct {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
} Scheduling;

/* Who gave the daemon another class of scheduling knows why. */
void mal_sqlite_soon(void)
{
  Scheduling as;
  memset(&as, 0, sizeof as);
  if (syscall(SYS_sched_getattr, 0, &as, sizeof as, 0) != 0 || as.policy != 0)
    return;
  as.size = sizeof as;
  as.runtime = SLICE;
  (void)syscall(SYS_sched_setattr, 0, &as, 0);
}
