/* What MASC declares: its configuration groups, events and metrics. */
#ifndef MASC_TABLES_H
#define MASC_TABLES_H

#include "core/conf.h"
#include "core/events.h"
#include "core/metrics.h"
#include "masc-session.h"
#include "masc-zone.h"

G_BEGIN_DECLS

#define MASC_N_CONF_GROUPS 2
extern const MalConfGroup masc_conf_groups[MASC_N_CONF_GROUPS];

/* What a zone or a session notes: each note has an event and a counter of the same name. */
typedef struct {
  const MalEventDef *event;
  const char *sentence;
} MascNews;
extern const MascNews masc_zone_news[MASC_N_NOTES], masc_session_news[MASC_N_SESSION_NOTES];

/* Blocks of counters: each is followed by one for each value of its enumeration. */
enum {
  MASC_M_NOTE = 0,
  MASC_M_SESSION_NOTE = MASC_M_NOTE + MASC_N_NOTES,
  MASC_M_SENT = MASC_M_SESSION_NOTE + MASC_N_SESSION_NOTES,        /* by MascType */
  MASC_M_RECEIVED = MASC_M_SENT + MASC_KEEPALIVE + 1,
  MASC_M_CLAIMS_SENT = MASC_M_RECEIVED + MASC_KEEPALIVE + 1,       /* by MascClaimType */
  MASC_M_CLAIMS_RECEIVED = MASC_M_CLAIMS_SENT + MASC_N_CLAIM_TYPES,
  MASC_M_ERRORS_SENT = MASC_M_CLAIMS_RECEIVED + MASC_N_CLAIM_TYPES, /* by MascErrorCode */
  MASC_M_ERRORS_RECEIVED = MASC_M_ERRORS_SENT + MASC_N_ERROR_CODES,
  MASC_M_UPS = MASC_M_ERRORS_RECEIVED + MASC_N_ERROR_CODES,
  MASC_M_DOWNS,
  MASC_M_STRANGERS,
  MASC_M_NO_ZONE,
  MASC_M_TOO_LARGE,
  MASC_M_NOT_KEPT,
  MASC_M_SPACE_REFUSED,
  MASC_M_ROUTES_REFUSED,
  MASC_M_DEMANDS,
  MASC_M_ARRIVALS,
  MASC_M_SESSIONS,
  MASC_M_ESTABLISHED,
  MASC_M_HELD,
  MASC_M_LOCAL,
  MASC_M_PREFIXES,
  MASC_M_PENDING,
  MASC_M_CACHED,
  MASC_M_WAITING,
  MASC_N_METRICS,
};
extern const MalMetricDef masc_metrics[MASC_N_METRICS];

extern const MalEventDef masc_event_session_up, masc_event_session_down, masc_event_stranger,
    masc_event_not_kept, masc_event_space, masc_event_route, masc_event_identity,
    masc_event_foreign_record, masc_event_listening, masc_event_listener, masc_event_security,
    masc_event_recovering, masc_event_unshared;
#define MASC_N_EVENTS (MASC_N_NOTES + MASC_N_SESSION_NOTES + 13)
extern const MalEventDef *const masc_events[MASC_N_EVENTS];

G_END_DECLS
#endif
