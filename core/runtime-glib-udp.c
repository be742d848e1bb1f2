/* Datagrams in batches. Receiving: up to RTG_BATCH datagrams by one recvmmsg into buffers that the
   whole runtime shares, since no two callbacks run at once. Sending: each socket gathers copies,
   and they leave by one sendmmsg when RTG_BATCH wait or the dispatch that queued them ends, so
   replies to a batch leave as a batch, whether they are sent at once or when a commit returned.

   Every datagram carries its local address and interface by packet information (RFC 3542 4.2 and
   6.2 for IPv6), in both directions. */
#include "runtime-glib-private.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

enum {
  BATCHES_WHEN_LATE = 8,                 /* then timers and other sources get their turn */
  LATE = 5000,                           /* us */
  QUEUE_DATAGRAMS = 4096,                /* what may wait for a socket that takes no more */
  QUEUE_OCTETS = 4 * 1024 * 1024,
  /* The kernel counts a small datagram with 768 octets and doubles what is asked for: 11,000 of
     them, which are to be served within some 100 ms. More would only be answered later. */
  RECEIVE_BUFFER = 4 * 1024 * 1024,
  SEND_BUFFER = 2 * 1024 * 1024,
  /* Not a power of two: buffers a multiple of 4096 apart would share their cache sets. */
  STRIDE = MAL_MAX_DATAGRAM + 1 + 192,
  CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)),
};

typedef union {
  struct cmsghdr align;
  uint8_t bytes[CONTROL];
} Control;

typedef struct {
  struct mmsghdr messages[RTG_BATCH];
  struct iovec vectors[RTG_BATCH];
  RtgSockaddr names[RTG_BATCH];
  Control controls[RTG_BATCH];
} Side;

struct RtgBatch {
  Side in, out;
  MalDatagram datagrams[RTG_BATCH];
  uint8_t *data;                         /* RTG_BATCH buffers, STRIDE apart */
};

typedef struct {
  MalEndpoint peer;
  MalAddress local;
  uint32_t ifindex;
  uint8_t ttl;                           /* for a group; 0 for the system's */
  size_t offset, length;                 /* within the octets */
} Queued;

struct RtgUdp {
  MalUdp base;
  GSource *source;
  void *tag;
  int fd;
  MalFamily family;
  uint8_t multicast_ttl;
  uint32_t receive_limit;
  MalUdpFunc func;
  void *data;
  MalUdpCounters counters;
  int64_t lag;
  GArray *queue;                         /* Queued */
  GByteArray *octets;
  bool dirty;                            /* on the runtime's list */
  bool blocked;                          /* waits until the socket takes more */
};

typedef struct {
  GSource source;
  RtgUdp udp;
} UdpSource;

static Rtg *rtg_of_udp(const RtgUdp *udp)
{
  return (Rtg *)udp->base.rt;
}

/* ---- the shared buffers ---------------------------------------------------------------------- */

static void side_init(Side *side)
{
  for (int i = 0; i < RTG_BATCH; i++)
    side->messages[i].msg_hdr = (struct msghdr){
      .msg_name = &side->names[i], .msg_iov = &side->vectors[i], .msg_iovlen = 1,
    };
}

static RtgBatch *batch_new(void)
{
  RtgBatch *batch = g_new0(RtgBatch, 1);

  batch->data = g_malloc((size_t)RTG_BATCH * STRIDE);
  side_init(&batch->in);
  side_init(&batch->out);
  return batch;
}

void rtg_batch_free(RtgBatch *batch)
{
  g_free(batch->data);
  g_free(batch);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void control_add(struct msghdr *header, int level, int type, const void *value, size_t size)
{
  uint8_t *place = (uint8_t *)header->msg_control + header->msg_controllen;
  struct cmsghdr *control = (struct cmsghdr *)(void *)place;

  memset(place, 0, CMSG_SPACE(size));
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(control), value, size);
  header->msg_controllen += CMSG_SPACE(size);
}

