/* Several MASC zones of one scope, joined by virtual sessions, under a virtual clock: for tests of
   the machines. What goes from one to another is encoded and decoded again. Ends may also be open:
   the test is the peer. */
#ifndef MASC_BED_H
#define MASC_BED_H

#include "plugins/masc/masc-zone-private.h"

#define MASC_BED_NODES 16
#define MASC_BED_EPOCH ((MalTime)962409600)
#define MASC_BED_SCOPE "233.252.0.0-233.252.255.255"
/* With MASC_BED_SIX the same tests run over IPv6: their addresses are the last 32 bits of
   ff1e::/96, and their lengths count from there. */
#ifdef MASC_BED_SIX
#define MASC_BED_LENGTH(n) ((n) + 96)
#define MASC_BED_LONGEST longest6     /* of MascLimits */
#define MASC_BED_SHORTEST shortest6
#else
#define MASC_BED_LENGTH(n) (n)
#define MASC_BED_LONGEST longest4
#define MASC_BED_SHORTEST shortest4
#endif

typedef struct MascBed MascBed;

/* What one zone said to one peer, or what was answered to what that peer said. */
typedef struct {
  unsigned node, peer;
  MascClaim claim;
  uint8_t subcode;          /* answers only */
} MascSaid;

typedef struct {
  MascBed *bed;
  unsigned index;
  MascZone *zone;
  MascZoneConfig config;
  int64_t skew;             /* its wall clock is so many seconds ahead */
  GHashTable *kept;         /* GBytes -> GBytes */
  unsigned n_peers;
  unsigned notes[MASC_N_NOTES];
  MascId noted[MASC_N_NOTES];
  uint64_t noted_n[MASC_N_NOTES];
} MascBedNode;

/* Both ends of a session; B MASC_NO_PEER: open. */
typedef struct {
  unsigned a, b;            /* nodes */
  unsigned peer_a, peer_b;  /* what A calls B, B calls A */
  MascId domain, node, parent;
  MascRole a_is;            /* what A is to B */
  bool up;
} MascBedLink;

struct MascBed {
  int64_t mono;
  MascParams params;        /* short: 1000 s of waiting period, 100 s of extra holding */
  MascBedNode nodes[MASC_BED_NODES];
  unsigned n;
  GArray *links;            /* MascBedLink */
  GArray *sent;             /* MascSaid: all that was sent */
  GArray *answers;          /* MascSaid: all that was refused */
  GArray *flying;           /* MascSaid: to joined ends */
  uint64_t seed;
};

MascBed *masc_bed_new(void);
void masc_bed_free(MascBed *bed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MascBed, masc_bed_free)
MascNow masc_bed_now(const MascBed *bed, unsigned node);
/* The wall clock as a Claim Timestamp, AGO seconds earlier. */
uint32_t masc_bed_time(const MascBed *bed, int64_t ago);

unsigned masc_bed_add(MascBed *bed, MascId domain, MascId node, bool top);
/* The link's number. The session is up. PARENT: of siblings. */
unsigned masc_bed_join(MascBed *bed, unsigned a, unsigned b, MascRole a_is, MascId parent);
/* An open end of NODE, which is WE_ARE to it: the peer's id. The session is up. */
unsigned masc_bed_open(MascBed *bed, unsigned node, MascRole we_are, MascId domain, MascId parent);
void masc_bed_up(MascBed *bed, unsigned link);
void masc_bed_down(MascBed *bed, unsigned link);
/* Started anew, its links up again; with what it had kept, or with an empty disk. */
void masc_bed_reboot(MascBed *bed, unsigned node, bool disk);
/* What the peer at an open end says; the answer. */
uint8_t masc_bed_say(MascBed *bed, unsigned node, unsigned peer, const MascClaim *claim);
/* Delivers until nothing flies: how many. */
unsigned masc_bed_settle(MascBed *bed);
/* Time passes, deadlines are met. */
void masc_bed_pass(MascBed *bed, int64_t seconds);
void masc_bed_clear(MascBed *bed);        /* SENT and ANSWERS */
/* How many of that type NODE sent to PEER since then; the last one in *OUT (may be NULL). */
unsigned masc_bed_sent(const MascBed *bed, unsigned node, unsigned peer, MascClaimType type,
                       MascClaim *out);

/* A claim of 30 days (holdings) or of a waiting period, made now. */
MascClaim masc_bed_claim(const MascBed *bed, MascClaimType type, MascRole role, MascId domain,
                         const char *prefix);
MalPrefix masc_bed_prefix(const char *text);
MalSpan masc_bed_span(const char *text);
/* What masc_bed_prefix reads; MAL_SPAN_STRLEN octets. */
const char *masc_bed_format(MalPrefix prefix, char *text);

typedef struct {
  MascClaim claims[64];
  size_t n;
} MascBedRecords;
/* What is in the cache of that domain; 0: of all. */
MascBedRecords masc_bed_records(const MascBed *bed, unsigned node, MascId domain);
/* Is one of that type, domain and prefix in it? */
bool masc_bed_has(const MascBed *bed, unsigned node, MascClaimType type, MascId domain,
                  const char *prefix);

#endif
