#ifndef FLETCH_SHUFFLE_TRANSPORT_H
#define FLETCH_SHUFFLE_TRANSPORT_H

/* What shuffles share, and where their time comes from. */

#include <fletching/epoch.h>
#include <fletching/eventcount.h>
#include <fletching/partition_store.h>
#include <fletching/transport.h>

#include <stdint.h>

#include "base/atomic.h"

/* Nanoseconds that never go back. A simulator puts its own clock here before anything else. */
struct fletch_time_source {
    uint64_t (*now_ns)(void *context);
    void *context;
};

struct fletch_transport {
    struct fletch_allocator allocator;
    struct fletch_time_source time;
    struct fletch_epoch_domain *epochs;
    struct fletch_partition_store *store; /* names and partitions: shuffle/registry.h */
    struct fletch_buffer_pool *pool;
    struct fletch_budget *budget;
    struct fletch_account *account;   /* the topmost one */
    struct fletch_account *delivered; /* what readers were given */
    uint64_t name_hash_mask;          /* tests: fewer bits, so that names have equal hashes */
    struct fletch_eventcount *registered; /* told of each new name */
    _Atomic uint64_t handles;             /* given to shuffles so far */
    _Atomic uint64_t shuffles;            /* that are not freed yet */
};

/* Of the transport's clock. */
uint64_t fletch_transport_now_ns(const struct fletch_transport *transport);

/* Now + timeout; FLETCH_NO_DEADLINE where that never comes. */
uint64_t fletch_transport_deadline_ns(const struct fletch_transport *transport,
                                      uint64_t timeout_ns);

/* What is left until a deadline, 0 once it has passed. */
uint64_t fletch_transport_remaining_ns(const struct fletch_transport *transport,
                                       uint64_t deadline_ns);

#endif
