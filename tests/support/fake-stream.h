/* The fake runtime's streams, for its own table. */
#ifndef FAKE_STREAM_H
#define FAKE_STREAM_H

#include "core/runtime.h"

/* Of the runtime (fake-runtime.c). */
GPtrArray *fake_streams(MalRuntime *rt);
bool fake_open_fails(MalRuntime *rt);

MalListener *fake_listener_open(MalRuntime *rt, MalEndpoint local, MalAcceptFunc func, void *data,
                                GError **error);
MalStream *fake_stream_connect(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                               const MalStreamSecurity *security, const MalStreamOps *ops,
                               void *user, GError **error);
MalStream *fake_stream_connect_unix(MalRuntime *rt, const char *path, const MalStreamOps *ops,
                                    void *user, GError **error);
bool fake_stream_send(MalStream *stream, const void *data, size_t length);
size_t fake_stream_queued(const MalStream *stream);
void fake_stream_close(MalStream *stream);

#endif
