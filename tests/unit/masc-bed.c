#include "tests/unit/masc-bed.h"

#include <criterion/criterion.h>

/* ---- the world of a zone --------------------------------------------------------------------- */

static MascBedLink *link_of(MascBed *bed, unsigned node, unsigned peer)
{
  for (guint i = 0; i < bed->links->len; i++) {
    MascBedLink *l = &g_array_index(bed->links, MascBedLink, i);
    if ((l->a == node && l->peer_a == peer) || (l->b == node && l->peer_b == peer))
      return l;
  }
  return NULL;
}

/* Through the codec, in as many UPDATEs as it takes. */
static void encoded(const MascClaim *claims, size_t n, GArray *out)
{
  uint8_t octets[MASC_MAX_LENGTH];
  for (size_t done = 0; done < n;) {
    size_t fit = masc_claims_fit(claims + done, n - done);
    MascMessage msg = { .type = MASC_UPDATE,
                        .update = { .claims = claims + done, .n_claims = fit } };
    MascMessage again;
    MascRefusal why = { 0 };
    MascFault fault;
    size_t length = masc_encode(&msg, octets, sizeof octets, &why);
    cr_assert(length > 0, "reason %u, subcode %u", why.reason, why.subcode);
    cr_assert(masc_decode(octets, length, &again, &fault));
    MascCursor cursor = masc_cursor(&again.update);
    MascClaim claim;
    MascNext next;
    while ((next = masc_cursor_next(&cursor, &claim, &fault)) == MASC_NEXT_CLAIM)
      g_array_append_val(out, claim);
    cr_assert_eq(next, MASC_NEXT_END, "the codec refuses with %u", fault.subcode);
    done += fit;
  }
}

static void op_send(void *user, MascZone *zone, unsigned peer, const MascClaim *claims, size_t n)
{
  MascBedNode *node = user;
  MascBed *bed = node->bed;
  g_autoptr(GArray) out = g_array_new(FALSE, FALSE, sizeof(MascClaim));
  const MascBedLink *l = link_of(bed, node->index, peer);
  (void)zone;
  cr_assert(l != NULL && l->up, "sent to a peer that is down");
  encoded(claims, n, out);
  cr_assert_eq(out->len, n);
  for (guint i = 0; i < out->len; i++) {
    MascSaid said = { node->index, peer, g_array_index(out, MascClaim, i), 0 };
    g_array_append_val(bed->sent, said);
    if (l->b != MASC_NO_PEER)
      g_array_append_val(bed->flying, said);
  }
}

static uint64_t op_random(void *user, uint64_t low, uint64_t high)
{
  MascBed *bed = ((MascBedNode *)user)->bed;
  uint64_t z = bed->seed += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z ^= z >> 31;
  return high - low == UINT64_MAX ? z : low + z % (high - low + 1);
}

static uint64_t op_keep(void *user, MascZone *zone, const MascKept *kept)
{
  MascBedNode *node = user;
  GBytes *key = g_bytes_new(kept->key, kept->key_length);
  (void)zone;
  if (kept->value != NULL) {
    g_hash_table_insert(node->kept, key, g_bytes_new(kept->value, kept->value_length));
  } else {
    g_hash_table_remove(node->kept, key);
    g_bytes_unref(key);
  }
  return 0;
}

static void op_managed(void *user, MascZone *zone, MalPrefix prefix, MalTime until,
                       bool deprecated)
{
  (void)user;
  (void)zone;
  (void)prefix;
  (void)until;
  (void)deprecated;
}

static void op_ends(void *user, MascZone *zone, MalPrefix prefix)
{
  (void)user;
  (void)zone;
  (void)prefix;
}

static void op_uses(void *user, MascZone *zone, MalPrefix prefix,
                    void (*func)(MalSpan span, MalTime until, void *data), void *data)
{
  (void)user;
  (void)zone;
  (void)prefix;
  (void)func;
  (void)data;
}

static void op_note(void *user, MascZone *zone, MascNote note, MalPrefix prefix, MascId domain,
                    uint64_t n)
{
  MascBedNode *node = user;
  (void)zone;
  (void)prefix;
  cr_assert_lt((unsigned)note, MASC_N_NOTES);
  node->notes[note]++;
  node->noted[note] = domain;
  node->noted_n[note] = n;
}

static const MascZoneOps ops = {
  .send = op_send,
  .random = op_random,
  .keep = op_keep,
  .managed = op_managed,
  .unmanaged = op_ends,
  .local = op_managed,
  .local_ends = op_ends,
  .uses = op_uses,
  .note = op_note,
};

/* ---- the bed --------------------------------------------------------------------------------- */

