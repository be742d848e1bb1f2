#include "aap-tables.h"

/* ---- [aap] ----------------------------------------------------------------------------------- */

#define SECONDS(name, value, text)                                                                 \
  { .key = name, .type = MAL_CONF_DURATION, .min = 1, .max = 86400, .fallback = value,             \
    .help = text }

static const MalConfKey keys[] = {
  { .key = "interfaces", .type = MAL_CONF_STRING, .list = true,
    .help = "Interfaces to speak AAP on. Default: every multicast-capable one that is up. One that "
            "is not there (yet) is waited for." },
  { .key = "port", .type = MAL_CONF_INTEGER, .min = 1, .max = 65535, .fallback = "2878",
    .restart = true, .help = "UDP port, the same on all servers of the domain (section 5)." },
  { .key = "relative-offset", .type = MAL_CONF_INTEGER, .min = 0, .max = 255, .fallback = "7",
    .restart = true,
    .help = "The IPv4 AAP group of a scope is its last address minus this (section 2.1)." },
  { .key = "group6", .type = MAL_CONF_ADDRESS, .restart = true,
    .help = "The IPv6 AAP group, in any scope: its scope value is replaced by that of each IPv6 "
            "scope. None was ever assigned; without one, IPv6 scopes are not served." },
  { .key = "allocation-scope", .type = MAL_CONF_STRING, .list = true, .restart = true,
    .help = "The Allocation Scope, one for each family at most: the scope that is the domain, in "
            "whose AAP group divisible scopes are coordinated (section 2.1). Default: the scope "
            "that is 239.251.0.0/16, and an IPv6 one with scope value 6. Its boundary must be the "
            "edge of the domain; every divisible scope in use there must contain it, and every "
            "other scope must lie inside it or be the same. That is for the network to keep: it "
            "isn't checked." },
  { .key = "ttl", .type = MAL_CONF_INTEGER, .min = 1, .max = 255, .fallback = "255",
    .help = "TTL (hop limit) of what is sent. The scope's boundary keeps it inside." },
  SECONDS("startup-wait", "150",
          "STARTUP-WAIT: how long (times 1 to 1.3) is only listened after the start. All servers "
          "of a domain should agree in this and in the other times (Appendix B)."),
  SECONDS("announce-wait", "10", "ANNOUNCE-WAIT: how long others may object to a claim."),
  SECONDS("resend-wait", "1", "RESEND-WAIT: the first interval between repetitions of a message."),
  SECONDS("repeat-interval", "30",
          "REPEAT-INTERVAL: own allocations are announced again so often."),
  SECONDS("asa-interval", "30",
          "ASA-INTERVAL: a prefix coordinator announces the available space so often."),
  SECONDS("asrp-interval", "30",
          "ASRP-INTERVAL: some server of the domain reports the use of the space so often."),
  { .key = "asa-horizon", .type = MAL_CONF_DURATION, .min = 2, .max = 86400,
    .help = "How long what a prefix coordinator announces counts. Default: five times "
            "asa-interval." },
  { .key = "preallocate", .type = MAL_CONF_INTEGER, .min = 0, .max = 1 << 20, .fallback = "256",
    .help = "So many addresses are preallocated (claimed beforehand) at least in each scope, so "
            "that most clients need not wait; more where the demand is greater, fewer as the scope "
            "fills. 0: none." },
  { .key = "partition-cover", .type = MAL_CONF_DURATION, .min = 1, .max = 604800, .fallback = "1h",
    .help = "Preallocated is what was needed in this time lately: so long a server cut off from "
            "the others goes on without claiming anything." },
  { .key = "block", .type = MAL_CONF_INTEGER, .min = 1, .max = 65536, .fallback = "16",
    .help = "Least number of addresses that become owned at once." },
  { .key = "own-lifetime", .type = MAL_CONF_DURATION, .min = 10, .max = INT32_MAX,
    .fallback = "1d",
    .help = "For how long addresses become owned; they are extended as long as they are in use." },
  { .key = "reuse-guard", .type = MAL_CONF_DURATION, .min = 0, .max = 86400, .fallback = "300",
    .help = "An address whose allocation ended is not taken again for so long." },
  { .key = "delete-grace", .type = MAL_CONF_DURATION, .min = 1, .max = 86400, .fallback = "180",
    .help = "What is given back is announced with an end so far ahead, for others whose clocks "
            "differ." },
  { .key = "claim-attempts", .type = MAL_CONF_INTEGER, .min = 1, .max = 1000, .fallback = "16",
    .help = "Collisions in a row after which a claim is given up." },
  { .key = "conflict-detection", .type = MAL_CONF_CHOICE, .choices = "tolerant|literal",
    .fallback = "tolerant",
    .help = "tolerant: that somebody announces an own address with an end of ours is a defence of "
            "it (section 3.2.2), not a conflict. literal: whoever announces one contends for it." },
  { .key = "on-inconsistent", .type = MAL_CONF_CHOICE, .choices = "stop|continue",
    .fallback = "stop",
    .help = "Prefix coordinator: what to do about another that announces other ranges (section "
            "4.2.1.1)." },
  { .key = "skew-log", .type = MAL_CONF_INTEGER, .min = 0, .max = INT32_MAX, .fallback = "60",
    .help = "A sender whose clock differs by more seconds is told to the operator. 0: none." },
  { .key = "skew-drop", .type = MAL_CONF_INTEGER, .min = 0, .max = INT32_MAX, .fallback = "0",
    .help = "Messages of a sender whose clock differs by more seconds are dropped. 0: none; times "
            "are corrected for the difference anyway (section 5.3.1)." },
  { .key = "report", .type = MAL_CONF_BOOL, .fallback = "yes",
    .help = "Report the use of large scopes (ASRP, section 3.2.10.3)." },
  { .key = "max-record-entries", .type = MAL_CONF_INTEGER, .min = 100, .max = 10000000,
    .fallback = "100000",
    .help = "So many allocations of others are remembered for each scope at most." },
  { .key = "key-file", .type = MAL_CONF_PATH,
    .help = "Keys that authenticate messages (doc/aap-authentication.md). The file must be writ"
            "able by its owner alone and not readable by everybody. Without it messages are not "
            "authenticated: whoever can send to the group can take or block addresses." },
};

