/* The instance: time, and the order of things. */
#include "masc-plugin.h"

#include <string.h>

#define LOOK_MOST (5 * MASC_SECOND)  /* a step of the clock is noticed within this */
#define STEP_LEAST (2 * MASC_SECOND) /* smaller ones are adjusting */
#define GAUGES_EVERY (10 * MASC_SECOND)
#define ROUNDS_MOST 100

/* ---- time ------------------------------------------------------------------------------------ */

static MascNow now_of(const Masc *masc)
{
  return (MascNow){ mal_runtime_monotonic(masc->host.runtime),
                    mal_runtime_now(masc->host.runtime) };
}

static int64_t offset_of(const Masc *masc)
{
  return mal_runtime_wall(masc->host.runtime) - mal_runtime_monotonic(masc->host.runtime);
}

uint64_t masc_plugin_random(void *user, uint64_t low, uint64_t high)
{
  const MascArea *area = user;
  return mal_runtime_random_between(area->masc->host.runtime, low, high);
}

MascNow masc_step(Masc *masc)
{
  int64_t offset = offset_of(masc), by = offset - masc->offset;
  masc->now = now_of(masc);
  masc->offset = offset;
  if (by <= STEP_LEAST && by >= -STEP_LEAST)
    return masc->now;
  int64_t seconds = (by + (by > 0 ? MASC_SECOND / 2 : -MASC_SECOND / 2)) / MASC_SECOND;
  for (guint i = 0; i < masc->areas->len; i++)
    masc_zone_clock_stepped(masc_area_at(masc, i)->zone, seconds, masc->now);
  return masc->now;
}

static void arm(Masc *masc)
{
  int64_t now = mal_runtime_monotonic(masc->host.runtime), due = now + LOOK_MOST;
  due = MIN(due, masc_demand_due(masc));
  due = MIN(due, masc_links_due(masc));
  due = MIN(due, masc_vouch_due(masc));
  for (guint i = 0; i < masc->areas->len; i++)
    due = MIN(due, masc_zone_due(masc_area_at(masc, i)->zone));
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++)
    if (masc->peers[i] != NULL)
      due = MIN(due, masc_session_due(masc->peers[i]->session));
  mal_timer_set(masc->timer, masc->woken ? now : MAX(due, now));
}

void masc_wake(Masc *masc)
{
  if (!masc->running || masc->woken)
    return;
  masc->woken = true;
  if (!masc->settling)
    mal_timer_set(masc->timer, mal_runtime_monotonic(masc->host.runtime));
}

/* ---- settling -------------------------------------------------------------------------------- */

static bool fit(MascArea *area)
{
  bool some = area->local_changed || area->managed_changed;
  if (area->local_changed)
    masc_space_fit(area);
  if (area->managed_changed)
    masc_space_fit_routes(area);
  return some;
}

void masc_settle(Masc *masc)
{
  bool some = true;
  if (masc->settling || !masc->running)
    return;
  masc->settling = true;
  for (unsigned n = 0; some && n < ROUNDS_MOST; n++) {
    some = false;
    for (guint i = 0; i < masc->areas->len; i++)
      some = fit(masc_area_at(masc, i)) || some;
  }
  masc_vouch_run(masc);
  masc->settling = false;
  arm(masc);
}

static void run_sessions(Masc *masc, MascNow now)
{
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++) {
    MascPeering *peer = masc->peers[i];
    if (peer == NULL || masc_session_due(peer->session) > now.mono)
      continue;
    masc_session_run(peer->session, now);
    masc_news_count(peer);
  }
}

static void tick(void *data)
{
  Masc *masc = data;
  MascNow now = masc_step(masc);
  masc->woken = false;
  masc_links_run(masc);
  run_sessions(masc, now);
  masc_demand_run(masc);
  for (guint i = 0; i < masc->areas->len; i++) {
    MascZone *zone = masc_area_at(masc, i)->zone;
    if (masc_zone_due(zone) <= now.mono)
      masc_zone_run(zone, now);
  }
  if (masc->gauged + GAUGES_EVERY <= now.mono) {
    masc_news_gauges(masc);
    masc->gauged = now.mono;
  }
  masc_settle(masc);
}

