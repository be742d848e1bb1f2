/* The arithmetic of addresses, spans, blocks and prefixes. Everything here works on the host-order
   128-bit value and keeps within the space of the family: nothing wraps. Text is in
   address-text.c. */
#include "address.h"

#include <string.h>

#define U128_MAX (~(MalU128)0)

/* What is exported may be replaced, so the compiler calls it even from here: what is asked for
   again and again stands in functions of the file's own. */
static unsigned family_bits(MalFamily family)
{
  return family == MAL_IPV4 ? 32 : family == MAL_IPV6 ? 128 : 0;
}

static MalU128 family_max(MalFamily family)
{
  return family == MAL_IPV4 ? (MalU128)UINT32_MAX : family == MAL_IPV6 ? U128_MAX : 0;
}

size_t mal_family_octets(MalFamily family)
{
  return family_bits(family) / 8;
}

const char *mal_family_name(MalFamily family)
{
  return family == MAL_IPV4 ? "ipv4" : family == MAL_IPV6 ? "ipv6" : "none";
}

bool mal_family_parse(const char *text, MalFamily *out)
{
  if (strcmp(text, "ipv4") == 0)
    *out = MAL_IPV4;
  else if (strcmp(text, "ipv6") == 0)
    *out = MAL_IPV6;
  else
    return false;
  return true;
}

MalAddress mal_address_none(void)
{
  return (MalAddress){ .value = 0, .family = MAL_FAMILY_NONE };
}

MalAddress mal_address_ipv4(uint32_t host_order)
{
  return (MalAddress){ .value = host_order, .family = MAL_IPV4 };
}

MalAddress mal_address_make(MalFamily family, MalU128 value)
{
  if (mal_family_octets(family) == 0 || value > family_max(family))
    return mal_address_none();
  return (MalAddress){ .value = value, .family = family };
}

MalAddress mal_address_from_bytes(MalFamily family, const uint8_t *bytes, size_t length)
{
  MalU128 value = 0;

  if (length == 0 || length != mal_family_octets(family))
    return mal_address_none();
  for (size_t i = 0; i < length; i++)
    value = value << 8 | bytes[i];
  return (MalAddress){ .value = value, .family = family };
}

size_t mal_address_to_bytes(MalAddress address, uint8_t *out)
{
  size_t length = mal_family_octets(address.family);
  MalU128 value = address.value;

  for (size_t i = length; i-- > 0; value >>= 8)
    out[i] = (uint8_t)value;
  return length;
}

int mal_address_compare(MalAddress a, MalAddress b)
{
  if (a.family != b.family)
    return a.family < b.family ? -1 : 1;
  return a.value < b.value ? -1 : a.value > b.value;
}

bool mal_address_equal(MalAddress a, MalAddress b)
{
  return a.family == b.family && a.value == b.value;
}

bool mal_address_is_multicast(MalAddress address)
{
  if (address.family == MAL_IPV4)
    return (uint32_t)address.value >> 28 == 0xe;
  return address.family == MAL_IPV6 && address.value >> 120 == 0xff;
}

bool mal_address_add(MalAddress address, MalU128 n, MalAddress *out)
{
  if (address.family == MAL_FAMILY_NONE || n > family_max(address.family) - address.value)
    return false;
  *out = (MalAddress){ .value = address.value + n, .family = address.family };
  return true;
}

bool mal_address_sub(MalAddress address, MalU128 n, MalAddress *out)
{
  if (address.family == MAL_FAMILY_NONE || n > address.value)
    return false;
  *out = (MalAddress){ .value = address.value - n, .family = address.family };
  return true;
}

uint32_t mal_address_ethernet_group(MalAddress address)
{
  uint32_t low = (uint32_t)address.value;
  return address.family == MAL_IPV4 ? low & 0x7fffff : low;
}

MalU128 mal_span_size(MalSpan span)
{
  if (span.first.family == MAL_FAMILY_NONE)
    return 0;
  MalU128 distance = span.last.value - span.first.value;
  return distance == U128_MAX ? U128_MAX : distance + 1;
}

static bool has(const MalSpan *span, const MalAddress *address)
{
  return address->family != MAL_FAMILY_NONE && span->first.family == address->family
         && span->first.value <= address->value && address->value <= span->last.value;
}

bool mal_span_has(MalSpan span, MalAddress address)
{
  return has(&span, &address);
}

bool mal_span_contains(MalSpan outer, MalSpan inner)
{
  return has(&outer, &inner.first) && has(&outer, &inner.last);
}

bool mal_span_overlaps(MalSpan a, MalSpan b)
{
  return a.first.family != MAL_FAMILY_NONE && a.first.family == b.first.family
         && a.first.value <= b.last.value && b.first.value <= a.last.value;
}

bool mal_span_intersect(MalSpan a, MalSpan b, MalSpan *out)
{
  if (!mal_span_overlaps(a, b))
    return false;
  *out = (MalSpan){
    .first = a.first.value > b.first.value ? a.first : b.first,
    .last = a.last.value < b.last.value ? a.last : b.last,
  };
  return true;
}

MalSpan mal_span_of_block(MalBlock block)
{
  MalSpan span = { block.first, block.first };

  if (block.count > 1 && !mal_address_add(block.first, block.count - 1, &span.last))
    span.last.value = family_max(block.first.family);
  return span;
}

MalSpan mal_span_of_prefix(MalPrefix prefix)
{
  unsigned host = family_bits(prefix.address.family) - prefix.length;
  MalU128 mask = host >= 128 ? U128_MAX : ((MalU128)1 << host) - 1;
  MalAddress last = { .value = prefix.address.value | mask, .family = prefix.address.family };

  if (prefix.length > family_bits(prefix.address.family))
    last = prefix.address;
  return (MalSpan){ prefix.address, last };
}

MalBlock mal_block_make(MalAddress first, uint32_t count)
{
  return (MalBlock){ .first = first, .count = count };
}

static unsigned trailing_zeros(MalU128 value)
{
  uint64_t low = (uint64_t)value, high = (uint64_t)(value >> 64);

  if (low != 0)
    return (unsigned)__builtin_ctzll(low);
  return high != 0 ? 64 + (unsigned)__builtin_ctzll(high) : 128;
}

static unsigned floor_log2(MalU128 value)
{
  uint64_t high = (uint64_t)(value >> 64);

  if (high != 0)
    return 127 - (unsigned)__builtin_clzll(high);
  return 63 - (unsigned)__builtin_clzll((uint64_t)value);
}

MalPrefix mal_prefix_first_of(MalSpan span)
{
  MalU128 distance = span.last.value - span.first.value;
  unsigned bits = family_bits(span.first.family);

  if (bits == 0)
    return (MalPrefix){ .address = mal_address_none() };
  unsigned fits = distance == U128_MAX ? 128 : floor_log2(distance + 1);
  unsigned host = MIN(trailing_zeros(span.first.value), fits);
  return (MalPrefix){ .address = span.first, .length = bits - host };
}
