/* The generator: messages from templates, many under way on one socket, and what came of them. */
#define _GNU_SOURCE
#include "load.h"

#include "plugins/madcap/madcap-wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  BATCH = 64, LARGEST = 512, SLOT_BITS = 19, SLOTS = 1 << SLOT_BITS, ID = 16,
  LIVE = 1 << 20, BUCKETS = 64 * 40,
};
#define LOST_AFTER INT64_C(1000000000)
#define TOO_LATE INT64_C(5000000)
#define TICK INT64_C(100000)

/* ---- batches of datagrams -------------------------------------------------------------------- */

typedef union {
  struct cmsghdr align;
  uint8_t octets[CMSG_SPACE(sizeof(struct timespec))];
} Stamp;

typedef struct {
  struct mmsghdr messages[BATCH];
  struct iovec vectors[BATCH];
  struct sockaddr_in names[BATCH];
  Stamp stamps[BATCH];
  uint8_t data[BATCH][LARGEST];
  unsigned count;
} Side;

static void side_init(Side *side)
{
  for (int i = 0; i < BATCH; i++) {
    side->vectors[i].iov_base = side->data[i];
    side->messages[i].msg_hdr = (struct msghdr){
      .msg_name = &side->names[i], .msg_iov = &side->vectors[i], .msg_iovlen = 1,
    };
  }
}

static unsigned side_receive(Side *side, int fd, int flags)
{
  for (unsigned i = 0; i < BATCH; i++) {
    side->messages[i].msg_hdr.msg_namelen = sizeof side->names[i];
    side->vectors[i].iov_len = LARGEST;
    side->messages[i].msg_hdr.msg_control = &side->stamps[i];
    side->messages[i].msg_hdr.msg_controllen = sizeof side->stamps[i];
  }
  int n = recvmmsg(fd, side->messages, BATCH, flags, NULL);
  return side->count = n > 0 ? (unsigned)n : 0;
}

static void side_send(Side *side, int fd)
{
  for (unsigned sent = 0; sent < side->count;) {
    int n = sendmmsg(fd, side->messages + sent, side->count - sent, 0);
    if (n < 0 && errno != EINTR && errno != ECONNREFUSED) {
      perror("bench-madcap: sendmmsg");
      exit(1);
    }
    sent += n > 0 ? (unsigned)n : 0;
  }
  side->count = 0;
}

static int socket_open(uint16_t local_port)
{
  struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(local_port) };
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int size = 8 * 1024 * 1024;

  if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) != 0) {
    perror("bench-madcap");
    exit(1);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  return fd;
}

/* Octets 2 and 3 of what comes say how long the answer is to be. */
_Noreturn void load_echo(int port)
{
  Side *side = g_new0(Side, 1);
  int fd = socket_open((uint16_t)port);

  side_init(side);
  for (;;) {
    unsigned n = side_receive(side, fd, MSG_WAITFORONE);
    for (unsigned i = 0; i < n; i++) {
      size_t length = (size_t)side->data[i][2] << 8 | side->data[i][3];
      side->vectors[i].iov_len = CLAMP(length, MADCAP_HEADER_LENGTH, LARGEST);
    }
    side_send(side, fd);
  }
}

/* ---- messages -------------------------------------------------------------------------------- */

typedef struct {
  uint8_t bytes[LARGEST];
  size_t length, id_at;
  struct sockaddr_in to;
} Template;

typedef enum {
  T_ECHO, T_DISCOVER, T_CHOOSE, T_REQUEST, T_RENEW, T_RELEASE, TEMPLATES,
} TemplateKind;

static MalAddress address_of(const char *text)
{
  struct in_addr in;

  if (text == NULL || inet_pton(AF_INET, text, &in) != 1) {
    fprintf(stderr, "bench-madcap: %s is no IPv4 address\n", text != NULL ? text : "(nothing)");
    exit(2);
  }
  return mal_address_ipv4(ntohl(in.s_addr));
}

static struct sockaddr_in name_of(const char *text, int to_port)
{
  return (struct sockaddr_in){
    .sin_family = AF_INET, .sin_port = htons((uint16_t)to_port),
    .sin_addr.s_addr = htonl((uint32_t)address_of(text).value),
  };
}

