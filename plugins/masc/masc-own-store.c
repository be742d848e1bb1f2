/* What OWN keeps on the disk (RFC 2909 13). Holdings are not among it: they are records of the
   cache. Keys: 'o' 'p' and a number: a claim of ours; 'o' 'm': marks, clashes, leaf or not; 'o' 'u'
   and 'o' 'c': the forecasts. */
#include "masc-own.h"

#define MASC_ROW_VERSION 1
#define MASC_MARKS_VERSION 3    /* 1 has no turn, 2 no end of what is taken over */
#define MASC_PEND_ROW 256
#define MASC_MARK_ROW 64
#define MASC_DENIALS_KEPT 31

/* ---- octets ---------------------------------------------------------------------------------- */

static void write_u128(MalWriter *w, MalU128 v)
{
  mal_write_u64(w, (uint64_t)(v >> 64));
  mal_write_u64(w, (uint64_t)v);
}

static MalU128 read_u128(MalReader *r)
{
  MalU128 high = mal_read_u64(r);

  return high << 64 | mal_read_u64(r);
}

static void write_prefix(MalWriter *w, MalPrefix p)
{
  mal_write_u8(w, (uint8_t)p.address.family);
  mal_write_u8(w, (uint8_t)p.length);
  write_u128(w, p.address.value);
}

/* Of FAMILY, or (where NONE is allowed) no prefix at all. */
static MalPrefix read_prefix(MalReader *r, MalFamily family, bool none)
{
  MalPrefix p = { .length = 0 };
  uint8_t is = mal_read_u8(r);

  p.length = mal_read_u8(r);
  p.address = mal_address_make((MalFamily)is, read_u128(r));
  if (is == MAL_FAMILY_NONE && none && p.length == 0)
    return (MalPrefix){ .length = 0 };
  if (is != family || p.length > masc_family_bits(family) ||
      !masc_prefix_equal(masc_prefix_widen(p, p.length), p))
    mal_reader_fail(r);
  return p;
}

static void write_claim(MalWriter *w, const MascClaim *c)
{
  mal_write_u8(w, (uint8_t)c->type);
  mal_write_u8(w, (uint8_t)c->role);
  mal_write_u8(w, c->deprecated);
  mal_write_u32(w, c->timestamp);
  mal_write_u32(w, c->lifetime);
  mal_write_u32(w, c->holdtime);
  write_u128(w, c->domain);
  write_u128(w, c->node);
  write_prefix(w, c->prefix);
}

static MascClaim read_claim(MalReader *r, MalFamily family)
{
  MascClaim c = { .type = (MascClaimType)mal_read_u8(r) };

  c.role = (MascRole)mal_read_u8(r);
  c.deprecated = mal_read_u8(r) != 0;
  c.timestamp = mal_read_u32(r);
  c.lifetime = mal_read_u32(r);
  c.holdtime = mal_read_u32(r);
  c.domain = read_u128(r);
  c.node = read_u128(r);
  c.prefix = read_prefix(r, family, true);
  if (c.type >= MASC_N_CLAIM_TYPES || c.role >= MASC_N_ROLES)
    mal_reader_fail(r);
  return c;
}

static uint64_t keep(MascZone *zone, const uint8_t *key, size_t key_length, const uint8_t *value,
                     size_t length)
{
  MascKept kept = { key, key_length, value, length };

  if (zone->config.ops->keep == NULL)
    return 0;
  return zone->config.ops->keep(zone->config.user, zone, &kept);
}

/* ---- claims ---------------------------------------------------------------------------------- */

static void pend_key(const MascPend *pend, uint8_t key[6])
{
  MalWriter w = mal_writer(key, 6);

  mal_write_u8(&w, 'o');
  mal_write_u8(&w, 'p');
  mal_write_u32(&w, pend->id);
}

