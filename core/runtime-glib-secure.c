/* What protects TCP, as socket options: signatures (RFC 2385) and hop limits (RFC 5082). */
#include "runtime-glib-private.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>

enum { FARTHEST = 255, SYSTEM_DEFAULT = -1 };

bool rtg_secure_md5(int fd, MalAddress peer, const uint8_t *key, size_t length, GError **error)
{
  struct tcp_md5sig option = { .tcpm_keylen = key != NULL ? (uint16_t)length : 0 };
  char text[MAL_ADDRESS_STRLEN];
  RtgSockaddr address = { 0 };

  rtg_sockaddr_from((MalEndpoint){ .address = peer }, &address);
  memcpy(&option.tcpm_addr, &address.storage, sizeof option.tcpm_addr);
  if (key != NULL)
    memcpy(option.tcpm_key, key, length);
  bool done = setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &option, sizeof option) == 0 ||
              (key == NULL && (errno == ENOENT || errno == ENOPROTOOPT));
  int errnum = errno;
  explicit_bzero(&option, sizeof option);
  if (done)
    return true;
  mal_address_format(peer, text);
  if (errnum == ENOPROTOOPT)
    return rtg_fail(error, errnum, "this system has no TCP-MD5 (RFC 2385), which %s is to use",
                    text);
  return rtg_fail(error, errnum, "can't set the TCP-MD5 key (RFC 2385) for %s", text);
}

uint8_t rtg_secure_min_ttl(uint8_t gtsm)
{
  return gtsm == 0 ? 0 : (uint8_t)(FARTHEST + 1 - gtsm);
}

bool rtg_secure_ttl(int fd, MalFamily family, bool far, uint8_t min_ttl, GError **error)
{
  bool v4 = family == MAL_IPV4;
  int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;

  if (rtg_socket_set(fd, level, v4 ? IP_TTL : IPV6_UNICAST_HOPS, far ? FARTHEST : SYSTEM_DEFAULT) &&
      rtg_socket_set(fd, level, v4 ? IP_MINTTL : IPV6_MINHOPCOUNT, min_ttl))
    return true;
  return rtg_fail(error, errno, "can't limit from how far TCP comes (RFC 5082)");
}

void rtg_secure_keep_syn(int fd)
{
  (void)rtg_socket_set(fd, IPPROTO_TCP, TCP_SAVE_SYN, 1);
}

uint8_t rtg_secure_syn_ttl(int fd)
{
  union {
    struct iphdr v4;
    struct ip6_hdr v6;
    uint8_t octets[512];
  } header;
  socklen_t length = sizeof header;

  if (getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, &header, &length) != 0)
    return 0;
  if (length >= sizeof header.v4 && header.v4.version == 4)
    return header.v4.ttl;
  if (length >= sizeof header.v6 && header.v4.version == 6)
    return header.v6.ip6_hlim;
  return 0;
}
