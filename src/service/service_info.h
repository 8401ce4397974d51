#ifndef FLETCH_SERVICE_SERVICE_INFO_H
#define FLETCH_SERVICE_SERVICE_INFO_H

/* GetFlightInfo, PollFlightInfo, GetSchema and ListFlights. */

#include "service/service_name.h"

enum fletch_status fletch_service_info(const struct fletch_service *service,
                                       struct fletch_flight_stream *stream,
                                       const struct fletch_flight_descriptor *descriptor,
                                       struct fletch_error *error);
enum fletch_status fletch_service_poll(const struct fletch_service *service,
                                       struct fletch_flight_stream *stream,
                                       const struct fletch_flight_descriptor *descriptor,
                                       struct fletch_error *error);
enum fletch_status fletch_service_schema(const struct fletch_service *service,
                                         struct fletch_flight_stream *stream,
                                         const struct fletch_flight_descriptor *descriptor,
                                         struct fletch_error *error);
enum fletch_status fletch_service_list(const struct fletch_service *service,
                                       struct fletch_flight_stream *stream,
                                       const struct fletch_flight_bytes *criteria,
                                       struct fletch_error *error);

#endif
