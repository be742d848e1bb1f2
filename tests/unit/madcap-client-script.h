/* Scripts for the client machine: a clock by hand, what it sends, and answers to that. */
#ifndef MADCAP_CLIENT_SCRIPT_H
#define MADCAP_CLIENT_SCRIPT_H

#include "plugins/madcap/madcap-client.h"

#define US INT64_C(1000000)
#define NOW INT64_C(1767225600) /* the wall clock at monotonic 0 */
#define MAX_SENT 64

extern const uint8_t own_id[17];
extern const MadcapClientOps script_ops;

typedef struct {
  int64_t at; /* seconds */
  MadcapType type;
  MalAddress to;
  uint32_t xid;
  uint8_t data[1500];
  size_t length;
} Sent;

typedef struct {
  MadcapClient *client;
  MadcapClientAsk ask;
  int64_t mono;
  uint32_t next_xid;
  uint8_t next_id;
  Sent sent[MAX_SENT];
  size_t n_sent;
  unsigned heard, unfit, infos;
  MalEndpoint servers[4], groups[2];
} Script;

typedef struct {
  MadcapType type;
  const char *from; /* server identifier, and source unless SOURCE */
  const char *source;
  uint32_t lease_time; /* 0: 3600 */
  const char *first;   /* of the addresses; NULL: 239.255.1.1, in an OFFER: no list */
  uint32_t count;      /* 0: 1 */
  uint32_t start;
  uint32_t retry_in; /* not 0: an empty list and Retry After */
  uint16_t error, option;
  const char *scope;
  bool other_xid, other_id, no_lease_time;
} Reply;

MalAddress address(const char *text);
Script *script(MadcapType errand, const char *servers, bool group);
void run(Script *t);
void until(Script *t, int64_t seconds);
void end(Script *t);
const Sent *last(const Script *t);
bool answer(Script *t, const Reply *r);
const MadcapClientResult *over(const Script *t);
bool is_open(const Script *t);
#define ANSWER(t, ...) answer((t), &(Reply){ __VA_ARGS__ })

#endif
