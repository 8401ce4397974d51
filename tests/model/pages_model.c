#include "base/pages.h"

/* A model has no pages: pools take their memory from an allocator. */

bool fletch_pages_map(size_t bytes, void **out_memory)
{
    (void)bytes;
    (void)out_memory;
    return false;
}

void fletch_pages_keep_small(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}

void fletch_pages_release(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}
