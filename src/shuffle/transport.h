#ifndef FLETCH_SHUFFLE_TRANSPORT_H
#define FLETCH_SHUFFLE_TRANSPORT_H

/* What shuffles share, and where their time comes from.
 *
 * Edges:
 *   E1: last holder of a shuffle fetch_sub_acq_rel(shuffle_count) ->
 *       fletch_transport_destroy load_acquire(shuffle_count): all that it has given back. */

#include <fletching/epoch.h>
#include <fletching/eventcount.h>
#include <fletching/partition_store.h>
#include <fletching/transport.h>

#include <stdint.h>

#include "base/atomic.h"
#include "base/process.h"
#include "memory/node_stack.h"

/* Nanoseconds that never go back. A simulator puts its own clock here before anything else. */
struct fletch_time_source {
    uint64_t (*now_ns)(void *context);
    void *context;
};

struct fletch_media;
struct fletch_spill_io;

/* A reader of the transport's epoch domain, lent to whoever needs one for a while. */
struct fletch_epoch_seat {
    struct fletch_stack_node node; /* first: while nobody has it */
    struct fletch_epoch_reader *reader;
};

struct fletch_transport {
    struct fletch_allocator allocator;
    uint32_t process; /* whose it is: base/process.h */
    struct fletch_time_source time;
    struct fletch_epoch_domain *epochs;
    struct fletch_node_stack seats;         /* that nobody has */
    struct fletch_partition_store *store;   /* names and partitions: shuffle/registry.h */
    const struct fletch_spill_io *spill_io; /* NULL: the system's */
    struct fletch_buffer_pool *pool;
    struct fletch_budget *budget;
    struct fletch_account *account;       /* the topmost one */
    struct fletch_account *shuffles;      /* of all of them: never the share of `delivered` */
    struct fletch_account *delivered;     /* what readers were given */
    uint64_t name_hash_mask;              /* tests: fewer bits, so that names have equal hashes */
    struct fletch_eventcount *registered; /* told of each new name */
    const struct fletch_media *media;     /* to other processes; NULL: none */
    _Atomic uint64_t handles;             /* given to shuffles so far */
    _Atomic uint64_t shuffle_count;       /* that are not freed yet */
};

/* A seat for the calling thread, which can be handed over outside of sections. NULL: no memory. Any
 * thread; lock-free. */
struct fletch_epoch_seat *fletch_transport_borrow_seat(struct fletch_transport *transport,
                                                       struct fletch_error *error);
/* Outside of sections; also while objects are freed. NULL allowed. */
void fletch_transport_return_seat(struct fletch_transport *transport,
                                  struct fletch_epoch_seat *seat);

/* Whether the calling process made it; a child forked since may only leave it alone. */
static inline bool fletch_transport_is_own(const struct fletch_transport *transport)
{
    return fletch_process_is(transport->process);
}

/* OK, or FAILED_PRECONDITION. Two loads. */
enum fletch_status fletch_transport_check(const struct fletch_transport *transport,
                                          struct fletch_error *error);

/* Of the transport's clock. */
uint64_t fletch_transport_now_ns(const struct fletch_transport *transport);

/* Now + timeout; FLETCH_NO_DEADLINE where that never comes. */
uint64_t fletch_transport_deadline_ns(const struct fletch_transport *transport,
                                      uint64_t timeout_ns);

/* What is left until a deadline, 0 once it has passed. */
uint64_t fletch_transport_remaining_ns(const struct fletch_transport *transport,
                                       uint64_t deadline_ns);

#endif
