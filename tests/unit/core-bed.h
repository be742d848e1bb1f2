/* The whole core under a fake runtime, with plugins of the test's own. */
#ifndef CORE_BED_H
#define CORE_BED_H

#include "core/control-core.h"
#include "core/core.h"
#include "tests/support/fake-runtime.h"

#include <criterion/criterion.h>
#include <string.h>

#define SCOPES                                                                      \
  "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"           \
  "[scope six]\nfamily=ipv6\nfirst=ff15::db8:8000:0\nlast=ff15:1::db8:8fff:ffff\n"
#define LAB "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.15\n"
#define DAEMON "[daemon]\nplugins=alpha;beta\nroles=maas\n"

/* ---- two plugins that write down what is done to them ---------------------------------------- */

typedef struct {
  GString *calls;             /* "alpha.open beta.open ..." */
  const char *fail;           /* this one fails */
  MalReload reload;
  const char *reload_value;   /* of key word, as the last reload or open saw it */
  MalVerdict verdict;
  GArray *asked;              /* Asked, by the arbiter */
  unsigned demands;
  MalLeases *leases;
} Script;

typedef struct { uint64_t ticket; MalSpan span; } Asked;

/* Each Criterion test is a process of its own, and hooks without an instance have no other way to
   it. */
extern Script script;

/* ---- a daemon -------------------------------------------------------------------------------- */

typedef struct {
  FakeRuntime *fake;
  MalRuntime *rt;
  MalStore *store;
  MalCore *core;
  char *dir, *config;
  bool on_disk;
  GString *log;
  char *error;                /* of the last call that was refused */
  unsigned done;
  int code;
} Bed;

Bed prepare(bool on_disk);
bool up(Bed *b, const char *config);
bool reload(Bed *b, const char *config);
void down(Bed *b);
void clear(Bed *b);
Bed bed(const char *config);
void done(const GError *error, void *data);

#define must_have_called(b, text)                       \
  do {                                                  \
    cr_assert_str_eq(script.calls->str, text);          \
    g_string_truncate(script.calls, 0);                 \
  } while (0)

MalSpan span(const char *text);
bool add_range(Bed *b, const char *name, const char *where, MalTime until);
bool remove_range(Bed *b, const char *name, bool force);
bool add_reserve(Bed *b, const char *name, const char *where);

/* ---- control calls --------------------------------------------------------------------------- */

typedef struct { unsigned answers; int code; json_object *result; char *message; } Answer;

void answer_clear(Answer *a);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)
void begin(Bed *b, Answer *a, const char *method, const char *params);
int call(Bed *b, const char *method, const char *params);
bool has_lease(Bed *b, uint8_t id);
uint64_t metric(Bed *b, const char *name);

#define LEASE(n, more) "{\"scope\":\"local\",\"lease\":\"" n "\"" more "}"

#endif
