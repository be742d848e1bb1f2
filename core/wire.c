#include "wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

MalReader mal_reader(const void *data, size_t length)
{
  static const uint8_t nothing[1];

  /* A view of no octets is still a valid pointer, so that NULL always means failure. */
  if (data == NULL)
    return (MalReader){ .data = nothing };
  return (MalReader){ .data = data, .length = length };
}

bool mal_reader_ok(const MalReader *r)
{
  return !r->failed;
}

bool mal_reader_more(const MalReader *r)
{
  return mal_reader_left(r) > 0;
}

size_t mal_reader_left(const MalReader *r)
{
  return r->failed ? 0 : r->length - r->offset;
}

void mal_reader_fail(MalReader *r)
{
  if (r->failed)
    return;
  r->failed = true;
  r->error_offset = r->offset;
}

const uint8_t *mal_read_bytes(MalReader *r, size_t n)
{
  if (r->failed || n > r->length - r->offset) {
    mal_reader_fail(r);
    return NULL;
  }
  const uint8_t *view = r->data + r->offset;
  r->offset += n;
  return view;
}

static uint64_t read_number(MalReader *r, size_t n)
{
  const uint8_t *bytes = mal_read_bytes(r, n);
  uint64_t value = 0;

  if (bytes == NULL)
    return 0;
  for (size_t i = 0; i < n; i++)
    value = value << 8 | bytes[i];
  return value;
}

uint8_t mal_read_u8(MalReader *r)
{
  return (uint8_t)read_number(r, 1);
}

uint16_t mal_read_u16(MalReader *r)
{
  return (uint16_t)read_number(r, 2);
}

uint32_t mal_read_u32(MalReader *r)
{
  return (uint32_t)read_number(r, 4);
}

uint64_t mal_read_u64(MalReader *r)
{
  return read_number(r, 8);
}

MalAddress mal_read_address(MalReader *r, MalFamily family)
{
  size_t length = mal_family_octets(family);

  if (length == 0) {
    mal_reader_fail(r);
    return mal_address_none();
  }
  const uint8_t *bytes = mal_read_bytes(r, length);
  return bytes == NULL ? mal_address_none() : mal_address_from_bytes(family, bytes, length);
}

void mal_read_skip(MalReader *r, size_t n)
{
  mal_read_bytes(r, n);
}

MalReader mal_read_sub(MalReader *r, size_t n)
{
  const uint8_t *bytes = mal_read_bytes(r, n);
  MalReader sub = mal_reader(bytes, bytes == NULL ? 0 : n);

  if (bytes == NULL)
    mal_reader_fail(&sub);
  return sub;
}

MalWriter mal_writer(void *data, size_t capacity)
{
  return (MalWriter){ .data = data, .capacity = data == NULL ? 0 : capacity };
}

bool mal_writer_ok(const MalWriter *w)
{
  return !w->failed;
}

/* The place for N octets, or NULL. */
static uint8_t *reserve(MalWriter *w, size_t n)
{
  if (w->failed || n > w->capacity - w->offset) {
    w->failed = true;
    return NULL;
  }
  uint8_t *place = w->data + w->offset;
  w->offset += n;
  return place;
}

static void put_number(uint8_t *place, uint64_t v, size_t n)
{
  for (size_t i = n; i-- > 0; v >>= 8)
    place[i] = (uint8_t)v;
}

static void write_number(MalWriter *w, uint64_t v, size_t n)
{
  uint8_t *place = reserve(w, n);

  if (place != NULL)
    put_number(place, v, n);
}

void mal_write_u8(MalWriter *w, uint8_t v)
{
  write_number(w, v, 1);
}

void mal_write_u16(MalWriter *w, uint16_t v)
{
  write_number(w, v, 2);
}

void mal_write_u32(MalWriter *w, uint32_t v)
{
  write_number(w, v, 4);
}

void mal_write_u64(MalWriter *w, uint64_t v)
{
  write_number(w, v, 8);
}

void mal_write_bytes(MalWriter *w, const void *bytes, size_t n)
{
  if (n == 0)
    return;
  uint8_t *place = reserve(w, n);
  if (place != NULL)
    memcpy(place, bytes, n);
}

void mal_write_address(MalWriter *w, MalAddress address)
{
  uint8_t bytes[16];
  size_t n = mal_address_to_bytes(address, bytes);

  if (n == 0)
    w->failed = true;
  mal_write_bytes(w, bytes, n);
}

size_t mal_write_begin16(MalWriter *w)
{
  size_t mark = w->offset;

  mal_write_u16(w, 0);
  return mark;
}

void mal_write_end16(MalWriter *w, size_t mark)
{
  if (w->failed)
    return;
  if (w->offset < 2 || mark > w->offset - 2 || w->offset - mark - 2 > UINT16_MAX) {
    w->failed = true;
    return;
  }
  put_number(w->data + mark, w->offset - mark - 2, 2);
}

MalLine mal_line(char *out, size_t size)
{
  out[0] = '\0';
  return (MalLine){ .out = out, .size = size };
}

void mal_line_add(MalLine *line, const char *format, ...)
{
  va_list args;
  if (line->used + 1 >= line->size)
    return;
  va_start(args, format);
  int n = vsnprintf(line->out + line->used, line->size - line->used, format, args);
  va_end(args);
  if (n > 0)
    line->used = MIN(line->used + (size_t)n, line->size - 1);
}
