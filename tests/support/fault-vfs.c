#include "fault-vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

typedef struct {
  sqlite3_file base;
  bool database;
  sqlite3_file *real;         /* right behind this struct */
} FaultFile;

static FaultVfs faults;
static sqlite3_vfs *real_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool gate_closed;
static int waiting;

static sqlite3_file *real(sqlite3_file *file)
{
  return ((FaultFile *)file)->real;
}

static int fault_close(sqlite3_file *file)
{
  return real(file)->pMethods->xClose(real(file));
}

static int fault_read(sqlite3_file *file, void *out, int amount, sqlite3_int64 offset)
{
  return real(file)->pMethods->xRead(real(file), out, amount, offset);
}

/* What becomes of a write: nothing, or an error. */
static int judge_write(bool database, int amount)
{
  faults.writes++;
  faults.file_writes += database;
  if (faults.spare_log && !database)
    return SQLITE_OK;
  if (faults.read_only)
    return SQLITE_READONLY;
  if (faults.fail_write == 0)
    return SQLITE_IOERR_WRITE;
  if (faults.fail_write > 0)
    faults.fail_write--;
  if (faults.room >= 0) {
    if (faults.room < amount)
      return SQLITE_FULL;
    faults.room -= amount;
  }
  return SQLITE_OK;
}

static int fault_write(sqlite3_file *file, const void *bytes, int amount, sqlite3_int64 offset)
{
  bool database = ((FaultFile *)file)->database;
  pthread_mutex_lock(&lock);
  int rc = judge_write(database, amount);
  pthread_mutex_unlock(&lock);
  if (database && faults.on_file_write)
    faults.on_file_write();
  return rc != SQLITE_OK ? rc : real(file)->pMethods->xWrite(real(file), bytes, amount, offset);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
  return real(file)->pMethods->xTruncate(real(file), size);
}

static int judge_sync(bool database)
{
  faults.syncs++;
  if (faults.spare_log && !database)
    return SQLITE_OK;
  if (faults.fail_sync == 0)
    return SQLITE_IOERR_FSYNC;
  if (faults.fail_sync > 0)
    faults.fail_sync--;
  return SQLITE_OK;
}

static int fault_sync(sqlite3_file *file, int flags)
{
  bool database = ((FaultFile *)file)->database;
  pthread_mutex_lock(&lock);
  waiting += database;
  while (database && gate_closed)
    pthread_cond_wait(&moved, &lock);
  waiting -= database;
  int rc = judge_sync(database);
  pthread_mutex_unlock(&lock);
  return rc != SQLITE_OK ? rc : real(file)->pMethods->xSync(real(file), flags);
}

void fault_vfs_gate(bool closed)
{
  pthread_mutex_lock(&lock);
  gate_closed = closed;
  pthread_cond_broadcast(&moved);
  pthread_mutex_unlock(&lock);
}

bool fault_vfs_waits(void)
{
  pthread_mutex_lock(&lock);
  bool waits = waiting > 0 && gate_closed;
  pthread_mutex_unlock(&lock);
  return waits;
}

static int fault_size(sqlite3_file *file, sqlite3_int64 *size)
{
  return real(file)->pMethods->xFileSize(real(file), size);
}

static int fault_lock(sqlite3_file *file, int level)
{
  return real(file)->pMethods->xLock(real(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
  return real(file)->pMethods->xUnlock(real(file), level);
}

static int fault_reserved(sqlite3_file *file, int *out)
{
  return real(file)->pMethods->xCheckReservedLock(real(file), out);
}

static int fault_control(sqlite3_file *file, int op, void *argument)
{
  return real(file)->pMethods->xFileControl(real(file), op, argument);
}

static int fault_sector(sqlite3_file *file)
{
  return real(file)->pMethods->xSectorSize(real(file));
}

static int fault_characteristics(sqlite3_file *file)
{
  return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int fault_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
  return real(file)->pMethods->xShmMap(real(file), page, size, extend, out);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
  return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
  real(file)->pMethods->xShmBarrier(real(file));
}

static int fault_shm_unmap(sqlite3_file *file, int remove)
{
  return real(file)->pMethods->xShmUnmap(real(file), remove);
}

static const sqlite3_io_methods fault_methods = {
  .iVersion = 2,
  .xClose = fault_close,
  .xRead = fault_read,
  .xWrite = fault_write,
  .xTruncate = fault_truncate,
  .xSync = fault_sync,
  .xFileSize = fault_size,
  .xLock = fault_lock,
  .xUnlock = fault_unlock,
  .xCheckReservedLock = fault_reserved,
  .xFileControl = fault_control,
  .xSectorSize = fault_sector,
  .xDeviceCharacteristics = fault_characteristics,
  .xShmMap = fault_shm_map,
  .xShmLock = fault_shm_lock,
  .xShmBarrier = fault_shm_barrier,
  .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *out_flags)
{
  FaultFile *fault = (FaultFile *)file;
  (void)vfs;
  fault->database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  fault->real = (sqlite3_file *)(fault + 1);
  int rc = real_vfs->xOpen(real_vfs, name, fault->real, flags, out_flags);
  fault->base.pMethods = fault->real->pMethods ? &fault_methods : NULL;
  return rc;
}

FaultVfs *fault_vfs_reset(void)
{
  static sqlite3_vfs vfs;
  if (!real_vfs) {
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = FAULT_VFS;
    vfs.szOsFile = (int)sizeof(FaultFile) + real_vfs->szOsFile;
    vfs.xOpen = fault_open;
    vfs.pNext = NULL;
    sqlite3_vfs_register(&vfs, 0);
  }
  faults = (FaultVfs){ .fail_write = -1, .fail_sync = -1, .room = -1 };
  return &faults;
}
