#include "tests/support/masc-packets.h"

#include <criterion/criterion.h>

static void read_claims(MascDecoded *d)
{
  MascCursor cursor = masc_cursor(&d->msg.update);
  MascFault fault;
  MascClaim claim;
  MascNext next;

  while ((next = masc_cursor_next(&cursor, &claim, &fault)) != MASC_NEXT_END) {
    if (next == MASC_NEXT_CLAIM) {
      cr_assert_lt(d->n_claims, MASC_MAX_CLAIMS);
      d->claims[d->n_claims++] = claim;
    } else if (d->n_refused++ == 0) {
      d->fault = fault;
    }
  }
}

MascDecoded masc_decoded(const uint8_t *data, size_t length)
{
  MascDecoded d = { .bytes = length == 0 ? g_malloc(1) : g_memdup2(data, length),
                    .length = length };
  d.ok = masc_decode(d.bytes, length, &d.msg, &d.fault);
  if (d.ok && d.msg.type == MASC_UPDATE)
    read_claims(&d);
  return d;
}

MascDecoded masc_decoded_text(const char *text)
{
  g_autoptr(HexFile) hex = hex_parse(text, NULL);
  cr_assert(hex != NULL, "%s", text);
  return masc_decoded(hex->bytes->data, hex->bytes->len);
}

void masc_decoded_clear(MascDecoded *d)
{
  g_free(d->bytes);
}

size_t masc_encode_again(const MascDecoded *d, void *buffer, size_t capacity, MascRefusal *why)
{
  MascMessage msg = d->msg;
  if (msg.type == MASC_UPDATE)
    msg.update = (MascUpdate){ .claims = d->claims, .n_claims = d->n_claims };
  return masc_encode(&msg, buffer, capacity, why);
}

char *masc_hex(const uint8_t *data, size_t length)
{
  GString *text = g_string_new(NULL);
  for (size_t i = 0; i < length; i++)
    g_string_append_printf(text, "%s%02x", i == 0 ? "" : " ", data[i]);
  return g_string_free(text, FALSE);
}

HexFile *masc_golden(const char *name)
{
  const char *top = g_getenv("top_srcdir");
  g_autofree char *file = g_strconcat(name, ".hex", NULL);
  g_autofree char *path = g_build_filename(top == NULL ? "." : top, MASC_GOLDEN, file, NULL);
  g_autoptr(GError) error = NULL;
  HexFile *hex = hex_load(path, &error);
  cr_assert(hex != NULL, "%s", error == NULL ? "" : error->message);
  return hex;
}

void masc_each_golden(MascGoldenFunc func)
{
  g_autoptr(GPtrArray) paths = hex_list(MASC_GOLDEN);
  cr_assert_geq(paths->len, 42, "only %u golden messages", paths->len);
  for (unsigned i = 0; i < paths->len; i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_path_get_basename(paths->pdata[i]);
    g_autoptr(HexFile) hex = hex_load(paths->pdata[i], &error);
    cr_assert(hex != NULL, "%s", error == NULL ? "" : error->message);
    func(name, hex);
  }
}

MascClaim masc_claim_make(MascClaimType type, const char *prefix, uint32_t timestamp, MascId node)
{
  MascClaim claim = { .type = type, .timestamp = timestamp, .lifetime = 2592000,
                      .holdtime = MASC_WAITING_PERIOD, .domain = 64501, .node = node };
  cr_assert(mal_prefix_parse(prefix, &claim.prefix, NULL), "%s", prefix);
  return claim;
}
