/* MASC messages (RFC 2909 sections 7 and 8): octets of a stream to messages, messages to structs
   and back. Total, without allocation, clock or log. What is wrong with a message comes out as the
   NOTIFICATION that section 8 wants for it, down to its Data. */
#ifndef MASC_WIRE_H
#define MASC_WIRE_H

#include "core/address.h"
#include "core/api.h"
#include "core/wire.h"

G_BEGIN_DECLS

#define MASC_PORT 2587
#define MASC_VERSION 1
#define MASC_HEADER_LENGTH 4
#define MASC_MAX_LENGTH 4096            /* of a message, with its header (section 7) */
#define MASC_OPEN_MIN 20
#define MASC_UPDATE_MIN 40
#define MASC_NOTIFICATION_MIN 6
#define MASC_MAX_DATA (MASC_MAX_LENGTH - MASC_NOTIFICATION_MIN)
#define MASC_MAX_CLAIMS 113             /* IPv4 ones in one UPDATE; 48 of IPv6 */
#define MASC_OPTIONAL_ATTRIBUTE 128     /* from here on who doesn't know one ignores it (7.3) */
#define MASC_TLD_ID 0                   /* Parent Domain Identifier of who has no parent (6) */
#define MASC_HOLDTIME 240               /* seconds, as the next three: defaults of section 6 */
#define MASC_HOLD_TIME_MIN 3            /* or 0: no timer (7.2) */
#define MASC_WAITING_PERIOD 172800
#define MASC_INITIATE_CLAIM_DELAY 600
#define MASC_DESCRIPTION_SIZE 512

/* section 7.1 */
typedef enum {
  MASC_OPEN = 1,
  MASC_UPDATE = 2,
  MASC_NOTIFICATION = 3,
  MASC_KEEPALIVE = 4,
} MascType;

/* Of the sender to the receiver (7.2, section 4), or of a claim's origin to the sender (7.3). */
typedef enum {
  MASC_INTERNAL = 0,
  MASC_CHILD = 1,
  MASC_SIBLING = 2,
  MASC_PARENT = 3,
} MascRole;
#define MASC_N_ROLES 4

/* section 7.3 */
typedef enum {
  MASC_PREFIX_IN_USE = 0,
  MASC_CLAIM_DENIED = 1,
  MASC_CLAIM_TO_EXPAND = 2,
  MASC_NEW_CLAIM = 3,
  MASC_PREFIX_MANAGED = 4,
  MASC_WITHDRAW = 5,
} MascClaimType;
#define MASC_N_CLAIM_TYPES 6

/* Error codes (7.5). Subcode 0 is "Unspecific" in each. */
typedef enum {
  MASC_ERROR_NONE = 0,
  MASC_ERROR_HEADER = 1,
  MASC_ERROR_OPEN = 2,
  MASC_ERROR_UPDATE = 3,
  MASC_ERROR_HOLD_TIMER = 4,
  MASC_ERROR_FSM = 5,
  MASC_ERROR_NOTIFICATION = 6,
  MASC_ERROR_CEASE = 7,
} MascErrorCode;
#define MASC_N_ERROR_CODES 8

#define MASC_UNSPECIFIC 0

typedef enum {
  MASC_HEADER_BAD_LENGTH = 1,
  MASC_HEADER_BAD_TYPE = 2,
} MascHeaderError;

typedef enum {
  MASC_OPEN_VERSION = 1,
  MASC_OPEN_DOMAIN = 2,
  MASC_OPEN_NODE = 3,
  MASC_OPEN_HOLD_TIME = 6,
  MASC_OPEN_PARENT_CONFIGURATION = 7,
  MASC_OPEN_ROLE = 8,
  MASC_OPEN_PARENT_DOMAIN = 9,
  MASC_OPEN_NO_COMMON_PARENT = 10,
  MASC_OPEN_FAMILY = 13,
} MascOpenError;

typedef enum {
  MASC_UPDATE_MALFORMED = 1,
  MASC_UPDATE_UNRECOGNIZED = 2,
  MASC_UPDATE_LENGTH = 5,
  MASC_UPDATE_ADDRESS = 10,
  MASC_UPDATE_MASK = 11,
  MASC_UPDATE_NON_CONTIGUOUS = 12,
  MASC_UPDATE_FAMILY = 13,
  MASC_UPDATE_CLAIM_TYPE = 14,
  MASC_UPDATE_ORIGIN_DOMAIN = 15,
  MASC_UPDATE_ORIGIN_NODE = 16,
  MASC_UPDATE_LIFETIME_SHORT = 17,
  MASC_UPDATE_LIFETIME_LONG = 18,
  MASC_UPDATE_TIMESTAMP_OLD = 19,
  MASC_UPDATE_TIMESTAMP_NEW = 20,
  MASC_UPDATE_PREFIX_SMALL = 21,
  MASC_UPDATE_PREFIX_LARGE = 22,
  MASC_UPDATE_ORIGIN_ROLE = 23,
  MASC_UPDATE_NO_PARENT_PREFIX = 24,
  MASC_UPDATE_NO_CHILD_PREFIX = 25,
  MASC_UPDATE_NO_INTERNAL_PREFIX = 26,
  MASC_UPDATE_NO_SIBLING_PREFIX = 27,
  MASC_UPDATE_HOLDTIME_SHORT = 28,
  MASC_UPDATE_HOLDTIME_LONG = 29,
} MascUpdateError;

