#ifndef FLETCHING_BATCH_SLOT_H
#define FLETCHING_BATCH_SLOT_H

#include <stdint.h>

#include <fletching/answer.h>
#include <fletching/batch.h>
#include <fletching/broadcast_consumer.h>
#include <fletching/broadcast_ring.h>
#include <fletching/export.h>
#include <fletching/fan_in.h>
#include <fletching/mpsc_queue.h>
#include <fletching/spsc_ring.h>

FLETCH_BEGIN_DECLS

/** A batch on its way to a partition of a shuffle: the element of rings of batches, 24 bytes. */
struct fletch_batch_slot {
    uint64_t shuffle_hash; /* of the shuffle's name */
    uint32_t partition;
    uint32_t reserved; /* 0 */
    struct fletch_batch *batch;
};

/** Elements of that kind in a ring or queue whose element_bytes is sizeof (struct
 *  fletch_batch_slot). A push that answers DONE has taken the caller's reference to the batch; with
 *  any other answer the caller keeps it. A pop that answers DONE gives a reference to the caller.
 *  Threads, waiting and answers are those of fletch_spsc_ring_push, fletch_mpsc_queue_push and so
 *  on. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_batch_slot_push_spsc(struct fletch_spsc_ring *ring, const struct fletch_batch_slot *slot,
                            uint64_t timeout_ns);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_batch_slot_pop_spsc(struct fletch_spsc_ring *ring, struct fletch_batch_slot *out_slot,
                           uint64_t timeout_ns);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_batch_slot_push_mpsc(struct fletch_mpsc_queue *queue, const struct fletch_batch_slot *slot,
                            uint64_t timeout_ns);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_batch_slot_pop_mpsc(struct fletch_mpsc_queue *queue, struct fletch_batch_slot *out_slot,
                           uint64_t timeout_ns);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_batch_slot_push_fan_in(struct fletch_fan_in_lane *lane, const struct fletch_batch_slot *slot,
                              uint64_t timeout_ns);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_batch_slot_pop_fan_in(struct fletch_fan_in *fan_in, struct fletch_batch_slot *out_slot,
                             uint64_t timeout_ns);

/** The same for a broadcast ring made with fletch_batch_slot_drop and fletch_batch_slot_hold as its
 *  `drop` and `hold`: the ring has the pushed reference, and each pop takes one more. A consumer
 *  that reads in place needs none. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_batch_slot_push_broadcast(struct fletch_broadcast_ring *ring,
                                 const struct fletch_batch_slot *slot, uint64_t timeout_ns);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_batch_slot_pop_broadcast(struct fletch_broadcast_consumer *consumer,
                                struct fletch_batch_slot *out_slot, uint64_t timeout_ns);
FLETCH_EXPORT void fletch_batch_slot_hold(void *context, void *element);

/** To be handed to fletch_spsc_ring_destroy and the others', and to their deinit: drops the
 *  reference to the batch of a slot that was left. `context` is the calling thread's cache or
 *  NULL; of a broadcast ring, of which several threads drop, NULL. */
FLETCH_EXPORT void fletch_batch_slot_drop(void *context, void *element);

FLETCH_END_DECLS

#endif
