#ifndef FLETCH_SERVICE_SERVICE_PUT_H
#define FLETCH_SERVICE_SERVICE_PUT_H

/* DoPut: a producer, whose batches a source takes from its stream. */

#include "service/service_name.h"

enum fletch_status fletch_service_put(struct fletch_service *service,
                                      struct fletch_flight_stream *stream,
                                      const struct fletch_flight_descriptor *descriptor,
                                      struct fletch_error *error);

#endif
