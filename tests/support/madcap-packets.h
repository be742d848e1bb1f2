/* Golden MADCAP packets, and decoding that an address sanitizer can watch. */
#ifndef TEST_MADCAP_PACKETS_H
#define TEST_MADCAP_PACKETS_H

#include "plugins/madcap/madcap-wire.h"
#include "tests/support/hex.h"

#define MADCAP_GOLDEN "tests/golden/madcap"

typedef struct {
  uint8_t *bytes;           /* owned; memory of exactly the datagram's size */
  MadcapMessage msg;
  MadcapFault fault;
  MadcapOutcome outcome;
} Decoded;

Decoded decode(const uint8_t *data, size_t length);
void decoded_clear(Decoded *d);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Decoded, decoded_clear)

/* NAME is without folder and ".hex"; the test fails where there is no such packet. */
HexFile *golden(const char *name);
/* What the file's directives say: answers=TYPE, multicast. */
MadcapContext golden_context(const HexFile *hex);
typedef void (*GoldenFunc)(const char *path, const HexFile *hex);
void each_golden(GoldenFunc func);

#endif
