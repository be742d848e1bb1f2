/* Real zones of MASC on virtual links: what masc-workload-real*.c share. */
#ifndef MASC_WORKLOAD_REAL_H
#define MASC_WORKLOAD_REAL_H

#include "masc-workload.h"
#include "plugins/masc/masc-zone.h"

G_BEGIN_DECLS

#define NEIGHBOURS 4        /* siblings that a top-level domain talks to */

/* One message, encoded once, on its way to any number of receivers, and decoded by the first. */
typedef struct {
  unsigned refs;
  unsigned n_claims, n_faults;
  MascClaim *claims;        /* NULL: not decoded yet */
  uint16_t length;
  uint8_t octets[];
} Packet;

/* One direction of a session. */
typedef struct {
  uint32_t to;              /* node */
  unsigned peer;            /* what the sender is called there */
  int64_t latency;          /* microseconds */
} Link;

typedef struct Real Real;

typedef struct {
  Real *real;
  MascZone *zone;
  uint32_t index;
  unsigned tld;             /* its own number, or its parent's */
  bool leaf;
  Dice dice;
  Link **links;             /* by our peer number */
  unsigned n_links, n_siblings;
  int64_t armed;            /* the event that is going to run it */
  Demand demand;
  GArray *rooms;            /* Room: what `local` told */
  GArray *routes;           /* MalPrefix: what `managed` told */
  bool rooms_changed;
} Node;

struct Real {
  Score *score;
  MascParams leaf_params, tld_params;
  Node *nodes;              /* top-level domains first */
  unsigned n_tlds, n_nodes;
  Agenda agenda;
  int64_t now;              /* microseconds since EPOCH */
  Packet *last;             /* what was encoded last, for whom else it concerns */
  const Node *last_from;
  MascClaim *last_claims;
  size_t last_n, last_room;
  MascDeframer deframer;    /* a packet is a whole message: nothing stays in it */
};

enum { AT_PACKET, AT_NODE, AT_DEMAND, AT_DAY };

static inline MascNow real_now(const Real *real)
{
  return (MascNow){ real->now, EPOCH + real->now / MASC_SECOND };
}

/* ---- masc-workload-links.c ------------------------------------------------------------------- */

void real_link(Real *real, uint32_t a, MascRole a_is, uint32_t b, MascId parent, int64_t latency);
void real_send(Node *from, unsigned peer, const MascClaim *claims, size_t n);
void real_receive(Real *real, const Link *link, Packet *packet);
void real_packet_unref(Packet *packet);
void real_links_free(Real *real);
/* Its deadline may have changed. */
void real_arm(Node *node);

/* ---- masc-workload-check.c ------------------------------------------------------------------- */

/* Pairs of prefixes in use that overlap between siblings; children's outside of their parent's. */
uint64_t real_overlaps(const Real *real);

G_END_DECLS
#endif
