/* One session of MASC under an arbitrary peer, transport, operator and clock. The input's first
   three octets choose our role and whether we are passive, our hold time, and how many
   NOTIFICATIONs a second may keep the connection open; then steps, an octet each and what follows
   it:

     0 DELAY             Start
     1                   Stop
     2 LINK, 3 LINK      our connection is made; can't be made
     4 LINK              a connection is gone
     5                   the peer connects
     6                   time passes to the next deadline
     7 SECONDS           time passes, with each deadline on the way
     8 LINK LENGTH OCTETS...
     9 LINK TYPE A B C   a message of that type, whose fields are A, B and C
     10 N                we have N attributes to say, one in four of which can't be
     11                  the transport takes nothing, or does again
     12 LINK             there is room again
     13 SUBCODE          what attributes are answered with from now on
     14 HOLD             the configuration changes
     15                  no connection can be begun, or can again

   What must hold: the session's own check; what is said can be decoded, starts with OPEN on each
   connection and ends with what must close it; UPDATEs only while it is up; KEEPALIVEs no more than
   one a second; up and down take turns; no connection is forgotten or closed twice; in Idle there
   is none; deadlines are met in bounded work. Covers: plugins/masc/masc-session*.c
   plugins/masc/masc-open.c */
#include "plugins/masc/masc-session.h"
#include "tests/fuzz/fuzz.h"

#define EPOCH ((MalTime)962409600)
#define MOST_STEPS 400
#define MOST_LINKS 1024
#define MOST_TICKS 200

typedef struct {
  bool live, opened, closing, talked;
  int64_t keepalive;
} Connection;

typedef struct {
  MalReader in;
  MascSession *session;
  int64_t mono, began;
  bool up, full, no_connect;
  uint8_t subcode;
  uint64_t seed, notes;
  unsigned rate;
  MascLink n;
  Connection links[MOST_LINKS];
} World;

static MascNow now(const World *w)
{
  return (MascNow){ w->mono, EPOCH + w->mono / MASC_SECOND };
}

/* ---- what the session does ------------------------------------------------------------------- */

static MascLink op_connect(void *user, MascSession *session)
{
  World *w = user;
  (void)session;
  must(!masc_session_config(session)->passive);
  if (w->no_connect || w->n + 1 >= MOST_LINKS)
    return 0;
  w->links[++w->n] = (Connection){ .live = true, .keepalive = -MASC_NEVER };
  return w->n;
}

static void said_notification(World *w, Connection *c, const MascNotification *n)
{
  c->closing = !n->open;
  if (!n->open)
    return;
  int64_t elapsed = w->mono - w->began;
  must(++w->notes <= w->rate * (uint64_t)(elapsed / MASC_SECOND + 2));
}

static bool op_send(void *user, MascSession *session, MascLink link, const uint8_t *octets,
                    size_t length)
{
  World *w = user;
  MascMessage msg;
  (void)session;
  must(link > 0 && link <= w->n);
  Connection *c = &w->links[link];
  must(c->live && !c->closing && length <= MASC_MAX_LENGTH);
  must(masc_decode(octets, length, &msg, NULL));
  must(c->opened == (msg.type != MASC_OPEN));
  must(msg.type != MASC_UPDATE || w->up);
  if (w->full)
    return false;
  c->opened = true;
  if (msg.type == MASC_KEEPALIVE) {
    must(w->mono - MASC_SECOND >= c->keepalive);
    c->keepalive = w->mono;
  }
  if (msg.type == MASC_NOTIFICATION)
    said_notification(w, c, &msg.notification);
  return true;
}

static void op_finish(void *user, MascSession *session, MascLink link)
{
  World *w = user;
  (void)session;
  must(link > 0 && link <= w->n && w->links[link].live);
  w->links[link].live = false;
}

static void say(World *w, unsigned n)
{
  MascClaim claims[256];
  for (unsigned i = 0; i < n; i++)
    claims[i] = (MascClaim){ .type = MASC_NEW_CLAIM,
                             .domain = i % 4 == 3 ? 0 : 64501,
                             .node = 1,
                             .timestamp = i,
                             .prefix = { mal_address_ipv4(0xe9fc0000), 24 } };
  must(!masc_session_send(w->session, claims, n, now(w)) || w->up);
}

static void op_up(void *user, MascSession *session, MascNow at)
{
  World *w = user;
  (void)at;
  must(!w->up && masc_session_state(session) == MASC_ESTABLISHED);
  w->up = true;
  say(w, 200);
}

