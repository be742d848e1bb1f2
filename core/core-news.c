/* What the core tells: its events, its counters, and who hears of changes of leases and ranges. */
#include "core-internal.h"

#include <string.h>

const MalMetricDef core_metrics[CORE_N_METRICS] = {
  [CORE_GRANTED] = { "leases-granted", MAL_COUNTER, "Leases granted and durable." },
  [CORE_RENEWED] = { "leases-renewed", MAL_COUNTER, "Leases renewed and durable." },
  [CORE_RELEASED] = { "leases-released", MAL_COUNTER, "Leases given back by their holders." },
  [CORE_EXPIRED] = { "leases-expired", MAL_COUNTER, "Leases whose padded period ended." },
  [CORE_REVOKED] = { "leases-revoked", MAL_COUNTER,
                     "Leases ended because their addresses were withdrawn." },
  [CORE_SUPERSEDED] = { "leases-superseded", MAL_COUNTER,
                        "Stored leases that a later one on the same address replaced while "
                        "loading." },
  [CORE_CLOCK_STEPS] = { "clock-steps", MAL_COUNTER, "Jumps of the wall clock that were noticed." },
  [CORE_RELOADS] = { "config-reloads", MAL_COUNTER, "Configurations reloaded." },
  [CORE_RELOADS_REFUSED] = { "config-reloads-refused", MAL_COUNTER, "Reloads refused." },
  [CORE_STORE_FAILURES] = { "store-failures", MAL_COUNTER, "Batches that could not be written." },
  [CORE_LEASES] = { "leases", MAL_GAUGE, "Live leases." },
  [CORE_ADDRESSES] = { "addresses-leased", MAL_GAUGE, "Addresses in live leases." },
  [CORE_HOLDS] = { "holds", MAL_GAUGE, "Offers held in memory." },
  [CORE_PENDING] = { "changes-pending", MAL_GAUGE, "Changes on their way to the disk." },
  [CORE_WAITING] = { "requests-waiting", MAL_GAUGE, "Requests that wait for space." },
  [CORE_ROUTES] = { "routes", MAL_GAUGE, "Group prefixes that are routed to this domain." },
  [CORE_BYTES] = { "lease-memory-bytes", MAL_GAUGE, "Memory of lease table and allocator." },
  [CORE_COMMITS] = { "store-batches", MAL_COUNTER, "Batches committed to the store." },
  [CORE_COMMIT_US] = { "store-commit-microseconds", MAL_GAUGE, "How long the last commit took." },
};

const MalEventDef core_event_started = {
  "daemon.started", MAL_FAULT_NOBODY, MAL_LOG_INFO, "The daemon is up and its plugins serve." };
const MalEventDef core_event_stopped = { "daemon.stopped", MAL_FAULT_NOBODY, MAL_LOG_INFO,
                                         "The daemon ended in good order; the store is closed." };
const MalEventDef core_event_loaded = {
  "store.loaded", MAL_FAULT_NOBODY, MAL_LOG_INFO,
  "Leases and records were read from the store at start. Where the daemon before was killed or "
  "lost its power, the log in front of the database holds its last changes; all acknowledged "
  "is in it." };
const MalEventDef core_event_reloaded = {
  "config.reloaded", MAL_FAULT_NOBODY, MAL_LOG_INFO, "A new configuration is in force." };
