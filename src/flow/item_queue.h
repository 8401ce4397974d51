#ifndef FLETCH_FLOW_ITEM_QUEUE_H
#define FLETCH_FLOW_ITEM_QUEUE_H

/* What travels on the edges of a flow, and a list of it that belongs to one thread. */

#include <fletching/allocator.h>
#include <fletching/batch.h>

#include <stdbool.h>
#include <stdint.h>

enum fletch_flow_item_kind {
    FLETCH_ITEM_BATCH,
    FLETCH_ITEM_BARRIER,
    FLETCH_ITEM_WATERMARK,
    FLETCH_ITEM_IDLE, /* until the next watermark */
    FLETCH_ITEM_END
};

/* Three words: an element of the rings' fastest sizes. */
struct fletch_flow_item {
    uint64_t kind;              /* enum fletch_flow_item_kind */
    uint64_t value;             /* a barrier's id; a watermark, as int64_t */
    struct fletch_batch *batch; /* a reference, or NULL */
};

/* First in, first out; grows. Zero: empty, without memory. */
struct fletch_item_queue {
    struct fletch_flow_item *items;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t first;
    uint32_t count;
};

/* False: no memory, the item stays the caller's. */
bool fletch_item_queue_push(struct fletch_item_queue *queue,
                            const struct fletch_allocator *allocator,
                            const struct fletch_flow_item *item);

/* Of a queue that is not empty. */
static inline struct fletch_flow_item *
fletch_item_queue_front(const struct fletch_item_queue *queue)
{
    return &queue->items[queue->first];
}

static inline struct fletch_flow_item fletch_item_queue_pop(struct fletch_item_queue *queue)
{
    struct fletch_flow_item item = queue->items[queue->first];
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
    return item;
}

/* Where there is room. */
static inline void fletch_item_queue_push_back(struct fletch_item_queue *queue,
                                               const struct fletch_flow_item *item)
{
    queue->items[(queue->first + queue->count) & (queue->capacity - 1)] = *item;
    queue->count++;
}

/* Drops what is in it, and its memory. */
void fletch_item_queue_clear(struct fletch_item_queue *queue, struct fletch_buffer_cache *cache);

/* For rings of items: drops one that was left. `context`: the calling thread's cache. */
void fletch_flow_item_drop(void *context, void *item);

#endif
