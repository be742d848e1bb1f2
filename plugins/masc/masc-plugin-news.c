/* What machines note, as events and counters. */
#include "masc-plugin.h"

#include <string.h>

const char *masc_prefix_format(MalPrefix prefix, char out[MAL_SPAN_STRLEN])
{
  char address[MAL_ADDRESS_STRLEN];
  g_snprintf(out, MAL_SPAN_STRLEN, "%s/%u", mal_address_format(prefix.address, address),
             prefix.length);
  return out;
}

void masc_news_zone(MascArea *area, MascNote note, MalPrefix prefix, MascId domain, uint64_t n)
{
  const MalHost *host = &area->masc->host;
  const MascNews *news = &masc_zone_news[note];
  char where[MAL_SPAN_STRLEN] = "", who[MAL_ADDRESS_STRLEN] = "";
  mal_count(host->metrics, MASC_M_NOTE + note, 1);
  if ((note == MASC_NOTE_DENIES || note == MASC_NOTE_REFUSED) && n == MASC_UPDATE_PREFIX_LARGE)
    mal_count(host->metrics, MASC_M_TOO_LARGE, 1);
  if (!mal_event_wanted(host->events, news->event))
    return;
  if (note == MASC_NOTE_HINT)
    g_snprintf(where, sizeof where, "/%u", prefix.length);
  else if (prefix.address.family != MAL_FAMILY_NONE)
    masc_prefix_format(prefix, where);
  if (domain != 0)
    masc_id_format(domain, who);
  const MalField fields[] = { MAL_F_STRING("scope", area->scope), MAL_F_STRING("prefix", where),
                              MAL_F_STRING("domain", who), MAL_F_INT("count", (int64_t)n) };
  g_autofree char *why =
      note == MASC_NOTE_REFUSED
          ? g_strdup_printf(" (%s)", masc_subcode_name(MASC_ERROR_UPDATE, (unsigned)n))
          : g_strdup("");
  MAL_EVENT(host->events, news->event, fields, "scope %s%s%s%s%s: %s%s", area->scope,
            *where ? ", " : "", where, *who ? ", domain " : "", who, news->sentence, why);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static char *details(MascSessionNote note, const MascSessionDetail *d)
{
  char text[MASC_DESCRIPTION_SIZE];
  switch (note) {
  case MASC_SESSION_STATE:
    return g_strdup_printf(": %s, before %s", masc_state_name(d->to), masc_state_name(d->from));
  case MASC_SESSION_SENT:
  case MASC_SESSION_RECEIVED:
  case MASC_SESSION_SILENT:
  case MASC_SESSION_SUPPRESSED:
    return g_strdup_printf(
        ": %s, %s%s%s%s", masc_error_name(d->code), masc_subcode_name(d->code, d->subcode),
        d->open ? ", which keeps the session" : "", d->claim != NULL ? ": " : "",
        d->claim != NULL ? masc_describe_claim(d->claim, text, sizeof text) : "");
  case MASC_SESSION_BACKOFF:
    return g_strdup_printf(" for %" G_GINT64_FORMAT " s", (int64_t)d->n / MASC_SECOND);
  case MASC_SESSION_FAILED:
    return g_strdup_printf(": %s", masc_failure_name((MascFailure)d->n));
  case MASC_SESSION_UNSENDABLE:
    return g_strdup_printf(": %s (%s)", masc_reason_name((MascReason)d->n),
                           d->claim != NULL ? masc_describe_claim(d->claim, text, sizeof text)
                                            : "");
  default: return g_strdup("");
  }
}

void masc_news_session(MascPeering *peer, MascSessionNote note, const MascSessionDetail *detail)
{
  const MalHost *host = &peer->masc->host;
  const MascNews *news = &masc_session_news[note];
  const char *name = peer->settings->name;
  mal_count(host->metrics, MASC_M_SESSION_NOTE + note, 1);
  if (note == MASC_SESSION_SENT)
    mal_count(host->metrics, MASC_M_ERRORS_SENT + MIN(detail->code, MASC_N_ERROR_CODES - 1), 1);
  if (note == MASC_SESSION_RECEIVED || note == MASC_SESSION_SILENT)
    mal_count(host->metrics,
              MASC_M_ERRORS_RECEIVED +
                  (detail->code < MASC_N_ERROR_CODES ? detail->code : MASC_ERROR_NONE),
              1);
  if (!mal_event_wanted(host->events, news->event))
    return;
  g_autofree char *more = details(note, detail);
  const MalField fields[] = {
    MAL_F_STRING("peer", name),
    MAL_F_ADDRESS("address", peer->settings->address.address),
    MAL_F_INT("code", detail->code),
    MAL_F_INT("subcode", detail->subcode),
    MAL_F_INT("count", note == MASC_SESSION_FAILED ? 0 : (int64_t)detail->n),
  };
  MAL_EVENT(host->events, news->event, fields, "peer %s: %s%s", name, news->sentence, more);
}

/* AAP, or another layer 2, sees to it that two servers don't lease the same. */
static void warn_unshared(const MascPeering *peer)
{
  const MalHost *host = &peer->masc->host;
  const MalField fields[] = { MAL_F_STRING("peer", peer->settings->name) };
  if (peer->settings->role == MASC_INTERNAL && host->roles & MAL_ROLE_MAAS &&
      mal_space_is_mirrored(host->space))
    MAL_EVENT(host->events, &masc_event_unshared, fields,
              "peer %s holds the same prefixes, and nothing shares them out among the servers: if "
              "it leases, too, both lease the same addresses",
              peer->settings->name);
}

void masc_news_up(MascPeering *peer)
{
  const MalHost *host = &peer->masc->host;
  char domain[MAL_ADDRESS_STRLEN], node[MAL_ADDRESS_STRLEN];
  MascSessionStatus status;
  masc_session_status(peer->session, &status);
  masc_id_format(status.domain, domain);
  masc_id_format(status.node, node);
  const MalField fields[] = { MAL_F_STRING("peer", peer->settings->name),
                              MAL_F_STRING("domain", domain), MAL_F_STRING("node", node) };
  mal_count(host->metrics, MASC_M_UPS, 1);
  MAL_EVENT(host->events, &masc_event_session_up, fields,
            "peer %s (%s, domain %s, node %s): the session is established", peer->settings->name,
            masc_role_name(masc_role_of_peer(peer->settings->role)), domain, node);
  warn_unshared(peer);
}

void masc_news_down(MascPeering *peer, MascDown why)
{
  const MalHost *host = &peer->masc->host;
  const MalField fields[] = { MAL_F_STRING("peer", peer->settings->name),
                              MAL_F_STRING("why", masc_down_name(why)) };
  mal_count(host->metrics, MASC_M_DOWNS, 1);
  MAL_EVENT(host->events, &masc_event_session_down, fields, "peer %s: the session is down: %s",
            peer->settings->name, masc_down_name(why));
}

void masc_news_stranger(Masc *masc, MalEndpoint from)
{
  char text[MAL_ENDPOINT_STRLEN];
  const MalField fields[] = { MAL_F_ADDRESS("address", from.address) };
  mal_count(masc->host.metrics, MASC_M_STRANGERS, 1);
  MAL_EVENT(masc->host.events, &masc_event_stranger, fields,
            "%s is no [masc-peer]: its connection was closed", mal_endpoint_format(from, text));
}

/* ---- counters and gauges --------------------------------------------------------------------- */

static void count_block(MalMetricSet *set, size_t first, const uint64_t *now,
                        const uint64_t *before, size_t n)
{
  for (size_t i = 0; i < n; i++)
    mal_count(set, first + i, now[i] - before[i]);
}

void masc_news_count(MascPeering *peer)
{
  MalMetricSet *set = peer->masc->host.metrics;
  MascSessionStatus now;
  const MascSessionStatus *before = &peer->counted;
  masc_session_status(peer->session, &now);
  count_block(set, MASC_M_SENT, now.messages_out, before->messages_out, MASC_KEEPALIVE + 1);
  count_block(set, MASC_M_RECEIVED, now.messages_in, before->messages_in, MASC_KEEPALIVE + 1);
  count_block(set, MASC_M_CLAIMS_SENT, now.claims_out, before->claims_out, MASC_N_CLAIM_TYPES);
  count_block(set, MASC_M_CLAIMS_RECEIVED, now.claims_in, before->claims_in, MASC_N_CLAIM_TYPES);
  peer->counted = now;
}

static void sum_areas(const Masc *masc, MascZoneUsage *sum)
{
  for (guint i = 0; i < masc->areas->len; i++) {
    MascZoneUsage u = masc_zone_usage(masc_area_at(masc, i)->zone, masc->now);
    sum->held += u.held;
    sum->local += u.local;
    sum->waiting += u.waiting;
    sum->n_held += u.n_held;
    sum->n_pending += u.n_pending;
    sum->n_cached += u.n_cached;
  }
}

void masc_news_gauges(Masc *masc)
{
  MalMetricSet *set = masc->host.metrics;
  MascZoneUsage sum = { 0 };
  unsigned peers = 0, established = 0;
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++) {
    if (masc->peers[i] == NULL)
      continue;
    masc_news_count(masc->peers[i]);
    peers++;
    established += masc_session_state(masc->peers[i]->session) == MASC_ESTABLISHED;
  }
  sum_areas(masc, &sum);
  mal_gauge(set, MASC_M_SESSIONS, peers);
  mal_gauge(set, MASC_M_ESTABLISHED, established);
  mal_gauge(set, MASC_M_HELD, sum.held);
  mal_gauge(set, MASC_M_LOCAL, sum.local);
  mal_gauge(set, MASC_M_PREFIXES, sum.n_held);
  mal_gauge(set, MASC_M_PENDING, sum.n_pending);
  mal_gauge(set, MASC_M_CACHED, sum.n_cached);
  mal_gauge(set, MASC_M_WAITING, sum.waiting);
}
