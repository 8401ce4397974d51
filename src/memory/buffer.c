#include "memory/buffer.h"

#include <string.h>

#include "base/inlining.h"
#include "base/poison.h"
#include "base/status.h"
#include "memory/buffer_pool.h"

/* ---- ending ---- */

void fletch_buffer_end_shared(struct fletch_shared *shared)
{
    fletch_buffer_end(NULL, (struct fletch_buffer *)(void *)shared);
}

/* Gives the block back, and last of all its charge: room in an account means that memory is
 * there. */
static void give_block_back(struct fletch_buffer_cache *cache, struct fletch_buffer *buffer,
                            uint64_t charge_bytes)
{
    /* relaxed: the last reference is this thread's, so nobody changes it any more */
    struct fletch_account *account = load_relaxed(&buffer->account);
    fletch_buffer_recycle(cache, buffer);
    if (account != NULL)
        fletch_account_release(account, charge_bytes);
}

/* Makes a slice or a foreign buffer a block of the smallest class again. */
static void reset_block(struct fletch_buffer *buffer)
{
    buffer->kind = FLETCH_BUFFER_OWN;
    buffer->data = (uint8_t *)buffer + FLETCH_BUFFER_HEADER_BYTES;
}

static void end_slice(struct fletch_buffer_cache *cache, struct fletch_buffer *slice)
{
    struct fletch_buffer *parent = fletch_buffer_source_of(slice)->parent;
    reset_block(slice);
    fletch_buffer_recycle(cache, slice);
    fletch_buffer_release_inline(cache, parent); /* no slice itself: one level deep */
}

static void end_foreign(struct fletch_buffer_cache *cache, struct fletch_buffer *buffer)
{
    struct fletch_foreign_memory memory = fletch_buffer_source_of(buffer)->memory;
    if (memory.release != NULL)
        memory.release(memory.context);
    reset_block(buffer);
    give_block_back(cache, buffer, memory.bytes);
}

void fletch_buffer_end(struct fletch_buffer_cache *cache, struct fletch_buffer *buffer)
{
    switch ((enum fletch_buffer_kind)buffer->kind) {
    case FLETCH_BUFFER_OWN:
        give_block_back(cache, buffer, fletch_buffer_block_bytes(buffer->size_class));
        break;
    case FLETCH_BUFFER_SLICE:
        end_slice(cache, buffer);
        break;
    case FLETCH_BUFFER_FOREIGN:
        end_foreign(cache, buffer);
        break;
    }
}

/* ---- making ---- */

/* A free block of any class is a buffer but for a few fields: these. The orders of the count are
 * those of memory/shared.h; its `end` was set when the block was made. */
static inline void start_buffer(struct fletch_buffer *block, size_t bytes,
                                struct fletch_account *account)
{
    fletch_unpoison(block->data, fletch_size_class_bytes(block->size_class));
    store_relaxed(&block->shared.references, 1); /* relaxed: nobody else knows the buffer yet */
    store_relaxed(&block->account, account);     /* relaxed: as above */
    block->bytes = bytes;
}

static enum fletch_status refuse_block(size_t bytes, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "the system has no memory for a buffer of %zu bytes", bytes);
}

static enum fletch_status refuse_size(size_t bytes, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "a buffer of %zu bytes was asked for, expected 1 to %zu", bytes,
                            FLETCH_BUFFER_BYTES_MAX);
}

static enum fletch_status check_process(const struct fletch_buffer_cache *cache,
                                        struct fletch_error *error)
{
    return fletch_process_check(cache->process, "this buffer cache", error);
}

