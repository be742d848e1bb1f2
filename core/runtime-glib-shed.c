/* Overload of a UDP socket: how old its queue is, and what the kernel drops for us. A classic
   socket filter sees a datagram before it is queued, so what it drops costs neither room nor time
   of ours. */
#include "runtime-glib-private.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <time.h>

enum {
  UDP_HEADER = 8,                        /* the filter sees it, too */
  OLDEST = 10000000,                     /* more is a step of the clock */
  KEEP = 0xFFFF,
  KIND_STEPS = 6,
  MOST_STEPS = 1 + KIND_STEPS * MAL_UDP_KINDS,
};

/* The stamp of what was read last, which is not counted among the messages' control data: one
   call a batch instead. It is of the wall clock. */
int64_t rtg_shed_age(int fd)
{
  struct timespec stamp;

  if (ioctl(fd, SIOCGSTAMPNS, &stamp) != 0)
    return 0;
  int64_t age = g_get_real_time() - ((int64_t)stamp.tv_sec * MAL_US + stamp.tv_nsec / 1000);
  return age < 0 || age > OLDEST ? 0 : age;
}

uint32_t rtg_shed_dropped(int fd)
{
  uint32_t numbers[SK_MEMINFO_VARS] = { 0 };
  socklen_t length = sizeof numbers;

  (void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &length);
  return numbers[SK_MEMINFO_DROPS];
}

/* What follows where the octet is of this kind: keep it or drop it, by lot. */
static unsigned verdict(struct sock_filter *at, uint16_t drop)
{
  const struct sock_filter lot[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, MAL_UDP_ALL - 1),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, drop, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, KEEP),
    BPF_STMT(BPF_RET | BPF_K, 0),
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(lot); i++)
    at[i] = lot[i];
  return G_N_ELEMENTS(lot);
}

bool rtg_shed_filter(int fd, const MalUdpShed *shed)
{
  struct sock_filter steps[MOST_STEPS];
  struct sock_fprog program = { .filter = steps };
  unsigned n = 0, most = 0;

  steps[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, UDP_HEADER + shed->octet);
  for (unsigned kind = 1; kind < MAL_UDP_KINDS; kind++) {
    most = MAX(most, shed->drop[kind]);
    if (shed->drop[kind] == shed->drop[0])
      continue;
    steps[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kind, 0, KIND_STEPS - 1);
    n += verdict(steps + n, shed->drop[kind]);
  }
  n += verdict(steps + n, shed->drop[0]);
  if (MAX(most, shed->drop[0]) == 0)
    return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &n, sizeof n) == 0 || errno == ENOENT;
  program.len = (unsigned short)n;
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}
