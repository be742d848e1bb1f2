#include "tests/unit/core-bed.h"

#include <glib/gstdio.h>

/* ---- two plugins that write down what is done to them ---------------------------------------- */

typedef struct { Script *script; const MalHost *host; const char *name; } Instance;

Script script;

static bool called(const char *name, const char *hook, GError **error)
{
  g_autofree char *what = g_strconcat(name, ".", hook, NULL);
  g_string_append_printf(script.calls, "%s ", what);
  if (!script.fail || strcmp(script.fail, what) != 0)
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN, "as asked");
  return false;
}

static bool check_alpha(const MalConfig *config, const MalPlan *plan, uint32_t roles,
                        GError **error)
{
  (void)config, (void)plan, (void)roles;
  return called("alpha", "check", error);
}

static void *open_any(const MalHost *host, GError **error)
{
  if (!called(host->name, "open", error))
    return NULL;
  Instance *i = g_new0(Instance, 1);
  *i = (Instance){ &script, host, g_intern_string(host->name) };
  if (strcmp(i->name, "alpha") == 0)
    script.reload_value =
        g_intern_string(mal_conf_string(mal_config_section(host->config, "alpha"), "word"));
  return i;
}

static bool restore_any(void *instance, const MalRecord *record, GError **error)
{
  g_autofree char *hook =
      g_strdup_printf("restore(%.*s=%.*s)", (int)record->key_length, (const char *)record->key,
                      (int)record->value_length, (const char *)record->value);
  return called(((Instance *)instance)->name, hook, error);
}

static bool start_any(void *instance, GError **error)
{
  return called(((Instance *)instance)->name, "start", error);
}

static MalReload reload_any(void *instance, const MalConfig *config)
{
  Instance *i = instance;
  called(i->name, "reload", NULL);
  cr_assert_eq(i->host->config, config);
  if (strcmp(i->name, "alpha") == 0)
    script.reload_value =
        g_intern_string(mal_conf_string(mal_config_section(config, "alpha"), "word"));
  return script.reload;
}

static void stop_any(void *instance)
{
  called(((Instance *)instance)->name, "stop", NULL);
}

static void close_any(void *instance)
{
  called(((Instance *)instance)->name, "close", NULL);
  g_free(instance);
}

static MalVerdict arbitrate(void *instance, uint64_t ticket, const MalScope *scope, MalSpan span,
                            MalTime until)
{
  Asked a = { ticket, span };
  (void)instance, (void)scope, (void)until;
  for (unsigned i = 0; i < script.asked->len; i++)
    if (script.verdict == MAL_VERDICT_LATER)
      cr_assert_not(mal_span_overlaps(g_array_index(script.asked, Asked, i).span, span));
  g_array_append_val(script.asked, a);
  return script.verdict;
}

static void demand(void *instance, MalLevel level, const MalScope *scope, uint64_t count,
                   MalTime until)
{
  (void)instance, (void)level, (void)scope, (void)count, (void)until;
  script.demands++;
}

static const MalConfKey alpha_keys[] = {
  { .key = "word", .type = MAL_CONF_STRING, .fallback = "none", .help = "A." }
};
static const MalConfGroup alpha_groups[] = { { "alpha", false, alpha_keys, 1, "A." } };
static const MalMetricDef alpha_metrics[] = { { "things", MAL_COUNTER, "A." } };

#define HOOKS                                                                                      \
  .version = "1", .summary = "A test's.", .open = open_any, .restore = restore_any,                \
  .start = start_any, .reload = reload_any, .stop = stop_any, .close = close_any

static const MalPlugin alpha = { .abi = MAL_PLUGIN_ABI,
                                 .name = "alpha",
                                 .roles = MAL_ROLE_MAAS,
                                 .groups = alpha_groups,
                                 .n_groups = 1,
                                 .metrics = alpha_metrics,
                                 .n_metrics = 1,
                                 .check = check_alpha,
                                 HOOKS };
static const MalPlugin beta = {
  .abi = MAL_PLUGIN_ABI, .name = "beta", .roles = MAL_ROLE_MAAS, HOOKS
};
static const MalPlugin coordinator = {
  .abi = MAL_PLUGIN_ABI, .name = "coordinator", .roles = MAL_ROLE_COORDINATOR, HOOKS
};
static const MalPlugin layer2 = {
  .abi = MAL_PLUGIN_ABI, .name = "layer2", .roles = MAL_ROLE_MAAS, HOOKS, .arbitrate = arbitrate
};
static const MalPlugin layer3 = {
  .abi = MAL_PLUGIN_ABI, .name = "layer3", .roles = MAL_ROLE_MAAS, HOOKS, .demand = demand
};
static const MalPlugin old_abi = { .abi = 0, .name = "old", HOOKS };
static const MalPlugin *const builtin[] = { &alpha,  &beta,    &coordinator, &layer2,
                                            &layer3, &old_abi, NULL };

/* ---- a daemon -------------------------------------------------------------------------------- */

static void log_line(MalLogLevel level, const char *line, void *data)
{
  (void)level;
  g_string_append_printf(data, "%s\n", line);
}

