/* The whole core: the life of plugins, reloads, layers 2 and 3. */
#include "tests/unit/core-bed.h"

/* ---- the life of plugins --------------------------------------------------------------------- */

Test(core, hooks_in_their_order)
{
  Bed b = bed(DAEMON SCOPES LAB);
  must_have_called(b, "alpha.check alpha.open beta.open alpha.start beta.start ");
  cr_assert(reload(&b, DAEMON SCOPES LAB "[alpha]\nword=new\n"), "%s", b.error);
  must_have_called(b, "alpha.check alpha.reload beta.reload ");
  cr_assert_str_eq(script.reload_value, "new");
  script.reload = MAL_RELOAD_RESTART;
  cr_assert(reload(&b, DAEMON SCOPES LAB));
  must_have_called(b, "alpha.check alpha.reload alpha.stop alpha.close alpha.open alpha.start "
                      "beta.reload beta.stop beta.close beta.open beta.start ");
  cr_assert_str_eq(script.reload_value, "none");
  mal_core_stop(b.core);
  must_have_called(b, "beta.stop beta.close alpha.stop alpha.close ");
  clear(&b);
}

Test(core, a_hook_that_fails_leaves_nothing_behind)
{
  static const struct { const char *fail, *calls;
  } table[] = {
    { "alpha.check", "alpha.check " },
    { "alpha.open", "alpha.check alpha.open " },
    { "beta.open", "alpha.check alpha.open beta.open alpha.close " },
    { "alpha.start", "alpha.check alpha.open beta.open alpha.start beta.close alpha.close " },
    { "beta.start", "alpha.check alpha.open beta.open alpha.start beta.start beta.close alpha.stop "
                    "alpha.close " },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    Bed b = prepare(true);
    script.fail = table[i].fail;
    cr_assert_not(up(&b, DAEMON SCOPES));
    cr_assert(strstr(b.error, "as asked"), "%s", b.error);
    down(&b);
    must_have_called(b, table[i].calls);
    cr_assert_null(strstr(b.log->str, "daemon.stopped"), "it never was up");
    script.fail = NULL;
    cr_assert(up(&b, DAEMON SCOPES), "and it can be started then: %s", b.error);
    clear(&b);
  }
}

