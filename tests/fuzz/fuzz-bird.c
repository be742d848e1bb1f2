/* What BIRD, or whoever listens on its socket, says: the same answers are read in pieces of any
   size, as printable text. And the machine, with any events at any times: what is timed has a time,
   no action is asked for in a state that doesn't have it, and failures are waited out.
   Covers: plugins/bird/bird-wire.c plugins/bird/bird-sync.c */
#include "plugins/bird/bird-sync.h"
#include "plugins/bird/bird-wire.h"

#include "fuzz.h"

#include <glib.h>
#include <string.h>

static void check_answer(const BirdAnswer *answer)
{
  must(answer->code <= 9999);
  must(memchr(answer->text, '\0', sizeof answer->text) != NULL);
  for (const char *c = answer->text; *c != '\0'; c++)
    must(*c >= ' ' && *c <= '~');
}

/* All answers, one a line, and how it ended. */
static GString *read_all(const uint8_t *data, size_t size, size_t piece)
{
  GString *all = g_string_new(NULL);
  BirdReader reader = { 0 };
  BirdRead read = BIRD_MORE;
  for (size_t at = 0; at < size && read != BIRD_GARBLED; at += piece) {
    MalReader in = mal_reader(data + at, MIN(piece, size - at));
    while (mal_reader_more(&in) && read != BIRD_GARBLED) {
      BirdAnswer answer;
      size_t left = mal_reader_left(&in);
      read = bird_read(&reader, &in, &answer);
      must(mal_reader_left(&in) < left);
      must(read != BIRD_MORE || mal_reader_left(&in) == 0);
      if (read != BIRD_WHOLE)
        continue;
      check_answer(&answer);
      g_string_append_printf(all, "%u %s\n", answer.code, answer.text);
    }
  }
  g_string_append_printf(all, "%d\n", read == BIRD_GARBLED);
  return all;
}

static void run_machine(const uint8_t *data, size_t size)
{
  static const BirdState after[] = {
    [BIRD_NOTHING] = BIRD_IDLE, [BIRD_WRITE] = BIRD_WRITING, [BIRD_CALL] = BIRD_CALLING,
    [BIRD_ASK] = BIRD_ASKING,   [BIRD_UNDO] = BIRD_UNDOING,
  };
  BirdSync sync = bird_sync((BirdTimes){ 2, 10, 5, 3, 40 });
  int64_t now = 1000;
  for (size_t i = 0; i < size; i++) {
    BirdState before = sync.state;
    BirdEvent event = (BirdEvent)(data[i] & 15) % (BIRD_LOST + 1);
    now += data[i] >> 4;
    BirdAction action = bird_sync_step(&sync, event, now);
    bool timed = sync.state == BIRD_WAITING || sync.state == BIRD_CALLING ||
                 sync.state == BIRD_ASKING;
    must(timed == (sync.due != BIRD_NEVER));
    must(action == BIRD_NOTHING || sync.state == after[action]);
    must(sync.state != BIRD_WAITING || sync.due <= now + 40);
    must(sync.state != BIRD_IDLE || !sync.changed);
    must(before == BIRD_IDLE || event != BIRD_CHANGED || action == BIRD_NOTHING);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  GString *whole = read_all(data + 1, size - 1, size), *pieces;
  pieces = read_all(data + 1, size - 1, 1u + data[0] % 17u);
  must(g_string_equal(whole, pieces));
  g_string_free(whole, TRUE);
  g_string_free(pieces, TRUE);
  run_machine(data + 1, size - 1);
  return 0;
}
