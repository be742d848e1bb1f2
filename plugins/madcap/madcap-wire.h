/* MADCAP messages (RFC 2730, and RFC 2907 for option 17): bytes to a struct and back.
   Total, without allocation, clock or log. What is decoded points into the datagram and lives as
   long as that does. What it does with a doubtful message is said at madcap_decode. */
#ifndef MADCAP_WIRE_H
#define MADCAP_WIRE_H

#include "core/address.h"
#include "core/api.h"
#include "core/wire.h"

G_BEGIN_DECLS

#define MADCAP_PORT 2535
#define MADCAP_VERSION 0
#define MADCAP_MIN_LENGTH 12        /* the header's 8 octets and the End option's 4 */
#define MADCAP_HEADER_LENGTH 8
#define MADCAP_MAX_LENGTH 65507     /* what one IPv4 UDP datagram carries */
#define MADCAP_NO_OPTION 0xFFFF     /* in errors: no specific option (RFC 2730 3.17.1) */
#define MADCAP_DESCRIPTION_SIZE 512

/* RFC 2730 table 2 */
typedef enum {
  MADCAP_DISCOVER = 1,
  MADCAP_OFFER = 2,
  MADCAP_REQUEST = 3,
  MADCAP_RENEW = 4,
  MADCAP_ACK = 5,
  MADCAP_NAK = 6,
  MADCAP_RELEASE = 7,
  MADCAP_GETINFO = 8,
} MadcapType;

/* RFC 2730 section 3; 17 is RFC 2907 section 5. */
typedef enum {
  MADCAP_OPTION_END = 0,
  MADCAP_OPTION_LEASE_TIME = 1,
  MADCAP_OPTION_SERVER_ID = 2,
  MADCAP_OPTION_LEASE_ID = 3,
  MADCAP_OPTION_SCOPE = 4,
  MADCAP_OPTION_REQUEST_LIST = 5,
  MADCAP_OPTION_START_TIME = 6,
  MADCAP_OPTION_NUMBER = 7,
  MADCAP_OPTION_LANGUAGE = 8,
  MADCAP_OPTION_SCOPE_LIST = 9,
  MADCAP_OPTION_RANGES = 10,
  MADCAP_OPTION_CURRENT_TIME = 11,
  MADCAP_OPTION_FEATURES = 12,
  MADCAP_OPTION_RETRY_TIME = 13,
  MADCAP_OPTION_MIN_LEASE_TIME = 14,
  MADCAP_OPTION_MAX_START_TIME = 15,
  MADCAP_OPTION_ERROR = 16,
  MADCAP_OPTION_NESTING = 17,
} MadcapOption;
#define MADCAP_N_OPTIONS 18

/* RFC 2730 table 4 */
typedef enum {
  MADCAP_FEATURE_SERVER_MOBILITY = 0,
  MADCAP_FEATURE_RETRY_AFTER = 1,
  MADCAP_FEATURE_SHARED_LEASE_ID = 2,
} MadcapFeature;

/* RFC 2730 3.17 */
typedef enum {
  MADCAP_ERROR_NOT_COMPLETED = 0,       /* extra data: option code, or MADCAP_NO_OPTION */
  MADCAP_ERROR_INVALID_REQUEST = 1,     /* the same */
  MADCAP_ERROR_CLOCK_SKEW = 2,          /* the server's time, 32 bits */
  MADCAP_ERROR_LEASE_ID_UNKNOWN = 3,    /* none */
  MADCAP_ERROR_FEATURE_UNSUPPORTED = 4, /* the feature codes in question */
} MadcapErrorCode;

/* RFC 2730 table 3: the first octet of a lease identifier. */
typedef enum {
  MADCAP_LEASE_ID_RANDOM = 0,
  MADCAP_LEASE_ID_ADDRESS = 1,
} MadcapLeaseIdType;

typedef enum {
  MADCAP_OK,
  MADCAP_IGNORE,  /* not a MADCAP message: no answer, no state (RFC 2730 2.1, 2.1.1, 2.1.5) */
  MADCAP_BAD,     /* server: Invalid Request, naming fault.option (2.6), unless
                     madcap_type_from_server; client: ignore */
} MadcapOutcome;

