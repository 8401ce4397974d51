#ifndef FLETCH_RPC_RPC_HEALTH_H
#define FLETCH_RPC_RPC_HEALTH_H

/* The standard service grpc.health.v1.Health: Check and Watch. The thread of one loop; a server of
 * it is given one. */

#include "rpc/rpc_method.h"

struct fletch_rpc_health;

enum fletch_rpc_serving {
    FLETCH_RPC_SERVING_UNKNOWN,
    FLETCH_RPC_SERVING,
    FLETCH_RPC_NOT_SERVING,
    FLETCH_RPC_SERVICE_UNKNOWN
};

/* More than the bytes of any service's name, the terminating NUL included. */
enum { FLETCH_RPC_SERVICE_BYTES = 256 };

/* With the service "" (the whole server), which is served. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_rpc_health_create(const struct fletch_allocator *allocator,
                                            struct fletch_rpc_health **out_health,
                                            struct fletch_error *error);

/* After its servers. NULL allowed. */
void fletch_rpc_health_destroy(struct fletch_rpc_health *health);

/* Those who watch it are told. INVALID_ARGUMENT: too long a name; RESOURCE_EXHAUSTED: no memory
 * for a new one. */
enum fletch_status fletch_rpc_health_set(struct fletch_rpc_health *health, const char *service,
                                         enum fletch_rpc_serving serving,
                                         struct fletch_error *error);

/* From now on nothing is served, whatever is set. Those who watch are told, and their calls are
 * finished by UNAVAILABLE, so that a server that drains need not wait for them. */
void fletch_rpc_health_shutdown(struct fletch_rpc_health *health);

/* For a server: NULL: no path of this service. */
const struct fletch_rpc_method *fletch_rpc_health_method(const struct fletch_rpc_health *health,
                                                         const char *path);

#endif
