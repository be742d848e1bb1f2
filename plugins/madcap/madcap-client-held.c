#include "madcap-client-held.h"

#include <string.h>

#define RECORD_VERSION 1
#define MAX_BLOCKS 65535
#define US INT64_C(1000000)
/* Below this, another attempt to renew could not be finished. */
#define LEAST_TO_RENEW 2

MadcapHeld *madcap_held_new(void)
{
  MadcapHeld *held = g_new0(MadcapHeld, 1);

  held->blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  held->due = MAL_FOREVER;
  held->due_mono = INT64_MAX;
  return held;
}

void madcap_held_free(MadcapHeld *held)
{
  if (held == NULL)
    return;
  g_array_unref(held->blocks);
  g_free(held->scope);
  g_free(held);
}

/* ---- when ------------------------------------------------------------------------------------ */

static int64_t after(int64_t mono, int64_t seconds)
{
  return seconds >= (INT64_MAX - mono) / US ? INT64_MAX : mono + seconds * US;
}

/* At half of what is left from FROM, which is not before NOW, up to a tenth of that earlier. */
static void plan(MadcapHeld *held, MalTime from, MalTime now, int64_t mono, unsigned jitter)
{
  int64_t half = (held->end - from) / 2;

  held->due = MAL_FOREVER;
  held->due_mono = INT64_MAX;
  if (!held->renew || held->end - now < LEAST_TO_RENEW || half < 1)
    return;
  half -= half * (int64_t)MIN(jitter, MADCAP_HELD_JITTER) / (INT64_C(10) * MADCAP_HELD_JITTER);
  held->due = mal_time_add(from, half);
  held->due_mono = after(mono, held->due - now);
}

static void anchor(MadcapHeld *held, MalTime now, int64_t mono)
{
  held->end_mono = after(mono, MAX(held->end - now, 0));
}

void madcap_held_granted(MadcapHeld *held, const MadcapClientResult *result, MalTime now,
                         int64_t mono, unsigned jitter)
{
  bool first = held->granted == 0;

  g_array_set_size(held->blocks, 0);
  g_array_append_vals(held->blocks, result->blocks->data, result->blocks->len);
  if (first || result->starts_later || held->start > result->start)
    held->start = result->start;
  held->end = result->end;
  if (first)
    held->granted = now;
  held->server = result->server;
  held->scope_first = result->scope;
  held->shared = held->shared || result->shared;
  held->failures = 0;
  anchor(held, now, mono);
  plan(held, MAX(held->start, now), now, mono, jitter);
}

void madcap_held_resume(MadcapHeld *held, MalTime now, int64_t mono, unsigned jitter)
{
  anchor(held, now, mono);
  plan(held, MAX(held->start, now), now, mono, jitter);
}

void madcap_held_failed(MadcapHeld *held, MalTime now, int64_t mono, unsigned jitter)
{
  held->failures++;
  plan(held, MAX(held->start, now), now, mono, jitter);
}

MadcapHeldStep madcap_held_step(const MadcapHeld *held, MalTime now, int64_t mono)
{
  if (now >= held->end && mono >= held->end_mono)
    return MADCAP_HELD_ENDED;
  if (!held->busy && (now >= held->due || mono >= held->due_mono))
    return MADCAP_HELD_RENEW;
  return MADCAP_HELD_NOTHING;
}

int64_t madcap_held_due(const MadcapHeld *held, MalTime now, int64_t mono)
{
  int64_t ends = MAX(held->end_mono, after(mono, MAX(held->end - now, 0)));

  if (held->busy)
    return ends;
  return MIN(ends,
             MIN(held->due_mono,
                 held->due == MAL_FOREVER ? INT64_MAX : after(mono, MAX(held->due - now, 0))));
}

/* ---- on disk --------------------------------------------------------------------------------- */

enum { RECORD_RENEW = 1 << 0, RECORD_SHARED = 1 << 1 };

static void write_address(MalWriter *w, MalAddress address)
{
  mal_write_u16(w, (uint16_t)address.family);
  if (address.family != MAL_FAMILY_NONE)
    mal_write_address(w, address);
}

static void write_text(MalWriter *w, const char *text)
{
  size_t mark = mal_write_begin16(w);

  mal_write_bytes(w, text, strlen(text));
  mal_write_end16(w, mark);
}

