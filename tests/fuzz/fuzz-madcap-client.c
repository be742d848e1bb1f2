/* The client machine under arbitrary answers, time and changes of mind. The input says what is
   asked for (see ask_of), then steps:

     0 PEER LENGTH OCTETS    a datagram; the transaction id in it is made the right one
     1 PEER TYPE N OPTIONS   an answer made of N options, each a code and octets that shape its
                             value (see fuzz-madcap-client-answers.c)
     2                       time passes to the next deadline
     3 SECONDS(2) MICRO(1)   time passes, with each deadline on the way
     4 HOW                   the wall clock steps
     5                       nobody wants it any more
     6                       what was leased is renewed, by another errand
     7 PEER                  the last datagram once more

   What must hold: each message keeps table 5 and goes to whom was asked; a retransmission is the
   same octets; an errand ends, in bounded time, and says nothing afterwards; what it brings is what
   was asked for; whoever was sent a REQUEST, and may have granted it, is told of in the end. What
   was leased comes back from its record as it was, is renewed or ends.
   Covers: plugins/madcap/madcap-client*.c */
#include <string.h>

#include "fuzz-madcap-client.h"
#include "tests/fuzz/fuzz.h"

#define MOST_TICKS 1000
#define MOST_STEPS 512

static bool same_peer(const MalEndpoint *a, const MalEndpoint *b)
{
  return a->port == b->port && mal_address_equal(a->address, b->address);
}

/* ---- what the machine does ------------------------------------------------------------------- */

static uint32_t op_xid(void *user)
{
  return ++((ClientWorld *)user)->xid;
}

static void op_id(void *user, uint8_t out[16])
{
  memset(out, 0xA0 + ((ClientWorld *)user)->next_id++, 16);
}

static bool is_one_of(const MalEndpoint *who, const MalEndpoint *list, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (same_peer(who, &list[i]))
      return true;
  return false;
}

static void note_request(ClientWorld *w, const MalEndpoint *who)
{
  MalLeaseId id = madcap_client_id(w->client);

  must(w->n_asked < MOST_ASKED);
  Asked *a = &w->asked[w->n_asked++];
  *a = (Asked){ .who = *who, .id_length = id.length };
  memcpy(a->id, id.bytes, id.length);
}

static void op_send(void *user, const MalEndpoint *to, const uint8_t *data, size_t length,
                    unsigned transmission)
{
  ClientWorld *w = user;
  bool group = mal_address_is_multicast(to->address);
  MadcapMessage m;

  must(!w->over && length <= sizeof w->last);
  must(is_one_of(to, group ? w->groups : w->servers, group ? w->ask.n_groups : w->ask.n_servers));
  must(madcap_decode(data, length, &m, NULL) == MADCAP_OK && !madcap_type_from_server(m.type));
  must(madcap_check(&m, (MadcapContext){ .multicast = group }, NULL));
  must(m.xid == w->xid && m.family == w->ask.family);
  must(mal_lease_id_equal((MalLeaseId){ m.lease_id.data, m.lease_id.length },
                          madcap_client_id(w->client)));
  bool fresh = transmission == 1 && (w->last_length == 0 || m.xid != w->sent.xid);
  if (fresh) {
    memcpy(w->last, data, length);
    w->last_length = length;
    must(madcap_decode(w->last, length, &w->sent, NULL) == MADCAP_OK);
    if (m.type == MADCAP_REQUEST)
      note_request(w, group ? &w->chosen : to);
  } else {
    must(length == w->last_length && memcmp(w->last, data, length) == 0);
    must(transmission == w->transmission || transmission == w->transmission + 1);
  }
  must(transmission >= 1 && transmission <= MADCAP_CLIENT_TRANSMISSIONS);
  w->transmission = transmission;
}

static void op_news(void *user, MadcapClientNews what, const MalEndpoint *who,
                    const MadcapMessage *msg, const char *why)
{
  ClientWorld *w = user;

  must(!w->over && who);
  if (what == MADCAP_CLIENT_CHOSEN)
    w->chosen = *who;
  must((what == MADCAP_CLIENT_UNFIT || what == MADCAP_CLIENT_LATER) == (why && *why));
  must(!msg || w->hears);
  if (what == MADCAP_CLIENT_HEARD && msg->type == MADCAP_NAK && w->sent.type == MADCAP_REQUEST &&
      w->n_asked > 0)
    w->asked[w->n_asked - 1].refused = true;
}

