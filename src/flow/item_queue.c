#include "flow/item_queue.h"

#include "base/allocator.h"

enum { CAPACITY_FIRST = 32, CAPACITY_MOST = 1 << 30 };

_Static_assert(sizeof(struct fletch_flow_item) == 24, "three words");

static bool grow(struct fletch_item_queue *queue, const struct fletch_allocator *allocator)
{
    if (queue->capacity >= CAPACITY_MOST)
        return false;
    uint32_t capacity = queue->capacity == 0 ? CAPACITY_FIRST : 2 * queue->capacity;
    struct fletch_flow_item *items =
        fletch_block_allocate(allocator, capacity * sizeof queue->items[0]);
    if (items == NULL)
        return false;
    for (uint32_t i = 0; i < queue->count; i++)
        items[i] = queue->items[(queue->first + i) & (queue->capacity - 1)];
    if (queue->items != NULL)
        fletch_block_release(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->first = 0;
    return true;
}

bool fletch_item_queue_push(struct fletch_item_queue *queue,
                            const struct fletch_allocator *allocator,
                            const struct fletch_flow_item *item)
{
    if (queue->count == queue->capacity && !grow(queue, allocator))
        return false;
    fletch_item_queue_push_back(queue, item);
    return true;
}

void fletch_item_queue_clear(struct fletch_item_queue *queue, struct fletch_buffer_cache *cache)
{
    while (queue->count > 0)
        fletch_batch_release(cache, fletch_item_queue_pop(queue).batch);
    if (queue->items != NULL)
        fletch_block_release(queue->items);
    *queue = (struct fletch_item_queue){.items = NULL};
}

void fletch_flow_item_drop(void *context, void *item)
{
    fletch_batch_release(context, ((struct fletch_flow_item *)item)->batch);
}
