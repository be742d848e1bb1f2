/* The exporter for BIRD in a whole daemon under the fake runtime; BIRD is the test. */
#include "core/core.h"
#include "tests/support/fake-runtime.h"

#include <criterion/criterion.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

extern const MalPlugin mal_plugin;

#define READY "0001 BIRD 2.0.12 ready.\n"
#define DONE "0002-Reading configuration from /etc/bird/bird.conf\n0003 Reconfigured\n"
#define SCOPE "[scope g]\nfamily=ipv4\nfirst=239.0.0.0\nlast=239.255.255.255\n"
#define LAB "[range lab]\nscope=g\nfirst=239.1.0.0\nlast=239.1.255.255\nexport=yes\n"
#define RULE "route flow4 { dst 239.1.0.0/16; };"

typedef struct {
  FakeRuntime *fake;
  char *dir, *config, *file;
  GString *log;
  MalCore *core;
  json_object *status;
} Lab;

static void log_line(MalLogLevel level, const char *line, void *data)
{
  (void)level;
  g_string_append_printf(data, "%s\n", line);
}

static void configure(const Lab *lab, const char *ranges, const char *keys)
{
  const char *file = strstr(keys, "file=") ? "" : lab->file, *key = *file ? "file=" : "";
  g_autofree char *text =
      g_strdup_printf("[daemon]\nplugins=bird\n" SCOPE "%s[bird]\n%s%s\nsocket=/s\n%s", ranges,
                      key, file, keys);
  cr_assert(g_file_set_contents(lab->config, text, -1, NULL));
}

static bool begin(Lab *lab, GError **error)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  MalCoreOptions options = { .runtime = fake_runtime(lab->fake),
                             .config_file = lab->config,
                             .builtin = builtin,
                             .store = mal_store_memory_new(fake_runtime(lab->fake)),
                             .log = log_line,
                             .log_data = lab->log };
  lab->core = mal_core_new(&options, error);
  return lab->core && mal_core_start(lab->core, error);
}

static Lab *lab_new(const char *ranges, const char *keys)
{
  g_autoptr(GError) error = NULL;
  Lab *lab = g_new0(Lab, 1);
  lab->fake = fake_runtime_new();
  lab->dir = g_dir_make_tmp("mallocd-bird-XXXXXX", NULL);
  lab->config = g_build_filename(lab->dir, "mallocd.conf", NULL);
  lab->file = g_build_filename(lab->dir, "groups.conf", NULL);
  lab->log = g_string_new(NULL);
  configure(lab, ranges, keys);
  cr_assert(begin(lab, &error), "%s", error ? error->message : "");
  return lab;
}

static void lab_free(Lab *lab)
{
  mal_core_free(lab->core);
  fake_runtime_free(lab->fake);
  g_unlink(lab->config);
  g_unlink(lab->file);
  cr_expect_eq(g_rmdir(lab->dir), 0, "something is left in %s", lab->dir);
  g_free(lab->dir);
  g_free(lab->config);
  g_free(lab->file);
  g_string_free(lab->log, TRUE);
  json_object_put(lab->status);
  g_free(lab);
}

static char *contents(const Lab *lab)
{
  char *text = NULL;
  return g_file_get_contents(lab->file, &text, NULL, NULL) ? text : g_strdup("");
}

static bool has_rule(const Lab *lab)
{
  g_autofree char *text = contents(lab);
  return strstr(text, RULE);
}

static void answered(json_object *result, const GError *error, void *data)
{
  cr_assert_null(error);
  *(json_object **)data = json_object_get(result);
}

static json_object *call(Lab *lab, const char *method)
{
  json_object *params = json_object_new_object();
  json_object_put(lab->status);
  lab->status = NULL;
  mal_control_call(mal_core_control(lab->core), method, params, true, answered, NULL,
                   &lab->status);
  json_object_put(params);
  cr_assert_not_null(lab->status);
  return lab->status;
}

static const char *member(Lab *lab, const char *name)
{
  json_object *value = NULL;
  cr_assert(json_object_object_get_ex(call(lab, "bird.status"), name, &value), "%s", name);
  return value ? json_object_get_string(value) : "";
}

static bool state_is(Lab *lab, const char *state)
{
  return strcmp(member(lab, "state"), state) == 0;
}

/* BIRD greets, is asked, and answers. */
static void answer(Lab *lab, const char *text)
{
  cr_assert_eq(fake_stream_count(lab->fake), 1, "%s", member(lab, "state"));
  MalStream *stream = fake_stream_at(lab->fake, 0);
  cr_expect_str_eq(fake_stream_path(stream), "/s");
  fake_stream_up(lab->fake, stream);
  fake_stream_give(lab->fake, stream, READY);
  g_autofree char *asked = fake_stream_take(stream);
  cr_expect_str_eq(asked, "configure\n");
  fake_stream_give(lab->fake, stream, text);
  cr_expect_eq(fake_stream_count(lab->fake), 0, "the connection is closed");
}

