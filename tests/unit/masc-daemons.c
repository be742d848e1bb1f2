#include "tests/unit/masc-daemons.h"

extern const MalPlugin mal_plugin;

static void quiet(MalLogLevel level, const char *line, void *data)
{
  (void)level, (void)line, (void)data;
  if (g_getenv("MASC_LOG") != NULL)
    g_printerr("%s\n", line);
}

static void on_event(const MalEventDef *def, MalTime at, const MalField *fields, size_t n_fields,
                     const char *message, void *data)
{
  (void)at, (void)fields, (void)n_fields, (void)message;
  g_string_append_printf(data, "%s\n", def->name);
}

static void write_file(MascWorld *w, unsigned i, const char *text)
{
  g_autofree char *whole = g_strdup_printf(
      "[daemon]\nroles=maas;prefix-coordinator\nlog-level=debug\nplugins=masc\n%s", text);
  cr_assert(g_file_set_contents(w->host[i].file, whole, -1, NULL));
}

static bool boot(MascWorld *w, unsigned i, GError **error)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  MalCoreOptions options = { .runtime = mal_sim_node_runtime(w->host[i].node),
                             .store = mal_sim_store_open(w->host[i].node),
                             .config_file = w->host[i].file,
                             .builtin = builtin,
                             .log = quiet };
  w->host[i].core = mal_core_new(&options, error);
  if (w->host[i].core == NULL)
    return false;
  mal_events_subscribe(mal_core_events(w->host[i].core), on_event, w->host[i].events);
  return mal_core_start(w->host[i].core, error);
}

bool masc_world_try(MascWorld *w, unsigned i, const char *text, GError **error)
{
  write_file(w, i, text);
  return boot(w, i, error);
}

void masc_world_start(MascWorld *w, unsigned i, const char *text)
{
  g_autoptr(GError) error = NULL;
  cr_assert(masc_world_try(w, i, text, &error), "%s", error ? error->message : "");
}

MascWorld masc_world(unsigned n)
{
  return masc_world_seeded(n, 7);
}

MascWorld masc_world_seeded(unsigned n, uint64_t seed)
{
  MascWorld w = daemons_new(n, seed);
  w.dir = g_dir_make_tmp("masc-world-XXXXXX", NULL);
  for (unsigned i = 0; i < n; i++) {
    w.host[i].file = g_build_filename(w.dir, mal_sim_node_name(w.host[i].node), NULL);
    w.host[i].events = g_string_new(NULL);
  }
  return w;
}

void masc_world_stop(MascWorld *w, unsigned i)
{
  g_clear_pointer(&w->host[i].core, mal_core_free);
  masc_world_run(w, 10);
  mal_sim_node_restart(w->host[i].node);
}

void masc_world_crash(MascWorld *w, unsigned i, MalSimCrash disk)
{
  mal_sim_node_crash(w->host[i].node, disk);
  g_clear_pointer(&w->host[i].core, mal_core_free);
  mal_sim_node_bury(w->host[i].node);
  masc_world_run(w, 20);
  mal_sim_node_restart(w->host[i].node);
}

void masc_world_return(MascWorld *w, unsigned i)
{
  g_autoptr(GError) error = NULL;
  cr_assert(boot(w, i, &error), "%s", error ? error->message : "");
}

bool masc_world_reload(MascWorld *w, unsigned i, const char *text, GError **error)
{
  write_file(w, i, text);
  return mal_core_reload(w->host[i].core, NULL, error);
}

json_object *masc_world_peer(MascWorld *w, unsigned i, const char *name)
{
  json_object *list = masc_at(masc_world_call(w, i, "masc.peers", "{}", 2), "peers");
  for (size_t k = 0; k < json_object_array_length(list); k++) {
    json_object *peer = json_object_array_get_idx(list, k);
    if (strcmp(json_object_get_string(masc_at(peer, "peer")), name) == 0)
      return peer;
  }
  return NULL;
}

const char *masc_world_state(MascWorld *w, unsigned i, const char *name)
{
  json_object *peer = masc_world_peer(w, i, name);
  return peer ? json_object_get_string(masc_at(peer, "state")) : "none";
}

char *masc_ranges(MascWorld *w, unsigned i, MalLevel level)
{
  g_autoptr(GPtrArray) all = mal_space_ranges(mal_core_space(w->host[i].core), level);
  GString *out = g_string_new(NULL);
  char span[MAL_SPAN_STRLEN];
  for (unsigned k = 0; k < all->len; k++) {
    const MalRange *range = g_ptr_array_index(all, k);
    if (strcmp(range->source, "masc") == 0)
      g_string_append_printf(out, "%s%s", out->len > 0 ? " " : "",
                             mal_span_format(range->span, span));
  }
  return g_string_free(out, FALSE);
}

static void add_route(const MalRoute *route, void *data)
{
  char address[MAL_ADDRESS_STRLEN];
  GString *out = data;
  g_string_append_printf(out, "%s%s/%u", out->len > 0 ? " " : "",
                         mal_address_format(route->prefix.address, address), route->prefix.length);
}

char *masc_routes(MascWorld *w, unsigned i)
{
  GString *out = g_string_new(NULL);
  mal_routes_each(mal_core_routes(w->host[i].core), add_route, out);
  return g_string_free(out, FALSE);
}

unsigned masc_told(const MascWorld *w, unsigned i, const char *event)
{
  g_auto(GStrv) names = g_strsplit(w->host[i].events->str, "\n", -1);
  unsigned n = 0;
  for (unsigned k = 0; names[k] != NULL; k++)
    n += strcmp(names[k], event) == 0;
  return n;
}
