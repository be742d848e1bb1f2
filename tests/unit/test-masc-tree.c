/* masc.tree: the hierarchy as it is known here (RFC 2909 12.6), as it is drawn. */
#include "plugins/masc/masc-methods.h"
#include "tests/unit/masc-daemons.h"
#include "tests/unit/masc-own-ask.h"

/* ---- a scope of a plugin's, around the zone of node 0 ---------------------------------------- */

typedef struct {
  Masc masc;
  MascArea area;
  MascSettings settings;
  unsigned n;
} Plugin;

static Plugin *plugin_new(OwnBed *own)
{
  Plugin *p = g_new0(Plugin, 1);

  p->settings.domain = 2;
  p->settings.peers = g_ptr_array_new_with_free_func(g_free);
  p->settings.far_parents = g_array_new(FALSE, FALSE, sizeof(MascFarParent));
  p->masc.settings = &p->settings;
  p->masc.now = now_of(own);
  p->area = (MascArea){ .masc = &p->masc, .scope = (char *)"global", .zone = zone_of(own) };
  p->area.span = masc_bed_span(MASC_BED_SCOPE);
  return p;
}

static void plugin_free(Plugin *p)
{
  for (unsigned i = 0; i < p->n; i++) {
    masc_session_free(p->masc.peers[i]->session);
    g_free(p->masc.peers[i]);
  }
  g_ptr_array_unref(p->settings.peers);
  g_array_unref(p->settings.far_parents);
  g_free(p);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plugin, plugin_free)

static MascPeerSettings *add_peer(Plugin *p, const char *name, MascRole we_are, MascId domain)
{
  MascPeerSettings *settings = g_new0(MascPeerSettings, 1);
  MascPeering *peer = g_new0(MascPeering, 1);
  static const MascSessionOps ops;
  MascSessionConfig config = { .family = MAL_IPV4 };

  masc_session_config_init(&config);
  *settings = (MascPeerSettings){
    .name = (char *)(uintptr_t)name, .role = we_are, .domain = domain, .scopes = 1
  };
  g_ptr_array_add(p->settings.peers, settings);
  peer->settings = settings;
  peer->session = masc_session_new(&config, &ops, peer);
  p->masc.peers[p->n++] = peer;
  return settings;
}

/* A line for each node, indented. */
static void draw(json_object *node, unsigned depth, GString *out)
{
  json_object *branches;

  g_string_append_printf(out, "%*s%s\n", 2 * (int)depth, "",
                         json_object_get_string(masc_at(node, "text")));
  if (json_object_object_get_ex(node, "branches", &branches))
    for (size_t i = 0; i < json_object_array_length(branches); i++)
      draw(json_object_array_get_idx(branches, i), depth + 1, out);
}

static void expect_tree(const Plugin *p, const char *want)
{
  bool more = false;
  json_object *tree = masc_tree_of(&p->area, &more);
  g_autoptr(GString) is = g_string_new(NULL);

  draw(tree, 0, is);
  json_object_put(tree);
  cr_expect_str_eq(is->str, want, "\n%s\nnot\n%s", is->str, want);
  cr_expect_not(more);
}

#define SCOPE_LINE "scope global, 233.252.0.0-233.252.255.255\n"
#define PARENT_LINES                                                                               \
  SCOPE_LINE "  domain 1 (parent)\n    233.252.0.0/17, until 2000-07-31T00:16:40Z\n"

/* ---- who has something ----------------------------------------------------------------------- */

