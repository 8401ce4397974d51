#include "sync/placement.h"

#include <stdint.h>

enum fletch_status fletch_placement_check(const void *memory, size_t memory_bytes,
                                          size_t needed_bytes, size_t alignment,
                                          struct fletch_error *error)
{
    if (memory == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "memory is NULL");
    if ((uintptr_t)memory % alignment != 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "memory at %p is not aligned to %zu bytes", memory, alignment);
    if (memory_bytes < needed_bytes)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "memory has %zu bytes, %zu are needed", memory_bytes, needed_bytes);
    return FLETCH_OK;
}

enum fletch_status fletch_sharing_check(enum fletch_sharing sharing, struct fletch_error *error)
{
    if (sharing != FLETCH_SHARING_PROCESS && sharing != FLETCH_SHARING_HOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "sharing %d is neither %d (process) nor %d (host)", (int)sharing,
                                (int)FLETCH_SHARING_PROCESS, (int)FLETCH_SHARING_HOST);
    return FLETCH_OK;
}
