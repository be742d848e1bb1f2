/* Control methods. */
#ifndef MASC_METHODS_H
#define MASC_METHODS_H

#include "masc-plugin.h"

G_BEGIN_DECLS

/* masc-show.c, masc-tree.c */
void masc_show_peers(MalCall *call, json_object *params, void *user);
void masc_show_prefixes(MalCall *call, json_object *params, void *user);
void masc_show_claims(MalCall *call, json_object *params, void *user);
void masc_show_tree(MalCall *call, json_object *params, void *user);
/* One scope's tree. *MORE: true where it is not all. */
json_object *masc_tree_of(const MascArea *area, bool *more);
json_object *masc_json_text(const char *text);
json_object *masc_json_id(MascId id);           /* 0: null */
json_object *masc_json_prefix(MalPrefix prefix);
/* Does the parameter `scope` name one that is claimed in, or nothing? Else the call is answered. */
bool masc_check_scope(Masc *masc, MalCall *call, json_object *params, MascArea **only);

#define MASC_N_METHODS 10
extern const MalMethod masc_methods[MASC_N_METHODS];

G_END_DECLS
#endif