Test(core, plugins_that_are_not_or_not_ours)
{
  static const struct { const char *config, *words; } table[] = {
    { "[daemon]\nplugins=gamma\n", "gamma" }, { "[daemon]\nplugins=old\n", "ABI" },
    { "[daemon]\nplugins=alpha;alpha\n", "twice" }, { "[daemon]\nplugins=../x\n", "not the name" },
    { "[daemon]\nplugins=beta\n[alpha]\nword=x\n", "alpha" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    Bed b = prepare(false);
    cr_assert_not(up(&b, table[i].config));
    cr_assert(strstr(b.error, table[i].words), "%s", b.error);
    clear(&b);
  }
}

Test(core, without_its_role_a_plugin_is_idle)
{
  Bed b = bed("[daemon]\nplugins=coordinator;beta\nroles=maas\n" SCOPES);
  must_have_called(b, "beta.open beta.start ");
  cr_assert_str_eq(mal_core_plugin(b.core, 0).state, "idle");
  cr_assert(strstr(b.log->str, "plugin.idle: plugin coordinator does nothing"), "%s", b.log->str);
  cr_assert_null(strstr(b.log->str, "plugin beta does nothing"));
  cr_assert_str_eq(mal_core_plugin(b.core, 1).state, "running");
  cr_assert(reload(&b, "[daemon]\nplugins=coordinator;beta\nroles=maas\n" SCOPES));
  must_have_called(b, "beta.reload ");
  cr_assert_str_eq(mal_core_plugin(b.core, 1).path, "built in", "the path outlives the reload");
  clear(&b);
}

static MalTicket put(Bed *b, const char *key, const char *value)
{
  MalRecord r = { "alpha",      "word", (const uint8_t *)key, strlen(key), (const uint8_t *)value,
                  strlen(value) };
  return mal_store_put_record(mal_core_store(b->core), &r);
}

/* Long after the first append, with changes that are durable, on their way, and failed. */
Test(core, a_plugin_that_restarts_reads_its_records)
{
  for (int on_disk = 0; on_disk < 2; on_disk++) {
    Bed b = prepare(on_disk);
    cr_assert(up(&b, DAEMON SCOPES), "%s", b.error);
    put(&b, "a", "1");
    put(&b, "b", "1");
    put(&b, "c", "1");
    fake_run(b.fake);
    put(&b, "a", "2");
    mal_store_drop_record(mal_core_store(b.core), "alpha", "word", (const uint8_t *)"b", 1);
    g_string_truncate(script.calls, 0);
    script.reload = MAL_RELOAD_RESTART;
    cr_assert(reload(&b, DAEMON SCOPES));
    must_have_called(
        b, "alpha.check alpha.reload alpha.stop alpha.close alpha.open alpha.restore(c=1) "
           "alpha.restore(a=2) alpha.start beta.reload beta.stop beta.close beta.open beta.start ");
    if (!on_disk) {
      mal_store_memory_fail(b.store, "no");
      put(&b, "c", "lost");
      fake_run(b.fake);
      mal_store_memory_fail(b.store, NULL);
      fake_run(b.fake);
      cr_assert(reload(&b, DAEMON SCOPES));
      cr_assert(strstr(script.calls->str, "alpha.restore(c=1) alpha.restore(a=2)"), "%s",
                script.calls->str);
    } else {
      down(&b);
      g_string_truncate(script.calls, 0);
      cr_assert(up(&b, DAEMON SCOPES), "%s", b.error);
      cr_assert(strstr(script.calls->str, "alpha.restore(c=1) alpha.restore(a=2) "), "%s",
                script.calls->str);
    }
    clear(&b);
  }
}

Test(core, a_restart_that_fails_goes_back_to_the_old_configuration)
{
  Bed b = bed(DAEMON SCOPES "[alpha]\nword=old\n");
  script.reload = MAL_RELOAD_RESTART;
  script.fail = "alpha.start";
  cr_assert(reload(&b, DAEMON SCOPES "[alpha]\nword=new\n"));
  cr_assert(strstr(b.log->str, "plugin.failed"));
  cr_assert_str_eq(mal_core_plugin(b.core, 0).state, "stopped");
  cr_assert_str_eq(script.reload_value, "old", "that was tried, too");
  cr_assert(strstr(mal_core_reload_trouble(b.core), "it is stopped"), "%s",
            mal_core_reload_trouble(b.core));
  cr_assert_eq(call(&b, "config.reload", NULL), MAL_ERROR_PLUGIN, "%s", b.error);
  cr_assert(g_str_has_prefix(b.error, "reloaded, but "), "%s", b.error);
  script.fail = NULL;
  cr_assert(reload(&b, DAEMON SCOPES "[alpha]\nword=third\n"));
  cr_assert_str_eq(mal_core_plugin(b.core, 0).state, "running");
  cr_assert_str_eq(script.reload_value, "third");
  cr_assert_null(mal_core_reload_trouble(b.core));
  clear(&b);
}

Test(core, a_plugin_that_the_file_names_no_more_goes_on_as_it_was)
{
  Bed b = bed(DAEMON SCOPES "[alpha]\nword=old\n");
  g_string_truncate(script.calls, 0);
  g_autofree char *summary = NULL;
  cr_assert(g_file_set_contents(b.config, "[daemon]\nplugins=beta\nroles=maas\n" SCOPES, -1, NULL));
  cr_assert(mal_core_reload(b.core, &summary, NULL));
  cr_assert(strstr(summary, "plugins"));
  must_have_called(b, "beta.reload ");
  cr_assert_str_eq(mal_core_plugin(b.core, 0).state, "running");
  cr_assert(reload(&b, DAEMON SCOPES "[alpha]\nword=back\n"));
  cr_assert_str_eq(script.reload_value, "back");
  clear(&b);
}

Test(core, a_range_whose_end_is_past_is_said)
{
  static const char gone[] =
      "[range gone]\nscope=local\nfirst=239.255.6.0\nlast=239.255.6.9\n"
      "until=1990-01-01T00:00:00Z\n";
  static const char words[] = "config.range-past: [range gone] has an end that is past "
                              "(until = 1990-01-01T00:00:00Z)";
  g_autofree char *config = g_strconcat(DAEMON SCOPES LAB, gone, NULL);
  Bed b = bed(config);
  cr_assert(strstr(b.log->str, words), "%s", b.log->str);
  cr_assert_null(strstr(b.log->str, "[range lab] has"));
  g_string_truncate(b.log, 0);
  cr_assert(reload(&b, config), "%s", b.error);
  cr_assert(strstr(b.log->str, words), "%s", b.log->str);
  cr_assert(reload(&b, DAEMON SCOPES LAB), "%s", b.error);
  g_string_truncate(b.log, 0);
  cr_assert(reload(&b, DAEMON SCOPES LAB), "%s", b.error);
  cr_assert_null(strstr(b.log->str, "config.range-past"));
  clear(&b);
}

/* Its ranges are in no file, so that nothing else would remind of it. */
Test(core, leases_without_a_range_and_the_plugin_that_may_have_brought_it)
{
  static const struct { const char *config; bool blamed; } table[] = {
    { "[daemon]\nplugins=beta\nroles=maas\n" SCOPES, true },
    { DAEMON SCOPES, false },
  };
  Bed b = prepare(true);
  cr_assert(up(&b, DAEMON SCOPES LAB), "%s", b.error);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), -1, "%s", b.error);
  put(&b, "a", "1");
  put(&b, "b", "1");
  fake_run(b.fake);
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    down(&b);
    cr_assert_not(up(&b, table[i].config));
    cr_assert(strstr(b.error, "which no range covers"), "%s", b.error);
    cr_assert_eq(strstr(b.error, "does not run now (alpha): ") != NULL, table[i].blamed, "%s",
                 b.error);
  }
  clear(&b);
}

