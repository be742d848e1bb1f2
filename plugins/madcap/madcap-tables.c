#include "madcap-tables.h"

/* ---- [madcap] -------------------------------------------------------------------------------- */

static const MalConfKey keys[] = {
  { .key = "interfaces", .type = MAL_CONF_STRING, .list = true,
    .help = "Interfaces to serve and to ask on. Default: every multicast-capable one that is "
            "up. One that is not there (yet) is waited for." },
  { .key = "port", .type = MAL_CONF_INTEGER,
    .min = 1, .max = 65535, .fallback = "2535",
    .help = "UDP port of the server, and the one at which the client expects servers (RFC 2730 "
            "2)." },
  { .key = "servers", .type = MAL_CONF_ENDPOINT, .list = true,
    .help = "Client: unicast servers to try before multicast ones." },
  { .key = "client-groups", .type = MAL_CONF_ADDRESS, .list = true,
    .help = "Client: MADCAP Server Multicast Addresses to ask at, all of one family at once. "
            "Default: those of the IPv4 Local Scope, 239.255.255.254, and of IPv6 SCOP 3, "
            "ff03:ffff:ffff:ffff:ffff:ffff:ffff:fffe and the same with the T flag, ff13:... (RFC "
            "2730 2.10). Wider ones are not recommended (2.11)." },
  { .key = "multicast-ttl", .type = MAL_CONF_INTEGER, .min = 1, .max = 255, .fallback = "16",
    .help = "Client: TTL of what is sent to groups (RFC 2730 2.10)." },
  { .key = "choose", .type = MAL_CONF_CHOICE, .choices = "first|best", .fallback = "first",
    .help = "Client: first takes the first offer of all that was asked for at once, and waits "
            "discover-delay for better ones only else; best always waits, and takes the longest "
            "lease, then the most addresses, the earliest start, the lowest server address." },
  { .key = "discover-delay", .type = MAL_CONF_DURATION, .min = 1, .max = 60,
    .help = "Client: how long better offers are waited for after the first (DISCOVER-DELAY, RFC "
            "2730 2.2.2). Default: the current retransmission timer, 4 s to 16 s." },
  { .key = "server-groups", .type = MAL_CONF_PAIR, .list = true,
    .help = "SCOPE=ADDRESS: the MADCAP Server Multicast Address of a scope where it is not the "
            "last address - 1 (RFC 2730 2.10). A scope may stand here several times and then "
            "has several." },
  { .key = "beyond-local-scope", .type = MAL_CONF_BOOL, .fallback = "no",
    .help = "Answer multicast messages for scopes in which this server may not reside, that is "
            "whatever the group at which they arrived. RFC 2730 2.11 calls this dangerous." },
  { .key = "default-lease-time", .type = MAL_CONF_DURATION,
    .min = 1, .max = INT32_MAX, .fallback = "1h",
    .help = "Lease time for clients that name none." },
  { .key = "max-lease-time", .type = MAL_CONF_DURATION,
    .min = 1, .max = INT32_MAX, .fallback = "30d",
    .help = "No lease is longer; who asks for more gets this." },
  { .key = "offer-hold", .type = MAL_CONF_DURATION, .min = 1, .max = 3600, .fallback = "60",
    .help = "How long offered addresses are kept for the client (OFFER-HOLD, RFC 2730 2.2.3)." },
  { .key = "response-cache", .type = MAL_CONF_DURATION, .min = 0, .max = 300, .fallback = "60",
    .help = "How long an answer is kept for retransmissions (RESPONSE-CACHE-INTERVAL, RFC 2730 "
            "2.1.4); under 60 is not recommended." },
  { .key = "response-cache-entries", .type = MAL_CONF_INTEGER, .min = 16, .max = 16777216,
    .fallback = "131072",
    .help = "Most answers kept at once; the oldest give way. Unfinished transactions count, and"
            " are not given up for new ones." },
  { .key = "response-cache-octets", .type = MAL_CONF_INTEGER, .min = 65536, .max = INT64_C(1) << 34,
    .fallback = "67108864",
    .help = "Most memory for answers kept, in octets." },
  { .key = "extra-allocation-time", .type = MAL_CONF_DURATION, .min = 0, .max = INT32_MAX,
    .fallback = "3600",
    .help = "Addresses are kept so long before and after each lease (EXTRA-ALLOCATION-TIME, RFC"
            " 2730 2.12)." },
  { .key = "clock-skew-allowance", .type = MAL_CONF_DURATION, .min = 1, .max = INT32_MAX,
    .fallback = "1800",
    .help = "A client whose clock differs by more is told so and gets nothing "
            "(CLOCK-SKEW-ALLOWANCE, RFC 2730 2.12)." },
  { .key = "max-addresses-per-request", .type = MAL_CONF_INTEGER, .min = 1, .max = 65535,
    .fallback = "1024",
    .help = "Most addresses in one lease." },
  { .key = "max-addresses-per-client", .type = MAL_CONF_INTEGER, .min = 0, .max = UINT32_MAX,
    .fallback = "0",
    .help = "Most addresses that one source address may hold at once, with what it was offered; "
            "those of a lease that ended by itself count until extra-allocation-time is over. 0: "
            "no limit." },
  { .key = "rate-limit", .type = MAL_CONF_INTEGER, .min = 0, .max = 1000000, .fallback = "0",
    .help = "Messages a second that are answered for one source (an IPv4 address, an IPv6 /64),"
            " with bursts of as many, but at least 4. 0: no limit." },
  { .key = "lease-owner", .type = MAL_CONF_CHOICE, .choices = "address|any", .fallback = "address",
    .help = "Who may renew and release a lease: the address that took it, or anybody who knows its "
            "identifier." },
  { .key = "retry-after", .type = MAL_CONF_DURATION, .min = 5, .max = 86400, .fallback = "60",
    .help = "What a client that knows the Retry After feature is told to wait while addresses "
            "are being acquired (RFC 2730 2.13.2)." },
};

