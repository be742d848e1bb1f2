/* What the parts of the configuration code share. Not installed. */
#ifndef MAL_CONF_INTERNAL_H
#define MAL_CONF_INTERNAL_H

#include "conf.h"

/* ---- the lines of a file --------------------------------------------------------------------- */

typedef struct {
  unsigned line;
  char *key;                  /* without its tag */
  char *tag;                  /* of key[tag], else NULL */
  char *raw;                  /* "key[tag]", as GLib knows it */
} ConfEntry;

typedef struct {
  unsigned line;
  char *type;                 /* "range" of [range lab] */
  char *name;                 /* "lab", or NULL */
  char *raw;                  /* what stands between the brackets, as GLib knows it */
  GPtrArray *entries;         /* ConfEntry *, owned */
} ConfBlock;

/* The groups and keys with their lines: an array of ConfBlock *, owned. Refuses what GLib lets pass
   or can't name the line of: duplicate groups and keys, NUL, invalid UTF-8, lines that are
   nothing. */
GPtrArray *mal_conf_scan(const char *text, size_t length, const char *file, GError **error);

/* ---- one value ------------------------------------------------------------------------------- */

typedef struct {
  char *text;                 /* owned */
  char *tag;                  /* localized keys; owned */
  int64_t integer;            /* INTEGER, DURATION, TIME, BOOL */
  MalSpan span;               /* SPAN; ADDRESS: its first */
  MalEndpoint endpoint;
  MalPrefix prefix;
} ConfItem;

/* Reads item->text by the type of KEY. The error has no place yet. */
bool mal_conf_item_parse(const MalConfKey *key, ConfItem *item, GError **error);

/* What to add to the message about a refused value: "" or a remark on '#', which key files know at
   the beginning of a line only. */
const char *mal_conf_remark_hint(const char *text);

/* ---- the result ------------------------------------------------------------------------------ */

typedef struct {
  bool given;
  unsigned line;              /* of the first, 0 where not given */
  GArray *items;              /* ConfItem */
} ConfValue;

struct MalConfSection {
  const MalConfig *config;
  const MalConfGroup *group;
  char *name;
  unsigned line;              /* 0: not in the file */
  ConfValue *values;          /* one for each key of the table */
};

struct MalConfig {
  gint references;
  char *file;
  GPtrArray *sections;        /* MalConfSection *, owned, in file order; absent groups at the end */
  GHashTable *by_group;       /* the same by their group's name: GPtrArray of MalConfSection * */
};

typedef struct {
  const MalConfGroup *group;
  char *owner;
} ConfOwned;

struct MalConfSchema {
  GArray *groups;             /* ConfOwned */
};

/* "FILE:12: [range lab] first: ": LINE 0 and NULLs are left out. The caller frees. */
char *mal_conf_where(const char *file, unsigned line, const char *type, const char *name,
                     const char *key);
/* Adds ": did you mean 'x'?" where a name is near. */
void mal_conf_suggest(GString *message, const char *word, const char *const *names);

#endif
