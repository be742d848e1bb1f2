/* What fuzz-madcap-client is made of: the client, and all that was said to it and by it. */
#ifndef FUZZ_MADCAP_CLIENT_H
#define FUZZ_MADCAP_CLIENT_H

#include "plugins/madcap/madcap-client-held.h"

#define US INT64_C(1000000)
#define N_PEERS 8
#define MOST_ASKED 256

/* Somebody who was sent a REQUEST. */
typedef struct {
  MalEndpoint who;
  uint8_t id[MAL_LEASE_ID_MAX];
  size_t id_length;
  bool refused;
} Asked;

typedef struct {
  MalReader in;
  MadcapClient *client;
  MadcapClientAsk ask;
  MadcapHeld *held;
  uint8_t id[MAL_LEASE_ID_MAX];
  MalBlock named[3];
  MalEndpoint servers[3], groups[2], chosen;
  int64_t mono, wall;           /* microseconds */
  int64_t began;
  uint32_t xid;
  uint8_t next_id;
  bool over, hears;             /* HEARS: within receive */
  MadcapMessage sent;           /* the last message, decoded, in LAST */
  uint8_t last[1400], datagram[1024];
  size_t last_length, datagram_length;
  unsigned transmission;
  Asked asked[MOST_ASKED];
  size_t n_asked;
} ClientWorld;

static inline MalTime now(const ClientWorld *w)
{
  return w->wall / US - (w->wall % US < 0);
}

static inline MalEndpoint peer_at(const ClientWorld *w, uint8_t n)
{
  bool six = w->ask.family == MAL_IPV6;
  MalU128 base = six ? (MalU128)0x20010db800000000u << 64 | 1 : 0xC0000201u;

  return (MalEndpoint){ .address = mal_address_make(w->ask.family, base + n % N_PEERS),
                        .port = 2535 };
}

static inline int64_t pick_seconds(ClientWorld *w)
{
  static const int64_t some[] = { 0, 1, 2, 60, 3600, 86400, UINT32_MAX, INT64_C(1) << 40 };

  return some[mal_read_u8(&w->in) % G_N_ELEMENTS(some)];
}

static inline MalAddress in_scope(const ClientWorld *w, uint16_t n)
{
  bool six = w->ask.family == MAL_IPV6;
  MalU128 first = six ? (MalU128)0xff15000000000000u << 64 | 0x0db880000000u : 0xEFFF0000u;

  return mal_address_make(w->ask.family, first + n);
}

/* fuzz-madcap-client-answers.c: what comes next in the input becomes the datagram, as an answer
   made of options or as it is. */
void answer_compose(ClientWorld *w);
void answer_copy(ClientWorld *w);

#endif
