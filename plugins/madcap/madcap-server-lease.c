/* DISCOVER, REQUEST, RENEW, RELEASE (RFC 2730 2.2), and the life of their transactions:

     under way   an entry of the cache without an answer: the engine decided, the disk has not yet
     waiting     the engine waits for space. A client that knows Retry After is told after 3 s to
                 come again and then comes with a new xid; another one hears nothing until the
                 space is there or it has given up (60 s)
     done        the answer is kept for retransmissions; see madcap-server-cache.h */
#include "madcap-server-private.h"

/* RFC 2730 does not say who may change a lease but for Shared Lease Identifier (2.13.3). */
static bool may_change(const MadcapServer *s, const MalLease *lease, const MadcapArrival *from)
{
  if (s->config.anyone_may_change || (lease->flags & MAL_LEASE_SHARED) != 0)
    return true;
  return lease->client.family != MAL_FAMILY_NONE &&
         mal_address_equal(lease->client, from->peer.address);
}

static void refuse(const MadcapExchange *x, MadcapErrorCode code, uint16_t option)
{
  MadcapRefusal why = madcap_refusal(code, option);

  madcap_refuse_now(x, &why);
}

/* A lease that has ended is no lease, though its addresses rest for the extra allocation time. */
static bool live_lease(const MadcapExchange *x, MalLease *out)
{
  return x->s->ops->lease(x->s->user, x->id, out) && out->end > x->now;
}

/* A lease that is there already binds us as a new one would: what the client calls its least or
   latest (2.2.2, 2.2.4) and how many it asks for (3.8) are MUSTs. What a client's retransmissions
   take, which the extra allocation time covers, is forgiven: it was granted for the same words. */
static bool falls_short(const MadcapExchange *x, const MalLease *lease, MadcapRefusal *why)
{
  const MadcapMessage *msg = x->msg;
  uint64_t n = mal_lease_addresses(lease);
  int64_t left = lease->end - MAX(lease->start, x->now) + MADCAP_CLIENT_GIVES_UP / 1000000;
  uint16_t option = MADCAP_NO_OPTION;

  if (madcap_has(msg, MADCAP_OPTION_NUMBER) &&
      (n < msg->min_addresses || n > msg->desired_addresses))
    option = MADCAP_OPTION_NUMBER;
  else if (madcap_has(msg, MADCAP_OPTION_MIN_LEASE_TIME) && left < msg->min_lease_time)
    option = MADCAP_OPTION_MIN_LEASE_TIME;
  else if (madcap_has(msg, MADCAP_OPTION_MAX_START_TIME) && lease->start > x->now &&
           lease->start > msg->max_start_time)
    option = MADCAP_OPTION_MAX_START_TIME;
  *why = madcap_refusal(MADCAP_ERROR_NOT_COMPLETED, option);
  return option != MADCAP_NO_OPTION;
}

static bool lacks_shared(const MadcapExchange *x, const MalLease *lease, MadcapRefusal *why)
{
  return madcap_features_missing(x, (lease->flags & MAL_LEASE_SHARED) == 0, why);
}

static uint8_t entry_flags(const MadcapMessage *msg)
{
  uint8_t flags = 0;

  if (madcap_has(msg, MADCAP_OPTION_FEATURES))
    flags |= MADCAP_ENTRY_FEATURES;
  if (madcap_wants_shared(msg))
    flags |= MADCAP_ENTRY_SHARED;
  if (flags != 0 && madcap_feature_mentioned(msg, MADCAP_FEATURE_RETRY_AFTER))
    flags |= MADCAP_ENTRY_RETRY;
  if (madcap_has(msg, MADCAP_OPTION_START_TIME))
    flags |= MADCAP_ENTRY_START;
  return flags;
}

/* NULL: no room; the message is dropped, and the client sends it again. */
static MadcapEntry *begin(const MadcapExchange *x, MalAddress scope, int64_t lease_time)
{
  MadcapEntry *entry = madcap_cache_add(&x->s->changes, x->msg->xid, x->msg->type, x->id, x->mono);

  if (entry == NULL) {
    MadcapNews news = { .kind = MADCAP_NEWS_OVERLOAD, .from = x->from, .type = x->msg->type };
    madcap_server_count(x->s, MADCAP_M_IGNORED_OVERLOAD);
    x->s->ops->news(x->s->user, &news);
    return NULL;
  }
  madcap_cache_from(entry, x->from);
  entry->family = x->msg->family;
  entry->flags = entry_flags(x->msg);
  entry->scope = scope;
  entry->lease_time = lease_time;
  entry->decided = x->now;
  return entry;
}

