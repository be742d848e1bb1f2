/* Events: what happened, by whose fault, for people (log), for programs (JSON log,
   events.subscribe). Each kind is declared once, in a table: name, fault, level, and a paragraph
   for the operator. Peers can't flood the log: each kind has a token bucket; what was suppressed is
   counted and said. */
#ifndef MAL_EVENTS_H
#define MAL_EVENTS_H

#include "address.h"
#include "runtime.h"

G_BEGIN_DECLS

typedef enum { MAL_LOG_ERROR, MAL_LOG_WARNING, MAL_LOG_INFO, MAL_LOG_DEBUG } MalLogLevel;
typedef enum {
  MAL_FAULT_NOBODY,           /* ordinary news */
  MAL_FAULT_PEER,             /* somebody on the network: rate-limited */
  MAL_FAULT_OPERATOR,         /* configuration, command, environment */
  MAL_FAULT_OURS,             /* should not happen */
} MalFault;

typedef struct {
  const char *name;           /* "lease.granted", "madcap.malformed": noun.verb, stable */
  MalFault fault;
  MalLogLevel level;
  const char *help;           /* a paragraph: what it means, what to do */
} MalEventDef;

typedef enum {
  MAL_FIELD_STRING,
  MAL_FIELD_INTEGER,
  MAL_FIELD_ADDRESS,
  MAL_FIELD_TIME,
  MAL_FIELD_BYTES
} MalFieldType;
typedef struct {
  const char *name;
  MalFieldType type;
  const char *string;
  int64_t integer;
  MalAddress address;
  const uint8_t *bytes;
  size_t length;
} MalField;

#define MAL_F_STRING(n, v) { .name = (n), .type = MAL_FIELD_STRING, .string = (v) }
#define MAL_F_INT(n, v) { .name = (n), .type = MAL_FIELD_INTEGER, .integer = (v) }
#define MAL_F_TIME(n, v) { .name = (n), .type = MAL_FIELD_TIME, .integer = (v) }      /* MalTime */
#define MAL_F_ADDRESS(n, v) { .name = (n), .type = MAL_FIELD_ADDRESS, .address = (v) }
/* shown as hex */
#define MAL_F_BYTES(n, v, l) { .name = (n), .type = MAL_FIELD_BYTES, .bytes = (v), .length = (l) }

typedef struct MalEvents MalEvents;

/* FORMAT makes the sentence for people; FIELDS the machine's view. Nothing is formatted for an
   event that neither the log level nor a subscriber wants. */
MAL_API void mal_event(MalEvents *events, const MalEventDef *def, const MalField *fields,
                       size_t n_fields, const char *format, ...) G_GNUC_PRINTF(5, 6);
#define MAL_EVENT(ev, def, fields, ...)                                                            \
  mal_event((ev), (def), (fields), G_N_ELEMENTS(fields), __VA_ARGS__)
/* True where emitting DEF would reach anybody: lets a hot path skip preparing fields. */
MAL_API bool mal_event_wanted(const MalEvents *events, const MalEventDef *def);

/* ---- the core's side ------------------------------------------------------------------------- */

typedef enum { MAL_LOG_TEXT, MAL_LOG_JSON } MalLogFormat;
typedef void (*MalEventFunc)(const MalEventDef *def, MalTime at, const MalField *fields,
                             size_t n_fields, const char *message, void *data);
/* One finished line without its newline. */
typedef void (*MalLogWrite)(MalLogLevel level, const char *line, void *data);

MAL_API MalEvents *mal_events_new(MalRuntime *rt, MalLogWrite write, void *data);
MAL_API void mal_events_free(MalEvents *events);
MAL_API void mal_events_set_log(MalEvents *events, MalLogLevel level, MalLogFormat format);
MAL_API void mal_events_register(MalEvents *events, const MalEventDef *const *defs, size_t n);
MAL_API unsigned mal_events_subscribe(MalEvents *events, MalEventFunc func, void *data);
MAL_API void mal_events_unsubscribe(MalEvents *events, unsigned id);
/* All registered kinds, for rpc.discover and the manual: array of const MalEventDef *. */
MAL_API GPtrArray *mal_events_known(const MalEvents *events);
MAL_API const char *mal_log_level_name(MalLogLevel level);
MAL_API const char *mal_fault_name(MalFault fault);

/* RFC 3339 in UTC, "2030-01-01T00:00:00Z"; "never" for MAL_FOREVER; '@' and seconds for what has no
   year of four digits. mal_time_parse reads it all back. */
#define MAL_TIME_STRLEN 40
MAL_API const char *mal_time_format(MalTime t, char out[MAL_TIME_STRLEN]);
/* RFC 3339 (any offset; fractions of a second are dropped), "never", plain seconds since 1970 with
   a leading '@', or "now": that gives MAL_BEGINNING, since there is no clock here; the caller puts
   its own in. */
MAL_API bool mal_time_parse(const char *text, MalTime *out, GError **error);
/* "90", "15m", "2h", "1d12h", "4w" to seconds, and back in the shortest exact form (always with a
   unit). */
MAL_API bool mal_duration_parse(const char *text, int64_t *out, GError **error);
MAL_API char *mal_duration_format(int64_t seconds);

G_END_DECLS
#endif
