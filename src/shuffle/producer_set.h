#ifndef FLETCH_SHUFFLE_PRODUCER_SET_H
#define FLETCH_SHUFFLE_PRODUCER_SET_H

/* Sets that are held open: producer 0 is nobody's, and what would be its words to the coordinator
 * anybody may say. fletch_shuffle_add_producer and fletch_shuffle_seal are here. */

#include "shuffle/shuffle.h"

/* ALREADY_EXISTS: the place that holds the set open was asked for. */
enum fletch_status fletch_producer_set_check(const struct fletch_shuffle *shuffle,
                                             uint32_t producer, struct fletch_error *error);

/* A producer that nobody has been yet and that may still be opened, from `first` on; UINT32_MAX:
 * there is none. Others may open it first. */
uint32_t fletch_producer_set_find_free(struct fletch_shuffle *shuffle, uint32_t first);

/* Takes the place that holds the set open out of what the coordinator has counted. */
void fletch_producer_set_correct(const struct fletch_shuffle *shuffle,
                                 struct fletch_exchange_statistics *statistics);

#endif
