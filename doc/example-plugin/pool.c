/* pool: brings address space to a scope, a step at a time, when the scope runs dry. A layer-3
   source (RFC 2908) without a protocol: what it may bring stands in the configuration. The example
   of doc/plugin-guide.md, which goes through this file from top to bottom. */
#include <mallocd/plugin.h>

#include <string.h>

/* ---- what it tells --------------------------------------------------------------------------- */

enum { POOL_DEMANDS, POOL_RANGES, POOL_NOT_KEPT, POOL_ADDRESSES, POOL_N_METRICS };

static const MalMetricDef metrics[POOL_N_METRICS] = {
  [POOL_DEMANDS] = { "demands", MAL_COUNTER, "times that its scope ran dry" },
  [POOL_RANGES] = { "ranges-brought", MAL_COUNTER, "ranges made available since the start" },
  [POOL_NOT_KEPT] = { "not-kept", MAL_COUNTER, "ranges put off since the store failed" },
  [POOL_ADDRESSES] = { "addresses", MAL_GAUGE, "addresses of the pool that are available" },
};

static const MalEventDef event_brought = {
  .name = "pool.brought", .fault = MAL_FAULT_NOBODY, .level = MAL_LOG_INFO,
  .help = "More addresses of the pool are available in its scope." };
static const MalEventDef event_exhausted = {
  .name = "pool.exhausted", .fault = MAL_FAULT_OPERATOR, .level = MAL_LOG_WARNING,
  .help = "The scope runs dry, and all of the pool is available already. Widen first and last, "
          "or add a [range]." };
static const MalEventDef event_not_kept = {
  .name = "pool.not-kept", .fault = MAL_FAULT_OPERATOR, .level = MAL_LOG_ERROR,
  .help = "A range could not be written to the store, and so is not made available yet. It is "
          "tried again." };

static const MalEventDef *const events[] = { &event_brought, &event_exhausted, &event_not_kept };

/* ---- what it is told ------------------------------------------------------------------------- */

static const MalConfKey keys[] = {
  { .key = "scope", .type = MAL_CONF_STRING, .required = true,
    .help = "The scope that gets the addresses." },
  { .key = "first", .type = MAL_CONF_ADDRESS, .required = true,
    .help = "The pool's first address." },
  { .key = "last", .type = MAL_CONF_ADDRESS, .required = true,
    .help = "The pool's last address." },
  { .key = "step", .type = MAL_CONF_INTEGER, .min = 1, .max = 65536, .fallback = "256",
    .help = "How many addresses to bring at a time." },
  { .key = "delay", .type = MAL_CONF_DURATION, .min = 0, .max = 3600, .fallback = "0",
    .help = "How long to wait before each step, as a protocol would for its peers." },
};

static const MalConfGroup groups[] = {
  { .group = "pool", .keys = keys, .n_keys = G_N_ELEMENTS(keys),
    .help = "Addresses that are made available when the scope runs dry (role "
            "prefix-coordinator)." },
};

static bool G_GNUC_PRINTF(4, 5)
refuse(const MalConfSection *s, const char *key, GError **error, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *why = g_strdup_vprintf(format, args), *place = mal_conf_place(s, key);
  va_end(args);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", place, why);
  return false;
}

static bool check(const MalConfig *config, const MalPlan *plan, uint32_t roles, GError **error)
{
  const MalConfSection *s = mal_config_section(config, "pool");
  const char *id = mal_conf_string(s, "scope");
  const MalScope *scope = mal_scope_set_find(plan->scopes, id);
  MalSpan span = { mal_conf_address(s, "first"), mal_conf_address(s, "last") };
  char a[MAL_SPAN_STRLEN], b[MAL_SPAN_STRLEN];

  (void)roles;
  if (!scope)
    return refuse(s, "scope", error, "there is no [scope %s]", id);
  if (mal_address_compare(span.first, span.last) > 0)
    return refuse(s, "last", error, "it comes before first (%s)",
                  mal_address_format(span.first, a));
  if (!mal_span_contains(scope->span, span))
    return refuse(s, "first", error, "%s is not inside of scope %s (%s)", mal_span_format(span, a),
                  id, mal_span_format(scope->span, b));
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *range = g_ptr_array_index(plan->ranges, i);
    if (mal_span_overlaps(range->span, span))
      return refuse(s, "first", error, "%s overlaps [range %s] (%s)", mal_span_format(span, a),
                    range->name, mal_span_format(range->span, b));
  }
  return true;
}

