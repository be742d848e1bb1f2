/* Text as roff, for the tables and for the generator of the manual, which has its own copy: the
   library doesn't export it. Not installed. */
#ifndef MAL_CONF_DOC_H
#define MAL_CONF_DOC_H

#include "api.h"

/* Appends TEXT so that roff shows exactly it. */
void mal_doc_roff(GString *out, const char *text);
/* The same, each sentence on a line of its own, with a newline at the end. */
void mal_doc_roff_sentences(GString *out, const char *text);

#endif
