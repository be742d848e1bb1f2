/* Scopes as a set: checks, the transitive closure of nesting (RFC 2907 section 2), order and names
   (RFC 2730 3.10); and the small helpers for lease identifiers. */
#include "model.h"

#include <string.h>

#define SCOPE_TEXT_MAX 255 /* language tags and names have a length octet (RFC 2730 3.10) */
#define GROUP_ID_FIRST UINT32_C(0x80000000)
#define GROUP_ID_LAST UINT32_C(0x8fffffff)

struct MalScopeSet {
  gatomicrefcount refs;
  GPtrArray *scopes; /* MalScope *, owned */
  bool *nests;       /* size x size, row nests inside column */
};

void mal_scope_free(MalScope *scope)
{
  if (scope == NULL)
    return;
  for (size_t i = 0; i < scope->n_names; i++) {
    g_free(scope->names[i].language);
    g_free(scope->names[i].name);
  }
  g_free(scope->names);
  g_free(scope->id);
  g_free(scope->default_language);
  g_strfreev(scope->nests_inside);
  g_free(scope);
}

/* ---- checks ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static bool refuse(GError **error, const MalScope *scope,
                                                         const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "scope %s: %s", scope->id ? scope->id : "?",
              what);
  return false;
}

static bool id_is_valid(const char *id)
{
  if (id == NULL || *id == '\0')
    return false;
  for (const char *c = id; *c != '\0'; c++) {
    if (!g_ascii_isalnum(*c) && strchr("-_.", *c) == NULL)
      return false;
  }
  return true;
}

/* ff0x::db8:0:0/96 for any scope value x (RFC 6676 section 3). */
static bool is_documentation(MalSpan span)
{
  MalU128 first = span.first.value >> 32;
  MalU128 any_scope = (MalU128)0xf << 80;
  MalU128 prefix = (MalU128)0xff00 << 80 | 0xdb8;
  return first == span.last.value >> 32 && (first & ~any_scope) == prefix;
}

/* Each address has the T flag: the flags are the same at both ends, so they are in between. */
static bool is_transient(MalSpan span)
{
  unsigned first = (unsigned)(span.first.value >> 116);
  unsigned last = (unsigned)(span.last.value >> 116);
  return first == last && (first & 1) != 0;
}

static unsigned scope_value(MalAddress address)
{
  return (unsigned)(address.value >> 112) & 0xf;
}

static bool check_span(const MalScope *scope, GError **error)
{
  MalSpan span = scope->span;
  char text[MAL_ADDRESS_STRLEN];
  if (span.first.family != span.last.family || span.first.family == MAL_FAMILY_NONE)
    return refuse(error, scope, "first and last must be addresses of the same family");
  if (!mal_address_is_multicast(span.first))
    return refuse(error, scope, "first: %s is not a multicast address (224.0.0.0/4 or ff00::/8)",
                  mal_address_format(span.first, text));
  if (!mal_address_is_multicast(span.last))
    return refuse(error, scope, "last: %s is not a multicast address (224.0.0.0/4 or ff00::/8)",
                  mal_address_format(span.last, text));
  if (span.first.value > span.last.value)
    return refuse(error, scope, "last: %s is below first; swap the two",
                  mal_address_format(span.last, text));
  if (span.first.family == MAL_IPV6 && !is_transient(span) && !is_documentation(span))
    return refuse(error, scope,
                  "first: %s: addresses for allocation need the T flag (RFC 3307 4.3): "
                  "an odd flags digit, as in ff1x or ff3x, the same in first and last",
                  mal_address_format(span.first, text));
  if (span.first.family == MAL_IPV6 && scope_value(span.first) != scope_value(span.last))
    return refuse(error, scope,
                  "last: %s has another scope value than first (%x and %x, RFC 4291 2.7): give "
                  "each its own [scope]",
                  mal_address_format(span.last, text), scope_value(span.last),
                  scope_value(span.first));
  return true;
}

static bool check_names(const MalScope *scope, GError **error)
{
  for (size_t i = 0; i < scope->n_names; i++) {
    const MalScopeName *name = &scope->names[i];
    size_t tag = name->language ? strlen(name->language) : 0;
    size_t length = name->name ? strlen(name->name) : 0;
    if (tag == 0 || tag > SCOPE_TEXT_MAX)
      return refuse(error, scope, "name: a language tag has 1 to %d octets", SCOPE_TEXT_MAX);
    if (length == 0 || length > SCOPE_TEXT_MAX)
      return refuse(error, scope, "name[%s]: a name has 1 to %d octets", name->language,
                    SCOPE_TEXT_MAX);
    if (!g_utf8_validate(name->name, (gssize)length, NULL))
      return refuse(error, scope, "name[%s]: not UTF-8", name->language);
  }
  return true;
}

