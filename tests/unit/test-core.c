/* The whole core under a fake runtime, with plugins of the test's own. */
#include "core/core.h"
#include "core/control-core.h"
#include "tests/support/fake-runtime.h"

#include <criterion/criterion.h>
#include <glib/gstdio.h>
#include <string.h>

#define SCOPES                                                                      \
  "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"           \
  "[scope six]\nfamily=ipv6\nfirst=ff15::db8:8000:0\nlast=ff15:1::db8:8fff:ffff\n"
#define LAB "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.15\n"
#define DAEMON "[daemon]\nplugins=alpha;beta\nroles=maas\n"

/* ---- two plugins that write down what is done to them ---------------------------------------- */

typedef struct {
  GString *calls;             /* "alpha.open beta.open ..." */
  const char *fail;           /* this one fails */
  MalReload reload;
  const char *reload_value;   /* of key word, as the last reload or open saw it */
  MalVerdict verdict;
  GArray *asked;              /* Asked, by the arbiter */
  unsigned demands;
  MalLeases *leases;
} Script;

typedef struct { uint64_t ticket; MalSpan span; } Asked;
typedef struct { Script *script; const MalHost *host; const char *name; } Instance;

/* Each Criterion test is a process of its own, and hooks without an instance have no other way to
   it. */
static Script script;

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

typedef struct {
  FakeRuntime *fake;
  MalRuntime *rt;
  MalStore *store;
  MalCore *core;
  char *dir, *config;
  bool on_disk;
  GString *log;
  char *error;                /* of the last call that was refused */
  unsigned done;
  int code;
} Bed;

static void log_line(MalLogLevel level, const char *line, void *data)
{
  (void)level;
  g_string_append_printf(data, "%s\n", line);
}

static Bed prepare(bool on_disk)
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

static bool up(Bed *b, const char *config)
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

static bool reload(Bed *b, const char *config)
{
  GError *error = NULL;
  cr_assert(g_file_set_contents(b->config, config, -1, NULL));
  bool ok = mal_core_reload(b->core, NULL, &error);
  fake_run(b->fake);
  return keep(b, ok, error);
}

static void down(Bed *b)
{
  g_clear_pointer(&b->core, mal_core_free);
  fake_run(b->fake);
}

static void clear(Bed *b)
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

static Bed bed(const char *config)
{
  Bed b = prepare(false);
  cr_assert(up(&b, config), "%s", b.error);
  return b;
}

#define must_have_called(b, text)                       \
  do {                                                  \
    cr_assert_str_eq(script.calls->str, text);          \
    g_string_truncate(script.calls, 0);                 \
  } while (0)

static void done(const GError *error, void *data)
{
  Bed *b = data;
  b->done++;
  b->code = error ? error->code : -1;
}

static MalSpan span(const char *text)
{
  MalSpan s;
  cr_assert(mal_span_parse(text, &s, NULL));
  return s;
}

static bool add_range(Bed *b, const char *name, const char *where, MalTime until)
{
  GError *error = NULL;
  bool ok = mal_core_range_add(b->core, "local", name, span(where), until, done, b, &error);
  fake_run(b->fake);
  return keep(b, ok, error);
}

static bool remove_range(Bed *b, const char *name, bool force)
{
  GError *error = NULL;
  bool ok = mal_core_range_remove(b->core, name, force, done, b, &error);
  fake_run(b->fake);
  return keep(b, ok, error);
}

static bool add_reserve(Bed *b, const char *name, const char *where)
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

typedef struct { unsigned answers; int code; json_object *result; char *message; } Answer;

static void on_answer(json_object *result, const GError *error, void *data)
{
  Answer *a = data;
  a->answers++;
  a->code = error ? error->code : -1;
  a->message = error ? g_strdup(error->message) : NULL;
  a->result = json_object_get(result);
}

