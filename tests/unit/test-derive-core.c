/* Derived ranges in a whole core: what is leased of them, what range.list says, and reloads. */
#include <criterion/criterion.h>
#include <glib/gstdio.h>
#include <string.h>

#include "core/control-core.h"
#include "core/core.h"
#include "tests/support/fake-runtime.h"

#define SCOPES                                                                                     \
  "[scope glop]\nfamily=ipv4\nfirst=233.0.0.0\nlast=233.255.255.255\n"                             \
  "[scope ubm]\nfamily=ipv4\nfirst=234.0.0.0\nlast=234.255.255.255\n"                              \
  "[scope six]\nfamily=ipv6\nfirst=ff3e:30:2001:db8::\nlast=ff3e:30:2001:db8::ffff:ffff\n"
#define GLOP "[range as]\nscope=glop\nglop=64501\nexclude=233.251.245.128/25\n"
#define UBM "[range v4]\nscope=ubm\nunicast-prefix=198.51.100.0/24\n"
#define SIX "[range v6]\nscope=six\nunicast-prefix=2001:db8::/48\n"

typedef struct {
  FakeRuntime *fake;
  MalRuntime *rt;
  MalCore *core;
  char *dir, *file;
} Bed;

static void write_config(Bed *b, const char *config)
{
  cr_assert(g_file_set_contents(b->file, config, -1, NULL));
}

static Bed bed_of(const char *config)
{
  g_autoptr(GError) error = NULL;
  Bed b = { .fake = fake_runtime_new() };
  b.rt = fake_runtime(b.fake);
  b.dir = g_dir_make_tmp("mallocd-derive-XXXXXX", NULL);
  b.file = g_build_filename(b.dir, "mallocd.conf", NULL);
  write_config(&b, config);
  MalCoreOptions o = { .runtime = b.rt, .config_file = b.file, .plugin_dir = b.dir };
  cr_assert(mal_core_check(&o, &error), "%s", error ? error->message : "");
  o.store = mal_store_memory_new(b.rt);
  b.core = mal_core_new(&o, &error);
  cr_assert(b.core && mal_core_start(b.core, &error), "%s", error ? error->message : "");
  fake_run(b.fake);
  return b;
}

static void clear(Bed *b)
{
  mal_core_free(b->core);
  fake_run(b->fake);
  fake_runtime_free(b->fake);
  g_unlink(b->file);
  g_rmdir(b->dir);
  g_free(b->file);
  g_free(b->dir);
}

/* ---- control calls --------------------------------------------------------------------------- */

static void on_answer(json_object *result, const GError *error, void *data)
{
  json_object **out = data;
  *out = error ? json_object_new_string(error->message) : json_object_get(result);
}

/* The result, or the error's text; the caller puts it. */
static json_object *call(Bed *b, const char *method, const char *params)
{
  json_object *p = json_tokener_parse(params), *answer = NULL;
  mal_control_call(mal_core_control(b->core), method, p, true, on_answer, NULL, &answer);
  fake_run(b->fake);
  json_object_put(p);
  cr_assert_not_null(answer, "%s", method);
  return answer;
}

static const char *text_of(json_object *o, const char *member)
{
  json_object *value = NULL;
  return json_object_object_get_ex(o, member, &value) ? json_object_get_string(value) : NULL;
}

/* The addresses of a new lease of COUNT, or the error; the caller frees. */
static char *lease(Bed *b, const char *scope, unsigned count)
{
  g_autofree char *params = g_strdup_printf("{\"scope\":\"%s\",\"count\":%u}", scope, count);
  json_object *answer = call(b, "lease.request", params), *list = NULL;
  GString *text = g_string_new(NULL);
  if (!json_object_is_type(answer, json_type_object)) {
    g_string_append(text, json_object_get_string(answer));
  } else {
    cr_assert(json_object_object_get_ex(answer, "addresses", &list), "%s",
              json_object_to_json_string(answer));
    for (size_t i = 0; i < json_object_array_length(list); i++)
      g_string_append_printf(text, "%s%s", i ? " " : "",
                             json_object_get_string(json_object_array_get_idx(list, i)));
  }
  json_object_put(answer);
  return g_string_free(text, FALSE);
}

