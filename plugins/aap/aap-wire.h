/* AAP messages (draft-ietf-malloc-aap-04): bytes to a struct and back.
   Total, without allocation, clock or log. The codec reads exactly the octets that it is given and
   insists that the message ends where they end: what authentication appends is taken off before
   aap_decode and put on after aap_encode, by who does the authentication. */
#ifndef AAP_WIRE_H
#define AAP_WIRE_H

#include "core/address.h"
#include "core/api.h"
#include "core/wire.h"

G_BEGIN_DECLS

#define AAP_PORT 2878
#define AAP_VERSION 0
#define AAP_MIN_LENGTH 12           /* the header's 8 octets and Current Time (section 5.1) */
#define AAP_HEADER_LENGTH 8
#define AAP_BODY_OFFSET 12          /* what follows Current Time */
#define AAP_MAX_LENGTH 65535        /* what a receive buffer holds */
#define AAP_SEND_LIMIT 500          /* UDP payload of all that we send but ASA (3.2.2, 3.2.10.3) */
#define AAP_MAX_REPORTS 255         /* ranges of an ASRP, and so of an ASA that we send */
#define AAP_MAX_REQUESTS 255
#define AAP_MAX_RANGES 5460         /* the most that AAP_MAX_LENGTH octets hold */
#define AAP_RSEQ_MASK 0xFFFFFFu
#define AAP_IN_USE_MANY 0xFFFFFFFFu /* in-use count: more than 0xFFFFFFFE */
#define AAP_DESCRIPTION_SIZE 512

/* section 5.2 */
typedef enum {
  AAP_ACLM = 0,             /* Address Claim */
  AAP_AIU = 1,              /* Address In Use */
  AAP_AITU = 2,             /* Address Intent To Use */
  AAP_ASA = 3,              /* Address Space Announce */
  AAP_ASRP = 4,             /* Address Space Report */
  AAP_ANA = 5,              /* Address Not Available */
} AapType;
#define AAP_N_TYPES 6

/* Why a message is dropped (always silently and whole), or can't be encoded. Each is counted. */
typedef enum {
  AAP_REASON_NONE,
  AAP_REASON_SHORT,         /* under 12 octets (5.1) */
  AAP_REASON_VERSION,       /* not 0 (5.1.1) */
  AAP_REASON_TYPE,          /* above 5 (5.2) */
  AAP_REASON_FAMILY,        /* neither IPv4 nor IPv6 (5.1.3) */
  AAP_REASON_LENGTH,        /* not a length that this type may have (5.4) */
  AAP_REASON_ORDER,         /* first address of a range above its last */
  AAP_REASON_MULTICAST,     /* an address that isn't multicast */
  AAP_REASON_PREFIX,        /* IPv6: flags or scope value differ between first and last */
  AAP_REASON_COUNT,         /* ANA for no address */
  /* never from the decoder, which does not know the group, the scopes and the time */
  /* came on a group of the other family, or on none of AAP (aap-scope.h) */
  AAP_REASON_GROUP,
  AAP_REASON_SCOPES,        /* ranges in two scopes (2.1.3; aap-scope.h) */
  AAP_REASON_HORIZON,       /* ASA with an absurd Expiration Time (aap-time.h) */
  /* from the encoder only */
  AAP_REASON_FIT,           /* a value or count is too large for its field */
  AAP_REASON_SPACE,         /* the buffer is full */
} AapReason;
#define AAP_N_REASONS (AAP_REASON_SPACE + 1)

typedef struct {
  AapReason reason;
  size_t offset;            /* where in the datagram */
  size_t item;              /* index of the range or request at fault, else 0 */
} AapFault;

typedef struct {
  MalSpan span;
  uint32_t value;           /* end time (ACLM, AIU, AITU, ASA), or in-use count (ASRP) */
} AapRange;

typedef struct {
  uint32_t count;           /* addresses wanted */
  uint32_t end_time;        /* until when */
} AapRequest;

/* A message, to be sent or as received. Times are the raw 32 bits of the wire, in the sender's
   clock: seconds since 1970 (aap-time.h). Views: owns nothing. */
