/* What the configuration says about scopes: the Allocation Scope, groups, and whether all divisible
   ones can be coordinated. */
#ifndef AAP_PLUGIN_SCOPES_H
#define AAP_PLUGIN_SCOPES_H

#include "aap-scope.h"
#include "core/conf.h"

G_BEGIN_DECLS

/* The place of SCOPE; false with WHY (the caller frees) where it has none. */
bool aap_scopes_place(const MalConfSection *section, const MalScopeSet *scopes,
                      const MalScope *scope, AapPlace *out, char **why);
/* A divisible scope needs an Allocation Scope to be coordinated in (2.1.2). */
bool aap_scopes_check(const MalConfSection *section, const MalConfig *config,
                      const MalScopeSet *scopes, GError **error);
bool aap_scopes_same_names(const MalConfSection *a, const MalConfSection *b);

G_END_DECLS
#endif
