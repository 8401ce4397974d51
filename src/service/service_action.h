#ifndef FLETCH_SERVICE_SERVICE_ACTION_H
#define FLETCH_SERVICE_SERVICE_ACTION_H

/* DoAction and ListActions: a table of what there is. */

#include "service/service.h"

enum fletch_status fletch_service_act(struct fletch_service *service,
                                      struct fletch_flight_stream *stream,
                                      const struct fletch_flight_action *action,
                                      struct fletch_error *error);
enum fletch_status fletch_service_list_actions(struct fletch_flight_stream *stream,
                                               struct fletch_error *error);

#endif