/* ---- the instance ---------------------------------------------------------------------------- */

typedef enum { POOL_IDLE, POOL_DELAYED, POOL_WRITING } PoolState;

typedef struct {
  MalHost host;
  char *scope;
  MalSpan span;
  uint32_t step;
  int64_t delay;
  PoolState state;
  MalTimer *timer;
  unsigned listener;
  uint64_t wanted; /* addresses that were asked for and are not there yet */
  MalSpan coming;  /* while writing: what is on its way to the disk */
  MalTicket ticket;
} Pool;

static void configure(Pool *pool, const MalConfig *config)
{
  const MalConfSection *s = mal_config_section(config, "pool");

  g_free(pool->scope);
  pool->scope = g_strdup(mal_conf_string(s, "scope"));
  pool->span = (MalSpan){ mal_conf_address(s, "first"), mal_conf_address(s, "last") };
  pool->step = (uint32_t)mal_conf_integer(s, "step");
  pool->delay = mal_conf_integer(s, "delay");
}

static void *open_pool(const MalHost *host, GError **error)
{
  Pool *pool = g_new0(Pool, 1);

  (void)error;
  pool->host = *host;
  configure(pool, host->config);
  return pool;
}

static void close_pool(void *instance)
{
  Pool *pool = instance;

  g_free(pool->scope);
  g_free(pool);
}

/* ---- address space --------------------------------------------------------------------------- */

static bool is_ours(const Pool *pool, const MalRange *range)
{
  return strcmp(range->source, pool->host.name) == 0;
}

static void update_gauge(Pool *pool)
{
  g_autoptr(GPtrArray) ranges = mal_space_ranges(pool->host.space, MAL_LEVEL_AVAILABLE);
  uint64_t n = 0;

  for (unsigned i = 0; i < ranges->len; i++) {
    const MalRange *range = g_ptr_array_index(ranges, i);
    if (is_ours(pool, range))
      n += (uint64_t)mal_span_size(range->span);
  }
  mal_gauge(pool->host.metrics, POOL_ADDRESSES, n);
}

static bool make_available(Pool *pool, const char *scope, MalSpan span, GError **error)
{
  char first[MAL_ADDRESS_STRLEN];
  g_autofree char *name = g_strdup_printf("pool-%s", mal_address_format(span.first, first));

  if (!mal_space_add(pool->host.space, MAL_LEVEL_AVAILABLE, scope, span, MAL_FOREVER, name,
                     pool->host.name, error))
    return false;
  update_gauge(pool);
  return true;
}

/* The first addresses of the pool that are in nobody's range, at most a step of them. */
static bool next_span(const Pool *pool, MalSpan *out)
{
  g_autoptr(GPtrArray) ranges = mal_space_ranges(pool->host.space, MAL_LEVEL_AVAILABLE);
  MalAddress first = pool->span.first, last;
  const MalRange *range;

  while ((range = mal_space_containing(pool->host.space, MAL_LEVEL_AVAILABLE, first)))
    if (!mal_address_add(range->span.last, 1, &first))
      return false;
  if (!mal_span_has(pool->span, first))
    return false;
  if (!mal_address_add(first, pool->step - 1, &last) || !mal_span_has(pool->span, last))
    last = pool->span.last;
  for (unsigned i = 0; i < ranges->len; i++) {
    range = g_ptr_array_index(ranges, i);
    if (mal_span_has((MalSpan){ first, last }, range->span.first))
      mal_address_sub(range->span.first, 1, &last);
  }
  *out = (MalSpan){ first, last };
  return true;
}

/* ---- demand ---------------------------------------------------------------------------------- */

