/* The instance: which scopes are served, time, datagrams, and the order of things. */
#include "aap-plugin.h"

#include "aap-plugin-scopes.h"
#include "aap-time.h"

#include <string.h>

#define LOOK_MOST (5 * AAP_US)   /* a step of the clock is noticed within this */
#define STEP_LEAST (2 * AAP_US)  /* smaller ones are adjusting */
#define GAUGES_EVERY (10 * AAP_US)
#define ROUNDS_MOST 100
#define SPANS_MOST 1024          /* named addresses that are waited for, a scope */

/* ---- time ------------------------------------------------------------------------------------ */

AapNow aap_now(const Aap *aap)
{
  return (AapNow){ mal_runtime_monotonic(aap->host.runtime), mal_runtime_now(aap->host.runtime) };
}

static int64_t offset_now(const Aap *aap)
{
  return mal_runtime_wall(aap->host.runtime) - mal_runtime_monotonic(aap->host.runtime);
}

static AapServed *served_at(const Aap *aap, guint i)
{
  return g_ptr_array_index(aap->served, i);
}

AapNow aap_step(Aap *aap)
{
  AapNow now = aap_now(aap);
  int64_t offset = offset_now(aap), by = offset - aap->offset;
  aap->offset = offset;
  if (by <= STEP_LEAST && by >= -STEP_LEAST)
    return now;
  int64_t seconds = (by + (by > 0 ? AAP_US / 2 : -AAP_US / 2)) / AAP_US;
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = served_at(aap, i);
    aap_store_clock_stepped(served, seconds);
    served->available_changed = true;
    if (served->zone != NULL)
      aap_zone_clock_stepped(served->zone, seconds, now);
    if (served->coordinator != NULL)
      aap_coordinator_clock_stepped(served->coordinator, seconds, now);
  }
  return now;
}

uint64_t aap_plugin_random(void *user, uint64_t low, uint64_t high)
{
  const AapServed *served = user;
  return mal_runtime_random_between(served->aap->host.runtime, low, high);
}

static void arm(Aap *aap)
{
  int64_t now = aap_now(aap).mono, due = MIN(now + LOOK_MOST, aap->write_at);
  for (guint i = 0; i < aap->served->len; i++) {
    const AapServed *served = served_at(aap, i);
    if (served->zone != NULL)
      due = MIN(due, aap_zone_due(served->zone));
    if (served->coordinator != NULL)
      due = MIN(due, aap_coordinator_due(served->coordinator));
  }
  mal_timer_set(aap->timer, aap->woken ? now : due);
}

void aap_wake(Aap *aap)
{
  if (!aap->running || aap->woken)
    return;
  aap->woken = true;
  if (!aap->settling)
    mal_timer_set(aap->timer, aap_now(aap).mono);
}

/* ---- settling -------------------------------------------------------------------------------- */

static bool do_actions(Aap *aap)
{
  g_autoptr(GArray) actions = aap->actions;
  aap->actions = g_array_new(FALSE, FALSE, sizeof(AapAction));
  for (guint i = 0; i < actions->len; i++) {
    AapAction *action = &g_array_index(actions, AapAction, i);
    aap_zone_do(action->served, action);
    g_clear_pointer(&action->extents, g_array_unref);
  }
  /* Once for all that was said: an AIU may name hundreds. */
  for (guint i = 0; i < aap->served->len; i++)
    if (served_at(aap, i)->suspended_changed)
      aap_space_fit_suspended(served_at(aap, i));
  return actions->len > 0;
}

static bool do_echoes(Aap *aap)
{
  g_autoptr(GArray) echoes = aap->echoes;
  aap->echoes = g_array_new(FALSE, FALSE, sizeof(AapEcho));
  for (guint i = 0; i < echoes->len; i++) {
    AapEcho *echo = &g_array_index(echoes, AapEcho, i);
    aap_messages_echo(aap, echo, aap_now(aap));
    g_free(echo->octets);
  }
  return echoes->len > 0;
}