const MalConfGroup aap_conf_groups[AAP_N_CONF_GROUPS] = {
  { .group = "aap", .keys = keys, .n_keys = G_N_ELEMENTS(keys),
    .help = "AAP (draft-ietf-malloc-aap-04): with role maas, servers of a domain share out the "
            "available addresses among themselves; with role prefix-coordinator, what is available "
            "of divisible scopes is announced to them." },
};

static int64_t us(const MalConfSection *s, const char *key)
{
  return mal_conf_integer(s, key) * AAP_US;
}

AapParams aap_params_from(const MalConfSection *s)
{
  int64_t repeat = us(s, "repeat-interval");
  return (AapParams){
    .startup_wait = us(s, "startup-wait"),
    .announce_wait = us(s, "announce-wait"),
    .resend_wait = us(s, "resend-wait"),
    .repeat_interval = repeat,
    .asa_interval = us(s, "asa-interval"),
    .asrp_interval = us(s, "asrp-interval"),
    .end_tolerance_s = 10,
    .asa_horizon_s = mal_conf_given(s, "asa-horizon") ? mal_conf_integer(s, "asa-horizon")
                                                      : 5 * mal_conf_integer(s, "asa-interval"),
    .asa_max_horizon_s = 86400,
    .delete_grace_s = mal_conf_integer(s, "delete-grace"),
    .reuse_guard_s = mal_conf_integer(s, "reuse-guard"),
    .partition_cover_s = mal_conf_integer(s, "partition-cover"),
    .own_lifetime_s = mal_conf_integer(s, "own-lifetime"),
    .claim_memory = us(s, "announce-wait"),
    .prealloc_recent = 3 * repeat,
    .echo_window = 3 * repeat,
    .claim_attempts = (unsigned)mal_conf_integer(s, "claim-attempts"),
    .preallocate = (uint32_t)mal_conf_integer(s, "preallocate"),
    .block = (uint32_t)mal_conf_integer(s, "block"),
    .max_entries = (size_t)mal_conf_integer(s, "max-record-entries"),
    .literal_conflicts = g_strcmp0(mal_conf_string(s, "conflict-detection"), "literal") == 0,
    .report = mal_conf_bool(s, "report"),
    .go_on_if_inconsistent = g_strcmp0(mal_conf_string(s, "on-inconsistent"), "continue") == 0,
  };
}

