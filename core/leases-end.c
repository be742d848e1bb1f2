/* How leases end: by their holders, by time, by revocation; and how the engine itself ends. */
#include "leases-internal.h"

#include <string.h>

/* A lease that outlives its slot. */
typedef struct {
  MalLease lease;
  uint8_t id[MAL_LEASE_ID_MAX];
  MalBlock block;
  MalBlock *many;
} Farewell;

static void part_from(MalLeases *l, uint32_t handle, Farewell *f)
{
  leases_view(l, handle, &f->lease);
  memcpy(f->id, f->lease.id.bytes, f->lease.id.length);
  f->lease.id.bytes = f->id;
  f->block = f->lease.blocks[0];
  f->many = f->lease.n_blocks > 1 ? g_memdup2(f->lease.blocks, f->lease.n_blocks * sizeof(MalBlock))
                                  : NULL;
  f->lease.blocks = f->many ? f->many : &f->block;
  f->lease.flags &= (uint32_t)~MAL_LEASE_PENDING;
  leases_remove(l, handle);
}

void leases_end(MalLeases *l, uint32_t handle, MalLeaseChange what, const char *reason,
                const Op *op)
{
  Farewell f;
  part_from(l, handle, &f);
  leases_wait_retry(l);
  leases_tell(l, what, &f.lease, reason);
  if (op && op->done)
    op->done(&f.lease, NULL, op->user, op->cookie);
  g_free(f.many);
}

/* ---- revocation ------------------------------------------------------------------------------ */

/* In one batch: after a long time without the daemon, all there were may have ended. */
#define DROPS_MOST 4096

void leases_drop_row(MalLeases *l, MalLeaseId id)
{
  g_ptr_array_add(l->undropped, g_bytes_new(id.bytes, id.length));
}

/* The row is still on the disk, where a restart would find it: it is dropped when the disk works
   again. */
void leases_revoke_at_once(MalLeases *l, uint32_t handle, const Op *op)
{
  leases_drop_row(l, leases_id(leases_slot(l, handle)));
  leases_end(l, handle, MAL_LEASE_REVOKED, "revoked", op);
}

void leases_revoke(MalLeases *l, uint32_t handle)
{
  const Slot *slot = leases_slot(l, handle);
  if (slot->flags & MAL_LEASE_HELD) {
    leases_remove(l, handle);
  } else if (slot->flags & MAL_LEASE_PENDING) {
    Queued q = { .kind = OP_RELEASE, .reason = "revoked" };
    leases_queue(l, handle, &q);
  } else if (!leases_store_works(l)) {
    leases_revoke_at_once(l, handle, NULL);
  } else {
    mal_leases_release(l, leases_id(slot), mal_runtime_now(l->rt), "revoked", NULL, NULL, 0, NULL);
  }
}

static void drop_some(MalLeases *l)
{
  MalTime now = mal_runtime_now(l->rt);
  for (unsigned i = 0; i < DROPS_MOST && l->undropped->len > 0; i++) {
    GBytes *row = g_ptr_array_steal_index_fast(l->undropped, l->undropped->len - 1);
    size_t length;
    const uint8_t *bytes = g_bytes_get_data(row, &length);
    uint32_t handle = leases_find(l, (MalLeaseId){ bytes, length });
    /* Who leased anew under the same identifier wrote over the row. */
    if (!handle || leases_slot(l, handle)->flags & MAL_LEASE_HELD)
      l->drop_ticket = mal_store_drop_lease(l->store, (MalLeaseId){ bytes, length }, now, "ended");
    g_ptr_array_add(l->dropping, row);
  }
}

void leases_drop_rows(MalLeases *l)
{
  if (l->undropped->len > 0 && l->dropping->len == 0 && leases_store_works(l))
    drop_some(l);
}

void leases_drop_again(MalLeases *l, MalTicket through, const GError *error)
{
  if (l->dropping->len > 0 && through >= l->drop_ticket) {
    if (error)
      g_ptr_array_extend(l->undropped, l->dropping, (GCopyFunc)(void (*)(void))g_bytes_ref, NULL);
    g_ptr_array_set_size(l->dropping, 0);
  }
  if (!error)
    leases_drop_rows(l);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void tell_queue(GQueue *queue, const GError *error)
{
  for (Queued *q; (q = g_queue_pop_head(queue));) {
    if (q->done)
      q->done(NULL, error, q->user, q->cookie);
    g_free(q);
  }
}

void leases_tell_stopping(MalLeases *l)
{
  g_autoptr(GError) error = g_error_new_literal(MAL_ERROR, MAL_ERROR_TIMEOUT, "mallocd stops");
  for (; l->ops_length > 0; l->ops_length--) {
    Op op = l->ops[l->ops_head];
    l->ops_head = (l->ops_head + 1) & (l->ops_capacity - 1);
    if (op.done)
      op.done(NULL, error, op.user, op.cookie);
    g_free(op.id);
  }
  tell_queue(&l->queued, error);
  tell_queue(&l->later, error);
  leases_wait_tell_ended(l);
  while (leases_wait_end_first(l, error))
    leases_wait_tell_ended(l);
}
