/* AAP for people: names, and a message on one line. */
#include "aap-wire.h"

#include <string.h>

const char *aap_type_name(unsigned type)
{
  static const char *const names[AAP_N_TYPES] = { "ACLM", "AIU", "AITU", "ASA", "ASRP", "ANA" };
  return type < AAP_N_TYPES ? names[type] : "unknown";
}

const char *aap_reason_name(AapReason reason)
{
  static const char *const names[AAP_N_REASONS] = {
    [AAP_REASON_NONE] = "none",
    [AAP_REASON_SHORT] = "short",
    [AAP_REASON_VERSION] = "version",
    [AAP_REASON_TYPE] = "type",
    [AAP_REASON_FAMILY] = "family",
    [AAP_REASON_LENGTH] = "length",
    [AAP_REASON_ORDER] = "range-order",
    [AAP_REASON_MULTICAST] = "not-multicast",
    [AAP_REASON_PREFIX] = "range-prefix",
    [AAP_REASON_COUNT] = "count",
    [AAP_REASON_GROUP] = "group",
    [AAP_REASON_SCOPES] = "scopes",
    [AAP_REASON_HORIZON] = "horizon",
    [AAP_REASON_FIT] = "fit",
    [AAP_REASON_SPACE] = "space",
  };
  return (unsigned)reason < AAP_N_REASONS ? names[reason] : "unknown";
}

const char *aap_describe(const AapMessage *msg, char *out, size_t size)
{
  char span[MAL_SPAN_STRLEN];
  if (size == 0)
    return out;
  MalLine t = mal_line(out, size);
  mal_line_add(&t, "%s %s rseq %u mseq %u time %u", aap_type_name(msg->type),
               mal_family_name(msg->family), msg->rseq, msg->mseq, msg->current_time);
  if (msg->type == AAP_ASA)
    mal_line_add(&t, " expires %u", msg->expiration_time);
  for (size_t i = 0; i < msg->n_ranges && t.used + 1 < size; i++)
    mal_line_add(&t, " %s %s %u", mal_span_format(msg->ranges[i].span, span),
                 msg->type == AAP_ASRP ? "uses" : "until", msg->ranges[i].value);
  for (size_t i = 0; i < msg->n_requests && t.used + 1 < size; i++)
    mal_line_add(&t, " wants %u until %u", msg->requests[i].count, msg->requests[i].end_time);
  return out;
}
