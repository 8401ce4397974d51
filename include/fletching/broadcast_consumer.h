#ifndef FLETCHING_BROADCAST_CONSUMER_H
#define FLETCHING_BROADCAST_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/answer.h>
#include <fletching/broadcast_ring.h>
#include <fletching/export.h>
#include <fletching/ring.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** A place at a broadcast ring, from join to leave. Its memory is the ring's. It belongs to one
 *  thread at a time and can be handed over, as an end of fletch_spsc_ring. */
struct fletch_broadcast_consumer;

struct fletch_broadcast_join_options {
    size_t struct_size;
    /** Consumers of this ring that it sees an element after; NULL with 0: it waits for producers
     *  only. Each must have joined with `leads`. */
    struct fletch_broadcast_consumer *const *behind;
    size_t behind_count;
    /** Others may be placed behind it: it lets them know of each element at once. */
    bool leads;
};

/** Joins at the present position: sees every element whose push begins after this, and none whose
 *  push ended before. `options` may be NULL. RESOURCE_EXHAUSTED: consumers_max are there.
 *  FAILED_PRECONDITION: one of `behind` does not lead, or has left. UNAVAILABLE: the kernel refuses
 *  membarrier. Lock-free; costs a system call. A consumer must leave, or all others get stuck. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_broadcast_ring_join(
    struct fletch_broadcast_ring *ring, const struct fletch_broadcast_join_options *options,
    struct fletch_broadcast_consumer **out_consumer, struct fletch_error *error);

/** Holds nobody up any more, and ends the handle; elements that it has not read are none of its
 *  business. Those behind it wait from then on for those that it was behind. Whoever takes over the
 *  end of a dead thread calls this in its stead, wherever it died. Wait-free. */
FLETCH_EXPORT void fletch_broadcast_consumer_leave(struct fletch_broadcast_consumer *consumer);

/** Its number: every join of a ring gets another one, from 1. */
FLETCH_EXPORT uint64_t
fletch_broadcast_consumer_id(const struct fletch_broadcast_consumer *consumer);

/** Makes the consumer of this number hold up nobody, though its thread has stalled and does not
 *  leave: from then on its calls answer CLOSED, and it still leaves. DONE: it is so, now or
 *  already. HELD: the consumer is inside a call, or reads in place; it will be so when it calls
 *  next, or at the next remove, whatever comes first. CLOSED: no such consumer, it has left. Any
 *  thread; lock-free; costs a system call. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_ring_remove(struct fletch_broadcast_ring *ring, uint64_t consumer_id);

/** Copies the next element out. DONE, EMPTY (also: those that it is behind have not passed it),
 *  HELD or CLOSED. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_consumer_try_pop(struct fletch_broadcast_consumer *consumer, void *out_element);

/** The same, waiting up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_consumer_pop(struct fletch_broadcast_consumer *consumer, void *out_element,
                              uint64_t timeout_ns);

/** Copies up to `max_count` elements out, contiguous, oldest first. DONE if at least one.
 *  `*out_popped` is written whatever the answer. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_consumer_try_pop_many(struct fletch_broadcast_consumer *consumer,
                                       void *out_elements, size_t max_count, size_t *out_popped);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_consumer_pop_many(struct fletch_broadcast_consumer *consumer, void *out_elements,
                                   size_t max_count, uint64_t timeout_ns, size_t *out_popped);

/** Up to `max_count`, at least 1, of the next elements, to be read in place. They stay until
 *  release. A consumer that leads may change them for those behind it, if all others are behind
 *  it. As fletch_spsc_ring_peek. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_consumer_try_peek(struct fletch_broadcast_consumer *consumer, size_t max_count,
                                   struct fletch_ring_spans *out_spans);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_consumer_peek(struct fletch_broadcast_consumer *consumer, size_t max_count,
                               uint64_t timeout_ns, struct fletch_ring_spans *out_spans);

/** Passes the next `count` elements, 0 to as many as were shown by the last peek. */
FLETCH_EXPORT void fletch_broadcast_consumer_release(struct fletch_broadcast_consumer *consumer,
                                                     size_t count);

/** As fletch_spsc_ring_arm and _disarm. The descriptor is the ring's, for FLETCH_END_CONSUMER. */
FLETCH_EXPORT FLETCH_MUST_CHECK bool
fletch_broadcast_consumer_arm(struct fletch_broadcast_consumer *consumer, uint32_t *out_key);
FLETCH_EXPORT void fletch_broadcast_consumer_disarm(struct fletch_broadcast_consumer *consumer,
                                                    uint32_t key);

FLETCH_END_DECLS

#endif
