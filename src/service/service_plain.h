#ifndef FLETCH_SERVICE_SERVICE_PLAIN_H
#define FLETCH_SERVICE_SERVICE_PLAIN_H

/* What a client is given where a shuffle has dictionaries. Each producer has its own, so a
 * dictionary is replaced in the middle of a stream; whoever cannot be known to read that gets plain
 * values. docs/SERVICE.md. */

#include <fletching/flight_stream.h>

#include "partition/batch_recoder.h"
#include "shuffle/shuffle.h"

struct fletch_service_plain {
    struct fletch_schema *schema; /* a reference: what the client gets */
    bool is_plain;                /* not the shuffle's own */
    struct fletch_recoder recoder;
};

/* For zeroes. INVALID_ARGUMENT: the header; RESOURCE_EXHAUSTED. */
enum fletch_status fletch_service_plain_start(struct fletch_service_plain *plain,
                                              const struct fletch_flight_stream *stream,
                                              const struct fletch_shuffle *shuffle,
                                              struct fletch_error *error);

/* Of one that was not started, too. */
void fletch_service_plain_end(struct fletch_service_plain *plain);

/* Takes a batch of the shuffle, and its reference, and makes one for the client of it. */
enum fletch_status fletch_service_plain_take(struct fletch_service_plain *plain,
                                             struct fletch_batch *batch,
                                             struct fletch_buffer_cache *cache,
                                             struct fletch_batch **out_batch,
                                             struct fletch_error *error);

/* One without rows. */
enum fletch_status fletch_service_plain_empty(const struct fletch_service_plain *plain,
                                              struct fletch_buffer_cache *cache,
                                              struct fletch_batch **out_batch,
                                              struct fletch_error *error);

#endif
