/* The MADCAP codec: any octets decode to a message, a fault or nothing; what decodes and keeps
   table 5 for some question encodes again, and says the same when it is read back. Covers:
   plugins/madcap/madcap-wire*.c */
#include "plugins/madcap/madcap-wire.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define TEXT 4096

/* May refuse what doesn't fit, or a server identifier of a family that nobody can write. */
static bool may_refuse(const MadcapMessage *m, const MadcapFault *fault)
{
  return fault->reason == MADCAP_REASON_SPACE ||
         (madcap_has(m, MADCAP_OPTION_SERVER_ID) && m->server_id.family == MAL_FAMILY_NONE);
}

static void encode_again(const MadcapMessage *m, MadcapContext context, const char *said)
{
  uint8_t out[70000];
  char text[TEXT];
  MadcapMessage again;
  MadcapFault fault;
  if (!madcap_check(m, context, NULL))
    return;
  size_t length = madcap_encode(m, context, out, sizeof out, &fault);
  if (length == 0) {
    if (!may_refuse(m, &fault))
      abort();
    return;
  }
  if (madcap_decode(out, length, &again, NULL) != MADCAP_OK)
    abort();
  madcap_describe(&again, text, sizeof text);
  if (strcmp(said, text) != 0)
    abort();
}

static void ask_everything(const MadcapMessage *m)
{
  uint16_t option;
  uint32_t time;
  for (size_t x = 0; x < 4; x++)
    for (size_t y = 0; y < 4; y++)
      madcap_nests(m, x, y);
  madcap_ranges_total(m);
  madcap_error_option(m, &option);
  madcap_error_time(m, &time);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  MadcapMessage m;
  MadcapFault fault;
  char said[TEXT], why[TEXT];
  MadcapOutcome outcome = madcap_decode(data, size, &m, &fault);
  madcap_describe(&m, said, sizeof said);
  madcap_fault_describe(&fault, why, sizeof why);
  ask_everything(&m);
  if (outcome != MADCAP_OK)
    return 0;
  for (unsigned type = MADCAP_DISCOVER; type <= MADCAP_GETINFO; type++)
    encode_again(&m, (MadcapContext){ .answers = (MadcapType)type, .multicast = type & 1 }, said);
  return 0;
}