static void answer_clear(Answer *a)
{
  json_object_put(a->result);
  g_free(a->message);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

static void begin(Bed *b, Answer *a, const char *method, const char *params)
{
  json_object *p = params ? json_tokener_parse(params) : NULL;
  *a = (Answer){ 0 };
  mal_control_call(mal_core_control(b->core), method, p, true, on_answer, NULL, a);
  json_object_put(p);
}

static int call(Bed *b, const char *method, const char *params)
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

#define LEASE(n, more) "{\"scope\":\"local\",\"lease\":\"" n "\"" more "}"

static bool has_lease(Bed *b, uint8_t id)
{
  MalLease view;
  return mal_leases_get(mal_core_leases(b->core), (MalLeaseId){ &id, 1 }, &view);
}

static uint64_t metric(Bed *b, const char *name)
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

/* ---- the life of plugins --------------------------------------------------------------------- */

Test(core, hooks_in_their_order)
{
  Bed b = bed(DAEMON SCOPES LAB);
  must_have_called(b, "alpha.check alpha.open beta.open alpha.start beta.start ");
  cr_assert(reload(&b, DAEMON SCOPES LAB "[alpha]\nword=new\n"), "%s", b.error);
  must_have_called(b, "alpha.check alpha.reload beta.reload ");
  cr_assert_str_eq(script.reload_value, "new");
  script.reload = MAL_RELOAD_RESTART;
  cr_assert(reload(&b, DAEMON SCOPES LAB));
  must_have_called(b, "alpha.check alpha.reload alpha.stop alpha.close alpha.open alpha.start "
                      "beta.reload beta.stop beta.close beta.open beta.start ");
  cr_assert_str_eq(script.reload_value, "none");
  mal_core_stop(b.core);
  must_have_called(b, "beta.stop beta.close alpha.stop alpha.close ");
  clear(&b);
}

Test(core, a_hook_that_fails_leaves_nothing_behind)
{
  static const struct { const char *fail, *calls;
  } table[] = {
    { "alpha.check", "alpha.check " },
    { "alpha.open", "alpha.check alpha.open " },
    { "beta.open", "alpha.check alpha.open beta.open alpha.close " },
    { "alpha.start", "alpha.check alpha.open beta.open alpha.start beta.close alpha.close " },
    { "beta.start", "alpha.check alpha.open beta.open alpha.start beta.start beta.close alpha.stop "
                    "alpha.close " },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    Bed b = prepare(true);
    script.fail = table[i].fail;
    cr_assert_not(up(&b, DAEMON SCOPES));
    cr_assert(strstr(b.error, "as asked"), "%s", b.error);
    down(&b);
    must_have_called(b, table[i].calls);
    cr_assert_null(strstr(b.log->str, "daemon.stopped"), "it never was up");
    script.fail = NULL;
    cr_assert(up(&b, DAEMON SCOPES), "and it can be started then: %s", b.error);
    clear(&b);
  }
}

Test(core, plugins_that_are_not_or_not_ours)
{
  static const struct { const char *config, *words; } table[] = {
    { "[daemon]\nplugins=gamma\n", "gamma" }, { "[daemon]\nplugins=old\n", "ABI" },
    { "[daemon]\nplugins=alpha;alpha\n", "twice" }, { "[daemon]\nplugins=../x\n", "not the name" },
    { "[daemon]\nplugins=beta\n[alpha]\nword=x\n", "alpha" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    Bed b = prepare(false);
    cr_assert_not(up(&b, table[i].config));
    cr_assert(strstr(b.error, table[i].words), "%s", b.error);
    clear(&b);
  }
}

Test(core, without_its_role_a_plugin_is_idle)
{
  Bed b = bed("[daemon]\nplugins=coordinator;beta\nroles=maas\n" SCOPES);
  must_have_called(b, "beta.open beta.start ");
  cr_assert_str_eq(mal_core_plugin(b.core, 0).state, "idle");
  cr_assert_str_eq(mal_core_plugin(b.core, 1).state, "running");
  cr_assert(reload(&b, "[daemon]\nplugins=coordinator;beta\nroles=maas\n" SCOPES));
  must_have_called(b, "beta.reload ");
  cr_assert_str_eq(mal_core_plugin(b.core, 1).path, "built in", "the path outlives the reload");
  clear(&b);
}

static MalTicket put(Bed *b, const char *key, const char *value)
{
  MalRecord r = { "alpha",      "word", (const uint8_t *)key, strlen(key), (const uint8_t *)value,
                  strlen(value) };
  return mal_store_put_record(mal_core_store(b->core), &r);
}

/* Long after the first append, with changes that are durable, on their way, and failed. */
Test(core, a_plugin_that_restarts_reads_its_records)
{
  for (int on_disk = 0; on_disk < 2; on_disk++) {
    Bed b = prepare(on_disk);
    cr_assert(up(&b, DAEMON SCOPES), "%s", b.error);
    put(&b, "a", "1");
    put(&b, "b", "1");
    put(&b, "c", "1");
    fake_run(b.fake);
    put(&b, "a", "2");
    mal_store_drop_record(mal_core_store(b.core), "alpha", "word", (const uint8_t *)"b", 1);
    g_string_truncate(script.calls, 0);
    script.reload = MAL_RELOAD_RESTART;
    cr_assert(reload(&b, DAEMON SCOPES));
    must_have_called(
        b, "alpha.check alpha.reload alpha.stop alpha.close alpha.open alpha.restore(c=1) "
           "alpha.restore(a=2) alpha.start beta.reload beta.stop beta.close beta.open beta.start ");
    if (!on_disk) {
      mal_store_memory_fail(b.store, "no");
      put(&b, "c", "lost");
      fake_run(b.fake);
      mal_store_memory_fail(b.store, NULL);
      fake_run(b.fake);
      cr_assert(reload(&b, DAEMON SCOPES));
      cr_assert(strstr(script.calls->str, "alpha.restore(c=1) alpha.restore(a=2)"), "%s",
                script.calls->str);
    } else {
      down(&b);
      g_string_truncate(script.calls, 0);
      cr_assert(up(&b, DAEMON SCOPES), "%s", b.error);
      cr_assert(strstr(script.calls->str, "alpha.restore(c=1) alpha.restore(a=2) "), "%s",
                script.calls->str);
    }
    clear(&b);
  }
}

Test(core, a_restart_that_fails_goes_back_to_the_old_configuration)
{
  Bed b = bed(DAEMON SCOPES "[alpha]\nword=old\n");
  script.reload = MAL_RELOAD_RESTART;
  script.fail = "alpha.start";
  cr_assert(reload(&b, DAEMON SCOPES "[alpha]\nword=new\n"));
  cr_assert(strstr(b.log->str, "plugin.failed"));
  cr_assert_str_eq(mal_core_plugin(b.core, 0).state, "stopped");
  cr_assert_str_eq(script.reload_value, "old", "that was tried, too");
  script.fail = NULL;
  cr_assert(reload(&b, DAEMON SCOPES "[alpha]\nword=third\n"));
  cr_assert_str_eq(mal_core_plugin(b.core, 0).state, "running");
  cr_assert_str_eq(script.reload_value, "third");
  clear(&b);
}

Test(core, a_plugin_that_the_file_names_no_more_goes_on_as_it_was)
{
  Bed b = bed(DAEMON SCOPES "[alpha]\nword=old\n");
  g_string_truncate(script.calls, 0);
  g_autofree char *summary = NULL;
  cr_assert(g_file_set_contents(b.config, "[daemon]\nplugins=beta\nroles=maas\n" SCOPES, -1, NULL));
  cr_assert(mal_core_reload(b.core, &summary, NULL));
  cr_assert(strstr(summary, "plugins"));
  must_have_called(b, "beta.reload ");
  cr_assert_str_eq(mal_core_plugin(b.core, 0).state, "running");
  cr_assert(reload(&b, DAEMON SCOPES "[alpha]\nword=back\n"));
  cr_assert_str_eq(script.reload_value, "back");
  clear(&b);
}

/* ---- reloads, all or nothing ----------------------------------------------------------------- */

Test(core, a_bad_reload_changes_nothing)
{
  static const char *const bad[] = {
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n[unknown]\n",
    "[daemon]\nlog-level=debug\nplugins=alpha;beta;gamma\n" SCOPES,
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES
    "[range x]\nscope=nowhere\nfirst=239.255.1.0\nlast=239.255.1.9\n",
    /* the lease would lose its place */
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES,
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n", /* and its scope */
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES LAB
    "[range x]\nscope=local\nfirst=239.255.8.0\nlast=239.255.8.9\n",
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES LAB
    "[range hand]\nscope=local\nfirst=239.255.7.0\nlast=239.255.7.9\n",
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES LAB
    "[reserve cam]\nscope=local\naddresses=239.255.7.9\n",
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES LAB
    "[reserve x]\nscope=local\naddresses=239.255.9.9\n",
  };
  Bed b = bed(DAEMON SCOPES LAB);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), -1, "%s", b.error);
  cr_assert(add_range(&b, "hand", "239.255.8.0/28", MAL_FOREVER), "%s", b.error);
  cr_assert(add_reserve(&b, "cam", "239.255.9.9"), "%s", b.error);
  const MalPlan *plan = mal_core_plan(b.core);
  g_string_truncate(script.calls, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    cr_assert_not(reload(&b, bad[i]), "%zu", i);
    cr_assert_eq(mal_core_plan(b.core), plan);
    cr_assert_null(strstr(script.calls->str, "reload"));
    cr_assert(strlen(b.error) > 20 && has_lease(&b, 1));
    g_autoptr(GPtrArray) ranges = mal_space_ranges(mal_core_space(b.core), MAL_LEVEL_AVAILABLE);
    cr_assert_eq(ranges->len, 2);
    cr_assert_eq(mal_scope_set_size(mal_leases_scopes(mal_core_leases(b.core))), 2);
    static const MalEventDef debug = { "test.debug", MAL_FAULT_NOBODY, MAL_LOG_DEBUG, "" };
    cr_assert_not(mal_event_wanted(mal_core_events(b.core), &debug), "the log level is as it was");
  }
  cr_assert_eq(metric(&b, "config-reloads-refused"), G_N_ELEMENTS(bad));
  cr_assert_eq(metric(&b, "config-reloads"), 0);
  script.fail = "alpha.check";
  cr_assert_not(reload(&b, DAEMON SCOPES LAB));
  clear(&b);
}