/* ---- DISCOVER (2.2.2, 2.2.3) ----------------------------------------------------------------- */

static void stay_silent(const MadcapExchange *x)
{
  madcap_server_count(x->s, MADCAP_M_IGNORED_UNSATISFIABLE);
}

/* False where it can't be said in a message. */
static bool offer(const MadcapExchange *x, const MalLease *lease, uint32_t flags)
{
  MadcapReplyTo to = madcap_reply_to(x);

  to.shared = (flags & MAL_LEASE_SHARED) != 0 && madcap_wants_shared(x->msg);
  size_t length = madcap_reply_lease(x->s, &to, lease, x->msg->scope,
                                     madcap_has(x->msg, MADCAP_OPTION_START_TIME), x->now, x->now);
  if (length == 0)
    stay_silent(x);
  madcap_answer_now(x, length, false);
  return length > 0;
}

/* A client that starts over with the identifier of a lease it has (it lost our ACK) is offered that
   lease. */
void madcap_handle_discover(const MadcapExchange *x)
{
  MadcapServer *s = x->s;
  MalLeaseRequest request;
  MadcapRefusal why;
  MalRefusal engine_why;
  MalLease lease;

  if (!madcap_ask(x, &request, &why)) {
    if (why.code == MADCAP_ERROR_INVALID_REQUEST)
      madcap_refuse_now(x, &why);
    else
      stay_silent(x);
    return;
  }
  if (live_lease(x, &lease)) {
    if (!may_change(s, &lease, x->from) ||
        mal_scope_set_find(s->scopes, lease.scope) != request.scope || falls_short(x, &lease, &why))
      stay_silent(x);
    else if (lacks_shared(x, &lease, &why))
      madcap_refuse_now(x, &why);
    else
      offer(x, &lease, lease.flags);
    return;
  }
  if (s->ops->waiting(s->user, x->id) ||
      !s->ops->hold(s->user, &request, x->now, mal_time_add(x->now, s->config.offer_hold), &lease,
                    &engine_why))
    stay_silent(x);
  else if (!offer(x, &lease, request.flags))
    s->ops->unhold(s->user, x->id);
}

/* ---- REQUEST (2.2.4) ------------------------------------------------------------------------- */

static void answer_retry_later(MadcapServer *s, MadcapEntry *entry, MalTime now)
{
  MadcapReplyTo to = madcap_reply_to_entry(entry);

  to.shared = false;
  size_t length = madcap_reply_retry(s, &to, entry->scope, entry->lease_time, now);
  if (length == 0)
    return;
  madcap_server_count(s, MADCAP_M_TX_RETRY_LATER);
  madcap_emit(s, &entry->from, s->buffer, length);
  madcap_cache_reply(&s->changes, entry, s->buffer, length);
}

static int64_t patience(const MadcapServer *s)
{
  return s->config.retry_after * INT64_C(1000000) + MADCAP_RETRY_GRACE;
}

/* The client comes again, with a new xid, for what still waits (2.13.2). */
static void request_again_waiting(const MadcapExchange *x)
{
  MadcapServer *s = x->s;
  MadcapEntry *first = madcap_cache_waiting(&s->changes, x->id);

  if (first == NULL ||
      !(mal_address_equal(first->from.peer.address, x->from->peer.address) ||
        s->config.anyone_may_change || (first->flags & MADCAP_ENTRY_SHARED) != 0)) {
    refuse(x, MADCAP_ERROR_INVALID_REQUEST, MADCAP_OPTION_LEASE_ID);
    return;
  }
  if ((entry_flags(x->msg) & MADCAP_ENTRY_RETRY) == 0) {
    madcap_server_count(s, MADCAP_M_REPEATED_PENDING);
    return;
  }
  MadcapEntry *entry = begin(x, first->scope, first->lease_time);
  if (entry == NULL)
    return;
  if (first->reply != NULL)
    first->deadline = x->mono + patience(s);
  answer_retry_later(s, entry, x->now);
  madcap_cache_finish(&s->changes, entry, x->mono);
}

