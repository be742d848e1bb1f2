/* The MASC codec as a filter, for tests in other languages. One request and one answer a line:

     decode HEX     {"type": 1, "family": ..., "role": ..., "hold": ..., "domain": ..., "node": ...,
                     "parent": ...}
                    {"type": 2, "claims": [[type, role, deprecated, timestamp, lifetime, holdtime,
                     domain, node, address, length]], "answers": ["hex of a NOTIFICATION"]}
                    {"type": 3, "code": ..., "subcode": ..., "open": ..., "data": "hex"}
                    {"type": 4}
                    or {"fault": [code, subcode], "answer": "hex"}, with "" for no answer
     encode JSON    {"hex": "..."} or {"refused": "reason"}
     beats JSON     two claims: {"order": 1, 0 or -1}

   The JSON to encode is what decode answers. Identifiers are addresses of IPv6, as text. */
#include "plugins/masc/masc-compare.h"
#include "tests/support/json-filter.h"

#include <stdio.h>
#include <string.h>

static uint8_t buffer[MASC_MAX_LENGTH + 16];

static void put(Json *object, const char *name, Json *value)
{
  json_object_object_add(object, name, value);
}

static Json *number(int64_t value)
{
  return json_object_new_int64(value);
}

static Json *id(MascId value)
{
  char text[MAL_ADDRESS_STRLEN];
  return json_object_new_string(mal_address_format(mal_address_make(MAL_IPV6, value), text));
}

/* ---- decoding -------------------------------------------------------------------------------- */

static Json *answer_to(const MascFault *fault, const uint8_t *data, size_t length)
{
  uint8_t out[MASC_MAX_LENGTH];
  return json_hex(out, masc_answer(fault, data, length, true, out, sizeof out));
}

static Json *claim_of(const MascClaim *claim)
{
  char text[MAL_ADDRESS_STRLEN];
  Json *out = json_object_new_array();
  const int64_t numbers[] = { claim->type,      claim->role,     claim->deprecated,
                              claim->timestamp, claim->lifetime, claim->holdtime };
  for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
    json_object_array_add(out, number(numbers[i]));
  json_object_array_add(out, id(claim->domain));
  json_object_array_add(out, id(claim->node));
  json_object_array_add(
    out, json_object_new_string(mal_address_format(claim->prefix.address, text)));
  json_object_array_add(out, number(claim->prefix.length));
  return out;
}

static void put_update(Json *out, const MascUpdate *update, const uint8_t *data, size_t length)
{
  Json *claims = json_object_new_array(), *answers = json_object_new_array();
  MascCursor cursor = masc_cursor(update);
  MascClaim claim;
  MascFault fault;
  MascNext next;

  while ((next = masc_cursor_next(&cursor, &claim, &fault)) != MASC_NEXT_END)
    if (next == MASC_NEXT_CLAIM)
      json_object_array_add(claims, claim_of(&claim));
    else
      json_object_array_add(answers, answer_to(&fault, data, length));
  put(out, "claims", claims);
  put(out, "answers", answers);
}

static void put_open(Json *out, const MascOpen *open)
{
  put(out, "family", number(open->family));
  put(out, "role", number(open->role));
  put(out, "hold", number(open->hold_time));
  put(out, "domain", id(open->domain));
  put(out, "node", id(open->node));
  put(out, "parent", id(open->parent));
}

static Json *message_of(const MascMessage *msg, const uint8_t *data, size_t length)
{
  Json *out = json_object_new_object();
  const MascNotification *n = &msg->notification;

  put(out, "type", number(msg->type));
  if (msg->type == MASC_OPEN) {
    put_open(out, &msg->open);
  } else if (msg->type == MASC_UPDATE) {
    put_update(out, &msg->update, data, length);
  } else if (msg->type == MASC_NOTIFICATION) {
    put(out, "code", number(n->code));
    put(out, "subcode", number(n->subcode));
    put(out, "open", json_object_new_boolean(n->open));
    put(out, "data", json_hex(n->data, n->length));
  }
  return out;
}

