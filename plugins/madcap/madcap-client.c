/* The client machine's life: which server is asked when, retransmission, giving up (RFC
   2730 2.2, 2.3).

   A lease is asked for by unicast from each configured server in turn; then, by DISCOVER, from the
   groups: the best OFFER's server gets a REQUEST to the same groups. Who refuses or falls silent is
   left for the next one; who fell silent may have granted all the same, and goes into the result's
   `silent`. */
#include "madcap-client-private.h"

#include <string.h>

/* ---- life ------------------------------------------------------------------------------------ */

static void copy_lists(MadcapClient *c, const MadcapClientAsk *ask)
{
  c->named = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  c->servers = g_array_new(FALSE, FALSE, sizeof(MalEndpoint));
  c->groups = g_array_new(FALSE, FALSE, sizeof(MalEndpoint));
  if (ask->n_named > 0)
    g_array_append_vals(c->named, ask->named, (guint)ask->n_named);
  if (ask->n_servers > 0)
    g_array_append_vals(c->servers, ask->servers, (guint)ask->n_servers);
  if (ask->n_groups > 0)
    g_array_append_vals(c->groups, ask->groups, (guint)ask->n_groups);
  memcpy(c->id, ask->id.bytes, ask->id.length);
  c->language = g_strdup(ask->language);
  c->ask.id.bytes = c->id;
  c->ask.named = (const MalBlock *)(void *)c->named->data;
  c->ask.servers = (const MalEndpoint *)(void *)c->servers->data;
  c->ask.groups = (const MalEndpoint *)(void *)c->groups->data;
  c->ask.language = c->language;
}

MadcapClient *madcap_client_new(const MadcapClientAsk *ask, const MadcapClientOps *ops, void *user,
                                GError **error)
{
  if (!madcap_client_sayable(ask, MAL_BEGINNING, error))
    return NULL;
  if (ask->errand == MADCAP_REQUEST &&
      (ask->min < 1 || ask->min > ask->desired || ask->desired > UINT16_MAX)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "MADCAP leases 1 to 65535 addresses at once");
    return NULL;
  }
  MadcapClient *c = g_new0(MadcapClient, 1);
  c->ops = ops;
  c->user = user;
  c->ask = *ask;
  copy_lists(c, ask);
  c->message = g_byte_array_new();
  c->offers = g_array_new(FALSE, FALSE, sizeof(MadcapClientOffer));
  c->avoid = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  c->next = INT64_MAX;
  c->result =
      (MadcapClientResult){ .code = MAL_ERROR_TIMEOUT, .nak = -1, .option = MADCAP_NO_OPTION };
  c->result.silent = g_array_new(FALSE, FALSE, sizeof(MadcapClientSilent));
  return c;
}

void madcap_client_free(MadcapClient *c)
{
  if (c == NULL)
    return;
  g_array_unref(c->named);
  g_array_unref(c->servers);
  g_array_unref(c->groups);
  g_array_unref(c->offers);
  g_array_unref(c->avoid);
  g_array_unref(c->result.silent);
  g_clear_pointer(&c->result.blocks, g_array_unref);
  g_byte_array_unref(c->message);
  g_free(c->result.text);
  g_free(c->language);
  g_free(c);
}

const MadcapClientResult *madcap_client_result(const MadcapClient *c)
{
  return c->is_over ? &c->result : NULL;
}

MalLeaseId madcap_client_id(const MadcapClient *c)
{
  return c->ask.id;
}

bool madcap_client_is_waiting(const MadcapClient *c)
{
  return c->phase == CLIENT_RETRY;
}

int64_t madcap_client_due(const MadcapClient *c)
{
  return c->is_over ? INT64_MAX : c->next;
}

static void finish(MadcapClient *c, bool done)
{
  c->is_over = true;
  c->phase = CLIENT_OVER;
  c->next = INT64_MAX;
  c->result.done = done;
}

void madcap_client_succeed(MadcapClient *c)
{
  finish(c, true);
}

void madcap_client_give_up(MadcapClient *c)
{
  if (c->result.text == NULL)
    c->result.text = g_strdup("no MADCAP server answered");
  finish(c, false);
}

/* What a server said weighs more than silence, and the last word more than the one before. */
void madcap_client_blame(MadcapClient *c, MalErrorCode code, int nak, uint16_t option, char *text)
{
  if (c->result.nak >= 0 && nak < 0) {
    g_free(text);
    return;
  }
  g_free(c->result.text);
  c->result.code = code;
  c->result.nak = nak;
  c->result.option = option;
  c->result.text = text;
}

/* ---- sending --------------------------------------------------------------------------------- */

