/* The plugin of doc/plugin-guide.md in a whole daemon, its store on disk, under a fake runtime. */
#include "core/core.h"
#include "tests/support/fake-runtime.h"

#include <criterion/criterion.h>
#include <glib/gstdio.h>
#include <string.h>

extern const MalPlugin mal_plugin;

#define SCOPES                                                                                     \
  "[daemon]\nroles = maas; prefix-coordinator\nplugins = pool\n"                                   \
  "[scope lab]\nfamily = ipv4\nfirst = 239.255.0.0\nlast = 239.255.255.255\nttl = 16\n"            \
  "[scope other]\nfamily = ipv4\nfirst = 239.192.0.0\nlast = 239.195.255.255\nttl = 16\n"          \
  "[range static]\nscope = lab\nfirst = 239.255.1.0\nlast = 239.255.1.15\n"
#define POOL(more) "[pool]\nscope = lab\nfirst = 239.255.2.0\nlast = 239.255.2.255\n" more

typedef struct {
  FakeRuntime *fake;
  char *dir, *path;
  GString *log;
  MalCore *core;
  MalStore *memory;             /* not NULL: instead of the one on disk */
} Lab;

static void log_line(MalLogLevel level, const char *line, void *data)
{
  (void)level;
  g_string_append_printf(data, "%s\n", line);
}

static void configure(const Lab *lab, const char *pool)
{
  g_autofree char *text = g_strconcat(SCOPES, pool, NULL);

  cr_assert(g_file_set_contents(lab->path, text, -1, NULL));
}

static bool begin(Lab *lab, GError **error)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  MalCoreOptions options = {
    .runtime = fake_runtime(lab->fake), .config_file = lab->path, .builtin = builtin,
    .store = lab->memory, .log = log_line, .log_data = lab->log,
  };

  if (!options.store)
    options.store = mal_store_sqlite_open(options.runtime, lab->dir, NULL, error);
  if (!(lab->core = mal_core_new(&options, error)) || !mal_core_start(lab->core, error)) {
    g_clear_pointer(&lab->core, mal_core_free);
    return false;
  }
  fake_run(lab->fake);
  return true;
}

static void end(Lab *lab)
{
  g_clear_pointer(&lab->core, mal_core_free);
  fake_run(lab->fake);
}

static Lab lab_new(const char *pool, bool memory)
{
  g_autoptr(GError) error = NULL;
  Lab lab = { .fake = fake_runtime_new(), .log = g_string_new(NULL) };

  lab.dir = g_dir_make_tmp("mal-pool-XXXXXX", NULL);
  lab.path = g_build_filename(lab.dir, "mallocd.conf", NULL);
  if (memory)
    lab.memory = mal_store_memory_new(fake_runtime(lab.fake));
  configure(&lab, pool);
  cr_assert(begin(&lab, &error), "%s", error ? error->message : "");
  return lab;
}

static void lab_free(Lab *lab)
{
  end(lab);
  fake_runtime_free(lab->fake);
  g_autoptr(GDir) dir = g_dir_open(lab->dir, 0, NULL);
  for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
    g_autofree char *path = g_build_filename(lab->dir, name, NULL);
    g_unlink(path);
  }
  g_rmdir(lab->dir);
  g_free(lab->dir);
  g_free(lab->path);
  g_string_free(lab->log, TRUE);
}

/* ---- what happens to a request --------------------------------------------------------------- */

typedef struct {
  unsigned granted, failed;
  uint64_t addresses;
} Outcome;

static void on_done(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  Outcome *o = user;

  (void)cookie;
  if (error) {
    o->failed++;
    return;
  }
  o->granted++;
  o->addresses = mal_lease_addresses(lease);
}

static MalAnswer ask(Lab *lab, const char *scope, uint8_t id, uint32_t count, Outcome *outcome)
{
  MalLeases *leases = mal_core_leases(lab->core);
  MalLeaseRequest r = {
    .id = { &id, 1 }, .scope = mal_scope_set_find(mal_leases_scopes(leases), scope),
    .min = count, .desired = count, .max_start = MAL_FOREVER, .lifetime = 3600,
    .origin = "control", .may_wait = true,
  };

  return mal_leases_request(leases, &r, mal_runtime_now(fake_runtime(lab->fake)), on_done, outcome,
                            0, NULL);
}

