/* masc.tree: the hierarchy as it is known here. Scopes, in them parents, in each of these siblings
   and this domain with their prefixes, in ours what is local and what children have. An answer
   with "tree" is drawn by mallocctl: nodes have a "text" and "branches". */
#include "masc-methods.h"

#include <string.h>

#define ENTRIES_MOST 4096

typedef struct {
  const MascArea *area;
  GArray *entries; /* MascEntry */
  bool more;
  json_object *root, *ours; /* OURS: what lies in nothing that we have is below */
  GHashTable *domains; /* "parent/domain" -> json_object, borrowed */
  GArray *held;        /* Held */
} Tree;

typedef struct {
  MalPrefix prefix;
  json_object *node;
} Held;

static void collect(const MascEntry *entry, void *data)
{
  Tree *tree = data;
  if (tree->entries->len == ENTRIES_MOST)
    tree->more = true;
  else
    g_array_append_val(tree->entries, *entry);
}

static json_object *new_node(char *text)
{
  json_object *node = json_object_new_object();
  json_object_object_add(node, "text", masc_json_text(text));
  g_free(text);
  return node;
}

static json_object *grow(json_object *node, json_object *branch)
{
  json_object *list;
  if (!json_object_object_get_ex(node, "branches", &list)) {
    list = json_object_new_array();
    json_object_object_add(node, "branches", list);
  }
  json_object_array_add(list, branch);
  return branch;
}

/* ---- domains --------------------------------------------------------------------------------- */

/* "upstream: Established" of all sessions with DOMAIN. */
static char *sessions_text(const Tree *tree, MascId domain)
{
  const Masc *masc = tree->area->masc;
  GString *out = g_string_new(NULL);
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++) {
    const MascPeering *peer = masc->peers[i];
    if (peer == NULL || peer->settings->domain != domain || !masc_area_shares(tree->area, peer))
      continue;
    g_string_append_printf(out, "; %s: %s", peer->settings->name,
                           masc_state_name(masc_session_state(peer->session)));
  }
  return g_string_free(out, FALSE);
}

static json_object *domain_node(Tree *tree, json_object *under, MascId parent, MascId domain,
                                const char *role)
{
  char a[MAL_ADDRESS_STRLEN], b[MAL_ADDRESS_STRLEN];
  g_autofree char *key =
      g_strdup_printf("%s/%s/%s", masc_id_format(parent, a), masc_id_format(domain, b), role);
  json_object *node = g_hash_table_lookup(tree->domains, key);
  if (node != NULL)
    return node;
  g_autofree char *sessions = sessions_text(tree, domain);
  node = grow(under, new_node(g_strdup_printf("domain %s (%s%s)", b, role, sessions)));
  json_object_object_add(node, "domain", masc_json_id(domain));
  json_object_object_add(node, "role", masc_json_text(role));
  g_hash_table_insert(tree->domains, g_steal_pointer(&key), node);
  return node;
}

/* A parent's node, or the scope itself among top-level domains. */
static json_object *parent_node(Tree *tree, MascId parent)
{
  return parent == 0 ? tree->root : domain_node(tree, tree->root, 0, parent, "parent");
}

static json_object *our_node(Tree *tree, MascId parent)
{
  return domain_node(tree, parent_node(tree, parent), parent, tree->area->masc->settings->domain,
                     "this domain");
}

/* ---- prefixes -------------------------------------------------------------------------------- */

static const char *word_of(const MascEntry *entry)
{
  switch (entry->kind) {
  case MASC_ENTRY_PENDING:
  case MASC_ENTRY_PENDING_LOCAL: return "claimed";
  case MASC_ENTRY_LOCAL: return "for our own servers";
  case MASC_ENTRY_SIBLING:
  case MASC_ENTRY_CHILD: return entry->claim.type == MASC_PREFIX_IN_USE ? "in use" : "claimed";
  default: return NULL;
  }
}

