/* Our own claims (RFC 2909 sections 5, 12, 14), inside of a zone: what we hold, what we are
   claiming, what of it is told to the routes and to the MAASs.

   What we hold is never written down twice. It follows from the claims of our own domain in the
   cache: at each address the newest PREFIX_IN_USE of ours that no WITHDRAW has taken there counts,
   of equally old ones the longest prefix. masc_own_refresh() derives that and tells the differences
   to whom they concern; everybody else changes records of the cache and calls masc_own_dirty(). */
#ifndef MASC_OWN_H
#define MASC_OWN_H

#include "masc-holes.h"
#include "masc-zone-private.h"

G_BEGIN_DECLS

#define MASC_UPPER 0
#define MASC_LOWER 1
#define MASC_DISK_PAUSE 10      /* seconds, until what could not be written is tried again */
/* A parent that has to claim itself has it after one waiting period; so long, in waiting periods,
   the one that was asked for room has time to bring more (11.5). */
#define MASC_HINT_PATIENCE 2
#define MASC_LEARNING 300       /* seconds after the start in which what is in use becomes known */

/* A prefix that is ours: all or a part of what one PREFIX_IN_USE of our domain is about. */
typedef struct {
  MalPrefix prefix;
  MascClaim claim;        /* its type as PREFIX_IN_USE, whatever an internal peer called it */
  MascId parent;
  MalTime until;
} MascHeld;

typedef enum {
  MASC_PEND_DELAYED,      /* 5.1 a: nobody was told yet */
  MASC_PEND_CLAIMING,     /* 5.1 b: its Claim-Timer runs */
  MASC_PEND_HELD_UP,      /* it is over, but nobody of that parent can have objected */
  MASC_PEND_KEEPING,      /* won; is being written */
  MASC_PEND_KEPT,         /* announced; the row waits until the cache's own is durable */
} MascPendState;

typedef struct {
  uint32_t id;
  MascPendState state;
  bool lower, hand, renews;
  unsigned tries;         /* claimed again after a denial (11.3.3) so often */
  MalPrefix prefix;
  MalPrefix from;         /* growth: what is ours meanwhile; else length 0 and no family */
  int64_t lifetime;       /* asked for; 0: the usual one */
  MascClaim claim;        /* CLAIMING on: as it was sent; KEEPING on: the PREFIX_IN_USE */
  MascId parent;
  int64_t due;            /* monotonic */
  int64_t claimed;        /* monotonic; when it was first sent */
  uint64_t ticket;
} MascPend;

/* What is known of a holding beyond its claim. */
typedef struct {
  MalPrefix prefix;
  bool lower;
  bool hand;              /* claimed by hand: never given back by itself */
  bool ended;             /* the operator knows that it is not renewed */
  MalTime since;
  unsigned denials;       /* of its renewal, in a row */
  int64_t again;          /* monotonic; then it is tried again */
} MascMark;

/* 12.4: PREFIX is used by DOMAIN and by us. */
typedef struct {
  MalPrefix prefix;
  bool lower;
  MascId domain;
  bool withheld;          /* manual: nobody has decided yet */
  bool keep;              /* decided by hand: we go on */
  bool won;
} MascClash;

/* A claim in the cache that is spread when TICKET is durable. */
typedef struct {
  MascClaim claim;
  uint64_t ticket;        /* 0: could not be written; tried again at AGAIN */
  int64_t again;          /* monotonic */
} MascLater;

/* A child's claim of what we don't manage. */
typedef struct {
  MascClaim claim;
  unsigned peer;
} MascStray;

/* The row of a claim, dropped; it would come back with a restart. */
typedef struct {
  uint32_t id;
  uint64_t ticket;        /* 0: could not be dropped; tried again at AGAIN */
  int64_t again;          /* monotonic */
} MascRow;

/* Since when a node of PARENT is in touch. */
typedef struct {
  MascId parent;
  int64_t since;
} MascTouch;

/* When DOMAIN was last answered with our claim of PREFIX, and when it is again, where neither side
   says anything new. */
typedef struct {
  MalPrefix prefix;
  MascId domain;
  int64_t at, pause;
  uint32_t ours, theirs;  /* the latest Claim Timestamps */
} MascDefended;

/* A prefix that a parent denied us, or that can't be claimed now, until when it is not tried
   again. */
typedef struct {
  MalPrefix prefix;
  int64_t until;          /* monotonic */
} MascAvoid;

/* What PARENT grants at most, as far as its denials said; until then (monotonic). */
typedef struct {
  MascId parent;
  unsigned too_large;     /* of that length and shorter it denies all; 0: nothing is known */
  int64_t larger_until;
  int64_t longest;        /* seconds */
  int64_t longer_until;
} MascBound;

