/* The servers of a world: whole daemons, their configurations, their ends. */
#include "madcap-world-private.h"

#include <string.h>

#include "core/leases-core.h"

extern const MalPlugin mal_plugin;

/* ---- configurations -------------------------------------------------------------------------- */

static void write_share(GString *text, const Server *s, unsigned scope, const char *key,
                        unsigned first, unsigned size)
{
  char a[MAL_ADDRESS_STRLEN], b[MAL_ADDRESS_STRLEN];
  MalSpan share = world_share(s->index, scope, SHARE_ALL), span = share;
  span.first.value += first;
  span.last = span.first;
  span.last.value += size - 1;
  g_string_append_printf(text, "%s=%s-%s\n", key, mal_address_format(span.first, a),
                         mal_address_format(span.last, b));
}

static void write_scope(GString *text, const Server *s, const ServerConf *conf, unsigned k)
{
  char first[MAL_ADDRESS_STRLEN], last[MAL_ADDRESS_STRLEN];
  MalSpan share = world_share(s->index, k, conf->size[k]);
  g_string_append_printf(text, "[scope %s]\nfamily=%s\nfirst=%s\nlast=%s\nttl=16\nname[en]=%s\n%s",
                         world_scopes[k].id, mal_family_name(world_scopes[k].family),
                         world_scopes[k].first, world_scopes[k].last, world_scopes[k].id,
                         k == 0 ? "nests-inside=area\n" : "");
  g_string_append_printf(text, "[range r%u]\nscope=%s\nfirst=%s\nlast=%s\n", k, world_scopes[k].id,
                         mal_address_format(share.first, first),
                         mal_address_format(share.last, last));
  if (conf->exclude_size[k])
    write_share(text, s, k, "exclude", conf->exclude[k], conf->exclude_size[k]);
  if (conf->reserve_size[k]) {
    g_string_append_printf(text, "[reserve v%u]\nscope=%s\n", k, world_scopes[k].id);
    write_share(text, s, k, "addresses", conf->reserve[k], conf->reserve_size[k]);
  }
}

static GString *config_text(const Server *s, const ServerConf *conf)
{
  const MadcapWorld *w = s->world;
  GString *text = g_string_new("[daemon]\nroles=maas\nlog-level=error\n");
  g_string_append(text, w->layer3 ? "plugins=madcap; simspace\n" : "plugins=madcap\n");
  for (unsigned k = 0; k < SCOPES; k++)
    if (conf->size[k])
      write_scope(text, s, conf, k);
  g_string_append_printf(text, "[madcap]\nextra-allocation-time=%u\nmax-lease-time=%u\n"
                         "retry-after=%u\nmax-addresses-per-client=%" G_GINT64_FORMAT "\n",
                         conf->pad, conf->max_lease, RETRY_AFTER + s->index,
                         w->plan->settings[SET_CLIENT_LIMIT]);
  return text;
}

static void write_file(const Server *s, const char *text)
{
  g_autoptr(GError) error = NULL;
  FILE *file = fopen(s->file, "we");
  if (!file || fputs(text, file) < 0 || fclose(file) != 0)
    g_error("%s can't be written", s->file);
}

static void write_config(const Server *s, const ServerConf *conf)
{
  GString *text = config_text(s, conf);
  write_file(s, text->str);
  g_string_free(text, TRUE);
}

/* ---- life ------------------------------------------------------------------------------------ */

void world_log_nothing(MalLogLevel level, const char *line, void *data)
{
  (void)level, (void)line, (void)data;
}

static bool try_start(Server *s, GError **error)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, &world_space_plugin, NULL };
  s->store = mal_sim_store_open(s->node);
  MalCoreOptions options = { .runtime = mal_sim_node_runtime(s->node), .store = s->store,
                             .config_file = s->file, .builtin = builtin,
                             .log = world_log_nothing };
  s->core = mal_core_new(&options, error);
  if (s->core && mal_core_start(s->core, error))
    return true;
  g_clear_pointer(&s->core, mal_core_free);
  return false;
}

/* What had lapsed while it was down, and is ahead again since the clock went back, may lie where no
   range is any more. The daemon says what to do, and this is it. */
static bool start_as_told(Server *s, GError **error)
{
  if (!s->ghosts || !strstr((*error)->message, "put the scope and range back"))
    return false;
  for (unsigned k = 0; k < SCOPES; k++) {
    s->conf.size[k] = SHARE_MOST;
    s->conf.exclude_size[k] = s->conf.reserve_size[k] = 0;
  }
  write_config(s, &s->conf);
  g_clear_error(error);
  return try_start(s, error);
}

void world_server_start(Server *s)
{
  g_autoptr(GError) error = NULL;
  s->boots++;
  mal_sim_note(s->world->sim, s->node, "boots");
  write_config(s, &s->conf);
  if (!try_start(s, &error) && !start_as_told(s, &error)) {
    mal_sim_fail(s->world->sim, "%s does not start: %s", mal_sim_node_name(s->node),
                 error->message);
    return;
  }
  s->lapsed = mal_leases_totals(mal_core_leases(s->core), NULL).leases <
              mal_sim_store_leases(s->store);
  world_check_server_up(s);
}

void world_server_restart(void *data)
{
  Server *s = data;
  if (s->core || s->absent)
    return;
  if (!mal_sim_store_sync(s->node, NULL)) {
    mal_sim_at(s->world->sim, mal_sim_now(s->world->sim) + MAL_US, world_server_restart, s);
    return;
  }
  mal_sim_node_restart(s->node);
  world_server_start(s);
}

/* Nobody watches while it is taken down. */
void world_server_free(Server *s)
{
  if (s->core)
    mal_leases_unwatch(mal_core_leases(s->core), s->watch);
  g_clear_pointer(&s->core, mal_core_free);
}