/* ---- metrics --------------------------------------------------------------------------------- */

#define COUNTER(index, text, about) [index] = { .name = text, .kind = MAL_COUNTER, .help = about }
#define GAUGE(index, text, about) [index] = { .name = text, .kind = MAL_GAUGE, .help = about }
#define TYPE(type, text)                                                                           \
  COUNTER(AAP_M_SENT + (type), text "-sent", "messages of this type sent, on all interfaces"),     \
      COUNTER(AAP_M_RECEIVED + (type), text "-received", "messages received of this type")
#define DROP(reason, text)                                                                         \
  COUNTER(AAP_M_DROPPED + (reason), "dropped-" text, "messages dropped: " text)
#define AUTH(verdict, text) COUNTER(AAP_M_AUTH + (verdict), "auth-" text, "authentication: " text)
#define NOTE(note, text, about) COUNTER(AAP_M_NOTE + (note), text, about)
#define CNOTE(note, text, about) COUNTER(AAP_M_CNOTE + (note), "coordinator-" text, about)

const MalMetricDef aap_metrics[AAP_N_METRICS] = {
  TYPE(AAP_ACLM, "aclm"),
  TYPE(AAP_AIU, "aiu"),
  TYPE(AAP_AITU, "aitu"),
  TYPE(AAP_ASA, "asa"),
  TYPE(AAP_ASRP, "asrp"),
  TYPE(AAP_ANA, "ana"),
  DROP(AAP_REASON_NONE, "none"),
  DROP(AAP_REASON_SHORT, "short"),
  DROP(AAP_REASON_VERSION, "version"),
  DROP(AAP_REASON_TYPE, "type"),
  DROP(AAP_REASON_FAMILY, "family"),
  DROP(AAP_REASON_LENGTH, "length"),
  DROP(AAP_REASON_ORDER, "range-order"),
  DROP(AAP_REASON_MULTICAST, "not-multicast"),
  DROP(AAP_REASON_PREFIX, "prefix"),
  DROP(AAP_REASON_COUNT, "count"),
  DROP(AAP_REASON_GROUP, "group"),
  DROP(AAP_REASON_SCOPES, "two-scopes"),
  DROP(AAP_REASON_HORIZON, "horizon"),
  DROP(AAP_REASON_FIT, "unfit"),
  DROP(AAP_REASON_SPACE, "no-room"),
  AUTH(AAP_AUTH_OK, "good"),
  AUTH(AAP_AUTH_NONE, "unauthenticated"),
  AUTH(AAP_AUTH_KEY, "unknown-key"),
  AUTH(AAP_AUTH_FORGED, "forged"),
  AUTH(AAP_AUTH_REPLAY, "replayed"),
  AUTH(AAP_AUTH_CROWD, "too-many-senders"),
  AUTH(AAP_AUTH_OWN, "own"),
  NOTE(AAP_NOTE_CLAIMED, "claims", "claims that nobody contended for"),
  NOTE(AAP_NOTE_CLAIM_COLLISION, "claim-collisions", "claims that others contended for"),
  NOTE(AAP_NOTE_CLAIM_FAILED, "claims-failed", "claims given up"),
  NOTE(AAP_NOTE_CLAIM_EXHAUSTED, "exhausted", "claims given up after claim-attempts collisions"),
  NOTE(AAP_NOTE_PREALLOCATED, "preallocated", "preallocations established"),
  NOTE(AAP_NOTE_PREALLOC_LOST, "preallocations-lost", "preallocations lost to others"),
  NOTE(AAP_NOTE_OWNED, "owned", "blocks that became owned"),
  NOTE(AAP_NOTE_EXTENDED, "extended", "blocks extended"),
  NOTE(AAP_NOTE_GIVEN_BACK, "given-back", "blocks given back, idle"),
  NOTE(AAP_NOTE_ENDED, "ended", "blocks whose end came"),
  NOTE(AAP_NOTE_CONFLICT, "conflicts", "own addresses that another allocated, too (3.2.3)"),
  NOTE(AAP_NOTE_ECHO, "echoes", "defences of own addresses by others"),
  NOTE(AAP_NOTE_DEFENDED, "defences", "allocations of others that were defended (3.2.2)"),
  NOTE(AAP_NOTE_STALE_DEFENCE, "stale-defences", "defences of what ended or was changed"),
  NOTE(AAP_NOTE_ASA_PROCESSED, "asa-processed", "announcements of space that counted"),
  NOTE(AAP_NOTE_ASA_IGNORED, "asa-ignored", "announcements of space that were not newer"),
  NOTE(AAP_NOTE_ASA_ABSURD, "asa-absurd", "announcements of space with an absurd expiration"),
  NOTE(AAP_NOTE_ASA_INVALIDATES, "asa-invalidating", "announcements that took space away"),
  NOTE(AAP_NOTE_ASA_EXPIRED, "asa-expired", "times that no coordinator announced space in time"),
  NOTE(AAP_NOTE_ASA_RESENT, "asa-resent", "announcements of space sent again for a silent "
       "coordinator"),
  NOTE(AAP_NOTE_ASRP_SENT, "reports", "reports of use sent"),
  NOTE(AAP_NOTE_ASRP_SUPPRESSED, "reports-suppressed", "reports left to another server"),
  NOTE(AAP_NOTE_ANA_SENT, "requests", "requests for space sent"),
  NOTE(AAP_NOTE_ANA_HEARD, "requests-heard", "requests for space of others"),
  NOTE(AAP_NOTE_STARTED, "started", "scopes whose startup listening is over"),
  NOTE(AAP_NOTE_RECORD_FULL, "record-full", "messages that max-record-entries left no room for"),
  NOTE(AAP_NOTE_WRONG_SCOPE_KIND, "wrong-scope-kind", "messages for large scopes, of a small one"),
  CNOTE(AAP_CNOTE_LEADS, "leads", "times that it became the leading one"),
  CNOTE(AAP_CNOTE_STANDS_BACK, "stands-back", "times that it left that to another"),
  CNOTE(AAP_CNOTE_INCONSISTENT, "inconsistent", "times that another announced other ranges"),
  CNOTE(AAP_CNOTE_TOO_MANY_RANGES, "too-many-ranges", "times that there were over 255 ranges"),
  CNOTE(AAP_CNOTE_ADOPTED, "adopted", "times that ranges were taken over from others"),
  CNOTE(AAP_CNOTE_REPORT, "reports", "reports of use that counted"),
  CNOTE(AAP_CNOTE_REPORT_IGNORED, "reports-ignored", "reports about other ranges"),
  CNOTE(AAP_CNOTE_ANNOUNCED, "announced", "announcements of space"),
  COUNTER(AAP_M_OTHER_SCOPE, "other-scope", "messages about addresses of no scope served here"),
  COUNTER(AAP_M_AMBIGUOUS, "ambiguous", "messages that could be about several scopes, or are about "
          "none"),
  COUNTER(AAP_M_TRUNCATED, "truncated", "datagrams longer than can be received"),
  COUNTER(AAP_M_SKEWED, "skewed-dropped", "messages dropped for their sender's clock (skew-drop)"),
  COUNTER(AAP_M_NOT_SENT, "not-sent", "messages that could not leave"),
  COUNTER(AAP_M_JOIN_FAILURES, "join-failures", "multicast groups that could not be joined"),
  COUNTER(AAP_M_INTERFACES_LOST, "interfaces-lost", "times that a served interface went away"),
  COUNTER(AAP_M_NOT_KEPT, "not-kept", "allocations that the store could not write"),
  COUNTER(AAP_M_WANTS, "wants", "times that more addresses were asked for"),
  COUNTER(AAP_M_FAILED, "unmet", "times that those who waited were refused"),
  COUNTER(AAP_M_SHORT, "short", "times that space was short, and layer 3 might bring some"),
  GAUGE(AAP_M_INTERFACES, "interfaces", "interfaces served"),
  GAUGE(AAP_M_PEERS, "peers", "senders heard"),
  GAUGE(AAP_M_SCOPES, "scopes", "scopes served"),
  GAUGE(AAP_M_OWN, "own-addresses", "addresses owned"),
  GAUGE(AAP_M_OWN_BLOCKS, "own-blocks", "blocks owned"),
  GAUGE(AAP_M_POOL, "preallocated-addresses", "addresses preallocated"),
  GAUGE(AAP_M_FOREIGN, "foreign-addresses", "addresses that others allocated"),
  GAUGE(AAP_M_ENTRIES, "record-entries", "entries of the allocation records"),
};