static void template_make(const LoadOptions *o, Template *t, MadcapType type, bool group,
                          bool names_server)
{
  static const uint8_t marker[ID] = "where the ID is";
  MadcapContext context = { .multicast = group };
  MadcapEncoder e = madcap_encoder(t->bytes, sizeof t->bytes, type, context, MAL_IPV4, 0);

  if (type != MADCAP_RELEASE)
    madcap_put_lease_time(&e, (uint32_t)o->lifetime);
  if (names_server)
    madcap_put_server_id(&e, address_of(o->server));
  madcap_put_lease_id(&e, marker, sizeof marker);
  if (type == MADCAP_DISCOVER || type == MADCAP_REQUEST)
    madcap_put_scope(&e, address_of(o->scope));
  t->length = madcap_finish(&e);
  t->to = name_of(group ? o->group : o->server, o->port);
  const uint8_t *at = memmem(t->bytes, t->length, marker, sizeof marker);
  if (at == NULL)
    g_error("the encoder refuses a %s", madcap_type_name(type));
  t->id_at = (size_t)(at - t->bytes);
}

/* ---- one measurement ------------------------------------------------------------------------- */

typedef struct {
  int64_t due;              /* when it should have been sent; 0: free */
  uint64_t id;
  uint32_t xid;
  TemplateKind under_way;
} Slot;

typedef struct { uint32_t xid; int64_t sent; } Sent;

struct Load {
  const LoadOptions *options;
  int fd;
  Kind kind;
  Side in, out;
  Template templates[TEMPLATES];
  size_t answer[KINDS];                 /* octets of what the echo is to answer */
  Slot slots[SLOTS];
  uint32_t free[SLOTS];
  unsigned n_free;
  Sent *sent;                           /* a ring of SLOTS * 2, in the order of sending */
  size_t sent_head, sent_count;
  uint64_t *live;                       /* leases that RENEW and RELEASE may take */
  size_t n_live;
  size_t held, hold;                    /* those and the ones under way; the aim of TURNOVER */
  uint64_t run, last_id, random;
  uint32_t last_turn;
  uint64_t buckets[BUCKETS];
  uint64_t late[BUCKETS], sendings;     /* how late this end itself was */
  Result result;
};

