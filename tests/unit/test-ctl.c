/* mallocctl without a daemon: words to parameters, text and tables for a terminal, exit
   statuses. */
#include <config.h>

#include "core/ctl.h"

#include "core/api.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1800000000) /* 2027-01-15T08:00:00Z */

/* ---- arguments ------------------------------------------------------------------------------- */

static const char method_text[] =
  "{'name':'lease.request','params':["
  "{'name':'scope','type':'string','required':true,'help':'the scope'},"
  "{'name':'count','type':'integer'},{'name':'min_lifetime','type':'duration'},"
  "{'name':'start','type':'time'},{'name':'address','type':'span'},"
  "{'name':'client','type':'address'},{'name':'lease','type':'lease-id'},"
  "{'name':'shared','type':'boolean'},{'name':'list','type':'array'},"
  "{'name':'more','type':'object'},{'name':'odd','type':'of-a-later-version'}]}";

static json_object *from_text(const char *text)
{
  g_autofree char *json = g_strdelimit(g_strdup(text), "'", '"');
  json_object *o = json_tokener_parse(json);
  cr_assert_not_null(o, "%s", text);
  return o;
}

static const struct { const char *words, *expected, *error; } word_cases[] = {
  { "local", "{'scope':'local'}", NULL },
  { "--scope local", "{'scope':'local'}", NULL },
  { "--scope=local", "{'scope':'local'}", NULL },
  { "--scope --count", "{'scope':'--count'}", NULL },
  { "-- --scope", "{'scope':'--scope'}", NULL },
  { "x --count 7", "{'scope':'x','count':7}", NULL },
  { "x --count -7", "{'scope':'x','count':-7}", NULL },
  { "x --count 9223372036854775807", "{'scope':'x','count':9223372036854775807}", NULL },
  { "x --count 9223372036854775808", NULL, "not an integer" },
  { "x --count 7x", NULL, "not an integer" },
  { "x --count=", NULL, "not an integer" },
  { "x --count", NULL, "a value must follow" },
  { "x --min-lifetime 1d12h", "{'scope':'x','min_lifetime':129600}", NULL },
  { "x --min_lifetime 90", "{'scope':'x','min_lifetime':90}", NULL },
  { "x --min-lifetime soon", NULL, "not a duration" },
  { "x --start 2030-01-31T18:00:00Z", "{'scope':'x','start':'2030-01-31T18:00:00Z'}", NULL },
  { "x --start +2h", "{'scope':'x','start':'2027-01-15T10:00:00Z'}", NULL },
  { "x --start now", "{'scope':'x','start':'2027-01-15T08:00:00Z'}", NULL },
  { "x --start +x", NULL, "+2h from now" },
  { "x --address 233.252.0.1-233.252.0.9", "{'scope':'x','address':'233.252.0.1-233.252.0.9'}",
    NULL },
  { "x --address 233.252.0.0/24", "{'scope':'x','address':'233.252.0.0/24'}", NULL },
  { "x --address 233.252.0", NULL, "a range A-B" },
  { "x --client 192.0.2.1-192.0.2.2", NULL, "an IPv4 or IPv6 address" },
  { "x --lease 00ff", "{'scope':'x','lease':'00ff'}", NULL },
  { "x --lease 00f", NULL, "hexadecimal" },
  { "x --shared", "{'scope':'x','shared':true}", NULL },
  { "--shared x", "{'shared':true,'scope':'x'}", NULL },
  { "--shared no x", "{'shared':false,'scope':'x'}", NULL },
  { "x --shared=no", "{'scope':'x','shared':false}", NULL },
  { "x --shared=perhaps", NULL, "yes or no" },
  { "x --list a,b", "{'scope':'x','list':['a','b']}", NULL },
  { "x --list [1]", "{'scope':'x','list':[1]}", NULL },
  { "x --list [1", NULL, "a JSON array" },
  { "x --more {}", "{'scope':'x','more':{}}", NULL },
  { "x --more 1", NULL, "a JSON object" },
  { "x --odd 1", "{'scope':'x','odd':'1'}", NULL },
  { "x --cuont 1", NULL, "did you mean --count?" },
  { "x --min-lifetme 1", NULL, "did you mean --min-lifetime?" },
  { "x --zzzzzzzz 1", NULL, "mallocctl help lease request" },
  { "x y", NULL, "one word too many" },
  { "x --count 1 --count 2", NULL, "said twice" },
  { "--count 1", NULL, "--scope is missing: the scope" },
  { "x --scope \xff", NULL, "UTF-8" },
};

