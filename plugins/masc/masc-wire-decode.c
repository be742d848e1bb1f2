/* Octets to MascMessage, and what is wrong with them as RFC 2909 section 8 wants it answered. */
#include "masc-wire.h"

#define ROLE_MASK 3
#define FAMILY_SHIFT 2
#define FAMILY_MASK 31
#define DEPRECATED_BIT 0x80
#define OPEN_BIT 0x80
#define ATTRIBUTE_HEADER 4
#define CLAIM_FIXED 20          /* attribute header to Claim Holdtime; four addresses follow */

static MascFault fault_make(uint8_t code, uint8_t subcode, size_t data_offset, size_t data_length,
                            size_t offset)
{
  return (MascFault){
    .code = code,
    .subcode = subcode,
    .must_close = masc_error_must_close(code, subcode),
    .data_offset = (uint16_t)data_offset,
    .data_length = (uint16_t)MIN(data_length, MASC_MAX_DATA),
    .offset = offset,
  };
}

static MalFamily family_of(uint8_t octet)
{
  unsigned family = octet >> FAMILY_SHIFT & FAMILY_MASK;
  return family == MAL_IPV4 || family == MAL_IPV6 ? (MalFamily)family : MAL_FAMILY_NONE;
}

static MascId read_id(MalReader *r, MalFamily family)
{
  return mal_read_address(r, family).value;
}

/* None is defined: all are ignored, but have to be <length, type, value> to the end (7.2). */
static bool read_parameters(MalReader *r)
{
  while (mal_reader_more(r)) {
    uint8_t length = mal_read_u8(r);
    mal_read_u8(r);
    mal_read_skip(r, length);
  }
  return mal_reader_ok(r);
}

/* ---- claims ---------------------------------------------------------------------------------- */

static unsigned family_bits(MalFamily family)
{
  return 8 * (unsigned)mal_family_octets(family);
}

/* 224/4 and ff00::/8: what is shorter has addresses that are not multicast. */
static unsigned shortest_prefix(MalFamily family)
{
  return family == MAL_IPV4 ? 4 : 8;
}

MalU128 masc_mask(MalFamily family, unsigned length)
{
  unsigned bits = family_bits(family);
  MalU128 all = bits == 128 ? ~(MalU128)0 : ((MalU128)1 << bits) - 1;

  if (length == 0)
    return 0;
  if (length >= bits)
    return all;
  return all & ~(((MalU128)1 << (bits - length)) - 1);
}

bool masc_mask_length(MalFamily family, MalU128 mask, unsigned *length, uint8_t *subcode)
{
  unsigned bits = family_bits(family), n = 0;

  while (n < bits && (mask >> (bits - 1 - n) & 1) != 0)
    n++;
  if (n > 0 && mask != masc_mask(family, n))
    *subcode = MASC_UPDATE_NON_CONTIGUOUS;
  else if (n < shortest_prefix(family))
    *subcode = MASC_UPDATE_MASK;
  else
    *subcode = 0;
  *length = n;
  return *subcode == 0;
}

bool masc_claim_is_hint(const MascClaim *claim)
{
  return claim->prefix.address.value == 0;
}

/* A hint is a NEW_CLAIM (11.5); it may be denied (11.8) and withdrawn. */
static bool may_be_hint(MascClaimType type)
{
  return type == MASC_NEW_CLAIM || type == MASC_CLAIM_DENIED || type == MASC_WITHDRAW;
}

static bool address_ok(const MascClaim *claim)
{
  return masc_claim_is_hint(claim) ? may_be_hint(claim->type)
                                   : mal_address_is_multicast(claim->prefix.address);
}

static uint8_t check_origin(const MascClaim *claim)
{
  if (!masc_origin_may(claim->role, claim->type))
    return MASC_UPDATE_CLAIM_TYPE;
  if (claim->domain == MASC_TLD_ID)
    return MASC_UPDATE_ORIGIN_DOMAIN;
  return claim->node == 0 ? MASC_UPDATE_ORIGIN_NODE : 0;
}

