#ifndef FLETCH_MEMORY_SIZE_CLASS_H
#define FLETCH_MEMORY_SIZE_CLASS_H

/* The sizes that the pool keeps: multiples of 64 bytes up to 512, from there on four for each
 * doubling, so that at most a fifth of a block is not asked for. */

#include <stddef.h>
#include <stdint.h>

#include <fletching/buffer.h>

#define FLETCH_BUFFER_ALIGNMENT 64

/* Classes up to FLETCH_BUFFER_BYTES_MAX. */
#define FLETCH_SIZE_CLASSES 116

/* The smallest class that holds `bytes`, 1 to FLETCH_BUFFER_BYTES_MAX. */
static inline uint32_t fletch_size_class_of(size_t bytes)
{
    uint64_t last = (bytes - 1) / FLETCH_BUFFER_ALIGNMENT; /* lines, less one */
    if (last < 8)
        return (uint32_t)last;
    uint32_t shift = 61 - (uint32_t)__builtin_clzll(last);
    return 4 * shift + (uint32_t)(last >> shift);
}

static inline size_t fletch_size_class_bytes(uint32_t size_class)
{
    if (size_class < 8)
        return (size_t)(size_class + 1) * FLETCH_BUFFER_ALIGNMENT;
    uint32_t shift = size_class / 4 - 1;
    return ((size_t)(size_class % 4 + 5) << shift) * FLETCH_BUFFER_ALIGNMENT;
}

#endif