typedef enum {
  MADCAP_REASON_NONE,
  /* with MADCAP_IGNORE */
  MADCAP_REASON_SHORT,      /* under 12 octets */
  MADCAP_REASON_VERSION,
  MADCAP_REASON_TRUNCATED,  /* an option runs past the end */
  MADCAP_REASON_NO_END,     /* no End option, or one whose length isn't 0 */
  MADCAP_REASON_TRAILING,   /* octets after End */
  /* with MADCAP_BAD */
  MADCAP_REASON_TYPE,       /* unknown message type */
  MADCAP_REASON_FAMILY,     /* the header's address family is neither IPv4 nor IPv6 */
  MADCAP_REASON_DUPLICATE,
  MADCAP_REASON_LENGTH,     /* the option's length is not one it may have */
  MADCAP_REASON_CONTENT,    /* the option's content breaks a MUST of its definition */
  MADCAP_REASON_MISSING,    /* a required option is not there */
  MADCAP_REASON_FORBIDDEN,  /* the option may not be in this message */
  /* from the encoder only */
  MADCAP_REASON_FIT,        /* a value or count is too large for its field */
  MADCAP_REASON_SPACE,      /* the buffer is full */
} MadcapReason;

typedef struct {
  MadcapReason reason;
  uint16_t option;          /* the one at fault, or MADCAP_NO_OPTION */
  size_t offset;            /* where in the datagram; 0 where something is missing */
  size_t item;              /* encoder, reason FIT: index of the scope, range or feature */
} MadcapFault;

typedef struct {
  const uint8_t *data;
  size_t length;
} MadcapView;

/* A decoded message. A field has a meaning only where madcap_has(msg, its option). Times are the
   32 wire bits: seconds, or seconds since 1970 (until 2106). */
typedef struct {
  uint8_t version;
  uint8_t type;             /* MadcapType, or what else was there */
  uint16_t raw_family;      /* the header's addrfamily */
  MalFamily family;         /* the same, MAL_FAMILY_NONE where unknown */
  uint32_t xid;
  uint32_t present;         /* bit n: option n is there and well formed */
  uint32_t lease_time;
  uint16_t server_family;   /* the Server Identifier's own address family */
  MalAddress server_id;     /* MAL_FAMILY_NONE, which equals no address, where that is unknown */
  MadcapView lease_id;      /* also after MADCAP_BAD, where the message has one (for the NAK) */
  MalAddress scope;
  MadcapView request_list;  /* 16-bit codes: madcap_codes_at */
  uint32_t start_time;
  uint16_t min_addresses;
  uint16_t desired_addresses;
  MadcapView language;
  MadcapView scope_list;    /* madcap_scopes */
  MadcapView ranges;        /* madcap_ranges */
  uint32_t current_time;
  MadcapView supported;     /* feature codes: madcap_codes_have */
  MadcapView requested;
  MadcapView required;
  uint32_t retry_time;
  uint32_t min_lease_time;
  uint32_t max_start_time;
  uint16_t error_code;
  MadcapView error_data;
  uint8_t nesting_count;
  MadcapView nesting;       /* madcap_nests */
  bool nesting_ignored;     /* its count is not the scope list's: to be ignored (RFC 2907 5) */
} MadcapMessage;

/* What a message's kind depends on beyond its type. */
typedef struct {
  MadcapType answers;       /* for ACK: the type it answers (GETINFO, REQUEST, RENEW, RELEASE) */
  bool multicast;           /* for REQUEST: it was, or will be, sent to a multicast address */
} MadcapContext;

/* ---- decoding -------------------------------------------------------------------------------- */

/* Fills OUT from the datagram. Looks at syntax first (MADCAP_IGNORE, OUT holds at most the header),
   then at message type, header family, each option in the order of the datagram, and last at what
   one option asks of another (Current Time beside Start, Maximum Start or Retry Time, RFC 2730
   2.12; scope list beside nesting state, RFC 2907 3.3). FAULT (may be NULL) names the first fault;
   after MADCAP_BAD the header and the lease identifier are good for a NAK.
   Unknown options count as not there, repeated ones too. OFFER, ACK and NAK are decoded as well:
   a server never answers those, whatever the outcome. */
MadcapOutcome madcap_decode(const void *data, size_t length, MadcapMessage *out,
                            MadcapFault *fault);

/* Table 5: whether the options are those that this kind of message must and may have; false with
   the lowest-numbered missing or forbidden option in FAULT (may be NULL). An ACK that answers
   something else than GETINFO, REQUEST, RENEW or RELEASE has no options that it may have. */
