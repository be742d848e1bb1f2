/* Bytes to AapMessage. One bad range, a remainder or a count beyond the end makes the whole message
   malformed: a part of an ASA would look like addresses taken away. */
#include "aap-wire.h"

#define TYPE_OFFSET 1
#define FAMILY_OFFSET 2

typedef struct {
  MalReader reader;
  AapScratch *scratch;
  AapMessage *msg;
  AapFault fault;
} Decoder;

static bool wrong(Decoder *d, AapReason reason, size_t offset, size_t item)
{
  d->fault = (AapFault){ .reason = reason, .offset = offset, .item = item };
  return false;
}

static bool wrong_length(Decoder *d)
{
  return wrong(d, AAP_REASON_LENGTH, d->reader.failed ? d->reader.error_offset : d->reader.offset,
               0);
}

/* Flags and scope value: the first two octets. */
static uint16_t ipv6_prefix(MalAddress address)
{
  return (uint16_t)(address.value >> 112);
}

AapReason aap_range_check(MalSpan span, MalFamily family)
{
  if (span.first.family != family || span.last.family != family)
    return AAP_REASON_FAMILY;
  if (mal_address_compare(span.first, span.last) > 0)
    return AAP_REASON_ORDER;
  if (!mal_address_is_multicast(span.first) || !mal_address_is_multicast(span.last))
    return AAP_REASON_MULTICAST;
  if (family == MAL_IPV6 && ipv6_prefix(span.first) != ipv6_prefix(span.last))
    return AAP_REASON_PREFIX;
  return AAP_REASON_NONE;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* No datagram has more ranges than the scratch has room for. */
G_STATIC_ASSERT((AAP_MAX_LENGTH - AAP_MIN_LENGTH) / 12 <= AAP_MAX_RANGES);

static bool read_ranges(Decoder *d, size_t n)
{
  size_t octets = 2 * mal_family_octets(d->msg->family) + 4;

  if (mal_reader_left(&d->reader) < n * octets)
    return wrong_length(d);
  for (size_t i = 0; i < n; i++) {
    AapRange *range = &d->scratch->ranges[i];
    size_t start = d->reader.offset;
    range->span.first = mal_read_address(&d->reader, d->msg->family);
    range->span.last = mal_read_address(&d->reader, d->msg->family);
    range->value = mal_read_u32(&d->reader);
    AapReason reason = aap_range_check(range->span, d->msg->family);
    if (reason != AAP_REASON_NONE)
      return wrong(d, reason, start, i);
  }
  d->msg->ranges = d->scratch->ranges;
  d->msg->n_ranges = n;
  return true;
}

static bool read_requests(Decoder *d, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    d->scratch->requests[i].count = mal_read_u32(&d->reader);
    d->scratch->requests[i].end_time = mal_read_u32(&d->reader);
  }
  if (!mal_reader_ok(&d->reader) || mal_reader_more(&d->reader))
    return wrong_length(d);
  d->msg->requests = d->scratch->requests;
  d->msg->n_requests = n;
  return true;
}

/* What is left are ranges and nothing else; their number is nowhere said (5.4.1 to 5.4.4). */
static bool read_ranges_to_end(Decoder *d)
{
  size_t octets = 2 * mal_family_octets(d->msg->family) + 4;
  size_t left = mal_reader_left(&d->reader);

  if (!mal_reader_ok(&d->reader) || left % octets != 0)
    return wrong_length(d);
  return read_ranges(d, left / octets);
}

static bool read_claim(Decoder *d)
{
  return mal_reader_more(&d->reader) ? read_ranges_to_end(d) : wrong_length(d);
}

static bool read_asa(Decoder *d)
{
  d->msg->expiration_time = mal_read_u32(&d->reader);
  return read_ranges_to_end(d);
}

static bool read_asrp(Decoder *d)
{
  size_t reports = mal_read_u8(&d->reader);
  if (!read_ranges(d, reports))
    return false;
  return read_requests(d, mal_read_u8(&d->reader));
}

static bool read_ana(Decoder *d)
{
  size_t start = d->reader.offset;
  if (!read_requests(d, 1))
    return false;
  if (d->msg->requests[0].count == 0)
    return wrong(d, AAP_REASON_COUNT, start, 0);
  return true;
}

static bool (*const bodies[AAP_N_TYPES])(Decoder *d) = {
  [AAP_ACLM] = read_claim, [AAP_AIU] = read_claim, [AAP_AITU] = read_claim,
  [AAP_ASA] = read_asa,    [AAP_ASRP] = read_asrp, [AAP_ANA] = read_ana,
};

/* ---- message --------------------------------------------------------------------------------- */

static bool read_message(Decoder *d, size_t length)
{
  if (length < AAP_MIN_LENGTH)
    return wrong(d, AAP_REASON_SHORT, length, 0);
  if (mal_read_u8(&d->reader) != AAP_VERSION)
    return wrong(d, AAP_REASON_VERSION, 0, 0);
  uint8_t type = mal_read_u8(&d->reader);
  if (type >= AAP_N_TYPES)
    return wrong(d, AAP_REASON_TYPE, TYPE_OFFSET, 0);
  uint16_t family = mal_read_u16(&d->reader);
  if (family != MAL_IPV4 && family != MAL_IPV6)
    return wrong(d, AAP_REASON_FAMILY, FAMILY_OFFSET, 0);
  uint32_t sequence = mal_read_u32(&d->reader);
  *d->msg = (AapMessage){
    .type = (AapType)type,
    .family = (MalFamily)family,
    .rseq = sequence >> 8,
    .mseq = (uint8_t)sequence,
    .current_time = mal_read_u32(&d->reader),
  };
  MalReader body = d->reader;
  d->msg->body_length = mal_reader_left(&body);
  d->msg->body = mal_read_bytes(&body, d->msg->body_length);
  if (length > AAP_MAX_LENGTH)
    return wrong(d, AAP_REASON_LENGTH, AAP_MAX_LENGTH, 0);
  return bodies[type](d);
}

bool aap_decode(const void *data, size_t length, AapScratch *scratch, AapMessage *out,
                AapFault *fault)
{
  Decoder d = { .reader = mal_reader(data, length), .scratch = scratch, .msg = out };

  *out = (AapMessage){ 0 };
  bool ok = read_message(&d, length);
  if (!ok) {
    out->n_ranges = out->n_requests = 0;
    out->ranges = NULL;
    out->requests = NULL;
  }
  if (fault != NULL)
    *fault = d.fault;
  return ok;
}
