/* Golden AAP packets, and decoding that an address sanitizer can watch. */
#ifndef TEST_AAP_PACKETS_H
#define TEST_AAP_PACKETS_H

#include "plugins/aap/aap-wire.h"
#include "tests/support/hex.h"

#define AAP_GOLDEN "tests/golden/aap"

typedef struct {
  uint8_t *bytes;           /* owned; memory of exactly the datagram's size */
  AapScratch *scratch;      /* owned */
  AapMessage msg;
  AapFault fault;
  bool ok;
} AapDecoded;

AapDecoded aap_decoded(const uint8_t *data, size_t length);
/* The same from hex text; the test fails where that is none. */
AapDecoded aap_decoded_text(const char *hex);
void aap_decoded_clear(AapDecoded *d);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AapDecoded, aap_decoded_clear)

/* NAME is without folder and ".hex"; the test fails where there is no such packet. */
HexFile *aap_golden(const char *name);
typedef void (*AapGoldenFunc)(const char *path, const HexFile *hex);
void aap_each_golden(AapGoldenFunc func);

/* "A-B" or "A", and a value. */
AapRange aap_range(const char *span, uint32_t value);
MalAddress aap_address(const char *text);

#endif
