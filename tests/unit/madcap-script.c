#include "madcap-script-private.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- commands -------------------------------------------------------------------------------- */

static void advance(Script *t, int64_t seconds)
{
  MalTime wall = t->now + seconds;
  int64_t end = t->mono + seconds * MAL_US;

  for (int64_t due; (due = madcap_server_due(t->server)) <= end;) {
    int64_t step = MAX(due - t->mono, 0);
    t->mono += step;
    t->now += step / MAL_US;
    madcap_server_tick(t->server, t->now, t->mono);
  }
  t->mono = end;
  t->now = wall;
}

static void set_model(Script *t, char *const *w)
{
  t->no_hold = strcmp(w[0], "nohold") == 0;
  t->answer = strcmp(w[0], "waiting") == 0 ? MAL_ANSWER_WAITING
              : strcmp(w[0], "refused") == 0 ? MAL_ANSWER_REFUSED : MAL_ANSWER_GRANTED;
  t->refusal = (MalRefusal){ MAL_ERROR_NO_SPACE, MAL_REFUSED_OTHER };
  if (t->answer == MAL_ANSWER_REFUSED)
    t->refusal = (MalRefusal){ (MalErrorCode)atoi(w[1]), (MalRefusedPart)atoi(w[2]) };
}

static void give_lease(Script *t, char *const *w)
{
  g_autoptr(GByteArray) id = script_hex(w[0]);
  g_auto(GStrv) range = g_strsplit(w[2], "/", 2);
  FakeLease *f = script_add_lease(t, (MalLeaseId){ id->data, id->len });
  bool shared = g_strv_contains((const char *const *)w, "shared");

  f->blocks[0] = mal_block_make(script_address(range[0]), (uint32_t)atoi(range[1]));
  f->lease.n_blocks = 1;
  f->lease.scope = mal_scope_set_containing(t->scopes, f->blocks[0].first)->id;
  f->lease.start = t->now;
  f->lease.end = t->now + atoi(w[3]);
  f->lease.client = strcmp(w[1], "-") == 0 ? mal_address_none() : script_address(w[1]);
  f->lease.flags = shared ? MAL_LEASE_SHARED : 0;
  f->waiting = g_strv_contains((const char *const *)w, "waiting");
  if (g_strv_contains((const char *const *)w, "for-ever"))
    f->lease.end = MAL_FOREVER;
  if (g_strv_contains((const char *const *)w, "scope-gone"))
    f->lease.scope = "gone";
}

static void reconfigure(Script *t)
{
  madcap_server_configure(t->server, &t->config, t->scopes, t->groups);
}

static void keep_groups(Script *t, char *const *names)
{
  for (guint i = t->groups->len; i-- > 0;) {
    unsigned scope = g_array_index(t->groups, MadcapGroup, i).scope;
    if (!g_strv_contains((const char *const *)names, mal_scope_set_at(t->scopes, scope)->id))
      g_array_remove_index(t->groups, i);
  }
  reconfigure(t);
}

static void set_config(Script *t, const char *key, int64_t v)
{
  MadcapServerConfig *c = &t->config;

  if (strcmp(key, "max-lease-time") == 0) c->max_lease_time = v;
  else if (strcmp(key, "response-cache") == 0) c->response_cache = v;
  else if (strcmp(key, "entries") == 0) c->cache_entries = (size_t)v;
  else if (strcmp(key, "per-request") == 0) c->max_per_request = (uint32_t)v;
  else if (strcmp(key, "rate-limit") == 0) c->rate_limit = (uint32_t)v;
  else if (strcmp(key, "anyone") == 0) c->anyone_may_change = v != 0;
  else if (strcmp(key, "beyond") == 0) c->beyond_local_scope = v != 0;
  else if (strcmp(key, "skew") == 0) c->clock_skew_allowance = v;
  else cr_assert_fail("%s:%d: unknown key %s", t->name, t->line, key);
  reconfigure(t);
}

static void check_count(Script *t, const char *metric, uint64_t n)
{
  madcap_server_gauges(t->server);
  for (size_t i = 0; i < MADCAP_N_METRICS; i++)
    if (strcmp(madcap_metrics[i].name, metric) == 0) {
      cr_assert_eq(t->values[i], n, "%s:%d: %s is %u", t->name, t->line, metric,
                   (unsigned)t->values[i]);
      return;
    }
  cr_assert_fail("%s:%d: no metric %s", t->name, t->line, metric);
}

static void space_comes(Script *t)
{
  for (guint i = 0; i < t->leases->len; i++)
    ((FakeLease *)g_ptr_array_index(t->leases, i))->waiting = false;
  script_settle(t, true);
}

static void drain(Script *t)
{
  for (Sent *sent; (sent = g_queue_pop_head(&t->sent)) != NULL; g_free(sent))
    g_bytes_unref(sent->bytes);
}

static void add_scope(GPtrArray *out, const char *id, const char *span, unsigned ttl,
                      const char *inside)
{
  MalScope *scope = g_new0(MalScope, 1);

  scope->id = g_strdup(id);
  mal_span_parse(span, &scope->span, NULL);
  scope->ttl = ttl;
  scope->n_names = 2;
  scope->names = g_new0(MalScopeName, 2);
  scope->names[0] = (MalScopeName){ g_strdup("en"), g_strdup(id) };
  scope->names[1] = (MalScopeName){ g_strdup("fr"), g_strdup_printf("le %s", id) };
  scope->default_language = g_strdup("fr");
  scope->nests_inside = g_strsplit(inside, ",", -1);
  scope->group_id_first = 0x80000000u;
  scope->group_id_last = 0x8FFFFFFFu;
  g_ptr_array_add(out, scope);
}

