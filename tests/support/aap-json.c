/* The AAP codec as a filter, for tests in other languages. One request and one answer a line:

     decode HEX     {"type": ..., "family": ..., "rseq": ..., "mseq": ..., "time": ...,
       "expiration": ...,
                     "ranges": [[first, last, value]], "requests": [[count, end]]} or {"fault":
                       "reason"}
     encode JSON    {"hex": "..."} or {"fault": "reason"}

   The JSON to encode is what decode answers. */
#include "plugins/aap/aap-wire.h"
#include "tests/support/json-filter.h"

#include <stdio.h>
#include <string.h>

static AapScratch scratch;
static uint8_t buffer[AAP_MAX_LENGTH + 1];

static Json *fault_of(const AapFault *fault)
{
  Json *out = json_object_new_object();
  json_object_object_add(out, "fault", json_object_new_string(aap_reason_name(fault->reason)));
  return out;
}

/* ---- decoding -------------------------------------------------------------------------------- */

static Json *number(uint32_t value)
{
  return json_object_new_int64(value);
}

static Json *address(MalAddress a)
{
  char text[MAL_ADDRESS_STRLEN];
  return json_object_new_string(mal_address_format(a, text));
}

static Json *range_of(const AapRange *range)
{
  Json *out = json_object_new_array();
  json_object_array_add(out, address(range->span.first));
  json_object_array_add(out, address(range->span.last));
  json_object_array_add(out, number(range->value));
  return out;
}

static Json *request_of(const AapRequest *request)
{
  Json *out = json_object_new_array();
  json_object_array_add(out, number(request->count));
  json_object_array_add(out, number(request->end_time));
  return out;
}

static Json *message_of(const AapMessage *msg)
{
  Json *out = json_object_new_object();
  Json *ranges = json_object_new_array(), *requests = json_object_new_array();
  json_object_object_add(out, "type", number(msg->type));
  json_object_object_add(out, "family", number(msg->family));
  json_object_object_add(out, "rseq", number(msg->rseq));
  json_object_object_add(out, "mseq", number(msg->mseq));
  json_object_object_add(out, "time", number(msg->current_time));
  json_object_object_add(out, "expiration", number(msg->expiration_time));
  for (size_t i = 0; i < msg->n_ranges; i++)
    json_object_array_add(ranges, range_of(&msg->ranges[i]));
  for (size_t i = 0; i < msg->n_requests; i++)
    json_object_array_add(requests, request_of(&msg->requests[i]));
  json_object_object_add(out, "ranges", ranges);
  json_object_object_add(out, "requests", requests);
  return out;
}

static Json *decode(const char *text)
{
  AapMessage msg;
  AapFault fault;
  size_t length = json_unhex(text, buffer, sizeof buffer);
  /* Of exactly that size, for the address sanitizer. */
  g_autofree uint8_t *data = length == 0 ? g_malloc(1) : g_memdup2(buffer, length);
  return aap_decode(data, length, &scratch, &msg, &fault) ? message_of(&msg) : fault_of(&fault);
}

/* ---- encoding -------------------------------------------------------------------------------- */

static Json *get(Json *object, const char *name)
{
  Json *value = NULL;
  json_object_object_get_ex(object, name, &value);
  return value;
}

static uint32_t number_in(Json *array, size_t index)
{
  return (uint32_t)json_object_get_int64(json_object_array_get_idx(array, index));
}

static MalAddress address_in(Json *array, size_t index)
{
  MalAddress a = mal_address_none();
  mal_address_parse(json_object_get_string(json_object_array_get_idx(array, index)), &a, NULL);
  return a;
}

static void read_lists(Json *in, AapMessage *msg)
{
  Json *ranges = get(in, "ranges"), *requests = get(in, "requests");
  msg->n_ranges = MIN(json_object_array_length(ranges), AAP_MAX_RANGES);
  msg->n_requests = MIN(json_object_array_length(requests), AAP_MAX_REQUESTS);
  for (size_t i = 0; i < msg->n_ranges; i++) {
    Json *one = json_object_array_get_idx(ranges, i);
    scratch.ranges[i] = (AapRange){ { address_in(one, 0), address_in(one, 1) }, number_in(one, 2) };
  }
  for (size_t i = 0; i < msg->n_requests; i++) {
    Json *one = json_object_array_get_idx(requests, i);
    scratch.requests[i] = (AapRequest){ number_in(one, 0), number_in(one, 1) };
  }
  msg->ranges = scratch.ranges;
  msg->requests = scratch.requests;
}

static Json *encode(const char *text)
{
  g_autoptr(Json) in = json_tokener_parse(text);
  AapFault fault;
  AapMessage msg = {
    .type = (AapType)json_object_get_int64(get(in, "type")),
    .family = (MalFamily)json_object_get_int64(get(in, "family")),
    .rseq = (uint32_t)json_object_get_int64(get(in, "rseq")),
    .mseq = (uint8_t)json_object_get_int64(get(in, "mseq")),
    .current_time = (uint32_t)json_object_get_int64(get(in, "time")),
    .expiration_time = (uint32_t)json_object_get_int64(get(in, "expiration")),
  };
  read_lists(in, &msg);
  size_t length = aap_encode(&msg, buffer, sizeof buffer, &fault);
  if (length == 0)
    return fault_of(&fault);
  Json *out = json_object_new_object();
  json_object_object_add(out, "hex", json_hex(buffer, length));
  return out;
}

int main(void)
{
  static const JsonRequest requests[] = {
    { "decode", decode },
    { "encode", encode },
    { NULL, NULL },
  };
  return json_filter(requests);
}
