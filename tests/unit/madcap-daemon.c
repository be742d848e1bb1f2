#include "madcap-daemon.h"

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

static void log_line(MalLogLevel level, const char *line, void *data)
{
  (void)level;
  g_string_append_printf(data, "%s\n", line);
}

MalAddress an_address(const char *text)
{
  MalAddress a = mal_address_none();

  cr_assert(mal_address_parse(text, &a, NULL), "%s", text);
  return a;
}

static char *config_path(const Daemon *d)
{
  return g_build_filename(d->dir, "mallocd.conf", NULL);
}

void daemon_configure(const Daemon *d, const char *madcap)
{
  g_autofree char *text = g_strconcat(DAEMON, SCOPES, "[madcap]\n", madcap, NULL),
                  *path = config_path(d);

  cr_assert(g_file_set_contents(path, text, -1, NULL));
}

bool daemon_try(Daemon *d, const char *madcap, GError **error)
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

  daemon_configure(d, madcap);
  options.store = d->on_disk ? mal_store_sqlite_open(fake_runtime(d->fake), d->dir, NULL, error)
                             : mal_store_memory_new(fake_runtime(d->fake));
  d->core = mal_core_new(&options, error);
  if (d->core == NULL || !mal_core_start(d->core, error))
    return false;
  fake_run(d->fake);
  return true;
}

void daemon_prepare(Daemon *d)
{
  *d = (Daemon){ .fake = fake_runtime_new(), .log = g_string_new(NULL) };
  d->dir = g_dir_make_tmp("mal-madcap-XXXXXX", NULL);
  d->lo = fake_add_interface(d->fake, "lo", "127.0.0.1 ::1");
  d->eth0 = fake_add_interface(d->fake, "eth0", "192.0.2.1 2001:db8::1 fe80::1");
}

Daemon daemon_new(const char *madcap)
{
  g_autoptr(GError) error = NULL;
  Daemon d;

  daemon_prepare(&d);
  cr_assert(daemon_try(&d, madcap, &error), "%s", error != NULL ? error->message : "");
  return d;
}

void daemon_free(Daemon *d)
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

MalUdp *daemon_udp(const Daemon *d, MalFamily family)
{
  for (size_t i = 0; i < fake_udp_count(d->fake); i++)
    if (fake_udp_options(fake_udp_at(d->fake, i))->family == family)
      return fake_udp_at(d->fake, i);
  cr_assert_fail("no socket");
  return NULL;
}

/* ---- messages -------------------------------------------------------------------------------- */

const uint8_t one[9] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
const uint8_t two[9] = { 0, 2, 2, 3, 4, 5, 6, 7, 8 };

size_t write_ask(const Ask *a, bool multicast, uint8_t *out)
{
  MalFamily family = a->scope != NULL ? an_address(a->scope).family : MAL_IPV4;
  MadcapEncoder e =
      madcap_encoder(out, 512, a->type, (MadcapContext){ .multicast = multicast }, family, a->xid);

  if (a->lease_time > 0)
    madcap_put_lease_time(&e, a->lease_time);
  if (a->server != NULL)
    madcap_put_server_id(&e, an_address(a->server));
  madcap_put_lease_id(&e, a->id != NULL ? a->id : one, sizeof one);
  if (a->scope != NULL)
    madcap_put_scope(&e, an_address(a->scope));
  if (a->number > 0)
    madcap_put_number(&e, a->number, a->number);
  if (a->retry)
    madcap_put_features(&e, (const uint16_t[]){ MADCAP_FEATURE_RETRY_AFTER }, 1, NULL, 0, NULL, 0);
  if (a->type == MADCAP_GETINFO)
    madcap_put_request_list(&e, (const uint16_t[]){ MADCAP_OPTION_SCOPE_LIST }, 1);
  return madcap_finish(&e);
}

void deliver(Daemon *d, const char *peer, const char *to, const Ask *a)
{
  uint8_t bytes[512];
  MalDatagram datagram = {
    .peer = { .address = an_address(peer), .port = 4000 },
    .local = an_address(to),
    .ifindex = d->eth0,
    .data = bytes,
  };

  datagram.length = write_ask(a, mal_address_is_multicast(datagram.local), bytes);
  cr_assert_gt(datagram.length, 0);
  fake_deliver(d->fake, daemon_udp(d, datagram.local.family), &datagram, 1);
}

MadcapMessage answer(Daemon *d, size_t n)
{
  MadcapMessage m;

  cr_assert_eq(fake_sent_count(d->fake), n + 1, "%u answers", (unsigned)fake_sent_count(d->fake));
  const FakeSent *sent = fake_sent_at(d->fake, n);
  cr_assert_eq(madcap_decode(sent->data, sent->length, &m, NULL), MADCAP_OK);
  return m;
}

uint64_t daemon_metric(Daemon *d, const char *name)
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