static int64_t ns_of(struct timespec t)
{
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t clock_ns(clockid_t clock)
{
  struct timespec t;
  clock_gettime(clock, &t);
  return ns_of(t);
}

static int64_t now_ns(void)
{
  return clock_ns(CLOCK_MONOTONIC);
}

/* When the system got message I: this process may have waited for a processor since. NOW where the
   system doesn't say. */
static int64_t arrived_at(Side *side, unsigned i, int64_t now, int64_t wall)
{
  struct cmsghdr *c = CMSG_FIRSTHDR(&side->messages[i].msg_hdr);
  struct timespec stamp;

  if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
    return now;
  memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
  return now - CLAMP(wall - ns_of(stamp), 0, LOST_AFTER);
}

static uint64_t random_next(Load *b)
{
  b->random ^= b->random << 13;
  b->random ^= b->random >> 7;
  b->random ^= b->random << 17;
  return b->random;
}

/* 64 buckets to each power of two of nanoseconds: within 2 % everywhere. */
static unsigned bucket_of(uint64_t ns)
{
  unsigned shift = ns < 64 ? 0 : 57u - (unsigned)__builtin_clzll(ns);
  return MIN(shift * 64 + (unsigned)(ns >> shift), BUCKETS - 1);
}

/* Microseconds. */
static double percentile(const uint64_t *buckets, uint64_t count, double part)
{
  uint64_t want = (uint64_t)ceil((double)count * part), seen = 0;

  for (unsigned i = 0; i < BUCKETS; i++)
    if ((seen += buckets[i]) >= want && seen > 0) {
      unsigned shift = i < 128 ? 0 : i / 64 - 1;
      return ldexp((double)(i - shift * 64) + 0.5, (int)shift) / 1000;
    }
  return 0;
}

static void note_late(Load *b, int64_t ns)
{
  b->late[bucket_of((uint64_t)MAX(ns, 0))]++;
  b->sendings++;
}

static void put32(uint8_t *at, uint32_t value)
{
  value = htonl(value);
  memcpy(at, &value, sizeof value);
}

static uint32_t get32(const uint8_t *at)
{
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return ntohl(value);
}

static void put_message(Load *b, uint32_t place, int64_t now)
{
  Slot *slot = &b->slots[place];
  const Template *t = &b->templates[slot->under_way];
  unsigned i = b->out.count++;
  uint8_t *bytes = b->out.data[i];

  slot->xid = ++b->last_turn << SLOT_BITS | place;
  memcpy(bytes, t->bytes, t->length);
  put32(bytes + 4, slot->xid);
  if (slot->under_way != T_ECHO) {
    memcpy(bytes + t->id_at, &b->run, 8);
    memcpy(bytes + t->id_at + 8, &slot->id, 8);
  }
  b->out.names[i] = t->to;
  b->out.messages[i].msg_hdr.msg_namelen = sizeof t->to;
  b->out.vectors[i].iov_len = t->length;
  b->sent[(b->sent_head + b->sent_count++) % (SLOTS * 2)] = (Sent){ slot->xid, now };
  if (b->out.count == BATCH)
    side_send(&b->out, b->fd);
}

static void slot_free(Load *b, uint32_t place)
{
  b->slots[place].due = 0;
  b->free[b->n_free++] = place;
}

static uint64_t take_live(Load *b)
{
  size_t at = random_next(b) % b->n_live;
  uint64_t id = b->live[at];

  b->live[at] = b->live[--b->n_live];
  return id;
}

static TemplateKind kind_of_next(Load *b)
{
  uint64_t dice = random_next(b) % 100;

  switch (b->kind) {
  case ECHO_REQUEST:
  case ECHO_FULL:
    return T_ECHO;
  case FULL:
    return T_DISCOVER;
  case MIX:
    if (dice >= 60 || b->n_live <= 1024)
      return T_REQUEST;
    return dice < 40 ? T_RENEW : T_RELEASE;
  case RENEW:
    return b->n_live > 0 ? T_RENEW : T_REQUEST;
  case TURNOVER:
    return b->held >= b->hold && b->n_live > 0 ? T_RELEASE : T_REQUEST;
  default:
    return T_REQUEST;
  }
}

static void choose(Load *b, Slot *slot)
{
  slot->under_way = kind_of_next(b);
  if (slot->under_way == T_RENEW || slot->under_way == T_RELEASE) {
    slot->id = take_live(b);
  } else {
    slot->id = ++b->last_id;
    b->held += b->kind >= MIX;
  }
}

static void begin(Load *b, int64_t due, int64_t now)
{
  uint32_t place = b->free[--b->n_free];

  b->slots[place].due = due;
  note_late(b, now - due);
  choose(b, &b->slots[place]);
  put_message(b, place, now);
}

static void finish(Load *b, uint32_t place, int64_t now)
{
  Slot *slot = &b->slots[place];

  b->buckets[bucket_of((uint64_t)MAX(now - slot->due, 0))]++;
  b->result.done++;
  b->result.worst = MAX(b->result.worst, (double)(now - slot->due) / 1000);
  if (b->kind >= MIX && slot->under_way != T_RELEASE && b->n_live < LIVE)
    b->live[b->n_live++] = slot->id;
  else if (b->kind >= MIX)
    b->held--;
  slot_free(b, place);
}

static void take(Load *b, const uint8_t *bytes, size_t length, int64_t now, int64_t read)
{
  uint32_t xid = length < MADCAP_HEADER_LENGTH ? 0 : get32(bytes + 4), place = xid & (SLOTS - 1);
  Slot *slot = &b->slots[place];

  if (xid == 0 || slot->due == 0 || slot->xid != xid)   /* comes after we called it lost */
    return;
  if (slot->under_way != T_ECHO && length != 0 && bytes[1] == MADCAP_NAK) {
    b->result.refused++;
    b->held -= b->kind >= MIX;
    slot_free(b, place);
  } else if (slot->under_way == T_DISCOVER) {
    b->answer[ECHO_FULL] = length;
    slot->under_way = T_CHOOSE;
    note_late(b, read - now);
    put_message(b, place, now);
  } else {
    if (slot->under_way == T_REQUEST)
      b->answer[ECHO_REQUEST] = length;
    finish(b, place, now);
  }
}

static void give_up(Load *b, int64_t now)
{
  while (b->sent_count > 0) {
    Sent *first = &b->sent[b->sent_head];
    Slot *slot = &b->slots[first->xid & (SLOTS - 1)];
    bool waits = slot->due != 0 && slot->xid == first->xid;
    if (waits && now - first->sent < LOST_AFTER && b->sent_count < SLOTS * 2 - BATCH)
      break;
    if (waits) {
      b->result.lost++;
      b->held -= b->kind >= MIX;
      slot_free(b, first->xid & (SLOTS - 1));
    }
    b->sent_head = (b->sent_head + 1) % (SLOTS * 2);
    b->sent_count--;
  }
}

/* Takes what is there; whether something was. */
static bool take_all(Load *b)
{
  unsigned n = side_receive(&b->in, b->fd, MSG_DONTWAIT);
  bool some = n > 0;
  int64_t now = now_ns();

  for (unsigned rounds = 0; n > 0 && rounds < 16; rounds++) {
    int64_t wall = clock_ns(CLOCK_REALTIME);
    for (unsigned i = 0; i < n; i++)
      take(b, b->in.data[i], b->in.messages[i].msg_len, arrived_at(&b->in, i, now, wall), now);
    n = n < BATCH ? 0 : side_receive(&b->in, b->fd, MSG_DONTWAIT);
    now = now_ns();
  }
  give_up(b, now);
  return some;
}

static void send_rest(Load *b)
{
  if (b->out.count > 0)
    side_send(&b->out, b->fd);
}

/* Sends what was prepared, and receives what is there, or waits for it that long. */
static void turn(Load *b, int64_t wait)
{
  struct pollfd poll_fd = { .fd = b->fd, .events = POLLIN };
  struct timespec patience = { wait / 1000000000, wait % 1000000000 };

  send_rest(b);
  if (!take_all(b) && wait > 0 && ppoll(&poll_fd, 1, &patience, NULL) > 0)
    take_all(b);
}

static void closed_loop(Load *b, int64_t end, uint64_t most)
{
  int64_t now;

  while ((now = now_ns()) < end && b->result.done < most) {
    while (b->n_free > (unsigned)(SLOTS - CLAMP(b->options->in_flight, 1, SLOTS / 2)))
      begin(b, now, now);
    turn(b, 10000000);
  }
}

static void sleep_until(int64_t when)
{
  struct timespec t = { when / 1000000000, when % 1000000000 };

  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
    ;
}

/* What is due goes out at each tick, with the answers to what came since the last: a host that
   stands for thousands would need more of the machine's processors if each answer woke it, and they
   are the server's, too. The wait for the tick counts as latency. */
static void open_loop(Load *b, double rate, int64_t end)
{
  int64_t start = now_ns(), tick = start, now;
  uint64_t begun = 0;

  while ((now = now_ns()) < end) {
    uint64_t due = (uint64_t)((double)(now - start) * rate / 1e9);
    /* What this end is late with says nothing of the other. */
    uint64_t hopeless = (uint64_t)((double)MAX(now - start - TOO_LATE, 0) * rate / 1e9);
    b->result.unsent += hopeless > begun ? hopeless - begun : 0;
    begun = MAX(begun, hopeless);
    for (unsigned i = 0; begun < due && i < BATCH; begun++, i++)
      if (b->n_free > 0)
        begin(b, start + (int64_t)((double)begun * 1e9 / rate), now);
      else
        b->result.unsent++;
    take_all(b);
    send_rest(b);
    tick = MAX(tick + TICK, now);
    if (begun == due)
      sleep_until(tick);
  }
}

/* Nanoseconds that the process, and its main thread alone, have run. */
static void cpu_of(int process, double *all, double *first)
{
  g_autofree char *folder = g_strdup_printf("/proc/%d/task", process);
  g_autoptr(GDir) dir = process != 0 ? g_dir_open(folder, 0, NULL) : NULL;

  *all = *first = 0;
  for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
    g_autofree char *path = g_strdup_printf("%s/%s/schedstat", folder, name);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
      continue;
    double ran = g_ascii_strtod(text, NULL);
    *all += ran;
    if (atoi(name) == process)
      *first = ran;
  }
}

