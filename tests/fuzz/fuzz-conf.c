/* Any octets as a configuration: read by the tables, made a plan, shown and compared.
   Covers: core/conf*.c core/plan.c core/scope.c */
#include <string.h>

#include "core/conf.h"
#include "tests/fuzz/fuzz.h"

/* An error says where: the file's name stands at its beginning. */
static void must_name_the_place(const GError *error)
{
  must(error && error->domain == MAL_ERROR && error->code == MAL_ERROR_CONFIG);
  must(g_str_has_prefix(error->message, "fuzz.conf:"));
}

/* 233/8 below AD-HOC Block III, 234/8, or ff3x:00LL with a length of at most 64 bits. */
static void must_be_derived(MalSpan span)
{
  if (span.first.family == MAL_IPV4) {
    uint32_t block = (uint32_t)(span.first.value >> 24);
    must(block == 234 || (block == 233 && span.last.value < UINT32_C(0xe9fc0000)));
    return;
  }
  uint32_t head = (uint32_t)(span.first.value >> 96);
  must((head & UINT32_C(0xfff0ff00)) == UINT32_C(0xff300000));
  must((head & 0xff) >= 1 && (head & 0xff) <= 64);
  must((uint32_t)span.first.value == 0 && span.last.value - span.first.value == UINT32_MAX);
}

static void check_plan(const MalConfig *config)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(MalPlan) plan = mal_plan_from_config(config, &error);
  if (!plan) {
    must_name_the_place(error);
    return;
  }
  must(plan->ranges->len == mal_config_count(config, "range"));
  for (guint i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *r = plan->ranges->pdata[i];
    must(mal_span_contains(mal_scope_set_at(plan->scopes, r->scope)->span, r->span));
    for (guint k = 0; k < r->excludes->len; k++)
      must(mal_span_contains(r->span, g_array_index(r->excludes, MalSpan, k)));
    if (r->derived_from)
      must_be_derived(r->span);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GError) error = NULL, again = NULL;
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config =
      mal_config_parse(schema, (const char *)data, size, "fuzz.conf", &error);
  g_autoptr(MalConfig) daemon =
      mal_config_parse_daemon((const char *)data, size, "fuzz.conf", &again);
  if (config) {
    /* What the whole check takes, the lenient one takes, too. */
    must(daemon && mal_config_same(config, daemon, "daemon"));
    check_plan(config);
  } else {
    must_name_the_place(error);
  }
  if (!daemon)
    must_name_the_place(again);
  mal_conf_schema_free(schema);
  return 0;
}