static void tell_available(AapServed *served)
{
  aap_space_tell_available(served);
  if (served->coordinator != NULL)
    aap_coordinator_tell(served);
}

static bool do_changes(Aap *aap)
{
  bool some = false;
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = served_at(aap, i);
    if (aap->reserved_changed)
      aap_space_tell_excluded(served);
    some = some || aap->reserved_changed;
    if (!served->available_changed)
      continue;
    tell_available(served);
    some = true;
  }
  aap->reserved_changed = false;
  return some;
}

static void deny_unserved(Aap *aap)
{
  g_autoptr(GPtrArray) denied = aap->denied;
  aap->denied = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < denied->len; i++) {
    const char *id = g_ptr_array_index(denied, i), *why = g_hash_table_lookup(aap->unserved, id);
    const MalScope *scope = mal_scope_set_find(aap->scopes, id);
    g_autoptr(GError) error = g_error_new(
        MAL_ERROR, MAL_ERROR_NO_SPACE, "scope %s is not served by AAP: %s", id,
        why != NULL ? why : "this daemon has not the role maas");
    if (scope != NULL)
      mal_space_deny(aap->host.space, scope, error);
  }
}

void aap_settle(Aap *aap)
{
  if (aap->settling || !aap->running)
    return;
  aap->settling = true;
  for (unsigned n = 0; n < ROUNDS_MOST; n++) {
    bool some = do_actions(aap);
    some = do_echoes(aap) || some;
    some = do_changes(aap) || some;
    if (!some)
      break;
  }
  deny_unserved(aap);
  aap_store_write(aap);
  aap->settling = false;
  arm(aap);
}

static void run_wants(AapServed *served, AapNow now)
{
  g_autoptr(GArray) spans = served->want_spans;
  served->want_spans = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (guint i = 0; i < spans->len; i++) {
    const AapExtent *want = &g_array_index(spans, AapExtent, i);
    aap_zone_want_span(served->zone, want->span, want->end, now);
  }
  if (served->wants)
    aap_zone_want(served->zone, served->count, served->until, now);
  served->wants = false;
}

static void tick(void *data)
{
  Aap *aap = data;
  AapNow now = aap_step(aap);
  aap->woken = false;
  if (aap->gauged + GAUGES_EVERY <= now.mono) {
    aap_news_gauges(aap);
    aap->gauged = now.mono;
  }
  do_changes(aap); /* who waits may want what has just become available */
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = served_at(aap, i);
    if (served->zone != NULL)
      run_wants(served, now);
    if (served->zone != NULL && aap_zone_due(served->zone) <= now.mono)
      aap_zone_run(served->zone, now);
    if (served->coordinator != NULL && aap_coordinator_due(served->coordinator) <= now.mono)
      aap_coordinator_run(served->coordinator, now);
  }
  aap_settle(aap);
}

void aap_plugin_acquire(Aap *aap, const MalScope *scope, MalSpan span, uint64_t count,
                        MalTime until)
{
  AapServed *served = aap_served_find(aap, scope->id);
  mal_count(aap->host.metrics, AAP_M_WANTS, 1);
  if (served == NULL || served->zone == NULL) {
    g_ptr_array_add(aap->denied, g_strdup(scope->id));
  } else if (span.first.family != MAL_FAMILY_NONE) {
    AapExtent want = { span, until };
    if (served->want_spans->len < SPANS_MOST)
      g_array_append_val(served->want_spans, want);
  } else {
    served->until = served->wants ? MAX(served->until, until) : until;
    served->count = served->wants ? MAX(served->count, count) : count;
    served->wants = true;
  }
  aap_wake(aap);
}

unsigned aap_plugin_announce(Aap *aap)
{
  AapNow now = aap_step(aap);
  unsigned n = 0;
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = served_at(aap, i);
    if (served->zone != NULL)
      n += aap_zone_announce(served->zone, now);
    if (served->coordinator != NULL)
      n += aap_coordinator_announce(served->coordinator, now);
  }
  aap_settle(aap);
  return n;
}