static void reset(Load *b, Kind kind)
{
  b->kind = kind;
  b->result = (Result){ 0 };
  memset(b->buckets, 0, sizeof b->buckets);
  memset(b->late, 0, sizeof b->late);
  b->sendings = 0;
  b->n_free = 0;
  for (uint32_t i = 0; i < SLOTS; i++)
    slot_free(b, SLOTS - 1 - i);
  b->sent_head = b->sent_count = 0;
  b->held = b->n_live;
  Template *echo = &b->templates[T_ECHO];
  *echo = b->templates[kind == ECHO_FULL ? T_DISCOVER : T_REQUEST];
  echo->bytes[2] = (uint8_t)(b->answer[kind] >> 8);
  echo->bytes[3] = (uint8_t)b->answer[kind];
  echo->to = name_of(b->options->server, b->options->echo_port);
}

Result load_measure(Load *b, Kind kind, double rate, double seconds, uint64_t most)
{
  int process = kind == ECHO_REQUEST || kind == ECHO_FULL ? b->options->echo_pid
                                                            : b->options->pid;
  double all[2], first[2];

  reset(b, kind);
  cpu_of(process, &all[0], &first[0]);
  int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9);
  if (rate > 0)
    open_loop(b, rate, end);
  else
    closed_loop(b, end, most);
  uint64_t done = b->result.done;
  b->result.seconds = (double)(now_ns() - start) / 1e9;
  cpu_of(process, &all[1], &first[1]);
  b->result.rate = (double)done / b->result.seconds;
  b->result.cpu = (all[1] - all[0]) / 1000 / (double)MAX(done, 1);
  b->result.cpu_main = (first[1] - first[0]) / 1000 / (double)MAX(done, 1);
  for (int64_t stop = now_ns() + 2 * LOST_AFTER; b->n_free < SLOTS && now_ns() < stop;)
    turn(b, 10000000);                  /* what is still under way counts as answered or lost */
  uint64_t ended = b->result.done;
  b->result.p50 = MIN(percentile(b->buckets, ended, 0.5), b->result.worst);
  b->result.p99 = MIN(percentile(b->buckets, ended, 0.99), b->result.worst);
  b->result.p999 = MIN(percentile(b->buckets, ended, 0.999), b->result.worst);
  b->result.late = percentile(b->late, b->sendings, 0.99);
  return b->result;
}

