/* The life of a session: events of the transport, timers, back-off (RFC 2909 10.1). */
#include "masc-session-private.h"

#define MINUTE (60 * MASC_SECOND)
#define DAY (86400 * MASC_SECOND)
#define LEAST_TIMER (MASC_SECOND / 1000) /* so that no timer spins */

const char *masc_state_name(MascState state)
{
  static const char *const names[MASC_N_STATES] = { "Idle",     "Connect",     "Active",
                                                    "OpenSent", "OpenConfirm", "Established" };
  return (unsigned)state < MASC_N_STATES ? names[state] : "unknown";
}

const char *masc_down_name(MascDown why)
{
  static const char *const names[MASC_N_DOWNS] = {
    [MASC_DOWN_STOPPED] = "stopped",        [MASC_DOWN_NOTIFIED] = "closed by the peer",
    [MASC_DOWN_ERROR] = "the peer's error", [MASC_DOWN_HOLD] = "Hold Timer expired",
    [MASC_DOWN_CLOSED] = "connection lost", [MASC_DOWN_SLOW] = "the peer does not read",
  };
  return (unsigned)why < MASC_N_DOWNS ? names[why] : "unknown";
}

const char *masc_failure_name(MascFailure failure)
{
  static const char *const names[MASC_N_FAILURES] = {
    [MASC_FAILURE_NONE] = "none",
    [MASC_FAILURE_REFUSED] = "refused",
    [MASC_FAILURE_UNANSWERED] = "no answer",
    [MASC_FAILURE_SYSTEM] = "this system refuses it",
  };
  return (unsigned)failure < MASC_N_FAILURES ? names[failure] : "unknown";
}

/* ---- making ---------------------------------------------------------------------------------- */

void masc_session_config_init(MascSessionConfig *config)
{
  *config = (MascSessionConfig){
    .family = MAL_IPV4,
    .hold_time = MASC_HOLDTIME,
    .connect_retry = 2 * MINUTE,
    .open_wait = MASC_HOLDTIME * MASC_SECOND,
    .backoff_first = MINUTE,
    .backoff_most = DAY,
    .backoff_reset = MASC_HOLDTIME * MASC_SECOND,
    .stuck_wait = MASC_HOLDTIME * MASC_SECOND,
    .notify_rate = 100,
    .queue_limit = 131072,
  };
}

void masc_session_configure(MascSession *s, const MascSessionConfig *config)
{
  const MascOpenRule *rule = &config->rule;
  MascId *parents = g_memdup2(rule->parents, rule->n_parents * sizeof *rule->parents);
  g_free(s->parents);
  s->parents = parents;
  s->config = *config;
  MascSessionConfig *c = &s->config;
  c->rule.parents = parents;
  if (c->hold_time > 0)
    c->hold_time = MAX(c->hold_time, MASC_HOLD_TIME_MIN);
  c->connect_retry = MAX(c->connect_retry, LEAST_TIMER);
  c->open_wait = MAX(c->open_wait, LEAST_TIMER);
  c->backoff_first = MAX(c->backoff_first, LEAST_TIMER);
  c->backoff_most = MAX(c->backoff_most, c->backoff_first);
  c->stuck_wait = MAX(c->stuck_wait, LEAST_TIMER);
}

MascSession *masc_session_new(const MascSessionConfig *config, const MascSessionOps *ops,
                              void *user)
{
  MascSession *s = g_new0(MascSession, 1);
  masc_session_configure(s, config);
  s->ops = ops;
  s->user = user;
  s->idle = true;
  s->start_at = s->retry_at = s->established_at = MASC_NEVER;
  s->queue = g_array_new(FALSE, FALSE, sizeof(MascClaim));
  masc_session_clear_queue(s);
  return s;
}

void masc_session_free(MascSession *s)
{
  if (s == NULL)
    return;
  for (size_t i = 0; i < MASC_LINKS; i++)
    g_free(s->links[i].in);
  g_array_unref(s->queue);
  g_free(s->parents);
  g_free(s);
}

/* ---- states ---------------------------------------------------------------------------------- */

static const Link *best_link(const MascSession *s)
{
  const Link *best = NULL;
  for (size_t i = 0; i < MASC_LINKS; i++) {
    const Link *link = &s->links[i];
    if (link->id != 0 && (best == NULL || link->state > best->state))
      best = link;
  }
  return best;
}

static MascState state_now(const MascSession *s)
{
  const Link *best = best_link(s);
  if (s->idle)
    return MASC_IDLE;
  return best == NULL ? MASC_ACTIVE : best->state;
}

