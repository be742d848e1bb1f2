/* What MADCAP declares: its config group, events and metrics. One place for server and client. */
#ifndef MADCAP_TABLES_H
#define MADCAP_TABLES_H

#include "core/conf.h"
#include "core/events.h"
#include "core/metrics.h"

G_BEGIN_DECLS

#define MADCAP_N_CONF_GROUPS 1
extern const MalConfGroup madcap_conf_groups[MADCAP_N_CONF_GROUPS];

/* ---- metrics: indices into the set that the host gives --------------------------------------- */

typedef enum {
  /* server: messages in */
  MADCAP_M_RX_DISCOVER,
  MADCAP_M_RX_REQUEST,
  MADCAP_M_RX_RENEW,
  MADCAP_M_RX_RELEASE,
  MADCAP_M_RX_GETINFO,
  /* server: messages out */
  MADCAP_M_TX_OFFER,
  MADCAP_M_TX_ACK,
  MADCAP_M_TX_NAK,
  MADCAP_M_TX_RETRY_LATER,
  /* server: errors sent, by code */
  MADCAP_M_ERROR_NOT_COMPLETED,
  MADCAP_M_ERROR_INVALID,
  MADCAP_M_ERROR_CLOCK_SKEW,
  MADCAP_M_ERROR_UNKNOWN_LEASE,
  MADCAP_M_ERROR_FEATURE,
  /* server: not answered */
  MADCAP_M_IGNORED_MALFORMED,
  MADCAP_M_IGNORED_TRUNCATED,
  MADCAP_M_IGNORED_FROM_SERVER,
  MADCAP_M_IGNORED_OTHER_SERVER,
  MADCAP_M_IGNORED_ELSEWHERE,
  MADCAP_M_IGNORED_UNSATISFIABLE,
  MADCAP_M_IGNORED_RATE,
  MADCAP_M_IGNORED_OVERLOAD,
  MADCAP_M_SHED,
  MADCAP_M_OVERLOADED,
  /* server: response cache */
  MADCAP_M_REPEATED,
  MADCAP_M_REPEATED_PENDING,
  MADCAP_M_EVICTED,
  MADCAP_M_CACHE_ENTRIES,
  MADCAP_M_CACHE_OCTETS,
  MADCAP_M_PENDING,
  /* server: interfaces */
  MADCAP_M_INTERFACES,
  MADCAP_M_INTERFACES_LOST,
  MADCAP_M_JOIN_FAILURES,
  /* client */
  MADCAP_M_CLIENT_SENT,
  MADCAP_M_CLIENT_REPEATED,
  MADCAP_M_CLIENT_RECEIVED,
  MADCAP_M_CLIENT_STRAY,
  MADCAP_M_CLIENT_UNFIT,
  MADCAP_M_CLIENT_LEASED,
  MADCAP_M_CLIENT_REFUSED,
  MADCAP_M_CLIENT_RENEWED,
  MADCAP_M_CLIENT_RENEWALS_FAILED,
  MADCAP_M_CLIENT_RELEASED,
  MADCAP_M_CLIENT_LOST,
  MADCAP_M_CLIENT_LEASES,
  MADCAP_M_CLIENT_ERRANDS,
  MADCAP_N_METRICS,
} MadcapMetric;

extern const MalMetricDef madcap_metrics[MADCAP_N_METRICS];

/* ---- events ---------------------------------------------------------------------------------- */

extern const MalEventDef madcap_event_ignored;        /* not MADCAP, or not for us */
extern const MalEventDef madcap_event_refused;        /* a NAK was sent */
extern const MalEventDef madcap_event_skew;           /* a client's clock is off */
extern const MalEventDef madcap_event_rate;           /* a source exceeds rate-limit */
extern const MalEventDef madcap_event_overload;       /* too many unfinished transactions */
extern const MalEventDef madcap_event_overloaded;     /* more comes than can be answered */
extern const MalEventDef madcap_event_relieved;       /* no longer */
extern const MalEventDef madcap_event_waiting;        /* a request waits for space */
extern const MalEventDef madcap_event_listening;      /* an interface is served */
extern const MalEventDef madcap_event_interface_lost; /* a served interface went away */
extern const MalEventDef madcap_event_join_failed;
extern const MalEventDef madcap_event_no_interface;
extern const MalEventDef madcap_event_no_local_group;
extern const MalEventDef madcap_event_leased;         /* client: got a lease */
extern const MalEventDef madcap_event_renewed;
extern const MalEventDef madcap_event_released;
extern const MalEventDef madcap_event_renewal_failed;
extern const MalEventDef madcap_event_lease_lost;
extern const MalEventDef madcap_event_answer_ignored;

#define MADCAP_N_EVENTS 19
extern const MalEventDef *const madcap_events[MADCAP_N_EVENTS];

G_END_DECLS
#endif
