/* The parts of the server machine by themselves: cache, rate limit, scope tables. */
#include "plugins/madcap/madcap-server-private.h"

#include <criterion/criterion.h>
#include <string.h>

static const MalHashKey key = { { 1, 2, 3 } };

static MalAddress address(const char *text)
{
  MalAddress a = mal_address_none();

  cr_assert(mal_address_parse(text, &a, NULL), "%s", text);
  return a;
}

/* ---- cache ----------------------------------------------------------------------------------- */

static MalLeaseId id_of(const char *text)
{
  return (MalLeaseId){ (const uint8_t *)text, strlen(text) };
}

static MadcapEntry *answered(MadcapCache *c, uint32_t xid, size_t length, int64_t mono)
{
  static const uint8_t reply[4096];
  MadcapEntry *e = madcap_cache_add(c, xid, MADCAP_REQUEST, id_of("id"), mono);

  cr_assert_not_null(e);
  madcap_cache_reply(c, e, reply, length);
  madcap_cache_finish(c, e, mono);
  return e;
}

static bool has(MadcapCache *c, uint32_t xid, int64_t mono)
{
  return madcap_cache_find(c, xid, MADCAP_REQUEST, id_of("id"), mal_address_none(), mono) != NULL;
}

static MadcapCache a_cache(size_t entries, size_t octets)
{
  MadcapCache c;

  madcap_cache_init(&c, &key);
  madcap_cache_bound(&c, entries, octets, 60);
  return c;
}

Test(madcap_cache, octets_are_bounded_oldest_first)
{
  MadcapCache c = a_cache(100, 3 * (sizeof(MadcapEntry) + 1000));

  for (uint32_t xid = 1; xid <= 3; xid++)
    answered(&c, xid, 1000, xid);
  cr_assert_eq(c.octets, 3 * (sizeof(MadcapEntry) + 1000));
  answered(&c, 4, 1000, 4);
  cr_assert(!has(&c, 1, 4) && has(&c, 2, 4) && has(&c, 4, 4));
  answered(&c, 5, 4096, 5); /* room for itself alone */
  cr_assert_eq(c.done, 1);
  cr_assert(has(&c, 5, 5));
  cr_assert_eq(c.evicted, 4);
  madcap_cache_clear(&c);
}

Test(madcap_cache, an_answer_over_the_bound_is_kept_until_the_next)
{
  MadcapCache c = a_cache(100, sizeof(MadcapEntry) + 100);

  answered(&c, 1, 1000, 1);
  cr_assert(has(&c, 1, 1));
  answered(&c, 2, 10, 2);
  cr_assert(!has(&c, 1, 2) && has(&c, 2, 2));
  madcap_cache_bound(&c, 100, sizeof(MadcapEntry) - 1, 60);
  cr_assert_null(madcap_cache_add(&c, 3, MADCAP_REQUEST, id_of("id"), 3), "no room at all");
  cr_assert_eq(c.entries, 0);
  madcap_cache_clear(&c);
}

Test(madcap_cache, any_entry_can_be_dropped)
{
  static const uint32_t order[][3] = { { 1, 2, 3 }, { 2, 1, 3 }, { 3, 2, 1 }, { 2, 3, 1 } };

  for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
    MadcapCache c = a_cache(100, 1 << 20);
    MadcapEntry *e[4];
    for (uint32_t xid = 1; xid <= 3; xid++)
      e[xid] = answered(&c, xid, 200, xid);
    for (size_t k = 0; k < 3; k++) {
      madcap_cache_drop(&c, e[order[i][k]]);
      cr_assert_not(has(&c, order[i][k], 4));
      for (size_t rest = k + 1; rest < 3; rest++)
        cr_assert(has(&c, order[i][rest], 4), "order %zu: %u", i, order[i][rest]);
    }
    cr_assert_eq(c.octets, 0);
    cr_assert_eq(madcap_cache_due(&c), INT64_MAX);
    madcap_cache_clear(&c);
  }
}

