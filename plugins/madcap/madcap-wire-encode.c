/* MadcapMessage to bytes. Errors stick in the encoder; what table 5 forbids is never written. */
#include "madcap-wire.h"

#include <string.h>

static void fail_item(MadcapEncoder *e, MadcapReason reason, uint16_t option, size_t item)
{
  if (!e->failed)
    e->fault = (MadcapFault){
      .reason = reason, .option = option, .offset = e->writer.offset, .item = item,
    };
  e->failed = true;
}

static void fail(MadcapEncoder *e, MadcapReason reason, uint16_t option)
{
  fail_item(e, reason, option, 0);
}

MadcapEncoder madcap_encoder(void *buffer, size_t capacity, MadcapType type, MadcapContext context,
                             MalFamily family, uint32_t xid)
{
  MadcapEncoder e = {
    .writer = mal_writer(buffer, MIN(capacity, MADCAP_MAX_LENGTH)),
    .type = type,
    .context = context,
    .family = family,
    .fault = { .option = MADCAP_NO_OPTION },
  };
  if (!madcap_type_known(type))
    fail(&e, MADCAP_REASON_TYPE, MADCAP_NO_OPTION);
  if (mal_family_octets(family) == 0 && type != MADCAP_NAK)
    fail(&e, MADCAP_REASON_FAMILY, MADCAP_NO_OPTION);
  mal_write_u8(&e.writer, MADCAP_VERSION);
  mal_write_u8(&e.writer, (uint8_t)type);
  mal_write_u16(&e.writer, (uint16_t)family);
  mal_write_u32(&e.writer, xid);
  return e;
}

/* Every option is written between these two. LENGTH is known beforehand, so that one too long for
   its field is told from a message that is full. */
static bool begin(MadcapEncoder *e, uint16_t option, size_t length)
{
  if (e->failed)
    return false;
  if (madcap_rule(e->type, e->context, option) == MADCAP_FORBIDDEN)
    fail(e, MADCAP_REASON_FORBIDDEN, option);
  else if (option < MADCAP_N_OPTIONS && (e->present >> option & 1u) != 0)
    fail(e, MADCAP_REASON_DUPLICATE, option);
  else if (length > UINT16_MAX)
    fail(e, MADCAP_REASON_FIT, option);
  if (e->failed)
    return false;
  mal_write_u16(&e->writer, option);
  mal_write_u16(&e->writer, (uint16_t)length);
  return true;
}

static void end(MadcapEncoder *e, uint16_t option)
{
  if (!mal_writer_ok(&e->writer))
    fail(e, MADCAP_REASON_SPACE, option);
  else if (option < MADCAP_N_OPTIONS)
    e->present |= 1u << option;
}

static void put_u32(MadcapEncoder *e, uint16_t option, uint32_t value)
{
  if (!begin(e, option, 4))
    return;
  mal_write_u32(&e->writer, value);
  end(e, option);
}

void madcap_put_raw(MadcapEncoder *e, uint16_t option, const void *data, size_t length)
{
  if (option == MADCAP_OPTION_END) {
    fail(e, MADCAP_REASON_FORBIDDEN, option);
    return;
  }
  if (!begin(e, option, length))
    return;
  if (length > 0)
    mal_write_bytes(&e->writer, data, length);
  if (option == MADCAP_OPTION_SCOPE_LIST && length > 0)
    e->n_scopes = *(const uint8_t *)data;
  end(e, option);
}

/* ---- options of one value -------------------------------------------------------------------- */

void madcap_put_lease_time(MadcapEncoder *e, uint32_t seconds)
{
  put_u32(e, MADCAP_OPTION_LEASE_TIME, seconds);
}

void madcap_put_start_time(MadcapEncoder *e, uint32_t time)
{
  put_u32(e, MADCAP_OPTION_START_TIME, time);
}

void madcap_put_current_time(MadcapEncoder *e, uint32_t time)
{
  put_u32(e, MADCAP_OPTION_CURRENT_TIME, time);
}

void madcap_put_retry_time(MadcapEncoder *e, uint32_t time)
{
  put_u32(e, MADCAP_OPTION_RETRY_TIME, time);
}

