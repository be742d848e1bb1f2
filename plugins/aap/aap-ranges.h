/* Lists of ranges as AAP messages carry them: what overlaps is united, per address the latest end
   time counts (draft-ietf-malloc-aap-04 sections 3.2.2, 5.4); and the requests of an ASRP
   (3.2.10.3). Steps go with the number of ranges (n log n), never with that of addresses. */
#ifndef AAP_RANGES_H
#define AAP_RANGES_H

#include "aap-params.h"
#include "aap-wire.h"

G_BEGIN_DECLS

/* The union of RANGES, of one family: OUT, which holds 2 * N, gets disjoint ranges in ascending
   order, each address with the greatest of its values, and neighbours of one value as one. Returns
   how many. RANGES is scratch afterwards. */
size_t aap_ranges_unite(AapRange *ranges, size_t n, AapRange *out);
/* Whether two unions (of aap_ranges_unite) hold the same addresses, whatever the values. */
bool aap_ranges_same_addresses(const AapRange *a, size_t n_a, const AapRange *b, size_t n_b);
/* Addresses of a union; saturates. */
MalU128 aap_ranges_addresses(const AapRange *ranges, size_t n);

/* Index of the first of disjoint ascending EXTENTS (AapExtent) that ends at or after AT. */
guint aap_extents_from(const GArray *extents, MalAddress at);

/* For the wire: more than 0xFFFFFFFE addresses in use are AAP_IN_USE_MANY. */
uint32_t aap_in_use_to_wire(MalU128 count);

/* Combines requests until not more than LIMIT (at least 1) are left: always the two whose end times
   are closest, the earlier ones among equals; counts add up (saturating), the later end time stays.
   In place, sorted by end time afterwards; those for no address go. Returns how many are left. */
size_t aap_requests_combine(AapRequest *requests, size_t n, size_t limit);

G_END_DECLS
#endif
