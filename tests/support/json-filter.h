/* What the codecs as filters share (aap-json, madcap-json, masc-json): a request a line, an answer
   a line. */
#ifndef JSON_FILTER_H
#define JSON_FILTER_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct json_object Json;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Json, json_object_put)

typedef struct {
  const char *word;             /* that a line begins with */
  Json *(*answer)(const char *rest);
} JsonRequest;

/* All that a program does: its exit status. REQUESTS end with { NULL, NULL }. */
int json_filter(const JsonRequest *requests);

Json *json_hex(const uint8_t *data, size_t length);
/* As many octets as TEXT says, at most MOST. */
size_t json_unhex(const char *text, uint8_t *out, size_t most);

#endif
