/* Several AAP zones of one scope on a virtual wire under a virtual clock, for tests of the
   machines. Messages go through the codec. Time runs in microseconds from AAP_BED_START; each node
   may have a clock of its own. */
#ifndef AAP_BED_H
#define AAP_BED_H

#include "plugins/aap/aap-zone.h"

#define AAP_BED_NODES 60
#define AAP_BED_EPOCH ((MalTime)962409600) /* wall clock at bed time 0 */
#define S(n) ((int64_t)(n)*AAP_US)

typedef struct AapBed AapBed;

typedef struct {
  int64_t at;     /* bed time */
  unsigned from;  /* node */
  AapMessage msg; /* decoded again; content owned by the bed */
  char text[AAP_DESCRIPTION_SIZE];
  uint8_t *octets;
  size_t length;
} AapSent;

typedef struct {
  AapBed *bed;
  unsigned index;
  AapZone *zone; /* NULL: down */
  AapSequence *sequence;
  MalEndpoint endpoint; /* 192.0.2.(index + 1):2878 */
  int64_t skew_s;       /* its wall clock is so far ahead */
  unsigned side;        /* nodes hear only those of their side (partitions) */
  bool deaf, mute;      /* mute: send says that nothing left */
  int64_t keep_delay;   /* ops->keep is confirmed so much later; -1: never */
  bool keep_fails;
  uint64_t leased;   /* what ops->use says of each block: so many, at most its size */
  GArray *owned;     /* MalSpan: what `owned` told and `gone` did not take */
  GArray *suspended; /* MalSpan */
  unsigned notes[AAP_N_NOTES], gone[4], failed, kept, forgotten;
  GHashTable *stored; /* first address -> AapOwn */
  uint8_t *asa;       /* as ops->asa gave it last */
  size_t asa_length;
  MalTime asa_received;
  GArray *announced; /* AapExtent of an ASA that is not available yet */
} AapNode;

struct AapBed {
  int64_t now;
  AapParams params; /* the draft's values; change before aap_bed_add */
  MalSpan scope;
  bool large;
  AapNode nodes[AAP_BED_NODES];
  unsigned n;
  GArray *sent;      /* AapSent, all that left */
  GPtrArray *flying; /* datagrams on their way, and confirmations */
  double loss;
  int64_t delay, jitter;
  uint64_t seed;
  AapScratch *scratch;
};

/* SCOPE "239.255.0.0-239.255.255.255" or the like; nothing is available until aap_bed_available. */
AapBed *aap_bed_new(const char *scope, bool large, uint64_t seed);
/* One node that preallocates in a small scope of which 239.255.1.0/24 is available; it listens. */
AapBed *aap_bed_with_pool(uint32_t size, uint32_t block);
void aap_bed_free(AapBed *bed);
/* A node, started (it listens until aap_bed_listened or its time comes). */
AapNode *aap_bed_add(AapBed *bed);
/* One that is still to be started: aap_zone_start. */
AapNode *aap_bed_add_stopped(AapBed *bed);
/* So many nodes of a large scope of 256 addresses, AAP_BED_SPACE, that may use all of it and listen
   no longer. Their pools extend nothing. */
#define AAP_BED_SPACE "233.252.0.0-233.252.0.255"
AapBed *aap_bed_of_owners(uint64_t seed, unsigned nodes);
/* "A-B;C-D", each until END (bed seconds; -1: no end), for all nodes that are there. */
void aap_bed_available(AapBed *bed, const char *spans, int64_t end_s);
/* Runs until all listen no longer. */
void aap_bed_listened(AapBed *bed);
void aap_bed_run(AapBed *bed, int64_t until);   /* bed time */
void aap_bed_crash(AapBed *bed, unsigned node); /* what is stored stays */
void aap_bed_restart(AapBed *bed, unsigned node, bool with_disk);
AapNow aap_bed_clock(const AapNode *node);
/* A message of nobody's (from 192.0.2.200) or of FROM reaches NODE now. Spans "A-B;C-D", END in bed
   seconds. */
void aap_bed_inject(AapNode *node, const char *from, AapType type, uint32_t rseq, const char *spans,
                    int64_t end_s);
void aap_bed_inject_octets(AapNode *node, const char *from, const uint8_t *octets, size_t length);
/* An ASA, whose clock says CLOCK_S (bed seconds; also what END and EXPIRES are in). */
void aap_bed_inject_asa(AapNode *node, const char *from, const char *spans, int64_t clock_s,
                        int64_t expires_s, int64_t end_s);
/* An ANA for COUNT addresses until END_S (bed seconds). */
void aap_bed_inject_ana(AapNode *node, const char *from, uint32_t rseq, uint32_t count,
                        int64_t end_s);
/* COUNT addresses are wanted of NODE for so many seconds. */
void aap_bed_want(AapNode *node, uint64_t count, int64_t seconds);
/* How many addresses layer 1 of NODE may use. */
uint64_t aap_bed_owned(const AapNode *node);
/* How many messages of TYPE left NODE (-1: any) since; LAST (may be NULL) is the last of them. */
unsigned aap_bed_count(const AapBed *bed, int node, AapType type, int64_t since,
                       const AapSent **last);
/* Bed times in tenths of a second, relative to SINCE, of NODE's messages of TYPE: "0 10 30 70". The
   caller frees. */
char *aap_bed_times(const AapBed *bed, int node, AapType type, int64_t since);
MalSpan aap_bed_span(const char *text);
/* SPANS ("A-B;C-D") become NODE's until END (bed seconds), as if it had won them. */
void aap_bed_own(AapNode *node, const char *spans, int64_t end_s);
/* Aborts where two nodes that are up own an address, or a zone's own check fails. */
void aap_bed_check(const AapBed *bed);

#endif
