/* What RFC 2730 prints as tables: names and numbers, and table 5, which options stand in which
   message. Table 5 is here once; decoding, checking and encoding all ask madcap_rule. */
#include "madcap-wire.h"

/* The columns of table 5, in its order. */
typedef enum {
  COLUMN_GETINFO,
  COLUMN_ACK_GETINFO,
  COLUMN_DISCOVER,
  COLUMN_OFFER,
  COLUMN_REQUEST,
  COLUMN_ACK_REQUEST,
  COLUMN_RENEW,
  COLUMN_ACK_RENEW,
  COLUMN_RELEASE,
  COLUMN_ACK_RELEASE,
  COLUMN_NAK,
  N_COLUMNS,
} Column;

/* '-' MUST NOT, 'o' MAY, '+' MUST, 'm' MUST if multicast and else MAY (RFC 2730 2.2.4). End is
   3.1's, nesting state RFC 2907 3.3's; neither is in the RFC's table. */
static const struct {
  const char *name;
  char rules[N_COLUMNS + 1];
} options[MADCAP_N_OPTIONS] = {
  /*                                                               GETINFO   REQUEST  RELEASE
                                                                   |ACK      |ACK     |ACK
                                                                   ||DISCOVER||RENEW  ||NAK
                                                                   |||OFFER  |||ACK   |||  */
  [MADCAP_OPTION_END] =            { "End",                           "+++++++++++" },
  [MADCAP_OPTION_LEASE_TIME] =     { "Lease Time",                    "--o+o+o+---" },
  [MADCAP_OPTION_SERVER_ID] =      { "Server Identifier",             "-+-+m+-+-++" },
  [MADCAP_OPTION_LEASE_ID] =       { "Lease Identifier",              "+++++++++++" },
  [MADCAP_OPTION_SCOPE] =          { "Multicast Scope",               "--++++-+---" },
  [MADCAP_OPTION_REQUEST_LIST] =   { "Option Request List",           "+----------" },
  [MADCAP_OPTION_START_TIME] =     { "Start Time",                    "--oooooo---" },
  [MADCAP_OPTION_NUMBER] =         { "Number of Addresses Requested", "--o-o------" },
  [MADCAP_OPTION_LANGUAGE] =       { "Requested Language",            "o----------" },
  [MADCAP_OPTION_SCOPE_LIST] =     { "Multicast Scope List",          "-o---------" },
  [MADCAP_OPTION_RANGES] =         { "List of Address Ranges",        "--ooo+-+---" },
  [MADCAP_OPTION_CURRENT_TIME] =   { "Current Time",                  "-ooooooo---" },
  [MADCAP_OPTION_FEATURES] =       { "Feature List",                  "ooooooooooo" },
  [MADCAP_OPTION_RETRY_TIME] =     { "Retry Time",                    "-----o-o---" },
  [MADCAP_OPTION_MIN_LEASE_TIME] = { "Minimum Lease Time",            "--o-o-o----" },
  [MADCAP_OPTION_MAX_START_TIME] = { "Maximum Start Time",            "--o-o-o----" },
  [MADCAP_OPTION_ERROR] =          { "Error",                         "----------+" },
  [MADCAP_OPTION_NESTING] =        { "Multicast Scope Nesting State", "-o---------" },
};

static bool column_of_ack(MadcapType answers, Column *out)
{
  switch (answers) {
  case MADCAP_GETINFO:
    *out = COLUMN_ACK_GETINFO;
    return true;
  case MADCAP_REQUEST:
    *out = COLUMN_ACK_REQUEST;
    return true;
  case MADCAP_RENEW:
    *out = COLUMN_ACK_RENEW;
    return true;
  case MADCAP_RELEASE:
    *out = COLUMN_ACK_RELEASE;
    return true;
  default:
    return false;
  }
}

static bool column_of(MadcapType type, MadcapContext context, Column *out)
{
  static const Column plain[] = {
    [MADCAP_DISCOVER] = COLUMN_DISCOVER, [MADCAP_OFFER] = COLUMN_OFFER,
    [MADCAP_REQUEST] = COLUMN_REQUEST,   [MADCAP_RENEW] = COLUMN_RENEW,
    [MADCAP_ACK] = COLUMN_ACK_REQUEST,   [MADCAP_NAK] = COLUMN_NAK,
    [MADCAP_RELEASE] = COLUMN_RELEASE,   [MADCAP_GETINFO] = COLUMN_GETINFO,
  };
  if (!madcap_type_known(type))
    return false;
  if (type == MADCAP_ACK)
    return column_of_ack(context.answers, out);
  *out = plain[type];
  return true;
}

