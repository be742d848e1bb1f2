#include <criterion/criterion.h>
#include <json-c/json.h>
#include <string.h>

#include "core/events.h"
#include "core/metrics.h"
#include "tests/support/fake-runtime.h"

static const MalEventDef granted = { "lease.granted", MAL_FAULT_NOBODY, MAL_LOG_INFO, "help" };
static const MalEventDef malformed = { "madcap.malformed", MAL_FAULT_PEER, MAL_LOG_WARNING,
                                       "help" };
static const MalEventDef refused = { "madcap.refused", MAL_FAULT_PEER, MAL_LOG_DEBUG, "help" };

typedef struct {
  FakeRuntime *fake;
  MalEvents *events;
  GPtrArray *lines;
} Fixture;

static void keep_line(MalLogLevel level, const char *line, void *data)
{
  (void) level;
  g_ptr_array_add(data, g_strdup(line));
}

static Fixture fixture(MalLogLevel level, MalLogFormat format)
{
  Fixture x = { .fake = fake_runtime_new(), .lines = g_ptr_array_new_with_free_func(g_free) };
  x.events = mal_events_new(fake_runtime(x.fake), keep_line, x.lines);
  mal_events_set_log(x.events, level, format);
  return x;
}

static void done(Fixture *x)
{
  mal_events_free(x->events);
  fake_runtime_free(x->fake);
  g_ptr_array_unref(x->lines);
}

static const char *line(const Fixture *x, guint n)
{
  return n < x->lines->len ? x->lines->pdata[n] : "(no such line)";
}

Test(events, text_line_shows_every_type_of_field)
{
  Fixture x = fixture(MAL_LOG_INFO, MAL_LOG_TEXT);
  MalField fields[] = {
    MAL_F_STRING("scope", "local"),
    MAL_F_INT("count", -3),
    MAL_F_ADDRESS("client", mal_address_ipv4(0xc0000201)),
    MAL_F_TIME("until", 1893456000),
    MAL_F_TIME("end", MAL_FOREVER),
    MAL_F_BYTES("id", (const uint8_t *) "\x00\xff", 2),
    MAL_F_STRING("nothing", NULL),
    MAL_F_ADDRESS("nobody", mal_address_none()),
  };
  MAL_EVENT(x.events, &granted, fields, "%d addresses leased", 3);
  cr_assert_str_eq(
      line(&x, 0),
      "2026-01-01T00:00:00Z info lease.granted: 3 addresses leased [scope=local count=-3 "
      "client=192.0.2.1 until=2030-01-01T00:00:00Z end=never id=00ff nothing=- nobody=-]");
  mal_event(x.events, &granted, NULL, 0, "bare");
  cr_assert_str_eq(line(&x, 1), "2026-01-01T00:00:00Z info lease.granted: bare");
  done(&x);
}

Test(events, what_a_peer_sends_cannot_break_a_line)
{
  Fixture x = fixture(MAL_LOG_INFO, MAL_LOG_TEXT);
  MalField fields[] = { MAL_F_STRING("name", "a\nb\\n\x1b[2J\x7f") };
  MAL_EVENT(x.events, &granted, fields, "na\xc3\xafve \xff\xc3 \xc2\x9b end");
  cr_assert_str_eq(
      line(&x, 0),
      "2026-01-01T00:00:00Z info lease.granted: na\xc3\xafve \\xff\\xc3 \\xc2\\x9b end "
      "[name=a\\x0ab\\\\n\\x1b[2J\\x7f]");
  uint8_t many[200] = { 0 };
  MalField bytes[] = { MAL_F_BYTES("data", many, sizeof many) };
  MAL_EVENT(x.events, &granted, bytes, "x");
  cr_assert(g_str_has_suffix(line(&x, 1), "000...(200 octets)]"));
  done(&x);
}

Test(events, json_line_parses_and_keeps_types)
{
  Fixture x = fixture(MAL_LOG_INFO, MAL_LOG_JSON);
  MalField fields[] = { MAL_F_STRING("scope", "lo\"cal\n"), MAL_F_INT("count", INT64_MAX),
                        MAL_F_ADDRESS("client", mal_address_none()), MAL_F_TIME("until", 0),
                        MAL_F_BYTES("id", (const uint8_t *) "\x0a\xbc", 2) };
  MAL_EVENT(x.events, &granted, fields, "broken \xff utf-8");
  cr_assert_str_eq(
      line(&x, 0),
      "{\"time\":\"2026-01-01T00:00:00Z\",\"level\":\"info\",\"event\":\"lease.granted\","
      "\"fault\":\"nobody\",\"message\":\"broken \xef\xbf\xbd utf-8\",\"fields\":{"
      "\"scope\":\"lo\\\"cal\\n\",\"count\":9223372036854775807,\"client\":null,"
      "\"until\":\"1970-01-01T00:00:00Z\",\"id\":\"0abc\"}}");
  struct json_object *o = json_tokener_parse(line(&x, 0));
  cr_assert_not_null(o);
  json_object_put(o);
  done(&x);
}

