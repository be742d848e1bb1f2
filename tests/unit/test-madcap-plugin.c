/* The plugin's server half in a whole daemon under the fake runtime: real core, lease engine and a
   store in memory. */
#include "core/core.h"
#include "plugins/madcap/madcap-wire.h"
#include "tests/support/fake-runtime.h"

#include <criterion/criterion.h>
#include <glib/gstdio.h>
#include <string.h>

extern const MalPlugin mal_plugin;

#define SCOPES                                                                                     \
  "[scope "                                                                                        \
  "local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\nttl=16\nnests-inside=org\n"       \
  "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=64\n"                    \
  "[scope site6]\nfamily=ipv6\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8fff:ffff\nttl=32\n"         \
  "[range a]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.255\n"                                \
  "[range b]\nscope=site6\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8000:ffff\n"
#define DAEMON "[daemon]\nroles=maas\nplugins=madcap\n"

typedef struct {
  FakeRuntime *fake;
  MalCore *core;
  uint32_t eth0, lo;
  GString *log;
  char *dir;                  /* holds the configuration, and the database if there is one */
  bool on_disk;
} Daemon;

static void log_line(MalLogLevel level, const char *line, void *data)
{
  (void)level;
  g_string_append_printf(data, "%s\n", line);
}

static MalAddress address(const char *text)
{
  MalAddress a = mal_address_none();

  cr_assert(mal_address_parse(text, &a, NULL), "%s", text);
  return a;
}

static char *config_path(const Daemon *d)
{
  return g_build_filename(d->dir, "mallocd.conf", NULL);
}

static void configure(const Daemon *d, const char *madcap)
{
  g_autofree char *text = g_strconcat(DAEMON, SCOPES, "[madcap]\n", madcap, NULL),
                  *path = config_path(d);

  cr_assert(g_file_set_contents(path, text, -1, NULL));
}

static bool daemon_try(Daemon *d, const char *madcap, GError **error)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  g_autofree char *path = config_path(d);
  MalCoreOptions options = {
    .runtime = fake_runtime(d->fake),
    .config_file = path,
    .builtin = builtin,
    .log = log_line,
    .log_data = d->log,
  };

  configure(d, madcap);
  options.store = d->on_disk ? mal_store_sqlite_open(fake_runtime(d->fake), d->dir, NULL, error)
                             : mal_store_memory_new(fake_runtime(d->fake));
  d->core = mal_core_new(&options, error);
  if (d->core == NULL || !mal_core_start(d->core, error))
    return false;
  fake_run(d->fake);
  return true;
}

static void prepare(Daemon *d)
{
  *d = (Daemon){ .fake = fake_runtime_new(), .log = g_string_new(NULL) };
  d->dir = g_dir_make_tmp("mal-madcap-XXXXXX", NULL);
  d->lo = fake_add_interface(d->fake, "lo", "127.0.0.1 ::1");
  d->eth0 = fake_add_interface(d->fake, "eth0", "192.0.2.1 2001:db8::1 fe80::1");
}

static Daemon daemon_new(const char *madcap)
{
  g_autoptr(GError) error = NULL;
  Daemon d;

  prepare(&d);
  cr_assert(daemon_try(&d, madcap, &error), "%s", error != NULL ? error->message : "");
  return d;
}

static void daemon_free(Daemon *d)
{
  g_clear_pointer(&d->core, mal_core_free);
  fake_run(d->fake);
  fake_runtime_free(d->fake);
  g_string_free(d->log, TRUE);
  g_autoptr(GDir) dir = g_dir_open(d->dir, 0, NULL);
  for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
    g_autofree char *path = g_build_filename(d->dir, name, NULL);
    g_unlink(path);
  }
  g_rmdir(d->dir);
  g_free(d->dir);
}

static MalUdp *udp_of(const Daemon *d, MalFamily family)
{
  for (size_t i = 0; i < fake_udp_count(d->fake); i++)
    if (fake_udp_options(fake_udp_at(d->fake, i))->family == family)
      return fake_udp_at(d->fake, i);
  cr_assert_fail("no socket");
  return NULL;
}

