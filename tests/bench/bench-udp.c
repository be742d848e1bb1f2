/* How much the runtime costs over bare system calls: a UDP echo on the loopback interface, 64
   datagrams in flight, one thread; first by recvmmsg and sendmmsg alone, then through the runtime,
   in turns. Prints echoes per second of processor time (so that other load matters little) of both,
   and their ratio.

   usage: bench-udp [SECONDS [OCTETS]] */
#define _GNU_SOURCE
#include "core/runtime-glib.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, LARGEST = 1400, TURNS = 5 };

static const uint8_t payload[LARGEST];

static double cpu_seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- bare ------------------------------------------------------------------------------------ */

typedef struct {
  int fd;
  struct sockaddr_in address;
  struct mmsghdr messages[BATCH];
  struct iovec vectors[BATCH];
  struct sockaddr_in names[BATCH];
  uint8_t data[BATCH][2048];
} Bare;

static void bare_open(Bare *bare)
{
  socklen_t length = sizeof bare->address;

  bare->address = (struct sockaddr_in){ .sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  bare->fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (bare->fd < 0 || bind(bare->fd, (struct sockaddr *)&bare->address, length) != 0
      || getsockname(bare->fd, (struct sockaddr *)&bare->address, &length) != 0) {
    perror("bench-udp");
    exit(1);
  }
  for (int i = 0; i < BATCH; i++)
    bare->messages[i].msg_hdr = (struct msghdr){
      .msg_name = &bare->names[i], .msg_iov = &bare->vectors[i], .msg_iovlen = 1,
    };
}

/* Receives all that is in flight, at least one datagram. */
static unsigned bare_receive(Bare *bare, unsigned count)
{
  for (unsigned i = 0; i < count; i++) {
    bare->messages[i].msg_hdr.msg_namelen = sizeof bare->names[i];
    bare->vectors[i] = (struct iovec){ bare->data[i], sizeof bare->data[i] };
  }
  int n = recvmmsg(bare->fd, bare->messages, count, MSG_WAITFORONE, NULL);
  for (int i = 0; i < n; i++)
    bare->vectors[i].iov_len = bare->messages[i].msg_len;
  return n > 0 ? (unsigned)n : 0;
}

static void bare_send(Bare *bare, unsigned count)
{
  unsigned sent = 0;

  while (sent < count) {
    int n = sendmmsg(bare->fd, bare->messages + sent, count - sent, 0);
    if (n < 0 && errno != EINTR) {
      perror("bench-udp: sendmmsg");
      exit(1);
    }
    sent += n > 0 ? (unsigned)n : 0;
  }
}

static void bare_round(Bare *client, Bare *server, size_t octets)
{
  for (unsigned i = 0; i < BATCH; i++) {
    client->names[i] = server->address;
    client->messages[i].msg_hdr.msg_namelen = sizeof server->address;
    memcpy(client->data[i], payload, octets);
    client->vectors[i] = (struct iovec){ client->data[i], octets };
  }
  bare_send(client, BATCH);
  for (unsigned done = 0, n; done < BATCH; done += n) {
    n = bare_receive(server, BATCH);
    bare_send(server, n);
  }
  for (unsigned done = 0; done < BATCH;)
    done += bare_receive(client, BATCH);
}

static double bare_rate(double seconds, size_t octets)
{
  Bare *client = g_new0(Bare, 1), *server = g_new0(Bare, 1);
  gint64 end = g_get_monotonic_time() + (gint64)(seconds * 1e6);
  double start;
  uint64_t echoes = 0;

  bare_open(client);
  bare_open(server);
  start = cpu_seconds();
  while (g_get_monotonic_time() < end) {
    bare_round(client, server, octets);
    echoes += BATCH;
  }
  double rate = (double)echoes / (cpu_seconds() - start);
  close(client->fd);
  close(server->fd);
  g_free(client);
  g_free(server);
  return rate;
}

/* ---- through the runtime --------------------------------------------------------------------- */

typedef struct {
  MalDatagram datagram;
  uint64_t echoes;
  unsigned waiting;
} Client;

static void serve(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  (void)data;
  for (size_t i = 0; i < count; i++)
    mal_udp_send(udp, &datagrams[i]);
}

static void client_round(MalUdp *udp, Client *client)
{
  for (client->waiting = 0; client->waiting < BATCH; client->waiting++)
    mal_udp_send(udp, &client->datagram);
}

static void count_echoes(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  Client *client = data;

  (void)datagrams;
  client->echoes += count;
  client->waiting -= (unsigned)count;
  if (client->waiting == 0)
    client_round(udp, client);
}

static double runtime_rate(double seconds, size_t octets)
{
  static const MalUdpOptions options = { .family = MAL_IPV4 };
  g_autoptr(GMainContext) context = g_main_context_new();
  MalRuntime *rt = mal_runtime_glib_new(context);
  Client state = { .datagram = { .data = payload, .length = octets } };
  MalUdp *server = mal_udp_open(rt, &options, serve, NULL, NULL);
  MalUdp *client = mal_udp_open(rt, &options, count_echoes, &state, NULL);
  gint64 end = g_get_monotonic_time() + (gint64)(seconds * 1e6);
  double start;

  if (server == NULL || client == NULL)
    exit(1);
  state.datagram.peer = (MalEndpoint){ mal_address_ipv4(INADDR_LOOPBACK), mal_udp_port(server), 0 };
  client_round(client, &state);
  start = cpu_seconds();
  while (g_get_monotonic_time() < end)
    g_main_context_iteration(context, TRUE);
  double rate = (double)state.echoes / (cpu_seconds() - start);
  mal_udp_close(server);
  mal_udp_close(client);
  mal_runtime_glib_free(rt);
  return rate;
}

static int compare(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
  double seconds = argc > 1 ? g_ascii_strtod(argv[1], NULL) : 5;
  size_t octets = argc > 2 ? MIN((size_t)g_ascii_strtoull(argv[2], NULL, 10), LARGEST) : 100;
  double bare[TURNS], ours[TURNS], ratios[TURNS];

  for (int i = 0; i < TURNS; i++) {
    bare[i] = bare_rate(seconds / (2 * TURNS), octets);
    ours[i] = runtime_rate(seconds / (2 * TURNS), octets);
    ratios[i] = ours[i] / bare[i];
  }
  qsort(bare, TURNS, sizeof *bare, compare);
  qsort(ours, TURNS, sizeof *ours, compare);
  qsort(ratios, TURNS, sizeof *ratios, compare);
  printf("UDP echo, %zu octets, %d in flight (median of %d turns)\n", octets, BATCH, TURNS);
  printf("  bare system calls  %10.0f echoes/CPU s\n", bare[TURNS / 2]);
  printf("  through the runtime%10.0f echoes/CPU s\n", ours[TURNS / 2]);
  printf("  ratio              %10.3f (%.3f to %.3f)\n", ratios[TURNS / 2], ratios[0],
         ratios[TURNS - 1]);
  return 0;
}
