/* What zones ask for, and what is done about it after the call. */
#include "aap-plugin.h"

/* ---- what a zone asks for -------------------------------------------------------------------- */

static void later(AapServed *served, AapAction action)
{
  action.served = served;
  g_array_append_val(served->aap->actions, action);
}

static bool act_send(void *user, AapZone *zone, const AapMessage *msg)
{
  (void)zone;
  return aap_plugin_send(user, msg, true);
}

static void act_keep(void *user, AapZone *zone, const AapOwn *own)
{
  (void)zone;
  aap_store_keep(user, own);
}

static void act_forget(void *user, AapZone *zone, MalAddress first)
{
  (void)zone;
  aap_store_forget(user, first);
}

static void act_owned(void *user, AapZone *zone, MalSpan span, MalTime end)
{
  (void)zone;
  later(user, (AapAction){ .what = AAP_DO_OWN, .span = span, .end = end });
}

static void act_gone(void *user, AapZone *zone, MalSpan span, AapGone why)
{
  (void)zone;
  later(user, (AapAction){ .what = AAP_DO_GONE, .span = span, .why = why });
}

static void act_suspend(void *user, AapZone *zone, MalSpan span, bool on)
{
  (void)zone;
  later(user, (AapAction){ .what = on ? AAP_DO_SUSPEND : AAP_DO_LIFT, .span = span });
}

static uint64_t leased_in(const MalLeases *leases, MalSpan span)
{
  MalLeaseFilter filter = { .span = span, .holds = true };
  MalLease lease;
  uint64_t n = 0;
  for (uint64_t cursor = 0; mal_leases_next(leases, &filter, &cursor, &lease);)
    for (size_t i = 0; i < lease.n_blocks; i++) {
      MalSpan part;
      if (mal_span_intersect(mal_span_of_block(lease.blocks[i]), span, &part))
        n += (uint64_t)mal_span_size(part);
    }
  return n;
}

static void act_use(void *user, AapZone *zone, MalSpan span, uint64_t *leased, uint64_t *more)
{
  const AapServed *served = user;
  const MalHost *host = &served->aap->host;
  const MalRange *range = mal_space_containing(host->space, MAL_LEVEL_OWNED, span.first);
  (void)zone;
  *leased = *more = 0;
  if (range == NULL)
    return;
  if (served->blocked->len == 0 && mal_address_equal(range->span.first, span.first) &&
      mal_address_equal(range->span.last, span.last) &&
      mal_leases_use(host->leases, span.first, leased, more))
    return;
  g_autoptr(GArray) left = aap_spans_new();
  aap_spans_add(left, span);
  for (guint i = 0; i < served->blocked->len; i++)
    aap_spans_subtract(left, g_array_index(served->blocked, MalSpan, i));
  *leased = leased_in(host->leases, span);
  uint64_t usable = (uint64_t)aap_spans_size(left);
  *more = usable - MIN(usable, *leased);
}

static void act_foreign_changed(void *user, AapZone *zone)
{
  AapServed *served = user;
  (void)zone;
  served->foreign_changed = true;
  aap_store_later(served->aap);
}

static void act_asa(void *user, AapZone *zone, const AapExtent *ranges, size_t n,
                    const uint8_t *payload, size_t length)
{
  AapServed *served = user;
  GArray *extents = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  uint8_t *copy = g_memdup2(payload, length);
  (void)zone;
  g_array_append_vals(extents, ranges, (guint)n);
  later(served, (AapAction){ .what = AAP_DO_ASA, .extents = extents });
  g_free(served->asa_payload);
  served->asa_payload = copy;
  served->asa_length = length;
  served->asa_received = aap_now(served->aap).wall;
  served->asa_changed = true;
  aap_store_later(served->aap);
}

static void act_failed(void *user, AapZone *zone, MalSpan named, uint64_t count, MalTime end,
                       AapNote why)
{
  (void)zone;
  later(user, (AapAction){ .what = AAP_DO_FAIL,
                           .span = named,
                           .count = count,
                           .end = end,
                           .short_of_space = named.first.family == MAL_FAMILY_NONE &&
                                             why == AAP_NOTE_CLAIM_FAILED });
}

static void act_note(void *user, AapZone *zone, AapNote note, MalSpan span, MalEndpoint peer,
                     uint64_t n)
{
  (void)zone;
  aap_news_note(user, note, span, peer, n);
}