static json_object *prefix_node(json_object *under, const MascEntry *entry)
{
  char prefix[MAL_SPAN_STRLEN], until[MAL_TIME_STRLEN];
  const char *word = word_of(entry);
  bool pending = entry->kind == MASC_ENTRY_PENDING || entry->kind == MASC_ENTRY_PENDING_LOCAL;
  char *text =
      g_strdup_printf("%s%s%s, until %s%s%s%s%s", masc_prefix_format(entry->claim.prefix, prefix),
                      word != NULL ? ", " : "", word != NULL ? word : "",
                      mal_time_format(pending ? entry->due : entry->until, until),
                      entry->claim.deprecated ? ", deprecated" : "", entry->clash ? ", CLASH" : "",
                      entry->rival != 0 ? ", used by another domain, too" : "",
                      entry->draining ? ", draining" : "");
  json_object *node = grow(under, new_node(text));
  json_object_object_add(node, "prefix", masc_json_prefix(entry->claim.prefix));
  json_object_object_add(node, "until", entry->until > 0 ? mal_json_time(entry->until) : NULL);
  return node;
}

/* Where what lies in our own space is shown. */
static json_object *lower_node(Tree *tree, MalPrefix prefix)
{
  MalSpan span = mal_span_of_prefix(prefix);
  for (guint i = 0; i < tree->held->len; i++) {
    const Held *held = &g_array_index(tree->held, Held, i);
    if (mal_span_contains(mal_span_of_prefix(held->prefix), span))
      return held->node;
  }
  return tree->ours;
}

static void add_upper(Tree *tree, const MascEntry *entry)
{
  switch (entry->kind) {
  case MASC_ENTRY_SIBLING:
    prefix_node(domain_node(tree, parent_node(tree, entry->parent), entry->parent,
                            entry->claim.domain, "sibling"),
                entry);
    break;
  case MASC_ENTRY_HELD: {
    Held held = { entry->claim.prefix, prefix_node(our_node(tree, entry->parent), entry) };
    g_array_append_val(tree->held, held);
    break;
  }
  case MASC_ENTRY_PENDING: prefix_node(our_node(tree, entry->parent), entry); break;
  default: break;
  }
}

/* A child has a node in each prefix of ours that it has something of. */
static void add_child(Tree *tree, const MascEntry *entry)
{
  char domain[MAL_ADDRESS_STRLEN];
  json_object *node = lower_node(tree, entry->claim.prefix);
  g_autofree char *key =
      g_strdup_printf("%p/%s", (void *)node, masc_id_format(entry->claim.domain, domain));
  json_object *child = g_hash_table_lookup(tree->domains, key);
  if (child == NULL) {
    g_autofree char *sessions = sessions_text(tree, entry->claim.domain);
    child = grow(node, new_node(g_strdup_printf("domain %s (child%s)", domain, sessions)));
    json_object_object_add(child, "domain", masc_json_id(entry->claim.domain));
    json_object_object_add(child, "role", masc_json_text("child"));
    g_hash_table_insert(tree->domains, g_steal_pointer(&key), child);
  }
  prefix_node(child, entry);
}

static void add_lower(Tree *tree, const MascEntry *entry)
{
  if (entry->kind == MASC_ENTRY_LOCAL || entry->kind == MASC_ENTRY_PENDING_LOCAL)
    prefix_node(lower_node(tree, entry->claim.prefix), entry);
  else if (entry->kind == MASC_ENTRY_CHILD && !masc_claim_is_hint(&entry->claim))
    add_child(tree, entry);
}

/* A parent's own prefixes stand before the domains below it. */
static void add_parents(Tree *tree)
{
  for (guint i = 0; i < tree->entries->len; i++) {
    const MascEntry *entry = &g_array_index(tree->entries, MascEntry, i);
    if (entry->kind == MASC_ENTRY_PARENT)
      prefix_node(parent_node(tree, entry->claim.domain), entry);
  }
}

