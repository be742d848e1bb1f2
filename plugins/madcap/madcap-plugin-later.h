/* DISCOVERs that came when nothing was owned to offer from, while layer 2 was asked for more: heard
   once more when owned space comes. So the client has its OFFER then, and not only after its next
   retransmission, which comes no sooner than 4 s after the first (RFC 2730 2.3). */
#ifndef MADCAP_PLUGIN_LATER_H
#define MADCAP_PLUGIN_LATER_H

#include "core/plugin.h"
#include "madcap-server.h"

G_BEGIN_DECLS

typedef struct MadcapLater MadcapLater;

typedef void (*MadcapLaterFunc)(const MadcapArrival *from, const uint8_t *data, size_t length,
                                void *data_of);

MadcapLater *madcap_later_new(const MalHost *host, MadcapLaterFunc func, void *data_of);
void madcap_later_free(MadcapLater *later);
/* A hold was refused with WHY: what is being received may be for later. */
void madcap_later_refused(MadcapLater *later, const MalRefusal *why);
/* After a message was received: kept, where a hold was refused meanwhile and it came by multicast
   (others were refused by a NAK). */
void madcap_later_received(MadcapLater *later, const MadcapArrival *from, const uint8_t *data,
                           size_t length);

G_END_DECLS
#endif