Test(core, events_that_can_never_come_are_refused)
{
  Bed b = bed(DAEMON SCOPES LAB);
  cr_assert_eq(call(&b, "events.subscribe", "{\"prefix\":\"foo\"}"), MAL_ERROR_NOT_FOUND);
  cr_assert(strstr(b.error, "begins with \"foo\""), "%s", b.error);
  /* what may be is refused here only because no socket asks */
  cr_assert_eq(call(&b, "events.subscribe", "{\"prefix\":\"lease.\"}"), MAL_ERROR_INVALID);
  cr_assert_eq(call(&b, "events.subscribe", NULL), MAL_ERROR_INVALID);
  clear(&b);
}

/* ---- reloads, all or nothing ----------------------------------------------------------------- */

Test(core, a_bad_reload_changes_nothing)
{
  static const char *const bad[] = {
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n[unknown]\n",
    "[daemon]\nlog-level=debug\nplugins=alpha;beta;gamma\n" SCOPES,
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES
    "[range x]\nscope=nowhere\nfirst=239.255.1.0\nlast=239.255.1.9\n",
    /* the lease would lose its place */
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES,
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n", /* and its scope */
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES LAB
    "[range x]\nscope=local\nfirst=239.255.8.0\nlast=239.255.8.9\n",
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES LAB
    "[range hand]\nscope=local\nfirst=239.255.7.0\nlast=239.255.7.9\n",
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES LAB
    "[reserve cam]\nscope=local\naddresses=239.255.7.9\n",
    "[daemon]\nlog-level=debug\nplugins=alpha;beta\n" SCOPES LAB
    "[reserve x]\nscope=local\naddresses=239.255.9.9\n",
  };
  Bed b = bed(DAEMON SCOPES LAB);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), -1, "%s", b.error);
  cr_assert(add_range(&b, "hand", "239.255.8.0/28", MAL_FOREVER), "%s", b.error);
  cr_assert(add_reserve(&b, "cam", "239.255.9.9"), "%s", b.error);
  const MalPlan *plan = mal_core_plan(b.core);
  g_string_truncate(script.calls, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    cr_assert_not(reload(&b, bad[i]), "%zu", i);
    cr_assert_eq(mal_core_plan(b.core), plan);
    cr_assert_null(strstr(script.calls->str, "reload"));
    cr_assert(strlen(b.error) > 20 && has_lease(&b, 1));
    g_autoptr(GPtrArray) ranges = mal_space_ranges(mal_core_space(b.core), MAL_LEVEL_AVAILABLE);
    cr_assert_eq(ranges->len, 2);
    cr_assert_eq(mal_scope_set_size(mal_leases_scopes(mal_core_leases(b.core))), 2);
    static const MalEventDef debug = { "test.debug", MAL_FAULT_NOBODY, MAL_LOG_DEBUG, "" };
    cr_assert_not(mal_event_wanted(mal_core_events(b.core), &debug), "the log level is as it was");
  }
  cr_assert_eq(metric(&b, "config-reloads-refused"), G_N_ELEMENTS(bad));
  cr_assert_eq(metric(&b, "config-reloads"), 0);
  script.fail = "alpha.check";
  cr_assert_not(reload(&b, DAEMON SCOPES LAB));
  clear(&b);
}