int64_t madcap_client_delay(const MadcapClient *c)
{
  g_assert(c->transmissions > 0);
  return MIN(MADCAP_CLIENT_FIRST_DELAY << (c->transmissions - 1), MADCAP_CLIENT_MAX_DELAY);
}

static bool to_groups(const MadcapClient *c)
{
  return c->phase != CLIENT_UNICAST;
}

/* At t, t + 4, t + 12, t + 28; over at t + 60 (2.3). */
static void transmit(MadcapClient *c, int64_t mono)
{
  c->transmissions++;
  c->next = mono + (MADCAP_CLIENT_FIRST_DELAY << (c->transmissions - 1));
  const GArray *targets = to_groups(c) ? c->groups : c->servers;
  guint first = to_groups(c) ? 0 : (guint)c->server;
  guint end = to_groups(c) ? targets->len : first + 1;
  for (guint i = first; i < end; i++)
    c->ops->send(c->user, &g_array_index(targets, MalEndpoint, i), c->message->data,
                 c->message->len, c->transmissions);
}

static bool could_say(MadcapClient *c, MadcapType type, MalTime now, int64_t mono)
{
  c->transmissions = 0;
  c->refused = false;
  if (!madcap_client_compose(c, type, now))
    return false;
  transmit(c, mono);
  return true;
}

static void say(MadcapClient *c, MadcapType type, MalTime now, int64_t mono)
{
  if (!could_say(c, type, now, mono))
    madcap_client_give_up(c);
}

/* ---- whom to ask ----------------------------------------------------------------------------- */

static void ask_groups(MadcapClient *c, MalTime now, int64_t mono)
{
  bool request = c->ask.errand == MADCAP_REQUEST;

  if (c->groups->len == 0 || c->rounds >= MADCAP_CLIENT_MAX_ROUNDS ||
      (!request && c->ask.errand != MADCAP_GETINFO)) {
    madcap_client_give_up(c);
    return;
  }
  c->rounds++;
  g_array_set_size(c->offers, 0);
  c->phase = request ? CLIENT_DISCOVER : CLIENT_ASK_GROUP;
  say(c, request ? MADCAP_DISCOVER : MADCAP_GETINFO, now, mono);
}

static void ask_server(MadcapClient *c, MalTime now, int64_t mono)
{
  if (c->server >= c->servers->len) {
    ask_groups(c, now, mono);
    return;
  }
  c->phase = CLIENT_UNICAST;
  say(c, c->ask.errand, now, mono);
}

void madcap_client_start(MadcapClient *c, MalTime now, int64_t mono)
{
  g_assert(c->phase == CLIENT_IDLE);
  c->began = mono;
  ask_server(c, now, mono);
}

bool madcap_client_avoids(const MadcapClient *c, MalAddress server_id)
{
  for (guint i = 0; i < c->avoid->len; i++)
    if (mal_address_equal(g_array_index(c->avoid, MalAddress, i), server_id))
      return true;
  return false;
}

/* RFC 2730 2.2.2 leaves the choice to us: the longest lease, the most addresses, the earliest
   start, the lowest server address; what is over the wish counts nothing. */
static int compare_offers(const MadcapClient *c, const MadcapClientOffer *a,
                          const MadcapClientOffer *b)
{
  int64_t wish = c->ask.lifetime > 0 ? c->ask.lifetime : INT64_MAX;
  int64_t lease_a = MIN(a->lease_time, wish), lease_b = MIN(b->lease_time, wish);

  if (lease_a != lease_b)
    return lease_a > lease_b ? -1 : 1;
  if (a->addresses != b->addresses)
    return a->addresses > b->addresses ? -1 : 1;
  if (a->start != b->start)
    return a->start < b->start ? -1 : 1;
  return mal_address_compare(a->server_id, b->server_id);
}

/* By its offer, the best of those there are; a new DISCOVER where there is none. */
void madcap_client_choose(MadcapClient *c, MalTime now, int64_t mono)
{
  guint best = 0;

  if (c->offers->len == 0) {
    ask_groups(c, now, mono);
    return;
  }
  for (guint i = 1; i < c->offers->len; i++)
    if (compare_offers(c, &g_array_index(c->offers, MadcapClientOffer, i),
                       &g_array_index(c->offers, MadcapClientOffer, best)) < 0)
      best = i;
  c->chosen = g_array_index(c->offers, MadcapClientOffer, best);
  g_array_remove_index(c->offers, best);
  c->phase = CLIENT_CHOSEN;
  c->ops->news(c->user, MADCAP_CLIENT_CHOSEN, &c->chosen.peer, NULL, NULL);
  say(c, MADCAP_REQUEST, now, mono);
}