/* What the routes or the MAASs were told. */
typedef struct {
  MalPrefix prefix;
  MalTime until;
  bool deprecated;
} MascShown;

typedef size_t (*MascPlanner)(MascForecast *forecast, const MascPlanView *view, MascRandom random,
                              void *user, MascWish *wishes, size_t most, MalTime *next);

struct MascOwns {
  GArray *held[2];        /* MascHeld, sorted, disjoint */
  GArray *pends;          /* MascPend */
  GArray *marks;          /* MascMark */
  GArray *clashes;        /* MascClash */
  GArray *routes;         /* MascShown: what `managed` told */
  GArray *shown;          /* MascShown: what `local` told */
  GArray *later;          /* what is spread once it is durable */
  GArray *rows;           /* MascRow */
  GArray *defended;       /* who was answered when */
  GArray *avoid;          /* prefixes that a parent denied */
  GArray *bounds;         /* MascBound */
  GArray *strays;         /* while we recover: children's claims that may be outside of ours */
  GArray *touch;          /* since when each parent domain is in touch */
  MascForecast *uses;     /* what the MAASs of the domain ask for */
  MascForecast *children; /* what children claim */
  MascPlanner planner;
  uint32_t next_id;
  uint64_t seen;          /* the newest of our records that was ours at the last refresh */
  bool leaf, dirty, asked;
  bool marks_changed, marks_lost; /* to be written; the disk refused them */
  uint64_t marks_ticket;
  int64_t due;            /* monotonic */
  int64_t plan_at, renew_at, end_at;
  int64_t give_at;        /* monotonic; from then on what isn't in use is given back */
  int64_t recovering_until;
  GArray *adopted;        /* MalSpan: what layer 2 took over, and we did not bring */
  int64_t adopt_at, adopt_until; /* monotonic: it is claimed then, and again as long as that */
  GArray *unclaimed;      /* MalPrefix: what of it the operator was told to claim */
  MascClaim hint;         /* the last one (11.5); domain 0: none */
  MascId hint_told;       /* whom it was told; 0: the internal peers */
  int64_t hinted_at;
  MascId hint_parent;     /* which parent is asked now, until when */
  int64_t hint_until;
  MalU128 hint_room;      /* what it had */
  unsigned denials;       /* in a row */
  uint64_t waiting;
  MalTime waiting_until;
  uint64_t short_of;      /* addresses that local use couldn't claim of what we hold */
  uint64_t claimed_below; /* by children, when the plan was made last */
  bool counted;           /* that was since the start */
};

/* ---- masc-own.c: life ------------------------------------------------------------------------ */

/* Something of ours changed: all that follows is done by the next run, at this same instant. */
void masc_own_dirty(MascZone *zone);
void masc_own_plan_soon(MascZone *zone, MascNow now);
void masc_own_plan_later(MascZone *zone, MascNow now);
/* Spreads CLAIM, which is in the cache, once TICKET is durable; at once for 0. */
void masc_own_spread_later(MascZone *zone, const MascClaim *claim, uint64_t ticket);
/* Monotonic, for a wall clock instant; MASC_NEVER for MAL_FOREVER. */
int64_t masc_own_mono(MascNow now, MalTime at);
/* SECONDS of monotonic time, in a way that doesn't overflow. */
int64_t masc_own_after(MascNow now, int64_t seconds);
/* How long a parent has to be in touch for its update exchange to be over, in seconds. */
int64_t masc_own_settle(const MascZone *zone);
/* Whether a peer is configured that is, or may turn out to be, a node of that parent domain. */
bool masc_own_has_parent(const MascZone *zone, MascId parent);
/* Since when a node of that parent domain is in touch; MASC_NEVER: none is. */
int64_t masc_own_touch_since(const MascZone *zone, MascId parent, bool lower);
/* Length of the smallest prefix that is claimed. */
unsigned masc_own_unit(const MascZone *zone);
int64_t masc_own_draw(MascZone *zone, MascNow now, int64_t seconds);

/* ---- masc-own-held.c: what is ours ----------------------------------------------------------- */

