/* The workload of SIGCOMM 98: leaves below top-level domains, each asking for a block of 256
   addresses every other day; each block lives for 30 days. What it does to the claim algorithm is
   measured here: under an idealised world, and with real zones and real messages. */
#ifndef MASC_WORKLOAD_H
#define MASC_WORKLOAD_H

#include "plugins/masc/masc-plan.h"

G_BEGIN_DECLS

#define HOUR 3600
#define DAY 86400
#define BLOCK_LIFE (720 * (int64_t)HOUR)
#define EPOCH ((MalTime)1767225600)     /* 2026-01-01; the workload's day 0 */

typedef struct {
  unsigned tlds, children, days, from;  /* scored from that day on */
  uint64_t seed;
  double scale;                         /* gaps times that */
  bool uneven;                          /* 0.4 to 1.6 times the children, rates from 1/4 to 4 */
  bool ideal;
  int64_t latency;                      /* microseconds of a link, at most */
  const char *csv, *svg;
  bool quiet;
} Options;

/* ---- random numbers: splitmix64, one stream for each purpose --------------------------------- */

typedef struct {
  uint64_t state;
} Dice;
uint64_t dice_roll(Dice *dice);
uint64_t dice_between(Dice *dice, uint64_t low, uint64_t high);    /* both included */
double dice_unit(Dice *dice);                                      /* [0, 1) */

/* ---- events: a heap, by time, then by order of arrival --------------------------------------- */

typedef struct {
  int64_t time;
  uint64_t serial;
  uint32_t kind, who;
  void *data, *more;
} Event;
typedef struct {
  Event *events;
  size_t n, room;
  uint64_t serial;
} Agenda;
void agenda_add(Agenda *agenda, int64_t time, uint32_t kind, uint32_t who, void *data, void *more);
bool agenda_next(Agenda *agenda, Event *out);
void agenda_clear(Agenda *agenda);

/* ---- a leaf's clients ------------------------------------------------------------------------ */

typedef struct {
  MalPrefix prefix;
  MalTime until;
  bool deprecated;
} Room;
typedef struct {
  uint32_t unit;      /* its address without the last 8 bits */
  MalTime until;
} Block;
typedef struct {
  Dice dice;
  double gap;         /* of all gaps, times this */
  Room *rooms;        /* the largest first, then by address */
  unsigned n_rooms;
  Block *blocks;      /* by address */
  unsigned n_blocks, most_blocks;
  unsigned queue;
  MalTime next_request, next_end;
} Demand;

void demand_init(Demand *demand, uint64_t seed, double gap);
void demand_clear(Demand *demand);
/* The room that there is now. Blocks outside of it are cut short: how many. */
unsigned demand_set_rooms(Demand *demand, const Room *rooms, unsigned n);
typedef struct {
  uint64_t requests, waited;
} Served;
/* All that is due: ends first, then requests, then the queue. */
Served demand_run(Demand *demand, MalTime now);
MalTime demand_due(const Demand *demand);

/* ---- the score ------------------------------------------------------------------------------- */

typedef struct {
  double u;
  double rib, rib_max;                  /* on that day: average over the top-level domains */
  double blocks, claimed;
} Day;
typedef struct {
  Options options;
  GArray *days;                         /* Day */
  uint64_t requests, waited;            /* in the days that are scored, as all that follows */
  uint64_t updates_leaf, updates_tld;   /* claim attributes that were originated */
  uint64_t messages, claims, collisions, hints, refused, clashes;
  uint64_t overlaps, cut;               /* of all days */
  double prefixes_leaf, prefixes_tld;
  unsigned n_leaves, n_samples;
  bool scoring;
} Score;

void score_init(Score *score, const Options *options, unsigned n_leaves);
void score_clear(Score *score);
/* Once a day: prefixes in use of each top-level domain (N_TLD) and of its children. */
void score_day(Score *score, unsigned day, double blocks, double claimed, const unsigned *own,
               const unsigned *below, unsigned n_tlds);
typedef struct {
  double u, rib, rib_max, waited, updates_leaf, updates_tld, prefixes_leaf, prefixes_tld;
} Summary;
Summary score_summary(const Score *score);
void score_print(const Score *score);
void score_plot(const Score *score);
bool score_csv(const Score *score, const char *path);
bool score_svg(const Score *score, const char *path);

/* How many children each top-level domain has, and each leaf's rate. */
unsigned tree_children(const Options *options, unsigned tld);
double tree_gap(const Options *options, unsigned leaf);

void ideal_run(Score *score);
void real_run(Score *score);

G_END_DECLS
#endif