const MalEventDef core_event_reload_refused = {
  "config.refused", MAL_FAULT_OPERATOR, MAL_LOG_ERROR,
  "A reload was asked for, but the new configuration is not acceptable; the running one is "
  "untouched. Correct what the "
  "message names and reload again; mallocctl config check FILE tries it without effect."
};
const MalEventDef core_event_plugin_failed = {
  "plugin.failed", MAL_FAULT_OPERATOR, MAL_LOG_ERROR,
  "A plugin could not start again after a reload. It is stopped until the next reload or restart."
};
const MalEventDef core_event_store_failing = {
  "store.failing", MAL_FAULT_OPERATOR, MAL_LOG_ERROR,
  "The store can't be written: disk full, read-only, or failing. Nothing is granted, renewed or "
  "released until it can; "
  "what was acknowledged is safe. The daemon tries again by itself every few seconds."
};
const MalEventDef core_event_store_recovered = {
  "store.recovered", MAL_FAULT_NOBODY, MAL_LOG_INFO,
  "The store can be written again; granting goes on."
};
const MalEventDef core_event_clock_stepped = {
  "clock.stepped", MAL_FAULT_OPERATOR, MAL_LOG_WARNING,
  "The wall clock jumped. Leases that had begun keep the time that was left of them; advance "
  "leases keep their absolute "
  "times. Check the time service of this host."
};
const MalEventDef core_event_superseded = {
  "lease.superseded", MAL_FAULT_OURS, MAL_LOG_WARNING,
  "While loading, stored leases were found on an address that was leased again later; the later "
  "one counts. Happens "
  "where the clock was set back across a restart."
};

static const MalEventDef lease_events[] = {
  [MAL_LEASE_GRANTED] = { "lease.granted", MAL_FAULT_NOBODY, MAL_LOG_DEBUG,
                          "A lease was granted and is durable." },
  [MAL_LEASE_RENEWED] = { "lease.renewed", MAL_FAULT_NOBODY, MAL_LOG_DEBUG,
                          "A lease has a new period." },
  [MAL_LEASE_RELEASED] = { "lease.released", MAL_FAULT_NOBODY, MAL_LOG_DEBUG,
                           "A lease was given back." },
  [MAL_LEASE_EXPIRED] = { "lease.expired", MAL_FAULT_NOBODY, MAL_LOG_DEBUG,
                          "A lease's period, with its padding, ended." },
  [MAL_LEASE_REVOKED] = { "lease.revoked", MAL_FAULT_OPERATOR, MAL_LOG_WARNING,
                          "A lease ended before its time because its addresses were withdrawn "
                          "from this server. Its holder should stop using them." },
};

static const MalEventDef range_events[] = {
  [MAL_SPACE_ADDED] = { "range.added", MAL_FAULT_NOBODY, MAL_LOG_INFO,
                        "Addresses became available or owned." },
  [MAL_SPACE_CHANGED] = { "range.changed", MAL_FAULT_NOBODY, MAL_LOG_INFO,
                          "A range ends at another time than before." },
  [MAL_SPACE_REMOVED] = { "range.removed", MAL_FAULT_NOBODY, MAL_LOG_INFO,
                          "Addresses were withdrawn." },
  [MAL_SPACE_SPLIT] = { "range.split", MAL_FAULT_NOBODY, MAL_LOG_DEBUG,
                        "A range became two, of which this is the upper one; a part of it is about "
                        "to be withdrawn." },
  [MAL_SPACE_JOINED] = { "range.joined", MAL_FAULT_NOBODY, MAL_LOG_DEBUG,
                         "A range became the upper part of the one that ended before it." },
};

static const MalEventDef route_events[] = {
  [MAL_ROUTE_ADDED] = { "route.added", MAL_FAULT_NOBODY, MAL_LOG_INFO,
                        "Groups of a prefix are rooted in this domain from now on; exporters tell "
                        "the routing daemon." },
  [MAL_ROUTE_CHANGED] = { "route.changed", MAL_FAULT_NOBODY, MAL_LOG_INFO,
                          "A route ends at another time than before." },
  [MAL_ROUTE_REMOVED] = { "route.removed", MAL_FAULT_NOBODY, MAL_LOG_INFO,
                          "A route was withdrawn: its time was over, or its source took it back." },
};

static const MalEventDef range_past = {
  "config.range-past", MAL_FAULT_OPERATOR, MAL_LOG_WARNING,
  "The until of a [range] is past, so that nothing is leased from it. Give it a later one, or "
  "remove the group." };
static const MalEventDef plugin_idle = {
  "plugin.idle", MAL_FAULT_OPERATOR, MAL_LOG_WARNING,
  "A plugin was loaded that serves none of the roles that [daemon] has, so that it does nothing. "
  "Add a role of its, or remove it from plugins." };