static void wait_for(Pool *pool, int64_t seconds)
{
  pool->state = POOL_DELAYED;
  mal_timer_set(pool->timer, mal_runtime_monotonic(pool->host.runtime) + seconds * MAL_US);
}

static void demand(void *instance, MalLevel level, const MalScope *scope, uint64_t count,
                   MalTime until)
{
  Pool *pool = instance;

  (void)level, (void)until; /* what we bring has no end */
  if (strcmp(scope->id, pool->scope) != 0)
    return;
  mal_count(pool->host.metrics, POOL_DEMANDS, 1);
  if (__builtin_add_overflow(pool->wanted, count, &pool->wanted))
    pool->wanted = UINT64_MAX;
  if (pool->state == POOL_IDLE)
    wait_for(pool, pool->delay);
}

/* ---- the store ------------------------------------------------------------------------------- */

static MalTicket keep(Pool *pool, MalSpan span)
{
  char key[MAL_ADDRESS_STRLEN], text[MAL_SPAN_STRLEN];
  g_autofree char *value = g_strdup_printf("%s %s", pool->scope, mal_span_format(span, text));
  MalRecord record = {
    .owner = pool->host.name, .kind = "range", .value = (const uint8_t *)value,
    .value_length = strlen(value),
  };

  mal_address_format(span.first, key);
  record.key = (const uint8_t *)key;
  record.key_length = strlen(key);
  return mal_store_put_record(pool->host.store, &record);
}

static void forget(Pool *pool, MalSpan span)
{
  char key[MAL_ADDRESS_STRLEN];

  mal_address_format(span.first, key);
  mal_store_drop_record(pool->host.store, pool->host.name, "range", (const uint8_t *)key,
                        strlen(key));
}

/* The delay is over. */
static void bring(void *data)
{
  Pool *pool = data;

  if (!next_span(pool, &pool->coming)) {
    MalField fields[] = { MAL_F_STRING("scope", pool->scope),
                          MAL_F_INT("wanted", (int64_t)MIN(pool->wanted, INT64_MAX)) };
    MAL_EVENT(pool->host.events, &event_exhausted, fields,
              "scope %s runs dry, and all of its pool is available already", pool->scope);
    pool->wanted = 0;
    pool->state = POOL_IDLE;
    return;
  }
  pool->state = POOL_WRITING;
  pool->ticket = keep(pool, pool->coming);
}

#define AGAIN_AFTER 10 /* seconds, when the disk fails */

static void report(Pool *pool, const MalEventDef *event, const GError *error)
{
  char text[MAL_SPAN_STRLEN];
  MalField fields[] = { MAL_F_STRING("scope", pool->scope),
                        MAL_F_STRING("span", mal_span_format(pool->coming, text)),
                        MAL_F_STRING("error", error ? error->message : NULL) };

  mal_event(pool->host.events, event, fields, error ? 3 : 2, "%s of scope %s %s%s", text,
            pool->scope, error ? "can't be made available: " : "can be leased now",
            error ? error->message : "");
}

/* The range is on the disk, or isn't. */
static void on_store(MalTicket through, const GError *error, void *data)
{
  Pool *pool = data;
  g_autoptr(GError) taken = NULL;

  if (pool->state != POOL_WRITING || through < pool->ticket)
    return;
  if (error) {
    mal_count(pool->host.metrics, POOL_NOT_KEPT, 1);
    report(pool, &event_not_kept, error);
    wait_for(pool, AGAIN_AFTER);
    return;
  }
  if (make_available(pool, pool->scope, pool->coming, &taken)) {
    mal_count(pool->host.metrics, POOL_RANGES, 1);
    report(pool, &event_brought, NULL);
    pool->wanted -= MIN(pool->wanted, (uint64_t)mal_span_size(pool->coming));
  } else {
    /* While we wrote, somebody added a range by hand. */
    report(pool, &event_not_kept, taken);
    forget(pool, pool->coming);
  }
  pool->state = POOL_IDLE;
  if (pool->wanted > 0)
    wait_for(pool, pool->delay);
}

