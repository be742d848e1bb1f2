/* A server: what its zone asks for, its disk, its starts and ends. */
#include "aap-world-private.h"

/* ---- the disk: writes in order, one after the other ------------------------------------------ */

static void add_durable(gpointer key, gpointer value, gpointer data)
{
  const AapOwn *own = value;
  (void)key;
  aap_intervals_set(data, own->span, &own->end);
}

static void write_now(AapNode *s, const DiskOp *op)
{
  int64_t key = (int64_t)(uint64_t)(op->own.span.first.value - s->world->scope.first.value);
  const AapOwn *old = g_hash_table_lookup(s->disk, &key);
  bool shrinks = old != NULL && (op->forget || mal_address_compare(op->own.span.last,
                                                                   old->span.last) < 0);
  if (op->forget)
    g_hash_table_remove(s->disk, &key);
  else
    g_hash_table_replace(s->disk, g_memdup2(&key, sizeof key), g_memdup2(&op->own, sizeof op->own));
  if (shrinks) {
    aap_intervals_clear(s->durable);
    g_hash_table_foreach(s->disk, add_durable, s->durable);
  } else if (!op->forget) {
    aap_intervals_set(s->durable, op->own.span, &op->own.end);
  }
}

static void queue(AapNode *s, DiskOp op)
{
  AapWorld *w = s->world;
  s->disk_free = MAX(s->disk_free, w->now) + s->disk_us;
  op.fails = s->disk_fails;
  g_queue_push_tail(&s->writes, g_memdup2(&op, sizeof op));
  world_push(w, EVENT_DISK, s->disk_free, s->index);
}

void world_disk_done(AapNode *s)
{
  g_autofree DiskOp *op = g_queue_pop_head(&s->writes);
  bool lies = s->world->plan != NULL && s->world->plan->plant == MAL_AAP_PLANT_EAGER;
  if (!op->fails && !lies)
    write_now(s, op);
  if (op->forget)
    return;
  aap_zone_kept(s->zone, op->own.span.first, !op->fails, world_clock(s));
  world_settle(s);
}

/* Of what was under way some is on the disk: the first ones. */
static void crash_disk(AapNode *s)
{
  while (!g_queue_is_empty(&s->writes)) {
    g_autofree DiskOp *op = g_queue_pop_head(&s->writes);
    if (op->fails || !chance(&s->random, 50))
      break;
    write_now(s, op);
  }
  g_queue_clear_full(&s->writes, g_free);
  s->disk_free = s->world->now;
}

static void foreign_change(MalSpan span, MalTime end, MalEndpoint peer, void *data)
{
  AapNode *s = data;
  Foreign foreign = { end, peer };
  if (end == MAL_BEGINNING)
    aap_intervals_remove(s->foreign, span);
  else
    aap_intervals_set(s->foreign, span, &foreign);
}

void world_news(AapNode *s)
{
  s->news = false;
  if (!s->disk_fails)
    aap_zone_foreign_changes(s->zone, foreign_change, s);
}

/* ---- what a zone asks for -------------------------------------------------------------------- */

static bool on_send(void *user, AapZone *zone, const AapMessage *msg)
{
  (void)zone;
  return world_send(user, msg);
}

static uint64_t on_random(void *user, uint64_t low, uint64_t high)
{
  return between(&((AapNode *)user)->random, low, high);
}

static void on_keep(void *user, AapZone *zone, const AapOwn *own)
{
  (void)zone;
  queue(user, (DiskOp){ .own = *own });
}

static void on_forget(void *user, AapZone *zone, MalAddress first)
{
  (void)zone;
  queue(user, (DiskOp){ .own.span = { first, first }, .forget = true });
}

static void on_owned(void *user, AapZone *zone, MalSpan span, MalTime end)
{
  AapNode *s = user;
  Owned owned = { end, s->world->now };
  char text[MAL_SPAN_STRLEN];
  (void)zone;
  world_trace(s->world, "%2u owns %s until %" G_GINT64_FORMAT, s->index,
              mal_span_format(span, text), (int64_t)end);
  world_check_owned(s, span, end);
  world_gained(s, span);
  aap_intervals_set(s->owned, span, &owned);
  s->hungry = true;
}

static void on_gone(void *user, AapZone *zone, MalSpan span, AapGone why)
{
  AapNode *s = user;
  char text[MAL_SPAN_STRLEN];
  (void)zone;
  world_trace(s->world, "%2u loses %s (%d)", s->index, mal_span_format(span, text), (int)why);
  world_count(s->world, COUNT_UNAVAILABLE, why == AAP_GONE_UNAVAILABLE);
  world_lost(s, span, why != AAP_GONE_CONFLICT);
  aap_intervals_remove(s->owned, span);
  world_leases_drop(s, span);
}

