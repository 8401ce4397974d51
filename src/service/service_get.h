#ifndef FLETCH_SERVICE_SERVICE_GET_H
#define FLETCH_SERVICE_SERVICE_GET_H

/* DoGet: a reader of one partition, whose events a source writes to its stream. */

#include "service/service_name.h"

/* The handler: takes the target's reference in any case. */
enum fletch_status fletch_service_get(struct fletch_service *service,
                                      struct fletch_flight_stream *stream,
                                      const struct fletch_service_target *target,
                                      struct fletch_error *error);

#endif
