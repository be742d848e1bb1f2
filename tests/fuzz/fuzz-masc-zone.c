/* One zone of MASC, both halves of it, under arbitrary peers, times, disks, demands and hands. The
   input's first octet chooses a top-level domain or not, IPv6 or IPv4, manual or automatic clashes,
   whether it claims by itself, tight limits, a disk that was lost; then steps, an octet each:

     0 PEER TYPE ROLE ORIGIN PREFIX(2) AGO LIFE HOLD   a peer says that
     1 PEER LENGTH OCTETS       a peer says what is in this UPDATE, if it decodes
     2                          time passes to the next deadline
     3 SECONDS(2)               time passes, with each deadline on the way
     4 STEP                     the wall clock steps
     5 PEER                     its session goes up or down
     6 PEER                     it is configured no more, or again
     7 COUNT END                the MAASs asked, and wait
     8 WHAT PREFIX(2) LIFE      by hand: claim, withdraw, resolve, forgive; or a peer refuses what
                                the domain claimed last
     9 OK                       the oldest write ends well, or not
     10 PREFIX(2) END           of what is in use, all or every eighth address
     11 FLIP AT VALUE           a restart with what was written, an octet of it changed
     12 WHAT                    parameters change, a child's bound; parents are looked for

   What must hold: what is said can be encoded, is said to a peer that is up, with a role that Table
   1 has for it, and not to the one who just said it, unless it is a WITHDRAW; what is for the MAASs
   lies in what is allocated to the domain, and that in the scope; the zone's own check; deadlines
   are met in bounded work. Covers: plugins/masc/masc-zone.c plugins/masc/masc-cache*.c
   plugins/masc/masc-peers.c plugins/masc/masc-update*.c plugins/masc/masc-flood.c
   plugins/masc/masc-own*.c plugins/masc/masc-clash.c plugins/masc/masc-local.c
   plugins/masc/masc-plan*.c plugins/masc/masc-forecast.c plugins/masc/masc-holes.c */
#include <string.h>

#include "plugins/masc/masc-compare.h"
#include "plugins/masc/masc-zone.h"
#include "tests/fuzz/fuzz.h"

#define EPOCH ((MalTime)962409600)
#define MOST_STEPS 200
#define MOST_TICKS 2000
#define MOST_RECORDS 512
#define OWN 10

static const struct {
  MascRole we_are;
  MascId domain, parent;
} peers[] = {
  { MASC_CHILD, 1, 0 },   { MASC_CHILD, 2, 0 },   { MASC_SIBLING, 20, 1 }, { MASC_SIBLING, 21, 0 },
  { MASC_PARENT, 30, 0 }, { MASC_PARENT, 31, 0 }, { MASC_INTERNAL, 10, 0 },
};
#define N_PEERS G_N_ELEMENTS(peers)

typedef struct {
  uint8_t key[256], value[1024];
  size_t key_length, value_length;
} Row;

typedef struct {
  MalReader in;
  MascZone *zone;
  MascZoneConfig config;
  MascParams params;
  int64_t mono, shift;
  bool there[N_PEERS], up[N_PEERS];
  int speaker;                /* who is saying something now; -1: nobody */
  MascClaim spoken, asked;    /* ASKED: what was claimed last */
  Row *rows;
  size_t n_rows;
  uint64_t tickets, confirmed;
  GArray *managed;            /* MalPrefix: each was told, and not that it ends */
  uint64_t local[1024];       /* a bit for each address of the scope */
  MalSpan use;
  bool sparse;                /* of that every eighth address */
  MalTime use_until;
  uint64_t seed;
} World;

static MascNow now(const World *w)
{
  return (MascNow){ w->mono, EPOCH + w->mono / MASC_SECOND + w->shift };
}

/* ---- what the zone does ---------------------------------------------------------------------- */

/* 11.1 at the other end. */
static bool acceptable(const MascClaim *c, size_t peer)
{
  MascRole theirs = masc_role_of_peer(peers[peer].we_are), updated;
  if (theirs == MASC_PARENT && c->role == MASC_PARENT)
    return c->domain == peers[peer].domain || c->type == MASC_CLAIM_DENIED;
  return masc_role_updated(c->role, theirs, &updated) && masc_origin_may(updated, c->type);
}