static void control_fill(struct msghdr *header, MalFamily family, const Queued *item)
{
  int ttl = item->ttl;
  bool source = item->local.family == family || item->ifindex != 0;

  if (family == MAL_IPV4 && source) {
    struct in_pktinfo info = { .ipi_ifindex = (int)item->ifindex };
    if (item->local.family == family)
      mal_address_to_bytes(item->local, (uint8_t *)&info.ipi_spec_dst);
    control_add(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  } else if (source) {
    struct in6_pktinfo info = { .ipi6_ifindex = item->ifindex };
    if (item->local.family == family)
      mal_address_to_bytes(item->local, info.ipi6_addr.s6_addr);
    control_add(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
  }
  if (ttl != 0 && family == MAL_IPV4)
    control_add(header, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
  else if (ttl != 0)
    control_add(header, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof ttl);
}

static void message_fill(Side *out, unsigned i, const RtgUdp *udp, const Queued *item)
{
  struct msghdr *header = &out->messages[i].msg_hdr;

  header->msg_namelen = rtg_sockaddr_from(item->peer, &out->names[i]);
  out->vectors[i].iov_base = udp->octets->data + item->offset;
  out->vectors[i].iov_len = item->length;
  header->msg_control = &out->controls[i];
  header->msg_controllen = 0;
  control_fill(header, udp->family, item);
  if (header->msg_controllen == 0)
    header->msg_control = NULL;
}

static void set_blocked(RtgUdp *udp, bool blocked)
{
  if (udp->blocked != blocked)
    g_source_modify_unix_fd(udp->source, udp->tag, blocked ? G_IO_IN | G_IO_OUT : G_IO_IN);
  udp->blocked = blocked;
}

/* Forgets the first DONE items. What little stays after a full socket moves to the front. */
static void queue_consume(RtgUdp *udp, guint done)
{
  if (done == udp->queue->len) {
    g_array_set_size(udp->queue, 0);
    g_byte_array_set_size(udp->octets, 0);
  } else if (done > 0) {
    size_t gone = g_array_index(udp->queue, Queued, done).offset;
    g_array_remove_range(udp->queue, 0, done);
    g_byte_array_remove_range(udp->octets, 0, (guint)gone);
    for (guint i = 0; i < udp->queue->len; i++)
      g_array_index(udp->queue, Queued, i).offset -= gone;
  }
}

/* Sends what waits, until the socket takes no more. A datagram that the system refuses is counted
   and dropped, and the rest goes on. */
static void udp_flush(RtgUdp *udp)
{
  Side *out = &rtg_of_udp(udp)->batch->out;
  guint done = 0;

  while (done < udp->queue->len) {
    unsigned count = MIN(udp->queue->len - done, RTG_BATCH);
    for (unsigned i = 0; i < count; i++)
      message_fill(out, i, udp, &g_array_index(udp->queue, Queued, done + i));
    int sent = sendmmsg(udp->fd, out->messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      udp->counters.sent += (unsigned)sent;
      done += (unsigned)sent;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      udp->counters.send_errors++;
      done++;
    }
  }
  set_blocked(udp, done < udp->queue->len);
  queue_consume(udp, done);
}

void rtg_udp_flush_all(Rtg *rtg)
{
  for (guint i = 0; i < rtg->dirty->len; i++) {
    RtgUdp *udp = rtg->dirty->pdata[i];
    udp->dirty = false;
    if (!udp->blocked)
      udp_flush(udp);
  }
  g_ptr_array_set_size(rtg->dirty, 0);
}

static void flush_deferred(void *data)
{
  Rtg *rtg = data;

  rtg->flush_deferred = false;
  rtg_udp_flush_all(rtg);
}

static void mark_dirty(Rtg *rtg, RtgUdp *udp)
{
  if (!udp->dirty)
    g_ptr_array_add(rtg->dirty, udp);
  udp->dirty = true;
  if (rtg->depth == 0 && !rtg->flush_deferred) {
    rtg->flush_deferred = true;
    mal_runtime_defer(&rtg->base, flush_deferred, rtg);
  }
}

void rtg_udp_send(MalUdp *handle, const MalDatagram *datagram)
{
  RtgUdp *udp = (RtgUdp *)handle;
  bool group = mal_address_is_multicast(datagram->peer.address);
  Queued item = {
    .peer = datagram->peer, .local = datagram->local, .ifindex = datagram->ifindex,
    .ttl = group ? udp->multicast_ttl : 0,
    .offset = udp->octets->len, .length = datagram->length,
  };

  if (datagram->peer.address.family != udp->family || datagram->length > MAL_MAX_DATAGRAM
      || udp->queue->len >= QUEUE_DATAGRAMS || udp->octets->len + datagram->length > QUEUE_OCTETS) {
    udp->counters.send_errors++;
    return;
  }
  g_array_append_val(udp->queue, item);
  if (datagram->length > 0)
    g_byte_array_append(udp->octets, datagram->data, (guint)datagram->length);
  if (udp->queue->len >= RTG_BATCH && !udp->blocked)
    udp_flush(udp);
  else
    mark_dirty(rtg_of_udp(udp), udp);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void take_local(struct msghdr *header, MalDatagram *out)
{
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(c), sizeof info);
      out->local = mal_address_from_bytes(MAL_IPV4, (const uint8_t *)&info.ipi_addr, 4);
      out->ifindex = (uint32_t)info.ipi_ifindex;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(c), sizeof info);
      out->local = mal_address_from_bytes(MAL_IPV6, info.ipi6_addr.s6_addr, 16);
      out->ifindex = info.ipi6_ifindex;
    }
  }
}

