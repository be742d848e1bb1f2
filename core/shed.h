/* What a socket drops unread (mal_udp_shed), apart from the runtime: who decides it is pure. */
#ifndef MAL_SHED_H
#define MAL_SHED_H

#include "api.h"

G_BEGIN_DECLS

/* What to drop of each kind of datagram, as early as the system can, which costs next to nothing of
   our time. One octet tells the kind; whose octet is MAL_UDP_KINDS or more is of kind 0, and what
   is too short to have it is dropped while anything is. */
#define MAL_UDP_KINDS 16
#define MAL_UDP_ALL 1024
typedef struct {
  uint8_t octet;
  uint16_t drop[MAL_UDP_KINDS];   /* so many of MAL_UDP_ALL, at random */
} MalUdpShed;

G_END_DECLS
#endif
