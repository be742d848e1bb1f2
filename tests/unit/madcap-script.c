#include "madcap-script.h"

#include "plugins/madcap/madcap-tables.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  uint8_t id[MAL_LEASE_ID_MAX];
  size_t id_length;
  MalBlock blocks[8];
  size_t n_blocks;
  MalLease lease;
  bool release;
  uint64_t cookie;            /* under way */
  bool waiting;
} FakeLease;

typedef struct {
  MadcapArrival to;
  GBytes *bytes;
} Sent;

typedef struct {
  const char *name;
  int line;
  MadcapServer *server;
  MadcapServerConfig config;
  MalScopeSet *scopes;
  GArray *groups;
  uint64_t values[MADCAP_N_METRICS];
  MalMetricSet metrics;
  GPtrArray *leases;
  GArray *durable;            /* cookies of when_durable */
  MalAnswer answer;
  bool no_hold;
  MalRefusal refusal;
  GString *calls;
  GQueue sent;
  MalTime now;
  int64_t mono;
  uint32_t next;
  MadcapArrival last;
  GByteArray *last_message;
} Script;

static MalAddress address(const char *text)
{
  MalAddress a = mal_address_none();

  cr_assert(mal_address_parse(text, &a, NULL), "address %s", text);
  return a;
}

/* ---- the fake model -------------------------------------------------------------------------- */

static FakeLease *find(Script *t, MalLeaseId id)
{
  for (guint i = 0; i < t->leases->len; i++) {
    FakeLease *f = g_ptr_array_index(t->leases, i);
    if (mal_lease_id_equal((MalLeaseId){ f->id, f->id_length }, id))
      return f;
  }
  return NULL;
}

static FakeLease *add_lease(Script *t, MalLeaseId id)
{
  FakeLease *f = g_new0(FakeLease, 1);

  memcpy(f->id, id.bytes, id.length);
  f->id_length = id.length;
  f->lease.id = (MalLeaseId){ f->id, f->id_length };
  f->lease.blocks = f->blocks;
  g_ptr_array_add(t->leases, f);
  return f;
}

static void fill(Script *t, FakeLease *f, const MalLeaseRequest *r, MalTime now)
{
  f->n_blocks = 1;
  f->blocks[0] = mal_block_make(r->scope->span.first, r->desired);
  f->blocks[0].first.value += t->next;
  t->next += r->desired;
  if (r->n_named > 0) {
    cr_assert_leq(r->n_named, G_N_ELEMENTS(f->blocks));
    memcpy(f->blocks, r->named, r->n_named * sizeof *r->named);
    f->n_blocks = r->n_named;
  }
  f->lease.scope = r->scope->id;
  f->lease.n_blocks = f->n_blocks;
  f->lease.start = MAX(r->start, now);
  f->lease.end = f->lease.start + r->lifetime;
  f->lease.client = r->client;
  f->lease.flags |= r->flags;
}

static bool op_lease(void *user, MalLeaseId id, MalLease *out)
{
  FakeLease *f = find(user, id);

  if (f == NULL || f->waiting || (f->lease.flags & MAL_LEASE_HELD) != 0)
    return false;
  *out = f->lease;
  return true;
}

static bool op_waiting(void *user, MalLeaseId id)
{
  FakeLease *f = find(user, id);

  return f != NULL && f->waiting;
}

static bool op_hold(void *user, const MalLeaseRequest *r, MalTime now, MalTime until, MalLease *out,
                    MalRefusal *why)
{
  Script *t = user;

  g_string_append_printf(t->calls, " hold:%d", (int)(until - now));
  if (t->no_hold) {
    *why = t->refusal;
    return false;
  }
  FakeLease *f = find(t, r->id);
  if (f == NULL)
    f = add_lease(t, r->id);
  f->lease.flags = MAL_LEASE_HELD;
  fill(t, f, r, now);
  *out = f->lease;
  return true;
}

static bool op_unhold(void *user, MalLeaseId id)
{
  Script *t = user;
  FakeLease *f = find(t, id);

  g_string_append(t->calls, " unhold");
  if (f == NULL || (f->lease.flags & MAL_LEASE_HELD) == 0)
    return false;
  g_ptr_array_remove(t->leases, f);
  return true;
}

