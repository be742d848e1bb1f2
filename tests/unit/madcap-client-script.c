#include "madcap-client-script.h"

#include <criterion/criterion.h>
#include <string.h>

const uint8_t own_id[17] = { 0, 1, 2, 3 };

MalAddress address(const char *text)
{
  MalAddress a = mal_address_none();

  cr_assert(mal_address_parse(text, &a, NULL), "%s", text);
  return a;
}

static uint32_t act_xid(void *user)
{
  return ++((Script *)user)->next_xid;
}

static void act_id(void *user, uint8_t out[16])
{
  memset(out, 0xA0 + ((Script *)user)->next_id++, 16);
}

static void act_send(void *user, const MalEndpoint *to, const uint8_t *data, size_t length,
                     unsigned transmission)
{
  Script *t = user;
  Sent *s = &t->sent[t->n_sent++];
  MadcapMessage msg;
  MadcapFault fault;

  (void)transmission;
  cr_assert(t->n_sent < MAX_SENT && length <= sizeof s->data);
  cr_assert_eq(madcap_decode(data, length, &msg, &fault), MADCAP_OK);
  cr_assert(madcap_check(&msg,
                         (MadcapContext){ .multicast = mal_address_is_multicast(to->address) },
                         &fault),
            "option %u", fault.option);
  s->at = t->mono / US;
  s->type = (MadcapType)msg.type;
  s->to = to->address;
  s->xid = msg.xid;
  memcpy(s->data, data, length);
  s->length = length;
}

static void act_news(void *user, MadcapClientNews what, const MalEndpoint *who,
                     const MadcapMessage *msg, const char *why)
{
  Script *t = user;

  (void)who;
  (void)msg;
  (void)why;
  t->heard += what == MADCAP_CLIENT_HEARD || what == MADCAP_CLIENT_LATER;
  t->unfit += what == MADCAP_CLIENT_UNFIT;
}

static void act_info(void *user, const MalEndpoint *from, const MadcapMessage *msg)
{
  (void)from;
  (void)msg;
  ((Script *)user)->infos++;
}

const MadcapClientOps script_ops = {
  .xid = act_xid,
  .id = act_id,
  .send = act_send,
  .news = act_news,
  .info = act_info,
};

Script *script(MadcapType errand, const char *servers, bool group)
{
  Script *t = g_new0(Script, 1);
  g_auto(GStrv) list = g_strsplit(servers, " ", -1);

  t->ask = (MadcapClientAsk){
    .errand = errand,
    .family = MAL_IPV4,
    .id = { own_id, sizeof own_id },
    .scope = address("239.255.0.0"),
    .min = 1,
    .desired = 1,
    .lifetime = 3600,
    .start = MAL_BEGINNING,
    .max_start = MAL_FOREVER,
    .take_first = true,
    .gather = US,
    .servers = t->servers,
    .groups = t->groups,
  };
  if (errand == MADCAP_RELEASE || errand == MADCAP_GETINFO)
    t->ask.lifetime = 0;
  for (char **s = list; *s != NULL && **s != '\0'; s++)
    t->servers[t->ask.n_servers++] = (MalEndpoint){ .address = address(*s), .port = 2535 };
  if (group)
    t->groups[t->ask.n_groups++] = (MalEndpoint){ .address = address("239.255.255.254"),
                                                  .port = 2535 };
  return t;
}

void run(Script *t)
{
  g_autoptr(GError) error = NULL;

  t->client = madcap_client_new(&t->ask, &script_ops, t, &error);
  cr_assert_not_null(t->client, "%s", error ? error->message : "");
  madcap_client_start(t->client, NOW, 0);
}

/* Time passes, to SECONDS since the start, with every deadline on the way. */
void until(Script *t, int64_t seconds)
{
  while (madcap_client_due(t->client) <= seconds * US) {
    t->mono = MAX(t->mono, madcap_client_due(t->client));
    madcap_client_tick(t->client, NOW + t->mono / US, t->mono);
  }
  t->mono = seconds * US;
}

void end(Script *t)
{
  madcap_client_free(t->client);
  g_free(t);
}

const Sent *last(const Script *t)
{
  cr_assert(t->n_sent > 0);
  return &t->sent[t->n_sent - 1];
}

/* ---- answers --------------------------------------------------------------------------------- */

static void put_lease(MadcapEncoder *e, const Reply *r)
{
  static const uint16_t retry = MADCAP_FEATURE_RETRY_AFTER;
  MalBlock block = mal_block_make(address(r->first ? r->first : "239.255.1.1"),
                                  r->count ? r->count : 1);
  bool list = r->type == MADCAP_ACK || r->first != NULL;

  madcap_put_scope(e, address(r->scope ? r->scope : "239.255.0.0"));
  if (r->start != 0)
    madcap_put_start_time(e, r->start);
  if (list)
    madcap_put_ranges(e, &block, r->retry_in ? 0 : 1);
  if (r->start != 0 || r->retry_in != 0)
    madcap_put_current_time(e, (uint32_t)NOW + 500);
  if (r->retry_in != 0) {
    madcap_put_features(e, &retry, 1, NULL, 0, &retry, 1);
    madcap_put_retry_time(e, (uint32_t)NOW + 500 + r->retry_in);
  }
}

/* To the newest message. */
bool answer(Script *t, const Reply *r)
{
  const Sent *to = last(t);
  uint8_t buffer[1500];
  MadcapMessage sent, msg;
  MadcapContext context = { .answers = to->type };

  cr_assert_eq(madcap_decode(to->data, to->length, &sent, NULL), MADCAP_OK);
  MadcapEncoder e = madcap_encoder(buffer, sizeof buffer, r->type, context, MAL_IPV4,
                                   r->other_xid ? to->xid + 1000 : to->xid);
  bool lease = r->type == MADCAP_OFFER ||
               (r->type == MADCAP_ACK && to->type != MADCAP_RELEASE && to->type != MADCAP_GETINFO);
  if (lease && !r->no_lease_time)
    madcap_put_lease_time(&e, r->lease_time ? r->lease_time : 3600);
  madcap_put_server_id(&e, address(r->from));
  madcap_put_lease_id(&e, r->other_id ? (const uint8_t *)"other" : sent.lease_id.data,
                      r->other_id ? 5 : sent.lease_id.length);
  if (lease)
    put_lease(&e, r);
  if (r->type == MADCAP_NAK && r->error == MADCAP_ERROR_CLOCK_SKEW)
    madcap_put_error_clock_skew(&e, (uint32_t)NOW + 9000);
  else if (r->type == MADCAP_NAK && r->error == MADCAP_ERROR_LEASE_ID_UNKNOWN)
    madcap_put_error(&e, r->error, NULL, 0);
  else if (r->type == MADCAP_NAK)
    madcap_put_error_option(&e, (MadcapErrorCode)r->error, r->option);
  size_t length = madcap_finish(&e);
  if (length == 0) { /* a required option is left out on purpose */
    cr_assert(r->no_lease_time);
    mal_write_u32(&e.writer, 0);
    length = e.writer.offset;
  }
  cr_assert_eq(madcap_decode(buffer, length, &msg, NULL), MADCAP_OK);
  MalEndpoint peer = { .address = address(r->source ? r->source : r->from), .port = 2535 };
  return madcap_client_receive(t->client, &peer, &msg, NOW + t->mono / US, t->mono);
}

const MadcapClientResult *over(const Script *t)
{
  const MadcapClientResult *r = madcap_client_result(t->client);

  cr_assert_not_null(r, "not over");
  return r;
}

bool is_open(const Script *t)
{
  return madcap_client_result(t->client) == NULL;
}