void madcap_put_min_lease_time(MadcapEncoder *e, uint32_t seconds)
{
  put_u32(e, MADCAP_OPTION_MIN_LEASE_TIME, seconds);
}

void madcap_put_max_start_time(MadcapEncoder *e, uint32_t time)
{
  put_u32(e, MADCAP_OPTION_MAX_START_TIME, time);
}

void madcap_put_server_id(MadcapEncoder *e, MalAddress server)
{
  size_t octets = mal_family_octets(server.family);
  if (octets == 0)
    fail(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_SERVER_ID);
  if (!begin(e, MADCAP_OPTION_SERVER_ID, 2 + octets))
    return;
  mal_write_u16(&e->writer, (uint16_t)server.family);
  mal_write_address(&e->writer, server);
  end(e, MADCAP_OPTION_SERVER_ID);
}

void madcap_put_lease_id(MadcapEncoder *e, const void *id, size_t length)
{
  if (length == 0)
    fail(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_LEASE_ID);
  madcap_put_raw(e, MADCAP_OPTION_LEASE_ID, id, length);
}

void madcap_put_scope(MadcapEncoder *e, MalAddress first_of_scope)
{
  if (first_of_scope.family != e->family)
    fail(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_SCOPE);
  if (!begin(e, MADCAP_OPTION_SCOPE, mal_family_octets(e->family)))
    return;
  mal_write_address(&e->writer, first_of_scope);
  end(e, MADCAP_OPTION_SCOPE);
}

void madcap_put_number(MadcapEncoder *e, uint16_t min, uint16_t desired)
{
  if (min > desired)
    fail(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_NUMBER);
  put_u32(e, MADCAP_OPTION_NUMBER, (uint32_t)min << 16 | desired);
}

void madcap_put_language(MadcapEncoder *e, const void *tag, size_t length)
{
  madcap_put_raw(e, MADCAP_OPTION_LANGUAGE, tag, length);
}

/* ---- options that hold lists ----------------------------------------------------------------- */

static void write_codes(MadcapEncoder *e, const uint16_t *codes, size_t count)
{
  for (size_t i = 0; i < count; i++)
    mal_write_u16(&e->writer, codes[i]);
}

static bool codes_have(const uint16_t *codes, size_t count, uint16_t code)
{
  for (size_t i = 0; i < count; i++)
    if (codes[i] == code)
      return true;
  return false;
}

void madcap_put_request_list(MadcapEncoder *e, const uint16_t *options, size_t count)
{
  if (count == 0)
    fail(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_REQUEST_LIST);
  if (!begin(e, MADCAP_OPTION_REQUEST_LIST, 2 * count))
    return;
  write_codes(e, options, count);
  end(e, MADCAP_OPTION_REQUEST_LIST);
}

void madcap_put_features(MadcapEncoder *e, const uint16_t *supported, size_t n_supported,
                         const uint16_t *requested, size_t n_requested,
                         const uint16_t *required, size_t n_required)
{
  bool server = madcap_type_from_server(e->type);
  if (server ? n_requested > 0
             : codes_have(requested, n_requested, MADCAP_FEATURE_RETRY_AFTER) ||
               codes_have(required, n_required, MADCAP_FEATURE_RETRY_AFTER))
    fail(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_FEATURES);
  if (!begin(e, MADCAP_OPTION_FEATURES, 6 + 2 * (n_supported + n_requested + n_required)))
    return;
  mal_write_u16(&e->writer, (uint16_t)n_supported);
  write_codes(e, supported, n_supported);
  mal_write_u16(&e->writer, (uint16_t)n_requested);
  write_codes(e, requested, n_requested);
  mal_write_u16(&e->writer, (uint16_t)n_required);
  write_codes(e, required, n_required);
  end(e, MADCAP_OPTION_FEATURES);
}

#define RANGE_MAX UINT16_MAX

/* Octets of the ranges that BLOCK becomes; 0 where it can't be written. */
static size_t block_octets(const MadcapEncoder *e, const MalBlock *block)
{
  MalAddress last;
  size_t octets = mal_family_octets(e->family);
  if (block->first.family != e->family || block->count == 0 ||
      !mal_address_add(block->first, block->count - 1, &last))
    return 0;
  return ((size_t)block->count + RANGE_MAX - 1) / RANGE_MAX * (octets + 2);
}

