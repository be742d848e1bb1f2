/* The bounded reader and writer that every byte from outside goes through, and the bounded line in
   which a message is described to people.
   Errors stick: after the first failed read all further reads give zero and the offset of the first
   failure stays; a loop asks mal_reader_ok(), never only "bytes left?". None ever allocates. */
#ifndef MAL_WIRE_H
#define MAL_WIRE_H

#include "address.h"

G_BEGIN_DECLS

typedef struct {
  const uint8_t *data;
  size_t length;
  size_t offset;
  size_t error_offset;  /* valid where failed */
  bool failed;
} MalReader;

typedef struct {
  uint8_t *data;
  size_t capacity;
  size_t offset;
  bool failed;          /* something did not fit; nothing beyond capacity was written */
} MalWriter;

/* A line for people, cut where its buffer ends; text stays NUL-terminated. */
typedef struct {
  char *out;
  size_t size;
  size_t used;          /* without the NUL */
} MalLine;

MAL_API MalReader mal_reader(const void *data, size_t length);
MAL_API bool mal_reader_ok(const MalReader *r);
MAL_API bool mal_reader_more(const MalReader *r);              /* ok and octets left */
MAL_API size_t mal_reader_left(const MalReader *r);            /* 0 once failed */
MAL_API void mal_reader_fail(MalReader *r);                    /* the content is wrong here */
MAL_API uint8_t mal_read_u8(MalReader *r);
MAL_API uint16_t mal_read_u16(MalReader *r);                   /* network order, as all below */
MAL_API uint32_t mal_read_u32(MalReader *r);
MAL_API uint64_t mal_read_u64(MalReader *r);
MAL_API MalAddress mal_read_address(MalReader *r, MalFamily family);
/* A view of the next N octets, or NULL; never a copy. */
MAL_API const uint8_t *mal_read_bytes(MalReader *r, size_t n);
MAL_API void mal_read_skip(MalReader *r, size_t n);
/* A reader over the next N octets, which the outer one skips; failed where they aren't there. */
MAL_API MalReader mal_read_sub(MalReader *r, size_t n);

MAL_API MalWriter mal_writer(void *data, size_t capacity);
MAL_API bool mal_writer_ok(const MalWriter *w);
MAL_API void mal_write_u8(MalWriter *w, uint8_t v);
MAL_API void mal_write_u16(MalWriter *w, uint16_t v);
MAL_API void mal_write_u32(MalWriter *w, uint32_t v);
MAL_API void mal_write_u64(MalWriter *w, uint64_t v);
MAL_API void mal_write_bytes(MalWriter *w, const void *bytes, size_t n);
MAL_API void mal_write_address(MalWriter *w, MalAddress address);
/* Reserves a 16-bit length at the current place and returns a mark; mal_write_end16 fills in how
   many octets came after it, or fails where that is over 65,535. */
MAL_API size_t mal_write_begin16(MalWriter *w);
MAL_API void mal_write_end16(MalWriter *w, size_t mark);

/* SIZE is at least 1. */
MAL_API MalLine mal_line(char *out, size_t size);
MAL_API void mal_line_add(MalLine *line, const char *format, ...) G_GNUC_PRINTF(2, 3);

G_END_DECLS
#endif