bool madcap_check(const MadcapMessage *msg, MadcapContext context, MadcapFault *fault);

typedef enum {
  MADCAP_FORBIDDEN,
  MADCAP_ALLOWED,
  MADCAP_REQUIRED,
} MadcapRule;
/* One cell of table 5, "MUST (if multicast)" resolved by CONTEXT. Unknown options are allowed. */
MadcapRule madcap_rule(MadcapType type, MadcapContext context, uint16_t option);

static inline bool madcap_has(const MadcapMessage *msg, MadcapOption option)
{
  return (msg->present >> option & 1u) != 0;
}
bool madcap_type_known(unsigned type);
bool madcap_type_from_server(unsigned type);  /* OFFER, ACK, NAK */

/* ---- lists inside a message ------------------------------------------------------------------ */

/* The 16-bit codes of request_list, supported, requested, required, and error_data of code 4. */
size_t madcap_codes_count(MadcapView codes);
uint16_t madcap_codes_at(MadcapView codes, size_t index);
bool madcap_codes_have(MadcapView codes, uint16_t code);
/* Whether the message asks for OPTION in its Option Request List. */
bool madcap_requests(const MadcapMessage *msg, MadcapOption option);
/* Whether FEATURE is in any of the three lists (RFC 2730 3.13: else a server may not use it). */
bool madcap_feature_mentioned(const MadcapMessage *msg, MadcapFeature feature);

typedef struct {
  MalReader reader;
  MalFamily family;
} MadcapRangeIter;
MadcapRangeIter madcap_ranges(const MadcapMessage *msg);
bool madcap_ranges_next(MadcapRangeIter *iter, MalBlock *out);
size_t madcap_ranges_count(const MadcapMessage *msg);     /* blocks */
uint64_t madcap_ranges_total(const MadcapMessage *msg);   /* addresses */

typedef struct {
  MalAddress first, last;
  uint8_t ttl;
  uint8_t n_names;
  MadcapView names;         /* madcap_names */
} MadcapScopeView;
typedef struct {
  MadcapView language;      /* never empty */
  MadcapView name;          /* never empty, valid UTF-8 without NUL */
  bool is_default;          /* to be used where no name is in a desired language */
} MadcapNameView;
typedef struct {
  MalReader reader;
  MalFamily family;
  unsigned left;
} MadcapScopeIter;
typedef struct {
  MalReader reader;
  unsigned left;
} MadcapNameIter;
MadcapScopeIter madcap_scopes(const MadcapMessage *msg);
bool madcap_scopes_next(MadcapScopeIter *iter, MadcapScopeView *out);
size_t madcap_scopes_count(const MadcapMessage *msg);
MadcapNameIter madcap_names(const MadcapScopeView *scope);
bool madcap_names_next(MadcapNameIter *iter, MadcapNameView *out);

/* Whether scope X of the scope list nests inside scope Y, as the nesting state says; false also for
   "indeterminate", for an index out of range, and where the state is absent or to be ignored. */
bool madcap_nests(const MadcapMessage *msg, size_t x, size_t y);

/* The option code in an Error option's extra data (codes 0 and 1), else false. */
bool madcap_error_option(const MadcapMessage *msg, uint16_t *option);
/* The server's time in an Error option's extra data (code 2), else false. */
bool madcap_error_time(const MadcapMessage *msg, uint32_t *time);

/* ---- encoding -------------------------------------------------------------------------------- */

/* Errors stick; the first stands in fault. A put that table 5 forbids, a second put of the same
   option, or a value that breaks the option's definition fails. Options stand in the message in the
   order of the calls; ascending codes are the custom here. */
typedef struct {
  MalWriter writer;
  MadcapType type;
  MadcapContext context;
  MalFamily family;
  uint32_t present;
  size_t n_scopes;          /* in the scope list, which the nesting state has to match */
  bool failed;
  MadcapFault fault;
} MadcapEncoder;

typedef struct {
  const char *language;     /* 1 to 255 octets */
  const char *name;         /* 1 to 255 octets of UTF-8 */
  bool is_default;
} MadcapName;
typedef struct {
  MalAddress first, last;   /* of the message's family */
  uint8_t ttl;
  const MadcapName *names;
  size_t n_names;           /* at most 255 */
} MadcapScope;
typedef bool (*MadcapNestsFunc)(size_t x, size_t y, void *data);

