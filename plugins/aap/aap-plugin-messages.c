/* Messages on their way out and in: which scope they are about, who may have sent them. */
#include "aap-plugin.h"

#include "aap-time.h"

static AapServed *served_at(const Aap *aap, guint i)
{
  return g_ptr_array_index(aap->served, i);
}

/* ---- sending --------------------------------------------------------------------------------- */

static MalAddress group_of(const AapServed *served)
{
  return g_array_index(served->aap->places, AapPlace, served->place).group;
}

static size_t encode(Aap *aap, const AapMessage *msg)
{
  size_t capacity = AAP_MAX_LENGTH - AAP_AUTH_MAX;
  if (msg->body != NULL)
    return aap_encode_resent(msg->family, msg->rseq, msg->current_time, msg->body,
                             msg->body_length, aap->buffer, capacity);
  return aap_encode(msg, aap->buffer, capacity, NULL);
}

/* The other half of this process is in the domain like any other member (4.1). */
static void tell_other_half(AapServed *served, const AapMessage *msg, size_t length,
                            bool from_zone)
{
  Aap *aap = served->aap;
  bool both = (aap->host.roles & MAL_ROLE_MAAS) && (aap->host.roles & MAL_ROLE_COORDINATOR);
  if (!both || (msg->type != AAP_ASA && msg->type != AAP_ASRP && msg->type != AAP_ANA))
    return;
  AapEcho echo = { group_of(served), !from_zone, g_memdup2(aap->buffer, length), length };
  g_array_append_val(aap->echoes, echo);
}

bool aap_plugin_send(AapServed *served, const AapMessage *msg, bool from_zone)
{
  Aap *aap = served->aap;
  size_t length = encode(aap, msg), sealed = length;
  if (length > 0 && aap->auth != NULL)
    sealed = aap_auth_seal(aap->auth, group_of(served), aap->buffer, length, AAP_MAX_LENGTH);
  if (sealed == 0 || aap_links_send(aap->links, group_of(served), aap->buffer, sealed) == 0) {
    mal_count(aap->host.metrics, AAP_M_NOT_SENT, 1);
    return false;
  }
  mal_count(aap->host.metrics, AAP_M_SENT + msg->type, 1);
  tell_other_half(served, msg, length, from_zone);
  return true;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void drop(Aap *aap, MalEndpoint from, const char *type, AapReason reason)
{
  mal_count(aap->host.metrics, AAP_M_DROPPED + reason, 1);
  aap_news_dropped(aap, from, type, aap_reason_name(reason));
}

static const char *verdict_text(AapScopeVerdict verdict)
{
  return verdict == AAP_SCOPE_AMBIGUOUS ? "it could be about several scopes"
         : verdict == AAP_SCOPE_NONE    ? "there is no large scope"
                                        : "it is about no scope served here";
}

typedef struct {
  MalEndpoint from;
  MalAddress group;
  const AapMessage *msg;
  const uint8_t *payload;
  size_t length;
  bool to_zones, to_coordinators;
} Heard;

static void tell_machines(Aap *aap, const Heard *heard, const AapScopeDecision *decision,
                          AapNow now)
{
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = served_at(aap, i);
    const AapPlace *place = &g_array_index(aap->places, AapPlace, served->place);
    if (!aap_scope_concerns(decision, place, heard->group))
      continue;
    if (heard->to_zones && heard->to_coordinators && heard->msg->type == AAP_ASA &&
        !aap_asa_is_resent(heard->msg))
      served->coordinator_heard = now.mono;
    if (served->zone != NULL && heard->to_zones)
      aap_zone_heard(served->zone, heard->from, heard->msg, heard->payload, heard->length, now);
    if (served->coordinator != NULL && heard->to_coordinators)
      aap_coordinator_heard(served->coordinator, heard->from, heard->msg, now);
  }
}

static void hear(Aap *aap, const Heard *heard, AapNow now)
{
  const char *type = aap_type_name(heard->msg->type);
  AapScopeDecision decision =
      aap_scope_decide((const AapPlace *)(void *)aap->places->data, aap->places->len,
                       heard->group, heard->msg);
  switch (decision.verdict) {
  case AAP_SCOPE_MALFORMED: drop(aap, heard->from, type, decision.reason); return;
  case AAP_SCOPE_ONE:
  case AAP_SCOPE_EACH: tell_machines(aap, heard, &decision, now); return;
  case AAP_SCOPE_OTHER: mal_count(aap->host.metrics, AAP_M_OTHER_SCOPE, 1); break;
  case AAP_SCOPE_AMBIGUOUS:
  case AAP_SCOPE_NONE: mal_count(aap->host.metrics, AAP_M_AMBIGUOUS, 1); break;
  }
  aap_news_dropped(aap, heard->from, type, verdict_text(decision.verdict));
}

/* Is its clock near enough? */
static bool check_skew(Aap *aap, MalEndpoint from, int64_t delta)
{
  bool off = aap_skew_exceeds(delta, aap->skew_drop);
  if (off)
    mal_count(aap->host.metrics, AAP_M_SKEWED, 1);
  if (off || aap_skew_exceeds(delta, aap->skew_log))
    aap_news_skew(aap, from, -delta, off);
  return !off;
}

static bool authenticate(Aap *aap, const MalDatagram *d, size_t *length, uint64_t *sender)
{
  *length = d->length;
  *sender = 0;
  if (aap->auth == NULL)
    return true;
  AapAuthVerdict verdict =
      aap_auth_open(aap->auth, d->local, d->data, d->length, length, sender, NULL);
  aap_news_auth(aap, d->peer, verdict);
  if (verdict == AAP_AUTH_OK)
    aap_store_later(aap);
  return verdict == AAP_AUTH_OK;
}

static void receive_one(Aap *aap, const MalDatagram *d, AapNow now)
{
  size_t length;
  uint64_t sender;
  AapMessage msg;
  AapFault fault;
  if (d->truncated) {
    mal_count(aap->host.metrics, AAP_M_TRUNCATED, 1);
    return;
  }
  if (!authenticate(aap, d, &length, &sender))
    return;
  if (!aap_decode(d->data, length, aap->scratch, &msg, &fault)) {
    drop(aap, d->peer, "datagram", fault.reason);
    return;
  }
  mal_count(aap->host.metrics, AAP_M_RECEIVED + msg.type, 1);
  int64_t delta = aap_time_delta(now.wall, msg.current_time);
  aap_peers_heard(aap->peers, d->peer, &msg, delta, sender, now.mono);
  if (!check_skew(aap, d->peer, delta))
    return;
  Heard heard = { d->peer, d->local, &msg, d->data, length, true, true };
  hear(aap, &heard, now);
}

void aap_messages_received(const MalDatagram *datagrams, size_t count, void *data)
{
  Aap *aap = data;
  AapNow now = aap_step(aap);
  for (size_t i = 0; i < count; i++)
    receive_one(aap, &datagrams[i], now);
  aap_settle(aap);
}

void aap_messages_echo(Aap *aap, const AapEcho *echo, AapNow now)
{
  AapMessage msg;
  if (!aap_decode(echo->octets, echo->length, aap->scratch, &msg, NULL))
    return;
  Heard heard = { aap_links_self(aap->links, echo->group.family), echo->group, &msg, echo->octets,
                  echo->length, echo->to_zones, !echo->to_zones };
  hear(aap, &heard, now);
}
