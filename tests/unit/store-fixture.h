/* A store in a directory of its own under a fake runtime, samples to put into it, and what it told
   and loads. One test a process at a time: Criterion forks for each. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include "core/store-sqlite.h"
#include "tests/support/fake-runtime.h"
#include "tests/support/fault-vfs.h"

#define NOW FAKE_START

extern FakeRuntime *fake_rt;
extern char *dir;
extern MalStore *store;
extern GArray *told;

typedef struct {
  MalTicket through;
  char *error;                /* NULL: durable */
} Told;

typedef struct {
  uint8_t id[MAL_LEASE_ID_MAX];
  MalBlock blocks[4];
  MalLease lease;
} Sample;

/* What a load gives: text by "lease HEX" or "record OWNER KIND HEX". */
typedef struct {
  GHashTable *lives;
  GString *order;
} Loaded;

/* What a backup or a check answered. */
typedef struct {
  int calls;
  char *detail, *error;
} Done;

void setup(void);
void teardown(void);
char *in_dir(const char *name);
/* Closes what is open. */
void reopen(const char *vfs);
/* The message with which opening (or else loading) is refused. */
/* For a load that only reads. */
bool take_lease(const MalLease *lease, void *data, GError **error);
char *refusal(void);
const Told *told_at(guint i);
void assert_says(const char *message, const char *part);
void run_sql(const char *sql);

/* Lease N, at its VERSION: the id is the same, all else differs. */
const MalLease *sample(Sample *s, uint32_t n, uint32_t version);
MalTicket put(uint32_t n, uint32_t version);
MalTicket drop(uint32_t n);
void put_record(const char *owner, const char *kind, const char *key, const char *value);
char *lease_text(const MalLease *lease);
Loaded load_from(MalTime not_ended_before);
void loaded_clear(Loaded *loaded);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Loaded, loaded_clear)
void expect_lease(const Loaded *loaded, uint32_t n, uint32_t version);

/* Fills a store, closes it, and gives the octets of its file. */
size_t make_plenty(char **bytes);

/* For mal_store_listen: adds to TOLD. */
void listener(MalTicket through, const GError *error, void *data);
/* For mal_store_backup and mal_store_check: DATA is a Done. */
void done(const char *detail, const GError *error, void *data);
void done_clear(Done *d);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Done, done_clear)

#endif