Bed prepare(bool on_disk)
{
  Bed b = { .fake = fake_runtime_new(),
            .dir = g_dir_make_tmp("mal-core-XXXXXX", NULL),
            .on_disk = on_disk,
            .log = g_string_new(NULL) };
  b.rt = fake_runtime(b.fake);
  b.config = g_build_filename(b.dir, "mallocd.conf", NULL);
  script =
      (Script){ .calls = g_string_new(NULL), .asked = g_array_new(FALSE, FALSE, sizeof(Asked)) };
  return b;
}

static bool keep(Bed *b, bool ok, GError *error)
{
  g_free(b->error);
  b->error = error ? g_strdup(error->message) : g_strdup("");
  g_clear_error(&error);
  return ok;
}

bool up(Bed *b, const char *config)
{
  GError *error = NULL;
  MalCoreOptions o = { .runtime = b->rt,
                       .config_file = b->config,
                       .builtin = builtin,
                       .plugin_dir = b->dir,
                       .log = log_line,
                       .log_data = b->log };
  cr_assert(g_file_set_contents(b->config, config, -1, NULL));
  b->store = o.store =
      b->on_disk ? mal_store_sqlite_open(b->rt, b->dir, NULL, &error) : mal_store_memory_new(b->rt);
  b->core = mal_core_new(&o, &error);
  bool ok = b->core && mal_core_start(b->core, &error);
  if (b->core)
    fake_run(b->fake);
  return keep(b, ok, error);
}

bool reload(Bed *b, const char *config)
{
  GError *error = NULL;
  cr_assert(g_file_set_contents(b->config, config, -1, NULL));
  bool ok = mal_core_reload(b->core, NULL, &error);
  fake_run(b->fake);
  return keep(b, ok, error);
}

void down(Bed *b)
{
  g_clear_pointer(&b->core, mal_core_free);
  fake_run(b->fake);
}

void clear(Bed *b)
{
  down(b);
  fake_runtime_free(b->fake);
  g_autoptr(GDir) dir = g_dir_open(b->dir, 0, NULL);
  for (const char *name; (name = g_dir_read_name(dir));) {
    g_autofree char *path = g_build_filename(b->dir, name, NULL);
    g_unlink(path);
  }
  g_rmdir(b->dir);
  g_free(b->dir);
  g_free(b->config);
  g_free(b->error);
  g_string_free(b->log, TRUE);
  g_string_free(script.calls, TRUE);
  g_array_unref(script.asked);
}

Bed bed(const char *config)
{
  Bed b = prepare(false);
  cr_assert(up(&b, config), "%s", b.error);
  return b;
}

void done(const GError *error, void *data)
{
  Bed *b = data;
  b->done++;
  b->code = error ? error->code : -1;
}

MalSpan span(const char *text)
{
  MalSpan s;
  cr_assert(mal_span_parse(text, &s, NULL));
  return s;
}

bool add_range(Bed *b, const char *name, const char *where, MalTime until)
{
  GError *error = NULL;
  bool ok = mal_core_range_add(b->core, "local", name, span(where), until, done, b, &error);
  fake_run(b->fake);
  return keep(b, ok, error);
}

bool remove_range(Bed *b, const char *name, bool force)
{
  GError *error = NULL;
  bool ok = mal_core_range_remove(b->core, name, force, done, b, &error);
  fake_run(b->fake);
  return keep(b, ok, error);
}

bool add_reserve(Bed *b, const char *name, const char *where)
{
  GError *error = NULL;
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  MalSpan s = span(where);
  g_array_append_val(spans, s);
  bool ok = mal_core_reserve_add(b->core, "local", name, spans, "why", done, b, &error);
  fake_run(b->fake);
  return keep(b, ok, error);
}

/* ---- control calls --------------------------------------------------------------------------- */

static void on_answer(json_object *result, const GError *error, void *data)
{
  Answer *a = data;
  a->answers++;
  a->code = error ? error->code : -1;
  a->message = error ? g_strdup(error->message) : NULL;
  a->result = json_object_get(result);
}

void answer_clear(Answer *a)
{
  json_object_put(a->result);
  g_free(a->message);
}

void begin(Bed *b, Answer *a, const char *method, const char *params)
{
  json_object *p = params ? json_tokener_parse(params) : NULL;
  *a = (Answer){ 0 };
  mal_control_call(mal_core_control(b->core), method, p, true, on_answer, NULL, a);
  json_object_put(p);
}

int call(Bed *b, const char *method, const char *params)
{
  g_auto(Answer) a;
  begin(b, &a, method, params);
  fake_run(b->fake);
  cr_assert_eq(a.answers, 1, "%s", method);
  keep(b, true, NULL);
  if (a.message) {
    g_free(b->error);
    b->error = g_strdup(a.message);
  }
  return a.code;
}

bool has_lease(Bed *b, uint8_t id)
{
  MalLease view;
  return mal_leases_get(mal_core_leases(b->core), (MalLeaseId){ &id, 1 }, &view);
}

uint64_t metric(Bed *b, const char *name)
{
  mal_core_update_gauges(b->core);
  for (size_t i = 0; i < mal_metrics_size(mal_core_metrics(b->core)); i++) {
    const MalMetricSet *set = mal_metrics_at(mal_core_metrics(b->core), i);
    for (size_t j = 0; j < set->n; j++)
      if (strcmp(set->owner, "core") == 0 && strcmp(set->defs[j].name, name) == 0)
        return set->values[j];
  }
  cr_assert_fail("%s", name);
  return 0;
}