/* ---- life ------------------------------------------------------------------------------------ */

static const MalScopeSet *scopes_of(const Masc *masc)
{
  return mal_leases_scopes(masc->host.leases);
}

Masc *masc_plugin_open(const MalHost *host, GError **error)
{
  MascSettings *settings =
      masc_settings_new(host->config, mal_leases_scopes(host->leases), true, error);
  if (settings == NULL)
    return NULL;
  Masc *masc = g_new0(Masc, 1);
  masc->host = *host;
  masc->config = mal_config_ref((MalConfig *)(uintptr_t)host->config);
  masc->settings = settings;
  masc->params = settings->params;
  masc->areas = g_ptr_array_new_with_free_func((GDestroyNotify)masc_area_free);
  masc->listeners = g_ptr_array_new_with_free_func(masc_listener_free);
  masc->secured = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  masc->barred = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  masc->peeking = g_ptr_array_new_with_free_func(masc_connection_free);
  masc->restored = g_ptr_array_new_with_free_func(masc_stored_free);
  masc->now = now_of(masc);
  masc->offset = offset_of(masc);
  for (guint i = 0; i < settings->scopes->len; i++) {
    const MalScope *scope =
        mal_scope_set_find(scopes_of(masc), g_ptr_array_index(settings->scopes, i));
    g_ptr_array_add(masc->areas, masc_area_new(masc, i, scope));
  }
  return masc;
}

void masc_plugin_close(Masc *masc)
{
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++)
    if (masc->peers[i] != NULL)
      masc_peer_remove(masc->peers[i]);
  g_ptr_array_unref(masc->peeking);
  g_ptr_array_unref(masc->listeners);
  g_array_unref(masc->secured);
  g_array_unref(masc->barred);
  g_ptr_array_unref(masc->areas);
  g_ptr_array_unref(masc->restored);
  masc_settings_free(masc->settings);
  mal_config_unref(masc->config);
  g_free(masc);
}

/* Parents and internal peers first (12.1): of the others it waits for their word, or a while. */
static void start_peers(Masc *masc)
{
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++)
    if (masc->peers[i] != NULL)
      masc_peer_start(masc->peers[i]);
}

bool masc_plugin_start(Masc *masc, GError **error)
{
  masc_step(masc);
  if (!masc_links_listen(masc, error))
    return false;
  masc_links_secure(masc);
  masc->started = masc->now.mono;
  masc->timer = mal_timer_new(masc->host.runtime, tick, masc);
  masc_store_start(masc);
  masc_space_forget(masc);
  for (guint i = 0; i < masc->areas->len; i++)
    masc_area_make_zone(masc_area_at(masc, i));
  g_ptr_array_set_size(masc->restored, 0);
  for (guint i = 0; i < masc->settings->peers->len; i++)
    masc_peer_add(masc, g_ptr_array_index(masc->settings->peers, i));
  for (guint i = 0; i < masc->areas->len; i++) {
    masc_zone_forget_parents(masc_area_at(masc, i)->zone, masc->now);
    masc_area_start(masc_area_at(masc, i));
  }
  masc->running = true;
  masc_vouch_start(masc);
  start_peers(masc);
  masc_settle(masc);
  return true;
}

void masc_plugin_stop(Masc *masc)
{
  masc_step(masc);
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++)
    if (masc->peers[i] != NULL)
      masc_session_stop(masc->peers[i]->session, masc->now);
  for (guint i = 0; i < masc->areas->len; i++)
    masc_space_unsuspend(masc_area_at(masc, i));
  masc_vouch_stop(masc);
  masc->running = false;
  g_clear_pointer(&masc->timer, mal_timer_free);
  masc_links_close(masc);
  masc_store_stop(masc);
}

