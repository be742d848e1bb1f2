/* AAP's codec, keys, trailer, ranges and scopes at their edges
   (draft-ietf-malloc-aap-04). */
#include "plugins/aap/aap-auth.h"
#include "plugins/aap/aap-peers.h"
#include "plugins/aap/aap-ranges.h"
#include "plugins/aap/aap-scope.h"
#include "plugins/aap/aap-seq.h"

#include <criterion/criterion.h>
#include <string.h>

#define A "0101010101010101010101010101010101010101010101010101010101010101"
#define B "0202020202020202020202020202020202020202020202020202020202020202"
#define NO_HEX "0g01010101010101010101010101010101010101010101010101010101010101"

/* ---- the codec ------------------------------------------------------------------------------- */

static AapRange range_of(uint32_t first, uint32_t last, uint32_t value)
{
  return (AapRange){ { mal_address_ipv4(first), mal_address_ipv4(last) }, value };
}

Test(aap_edges, what_has_no_length)
{
  static const AapMessage none[] = {
    { .type = (AapType)9, .family = MAL_IPV4 },
    { .type = AAP_ASA, .family = MAL_FAMILY_NONE },
  };
  uint8_t out[100];
  for (size_t i = 0; i < G_N_ELEMENTS(none); i++) {
    cr_expect_eq(aap_encoded_length(&none[i]), 0, "%zu", i);
    cr_expect_eq(aap_encode(&none[i], out, sizeof out, NULL), 0, "%zu", i);
  }
  cr_expect_eq(aap_ranges_fit(AAP_ASA, MAL_FAMILY_NONE, 0, 500), 0);
  cr_expect_eq(aap_ranges_fit((AapType)9, MAL_IPV4, 0, 500), 0);
}

/* One range more than any datagram holds. */
Test(aap_edges, more_ranges_than_fit)
{
  g_autofree AapRange *ranges = g_new(AapRange, AAP_MAX_RANGES + 1);
  g_autofree uint8_t *out = g_malloc(2 * AAP_MAX_LENGTH);
  AapMessage msg = { .type = AAP_AIU, .family = MAL_IPV4, .ranges = ranges };
  AapFault fault;
  for (uint32_t i = 0; i <= AAP_MAX_RANGES; i++)
    ranges[i] = range_of(0xe8000000 + i, 0xe8000000 + i, 5);
  msg.n_ranges = AAP_MAX_RANGES + 1;
  cr_expect_eq(aap_encode(&msg, out, 2 * AAP_MAX_LENGTH, &fault), 0);
  cr_expect_eq(fault.reason, AAP_REASON_FIT);
  msg.n_ranges = AAP_MAX_RANGES;
  cr_expect_eq(aap_encode(&msg, out, 2 * AAP_MAX_LENGTH, &fault), 12 + 12 * AAP_MAX_RANGES);
  cr_expect_eq(aap_encode_resent(MAL_IPV4, 1, 2, out + 12, 16, out, 2 * AAP_MAX_LENGTH), 28);
}

/* Claims, in use and intended: all may be cut; an announcement is whole (4.2.1). */
Test(aap_edges, what_is_cut_into_parts)
{
  static const struct {
    AapType type;
    size_t parts;
  } rows[] = { { AAP_ACLM, 2 }, { AAP_AIU, 2 }, { AAP_AITU, 2 }, { AAP_ASA, 0 }, { AAP_ANA, 0 } };
  const AapRange ranges[] = { range_of(0xe8000000, 0xe8000000, 5),
                              range_of(0xe8000002, 0xe8000003, 5),
                              range_of(0xe8000005, 0xe8000005, 5) };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    AapMessage msg = { .type = rows[i].type };
    size_t parts = 0, n = 0;
    AapSplit split = aap_split(rows[i].type, MAL_IPV4, ranges, 3, 12 + 2 * 12);
    for (; aap_split_next(&split, &msg); parts++)
      n += msg.n_ranges;
    cr_expect_eq(parts, rows[i].parts, "row %zu", i);
    cr_expect_eq(n, parts > 0 ? 3 : 0, "row %zu", i);
  }
}

