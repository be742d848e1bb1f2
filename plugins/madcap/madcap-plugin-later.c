#include "madcap-plugin-later.h"

#define KEPT_MOST 256
#define KEPT_FOR MADCAP_ANSWER_WITHIN
#define LENGTH_MOST 2048

typedef struct {
  MadcapArrival from;
  uint8_t *octets;
  size_t length;
  int64_t until; /* monotonic */
} Kept;

struct MadcapLater {
  const MalHost *host;
  MadcapLaterFunc func;
  void *data;
  GQueue kept; /* Kept, the oldest first */
  MalTimer *timer;
  unsigned watch;
  bool refused, again;
};

static void kept_free(gpointer data)
{
  Kept *kept = data;
  g_free(kept->octets);
  g_free(kept);
}

/* Each once: what is refused again is left to the client's retransmissions. */
static void hear_again(void *data)
{
  MadcapLater *later = data;
  int64_t now = mal_runtime_monotonic(later->host->runtime);
  later->again = true;
  for (Kept *kept; (kept = g_queue_pop_head(&later->kept)) != NULL;) {
    if (kept->until > now)
      later->func(&kept->from, kept->octets, kept->length, later->data);
    kept_free(kept);
  }
  later->again = false;
}

static void space_changed(MalSpaceChange what, const MalRange *range, void *data)
{
  MadcapLater *later = data;
  if (range->level == MAL_LEVEL_OWNED && what != MAL_SPACE_REMOVED && later->kept.length > 0)
    mal_timer_set(later->timer, mal_runtime_monotonic(later->host->runtime));
}

MadcapLater *madcap_later_new(const MalHost *host, MadcapLaterFunc func, void *data_of)
{
  MadcapLater *later = g_new0(MadcapLater, 1);
  later->host = host;
  later->func = func;
  later->data = data_of;
  later->timer = mal_timer_new(host->runtime, hear_again, later);
  later->watch = mal_space_watch(host->space, space_changed, later);
  return later;
}

void madcap_later_free(MadcapLater *later)
{
  if (later == NULL)
    return;
  mal_space_unwatch(later->host->space, later->watch);
  mal_timer_free(later->timer);
  g_queue_clear_full(&later->kept, kept_free);
  g_free(later);
}

void madcap_later_refused(MadcapLater *later, const MalRefusal *why)
{
  later->refused = why->code == MAL_ERROR_NO_SPACE && mal_space_acquires(later->host->space);
}

void madcap_later_received(MadcapLater *later, const MadcapArrival *from, const uint8_t *data,
                           size_t length)
{
  bool refused = later->refused && !later->again && length <= LENGTH_MOST &&
                 mal_address_is_multicast(from->destination);
  later->refused = false;
  if (!refused)
    return;
  Kept *kept = g_new0(Kept, 1);
  *kept = (Kept){ *from, g_memdup2(data, length), length,
                  mal_runtime_monotonic(later->host->runtime) + KEPT_FOR };
  if (later->kept.length >= KEPT_MOST)
    kept_free(g_queue_pop_head(&later->kept));
  g_queue_push_tail(&later->kept, kept);
}
