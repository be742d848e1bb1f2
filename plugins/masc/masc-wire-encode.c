/* MascMessage to octets. What the decoder would refuse is never written. */
#include "masc-wire.h"

#define FAMILY_SHIFT 2
#define DEPRECATED_BIT 0x80
#define OPEN_BIT 0x80

static bool id_fits(MalFamily family, MascId id)
{
  return family == MAL_IPV6 || id <= UINT32_MAX;
}

static MascRefusal refused(uint8_t code, uint8_t subcode, size_t item)
{
  return (MascRefusal){ .reason = MASC_REASON_REFUSED, .code = code, .subcode = subcode,
                        .item = item };
}

/* ---- what may not be sent -------------------------------------------------------------------- */

static MascRefusal check_open(const MascOpen *open)
{
  if (mal_family_octets(open->family) == 0)
    return refused(MASC_ERROR_OPEN, MASC_OPEN_FAMILY, 0);
  if (!id_fits(open->family, open->domain) || !id_fits(open->family, open->node) ||
      !id_fits(open->family, open->parent))
    return (MascRefusal){ .reason = MASC_REASON_FIT };
  if ((unsigned)open->role >= MASC_N_ROLES)
    return refused(MASC_ERROR_OPEN, MASC_OPEN_ROLE, 0);
  if (open->domain == MASC_TLD_ID)
    return refused(MASC_ERROR_OPEN, MASC_OPEN_DOMAIN, 0);
  if (open->node == 0)
    return refused(MASC_ERROR_OPEN, MASC_OPEN_NODE, 0);
  if (open->hold_time > 0 && open->hold_time < MASC_HOLD_TIME_MIN)
    return refused(MASC_ERROR_OPEN, MASC_OPEN_HOLD_TIME, 0);
  return (MascRefusal){ 0 };
}

static MascRefusal check_update(const MascUpdate *update)
{
  if (update->n_claims == 0)
    return refused(MASC_ERROR_HEADER, MASC_HEADER_BAD_LENGTH, 0);
  for (size_t i = 0; i < update->n_claims; i++) {
    const MascClaim *claim = &update->claims[i];
    uint8_t subcode = masc_claim_check(claim);
    if (subcode != 0)
      return refused(MASC_ERROR_UPDATE, subcode, i);
    if (!id_fits(claim->prefix.address.family, claim->domain) ||
        !id_fits(claim->prefix.address.family, claim->node))
      return (MascRefusal){ .reason = MASC_REASON_FIT, .item = i };
  }
  return (MascRefusal){ 0 };
}

static MascRefusal check_notification(const MascNotification *n)
{
  if (!masc_error_known(n->code, n->subcode) ||
      (n->open && masc_error_must_close(n->code, n->subcode)))
    return refused(MASC_ERROR_NOTIFICATION, MASC_UNSPECIFIC, 0);
  return (MascRefusal){ .reason = n->length > MASC_MAX_DATA ? MASC_REASON_SPACE
                                                             : MASC_REASON_NONE };
}

