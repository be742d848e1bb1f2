/* What waits for the disk: changes in the order of their tickets, and changes that stand in line
   behind an earlier one of the same lease. */
#include "leases-internal.h"

#include <string.h>

void leases_ops_push(MalLeases *l, const Op *op)
{
  if (l->ops_length == l->ops_capacity) {
    size_t capacity = MAX(l->ops_capacity * 2, 64);
    Op *ops = g_new(Op, capacity);
    for (size_t i = 0; i < l->ops_length; i++)
      ops[i] = l->ops[(l->ops_head + i) & (l->ops_capacity - 1)];
    g_free(l->ops);
    l->ops = ops;
    l->ops_head = 0;
    l->ops_capacity = capacity;
  }
  l->ops[(l->ops_head + l->ops_length++) & (l->ops_capacity - 1)] = *op;
  if (op->kind != OP_NOTIFY)
    l->totals.pending++;
}

static Op pop(MalLeases *l)
{
  Op op = l->ops[l->ops_head];
  l->ops_head = (l->ops_head + 1) & (l->ops_capacity - 1);
  l->ops_length--;
  if (op.kind != OP_NOTIFY)
    l->totals.pending--;
  return op;
}

static void call(const Op *op, const MalLease *lease, const GError *error)
{
  if (op->done)
    op->done(lease, error, op->user, op->cookie);
}

/* ---- standing in line ------------------------------------------------------------------------ */

/* Each waits for a batch of its own. The holders of a shared lease (RFC 2730 2.13.3) may meet here;
   beyond that somebody floods us, and would have all his answers to be waited for. */
#define IN_LINE_MOST 64

bool leases_may_queue(const Slot *slot, MalRefusal *why)
{
  if (slot->in_line < IN_LINE_MOST)
    return true;
  return leases_refuse(why, MAL_ERROR_LIMIT, MAL_REFUSED_OTHER);
}

void leases_queue(MalLeases *l, uint32_t handle, const Queued *queued)
{
  Queued *q = g_memdup2(queued, sizeof *queued);
  Slot *slot = leases_slot(l, handle);
  MalLeaseId id = leases_id(slot);
  memcpy(q->id, id.bytes, id.length);
  q->id_length = id.length;
  if (slot->in_line < UINT8_MAX)
    slot->in_line++;
  g_queue_push_tail(&l->queued, q);
}

static GError *refusal_of_queued(const MalRefusal *why)
{
  return g_error_new_literal(MAL_ERROR, (gint)why->code,
                             why->part == MAL_REFUSED_ID ? "the lease is gone"
                                                         : "the lease can't be changed like that");
}

static void run_queued(MalLeases *l, Queued *q)
{
  MalLeaseId id = { q->id, q->id_length };
  MalRefusal why;
  MalAnswer answer;
  /* Not the time at which it was asked: since then the lease may have lapsed, or the clock
     stepped. */
  MalTime now = mal_runtime_now(l->rt);
  if (q->kind == OP_RENEW)
    answer = mal_leases_renew(l, id, &q->renewal, now, q->done, q->user, q->cookie, &why);
  else
    answer = mal_leases_release(l, id, now, q->reason, q->done, q->user, q->cookie, &why);
  if (answer != MAL_ANSWER_REFUSED)
    return;
  if (why.code == MAL_ERROR_STORE && q->kind == OP_RELEASE && strcmp(q->reason, "revoked") == 0) {
    leases_revoke_at_once(l, leases_find(l, id), NULL);
    return;
  }
  g_autoptr(GError) error = refusal_of_queued(&why);
  if (q->done)
    q->done(NULL, error, q->user, q->cookie);
}

static bool is_for(const Queued *q, MalLeaseId id)
{
  return mal_lease_id_equal((MalLeaseId){ q->id, q->id_length }, id);
}

static unsigned length_of_line(const MalLeases *l, MalLeaseId id)
{
  unsigned n = 0;
  for (const GList *i = l->queued.head; i; i = i->next)
    n += is_for(i->data, id);
  return n;
}

/* Those in line for this identifier take their turn; who finds another change on its way goes to
   the end. Each stays in the queue until its turn, where mal_leases_forget finds it. */
static void next_in_line(MalLeases *l, MalLeaseId id)
{
  for (unsigned n = length_of_line(l, id); n > 0; n--) {
    GList *link = l->queued.head;
    while (!is_for(link->data, id))
      link = link->next;
    Queued *q = link->data;
    g_queue_delete_link(&l->queued, link);
    run_queued(l, q);
    g_free(q);
  }
}

/* ---- settling -------------------------------------------------------------------------------- */

static void settle_periods(MalLeases *l, uint32_t handle)
{
  const Slot *slot = leases_slot(l, handle);
  leases_retake(l, handle, leases_held_from(l, slot), leases_held_until(l, slot));
}

void leases_not_in_place(MalLeases *l)
{
  for (size_t i = 0; i < l->ops_length; i++)
    l->ops[(l->ops_head + i) & (l->ops_capacity - 1)].in_place = false;
}

/* Watchers may look at other leases, whose views would take this one's place. */
static void tell_changed(MalLeases *l, MalLeaseChange what, const Op *op)
{
  MalLease view;
  MalBlock one;
  leases_view(l, op->slot, &view);
  one = view.blocks[0];
  if (view.n_blocks == 1)
    view.blocks = &one;
  leases_tell(l, what, &view, NULL);
  call(op, &view, NULL);
}

