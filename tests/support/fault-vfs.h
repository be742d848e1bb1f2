/* An SQLite VFS that passes everything on to the system's and fails when told to. For one process
   and one test at a time: what it is told holds for all its files. Its files may be used by several
   threads; a test whose store has threads changes what it is told before they start. */
#ifndef FAULT_VFS_H
#define FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define FAULT_VFS "fault"

typedef struct {
  int fail_write, fail_sync;  /* how many more succeed before all fail; negative: they don't fail */
  int64_t room;               /* octets until the disk is full; negative: no end */
  bool read_only;
  bool spare_log;             /* the faults are of the database file alone */
  int writes, syncs;          /* seen */
  int file_writes;            /* of them, to the database file */
  /* Called before such a write. */
  void (*on_file_write)(void);
} FaultVfs;

/* Registers the VFS once, and takes all faults back. The result stays valid. */
FaultVfs *fault_vfs_reset(void);

/* Closed: a sync of the database file waits until it is opened. */
void fault_vfs_gate(bool closed);
bool fault_vfs_waits(void);

#endif
