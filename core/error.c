#include "api.h"

G_DEFINE_QUARK(mal-error-quark, mal_error)
