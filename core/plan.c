/* From the core's groups to scopes, static ranges and reserves, checked against each other. Every
   message names the place, the other place where there is one, the value, and what to do. */
#include <string.h>

#include "conf-internal.h"
#include "derive.h"

#define PREFIXES_MAX 256u

typedef struct {
  const MalConfig *config;
  MalPlan *plan;
  GError **error;
} Build;

G_GNUC_PRINTF(4, 5)
static bool fail(Build *b, const MalConfSection *s, const char *key, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *place = mal_conf_place(s, key);
  g_set_error(b->error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", place, what);
  return false;
}

static const MalConfSection *nth(Build *b, const char *group, size_t n)
{
  return mal_config_nth(b->config, group, n);
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static bool check_family(Build *b, const MalConfSection *s, const char *key, MalFamily family)
{
  MalAddress address = mal_conf_address(s, key);
  char text[MAL_ADDRESS_STRLEN];
  if (address.family == family)
    return true;
  return fail(b, s, key, "%s is not an %s address, as 'family' says; change one of them",
              mal_address_format(address, text), mal_family_name(family));
}

static bool parse_group_ids(const char *text, uint32_t *first, uint32_t *last)
{
  static const char digits[] = "0123456789abcdefABCDEF";
  size_t n = strspn(text, digits);
  if (n < 1 || n > 8 || text[n] != '-')
    return false;
  const char *second = text + n + 1;
  size_t m = strspn(second, digits);
  if (m < 1 || m > 8 || second[m])
    return false;
  *first = (uint32_t) g_ascii_strtoull(text, NULL, 16);
  *last = (uint32_t) g_ascii_strtoull(second, NULL, 16);
  return *first <= *last;
}

static bool read_group_ids(Build *b, const MalConfSection *s, MalScope *scope)
{
  const char *text = mal_conf_string(s, "group-ids");
  bool v6 = scope->span.first.family == MAL_IPV6;
  if (!v6 && mal_conf_given(s, "group-ids"))
    return fail(b, s, "group-ids",
                "'%.64s': only IPv6 addresses have a group identifier; remove the key", text);
  if (v6 && !parse_group_ids(text, &scope->group_id_first, &scope->group_id_last))
    return fail(
        b, s, "group-ids",
        "'%.64s' is not two hexadecimal numbers of up to 8 digits, the lower first, such as "
        "80000000-8fffffff%s",
        text, mal_conf_remark_hint(text));
  return true;
}

static void read_names(const MalConfSection *s, MalScope *scope)
{
  scope->n_names = mal_conf_locales(s, "name");
  scope->names = g_new0(MalScopeName, scope->n_names);
  for (size_t i = 0; i < scope->n_names; i++) {
    const char *tag;
    scope->names[i].name = g_strdup(mal_conf_locale(s, "name", i, &tag));
    scope->names[i].language = g_strdup(tag);
  }
  const char *language = mal_conf_string(s, "default-language");
  scope->default_language = language && *language ? g_strdup(language) : NULL;
}

static bool check_default_language(Build *b, const MalConfSection *s, const MalScope *scope)
{
  if (!scope->default_language)
    return true;
  for (size_t i = 0; i < scope->n_names; i++)
    if (g_ascii_strcasecmp(scope->names[i].language, scope->default_language) == 0)
      return true;
  return fail(b, s, "default-language",
              "there is no name in '%.64s'; add name[%.64s] = ... or choose another%s",
              scope->default_language, scope->default_language,
              mal_conf_remark_hint(scope->default_language));
}

static void read_nesting(const MalConfSection *s, MalScope *scope)
{
  size_t n = mal_conf_length(s, "nests-inside");
  scope->nests_inside = g_new0(char *, n + 1);
  for (size_t i = 0; i < n; i++)
    scope->nests_inside[i] = g_strdup(mal_conf_item(s, "nests-inside", i));
}

static bool read_scope(Build *b, const MalConfSection *s, MalScope *scope)
{
  MalFamily family = MAL_FAMILY_NONE;
  mal_family_parse(mal_conf_string(s, "family"), &family);
  if (!check_family(b, s, "first", family) || !check_family(b, s, "last", family))
    return false;
  scope->id = g_strdup(mal_conf_name(s));
  scope->span = (MalSpan) { mal_conf_address(s, "first"), mal_conf_address(s, "last") };
  scope->ttl = (unsigned) mal_conf_integer(s, "ttl");
  scope->divisible = mal_conf_bool(s, "divisible");
  read_names(s, scope);
  read_nesting(s, scope);
  return read_group_ids(b, s, scope) && check_default_language(b, s, scope);
}

/* The names of all [scope]s, with a NULL behind. */
static GPtrArray *scope_names(Build *b)
{
  GPtrArray *names = g_ptr_array_new();
  for (size_t i = 0; i < mal_config_count(b->config, "scope"); i++)
    g_ptr_array_add(names, (void *) mal_conf_name(nth(b, "scope", i)));
  g_ptr_array_add(names, NULL);
  return names;
}

static bool check_scope_name(Build *b, const MalConfSection *s, const char *key, const char *name)
{
  g_autoptr(GPtrArray) names = scope_names(b);
  if (g_strv_contains((const char *const *) names->pdata, name))
    return true;
  g_autoptr(GString) message = g_string_new(NULL);
  g_string_printf(message, "there is no [scope %.64s]%s", name, mal_conf_remark_hint(name));
  mal_conf_suggest(message, name, (const char *const *) names->pdata);
  return fail(b, s, key, "%s", message->str);
}

static bool check_outer(Build *b, const MalConfSection *s, const char *outer)
{
  if (!check_scope_name(b, s, "nests-inside", outer))
    return false;
  return strcmp(outer, mal_conf_name(s)) != 0 ||
         fail(b, s, "nests-inside", "%s can't lie inside itself; remove it", outer);
}

static bool check_nesting_names(Build *b)
{
  for (size_t i = 0; i < mal_config_count(b->config, "scope"); i++) {
    const MalConfSection *s = nth(b, "scope", i);
    for (size_t k = 0; k < mal_conf_length(s, "nests-inside"); k++)
      if (!check_outer(b, s, mal_conf_item(s, "nests-inside", k)))
        return false;
  }
  return true;
}

/* Nesting is inclusion of areas: two different scopes can't lie inside each other. */
static bool check_nesting_order(Build *b)
{
  const MalScopeSet *set = b->plan->scopes;
  for (size_t i = 0; i < mal_scope_set_size(set); i++)
    for (size_t k = 0; k < i; k++) {
      const MalScope *x = mal_scope_set_at(set, i), *y = mal_scope_set_at(set, k);
      if (!mal_scope_nests(set, x, y) || !mal_scope_nests(set, y, x))
        continue;
      g_autofree char *other = mal_conf_place(nth(b, "scope", k), "nests-inside");
      return fail(b, nth(b, "scope", i), "nests-inside",
                  "scopes %s and %s would each lie inside the other; remove one of the statements "
                  "(the other one is %s)",
                  x->id, y->id, other);
    }
  return true;
}

/* The model says "scope ID: ..."; here we know where that stands. */
static bool fail_of_model(Build *b, const GError *why)
{
  for (size_t i = 0; i < mal_config_count(b->config, "scope"); i++) {
    const MalConfSection *s = nth(b, "scope", i);
    g_autofree char *prefix = g_strdup_printf("scope %s: ", mal_conf_name(s));
    if (g_str_has_prefix(why->message, prefix))
      return fail(b, s, NULL, "%s", why->message + strlen(prefix));
  }
  g_set_error(b->error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", mal_config_file(b->config),
              why->message);
  return false;
}

static bool build_scopes(Build *b)
{
  g_autoptr(GPtrArray) scopes = g_ptr_array_new_with_free_func((GDestroyNotify) mal_scope_free);
  for (size_t i = 0; i < mal_config_count(b->config, "scope"); i++) {
    MalScope *scope = g_new0(MalScope, 1);
    g_ptr_array_add(scopes, scope);
    if (!read_scope(b, nth(b, "scope", i), scope))
      return false;
  }
  if (!check_nesting_names(b))
    return false;
  g_autoptr(GError) why = NULL;
  b->plan->scopes = mal_scope_set_new(scopes, &why);
  return b->plan->scopes ? check_nesting_order(b) : fail_of_model(b, why);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static const MalScope *scope_of(Build *b, const MalConfSection *s)
{
  const char *name = mal_conf_string(s, "scope");
  return check_scope_name(b, s, "scope", name) ? mal_scope_set_find(b->plan->scopes, name) : NULL;
}

static bool check_in_scope(Build *b, const MalConfSection *s, const char *key, MalSpan span,
                           const MalScope *scope)
{
  if (mal_span_contains(scope->span, span))
    return true;
  char inner[MAL_SPAN_STRLEN], outer[MAL_SPAN_STRLEN];
  g_autofree char *other = mal_conf_place(nth(b, "scope", scope->index), NULL);
  return fail(b, s, key, "%s is not within %s of %s; change it, or name another scope",
              mal_span_format(span, inner), mal_span_format(scope->span, outer), other);
}

static bool fail_missing(Build *b, const MalConfSection *s, const char *key)
{
  return fail(b, s, NULL,
              "the key '%s' is missing: a range has first and last, or glop, or unicast-prefix",
              key);
}

static bool read_ends(Build *b, const MalConfSection *s, MalSpan *span)
{
  if (!mal_conf_given(s, "first"))
    return fail_missing(b, s, "first");
  if (!mal_conf_given(s, "last"))
    return fail_missing(b, s, "last");
  char first[MAL_ADDRESS_STRLEN], last[MAL_ADDRESS_STRLEN];
  *span = (MalSpan) { mal_conf_address(s, "first"), mal_conf_address(s, "last") };
  mal_address_format(span->first, first);
  mal_address_format(span->last, last);
  if (span->first.family != span->last.family)
    return fail(b, s, "last", "%s is not of the family of first, %s; change one of them", last,
                first);
  if (mal_address_compare(span->first, span->last) > 0)
    return fail(b, s, "last", "%s is below first, %s; swap the two", last, first);
  return true;
}

static bool check_derived_in_scope(Build *b, const MalConfSection *s, const char *key,
                                   const MalDerived *d, const MalScope *scope)
{
  if (mal_span_contains(scope->span, d->span))
    return true;
  char inner[MAL_SPAN_STRLEN], outer[MAL_SPAN_STRLEN];
  g_autofree char *other = mal_conf_place(nth(b, "scope", scope->index), NULL);
  return fail(b, s, key,
              "%s gives %s, which is not within %s of %s; let that scope hold it, or name another "
              "scope",
              d->from, mal_span_format(d->span, inner), mal_span_format(scope->span, outer), other);
}

static bool derive(Build *b, const MalConfSection *s, const char *key, const MalScope *scope,
                   MalStaticRange *range)
{
  g_autoptr(GError) why = NULL;
  MalDerived d;
  if (!(strcmp(key, "glop") == 0
            ? mal_derive_glop(mal_conf_integer(s, "glop"), &d, &why)
            : mal_derive_unicast(mal_conf_prefix(s, "unicast-prefix"), scope, &d, &why)))
    return fail(b, s, key, "%s", why->message);
  range->span = d.span;
  range->derived_from = g_strdup(d.from);
  return check_derived_in_scope(b, s, key, &d, scope);
}

static bool read_range_span(Build *b, const MalConfSection *s, const MalScope *scope,
                            MalStaticRange *range)
{
  bool prefix = mal_conf_given(s, "unicast-prefix");
  const char *key = prefix ? "unicast-prefix" : "glop";
  if (!prefix && !mal_conf_given(s, "glop"))
    return read_ends(b, s, &range->span) && check_in_scope(b, s, "first", range->span, scope);
  if (prefix && mal_conf_given(s, "glop"))
    return fail(b, s, key, "there is glop besides; give each a [range] of its own");
  for (const char *const *end = (const char *const[]){ "first", "last", NULL }; *end; end++)
    if (mal_conf_given(s, *end))
      return fail(b, s, *end, "the addresses of the range follow from %s; remove one of the two",
                  key);
  return derive(b, s, key, scope, range);
}

/* The allocator keeps one index for each 2^32 addresses of an IPv6 range. */
static bool check_extent(Build *b, const MalConfSection *s, MalSpan span)
{
  char text[MAL_SPAN_STRLEN];
  if ((span.last.value >> 32) - (span.first.value >> 32) < PREFIXES_MAX)
    return true;
  return fail(b, s, "last", "%s reaches over more than %u prefixes of length 96; make it shorter",
              mal_span_format(span, text), PREFIXES_MAX);
}

static gint compare_spans(gconstpointer a, gconstpointer b)
{
  return mal_address_compare(((const MalSpan *) a)->first, ((const MalSpan *) b)->first);
}

/* Sorts, and joins what overlaps. */
static void normalize(GArray *spans)
{
  g_array_sort(spans, compare_spans);
  for (guint i = 1; i < spans->len;) {
    MalSpan *before = &g_array_index(spans, MalSpan, i - 1), one = g_array_index(spans, MalSpan, i);
    if (!mal_span_overlaps(*before, one)) {
      i++;
      continue;
    }
    if (mal_address_compare(one.last, before->last) > 0)
      before->last = one.last;
    g_array_remove_index(spans, i);
  }
}

static bool read_excludes(Build *b, const MalConfSection *s, MalStaticRange *range)
{
  for (size_t i = 0; i < mal_conf_length(s, "exclude"); i++) {
    MalSpan span = mal_conf_span(s, "exclude", i);
    char inner[MAL_SPAN_STRLEN], outer[MAL_SPAN_STRLEN];
    if (!mal_span_contains(range->span, span))
      return fail(b, s, "exclude", "%s is not within the range, %s; correct or remove it",
                  mal_span_format(span, inner), mal_span_format(range->span, outer));
    g_array_append_val(range->excludes, span);
  }
  normalize(range->excludes);
  return true;
}

static bool check_apart(Build *b, size_t n)
{
  const MalStaticRange *range = b->plan->ranges->pdata[n];
  for (size_t i = 0; i < n; i++) {
    const MalStaticRange *other = b->plan->ranges->pdata[i];
    if (!mal_span_overlaps(range->span, other->span))
      continue;
    char mine[MAL_SPAN_STRLEN], theirs[MAL_SPAN_STRLEN];
    g_autofree char *place = mal_conf_place(nth(b, "range", i), NULL);
    return fail(b, nth(b, "range", n), NULL,
                "%s overlaps %s of %s; an address belongs to one range only",
                mal_span_format(range->span, mine), mal_span_format(other->span, theirs), place);
  }
  return true;
}

static MalStaticRange *range_new(const char *name)
{
  MalStaticRange *range = g_new0(MalStaticRange, 1);
  range->name = g_strdup(name);
  range->excludes = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  return range;
}

static bool build_range(Build *b, size_t n)
{
  const MalConfSection *s = nth(b, "range", n);
  MalStaticRange *range = range_new(mal_conf_name(s));
  g_ptr_array_add(b->plan->ranges, range);
  const MalScope *scope = scope_of(b, s);
  if (!scope || !read_range_span(b, s, scope, range))
    return false;
  if (!check_extent(b, s, range->span))
    return false;
  range->scope = scope->index;
  range->until = mal_conf_integer(s, "until");
  range->exported = mal_conf_bool(s, "export");
  return read_excludes(b, s, range) && check_apart(b, n);
}

/* ---- reserves -------------------------------------------------------------------------------- */

static bool check_reserved_once(Build *b, const MalConfSection *s, MalSpan span)
{
  for (guint i = 0; i < b->plan->reserves->len; i++) {
    const MalReserve *other = b->plan->reserves->pdata[i];
    for (guint k = 0; k < other->spans->len; k++) {
      MalSpan theirs = g_array_index(other->spans, MalSpan, k);
      char mine[MAL_SPAN_STRLEN], text[MAL_SPAN_STRLEN];
      if (!mal_span_overlaps(span, theirs))
        continue;
      g_autofree char *place = mal_conf_place(nth(b, "reserve", i), "addresses");
      return fail(b, s, "addresses", "%s overlaps %s of %s; reserve each address once",
                  mal_span_format(span, mine), mal_span_format(theirs, text), place);
    }
  }
  return true;
}

static bool build_reserve(Build *b, size_t n)
{
  const MalConfSection *s = nth(b, "reserve", n);
  MalReserve *reserve = g_new0(MalReserve, 1);
  reserve->name = g_strdup(mal_conf_name(s));
  reserve->comment = g_strdup(mal_conf_string(s, "comment"));
  reserve->spans = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  g_ptr_array_add(b->plan->reserves, reserve);
  const MalScope *scope = scope_of(b, s);
  if (!scope)
    return false;
  reserve->scope = scope->index;
  for (size_t i = 0; i < mal_conf_length(s, "addresses"); i++) {
    MalSpan span = mal_conf_span(s, "addresses", i);
    if (!check_in_scope(b, s, "addresses", span, scope) || !check_reserved_once(b, s, span))
      return false;
    g_array_append_val(reserve->spans, span);
  }
  return true;
}

/* ---- what is left to lease ------------------------------------------------------------------- */

#define FLOODED 256u          /* of every 2^23 IPv4 addresses: on the Ethernet, 224.0.0.x */
#define TOP_KEPT_FREE 256u    /* of every scope: RFC 2365 section 9, RFC 2730 2.10 */

/* Is any address of SPAN one that the allocator gives out? */
static bool any_usable(const MalScope *scope, MalSpan span)
{
  MalU128 first = span.first.value, last = span.last.value;
  MalU128 top = scope->span.last.value - (TOP_KEPT_FREE - 1);
  if (scope->span.last.value - scope->span.first.value < TOP_KEPT_FREE || first >= top)
    return false;
  last = MIN(last, top - 1);
  if (span.first.family == MAL_IPV4) {
    uint32_t low = (uint32_t) first & 0x7fffff;
    return first + (low < FLOODED ? FLOODED - low : 0) <= last;
  }
  uint32_t low = (uint32_t) first;
  if (low <= scope->group_id_first)
    return first + (scope->group_id_first - low) <= last;
  if (low <= scope->group_id_last)
    return true;
  MalU128 next = first + ((MalU128) 1 << 32) - low + scope->group_id_first;
  return next <= last;
}

/* The excludes of RANGE and the reserves in it, sorted and joined. */
static GArray *taken_of(const MalPlan *plan, const MalStaticRange *range)
{
  GArray *taken = g_array_copy(range->excludes);
  for (guint i = 0; i < plan->reserves->len; i++) {
    const MalReserve *r = plan->reserves->pdata[i];
    MalSpan part;
    for (guint k = 0; k < r->spans->len; k++)
      if (mal_span_intersect(range->span, g_array_index(r->spans, MalSpan, k), &part))
        g_array_append_val(taken, part);
  }
  normalize(taken);
  return taken;
}

static bool holds_something(const MalPlan *plan, const MalStaticRange *range, bool *any_left)
{
  const MalScope *scope = mal_scope_set_at(plan->scopes, range->scope);
  g_autoptr(GArray) taken = taken_of(plan, range);
  MalSpan left = range->span;
  for (guint i = 0; i < taken->len; i++) {
    MalSpan gap = left, cut = g_array_index(taken, MalSpan, i);
    if (mal_address_compare(left.first, cut.first) < 0 &&
        mal_address_sub(cut.first, 1, &gap.last)) {
      *any_left = true;
      if (any_usable(scope, gap))
        return true;
    }
    if (mal_address_compare(cut.last, range->span.last) >= 0 ||
        !mal_address_add(cut.last, 1, &left.first))
      return false;
  }
  *any_left = true;
  return any_usable(scope, left);
}

/* Nobody chooses where a derived range lies: only the scope around it can change. */
static bool fail_derived_useless(Build *b, const MalConfSection *s, const MalStaticRange *range,
                                 const char *scope_place)
{
  char text[MAL_SPAN_STRLEN];
  mal_span_format(range->span, text);
  if (((uint32_t) range->span.first.value & 0x7fffff) < FLOODED)
    return fail(b, s, NULL,
                "%s, which follows from %s, holds nothing to lease: on the Ethernet it is "
                "224.0.0.x, which switches flood; use other addresses",
                text, range->derived_from);
  unsigned block = (unsigned) (range->span.first.value >> 24);
  return fail(b, s, NULL,
              "%s, which follows from %s, holds nothing to lease: it is in the highest 256 "
              "addresses of %s, which are kept free (RFC 2365 section 9); let the scope reach "
              "further up: %u.0.0.0 to %u.255.255.255 suits every such range",
              text, range->derived_from, scope_place, block, block);
}

static bool check_useful(Build *b, size_t n)
{
  const MalStaticRange *range = b->plan->ranges->pdata[n];
  const MalConfSection *s = nth(b, "range", n);
  const MalScope *scope = mal_scope_set_at(b->plan->scopes, range->scope);
  bool any_left = false;
  char text[MAL_SPAN_STRLEN];
  if (holds_something(b->plan, range, &any_left))
    return true;
  mal_span_format(range->span, text);
  g_autofree char *other = mal_conf_place(nth(b, "scope", range->scope), NULL);
  if (!any_left)
    return fail(
        b, s, NULL,
        "%s holds nothing to lease: exclude and [reserve]s take all of it; remove the range, or "
        "some of them",
        text);
  if (range->span.first.family == MAL_IPV6)
    return fail(
        b, s, NULL,
        "%s holds nothing to lease: none of its group identifiers (the low 32 bits) is within "
        "%08x-%08x, or only the highest 256 addresses of the scope, which are kept free; choose "
        "others, or set group-ids in %s",
        text, scope->group_id_first, scope->group_id_last, other);
  if (range->derived_from)
    return fail_derived_useless(b, s, range, other);
  return fail(
      b, s, NULL,
      "%s holds nothing to lease: the highest 256 addresses of a scope (%s) are kept free, and "
      "those that end in 0.0.x or 128.0.x are flooded by switches; choose others",
      text, other);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool for_each(Build *b, const char *group, bool (*func)(Build *b, size_t n))
{
  for (size_t i = 0; i < mal_config_count(b->config, group); i++)
    if (!func(b, i))
      return false;
  return true;
}

static void range_free(void *p)
{
  MalStaticRange *range = p;
  g_free(range->name);
  g_free(range->derived_from);
  g_array_unref(range->excludes);
  g_free(range);
}

static void reserve_free(void *p)
{
  MalReserve *reserve = p;
  g_free(reserve->name);
  g_free(reserve->comment);
  g_array_unref(reserve->spans);
  g_free(reserve);
}

MalPlan *mal_plan_from_config(const MalConfig *config, GError **error)
{
  g_autoptr(MalPlan) plan = g_new0(MalPlan, 1);
  plan->ranges = g_ptr_array_new_with_free_func(range_free);
  plan->reserves = g_ptr_array_new_with_free_func(reserve_free);
  Build b = { config, plan, error };
  if (!build_scopes(&b) || !for_each(&b, "range", build_range) ||
      !for_each(&b, "reserve", build_reserve) || !for_each(&b, "range", check_useful))
    return NULL;
  return g_steal_pointer(&plan);
}

void mal_plan_free(MalPlan *plan)
{
  if (!plan)
    return;
  if (plan->scopes)
    mal_scope_set_unref(plan->scopes);
  g_ptr_array_unref(plan->ranges);
  g_ptr_array_unref(plan->reserves);
  g_free(plan);
}