static void keep_json(json_object *result, const GError *error, void *data)
{
  cr_assert_null(error);
  g_string_assign(data, json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
}

/* pool.state as text. */
static const char *state(Lab *lab, GString *out)
{
  mal_control_call(mal_core_control(lab->core), "pool.state", NULL, false, keep_json, NULL, out);
  return out->str;
}

#define assert_brought(lab, text)                                                                  \
  do {                                                                                             \
    g_autoptr(GString) json = g_string_new(NULL);                                                  \
    cr_assert_not_null(strstr(state((lab), json), "\"brought\":[" text "]"), "%s", json->str);     \
  } while (0)

Test(example_plugin, a_request_waits_until_the_pool_brings_space)
{
  Outcome outcome = { 0 };
  Lab lab = lab_new(POOL("step = 32\ndelay = 30\n"), false);

  assert_brought(&lab, "");
  cr_assert_eq(ask(&lab, "lab", 1, 64, &outcome), MAL_ANSWER_WAITING);
  fake_advance(lab.fake, 29);
  assert_brought(&lab, "");
  fake_advance(lab.fake, 1);
  assert_brought(&lab, "\"239.255.2.0-239.255.2.31\"");
  cr_assert_eq(outcome.granted, 0);
  fake_advance(lab.fake, 30);
  assert_brought(&lab, "\"239.255.2.0-239.255.2.31\",\"239.255.2.32-239.255.2.63\"");
  cr_assert_eq(outcome.granted, 1);
  cr_assert_eq(outcome.addresses, 64);
  lab_free(&lab);
}

Test(example_plugin, other_scopes_get_nothing_and_an_exhausted_pool_says_so)
{
  Outcome outcome = { 0 };
  Lab lab = lab_new(POOL("step = 256\n"), false);

  cr_assert_eq(ask(&lab, "other", 1, 1, &outcome), MAL_ANSWER_WAITING);
  fake_advance(lab.fake, 1);
  assert_brought(&lab, "");
  cr_assert_eq(ask(&lab, "lab", 2, 300, &outcome), MAL_ANSWER_WAITING);
  fake_advance(lab.fake, 1);
  assert_brought(&lab, "\"239.255.2.0-239.255.2.255\"");
  cr_assert_not_null(strstr(lab.log->str, "all of its pool is available already"));
  fake_advance(lab.fake, 601);
  cr_assert_eq(outcome.failed, 2, "ten minutes are enough");
  lab_free(&lab);
}

Test(example_plugin, what_it_brought_and_its_leases_survive_a_restart)
{
  g_autoptr(GError) error = NULL;
  Outcome outcome = { 0 };
  MalLease lease;
  Lab lab = lab_new(POOL("step = 64\n"), false);

  ask(&lab, "lab", 1, 64, &outcome);
  fake_advance(lab.fake, 1);
  cr_assert_eq(outcome.granted, 1);
  end(&lab);
  cr_assert(begin(&lab, &error), "%s", error ? error->message : "");
  assert_brought(&lab, "\"239.255.2.0-239.255.2.63\"");
  cr_assert(mal_leases_get(mal_core_leases(lab.core), (MalLeaseId){ (const uint8_t *)"\1", 1 },
                           &lease));
  end(&lab);

  configure(&lab, "[pool]\nscope = other\nfirst = 239.192.2.0\nlast = 239.192.2.255\n");
  cr_assert(begin(&lab, &error), "what was promised in another scope stays: %s",
            error ? error->message : "");
  assert_brought(&lab, "\"239.255.2.0-239.255.2.63\"");
  lab_free(&lab);
}

/* What a changed configuration makes impossible ends the start, with the range and the cause. */
Test(example_plugin, what_it_brought_must_still_have_a_place)
{
  g_autoptr(GError) error = NULL;
  Outcome outcome = { 0 };
  Lab lab = lab_new(POOL("step = 64\n"), false);

  ask(&lab, "lab", 1, 64, &outcome);
  fake_advance(lab.fake, 1);
  end(&lab);
  configure(&lab, "[range two]\nscope = lab\nfirst = 239.255.2.0\nlast = 239.255.2.63\n"
                  "[pool]\nscope = lab\nfirst = 239.255.3.0\nlast = 239.255.3.255\n");
  cr_assert_not(begin(&lab, &error));
  cr_assert_str_eq(
      error->message,
      "plugin pool: \"lab 239.255.2.0-239.255.2.63\", which it brought and keeps in the store: "
      "range pool-239.255.2.0 (239.255.2.0-239.255.2.63) overlaps available range two "
      "(239.255.2.0-239.255.2.63, from config)");
  lab_free(&lab);
}

Test(example_plugin, it_goes_around_ranges_made_by_hand)
{
  Outcome outcome = { 0 };
  MalSpan hand;
  Lab lab = lab_new(POOL("step = 64\n"), false);

  cr_assert(mal_span_parse("239.255.2.16-239.255.2.31", &hand, NULL));
  cr_assert(mal_core_range_add(lab.core, "lab", "hand", hand, MAL_FOREVER, NULL, NULL, NULL));
  ask(&lab, "lab", 1, 80, &outcome);
  fake_advance(lab.fake, 1);
  assert_brought(&lab, "\"239.255.2.0-239.255.2.15\",\"239.255.2.32-239.255.2.95\"");
  cr_assert_eq(outcome.granted, 1);
  lab_free(&lab);
}

/* Nothing is available before it is durable. */
Test(example_plugin, a_disk_that_fails_brings_nothing_until_it_recovers)
{
  Outcome outcome = { 0 };
  Lab lab = lab_new(POOL("step = 64\ndelay = 5\n"), true);

  cr_assert_eq(ask(&lab, "lab", 1, 64, &outcome), MAL_ANSWER_WAITING);
  mal_store_memory_fail(lab.memory, "no space left on device");
  fake_advance(lab.fake, 6);
  assert_brought(&lab, "");
  cr_assert_not_null(strstr(lab.log->str, "can't be made available: no space left on device"));
  mal_store_memory_fail(lab.memory, NULL);
  fake_advance(lab.fake, 20);
  assert_brought(&lab, "\"239.255.2.0-239.255.2.63\"");
  cr_assert_eq(outcome.granted, 1);
  lab_free(&lab);
}

Test(example_plugin, reload_changes_the_step_and_the_scope)
{
  g_autoptr(GError) error = NULL;
  Outcome outcome = { 0 };
  Lab lab = lab_new(POOL("step = 16\n"), false);

  ask(&lab, "lab", 1, 20, &outcome);
  fake_advance(lab.fake, 1);
  assert_brought(&lab, "\"239.255.2.0-239.255.2.15\",\"239.255.2.16-239.255.2.31\"");
  configure(&lab, POOL("step = 128\n"));
  cr_assert(mal_core_reload(lab.core, NULL, &error), "%s", error ? error->message : "");
  ask(&lab, "lab", 2, 100, &outcome);
  fake_advance(lab.fake, 1);
  assert_brought(&lab, "\"239.255.2.0-239.255.2.15\",\"239.255.2.16-239.255.2.31\","
                       "\"239.255.2.32-239.255.2.159\"");

  /* Another scope means a restart of the plugin; nothing is withdrawn. */
  configure(&lab, "[pool]\nscope = other\nfirst = 239.192.2.0\nlast = 239.192.2.255\n");
  cr_assert(mal_core_reload(lab.core, NULL, &error), "%s", error ? error->message : "");
  assert_brought(&lab, "\"239.255.2.0-239.255.2.15\",\"239.255.2.16-239.255.2.31\","
                       "\"239.255.2.32-239.255.2.159\"");
  ask(&lab, "other", 3, 100, &outcome);
  fake_advance(lab.fake, 1);
  cr_assert_eq(outcome.granted, 3);
  lab_free(&lab);
}

/* ---- beside others --------------------------------------------------------------------------- */

static void *open_other(const MalHost *host, GError **error)
{
  (void)error;
  return (void *)(uintptr_t)host;
}

static bool start_other(void *instance, GError **error)
{
  (void)instance, (void)error;
  return true;
}

static void nothing(void *instance)
{
  (void)instance;
}

static uint64_t wanted_of_others;

static void note_demand(void *instance, MalLevel level, const MalScope *scope, uint64_t count,
                        MalTime until)
{
  (void)instance, (void)level, (void)scope, (void)until;
  wanted_of_others += count;
}

Test(example_plugin, all_of_layer_3_hear_of_demand)
{
  static const MalPlugin other = {
    .abi = MAL_PLUGIN_ABI, .name = "other", .summary = "hears", .roles = MAL_ROLE_COORDINATOR,
    .open = open_other, .start = start_other, .stop = nothing, .close = nothing,
    .demand = note_demand,
  };
  static const MalPlugin *const builtin[] = { &mal_plugin, &other, NULL };
  g_autoptr(GError) error = NULL;
  Outcome outcome = { 0 };
  Lab lab = lab_new(POOL("step = 64\n"), false);

  end(&lab);
  for (unsigned i = 0; i < 2; i++) {
    g_autofree char *text = g_strconcat(SCOPES, POOL("step = 64\n"), NULL);
    char *list = strstr(text, "plugins = pool");
    g_autofree char *config =
      g_strdup_printf("%.*splugins = %s%s", (int)(list - text), text,
                      i == 0 ? "pool; other" : "other; pool", list + strlen("plugins = pool"));
    MalCoreOptions options = {
      .runtime = fake_runtime(lab.fake), .config_text = config, .builtin = builtin,
      .store = mal_store_memory_new(fake_runtime(lab.fake)), .log = log_line, .log_data = lab.log,
    };
    wanted_of_others = 0;
    lab.core = mal_core_new(&options, &error);
    cr_assert(lab.core && mal_core_start(lab.core, &error), "%s", error ? error->message : "");
    cr_assert_eq(ask(&lab, "lab", 1, 64, &outcome), MAL_ANSWER_WAITING);
    fake_advance(lab.fake, 1);
    cr_assert_eq(wanted_of_others, 64);
    cr_assert_eq(outcome.granted, i + 1);
    end(&lab);
  }
  lab_free(&lab);
}

/* ---- check ----------------------------------------------------------------------------------- */

Test(example_plugin, check_names_the_place_and_the_cause)
{
  static const struct { const char *pool, *error; } cases[] = {
    { "[pool]\nscope = lba\nfirst = 239.255.2.0\nlast = 239.255.2.9\n",
      ":19: [pool] scope: there is no [scope lba]" },
    { "[pool]\nscope = lab\nfirst = 239.255.2.9\nlast = 239.255.2.0\n",
      ":21: [pool] last: it comes before first (239.255.2.9)" },
    { "[pool]\nscope = lab\nfirst = 239.192.2.0\nlast = 239.192.2.9\n",
      ":20: [pool] first: 239.192.2.0-239.192.2.9 is not inside of scope lab "
      "(239.255.0.0-239.255.255.255)" },
    { "[pool]\nscope = lab\nfirst = 239.255.1.8\nlast = 239.255.2.9\n",
      ":20: [pool] first: 239.255.1.8-239.255.2.9 overlaps [range static] "
      "(239.255.1.0-239.255.1.15)" },
    { "[pool]\nscope = lab\nfirst = 239.255.2.0\nlast = 239.255.2.9\nsteps = 3\n",
      ":22: [pool] steps: there is no such key; did you mean 'step'?" },
    { "[pool]\nscope = lab\nfirst = 239.255.2.0\nlast = 239.255.2.9\nstep = 0\n",
      ":22: [pool] step: " },
    { "", ": the group [pool] is missing; its key 'scope' is needed: The scope that gets the "
          "addresses." },
  };
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  Lab lab = lab_new(POOL(""), false);

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    MalCoreOptions options = {
      .runtime = fake_runtime(lab.fake), .config_file = lab.path, .builtin = builtin };
    g_autofree char *expected = g_strconcat(lab.path, cases[i].error, NULL);
    configure(&lab, cases[i].pool);
    cr_assert_not(mal_core_check(&options, &error), "case %zu", i);
    cr_assert(g_str_has_prefix(error->message, expected), "case %zu: %s", i, error->message);
  }
  lab_free(&lab);
}

/* What the configuration's own check doesn't let through to the loader. */
Test(example_plugin, the_loader_takes_each_name_once)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  const char *const names[] = { "pool", "pool", NULL };
  g_autoptr(GError) error = NULL;

  cr_assert_null(mal_plugin_set_load(names, NULL, builtin, &error));
  cr_assert_str_eq(error->message, "pool is named twice");
}