static void op_info(void *user, const MalEndpoint *from, const MadcapMessage *msg)
{
  ClientWorld *w = user;

  must(!w->over && w->hears && from && msg && w->ask.errand == MADCAP_GETINFO);
}

static const MadcapClientOps ops = {
  .xid = op_xid, .id = op_id, .send = op_send, .news = op_news, .info = op_info,
};

/* ---- what it brings -------------------------------------------------------------------------- */

static uint64_t check_blocks(const ClientWorld *w, const GArray *blocks)
{
  uint64_t n = 0;

  must(blocks && blocks->len > 0);
  for (guint i = 0; i < blocks->len; i++) {
    const MalBlock *b = &g_array_index(blocks, MalBlock, i), *before = b - 1;
    must(b->count > 0 && mal_address_is_multicast(b->first));
    must(mal_address_is_multicast(mal_span_of_block(*b).last) && b->first.family == w->ask.family);
    must(i == 0 || before->first.value + before->count <= b->first.value);
    n += b->count;
  }
  return n;
}

static void check_named(const ClientWorld *w, const GArray *blocks)
{
  for (guint i = 0; i < blocks->len; i++) {
    MalSpan span = mal_span_of_block(g_array_index(blocks, MalBlock, i));
    bool inside = false;
    for (size_t k = 0; k < w->ask.n_named; k++)
      inside |= mal_span_contains(mal_span_of_block(w->ask.named[k]), span);
    must(inside);
  }
}

static void check_lease(const ClientWorld *w, const MadcapClientResult *r)
{
  const MadcapClientAsk *ask = &w->ask;
  uint64_t n = check_blocks(w, r->blocks), named = 0;

  for (size_t i = 0; i < ask->n_named; i++)
    named += ask->named[i].count;
  must(r->lease_time > 0 && r->end == mal_time_add(r->start, r->lease_time));
  must(r->lease_time + (w->mono - w->began) / US + 1 >= ask->min_lifetime);
  must(!r->starts_later || ask->max_start == MAL_FOREVER || r->start <= ask->max_start);
  if (ask->errand != MADCAP_REQUEST)
    return;
  must(mal_address_equal(r->scope, ask->scope));
  must(named > 0 ? n == named : n >= ask->min && n <= ask->desired);
  if (named > 0)
    check_named(w, r->blocks);
}

/* Who may have granted is told of, so that it can be released there. */
static void check_silent(const ClientWorld *w, const MadcapClientResult *r)
{
  for (size_t i = 0; i < w->n_asked; i++) {
    const Asked *a = &w->asked[i];
    bool told = a->refused || (r->done && i + 1 == w->n_asked);
    for (guint k = 0; k < r->silent->len && !told; k++) {
      const MadcapClientSilent *s = &g_array_index(r->silent, MadcapClientSilent, k);
      told =
          same_peer(&s->server, &a->who) && mal_lease_id_equal((MalLeaseId){ s->id, s->id_length },
                                                               (MalLeaseId){ a->id, a->id_length });
    }
    /* Asked again after "later": one and the same lease. */
    for (size_t k = i + 1; k < w->n_asked && !told; k++)
      told = same_peer(&w->asked[k].who, &a->who) && w->asked[k].id_length == a->id_length &&
             memcmp(w->asked[k].id, a->id, a->id_length) == 0;
    must(told);
  }
}

static void check_over(ClientWorld *w)
{
  const MadcapClientResult *r = madcap_client_result(w->client);
  bool lease = w->ask.errand == MADCAP_REQUEST || w->ask.errand == MADCAP_RENEW;

  w->over = true;
  must(madcap_client_due(w->client) == INT64_MAX && !madcap_client_is_waiting(w->client));
  must(r->done || (r->text && g_utf8_validate(r->text, -1, NULL)));
  if (r->done && lease)
    check_lease(w, r);
  else
    must(!r->blocks);
  check_silent(w, r);
}

static void check(ClientWorld *w)
{
  if (w->over) {
    must(madcap_client_result(w->client) && madcap_client_due(w->client) == INT64_MAX);
    return;
  }
  if (madcap_client_result(w->client))
    check_over(w);
  else
    must(madcap_client_due(w->client) < INT64_MAX);
}

/* ---- what was leased ------------------------------------------------------------------------- */

