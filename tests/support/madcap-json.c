/* The MADCAP codec as a filter, for tests in other languages. One request and one answer a line:

     decode ANSWERS MULTICAST HEX   {"outcome": ..., "fault": ..., "options": {...}, "check": ...}
     encode JSON                    {"hex": "..."} or {"fault": {...}}

   ANSWERS is a message type, MULTICAST 0 or 1 (the context of table 5). Options go by their codes;
   octets are hex, addresses text. */
#include "plugins/madcap/madcap-wire.h"
#include "tests/support/json-filter.h"

#include <stdio.h>
#include <string.h>

static uint8_t buffer[MADCAP_MAX_LENGTH];

/* ---- to JSON --------------------------------------------------------------------------------- */

static Json *number(uint64_t value)
{
  return json_object_new_int64((int64_t)value);
}

static Json *hex(MadcapView view)
{
  return json_hex(view.data, view.length);
}

static Json *address(MalAddress a)
{
  char text[MAL_ADDRESS_STRLEN];
  return a.family == MAL_FAMILY_NONE ? NULL : json_object_new_string(mal_address_format(a, text));
}

static Json *list(size_t n, Json *items[])
{
  Json *array = json_object_new_array();
  for (size_t i = 0; i < n; i++)
    json_object_array_add(array, items[i]);
  return array;
}

static Json *codes(MadcapView view)
{
  Json *array = json_object_new_array();
  for (size_t i = 0; i < madcap_codes_count(view); i++)
    json_object_array_add(array, number(madcap_codes_at(view, i)));
  return array;
}

static Json *scope_names(const MadcapScopeView *scope)
{
  Json *array = json_object_new_array();
  MadcapNameIter iter = madcap_names(scope);
  MadcapNameView name;
  while (madcap_names_next(&iter, &name)) {
    Json *text = json_object_new_string_len((const char *)name.name.data, (int)name.name.length);
    Json *items[] = { hex(name.language), text, json_object_new_boolean(name.is_default) };
    json_object_array_add(array, list(3, items));
  }
  return array;
}

static Json *scopes(const MadcapMessage *msg)
{
  Json *array = json_object_new_array();
  MadcapScopeIter iter = madcap_scopes(msg);
  MadcapScopeView scope;
  while (madcap_scopes_next(&iter, &scope)) {
    Json *items[] = { address(scope.first), address(scope.last), number(scope.ttl),
                      scope_names(&scope) };
    json_object_array_add(array, list(4, items));
  }
  return array;
}

static Json *ranges(const MadcapMessage *msg)
{
  Json *array = json_object_new_array();
  MadcapRangeIter iter = madcap_ranges(msg);
  MalBlock block;
  while (madcap_ranges_next(&iter, &block)) {
    Json *items[] = { address(block.first), number(block.count) };
    json_object_array_add(array, list(2, items));
  }
  return array;
}

static Json *nesting(const MadcapMessage *msg)
{
  Json *rows = json_object_new_array();
  for (size_t x = 0; x < msg->nesting_count; x++) {
    Json *row = json_object_new_array();
    for (size_t y = 0; y < msg->nesting_count; y++)
      json_object_array_add(row, json_object_new_boolean(madcap_nests(msg, x, y)));
    json_object_array_add(rows, row);
  }
  Json *items[] = { rows, json_object_new_boolean(msg->nesting_ignored) };
  return list(2, items);
}

static Json *option_value(const MadcapMessage *msg, MadcapOption option)
{
  switch (option) {
  case MADCAP_OPTION_LEASE_TIME:
    return number(msg->lease_time);
  case MADCAP_OPTION_SERVER_ID:
    return list(2, (Json *[]){ number(msg->server_family), address(msg->server_id) });
  case MADCAP_OPTION_LEASE_ID:
    return hex(msg->lease_id);
  case MADCAP_OPTION_SCOPE:
    return address(msg->scope);
  case MADCAP_OPTION_REQUEST_LIST:
    return codes(msg->request_list);
  case MADCAP_OPTION_START_TIME:
    return number(msg->start_time);
  case MADCAP_OPTION_NUMBER:
    return list(2, (Json *[]){ number(msg->min_addresses), number(msg->desired_addresses) });
  case MADCAP_OPTION_LANGUAGE:
    return hex(msg->language);
  case MADCAP_OPTION_SCOPE_LIST:
    return scopes(msg);
  case MADCAP_OPTION_RANGES:
    return ranges(msg);
  case MADCAP_OPTION_CURRENT_TIME:
    return number(msg->current_time);
  case MADCAP_OPTION_FEATURES:
    return list(3, (Json *[]){ codes(msg->supported), codes(msg->requested),
                               codes(msg->required) });
  case MADCAP_OPTION_RETRY_TIME:
    return number(msg->retry_time);
  case MADCAP_OPTION_MIN_LEASE_TIME:
    return number(msg->min_lease_time);
  case MADCAP_OPTION_MAX_START_TIME:
    return number(msg->max_start_time);
  case MADCAP_OPTION_ERROR:
    return list(2, (Json *[]){ number(msg->error_code), hex(msg->error_data) });
  case MADCAP_OPTION_NESTING:
    return nesting(msg);
  default:
    return NULL;
  }
}