static void op_down(void *user, MascSession *session, MascDown why, MascNow at)
{
  World *w = user;
  (void)at;
  must(w->up && why < MASC_N_DOWNS && masc_session_state(session) == MASC_IDLE);
  w->up = false;
}

static uint8_t op_claim(void *user, MascSession *session, const MascClaim *claim, MascNow at)
{
  World *w = user;
  (void)session;
  (void)at;
  must(w->up && masc_claim_check(claim) == 0);
  if (claim->timestamp % 8 == 1)
    say(w, 3);
  return w->subcode;
}

static void op_update_end(void *user, MascSession *session, MascNow at)
{
  (void)session;
  (void)at;
  must(((World *)user)->up);
}

static uint64_t op_random(void *user, uint64_t low, uint64_t high)
{
  World *w = user;
  must(low <= high);
  w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
  return low + (w->seed >> 11) % (high - low + 1);
}

static void op_note(void *user, MascSession *session, MascSessionNote note,
                    const MascSessionDetail *detail)
{
  (void)user;
  (void)session;
  must(note < MASC_N_SESSION_NOTES && detail->from < MASC_N_STATES && detail->to < MASC_N_STATES);
  must(detail->claim == NULL || note == MASC_SESSION_UNSENDABLE ||
       masc_claim_check(detail->claim) == 0);
}

static const MascSessionOps ops = { op_connect, op_send,       op_finish, op_up,  op_down,
                                    op_claim,   op_update_end, op_random, op_note };

/* ---- steps ----------------------------------------------------------------------------------- */

/* The latest ones, mostly. */
static MascLink link_of(World *w)
{
  uint8_t back = mal_read_u8(&w->in);
  return back < w->n ? w->n - back : back;
}

static MascRole role_of(const World *w)
{
  return masc_role_of_peer(masc_session_config(w->session)->rule.role);
}

static void make_open(const World *w, MascMessage *msg, uint8_t a, uint8_t b, uint8_t c)
{
  msg->open = (MascOpen){ .family = a % 8 == 7 ? MAL_IPV6 : MAL_IPV4,
                          .role = a % 16 < 14 ? role_of(w) : (MascRole)(a % MASC_N_ROLES),
                          .hold_time = b < 64 ? 0 : b,
                          .domain = role_of(w) == MASC_INTERNAL ? 64501 : 64502,
                          .node = 100 + c % 4,
                          .parent = c > 224 ? c : 64496 };
}

static void make_update(MascMessage *msg, MascClaim *claims, uint8_t a, uint8_t b, uint8_t c)
{
  unsigned n = 1 + a % 4;
  for (unsigned i = 0; i < n; i++)
    claims[i] = (MascClaim){ .type = (MascClaimType)((b + i) % MASC_N_CLAIM_TYPES),
                             .role = (MascRole)(c % MASC_N_ROLES),
                             .timestamp = (uint32_t)b + i,
                             .domain = 64502,
                             .node = 2,
                             .prefix = { mal_address_ipv4(0xe9fc0000 + 256 * c), 24 } };
  msg->update = (MascUpdate){ .claims = claims, .n_claims = n };
}

static void hear(World *w, MascLink link, const uint8_t *octets, size_t length)
{
  if (link <= w->n && w->links[link].live)
    masc_session_data(w->session, link, octets, length, now(w));
}

static void step_message(World *w)
{
  MascLink link = link_of(w);
  uint8_t type = mal_read_u8(&w->in), a = mal_read_u8(&w->in), b = mal_read_u8(&w->in),
          c = mal_read_u8(&w->in), octets[MASC_MAX_LENGTH];
  MascClaim claims[4];
  MascMessage msg = { .type = (MascType)(1 + type % 4) };
  if (msg.type == MASC_OPEN)
    make_open(w, &msg, a, b, c);
  else if (msg.type == MASC_UPDATE)
    make_update(&msg, claims, a, b, c);
  else if (msg.type == MASC_NOTIFICATION)
    msg.notification = (MascNotification){
      .code = a % 8, .subcode = b % 30, .open = c % 2 == 0 && !masc_error_must_close(a % 8, b % 30)
    };
  hear(w, link, octets, masc_encode(&msg, octets, sizeof octets, NULL));
}

static void step_octets(World *w)
{
  MascLink link = link_of(w);
  size_t length = mal_read_u8(&w->in);
  const uint8_t *octets = mal_read_bytes(&w->in, length);
  if (octets != NULL)
    hear(w, link, octets, length);
}

