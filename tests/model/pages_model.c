/* base/pages.h for the model checker: memory whose accesses it sees. */

#include "base/pages.h"

#include <stdlib.h>
#include <string.h>

bool fletch_pages_map(size_t bytes, void **out_memory)
{
    void *memory = malloc(bytes);
    if (memory == NULL)
        return false;
    memset(memory, 0, bytes);
    *out_memory = memory;
    return true;
}

void fletch_pages_keep_small(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}

void fletch_pages_release(void *memory, size_t bytes)
{
    (void)bytes;
    free(memory);
}