/* What range.list says of NAME at LEVEL; NULL: it has no such member or range. The caller frees. */
static char *derived_from(Bed *b, const char *name, const char *level)
{
  json_object *answer = call(b, "range.list", "{}"), *list = NULL;
  char *found = NULL;
  cr_assert(json_object_object_get_ex(answer, "ranges", &list));
  for (size_t i = 0; i < json_object_array_length(list); i++) {
    json_object *r = json_object_array_get_idx(list, i);
    if (strcmp(text_of(r, "range"), name) != 0 || strcmp(text_of(r, "level"), level) != 0)
      continue;
    cr_expect_str_eq(text_of(r, "source"), "config");
    found = g_strdup(text_of(r, "derived_from"));
  }
  json_object_put(answer);
  return found;
}

/* ---- leases ---------------------------------------------------------------------------------- */

static MalSpan span_of(const char *text)
{
  MalSpan span;
  cr_assert(mal_span_parse(text, &span, NULL), "%s", text);
  return span;
}

Test(derive_core, rfc3180_addresses_of_the_as_are_leased)
{
  Bed b = bed_of(SCOPES GLOP);
  MalSpan block = span_of("233.251.245.0-233.251.245.127");
  for (unsigned i = 0; i < 128; i++) {
    g_autofree char *text = lease(&b, "glop", 1);
    cr_assert(mal_span_contains(block, span_of(text)), "%s", text);
  }
  g_autofree char *none = lease(&b, "glop", 1);
  cr_assert_not(g_str_has_prefix(none, "233."), "all but what is excluded was leased: %s", none);
  clear(&b);
}

Test(derive_core, rfc6034_a_prefix_of_24_bits_is_one_address)
{
  Bed b = bed_of(SCOPES UBM);
  g_autofree char *first = lease(&b, "ubm", 1), *second = lease(&b, "ubm", 1);
  cr_assert_str_eq(first, "234.198.51.100");
  cr_assert_not(g_str_has_prefix(second, "234."), "%s", second);
  clear(&b);
}

/* RFC 10028 3: 0x80000000 to 0x8fffffff, and the prefix in front of them. */
Test(derive_core, rfc3306_group_identifiers_for_madcap)
{
  Bed b = bed_of(SCOPES SIX);
  MalSpan may = span_of("ff3e:30:2001:db8::8000:0-ff3e:30:2001:db8::8fff:ffff");
  for (unsigned i = 0; i < 200; i++) {
    g_autofree char *text = lease(&b, "six", 1);
    cr_assert(mal_span_contains(may, span_of(text)), "%s", text);
  }
  json_object *usage = call(&b, "space.usage", "{\"scope\":\"six\"}");
  cr_assert(strstr(json_object_to_json_string(usage), "268435456"), "2^28, not 2^32: %s",
            json_object_to_json_string(usage));
  json_object_put(usage);
  clear(&b);
}

/* Beside each other, where no two share an Ethernet group. */
Test(derive_core, three_sources_at_once)
{
  Bed b = bed_of(SCOPES GLOP UBM SIX);
  static const char *const scopes[] = { "glop", "ubm", "six" };
  static const char *const heads[] = { "233.251.245.", "234.198.51.100", "ff3e:30:2001:db8::8" };
  for (size_t i = 0; i < G_N_ELEMENTS(scopes); i++) {
    g_autofree char *text = lease(&b, scopes[i], 1);
    cr_expect(g_str_has_prefix(text, heads[i]), "%s: %s", scopes[i], text);
  }
  clear(&b);
}

/* RFC 3306 5: no lease outlasts the prefix, as far as `until` knows its end. */
Test(derive_core, rfc3306_5_until)
{
  Bed b = bed_of(SCOPES);
  char end[MAL_TIME_STRLEN];
  mal_time_format(mal_time_add(mal_runtime_now(b.rt), 600), end);
  g_autofree char *config = g_strdup_printf(SCOPES SIX "until=%s\n", end);
  write_config(&b, config);
  cr_assert(mal_core_reload(b.core, NULL, NULL));
  json_object *longer = call(&b, "lease.request", "{\"scope\":\"six\",\"lifetime\":601}");
  cr_expect(json_object_is_type(longer, json_type_string), "%s",
            json_object_to_json_string(longer));
  json_object *fits = call(&b, "lease.request", "{\"scope\":\"six\",\"lifetime\":600}");
  cr_expect(json_object_is_type(fits, json_type_object), "%s", json_object_to_json_string(fits));
  json_object_put(longer);
  json_object_put(fits);
  clear(&b);
}

