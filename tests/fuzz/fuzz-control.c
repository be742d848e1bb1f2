/* Any octets as lines of control requests to a whole core, under a runtime that stands still and a
   store in memory. A line "+N" lets N seconds pass, "!" makes the store fail, "?" lets it recover,
   "<" holds its batches and ">" lets them go. Each request is answered exactly once, at the latest
   when the core ends. An input that changed nothing leaves the core to the next one. Covers:
   core/control.c core/methods*.c core/core*.c core/leases*.c core/space*.c core/allocator*.c */
#include <string.h>

#include "core/control-core.h"
#include "core/core.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake-runtime.h"

#define CONFIG \
  "[daemon]\nroles=maas\n[scope l]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n" \
  "[scope s]\nfamily=ipv6\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8fff:ffff\n" \
  "[range a]\nscope=l\nfirst=239.255.1.0\nlast=239.255.1.63\n" \
  "[range b]\nscope=s\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8000:ff\n"

/* So much time passes second by second; more of it at once, as on a machine that slept. */
#define STEPS_MOST 20
#define USES_MOST 256

typedef struct {
  FakeRuntime *fake;
  MalCore *core;
  GPtrArray *calls;             /* Call */
  unsigned uses;
  bool touched;                 /* it isn't as it was when it was new */
} World;

typedef struct {
  World *world;
  bool reads;                   /* the method changes nothing */
  unsigned answers;
} Call;

static void on_answer(json_object *result, const GError *error, void *data)
{
  Call *call = data;
  must(!result || !error);
  must(!error || *error->message);
  if (result)
    must(json_object_to_json_string(result));
  call->world->touched |= result && !call->reads;
  call->answers++;
}

static void on_progress(const char *message, void *data)
{
  must(*message && ((const Call *)data)->answers == 0);
}

static bool only_reads(MalCore *core, const char *method)
{
  g_autoptr(GPtrArray) all = mal_control_methods(mal_core_control(core));
  for (unsigned i = 0; i < all->len; i++) {
    const MalMethod *m = g_ptr_array_index(all, i);
    if (strcmp(m->name, method) == 0)
      return m->access == MAL_ACCESS_READ;
  }
  return true;
}

/* It would read any file of this host. */
static bool is_harmless(const char *method, json_object *params)
{
  return strcmp(method, "config.check") != 0 || !json_object_object_get_ex(params, "file", NULL);
}

static void call(World *w, const char *method, json_object *params)
{
  Call *c = g_new0(Call, 1);
  *c = (Call){ .world = w, .reads = only_reads(w->core, method) };
  g_ptr_array_add(w->calls, c);
  mal_control_call(mal_core_control(w->core), method, params, true, on_answer, on_progress, c);
}

static void request(World *w, const char *line, size_t length)
{
  json_tokener *tokener = json_tokener_new_ex(32);
  json_object *o = json_tokener_parse_ex(tokener, line, (int)length), *method, *params = NULL;
  if (o && json_object_is_type(o, json_type_object)
      && json_object_object_get_ex(o, "method", &method)
      && json_object_is_type(method, json_type_string)) {
    json_object_object_get_ex(o, "params", &params);
    if (!json_object_is_type(params, json_type_object))
      params = NULL;
    if (is_harmless(json_object_get_string(method), params))
      call(w, json_object_get_string(method), params);
  }
  json_object_put(o);
  json_tokener_free(tokener);
}

static void pass_time(World *w, const char *text, size_t length)
{
  char number[16] = { 0 };
  memcpy(number, text, MIN(length, 6));
  int64_t seconds = CLAMP(atol(number), 0, 20000), first = MIN(seconds, STEPS_MOST);
  fake_advance(w->fake, first);
  fake_sleep(w->fake, seconds - first);
}

static void do_line(World *w, const char *line, size_t length)
{
  MalStore *store = mal_core_store(w->core);
  char first = '#';
  if (length)
    first = line[0];
  if (!strchr("+!?<>", first) || !first) {
    request(w, line, length);
    return;
  }
  w->touched = true;
  if (first == '+')
    pass_time(w, line + 1, length - 1);
  else if (first == '!' || first == '?')
    mal_store_memory_fail(store, first == '!' ? "no" : NULL);
  else
    mal_store_memory_hold(store, first == '<');
  fake_run(w->fake);
}

static void begin(World *w)
{
  w->fake = fake_runtime_new();
  MalCoreOptions o = { .runtime = fake_runtime(w->fake), .config_text = CONFIG };
  o.store = mal_store_memory_new(o.runtime);
  w->core = mal_core_new(&o, NULL);
  must(w->core && mal_core_start(w->core, NULL));
  w->calls = g_ptr_array_new_with_free_func(g_free);
  w->uses = 0;
  w->touched = false;
}

static void end(World *w)
{
  mal_leases_check(mal_core_leases(w->core), mal_runtime_now(fake_runtime(w->fake)));
  mal_core_free(w->core);
  fake_run(w->fake);
  for (unsigned i = 0; i < w->calls->len; i++)
    must(((const Call *)g_ptr_array_index(w->calls, i))->answers == 1);
  g_ptr_array_unref(w->calls);
  fake_runtime_free(w->fake);
  w->core = NULL;
}

/* May the next input have this core? */
static bool is_new(const World *w)
{
  MalLeaseTotals t = mal_leases_totals(mal_core_leases(w->core), NULL);
  if (w->touched || w->uses >= USES_MOST)
    return false;
  for (unsigned i = 0; i < w->calls->len; i++)
    if (((const Call *)g_ptr_array_index(w->calls, i))->answers != 1)
      return false;
  must(t.leases == 0 && t.holds == 0 && t.pending == 0 && t.waiting == 0);
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static World world;
  const char *at = (const char *)data, *stop = at + size;
  if (!world.core)
    begin(&world);
  world.uses++;
  for (unsigned lines = 0; at && at < stop && lines < 64; lines++) {
    const char *newline = memchr(at, '\n', (size_t)(stop - at));
    do_line(&world, at, (size_t)((newline ? newline : stop) - at));
    at = newline ? newline + 1 : NULL;
  }
  fake_run(world.fake);
  if (is_new(&world)) {
    g_ptr_array_set_size(world.calls, 0);
  } else {
    /* Begun here, so that each input frees as much as it takes, or libFuzzer looks for leaks. */
    end(&world);
    begin(&world);
  }
  return 0;
}