/* ---- scopes ---------------------------------------------------------------------------------- */

AapServed *aap_served_find(const Aap *aap, const char *scope_id)
{
  for (guint i = 0; i < aap->served->len; i++)
    if (strcmp(served_at(aap, i)->scope->id, scope_id) == 0)
      return served_at(aap, i);
  return NULL;
}

static void served_free(gpointer data)
{
  AapServed *served = data;
  aap_zone_free(served->zone);
  if (served->coordinator != NULL)
    aap_coordinator_free(served->coordinator);
  aap_served_store_free(served);
  aap_intervals_free(served->ours);
  g_array_unref(served->suspended);
  g_array_unref(served->blocked);
  g_array_unref(served->asa);
  g_array_unref(served->adopted);
  g_array_unref(served->adopting);
  g_array_unref(served->want_spans);
  g_free(served);
}

static void make_machines(AapServed *served)
{
  Aap *aap = served->aap;
  const MalScope *scope = served->scope;
  if (aap->host.roles & MAL_ROLE_MAAS) {
    AapZoneConfig config = { scope->id,   scope->span,    scope->divisible, &aap->params,
                             aap->sequence, &aap_zone_ops, served };
    served->zone = aap_zone_new(&config);
  }
  if (scope->divisible && (aap->host.roles & MAL_ROLE_COORDINATOR)) {
    AapCoordinatorConfig config = { scope->id,     scope->span, &aap->params,
                                    aap->sequence, &aap_coordinator_ops, served };
    served->coordinator = aap_coordinator_new(&config);
  }
}

static void serve(Aap *aap, const AapPlace *place)
{
  AapServed *served = g_new0(AapServed, 1);
  served->aap = aap;
  served->scope = place->scope;
  served->place = aap->places->len;
  served->coordinator_heard = AAP_NEVER;
  served->ours = aap_intervals_new(sizeof(MalTime), NULL);
  served->suspended = aap_spans_new();
  served->blocked = aap_spans_new();
  served->asa = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  served->adopted = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  served->adopting = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  served->want_spans = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  g_array_append_val(aap->places, *place);
  g_ptr_array_add(aap->served, served);
  make_machines(served);
}

/* ---- life ------------------------------------------------------------------------------------ */

static const MalConfSection *section_of(const MalConfig *config)
{
  return mal_config_section(config, "aap");
}

static void configure(Aap *aap)
{
  const MalConfSection *s = section_of(aap->config);
  size_t limit = aap->params.payload_limit;
  aap->params = aap_params_from(s);
  aap->params.payload_limit = limit;
  aap->skew_log = mal_conf_integer(s, "skew-log");
  aap->skew_drop = mal_conf_integer(s, "skew-drop");
}

Aap *aap_plugin_open(const MalHost *host, GError **error)
{
  Aap *aap = g_new0(Aap, 1);
  aap->host = *host;
  aap->config = mal_config_ref((MalConfig *)(uintptr_t)host->config);
  aap->scopes = mal_scope_set_ref((MalScopeSet *)(uintptr_t)mal_leases_scopes(host->leases));
  aap->sequence = aap_sequence_new();
  aap->places = g_array_new(FALSE, FALSE, sizeof(AapPlace));
  aap->served = g_ptr_array_new_with_free_func(served_free);
  aap->unserved = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  aap->peers = aap_peers_new();
  aap->scratch = g_new(AapScratch, 1);
  aap->buffer = g_malloc(AAP_MAX_LENGTH);
  aap->actions = g_array_new(FALSE, FALSE, sizeof(AapAction));
  aap->echoes = g_array_new(FALSE, FALSE, sizeof(AapEcho));
  aap->denied = g_ptr_array_new_with_free_func(g_free);
  aap->offset = offset_now(aap);
  configure(aap);
  bool ok = aap_auth_load(section_of(aap->config), &aap->keys, error);
  for (size_t i = 0; ok && i < mal_scope_set_size(aap->scopes); i++) {
    const MalScope *scope = mal_scope_set_at(aap->scopes, i);
    AapPlace place;
    char *why = NULL;
    if (aap_scopes_place(section_of(aap->config), aap->scopes, scope, &place, &why))
      serve(aap, &place);
    else
      g_hash_table_insert(aap->unserved, g_strdup(scope->id), why);
  }
  aap_store_open(aap);
  if (ok)
    return aap;
  aap_plugin_close(aap);
  return NULL;
}