/* ---- messages -------------------------------------------------------------------------------- */

typedef struct {
  MadcapType type;
  uint32_t xid;
  const char *scope, *server;
  uint32_t lease_time;
  const uint8_t *id;
  bool retry;                 /* knows Retry After */
  uint16_t number;
} Ask;

static const uint8_t one[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t two[] = { 0, 2, 2, 3, 4, 5, 6, 7, 8 };

static size_t write_ask(const Ask *a, bool multicast, uint8_t *out)
{
  MalFamily family = a->scope != NULL ? address(a->scope).family : MAL_IPV4;
  MadcapEncoder e =
      madcap_encoder(out, 512, a->type, (MadcapContext){ .multicast = multicast }, family, a->xid);

  if (a->lease_time > 0)
    madcap_put_lease_time(&e, a->lease_time);
  if (a->server != NULL)
    madcap_put_server_id(&e, address(a->server));
  madcap_put_lease_id(&e, a->id != NULL ? a->id : one, sizeof one);
  if (a->scope != NULL)
    madcap_put_scope(&e, address(a->scope));
  if (a->number > 0)
    madcap_put_number(&e, a->number, a->number);
  if (a->retry)
    madcap_put_features(&e, (const uint16_t[]){ MADCAP_FEATURE_RETRY_AFTER }, 1, NULL, 0, NULL, 0);
  if (a->type == MADCAP_GETINFO)
    madcap_put_request_list(&e, (const uint16_t[]){ MADCAP_OPTION_SCOPE_LIST }, 1);
  return madcap_finish(&e);
}

static void deliver(Daemon *d, const char *peer, const char *to, const Ask *a)
{
  uint8_t bytes[512];
  MalDatagram datagram = {
    .peer = { .address = address(peer), .port = 4000 },
    .local = address(to),
    .ifindex = d->eth0,
    .data = bytes,
  };

  datagram.length = write_ask(a, mal_address_is_multicast(datagram.local), bytes);
  cr_assert_gt(datagram.length, 0);
  fake_deliver(d->fake, udp_of(d, datagram.local.family), &datagram, 1);
}

static MadcapMessage answer(Daemon *d, size_t n)
{
  MadcapMessage m;

  cr_assert_eq(fake_sent_count(d->fake), n + 1, "%u answers", (unsigned)fake_sent_count(d->fake));
  const FakeSent *sent = fake_sent_at(d->fake, n);
  cr_assert_eq(madcap_decode(sent->data, sent->length, &m, NULL), MADCAP_OK);
  return m;
}

static uint64_t metric(Daemon *d, const char *name)
{
  MalMetrics *metrics = mal_core_metrics(d->core);

  for (size_t i = 0; i < mal_metrics_size(metrics); i++) {
    const MalMetricSet *set = mal_metrics_at(metrics, i);
    for (size_t k = 0; strcmp(set->owner, "madcap") == 0 && k < set->n; k++)
      if (strcmp(set->defs[k].name, name) == 0)
        return set->values[k];
  }
  cr_assert_fail("%s", name);
  return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

Test(madcap_plugin, joins_the_group_of_each_scope_2_10)
{
  Daemon d = daemon_new("");
  MalUdp *v4 = udp_of(&d, MAL_IPV4), *v6 = udp_of(&d, MAL_IPV6);

  cr_assert_eq(fake_udp_count(d.fake), 2);
  cr_assert_eq(fake_udp_options(v4)->port, 2535);
  cr_assert(fake_udp_joined(v4, d.eth0, address("239.255.255.254")));
  cr_assert(fake_udp_joined(v4, d.eth0, address("239.195.255.254")));
  cr_assert(fake_udp_joined(v6, d.eth0, address("ff15::db8:8fff:fffe")));
  daemon_free(&d);
}

Test(madcap_plugin, joins_configured_groups_on_configured_interfaces)
{
  Daemon d =
      daemon_new("interfaces=lo\nserver-groups=org=239.255.255.254; org=239.195.0.9\nport=4242\n");
  MalUdp *v4 = udp_of(&d, MAL_IPV4);

  cr_assert_eq(fake_udp_options(v4)->port, 4242);
  cr_assert(fake_udp_joined(v4, d.lo, address("239.195.0.9")));
  cr_assert(fake_udp_joined(v4, d.lo, address("239.255.255.254")));
  cr_assert_not(fake_udp_joined(v4, d.lo, address("239.195.255.254")));
  cr_assert_not(fake_udp_joined(v4, d.eth0, address("239.195.0.9")));
  daemon_free(&d);
}

Test(madcap_plugin, a_lease_from_discover_to_release_2_2)
{
  Daemon d = daemon_new("");
  const char *peer = "192.0.2.50", *group = "239.255.255.254";
  MalLeaseId id = { one, sizeof one };
  MalLease lease;

  deliver(&d, peer, group, &(Ask){ MADCAP_DISCOVER, 1, "239.255.0.0", NULL, 7200, NULL, false, 0 });
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.type, MADCAP_OFFER);
  cr_assert_eq(m.lease_time, 7200);
  cr_assert_eq(madcap_ranges_total(&m), 1);
  cr_assert(mal_address_equal(m.server_id, address("192.0.2.1")));
  cr_assert(mal_address_equal(fake_sent_at(d.fake, 0)->local, address("192.0.2.1")));
  cr_assert_eq(fake_sent_at(d.fake, 0)->peer.port, 4000);

  deliver(&d, peer, group,
          &(Ask){ MADCAP_REQUEST, 2, "239.255.0.0", "192.0.2.1", 7200, NULL, false, 0 });
  MadcapMessage ack = answer(&d, 1);
  cr_assert_eq(ack.type, MADCAP_ACK);
  cr_assert_eq(memcmp(ack.ranges.data, m.ranges.data, m.ranges.length), 0,
               "another address than offered");
  cr_assert(mal_leases_get(mal_core_leases(d.core), id, &lease));
  cr_assert_eq(lease.flags & (MAL_LEASE_PENDING | MAL_LEASE_HELD), 0);
  cr_assert(mal_address_equal(lease.client, address(peer)));
  cr_assert_eq(lease.pad, 3600);

  deliver(&d, peer, group,
          &(Ask){ MADCAP_REQUEST, 2, "239.255.0.0", "192.0.2.1", 7200, NULL, false, 0 });
  answer(&d, 2);
  cr_assert_eq(fake_sent_at(d.fake, 1)->length, fake_sent_at(d.fake, 2)->length);
  cr_assert_arr_eq(fake_sent_at(d.fake, 1)->data, fake_sent_at(d.fake, 2)->data,
                   fake_sent_at(d.fake, 1)->length);

  deliver(&d, peer, "192.0.2.1", &(Ask){ MADCAP_RENEW, 3, NULL, NULL, 9000, NULL, false, 0 });
  m = answer(&d, 3);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(m.lease_time, 9000);
  deliver(&d, "192.0.2.66", "192.0.2.1",
          &(Ask){ MADCAP_RELEASE, 4, NULL, NULL, 0, NULL, false, 0 });
  m = answer(&d, 4);
  cr_assert_eq(m.type, MADCAP_NAK);
  deliver(&d, peer, "192.0.2.1", &(Ask){ MADCAP_RELEASE, 4, NULL, NULL, 0, NULL, false, 0 });
  m = answer(&d, 5);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_not(mal_leases_get(mal_core_leases(d.core), id, &lease));
  daemon_free(&d);
}

Test(madcap_plugin, offers_are_let_go_2_2_3)
{
  Daemon d = daemon_new("");
  MalLeaseId first = { one, sizeof one }, second = { two, sizeof two };
  MalLease lease;

  deliver(&d, "192.0.2.50", "239.255.255.254",
          &(Ask){ MADCAP_DISCOVER, 1, "239.255.0.0", NULL, 60, one, false, 0 });
  deliver(&d, "192.0.2.51", "239.255.255.254",
          &(Ask){ MADCAP_DISCOVER, 1, "239.255.0.0", NULL, 60, two, false, 0 });
  cr_assert(mal_leases_get_hold(mal_core_leases(d.core), first, &lease));
  deliver(&d, "192.0.2.50", "239.255.255.254",
          &(Ask){ MADCAP_REQUEST, 2, "239.255.0.0", "192.0.2.9", 60, one, false, 0 });
  cr_assert_not(mal_leases_get_hold(mal_core_leases(d.core), first, &lease), "chose another");
  cr_assert(mal_leases_get_hold(mal_core_leases(d.core), second, &lease));
  fake_advance(d.fake, 61);
  cr_assert_not(mal_leases_get_hold(mal_core_leases(d.core), second, &lease), "offer-hold");
  cr_assert_eq(fake_sent_count(d.fake), 2);
  daemon_free(&d);
}

Test(madcap_plugin, ipv6_transport_and_addresses_3_3)
{
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_DISCOVER, 1, "ff15::db8:8000:0", NULL, 60, NULL, false, 0 };

  deliver(&d, "2001:db8::50", "ff15::db8:8fff:fffe", &ask);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.type, MADCAP_OFFER);
  cr_assert_eq(m.family, MAL_IPV6);
  cr_assert(mal_address_equal(m.server_id, address("2001:db8::1")));
  ask.id = two;
  deliver(&d, "fe80::50", "ff15::db8:8fff:fffe", &ask);
  m = answer(&d, 1);
  cr_assert(mal_address_equal(m.server_id, address("fe80::1")));
  cr_assert_eq(fake_sent_at(d.fake, 1)->ifindex, d.eth0);
  /* IPv4 addresses over IPv6, and the other way round. */
  deliver(&d, "2001:db8::50", "2001:db8::1",
          &(Ask){ MADCAP_REQUEST, 2, "239.255.0.0", NULL, 60, NULL, false, 0 });
  m = answer(&d, 2);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(m.family, MAL_IPV4);
  cr_assert(mal_address_equal(m.server_id, address("2001:db8::1")));
  deliver(&d, "192.0.2.50", "192.0.2.1",
          &(Ask){ MADCAP_REQUEST, 3, "ff15::db8:8000:0", NULL, 60, two, false, 0 });
  m = answer(&d, 3);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(m.family, MAL_IPV6);
  daemon_free(&d);
}

