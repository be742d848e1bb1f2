/* Writes datagrams and segments as a capture file that Wireshark opens: link type "raw IP", both
   families. */
#ifndef TEST_PCAP_H
#define TEST_PCAP_H

#include "core/address.h"

typedef struct Pcap Pcap;

Pcap *pcap_open(const char *path, GError **error);
/* Checksums are right. TIME is in microseconds since 1970; both ends are of one family. */
void pcap_add_udp(Pcap *pcap, int64_t time, MalEndpoint from, MalEndpoint to, const void *data,
                  size_t length);
/* One segment with acknowledgment, SEQUENCE being that of its first octet. */
void pcap_add_tcp(Pcap *pcap, int64_t time, MalEndpoint from, MalEndpoint to, uint32_t sequence,
                  const void *data, size_t length);
bool pcap_close(Pcap *pcap);    /* false where anything couldn't be written */

#endif
