/* A disk that fails, and one whose power may go: SQLite's default VFS of a daemon built for tests
   (tests/support/mallocd-disk: the daemon's own main and core, and this file).

   MALLOCD_DISK_CONTROL names a file of 16 numbers of 64 bits, shared with the test: see `Control`.
   MALLOCD_DISK_LOG names a file to which each write, truncation, sync, opening and deletion is
   appended before (a sync: after) it happens, so that tests/e2e/disk.py can tell what a power cut
   may leave of the files. Each entry is written by one call and outlives the daemon's death, but
   the last one, which SIGKILL may cut short. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

typedef struct {
  uint64_t fail_write, short_write, full, fail_sync, fail_truncate; /* of a million */
  uint64_t count;             /* this write fails: counts down to 0, which never fails */
  uint64_t fail_read;         /* of a million */
  uint64_t random;            /* the seed; never 0 */
  uint64_t writes, syncs, faults; /* seen, and made */
  uint64_t unused[5];
} Control;

typedef struct {
  uint8_t kind;               /* a letter of what happened */
  uint8_t unused[3];
  uint32_t length;            /* octets that follow */
  uint64_t file;              /* a number for each opening */
  uint64_t offset;            /* truncation: the size; sync: how long the log was when it began */
} Entry;

typedef struct {
  sqlite3_file base;
  uint64_t number;            /* 0: nobody's concern */
  sqlite3_file *real;         /* right behind this struct */
} DiskFile;

static sqlite3_vfs *real_vfs;
static Control *control;
static int log_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* What is noted is done before the next is noted: a death leaves one change undone at most, and a
   sync covers what was noted before it. */
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static sqlite3_file *real(sqlite3_file *file)
{
  return ((DiskFile *)file)->real;
}

/* ---- the log --------------------------------------------------------------------------------- */

static _Noreturn void give_up(const char *what)
{
  perror(what);
  abort();
}

static void note(char kind, uint64_t file, uint64_t offset, const void *bytes, size_t length)
{
  Entry entry = {
    .kind = (uint8_t)kind, .length = (uint32_t)length, .file = file, .offset = offset
  };
  struct iovec parts[] = { { &entry, sizeof entry }, { (void *)(uintptr_t)bytes, length } };
  if (log_fd < 0 || file == 0)
    return;
  if (writev(log_fd, parts, 2) != (ssize_t)(sizeof entry + length))
    give_up("disk-vfs: log");
}

static uint64_t log_length(void)
{
  off_t at = log_fd < 0 ? 0 : lseek(log_fd, 0, SEEK_END);
  return at < 0 ? 0 : (uint64_t)at;
}

/* ---- faults ---------------------------------------------------------------------------------- */

static bool chance(uint64_t of_a_million)
{
  if (of_a_million == 0)
    return false;
  pthread_mutex_lock(&lock);
  uint64_t x = control->random;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  control->random = x;
  bool hit = x % 1000000 < of_a_million;
  control->faults += hit;
  pthread_mutex_unlock(&lock);
  return hit;
}

