/* Records: own allocations (durable before they are used), and what may follow some seconds later:
   allocations of others, announced space, counters of authenticated senders. */
#include "aap-plugin.h"

#include "aap-ranges.h"
#include "aap-time.h"

#include <string.h>

#define LATE (2 * AAP_US)    /* what may follow late is gathered for so long */
#define BATCH_MOST 2000      /* and written so many records at a time */
#define FORM 1               /* of values */
#define KEY_MOST (17 + 256)

typedef struct {
  MalTicket ticket;
  AapServed *served;
  MalAddress first;
  bool goes;
} AapWriting;

typedef struct {
  MalTime end;
  MalAddress peer;
  uint64_t port;
} StoredForeign;

/* ---- keys and values ------------------------------------------------------------------------- */

static size_t make_key(const AapServed *served, MalAddress first, uint8_t out[KEY_MOST])
{
  MalWriter w = mal_writer(out, KEY_MOST);
  mal_write_u8(&w, (uint8_t)first.family);
  mal_write_address(&w, first);
  mal_write_bytes(&w, served->scope->id, MIN(strlen(served->scope->id), 255));
  return w.offset;
}

static AapServed *read_key(Aap *aap, const MalRecord *record, MalAddress *first)
{
  MalReader r = mal_reader(record->key, record->key_length);
  MalFamily family = mal_read_u8(&r);
  *first = mal_read_address(&r, family == MAL_IPV4 || family == MAL_IPV6 ? family : MAL_IPV4);
  size_t left = mal_reader_left(&r);
  const uint8_t *id = mal_read_bytes(&r, left);
  if (!mal_reader_ok(&r) || id == NULL || first->family != family)
    return NULL;
  g_autofree char *text = g_strndup((const char *)id, left);
  return aap_served_find(aap, text);
}

MalTicket aap_store_put(Aap *aap, const char *kind, const uint8_t *key, size_t key_length,
                        const uint8_t *value, size_t length)
{
  MalRecord record = { aap->host.name, kind, key, key_length, value, length };
  return mal_store_put_record(aap->host.store, &record);
}

static MalTicket drop(const AapServed *served, const char *kind, MalAddress first)
{
  uint8_t key[KEY_MOST];
  size_t length = make_key(served, first, key);
  return mal_store_drop_record(served->aap->host.store, served->aap->host.name, kind, key, length);
}

static void write_asa(AapServed *served)
{
  uint8_t key[KEY_MOST];
  g_autofree uint8_t *value = g_malloc(served->asa_length + 16);
  MalWriter w = mal_writer(value, served->asa_length + 16);
  mal_write_u8(&w, FORM);
  mal_write_u64(&w, (uint64_t)served->asa_received);
  mal_write_bytes(&w, served->asa_payload, served->asa_length);
  size_t length = make_key(served, served->scope->span.first, key);
  aap_store_put(served->aap, "asa", key, length, value, w.offset);
  served->asa_changed = false;
}

/* ---- own allocations ------------------------------------------------------------------------- */

static bool is_same(const AapWriting *a, const AapWriting *b)
{
  return a->served == b->served && mal_address_equal(a->first, b->first);
}

static void remove_undropped(Aap *aap, const AapWriting *kept)
{
  for (guint i = aap->undropped->len; i-- > 0;)
    if (is_same(&g_array_index(aap->undropped, AapWriting, i), kept))
      g_array_remove_index_fast(aap->undropped, i);
}

void aap_store_keep(AapServed *served, const AapOwn *own)
{
  Aap *aap = served->aap;
  uint8_t key[KEY_MOST], value[40];
  MalWriter w = mal_writer(value, sizeof value);
  /* Nothing is owned, after a crash, outside of what is known to be available. */
  if (served->asa_changed)
    write_asa(served);
  mal_write_u8(&w, FORM);
  mal_write_u64(&w, (uint64_t)own->end);
  mal_write_u64(&w, (uint64_t)own->advertised_since);
  mal_write_address(&w, own->span.last);
  AapWriting writing = { .served = served, .first = own->span.first };
  writing.ticket = aap_store_put(aap, "own", key, make_key(served, own->span.first, key), value,
                                 w.offset);
  g_array_append_val(aap->writing, writing);
  remove_undropped(aap, &writing);
}