static Json *fault_value(const MadcapFault *fault)
{
  Json *object = json_object_new_object();
  json_object_object_add(object, "reason",
                         json_object_new_string(madcap_reason_name(fault->reason)));
  json_object_object_add(object, "option", number(fault->option));
  json_object_object_add(object, "offset", number(fault->offset));
  json_object_object_add(object, "item", number(fault->item));
  return object;
}

static void add_message(Json *out, const MadcapMessage *msg, MadcapContext context)
{
  MadcapFault fault;
  Json *options = json_object_new_object();
  json_object_object_add(out, "type", number(msg->type));
  json_object_object_add(out, "family", number(msg->raw_family));
  json_object_object_add(out, "xid", number(msg->xid));
  if (msg->lease_id.length > 0)
    json_object_object_add(out, "lease_id", hex(msg->lease_id));
  for (unsigned option = 1; option < MADCAP_N_OPTIONS; option++)
    if (madcap_has(msg, (MadcapOption)option)) {
      char key[8];
      snprintf(key, sizeof key, "%u", option);
      json_object_object_add(options, key, option_value(msg, (MadcapOption)option));
    }
  json_object_object_add(out, "options", options);
  bool good = madcap_check(msg, context, &fault);
  json_object_object_add(out, "check", good ? NULL : fault_value(&fault));
}

/* ---- from JSON ------------------------------------------------------------------------------- */

static size_t octets_of(Json *value, uint8_t out[UINT16_MAX])
{
  return json_unhex(json_object_get_string(value), out, UINT16_MAX);
}

static uint32_t u32_of(Json *value)
{
  return (uint32_t)json_object_get_int64(value);
}

static Json *at(Json *array, size_t index)
{
  return json_object_array_get_idx(array, index);
}

static MalAddress address_of(Json *value)
{
  MalAddress a = mal_address_none();
  if (value != NULL)
    mal_address_parse(json_object_get_string(value), &a, NULL);
  return a;
}

static GArray *codes_of(Json *array)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(uint16_t));
  for (size_t i = 0; i < json_object_array_length(array); i++) {
    uint16_t code = (uint16_t)u32_of(at(array, i));
    g_array_append_val(out, code);
  }
  return out;
}

static const uint16_t *code_data(const GArray *array)
{
  return (const uint16_t *)(const void *)array->data;
}

static void put_features(MadcapEncoder *e, Json *value)
{
  g_autoptr(GArray) supported = codes_of(at(value, 0));
  g_autoptr(GArray) requested = codes_of(at(value, 1));
  g_autoptr(GArray) required = codes_of(at(value, 2));
  madcap_put_features(e, code_data(supported), supported->len, code_data(requested),
                      requested->len, code_data(required), required->len);
}

static void put_ranges(MadcapEncoder *e, Json *value)
{
  size_t count = json_object_array_length(value);
  g_autofree MalBlock *blocks = g_new0(MalBlock, count + 1);
  for (size_t i = 0; i < count; i++)
    blocks[i] = (MalBlock){ address_of(at(at(value, i), 0)), u32_of(at(at(value, i), 1)) };
  madcap_put_ranges(e, blocks, count);
}

static MadcapName *names_of(Json *value)
{
  size_t count = json_object_array_length(value);
  MadcapName *names = g_new0(MadcapName, count + 1);
  for (size_t i = 0; i < count; i++) {
    const char *language = json_object_get_string(at(at(value, i), 0));
    size_t room = strlen(language) / 2;
    char *tag = g_malloc0(room + 1);
    json_unhex(language, (uint8_t *)tag, room);
    names[i] = (MadcapName){ .language = tag, .name = json_object_get_string(at(at(value, i), 1)),
                             .is_default = json_object_get_boolean(at(at(value, i), 2)) };
  }
  return names;
}

static void put_scope_list(MadcapEncoder *e, Json *value)
{
  size_t count = json_object_array_length(value);
  g_autofree MadcapScope *list_of = g_new0(MadcapScope, count + 1);
  for (size_t i = 0; i < count; i++) {
    Json *scope = at(value, i);
    list_of[i] = (MadcapScope){
      .first = address_of(at(scope, 0)), .last = address_of(at(scope, 1)),
      .ttl = (uint8_t)u32_of(at(scope, 2)), .names = names_of(at(scope, 3)),
      .n_names = json_object_array_length(at(scope, 3)),
    };
  }
  madcap_put_scope_list(e, list_of, count);
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < list_of[i].n_names; k++)
      g_free((char *)list_of[i].names[k].language);
    g_free((MadcapName *)list_of[i].names);
  }
}