static void op_send(void *user, MascZone *zone, unsigned peer, const MascClaim *claims, size_t n)
{
  World *w = user;
  uint8_t octets[MASC_MAX_LENGTH];
  (void)zone;
  must(peer < N_PEERS && w->there[peer] && w->up[peer] && n > 0);
  for (size_t i = 0; i < n; i++) {
    MascMessage msg = { .type = MASC_UPDATE, .update = { .claims = &claims[i], .n_claims = 1 } };
    must(masc_encode(&msg, octets, sizeof octets, NULL) > 0);
    must(acceptable(&claims[i], peer));
    must(w->speaker != (int)peer || claims[i].type == MASC_WITHDRAW ||
         !masc_claim_about(&claims[i], &w->spoken) || claims[i].type != w->spoken.type);
    if (claims[i].type == MASC_NEW_CLAIM || claims[i].type == MASC_CLAIM_TO_EXPAND)
      w->asked = claims[i];
  }
}

static uint64_t op_random(void *user, uint64_t low, uint64_t high)
{
  World *w = user;
  uint64_t z = w->seed += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z ^= z >> 31;
  must(low <= high);
  return high - low == UINT64_MAX ? z : low + z % (high - low + 1);
}

static uint64_t op_keep(void *user, MascZone *zone, const MascKept *kept)
{
  World *w = user;
  size_t i = 0;
  (void)zone;
  must(kept->key_length > 0 && kept->key_length <= sizeof w->rows[0].key);
  while (i < w->n_rows && (w->rows[i].key_length != kept->key_length ||
                           memcmp(w->rows[i].key, kept->key, kept->key_length) != 0))
    i++;
  if (kept->value == NULL) {
    if (i < w->n_rows)
      w->rows[i] = w->rows[--w->n_rows];
  } else if (i < MOST_RECORDS && kept->value_length <= sizeof w->rows[0].value) {
    memcpy(w->rows[i].key, kept->key, kept->key_length);
    memcpy(w->rows[i].value, kept->value, kept->value_length);
    w->rows[i].key_length = kept->key_length;
    w->rows[i].value_length = kept->value_length;
    w->n_rows = MAX(w->n_rows, i + 1);
  }
  return ++w->tickets;
}

static int place_of(const GArray *prefixes, MalPrefix prefix)
{
  for (guint i = 0; i < prefixes->len; i++) {
    const MalPrefix *p = &g_array_index(prefixes, MalPrefix, i);
    if (p->length == prefix.length && mal_address_equal(p->address, prefix.address))
      return (int)i;
  }
  return -1;
}

static void op_managed(void *user, MascZone *zone, MalPrefix prefix, MalTime until,
                       bool deprecated)
{
  World *w = user;
  (void)zone;
  (void)deprecated;
  must(mal_span_contains(w->config.span, mal_span_of_prefix(prefix)));
  must(until > now(w).wall);
  if (place_of(w->managed, prefix) < 0)
    g_array_append_val(w->managed, prefix);
}

static void op_unmanaged(void *user, MascZone *zone, MalPrefix prefix)
{
  World *w = user;
  int place = place_of(w->managed, prefix);
  (void)zone;
  must(place >= 0);
  g_array_remove_index(w->managed, (guint)place);
}

static void mark(uint64_t *bits, MalPrefix prefix, bool on)
{
  MalSpan span = mal_span_of_prefix(prefix);
  for (MalU128 a = span.first.value; a <= span.last.value; a++) {
    uint64_t bit = UINT64_C(1) << (a & 63);
    uint64_t *word = &bits[(size_t)(a & 0xFFFF) / 64];
    *word = on ? *word | bit : *word & ~bit;
  }
}

static void op_local(void *user, MascZone *zone, MalPrefix prefix, MalTime until, bool deprecated)
{
  World *w = user;
  (void)zone;
  (void)deprecated;
  must(mal_span_contains(w->config.span, mal_span_of_prefix(prefix)));
  must(until > now(w).wall);
  mark(w->local, prefix, true);
}

static void op_local_ends(void *user, MascZone *zone, MalPrefix prefix)
{
  (void)zone;
  mark(((World *)user)->local, prefix, false);
}

static void op_uses(void *user, MascZone *zone, MalPrefix prefix,
                    void (*func)(MalSpan span, MalTime until, void *data), void *data)
{
  const World *w = user;
  MalSpan both;
  (void)zone;
  if (w->use.first.family != prefix.address.family ||
      !mal_span_intersect(w->use, mal_span_of_prefix(prefix), &both))
    return;
  if (!w->sparse) {
    func(both, w->use_until, data);
    return;
  }
  for (MalU128 a = both.first.value; a <= both.last.value; a += 8) {
    MalAddress one = mal_address_make(both.first.family, a);
    func((MalSpan){ one, one }, w->use_until, data);
  }
}

