/* Whole daemons in trouble: a top-level domain, three children, one of them with two nodes and two
   siblings with a session of their own. Leases, claims by hand, crashes, cuts, clocks, reloads, all
   by chance from one seed; then all is whole again, and nobody has what another has. MASC_SEEDS="1
   500" in the environment runs so many others. */
#include "core/leases-core.h"
#include "plugins/masc/masc-plugin.h"
#include "tests/unit/masc-daemons.h"

#define HOSTS 5
#define STEPS 60
#define WAITING 60

#define SCOPE                                                                                      \
  "[scope global]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=127\ndivisible=yes\n"
#define TIMES                                                                                      \
  "waiting-period=60\ninitiate-claim-delay=4\nprefix-lifetime=20m\nrenew-interval=3m\n"            \
  "plan-interval=2m\nextra-holding-time=60\nholdtime=30\nconnect-retry=4\nbackoff=5\n"             \
  "backoff-most=20\n"
#define NODE(domain, node) SCOPE "[masc]\ndomain-id=" domain "\nnode-id=192.0.2." node "\n" TIMES
#define UP "[masc-peer up]\naddress=192.0.2.1\nrole=parent\ndomain-id=64496\n"
#define PEER(name, host, role, domain)                                                             \
  "[masc-peer " name "]\naddress=192.0.2." host "\nrole=" role "\ndomain-id=" domain "\n"

static const char *const texts[HOSTS] = {
  NODE("64496", "1") PEER("a", "2", "child", "64501") PEER("b", "3", "child", "64502")
      PEER("c", "4", "child", "64503"),
  NODE("64501", "2") UP PEER("b", "3", "sibling", "64502"),
  NODE("64502", "3") UP PEER("a", "2", "sibling", "64501"),
  NODE("64503", "4") UP PEER("twin", "5", "internal", "64503"),
  NODE("64503", "5") "parents=64496\n" PEER("twin", "4", "internal", "64503"),
};
static const unsigned domains[HOSTS] = { 0, 1, 2, 3, 3 };

typedef struct {
  MascWorld w;
  bool down[HOSTS], quiet[HOSTS];
  uint64_t seed;
} Chaos;

static uint64_t below(Chaos *c, uint64_t n)
{
  return mal_sim_random_between(c->w.sim, 0, n - 1);
}

/* ---- what must hold -------------------------------------------------------------------------- */

static const Masc *instance(const Chaos *c, unsigned i)
{
  return mal_core_plugin(c->w.host[i].core, 0).instance;
}

static void check_host(const Chaos *c, unsigned i)
{
  const Masc *masc = instance(c, i);
  MalLeases *leases = mal_core_leases(c->w.host[i].core);
  cr_assert_not_null(masc, "seed %lu, host %u", (unsigned long)c->seed, i);
  for (guint k = 0; k < masc->areas->len; k++)
    masc_zone_check(masc_area_at(masc, k)->zone, masc->now);
  for (unsigned k = 0; k < MASC_PEERS_MAX; k++)
    if (masc->peers[k] != NULL)
      masc_session_check(masc->peers[k]->session);
  mal_leases_check(leases, mal_leases_now(leases));
}

/* What our servers may use is in what is ours. */
static void check_space(const Chaos *c, unsigned i)
{
  const MascArea *area = masc_area_at(instance(c, i), 0);
  for (guint k = 0; k < area->local->len; k++) {
    MalSpan span = mal_span_of_prefix(g_array_index(area->local, MascGrant, k).prefix);
    bool in = false;
    for (guint m = 0; m < area->managed->len; m++)
      in = in || mal_span_contains(
                     mal_span_of_prefix(g_array_index(area->managed, MascGrant, m).prefix), span);
    cr_assert(in, "seed %lu, host %u", (unsigned long)c->seed, i);
  }
}

static void check_apart(const Chaos *c, unsigned i, unsigned k)
{
  const GArray *one = masc_area_at(instance(c, i), 0)->managed;
  const GArray *other = masc_area_at(instance(c, k), 0)->managed;
  char a[MAL_SPAN_STRLEN], b[MAL_SPAN_STRLEN];
  for (guint m = 0; m < one->len; m++)
    for (guint n = 0; n < other->len; n++) {
      MalPrefix x = g_array_index(one, MascGrant, m).prefix;
      MalPrefix y = g_array_index(other, MascGrant, n).prefix;
      cr_assert_not(mal_span_overlaps(mal_span_of_prefix(x), mal_span_of_prefix(y)),
                    "seed %lu: %s of host %u and %s of host %u", (unsigned long)c->seed,
                    masc_prefix_format(x, a), i, masc_prefix_format(y, b), k);
    }
}

static void check_inside(const Chaos *c, unsigned child)
{
  const GArray *inner = masc_area_at(instance(c, child), 0)->managed;
  const GArray *outer = masc_area_at(instance(c, 0), 0)->managed;
  char text[MAL_SPAN_STRLEN];
  for (guint m = 0; m < inner->len; m++) {
    MalPrefix prefix = g_array_index(inner, MascGrant, m).prefix;
    bool in = false;
    for (guint n = 0; n < outer->len; n++)
      in = in ||
           mal_span_contains(mal_span_of_prefix(g_array_index(outer, MascGrant, n).prefix),
                             mal_span_of_prefix(prefix));
    cr_assert(in, "seed %lu: %s of host %u is not in the parent's", (unsigned long)c->seed,
              masc_prefix_format(prefix, text), child);
  }
}

static void check_world(const Chaos *c)
{
  for (unsigned i = 0; i < HOSTS; i++) {
    check_host(c, i);
    check_space(c, i);
    if (i > 0)
      check_inside(c, i);
    for (unsigned k = 1; k < i; k++)
      if (domains[i] != domains[k])
        check_apart(c, i, k);
  }
}

