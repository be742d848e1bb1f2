#include "tests/support/aap-packets.h"

#include <criterion/criterion.h>

AapDecoded aap_decoded(const uint8_t *data, size_t length)
{
  AapDecoded d = { .bytes = length == 0 ? g_malloc(1) : g_memdup2(data, length),
                   .scratch = g_new(AapScratch, 1) };
  d.ok = aap_decode(d.bytes, length, d.scratch, &d.msg, &d.fault);
  return d;
}

AapDecoded aap_decoded_text(const char *text)
{
  g_autoptr(HexFile) hex = hex_parse(text, NULL);
  cr_assert(hex != NULL, "%s", text);
  return aap_decoded(hex->bytes->data, hex->bytes->len);
}

void aap_decoded_clear(AapDecoded *d)
{
  g_free(d->bytes);
  g_free(d->scratch);
}

HexFile *aap_golden(const char *name)
{
  const char *top = g_getenv("top_srcdir");
  g_autofree char *file = g_strconcat(name, ".hex", NULL);
  g_autofree char *path = g_build_filename(top == NULL ? "." : top, AAP_GOLDEN, file, NULL);
  g_autoptr(GError) error = NULL;
  HexFile *hex = hex_load(path, &error);
  cr_assert(hex != NULL, "%s", error == NULL ? "" : error->message);
  return hex;
}

void aap_each_golden(AapGoldenFunc func)
{
  g_autoptr(GPtrArray) paths = hex_list(AAP_GOLDEN);
  cr_assert_geq(paths->len, 21, "only %u golden packets", paths->len);
  for (unsigned i = 0; i < paths->len; i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(HexFile) hex = hex_load(paths->pdata[i], &error);
    cr_assert(hex != NULL, "%s", error == NULL ? "" : error->message);
    func(paths->pdata[i], hex);
  }
}

AapRange aap_range(const char *text, uint32_t value)
{
  AapRange range = { .value = value };
  cr_assert(mal_span_parse(text, &range.span, NULL), "%s", text);
  return range;
}

MalAddress aap_address(const char *text)
{
  MalAddress address;
  cr_assert(mal_address_parse(text, &address, NULL), "%s", text);
  return address;
}