Test(madcap_plugin, an_interface_vanishes_and_returns)
{
  Daemon d = daemon_new("");
  MalUdp *v4 = udp_of(&d, MAL_IPV4);
  MalAddress group = address("239.255.255.254");
  Ask ask = { MADCAP_GETINFO, 1, NULL, NULL, 0, NULL, false, 0 };

  cr_assert_eq(metric(&d, "interfaces-served"), 2);
  fake_set_interface_up(d.fake, d.eth0, false);
  fake_run(d.fake);
  cr_assert_not(fake_udp_joined(v4, d.eth0, group));
  cr_assert_eq(metric(&d, "interfaces-lost"), 1);
  cr_assert_not_null(strstr(d.log->str, "madcap.interface-lost"), "%s", d.log->str);
  deliver(&d, "192.0.2.50", "239.255.255.254", &ask);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  fake_set_interface_up(d.fake, d.eth0, true);
  fake_run(d.fake);
  cr_assert(fake_udp_joined(v4, d.eth0, group));
  deliver(&d, "192.0.2.50", "239.255.255.254", &ask);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(madcap_scopes_count(&m), 2);
  daemon_free(&d);
}

Test(madcap_plugin, what_comes_in_elsewhere_is_not_served)
{
  Daemon d = daemon_new("interfaces=lo\n");
  Ask ask = { MADCAP_GETINFO, 1, NULL, NULL, 0, NULL, false, 0 };

  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  deliver(&d, "192.0.2.50", "239.255.255.254", &ask);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  d.eth0 = d.lo;
  deliver(&d, "192.0.2.1", "192.0.2.1", &ask);
  MadcapMessage m = answer(&d, 0);
  cr_assert(mal_address_equal(m.server_id, address("192.0.2.1")));
  daemon_free(&d);
}

