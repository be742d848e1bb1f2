#include "aap-seq.h"

enum { EMPTY, SKIPPED, HEARD };

/* ---- numbers --------------------------------------------------------------------------------- */

uint32_t aap_rseq_next(uint32_t rseq)
{
  return (rseq + 1) & AAP_RSEQ_MASK;
}

uint8_t aap_mseq_next(uint8_t mseq)
{
  return (uint8_t)(mseq + 1);
}

int32_t aap_rseq_distance(uint32_t a, uint32_t b)
{
  int32_t forward = (int32_t)((b - a) & AAP_RSEQ_MASK);
  return forward > (int32_t)(AAP_RSEQ_MASK >> 1) ? forward - (int32_t)AAP_RSEQ_MASK - 1 : forward;
}

int aap_mseq_distance(uint8_t a, uint8_t b)
{
  int forward = (uint8_t)(b - a);
  return forward > INT8_MAX ? forward - UINT8_MAX - 1 : forward;
}

uint32_t aap_rseq_take(AapRseq *counter, AapRseqInUse in_use, void *data)
{
  uint32_t taken = counter->next & AAP_RSEQ_MASK;

  /* Bounded, should IN_USE never say no. */
  for (uint32_t i = 0; in_use != NULL && i < AAP_RSEQ_MASK && in_use(taken, data); i++)
    taken = aap_rseq_next(taken);
  counter->next = aap_rseq_next(taken);
  return taken;
}

/* ---- loss ------------------------------------------------------------------------------------ */

static void place(AapLoss *loss, uint32_t rseq, uint8_t mseq, uint8_t state)
{
  loss->requests[rseq % AAP_LOSS_WINDOW].rseq = rseq;
  loss->requests[rseq % AAP_LOSS_WINDOW].mseq = mseq;
  loss->requests[rseq % AAP_LOSS_WINDOW].state = state;
}

static void start_at(AapLoss *loss, uint32_t rseq, uint8_t mseq)
{
  for (size_t i = 0; i < AAP_LOSS_WINDOW; i++)
    loss->requests[i].state = EMPTY;
  loss->started = true;
  loss->settled = mseq == 0;
  loss->highest = rseq;
  place(loss, rseq, mseq, HEARD);
}

static void unlose(AapLoss *loss)
{
  if (loss->lost > 0)
    loss->lost--;
}

static void heard_again(AapLoss *loss, uint32_t rseq, uint8_t mseq)
{
  uint8_t *last = &loss->requests[rseq % AAP_LOSS_WINDOW].mseq;
  int step = aap_mseq_distance(*last, mseq);

  if (step == 0) {
    loss->repeated++;
  } else if (step < 0) {
    unlose(loss);           /* it was only late */
  } else {
    loss->lost += (uint64_t)(step - 1);
    *last = mseq;
  }
}

/* Requests that a sender repeats since before we listened have any numbers. Only from one on whose
   first message we heard is it known what was missed. */
static void heard_ahead(AapLoss *loss, uint32_t rseq, uint8_t mseq)
{
  for (uint32_t r = aap_rseq_next(loss->highest); r != rseq; r = aap_rseq_next(r)) {
    place(loss, r, 0, loss->settled ? SKIPPED : EMPTY);
    loss->lost += loss->settled;
  }
  if (loss->settled)
    loss->lost += mseq;
  loss->settled = loss->settled || mseq == 0;
  loss->highest = rseq;
  place(loss, rseq, mseq, HEARD);
}

static void heard_within(AapLoss *loss, uint32_t rseq, uint8_t mseq)
{
  switch (loss->requests[rseq % AAP_LOSS_WINDOW].state) {
  case HEARD:
    heard_again(loss, rseq, mseq);
    break;
  case SKIPPED:
    unlose(loss);           /* what was taken for its one message */
    loss->lost += mseq;
    place(loss, rseq, mseq, HEARD);
    break;
  default:                  /* from before the first message that we heard */
    place(loss, rseq, mseq, HEARD);
    break;
  }
}

/* The first message after a restart has rseq 0 (5.1.4). Should that one be lost, another new
   request far behind tells it; a request that lives longer than the window has a higher mseq. */
static bool began_anew(const AapLoss *loss, int32_t ahead, uint32_t rseq, uint8_t mseq)
{
  return mseq == 0 && ((rseq == 0 && loss->highest != 0) || ahead <= -AAP_LOSS_WINDOW);
}

void aap_loss_heard(AapLoss *loss, uint32_t rseq, uint8_t mseq)
{
  rseq &= AAP_RSEQ_MASK;
  loss->received++;
  if (!loss->started) {
    start_at(loss, rseq, mseq);
    return;
  }
  int32_t ahead = aap_rseq_distance(loss->highest, rseq);
  if (ahead > 0 && ahead < AAP_LOSS_WINDOW) {
    heard_ahead(loss, rseq, mseq);
    return;
  }
  if (ahead > 0 || began_anew(loss, ahead, rseq, mseq)) {
    loss->restarts++;
    start_at(loss, rseq, mseq);
  } else if (ahead > -AAP_LOSS_WINDOW) {
    heard_within(loss, rseq, mseq);
  }
}

double aap_loss_share(const AapLoss *loss)
{
  uint64_t first_heard = loss->received - MIN(loss->repeated, loss->received);
  uint64_t sent = first_heard + loss->lost;
  return sent == 0 ? 0 : (double)loss->lost / (double)sent;
}