static MalAnswer op_request(void *user, const MalLeaseRequest *r, MalTime now, uint64_t cookie,
                            MalRefusal *why)
{
  Script *t = user;

  g_string_append_printf(t->calls, " request:%u-%u", r->min, r->desired);
  if (t->answer == MAL_ANSWER_REFUSED) {
    *why = t->refusal;
    return MAL_ANSWER_REFUSED;
  }
  FakeLease *f = find(t, r->id);
  if (f == NULL)
    f = add_lease(t, r->id);
  f->lease.flags = MAL_LEASE_PENDING;
  f->cookie = cookie;
  f->waiting = t->answer == MAL_ANSWER_WAITING;
  fill(t, f, r, now);
  return t->answer;
}

static MalAnswer op_renew(void *user, MalLeaseId id, const MalRenewal *r, MalTime now,
                          uint64_t cookie, MalRefusal *why)
{
  Script *t = user;
  FakeLease *f = find(t, id);

  g_string_append(t->calls, " renew");
  if (t->answer == MAL_ANSWER_REFUSED || f == NULL) {
    *why = t->refusal;
    return MAL_ANSWER_REFUSED;
  }
  f->cookie = cookie;
  MalTime begin = r->start == MAL_BEGINNING ? MAX(f->lease.start, now) : MAX(r->start, now);
  if (begin > now)
    f->lease.start = begin;
  f->lease.end = begin + r->lifetime;
  return MAL_ANSWER_GRANTED;
}

static MalAnswer op_release(void *user, MalLeaseId id, MalTime now, uint64_t cookie,
                            MalRefusal *why)
{
  Script *t = user;
  FakeLease *f = find(t, id);

  (void)why;
  g_string_append(t->calls, " release");
  cr_assert_not_null(f);
  if (f->waiting) {
    g_autoptr(GError) error = g_error_new_literal(MAL_ERROR, MAL_ERROR_NOT_FOUND, "taken back");
    uint64_t first = f->cookie;
    g_ptr_array_remove(t->leases, f);
    madcap_server_answer(t->server, first, NULL, error, now, t->mono);
    return MAL_ANSWER_WAITING;
  }
  f->cookie = cookie;
  f->release = true;
  return MAL_ANSWER_GRANTED;
}

static void op_when_durable(void *user, MalLeaseId id, uint64_t cookie)
{
  Script *t = user;

  (void)id;
  g_string_append(t->calls, " when-durable");
  g_array_append_val(t->durable, cookie);
}

static void op_send(void *user, const MadcapArrival *to, const uint8_t *data, size_t length)
{
  Sent *sent = g_new0(Sent, 1);

  sent->to = *to;
  sent->bytes = g_bytes_new(data, length);
  g_queue_push_tail(&((Script *)user)->sent, sent);
}

static void op_news(void *user, const MadcapNews *news)
{
  (void)user;
  cr_assert_not_null(news->from);
}

static const MadcapServerOps ops = {
  .send = op_send, .lease = op_lease, .waiting = op_waiting, .hold = op_hold, .unhold = op_unhold,
  .request = op_request, .renew = op_renew, .release = op_release, .when_durable = op_when_durable,
  .news = op_news,
};

/* ---- a message from its line ----------------------------------------------------------------- */

static void put(GByteArray *b, uint64_t v, size_t octets)
{
  while (octets-- > 0)
    g_byte_array_append(b, &(uint8_t){ (uint8_t)(v >> (8 * octets)) }, 1);
}

static void put_option(GByteArray *b, unsigned code, const void *data, size_t length)
{
  put(b, code, 2);
  put(b, length, 2);
  if (length > 0)
    g_byte_array_append(b, data, (guint)length);
}

static void put_address(GByteArray *b, MalAddress a)
{
  uint8_t octets[16];
  size_t n = mal_address_to_bytes(a, octets);

  g_byte_array_append(b, octets, (guint)n);
}

static void put_codes(GByteArray *b, const char *text, bool counted)
{
  g_auto(GStrv) items = g_strsplit(text, ",", -1);
  guint n = *text != '\0' ? g_strv_length(items) : 0;

  if (counted)
    put(b, n, 2);
  for (guint i = 0; i < n; i++)
    put(b, strtoul(items[i], NULL, 10), 2);
}

