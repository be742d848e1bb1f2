/* Bytes to MadcapMessage. Two passes: the first one over syntax alone, since a message whose
   options field isn't a sequence of options with End as the last one is ignored (RFC 2730 2.1.5)
   and all other faults are answered; the second over the options' content. */
#include "madcap-wire.h"

#define HEADER_FAMILY_OFFSET 2

typedef struct {
  MadcapMessage *msg;
  MadcapFault fault;        /* the first one; reason NONE until then */
  uint32_t seen;            /* known options met, sound or not */
} Decoder;

static void note_fault(Decoder *d, MadcapReason reason, uint16_t option, size_t offset)
{
  if (d->fault.reason == MADCAP_REASON_NONE)
    d->fault = (MadcapFault){ .reason = reason, .option = option, .offset = offset };
}

/* ---- one function for each kind of content: a reader over exactly the option's octets -------- */

static MadcapView rest(MalReader *r)
{
  MadcapView view = { .length = mal_reader_left(r) };
  view.data = mal_read_bytes(r, view.length);
  return view;
}

static MadcapReason read_lease_time(MalReader *r, MadcapMessage *msg)
{
  msg->lease_time = mal_read_u32(r);
  return MADCAP_REASON_NONE;
}

static MadcapReason read_start_time(MalReader *r, MadcapMessage *msg)
{
  msg->start_time = mal_read_u32(r);
  return MADCAP_REASON_NONE;
}

static MadcapReason read_current_time(MalReader *r, MadcapMessage *msg)
{
  msg->current_time = mal_read_u32(r);
  return MADCAP_REASON_NONE;
}

static MadcapReason read_retry_time(MalReader *r, MadcapMessage *msg)
{
  msg->retry_time = mal_read_u32(r);
  return MADCAP_REASON_NONE;
}

static MadcapReason read_min_lease_time(MalReader *r, MadcapMessage *msg)
{
  msg->min_lease_time = mal_read_u32(r);
  return MADCAP_REASON_NONE;
}

static MadcapReason read_max_start_time(MalReader *r, MadcapMessage *msg)
{
  msg->max_start_time = mal_read_u32(r);
  return MADCAP_REASON_NONE;
}

/* Of a family that we don't know we can't know the length either: that server isn't us, and that
   is all there is to say (3.3). */
static MadcapReason read_server_id(MalReader *r, MadcapMessage *msg)
{
  msg->server_family = mal_read_u16(r);
  msg->server_id = mal_address_none();
  if (msg->server_family == MAL_IPV4 || msg->server_family == MAL_IPV6)
    msg->server_id = mal_read_address(r, (MalFamily)msg->server_family);
  else
    mal_read_skip(r, mal_reader_left(r));
  return MADCAP_REASON_NONE;
}

static MadcapReason read_lease_id(MalReader *r, MadcapMessage *msg)
{
  msg->lease_id = rest(r);
  return MADCAP_REASON_NONE;
}

static MadcapReason read_scope(MalReader *r, MadcapMessage *msg)
{
  msg->scope = mal_read_address(r, msg->family);
  return MADCAP_REASON_NONE;
}

static MadcapReason read_request_list(MalReader *r, MadcapMessage *msg)
{
  msg->request_list = rest(r);
  return msg->request_list.length % 2 == 0 ? MADCAP_REASON_NONE : MADCAP_REASON_LENGTH;
}

static MadcapReason read_number(MalReader *r, MadcapMessage *msg)
{
  msg->min_addresses = mal_read_u16(r);
  msg->desired_addresses = mal_read_u16(r);
  return msg->min_addresses <= msg->desired_addresses ? MADCAP_REASON_NONE : MADCAP_REASON_CONTENT;
}

static MadcapReason read_language(MalReader *r, MadcapMessage *msg)
{
  msg->language = rest(r);
  return MADCAP_REASON_NONE;
}

static bool names_sound(const MadcapScopeView *scope)
{
  MadcapNameView name;
  MadcapNameIter iter = madcap_names(scope);
  while (madcap_names_next(&iter, &name))
    if (name.language.length == 0 || name.name.length == 0 ||
        !g_utf8_validate_len((const char *)name.name.data, name.name.length, NULL))
      return false;
  return true;
}

