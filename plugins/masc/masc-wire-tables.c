/* What RFC 2909 gives as tables: errors (7.5), who may originate what (8.3), whose role becomes
   which (11.1). */
#include "masc-wire.h"

typedef struct {
  uint8_t code, subcode;
  bool must_close;
  const char *name;
} ErrorRow;

#define MC true
#define CC false
static const ErrorRow errors[] = {
  { MASC_ERROR_HEADER, MASC_UNSPECIFIC, MC, "Unspecific" },
  { MASC_ERROR_HEADER, MASC_HEADER_BAD_LENGTH, MC, "Bad Message Length" },
  { MASC_ERROR_HEADER, MASC_HEADER_BAD_TYPE, CC, "Bad Message Type" },
  { MASC_ERROR_OPEN, MASC_UNSPECIFIC, MC, "Unspecific" },
  { MASC_ERROR_OPEN, MASC_OPEN_VERSION, MC, "Unsupported Version Number" },
  { MASC_ERROR_OPEN, MASC_OPEN_DOMAIN, MC, "Bad Peer Domain ID" },
  { MASC_ERROR_OPEN, MASC_OPEN_NODE, MC, "Bad Peer MASC Node ID" },
  { MASC_ERROR_OPEN, MASC_OPEN_HOLD_TIME, MC, "Unacceptable Hold Time" },
  { MASC_ERROR_OPEN, MASC_OPEN_PARENT_CONFIGURATION, MC, "Invalid Parent Configuration" },
  { MASC_ERROR_OPEN, MASC_OPEN_ROLE, MC, "Inconsistent Role" },
  { MASC_ERROR_OPEN, MASC_OPEN_PARENT_DOMAIN, MC, "Bad Parent Domain ID" },
  { MASC_ERROR_OPEN, MASC_OPEN_NO_COMMON_PARENT, MC, "No Common Parent" },
  { MASC_ERROR_OPEN, MASC_OPEN_FAMILY, MC, "Unrecognized Address Family" },
  { MASC_ERROR_UPDATE, MASC_UNSPECIFIC, MC, "Unspecific" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_MALFORMED, MC, "Malformed Attribute List" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_UNRECOGNIZED, CC, "Unrecognized Required Attribute" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_LENGTH, MC, "Attribute Length Error" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_ADDRESS, CC, "Invalid Address field" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_MASK, CC, "Invalid Mask field" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_NON_CONTIGUOUS, CC, "Non-Contiguous Mask" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_FAMILY, MC, "Unrecognized Address Family" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_CLAIM_TYPE, CC, "Claim Type Error" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_ORIGIN_DOMAIN, CC, "Origin Domain ID Error" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_ORIGIN_NODE, CC, "Origin Node ID Error" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_LIFETIME_SHORT, CC, "Claim Lifetime Too Short" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_LIFETIME_LONG, CC, "Claim Lifetime Too Long" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_TIMESTAMP_OLD, CC, "Claim Timestamp Too Old" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_TIMESTAMP_NEW, CC, "Claim Timestamp Too New" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_PREFIX_SMALL, CC, "Claim Prefix Size Too Small" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_PREFIX_LARGE, CC, "Claim Prefix Size Too Large" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_ORIGIN_ROLE, CC, "Illegal Origin Role Error" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_NO_PARENT_PREFIX, CC, "No Appropriate Parent Prefix" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_NO_CHILD_PREFIX, CC, "No Appropriate Child Prefix" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_NO_INTERNAL_PREFIX, CC, "No Appropriate Internal Prefix" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_NO_SIBLING_PREFIX, CC, "No Appropriate Sibling Prefix" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_HOLDTIME_SHORT, CC, "Claim Holdtime Too Short" },
  { MASC_ERROR_UPDATE, MASC_UPDATE_HOLDTIME_LONG, CC, "Claim Holdtime Too Long" },
  { MASC_ERROR_HOLD_TIMER, MASC_UNSPECIFIC, MC, "Unspecific" },
  { MASC_ERROR_FSM, MASC_UNSPECIFIC, MC, "Unspecific" },
  { MASC_ERROR_FSM, MASC_FSM_CONNECTION, MC, "Open/Close MASC Connection FSM Error" },
  { MASC_ERROR_FSM, MASC_FSM_MESSAGE_TYPE, MC, "Unexpected Message Type FSM Error" },
  { MASC_ERROR_NOTIFICATION, MASC_UNSPECIFIC, MC, "Unspecific" },
  { MASC_ERROR_CEASE, MASC_UNSPECIFIC, MC, "Unspecific" },
};

static const ErrorRow *find(unsigned code, unsigned subcode)
{
  for (size_t i = 0; i < G_N_ELEMENTS(errors); i++)
    if (errors[i].code == code && errors[i].subcode == subcode)
      return &errors[i];
  return NULL;
}

bool masc_error_known(unsigned code, unsigned subcode)
{
  return find(code, subcode) != NULL;
}

bool masc_error_must_close(unsigned code, unsigned subcode)
{
  const ErrorRow *row = find(code, subcode);
  return row == NULL || row->must_close;
}

const char *masc_subcode_name(unsigned code, unsigned subcode)
{
  const ErrorRow *row = find(code, subcode);
  return row == NULL ? "unknown" : row->name;
}

/* ---- roles ----------------------------------------------------------------------------------- */

bool masc_origin_may(MascRole origin, MascClaimType type)
{
  static const uint8_t may[MASC_N_CLAIM_TYPES] = {
#define I (1u << MASC_INTERNAL)
#define C (1u << MASC_CHILD)
#define S (1u << MASC_SIBLING)
#define P (1u << MASC_PARENT)
    [MASC_PREFIX_IN_USE] = I | C | S,
    [MASC_CLAIM_DENIED] = I | P,
    [MASC_CLAIM_TO_EXPAND] = I | C | S,
    [MASC_NEW_CLAIM] = I | C | S,
    [MASC_PREFIX_MANAGED] = I | P,
    [MASC_WITHDRAW] = I | C | S | P,
#undef I
#undef C
#undef S
#undef P
  };
  if ((unsigned)type >= MASC_N_CLAIM_TYPES || (unsigned)origin >= MASC_N_ROLES)
    return false;
  return (may[type] >> origin & 1) != 0;
}

bool masc_role_updated(MascRole origin, MascRole local, MascRole *out)
{
  enum { NO = -1, I = MASC_INTERNAL, C = MASC_CHILD, S = MASC_SIBLING, P = MASC_PARENT };
  static const int8_t table[MASC_N_ROLES][MASC_N_ROLES] = {
    /* we are          an internal peer, a child,  a sibling, a parent */
    [MASC_INTERNAL] = { I,               P,        S,         C },
    [MASC_CHILD] =    { C,               S,        NO,        NO },
    [MASC_SIBLING] =  { S,               NO,       S,         C },
    [MASC_PARENT] =   { P,               NO,       P,         NO },
  };
  if ((unsigned)origin >= MASC_N_ROLES || (unsigned)local >= MASC_N_ROLES)
    return false;
  if (table[origin][local] == NO)
    return false;
  *out = (MascRole)table[origin][local];
  return true;
}

MascRole masc_role_of_peer(MascRole role)
{
  switch (role) {
  case MASC_CHILD:
    return MASC_PARENT;
  case MASC_PARENT:
    return MASC_CHILD;
  case MASC_INTERNAL:
  case MASC_SIBLING:
  default:
    return role;
  }
}
