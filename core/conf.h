/* Configuration: GLib key files checked against tables. One declaration of a key gives its check,
   default, unit, range, help, and its place in mallocd.conf(5). A MalConfig is immutable once
   loaded and checked; a reload loads another one beside it. */
#ifndef MAL_CONF_H
#define MAL_CONF_H

#include "model.h"

G_BEGIN_DECLS

typedef enum {
  MAL_CONF_STRING,
  MAL_CONF_PATH,
  MAL_CONF_BOOL,              /* yes, no, true, false */
  MAL_CONF_INTEGER,
  MAL_CONF_DURATION,          /* seconds */
  MAL_CONF_TIME,              /* MalTime */
  MAL_CONF_ADDRESS,
  MAL_CONF_SPAN,              /* "A-B", "A/len" or "A" */
  MAL_CONF_ENDPOINT,          /* address with an optional port */
  MAL_CONF_CHOICE,            /* one of `choices` */
  MAL_CONF_PAIR,              /* "NAME=VALUE", as in server-groups */
  MAL_CONF_PREFIX,            /* "A/len", no bits set behind the length */
} MalConfType;

typedef struct {
  const char *key;
  MalConfType type;
  bool list;                  /* several, separated by ';' */
  bool localized;             /* key[tag] */
  bool required;
  bool restart;               /* a change restarts the plugin; in [daemon]: needs a restart */
  int64_t min, max;           /* INTEGER, DURATION; both 0: no bounds */
  const char *fallback;       /* default as it would stand in the file; NULL: none */
  const char *choices;        /* "a|b|c" for CHOICE */
  const char *help;           /* a sentence or a few, for the manual */
} MalConfKey;

typedef struct {
  const char *group;          /* "daemon", "scope", "madcap" */
  bool named;                 /* [group NAME], any number of them */
  const MalConfKey *keys;
  size_t n_keys;
  const char *help;
} MalConfGroup;

typedef struct MalConfig MalConfig;
/* one group as it stands in the file, defaults filled in */
typedef struct MalConfSection MalConfSection;

/* All groups that may appear: the core's, and those of plugins as they are loaded. */
typedef struct MalConfSchema MalConfSchema;
MAL_API MalConfSchema *mal_conf_schema_new(void);
MAL_API void mal_conf_schema_free(MalConfSchema *schema);
MAL_API void mal_conf_schema_add(MalConfSchema *schema, const MalConfGroup *groups, size_t n,
                                 const char *owner);
/* Who brought a group, or NULL: lets a loader refuse a second owner before it adds one. */
MAL_API const char *mal_conf_schema_owner(const MalConfSchema *schema, const char *group);

/* Errors are MAL_ERROR_CONFIG and begin with "FILE:LINE: [group] key: ", say the value, what is
   expected, and the nearest known name for an unknown one. FILE_NAME is for messages. The tables of
   the schema must stay as long as the result; the schema need not. */
MAL_API MalConfig *mal_config_parse(const MalConfSchema *schema, const char *text, size_t length,
                                    const char *file_name, GError **error);
MAL_API MalConfig *mal_config_load(const MalConfSchema *schema, const char *path, GError **error);
/* The text of a file, for parsing twice; reads no further than what a configuration may be long. */
MAL_API GByteArray *mal_config_read(const char *path, GError **error);
/* The keys of [daemon] that are needed before plugins (and so the whole schema) are known: a parse
   that ignores groups it doesn't know. */
MAL_API MalConfig *mal_config_parse_daemon(const char *text, size_t length, const char *file_name,
                                           GError **error);
MAL_API MalConfig *mal_config_ref(MalConfig *config);
MAL_API void mal_config_unref(MalConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalConfig, mal_config_unref)
MAL_API const char *mal_config_file(const MalConfig *config);

/* A group that isn't named is always there, with its defaults. For named ones: n sections, in file
   order. */