Test(ctl_params, are_typed)
{
  json_object *method = from_text(method_text);
  for (size_t i = 0; i < G_N_ELEMENTS(word_cases); i++) {
    GError *error = NULL;
    g_auto(GStrv) words = g_strsplit(word_cases[i].words, " ", -1);
    json_object *o = mal_ctl_params(method, NULL, words, NULL, NOW, &error);
    if (word_cases[i].error) {
      cr_assert_null(o, "%s", word_cases[i].words);
      cr_assert_eq(error->domain, MAL_CTL_ERROR);
      cr_expect_eq(error->code, MAL_CTL_USAGE);
      cr_expect(strstr(error->message, word_cases[i].error), "%s: %s", word_cases[i].words,
                error->message);
      g_error_free(error);
      continue;
    }
    cr_assert(o, "%s: %s", word_cases[i].words, error ? error->message : "");
    json_object *expected = from_text(word_cases[i].expected);
    cr_expect(json_object_equal(o, expected), "%s: %s", word_cases[i].words,
              json_object_to_json_string(o));
    json_object_put(expected);
    json_object_put(o);
  }
  json_object_put(method);
}

Test(ctl_params, positional_and_extra)
{
  static const char *const positional[] = { "lease", "count", NULL };
  MalCtlExtra extra[] = { { "limit", 5, false }, { NULL, 0, false } };
  json_object *method = from_text(method_text);
  char *words[] = { "00", "--limit", "9", "3", "--scope", "x", NULL };
  json_object *o = mal_ctl_params(method, positional, words, extra, NOW, NULL);
  json_object *expected = from_text("{'lease':'00','count':3,'scope':'x'}");
  cr_assert(json_object_equal(o, expected));
  cr_expect(extra[0].given && extra[0].value == 9);
  json_object_put(o);
  json_object_put(expected);
  GError *error = NULL;
  char *zero[] = { "--limit", "0", NULL };
  cr_assert_null(mal_ctl_params(method, positional, zero, extra, NOW, &error));
  cr_expect_str_eq(error->message, "lease request: --limit: \"0\" is not a number above 0");
  g_error_free(error);
  json_object_put(method);
}

Test(ctl_args, own_options_anywhere)
{
  MalCtlArgs args;
  char *argv[] = { "mallocctl", "--json", "leases", "-s", "/a", "--scope", "x", "--socket=/b",
                   "--direct", "--timeout", "2m", "--help" };
  cr_assert(mal_ctl_args_parse(G_N_ELEMENTS(argv), argv, &args, NULL));
  cr_expect(args.json && args.direct && args.help && !args.version);
  cr_expect_str_eq(args.socket, "/b");
  cr_expect_eq(args.timeout, 120);
  g_autofree char *left = g_strjoinv(" ", (char **)args.words->pdata);
  cr_expect_str_eq(left, "leases --scope x");
  mal_ctl_args_clear(&args);

  char *plain[] = { "mallocctl", "status" };
  cr_assert(mal_ctl_args_parse(2, plain, &args, NULL));
  cr_expect_eq(args.timeout, -1);
  mal_ctl_args_clear(&args);

  char *bad[] = { "mallocctl", "--timeout", "never" };
  GError *error = NULL;
  cr_assert_not(mal_ctl_args_parse(G_N_ELEMENTS(bad), bad, &args, &error));
  cr_expect_eq(error->code, MAL_CTL_USAGE);
  g_error_free(error);
  mal_ctl_args_clear(&args);
}

Test(ctl_args, take)
{
  g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
  for (const char *const *w =
           (const char *const[]){ "a", "--via", "b", "--server=c", "--via", NULL };
       *w; w++)
    g_ptr_array_add(words, g_strdup(*w));
  g_ptr_array_add(words, NULL);
  g_autofree char *via = NULL, *server = NULL, *none = NULL;
  cr_assert(mal_ctl_take(words, "--via", &via, NULL) &&
            mal_ctl_take(words, "--server", &server, NULL) &&
            mal_ctl_take(words, "--port", &none, NULL));
  cr_expect_str_eq(via, "b");
  cr_expect_str_eq(server, "c");
  cr_expect_null(none);
  cr_expect_eq(words->len, 3);
  GError *error = NULL;
  cr_expect_not(mal_ctl_take(words, "--via", &none, &error));
  g_error_free(error);
}

