#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>
#include <string.h>

static MalPlan *plan_of(const char *text)
{
  g_autoptr(GError) error = NULL;
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config = mal_config_parse(schema, text, strlen(text), "t", &error);
  MalPlan *plan = config ? mal_plan_from_config(config, &error) : NULL;
  mal_conf_schema_free(schema);
  cr_assert_not_null(plan, "%s", error ? error->message : "");
  return plan;
}

bool replan(Bed *b, const char *text, GError **error)
{
  g_autoptr(MalPlan) plan = plan_of(text);
  return mal_leases_replan(b->leases, plan, MAL_ETHERNET_DISTINCT, mal_runtime_now(b->rt), error);
}

bool could_replan(Bed *b, const char *text)
{
  g_autoptr(MalPlan) plan = plan_of(text);
  return mal_leases_could_replan(b->leases, plan, MAL_ETHERNET_DISTINCT, mal_runtime_now(b->rt),
                                 NULL);
}

void on_change(MalLeaseChange what, const MalLease *lease, const char *reason, void *data)
{
  (void)lease;
  (void)reason;
  ((Bed *)data)->changes[what]++;
}

Bed bed_of(const char *config)
{
  g_autoptr(GError) error = NULL;
  Bed b = { .fake = fake_runtime_new(), .code = -1 };
  b.rt = fake_runtime(b.fake);
  b.store = mal_store_memory_new(b.rt);
  b.space = mal_space_new();
  b.leases = mal_leases_new(b.rt, b.store, b.space);
  cr_assert(replan(&b, config, &error), "%s", error ? error->message : "");
  return b;
}

void bed_clear(Bed *b)
{
  mal_store_close(b->store);
  mal_leases_store_gone(b->leases);
  mal_leases_free(b->leases);
  mal_space_free(b->space);
  fake_runtime_free(b->fake);
}

void done(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  Bed *b = user;
  (void)cookie;
  b->calls++;
  b->code = error ? error->code : -1;
  g_strlcpy(b->text, error ? error->message : "", sizeof b->text);
  if (!lease)
    return;
  g_autofree char *blocks = mal_blocks_format(lease->blocks, lease->n_blocks);
  g_strlcpy(b->text, blocks, sizeof b->text);
  b->start = lease->start;
  b->end = lease->end;
}

MalLeaseId id_of(const char *text)
{
  return (MalLeaseId){ (const uint8_t *)text, strlen(text) };
}

MalLeaseRequest request_of(Bed *b, const char *id, uint32_t count, int64_t lifetime)
{
  return (MalLeaseRequest){
    .id = id_of(id),
    .scope = mal_scope_set_find(mal_leases_scopes(b->leases), "local"),
    .min = count,
    .desired = count,
    .max_start = mal_runtime_now(b->rt),
    .lifetime = lifetime,
    .min_lifetime = lifetime,
    .client = mal_address_ipv4(0xc0000207),
    .origin = "madcap",
  };
}

MalAnswer ask(Bed *b, const MalLeaseRequest *r, MalRefusal *why)
{
  b->calls = 0;
  MalAnswer answer = mal_leases_request(b->leases, r, mal_runtime_now(b->rt), done, b, 0, why);
  cr_assert_eq(b->calls, 0, "never from inside the call");
  fake_run(b->fake);
  mal_leases_check(b->leases, mal_runtime_now(b->rt));
  return answer;
}

MalAnswer lease(Bed *b, const char *id, uint32_t count, int64_t lifetime, MalRefusal *why)
{
  MalLeaseRequest r = request_of(b, id, count, lifetime);
  return ask(b, &r, why);
}

void expire(Bed *b)
{
  mal_leases_expire(b->leases, mal_runtime_now(b->rt));
  mal_leases_check(b->leases, mal_runtime_now(b->rt));
}