static MadcapReason read_scope_list(MalReader *r, MadcapMessage *msg)
{
  MalAddress ids[UINT8_MAX];
  size_t n_ids = 0;
  MadcapScopeView scope;
  MadcapMessage view = { .family = msg->family, .present = 1u << MADCAP_OPTION_SCOPE_LIST };
  bool sound = true;

  msg->scope_list = view.scope_list = rest(r);
  MadcapScopeIter iter = madcap_scopes(&view);
  while (madcap_scopes_next(&iter, &scope)) {
    sound = sound && mal_address_compare(scope.first, scope.last) <= 0 && names_sound(&scope);
    for (size_t i = 0; i < n_ids; i++)
      sound = sound && !mal_address_equal(ids[i], scope.first);
    ids[n_ids++] = scope.first;
  }
  if (!mal_reader_ok(&iter.reader) || mal_reader_left(&iter.reader) > 0)
    return MADCAP_REASON_LENGTH;
  return sound ? MADCAP_REASON_NONE : MADCAP_REASON_CONTENT;
}

static MadcapReason read_ranges(MalReader *r, MadcapMessage *msg)
{
  MalBlock block;
  MalAddress last;
  MadcapMessage view = { .family = msg->family, .present = 1u << MADCAP_OPTION_RANGES };
  bool sound = true;

  msg->ranges = view.ranges = rest(r);
  MadcapRangeIter iter = madcap_ranges(&view);
  while (madcap_ranges_next(&iter, &block))
    sound = sound && block.count > 0 && mal_address_add(block.first, block.count - 1, &last);
  if (!mal_reader_ok(&iter.reader))
    return MADCAP_REASON_LENGTH;
  return sound ? MADCAP_REASON_NONE : MADCAP_REASON_CONTENT;
}

static MadcapView read_feature_list(MalReader *r)
{
  MadcapView view = { .length = (size_t)mal_read_u16(r) * 2 };
  view.data = mal_read_bytes(r, view.length);
  return view;
}

/* A server never requests features (3.13), a client only supports Retry After (2.13.2). */
static MadcapReason read_features(MalReader *r, MadcapMessage *msg)
{
  msg->supported = read_feature_list(r);
  msg->requested = read_feature_list(r);
  msg->required = read_feature_list(r);
  if (!mal_reader_ok(r) || mal_reader_left(r) > 0)
    return MADCAP_REASON_LENGTH;
  if (madcap_type_from_server(msg->type))
    return msg->requested.length == 0 ? MADCAP_REASON_NONE : MADCAP_REASON_CONTENT;
  if (madcap_codes_have(msg->requested, MADCAP_FEATURE_RETRY_AFTER) ||
      madcap_codes_have(msg->required, MADCAP_FEATURE_RETRY_AFTER))
    return MADCAP_REASON_CONTENT;
  return MADCAP_REASON_NONE;
}

static MadcapReason read_error(MalReader *r, MadcapMessage *msg)
{
  bool fits = true;
  msg->error_code = mal_read_u16(r);
  msg->error_data = rest(r);
  switch (msg->error_code) {
  case MADCAP_ERROR_NOT_COMPLETED:
  case MADCAP_ERROR_INVALID_REQUEST:
    fits = msg->error_data.length == 2;
    break;
  case MADCAP_ERROR_CLOCK_SKEW:
    fits = msg->error_data.length == 4;
    break;
  case MADCAP_ERROR_LEASE_ID_UNKNOWN:
    fits = msg->error_data.length == 0;
    break;
  case MADCAP_ERROR_FEATURE_UNSUPPORTED:
    fits = msg->error_data.length % 2 == 0;
    break;
  default:
    break;
  }
  return fits ? MADCAP_REASON_NONE : MADCAP_REASON_LENGTH;
}

