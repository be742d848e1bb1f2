#include "api.h"

/* Not G_DEFINE_QUARK, which keeps a mutable static. */
GQuark mal_error_quark(void)
{
  return g_quark_from_static_string("mal-error-quark");
}