static GByteArray *hex(const char *text)
{
  GByteArray *b = g_byte_array_new();

  for (; text[0] != '\0' && text[1] != '\0'; text += 2)
    put(b, (uint64_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1])), 1);
  return b;
}

static void put_list(GByteArray *b, unsigned code, const char *key, const char *value)
{
  g_autoptr(GByteArray) body = g_byte_array_new();

  if (strcmp(key, "ranges") == 0) {
    g_auto(GStrv) items = g_strsplit(value, ",", -1);
    for (char **i = items; *i != NULL && **i != '\0'; i++) {
      g_auto(GStrv) parts = g_strsplit(*i, "/", 2);
      put_address(body, address(parts[0]));
      put(body, strtoul(parts[1], NULL, 10), 2);
    }
  } else if (strcmp(key, "feat") == 0) {
    g_auto(GStrv) lists = g_strsplit(value, "/", 3);
    for (int i = 0; i < 3; i++)
      put_codes(body, lists[i], true);
  } else if (strcmp(key, "list") == 0) {
    put_codes(body, value, false);
  } else if (strcmp(key, "number") == 0) {
    put(body, strtoul(value, NULL, 10), 2);
    put(body, strtoul(strchr(value, '-') + 1, NULL, 10), 2);
  } else if (strcmp(key, "server") == 0) {
    MalAddress a = address(value);
    put(body, (uint64_t)a.family, 2);
    put_address(body, a);
  } else {
    put_address(body, address(value));
  }
  put_option(b, code, body->data, body->len);
}

static const struct {
  const char *key;
  unsigned code;
  enum { U32, RELATIVE, LIST } form;
} options[] = {
  { "lease", 1, U32 },          { "minlease", 14, U32 },   { "start", 6, RELATIVE },
  { "maxstart", 15, RELATIVE }, { "clock", 11, RELATIVE }, { "server", 2, LIST },
  { "scope", 4, LIST },         { "list", 5, LIST },       { "number", 7, LIST },
  { "ranges", 10, LIST },       { "feat", 12, LIST },
};

static void put_token(Script *t, GByteArray *b, const char *key, const char *value)
{
  for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
    if (strcmp(options[i].key, key) != 0)
      continue;
    if (options[i].form == LIST) {
      put_list(b, options[i].code, key, value);
      return;
    }
    uint64_t v =
        (uint64_t)strtoll(value, NULL, 10) + (options[i].form == RELATIVE ? (uint64_t)t->now : 0);
    put(b, options[i].code, 2);
    put(b, 4, 2);
    put(b, v, 4);
    return;
  }
  if (strcmp(key, "lang") == 0) {
    put_option(b, 8, value, strlen(value));
  } else if (strcmp(key, "raw") == 0) {
    g_autoptr(GByteArray) body = hex(strchr(value, ':') + 1);
    put_option(b, (unsigned)strtoul(value, NULL, 10), body->data, body->len);
  } else {
    cr_assert_fail("%s:%d: unknown token %s", t->name, t->line, key);
  }
}

static unsigned type_number(const char *word)
{
  for (unsigned i = 1; i <= 8; i++)
    if (strcmp(madcap_type_name(i), word) == 0)
      return i;
  return (unsigned)strtoul(word, NULL, 10);
}