Test(madcap_cache, who_waits_is_found_by_identifier_until_it_waits_no_more)
{
  static const char long_id[] = "a lease identifier of more than thirty-two octets";
  MadcapCache c = a_cache(100, 1 << 20);
  MadcapEntry *e[3];
  const char *ids[] = { "one", long_id, "three" };

  for (uint32_t i = 0; i < 3; i++) {
    e[i] = madcap_cache_add(&c, i, MADCAP_REQUEST, id_of(ids[i]), 0);
    madcap_cache_wait(&c, e[i], 10 + (int64_t)i);
  }
  cr_assert_null(madcap_cache_waiting(&c, id_of("nobody")));
  cr_assert_eq(madcap_cache_due(&c), 10);
  madcap_cache_drop(&c, e[1]); /* in the middle */
  cr_assert_null(madcap_cache_waiting(&c, id_of(long_id)));
  cr_assert_eq(madcap_cache_waiting(&c, id_of("one")), e[0]);
  cr_assert_eq(madcap_cache_waiting(&c, id_of("three")), e[2]);
  madcap_cache_drop(&c, e[2]); /* the first in the list, then the last */
  cr_assert_eq(madcap_cache_waiting_due(&c, 10), e[0]);
  madcap_cache_finish(&c, e[0], 11);
  cr_assert_eq(c.n_waits, 0);
  cr_assert_eq(c.entries, 0, "without an answer nothing is kept");
  cr_assert_eq(c.octets, 0);
  madcap_cache_clear(&c);
}

Test(madcap_cache, neither_of_equal_hash_nor_expired)
{
  MadcapCache c = a_cache(100, 1 << 20);
  MadcapEntry *e = answered(&c, 1, 10, 0);

  cr_assert(has(&c, 1, c.interval - 1));
  cr_assert_not(has(&c, 1, c.interval), "though it is still there");
  e->xid = 2; /* as if the hashes of two transactions were equal */
  cr_assert_not(has(&c, 1, 0));
  e->xid = 1;
  e->type = MADCAP_RENEW;
  cr_assert_not(has(&c, 1, 0));
  e->type = MADCAP_REQUEST;
  e->id[0] ^= 1;
  cr_assert_not(has(&c, 1, 0));
  e->id[0] ^= 1;
  cr_assert(has(&c, 1, 0));
  madcap_cache_clear(&c);
}

Test(madcap_cache, cookies_of_what_is_gone_find_nothing)
{
  MadcapCache c = a_cache(100, 1 << 20);

  cr_assert_null(madcap_cache_by_cookie(&c, 0), "an empty cache");
  MadcapEntry *e = madcap_cache_add(&c, 1, MADCAP_REQUEST, id_of("id"), 0);
  uint64_t cookie = e->cookie;
  cr_assert_eq(madcap_cache_by_cookie(&c, cookie), e);
  cr_assert_null(madcap_cache_by_cookie(&c, cookie + (UINT64_C(1) << 32)), "a later life");
  cr_assert_null(madcap_cache_by_cookie(&c, cookie | 0xFFFFFFFFu), "no such slot");
  madcap_cache_drop(&c, e);
  cr_assert_null(madcap_cache_by_cookie(&c, cookie));
  e = madcap_cache_add(&c, 2, MADCAP_REQUEST, id_of("id"), 0);
  cr_assert_neq(e->cookie, cookie, "the same slot, another life");
  cr_assert_null(madcap_cache_by_cookie(&c, cookie));
  madcap_cache_clear(&c);
}