/* ---- events ---------------------------------------------------------------------------------- */

#define EVENT(id, text, whose, grade, about)                                                       \
  const MalEventDef aap_event_##id = { .name = "aap." text, .fault = MAL_FAULT_##whose,           \
                                       .level = MAL_LOG_##grade, .help = about }

EVENT(unauthenticated, "unauthenticated", OPERATOR, WARNING,
      "No key-file is configured: AAP messages are not authenticated, and whoever can send to the "
      "group can take or block addresses. See doc/aap-authentication.md.");
EVENT(not_served, "not-served", OPERATOR, WARNING,
      "A scope is not served, since it has no AAP group: nothing of it will be leased. Give an "
      "IPv6 domain a group6; make the scope larger than relative-offset.");
EVENT(serving, "serving", NOBODY, INFO, "AAP is spoken on an interface.");
EVENT(interface_lost, "interface-lost", OPERATOR, WARNING,
      "A served interface went down or away, or lost its address. It is served again when it "
      "returns. Without any, no address is claimed.");
EVENT(join_failed, "join-failed", OPERATOR, ERROR,
      "An AAP group could not be joined on an interface: claims of others are not heard there.");
EVENT(no_interface, "no-interface", OPERATOR, WARNING,
      "No interface to serve is up: no address is claimed until one is.");
