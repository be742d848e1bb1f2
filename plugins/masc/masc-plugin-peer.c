/* Peers: their sessions, from and to the zones. */
#include "masc-plugin.h"

#include <string.h>

#define LATER (5 * MASC_SECOND) /* siblings and children wait so long for parents (12.1) */

/* ---- what sessions ask for ------------------------------------------------------------------- */

static MascLink on_connect(void *user, MascSession *session)
{
  (void)session;
  return masc_links_connect(user);
}

static bool on_send(void *user, MascSession *session, MascLink link, const uint8_t *octets,
                    size_t length)
{
  (void)session;
  return masc_links_send(user, link, octets, length);
}

static void on_finish(void *user, MascSession *session, MascLink link)
{
  (void)session;
  masc_links_finish(user, link);
}

static void on_up(void *user, MascSession *session, MascNow now)
{
  MascPeering *peer = user;
  MascSessionStatus status;
  masc_session_status(session, &status);
  peer->was_down = false;
  masc_news_up(peer);
  for (guint i = 0; i < peer->masc->areas->len; i++) {
    const MascArea *area = masc_area_at(peer->masc, i);
    if (masc_area_shares(area, peer))
      masc_zone_up(area->zone, peer->id, status.domain, status.node, now);
  }
}

static void on_down(void *user, MascSession *session, MascDown why, MascNow now)
{
  MascPeering *peer = user;
  (void)session;
  peer->last_down = why;
  peer->was_down = true;
  masc_news_down(peer, why);
  for (guint i = 0; i < peer->masc->areas->len; i++) {
    const MascArea *area = masc_area_at(peer->masc, i);
    if (masc_area_shares(area, peer))
      masc_zone_down(area->zone, peer->id, now);
  }
}

static uint8_t on_claim(void *user, MascSession *session, const MascClaim *claim, MascNow now)
{
  MascPeering *peer = user;
  (void)session, (void)now;
  return masc_areas_heard(peer->masc, peer, claim);
}

static void on_update_end(void *user, MascSession *session, MascNow now)
{
  (void)user, (void)session, (void)now;
}

static uint64_t on_random(void *user, uint64_t low, uint64_t high)
{
  const MascPeering *peer = user;
  return mal_runtime_random_between(peer->masc->host.runtime, low, high);
}

static void on_note(void *user, MascSession *session, MascSessionNote note,
                    const MascSessionDetail *detail)
{
  MascPeering *peer = user;
  (void)session;
  masc_news_session(peer, note, detail);
  if (note != MASC_SESSION_RECEIVED || !detail->open)
    return;
  for (size_t i = 0; i < detail->n_claims; i++)
    masc_areas_refused(peer->masc, peer, &detail->claim[i], detail->subcode);
}

static const MascSessionOps ops = {
  .connect = on_connect,
  .send = on_send,
  .finish = on_finish,
  .up = on_up,
  .down = on_down,
  .claim = on_claim,
  .update_end = on_update_end,
  .random = on_random,
  .note = on_note,
};

/* ---- life ------------------------------------------------------------------------------------ */

static bool has_own_parents(const MascPeering *peer, guint *n)
{
  const MascSettings *settings = peer->masc->settings;
  bool top = peer->settings->role == MASC_SIBLING && peer->settings->parent == MASC_TLD_ID;
  *n = top ? 0 : settings->parents->len;
  return *n > 0;
}

static MascSessionConfig config_of(const MascPeering *peer)
{
  const MascSettings *settings = peer->masc->settings;
  const MascPeerSettings *s = peer->settings;
  MascSessionConfig config;
  guint n;
  masc_session_config_init(&config);
  bool parents = has_own_parents(peer, &n);
  config.rule = (MascOpenRule){
    .role = s->role,
    .domain = settings->domain,
    .node = settings->node,
    .peer_domain = s->domain,
    .peer_node = s->node,
    .parents = parents ? (const MascId *)(const void *)settings->parents->data : NULL,
    .n_parents = n,
  };
  /* 7.2: to all but siblings any of ours; who is a child or a parent doesn't look at it. */
  config.parent = s->role == MASC_SIBLING ? s->parent
                  : s->role == MASC_CHILD ? s->domain
                  : parents               ? g_array_index(settings->parents, MascId, 0)
                                          : MASC_TLD_ID;
  config.family = masc_settings_family(settings, s);
  config.hold_time = s->hold_time;
  config.passive = s->passive;
  config.connect_retry = settings->connect_retry * MASC_SECOND;
  config.backoff_first = settings->backoff_first * MASC_SECOND;
  config.backoff_most = settings->backoff_most * MASC_SECOND;
  return config;
}

static unsigned free_id(const Masc *masc)
{
  unsigned id = 0;
  while (masc->peers[id] != NULL)
    id++;
  return id;
}

MascPeering *masc_peer_add(Masc *masc, MascPeerSettings *settings)
{
  MascPeering *peer = g_new0(MascPeering, 1);
  peer->masc = masc;
  peer->settings = settings;
  peer->id = free_id(masc);
  peer->connections = g_ptr_array_new_with_free_func(masc_connection_free);
  MascSessionConfig config = config_of(peer);
  peer->session = masc_session_new(&config, &ops, peer);
  masc->peers[peer->id] = peer;
  for (guint i = 0; i < masc->areas->len; i++)
    if (masc_area_shares(masc_area_at(masc, i), peer))
      masc_area_add_peer(masc_area_at(masc, i), peer);
  return peer;
}

void masc_peer_configure(MascPeering *peer)
{
  MascSessionConfig config = config_of(peer);
  masc_session_configure(peer->session, &config);
  for (guint i = 0; i < peer->masc->areas->len; i++)
    if (masc_area_shares(masc_area_at(peer->masc, i), peer))
      masc_area_bound_peer(masc_area_at(peer->masc, i), peer);
}

void masc_peer_start(MascPeering *peer)
{
  bool first = peer->settings->role == MASC_CHILD || peer->settings->role == MASC_INTERNAL;
  int64_t retry = peer->masc->settings->connect_retry * MASC_SECOND;
  masc_session_start(peer->session, first ? 0 : MIN(LATER, retry / 2), peer->masc->now);
  masc_news_count(peer);
}

void masc_peer_remove(MascPeering *peer)
{
  Masc *masc = peer->masc;
  masc->peers[peer->id] = NULL;
  for (guint i = 0; masc->running && i < masc->areas->len; i++)
    if (masc_area_shares(masc_area_at(masc, i), peer))
      masc_zone_remove_peer(masc_area_at(masc, i)->zone, peer->id, masc->now);
  masc_session_free(peer->session);
  g_ptr_array_unref(peer->connections);
  g_free(peer);
}

MascPeering *masc_peer_named(const Masc *masc, const char *name)
{
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++)
    if (masc->peers[i] != NULL && strcmp(masc->peers[i]->settings->name, name) == 0)
      return masc->peers[i];
  return NULL;
}
