/* The server machine's entrance: what is ignored, what is refused for its form, what is a
   retransmission; then each message type has its handler. The order of the checks:

     source's rate; syntax; never answer a server (2.6); arrival (2.11); form (table 5);
     retransmission (2.1.4); clock skew (2.12); required features (3.13); what it is about */
#include "madcap-server-private.h"

/* ---- life ------------------------------------------------------------------------------------ */

MadcapServer *madcap_server_new(const MadcapServerOps *ops, void *user, MalMetricSet *metrics,
                                const MalHashKey *key)
{
  MadcapServer *s = g_new0(MadcapServer, 1);

  s->ops = ops;
  s->user = user;
  s->metrics = metrics;
  s->key = *key;
  s->groups = g_array_new(FALSE, FALSE, sizeof(MadcapServedGroup));
  s->addresses = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  s->named = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  s->missing = g_array_new(FALSE, FALSE, sizeof(uint16_t));
  madcap_cache_init(&s->changes, key);
  madcap_cache_init(&s->others, key);
  return s;
}

void madcap_server_free(MadcapServer *s)
{
  if (s == NULL)
    return;
  madcap_cache_clear(&s->changes);
  madcap_cache_clear(&s->others);
  madcap_scope_tables_clear(s);
  madcap_rate_free(s->rate);
  g_array_unref(s->groups);
  g_array_unref(s->addresses);
  g_array_unref(s->named);
  g_array_unref(s->missing);
  if (s->scopes != NULL)
    mal_scope_set_unref(s->scopes);
  g_free(s);
}

void madcap_server_configure(MadcapServer *s, const MadcapServerConfig *config, MalScopeSet *scopes,
                             const GArray *groups)
{
  MalScopeSet *old = s->scopes;

  if (s->config.rate_limit != config->rate_limit) {
    g_clear_pointer(&s->rate, madcap_rate_free);
    if (config->rate_limit > 0)
      s->rate = madcap_rate_new(&s->key, config->rate_limit, MADCAP_RATE_SOURCES);
  }
  s->config = *config;
  madcap_scope_tables_clear(s);
  s->scopes = mal_scope_set_ref(scopes);
  if (old != NULL)
    mal_scope_set_unref(old);
  madcap_scope_tables_build(s);
  madcap_groups_set(s, groups);
  madcap_cache_bound(&s->changes, config->cache_entries - config->cache_entries / 4,
                     config->cache_octets - config->cache_octets / 4, config->response_cache);
  madcap_cache_bound(&s->others, config->cache_entries / 4, config->cache_octets / 4,
                     config->response_cache);
}

void madcap_server_set_addresses(MadcapServer *s, const MalAddress *addresses, size_t n)
{
  g_array_set_size(s->addresses, 0);
  if (n > 0)
    g_array_append_vals(s->addresses, addresses, (guint)n);
}

static bool is_ours(const MadcapExchange *x, MalAddress server)
{
  if (mal_address_equal(server, x->from->server_id))
    return true;
  for (guint i = 0; i < x->s->addresses->len; i++)
    if (mal_address_equal(server, g_array_index(x->s->addresses, MalAddress, i)))
      return true;
  return false;
}

/* ---- answers --------------------------------------------------------------------------------- */

void madcap_emit(MadcapServer *s, const MadcapArrival *to, const uint8_t *data, size_t length)
{
  if (length == 0)
    return;
  switch (data[1]) {
  case MADCAP_OFFER: madcap_server_count(s, MADCAP_M_TX_OFFER); break;
  case MADCAP_ACK: madcap_server_count(s, MADCAP_M_TX_ACK); break;
  default: madcap_server_count(s, MADCAP_M_TX_NAK); break;
  }
  s->ops->send(s->user, to, data, length);
}

MadcapReplyTo madcap_reply_to(const MadcapExchange *x)
{
  return (MadcapReplyTo){
    .to = x->from,
    .type = x->msg->type,
    .xid = x->msg->xid,
    .family = (MalFamily)x->msg->raw_family,
    .id = x->msg->lease_id,
    .features = madcap_has(x->msg, MADCAP_OPTION_FEATURES),
  };
}

