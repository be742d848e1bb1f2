/* Events and metrics. What a zone or a session notes is one line here: counter, event, and the
   sentence of the log. */
#include "masc-tables.h"

/* Name, whose fault, level, help of the event, sentence of the log. */
#define ZONE_NOTES(X)                                                                              \
  X(HEARD, "heard", NOBODY, DEBUG, "An attribute of a peer was taken.", "heard")                   \
  X(DUPLICATE, "duplicate", NOBODY, DEBUG, "An attribute was known already (11.1).",               \
    "known already")                                                                               \
  X(EXPIRED, "expired", NOBODY, DEBUG, "An attribute was dropped, since its time is over (11.1).", \
    "too old, dropped")                                                                            \
  X(REFUSED, "refused", PEER, WARNING,                                                             \
    "An attribute of a peer was refused with a NOTIFICATION, whose subcode is count.",             \
    "refused")                                                                                     \
  X(IGNORED, "ignored", PEER, DEBUG,                                                               \
    "An attribute was not believed: its domain floods, or who told it is not to tell it (14).",    \
    "ignored")                                                                                     \
  X(CACHE_FULL, "cache-full", PEER, WARNING,                                                       \
    "More claims are known than there is room for; the domain with most of them lost its oldest.", \
    "the cache is full")                                                                           \
  X(CLAIMED, "claimed", NOBODY, INFO, "A claim of ours left, and waits for objections.",           \
    "claimed")                                                                                     \
  X(WON, "won", NOBODY, INFO, "A claim's waiting period is over: the prefix is this domain's.",    \
    "won")                                                                                         \
  X(RENEWED, "renewed", NOBODY, INFO, "A prefix of this domain got a longer lifetime.",            \
    "renewed")                                                                                     \
  X(GREW, "grew", NOBODY, INFO, "A prefix of this domain became larger.", "grew")                  \
  X(COLLISION, "collision", PEER, INFO,                                                            \
    "A pending claim of ours lost to another domain's; another prefix is claimed.",                \
    "our claim lost to another domain's")                                                          \
  X(DENIED, "denied", PEER, WARNING,                                                               \
    "A parent denied a claim of ours. Look for the reason at the parent.",                         \
    "denied by a parent")                                                                          \
  X(CANCELLED, "cancelled", NOBODY, INFO, "A pending claim of ours is not needed any more.",       \
    "not needed any more")                                                                         \
  X(HELD_UP, "held-up", PEER, WARNING,                                                             \
    "A claim's waiting period is over, but nobody who could object is in touch (a parent, or "     \
    "among top-level domains another one): it is not used until somebody is. A top-level domain "  \
    "goes on after a second waiting period.",                                                      \
    "waits for somebody who could object to be in touch")                                          \
  X(DENIES, "denies", PEER, WARNING, "We denied a child's claim.", "a child's claim was denied")   \
  X(CLASH, "clash", OPERATOR, ERROR,                                                               \
    "Another domain uses what this domain uses, as after a partition longer than the waiting "     \
    "period (12.4). Clashing addresses are not used meanwhile. With clash-resolution = manual, "   \
    "say what to do: mallocctl masc resolve.",                                                     \
    "in use by another domain, too")                                                               \
  X(CLASH_WON, "clash-won", NOBODY, WARNING, "A clash is over: the prefix stays ours.",            \
    "the clash is over, it stays ours")                                                            \
  X(CLASH_LOST, "clash-lost", NOBODY, ERROR,                                                       \
    "A clash is over: the other domain was first, and ours is withdrawn. Leases there ended.",     \
    "the clash is over, it is withdrawn")                                                          \
  X(CHILDREN_CLASH, "children-clash", PEER, WARNING, "Two children use the same addresses.",       \
    "two children use the same")                                                                   \
  X(PARENT_WITHDREW, "parent-withdrew", PEER, WARNING,                                             \
    "A parent took a prefix back, and with it what we had of it.", "withdrawn by a parent")        \
  X(GIVEN_BACK, "given-back", NOBODY, INFO, "A prefix that nobody needs here was given back.",     \
    "given back")                                                                                  \
  X(ENDED, "ended", NOBODY, INFO, "The lifetime of a prefix of ours is over.", "ended")            \
  X(RECOVERED, "recovered", NOBODY, WARNING,                                                       \
    "Others told what the store had lost: the prefix is this domain's (14).",                      \
    "recovered from others")                                                                       \
  X(DISOWNED, "disowned", PEER, WARNING,                                                           \
    "A prefix was said to be ours, and isn't: it was withdrawn.", "said to be ours, and isn't")    \
  X(FLOOD, "flood", PEER, ERROR,                                                                   \
    "A domain sends more colliding claims than flood-limit allows: it is ignored from now on "     \
    "(14). Talk to its operators, then: mallocctl masc forgive.",                                  \
    "too many colliding claims, ignored from now on")                                              \
  X(HINT, "hint", PEER, INFO,                                                                      \
    "More room is wanted: by us of our parents, or by a child of us (11.5).",                      \
    "more room is wanted")                                                                         \
  X(LEAF, "leaf", NOBODY, INFO,                                                                    \
    "This domain has no children's claims any more (count 1), or has some from now on (0); see "   \
    "12.2.",                                                                                       \
    "leaf or not has changed")                                                                     \
  X(UNRENEWED, "unrenewed", PEER, WARNING,                                                         \
    "A prefix can't be renewed, since the parent's is deprecated or ends, or since it was denied " \
    "three times. Another one is claimed where it is needed.",                                     \
    "can't be renewed")                                                                            \
  X(UNCLAIMED, "unclaimed", OPERATOR, WARNING,                                                     \
    "The store was lost, no peer knew that a prefix is this domain's (14), its servers use it all "\
    "the same, and claim = no. Claim it within a waiting period: mallocctl masc claim. Else their "\
    "leases in it end.",                                                                           \
    "used by our servers, and to be claimed by hand or it ends")

