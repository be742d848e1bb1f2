#include "tests/unit/aap-daemons.h"

const char small[] = "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"
                            "ttl=16\n";
const char large[] = "[scope domain]\nfamily=ipv4\nfirst=239.251.0.0\nlast=239.251.255.255\n"
                            "ttl=63\n[scope world]\nfamily=ipv4\nfirst=233.252.0.0\n"
                            "last=233.252.3.255\nttl=127\ndivisible=yes\n";
const char world_range[] = "[range w]\nscope=world\nfirst=233.252.1.0\nlast=233.252.1.255\n";

void quiet(MalLogLevel level, const char *line, void *data)
{
  (void)level, (void)line, (void)data;
}

bool try_start(World *w, unsigned i, const char *roles, const char *text, GError **error)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  g_autofree char *config =
      g_strdup_printf("[daemon]\nroles=%s\nlog-level=error\nplugins=aap\n%s", roles, text);
  MalCoreOptions options = { .runtime = mal_sim_node_runtime(w->host[i].node),
                             .store = mal_sim_store_open(w->host[i].node),
                             .config_text = config,
                             .builtin = builtin,
                             .log = quiet };
  w->host[i].core = mal_core_new(&options, error);
  return w->host[i].core && mal_core_start(w->host[i].core, error);
}

void start(World *w, unsigned i, const char *roles, const char *text)
{
  g_autoptr(GError) error = NULL;
  cr_assert(try_start(w, i, roles, text, &error), "%s", error ? error->message : "");
}

bool is_owned(World *w, unsigned i, MalSpan span)
{
  g_autoptr(GPtrArray) all = mal_space_ranges(mal_core_space(w->host[i].core), MAL_LEVEL_OWNED);
  for (unsigned k = 0; k < all->len; k++)
    if (mal_span_overlaps(((const MalRange *)g_ptr_array_index(all, k))->span, span))
      return true;
  return false;
}

uint64_t owned(World *w, unsigned i)
{
  g_autoptr(GPtrArray) all = mal_space_ranges(mal_core_space(w->host[i].core), MAL_LEVEL_OWNED);
  uint64_t n = 0;
  for (unsigned k = 0; k < all->len; k++)
    n += (uint64_t)mal_span_size(((const MalRange *)g_ptr_array_index(all, k))->span);
  return n;
}

void assert_disjoint(World *w)
{
  for (unsigned i = 0; i < w->n; i++) {
    g_autoptr(GPtrArray) all = mal_space_ranges(mal_core_space(w->host[i].core), MAL_LEVEL_OWNED);
    for (unsigned k = 0; k < all->len; k++)
      for (unsigned j = 0; j < w->n; j++)
        cr_assert(j == i || !is_owned(w, j, ((MalRange *)g_ptr_array_index(all, k))->span));
  }
}

void lease(World *w, unsigned i, const char *scope, unsigned count)
{
  g_autofree char *params = g_strdup_printf(
      "{\"scope\":\"%s\",\"count\":%u,\"lifetime\":600,\"wait\":true}", scope, count);
  call(w, i, "lease.request", params, 60);
  cr_assert_null(w->error, "%s", w->error);
}