/* What is left of the Claim-Timer, and when that was said by the wall clock. */
uint64_t masc_pend_keep(MascZone *zone, const MascPend *pend, MascNow now)
{
  uint8_t key[6], row[MASC_PEND_ROW];
  MalWriter w = mal_writer(row, sizeof row);
  int64_t left = pend->due == MASC_NEVER ? 0 : (pend->due - now.mono) / MASC_SECOND;

  pend_key(pend, key);
  mal_write_u8(&w, MASC_ROW_VERSION);
  mal_write_u8(&w, (uint8_t)pend->state);
  mal_write_u8(&w, (uint8_t)(pend->lower | pend->hand << 1 | pend->renews << 2));
  mal_write_u8(&w, (uint8_t)MIN(pend->tries, 255));
  write_prefix(&w, pend->prefix);
  write_prefix(&w, pend->from);
  mal_write_u64(&w, (uint64_t)pend->lifetime);
  write_claim(&w, &pend->claim);
  write_u128(&w, pend->parent);
  mal_write_u64(&w, (uint64_t)MAX(left, 0));
  mal_write_u64(&w, (uint64_t)now.wall);
  g_assert(mal_writer_ok(&w));
  return keep(zone, key, sizeof key, row, w.offset);
}

static void drop_row(MascZone *zone, uint32_t id)
{
  MascPend pend = { .id = id };
  MascRow row = { .id = id, .again = MASC_NEVER };
  uint8_t key[6];

  pend_key(&pend, key);
  row.ticket = keep(zone, key, sizeof key, NULL, 0);
  if (row.ticket != 0)
    g_array_append_val(zone->owns->rows, row);
}

void masc_pend_unkeep(MascZone *zone, const MascPend *pend)
{
  drop_row(zone, pend->id);
}

void masc_rows_kept(MascZone *zone, uint64_t through, bool ok, MascNow now)
{
  GArray *rows = zone->owns->rows;

  for (guint i = rows->len; i-- > 0;) {
    MascRow *row = &g_array_index(rows, MascRow, i);
    if (ok && row->ticket != 0 && row->ticket <= through) {
      g_array_remove_index(rows, i);
    } else if (!ok && row->ticket == through) {
      row->ticket = 0;
      row->again = masc_own_after(now, MASC_DISK_PAUSE);
      zone->owns->due = MIN(zone->owns->due, row->again);
    }
  }
}

int64_t masc_rows_due(const MascZone *zone)
{
  GArray *rows = zone->owns->rows;
  int64_t due = MASC_NEVER;

  for (guint i = 0; i < rows->len; i++)
    due = MIN(due, g_array_index(rows, MascRow, i).again);
  return due;
}

void masc_rows_run(MascZone *zone, MascNow now)
{
  GArray *rows = zone->owns->rows;

  for (guint i = rows->len; i-- > 0;) {
    MascRow row = g_array_index(rows, MascRow, i);
    if (row.again > now.mono)
      continue;
    g_array_remove_index(rows, i);
    drop_row(zone, row.id);
  }
}

/* Never shorter than promised: where the wall clock was set back meanwhile, all that was left is
   left. Where it was set ahead nobody knows; what others said is heard again before it is won. */
static int64_t due_again(const MascZone *zone, int64_t left, MalTime said, MascNow now)
{
  int64_t gone = now.wall > said ? now.wall - said : 0;

  left = CLAMP(left, 0, zone->config.params->waiting_period);
  left -= MIN(gone, left);
  return masc_own_after(now, MAX(left, masc_own_settle(zone)));
}

/* One of ours that could have been said. */
static bool is_ours(const MascZone *zone, const MascPend *p)
{
  const MascClaim *c = &p->claim;
  bool kept = p->state == MASC_PEND_KEEPING, in_use = c->type == MASC_PREFIX_IN_USE;
  bool pending = c->type == MASC_NEW_CLAIM || c->type == MASC_CLAIM_TO_EXPAND;

  if (!mal_span_contains(zone->config.span, mal_span_of_prefix(p->prefix)))
    return false;
  if (p->state == MASC_PEND_DELAYED)
    return true;
  return (kept ? in_use : pending) && c->domain == zone->config.domain &&
         c->role == (p->lower ? MASC_CHILD : MASC_INTERNAL) &&
         masc_prefix_equal(c->prefix, p->prefix) && masc_claim_check(c) == 0 &&
         (c->prefix.address.family != MAL_IPV4 || c->node <= UINT32_MAX);
}

