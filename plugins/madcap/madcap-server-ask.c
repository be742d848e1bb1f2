/* What a client asks for, read from its message with the server's defaults and limits (RFC 2730
   2.2.2, 2.2.4, 2.2.7). Absolute times are 32 bits on the wire and 64 here: nothing wraps, and no
   start later than the wire can say is ever asked of the engine. */
#include "madcap-server-private.h"

static bool invalid(MadcapRefusal *why, uint16_t option)
{
  *why = madcap_refusal(MADCAP_ERROR_INVALID_REQUEST, option);
  return false;
}

static bool impossible(MadcapRefusal *why, uint16_t option)
{
  *why = madcap_refusal(MADCAP_ERROR_NOT_COMPLETED, option);
  return false;
}

static bool ask_lifetime(const MadcapExchange *x, int64_t *lifetime, int64_t *least,
                         MadcapRefusal *why)
{
  const MadcapServerConfig *c = &x->s->config;
  const MadcapMessage *msg = x->msg;

  *least = madcap_has(msg, MADCAP_OPTION_MIN_LEASE_TIME) ? msg->min_lease_time : 0;
  if (madcap_has(msg, MADCAP_OPTION_LEASE_TIME)) {
    *lifetime = msg->lease_time;
    if (*lifetime == 0)
      return invalid(why, MADCAP_OPTION_LEASE_TIME);
    if (*least > *lifetime)
      return invalid(why, MADCAP_OPTION_MIN_LEASE_TIME);
  } else {
    *lifetime = MAX(c->default_lease_time, *least);
  }
  if (*least > c->max_lease_time)
    return impossible(why, MADCAP_OPTION_MIN_LEASE_TIME);
  *lifetime = MIN(*lifetime, c->max_lease_time);
  return true;
}

/* A maximum that has just passed here, but not yet by the client's own clock, means "now". */
static bool ask_start(const MadcapExchange *x, MalTime *start, MalTime *latest, MadcapRefusal *why)
{
  const MadcapMessage *msg = x->msg;
  bool has_start = madcap_has(msg, MADCAP_OPTION_START_TIME);

  if (has_start)
    *start = msg->start_time;
  *latest = MAX(x->now, (MalTime)UINT32_MAX);
  if (!madcap_has(msg, MADCAP_OPTION_MAX_START_TIME))
    return true;
  *latest = msg->max_start_time;
  if (has_start && msg->start_time > msg->max_start_time)
    return invalid(why, MADCAP_OPTION_MAX_START_TIME);
  if (*latest >= x->now)
    return true;
  if (msg->max_start_time < msg->current_time)
    return impossible(why, MADCAP_OPTION_MAX_START_TIME);
  *latest = x->now;
  return true;
}

static int by_address(gconstpointer a, gconstpointer b)
{
  return mal_address_compare(((const MalBlock *)a)->first, ((const MalBlock *)b)->first);
}

/* Sorted, merged where adjacent. */
static bool normalize(GArray *blocks)
{
  guint kept = 0;

  g_array_sort(blocks, by_address);
  for (guint i = 1; i < blocks->len; i++) {
    MalBlock *last = &g_array_index(blocks, MalBlock, kept),
             next = g_array_index(blocks, MalBlock, i);
    /* Counted from the last address: behind the highest one of all there is none. */
    MalU128 end = last->first.value + (last->count - 1);
    if (next.first.value <= end)
      return false;
    if (next.first.value - end == 1)
      last->count += next.count;
    else
      g_array_index(blocks, MalBlock, ++kept) = next;
  }
  g_array_set_size(blocks, kept + 1);
  return true;
}

static bool ask_named(const MadcapExchange *x, MalLeaseRequest *r, MadcapRefusal *why)
{
  GArray *blocks = x->s->named;
  MadcapRangeIter iter = madcap_ranges(x->msg);
  uint64_t total = 0;
  MalBlock block;

  g_array_set_size(blocks, 0);
  while (madcap_ranges_next(&iter, &block)) {
    if (!mal_span_contains(r->scope->span, mal_span_of_block(block)))
      return invalid(why, MADCAP_OPTION_RANGES);
    total += block.count;
    if (total > x->s->config.max_per_request)
      return impossible(why, MADCAP_OPTION_RANGES);
    g_array_append_val(blocks, block);
  }
  if (total == 0)
    return true;
  if (!normalize(blocks))
    return invalid(why, MADCAP_OPTION_RANGES);
  if (madcap_has(x->msg, MADCAP_OPTION_NUMBER) && (total < r->min || total > r->desired))
    return invalid(why, MADCAP_OPTION_NUMBER);
  r->named = &g_array_index(blocks, MalBlock, 0);
  r->n_named = blocks->len;
  r->min = r->desired = (uint32_t)total;
  return true;
}