static const char *never_read(void)
{
  return (const char *) 8;    /* formatting it would crash */
}

Test(events, nothing_is_formatted_that_nobody_wants)
{
  Fixture x = fixture(MAL_LOG_INFO, MAL_LOG_TEXT);
  cr_assert(mal_event_wanted(x.events, &granted));
  cr_assert_not(mal_event_wanted(x.events, &refused));
  cr_assert_not(mal_event_wanted(NULL, &granted));
  mal_event(x.events, &refused, NULL, 0, "%s", never_read());
  mal_event(NULL, &granted, NULL, 0, "%s", never_read());
  cr_assert_eq(x.lines->len, 0);
  mal_events_set_log(x.events, MAL_LOG_DEBUG, MAL_LOG_TEXT);
  cr_assert(mal_event_wanted(x.events, &refused));
  mal_events_set_log(x.events, MAL_LOG_ERROR, MAL_LOG_TEXT);
  cr_assert_not(mal_event_wanted(x.events, &malformed));
  done(&x);
}

static void flood(Fixture *x, const MalEventDef *def, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    mal_event(x->events, def, NULL, 0, "n %u", i);
}

Test(events, peers_get_ten_lines_then_one_a_second)
{
  Fixture x = fixture(MAL_LOG_INFO, MAL_LOG_TEXT);
  flood(&x, &malformed, 1000);
  cr_assert_eq(x.lines->len, 10);
  fake_advance_us(x.fake, 999999);
  flood(&x, &malformed, 1);
  cr_assert_eq(x.lines->len, 10, "a token came back too early");
  fake_advance_us(x.fake, 1);
  flood(&x, &malformed, 5);
  cr_assert_eq(x.lines->len, 12);
  cr_assert_str_eq(
      line(&x, 10),
      "2026-01-01T00:00:01Z warning events.suppressed: 991 more madcap.malformed were not "
      "shown in the last 1 s [kind=madcap.malformed count=991]");
  cr_assert_str_eq(line(&x, 11), "2026-01-01T00:00:01Z warning madcap.malformed: n 0");
  done(&x);
}

Test(events, what_was_suppressed_is_said_though_no_more_comes)
{
  Fixture x = fixture(MAL_LOG_INFO, MAL_LOG_TEXT);
  flood(&x, &malformed, 17);
  fake_advance(x.fake, 9);
  cr_assert_eq(x.lines->len, 10);
  fake_advance(x.fake, 1);
  cr_assert_eq(x.lines->len, 11);
  cr_assert(strstr(line(&x, 10), "7 more madcap.malformed were not shown in the last 10 s"));
  fake_advance(x.fake, 3600);
  cr_assert_eq(x.lines->len, 11);
  flood(&x, &malformed, 17);
  cr_assert_eq(x.lines->len, 21, "the bucket holds ten, however long it waited");
  done(&x);
}

Test(events, each_kind_has_its_own_bucket_and_only_peers_have_one)
{
  Fixture x = fixture(MAL_LOG_DEBUG, MAL_LOG_TEXT);
  flood(&x, &malformed, 50);
  flood(&x, &refused, 50);
  cr_assert_eq(x.lines->len, 20);
  flood(&x, &granted, 50);
  cr_assert_eq(x.lines->len, 70);
  fake_step_wall(x.fake, 86400);
  flood(&x, &malformed, 1);
  cr_assert_eq(x.lines->len, 70, "tokens follow the monotonic clock");
  done(&x);
}

Test(events, the_remark_has_the_level_of_what_it_speaks_of)
{
  Fixture x = fixture(MAL_LOG_INFO, MAL_LOG_TEXT);
  flood(&x, &refused, 50);
  fake_advance(x.fake, 60);
  cr_assert_eq(x.lines->len, 0);
  done(&x);
}

typedef struct {
  MalEvents *events;
  unsigned id, other;
  unsigned calls;
  bool leave, leave_other, emit, join;
} Listener;

static void hear(const MalEventDef *def, MalTime at, const MalField *fields, size_t n,
                 const char *message, void *data)
{
  Listener *l = data;
  (void) def, (void) fields, (void) n;
  cr_expect(at >= FAKE_START);
  cr_expect_not_null(message);
  l->calls++;
  if (l->leave)
    mal_events_unsubscribe(l->events, l->id);
  if (l->leave_other)
    mal_events_unsubscribe(l->events, l->other);
  if (l->emit)
    mal_event(l->events, &granted, NULL, 0, "from within");
  if (l->join && l->other == 0)
    l->other = mal_events_subscribe(l->events, hear, l);
}

