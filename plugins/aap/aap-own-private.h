/* What the files of own allocations share: the table of blocks (aap-own.c), the messages that
   announce them (aap-own-announce.c), and what others said about them (aap-conflict.c). */
#ifndef AAP_OWN_PRIVATE_H
#define AAP_OWN_PRIVATE_H

#include "aap-zone-private.h"

G_BEGIN_DECLS

#define AAP_ENDS_LATEST 16

/* End times advertised for an address, in the order of their first use: bounded to the first and
   the latest. Those of a former life of this process are not known one by one: any until
   BEFORE_RESTART may have been. */
typedef struct {
  MalTime ends[1 + AAP_ENDS_LATEST];
  unsigned n;
  MalTime before_restart; /* MAL_BEGINNING: all are in ENDS */
} AapAdvertised;

void aap_advertised_add(AapAdvertised *ends, MalTime end, MalTime now);
bool aap_advertised_match(const AapAdvertised *ends, MalTime end, int64_t tolerance);
void aap_advertised_shift(AapAdvertised *ends, int64_t delta);

typedef struct AapAnnouncement AapAnnouncement;

/* One own allocation as it is stored. END is on the disk, NEXT_END on its way there. */
typedef struct {
  MalSpan span;
  MalTime end, next_end, since;
  AapAdvertised ends;
  int64_t retry; /* the disk failed: when it is tried again; AAP_NEVER: it did not */
  AapAnnouncement *announcement;
  bool kept, adopted, ending;
} AapBlock;

/* One AIU message. Not STEADY: in back-off, INTERVAL is the one that runs (0: the first AIU is
   still to leave). */
struct AapAnnouncement {
  GPtrArray *blocks; /* AapBlock, borrowed, by address */
  GArray *said;      /* spans of the last message; NULL: none was sent */
  size_t n_ranges;   /* of the last message; what joined since counts fully */
  uint32_t rseq;
  uint8_t mseq;
  bool numbered;     /* RSEQ is taken */
  bool unsent;       /* no message with RSEQ could leave yet */
  bool steady;
  int64_t interval, due, sent;
};

/* What one peer said about addresses of ours. */
typedef struct {
  MalEndpoint peer;
  AapIntervals *notes;  /* AapEchoNote */
  AapIntervals *claims; /* int64_t: when it was heard with an ACLM or AITU */
  int64_t heard;
} AapVoice;

typedef struct {
  int64_t since, renewed;
} AapEchoNote;

/* What was ours, as long as somebody may still defend it for us. */
typedef struct {
  MalSpan span;
  MalTime end;
  AapAdvertised ends;
  int64_t made, answered;
  unsigned answers;
} AapTombstone;

struct AapOwns {
  AapZone *zone;
  GTree *blocks;             /* AapBlock by first address */
  GHashTable *writes;        /* first address -> confirmations that are still to come */
  AapIntervals *told;        /* MalTime: what ops->owned said and ops->gone did not take back */
  GPtrArray *announcements;  /* AapAnnouncement */
  GPtrArray *voices;         /* AapVoice */
  GArray *tombstones;        /* AapTombstone */
  MalTime next_end;          /* nothing ends before that */
  int64_t retry;             /* no write is tried again before that */
  int64_t voices_due;        /* nothing that was said is too old before that */
  bool uneven;               /* blocks left their messages: fewer may do */
};

/* ---- aap-own.c ------------------------------------------------------------------------------- */

AapBlock *aap_owns_find(const AapOwns *owns, MalAddress first);
/* The first block that ends at or after AT. */
AapBlock *aap_owns_from(const AapOwns *owns, MalAddress at);
AapBlock *aap_owns_after(const AapOwns *owns, const AapBlock *block);
/* The unended stretches of SPAN, allocated until END, that are available, with the end that
   follows: neighbours with one end as one. */
void aap_owns_effective(const AapZone *zone, MalSpan span, MalTime end, AapOwnFunc func,
                        void *data);
/* Takes SPAN out of the blocks, exactly: to a conflict, or a collision while it is written. */
void aap_owns_lose(AapZone *zone, MalSpan span);

/* ---- aap-own-announce.c ---------------------------------------------------------------------- */

void aap_announce_new(AapZone *zone, AapBlock *block);
/* REST is what was split off BLOCK: announced in the same message. */
void aap_announce_split(const AapBlock *block, AapBlock *rest);
void aap_announce_remove(AapZone *zone, AapBlock *block);
/* Quickly: its end changed, or somebody holds an old one. */
void aap_announce_again(AapZone *zone, AapBlock *block, bool spread);
void aap_announce_started(AapZone *zone);
void aap_announce_run(AapZone *zone);
int64_t aap_announce_due(const AapOwns *owns);
void aap_announcement_free(gpointer announcement);
void aap_announce_let_go(AapOwns *owns); /* the numbers, before all are freed */

/* ---- aap-conflict.c -------------------------------------------------------------------------- */

void aap_voice_free(gpointer voice);
void aap_conflict_run(AapZone *zone);
int64_t aap_conflict_due(const AapOwns *owns);
bool aap_conflict_is_suspended(const AapOwns *owns, MalSpan span);
/* BLOCK went for good: who still defends it will be told. */
void aap_conflict_bury(AapZone *zone, const AapBlock *block);
/* SPAN is ours again, or no longer: what was said about it before doesn't count. */
void aap_conflict_forget(AapZone *zone, MalSpan span);
void aap_conflict_unbury(AapOwns *owns, MalSpan span);
void aap_conflict_clock_stepped(AapOwns *owns, int64_t delta);

G_END_DECLS
#endif
