#define _GNU_SOURCE

#include "tests/support/json-filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Json *json_hex(const uint8_t *data, size_t length)
{
  g_autoptr(GString) text = g_string_new(NULL);
  for (size_t i = 0; i < length; i++)
    g_string_append_printf(text, "%02x", data[i]);
  return json_object_new_string(text->str);
}

size_t json_unhex(const char *text, uint8_t *out, size_t most)
{
  size_t n = 0;
  for (; n < most && g_ascii_isxdigit(text[0]) && g_ascii_isxdigit(text[1]); text += 2)
    out[n++] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
  return n;
}

/* An empty message has nothing behind its word. */
static Json *answer(const JsonRequest *requests, const char *line)
{
  size_t length = strcspn(line, " ");
  for (const JsonRequest *r = requests; r->word != NULL; r++)
    if (strlen(r->word) == length && strncmp(line, r->word, length) == 0)
      return r->answer(line + length + (line[length] == ' '));
  return NULL;
}

int json_filter(const JsonRequest *requests)
{
  char *line = NULL;
  size_t size = 0;
  bool known = true;
  while (known && getline(&line, &size, stdin) > 0) {
    g_autoptr(Json) out = answer(requests, g_strchomp(line));
    known = out != NULL;
    if (known)
      puts(json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN));
  }
  free(line);
  if (!known)
    return 2;
  return fflush(stdout) == 0 ? 0 : 1;
}
