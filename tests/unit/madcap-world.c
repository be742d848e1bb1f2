#include "madcap-world.h"

#include <criterion/criterion.h>
#include <glib/gstdio.h>
#include <string.h>

extern const MalPlugin mal_plugin;

/* ---- the world ------------------------------------------------------------------------------- */

static void log_line(MalLogLevel level, const char *line, void *data)
{
  (void)level;
  g_string_append_printf(data, "%s\n", line);
}

void boot(Host *h)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  MalRuntime *rt = mal_sim_node_runtime(h->node);
  g_autoptr(GError) error = NULL;
  MalCoreOptions options = {
    .runtime = rt,
    .store = h->dir ? mal_store_sqlite_open(rt, h->dir, NULL, &error) : mal_store_memory_new(rt),
    .config_text = h->config,
    .builtin = builtin,
    .log = log_line,
    .log_data = h->log,
  };

  cr_assert_not_null(options.store, "%s", error ? error->message : "");
  h->core = mal_core_new(&options, &error);
  cr_assert_not_null(h->core, "%s", error ? error->message : "");
  cr_assert(mal_core_start(h->core, &error), "%s", error ? error->message : "");
}

World world_new(uint64_t seed)
{
  World w = { .sim = mal_sim_new(seed) };

  w.link = mal_sim_link_new(w.sim, "lan");
  return w;
}

Host *add_host(World *w, const char *name, const char *address, const char *config)
{
  Host *h = &w->hosts[w->n++];

  h->sim = w->sim;
  h->node = mal_sim_node_new(w->sim, name);
  h->config = g_strdup(config);
  h->log = g_string_new(NULL);
  MalSimIface *eth0 = mal_sim_iface_new(h->node, w->link, "eth0");
  mal_sim_iface_add(eth0, address);
  g_autofree char *six = g_strdup_printf("2001:db8::%s", strrchr(address, '.') + 1);
  mal_sim_iface_add(eth0, six);
  boot(h);
  return h;
}

static void drop_dir(char *dir)
{
  g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);

  for (const char *name; (name = g_dir_read_name(open)) != NULL;) {
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_unlink(path);
  }
  g_rmdir(dir);
  g_free(dir);
}

void world_free(World *w)
{
  cr_assert_null(mal_sim_failure(w->sim));
  for (size_t i = 0; i < w->n; i++) {
    if (w->hosts[i].core != NULL)
      mal_core_free(w->hosts[i].core);
    if (w->hosts[i].dir != NULL)
      drop_dir(w->hosts[i].dir);
    g_free(w->hosts[i].config);
    g_string_free(w->hosts[i].log, TRUE);
  }
  mal_sim_free(w->sim);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void on_done(json_object *result, const GError *error, void *data)
{
  Answer *a = data;

  cr_assert_not(a->done, "answered twice");
  a->done = true;
  if (result != NULL)
    a->result = json_object_get(result);
  if (error != NULL) {
    a->code = error->code;
    a->text = g_strdup(error->message);
  }
}

static void on_progress(const char *message, void *data)
{
  g_string_append_printf(((Answer *)data)->progress, "%s\n", message);
}

Answer *begin(Host *h, const char *method, const char *json)
{
  Answer *a = g_new0(Answer, 1);
  json_object *params = json_tokener_parse(json);

  a->progress = g_string_new(NULL);
  cr_assert_not_null(params, "%s", json);
  mal_control_call(mal_core_control(h->core), method, params, true, on_done, on_progress, a);
  json_object_put(params);
  return a;
}

static bool is_open(void *data)
{
  return !((Answer *)data)->done;
}

static Answer *wait_for(World *w, Answer *a, int64_t seconds)
{
  mal_sim_run_while(w->sim, is_open, a, mal_sim_now(w->sim) + seconds * SECOND);
  return a;
}

Answer *call(World *w, Host *h, const char *method, const char *json)
{
  Answer *a = wait_for(w, begin(h, method, json), 1000);

  cr_assert(a->done, "%s %s is not answered:\n%s", method, json, a->progress->str);
  return a;
}

Answer *must(World *w, Host *h, const char *method, const char *json)
{
  Answer *a = call(w, h, method, json);

  cr_assert_not_null(a->result, "%s %s: %s\n%s%s", method, json, a->text, a->progress->str,
                     h->log->str);
  return a;
}

void answer_free(Answer *a)
{
  if (a->result != NULL)
    json_object_put(a->result);
  g_free(a->text);
  g_string_free(a->progress, TRUE);
  g_free(a);
}

const char *text_of(const Answer *a, const char *name)
{
  json_object *o = json_object_object_get(a->result, name);

  cr_assert_not_null(o, "%s is not in %s", name, json_object_to_json_string(a->result));
  return json_object_get_string(o);
}

uint64_t leases_at(const Host *h)
{
  return mal_leases_totals(mal_core_leases(h->core), NULL).leases;
}

uint64_t metric(const Host *h, const char *name)
{
  for (size_t i = 0; i < mal_metrics_size(mal_core_metrics(h->core)); i++) {
    const MalMetricSet *set = mal_metrics_at(mal_core_metrics(h->core), i);
    for (size_t k = 0; k < set->n; k++)
      if (strcmp(set->owner, "madcap") == 0 && strcmp(set->defs[k].name, name) == 0)
        return set->values[k];
  }
  cr_assert_fail("no metric %s", name);
  return 0;
}

char *about(const Answer *lease, const char *more)
{
  return g_strdup_printf("{\"lease\":\"%s\"%s}", text_of(lease, "lease"), more);
}
