/* The lists inside options, read where they lie in the datagram. The decoder walks them once with
   these same iterators, so that what a caller iterates over is known to be sound. */
#include "madcap-wire.h"

/* ---- 16-bit codes ---------------------------------------------------------------------------- */

size_t madcap_codes_count(MadcapView codes)
{
  return codes.length / 2;
}

uint16_t madcap_codes_at(MadcapView codes, size_t index)
{
  if (index >= madcap_codes_count(codes))
    return MADCAP_NO_OPTION;
  MalReader r = mal_reader(codes.data, codes.length);
  mal_read_skip(&r, index * 2);
  return mal_read_u16(&r);
}

bool madcap_codes_have(MadcapView codes, uint16_t code)
{
  if (codes.length == 0)
    return false;
  MalReader r = mal_reader(codes.data, codes.length & ~(size_t)1);
  while (mal_reader_more(&r))
    if (mal_read_u16(&r) == code)
      return true;
  return false;
}

bool madcap_requests(const MadcapMessage *msg, MadcapOption option)
{
  return madcap_has(msg, MADCAP_OPTION_REQUEST_LIST) &&
         madcap_codes_have(msg->request_list, (uint16_t)option);
}

bool madcap_feature_mentioned(const MadcapMessage *msg, MadcapFeature feature)
{
  return madcap_has(msg, MADCAP_OPTION_FEATURES) &&
         (madcap_codes_have(msg->supported, (uint16_t)feature) ||
          madcap_codes_have(msg->requested, (uint16_t)feature) ||
          madcap_codes_have(msg->required, (uint16_t)feature));
}

/* ---- address ranges (RFC 2730 3.11) ---------------------------------------------------------- */

MadcapRangeIter madcap_ranges(const MadcapMessage *msg)
{
  bool there = madcap_has(msg, MADCAP_OPTION_RANGES);
  return (MadcapRangeIter){
    .reader = mal_reader(msg->ranges.data, there ? msg->ranges.length : 0),
    .family = msg->family,
  };
}

bool madcap_ranges_next(MadcapRangeIter *iter, MalBlock *out)
{
  if (!mal_reader_more(&iter->reader))
    return false;
  out->first = mal_read_address(&iter->reader, iter->family);
  out->count = mal_read_u16(&iter->reader);
  return mal_reader_ok(&iter->reader);
}

size_t madcap_ranges_count(const MadcapMessage *msg)
{
  size_t octets = mal_family_octets(msg->family);
  if (!madcap_has(msg, MADCAP_OPTION_RANGES) || octets == 0)
    return 0;
  return msg->ranges.length / (octets + 2);
}

uint64_t madcap_ranges_total(const MadcapMessage *msg)
{
  uint64_t total = 0;
  MalBlock block;
  MadcapRangeIter iter = madcap_ranges(msg);
  while (madcap_ranges_next(&iter, &block))
    total += block.count;
  return total;
}

/* ---- scopes (RFC 2730 3.10) ------------------------------------------------------------------ */

/* A view with no octets is the empty list without its count, which 3.10's minimum length 0
   allows. */
MadcapScopeIter madcap_scopes(const MadcapMessage *msg)
{
  bool there = madcap_has(msg, MADCAP_OPTION_SCOPE_LIST) && msg->scope_list.length > 0;
  MadcapScopeIter iter = {
    .reader = mal_reader(msg->scope_list.data, there ? msg->scope_list.length : 0),
    .family = msg->family,
  };
  if (there)
    iter.left = mal_read_u8(&iter.reader);
  return iter;
}

static bool name_next(MalReader *r, MadcapNameView *out)
{
  out->is_default = (mal_read_u8(r) & 0x80) != 0;
  out->language.length = mal_read_u8(r);
  out->language.data = mal_read_bytes(r, out->language.length);
  out->name.length = mal_read_u8(r);
  out->name.data = mal_read_bytes(r, out->name.length);
  return mal_reader_ok(r);
}

bool madcap_scopes_next(MadcapScopeIter *iter, MadcapScopeView *out)
{
  MalReader *r = &iter->reader;
  MadcapNameView name;
  if (iter->left == 0 || !mal_reader_ok(r))
    return false;
  iter->left--;
  out->first = mal_read_address(r, iter->family);
  out->last = mal_read_address(r, iter->family);
  out->ttl = mal_read_u8(r);
  out->n_names = mal_read_u8(r);

  MalReader ahead = *r;
  for (unsigned i = 0; i < out->n_names && mal_reader_ok(&ahead); i++)
    name_next(&ahead, &name);
  if (!mal_reader_ok(&ahead)) {
    mal_reader_fail(r);
    return false;
  }
  out->names.length = ahead.offset - r->offset;
  out->names.data = mal_read_bytes(r, out->names.length);
  return mal_reader_ok(r);
}

size_t madcap_scopes_count(const MadcapMessage *msg)
{
  return madcap_scopes(msg).left;
}

MadcapNameIter madcap_names(const MadcapScopeView *scope)
{
  return (MadcapNameIter){
    .reader = mal_reader(scope->names.data, scope->names.length),
    .left = scope->n_names,
  };
}

bool madcap_names_next(MadcapNameIter *iter, MadcapNameView *out)
{
  if (iter->left == 0)
    return false;
  iter->left--;
  return name_next(&iter->reader, out);
}

/* ---- nesting (RFC 2907 3.2, 5) --------------------------------------------------------------- */

size_t madcap_nesting_octets(size_t count)
{
  return count == 0 ? 0 : count * ((count - 1 + 7) / 8);
}

/* The diagonal is not on the wire: columns right of it stand one to the left. */
bool madcap_nests(const MadcapMessage *msg, size_t x, size_t y)
{
  size_t count = msg->nesting_count;
  if (!madcap_has(msg, MADCAP_OPTION_NESTING) || msg->nesting_ignored || x >= count || y >= count)
    return false;
  if (x == y)
    return true;
  size_t bit = y < x ? y : y - 1;
  MalReader r = mal_reader(msg->nesting.data, msg->nesting.length);
  mal_read_skip(&r, x * ((count - 1 + 7) / 8) + bit / 8);
  return (mal_read_u8(&r) >> (7 - bit % 8) & 1) != 0;
}

/* ---- extra data of errors (RFC 2730 3.17.1 to 3.17.5) ---------------------------------------- */

bool madcap_error_option(const MadcapMessage *msg, uint16_t *option)
{
  if (!madcap_has(msg, MADCAP_OPTION_ERROR) || msg->error_data.length != 2 ||
      (msg->error_code != MADCAP_ERROR_NOT_COMPLETED &&
       msg->error_code != MADCAP_ERROR_INVALID_REQUEST))
    return false;
  MalReader r = mal_reader(msg->error_data.data, 2);
  *option = mal_read_u16(&r);
  return true;
}

bool madcap_error_time(const MadcapMessage *msg, uint32_t *time)
{
  if (!madcap_has(msg, MADCAP_OPTION_ERROR) || msg->error_data.length != 4 ||
      msg->error_code != MADCAP_ERROR_CLOCK_SKEW)
    return false;
  MalReader r = mal_reader(msg->error_data.data, 4);
  *time = mal_read_u32(&r);
  return true;
}
