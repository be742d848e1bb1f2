/* A whole daemon with the MADCAP plugin under the fake runtime: real core and lease engine, a store
   in memory or on disk. Interfaces: lo (127.0.0.1, ::1) and eth0 (192.0.2.1, 2001:db8::1, fe80::1).
   Scopes: local inside org, and site6. */
#ifndef MADCAP_DAEMON_H
#define MADCAP_DAEMON_H

#include "core/core.h"
#include "plugins/madcap/madcap-wire.h"
#include "tests/support/fake-runtime.h"

typedef struct {
  FakeRuntime *fake;
  MalCore *core;
  uint32_t eth0, lo;
  GString *log;
  char *dir;                  /* holds the configuration, and the database if there is one */
  bool on_disk;
} Daemon;

/* MADCAP: the lines of the group [madcap]. daemon_free it. */
Daemon daemon_new(const char *madcap);
/* In two steps, where on_disk is to be set or the start may fail. */
void daemon_prepare(Daemon *d);
bool daemon_try(Daemon *d, const char *madcap, GError **error);
void daemon_free(Daemon *d);
/* Writes another configuration, to be reloaded. */
void daemon_configure(const Daemon *d, const char *madcap);
MalUdp *daemon_udp(const Daemon *d, MalFamily family);
uint64_t daemon_metric(Daemon *d, const char *name);
MalAddress an_address(const char *text);

typedef struct {
  MadcapType type;
  uint32_t xid;
  const char *scope, *server;
  uint32_t lease_time;
  const uint8_t *id;
  bool retry;                 /* knows Retry After */
  uint16_t number;
} Ask;

/* Lease identifiers. */
extern const uint8_t one[9], two[9];

size_t write_ask(const Ask *a, bool multicast, uint8_t *out);
/* From port 4000 of PEER to TO, on eth0. */
void deliver(Daemon *d, const char *peer, const char *to, const Ask *a);
/* The answer with this number, which must be the last. */
MadcapMessage answer(Daemon *d, size_t n);

#endif