static void send_line(Script *t, char *const *words)
{
  GByteArray *b = g_byte_array_new();
  g_autoptr(GByteArray) opts = g_byte_array_new();
  g_autoptr(GByteArray) id = hex("00aabbccdd");
  uint64_t xid = 1, family = 1, version = 0;

  t->last = (MadcapArrival){
    .peer = { .address = address("192.0.2.50"), .port = 4000 }, .destination = address("192.0.2.1"),
    .server_id = address("192.0.2.1"), .ifindex = 1,
  };
  for (char *const *w = words + 1; *w != NULL; w++) {
    g_auto(GStrv) kv = g_strsplit(*w, "=", 2);
    if (strcmp(*w, "@m") == 0) {
      t->last.destination = address("239.255.255.254");
    } else if (**w == '@') {
      t->last.destination = address(*w + 1);
    } else if (strcmp(kv[0], "from") == 0) {
      t->last.peer.address = address(kv[1]);
    } else if (strcmp(kv[0], "xid") == 0) {
      xid = strtoul(kv[1], NULL, 10);
    } else if (strcmp(kv[0], "fam") == 0) {
      family = strtoul(kv[1], NULL, 10);
    } else if (strcmp(kv[0], "ver") == 0) {
      version = strtoul(kv[1], NULL, 10);
    } else if (strcmp(kv[0], "id") == 0) {
      g_byte_array_unref(id);
      id = hex(kv[1]);
    } else if (strcmp(kv[0], "longid") == 0) {
      g_byte_array_set_size(id, (guint)strtoul(kv[1], NULL, 10));
      memset(id->data, 7, id->len);
    } else if (strcmp(*w, "noid") == 0) {
      g_clear_pointer(&id, g_byte_array_unref);
    } else if (strcmp(kv[0], "noend") != 0) {
      put_token(t, opts, kv[0], kv[1]);
    }
  }
  put(b, version, 1);
  put(b, type_number(words[0]), 1);
  put(b, family, 2);
  put(b, xid, 4);
  if (id != NULL)
    put_option(b, 3, id->data, id->len);
  g_byte_array_append(b, opts->data, opts->len);
  if (!g_strv_contains((const char *const *)words, "noend"))
    put(b, 0, 4);
  if (t->last_message != NULL)
    g_byte_array_unref(t->last_message);
  t->last_message = b;
  madcap_server_receive(t->server, &t->last, b->data, b->len, t->now, t->mono);
}

/* ---- an answer as a line --------------------------------------------------------------------- */

static void say_codes(GString *s, MadcapView codes)
{
  for (size_t i = 0; i < madcap_codes_count(codes); i++)
    g_string_append_printf(s, "%s%u", i > 0 ? "," : "", madcap_codes_at(codes, i));
}

static void say_ranges(GString *s, const MadcapMessage *m)
{
  MadcapRangeIter iter = madcap_ranges(m);
  char text[MAL_ADDRESS_STRLEN];
  const char *comma = "";
  MalBlock block;

  g_string_append(s, " ranges=");
  while (madcap_ranges_next(&iter, &block)) {
    g_string_append_printf(s, "%s%s/%u", comma, mal_address_format(block.first, text), block.count);
    comma = ",";
  }
}

static void say_scopes(GString *s, const MadcapMessage *m)
{
  MadcapScopeIter scopes = madcap_scopes(m);
  char text[MAL_ADDRESS_STRLEN];
  const char *comma = "";
  MadcapScopeView scope;

  g_string_append(s, " scopes=");
  while (madcap_scopes_next(&scopes, &scope)) {
    MadcapNameIter names = madcap_names(&scope);
    MadcapNameView name;
    g_string_append_printf(s, "%s%s/%u", comma, mal_address_format(scope.first, text), scope.ttl);
    while (madcap_names_next(&names, &name))
      g_string_append_printf(s, "[%.*s%s:%.*s]", (int)name.language.length,
                             (const char *)name.language.data, name.is_default ? "*" : "",
                             (int)name.name.length, (const char *)name.name.data);
    comma = ",";
  }
}

static void say_error(GString *s, const MadcapMessage *m, MalTime now)
{
  uint16_t option;
  uint32_t at;

  g_string_append_printf(s, " %u", m->error_code);
  if (madcap_error_option(m, &option))
    g_string_append_printf(s, "/%u", option);
  else if (madcap_error_time(m, &at))
    g_string_append_printf(s, "/%+d", (int)((int64_t)at - now));
  else if (m->error_data.length > 0) {
    g_string_append_c(s, '/');
    say_codes(s, m->error_data);
  }
}

