#include "core/wire.h"

#include <criterion/criterion.h>
#include <string.h>

typedef enum { U8, U16, U32, U64, V4, V6, BYTES5, SUB3 } Kind;
static const size_t sizes[] = { 1, 2, 4, 8, 4, 16, 5, 3 };

/* Reads one item; whether it gave something else than zero. */
static bool read_one(MalReader *r, Kind kind)
{
  switch (kind) {
  case U8:
    return mal_read_u8(r) != 0;
  case U16:
    return mal_read_u16(r) != 0;
  case U32:
    return mal_read_u32(r) != 0;
  case U64:
    return mal_read_u64(r) != 0;
  case V4:
    return mal_read_address(r, MAL_IPV4).family != MAL_FAMILY_NONE;
  case V6:
    return mal_read_address(r, MAL_IPV6).family != MAL_FAMILY_NONE;
  case BYTES5:
    return mal_read_bytes(r, 5) != NULL;
  default: {
    MalReader sub = mal_read_sub(r, 3);
    return mal_reader_ok(&sub) && mal_reader_left(&sub) == 3;
  }
  }
}

Test(reader, values_in_network_order)
{
  static const uint8_t data[] = { 1, 2,  3,  0xff, 4,  5,   6,   0xff, 7, 8,
                                  9, 10, 11, 12,   13, 233, 252, 0,    1 };
  MalReader r = mal_reader(data, sizeof data);
  cr_expect_eq(mal_read_u8(&r), 1);
  cr_expect_eq(mal_read_u16(&r), 0x0203);
  cr_expect_eq(mal_read_u32(&r), 0xff040506u);
  cr_expect_eq(mal_read_u64(&r), 0xff0708090a0b0c0dull);
  cr_expect(mal_address_equal(mal_read_address(&r, MAL_IPV4), mal_address_ipv4(0xe9fc0001)));
  cr_expect(mal_reader_ok(&r));
  cr_expect_not(mal_reader_more(&r));
}

/* For each kind of item and each length of data around its size: read after PAD octets; success
   exactly where it fits, else zero, and the first error's offset sticks. */
Test(reader, every_edge_and_sticky_errors)
{
  uint8_t data[32];
  memset(data, 0xa5, sizeof data);
  for (Kind kind = U8; kind <= SUB3; kind++)
    for (size_t pad = 0; pad <= 4; pad++)
      for (size_t length = pad; length <= pad + sizes[kind] + 1; length++) {
        /* A copy of exactly that length, so that the address sanitizer sees any read beyond it. */
        g_autofree uint8_t *exact = g_memdup2(data, MAX(length, 1));
        MalReader r = mal_reader(exact, length);
        bool fits = length - pad >= sizes[kind];
        mal_read_skip(&r, pad);
        cr_assert(mal_reader_ok(&r));
        cr_assert_eq(read_one(&r, kind), fits, "kind %d pad %zu length %zu", (int)kind, pad,
                     length);
        cr_assert_eq(mal_reader_ok(&r), fits);
        if (fits) {
          cr_assert_eq(mal_reader_left(&r), length - pad - sizes[kind]);
          continue;
        }
        cr_assert_eq(r.error_offset, pad);
        cr_assert_eq(mal_reader_left(&r), 0);
        cr_assert_not(mal_reader_more(&r));
        for (Kind later = U8; later <= SUB3; later++)
          cr_assert_not(read_one(&r, later));
        mal_reader_fail(&r);
        cr_assert_eq(r.error_offset, pad);
      }
}

Test(reader, zero_length)
{
  MalReader r = mal_reader(NULL, 0);
  cr_expect(mal_reader_ok(&r));
  cr_expect_not(mal_reader_more(&r));
  cr_expect_not_null(mal_read_bytes(&r, 0), "a view of nothing is no failure");
  mal_read_skip(&r, 0);
  MalReader sub = mal_read_sub(&r, 0);
  cr_expect(mal_reader_ok(&sub));
  cr_expect(mal_reader_ok(&r));
  cr_expect_eq(mal_read_u8(&r), 0);
  cr_expect_not(mal_reader_ok(&r));
  cr_expect_eq(r.error_offset, 0);
  cr_expect_null(mal_read_bytes(&r, 0), "but it is after one");
}

Test(reader, huge_counts_do_not_wrap)
{
  static const uint8_t data[4] = { 1, 2, 3, 4 };
  static const size_t counts[] = { 4, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1 };
  for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
    MalReader r = mal_reader(data, sizeof data);
    mal_read_u8(&r);
    cr_expect_null(mal_read_bytes(&r, counts[i]));
    cr_expect_eq(r.error_offset, 1);
  }
}

Test(reader, sub_reader)
{
  static const uint8_t data[] = { 1, 2, 3, 4, 5 };
  MalReader r = mal_reader(data, sizeof data);
  mal_read_u8(&r);
  MalReader sub = mal_read_sub(&r, 2);
  cr_expect_eq(mal_read_u16(&sub), 0x0203);
  cr_expect_eq(mal_read_u8(&sub), 0);
  cr_expect_not(mal_reader_ok(&sub));
  cr_expect_eq(sub.error_offset, 2);
  cr_expect(mal_reader_ok(&r), "what fails inside leaves the outer reader alone");
  cr_expect_eq(mal_read_u16(&r), 0x0405);
  MalReader beyond = mal_read_sub(&r, 1);
  cr_expect_not(mal_reader_ok(&beyond));
  cr_expect_not(mal_reader_ok(&r));
}

