/* Records as the store keeps them. */
#include <string.h>

#include "masc-update.h"

/* Key: 'r', format, then what makes a record another one: of holdings, the origin and the prefix
   only, so that a later one takes the place of an earlier one. Value: format, the claim, the
   bookkeeping. Numbers as everywhere on the wire. */
#define KIND 'r'
#define FORMAT 1
#define KEY_MAX 80
#define VALUE_MAX 128

enum { FLAG_DEPRECATED = 1, FLAG_NAMES = 2, FLAG_CLASH = 4, FLAGS = 7 };

typedef struct {
  MascZone *zone;
  uint64_t first, last;   /* tickets */
} Lost;

static void write_wide(MalWriter *w, MalU128 value)
{
  mal_write_u64(w, (uint64_t)(value >> 64));
  mal_write_u64(w, (uint64_t)value);
}

static MalU128 read_wide(MalReader *r)
{
  MalU128 high = mal_read_u64(r);
  return high << 64 | mal_read_u64(r);
}

static size_t write_key(const MascClaim *c, uint8_t *key)
{
  MalWriter w = mal_writer(key, KEY_MAX);
  mal_write_u8(&w, KIND);
  mal_write_u8(&w, FORMAT);
  write_wide(&w, c->domain);
  mal_write_u8(&w, (uint8_t)c->role);
  mal_write_u8(&w, (uint8_t)c->type);
  mal_write_u8(&w, (uint8_t)c->prefix.length);
  mal_write_u8(&w, (uint8_t)c->prefix.address.family);
  mal_write_address(&w, c->prefix.address);
  if (!masc_is_holding(c)) {
    mal_write_u8(&w, c->deprecated);
    mal_write_u32(&w, c->timestamp);
    mal_write_u32(&w, c->lifetime);
    mal_write_u32(&w, c->holdtime);
    write_wide(&w, c->node);
  }
  g_assert(mal_writer_ok(&w));
  return w.offset;
}

static size_t write_value(const MascRecord *record, uint8_t *value)
{
  const MascClaim *c = &record->claim;
  MalWriter w = mal_writer(value, VALUE_MAX);
  mal_write_u8(&w, FORMAT);
  mal_write_u8(&w, (uint8_t)c->type);
  mal_write_u8(&w, (uint8_t)c->role);
  mal_write_u8(&w, (uint8_t)((c->deprecated ? FLAG_DEPRECATED : 0) |
                             (record->names ? FLAG_NAMES : 0) | (record->clash ? FLAG_CLASH : 0)));
  mal_write_u32(&w, c->timestamp);
  mal_write_u32(&w, c->lifetime);
  mal_write_u32(&w, c->holdtime);
  write_wide(&w, c->domain);
  write_wide(&w, c->node);
  mal_write_u8(&w, (uint8_t)c->prefix.address.family);
  mal_write_u8(&w, (uint8_t)c->prefix.length);
  mal_write_address(&w, c->prefix.address);
  write_wide(&w, record->parent);
  mal_write_u64(&w, (uint64_t)record->forget_at);
  g_assert(mal_writer_ok(&w));
  return w.offset;
}

uint64_t masc_record_keep(MascZone *zone, MascRecord *record)
{
  uint8_t key[KEY_MAX], value[VALUE_MAX];
  MascKept kept = { .key = key, .value = value };
  if (zone->config.ops->keep == NULL)
    return 0;
  kept.key_length = write_key(&record->claim, key);
  kept.value_length = write_value(record, value);
  record->ticket = zone->config.ops->keep(zone->config.user, zone, &kept);
  return record->ticket;
}

static bool keep_lost(MascRecord *record, void *data)
{
  const Lost *lost = data;
  if (record->ticket >= lost->first && record->ticket <= lost->last)
    masc_record_keep(lost->zone, record);
  return true;
}

/* Nobody tells again what he told once (11.1), so what the disk refused is written as soon as it
   takes something: not before, or each refusal would be the next attempt. */
