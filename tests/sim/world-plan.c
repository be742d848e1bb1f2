#include "world-plan.h"

#include <string.h>

/* ---- random numbers (splitmix64) ------------------------------------------------------------- */

uint64_t mal_world_random(MalWorldRandom *r)
{
  uint64_t x = r->state += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t mal_world_between(MalWorldRandom *r, uint64_t low, uint64_t high)
{
  if (low >= high)
    return low;
  return low + (uint64_t)(((MalU128)mal_world_random(r) * (high - low + 1)) >> 64);
}

bool mal_world_chance(MalWorldRandom *r, unsigned percent)
{
  return mal_world_between(r, 0, 99) < percent;
}

/* ---- plans ----------------------------------------------------------------------------------- */

static MalWorldSize size_of(MalWorldRandom *r)
{
  uint64_t dice = mal_world_between(r, 0, 999);
  return dice < 800   ? MAL_WORLD_SMALL
         : dice < 980 ? MAL_WORLD_MEDIUM
         : dice < 999 ? MAL_WORLD_LARGE
                      : MAL_WORLD_HUGE;
}

static int item_order(gconstpointer a, gconstpointer b)
{
  const MalWorldItem *x = a, *y = b;
  return x->at < y->at ? -1 : x->at > y->at;
}

MalWorldPlan *mal_world_plan_new(const MalWorldType *type, uint64_t seed, int size)
{
  MalWorldPlan *plan = g_new0(MalWorldPlan, 1);
  MalWorldRandom r = { seed * 0xd1342543de82ef95u + 1 };
  g_assert(type->n_kinds <= MAL_WORLD_KINDS && type->n_counts <= MAL_WORLD_COUNTS);
  plan->type = type;
  plan->seed = seed;
  plan->items = g_array_new(FALSE, FALSE, sizeof(MalWorldItem));
  plan->size = size_of(&r);
  if (size != MAL_WORLD_ANY_SIZE)
    plan->size = (MalWorldSize)size;
  type->draw(plan, &r);
  /* Stable: what begins at one time stays in the order of drawing. */
  g_array_sort(plan->items, item_order);
  return plan;
}

MalWorldPlan *mal_world_plan_copy(const MalWorldPlan *plan)
{
  MalWorldPlan *copy = g_memdup2(plan, sizeof *plan);
  copy->items = g_array_copy(plan->items);
  return copy;
}

void mal_world_plan_free(MalWorldPlan *plan)
{
  if (!plan)
    return;
  g_array_unref(plan->items);
  g_free(plan);
}

MalWorldItem *mal_world_plan_add(MalWorldPlan *plan, MalWorldRandom *r, unsigned kind, int64_t at)
{
  MalWorldItem item = { .kind = kind, .at = at, .seed = mal_world_random(r) };
  g_array_append_val(plan->items, item);
  return mal_world_plan_item(plan, plan->items->len - 1);
}

static bool is_live(const MalWorldPlan *plan, guint n)
{
  const MalWorldItem *item = mal_world_plan_item(plan, n);
  return !item->off && item->at < plan->until;
}

guint mal_world_plan_live(const MalWorldPlan *plan)
{
  guint live = 0;
  for (guint i = 0; i < plan->items->len; i++)
    live += is_live(plan, i);
  return live;
}

/* Whether it is off or too late, it doesn't happen: runs may bridge those that are too late. */
char *mal_world_plan_mask(const MalWorldPlan *plan)
{
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < plan->items->len; i++) {
    guint last = i;
    if (!mal_world_plan_item(plan, i)->off)
      continue;
    while (last + 1 < plan->items->len && mal_world_plan_item(plan, last + 1)->off)
      last++;
    g_string_append_printf(text, "%s%u", text->len ? "," : "", i);
    if (last > i)
      g_string_append_printf(text, "-%u", last);
    i = last;
  }
  return g_string_free(text, FALSE);
}

bool mal_world_plan_set_mask(MalWorldPlan *plan, const char *mask, GError **error)
{
  for (guint i = 0; i < plan->items->len; i++)
    mal_world_plan_item(plan, i)->off = false;
  for (const char *p = mask; *p;) {
    char *end;
    guint64 first = g_ascii_strtoull(p, &end, 10), last = first;
    bool ok = end > p;
    if (ok && *end == '-') {
      p = end + 1;
      last = g_ascii_strtoull(p, &end, 10);
      ok = end > p;
    }
    if (!ok || (*end && *end != ',') || last < first || last >= plan->items->len) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                  "\"%s\": expected items such as 3-17,20, below %u", mask, plan->items->len);
      return false;
    }
    for (guint64 i = first; i <= last; i++)
      mal_world_plan_item(plan, (guint)i)->off = true;
    p = *end ? end + 1 : end;
  }
  return true;
}

void mal_world_plan_print(const MalWorldPlan *plan, FILE *out)
{
  static const char *const sizes[] = { "small", "medium", "large", "huge" };
  fprintf(out, "seed %" G_GUINT64_FORMAT ", %s, trouble for %.3f s, settings", plan->seed,
          sizes[plan->size], (double)plan->until / 1e6);
  for (size_t i = 0; i < MAL_WORLD_SETTINGS; i++)
    fprintf(out, " %" G_GINT64_FORMAT, plan->settings[i]);
  fprintf(out, ", %u of %u items:\n", mal_world_plan_live(plan), plan->items->len);
  for (guint i = 0; i < plan->items->len; i++) {
    const MalWorldItem *item = mal_world_plan_item(plan, i);
    if (is_live(plan, i))
      fprintf(out, "  %4u  %10.3f s  %s %" G_GUINT64_FORMAT " (%" G_GUINT64_FORMAT
                   ", %" G_GUINT64_FORMAT ")\n",
              i, (double)item->at / 1e6, plan->type->kinds[item->kind], item->who, item->a,
              item->b);
  }
}

/* ---- results --------------------------------------------------------------------------------- */

void mal_world_result_add(MalWorldResult *sum, const MalWorldResult *one)
{
  sum->events += one->events;
  sum->ended += one->ended;
  for (size_t i = 0; i < MAL_WORLD_KINDS; i++)
    sum->happened[i] += one->happened[i];
  for (size_t i = 0; i < MAL_WORLD_COUNTS; i++)
    sum->counts[i] += one->counts[i];
}

static void print_table(const char *const *names, size_t n, const uint64_t *values, FILE *out)
{
  for (size_t i = 0; i < n; i++)
    fprintf(out, "%s %12" G_GUINT64_FORMAT " %-30s%s", values[i] ? " " : "!", values[i], names[i],
            i % 2 || i + 1 == n ? "\n" : "");
}

void mal_world_result_print(const MalWorldType *type, const MalWorldResult *sum, FILE *out)
{
  fprintf(out, "what befell the worlds (! never happened):\n");
  print_table(type->kinds, type->n_kinds, sum->happened, out);
  fprintf(out, "what was seen in them:\n");
  print_table(type->counts, type->n_counts, sum->counts, out);
}

const char *mal_world_result_missing(const MalWorldType *type, const MalWorldResult *sum)
{
  for (size_t i = 0; i < type->n_kinds; i++)
    if (sum->happened[i] == 0)
      return type->kinds[i];
  for (size_t i = 0; i < type->n_counts; i++)
    if (sum->counts[i] == 0)
      return type->counts[i];
  return NULL;
}
