/* O_NOFOLLOW, O_DIRECTORY, fsync */
#define _XOPEN_SOURCE 700

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int fd, const char *data, size_t length)
{
  while (length > 0) {
    ssize_t n = write(fd, data, length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    data += n;
    length -= (size_t)n;
  }
  return true;
}

/* The mode is set, not asked for: the umask is the daemon's, and the reader is somebody else. */
static bool fill(const char *path, const void *data, size_t length, unsigned mode)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool ok = fd >= 0 && write_all(fd, data, length) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
  int errnum = errno;
  if (fd >= 0 && close(fd) != 0 && ok)
    return false;
  errno = errnum;
  return ok;
}

/* So that the new name survives a power cut. */
static bool sync_folder(const char *folder)
{
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  int errnum = errno;
  if (fd >= 0)
    close(fd);
  errno = errnum;
  return ok;
}

bool mal_file_replace(const char *path, const void *data, size_t length, unsigned mode,
                      GError **error)
{
  g_autofree char *folder = g_path_get_dirname(path), *name = g_path_get_basename(path);
  g_autofree char *hidden = g_strconcat(".", name, ".new", NULL);
  g_autofree char *fresh = g_build_filename(folder, hidden, NULL);
  if (fill(fresh, data, length, mode) && rename(fresh, path) == 0 && sync_folder(folder))
    return true;
  int errnum = errno;
  unlink(fresh);
  g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "can't write %s: %s", path, g_strerror(errnum));
  return false;
}