/* Time passes until BIRD is called. */
static MalStream *wait_for_call(Lab *lab)
{
  for (unsigned i = 0; i < 400 && fake_stream_count(lab->fake) == 0; i++)
    fake_advance(lab->fake, 1);
  return fake_stream_at(lab->fake, 0);
}

static void reload(Lab *lab)
{
  g_autoptr(GError) error = NULL;
  cr_assert(mal_core_reload(lab->core, NULL, &error), "%s", error->message);
}

static unsigned count(const Lab *lab, const char *text)
{
  unsigned n = 0;
  for (const char *at = lab->log->str; (at = strstr(at, text)); at++)
    n++;
  return n;
}

static void add_route(Lab *lab, const char *text, MalTime until)
{
  MalPrefix prefix;
  cr_assert(mal_prefix_parse(text, &prefix, NULL));
  cr_assert(mal_routes_add(mal_core_routes(lab->core), prefix, until, "masc", NULL));
}

Test(bird_plugin, a_route_comes_and_goes)
{
  Lab *lab = lab_new(LAB, "");
  struct stat st;
  cr_expect_not(has_rule(lab), "who starts later has routes, too");
  fake_run(lab->fake);
  cr_expect(has_rule(lab), "at once, and before BIRD is asked");
  cr_assert_eq(stat(lab->file, &st), 0);
  cr_expect_eq(st.st_mode & 07777, 0644);
  answer(lab, DONE);
  cr_expect(state_is(lab, "in step"));
  cr_expect_str_eq(member(lab, "routes"), "1");
  cr_expect_str_eq(member(lab, "bird"), "BIRD 2.0.12 ready.");
  cr_expect_eq(count(lab, "1 routes exported"), 1);

  configure(lab, "", "");
  reload(lab);
  fake_advance(lab->fake, 8);
  cr_expect(has_rule(lab), "not more often than each interval");
  fake_advance(lab->fake, 2);
  cr_expect_not(has_rule(lab));
  answer(lab, DONE);
  cr_expect(state_is(lab, "in step"));
  lab_free(lab);
}

/* RFC 2909 section 11: what expires is withdrawn; so is what its source takes back. */
Test(bird_plugin, expired_and_lost_routes_are_withdrawn)
{
  Lab *lab = lab_new("", "interval=0\n");
  add_route(lab, "239.1.0.0/16", FAKE_START + 100);
  fake_advance(lab->fake, 1);
  cr_expect(has_rule(lab));
  answer(lab, DONE);
  fake_advance(lab->fake, 98);
  cr_expect(has_rule(lab));
  fake_advance(lab->fake, 3);
  cr_expect_not(has_rule(lab));
  answer(lab, DONE);

  add_route(lab, "239.1.0.0/16", MAL_FOREVER);
  fake_advance(lab->fake, 1);
  cr_expect(has_rule(lab));
  answer(lab, DONE);
  mal_routes_forget(mal_core_routes(lab->core), "masc");
  fake_advance(lab->fake, 1);
  cr_expect_not(has_rule(lab));
  answer(lab, DONE);
  lab_free(lab);
}

static bool has_text(const Lab *lab, const char *what)
{
  g_autofree char *text = contents(lab);
  return strstr(text, what);
}

/* The end stands in the file, for who looks at it while mallocd is down; BIRD has nothing to do. */
Test(bird_plugin, a_renewal_changes_the_file_and_asks_nobody)
{
  Lab *lab = lab_new("", "interval=0\n");
  MalPrefix prefix;
  char until[MAL_TIME_STRLEN];
  cr_assert(mal_prefix_parse("239.1.0.0/16", &prefix, NULL));
  add_route(lab, "239.1.0.0/16", FAKE_START + 100);
  fake_advance(lab->fake, 1);
  answer(lab, DONE);
  cr_expect(has_text(lab, mal_time_format(FAKE_START + 100, until)));
  mal_routes_set_until(mal_core_routes(lab->core), prefix, FAKE_START + 700, "masc", NULL);
  fake_run(lab->fake);
  cr_expect(has_text(lab, mal_time_format(FAKE_START + 100, until)), "changes gather");
  fake_advance(lab->fake, 1);
  cr_expect(has_text(lab, mal_time_format(FAKE_START + 700, until)));
  cr_expect_eq(fake_stream_count(lab->fake), 0);
  cr_expect(state_is(lab, "in step"));

  mal_routes_set_until(mal_core_routes(lab->core), prefix, FAKE_START + 900, "masc", NULL);
  cr_assert_eq(g_unlink(lab->file), 0);
  cr_assert_eq(g_mkdir(lab->file, 0700), 0);
  fake_advance(lab->fake, 2);
  cr_expect_not(state_is(lab, "in step"), "it could not be written");
  cr_assert_eq(g_rmdir(lab->file), 0);
  wait_for_call(lab);
  answer(lab, DONE);
  cr_expect(has_text(lab, mal_time_format(FAKE_START + 900, until)));
  lab_free(lab);
}

