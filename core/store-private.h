/* What the store's backends share: the list of listeners. Not installed. */
#ifndef MAL_STORE_PRIVATE_H
#define MAL_STORE_PRIVATE_H

#include "store.h"

/* In order of registration. A listener may add or remove listeners, itself included, while it is
   called. */
typedef struct {
  GArray *entries;
  unsigned last_id;
  unsigned calling;
} MalListeners;

void mal_listeners_init(MalListeners *listeners);
void mal_listeners_clear(MalListeners *listeners);
unsigned mal_listeners_add(MalListeners *listeners, MalStoreFunc func, void *data);
void mal_listeners_remove(MalListeners *listeners, unsigned id);
void mal_listeners_call(MalListeners *listeners, MalTicket through, const GError *error);

/* store-records.c: what the dispatch keeps of records beside the backend. */
MalRecords *mal_records_of(MalStore *store);
void mal_records_free(MalRecords *records);
void mal_records_change(MalRecords *records, MalTicket ticket, const MalRecord *record,
                        bool dropped);

#endif