/* The test may set it to 0 at any time, and 0 it stays. */
static bool counted_down(void)
{
  uint64_t left = __atomic_load_n(&control->count, __ATOMIC_RELAXED);
  while (left > 0 && !__atomic_compare_exchange_n(&control->count, &left, left - 1, false,
                                                  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
  if (left != 1)
    return false;
  pthread_mutex_lock(&lock);
  control->faults++;
  pthread_mutex_unlock(&lock);
  return true;
}

static void seen(uint64_t *counter)
{
  pthread_mutex_lock(&lock);
  ++*counter;
  pthread_mutex_unlock(&lock);
}

static int disk_write(sqlite3_file *file, const void *bytes, int amount, sqlite3_int64 offset)
{
  DiskFile *self = (DiskFile *)file;
  int rc = SQLITE_OK;
  if (control) {
    seen(&control->writes);
    if (chance(control->full))
      return SQLITE_FULL;
    if (chance(control->fail_write) || counted_down())
      return SQLITE_IOERR_WRITE;
    if (amount > 1 && chance(control->short_write)) {
      amount /= 2;
      rc = SQLITE_IOERR_WRITE;
    }
  }
  pthread_mutex_lock(&order);
  note('W', self->number, (uint64_t)offset, bytes, (size_t)amount);
  int written = self->real->pMethods->xWrite(self->real, bytes, amount, offset);
  pthread_mutex_unlock(&order);
  return rc != SQLITE_OK ? rc : written;
}

static int disk_read(sqlite3_file *file, void *out, int amount, sqlite3_int64 offset)
{
  if (control && chance(control->fail_read))
    return SQLITE_IOERR_READ;
  return real(file)->pMethods->xRead(real(file), out, amount, offset);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
  DiskFile *self = (DiskFile *)file;
  if (control && chance(control->fail_truncate))
    return SQLITE_IOERR_TRUNCATE;
  pthread_mutex_lock(&order);
  note('T', self->number, (uint64_t)size, NULL, 0);
  int rc = self->real->pMethods->xTruncate(self->real, size);
  pthread_mutex_unlock(&order);
  return rc;
}

/* One that fails may have written all of it, or nothing: the log leaves that open. */
static int disk_sync(sqlite3_file *file, int flags)
{
  DiskFile *self = (DiskFile *)file;
  pthread_mutex_lock(&order);
  uint64_t began = log_length();
  pthread_mutex_unlock(&order);
  if (control) {
    seen(&control->syncs);
    if (chance(control->fail_sync))
      return SQLITE_IOERR_FSYNC;
  }
  int rc = self->real->pMethods->xSync(self->real, flags);
  pthread_mutex_lock(&order);
  if (rc == SQLITE_OK)
    note('S', self->number, began, NULL, 0);
  pthread_mutex_unlock(&order);
  return rc;
}

/* ---- what is passed on ----------------------------------------------------------------------- */

static int disk_close(sqlite3_file *file)
{
  return real(file)->pMethods->xClose(real(file));
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *size)
{
  return real(file)->pMethods->xFileSize(real(file), size);
}

static int disk_lock(sqlite3_file *file, int level)
{
  return real(file)->pMethods->xLock(real(file), level);
}

static int disk_unlock(sqlite3_file *file, int level)
{
  return real(file)->pMethods->xUnlock(real(file), level);
}

static int disk_reserved(sqlite3_file *file, int *out)
{
  return real(file)->pMethods->xCheckReservedLock(real(file), out);
}

static int disk_control(sqlite3_file *file, int op, void *argument)
{
  return real(file)->pMethods->xFileControl(real(file), op, argument);
}

static int disk_sector(sqlite3_file *file)
{
  return real(file)->pMethods->xSectorSize(real(file));
}

static int disk_characteristics(sqlite3_file *file)
{
  return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int disk_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
  return real(file)->pMethods->xShmMap(real(file), page, size, extend, out);
}

static int disk_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
  return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}

static void disk_shm_barrier(sqlite3_file *file)
{
  real(file)->pMethods->xShmBarrier(real(file));
}

static int disk_shm_unmap(sqlite3_file *file, int remove)
{
  return real(file)->pMethods->xShmUnmap(real(file), remove);
}

static const sqlite3_io_methods disk_methods = {
  .iVersion = 2,
  .xClose = disk_close,
  .xRead = disk_read,
  .xWrite = disk_write,
  .xTruncate = disk_truncate,
  .xSync = disk_sync,
  .xFileSize = disk_size,
  .xLock = disk_lock,
  .xUnlock = disk_unlock,
  .xCheckReservedLock = disk_reserved,
  .xFileControl = disk_control,
  .xSectorSize = disk_sector,
  .xDeviceCharacteristics = disk_characteristics,
  .xShmMap = disk_shm_map,
  .xShmLock = disk_shm_lock,
  .xShmBarrier = disk_shm_barrier,
  .xShmUnmap = disk_shm_unmap,
};

/* ---- names ----------------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* The log's length at the opening is a number that no other opening has. */
static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
  DiskFile *self = (DiskFile *)file;
  (void)vfs;
  memset(self, 0, sizeof *self);
  self->real = (sqlite3_file *)(self + 1);
  pthread_mutex_lock(&order);
  if (name && log_fd >= 0) {
    self->number = log_length() + 1;
    note('O', self->number, 0, base_name(name), strlen(base_name(name)));
  }
  int rc = real_vfs->xOpen(real_vfs, name, self->real, flags, out);
  pthread_mutex_unlock(&order);
  self->base.pMethods = self->real->pMethods ? &disk_methods : NULL;
  return rc;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
  (void)vfs;
  pthread_mutex_lock(&order);
  note('D', UINT64_MAX, (uint64_t)(sync_dir != 0), base_name(name), strlen(base_name(name)));
  int rc = real_vfs->xDelete(real_vfs, name, sync_dir);
  pthread_mutex_unlock(&order);
  return rc;
}

__attribute__((constructor)) static void take_the_place_of_the_disk(void)
{
  static sqlite3_vfs vfs;
  const char *control_path = getenv("MALLOCD_DISK_CONTROL"), *log_path = getenv("MALLOCD_DISK_LOG");
  if (control_path) {
    int fd = open(control_path, O_RDWR | O_CLOEXEC);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || control == MAP_FAILED)
      give_up(control_path);
    close(fd);
  }
  if (log_path && (log_fd = open(log_path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0)
    give_up(log_path);
  real_vfs = sqlite3_vfs_find(NULL);
  vfs = *real_vfs;
  vfs.zName = "disk";
  vfs.szOsFile = (int)sizeof(DiskFile) + real_vfs->szOsFile;
  vfs.xOpen = disk_open;
  vfs.xDelete = disk_delete;
  vfs.pNext = NULL;
  sqlite3_vfs_register(&vfs, 1);
}