MadcapRule madcap_rule(MadcapType type, MadcapContext context, uint16_t option)
{
  Column column;
  if (option >= MADCAP_N_OPTIONS)
    return MADCAP_ALLOWED;
  if (!column_of(type, context, &column))
    return option == MADCAP_OPTION_END ? MADCAP_REQUIRED : MADCAP_FORBIDDEN;
  switch (options[option].rules[column]) {
  case '+':
    return MADCAP_REQUIRED;
  case 'm':
    return context.multicast ? MADCAP_REQUIRED : MADCAP_ALLOWED;
  case 'o':
    return MADCAP_ALLOWED;
  default:
    return MADCAP_FORBIDDEN;
  }
}

bool madcap_check(const MadcapMessage *msg, MadcapContext context, MadcapFault *fault)
{
  for (uint16_t option = 1; option < MADCAP_N_OPTIONS; option++) {
    MadcapRule rule = madcap_rule((MadcapType)msg->type, context, option);
    bool there = madcap_has(msg, (MadcapOption)option);
    if (rule == MADCAP_REQUIRED ? there : !there || rule == MADCAP_ALLOWED)
      continue;
    if (fault != NULL)
      *fault = (MadcapFault){
        .reason = there ? MADCAP_REASON_FORBIDDEN : MADCAP_REASON_MISSING,
        .option = option,
      };
    return false;
  }
  return true;
}

bool madcap_type_known(unsigned type)
{
  return type >= MADCAP_DISCOVER && type <= MADCAP_GETINFO;
}

bool madcap_type_from_server(unsigned type)
{
  return type == MADCAP_OFFER || type == MADCAP_ACK || type == MADCAP_NAK;
}

const char *madcap_type_name(unsigned type)
{
  static const char *const names[] = {
    [MADCAP_DISCOVER] = "DISCOVER", [MADCAP_OFFER] = "OFFER", [MADCAP_REQUEST] = "REQUEST",
    [MADCAP_RENEW] = "RENEW",       [MADCAP_ACK] = "ACK",     [MADCAP_NAK] = "NAK",
    [MADCAP_RELEASE] = "RELEASE",   [MADCAP_GETINFO] = "GETINFO",
  };
  return madcap_type_known(type) ? names[type] : "unknown message type";
}

const char *madcap_option_name(unsigned option)
{
  if (option == MADCAP_NO_OPTION)
    return "no option";
  return option < MADCAP_N_OPTIONS ? options[option].name : "unknown option";
}

const char *madcap_error_name(unsigned code)
{
  static const char *const names[] = {
    [MADCAP_ERROR_NOT_COMPLETED] = "Valid Request Could Not Be Completed",
    [MADCAP_ERROR_INVALID_REQUEST] = "Invalid Request",
    [MADCAP_ERROR_CLOCK_SKEW] = "Excessive Clock Skew",
    [MADCAP_ERROR_LEASE_ID_UNKNOWN] = "Lease Identifier Not Recognized",
    [MADCAP_ERROR_FEATURE_UNSUPPORTED] = "Required Feature Not Supported",
  };
  if (code >= 1024 && code <= 2047)
    return "experimental error";
  return code < G_N_ELEMENTS(names) ? names[code] : "unknown error";
}

const char *madcap_feature_name(unsigned feature)
{
  static const char *const names[] = {
    [MADCAP_FEATURE_SERVER_MOBILITY] = "Server Mobility",
    [MADCAP_FEATURE_RETRY_AFTER] = "Retry After",
    [MADCAP_FEATURE_SHARED_LEASE_ID] = "Shared Lease Identifier",
  };
  return feature < G_N_ELEMENTS(names) ? names[feature] : "unknown feature";
}

const char *madcap_reason_name(MadcapReason reason)
{
  static const char *const names[] = {
    [MADCAP_REASON_NONE] = "no fault",
    [MADCAP_REASON_SHORT] = "message is shorter than 12 octets",
    [MADCAP_REASON_VERSION] = "version is not 0",
    [MADCAP_REASON_TRUNCATED] = "option runs past the end of the message",
    [MADCAP_REASON_NO_END] = "no proper End option",
    [MADCAP_REASON_TRAILING] = "octets after the End option",
    [MADCAP_REASON_TYPE] = "unknown message type",
    [MADCAP_REASON_FAMILY] = "unknown address family",
    [MADCAP_REASON_DUPLICATE] = "option is there twice",
    [MADCAP_REASON_LENGTH] = "option has a wrong length",
    [MADCAP_REASON_CONTENT] = "option has a wrong content",
    [MADCAP_REASON_MISSING] = "option is required and missing",
    [MADCAP_REASON_FORBIDDEN] = "option is not allowed in this message",
    [MADCAP_REASON_FIT] = "too large for its field",
    [MADCAP_REASON_SPACE] = "no space left in the message",
  };
  return (size_t)reason < G_N_ELEMENTS(names) ? names[reason] : "unknown reason";
}