/* A record of our own domain, and one that says that something is in use. */
bool masc_own_is(const MascZone *zone, const MascClaim *claim, bool lower);
bool masc_own_in_use(const MascZone *zone, const MascClaim *claim, bool lower, MascNow now);
/* Derives what is held. The caller frees with g_array_unref. */
GArray *masc_own_derive(const MascZone *zone, bool lower, MascNow now);
/* Appends PREFIX without what of it is in TAKEN, which OUT must not be. */
void masc_prefix_minus(MalPrefix prefix, const MalPrefix *taken, size_t n, GArray *out);
const MascHeld *masc_own_find(const MascZone *zone, MalPrefix prefix, bool lower);
/* The one that covers PREFIX. */
const MascHeld *masc_own_covering(const MascZone *zone, MalPrefix prefix, bool lower);
/* Any that shares addresses with it. */
const MascHeld *masc_own_meeting(const MascZone *zone, MalPrefix prefix, bool lower);
/* The mark of a held prefix, made where there is none; valid until the next one is made. */
MascMark *masc_own_mark(MascZone *zone, MalPrefix prefix, bool lower, MascNow now);
void masc_own_refresh(MascZone *zone, MascNow now);
/* What is given up or deprecated is an aligned part of HELD: the rest gets a PREFIX_IN_USE of its
   own, as old as HELD's. */
void masc_own_split(MascZone *zone, const MascHeld *held, MalPrefix part, MascNow now);
/* A WITHDRAW of PREFIX, a part of HELD, that counts until LAST. */
void masc_own_withdraw(MascZone *zone, const MascHeld *held, MalPrefix prefix, MalTime last,
                       MascNow now);
/* 5.4. False: a part of no holding, or in use. */
bool masc_own_give(MascZone *zone, MalPrefix prefix, bool lower, MascNow now);
bool masc_own_used(const MascZone *zone, MalPrefix prefix, bool lower);
bool masc_own_drain(MascZone *zone, MalPrefix prefix, bool lower, bool on, MascNow now);

/* ---- masc-own-claim.c: what we claim --------------------------------------------------------- */

MascPend *masc_pend_add(MascZone *zone, const MascPend *pend, MascNow now);
/* Out of the list and the store. */
void masc_pend_drop(MascZone *zone, MascPend *pend);
/* It lost, was denied, or nobody needs it: others are told where that frees anything. */
void masc_pend_cancel(MascZone *zone, MascPend *pend, MascNow now);
/* The same; WITHDRAW false: others hear of it by what ends it. */
void masc_pend_end(MascZone *zone, MascPend *pend, bool withdraw, MascNow now);
/* All that only wait to be sent. */
void masc_pend_forget_delayed(MascZone *zone, bool lower, MascNow now);
bool masc_pend_is_claim(const MascPend *pend);    /* others know of it, and it isn't won */
MascPend *masc_pend_meeting(const MascZone *zone, MalPrefix prefix, bool lower);
/* 5.1 c: RECORD beside our claims. */
void masc_own_collide(MascZone *zone, const MascRecord *record, bool lower, MascNow now);
void masc_pends_run(MascZone *zone, MascNow now);
void masc_pends_kept(MascZone *zone, uint64_t through, bool ok, MascNow now);
void masc_pends_start(MascZone *zone, MascNow now);
/* Until when at the longest something in PREFIX could be ours; MAL_BEGINNING: there is no ground
   for it. DEPRECATED: also in what is deprecated. */
MalTime masc_own_ground(const MascZone *zone, MalPrefix prefix, bool lower, bool deprecated,
                        MascNow now);
/* A claim of our domain that an internal peer waits with: NEW_CLAIM or CLAIM_TO_EXPAND. */
bool masc_own_peer_claims(const MascZone *zone, const MascRecord *record, bool lower, MascNow now);

/* ---- masc-own-renew.c ------------------------------------------------------------------------ */

/* 5.2: claims again what has to be. */
void masc_own_renew(MascZone *zone, MascNow now);

/* ---- masc-own-told.c ------------------------------------------------------------------------- */

/* 11.7.4: HELD lies in what a parent withdrew, and in no other prefix of a parent. True where that
   was not known. */
bool masc_own_cut_lost(MascZone *zone, const MascHeld *held, MascNow now);
void masc_own_strays_run(MascZone *zone, MascNow now);

/* Is what others say is ours taken for true (14)? */
bool masc_own_recovering(const MascZone *zone, MascNow now);

/* ---- masc-own-adopt.c ------------------------------------------------------------------------ */

/* What was taken over is claimed, once recovery is over. */
void masc_own_adopt(MascZone *zone, MascNow now);

/* ---- masc-own-plan.c ------------------------------------------------------------------------- */

void masc_own_plan(MascZone *zone, MascNow now);
/* Spans and prefixes that children, and we as one, claim of what we hold. */
GArray *masc_own_children_uses(const MascZone *zone, MascNow now);      /* MascUse */

/* ---- masc-own-denied.c ----------------------------------------------------------------------- */

