/* The control API's dispatch: parameters, access, calls that wait; and every method of a core with
   junk. */
#include "core/control-core.h"
#include "core/core.h"
#include "tests/support/fake-runtime.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct {
  unsigned answers, progress;
  char *message;
  int rpc;                    /* the JSON-RPC code; 0: a result */
  json_object *result;
} Answer;

static void on_answer(json_object *result, const GError *error, void *data)
{
  Answer *a = data;
  a->answers++;
  a->message = error ? g_strdup(error->message) : NULL;
  a->rpc = error ? mal_json_rpc_code(error) : 0;
  a->result = json_object_get(result);
}

static void on_progress(const char *message, void *data)
{
  cr_assert(*message);
  ((Answer *)data)->progress++;
}

static void answer_clear(Answer *a)
{
  g_free(a->message);
  json_object_put(a->result);
  *a = (Answer){ 0 };
}

typedef struct {
  unsigned calls;
  MalCall *waiting;
  int64_t integer;
  char *string;
  bool given;
} Seen;

static void see(MalCall *call, json_object *params, void *user)
{
  Seen *s = user;
  s->calls++;
  s->integer = mal_param_integer(
      params, "duration",
      mal_param_integer(params, "time", mal_param_integer(params, "integer", -7)));
  s->given = mal_param_given(params, "integer");
  g_free(s->string);
  s->string = g_strdup(mal_param_string(params, "string", "absent"));
  mal_call_reply(call, json_object_new_boolean(mal_param_bool(params, "bool", false)));
}

static void wait_for_it(MalCall *call, json_object *params, void *user)
{
  (void)params;
  ((Seen *)user)->waiting = call;
}

static const MalParam params[] = {
  { "string", MAL_PARAM_STRING, false, "" }, { "integer", MAL_PARAM_INTEGER, false, "" },
  { "bool", MAL_PARAM_BOOL, false, "" }, { "duration", MAL_PARAM_DURATION, false, "" },
  { "time", MAL_PARAM_TIME, false, "" }, { "address", MAL_PARAM_ADDRESS, false, "" },
  { "span", MAL_PARAM_SPAN, false, "" }, { "id", MAL_PARAM_LEASE_ID, false, "" },
  { "spans", MAL_PARAM_SPANS, false, "" },
  { "array", MAL_PARAM_ARRAY, false, "" }, { "object", MAL_PARAM_OBJECT, false, "" },
};
static const MalParam needed[] = { { "string", MAL_PARAM_STRING, true, "which one" } };
static const MalMethod methods[] = {
  { "test.see", MAL_ACCESS_READ, params, G_N_ELEMENTS(params), "", see },
  { "test.need", MAL_ACCESS_READ, needed, 1, "", see },
  { "test.change", MAL_ACCESS_WRITE, NULL, 0, "", see },
  { "test.wait", MAL_ACCESS_READ, NULL, 0, "", wait_for_it },
};

static Answer ask(MalControl *c, const char *method, const char *text, bool may_write)
{
  Answer a = { 0 };
  json_object *p = text ? json_tokener_parse(text) : NULL;
  mal_control_call(c, method, p, may_write, on_answer, on_progress, &a);
  json_object_put(p);
  return a;
}