void aap_plugin_close(Aap *aap)
{
  aap_auth_end(aap);
  g_ptr_array_unref(aap->served);
  aap_store_close(aap);
  for (guint i = 0; i < aap->actions->len; i++)
    g_clear_pointer(&g_array_index(aap->actions, AapAction, i).extents, g_array_unref);
  for (guint i = 0; i < aap->echoes->len; i++)
    g_free(g_array_index(aap->echoes, AapEcho, i).octets);
  g_array_unref(aap->actions);
  g_array_unref(aap->echoes);
  g_ptr_array_unref(aap->denied);
  g_array_unref(aap->places);
  g_hash_table_unref(aap->unserved);
  aap_peers_free(aap->peers);
  aap_sequence_free(aap->sequence);
  mal_scope_set_unref(aap->scopes);
  mal_config_unref(aap->config);
  g_clear_pointer(&aap->keys, aap_keys_unref);
  g_free(aap->scratch);
  g_free(aap->buffer);
  g_free(aap);
}

static bool configure_links(Aap *aap, GError **error)
{
  const MalConfSection *s = section_of(aap->config);
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  g_autoptr(GArray) groups = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  for (size_t i = 0; i < mal_conf_length(s, "interfaces"); i++)
    g_ptr_array_add(names, (gpointer)(uintptr_t)mal_conf_item(s, "interfaces", i));
  g_ptr_array_add(names, NULL);
  for (guint i = 0; i < aap->places->len; i++)
    g_array_append_val(groups, g_array_index(aap->places, AapPlace, i).group);
  return aap_links_configure(aap->links, (char *const *)names->pdata,
                             (unsigned)mal_conf_integer(s, "ttl"),
                             (const MalAddress *)(void *)groups->data, groups->len, error);
}

static void start_served(AapServed *served)
{
  AapNow now = aap_now(served->aap);
  aap_space_prepare(served);
  for (guint i = 0; i < served->adopting->len; i++) {
    const AapExtent *extent = &g_array_index(served->adopting, AapExtent, i);
    aap_zone_adopt(served->zone, extent->span, extent->end);
  }
  g_array_set_size(served->adopting, 0);
  aap_space_fit(served, served->scope->span);
  aap_space_tell_excluded(served);
  tell_available(served);
  if (served->zone != NULL) {
    aap_zone_start(served->zone, now);
    int64_t left = aap_zone_usage(served->zone, now).startup_ends - now.mono;
    mal_space_set_listening(served->aap->host.space, served->scope,
                            mal_time_add(now.wall, left / AAP_US + 1));
  }
  if (served->coordinator != NULL)
    aap_coordinator_start(served->coordinator, now);
}

static void say_not_served(gpointer key, gpointer value, gpointer data)
{
  Aap *aap = data;
  const MalField fields[] = { MAL_F_STRING("scope", key) };
  MAL_EVENT(aap->host.events, &aap_event_not_served, fields, "scope %s is not served: %s",
            (const char *)key, (const char *)value);
}

static void reserved_changed(void *data)
{
  Aap *aap = data;
  aap->reserved_changed = true;
  aap_wake(aap);
}

static void vouch_again(void *data)
{
  aap_coordinator_doubt(data);
}