void aap_store_forget(AapServed *served, MalAddress first)
{
  AapWriting writing = { .served = served, .first = first, .goes = true };
  writing.ticket = drop(served, "own", first);
  g_array_append_val(served->aap->writing, writing);
}

static bool restore_own(AapServed *served, MalAddress first, MalReader *r)
{
  AapOwn own = { .span.first = first };
  own.end = (MalTime)mal_read_u64(r);
  own.advertised_since = (MalTime)mal_read_u64(r);
  own.span.last = mal_read_address(r, first.family);
  if (!mal_reader_ok(r) || mal_reader_left(r) > 0 || served->zone == NULL ||
      mal_address_compare(own.span.first, own.span.last) > 0 ||
      !mal_span_contains(served->scope->span, own.span))
    return false;
  aap_zone_restore_own(served->zone, &own);
  if (aap_time_ended(own.end, aap_now(served->aap).wall))
    return true;
  aap_space_prepare(served);
  aap_intervals_set(served->ours, own.span, &own.end);
  aap_space_fit(served, own.span);
  return true;
}

/* What stayed, though it is ours no longer, would be ours again after a crash, when somebody else
   may have it: it is dropped again once the disk can be written. */
static void say_undropped(Aap *aap, const AapWriting *w)
{
  for (guint i = 0; i < aap->writing->len; i++) {
    const AapWriting *later = &g_array_index(aap->writing, AapWriting, i);
    if (!later->goes && is_same(later, w))
      return;
  }
  remove_undropped(aap, w);
  g_array_append_val(aap->undropped, *w);
}

static void say_written(Aap *aap, const AapWriting *w, const GError *error, AapNow now)
{
  if (error != NULL && w->goes) {
    say_undropped(aap, w);
    return;
  }
  if (w->goes)
    return;
  if (error != NULL) {
    mal_count(aap->host.metrics, AAP_M_NOT_KEPT, 1);
    mal_event(aap->host.events, &aap_event_not_kept, NULL, 0,
              "an allocation in scope %s could not be written: %s", w->served->scope->id,
              error->message);
  }
  aap_zone_kept(w->served->zone, w->first, error == NULL, now);
}

static void mark_dirty(MalSpan span, const void *value, bool comes, void *data)
{
  AapServed *served = data;
  (void)value;
  (void)comes;
  g_hash_table_add(served->dirty, g_memdup2(&span.first, sizeof span.first));
}

static void mark_again(MalSpan span, void *value, void *data)
{
  mark_dirty(span, value, true, data);
}

/* The disk was full, or failed, and is well again. */
static void write_again(Aap *aap)
{
  g_autoptr(GArray) undropped = aap->undropped;
  aap->undropped = g_array_new(FALSE, FALSE, sizeof(AapWriting));
  for (guint i = 0; i < undropped->len; i++) {
    const AapWriting *w = &g_array_index(undropped, AapWriting, i);
    aap_store_forget(w->served, w->first);
  }
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = g_ptr_array_index(aap->served, i);
    served->asa_changed = served->asa_payload != NULL;
    aap_intervals_each(served->foreign, served->scope->span, mark_again, served);
  }
  aap_store_later(aap);
}

static void on_stored(MalTicket through, const GError *error, void *data)
{
  Aap *aap = data;
  guint n = 0;
  aap_auth_settled(aap, through, error == NULL);
  if (error == NULL && aap->unwritten)
    write_again(aap);
  aap->unwritten = error != NULL;
  while (n < aap->writing->len && g_array_index(aap->writing, AapWriting, n).ticket <= through)
    n++;
  if (n == 0)
    return;
  AapNow now = aap_step(aap);
  g_autoptr(GArray) done = g_array_sized_new(FALSE, FALSE, sizeof(AapWriting), n);
  g_array_append_vals(done, aap->writing->data, n);
  g_array_remove_range(aap->writing, 0, n);
  for (guint i = 0; i < n; i++) {
    const AapWriting *w = &g_array_index(done, AapWriting, i);
    say_written(aap, w, w->ticket == through ? error : NULL, now);
  }
  aap_settle(aap);
}

/* ---- allocations of others ------------------------------------------------------------------- */

