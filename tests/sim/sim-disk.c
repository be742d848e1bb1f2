/* Disks that survive crashes, more or less. */
#include <errno.h>
#include <string.h>

#include "sim-internal.h"

#define SECTOR 512

struct MalSimDisk {
  MalSimNode *node;
  char *name;
  GByteArray *bytes;
  size_t synced;
  size_t capacity;
  MalSimDiskFault fault;
  MalSimTail tail;
};

static bool fail(const MalSimDisk *disk, const char *verb, int errnum, GError **error)
{
  g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "can't %s %s: %s", verb, disk->name,
              g_strerror(errnum));
  return false;
}

MalSimDisk *mal_sim_node_disk(MalSimNode *node, const char *name)
{
  for (guint i = 0; i < node->disks->len; i++) {
    MalSimDisk *disk = g_ptr_array_index(node->disks, i);
    if (!strcmp(disk->name, name))
      return disk;
  }
  MalSimDisk *disk = g_new0(MalSimDisk, 1);
  disk->node = node;
  disk->name = g_strdup(name);
  disk->bytes = g_byte_array_new();
  disk->capacity = SIZE_MAX;
  g_ptr_array_add(node->disks, disk);
  return disk;
}

void mal_sim_disk_free(void *data)
{
  MalSimDisk *disk = data;
  g_byte_array_unref(disk->bytes);
  g_free(disk->name);
  g_free(disk);
}

bool mal_sim_disk_append(MalSimDisk *disk, const void *data, size_t length, GError **error)
{
  size_t room = disk->capacity > disk->bytes->len ? disk->capacity - disk->bytes->len : 0;
  if (disk->fault == MAL_SIM_DISK_IO_ERROR)
    return fail(disk, "write", EIO, error);
  if (disk->fault == MAL_SIM_DISK_FULL)
    return fail(disk, "write", ENOSPC, error);
  g_byte_array_append(disk->bytes, data, (guint)MIN(length, room));
  return length <= room || fail(disk, "write", ENOSPC, error);
}

bool mal_sim_disk_sync(MalSimDisk *disk, GError **error)
{
  if (disk->fault == MAL_SIM_DISK_IO_ERROR || disk->fault == MAL_SIM_DISK_SYNC_ERROR)
    return fail(disk, "sync", EIO, error);
  disk->synced = disk->bytes->len;
  return true;
}

const uint8_t *mal_sim_disk_data(const MalSimDisk *disk, size_t *length)
{
  *length = disk->bytes->len;
  return disk->bytes->data;
}

size_t mal_sim_disk_synced(const MalSimDisk *disk)
{
  return disk->synced;
}

bool mal_sim_disk_truncate(MalSimDisk *disk, size_t length, GError **error)
{
  if (disk->fault == MAL_SIM_DISK_IO_ERROR)
    return fail(disk, "truncate", EIO, error);
  if (length < disk->bytes->len)
    g_byte_array_set_size(disk->bytes, (guint)length);
  disk->synced = disk->bytes->len;
  return true;
}

bool mal_sim_disk_replace(MalSimDisk *disk, const void *data, size_t length, GError **error)
{
  if (disk->fault == MAL_SIM_DISK_IO_ERROR || disk->fault == MAL_SIM_DISK_SYNC_ERROR)
    return fail(disk, "replace", EIO, error);
  if (disk->fault == MAL_SIM_DISK_FULL || length > disk->capacity)
    return fail(disk, "replace", ENOSPC, error);
  GByteArray *fresh = g_byte_array_sized_new((guint)length);
  g_byte_array_append(fresh, data, (guint)length);
  g_byte_array_unref(disk->bytes);
  disk->bytes = fresh;
  disk->synced = length;
  return true;
}

void mal_sim_disk_wipe(MalSimDisk *disk)
{
  g_byte_array_set_size(disk->bytes, 0);
  disk->synced = 0;
}

void mal_sim_disk_set_fault(MalSimDisk *disk, MalSimDiskFault fault)
{
  disk->fault = fault;
}

void mal_sim_disk_set_capacity(MalSimDisk *disk, size_t octets)
{
  disk->capacity = octets;
}

void mal_sim_disk_set_tail(MalSimDisk *disk, MalSimTail tail)
{
  disk->tail = tail;
}

/* Whole sectors of the tail come back as zeros; at least one does. */
static void punch_holes(MalSimDisk *disk, MalSimRandom *r)
{
  size_t first = disk->synced / SECTOR, last = (disk->bytes->len - 1) / SECTOR;
  size_t certain = (size_t)mal_sim_random_range(r, first, last);
  for (size_t sector = first; sector <= last; sector++) {
    if (sector != certain && mal_sim_random_range(r, 0, 3))
      continue;
    size_t from = MAX(sector * SECTOR, disk->synced),
           to = MIN((sector + 1) * SECTOR, disk->bytes->len);
    memset(disk->bytes->data + from, 0, to - from);
  }
}

void mal_sim_disk_crash(MalSimDisk *disk, MalSimCrash crash)
{
  MalSimRandom *r = &disk->node->sim->network;
  size_t unsynced = disk->bytes->len - disk->synced, kept = unsynced;
  if (crash == MAL_SIM_DISK_WIPED) {
    mal_sim_disk_wipe(disk);
    return;
  }
  if (!unsynced)
    return;
  MalSimTail tail = disk->tail;
  if (tail == MAL_SIM_TAIL_RANDOM)
    tail = (MalSimTail)mal_sim_random_range(r, MAL_SIM_TAIL_LOST, MAL_SIM_TAIL_HOLED);
  disk->node->sim->counters.tails[tail]++;
  if (tail == MAL_SIM_TAIL_LOST)
    kept = 0;
  else if (tail == MAL_SIM_TAIL_TORN)
    kept = (size_t)mal_sim_random_range(r, 0, unsynced - 1);
  else if (tail == MAL_SIM_TAIL_HOLED)
    punch_holes(disk, r);
  mal_sim_trace(disk->node->sim, MAL_SIM_TRACE_DISK, disk->node, kept, unsynced);
  g_byte_array_set_size(disk->bytes, (guint)(disk->synced + kept));
  if (tail != MAL_SIM_TAIL_KEPT)
    mal_sim_disk_settle(disk);
}

void mal_sim_disk_settle(MalSimDisk *disk)
{
  disk->synced = disk->bytes->len;
}
