/* A space, what its watchers were told, and an arbiter. */
#ifndef SPACE_BED_H
#define SPACE_BED_H

#include "core/space.h"

#include <criterion/criterion.h>
#include <string.h>

#define SCOPES                                                                                     \
  "[scope l]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"                              \
  "[scope big]\nfamily=ipv4\nfirst=239.0.0.0\nlast=239.255.255.254\n"
#define R(name, scope, first, last)                                                                \
  "[range " name "]\nscope=" scope "\nfirst=239." first "\nlast=239." last "\n"
#define LAB R("lab", "l", "255.1.0", "255.1.255")

typedef struct {
  MalSpace *space;
  GString *told; /* "+owned lab, ~available lab, ..." */
  GArray *asked; /* Asked */
  MalVerdict verdict;
  unsigned demands;
  unsigned watch;
} Bed;
typedef struct {
  uint64_t ticket;
  MalSpan span;
} Asked;

static inline void on_change(MalSpaceChange what, const MalRange *r, void *data)
{
  static const char signs[] = {
    [MAL_SPACE_ADDED] = '+', [MAL_SPACE_CHANGED] = '~', [MAL_SPACE_REMOVED] = '-',
    [MAL_SPACE_SPLIT] = '|'
  };
  g_string_append_printf(((Bed *)data)->told, "%c%s:%s ", signs[what],
                         r->level == MAL_LEVEL_OWNED ? "o" : "a", r->name);
}

static inline bool replan(Bed *b, const char *text, GError **error)
{
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config = mal_config_parse(schema, text, strlen(text), "t", error);
  g_autoptr(MalPlan) plan = config ? mal_plan_from_config(config, error) : NULL;
  mal_conf_schema_free(schema);
  cr_assert_not_null(plan, "%s", error && *error ? (*error)->message : "");
  return mal_space_replan(b->space, plan, error);
}

static inline void bed_init(Bed *b, const char *text)
{
  g_autoptr(GError) error = NULL;
  *b = (Bed){ .space = mal_space_new(),
              .told = g_string_new(NULL),
              .asked = g_array_new(FALSE, FALSE, sizeof(Asked)) };
  cr_assert(replan(b, text, &error));
  b->watch = mal_space_watch(b->space, on_change, b);
}

static inline void bed_clear(Bed *b)
{
  mal_space_free(b->space);
  g_string_free(b->told, TRUE);
  g_array_unref(b->asked);
}

static inline MalSpan span(const char *text)
{
  MalSpan s;
  cr_assert(mal_span_parse(text, &s, NULL), "%s", text);
  return s;
}

static inline MalAddress at(const char *text)
{
  return span(text).first;
}

#define must_have_told(b, text)                                                                    \
  do {                                                                                             \
    cr_assert_str_eq((b)->told->str, text);                                                        \
    g_string_truncate((b)->told, 0);                                                               \
  } while (0)

static inline MalVerdict arbiter(uint64_t ticket, const MalScope *scope, MalSpan s, MalTime until,
                                 void *data)
{
  Bed *b = data;
  (void)scope, (void)until;
  for (unsigned i = 0; b->verdict == MAL_VERDICT_LATER && i < b->asked->len; i++)
    cr_assert_not(mal_span_overlaps(g_array_index(b->asked, Asked, i).span, s));
  Asked a = { ticket, s };
  g_array_append_val(b->asked, a);
  return b->verdict;
}

static inline void on_demand(MalLevel level, const MalScope *scope, uint64_t count, MalTime until,
                             void *data)
{
  (void)level, (void)scope, (void)count, (void)until;
  ((Bed *)data)->demands++;
}

static inline const MalScope *scope_l(Bed *b)
{
  return mal_space_containing(b->space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"))->scope;
}

static inline MalU128 owned(Bed *b)
{
  MalU128 n = 0;
  g_autoptr(GPtrArray) all = mal_space_ranges(b->space, MAL_LEVEL_OWNED);
  for (unsigned i = 0; i < all->len; i++)
    n += mal_span_size(((const MalRange *)all->pdata[i])->span);
  return n;
}

#endif