/* Writes into BUFFER, which the caller keeps; FAMILY is the header's and that of all addresses but
   the server identifier. A NAK takes any number, so that it can echo a family that nobody knows:
   (MalFamily)msg.raw_family. */
MadcapEncoder madcap_encoder(void *buffer, size_t capacity, MadcapType type, MadcapContext context,
                             MalFamily family, uint32_t xid);
void madcap_put_lease_time(MadcapEncoder *e, uint32_t seconds);
void madcap_put_server_id(MadcapEncoder *e, MalAddress server);
void madcap_put_lease_id(MadcapEncoder *e, const void *id, size_t length);
void madcap_put_scope(MadcapEncoder *e, MalAddress first_of_scope);
void madcap_put_request_list(MadcapEncoder *e, const uint16_t *options, size_t count);
void madcap_put_start_time(MadcapEncoder *e, uint32_t time);
void madcap_put_number(MadcapEncoder *e, uint16_t min, uint16_t desired);
void madcap_put_language(MadcapEncoder *e, const void *tag, size_t length);
void madcap_put_scope_list(MadcapEncoder *e, const MadcapScope *scopes, size_t count);
/* No blocks: the empty list of the Retry After feature. A block of more than 65,535 addresses goes
   out as several ranges. */
void madcap_put_ranges(MadcapEncoder *e, const MalBlock *blocks, size_t count);
void madcap_put_current_time(MadcapEncoder *e, uint32_t time);
void madcap_put_features(MadcapEncoder *e, const uint16_t *supported, size_t n_supported,
                         const uint16_t *requested, size_t n_requested,
                         const uint16_t *required, size_t n_required);
void madcap_put_retry_time(MadcapEncoder *e, uint32_t time);
void madcap_put_min_lease_time(MadcapEncoder *e, uint32_t seconds);
void madcap_put_max_start_time(MadcapEncoder *e, uint32_t time);
void madcap_put_error(MadcapEncoder *e, uint16_t code, const void *extra, size_t length);
void madcap_put_error_option(MadcapEncoder *e, MadcapErrorCode code, uint16_t option);
void madcap_put_error_clock_skew(MadcapEncoder *e, uint32_t server_time);
void madcap_put_error_features(MadcapEncoder *e, const uint16_t *features, size_t count);
/* NESTS(x, y, data) for every x != y below COUNT, which is the scope list's; after that list. */
void madcap_put_nesting(MadcapEncoder *e, size_t count, MadcapNestsFunc nests, void *data);
/* Any option as raw bytes, checked for duplicates and table 5 only: for what was decoded before,
   for tests, and for options to come. */
void madcap_put_raw(MadcapEncoder *e, uint16_t option, const void *data, size_t length);

/* Writes the End option; returns the message's length, or 0 where anything failed or an option that
   table 5 requires is missing. One exception: a NAK may lack the lease identifier, since the
   message that it answers may have had none. */
size_t madcap_finish(MadcapEncoder *e);

/* A whole message from the fields of MSG, options in ascending order; 0 and FAULT (may be NULL)
   where it can't be. */
size_t madcap_encode(const MadcapMessage *msg, MadcapContext context, void *buffer, size_t capacity,
                     MadcapFault *fault);

/* Octets that a scope takes in the scope list; 0 where it breaks a limit. */
size_t madcap_scope_octets(const MadcapScope *scope);
/* Octets of the nesting matrix of COUNT scopes: COUNT * ceil((COUNT - 1) / 8). */
size_t madcap_nesting_octets(size_t count);

/* ---- names ----------------------------------------------------------------------------------- */

/* Never NULL; "unknown ..." for numbers without a name. */
const char *madcap_type_name(unsigned type);          /* "DISCOVER" */
const char *madcap_option_name(unsigned option);      /* "Lease Time"; "no option" for 0xFFFF */
const char *madcap_error_name(unsigned code);         /* "Invalid Request" */
const char *madcap_feature_name(unsigned feature);    /* "Retry After" */
const char *madcap_reason_name(MadcapReason reason);  /* "option is there twice" */

/* One line of text for people, cut where OUT is too small; returns OUT. Octets of the peer that
   aren't printable ASCII are escaped. */
const char *madcap_describe(const MadcapMessage *msg, char *out, size_t size);
/* "Start Time (option 6): ...reason..." */
const char *madcap_fault_describe(const MadcapFault *fault, char *out, size_t size);

G_END_DECLS
#endif
