/* Files that other programs read. Blocking: for a worker's thread (MalWorker), or before the loop
   runs. */
#ifndef MAL_FILE_H
#define MAL_FILE_H

#include "api.h"

G_BEGIN_DECLS

/* PATH gets this content and these permissions at once: a reader sees the old file or the new one,
   and so does the next start after a power cut. What is written to meanwhile is .NAME.new beside
   it. Errors: MAL_ERROR_STORE, with PATH; then the old file is untouched, unless only the folder
   could not be synced: the new one is there then, but a power cut may bring the old one back. */
MAL_API bool mal_file_replace(const char *path, const void *data, size_t length, unsigned mode,
                              GError **error);

G_END_DECLS
#endif