static void check_record(const MadcapHeld *held)
{
  g_autoptr(GByteArray) record = madcap_held_write(held);
  g_autoptr(MadcapHeld) again =
      madcap_held_read(madcap_held_id(held), record->data, record->len, NULL);

  must(again);
  g_autoptr(GByteArray) twice = madcap_held_write(again);
  must(record->len == twice->len && memcmp(record->data, twice->data, record->len) == 0);
}

static void take_lease(ClientWorld *w)
{
  const MadcapClientResult *r = madcap_client_result(w->client);
  MalLeaseId id = madcap_client_id(w->client);

  if (!w->over || !r->done || !r->blocks)
    return;
  if (!w->held) {
    w->held = madcap_held_new();
    w->held->scope = g_strdup("local");
    w->held->lifetime = w->ask.lifetime;
    w->held->renew = true;
    memcpy(w->held->id, id.bytes, id.length);
    w->held->id_length = id.length;
  }
  madcap_held_granted(w->held, r, now(w), w->mono, mal_read_u16(&w->in) % (MADCAP_HELD_JITTER + 1));
  /* A record has no room for what a wall clock of the far past or future says. */
  if (w->held->start >= 0 && w->held->granted >= 0)
    check_record(w->held);
}

/* No renewal succeeds any more: it is tried now and then, and ends. */
static void check_end_of_lease(ClientWorld *w)
{
  MadcapHeldStep step;

  for (unsigned n = 0; n < MOST_TICKS; n++) {
    int64_t due = MAX(madcap_held_due(w->held, now(w), w->mono), w->mono);
    if (due == INT64_MAX)
      return;
    w->wall += due - w->mono;
    w->mono = due;
    step = madcap_held_step(w->held, now(w), w->mono);
    if (step == MADCAP_HELD_ENDED) {
      must(now(w) >= w->held->end);
      return;
    }
    must(step == MADCAP_HELD_RENEW);
    madcap_held_failed(w->held, now(w), w->mono, n);
  }
  must_fail(__FILE__, __LINE__, "the lease ends");
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static int64_t pick_time(ClientWorld *w, int64_t none)
{
  static const int64_t offsets[] = {
    0, 1, 60, 3600, 86400, -3600, INT64_C(1) << 31, INT64_C(1) << 33
  };
  uint8_t how = mal_read_u8(&w->in);

  return how % 16 < G_N_ELEMENTS(offsets) ? now(w) + offsets[how % 16] : none;
}

static void ask_whom(ClientWorld *w, uint8_t how)
{
  w->ask.n_servers = how % 4;
  w->ask.n_groups = how / 4 % 3;
  w->ask.servers = w->servers;
  w->ask.groups = w->groups;
  for (size_t i = 0; i < w->ask.n_servers; i++)
    w->servers[i] = peer_at(w, (uint8_t)i);
  for (size_t i = 0; i < w->ask.n_groups; i++)
    w->groups[i] = (MalEndpoint){ .address = in_scope(w, (uint16_t)(0xFFFE - i)), .port = 2535 };
}

static void ask_of(ClientWorld *w)
{
  static const MadcapType errands[] = { MADCAP_REQUEST, MADCAP_RENEW, MADCAP_RELEASE,
                                        MADCAP_GETINFO };
  uint8_t flags = mal_read_u8(&w->in), more = mal_read_u8(&w->in);
  MadcapClientAsk *a = &w->ask;

  a->errand = errands[flags % 4];
  a->family = flags & 4 ? MAL_IPV6 : MAL_IPV4;
  a->fixed_id = flags & 8;
  a->shared = flags & 16;
  a->wait = flags & 32;
  a->take_first = flags & 64;
  a->language = flags & 128 ? "en" : NULL;
  ask_whom(w, more);
  memset(w->id, 7, sizeof w->id);
  a->id = (MalLeaseId){ w->id, more / 12 % 2 ? 17 : 1 };
  a->scope = in_scope(w, 0);
  a->min = mal_read_u16(&w->in);
  a->desired = a->min + mal_read_u8(&w->in);
  a->n_named = more / 24 % 4;
  a->named = w->named;
  for (size_t i = 0; i < a->n_named; i++)
    w->named[i] = mal_block_make(in_scope(w, (uint16_t)(64 * i + mal_read_u8(&w->in) % 64)),
                                 (uint32_t)(1 + i));
  a->lifetime = pick_seconds(w);
  a->min_lifetime = pick_seconds(w);
  a->start = pick_time(w, MAL_BEGINNING);
  a->max_start = pick_time(w, MAL_FOREVER);
  a->discover_delay = pick_seconds(w) % 100 * US;
  a->gather = pick_seconds(w) % 100 * US;
}

static bool begin(ClientWorld *w)
{
  g_autoptr(GError) error = NULL;

  w->over = false;
  w->n_asked = 0;
  w->last_length = w->datagram_length = 0;
  w->began = w->mono;
  w->client = madcap_client_new(&w->ask, &ops, w, &error);
  must(w->client || (error && error->code == MAL_ERROR_INVALID));
  if (w->client) {
    madcap_client_start(w->client, now(w), w->mono);
    check(w);
  }
  return w->client;
}

static void renew(ClientWorld *w)
{
  if (!w->over || !w->held)
    return;
  madcap_client_free(w->client);
  w->client = NULL;
  memcpy(w->id, w->held->id, w->held->id_length);
  w->ask.id.length = w->held->id_length;
  w->ask.errand = MADCAP_RENEW;
  w->ask.n_groups = w->ask.n_named = 0;
  w->ask.n_servers = 1;
  w->servers[0] = w->held->server;
  w->held->busy = true;
}

/* ---- answers ------------------------------------------------------------------------------- */

static void deliver(ClientWorld *w, MalEndpoint peer)
{
  g_autofree uint8_t *exact = g_memdup2(w->datagram, w->datagram_length);
  MadcapMessage m;

  if (madcap_decode(exact, w->datagram_length, &m, NULL) != MADCAP_OK)
    return;
  bool was_over = w->over;
  w->hears = true;
  bool taken = madcap_client_receive(w->client, &peer, &m, now(w), w->mono);
  w->hears = false;
  must(!(taken && was_over));
}

/* ---- time ------------------------------------------------------------------------------------ */

static void pass_to(ClientWorld *w, int64_t mono)
{
  mono = MAX(mono, w->mono);
  for (unsigned n = 0; madcap_client_due(w->client) <= mono; n++) {
    int64_t due = MAX(madcap_client_due(w->client), w->mono);
    must(n < MOST_TICKS);
    w->wall += due - w->mono;
    w->mono = due;
    madcap_client_tick(w->client, now(w), w->mono);
    check(w);
    must(madcap_client_due(w->client) > w->mono);
  }
  w->wall += mono - w->mono;
  w->mono = mono;
  madcap_client_tick(w->client, now(w), w->mono);
}

static void step_clock(ClientWorld *w)
{
  static const int64_t steps[] = { 1, -1, 3600, -3600, 86400 * 400, -86400 * 400, INT64_C(1) << 31,
                                   -(INT64_C(1) << 31) };

  w->wall += steps[mal_read_u8(&w->in) % G_N_ELEMENTS(steps)] * US;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool do_step(ClientWorld *w)
{
  uint8_t step = mal_read_u8(&w->in) % 8;
  MalEndpoint peer = peer_at(w, step < 2 || step == 7 ? mal_read_u8(&w->in) : 0);

  switch (step) {
  case 0: answer_copy(w); deliver(w, peer); break;
  case 1: answer_compose(w); deliver(w, peer); break;
  case 2:
    if (!w->over)
      pass_to(w, madcap_client_due(w->client));
    break;
  case 3: {
    int64_t seconds = mal_read_u16(&w->in);
    pass_to(w, w->mono + seconds * US + mal_read_u8(&w->in));
    break;
  }
  case 4: step_clock(w); break;
  case 5: madcap_client_cancel(w->client); must(madcap_client_result(w->client)); break;
  case 6:
    take_lease(w);
    renew(w);
    return w->client || begin(w);
  default: deliver(w, peer);
  }
  check(w);
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree ClientWorld *w = g_new0(ClientWorld, 1);

  w->in = mal_reader(data, size);
  w->mono = 1000 * US;
  w->wall = INT64_C(1767225600) * US;
  ask_of(w);
  bool going = begin(w);
  for (unsigned n = 0; going && n < MOST_STEPS && mal_reader_more(&w->in); n++)
    going = do_step(w);
  for (unsigned n = 0; going && !w->over; n++) {
    must(n < MOST_TICKS);
    pass_to(w, madcap_client_due(w->client));
  }
  if (going)
    take_lease(w);
  madcap_client_free(w->client);
  if (w->held) {
    w->held->busy = false;
    check_end_of_lease(w);
  }
  madcap_held_free(w->held);
  return 0;
}