/* ---- what happens ---------------------------------------------------------------------------- */

static void ignore(json_object *result, const GError *error, void *data)
{
  (void)result, (void)error, (void)data;
}

static void call(Chaos *c, unsigned i, const char *method, char *params)
{
  json_object *p = json_tokener_parse(params);
  mal_control_call(mal_core_control(c->w.host[i].core), method, p, true, ignore, NULL, NULL);
  json_object_put(p);
  g_free(params);
}

static char *any_prefix(Chaos *c)
{
  unsigned length = 18 + (unsigned)below(c, 7);
  uint32_t address = 0xefc00000u + (uint32_t)below(c, 0x40000);
  char text[MAL_ADDRESS_STRLEN];
  address &= ~((UINT32_C(1) << (32 - length)) - 1);
  mal_address_format(mal_address_ipv4(address), text);
  return g_strdup_printf("{\"prefix\":\"%s/%u\"}", text, length);
}

static void cut_some(Chaos *c)
{
  MalSimNode *a = c->w.host[below(c, HOSTS)].node, *b = c->w.host[below(c, HOSTS)].node;
  if (a != b)
    mal_sim_partition(c->w.sim, &a, 1, &b, 1);
}

static void crash(Chaos *c, unsigned i)
{
  MalSimCrash disk = below(c, 4) == 0 ? MAL_SIM_DISK_WIPED : MAL_SIM_DISK_KEPT;
  mal_sim_node_crash(c->w.host[i].node, disk);
  g_clear_pointer(&c->w.host[i].core, mal_core_free);
  mal_sim_node_bury(c->w.host[i].node);
  c->down[i] = true;
}

static void boot(Chaos *c, unsigned i)
{
  mal_sim_node_restart(c->w.host[i].node);
  masc_world_return(&c->w, i);
  c->down[i] = false;
}

static void reload(Chaos *c, unsigned i)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  c->quiet[i] = !c->quiet[i];
  g_auto(GStrv) parts = g_strsplit(texts[i], "waiting-period=", 2);
  text = g_strconcat(parts[0], c->quiet[i] ? "claim=no\nmax-prefixes=2\n" : "",
                     "waiting-period=", parts[1], NULL);
  cr_assert(masc_world_reload(&c->w, i, text, &error), "%s", error ? error->message : "");
}

static void act(Chaos *c, unsigned i)
{
  switch (below(c, 12)) {
  case 0: cut_some(c); break;
  case 1: mal_sim_heal_all(c->w.sim); break;
  case 2: crash(c, i); break;
  case 3: mal_sim_node_step_clock(c->w.host[i].node, ((int64_t)below(c, 41) - 20) * MAL_US); break;
  case 4: reload(c, i); break;
  case 5: call(c, i, "masc.claim", any_prefix(c)); break;
  case 6: call(c, i, "masc.withdraw", any_prefix(c)); break;
  case 7:
    masc_world_stop(&c->w, i);
    masc_world_return(&c->w, i);
    break;
  default:
    call(c, i, "lease.request",
         g_strdup_printf("{\"scope\":\"global\",\"count\":%u,\"lifetime\":%u,\"wait\":true}",
                         1 + (unsigned)below(c, 300), 30 + (unsigned)below(c, 600)));
  }
}

static void step(Chaos *c)
{
  unsigned i = (unsigned)below(c, HOSTS);
  if (c->down[i])
    boot(c, i);
  else
    act(c, i);
  masc_world_run(&c->w, below(c, 12) == 0 ? 5 * WAITING / 2 : 1 + (int64_t)below(c, 40));
  for (unsigned k = 0; k < HOSTS; k++)
    if (!c->down[k])
      check_host(c, k);
}

/* Something has to happen, or it shows nothing. */
static const char *const told[] = { "masc.won",        "masc.renewed",   "masc.grew",
                                    "masc.denied",     "masc.collision", "masc.clash",
                                    "masc.given-back", "masc.recovered", "masc.session-down",
                                    "lease.revoked" };

static void count(const Chaos *c, unsigned figures[G_N_ELEMENTS(told)])
{
  for (unsigned i = 0; i < HOSTS; i++)
    for (size_t k = 0; k < G_N_ELEMENTS(told); k++)
      figures[k] += masc_told(&c->w, i, told[k]);
}

static void run_seed(uint64_t seed, unsigned figures[G_N_ELEMENTS(told)])
{
  Chaos c = { .w = masc_world_seeded(HOSTS, seed), .seed = seed };
  for (unsigned i = 0; i < HOSTS; i++)
    masc_world_start(&c.w, i, texts[i]);
  for (unsigned n = 0; n < STEPS; n++)
    step(&c);
  mal_sim_heal_all(c.w.sim);
  for (unsigned i = 0; i < HOSTS; i++)
    if (c.down[i])
      boot(&c, i);
  masc_world_run(&c.w, 6 * WAITING);
  check_world(&c);
  count(&c, figures);
  masc_world_clear(&c.w);
}

Test(masc_chaos, when_all_is_whole_again_nobody_has_what_another_has, .timeout = 120)
{
  const char *range = g_getenv("MASC_SEEDS");
  unsigned first = 1, last = 6, figures[G_N_ELEMENTS(told)] = { 0 };
  if (range != NULL)
    cr_assert_eq(sscanf(range, "%u %u", &first, &last), 2);
  for (unsigned seed = first; seed <= last; seed++)
    run_seed(seed, figures);
  for (size_t k = 0; k < G_N_ELEMENTS(told); k++)
    if (range != NULL)
      g_printerr("%-20s %u\n", told[k], figures[k]);
  cr_assert(figures[0] > 0 && figures[1] > 0 && figures[8] > 0);
}
