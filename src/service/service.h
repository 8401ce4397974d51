#ifndef FLETCH_SERVICE_SERVICE_H
#define FLETCH_SERVICE_SERVICE_H

/* What the handlers of a shuffle server share. All of it is fixed but the counters, which any
 * handler adds to. docs/SERVICE.md. */

#include <fletching/flight_server.h>
#include <fletching/shuffle_server.h>

#include "base/atomic.h"
#include "shuffle/shuffle.h"

/* All relaxed, statistics. */
struct fletch_service_counters {
    _Atomic uint64_t puts;
    _Atomic uint64_t puts_now;
    _Atomic uint64_t puts_lost;
    _Atomic uint64_t gets;
    _Atomic uint64_t gets_now;
    _Atomic uint64_t gets_broken;
    _Atomic uint64_t rows_put;
    _Atomic uint64_t rows_got;
    _Atomic uint64_t actions;
};

struct fletch_service {
    struct fletch_transport *transport;
    struct fletch_allocator allocator;
    struct fletch_shuffle_server_options options; /* completed; text and dialects are its own */
    struct fletch_service_counters counters;
};

static inline void fletch_service_count(_Atomic uint64_t *counter, uint64_t count)
{
    fetch_add_relaxed(counter, count); /* relaxed: a statistic */
}

static inline void fletch_service_uncount(_Atomic uint64_t *counter)
{
    fetch_sub_relaxed(counter, 1); /* relaxed: a statistic */
}

/* Tells the log's hook, if there is one. `shuffle`: NULL: none; `stream`: whose call it is. */
void fletch_service_tell(const struct fletch_service *service, struct fletch_flight_stream *stream,
                         const struct fletch_shuffle *shuffle,
                         struct fletch_service_notice *notice);

/* A decimal number from 0 to `most`. False: it is none. */
bool fletch_service_number(const char *text, size_t bytes, uint64_t most, uint64_t *out_number);

/* The number in a header. `*out_is_there` false: there is no such header. INVALID_ARGUMENT. */
enum fletch_status fletch_service_header(const struct fletch_flight_stream *stream,
                                         const char *name, uint64_t *out_number, bool *out_is_there,
                                         struct fletch_error *error);

/* When a call with a deadline is to be ended, so that its client still hears why. */
uint64_t fletch_service_deadline_ns(const struct fletch_flight_stream *stream);

#endif