/* The one that was asked will not do it. RENEW and RELEASE could only go elsewhere with Server
   Mobility (2.2.7). */
void madcap_client_next_server(MadcapClient *c, MalTime now, int64_t mono)
{
  g_assert(c->phase == CLIENT_UNICAST || c->phase == CLIENT_CHOSEN);
  if (c->phase == CLIENT_UNICAST) {
    c->server++;
    if (c->ask.errand == MADCAP_RENEW || c->ask.errand == MADCAP_RELEASE)
      madcap_client_give_up(c);
    else
      ask_server(c, now, mono);
    return;
  }
  if (c->avoid->len < MADCAP_CLIENT_MAX_OFFERS)
    g_array_append_val(c->avoid, c->chosen.server_id);
  /* After a refusal nobody else is left but those who offered; after silence somebody may have come
     up. */
  if (c->offers->len == 0 && c->refused)
    madcap_client_give_up(c);
  else
    madcap_client_choose(c, now, mono);
}

/* ---- time ------------------------------------------------------------------------------------ */

static const MalEndpoint *asked(const MadcapClient *c)
{
  if (c->phase == CLIENT_CHOSEN)
    return &c->chosen.peer;
  return to_groups(c) ? &g_array_index(c->groups, MalEndpoint, 0)
                      : &g_array_index(c->servers, MalEndpoint, c->server);
}

/* RFC 2730 2.4.1 */
static void take_new_id(MadcapClient *c)
{
  c->id[0] = MADCAP_LEASE_ID_RANDOM;
  c->ops->id(c->user, c->id + 1);
  c->ask.id.length = 17;
}

/* A server that was sent a REQUEST and says nothing may have granted it. Whoever is asked next gets
   another lease identifier, so that this one can be released there, even if both are one server;
   the offers were for the old one. */
void madcap_client_fell_silent(MadcapClient *c)
{
  MadcapClientSilent silent = { .server = *asked(c), .id_length = c->ask.id.length };

  if (c->sent_type != MADCAP_REQUEST)
    return;
  memcpy(silent.id, c->id, silent.id_length);
  g_array_append_val(c->result.silent, silent);
  if (c->ask.fixed_id)
    return;
  take_new_id(c);
  g_array_set_size(c->offers, 0);
}

static void nobody_answered(MadcapClient *c, MalTime now, int64_t mono)
{
  char text[MAL_ENDPOINT_STRLEN];
  const MalEndpoint *who = asked(c);
  bool by_group = mal_address_is_multicast(who->address);

  c->ops->news(c->user, MADCAP_CLIENT_SILENT, who, NULL, NULL);
  madcap_client_blame(c, MAL_ERROR_TIMEOUT, -1, MADCAP_NO_OPTION,
                      g_strdup_printf("no answer from %s%s", mal_endpoint_format(*who, text),
                                      by_group ? ", a group: a server that does not answer there "
                                                 "for this scope must be named (servers, "
                                                 "--server), or its group (client-groups)"
                                               : ""));
  madcap_client_fell_silent(c);
  if (c->phase == CLIENT_DISCOVER || c->phase == CLIENT_ASK_GROUP)
    madcap_client_give_up(c);
  else
    madcap_client_next_server(c, now, mono);
}

/* The same options as before, with a new transaction id (2.13.2). The server keeps what it was
   asked for, also where it can't be asked again. */
static void retry(MadcapClient *c, MalTime now, int64_t mono)
{
  c->phase = c->before_retry;
  if (could_say(c, c->ask.errand, now, mono))
    return;
  madcap_client_fell_silent(c);
  madcap_client_give_up(c);
}

void madcap_client_tick(MadcapClient *c, MalTime now, int64_t mono)
{
  if (c->is_over || mono < c->next)
    return;
  switch (c->phase) {
  case CLIENT_RETRY: retry(c, now, mono); return;
  case CLIENT_CHOOSE: madcap_client_choose(c, now, mono); return;
  case CLIENT_GATHER: madcap_client_succeed(c); return;
  default: break;
  }
  if (c->refused)
    madcap_client_give_up(c);
  else if (c->transmissions < MADCAP_CLIENT_TRANSMISSIONS)
    transmit(c, mono);
  else
    nobody_answered(c, now, mono);
}

void madcap_client_cancel(MadcapClient *c)
{
  if (c->is_over)
    return;
  if (c->phase == CLIENT_RETRY)
    c->phase = c->before_retry;
  if (c->phase == CLIENT_CHOSEN || c->phase == CLIENT_UNICAST)
    madcap_client_fell_silent(c);
  madcap_client_blame(c, MAL_ERROR_TIMEOUT, -1, MADCAP_NO_OPTION, g_strdup("given up"));
  finish(c, false);
}
