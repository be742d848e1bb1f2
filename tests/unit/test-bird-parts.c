/* The parts of the exporter for BIRD that touch nothing: the file, the answers, the machine. */
#include "plugins/bird/bird-file.h"
#include "plugins/bird/bird-sync.h"
#include "plugins/bird/bird-wire.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- the file -------------------------------------------------------------------------------- */

#define HEAD                                                                                       \
  "# Written by mallocd: the group prefixes of which this domain is the root. Don't change it:\n"  \
  "# it is written anew with every change of them.\n"

static const BirdForm flow = { .kind = BIRD_FLOW, .table = { "g4", "g6" },
                               .protocol = { "m4", "m6" }, .preference = 200, .most = 100 };

static void add_until(MalRoutes *routes, const char *text, const char *source, MalTime until)
{
  MalPrefix prefix;
  cr_assert(mal_prefix_parse(text, &prefix, NULL), "%s", text);
  cr_assert(mal_routes_add(routes, prefix, until, source, NULL), "%s", text);
}

static void add(MalRoutes *routes, const char *text, const char *source)
{
  add_until(routes, text, source, MAL_FOREVER);
}

static MalRoutes *some_routes(void)
{
  MalRoutes *routes = mal_routes_new();
  add(routes, "ff3e:20:2001:db8::/96", "masc");
  add(routes, "239.2.0.0/16", "masc");
  add(routes, "239.1.0.0/16", "masc");
  add(routes, "239.1.0.0/16", "config");
  add(routes, "239.1.2.0/24", "config");
  return routes;
}

static void must_write(const BirdForm *form, const char *text, BirdCount want)
{
  MalRoutes *routes = some_routes();
  BirdCount count;
  g_autofree char *file = bird_file(form, routes, &count);
  g_autofree char *whole = g_strconcat(HEAD, text, NULL);
  cr_expect_str_eq(file, whole, "%s", file);
  cr_expect_eq(count.routes, want.routes);
  cr_expect_eq(count.left_out, want.left_out);
  cr_expect_eq(count.other, want.other);
  mal_routes_free(routes);
}

Test(bird_file, flow_rules)
{
  must_write(&flow,
             "\nprotocol static m4 {\n  flow4 {\n    table g4;\n    preference 200;\n  };\n"
             "  route flow4 { dst 239.1.0.0/16; };\n  route flow4 { dst 239.1.2.0/24; };\n"
             "  route flow4 { dst 239.2.0.0/16; };\n}\n"
             "\nprotocol static m6 {\n  flow6 {\n    table g6;\n    preference 200;\n  };\n"
             "  route flow6 { dst ff3e:20:2001:db8::/96; };\n}\n",
             (BirdCount){ .routes = 4 });
}

#define IN_2030 ((MalTime)1893456000)

/* For who looks after the file while mallocd is down. Of what is one route, the latest end, and
   those of its parts where they are not all the same. */
