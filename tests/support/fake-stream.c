#include "fake-stream.h"

#include "fake-runtime.h"

#include <string.h>

typedef struct {
  MalStream base;
  char *path;
  const MalStreamOps *ops;
  void *user;
  GString *sent;
} FakeStream;

MalListener *fake_listener_open(MalRuntime *rt, MalEndpoint local, MalAcceptFunc func, void *data,
                                GError **error)
{
  (void)rt, (void)local, (void)func, (void)data;
  g_set_error_literal(error, MAL_ERROR, MAL_ERROR_NETWORK, "the fake runtime has no TCP");
  return NULL;
}

MalStream *fake_stream_connect(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                               const MalStreamSecurity *security, const MalStreamOps *ops,
                               void *user, GError **error)
{
  (void)rt, (void)local, (void)peer, (void)security, (void)ops, (void)user;
  g_set_error_literal(error, MAL_ERROR, MAL_ERROR_NETWORK, "the fake runtime has no TCP");
  return NULL;
}

MalStream *fake_stream_connect_unix(MalRuntime *rt, const char *path, const MalStreamOps *ops,
                                    void *user, GError **error)
{
  if (fake_open_fails(rt)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "can't connect to %s: nobody there", path);
    return NULL;
  }
  FakeStream *stream = g_new0(FakeStream, 1);
  *stream = (FakeStream){ { rt }, g_strdup(path), ops, user, g_string_new(NULL) };
  g_ptr_array_add(fake_streams(rt), stream);
  return &stream->base;
}

bool fake_stream_send(MalStream *stream, const void *data, size_t length)
{
  g_string_append_len(((FakeStream *)stream)->sent, data, (gssize)length);
  return true;
}

size_t fake_stream_queued(const MalStream *stream)
{
  (void)stream;
  return 0;
}

void fake_stream_close(MalStream *base)
{
  FakeStream *stream = (FakeStream *)base;
  g_assert_true(g_ptr_array_remove(fake_streams(base->rt), stream));
  g_string_free(stream->sent, TRUE);
  g_free(stream->path);
  g_free(stream);
}

size_t fake_stream_count(FakeRuntime *f)
{
  return fake_streams(fake_runtime(f))->len;
}

MalStream *fake_stream_at(FakeRuntime *f, size_t n)
{
  g_assert_cmpuint(n, <, fake_stream_count(f));
  return g_ptr_array_index(fake_streams(fake_runtime(f)), n);
}

const char *fake_stream_path(const MalStream *stream)
{
  return ((const FakeStream *)stream)->path;
}

char *fake_stream_take(MalStream *stream)
{
  FakeStream *s = (FakeStream *)stream;
  char *text = g_string_free(s->sent, FALSE);
  s->sent = g_string_new(NULL);
  return text;
}

static void report(FakeRuntime *f, MalStream *stream, MalStreamEvent what, const char *text,
                   const GError *error)
{
  FakeStream *s = (FakeStream *)stream;
  s->ops->event(stream, what, (const uint8_t *)text, text ? strlen(text) : 0, error, s->user);
  fake_run(f);
}

void fake_stream_up(FakeRuntime *f, MalStream *stream)
{
  report(f, stream, MAL_STREAM_CONNECTED, NULL, NULL);
}

void fake_stream_give(FakeRuntime *f, MalStream *stream, const char *text)
{
  report(f, stream, MAL_STREAM_DATA, text, NULL);
}

void fake_stream_end(FakeRuntime *f, MalStream *stream, const GError *error)
{
  report(f, stream, MAL_STREAM_CLOSED, NULL, error);
}