Test(core, events_and_metrics_stand_once)
{
  Bed b = bed(DAEMON SCOPES LAB);
  cr_assert(reload(&b, DAEMON SCOPES LAB) && reload(&b, DAEMON SCOPES LAB));
  g_autoptr(GPtrArray) known = mal_events_known(mal_core_events(b.core));
  for (unsigned i = 0; i < known->len; i++)
    for (unsigned j = 0; j < i; j++)
      cr_assert_str_neq(((const MalEventDef *)known->pdata[i])->name,
                        ((const MalEventDef *)known->pdata[j])->name);
  unsigned alphas = 0;
  for (size_t i = 0; i < mal_metrics_size(mal_core_metrics(b.core)); i++)
    alphas += strcmp(mal_metrics_at(mal_core_metrics(b.core), i)->owner, "alpha") == 0;
  cr_assert_eq(alphas, 1);
  clear(&b);
}

/* ---- by hand --------------------------------------------------------------------------------- */

Test(core, what_is_made_by_hand_survives_a_restart)
{
  Bed b = prepare(true);
  cr_assert(up(&b, DAEMON SCOPES), "%s", b.error);
  cr_assert(add_range(&b, "hand", "239.255.8.0/28", MAL_FOREVER), "%s", b.error);
  cr_assert(add_range(&b, "gone", "239.255.9.0/28", MAL_FOREVER), "%s", b.error);
  cr_assert(add_reserve(&b, "cam", "239.255.8.4-239.255.8.5"), "%s", b.error);
  cr_assert(remove_range(&b, "gone", false), "%s", b.error);
  cr_assert(b.done == 4 && b.code == -1);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), -1, "%s", b.error);
  down(&b);
  cr_assert(up(&b, DAEMON SCOPES), "%s", b.error);
  g_autoptr(GPtrArray) ranges = mal_space_ranges(mal_core_space(b.core), MAL_LEVEL_AVAILABLE);
  cr_assert_eq(ranges->len, 1);
  cr_assert_eq(mal_leases_reserves(mal_core_leases(b.core))->len, 1);
  cr_assert(has_lease(&b, 1));
  cr_assert_not(remove_range(&b, "hand", false));
  cr_assert(strstr(b.error, "live lease"), "%s", b.error);
  cr_assert(remove_range(&b, "hand", true), "%s", b.error);
  cr_assert_not(has_lease(&b, 1));
  cr_assert(strstr(b.log->str, "lease.revoked"), "its holder is told");
  down(&b);
  cr_assert(up(&b, DAEMON SCOPES), "the lease is not on the disk any more: %s", b.error);
  clear(&b);
}