/* What each kind of entry looks like, and where it stands: claims before what is in use. */
Test(masc_tree, s12_6_a_parent_its_siblings_and_we)
{
  g_autoptr(OwnBed) own = holder();
  g_autoptr(Plugin) p = plugin_new(own);
  MascPend *pend = add_pend(own, "233.252.8.0/24", MASC_PEND_CLAIMING);

  pend->due = masc_own_after(now_of(own), 500);
  add_pend(own, "233.252.4.0/25", MASC_PEND_CLAIMING)->lower = true;
  add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, "233.252.16.0/24", 0);
  add_record(own, MASC_NEW_CLAIM, MASC_SIBLING, 3, "233.252.17.0/24", 0);
  add_record(own, MASC_PREFIX_IN_USE, MASC_CHILD, 5, "233.252.4.128/26", 0);
  add_record(own, MASC_PREFIX_IN_USE, MASC_CHILD, 5, "233.252.4.192/26", 0);
  add_record(own, MASC_NEW_CLAIM, MASC_CHILD, 6, "233.252.4.64/26", 0)->claim.deprecated = true;
  add_record(own, MASC_CLAIM_DENIED, MASC_PARENT, 1, "233.252.20.0/24", 0);
  expect_tree(p, PARENT_LINES
              "    domain 2 (this domain)\n"
              "      233.252.4.0/24, until 2000-07-31T00:16:40Z\n"
              "        233.252.4.0/25, claimed, until never\n"
              "        domain 6 (child)\n"
              "          233.252.4.64/26, claimed, until 2000-07-31T00:35:20Z, deprecated\n"
              "        domain 5 (child)\n"
              "          233.252.4.128/26, in use, until 2000-07-31T00:35:20Z\n"
              "          233.252.4.192/26, in use, until 2000-07-31T00:35:20Z\n"
              "      233.252.8.0/24, claimed, until 2000-07-01T00:43:40Z\n"
              "    domain 3 (sibling)\n"
              "      233.252.17.0/24, claimed, until 2000-07-31T00:35:20Z\n"
              "      233.252.16.0/24, in use, until 2000-07-31T00:35:20Z\n");
}

/* Ours in its corners: for our own servers, given up, not to be used because of a clash. */
Test(masc_tree, s4_3_12_2_12_4_what_is_the_matter_with_ours)
{
  g_autoptr(OwnBed) own = holder();
  g_autoptr(Plugin) p = plugin_new(own);
  MascClash clash = { .prefix = masc_bed_prefix(HELD), .domain = 3, .withheld = true };
  MascHeld local = *held_of(own);

  local.prefix = masc_bed_prefix("233.252.4.64/26");
  held_of(own)->claim.deprecated = true;
  g_array_append_val(owns_of(own)->clashes, clash);
  g_array_append_val(owns_of(own)->held[MASC_LOWER], local);
  expect_tree(p, PARENT_LINES
              "    domain 2 (this domain)\n"
              "      233.252.4.0/24, until 2000-07-31T00:16:40Z, deprecated, CLASH, draining\n"
              "        233.252.4.64/26, for our own servers, until 2000-07-31T00:16:40Z\n");
}

