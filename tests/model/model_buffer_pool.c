/* The pool: an owner that allocates and releases, another thread that releases what came from the
 * owner's cache, perhaps a third one. At the end all blocks are there, and none was ever two
 * buffers at once: who has a buffer writes to it, and the checker sees who else does.
 *
 * BUFFERS      of the owner's cache, given to the other thread, which reads and releases them
 * OTHER_CACHE  the other thread has a cache of its own; 2: it opens it itself
 * ROUNDS       buffers that the owner allocates and releases meanwhile, one after the other
 * HOLD         it releases them only at the end
 * CLOSES       then it closes its cache
 * DEPOT        a third thread opens a cache, allocates, releases and closes
 * TRIM         a third thread trims the pool; 2: the owner does so too, at its end
 * SHARED       both threads have a reference to the buffers */

#include "memory/buffer_pool.h"

#include "base/allocator.h"
#include "harness.h"

#ifndef BUFFERS
#define BUFFERS 1
#endif
#ifndef OTHER_CACHE
#define OTHER_CACHE 0
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef HOLD
#define HOLD 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef DEPOT
#define DEPOT 0
#endif
#ifndef TRIM
#define TRIM 0
#endif
#ifndef SHARED
#define SHARED 0
#endif

enum { BYTES = 64 };

static struct fletch_buffer_pool *pool;
static struct fletch_buffer_cache *cache, *other_cache;
static struct fletch_buffer *given[BUFFERS + 1];

static struct fletch_buffer *allocate(struct fletch_buffer_cache *from, int value)
{
    struct fletch_buffer *buffer;
    harness_assert(fletch_buffer_allocate(from, BYTES, NULL, &buffer, NULL) == FLETCH_OK);
    *(int *)(void *)buffer->data = value;
    return buffer;
}

static void release(struct fletch_buffer_cache *to, struct fletch_buffer *buffer, int value)
{
    harness_assert(*(const int *)(const void *)buffer->data == value);
    fletch_buffer_release(to, buffer);
}

static void *own(void *unused)
{
    struct fletch_buffer *held[ROUNDS + 1];
    for (int i = 0; i < ROUNDS; i++) {
        held[i] = allocate(cache, 10 + i);
        if (!HOLD)
            release(cache, held[i], 10 + i);
    }
    for (int i = 0; i < ROUNDS && HOLD; i++)
        release(cache, held[i], 10 + i);
    for (int i = 0; i < BUFFERS && SHARED; i++)
        release(cache, given[i], 1 + i);
    if (CLOSES)
        fletch_buffer_cache_close(cache);
    if (TRIM > 1)
        fletch_buffer_pool_trim(pool, NULL);
    return unused;
}

static void *use(void *unused)
{
    if (OTHER_CACHE == 2)
        harness_assert(fletch_buffer_cache_open(pool, &other_cache, NULL) == FLETCH_OK);
    for (int i = 0; i < BUFFERS; i++)
        release(other_cache, given[i], 1 + i);
    if (OTHER_CACHE)
        fletch_buffer_cache_close(other_cache);
    return unused;
}

static void *third(void *unused)
{
    struct fletch_buffer_cache *third_cache;
    if (TRIM > 0)
        fletch_buffer_pool_trim(pool, NULL);
    if (!DEPOT)
        return unused;
    harness_assert(fletch_buffer_cache_open(pool, &third_cache, NULL) == FLETCH_OK);
    release(third_cache, allocate(third_cache, 100), 100);
    fletch_buffer_cache_close(third_cache);
    return unused;
}

static void start_pool(void)
{
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    const struct fletch_allocator allocator = fletch_allocator_or_default(NULL);
    harness_assert(fletch_buffer_pool_create(&options, &allocator, &pool, NULL) == FLETCH_OK);
    harness_ignore(&pool->regions_made, sizeof pool->regions_made);
    harness_ignore(&pool->regions_trimmed, sizeof pool->regions_trimmed);
    harness_assert(fletch_buffer_cache_open(pool, &cache, NULL) == FLETCH_OK);
    other_cache = NULL;
    if (OTHER_CACHE == 1)
        harness_assert(fletch_buffer_cache_open(pool, &other_cache, NULL) == FLETCH_OK);
    for (int i = 0; i < BUFFERS; i++) {
        given[i] = allocate(cache, 1 + i);
        if (SHARED)
            fletch_buffer_acquire(given[i]);
    }
}

void harness(void)
{
    struct harness_thread owner, user, other;
    start_pool();
    harness_start(&owner, own, NULL);
    if (BUFFERS > 0)
        harness_start(&user, use, NULL);
    if (DEPOT || TRIM)
        harness_start(&other, third, NULL);
    harness_join(&owner);
    if (BUFFERS > 0)
        harness_join(&user);
    if (DEPOT || TRIM)
        harness_join(&other);
    harness_assert(fletch_buffer_pool_destroy(pool, NULL) == FLETCH_OK);
}
