/* What the client makes of answers: which concern it (RFC 2730 2.5), which conform, and what
   follows. What doesn't conform to the RFC or to what was asked is ignored (2.1.5, 2.6). */
#include "madcap-client-private.h"

static bool unfit(MadcapClient *c, const MalEndpoint *peer, const MadcapMessage *msg,
                  const char *why)
{
  c->ops->news(c->user, MADCAP_CLIENT_UNFIT, peer, msg, why);
  return true;
}

static void heard(MadcapClient *c, const MalEndpoint *peer, const MadcapMessage *msg)
{
  c->ops->news(c->user, MADCAP_CLIENT_HEARD, peer, msg, NULL);
}

/* ---- does it fit? ---------------------------------------------------------------------------- */

/* NULL, or what is wrong. A lease that was granted by an answer which got lost, or while we were to
   wait, has run since then, but not for longer than we ask. */
static const char *period_fault(const MadcapClient *c, const MadcapMessage *msg, int64_t mono)
{
  const MadcapClientAsk *ask = &c->ask;
  int64_t run = (mono - c->began + 999999) / 1000000;

  if (ask->min_lifetime > 0 && msg->lease_time + run < ask->min_lifetime)
    return "the lease time is below the minimum";
  if (msg->lease_time == 0)
    return "the lease time is 0";
  if (ask->max_start != MAL_FOREVER && madcap_has(msg, MADCAP_OPTION_START_TIME) &&
      msg->start_time > ask->max_start)
    return "the start is after the latest";
  return NULL;
}

static int by_address(gconstpointer a, gconstpointer b)
{
  return mal_address_compare(((const MalBlock *)a)->first, ((const MalBlock *)b)->first);
}

/* Of a message that names some: sorted, disjoint, not adjacent; NULL where blocks overlap or aren't
   multicast. */
static GArray *blocks_of(const MadcapMessage *msg)
{
  g_autoptr(GArray) out = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  MadcapRangeIter iter = madcap_ranges(msg);
  guint kept = 0;
  MalBlock block;

  while (madcap_ranges_next(&iter, &block)) {
    if (!mal_address_is_multicast(block.first) ||
        !mal_address_is_multicast(mal_span_of_block(block).last))
      return NULL;
    g_array_append_val(out, block);
  }
  g_array_sort(out, by_address);
  for (guint i = 1; i < out->len; i++) {
    MalBlock *last = &g_array_index(out, MalBlock, kept), next = g_array_index(out, MalBlock, i);
    /* Counted from the last address: behind the highest one of all there is none. */
    MalU128 end = last->first.value + (last->count - 1);
    if (next.first.value <= end)
      return NULL;
    if (next.first.value - end == 1)
      last->count += next.count;  /* 16 bits each, and few in a message: 32 hold them */
    else
      g_array_index(out, MalBlock, ++kept) = next;
  }
  g_array_set_size(out, kept + 1);
  return g_steal_pointer(&out);
}

static uint64_t wanted(const MadcapClientAsk *ask)
{
  uint64_t n = 0;

  for (size_t i = 0; i < ask->n_named; i++)
    n += ask->named[i].count;
  return n > 0 ? n : ask->desired;
}

static bool was_named(const MadcapClientAsk *ask, const GArray *blocks)
{
  for (guint i = 0; i < blocks->len; i++) {
    MalSpan span = mal_span_of_block(g_array_index(blocks, MalBlock, i));
    bool inside = false;
    for (size_t k = 0; k < ask->n_named && !inside; k++)
      inside = mal_span_contains(mal_span_of_block(ask->named[k]), span);
    if (!inside)
      return false;
  }
  return true;
}

