#ifndef FLETCH_SERVICE_SERVICE_SCAN_H
#define FLETCH_SERVICE_SERVICE_SCAN_H

/* An answer that has one message for each shuffle of the transport: a source, so that any number of
 * them goes out as fast as the client takes them. */

#include "service/service.h"

struct fletch_service_scan_options {
    struct fletch_flight_bytes prefix; /* of names; no bytes: all */
    /* Sends the message of a shuffle: answers of fletch_flight_stream_send, with no timeout. */
    enum fletch_answer (*send)(const struct fletch_service *service,
                               struct fletch_flight_stream *stream, struct fletch_shuffle *shuffle,
                               struct fletch_error *error);
};

/* Leaves the source with the stream. */
enum fletch_status fletch_service_scan(const struct fletch_service *service,
                                       struct fletch_flight_stream *stream,
                                       const struct fletch_service_scan_options *options,
                                       struct fletch_error *error);

#endif