Test(madcap_cache, a_new_answer_takes_the_place_of_the_old_one)
{
  static const size_t lengths[] = { 10, 1000, 20, 2000, 1000 };
  static uint8_t reply[2000];
  MadcapCache c = a_cache(100, 1 << 20);
  MadcapEntry *e = madcap_cache_add(&c, 1, MADCAP_REQUEST, id_of("id"), 0);

  for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
    memset(reply, (int)i + 1, sizeof reply);
    madcap_cache_reply(&c, e, reply, lengths[i]);
    cr_assert_eq(e->reply_length, lengths[i]);
    cr_assert_arr_eq(e->reply, reply, lengths[i]);
    cr_assert_eq(c.octets, sizeof *e + (lengths[i] > sizeof e->reply_inline ? lengths[i] : 0));
  }
  madcap_cache_finish(&c, e, 0);
  madcap_cache_expire(&c, c.interval);
  cr_assert_eq(c.octets, 0);
  madcap_cache_clear(&c);
}

/* Buckets and chunks grow; nothing is lost by it. */
Test(madcap_cache, grows)
{
  MadcapCache c = a_cache(5000, 1 << 24);
  MadcapEntry *gap = answered(&c, 9999, 10, 0);

  madcap_cache_drop(&c, gap);
  for (uint32_t xid = 1; xid <= 2000; xid++)
    answered(&c, xid, 10, 0);
  for (uint32_t xid = 1; xid <= 2000; xid++)
    cr_assert(has(&c, xid, 1), "%u", xid);
  cr_assert_not(has(&c, 9999, 1));
  madcap_cache_clear(&c);
}

/* ---- rate ------------------------------------------------------------------------------------ */

static unsigned take(MadcapRate *rate, const char *source, unsigned times, int64_t mono)
{
  unsigned n = 0;

  while (times-- > 0)
    n += madcap_rate_take(rate, address(source), mono);
  return n;
}

Test(madcap_rate, bursts_and_refill)
{
  static const struct {
    uint32_t per_second;
    unsigned burst;
  } rows[] = { { 1, 4 }, { 4, 4 }, { 5, 5 }, { 1000, 1000 } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MadcapRate *rate = madcap_rate_new(&key, rows[i].per_second, 16);
    unsigned burst = rows[i].burst;
    cr_expect_eq(take(rate, "192.0.2.1", 2 * burst, 0), burst, "row %zu", i);
    cr_expect_eq(take(rate, "192.0.2.1", 2 * burst, 1000000), rows[i].per_second, "row %zu", i);
    /* One left over, one more earned: never more than the burst. */
    cr_expect_eq(take(rate, "192.0.2.1", 1, 100 * MAL_US), 1);
    cr_expect_eq(take(rate, "192.0.2.1", 2 * burst, 100 * MAL_US + 2000000), burst, "row %zu", i);
    cr_expect_eq(take(rate, "192.0.2.1", 1, 0), 0, "a clock that goes back earns nothing");
    madcap_rate_free(rate);
  }
}

Test(madcap_rate, a_64_is_one_source_and_an_ipv4_address_another)
{
  MadcapRate *rate = madcap_rate_new(&key, 1, 1024);

  cr_expect_eq(take(rate, "2001:db8::1", 3, 0), 3);
  cr_expect_eq(take(rate, "2001:db8::ffff:0:0:2", 3, 0), 1, "of the same /64");
  cr_expect_eq(take(rate, "2001:db8:0:1::1", 3, 0), 3);
  cr_expect_eq(take(rate, "192.0.2.1", 5, 0), 4);
  cr_expect_eq(take(rate, "192.0.2.2", 5, 0), 4);
  madcap_rate_free(rate);
}

Test(madcap_rate, the_one_not_heard_for_longest_is_forgotten)
{
  MadcapRate *rate = madcap_rate_new(&key, 1, 1);
  static const char *const sources[] = { "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4" };
  static const int64_t heard[] = { 30, 10, 20, 40 };

  for (size_t i = 0; i < 4; i++)
    cr_expect_eq(take(rate, sources[i], 9, heard[i]), 4);
  cr_expect_eq(take(rate, "192.0.2.5", 9, 50), 4, "in the place of the second");
  cr_expect_eq(take(rate, "192.0.2.1", 9, 50), 0);
  cr_expect_eq(take(rate, "192.0.2.3", 9, 51), 0);
  cr_expect_eq(take(rate, "192.0.2.4", 9, 52), 0);
  cr_expect_eq(take(rate, "192.0.2.2", 9, 53), 4, "it has a full bucket again");
  madcap_rate_free(rate);
  madcap_rate_free(NULL);
}