/* The model goes back to what the disk says. */
Test(core, by_hand_on_a_disk_that_fails)
{
  Bed b = bed(DAEMON SCOPES LAB);
  cr_assert(add_range(&b, "kept", "239.255.7.0/28", MAL_FOREVER)
            && add_reserve(&b, "cam", "239.255.1.1"));
  cr_assert_eq(call(&b, "lease.request", LEASE("01", ",\"address\":\"239.255.7.3\"")), -1, "%s",
               b.error);
  b.done = 0;
  mal_store_memory_hold(b.store, true);
  cr_assert(add_range(&b, "new", "239.255.8.0/28", MAL_FOREVER)
            && add_reserve(&b, "cam2", "239.255.1.2"));
  cr_assert(remove_range(&b, "kept", true));
  cr_assert(mal_core_reserve_remove(b.core, "cam", done, &b, NULL));
  cr_assert_not(remove_range(&b, "new", false));
  cr_assert(strstr(b.error, "being changed"), "%s", b.error);
  mal_store_memory_fail(b.store, "disk full");
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert(b.done == 4 && b.code == MAL_ERROR_STORE);
  MalSpace *space = mal_core_space(b.core);
  cr_assert_null(mal_space_containing(space, MAL_LEVEL_AVAILABLE, span("239.255.8.0").first));
  cr_assert_not_null(mal_space_containing(space, MAL_LEVEL_OWNED, span("239.255.7.0").first));
  const GPtrArray *reserves = mal_leases_reserves(mal_core_leases(b.core));
  cr_assert(reserves->len == 1 && strcmp(((MalReserve *)reserves->pdata[0])->name, "cam") == 0);
  cr_assert_not(has_lease(&b, 1), "withdrawn is withdrawn");
  mal_leases_check(mal_core_leases(b.core), mal_runtime_now(b.rt));
  uint64_t changes = mal_store_counters(b.store).changes;
  mal_store_memory_fail(b.store, NULL);
  fake_run(b.fake);
  cr_assert_eq(mal_store_counters(b.store).changes, changes + 1, "now its row is dropped");
  clear(&b);
}

