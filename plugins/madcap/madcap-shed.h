/* What to drop unread while more comes than can be answered: a pure controller. Its one input is
   how long datagrams wait for us; its output, what part of each class to drop, such that they
   wait MADCAP_SHED_TARGET. The system drops them (mal_udp_shed), so the excess costs no time of
   ours.  Classes go one after the other: nothing of the next is dropped while any of the one
   before is let in, so that leases which are there live longest. */
#ifndef MADCAP_SHED_H
#define MADCAP_SHED_H

#include "core/shed.h"

G_BEGIN_DECLS

typedef enum {
  MADCAP_SHED_NEW,            /* DISCOVER, GETINFO, and what is none of ours */
  MADCAP_SHED_WANTED,         /* REQUEST: something was spent on it already */
  MADCAP_SHED_HELD,           /* RENEW, RELEASE */
  MADCAP_SHED_CLASSES,
} MadcapShedClass;

/* All in microseconds. GRACE: so long may they wait too long before anything is dropped. */
#define MADCAP_SHED_TARGET INT64_C(25000)
#define MADCAP_SHED_GRACE INT64_C(50000)
#define MADCAP_SHED_INTERVAL INT64_C(10000)

typedef struct {
  bool open;                  /* within an interval */
  int64_t begun;              /* of it; or when the last one ended */
  int64_t least;              /* lag in it; INT64_MAX: none was noted */
  unsigned seen;              /* classes in it, bits */
  int64_t late;               /* since when the lag is too long; INT64_MAX: it isn't */
  int64_t sum;                /* of what was too long, as pressure */
  int64_t pressure;           /* 0 to MAL_UDP_ALL for each class */
} MadcapShed;

void madcap_shed_init(MadcapShed *shed, int64_t mono);
MadcapShedClass madcap_shed_class(uint8_t type);
/* After a batch: what it held, and how long it waited. True where what is to be dropped has
   changed. */
bool madcap_shed_note(MadcapShed *shed, unsigned seen, int64_t lag, int64_t mono);
/* Of MAL_UDP_ALL. */
unsigned madcap_shed_part(const MadcapShed *shed, MadcapShedClass class);
void madcap_shed_say(const MadcapShed *shed, MalUdpShed *out);
/* When to note a lag of 0 if nothing comes until then; INT64_MAX: no need. */
int64_t madcap_shed_due(const MadcapShed *shed);

G_END_DECLS
#endif
