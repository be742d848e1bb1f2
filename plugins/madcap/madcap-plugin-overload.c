#include "madcap-plugin-overload.h"

#include "madcap-tables.h"

#define LOOK_EVERY (MAL_US / 10)
#define OVER_AFTER (5 * MAL_US)
/* A slow disk alone is no overload: what gathers meanwhile goes with the next commit. It is one
   where so much gathers, and waits so much longer than in a socket. */
#define MANY_PENDING 4096
#define COMMIT_PATIENCE 4

void madcap_overload_start(MadcapOverload *o, const MalHost *host, MalUdp *const udp[2])
{
  int64_t mono = mal_runtime_monotonic(host->runtime);

  *o = (MadcapOverload){ .host = host, .looked = mono, .last = INT64_MIN };
  for (size_t f = 0; f < 2; f++) {
    o->sockets[f].udp = udp[f];
    madcap_shed_init(&o->sockets[f].shed, mono);
  }
}

static void began(MadcapOverload *o)
{
  o->since = 0;
  mal_gauge(o->host->metrics, MADCAP_M_OVERLOADED, 1);
  mal_event(o->host->events, &madcap_event_overloaded, NULL, 0,
            "more comes than can be answered: the excess is dropped, DISCOVER and GETINFO first");
}

static void ended(MadcapOverload *o)
{
  const MalField fields[] = { MAL_F_INT("dropped", (int64_t)o->since) };

  o->last = INT64_MIN;
  mal_gauge(o->host->metrics, MADCAP_M_OVERLOADED, 0);
  MAL_EVENT(o->host->events, &madcap_event_relieved, fields,
            "the overload is over: %" G_GUINT64_FORMAT " datagrams were dropped", o->since);
}

/* What the system has dropped since, for whatever reason. */
static void look(MadcapOverload *o, int64_t mono)
{
  uint64_t news = 0;

  o->looked = mono;
  for (size_t f = 0; f < 2; f++) {
    MadcapOverloadSocket *s = &o->sockets[f];
    if (s->udp == NULL)
      continue;
    uint64_t dropped = mal_udp_counters(s->udp).dropped;
    news += dropped - s->dropped;
    s->dropped = dropped;
  }
  mal_count(o->host->metrics, MADCAP_M_SHED, news);
  if (news > 0 && o->last == INT64_MIN)
    began(o);
  o->since += news;
  if (news > 0)
    o->last = mono;
  else if (o->last != INT64_MIN && mono - o->last >= OVER_AFTER)
    ended(o);
}

static void note(MadcapOverload *o, MadcapOverloadSocket *s, unsigned seen, int64_t lag,
                 int64_t mono)
{
  MalUdpShed say;

  if (madcap_shed_note(&s->shed, seen, lag, mono)) {
    madcap_shed_say(&s->shed, &say);
    (void)mal_udp_shed(s->udp, &say);   /* where it can't be, the buffer's end is the limit */
  }
  if (mono - o->looked >= LOOK_EVERY)
    look(o, mono);
}

void madcap_overload_sent(MadcapOverload *o, uint64_t cookie)
{
  if (o->probe != 0)
    return;
  o->probe = cookie;
  o->probe_sent = mal_runtime_monotonic(o->host->runtime);
}

void madcap_overload_back(MadcapOverload *o, uint64_t cookie, int64_t mono)
{
  if (o->probe == 0 || cookie != o->probe)
    return;
  o->probe = 0;
  o->commit = mono - o->probe_sent;
}

/* In terms of a socket's lag. */
static int64_t commit_lag(const MadcapOverload *o, int64_t mono)
{
  if (o->host->metrics->values[MADCAP_M_PENDING] < MANY_PENDING)
    return 0;
  return MAX(o->commit, o->probe != 0 ? mono - o->probe_sent : 0) / COMMIT_PATIENCE;
}

void madcap_overload_note(MadcapOverload *o, const MalUdp *udp, unsigned seen, int64_t mono)
{
  for (size_t f = 0; f < 2; f++)
    if (o->sockets[f].udp == udp)
      note(o, &o->sockets[f], seen, MAX(mal_udp_lag(udp), commit_lag(o, mono)), mono);
}

void madcap_overload_tick(MadcapOverload *o, int64_t mono)
{
  for (size_t f = 0; f < 2; f++)
    if (o->sockets[f].udp != NULL && madcap_shed_due(&o->sockets[f].shed) <= mono)
      note(o, &o->sockets[f], 0, commit_lag(o, mono), mono);
  if (o->last != INT64_MIN && mono - o->looked >= LOOK_EVERY)
    look(o, mono);
}

int64_t madcap_overload_due(const MadcapOverload *o)
{
  int64_t due = INT64_MAX;

  if (o->last != INT64_MIN)
    due = MAX(o->last + OVER_AFTER, o->looked + LOOK_EVERY);

  for (size_t f = 0; f < 2; f++)
    if (o->sockets[f].udp != NULL)
      due = MIN(due, madcap_shed_due(&o->sockets[f].shed));
  return due;
}

json_object *madcap_overload_json(const MadcapOverload *o, size_t socket)
{
  static const char *const names[MADCAP_SHED_CLASSES] = { "discover", "request", "renew" };
  json_object *out = json_object_new_object();

  for (unsigned class = 0; class < MADCAP_SHED_CLASSES; class++) {
    unsigned part = madcap_shed_part(&o->sockets[socket].shed, (MadcapShedClass)class);
    json_object_object_add(out, names[class],
                           json_object_new_int((int)(part * 100 / MAL_UDP_ALL)));
  }
  return out;
}
