#ifndef FLETCH_GRPC_GRPC_RECEIVE_H
#define FLETCH_GRPC_GRPC_RECEIVE_H

/* What events of HTTP/2 mean for calls. */

#include "grpc/grpc_machine.h"

/* Writes `*out_event` and answers true if there is something to tell. */
bool fletch_grpc_receive(struct fletch_grpc_connection *connection,
                         const struct fletch_http2_event *event,
                         struct fletch_grpc_event *out_event);

#endif
