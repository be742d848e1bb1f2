#include "aap-peers.h"

#include <stdlib.h>

/* A queue by time of hearing, the latest first, and an index by endpoint. */
struct AapPeers {
  GHashTable *by_endpoint; /* AapPeer -> its link in ORDER */
  GQueue order;
};

static guint peer_hash(gconstpointer data)
{
  const AapPeer *peer = data;
  uint64_t value = (uint64_t)peer->endpoint.address.value ^
                   (uint64_t)(peer->endpoint.address.value >> 64) ^ peer->endpoint.port;
  return g_int64_hash(&value);
}

static gboolean peer_equal(gconstpointer a, gconstpointer b)
{
  return mal_endpoint_equal(((const AapPeer *)a)->endpoint, ((const AapPeer *)b)->endpoint);
}

AapPeers *aap_peers_new(void)
{
  AapPeers *peers = g_new0(AapPeers, 1);
  peers->by_endpoint = g_hash_table_new(peer_hash, peer_equal);
  return peers;
}

void aap_peers_free(AapPeers *peers)
{
  if (peers == NULL)
    return;
  g_hash_table_unref(peers->by_endpoint);
  g_queue_clear_full(&peers->order, g_free);
  g_free(peers);
}

static AapPeer *find_or_add(AapPeers *peers, MalEndpoint from)
{
  AapPeer key = { .endpoint = from };
  GList *link = g_hash_table_lookup(peers->by_endpoint, &key);
  if (link != NULL) {
    g_queue_unlink(&peers->order, link);
    g_queue_push_head_link(&peers->order, link);
    return link->data;
  }
  if (peers->order.length >= AAP_PEERS_MOST) {
    AapPeer *oldest = g_queue_pop_tail(&peers->order);
    g_hash_table_remove(peers->by_endpoint, oldest);
    g_free(oldest);
  }
  AapPeer *peer = g_new0(AapPeer, 1);
  peer->endpoint = from;
  g_queue_push_head(&peers->order, peer);
  g_hash_table_insert(peers->by_endpoint, peer, peers->order.head);
  return peer;
}

const AapPeer *aap_peers_heard(AapPeers *peers, MalEndpoint from, const AapMessage *msg,
                               int64_t delta, uint64_t sender, int64_t mono)
{
  AapPeer *peer = find_or_add(peers, from);
  peer->heard = mono;
  /* What is sent again keeps its coordinator's clock (3.2.10.2). */
  if (msg->type != AAP_ASA)
    peer->skew = -delta;
  peer->messages[msg->type]++;
  peer->sender = sender;
  aap_loss_heard(&peer->loss, msg->rseq, msg->mseq);
  return peer;
}

size_t aap_peers_count(const AapPeers *peers)
{
  return peers->order.length;
}

static int by_address(const void *a, const void *b)
{
  const AapPeer *p = a, *q = b;
  int order = mal_address_compare(p->endpoint.address, q->endpoint.address);
  return order != 0 ? order : (int)p->endpoint.port - (int)q->endpoint.port;
}

GArray *aap_peers_list(const AapPeers *peers)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(AapPeer));
  for (const GList *i = peers->order.head; i != NULL; i = i->next)
    g_array_append_vals(out, i->data, 1);
  g_array_sort(out, by_address);
  return out;
}
