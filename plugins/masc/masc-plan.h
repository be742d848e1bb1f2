/* How much to claim, and where (RFC 2909 Appendix A, and the forecast of algorithm C): from what
   is in use and what was asked for to what should be claimed, grown, drained or given back. Pure:
   no message, no clock, randomness through a function. */
#ifndef MASC_PLAN_H
#define MASC_PLAN_H

#include "masc-params.h"

G_BEGIN_DECLS

typedef uint64_t (*MascRandom)(void *user, uint64_t low, uint64_t high); /* both included */

/* A prefix to claim from: our parent's, our own for local use, or all that a top-level domain has
   before it. */
typedef struct {
  MalPrefix prefix;
  MalTime until;      /* claims in it can't last longer */
  bool deprecated;    /* 4.3: nothing new is claimed of it, nothing in it renewed */
} MascGround;

/* A prefix of ours, or one that we are claiming: one entry each. A claim to grow stands beside what
   it would replace; what drains only in part stands as its parts, aligned, one of which drains.
   Those that are ours are disjoint. */
typedef struct {
  MalPrefix prefix;
  MalTime until;      /* pending: what was asked for */
  MalTime since;      /* when it was first ours, or claimed */
  bool pending;       /* not ours yet */
  bool grows;         /* pending: it would take the place of FROM, which is ours meanwhile */
  MalPrefix from;
  bool ends;          /* ours, can't be renewed, and its end is near: to be replaced */
  bool draining;      /* ours, deprecated by a MASC_WISH_DRAIN; MASC_WISH_KEEP ends it */
} MascHolding;

/* What is in use in our holdings: a leaf's blocks, a parent's children's claims (prefixes; what a
   child's claim to grow would replace is not counted twice). */
typedef struct {
  MalSpan span;
  MalTime until;
  bool pending;       /* a child's claim that is not in use yet */
} MascUse;

typedef struct {
  MalTime now;
  const MascGround *grounds;
  size_t n_grounds;
  const MalPrefix *busy;        /* of others, claimed or in use; sorted by address, may overlap */
  size_t n_busy;
  /* Where it is set, asked at most once, and only when something is to be claimed, instead. What it
     returns lives as long as the view. */
  const MalPrefix *(*busy_of)(void *data, size_t *n);
  void *busy_data;
  const MascHolding *holdings;  /* sorted by address */
  size_t n_holdings;
  const MascUse *uses;          /* sorted by address, disjoint */
  size_t n_uses;
  uint64_t waiting;             /* addresses that somebody waits for, or children's hints (11.5) */
  MalTime waiting_until;        /* how long they are wanted */
} MascPlanView;

typedef enum {
  MASC_WISH_CLAIM,    /* PREFIX, new */
  MASC_WISH_GROW,     /* PREFIX in place of FROM, and of other holdings that it covers */
  MASC_WISH_GIVE,     /* withdraw PREFIX, a holding or an aligned part of one, empty */
  MASC_WISH_DRAIN,    /* PREFIX, a holding or a part of one, is deprecated: renewed no more */
  MASC_WISH_KEEP,     /* PREFIX is deprecated no longer */
  MASC_WISH_HINT,     /* nothing fits: ask the parents for room for PREFIX.length (11.5); its
                         address is 0 */
} MascWishKind;

typedef struct {
  MascWishKind kind;
  MalPrefix prefix;
  MalPrefix from;
} MascWish;

/* The memory of one planner: arrivals and their gaps. */
typedef struct MascForecast MascForecast;

typedef enum {
  MASC_PLAN_LEAF,     /* what the MAASs of the domain ask for */
  MASC_PLAN_PARENT,   /* what children domains (ourselves among them) claim */
} MascPlanKind;

MascForecast *masc_forecast_new(MascPlanKind kind, MalFamily family, const MascParams *params);
void masc_forecast_free(MascForecast *forecast);
/* COUNT addresses were asked for (leaf). A parent's growth is seen in what it uses: ignored. */
void masc_forecast_arrived(MascForecast *forecast, uint64_t count, MalTime now);
/* For the store: its memory as octets (the caller frees), and back. False: not such octets. */
uint8_t *masc_forecast_save(const MascForecast *forecast, size_t *length);
bool masc_forecast_load(MascForecast *forecast, const uint8_t *octets, size_t length);

/* Renewals are not planned: whoever asks renews all that does not drain. To be asked again after
   each arrival, each claim that is won or lost, each change of grounds or of children's claims, and
   every plan_interval. Nothing is claimed of a ground that ends before a claim pays. With
   params->claim off there are no wishes.

   At most MOST wishes, the most urgent first; how many. NEXT: when to plan again at the latest
   though nothing happened (MAL_FOREVER: by plan_interval only). */
#define MASC_WISHES_MAX 8
size_t masc_plan(MascForecast *forecast, const MascPlanView *view, MascRandom random, void *user,
                 MascWish *wishes, size_t most, MalTime *next);

G_END_DECLS
#endif