static void write_block(MadcapEncoder *e, MalBlock block)
{
  while (block.count > 0) {
    uint16_t count = (uint16_t)MIN(block.count, RANGE_MAX);
    mal_write_address(&e->writer, block.first);
    mal_write_u16(&e->writer, count);
    block.count -= count;
    block.first.value += count;
  }
}

void madcap_put_ranges(MadcapEncoder *e, const MalBlock *blocks, size_t count)
{
  size_t length = 0;
  for (size_t i = 0; i < count && !e->failed; i++) {
    size_t octets = block_octets(e, &blocks[i]);
    length += octets;
    if (octets == 0)
      fail_item(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_RANGES, i);
    else if (length > UINT16_MAX)
      fail_item(e, MADCAP_REASON_FIT, MADCAP_OPTION_RANGES, i);
  }
  if (!begin(e, MADCAP_OPTION_RANGES, length))
    return;
  for (size_t i = 0; i < count; i++)
    write_block(e, blocks[i]);
  end(e, MADCAP_OPTION_RANGES);
}

/* ---- scope list and nesting state ------------------------------------------------------------ */

size_t madcap_scope_octets(const MadcapScope *scope)
{
  size_t total = 2 * mal_family_octets(scope->first.family) + 2;
  if (scope->n_names > UINT8_MAX)
    return 0;
  for (size_t i = 0; i < scope->n_names; i++) {
    size_t language = strlen(scope->names[i].language);
    size_t name = strlen(scope->names[i].name);
    if (language > UINT8_MAX || name > UINT8_MAX)
      return 0;
    total += 3 + language + name;
  }
  return total;
}

static bool scope_sound(const MadcapEncoder *e, const MadcapScope *scope)
{
  if (scope->first.family != e->family || scope->last.family != e->family ||
      mal_address_compare(scope->first, scope->last) > 0)
    return false;
  for (size_t i = 0; i < scope->n_names; i++)
    if (scope->names[i].language[0] == '\0' || scope->names[i].name[0] == '\0' ||
        !g_utf8_validate(scope->names[i].name, -1, NULL))
      return false;
  return true;
}

static bool id_repeats(const MadcapScope *scopes, size_t index)
{
  for (size_t i = 0; i < index; i++)
    if (mal_address_equal(scopes[i].first, scopes[index].first))
      return true;
  return false;
}

static void write_scope(MadcapEncoder *e, const MadcapScope *scope)
{
  mal_write_address(&e->writer, scope->first);
  mal_write_address(&e->writer, scope->last);
  mal_write_u8(&e->writer, scope->ttl);
  mal_write_u8(&e->writer, (uint8_t)scope->n_names);
  for (size_t i = 0; i < scope->n_names; i++) {
    const MadcapName *name = &scope->names[i];
    size_t language = strlen(name->language);
    size_t length = strlen(name->name);
    mal_write_u8(&e->writer, name->is_default ? 0x80 : 0);
    mal_write_u8(&e->writer, (uint8_t)language);
    mal_write_bytes(&e->writer, name->language, language);
    mal_write_u8(&e->writer, (uint8_t)length);
    mal_write_bytes(&e->writer, name->name, length);
  }
}

void madcap_put_scope_list(MadcapEncoder *e, const MadcapScope *scopes, size_t count)
{
  size_t length = 1;
  for (size_t i = 0; i < count && !e->failed; i++) {
    size_t octets = madcap_scope_octets(&scopes[i]);
    length += octets;
    if (i >= UINT8_MAX || octets == 0 || length > UINT16_MAX)
      fail_item(e, MADCAP_REASON_FIT, MADCAP_OPTION_SCOPE_LIST, i);
    else if (!scope_sound(e, &scopes[i]) || id_repeats(scopes, i))
      fail_item(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_SCOPE_LIST, i);
  }
  if (!begin(e, MADCAP_OPTION_SCOPE_LIST, length))
    return;
  mal_write_u8(&e->writer, (uint8_t)count);
  for (size_t i = 0; i < count; i++)
    write_scope(e, &scopes[i]);
  e->n_scopes = count;
  end(e, MADCAP_OPTION_SCOPE_LIST);
}