MascBed *masc_bed_new(void)
{
  MascBed *bed = g_new0(MascBed, 1);
  masc_params_init(&bed->params);
  bed->params.waiting_period = 1000;
  bed->params.extra_holding = 100;
  bed->params.initiate_claim_delay = 10;
  bed->mono = 1000 * MASC_SECOND;
  bed->links = g_array_new(FALSE, TRUE, sizeof(MascBedLink));
  bed->sent = g_array_new(FALSE, TRUE, sizeof(MascSaid));
  bed->answers = g_array_new(FALSE, TRUE, sizeof(MascSaid));
  bed->flying = g_array_new(FALSE, TRUE, sizeof(MascSaid));
  return bed;
}

void masc_bed_free(MascBed *bed)
{
  for (unsigned i = 0; i < bed->n; i++) {
    masc_zone_free(bed->nodes[i].zone);
    g_hash_table_unref(bed->nodes[i].kept);
  }
  g_array_unref(bed->links);
  g_array_unref(bed->sent);
  g_array_unref(bed->answers);
  g_array_unref(bed->flying);
  g_free(bed);
}

MascNow masc_bed_now(const MascBed *bed, unsigned node)
{
  int64_t skew = node < bed->n ? bed->nodes[node].skew : 0;
  return (MascNow){ bed->mono, MASC_BED_EPOCH + bed->mono / MASC_SECOND + skew };
}

uint32_t masc_bed_time(const MascBed *bed, int64_t ago)
{
  return masc_time_to_wire(masc_bed_now(bed, UINT_MAX).wall - ago);
}

static GHashTable *new_disk(void)
{
  return g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
                               (GDestroyNotify)g_bytes_unref);
}

unsigned masc_bed_add(MascBed *bed, MascId domain, MascId node, bool top)
{
  MascBedNode *n = &bed->nodes[bed->n];
  cr_assert_lt(bed->n, MASC_BED_NODES);
  n->bed = bed;
  n->index = bed->n++;
  n->kept = new_disk();
  n->config = (MascZoneConfig){ .scope = "test",
                                .domain = domain,
                                .node = node,
                                .top = top,
                                .params = &bed->params,
                                .ops = &ops,
                                .user = n };
  n->config.span = masc_bed_span(MASC_BED_SCOPE);
  n->zone = masc_zone_new(&n->config);
  masc_zone_start(n->zone, masc_bed_now(bed, n->index));
  return n->index;
}

static unsigned add_link(MascBed *bed, const MascBedLink *l)
{
  g_array_append_val(bed->links, *l);
  return bed->links->len - 1;
}

unsigned masc_bed_join(MascBed *bed, unsigned a, unsigned b, MascRole a_is, MascId parent)
{
  MascBedNode *x = &bed->nodes[a], *y = &bed->nodes[b];
  MascBedLink l = { .a = a, .b = b, .peer_a = x->n_peers++, .peer_b = y->n_peers++,
                    .parent = parent, .a_is = a_is };
  unsigned number = add_link(bed, &l);
  masc_zone_add_peer(x->zone, l.peer_a, a_is, y->config.domain, parent);
  masc_zone_add_peer(y->zone, l.peer_b, masc_role_of_peer(a_is), x->config.domain, parent);
  masc_bed_up(bed, number);
  return number;
}

unsigned masc_bed_open(MascBed *bed, unsigned node, MascRole we_are, MascId domain, MascId parent)
{
  MascBedNode *x = &bed->nodes[node];
  MascBedLink l = { .a = node, .b = MASC_NO_PEER, .peer_a = x->n_peers++,
                    .peer_b = MASC_NO_PEER, .domain = domain, .node = domain * 1000,
                    .parent = parent, .a_is = we_are };
  unsigned number = add_link(bed, &l);
  masc_zone_add_peer(x->zone, l.peer_a, we_are, domain, parent);
  masc_bed_up(bed, number);
  return l.peer_a;
}

void masc_bed_up(MascBed *bed, unsigned number)
{
  MascBedLink *l = &g_array_index(bed->links, MascBedLink, number);
  const MascZoneConfig *x = &bed->nodes[l->a].config;
  MascBedLink copy = *l;
  l->up = true;
  if (copy.b == MASC_NO_PEER) {
    masc_zone_up(bed->nodes[copy.a].zone, copy.peer_a, copy.domain, copy.node,
                 masc_bed_now(bed, copy.a));
    return;
  }
  const MascZoneConfig *y = &bed->nodes[copy.b].config;
  masc_zone_up(bed->nodes[copy.a].zone, copy.peer_a, y->domain, y->node,
               masc_bed_now(bed, copy.a));
  masc_zone_up(bed->nodes[copy.b].zone, copy.peer_b, x->domain, x->node,
               masc_bed_now(bed, copy.b));
}

