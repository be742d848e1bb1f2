/* The server machine under arbitrary datagrams, model answers and time. The input is a list of
   steps:

     0..5 LENGTH(2) OCTETS   a datagram: from one of two clients, to one of three destinations
     6 HOW                   all that is under way becomes durable, or fails
     7 SECONDS               time passes
     8 MODE                  how the model answers from now on, and whom the configuration serves
     9                       what waits gets its space

   What must hold: every answer decodes, keeps table 5, bears the xid, identifier and type that the
   message of its transaction has, and goes to a client; servers' messages get none.
   Covers: plugins/madcap/madcap-server*.c plugins/madcap/madcap-tables.c */
#include "plugins/madcap/madcap-server.h"
#include "plugins/madcap/madcap-tables.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define N_LEASES 16

typedef struct {
  uint8_t id[MAL_LEASE_ID_MAX];
  MalBlock block;
  MalLease lease;
  uint64_t cookie;
  bool used, waiting, leaving;
} Slot;

typedef struct {
  MadcapServer *server;
  Slot slots[N_LEASES];
  MadcapServerConfig config;
  MalScopeSet *scopes;
  GArray *groups;
  uint8_t mode;
  bool receiving, from_server;
  MalTime now;
  int64_t mono;
} World;

static Slot *find(World *w, MalLeaseId id)
{
  for (size_t i = 0; i < N_LEASES; i++)
    if (w->slots[i].used && mal_lease_id_equal(w->slots[i].lease.id, id))
      return &w->slots[i];
  return NULL;
}

static Slot *find_or_add(World *w, MalLeaseId id)
{
  Slot *s = find(w, id);

  for (size_t i = 0; s == NULL && i < N_LEASES; i++)
    if (!w->slots[i].used)
      s = &w->slots[i];
  if (s == NULL || s->used)
    return s;
  *s = (Slot){ .used = true };
  memcpy(s->id, id.bytes, id.length);
  s->lease.id = (MalLeaseId){ s->id, id.length };
  s->lease.blocks = &s->block;
  s->lease.n_blocks = 1;
  return s;
}

static void op_send(void *user, const MadcapArrival *to, const uint8_t *data, size_t length)
{
  World *w = user;
  MadcapMessage m;
  MadcapFault fault = { .reason = MADCAP_REASON_NONE };
  MadcapOutcome outcome = madcap_decode(data, length, &m, &fault);

  g_assert_true(outcome == MADCAP_OK ||
                (m.type == MADCAP_NAK && fault.reason == MADCAP_REASON_FAMILY));
  g_assert_true(madcap_type_from_server(m.type));
  g_assert_false(w->receiving && w->from_server);
  g_assert_false(mal_address_is_multicast(to->peer.address));
  if (m.type != MADCAP_ACK && madcap_has(&m, MADCAP_OPTION_LEASE_ID))
    g_assert_true(madcap_check(&m, (MadcapContext){ .multicast = false }, &fault));
}

static bool op_lease(void *user, MalLeaseId id, MalLease *out)
{
  Slot *s = find(user, id);

  if (s == NULL || s->waiting || (s->lease.flags & MAL_LEASE_HELD) != 0)
    return false;
  *out = s->lease;
  return true;
}

static bool op_waiting(void *user, MalLeaseId id)
{
  Slot *s = find(user, id);

  return s != NULL && s->waiting;
}

static MalAnswer take(World *w, const MalLeaseRequest *r, MalTime now, uint64_t cookie,
                      uint32_t flags, MalRefusal *why)
{
  Slot *s = w->mode % 3 == 0 ? NULL : find_or_add(w, r->id);

  g_assert_cmpuint(r->min, >=, 1);
  g_assert_cmpuint(r->min, <=, r->desired);
  g_assert_cmpint(r->lifetime, >, 0);
  g_assert_cmpint(r->min_lifetime, <=, r->lifetime);
  *why = (MalRefusal){ (MalErrorCode)(w->mode % 12), (MalRefusedPart)(w->mode / 12 % 7) };
  if (s == NULL)
    return MAL_ANSWER_REFUSED;
  s->block = r->n_named > 0 ? r->named[0] : mal_block_make(r->scope->span.first, r->desired);
  s->lease.scope = r->scope->id;
  s->lease.start = MAX(r->start, now);
  s->lease.end = s->lease.start + r->lifetime;
  s->lease.client = r->client;
  s->lease.flags = r->flags | flags;
  s->cookie = cookie;
  s->waiting = cookie != 0 && w->mode % 3 == 1;
  return s->waiting ? MAL_ANSWER_WAITING : MAL_ANSWER_GRANTED;
}