static MadcapReason read_nesting(MalReader *r, MadcapMessage *msg)
{
  msg->nesting_count = mal_read_u8(r);
  msg->nesting = rest(r);
  return msg->nesting.length == madcap_nesting_octets(msg->nesting_count) ? MADCAP_REASON_NONE
                                                                          : MADCAP_REASON_LENGTH;
}

static const struct {
  uint16_t min, max;        /* the option's length */
  MadcapReason (*read)(MalReader *r, MadcapMessage *msg);
} contents[MADCAP_N_OPTIONS] = {
  [MADCAP_OPTION_LEASE_TIME] = { 4, 4, read_lease_time },
  [MADCAP_OPTION_SERVER_ID] = { 3, UINT16_MAX, read_server_id },
  [MADCAP_OPTION_LEASE_ID] = { 1, UINT16_MAX, read_lease_id },
  [MADCAP_OPTION_SCOPE] = { 1, UINT16_MAX, read_scope },
  [MADCAP_OPTION_REQUEST_LIST] = { 2, UINT16_MAX, read_request_list },
  [MADCAP_OPTION_START_TIME] = { 4, 4, read_start_time },
  [MADCAP_OPTION_NUMBER] = { 4, 4, read_number },
  [MADCAP_OPTION_LANGUAGE] = { 0, UINT16_MAX, read_language },
  [MADCAP_OPTION_SCOPE_LIST] = { 0, UINT16_MAX, read_scope_list },
  [MADCAP_OPTION_RANGES] = { 0, UINT16_MAX, read_ranges },
  [MADCAP_OPTION_CURRENT_TIME] = { 4, 4, read_current_time },
  [MADCAP_OPTION_FEATURES] = { 6, UINT16_MAX, read_features },
  [MADCAP_OPTION_RETRY_TIME] = { 4, 4, read_retry_time },
  [MADCAP_OPTION_MIN_LEASE_TIME] = { 4, 4, read_min_lease_time },
  [MADCAP_OPTION_MAX_START_TIME] = { 4, 4, read_max_start_time },
  [MADCAP_OPTION_ERROR] = { 2, UINT16_MAX, read_error },
  [MADCAP_OPTION_NESTING] = { 1, UINT16_MAX, read_nesting },
};

/* ---- first pass ------------------------------------------------------------------------------ */

static bool syntax_ok(MalReader r, Decoder *d)
{
  while (mal_reader_more(&r)) {
    size_t start = r.offset;
    uint16_t option = mal_read_u16(&r);
    uint16_t length = mal_read_u16(&r);
    bool whole = mal_reader_ok(&r);
    mal_read_skip(&r, length);
    if (!mal_reader_ok(&r)) {
      note_fault(d, MADCAP_REASON_TRUNCATED, whole ? option : MADCAP_NO_OPTION, start);
      return false;
    }
    if (option != MADCAP_OPTION_END)
      continue;
    if (length != 0)
      note_fault(d, MADCAP_REASON_NO_END, MADCAP_OPTION_END, start);
    else if (mal_reader_more(&r))
      note_fault(d, MADCAP_REASON_TRAILING, MADCAP_OPTION_END, r.offset);
    else
      return true;
    return false;
  }
  note_fault(d, MADCAP_REASON_NO_END, MADCAP_OPTION_END, r.offset);
  return false;
}

/* ---- second pass ----------------------------------------------------------------------------- */

static void read_option(Decoder *d, uint16_t option, MalReader value, size_t start)
{
  uint32_t bit = 1u << option;
  size_t length = mal_reader_left(&value);
  if (d->seen & bit) {
    note_fault(d, MADCAP_REASON_DUPLICATE, option, start);
    return;
  }
  d->seen |= bit;
  if (length < contents[option].min || length > contents[option].max) {
    note_fault(d, MADCAP_REASON_LENGTH, option, start);
    return;
  }
  MadcapReason reason = contents[option].read(&value, d->msg);
  if (!mal_reader_ok(&value) || mal_reader_left(&value) > 0)
    reason = MADCAP_REASON_LENGTH;
  if (reason != MADCAP_REASON_NONE)
    note_fault(d, reason, option, start);
  else
    d->msg->present |= bit;
}