static void op_note(void *user, MascZone *zone, MascNote note, MalPrefix prefix, MascId domain,
                    uint64_t n)
{
  (void)user;
  (void)zone;
  (void)prefix;
  (void)domain;
  (void)n;
  must(note < MASC_N_NOTES);
}

static const MascZoneOps ops = {
  .send = op_send,
  .random = op_random,
  .keep = op_keep,
  .managed = op_managed,
  .unmanaged = op_unmanaged,
  .local = op_local,
  .local_ends = op_local_ends,
  .uses = op_uses,
  .note = op_note,
};

/* ---- reading steps --------------------------------------------------------------------------- */

static bool v6(const World *w)
{
  return w->config.span.first.family == MAL_IPV6;
}

/* Of 16 bits below the scope's; 0 of both octets is a hint. */
static MalPrefix prefix_of(World *w)
{
  uint8_t high = mal_read_u8(&w->in), how = mal_read_u8(&w->in);
  unsigned bits = how % 18, base = v6(w) ? 112 : 16;
  MalU128 mask = ~(MalU128)0 << (16 - MIN(bits, 16));
  MalFamily family = w->config.span.first.family;
  if (high == 0 && how == 0)
    return (MalPrefix){ mal_address_make(family, 0), base + 8 };
  if (bits == 17)             /* more than the scope */
    return (MalPrefix){ mal_address_make(family, w->config.span.first.value & ~(MalU128)0x1FFFF),
                        base - 1 };
  MalU128 low = ((MalU128)high << 8 | (how >= 128 ? 0xFF : 0)) & mask & 0xFFFF;
  return (MalPrefix){ mal_address_make(family, w->config.span.first.value + low), base + bits };
}

static uint32_t seconds_of(World *w)
{
  uint8_t n = mal_read_u8(&w->in);
  if (n < 128)
    return n * 50u;
  return n < 250 ? (n - 127u) * 3600 : n == 250 ? UINT32_MAX : (n - 250u) * 86400;
}

static MascClaim claim_of(World *w)
{
  static const MascId origins[] = { 1, 2, 10, 20, 21, 22, 30, 31, 32 };
  MascClaim c = { .node = 1 };
  uint8_t type = mal_read_u8(&w->in), role = mal_read_u8(&w->in), origin = mal_read_u8(&w->in);
  c.type = (MascClaimType)(type % MASC_N_CLAIM_TYPES);
  c.role = (MascRole)(role % MASC_N_ROLES);
  c.deprecated = (type & 128) != 0;
  c.domain = origins[origin % G_N_ELEMENTS(origins)];
  c.node = c.domain * 1000 + (role >> 6);
  c.prefix = prefix_of(w);
  c.timestamp = masc_time_to_wire(now(w).wall - (int8_t)mal_read_u8(&w->in) * 20);
  c.lifetime = seconds_of(w);
  c.holdtime = seconds_of(w);
  return c;
}

static void say(World *w, size_t peer, const MascClaim *claim)
{
  if (!w->there[peer])
    return;
  w->speaker = (int)peer;
  w->spoken = *claim;
  uint8_t subcode = masc_zone_heard(w->zone, (unsigned)peer, claim, now(w));
  must(subcode == 0 || masc_error_known(MASC_ERROR_UPDATE, subcode));
  w->speaker = -1;
}

static void step_claim(World *w)
{
  size_t peer = mal_read_u8(&w->in) % N_PEERS;
  MascClaim claim = claim_of(w);
  if (masc_claim_check(&claim) == 0)
    say(w, peer, &claim);
}

static void step_octets(World *w)
{
  size_t peer = mal_read_u8(&w->in) % N_PEERS;
  size_t length = mal_read_u8(&w->in);
  const uint8_t *octets = mal_read_bytes(&w->in, length);
  MascMessage msg;
  MascClaim claim;
  MascFault fault;
  MascNext next;
  if (octets == NULL || !masc_decode(octets, length, &msg, NULL) || msg.type != MASC_UPDATE)
    return;
  MascCursor cursor = masc_cursor(&msg.update);
  while ((next = masc_cursor_next(&cursor, &claim, &fault)) != MASC_NEXT_END)
    if (next == MASC_NEXT_CLAIM)
      say(w, peer, &claim);
}

static void pass(World *w, int64_t until)
{
  unsigned ticks = 0;
  for (int64_t due; (due = masc_zone_due(w->zone)) <= until && ticks < MOST_TICKS; ticks++) {
    w->mono = MAX(w->mono, due);
    masc_zone_run(w->zone, now(w));
  }
  must(ticks < MOST_TICKS);
  w->mono = MAX(w->mono, until);
}

