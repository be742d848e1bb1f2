/* Replies of the server, written into its one buffer. Options stand in ascending order. */
#include "madcap-server-private.h"

static MadcapEncoder begin(MadcapServer *s, const MadcapReplyTo *to, MadcapType type)
{
  MadcapContext context = { .answers = to->type };
  MadcapEncoder e = madcap_encoder(s->buffer, sizeof s->buffer, type, context, to->family, to->xid);

  return e;
}

static void put_ids(MadcapEncoder *e, const MadcapReplyTo *to)
{
  madcap_put_server_id(e, to->to->server_id);
  if (to->id.length > 0)
    madcap_put_lease_id(e, to->id.data, to->id.length);
}

/* RFC 2730 3.13. Server Mobility is not ours until several servers share a store. */
void madcap_put_our_features(MadcapEncoder *e, const MadcapReplyTo *to, bool retry, bool unasked)
{
  static const uint16_t supported[] = { MADCAP_FEATURE_RETRY_AFTER,
                                        MADCAP_FEATURE_SHARED_LEASE_ID };
  uint16_t implemented[2];
  size_t n = 0;

  if (!to->features && !unasked)
    return;
  if (retry)
    implemented[n++] = MADCAP_FEATURE_RETRY_AFTER;
  if (to->shared)
    implemented[n++] = MADCAP_FEATURE_SHARED_LEASE_ID;
  madcap_put_features(e, supported, G_N_ELEMENTS(supported), NULL, 0, implemented, n);
}

size_t madcap_reply_nak(MadcapServer *s, const MadcapReplyTo *to, const MadcapRefusal *why,
                        MalTime now)
{
  MadcapEncoder e = begin(s, to, MADCAP_NAK);
  MadcapReplyTo nothing_implemented = *to;

  nothing_implemented.shared = false;
  put_ids(&e, to);
  madcap_put_our_features(&e, &nothing_implemented, false, false);
  switch (why->code) {
  case MADCAP_ERROR_NOT_COMPLETED:
  case MADCAP_ERROR_INVALID_REQUEST:
    madcap_put_error_option(&e, why->code, why->option);
    break;
  case MADCAP_ERROR_CLOCK_SKEW:
    madcap_put_error_clock_skew(&e, madcap_time32(now));
    break;
  case MADCAP_ERROR_FEATURE_UNSUPPORTED:
    madcap_put_error_features(&e, (const uint16_t *)(const void *)why->features->data,
                              why->features->len);
    break;
  case MADCAP_ERROR_LEASE_ID_UNKNOWN:
    madcap_put_error(&e, (uint16_t)why->code, NULL, 0);
    break;
  }
  return madcap_finish(&e);
}

/* The lease time counts from the start, or from the decision for a lease that had begun then: what
   is told to a retransmission later is the same, and the extra allocation time covers the
   difference. */
size_t madcap_reply_lease(MadcapServer *s, const MadcapReplyTo *to, const MalLease *lease,
                          MalAddress scope, bool told_start, MalTime decided, MalTime now)
{
  MadcapEncoder e = begin(s, to, to->type == MADCAP_DISCOVER ? MADCAP_OFFER : MADCAP_ACK);
  bool with_start = told_start || lease->start > decided;
  MalTime from = with_start ? lease->start : decided;

  if (with_start && (lease->start < 0 || lease->start > UINT32_MAX))
    return 0;
  madcap_put_lease_time(&e,
                        madcap_time32(lease->end == MAL_FOREVER ? UINT32_MAX : lease->end - from));
  put_ids(&e, to);
  madcap_put_scope(&e, scope);
  if (with_start)
    madcap_put_start_time(&e, (uint32_t)lease->start);
  madcap_put_ranges(&e, lease->blocks, lease->n_blocks);
  if (with_start)
    madcap_put_current_time(&e, madcap_time32(now));
  madcap_put_our_features(&e, to, false, false);
  return madcap_finish(&e);
}

size_t madcap_reply_retry(MadcapServer *s, const MadcapReplyTo *to, MalAddress scope,
                          int64_t lease_time, MalTime now)
{
  MadcapEncoder e = begin(s, to, MADCAP_ACK);

  madcap_put_lease_time(&e, madcap_time32(lease_time));
  put_ids(&e, to);
  madcap_put_scope(&e, scope);
  madcap_put_ranges(&e, NULL, 0);
  madcap_put_current_time(&e, madcap_time32(now));
  madcap_put_our_features(&e, to, true, false);
  madcap_put_retry_time(&e, madcap_time32(mal_time_add(now, s->config.retry_after)));
  return madcap_finish(&e);
}

size_t madcap_reply_released(MadcapServer *s, const MadcapReplyTo *to)
{
  MadcapEncoder e = begin(s, to, MADCAP_ACK);

  put_ids(&e, to);
  madcap_put_our_features(&e, to, false, false);
  return madcap_finish(&e);
}
