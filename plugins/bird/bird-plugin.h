/* The running instance: runs the machine of bird-sync.h and does what it asks. */
#ifndef BIRD_PLUGIN_H
#define BIRD_PLUGIN_H

#include "core/plugin.h"

#include "bird-tables.h"
#include "bird-wire.h"

typedef struct {
  MalHost host;
  BirdConfig config;
  BirdSync sync;
  MalTimer *timer;
  MalWorker *worker;
  MalStream *stream;
  BirdReader reader;
  unsigned watch;
  bool stopping;
  char *text;                 /* of the file, as it was last rendered */
  char *accepted;             /* what the file has and BIRD took; NULL: that isn't so */
  BirdCount count;
  char *version;              /* as BIRD greeted last */
  char *trouble;              /* what was last said to be wrong, until it works */
  bool refusing;              /* the trouble is a refusal: BIRD was reached */
  MalTime accepted_at;        /* MAL_BEGINNING: not yet */
} Bird;

Bird *bird_plugin_open(const MalHost *host);
void bird_plugin_start(Bird *b);
MalReload bird_plugin_reload(Bird *b, const MalConfig *config);
void bird_plugin_stop(Bird *b);
void bird_plugin_close(Bird *b);
void bird_plugin_now(Bird *b);
json_object *bird_plugin_status(Bird *b);

#endif
