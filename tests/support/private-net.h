/* A network namespace of the test's own (each Criterion test is a process), where it may change
   things. */
#ifndef TESTS_SUPPORT_PRIVATE_NET_H
#define TESTS_SUPPORT_PRIVATE_NET_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first"
#endif

#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* False where this system gives none; the test then is skipped. Loopback is down in it. Needs
   privileges: a user namespace can't be had here, since Criterion's process has a second thread.
   Without them, run the test program under "unshare --map-root-user --net". */
static inline bool private_net_enter(void)
{
  return unshare(CLONE_NEWNET) == 0;
}

static inline bool private_net_set_loopback(bool up)
{
  struct ifreq request = { .ifr_flags = (short)(up ? IFF_UP | IFF_MULTICAST : 0) };
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  strcpy(request.ifr_name, "lo");
  bool ok = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  close(fd);
  return ok;
}

/* A pair of interfaces, mal0 (index 77, 192.0.2.1, 2001:db8::1) and mal1, by iproute2. The kernel
   notices the carrier a moment later and drops what is sent before, so this waits for what it does
   last. */
static inline bool private_net_add_pair(void)
{
  static const char command[] =
      "ip link add mal0 index 77 type veth peer name mal1 2>/dev/null &&"
      " ip addr add 192.0.2.1/24 dev mal0 && ip addr add 2001:db8::1/64 dev mal0 nodad &&"
      " ip link set mal0 up && ip link set mal1 up &&"
      " for i in $(seq 2000); do"
      "   ip -6 route show table local dev mal0 | grep -q ff00::/8 &&"
      "   ip -o link show dev mal0 | grep -q 'state UP' && exit 0;"
      " done; exit 1";
  return system(command) == 0;  // NOLINT(cert-env33-c): nothing from outside is in it
}

static inline bool private_net_remove_pair(void)
{
  return system("ip link del mal0") == 0;  // NOLINT(cert-env33-c): nothing from outside either
}

#endif