/* The identifier of a live lease under a new xid: the client lost the ACK, or forgot. */
static void request_again_live(const MadcapExchange *x, const MalLease *lease)
{
  MadcapServer *s = x->s;
  const MalScope *scope = mal_scope_set_find(s->scopes, lease->scope);
  MadcapRefusal why;

  if (scope == NULL || !mal_address_equal(scope->span.first, x->msg->scope) ||
      !may_change(s, lease, x->from)) {
    refuse(x, MADCAP_ERROR_INVALID_REQUEST, MADCAP_OPTION_LEASE_ID);
    return;
  }
  if (lacks_shared(x, lease, &why) || falls_short(x, lease, &why)) {
    madcap_refuse_now(x, &why);
    return;
  }
  MadcapEntry *entry = begin(x, x->msg->scope, 0);
  if (entry == NULL)
    return;
  entry->flags |= MADCAP_ENTRY_LIVE;
  if ((lease->flags & MAL_LEASE_SHARED) == 0)
    entry->flags &= (uint8_t)~MADCAP_ENTRY_SHARED;
  if ((lease->flags & MAL_LEASE_PENDING) != 0)
    s->ops->when_durable(s->user, x->id, entry->cookie);
  else
    madcap_lease_answered(s, entry, lease, NULL, x->now, x->mono);
}

static void start_waiting(const MadcapExchange *x, MadcapEntry *entry)
{
  MadcapNews news = {
    .kind = MADCAP_NEWS_WAITING, .from = x->from, .type = x->msg->type, .id = x->id
  };
  bool tell = (entry->flags & MADCAP_ENTRY_RETRY) != 0;

  madcap_cache_wait(&x->s->changes, entry,
                    x->mono + (tell ? MADCAP_ANSWER_WITHIN : MADCAP_CLIENT_GIVES_UP));
  x->s->ops->news(x->s->user, &news);
}

/* The engine's answer to a call: what is granted is answered when it is durable. */
static void follow(const MadcapExchange *x, MadcapEntry *entry, MalAnswer answer,
                   const MalRefusal *engine_why)
{
  if (answer == MAL_ANSWER_GRANTED)
    return;
  if (answer == MAL_ANSWER_WAITING) {
    start_waiting(x, entry);
    return;
  }
  MadcapRefusal why = madcap_refusal_of(x->msg, engine_why);
  madcap_cache_drop(&x->s->changes, entry);
  madcap_refuse_now(x, &why);
}

static bool answers(const MalLease *lease, const MalLeaseRequest *request)
{
  uint64_t n = mal_lease_addresses(lease);

  if (request->n_named == 0)
    return n >= request->min && n <= request->desired;
  if (request->n_named != lease->n_blocks)
    return false;
  for (size_t i = 0; i < lease->n_blocks; i++)
    if (lease->blocks[i].count != request->named[i].count ||
        !mal_address_equal(lease->blocks[i].first, request->named[i].first))
      return false;
  return true;
}

/* A lease that was allowed to expire is taken up again by its owner while its addresses still rest
   (3.11). */
static bool revive(const MadcapExchange *x, const MalLeaseRequest *request, const MalLease *lease)
{
  MadcapServer *s = x->s;
  MalRefusal engine_why = { .code = MAL_ERROR_INTERNAL };
  MadcapRefusal why;
  MalRenewal renewal = {
    .start = request->start, .max_start = request->max_start, .lifetime = request->lifetime,
    .min_lifetime = request->min_lifetime,
  };

  if (mal_scope_set_find(s->scopes, lease->scope) != request->scope ||
      !may_change(s, lease, x->from) || !answers(lease, request))
    return false;
  if (lacks_shared(x, lease, &why)) {
    madcap_refuse_now(x, &why);
    return true;
  }
  MadcapEntry *entry = begin(x, x->msg->scope, request->lifetime);
  if (entry == NULL)
    return true;
  if ((lease->flags & MAL_LEASE_SHARED) == 0)
    entry->flags &= (uint8_t)~MADCAP_ENTRY_SHARED;
  follow(x, entry, s->ops->renew(s->user, x->id, &renewal, x->now, entry->cookie, &engine_why),
         &engine_why);
  return true;
}

