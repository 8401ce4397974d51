#ifndef FLETCH_TESTS_SUPPORT_FLIGHT_ENDS_H
#define FLETCH_TESTS_SUPPORT_FLIGHT_ENDS_H

/* A server of Flight whose handlers run on workers, and a client, as their users have them. */

#include <fletching/fletching.h>

#include "base/atomic.h"
#include "support/pools.h"

struct flight_ends {
    const struct fletch_allocator *allocator; /* of the client; NULL: the default one */
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_batch *batch;
    struct fletch_flight_server *server;
    struct fletch_flight_client *client;
    uint32_t worker_limit;    /* of the server; 0: the default */
    _Atomic uint32_t hanging; /* handlers that wait for their call's end */
};

/* A pool, and a batch of it. */
void flight_ends_prepare(struct flight_ends *ends);

/* Handlers: DoGet: as many batches as the ticket says, "endless" ones, or none before the end
 * ("hang"); DoPut acknowledges each batch; DoExchange sends all back; DoAction sends its body back,
 * "hang" waits for the call's end; GetFlightInfo tells the path as a ticket; of "none" there is
 * nothing. `location`: NULL: a free port. */
void flight_ends_serve(struct flight_ends *ends, const char *location, uint32_t stream_limit);

/* `options`: beside location, pool, account and allocator. */
enum fletch_status flight_ends_connect(struct flight_ends *ends,
                                       const struct fletch_flight_client_options *options,
                                       struct fletch_error *error);

/* Everything is given back. */
void flight_ends_end(struct flight_ends *ends);

/* Begins a get of the client's. */
struct fletch_flight_stream *flight_ends_get(struct flight_ends *ends,
                                             const struct fletch_flight_call_options *options,
                                             const char *ticket);

/* Reads up to `most` batches, and returns how many there were. */
uint32_t flight_ends_read(struct flight_ends *ends, struct fletch_flight_stream *stream,
                          uint32_t most);

/* How a stream ends, which is closed then; with the text. */
enum fletch_status flight_ends_close(struct fletch_flight_stream *stream,
                                     struct fletch_error *out_end);

#endif
