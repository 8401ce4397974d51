#ifndef FLETCHING_BROADCAST_RING_H
#define FLETCHING_BROADCAST_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/answer.h>
#include <fletching/export.h>
#include <fletching/ring.h>
#include <fletching/spsc_ring.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** A bounded ring of which every consumer sees every element, in one order. Nothing is overwritten:
 *  the slowest consumer holds up the producers. Consumers join at the present position and leave
 *  while the ring runs; one may be placed behind others, whose work on an element it then finds
 *  done. With no consumer, elements go nowhere and pushes succeed.
 *
 *  Threads: the producer's end of a ring with one producer, and each consumer
 *  (fletch_broadcast_consumer), belongs to one thread at a time and can be handed over, as an end
 *  of fletch_spsc_ring. With several producers any thread may push. Joining and removing may be
 *  done by any thread at any time, leaving by the consumer. All threads are of one process. */
struct fletch_broadcast_ring;

enum fletch_broadcast_producers {
    FLETCH_PRODUCERS_ONE = 0, /* wait-free */
    /* Lock-free. One that stalls between claim and commit holds up the consumers there (HELD), and
     * once the ring has filled up behind it the other producers (FULL). */
    FLETCH_PRODUCERS_MANY = 1
};

#define FLETCH_BROADCAST_CONSUMERS_MAX 64

/** Zero means default in every field but the three marked. */
struct fletch_broadcast_ring_options {
    size_t struct_size;
    /** Required: bytes of one element, FLETCH_ELEMENT_BYTES_MIN to FLETCH_ELEMENT_BYTES_MAX. */
    size_t element_bytes;
    /** Required: elements that always fit, 1 to FLETCH_CAPACITY_MAX. A push never answers FULL with
     *  fewer than that unread by the slowest consumer, or claimed; or read, where there is `drop`
     *  or several producers, while another thread drops or counts them. An eighth more may fit. */
    size_t capacity;
    /** Required: consumers at one time, 1 to FLETCH_BROADCAST_CONSUMERS_MAX. */
    size_t consumers_max;
    enum fletch_broadcast_producers producers;
    /** FLETCH_RING_CURSOR: for batches; one producer only. */
    enum fletch_ring_form form;
    enum fletch_wait_strategy wait_strategy;
    /** 0: FLETCH_SPIN_BUDGET_NS_DEFAULT; FLETCH_OFF: no spinning. Only for FLETCH_WAIT_ADAPTIVE. */
    uint64_t spin_budget_ns;
    /** For elements that carry a reference, which is the ring's from the push that answers DONE.
     *  `drop` is called once for each, when all consumers have passed it: by whoever passed it
     *  last, leaves or removes, by a producer where there is no consumer, or by destroy. */
    fletch_drop_function *drop;
    /** Takes a reference for the caller of a pop, on the copy that it gets and before it counts as
     *  passed. Elements read in place are held by the ring until release. */
    fletch_drop_function *hold;
    /** For both. */
    void *context;
};

/** Bytes and alignment of the memory that a ring with these options takes: as
 *  fletch_spsc_ring_bytes. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_broadcast_ring_bytes(const struct fletch_broadcast_ring_options *options, size_t *out_bytes,
                            struct fletch_error *error);
FLETCH_EXPORT size_t fletch_broadcast_ring_alignment(void);

/** As fletch_spsc_ring_init, _deinit, _create and _destroy; elements that are left go to the `drop`
 *  of the options. Consumers that have not left end with the ring. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_broadcast_ring_init(void *memory, size_t memory_bytes,
                           const struct fletch_broadcast_ring_options *options,
                           struct fletch_broadcast_ring **out_ring, struct fletch_error *error);
FLETCH_EXPORT void fletch_broadcast_ring_deinit(struct fletch_broadcast_ring *ring);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_broadcast_ring_create(const struct fletch_broadcast_ring_options *options,
                             const struct fletch_allocator *allocator,
                             struct fletch_broadcast_ring **out_ring, struct fletch_error *error);
FLETCH_EXPORT void fletch_broadcast_ring_destroy(struct fletch_broadcast_ring *ring);

/* ---- producers ---- */

