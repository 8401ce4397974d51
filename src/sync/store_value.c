#include "sync/store_value.h"

#include "base/allocator.h"
#include "base/assert.h"
#include "base/checked.h"
#include "base/status.h"
#include "sync/partition_store.h"

enum fletch_status fletch_partition_store_value_create(struct fletch_partition_store *store,
                                                       struct fletch_epoch_reader *reader,
                                                       size_t payload_bytes,
                                                       struct fletch_store_value **out_value,
                                                       struct fletch_error *error)
{
    if (payload_bytes > FLETCH_STORE_PAYLOAD_BYTES_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "payload of %zu bytes, expected at most %zu", payload_bytes,
                                FLETCH_STORE_PAYLOAD_BYTES_MAX);
    enum fletch_status status = fletch_partition_store_check(store, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_store_value *value;
    size_t bytes = sizeof *value + payload_bytes;
    struct fletch_store_cache *cache = fletch_partition_store_cache(store, reader);
    bool pooled = cache != NULL && bytes <= FLETCH_STORE_POOL_BYTES_MAX;
    if (pooled)
        value = fletch_store_pool_take(&store->pool, cache, bytes);
    else
        value = fletch_allocate(&store->allocator, bytes, FLETCH_STORE_VALUE_ALIGNMENT);
    if (value == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a value of %zu bytes", bytes);
    value->key.shuffle = 0;
    value->key.partition = 0;
    value->key.slot = 0;
    value->payload_bytes = (uint32_t)payload_bytes | (pooled ? FLETCH_VALUE_POOLED : 0);
    store_relaxed(&value->version.next, 0); /* relaxed: nobody else knows the value yet */
    store_relaxed(&value->references, 1);   /* relaxed: as above */
    *out_value = value;
    return FLETCH_OK;
}

void *fletch_store_value_payload(const struct fletch_store_value *value)
{
    return (void *)(uintptr_t)(value + 1);
}

size_t fletch_store_value_payload_bytes(const struct fletch_store_value *value)
{
    return value->payload_bytes & ~FLETCH_VALUE_POOLED;
}

struct fletch_store_key fletch_store_value_key(const struct fletch_store_value *value)
{
    return value->key;
}

uint64_t fletch_store_value_version(const struct fletch_store_value *value)
{
    /* relaxed: who sees a link instead of the version comes after the release that made the
     * count zero, or reads a number that no value has, which every use of it notices */
    uint64_t version = load_relaxed(&value->version.next);
    return load_relaxed(&value->references) == 0 ? 0 : version; /* relaxed: as above */
}

void fletch_store_value_acquire(struct fletch_store_value *value)
{
    /* relaxed: the caller's own reference keeps the value alive */
    uint32_t before = fetch_add_relaxed(&value->references, 1);
    FLETCH_ASSERT(before > 0 && before < UINT32_MAX && "a reference was held");
    (void)before;
}

void fletch_store_value_release(struct fletch_partition_store *store,
                                struct fletch_epoch_reader *reader,
                                struct fletch_store_value *value)
{
    uint32_t before = fetch_sub_acq_rel(&value->references, 1); /* E1 release, E1 acquire */
    FLETCH_ASSERT(before > 0 && "a reference was held");
    if (before == 1)
        fletch_epoch_retire_link(store->domain, reader, &value->version, store->value_class,
                                 sizeof *value + fletch_store_value_payload_bytes(value));
}

void fletch_store_value_reclaim(void *context, struct fletch_epoch_reader *reader,
                                struct fletch_epoch_link *link)
{
    struct fletch_partition_store *store = context;
    struct fletch_store_value *value =
        (void *)((char *)link - offsetof(struct fletch_store_value, version));
    size_t payload_bytes = fletch_store_value_payload_bytes(value);
    size_t bytes = sizeof *value + payload_bytes;
    bool pooled = (value->payload_bytes & FLETCH_VALUE_POOLED) != 0;
    if (store->drop != NULL)
        store->drop(store->drop_context, value + 1, payload_bytes);
    if (pooled)
        fletch_store_pool_give(&store->pool, fletch_partition_store_cache(store, reader), value,
                               bytes);
    else
        fletch_release(&store->allocator, value, bytes, FLETCH_STORE_VALUE_ALIGNMENT);
}

/* ---- bundles ---- */

struct fletch_store_value *fletch_store_bundle_find(uint64_t word,
                                                    const struct fletch_store_key *key)
{
    size_t count = fletch_store_word_count(word);
    for (size_t i = 0; i < count; i++) {
        struct fletch_store_value *value = fletch_store_word_value(word, i);
        if (fletch_store_key_equal(&value->key, key))
            return value;
    }
    return NULL;
}

static size_t bundle_bytes(size_t count)
{
    return sizeof(struct fletch_store_bundle) + count * sizeof(struct fletch_store_value *);
}

static void reclaim_bundle(struct fletch_epoch_object *object)
{
    struct fletch_store_bundle *bundle = (void *)object;
    fletch_release(&bundle->store->allocator, bundle, bundle_bytes(bundle->count),
                   FLETCH_STORE_VALUE_ALIGNMENT);
}

/* The values of `word` after the change: `count` of them into `out_values`. */
static void list_values(uint64_t word, const struct fletch_store_change *change,
                        struct fletch_store_value **out_values)
{
    size_t before = fletch_store_word_lives(word) ? fletch_store_word_count(word) : 0;
    for (size_t i = 0; i < before; i++) {
        struct fletch_store_value *value = fletch_store_word_value(word, i);
        if (value != change->old)
            *out_values++ = value;
    }
    if (change->fresh != NULL)
        *out_values = change->fresh;
}

bool fletch_store_word_change(struct fletch_partition_store *store, uint64_t word,
                              const struct fletch_store_change *change, uint64_t *out_word)
{
    size_t before = fletch_store_word_lives(word) ? fletch_store_word_count(word) : 0;
    size_t count = before - (change->old != NULL) + (change->fresh != NULL);
    struct fletch_store_value *single = NULL;
    if (count == 0) {
        *out_word = FLETCH_WORD_EMPTY;
        return true;
    }
    if (count == 1) {
        list_values(word, change, &single);
        *out_word = fletch_store_word_of(single);
        return true;
    }
    struct fletch_store_bundle *bundle =
        fletch_allocate(&store->allocator, bundle_bytes(count), FLETCH_STORE_VALUE_ALIGNMENT);
    if (bundle == NULL)
        return false;
    bundle->object.reclaim = reclaim_bundle;
    bundle->store = store;
    bundle->count = count;
    list_values(word, change, bundle->values);
    *out_word = (uint64_t)(uintptr_t)bundle | FLETCH_WORD_BUNDLE;
    return true;
}

static struct fletch_store_bundle *bundle_of(uint64_t word)
{
    if ((word & FLETCH_WORD_BUNDLE) == 0)
        return NULL;
    return (void *)(uintptr_t)(word & ~FLETCH_WORD_FLAGS);
}

void fletch_store_word_discard(uint64_t word)
{
    struct fletch_store_bundle *bundle = bundle_of(word);
    if (bundle != NULL)
        reclaim_bundle(&bundle->object);
}

void fletch_store_word_retire(struct fletch_epoch_reader *reader, uint64_t word)
{
    struct fletch_store_bundle *bundle = bundle_of(word);
    if (bundle != NULL)
        fletch_epoch_retire(reader, &bundle->object, bundle_bytes(bundle->count));
}