static bool check_scope(MalScope *scope, GError **error)
{
  if (!id_is_valid(scope->id))
    return refuse(error, scope, "a scope's name has letters, digits, '-', '_' and '.' only");
  if (!check_span(scope, error) || !check_names(scope, error))
    return false;
  if (scope->ttl < 1 || scope->ttl > 255)
    return refuse(error, scope, "ttl: %u is not in 1..255", scope->ttl);
  if (scope->span.first.family != MAL_IPV6)
    return true;
  if (scope->group_id_first == 0 && scope->group_id_last == 0) {
    scope->group_id_first = GROUP_ID_FIRST;
    scope->group_id_last = GROUP_ID_LAST;
  }
  if (scope->group_id_first > scope->group_id_last)
    return refuse(error, scope, "group ids: 0x%08x-0x%08x: the first is above the last",
                  scope->group_id_first, scope->group_id_last);
  return true;
}

/* ---- the set --------------------------------------------------------------------------------- */

static bool check_unique(const MalScopeSet *set, GError **error)
{
  for (size_t i = 0; i < set->scopes->len; i++) {
    const MalScope *a = mal_scope_set_at(set, i);
    for (size_t k = 0; k < i; k++) {
      const MalScope *b = mal_scope_set_at(set, k);
      char text[MAL_ADDRESS_STRLEN];
      if (strcmp(a->id, b->id) == 0)
        return refuse(error, a, "there are two scopes of this name; rename one");
      if (mal_address_equal(a->span.first, b->span.first))
        return refuse(error, a,
                      "first: %s is the first address of scope %s too; it identifies a scope "
                      "in MADCAP (RFC 2730 3.10), so it must differ",
                      mal_address_format(a->span.first, text), b->id);
    }
  }
  return true;
}

static void close_nesting(MalScopeSet *set)
{
  size_t n = set->scopes->len;
  for (size_t via = 0; via < n; via++) {
    for (size_t x = 0; x < n; x++) {
      if (!set->nests[x * n + via])
        continue;
      for (size_t y = 0; y < n; y++)
        set->nests[x * n + y] |= set->nests[via * n + y];
    }
  }
}

static bool read_nesting(MalScopeSet *set, GError **error)
{
  size_t n = set->scopes->len;
  set->nests = g_new0(bool, n *n);
  for (size_t i = 0; i < n; i++) {
    MalScope *scope = g_ptr_array_index(set->scopes, i);
    scope->index = (unsigned)i;
    set->nests[i * n + i] = true;
    for (char **id = scope->nests_inside; id != NULL && *id != NULL; id++) {
      const MalScope *outer = mal_scope_set_find(set, *id);
      if (outer == NULL)
        return refuse(error, scope,
                      "nests-inside: there is no scope %s; define it or remove the name", *id);
      for (size_t k = 0; k < n; k++) {
        if (mal_scope_set_at(set, k) == outer)
          set->nests[i * n + k] = true;
      }
    }
  }
  close_nesting(set);
  return true;
}

static void free_scope(gpointer scope)
{
  mal_scope_free(scope);
}

MalScopeSet *mal_scope_set_new(GPtrArray *scopes, GError **error)
{
  g_autoptr(MalScopeSet) set = g_new0(MalScopeSet, 1);
  g_atomic_ref_count_init(&set->refs);
  set->scopes = g_ptr_array_new_with_free_func(free_scope);
  for (size_t i = 0; i < scopes->len; i++)
    g_ptr_array_add(set->scopes, g_ptr_array_index(scopes, i));
  g_ptr_array_set_free_func(scopes, NULL); /* they belong to the set now, on failure too */
  g_ptr_array_set_size(scopes, 0);
  for (size_t i = 0; i < set->scopes->len; i++) {
    if (!check_scope(g_ptr_array_index(set->scopes, i), error))
      return NULL;
  }
  if (!check_unique(set, error) || !read_nesting(set, error))
    return NULL;
  return g_steal_pointer(&set);
}

MalScopeSet *mal_scope_set_ref(MalScopeSet *set)
{
  g_atomic_ref_count_inc(&set->refs);
  return set;
}

void mal_scope_set_unref(MalScopeSet *set)
{
  if (set == NULL || !g_atomic_ref_count_dec(&set->refs))
    return;
  g_ptr_array_unref(set->scopes);
  g_free(set->nests);
  g_free(set);
}

size_t mal_scope_set_size(const MalScopeSet *set)
{
  return set->scopes->len;
}

const MalScope *mal_scope_set_at(const MalScopeSet *set, size_t index)
{
  g_return_val_if_fail(index < set->scopes->len, NULL);
  return g_ptr_array_index(set->scopes, index);
}