Test(core, events_and_metrics_stand_once)
{
  Bed b = bed(DAEMON SCOPES LAB);
  cr_assert(reload(&b, DAEMON SCOPES LAB) && reload(&b, DAEMON SCOPES LAB));
  g_autoptr(GPtrArray) known = mal_events_known(mal_core_events(b.core));
  for (unsigned i = 0; i < known->len; i++)
    for (unsigned j = 0; j < i; j++)
      cr_assert_str_neq(((const MalEventDef *)known->pdata[i])->name,
                        ((const MalEventDef *)known->pdata[j])->name);
  unsigned alphas = 0;
  for (size_t i = 0; i < mal_metrics_size(mal_core_metrics(b.core)); i++)
    alphas += strcmp(mal_metrics_at(mal_core_metrics(b.core), i)->owner, "alpha") == 0;
  cr_assert_eq(alphas, 1);
  clear(&b);
}

/* ---- layers 2 and 3 -------------------------------------------------------------------------- */

#define LAYER2                                                                                     \
  "[daemon]\nplugins=layer2\nroles=maas\n" SCOPES                                                  \
  "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.4.255\n"
#define WAIT ",\"wait\":true"

Test(core, the_arbiter_says_yes)
{
  Bed b = prepare(false);
  script.verdict = MAL_VERDICT_YES;
  cr_assert(up(&b, LAYER2), "%s", b.error);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), MAL_ERROR_NO_SPACE,
               "who doesn't wait doesn't ask");
  cr_assert_eq(call(&b, "lease.request", LEASE("01", WAIT)), -1, "%s", b.error);
  cr_assert_eq(script.asked->len, 1);
  cr_assert_eq(call(&b, "lease.request", LEASE("02", WAIT ",\"count\":600")), -1,
               "more than one block: %s", b.error);
  clear(&b);
}

Test(core, the_arbiter_thinks)
{
  Bed b = prepare(false);
  Answer a, c;
  script.verdict = MAL_VERDICT_LATER;
  cr_assert(up(&b, LAYER2), "%s", b.error);
  begin(&b, &a, "lease.request", LEASE("01", WAIT));
  begin(&b, &c, "lease.request", LEASE("02", WAIT ",\"count\":300"));
  fake_run(b.fake);
  cr_assert(a.answers == 0 && c.answers == 0);
  MalSpace *space = mal_core_space(b.core);
  /* Refused: what lies behind is tried. */
  unsigned before = script.asked->len;
  mal_space_decide(space, g_array_index(script.asked, Asked, 0).ticket, false);
  cr_assert_eq(script.asked->len, before + 1);
  for (unsigned i = 1; i < script.asked->len; i++)
    mal_space_decide(space, g_array_index(script.asked, Asked, i).ticket, true);
  mal_space_decide(space, 4711, true);
  fake_run(b.fake);
  cr_assert(a.answers == 1 && a.code == -1 && c.answers == 1, "%s", a.message);
  answer_clear(&a);
  answer_clear(&c);
  clear(&b);
}