typedef struct {
  AapType type;
  MalFamily family;         /* of all addresses; an ANA's too, which has none */
  uint32_t rseq;            /* 24 bits */
  uint8_t mseq;
  uint32_t current_time;
  uint32_t expiration_time; /* ASA only */
  const AapRange *ranges;   /* as they came: unsorted, perhaps overlapping (aap-ranges.h) */
  size_t n_ranges;
  const AapRequest *requests;   /* ASRP: 0 to 255, count 0 allowed; ANA: exactly one */
  size_t n_requests;
  /* decoded only: the octets behind Current Time, for ASA comparison and */
  const uint8_t *body;
  size_t body_length;       /* resending (3.2.10.2); in the datagram */
} AapMessage;

/* Where the decoder puts what a message lists. About 440 KiB: one for a socket, on the heap. */
typedef struct {
  AapRange ranges[AAP_MAX_RANGES];
  AapRequest requests[AAP_MAX_REQUESTS];
} AapScratch;

/* ---- decoding -------------------------------------------------------------------------------- */

/* Fills OUT, which points into SCRATCH and DATA. False with the first thing wrong in FAULT (may be
   NULL), in the order of AapReason up to LENGTH, then of the octets; OUT then holds at most the
   header and no range. Checks what the octets alone show; aap_scope_decide() and aap_horizon_ok()
   check the rest. */
bool aap_decode(const void *data, size_t length, AapScratch *scratch, AapMessage *out,
                AapFault *fault);

/* What the decoder asks of a single range. */
AapReason aap_range_check(MalSpan span, MalFamily family);

/* ---- encoding -------------------------------------------------------------------------------- */

/* Octets that the message takes; 0 for a type or family that there is not. */
size_t aap_encoded_length(const AapMessage *msg);
/* Writes MSG into BUFFER; returns its length, or 0 with FAULT (may be NULL). Never writes what the
   decoder would refuse, nor more than CAPACITY octets: the limit of a message is what its caller
   gives. */
size_t aap_encode(const AapMessage *msg, void *buffer, size_t capacity, AapFault *fault);
/* The ASA with that body again (3.2.10.2): new header, CURRENT_TIME by aap_resend_time(). 0 where
   it does not fit. */
size_t aap_encode_resent(MalFamily family, uint32_t rseq, uint32_t current_time, const void *body,
                         size_t body_length, void *buffer, size_t capacity);

/* How many ranges a message of at most LIMIT octets holds beside N_REQUESTS requests. */
size_t aap_ranges_fit(AapType type, MalFamily family, size_t n_requests, size_t limit);
/* How many requests an ASRP of N_RANGES reports holds within LIMIT octets: at most 255, and never
   0, since reports are never left out and one request is kept whatever the length (3.2.10.3). */
size_t aap_requests_fit(MalFamily family, size_t n_ranges, size_t limit);

/* Ranges dealt out to as few ACLM, AIU or AITU of at most LIMIT octets as they need (3.2.2). Never
   for an ASA, which is whole or not at all (4.2.1). */
typedef struct {
  const AapRange *ranges;   /* the caller's; all of FAMILY */
  size_t n_ranges;
  size_t per_message;       /* 0: not one range fits, and there are no parts */
  size_t next;
} AapSplit;
AapSplit aap_split(AapType type, MalFamily family, const AapRange *ranges, size_t n_ranges,
                   size_t limit);
/* Puts the next part's ranges into MSG; false after the last. */
bool aap_split_next(AapSplit *split, AapMessage *msg);

/* ---- names ----------------------------------------------------------------------------------- */

/* Never NULL; "unknown" for numbers without a name. */
const char *aap_type_name(unsigned type);           /* "ACLM" */
const char *aap_reason_name(AapReason reason);      /* "range-order": also the counter's name */
/* One line for people, cut where OUT is too small; returns OUT. */
const char *aap_describe(const AapMessage *msg, char *out, size_t size);

G_END_DECLS
#endif
