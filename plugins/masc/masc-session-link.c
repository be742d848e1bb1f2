/* Links of a session: what we say on them (RFC 2909 7.2, 7.4, 7.5), and what has to wait. */
#include "masc-session-private.h"

#include <string.h>

void masc_session_tell(MascSession *s, MascSessionNote note, const MascSessionDetail *detail)
{
  s->ops->note(s->user, s, note, detail);
}

Link *masc_link_find(MascSession *s, MascLink id)
{
  for (size_t i = 0; id != 0 && i < MASC_LINKS; i++)
    if (s->links[i].id == id)
      return &s->links[i];
  return NULL;
}

Link *masc_link_other(MascSession *s, const Link *link)
{
  Link *other = &s->links[link == &s->links[0] ? 1 : 0];
  return other->id == 0 ? NULL : other;
}

Link *masc_link_established(MascSession *s)
{
  for (size_t i = 0; i < MASC_LINKS; i++)
    if (s->links[i].id != 0 && s->links[i].state == MASC_ESTABLISHED)
      return &s->links[i];
  return NULL;
}

Link *masc_link_add(MascSession *s, MascLink id, bool incoming, MascState state)
{
  for (size_t i = 0; i < MASC_LINKS; i++) {
    if (s->links[i].id != 0)
      continue;
    s->links[i] = (Link){ .id = id,
                          .state = state,
                          .incoming = incoming,
                          .hold_at = MASC_NEVER,
                          .keepalive_at = MASC_NEVER,
                          .keepalive_sent = -MASC_NEVER };
    return &s->links[i];
  }
  return NULL;
}

