#include "bird-wire.h"

#include <string.h>

static void put(BirdReader *reader, uint8_t octet)
{
  char c = (char)octet;
  if (reader->length < sizeof reader->line)
    reader->line[reader->length] = g_ascii_isprint(c) ? c : '?';
  reader->length++;
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static void answer_from(const BirdReader *reader, size_t kept, BirdAnswer *out)
{
  size_t length = MIN(kept - 5, sizeof out->text - 1);
  out->code = 0;
  for (size_t i = 0; i < 4; i++)
    out->code = out->code * 10 + (unsigned)(reader->line[i] - '0');
  memcpy(out->text, reader->line + 5, length);
  out->text[length] = '\0';
}

/* A line is there: does it end the answer? */
static BirdRead take_line(BirdReader *reader, BirdAnswer *out)
{
  size_t kept = MIN(reader->length, sizeof reader->line);
  const char *line = reader->line;
  reader->length = 0;
  if (kept > 0 && line[0] == ' ')
    return BIRD_MORE;
  if (kept < 5 || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2]) ||
      !is_digit(line[3]) || (line[4] != ' ' && line[4] != '-'))
    return BIRD_GARBLED;
  if (line[4] == '-')
    return BIRD_MORE;
  answer_from(reader, kept, out);
  reader->total = 0;
  return BIRD_WHOLE;
}

BirdRead bird_read(BirdReader *reader, MalReader *data, BirdAnswer *out)
{
  while (mal_reader_more(data)) {
    uint8_t octet = mal_read_u8(data);
    if (++reader->total > BIRD_ANSWER)
      return BIRD_GARBLED;
    if (octet != '\n') {
      put(reader, octet);
      continue;
    }
    BirdRead read = take_line(reader, out);
    if (read != BIRD_MORE)
      return read;
  }
  return BIRD_MORE;
}
