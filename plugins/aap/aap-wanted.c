/* What servers lack, as a prefix coordinator remembers it. */
#include "aap-wanted.h"

#include "aap-time.h"

#define MOST 1024

typedef struct {
  MalEndpoint from;
  uint32_t rseq;
  uint64_t count;
  MalTime end;
} Want;

struct AapWanted {
  GArray *wants; /* Want */
};

AapWanted *aap_wanted_new(void)
{
  AapWanted *wanted = g_new(AapWanted, 1);
  wanted->wants = g_array_new(FALSE, FALSE, sizeof(Want));
  return wanted;
}

void aap_wanted_free(AapWanted *wanted)
{
  if (wanted == NULL)
    return;
  g_array_unref(wanted->wants);
  g_free(wanted);
}

bool aap_wanted_heard(AapWanted *wanted, MalEndpoint from, uint32_t rseq, uint64_t count,
                      MalTime end)
{
  Want fresh = { from, rseq, count, end };
  for (guint i = 0; i < wanted->wants->len; i++) {
    Want *old = &g_array_index(wanted->wants, Want, i);
    if (old->rseq != rseq || !mal_endpoint_equal(old->from, from))
      continue;
    bool more = count > old->count;
    *old = fresh;
    return more;
  }
  if (wanted->wants->len >= MOST)
    return false;
  g_array_append_val(wanted->wants, fresh);
  return true;
}

uint64_t aap_wanted_sum(AapWanted *wanted, MalTime now, MalTime *end)
{
  uint64_t sum = 0;
  *end = MAL_BEGINNING;
  for (guint i = wanted->wants->len; i-- > 0;) {
    const Want *want = &g_array_index(wanted->wants, Want, i);
    if (aap_time_ended(want->end, now)) {
      g_array_remove_index_fast(wanted->wants, i);
      continue;
    }
    sum += want->count;
    *end = MAX(*end, want->end);
  }
  return sum;
}

void aap_wanted_clear(AapWanted *wanted)
{
  g_array_set_size(wanted->wants, 0);
}

void aap_wanted_clock_stepped(AapWanted *wanted, int64_t delta)
{
  for (guint i = 0; i < wanted->wants->len; i++) {
    Want *want = &g_array_index(wanted->wants, Want, i);
    want->end = mal_time_add(want->end, delta);
  }
}
