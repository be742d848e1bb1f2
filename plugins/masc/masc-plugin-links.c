/* Transport connections: made, taken, and told to their sessions. Who comes from the address of one
   peer is that peer; from the address of several sessions (siblings with several parents in common)
   its OPEN says which one is meant. */
#include "masc-plugin.h"

#include <string.h>

#define PEEK_MOST 64 /* connections that are peeked at */
#define PEEK_WAIT (30 * MASC_SECOND)
#define FINISH_WAIT (5 * MASC_SECOND) /* for what is queued behind a Cease */

static const MalStreamOps stream_ops;

/* ---- one connection -------------------------------------------------------------------------- */

void masc_connection_free(gpointer data)
{
  MascConnection *c = data;
  g_clear_pointer(&c->stream, mal_stream_close);
  g_clear_pointer(&c->peeked, g_byte_array_unref);
  g_free(c);
}

static MascConnection *find(const MascPeering *peer, MascLink link, guint *at)
{
  for (guint i = 0; i < peer->connections->len; i++) {
    MascConnection *c = g_ptr_array_index(peer->connections, i);
    if (c->link != link)
      continue;
    *at = i;
    return c;
  }
  return NULL;
}

static void drop(MascConnection *c)
{
  GPtrArray *all = c->peer != NULL ? c->peer->connections : c->masc->peeking;
  g_ptr_array_remove(all, c);
}

static MascConnection *adopt(MascPeering *peer, MascConnection *c)
{
  c->peer = peer;
  c->link = ++peer->last_link;
  g_ptr_array_add(peer->connections, c);
  return c;
}

static MalStreamSecurity security_of(const MascPeerSettings *s)
{
  return (MalStreamSecurity){ .md5_key = s->key_length > 0 ? s->key : NULL,
                              .md5_length = s->key_length,
                              .gtsm = s->gtsm };
}

static void say_security(Masc *masc, const MascPeerSettings *peer, const GError *error)
{
  const MalField fields[] = { MAL_F_STRING("peer", peer->name),
                              MAL_F_STRING("error", error->message) };
  MAL_EVENT(masc->host.events, &masc_event_security, fields, "peer %s: %s", peer->name,
            error->message);
}

MascLink masc_links_connect(MascPeering *peer)
{
  const MascPeerSettings *s = peer->settings;
  MalEndpoint local = { .address = s->local };
  MalStreamSecurity security = security_of(s);
  g_autoptr(GError) error = NULL;
  MascConnection *c = g_new0(MascConnection, 1);
  c->masc = peer->masc;
  c->from = s->address;
  c->stream = mal_stream_connect_secure(peer->masc->host.runtime, local, s->address, &security,
                                        &stream_ops, c, &error);
  if (c->stream != NULL)
    return adopt(peer, c)->link;
  say_security(peer->masc, s, error);
  g_free(c);
  return 0;
}

bool masc_links_send(MascPeering *peer, MascLink link, const uint8_t *octets, size_t length)
{
  guint at;
  MascConnection *c = find(peer, link, &at);
  return c == NULL || mal_stream_send(c->stream, octets, length);
}

void masc_links_finish(MascPeering *peer, MascLink link)
{
  guint at;
  MascConnection *c = find(peer, link, &at);
  if (c == NULL)
    return;
  mal_stream_finish(g_steal_pointer(&c->stream), FINISH_WAIT);
  g_ptr_array_remove_index(peer->connections, at);
}

/* ---- who is it? ------------------------------------------------------------------------------ */

/* The first session with that address; *MORE: there are others. */
static MascPeering *by_address(const Masc *masc, MalAddress address, bool *more)
{
  MascPeering *found = NULL;
  *more = false;
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++) {
    MascPeering *peer = masc->peers[i];
    if (peer == NULL || !mal_address_equal(peer->settings->address.address, address))
      continue;
    *more = found != NULL;
    if (found == NULL)
      found = peer;
    else
      return found;
  }
  return found;
}

static MascPeering *by_parent(const Masc *masc, MalAddress address, MascId parent)
{
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++) {
    MascPeering *peer = masc->peers[i];
    if (peer != NULL && mal_address_equal(peer->settings->address.address, address) &&
        peer->settings->parent == parent)
      return peer;
  }
  return NULL;
}