Test(bird_file, ends_of_routes)
{
  static const struct {
    bool aggregate;
    const char *lines;
  } table[] = {
    { false, "  route flow4 { dst 239.1.0.0/17; };  # until 2030-01-01T00:00:00Z\n"
             "  route flow4 { dst 239.1.4.0/24; };\n"
             "  route flow4 { dst 239.1.128.0/17; };  # until 2030-01-01T00:01:00Z\n"
             "  route flow4 { dst 239.4.0.0/16; };  # until 2030-01-01T00:00:03Z\n"
             "  route flow4 { dst 239.5.0.0/16; };\n"
             "  route flow4 { dst 239.8.0.0/16; };  # until 2030-01-01T00:00:07Z\n"
             "  route flow4 { dst 239.9.0.0/16; };  # until 2030-01-01T00:00:07Z\n" },
    { true, "  route flow4 { dst 239.1.0.0/16; };\n"
            "  # part route flow4 { dst 239.1.0.0/17; };  # until 2030-01-01T00:00:00Z\n"
            "  # part route flow4 { dst 239.1.4.0/24; };\n"
            "  # part route flow4 { dst 239.1.128.0/17; };  # until 2030-01-01T00:01:00Z\n"
            "  route flow4 { dst 239.4.0.0/15; };\n"
            "  # part route flow4 { dst 239.4.0.0/16; };  # until 2030-01-01T00:00:03Z\n"
            "  # part route flow4 { dst 239.4.0.0/16; };  # until 2030-01-01T00:00:01Z\n"
            "  # part route flow4 { dst 239.5.0.0/16; };  # until 2030-01-01T00:00:00Z\n"
            "  # part route flow4 { dst 239.5.0.0/16; };\n"
            "  route flow4 { dst 239.8.0.0/15; };  # until 2030-01-01T00:00:07Z\n"
            "}\n" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    MalRoutes *routes = mal_routes_new();
    BirdForm form = { .kind = BIRD_FLOW, .table = { "g4" }, .protocol = { "m4" },
                      .preference = 200, .most = 100, .aggregate = table[i].aggregate };
    BirdCount count;
    add_until(routes, "239.1.0.0/17", "masc", IN_2030);
    add(routes, "239.1.4.0/24", "config");
    add_until(routes, "239.1.128.0/17", "masc", IN_2030 + 60);
    add_until(routes, "239.4.0.0/16", "a", IN_2030 + 3);
    add_until(routes, "239.4.0.0/16", "b", IN_2030 + 1);
    add_until(routes, "239.5.0.0/16", "a", IN_2030);
    add(routes, "239.5.0.0/16", "b");
    add_until(routes, "239.8.0.0/16", "a", IN_2030 + 7);
    add_until(routes, "239.9.0.0/16", "a", IN_2030 + 7);
    g_autofree char *file = bird_file(&form, routes, &count);
    cr_expect(strstr(file, table[i].lines), "%s", file);
    mal_routes_free(routes);
  }
}

Test(bird_file, ends_are_nothing_to_bird)
{
  static const struct {
    const char *a, *b;
    bool same;
  } table[] = {
    { "", "", true },
    { "x;\n", "x;\n", true },
    { "x;  # until 1\ny;\n", "x;  # until 2\ny;\n", true },
    { "x;\ny;\n", "x;  # until 2\ny;\n", true },
    { "x;  # until 2", "x;", true },
    { "x;  # until 1\ny;\n", "x;  # until 1\n", false },
    { "x;  # until 1\ny;\n", "x;  # until 1\nz;\n", false },
    { "x;\n", "", false },
    { "x;\n  # part y\n  # part z", "x;\n", true },
    { "x;\n  # part y\nw\n", "x;\n  # part z\n  # part y\nw\n", true },
    { "x;\n  # part y\nw\n", "x;\nv\n", false },
    { "  # part y\nx;\n", "x;\n", true },
    { "# a\n", "# b\n", false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    cr_expect_eq(bird_file_is_same(table[i].a, table[i].b), table[i].same, "%zu", i);
    cr_expect_eq(bird_file_is_same(table[i].b, table[i].a), table[i].same, "%zu", i);
  }
}

Test(bird_file, other_kinds)
{
  static const char *const words[] = { "", "blackhole", "unreachable", "prohibit" };
  for (BirdRouteKind kind = BIRD_BLACKHOLE; kind <= BIRD_PROHIBIT; kind++) {
    BirdForm form = flow;
    form.kind = kind;
    form.table[BIRD_V6] = NULL;
    form.filter = "mark";
    form.preference = 7;
    form.most = 2;
    g_autofree char *text = g_strdup_printf(
        "\nprotocol static m4 {\n  ipv4 {\n    table g4;\n    preference 7;\n"
        "    import filter mark;\n  };\n  route 239.1.0.0/16 %s;\n  route 239.1.2.0/24 %s;\n}\n",
        words[kind], words[kind]);
    must_write(&form, text, (BirdCount){ 2, 1, 1 });
  }
}

Test(bird_file, via_an_address)
{
  BirdForm form = flow;
  form.kind = BIRD_VIA;
  form.table[BIRD_V4] = NULL;
  cr_assert(mal_address_parse("2001:db8::1", &form.via[BIRD_V6], NULL));
  must_write(&form,
             "\nprotocol static m6 {\n  ipv6 {\n    table g6;\n    preference 200;\n  };\n"
             "  route ff3e:20:2001:db8::/96 via 2001:db8::1;\n}\n",
             (BirdCount){ 1, 0, 3 });
}

Test(bird_file, aggregation)
{
  static const struct {
    const char *routes, *want;
  } table[] = {
    { "239.0.0.0/9 239.128.0.0/9", "239.0.0.0/8" },
    { "239.128.0.0/9 239.127.0.0/16", "239.127.0.0/16 239.128.0.0/9" },
    { "239.1.0.0/16 239.2.0.0/16", "239.1.0.0/16 239.2.0.0/16" },
    { "239.2.0.0/16 239.3.0.0/16", "239.2.0.0/15" },
    { "239.2.0.0/16 239.3.0.0/17 239.3.128.0/18 239.3.192.0/18", "239.2.0.0/15" },
    { "239.2.0.0/15 239.2.7.0/24 239.3.0.0/16 239.4.0.0/16", "239.2.0.0/15 239.4.0.0/16" },
    { "239.2.0.0/32 239.2.0.1/32 239.2.0.2/31 239.2.0.4/32", "239.2.0.0/30 239.2.0.4/32" },
    { "224.0.0.0/5 232.0.0.0/5", "224.0.0.0/4" },
    { "239.2.0.0/16 239.2.0.0/17", "239.2.0.0/16" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    BirdForm form = flow;
    MalRoutes *routes = mal_routes_new();
    g_auto(GStrv) words = g_strsplit(table[i].routes, " ", -1);
    g_auto(GStrv) want = g_strsplit(table[i].want, " ", -1);
    BirdCount count;
    form.aggregate = true;
    for (size_t k = 0; words[k]; k++)
      add(routes, words[k], "masc");
    g_autofree char *file = bird_file(&form, routes, &count);
    cr_expect_eq(count.routes, g_strv_length(want), "%zu: %s", i, file);
    for (size_t k = 0; want[k]; k++) {
      g_autofree char *rule = g_strdup_printf("{ dst %s; };\n", want[k]);
      cr_expect(strstr(file, rule), "%s: %s", want[k], file);
    }
    mal_routes_free(routes);
  }
}

Test(bird_file, without_routes_the_protocols_are_there)
{
  BirdForm nothing = { 0 };
  BirdCount count;
  g_autofree char *empty = bird_file(&nothing, NULL, &count);
  cr_expect_str_eq(empty, HEAD);
  g_autofree char *file = bird_file(&flow, NULL, &count);
  cr_expect(strstr(file, "protocol static m4") && strstr(file, "protocol static m6"));
  cr_expect_null(strstr(file, "route"));
}

Test(bird_file, symbols)
{
  static const struct {
    const char *name;
    bool ok;
  } table[] = {
    { "gtab4", true },   { "_x", true },   { "A_9", true },   { "", false },
    { "4gtab", false },  { "a-b", false }, { "a b", false },  { "a;", false },
    { "a\n}", false },   { "g\xc3\xa4", false }, { "'a'", false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
    cr_expect_eq(bird_is_symbol(table[i].name), table[i].ok, "%s", table[i].name);
  g_autofree char *most = g_strnfill(63, 'a'), *more = g_strnfill(64, 'a');
  cr_expect(bird_is_symbol(most));
  cr_expect_not(bird_is_symbol(more));
}

/* ---- answers --------------------------------------------------------------------------------- */

Test(bird_wire, answers)
{
  static const struct {
    const char *data;
    BirdRead last;
    unsigned code;            /* of the last whole one */
    const char *text;
    unsigned whole;
  } table[] = {
    { "0001 BIRD 2.0.12 ready.\n", BIRD_WHOLE, 1, "BIRD 2.0.12 ready.", 1 },
    { "0001 BIRD 2.0.12 ready.", BIRD_MORE, 0, "", 0 },
    { "0002-Reading configuration from a.conf\n0003 Reconfigured\n", BIRD_WHOLE, 3, "Reconfigured",
      1 },
    { "1007-Table g:\n flow4 { }  [a]\n 0003 no code\n0000 \n", BIRD_WHOLE, 0, "", 1 },
    { "0003 one\n8002 a.conf:1:2 two\n", BIRD_WHOLE, 8002, "a.conf:1:2 two", 2 },
    { "0003 one\n8002-two\n", BIRD_MORE, 3, "one", 1 },
    { "0003 \x1b[31m\t\x80\n", BIRD_WHOLE, 3, "?[31m??", 1 },
    { "\n", BIRD_GARBLED, 0, "", 0 },
    { "0003\n", BIRD_GARBLED, 0, "", 0 },
    { "003 x\n", BIRD_GARBLED, 0, "", 0 },
    { "0003: x\n", BIRD_GARBLED, 0, "", 0 },
    { "00o3 x\n", BIRD_GARBLED, 0, "", 0 },
    { "+003 x\n", BIRD_GARBLED, 0, "", 0 },
    { "HTTP/1.1 400 Bad Request\r\n", BIRD_GARBLED, 0, "", 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
    /* in pieces of every size */
    for (size_t piece = 1; piece <= strlen(table[i].data); piece++) {
      BirdReader reader = { 0 };
      BirdAnswer answer = { 0 };
      BirdRead read = BIRD_MORE;
      unsigned whole = 0;
      for (size_t at = 0; at < strlen(table[i].data) && read != BIRD_GARBLED; at += piece) {
        MalReader data =
            mal_reader(table[i].data + at, MIN(piece, strlen(table[i].data) - at));
        while (mal_reader_more(&data) && read != BIRD_GARBLED) {
          read = bird_read(&reader, &data, &answer);
          whole += read == BIRD_WHOLE;
        }
      }
      cr_assert_eq(read, table[i].last, "%zu in pieces of %zu", i, piece);
      cr_assert_eq(whole, table[i].whole, "%zu", i);
      cr_assert_eq(answer.code, table[i].code, "%zu", i);
      cr_assert_str_eq(answer.text, table[i].text, "%zu", i);
    }
}

Test(bird_wire, long_ones_are_cut_and_endless_ones_refused)
{
  g_autofree char *long_text = g_strnfill(4 * BIRD_LINE, 'x');
  g_autofree char *line = g_strdup_printf("8002 %s\n", long_text);
  MalReader data = mal_reader(line, strlen(line));
  BirdReader reader = { 0 };
  BirdAnswer answer;
  cr_assert_eq(bird_read(&reader, &data, &answer), BIRD_WHOLE);
  cr_expect_eq(strlen(answer.text), BIRD_LINE - 5);
  for (size_t i = 0; i <= BIRD_ANSWER / 8; i++) {
    data = mal_reader("0002-ab\n", 8);
    BirdRead read = bird_read(&reader, &data, &answer);
    cr_assert_eq(read, i < BIRD_ANSWER / 8 ? BIRD_MORE : BIRD_GARBLED, "%zu", i);
  }
}

/* ---- the machine ----------------------------------------------------------------------------- */

#define S MAL_US

/* '.' nothing, 'W' write, 'C' call, 'A' ask, 'U' undo */
typedef struct {
  int64_t at;                 /* seconds */
  BirdEvent event;
  char action;
  BirdState state;
  int64_t due;                /* seconds; -1: never */
} Step;

static void play(int64_t asked, const Step *steps, size_t n)
{
  BirdSync sync = bird_sync((BirdTimes){ 1 * S, 10 * S, 5 * S, 2 * S, 16 * S });
  sync.asked = asked;
  for (size_t i = 0; i < n; i++) {
    BirdAction action = bird_sync_step(&sync, steps[i].event, steps[i].at * S);
    cr_assert_eq(".WCAU"[action], steps[i].action, "step %zu: %c", i, ".WCAU"[action]);
    cr_assert_eq(sync.state, steps[i].state, "step %zu: %s", i, bird_state_name(sync.state));
    cr_assert_eq(sync.due, steps[i].due < 0 ? BIRD_NEVER : steps[i].due * S, "step %zu: due %ld", i,
                 (long)(sync.due / S));
  }
}
#define PLAY_FROM(asked, ...)                                                                      \
  do {                                                                                             \
    static const Step steps[] = { __VA_ARGS__ };                                                   \
    play(asked, steps, G_N_ELEMENTS(steps));                                                       \
  } while (0)
/* Long after the first round. */
#define PLAY(...) PLAY_FROM(0, __VA_ARGS__)

#define ROUND(t)                                                                                   \
  { t, BIRD_DUE, 'W', BIRD_WRITING, -1 }, { t, BIRD_WRITTEN, 'C', BIRD_CALLING, t + 5 },           \
  { t, BIRD_GREETED, 'A', BIRD_ASKING, t + 5 }

Test(bird_sync, changes_gather_and_rounds_keep_their_distance)
{
  PLAY({ 100, BIRD_CHANGED, '.', BIRD_WAITING, 101 }, { 100, BIRD_CHANGED, '.', BIRD_WAITING, 101 },
       { 100, BIRD_DUE, '.', BIRD_WAITING, 101 }, ROUND(101),
       { 101, BIRD_ACCEPTED, '.', BIRD_IDLE, -1 }, { 102, BIRD_CHANGED, '.', BIRD_WAITING, 111 },
       { 105, BIRD_CHANGED, '.', BIRD_WAITING, 111 }, ROUND(111),
       { 111, BIRD_ACCEPTED, '.', BIRD_IDLE, -1 }, { 200, BIRD_CHANGED, '.', BIRD_WAITING, 201 });
}

/* What BIRD has may be over; but a disk that fails isn't worn by it. */
Test(bird_sync, the_first_round_comes_at_once)
{
  PLAY_FROM(BIRD_NEVER, { 100, BIRD_CHANGED, '.', BIRD_WAITING, 100 }, ROUND(100),
            { 100, BIRD_ACCEPTED, '.', BIRD_IDLE, -1 },
            { 100, BIRD_CHANGED, '.', BIRD_WAITING, 110 });
  PLAY_FROM(BIRD_NEVER, { 100, BIRD_CHANGED, '.', BIRD_WAITING, 100 },
            { 100, BIRD_DUE, 'W', BIRD_WRITING, -1 },
            { 100, BIRD_NOT_WRITTEN, '.', BIRD_WAITING, 102 },
            { 100, BIRD_CHANGED, '.', BIRD_WAITING, 101 });
}

Test(bird_sync, a_change_during_a_round_is_for_the_next)
{
  PLAY({ 100, BIRD_CHANGED, '.', BIRD_WAITING, 101 }, { 101, BIRD_DUE, 'W', BIRD_WRITING, -1 },
       { 101, BIRD_CHANGED, '.', BIRD_WRITING, -1 }, { 101, BIRD_WRITTEN, 'C', BIRD_CALLING, 106 },
       { 101, BIRD_CHANGED, '.', BIRD_CALLING, 106 }, { 101, BIRD_GREETED, 'A', BIRD_ASKING, 106 },
       { 102, BIRD_CHANGED, '.', BIRD_ASKING, 106 }, { 102, BIRD_ACCEPTED, '.', BIRD_WAITING, 111 },
       { 111, BIRD_DUE, 'W', BIRD_WRITING, -1 }, { 111, BIRD_SAME, '.', BIRD_IDLE, -1 });
}

Test(bird_sync, failures_wait_twice_as_long_each_time)
{
  PLAY({ 100, BIRD_CHANGED, '.', BIRD_WAITING, 101 }, { 101, BIRD_DUE, 'W', BIRD_WRITING, -1 },
       { 101, BIRD_NOT_WRITTEN, '.', BIRD_WAITING, 103 }, { 103, BIRD_DUE, 'W', BIRD_WRITING, -1 },
       { 103, BIRD_WRITTEN, 'C', BIRD_CALLING, 108 }, { 103, BIRD_LOST, '.', BIRD_WAITING, 107 },
       ROUND(107), { 111, BIRD_DUE, '.', BIRD_ASKING, 112 },
       { 112, BIRD_DUE, '.', BIRD_WAITING, 120 }, ROUND(120),
       { 121, BIRD_REFUSED, 'U', BIRD_UNDOING, -1 }, { 121, BIRD_WRITTEN, '.', BIRD_WAITING, 137 },
       ROUND(137), { 137, BIRD_REFUSED, 'U', BIRD_UNDOING, -1 },
       { 137, BIRD_NOT_WRITTEN, '.', BIRD_WAITING, 153 }, ROUND(153),
       { 153, BIRD_ACCEPTED, '.', BIRD_IDLE, -1 }, { 300, BIRD_CHANGED, '.', BIRD_WAITING, 301 },
       { 301, BIRD_DUE, 'W', BIRD_WRITING, -1 }, { 301, BIRD_NOT_WRITTEN, '.', BIRD_WAITING, 303 });
}

/* What a BIRD reads that starts meanwhile must be what there is. */
Test(bird_sync, a_change_does_not_wait_for_the_next_attempt)
{
  PLAY({ 100, BIRD_CHANGED, '.', BIRD_WAITING, 101 }, ROUND(101),
       { 101, BIRD_LOST, '.', BIRD_WAITING, 103 }, ROUND(103),
       { 103, BIRD_LOST, '.', BIRD_WAITING, 107 }, ROUND(107),
       { 107, BIRD_LOST, '.', BIRD_WAITING, 115 }, ROUND(115),
       { 115, BIRD_LOST, '.', BIRD_WAITING, 131 }, { 116, BIRD_CHANGED, '.', BIRD_WAITING, 125 },
       { 120, BIRD_CHANGED, '.', BIRD_WAITING, 125 }, ROUND(125),
       { 126, BIRD_CHANGED, '.', BIRD_ASKING, 130 }, { 126, BIRD_LOST, '.', BIRD_WAITING, 135 });
}

Test(bird_sync, the_operator_waits_for_nothing)
{
  PLAY({ 100, BIRD_NOW, '.', BIRD_WAITING, 100 }, ROUND(100),
       { 100, BIRD_NOW, '.', BIRD_ASKING, 105 }, { 101, BIRD_ACCEPTED, '.', BIRD_WAITING, 110 },
       { 102, BIRD_NOW, '.', BIRD_WAITING, 102 });
}

/* Whatever comes in whatever state, something is done about it, and nothing is asked for that the
   state doesn't allow. */
Test(bird_sync, every_event_in_every_state)
{
  static const BirdState after[] = { BIRD_IDLE,   BIRD_WRITING, BIRD_CALLING,
                                     BIRD_ASKING, BIRD_UNDOING };
  for (BirdState state = BIRD_IDLE; state < BIRD_N_STATES; state++)
    for (BirdEvent event = BIRD_CHANGED; event <= BIRD_LOST; event++) {
      BirdSync sync = bird_sync((BirdTimes){ 1 * S, 10 * S, 5 * S, 2 * S, 16 * S });
      sync.state = state;
      sync.due = state == BIRD_WAITING || state == BIRD_CALLING || state == BIRD_ASKING ? 7 * S
                                                                                       : BIRD_NEVER;
      BirdAction action = bird_sync_step(&sync, event, 7 * S);
      cr_expect(action == BIRD_NOTHING || sync.state == after[action], "%d %d", state, event);
      bool timed = sync.state == BIRD_WAITING || sync.state == BIRD_CALLING ||
                   sync.state == BIRD_ASKING;
      cr_expect_eq(sync.due != BIRD_NEVER, timed, "%d %d", state, event);
    }
}