Test(core, nobody_can_bring_any)
{
  Bed b = prepare(false);
  script.verdict = MAL_VERDICT_NO;
  cr_assert(up(&b, LAYER2), "%s", b.error);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", WAIT)), MAL_ERROR_NO_SPACE);
  clear(&b);
}

Test(core, demand_goes_to_layer_3)
{
  Bed b = bed("[daemon]\nplugins=layer3\nroles=maas\n" SCOPES);
  g_autoptr(GError) error = NULL;
  Answer a;
  begin(&b, &a, "lease.request", LEASE("01", WAIT));
  fake_run(b.fake);
  cr_assert(a.answers == 0 && script.demands == 1);
  cr_assert(mal_space_add(mal_core_space(b.core), MAL_LEVEL_AVAILABLE, "local",
                          span("239.255.3.0/28"), MAL_FOREVER, "m", "layer3", &error));
  fake_run(b.fake);
  cr_assert(a.answers == 1 && a.code == -1);
  answer_clear(&a);
  begin(&b, &a, "lease.request", LEASE("02", WAIT ",\"count\":100"));
  fake_advance(b.fake, 700);
  cr_assert(a.answers == 1 && a.code == MAL_ERROR_NO_SPACE, "it doesn't wait for ever");
  answer_clear(&a);
  clear(&b);
}

/* Whoever waits is answered, and nothing leaks. */
Test(core, who_waits_when_the_daemon_ends_is_answered)
{
  Bed b = bed("[daemon]\nplugins=layer3\nroles=maas\n" SCOPES LAB);
  Answer a, c;
  begin(&b, &a, "lease.request", LEASE("01", WAIT ",\"count\":100"));
  fake_run(b.fake);
  mal_store_memory_hold(b.store, true);
  begin(&b, &c, "range.add", "{\"scope\":\"local\",\"name\":\"x\",\"span\":\"239.255.9.0/28\"}");
  fake_run(b.fake);
  cr_assert(a.answers == 0 && c.answers == 0);
  down(&b);
  cr_assert(a.answers == 1 && a.code == MAL_ERROR_TIMEOUT);
  cr_assert(c.answers == 1);
  answer_clear(&a);
  answer_clear(&c);
  clear(&b);
}

static void hear(json_object *result, const GError *error, void *data)
{
  unsigned *answers = data;
  (void)result;
  (void)error;
  (*answers)++;
}

/* Space comes when nobody waits for it any more: a lease whose identifier nobody knows goes back,
   the one that its client named stays. */
Test(core, who_goes_away_while_it_waits_leaves_no_lease_behind)
{
  static const struct {
    const char *params;
    uint64_t leases;
  } rows[] = {
    { "{\"scope\":\"local\",\"wait\":true}", 0 },
    { "{\"scope\":\"local\",\"wait\":true,\"lease\":\"01\"}", 1 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed("[daemon]\nplugins=layer3\nroles=maas\n" SCOPES);
    g_autoptr(GError) error = NULL;
    unsigned answers = 0;
    MalCaller caller = { .done = hear, .data = &answers };
    json_object *params = json_tokener_parse(rows[i].params);
    MalCall *waiting =
        mal_control_begin(mal_core_control(b.core), "lease.request", params, true, &caller);
    json_object_put(params);
    cr_assert(waiting);
    fake_run(b.fake);
    mal_call_abandon(waiting);
    cr_assert(mal_space_add(mal_core_space(b.core), MAL_LEVEL_AVAILABLE, "local",
                            span("239.255.3.0/28"), MAL_FOREVER, "m", "layer3", &error));
    fake_run(b.fake);
    cr_expect_eq(mal_leases_totals(mal_core_leases(b.core), NULL).leases, rows[i].leases, "row %zu",
                 i);
    cr_expect_eq(mal_leases_totals(mal_core_leases(b.core), NULL).waiting, 0, "row %zu", i);
    cr_expect_eq(metric(&b, "leases-granted"), 1, "row %zu", i);
    cr_expect_eq(answers, 0, "row %zu", i);
    clear(&b);
  }
}