static bool restore_pend(MascZone *zone, uint32_t id, MalReader *r, MascNow now)
{
  MalFamily family = zone->config.span.first.family;
  MascOwns *owns = zone->owns;
  MascPend p = { .id = id };
  uint8_t state = mal_read_u8(r), flags = mal_read_u8(r);

  p.tries = mal_read_u8(r);
  p.prefix = read_prefix(r, family, false);
  p.from = read_prefix(r, family, true);
  p.lifetime = (int64_t)mal_read_u64(r);
  p.claim = read_claim(r, family);
  p.parent = read_u128(r);
  int64_t left = (int64_t)mal_read_u64(r);
  MalTime said = (MalTime)mal_read_u64(r);
  if (!mal_reader_ok(r) || mal_reader_left(r) > 0 || state > MASC_PEND_KEPT || p.lifetime < 0)
    return false;
  p.state = state == MASC_PEND_KEPT ? MASC_PEND_KEEPING : (MascPendState)state;
  p.lower = flags & 1;
  p.hand = flags & 2;
  p.renews = flags & 4;
  if (!is_ours(zone, &p))
    return false;
  p.due = due_again(zone, left, said, now);
  p.claimed = now.mono;
  owns->next_id = MAX(owns->next_id, id + 1);
  g_array_append_val(owns->pends, p);
  return true;
}

/* ---- marks and clashes ----------------------------------------------------------------------- */

/* 11.5: whose turn it is to be asked for room. */
static void write_turn(MalWriter *w, const MascOwns *owns, MascNow now)
{
  int64_t left = (owns->hint_until - now.mono) / MASC_SECOND;

  write_u128(w, owns->hint_parent);
  write_u128(w, owns->hint_room);
  mal_write_u64(w, owns->hint_parent != 0 && left > 0 ? (uint64_t)mal_time_add(now.wall, left) : 0);
}

static void read_turn(MascZone *zone, MalReader *r, MascNow now)
{
  MascOwns *owns = zone->owns;
  MascId parent = read_u128(r);
  MalU128 room = read_u128(r);
  MalTime until = (MalTime)mal_read_u64(r);
  int64_t most = masc_own_after(now, MASC_HINT_PATIENCE * zone->config.params->waiting_period);

  if (!mal_reader_ok(r))
    return;
  owns->hint_parent = parent;
  owns->hint_room = room;
  owns->hint_until = until <= now.wall ? now.mono : masc_own_after(now, until - now.wall);
  owns->hint_until = MIN(owns->hint_until, most);
}

/* 14: until when what layer 2 took over is claimed. */
static void write_adopt(MalWriter *w, const MascOwns *owns, MascNow now)
{
  int64_t left = owns->adopt_until > now.mono ? (owns->adopt_until - now.mono) / MASC_SECOND : 0;

  mal_write_u64(w, left > 0 ? (uint64_t)mal_time_add(now.wall, left) : 0);
}

static void read_adopt(MascZone *zone, MalReader *r, MascNow now)
{
  MalTime until = (MalTime)mal_read_u64(r);
  int64_t most = 2 * zone->config.params->waiting_period;

  if (mal_reader_ok(r) && until > now.wall)
    zone->owns->adopt_until = masc_own_after(now, MIN(until - now.wall, most));
}

void masc_marks_keep(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  size_t size = 128 + (owns->marks->len + owns->clashes->len) * MASC_MARK_ROW;
  g_autofree uint8_t *row = g_malloc(size);
  const uint8_t key[] = { 'o', 'm' };
  MalWriter w = mal_writer(row, size);
  int64_t left = (owns->recovering_until - now.mono) / MASC_SECOND;

  mal_write_u8(&w, MASC_MARKS_VERSION);
  mal_write_u8(&w, (uint8_t)(owns->leaf | owns->asked << 1));
  mal_write_u64(&w, left > 0 ? (uint64_t)(now.wall + left) : 0);
  mal_write_u32(&w, owns->marks->len);
  for (guint i = 0; i < owns->marks->len; i++) {
    const MascMark *m = &g_array_index(owns->marks, MascMark, i);
    unsigned flags = m->lower | (unsigned)m->hand << 1 | (unsigned)m->ended << 2;
    mal_write_u8(&w, (uint8_t)(flags | MIN(m->denials, MASC_DENIALS_KEPT) << 3));
    write_prefix(&w, m->prefix);
    mal_write_u64(&w, (uint64_t)m->since);
  }
  mal_write_u32(&w, owns->clashes->len);
  for (guint i = 0; i < owns->clashes->len; i++) {
    const MascClash *c = &g_array_index(owns->clashes, MascClash, i);
    mal_write_u8(&w, (uint8_t)(c->lower | c->withheld << 1 | c->keep << 2 | c->won << 3));
    write_prefix(&w, c->prefix);
    write_u128(&w, c->domain);
  }
  write_turn(&w, owns, now);
  write_adopt(&w, owns, now);
  g_assert(mal_writer_ok(&w));
  owns->marks_changed = false;
  owns->marks_ticket = keep(zone, key, sizeof key, row, w.offset);
}

