/* The MASC codec: a stream of octets, in pieces whose size its first octet says, is cut into the
   same messages as in one piece; each decodes to a message or to one fault, which has a well-formed
   answer or none; what decodes is written again and read as the same; claims compare as an order.
   Covers: plugins/masc/masc-wire*.c plugins/masc/masc-compare.c plugins/masc/masc-limits.c */
#include "plugins/masc/masc-compare.h"
#include "plugins/masc/masc-limits.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
  MascClaim claims[MASC_MAX_CLAIMS];
  size_t n;
} Claims;

static void check_answer(const MascFault *fault, const uint8_t *message, size_t length, bool open)
{
  uint8_t out[MASC_MAX_LENGTH];
  MascMessage answer;
  size_t n = masc_answer(fault, message, length, open, out, sizeof out);

  if ((n == 0) != (fault->code == MASC_ERROR_NONE || fault->silent))
    abort();
  if (fault->offset > length || (size_t)fault->data_offset + fault->data_length > length)
    abort();
  if (n == 0)
    return;
  if (!masc_decode(out, n, &answer, NULL) || answer.notification.code != fault->code ||
      answer.notification.open != (open && !fault->must_close))
    abort();
}

static void check_claims(const Claims *all)
{
  const MascLimits limits = { .lifetime_min = 1, .timestamp_old = 5, .longest4 = 30 };

  for (size_t i = 0; i < all->n; i++) {
    const MascClaim *a = &all->claims[i], *b = &all->claims[(i + 1) % all->n];
    if (masc_claim_check(a) != 0 || !masc_claim_same(a, a))
      abort();
    if (masc_claim_compare(a, b) != -masc_claim_compare(b, a) ||
        masc_claims_collide(a, b) != masc_claims_collide(b, a))
      abort();
    uint8_t subcode = masc_claim_judge(a, &limits, 962409600);
    if (subcode != 0 && masc_error_must_close(MASC_ERROR_UPDATE, subcode))
      abort();
    masc_claim_expired(a, 962409600, 86400);
  }
}

static void read_claims(const MascUpdate *update, const uint8_t *message, size_t length,
                        Claims *all)
{
  MascCursor cursor = masc_cursor(update);
  MascFault fault;
  MascNext next;

  all->n = 0;
  while (all->n < MASC_MAX_CLAIMS) {
    next = masc_cursor_next(&cursor, &all->claims[all->n], &fault);
    if (next == MASC_NEXT_END)
      break;
    if (next == MASC_NEXT_CLAIM)
      all->n++;
    else if (fault.must_close || fault.code != MASC_ERROR_UPDATE)
      abort();
    check_answer(&fault, message, length, true);
  }
}

static bool same_open(const MascOpen *a, const MascOpen *b)
{
  return a->family == b->family && a->role == b->role && a->hold_time == b->hold_time &&
         a->domain == b->domain && a->node == b->node && a->parent == b->parent;
}

static void check_again(const MascMessage *msg, Claims *all)
{
  static Claims again;
  uint8_t out[MASC_MAX_LENGTH];
  MascMessage other, copy = *msg;

  if (msg->type == MASC_UPDATE) {
    if (all->n == 0)
      return;
    copy.update = (MascUpdate){ .claims = all->claims, .n_claims = all->n };
  }
  size_t n = masc_encode(&copy, out, sizeof out, NULL);
  if (n == 0 || !masc_decode(out, n, &other, NULL) || other.type != msg->type)
    abort();
  if (msg->type == MASC_OPEN && !same_open(&msg->open, &other.open))
    abort();
  if (msg->type != MASC_UPDATE)
    return;
  read_claims(&other.update, out, n, &again);
  if (again.n != all->n)
    abort();
  for (size_t i = 0; i < again.n; i++)
    if (!masc_claim_same(&again.claims[i], &all->claims[i]))
      abort();
}

static void check_message(const uint8_t *message, size_t length)
{
  static Claims all;
  char text[MASC_DESCRIPTION_SIZE];
  MascMessage msg;
  MascFault fault;
  bool ok = masc_decode(message, length, &msg, &fault);

  masc_describe(&msg, text, sizeof text);
  if (ok != (fault.code == MASC_ERROR_NONE))
    abort();
  check_answer(&fault, message, length, true);
  check_answer(&fault, message, length, false);
  if (!ok)
    return;
  if (msg.type == MASC_UPDATE) {
    read_claims(&msg.update, message, length, &all);
    check_claims(&all);
  }
  check_again(&msg, &all);
}

/* How many messages; each is where it should be in STREAM. */
static size_t deframe(const uint8_t *stream, size_t size, size_t piece, bool look)
{
  static MascDeframer d;
  size_t n = 0, at = 0, length;
  const uint8_t *message;
  MascFrame frame = MASC_FRAME_MORE;

  memset(&d, 0, sizeof d);
  for (size_t start = 0; start < size && frame != MASC_FRAME_LOST; start += piece) {
    const uint8_t *data = stream + start;
    size_t left = MIN(piece, size - start);
    while ((frame = masc_deframe(&d, &data, &left, &message, &length)) == MASC_FRAME_MESSAGE) {
      if (length > size - at || memcmp(message, stream + at, length) != 0)
        abort();
      at += length;
      n++;
      if (look)
        check_message(message, length);
    }
    if (frame == MASC_FRAME_LOST)
      check_message(message, length);
    else if (left > 0)
      abort();
  }
  return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  size_t piece = data[0] == 0 ? size : data[0];
  size_t whole = deframe(data + 1, size - 1, size, true);
  if (deframe(data + 1, size - 1, piece, false) != whole)
    abort();
  /* And as one message, whatever its length says. */
  g_autofree uint8_t *copy = g_memdup2(data + 1, size - 1);
  if (size - 1 >= MASC_HEADER_LENGTH && size - 1 <= MASC_MAX_LENGTH) {
    copy[0] = (uint8_t)((size - 1) >> 8);
    copy[1] = (uint8_t)(size - 1);
    check_message(copy, size - 1);
  }
  return 0;
}