EVENT(ignored, "ignored", PEER, DEBUG,
      "A datagram at an AAP group was dropped whole, as the draft says: reason tells why.");
EVENT(not_authentic, "not-authentic", PEER, WARNING,
      "A message without a valid authenticator was dropped. Does its sender have the key, or are "
      "these messages forged or replayed?");
EVENT(skew, "skew", PEER, WARNING,
      "A sender's clock differs by more than skew-log. Times are corrected for it; but check the "
      "time service of both hosts.");
EVENT(started, "started", NOBODY, INFO,
      "The time of listening is over: the server takes part in a scope.");
EVENT(owned, "block", NOBODY, DEBUG, "Addresses became owned, or are owned for longer.");
EVENT(given_back, "block-ended", NOBODY, DEBUG, "Owned addresses were given back, or ended.");
EVENT(collision, "collision", NOBODY, DEBUG,
      "Another server claimed the same addresses at the same time; others are tried.");
/* Clients bring it about, as often as they ask: limited like what peers do. */
EVENT(exhausted, "exhausted", PEER, WARNING,
      "No address could be claimed in a scope: all that is available is allocated by the servers "
      "of the domain, or contended for. Make more available, or shorten lease times. Where claims "
      "collide again and again though much is free, somebody may be interfering. Where nothing is "
      "available in a divisible scope: is a prefix coordinator up, and has it ranges, or a plugin "
      "that brings some (masc)? Who waits goes on waiting for a while.");
