/* The MADCAP plugin's configuration: what a reload changes, and what is refused. */
#include "madcap-daemon.h"

#include <criterion/criterion.h>
#include <string.h>

Test(madcap_plugin_conf, reload_changes_what_it_can)
{
  g_autoptr(GError) error = NULL;
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 7200, one, false, 0 };

  daemon_configure(&d, "max-lease-time=2m\ndefault-lease-time=1m\ninterfaces=lo\n");
  cr_assert(mal_core_reload(d.core, NULL, &error), "%s", error != NULL ? error->message : "");
  fake_run(d.fake);
  MalUdp *v4 = daemon_udp(&d, MAL_IPV4);
  cr_assert_not(fake_udp_joined(v4, d.eth0, an_address("239.255.255.254")));
  cr_assert(fake_udp_joined(v4, d.lo, an_address("239.255.255.254")));
  d.eth0 = d.lo;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.lease_time, 120);

  daemon_configure(&d, "port=4242\n");
  cr_assert(mal_core_reload(d.core, NULL, &error), "%s", error != NULL ? error->message : "");
  fake_run(d.fake);
  cr_assert_eq(fake_udp_options(daemon_udp(&d, MAL_IPV4))->port, 4242);

  daemon_configure(&d, "default-lease-time=60d\n");
  cr_assert_not(mal_core_reload(d.core, NULL, &error));
  daemon_free(&d);
}

Test(madcap_plugin_conf, a_port_in_use_is_an_error)
{
  g_autoptr(GError) error = NULL;
  Daemon d;

  daemon_prepare(&d);
  fake_fail_open(d.fake, true);
  cr_assert_not(daemon_try(&d, "", &error));
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_NETWORK), "%s", error->message);
  daemon_free(&d);
}

#define RANGE_C "[range c]\nscope=local\nfirst=239.255.2.0\nlast=239.255.2.255\n"

/* A group that no client can lease is no conflict (2.10). */
Test(madcap_plugin_conf, groups_that_nobody_can_lease)
{
  static const char *const good[] = {
    "server-groups=local=239.255.9.9\n",
    "server-groups=local=239.255.2.9\n" RANGE_C "exclude=239.255.2.1; 239.255.2.8-239.255.2.15\n",
    "server-groups=local=239.255.1.9\n[reserve q]\nscope=local\naddresses=239.255.1.1\n"
    "[reserve r]\nscope=local\naddresses=239.255.1.8-239.255.1.15\n",
    /* The last 256 of a scope are never leased. */
    "server-groups=local=239.255.255.0\n[range "
    "z]\nscope=local\nfirst=239.255.250.0\nlast=239.255.255.255\n",
    /* A scope of one address has no group of its own. */
    "[scope one]\nfamily=ipv4\nfirst=239.254.0.1\nlast=239.254.0.1\nttl=1\n",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    Daemon d;
    daemon_prepare(&d);
    cr_assert(daemon_try(&d, good[i], &error), "%zu: %s", i, error != NULL ? error->message : "");
    daemon_free(&d);
  }
}

Test(madcap_plugin_conf, a_bad_configuration_names_its_place)
{
  static const struct { const char *madcap, *says;
  } bad[] = {
    { "default-lease-time=2h\nmax-lease-time=1h\n", "[madcap] default-lease-time" },
    { "server-groups=nowhere=239.1.1.1\n", "no such [scope]" },
    { "server-groups=org=192.0.2.1\n", "expected a multicast address" },
    { "server-groups=org=ff15::1\n", "family" },
    { "server-groups=org=x\n", "expected a multicast address" },
    { "server-groups=local=239.255.2.9\n" RANGE_C "exclude=239.255.2.8; 239.255.2.10\n",
      "[range c]" },
    { "server-groups=local=239.255.1.9\n[reserve r]\nscope=local\naddresses=239.255.1.8\n",
      "[range a]" },
    { "server-groups=local=239.255.1.9\n", "[range a]" },
    { "server-groups=org=239.255.1.9\n", "[range a]" },
    { "interfaces=far-too-long-a-name-for-one\n", "not the name of an interface" },
    { "response-cache=301\n", "response-cache" },
    { "lease-owner=nobody\n", "lease-owner" },
    { "rate-limt=5\n", "rate-limit" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    Daemon d;
    daemon_prepare(&d);
    cr_assert_not(daemon_try(&d, bad[i].madcap, &error), "%s", bad[i].madcap);
    cr_assert_not_null(strstr(error->message, bad[i].says), "%s: %s", bad[i].madcap,
                       error->message);
    daemon_free(&d);
  }
}
