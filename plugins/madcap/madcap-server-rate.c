#include "madcap-server-rate.h"

#define WAYS 4
#define MICRO INT64_C(1000000)

typedef struct {
  uint64_t tag;               /* hash of the source; 0: unused */
  int64_t last;               /* monotonic */
  int64_t credit;             /* millionths of a token */
} Bucket;

struct MadcapRate {
  MalHashKey key;
  int64_t per_second, burst;
  size_t n_sets;              /* a power of two */
  Bucket *buckets;
};

MadcapRate *madcap_rate_new(const MalHashKey *key, uint32_t per_second, size_t sources)
{
  MadcapRate *rate = g_new0(MadcapRate, 1);

  rate->key = *key;
  rate->per_second = per_second;
  rate->burst = MAX((int64_t)per_second, 4) * MICRO;
  for (rate->n_sets = 1; rate->n_sets * WAYS < sources; rate->n_sets *= 2)
    ;
  rate->buckets = g_new0(Bucket, rate->n_sets * WAYS);
  return rate;
}

void madcap_rate_free(MadcapRate *rate)
{
  if (rate != NULL)
    g_free(rate->buckets);
  g_free(rate);
}

static Bucket *find(MadcapRate *rate, uint64_t tag, int64_t mono)
{
  Bucket *set = &rate->buckets[(tag >> 8 & (rate->n_sets - 1)) * WAYS], *oldest = set;

  for (size_t i = 0; i < WAYS; i++) {
    if (set[i].tag == tag)
      return &set[i];
    if (oldest->tag != 0 && (set[i].tag == 0 || set[i].last < oldest->last))
      oldest = &set[i];
  }
  *oldest = (Bucket){ .tag = tag, .last = mono, .credit = rate->burst };
  return oldest;
}

bool madcap_rate_take(MadcapRate *rate, MalAddress source, int64_t mono)
{
  uint8_t octets[16];
  size_t n = mal_address_to_bytes(source, octets);
  Bucket *b = find(rate, mal_hash_keyed(&rate->key, octets, MIN(n, 8)) | 1, mono);
  int64_t passed = MAX(mono - b->last, 0);

  b->last = mono;
  b->credit = passed >= 2 * rate->burst / rate->per_second ? rate->burst
              : MIN(rate->burst, b->credit + passed * rate->per_second);
  if (b->credit < MICRO)
    return false;
  b->credit -= MICRO;
  return true;
}
