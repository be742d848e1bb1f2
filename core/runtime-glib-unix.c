/* Streams to unix sockets: another way to connect; all else is runtime-glib-stream.c. */
#include "runtime-glib-private.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* A server that has no room in its backlog (EAGAIN) is like one that isn't there: the caller tries
   again. */
MalStream *rtg_stream_connect_unix(MalRuntime *rt, const char *path, const MalStreamOps *ops,
                                   void *user, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (strlen(path) >= sizeof address.sun_path) {
    rtg_fail(error, ENAMETOOLONG, "can't connect to %s", path);
    return NULL;
  }
  memcpy(address.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
    rtg_fail(error, errno, "can't connect to %s", path);
    if (fd >= 0)
      close(fd);
    return NULL;
  }
  return rtg_stream_adopt(rt, fd, ops, user);
}
