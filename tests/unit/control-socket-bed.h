/* A control socket with methods of a test's, and clients that say what they like. */
#pragma once

#include "core/control-socket.h"

#include <stdbool.h>
#include <stddef.h>

#define STATUS "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":1}\n"
#define SLOW "{\"jsonrpc\":\"2.0\",\"method\":\"test.slow\",\"id\":1}\n"
#define WAIT "{\"jsonrpc\":\"2.0\",\"method\":\"test.wait\",\"id\":\"w\"}\n"

typedef struct {
  GMainContext *context;
  MalRuntime *rt;
  MalEvents *events;
  MalControl *control;
  MalControlSocket *socket;
  char *dir, *path;
  MalCall *waiting;
  unsigned calls;
  bool flood; /* test.echo emits events before it answers */
} Bed;

extern const MalEventDef bed_noise;

/* Its methods point to it: it stays where it is until bed_clear(). */
void bed_init(Bed *b);
void bed_clear(Bed *b);
#define BED(b)                                                                                     \
  Bed b;                                                                                           \
  bed_init(&b)

/* N events of a kilooctet. */
void bed_make_noise(Bed *b, unsigned n);

/* A connection, which does not block. The caller closes it. */
int bed_client(const Bed *b);

/* Lets the server do what there is to do. */
void bed_turn(Bed *b);

/* Writes all of it while the server runs; false where the server hung up first. */
bool bed_say_octets(Bed *b, int fd, const char *text, size_t length);
bool bed_say(Bed *b, int fd, const char *text);

/* The next line as JSON; NULL at the end of the connection. The caller puts it. */
json_object *bed_hear(Bed *b, int fd);

bool bed_is_answer(json_object *o);

/* The code of the next answer (0: a result), past notifications; 1 where the connection ended. */
int bed_answer(Bed *b, int fd);