uint8_t masc_claim_check(const MascClaim *claim)
{
  MalFamily family = claim->prefix.address.family;
  unsigned length = claim->prefix.length;

  if (mal_family_octets(family) == 0)
    return MASC_UPDATE_FAMILY;
  if (!address_ok(claim))
    return MASC_UPDATE_ADDRESS;
  if (length < shortest_prefix(family) || length > family_bits(family))
    return MASC_UPDATE_MASK;
  if ((claim->prefix.address.value & ~masc_mask(family, length)) != 0)
    return MASC_UPDATE_ADDRESS;
  return check_origin(claim);
}

/* ---- attributes ------------------------------------------------------------------------------ */

typedef struct {
  MalReader data;           /* behind its header */
  size_t offset, length;    /* with its header; OFFSET in the attributes */
  uint8_t type;
} Attribute;

static MascFault attribute_fault(const Attribute *a, uint8_t subcode, size_t where)
{
  return fault_make(MASC_ERROR_UPDATE, subcode, MASC_HEADER_LENGTH + a->offset, a->length,
                    MASC_HEADER_LENGTH + a->offset + where);
}

/* False where it has no end within the message: then it takes all that is left. */
static bool read_attribute(MalReader *r, Attribute *a, MascFault *fault)
{
  size_t left = mal_reader_left(r);
  MalReader header = *r;
  size_t length = mal_read_u16(&header);

  *a = (Attribute){ .offset = r->offset, .length = left };
  a->type = mal_read_u8(&header);
  mal_read_u8(&header);
  bool known = mal_reader_ok(&header) && a->type < MASC_N_CLAIM_TYPES;
  if (!mal_reader_ok(&header) || length < ATTRIBUTE_HEADER || length > left || length % 4 != 0) {
    *fault = attribute_fault(a, known ? MASC_UPDATE_LENGTH : MASC_UPDATE_MALFORMED, 0);
    return false;
  }
  a->length = length;
  a->data = mal_read_sub(r, length);
  mal_read_skip(&a->data, ATTRIBUTE_HEADER);
  return true;
}

/* What would close the connection. */
static bool check_claim(const Attribute *a, MascFault *fault)
{
  MalReader r = a->data;

  mal_read_u8(&r);
  MalFamily family = family_of(mal_read_u8(&r));
  if (!mal_reader_ok(&r)) {
    *fault = attribute_fault(a, MASC_UPDATE_LENGTH, 0);
    return false;
  }
  if (family == MAL_FAMILY_NONE) {
    *fault = attribute_fault(a, MASC_UPDATE_FAMILY, ATTRIBUTE_HEADER + 1);
    return false;
  }
  r = a->data;
  mal_read_skip(&r, CLAIM_FIXED - ATTRIBUTE_HEADER + 4 * mal_family_octets(family));
  if (!mal_reader_ok(&r)) {
    *fault = attribute_fault(a, MASC_UPDATE_LENGTH, 0);
    return false;
  }
  if (!read_parameters(&r)) {
    *fault = attribute_fault(a, MASC_UPDATE_MALFORMED, r.error_offset);
    return false;
  }
  return true;
}

/* CLAIM but for its prefix's length, which the mask may not have. */
static MalU128 read_claim(const Attribute *a, MascClaim *claim)
{
  MalReader r = a->data;

  mal_read_u8(&r);
  uint8_t octet = mal_read_u8(&r);
  MalFamily family = family_of(octet);
  mal_read_u16(&r);
  *claim = (MascClaim){
    .type = (MascClaimType)a->type,
    .role = (MascRole)(octet & ROLE_MASK),
    .deprecated = (octet & DEPRECATED_BIT) != 0,
  };
  claim->timestamp = mal_read_u32(&r);
  claim->lifetime = mal_read_u32(&r);
  claim->holdtime = mal_read_u32(&r);
  claim->domain = read_id(&r, family);
  claim->node = read_id(&r, family);
  claim->prefix.address = mal_read_address(&r, family);
  return mal_read_address(&r, family).value;
}

