#ifndef FLETCH_FLIGHT_FLIGHT_SERVICE_H
#define FLETCH_FLIGHT_FLIGHT_SERVICE_H

/* Calls at a server: from their first headers to their handler, and what handlers leave behind. */

#include <fletching/flight_server.h>

#include "flight/flight_call.h"
#include "flight/flight_method.h"
#include "flight/flight_stream.h"
#include "flight/flight_workers.h"

/* What the calls of a server have in common; fixed. */
struct fletch_flight_service {
    struct fletch_flight_handlers handlers;
    void *user;
    enum fletch_flight_run_mode run_mode;
    struct fletch_flight_workers *workers; /* ON_WORKER */
    struct fletch_allocator allocator;
    struct fletch_account *account;
    enum fletch_validation validation;
    size_t write_queue_bytes;
    size_t peer_message_bytes;
};

/* Those of a loop. */
struct fletch_flight_service_loop {
    const struct fletch_flight_service *service;
    struct fletch_event_loop *loop;
    struct fletch_buffer_cache *cache; /* of the loop's thread */
    struct fletch_flight_counters counters;
    struct fletch_flight_waits waits;
};

/* The context of a method of gRPC. */
struct fletch_flight_service_method {
    struct fletch_flight_service_loop *at;
    enum fletch_flight_method_id id;
};

/* From within a handler of data, of either run mode: the stream is the caller's from here on, who
 * may hand it to another thread once nothing else is done with it in the handler, and gives it back
 * by fletch_flight_stream_finish and fletch_flight_stream_leave before the server is destroyed. It
 * needs a cache first (fletch_flight_stream_use). What the handler returns means nothing. */
void fletch_flight_stream_take_over(struct fletch_flight_stream *stream);

/* struct fletch_rpc_method's `begin`. */
void fletch_flight_service_begin(void *context, struct fletch_rpc_call *call,
                                 const struct fletch_rpc_request *request);

#endif
