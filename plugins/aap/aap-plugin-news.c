/* What machines note, as counters and events. */
#include "aap-plugin.h"

static const MalEventDef *event_of(AapNote note)
{
  switch (note) {
  case AAP_NOTE_CLAIM_COLLISION: return &aap_event_collision;
  case AAP_NOTE_CLAIM_FAILED:
  case AAP_NOTE_CLAIM_EXHAUSTED: return &aap_event_exhausted;
  case AAP_NOTE_OWNED:
  case AAP_NOTE_EXTENDED: return &aap_event_owned;
  case AAP_NOTE_GIVEN_BACK:
  case AAP_NOTE_ENDED: return &aap_event_given_back;
  case AAP_NOTE_CONFLICT: return &aap_event_conflict;
  case AAP_NOTE_DEFENDED: return &aap_event_defended;
  case AAP_NOTE_ASA_PROCESSED:
  case AAP_NOTE_ASA_RESENT: return &aap_event_asa;
  case AAP_NOTE_ASA_ABSURD: return &aap_event_asa_refused;
  case AAP_NOTE_ASA_INVALIDATES: return &aap_event_asa_invalidates;
  case AAP_NOTE_ASA_EXPIRED: return &aap_event_asa_expired;
  case AAP_NOTE_STARTED: return &aap_event_started;
  case AAP_NOTE_RECORD_FULL: return &aap_event_record_full;
  case AAP_NOTE_WRONG_SCOPE_KIND: return &aap_event_wrong_kind;
  default: return NULL;
  }
}

static const char *sentence_of(AapNote note)
{
  switch (note) {
  case AAP_NOTE_CLAIM_COLLISION: return "a claim collided";
  case AAP_NOTE_CLAIM_FAILED: return "no address is left to claim";
  case AAP_NOTE_CLAIM_EXHAUSTED: return "a claim was given up after claim-attempts collisions";
  case AAP_NOTE_OWNED: return "owned";
  case AAP_NOTE_EXTENDED: return "owned for longer";
  case AAP_NOTE_GIVEN_BACK: return "given back";
  case AAP_NOTE_ENDED: return "ended";
  case AAP_NOTE_CONFLICT: return "allocated by another server, too";
  case AAP_NOTE_DEFENDED: return "defended for a silent server";
  case AAP_NOTE_ASA_PROCESSED: return "available space was announced";
  case AAP_NOTE_ASA_RESENT: return "the announcement of available space was sent again";
  case AAP_NOTE_ASA_ABSURD: return "an announcement that expires absurdly late was dropped";
  case AAP_NOTE_ASA_INVALIDATES: return "no longer announced as available";
  case AAP_NOTE_ASA_EXPIRED: return "no coordinator announced the available space in time";
  case AAP_NOTE_STARTED: return "listening is over";
  case AAP_NOTE_RECORD_FULL: return "the record of others' allocations is full";
  case AAP_NOTE_WRONG_SCOPE_KIND: return "a message for large scopes, but this one is small here";
  default: return "";
  }
}

static void see_some(const MalRange *range, void *data)
{
  (void)range;
  *(bool *)data = true;
}

/* That nothing is there to be claimed from is another matter than that all of it is taken. */
static bool is_nothing_available(const AapServed *served)
{
  bool some = false;
  mal_space_each(served->aap->host.space, MAL_LEVEL_AVAILABLE, served->scope, served->scope->span,
                 see_some, &some);
  return !some;
}

/* Who waits for a domain's first space asks for days: that is said once. */
static bool is_said_already(AapServed *served, AapNote note, bool nothing)
{
  bool before = served->said_nothing_available;
  if (note == AAP_NOTE_CLAIM_FAILED || note == AAP_NOTE_ASA_PROCESSED)
    served->said_nothing_available = nothing;
  return nothing && before;
}

static const char *sentence_here(const AapServed *served, AapNote note, bool nothing)
{
  return !nothing                    ? sentence_of(note)
         : served->scope->divisible ? "no address is available; coordinators were asked for some"
                                    : "no address is available";
}

static const char *peer_text(MalEndpoint peer, char out[MAL_ENDPOINT_STRLEN])
{
  return peer.address.family == MAL_FAMILY_NONE ? "" : mal_endpoint_format(peer, out);
}

void aap_news_note(AapServed *served, AapNote note, MalSpan span, MalEndpoint peer, uint64_t n)
{
  const MalHost *host = &served->aap->host;
  const MalEventDef *def = event_of(note);
  char where[MAL_SPAN_STRLEN] = "", who[MAL_ENDPOINT_STRLEN];
  mal_count(host->metrics, AAP_M_NOTE + note, 1);
  bool nothing = note == AAP_NOTE_CLAIM_FAILED && is_nothing_available(served);
  if (is_said_already(served, note, nothing) || def == NULL ||
      !mal_event_wanted(host->events, def))
    return;
  if (span.first.family != MAL_FAMILY_NONE)
    mal_span_format(span, where);
  const char *from = peer_text(peer, who);
  const MalField fields[] = { MAL_F_STRING("scope", served->scope->id),
                              MAL_F_STRING("addresses", where), MAL_F_STRING("peer", from),
                              MAL_F_INT("count", (int64_t)n) };
  const char *sentence = sentence_here(served, note, nothing);
  MAL_EVENT(host->events, def, fields, "scope %s%s%s: %s%s%s", served->scope->id,
            *where ? ", " : "", where, sentence, *from ? ": " : "", from);
}

