/* The key file: any text is refused with a reason, or each of its keys has a name of its own, and
   one is sent with. Covers: plugins/aap/aap-keys.c */
#include <string.h>

#include "plugins/aap/aap-auth.h"
#include "tests/fuzz/fuzz.h"

static size_t count_of(const AapKeys *keys, const char *name, const char *kind)
{
  const char *other, *its_kind;
  size_t n = 0;
  for (size_t i = 0; aap_keys_at(keys, i, &other, &its_kind); i++)
    n += strcmp(other, name) == 0 && strcmp(its_kind, kind) == 0;
  return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GError) error = NULL;
  const char *name, *kind;
  size_t groups = 0, n = 0;
  g_autofree char *text = g_memdup2(data, size);
  g_autoptr(AapKeys) keys = aap_keys_parse(text, size, &error);
  must((keys == NULL) == (error != NULL));
  if (keys == NULL)
    return 0;
  g_autofree char *public = aap_keys_public(keys);
  must(aap_keys_sends_with(keys) != NULL && (public == NULL || strlen(public) == 64));
  for (; aap_keys_at(keys, n, &name, &kind); n++)
    must(count_of(keys, name, kind) == 1);
  for (size_t i = 0; i < size; i++)
    groups += text[i] == '[';
  must(n > 0 && n <= groups);
  return 0;
}
