#ifndef FLETCHING_SPSC_RING_H
#define FLETCHING_SPSC_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/answer.h>
#include <fletching/export.h>
#include <fletching/ring.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** A bounded ring between one producer and one consumer. Both ends are wait-free; order is FIFO.
 *
 *  Threads: each end belongs to one thread at a time. An end can be handed to another thread (the
 *  hand-over must order the two, as a join or a queue does); it is never shared. "Producer" and
 *  "consumer" below name the end that a call belongs to.
 *
 *  The try_ calls answer at once. The calls with a timeout wait as the ring's wait options say. */
struct fletch_spsc_ring;

/** Where the number lies that tells the consumer that an element is there. */
enum fletch_ring_form {
    /** FLETCH_RING_SLOT_SEQUENCE. */
    FLETCH_RING_DEFAULT = 0,
    /** In the slot, beside the element: fastest for elements that come one by one. */
    FLETCH_RING_SLOT_SEQUENCE = 1,
    /** In one word for the ring: fastest for batches; elements lie without gaps. */
    FLETCH_RING_CURSOR = 2
};

/** Zero means default in every field but the two marked. */
struct fletch_spsc_ring_options {
    size_t struct_size;
    /** Required: bytes of one element, FLETCH_ELEMENT_BYTES_MIN to FLETCH_ELEMENT_BYTES_MAX. */
    size_t element_bytes;
    /** Required: elements that always fit, 1 to FLETCH_CAPACITY_MAX. A push never answers FULL with
     *  fewer than that unread. Up to an eighth more may fit. */
    size_t capacity;
    enum fletch_ring_form form;
    enum fletch_sharing sharing;
    enum fletch_wait_strategy wait_strategy;
    /** 0: FLETCH_SPIN_BUDGET_NS_DEFAULT; FLETCH_OFF: no spinning. Only for FLETCH_WAIT_ADAPTIVE. */
    uint64_t spin_budget_ns;
};

/** Bytes of memory that a ring with these options takes. INVALID_ARGUMENT names the option, its
 *  value and the limit. `*out_bytes` is a multiple of fletch_spsc_ring_alignment(). */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_spsc_ring_bytes(const struct fletch_spsc_ring_options *options, size_t *out_bytes,
                       struct fletch_error *error);
FLETCH_EXPORT size_t fletch_spsc_ring_alignment(void);

/** Makes a ring in memory of the caller, who keeps owning it and calls fletch_spsc_ring_deinit
 *  before giving it back. The ring holds no pointers: it works wherever the memory is mapped.
 *  INVALID_ARGUMENT: an option, memory too small or misaligned; names value and limit. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_spsc_ring_init(void *memory, size_t memory_bytes,
                      const struct fletch_spsc_ring_options *options,
                      struct fletch_spsc_ring **out_ring, struct fletch_error *error);

/** Finds the ring that another process made in memory that both map. FAILED_PRECONDITION: no ring
 *  there, of another layout version, not shared, or larger than the memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_spsc_ring_attach(void *memory, size_t memory_bytes, struct fletch_spsc_ring **out_ring,
                        struct fletch_error *error);

/** Calls `drop` (NULL: nothing) for each element that is left and ends the ring. Both ends must
 *  have stopped. NULL is allowed for the ring. */
FLETCH_EXPORT void fletch_spsc_ring_deinit(struct fletch_spsc_ring *ring,
                                           fletch_drop_function *drop, void *drop_context);

/** As init, in memory from `allocator` (NULL: the default one). RESOURCE_EXHAUSTED: no memory. The
 *  caller owns the ring until fletch_spsc_ring_destroy. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_spsc_ring_create(const struct fletch_spsc_ring_options *options,
                        const struct fletch_allocator *allocator,
                        struct fletch_spsc_ring **out_ring, struct fletch_error *error);

/** fletch_spsc_ring_deinit, and gives the memory of fletch_spsc_ring_create back. */
FLETCH_EXPORT void fletch_spsc_ring_destroy(struct fletch_spsc_ring *ring,
                                            fletch_drop_function *drop, void *drop_context);

