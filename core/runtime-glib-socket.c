/* Socket addresses and options, for datagrams and streams alike. */
#include "runtime-glib-private.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

socklen_t rtg_sockaddr_from(MalEndpoint endpoint, RtgSockaddr *out)
{
  if (endpoint.address.family == MAL_IPV4) {
    out->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(endpoint.port) };
    mal_address_to_bytes(endpoint.address, (uint8_t *)&out->v4.sin_addr);
    return sizeof out->v4;
  }
  if (endpoint.address.family == MAL_IPV6) {
    out->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(endpoint.port),
                                     .sin6_scope_id = endpoint.scope_id };
    mal_address_to_bytes(endpoint.address, out->v6.sin6_addr.s6_addr);
    return sizeof out->v6;
  }
  return 0;
}

MalEndpoint rtg_sockaddr_to(const RtgSockaddr *in)
{
  if (in->any.sa_family == AF_INET)
    return (MalEndpoint){
      .address = mal_address_from_bytes(MAL_IPV4, (const uint8_t *)&in->v4.sin_addr, 4),
      .port = ntohs(in->v4.sin_port),
    };
  if (in->any.sa_family == AF_INET6)
    return (MalEndpoint){
      .address = mal_address_from_bytes(MAL_IPV6, in->v6.sin6_addr.s6_addr, 16),
      .port = ntohs(in->v6.sin6_port),
      .scope_id = in->v6.sin6_scope_id,
    };
  return (MalEndpoint){ .address = mal_address_none() };
}

uint16_t rtg_socket_port(int fd)
{
  RtgSockaddr address = { 0 };
  socklen_t length = sizeof address;

  if (getsockname(fd, &address.any, &length) != 0)
    return 0;
  return rtg_sockaddr_to(&address).port;
}

bool rtg_fail(GError **error, int errnum, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "%s: %s", what, g_strerror(errnum));
  return false;
}

bool rtg_transient(int errnum)
{
  return errnum == EAGAIN || errnum == EWOULDBLOCK || errnum == EINTR;
}

bool rtg_socket_set(int fd, int level, int option, int value)
{
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

int rtg_socket_new(MalFamily family, int type, GError **error)
{
  int domain = family == MAL_IPV4 ? AF_INET : family == MAL_IPV6 ? AF_INET6 : AF_UNSPEC;

  if (domain == AF_UNSPEC) {
    g_set_error_literal(error, MAL_ERROR, MAL_ERROR_INVALID, "a socket needs an address family");
    return -1;
  }
  int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    rtg_fail(error, errno, "can't open a socket for %s", mal_family_name(family));
    return -1;
  }
  if (family == MAL_IPV6 && !rtg_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
    rtg_fail(error, errno, "can't keep a socket to IPv6");
    close(fd);
    return -1;
  }
  return fd;
}

bool rtg_socket_bind(int fd, MalEndpoint local, const char *protocol, GError **error)
{
  RtgSockaddr address;
  socklen_t length = rtg_sockaddr_from(local, &address);
  char text[MAL_ADDRESS_STRLEN];

  if (bind(fd, &address.any, length) == 0)
    return true;
  int errnum = errno;
  mal_address_format(local.address, text);
  if (errnum != EADDRINUSE && local.port == 0)
    return rtg_fail(error, errnum, "can't use %s on %s", protocol, text);
  if (errnum != EADDRINUSE)
    return rtg_fail(error, errnum, "can't use %s port %u on %s", protocol, local.port, text);
  g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK,
              "%s port %u on %s is in use by another program (is another mallocd running?)",
              protocol, local.port, text);
  return false;
}
