#ifndef FLETCH_TESTS_FUZZ_FEED_MEMORY_H
#define FLETCH_TESTS_FUZZ_FEED_MEMORY_H

#include <fletching/fletching.h>

#include <stddef.h>
#include <stdint.h>

/* What a connection that is fed takes its memory from: all of it is counted, and is to come back.
 * What does not ends the program with a message, which begins with `name`. */
struct feed_memory {
    const char *name;
    size_t most_bytes; /* of blocks at one time */
    size_t live_bytes;
    struct fletch_allocator allocator; /* of blocks */
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    struct fletch_budget *budget;
    struct fletch_account *account; /* of messages */
};

/* At most `block_bytes` of blocks, or the program ends; an account with room for
 * `message_bytes`. */
void feed_memory_start(struct feed_memory *memory, const char *name, size_t block_bytes,
                       uint64_t message_bytes);

/* No block lives and nothing is charged: between two runs. */
void feed_memory_check(const struct feed_memory *memory);

/* The pool has all its buffers too. */
void feed_memory_end(struct feed_memory *memory);

#endif