static const char *addresses_fault(const MadcapClient *c, const MadcapMessage *msg)
{
  const MadcapClientAsk *ask = &c->ask;
  uint64_t n = madcap_ranges_total(msg), most = wanted(ask),
           least = ask->n_named > 0 ? most : ask->min;

  if (msg->family != ask->family || !mal_address_equal(msg->scope, ask->scope))
    return "it is about another scope";
  if (madcap_has(msg, MADCAP_OPTION_RANGES) && (n < least || n > most))
    return "the number of addresses is not what was asked for";
  return NULL;
}

/* ---- OFFER (2.2.3) --------------------------------------------------------------------------- */

static bool is_full(const MadcapClient *c, const MadcapClientOffer *offer)
{
  const MadcapClientAsk *ask = &c->ask;

  return offer->lease_time >= ask->lifetime && offer->addresses >= wanted(ask) &&
         (offer->start == MAL_BEGINNING || offer->start <= ask->start);
}

static void keep(MadcapClient *c, const MadcapClientOffer *offer)
{
  for (guint i = 0; i < c->offers->len; i++) {
    MadcapClientOffer *known = &g_array_index(c->offers, MadcapClientOffer, i);
    if (mal_address_equal(known->server_id, offer->server_id)) {
      *known = *offer;
      return;
    }
  }
  if (c->offers->len < MADCAP_CLIENT_MAX_OFFERS)
    g_array_append_vals(c->offers, offer, 1);
}

static bool receive_offer(MadcapClient *c, const MalEndpoint *peer, const MadcapMessage *msg,
                          MalTime now, int64_t mono)
{
  const char *fault = period_fault(c, msg, mono);

  if (fault == NULL)
    fault = addresses_fault(c, msg);
  if (fault == NULL && msg->server_id.family == MAL_FAMILY_NONE)
    fault = "its server identifier can't be used";
  if (fault == NULL && madcap_client_avoids(c, msg->server_id))
    fault = "this server did not keep its offer";
  if (fault != NULL)
    return unfit(c, peer, msg, fault);
  heard(c, peer, msg);
  /* Without a list of addresses it is all that was asked for, without a start what was asked for
     (2.2.3). */
  MadcapClientOffer offer = {
    .server_id = msg->server_id,
    .peer = *peer,
    .lease_time = msg->lease_time,
    .addresses = madcap_has(msg, MADCAP_OPTION_RANGES) ? madcap_ranges_total(msg) : wanted(&c->ask),
    .start = madcap_has(msg, MADCAP_OPTION_START_TIME) ? msg->start_time : MAL_BEGINNING,
  };
  keep(c, &offer);
  if (c->ask.take_first && is_full(c, &offer)) {
    madcap_client_choose(c, now, mono);
  } else if (c->phase == CLIENT_DISCOVER) {
    c->phase = CLIENT_CHOOSE;
    c->next = mono + (c->ask.discover_delay > 0 ? c->ask.discover_delay : madcap_client_delay(c));
  }
  return true;
}

/* ---- NAK (2.2.6, 3.17) ----------------------------------------------------------------------- */

static MalErrorCode code_of(unsigned nak)
{
  switch (nak) {
  case MADCAP_ERROR_NOT_COMPLETED: return MAL_ERROR_NO_SPACE;
  case MADCAP_ERROR_LEASE_ID_UNKNOWN: return MAL_ERROR_NOT_FOUND;
  default: return MAL_ERROR_INVALID;
  }
}

static void add_features(GString *text, const MadcapMessage *msg)
{
  for (size_t i = 0; i < MIN(madcap_codes_count(msg->error_data), 8u); i++)
    g_string_append_printf(text, "%s%s", i == 0 ? ": " : ", ",
                           madcap_feature_name(madcap_codes_at(msg->error_data, i)));
}

