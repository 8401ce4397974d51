#include <fletching/batch_slot.h>

#include "base/assert.h"
#include "memory/batch.h"
#include "sync/broadcast_ring.h"
#include "sync/fan_in.h"
#include "sync/mpsc_queue.h"
#include "sync/spsc_ring.h"

_Static_assert(sizeof(struct fletch_batch_slot) == 24, "three words");

enum fletch_answer fletch_batch_slot_push_spsc(struct fletch_spsc_ring *ring,
                                               const struct fletch_batch_slot *slot,
                                               uint64_t timeout_ns)
{
    FLETCH_ASSERT(ring->header.layout.element_bytes == sizeof *slot);
    return fletch_spsc_ring_push(ring, slot, timeout_ns);
}

enum fletch_answer fletch_batch_slot_pop_spsc(struct fletch_spsc_ring *ring,
                                              struct fletch_batch_slot *out_slot,
                                              uint64_t timeout_ns)
{
    FLETCH_ASSERT(ring->header.layout.element_bytes == sizeof *out_slot);
    return fletch_spsc_ring_pop(ring, out_slot, timeout_ns);
}

enum fletch_answer fletch_batch_slot_push_mpsc(struct fletch_mpsc_queue *queue,
                                               const struct fletch_batch_slot *slot,
                                               uint64_t timeout_ns)
{
    FLETCH_ASSERT(queue->header.layout.element_bytes == sizeof *slot);
    return fletch_mpsc_queue_push(queue, slot, timeout_ns);
}

enum fletch_answer fletch_batch_slot_pop_mpsc(struct fletch_mpsc_queue *queue,
                                              struct fletch_batch_slot *out_slot,
                                              uint64_t timeout_ns)
{
    FLETCH_ASSERT(queue->header.layout.element_bytes == sizeof *out_slot);
    return fletch_mpsc_queue_pop(queue, out_slot, timeout_ns);
}

enum fletch_answer fletch_batch_slot_push_fan_in(struct fletch_fan_in_lane *lane,
                                                 const struct fletch_batch_slot *slot,
                                                 uint64_t timeout_ns)
{
    FLETCH_ASSERT(lane->ring->header.layout.element_bytes == sizeof *slot);
    return fletch_fan_in_lane_push(lane, slot, timeout_ns);
}

enum fletch_answer fletch_batch_slot_pop_fan_in(struct fletch_fan_in *fan_in,
                                                struct fletch_batch_slot *out_slot,
                                                uint64_t timeout_ns)
{
    FLETCH_ASSERT(fan_in->consumer.ring->header.layout.element_bytes == sizeof *out_slot);
    return fletch_fan_in_pop(fan_in, out_slot, timeout_ns);
}

enum fletch_answer fletch_batch_slot_push_broadcast(struct fletch_broadcast_ring *ring,
                                                    const struct fletch_batch_slot *slot,
                                                    uint64_t timeout_ns)
{
    FLETCH_ASSERT(ring->header.layout.element_bytes == sizeof *slot);
    return fletch_broadcast_ring_push(ring, slot, timeout_ns);
}

enum fletch_answer fletch_batch_slot_pop_broadcast(struct fletch_broadcast_consumer *consumer,
                                                   struct fletch_batch_slot *out_slot,
                                                   uint64_t timeout_ns)
{
    FLETCH_ASSERT(consumer->ring->header.layout.element_bytes == sizeof *out_slot);
    return fletch_broadcast_consumer_pop(consumer, out_slot, timeout_ns);
}

void fletch_batch_slot_hold(void *context, void *element)
{
    struct fletch_batch_slot *slot = element;
    (void)context;
    fletch_batch_acquire(slot->batch);
}

void fletch_batch_slot_drop(void *context, void *element)
{
    struct fletch_batch_slot *slot = element;
    fletch_batch_release(context, slot->batch);
}
