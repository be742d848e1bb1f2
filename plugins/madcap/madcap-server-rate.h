/* A token bucket for each source, in a table of fixed size: where it is full, the source that was
   silent longest among a few neighbours gives way. */
#ifndef MADCAP_SERVER_RATE_H
#define MADCAP_SERVER_RATE_H

#include "core/address.h"
#include "core/hash.h"

G_BEGIN_DECLS

typedef struct MadcapRate MadcapRate;

/* PER_SECOND at least 1; bursts of as many, but at least 4. */
MadcapRate *madcap_rate_new(const MalHashKey *key, uint32_t per_second, size_t sources);
void madcap_rate_free(MadcapRate *rate);
/* May SOURCE (an IPv4 address, the /64 of an IPv6 one) have one more? */
bool madcap_rate_take(MadcapRate *rate, MalAddress source, int64_t mono);

G_END_DECLS
#endif