/* C has left `peeking`, or was never there. */
static void give(MascPeering *peer, MascConnection *c)
{
  Masc *masc = peer->masc;
  g_autoptr(GByteArray) peeked = g_steal_pointer(&c->peeked);
  adopt(peer, c);
  MascLink link = c->link;
  guint at;
  if (!masc_session_accepted(peer->session, link, masc->now)) {
    g_ptr_array_remove(peer->connections, c);
  } else if (peeked != NULL && find(peer, link, &at) != NULL) {
    masc_session_data(peer->session, link, peeked->data, peeked->len, masc->now);
  }
  masc_news_count(peer);
}

static void peek(MascConnection *c, const uint8_t *data, size_t length)
{
  Masc *masc = c->masc;
  MascOpen open;
  bool more;
  if (c->peeked->len < MASC_MAX_LENGTH)
    g_byte_array_append(c->peeked, data, (guint)length);
  MascPeek what = masc_peek_open(c->peeked->data, c->peeked->len, &open);
  if (what == MASC_PEEK_MORE && c->peeked->len < MASC_MAX_LENGTH)
    return;
  MascPeering *peer = what == MASC_PEEK_OPEN ? by_parent(masc, c->from.address, open.parent) : NULL;
  if (peer == NULL)
    peer = by_address(masc, c->from.address, &more);
  guint at;
  g_ptr_array_find(masc->peeking, c, &at);
  g_ptr_array_steal_index(masc->peeking, at);
  if (peer != NULL)
    give(peer, c);
  else
    masc_connection_free(c);
}

/* ---- events of streams ----------------------------------------------------------------------- */

static void closed(MascConnection *c)
{
  MascPeering *peer = c->peer;
  Masc *masc = c->masc;
  MascLink link = c->link;
  bool up = c->up;
  drop(c);
  if (peer == NULL)
    return;
  if (up)
    masc_session_closed(peer->session, link, masc->now);
  else
    masc_session_failed(peer->session, link, masc->now);
}

static void tell(MascConnection *c, MalStreamEvent what, const uint8_t *data, size_t length)
{
  MascPeering *peer = c->peer;
  MascNow now = c->masc->now;
  switch (what) {
  case MAL_STREAM_CONNECTED:
    c->up = true;
    masc_session_connected(peer->session, c->link, now);
    break;
  case MAL_STREAM_DATA:
    if (peer == NULL)
      peek(c, data, length);
    else
      masc_session_data(peer->session, c->link, data, length, now);
    break;
  case MAL_STREAM_WRITABLE:
    if (peer != NULL)
      masc_session_writable(peer->session, c->link, now);
    break;
  case MAL_STREAM_CLOSED: closed(c); break;
  }
}

static void on_stream(MalStream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                      const GError *error, void *user)
{
  MascConnection *c = user;
  Masc *masc = c->masc;
  MascPeering *peer = c->peer;
  (void)stream, (void)error;
  masc_step(masc);
  tell(c, what, data, length);
  if (peer != NULL)
    masc_news_count(peer);
  masc_settle(masc);
}

static const MalStreamOps stream_ops = { on_stream };

static bool has_address(const GArray *addresses, MalAddress address)
{
  for (guint i = 0; i < addresses->len; i++)
    if (mal_address_equal(g_array_index(addresses, MalAddress, i), address))
      return true;
  return false;
}

/* ---- listeners ------------------------------------------------------------------------------- */

static void on_accept(MalListener *listener, MalStream *stream, MalEndpoint from, void *data)
{
  Masc *masc = data;
  bool several;
  (void)listener;
  masc_step(masc);
  MascPeering *peer = by_address(masc, from.address, &several);
  if (peer == NULL || has_address(masc->barred, from.address) ||
      (several && masc->peeking->len >= PEEK_MOST)) {
    masc_news_stranger(masc, from);
    mal_stream_close(stream);
    return;
  }
  MascConnection *c = g_new0(MascConnection, 1);
  *c = (MascConnection){ .masc = masc, .stream = stream, .up = true, .from = from };
  mal_stream_start(stream, &stream_ops, c);
  if (several) {
    c->peeked = g_byte_array_new();
    c->give_up = masc->now.mono + PEEK_WAIT;
    g_ptr_array_add(masc->peeking, c);
  } else {
    give(peer, c);
  }
  masc_settle(masc);
}