static void note_foreign(MalSpan span, MalTime end, MalEndpoint peer, void *data)
{
  AapServed *served = data;
  StoredForeign value;
  memset(&value, 0, sizeof value);
  value.end = end;
  value.peer.value = peer.address.value;
  value.peer.family = peer.address.family;
  value.port = peer.port;
  if (end == MAL_BEGINNING)
    aap_intervals_remove(served->foreign, span);
  else
    aap_intervals_set(served->foreign, span, &value);
}

static void write_foreign(const AapServed *served, MalAddress first)
{
  MalSpan span;
  const StoredForeign *f = aap_intervals_at(served->foreign, first, &span);
  uint8_t key[KEY_MOST], value[64];
  MalWriter w = mal_writer(value, sizeof value);
  if (f == NULL || !mal_address_equal(span.first, first)) {
    drop(served, "foreign", first);
    return;
  }
  mal_write_u8(&w, FORM);
  mal_write_u64(&w, (uint64_t)f->end);
  mal_write_address(&w, span.last);
  mal_write_u16(&w, (uint16_t)f->port);
  mal_write_u8(&w, (uint8_t)f->peer.family);
  if (f->peer.family != MAL_FAMILY_NONE)
    mal_write_address(&w, f->peer);
  aap_store_put(served->aap, "foreign", key, make_key(served, first, key), value, w.offset);
}

static bool restore_foreign(AapServed *served, MalAddress first, MalReader *r)
{
  MalTime end = (MalTime)mal_read_u64(r);
  MalSpan span = { first, mal_read_address(r, first.family) };
  MalEndpoint peer = { .port = mal_read_u16(r) };
  MalFamily family = mal_read_u8(r);
  if (family == MAL_IPV4 || family == MAL_IPV6)
    peer.address = mal_read_address(r, family);
  if (!mal_reader_ok(r) || mal_reader_left(r) > 0 || served->zone == NULL ||
      mal_address_compare(span.first, span.last) > 0 ||
      !mal_span_contains(served->scope->span, span))
    return false;
  if (aap_time_ended(end, aap_now(served->aap).wall)) {
    g_hash_table_add(served->dirty, g_memdup2(&first, sizeof first));
    return true;
  }
  aap_zone_restore_foreign(served->zone, span, end, peer);
  note_foreign(span, end, peer, served);
  /* It stands in the store as it is. */
  g_hash_table_remove(served->dirty, &first);
  return true;
}

static unsigned write_dirty(const AapServed *served, unsigned most)
{
  GHashTableIter iter;
  gpointer key;
  unsigned n = 0;
  g_hash_table_iter_init(&iter, served->dirty);
  while (n < most && g_hash_table_iter_next(&iter, &key, NULL)) {
    write_foreign(served, *(const MalAddress *)key);
    g_hash_table_iter_remove(&iter);
    n++;
  }
  return n;
}

/* What changes faster than it is written waits with the zone, whose memory is bounded. */
static unsigned write_some_foreign(AapServed *served, unsigned most)
{
  unsigned n = write_dirty(served, most);
  if (n == most || !served->foreign_changed)
    return n;
  aap_zone_foreign_changes(served->zone, note_foreign, served);
  served->foreign_changed = false;
  return n + write_dirty(served, most - n);
}

/* ---- announced space ------------------------------------------------------------------------- */

static bool restore_asa(AapServed *served, MalReader *r)
{
  Aap *aap = served->aap;
  MalTime stored = (MalTime)mal_read_u64(r), now = aap_now(aap).wall;
  MalTime received = MIN(stored, now); /* the clock may be behind */
  size_t length = mal_reader_left(r);
  const uint8_t *payload = mal_read_bytes(r, length);
  AapMessage msg;
  if (payload == NULL || served->zone == NULL ||
      !aap_zone_restore_asa(served->zone, payload, length, received, aap_now(aap)) ||
      !aap_decode(payload, length, aap->scratch, &msg, NULL))
    return false;
  int64_t delta = aap_time_delta(received, msg.current_time);
  g_autofree AapRange *united = g_new(AapRange, 2 * msg.n_ranges + 1);
  size_t n = msg.n_ranges > 0 ? aap_ranges_unite(aap->scratch->ranges, msg.n_ranges, united) : 0;
  g_autofree AapExtent *extents = g_new(AapExtent, n + 1);
  for (size_t i = 0; i < n; i++)
    extents[i] = (AapExtent){ united[i].span, aap_time_adjust(united[i].value, delta) };
  g_free(served->asa_payload);
  served->asa_payload = g_memdup2(payload, length);
  served->asa_length = length;
  served->asa_received = received;
  aap_space_set_asa(served, extents, n);
  aap_space_fit(served, served->scope->span);
  return true;
}

