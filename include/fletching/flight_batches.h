#ifndef FLETCHING_FLIGHT_BATCHES_H
#define FLETCHING_FLIGHT_BATCHES_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/flight_stream.h>

FLETCH_BEGIN_DECLS

/** All data of a stream, with a reference for the schema and one for each batch. */
struct fletch_flight_batches {
    struct fletch_schema *schema;
    struct fletch_batch **batches;
    size_t count;
};

/** Reads a stream's data to its end; app metadata are passed over. `*out_batches` is the caller's
 *  until fletch_flight_batches_release; its list is of the server's or client's allocator.
 *  `timeout_ns`: for each batch: DEADLINE_EXCEEDED. INVALID_ARGUMENT: it had no schema;
 *  RESOURCE_EXHAUSTED: no memory; else as fletch_flight_stream_read. On failure nothing stays. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_stream_read_all(struct fletch_flight_stream *stream, uint64_t timeout_ns,
                              struct fletch_flight_batches *out_batches,
                              struct fletch_error *error);

/** Begins a stream with the schema and `options` (NULL: all defaults), and writes all batches. The
 *  caller keeps its references. `timeout_ns`: for each batch: DEADLINE_EXCEEDED. Errors as
 *  fletch_flight_stream_begin and fletch_flight_stream_write. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_stream_write_all(struct fletch_flight_stream *stream, uint64_t timeout_ns,
                               const struct fletch_flight_batches *batches,
                               const struct fletch_flight_write_options *options,
                               struct fletch_error *error);

/** Lets the references go, and the list. Nothing of an empty one (all zero). Any thread. */
FLETCH_EXPORT void fletch_flight_batches_release(struct fletch_flight_batches *batches);

FLETCH_END_DECLS

#endif