/** Copies one element in. DONE, FULL or CLOSED. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_ring_try_push(struct fletch_broadcast_ring *ring, const void *element);

/** The same, waiting for room up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_ring_push(struct fletch_broadcast_ring *ring, const void *element,
                           uint64_t timeout_ns);

/** Copies in as many of `count` contiguous elements as there is room for, side by side. DONE if at
 *  least one went in (or `count` is 0). `*out_pushed` is written whatever the answer. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_ring_try_push_many(struct fletch_broadcast_ring *ring, const void *elements,
                                    size_t count, size_t *out_pushed);

/** Copies all `count` elements in, waiting for room up to `timeout_ns` in all. DONE only if all
 *  went in; FULL and CLOSED with the number that did. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_ring_push_many(struct fletch_broadcast_ring *ring, const void *elements,
                                size_t count, uint64_t timeout_ns, size_t *out_pushed);

/** Room that was granted, to be filled in place and committed. */
struct fletch_broadcast_claim {
    struct fletch_ring_spans spans;
    uint64_t position; /* the ring's own */
};

/** Room for up to `max_count` elements, at least 1. DONE, FULL or CLOSED; `*out_claim` is written
 *  on DONE. Followed by one commit, with no other call of this producer between. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_ring_try_claim(struct fletch_broadcast_ring *ring, size_t max_count,
                                struct fletch_broadcast_claim *out_claim);
/** The same, waiting for the first room up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_broadcast_ring_claim(struct fletch_broadcast_ring *ring, size_t max_count,
                            uint64_t timeout_ns, struct fletch_broadcast_claim *out_claim);

/** Publishes the first `count` claimed elements. One producer: 0 to as many as were claimed, the
 *  rest is given up. Several: exactly as many as were claimed. */
FLETCH_EXPORT void fletch_broadcast_ring_commit(struct fletch_broadcast_ring *ring,
                                                const struct fletch_broadcast_claim *claim,
                                                size_t count);

/** No push or claim succeeds any more. Each consumer gets what was pushed or claimed before, and
 *  then CLOSED. Idempotent; wakes everybody. One producer: by it; several: by any thread. */
FLETCH_EXPORT void fletch_broadcast_ring_close(struct fletch_broadcast_ring *ring);

/* ---- descriptors and statistics ---- */

/** As fletch_spsc_ring_open_fd: one descriptor for all producers, one for all consumers. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_broadcast_ring_open_fd(struct fletch_broadcast_ring *ring, enum fletch_ring_end end,
                              int *out_fd, struct fletch_error *error);

/** As fletch_spsc_ring_arm and _disarm, for a producer. */
FLETCH_EXPORT FLETCH_MUST_CHECK bool fletch_broadcast_ring_arm(struct fletch_broadcast_ring *ring,
                                                               uint32_t *out_key);
FLETCH_EXPORT void fletch_broadcast_ring_disarm(struct fletch_broadcast_ring *ring, uint32_t key);

/** Counters of one ring, since it was made. Each may lag behind. */
struct fletch_broadcast_statistics {
    size_t struct_size;
    uint64_t pushed;         /* elements published; several producers: claimed */
    uint64_t full;           /* calls that found no room */
    uint64_t producer_parks; /* times that a producer went to sleep on a futex */
    uint64_t consumers;      /* that hold up producers now */
    uint64_t slowest_id;     /* of the consumer that has passed fewest, 0 if there is none */
    uint64_t slowest_unread; /* elements before it; the same twice, and > 0: it has stalled */
    uint64_t slowest_popped; /* elements that it has passed since it joined */
    uint64_t slowest_parks;  /* times that it went to sleep on a futex */
    uint64_t removed;        /* consumers that fletch_broadcast_ring_remove was done with */
};

/** Writes the first `out_statistics->struct_size` bytes of them. Any thread. */
FLETCH_EXPORT void
fletch_broadcast_ring_statistics(const struct fletch_broadcast_ring *ring,
                                 struct fletch_broadcast_statistics *out_statistics);

FLETCH_END_DECLS

#endif