Test(control, parameters)
{
  static const struct { const char *method, *params; int rpc; const char *words;
  } table[] = {
    { "test.see", NULL, 0, NULL },
    { "test.see", "{}", 0, NULL },
    { "test.see", "{\"string\":null}", 0, NULL },
    { "test.see", "{\"string\":5}", -32602, "a string" },
    { "test.see", "{\"string\":\"a\\u0000b\"}", -32602, "NUL" },
    { "test.see", "{\"integer\":\"5\"}", -32602, "an integer" },
    { "test.see", "{\"integer\":1.5}", -32602, "an integer" },
    { "test.see", "{\"integer\":99999999999999999999999}", 0, NULL },
    { "test.see", "{\"bool\":1}", -32602, "true or false" },
    { "test.see", "{\"duration\":-1}", -32602, "negative" },
    { "test.see", "{\"duration\":\"-1\"}", -32602, "duration" },
    { "test.see", "{\"duration\":\"99999999999999999999w\"}", -32602, "duration" },
    { "test.see", "{\"duration\":[]}", -32602, "a duration" },
    { "test.see", "{\"duration\":1.5}", -32602, "whole seconds" },
    { "test.see", "{\"time\":\"yesterday\"}", -32602, "RFC 3339" },
    { "test.see", "{\"time\":5}", -32602, "a string" },
    { "test.see", "{\"address\":\"239.1.2\"}", -32602, "an IPv4" },
    { "test.see", "{\"address\":\"ff02::1\"}", 0, NULL },
    { "test.see", "{\"span\":\"239.1.2.9-239.1.2.3\"}", -32602, "range" },
    { "test.see", "{\"span\":\"239.1.2.0/24\"}", 0, NULL },
    { "test.see", "{\"spans\":[\"239.1.2.1\",\"239.1.3.0/24\"]}", 0, NULL },
    { "test.see", "{\"spans\":\"239.1.2.1; 239.1.3.0/24\"}", 0, NULL },
    { "test.see", "{\"spans\":[\"239.1.2\"]}", -32602, "an array of addresses" },
    { "test.see", "{\"spans\":[5]}", -32602, "an array of addresses" },
    { "test.see", "{\"id\":\"\"}", -32602, "hexadecimal" },
    { "test.see", "{\"id\":\"0\"}", -32602, "hexadecimal" },
    { "test.see", "{\"array\":{}}", -32602, "an array" },
    { "test.see", "{\"object\":[]}", -32602, "an object" },
    { "test.see", "{\"sting\":\"x\"}", -32602, "did you mean \"string\"" },
    { "test.see", "{\"zzzzzzzzzzz\":1}", -32602, "no parameter" },
    { "test.need", NULL, -32602, "missing (which one)" },
    { "test.need", "{\"string\":null}", -32602, "missing" },
    { "test.se", NULL, -32601, "did you mean \"test.see\"" },
    { "", NULL, -32601, "rpc.discover" },
  };
  MalControl *c = mal_control_new();
  Seen seen = { 0 };
  mal_control_add(c, "test", methods, G_N_ELEMENTS(methods), &seen);
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    unsigned before = seen.calls;
    Answer a = ask(c, table[i].method, table[i].params, true);
    cr_assert_eq(a.answers, 1);
    cr_assert_eq(a.rpc, table[i].rpc, "%s: %d", table[i].params, a.rpc);
    cr_assert_eq(seen.calls - before, table[i].rpc == 0);
    cr_assert(!table[i].words || strstr(a.message, table[i].words), "%s", a.message);
    answer_clear(&a);
  }
  g_free(seen.string);
  mal_control_free(c);
}

Test(control, values)
{
  static const struct { const char *params; int64_t integer; const char *string;
  } table[] = {
    { "{}", -7, "absent" },
    { "{\"duration\":\"2h\",\"string\":\"x\"}", 7200, "x" },
    { "{\"duration\":90}", 90, "absent" },
    { "{\"time\":\"2030-01-01T00:00:00Z\"}", 1893456000, "absent" },
    { "{\"time\":\"never\"}", MAL_FOREVER, "absent" },
    { "{\"time\":\"now\"}", MAL_BEGINNING, "absent" },
    { "{\"time\":\"@5\"}", 5, "absent" },
    { "{\"integer\":3}", 3, "absent" },
  };
  MalControl *c = mal_control_new();
  Seen seen = { 0 };
  mal_control_add(c, "test", methods, G_N_ELEMENTS(methods), &seen);
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    Answer a = ask(c, "test.see", table[i].params, false);
    cr_assert_eq(seen.integer, table[i].integer, "%s", table[i].params);
    cr_assert_str_eq(seen.string, table[i].string);
    answer_clear(&a);
  }
  g_free(seen.string);
  mal_control_free(c);
}