/* 12.4: kept by hand, where the other domain goes on, too; of our own space and of that prefix. */
Test(masc_tree, s12_4_what_another_domain_uses_too)
{
  static const struct {
    const char *prefix;
    bool lower, withheld, shown;
  } rows[] = {
    { HELD, false, false, true },
    { "233.252.4.64/26", false, false, true },
    { HELD, true, false, false },
    { HELD, false, true, false },
    { "233.252.5.0/24", false, false, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    g_autoptr(Plugin) p = plugin_new(own);
    MascClash clash = { .prefix = masc_bed_prefix(rows[i].prefix), .lower = rows[i].lower,
                        .domain = 3, .withheld = rows[i].withheld, .keep = true };
    bool more = false;
    g_array_append_val(owns_of(own)->clashes, clash);
    json_object *tree = masc_tree_of(&p->area, &more);
    const char *text = json_object_to_json_string(tree);
    cr_expect_eq(strstr(text, "used by another domain, too") != NULL, rows[i].shown, "row %zu: %s",
                 i, text);
    json_object_put(tree);
  }
}

typedef struct {
  unsigned n;
  MalTime until; /* the longest of a sibling's under parent 1 */
} Shown;

static void count_shown(const MascEntry *entry, void *data)
{
  Shown *shown = data;

  if (!masc_prefix_equal(entry->claim.prefix, masc_bed_prefix(HELD)))
    return;
  shown->n++;
  if (entry->kind == MASC_ENTRY_SIBLING && entry->claim.domain == 3 && entry->parent == 1)
    shown->until = entry->until;
}

/* Once, until the latest of what was said, however often and in whatever order. */
Test(masc_tree, s12_6_what_was_said_more_than_once)
{
  static const struct {
    const char *why;
    MascClaimType type;
    MascRole role;
    MascId domain, parent;
    int32_t later;
    unsigned n;
    int64_t longer;
  } rows[] = {
    { "newer", MASC_PREFIX_IN_USE, MASC_SIBLING, 3, 1, 50, 1, 50 },
    { "older", MASC_PREFIX_IN_USE, MASC_SIBLING, 3, 1, -50, 1, 0 },
    { "of another parent's space", MASC_PREFIX_IN_USE, MASC_SIBLING, 3, 7, 0, 2, 0 },
    { "another domain's", MASC_PREFIX_IN_USE, MASC_SIBLING, 4, 1, 0, 2, 0 },
    { "as a parent's", MASC_PREFIX_MANAGED, MASC_PARENT, 3, 1, 0, 2, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    const MascRecord *first = add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, HELD, 0);
    MascRecord r = { .claim =
                         masc_bed_claim(own->bed, rows[i].type, rows[i].role, rows[i].domain, HELD),
                     .parent = rows[i].parent,
                     .forget_at = MAL_FOREVER };
    Shown shown = { 0, 0 };
    r.claim.node = 77;
    r.claim.timestamp += (uint32_t)rows[i].later;
    masc_cache_add(zone_of(own)->cache, &r);
    masc_zone_each_left(zone_of(own), now_of(own), count_shown, &shown);
    cr_expect_eq(shown.n, rows[i].n, "%s", rows[i].why);
    cr_expect_eq(shown.until, masc_claim_free_at(&first->claim) + rows[i].longer, "%s",
                 rows[i].why);
  }
}

/* ---- who has nothing ------------------------------------------------------------------------- */

/* Peers are there before they have anything; but not those of other scopes. */
Test(masc_tree, s12_6_peers_that_have_nothing)
{
  g_autoptr(OwnBed) own = own_bed_child();
  g_autoptr(Plugin) p = plugin_new(own);

  add_peer(p, "other", MASC_CHILD, 8)->scopes = 2;
  add_peer(p, "else", MASC_PARENT, 9)->scopes = 2;
  add_peer(p, "up", MASC_CHILD, 1);
  add_peer(p, "up-elsewhere", MASC_CHILD, 1)->scopes = 2;
  add_peer(p, "beside", MASC_SIBLING, 3)->parent = 1;
  add_peer(p, "below", MASC_PARENT, 5);
  add_peer(p, "mate", MASC_INTERNAL, 2);
  expect_tree(p, SCOPE_LINE "  domain 1 (parent; up: Idle)\n"
                            "    233.252.0.0/17, until 2000-07-31T00:16:40Z\n"
                            "    domain 3 (sibling; beside: Idle)\n"
                            "    domain 2 (this domain; mate: Idle)\n"
                            "      domain 5 (child; below: Idle)\n");
}

/* 11.5: who asks for room has none, and is there all the same. */
Test(masc_tree, s11_5_a_child_that_asks_for_room)
{
  g_autoptr(OwnBed) own = holder();
  g_autoptr(Plugin) p = plugin_new(own);
  MascRecord hint = { .claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_CHILD, 5, HELD),
                      .parent = 2 };

  hint.claim.prefix.address.value = 0;
  hint.forget_at = masc_claim_forget_at(&hint.claim, 100);
  masc_cache_add(zone_of(own)->cache, &hint);
  add_record(own, MASC_PREFIX_IN_USE, MASC_CHILD, 6, "233.252.4.0/26", 0);
  add_peer(p, "below", MASC_PARENT, 5);
  add_peer(p, "too", MASC_PARENT, 6);
  expect_tree(p, PARENT_LINES "    domain 2 (this domain)\n"
                              "      233.252.4.0/24, until 2000-07-31T00:16:40Z\n"
                              "        domain 6 (child; too: Idle)\n"
                              "          233.252.4.0/26, in use, until 2000-07-31T00:35:20Z\n"
                              "      domain 5 (child; below: Idle)\n");
}