void masc_session_settle(MascSession *s, MascNow now)
{
  MascSessionDetail detail = { .from = s->state, .to = state_now(s) };
  const Link *best = best_link(s);
  if (detail.to == detail.from)
    return;
  detail.link = best == NULL ? 0 : best->id;
  s->state = detail.to;
  s->status.since = now.wall;
  masc_session_clear_queue(s);
  masc_session_tell(s, MASC_SESSION_STATE, &detail);
}

static void restart_retry(MascSession *s, MascNow now)
{
  int64_t most = s->config.connect_retry;
  if (!s->config.passive)
    s->retry_at =
        now.mono + (int64_t)s->ops->random(s->user, (uint64_t)(most - most / 4), (uint64_t)most);
}

static void become_idle(MascSession *s)
{
  for (size_t i = 0; i < MASC_LINKS; i++)
    if (s->links[i].id != 0)
      masc_link_drop(s, &s->links[i], true);
  s->idle = true;
  s->retry_at = s->start_at = MASC_NEVER;
}

/* Idle on an error: Start comes by itself, later each time. */
static void back_off(MascSession *s, MascNow now)
{
  const MascSessionConfig *c = &s->config;
  bool stood = s->established_at != MASC_NEVER && now.mono - s->established_at >= c->backoff_reset;
  if (s->backoff == 0 || stood)
    s->backoff = c->backoff_first;
  else
    s->backoff = s->backoff > c->backoff_most / 2 ? c->backoff_most : 2 * s->backoff;
  s->established_at = MASC_NEVER;
  s->start_at = now.mono + s->backoff;
  MascSessionDetail detail = { .n = (uint64_t)s->backoff };
  masc_session_tell(s, MASC_SESSION_BACKOFF, &detail);
}

static void cease_all(MascSession *s, MascNow now)
{
  for (size_t i = 0; i < MASC_LINKS; i++)
    if (s->links[i].id != 0 && s->links[i].state >= MASC_OPEN_SENT)
      masc_link_say(s, &s->links[i], MASC_ERROR_CEASE, MASC_UNSPECIFIC, now);
}

void masc_session_lose(MascSession *s, Link *link, bool finish, MascDown why, MascNow now)
{
  bool was_up = link->state == MASC_ESTABLISHED;
  masc_link_drop(s, link, finish);
  const Link *other = masc_link_other(s, link);
  if (!was_up && other != NULL && other->state >= MASC_OPEN_SENT) {
    masc_session_settle(s, now);
    return;
  }
  cease_all(s, now);
  become_idle(s);
  back_off(s, now);
  masc_session_settle(s, now);
  if (was_up)
    s->ops->down(s->user, s, why, now);
}

/* A connection that is gone before OPENs were exchanged: the next one is waited for, and tried. */
static void fall_back(MascSession *s, Link *link, bool finish, MascNow now)
{
  masc_link_drop(s, link, finish);
  const Link *other = masc_link_other(s, link);
  if (other == NULL || other->state < MASC_OPEN_SENT)
    restart_retry(s, now);
  masc_session_settle(s, now);
}

/* ---- Start and Stop -------------------------------------------------------------------------- */

static void note_failure(MascSession *s, MascLink id, MascFailure failure, MascNow now)
{
  MascSessionDetail detail = { .link = id, .n = failure };
  s->status.failure = failure;
  s->status.failed_at = now.wall;
  masc_session_tell(s, MASC_SESSION_FAILED, &detail);
}

static void connect_now(MascSession *s, MascNow now)
{
  MascLink id = s->ops->connect(s->user, s);
  MascSessionDetail detail = { .link = id };
  restart_retry(s, now);
  if (id == 0) {
    note_failure(s, id, MASC_FAILURE_SYSTEM, now);
    return;
  }
  s->status.connects++;
  masc_link_add(s, id, false, MASC_CONNECT);
  masc_session_tell(s, MASC_SESSION_CONNECTING, &detail);
}

static void begin(MascSession *s, int64_t delay, MascNow now)
{
  s->idle = false;
  s->start_at = MASC_NEVER;
  if (!s->config.passive && delay > 0)
    s->retry_at = now.mono + delay;
  else if (!s->config.passive)
    connect_now(s, now);
  masc_session_settle(s, now);
}

void masc_session_start(MascSession *s, int64_t delay, MascNow now)
{
  if (!s->idle)
    return;
  s->started = true;
  s->backoff = 0;
  begin(s, delay, now);
}

