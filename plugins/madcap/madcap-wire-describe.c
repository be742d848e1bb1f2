/* A message as one line for people: logs, and "shows the exchange as it goes". */
#include "madcap-wire.h"

#include <inttypes.h>

static void add_hex(MalLine *line, const char *label, MadcapView view)
{
  const size_t shown = MIN(view.length, 20);
  mal_line_add(line, "%s", label);
  for (size_t i = 0; i < shown; i++)
    mal_line_add(line, "%02x", view.data[i]);
  if (shown < view.length)
    mal_line_add(line, "... (%zu octets)", view.length);
}

/* Quotes and backslashes are escaped too, so that a peer can't end the quoted text. Octets above
   0x7f pass only where the caller knows them to be UTF-8. */
static void add_text(MalLine *line, MadcapView view, bool utf8)
{
  mal_line_add(line, "\"");
  for (size_t i = 0; i < view.length; i++) {
    uint8_t c = view.data[i];
    if ((c >= 0x20 && c < 0x7f && c != '"' && c != '\\') || (utf8 && c >= 0x80))
      mal_line_add(line, "%c", c);
    else
      mal_line_add(line, "\\x%02x", c);
  }
  mal_line_add(line, "\"");
}

/* C1 controls are valid UTF-8 and steer terminals. */
static bool printable(MadcapView view)
{
  const char *end = (const char *)view.data + view.length;
  for (const char *p = (const char *)view.data; p < end; p = g_utf8_next_char(p))
    if (!g_unichar_isprint(g_utf8_get_char(p)))
      return false;
  return true;
}

static void add_codes(MalLine *line, const char *label, MadcapView codes,
                      const char *(*name)(unsigned code))
{
  if (codes.length == 0)
    return;
  mal_line_add(line, "%s", label);
  for (size_t i = 0; i < madcap_codes_count(codes); i++) {
    uint16_t code = madcap_codes_at(codes, i);
    mal_line_add(line, "%s%s (%u)", i == 0 ? " " : ", ", name(code), code);
  }
}

static void add_ranges(MalLine *line, const MadcapMessage *msg)
{
  char text[MAL_SPAN_STRLEN];
  MalBlock block;
  MadcapRangeIter iter = madcap_ranges(msg);
  const char *separator = "";
  mal_line_add(line, " addresses ");
  while (madcap_ranges_next(&iter, &block)) {
    mal_line_add(line, "%s%s", separator, mal_block_format(block, text));
    separator = ",";
  }
  if (*separator == '\0')
    mal_line_add(line, "none");
}

static void add_scopes(MalLine *line, const MadcapMessage *msg)
{
  char text[MAL_SPAN_STRLEN];
  MadcapScopeView scope;
  MadcapNameView name;
  MadcapScopeIter iter = madcap_scopes(msg);
  mal_line_add(line, " scopes [");
  for (const char *separator = ""; madcap_scopes_next(&iter, &scope); separator = "; ") {
    MalSpan span = { .first = scope.first, .last = scope.last };
    mal_line_add(line, "%s%s ttl %u", separator, mal_span_format(span, text), scope.ttl);
    MadcapNameIter names = madcap_names(&scope);
    while (madcap_names_next(&names, &name)) {
      mal_line_add(line, " ");
      add_text(line, name.name, printable(name.name));
    }
  }
  mal_line_add(line, "]");
}

static void add_error(MalLine *line, const MadcapMessage *msg)
{
  uint16_t option;
  uint32_t time;
  mal_line_add(line, " error %u %s", msg->error_code, madcap_error_name(msg->error_code));
  if (madcap_error_option(msg, &option) && option == MADCAP_NO_OPTION)
    mal_line_add(line, " (no specific option)");
  else if (madcap_error_option(msg, &option))
    mal_line_add(line, " (option %u %s)", option, madcap_option_name(option));
  else if (madcap_error_time(msg, &time))
    mal_line_add(line, " (server time %" PRIu32 ")", time);
  else if (msg->error_code == MADCAP_ERROR_FEATURE_UNSUPPORTED)
    add_codes(line, ":", msg->error_data, madcap_feature_name);
}