Test(aap_edges, descriptions_of_any_size)
{
  const AapRange ranges[] = { range_of(0xe8000000, 0xe8000000, 5),
                              range_of(0xe8000002, 0xe8000003, 5) };
  static const AapRequest requests[] = { { 1, 2 }, { 3, 4 } };
  const AapMessage msg = { .type = AAP_ASRP, .family = MAL_IPV4, .ranges = ranges, .n_ranges = 2,
                           .requests = requests, .n_requests = 2 };
  char whole[AAP_DESCRIPTION_SIZE], part[AAP_DESCRIPTION_SIZE];
  aap_describe(&msg, whole, sizeof whole);
  cr_assert_not_null(strstr(whole, "wants 3 until 4"), "%s", whole);
  for (size_t size = 0; size < strlen(whole) + 2; size++) {
    memset(part, '#', sizeof part);
    cr_expect_eq(aap_describe(&msg, part, size), part);
    cr_expect_eq(part[size], '#', "%zu", size);
    cr_expect(size == 0 || strncmp(part, whole, size - 1) == 0, "%zu: %s", size, part);
  }
  cr_expect_str_eq(aap_reason_name((AapReason)AAP_N_REASONS), "unknown");
}

/* ---- the key file ---------------------------------------------------------------------------- */

Test(aap_edges, key_files_that_are_refused)
{
  static const struct {
    const char *text, *says;
  } rows[] = {
    { "[shared a]\nkey=" NO_HEX "\n", "key is not 64 hex digits" },
    { "[shared a]\nkey=" A "00\n", "key is not 64 hex digits" },
    { "[own a]\nsecret=" NO_HEX "\n", "secret is not" },
    { "[own a]\nsecret=" A "\nkey=" A "\n", "unknown key key" },
    { "[shared a]\nkey=" A "\n[peer b]\npublic=1\n", "public is not" },
    { "[shared a]\nkey=" A "\n[peer b]\npublic=" B "\nsend=yes\n", "unknown key send" },
    { "[shared a]\nkey=" A "\nsend=no\n[shared b]\nkey=" B "\nsend=no\n", "several keys" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    cr_expect_null(aap_keys_parse(rows[i].text, strlen(rows[i].text), &error), "row %zu", i);
    cr_expect(error != NULL && strstr(error->message, rows[i].says), "row %zu: %s", i,
              error ? error->message : "");
    cr_expect(error == NULL || !strstr(error->message, "0101"), "row %zu shows a key", i);
  }
}

Test(aap_edges, key_files_with_a_nul_are_refused)
{
  static const char *const nuls[] = { "@=\n@=\n[shared a]\nkey=" A "\n",
                                      "[shared a]\nkey=" A "\n@send=no\n",
                                      "[shared a]\nkey=" A "@\n" };
  for (size_t i = 0; i < G_N_ELEMENTS(nuls); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup(nuls[i]);
    size_t length = strlen(nuls[i]);
    for (size_t at = 0; at < length; at++)
      if (nuls[i][at] == '@')
        text[at] = '\0';
    cr_expect_null(aap_keys_parse(text, length, &error), "row %zu", i);
    cr_expect(error != NULL && strstr(error->message, "not groups"), "row %zu", i);
  }
}

static AapKeys *keys_of(const char *text)
{
  g_autoptr(GError) error = NULL;
  AapKeys *keys = aap_keys_parse(text, strlen(text), &error);
  cr_assert_not_null(keys, "%s", error ? error->message : "");
  return keys;
}

Test(aap_edges, keys_by_number)
{
  g_autoptr(AapKeys) keys =
      keys_of("[shared a]\nkey=" A "\nsend=yes\n[shared b]\nkey=" B "\nsend=no\n");
  const char *name, *kind;
  cr_expect_null(aap_keys_public(keys), "a shared one has none");
  cr_expect(aap_keys_at(keys, 1, &name, &kind) && strcmp(name, "b") == 0);
  cr_expect_str_eq(kind, "shared");
  cr_expect_not(aap_keys_at(keys, 2, &name, &kind));
  aap_keys_unref(NULL);
  aap_auth_free(NULL);
}

/* ---- the trailer ----------------------------------------------------------------------------- */

#define LIMIT 200

static void reserve(uint64_t upto, void *data)
{
  *(uint64_t *)data = upto;
}

static AapAuth *auth_of(AapKeys *keys, uint64_t sender)
{
  uint64_t upto = 0;
  AapAuth *auth = aap_auth_new(keys, sender, 1, reserve, &upto);
  aap_auth_reserved(auth, upto);
  aap_auth_reserved(auth, 0); /* an old answer takes nothing back */
  return auth;
}

static size_t seal(AapAuth *auth, uint8_t *out)
{
  memset(out, 7, 20);
  return aap_auth_seal(auth, mal_address_ipv4(0xeffffff8), out, 20, LIMIT);
}

static AapAuthVerdict open_it(AapAuth *auth, const uint8_t *data, size_t length)
{
  return aap_auth_open(auth, mal_address_ipv4(0xeffffff8), data, length, NULL, NULL, NULL);
}

Test(aap_edges, trailers_that_do_not_fit)
{
  g_autoptr(AapKeys) keys = keys_of("[shared a]\nkey=" A "\n");
  g_autoptr(AapAuth) from = auth_of(keys, 1);
  g_autoptr(AapAuth) to = auth_of(keys, 2);
  uint8_t data[LIMIT];
  cr_expect_eq(aap_auth_seal(from, mal_address_ipv4(0xeffffff8), data, 20, 19), 0);
  size_t n = seal(from, data);
  cr_assert_eq(n, 20 + aap_auth_overhead(from));
  cr_expect_eq(open_it(to, data + n - AAP_AUTH_FIXED, AAP_AUTH_FIXED), AAP_AUTH_FORGED, "no tag");
  cr_expect_eq(open_it(to, data, n), AAP_AUTH_OK);
}

/* Senders whose numbers fall together, and one with our number under another key. */
Test(aap_edges, senders_are_told_apart)
{
  g_autoptr(AapKeys) a = keys_of("[shared a]\nkey=" A "\nsend=yes\n[shared b]\nkey=" B "\n");
  g_autoptr(AapKeys) b = keys_of("[shared a]\nkey=" A "\n[shared b]\nkey=" B "\nsend=yes\n");
  g_autoptr(AapAuth) to = auth_of(a, 9);
  static const struct {
    uint64_t sender;
    bool other_key;
    AapAuthVerdict verdict;
  } rows[] = {
    { 1, false, AAP_AUTH_OK }, { UINT64_C(1) << 32, false, AAP_AUTH_OK },
    { 1, true, AAP_AUTH_OK },  { 9, true, AAP_AUTH_OK },
    { 9, false, AAP_AUTH_OWN },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(AapAuth) from = auth_of(rows[i].other_key ? b : a, rows[i].sender);
    uint8_t data[LIMIT];
    size_t n = seal(from, data);
    cr_expect_eq(open_it(to, data, n), rows[i].verdict, "row %zu", i);
    cr_expect_neq(open_it(to, data, n), AAP_AUTH_OK, "row %zu: heard", i);
  }
}

static void count(uint32_t key_id, uint64_t sender, uint64_t highest, void *data)
{
  (void)key_id, (void)sender, (void)highest;
  ++*(unsigned *)data;
}

Test(aap_edges, so_many_senders_are_restored)
{
  g_autoptr(AapKeys) keys = keys_of("[shared a]\nkey=" A "\n");
  g_autoptr(AapAuth) auth = auth_of(keys, 1);
  unsigned n = 0;
  for (uint64_t i = 0; i < AAP_AUTH_PEERS_MOST + 5; i++)
    aap_auth_restore_peer(auth, 5, 100 + i, i);
  aap_auth_each_peer(auth, count, &n);
  cr_expect_eq(n, AAP_AUTH_PEERS_MOST);
}

/* ---- ranges, numbers, scopes ----------------------------------------------------------------- */

Test(aap_edges, same_addresses_or_not)
{
  static const struct {
    uint32_t a[2], b[2];
    bool same;
  } rows[] = { { { 1, 5 }, { 1, 5 }, true },
               { { 1, 5 }, { 2, 5 }, false },
               { { 1, 5 }, { 1, 6 }, false } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    AapRange a = range_of(0xe8000000 + rows[i].a[0], 0xe8000000 + rows[i].a[1], 1);
    AapRange b = range_of(0xe8000000 + rows[i].b[0], 0xe8000000 + rows[i].b[1], 2);
    cr_expect_eq(aap_ranges_same_addresses(&a, 1, &b, 1), rows[i].same, "row %zu", i);
  }
}

/* The first that was heard may be one that overtook others (5.1.5). */
Test(aap_edges, late_messages_from_before_the_first)
{
  AapLoss loss = { 0 };
  aap_loss_heard(&loss, 7, 5);
  aap_loss_heard(&loss, 7, 3);
  cr_expect_eq(loss.lost, 0);
  loss = (AapLoss){ 0 };
  aap_loss_heard(&loss, 0, 0);
  aap_loss_heard(&loss, 0, 0);
  cr_expect(loss.restarts == 0 && loss.repeated == 1);
}

/* Scopes on one group, one inside the other: the smaller is meant, in whatever order they are. */
Test(aap_edges, nested_scopes_on_one_group)
{
  MalScope wide = { .id = (char *)"wide", .divisible = true }, narrow = wide, other = wide;
  cr_assert(mal_span_parse("239.0.0.0-239.255.255.255", &wide.span, NULL));
  cr_assert(mal_span_parse("239.192.0.0-239.192.255.255", &narrow.span, NULL));
  cr_assert(mal_span_parse("232.0.0.0-232.0.0.255", &other.span, NULL));
  MalAddress group = wide.span.last, elsewhere = other.span.last;
  const AapRange inside = range_of(0xefc00001, 0xefc00002, 5);
  const AapMessage claim = { .type = AAP_ACLM, .family = MAL_IPV4, .ranges = &inside,
                             .n_ranges = 1 };
  static const AapRequest request = { 1, 2 };
  const AapMessage ana = { .type = AAP_ANA, .family = MAL_IPV4, .requests = &request,
                           .n_requests = 1 };
  for (unsigned turn = 0; turn < 2; turn++) {
    const AapPlace places[] = { { turn ? &wide : &narrow, group },
                                { turn ? &narrow : &wide, group },
                                { &other, elsewhere } };
    AapScopeDecision one = aap_scope_decide(places, 3, group, &claim);
    cr_assert_eq(one.verdict, AAP_SCOPE_ONE);
    cr_expect_eq(one.place->scope, &narrow);
    AapScopeDecision each = aap_scope_decide(places, 3, group, &ana);
    cr_expect_eq(each.verdict, AAP_SCOPE_EACH);
    cr_expect(aap_scope_concerns(&each, &places[0], group));
    cr_expect_not(aap_scope_concerns(&each, &places[2], group), "it came on another group");
  }
  cr_expect_not(aap_scope_allocates(&other, mal_address_ipv4(0xe8000001)),
                "RFC 2365 9: nothing is left of it");
}

/* ---- who was heard --------------------------------------------------------------------------- */

/* who sends is an address and a port. */
Test(aap_edges, one_host_with_two_ports)
{
  static const uint16_t ports[] = { 2879, 2878, 2880 };
  g_autoptr(AapPeers) peers = aap_peers_new();
  AapMessage msg = { .type = AAP_AIU };
  for (size_t i = 0; i < G_N_ELEMENTS(ports); i++)
    aap_peers_heard(peers, (MalEndpoint){ mal_address_ipv4(0xc0000201), ports[i], 0 }, &msg, 0, 0,
                    1);
  g_autoptr(GArray) list = aap_peers_list(peers);
  cr_assert_eq(list->len, 3);
  for (guint i = 0; i < 3; i++)
    cr_expect_eq(g_array_index(list, AapPeer, i).endpoint.port, 2878 + i, "in order");
}

Test(aap_edges, nothing_is_freed_of_nothing)
{
  aap_peers_free(NULL);
  aap_sequence_free(NULL);
}