static void write_nesting_row(MadcapEncoder *e, size_t x, size_t count, MadcapNestsFunc nests,
                              void *data)
{
  uint8_t octet = 0;
  unsigned used = 0;
  for (size_t y = 0; y < count; y++) {
    if (y == x)
      continue;
    if (nests(x, y, data))
      octet |= (uint8_t)(0x80u >> used);
    if (++used == 8) {
      mal_write_u8(&e->writer, octet);
      octet = 0;
      used = 0;
    }
  }
  if (used > 0)
    mal_write_u8(&e->writer, octet);
}

void madcap_put_nesting(MadcapEncoder *e, size_t count, MadcapNestsFunc nests, void *data)
{
  if (count > UINT8_MAX)
    fail(e, MADCAP_REASON_FIT, MADCAP_OPTION_NESTING);
  if ((e->present >> MADCAP_OPTION_SCOPE_LIST & 1u) == 0)
    fail(e, MADCAP_REASON_FORBIDDEN, MADCAP_OPTION_NESTING);
  else if (e->n_scopes != count)
    fail(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_NESTING);
  if (!begin(e, MADCAP_OPTION_NESTING, 1 + madcap_nesting_octets(count)))
    return;
  mal_write_u8(&e->writer, (uint8_t)count);
  for (size_t x = 0; x < count; x++)
    write_nesting_row(e, x, count, nests, data);
  end(e, MADCAP_OPTION_NESTING);
}

/* ---- errors ---------------------------------------------------------------------------------- */

void madcap_put_error(MadcapEncoder *e, uint16_t code, const void *extra, size_t length)
{
  if (!begin(e, MADCAP_OPTION_ERROR, 2 + length))
    return;
  mal_write_u16(&e->writer, code);
  if (length > 0)
    mal_write_bytes(&e->writer, extra, length);
  end(e, MADCAP_OPTION_ERROR);
}

void madcap_put_error_option(MadcapEncoder *e, MadcapErrorCode code, uint16_t option)
{
  if (code != MADCAP_ERROR_NOT_COMPLETED && code != MADCAP_ERROR_INVALID_REQUEST)
    fail(e, MADCAP_REASON_CONTENT, MADCAP_OPTION_ERROR);
  put_u32(e, MADCAP_OPTION_ERROR, (uint32_t)code << 16 | option);
}

void madcap_put_error_clock_skew(MadcapEncoder *e, uint32_t server_time)
{
  if (!begin(e, MADCAP_OPTION_ERROR, 6))
    return;
  mal_write_u16(&e->writer, MADCAP_ERROR_CLOCK_SKEW);
  mal_write_u32(&e->writer, server_time);
  end(e, MADCAP_OPTION_ERROR);
}

void madcap_put_error_features(MadcapEncoder *e, const uint16_t *features, size_t count)
{
  if (!begin(e, MADCAP_OPTION_ERROR, 2 + 2 * count))
    return;
  mal_write_u16(&e->writer, MADCAP_ERROR_FEATURE_UNSUPPORTED);
  write_codes(e, features, count);
  end(e, MADCAP_OPTION_ERROR);
}

/* ---- whole messages -------------------------------------------------------------------------- */

static void check_finished(MadcapEncoder *e)
{
  MadcapMessage shape = { .type = (uint8_t)e->type, .present = e->present };
  MadcapFault missing;
  uint32_t absolute = 1u << MADCAP_OPTION_START_TIME | 1u << MADCAP_OPTION_MAX_START_TIME |
                      1u << MADCAP_OPTION_RETRY_TIME;
  if (e->type == MADCAP_NAK)
    shape.present |= 1u << MADCAP_OPTION_LEASE_ID;
  if (!madcap_check(&shape, e->context, &missing))
    fail(e, missing.reason, missing.option);
  if ((e->present & absolute) != 0 && !madcap_has(&shape, MADCAP_OPTION_CURRENT_TIME))
    fail(e, MADCAP_REASON_MISSING, MADCAP_OPTION_CURRENT_TIME);
}

size_t madcap_finish(MadcapEncoder *e)
{
  check_finished(e);
  if (begin(e, MADCAP_OPTION_END, 0))
    end(e, MADCAP_OPTION_END);
  return e->failed ? 0 : e->writer.offset;
}