static bool of_link(const MascBedLink *l, const MascSaid *said)
{
  return (said->node == l->a && said->peer == l->peer_a) ||
         (said->node == l->b && said->peer == l->peer_b);
}

void masc_bed_down(MascBed *bed, unsigned number)
{
  MascBedLink *l = &g_array_index(bed->links, MascBedLink, number);
  if (!l->up)
    return;
  l->up = false;
  for (guint i = bed->flying->len; i > 0; i--)
    if (of_link(l, &g_array_index(bed->flying, MascSaid, i - 1)))
      g_array_remove_index(bed->flying, i - 1);
  masc_zone_down(bed->nodes[l->a].zone, l->peer_a, masc_bed_now(bed, l->a));
  if (l->b != MASC_NO_PEER)
    masc_zone_down(bed->nodes[l->b].zone, l->peer_b, masc_bed_now(bed, l->b));
}

static void restore(MascBed *bed, MascBedNode *node)
{
  /* What is over is dropped meanwhile. */
  g_autoptr(GHashTable) kept = g_hash_table_new_full(
      g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, (GDestroyNotify)g_bytes_unref);
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init(&iter, node->kept);
  while (g_hash_table_iter_next(&iter, &key, &value))
    g_hash_table_insert(kept, g_bytes_ref(key), g_bytes_ref(value));
  g_hash_table_iter_init(&iter, kept);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    size_t key_length, value_length;
    const uint8_t *k = g_bytes_get_data(key, &key_length);
    const uint8_t *v = g_bytes_get_data(value, &value_length);
    cr_expect(masc_zone_restore(node->zone, k, key_length, v, value_length,
                                masc_bed_now(bed, node->index)));
  }
}

void masc_bed_reboot(MascBed *bed, unsigned index, bool disk)
{
  MascBedNode *node = &bed->nodes[index];
  g_autofree bool *was_up = g_new0(bool, bed->links->len + 1);
  for (guint i = 0; i < bed->links->len; i++) {
    const MascBedLink *l = &g_array_index(bed->links, MascBedLink, i);
    was_up[i] = l->up && (l->a == index || l->b == index);
    if (was_up[i])
      masc_bed_down(bed, i);
  }
  masc_zone_free(node->zone);
  if (!disk)
    g_hash_table_remove_all(node->kept);
  node->config.recovering = !disk;
  node->zone = masc_zone_new(&node->config);
  restore(bed, node);
  masc_zone_start(node->zone, masc_bed_now(bed, index));
  for (guint i = 0; i < bed->links->len; i++) {
    const MascBedLink *l = &g_array_index(bed->links, MascBedLink, i);
    if (l->a == index)
      masc_zone_add_peer(node->zone, l->peer_a, l->a_is,
                         l->b == MASC_NO_PEER ? l->domain : bed->nodes[l->b].config.domain,
                         l->parent);
    if (l->b == index)
      masc_zone_add_peer(node->zone, l->peer_b, masc_role_of_peer(l->a_is),
                         bed->nodes[l->a].config.domain, l->parent);
  }
  for (guint i = 0; i < bed->links->len; i++)
    if (was_up[i])
      masc_bed_up(bed, i);
}

/* ---- messages and time ----------------------------------------------------------------------- */

static uint8_t hear(MascBed *bed, unsigned node, unsigned peer, const MascClaim *claim)
{
  MascZone *zone = bed->nodes[node].zone;
  uint8_t subcode = masc_zone_heard(zone, peer, claim, masc_bed_now(bed, node));
  masc_zone_check(zone, masc_bed_now(bed, node));
  if (subcode != 0) {
    MascSaid said = { node, peer, *claim, subcode };
    g_array_append_val(bed->answers, said);
  }
  return subcode;
}

uint8_t masc_bed_say(MascBed *bed, unsigned node, unsigned peer, const MascClaim *claim)
{
  g_autoptr(GArray) out = g_array_new(FALSE, FALSE, sizeof(MascClaim));
  encoded(claim, 1, out);
  return hear(bed, node, peer, &g_array_index(out, MascClaim, 0));
}

unsigned masc_bed_settle(MascBed *bed)
{
  unsigned n = 0;
  while (bed->flying->len > 0) {
    MascSaid said = g_array_index(bed->flying, MascSaid, 0);
    const MascBedLink *l = link_of(bed, said.node, said.peer);
    g_array_remove_index(bed->flying, 0);
    cr_assert_lt(n++, 100000, "it goes round and round");
    if (l->a == said.node)
      hear(bed, l->b, l->peer_b, &said.claim);
    else
      hear(bed, l->a, l->peer_a, &said.claim);
  }
  return n;
}