#define SESSION_NOTES(X)                                                                           \
  X(STATE, "state", NOBODY, DEBUG, "A session changed its state (section 10).", "state")           \
  X(SENT, "notification-sent", PEER, WARNING,                                                      \
    "A peer made an error, and was told by a NOTIFICATION; code and subcode are those of 7.5.",    \
    "NOTIFICATION sent")                                                                           \
  X(RECEIVED, "notification-received", PEER, WARNING,                                              \
    "A peer found an error in what we sent; code and subcode are those of 7.5. Unless open, the "  \
    "session is closed.",                                                                          \
    "NOTIFICATION received")                                                                       \
  X(SILENT, "notification-erroneous", PEER, ERROR,                                                 \
    "A NOTIFICATION of a peer is itself in error, which is not to be answered (8.6): tell the "    \
    "peer's operator.",                                                                            \
    "erroneous NOTIFICATION received")                                                             \
  X(SUPPRESSED, "notification-suppressed", PEER, WARNING,                                          \
    "A NOTIFICATION was not sent: the peer makes too many errors, or does not read.",              \
    "NOTIFICATION not sent")                                                                       \
  X(COLLISION, "connection-collision", NOBODY, DEBUG,                                              \
    "Both ends had connected at once; one of both connections was closed (8.8).",                  \
    "connection closed in favour of another one")                                                  \
  X(TURNED_AWAY, "connection-refused", PEER, DEBUG,                                                \
    "A connection of a peer was not taken: there are two already, or the session waits after an "  \
    "error.",                                                                                      \
    "connection not taken")                                                                        \
  X(CONNECTING, "connecting", NOBODY, DEBUG, "A connection to a peer is tried.", "connecting")     \
  X(FAILED, "connect-failed", PEER, INFO,                                                          \
    "A connection to a peer could not be made. Is it up, are address and port right? Where there " \
    "is no answer, and it is up: have both ends the same key (key-file), and both or none "        \
    "ttl-security? What isn't signed right, or comes from too far, the system drops silently.",    \
    "the connection could not be made")                                                            \
  X(CLOSED, "connection-closed", PEER, DEBUG, "A connection to a peer is gone.",                   \
    "the connection is gone")                                                                      \
  X(BACKOFF, "backoff", PEER, INFO,                                                                \
    "After an error a session waits before it tries again (10.1).", "waits after an error")        \
  X(SLOW, "slow", PEER, WARNING, "A peer does not read what it is sent.", "does not read")         \
  X(UNSENDABLE, "unsendable", OPERATOR, ERROR,                                                     \
    "A claim could not be written to a peer: an identifier is too long for its address family.",   \
    "a claim can't be written")

#define EVENT(id, text, whose, grade, about)                                                       \
  const MalEventDef masc_event_##id = { .name = "masc." text, .fault = MAL_FAULT_##whose,         \
                                        .level = MAL_LOG_##grade, .help = about }

