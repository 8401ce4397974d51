#ifndef FLETCH_GRPC_GRPC_STATUS_H
#define FLETCH_GRPC_GRPC_STATUS_H

/* What ends a call without a status of gRPC, as one. */

#include <fletching/status.h>

#include <stddef.h>

#include "http2/http2_connection.h"

/* Of an answer that is none of gRPC's, by its :status. */
enum fletch_status fletch_grpc_status_of_http(uint32_t status);

/* Of a stream that was reset. */
enum fletch_status fletch_grpc_status_of_reset(uint32_t code, enum fletch_http2_cause cause);

/* Of grpc-status: one that is no number, or beyond 16, is UNKNOWN. */
enum fletch_status fletch_grpc_status_read(const char *text, size_t bytes);

#endif