static char *nak_text(const MalEndpoint *peer, const MadcapMessage *msg, MalTime now)
{
  GString *text = g_string_new(NULL);
  char who[MAL_ADDRESS_STRLEN];
  uint16_t option;
  uint32_t time;

  g_string_printf(text, "%s refused: %s", mal_address_format(peer->address, who),
                  madcap_error_name(msg->error_code));
  if (madcap_error_option(msg, &option) && option != MADCAP_NO_OPTION)
    g_string_append_printf(text, " (option %u, %s)", option, madcap_option_name(option));
  if (madcap_error_time(msg, &time))
    g_string_append_printf(text, ": its clock is %" G_GINT64_FORMAT " s %s ours",
                           ABS(now - (int64_t)time), now < (int64_t)time ? "ahead of" : "behind");
  if (msg->error_code == MADCAP_ERROR_FEATURE_UNSUPPORTED)
    add_features(text, msg);
  return g_string_free(text, FALSE);
}

/* To what was multicast, others may still say yes; only it must not be sent again (3.17). */
static bool receive_nak(MadcapClient *c, const MalEndpoint *peer, const MadcapMessage *msg,
                        MalTime now, int64_t mono)
{
  uint16_t option = MADCAP_NO_OPTION;
  bool to_all = c->phase == CLIENT_DISCOVER || c->phase == CLIENT_ASK_GROUP;

  heard(c, peer, msg);
  if (c->phase == CLIENT_CHOOSE || c->phase == CLIENT_GATHER)
    return true;
  madcap_error_option(msg, &option);
  madcap_client_blame(c, code_of(msg->error_code), msg->error_code, option,
                      nak_text(peer, msg, now));
  c->refused = true;
  if (!to_all) {
    madcap_client_next_server(c, now, mono);
    return true;
  }
  c->next = MIN(c->next, mono + madcap_client_delay(c));
  return true;
}

/* ---- ACK (2.2.5) ----------------------------------------------------------------------------- */

static MalEndpoint server_of(const MadcapClient *c, const MalEndpoint *peer,
                             const MadcapMessage *msg)
{
  MalEndpoint server = *peer;

  if (c->phase == CLIENT_CHOSEN && msg->server_id.family == peer->address.family &&
      !mal_address_equal(msg->server_id, peer->address))
    server = (MalEndpoint){ .address = msg->server_id, .port = peer->port };
  return server;
}

static bool retry_later(MadcapClient *c, const MalEndpoint *peer, const MadcapMessage *msg,
                        int64_t mono)
{
  if (!c->ask.wait || !madcap_codes_have(msg->required, MADCAP_FEATURE_RETRY_AFTER) ||
      !madcap_has(msg, MADCAP_OPTION_RETRY_TIME))
    return unfit(c, peer, msg, "it grants nothing");
  /* As a duration by the server's clock, which stands beside it, so that ours doesn't matter. */
  int64_t seconds = CLAMP((int64_t)msg->retry_time - (int64_t)msg->current_time, 1, 7 * 86400LL);
  g_autofree char *text = g_strdup_printf("asked to come again in %" G_GINT64_FORMAT " s", seconds);
  c->before_retry = c->phase;
  c->phase = CLIENT_RETRY;
  c->next = mono + seconds * INT64_C(1000000);
  c->ops->news(c->user, MADCAP_CLIENT_LATER, peer, msg, text);
  return true;
}

static void note_period(MadcapClient *c, const MadcapMessage *msg)
{
  MadcapClientResult *r = &c->result;

  r->lease_time = msg->lease_time;
  r->starts_later = madcap_has(msg, MADCAP_OPTION_START_TIME);
  r->start = r->starts_later ? (MalTime)msg->start_time : c->sent_at;
  r->end = mal_time_add(r->start, r->lease_time);
  r->scope = msg->scope;
  r->shared = madcap_has(msg, MADCAP_OPTION_FEATURES) &&
              madcap_codes_have(msg->required, MADCAP_FEATURE_SHARED_LEASE_ID);
}