void madcap_handle_request(const MadcapExchange *x)
{
  MadcapServer *s = x->s;
  MalLeaseRequest request;
  MadcapRefusal why;
  MalRefusal engine_why = { .code = MAL_ERROR_INTERNAL };
  MalLease lease;

  if (!madcap_ask(x, &request, &why)) {
    madcap_refuse_now(x, &why);
    return;
  }
  if (s->ops->lease(s->user, x->id, &lease)) {
    if (lease.end > x->now) {
      request_again_live(x, &lease);
      return;
    }
    if (revive(x, &request, &lease))
      return;
  } else if (s->ops->waiting(s->user, x->id)) {
    request_again_waiting(x);
    return;
  }
  MadcapEntry *entry = begin(x, x->msg->scope, request.lifetime);
  if (entry == NULL)
    return;
  request.may_wait = s->changes.n_waits < MADCAP_MAX_WAITING;
  follow(x, entry, s->ops->request(s->user, &request, x->now, entry->cookie, &engine_why),
         &engine_why);
}

/* ---- RENEW (2.2.7), RELEASE (2.2.8) ---------------------------------------------------------- */

/* The lease that a RENEW or RELEASE is about, or a NAK was sent. */
static bool lease_to_change(const MadcapExchange *x, MalLease *lease)
{
  MadcapRefusal why;

  if (!live_lease(x, lease)) {
    refuse(x, MADCAP_ERROR_LEASE_ID_UNKNOWN, MADCAP_NO_OPTION);
    return false;
  }
  if (!may_change(x->s, lease, x->from)) {
    refuse(x, MADCAP_ERROR_INVALID_REQUEST, MADCAP_OPTION_LEASE_ID);
    return false;
  }
  if (lacks_shared(x, lease, &why)) {
    madcap_refuse_now(x, &why);
    return false;
  }
  return true;
}

void madcap_handle_renew(const MadcapExchange *x)
{
  MadcapServer *s = x->s;
  MalRefusal engine_why = { .code = MAL_ERROR_INTERNAL };
  MadcapRefusal why;
  MalRenewal renewal;
  MalLease lease;

  if (s->ops->waiting(s->user, x->id)) {
    refuse(x, MADCAP_ERROR_INVALID_REQUEST, MADCAP_OPTION_LEASE_ID);
    return;
  }
  if (!lease_to_change(x, &lease))
    return;
  const MalScope *scope = mal_scope_set_find(s->scopes, lease.scope);
  if (scope == NULL || scope->span.first.family != x->msg->family) {
    refuse(x, MADCAP_ERROR_INVALID_REQUEST, MADCAP_NO_OPTION);
    return;
  }
  if (!madcap_ask_renewal(x, &renewal, &why)) {
    madcap_refuse_now(x, &why);
    return;
  }
  /* Who names no time gets the default, but loses nothing by it. */
  if (!madcap_has(x->msg, MADCAP_OPTION_LEASE_TIME))
    renewal.lifetime = MAX(renewal.lifetime, MIN(lease.end - MAX(lease.start, x->now),
                                                 s->config.max_lease_time));
  MadcapEntry *entry = begin(x, scope->span.first, renewal.lifetime);
  if (entry == NULL)
    return;
  entry->flags |= MADCAP_ENTRY_LIVE;
  if ((lease.flags & MAL_LEASE_SHARED) == 0)
    entry->flags &= (uint8_t)~MADCAP_ENTRY_SHARED;
  follow(x, entry, s->ops->renew(s->user, x->id, &renewal, x->now, entry->cookie, &engine_why),
         &engine_why);
}

/* What waits for space is released by the client for which it waits (2.13.2). */
static bool may_release_waiting(const MadcapExchange *x)
{
  const MadcapEntry *first = madcap_cache_waiting(&x->s->changes, x->id);

  return first != NULL &&
         (x->s->config.anyone_may_change || (first->flags & MADCAP_ENTRY_SHARED) != 0 ||
          mal_address_equal(first->from.peer.address, x->from->peer.address));
}

/* What only waits is taken back at once; its REQUEST is answered by the way, if it was not yet. */
static void release_waiting(const MadcapExchange *x)
{
  MadcapServer *s = x->s;
  MadcapEntry *entry;

  if (!may_release_waiting(x)) {
    refuse(x, MADCAP_ERROR_INVALID_REQUEST, MADCAP_OPTION_LEASE_ID);
    return;
  }
  entry = begin(x, mal_address_none(), 0);
  if (entry == NULL)
    return;
  s->ops->release(s->user, x->id, x->now, 0, &(MalRefusal){ .code = MAL_ERROR_INTERNAL });
  madcap_lease_answered(s, entry, &(MalLease){ .id = x->id }, NULL, x->now, x->mono);
}