static void step_clock(World *w)
{
  int64_t step = ((int64_t)mal_read_u8(&w->in) - 128) * 600;
  w->shift += step;
  masc_zone_clock_stepped(w->zone, step, now(w));
}

static void session(World *w, size_t peer, bool up)
{
  if (!w->there[peer] || w->up[peer] == up)
    return;
  w->up[peer] = up;
  if (up)
    masc_zone_up(w->zone, (unsigned)peer, peers[peer].domain, peers[peer].domain * 1000, now(w));
  else
    masc_zone_down(w->zone, (unsigned)peer, now(w));
}

static void configure(World *w, size_t peer, bool there)
{
  if (w->there[peer] == there || (w->config.top && peers[peer].we_are == MASC_CHILD))
    return;
  w->there[peer] = there;
  w->up[peer] = false;
  if (there)
    masc_zone_add_peer(w->zone, (unsigned)peer, peers[peer].we_are, peers[peer].domain,
                       peers[peer].parent);
  else
    masc_zone_remove_peer(w->zone, (unsigned)peer, now(w));
}

static void step_demand(World *w)
{
  uint64_t count = (uint64_t)mal_read_u8(&w->in) * 16;
  MalTime until = now(w).wall + seconds_of(w);
  masc_zone_arrived(w->zone, count, now(w));
  masc_zone_waiting(w->zone, count, until, now(w));
}

static void refuse(World *w, uint8_t what, uint8_t subcode)
{
  size_t peer = what >> 5;
  if (peer < N_PEERS && w->there[peer] && w->asked.node != 0)
    masc_zone_refused(w->zone, (unsigned)peer, &w->asked, subcode, now(w));
}

static void step_hand(World *w)
{
  g_autoptr(GError) error = NULL;
  uint8_t what = mal_read_u8(&w->in);
  MalPrefix prefix = prefix_of(w);
  int64_t lifetime = seconds_of(w);
  bool done = true;
  switch (what % 4) {
  case 0:
    done = masc_zone_claim(w->zone, prefix, what & 4, lifetime, now(w), &error);
    break;
  case 1: done = masc_zone_withdraw(w->zone, prefix, now(w), &error); break;
  case 2: done = masc_zone_resolve(w->zone, prefix, what & 4, now(w), &error); break;
  default:
    if (what & 16)
      refuse(w, what, (uint8_t)(10 + lifetime / 50 % 20));
    else
      masc_zone_forgive(w->zone, 20 + (what >> 2) % 2);
    break;
  }
  must(done == (error == NULL));
}

static void step_kept(World *w)
{
  uint8_t how = mal_read_u8(&w->in);
  if (w->confirmed >= w->tickets)
    return;
  w->confirmed = how & 1 ? w->tickets : w->confirmed + 1;
  masc_zone_kept(w->zone, w->confirmed, (how & 6) != 0, now(w));
}

static void step_use(World *w)
{
  w->use = mal_span_of_prefix(prefix_of(w));
  w->use_until = now(w).wall + seconds_of(w);
  w->sparse = (w->use_until & 1) != 0 && mal_span_size(w->use) <= 4096;
  masc_zone_replan(w->zone, now(w));
}

/* ---- life ------------------------------------------------------------------------------------ */

static void start(World *w)
{
  g_array_set_size(w->managed, 0);
  memset(w->local, 0, sizeof w->local);
  w->zone = masc_zone_new(&w->config);
  w->confirmed = w->tickets;
  g_autofree Row *rows = g_memdup2(w->rows, w->n_rows * sizeof *rows);
  for (size_t i = 0, n = w->n_rows; i < n; i++) {
    Row *row = &rows[i];
    masc_zone_restore(w->zone, row->key, row->key_length, row->value, row->value_length, now(w));
  }
  for (size_t i = 0; i < N_PEERS; i++) {
    w->there[i] = w->up[i] = false;
    configure(w, i, true);
  }
  masc_zone_start(w->zone, now(w));
  for (size_t i = 0; i < N_PEERS; i++)
    session(w, i, true);
}

static void step_restart(World *w)
{
  uint8_t flip = mal_read_u8(&w->in), at = mal_read_u8(&w->in), value = mal_read_u8(&w->in);
  masc_zone_free(w->zone);
  if (w->n_rows > 0) {
    Row *row = &w->rows[flip % w->n_rows];
    if (flip & 128)
      row->key[at % row->key_length] ^= value;
    else if (row->value_length > 0)
      row->value[at % row->value_length] ^= value;
  }
  start(w);
}

