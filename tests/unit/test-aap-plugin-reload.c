/* The AAP plugin in a daemon whose configuration changes, and whose leases do. Sections:
   draft-ietf-malloc-aap-04. */
#include "tests/unit/aap-daemons.h"

/* A daemon whose file is written anew. */
typedef struct {
  char path[32];
  MalCoreOptions options;
} File;

static bool reread(World *w, File *file, const char *text, GError **error)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  g_autofree char *whole = g_strconcat("[daemon]\nroles=maas\nlog-level=error\nplugins=aap\n"
                                       "[aap]\nstartup-wait=10\npreallocate=256\n", text,
                                       NULL);
  bool first = w->host[0].core == NULL;
  if (first) {
    *file = (File){ .path = "/tmp/mal-aap-XXXXXX" };
    cr_assert_neq(g_mkstemp(file->path), -1);
    file->options = (MalCoreOptions){ .runtime = mal_sim_node_runtime(w->host[0].node),
                                      .store = mal_sim_store_open(w->host[0].node),
                                      .config_file = file->path,
                                      .builtin = builtin,
                                      .log = quiet };
  }
  cr_assert(g_file_set_contents(file->path, whole, -1, NULL));
  if (!first)
    return mal_core_reload(w->host[0].core, NULL, error);
  w->host[0].core = mal_core_new(&file->options, error);
  return w->host[0].core && mal_core_start(w->host[0].core, error);
}

static void must_reread(World *w, File *file, const char *text)
{
  g_autoptr(GError) error = NULL;
  cr_assert(reread(w, file, text, &error), "%s", error ? error->message : "");
  run(w, 30);
}

static int64_t pool_says(World *w, const char *key)
{
  return json_object_get_int64(
      at(json_object_array_get_idx(at(call(w, 0, "aap.pool", "{}", 2), "scopes"), 0), key));
}

static int64_t live(World *w)
{
  return (int64_t)json_object_array_length(at(call(w, 0, "lease.list", "{}", 2), "leases"));
}

static void must_refuse(World *w, File *file, const char *text)
{
  g_autoptr(GError) error = NULL;
  int64_t before = pool_says(w, "available");
  cr_assert_not(reread(w, file, text, &error));
  cr_assert(strstr(error->message, "would lose its place"), "%s", error->message);
  run(w, 30);
  cr_assert_eq(live(w), 1);
  cr_assert_eq(pool_says(w, "available"), before);
}

static void release_all(World *w)
{
  while (live(w) > 0) {
    json_object *leases = at(call(w, 0, "lease.list", "{}", 2), "leases");
    g_autofree char *params = g_strdup_printf(
        "{\"lease\":\"%s\"}",
        json_object_get_string(at(json_object_array_get_idx(leases, 0), "lease")));
    call(w, 0, "lease.release", params, 5);
    cr_assert_null(w->error, "%s", w->error);
    run(w, 5);
  }
}

#define RANGE_8 "[range r]\nscope=local\nfirst=239.255.8.0\nlast=239.255.8.255\n"
#define OTHER_SCOPE "[scope other]\nfamily=ipv4\nfirst=239.254.0.0\nlast=239.254.255.255\nttl=9\n"

Test(aap_plugin_reload, a_small_scope_as_a_whole_gives_way_to_a_range_and_comes_back_3_2_10)
{
  World w = world(1);
  File file;
  g_autofree char *ranged = g_strconcat(small, RANGE_8, NULL);
  must_reread(&w, &file, small);
  cr_assert_eq(pool_says(&w, "available"), 65536 - 256);
  must_reread(&w, &file, ranged);
  cr_assert_eq(pool_says(&w, "available"), 256);
  lease(&w, 0, "local", 3);
  must_refuse(&w, &file, small);
  release_all(&w);
  must_reread(&w, &file, small);
  cr_assert_eq(pool_says(&w, "available"), 65536 - 256);
  lease(&w, 0, "local", 3);
  clear(&w);
  remove(file.path);
}

Test(aap_plugin_reload, a_range_around_what_is_leased_of_a_whole_scope_leaves_the_lease)
{
  World w = world(1);
  File file;
  g_autofree char *around = g_strconcat(small, RANGE_8, NULL),
                  *elsewhere = g_strconcat(small, "[range r]\nscope=local\nfirst=239.255.9.0\n"
                                                  "last=239.255.9.255\n", NULL);
  MalSpan span = { mal_address_ipv4(0xefff0808), mal_address_ipv4(0xefff0809) };
  must_reread(&w, &file, small);
  call(&w, 0, "lease.request", "{\"scope\":\"local\",\"address\":\"239.255.8.8-239.255.8.9\","
                               "\"wait\":true,\"lifetime\":600}", 60);
  cr_assert_null(w.error, "%s", w.error);
  must_refuse(&w, &file, elsewhere);
  must_reread(&w, &file, around);
  cr_assert_eq(live(&w), 1);
  cr_assert(is_owned(&w, 0, span));
  cr_assert_eq(pool_says(&w, "available"), 256);
  lease(&w, 0, "local", 200);
  cr_assert_leq(owned(&w, 0), 256, "nothing outside of the range");
  clear(&w);
  remove(file.path);
}

Test(aap_plugin_reload, a_small_scope_as_a_whole_can_be_taken_out_and_shrunk)
{
  World w = world(1);
  File file;
  g_autofree char *both = g_strconcat(small, OTHER_SCOPE, NULL);
  must_reread(&w, &file, both);
  lease(&w, 0, "local", 3);
  must_refuse(&w, &file, OTHER_SCOPE);
  release_all(&w);
  must_reread(&w, &file, OTHER_SCOPE);
  lease(&w, 0, "other", 3);
  must_reread(&w, &file, both);
  lease(&w, 0, "local", 3);
  release_all(&w);
  must_reread(&w, &file, "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.127.255\n"
                         "ttl=16\n");
  cr_assert_eq(pool_says(&w, "available"), 32768 - 256);
  must_reread(&w, &file, small);
  cr_assert_eq(pool_says(&w, "available"), 65536 - 256);
  clear(&w);
  remove(file.path);
}