/* The planner sees PREFIX as busy for so long. */
void masc_own_avoid(MascZone *zone, MalPrefix prefix, int64_t seconds, MascNow now);
/* PARENT denies what is as large as a prefix of LENGTH. */
void masc_own_bound_size(MascZone *zone, MascId parent, unsigned length, MascNow now);
/* PREFIX, or the part of it that its parent may grant. */
MalPrefix masc_own_within_bound(const MascZone *zone, MalPrefix prefix, MascNow now);
/* The lifetime that PARENT grants, in seconds; INT64_MAX: no bound is known. */
int64_t masc_own_longest(const MascZone *zone, MascId parent, MascNow now);
/* HELD's renewal was denied, or its parent grants nothing that would last longer. */
void masc_own_renewal_denied(MascZone *zone, const MascHeld *held, bool lower, MascNow now);
/* HELD's renewal was denied again and again, and its end is near: it has to be replaced. */
bool masc_own_ends(const MascZone *zone, const MascHeld *held, const MascMark *mark, MascNow now);

/* ---- masc-own-hint.c: asking for room (11.5) ------------------------------------------------- */

/* For a prefix of LENGTH; not again too soon, unless for more. */
void masc_own_hint(MascZone *zone, unsigned length, MascNow now);
/* CLAIMED is being claimed: another parent than the one that has it need not bring it. */
void masc_own_hint_met(MascZone *zone, MalPrefix claimed, MascNow now);
/* False: DENIAL is about no hint of ours. */
bool masc_own_hint_denied(MascZone *zone, const MascClaim *denial, MascNow now);
/* Are internal peers in touch, and no parent? */
bool masc_own_asks_inside(const MascZone *zone);
/* Addresses that internal peers ask us for, who are in touch with a parent. */
uint64_t masc_own_wanted_inside(const MascZone *zone, MascNow now);
/* Appends the space of parents that are out of touch to OUT, if another one is in touch. */
void masc_own_unreachable(const MascZone *zone, MascNow now, GArray *out);

/* ---- masc-own-store.c ------------------------------------------------------------------------ */

uint64_t masc_pend_keep(MascZone *zone, const MascPend *pend, MascNow now);
void masc_pend_unkeep(MascZone *zone, const MascPend *pend);
/* What the store has dropped of that, or has not; when to try that again; trying it. */
void masc_rows_kept(MascZone *zone, uint64_t through, bool ok, MascNow now);
int64_t masc_rows_due(const MascZone *zone);
void masc_rows_run(MascZone *zone, MascNow now);
void masc_marks_keep(MascZone *zone, MascNow now);
void masc_marks_kept(MascZone *zone, uint64_t through, bool ok, MascNow now);
void masc_forecasts_keep(MascZone *zone);

/* ---- masc-local.c: the routes and the MAASs -------------------------------------------------- */

void masc_local_publish(MascZone *zone, MascNow now);
/* 12.2; true where it changed. */
bool masc_local_leaf(MascZone *zone, MascNow now);
/* What our MAASs use though nobody claims it is claimed for them: who comes back without a disk
   recovers its prefixes from its peers (14), but not what was its own of them. Before a plan. */
void masc_local_adopt(MascZone *zone, MascNow now);

/* ---- masc-clash.c ---------------------------------------------------------------------------- */

/* 12.4: what we hold beside what a rival uses. RETURNS: a WITHDRAW of ours is over; we lose to
   whoever is there. True where something was withdrawn. */
bool masc_clash_check(MascZone *zone, const MascHeld *held, bool lower, bool returns, MascNow now);
void masc_clash_rivalled(MascZone *zone, const MascRecord *record, MascNow now);
/* Clashes that are over. */
void masc_clash_tidy(MascZone *zone, MascNow now);
/* Something of PREFIX is withheld from use. */
bool masc_clash_withheld(const MascZone *zone, MalPrefix prefix, bool lower);
/* A domain that uses some of PREFIX as we do, since neither gave way; 0: none. */
MascId masc_clash_rival(const MascZone *zone, MalPrefix prefix, bool lower);
/* What is withheld: MalPrefix. The caller frees with g_array_unref. */
GArray *masc_clash_spots(const MascZone *zone, bool lower);
/* Appends where we gave way to OUT: nothing that we claim there would count. */
void masc_clash_lost(const MascZone *zone, bool lower, GArray *out);
/* 11.7.3: is there a WITHDRAW of ours that settled a clash inside of what HELD was claimed as, and
   ends before HELD does? What others take of that goes to LASTING (MalPrefix). */
bool masc_clash_passing(const MascZone *zone, const MascHeld *held, bool lower, GArray *lasting);
/* Answers a rival's claim of what is ours with ours, but not too often. */
void masc_clash_defend(MascZone *zone, const MascClaim *ours, MascId rival, uint32_t stamp,
                       MascNow now);

G_END_DECLS
#endif
