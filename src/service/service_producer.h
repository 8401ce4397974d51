#ifndef FLETCH_SERVICE_SERVICE_PRODUCER_H
#define FLETCH_SERVICE_SERVICE_PRODUCER_H

/* Which producer a put is, and whether what it brought is what it said. */

#include <fletching/shuffle_writer.h>

#include "service/service.h"

/* What the headers of a put say, and what has come. */
struct fletch_service_producer {
    uint32_t producer;
    uint64_t attempt;
    bool is_named; /* by a header */
    bool has_rows; /* fletch-rows was said */
    bool has_row_sum;
    uint64_t rows_said;
    uint64_t row_sum_said;
    uint64_t rows;
    uint64_t row_sum;
    uint64_t batches;
};

/* INVALID_ARGUMENT: a header. */
enum fletch_status fletch_service_producer_read(const struct fletch_flight_stream *stream,
                                                struct fletch_service_producer *out_producer,
                                                struct fletch_error *error);

/* The writer of that producer, or of one that nobody has been; its number is written. Errors as
 * fletch_shuffle_writer_open; RESOURCE_EXHAUSTED: all have been. */
enum fletch_status fletch_service_producer_open(struct fletch_service_producer *producer,
                                                struct fletch_shuffle *shuffle,
                                                struct fletch_buffer_cache *cache,
                                                struct fletch_shuffle_writer **out_writer,
                                                struct fletch_error *error);

void fletch_service_producer_count(struct fletch_service_producer *producer,
                                   const struct fletch_batch *batch);

/* Before the producer's end. DATA_LOSS: what has come is not what was said. A producer that said
 * nothing is counted as unverified. */
enum fletch_status fletch_service_producer_check(const struct fletch_service_producer *producer,
                                                 struct fletch_shuffle *shuffle,
                                                 struct fletch_error *error);

/* "rows", "counts" or "off". */
const char *fletch_service_producer_level(const struct fletch_service_producer *producer);

#endif