Test(madcap_plugin, forged_sources_get_nothing_but_on_loopback_none_is_us)
{
  Daemon d = daemon_new("interfaces=lo; eth0\n");
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", "127.0.0.1", 60, NULL, false, 0 };
  MalLease lease;

  deliver(&d, "0.0.0.0", "239.255.255.254", &ask);
  deliver(&d, "239.1.1.1", "239.255.255.254", &ask);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  d.eth0 = d.lo;
  deliver(&d, "0.0.0.0", "239.255.255.254", &ask);
  answer(&d, 0);
  cr_assert(mal_address_equal(fake_sent_at(d.fake, 0)->peer.address, address("127.0.0.1")));
  cr_assert(mal_leases_get(mal_core_leases(d.core), (MalLeaseId){ one, sizeof one }, &lease));
  cr_assert(mal_address_equal(lease.client, address("127.0.0.1")));
  daemon_free(&d);
}

static void bring_space(MalLevel level, const MalScope *scope, uint64_t count, MalTime until,
                        void *data)
{
  (void)level, (void)scope, (void)until;
  *(uint64_t *)data += count;
}

/* Nothing is there of the scope; layer 3 is asked and takes its time. */
Test(madcap_plugin, waits_for_space_2_13_2)
{
  Daemon d = daemon_new("retry-after=2m\n");
  MalSpace *space = mal_core_space(d.core);
  Ask ask = { MADCAP_REQUEST, 1, "239.192.0.0", NULL, 600, one, true, 0 };
  uint64_t wanted = 0;
  MalSpan span = { address("239.192.7.0"), address("239.192.7.255") };

  mal_space_set_demand(space, MAL_LEVEL_AVAILABLE, bring_space, &wanted);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  cr_assert_geq(wanted, 1);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  fake_advance(d.fake, 3);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(madcap_ranges_count(&m), 0);
  cr_assert_eq(m.retry_time, m.current_time + 120);
  cr_assert_eq(metric(&d, "transactions-pending"), 1);
  deliver(&d, "192.0.2.50", "192.0.2.1", &(Ask){ MADCAP_RENEW, 2, NULL, NULL, 600, one, false, 0 });
  m = answer(&d, 1);
  cr_assert_eq(m.error_code, MADCAP_ERROR_INVALID_REQUEST);
  cr_assert(mal_space_add(space, MAL_LEVEL_AVAILABLE, "org", span, MAL_FOREVER, "x", "test", NULL));
  fake_run(d.fake);
  cr_assert_eq(fake_sent_count(d.fake), 2, "who was told to come again is not sent anything");
  ask.xid = 3;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  m = answer(&d, 2);
  cr_assert_eq(madcap_ranges_total(&m), 1);
  cr_assert_eq(metric(&d, "transactions-pending"), 0);
  mal_space_set_demand(space, MAL_LEVEL_AVAILABLE, NULL, NULL);
  daemon_free(&d);
}