static void succeed(MalLeases *l, const Op *op)
{
  Slot *slot = leases_slot(l, op->slot);
  bool revoked = op->kind == OP_RELEASE && strcmp(op->reason, "revoked") == 0;
  slot->flags &= (uint8_t)~MAL_LEASE_PENDING;
  switch (op->kind) {
  case OP_GRANT:
    tell_changed(l, MAL_LEASE_GRANTED, op);
    break;
  case OP_RENEW:
    if (!op->in_place)
      settle_periods(l, op->slot);
    tell_changed(l, MAL_LEASE_RENEWED, op);
    break;
  case OP_RELEASE:
    leases_end(l, op->slot, revoked ? MAL_LEASE_REVOKED : MAL_LEASE_RELEASED, op->reason, op);
    break;
  case OP_NOTIFY:
    g_assert_not_reached(); /* notify's */
  }
}

static void fail(MalLeases *l, const Op *op, const GError *error)
{
  Slot *slot = leases_slot(l, op->slot);
  slot->flags &= (uint8_t)~(MAL_LEASE_PENDING | SLOT_LEAVING);
  if (op->kind == OP_RELEASE && strcmp(op->reason, "revoked") == 0) {
    leases_revoke_at_once(l, op->slot, op);
    return;
  }
  l->unsaved |= l->unsaved_change;
  if (op->kind == OP_GRANT) {
    /* A step of the clock had it written once more, in a batch that may yet succeed. */
    if (l->moved_last > op->ticket)
      leases_drop_row(l, leases_id(slot));
    leases_remove(l, op->slot);
  } else if (op->kind == OP_RENEW) {
    leases_set_times(l, slot,
                     (SlotTimes){ op->old_start, op->old_end, leases_times(l, slot).granted });
    settle_periods(l, op->slot);
    leases_heap_fix(l, op->slot);
  }
  call(op, NULL, error);
}

/* By identifier: the slot may be another lease's by now. A later change may be on its way again;
   and the error, if any, is that of a batch, not of this lease. */
static void notify(MalLeases *l, const Op *op, const GError *error)
{
  MalLease view;
  MalLeaseId id = { op->id, op->id_length };
  bool there = mal_leases_get(l, id, &view);
  if (there && view.flags & MAL_LEASE_PENDING)
    mal_leases_when_durable(l, id, op->done, op->user, op->cookie);
  else
    call(op, there ? &view : NULL, there ? NULL : error);
}

static void settle(MalLeases *l, const Op *op, const GError *error)
{
  if (op->kind == OP_NOTIFY) {
    notify(l, op, error);
    return;
  }
  const Slot *slot = leases_slot(l, op->slot);
  uint8_t bytes[MAL_LEASE_ID_MAX];
  MalLeaseId id = leases_id(slot);
  bool line = slot->in_line > 0;
  if (line) {
    memcpy(bytes, id.bytes, id.length);
    id.bytes = bytes;
    leases_slot(l, op->slot)->in_line = 0;
  }
  if (error)
    fail(l, op, error);
  else
    succeed(l, op);
  if (line)
    next_in_line(l, id);
  leases_debug_check(l);
}

void leases_settled(MalTicket through, const GError *error, void *data)
{
  MalLeases *l = data;
  while (l->ops_length > 0 && l->ops[l->ops_head].ticket <= through) {
    Op op = pop(l);
    settle(l, &op, error);
    g_free(op.id);
  }
  leases_moved_settled(l, through, error);
  leases_drop_again(l, through, error);
}

/* ---- when_durable ---------------------------------------------------------------------------- */

/* What is due on a turn of the loop's own: answers about leases on which nothing is on its way. */
void leases_tell_later(MalLeases *l)
{
  for (unsigned n = l->later.length; n > 0; n--) {
    Queued *q = g_queue_pop_head(&l->later);
    MalLease view;
    bool there = mal_leases_get(l, (MalLeaseId){ q->id, q->id_length }, &view);
    if (q->done)
      q->done(there ? &view : NULL, NULL, q->user, q->cookie);
    g_free(q);
  }
}

void mal_leases_when_durable(MalLeases *l, MalLeaseId id, MalLeaseFunc done, void *user,
                             uint64_t cookie)
{
  uint32_t handle = leases_find(l, id);
  if (handle && leases_slot(l, handle)->flags & MAL_LEASE_PENDING) {
    /* The newest ticket on its way is not older than this lease's. */
    Op notify = {
      .ticket = l->ops[(l->ops_head + l->ops_length - 1) & (l->ops_capacity - 1)].ticket,
      .kind = OP_NOTIFY,
      .id = g_memdup2(id.bytes, id.length),
      .id_length = id.length,
      .done = done,
      .user = user,
      .cookie = cookie,
    };
    leases_ops_push(l, &notify);
    return;
  }
  Queued *q = g_new0(Queued, 1);
  q->id_length = MIN(id.length, sizeof q->id);
  memcpy(q->id, id.bytes, q->id_length);
  q->done = done;
  q->user = user;
  q->cookie = cookie;
  g_queue_push_tail(&l->later, q);
  mal_timer_set(l->turn, mal_runtime_monotonic(l->rt));
}

static void forget_in(GQueue *queue, void *user)
{
  for (GList *i = queue->head; i; i = i->next)
    if (((Queued *)i->data)->user == user)
      ((Queued *)i->data)->done = NULL;
}

void mal_leases_forget(MalLeases *l, void *user)
{
  for (size_t i = 0; i < l->ops_length; i++) {
    Op *op = &l->ops[(l->ops_head + i) & (l->ops_capacity - 1)];
    if (op->user == user)
      op->done = NULL;
  }
  forget_in(&l->queued, user);
  forget_in(&l->later, user);
  leases_wait_forget(l, user);
}
