/* Interfaces as the kernel has them, and a watch over their changes by rtnetlink. */
#include "runtime-glib-private.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <string.h>
#include <unistd.h>

/* ---- the interfaces now ---------------------------------------------------------------------- */

/* One entry a link; the kernel lists each with its index as a packet address. */
static void add_link(GArray *interfaces, const struct ifaddrs *link)
{
  const struct sockaddr_ll *packet = (const struct sockaddr_ll *)(const void *)link->ifa_addr;
  MalInterface interface = {
    .index = (uint32_t)packet->sll_ifindex,
    .up = (link->ifa_flags & IFF_UP) != 0,
    .multicast = (link->ifa_flags & IFF_MULTICAST) != 0,
    .loopback = (link->ifa_flags & IFF_LOOPBACK) != 0,
  };

  g_strlcpy(interface.name, link->ifa_name, sizeof interface.name);
  g_array_append_val(interfaces, interface);
}

/* The interface of that name, or of the name before the colon of an IPv4 label ("eth0:1"). */
static MalInterface *find_interface(GArray *interfaces, const char *name)
{
  size_t length = strcspn(name, ":");

  for (guint i = 0; i < interfaces->len; i++) {
    MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    if (strncmp(interface->name, name, length) == 0 && interface->name[length] == '\0')
      return interface;
  }
  return NULL;
}

static bool is_link_local(MalAddress address)
{
  return address.family == MAL_IPV6 && address.value >> 118 == 0xfe80 >> 6;
}

static void add_address(GArray *interfaces, const struct ifaddrs *entry, bool link_local)
{
  RtgSockaddr socket_address = { 0 };
  bool v4 = entry->ifa_addr->sa_family == AF_INET;

  memcpy(&socket_address, entry->ifa_addr,
         v4 ? sizeof socket_address.v4 : sizeof socket_address.v6);
  MalAddress address = rtg_sockaddr_to(&socket_address).address;
  MalInterface *interface = find_interface(interfaces, entry->ifa_name);
  if (interface == NULL || is_link_local(address) != link_local)
    return;
  interface->addresses = g_renew(MalAddress, interface->addresses, interface->n_addresses + 1);
  interface->addresses[interface->n_addresses++] = address;
}

static void add_addresses(GArray *interfaces, const struct ifaddrs *list, bool link_local)
{
  for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next)
    if (entry->ifa_addr != NULL
        && (entry->ifa_addr->sa_family == AF_INET || entry->ifa_addr->sa_family == AF_INET6))
      add_address(interfaces, entry, link_local);
}

GArray *rtg_interfaces(MalRuntime *rt)
{
  GArray *interfaces = mal_interfaces_new();
  struct ifaddrs *list;

  (void)rt;
  if (getifaddrs(&list) != 0) {
    g_warning("can't list the network interfaces: %s", g_strerror(errno));
    return interfaces;
  }
  for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next)
    if (entry->ifa_addr != NULL && entry->ifa_addr->sa_family == AF_PACKET)
      add_link(interfaces, entry);
  add_addresses(interfaces, list, false);
  add_addresses(interfaces, list, true);
  freeifaddrs(list);
  return interfaces;
}

/* ---- the watch ------------------------------------------------------------------------------- */

/* An interface that comes up makes a burst of messages: one call for all of them. */
#define COALESCE (MAL_US / 20)
/* Without netlink (a sandbox may forbid it) the caller looks for itself this often. */
#define POLL_INTERVAL (30 * MAL_US)

typedef struct {
  MalInterfaceWatch base;
  GSource *source;
  void *tag;
  int fd;
  MalTimerFunc func;
  void *data;
  MalTimer *timer;
  bool pending;
} Watch;

typedef struct {
  GSource source;
  Watch watch;
} WatchSource;

static void watch_fire(void *user)
{
  Watch *watch = user;

  watch->pending = false;
  if (watch->fd < 0)
    mal_timer_set(watch->timer, mal_runtime_monotonic(watch->base.rt) + POLL_INTERVAL);
  watch->func(watch->data);
}

static gboolean watch_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
  Watch *watch = &((WatchSource *)source)->watch;
  char skipped[8192];
  int rounds = 64;

  (void)callback;
  (void)user_data;
  /* What the messages say does not matter: the caller looks at everything. An overrun (ENOBUFS) is
     a change as well. */
  while (rounds-- > 0
         && (recv(watch->fd, skipped, sizeof skipped, MSG_DONTWAIT) > 0 || errno == ENOBUFS))
    ;
  if (!watch->pending)
    mal_timer_set(watch->timer, mal_runtime_monotonic(watch->base.rt) + COALESCE);
  watch->pending = true;
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs watch_funcs = { .dispatch = watch_dispatch };

static int open_netlink(void)
{
  struct sockaddr_nl address = {
    .nl_family = AF_NETLINK,
    .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
  };
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  g_warning("can't watch the network interfaces, looking every %d seconds: %s",
            (int)(POLL_INTERVAL / MAL_US), g_strerror(errno));
  if (fd >= 0)
    close(fd);
  return -1;
}

MalInterfaceWatch *rtg_watch_new(MalRuntime *rt, MalTimerFunc func, void *data)
{
  Rtg *rtg = (Rtg *)rt;
  GSource *source = rtg_source_new(rtg, &watch_funcs, sizeof(WatchSource), "mallocd interfaces");
  Watch *watch = &((WatchSource *)source)->watch;

  watch->base.rt = rt;
  watch->source = source;
  watch->func = func;
  watch->data = data;
  watch->timer = mal_timer_new(rt, watch_fire, watch);
  watch->fd = open_netlink();
  if (watch->fd >= 0)
    watch->tag = g_source_add_unix_fd(source, watch->fd, G_IO_IN);
  else
    mal_timer_set(watch->timer, mal_runtime_monotonic(rt) + POLL_INTERVAL);
  rtg->handles++;
  return &watch->base;
}

void rtg_watch_free(MalInterfaceWatch *handle)
{
  Watch *watch = (Watch *)handle;

  ((Rtg *)handle->rt)->handles--;
  mal_timer_free(watch->timer);
  g_source_destroy(watch->source);
  if (watch->fd >= 0)
    close(watch->fd);
  g_source_unref(watch->source);
}
