#include "madcap-groups.h"

#include <string.h>

MalAddress madcap_group_default(const MalScope *scope)
{
  MalAddress group = mal_address_none();

  if (mal_address_compare(scope->span.first, scope->span.last) < 0)
    mal_address_sub(scope->span.last, 1, &group);
  return group;
}

bool madcap_group_is_local(MalAddress group)
{
  if (group.family == MAL_IPV4)
    return group.value == 0xEFFFFFFEu;
  return group.family == MAL_IPV6 && ((unsigned)(group.value >> 112) & 0xFF0Fu) == 0xFF03u;
}

static bool bad(GError **error, const MalConfSection *section, const char *item, const char *what)
{
  g_autofree char *place = mal_conf_place(section, "server-groups");

  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: \"%s\": %s", place, item, what);
  return false;
}

static bool add_configured(const MalConfSection *section, const char *item,
                           const MalScopeSet *scopes, GArray *out, GError **error)
{
  const char *equals = strchr(item, '=');
  g_assert(equals != NULL); /* MAL_CONF_PAIR */
  g_autofree char *id = g_strstrip(g_strndup(item, (size_t)(equals - item)));
  g_autofree char *text = g_strstrip(g_strdup(equals + 1));
  const MalScope *scope = mal_scope_set_find(scopes, id);
  MadcapGroup group;

  if (scope == NULL)
    return bad(error, section, item, "there is no such [scope]");
  if (!mal_address_parse(text, &group.address, NULL) || !mal_address_is_multicast(group.address))
    return bad(error, section, item, "expected a multicast address after the '='");
  if (group.address.family != scope->span.first.family)
    return bad(error, section, item, "the address is not of the scope's family");
  group.scope = scope->index;
  g_array_append_val(out, group);
  return true;
}

static int by_scope(gconstpointer a, gconstpointer b)
{
  const MadcapGroup *x = a, *y = b;

  if (x->scope != y->scope)
    return x->scope < y->scope ? -1 : 1;
  return mal_address_compare(x->address, y->address);
}

GArray *madcap_groups_new(const MalConfSection *section, const MalScopeSet *scopes, GError **error)
{
  g_autoptr(GArray) out = g_array_new(FALSE, FALSE, sizeof(MadcapGroup));
  size_t given = mal_conf_length(section, "server-groups");

  for (size_t i = 0; i < given; i++)
    if (!add_configured(section, mal_conf_item(section, "server-groups", i), scopes, out, error))
      return NULL;
  guint configured = out->len;
  for (size_t i = 0; i < mal_scope_set_size(scopes); i++) {
    const MalScope *scope = mal_scope_set_at(scopes, i);
    MadcapGroup group = { madcap_group_default(scope), scope->index };
    bool has = group.address.family == MAL_FAMILY_NONE;
    for (guint k = 0; !has && k < configured; k++)
      has = g_array_index(out, MadcapGroup, k).scope == scope->index;
    if (!has)
      g_array_append_val(out, group);
  }
  g_array_sort(out, by_scope);
  return g_steal_pointer(&out);
}

/* ---- what clients could lease ---------------------------------------------------------------- */

#define NOT_LEASED 256        /* the last addresses of a scope (core/allocator.h) */

static bool has(const GArray *spans, MalAddress address)
{
  for (guint i = 0; i < spans->len; i++)
    if (mal_span_has(g_array_index(spans, MalSpan, i), address))
      return true;
  return false;
}

static bool is_reserved(const MalPlan *plan, MalAddress address)
{
  for (guint i = 0; i < plan->reserves->len; i++)
    if (has(((const MalReserve *)g_ptr_array_index(plan->reserves, i))->spans, address))
      return true;
  return false;
}

static bool could_be_leased(const MalPlan *plan, const MalStaticRange *range, MalAddress address)
{
  const MalScope *scope = mal_scope_set_at(plan->scopes, range->scope);

  return mal_span_has(range->span, address) &&
         scope->span.last.value - address.value >= NOT_LEASED && !has(range->excludes, address) &&
         !is_reserved(plan, address);
}

bool madcap_groups_check(const GArray *groups, const MalConfSection *section, const MalPlan *plan,
                         GError **error)
{
  char text[MAL_ADDRESS_STRLEN];

  for (guint i = 0; i < groups->len; i++) {
    MalAddress address = g_array_index(groups, MadcapGroup, i).address;
    for (guint k = 0; k < plan->ranges->len; k++) {
      const MalStaticRange *range = g_ptr_array_index(plan->ranges, k);
      g_autofree char *what = NULL;
      if (!could_be_leased(plan, range, address))
        continue;
      what = g_strdup_printf("clients could lease it, since it is in [range %s]; exclude it there",
                             range->name);
      return bad(error, section, mal_address_format(address, text), what);
    }
  }
  return true;
}
