/* What the client says (RFC 2730 2.2, table 5). */
#include "madcap-client-private.h"

#include <string.h>

#define BUFFER 1400 /* never a fragment */

static bool in_32_bits(int64_t n)
{
  return n >= 0 && n <= UINT32_MAX;
}

bool madcap_client_sayable(const MadcapClientAsk *ask, MalTime now, GError **error)
{
  bool start_good = ask->start == MAL_BEGINNING || in_32_bits(ask->start);
  bool max_good = ask->max_start == MAL_FOREVER || in_32_bits(ask->max_start);

  if (start_good && max_good && (now == MAL_BEGINNING || in_32_bits(now)))
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
              "MADCAP can't say times before 1970 or after 2106");
  return false;
}

static bool has_times(const MadcapClientAsk *ask)
{
  return ask->start != MAL_BEGINNING || ask->max_start != MAL_FOREVER;
}

/* One address is what a server gives who is asked for no number (3.8: "SHOULD NOT be included");
   named ones count themselves. */
static void put_number(MadcapEncoder *e, const MadcapClientAsk *ask)
{
  if (ask->n_named == 0 && (ask->min != 1 || ask->desired != 1))
    madcap_put_number(e, (uint16_t)ask->min, (uint16_t)ask->desired);
}

/* The server may only use what is in a list of ours, and says so only for what is in the supported
   one (3.13); Retry After must not be in the others (2.13.2). */
static void put_features(MadcapEncoder *e, const MadcapClientAsk *ask)
{
  uint16_t supported[2], requested[1] = { MADCAP_FEATURE_SHARED_LEASE_ID };
  size_t n = 0;

  if (ask->wait)
    supported[n++] = MADCAP_FEATURE_RETRY_AFTER;
  if (ask->shared)
    supported[n++] = MADCAP_FEATURE_SHARED_LEASE_ID;
  if (n > 0)
    madcap_put_features(e, supported, n, requested, ask->shared ? 1 : 0, NULL, 0);
}

static void put_wishes(MadcapEncoder *e, const MadcapClient *c, MadcapType type, MalTime now)
{
  const MadcapClientAsk *ask = &c->ask;
  bool request = type == MADCAP_DISCOVER || type == MADCAP_REQUEST;

  if (request)
    madcap_put_scope(e, ask->scope);
  if (ask->start != MAL_BEGINNING)
    madcap_put_start_time(e, (uint32_t)ask->start);
  if (request)
    put_number(e, ask);
  if (request && ask->n_named > 0)
    madcap_put_ranges(e, ask->named, ask->n_named);
  if (has_times(ask))
    madcap_put_current_time(e, (uint32_t)now);
  put_features(e, ask);
  if (ask->min_lifetime > 0)
    madcap_put_min_lease_time(e, (uint32_t)MIN(ask->min_lifetime, UINT32_MAX));
  if (ask->max_start != MAL_FOREVER)
    madcap_put_max_start_time(e, (uint32_t)ask->max_start);
}

static void put_questions(MadcapEncoder *e, const MadcapClientAsk *ask)
{
  static const uint16_t wanted[] = {
    MADCAP_OPTION_SCOPE_LIST,
    MADCAP_OPTION_CURRENT_TIME,
    MADCAP_OPTION_FEATURES,
    MADCAP_OPTION_NESTING,
  };

  madcap_put_request_list(e, wanted, G_N_ELEMENTS(wanted));
  if (ask->language != NULL)
    madcap_put_language(e, ask->language, strlen(ask->language));
}

bool madcap_client_compose(MadcapClient *c, MadcapType type, MalTime now)
{
  uint8_t buffer[BUFFER];
  MadcapContext context = { .multicast = c->phase == CLIENT_CHOSEN };
  g_autoptr(GError) error = NULL;

  if (!madcap_client_sayable(&c->ask, now, &error)) {
    madcap_client_blame(c, MAL_ERROR_INVALID, -1, MADCAP_NO_OPTION, g_strdup(error->message));
    return false;
  }
  c->xid = c->ops->xid(c->user);
  MadcapEncoder e = madcap_encoder(buffer, sizeof buffer, type, context, c->ask.family, c->xid);
  bool wishes = type == MADCAP_DISCOVER || type == MADCAP_REQUEST || type == MADCAP_RENEW;
  if (wishes && c->ask.lifetime > 0)
    madcap_put_lease_time(&e, (uint32_t)MIN(c->ask.lifetime, UINT32_MAX));
  if (context.multicast)
    madcap_put_server_id(&e, c->chosen.server_id);
  madcap_put_lease_id(&e, c->ask.id.bytes, c->ask.id.length);
  if (wishes)
    put_wishes(&e, c, type, now);
  if (type == MADCAP_GETINFO)
    put_questions(&e, &c->ask);
  size_t length = madcap_finish(&e);
  if (length == 0) {
    char text[128];
    madcap_client_blame(c, MAL_ERROR_INVALID, -1, e.fault.option,
                        g_strdup_printf("can't be said in a MADCAP message: %s",
                                        madcap_fault_describe(&e.fault, text, sizeof text)));
    return false;
  }
  g_byte_array_set_size(c->message, 0);
  g_byte_array_append(c->message, buffer, (guint)length);
  c->sent_type = (uint8_t)type;
  c->sent_at = now;
  return true;
}
