/* Any octets as lines of control requests to a whole core, under a runtime that stands still and a store in memory. A
   line "+N" lets N seconds pass, "!" makes the store fail, "?" lets it recover, "<" holds its batches and ">" lets them
   go. Each request is answered exactly once, at the latest when the core ends. */
#include <stdlib.h>
#include <string.h>

#include "core/control-core.h"
#include "core/core.h"
#include "tests/support/fake-runtime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CONFIG \
  "[daemon]\nroles=maas\n[scope l]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n" \
  "[scope s]\nfamily=ipv6\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8fff:ffff\n" \
  "[range a]\nscope=l\nfirst=239.255.1.0\nlast=239.255.1.63\n" \
  "[range b]\nscope=s\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8000:ff\n"

static void must(bool holds)
{
  if (!holds)
    abort();
}

static void on_answer(json_object *result, const GError *error, void *data)
{
  unsigned *answers = data;
  must(!result || !error);
  must(!error || *error->message);
  if (result)
    must(json_object_to_json_string(result));
  (*answers)++;
}

static void on_progress(const char *message, void *data)
{
  must(*message && *(unsigned *)data == 0);
}

/* It would read any file of this host. */
static bool is_harmless(const char *method, json_object *params)
{
  return strcmp(method, "config.check") != 0 || !json_object_object_get_ex(params, "file", NULL);
}

static void request(MalCore *core, const char *line, size_t length, GArray *answers)
{
  json_tokener *tokener = json_tokener_new_ex(32);
  json_object *o = json_tokener_parse_ex(tokener, line, (int)length), *method, *params = NULL;
  if (o && json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, "method", &method) &&
      json_object_is_type(method, json_type_string)) {
    json_object_object_get_ex(o, "params", &params);
    if (!json_object_is_type(params, json_type_object))
      params = NULL;
    unsigned *count = g_new0(unsigned, 1);
    g_array_append_val(answers, count);
    if (is_harmless(json_object_get_string(method), params))
      mal_control_call(mal_core_control(core), json_object_get_string(method), params, true, on_answer, on_progress,
                       count);
    else
      *count = 1;
  }
  json_object_put(o);
  json_tokener_free(tokener);
}

static void do_line(FakeRuntime *fake, MalCore *core, const char *line, size_t length, GArray *answers)
{
  char number[16] = { 0 };
  switch (length ? line[0] : '#') {
  case '+':
    memcpy(number, line + 1, MIN(length - 1, 6));
    fake_advance(fake, CLAMP(atol(number), 0, 20000));
    break;
  case '!':
    mal_store_memory_fail(mal_core_store(core), "no");
    break;
  case '?':
    mal_store_memory_fail(mal_core_store(core), NULL);
    break;
  case '<':
    mal_store_memory_hold(mal_core_store(core), true);
    break;
  case '>':
    mal_store_memory_hold(mal_core_store(core), false);
    break;
  default:
    request(core, line, length, answers);
    return;
  }
  fake_run(fake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  FakeRuntime *fake = fake_runtime_new();
  MalCoreOptions o = { .runtime = fake_runtime(fake), .config_text = CONFIG };
  o.store = mal_store_memory_new(o.runtime);
  MalCore *core = mal_core_new(&o, NULL);
  must(core && mal_core_start(core, NULL));
  GArray *answers = g_array_new(FALSE, FALSE, sizeof(unsigned *));
  const char *at = (const char *)data, *end = at + size;
  for (unsigned lines = 0; at && at < end && lines < 64; lines++) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    do_line(fake, core, at, (size_t)((newline ? newline : end) - at), answers);
    at = newline ? newline + 1 : NULL;
  }
  fake_run(fake);
  mal_leases_check(mal_core_leases(core), mal_runtime_now(o.runtime));
  mal_core_free(core);
  fake_run(fake);
  for (unsigned i = 0; i < answers->len; i++) {
    must(*g_array_index(answers, unsigned *, i) == 1);
    g_free(g_array_index(answers, unsigned *, i));
  }
  g_array_unref(answers);
  fake_runtime_free(fake);
  return 0;
}
