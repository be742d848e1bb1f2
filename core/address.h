/* Multicast and unicast addresses of both families in one type, with 128-bit arithmetic.
   Addresses, spans and prefixes go by value and own nothing. */
#ifndef MAL_ADDRESS_H
#define MAL_ADDRESS_H

#include "api.h"

G_BEGIN_DECLS

/* IANA address family numbers, as MADCAP (RFC 2730 2.1.3), AAP and MASC carry them. */
typedef enum {
  MAL_FAMILY_NONE = 0,
  MAL_IPV4 = 1,
  MAL_IPV6 = 2,
} MalFamily;

__extension__ typedef unsigned __int128 MalU128;

typedef struct {
  MalU128 value;      /* host order; IPv4 in the low 32 bits */
  MalFamily family;   /* MAL_FAMILY_NONE: no address */
} MalAddress;

/* first..last, both included, one family, first <= last. */
typedef struct {
  MalAddress first;
  MalAddress last;
} MalSpan;

/* A run of addresses as a lease holds it. */
typedef struct {
  MalAddress first;
  uint32_t count;     /* at least 1 */
} MalBlock;

typedef struct {
  MalAddress address; /* host bits zero */
  unsigned length;    /* 0..32 or 0..128 */
} MalPrefix;

/* An address with a UDP or TCP port; scope_id is the interface index where the address is
   link-local IPv6, else 0. */
typedef struct {
  MalAddress address;
  uint16_t port;
  uint32_t scope_id;
} MalEndpoint;

#define MAL_ADDRESS_STRLEN 48   /* any address as text, with the NUL */
#define MAL_SPAN_STRLEN 96
#define MAL_ENDPOINT_STRLEN 72

MAL_API MalAddress mal_address_none(void);
MAL_API MalAddress mal_address_ipv4(uint32_t host_order);
MAL_API MalAddress mal_address_make(MalFamily family, MalU128 value);
/* From 4 or 16 octets in network order. Any other length gives MAL_FAMILY_NONE. */
MAL_API MalAddress mal_address_from_bytes(MalFamily family, const uint8_t *bytes, size_t length);
/* Writes 4 or 16 octets, returns how many (0 for MAL_FAMILY_NONE). OUT holds 16. */
MAL_API size_t mal_address_to_bytes(MalAddress address, uint8_t *out);
/* Strict numeric text of either family; no host names. */
MAL_API bool mal_address_parse(const char *text, MalAddress *out, GError **error);
MAL_API const char *mal_address_format(MalAddress address, char out[MAL_ADDRESS_STRLEN]);
MAL_API int mal_address_compare(MalAddress a, MalAddress b);  /* by family, then value */
MAL_API bool mal_address_equal(MalAddress a, MalAddress b);
MAL_API bool mal_address_is_multicast(MalAddress address);
MAL_API size_t mal_family_octets(MalFamily family);           /* 4, 16, or 0 */
MAL_API const char *mal_family_name(MalFamily family);        /* "ipv4", "ipv6", "none" */
MAL_API bool mal_family_parse(const char *text, MalFamily *out);
/* ADDRESS + N; false (OUT untouched) where that leaves the family's space. */
MAL_API bool mal_address_add(MalAddress address, MalU128 n, MalAddress *out);
MAL_API bool mal_address_sub(MalAddress address, MalU128 n, MalAddress *out);

/* "A-B", "A/len" or "A" alone. */
MAL_API bool mal_span_parse(const char *text, MalSpan *out, GError **error);
MAL_API const char *mal_span_format(MalSpan span, char out[MAL_SPAN_STRLEN]);
MAL_API MalU128 mal_span_size(MalSpan span);                  /* saturates at 2^128 - 1 */
MAL_API bool mal_span_contains(MalSpan outer, MalSpan inner);
MAL_API bool mal_span_has(MalSpan span, MalAddress address);
MAL_API bool mal_span_overlaps(MalSpan a, MalSpan b);
MAL_API bool mal_span_intersect(MalSpan a, MalSpan b, MalSpan *out);
MAL_API MalSpan mal_span_of_block(MalBlock block);
MAL_API MalSpan mal_span_of_prefix(MalPrefix prefix);
MAL_API MalBlock mal_block_make(MalAddress first, uint32_t count);
/* "A" or "A-B". OUT as for a span. */
MAL_API const char *mal_block_format(MalBlock block, char out[MAL_SPAN_STRLEN]);
/* The blocks as "A-B,C,D-E"; the caller frees. */
MAL_API char *mal_blocks_format(const MalBlock *blocks, size_t count);
/* Parses what mal_blocks_format wrote; OUT is an array of MalBlock, owned by the caller. */
MAL_API GArray *mal_blocks_parse(const char *text, GError **error);

MAL_API bool mal_prefix_parse(const char *text, MalPrefix *out, GError **error);
/* The largest aligned prefix that starts at SPAN.first and fits in it: cutting these off one after
   the other gives the minimal prefix list of a span. */
MAL_API MalPrefix mal_prefix_first_of(MalSpan span);

/* "192.0.2.1:2535", "[2001:db8::1]:2535", or without a port where it is 0. */
MAL_API const char *mal_endpoint_format(MalEndpoint endpoint, char out[MAL_ENDPOINT_STRLEN]);
MAL_API bool mal_endpoint_parse(const char *text, uint16_t default_port, MalEndpoint *out,
                                GError **error);
MAL_API bool mal_endpoint_equal(MalEndpoint a, MalEndpoint b);

/* The number of the Ethernet group that the address maps to: the low 23 bits for IPv4 (RFC 1112
   6.4), the low 32 for IPv6 (RFC 2464 7). Groups of the two families never meet. */
MAL_API uint32_t mal_address_ethernet_group(MalAddress address);

G_END_DECLS
#endif
