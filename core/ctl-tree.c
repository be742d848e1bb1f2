/* An answer that is a tree, drawn: {"tree": [{"text": ..., "branches": [...]}, ...]}. */
#include "ctl.h"

typedef struct {
  const char *branch, *last, *down, *blank;
} Lines;

static const Lines drawn = { "├─ ", "└─ ", "│  ", "   " };
static const Lines typed = { "|- ", "`- ", "|  ", "   " };

static void draw_list(const MalCtlTerm *term, const Lines *lines, json_object *list,
                      const char *before)
{
  size_t n = mal_ctl_length(list);
  for (size_t i = 0; i < n; i++) {
    json_object *node = json_object_array_get_idx(list, i);
    const char *text = mal_ctl_text(node, "text");
    g_autofree char *safe = mal_ctl_clean(term, text ? text : "?");
    bool last = i + 1 == n;
    fprintf(term->out, "%s%s%s\n", before, last ? lines->last : lines->branch, safe);
    g_autofree char *below = g_strconcat(before, last ? lines->blank : lines->down, NULL);
    draw_list(term, lines, mal_ctl_member(node, "branches"), below);
  }
}

void mal_ctl_tree_draw(const MalCtlTerm *term, json_object *result)
{
  json_object *list = mal_ctl_member(result, "tree");
  const Lines *lines = term->utf8 ? &drawn : &typed;
  for (size_t i = 0; i < mal_ctl_length(list); i++) {
    json_object *node = json_object_array_get_idx(list, i);
    const char *text = mal_ctl_text(node, "text");
    g_autofree char *safe = mal_ctl_clean(term, text ? text : "?");
    fprintf(term->out, "%s%s%s\n", term->colours ? "\033[1m" : "", safe,
            term->colours ? "\033[0m" : "");
    draw_list(term, lines, mal_ctl_member(node, "branches"), "");
  }
  if (json_object_get_boolean(mal_ctl_member(result, "truncated")))
    fputs("(there is more than is shown)\n", term->out);
}