const MalConfGroup madcap_conf_groups[MADCAP_N_CONF_GROUPS] = {
  { .group = "madcap", .keys = keys, .n_keys = G_N_ELEMENTS(keys),
    .help = "MADCAP (RFC 2730, RFC 2907): server with role maas, client with role client." },
};

/* ---- metrics --------------------------------------------------------------------------------- */

#define COUNTER(index, text, about) [index] = { .name = text, .kind = MAL_COUNTER, .help = about }
#define GAUGE(index, text, about) [index] = { .name = text, .kind = MAL_GAUGE, .help = about }

const MalMetricDef madcap_metrics[MADCAP_N_METRICS] = {
  COUNTER(MADCAP_M_RX_DISCOVER, "discover-received", "DISCOVER messages received"),
  COUNTER(MADCAP_M_RX_REQUEST, "request-received", "REQUEST messages received"),
  COUNTER(MADCAP_M_RX_RENEW, "renew-received", "RENEW messages received"),
  COUNTER(MADCAP_M_RX_RELEASE, "release-received", "RELEASE messages received"),
  COUNTER(MADCAP_M_RX_GETINFO, "getinfo-received", "GETINFO messages received"),
  COUNTER(MADCAP_M_TX_OFFER, "offer-sent", "OFFER messages sent"),
  COUNTER(MADCAP_M_TX_ACK, "ack-sent", "ACK messages sent"),
  COUNTER(MADCAP_M_TX_NAK, "nak-sent", "NAK messages sent"),
  COUNTER(MADCAP_M_TX_RETRY_LATER, "retry-later-sent",
          "ACK messages that told the client to come again later"),
  COUNTER(MADCAP_M_ERROR_NOT_COMPLETED, "not-completed-sent",
          "NAKs: valid request could not be completed"),
  COUNTER(MADCAP_M_ERROR_INVALID, "invalid-request-sent", "NAKs: invalid request"),
  COUNTER(MADCAP_M_ERROR_CLOCK_SKEW, "clock-skew-sent", "NAKs: excessive clock skew"),
  COUNTER(MADCAP_M_ERROR_UNKNOWN_LEASE, "unknown-lease-sent",
          "NAKs: lease identifier not recognized"),
  COUNTER(MADCAP_M_ERROR_FEATURE, "unsupported-feature-sent",
          "NAKs: required feature not supported"),
  COUNTER(MADCAP_M_IGNORED_MALFORMED, "malformed-ignored", "datagrams that are no MADCAP message"),
  COUNTER(MADCAP_M_IGNORED_TRUNCATED, "truncated-ignored", "datagrams longer than can be received"),
  COUNTER(MADCAP_M_IGNORED_FROM_SERVER, "from-server-ignored",
          "OFFER, ACK and NAK messages to the server"),
  COUNTER(MADCAP_M_IGNORED_OTHER_SERVER, "other-server-ignored",
          "REQUESTs that chose another server"),
  COUNTER(MADCAP_M_IGNORED_ELSEWHERE, "elsewhere-ignored",
          "multicast messages at a group where this server must not answer them (RFC 2730 2.11)"),
  COUNTER(MADCAP_M_IGNORED_UNSATISFIABLE, "unsatisfiable-ignored", "DISCOVERs without an OFFER"),
  COUNTER(MADCAP_M_IGNORED_RATE, "rate-limited", "messages over the rate limit of their source"),
  COUNTER(MADCAP_M_IGNORED_OVERLOAD, "overload-ignored",
          "messages dropped since too many transactions wait"),
  COUNTER(MADCAP_M_SHED, "datagrams-shed",
          "datagrams that the system dropped unread: more came than could be answered"),
  GAUGE(MADCAP_M_OVERLOADED, "overloaded",
        "1 while more comes than can be answered, and for 5 s after"),
  COUNTER(MADCAP_M_REPEATED, "retransmissions-answered",
          "retransmissions answered with the same octets"),
  COUNTER(MADCAP_M_REPEATED_PENDING, "retransmissions-joined",
          "retransmissions of what is not answered yet"),
  COUNTER(MADCAP_M_EVICTED, "answers-evicted",
          "answers dropped before their time for want of room"),
  GAUGE(MADCAP_M_CACHE_ENTRIES, "cache-entries", "answers kept and transactions under way"),
  GAUGE(MADCAP_M_CACHE_OCTETS, "cache-octets", "memory of these"),
  GAUGE(MADCAP_M_PENDING, "transactions-pending",
        "transactions that wait for the disk or for space"),
  GAUGE(MADCAP_M_INTERFACES, "interfaces-served", "interfaces on which the server listens"),
  COUNTER(MADCAP_M_INTERFACES_LOST, "interfaces-lost", "times that a served interface went away"),
  COUNTER(MADCAP_M_JOIN_FAILURES, "join-failures", "multicast groups that could not be joined"),
  COUNTER(MADCAP_M_CLIENT_SENT, "client-sent", "client: messages sent, retransmissions included"),
  COUNTER(MADCAP_M_CLIENT_REPEATED, "client-retransmitted", "client: retransmissions sent"),
  COUNTER(MADCAP_M_CLIENT_RECEIVED, "client-received", "client: answers received that count"),
  COUNTER(MADCAP_M_CLIENT_STRAY, "client-stray", "client: datagrams that answer nothing asked"),
  COUNTER(MADCAP_M_CLIENT_UNFIT, "client-unfit",
          "client: answers ignored since they don't conform or fit"),
  COUNTER(MADCAP_M_CLIENT_LEASED, "client-leased", "client: leases taken"),
  COUNTER(MADCAP_M_CLIENT_REFUSED, "client-refused", "client: requests that got no lease"),
  COUNTER(MADCAP_M_CLIENT_RENEWED, "client-renewed", "client: leases renewed"),
  COUNTER(MADCAP_M_CLIENT_RENEWALS_FAILED, "client-renewals-failed",
          "client: attempts to renew that failed"),
  COUNTER(MADCAP_M_CLIENT_RELEASED, "client-released", "client: leases released"),
  COUNTER(MADCAP_M_CLIENT_LOST, "client-lost", "client: leases that ended unreleased"),
  GAUGE(MADCAP_M_CLIENT_LEASES, "client-leases", "client: leases held for local programs"),
  GAUGE(MADCAP_M_CLIENT_ERRANDS, "client-errands", "client: transactions under way"),
};

