/* Sessions as links: octets of real messages, in order, some time later. */
#include <string.h>

#include "masc-workload-real.h"
#include "plugins/masc/masc-compare.h"

static MascId domain_of(uint32_t node)
{
  return node + 1;
}

static void add_link(Node *from, uint32_t to, unsigned peer, int64_t latency)
{
  Link *link = g_new0(Link, 1);
  link->to = to;
  link->peer = peer;
  link->latency = latency;
  from->links = g_renew(Link *, from->links, from->n_links + 1);
  from->links[from->n_links++] = link;
}

/* A_IS: what A is to B. */
void real_link(Real *real, uint32_t a, MascRole a_is, uint32_t b, MascId parent, int64_t latency)
{
  Node *x = &real->nodes[a], *y = &real->nodes[b];
  unsigned of_b = x->n_links, of_a = y->n_links;
  add_link(x, b, of_a, latency);
  add_link(y, a, of_b, latency);
  masc_zone_add_peer(x->zone, of_b, a_is, domain_of(b), parent);
  masc_zone_add_peer(y->zone, of_a, masc_role_of_peer(a_is), domain_of(a), parent);
  masc_zone_up(x->zone, of_b, domain_of(b), domain_of(b), real_now(real));
  masc_zone_up(y->zone, of_a, domain_of(a), domain_of(a), real_now(real));
}

/* ---- sending --------------------------------------------------------------------------------- */

void real_packet_unref(Packet *packet)
{
  if (packet == NULL || --packet->refs > 0)
    return;
  g_free(packet->claims);
  g_free(packet);
}

static bool same_as_last(const Real *real, const Node *from, const MascClaim *claims, size_t n)
{
  if (real->last == NULL || real->last_from != from || real->last_n != n)
    return false;
  for (size_t i = 0; i < n; i++) {
    if (real->last_claims[i].type != claims[i].type ||
        real->last_claims[i].role != claims[i].role ||
        !masc_claim_same(&real->last_claims[i], &claims[i]) ||
        real->last_claims[i].deprecated != claims[i].deprecated)
      return false;
  }
  return true;
}

static Packet *encode(Real *real, const Node *from, const MascClaim *claims, size_t n)
{
  uint8_t buffer[MASC_MAX_LENGTH];
  MascMessage message = { .type = MASC_UPDATE, .update = { .claims = claims, .n_claims = n } };
  MascRefusal why;
  if (same_as_last(real, from, claims, n))
    return real->last;
  size_t length = masc_encode(&message, buffer, sizeof buffer, &why);
  if (length == 0)
    g_error("a zone sends what can't be encoded: %s", masc_reason_name(why.reason));
  real_packet_unref(real->last);
  real->last = g_malloc(sizeof(Packet) + length);
  *real->last = (Packet){ .refs = 1, .length = (uint16_t)length };
  memcpy(real->last->octets, buffer, length);
  if (n > real->last_room)
    real->last_claims = g_renew(MascClaim, real->last_claims, real->last_room = n);
  memcpy(real->last_claims, claims, n * sizeof *claims);
  real->last_n = n;
  real->last_from = from;
  return real->last;
}

/* As the page counts them: what a domain says of its own claims, to those whom it claims from or
   beside. */
static void count(Node *from, unsigned peer, const MascClaim *claims, size_t n)
{
  Score *score = from->real->score;
  if (!score->scoring || peer != 0 || (!from->leaf && from->n_siblings == 0))
    return;
  for (size_t i = 0; i < n; i++) {
    if (claims[i].domain == domain_of(from->index) && !masc_claim_is_hint(&claims[i]))
      *(from->leaf ? &score->updates_leaf : &score->updates_tld) += 1;
  }
}

void real_send(Node *from, unsigned peer, const MascClaim *claims, size_t n)
{
  Real *real = from->real;
  Link *link = from->links[peer];
  count(from, peer, claims, n);
  while (n > 0) {
    size_t fit = masc_claims_fit(claims, n);
    Packet *packet = encode(real, from, claims, fit);
    packet->refs++;
    real->score->messages += real->score->scoring;
    agenda_add(&real->agenda, real->now + link->latency, AT_PACKET, link->to, link, packet);
    claims += fit;
    n -= fit;
  }
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void decode(Packet *packet, const uint8_t *octets, size_t length)
{
  MascMessage message;
  MascFault fault;
  MascClaim claim;
  if (!masc_decode(octets, length, &message, &fault) || message.type != MASC_UPDATE)
    g_error("a message that can't be decoded");
  MascCursor cursor = masc_cursor(&message.update);
  for (MascNext next; (next = masc_cursor_next(&cursor, &claim, &fault)) != MASC_NEXT_END;) {
    if (next != MASC_NEXT_CLAIM) {
      packet->n_faults += fault.subcode != 0;
      continue;
    }
    packet->claims = g_renew(MascClaim, packet->claims, packet->n_claims + 1);
    packet->claims[packet->n_claims++] = claim;
  }
}

/* Where what the octets say is known already, they aren't looked at again. */
static void open_packet(Real *real, Packet *packet)
{
  const uint8_t *data = packet->octets, *message;
  size_t left = packet->length, length;
  if (packet->n_claims + packet->n_faults > 0)
    return;
  while (masc_deframe(&real->deframer, &data, &left, &message, &length) == MASC_FRAME_MESSAGE)
    decode(packet, message, length);
}

void real_receive(Real *real, const Link *link, Packet *packet)
{
  Node *node = &real->nodes[link->to];
  open_packet(real, packet);
  real->score->refused += packet->n_faults;
  for (unsigned i = 0; i < packet->n_claims; i++)
    real->score->refused +=
        masc_zone_heard(node->zone, link->peer, &packet->claims[i], real_now(real)) != 0;
  real_packet_unref(packet);
  real_arm(node);
}

void real_links_free(Real *real)
{
  for (unsigned i = 0; i < real->n_nodes; i++) {
    for (unsigned k = 0; k < real->nodes[i].n_links; k++)
      g_free(real->nodes[i].links[k]);
    g_free(real->nodes[i].links);
  }
  real_packet_unref(real->last);
  g_free(real->last_claims);
}