static MascRefusal check(const MascMessage *msg)
{
  switch (msg->type) {
  case MASC_OPEN:
    return check_open(&msg->open);
  case MASC_UPDATE:
    return check_update(&msg->update);
  case MASC_NOTIFICATION:
    return check_notification(&msg->notification);
  case MASC_KEEPALIVE:
    return (MascRefusal){ 0 };
  default:
    return (MascRefusal){ .reason = MASC_REASON_TYPE };
  }
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_id(MalWriter *w, MalFamily family, MascId id)
{
  mal_write_address(w, mal_address_make(family, id));
}

static void write_open(MalWriter *w, const MascOpen *open)
{
  mal_write_u8(w, MASC_VERSION);
  mal_write_u8(w, (uint8_t)((unsigned)open->family << FAMILY_SHIFT | (unsigned)open->role));
  mal_write_u16(w, open->hold_time);
  write_id(w, open->family, open->domain);
  write_id(w, open->family, open->node);
  write_id(w, open->family, open->parent);
}

static size_t claim_octets(MalFamily family)
{
  return 20 + 4 * mal_family_octets(family);
}

static void write_claim(MalWriter *w, const MascClaim *claim)
{
  MalFamily family = claim->prefix.address.family;
  unsigned octet = (unsigned)family << FAMILY_SHIFT | (unsigned)claim->role;

  mal_write_u16(w, (uint16_t)claim_octets(family));
  mal_write_u8(w, (uint8_t)claim->type);
  mal_write_u8(w, 0);
  mal_write_u8(w, 0);
  mal_write_u8(w, (uint8_t)(octet | (claim->deprecated ? DEPRECATED_BIT : 0)));
  mal_write_u16(w, 0);
  mal_write_u32(w, claim->timestamp);
  mal_write_u32(w, claim->lifetime);
  mal_write_u32(w, claim->holdtime);
  write_id(w, family, claim->domain);
  write_id(w, family, claim->node);
  mal_write_address(w, claim->prefix.address);
  write_id(w, family, masc_mask(family, claim->prefix.length));
}

static void write_notification(MalWriter *w, const MascNotification *n)
{
  mal_write_u8(w, (uint8_t)(n->code | (n->open ? OPEN_BIT : 0)));
  mal_write_u8(w, n->subcode);
  mal_write_bytes(w, n->data, n->length);
}

static size_t length_of(const MascMessage *msg)
{
  size_t length = MASC_HEADER_LENGTH;

  switch (msg->type) {
  case MASC_OPEN:
    return length + 4 + 3 * mal_family_octets(msg->open.family);
  case MASC_UPDATE:
    for (size_t i = 0; i < msg->update.n_claims && length <= MASC_MAX_LENGTH; i++)
      length += claim_octets(msg->update.claims[i].prefix.address.family);
    return length;
  case MASC_NOTIFICATION:
    return MASC_NOTIFICATION_MIN + msg->notification.length;
  case MASC_KEEPALIVE:
  default:
    return length;
  }
}

static void write_message(MalWriter *w, const MascMessage *msg, size_t length)
{
  mal_write_u16(w, (uint16_t)length);
  mal_write_u8(w, (uint8_t)msg->type);
  mal_write_u8(w, 0);
  if (msg->type == MASC_OPEN)
    write_open(w, &msg->open);
  if (msg->type == MASC_NOTIFICATION)
    write_notification(w, &msg->notification);
  if (msg->type == MASC_UPDATE)
    for (size_t i = 0; i < msg->update.n_claims; i++)
      write_claim(w, &msg->update.claims[i]);
}

size_t masc_encode(const MascMessage *msg, void *buffer, size_t capacity, MascRefusal *why)
{
  MascRefusal found = check(msg);
  MalWriter w = mal_writer(buffer, MIN(capacity, MASC_MAX_LENGTH));

  if (found.reason == MASC_REASON_NONE) {
    size_t length = length_of(msg);
    if (length > capacity || length > MASC_MAX_LENGTH)
      found.reason = MASC_REASON_SPACE;
    else
      write_message(&w, msg, length);
  }
  if (why != NULL)
    *why = found;
  return found.reason == MASC_REASON_NONE ? w.offset : 0;
}

size_t masc_claims_fit(const MascClaim *claims, size_t n)
{
  size_t length = MASC_HEADER_LENGTH, i;

  for (i = 0; i < n; i++) {
    length += claim_octets(claims[i].prefix.address.family);
    if (length > MASC_MAX_LENGTH)
      break;
  }
  return i;
}

/* ---- answers --------------------------------------------------------------------------------- */

size_t masc_answer(const MascFault *fault, const void *message, size_t length, bool keep_open,
                   void *buffer, size_t capacity)
{
  MalReader r = mal_reader(message, length);
  MascMessage answer = {
    .type = MASC_NOTIFICATION,
    .notification = {
      .code = fault->code,
      .subcode = fault->subcode,
      .open = keep_open && !fault->must_close,
      .data = &fault->octet,
      .length = fault->has_octet ? 1 : 0,
    },
  };
  if (fault->code == MASC_ERROR_NONE || fault->silent)
    return 0;
  if (fault->data_length > 0) {
    mal_read_skip(&r, fault->data_offset);
    answer.notification.data = mal_read_bytes(&r, fault->data_length);
    answer.notification.length = fault->data_length;
    if (!mal_reader_ok(&r))
      return 0;
  }
  return masc_encode(&answer, buffer, capacity, NULL);
}

size_t masc_encode_ids(MalFamily family, const MascId *ids, size_t n, void *buffer, size_t capacity)
{
  MalWriter w = mal_writer(buffer, MIN(capacity, MASC_MAX_DATA));

  if (mal_family_octets(family) == 0)
    return 0;
  for (size_t i = 0; i < n; i++) {
    if (!id_fits(family, ids[i]))
      return 0;
    write_id(&w, family, ids[i]);
  }
  return mal_writer_ok(&w) ? w.offset : 0;
}
