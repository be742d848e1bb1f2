/* Golden MASC messages, and decoding that an address sanitizer can watch. */
#ifndef TEST_MASC_PACKETS_H
#define TEST_MASC_PACKETS_H

#include "plugins/masc/masc-wire.h"
#include "tests/support/hex.h"

#define MASC_GOLDEN "tests/golden/masc"

typedef struct {
  uint8_t *bytes;           /* owned; memory of exactly the message's size */
  size_t length;
  MascMessage msg;
  MascFault fault;          /* of the message, or of its first refused attribute */
  bool ok;
  MascClaim claims[MASC_MAX_CLAIMS];
  size_t n_claims, n_refused;
} MascDecoded;

/* With all claims of an UPDATE. */
MascDecoded masc_decoded(const uint8_t *data, size_t length);
/* The same from hex text; the test fails where that is none. */
MascDecoded masc_decoded_text(const char *hex);
void masc_decoded_clear(MascDecoded *d);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MascDecoded, masc_decoded_clear)

/* Encodes what was decoded; returns as masc_encode. */
size_t masc_encode_again(const MascDecoded *d, void *buffer, size_t capacity, MascRefusal *why);
/* Octets as "00 1b", the caller frees. */
char *masc_hex(const uint8_t *data, size_t length);

typedef void (*MascGoldenFunc)(const char *name, const HexFile *hex);
void masc_each_golden(MascGoldenFunc func);
HexFile *masc_golden(const char *name);

/* "233.252.0.0/24"; an origin that may send TYPE, with identifiers of its own. */
MascClaim masc_claim_make(MascClaimType type, const char *prefix, uint32_t timestamp, MascId node);

#endif