Test(control, access_and_removal)
{
  MalControl *c = mal_control_new();
  Seen seen = { 0 };
  mal_control_add(c, "test", methods, G_N_ELEMENTS(methods), &seen);
  Answer a = ask(c, "test.change", NULL, false);
  cr_assert_eq(a.rpc, -32000 - MAL_ERROR_DENIED);
  answer_clear(&a);
  a = ask(c, "test.change", NULL, true);
  cr_assert_eq(a.rpc, 0);
  answer_clear(&a);
  mal_control_remove(c, "test");
  a = ask(c, "test.change", NULL, true);
  cr_assert_eq(a.rpc, -32601);
  answer_clear(&a);
  g_free(seen.string);
  mal_control_free(c);
}

Test(control, calls_that_wait)
{
  MalControl *c = mal_control_new();
  Seen seen = { 0 };
  Answer a = { 0 };
  MalCaller caller = { .done = on_answer, .progress = on_progress, .data = &a };
  mal_control_add(c, "test", methods, G_N_ELEMENTS(methods), &seen);
  MalCall *call = mal_control_begin(c, "test.wait", NULL, false, &caller);
  cr_assert(call && call == seen.waiting && a.answers == 0);
  mal_call_progress(call, "%d", 50);
  cr_assert_not(mal_call_subscribe(call, ""), "this caller can't listen");
  mal_call_fail_literal(call, MAL_ERROR_TIMEOUT, "too late");
  cr_assert(a.answers == 1 && a.progress == 1 && a.rpc == -32000 - MAL_ERROR_TIMEOUT);
  answer_clear(&a);
  call = mal_control_begin(c, "test.wait", NULL, false, &caller);
  mal_call_abandon(call);
  cr_assert(mal_call_is_gone(call));
  mal_call_progress(call, "unheard");
  mal_call_reply(call, json_object_new_object());
  cr_assert(a.answers == 0 && a.progress == 0);
  cr_assert_null(mal_control_begin(c, "test.see", NULL, false, &caller), "it had its answer");
  cr_assert_eq(a.answers, 1);
  answer_clear(&a);
  g_free(seen.string);
  mal_control_free(c);
}

/* ---- every method of a core ------------------------------------------------------------------ */

#define CONFIG                                                                                     \
  "[daemon]\nroles=maas\n[scope l]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"        \
  "[range a]\nscope=l\nfirst=239.255.1.0\nlast=239.255.1.63\n"

typedef struct { FakeRuntime *fake; MalCore *core; } Bed;

static Bed bed_new(void)
{
  Bed b = { .fake = fake_runtime_new() };
  MalCoreOptions o = { .runtime = fake_runtime(b.fake), .config_text = CONFIG };
  o.store = mal_store_memory_new(o.runtime);
  b.core = mal_core_new(&o, NULL);
  cr_assert(b.core && mal_core_start(b.core, NULL));
  return b;
}

static void bed_clear(Bed *b)
{
  mal_core_free(b->core);
  fake_run(b->fake);
  fake_runtime_free(b->fake);
}

static Answer call(Bed *b, const char *method, json_object *p)
{
  Answer a = { 0 };
  mal_control_call(mal_core_control(b->core), method, p, true, on_answer, on_progress, &a);
  fake_run(b->fake);
  fake_advance(b->fake, 700);
  cr_assert_eq(a.answers, 1, "%s %s", method, p ? json_object_to_json_string(p) : "");
  return a;
}

/* Values of all types, good and bad, for one parameter; the others are made good where they are
   needed. */
static const char *const junk[] = {
  "null",
  "0",
  "-1",
  "9223372036854775807",
  "-9223372036854775808",
  "1e300",
  "true",
  "\"\"",
  "\"x\"",
  "\"l\"",
  "\"now\"",
  "\"never\"",
  "\"@-9000000000000000000\"",
  "\"9999-12-31T23:59:59Z\"",
  "\"239.255.1.3\"",
  "\"239.255.1.0/24\"",
  "\"::/0\"",
  "\"01\"",
  "\"100000000w\"",
  "[]",
  "{}",
  "[[]]",
  "\"\\u0000\"",
  "\"a;b;;\"",
  "\"/nowhere/x\"",
};

