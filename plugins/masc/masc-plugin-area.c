/* One scope: its zone, what the zone asks for, and which peers are in it. */
#include "masc-plugin.h"

#include <string.h>

static void on_send(void *user, MascZone *zone, unsigned id, const MascClaim *claims, size_t n)
{
  MascArea *area = user;
  MascPeering *peer = id < MASC_PEERS_MAX ? area->masc->peers[id] : NULL;
  (void)zone;
  /* One that can't take them goes down, and is told everything when it is up again. */
  if (peer != NULL)
    masc_session_send(peer->session, claims, n, area->masc->now);
}

static uint64_t on_keep(void *user, MascZone *zone, const MascKept *kept)
{
  (void)zone;
  return masc_store_keep(user, kept);
}

static void on_managed(void *user, MascZone *zone, MalPrefix prefix, MalTime until, bool deprecated)
{
  MascArea *area = user;
  (void)zone;
  masc_space_set_exact(area->managed, prefix, until, deprecated);
  area->managed_changed = true;
  masc_wake(area->masc);
}

static void on_unmanaged(void *user, MascZone *zone, MalPrefix prefix)
{
  MascArea *area = user;
  (void)zone;
  area->managed_changed = masc_space_unset_exact(area->managed, prefix) || area->managed_changed;
  masc_wake(area->masc);
}

static void on_local(void *user, MascZone *zone, MalPrefix prefix, MalTime until, bool deprecated)
{
  MascArea *area = user;
  (void)zone;
  masc_space_set(area->local, prefix, until, deprecated);
  area->local_changed = true;
  masc_wake(area->masc);
}

static void on_local_ends(void *user, MascZone *zone, MalPrefix prefix)
{
  MascArea *area = user;
  (void)zone;
  area->local_changed = masc_space_unset(area->local, prefix) || area->local_changed;
  masc_wake(area->masc);
}

static void on_uses(void *user, MascZone *zone, MalPrefix prefix,
                    void (*func)(MalSpan span, MalTime until, void *data), void *data)
{
  (void)zone;
  masc_space_uses(user, prefix, func, data);
}

static void on_note(void *user, MascZone *zone, MascNote note, MalPrefix prefix, MascId domain,
                    uint64_t n)
{
  (void)zone;
  masc_news_zone(user, note, prefix, domain, n);
}

static const MascZoneOps ops = {
  .send = on_send,
  .random = masc_plugin_random,
  .keep = on_keep,
  .managed = on_managed,
  .unmanaged = on_unmanaged,
  .local = on_local,
  .local_ends = on_local_ends,
  .uses = on_uses,
  .note = on_note,
};

/* ---- life ------------------------------------------------------------------------------------ */

MascArea *masc_area_new(Masc *masc, guint place, const MalScope *scope)
{
  MascArea *area = g_new0(MascArea, 1);
  area->masc = masc;
  area->place = place;
  area->scope = g_strdup(scope->id);
  area->span = scope->span;
  area->local = g_array_new(FALSE, FALSE, sizeof(MascGrant));
  area->managed = g_array_new(FALSE, FALSE, sizeof(MascGrant));
  area->suspended = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  area->adopted = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  area->less_at = MASC_NEVER;
  area->asked = g_array_new(FALSE, FALSE, sizeof(MascAsked));
  area->stored =
      g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, g_free);
  return area;
}

void masc_area_free(MascArea *area)
{
  masc_zone_free(area->zone);
  g_array_unref(area->local);
  g_array_unref(area->managed);
  g_array_unref(area->suspended);
  g_array_unref(area->adopted);
  g_array_unref(area->asked);
  g_hash_table_unref(area->stored);
  g_free(area->scope);
  g_free(area);
}

MascArea *masc_area_find(const Masc *masc, const char *scope)
{
  for (guint i = 0; i < masc->areas->len; i++)
    if (strcmp(masc_area_at(masc, i)->scope, scope) == 0)
      return masc_area_at(masc, i);
  return NULL;
}

