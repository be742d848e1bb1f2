/* The model of the scripts: answers as it was told to. */
#include "madcap-script-private.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- the fake model -------------------------------------------------------------------------- */

static FakeLease *find(Script *t, MalLeaseId id)
{
  for (guint i = 0; i < t->leases->len; i++) {
    FakeLease *f = g_ptr_array_index(t->leases, i);
    if (mal_lease_id_equal((MalLeaseId){ f->id, f->id_length }, id))
      return f;
  }
  return NULL;
}

FakeLease *script_add_lease(Script *t, MalLeaseId id)
{
  FakeLease *f = g_new0(FakeLease, 1);

  memcpy(f->id, id.bytes, id.length);
  f->id_length = id.length;
  f->lease.id = (MalLeaseId){ f->id, f->id_length };
  f->lease.blocks = f->blocks;
  g_ptr_array_add(t->leases, f);
  return f;
}

static void fill(Script *t, FakeLease *f, const MalLeaseRequest *r, MalTime now)
{
  f->n_blocks = 1;
  f->blocks[0] = mal_block_make(r->scope->span.first, r->desired);
  f->blocks[0].first.value += t->next;
  t->next += r->desired;
  if (r->n_named > 0) {
    cr_assert_leq(r->n_named, G_N_ELEMENTS(f->blocks));
    memcpy(f->blocks, r->named, r->n_named * sizeof *r->named);
    f->n_blocks = r->n_named;
  }
  f->lease.scope = r->scope->id;
  f->lease.n_blocks = f->n_blocks;
  f->lease.start = MAX(r->start, now);
  f->lease.end = f->lease.start + r->lifetime;
  f->lease.client = r->client;
  f->lease.flags |= r->flags;
}

static bool op_lease(void *user, MalLeaseId id, MalLease *out)
{
  FakeLease *f = find(user, id);

  if (f == NULL || f->waiting || (f->lease.flags & MAL_LEASE_HELD) != 0)
    return false;
  *out = f->lease;
  return true;
}

static bool op_waiting(void *user, MalLeaseId id)
{
  FakeLease *f = find(user, id);

  return f != NULL && f->waiting;
}

static bool op_hold(void *user, const MalLeaseRequest *r, MalTime now, MalTime until, MalLease *out,
                    MalRefusal *why)
{
  Script *t = user;

  g_string_append_printf(t->calls, " hold:%d", (int)(until - now));
  if (t->no_hold) {
    *why = t->refusal;
    return false;
  }
  FakeLease *f = find(t, r->id);
  if (f == NULL)
    f = script_add_lease(t, r->id);
  f->lease.flags = MAL_LEASE_HELD;
  fill(t, f, r, now);
  *out = f->lease;
  return true;
}

static bool op_unhold(void *user, MalLeaseId id)
{
  Script *t = user;
  FakeLease *f = find(t, id);

  g_string_append(t->calls, " unhold");
  if (f == NULL || (f->lease.flags & MAL_LEASE_HELD) == 0)
    return false;
  g_ptr_array_remove(t->leases, f);
  return true;
}

static MalAnswer op_request(void *user, const MalLeaseRequest *r, MalTime now, uint64_t cookie,
                            MalRefusal *why)
{
  Script *t = user;

  g_string_append_printf(t->calls, " request:%u-%u", r->min, r->desired);
  if (t->answer == MAL_ANSWER_REFUSED) {
    *why = t->refusal;
    return MAL_ANSWER_REFUSED;
  }
  FakeLease *f = find(t, r->id);
  if (f == NULL)
    f = script_add_lease(t, r->id);
  f->lease.flags = MAL_LEASE_PENDING;
  f->cookie = cookie;
  f->waiting = t->answer == MAL_ANSWER_WAITING;
  fill(t, f, r, now);
  return t->answer;
}

static MalAnswer op_renew(void *user, MalLeaseId id, const MalRenewal *r, MalTime now,
                          uint64_t cookie, MalRefusal *why)
{
  Script *t = user;
  FakeLease *f = find(t, id);

  g_string_append(t->calls, " renew");
  if (t->answer == MAL_ANSWER_REFUSED || f == NULL) {
    *why = t->refusal;
    return MAL_ANSWER_REFUSED;
  }
  f->cookie = cookie;
  MalTime begin = r->start == MAL_BEGINNING ? MAX(f->lease.start, now) : MAX(r->start, now);
  if (begin > now)
    f->lease.start = begin;
  f->lease.end = begin + r->lifetime;
  return MAL_ANSWER_GRANTED;
}

static MalAnswer op_release(void *user, MalLeaseId id, MalTime now, uint64_t cookie,
                            MalRefusal *why)
{
  Script *t = user;
  FakeLease *f = find(t, id);

  (void)why;
  g_string_append(t->calls, " release");
  cr_assert_not_null(f);
  if (f->waiting) {
    g_autoptr(GError) error = g_error_new_literal(MAL_ERROR, MAL_ERROR_NOT_FOUND, "taken back");
    uint64_t first = f->cookie;
    g_ptr_array_remove(t->leases, f);
    madcap_server_answer(t->server, first, NULL, error, now, t->mono);
    return MAL_ANSWER_WAITING;
  }
  f->cookie = cookie;
  f->release = true;
  return MAL_ANSWER_GRANTED;
}

static void op_when_durable(void *user, MalLeaseId id, uint64_t cookie)
{
  Script *t = user;

  (void)id;
  g_string_append(t->calls, " when-durable");
  g_array_append_val(t->durable, cookie);
}

static void op_send(void *user, const MadcapArrival *to, const uint8_t *data, size_t length)
{
  Sent *sent = g_new0(Sent, 1);

  sent->to = *to;
  sent->bytes = g_bytes_new(data, length);
  g_queue_push_tail(&((Script *)user)->sent, sent);
}

static void op_news(void *user, const MadcapNews *news)
{
  (void)user;
  cr_assert_not_null(news->from);
}

const MadcapServerOps script_ops = {
  .send = op_send, .lease = op_lease, .waiting = op_waiting, .hold = op_hold, .unhold = op_unhold,
  .request = op_request, .renew = op_renew, .release = op_release, .when_durable = op_when_durable,
  .news = op_news,
};

void script_settle(Script *t, bool ok)
{
  g_autoptr(GError) error =
      ok ? NULL : g_error_new_literal(MAL_ERROR, MAL_ERROR_STORE, "disk full");

  for (guint i = 0; i < t->leases->len; i++) {
    FakeLease *f = g_ptr_array_index(t->leases, i);
    uint64_t cookie = f->cookie;
    if (cookie == 0 || f->waiting)
      continue;
    f->cookie = 0;
    f->lease.flags &= ~(uint32_t)MAL_LEASE_PENDING;
    madcap_server_answer(t->server, cookie, ok ? &f->lease : NULL, error, t->now, t->mono);
    for (guint k = 0; k < t->durable->len; k++)
      madcap_server_answer(t->server, g_array_index(t->durable, uint64_t, k), ok ? &f->lease : NULL,
                           error, t->now, t->mono);
    g_array_set_size(t->durable, 0);
    if (f->release || !ok)
      g_ptr_array_remove_index(t->leases, i--);
  }
}