EVENT(conflict, "conflict", PEER, ERROR,
      "Another server allocated addresses that this one owns, too, as after a partition of the "
      "network. One of them gives way (section 3.2.3); leases on the addresses end there.");
EVENT(defended, "defended", NOBODY, INFO,
      "A claim for addresses of a silent server was answered in its place.");
EVENT(record_full, "record-full", PEER, WARNING,
      "More allocations of others were heard than max-record-entries allows: what is not "
      "remembered can't be avoided. Raise it, or find out who sends that many.");
EVENT(asa, "asa", NOBODY, DEBUG, "A prefix coordinator announced the available space.");
EVENT(asa_invalidates, "asa-invalidates", PEER, WARNING,
      "A prefix coordinator announced less space than before: what is gone is not used any more, "
      "and leases there end.");
EVENT(asa_expired, "asa-expired", OPERATOR, WARNING,
      "No prefix coordinator has announced the available space in time. Servers go on with what "
      "was announced last and repeat it. Is a coordinator up?");
EVENT(asa_refused, "asa-absurd", PEER, WARNING,
      "An announcement of space that expires too far ahead was dropped: no later one would ever be "
      "newer.");
EVENT(wrong_kind, "wrong-scope-kind", PEER, WARNING,
      "A message for large (divisible) scopes came for one that is small here: do all servers of "
      "the domain agree in divisible?");
EVENT(leads, "leads", NOBODY, INFO, "This prefix coordinator announces the space of a scope.");
EVENT(stands_back, "stands-back", NOBODY, INFO, "Another prefix coordinator announces the space.");
EVENT(inconsistent, "inconsistent", OPERATOR, ERROR,
      "Another prefix coordinator announces other ranges than this one (section 4.2.1.1). Bring "
      "their configurations into line; on-inconsistent says what happens meanwhile.");
EVENT(too_many_ranges, "too-many-ranges", OPERATOR, ERROR,
      "More than 255 ranges are available in a scope; that can't be announced. Make them fewer.");
EVENT(adopted, "adopted", NOBODY, INFO,
      "A prefix coordinator without ranges of its own took over those that others announced.");
EVENT(report, "report", NOBODY, DEBUG, "A server reported the use of the announced space.");
EVENT(not_kept, "not-kept", OPERATOR, ERROR,
      "An allocation could not be written to the store, and so is not used yet. It is tried "
      "again.");
EVENT(space, "space-refused", OPERATOR, WARNING,
      "Addresses that AAP brought could not be entered into the address space.");

const MalEventDef *const aap_events[AAP_N_EVENTS] = {
  &aap_event_unauthenticated, &aap_event_not_served, &aap_event_serving, &aap_event_interface_lost,
  &aap_event_join_failed, &aap_event_no_interface, &aap_event_ignored, &aap_event_not_authentic,
  &aap_event_skew, &aap_event_started, &aap_event_owned, &aap_event_given_back,
  &aap_event_collision, &aap_event_exhausted, &aap_event_conflict, &aap_event_defended,
  &aap_event_record_full, &aap_event_asa, &aap_event_asa_invalidates, &aap_event_asa_expired,
  &aap_event_asa_refused, &aap_event_wrong_kind, &aap_event_leads, &aap_event_stands_back,
  &aap_event_inconsistent, &aap_event_too_many_ranges, &aap_event_adopted, &aap_event_report,
  &aap_event_not_kept, &aap_event_space,
};
