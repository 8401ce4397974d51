#ifndef FLETCH_FLIGHT_FLIGHT_CALL_H
#define FLETCH_FLIGHT_FLIGHT_CALL_H

/* The loop's half of a stream, which has the call of gRPC. All of this is for the loop's thread. */

#include "flight/flight_stream.h"

/* The handler and the reader of a call whose context is a stream. */
extern const struct fletch_rpc_handler fletch_flight_call_handler;
extern const struct fletch_grpc_reader fletch_flight_call_reader;

/* For a stream that is being made. */
void fletch_flight_call_prepare(struct fletch_flight_stream *stream);

/* The call is there. What the user has written meanwhile is sent. May end the stream, if the user
 * has left. */
void fletch_flight_call_attach(struct fletch_flight_stream *stream, struct fletch_rpc_call *call);

/* There will be no call. May end the stream. */
void fletch_flight_call_fail(struct fletch_flight_stream *stream, enum fletch_status status,
                             const char *text);

#endif