Test(core, a_range_that_ends)
{
  Bed b = bed(DAEMON SCOPES);
  cr_assert(add_range(&b, "short", "239.255.8.0/28", FAKE_START + 1000), "%s", b.error);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", ",\"lifetime\":900")), -1, "%s", b.error);
  cr_assert_eq(call(&b, "lease.request", LEASE("02", ",\"lifetime\":1001")), MAL_ERROR_NO_SPACE);
  cr_assert_eq(call(&b, "lease.request", LEASE("03", ",\"lifetime\":900,\"pad\":101")),
               MAL_ERROR_NO_SPACE);
  cr_assert_eq(call(&b, "lease.renew", "{\"lease\":\"01\",\"lifetime\":1001}"), MAL_ERROR_NO_SPACE);
  cr_assert(strstr(b.error, "range ends"), "%s", b.error);
  fake_advance(b.fake, 1001);
  cr_assert_not(has_lease(&b, 1));
  cr_assert_null(
      mal_space_containing(mal_core_space(b.core), MAL_LEVEL_AVAILABLE, span("239.255.8.0").first));
  cr_assert(add_range(&b, "short", "239.255.8.0/28", MAL_FOREVER), "its name is free again: %s",
            b.error);
  clear(&b);
}

Test(core, ranges_that_can_not_be)
{
  Bed b = bed(DAEMON SCOPES LAB);
  GError *error = NULL;
  cr_assert_not(mal_core_range_add(b.core, "six", "wide",
                                   span("ff15::db8:8000:0-ff15:1::db8:8000:0"), MAL_FOREVER, NULL,
                                   NULL, &error));
  cr_assert(strstr(error->message, "96"), "%s", error->message);
  g_clear_error(&error);
  cr_assert_not(add_range(&b, "lab", "239.255.8.0/28", MAL_FOREVER));
  cr_assert_not(add_range(&b, "x", "239.255.1.8/29", MAL_FOREVER));
  cr_assert_not(add_range(&b, "x", "239.1.0.0/29", MAL_FOREVER));
  cr_assert_not(add_range(&b, "x y", "239.255.8.0/29", MAL_FOREVER));
  cr_assert_not(add_range(&b, "x", "239.255.8.0/29", FAKE_START));
  cr_assert_not(remove_range(&b, "lab", true));
  cr_assert(strstr(b.error, "configuration"), "%s", b.error);
  cr_assert_not(remove_range(&b, "nothing", true));
  clear(&b);
}