EVENT(session_up, "session-up", NOBODY, INFO, "A session with a peer is established.");
EVENT(session_down, "session-down", PEER, WARNING,
      "A session with a peer is no longer established; why says the reason.");
EVENT(stranger, "stranger", PEER, WARNING,
      "Somebody who is no [masc-peer] connected, and was sent away (section 14).");
EVENT(not_kept, "not-kept", OPERATOR, ERROR,
      "What MASC wants kept could not be written to the store. Claims wait for it; see status.");
EVENT(space, "space-refused", OPERATOR, WARNING,
      "A prefix that MASC won could not be made available: a range of another source is in its "
      "way.");
EVENT(route, "route-refused", OURS, ERROR,
      "A prefix that MASC won could not be entered into the domain's routes.");
EVENT(identity, "identity-forgotten", OPERATOR, WARNING,
      "The store had the state of other identifiers; identity-change = forget dropped it.");
EVENT(foreign_record, "record-dropped", OURS, WARNING,
      "A record of the store could not be read, and is dropped.");
EVENT(listening, "listening", NOBODY, INFO, "Connections of peers are accepted at an address.");
EVENT(listener, "not-listening", OPERATOR, ERROR,
      "An address can't be listened on, or not any more: peers can't connect to it.");
EVENT(security, "refused-by-system", OPERATOR, ERROR,
      "The system refuses a connection with a peer as it is configured (local-address, TCP-MD5, "
      "ttl-security): there is none until it can be had so.");
EVENT(recovering, "recovering", NOBODY, INFO,
      "The store is empty: for one waiting period, what parents and internal peers say this domain "
      "has is taken for true (section 14).");

EVENT(unshared, "unshared", OPERATOR, WARNING,
      "An internal peer holds the same prefixes, this daemon leases from them (role maas), and no "
      "plugin shares addresses out among servers: where the peer leases, too, both lease the same "
      "addresses. Load aap on both, or let one lease.");

#define ZONE_EVENT(id, text, whose, grade, about, words)                                           \
  static const MalEventDef zone_##id = { .name = "masc." text, .fault = MAL_FAULT_##whose,        \
                                         .level = MAL_LOG_##grade, .help = about };
#define SESSION_EVENT(id, text, whose, grade, about, words)                                        \
  static const MalEventDef session_##id = { .name = "masc." text, .fault = MAL_FAULT_##whose,     \
                                            .level = MAL_LOG_##grade, .help = about };
ZONE_NOTES(ZONE_EVENT)
SESSION_NOTES(SESSION_EVENT)