static void on_suspend(void *user, AapZone *zone, MalSpan span, bool on)
{
  AapNode *s = user;
  (void)zone;
  world_count(s->world, COUNT_SUSPENDED, on);
  if (on)
    aap_spans_add(s->suspended, span);
  else
    aap_spans_subtract(s->suspended, span);
}

static void on_use(void *user, AapZone *zone, MalSpan span, uint64_t *leased, uint64_t *more)
{
  const AapNode *s = user;
  uint64_t first = world_offset(s->world, span.first), last = world_offset(s->world, span.last);
  (void)zone;
  *leased = 0;
  for (uint64_t i = first; i <= last; i++)
    *leased += s->leased[i];
  *more = last - first + 1 - *leased;
}

static void on_foreign_changed(void *user, AapZone *zone)
{
  AapNode *s = user;
  (void)zone;
  if (s->news)
    return;
  s->news = true;
  world_push(s->world, EVENT_NEWS, s->world->now + SEC(4), s->index);
}

static void on_asa(void *user, AapZone *zone, const AapExtent *ranges, size_t n,
                   const uint8_t *payload, size_t length)
{
  AapNode *s = user;
  (void)zone;
  g_free(s->asa);
  s->asa = g_memdup2(payload, length);
  s->asa_length = length;
  s->asa_received = world_clock(s).wall;
  g_clear_pointer(&s->announced, g_array_unref);
  s->announced = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  g_array_append_vals(s->announced, ranges, (guint)n);
}

static void on_failed(void *user, AapZone *zone, MalSpan named, uint64_t count, MalTime end,
                      AapNote why)
{
  (void)zone;
  (void)named;
  (void)count;
  (void)end;
  (void)why;
  ((AapNode *)user)->failed = true;
}

static const struct {
  AapNote note;
  WorldCount count;
} noted[] = {
  { AAP_NOTE_CLAIMED, COUNT_CLAIMED },
  { AAP_NOTE_CLAIM_COLLISION, COUNT_COLLISION },
  { AAP_NOTE_PREALLOC_LOST, COUNT_LOST_POOL },
  { AAP_NOTE_CONFLICT, COUNT_CONFLICT },
  { AAP_NOTE_ECHO, COUNT_ECHO },
  { AAP_NOTE_DEFENDED, COUNT_DEFENDED },
  { AAP_NOTE_STALE_DEFENCE, COUNT_STALE },
  { AAP_NOTE_EXTENDED, COUNT_EXTENDED },
  { AAP_NOTE_GIVEN_BACK, COUNT_GIVEN_BACK },
  { AAP_NOTE_ENDED, COUNT_ENDED },
  { AAP_NOTE_ASA_INVALIDATES, COUNT_ASA_INVALIDATES },
  { AAP_NOTE_ASA_RESENT, COUNT_ASA_RESENT },
};

static void on_note(void *user, AapZone *zone, AapNote note, MalSpan span, MalEndpoint peer,
                    uint64_t n)
{
  AapNode *s = user;
  (void)zone;
  (void)peer;
  if (g_getenv("MAL_SIM_TRACE") != NULL) {
    char text[MAL_SPAN_STRLEN] = "", from[MAL_ENDPOINT_STRLEN] = "";
    if (span.first.family != MAL_FAMILY_NONE)
      mal_span_format(span, text);
    if (peer.address.family != MAL_FAMILY_NONE)
      mal_endpoint_format(peer, from);
    world_trace(s->world, "%2u notes %d %s %s %" G_GUINT64_FORMAT, s->index, (int)note, text, from,
                n);
  }
  if (note == AAP_NOTE_STARTED)
    s->takes_part = s->world->now;
  for (size_t i = 0; i < G_N_ELEMENTS(noted); i++)
    if (noted[i].note == note)
      world_count(s->world, noted[i].count, 1);
}

const AapZoneOps world_zone_ops = {
  .send = on_send,
  .random = on_random,
  .keep = on_keep,
  .forget = on_forget,
  .owned = on_owned,
  .gone = on_gone,
  .suspend = on_suspend,
  .use = on_use,
  .foreign_changed = on_foreign_changed,
  .asa = on_asa,
  .failed = on_failed,
  .note = on_note,
};

/* ---- after each call ------------------------------------------------------------------------- */

static void schedule(AapNode *s)
{
  int64_t due = aap_zone_due(s->zone), offset = world_clock(s).mono - s->world->now;
  if (due == AAP_NEVER)
    return;
  int64_t at = MAX(due - offset, s->world->now);
  s->stuck = at <= s->world->now ? s->stuck + 1 : 0;
  if (s->stuck > 20000)
    world_fail(s->world, "time stands still");
  if (at >= s->scheduled && s->scheduled > s->world->now)
    return;
  s->scheduled = at;
  world_push(s->world, EVENT_DUE, at, s->index);
}