MadcapReplyTo madcap_reply_to_entry(const MadcapEntry *entry)
{
  return (MadcapReplyTo){
    .to = &entry->from, .type = entry->type, .xid = entry->xid, .family = entry->family,
    .id = { entry->id, entry->id_length }, .features = (entry->flags & MADCAP_ENTRY_FEATURES) != 0,
    .shared = (entry->flags & MADCAP_ENTRY_SHARED) != 0,
  };
}

static MadcapCache *cache_for(MadcapServer *s, uint8_t type)
{
  return type == MADCAP_DISCOVER || type == MADCAP_GETINFO ? &s->others : &s->changes;
}

void madcap_answer_now(const MadcapExchange *x, size_t length, bool picky)
{
  MadcapCache *cache = cache_for(x->s, x->msg->type);

  if (length == 0)
    return;
  madcap_emit(x->s, x->from, x->s->buffer, length);
  if (cache->interval == 0)
    return;
  MadcapEntry *entry = madcap_cache_add(cache, x->msg->xid, x->msg->type, x->id, x->mono);
  if (entry == NULL)
    return;
  madcap_cache_from(entry, x->from);
  entry->flags = picky ? MADCAP_ENTRY_PICKY : 0;
  madcap_cache_reply(cache, entry, x->s->buffer, length);
  madcap_cache_finish(cache, entry, x->mono);
}

void madcap_news_refused(MadcapServer *s, const MadcapArrival *from, unsigned type,
                         const MadcapRefusal *why)
{
  MadcapNews news = {
    .kind = MADCAP_NEWS_REFUSED,
    .from = from,
    .type = type,
    .code = why->code,
    .option = why->option,
  };

  madcap_server_count(s, (MadcapMetric)(MADCAP_M_ERROR_NOT_COMPLETED + (unsigned)why->code));
  if (why->code != MADCAP_ERROR_CLOCK_SKEW)
    s->ops->news(s->user, &news);
}

/* A NAK is only for the source that earned it: else a stranger's bad message could answer the
   client's good one. */
void madcap_refuse_now(const MadcapExchange *x, const MadcapRefusal *why)
{
  MadcapReplyTo to = madcap_reply_to(x);

  madcap_news_refused(x->s, x->from, x->msg->type, why);
  madcap_answer_now(x, madcap_reply_nak(x->s, &to, why, x->now), true);
}

/* For what breaks the protocol's form: the answer depends on nothing but the message, so none is
   kept. */
static void refuse_form(const MadcapExchange *x, uint16_t option)
{
  MadcapRefusal why = madcap_refusal(MADCAP_ERROR_INVALID_REQUEST, option);
  MadcapReplyTo to = madcap_reply_to(x);
  size_t length = madcap_reply_nak(x->s, &to, &why, x->now);

  madcap_news_refused(x->s, x->from, x->msg->type, &why);
  madcap_emit(x->s, x->from, x->s->buffer, length);
}

/* ---- the checks, in their order -------------------------------------------------------------- */

static void ignore(MadcapServer *s, MadcapMetric metric, MadcapNewsKind kind,
                   const MadcapArrival *from, unsigned type, MadcapReason reason)
{
  MadcapNews news = { .kind = kind, .from = from, .type = type, .reason = reason };

  madcap_server_count(s, metric);
  s->ops->news(s->user, &news);
}

static void count_received(MadcapServer *s, uint8_t type)
{
  switch (type) {
  case MADCAP_DISCOVER: madcap_server_count(s, MADCAP_M_RX_DISCOVER); break;
  case MADCAP_REQUEST: madcap_server_count(s, MADCAP_M_RX_REQUEST); break;
  case MADCAP_RENEW: madcap_server_count(s, MADCAP_M_RX_RENEW); break;
  case MADCAP_RELEASE: madcap_server_count(s, MADCAP_M_RX_RELEASE); break;
  case MADCAP_GETINFO: madcap_server_count(s, MADCAP_M_RX_GETINFO); break;
  default: break;
  }
}