/* ---- what may follow late -------------------------------------------------------------------- */

void aap_store_later(Aap *aap)
{
  if (aap->write_at == AAP_NEVER)
    aap->write_at = aap_now(aap).mono + LATE;
}

static void write_late(Aap *aap, unsigned most)
{
  unsigned n = 0;
  bool more = false;
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = g_ptr_array_index(aap->served, i);
    if (served->zone == NULL)
      continue;
    if (served->asa_changed)
      write_asa(served);
    n += write_some_foreign(served, most - n);
    more = more || served->foreign_changed || g_hash_table_size(served->dirty) > 0;
  }
  aap_auth_write(aap);
  aap->write_at = more ? aap_now(aap).mono + AAP_US / 10 : AAP_NEVER;
}

void aap_store_write(Aap *aap)
{
  if (aap->write_at <= aap_now(aap).mono)
    write_late(aap, BATCH_MOST);
}

void aap_store_clock_stepped(AapServed *served, int64_t delta)
{
  for (guint i = 0; i < served->asa->len; i++) {
    AapExtent *extent = &g_array_index(served->asa, AapExtent, i);
    extent->end = mal_time_add(extent->end, delta);
  }
  served->asa_received = mal_time_add(served->asa_received, delta);
  served->asa_changed = served->asa_payload != NULL;
  served->foreign_changed = served->zone != NULL;
  aap_store_later(served->aap);
}

/* ---- life ------------------------------------------------------------------------------------ */

static guint address_hash(gconstpointer key)
{
  MalU128 value = ((const MalAddress *)key)->value;
  guint64 folded = (guint64)value ^ (guint64)(value >> 64);
  return g_int64_hash(&folded);
}

static gboolean address_same(gconstpointer a, gconstpointer b)
{
  return mal_address_equal(*(const MalAddress *)a, *(const MalAddress *)b);
}

void aap_store_open(Aap *aap)
{
  aap->writing = g_array_new(FALSE, FALSE, sizeof(AapWriting));
  aap->undropped = g_array_new(FALSE, FALSE, sizeof(AapWriting));
  aap->heard = g_array_new(FALSE, FALSE, sizeof(AapHeard));
  aap->write_at = AAP_NEVER;
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = g_ptr_array_index(aap->served, i);
    served->foreign = aap_intervals_new(sizeof(StoredForeign), NULL);
    served->dirty = g_hash_table_new_full(address_hash, address_same, g_free, NULL);
    aap_intervals_watch(served->foreign, mark_dirty, served);
  }
}

void aap_served_store_free(AapServed *served)
{
  g_clear_pointer(&served->foreign, aap_intervals_free);
  g_clear_pointer(&served->dirty, g_hash_table_unref);
  g_clear_pointer(&served->asa_payload, g_free);
}

void aap_store_close(Aap *aap)
{
  g_array_unref(aap->writing);
  g_array_unref(aap->undropped);
  g_array_unref(aap->heard);
}

void aap_store_start(Aap *aap)
{
  aap->store_listener = mal_store_listen(aap->host.store, on_stored, aap);
  aap_store_later(aap);
}

void aap_store_stop(Aap *aap)
{
  write_late(aap, UINT_MAX);
  mal_store_unlisten(aap->host.store, aap->store_listener);
}

/* What can't be read is left where it is: it may be of a scope that comes back. */
bool aap_store_restore(Aap *aap, const MalRecord *record)
{
  MalAddress first;
  if (aap_auth_restore(aap, record))
    return true;
  AapServed *served = read_key(aap, record, &first);
  MalReader r = mal_reader(record->value, record->value_length);
  if (served == NULL || mal_read_u8(&r) != FORM)
    return false;
  if (strcmp(record->kind, "own") == 0)
    return restore_own(served, first, &r);
  if (strcmp(record->kind, "foreign") == 0)
    return restore_foreign(served, first, &r);
  return strcmp(record->kind, "asa") == 0 && restore_asa(served, &r);
}
