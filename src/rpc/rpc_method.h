#ifndef FLETCH_RPC_RPC_METHOD_H
#define FLETCH_RPC_RPC_METHOD_H

/* What a server does with the calls of a path. */

#include "rpc/rpc_call.h"

struct fletch_rpc_request {
    const char *path;
    struct fletch_grpc_metadata metadata; /* these: until `begin` returns */
    uint64_t timeout_ns;                  /* UINT64_MAX: none */
};

struct fletch_rpc_method {
    const char *path; /* "/package.Service/Method" */
    /* A call begins. May send, finish, and give the call a context. NULL allowed. */
    void (*begin)(void *context, struct fletch_rpc_call *call,
                  const struct fletch_rpc_request *request);
    const struct fletch_rpc_handler *handler;
    void *context;                           /* the call's at first */
    const struct fletch_grpc_reader *reader; /* of its messages; NULL: a buffer for each */
};

#endif