void aap_news_cnote(AapServed *served, AapCoordinatorNote note, MalEndpoint peer, uint64_t n)
{
  static const struct {
    const MalEventDef *def;
    const char *sentence;
  } table[AAP_N_CNOTES] = {
    [AAP_CNOTE_LEADS] = { &aap_event_leads, "announces the available space" },
    [AAP_CNOTE_STANDS_BACK] = { &aap_event_stands_back, "leaves announcing to another" },
    [AAP_CNOTE_INCONSISTENT] = { &aap_event_inconsistent, "other ranges are announced by another" },
    [AAP_CNOTE_TOO_MANY_RANGES] = { &aap_event_too_many_ranges, "too many ranges to announce" },
    [AAP_CNOTE_ADOPTED] = { &aap_event_adopted, "took over what others announced" },
    [AAP_CNOTE_REPORT] = { &aap_event_report, "use was reported" },
    [AAP_CNOTE_REPORT_IGNORED] = { &aap_event_report, "a report about other ranges is ignored" },
  };
  const MalHost *host = &served->aap->host;
  const MalEventDef *def = table[note].def;
  char who[MAL_ENDPOINT_STRLEN];
  mal_count(host->metrics, AAP_M_CNOTE + note, 1);
  if (def == NULL || !mal_event_wanted(host->events, def))
    return;
  const char *from = peer_text(peer, who);
  const MalField fields[] = { MAL_F_STRING("scope", served->scope->id),
                              MAL_F_STRING("peer", from), MAL_F_INT("count", (int64_t)n) };
  MAL_EVENT(host->events, def, fields, "prefix coordinator of scope %s: %s%s%s",
            served->scope->id, table[note].sentence, *from ? ": " : "", from);
}

void aap_news_dropped(Aap *aap, MalEndpoint peer, const char *type, const char *reason)
{
  char who[MAL_ENDPOINT_STRLEN];
  if (!mal_event_wanted(aap->host.events, &aap_event_ignored))
    return;
  const MalField fields[] = { MAL_F_ADDRESS("peer", peer.address), MAL_F_STRING("type", type),
                              MAL_F_STRING("reason", reason) };
  MAL_EVENT(aap->host.events, &aap_event_ignored, fields, "%s from %s dropped: %s", type,
            mal_endpoint_format(peer, who), reason);
}

void aap_news_auth(Aap *aap, MalEndpoint peer, AapAuthVerdict verdict)
{
  char who[MAL_ENDPOINT_STRLEN];
  mal_count(aap->host.metrics, AAP_M_AUTH + verdict, 1);
  if (verdict == AAP_AUTH_OK || verdict == AAP_AUTH_OWN ||
      !mal_event_wanted(aap->host.events, &aap_event_not_authentic))
    return;
  const MalField fields[] = { MAL_F_ADDRESS("peer", peer.address),
                              MAL_F_STRING("reason", aap_auth_verdict_name(verdict)) };
  MAL_EVENT(aap->host.events, &aap_event_not_authentic, fields, "message from %s dropped: %s",
            mal_endpoint_format(peer, who), aap_auth_verdict_name(verdict));
}

void aap_news_skew(Aap *aap, MalEndpoint peer, int64_t skew, bool dropped)
{
  char who[MAL_ENDPOINT_STRLEN];
  const MalField fields[] = { MAL_F_ADDRESS("peer", peer.address), MAL_F_INT("skew", skew) };
  MAL_EVENT(aap->host.events, &aap_event_skew, fields,
            "the clock of %s is off by %" G_GINT64_FORMAT " s%s", mal_endpoint_format(peer, who),
            skew, dropped ? ": its messages are dropped" : "");
}

void aap_news_gauges(Aap *aap)
{
  AapZoneUsage sum = { 0 };
  AapNow now = aap_now(aap);
  for (guint i = 0; i < aap->served->len; i++) {
    const AapServed *served = g_ptr_array_index(aap->served, i);
    if (served->zone == NULL)
      continue;
    AapZoneUsage u = aap_zone_usage(served->zone, now);
    sum.own += u.own;
    sum.own_blocks += u.own_blocks;
    sum.pool += u.pool;
    sum.foreign += u.foreign;
    sum.entries += u.entries;
  }
  MalMetricSet *m = aap->host.metrics;
  mal_gauge(m, AAP_M_PEERS, aap_peers_count(aap->peers));
  mal_gauge(m, AAP_M_SCOPES, aap->served->len);
  mal_gauge(m, AAP_M_OWN, sum.own);
  mal_gauge(m, AAP_M_OWN_BLOCKS, sum.own_blocks);
  mal_gauge(m, AAP_M_POOL, sum.pool);
  mal_gauge(m, AAP_M_FOREIGN, sum.foreign);
  mal_gauge(m, AAP_M_ENTRIES, sum.entries);
}