/* The way of a buffer that is charged, or for which the cache's first list has no block. */
static FLETCH_NEVER_INLINE enum fletch_status
allocate_slowly(struct fletch_buffer_cache *cache, size_t bytes, struct fletch_account *account,
                struct fletch_buffer **out_buffer, struct fletch_error *error)
{
    uint32_t size_class = fletch_size_class_of(bytes);
    size_t charge_bytes = fletch_buffer_block_bytes(size_class);
    enum fletch_status status = check_process(cache, error);
    if (status == FLETCH_OK && account != NULL)
        status = fletch_account_reserve(account, charge_bytes, 0, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_buffer *buffer = fletch_buffer_cache_pop(cache, size_class);
    if (buffer == NULL) {
        if (account != NULL)
            fletch_account_release(account, charge_bytes);
        return refuse_block(bytes, error);
    }
    start_buffer(buffer, bytes, account);
    *out_buffer = buffer;
    return FLETCH_OK;
}

enum fletch_status fletch_buffer_allocate(struct fletch_buffer_cache *cache, size_t bytes,
                                          struct fletch_account *account,
                                          struct fletch_buffer **out_buffer,
                                          struct fletch_error *error)
{
    if (__builtin_expect(bytes - 1 >= FLETCH_BUFFER_BYTES_MAX, 0))
        return refuse_size(bytes, error);
    struct fletch_class_list *list = &cache->lists[fletch_size_class_of(bytes)];
    if (account != NULL || list->first == NULL || !fletch_process_is(cache->process))
        return allocate_slowly(cache, bytes, account, out_buffer, error);
    struct fletch_buffer *buffer = fletch_class_list_pop(list);
    buffer->owner = cache;
    start_buffer(buffer, bytes, NULL);
    *out_buffer = buffer;
    return FLETCH_OK;
}

/* A block for a slice or a foreign buffer. */
static struct fletch_buffer *start_handle(struct fletch_buffer_cache *cache,
                                          enum fletch_buffer_kind kind, const uint8_t *data,
                                          size_t bytes)
{
    struct fletch_buffer *buffer = fletch_buffer_cache_pop(cache, 0);
    if (buffer == NULL)
        return NULL;
    start_buffer(buffer, bytes, NULL);
    buffer->kind = (uint8_t)kind;
    buffer->data = (uint8_t *)(uintptr_t)data;
    return buffer;
}

enum fletch_status fletch_buffer_slice(struct fletch_buffer_cache *cache,
                                       struct fletch_buffer *parent,
                                       struct fletch_buffer_range range,
                                       struct fletch_buffer **out_buffer,
                                       struct fletch_error *error)
{
    if (range.bytes == 0 || range.bytes > parent->bytes ||
        range.offset > parent->bytes - range.bytes)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "%zu bytes from %zu on are no part of a buffer of %zu bytes",
                                range.bytes, range.offset, parent->bytes);
    enum fletch_status status = check_process(cache, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_buffer *slice =
        start_handle(cache, FLETCH_BUFFER_SLICE, parent->data + range.offset, range.bytes);
    if (slice == NULL)
        return refuse_block(sizeof(struct fletch_buffer), error);
    if (parent->kind == FLETCH_BUFFER_SLICE)
        parent = fletch_buffer_source_of(parent)->parent;
    fletch_buffer_source_of(slice)->parent = fletch_buffer_acquire_inline(parent);
    *out_buffer = slice;
    return FLETCH_OK;
}

bool fletch_buffer_is_sparse(const struct fletch_buffer *buffer)
{
    if (buffer->kind != FLETCH_BUFFER_SLICE)
        return false;
    size_t others = fletch_buffer_source_of(buffer)->parent->bytes - buffer->bytes;
    return buffer->bytes < others;
}

enum fletch_status fletch_buffer_compact(struct fletch_buffer_cache *cache,
                                         struct fletch_buffer *buffer,
                                         struct fletch_account *account,
                                         struct fletch_buffer **out_buffer,
                                         struct fletch_error *error)
{
    struct fletch_buffer *copy = buffer;
    if (fletch_buffer_is_sparse(buffer)) {
        enum fletch_status status =
            fletch_buffer_allocate(cache, buffer->bytes, account, &copy, error);
        if (status != FLETCH_OK)
            return status;
        memcpy(copy->data, buffer->data, buffer->bytes);
        fletch_buffer_release_inline(cache, buffer);
    }
    *out_buffer = copy;
    return FLETCH_OK;
}

enum fletch_status fletch_buffer_wrap(struct fletch_buffer_cache *cache,
                                      const struct fletch_foreign_memory *memory,
                                      struct fletch_account *account,
                                      struct fletch_buffer **out_buffer, struct fletch_error *error)
{
    if (memory->data == NULL || memory->bytes == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "foreign memory has %zu bytes at %s, expected at least one byte",
                                memory->bytes, memory->data == NULL ? "NULL" : "an address");
    enum fletch_status status = check_process(cache, error);
    if (status == FLETCH_OK && account != NULL)
        status = fletch_account_reserve(account, memory->bytes, 0, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_buffer *buffer =
        start_handle(cache, FLETCH_BUFFER_FOREIGN, memory->data, memory->bytes);
    if (buffer == NULL) {
        if (account != NULL)
            fletch_account_release(account, memory->bytes);
        return refuse_block(sizeof(struct fletch_buffer), error);
    }
    store_relaxed(&buffer->account, account); /* relaxed: nobody else knows the buffer yet */
    fletch_buffer_source_of(buffer)->memory = *memory;
    *out_buffer = buffer;
    return FLETCH_OK;
}

/* ---- using ---- */

struct fletch_buffer *fletch_buffer_acquire(struct fletch_buffer *buffer)
{
    return fletch_buffer_acquire_inline(buffer);
}

void fletch_buffer_release(struct fletch_buffer_cache *cache, struct fletch_buffer *buffer)
{
    if (buffer == NULL || !fletch_shared_drop(&buffer->shared))
        return;
    /* relaxed: the last reference is this thread's, so nobody changes it any more */
    if (buffer->kind == FLETCH_BUFFER_OWN && load_relaxed(&buffer->account) == NULL)
        fletch_buffer_recycle(cache, buffer);
    else
        fletch_buffer_end(cache, buffer);
}

const uint8_t *fletch_buffer_data(const struct fletch_buffer *buffer)
{
    return buffer->data;
}

/* Whether the caller may write. */
static bool is_writable(struct fletch_buffer *buffer)
{
    /* relaxed: an assertion about the caller's own reference */
    return buffer->kind == FLETCH_BUFFER_OWN && load_relaxed(&buffer->shared.references) == 1;
}

uint8_t *fletch_buffer_mutable_data(struct fletch_buffer *buffer)
{
    FLETCH_ASSERT(is_writable(buffer));
    return buffer->data;
}

size_t fletch_buffer_bytes(const struct fletch_buffer *buffer)
{
    return buffer->bytes;
}

size_t fletch_buffer_capacity(const struct fletch_buffer *buffer)
{
    if (buffer->kind != FLETCH_BUFFER_OWN)
        return buffer->bytes;
    return fletch_size_class_bytes(buffer->size_class);
}

void fletch_buffer_resize(struct fletch_buffer *buffer, size_t bytes)
{
    FLETCH_ASSERT(is_writable(buffer) && bytes <= fletch_buffer_capacity(buffer));
    buffer->bytes = bytes;
}

/* ---- charges ---- */

/* The buffer whose bytes these are. */
static const struct fletch_buffer *root_of(const struct fletch_buffer *buffer)
{
    if (buffer->kind == FLETCH_BUFFER_SLICE)
        return fletch_buffer_source_of(buffer)->parent;
    return buffer;
}

size_t fletch_buffer_charge_bytes(const struct fletch_buffer *buffer)
{
    const struct fletch_buffer *root = root_of(buffer);
    if (root->kind == FLETCH_BUFFER_FOREIGN)
        return root->bytes;
    return fletch_buffer_block_bytes(root->size_class);
}

enum fletch_status fletch_buffer_transfer(struct fletch_buffer *buffer,
                                          struct fletch_account *account, uint64_t timeout_ns,
                                          struct fletch_error *error)
{
    struct fletch_buffer *root = (struct fletch_buffer *)(uintptr_t)root_of(buffer);
    uint64_t charge_bytes = fletch_buffer_charge_bytes(root);
    /* relaxed: accounts outlive their charges, and only the compare-and-swap decides */
    struct fletch_account *from = load_relaxed(&root->account);
    struct fletch_account *const from_before = from;
    if (from == NULL || from == account)
        return FLETCH_OK;
    enum fletch_status status =
        fletch_account_begin_transfer(from, account, charge_bytes, timeout_ns, error);
    if (status != FLETCH_OK)
        return status;
    /* relaxed: no data travels with a charge */
    if (cas_strong_relaxed(&root->account, &from, account))
        fletch_account_end_transfer(from_before, account, charge_bytes);
    else
        fletch_account_end_transfer(account, from_before, charge_bytes); /* somebody was faster */
    return FLETCH_OK;
}
