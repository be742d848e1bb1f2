/* MASC for people: names, and a message on one line. */
#include "masc-wire.h"

#include <stdio.h>
#include <string.h>

#define FIRST_ADDRESS (1u << 24)

static const char *name_in(const char *const *names, size_t n, unsigned value)
{
  return value < n && names[value] != NULL ? names[value] : "unknown";
}

const char *masc_type_name(unsigned type)
{
  static const char *const names[] = {
    [MASC_OPEN] = "OPEN",
    [MASC_UPDATE] = "UPDATE",
    [MASC_NOTIFICATION] = "NOTIFICATION",
    [MASC_KEEPALIVE] = "KEEPALIVE",
  };
  return name_in(names, G_N_ELEMENTS(names), type);
}

const char *masc_claim_type_name(unsigned type)
{
  static const char *const names[MASC_N_CLAIM_TYPES] = {
    [MASC_PREFIX_IN_USE] = "PREFIX_IN_USE",
    [MASC_CLAIM_DENIED] = "CLAIM_DENIED",
    [MASC_CLAIM_TO_EXPAND] = "CLAIM_TO_EXPAND",
    [MASC_NEW_CLAIM] = "NEW_CLAIM",
    [MASC_PREFIX_MANAGED] = "PREFIX_MANAGED",
    [MASC_WITHDRAW] = "WITHDRAW",
  };
  return name_in(names, MASC_N_CLAIM_TYPES, type);
}

const char *masc_role_name(unsigned role)
{
  static const char *const names[MASC_N_ROLES] = {
    [MASC_INTERNAL] = "internal",
    [MASC_CHILD] = "child",
    [MASC_SIBLING] = "sibling",
    [MASC_PARENT] = "parent",
  };
  return name_in(names, MASC_N_ROLES, role);
}

const char *masc_reason_name(MascReason reason)
{
  static const char *const names[MASC_N_REASONS] = {
    [MASC_REASON_NONE] = "none",
    [MASC_REASON_TYPE] = "type",
    [MASC_REASON_REFUSED] = "refused",
    [MASC_REASON_FIT] = "fit",
    [MASC_REASON_SPACE] = "space",
  };
  return name_in(names, MASC_N_REASONS, (unsigned)reason);
}

const char *masc_error_name(unsigned code)
{
  static const char *const names[MASC_N_ERROR_CODES] = {
    [MASC_ERROR_HEADER] = "Message Header Error",
    [MASC_ERROR_OPEN] = "OPEN Message Error",
    [MASC_ERROR_UPDATE] = "UPDATE Message Error",
    [MASC_ERROR_HOLD_TIMER] = "Hold Timer Expired",
    [MASC_ERROR_FSM] = "Finite State Machine Error",
    [MASC_ERROR_NOTIFICATION] = "NOTIFICATION Message Error",
    [MASC_ERROR_CEASE] = "Cease",
  };
  return name_in(names, MASC_N_ERROR_CODES, code);
}

const char *masc_id_format(MascId id, char out[MAL_ADDRESS_STRLEN])
{
  if (id >= FIRST_ADDRESS)
    return mal_address_format(mal_address_make(id > UINT32_MAX ? MAL_IPV6 : MAL_IPV4, id), out);
  snprintf(out, MAL_ADDRESS_STRLEN, "%u", (unsigned)id);
  return out;
}

/* ---- messages -------------------------------------------------------------------------------- */

static void add_claim(MalLine *t, const MascClaim *claim)
{
  char address[MAL_ADDRESS_STRLEN], domain[MAL_ADDRESS_STRLEN], node[MAL_ADDRESS_STRLEN];

  mal_line_add(t, " %s %s %s/%u%s from %s node %s at %u lifetime %u holdtime %u",
               masc_claim_type_name(claim->type), masc_role_name(claim->role),
               mal_address_format(claim->prefix.address, address), claim->prefix.length,
               claim->deprecated ? " deprecated" : "", masc_id_format(claim->domain, domain),
               masc_id_format(claim->node, node), claim->timestamp, claim->lifetime,
               claim->holdtime);
}

static void add_open(MalLine *t, const MascOpen *open)
{
  char domain[MAL_ADDRESS_STRLEN], node[MAL_ADDRESS_STRLEN], parent[MAL_ADDRESS_STRLEN];

  mal_line_add(t, " %s %s domain %s node %s parent %s hold-time %u", mal_family_name(open->family),
               masc_role_name(open->role), masc_id_format(open->domain, domain),
               masc_id_format(open->node, node), masc_id_format(open->parent, parent),
               open->hold_time);
}

static void add_update(MalLine *t, const MascUpdate *update)
{
  MascCursor cursor = masc_cursor(update);
  MascClaim claim;
  MascFault fault;
  MascNext next;

  for (size_t i = 0; i < update->n_claims; i++)
    add_claim(t, &update->claims[i]);
  while ((next = masc_cursor_next(&cursor, &claim, &fault)) != MASC_NEXT_END) {
    if (next == MASC_NEXT_CLAIM)
      add_claim(t, &claim);
    else
      mal_line_add(t, " refused: %s", masc_subcode_name(fault.code, fault.subcode));
  }
}

static void add_notification(MalLine *t, const MascNotification *n)
{
  mal_line_add(t, " %s: %s (%u.%u), %s, %zu octets", masc_error_name(n->code),
               masc_subcode_name(n->code, n->subcode), n->code, n->subcode,
               n->open ? "stays open" : "closes", n->length);
}

const char *masc_describe(const MascMessage *msg, char *out, size_t size)
{
  if (size == 0)
    return out;
  MalLine t = mal_line(out, size);
  mal_line_add(&t, "%s", masc_type_name(msg->type));
  if (msg->type == MASC_OPEN)
    add_open(&t, &msg->open);
  else if (msg->type == MASC_UPDATE)
    add_update(&t, &msg->update);
  else if (msg->type == MASC_NOTIFICATION)
    add_notification(&t, &msg->notification);
  return out;
}

const char *masc_describe_claim(const MascClaim *claim, char *out, size_t size)
{
  if (size == 0)
    return out;
  MalLine t = mal_line(out, size);
  add_claim(&t, claim);
  if (t.used > 0)
    memmove(out, out + 1, t.used);
  return out;
}