/* ---- scopes ---------------------------------------------------------------------------------- */

typedef struct {
  uint8_t data[MADCAP_MAX_LENGTH];
  size_t length;
} Wire;

static void note_sent(void *user, const MadcapArrival *to, const uint8_t *data, size_t length)
{
  Wire *wire = user;

  (void)to;
  memcpy(wire->data, data, length);
  wire->length = length;
}

static MalScope *a_scope(GPtrArray *out, const char *id, const char *span, const char *inside,
                         size_t n_names)
{
  MalScope *scope = g_new0(MalScope, 1);

  scope->id = g_strdup(id);
  cr_assert(mal_span_parse(span, &scope->span, NULL));
  scope->ttl = 1;
  scope->nests_inside = g_strsplit(inside, ",", -1);
  scope->names = g_new0(MalScopeName, n_names + 1);
  scope->n_names = n_names;
  for (size_t i = 0; i < n_names; i++)
    scope->names[i] = (MalScopeName){ g_strdup_printf("l%zu", i), g_strdup("name") };
  g_ptr_array_add(out, scope);
  return scope;
}

static MadcapServer *a_server(Wire *wire, MalMetricSet *metrics, GPtrArray *scopes)
{
  static const MadcapServerOps ops = { .send = note_sent };
  static const MadcapServerConfig config = { .clock_skew_allowance = 60 };
  g_autoptr(GArray) groups = g_array_new(FALSE, FALSE, sizeof(MadcapGroup));
  g_autoptr(GError) error = NULL;
  MalScopeSet *set = mal_scope_set_new(scopes, &error);

  cr_assert_not_null(set, "%s", error ? error->message : "");
  for (unsigned i = 0; i < mal_scope_set_size(set); i++) {
    MadcapGroup group = { madcap_group_default(mal_scope_set_at(set, i)), i };
    g_array_append_val(groups, group);
  }
  MadcapServer *s = madcap_server_new(&ops, wire, metrics, &key);
  madcap_server_configure(s, &config, set, groups);
  mal_scope_set_unref(set);
  return s;
}

static MadcapMessage scope_list(MadcapServer *s, Wire *wire, const char *language)
{
  static const uint16_t wanted[] = { MADCAP_OPTION_SCOPE_LIST };
  uint8_t buffer[600];
  MadcapMessage msg;
  MadcapArrival from = { .peer = { address("192.0.2.50"), 4000, 0 },
                         .destination = address("192.0.2.1"), .server_id = address("192.0.2.1") };
  MadcapEncoder e = madcap_encoder(buffer, sizeof buffer, MADCAP_GETINFO, (MadcapContext){ 0 },
                                   MAL_IPV4, 1);

  madcap_put_lease_id(&e, "id", 2);
  madcap_put_request_list(&e, wanted, 1);
  if (language != NULL)
    madcap_put_language(&e, language, strlen(language));
  size_t length = madcap_finish(&e);
  cr_assert_neq(length, 0u);
  wire->length = 0;
  madcap_server_receive(s, &from, buffer, length, 1000, 1);
  cr_assert_eq(madcap_decode(wire->data, wire->length, &msg, NULL), MADCAP_OK);
  return msg;
}

static unsigned names_of_first(const MadcapMessage *msg)
{
  MadcapScopeIter iter = madcap_scopes(msg);
  MadcapScopeView scope;

  cr_assert(madcap_scopes_next(&iter, &scope));
  return scope.n_names;
}

