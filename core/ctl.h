/* mallocctl: a thin client of the control API (core/control.h). Not installed. What the parts
   share:

   ctl-main.c    from the command line to one call and its exit status
   ctl-leases.c  all leases, page by page
   ctl-args.c    words to typed parameters, as rpc.discover describes them
   ctl-rpc.c     a daemon behind a unix socket
   ctl-direct.c  no daemon: a core of our own in this process, as a client on the network
   ctl-show.c    the terminal: safe text, times, tables
   ctl-views.c   what people see of an answer
   ctl-map.c     a scope's occupancy, drawn
   ctl-tree.c    an answer that is a tree, drawn */
#ifndef MAL_CTL_H
#define MAL_CTL_H

#include "api.h"

#include <json-c/json.h>
#include <stdio.h>

G_BEGIN_DECLS

/* The exit status, and the code of a GError of this domain. */
typedef enum {
  MAL_CTL_DONE,
  MAL_CTL_FAILED,
  MAL_CTL_USAGE,
  MAL_CTL_NO_DAEMON,
  MAL_CTL_DENIED /* for us to tell; to the shell it is MAL_CTL_FAILED */
} MalCtlStatus;
#define MAL_CTL_ERROR (mal_ctl_error_quark())
GQuark mal_ctl_error_quark(void);
/* Sets ERROR; always false. */
bool mal_ctl_fail(GError **error, MalCtlStatus status, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

MAL_API int mal_ctl_main(int argc, char **argv);

/* ---- the terminal ---------------------------------------------------------------------------- */

typedef struct {
  FILE *out;
  unsigned width, height;       /* 0: no terminal, nothing is cut */
  bool utf8, colours;
  MalTime now;
} MalCtlTerm;

void mal_ctl_term_init(MalCtlTerm *term, FILE *out);
/* TEXT as a terminal may get it: valid, in its character set, no control characters. The caller
   frees. */
char *mal_ctl_clean(const MalCtlTerm *term, const char *text);
/* Columns that TEXT (in UTF-8, as mal_ctl_clean makes it) takes. */
unsigned mal_ctl_width(const char *text);
/* "in 42 min", "3 d ago", "now". The caller frees. */
char *mal_ctl_relative(MalTime t, MalTime now);
/* "2030-01-31 18:00", in UTC; "never". The caller frees. */
char *mal_ctl_time(MalTime t);

typedef struct {
  const char *title;
  bool right;                   /* numbers */
  bool flexible;                /* cut where the terminal is too narrow */
} MalCtlColumn;
typedef struct MalCtlTable MalCtlTable;
/* COLUMNS is borrowed. A column in which no row says anything is left out. */
MalCtlTable *mal_ctl_table_new(const MalCtlColumn *columns, size_t n);
void mal_ctl_table_free(MalCtlTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalCtlTable, mal_ctl_table_free)
/* The next cell, row by row; NULL is an empty one. */
void mal_ctl_table_add(MalCtlTable *table, const char *text);
void mal_ctl_table_print(MalCtlTable *table, const MalCtlTerm *term);
/* Would it still be readable when it is cut to the terminal's width? */
bool mal_ctl_table_fits(MalCtlTable *table, const MalCtlTerm *term);

/* What METHOD answered, for people. */
void mal_ctl_view(const MalCtlTerm *term, const char *method, json_object *result);
/* One event as a line. */
void mal_ctl_view_event(const MalCtlTerm *term, json_object *event);
/* A method of rpc.discover with its parameters. */
void mal_ctl_view_method(const MalCtlTerm *term, json_object *method);

/* How many cells draw a space of TOTAL addresses in this terminal: a power of two of addresses
   each. */
unsigned mal_ctl_map_cells(const MalCtlTerm *term, uint64_t total);
/* The answer of space.map. */
void mal_ctl_map_draw(const MalCtlTerm *term, json_object *map);
/* RESULT has a list "tree" of nodes: {"text": ..., "branches": [nodes]}. */
void mal_ctl_tree_draw(const MalCtlTerm *term, json_object *result);

/* ---- json ------------------------------------------------------------------------------------ */

/* NULL where there is no such member, or null. */
json_object *mal_ctl_member(json_object *o, const char *name);
/* 0 for what is no array. */
size_t mal_ctl_length(json_object *list);
const char *mal_ctl_text(json_object *o, const char *name);
int64_t mal_ctl_number(json_object *o, const char *name);

/* ---- arguments ------------------------------------------------------------------------------- */

typedef struct {
  char *socket;
  bool json, direct, help, version;
  int64_t timeout;              /* seconds without a sign of the daemon; -1: not said */
  GPtrArray *words;             /* the command and what follows, untouched; NULL-terminated */
} MalCtlArgs;
bool mal_ctl_args_parse(int argc, char **argv, MalCtlArgs *args, GError **error);
void mal_ctl_args_clear(MalCtlArgs *args);

/* An option that this program itself understands, beside the method's parameters. */
typedef struct {
  const char *name;
  int64_t value;                /* the default before, what was said after */
  bool given;
} MalCtlExtra;

/* Parameters of METHOD (an entry of rpc.discover) from WORDS (NULL-terminated): "--name value",
   "--name=value", "--flag", and bare words in the order of POSITIONAL (NULL-terminated, or NULL:
   the required parameters). EXTRA (ended by a NULL name) may be NULL. */
json_object *mal_ctl_params(json_object *method, const char *const *positional, char *const *words,
                            MalCtlExtra *extra, MalTime now, GError **error);
/* Takes the option NAME with its value out of WORDS; NULL where it isn't there. The caller
   frees. */
bool mal_ctl_take(GPtrArray *words, const char *name, char **value, GError **error);

/* ---- whom to ask ----------------------------------------------------------------------------- */

typedef struct MalCtlLink MalCtlLink;
struct MalCtlLink {
  /* The result, to be put by the caller; NULL with ERROR. Borrows PARAMS (may be NULL). */
  json_object *(*call)(MalCtlLink *link, const char *method, json_object *params, GError **error);
  void (*free)(MalCtlLink *link);
  void (*progress)(const char *message);
  int64_t timeout;              /* seconds without a sign of the daemon; 0: none is too long */
  /* Parameters that every call gets that has them and doesn't say them itself, or NULL: char * by
     char *. */
  GHashTable *defaults;
};

MalCtlLink *mal_ctl_rpc_open(const char *path, GError **error);
/* After events.subscribe: the next event, to be put. NULL without ERROR: whoever reads our output
   (descriptor WATCH) is gone. */
json_object *mal_ctl_rpc_event(MalCtlLink *link, int watch, GError **error);

/* What METHOD lists of leases with PARAMS, up to LIMIT, as one answer in the order of addresses, to
   be put; "next" stays where there are more. NULL with ERROR. */
json_object *mal_ctl_all_leases(MalCtlLink *link, const char *method, json_object *params,
                                int64_t limit, GError **error);

/* Takes the options that shape the client out of WORDS. *VIA: the plugin's name, which the caller
   frees. */
MalCtlLink *mal_ctl_direct_open(GPtrArray *words, char **via, GError **error);
/* Would a daemon take this configuration? Without asking one. */
bool mal_ctl_direct_check(const char *path, GError **error);

G_END_DECLS
#endif
