#ifndef FLETCH_FLIGHT_FLIGHT_READER_H
#define FLETCH_FLIGHT_FLIGHT_READER_H

/* FlightData of one direction to record batches. One thread at a time; nothing blocks. */

#include <fletching/validation.h>

#include "arrow/ipc_decoder.h"
#include "flight/flight_message.h"

struct fletch_flight_reader {
    struct fletch_flight_memory memory;
    const struct fletch_allocator *allocator;
    enum fletch_validation validation;
    struct fletch_ipc_decoder *decoder;                /* NULL: nothing has come */
    const struct fletch_flight_descriptor *descriptor; /* the last one; NULL: none */
    const struct fletch_flight_descriptor *first;      /* which a handler may look at to its end */
    struct fletch_buffer *app_metadata;                /* a copy of the last one's bytes; grows */
};

/* What a message brought. */
struct fletch_flight_item {
    struct fletch_batch *batch;              /* with a reference for the caller; or NULL */
    struct fletch_flight_bytes app_metadata; /* until the next one */
    bool is_nothing;                         /* no more than descriptor, schema or dictionary */
};

/* Takes a message in, which stays the caller's. Errors as fletch_ipc_decoder_message; after one the
 * reader is good for nothing. */
enum fletch_status fletch_flight_reader_take(struct fletch_flight_reader *reader,
                                             const struct fletch_flight_incoming *incoming,
                                             struct fletch_flight_item *out_item,
                                             struct fletch_error *error);

/* NULL: it has not come. */
struct fletch_schema *fletch_flight_reader_schema(const struct fletch_flight_reader *reader);

void fletch_flight_reader_end(struct fletch_flight_reader *reader);

#endif