static void restore(MascArea *area)
{
  Masc *masc = area->masc;
  for (guint i = 0; i < masc->restored->len; i++) {
    const MascStored *stored = g_ptr_array_index(masc->restored, i);
    gsize key_length, value_length;
    if (strcmp(stored->scope, area->scope) != 0)
      continue;
    const uint8_t *key = g_bytes_get_data(stored->key, &key_length);
    const uint8_t *value = g_bytes_get_data(stored->value, &value_length);
    if (masc_zone_restore(area->zone, key, key_length, value, value_length, masc->now))
      continue;
    const MalField fields[] = { MAL_F_STRING("scope", area->scope) };
    MAL_EVENT(masc->host.events, &masc_event_foreign_record, fields,
              "scope %s: a stored record can't be read, and is dropped", area->scope);
    masc_store_keep(area, &(MascKept){ .key = key, .key_length = key_length });
  }
}

void masc_area_make_zone(MascArea *area)
{
  Masc *masc = area->masc;
  MascZoneConfig config = {
    .scope = area->scope,
    .span = area->span,
    .domain = masc->settings->domain,
    .node = masc->settings->node,
    .top = masc_settings_is_top(masc->settings, area->place),
    .parent = masc_settings_has_children(masc->settings, area->place),
    .recovering = masc->now.wall < masc->recovering_until,
    .params = &masc->params,
    .ops = &ops,
    .user = area,
  };
  area->zone = masc_zone_new(&config);
  restore(area);
}

void masc_area_start(MascArea *area)
{
  masc_zone_start(area->zone, area->masc->now);
  area->local_changed = true;
  area->managed_changed = true;
}

/* ---- peers ----------------------------------------------------------------------------------- */

bool masc_area_shares(const MascArea *area, const MascPeering *peer)
{
  return (peer->settings->scopes >> area->place & 1) != 0;
}

void masc_area_bound_peer(MascArea *area, const MascPeering *peer)
{
  const MascPeerSettings *s = peer->settings;
  masc_zone_bound_peer(area->zone, peer->id,
                       area->span.first.family == MAL_IPV6 ? s->largest6 : s->largest4);
}

void masc_area_add_peer(MascArea *area, const MascPeering *peer)
{
  const MascPeerSettings *s = peer->settings;
  masc_zone_add_peer(area->zone, peer->id, s->role, s->domain, s->parent);
  masc_area_bound_peer(area, peer);
}

/* A hint has no address: it is about every scope of its family. What a parent has, and what is
   withdrawn, may reach farther than one. */
static bool is_about(const MascArea *area, const MascClaim *claim)
{
  MalSpan span = mal_span_of_prefix(claim->prefix);
  if (claim->prefix.address.family != area->span.first.family)
    return false;
  if (masc_claim_is_hint(claim))
    return true;
  return claim->type == MASC_PREFIX_MANAGED || claim->type == MASC_WITHDRAW
             ? mal_span_overlaps(area->span, span)
             : mal_span_contains(area->span, span);
}

uint8_t masc_areas_heard(Masc *masc, const MascPeering *peer, const MascClaim *claim)
{
  uint8_t answer = MASC_UPDATE_NO_PARENT_PREFIX;
  bool some = false, taken = false;
  for (guint i = 0; i < masc->areas->len; i++) {
    const MascArea *area = masc_area_at(masc, i);
    if (!masc_area_shares(area, peer) || !is_about(area, claim))
      continue;
    uint8_t said = masc_zone_heard(area->zone, peer->id, claim, masc->now);
    some = true;
    taken = taken || said == 0;
    answer = said;
  }
  mal_count(masc->host.metrics, MASC_M_NO_ZONE, some ? 0 : 1);
  return taken ? 0 : answer;
}

void masc_areas_refused(Masc *masc, const MascPeering *peer, const MascClaim *claim,
                        uint8_t subcode)
{
  for (guint i = 0; i < masc->areas->len; i++) {
    const MascArea *area = masc_area_at(masc, i);
    if (masc_area_shares(area, peer) && is_about(area, claim))
      masc_zone_refused(area->zone, peer->id, claim, subcode, masc->now);
  }
}