void masc_records_kept(MascZone *zone, uint64_t through, bool ok)
{
  Lost lost = { zone, zone->lost_first, zone->lost_last };
  if (!ok) {
    zone->lost_first = zone->lost_first == 0 ? through : zone->lost_first;
    zone->lost_last = through;
  } else if (zone->lost_last != 0) {
    zone->lost_first = zone->lost_last = 0;
    masc_cache_each(zone->cache, keep_lost, &lost);
  }
}

void masc_record_unkeep(MascZone *zone, const MascRecord *record)
{
  uint8_t key[KEY_MAX];
  MascKept kept = { .key = key };
  if (zone->config.ops->keep == NULL)
    return;
  kept.key_length = write_key(&record->claim, key);
  zone->config.ops->keep(zone->config.user, zone, &kept);
}

void masc_record_forget(MascZone *zone, MascRecord *record)
{
  masc_record_unkeep(zone, record);
  masc_cache_remove(zone->cache, record);
}

/* ---- and back -------------------------------------------------------------------------------- */

static bool read_claim(MalReader *r, MascRecord *record)
{
  MascClaim *c = &record->claim;
  uint8_t type = mal_read_u8(r), role = mal_read_u8(r), flags = mal_read_u8(r);
  c->timestamp = mal_read_u32(r);
  c->lifetime = mal_read_u32(r);
  c->holdtime = mal_read_u32(r);
  c->domain = read_wide(r);
  c->node = read_wide(r);
  uint8_t family = mal_read_u8(r);
  c->prefix.length = mal_read_u8(r);
  if (!mal_reader_ok(r) || type >= MASC_N_CLAIM_TYPES || role >= MASC_N_ROLES || flags > FLAGS ||
      (family != MAL_IPV4 && family != MAL_IPV6) ||
      c->prefix.length > mal_family_octets((MalFamily)family) * 8)
    return false;
  c->prefix.address = mal_read_address(r, (MalFamily)family);
  c->type = (MascClaimType)type;
  c->role = (MascRole)role;
  c->deprecated = (flags & FLAG_DEPRECATED) != 0;
  record->names = type == MASC_WITHDRAW && (flags & FLAG_NAMES) != 0;
  record->clash = type == MASC_WITHDRAW && (flags & FLAG_CLASH) != 0;
  return mal_reader_ok(r);
}

static bool fits(const MascZone *zone, const MascRecord *record)
{
  const MascClaim *c = &record->claim;
  bool denial_inside = c->type == MASC_CLAIM_DENIED && c->role == MASC_INTERNAL;
  if (c->prefix.address.family != zone->config.span.first.family || masc_claim_check(c) != 0)
    return false;
  if (c->role == MASC_INTERNAL && c->domain != zone->config.domain && !denial_inside)
    return false;
  if (c->prefix.address.family == MAL_IPV4 && (c->domain > UINT32_MAX || c->node > UINT32_MAX))
    return false;             /* no message has such identifiers (7.2) */
  /* A top-level domain has no parents any more. */
  return (c->role != MASC_PARENT || !zone->config.top) && masc_update_in_scope(zone, c);
}

bool masc_record_restore(MascZone *zone, const uint8_t *key, size_t key_length,
                         const uint8_t *value, size_t value_length, MascNow now)
{
  MalReader r = mal_reader(value, value_length);
  MascRecord record = { .from = MASC_NO_PEER };
  uint8_t again[KEY_MAX];
  if (mal_read_u8(&r) != FORMAT || !read_claim(&r, &record))
    return false;
  record.parent = read_wide(&r);
  record.forget_at = (MalTime)mal_read_u64(&r);
  if (!mal_reader_ok(&r) || mal_reader_left(&r) > 0 || !fits(zone, &record))
    return false;
  if (write_key(&record.claim, again) != key_length || memcmp(again, key, key_length) != 0)
    return false;
  /* Nothing outlasts what its message says, whatever is on the disk. */
  record.forget_at = MIN(record.forget_at,
                         masc_claim_forget_at(&record.claim, zone->config.params->extra_holding));
  /* It ended while we did not run: it never comes back. */
  if (record.forget_at <= now.wall) {
    masc_record_unkeep(zone, &record);
    return true;
  }
  if (masc_cache_same(zone->cache, &record.claim) != NULL)
    return true;
  masc_cache_add(zone->cache, &record);
  return true;
}
