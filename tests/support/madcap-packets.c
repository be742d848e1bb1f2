#include "tests/support/madcap-packets.h"

#include <criterion/criterion.h>
#include <string.h>

Decoded decode(const uint8_t *data, size_t length)
{
  Decoded d = { .bytes = length == 0 ? g_malloc(1) : g_memdup2(data, length) };
  d.outcome = madcap_decode(d.bytes, length, &d.msg, &d.fault);
  return d;
}

void decoded_clear(Decoded *d)
{
  g_free(d->bytes);
}

HexFile *golden(const char *name)
{
  const char *top = g_getenv("top_srcdir");
  g_autofree char *file = g_strconcat(name, ".hex", NULL);
  g_autofree char *path = g_build_filename(top == NULL ? "." : top, MADCAP_GOLDEN, file, NULL);
  g_autoptr(GError) error = NULL;
  HexFile *hex = hex_load(path, &error);
  cr_assert(hex != NULL, "%s", error == NULL ? "" : error->message);
  return hex;
}

MadcapContext golden_context(const HexFile *hex)
{
  MadcapContext context = { .multicast = hex_directive(hex, "multicast") != NULL };
  const char *answers = hex_directive(hex, "answers");
  for (unsigned type = MADCAP_DISCOVER; type <= MADCAP_GETINFO; type++)
    if (answers != NULL && strcmp(answers, madcap_type_name(type)) == 0)
      context.answers = (MadcapType)type;
  return context;
}

void each_golden(GoldenFunc func)
{
  g_autoptr(GPtrArray) paths = hex_list(MADCAP_GOLDEN);
  cr_assert_geq(paths->len, 45, "only %u golden packets", paths->len);
  for (unsigned i = 0; i < paths->len; i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(HexFile) hex = hex_load(paths->pdata[i], &error);
    cr_assert(hex != NULL, "%s", error == NULL ? "" : error->message);
    func(paths->pdata[i], hex);
  }
}