Test(ctl_main, exit_status)
{
  static const struct { const char *words; int status;
  } cases[] = {
    { "--version", MAL_CTL_DONE },
    { "help", MAL_CTL_DONE },
    { "", MAL_CTL_USAGE },
    { "statsu", MAL_CTL_USAGE },
    { "lease", MAL_CTL_USAGE },
    { "-s", MAL_CTL_USAGE },
    { "-s /nonexistent/s status", MAL_CTL_NO_DAEMON },
    { "-s /nonexistent/s a b", MAL_CTL_NO_DAEMON },
    { "-s /nonexistent/s config check /nonexistent/f", MAL_CTL_FAILED },
    { "-s /dev/null status", MAL_CTL_NO_DAEMON },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *line = g_strconcat("mallocctl ", cases[i].words, NULL);
    g_auto(GStrv) argv = g_strsplit(g_strstrip(line), " ", -1);
    cr_expect_eq(mal_ctl_main((int)g_strv_length(argv), argv), cases[i].status, "%s",
                 cases[i].words);
  }
}

/* ---- text and times -------------------------------------------------------------------------- */

Test(ctl_show, nothing_harms_the_terminal)
{
  static const struct { const char *text, *utf8, *ascii; } cases[] = {
    { "plain", "plain", "plain" },
    { "\033[2Jx", "?[2Jx", "?[2Jx" },
    { "a\nb\tc\r", "a b c?", "a b c?" },
    { "\xc2\x9b" "1m", "?1m", "?1m" },                    /* a CSI in one character */
    // NOLINTNEXTLINE(misc-misleading-bidirectional): what turns the text around
    { "\xe2\x80\xae" "abc", "?abc", "?abc" },
    { "\xff", "\xef\xbf\xbd", "?" },
    { "für", "für", "f?r" },
    { "\x7f", "?", "?" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    MalCtlTerm term = { .utf8 = true }, poor = { .utf8 = false };
    g_autofree char *rich = mal_ctl_clean(&term, cases[i].text),
                    *plain = mal_ctl_clean(&poor, cases[i].text);
    cr_expect_str_eq(rich, cases[i].utf8);
    cr_expect_str_eq(plain, cases[i].ascii);
  }
  cr_expect_eq(mal_ctl_width("für"), 3);
  cr_expect_eq(mal_ctl_width("e\xcc\x81"), 1);            /* with a combining accent */
  cr_expect_eq(mal_ctl_width("中文"), 4);
}

Test(ctl_show, times)
{
  static const struct { int64_t distance; const char *text;
  } cases[] = {
    { 0, "now" },
    { 1, "in 1 s" },
    { 99, "in 99 s" },
    { 100, "in 1 min" },
    { 42 * 60, "in 42 min" },
    { -300, "5 min ago" },
    { 7200, "in 2 h" },
    { 2 * 86400, "in 2 d" },
    { 4000LL * 86400, "in 10 years" },
    { -86400LL * 9, "9 d ago" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = mal_ctl_relative(NOW + cases[i].distance, NOW);
    cr_expect_str_eq(text, cases[i].text);
  }
  g_autofree char *far = mal_ctl_relative(MAL_FOREVER, -1),
                  *past = mal_ctl_relative(INT64_MIN, NOW);
  cr_expect_str_eq(far, "far ahead");
  cr_expect_str_eq(past, "long ago");
  g_autofree char *short_form = mal_ctl_time(NOW), *never = mal_ctl_time(MAL_FOREVER);
  cr_expect_str_eq(short_form, "2027-01-15 08:00");
  cr_expect_str_eq(never, "never");
}

/* ---- tables ---------------------------------------------------------------------------------- */

typedef void (*Draw)(const MalCtlTerm *term, void *data);

/* What DRAW prints, where a line is WIDTH columns. */
static char *printed(unsigned width, unsigned height, bool utf8, Draw draw, void *data)
{
  char *text = NULL;
  size_t size;
  MalCtlTerm term = { .width = width, .height = height, .utf8 = utf8, .now = NOW };
  term.out = open_memstream(&text, &size);
  draw(&term, data);
  fclose(term.out);
  char *copy = g_strdup(text);
  free(text);
  return copy;
}

static void draw_table(const MalCtlTerm *term, void *data)
{
  static const MalCtlColumn columns[] = {
    { "NAME", false, false },
    { "EMPTY", false, false },
    { "N", true, false },
    { "WHAT", false, true },
  };
  static const char *const cells[] = { "für",   NULL, "7",    "a long story of many words",
                                       "中文x", "",   "1000", NULL };
  MalCtlTable *t = mal_ctl_table_new(columns, G_N_ELEMENTS(columns));
  (void)data;
  for (size_t i = 0; i < G_N_ELEMENTS(cells); i++)
    mal_ctl_table_add(t, cells[i]);
  mal_ctl_table_print(t, term);
  mal_ctl_table_free(t);
}

Test(ctl_show, tables)
{
  g_autofree char *wide = printed(0, 0, true, draw_table, NULL),
                  *narrow = printed(25, 0, true, draw_table, NULL);
  g_autofree char *least = printed(3, 0, false, draw_table, NULL);
  cr_expect_str_eq(wide, "NAME      N  WHAT\n"
                         "für       7  a long story of many words\n"
                         "中文x  1000\n");
  cr_expect_str_eq(narrow, "NAME      N  WHAT\n"
                           "für       7  a long stor…\n"
                           "中文x  1000\n");
  cr_expect_str_eq(least, "NAME     N  WHAT\n"
                          "f?r      7  a long >\n"
                          "??x   1000\n");
}

/* ---- views ----------------------------------------------------------------------------------- */

typedef struct {
  const char *method;
  json_object *answer;
} View;

static void draw_view(const MalCtlTerm *term, void *data)
{
  const View *v = data;
  if (strcmp(v->method, "event") == 0)
    mal_ctl_view_event(term, v->answer);
  else if (strcmp(v->method, "help") == 0)
    mal_ctl_view_method(term, v->answer);
  else
    mal_ctl_view(term, v->method, v->answer);
}

Test(ctl_views, a_tree_is_drawn_whoever_answers_with_one)
{
  View v = { "other.tree",
             json_tokener_parse("{\"tree\":[{\"text\":\"root\",\"branches\":["
                                "{\"text\":\"a\",\"branches\":[{\"text\":\"a1\"},"
                                "{\"text\":\"a2\"}]},"
                                "{\"text\":\"b\\u001b[2J\",\"branches\":[{\"text\":\"b1\"}]},"
                                "{\"branches\":7},3]},{\"text\":\"two\"}],\"truncated\":true}") };
  g_autofree char *lines = printed(0, 0, true, draw_view, &v);
  g_autofree char *ascii = printed(0, 0, false, draw_view, &v);
  cr_expect_str_eq(lines, "root\n├─ a\n│  ├─ a1\n│  └─ a2\n├─ b?[2J\n│  └─ b1\n├─ ?\n└─ ?\ntwo\n"
                          "(there is more than is shown)\n");
  cr_expect_str_eq(ascii, "root\n|- a\n|  |- a1\n|  `- a2\n|- b?[2J\n|  `- b1\n|- ?\n`- ?\ntwo\n"
                          "(there is more than is shown)\n");
  json_object_put(v.answer);
}

/* Whatever a daemon of another version answers, something is shown, and safely. */
Test(ctl_views, answers_of_any_shape)
{
  static const char *const methods[] = {
    "status", "stats.get", "scope.list", "range.list", "lease.list", "lease.get", "reserve.list",
    "plugin.list", "space.usage", "space.map", "rpc.discover", "config.reload", "store.check",
    "route.list",
    "other.thing", "event", "help",
  };
  static const char *const members[] = {
    "state", "roles", "leases", "store", "plugins", "uptime", "scopes", "ranges", "reserves",
    "cells", "methods", "params", "client_leases", "ok", "detail", "note", "lease", "addresses",
    "names", "first", "last", "end", "start", "time", "event", "message", "name", "help", "core",
    "\\u001b[2J", "\xf0",
  };
  static const char *const values[] = {
    "1", "-1", "1e99", "true", "null", "'x'", "'\\u001b[31m'", "'2030-01-31T18:00:00Z'", "[]", "{}",
    "[1]", "[null]", "[[1]]", "['\\u001b']", "[{}]", "[{},1]", "[{'a':null},{'b':{'c':[{}]}}]",
    "{'a':{'b':{'c':{'d':{'e':{'f':1}}}}}}", "[{'lease':1,'addresses':{},'end':{},'names':[1]}]",
    "[{'lease':'00','addresses':[null,{}],'end':'never','names':{'en':null},'first':1}]",
    "'\xf0'", "['\xf8\x80']", "[{'\xf0':'\xf0'}]", "[{'\\u001b':1,'first':'\xf0'}]",
    "[{'name':[],'help':1,'type':{},'params':7}]", "[{'first':'\\u001b','size':1}]",
  };
  for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
    for (size_t j = 0; j < G_N_ELEMENTS(members); j++)
      for (size_t k = 0; k < G_N_ELEMENTS(values); k++) {
        g_autofree char *text = g_strdup_printf("{'%s':%s}", members[j], values[k]);
        View v = { methods[i], from_text(text) };
        g_autofree char *shown = printed(40, 12, true, draw_view, &v);
        cr_expect(!strchr(shown, '\033'), "%s: %s", methods[i], text);
        cr_expect(g_utf8_validate(shown, -1, NULL));
        json_object_put(v.answer);
      }
}

Test(ctl_views, times_are_brief_in_a_narrow_terminal)
{
  View v = { "lease.list", from_text("{'leases':[{'lease':'00ff','scope':'local','count':2,"
                                     "'addresses':['233.252.0.1-233.252.0.2'],'state':'held',"
                                     "'end':'2027-01-15T10:00:00Z'}]}") };
  g_autofree char *wide = printed(0, 0, true, draw_view, &v);
  g_autofree char *narrow = printed(60, 0, true, draw_view, &v);
  cr_expect_str_eq(
      wide, "LEASE  SCOPE  ADDRESSES                COUNT  STATE  ENDS (UTC)\n"
            "00ff   local  233.252.0.1-233.252.0.2      2  held   2027-01-15 10:00 (in 2 h)\n");
  cr_expect_str_eq(narrow, "LEASE  SCOPE  ADDRESSES             COUNT  STATE  ENDS (UTC)\n"
                           "00ff   local  233.252.0.1-233.252…      2  held   in 2 h\n");
  json_object_put(v.answer);
}

Test(ctl_views, answers_of_plugins_say_units_and_what_is_none)
{
  View v = { "x.peers", from_text("{'keys':[],'skew_s':5,'peers':[{'peer':'a','heard_s':7,"
                                  "'loss':0.125},{'peer':'b','heard_s':12,'loss':0.0}]}") };
  g_autofree char *shown = printed(0, 0, true, draw_view, &v);
  cr_expect_str_eq(shown, "keys      none\n"
                          "skew (s)  5\n"
                          "peers:\n"
                          "PEER  HEARD (S)  LOSS\n"
                          "a             7  0.125\n"
                          "b            12  0.0\n");
  json_object_put(v.answer);
}

Test(ctl_views, tables_of_plugins_that_would_be_cut_too_much_are_lists)
{
  View v = { "x.peers", from_text("{'peers':[{'peer':'a','address':'192.0.2.10:2535','sent':1,"
                                  "'heard':'2027-01-15T10:00:00Z','error':'so many words that'},"
                                  "{'peer':'b','address':'192.0.2.11:2535','sent':2}]}") };
  g_autofree char *cut = printed(64, 0, true, draw_view, &v);
  g_autofree char *listed = printed(50, 0, true, draw_view, &v);
  cr_expect_str_eq(cut, "peers:\n"
                        "PEER  ADDRESS          SENT  HEARD   ERROR\n"
                        "a     192.0.2.10:2535     1  in 2 h  so many words that\n"
                        "b     192.0.2.11:2535     2\n");
  cr_expect_str_eq(listed, "peers:\n"
                           "  peer     a\n"
                           "  address  192.0.2.10:2535\n"
                           "  sent     1\n"
                           "  heard    2027-01-15 10:00 (in 2 h)\n"
                           "  error    so many words that\n"
                           "\n"
                           "  peer     b\n"
                           "  address  192.0.2.11:2535\n"
                           "  sent     2\n");
  json_object_put(v.answer);
}

Test(ctl_views, counters_in_a_row_are_said_by_name)
{
  View v = { "x.peers", from_text("{'peers':[{'peer':'a','sent':{'OPEN':1,'UPDATE':0,"
                                  "'KEEPALIVE':2}},{'peer':'b','sent':{}}]}") };
  g_autofree char *shown = printed(0, 0, true, draw_view, &v);
  cr_expect_str_eq(shown, "peers:\n"
                          "PEER  SENT\n"
                          "a     OPEN 1, KEEPALIVE 2\n"
                          "b\n");
  json_object_put(v.answer);
}

Test(ctl_views, lease)
{
  View v = { "lease.request", from_text("{'lease':'00ff','scope':'local','count':2,'via':'x',"
                                        "'addresses':['233.252.0.1','233.252.0.5'],'shared':false,"
                                        "'start':'2027-01-15T10:00:00Z','end':null}") };
  g_autofree char *shown = printed(0, 0, true, draw_view, &v);
  cr_expect_str_eq(shown, "lease      00ff\n"
                          "scope      local\n"
                          "addresses  233.252.0.1, 233.252.0.5\n"
                          "count      2\n"
                          "starts     2027-01-15 10:00 (in 2 h)\n"
                          "ends       never\n"
                          "via        x\n");
  json_object_put(v.answer);
}

/* ---- the map --------------------------------------------------------------------------------- */

static void draw_map(const MalCtlTerm *term, void *data)
{
  json_object *map = from_text(data);
  mal_ctl_map_draw(term, map);
  json_object_put(map);
}

Test(ctl_map, glyphs)
{
  static char map[] =
    "{'scope':'s','first':'233.252.0.0','last':'233.252.0.255','cells':["
    "{'first':'233.252.0.0','size':16,'owned':16},"
    "{'first':'233.252.0.16','size':16,'owned':16,'leased':1},"
    "{'first':'233.252.0.32','size':16,'owned':16,'leased':8},"
    "{'first':'233.252.0.48','size':16,'owned':16,'leased':15},"
    "{'first':'233.252.0.64','size':16,'owned':16,'leased':16},"
    "{'first':'233.252.0.80','size':16,'owned':16,'reserved':16},"
    "{'first':'233.252.0.96','size':16,'owned':16,'reserved':8},"
    "{'first':'233.252.0.112','size':16,'owned':16,'leased':4,'reserved':12},"
    "{'first':'233.252.0.128','size':16,'owned':0,'excluded':16}]}";
  g_autofree char *drawn = printed(0, 0, true, draw_map, map),
                  *typed = printed(24, 0, false, draw_map, map);
  cr_expect_str_eq(drawn, "s 233.252.0.0-233.252.0.255\n"
                          "233.252.0.0    ·▁▅▇█×·█░\n"
                          "\n"
                          "· free 48   ▁-█ leased 44   × reserved 36   ░ never leased 16\n"
                          "144 addresses, 16 to a character\n");
  cr_expect_str_eq(typed, "s 233.252.0.0-233.252.0.255\n"
                          "233.252.0.0    .157#x.#\n"
                          "233.252.0.128  -\n"
                          "\n"
                          ". free 48   1-# leased 44   x reserved 36   - never leased 16\n"
                          "144 addresses, 16 to a character\n");
}

Test(ctl_map, nothing_to_draw)
{
  static char *const maps[] = { "{'scope':'s','cells':[]}", "{'cells':7}", "[]",
                                "{'cells':[1,null]}" };
  for (size_t i = 0; i < G_N_ELEMENTS(maps); i++) {
    g_autofree char *text = printed(80, 24, true, draw_map, maps[i]);
    cr_expect_not_null(text);
  }
}

Test(ctl_map, cells_are_powers_of_two)
{
  static const struct { unsigned width, height; uint64_t total; unsigned cells;
  } cases[] = {
    { 0, 0, 1, 1 },         { 0, 0, 1024, 1024 },   { 0, 0, 1025, 513 },
    { 80, 24, 65536, 512 }, { 80, 24, 65535, 512 }, { 80, 50, 1 << 28, 1024 },
    { 40, 10, 256, 64 },    { 10, 3, 256, 32 },     { 0, 0, UINT64_MAX, 1024 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    MalCtlTerm term = { .width = cases[i].width, .height = cases[i].height };
    unsigned cells = mal_ctl_map_cells(&term, cases[i].total);
    cr_expect_eq(cells, cases[i].cells, "%zu: %u", i, cells);
  }
}
