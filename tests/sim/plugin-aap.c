/* AAP's descriptor under a name of its own, for programs that have several plugins inside. */
#define mal_plugin mal_plugin_aap
#include "plugins/aap/aap.c"