static bool ask_number(const MadcapExchange *x, MalLeaseRequest *r, MadcapRefusal *why)
{
  const MadcapMessage *msg = x->msg;
  uint32_t most = x->s->config.max_per_request;

  r->min = r->desired = 1;
  if (!madcap_has(msg, MADCAP_OPTION_NUMBER))
    return true;
  if (msg->desired_addresses == 0)
    return invalid(why, MADCAP_OPTION_NUMBER);
  if (msg->min_addresses > most)
    return impossible(why, MADCAP_OPTION_NUMBER);
  r->min = MAX(msg->min_addresses, 1u);
  r->desired = MIN(msg->desired_addresses, most);
  return true;
}

bool madcap_ask(const MadcapExchange *x, MalLeaseRequest *r, MadcapRefusal *why)
{
  *r = (MalLeaseRequest){
    .id = x->id,
    .scope = mal_scope_set_find_first(x->s->scopes, x->msg->scope),
    .start = x->now,
    .pad = x->s->config.extra_allocation_time,
    .client = x->from->peer.address,
    .client_limit = x->s->config.max_per_client,
    .origin = "madcap",
    .flags = madcap_wants_shared(x->msg) ? MAL_LEASE_SHARED : 0,
    .may_wait = true,
  };
  if (r->scope == NULL)
    return impossible(why, MADCAP_OPTION_SCOPE);
  if (!ask_lifetime(x, &r->lifetime, &r->min_lifetime, why) ||
      !ask_start(x, &r->start, &r->max_start, why))
    return false;
  if (!ask_number(x, r, why))
    return false;
  if (madcap_has(x->msg, MADCAP_OPTION_RANGES) && !ask_named(x, r, why))
    return false;
  return true;
}

bool madcap_ask_renewal(const MadcapExchange *x, MalRenewal *renewal, MadcapRefusal *why)
{
  *renewal = (MalRenewal){ .start = MAL_BEGINNING };
  return ask_lifetime(x, &renewal->lifetime, &renewal->min_lifetime, why) &&
         ask_start(x, &renewal->start, &renewal->max_start, why);
}

/* ---- refusals and features ------------------------------------------------------------------- */

MadcapRefusal madcap_refusal_of(const MadcapMessage *msg, const MalRefusal *why)
{
  uint16_t option = MADCAP_NO_OPTION;

  switch (why->part) {
  case MAL_REFUSED_COUNT: option = MADCAP_OPTION_NUMBER; break;
  case MAL_REFUSED_NAMED: option = MADCAP_OPTION_RANGES; break;
  case MAL_REFUSED_LIFETIME: option = MADCAP_OPTION_MIN_LEASE_TIME; break;
  case MAL_REFUSED_START:
    option = madcap_has(msg, MADCAP_OPTION_MAX_START_TIME) ? MADCAP_OPTION_MAX_START_TIME
                                                           : MADCAP_OPTION_START_TIME;
    break;
  case MAL_REFUSED_SCOPE: option = MADCAP_OPTION_SCOPE; break;
  case MAL_REFUSED_ID:
    if (why->code == MAL_ERROR_NOT_FOUND)
      return madcap_refusal(MADCAP_ERROR_LEASE_ID_UNKNOWN, MADCAP_NO_OPTION);
    return madcap_refusal(MADCAP_ERROR_INVALID_REQUEST, MADCAP_OPTION_LEASE_ID);
  case MAL_REFUSED_OTHER: break;
  }
  if (option != MADCAP_NO_OPTION && !madcap_has(msg, option))
    option = MADCAP_NO_OPTION;
  return madcap_refusal(why->code == MAL_ERROR_INVALID ? MADCAP_ERROR_INVALID_REQUEST
                                                       : MADCAP_ERROR_NOT_COMPLETED, option);
}

bool madcap_features_missing(const MadcapExchange *x, bool shared_too, MadcapRefusal *why)
{
  GArray *missing = x->s->missing;

  if (!madcap_has(x->msg, MADCAP_OPTION_FEATURES))
    return false;
  g_array_set_size(missing, 0);
  for (size_t i = 0; i < madcap_codes_count(x->msg->required); i++) {
    uint16_t code = madcap_codes_at(x->msg->required, i);
    /* (Retry After must not be required: such a message came no further than its form.) */
    if (code != MADCAP_FEATURE_SHARED_LEASE_ID || shared_too)
      g_array_append_val(missing, code);
  }
  *why = madcap_refusal(MADCAP_ERROR_FEATURE_UNSUPPORTED, MADCAP_NO_OPTION);
  why->features = missing;
  return missing->len > 0;
}

bool madcap_wants_shared(const MadcapMessage *msg)
{
  return madcap_has(msg, MADCAP_OPTION_FEATURES) &&
         (madcap_codes_have(msg->requested, MADCAP_FEATURE_SHARED_LEASE_ID) ||
          madcap_codes_have(msg->required, MADCAP_FEATURE_SHARED_LEASE_ID));
}