static size_t where_of(uint8_t subcode, MalFamily family)
{
  size_t octets = mal_family_octets(family);

  switch (subcode) {
  case MASC_UPDATE_ORIGIN_DOMAIN:
    return CLAIM_FIXED;
  case MASC_UPDATE_ORIGIN_NODE:
    return CLAIM_FIXED + octets;
  case MASC_UPDATE_ADDRESS:
    return CLAIM_FIXED + 2 * octets;
  case MASC_UPDATE_MASK:
  case MASC_UPDATE_NON_CONTIGUOUS:
    return CLAIM_FIXED + 3 * octets;
  default:
    return ATTRIBUTE_HEADER + 1;
  }
}

static MascNext take_claim(const Attribute *a, MascClaim *claim, MascFault *fault)
{
  uint8_t subcode = 0;
  MalU128 mask = read_claim(a, claim);
  MalFamily family = claim->prefix.address.family;

  if (!address_ok(claim))
    subcode = MASC_UPDATE_ADDRESS;
  else if (masc_mask_length(family, mask, &claim->prefix.length, &subcode))
    subcode = masc_claim_check(claim);
  if (subcode == 0)
    return MASC_NEXT_CLAIM;
  *claim = (MascClaim){ 0 };
  *fault = attribute_fault(a, subcode, where_of(subcode, family));
  return MASC_NEXT_REFUSED;
}

MascCursor masc_cursor(const MascUpdate *update)
{
  return (MascCursor){ mal_reader(update->octets, update->length), 0, 0 };
}

MascFault masc_cursor_fault(const MascCursor *cursor, MascUpdateError subcode)
{
  return fault_make(MASC_ERROR_UPDATE, (uint8_t)subcode, cursor->offset, cursor->length,
                    cursor->offset);
}

MascNext masc_cursor_next(MascCursor *cursor, MascClaim *claim, MascFault *fault)
{
  Attribute a;

  *fault = (MascFault){ 0 };
  while (mal_reader_more(&cursor->reader)) {
    if (!read_attribute(&cursor->reader, &a, fault)) {
      mal_reader_fail(&cursor->reader);
      return MASC_NEXT_REFUSED;
    }
    cursor->offset = MASC_HEADER_LENGTH + a.offset;
    cursor->length = a.length;
    if (a.type >= MASC_OPTIONAL_ATTRIBUTE)
      continue;
    if (a.type >= MASC_N_CLAIM_TYPES) {
      *fault = attribute_fault(&a, MASC_UPDATE_UNRECOGNIZED, 2);
      return MASC_NEXT_REFUSED;
    }
    return check_claim(&a, fault) ? take_claim(&a, claim, fault) : MASC_NEXT_REFUSED;
  }
  return MASC_NEXT_END;
}

static bool read_update(MalReader *r, MascUpdate *update, MascFault *fault)
{
  update->length = mal_reader_left(r);
  update->octets = mal_read_bytes(r, update->length);
  MalReader attributes = mal_reader(update->octets, update->length);
  while (mal_reader_more(&attributes)) {
    Attribute a;
    if (!read_attribute(&attributes, &a, fault))
      return false;
    if (a.type < MASC_N_CLAIM_TYPES && !check_claim(&a, fault))
      return false;
  }
  return true;
}

/* ---- OPEN ------------------------------------------------------------------------------------ */

static bool open_fault(const MalReader *r, uint8_t subcode, size_t offset, MascFault *fault)
{
  *fault = fault_make(MASC_ERROR_OPEN, subcode, MASC_HEADER_LENGTH, r->length - MASC_HEADER_LENGTH,
                      offset);
  return false;
}

static bool version_fault(MascFault *fault)
{
  *fault = fault_make(MASC_ERROR_OPEN, MASC_OPEN_VERSION, 0, 0, MASC_HEADER_LENGTH);
  fault->has_octet = true;
  fault->octet = MASC_VERSION;
  return false;
}

