/* Layer 3 of a world: a plugin that brings each scope some more addresses, once, a while after they
   are wanted, and has them again after a restart. So requests wait (RFC 2730 2.13.2). */
#include "madcap-world-private.h"

#include <string.h>

#define SPACE_OWNER "simspace"

typedef struct {
  MalHost host;
  MalTimer *timer[EXTRA];
  MalTicket ticket[EXTRA];     /* of its record, on the way to the disk */
  bool has[EXTRA];
  unsigned listener;
} Space;

typedef struct {
  Space *space;
  unsigned scope;
} Wanted;

static bool add(Space *p, unsigned scope, const MalAddress *first, GError **error)
{
  MalSpan span = { *first, *first };
  span.last.value += SHARE_EXTRA - 1;
  p->has[scope] = true;
  return mal_space_add(p->host.space, MAL_LEVEL_AVAILABLE, world_scopes[scope].id, span,
                       MAL_FOREVER, world_scopes[scope].id, SPACE_OWNER, error);
}

/* Behind the static ranges of this server, whose number is in its configuration. */
static MalAddress first_of(const Space *p, unsigned scope)
{
  const MalConfSection *s = mal_config_section(p->host.config, "madcap");
  unsigned server = (unsigned)mal_conf_integer(s, "retry-after") - RETRY_AFTER;
  MalAddress first = world_share(server, scope, 1).first;
  first.value += SHARE_MOST;
  return first;
}

static void bring(Space *p, unsigned scope)
{
  uint8_t key = (uint8_t)scope;
  MalRecord record = { .owner = SPACE_OWNER, .kind = "range", .key = &key, .key_length = 1,
                       .value = &key, .value_length = 1 };
  mal_timer_stop(p->timer[scope]);
  if (!p->has[scope] && !p->ticket[scope])
    p->ticket[scope] = mal_store_put_record(p->host.store, &record);
}

#define BRING(n) static void bring_##n(void *data) { bring(data, n); }
BRING(0)
BRING(1)
BRING(2)

static void settled(MalTicket through, const GError *error, void *data)
{
  Space *p = data;
  for (unsigned k = 0; k < EXTRA; k++)
    if (p->ticket[k] && p->ticket[k] <= through) {
      MalAddress first = first_of(p, k);
      p->ticket[k] = 0;
      if (!error && !p->has[k] && !add(p, k, &first, NULL))
        g_error("a range of the simulated layer 3 was refused");
    }
}

static void *open_space(const MalHost *host, GError **error)
{
  Space *p = g_new0(Space, 1);
  (void)error;
  p->host = *host;
  return p;
}

static bool restore(void *instance, const MalRecord *record, GError **error)
{
  Space *p = instance;
  MalAddress first = first_of(p, record->key[0]);
  return p->has[record->key[0]] || add(p, record->key[0], &first, error);
}

static bool start(void *instance, GError **error)
{
  static const MalTimerFunc funcs[EXTRA] = { bring_0, bring_1, bring_2 };
  Space *p = instance;
  (void)error;
  for (unsigned k = 0; k < EXTRA; k++)
    p->timer[k] = mal_timer_new(p->host.runtime, funcs[k], p);
  p->listener = mal_store_listen(p->host.store, settled, p);
  return true;
}

static MalReload reload(void *instance, const MalConfig *config)
{
  ((Space *)instance)->host.config = config;
  return MAL_RELOAD_DONE;
}

static void stop(void *instance)
{
  Space *p = instance;
  for (unsigned k = 0; k < EXTRA; k++)
    g_clear_pointer(&p->timer[k], mal_timer_free);
  mal_store_unlisten(p->host.store, p->listener);
}

static void demand(void *instance, MalLevel level, const MalScope *scope, uint64_t count,
                   MalTime until)
{
  Space *p = instance;
  (void)level, (void)count, (void)until;
  for (unsigned k = 0; k < EXTRA; k++)
    if (strcmp(world_scopes[k].id, scope->id) == 0 && !p->has[k] && p->timer[k])
      mal_timer_set(p->timer[k], mal_runtime_monotonic(p->host.runtime) +
                                     (int64_t)mal_runtime_random_between(p->host.runtime, 1,
                                                                         90 * MAL_US));
}

const MalPlugin world_space_plugin = {
  .abi = MAL_PLUGIN_ABI,
  .name = SPACE_OWNER,
  .version = "1",
  .summary = "Layer 3 of a simulated world",
  .roles = MAL_ROLE_MAAS,
  .open = open_space,
  .restore = restore,
  .start = start,
  .reload = reload,
  .stop = stop,
  .close = g_free,
  .demand = demand,
};
