/* Times and parameters that the machines of MASC share (RFC 2909 section 6, Appendix A). */
#ifndef MASC_PARAMS_H
#define MASC_PARAMS_H

#include "masc-limits.h"

G_BEGIN_DECLS

/* Both clocks at one instant: microseconds that never step, and seconds since 1970 that may. Claims
   are about the latter; what we wait for counts in the former. */
typedef struct {
  int64_t mono;
  MalTime wall;
} MascNow;

#define MASC_NEVER INT64_MAX
#define MASC_SECOND ((int64_t)1000000)

typedef enum { MASC_CLASH_AUTOMATIC, MASC_CLASH_MANUAL } MascClashMode;

/* Seconds where nothing else is said. Borrowed by the machines; changed in place by a reload. */
typedef struct {
  int64_t waiting_period;       /* [WAITING_PERIOD] */
  int64_t initiate_claim_delay; /* [INITIATE_CLAIM_DELAY] */
  int64_t prefix_lifetime;      /* asked for in a claim: 30 days (18) */
  int64_t renew_interval;       /* re-claim each prefix so often: 48 h (17.1.6) */
  int64_t plan_interval;        /* the claim algorithm runs at least so often: 12 h */
  int64_t extra_holding;        /* 12.3: 24 h */
  MascClashMode clash;
  MascLimits limits;            /* what we accept of others (8.3) */
  unsigned flood_limit;         /* colliding claims of a domain within a waiting period; 0: none */
  unsigned unit4, unit6;        /* prefix length of the smallest claim: 24, 120 */
  unsigned max_prefixes;        /* 0: as the algorithm likes */
  bool claim;                   /* no: defends what it has, and claims nothing by itself */
} MascParams;

/* The defaults of RFC 2909 and Appendix A. */
void masc_params_init(MascParams *params);

G_END_DECLS
#endif
