#ifndef FLETCHING_MPSC_QUEUE_H
#define FLETCHING_MPSC_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/answer.h>
#include <fletching/export.h>
#include <fletching/ring.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** A bounded queue from any number of producers, which need not register, to one consumer. Pushing
 *  is lock-free, popping wait-free. FIFO for each producer; the whole order is that of the claims.
 *
 *  Threads: any thread may push and close at any time. The consumer's end belongs to one thread at
 *  a time and can be handed over.
 *
 *  A producer claims positions, fills them, and publishes them. One that is stalled or killed in
 *  between holds up the consumer at its position (pop answers HELD, and
 *  fletch_mpsc_queue_held_position tells where) and, once the queue has filled up behind it, the
 *  other producers (push answers FULL). Nothing else is affected; nothing is lost or repeated. */
struct fletch_mpsc_queue;

/** Zero means default in every field but the two marked. */
struct fletch_mpsc_queue_options {
    size_t struct_size;
    /** Required: bytes of one element, FLETCH_ELEMENT_BYTES_MIN to FLETCH_ELEMENT_BYTES_MAX. */
    size_t element_bytes;
    /** Required: elements that always fit, 1 to FLETCH_CAPACITY_MAX. A push never answers FULL with
     *  fewer than that unread or claimed. Up to an eighth more may fit. */
    size_t capacity;
    enum fletch_sharing sharing;
    enum fletch_wait_strategy wait_strategy;
    /** 0: FLETCH_SPIN_BUDGET_NS_DEFAULT; FLETCH_OFF: no spinning. Only for FLETCH_WAIT_ADAPTIVE. */
    uint64_t spin_budget_ns;
};

/** Bytes and alignment of the memory that a queue with these options takes: as
 *  fletch_spsc_ring_bytes. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_mpsc_queue_bytes(const struct fletch_mpsc_queue_options *options, size_t *out_bytes,
                        struct fletch_error *error);
FLETCH_EXPORT size_t fletch_mpsc_queue_alignment(void);

/** As fletch_spsc_ring_init, _attach, _deinit, _create and _destroy. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_mpsc_queue_init(void *memory, size_t memory_bytes,
                       const struct fletch_mpsc_queue_options *options,
                       struct fletch_mpsc_queue **out_queue, struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_mpsc_queue_attach(void *memory, size_t memory_bytes, struct fletch_mpsc_queue **out_queue,
                         struct fletch_error *error);
FLETCH_EXPORT void fletch_mpsc_queue_deinit(struct fletch_mpsc_queue *queue,
                                            fletch_drop_function *drop, void *drop_context);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_mpsc_queue_create(const struct fletch_mpsc_queue_options *options,
                         const struct fletch_allocator *allocator,
                         struct fletch_mpsc_queue **out_queue, struct fletch_error *error);
FLETCH_EXPORT void fletch_mpsc_queue_destroy(struct fletch_mpsc_queue *queue,
                                             fletch_drop_function *drop, void *drop_context);

/** Copies one element in. DONE, FULL or CLOSED. Any thread; lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_mpsc_queue_try_push(struct fletch_mpsc_queue *queue, const void *element);

/** The same, waiting for room up to `timeout_ns`. Any thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_mpsc_queue_push(struct fletch_mpsc_queue *queue, const void *element, uint64_t timeout_ns);

/** Copies `count` contiguous elements in, all or none, with no element of another producer between
 *  them. DONE, FULL or CLOSED; FULL for ever if `count` is above the capacity. Any thread;
 *  lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_mpsc_queue_try_push_many(struct fletch_mpsc_queue *queue, const void *elements,
                                size_t count);

/** The same, waiting for room up to `timeout_ns`; answers FULL at once if `count` is above the
 *  capacity. A large batch may wait long beside producers of single elements. Any thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_mpsc_queue_push_many(struct fletch_mpsc_queue *queue, const void *elements, size_t count,
                            uint64_t timeout_ns);

/** No push succeeds any more; what was claimed before is still published. The consumer drains it
 *  and then gets CLOSED. Idempotent. Any thread; lock-free; wakes everybody who waits. */
FLETCH_EXPORT void fletch_mpsc_queue_close(struct fletch_mpsc_queue *queue);

/** Consumer: copies the oldest element out. DONE, EMPTY, HELD or CLOSED. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_mpsc_queue_try_pop(struct fletch_mpsc_queue *queue, void *out_element);

/** Consumer: the same, waiting for an element up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_mpsc_queue_pop(struct fletch_mpsc_queue *queue, void *out_element, uint64_t timeout_ns);

/** Consumer: copies up to `max_count` published elements out, contiguous, oldest first. DONE if at
 *  least one. `*out_popped` is written whatever the answer. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_mpsc_queue_try_pop_many(struct fletch_mpsc_queue *queue, void *out_elements,
                               size_t max_count, size_t *out_popped);

/** Consumer: the same, waiting for the first element up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_mpsc_queue_pop_many(struct fletch_mpsc_queue *queue, void *out_elements, size_t max_count,
                           uint64_t timeout_ns, size_t *out_popped);

/** Consumer: after HELD, the position at which the queue stands: the count of elements that were
 *  popped before it. The same number at two looks means that the same producer holds it still. */
FLETCH_EXPORT uint64_t fletch_mpsc_queue_held_position(const struct fletch_mpsc_queue *queue);

/** As fletch_spsc_ring_open_fd, _arm and _disarm. FLETCH_END_PRODUCER: any thread, any number armed
 *  at once; all are woken. FLETCH_END_CONSUMER: the consumer. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_mpsc_queue_open_fd(struct fletch_mpsc_queue *queue, enum fletch_ring_end end, int *out_fd,
                          struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK bool
fletch_mpsc_queue_arm(struct fletch_mpsc_queue *queue, enum fletch_ring_end end, uint32_t *out_key);
FLETCH_EXPORT void fletch_mpsc_queue_disarm(struct fletch_mpsc_queue *queue,
                                            enum fletch_ring_end end, uint32_t key);

/** Writes the first `out_statistics->struct_size` bytes of them. Any thread; wait-free. */
FLETCH_EXPORT void fletch_mpsc_queue_statistics(const struct fletch_mpsc_queue *queue,
                                                struct fletch_ring_statistics *out_statistics);

FLETCH_END_DECLS

#endif