#define ZONE_NEWS(id, text, whose, grade, about, words)                                            \
  [MASC_NOTE_##id] = { &zone_##id, words },
#define SESSION_NEWS(id, text, whose, grade, about, words)                                         \
  [MASC_SESSION_##id] = { &session_##id, words },

const MascNews masc_zone_news[MASC_N_NOTES] = { ZONE_NOTES(ZONE_NEWS) };
const MascNews masc_session_news[MASC_N_SESSION_NOTES] = { SESSION_NOTES(SESSION_NEWS) };

#define ZONE_LIST(id, text, whose, grade, about, words) &zone_##id,
#define SESSION_LIST(id, text, whose, grade, about, words) &session_##id,

const MalEventDef *const masc_events[MASC_N_EVENTS] = {
  &masc_event_session_up, &masc_event_session_down, &masc_event_stranger, &masc_event_not_kept,
  &masc_event_space, &masc_event_route, &masc_event_identity, &masc_event_foreign_record,
  &masc_event_listening, &masc_event_listener, &masc_event_security, &masc_event_recovering,
  &masc_event_unshared,
  ZONE_NOTES(ZONE_LIST)
  SESSION_NOTES(SESSION_LIST)
};

/* ---- metrics --------------------------------------------------------------------------------- */

#define COUNTER(index, text, about) [index] = { .name = text, .kind = MAL_COUNTER, .help = about }
#define GAUGE(index, text, about) [index] = { .name = text, .kind = MAL_GAUGE, .help = about }
#define TYPE(type, text)                                                                           \
  COUNTER(MASC_M_SENT + (type), text "-sent", "messages of this type sent"),                       \
      COUNTER(MASC_M_RECEIVED + (type), text "-received", "messages received of this type")
#define CLAIM(type, text)                                                                          \
  COUNTER(MASC_M_CLAIMS_SENT + (type), text "-sent", "attributes of this type sent"),              \
      COUNTER(MASC_M_CLAIMS_RECEIVED + (type), text "-received",                                   \
              "attributes received of this type")
#define ERRORS(code, text)                                                                         \
  COUNTER(MASC_M_ERRORS_SENT + (code), "error-" text "-sent", "NOTIFICATIONs sent of this code"),  \
      COUNTER(MASC_M_ERRORS_RECEIVED + (code), "error-" text "-received",                          \
              "NOTIFICATIONs received of this code")
#define ZONE_COUNTER(id, text, whose, grade, about, words)                                         \
  COUNTER(MASC_M_NOTE + MASC_NOTE_##id, text, "as the event masc." text),
#define SESSION_COUNTER(id, text, whose, grade, about, words)                                      \
  COUNTER(MASC_M_SESSION_NOTE + MASC_SESSION_##id, text, "as the event masc." text),

const MalMetricDef masc_metrics[MASC_N_METRICS] = {
  ZONE_NOTES(ZONE_COUNTER)
  SESSION_NOTES(SESSION_COUNTER)
  TYPE(0, "other"),
  TYPE(MASC_OPEN, "open"),
  TYPE(MASC_UPDATE, "update"),
  TYPE(MASC_NOTIFICATION, "notification-messages"),
  TYPE(MASC_KEEPALIVE, "keepalive"),
  CLAIM(MASC_PREFIX_IN_USE, "prefix-in-use"),
  CLAIM(MASC_CLAIM_DENIED, "claim-denied"),
  CLAIM(MASC_CLAIM_TO_EXPAND, "claim-to-expand"),
  CLAIM(MASC_NEW_CLAIM, "new-claim"),
  CLAIM(MASC_PREFIX_MANAGED, "prefix-managed"),
  CLAIM(MASC_WITHDRAW, "withdraw"),
  ERRORS(MASC_ERROR_NONE, "none"),
  ERRORS(MASC_ERROR_HEADER, "header"),
  ERRORS(MASC_ERROR_OPEN, "open"),
  ERRORS(MASC_ERROR_UPDATE, "update"),
  ERRORS(MASC_ERROR_HOLD_TIMER, "hold-timer"),
  ERRORS(MASC_ERROR_FSM, "state-machine"),
  ERRORS(MASC_ERROR_NOTIFICATION, "notification"),
  ERRORS(MASC_ERROR_CEASE, "cease"),
  COUNTER(MASC_M_UPS, "sessions-up", "times that a session was established"),
  COUNTER(MASC_M_DOWNS, "sessions-down", "times that an established session went down"),
  COUNTER(MASC_M_STRANGERS, "strangers", "connections of others than the peers, sent away"),
  COUNTER(MASC_M_NO_ZONE, "no-scope", "attributes about addresses of no scope of the session"),
  COUNTER(MASC_M_TOO_LARGE, "too-large", "claims of children beyond their largest-prefix"),
  COUNTER(MASC_M_NOT_KEPT, "not-kept", "batches of the store that failed"),
  COUNTER(MASC_M_SPACE_REFUSED, "space-refused", "prefixes that could not be made available"),
  COUNTER(MASC_M_ROUTES_REFUSED, "routes-refused", "prefixes that could not become routes"),
  COUNTER(MASC_M_DEMANDS, "demands", "times that a scope ran dry"),
  COUNTER(MASC_M_ARRIVALS, "arrivals", "addresses asked for, as the forecast is told"),
  GAUGE(MASC_M_SESSIONS, "peers", "configured peers"),
  GAUGE(MASC_M_ESTABLISHED, "sessions", "sessions that are established"),
  GAUGE(MASC_M_HELD, "held-addresses", "addresses that are allocated to this domain"),
  GAUGE(MASC_M_LOCAL, "local-addresses", "addresses of them for its own servers"),
  GAUGE(MASC_M_PREFIXES, "held-prefixes", "prefixes that are allocated to this domain"),
  GAUGE(MASC_M_PENDING, "pending-claims", "claims of ours that wait"),
  GAUGE(MASC_M_CACHED, "cached-claims", "claims and prefixes of others that are known"),
  GAUGE(MASC_M_WAITING, "waiting-addresses", "addresses that somebody waits for"),
};