void masc_marks_kept(MascZone *zone, uint64_t through, bool ok, MascNow now)
{
  MascOwns *owns = zone->owns;

  if (!ok && through == owns->marks_ticket)
    owns->marks_lost = true;
  if (!ok || !owns->marks_lost)
    return;
  owns->marks_lost = false;
  masc_marks_keep(zone, now);
}

static bool restore_marks(MascZone *zone, uint8_t version, MalReader *r, MascNow now)
{
  MascOwns *owns = zone->owns;
  MalFamily family = zone->config.span.first.family;
  uint8_t flags = mal_read_u8(r);
  MalTime until = (MalTime)mal_read_u64(r);

  for (uint32_t n = mal_read_u32(r); n > 0 && mal_reader_ok(r); n--) {
    uint8_t is = mal_read_u8(r);
    MascMark m = { .lower = is & 1, .hand = is & 2, .ended = is & 4, .denials = is >> 3 };
    m.prefix = read_prefix(r, family, false);
    m.since = (MalTime)mal_read_u64(r);
    if (mal_reader_ok(r))
      g_array_append_val(owns->marks, m);
  }
  for (uint32_t n = mal_read_u32(r); n > 0 && mal_reader_ok(r); n--) {
    uint8_t is = mal_read_u8(r);
    MascClash c = { .lower = is & 1, .withheld = is & 2, .keep = is & 4, .won = is & 8 };
    c.prefix = read_prefix(r, family, false);
    c.domain = read_u128(r);
    if (mal_reader_ok(r))
      g_array_append_val(owns->clashes, c);
  }
  if (version >= 2)
    read_turn(zone, r, now);
  if (version >= 3)
    read_adopt(zone, r, now);
  if (!mal_reader_ok(r) || mal_reader_left(r) > 0) {
    g_array_set_size(owns->marks, 0);
    g_array_set_size(owns->clashes, 0);
    return false;
  }
  owns->leaf = flags & 1;
  owns->asked = flags & 2;
  if (until > now.wall)
    owns->recovering_until =
        masc_own_after(now, MIN(until - now.wall, zone->config.params->waiting_period));
  return true;
}

/* ---- forecasts ------------------------------------------------------------------------------- */

static void keep_forecast(MascZone *zone, const MascForecast *forecast, uint8_t name)
{
  const uint8_t key[] = { 'o', name };
  size_t length = 0;
  g_autofree uint8_t *row = masc_forecast_save(forecast, &length);

  keep(zone, key, sizeof key, row, length);
}

void masc_forecasts_keep(MascZone *zone)
{
  if (zone->owns->asked)
    keep_forecast(zone, zone->owns->uses, 'u');
  if (!zone->owns->leaf)
    keep_forecast(zone, zone->owns->children, 'c');
}

/* ---- back ------------------------------------------------------------------------------------ */

bool masc_owns_restore(MascZone *zone, const uint8_t *key, size_t key_length, const uint8_t *value,
                       size_t value_length, MascNow now)
{
  MalReader k = mal_reader(key, key_length), v = mal_reader(value, value_length);
  uint8_t own = mal_read_u8(&k), what = mal_read_u8(&k);

  if (own != 'o' || !mal_reader_ok(&k))
    return false;
  if (what == 'u' || what == 'c')
    return key_length == 2 && masc_forecast_load(what == 'u' ? zone->owns->uses
                                                             : zone->owns->children,
                                                 value, value_length);
  uint8_t version = mal_read_u8(&v);
  if (what == 'm')
    return key_length == 2 && version >= 1 && version <= MASC_MARKS_VERSION &&
           restore_marks(zone, version, &v, now);
  if (version != MASC_ROW_VERSION)
    return false;
  uint32_t id = mal_read_u32(&k);
  return what == 'p' && mal_reader_ok(&k) && mal_reader_left(&k) == 0 && id < UINT32_MAX &&
         restore_pend(zone, id, &v, now);
}