static char *describe(Script *t, const uint8_t *data, size_t length)
{
  GString *s = g_string_new(NULL);
  char text[MAL_ADDRESS_STRLEN];
  MadcapMessage m;
  MadcapFault fault;

  /* A NAK for a message of an unknown family echoes that. */
  if (madcap_decode(data, length, &m, &fault) != MADCAP_OK && fault.reason != MADCAP_REASON_FAMILY)
    cr_assert_fail("%s:%d: %s of option %u", t->name, t->line, madcap_reason_name(fault.reason),
                   fault.option);
  g_string_append(s, madcap_type_name(m.type));
  if (madcap_has(&m, MADCAP_OPTION_ERROR))
    say_error(s, &m, t->now);
  if (madcap_has(&m, MADCAP_OPTION_LEASE_TIME))
    g_string_append_printf(s, " lease=%u", m.lease_time);
  if (madcap_has(&m, MADCAP_OPTION_SCOPE))
    g_string_append_printf(s, " scope=%s", mal_address_format(m.scope, text));
  if (madcap_has(&m, MADCAP_OPTION_START_TIME))
    g_string_append_printf(s, " start=%+d", (int)((int64_t)m.start_time - t->now));
  if (madcap_has(&m, MADCAP_OPTION_SCOPE_LIST))
    say_scopes(s, &m);
  if (madcap_has(&m, MADCAP_OPTION_RANGES))
    say_ranges(s, &m);
  if (madcap_has(&m, MADCAP_OPTION_CURRENT_TIME))
    g_string_append_printf(s, " clock=%+d", (int)((int64_t)m.current_time - t->now));
  if (madcap_has(&m, MADCAP_OPTION_FEATURES)) {
    g_string_append(s, " feat=");
    say_codes(s, m.supported);
    g_string_append_c(s, '/');
    say_codes(s, m.requested);
    g_string_append_c(s, '/');
    say_codes(s, m.required);
  }
  if (madcap_has(&m, MADCAP_OPTION_RETRY_TIME))
    g_string_append_printf(s, " retry=%+d", (int)((int64_t)m.retry_time - t->now));
  if (madcap_has(&m, MADCAP_OPTION_NESTING)) {
    g_string_append(s, " nesting=");
    for (size_t i = 0; i < m.nesting.length; i++)
      g_string_append_printf(s, "%02x", m.nesting.data[i]);
  }
  return g_string_free(s, FALSE);
}

/* What every answer has in common with the message that it answers (2.1.4, 2.2, 3.3). */
static void check_common(Script *t, const Sent *sent, const uint8_t *data, size_t length)
{
  MadcapMessage m, asked;
  MadcapFault fault;

  madcap_decode(data, length, &m, &fault);
  madcap_decode(t->last_message->data, t->last_message->len, &asked, &fault);
  cr_assert_eq(m.xid, asked.xid, "%s:%d: xid", t->name, t->line);
  cr_assert_eq(m.lease_id.length, asked.lease_id.length, "%s:%d: lease id", t->name, t->line);
  if (m.lease_id.length > 0)
    cr_assert_arr_eq(m.lease_id.data, asked.lease_id.data, m.lease_id.length);
  cr_assert(mal_address_equal(m.server_id, t->last.server_id), "%s:%d: server id", t->name,
            t->line);
  cr_assert(mal_endpoint_equal(sent->to.peer, t->last.peer), "%s:%d: sent to another", t->name,
            t->line);
}

static void expect_line(Script *t, const char *expected)
{
  Sent *sent = g_queue_pop_head(&t->sent);
  size_t length = 0;

  if (sent == NULL) {
    cr_assert_eq(*expected, '\0', "%s:%d: no answer, expected %s", t->name, t->line, expected);
    return;
  }
  const uint8_t *data = g_bytes_get_data(sent->bytes, &length);
  g_autofree char *got = describe(t, data, length);
  cr_assert_str_eq(got, expected, "%s:%d: got \"%s\", expected \"%s\"", t->name, t->line, got,
                   expected);
  check_common(t, sent, data, length);
  g_bytes_unref(sent->bytes);
  g_free(sent);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void settle(Script *t, bool ok)
{
  g_autoptr(GError) error =
      ok ? NULL : g_error_new_literal(MAL_ERROR, MAL_ERROR_STORE, "disk full");

  for (guint i = 0; i < t->leases->len; i++) {
    FakeLease *f = g_ptr_array_index(t->leases, i);
    uint64_t cookie = f->cookie;
    if (cookie == 0 || f->waiting)
      continue;
    f->cookie = 0;
    f->lease.flags &= ~(uint32_t)MAL_LEASE_PENDING;
    madcap_server_answer(t->server, cookie, ok ? &f->lease : NULL, error, t->now, t->mono);
    for (guint k = 0; k < t->durable->len; k++)
      madcap_server_answer(t->server, g_array_index(t->durable, uint64_t, k), ok ? &f->lease : NULL,
                           error, t->now, t->mono);
    g_array_set_size(t->durable, 0);
    if (f->release || !ok)
      g_ptr_array_remove_index(t->leases, i--);
  }
}

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
  g_autoptr(GByteArray) id = hex(w[0]);
  g_auto(GStrv) range = g_strsplit(w[2], "/", 2);
  FakeLease *f = add_lease(t, (MalLeaseId){ id->data, id->len });
  bool shared = g_strv_contains((const char *const *)w, "shared");

  f->blocks[0] = mal_block_make(address(range[0]), (uint32_t)atoi(range[1]));
  f->lease.n_blocks = 1;
  f->lease.scope = mal_scope_set_containing(t->scopes, f->blocks[0].first)->id;
  f->lease.start = t->now;
  f->lease.end = t->now + atoi(w[3]);
  f->lease.client = strcmp(w[1], "-") == 0 ? mal_address_none() : address(w[1]);
  f->lease.flags = shared ? MAL_LEASE_SHARED : 0;
}