static void step_params(World *w)
{
  uint8_t what = mal_read_u8(&w->in);
  w->params.claim = (what & 1) != 0;
  w->params.clash = what & 2 ? MASC_CLASH_MANUAL : MASC_CLASH_AUTOMATIC;
  w->params.max_prefixes = (what >> 2) % 4;
  w->params.limits.lifetime_max = what & 16 ? 7200 : 0;
  w->params.limits.timestamp_new = what & 32 ? 1000 : 0;
  w->params.flood_limit = what & 64 ? 3 : 32;
  if ((what & 128) && w->there[4])
    masc_zone_bound_peer(w->zone, 4, (v6(w) ? 112u : 16u) + (what >> 2) % 4u * 3u);
  if (what & 128)
    masc_zone_forget_parents(w->zone, now(w));
  masc_zone_params_changed(w->zone, now(w));
}

static void check(World *w)
{
  uint64_t managed[G_N_ELEMENTS(w->local)] = { 0 };
  masc_zone_check(w->zone, now(w));
  if (masc_zone_due(w->zone) <= w->mono)
    return;                   /* what follows from a change is done by the next run */
  for (guint i = 0; i < w->managed->len; i++)
    mark(managed, g_array_index(w->managed, MalPrefix, i), true);
  for (size_t i = 0; i < G_N_ELEMENTS(managed); i++)
    must((w->local[i] & ~managed[i]) == 0);
}

static void step(World *w)
{
  size_t peer;
  switch (mal_read_u8(&w->in) % 13) {
  case 0: step_claim(w); break;
  case 1: step_octets(w); break;
  case 2: pass(w, CLAMP(masc_zone_due(w->zone), w->mono, w->mono + 40 * 86400 * MASC_SECOND));
    break;
  case 3: pass(w, w->mono + mal_read_u16(&w->in) * MASC_SECOND); break;
  case 4: step_clock(w); break;
  case 5:
    peer = mal_read_u8(&w->in) % N_PEERS;
    session(w, peer, !w->up[peer]);
    break;
  case 6:
    peer = mal_read_u8(&w->in) % N_PEERS;
    configure(w, peer, !w->there[peer]);
    break;
  case 7: step_demand(w); break;
  case 8: step_hand(w); break;
  case 9: step_kept(w); break;
  case 10: step_use(w); break;
  case 11: step_restart(w); break;
  default: step_params(w); break;
  }
  check(w);
}

static void begin(World *w)
{
  uint8_t how = mal_read_u8(&w->in);
  masc_params_init(&w->params);
  w->params.waiting_period = 3600;
  w->params.initiate_claim_delay = 60;
  w->params.prefix_lifetime = 86400;
  w->params.renew_interval = 7200;
  w->params.plan_interval = 3600;
  w->params.extra_holding = how & 1 ? 600 : 0;
  w->params.unit6 = 120;
  w->params.clash = how & 2 ? MASC_CLASH_MANUAL : MASC_CLASH_AUTOMATIC;
  w->params.claim = (how & 4) == 0;
  w->params.flood_limit = how & 8 ? 3 : 32;
  w->config = (MascZoneConfig){ .scope = "test",
                                .domain = OWN,
                                .node = 10001,
                                .top = (how & 16) != 0,
                                .parent = (how & 32) != 0,
                                .recovering = (how & 64) != 0,
                                .params = &w->params,
                                .ops = &ops,
                                .user = w };
  must(mal_span_parse(how & 128 ? "ff3e::8000:0-ff3e::8000:ffff" : "233.252.0.0-233.252.255.255",
                      &w->config.span, NULL));
  start(w);
}

static void count(const MascEntry *entry, void *data)
{
  must(entry->kind <= MASC_ENTRY_WITHDRAWN);
  ++*(size_t *)data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  World *w = g_new0(World, 1);
  size_t entries = 0;
  w->in = mal_reader(data, size);
  w->seed = size;
  w->speaker = -1;
  w->rows = g_new0(Row, MOST_RECORDS);
  w->managed = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  w->mono = 1000 * MASC_SECOND;
  begin(w);
  for (unsigned i = 0; i < MOST_STEPS && mal_reader_more(&w->in); i++)
    step(w);
  masc_zone_each(w->zone, now(w), count, &entries);
  masc_zone_usage(w->zone, now(w));
  masc_zone_free(w->zone);
  g_array_unref(w->managed);
  g_free(w->rows);
  g_free(w);
  return 0;
}
