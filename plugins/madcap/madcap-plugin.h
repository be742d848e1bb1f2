/* The seam between madcap.c and the two halves of the plugin: server (role maas) and client (role
   client). Each half is one MadcapPart; madcap.c starts those whose role the daemon has, and knows
   nothing else of them. */
#ifndef MADCAP_PLUGIN_H
#define MADCAP_PLUGIN_H

#include "core/plugin.h"

G_BEGIN_DECLS

/* Hooks as in MalPlugin; those that may be NULL are marked. PART is what open returned. */
typedef struct {
  uint32_t role;
  bool (*check)(const MalConfig *config, const MalPlan *plan, GError **error);  /* may be NULL */
  void *(*open)(const MalHost *host, GError **error);
  bool (*restore)(void *part, const MalRecord *record,
                  GError **error); /* may be NULL: has no records */
  bool (*start)(void *part, GError **error);
  MalReload (*reload)(void *part, const MalConfig *config);
  void (*stop)(void *part);
  void (*close)(void *part);
  /* Adds what madcap.servers tells of this half to OUT. */
  void (*describe)(void *part, json_object *out);
} MadcapPart;

extern const MadcapPart madcap_server_part;

/* madcap-plugin-client.c; USER and instance are the MadcapInstance, with or without the role. */
extern const MadcapPart madcap_client_part;
extern const MalClientHooks madcap_client_hooks;
void madcap_client_scopes(MalCall *call, json_object *params, void *user);

/* ---- madcap.c, for the halves ---------------------------------------------------------------- */

typedef struct MadcapInstance MadcapInstance;

/* The instance of the half with ROLE, or NULL where the daemon hasn't that role. USER of control
   methods and the instance of client hooks are MadcapInstance. */
void *madcap_instance_part(MadcapInstance *instance, uint32_t role);

G_END_DECLS
#endif
