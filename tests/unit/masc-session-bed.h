/* MASC sessions on a virtual wire under a virtual clock. With two ends they talk to each other,
   over connections with latency that cut the stream anywhere and break; with one end the test is
   the other one, with octets made by hand. */
#ifndef MASC_SESSION_BED_H
#define MASC_SESSION_BED_H

#include "plugins/masc/masc-session.h"

#define MASC_BED_EPOCH ((MalTime)962409600)
#define MASC_BED_PIPES 4096
#define S(n) ((int64_t)(n)*MASC_SECOND)

typedef struct MascBed MascBed;

typedef struct {
  MascBed *bed;
  unsigned index;
  MascSession *session;      /* NULL: down, or the test itself */
  GString *said;             /* what it did since masc_bed_said: "OPEN; NOTIFICATION 5.1; close" */
  GByteArray *octets;        /* of the last message */
  MascLink said_on;          /* that link */
  GArray *claims;            /* MascClaim, as they came */
  uint8_t refuse;            /* what `claim` answers */
  MascClaimType refuse_type; /* to claims of this type */
  GArray *dump;              /* MascClaim: what `up` sends */
  bool up, no_connect;       /* `connect` says 0 */
  bool full;                 /* `send` takes nothing */
  unsigned take;             /* though full: so many messages */
  size_t room;               /* octets on their way that `send` takes; 0: any */
  bool deaf;                 /* reads nothing */
  unsigned ups, downs[MASC_N_DOWNS], updates, notes[MASC_N_SESSION_NOTES];
  MascSessionDetail last[MASC_N_SESSION_NOTES]; /* without views */
  MascClaim refused;                            /* of the last MASC_SESSION_RECEIVED, the last */
  size_t n_refused;
  MascLink connecting;                          /* the last one that was asked for */
} MascEnd;

struct MascBed {
  int64_t now;
  MascEnd ends[2];
  unsigned n;
  GPtrArray *events; /* on their way */
  struct {
    bool open[2];
    int64_t last[2];  /* the latest arrival at each end */
    size_t flying[2]; /* octets towards each end */
  } pipes[MASC_BED_PIPES];
  MascLink n_pipes;
  int64_t delay, jitter;
  bool split; /* streams arrive in pieces */
  bool cut;   /* nothing arrives until it is whole again */
  uint64_t seed, serial;
};

MascBed *masc_bed_new(uint64_t seed);
void masc_bed_free(MascBed *bed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MascBed, masc_bed_free)
/* The RFC's times; domain 64501 node 192.0.2.1 is ROLE to whoever it talks to. */
MascSessionConfig masc_bed_config(MascRole role);
/* The other side of CONFIG: 64502, or its own domain's, node 192.0.2.2. */
MascSessionConfig masc_bed_peer_config(const MascSessionConfig *config);
MascEnd *masc_bed_add(MascBed *bed, const MascSessionConfig *config);
/* Forgets the session and its connections, which the other end does not see until it uses them. */
void masc_bed_crash(MascBed *bed, unsigned end);
void masc_bed_restart(MascBed *bed, unsigned end, const MascSessionConfig *config);
void masc_bed_run(MascBed *bed, int64_t until);
void masc_bed_pass(MascBed *bed, int64_t time); /* masc_bed_run from now on */
MascNow masc_bed_now(const MascBed *bed);
uint64_t masc_bed_random(MascBed *bed, uint64_t low, uint64_t high);
/* "" where it did nothing. Valid until the next call. */
const char *masc_bed_said(MascEnd *end);
/* Whether the last message is HEX. */
bool masc_bed_octets_are(const MascEnd *end, const char *hex);
MascSessionStatus masc_bed_status(const MascEnd *end);
/* Aborts where a session is at fault, or both ends are established on different connections for
   good. */
void masc_bed_check(const MascBed *bed);

/* ---- one end, and the test ------------------------------------------------------------------- */

#define MASC_BED_OPEN "0014 01 00 01 05 00f0 0000fbf6 c0000202 00000000" /* a child, 240 s */
#define MASC_BED_OPEN_NO_HOLD "0014 01 00 01 05 0000 0000fbf6 c0000202 00000000"
#define MASC_BED_KEEPALIVE "0004 04 00"
#define MASC_BED_CEASE "0006 03 00 07 00"
#define MASC_BED_NOTE "0006 03 00 83 0a" /* UPDATE, Invalid Address, kept open */
/* One NEW_CLAIM of 233.252.0.0/24. */
#define MASC_BED_CLAIM(type, role)                                                                 \
  "0024" type "00 00" role "0000 395d5e80 00278d00 0002a300 0000fbf6 c0000202 e9fc0000 ffffff00"
#define MASC_BED_UPDATE "0028 02 00" MASC_BED_CLAIM("03", "04")

/* A child of ours, as the octets above say: we are its parent. */
MascEnd *masc_bed_alone(MascBed *bed, const MascSessionConfig *config);
/* Hexadecimal. */
void masc_bed_feed(MascEnd *end, MascLink link, const char *hex);
/* An incoming connection; 0: turned away. */
MascLink masc_bed_call(MascEnd *end);
/* Brings a fresh session to STATE by connections of ours; the link (0 in Idle and Active). What it
   said is forgotten. */
MascLink masc_bed_reach(MascEnd *end, MascState state, const char *open);

#endif
