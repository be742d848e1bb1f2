/* masc-bed with what OWN says to the world: routes, what the MAASs may use, a disk that can be slow
   or broken, and a planner that wishes what the test tells it to. One bed for a test. */
#ifndef MASC_OWN_BED_H
#define MASC_OWN_BED_H

#include "plugins/masc/masc-own.h"
#include "tests/unit/masc-bed.h"

#define OWN_HOUR ((int64_t)3600)
#define OWN_DAY ((int64_t)86400)

typedef struct {
  GArray *local, *routes;   /* MascShown */
  GArray *uses;             /* MascUse */
  GArray *wishes[2];        /* MascWish: of the planner for the MAASs, for children */
  MascPlanView seen;        /* the last view; only its numbers */
  unsigned plans;
  bool slow, broken;        /* the disk: answers when the test says so; fails */
  uint64_t asked, answered; /* tickets */
} OwnNode;

typedef struct {
  MascBed *bed;
  OwnNode nodes[MASC_BED_NODES];
} OwnBed;

OwnBed *own_bed_new(void);
void own_bed_free(OwnBed *own);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OwnBed, own_bed_free)
unsigned own_bed_add(OwnBed *own, MascId domain, MascId node, bool top);
void own_bed_reboot(OwnBed *own, unsigned node, bool disk);
MascOwns *own_bed_owns(const OwnBed *own, unsigned node);

/* A wish of the planner's, and the plan at once. */
void own_bed_wish(OwnBed *own, unsigned node, MascWishKind kind, const char *prefix,
                  const char *from);
/* The same of the plan for children's sake. */
void own_bed_wish_parent(OwnBed *own, unsigned node, MascWishKind kind, const char *prefix,
                         const char *from);
/* Claims and has it. */
void own_bed_win(OwnBed *own, unsigned node, const char *prefix);
void own_bed_use(OwnBed *own, unsigned node, const char *span);
void own_bed_unuse(OwnBed *own, unsigned node);
/* What the slow disk has to do is done, or fails. */
void own_bed_disk(OwnBed *own, unsigned node, bool ok);

/* Domain 2 as node 0, with open ends: a parent, domain 1, that manages 233.252.0.0/17 for 30 days,
   and a sibling, domain 3. */
#define OWN_PARENT 0
#define OWN_SIBLING 1
OwnBed *own_bed_child(void);
/* A top-level domain 2 as node 0 with an open sibling, domain 3: peer 0. */
OwnBed *own_bed_top(void);
/* The peer at an open end says TYPE of PREFIX, of its own, AGO seconds old. The answer. */
uint8_t own_bed_say(OwnBed *own, unsigned peer, MascClaimType type, const char *prefix,
                    int64_t ago);
/* As own_bed_say, of domain and node as given. */
uint8_t own_bed_say_of(OwnBed *own, unsigned peer, MascClaimType type, const char *prefix,
                       int64_t ago, MascRole role, MascId domain, MascId node);
void own_bed_pass(OwnBed *own, int64_t seconds);

/* As text, sorted, "" for none; the caller frees. */
char *own_bed_held(const OwnBed *own, unsigned node, bool lower);
char *own_bed_local(const OwnBed *own, unsigned node);
char *own_bed_routes(const OwnBed *own, unsigned node);
/* What is pending, renewals marked by "r:". */
char *own_bed_pending(const OwnBed *own, unsigned node);
unsigned own_bed_notes(const OwnBed *own, unsigned node, MascNote note);
MalTime own_bed_until(const OwnBed *own, unsigned node, const char *prefix);

#define own_expect(text, want)                                                                     \
  do {                                                                                             \
    g_autofree char *is_ = (text);                                                                 \
    cr_expect_str_eq(is_, (want), "\"%s\", not \"%s\"", is_, (want));                              \
  } while (0)

#endif
