#include "tests/support/pcap.h"

#include "core/wire.h"

#include <errno.h>
#include <stdio.h>

#define LINKTYPE_RAW 101
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define HOPS 16

struct Pcap {
  FILE *file;
  bool failed;
};

static void put(Pcap *pcap, const void *data, size_t length)
{
  if (length > 0 && fwrite(data, length, 1, pcap->file) != 1)
    pcap->failed = true;
}

/* The file format is in the writer's byte order; readers look at the magic number. */
static void put_u32s(Pcap *pcap, const uint32_t *values, size_t count)
{
  put(pcap, values, count * sizeof *values);
}

Pcap *pcap_open(const char *path, GError **error)
{
  const uint16_t version[2] = { 2, 4 };
  FILE *file = fopen(path, "wb");
  if (file == NULL) {
    g_set_error(error, G_FILE_ERROR, (int)g_file_error_from_errno(errno), "%s: %s", path,
                g_strerror(errno));
    return NULL;
  }
  Pcap *pcap = g_new0(Pcap, 1);
  pcap->file = file;
  put_u32s(pcap, (uint32_t[]){ 0xa1b2c3d4u }, 1);
  put(pcap, version, sizeof version);
  put_u32s(pcap, (uint32_t[]){ 0, 0, 65535, LINKTYPE_RAW }, 4);
  return pcap;
}

bool pcap_close(Pcap *pcap)
{
  bool ok = fclose(pcap->file) == 0 && !pcap->failed;
  g_free(pcap);
  return ok;
}

/* RFC 1071, over octets in network order; an odd last one counts as the high half. */
static uint32_t sum16(uint32_t sum, const uint8_t *data, size_t length)
{
  for (size_t i = 0; i < length; i++)
    sum += (uint32_t)data[i] << (i % 2 == 0 ? 8 : 0);
  return sum;
}

static uint16_t fold(uint32_t sum)
{
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static uint16_t checksum_of(MalEndpoint from, MalEndpoint to, uint8_t protocol,
                            const uint8_t *payload, size_t length)
{
  uint8_t address[16];
  uint32_t sum = (uint32_t)length + protocol;
  sum = sum16(sum, address, mal_address_to_bytes(from.address, address));
  sum = sum16(sum, address, mal_address_to_bytes(to.address, address));
  return fold(sum16(sum, payload, length));
}

static size_t write_ip(uint8_t *out, MalEndpoint from, MalEndpoint to, uint8_t protocol,
                       size_t payload)
{
  MalWriter w = mal_writer(out, 40);
  bool v4 = to.address.family == MAL_IPV4;
  if (v4) {
    mal_write_u32(&w, 0x45000000u | (uint32_t)(20 + payload));
    mal_write_u32(&w, 0);
    mal_write_u32(&w, (uint32_t)HOPS << 24 | (uint32_t)protocol << 16);
  } else {
    mal_write_u32(&w, 0x60000000u);
    mal_write_u32(&w, (uint32_t)payload << 16 | (uint32_t)protocol << 8 | HOPS);
  }
  mal_write_address(&w, from.address);
  mal_write_address(&w, to.address);
  if (v4) {
    uint16_t checksum = fold(sum16(0, out, 20));
    out[10] = (uint8_t)(checksum >> 8);
    out[11] = (uint8_t)checksum;
  }
  return w.offset;
}

static void put_packet(Pcap *pcap, int64_t time, MalEndpoint from, MalEndpoint to,
                       uint8_t protocol, const uint8_t *payload, size_t length)
{
  uint8_t ip[40];
  size_t ip_length = write_ip(ip, from, to, protocol, length);
  uint32_t total = (uint32_t)(ip_length + length);
  uint32_t seconds = (uint32_t)(time / 1000000), microseconds = (uint32_t)(time % 1000000);

  put_u32s(pcap, (uint32_t[]){ seconds, microseconds, total, total }, 4);
  put(pcap, ip, ip_length);
  put(pcap, payload, length);
}

void pcap_add_udp(Pcap *pcap, int64_t time, MalEndpoint from, MalEndpoint to, const void *data,
                  size_t length)
{
  size_t payload = 8 + length;
  g_autofree uint8_t *udp = g_malloc(payload);
  MalWriter w = mal_writer(udp, payload);

  mal_write_u16(&w, from.port);
  mal_write_u16(&w, to.port);
  mal_write_u16(&w, (uint16_t)payload);
  mal_write_u16(&w, 0);
  mal_write_bytes(&w, data, length);
  uint16_t checksum = checksum_of(from, to, PROTOCOL_UDP, udp, payload);
  if (checksum == 0)
    checksum = 0xffff;
  udp[6] = (uint8_t)(checksum >> 8);
  udp[7] = (uint8_t)checksum;
  put_packet(pcap, time, from, to, PROTOCOL_UDP, udp, payload);
}

void pcap_add_tcp(Pcap *pcap, int64_t time, MalEndpoint from, MalEndpoint to, uint32_t sequence,
                  const void *data, size_t length)
{
  size_t payload = 20 + length;
  g_autofree uint8_t *tcp = g_malloc(payload);
  MalWriter w = mal_writer(tcp, payload);

  mal_write_u16(&w, from.port);
  mal_write_u16(&w, to.port);
  mal_write_u32(&w, sequence);
  mal_write_u32(&w, 1);
  mal_write_u16(&w, 0x5018);    /* five words of header; PSH, ACK */
  mal_write_u16(&w, 65535);
  mal_write_u32(&w, 0);
  mal_write_bytes(&w, data, length);
  uint16_t checksum = checksum_of(from, to, PROTOCOL_TCP, tcp, payload);
  tcp[16] = (uint8_t)(checksum >> 8);
  tcp[17] = (uint8_t)checksum;
  put_packet(pcap, time, from, to, PROTOCOL_TCP, tcp, payload);
}
