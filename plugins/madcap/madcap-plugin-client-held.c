/* Leases that the client holds for local programs, kept in the store so that they outlive the
   daemon's restart, and renewed in time. A program hears of its lease once that is durable. */
#include "madcap-plugin-client.h"

#include <string.h>

#define KIND "client-lease"
/* A step of the wall clock is noticed after this at the latest. */
#define LOOK_AT_CLOCK (600 * MAL_US)

/* What waits for the disk. */
typedef struct {
  MalTicket ticket;
  MalCall *call; /* may be NULL */
  json_object *reply;
  bool granted; /* a new lease: given back where the disk fails */
  uint8_t id[MAL_LEASE_ID_MAX];
  size_t id_length;
} Pending;

/* ---- the leases ------------------------------------------------------------------------------ */

MadcapHeld *client_held_find(const ClientPart *p, MalLeaseId id)
{
  g_autoptr(GBytes) key = g_bytes_new(id.bytes, id.length);

  return g_hash_table_lookup(p->by_id, key);
}

bool client_holds(ClientPart *p, MalLeaseId id)
{
  return client_held_find(p, id) != NULL;
}

void client_held_add(ClientPart *p, MadcapHeld *held)
{
  g_ptr_array_add(p->held, held);
  g_hash_table_insert(p->by_id, g_bytes_new(held->id, held->id_length), held);
  mal_gauge(p->host.metrics, MADCAP_M_CLIENT_LEASES, p->held->len);
}

void client_held_forget(ClientPart *p, MadcapHeld *held)
{
  g_autoptr(GBytes) key = g_bytes_new(held->id, held->id_length);

  g_hash_table_remove(p->by_id, key);
  g_ptr_array_remove_fast(p->held, held);
  madcap_held_free(held);
  mal_gauge(p->host.metrics, MADCAP_M_CLIENT_LEASES, p->held->len);
}

MalTicket client_held_save(ClientPart *p, const MadcapHeld *held)
{
  g_autoptr(GByteArray) value = madcap_held_write(held);
  MalRecord record = { .owner = p->host.name,
                       .kind = KIND,
                       .key = held->id,
                       .key_length = held->id_length,
                       .value = value->data,
                       .value_length = value->len };
  MalTicket ticket = mal_store_put_record(p->host.store, &record);

  mal_store_flush(p->host.store);
  return ticket;
}

MalTicket client_held_unsave(ClientPart *p, MalLeaseId id)
{
  MalTicket ticket = mal_store_drop_record(p->host.store, p->host.name, KIND, id.bytes, id.length);

  mal_store_flush(p->host.store);
  return ticket;
}

bool client_restore(ClientPart *p, const MalRecord *record, GError **error)
{
  MalLeaseId id = { record->key, record->key_length };

  if (strcmp(record->kind, KIND) != 0)
    return true;
  MadcapHeld *held = madcap_held_read(id, record->value, record->value_length, error);
  if (held == NULL)
    return false;
  if (client_held_find(p, id) != NULL)
    madcap_held_free(held);
  else
    client_held_add(p, held);
  return true;
}

json_object *client_held_json(const MadcapHeld *held)
{
  MalLease lease = {
    .id = madcap_held_id(held),
    .scope = held->scope,
    .blocks = (const MalBlock *)(void *)held->blocks->data,
    .n_blocks = held->blocks->len,
    .start = held->start,
    .end = held->end,
    .granted = held->granted,
    .client = mal_address_none(),
    .origin = "madcap",
    .flags = held->shared ? MAL_LEASE_SHARED : 0,
  };
  char server[MAL_ENDPOINT_STRLEN];
  json_object *o = mal_json_lease(&lease, "madcap");

  json_object_object_add(o, "server",
                         json_object_new_string(mal_endpoint_format(held->server, server)));
  json_object_object_add(o, "renew", json_object_new_boolean(held->renew));
  return o;
}

void client_list(ClientPart *p, json_object *array)
{
  for (guint i = 0; i < p->held->len; i++)
    json_object_array_add(array, client_held_json(g_ptr_array_index(p->held, i)));
}

void client_held_say(ClientPart *p, const MalEventDef *def, const MadcapHeld *held,
                     const char *what, const char *why)
{
  g_autofree char *addresses = NULL;
  char end[MAL_TIME_STRLEN];

  if (!mal_event_wanted(p->host.events, def))
    return;
  addresses = mal_blocks_format((const MalBlock *)(void *)held->blocks->data, held->blocks->len);
  const MalField fields[] = {
    MAL_F_BYTES("lease", held->id, held->id_length),
    MAL_F_STRING("addresses", addresses),
    MAL_F_STRING("scope", held->scope),
    MAL_F_ADDRESS("server", held->server.address),
    MAL_F_TIME("end", held->end),
    MAL_F_STRING("reason", why != NULL ? why : ""),
  };
  MAL_EVENT(p->host.events, def, fields, "lease of %s %s, until %s%s%s", addresses, what,
            mal_time_format(held->end, end), why != NULL ? ": " : "", why != NULL ? why : "");
}

/* ---- durable before acknowledged ------------------------------------------------------------- */