Test(reader, address_of_unknown_family_and_wrong_content)
{
  static const uint8_t data[16] = { 0 };
  MalReader r = mal_reader(data, sizeof data);
  mal_read_u16(&r);
  cr_expect_eq(mal_read_address(&r, (MalFamily)7).family, MAL_FAMILY_NONE);
  cr_expect_eq(r.error_offset, 2);
  r = mal_reader(data, sizeof data);
  mal_read_u32(&r);
  mal_reader_fail(&r);
  cr_expect_eq(r.error_offset, 4);
  cr_expect_eq(mal_reader_left(&r), 0);
}

static void write_one(MalWriter *w, Kind kind)
{
  switch (kind) {
  case U8:
    mal_write_u8(w, 0x11);
    break;
  case U16:
    mal_write_u16(w, 0x1122);
    break;
  case U32:
    mal_write_u32(w, 0x11223344);
    break;
  case U64:
    mal_write_u64(w, 0x1122334455667788);
    break;
  case V4:
    mal_write_address(w, mal_address_ipv4(0x11223344));
    break;
  case V6:
    mal_write_address(
        w, mal_address_make(MAL_IPV6, (MalU128)0x1122334455667788 << 64 | 0x99aabbccddeeff00));
    break;
  case BYTES5:
    mal_write_bytes(w, "\x11\x22\x33\x44\x55", 5);
    break;
  default:
    mal_write_bytes(w, "\x11\x22\x33", 3);
    break;
  }
}

Test(writer, every_edge_and_sticky_errors)
{
  static const uint8_t want[16] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
                                    0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00 };
  for (Kind kind = U8; kind <= SUB3; kind++)
    for (size_t capacity = 0; capacity <= sizes[kind] + 1; capacity++) {
      g_autofree uint8_t *data = g_malloc(MAX(capacity, 1));
      memset(data, 0xee, MAX(capacity, 1));
      MalWriter w = mal_writer(data, capacity);
      bool fits = capacity >= sizes[kind];
      write_one(&w, kind);
      cr_assert_eq(mal_writer_ok(&w), fits, "kind %d capacity %zu", (int)kind, capacity);
      if (fits) {
        cr_assert_eq(w.offset, sizes[kind]);
        cr_assert_eq(memcmp(data, want, sizes[kind]), 0);
        continue;
      }
      cr_assert_eq(w.offset, 0);
      mal_write_u8(&w, 1);
      cr_assert_not(mal_writer_ok(&w));
      cr_assert_eq(w.offset, 0, "nothing is written after an error, even what would fit");
      if (capacity > 0)
        cr_assert_eq(data[0], 0xee);
    }
}

Test(writer, no_address_and_nothing)
{
  uint8_t data[4];
  MalWriter w = mal_writer(data, sizeof data);
  mal_write_bytes(&w, NULL, 0);
  cr_expect(mal_writer_ok(&w));
  mal_write_address(&w, mal_address_none());
  cr_expect_not(mal_writer_ok(&w));
  w = mal_writer(NULL, 7);
  mal_write_u8(&w, 1);
  cr_expect_not(mal_writer_ok(&w));
}

Test(writer, begin_and_end_of_a_length)
{
  static uint8_t data[2 + 65536];
  static const uint8_t zeros[65536];
  static const struct {
    size_t inner;
    bool ok;
  } cases[] = { { 0, true }, { 1, true }, { 65535, true }, { 65536, false } };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    MalWriter w = mal_writer(data, sizeof data);
    size_t mark = mal_write_begin16(&w);
    mal_write_bytes(&w, zeros, cases[i].inner);
    mal_write_end16(&w, mark);
    cr_expect_eq(mal_writer_ok(&w), cases[i].ok, "%zu", cases[i].inner);
    if (cases[i].ok)
      cr_expect_eq(data[0] << 8 | data[1], (int)cases[i].inner);
  }
  MalWriter w = mal_writer(data, 8);
  size_t outer = mal_write_begin16(&w);
  mal_write_u8(&w, 9);
  size_t inner = mal_write_begin16(&w);
  mal_write_u16(&w, 0xabcd);
  mal_write_end16(&w, inner);
  mal_write_end16(&w, outer);
  cr_expect(mal_writer_ok(&w));
  cr_expect_arr_eq(data, "\x00\x05\x09\x00\x02\xab\xcd", 7);
  mal_write_end16(&w, 6);
  cr_expect_not(mal_writer_ok(&w), "a mark without room for its length");
  w = mal_writer(data, 8);
  mal_write_u8(&w, 9);
  mal_write_end16(&w, 0);
  cr_expect_not(mal_writer_ok(&w), "an end without a beginning");
  cr_expect_eq(data[0], 9);
  for (size_t capacity = 0; capacity < 2; capacity++) {
    w = mal_writer(data, capacity);
    mal_write_end16(&w, mal_write_begin16(&w));
    cr_expect_not(mal_writer_ok(&w));
  }
}
