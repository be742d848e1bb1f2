#include <criterion/criterion.h>
#include <string.h>

#include "core/links.h"
#include "tests/support/fake-runtime.h"

/* Interfaces come, go, and have what addresses they have; the log says what was told of it. */

typedef struct {
  FakeRuntime *fake;
  MalUdp *udp[2];
  MalLinks *links;
  GString *log;
  int members, changes;
} Bed;

static MalUdp *socket_of(void *user, MalFamily family, GError **error)
{
  Bed *b = user;
  if (b->udp[family == MAL_IPV6])
    return b->udp[family == MAL_IPV6];
  if (family == MAL_IPV4)
    g_set_error_literal(error, MAL_ERROR, MAL_ERROR_NETWORK, "no socket");
  return NULL;
}

static void member(void *user, MalUdp *udp, bool on)
{
  Bed *b = user;
  cr_assert(udp == b->udp[0] || udp == b->udp[1]);
  b->members += on ? 1 : -1;
}

static void news(void *user, MalLinkNews what, const MalLink *link, MalAddress group,
                 const GError *error)
{
  Bed *b = user;
  char text[MAL_ADDRESS_STRLEN];
  switch (what) {
  case MAL_LINK_SERVED:
    g_string_append_printf(b->log, "+%s/%u ", link->name, mal_link_n_joined(link));
    break;
  case MAL_LINK_LOST:
    cr_assert_eq(mal_link_n_joined(link), 0);
    g_string_append_printf(b->log, "-%s ", link->name);
    break;
  case MAL_LINK_NONE: g_string_append(b->log, "none "); break;
  case MAL_LINK_JOIN_FAILED:
    g_string_append_printf(b->log, "!%s@%s(%s) ", mal_address_format(group, text), link->name,
                           error->message);
    break;
  }
}

static void changed(void *user)
{
  Bed *b = user;
  b->changes++;
}

static const MalLinksOps ops = { .socket = socket_of, .member = member, .news = news,
                                 .changed = changed };

static MalUdp *open_udp(Bed *b, MalFamily family)
{
  MalUdpOptions options = { .family = family, .port = 1 };
  MalUdp *udp = mal_udp_open(fake_runtime(b->fake), &options, NULL, NULL, NULL);
  cr_assert_not_null(udp);
  return udp;
}

static Bed *bed_new(void)
{
  Bed *b = g_new0(Bed, 1);
  b->fake = fake_runtime_new();
  b->log = g_string_new(NULL);
  b->udp[0] = open_udp(b, MAL_IPV4);
  b->udp[1] = open_udp(b, MAL_IPV6);
  return b;
}

static void bed_free(Bed *b)
{
  mal_links_free(b->links);
  cr_assert_eq(b->members, 0, "%d groups stay joined", b->members);
  for (unsigned i = 0; i < 2; i++)
    if (b->udp[i])
      mal_udp_close(b->udp[i]);
  g_string_free(b->log, TRUE);
  fake_runtime_free(b->fake);
  g_free(b);
}

static MalAddress address(const char *text)
{
  MalAddress a;
  cr_assert(mal_address_parse(text, &a, NULL));
  return a;
}

static void configure(Bed *b, const char *names, const char *groups)
{
  g_auto(GStrv) name = g_strsplit(names, " ", -1), group = g_strsplit(groups, " ", -1);
  g_autofree MalAddress *addresses = g_new0(MalAddress, g_strv_length(group) + 1);
  size_t n = 0;
  for (; group[n] && *group[n]; n++)
    addresses[n] = address(group[n]);
  if (!b->links)
    b->links = mal_links_new(fake_runtime(b->fake), &ops, b);
  mal_links_configure(b->links, *names ? name : NULL, addresses, n);
}

static void expect(Bed *b, const char *log, int members)
{
  cr_assert_str_eq(b->log->str, log);
  cr_assert_eq(b->members, members, "%d groups are joined, not %d", b->members, members);
  g_string_truncate(b->log, 0);
}