/* RFC 2730 2.11. A message that is about no scope we know must at least have come to a group of
   ours. */
static bool arrives_well(const MadcapExchange *x)
{
  const MalScope *scope = NULL;

  if (!x->multicast)
    return true;
  if (x->msg->type == MADCAP_GETINFO)
    return madcap_getinfo_arrives_well(x->s, x->from->destination);
  if (madcap_has(x->msg, MADCAP_OPTION_SCOPE))
    scope = mal_scope_set_find_first(x->s->scopes, x->msg->scope);
  return madcap_scope_arrives_well(x->s, x->from->destination, scope);
}

/* A multicast REQUEST that chose another server: what was offered is let go, and whatever else may
   be wrong with the message is the other one's (2.2.3, 2.2.4). */
static bool chose_another(const MadcapExchange *x)
{
  const MadcapMessage *msg = x->msg;

  if (msg->type != MADCAP_REQUEST || !x->multicast || !madcap_has(msg, MADCAP_OPTION_SERVER_ID) ||
      is_ours(x, msg->server_id))
    return false;
  if (x->id.length > 0)
    x->s->ops->unhold(x->s->user, x->id);
  madcap_server_count(x->s, MADCAP_M_IGNORED_OTHER_SERVER);
  return true;
}

/* How each type travels (2.2.2, 2.2.4, 2.2.7, 2.2.8), and whom a unicast REQUEST may name. */
static bool form_is_good(const MadcapExchange *x, MadcapOutcome outcome, const MadcapFault *decoded,
                         uint16_t *option)
{
  const MadcapMessage *msg = x->msg;
  MadcapFault fault;

  *option = MADCAP_NO_OPTION;
  if (outcome != MADCAP_OK) {
    *option = decoded->option;
    return false;
  }
  if (!madcap_check(msg, (MadcapContext){ .multicast = x->multicast }, &fault)) {
    *option = fault.option;
    return false;
  }
  if (msg->lease_id.length > MAL_LEASE_ID_MAX) {
    *option = MADCAP_OPTION_LEASE_ID;
    return false;
  }
  if (msg->type == MADCAP_DISCOVER)
    return x->multicast;
  if (msg->type == MADCAP_RENEW || msg->type == MADCAP_RELEASE)
    return !x->multicast;
  if (msg->type == MADCAP_REQUEST && madcap_has(msg, MADCAP_OPTION_SERVER_ID) &&
      !is_ours(x, msg->server_id)) {
    *option = MADCAP_OPTION_SERVER_ID;
    return false;
  }
  return true;
}

static bool repeated(const MadcapExchange *x)
{
  MadcapServer *s = x->s;
  MadcapEntry *entry = madcap_cache_find(cache_for(s, x->msg->type), x->msg->xid, x->msg->type,
                                         x->id, x->from->peer.address, x->mono);

  if (entry == NULL)
    return false;
  if (entry->reply == NULL) {
    madcap_server_count(s, MADCAP_M_REPEATED_PENDING);
    return true;
  }
  madcap_server_count(s, MADCAP_M_REPEATED);
  madcap_emit(s, x->from, entry->reply, entry->reply_length);
  return true;
}

static bool clock_is_off(const MadcapExchange *x)
{
  MadcapRefusal why = { .code = MADCAP_ERROR_CLOCK_SKEW };
  MadcapNews news = { .kind = MADCAP_NEWS_SKEW, .from = x->from, .type = x->msg->type };

  if (!madcap_has(x->msg, MADCAP_OPTION_CURRENT_TIME))
    return false;
  news.skew = (int64_t)x->msg->current_time - (int64_t)madcap_time32(x->now);
  if (ABS(news.skew) <= x->s->config.clock_skew_allowance)
    return false;
  madcap_refuse_now(x, &why);
  x->s->ops->news(x->s->user, &news);
  return true;
}

