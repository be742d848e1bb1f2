/* The routes of the domain (RFC 2909 section 3: the G-RIB). */
#include "core/routes.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct {
  MalRoutes *routes;
  GString *told; /* "+239.1.0.0/16 masc 500, ..." */
  MalPrefix cut; /* removed from within the call that tells of something new */
} Bed;

static MalPrefix prefix(const char *text)
{
  MalPrefix p;
  cr_assert(mal_prefix_parse(text, &p, NULL), "%s", text);
  return p;
}

static void write_route(GString *out, const MalRoute *r)
{
  char address[MAL_ADDRESS_STRLEN];
  g_string_append_printf(out, "%s/%u %s", mal_address_format(r->prefix.address, address),
                         r->prefix.length, r->source);
  if (r->until != MAL_FOREVER)
    g_string_append_printf(out, " %d", (int)r->until);
  g_string_append(out, ", ");
}

static void on_change(MalRouteChange what, const MalRoute *route, void *data)
{
  Bed *b = data;
  MalPrefix cut = b->cut;
  if (what == MAL_ROUTE_ADDED && cut.length > 0) {
    b->cut.length = 0;
    cr_expect(mal_routes_remove(b->routes, cut, "masc", NULL));
  }
  g_string_append_c(b->told, "+~-"[what]);
  write_route(b->told, route);
}

static void on_each(const MalRoute *route, void *data)
{
  write_route(data, route);
}

static void bed_init(Bed *b)
{
  *b = (Bed){ .routes = mal_routes_new(), .told = g_string_new(NULL) };
  mal_routes_watch(b->routes, on_change, b);
}

static void bed_clear(Bed *b)
{
  mal_routes_free(b->routes);
  g_string_free(b->told, TRUE);
}

static void add(Bed *b, const char *text, MalTime until, const char *source)
{
  g_autoptr(GError) error = NULL;
  cr_assert(mal_routes_add(b->routes, prefix(text), until, source, &error), "%s", error->message);
}

static void must_have_told(Bed *b, const char *text)
{
  cr_expect_str_eq(b->told->str, text, "%s, not %s", b->told->str, text);
  g_string_truncate(b->told, 0);
}

static void must_list(Bed *b, const char *text)
{
  g_autoptr(GString) all = g_string_new(NULL);
  mal_routes_each(b->routes, on_each, all);
  cr_expect_str_eq(all->str, text, "%s, not %s", all->str, text);
}

Test(routes, what_may_be_added)
{
  static const struct {
    const char *address;
    unsigned length;
    const char *words;
  } table[] = {
    { "239.1.0.0", 16, NULL },
    { "239.1.0.0", 16, "there already" },
    { "239.2.0.0", 15, NULL },
    { "239.1.0.0", 15, "bits set" },
    { "239.1.0.1", 31, "bits set" },
    { "239.1.0.1", 32, NULL },
    { "239.1.0.0", 33, "not a prefix" },
    { "224.0.0.0", 4, NULL },
    { "224.0.0.0", 3, "other addresses" },
    { "198.51.100.0", 24, "other addresses" },
    { "ff3e::", 16, NULL },
    { "ff00::", 8, NULL },
    { "ff00::", 7, "other addresses" },
    { "ff3e::1", 128, NULL },
    { "ff3e::1", 127, "bits set" },
    { "ff3e::1", 129, "not a prefix" },
    { "2001:db8::", 32, "other addresses" },
  };
  Bed b;
  bed_init(&b);
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autoptr(GError) error = NULL;
    MalPrefix p = { .length = table[i].length };
    cr_assert(mal_address_parse(table[i].address, &p.address, NULL));
    bool ok = mal_routes_add(b.routes, p, MAL_FOREVER, "masc", &error);
    cr_assert_eq(ok, !table[i].words, "%zu", i);
    cr_expect(ok || strstr(error->message, table[i].words), "%s", error->message);
  }
  cr_expect_not(mal_routes_add(b.routes, (MalPrefix){ 0 }, MAL_FOREVER, "masc", NULL));
  bed_clear(&b);
}

