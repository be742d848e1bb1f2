/* Golden packets: text files of hex octets with prose beside them.

     # a comment
     #! answers=GETINFO         a directive, for the test that reads the file
     00 05                      # octets, and what they mean */
#ifndef TEST_HEX_H
#define TEST_HEX_H

#include <glib.h>

typedef struct {
  GByteArray *bytes;
  GHashTable *directives;     /* name to value; "" where there is no '=' */
} HexFile;

HexFile *hex_parse(const char *text, GError **error);
HexFile *hex_load(const char *path, GError **error);
void hex_free(HexFile *file);
/* NULL where the file has none of that name. */
const char *hex_directive(const HexFile *file, const char *name);
/* Paths of all *.hex in FOLDER (below top_srcdir), sorted. */
GPtrArray *hex_list(const char *folder);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(HexFile, hex_free)

#endif