MAL_API const MalConfSection *mal_config_section(const MalConfig *config, const char *group);
MAL_API size_t mal_config_count(const MalConfig *config, const char *group);
MAL_API const MalConfSection *mal_config_nth(const MalConfig *config, const char *group, size_t n);
/* the NAME of [group NAME] */
MAL_API const char *mal_conf_name(const MalConfSection *s);
/* Was the key written in the file (not filled in from the default)? */
MAL_API bool mal_conf_given(const MalConfSection *s, const char *key);
/* Typed reads of what the check has let through; a key without value or default gives NULL, 0,
   false, NONE. Asking for a key that the table hasn't is a programming error (assertion). */
MAL_API const char *mal_conf_string(const MalConfSection *s, const char *key);
/* and durations, times */
MAL_API int64_t mal_conf_integer(const MalConfSection *s, const char *key);
MAL_API bool mal_conf_bool(const MalConfSection *s, const char *key);
MAL_API MalAddress mal_conf_address(const MalConfSection *s, const char *key);
MAL_API MalEndpoint mal_conf_endpoint(const MalConfSection *s, const char *key,
                                      uint16_t default_port);
MAL_API MalEndpoint mal_conf_endpoint_at(const MalConfSection *s, const char *key, size_t n,
                                         uint16_t default_port);
MAL_API MalPrefix mal_conf_prefix(const MalConfSection *s, const char *key);
/* Lists: length and items; items of a list key only. */
MAL_API size_t mal_conf_length(const MalConfSection *s, const char *key);
MAL_API const char *mal_conf_item(const MalConfSection *s, const char *key, size_t n);
MAL_API MalSpan mal_conf_span(const MalConfSection *s, const char *key, size_t n);
/* Localized keys: the tags present and their values, in file order. */
MAL_API size_t mal_conf_locales(const MalConfSection *s, const char *key);
MAL_API const char *mal_conf_locale(const MalConfSection *s, const char *key, size_t n,
                                    const char **tag);
/* The place of a key (of the group: NULL) for an error message of a later check: "FILE:LINE: [group
   NAME] key". The caller frees. */
MAL_API char *mal_conf_place(const MalConfSection *s, const char *key);
/* Each item of the list KEY may be the name of an interface. */
MAL_API bool mal_conf_check_interfaces(const MalConfSection *s, const char *key, GError **error);
/* Do both configurations say the same in this group (all sections of it, "60m" being the same as
   "1h")? */
MAL_API bool mal_config_same(const MalConfig *a, const MalConfig *b, const char *group);

typedef enum { MAL_DOC_TEXT, MAL_DOC_ROFF, MAL_DOC_JSON_SCHEMA } MalDocFormat;
/* The tables as a reference for people, as the middle of mallocd.conf(5), or as a JSON schema of
   the file. The caller frees. */
MAL_API char *mal_conf_schema_render(const MalConfSchema *schema, MalDocFormat format);

/* The core's groups: daemon, scope, range, reserve. */
extern MAL_API const MalConfGroup mal_core_conf_groups[];
extern MAL_API const size_t mal_core_conf_n_groups;

/* Scopes, static ranges and reserves as the core's groups say them, checked against each other:
   overlapping ranges, a range outside its scope, an unknown scope, ... Every error names both
   places. */
typedef struct {
  char *name;
  unsigned scope;             /* index */
  MalSpan span;               /* after excludes are applied by the space, not here */
  MalTime until;
  GArray *excludes;           /* MalSpan */
  bool exported;              /* `export`: its prefixes are routes of this domain */
  char *derived_from;         /* what the span follows from; NULL: first and last */
} MalStaticRange;

typedef struct {
  char *name;
  unsigned scope;
  GArray *spans;              /* MalSpan */
  char *comment;
} MalReserve;

typedef struct {
  MalScopeSet *scopes;
  GPtrArray *ranges;          /* MalStaticRange *, owned */
  GPtrArray *reserves;        /* MalReserve *, owned */
} MalPlan;

MAL_API MalPlan *mal_plan_from_config(const MalConfig *config, GError **error);
MAL_API void mal_plan_free(MalPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalPlan, mal_plan_free)

/* The entry of NAMES (NULL-terminated) nearest to WORD, or NULL where none is near: "did you mean
   ...?" */
MAL_API const char *mal_nearest(const char *word, const char *const *names);

G_END_DECLS
#endif