static void handle(const MadcapExchange *x)
{
  MadcapRefusal why;

  if (repeated(x) || clock_is_off(x))
    return;
  if (madcap_features_missing(x, false, &why)) {
    madcap_refuse_now(x, &why);
    return;
  }
  switch (x->msg->type) {
  case MADCAP_DISCOVER: madcap_handle_discover(x); break;
  case MADCAP_REQUEST: madcap_handle_request(x); break;
  case MADCAP_RENEW: madcap_handle_renew(x); break;
  case MADCAP_RELEASE: madcap_handle_release(x); break;
  default: madcap_handle_getinfo(x); break;
  }
}

void madcap_server_receive(MadcapServer *s, const MadcapArrival *from, const uint8_t *data,
                           size_t length, MalTime now, int64_t mono)
{
  MadcapMessage msg;
  MadcapFault fault = { .option = MADCAP_NO_OPTION };
  MadcapExchange x = { .s = s, .from = from, .msg = &msg, .now = now, .mono = mono };
  uint16_t option;

  if (s->rate != NULL && !madcap_rate_take(s->rate, from->peer.address, mono)) {
    ignore(s, MADCAP_M_IGNORED_RATE, MADCAP_NEWS_RATE, from, 0, MADCAP_REASON_NONE);
    return;
  }
  MadcapOutcome outcome = madcap_decode(data, length, &msg, &fault);
  if (outcome == MADCAP_IGNORE) {
    ignore(s, MADCAP_M_IGNORED_MALFORMED, MADCAP_NEWS_IGNORED, from, 0, fault.reason);
    return;
  }
  if (madcap_type_from_server(msg.type)) {
    ignore(s, MADCAP_M_IGNORED_FROM_SERVER, MADCAP_NEWS_IGNORED, from, msg.type,
           MADCAP_REASON_NONE);
    return;
  }
  count_received(s, msg.type);
  x.multicast = mal_address_is_multicast(from->destination);
  if (msg.lease_id.length <= MAL_LEASE_ID_MAX)
    x.id = (MalLeaseId){ msg.lease_id.data, msg.lease_id.length };
  if (chose_another(&x))
    return;
  if (!arrives_well(&x)) {
    ignore(s, MADCAP_M_IGNORED_ELSEWHERE, MADCAP_NEWS_IGNORED, from, msg.type, MADCAP_REASON_NONE);
    return;
  }
  if (form_is_good(&x, outcome, &fault, &option))
    handle(&x);
  else
    refuse_form(&x, option);
}

/* ---- the engine's answers, and time ---------------------------------------------------------- */

void madcap_server_answer(MadcapServer *s, uint64_t cookie, const MalLease *lease,
                          const GError *error, MalTime now, int64_t mono)
{
  MadcapEntry *entry = madcap_cache_by_cookie(&s->changes, cookie);

  if (entry != NULL)
    madcap_lease_answered(s, entry, lease, error, now, mono);
}

void madcap_server_tick(MadcapServer *s, MalTime now, int64_t mono)
{
  MadcapEntry *entry;

  while ((entry = madcap_cache_waiting_due(&s->changes, mono)) != NULL)
    madcap_wait_due(s, entry, now, mono);
  madcap_cache_expire(&s->changes, mono);
  madcap_cache_expire(&s->others, mono);
}

void madcap_server_gauges(MadcapServer *s)
{
  mal_gauge(s->metrics, MADCAP_M_CACHE_ENTRIES, s->changes.entries + s->others.entries);
  mal_gauge(s->metrics, MADCAP_M_CACHE_OCTETS, s->changes.octets + s->others.octets);
  mal_gauge(s->metrics, MADCAP_M_PENDING, s->changes.entries - s->changes.done);
  mal_count(s->metrics, MADCAP_M_EVICTED, s->changes.evicted + s->others.evicted);
  s->changes.evicted = s->others.evicted = 0;
}

int64_t madcap_server_due(const MadcapServer *s)
{
  return MIN(madcap_cache_due(&s->changes), madcap_cache_due(&s->others));
}