bool aap_plugin_start(Aap *aap, GError **error)
{
  uint16_t port = (uint16_t)mal_conf_integer(section_of(aap->config), "port");
  aap->links = aap_links_new(&aap->host, port, aap_messages_received, aap);
  if (!configure_links(aap, error)) {
    g_clear_pointer(&aap->links, aap_links_free);
    return false;
  }
  aap->timer = mal_timer_new(aap->host.runtime, tick, aap);
  aap->space_watch = mal_space_watch(aap->host.space, aap_space_changed, aap);
  aap->reserve_watch = mal_leases_watch_reserved(aap->host.leases, reserved_changed, aap);
  mal_space_on_vouch(aap->host.space, vouch_again, aap);
  aap_store_start(aap);
  aap_auth_begin(aap);
  g_hash_table_foreach(aap->unserved, say_not_served, aap);
  for (guint i = 0; i < aap->served->len; i++)
    start_served(served_at(aap, i));
  aap->running = true;
  aap_wake(aap);
  return true;
}

void aap_plugin_stop(Aap *aap)
{
  aap->running = false;
  g_clear_pointer(&aap->timer, mal_timer_free);
  mal_space_unwatch(aap->host.space, aap->space_watch);
  mal_space_on_vouch(aap->host.space, NULL, NULL);
  mal_leases_unwatch_reserved(aap->host.leases, aap->reserve_watch);
  for (guint i = 0; i < aap->served->len; i++)
    aap_space_unblock(served_at(aap, i));
  aap_store_stop(aap);
  aap_auth_end(aap);
  g_clear_pointer(&aap->links, aap_links_free);
}

/* The same scopes, in the same places? */
static bool same_scopes(const Aap *aap, const MalConfig *config)
{
  static const char *const keys[] = { "port", "relative-offset", "group6", "allocation-scope" };
  const MalScopeSet *new = mal_leases_scopes(aap->host.leases);
  const MalConfSection *a = section_of(aap->config), *b = section_of(config);
  if (mal_scope_set_size(new) != mal_scope_set_size(aap->scopes))
    return false;
  for (size_t i = 0; i < mal_scope_set_size(new); i++) {
    const MalScope *x = mal_scope_set_at(aap->scopes, i), *y = mal_scope_set_at(new, i);
    if (strcmp(x->id, y->id) != 0 || x->divisible != y->divisible ||
        !mal_address_equal(x->span.first, y->span.first) ||
        !mal_address_equal(x->span.last, y->span.last))
      return false;
  }
  return mal_conf_integer(a, keys[0]) == mal_conf_integer(b, keys[0]) &&
         mal_conf_integer(a, keys[1]) == mal_conf_integer(b, keys[1]) &&
         mal_address_equal(mal_conf_address(a, keys[2]), mal_conf_address(b, keys[2])) &&
         aap_scopes_same_names(a, b);
}

static void take_scopes(Aap *aap)
{
  MalScopeSet *old = aap->scopes;
  aap->scopes = mal_scope_set_ref((MalScopeSet *)(uintptr_t)mal_leases_scopes(aap->host.leases));
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = served_at(aap, i);
    served->scope = mal_scope_set_find(aap->scopes, served->scope->id);
    g_array_index(aap->places, AapPlace, served->place).scope = served->scope;
    served->available_changed = true;
    served->prepared = false;
    aap_space_prepare(served);
    aap_space_fit(served, served->scope->span);
  }
  mal_scope_set_unref(old);
}

MalReload aap_plugin_reload(Aap *aap, const MalConfig *config)
{
  AapKeys *keys;
  if (!same_scopes(aap, config) || !aap_auth_load(section_of(config), &keys, NULL))
    return MAL_RELOAD_RESTART;
  mal_config_unref(aap->config);
  aap->config = mal_config_ref((MalConfig *)(uintptr_t)config);
  take_scopes(aap);
  configure(aap);
  aap_auth_use(aap, keys);
  if (!configure_links(aap, NULL))
    return MAL_RELOAD_RESTART;
  for (guint i = 0; i < aap->served->len; i++) {
    aap_space_tell_excluded(served_at(aap, i));
    if (served_at(aap, i)->zone != NULL)
      aap_zone_params_changed(served_at(aap, i)->zone, aap_now(aap));
  }
  aap_wake(aap);
  return MAL_RELOAD_DONE;
}