static void say_listener(Masc *masc, MalEndpoint local, const GError *error)
{
  char text[MAL_ENDPOINT_STRLEN];
  mal_endpoint_format(local, text);
  if (error != NULL) {
    const MalField fields[] = { MAL_F_STRING("address", text),
                                MAL_F_STRING("error", error->message) };
    MAL_EVENT(masc->host.events, &masc_event_listener, fields, "%s: %s", text, error->message);
  } else {
    const MalField fields[] = { MAL_F_STRING("address", text) };
    MAL_EVENT(masc->host.events, &masc_event_listening, fields, "peers are accepted at %s", text);
  }
}

static void add_listener(Masc *masc, MalListener *handle, MalFamily family)
{
  MascListener *listener = g_new0(MascListener, 1);
  *listener = (MascListener){ handle, family };
  g_ptr_array_add(masc->listeners, listener);
}

void masc_listener_free(gpointer data)
{
  MascListener *listener = data;
  mal_listener_close(listener->handle);
  g_free(listener);
}

/* A family that the host has not can't keep the other one's peers away, unless it was asked for. */
bool masc_links_listen(Masc *masc, GError **error)
{
  const MascSettings *settings = masc->settings;
  g_ptr_array_set_size(masc->listeners, 0);
  for (guint i = 0; i < settings->listen->len; i++) {
    MalEndpoint local = { .address = g_array_index(settings->listen, MalAddress, i),
                          .port = settings->port };
    g_autoptr(GError) why = NULL;
    MalListener *listener = mal_listener_open(masc->host.runtime, local, on_accept, masc, &why);
    if (listener != NULL)
      add_listener(masc, listener, local.address.family);
    say_listener(masc, local, why);
    if (listener == NULL && (local.address.value != 0 || settings->listen->len == 1)) {
      g_propagate_error(error, g_steal_pointer(&why));
      g_ptr_array_set_size(masc->listeners, 0);
      return false;
    }
  }
  return true;
}

/* PEER NULL: nothing need be borne any more. */
static bool secure(const Masc *masc, MalAddress address, const MascPeerSettings *peer,
                   GError **error)
{
  MalStreamSecurity security = { 0 };
  bool ok = true;
  if (peer != NULL)
    security = security_of(peer);
  for (guint i = 0; ok && i < masc->listeners->len; i++) {
    const MascListener *listener = g_ptr_array_index(masc->listeners, i);
    if (listener->family == address.family)
      ok = mal_listener_set_peer(listener->handle, address, peer != NULL ? &security : NULL, error);
  }
  return ok;
}

static void secure_peer(Masc *masc, const MascPeerSettings *peer)
{
  MalAddress address = peer->address.address;
  g_autoptr(GError) error = NULL;
  bool ok = secure(masc, address, peer, &error);
  g_array_append_val(masc->secured, address);
  if (ok || (peer->key_length == 0 && peer->gtsm == 0))
    return;
  g_array_append_val(masc->barred, address);
  say_security(masc, peer, error);
}

/* Of each peer something is said: those of whom nothing is must be as near as the others. Who
   can't be held to what is configured does not get in. */
void masc_links_secure(Masc *masc)
{
  const GPtrArray *peers = masc->settings->peers;
  g_autoptr(GArray) before = masc->secured;
  masc->secured = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  g_array_set_size(masc->barred, 0);
  for (guint i = 0; i < peers->len; i++)
    secure_peer(masc, g_ptr_array_index(peers, i));
  for (guint i = 0; i < before->len; i++)
    if (!has_address(masc->secured, g_array_index(before, MalAddress, i)))
      secure(masc, g_array_index(before, MalAddress, i), NULL, NULL);
}

void masc_links_close(Masc *masc)
{
  g_ptr_array_set_size(masc->listeners, 0);
  g_ptr_array_set_size(masc->peeking, 0);
}

int64_t masc_links_due(const Masc *masc)
{
  int64_t due = MASC_NEVER;
  for (guint i = 0; i < masc->peeking->len; i++)
    due = MIN(due, ((const MascConnection *)g_ptr_array_index(masc->peeking, i))->give_up);
  return due;
}

void masc_links_run(Masc *masc)
{
  for (guint i = masc->peeking->len; i-- > 0;)
    if (((const MascConnection *)g_ptr_array_index(masc->peeking, i))->give_up <= masc->now.mono)
      g_ptr_array_remove_index(masc->peeking, i);
}
