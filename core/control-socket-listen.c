/* The control socket's place in the file system, its door, and who it is that connects. */
#include <config.h>

#include "control-socket.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- who it is ------------------------------------------------------------------------------- */

/* The loop's thread alone asks for groups and users: the static results of these calls are its
   own. */
static bool in_group(uid_t uid, gid_t gid, const char *name)
{
  // NOLINTNEXTLINE(concurrency-mt-unsafe): see above
  struct group *g = name && *name ? getgrnam(name) : NULL;
  if (!g)
    return false;
  gid_t wanted = g->gr_gid;
  if (gid == wanted)
    return true;
  struct passwd *p = getpwuid(uid);  // NOLINT(concurrency-mt-unsafe): see above
  if (!p)
    return false;
  gid_t groups[256];
  int n = G_N_ELEMENTS(groups);
  if (getgrouplist(p->pw_name, p->pw_gid, groups, &n) < 0)
    return false;
  for (int i = 0; i < n; i++)
    if (groups[i] == wanted)
      return true;
  return false;
}

bool mal_control_peer_may_write(int fd, const char *group)
{
  struct ucred who;
  socklen_t length = sizeof who;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0)
    return false;
  return who.uid == 0 || who.uid == geteuid() || in_group(who.uid, who.gid, group);
}

/* ---- a line of text -------------------------------------------------------------------------- */

const char *mal_json_parse(const char *text, size_t length, json_object **out)
{
  json_tokener *tokener = json_tokener_new_ex(32);
  json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
  *out = json_tokener_parse_ex(tokener, text, (int)length);
  enum json_tokener_error error = json_tokener_get_error(tokener);
  bool all = error == json_tokener_success && json_tokener_get_parse_end(tokener) == length;
  if (error == json_tokener_continue) {         /* where a number ends only what follows tells */
    *out = json_tokener_parse_ex(tokener, "\n", 1);
    error = json_tokener_get_error(tokener);
    all = error == json_tokener_success;
  }
  json_tokener_free(tokener);
  if (all)
    return NULL;
  return error == json_tokener_success    ? "something follows the object"
         : error == json_tokener_continue ? "it ends too early; one object is one line"
                                          : json_tokener_error_desc(error);
}

/* ---- the socket ------------------------------------------------------------------------------ */

static bool fail(GError **error, const char *path, const char *what)
{
  g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "control socket %s: %s: %s", path, what,
              g_strerror(errno));
  return false;
}

static bool set_address(const char *path, struct sockaddr_un *address, GError **error)
{
  *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  if (strlen(path) < sizeof address->sun_path) {
    memcpy(address->sun_path, path, strlen(path) + 1);
    return true;
  }
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
              "control socket %s: the path is longer than %zu octets", path,
              sizeof address->sun_path - 1);
  return false;
}

/* A file that nobody listens on was left behind by a crash. */
static bool clear_stale(const char *path, const struct sockaddr_un *address, GError **error)
{
  struct stat st;
  if (lstat(path, &st) != 0)
    return true;
  if (!S_ISSOCK(st.st_mode)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK,
                "control socket %s: a file that is no socket is in its place", path);
    return false;
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* Any other failure (no permission, another type of socket) says that it is somebody's. */
  bool stale = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0
               && errno == ECONNREFUSED;
  if (fd >= 0)
    close(fd);
  if (!stale) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK,
                "control socket %s is in use: is another mallocd running? Give this one another "
                "[daemon] control-socket",
                path);
    return false;
  }
  return unlink(path) == 0 || fail(error, path, "can't remove the old one");
}

int mal_control_listen(const char *path, GError **error)
{
  struct sockaddr_un address;
  g_autofree char *dir = g_path_get_dirname(path);
  if (!set_address(path, &address, error))
    return -1;
  if (g_mkdir_with_parents(dir, 0755) != 0) {
    fail(error, path, "can't make its directory");
    return -1;
  }
  if (!clear_stale(path, &address, error))
    return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
  /* Anybody who gets at the directory may connect: what a caller may do is decided by who it is.
     Not by umask, which is the process's, and the store's thread makes files, too. */
  if (bound && chmod(path, 0666) == 0 && listen(fd, 64) == 0)
    return fd;
  fail(error, path, bound ? "listen" : "bind");
  if (fd >= 0)
    close(fd);
  return -1;
}

/* ---- the door -------------------------------------------------------------------------------- */

#define PAUSE_MS 100

struct MalControlDoor {
  GMainContext *context;
  int fd;
  GSource *source;              /* waits for somebody, or for better times */
  bool said;                    /* that there is no room */
  MalControlDoorFunc func;
  MalControlNoRoom no_room;
  void *data;
};

static gboolean on_somebody(int fd, GIOCondition condition, gpointer data);

/* Takes over SOURCE. */
static void wait_for(MalControlDoor *door, GSource *source, GSourceFunc func)
{
  if (door->source) {
    g_source_destroy(door->source);
    g_source_unref(door->source);
  }
  door->source = source;
  g_source_set_callback(source, func, door, NULL);
  g_source_attach(source, door->context);
}

static gboolean on_pause_over(gpointer data)
{
  MalControlDoor *door = data;
  wait_for(door, g_unix_fd_source_new(door->fd, G_IO_IN), G_SOURCE_FUNC(on_somebody));
  return G_SOURCE_REMOVE;
}

/* Out of descriptors or memory: who waits at the door would wake the loop without end. */
static gboolean pause_door(MalControlDoor *door, int errnum)
{
  if (!door->said)
    door->no_room(g_strerror(errnum), door->data);
  door->said = true;
  wait_for(door, g_timeout_source_new(PAUSE_MS), on_pause_over);
  return G_SOURCE_REMOVE;
}

static gboolean on_somebody(int fd, GIOCondition condition, gpointer data)
{
  MalControlDoor *door = data;
  (void)condition;
  int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (peer >= 0) {
    door->said = false;
    door->func(peer, door->data);
  } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    return pause_door(door, errno);
  }
  return G_SOURCE_CONTINUE;
}

MalControlDoor *mal_control_door_new(GMainContext *context, int fd, MalControlDoorFunc func,
                                     MalControlNoRoom no_room, void *data)
{
  MalControlDoor *door = g_new0(MalControlDoor, 1);
  *door = (MalControlDoor){ .context = context, .fd = fd, .func = func, .no_room = no_room,
                            .data = data };
  wait_for(door, g_unix_fd_source_new(fd, G_IO_IN), G_SOURCE_FUNC(on_somebody));
  return door;
}

void mal_control_door_free(MalControlDoor *door)
{
  g_source_destroy(door->source);
  g_source_unref(door->source);
  close(door->fd);
  g_free(door);
}
