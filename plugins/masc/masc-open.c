#include "masc-open.h"

static bool is_ours(const MascOpenRule *rule, MascId parent)
{
  if (rule->n_parents == 0)
    return parent == MASC_TLD_ID;
  for (size_t i = 0; i < rule->n_parents; i++)
    if (rule->parents[i] == parent)
      return true;
  return false;
}

static bool domain_ok(const MascOpen *open, const MascOpenRule *rule)
{
  if (rule->role == MASC_INTERNAL)
    return open->domain == rule->domain;
  return open->domain != rule->domain &&
         (rule->peer_domain == 0 || open->domain == rule->peer_domain);
}

static bool node_ok(const MascOpen *open, const MascOpenRule *rule)
{
  return open->node != rule->node && (rule->peer_node == 0 || open->node == rule->peer_node);
}

/* A parent that would be one of the two siblings. (An internal peer that knows no parent yet says
   its own domain, 7.2.) */
static bool parent_ok(const MascOpen *open, const MascOpenRule *rule)
{
  return rule->role != MASC_SIBLING ||
         (open->parent != open->domain && open->parent != rule->domain);
}

static uint8_t judge(const MascOpen *open, const MascOpenRule *rule)
{
  if (open->role != masc_role_of_peer(rule->role))
    return MASC_OPEN_ROLE;
  if (!domain_ok(open, rule))
    return MASC_OPEN_DOMAIN;
  if (!node_ok(open, rule))
    return MASC_OPEN_NODE;
  if (rule->role == MASC_INTERNAL &&
      (open->parent == MASC_TLD_ID) != (rule->n_parents == 0))
    return MASC_OPEN_PARENT_CONFIGURATION;
  if (!parent_ok(open, rule))
    return MASC_OPEN_PARENT_DOMAIN;
  if (rule->role == MASC_SIBLING && !is_ours(rule, open->parent))
    return MASC_OPEN_NO_COMMON_PARENT;
  return 0;
}

static size_t own_parents(const MascOpen *open, const MascOpenRule *rule, uint8_t *data,
                          size_t capacity)
{
  static const MascId none = MASC_TLD_ID;
  size_t most = MASC_MAX_DATA / MAX(mal_family_octets(open->family), 1);

  if (rule->n_parents == 0)
    return masc_encode_ids(open->family, &none, 1, data, capacity);
  return masc_encode_ids(open->family, rule->parents, MIN(rule->n_parents, most), data, capacity);
}

uint8_t masc_open_judge(const MascOpen *open, const void *message, size_t length,
                        const MascOpenRule *rule, void *buffer, size_t capacity, size_t *answer)
{
  uint8_t data[MASC_MAX_DATA], role = (uint8_t)rule->role;
  uint8_t subcode = judge(open, rule);
  MalReader r = mal_reader(message, length);
  MascMessage out = { .type = MASC_NOTIFICATION };
  MascNotification *n = &out.notification;

  *answer = 0;
  if (subcode == 0)
    return 0;
  *n = (MascNotification){ .code = MASC_ERROR_OPEN, .subcode = subcode, .data = data };
  if (subcode == MASC_OPEN_ROLE) {
    n->data = &role;
    n->length = 1;
  } else if (subcode == MASC_OPEN_PARENT_DOMAIN) {
    n->length = masc_encode_ids(open->family, &open->parent, 1, data, sizeof data);
  } else if (subcode == MASC_OPEN_PARENT_CONFIGURATION || subcode == MASC_OPEN_NO_COMMON_PARENT) {
    n->length = own_parents(open, rule, data, sizeof data);
  } else {
    mal_read_skip(&r, MASC_HEADER_LENGTH);
    n->length = MIN(mal_reader_left(&r), MASC_MAX_DATA);
    n->data = mal_read_bytes(&r, n->length);
  }
  *answer = masc_encode(&out, buffer, capacity, NULL);
  return subcode;
}

uint16_t masc_hold_time(uint16_t ours, uint16_t theirs)
{
  return MIN(ours, theirs);
}

uint16_t masc_keepalive_interval(uint16_t hold_time)
{
  return hold_time == 0 ? 0 : (uint16_t)MAX(hold_time / 3, 1);
}