typedef enum {
  MASC_FSM_CONNECTION = 1,
  MASC_FSM_MESSAGE_TYPE = 2,
} MascFsmError;

/* Of a domain or a node: an unsigned integer of 32 bits in an IPv4 message, of 128 in an IPv6 one,
   so that AS 64501 is the same in both (7.2). */
typedef MalU128 MascId;

typedef struct {
  MalFamily family;         /* says only how long the identifiers are */
  MascRole role;            /* what the sender is to the receiver */
  uint16_t hold_time;       /* seconds; 0: no timer */
  MascId domain;
  MascId node;
  MascId parent;            /* looked at for INTERNAL and SIBLING only */
} MascOpen;

/* Any of the six attributes; RFC 2909 calls the first four CLAIMs. */
typedef struct {
  MascClaimType type;
  MascRole role;            /* what the origin is to the sender */
  bool deprecated;          /* D-bit (4.3) */
  uint32_t timestamp;       /* seconds since 1970, in the origin's clock; masc-limits.h */
  uint32_t lifetime;        /* seconds from then until the prefix is free */
  uint32_t holdtime;        /* seconds from then until the claim is forgotten */
  MascId domain;            /* the origin's */
  MascId node;
  MalPrefix prefix;         /* with the claim's family; address 0: a hint (11.5) */
} MascClaim;

/* Decoded: OCTETS, to be read by a cursor. To be encoded: CLAIMS, one at least. Views. */
typedef struct {
  const uint8_t *octets;    /* in the message */
  size_t length;
  const MascClaim *claims;
  size_t n_claims;
} MascUpdate;

typedef struct {
  uint8_t code;             /* MascErrorCode */
  uint8_t subcode;
  bool open;                /* O-bit: the sender keeps the connection open */
  const uint8_t *data;      /* a view */
  size_t length;
} MascNotification;

typedef struct {
  MascType type;
  union {
    MascOpen open;
    MascUpdate update;
    MascNotification notification;
  };
} MascMessage;

/* What is wrong with a message, as the answer to it. By value; masc_answer() turns it into octets,
   for which it needs the message once more. */
typedef struct {
  uint8_t code;             /* MascErrorCode; MASC_ERROR_NONE: nothing is wrong */
  uint8_t subcode;
  bool must_close;          /* the connection has to be closed; else that is up to us (7.5) */
  bool silent;              /* not to be answered: close, and tell the operator (8.6) */
  bool has_octet;           /* Data is .octet, and not a piece of the message */
  uint8_t octet;
  uint16_t data_offset;     /* Data: which octets of the message */
  uint16_t data_length;
  size_t offset;            /* where in the message it is wrong */
} MascFault;

/* ---- the stream ------------------------------------------------------------------------------ */

/* One direction of a connection; starts as zeros. About 4 KiB, and never grows. */
typedef struct {
  uint8_t octets[MASC_MAX_LENGTH];
  size_t used;
  bool delivered;           /* what is in OCTETS was handed out */
  bool lost;
} MascDeframer;

typedef enum {
  MASC_FRAME_MORE,          /* all of DATA is taken; no message is whole */
  MASC_FRAME_MESSAGE,       /* one whole message; there may be more in DATA */
  MASC_FRAME_LOST,          /* the Length is impossible: nobody knows where the next one starts */
} MascFrame;

/* Takes octets from *DATA, which it moves on, as far as one message reaches. MESSAGE is a view into
   the deframer until the next call. After LOST, which stays, it is the header at fault: both it and
   a whole message go to masc_decode. */
MascFrame masc_deframe(MascDeframer *d, const uint8_t **data, size_t *left, const uint8_t **message,
                       size_t *length);

/* ---- decoding -------------------------------------------------------------------------------- */

/* Reads one message of exactly LENGTH octets. False with FAULT (may be NULL) where it has to be
   refused as a whole. Of an UPDATE it reads everything that could close the connection; the rest is
   a matter of single attributes and comes from the cursor. Where an erroneous NOTIFICATION has a
   code and a subcode, OUT has them all the same. OUT points into DATA. */
bool masc_decode(const void *data, size_t length, MascMessage *out, MascFault *fault);

typedef enum {
  MASC_NEXT_END,
  MASC_NEXT_CLAIM,
  MASC_NEXT_REFUSED,        /* this attribute is wrong; the others stand (FAULT says why) */
} MascNext;