const MalScope *mal_scope_set_find(const MalScopeSet *set, const char *id)
{
  for (size_t i = 0; i < set->scopes->len; i++) {
    const MalScope *scope = mal_scope_set_at(set, i);
    if (strcmp(scope->id, id) == 0)
      return scope;
  }
  return NULL;
}

const MalScope *mal_scope_set_find_first(const MalScopeSet *set, MalAddress first)
{
  for (size_t i = 0; i < set->scopes->len; i++) {
    const MalScope *scope = mal_scope_set_at(set, i);
    if (mal_address_equal(scope->span.first, first))
      return scope;
  }
  return NULL;
}

const MalScope *mal_scope_set_containing(const MalScopeSet *set, MalAddress address)
{
  const MalScope *best = NULL;
  for (size_t i = 0; i < set->scopes->len; i++) {
    const MalScope *scope = mal_scope_set_at(set, i);
    if (!mal_span_has(scope->span, address))
      continue;
    if (best == NULL || mal_span_size(scope->span) < mal_span_size(best->span))
      best = scope;
  }
  return best;
}

bool mal_scope_nests(const MalScopeSet *set, const MalScope *x, const MalScope *y)
{
  return set->nests[x->index * set->scopes->len + y->index];
}

/* Does a scope that isn't placed yet lie strictly inside SCOPE? Same borders don't count. */
static bool waits_for_smaller(const MalScopeSet *set, const MalScope *scope, const bool *placed)
{
  for (size_t i = 0; i < set->scopes->len; i++) {
    const MalScope *inner = mal_scope_set_at(set, i);
    if (!placed[i] && mal_scope_nests(set, inner, scope) && !mal_scope_nests(set, scope, inner))
      return true;
  }
  return false;
}

GPtrArray *mal_scope_set_ordered(const MalScopeSet *set, MalFamily family)
{
  GPtrArray *ordered = g_ptr_array_new();
  size_t n = set->scopes->len;
  g_autofree bool *placed = g_new0(bool, n);
  for (size_t left = n; left > 0; left--) {
    size_t next = 0;
    /* Strict nesting has no cycles, so there is always one that waits for nothing. */
    while (placed[next] || waits_for_smaller(set, mal_scope_set_at(set, next), placed))
      next++;
    placed[next] = true;
    const MalScope *scope = mal_scope_set_at(set, next);
    if (family == MAL_FAMILY_NONE || scope->span.first.family == family)
      g_ptr_array_add(ordered, (gpointer)scope);
  }
  return ordered;
}

static const MalScopeName *name_in(const MalScope *scope, const char *language)
{
  for (size_t i = 0; language != NULL && i < scope->n_names; i++) {
    if (g_ascii_strcasecmp(scope->names[i].language, language) == 0)
      return &scope->names[i];
  }
  return NULL;
}

const MalScopeName *mal_scope_name(const MalScope *scope, const char *language)
{
  const MalScopeName *name = name_in(scope, language);
  if (name == NULL)
    name = name_in(scope, scope->default_language);
  if (name == NULL && scope->n_names > 0)
    name = &scope->names[0];
  return name;
}

/* ---- leases ---------------------------------------------------------------------------------- */

bool mal_lease_id_equal(MalLeaseId a, MalLeaseId b)
{
  return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

char *mal_lease_id_to_hex(MalLeaseId id)
{
  static const char digits[] = "0123456789abcdef";
  char *hex = g_malloc(2 * id.length + 1);
  for (size_t i = 0; i < id.length; i++) {
    hex[2 * i] = digits[id.bytes[i] >> 4];
    hex[2 * i + 1] = digits[id.bytes[i] & 0xf];
  }
  hex[2 * id.length] = '\0';
  return hex;
}

size_t mal_lease_id_from_hex(const char *hex, uint8_t *out, GError **error)
{
  size_t digits = strlen(hex);
  if (digits == 0 || digits % 2 != 0 || digits / 2 > MAL_LEASE_ID_MAX) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                "a lease identifier is an even number of hex digits, 2 to %d, not %zu",
                2 * MAL_LEASE_ID_MAX, digits);
    return 0;
  }
  for (size_t i = 0; i < digits; i += 2) {
    int high = g_ascii_xdigit_value(hex[i]);
    int low = g_ascii_xdigit_value(hex[i + 1]);
    if (high < 0 || low < 0) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                  "a lease identifier is hex digits only; there is something else at place %zu",
                  i + 1);
      return 0;
    }
    out[i / 2] = (uint8_t)(high << 4 | low);
  }
  return digits / 2;
}

uint64_t mal_lease_addresses(const MalLease *lease)
{
  uint64_t sum = 0;
  for (size_t i = 0; i < lease->n_blocks; i++)
    sum += lease->blocks[i].count;
  return sum;
}