/* Takes REPLY. */
void client_held_await(ClientPart *p, MalTicket ticket, MalCall *call, json_object *reply,
                       bool granted, MalLeaseId id)
{
  Pending *pending = g_new0(Pending, 1);

  pending->ticket = ticket;
  pending->call = call;
  pending->reply = reply;
  pending->granted = granted;
  memcpy(pending->id, id.bytes, id.length);
  pending->id_length = id.length;
  g_ptr_array_add(p->pending, pending);
}

static void give_back(ClientPart *p, MadcapHeld *held)
{
  client_send_release(p, &held->server, held->interface, held->local, madcap_held_id(held));
  client_held_forget(p, held);
}

static void settle_one(ClientPart *p, Pending *pending, const GError *error)
{
  MadcapHeld *held = client_held_find(p, (MalLeaseId){ pending->id, pending->id_length });

  if (pending->granted && held != NULL && error != NULL)
    give_back(p, held);
  else if (pending->granted && held != NULL && pending->call != NULL &&
           mal_call_is_gone(pending->call)) {
    client_held_unsave(p, madcap_held_id(held));
    give_back(p, held);
  }
  if (pending->call != NULL && error != NULL)
    mal_call_fail(pending->call, error);
  else if (pending->call != NULL)
    mal_call_reply(pending->call, json_object_get(pending->reply));
  if (pending->reply != NULL)
    json_object_put(pending->reply);
}

static void durable(MalTicket through, const GError *error, void *data)
{
  ClientPart *p = data;
  g_autoptr(GPtrArray) ready = g_ptr_array_new_with_free_func(g_free);

  for (guint i = 0; i < p->pending->len;) {
    Pending *pending = g_ptr_array_index(p->pending, i);
    if (error == NULL ? pending->ticket <= through : pending->ticket == through)
      g_ptr_array_add(ready, g_ptr_array_steal_index(p->pending, i));
    else
      i++;
  }
  for (guint i = 0; i < ready->len; i++)
    settle_one(p, g_ptr_array_index(ready, i), error);
}

/* The interface of a link-local server, by its name, which outlives a restart. */
void client_held_note_interface(ClientPart *p, MadcapHeld *held)
{
  g_autoptr(GArray) all = mal_runtime_interfaces(p->host.runtime);

  for (guint i = 0; i < all->len; i++) {
    const MalInterface *interface = &g_array_index(all, MalInterface, i);
    if (held->server.scope_id != 0 && interface->index == held->server.scope_id)
      g_strlcpy(held->interface, interface->name, sizeof held->interface);
    else if (held->server.scope_id == 0 && strcmp(interface->name, held->interface) == 0)
      held->server.scope_id = interface->index;
  }
}

unsigned client_jitter(ClientPart *p)
{
  return mal_runtime_random_below(p->host.runtime, MADCAP_HELD_JITTER + 1);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* The server may have granted what a RENEW without an answer asked for, and keep it long after the
   end that we know. */
static void ended(ClientPart *p, MadcapHeld *held)
{
  if (held->busy || held->failures > 0)
    client_send_release(p, &held->server, held->interface, held->local, madcap_held_id(held));
  mal_count(p->host.metrics, MADCAP_M_CLIENT_LOST, 1);
  client_held_say(p, &madcap_event_lease_lost, held, "has ended",
                  held->renew ? "it could not be renewed" : NULL);
  client_held_unsave(p, madcap_held_id(held));
  client_held_forget(p, held);
}

void client_held_schedule(ClientPart *p)
{
  int64_t mono, due;
  MalTime now;

  if (p->held_timer == NULL || p->held->len == 0)
    return;
  now = client_now(p);
  mono = client_mono(p);
  due = mono + LOOK_AT_CLOCK;
  for (guint i = 0; i < p->held->len; i++)
    due = MIN(due, madcap_held_due(g_ptr_array_index(p->held, i), now, mono));
  mal_timer_set(p->held_timer, due);
}

static void held_tick(void *data)
{
  ClientPart *p = data;
  MalTime now = client_now(p);
  int64_t mono = client_mono(p);

  for (guint i = p->held->len; i-- > 0;) {
    MadcapHeld *held = g_ptr_array_index(p->held, i);
    switch (madcap_held_step(held, now, mono)) {
    case MADCAP_HELD_RENEW: client_renew_by_itself(p, held); break;
    case MADCAP_HELD_ENDED: ended(p, held); break;
    case MADCAP_HELD_NOTHING: break;
    }
  }
  client_held_schedule(p);
}

void client_leases_start(ClientPart *p)
{
  MalTime now = client_now(p);
  int64_t mono = client_mono(p);

  p->listener = mal_store_listen(p->host.store, durable, p);
  p->held_timer = mal_timer_new(p->host.runtime, held_tick, p);
  for (guint i = 0; i < p->held->len; i++)
    madcap_held_resume(g_ptr_array_index(p->held, i), now, mono, client_jitter(p));
  mal_gauge(p->host.metrics, MADCAP_M_CLIENT_LEASES, p->held->len);
  client_held_schedule(p);
}

void client_leases_stop(ClientPart *p)
{
  mal_store_unlisten(p->host.store, p->listener);
  g_clear_pointer(&p->held_timer, mal_timer_free);
  for (guint i = 0; i < p->pending->len; i++) {
    Pending *pending = g_ptr_array_index(p->pending, i);
    client_fail(pending->call, MAL_ERROR_PLUGIN,
                "the MADCAP client stops; whether the store has it is open");
    json_object_put(pending->reply);
  }
  g_ptr_array_set_size(p->pending, 0);
}
