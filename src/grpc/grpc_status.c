#include "grpc/grpc_status.h"

enum fletch_status fletch_grpc_status_of_http(uint32_t status)
{
    switch (status) {
    case 400:
    case 431:
        return FLETCH_INTERNAL;
    case 401:
        return FLETCH_UNAUTHENTICATED;
    case 403:
        return FLETCH_PERMISSION_DENIED;
    case 404:
        return FLETCH_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return FLETCH_UNAVAILABLE;
    default:
        return FLETCH_UNKNOWN;
    }
}

enum fletch_status fletch_grpc_status_of_reset(uint32_t code, enum fletch_http2_cause cause)
{
    if (cause == FLETCH_HTTP2_BY_REFUSAL || cause == FLETCH_HTTP2_BY_LOSS)
        return FLETCH_UNAVAILABLE;
    switch (code) {
    case FLETCH_HTTP2_REFUSED_STREAM:
        return FLETCH_UNAVAILABLE;
    case FLETCH_HTTP2_CANCEL:
        return FLETCH_CANCELLED;
    case FLETCH_HTTP2_ENHANCE_YOUR_CALM:
        return FLETCH_RESOURCE_EXHAUSTED;
    case FLETCH_HTTP2_INADEQUATE_SECURITY:
        return FLETCH_PERMISSION_DENIED;
    default:
        return FLETCH_INTERNAL;
    }
}

enum fletch_status fletch_grpc_status_read(const char *text, size_t bytes)
{
    int status = 0;
    if (bytes == 0 || bytes > 2)
        return FLETCH_UNKNOWN;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return FLETCH_UNKNOWN;
        status = status * 10 + (text[i] - '0');
    }
    return status <= FLETCH_UNAUTHENTICATED ? (enum fletch_status)status : FLETCH_UNKNOWN;
}