Test(bird_plugin, what_comes_to_the_same_asks_nobody)
{
  Lab *lab = lab_new(LAB, "interval=0\n");
  fake_advance(lab->fake, 1);
  answer(lab, DONE);
  add_route(lab, "239.2.0.0/16", MAL_FOREVER);
  mal_routes_forget(mal_core_routes(lab->core), "masc");
  fake_advance(lab->fake, 2);
  cr_expect_eq(fake_stream_count(lab->fake), 0);
  cr_expect(state_is(lab, "in step"));
  call(lab, "bird.sync");
  fake_run(lab->fake);
  answer(lab, DONE);
  lab_free(lab);
}

Test(bird_plugin, bird_is_not_there)
{
  Lab *lab = lab_new(LAB, "");
  fake_fail_open(lab->fake, true);
  fake_advance(lab->fake, 60);
  cr_expect(has_rule(lab), "for a BIRD that starts");
  cr_expect_eq(count(lab, "warning bird.unreachable"), 1, "said once");
  cr_expect(strstr(member(lab, "trouble"), "nobody there"));
  fake_fail_open(lab->fake, false);
  wait_for_call(lab);
  answer(lab, DONE);
  cr_expect_str_eq(member(lab, "trouble"), "");
  lab_free(lab);
}

Test(bird_plugin, bird_refuses_the_file)
{
  Lab *lab = lab_new(LAB, "");
  static const char other[] = "8002 /elsewhere/groups.conf:5:11 syntax error, unexpected this\n";
  fake_advance(lab->fake, 1);
  cr_expect(has_rule(lab));
  answer(lab, other);
  g_autofree char *text = contents(lab);
  cr_expect_null(strstr(text, "protocol"), "a BIRD that starts must be able to");
  cr_expect(strstr(lab->log->str, "groups.conf:5:11 syntax error"));
  wait_for_call(lab);
  cr_expect(has_rule(lab), "tried again");
  answer(lab, other);
  cr_expect_eq(count(lab, "error bird.refused"), 1, "said once");
  wait_for_call(lab);
  answer(lab, DONE);
  cr_expect(has_rule(lab));
  cr_expect(state_is(lab, "in step"));
  lab_free(lab);
}

Test(bird_plugin, bird_refuses_something_else)
{
  Lab *lab = lab_new(LAB, "");
  fake_advance(lab->fake, 1);
  answer(lab, "0002-Reading\n8002 /etc/bird/bird.conf:8:1 syntax error\n");
  cr_expect(has_rule(lab), "the file is not at fault");
  cr_expect(strstr(member(lab, "trouble"), "bird.conf:8:1"));
  lab_free(lab);
}

