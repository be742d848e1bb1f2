/* Everybody's claims that a zone knows (RFC 2909 11.1, 12.3): found by prefix, by domain, by what a
   message says. A newer PREFIX_IN_USE of the same domain and prefix takes the place of the older
   one; a WITHDRAW stays as long as what it withdraws could come back. */
#ifndef MASC_CACHE_H
#define MASC_CACHE_H

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
  uint64_t serial;        /* order of arrival */
} MascRecord;

MascCache *masc_cache_new(void);
void masc_cache_free(MascCache *cache);
size_t masc_cache_size(const MascCache *cache);
/* Records stay where they are until they are removed. NULL: full. */
MascRecord *masc_cache_add(MascCache *cache, const MascRecord *record);
void masc_cache_remove(MascCache *cache, MascRecord *record);
/* The same message (11.1), or NULL. */
MascRecord *masc_cache_same(const MascCache *cache, const MascClaim *claim);
/* FUNC: false stops. It may remove the record at hand, and no other one. By serial within a
   domain. */
typedef bool (*MascRecordFunc)(MascRecord *record, void *data);
void masc_cache_each(const MascCache *cache, MascRecordFunc func, void *data);
void masc_cache_each_of(const MascCache *cache, MascId domain, MascRecordFunc func, void *data);
/* Those whose prefix overlaps PREFIX (hints never), by address. */
void masc_cache_overlapping(const MascCache *cache, MalPrefix prefix, MascRecordFunc func,
                            void *data);
/* The earliest forget_at; MAL_FOREVER: none. */
MalTime masc_cache_due(const MascCache *cache);

/* Does a PREFIX_IN_USE (or a parent's PREFIX_MANAGED) still stand at every address of RECORD's
   prefix, or has a WITHDRAW of its domain taken all of it? A WITHDRAW counts against what has its
   timestamp or an older one; one that settles a clash (its timestamp and prefix are those of the
   winner) against all that its domain has there. */
bool masc_cache_withdrawn(const MascCache *cache, const MascRecord *record);
/* What is left of it: disjoint prefixes, sorted. At most MOST; how many. */
size_t masc_cache_remains(const MascCache *cache, const MascRecord *record, MalPrefix *out,
                          size_t most);

G_END_DECLS
#endif
