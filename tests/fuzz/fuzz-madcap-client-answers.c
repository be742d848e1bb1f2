/* Answers to the client machine, made of the fuzzer's input: fuzz-madcap-client.c says how. */
#include "fuzz-madcap-client.h"

static void put_time(ClientWorld *w, MalWriter *out)
{
  static const int32_t offsets[] = { 0, 1, -1, 60, 3600, -3600, 86400, INT32_MAX };

  mal_write_u32(out, (uint32_t)(now(w) + offsets[mal_read_u8(&w->in) % G_N_ELEMENTS(offsets)]));
}

static void put_ranges(ClientWorld *w, MalWriter *out)
{
  uint8_t n = mal_read_u8(&w->in) % 5;

  for (uint8_t i = 0; i < n; i++) {
    uint16_t at = mal_read_u8(&w->in), count = mal_read_u8(&w->in);
    mal_write_address(out, in_scope(w, at));
    mal_write_u16(out, (uint16_t)(count % 16 ? count % 16 : 0xFFFF));
  }
}

static void put_features(ClientWorld *w, MalWriter *out)
{
  for (int list = 0; list < 3; list++) {
    uint8_t codes = mal_read_u8(&w->in) % 8;
    mal_write_u16(out, (uint16_t)__builtin_popcount(codes));
    for (uint16_t code = 0; code < 3; code++)
      if (codes >> code & 1)
        mal_write_u16(out, code);
  }
}

static void put_error(ClientWorld *w, MalWriter *out)
{
  uint16_t code = mal_read_u8(&w->in) % 6;

  mal_write_u16(out, code);
  if (code == MADCAP_ERROR_CLOCK_SKEW)
    put_time(w, out);
  else if (code != MADCAP_ERROR_LEASE_ID_UNKNOWN)
    mal_write_u16(out, mal_read_u8(&w->in) % 20);
}

static void put_octets(ClientWorld *w, MalWriter *out)
{
  size_t length = mal_read_u8(&w->in) % 32, left = mal_reader_left(&w->in);
  const uint8_t *octets = mal_read_bytes(&w->in, MIN(length, left));

  if (octets)
    mal_write_bytes(out, octets, MIN(length, left));
}

static void put_server_id(ClientWorld *w, MalWriter *out)
{
  MalAddress server = peer_at(w, mal_read_u8(&w->in)).address;

  mal_write_u16(out, (uint16_t)server.family);
  mal_write_address(out, server);
}

static void put_value(ClientWorld *w, MalWriter *out, unsigned option)
{
  switch (option) {
  case MADCAP_OPTION_LEASE_TIME:
  case MADCAP_OPTION_MIN_LEASE_TIME: mal_write_u32(out, (uint32_t)pick_seconds(w)); break;
  case MADCAP_OPTION_SERVER_ID: put_server_id(w, out); break;
  case MADCAP_OPTION_LEASE_ID:
    mal_write_bytes(out, w->sent.lease_id.data, w->sent.lease_id.length);
    break;
  case MADCAP_OPTION_SCOPE: mal_write_address(out, in_scope(w, mal_read_u8(&w->in) == 1)); break;
  case MADCAP_OPTION_START_TIME:
  case MADCAP_OPTION_CURRENT_TIME:
  case MADCAP_OPTION_RETRY_TIME:
  case MADCAP_OPTION_MAX_START_TIME: put_time(w, out); break;
  case MADCAP_OPTION_RANGES: put_ranges(w, out); break;
  case MADCAP_OPTION_FEATURES: put_features(w, out); break;
  case MADCAP_OPTION_ERROR: put_error(w, out); break;
  default: put_octets(w, out);
  }
}

static void put_option(ClientWorld *w, MalWriter *out, unsigned option)
{
  mal_write_u16(out, (uint16_t)option);
  size_t mark = mal_write_begin16(out);
  put_value(w, out, option);
  mal_write_end16(out, mark);
}

static void header(ClientWorld *w, MalWriter *out, uint8_t type)
{
  mal_write_u8(out, MADCAP_VERSION);
  mal_write_u8(out, type);
  mal_write_u16(out, (uint16_t)w->ask.family);
  mal_write_u32(out, w->xid);
}

/* The lease identifier, without which no answer is one, need not be said. */
void answer_compose(ClientWorld *w)
{
  static const uint8_t types[] = { MADCAP_OFFER, MADCAP_ACK, MADCAP_NAK,
                                   MADCAP_OFFER, MADCAP_ACK, MADCAP_RELEASE };
  MalWriter out = mal_writer(w->datagram, sizeof w->datagram);
  uint8_t type = mal_read_u8(&w->in), n = mal_read_u8(&w->in) % 12;

  header(w, &out, types[type % G_N_ELEMENTS(types)]);
  if (w->last_length > 0 && type < 200)
    put_option(w, &out, MADCAP_OPTION_LEASE_ID);
  for (uint8_t i = 0; i < n; i++)
    put_option(w, &out, 1 + mal_read_u8(&w->in) % MADCAP_N_OPTIONS);
  mal_write_u32(&out, 0);
  w->datagram_length = mal_writer_ok(&out) ? out.offset : 0;
}

void answer_copy(ClientWorld *w)
{
  size_t length = mal_read_u8(&w->in) * 4u;

  w->datagram_length = MIN(length, mal_reader_left(&w->in));
  const uint8_t *octets = mal_read_bytes(&w->in, w->datagram_length);
  if (octets)
    memcpy(w->datagram, octets, w->datagram_length);
  if (w->datagram_length >= MADCAP_HEADER_LENGTH) {
    MalWriter out = mal_writer(w->datagram + 4, 4);
    mal_write_u32(&out, w->xid);
  }
}