Test(events, a_subscriber_may_leave_in_its_callback)
{
  Fixture x = fixture(MAL_LOG_ERROR, MAL_LOG_TEXT);
  Listener a = { .events = x.events, .leave = true, .emit = true }, b = { .events = x.events };
  a.id = mal_events_subscribe(x.events, hear, &a);
  b.id = mal_events_subscribe(x.events, hear, &b);
  mal_event(x.events, &granted, NULL, 0, "one");
  cr_assert_eq(a.calls, 1);
  cr_assert_eq(b.calls, 2);
  mal_event(x.events, &granted, NULL, 0, "two");
  cr_assert_eq(a.calls, 1);
  cr_assert_eq(b.calls, 3);
  mal_events_unsubscribe(x.events, b.id);
  cr_assert_not(mal_event_wanted(x.events, &granted));
  mal_events_unsubscribe(x.events, b.id);
  mal_events_unsubscribe(x.events, 0);
  done(&x);
}

Test(events, a_subscriber_may_end_the_next_one_or_bring_another)
{
  Fixture x = fixture(MAL_LOG_ERROR, MAL_LOG_TEXT);
  Listener a = { .events = x.events, .leave_other = true }, b = { .events = x.events };
  a.id = mal_events_subscribe(x.events, hear, &a);
  b.id = a.other = mal_events_subscribe(x.events, hear, &b);
  mal_event(x.events, &granted, NULL, 0, "one");
  cr_assert_eq(a.calls, 1);
  cr_assert_eq(b.calls, 0);
  mal_events_unsubscribe(x.events, a.id);
  Listener c = { .events = x.events, .join = true };
  c.id = mal_events_subscribe(x.events, hear, &c);
  mal_event(x.events, &granted, NULL, 0, "two");
  cr_assert_eq(c.calls, 1, "who joins hears the next one");
  mal_event(x.events, &granted, NULL, 0, "three");
  cr_assert_eq(c.calls, 3);
  done(&x);
}

Test(events, a_subscriber_that_emits_is_not_called_for_that)
{
  Fixture x = fixture(MAL_LOG_ERROR, MAL_LOG_TEXT);
  Listener a = { .events = x.events, .emit = true }, b = { .events = x.events, .emit = true };
  mal_events_subscribe(x.events, hear, &a);
  mal_events_subscribe(x.events, hear, &b);
  mal_event(x.events, &granted, NULL, 0, "one");
  cr_assert(a.calls >= 1 && a.calls < 5 && b.calls >= 1 && b.calls < 5);
  done(&x);
}

Test(events, subscribers_are_spared_a_flood_too_and_told_of_it)
{
  Fixture x = fixture(MAL_LOG_ERROR, MAL_LOG_TEXT);
  Listener a = { .events = x.events };
  mal_events_subscribe(x.events, hear, &a);
  flood(&x, &malformed, 100);
  cr_assert_eq(a.calls, 10);
  fake_advance(x.fake, 10);
  cr_assert_eq(a.calls, 11);
  done(&x);
}

Test(events, known_kinds_are_listed_once_and_the_newest_definition_counts)
{
  Fixture x = fixture(MAL_LOG_INFO, MAL_LOG_TEXT);
  static const MalEventDef again = { "lease.granted", MAL_FAULT_NOBODY, MAL_LOG_DEBUG, "another" };
  const MalEventDef *defs[] = { &granted, &malformed, &again };
  mal_events_register(x.events, defs, G_N_ELEMENTS(defs));
  g_autoptr(GPtrArray) known = mal_events_known(x.events);
  cr_assert_eq(known->len, 3);
  cr_assert_str_eq(((const MalEventDef *) known->pdata[0])->name, "events.suppressed");
  cr_assert_eq(known->pdata[1], (gpointer) &again);
  done(&x);
}

Test(events, names)
{
  cr_assert_str_eq(mal_log_level_name(MAL_LOG_ERROR), "error");
  cr_assert_str_eq(mal_log_level_name(MAL_LOG_DEBUG), "debug");
  cr_assert_str_eq(mal_fault_name(MAL_FAULT_NOBODY), "nobody");
  cr_assert_str_eq(mal_fault_name(MAL_FAULT_OURS), "ours");
}

Test(metrics, one_set_for_each_owner)
{
  static const MalMetricDef defs[] = { { "requests", MAL_COUNTER, "help" },
                                       { "leases", MAL_GAUGE, "help" } };
  MalMetrics *m = mal_metrics_new();
  MalMetricSet *core = mal_metrics_register(m, "core", defs, 2);
  MalMetricSet *madcap = mal_metrics_register(m, "madcap", defs, 1);
  mal_count(core, 0, 2);
  mal_count(core, 0, 3);
  mal_gauge(core, 1, 7);
  cr_assert(mal_metrics_register(m, "core", defs, 2) == core && madcap != core);
  cr_assert(core->values[0] == 5 && core->values[1] == 7 && madcap->values[0] == 0);
  cr_assert(mal_metrics_size(m) == 2 && mal_metrics_at(m, 1) == madcap);
  cr_assert_str_eq(mal_metrics_at(m, 0)->owner, "core");
  mal_metrics_free(m);
}
