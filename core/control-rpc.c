#include "control-socket.h"

#include <string.h>

enum { INVALID_REQUEST = -32600, INVALID_PARAMS = -32602 };

static json_object *envelope(void)
{
  json_object *o = json_object_new_object();
  json_object_object_add(o, "jsonrpc", json_object_new_string("2.0"));
  return o;
}

json_object *mal_rpc_result(json_object *id, json_object *result)
{
  json_object *o = envelope();
  json_object_object_add(o, "result", json_object_get(result));
  json_object_object_add(o, "id", json_object_get(id));
  return o;
}

json_object *mal_rpc_error(json_object *id, int code, const char *message, const char *kind)
{
  json_object *o = envelope(), *e = json_object_new_object();
  json_object_object_add(e, "code", json_object_new_int(code));
  /* A message may quote the request, cut in the middle of a character. */
  g_autofree char *valid = g_utf8_make_valid(message, -1);
  json_object_object_add(e, "message", json_object_new_string(valid));
  if (kind) {
    json_object *data = json_object_new_object();
    json_object_object_add(data, "kind", json_object_new_string(kind));
    json_object_object_add(e, "data", data);
  }
  json_object_object_add(o, "error", e);
  json_object_object_add(o, "id", json_object_get(id));
  return o;
}

/* An error of the call itself has a code of JSON-RPC's, and no kind. */
json_object *mal_rpc_failure(json_object *id, const GError *error)
{
  const char *kind = NULL;
  if (error->domain != MAL_CALL_ERROR)
    kind = mal_error_kind(error->domain == MAL_ERROR ? error->code : MAL_ERROR_INTERNAL);
  return mal_rpc_error(id, mal_json_rpc_code(error), error->message, kind);
}

json_object *mal_rpc_notification(const char *method, json_object *params)
{
  json_object *o = envelope();
  json_object_object_add(o, "method", json_object_new_string(method));
  json_object_object_add(o, "params", params);
  return o;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_plain_text(json_object *value)
{
  return json_object_is_type(value, json_type_string) &&
         strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value);
}

static bool refuse(json_object **refusal, json_object *id, int code, const char *why)
{
  *refusal = mal_rpc_error(id, code, why, NULL);
  return false;
}

bool mal_rpc_read(json_object *message, MalRpcRequest *r, json_object **refusal)
{
  json_object *version = NULL, *method = NULL, *progress = NULL;
  *r = (MalRpcRequest){ 0 };
  *refusal = NULL;
  if (!json_object_is_type(message, json_type_object))
    return refuse(refusal, NULL, INVALID_REQUEST,
                  "a request must be a JSON object (batches are not supported)");
  r->has_id = json_object_object_get_ex(message, "id", &r->id);
  if (r->id && !json_object_is_type(r->id, json_type_string) &&
      !json_object_is_type(r->id, json_type_int))
    return refuse(refusal, NULL, INVALID_REQUEST, "\"id\" must be a string, an integer or null");
  if (!json_object_object_get_ex(message, "jsonrpc", &version) || !is_plain_text(version) ||
      strcmp(json_object_get_string(version), "2.0") != 0)
    return refuse(refusal, r->id, INVALID_REQUEST, "\"jsonrpc\" must be \"2.0\"");
  if (!json_object_object_get_ex(message, "method", &method) || !is_plain_text(method))
    return refuse(refusal, r->id, INVALID_REQUEST, "\"method\" must be a string");
  json_object_object_get_ex(message, "params", &r->params);
  if (r->params && !json_object_is_type(r->params, json_type_object)) {
    if (r->has_id)
      refuse(refusal, r->id, INVALID_PARAMS, "\"params\" must be an object with named parameters");
    return false;
  }
  r->method = json_object_get_string(method);
  r->progress = json_object_object_get_ex(message, "progress", &progress) &&
                json_object_get_boolean(progress);
  return true;
}