Load *load_new(const LoadOptions *o)
{
  Load *b = g_new0(Load, 1);
  int stamps = 1;

  b->options = o;
  (void)prctl(PR_SET_TIMERSLACK, 1UL);  /* nanoseconds, not 50,000 */
  b->fd = socket_open(0);
  (void)setsockopt(b->fd, SOL_SOCKET, SO_TIMESTAMPNS, &stamps, sizeof stamps);
  side_init(&b->in);
  side_init(&b->out);
  b->sent = g_new(Sent, SLOTS * 2);
  b->live = g_new(uint64_t, LIVE);
  b->run = (uint64_t)g_random_int() << 32 | g_random_int();
  b->random = b->run | 1;
  b->answer[ECHO_REQUEST] = b->answer[ECHO_FULL] = 64;
  template_make(o, &b->templates[T_DISCOVER], MADCAP_DISCOVER, true, false);
  template_make(o, &b->templates[T_CHOOSE], MADCAP_REQUEST, true, true);
  template_make(o, &b->templates[T_REQUEST], MADCAP_REQUEST, false, false);
  template_make(o, &b->templates[T_RENEW], MADCAP_RENEW, false, false);
  template_make(o, &b->templates[T_RELEASE], MADCAP_RELEASE, false, false);
  return b;
}

void load_free(Load *b)
{
  close(b->fd);
  g_free(b->sent);
  g_free(b->live);
  g_free(b);
}

void load_hold(Load *b, size_t leases)
{
  b->hold = MIN(leases, LIVE);
}

size_t load_held(const Load *b)
{
  return b->n_live;
}