/* What a reserve made by hand holds is neither claimed nor preallocated. */
Test(aap_plugin_reload, reserves_and_excludes_that_come_while_it_runs_are_left_out)
{
  World w = world(1);
  File file;
  g_autofree char *ranged = g_strconcat(small, RANGE_8, NULL),
                  *excluded = g_strconcat(ranged, "exclude=239.255.8.0-239.255.8.63\n", NULL);
  MalSpan first = { mal_address_ipv4(0xefff0800), mal_address_ipv4(0xefff083f) },
          second = { mal_address_ipv4(0xefff0840), mal_address_ipv4(0xefff087f) };
  must_reread(&w, &file, ranged);
  must_reread(&w, &file, excluded);
  call(&w, 0, "reserve.add", "{\"name\":\"cam\",\"scope\":\"local\","
                             "\"addresses\":[\"239.255.8.64-239.255.8.127\"]}", 5);
  cr_assert_null(w.error, "%s", w.error);
  run(&w, 30);
  lease(&w, 0, "local", 100);
  cr_assert_not(is_owned(&w, 0, first));
  cr_assert_not(is_owned(&w, 0, second));
  cr_assert_leq(pool_says(&w, "preallocated") + pool_says(&w, "own"), 128);
  call(&w, 0, "reserve.remove", "{\"name\":\"cam\"}", 5);
  lease(&w, 0, "local", 60);
  cr_assert(is_owned(&w, 0, second));
  clear(&w);
  remove(file.path);
}

Test(aap_plugin_reload, a_reload_changes_times_in_place_and_scopes_by_a_restart)
{
  World w = world(1);
  char path[] = "/tmp/mal-aap-XXXXXX";
  cr_assert_neq(g_mkstemp(path), -1);
  g_autofree char *first = g_strconcat("[daemon]\nroles=maas\nlog-level=error\nplugins=aap\n",
                                       small, "[aap]\nstartup-wait=10\n", NULL),
                  *second = g_strconcat(first, "preallocate=0\n", NULL),
                  *third = g_strconcat(second, "port=4000\n", NULL);
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  MalCoreOptions options = { .runtime = mal_sim_node_runtime(w.host[0].node),
                             .store = mal_sim_store_open(w.host[0].node),
                             .config_file = path,
                             .builtin = builtin,
                             .log = quiet };
  const char *const texts[] = { first, second, third };
  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GError) error = NULL;
    cr_assert(g_file_set_contents(path, texts[i], -1, NULL));
    if (i == 0) {
      w.host[0].core = mal_core_new(&options, &error);
      cr_assert(w.host[0].core && mal_core_start(w.host[0].core, &error));
    } else {
      cr_assert(mal_core_reload(w.host[0].core, NULL, &error), "%s", error ? error->message : "");
    }
    run(&w, 30);
    lease(&w, 0, "local", 2);
  }
  cr_assert_eq(json_object_array_length(at(call(&w, 0, "lease.list", "{}", 2), "leases")), 3);
  remove(path);
  clear(&w);
}

Test(aap_plugin_reload, who_names_what_another_server_has_hears_that_3_2_9)
{
  World w = world(2);
  const char *params = "{\"scope\":\"local\",\"address\":\"239.255.5.1-239.255.5.2\"}";
  start(&w, 0, "maas", small);
  start(&w, 1, "maas", small);
  run(&w, 250);
  call(&w, 0, "lease.request", params, 60);
  cr_assert_null(w.error, "%s", w.error);
  run(&w, 60);
  call(&w, 1, "lease.request", params, 600);
  cr_assert(w.error && strstr(w.error, "scope local can't be had: another server"),
            "%s", w.error ? w.error : "leased twice");
  clear(&w);
}

/* A block is owned for a day; whoever wants a lease for longer hears that the others were asked,
   and has it when they have agreed. */
Test(aap_plugin_reload, a_lease_is_kept_for_longer_than_its_block_3_2_8)
{
  World w = world(2);
  start(&w, 0, "maas", small);
  start(&w, 1, "maas", small);
  run(&w, 250);
  lease(&w, 0, "local", 2);
  json_object *first =
      json_object_array_get_idx(at(call(&w, 0, "lease.list", "{}", 2), "leases"), 0);
  g_autofree char *params = g_strdup_printf("{\"lease\":\"%s\",\"lifetime\":5184000}",
                                            json_object_get_string(at(first, "lease")));
  call(&w, 0, "lease.renew", params, 2);
  cr_assert(w.error && strstr(w.error, "try again"), "%s", w.error ? w.error : "");
  run(&w, 60);
  call(&w, 0, "lease.renew", params, 2);
  cr_assert_null(w.error, "%s", w.error);
  clear(&w);
}

Test(aap_plugin_reload, who_asks_while_it_listens_hears_for_how_long_3_2_4)
{
  World w = world(1);
  start(&w, 0, "maas", small);
  call(&w, 0, "lease.request", "{\"scope\":\"local\",\"wait\":false}", 2);
  cr_assert(w.error && strstr(w.error, "still listens to the others, for 1"), "%s",
            w.error ? w.error : "leased at once");
  run(&w, 250);
  call(&w, 0, "lease.request", "{\"scope\":\"local\",\"count\":60000,\"wait\":false}", 2);
  cr_assert(w.error && !strstr(w.error, "listens"), "%s", w.error ? w.error : "leased");
  clear(&w);
}