static void reconfigure(Script *t)
{
  madcap_server_configure(t->server, &t->config, t->scopes, t->groups);
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
  settle(t, true);
}

static void drain(Script *t)
{
  for (Sent *sent; (sent = g_queue_pop_head(&t->sent)) != NULL; g_free(sent))
    g_bytes_unref(sent->bytes);
}

static void run_line(Script *t, const char *line)
{
  g_auto(GStrv) w = g_strsplit(line, " ", -1);

  if (strcmp(w[0], ">") == 0) {
    send_line(t, w + 1);
  } else if (*line == '<') {
    expect_line(t, line[1] == ' ' ? line + 2 : "");
  } else if (strcmp(w[0], "commit") == 0) {
    settle(t, true);
  } else if (strcmp(w[0], "fail") == 0) {
    settle(t, false);
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
  } else if (strcmp(w[0], "count") == 0) {
    check_count(t, w[1], strtoul(w[2], NULL, 10));
  } else {
    cr_assert_fail("%s:%d: what is \"%s\"?", t->name, t->line, line);
  }
}

/* ---- life ------------------------------------------------------------------------------------ */

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

static MalScopeSet *make_scopes(void)
{
  g_autoptr(GPtrArray) scopes = g_ptr_array_new();
  g_autoptr(GError) error = NULL;

  add_scope(scopes, "global", "224.0.1.0-238.255.255.255", 255, "");
  add_scope(scopes, "org", "239.192.0.0-239.195.255.255", 64, "global");
  add_scope(scopes, "local", "239.255.0.0-239.255.255.255", 16, "org");
  add_scope(scopes, "lab", "239.253.0.0-239.253.255.255", 8, "");
  add_scope(scopes, "site6", "ff15::db8:8000:0-ff15::db8:8fff:ffff", 32, "");
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
  const MalAddress ours[] = { address("192.0.2.1"), address("198.51.100.1") };
  const MalHashKey key = { { 1, 2, 3 } };
  g_auto(GStrv) lines = g_strsplit(script, "\n", -1);

  t.metrics = (MalMetricSet){ "madcap", madcap_metrics, MADCAP_N_METRICS, t.values };
  t.leases = g_ptr_array_new_with_free_func(g_free);
  t.durable = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  t.calls = g_string_new(NULL);
  t.scopes = make_scopes();
  t.groups = make_groups(t.scopes);
  t.server = madcap_server_new(&ops, &t, &t.metrics, &key);
  reconfigure(&t);
  madcap_server_set_addresses(t.server, ours, G_N_ELEMENTS(ours));
  for (char **line = lines; *line != NULL; line++) {
    t.line++;
    if (**line != '\0' && **line != '#')
      run_line(&t, *line);
  }
  t.line++;
  expect_line(&t, "");
  madcap_server_free(t.server);
  g_array_unref(t.groups);
  mal_scope_set_unref(t.scopes);
  g_string_free(t.calls, TRUE);
  g_array_unref(t.durable);
  g_ptr_array_unref(t.leases);
  if (t.last_message != NULL)
    g_byte_array_unref(t.last_message);
}