static void step_link(World *w, uint8_t step)
{
  MascLink link = link_of(w);
  if (link > w->n || !w->links[link].live)
    return;
  if (step == 2)
    masc_session_connected(w->session, link, now(w));
  if (step == 12)
    masc_session_writable(w->session, link, now(w));
  if (step != 3 && step != 4)
    return;
  bool gone = step == 4 || !w->links[link].opened;
  w->links[link].live = !gone;
  if (step == 4)
    masc_session_closed(w->session, link, now(w));
  else if (gone)
    masc_session_failed(w->session, link, now(w));
}

static void step_call(World *w)
{
  if (w->n + 1 >= MOST_LINKS)
    return;
  MascLink link = ++w->n;
  bool idle = masc_session_state(w->session) == MASC_IDLE;
  w->links[link] = (Connection){ .live = true, .keepalive = -MASC_NEVER };
  bool taken = masc_session_accepted(w->session, link, now(w));
  must(!taken || !idle);
  if (!taken) {
    must(!w->links[link].opened && w->links[link].live);
    w->links[link].live = false;
  }
}

static void pass(World *w, int64_t until)
{
  for (unsigned ticks = 0; masc_session_due(w->session) <= until; ticks++) {
    if (ticks > MOST_TICKS)
      return;
    w->mono = MAX(w->mono, masc_session_due(w->session));
    masc_session_run(w->session, now(w));
    must(masc_session_due(w->session) > w->mono);
  }
  w->mono = MAX(w->mono, until);
}

static MascSessionConfig config_of(uint8_t role, uint8_t hold, uint8_t rate)
{
  static const MascId parents[] = { 64496, 64499 };
  MascSessionConfig config;
  masc_session_config_init(&config);
  config.rule = (MascOpenRule){ .role = (MascRole)(role % MASC_N_ROLES),
                                .domain = 64501,
                                .node = 102,
                                .parents = parents,
                                .n_parents = 2 };
  config.parent = 64496;
  config.passive = (role & 0x80) != 0;
  config.hold_time = hold;
  config.notify_rate = rate % 32;
  config.queue_limit = 1000;
  return config;
}

static void step(World *w)
{
  MascSessionConfig config;
  int64_t due = masc_session_due(w->session);
  uint8_t what = mal_read_u8(&w->in) % 16;
  switch (what) {
  case 0: masc_session_start(w->session, mal_read_u8(&w->in) * MASC_SECOND, now(w)); break;
  case 1: masc_session_stop(w->session, now(w)); break;
  case 5: step_call(w); break;
  case 6: pass(w, due == MASC_NEVER ? w->mono : due); break;
  case 7: pass(w, w->mono + mal_read_u8(&w->in) * MASC_SECOND); break;
  case 8: step_octets(w); break;
  case 9: step_message(w); break;
  case 10: say(w, mal_read_u8(&w->in)); break;
  case 11: w->full = !w->full; break;
  case 13: w->subcode = mal_read_u8(&w->in) % 30; break;
  case 14:
    config = *masc_session_config(w->session);
    config.hold_time = mal_read_u8(&w->in);
    masc_session_configure(w->session, &config);
    break;
  case 15: w->no_connect = !w->no_connect; break;
  default: step_link(w, what); break;
  }
}

static void check(const World *w)
{
  MascSessionStatus status;
  unsigned live = 0;
  masc_session_check(w->session);
  masc_session_status(w->session, &status);
  for (MascLink i = 1; i <= w->n; i++)
    live += w->links[i].live;
  must(live == status.links && live <= 2);
  must(w->up == (status.state == MASC_ESTABLISHED));
  must(status.state != MASC_IDLE || live == 0);
  must(status.queued <= masc_session_config(w->session)->queue_limit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  World *w = g_new0(World, 1);
  w->in = mal_reader(data, size);
  uint8_t role = mal_read_u8(&w->in), hold = mal_read_u8(&w->in), rate = mal_read_u8(&w->in);
  MascSessionConfig config = config_of(role, hold, rate);
  w->rate = config.notify_rate;
  w->session = masc_session_new(&config, &ops, w);
  for (unsigned i = 0; i < MOST_STEPS && mal_reader_more(&w->in); i++) {
    step(w);
    check(w);
  }
  masc_session_free(w->session);
  g_free(w);
  return 0;
}