/* Up to a batch of datagrams; how many, 0 where none is there. */
static unsigned receive_batch(RtgUdp *udp, RtgBatch *batch)
{
  Side *in = &batch->in;

  for (size_t i = 0; i < RTG_BATCH; i++) {
    struct msghdr *header = &in->messages[i].msg_hdr;
    header->msg_namelen = sizeof in->names[i];
    header->msg_control = &in->controls[i];
    header->msg_controllen = sizeof in->controls[i];
    in->vectors[i] = (struct iovec){ batch->data + i * STRIDE, udp->receive_limit };
  }
  int count = recvmmsg(udp->fd, in->messages, RTG_BATCH, MSG_DONTWAIT, NULL);
  for (int i = 0; i < count; i++) {
    struct msghdr *header = &in->messages[i].msg_hdr;
    MalDatagram *d = &batch->datagrams[i];
    *d = (MalDatagram){
      .peer = rtg_sockaddr_to(&in->names[i]),
      .data = in->vectors[i].iov_base,
      .length = in->messages[i].msg_len,
      .truncated = (header->msg_flags & MSG_TRUNC) != 0,
    };
    take_local(header, d);
    udp->counters.truncated += d->truncated;
  }
  udp->lag = count == RTG_BATCH ? rtg_shed_age(udp->fd) : 0;
  return count > 0 ? (unsigned)count : 0;
}

/* One batch, then all others get their turn: after a pause of the processor hundreds wait here, and
   what these ask for should be on its way to the disk, and the last batch's answers to their
   clients, while the rest is read. Where all has waited for long, larger commits make good more. */
static void receive(RtgUdp *udp)
{
  Rtg *rtg = rtg_of_udp(udp);

  for (int i = 0; i == 0 || (i < BATCHES_WHEN_LATE && udp->lag > LATE); i++) {
    unsigned count = receive_batch(udp, rtg->batch);
    if (count == 0)
      return;
    udp->counters.received += count;
    udp->counters.batches++;
    udp->func(&udp->base, rtg->batch->datagrams, count, udp->data);
    rtg_udp_flush_all(rtg);
    if (count < RTG_BATCH || g_source_is_destroyed(udp->source))
      return;
  }
}