void world_server_crash(Server *s, MalSimCrash disk, int64_t down_for)
{
  MadcapWorld *w = s->world;
  if (!s->core)
    return;
  mal_sim_node_crash(s->node, disk);
  world_server_free(s);
  mal_sim_node_bury(s->node);
  s->ghosts |= s->disk_failed;
  world_crashed(s);
  if (disk == MAL_SIM_DISK_WIPED)
    world_forget(s);
  mal_sim_at(w->sim, mal_sim_now(w->sim) + down_for, world_server_restart, s);
}

void world_server_reboot(Server *s)
{
  if (!s->core)
    return;
  world_server_free(s);
  mal_sim_node_restart(s->node);
  mal_sim_node_bury(s->node);
  world_server_start(s);
}

void world_server_step(Server *s, int64_t seconds)
{
  if (!s->core)
    return;
  world_stepped(s, seconds);
  /* Its first batch drops the rows of what had lapsed. */
  MalStoreCounters store = mal_store_counters(s->store);
  s->lapsed &= store.batches == 0 || store.failures > 0;
  s->ghosts |= seconds < 0 && s->lapsed;
  s->stepped += seconds;
  mal_sim_note(s->world->sim, s->node, "clock steps by %" G_GINT64_FORMAT " s", seconds);
  mal_sim_node_step_clock(s->node, seconds * MAL_US);
}

/* ---- reloads --------------------------------------------------------------------------------- */

static void digest_add(uint64_t *hash, uint64_t value)
{
  *hash = (*hash ^ value) * 0xff51afd7ed558ccdu;
  *hash ^= *hash >> 32;
}

/* All that a refused reload must leave as it was: scopes, ranges, leases, holds. */
static uint64_t digest(const Server *s)
{
  static const MalLeaseFilter all = { .holds = true };
  uint64_t hash = mal_scope_set_size(mal_leases_scopes(mal_core_leases(s->core)));
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++) {
    g_autoptr(GPtrArray) ranges = mal_space_ranges(mal_core_space(s->core), level);
    for (guint i = 0; i < ranges->len; i++) {
      const MalRange *range = g_ptr_array_index(ranges, i);
      digest_add(&hash, (uint64_t)range->span.first.value);
      digest_add(&hash, (uint64_t)range->span.last.value);
      digest_add(&hash, (uint64_t)range->until);
    }
  }
  MalLease lease;
  for (uint64_t cursor = 0; mal_leases_next(mal_core_leases(s->core), &all, &cursor, &lease);) {
    digest_add(&hash, g_str_hash(lease.scope));
    digest_add(&hash, (uint64_t)lease.start);
    digest_add(&hash, (uint64_t)lease.end);
    digest_add(&hash, lease.flags);
    for (size_t i = 0; i < lease.n_blocks; i++)
      digest_add(&hash, (uint64_t)lease.blocks[i].first.value << 16 | lease.blocks[i].count);
  }
  return hash;
}

static void refused(Server *s, uint64_t before, const char *why)
{
  write_config(s, &s->conf);
  count(s->world, COUNT_RELOAD_REFUSED);
  /* The engine notices a step of the clock whenever it is asked anything. */
  if (digest(s) != before && mal_sim_now(s->world->sim) - s->step_seen > 3 * MAL_US)
    mal_sim_fail(s->world->sim, "%s: a reload that was refused changed something (%s)",
                 mal_sim_node_name(s->node), why);
}

bool world_server_reload(Server *s, const ServerConf *conf)
{
  g_autoptr(GError) error = NULL;
  if (!s->core)
    return false;
  /* A reload looks at nothing that is over by now: its timer may come later in this instant. */
  mal_leases_expire(mal_core_leases(s->core), server_now(s));
  uint64_t before = digest(s);
  write_config(s, conf);
  if (!mal_core_reload(s->core, NULL, &error)) {
    /* The folder's name is another one each time, and the hash must not be. */
    const char *place = strstr(error->message, mal_sim_node_name(s->node));
    mal_sim_note(s->world->sim, s->node, "reload refused: %s", place ? place : "");
    refused(s, before, error->message);
    return false;
  }
  s->conf = *conf;
  s->dirty = true;
  count(s->world, COUNT_RELOAD_DONE);
  mal_sim_note(s->world->sim, s->node, "ranges of %u, %u, %u, %u", conf->size[0], conf->size[1],
               conf->size[2], conf->size[3]);
  return true;
}

static const char *const spoils[] = {
  "[nonsense]\nkey=1\n",
  "[madcap]\nport=99999\n",
  "[range r0]\nfirst=239.255.1.0\n",
  "[range over]\nscope=local\nfirst=239.255.0.0\nlast=239.255.255.0\n",
  "[range out]\nscope=local\nfirst=239.1.0.0\nlast=239.1.0.9\n",
  "[scope local]\nfamily=ipv6\n",
  "this is no key file\n",
  "[reserve bad]\nscope=nowhere\naddresses=239.255.1.1\n",
};

void world_server_reload_bad(Server *s, MalWorldRandom *r)
{
  g_autoptr(GError) error = NULL;
  if (!s->core)
    return;
  uint64_t before = digest(s);
  GString *text = config_text(s, &s->conf);
  if (chance(r, 30))
    g_string_truncate(text, between(r, 1, 7));
  else
    g_string_append(text, spoils[between(r, 0, G_N_ELEMENTS(spoils) - 1)]);
  write_file(s, text->str);
  if (mal_core_reload(s->core, NULL, &error))
    mal_sim_fail(s->world->sim, "%s accepted a configuration that is none (%s)",
                 mal_sim_node_name(s->node), text->str);
  else
    refused(s, before, error->message);
  g_string_free(text, TRUE);
}
