/* An SQLite VFS that passes everything on to the system's and fails when told to. For one process
   and one test at a time: what it is told holds for all its files. */
#ifndef FAULT_VFS_H
#define FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define FAULT_VFS "fault"

typedef struct {
  int fail_write, fail_sync;  /* how many more succeed before all fail; negative: they don't fail */
  int64_t room;               /* octets until the disk is full; negative: no end */
  bool read_only;
  int writes, syncs;          /* seen */
} FaultVfs;

/* Registers the VFS once, and takes all faults back. The result stays valid. */
FaultVfs *fault_vfs_reset(void);

#endif
