#include "base/allocator.h"

#include <stdlib.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "base/checked.h"

/* C17 asks for no multiple of the alignment, as C11 did; sanitizers still do, of which clang does
 * not tell by a macro. Without it blocks a little smaller than their alignment lie side by side. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || defined __clang__
#define SIZE_STEP(alignment) (alignment)
#else
#define SIZE_STEP(alignment) ((size_t)1)
#endif

static void *default_allocate(void *context, size_t bytes, size_t alignment)
{
    (void)context;
    if (bytes > SIZE_MAX - alignment)
        return NULL;
    return aligned_alloc(alignment, fletch_round_up(bytes, SIZE_STEP(alignment)));
}

static void default_release(void *context, void *memory, size_t bytes, size_t alignment)
{
    (void)context;
    (void)bytes;
    (void)alignment;
    free(memory);
}

struct fletch_allocator fletch_allocator_or_default(const struct fletch_allocator *allocator)
{
    if (allocator != NULL)
        return *allocator;
    return (struct fletch_allocator){
        .allocate = default_allocate,
        .release = default_release,
    };
}

bool fletch_allocator_is_default(const struct fletch_allocator *allocator)
{
    return allocator->allocate == default_allocate;
}

void *fletch_allocate(const struct fletch_allocator *allocator, size_t bytes, size_t alignment)
{
    return allocator->allocate(allocator->context, bytes, alignment);
}

void fletch_release(const struct fletch_allocator *allocator, void *memory, size_t bytes,
                    size_t alignment)
{
    allocator->release(allocator->context, memory, bytes, alignment);
}

/* Lies right before a block, on lines of its own. */
struct block_origin {
    struct fletch_allocator allocator;
    size_t total_bytes;
};

#define ORIGIN_BYTES FLETCH_INTERFERENCE_BYTES
_Static_assert(sizeof(struct block_origin) <= ORIGIN_BYTES, "the origin fits before the block");

void *fletch_block_allocate(const struct fletch_allocator *allocator, size_t bytes)
{
    struct block_origin origin = {.allocator = fletch_allocator_or_default(allocator)};
    if (!fletch_checked_add(bytes, ORIGIN_BYTES, &origin.total_bytes))
        return NULL;
    char *memory =
        fletch_allocate(&origin.allocator, origin.total_bytes, FLETCH_INTERFERENCE_BYTES);
    if (memory == NULL)
        return NULL;
    *(struct block_origin *)(void *)memory = origin;
    return memory + ORIGIN_BYTES;
}

void fletch_block_release(void *block)
{
    char *memory = (char *)block - ORIGIN_BYTES;
    struct block_origin origin = *(struct block_origin *)(void *)memory;
    fletch_release(&origin.allocator, memory, origin.total_bytes, FLETCH_INTERFERENCE_BYTES);
}
