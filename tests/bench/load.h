/* Load on a MADCAP server from one socket, and on a bare UDP echo with datagrams of the same sizes,
   in the same batches. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
  ECHO_REQUEST, REQUEST, ECHO_FULL, FULL,
  MIX,                                  /* 40 REQUEST, 40 RENEW, 20 RELEASE */
  RENEW,
  TURNOVER,                             /* a REQUEST where too few are held, else a RELEASE */
  KINDS,
} Kind;

typedef struct {
  char *server, *group, *scope;         /* addresses; the scope's first one */
  int port, echo_port, lifetime;
  int in_flight;                        /* messages under way in the closed loop */
  int pid, echo_pid;                    /* whose processor time is counted; 0: none */
} LoadOptions;

typedef struct {
  double rate, seconds;                 /* the rate stands first */
  uint64_t done, lost, refused, unsent;
  double p50, p99, p999, worst;         /* microseconds */
  double late;                          /* p99 of how late the generator itself was, likewise; in
                                           what stands above, too */
  double cpu, cpu_main;                 /* microseconds of the other end an exchange */
} Result;

typedef struct Load Load;

/* OPTIONS must stay. */
Load *load_new(const LoadOptions *options);
void load_free(Load *load);
/* What TURNOVER holds from now on, and how many leases are held. */
void load_hold(Load *load, size_t leases);
size_t load_held(const Load *load);
/* RATE 0: a closed loop; it ends after so many SECONDS or exchanges, whatever comes first. */
Result load_measure(Load *load, Kind kind, double rate, double seconds, uint64_t most);
/* The other end of the bare echo: recvmmsg, sendmmsg, no more. */
_Noreturn void load_echo(int port);

#endif