Test(routes, sources_are_apart_and_the_order_is_fixed)
{
  Bed b;
  g_autoptr(GError) error = NULL;
  bed_init(&b);
  add(&b, "ff3e:20:2001:db8::/64", MAL_FOREVER, "masc");
  add(&b, "239.1.0.0/16", 500, "masc");
  add(&b, "239.0.0.0/8", MAL_FOREVER, "masc");
  add(&b, "239.1.0.0/16", MAL_FOREVER, "config");
  add(&b, "239.1.0.0/24", MAL_FOREVER, "masc");
  must_list(&b, "239.0.0.0/8 masc, 239.1.0.0/16 config, 239.1.0.0/16 masc 500, "
                "239.1.0.0/24 masc, ff3e:20:2001:db8::/64 masc, ");
  cr_expect_eq(mal_routes_count(b.routes), 5);
  g_string_truncate(b.told, 0);

  cr_expect(mal_routes_set_until(b.routes, prefix("239.1.0.0/16"), 500, "masc", NULL));
  must_have_told(&b, "");
  cr_expect(mal_routes_set_until(b.routes, prefix("239.1.0.0/16"), 600, "masc", NULL));
  cr_expect_not(mal_routes_set_until(b.routes, prefix("239.1.0.0/17"), 600, "masc", &error));
  cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_NOT_FOUND));
  cr_expect(mal_routes_remove(b.routes, prefix("239.1.0.0/16"), "config", NULL));
  cr_expect_not(mal_routes_remove(b.routes, prefix("239.1.0.0/16"), "config", NULL));
  must_have_told(&b, "~239.1.0.0/16 masc 600, -239.1.0.0/16 config, ");

  mal_routes_forget(b.routes, "masc");
  cr_expect_eq(mal_routes_count(b.routes), 0);
  bed_clear(&b);
}

Test(routes, end_at_their_time)
{
  Bed b;
  bed_init(&b);
  cr_expect_eq(mal_routes_due(b.routes), MAL_FOREVER);
  add(&b, "239.2.0.0/16", 500, "masc");
  add(&b, "239.1.0.0/16", 400, "masc");
  add(&b, "239.3.0.0/16", MAL_FOREVER, "masc");
  g_string_truncate(b.told, 0);
  cr_expect_eq(mal_routes_due(b.routes), 400);
  mal_routes_expire(b.routes, 399);
  must_have_told(&b, "");
  mal_routes_expire(b.routes, 400);
  must_have_told(&b, "-239.1.0.0/16 masc 400, ");
  mal_routes_expire(b.routes, MAL_FOREVER - 1);
  must_have_told(&b, "-239.2.0.0/16 masc 500, ");
  must_list(&b, "239.3.0.0/16 masc, ");
  bed_clear(&b);
}

Test(routes, a_watcher_may_change_them_and_go)
{
  Bed b;
  bed_init(&b);
  add(&b, "239.1.0.0/16", MAL_FOREVER, "masc");
  b.cut = prefix("239.2.0.0/16");
  g_string_truncate(b.told, 0);
  add(&b, "239.2.0.0/16", MAL_FOREVER, "masc");
  must_have_told(&b, "-239.2.0.0/16 masc, +239.2.0.0/16 masc, ");
  must_list(&b, "239.1.0.0/16 masc, ");
  mal_routes_unwatch(b.routes, 1);
  add(&b, "239.2.0.0/16", MAL_FOREVER, "masc");
  must_have_told(&b, "");
  bed_clear(&b);
}

static void replan(Bed *b, const char *ranges)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *text = g_strconcat("[scope g]\nfamily=ipv4\nfirst=239.0.0.0\n"
                                      "last=239.255.255.255\n"
                                      "[scope s]\nfamily=ipv6\nfirst=ff3e:20:2001:db8::\n"
                                      "last=ff3e:20:2001:db8::ffff:ffff\n",
                                      ranges, NULL);
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config = mal_config_parse(schema, text, strlen(text), "t", &error);
  g_autoptr(MalPlan) plan = config ? mal_plan_from_config(config, &error) : NULL;
  mal_conf_schema_free(schema);
  cr_assert_not_null(plan, "%s", error ? error->message : "");
  mal_routes_replan(b->routes, plan);
}

#define RANGE(name, scope, first, last, more)                                                      \
  "[range " name "]\nscope=" scope "\nfirst=" first "\nlast=" last "\n" more "\n"

Test(routes, exported_ranges_become_prefixes)
{
  Bed b;
  bed_init(&b);
  add(&b, "239.9.0.0/16", MAL_FOREVER, "masc");
  replan(&b, RANGE("a", "g", "239.1.0.0", "239.2.255.255", "export=yes\nexclude=239.1.3.0/24")
             RANGE("b", "g", "239.4.0.0", "239.4.255.255", "")
             RANGE("c", "s", "ff3e:20:2001:db8::8000:0", "ff3e:20:2001:db8::8fff:ffff",
                   "export=yes\nuntil=2030-01-01T00:00:00Z"));
  must_list(&b, "239.1.0.0/16 config, 239.2.0.0/16 config, 239.9.0.0/16 masc, "
                "ff3e:20:2001:db8::8000:0/100 config 1893456000, ");
  g_string_truncate(b.told, 0);
  replan(&b, RANGE("a", "g", "239.1.0.0", "239.2.255.255", "export=no")
             RANGE("b", "g", "239.4.0.0", "239.4.255.255", "export=yes")
             RANGE("c", "s", "ff3e:20:2001:db8::8000:0", "ff3e:20:2001:db8::8fff:ffff",
                   "export=yes"));
  must_have_told(&b, "-239.1.0.0/16 config, -239.2.0.0/16 config, +239.4.0.0/16 config, "
                     "~ff3e:20:2001:db8::8000:0/100 config, ");
  bed_clear(&b);
}