Test(rfc2730_3_10, scopes_of_no_name_and_of_more_than_can_be_told)
{
  static const size_t rows[][3] = { { 0, 0, 0 }, { 1, 1, 1 }, { 255, 255, 1 }, { 300, 255, 1 } };
  uint64_t values[MADCAP_N_METRICS] = { 0 };
  MalMetricSet metrics = { "madcap", madcap_metrics, MADCAP_N_METRICS, values };
  static Wire wire;
  g_autofree char *long_tag = g_strnfill(300, 'x');

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GPtrArray) scopes = g_ptr_array_new();
    a_scope(scopes, "local", "239.255.0.0-239.255.255.255", "", rows[i][0]);
    MadcapServer *s = a_server(&wire, &metrics, scopes);
    MadcapMessage all = scope_list(s, &wire, NULL);
    cr_expect_eq(names_of_first(&all), rows[i][1], "row %zu", i);
    MadcapMessage one = scope_list(s, &wire, long_tag); /* longer than any language tag */
    cr_expect_eq(names_of_first(&one), rows[i][2], "row %zu", i);
    madcap_server_free(s);
  }
  madcap_server_free(NULL);
}

/* Where no scope is the local one, the innermost take its place; of equals each. */
Test(rfc2730_2_11, equals_are_both_innermost)
{
  uint64_t values[MADCAP_N_METRICS] = { 0 };
  MalMetricSet metrics = { "madcap", madcap_metrics, MADCAP_N_METRICS, values };
  static Wire wire;
  g_autoptr(GPtrArray) scopes = g_ptr_array_new();

  a_scope(scopes, "a", "239.192.0.0-239.192.255.255", "b,big", 0);
  a_scope(scopes, "b", "239.193.0.0-239.193.255.255", "a,big", 0);
  a_scope(scopes, "big", "239.194.0.0-239.194.255.255", "", 0);
  a_scope(scopes, "six", "ff15::8000:0-ff15::8000:ffff", "", 0);
  MadcapServer *s = a_server(&wire, &metrics, scopes);
  cr_expect(madcap_getinfo_arrives_well(s, address("239.192.255.254")));
  cr_expect(madcap_getinfo_arrives_well(s, address("239.193.255.254")));
  cr_expect_not(madcap_getinfo_arrives_well(s, address("239.194.255.254")));
  cr_expect(madcap_getinfo_arrives_well(s, address("ff15::8000:fffe")));
  madcap_server_free(s);
}

/* Between the families nesting is what the configuration says: an IPv6 scope inside the local one
   is no more asked for at its group than an IPv4 one would be. */
Test(rfc2730_2_11, an_ipv6_scope_inside_the_local_one)
{
  uint64_t values[MADCAP_N_METRICS] = { 0 };
  MalMetricSet metrics = { "madcap", madcap_metrics, MADCAP_N_METRICS, values };
  static Wire wire;
  g_autoptr(GPtrArray) scopes = g_ptr_array_new();

  a_scope(scopes, "local", "239.255.0.0-239.255.255.255", "", 0);
  a_scope(scopes, "room", "ff15::8000:0-ff15::8000:ffff", "local", 0);
  a_scope(scopes, "site", "ff15::8001:0-ff15::8001:ffff", "", 0);
  MadcapServer *s = a_server(&wire, &metrics, scopes);
  const MalAddress group = address("239.255.255.254");
  cr_expect_not(madcap_scope_arrives_well(s, group, mal_scope_set_find(s->scopes, "room")));
  cr_expect(madcap_scope_arrives_well(s, group, mal_scope_set_find(s->scopes, "site")));
  madcap_server_free(s);
}

Test(rfc2730_2_10, which_group_is_local_scope_s)
{
  static const struct {
    const char *group;
    bool local;
  } rows[] = {
    { "239.255.255.254", true }, { "239.255.255.253", false }, { "ff03::1", true },
    { "ff13::1", true },         { "ff05::1", false },         { "ff0e::3", false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    cr_expect_eq(madcap_group_is_local(address(rows[i].group)), rows[i].local, "%s", rows[i].group);
  cr_expect_not(madcap_group_is_local(mal_address_none()));
}