/* MORE: one scope more, or NULL. */
static MalScopeSet *make_scopes(const char *more)
{
  g_autoptr(GPtrArray) scopes = g_ptr_array_new();
  g_autoptr(GError) error = NULL;

  add_scope(scopes, "global", "224.0.1.0-238.255.255.255", 255, "");
  add_scope(scopes, "org", "239.192.0.0-239.195.255.255", 64, "global");
  add_scope(scopes, "local", "239.255.0.0-239.255.255.255", 16, "org");
  add_scope(scopes, "lab", "239.253.0.0-239.253.255.255", 8, "");
  add_scope(scopes, "site6", "ff15::db8:8000:0-ff15::db8:8fff:ffff", 32, "");
  if (more != NULL)
    add_scope(scopes, "more", more, 32, "");
  MalScopeSet *set = mal_scope_set_new(scopes, &error);
  cr_assert_not_null(set, "%s", error != NULL ? error->message : "");
  return set;
}

static GArray *make_groups(const MalScopeSet *scopes)
{
  GArray *groups = g_array_new(FALSE, FALSE, sizeof(MadcapGroup));

  for (size_t i = 0; i < mal_scope_set_size(scopes); i++) {
    MadcapGroup group = { madcap_group_default(mal_scope_set_at(scopes, i)), (unsigned)i };
    g_array_append_val(groups, group);
  }
  return groups;
}

/* The same scopes, and one more. */
static void more_scopes(Script *t, const char *span)
{
  MalScopeSet *old = t->scopes;

  g_array_unref(t->groups);
  t->scopes = make_scopes(span);
  t->groups = make_groups(t->scopes);
  reconfigure(t);
  mal_scope_set_unref(old);
}

static void run_line(Script *t, const char *line)
{
  g_auto(GStrv) w = g_strsplit(line, " ", -1);

  if (strcmp(w[0], ">") == 0) {
    script_send(t, w + 1);
  } else if (*line == '<') {
    script_expect(t, line[1] == ' ' ? line + 2 : "");
  } else if (strcmp(w[0], "commit") == 0) {
    script_settle(t, true);
  } else if (strcmp(w[0], "fail") == 0) {
    script_settle(t, false);
  } else if (strcmp(w[0], "model") == 0) {
    set_model(t, w + 1);
  } else if (strcmp(w[0], "space") == 0) {
    space_comes(t);
  } else if (strcmp(w[0], "lease") == 0) {
    give_lease(t, w + 1);
  } else if (strcmp(w[0], "advance") == 0) {
    advance(t, atoll(w[1]));
  } else if (strcmp(w[0], "wall") == 0) {
    t->now = atoll(w[1]);
  } else if (strcmp(w[0], "calls") == 0) {
    const char *expected = line[5] == ' ' ? line + 5 : "";
    cr_assert_str_eq(t->calls->str, expected, "%s:%d: model was asked \"%s\"", t->name, t->line,
                     t->calls->str);
    g_string_truncate(t->calls, 0);
  } else if (strcmp(w[0], "drain") == 0) {
    drain(t);
  } else if (strcmp(w[0], "config") == 0) {
    set_config(t, w[1], atoll(w[2]));
  } else if (strcmp(w[0], "groups") == 0) {
    keep_groups(t, w + 1);
  } else if (strcmp(w[0], "scope") == 0) {
    more_scopes(t, w[1]);
  } else if (strcmp(w[0], "no-addresses") == 0) {
    madcap_server_set_addresses(t->server, NULL, 0);
  } else if (strcmp(w[0], "count") == 0) {
    check_count(t, w[1], strtoul(w[2], NULL, 10));
  } else {
    cr_assert_fail("%s:%d: what is \"%s\"?", t->name, t->line, line);
  }
}

/* ---- life ------------------------------------------------------------------------------------ */

void madcap_script_run(const char *name, const char *script)
{
  Script t = {
    .name = name, .now = SCRIPT_WALL, .mono = 1000 * MAL_US, .answer = MAL_ANSWER_GRANTED,
    .config = {
      .default_lease_time = 3600, .max_lease_time = 86400, .offer_hold = 60, .response_cache = 60,
      .cache_entries = 1024, .cache_octets = 1 << 20, .extra_allocation_time = 600,
      .clock_skew_allowance = 1800, .retry_after = 120, .max_per_request = 1024,
    },
  };
  const MalAddress ours[] = { script_address("192.0.2.1"), script_address("198.51.100.1") };
  const MalHashKey key = { { 1, 2, 3 } };
  g_auto(GStrv) lines = g_strsplit(script, "\n", -1);

  t.metrics = (MalMetricSet){ "madcap", madcap_metrics, MADCAP_N_METRICS, t.values };
  t.leases = g_ptr_array_new_with_free_func(g_free);
  t.durable = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  t.calls = g_string_new(NULL);
  t.scopes = make_scopes(NULL);
  t.groups = make_groups(t.scopes);
  t.server = madcap_server_new(&script_ops, &t, &t.metrics, &key);
  reconfigure(&t);
  madcap_server_set_addresses(t.server, ours, G_N_ELEMENTS(ours));
  for (char **line = lines; *line != NULL; line++) {
    t.line++;
    if (**line != '\0' && **line != '#')
      run_line(&t, *line);
  }
  t.line++;
  script_expect(&t, "");
  madcap_server_free(t.server);
  g_array_unref(t.groups);
  mal_scope_set_unref(t.scopes);
  g_string_free(t.calls, TRUE);
  g_array_unref(t.durable);
  g_ptr_array_unref(t.leases);
  if (t.last_message != NULL)
    g_byte_array_unref(t.last_message);
}