static int64_t next_due(const MascBed *bed, unsigned *node)
{
  int64_t first = MASC_NEVER;
  for (unsigned i = 0; i < bed->n; i++) {
    int64_t due = masc_zone_due(bed->nodes[i].zone);
    if (due < first) {
      first = due;
      *node = i;
    }
  }
  return first;
}

void masc_bed_pass(MascBed *bed, int64_t seconds)
{
  int64_t until = bed->mono + seconds * MASC_SECOND;
  unsigned node = 0, n = 0;
  masc_bed_settle(bed);
  for (int64_t due; (due = next_due(bed, &node)) <= until;) {
    cr_assert_lt(n++, 100000, "deadlines are never met");
    bed->mono = MAX(bed->mono, due);
    masc_zone_run(bed->nodes[node].zone, masc_bed_now(bed, node));
    masc_zone_check(bed->nodes[node].zone, masc_bed_now(bed, node));
    masc_bed_settle(bed);
  }
  bed->mono = until;
}

void masc_bed_clear(MascBed *bed)
{
  g_array_set_size(bed->sent, 0);
  g_array_set_size(bed->answers, 0);
}

unsigned masc_bed_sent(const MascBed *bed, unsigned node, unsigned peer, MascClaimType type,
                       MascClaim *out)
{
  unsigned n = 0;
  for (guint i = 0; i < bed->sent->len; i++) {
    const MascSaid *said = &g_array_index(bed->sent, MascSaid, i);
    if (said->node != node || said->peer != peer || said->claim.type != type)
      continue;
    n++;
    if (out != NULL)
      *out = said->claim;
  }
  return n;
}

/* ---- claims ---------------------------------------------------------------------------------- */

#ifdef MASC_BED_SIX
#define SIX ((MalU128)0xff1e << 112)

/* 0 is no address in either family (11.5). */
static MalAddress address_of(MalAddress v4)
{
  if (v4.family != MAL_IPV4)
    return v4;
  return mal_address_make(MAL_IPV6, v4.value == 0 ? 0 : SIX | v4.value);
}
#else
static MalAddress address_of(MalAddress v4)
{
  return v4;
}
#endif

MalPrefix masc_bed_prefix(const char *text)
{
  MalPrefix prefix;
  cr_assert(mal_prefix_parse(text, &prefix, NULL), "%s", text);
  return (MalPrefix){ address_of(prefix.address), MASC_BED_LENGTH(prefix.length) };
}

MalSpan masc_bed_span(const char *text)
{
  MalSpan span;
  cr_assert(mal_span_parse(text, &span, NULL), "%s", text);
  return (MalSpan){ address_of(span.first), address_of(span.last) };
}

const char *masc_bed_format(MalPrefix prefix, char *text)
{
  char address[MAL_ADDRESS_STRLEN];
  prefix.address = mal_address_make(MAL_IPV4, prefix.address.value & UINT32_MAX);
  mal_address_format(prefix.address, address);
  g_snprintf(text, MAL_SPAN_STRLEN, "%s/%u", address, prefix.length - MASC_BED_LENGTH(0));
  return text;
}

MascClaim masc_bed_claim(const MascBed *bed, MascClaimType type, MascRole role, MascId domain,
                         const char *prefix)
{
  bool holding = type == MASC_PREFIX_IN_USE || type == MASC_PREFIX_MANAGED;
  uint32_t waiting = masc_seconds_to_wire(bed->params.waiting_period);
  return (MascClaim){ .type = type,
                      .role = role,
                      .timestamp = masc_bed_time(bed, 0),
                      .lifetime = 30 * 86400,
                      .holdtime = holding || type == MASC_WITHDRAW ? 30 * 86400 : waiting,
                      .domain = domain,
                      .node = domain * 1000,
                      .prefix = masc_bed_prefix(prefix) };
}

static bool collect(MascRecord *record, void *data)
{
  MascBedRecords *r = data;
  if (r->n < G_N_ELEMENTS(r->claims))
    r->claims[r->n++] = record->claim;
  return true;
}

MascBedRecords masc_bed_records(const MascBed *bed, unsigned node, MascId domain)
{
  MascBedRecords r = { .n = 0 };
  const MascCache *cache = bed->nodes[node].zone->cache;
  if (domain == 0)
    masc_cache_each(cache, collect, &r);
  else
    masc_cache_each_of(cache, domain, collect, &r);
  return r;
}

bool masc_bed_has(const MascBed *bed, unsigned node, MascClaimType type, MascId domain,
                  const char *prefix)
{
  MascBedRecords r = masc_bed_records(bed, node, domain);
  MalPrefix p = masc_bed_prefix(prefix);
  for (size_t i = 0; i < r.n; i++)
    if (r.claims[i].type == type && r.claims[i].prefix.length == p.length &&
        mal_address_equal(r.claims[i].prefix.address, p.address))
      return true;
  return false;
}