/* ---- range.list and reloads ------------------------------------------------------------------ */

Test(derive_core, range_list_says_what_a_range_follows_from)
{
  Bed b = bed_of(SCOPES GLOP SIX "[range plain]\nscope=ubm\nfirst=234.1.1.0\nlast=234.1.1.9\n");
  static const char *const levels[] = { "available", "owned" };
  for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
    g_autofree char *as = derived_from(&b, "as", levels[i]),
                    *v6 = derived_from(&b, "v6", levels[i]),
                    *plain = derived_from(&b, "plain", levels[i]);
    cr_expect(g_strcmp0(as, "AS 64501 (RFC 3180)") == 0, "%s: %s", levels[i], as);
    cr_expect(g_strcmp0(v6, "2001:db8::/48 (RFC 3306)") == 0, "%s: %s", levels[i], v6);
    cr_expect_null(plain);
  }
  clear(&b);
}

/* RFC 3180 4, RFC 3306 4: each is one prefix, and can be a route of the domain as that. */
Test(derive_core, a_derived_range_is_one_route)
{
  Bed b = bed_of(SCOPES GLOP "export=yes\n" UBM "export=yes\n" SIX "export=yes\n");
  json_object *routes = call(&b, "route.list", "{}");
  const char *text = json_object_to_json_string_ext(routes, JSON_C_TO_STRING_NOSLASHESCAPE);
  static const char *const prefixes[] = { "\"233.251.245.0/24\"", "\"234.198.51.100/32\"",
                                          "\"ff3e:30:2001:db8::/96\"" };
  for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++)
    cr_expect(strstr(text, prefixes[i]), "%s: %s", prefixes[i], text);
  json_object_put(routes);
  clear(&b);
}

#define BY_HAND "[range as]\nscope=glop\nfirst=233.251.245.0\nlast=233.251.245.255\n"

Test(derive_core, the_same_addresses_said_otherwise_keep_their_leases)
{
  Bed b = bed_of(SCOPES BY_HAND);
  g_autofree char *text = lease(&b, "glop", 1);
  static const char *const configs[] = { SCOPES "[range as]\nscope=glop\nglop=64501\n",
                                         SCOPES BY_HAND };
  static const char *const from[] = { "AS 64501 (RFC 3180)", NULL };
  for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) {
    g_autoptr(GError) error = NULL;
    write_config(&b, configs[i]);
    cr_assert(mal_core_reload(b.core, NULL, &error), "%s", error ? error->message : "");
    g_autofree char *now = derived_from(&b, "as", "available"),
                    *owned = derived_from(&b, "as", "owned");
    cr_expect(g_strcmp0(now, from[i]) == 0 && g_strcmp0(owned, from[i]) == 0, "%s", now);
    json_object *leases = call(&b, "lease.list", "{}");
    cr_expect(strstr(json_object_to_json_string(leases), text), "%s: %s", text,
              json_object_to_json_string(leases));
    json_object_put(leases);
  }
  clear(&b);
}

/* Another AS number is another range: a lease in the old one is in the way, and is named. */
Test(derive_core, a_lease_holds_its_range)
{
  Bed b = bed_of(SCOPES GLOP);
  g_autofree char *text = lease(&b, "glop", 1);
  g_autoptr(GError) error = NULL;
  write_config(&b, SCOPES "[range as]\nscope=glop\nglop=64502\n");
  cr_assert_not(mal_core_reload(b.core, NULL, &error));
  cr_expect(strstr(error->message, text), "%s: %s", text, error->message);
  g_autofree char *as = derived_from(&b, "as", "available");
  cr_expect_str_eq(as, "AS 64501 (RFC 3180)");
  clear(&b);
}
