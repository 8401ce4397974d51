#ifndef FLETCH_RPC_RPC_HEALTH_H
#define FLETCH_RPC_RPC_HEALTH_H

/* The standard service grpc.health.v1.Health: Check and Watch. The thread of one loop; a server of
 * it is given one. */

#include <fletching/allocator.h>
#include <fletching/status.h>

struct fletch_rpc_health;

enum fletch_rpc_serving {
    FLETCH_RPC_SERVING_UNKNOWN,
    FLETCH_RPC_SERVING,
    FLETCH_RPC_NOT_SERVING,
    FLETCH_RPC_SERVICE_UNKNOWN
};

/* Bytes of a service's name, the terminating NUL included. */
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

/* From now on nothing is served, whatever is set. */
void fletch_rpc_health_shutdown(struct fletch_rpc_health *health);

#endif
