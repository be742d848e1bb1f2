/* BIRD's control protocol, as birdc speaks it: requests are lines; so are answers, each with four
   digits in front and "-" behind them where more follows, or with a blank in front where it goes on
   with the number of the line before. Nothing else is known about it than what BIRD 2 does. */
#ifndef BIRD_WIRE_H
#define BIRD_WIRE_H

#include "core/wire.h"

#define BIRD_LINE 512             /* what is kept of a line */
#define BIRD_ANSWER ((size_t)64 * 1024)  /* octets, more than any answer to us has */

/* Codes that are looked for. */
enum {
  BIRD_CODE_READY = 1,            /* the greeting */
  BIRD_CODE_RECONFIGURED = 3,
  BIRD_CODE_RECONFIGURING = 4,    /* accepted; protocols still change */
  BIRD_CODE_QUEUED = 5,           /* accepted; another one is under way */
  BIRD_CODE_SHUTTING_DOWN = 6,
  BIRD_CODE_CONFIG_ERROR = 8002,
};

/* The last line of an answer. TEXT is printable ASCII. */
typedef struct {
  unsigned code;
  char text[BIRD_LINE];
} BirdAnswer;

/* What came of an answer so far. All zero to begin with, and after each whole one. */
typedef struct {
  char line[BIRD_LINE];
  size_t length;                  /* of the line, more perhaps than is kept */
  size_t total;
} BirdReader;

typedef enum { BIRD_MORE, BIRD_WHOLE, BIRD_GARBLED } BirdRead;

/* Takes what DATA holds up to the end of an answer; calls again until DATA is empty. MORE: it took
   all, and the answer isn't whole. GARBLED: that isn't BIRD; nothing can be read any more. */
BirdRead bird_read(BirdReader *reader, MalReader *data, BirdAnswer *out);

#endif