static bool receive_lease(MadcapClient *c, const MalEndpoint *peer, const MadcapMessage *msg,
                          MalTime now, int64_t mono)
{
  if (madcap_ranges_total(msg) == 0)
    return retry_later(c, peer, msg, mono);
  const char *fault = period_fault(c, msg, mono);
  if (fault == NULL && c->ask.errand == MADCAP_REQUEST)
    fault = addresses_fault(c, msg);
  g_autoptr(GArray) blocks = fault == NULL ? blocks_of(msg) : NULL;
  if (blocks == NULL)
    return unfit(c, peer, msg, fault != NULL ? fault : "its addresses overlap or aren't multicast");
  heard(c, peer, msg);
  if (c->ask.n_named > 0 && !was_named(&c->ask, blocks)) {
    madcap_client_blame(c, MAL_ERROR_NO_SPACE, -1, MADCAP_OPTION_RANGES,
                        g_strdup("other addresses were granted than those asked for"));
    madcap_client_fell_silent(c);
    madcap_client_next_server(c, now, mono);
    return true;
  }
  note_period(c, msg);
  c->result.blocks = g_steal_pointer(&blocks);
  c->result.server = server_of(c, peer, msg);
  madcap_client_succeed(c);
  return true;
}

static bool receive_ack(MadcapClient *c, const MalEndpoint *peer, const MadcapMessage *msg,
                        MalTime now, int64_t mono)
{
  switch (c->ask.errand) {
  case MADCAP_REQUEST:
  case MADCAP_RENEW: return receive_lease(c, peer, msg, now, mono);
  case MADCAP_RELEASE:
    heard(c, peer, msg);
    c->result.server = *peer;
    madcap_client_succeed(c);
    return true;
  default:
    heard(c, peer, msg);
    c->result.server = *peer;
    c->ops->info(c->user, peer, msg);
    if (c->phase == CLIENT_ASK_GROUP) {
      c->phase = CLIENT_GATHER;
      c->next = mono + c->ask.gather;
    } else if (c->phase == CLIENT_UNICAST) {
      madcap_client_succeed(c);
    }
    return true;
  }
}

/* ---- is it for us? --------------------------------------------------------------------------- */

/* From the one that was asked? A server with several addresses may answer from another one than it
   was asked at, but names itself by either. */
static bool from_asked(const MadcapClient *c, const MalEndpoint *peer, const MadcapMessage *msg)
{
  if (c->phase == CLIENT_CHOSEN)
    return mal_address_equal(msg->server_id, c->chosen.server_id);
  if (c->phase != CLIENT_UNICAST)
    return true;
  MalAddress asked = g_array_index(c->servers, MalEndpoint, c->server).address;
  return mal_address_equal(msg->server_id, asked) || mal_address_equal(peer->address, asked);
}

bool madcap_client_receive(MadcapClient *c, const MalEndpoint *peer, const MadcapMessage *msg,
                           MalTime now, int64_t mono)
{
  MadcapContext context = { .answers = (MadcapType)c->sent_type };
  MalLeaseId id = { msg->lease_id.data, msg->lease_id.length };
  bool open = !c->is_over && c->phase != CLIENT_IDLE && c->phase != CLIENT_RETRY;
  MadcapFault fault;
  char text[128];

  if (!open || msg->xid != c->xid || !madcap_has(msg, MADCAP_OPTION_LEASE_ID) ||
      !mal_lease_id_equal(id, c->ask.id))
    return false;
  if (!madcap_type_from_server(msg->type))
    return false;
  if (!madcap_check(msg, context, &fault))
    return unfit(c, peer, msg, madcap_fault_describe(&fault, text, sizeof text));
  if (!from_asked(c, peer, msg))
    return unfit(c, peer, msg, "another server was asked");
  bool discovering = c->phase == CLIENT_DISCOVER || c->phase == CLIENT_CHOOSE;
  if (msg->type == MADCAP_NAK)
    return receive_nak(c, peer, msg, now, mono);
  if ((msg->type == MADCAP_OFFER) != discovering)
    return unfit(c, peer, msg, "it answers something else");
  return discovering ? receive_offer(c, peer, msg, now, mono)
                     : receive_ack(c, peer, msg, now, mono);
}
