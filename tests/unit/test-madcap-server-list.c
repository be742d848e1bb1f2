/* A scope list that is too large for a datagram (RFC 2730 3.10, RFC 2907). */
#include "plugins/madcap/madcap-server.h"
#include "plugins/madcap/madcap-tables.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct {
  uint8_t bytes[MADCAP_MAX_LENGTH];
  size_t length;
} Sent;

static void op_send(void *user, const MadcapArrival *to, const uint8_t *data, size_t length)
{
  Sent *sent = user;

  (void)to;
  memcpy(sent->bytes, data, length);
  sent->length = length;
}

static const MadcapServerOps ops = { .send = op_send };

/* N scopes, each inside the next, with three names of LENGTH octets each. */
static MalScopeSet *nested(unsigned n, size_t length)
{
  g_autoptr(GPtrArray) scopes = g_ptr_array_new();

  for (unsigned i = 0; i < n; i++) {
    MalScope *scope = g_new0(MalScope, 1);
    scope->id = g_strdup_printf("s%u", i);
    scope->span = (MalSpan){ mal_address_ipv4(0xEF000000u + i * 256),
                             mal_address_ipv4(0xEF0000FFu + i * 256) };
    scope->ttl = 1;
    scope->n_names = 3;
    scope->names = g_new0(MalScopeName, 3);
    for (unsigned k = 0; k < 3; k++)
      scope->names[k] =
          (MalScopeName){ g_strdup_printf("x%u", k), g_strnfill(length, (char)('a' + k)) };
    scope->nests_inside = g_new0(char *, 2);
    if (i + 1 < n)
      scope->nests_inside[0] = g_strdup_printf("s%u", i + 1);
    g_ptr_array_add(scopes, scope);
  }
  g_autoptr(GError) error = NULL;
  MalScopeSet *set = mal_scope_set_new(scopes, &error);
  cr_assert_not_null(set, "%s", error != NULL ? error->message : "");
  return set;
}

static MadcapMessage ask(unsigned n_scopes, size_t name_length, Sent *sent)
{
  uint64_t values[MADCAP_N_METRICS] = { 0 };
  MalMetricSet metrics = { "madcap", madcap_metrics, MADCAP_N_METRICS, values };
  const MadcapServerConfig config = { .cache_entries = 16,
                                      .cache_octets = 1 << 20,
                                      .response_cache = 60 };
  MalScopeSet *set = nested(n_scopes, name_length);
  g_autoptr(GArray) groups = g_array_new(FALSE, FALSE, sizeof(MadcapGroup));
  g_autoptr(MadcapServer) server = madcap_server_new(&ops, sent, &metrics, &(MalHashKey){ { 1 } });
  uint8_t bytes[64];
  MadcapEncoder e = madcap_encoder(bytes, sizeof bytes, MADCAP_GETINFO,
                                   (MadcapContext){ .multicast = false }, MAL_IPV4, 1);
  MadcapArrival from = { .peer = { .address = mal_address_ipv4(0xC0000232u), .port = 9 },
                         .destination = mal_address_ipv4(0xC0000201u),
                         .server_id = mal_address_ipv4(0xC0000201u) };
  MadcapMessage m;

  madcap_server_configure(server, &config, set, groups);
  madcap_put_lease_id(&e, "\0abcdefgh", 9);
  madcap_put_request_list(&e, (const uint16_t[]){ MADCAP_OPTION_SCOPE_LIST, MADCAP_OPTION_NESTING },
                          2);
  madcap_server_receive(server, &from, bytes, madcap_finish(&e), 1767225600, 0);
  cr_assert_gt(sent->length, 0);
  cr_assert_eq(madcap_decode(sent->bytes, sent->length, &m, NULL), MADCAP_OK);
  mal_scope_set_unref(set);
  return m;
}

static unsigned names_of_first(const MadcapMessage *m)
{
  MadcapScopeIter iter = madcap_scopes(m);
  MadcapScopeView first;

  cr_assert(madcap_scopes_next(&iter, &first));
  cr_assert_eq(first.first.value, 0xEF000000u, "the smallest comes first");
  return first.n_names;
}

/* All names; one name each; and what does not fit even so is cut off at the largest. */
Test(madcap_server_list, what_does_not_fit_3_10)
{
  static const struct {
    unsigned scopes;
    size_t name;
    unsigned names;
    size_t least, most;
  } cases[] = {
    { 3, 10, 3, 3, 3 },        { 255, 20, 3, 255, 255 },  { 300, 20, 3, 255, 255 },
    { 200, 200, 1, 200, 200 }, { 255, 255, 1, 200, 250 },
  };
  Sent *sent = g_new0(Sent, 1);

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    MadcapMessage m = ask(cases[i].scopes, cases[i].name, sent);
    size_t n = madcap_scopes_count(&m);
    cr_assert(n >= cases[i].least && n <= cases[i].most, "%u: %u listed", (unsigned)i, (unsigned)n);
    cr_assert_eq(names_of_first(&m), cases[i].names, "%u", (unsigned)i);
    cr_assert_not(m.nesting_ignored, "%u: the counts differ", (unsigned)i);
    cr_assert(madcap_nests(&m, 0, n - 1));
    cr_assert_not(madcap_nests(&m, n - 1, 0));
  }
  g_free(sent);
}