/* ---- events ---------------------------------------------------------------------------------- */

const MalEventDef madcap_event_ignored = {
  .name = "madcap.ignored", .fault = MAL_FAULT_PEER, .level = MAL_LOG_DEBUG,
  .help = "A datagram at the MADCAP port was not answered: it is no MADCAP message, or comes "
          "from a server, or arrived at a group where this server must not answer it. Something"
          " else may use the port." };
const MalEventDef madcap_event_refused = {
  .name = "madcap.refused", .fault = MAL_FAULT_PEER, .level = MAL_LOG_INFO,
  .help = "A client's message was answered with a NAK; error and option say why (RFC 2730 "
          "3.17). Many of \"not completed\" mean that a scope is full: see space.usage." };
const MalEventDef madcap_event_skew = {
  .name = "madcap.skew", .fault = MAL_FAULT_PEER, .level = MAL_LOG_WARNING,
  .help = "A client's clock differs from ours by more than clock-skew-allowance; it gets no "
          "lease. Check its time synchronisation, and ours." };
const MalEventDef madcap_event_rate = {
  .name = "madcap.rate-limited", .fault = MAL_FAULT_PEER, .level = MAL_LOG_WARNING,
  .help = "A source sends more than rate-limit allows; what is over is dropped." };
const MalEventDef madcap_event_overload = {
  .name = "madcap.overload", .fault = MAL_FAULT_PEER, .level = MAL_LOG_WARNING,
  .help = "More transactions wait for an answer than response-cache-entries allows; new ones "
          "are dropped, and clients retransmit. The disk may be slow (see stats), or somebody "
          "floods the server." };
const MalEventDef madcap_event_overloaded = {
  .name = "madcap.overloaded", .fault = MAL_FAULT_PEER, .level = MAL_LOG_WARNING,
  .help = "More messages come than the server can answer in good time. The system drops the excess "
          "before it is read: DISCOVER and GETINFO first, then REQUEST, RENEW and RELEASE only "
          "when these don't suffice; clients retransmit. The server goes on answering as much as "
          "it can. rate-limit helps against single sources that flood." };