static bool nests_in_json(size_t x, size_t y, void *data)
{
  return json_object_get_boolean(at(at(data, x), y));
}

static void put_option(MadcapEncoder *e, unsigned option, Json *value)
{
  static uint8_t octets[UINT16_MAX];
  g_autoptr(GArray) wanted = NULL;
  switch (option) {
  case MADCAP_OPTION_LEASE_TIME: madcap_put_lease_time(e, u32_of(value)); break;
  case MADCAP_OPTION_SERVER_ID: madcap_put_server_id(e, address_of(at(value, 1))); break;
  case MADCAP_OPTION_LEASE_ID: madcap_put_lease_id(e, octets, octets_of(value, octets)); break;
  case MADCAP_OPTION_SCOPE: madcap_put_scope(e, address_of(value)); break;
  case MADCAP_OPTION_REQUEST_LIST:
    wanted = codes_of(value);
    madcap_put_request_list(e, code_data(wanted), wanted->len);
    break;
  case MADCAP_OPTION_START_TIME: madcap_put_start_time(e, u32_of(value)); break;
  case MADCAP_OPTION_NUMBER:
    madcap_put_number(e, (uint16_t)u32_of(at(value, 0)), (uint16_t)u32_of(at(value, 1)));
    break;
  case MADCAP_OPTION_LANGUAGE: madcap_put_language(e, octets, octets_of(value, octets)); break;
  case MADCAP_OPTION_SCOPE_LIST: put_scope_list(e, value); break;
  case MADCAP_OPTION_RANGES: put_ranges(e, value); break;
  case MADCAP_OPTION_CURRENT_TIME: madcap_put_current_time(e, u32_of(value)); break;
  case MADCAP_OPTION_FEATURES: put_features(e, value); break;
  case MADCAP_OPTION_RETRY_TIME: madcap_put_retry_time(e, u32_of(value)); break;
  case MADCAP_OPTION_MIN_LEASE_TIME: madcap_put_min_lease_time(e, u32_of(value)); break;
  case MADCAP_OPTION_MAX_START_TIME: madcap_put_max_start_time(e, u32_of(value)); break;
  case MADCAP_OPTION_ERROR:
    madcap_put_error(e, (uint16_t)u32_of(at(value, 0)), octets, octets_of(at(value, 1), octets));
    break;
  case MADCAP_OPTION_NESTING:
    madcap_put_nesting(e, json_object_array_length(at(value, 0)), nests_in_json, at(value, 0));
    break;
  default: madcap_put_raw(e, (uint16_t)option, octets, octets_of(value, octets)); break;
  }
}

static Json *field(Json *object, const char *name)
{
  Json *value = NULL;
  json_object_object_get_ex(object, name, &value);
  return value;
}

/* ---- requests -------------------------------------------------------------------------------- */

static Json *encode(const char *text)
{
  Json *out = json_object_new_object();
  g_autoptr(Json) in = json_tokener_parse(text);
  MadcapContext context = {
    .answers = (MadcapType)u32_of(field(in, "answers")),
    .multicast = json_object_get_boolean(field(in, "multicast")),
  };
  MadcapEncoder e = madcap_encoder(buffer, sizeof buffer, (MadcapType)u32_of(field(in, "type")),
                                   context, (MalFamily)u32_of(field(in, "family")),
                                   u32_of(field(in, "xid")));
  json_object_object_foreach(field(in, "options"), key, value)
    put_option(&e, (unsigned)g_ascii_strtoull(key, NULL, 10), value);
  size_t length = madcap_finish(&e);
  if (length == 0)
    json_object_object_add(out, "fault", fault_value(&e.fault));
  else
    json_object_object_add(out, "hex", hex((MadcapView){ buffer, length }));
  return out;
}

static Json *decode(const char *text)
{
  static const char *const outcomes[] = { [MADCAP_OK] = "ok", [MADCAP_IGNORE] = "ignore",
                                          [MADCAP_BAD] = "bad" };
  char *end;
  MadcapContext context;
  MadcapMessage msg;
  MadcapFault fault;
  context.answers = (MadcapType)g_ascii_strtoull(text, &end, 10);
  context.multicast = g_ascii_strtoull(end, &end, 10) != 0;
  g_autofree uint8_t *data = g_malloc(strlen(end) + 1);
  size_t length = json_unhex(g_strchug(end), data, strlen(end));

  MadcapOutcome outcome = madcap_decode(data, length, &msg, &fault);
  Json *out = json_object_new_object();
  json_object_object_add(out, "outcome", json_object_new_string(outcomes[outcome]));
  if (outcome != MADCAP_OK)
    json_object_object_add(out, "fault", fault_value(&fault));
  if (outcome != MADCAP_IGNORE)
    add_message(out, &msg, context);
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