const AapZoneOps aap_zone_ops = {
  .send = act_send,
  .random = aap_plugin_random,
  .keep = act_keep,
  .forget = act_forget,
  .owned = act_owned,
  .gone = act_gone,
  .suspend = act_suspend,
  .use = act_use,
  .foreign_changed = act_foreign_changed,
  .asa = act_asa,
  .failed = act_failed,
  .note = act_note,
};

/* ---- and what comes of it -------------------------------------------------------------------- */

static const char *why_none_is_available(const AapServed *served, const AapZoneUsage *u)
{
  if (!served->scope->divisible)
    return "";
  if (served->coordinator != NULL)
    return mal_space_has_layer3(served->aap->host.space)
               ? ": more has been asked for"
               : ": it has no [range], and this coordinator has no plugin that brings any";
  return u->asa_expires == MAL_BEGINNING ? ": no prefix coordinator has announced any"
                                         : ": what a prefix coordinator announced is over";
}

static GError *why_not(const AapServed *served, const AapAction *action)
{
  AapZoneUsage u = aap_zone_usage(served->zone, aap_now(served->aap));
  const char *id = served->scope->id;
  if (u.available == 0)
    return g_error_new(MAL_ERROR, MAL_ERROR_NO_SPACE,
                       "no address of scope %s is available in this domain%s", id,
                       why_none_is_available(served, &u));
  if (action->span.first.family != MAL_FAMILY_NONE) {
    char text[MAL_SPAN_STRLEN];
    return g_error_new(MAL_ERROR, MAL_ERROR_NO_SPACE,
                       "%s of scope %s can't be had: another server of this domain has some of it, "
                       "or claims it now (mallocctl aap records --scope %s)",
                       mal_span_format(action->span, text), id, id);
  }
  return g_error_new(MAL_ERROR, MAL_ERROR_NO_SPACE,
                     "no address of scope %s is free in this domain: %" G_GUINT64_FORMAT
                     " more were wanted; of %" G_GUINT64_FORMAT " available, this server owns %"
                     G_GUINT64_FORMAT ", others have %" G_GUINT64_FORMAT " and preallocate %"
                     G_GUINT64_FORMAT,
                     id, action->count, u.available, u.own, u.foreign, u.foreign_preallocated);
}

static bool is_coordinator_heard(const AapServed *served)
{
  const Aap *aap = served->aap;
  int64_t heard = served->coordinator_heard;
  return heard != AAP_NEVER && aap_now(aap).mono - heard <= aap->params.asa_horizon_s * AAP_US;
}

/* Layer 3 may be here, or where another coordinator is; whether one is there nobody says. One that
   was not heard for as long as its announcements last is taken for gone, unless nothing is
   available: then one that has nothing, and asks layer 3 for it, is silent. */
static bool may_grow(const AapServed *served)
{
  if (!served->scope->divisible)
    return false;
  if (is_coordinator_heard(served))
    return true;
  if (served->coordinator != NULL)
    return mal_space_has_layer3(served->aap->host.space);
  return aap_zone_usage(served->zone, aap_now(served->aap)).available == 0;
}

/* Who waits for more space goes on waiting where it may come: the core says again what is wanted,
   and gives up at last (3.2.9). */
static void deny(AapServed *served, const AapAction *action)
{
  MalSpace *space = served->aap->host.space;
  g_autoptr(GError) why = why_not(served, action);
  if (action->short_of_space && may_grow(served)) {
    mal_count(served->aap->host.metrics, AAP_M_SHORT, 1);
    mal_space_explain(space, served->scope, why);
    return;
  }
  mal_count(served->aap->host.metrics, AAP_M_FAILED, 1);
  mal_space_deny_named(space, served->scope, action->span, why);
}

void aap_zone_do(AapServed *served, const AapAction *action)
{
  switch (action->what) {
  case AAP_DO_OWN:
    aap_intervals_set(served->ours, action->span, &action->end);
    aap_space_fit(served, action->span);
    break;
  case AAP_DO_GONE: aap_space_gone(served, action->span); break;
  case AAP_DO_SUSPEND:
    aap_spans_add(served->suspended, action->span);
    served->suspended_changed = true;
    break;
  case AAP_DO_LIFT:
    aap_spans_subtract(served->suspended, action->span);
    served->suspended_changed = true;
    break;
  case AAP_DO_ASA:
    aap_space_set_asa(served, (const AapExtent *)(void *)action->extents->data,
                      action->extents->len);
    break;
  case AAP_DO_FAIL: deny(served, action); break;
  case AAP_DO_ASK:
  case AAP_DO_ADOPT: aap_coordinator_do(served, action); break;
  }
}
