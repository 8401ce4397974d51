#ifndef FLETCH_SERVICE_SERVICE_WAIT_H
#define FLETCH_SERVICE_SERVICE_WAIT_H

/* A call that waits on its loop for more than its stream: a descriptor, and a time. Either has the
 * stream's source called again. For the loop's thread. */

#include <fletching/flight_server.h>

#include "flight/flight_stream.h"
#include "net/event_loop.h"

struct fletch_service_wait {
    struct fletch_flight_stream *stream;
    struct fletch_event_source watched;
    struct fletch_timer timer;
    bool is_watching;
};

/* Stays where it is until fletch_service_wait_end. */
void fletch_service_wait_start(struct fletch_service_wait *wait,
                               struct fletch_flight_stream *stream);

/* One descriptor, whose edges count. RESOURCE_EXHAUSTED, UNAVAILABLE: the system's answer. */
enum fletch_status fletch_service_wait_watch(struct fletch_service_wait *wait, int fd,
                                             struct fletch_error *error);

/* At that time at the latest, instead of the last one that was set. FLETCH_NO_DEADLINE: never. */
void fletch_service_wait_until(struct fletch_service_wait *wait, uint64_t deadline_ns);

/* While the descriptor is still open. */
void fletch_service_wait_end(struct fletch_service_wait *wait);

#endif