Test(madcap_plugin, what_waits_is_released_2_13_2)
{
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_REQUEST, 1, "239.192.0.0", NULL, 600, one, false, 0 };
  uint64_t wanted = 0;

  mal_space_set_demand(mal_core_space(d.core), MAL_LEVEL_AVAILABLE, bring_space, &wanted);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  deliver(&d, "192.0.2.50", "192.0.2.1", &(Ask){ MADCAP_RELEASE, 2, NULL, NULL, 0, one, false, 0 });
  cr_assert_eq(fake_sent_count(d.fake), 2, "the REQUEST is refused, the RELEASE done");
  cr_assert_eq(fake_sent_at(d.fake, 0)->data[1], MADCAP_NAK);
  cr_assert_eq(fake_sent_at(d.fake, 1)->data[1], MADCAP_ACK);
  cr_assert_not(mal_leases_is_waiting(mal_core_leases(d.core), (MalLeaseId){ one, sizeof one }));
  /* Once more, and nobody comes: given up with the client. */
  ask.xid = 3;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  fake_advance(d.fake, 61);
  MadcapMessage m = answer(&d, 2);
  cr_assert_eq(m.error_code, MADCAP_ERROR_NOT_COMPLETED);
  cr_assert_not(mal_leases_is_waiting(mal_core_leases(d.core), (MalLeaseId){ one, sizeof one }));
  mal_space_set_demand(mal_core_space(d.core), MAL_LEVEL_AVAILABLE, NULL, NULL);
  daemon_free(&d);
}