typedef struct {
  MalReader reader;
  size_t offset, length;    /* the attribute that came last, in the message */
} MascCursor;

/* Over the attributes of an UPDATE that masc_decode took. */
MascCursor masc_cursor(const MascUpdate *update);
/* Passes over attributes that are to be ignored. CLAIM is filled for MASC_NEXT_CLAIM alone. FAULT
   must not be NULL. */
MascNext masc_cursor_next(MascCursor *cursor, MascClaim *claim, MascFault *fault);
/* The attribute that came last, refused on grounds that the codec does not know. */
MascFault masc_cursor_fault(const MascCursor *cursor, MascUpdateError subcode);

/* What the decoder asks of a claim, whatever it came from: 0 or a MascUpdateError. */
uint8_t masc_claim_check(const MascClaim *claim);
/* Length of the contiguous MASK; false with *SUBCODE where it isn't one that MASC may have. */
bool masc_mask_length(MalFamily family, MalU128 mask, unsigned *length, uint8_t *subcode);
MalU128 masc_mask(MalFamily family, unsigned length);
/* A child's hint that it needs more space (11.5): address 0. */
bool masc_claim_is_hint(const MascClaim *claim);

/* ---- encoding -------------------------------------------------------------------------------- */

typedef enum {
  MASC_REASON_NONE,
  MASC_REASON_TYPE,         /* no such message */
  MASC_REASON_REFUSED,      /* the decoder would refuse it, with this code and subcode */
  MASC_REASON_FIT,          /* an identifier is too long for the family */
  MASC_REASON_SPACE,        /* the buffer is full, or the message longer than 4096 octets */
} MascReason;
#define MASC_N_REASONS (MASC_REASON_SPACE + 1)

typedef struct {
  MascReason reason;
  uint8_t code, subcode;
  size_t item;              /* index of the claim at fault */
} MascRefusal;

/* Writes MSG into BUFFER; its length, or 0 with WHY (may be NULL). Never writes what the decoder
   would refuse. */
size_t masc_encode(const MascMessage *msg, void *buffer, size_t capacity, MascRefusal *why);
/* How many of the first of N claims fit into one UPDATE. */
size_t masc_claims_fit(const MascClaim *claims, size_t n);
/* The NOTIFICATION that answers FAULT of MESSAGE, with its Data cut to what a message holds.
   KEEP_OPEN counts only where the connection need not be closed. 0 where it is not to be answered,
   or does not fit. */
size_t masc_answer(const MascFault *fault, const void *message, size_t length, bool keep_open,
                   void *buffer, size_t capacity);
/* Identifiers one after the other, as the Data of some OPEN errors has them (8.2); 0 where they are
   too many, or too long for the family. */
size_t masc_encode_ids(MalFamily family, const MascId *ids, size_t n, void *buffer,
                       size_t capacity);
/* Reads that back: at most MOST of them; how many there are. */
size_t masc_decode_ids(MalFamily family, const void *data, size_t length, MascId *ids, size_t most);

/* ---- tables ---------------------------------------------------------------------------------- */

/* Whether RFC 2909 7.5 has this code with this subcode. */
bool masc_error_known(unsigned code, unsigned subcode);
/* (MC) of 7.5. What is not known must close, too. */
bool masc_error_must_close(unsigned code, unsigned subcode);
/* Whether an origin of that role may send that type (8.3). */
bool masc_origin_may(MascRole origin, MascClaimType type);
/* Table 1 (11.1): ORIGIN as it stands in the attribute, LOCAL our configured role to the peer.
   False for "---": that is MASC_UPDATE_ORIGIN_ROLE. */
bool masc_role_updated(MascRole origin, MascRole local, MascRole *out);
/* What the other end must be if we are ROLE. */
MascRole masc_role_of_peer(MascRole role);

/* ---- names ----------------------------------------------------------------------------------- */

/* Never NULL; "unknown" for numbers without a name. */
const char *masc_type_name(unsigned type);              /* "OPEN" */
const char *masc_claim_type_name(unsigned type);        /* "NEW_CLAIM" */
const char *masc_role_name(unsigned role);              /* "child" */
const char *masc_reason_name(MascReason reason);
const char *masc_error_name(unsigned code);             /* "UPDATE Message Error" */
const char *masc_subcode_name(unsigned code, unsigned subcode);   /* "Invalid Mask field" */
/* A number where it is below 2^24, as most AS numbers are and no address is; else an address. */
const char *masc_id_format(MascId id, char out[MAL_ADDRESS_STRLEN]);
/* One line for people, cut where OUT is too small; both return OUT. */
const char *masc_describe(const MascMessage *msg, char *out, size_t size);
const char *masc_describe_claim(const MascClaim *claim, char *out, size_t size);

G_END_DECLS
#endif