static void add_number_option(MalLine *line, const MadcapMessage *msg, MadcapOption option)
{
  static const char *const labels[MADCAP_N_OPTIONS] = {
    [MADCAP_OPTION_LEASE_TIME] = "lease-time",     [MADCAP_OPTION_START_TIME] = "start",
    [MADCAP_OPTION_CURRENT_TIME] = "now",          [MADCAP_OPTION_RETRY_TIME] = "retry-at",
    [MADCAP_OPTION_MIN_LEASE_TIME] = "min-lease-time",
    [MADCAP_OPTION_MAX_START_TIME] = "max-start",
  };
  const uint32_t values[MADCAP_N_OPTIONS] = {
    [MADCAP_OPTION_LEASE_TIME] = msg->lease_time,
    [MADCAP_OPTION_START_TIME] = msg->start_time,
    [MADCAP_OPTION_CURRENT_TIME] = msg->current_time,
    [MADCAP_OPTION_RETRY_TIME] = msg->retry_time,
    [MADCAP_OPTION_MIN_LEASE_TIME] = msg->min_lease_time,
    [MADCAP_OPTION_MAX_START_TIME] = msg->max_start_time,
  };
  g_assert(labels[option] != NULL);
  mal_line_add(line, " %s %" PRIu32, labels[option], values[option]);
}

static void add_option(MalLine *line, const MadcapMessage *msg, MadcapOption option)
{
  char text[MAL_ADDRESS_STRLEN];
  switch (option) {
  case MADCAP_OPTION_SERVER_ID:
    if (msg->server_id.family == MAL_FAMILY_NONE)
      mal_line_add(line, " server of family %u", msg->server_family);
    else
      mal_line_add(line, " server %s", mal_address_format(msg->server_id, text));
    break;
  case MADCAP_OPTION_LEASE_ID: add_hex(line, " lease ", msg->lease_id); break;
  case MADCAP_OPTION_SCOPE:
    mal_line_add(line, " scope %s", mal_address_format(msg->scope, text));
    break;
  case MADCAP_OPTION_REQUEST_LIST:
    add_codes(line, " wants", msg->request_list, madcap_option_name);
    break;
  case MADCAP_OPTION_NUMBER:
    mal_line_add(line, " number %u to %u", msg->min_addresses, msg->desired_addresses);
    break;
  case MADCAP_OPTION_LANGUAGE:
    mal_line_add(line, " language ");
    add_text(line, msg->language, false);
    break;
  case MADCAP_OPTION_SCOPE_LIST: add_scopes(line, msg); break;
  case MADCAP_OPTION_RANGES: add_ranges(line, msg); break;
  case MADCAP_OPTION_FEATURES:
    add_codes(line, " supports", msg->supported, madcap_feature_name);
    add_codes(line, " requests", msg->requested, madcap_feature_name);
    add_codes(line, " requires", msg->required, madcap_feature_name);
    break;
  case MADCAP_OPTION_ERROR: add_error(line, msg); break;
  case MADCAP_OPTION_NESTING:
    mal_line_add(line, " nesting of %u scopes%s", msg->nesting_count,
                 msg->nesting_ignored ? " (ignored)" : "");
    break;
  default: add_number_option(line, msg, option); break;
  }
}

const char *madcap_describe(const MadcapMessage *msg, char *out, size_t size)
{
  if (size == 0)
    return out;
  MalLine line = mal_line(out, size);
  mal_line_add(&line, "%s", madcap_type_name(msg->type));
  if (!madcap_type_known(msg->type))
    mal_line_add(&line, " %u", msg->type);
  if (msg->family == MAL_FAMILY_NONE)
    mal_line_add(&line, " family %u", msg->raw_family);
  else
    mal_line_add(&line, " %s", mal_family_name(msg->family));
  mal_line_add(&line, " xid %08" PRIx32, msg->xid);
  for (unsigned option = 1; option < MADCAP_N_OPTIONS; option++)
    if (madcap_has(msg, (MadcapOption)option))
      add_option(&line, msg, (MadcapOption)option);
  return out;
}

const char *madcap_fault_describe(const MadcapFault *fault, char *out, size_t size)
{
  if (size == 0)
    return out;
  MalLine line = mal_line(out, size);
  if (fault->option != MADCAP_NO_OPTION)
    mal_line_add(&line, "%s (option %u): ", madcap_option_name(fault->option), fault->option);
  mal_line_add(&line, "%s", madcap_reason_name(fault->reason));
  if (fault->offset > 0)
    mal_line_add(&line, ", at octet %zu", fault->offset);
  return out;
}