Test(bird_plugin, other_answers)
{
  static const struct {
    const char *text;
    bool done;
  } table[] = {
    { "0002-Reading\n0004 Reconfiguration in progress\n", true },
    { "0002-Reading\n0005 Reconfiguration already in progress, queueing new config\n", true },
    { "0002-Reading\n0006 Reconfiguration ignored, shutting down\n", false },
    { "8007 Access denied\n", false },
    { "9001 syntax error\n", false },
    { "what?\n", false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    Lab *lab = lab_new(LAB, "");
    fake_advance(lab->fake, 1);
    answer(lab, table[i].text);
    cr_expect_eq(state_is(lab, "in step"), table[i].done, "%s", table[i].text);
    cr_expect_eq(*member(lab, "trouble") == '\0', table[i].done, "%s", table[i].text);
    lab_free(lab);
  }
}

Test(bird_plugin, silence_and_the_end)
{
  Lab *lab = lab_new(LAB, "");
  fake_advance(lab->fake, 1);
  fake_stream_up(lab->fake, fake_stream_at(lab->fake, 0));
  fake_advance(lab->fake, 11);
  cr_expect_eq(fake_stream_count(lab->fake), 0, "it doesn't greet");
  cr_expect_str_eq(member(lab, "trouble"), "BIRD doesn't answer");
  fake_stream_end(lab->fake, wait_for_call(lab), NULL);
  cr_expect_eq(fake_stream_count(lab->fake), 0);
  cr_expect_str_eq(member(lab, "trouble"), "BIRD closed the connection");
  fake_stream_give(lab->fake, wait_for_call(lab), "220 mail ready\n");
  cr_expect_eq(fake_stream_count(lab->fake), 0);
  fake_stream_give(lab->fake, wait_for_call(lab), "0007 going down\n");
  cr_expect_eq(fake_stream_count(lab->fake), 0);
  wait_for_call(lab);
  cr_expect_eq(fake_stream_count(lab->fake), 1, "stopped while it calls");
  lab_free(lab);
}

Test(bird_plugin, the_file_cannot_be_written)
{
  Lab *lab = lab_new(LAB, "");
  cr_assert_eq(g_mkdir(lab->file, 0700), 0);
  fake_advance(lab->fake, 40);
  cr_expect_eq(fake_stream_count(lab->fake), 0, "nothing new for BIRD");
  cr_expect_eq(count(lab, "error bird.not-written"), 1, "said once: %s", lab->log->str);
  cr_assert_eq(g_rmdir(lab->file), 0);
  wait_for_call(lab);
  cr_expect(has_rule(lab));
  answer(lab, DONE);
  lab_free(lab);
}

Test(bird_plugin, stopped_while_it_writes)
{
  Lab *lab = lab_new(LAB, "");
  fake_hold_workers(lab->fake, true);
  fake_advance(lab->fake, 2);
  cr_expect(state_is(lab, "writing the file"));
  fake_hold_workers(lab->fake, false);
  lab_free(lab);
}

Test(bird_plugin, a_reload_takes_new_names)
{
  Lab *lab = lab_new(LAB, "");
  fake_advance(lab->fake, 1);
  answer(lab, DONE);
  configure(lab, LAB, "table-ipv4=other\n");
  reload(lab);
  fake_advance(lab->fake, 1);
  g_autofree char *text = contents(lab);
  cr_expect(strstr(text, "table other;"));
  answer(lab, DONE);
  lab_free(lab);
}

Test(bird_plugin, more_than_there_is_room_for)
{
  Lab *lab = lab_new(LAB, "maximum-routes=2\n");
  add_route(lab, "239.3.0.0/16", MAL_FOREVER);
  add_route(lab, "239.2.0.0/16", MAL_FOREVER);
  fake_advance(lab->fake, 1);
  g_autofree char *text = contents(lab);
  cr_expect(strstr(text, "239.2.0.0/16") && !strstr(text, "239.3.0.0/16"));
  cr_expect_str_eq(member(lab, "left_out"), "1");
  cr_expect_eq(count(lab, "more than maximum-routes"), 1);
  answer(lab, DONE);
  lab_free(lab);
}

Test(bird_plugin, wrong_configurations)
{
  static const struct { const char *keys, *words;
  } table[] = {
    { "table-ipv4=a-b\n", "table-ipv4: not a name" },
    { "protocol-ipv6=6\n", "protocol-ipv6: not a name" },
    { "import-filter=a; }\n", "import-filter: not a name" },
    { "table-ipv4=\ntable-ipv6=\n", "nothing is exported" },
    { "protocol-ipv6=mallocd4\n", "protocol-ipv4's name" },
    { "protocol-ipv4=\n", "protocol-ipv4: a name is needed" },
    { "route=via\n", "via-ipv4: route = via needs" },
    { "route=via\nvia-ipv4=192.0.2.1\n", "via-ipv6: route = via needs" },
    { "route=via\nvia-ipv4=2001:db8::1\n", "via-ipv4: an address of the other family" },
    { "route=drop\n", "flow" },
    { "file=groups.conf\n", "file: " },
    { "file=/etc/bird/bird.conf\n", "file: another name" },
    { "maximum-routes=0\n", "maximum-routes" },
  };
  Lab *lab = lab_new(LAB, "");
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autoptr(GError) error = NULL;
    configure(lab, LAB, table[i].keys);
    cr_expect_not(mal_core_reload(lab->core, NULL, &error), "%s", table[i].keys);
    cr_expect(error && strstr(error->message, table[i].words), "%s",
              error ? error->message : table[i].keys);
  }
  configure(lab, LAB, "route=via\nvia-ipv4=192.0.2.1\ntable-ipv6=\n");
  reload(lab);
  fake_advance(lab->fake, 1);
  g_autofree char *text = contents(lab);
  cr_expect(strstr(text, "  route 239.1.0.0/16 via 192.0.2.1;\n") && !strstr(text, "ipv6"));
  lab_free(lab);
}
