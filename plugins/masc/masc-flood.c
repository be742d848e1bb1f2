#include "masc-flood.h"

typedef struct {
  MascId domain;
  unsigned n;
  int64_t since;      /* of the first of the N */
  int64_t until;      /* ignored; 0: not */
} Suspect;

struct MascFlood {
  GArray *suspects;   /* Suspect */
};

MascFlood *masc_flood_new(void)
{
  MascFlood *flood = g_new0(MascFlood, 1);
  flood->suspects = g_array_new(FALSE, FALSE, sizeof(Suspect));
  return flood;
}

void masc_flood_free(MascFlood *flood)
{
  g_array_unref(flood->suspects);
  g_free(flood);
}

static Suspect *find(const MascFlood *flood, MascId domain)
{
  for (guint i = 0; i < flood->suspects->len; i++) {
    Suspect *s = &g_array_index(flood->suspects, Suspect, i);
    if (s->domain == domain)
      return s;
  }
  return NULL;
}

static void make_room(MascFlood *flood, int64_t now)
{
  guint least = 0;
  unsigned fewest = UINT_MAX;
  if (flood->suspects->len < MASC_FLOOD_DOMAINS)
    return;
  for (guint i = 0; i < flood->suspects->len; i++) {
    const Suspect *s = &g_array_index(flood->suspects, Suspect, i);
    if (s->until <= now && s->n < fewest) {
      fewest = s->n;
      least = i;
    }
  }
  g_array_remove_index_fast(flood->suspects, least);
}

static Suspect *suspect(MascFlood *flood, MascId domain, int64_t now)
{
  Suspect *s = find(flood, domain);
  if (s != NULL)
    return s;
  make_room(flood, now);
  Suspect fresh = { .domain = domain, .since = now };
  g_array_append_val(flood->suspects, fresh);
  return &g_array_index(flood->suspects, Suspect, flood->suspects->len - 1);
}

bool masc_flood_count(MascFlood *flood, MascId domain, const MascParams *params, MascNow now)
{
  int64_t period = params->waiting_period * MASC_SECOND;
  Suspect *s;
  if (params->flood_limit == 0)
    return false;
  s = suspect(flood, domain, now.mono);
  if (s->until > now.mono) {
    s->until = now.mono + 2 * period;
    return false;
  }
  if (now.mono - s->since > period) {
    s->n = 0;
    s->since = now.mono;
  }
  if (++s->n <= params->flood_limit)
    return false;
  s->n = 0;
  s->until = now.mono + 2 * period;
  return true;
}

void masc_flood_credit(MascFlood *flood, MascId domain)
{
  Suspect *s = find(flood, domain);
  if (s != NULL && s->n > 0)
    s->n--;
}

bool masc_flood_ignored(const MascFlood *flood, MascId domain, MascNow now)
{
  const Suspect *s = find(flood, domain);
  return s != NULL && s->until > now.mono;
}

bool masc_flood_forgive(MascFlood *flood, MascId domain)
{
  Suspect *s = find(flood, domain);
  if (s == NULL || s->until == 0)
    return false;
  g_array_remove_index_fast(flood->suspects, (guint)(s - (Suspect *)(void *)flood->suspects->data));
  return true;
}

size_t masc_flood_n_ignored(const MascFlood *flood, MascNow now)
{
  size_t n = 0;
  for (guint i = 0; i < flood->suspects->len; i++)
    n += g_array_index(flood->suspects, Suspect, i).until > now.mono;
  return n;
}