/* What an ASA brought is available once the zone's own call is over, as in the daemon. */
static void apply_asa(AapNode *s)
{
  g_autoptr(GArray) ranges = g_steal_pointer(&s->announced);
  if (ranges == NULL)
    return;
  g_array_set_size(s->available, 0);
  g_array_append_vals(s->available, ranges->data, ranges->len);
  s->returning = true;
  aap_zone_set_available(s->zone, (const AapExtent *)(void *)ranges->data, ranges->len,
                         world_clock(s));
  s->returning = false;
  world_check_bounds(s);
}

void world_settle(AapNode *s)
{
  while (s->announced != NULL && !s->world->over)
    apply_asa(s);
  if (s->hungry)
    world_serve(s);
  if (s->failed)
    world_refuse(s, COUNT_REFUSED);
  schedule(s);
}

/* ---- starts and ends ------------------------------------------------------------------------- */

/* What the operator's configuration says of a small scope; ends are in true time. */
void world_available(AapNode *s)
{
  const AapWorld *w = s->world;
  g_array_set_size(s->available, 0);
  for (guint i = 0; i < w->ranges->len; i++) {
    AapExtent range = g_array_index(w->ranges, AapExtent, i);
    if (range.end != MAL_FOREVER)
      range.end += s->skew / AAP_US;
    g_array_append_val(s->available, range);
  }
  if (s->zone == NULL)
    return;
  s->returning = true;
  aap_zone_set_available(s->zone, (const AapExtent *)(void *)s->available->data,
                         s->available->len, world_clock(s));
  s->returning = false;
}

static void restore_foreign(MalSpan span, void *value, void *data)
{
  const Foreign *foreign = value;
  aap_zone_restore_foreign(((AapNode *)data)->zone, span, foreign->end, foreign->peer);
}

static gint by_offset(gconstpointer a, gconstpointer b)
{
  return mal_address_compare(((const AapOwn *)a)->span.first, ((const AapOwn *)b)->span.first);
}

static void restore(AapNode *s)
{
  g_autoptr(GList) owns = g_list_sort(g_hash_table_get_values(s->disk), by_offset);
  for (const GList *l = owns; l != NULL; l = l->next)
    aap_zone_restore_own(s->zone, l->data);
  aap_intervals_each(s->foreign, s->world->scope, restore_foreign, s);
  g_array_set_size(s->available, 0);
  if (s->asa != NULL && !aap_zone_restore_asa(s->zone, s->asa, s->asa_length, s->asa_received,
                                              world_clock(s)))
    world_fail(s->world, "an ASA that was kept is refused");
  if (!s->world->large)
    world_available(s);
}

void world_server_start(AapNode *s)
{
  AapWorld *w = s->world;
  s->life++;
  s->up = true;
  s->stuck = 0;
  s->scheduled = AAP_NEVER;
  s->sequence = aap_sequence_new();
  AapZoneConfig config = { "world", w->scope,       w->large, &s->params,
                           s->sequence, &world_zone_ops, s };
  s->zone = aap_zone_new(&config);
  s->starting = true;
  restore(s);
  while (s->announced != NULL)
    apply_asa(s);
  if (s->excluded->len > 0)
    aap_zone_set_excluded(s->zone, (const MalSpan *)(void *)s->excluded->data, s->excluded->len,
                          world_clock(s));
  for (guint i = 0; i < s->adopted->len; i++)
    aap_zone_adopt(s->zone, g_array_index(s->adopted, MalSpan, i),
                   world_clock(s).wall + s->params.own_lifetime_s);
  aap_zone_start(s->zone, world_clock(s));
  s->starting = false;
  world_leases_look(s);
  world_settle(s);
}

void world_node_crash(AapNode *s)
{
  if (!s->up)
    return;
  world_lost(s, s->world->scope, true);
  crash_disk(s);
  g_clear_pointer(&s->zone, aap_zone_free);
  g_clear_pointer(&s->coordinator, aap_coordinator_free);
  g_clear_pointer(&s->sequence, aap_sequence_free);
  g_clear_pointer(&s->announced, g_array_unref);
  aap_intervals_clear(s->owned);
  g_array_set_size(s->suspended, 0);
  g_array_set_size(s->tickets, 0);
  s->hungry = s->failed = s->news = false;
  s->takes_part = s->scheduled = AAP_NEVER;
  s->up = false;
  s->life++;
}

void world_node_wipe(AapNode *s)
{
  world_node_crash(s);
  g_hash_table_remove_all(s->disk);
  aap_intervals_clear(s->durable);
  aap_intervals_clear(s->foreign);
  g_clear_pointer(&s->asa, g_free);
  world_leases_drop(s, s->world->scope);
}
