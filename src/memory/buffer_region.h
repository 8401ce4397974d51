#ifndef FLETCH_MEMORY_BUFFER_REGION_H
#define FLETCH_MEMORY_BUFFER_REGION_H

/* A piece of memory from the system, carved into blocks of one class. Blocks of less than a page
 * have their headers beside them; of larger ones the headers lie together behind the region's own,
 * so that free lists can be walked and blocks lie on pages without touching these. */

#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>

#include "memory/buffer.h"
#include "memory/node_stack.h"

/* Where memory comes from. */
struct fletch_region_source {
    struct fletch_allocator allocator;
    bool system_pages; /* the data of regions is mapped, not allocated */
    bool huge_pages;
};

struct fletch_buffer_region {
    _Alignas(FLETCH_BUFFER_ALIGNMENT) struct fletch_stack_node node; /* headers may follow */
    char *data;
    size_t data_bytes;
    size_t own_bytes; /* of this structure and the headers behind it */
    uint32_t size_class;
    uint32_t count; /* blocks */
    uint32_t found; /* of those, free ones that a trimmer has in hand */
};

/* Makes a region of blocks that are chained and free, the first one at `*out_first`. `made` regions
 * of the class exist already: the first ones are small. NULL: no memory. */
struct fletch_buffer_region *fletch_buffer_region_make(const struct fletch_region_source *source,
                                                       uint32_t size_class, uint32_t made,
                                                       struct fletch_stack_node **out_first);

/* Gives it back to the system. */
void fletch_buffer_region_end(const struct fletch_region_source *source,
                              struct fletch_buffer_region *region);

/* Bytes that the system gave for it. */
static inline size_t fletch_buffer_region_bytes(const struct fletch_buffer_region *region)
{
    return region->data_bytes + region->own_bytes;
}

#endif
