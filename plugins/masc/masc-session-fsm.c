/* What a session does with what it hears (RFC 2909 8, 10.1), one message at a time. */
#include "masc-session-private.h"

#include <string.h>

static void note_heard(MascSession *s, const Link *link, const MascNotification *n, bool silent,
                       const MascClaim *claims, size_t n_claims, MascNow now)
{
  MascSessionDetail detail = { .link = link->id,
                               .code = n->code,
                               .subcode = n->subcode,
                               .open = n->open,
                               .data = n->data,
                               .length = n->length,
                               .claim = n_claims > 0 ? claims : NULL,
                               .n_claims = n_claims };
  s->status.error_in = (MascSessionError){ n->code, n->subcode, n->open, now.wall };
  masc_session_tell(s, silent ? MASC_SESSION_SILENT : MASC_SESSION_RECEIVED, &detail);
}

static void restart_hold(Link *link, MascNow now)
{
  link->hold_at =
      link->hold_time == 0 ? MASC_NEVER : now.mono + (int64_t)link->hold_time * MASC_SECOND;
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* "In response to any other event": the subcode is 10.1's. */
static void unexpected(MascSession *s, Link *link, MascNow now)
{
  uint8_t subcode = link->state == MASC_OPEN_SENT ? MASC_FSM_CONNECTION : MASC_UNSPECIFIC;
  masc_link_say(s, link, MASC_ERROR_FSM, subcode, now);
  masc_session_lose(s, link, true, MASC_DOWN_ERROR, now);
}

/* Answers FAULT; false where that ended the link. Before Established a NOTIFICATION that keeps the
   connection open would be an error itself. */
static bool answer(MascSession *s, Link *link, const MascFault *fault, const uint8_t *message,
                   size_t length, MascNow now)
{
  uint8_t octets[MASC_MAX_LENGTH];
  bool keep = link->state == MASC_ESTABLISHED && !fault->must_close;
  size_t n = masc_answer(fault, message, length, keep, octets, sizeof octets);
  if (n > 0)
    masc_link_notify(s, link, octets, n, now);
  if (!keep)
    masc_session_lose(s, link, true, fault->silent ? MASC_DOWN_NOTIFIED : MASC_DOWN_ERROR, now);
  return keep;
}

/* What is wrong with the body of a message counts only where such a message may come at all. */
static void heard_fault(MascSession *s, Link *link, const MascMessage *msg, const MascFault *fault,
                        const uint8_t *octets, size_t length, MascNow now)
{
  if ((fault->code == MASC_ERROR_UPDATE && link->state != MASC_ESTABLISHED) ||
      (fault->code == MASC_ERROR_OPEN && link->state != MASC_OPEN_SENT)) {
    unexpected(s, link, now);
    return;
  }
  if (fault->code == MASC_ERROR_NOTIFICATION)
    note_heard(s, link, &msg->notification, fault->silent, NULL, 0, now);
  answer(s, link, fault, octets, length, now);
}

/* ---- OPEN ------------------------------------------------------------------------------------ */

/* A sibling that means another common parent than this session does. */
static bool parent_ok(MascSession *s, Link *link, const MascOpen *open, MascNow now)
{
  uint8_t data[16], octets[MASC_NOTIFICATION_MIN + sizeof data];
  if (s->config.rule.role != MASC_SIBLING || open->parent == s->config.parent)
    return true;
  MascMessage msg = {
    .type = MASC_NOTIFICATION,
    .notification = { .code = MASC_ERROR_OPEN, .subcode = MASC_OPEN_PARENT_DOMAIN, .data = data }
  };
  msg.notification.length = masc_encode_ids(open->family, &open->parent, 1, data, sizeof data);
  masc_link_notify(s, link, octets, masc_encode(&msg, octets, sizeof octets, NULL), now);
  masc_session_lose(s, link, true, MASC_DOWN_ERROR, now);
  return false;
}

static bool acceptable(MascSession *s, Link *link, const MascOpen *open, const uint8_t *message,
                       size_t length, MascNow now)
{
  uint8_t octets[MASC_MAX_LENGTH];
  size_t n;
  if (masc_open_judge(open, message, length, &s->config.rule, octets, sizeof octets, &n) == 0)
    return parent_ok(s, link, open, now);
  masc_link_notify(s, link, octets, n, now);
  masc_session_lose(s, link, true, MASC_DOWN_ERROR, now);
  return false;
}

static void collide(MascSession *s, Link *loser, MascNow now)
{
  MascSessionDetail detail = { .link = loser->id };
  s->status.collisions++;
  masc_link_say(s, loser, MASC_ERROR_CEASE, MASC_UNSPECIFIC, now);
  masc_link_drop(s, loser, true);
  masc_session_tell(s, MASC_SESSION_COLLISION, &detail);
}

/* An established connection of which the other end knows nothing any more breaks when it is used;
   without a Hold Timer nothing else would use it. */
static void probe(MascSession *s, Link *link, MascNow now)
{
  if (link->keepalive_sent <= now.mono - MASC_SECOND)
    masc_link_keepalive(s, link, now);
}

/* One node is at the other end of all links of a session. */
static bool is_node(const Link *link, MascId node)
{
  return link->state < MASC_OPEN_CONFIRM || link->peer.node == node;
}

/* 8.8: whether LINK, on which OPEN came, stays. Of one connection of each direction the one stays
   that the higher node identifier initiated. OpenSent is examined, too: else a KEEPALIVE that
   overtakes an OPEN makes one end keep what the other one closes. */
static bool resolve(MascSession *s, Link *link, const MascOpen *open, MascNow now)
{
  Link *other = masc_link_other(s, link);
  if (other == NULL || other->state < MASC_OPEN_SENT)
    return true;
  bool ours = s->config.rule.node > open->node, up = other->state == MASC_ESTABLISHED;
  if (!up && is_node(other, open->node) && link->incoming != ours) {
    collide(s, other, now);
    return true;
  }
  collide(s, link, now);
  if (up)
    probe(s, other, now);
  return false;
}

static void heard_open(MascSession *s, Link *link, const MascOpen *open, const uint8_t *message,
                       size_t length, MascNow now)
{
  if (!acceptable(s, link, open, message, length, now) || !resolve(s, link, open, now))
    return;
  link->peer = *open;
  link->hold_time = masc_hold_time(s->config.hold_time, open->hold_time);
  link->state = MASC_OPEN_CONFIRM;
  /* Without an agreed Hold Time the large one goes on until the peer confirms. */
  if (link->hold_time > 0)
    restart_hold(link, now);
  if (!masc_link_keepalive(s, link, now))
    masc_session_lose(s, link, true, MASC_DOWN_SLOW, now);
}

/* ---- established ----------------------------------------------------------------------------- */

static void establish(MascSession *s, Link *link, MascNow now)
{
  Link *other = masc_link_other(s, link);
  link->state = MASC_ESTABLISHED;
  restart_hold(link, now);
  if (other != NULL && other->state == MASC_CONNECT)
    masc_link_drop(s, other, true);
  s->established_at = now.mono;
  s->status.established++;
  masc_session_settle(s, now);
  s->ops->up(s->user, s, now);
}

static bool refuse(MascSession *s, Link *link, const MascFault *fault, const uint8_t *message,
                   size_t length, MascNow now)
{
  s->status.refused_in++;
  return answer(s, link, fault, message, length, now);
}

static void heard_update(MascSession *s, Link *link, const MascUpdate *update,
                         const uint8_t *message, size_t length, MascNow now)
{
  MascCursor cursor = masc_cursor(update);
  MascClaim claim;
  MascFault fault;
  MascNext next;
  while ((next = masc_cursor_next(&cursor, &claim, &fault)) != MASC_NEXT_END) {
    if (next == MASC_NEXT_CLAIM) {
      s->status.claims_in[claim.type]++;
      uint8_t subcode = s->ops->claim(s->user, s, &claim, now);
      if (subcode == 0)
        continue;
      fault = masc_cursor_fault(&cursor, (MascUpdateError)subcode);
    }
    if (!refuse(s, link, &fault, message, length, now))
      return;
  }
  s->ops->update_end(s->user, s, now);
}

/* The attributes of ours that an UPDATE Message Error shows in its Data: where the peer shows a
   whole UPDATE, each of them may be the one at fault. */
static size_t refused_claims(const MascNotification *n, MascClaim claims[MASC_MAX_CLAIMS])
{
  uint8_t octets[MASC_MAX_LENGTH];
  MalWriter w = mal_writer(octets, sizeof octets);
  MascMessage msg;
  MascFault fault;
  MascNext next = MASC_NEXT_CLAIM;
  size_t found = 0;
  if (n->code != MASC_ERROR_UPDATE)
    return 0;
  mal_write_u16(&w, (uint16_t)(MASC_HEADER_LENGTH + n->length));
  mal_write_u8(&w, MASC_UPDATE);
  mal_write_u8(&w, 0);
  mal_write_bytes(&w, n->data, n->length);
  if (!mal_writer_ok(&w) || !masc_decode(octets, w.offset, &msg, NULL))
    return 0;
  MascCursor cursor = masc_cursor(&msg.update);
  while (next != MASC_NEXT_END && found < MASC_MAX_CLAIMS) {
    next = masc_cursor_next(&cursor, &claims[found], &fault);
    found += next == MASC_NEXT_CLAIM;
  }
  return found;
}

static void heard_notification(MascSession *s, Link *link, const MascNotification *n, MascNow now)
{
  MascClaim claims[MASC_MAX_CLAIMS];
  note_heard(s, link, n, false, claims, refused_claims(n, claims), now);
  if (link->state == MASC_OPEN_SENT || (n->open && link->state != MASC_ESTABLISHED)) {
    unexpected(s, link, now);
  } else if (!n->open) {
    masc_session_lose(s, link, true, MASC_DOWN_NOTIFIED, now);
  } else {
    s->status.refused_out++;
    restart_hold(link, now);
  }
}

/* ---- all ------------------------------------------------------------------------------------- */

static bool expected(MascType type, MascState state)
{
  switch (type) {
  case MASC_OPEN: return state == MASC_OPEN_SENT;
  case MASC_UPDATE: return state == MASC_ESTABLISHED;
  case MASC_KEEPALIVE: return state == MASC_OPEN_CONFIRM || state == MASC_ESTABLISHED;
  case MASC_NOTIFICATION:
  default: return true;
  }
}

void masc_link_heard(MascSession *s, Link *link, const uint8_t *octets, size_t length, MascNow now)
{
  MascMessage msg;
  MascFault fault;
  bool ok = masc_decode(octets, length, &msg, &fault);
  if (msg.type >= MASC_OPEN && msg.type <= MASC_KEEPALIVE)
    s->status.messages_in[msg.type]++;
  if (!ok) {
    heard_fault(s, link, &msg, &fault, octets, length, now);
  } else if (!expected(msg.type, link->state)) {
    unexpected(s, link, now);
  } else if (msg.type == MASC_OPEN) {
    heard_open(s, link, &msg.open, octets, length, now);
  } else if (msg.type == MASC_NOTIFICATION) {
    heard_notification(s, link, &msg.notification, now);
  } else if (msg.type == MASC_UPDATE) {
    restart_hold(link, now);
    heard_update(s, link, &msg.update, octets, length, now);
  } else if (link->state == MASC_OPEN_CONFIRM) {
    establish(s, link, now);
  } else {
    restart_hold(link, now);
  }
}