/* Domains of peers that have nothing yet. */
static void add_peers(Tree *tree)
{
  const Masc *masc = tree->area->masc;
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++) {
    const MascPeering *peer = masc->peers[i];
    if (peer == NULL || !masc_area_shares(tree->area, peer))
      continue;
    const MascPeerSettings *s = peer->settings;
    if (s->role == MASC_CHILD)
      parent_node(tree, s->domain);
    else if (s->role == MASC_SIBLING)
      domain_node(tree, parent_node(tree, s->parent), s->parent, s->domain, "sibling");
  }
}

static bool has_entry(const Tree *tree, MascId domain)
{
  for (guint i = 0; i < tree->entries->len; i++) {
    const MascEntry *entry = &g_array_index(tree->entries, MascEntry, i);
    if (entry->kind == MASC_ENTRY_CHILD && entry->claim.domain == domain &&
        !masc_claim_is_hint(&entry->claim))
      return true;
  }
  return false;
}

static void add_idle_children(Tree *tree)
{
  const Masc *masc = tree->area->masc;
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++) {
    const MascPeering *peer = masc->peers[i];
    if (peer != NULL && masc_area_shares(tree->area, peer) && peer->settings->role == MASC_PARENT &&
        !has_entry(tree, peer->settings->domain))
      domain_node(tree, tree->ours, masc->settings->domain, peer->settings->domain, "child");
  }
}

/* Without anything of ours: under our first parent. */
static json_object *some_node(Tree *tree)
{
  const MascArea *area = tree->area;
  for (guint i = 0; i < tree->entries->len; i++) {
    const MascEntry *entry = &g_array_index(tree->entries, MascEntry, i);
    if (entry->kind == MASC_ENTRY_HELD || entry->kind == MASC_ENTRY_PENDING)
      return our_node(tree, entry->parent);
  }
  return our_node(tree, masc_settings_parent_in(area->masc->settings, area->place));
}

json_object *masc_tree_of(const MascArea *area, bool *more)
{
  char span[MAL_SPAN_STRLEN];
  Tree tree = {
    .area = area,
    .entries = g_array_new(FALSE, FALSE, sizeof(MascEntry)),
    .root =
        new_node(g_strdup_printf("scope %s, %s", area->scope, mal_span_format(area->span, span))),
    .domains = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
    .held = g_array_new(FALSE, FALSE, sizeof(Held)),
  };
  json_object_object_add(tree.root, "scope", masc_json_text(area->scope));
  masc_zone_each_left(area->zone, area->masc->now, collect, &tree);
  add_parents(&tree);
  add_peers(&tree);
  tree.ours = some_node(&tree);
  for (guint i = 0; i < tree.entries->len; i++)
    add_upper(&tree, &g_array_index(tree.entries, MascEntry, i));
  for (guint i = 0; i < tree.entries->len; i++)
    add_lower(&tree, &g_array_index(tree.entries, MascEntry, i));
  add_idle_children(&tree);
  *more |= tree.more;
  g_array_unref(tree.entries);
  g_hash_table_unref(tree.domains);
  g_array_unref(tree.held);
  return tree.root;
}

void masc_show_tree(MalCall *call, json_object *params, void *user)
{
  Masc *masc = user;
  MascArea *only;
  bool more = false;
  masc_step(masc);
  if (!masc_check_scope(masc, call, params, &only))
    return;
  json_object *out = json_object_new_object(), *list = json_object_new_array();
  for (guint i = 0; i < masc->areas->len; i++)
    if (only == NULL || only == masc_area_at(masc, i))
      json_object_array_add(list, masc_tree_of(masc_area_at(masc, i), &more));
  json_object_object_add(out, "tree", list);
  json_object_object_add(out, "truncated", json_object_new_boolean(more));
  mal_call_reply(call, out);
}
