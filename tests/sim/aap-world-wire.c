/* The network: everybody hears everybody, but for what is lost and cut off. */
#include "aap-world-private.h"

/* Clean: nothing is lost, cut off or slow, and everybody's messages leave. */
void world_network_changed(AapWorld *w)
{
  bool clean = w->loss == 0 && w->cuts == 0 && w->muted == 0 && w->delay + w->jitter <= CLEAN_DELAY;
  if (!clean)
    w->clean_since = AAP_NEVER;
  else if (w->clean_since == AAP_NEVER)
    w->clean_since = w->now;
}

static void fly(AapWorld *w, unsigned from, unsigned to, GBytes *octets)
{
  int64_t at = w->now + w->delay + (int64_t)between(&w->random, 0, (uint64_t)w->jitter);
  Event *event = world_push(w, EVENT_DATAGRAM, at, to);
  event->a = from;
  event->octets = g_bytes_ref(octets);
}

static void deliver(AapWorld *w, unsigned from, unsigned to, GBytes *octets)
{
  const AapNode *node = &w->node[to];
  if (to == from || !node->up)
    return;
  if (w->cut[from][to] || (w->deaf && to == 0)) {
    world_count(w, COUNT_CUT, 1);
    return;
  }
  if (w->loss > 0 && chance(&w->random, w->loss)) {
    world_count(w, COUNT_LOST, 1);
    return;
  }
  fly(w, from, to, octets);
  if (w->twice > 0 && chance(&w->random, w->twice)) {
    world_count(w, COUNT_TWICE, 1);
    fly(w, from, to, octets);
  }
}

static const WorldCount counts[] = { COUNT_ACLM, COUNT_AIU, COUNT_AITU,
                                     COUNT_ASA,  COUNT_ASRP, COUNT_ANA };

bool world_send(AapNode *from, const AapMessage *msg)
{
  AapWorld *w = from->world;
  uint8_t octets[AAP_MAX_LENGTH];
  if (from->mute)
    return false;
  size_t length = msg->body ? aap_encode_resent(msg->family, msg->rseq, msg->current_time,
                                                msg->body, msg->body_length, octets, sizeof octets)
                            : aap_encode(msg, octets, sizeof octets, NULL);
  AapMessage again;
  if (length == 0 || !aap_decode(octets, length, w->scratch, &again, NULL)) {
    world_fail(w, "a message that can't be encoded, or is refused");
    return true;
  }
  if (g_getenv("MAL_SIM_TRACE") != NULL) {
    char text[AAP_DESCRIPTION_SIZE];
    aap_describe(&again, text, sizeof text);
    world_trace(w, "%2u %s", from->index, text);
  }
  if (!from->is_coordinator)
    world_check_message(from, &again);
  world_count(w, COUNT_SENT, 1);
  world_count(w, counts[again.type], 1);
  w->figures.messages++;
  w->figures.octets += length;
  w->figures.by_type[again.type]++;
  g_autoptr(GBytes) bytes = g_bytes_new(octets, length);
  for (unsigned i = 0; i < NODES; i++)
    if (!w->node[i].absent)
      deliver(w, from->index, i, bytes);
  return true;
}

void world_datagram(AapWorld *w, const Event *event)
{
  AapNode *to = &w->node[event->node];
  MalEndpoint from = w->node[event->a].endpoint;
  AapMessage msg;
  gsize length;
  const uint8_t *octets = g_bytes_get_data(event->octets, &length);
  if (!aap_decode(octets, length, w->scratch, &msg, NULL)) {
    world_fail(w, "what was sent can't be decoded");
  } else if (to->zone != NULL) {
    aap_zone_heard(to->zone, from, &msg, octets, length, world_clock(to));
    world_settle(to);
  } else if (to->coordinator != NULL) {
    aap_coordinator_heard(to->coordinator, from, &msg, world_clock(to));
    world_settle_coordinator(to);
  }
}
