#include "aap-plugin-scopes.h"

#include <string.h>

#define ALLOCATION4_FIRST 0xEFFB0000 /* 239.251.0.0/16 */
#define SCOP_SHIFT 112
#define ORGANIZATION6 6

static AapGroupRule rule_of(const MalConfSection *s)
{
  return (AapGroupRule){ (uint32_t)mal_conf_integer(s, "relative-offset"),
                         mal_conf_address(s, "group6") };
}

static bool is_usual(const MalScope *scope)
{
  MalSpan span = scope->span;
  if (scope->divisible)
    return false;
  if (span.first.family == MAL_IPV4)
    return span.first.value == ALLOCATION4_FIRST && span.last.value == ALLOCATION4_FIRST + 0xFFFF;
  return ((unsigned)(span.first.value >> SCOP_SHIFT) & 0xF) == ORGANIZATION6;
}

/* What allocation-scope names, else the usual one. */
static const MalScope *allocation_of(const MalConfSection *s, const MalScopeSet *scopes,
                                     MalFamily family)
{
  for (size_t i = 0; i < mal_conf_length(s, "allocation-scope"); i++) {
    const MalScope *scope = mal_scope_set_find(scopes, mal_conf_item(s, "allocation-scope", i));
    if (scope != NULL && scope->span.first.family == family)
      return scope;
  }
  for (size_t i = 0; i < mal_scope_set_size(scopes); i++) {
    const MalScope *scope = mal_scope_set_at(scopes, i);
    if (scope->span.first.family == family && is_usual(scope))
      return scope;
  }
  return NULL;
}

static bool has_no_group6(const MalScope *scope, const AapGroupRule *rule)
{
  return scope->span.first.family == MAL_IPV6 && rule->group6.family != MAL_IPV6;
}

bool aap_scopes_place(const MalConfSection *s, const MalScopeSet *scopes, const MalScope *scope,
                      AapPlace *out, char **why)
{
  AapGroupRule rule = rule_of(s);
  const MalScope *allocation = allocation_of(s, scopes, scope->span.first.family);
  if (aap_scope_place(scope, allocation, &rule, out))
    return true;
  if (has_no_group6(scope, &rule))
    *why = g_strdup("no [aap] group6 is configured, and no IPv6 AAP group was ever assigned");
  else if (scope->divisible && allocation == NULL)
    *why = g_strdup("it is divisible, and there is no Allocation Scope");
  else
    *why = g_strdup_printf("it is too small to hold its AAP group (relative-offset %u)",
                           rule.offset4);
  return false;
}

static bool G_GNUC_PRINTF(3, 4)
refuse(GError **error, char *place, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *why = g_strdup_vprintf(format, args), *where = place;
  va_end(args);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", where, why);
  return false;
}

static bool check_names(const MalConfSection *s, const MalScopeSet *scopes, GError **error)
{
  const MalScope *found[2] = { NULL, NULL };
  for (size_t i = 0; i < mal_conf_length(s, "allocation-scope"); i++) {
    const char *id = mal_conf_item(s, "allocation-scope", i);
    const MalScope *scope = mal_scope_set_find(scopes, id);
    if (scope == NULL)
      return refuse(error, mal_conf_place(s, "allocation-scope"), "there is no [scope %s]", id);
    const MalScope **slot = &found[scope->span.first.family == MAL_IPV6];
    if (scope->divisible)
      return refuse(error, mal_conf_place(s, "allocation-scope"),
                    "scope %s is divisible: the Allocation Scope is the domain itself", id);
    if (*slot != NULL)
      return refuse(error, mal_conf_place(s, "allocation-scope"),
                    "%s and %s are of one family: a domain has one Allocation Scope", (*slot)->id,
                    id);
    *slot = scope;
  }
  return true;
}

static char *place_of_scope(const MalConfig *config, const char *id)
{
  for (size_t i = 0; i < mal_config_count(config, "scope"); i++) {
    const MalConfSection *s = mal_config_nth(config, "scope", i);
    if (strcmp(mal_conf_name(s), id) == 0)
      return mal_conf_place(s, "divisible");
  }
  return g_strdup(id);
}

bool aap_scopes_check(const MalConfSection *s, const MalConfig *config, const MalScopeSet *scopes,
                      GError **error)
{
  AapGroupRule rule = rule_of(s);
  if (!check_names(s, scopes, error))
    return false;
  for (size_t i = 0; i < mal_scope_set_size(scopes); i++) {
    const MalScope *scope = mal_scope_set_at(scopes, i);
    if (!scope->divisible || has_no_group6(scope, &rule) ||
        allocation_of(s, scopes, scope->span.first.family) != NULL)
      continue;
    return refuse(error, place_of_scope(config, scope->id),
                  "a divisible scope is coordinated in the Allocation Scope, and there is none: "
                  "add the scope that is your domain (239.251.0.0/16, or an IPv6 scope with scope "
                  "value 6) or name it in [aap] allocation-scope");
  }
  return true;
}

bool aap_scopes_same_names(const MalConfSection *a, const MalConfSection *b)
{
  if (mal_conf_length(a, "allocation-scope") != mal_conf_length(b, "allocation-scope"))
    return false;
  for (size_t i = 0; i < mal_conf_length(a, "allocation-scope"); i++)
    if (strcmp(mal_conf_item(a, "allocation-scope", i),
               mal_conf_item(b, "allocation-scope", i)) != 0)
      return false;
  return true;
}
