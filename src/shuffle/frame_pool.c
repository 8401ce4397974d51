#include "shuffle/frame_pool.h"

#include <stddef.h>

#include "base/allocator.h"
#include "base/assert.h"

enum { NODES_OF_BLOCK = 32 };

struct fletch_frame_block {
    struct fletch_frame_block *next;
    struct fletch_frame frames[NODES_OF_BLOCK];
};

void fletch_frame_pool_init(struct fletch_frame_pool *pool,
                            const struct fletch_allocator *allocator)
{
    *pool = (struct fletch_frame_pool){.allocator = *allocator};
    fletch_node_stack_open(&pool->returned);
}

void fletch_frame_pool_deinit(struct fletch_frame_pool *pool)
{
    struct fletch_frame_block *block = pool->blocks;
    while (block != NULL) {
        struct fletch_frame_block *next = block->next;
        fletch_block_release(block);
        block = next;
    }
    pool->blocks = NULL;
    pool->free = NULL;
}

static bool add_block(struct fletch_frame_pool *pool)
{
    struct fletch_frame_block *block = fletch_block_allocate(&pool->allocator, sizeof *block);
    if (block == NULL)
        return false;
    block->next = pool->blocks;
    pool->blocks = block;
    for (uint32_t i = 0; i < NODES_OF_BLOCK; i++) {
        block->frames[i].free.next = pool->free;
        pool->free = &block->frames[i].free;
    }
    return true;
}

struct fletch_frame *fletch_frame_pool_take(struct fletch_frame_pool *pool)
{
    if (pool->free == NULL)
        pool->free = fletch_node_stack_take(&pool->returned);
    if (pool->free == NULL && !add_block(pool))
        return NULL;
    struct fletch_stack_node *node = pool->free;
    pool->free = node->next;
    struct fletch_frame *frame =
        (struct fletch_frame *)(void *)((char *)node - offsetof(struct fletch_frame, free));
    *frame = (struct fletch_frame){.kind = FLETCH_FRAME_DATA, .home = pool};
    return frame;
}

void fletch_frame_recycle(struct fletch_frame *frame)
{
    bool is_back = fletch_node_stack_push(&frame->home->returned, &frame->free, &frame->free);
    FLETCH_ASSERT(is_back && "the stack of a pool is never closed");
    (void)is_back;
}