void masc_session_stop(MascSession *s, MascNow now)
{
  bool was_up = s->state == MASC_ESTABLISHED;
  cease_all(s, now);
  become_idle(s);
  s->started = false;
  s->backoff = 0;
  s->established_at = MASC_NEVER;
  masc_session_settle(s, now);
  if (was_up)
    s->ops->down(s->user, s, MASC_DOWN_STOPPED, now);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static int64_t stuck_at(const MascSession *s)
{
  if (s->overflow)
    return G_MININT64;
  return s->blocked_at == MASC_NEVER ? MASC_NEVER : s->blocked_at + s->config.stuck_wait;
}

int64_t masc_session_due(const MascSession *s)
{
  int64_t due = MIN(MIN(s->start_at, s->retry_at), MIN(stuck_at(s), s->flush_at));
  for (size_t i = 0; i < MASC_LINKS; i++)
    if (s->links[i].id != 0)
      due = MIN(due, MIN(s->links[i].hold_at, s->links[i].keepalive_at));
  return due;
}

/* ConnectRetry, in Connect and in Active. */
static void retry(MascSession *s, MascNow now)
{
  for (size_t i = 0; i < MASC_LINKS; i++) {
    if (s->links[i].id == 0)
      continue;
    g_assert(s->links[i].state == MASC_CONNECT);
    note_failure(s, s->links[i].id, MASC_FAILURE_UNANSWERED, now);
    masc_link_drop(s, &s->links[i], true);
  }
  connect_now(s, now);
  masc_session_settle(s, now);
}

static void run_link(MascSession *s, Link *link, MascNow now)
{
  if (link->hold_at <= now.mono) {
    masc_link_say(s, link, MASC_ERROR_HOLD_TIMER, MASC_UNSPECIFIC, now);
    masc_session_lose(s, link, true, MASC_DOWN_HOLD, now);
  } else if (link->keepalive_at <= now.mono && !masc_link_keepalive(s, link, now)) {
    link->keepalive_at = now.mono + MASC_SECOND;
  }
}

static void run_queue(MascSession *s, MascNow now)
{
  if (s->flush_at <= now.mono)
    masc_session_flush(s, now);
  Link *link = masc_link_established(s);
  if (link == NULL || stuck_at(s) > now.mono)
    return;
  masc_link_say(s, link, MASC_ERROR_CEASE, MASC_UNSPECIFIC, now);
  masc_session_lose(s, link, true, MASC_DOWN_SLOW, now);
}

void masc_session_run(MascSession *s, MascNow now)
{
  if (s->start_at <= now.mono)
    begin(s, 0, now);
  if (s->retry_at <= now.mono)
    retry(s, now);
  for (size_t i = 0; i < MASC_LINKS; i++)
    if (s->links[i].id != 0)
      run_link(s, &s->links[i], now);
  run_queue(s, now);
}

/* ---- the transport --------------------------------------------------------------------------- */

static bool turn_away(MascSession *s, MascLink id)
{
  MascSessionDetail detail = { .link = id, .n = s->state };
  s->status.turned_away++;
  masc_session_tell(s, MASC_SESSION_TURNED_AWAY, &detail);
  return false;
}

/* The peer has one connection at a time in the making: a newer one means that it gave up the one
   before. */
static void replace_incoming(MascSession *s, MascNow now)
{
  for (size_t i = 0; i < MASC_LINKS; i++) {
    Link *link = &s->links[i];
    MascSessionDetail detail = { .link = link->id };
    if (link->id == 0 || !link->incoming || link->state == MASC_ESTABLISHED)
      continue;
    s->status.collisions++;
    masc_link_say(s, link, MASC_ERROR_CEASE, MASC_UNSPECIFIC, now);
    masc_link_drop(s, link, true);
    masc_session_tell(s, MASC_SESSION_COLLISION, &detail);
  }
}

bool masc_session_accepted(MascSession *s, MascLink id, MascNow now)
{
  if (s->idle || id == 0 || masc_link_find(s, id) != NULL)
    return turn_away(s, id);
  replace_incoming(s, now);
  Link *link = masc_link_add(s, id, true, MASC_OPEN_SENT);
  if (link == NULL)
    return turn_away(s, id);
  masc_link_open(s, link, now);
  masc_session_settle(s, now);
  return true;
}

void masc_session_connected(MascSession *s, MascLink id, MascNow now)
{
  Link *link = masc_link_find(s, id);
  if (link == NULL || link->state != MASC_CONNECT)
    return;
  masc_link_open(s, link, now);
  masc_session_settle(s, now);
}

void masc_session_failed(MascSession *s, MascLink id, MascNow now)
{
  Link *link = masc_link_find(s, id);
  if (link == NULL || link->state != MASC_CONNECT)
    return;
  note_failure(s, id, MASC_FAILURE_REFUSED, now);
  fall_back(s, link, false, now);
}

void masc_session_closed(MascSession *s, MascLink id, MascNow now)
{
  Link *link = masc_link_find(s, id);
  MascSessionDetail detail = { .link = id };
  if (link == NULL)
    return;
  masc_session_tell(s, MASC_SESSION_CLOSED, &detail);
  if (link->state <= MASC_OPEN_SENT)
    fall_back(s, link, false, now);
  else
    masc_session_lose(s, link, false, MASC_DOWN_CLOSED, now);
}

void masc_session_data(MascSession *s, MascLink id, const uint8_t *octets, size_t length,
                       MascNow now)
{
  Link *link = masc_link_find(s, id);
  const uint8_t *message;
  size_t size;
  while (link != NULL && link->in != NULL) {
    if (masc_deframe(link->in, &octets, &length, &message, &size) == MASC_FRAME_MORE)
      return;
    masc_link_heard(s, link, message, size, now);
    masc_session_settle(s, now);
    link = masc_link_find(s, id);
  }
}

void masc_session_writable(MascSession *s, MascLink id, MascNow now)
{
  const Link *link = masc_link_find(s, id);
  if (link != NULL && link->state == MASC_ESTABLISHED && s->blocked_at != MASC_NEVER)
    masc_session_flush(s, now);
}

MascPeek masc_peek_open(const uint8_t *octets, size_t length, MascOpen *open)
{
  MalReader r = mal_reader(octets, length);
  MascMessage msg;
  size_t whole = mal_read_u16(&r);
  uint8_t type = mal_read_u8(&r);
  mal_read_u8(&r);
  if (!mal_reader_ok(&r))
    return MASC_PEEK_MORE;
  if (type != MASC_OPEN || whole < MASC_HEADER_LENGTH || whole > MASC_MAX_LENGTH)
    return MASC_PEEK_OTHER;
  if (length < whole)
    return MASC_PEEK_MORE;
  if (!masc_decode(octets, whole, &msg, NULL))
    return MASC_PEEK_OTHER;
  *open = msg.open;
  return MASC_PEEK_OPEN;
}

/* ---- looking in ------------------------------------------------------------------------------ */

MascState masc_session_state(const MascSession *s)
{
  return s->state;
}

const MascSessionConfig *masc_session_config(const MascSession *s)
{
  return &s->config;
}

void masc_session_status(const MascSession *s, MascSessionStatus *status)
{
  const Link *best = best_link(s);
  *status = s->status;
  status->state = s->state;
  status->started = s->started;
  status->backoff = s->backoff;
  status->backoff_until = s->start_at == MASC_NEVER ? 0 : s->start_at;
  status->queued = s->queue->len - s->head;
  for (size_t i = 0; i < MASC_LINKS; i++)
    status->links += s->links[i].id != 0;
  if (best == NULL)
    return;
  status->link = best->id;
  status->incoming = best->incoming;
  status->domain = best->peer.domain;
  status->node = best->peer.node;
  status->parent = best->peer.parent;
  status->hold_time = best->hold_time;
}

static void check_link(const MascSession *s, const Link *link)
{
  bool timers = link->keepalive_at != MASC_NEVER;
  g_assert(link->state >= MASC_CONNECT && link->state != MASC_ACTIVE);
  g_assert((link->state == MASC_CONNECT) == (link->in == NULL));
  g_assert(link->state != MASC_CONNECT || !link->incoming);
  g_assert(link->hold_at != MASC_NEVER || link->state == MASC_CONNECT ||
           (link->state == MASC_ESTABLISHED && link->hold_time == 0));
  g_assert(timers == (link->state >= MASC_OPEN_CONFIRM && link->hold_time > 0));
  g_assert(!s->idle && s->started);
}

void masc_session_check(const MascSession *s)
{
  const Link *a = &s->links[0], *b = &s->links[1];
  for (size_t i = 0; i < MASC_LINKS; i++)
    if (s->links[i].id != 0)
      check_link(s, &s->links[i]);
  if (a->id != 0 && b->id != 0) {
    bool up = a->state == MASC_ESTABLISHED || b->state == MASC_ESTABLISHED;
    g_assert(a->id != b->id && (a->state != b->state || a->state == MASC_OPEN_SENT));
    g_assert(a->incoming != b->incoming || up);
    g_assert(!up || MIN(a->state, b->state) == MASC_OPEN_SENT);
  }
  g_assert(s->state == state_now(s));
  g_assert((s->start_at != MASC_NEVER) == (s->idle && s->started));
  bool waits = s->state == MASC_CONNECT || s->state == MASC_ACTIVE;
  g_assert((s->retry_at != MASC_NEVER) == (waits && !s->config.passive));
  g_assert(s->state == MASC_ESTABLISHED || s->queue->len == 0);
  g_assert(s->blocked_at == MASC_NEVER || s->flush_at != MASC_NEVER);
}
