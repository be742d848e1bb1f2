/* The process's one counter of requests (draft-ietf-malloc-aap-04 5.1.4), and which of its values
   are in use. */
#include "aap-params.h"
#include "aap-seq.h"

struct AapSequence {
  AapRseq counter;
  GHashTable *taken; /* rseq + 1 */
};

AapSequence *aap_sequence_new(void)
{
  AapSequence *s = g_new0(AapSequence, 1);
  s->taken = g_hash_table_new(NULL, NULL);
  return s;
}

void aap_sequence_free(AapSequence *s)
{
  if (s == NULL)
    return;
  g_hash_table_unref(s->taken);
  g_free(s);
}

static bool is_taken(uint32_t rseq, void *data)
{
  return g_hash_table_contains(data, GUINT_TO_POINTER(rseq + 1));
}

uint32_t aap_sequence_take(AapSequence *s)
{
  uint32_t rseq = aap_rseq_take(&s->counter, is_taken, s->taken);
  g_hash_table_add(s->taken, GUINT_TO_POINTER(rseq + 1));
  return rseq;
}

void aap_sequence_let_go(AapSequence *s, uint32_t rseq)
{
  g_hash_table_remove(s->taken, GUINT_TO_POINTER(rseq + 1));
}

size_t aap_sequence_running(const AapSequence *s)
{
  return g_hash_table_size(s->taken);
}