Test(madcap_plugin, an_expired_lease_is_taken_up_again_3_11)
{
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 0 };

  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  fake_advance(d.fake, 300);
  deliver(&d, "192.0.2.50", "192.0.2.1", &(Ask){ MADCAP_RENEW, 2, NULL, NULL, 60, one, false, 0 });
  MadcapMessage m = answer(&d, 1);
  cr_assert_eq(m.error_code, MADCAP_ERROR_LEASE_ID_UNKNOWN);
  ask.xid = 3;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  m = answer(&d, 2);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(m.lease_time, 60);
  MadcapMessage first;
  madcap_decode(fake_sent_at(d.fake, 0)->data, fake_sent_at(d.fake, 0)->length, &first, NULL);
  cr_assert_arr_eq(m.ranges.data, first.ranges.data, m.ranges.length);
  /* After the extra allocation time the identifier is nobody's. */
  fake_advance(d.fake, 60 + 3601);
  ask.xid = 4;
  deliver(&d, "192.0.2.51", "192.0.2.1", &ask);
  m = answer(&d, 3);
  cr_assert_eq(m.type, MADCAP_ACK);
  daemon_free(&d);
}

Test(madcap_plugin, limits_of_a_client)
{
  Daemon d = daemon_new("max-addresses-per-client=3\n");
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 2 };

  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  cr_assert_eq(answer(&d, 0).type, MADCAP_ACK);
  ask.id = two;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  MadcapMessage m = answer(&d, 1);
  uint16_t option = 0;
  cr_assert_eq(m.type, MADCAP_NAK);
  cr_assert(madcap_error_option(&m, &option));
  cr_assert_eq(option, MADCAP_OPTION_NUMBER);
  deliver(&d, "192.0.2.51", "192.0.2.1", &ask);
  cr_assert_eq(answer(&d, 2).type, MADCAP_ACK);
  daemon_free(&d);
}

static void told(json_object *result, const GError *error, void *data)
{
  cr_assert_null(error, "%s", error != NULL ? error->message : "");
  g_string_assign(data, json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
}

Test(madcap_plugin, tells_what_it_serves)
{
  Daemon d = daemon_new("interfaces=eth0\n");
  g_autoptr(GString) text = g_string_new(NULL);
  json_object *params = json_object_new_object();

  mal_control_call(mal_core_control(d.core), "madcap.servers", params, false, told, NULL, text);
  fake_run(d.fake);
  json_object_put(params);
  cr_assert_not_null(strstr(text->str, "\"name\":\"eth0\""), "%s", text->str);
  cr_assert_not_null(strstr(text->str, "{\"address\":\"239.255.255.254\",\"scope\":\"local\"}"),
                     "%s", text->str);
  cr_assert_not_null(strstr(text->str, "{\"address\":\"ff15::db8:8fff:fffe\",\"scope\":\"site6\"}"),
                     "%s", text->str);
  cr_assert_null(strstr(text->str, "\"name\":\"lo\""), "%s", text->str);
  daemon_free(&d);
}

Test(madcap_plugin, one_commit_answers_a_batch)
{
  Daemon d = daemon_new("");
  uint8_t bytes[2][512];
  MalDatagram batch[3];
  const Ask asks[] = { { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 0 },
                       { MADCAP_REQUEST, 2, "239.255.0.0", NULL, 60, two, false, 0 } };

  for (size_t i = 0; i < 2; i++)
    batch[i] = (MalDatagram){
      .peer = { .address = address("192.0.2.50"), .port = 4000 },
      .local = address("192.0.2.1"),
      .ifindex = d.eth0,
      .data = bytes[i],
      .length = write_ask(&asks[i], false, bytes[i]),
    };
  batch[2] = batch[0];
  batch[2].truncated = true;
  uint64_t before = mal_store_counters(mal_core_store(d.core)).batches;
  fake_deliver(d.fake, udp_of(&d, MAL_IPV4), batch, 3);
  cr_assert_eq(fake_sent_count(d.fake), 2);
  cr_assert_eq(mal_store_counters(mal_core_store(d.core)).batches, before + 1);
  cr_assert_eq(metric(&d, "truncated-ignored"), 1);
  cr_assert_eq(metric(&d, "ack-sent"), 2);
  daemon_free(&d);
}

/* The disk is slow, and the daemon is stopped meanwhile: the answer never leaves, the lease is
   there. */
Test(madcap_plugin, stopping_with_an_answer_on_its_way)
{
  Daemon d;
  const Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 0 };

  prepare(&d);
  d.on_disk = true;
  cr_assert(daemon_try(&d, "", NULL));
  fake_hold_workers(d.fake, true);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  cr_assert_eq(fake_sent_count(d.fake), 0, "answered before it was durable");
  cr_assert_eq(metric(&d, "retransmissions-joined"), 1);
  mal_core_stop(d.core);
  fake_hold_workers(d.fake, false);
  fake_run(d.fake);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  daemon_free(&d);
}