static const char *good_value(const MalParam *p)
{
  static const char *const values[] = {
    [MAL_PARAM_STRING] = "\"l\"",
    [MAL_PARAM_INTEGER] = "1",
    [MAL_PARAM_BOOL] = "true",
    [MAL_PARAM_DURATION] = "60",
    [MAL_PARAM_TIME] = "\"2027-01-01T00:00:00Z\"",
    [MAL_PARAM_ADDRESS] = "\"239.255.1.2\"",
    [MAL_PARAM_SPAN] = "\"239.255.1.2\"",
    [MAL_PARAM_LEASE_ID] = "\"0102\"",
    [MAL_PARAM_ARRAY] = "[]",
    [MAL_PARAM_SPANS] = "[\"239.255.1.2\"]",
    [MAL_PARAM_OBJECT] = "{}",
  };
  return values[p->type];
}

static void try_junk(Bed *b, const MalMethod *m, size_t n)
{
  for (size_t i = 0; i < G_N_ELEMENTS(junk); i++) {
    json_object *p = json_object_new_object();
    for (size_t j = 0; j < m->n_params; j++)
      if (m->params[j].required || strcmp(m->params[j].name, "scope") == 0)
        json_object_object_add(p, m->params[j].name, json_tokener_parse(good_value(&m->params[j])));
    json_object_object_add(p, m->params[n].name, json_tokener_parse(junk[i]));
    Answer a = call(b, m->name, p);
    cr_assert(a.rpc == 0 || *a.message);
    answer_clear(&a);
    json_object_put(p);
    mal_leases_check(mal_core_leases(b->core), mal_runtime_now(mal_core_runtime(b->core)));
  }
}

Test(control, every_method_with_nothing_and_with_junk)
{
  Bed b = bed_new();
  g_autoptr(GPtrArray) all = mal_control_methods(mal_core_control(b.core));
  cr_assert_gt(all->len, 20);
  for (unsigned i = 0; i < all->len; i++) {
    const MalMethod *m = g_ptr_array_index(all, i);
    Answer a = call(&b, m->name, NULL);
    answer_clear(&a);
    for (size_t n = 0; n < m->n_params; n++)
      try_junk(&b, m, n);
  }
  bed_clear(&b);
}

Test(control, the_list_of_methods_is_whole)
{
  Bed b = bed_new();
  Answer a = call(&b, "rpc.discover", NULL);
  json_object *list;
  cr_assert(json_object_object_get_ex(a.result, "methods", &list));
  g_autoptr(GPtrArray) all = mal_control_methods(mal_core_control(b.core));
  cr_assert_eq(json_object_array_length(list), all->len);
  answer_clear(&a);
  bed_clear(&b);
}

Test(control, times_of_a_request)
{
  static const struct { const char *more; int rpc; const char *words;
  } table[] = {
    { "\"start\":\"now\",\"max_start\":\"now\"", 0, NULL },
    { "\"start\":\"@-5000000\"", 0, NULL },
    { "\"start\":\"never\"", -32602, "too far" },
    { "\"start\":\"9999-12-31T23:00:00Z\"", 0, NULL },
    { "\"lifetime\":9223372036854775807", -32602, "100 years" },
    { "\"lifetime\":0", -32602, "above 0" },
    { "\"pad\":9223372036854775807", -32602, "pad" },
    { "\"address\":\"239.254.0.0-239.255.255.255\"", -32602, "65536" },
    { "\"count\":65537", -32602, "65536" },
    { "\"count\":65536", -32000 - MAL_ERROR_NO_SPACE, "longest free run" },
    { "\"count\":2,\"min\":1", -32602, "either" },
  };
  Bed b = bed_new();
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autofree char *text = g_strdup_printf("{\"scope\":\"l\",%s}", table[i].more);
    json_object *p = json_tokener_parse(text);
    Answer a = call(&b, "lease.request", p);
    cr_assert_eq(a.rpc, table[i].rpc, "%s: %d %s", text, a.rpc, a.message);
    cr_assert(!table[i].words || strstr(a.message, table[i].words), "%s", a.message);
    answer_clear(&a);
    json_object_put(p);
  }
  bed_clear(&b);
}