/* ---- reload ---------------------------------------------------------------------------------- */

/* What zones can't change under way. */
static bool same_domain(const Masc *masc, const MascSettings *new)
{
  const MascSettings *old = masc->settings;
  if (old->domain != new->domain || old->node != new->node || old->scopes->len != new->scopes->len)
    return false;
  for (guint i = 0; i < masc->areas->len; i++) {
    const MascArea *area = masc_area_at(masc, i);
    const MalScope *scope = mal_scope_set_find(scopes_of(masc), g_ptr_array_index(new->scopes, i));
    if (strcmp(area->scope, g_ptr_array_index(new->scopes, i)) != 0 ||
        !mal_address_equal(area->span.first, scope->span.first) ||
        !mal_address_equal(area->span.last, scope->span.last) ||
        masc_settings_is_top(old, i) != masc_settings_is_top(new, i) ||
        masc_settings_has_children(old, i) != masc_settings_has_children(new, i))
      return false;
  }
  return true;
}

static bool same_listeners(const MascSettings *a, const MascSettings *b)
{
  if (a->port != b->port || a->listen->len != b->listen->len)
    return false;
  for (guint i = 0; i < a->listen->len; i++)
    if (!mal_address_equal(g_array_index(a->listen, MalAddress, i),
                           g_array_index(b->listen, MalAddress, i)))
      return false;
  return true;
}

/* By masc.stop: it stays so, whatever else changes about the peer. */
static bool is_stopped(const MascPeering *peer)
{
  MascSessionStatus status;
  masc_session_status(peer->session, &status);
  return !status.started;
}

/* New ones come before old ones go: a parent that only changed its address takes nothing along
   (12.5). */
static void change_peers(Masc *masc, MascSettings *new)
{
  MascPeering *gone[MASC_PEERS_MAX];
  unsigned n = 0;
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++)
    if (masc->peers[i] != NULL)
      gone[n++] = masc->peers[i];
  for (guint i = 0; i < new->peers->len; i++) {
    MascPeerSettings *settings = g_ptr_array_index(new->peers, i);
    MascPeering *peer = masc_peer_named(masc, settings->name);
    if (peer == NULL || !masc_peer_settings_same(peer->settings, settings)) {
      bool stopped = peer != NULL && is_stopped(peer);
      peer = masc_peer_add(masc, settings);
      if (!stopped)
        masc_peer_start(peer);
      continue;
    }
    peer->settings = settings;
    masc_peer_configure(peer);
    for (unsigned k = 0; k < n; k++)
      if (gone[k] == peer)
        gone[k] = NULL;
  }
  for (unsigned k = 0; k < n; k++)
    if (gone[k] != NULL) {
      masc_session_stop(gone[k]->session, masc->now);
      masc_peer_remove(gone[k]);
    }
}

MalReload masc_plugin_reload(Masc *masc, const MalConfig *config)
{
  MascSettings *new = masc_settings_new(config, scopes_of(masc), true, NULL);
  masc_step(masc);
  if (new == NULL || !same_domain(masc, new) ||
      masc->settings->peers->len + new->peers->len > MASC_PEERS_MAX) {
    masc_settings_free(new);
    return MAL_RELOAD_RESTART;
  }
  MascSettings *old = masc->settings;
  bool listen = !same_listeners(old, new);
  masc->settings = new;
  masc->params = new->params;
  change_peers(masc, new);
  mal_config_unref(masc->config);
  masc->config = mal_config_ref((MalConfig *)(uintptr_t)config);
  masc_settings_free(old);
  if (listen && !masc_links_listen(masc, NULL))
    return MAL_RELOAD_RESTART;
  masc_links_secure(masc);
  for (guint i = 0; i < masc->areas->len; i++) {
    masc_zone_params_changed(masc_area_at(masc, i)->zone, masc->now);
    masc_area_at(masc, i)->local_changed = true;
  }
  masc_settle(masc);
  return MAL_RELOAD_DONE;
}
