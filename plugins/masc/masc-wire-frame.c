/* A stream of octets to whole messages (RFC 2909 7.1). */
#include "masc-wire.h"

#include <string.h>

/* Fills up to WANTED octets; whether they are there. */
static bool fill(MascDeframer *d, const uint8_t **data, size_t *left, size_t wanted)
{
  size_t n = MIN(wanted - MIN(d->used, wanted), *left);

  if (n > 0) {
    memcpy(d->octets + d->used, *data, n);
    d->used += n;
    *data += n;
    *left -= n;
  }
  return d->used >= wanted;
}

MascFrame masc_deframe(MascDeframer *d, const uint8_t **data, size_t *left, const uint8_t **message,
                       size_t *length)
{
  *message = d->octets;
  *length = 0;
  if (d->delivered) {
    d->used = 0;
    d->delivered = false;
  }
  if (!d->lost && !fill(d, data, left, MASC_HEADER_LENGTH))
    return MASC_FRAME_MORE;
  MalReader header = mal_reader(d->octets, MASC_HEADER_LENGTH);
  size_t whole = mal_read_u16(&header);
  d->lost = whole < MASC_HEADER_LENGTH || whole > MASC_MAX_LENGTH;
  if (d->lost) {
    *length = MASC_HEADER_LENGTH;
    return MASC_FRAME_LOST;
  }
  if (!fill(d, data, left, whole))
    return MASC_FRAME_MORE;
  d->delivered = true;
  *length = whole;
  return MASC_FRAME_MESSAGE;
}
