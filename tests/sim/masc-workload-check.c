/* No two siblings use the same addresses, and no child has what its parent has not. */
#include "masc-workload-real.h"
#include "plugins/masc/masc-holes.h"

/* Sorted; whatever meets the one before, or one that reaches further. */
static uint64_t rivals(GArray *routes)
{
  uint64_t n = 0;
  g_array_sort(routes, masc_prefix_compare);
  for (guint i = 1; i < routes->len; i++) {
    for (guint k = i; k-- > 0;) {
      MalPrefix a = g_array_index(routes, MalPrefix, k), b = g_array_index(routes, MalPrefix, i);
      if (masc_prefix_meets(a, b))
        n++;
      else if (a.length >= b.length)
        break;
    }
  }
  return n;
}

static uint64_t outside(const Node *child, const Node *parent)
{
  uint64_t n = 0;
  for (guint i = 0; i < child->routes->len; i++) {
    bool covered = false;
    for (guint k = 0; k < parent->routes->len && !covered; k++)
      covered = masc_prefix_covers(g_array_index(parent->routes, MalPrefix, k),
                                   g_array_index(child->routes, MalPrefix, i));
    n += !covered;
  }
  return n;
}

uint64_t real_overlaps(const Real *real)
{
  g_autoptr(GArray) tops = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  g_autofree GArray **below = g_new(GArray *, real->n_tlds);
  uint64_t n = 0;
  for (unsigned i = 0; i < real->n_tlds; i++)
    below[i] = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  for (unsigned i = 0; i < real->n_nodes; i++) {
    const Node *node = &real->nodes[i];
    g_array_append_vals(node->leaf ? below[node->tld] : tops, node->routes->data,
                        node->routes->len);
    n += node->leaf ? outside(node, &real->nodes[node->tld]) : 0;
  }
  n += rivals(tops);
  for (unsigned i = 0; i < real->n_tlds; i++) {
    n += rivals(below[i]);
    g_array_unref(below[i]);
  }
  return n;
}