static void on_lease(MalLeaseChange what, const MalLease *lease, const char *reason, void *data)
{
  MalCore *core = data;
  static const unsigned metric[] = {
    [MAL_LEASE_GRANTED] = CORE_GRANTED,   [MAL_LEASE_RENEWED] = CORE_RENEWED,
    [MAL_LEASE_RELEASED] = CORE_RELEASED, [MAL_LEASE_EXPIRED] = CORE_EXPIRED,
    [MAL_LEASE_REVOKED] = CORE_REVOKED,
  };
  const MalEventDef *def = &lease_events[what];
  mal_count(core->counters, metric[what], 1);
  if (!mal_event_wanted(core->events, def))
    return;
  g_autofree char *addresses = mal_blocks_format(lease->blocks, lease->n_blocks);
  char client[MAL_ADDRESS_STRLEN], end[MAL_TIME_STRLEN];
  MalField fields[] = {
    MAL_F_BYTES("lease", lease->id.bytes, lease->id.length),
    MAL_F_STRING("scope", lease->scope),
    MAL_F_STRING("addresses", addresses),
    MAL_F_TIME("start", lease->start),
    MAL_F_TIME("end", lease->end),
    MAL_F_ADDRESS("client", lease->client),
    MAL_F_STRING("origin", lease->origin),
    MAL_F_STRING("reason", reason),
  };
  mal_event(core->events, def, fields, reason ? G_N_ELEMENTS(fields) : G_N_ELEMENTS(fields) - 1,
            "%s %s of scope %s for %s until %s", def->name + strlen("lease."), addresses,
            lease->scope,
            lease->client.family == MAL_FAMILY_NONE ? lease->origin
                                                    : mal_address_format(lease->client, client),
            mal_time_format(lease->end, end));
}

static void on_range(MalSpaceChange what, const MalRange *range, void *data)
{
  MalCore *core = data;
  char span[MAL_SPAN_STRLEN], until[MAL_TIME_STRLEN];
  const char *level = range->level == MAL_LEVEL_OWNED ? "owned" : "available";
  if (what == MAL_SPACE_REMOVED)
    core_hand_range_gone(core, range);
  if (range->level == MAL_LEVEL_OWNED && mal_space_is_mirrored(core->space))
    return;
  mal_span_format(range->span, span);
  MalField fields[] = {
    MAL_F_STRING("range", range->name),      MAL_F_STRING("level", level),
    MAL_F_STRING("scope", range->scope->id), MAL_F_STRING("span", span),
    MAL_F_TIME("until", range->until),       MAL_F_STRING("source", range->source),
  };
  MAL_EVENT(core->events, &range_events[what], fields,
            "%s range %s (%s) of scope %s, from %s, until %s", level, range->name, span,
            range->scope->id, range->source, mal_time_format(range->until, until));
}

static void on_route(MalRouteChange what, const MalRoute *route, void *data)
{
  MalCore *core = data;
  char address[MAL_ADDRESS_STRLEN], until[MAL_TIME_STRLEN];
  g_autofree char *prefix = g_strdup_printf(
      "%s/%u", mal_address_format(route->prefix.address, address), route->prefix.length);
  MalField fields[] = { MAL_F_STRING("prefix", prefix), MAL_F_TIME("until", route->until),
                        MAL_F_STRING("source", route->source) };
  MAL_EVENT(core->events, &route_events[what], fields, "route %s, from %s, until %s", prefix,
            route->source, mal_time_format(route->until, until));
}

static void on_store(MalTicket through, const GError *error, void *data)
{
  MalCore *core = data;
  (void)through;
  if (error)
    mal_count(core->counters, CORE_STORE_FAILURES, 1);
  core_news_store(core);
}

/* One event at each change of state, however many batches fail. */
void core_news_store(MalCore *core)
{
  const GError *error = NULL;
  bool failing = mal_store_state(core->store, &error) == MAL_STORE_FAILING;
  if (failing == core->store_was_failing)
    return;
  core->store_was_failing = failing;
  if (failing) {
    MalField fields[] = { MAL_F_STRING("error", error ? error->message : "unknown") };
    MAL_EVENT(core->events, &core_event_store_failing, fields,
              "the store can't be written, nothing is granted: %s",
              error ? error->message : "unknown cause");
  } else {
    mal_event(core->events, &core_event_store_recovered, NULL, 0, "the store can be written again");
  }
}