/* Without anything of ours: below a parent that we have in this scope. */
Test(masc_tree, s4_5_where_we_are_without_a_prefix)
{
  static const struct {
    MascId far;
    uint64_t scopes;
    const char *want;
  } rows[] = {
    { 0, 0, SCOPE_LINE "  domain 2 (this domain)\n" },
    { 8, 2, SCOPE_LINE "  domain 2 (this domain)\n" },
    { 8, 1, SCOPE_LINE "  domain 8 (parent)\n    domain 2 (this domain)\n" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_top();
    g_autoptr(Plugin) p = plugin_new(own);
    MascFarParent other = { 7, 2 }, far = { rows[i].far, rows[i].scopes };
    g_array_append_val(p->settings.far_parents, other);
    if (rows[i].far != 0)
      g_array_append_val(p->settings.far_parents, far);
    expect_tree(p, rows[i].want);
  }
}

/* ---- what is on its way ---------------------------------------------------------------------- */

/* 5.1 a: what is planned stands where it will be, and has no end before it is sent. */
Test(masc_tree, s5_1_a_what_is_planned)
{
  g_autoptr(OwnBed) own = own_bed_child();
  g_autoptr(Plugin) p = plugin_new(own);
  bool more = false;
  MascPend *pend;

  cr_assert(masc_zone_claim(zone_of(own), masc_bed_prefix(HELD), false, 0, now_of(own), NULL));
  pend = &g_array_index(owns_of(own)->pends, MascPend, 0);
  pend->due = masc_own_after(now_of(own), 5);
  expect_tree(p, PARENT_LINES "    domain 2 (this domain)\n"
                              "      233.252.4.0/24, claimed, until 2000-07-01T00:18:25Z\n");
  for (unsigned sent = 0; sent < 2; sent++) {
    json_object *node = masc_tree_of(&p->area, &more), *tree = node;
    for (unsigned i = 0; i < 3; i++) {
      json_object *list = masc_at(node, "branches");
      node = json_object_array_get_idx(list, json_object_array_length(list) - 1);
    }
    cr_expect_eq(masc_at(node, "until") != NULL, sent == 1);
    json_object_put(tree);
    own_bed_pass(own, 20);
  }
}

/* A child's may lie in nothing of ours, where we gave that back or never had it. */
Test(masc_tree, s11_7_4_what_lies_in_nothing_of_ours)
{
  g_autoptr(OwnBed) own = holder();
  g_autoptr(Plugin) p = plugin_new(own);

  add_record(own, MASC_PREFIX_IN_USE, MASC_CHILD, 5, "233.252.8.0/24", 0);
  expect_tree(p, PARENT_LINES "    domain 2 (this domain)\n"
                              "      233.252.4.0/24, until 2000-07-31T00:16:40Z\n"
                              "      domain 5 (child)\n"
                              "        233.252.8.0/24, in use, until 2000-07-31T00:35:20Z\n");
}

/* More than anybody draws. */
Test(masc_tree, s12_6_no_more_than_so_much)
{
  static const unsigned most = 4096;
  g_autoptr(OwnBed) own = own_bed_top();
  g_autoptr(Plugin) p = plugin_new(own);

  for (unsigned i = 0; i <= most; i++) {
    MascRecord r = { .claim = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_SIBLING, 3,
                                             "233.252.0.0/29"),
                     .forget_at = MAL_FOREVER };
    r.claim.prefix.address.value += 8 * i;
    masc_cache_add(zone_of(own)->cache, &r);
    if (i + 1 < most)
      continue;
    bool more = false;
    json_object *tree = masc_tree_of(&p->area, &more);
    json_object *sibling = json_object_array_get_idx(masc_at(tree, "branches"), 1);
    cr_expect_eq(json_object_array_length(masc_at(sibling, "branches")), most);
    cr_expect_eq(more, i == most);
    json_object_put(tree);
  }
}

/* ---- asked for ------------------------------------------------------------------------------- */

#define SCOPES                                                                                     \
  "[scope global]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=127\n"                \
  "divisible=yes\n[scope region]\nfamily=ipv4\nfirst=239.128.0.0\nlast=239.131.255.255\n"          \
  "ttl=63\ndivisible=yes\n"

Test(masc_tree, all_scopes_or_the_one_that_was_asked_for)
{
  static const struct {
    const char *params, *first;
    size_t n;
  } rows[] = {
    { "{}", "global", 2 },
    { "{\"scope\":\"global\"}", "global", 1 },
    { "{\"scope\":\"region\"}", "region", 1 },
  };
  MascWorld w = masc_world(1);

  masc_world_start(&w, 0, SCOPES "[masc]\ndomain-id=64496\nnode-id=192.0.2.1\nclaim=no\n");
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    json_object *out = masc_world_call(&w, 0, "masc.tree", rows[i].params, 2);
    json_object *list = masc_at(out, "tree");
    cr_assert_eq(json_object_array_length(list), rows[i].n, "row %zu", i);
    json_object *first = json_object_array_get_idx(list, 0);
    cr_expect_str_eq(json_object_get_string(masc_at(first, "scope")), rows[i].first);
    cr_expect_not(json_object_get_boolean(masc_at(out, "truncated")));
  }
  masc_world_clear(&w);
}
