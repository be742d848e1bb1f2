/* One event as a line of text or as JSON. Not installed. */
#ifndef MAL_EVENTS_LINE_H
#define MAL_EVENTS_LINE_H

#include <json-c/json.h>

#include "events.h"

typedef struct {
  const MalEventDef *def;
  MalTime at;
  const MalField *fields;
  size_t n_fields;
  const char *message;
} MalEventView;

/* {"time", "level", "event", "fault", "message", "fields": {...}}: what the JSON log and
   events.subscribe show. Invalid UTF-8 is replaced. The caller puts it. */
struct json_object *mal_event_to_json(const MalEventView *event);
/* A finished line without newline; what peers sent can't end it or smuggle control characters into
   it. The caller frees. */
char *mal_event_to_line(const MalEventView *event, MalLogFormat format);

#endif