/** Producer: copies one element in. DONE, FULL or CLOSED. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_try_push(struct fletch_spsc_ring *ring, const void *element);

/** Producer: the same, waiting for room up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_push(struct fletch_spsc_ring *ring, const void *element, uint64_t timeout_ns);

/** Producer: copies in as many of `count` contiguous elements as there is room for. DONE if at
 *  least one went in (or `count` is 0). `*out_pushed` is written whatever the answer. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_try_push_many(struct fletch_spsc_ring *ring, const void *elements, size_t count,
                               size_t *out_pushed);

/** Producer: copies all `count` elements in, waiting for room up to `timeout_ns` in all. DONE only
 *  if all went in; FULL and CLOSED with the number that did. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_push_many(struct fletch_spsc_ring *ring, const void *elements, size_t count,
                           uint64_t timeout_ns, size_t *out_pushed);

/** Producer: room for up to `max_count` elements, at least 1, to be filled in place. DONE (at least
 *  one), FULL or CLOSED. `*out_spans` is written on DONE. Followed by one commit; until then no
 *  other producer call. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_try_claim(struct fletch_spsc_ring *ring, size_t max_count,
                           struct fletch_ring_spans *out_spans);

/** Producer: the same, waiting for the first room up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_claim(struct fletch_spsc_ring *ring, size_t max_count, uint64_t timeout_ns,
                       struct fletch_ring_spans *out_spans);

/** Producer: publishes the first `count` claimed elements, 0 to as many as were claimed; the rest
 *  of the claim is given up. Wait-free. */
FLETCH_EXPORT void fletch_spsc_ring_commit(struct fletch_spsc_ring *ring, size_t count);

/** Producer: no more elements will come. The consumer drains what is there and then gets CLOSED.
 *  Who takes over the end of a dead producer may call it too. Idempotent; wakes the consumer. */
FLETCH_EXPORT void fletch_spsc_ring_close(struct fletch_spsc_ring *ring);

/** Consumer: copies the oldest element out. DONE, EMPTY or CLOSED. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_try_pop(struct fletch_spsc_ring *ring, void *out_element);

/** Consumer: the same, waiting for an element up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_pop(struct fletch_spsc_ring *ring, void *out_element, uint64_t timeout_ns);

/** Consumer: copies up to `max_count` elements out, contiguous, oldest first. DONE if at least one.
 *  `*out_popped` is written whatever the answer. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_try_pop_many(struct fletch_spsc_ring *ring, void *out_elements, size_t max_count,
                              size_t *out_popped);

/** Consumer: the same, waiting for the first element up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_pop_many(struct fletch_spsc_ring *ring, void *out_elements, size_t max_count,
                          uint64_t timeout_ns, size_t *out_popped);

/** Consumer: up to `max_count`, at least 1, of the oldest elements, to be read in place. DONE (at
 *  least one), EMPTY or CLOSED. `*out_spans` is written on DONE. They stay in the ring until
 *  release; a second peek before it shows them again, perhaps with more behind. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_try_peek(struct fletch_spsc_ring *ring, size_t max_count,
                          struct fletch_ring_spans *out_spans);

/** Consumer: the same, waiting for the first element up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_spsc_ring_peek(struct fletch_spsc_ring *ring, size_t max_count, uint64_t timeout_ns,
                      struct fletch_ring_spans *out_spans);

/** Consumer: removes the `count` oldest elements, at most what the last peek showed. Wait-free. */
FLETCH_EXPORT void fletch_spsc_ring_release(struct fletch_spsc_ring *ring, size_t count);

/** Consumer: wants no more elements. From then on a push answers CLOSED (one that is under way may
 *  still succeed). Pops go on as before, so that what is there can be drained. Idempotent; wakes
 *  the producer. */
FLETCH_EXPORT void fletch_spsc_ring_cancel(struct fletch_spsc_ring *ring);

/** A descriptor for an epoll loop: see fletch_eventcount_open_fd. Any thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_spsc_ring_open_fd(struct fletch_spsc_ring *ring, enum fletch_ring_end end, int *out_fd,
                         struct fletch_error *error);

/** `end`: true: sleep on the descriptor now, then disarm with `*out_key`. False: there is room
 *  (producer), an element (consumer), or the end of the ring already; nothing was armed. */
FLETCH_EXPORT FLETCH_MUST_CHECK bool
fletch_spsc_ring_arm(struct fletch_spsc_ring *ring, enum fletch_ring_end end, uint32_t *out_key);
FLETCH_EXPORT void fletch_spsc_ring_disarm(struct fletch_spsc_ring *ring, enum fletch_ring_end end,
                                           uint32_t key);

/** Writes the first `out_statistics->struct_size` bytes of them. Any thread; wait-free. */
FLETCH_EXPORT void fletch_spsc_ring_statistics(const struct fletch_spsc_ring *ring,
                                               struct fletch_ring_statistics *out_statistics);

FLETCH_END_DECLS

#endif
