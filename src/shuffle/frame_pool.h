#ifndef FLETCH_SHUFFLE_FRAME_POOL_H
#define FLETCH_SHUFFLE_FRAME_POOL_H

/* Nodes for the data frames of one writer. Readers give them back, so that a writer in its stride
 * allocates nothing.
 *
 * Roles: the writer takes; any thread gives back. Progress: taking is wait-free but for the
 * allocator, giving back is lock-free. Nodes are freed with the pool, which lives as long as the
 * shuffle. The edge is that of memory/node_stack.h. */

#include <stdbool.h>

#include <fletching/allocator.h>

#include "memory/node_stack.h"
#include "shuffle/frame.h"

struct fletch_frame_block;

struct fletch_frame_pool {
    FLETCH_ISOLATED struct fletch_node_stack returned;
    /* The writer's. */
    FLETCH_ISOLATED struct fletch_stack_node *free;
    struct fletch_frame_block *blocks;
    struct fletch_allocator allocator;
};

void fletch_frame_pool_init(struct fletch_frame_pool *pool,
                            const struct fletch_allocator *allocator);

/* Frees all nodes; nobody may have one any more. */
void fletch_frame_pool_deinit(struct fletch_frame_pool *pool);

/* A node, zero but for its home. NULL: no memory. */
struct fletch_frame *fletch_frame_pool_take(struct fletch_frame_pool *pool);

/* Gives a node back to its home. What it refers to has been released. Any thread. */
void fletch_frame_recycle(struct fletch_frame *frame);

#endif