static void read_options(Decoder *d, MalReader r)
{
  while (mal_reader_more(&r)) {
    size_t start = r.offset;
    uint16_t option = mal_read_u16(&r);
    uint16_t length = mal_read_u16(&r);
    MalReader value = mal_read_sub(&r, length);
    if (option == MADCAP_OPTION_END)
      d->msg->present |= 1u << MADCAP_OPTION_END;
    else if (option < MADCAP_N_OPTIONS)
      read_option(d, option, value, start);
  }
}

/* What a client may not send at all is what is wrong, and not that Current Time is missing beside
   it: that may be as forbidden. What an ACK may have depends on what it answers. */
static bool needs_current_time(const MadcapMessage *msg)
{
  static const uint16_t absolute[] = { MADCAP_OPTION_START_TIME, MADCAP_OPTION_MAX_START_TIME,
                                       MADCAP_OPTION_RETRY_TIME };
  bool client = madcap_type_known(msg->type) && !madcap_type_from_server(msg->type);

  for (size_t i = 0; i < G_N_ELEMENTS(absolute); i++) {
    MadcapRule rule = client ? madcap_rule((MadcapType)msg->type, (MadcapContext){ 0 }, absolute[i])
                             : MADCAP_ALLOWED;
    if (madcap_has(msg, (MadcapOption)absolute[i]) && rule != MADCAP_FORBIDDEN)
      return true;
  }
  return false;
}

static void check_companions(Decoder *d)
{
  MadcapMessage *msg = d->msg;
  if (needs_current_time(msg) && !madcap_has(msg, MADCAP_OPTION_CURRENT_TIME))
    note_fault(d, MADCAP_REASON_MISSING, MADCAP_OPTION_CURRENT_TIME, 0);
  if (!madcap_has(msg, MADCAP_OPTION_NESTING))
    return;
  if (!madcap_has(msg, MADCAP_OPTION_SCOPE_LIST))
    note_fault(d, MADCAP_REASON_FORBIDDEN, MADCAP_OPTION_NESTING, 0);
  msg->nesting_ignored = msg->nesting_count != madcap_scopes_count(msg);
}

static void read_header(MalReader *r, MadcapMessage *msg)
{
  msg->version = mal_read_u8(r);
  msg->type = mal_read_u8(r);
  msg->raw_family = mal_read_u16(r);
  msg->xid = mal_read_u32(r);
  if (msg->raw_family == MAL_IPV4 || msg->raw_family == MAL_IPV6)
    msg->family = (MalFamily)msg->raw_family;
}

static MadcapOutcome decode(Decoder *d, const void *data, size_t length)
{
  MalReader r = mal_reader(data, length);
  if (length < MADCAP_MIN_LENGTH) {
    note_fault(d, MADCAP_REASON_SHORT, MADCAP_NO_OPTION, length);
    return MADCAP_IGNORE;
  }
  read_header(&r, d->msg);
  if (d->msg->version != MADCAP_VERSION) {
    note_fault(d, MADCAP_REASON_VERSION, MADCAP_NO_OPTION, 0);
    return MADCAP_IGNORE;
  }
  if (!syntax_ok(r, d))
    return MADCAP_IGNORE;

  if (!madcap_type_known(d->msg->type))
    note_fault(d, MADCAP_REASON_TYPE, MADCAP_NO_OPTION, 1);
  if (d->msg->family == MAL_FAMILY_NONE)
    note_fault(d, MADCAP_REASON_FAMILY, MADCAP_NO_OPTION, HEADER_FAMILY_OFFSET);
  read_options(d, r);
  check_companions(d);
  return d->fault.reason == MADCAP_REASON_NONE ? MADCAP_OK : MADCAP_BAD;
}

MadcapOutcome madcap_decode(const void *data, size_t length, MadcapMessage *out,
                            MadcapFault *fault)
{
  Decoder d = { .msg = out, .fault = { .option = MADCAP_NO_OPTION } };
  *out = (MadcapMessage){ 0 };
  MadcapOutcome outcome = decode(&d, data, length);
  if (fault != NULL)
    *fault = d.fault;
  return outcome;
}