static bool op_hold(void *user, const MalLeaseRequest *r, MalTime now, MalTime until, MalLease *out,
                    MalRefusal *why)
{
  (void)until;
  if (take(user, r, now, 0, MAL_LEASE_HELD, why) != MAL_ANSWER_GRANTED)
    return false;
  *out = find(user, r->id)->lease;
  return true;
}

static bool op_unhold(void *user, MalLeaseId id)
{
  Slot *s = find(user, id);

  if (s == NULL || (s->lease.flags & MAL_LEASE_HELD) == 0)
    return false;
  s->used = false;
  return true;
}

static MalAnswer op_request(void *user, const MalLeaseRequest *r, MalTime now, uint64_t cookie,
                            MalRefusal *why)
{
  return take(user, r, now, cookie, MAL_LEASE_PENDING, why);
}

static MalAnswer op_renew(void *user, MalLeaseId id, const MalRenewal *r, MalTime now,
                          uint64_t cookie, MalRefusal *why)
{
  World *w = user;
  Slot *s = find(w, id);

  *why = (MalRefusal){ (MalErrorCode)(w->mode % 12), (MalRefusedPart)(w->mode / 12 % 7) };
  if (s == NULL || s->cookie != 0 || w->mode % 3 == 0)
    return MAL_ANSWER_REFUSED;
  g_assert_cmpint(r->lifetime, >, 0);
  s->lease.start = r->start == MAL_BEGINNING ? s->lease.start : MAX(r->start, now);
  s->lease.end = MAX(s->lease.start, now) + r->lifetime;
  s->cookie = cookie;
  return MAL_ANSWER_GRANTED;
}

static MalAnswer op_release(void *user, MalLeaseId id, MalTime now, uint64_t cookie,
                            MalRefusal *why)
{
  World *w = user;
  Slot *s = find(w, id);

  *why = (MalRefusal){ MAL_ERROR_NOT_FOUND, MAL_REFUSED_ID };
  if (s == NULL)
    return MAL_ANSWER_REFUSED;
  if (s->waiting) {
    g_autoptr(GError) error = g_error_new_literal(MAL_ERROR, MAL_ERROR_NOT_FOUND, "taken back");
    s->used = false;
    madcap_server_answer(w->server, s->cookie, NULL, error, now, w->mono);
    return MAL_ANSWER_WAITING;
  }
  if (s->cookie != 0)
    return MAL_ANSWER_REFUSED;
  s->cookie = cookie;
  s->leaving = true;
  return MAL_ANSWER_GRANTED;
}

static void op_when_durable(void *user, MalLeaseId id, uint64_t cookie)
{
  (void)user, (void)id, (void)cookie;
}

static void op_news(void *user, const MadcapNews *news)
{
  (void)user, (void)news;
}

static const MadcapServerOps ops = {
  .send = op_send, .lease = op_lease, .waiting = op_waiting, .hold = op_hold, .unhold = op_unhold,
  .request = op_request, .renew = op_renew, .release = op_release, .when_durable = op_when_durable,
  .news = op_news,
};

static void settle(World *w, bool ok)
{
  g_autoptr(GError) error = ok ? NULL : g_error_new_literal(MAL_ERROR, MAL_ERROR_STORE, "full");

  for (size_t i = 0; i < N_LEASES; i++) {
    Slot *s = &w->slots[i];
    uint64_t cookie = s->cookie;
    if (!s->used || s->waiting || cookie == 0)
      continue;
    s->cookie = 0;
    s->lease.flags &= ~(uint32_t)MAL_LEASE_PENDING;
    madcap_server_answer(w->server, cookie, ok ? &s->lease : NULL, error, w->now, w->mono);
    if (s->leaving || !ok)
      s->used = s->leaving = false;
  }
}