static Json *decode(const char *text)
{
  MascMessage msg;
  MascFault fault;
  size_t length = json_unhex(text, buffer, sizeof buffer);
  /* Of exactly that size, for the address sanitizer. */
  g_autofree uint8_t *data = length == 0 ? g_malloc(1) : g_memdup2(buffer, length);
  if (masc_decode(data, length, &msg, &fault))
    return message_of(&msg, data, length);
  Json *out = json_object_new_object(), *codes = json_object_new_array();
  json_object_array_add(codes, number(fault.code));
  json_object_array_add(codes, number(fault.subcode));
  put(out, "fault", codes);
  put(out, "answer", answer_to(&fault, data, length));
  return out;
}

/* ---- encoding -------------------------------------------------------------------------------- */

static Json *get(Json *object, const char *name)
{
  Json *value = NULL;
  json_object_object_get_ex(object, name, &value);
  return value;
}

static MalAddress address_in(Json *value)
{
  MalAddress a = mal_address_none();
  mal_address_parse(json_object_get_string(value), &a, NULL);
  return a;
}

static uint32_t number_at(Json *array, size_t index)
{
  return (uint32_t)json_object_get_int64(json_object_array_get_idx(array, index));
}

static MascClaim claim_in(Json *in)
{
  return (MascClaim){
    .type = (MascClaimType)number_at(in, 0),
    .role = (MascRole)number_at(in, 1),
    .deprecated = number_at(in, 2) != 0,
    .timestamp = number_at(in, 3),
    .lifetime = number_at(in, 4),
    .holdtime = number_at(in, 5),
    .domain = address_in(json_object_array_get_idx(in, 6)).value,
    .node = address_in(json_object_array_get_idx(in, 7)).value,
    .prefix = { address_in(json_object_array_get_idx(in, 8)), number_at(in, 9) },
  };
}

static MascOpen open_in(Json *in)
{
  return (MascOpen){
    .family = (MalFamily)json_object_get_int(get(in, "family")),
    .role = (MascRole)json_object_get_int(get(in, "role")),
    .hold_time = (uint16_t)json_object_get_int(get(in, "hold")),
    .domain = address_in(get(in, "domain")).value,
    .node = address_in(get(in, "node")).value,
    .parent = address_in(get(in, "parent")).value,
  };
}

static Json *encode(const char *text)
{
  g_autoptr(Json) in = json_tokener_parse(text);
  g_autofree MascClaim *claims = g_new0(MascClaim, MASC_MAX_CLAIMS + 1);
  g_autofree uint8_t *data = g_malloc(MASC_MAX_LENGTH + 1);
  MascMessage msg = { .type = (MascType)json_object_get_int(get(in, "type")) };
  MascRefusal why;
  Json *list = get(in, "claims"), *out = json_object_new_object();

  if (msg.type == MASC_OPEN)
    msg.open = open_in(in);
  if (msg.type == MASC_UPDATE) {
    size_t n = MIN(json_object_array_length(list), MASC_MAX_CLAIMS + 1);
    for (size_t i = 0; i < n; i++)
      claims[i] = claim_in(json_object_array_get_idx(list, i));
    msg.update = (MascUpdate){ .claims = claims, .n_claims = n };
  }
  if (msg.type == MASC_NOTIFICATION)
    msg.notification = (MascNotification){
      .code = (uint8_t)json_object_get_int(get(in, "code")),
      .subcode = (uint8_t)json_object_get_int(get(in, "subcode")),
      .open = json_object_get_boolean(get(in, "open")),
      .data = data,
      .length = json_unhex(json_object_get_string(get(in, "data")), data, MASC_MAX_LENGTH + 1),
    };
  size_t length = masc_encode(&msg, buffer, sizeof buffer, &why);
  if (length == 0)
    put(out, "refused", json_object_new_string(masc_reason_name(why.reason)));
  else
    put(out, "hex", json_hex(buffer, length));
  return out;
}

static Json *beats(const char *text)
{
  g_autoptr(Json) in = json_tokener_parse(text);
  MascClaim a = claim_in(json_object_array_get_idx(in, 0));
  MascClaim b = claim_in(json_object_array_get_idx(in, 1));
  Json *out = json_object_new_object();
  put(out, "order", number(masc_claim_compare(&a, &b)));
  return out;
}

int main(void)
{
  static const JsonRequest requests[] = {
    { "decode", decode },
    { "encode", encode },
    { "beats", beats },
    { NULL, NULL },
  };
  return json_filter(requests);
}