Test(links, groups_are_joined_where_their_family_is_spoken)
{
  Bed *b = bed_new();
  uint32_t both = fake_add_interface(b->fake, "eth0", "192.0.2.1 2001:db8::1");
  uint32_t six = fake_add_interface(b->fake, "eth1", "2001:db8:1::1");
  configure(b, "", "239.255.255.254 ff05::1 239.255.255.254");
  expect(b, "+eth0/2 +eth1/1 ", 3);
  cr_assert(fake_udp_joined(b->udp[0], both, address("239.255.255.254")));
  cr_assert_not(fake_udp_joined(b->udp[0], six, address("239.255.255.254")));
  cr_assert(fake_udp_joined(b->udp[1], six, address("ff05::1")));
  cr_assert(mal_links_is_own(b->links, address("2001:db8:1::1")));
  cr_assert_not(mal_links_is_own(b->links, address("192.0.2.2")));
  cr_assert_eq(mal_links_find(b->links, six)->index, six);
  configure(b, "", "ff05::2");
  expect(b, "", 2);
  bed_free(b);
}

Test(links, interfaces_come_and_go)
{
  Bed *b = bed_new();
  configure(b, "", "239.255.255.254");
  expect(b, "none ", 0);
  uint32_t first = fake_add_interface(b->fake, "eth0", "192.0.2.1");
  fake_run(b->fake);
  expect(b, "+eth0/1 ", 1);
  fake_set_interface_up(b->fake, first, false);
  fake_run(b->fake);
  expect(b, "-eth0 none ", 0);
  fake_set_interface_up(b->fake, first, true);
  fake_run(b->fake);
  expect(b, "+eth0/1 ", 1);
  cr_assert_eq(b->changes, 3);
  bed_free(b);
}

Test(links, names_choose)
{
  Bed *b = bed_new();
  fake_add_interface(b->fake, "eth0", "192.0.2.1");
  fake_add_interface(b->fake, "eth1", "192.0.2.2");
  configure(b, "eth1 wlan0", "239.255.255.254");
  expect(b, "+eth1/1 ", 1);
  cr_assert_not(mal_links_is_everywhere(b->links));
  configure(b, "eth0", "239.255.255.254");
  expect(b, "-eth1 +eth0/1 ", 1);
  configure(b, "", "239.255.255.254");
  expect(b, "+eth1/1 ", 2);
  cr_assert(mal_links_is_everywhere(b->links));
  bed_free(b);
}

Test(links, a_group_that_can_t_be_joined_is_said_once_and_tried_again)
{
  Bed *b = bed_new();
  MalAddress group = address("239.255.255.254");
  uint32_t index = fake_add_interface(b->fake, "eth0", "192.0.2.1");
  cr_assert(mal_udp_join(b->udp[0], index, group, NULL));
  configure(b, "", "239.255.255.254");
  expect(b, "!239.255.255.254@eth0(joined already) +eth0/0 ", 0);
  configure(b, "", "239.255.255.254");
  expect(b, "", 0);
  cr_assert_not(mal_link_has_joined(mal_links_at(b->links, 0), group));
  cr_assert(mal_udp_leave(b->udp[0], index, group, NULL));
  fake_add_interface(b->fake, "eth1", "2001:db8::1");
  fake_run(b->fake);
  expect(b, "+eth1/0 ", 1);
  cr_assert(mal_link_has_joined(mal_links_at(b->links, 0), group));
  bed_free(b);
}

Test(links, a_family_without_a_socket)
{
  Bed *b = bed_new();
  mal_udp_close(g_steal_pointer(&b->udp[0]));
  mal_udp_close(g_steal_pointer(&b->udp[1]));
  fake_add_interface(b->fake, "eth0", "192.0.2.1 2001:db8::1");
  configure(b, "", "239.255.255.254 ff05::1");
  expect(b, "!239.255.255.254@eth0(no socket) +eth0/0 ", 0);
  bed_free(b);
}
