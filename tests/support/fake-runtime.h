/* A runtime for unit tests: clocks that stand still until the test moves them, timers and deferred
   calls that run when the test says so, random numbers from a seed, and datagrams that are recorded
   instead of sent. One network of one host; for whole networks there is the simulator. */
#ifndef FAKE_RUNTIME_H
#define FAKE_RUNTIME_H

#include "core/runtime.h"

typedef struct FakeRuntime FakeRuntime;

/* The wall clock starts at 2026-01-01T00:00:00Z, the monotonic one at 1000 s. */
#define FAKE_START 1767225600

FakeRuntime *fake_runtime_new(void);
/* All handles must be gone: what is left is a leak, and fails an assertion. */
void fake_runtime_free(FakeRuntime *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeRuntime, fake_runtime_free)
MalRuntime *fake_runtime(FakeRuntime *f);
void fake_seed(FakeRuntime *f, uint64_t seed);

/* Runs what is ready now: deferred calls, jobs of workers, timers that are due, until nothing is
   left. */
void fake_run(FakeRuntime *f);
/* Moves both clocks on, stopping at every timer on the way, and runs what becomes ready. */
void fake_advance(FakeRuntime *f, int64_t seconds);
void fake_advance_us(FakeRuntime *f, int64_t microseconds);
/* Moves both clocks on at once, as if the process had been stopped for so long: timers come
   late. */
void fake_sleep(FakeRuntime *f, int64_t seconds);
/* The wall clock alone steps, to an instant or by a difference. */
void fake_set_wall(FakeRuntime *f, MalTime at);
void fake_step_wall_us(FakeRuntime *f, int64_t microseconds);
static inline void fake_step_wall(FakeRuntime *f, int64_t seconds)
{
  fake_step_wall_us(f, seconds * MAL_US);
}
/* The earliest deadline of any timer (monotonic), INT64_MAX where none is set. */
int64_t fake_next_deadline(const FakeRuntime *f);

/* Jobs of workers wait while held, as on a slow disk. */
void fake_hold_workers(FakeRuntime *f, bool hold);
/* Those of one name; NULL: none. */
void fake_hold_worker(FakeRuntime *f, const char *name);

/* Interfaces get index 1, 2, ... ADDRESSES: text, separated by spaces. Tells the watches. */
uint32_t fake_add_interface(FakeRuntime *f, const char *name, const char *addresses);
void fake_set_interface_up(FakeRuntime *f, uint32_t index, bool up);

/* What was sent, in order. */
typedef struct {
  MalUdp *udp;
  MalEndpoint peer;
  MalAddress local;
  uint32_t ifindex;
  uint8_t *data;
  size_t length;
} FakeSent;

size_t fake_sent_count(const FakeRuntime *f);
const FakeSent *fake_sent_at(const FakeRuntime *f, size_t n);
void fake_sent_clear(FakeRuntime *f);

/* What mal_udp_lag says, of all sockets; and what was last given to mal_udp_shed. */
void fake_set_lag(FakeRuntime *f, int64_t lag);
const MalUdpShed *fake_shed(const FakeRuntime *f);
/* So many more were dropped by the system. */
void fake_drop(MalUdp *udp, uint64_t count);

/* Open sockets, in the order of opening. */
size_t fake_udp_count(const FakeRuntime *f);
MalUdp *fake_udp_at(const FakeRuntime *f, size_t n);
const MalUdpOptions *fake_udp_options(const MalUdp *udp);
bool fake_udp_joined(const MalUdp *udp, uint32_t ifindex, MalAddress group);
/* Hands datagrams to the socket's callback, from outside any other callback, and runs what
   follows. */
void fake_deliver(FakeRuntime *f, MalUdp *udp, const MalDatagram *datagrams, size_t n);
/* Opening a socket fails from now on (address in use), or works again. */
void fake_fail_open(FakeRuntime *f, bool fail);

/* Streams to unix sockets, the only ones there are: open ones, in the order of opening, each with
   the path that it was opened to. Each takes what it is sent at once. */
size_t fake_stream_count(FakeRuntime *f);
MalStream *fake_stream_at(FakeRuntime *f, size_t n);
const char *fake_stream_path(const MalStream *stream);
/* What it was sent since the last time; the caller frees. */
char *fake_stream_take(MalStream *stream);
/* It is connected; the other end sends TEXT; it is over, orderly where ERROR is NULL. Each from
   outside any other callback; runs what follows. */
void fake_stream_up(FakeRuntime *f, MalStream *stream);
void fake_stream_give(FakeRuntime *f, MalStream *stream, const char *text);
void fake_stream_end(FakeRuntime *f, MalStream *stream, const GError *error);

#endif
