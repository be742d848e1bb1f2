/* What the allocator's files share. Internal to the allocator. */
#ifndef MAL_ALLOCATOR_PRIVATE_H
#define MAL_ALLOCATOR_PRIVATE_H

#include "allocator.h"
#include "allocator-index.h"

G_BEGIN_DECLS

/* A plane is a set of addresses of which no two share an Ethernet group: 2^23 IPv4 addresses, or
   the 2^32 of an IPv6 /96. Its number tells which of the addresses that share a key is meant. */
typedef struct {
  MalU128 base; /* its first address */
  MalFamily family;
} Plane;

/* Addresses of one plane that may be given out. */
typedef struct {
  MalU128 first;
  uint32_t more; /* how many follow the first */
  uint32_t plane;
} Piece;

typedef struct {
  unsigned scope;
  MalSpan span;
  MalTime until;
  MalU128 scope_last;
  uint32_t group_id_first, group_id_last;
  GArray *areas;               /* Piece: the span cut into planes and to the scope's group ids */
  GArray *usable;              /* Piece: of the areas, what may be given out but for reserves */
  GArray *pieces;              /* Piece: and without those. All three are sorted and disjoint */
  uint64_t n_usable, n_pieces; /* their addresses */
  uint64_t busy;               /* addresses held, as often as they are */
} OwnedRange;

typedef struct {
  MalSpan span;
  bool reserved;
  uint32_t id;
} BlockOut;

struct MalAllocator {
  MalEthernetPolicy policy;
  uint64_t random;
  MalIndex groups[2];    /* by Ethernet group, IPv4 and IPv6; unused under `ignore` */
  MalIndex addresses4;   /* by address; unused under `distinct`, as the next one */
  GPtrArray *addresses6; /* MalIndex *, one for each IPv6 plane */
  GArray *planes6;       /* Plane */
  GHashTable *plane_of;  /* MalU128 base -> number */
  GPtrArray *by_first;   /* OwnedRange *, owned, by address */
  GPtrArray *by_until;   /* the same, by scope, end, address */
  GArray *blocked;       /* BlockOut */
  uint32_t next_block_out;
  GArray *hints;         /* MalAddress by scope: the range where one was taken or given last */
};

/* Through which eyes the allocator looks. */
typedef enum {
  VIEW_GROUPS,    /* free: its Ethernet group is */
  VIEW_ADDRESSES, /* free: it is itself */
} View;

static inline bool has_view(const MalAllocator *a, View view)
{
  return view == VIEW_GROUPS ? a->policy != MAL_ETHERNET_IGNORE
                             : a->policy != MAL_ETHERNET_DISTINCT;
}

/* Which view tells what may be given out in the end. */
static inline View grant_view(const MalAllocator *a)
{
  return a->policy == MAL_ETHERNET_DISTINCT ? VIEW_GROUPS : VIEW_ADDRESSES;
}

/* ---- allocator-ranges.c ---------------------------------------------------------------------- */

#define PLANES4 512 /* the upper 9 bits of an IPv4 address */

/* Where VIEW keeps the addresses of a plane. */
MalIndex *mal_view_index(MalAllocator *a, View view, uint32_t plane);
MalKeys mal_view_keys(View view, uint32_t plane, MalU128 first, uint32_t more);
MalAddress mal_piece_address(const Piece *piece, View view, uint32_t key);
uint32_t mal_plane_number(MalAllocator *a, MalFamily family, MalU128 value);
/* The range of ADDRESS, or NULL. */
OwnedRange *mal_range_at(const MalAllocator *a, MalAddress address);
/* The first in by_until of SCOPE that ends at UNTIL or later; by_until->len where there is none. */
guint mal_range_first_until(const MalAllocator *a, unsigned scope, MalTime until);
/* The piece of RANGE with VALUE in it, or NULL. */
const Piece *mal_piece_at(const GArray *pieces, MalU128 value);
/* The areas of RANGE without what is never given out; without reserves, too, where those are not
   kept. */
GArray *mal_range_cut(const MalAllocator *a, const OwnedRange *range, bool keep_reserves);
/* Walks SPAN (of at most 256 planes) in parts that lie in one plane: DONE begins at 0; false at the
   end. */
bool mal_next_part(MalAllocator *a, MalSpan span, uint64_t *done, Piece *part);
/* Walks what of SPAN lies in ranges, as above, range by range; GAP is set where something lies in
   none. */
OwnedRange *mal_next_owned(const MalAllocator *a, MalSpan span, uint64_t *done, MalSpan *part,
                           bool *gap);
/* What OwnedRange.busy has to be, counted in VIEW, which must be there. */
uint64_t mal_range_held(MalAllocator *a, View view, const OwnedRange *range);
uint64_t mal_pieces_count(const GArray *pieces);

static inline const Piece *mal_piece(const GArray *pieces, guint i)
{
  return &g_array_index(pieces, Piece, i);
}

static inline OwnedRange *mal_range(const GPtrArray *ranges, guint i)
{
  return g_ptr_array_index(ranges, i);
}

G_END_DECLS
#endif
