/* Everybody's claims that a zone knows (RFC 2909 11.1, 12.3): found by prefix, by domain, by what a
   message says. A newer PREFIX_IN_USE of the same domain and prefix takes the place of the older
   one; a WITHDRAW stays as long as what it withdraws could come back. */
#ifndef MASC_CACHE_H
#define MASC_CACHE_H

#include "core/hash.h"
#include "masc-compare.h"
#include "masc-params.h"

G_BEGIN_DECLS

#define MASC_CACHE_MAX 65536      /* records; beyond, of the origin with most the oldest goes */
#define MASC_NO_PEER UINT32_MAX

typedef struct MascCache MascCache;

typedef struct {
  MascClaim claim;        /* role: updated by Table 1, so what the origin is to us */
  MascId parent;          /* upper arena: the parent domain, 0 among top-level domains; lower: our
                             own */
  MalTime forget_at;      /* Holdtime's end and the extra holding (12.3) */
  uint32_t from;          /* the peer that told it first; MASC_NO_PEER: ourselves, or the disk */
  bool names;             /* WITHDRAW: of the pending claim that it names, and of nothing else */
  bool clash;             /* WITHDRAW: of a clash's loser, with the winner's timestamp (12.4) */
  bool suspect;           /* counted by masc-flood */
  uint64_t serial;        /* order of arrival; 0: not in the cache */
  uint64_t ticket;        /* with which it was written last */
} MascRecord;

/* OWN's records are never the ones that go. KEY: random; so nobody can aim at one bucket, or at a
   lopsided tree. */
MascCache *masc_cache_new(MascId own, const MalHashKey *key);
void masc_cache_free(MascCache *cache);
size_t masc_cache_size(const MascCache *cache);
/* Records stay where they are until they are removed; but for the flags nothing in them may
   change. NULL: full, masc_cache_victim has to go first. The same one must not be there. */
MascRecord *masc_cache_add(MascCache *cache, const MascRecord *record);
/* The oldest record of the origin that has most; NULL where all are OWN's. */
MascRecord *masc_cache_victim(const MascCache *cache);
void masc_cache_remove(MascCache *cache, MascRecord *record);
/* OLD out, RECORD in, in one step. Of the same domain and prefix; neither is a hint. */
MascRecord *masc_cache_replace(MascCache *cache, MascRecord *old, const MascRecord *record);
/* The same message (11.1), or NULL. */
MascRecord *masc_cache_same(const MascCache *cache, const MascClaim *claim);
/* FUNC: false stops. It may remove the record at hand, and no other one. By domain and serial. */
typedef bool (*MascRecordFunc)(MascRecord *record, void *data);
void masc_cache_each(const MascCache *cache, MascRecordFunc func, void *data);
void masc_cache_each_of(const MascCache *cache, MascId domain, MascRecordFunc func, void *data);
/* Those whose prefix overlaps PREFIX (hints never), by address, the larger first. FUNC may change
   the cache as it likes. */
void masc_cache_overlapping(const MascCache *cache, MalPrefix prefix, MascRecordFunc func,
                            void *data);
/* The same, faster: FUNC must not change the cache. */
void masc_cache_look(const MascCache *cache, MalPrefix prefix, MascRecordFunc func, void *data);
/* There are records of PREFIX, and none of smaller ones in it: a look there is short. */
bool masc_cache_is_apart(const MascCache *cache, MalPrefix prefix);
/* The PREFIX_MANAGED of parents (MascRecord), by arrival. A view. */
const GPtrArray *masc_cache_grounds(const MascCache *cache);
/* Of one in the cache: its domain has withdrawn nothing at all. */
bool masc_record_untouched(const MascRecord *record);
/* How many there are of that domain. */
size_t masc_cache_size_of(const MascCache *cache, MascId domain);
/* How many WITHDRAWs of that domain there are; 0: of all. */
size_t masc_cache_withdraws(const MascCache *cache, MascId domain);
/* These (MascRecord), by arrival; NULL: none. A view. */
const GPtrArray *masc_cache_withdraws_of(const MascCache *cache, MascId domain);
size_t masc_cache_hints(const MascCache *cache);
/* How many are of CHILD origin, and not OWN's. */
size_t masc_cache_children(const MascCache *cache);
/* The one with the earliest forget_at; NULL: none. */
MascRecord *masc_cache_first(const MascCache *cache);
/* That; MAL_FOREVER: none. */
MalTime masc_cache_due(const MascCache *cache);
/* Aborts where its parts disagree. */
void masc_cache_check(const MascCache *cache);

/* Of one domain and role: are both about the space of one parent? A parent of ours has prefixes of
   another one's, and, for its own use, of itself (12.2); both come as a sibling's. */
static inline bool masc_same_space(const MascRecord *a, const MascRecord *b)
{
  return a->claim.role != MASC_SIBLING || a->parent == 0 || b->parent == 0 ||
         a->parent == b->parent;
}
/* Does WITHDRAW count against RECORD (a PREFIX_IN_USE, or a parent's PREFIX_MANAGED)? One of its
   domain and arena does where they overlap: against what has its timestamp or an older one; one
   that settles a clash, against all that the domain has there. */
bool masc_withdraw_counts(const MascRecord *withdraw, const MascRecord *record);
/* Have such taken all of RECORD, which need not be in the cache? */
bool masc_cache_withdrawn(const MascCache *cache, const MascRecord *record);
/* Is something of RECORD in PREFIX left? What is withdrawn elsewhere doesn't matter. */
bool masc_cache_stands(const MascCache *cache, const MascRecord *record, MalPrefix prefix);
/* What is left of it: disjoint prefixes, sorted. At most MOST; how many. */
size_t masc_cache_remains(const MascCache *cache, const MascRecord *record, MalPrefix *out,
                          size_t most);

G_END_DECLS
#endif
