/* Delta debugging over a plan: what comes after the failure goes first, then whole kinds of items,
   then pieces of the list, each half as long as before, down to single items; then time. Again,
   until nothing more can go. */
#include "soak.h"

#include <string.h>

typedef struct {
  MalWorldPlan *best;
  MalWorldResult *result;
  char *words;                /* of the failure that is looked for */
  unsigned left, taken;
  FILE *progress;
} Shrink;

/* Up to the particulars, digits apart: seeds, times and identifiers differ from run to run. */
static char *words_of(const char *failure)
{
  GString *out = g_string_new(NULL);
  for (const char *p = failure; *p && *p != '('; p++)
    if (!g_ascii_isdigit(*p) && *p != '-')
      g_string_append_c(out, *p);
  return g_string_free(out, FALSE);
}

/* Keeps CANDIDATE, which it takes, where it fails in the same way. */
static bool try_it(Shrink *s, MalWorldPlan *candidate)
{
  MalWorldResult result = { 0 };
  bool better = false;
  if (s->left > 0) {
    s->left--;
    s->taken++;
    if (!mal_soak_try(candidate, &result)) {
      g_autofree char *words = words_of(result.failure);
      better = strcmp(words, s->words) == 0;
    }
  }
  if (!better) {
    mal_world_plan_free(candidate);
    return false;
  }
  mal_world_plan_free(s->best);
  s->best = candidate;
  *s->result = result;
  if (s->progress)
    fprintf(s->progress, "%4u runs: %u items, %.1f s of trouble, %" G_GUINT64_FORMAT " events\n",
            s->taken, mal_world_plan_live(candidate), (double)candidate->until / 1e6,
            result.events);
  return true;
}

static void settle_the_late(MalWorldPlan *plan)
{
  for (guint i = 0; i < plan->items->len; i++)
    if (mal_world_plan_item(plan, i)->at >= plan->until)
      mal_world_plan_item(plan, i)->off = true;
}

static bool drop_the_end(Shrink *s)
{
  int64_t ends = s->result->ended + 1;
  if (ends >= s->best->until)
    return false;
  MalWorldPlan *candidate = mal_world_plan_copy(s->best);
  candidate->until = ends;
  settle_the_late(candidate);
  return try_it(s, candidate);
}

static bool drop_kinds(Shrink *s)
{
  bool any = false;
  for (size_t kind = 0; kind < s->best->type->n_kinds; kind++) {
    MalWorldPlan *candidate = mal_world_plan_copy(s->best);
    bool changed = false;
    for (guint i = 0; i < candidate->items->len; i++) {
      MalWorldItem *item = mal_world_plan_item(candidate, i);
      changed |= item->kind == kind && !item->off;
      item->off |= item->kind == kind;
    }
    if (changed)
      any |= try_it(s, candidate);
    else
      mal_world_plan_free(candidate);
  }
  return any;
}

static GArray *live_items(const MalWorldPlan *plan)
{
  GArray *live = g_array_new(FALSE, FALSE, sizeof(guint));
  for (guint i = 0; i < plan->items->len; i++)
    if (!mal_world_plan_item(plan, i)->off)
      g_array_append_val(live, i);
  return live;
}

static bool drop_pieces(Shrink *s, guint length)
{
  g_autoptr(GArray) live = live_items(s->best);
  bool any = false;
  /* From the end: what comes last matters least to the rest. */
  for (guint end = live->len; end > 0 && s->left > 0; end -= MIN(end, length)) {
    MalWorldPlan *candidate = mal_world_plan_copy(s->best);
    for (guint i = end - MIN(end, length); i < end; i++)
      mal_world_plan_item(candidate, g_array_index(live, guint, i))->off = true;
    any |= try_it(s, candidate);
  }
  return any;
}

static bool drop_items(Shrink *s)
{
  g_autoptr(GArray) live = live_items(s->best);
  bool any = false;
  for (guint length = MAX(1, live->len / 2); s->left > 0; length = MAX(1, length / 2)) {
    bool less = drop_pieces(s, length);
    any |= less;
    if (length == 1 && !less)
      break;
  }
  return any;
}

static bool halve_time(Shrink *s)
{
  bool any = false;
  for (int64_t less = s->best->until / 2; less > MAL_US && s->left > 0; less /= 2) {
    MalWorldPlan *candidate = mal_world_plan_copy(s->best);
    candidate->until -= less;
    settle_the_late(candidate);
    any |= try_it(s, candidate);
  }
  return any;
}

unsigned mal_soak_shrink(MalWorldPlan *plan, MalWorldResult *result, unsigned runs, FILE *progress)
{
  Shrink s = { .best = mal_world_plan_copy(plan), .result = result, .left = runs,
               .words = words_of(result->failure), .progress = progress };
  s.best->quiet = true;
  settle_the_late(s.best);
  for (bool less = true; less && s.left > 0;) {
    less = drop_the_end(&s);
    less |= drop_kinds(&s);
    less |= drop_items(&s);
    less |= halve_time(&s);
  }
  GArray *items = plan->items;
  plan->items = g_steal_pointer(&s.best->items);
  plan->until = s.best->until;
  s.best->items = items;
  mal_world_plan_free(s.best);
  g_free(s.words);
  return s.taken;
}