/* ---- trouble --------------------------------------------------------------------------------- */

static void must_be(Bed *b, const char *state)
{
  g_auto(Answer) a;
  json_object *value;
  begin(b, &a, "status", NULL);
  cr_assert(json_object_object_get_ex(a.result, "state", &value));
  cr_assert_str_eq(json_object_get_string(value), state);
}

Test(core, a_store_that_fails_and_recovers)
{
  Bed b = bed(DAEMON SCOPES LAB);
  must_be(&b, "ok");
  mal_store_memory_fail(b.store, "disk full");
  fake_advance(b.fake, 2);
  must_be(&b, "degraded");
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), MAL_ERROR_STORE);
  cr_assert(strstr(b.error, "disk full"), "%s", b.error);
  cr_assert_eq(call(&b, "lease.list", NULL), -1, "what needs no write is answered");
  mal_store_memory_fail(b.store, NULL);
  fake_advance(b.fake, 2);
  must_be(&b, "ok");
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), -1);
  cr_assert(strstr(b.log->str, "store.failing") && strstr(b.log->str, "store.recovered"));
  clear(&b);
}

Test(core, the_clock_steps_a_day_either_way)
{
  for (int sign = -1; sign <= 1; sign += 2) {
    Bed b = bed(DAEMON SCOPES LAB);
    cr_assert_eq(call(&b, "lease.request", LEASE("01", ",\"lifetime\":100")), -1);
    fake_step_wall(b.fake, sign * 86400);
    fake_advance(b.fake, 2);
    cr_assert_eq(metric(&b, "clock-steps"), 1);
    cr_assert(strstr(b.log->str, "clock.stepped"));
    fake_advance(b.fake, 90);
    cr_assert(has_lease(&b, 1));
    fake_advance(b.fake, 20);
    cr_assert_not(has_lease(&b, 1));
    cr_assert_eq(metric(&b, "leases-expired"), 1);
    clear(&b);
  }
}

Test(core, gauges)
{
  Bed b = bed(DAEMON SCOPES LAB);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", ",\"count\":3")), -1);
  cr_assert(metric(&b, "leases") == 1 && metric(&b, "addresses-leased") == 3
            && metric(&b, "changes-pending") == 0);
  cr_assert(metric(&b, "store-batches") > 0 && metric(&b, "lease-memory-bytes") > 0);
  cr_assert_eq(call(&b, "lease.release", "{\"lease\":\"01\"}"), -1);
  cr_assert(metric(&b, "leases") == 0 && metric(&b, "leases-released") == 1);
  clear(&b);
}

static size_t routes(Bed *b)
{
  cr_expect_eq(call(b, "route.list", "{}"), -1);
  cr_expect_eq(metric(b, "routes"), mal_routes_count(mal_core_routes(b->core)));
  return mal_routes_count(mal_core_routes(b->core));
}

/* Those of a plugin go when it stops, those of the configuration with it, all at their time. */
Test(core, routes_come_and_go)
{
  Bed b = bed(DAEMON SCOPES LAB "export=yes\n");
  MalPrefix prefix;
  cr_assert(mal_prefix_parse("239.255.0.0/16", &prefix, NULL));
  cr_expect_eq(routes(&b), 1);
  cr_assert(mal_routes_add(mal_core_routes(b.core), prefix, MAL_FOREVER, "alpha", NULL));
  prefix.length = 17;
  cr_assert(mal_routes_add(mal_core_routes(b.core), prefix, FAKE_START + 100, "beta", NULL));
  cr_expect_eq(routes(&b), 3);
  fake_advance(b.fake, 101);
  cr_expect_eq(routes(&b), 2);
  cr_assert(reload(&b, DAEMON SCOPES LAB));
  cr_expect_eq(routes(&b), 1);
  cr_assert_not(reload(&b, DAEMON SCOPES LAB "export=perhaps\n"));
  script.reload = MAL_RELOAD_RESTART;
  cr_assert(reload(&b, DAEMON SCOPES LAB "export=yes\n"));
  cr_expect_eq(routes(&b), 1);
  cr_expect(strstr(b.log->str, "route.added") && strstr(b.log->str, "route.removed"));
  clear(&b);
}