void madcap_handle_release(const MadcapExchange *x)
{
  MadcapServer *s = x->s;
  MalRefusal engine_why = { .code = MAL_ERROR_INTERNAL };
  MalLease lease;

  if (s->ops->waiting(s->user, x->id)) {
    release_waiting(x);
    return;
  }
  if (!lease_to_change(x, &lease))
    return;
  MadcapEntry *entry = begin(x, mal_address_none(), 0);
  if (entry == NULL)
    return;
  if ((lease.flags & MAL_LEASE_SHARED) == 0)
    entry->flags &= (uint8_t)~MADCAP_ENTRY_SHARED;
  follow(x, entry, s->ops->release(s->user, x->id, x->now, entry->cookie, &engine_why),
         &engine_why);
}

/* ---- later ----------------------------------------------------------------------------------- */

static void finish_with_nak(MadcapServer *s, MadcapEntry *entry, const MadcapRefusal *why,
                            MalTime now, int64_t mono)
{
  MadcapReplyTo to = madcap_reply_to_entry(entry);
  size_t length = madcap_reply_nak(s, &to, why, now);

  madcap_emit(s, &entry->from, s->buffer, length);
  madcap_news_refused(s, &entry->from, entry->type, why);
  entry->flags |= MADCAP_ENTRY_PICKY;
  madcap_cache_reply(&s->changes, entry, s->buffer, length);
  madcap_cache_finish(&s->changes, entry, mono);
}

static MadcapRefusal refusal_of_error(const GError *error)
{
  if (g_error_matches(error, MAL_ERROR, MAL_ERROR_NOT_FOUND))
    return madcap_refusal(MADCAP_ERROR_LEASE_ID_UNKNOWN, MADCAP_NO_OPTION);
  return madcap_refusal(MADCAP_ERROR_NOT_COMPLETED, MADCAP_NO_OPTION);
}

void madcap_lease_answered(MadcapServer *s, MadcapEntry *entry, const MalLease *lease,
                           const GError *error, MalTime now, int64_t mono)
{
  MadcapReplyTo to = madcap_reply_to_entry(entry);
  MadcapRefusal why;
  size_t length;

  if (entry->reply != NULL) {
    /* It was told to come again, and will find the lease, or ask anew. */
    madcap_cache_finish(&s->changes, entry, mono);
    return;
  }
  if (lease == NULL) {
    why = refusal_of_error(error);
    finish_with_nak(s, entry, &why, now, mono);
    return;
  }
  /* Granted from waiting: the period counts from the grant. */
  if (entry->waiting)
    entry->decided = now;
  if (entry->type == MADCAP_RELEASE)
    length = madcap_reply_released(s, &to);
  else
    length = madcap_reply_lease(s, &to, lease, entry->scope,
                                (entry->flags & MADCAP_ENTRY_START) != 0, entry->decided, now);
  if (length == 0) {
    /* More blocks than a datagram can name, or a start that it can't: nobody could use the lease,
       but who has it already and goes on with it. */
    if ((entry->flags & MADCAP_ENTRY_LIVE) == 0)
      s->ops->release(s->user, madcap_entry_id(entry), now, 0,
                      &(MalRefusal){ .code = MAL_ERROR_INTERNAL });
    why = madcap_refusal(MADCAP_ERROR_NOT_COMPLETED, MADCAP_NO_OPTION);
    finish_with_nak(s, entry, &why, now, mono);
    return;
  }
  madcap_emit(s, &entry->from, s->buffer, length);
  madcap_cache_reply(&s->changes, entry, s->buffer, length);
  madcap_cache_finish(&s->changes, entry, mono);
}

/* Time to tell the client to come again, or to give up for it. */
void madcap_wait_due(MadcapServer *s, MadcapEntry *entry, MalTime now, int64_t mono)
{
  MadcapRefusal why = madcap_refusal(MADCAP_ERROR_NOT_COMPLETED, MADCAP_NO_OPTION);

  if (entry->reply == NULL && (entry->flags & MADCAP_ENTRY_RETRY) != 0) {
    answer_retry_later(s, entry, now);
    entry->deadline = mono + patience(s);
    return;
  }
  madcap_cache_disown(entry);
  s->ops->release(s->user, madcap_entry_id(entry), now, 0,
                  &(MalRefusal){ .code = MAL_ERROR_INTERNAL });
  if (entry->reply == NULL)
    finish_with_nak(s, entry, &why, now, mono);
  else
    madcap_cache_finish(&s->changes, entry, mono);
}
