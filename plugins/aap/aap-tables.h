/* What AAP declares: its configuration group, events and metrics. */
#ifndef AAP_TABLES_H
#define AAP_TABLES_H

#include "aap-auth.h"
#include "aap-coordinator.h"
#include "aap-wire.h"
#include "aap-zone.h"
#include "core/conf.h"
#include "core/events.h"
#include "core/metrics.h"

G_BEGIN_DECLS

#define AAP_N_CONF_GROUPS 1
extern const MalConfGroup aap_conf_groups[AAP_N_CONF_GROUPS];

/* The machines' parameters as [aap] says them; payload_limit is left 0. */
AapParams aap_params_from(const MalConfSection *section);

/* Blocks of counters: each is followed by one for each value of its enumeration. */
enum {
  AAP_M_SENT = 0,
  AAP_M_RECEIVED = AAP_M_SENT + AAP_N_TYPES,
  AAP_M_DROPPED = AAP_M_RECEIVED + AAP_N_TYPES,
  AAP_M_AUTH = AAP_M_DROPPED + AAP_N_REASONS,
  AAP_M_NOTE = AAP_M_AUTH + AAP_AUTH_N_VERDICTS,
  AAP_M_CNOTE = AAP_M_NOTE + AAP_N_NOTES,
  AAP_M_OTHER_SCOPE = AAP_M_CNOTE + AAP_N_CNOTES,
  AAP_M_AMBIGUOUS,
  AAP_M_TRUNCATED,
  AAP_M_SKEWED,
  AAP_M_NOT_SENT,
  AAP_M_JOIN_FAILURES,
  AAP_M_INTERFACES_LOST,
  AAP_M_NOT_KEPT,
  AAP_M_WANTS,
  AAP_M_FAILED,
  AAP_M_SHORT,
  AAP_M_INTERFACES,
  AAP_M_PEERS,
  AAP_M_SCOPES,
  AAP_M_OWN,
  AAP_M_OWN_BLOCKS,
  AAP_M_POOL,
  AAP_M_FOREIGN,
  AAP_M_ENTRIES,
  AAP_N_METRICS,
};
extern const MalMetricDef aap_metrics[AAP_N_METRICS];

extern const MalEventDef aap_event_unauthenticated, aap_event_not_served, aap_event_serving,
    aap_event_interface_lost, aap_event_join_failed, aap_event_no_interface, aap_event_ignored,
    aap_event_not_authentic, aap_event_skew, aap_event_started, aap_event_owned,
    aap_event_given_back, aap_event_collision, aap_event_exhausted, aap_event_conflict,
    aap_event_defended, aap_event_record_full, aap_event_asa, aap_event_asa_invalidates,
    aap_event_asa_expired, aap_event_asa_refused, aap_event_wrong_kind, aap_event_leads,
    aap_event_stands_back, aap_event_inconsistent, aap_event_too_many_ranges, aap_event_adopted,
    aap_event_report, aap_event_not_kept, aap_event_space;
#define AAP_N_EVENTS 30
extern const MalEventDef *const aap_events[AAP_N_EVENTS];

G_END_DECLS
#endif
