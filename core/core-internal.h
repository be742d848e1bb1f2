/* The core object's inside, shared by core/core*.c only. */
#ifndef MAL_CORE_INTERNAL_H
#define MAL_CORE_INTERNAL_H

#include "core.h"

typedef struct {
  const MalPlugin *plugin;
  const char *path;
  MalHost host;
  void *instance;
  MalConfig *config;          /* what it runs by; ours */
  bool running;
  bool wanted;                /* one of its roles is the daemon's */
} PluginRun;

/* A configuration that was read and found good, with what belongs to it. */
typedef struct {
  MalConfig *config;
  MalPlan *plan;
  MalPluginSet *plugins;
  uint32_t roles;
} Checked;

struct MalCore {
  MalCoreOptions options;
  char *config_file, *config_text, *plugin_dir;
  MalRuntime *rt;
  MalEvents *events;
  MalMetrics *metrics;
  MalMetricSet *counters;
  MalControl *control;
  MalStore *store;
  MalSpace *space;
  MalRoutes *routes;
  MalLeases *leases;
  Checked now;
  MalConfig *first;           /* of the start: what only a restart changes is still as it says */
  GPtrArray *plugins;         /* PluginRun, owned; in the order of the file */
  char *trouble;              /* of the last reload: which plugin didn't take it; NULL: none */
  MalTimer *tick;
  int64_t started;            /* monotonic */
  bool store_was_failing;
  bool up;
  GPtrArray *hand;            /* Wait: changes by hand that are on their way to the disk */
};

bool core_read(const MalCoreOptions *options, Checked *out, GError **error);
void core_checked_clear(Checked *checked);
MalEthernetPolicy core_policy(const MalConfig *config);
void core_apply_log(MalCore *core);
bool core_plugin_open(MalCore *core, PluginRun *run, const MalConfig *config, GError **error);
void core_plugin_keep_config(PluginRun *run, const MalConfig *config);
bool core_plugin_start(MalCore *core, PluginRun *run, GError **error);
void core_plugin_stop(MalCore *core, PluginRun *run);

/* core-hand.c */
bool core_hand_restore(MalCore *core, const MalRecord *record, GError **error);
/* A range went: one whose time was over takes its record with it. */
void core_hand_range_gone(MalCore *core, const MalRange *range);

/* core-news.c: the core's events and metrics */
enum {
  CORE_GRANTED,
  CORE_RENEWED,
  CORE_RELEASED,
  CORE_EXPIRED,
  CORE_REVOKED,
  CORE_SUPERSEDED,
  CORE_CLOCK_STEPS,
  CORE_RELOADS,
  CORE_RELOADS_REFUSED,
  CORE_STORE_FAILURES,
  CORE_LEASES,
  CORE_ADDRESSES,
  CORE_HOLDS,
  CORE_PENDING,
  CORE_WAITING,
  CORE_ROUTES,
  CORE_BYTES,
  CORE_COMMITS,
  CORE_COMMIT_US,
  CORE_N_METRICS
};
extern const MalMetricDef core_metrics[CORE_N_METRICS];
extern const MalEventDef core_event_started, core_event_stopped, core_event_loaded,
    core_event_reloaded, core_event_reload_refused, core_event_plugin_failed,
    core_event_store_failing, core_event_store_recovered, core_event_clock_stepped,
    core_event_superseded;
void core_news_attach(MalCore *core);
void core_news_store(MalCore *core);
/* What the configuration has, and what nothing will come of; no reason not to start. */
void core_news_past_ranges(MalCore *core);
void core_news_idle_plugins(MalCore *core);

#endif