static void put_feature_views(MadcapEncoder *e, const MadcapMessage *msg)
{
  const MadcapView *views[] = { &msg->supported, &msg->requested, &msg->required };
  size_t length = 6 + msg->supported.length + msg->requested.length + msg->required.length;
  if (!begin(e, MADCAP_OPTION_FEATURES, length))
    return;
  for (size_t i = 0; i < G_N_ELEMENTS(views); i++) {
    mal_write_u16(&e->writer, (uint16_t)(views[i]->length / 2));
    if (views[i]->length > 0)
      mal_write_bytes(&e->writer, views[i]->data, views[i]->length);
  }
  end(e, MADCAP_OPTION_FEATURES);
}

static void put_nesting_view(MadcapEncoder *e, const MadcapMessage *msg)
{
  if (!begin(e, MADCAP_OPTION_NESTING, 1 + msg->nesting.length))
    return;
  mal_write_u8(&e->writer, msg->nesting_count);
  if (msg->nesting.length > 0)
    mal_write_bytes(&e->writer, msg->nesting.data, msg->nesting.length);
  end(e, MADCAP_OPTION_NESTING);
}

static void put_field(MadcapEncoder *e, const MadcapMessage *msg, MadcapOption option)
{
  switch (option) {
  case MADCAP_OPTION_END: break;
  case MADCAP_OPTION_LEASE_TIME: madcap_put_lease_time(e, msg->lease_time); break;
  case MADCAP_OPTION_SERVER_ID: madcap_put_server_id(e, msg->server_id); break;
  case MADCAP_OPTION_LEASE_ID:
    madcap_put_lease_id(e, msg->lease_id.data, msg->lease_id.length);
    break;
  case MADCAP_OPTION_SCOPE: madcap_put_scope(e, msg->scope); break;
  case MADCAP_OPTION_REQUEST_LIST:
    madcap_put_raw(e, (uint16_t)option, msg->request_list.data, msg->request_list.length);
    break;
  case MADCAP_OPTION_START_TIME: madcap_put_start_time(e, msg->start_time); break;
  case MADCAP_OPTION_NUMBER:
    madcap_put_number(e, msg->min_addresses, msg->desired_addresses);
    break;
  case MADCAP_OPTION_LANGUAGE:
    madcap_put_language(e, msg->language.data, msg->language.length);
    break;
  case MADCAP_OPTION_SCOPE_LIST:
    madcap_put_raw(e, (uint16_t)option, msg->scope_list.data, msg->scope_list.length);
    break;
  case MADCAP_OPTION_RANGES:
    madcap_put_raw(e, (uint16_t)option, msg->ranges.data, msg->ranges.length);
    break;
  case MADCAP_OPTION_CURRENT_TIME: madcap_put_current_time(e, msg->current_time); break;
  case MADCAP_OPTION_FEATURES: put_feature_views(e, msg); break;
  case MADCAP_OPTION_RETRY_TIME: madcap_put_retry_time(e, msg->retry_time); break;
  case MADCAP_OPTION_MIN_LEASE_TIME: madcap_put_min_lease_time(e, msg->min_lease_time); break;
  case MADCAP_OPTION_MAX_START_TIME: madcap_put_max_start_time(e, msg->max_start_time); break;
  case MADCAP_OPTION_ERROR:
    madcap_put_error(e, msg->error_code, msg->error_data.data, msg->error_data.length);
    break;
  case MADCAP_OPTION_NESTING: put_nesting_view(e, msg); break;
  }
}

size_t madcap_encode(const MadcapMessage *msg, MadcapContext context, void *buffer, size_t capacity,
                     MadcapFault *fault)
{
  MadcapEncoder e = madcap_encoder(buffer, capacity, (MadcapType)msg->type, context, msg->family,
                                   msg->xid);
  for (unsigned option = 1; option < MADCAP_N_OPTIONS; option++)
    if (madcap_has(msg, (MadcapOption)option))
      put_field(&e, msg, (MadcapOption)option);
  size_t length = madcap_finish(&e);
  if (fault != NULL)
    *fault = e.fault;
  return length;
}