static bool restore(void *instance, const MalRecord *record, GError **error)
{
  Pool *pool = instance;
  g_autofree char *text = g_strndup((const char *)record->value, record->value_length);
  g_auto(GStrv) words = g_strsplit(text, " ", 2);
  MalSpan span;
  bool ok = false;

  if (g_strv_length(words) != 2) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "it is not a scope and two addresses");
  } else if (mal_span_parse(words[1], &span, error)) {
    const MalRange *there =
      mal_space_containing(pool->host.space, MAL_LEVEL_AVAILABLE, span.first);
    ok = (there && is_ours(pool, there)) || make_available(pool, words[0], span, error);
  }
  if (!ok)
    g_prefix_error(error, "\"%s\", which it brought and keeps in the store: ", text);
  return ok;
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool start(void *instance, GError **error)
{
  Pool *pool = instance;

  (void)error;
  pool->timer = mal_timer_new(pool->host.runtime, bring, pool);
  pool->listener = mal_store_listen(pool->host.store, on_store, pool);
  update_gauge(pool);
  return true;
}

static void stop(void *instance)
{
  Pool *pool = instance;

  mal_store_unlisten(pool->host.store, pool->listener);
  g_clear_pointer(&pool->timer, mal_timer_free);
}

static MalReload reload(void *instance, const MalConfig *config)
{
  Pool *pool = instance;
  const MalConfSection *s = mal_config_section(config, "pool");

  if (strcmp(mal_conf_string(s, "scope"), pool->scope) != 0)
    return MAL_RELOAD_RESTART;
  configure(pool, config);
  return MAL_RELOAD_DONE;
}

/* ---- control --------------------------------------------------------------------------------- */

static void show(MalCall *call, json_object *params, void *user)
{
  static const char *const names[] = { "idle", "delayed", "writing" };
  Pool *pool = user;
  g_autoptr(GPtrArray) ranges = mal_space_ranges(pool->host.space, MAL_LEVEL_AVAILABLE);
  json_object *out = json_object_new_object(), *brought = json_object_new_array();
  char text[MAL_SPAN_STRLEN];

  (void)params;
  for (unsigned i = 0; i < ranges->len; i++) {
    const MalRange *range = g_ptr_array_index(ranges, i);
    if (is_ours(pool, range))
      json_object_array_add(brought,
                            json_object_new_string(mal_span_format(range->span, text)));
  }
  json_object_object_add(out, "scope", json_object_new_string(pool->scope));
  json_object_object_add(out, "addresses",
                         json_object_new_string(mal_span_format(pool->span, text)));
  json_object_object_add(out, "brought", brought);
  json_object_object_add(out, "wanted", json_object_new_uint64(pool->wanted));
  json_object_object_add(out, "state", json_object_new_string(names[pool->state]));
  mal_call_reply(call, out);
}

static const MalMethod methods[] = {
  { .name = "pool.state", .access = MAL_ACCESS_READ, .handle = show,
    .help = "What the pool may bring (`scope`, `addresses`), what it has brought (`brought`), how "
            "many addresses are `wanted` besides, and its `state`: idle, delayed, writing." },
};

/* ---- the descriptor -------------------------------------------------------------------------- */

MAL_API extern const MalPlugin mal_plugin;
const MalPlugin mal_plugin = {
  .abi = MAL_PLUGIN_ABI,
  .name = "pool",
  .version = "1",
  .summary = "Address space from the configuration, a step at a time, when a scope runs dry",
  .roles = MAL_ROLE_COORDINATOR,
  .groups = groups,
  .n_groups = G_N_ELEMENTS(groups),
  .methods = methods,
  .n_methods = G_N_ELEMENTS(methods),
  .events = events,
  .n_events = G_N_ELEMENTS(events),
  .metrics = metrics,
  .n_metrics = POOL_N_METRICS,
  .check = check,
  .open = open_pool,
  .restore = restore,
  .start = start,
  .reload = reload,
  .stop = stop,
  .close = close_pool,
  .demand = demand,
};