/* ---- layers 2 and 3 -------------------------------------------------------------------------- */

#define LAYER2                                                                                     \
  "[daemon]\nplugins=layer2\nroles=maas\n" SCOPES                                                  \
  "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.4.255\n"
#define WAIT ",\"wait\":true"

Test(core, the_arbiter_says_yes)
{
  Bed b = prepare(false);
  script.verdict = MAL_VERDICT_YES;
  cr_assert(up(&b, LAYER2), "%s", b.error);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), MAL_ERROR_NO_SPACE,
               "who doesn't wait doesn't ask");
  cr_assert_eq(call(&b, "lease.request", LEASE("01", WAIT)), -1, "%s", b.error);
  cr_assert_eq(script.asked->len, 1);
  cr_assert_eq(call(&b, "lease.request", LEASE("02", WAIT ",\"count\":600")), -1,
               "more than one block: %s", b.error);
  clear(&b);
}

Test(core, the_arbiter_thinks)
{
  Bed b = prepare(false);
  Answer a, c;
  script.verdict = MAL_VERDICT_LATER;
  cr_assert(up(&b, LAYER2), "%s", b.error);
  begin(&b, &a, "lease.request", LEASE("01", WAIT));
  begin(&b, &c, "lease.request", LEASE("02", WAIT ",\"count\":300"));
  fake_run(b.fake);
  cr_assert(a.answers == 0 && c.answers == 0);
  MalSpace *space = mal_core_space(b.core);
  /* Refused: what lies behind is tried. */
  unsigned before = script.asked->len;
  mal_space_decide(space, g_array_index(script.asked, Asked, 0).ticket, false);
  cr_assert_eq(script.asked->len, before + 1);
  for (unsigned i = 1; i < script.asked->len; i++)
    mal_space_decide(space, g_array_index(script.asked, Asked, i).ticket, true);
  mal_space_decide(space, 4711, true);
  fake_run(b.fake);
  cr_assert(a.answers == 1 && a.code == -1 && c.answers == 1, "%s", a.message);
  answer_clear(&a);
  answer_clear(&c);
  clear(&b);
}

Test(core, nobody_can_bring_any)
{
  Bed b = prepare(false);
  script.verdict = MAL_VERDICT_NO;
  cr_assert(up(&b, LAYER2), "%s", b.error);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", WAIT)), MAL_ERROR_NO_SPACE);
  clear(&b);
}

Test(core, demand_goes_to_layer_3)
{
  Bed b = bed("[daemon]\nplugins=layer3\nroles=maas\n" SCOPES);
  g_autoptr(GError) error = NULL;
  Answer a;
  begin(&b, &a, "lease.request", LEASE("01", WAIT));
  fake_run(b.fake);
  cr_assert(a.answers == 0 && script.demands == 1);
  cr_assert(mal_space_add(mal_core_space(b.core), MAL_LEVEL_AVAILABLE, "local",
                          span("239.255.3.0/28"), MAL_FOREVER, "m", "layer3", &error));
  fake_run(b.fake);
  cr_assert(a.answers == 1 && a.code == -1);
  answer_clear(&a);
  begin(&b, &a, "lease.request", LEASE("02", WAIT ",\"count\":100"));
  fake_advance(b.fake, 700);
  cr_assert(a.answers == 1 && a.code == MAL_ERROR_NO_SPACE, "it doesn't wait for ever");
  answer_clear(&a);
  clear(&b);
}

/* Whoever waits is answered, and nothing leaks. */
Test(core, who_waits_when_the_daemon_ends_is_answered)
{
  Bed b = bed("[daemon]\nplugins=layer3\nroles=maas\n" SCOPES LAB);
  Answer a, c;
  begin(&b, &a, "lease.request", LEASE("01", WAIT ",\"count\":100"));
  fake_run(b.fake);
  mal_store_memory_hold(b.store, true);
  begin(&b, &c, "range.add", "{\"scope\":\"local\",\"name\":\"x\",\"span\":\"239.255.9.0/28\"}");
  fake_run(b.fake);
  cr_assert(a.answers == 0 && c.answers == 0);
  down(&b);
  cr_assert(a.answers == 1 && a.code == MAL_ERROR_TIMEOUT);
  cr_assert(c.answers == 1);
  answer_clear(&a);
  answer_clear(&c);
  clear(&b);
}