void masc_link_drop(MascSession *s, Link *link, bool finish)
{
  MascLink id = link->id;
  g_free(link->in);
  *link = (Link){ .hold_at = MASC_NEVER, .keepalive_at = MASC_NEVER };
  if (finish)
    s->ops->finish(s->user, s, id);
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool write_octets(MascSession *s, Link *link, MascType type, const uint8_t *octets,
                         size_t length)
{
  if (length == 0 || !s->ops->send(s->user, s, link->id, octets, length))
    return false;
  s->status.messages_out[type]++;
  return true;
}

static bool write_message(MascSession *s, Link *link, const MascMessage *msg)
{
  uint8_t octets[MASC_MAX_LENGTH];
  return write_octets(s, link, msg->type, octets, masc_encode(msg, octets, sizeof octets, NULL));
}

void masc_link_open(MascSession *s, Link *link, MascNow now)
{
  const MascOpenRule *rule = &s->config.rule;
  MascMessage msg = { .type = MASC_OPEN,
                      .open = { .family = s->config.family,
                                .role = rule->role,
                                .hold_time = s->config.hold_time,
                                .domain = rule->domain,
                                .node = rule->node,
                                .parent = s->config.parent } };
  link->state = MASC_OPEN_SENT;
  link->in = g_new0(MascDeframer, 1);
  link->hold_at = now.mono + s->config.open_wait;
  s->retry_at = MASC_NEVER;
  s->status.failure = MASC_FAILURE_NONE;
  if (!write_message(s, link, &msg))
    masc_session_lose(s, link, true, MASC_DOWN_SLOW, now);
}

static void restart_keepalive(Link *link, MascNow now)
{
  uint16_t interval = masc_keepalive_interval(link->hold_time);
  if (interval > 0)
    link->keepalive_at = now.mono + interval * MASC_SECOND;
}

bool masc_link_keepalive(MascSession *s, Link *link, MascNow now)
{
  MascMessage msg = { .type = MASC_KEEPALIVE };
  if (!write_message(s, link, &msg))
    return false;
  link->keepalive_sent = now.mono;
  restart_keepalive(link, now);
  return true;
}

/* A second's worth at once, and then as many a second. */
static bool may_notify(MascSession *s, MascNow now)
{
  int64_t each = s->config.notify_rate == 0 ? MASC_NEVER : MASC_SECOND / s->config.notify_rate;
  if (each > MASC_SECOND || MAX(s->notify_full, now.mono) + each > now.mono + MASC_SECOND)
    return false;
  s->notify_full = MAX(s->notify_full, now.mono) + each;
  return true;
}

void masc_link_notify(MascSession *s, Link *link, const uint8_t *octets, size_t length, MascNow now)
{
  MascMessage msg;
  if (!masc_decode(octets, length, &msg, NULL))
    return;
  const MascNotification *n = &msg.notification;
  MascSessionDetail detail = { .link = link->id,
                               .code = n->code,
                               .subcode = n->subcode,
                               .open = n->open,
                               .data = n->data,
                               .length = n->length };
  if ((n->open && !may_notify(s, now)) ||
      !write_octets(s, link, MASC_NOTIFICATION, octets, length)) {
    s->status.suppressed++;
    masc_session_tell(s, MASC_SESSION_SUPPRESSED, &detail);
    return;
  }
  s->status.error_out = (MascSessionError){ n->code, n->subcode, n->open, now.wall };
  masc_session_tell(s, MASC_SESSION_SENT, &detail);
}

void masc_link_say(MascSession *s, Link *link, uint8_t code, uint8_t subcode, MascNow now)
{
  MascMessage msg = { .type = MASC_NOTIFICATION,
                      .notification = { .code = code, .subcode = subcode } };
  uint8_t octets[MASC_NOTIFICATION_MIN];
  masc_link_notify(s, link, octets, masc_encode(&msg, octets, sizeof octets, NULL), now);
}

/* ---- claims ---------------------------------------------------------------------------------- */

void masc_session_clear_queue(MascSession *s)
{
  g_array_set_size(s->queue, 0);
  s->head = 0;
  s->blocked_at = s->flush_at = MASC_NEVER;
  s->overflow = false;
}

static void take(MascSession *s, size_t n)
{
  s->head += n;
  if (s->head == s->queue->len) {
    g_array_set_size(s->queue, 0);
    s->head = 0;
  } else if (s->head > s->queue->len / 2) {
    g_array_remove_range(s->queue, 0, (guint)s->head);
    s->head = 0;
  }
}

static void count_sent(MascSession *s, const MascClaim *claims, size_t n)
{
  for (size_t i = 0; i < n; i++)
    s->status.claims_out[claims[i].type]++;
}

static void blocked(MascSession *s, const Link *link, MascNow now)
{
  s->flush_at = now.mono + MASC_SECOND;
  if (s->blocked_at != MASC_NEVER)
    return;
  s->blocked_at = now.mono;
  MascSessionDetail detail = { .link = link->id, .n = s->queue->len - s->head };
  masc_session_tell(s, MASC_SESSION_SLOW, &detail);
}

/* The claim that REFUSAL is about goes; those before it have still to be sent. */
static void drop_unsendable(MascSession *s, const Link *link, const MascRefusal *refusal)
{
  size_t index = s->head + refusal->item;
  MascClaim claim = g_array_index(s->queue, MascClaim, index);
  MascSessionDetail detail = {
    .link = link->id, .claim = &claim, .n_claims = 1, .n = refusal->reason
  };
  if (refusal->item == 0)
    take(s, 1);
  else
    g_array_remove_index(s->queue, (guint)index);
  masc_session_tell(s, MASC_SESSION_UNSENDABLE, &detail);
}

/* One UPDATE. False: nothing is left, or nothing more is taken. */
static bool flush_one(MascSession *s, Link *link, MascNow now)
{
  uint8_t octets[MASC_MAX_LENGTH];
  size_t left = s->queue->len - s->head;
  if (left == 0)
    return false;
  const MascClaim *claims = &g_array_index(s->queue, MascClaim, s->head);
  MascRefusal refusal;
  size_t n = MAX(masc_claims_fit(claims, MIN(left, MASC_MAX_CLAIMS)), 1);
  MascMessage msg = { .type = MASC_UPDATE, .update = { .claims = claims, .n_claims = n } };
  size_t length = masc_encode(&msg, octets, sizeof octets, &refusal);
  if (length == 0) {
    drop_unsendable(s, link, &refusal);
    return true;
  }
  if (!write_octets(s, link, MASC_UPDATE, octets, length)) {
    blocked(s, link, now);
    return false;
  }
  count_sent(s, claims, n);
  take(s, n);
  restart_keepalive(link, now);
  s->blocked_at = MASC_NEVER;
  return true;
}

void masc_session_flush(MascSession *s, MascNow now)
{
  Link *link = masc_link_established(s);
  s->flush_at = MASC_NEVER;
  while (link != NULL && flush_one(s, link, now))
    ;
}

bool masc_session_send(MascSession *s, const MascClaim *claims, size_t n, MascNow now)
{
  if (s->state != MASC_ESTABLISHED || s->overflow)
    return false;
  if (n > s->config.queue_limit || s->queue->len - s->head > s->config.queue_limit - n) {
    s->overflow = true;
    return false;
  }
  g_array_append_vals(s->queue, claims, (guint)n);
  if (s->blocked_at == MASC_NEVER)
    masc_session_flush(s, now);
  return true;
}
