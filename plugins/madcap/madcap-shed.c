/* The controller is a proportional-integral one on the queue's delay, as PIE has it (RFC 8033);
   but its pressure runs through the classes, and passes over those of which nothing comes. What
   it goes by is the least lag of each interval, so one late batch, or a step of the clock, is no
   overload. */
#include "madcap-shed.h"

#include "madcap-wire.h"

enum {
  MOST = MAL_UDP_ALL * MADCAP_SHED_CLASSES,
  GAIN = 10,                  /* classes a second of lag */
  SUM_GAIN = 100,             /* the same, a second */
  STEP = MAL_UDP_ALL / 64,    /* smaller changes are not worth telling the system */
  LONGEST = 5 * 10000,        /* interval that counts in full */
  WORST = 75000,              /* as much too late as counts */
};

void madcap_shed_init(MadcapShed *shed, int64_t mono)
{
  *shed = (MadcapShed){ .begun = mono, .least = INT64_MAX, .late = INT64_MAX };
}

MadcapShedClass madcap_shed_class(uint8_t type)
{
  switch (type) {
  case MADCAP_REQUEST: return MADCAP_SHED_WANTED;
  case MADCAP_RENEW:
  case MADCAP_RELEASE: return MADCAP_SHED_HELD;
  default: return MADCAP_SHED_NEW;
  }
}

unsigned madcap_shed_part(const MadcapShed *shed, MadcapShedClass class)
{
  int64_t part = shed->pressure - (int64_t)class * MAL_UDP_ALL;

  return (unsigned)CLAMP(part, 0, MAL_UDP_ALL);
}

void madcap_shed_say(const MadcapShed *shed, MalUdpShed *out)
{
  *out = (MalUdpShed){ .octet = 1 };
  for (uint8_t type = 0; type < MAL_UDP_KINDS; type++)
    out->drop[type] = (uint16_t)madcap_shed_part(shed, madcap_shed_class(type));
}

/* A class of which nothing came can't relieve us. */
static void pass_over(MadcapShed *shed)
{
  for (unsigned class = 0; shed->seen != 0 && class + 1 < MADCAP_SHED_CLASSES; class++)
    if ((shed->seen & 1u << class) == 0 && shed->pressure < (int64_t)(class + 1) * MAL_UDP_ALL)
      shed->pressure = shed->sum = (int64_t)(class + 1) * MAL_UDP_ALL;
    else if (shed->pressure < (int64_t)(class + 1) * MAL_UDP_ALL)
      return;
}

/* EXCESS may be negative. */
static int64_t press(int64_t excess, int64_t gain)
{
  return excess * gain * MAL_UDP_ALL / MAL_US;
}

static void step(MadcapShed *shed, int64_t span, int64_t mono)
{
  int64_t excess = MIN(shed->least - MADCAP_SHED_TARGET, WORST);

  if (excess <= 0 && shed->pressure == 0 && shed->sum == 0) {
    shed->late = INT64_MAX;
    return;
  }
  if (shed->late == INT64_MAX)
    shed->late = mono;
  if (shed->pressure == 0 && mono - shed->late < MADCAP_SHED_GRACE)
    return;
  shed->sum = CLAMP(shed->sum + press(excess, SUM_GAIN) * span / MAL_US, 0, MOST);
  if (excess > 0)
    pass_over(shed);
  shed->pressure = CLAMP(shed->sum + press(excess, GAIN), 0, MOST);
}

bool madcap_shed_note(MadcapShed *shed, unsigned seen, int64_t lag, int64_t mono)
{
  int64_t span = mono - shed->begun, before = shed->pressure;

  /* Whom the processor was taken from finds a queue, which is none if he comes to its end at
     once: what is noted first can't end an interval. */
  if (!shed->open) {
    shed->begun = mono;
    shed->open = true;
    span = 0;
  }
  shed->seen |= seen;
  shed->least = MIN(shed->least, lag);
  if (span < MADCAP_SHED_INTERVAL)
    return false;
  step(shed, MIN(span, LONGEST), mono);
  shed->begun = mono;
  shed->open = false;
  shed->least = INT64_MAX;
  shed->seen = 0;
  if (shed->pressure / STEP == before / STEP && (shed->pressure == 0) == (before == 0)) {
    shed->pressure = before;
    return false;
  }
  return true;
}

int64_t madcap_shed_due(const MadcapShed *shed)
{
  return shed->pressure == 0 && shed->sum == 0 ? INT64_MAX : shed->begun + MADCAP_SHED_INTERVAL;
}
