#include "tests/unit/daemons.h"

#include <criterion/criterion.h>
#include <glib/gstdio.h>

Daemons daemons_new(unsigned n, uint64_t seed)
{
  Daemons d = { .sim = mal_sim_new(seed), .n = n };
  cr_assert_leq(n, DAEMONS_MOST);
  d.link = mal_sim_link_new(d.sim, "lan");
  for (unsigned i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf("host%u", i);
    d.host[i].node = mal_sim_node_new(d.sim, name);
    d.host[i].iface = mal_sim_iface_new(d.host[i].node, d.link, "eth0");
    mal_sim_iface_add_address(d.host[i].iface, mal_address_ipv4(0xc0000201 + i));
  }
  return d;
}

void daemons_clear(Daemons *d)
{
  for (unsigned i = 0; i < d->n; i++) {
    mal_core_free(d->host[i].core);
    if (d->host[i].file == NULL)
      continue;
    g_unlink(d->host[i].file);
    g_free(d->host[i].file);
    g_string_free(d->host[i].events, TRUE);
  }
  if (d->dir != NULL)
    g_rmdir(d->dir);
  g_free(d->dir);
  json_object_put(d->result);
  g_free(d->error);
  mal_sim_free(d->sim);
}

void daemons_run(Daemons *d, int64_t seconds)
{
  cr_assert(mal_sim_run_for(d->sim, seconds * MAL_US), "%s", mal_sim_failure(d->sim));
}

void daemons_answered(json_object *result, const GError *error, void *data)
{
  Daemons *d = data;
  json_object_put(d->result);
  g_free(d->error);
  d->result = json_object_get(result);
  d->error = error ? g_strdup(error->message) : NULL;
  d->answered = true;
}

void daemons_ask(Daemons *d, unsigned i, const char *method, const char *params)
{
  json_object *p = json_tokener_parse(params);
  d->answered = false;
  mal_control_call(mal_core_control(d->host[i].core), method, p, true, daemons_answered, NULL, d);
  json_object_put(p);
}

json_object *daemons_call(Daemons *d, unsigned i, const char *method, const char *params,
                          int64_t wait)
{
  daemons_ask(d, i, method, params);
  for (int64_t t = 0; t < wait && !d->answered; t++)
    daemons_run(d, 1);
  cr_assert(d->answered, "%s is not answered", method);
  return d->result;
}

json_object *daemons_at(json_object *o, const char *key)
{
  json_object *member = NULL;
  cr_assert(json_object_object_get_ex(o, key, &member), "no %s in %s", key,
            json_object_to_json_string(o));
  return member;
}

uint64_t daemons_metric(Daemons *d, unsigned i, const char *plugin, const char *name)
{
  json_object *all = daemons_at(daemons_call(d, i, "stats.get", "{}", 2), plugin);
  return (uint64_t)json_object_get_int64(daemons_at(all, name));
}