GByteArray *madcap_held_write(const MadcapHeld *held)
{
  size_t capacity = 256 + strlen(held->scope) + 20 * (size_t)held->blocks->len;
  GByteArray *out = g_byte_array_sized_new((guint)capacity);

  g_byte_array_set_size(out, (guint)capacity);
  MalWriter w = mal_writer(out->data, capacity);
  mal_write_u8(&w, RECORD_VERSION);
  mal_write_u8(&w,
               (uint8_t)((held->renew ? RECORD_RENEW : 0) | (held->shared ? RECORD_SHARED : 0)));
  write_text(&w, held->scope);
  write_address(&w, held->scope_first);
  write_address(&w, held->server.address);
  mal_write_u16(&w, held->server.port);
  write_address(&w, held->local);
  write_text(&w, held->interface);
  mal_write_u64(&w, (uint64_t)held->start);
  mal_write_u64(&w, (uint64_t)held->end);
  mal_write_u64(&w, (uint64_t)held->granted);
  mal_write_u64(&w, (uint64_t)held->lifetime);
  mal_write_u32(&w, held->blocks->len);
  for (guint i = 0; i < held->blocks->len; i++) {
    const MalBlock *block = &g_array_index(held->blocks, MalBlock, i);
    mal_write_address(&w, block->first);
    mal_write_u32(&w, block->count);
  }
  g_assert(mal_writer_ok(&w));
  g_byte_array_set_size(out, (guint)w.offset);
  return out;
}

static MalAddress read_address(MalReader *r, bool may_lack)
{
  uint16_t family = mal_read_u16(r);

  if (may_lack && family == MAL_FAMILY_NONE)
    return mal_address_none();
  if (family != MAL_IPV4 && family != MAL_IPV6) {
    mal_reader_fail(r);
    return mal_address_none();
  }
  return mal_read_address(r, (MalFamily)family);
}

static char *read_text(MalReader *r)
{
  size_t length = mal_read_u16(r);
  const uint8_t *bytes = mal_read_bytes(r, length);

  if (bytes == NULL || memchr(bytes, 0, length) != NULL ||
      !g_utf8_validate((const char *)bytes, (gssize)length, NULL)) {
    mal_reader_fail(r);
    return g_strdup("");
  }
  return g_strndup((const char *)bytes, length);
}

static void read_blocks(MalReader *r, MadcapHeld *held)
{
  uint32_t n = mal_read_u32(r);

  if (n == 0 || n > MAX_BLOCKS)
    mal_reader_fail(r);
  for (uint32_t i = 0; i < n && mal_reader_ok(r); i++) {
    MalBlock block = { .first = mal_read_address(r, held->scope_first.family) };
    block.count = mal_read_u32(r);
    MalAddress last;
    if (block.count == 0 || !mal_address_is_multicast(block.first) ||
        !mal_address_add(block.first, block.count - 1, &last))
      mal_reader_fail(r);
    g_array_append_val(held->blocks, block);
  }
}

static void read_body(MalReader *r, MadcapHeld *held)
{
  uint8_t flags = mal_read_u8(r);

  held->renew = (flags & RECORD_RENEW) != 0;
  held->shared = (flags & RECORD_SHARED) != 0;
  held->scope = read_text(r);
  held->scope_first = read_address(r, false);
  held->server.address = read_address(r, false);
  held->server.port = mal_read_u16(r);
  held->local = read_address(r, true);
  g_autofree char *interface = read_text(r);
  g_strlcpy(held->interface, interface, sizeof held->interface);
  held->start = (MalTime)mal_read_u64(r);
  held->end = (MalTime)mal_read_u64(r);
  held->granted = (MalTime)mal_read_u64(r);
  held->lifetime = (int64_t)mal_read_u64(r);
  read_blocks(r, held);
  if (held->end < held->start || held->start < 0 || held->end > INT64_C(1) << 40 ||
      held->lifetime < 0 || held->granted < 0)
    mal_reader_fail(r);
}

MadcapHeld *madcap_held_read(MalLeaseId id, const uint8_t *value, size_t length, GError **error)
{
  MalReader r = mal_reader(value, length);
  g_autoptr(MadcapHeld) held = madcap_held_new();
  uint8_t version = mal_read_u8(&r);

  if (version != RECORD_VERSION) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
                "a client lease is stored in form %u; this version knows %u", version,
                RECORD_VERSION);
    return NULL;
  }
  read_body(&r, held);
  if (!mal_reader_ok(&r) || mal_reader_more(&r) || id.length == 0 || id.length > MAL_LEASE_ID_MAX) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "a stored client lease is damaged at octet %zu",
                r.failed ? r.error_offset : r.offset);
    return NULL;
  }
  memcpy(held->id, id.bytes, id.length);
  held->id_length = id.length;
  return g_steal_pointer(&held);
}