const MalEventDef madcap_event_relieved = {
  .name = "madcap.relieved", .fault = MAL_FAULT_PEER, .level = MAL_LOG_WARNING,
  .help = "For five seconds nothing had to be dropped any more for overload." };
const MalEventDef madcap_event_waiting = {
  .name = "madcap.waiting", .fault = MAL_FAULT_NOBODY, .level = MAL_LOG_INFO,
  .help = "A request waits until more address space is acquired. The client is told to come "
          "again where it can be (Retry After), else it is answered when the space comes." };
const MalEventDef madcap_event_listening = {
  .name = "madcap.listening", .fault = MAL_FAULT_NOBODY, .level = MAL_LOG_INFO,
  .help = "The server listens on an interface: it joined the MADCAP server groups of its scopes"
          " there." };
const MalEventDef madcap_event_interface_lost = {
  .name = "madcap.interface-lost", .fault = MAL_FAULT_OPERATOR, .level = MAL_LOG_WARNING,
  .help = "A served interface went down or away, or lost its address. It is served again when "
          "it returns." };
const MalEventDef madcap_event_join_failed = {
  .name = "madcap.join-failed", .fault = MAL_FAULT_OPERATOR, .level = MAL_LOG_ERROR,
  .help = "A MADCAP server group could not be joined on an interface: multicast clients there "
          "do not reach the server. On Linux see net.ipv4.igmp_max_memberships for many scopes." };
const MalEventDef madcap_event_no_interface = {
  .name = "madcap.no-interface", .fault = MAL_FAULT_OPERATOR, .level = MAL_LOG_WARNING,
  .help = "No interface to serve is up. The server waits for one; unicast still works." };
const MalEventDef madcap_event_no_local_group = {
  .name = "madcap.no-local-group", .fault = MAL_FAULT_OPERATOR, .level = MAL_LOG_INFO,
  .help = "No scope has the group 239.255.255.254, at which clients look for servers where nobody "
          "told them another (RFC 2730 2.10): they don't find this one. Give the group to the "
          "scope that is local here, server-groups = SCOPE=239.255.255.254 in [madcap], and let it "
          "say nests-inside for the scopes around it; or configure the clients (servers, "
          "client-groups)." };
const MalEventDef madcap_event_leased = {
  .name = "madcap.leased", .fault = MAL_FAULT_NOBODY, .level = MAL_LOG_INFO,
  .help = "The client got a lease for a local program. It is renewed until it is released, unless "
          "the program asked for no renewal." };
const MalEventDef madcap_event_renewed = {
  .name = "madcap.renewed", .fault = MAL_FAULT_NOBODY, .level = MAL_LOG_DEBUG,
  .help = "A lease that the client holds was renewed." };
const MalEventDef madcap_event_released = {
  .name = "madcap.released", .fault = MAL_FAULT_NOBODY, .level = MAL_LOG_INFO,
  .help = "A lease that the client held was given back." };
const MalEventDef madcap_event_renewal_failed = {
  .name = "madcap.renewal-failed", .fault = MAL_FAULT_PEER, .level = MAL_LOG_WARNING,
  .help = "A lease that the client holds could not be renewed. It is tried again until the lease "
          "ends; then the addresses may go to somebody else. Is the server up, and reachable?" };
const MalEventDef madcap_event_lease_lost = {
  .name = "madcap.lease-lost", .fault = MAL_FAULT_PEER, .level = MAL_LOG_WARNING,
  .help = "A lease that the client held has ended: it was not renewed in time or not to be "
          "renewed, or its server does not know it any more. Its addresses must not be used." };
const MalEventDef madcap_event_answer_ignored = {
  .name = "madcap.answer-ignored", .fault = MAL_FAULT_PEER, .level = MAL_LOG_DEBUG,
  .help = "The client ignored a datagram: it is no MADCAP message, or it does not conform to RFC "
          "2730 or to what was asked." };

const MalEventDef *const madcap_events[MADCAP_N_EVENTS] = {
  &madcap_event_ignored, &madcap_event_refused, &madcap_event_skew, &madcap_event_rate,
  &madcap_event_overload, &madcap_event_overloaded,
  &madcap_event_relieved, &madcap_event_waiting, &madcap_event_listening,
  &madcap_event_interface_lost,
  &madcap_event_join_failed, &madcap_event_no_interface, &madcap_event_no_local_group,
  &madcap_event_leased, &madcap_event_renewed, &madcap_event_released,
  &madcap_event_renewal_failed, &madcap_event_lease_lost, &madcap_event_answer_ignored,
};
