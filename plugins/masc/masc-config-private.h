/* Shared by masc-config*.c. */
#ifndef MASC_CONFIG_PRIVATE_H
#define MASC_CONFIG_PRIVATE_H

#include "masc-config.h"

G_BEGIN_DECLS

typedef struct {
  const MalConfig *config;
  const MalConfSection *s;      /* [masc] */
  const MalScopeSet *scopes;
  bool coordinator;
  MascSettings *out;
} MascReading;

/* False. */
bool masc_settings_refuse(const MalConfSection *s, const char *key, GError **error,
                          const char *format, ...) G_GNUC_PRINTF(4, 5);
/* 0 where nothing is said. */
bool masc_settings_id(const MalConfSection *s, const char *key, MascId *out, GError **error);
bool masc_has_id(const GArray *ids, MascId id);
void masc_add_id(GArray *ids, MascId id);
/* Of [masc] scopes, a bit each by their places: all, and one (0: there is none of that name). */
uint64_t masc_settings_all_scopes(const MascSettings *settings);
uint64_t masc_settings_scope_bit(const MascSettings *settings, const char *id);
static inline bool masc_id_is_long(MascId id)
{
  return id > UINT32_MAX;
}

bool masc_settings_read_peer(MascReading *r, const MalConfSection *s, GError **error);
/* All of them beside each other. */
bool masc_settings_check_peers(MascReading *r, GError **error);

G_END_DECLS
#endif