Test(madcap_plugin, answers_leave_when_the_disk_says_so)
{
  Daemon d;
  const Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 0 };

  prepare(&d);
  d.on_disk = true;
  cr_assert(daemon_try(&d, "", NULL));
  fake_hold_workers(d.fake, true);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  fake_hold_workers(d.fake, false);
  fake_run(d.fake);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.type, MADCAP_ACK);
  daemon_free(&d);
}

Test(madcap_plugin, reload_changes_what_it_can)
{
  g_autoptr(GError) error = NULL;
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 7200, one, false, 0 };

  configure(&d, "max-lease-time=2m\ndefault-lease-time=1m\ninterfaces=lo\n");
  cr_assert(mal_core_reload(d.core, NULL, &error), "%s", error != NULL ? error->message : "");
  fake_run(d.fake);
  MalUdp *v4 = udp_of(&d, MAL_IPV4);
  cr_assert_not(fake_udp_joined(v4, d.eth0, address("239.255.255.254")));
  cr_assert(fake_udp_joined(v4, d.lo, address("239.255.255.254")));
  d.eth0 = d.lo;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.lease_time, 120);

  configure(&d, "port=4242\n");
  cr_assert(mal_core_reload(d.core, NULL, &error), "%s", error != NULL ? error->message : "");
  fake_run(d.fake);
  cr_assert_eq(fake_udp_options(udp_of(&d, MAL_IPV4))->port, 4242);

  configure(&d, "default-lease-time=60d\n");
  cr_assert_not(mal_core_reload(d.core, NULL, &error));
  daemon_free(&d);
}

Test(madcap_plugin, a_port_in_use_is_an_error)
{
  g_autoptr(GError) error = NULL;
  Daemon d;

  prepare(&d);
  fake_fail_open(d.fake, true);
  cr_assert_not(daemon_try(&d, "", &error));
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_NETWORK), "%s", error->message);
  daemon_free(&d);
}

Test(madcap_plugin, a_bad_configuration_names_its_place)
{
  static const struct { const char *madcap, *says; } bad[] = {
    { "default-lease-time=2h\nmax-lease-time=1h\n", "[madcap] default-lease-time" },
    { "server-groups=nowhere=239.1.1.1\n", "no such [scope]" },
    { "server-groups=org=192.0.2.1\n", "expected a multicast address" },
    { "server-groups=org=ff15::1\n", "family" },
    { "interfaces=far-too-long-a-name-for-one\n", "not the name of an interface" },
    { "response-cache=301\n", "response-cache" },
    { "lease-owner=nobody\n", "lease-owner" },
    { "rate-limt=5\n", "rate-limit" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    Daemon d;
    prepare(&d);
    cr_assert_not(daemon_try(&d, bad[i].madcap, &error), "%s", bad[i].madcap);
    cr_assert_not_null(strstr(error->message, bad[i].says), "%s: %s", bad[i].madcap,
                       error->message);
    daemon_free(&d);
  }
}