void core_news_past_ranges(MalCore *core)
{
  MalTime now = mal_runtime_now(core->rt);
  for (unsigned i = 0; i < core->now.plan->ranges->len; i++) {
    const MalStaticRange *range = g_ptr_array_index(core->now.plan->ranges, i);
    char until[MAL_TIME_STRLEN];
    MalField fields[] = { MAL_F_STRING("range", range->name), MAL_F_TIME("until", range->until) };
    if (range->until <= now)
      MAL_EVENT(core->events, &range_past, fields,
                "[range %s] has an end that is past (until = %s): nothing is leased from it",
                range->name, mal_time_format(range->until, until));
  }
}

void core_news_idle_plugins(MalCore *core)
{
  for (unsigned i = 0; i < core->plugins->len; i++) {
    const PluginRun *run = g_ptr_array_index(core->plugins, i);
    MalField fields[] = { MAL_F_STRING("plugin", run->plugin->name) };
    if (!run->wanted)
      MAL_EVENT(core->events, &plugin_idle, fields,
                "plugin %s does nothing: [daemon] roles has none of those that it serves",
                run->plugin->name);
  }
}

static void on_clock_step(int64_t delta, size_t moved, void *data)
{
  MalCore *core = data;
  MalField fields[] = { MAL_F_INT("seconds", delta), MAL_F_INT("leases", (int64_t)moved) };
  mal_count(core->counters, CORE_CLOCK_STEPS, 1);
  MAL_EVENT(core->events, &core_event_clock_stepped, fields,
            "the wall clock stepped by %" G_GINT64_FORMAT
            " s; %zu running leases keep what was left of them",
            delta, moved);
}

void core_news_attach(MalCore *core)
{
  const MalEventDef *defs[] = {
    &core_event_started,       &core_event_stopped,         &core_event_loaded,
    &core_event_reloaded,      &core_event_reload_refused,  &core_event_plugin_failed,
    &core_event_store_failing, &core_event_store_recovered, &core_event_clock_stepped,
    &core_event_superseded,    &range_past,                 &plugin_idle,
  };
  mal_events_register(core->events, defs, G_N_ELEMENTS(defs));
  for (size_t i = 0; i < G_N_ELEMENTS(lease_events); i++)
    mal_events_register(core->events, &(const MalEventDef *){ &lease_events[i] }, 1);
  for (size_t i = 0; i < G_N_ELEMENTS(range_events); i++)
    mal_events_register(core->events, &(const MalEventDef *){ &range_events[i] }, 1);
  for (size_t i = 0; i < G_N_ELEMENTS(route_events); i++)
    mal_events_register(core->events, &(const MalEventDef *){ &route_events[i] }, 1);
  mal_leases_watch(core->leases, on_lease, core);
  mal_space_watch(core->space, on_range, core);
  mal_routes_watch(core->routes, on_route, core);
  mal_store_listen(core->store, on_store, core);
  mal_leases_on_clock_step(core->leases, on_clock_step, core);
}

void mal_core_update_gauges(MalCore *core)
{
  MalLeaseTotals t = mal_leases_totals(core->leases, NULL);
  MalStoreCounters s = mal_store_counters(core->store);
  mal_gauge(core->counters, CORE_LEASES, t.leases);
  mal_gauge(core->counters, CORE_ADDRESSES, t.addresses);
  mal_gauge(core->counters, CORE_HOLDS, t.holds);
  mal_gauge(core->counters, CORE_PENDING, t.pending);
  mal_gauge(core->counters, CORE_WAITING, t.waiting);
  mal_gauge(core->counters, CORE_ROUTES, mal_routes_count(core->routes));
  mal_gauge(core->counters, CORE_BYTES, t.bytes);
  mal_gauge(core->counters, CORE_COMMITS, s.batches);
  mal_gauge(core->counters, CORE_COMMIT_US, (uint64_t)MAX(s.last_commit_us, 0));
}