static gboolean udp_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
  RtgUdp *udp = &((UdpSource *)source)->udp;
  Rtg *rtg = rtg_of_udp(udp);
  GIOCondition ready = g_source_query_unix_fd(source, udp->tag);

  (void)callback;
  (void)user_data;
  if (!rtg_dispatch(rtg))
    return G_SOURCE_CONTINUE;
  if ((ready & G_IO_OUT) != 0)
    udp_flush(udp);
  if ((ready & (G_IO_IN | G_IO_ERR | G_IO_HUP)) != 0)
    receive(udp);
  rtg_leave(rtg);
  return G_SOURCE_CONTINUE;
}

static void udp_finalize(GSource *source)
{
  RtgUdp *udp = &((UdpSource *)source)->udp;

  g_array_unref(udp->queue);
  g_byte_array_unref(udp->octets);
}

static GSourceFuncs udp_funcs = { .dispatch = udp_dispatch, .finalize = udp_finalize };

/* ---- opening and closing --------------------------------------------------------------------- */

static bool set_options(int fd, const MalUdpOptions *o, GError **error)
{
  bool ok;

  if (o->family == MAL_IPV4)
    ok = rtg_socket_set(fd, IPPROTO_IP, IP_PKTINFO, 1)
         && rtg_socket_set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0)
         && rtg_socket_set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, o->multicast_loop);
  else
    ok = rtg_socket_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
         && rtg_socket_set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, o->multicast_loop);
  if (ok && o->reuse)
    ok = rtg_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (!ok)
    return rtg_fail(error, errno, "can't set the options of a UDP socket");
  if (o->family == MAL_IPV6)
    (void)rtg_socket_set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);  /* since Linux 4.20 */
  /* As much as the system grants: bursts wait in the kernel while a commit is on its way. */
  if (!rtg_socket_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER))
    (void)rtg_socket_set(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
  (void)rtg_socket_set(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
  (void)rtg_shed_age(fd);                /* from the first question on, the kernel takes note */
  return true;
}

static int open_socket(const MalUdpOptions *o, GError **error)
{
  MalAddress any = mal_address_make(o->family, 0);
  MalEndpoint local = {
    .address = o->bind.family == MAL_FAMILY_NONE ? any : o->bind, .port = o->port,
  };
  int fd;

  if (local.address.family != o->family) {
    g_set_error_literal(error, MAL_ERROR, MAL_ERROR_INVALID,
                        "the address to bind is not of the socket's family");
    return -1;
  }
  fd = rtg_socket_new(o->family, SOCK_DGRAM, error);
  if (fd < 0)
    return -1;
  if (set_options(fd, o, error) && rtg_socket_bind(fd, local, "UDP", error))
    return fd;
  close(fd);
  return -1;
}

MalUdp *rtg_udp_open(MalRuntime *rt, const MalUdpOptions *options, MalUdpFunc func, void *data,
                     GError **error)
{
  Rtg *rtg = (Rtg *)rt;
  int fd = open_socket(options, error);

  if (fd < 0)
    return NULL;
  if (rtg->batch == NULL)
    rtg->batch = batch_new();
  GSource *source = rtg_source_new(rtg, &udp_funcs, sizeof(UdpSource), "mallocd UDP");
  RtgUdp *udp = &((UdpSource *)source)->udp;
  udp->base.rt = rt;
  udp->source = source;
  udp->fd = fd;
  udp->family = options->family;
  udp->receive_limit = options->receive_limit == 0 ? MAL_MAX_DATAGRAM
                                                   : MIN(options->receive_limit, MAL_MAX_DATAGRAM);
  udp->func = func;
  udp->data = data;
  udp->queue = g_array_sized_new(FALSE, FALSE, sizeof(Queued), RTG_BATCH);
  udp->octets = g_byte_array_new();
  udp->tag = g_source_add_unix_fd(source, fd, G_IO_IN);
  rtg_udp_set_ttl(&udp->base, options->multicast_ttl);
  rtg->handles++;
  return &udp->base;
}

void rtg_udp_close(MalUdp *handle)
{
  RtgUdp *udp = (RtgUdp *)handle;
  Rtg *rtg = rtg_of_udp(udp);

  udp_flush(udp);
  if (udp->dirty)
    g_ptr_array_remove_fast(rtg->dirty, udp);
  rtg->handles--;
  g_source_destroy(udp->source);
  close(udp->fd);
  g_source_unref(udp->source);
}

uint16_t rtg_udp_port(const MalUdp *udp)
{
  return rtg_socket_port(((const RtgUdp *)udp)->fd);
}

void rtg_udp_set_ttl(MalUdp *udp, uint8_t ttl)
{
  ((RtgUdp *)udp)->multicast_ttl = ttl == 0 ? 1 : ttl;
}

/* The system's count of what it dropped has 32 bits; ours goes on. */
MalUdpCounters rtg_udp_counters(const MalUdp *handle)
{
  RtgUdp *udp = (RtgUdp *)(uintptr_t)handle;
  uint64_t *dropped = &udp->counters.dropped;

  *dropped += (uint32_t)(rtg_shed_dropped(udp->fd) - (uint32_t)*dropped);
  return udp->counters;
}

int64_t rtg_udp_lag(const MalUdp *udp)
{
  return ((const RtgUdp *)udp)->lag;
}

bool rtg_udp_shed(MalUdp *udp, const MalUdpShed *shed)
{
  return rtg_shed_filter(((const RtgUdp *)udp)->fd, shed);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static int membership(RtgUdp *udp, uint32_t ifindex, MalAddress group, bool join)
{
  if (udp->family == MAL_IPV4) {
    struct ip_mreqn request = { .imr_ifindex = (int)ifindex };
    mal_address_to_bytes(group, (uint8_t *)&request.imr_multiaddr);
    return setsockopt(udp->fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request,
                      sizeof request);
  }
  struct ipv6_mreq request = { .ipv6mr_interface = ifindex };
  mal_address_to_bytes(group, request.ipv6mr_multiaddr.s6_addr);
  return setsockopt(udp->fd, IPPROTO_IPV6, join ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP,
                    &request, sizeof request);
}

static bool group_fail(int errnum, const char *verb, uint32_t ifindex, MalAddress group,
                       GError **error)
{
  char name[IF_NAMESIZE], text[MAL_ADDRESS_STRLEN];
  const char *hint = errnum == ENOBUFS && group.family == MAL_IPV4
                       ? " (net.ipv4.igmp_max_memberships limits the groups of one socket)" : "";

  if (if_indextoname(ifindex, name) == NULL)
    g_snprintf(name, sizeof name, "#%u", ifindex);
  return rtg_fail(error, errnum, "can't %s the group %s on interface %s%s", verb,
                  mal_address_format(group, text), name, hint);
}

static bool group_valid(const RtgUdp *udp, MalAddress group, GError **error)
{
  if (group.family == udp->family && mal_address_is_multicast(group))
    return true;
  g_set_error_literal(error, MAL_ERROR, MAL_ERROR_INVALID,
                      "not a multicast address of the socket's family");
  return false;
}

bool rtg_udp_join(MalUdp *handle, uint32_t ifindex, MalAddress group, GError **error)
{
  RtgUdp *udp = (RtgUdp *)handle;

  if (!group_valid(udp, group, error))
    return false;
  if (membership(udp, ifindex, group, true) == 0 || errno == EADDRINUSE)
    return true;
  return group_fail(errno, "join", ifindex, group, error);
}

bool rtg_udp_leave(MalUdp *handle, uint32_t ifindex, MalAddress group, GError **error)
{
  RtgUdp *udp = (RtgUdp *)handle;

  if (!group_valid(udp, group, error))
    return false;
  if (membership(udp, ifindex, group, false) == 0)
    return true;
  return group_fail(errno, "leave", ifindex, group, error);
}