static bool read_open(MalReader *r, MascOpen *open, MascFault *fault)
{
  if (mal_read_u8(r) != MASC_VERSION)
    return version_fault(fault);
  uint8_t octet = mal_read_u8(r);
  MalFamily family = family_of(octet);
  if (family == MAL_FAMILY_NONE)
    return open_fault(r, MASC_OPEN_FAMILY, MASC_HEADER_LENGTH + 1, fault);
  *open = (MascOpen){ .family = family, .role = (MascRole)(octet & ROLE_MASK) };
  open->hold_time = mal_read_u16(r);
  size_t ids = r->offset;
  open->domain = read_id(r, family);
  open->node = read_id(r, family);
  open->parent = read_id(r, family);
  if (!read_parameters(r))
    return open_fault(r, MASC_UNSPECIFIC, r->error_offset, fault);
  if (open->domain == MASC_TLD_ID)
    return open_fault(r, MASC_OPEN_DOMAIN, ids, fault);
  if (open->node == 0)
    return open_fault(r, MASC_OPEN_NODE, ids + mal_family_octets(family), fault);
  if (open->hold_time > 0 && open->hold_time < MASC_HOLD_TIME_MIN)
    return open_fault(r, MASC_OPEN_HOLD_TIME, ids - 2, fault);
  return true;
}

/* ---- NOTIFICATION ---------------------------------------------------------------------------- */

static bool read_notification(MalReader *r, MascNotification *n, MascFault *fault)
{
  uint8_t octet = mal_read_u8(r);
  n->open = (octet & OPEN_BIT) != 0;
  n->code = (uint8_t)(octet & ~OPEN_BIT);
  n->subcode = mal_read_u8(r);
  bool whole = mal_reader_ok(r);
  n->length = mal_reader_left(r);
  n->data = mal_read_bytes(r, n->length);
  if (whole && masc_error_known(n->code, n->subcode) &&
      !(n->open && masc_error_must_close(n->code, n->subcode)))
    return true;
  *fault = fault_make(MASC_ERROR_NOTIFICATION, MASC_UNSPECIFIC, 0, r->length, MASC_HEADER_LENGTH);
  fault->silent = !n->open;
  return false;
}

/* ---- message --------------------------------------------------------------------------------- */

static bool length_ok(uint8_t type, size_t length)
{
  switch (type) {
  case MASC_OPEN:
    return length >= MASC_OPEN_MIN;
  case MASC_UPDATE:
    return length >= MASC_UPDATE_MIN;
  case MASC_KEEPALIVE:
    return length == MASC_HEADER_LENGTH;
  default:
    return true;
  }
}

static bool header_fault(size_t length, uint8_t subcode, size_t offset, MascFault *fault)
{
  *fault = fault_make(MASC_ERROR_HEADER, subcode, 0, length, offset);
  return false;
}

static bool read_message(MalReader *r, MascMessage *out, MascFault *fault)
{
  size_t length = mal_read_u16(r);
  uint8_t type = mal_read_u8(r);

  mal_read_u8(r);
  if (!mal_reader_ok(r) || length != r->length || length > MASC_MAX_LENGTH)
    return header_fault(r->length, MASC_HEADER_BAD_LENGTH, 0, fault);
  if (type < MASC_OPEN || type > MASC_KEEPALIVE)
    return header_fault(r->length, MASC_HEADER_BAD_TYPE, 2, fault);
  out->type = (MascType)type;
  if (!length_ok(type, length))
    return header_fault(r->length, MASC_HEADER_BAD_LENGTH, 0, fault);
  switch (out->type) {
  case MASC_OPEN:
    return read_open(r, &out->open, fault);
  case MASC_UPDATE:
    return read_update(r, &out->update, fault);
  case MASC_NOTIFICATION:
    return read_notification(r, &out->notification, fault);
  case MASC_KEEPALIVE:
  default:
    return true;
  }
}

bool masc_decode(const void *data, size_t length, MascMessage *out, MascFault *fault)
{
  MalReader r = mal_reader(data, length);
  MascFault found = { 0 };

  *out = (MascMessage){ 0 };
  bool ok = read_message(&r, out, &found);
  if (!ok && out->type != MASC_NOTIFICATION)
    *out = (MascMessage){ .type = out->type };
  if (fault != NULL)
    *fault = found;
  return ok;
}

size_t masc_decode_ids(MalFamily family, const void *data, size_t length, MascId *ids, size_t most)
{
  MalReader r = mal_reader(data, length);
  size_t octets = mal_family_octets(family), n = 0;

  if (octets == 0 || length % octets != 0)
    return 0;
  for (; n < most && mal_reader_more(&r); n++)
    ids[n] = read_id(&r, family);
  return n;
}