static void receive(World *w, uint8_t kind, const uint8_t *octets, size_t length)
{
  static const uint32_t destinations[] = { 0xC0000201u, 0xEFFFFFFEu, 0xEFC3FFFEu };
  MadcapArrival from = {
    .peer = { .address = mal_address_ipv4(kind % 2 == 0 ? 0xC0000232u : 0xC0000233u),
              .port = 4000 },
    .destination = mal_address_ipv4(destinations[kind / 2]),
    .server_id = mal_address_ipv4(0xC0000201u),
    .ifindex = 1,
  };
  g_autofree uint8_t *exact = g_memdup2(octets, length);

  w->receiving = true;
  w->from_server = length > 1 && madcap_type_from_server(octets[1]);
  madcap_server_receive(w->server, &from, exact, length, w->now, w->mono);
  w->receiving = false;
}

/* MODE has 84 ways of the model to answer; the rest is the configuration's. */
static void take_mode(World *w, uint8_t mode)
{
  w->mode = mode;
  w->config.anyone_may_change = mode / 84 & 1;
  w->config.rate_limit = mode / 84 & 2 ? 2 : 0;
  madcap_server_configure(w->server, &w->config, w->scopes, w->groups);
}

static void run(World *w, const uint8_t *data, size_t size)
{
  MalReader r = mal_reader(data, size);

  while (mal_reader_more(&r)) {
    uint8_t step = mal_read_u8(&r) % 10;
    if (step < 6) {
      size_t length = mal_read_u16(&r);
      length = MIN(length, mal_reader_left(&r));
      const uint8_t *octets = mal_read_bytes(&r, length);
      if (octets != NULL)
        receive(w, step, octets, length);
    } else if (step == 6) {
      settle(w, mal_read_u8(&r) % 4 != 0);
    } else if (step == 7) {
      uint8_t seconds = mal_read_u8(&r);
      w->now += seconds;
      w->mono += seconds * INT64_C(1000000);
      madcap_server_tick(w->server, w->now, w->mono);
      g_assert_cmpint(madcap_server_due(w->server), >, w->mono);
    } else if (step == 8) {
      take_mode(w, mal_read_u8(&r));
    } else {
      for (size_t i = 0; i < N_LEASES; i++)
        w->slots[i].waiting = false;
      settle(w, true);
    }
  }
}

static MalScope *scope(const char *id, uint32_t first, uint32_t last)
{
  MalScope *s = g_new0(MalScope, 1);

  s->id = g_strdup(id);
  s->span = (MalSpan){ mal_address_ipv4(first), mal_address_ipv4(last) };
  s->ttl = 16;
  s->names = g_new0(MalScopeName, 1);
  s->names[0] = (MalScopeName){ g_strdup("en"), g_strdup(id) };
  s->n_names = 1;
  s->nests_inside = g_new0(char *, 1);
  return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  uint64_t values[MADCAP_N_METRICS] = { 0 };
  MalMetricSet metrics = { "madcap", madcap_metrics, MADCAP_N_METRICS, values };
  static const MadcapServerConfig config = {
    .default_lease_time = 3600,
    .max_lease_time = 86400,
    .offer_hold = 60,
    .response_cache = 60,
    .cache_entries = 32,
    .cache_octets = 65536,
    .clock_skew_allowance = 1800,
    .retry_after = 60,
    .max_per_request = 64,
  };
  World w = { .now = 1767225600, .mono = 1000000000, .mode = 2, .config = config };
  g_autoptr(GPtrArray) scopes = g_ptr_array_new();
  g_autoptr(GArray) groups = g_array_new(FALSE, FALSE, sizeof(MadcapGroup));

  g_ptr_array_add(scopes, scope("local", 0xEFFF0000u, 0xEFFFFFFFu));
  g_ptr_array_add(scopes, scope("org", 0xEFC00000u, 0xEFC3FFFFu));
  g_autoptr(MalScopeSet) set = mal_scope_set_new(scopes, NULL);
  for (unsigned i = 0; i < 2; i++) {
    MadcapGroup group = { madcap_group_default(mal_scope_set_at(set, i)), i };
    g_array_append_val(groups, group);
  }
  w.server = madcap_server_new(&ops, &w, &metrics, &(MalHashKey){ { 1 } });
  w.scopes = set;
  w.groups = groups;
  madcap_server_configure(w.server, &w.config, set, groups);
  run(&w, data, size);
  madcap_server_free(w.server);
  return 0;
}
