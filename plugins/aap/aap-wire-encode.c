/* AapMessage to bytes. What the decoder would refuse is never written. */
#include "aap-wire.h"

static size_t range_octets(MalFamily family)
{
  return 2 * mal_family_octets(family) + 4;
}

/* Octets before the first range, and between ranges and requests. */
static size_t fixed_octets(AapType type)
{
  switch (type) {
  case AAP_ACLM:
  case AAP_AIU:
  case AAP_AITU:
  case AAP_ANA:
    return AAP_MIN_LENGTH;
  case AAP_ASA:
    return AAP_MIN_LENGTH + 4;
  case AAP_ASRP:
    return AAP_MIN_LENGTH + 2;
  default:
    return 0;
  }
}

size_t aap_encoded_length(const AapMessage *msg)
{
  size_t fixed = fixed_octets(msg->type);

  if (fixed == 0 || mal_family_octets(msg->family) == 0)
    return 0;
  return fixed + msg->n_ranges * range_octets(msg->family) + msg->n_requests * 8;
}

/* ---- what may not be sent -------------------------------------------------------------------- */

static AapReason check_counts(const AapMessage *msg)
{
  switch (msg->type) {
  case AAP_ACLM:
  case AAP_AIU:
  case AAP_AITU:
    if (msg->n_ranges == 0 || msg->n_requests > 0)
      return AAP_REASON_LENGTH;
    break;
  case AAP_ASA:
    if (msg->n_requests > 0)
      return AAP_REASON_LENGTH;
    break;
  case AAP_ASRP:
    if (msg->n_ranges > AAP_MAX_REPORTS || msg->n_requests > AAP_MAX_REQUESTS)
      return AAP_REASON_FIT;
    break;
  case AAP_ANA:
    if (msg->n_ranges > 0 || msg->n_requests != 1)
      return AAP_REASON_LENGTH;
    if (msg->requests[0].count == 0)
      return AAP_REASON_COUNT;
    break;
  default:
    return AAP_REASON_TYPE;
  }
  return msg->n_ranges > AAP_MAX_RANGES ? AAP_REASON_FIT : AAP_REASON_NONE;
}

static AapFault check(const AapMessage *msg)
{
  AapFault fault = { .reason = check_counts(msg) };

  if (fault.reason != AAP_REASON_NONE)
    return fault;
  if (mal_family_octets(msg->family) == 0)
    return (AapFault){ .reason = AAP_REASON_FAMILY };
  if (msg->rseq > AAP_RSEQ_MASK)
    return (AapFault){ .reason = AAP_REASON_FIT, .offset = 4 };
  for (size_t i = 0; i < msg->n_ranges; i++) {
    fault.reason = aap_range_check(msg->ranges[i].span, msg->family);
    fault.item = i;
    if (fault.reason != AAP_REASON_NONE)
      return fault;
  }
  return (AapFault){ .reason = AAP_REASON_NONE };
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_header(MalWriter *w, AapType type, MalFamily family, uint32_t rseq, uint8_t mseq,
                         uint32_t current_time)
{
  mal_write_u8(w, AAP_VERSION);
  mal_write_u8(w, (uint8_t)type);
  mal_write_u16(w, (uint16_t)family);
  mal_write_u32(w, rseq << 8 | mseq);
  mal_write_u32(w, current_time);
}

static void write_body(MalWriter *w, const AapMessage *msg)
{
  if (msg->type == AAP_ASA)
    mal_write_u32(w, msg->expiration_time);
  if (msg->type == AAP_ASRP)
    mal_write_u8(w, (uint8_t)msg->n_ranges);
  for (size_t i = 0; i < msg->n_ranges; i++) {
    mal_write_address(w, msg->ranges[i].span.first);
    mal_write_address(w, msg->ranges[i].span.last);
    mal_write_u32(w, msg->ranges[i].value);
  }
  if (msg->type == AAP_ASRP)
    mal_write_u8(w, (uint8_t)msg->n_requests);
  for (size_t i = 0; i < msg->n_requests; i++) {
    mal_write_u32(w, msg->requests[i].count);
    mal_write_u32(w, msg->requests[i].end_time);
  }
}

size_t aap_encode(const AapMessage *msg, void *buffer, size_t capacity, AapFault *fault)
{
  AapFault found = check(msg);
  MalWriter w = mal_writer(buffer, MIN(capacity, AAP_MAX_LENGTH));

  if (found.reason == AAP_REASON_NONE) {
    write_header(&w, msg->type, msg->family, msg->rseq, msg->mseq, msg->current_time);
    write_body(&w, msg);
    if (!mal_writer_ok(&w))
      found = (AapFault){ .reason = AAP_REASON_SPACE, .offset = w.offset };
  }
  if (fault != NULL)
    *fault = found;
  return found.reason == AAP_REASON_NONE ? w.offset : 0;
}

size_t aap_encode_resent(MalFamily family, uint32_t rseq, uint32_t current_time, const void *body,
                         size_t body_length, void *buffer, size_t capacity)
{
  MalWriter w = mal_writer(buffer, MIN(capacity, AAP_MAX_LENGTH));

  if (rseq > AAP_RSEQ_MASK || mal_family_octets(family) == 0 || body_length < 4)
    return 0;
  write_header(&w, AAP_ASA, family, rseq, 0, current_time);
  mal_write_bytes(&w, body, body_length);
  return mal_writer_ok(&w) ? w.offset : 0;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

size_t aap_ranges_fit(AapType type, MalFamily family, size_t n_requests, size_t limit)
{
  size_t fixed = fixed_octets(type) + n_requests * 8;

  if (fixed_octets(type) == 0 || mal_family_octets(family) == 0 || limit < fixed)
    return 0;
  return (limit - fixed) / range_octets(family);
}

size_t aap_requests_fit(MalFamily family, size_t n_ranges, size_t limit)
{
  size_t fixed = fixed_octets(AAP_ASRP) + n_ranges * range_octets(family);

  if (limit < fixed + 8)
    return 1;
  return MIN((limit - fixed) / 8, AAP_MAX_REQUESTS);
}

AapSplit aap_split(AapType type, MalFamily family, const AapRange *ranges, size_t n_ranges,
                   size_t limit)
{
  bool divisible = type == AAP_ACLM || type == AAP_AIU || type == AAP_AITU;
  return (AapSplit){
    .ranges = ranges,
    .n_ranges = n_ranges,
    .per_message = divisible ? aap_ranges_fit(type, family, 0, limit) : 0,
  };
}

bool aap_split_next(AapSplit *split, AapMessage *msg)
{
  if (split->per_message == 0 || split->next >= split->n_ranges)
    return false;
  msg->ranges = split->ranges + split->next;
  msg->n_ranges = MIN(split->per_message, split->n_ranges - split->next);
  split->next += msg->n_ranges;
  return true;
}
