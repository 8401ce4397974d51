#include <fletching/store_scan.h>

#include "base/assert.h"
#include "base/status.h"
#include "sync/partition_store.h"

/* A scan goes through the entries in the order of (hash, key), which no table changes. Each step
 * looks at the one bucket in which the order goes on, for the least entry after the last one. */

enum { SCAN_NEW, SCAN_GOING, SCAN_OVER };

void fletch_store_scan_start(struct fletch_store_scan *scan, const uint64_t *shuffle)
{
    *scan = (struct fletch_store_scan){.state = SCAN_NEW};
    if (shuffle != NULL) {
        scan->one_shuffle = 1;
        scan->shuffle = *shuffle;
    }
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_keys(const struct fletch_store_key *a, const struct fletch_store_key *b)
{
    int order = compare_u64(a->shuffle, b->shuffle);
    if (order == 0)
        order = compare_u64(a->partition, b->partition);
    return order != 0 ? order : compare_u64(a->slot, b->slot);
}

/* A look through one bucket. */
struct look {
    const struct fletch_partition_store *store;
    const struct fletch_store_scan *scan;
    uint32_t shuffle_byte;
    uint64_t last; /* hash of the bucket */
    struct fletch_store_value *best;
    uint64_t best_hash;
};

static bool comes_before_best(const struct look *look, uint64_t hash,
                              const struct fletch_store_value *value)
{
    if (look->best == NULL || hash != look->best_hash)
        return look->best == NULL || hash < look->best_hash;
    return compare_keys(&value->key, &look->best->key) < 0;
}

static void consider(struct look *look, struct fletch_store_value *value)
{
    const struct fletch_store_scan *scan = look->scan;
    uint64_t hash = fletch_store_hash(look->store, &value->key);
    if (scan->one_shuffle != 0 && value->key.shuffle != scan->shuffle)
        return;
    if (hash > look->last || hash < scan->hash)
        return;
    if (scan->state == SCAN_GOING && hash == scan->hash &&
        compare_keys(&value->key, &scan->key) <= 0)
        return;
    if (comes_before_best(look, hash, value)) {
        look->best = value;
        look->best_hash = hash;
    }
}

static void consider_bucket(struct look *look, const struct fletch_store_bucket *bucket)
{
    for (uint32_t i = 0; i < FLETCH_STORE_SLOTS; i++) {
        uint32_t byte = fletch_store_shuffle_byte_at(bucket, i);
        if (byte == 0 || (look->scan->one_shuffle != 0 && byte != look->shuffle_byte))
            continue;
        uint64_t word = fletch_store_word_at(bucket, i);
        size_t count = fletch_store_word_lives(word) ? fletch_store_word_count(word) : 0;
        for (size_t k = 0; k < count; k++)
            consider(look, fletch_store_word_value(word, k));
    }
}

/* Looks through the bucket in which the scan goes on. */
static void look_through(struct look *look)
{
    const struct fletch_store_table *table = fletch_partition_store_root(look->store);
    table = fletch_store_source(table, look->scan->hash);
    uint32_t index = fletch_store_index(table, look->scan->hash);
    /* The last hash of the bucket: all ones below the index. */
    look->last = look->scan->hash | (((uint64_t)1 << table->shift << 1) - 1);
    look->best = NULL;
    do {
        const struct fletch_store_bucket *bucket = &table->buckets[index];
        consider_bucket(look, bucket);
        index = fletch_store_next_index(bucket);
    } while (index != 0);
}

/* Past the bucket. False: it was the last one. */
static bool go_on(struct fletch_store_scan *scan, uint64_t last)
{
    if (last == UINT64_MAX) {
        scan->state = SCAN_OVER;
        return false;
    }
    scan->state = SCAN_NEW;
    scan->hash = last + 1;
    return true;
}

struct fletch_store_value *fletch_store_scan_next(const struct fletch_partition_store *store,
                                                  const struct fletch_epoch_reader *reader,
                                                  struct fletch_store_scan *scan)
{
    struct look look = {.store = store, .scan = scan};
    FLETCH_ASSERT(fletch_epoch_is_inside(reader) && "a scan needs a section");
    (void)reader;
    if (scan->state == SCAN_OVER)
        return NULL;
    if (scan->one_shuffle != 0)
        look.shuffle_byte = fletch_store_shuffle_byte(
            fletch_store_mix_shuffle(store, scan->shuffle), store->hash_mask);
    do {
        look_through(&look);
        if (look.best != NULL) {
            scan->hash = look.best_hash;
            scan->key = look.best->key;
            scan->state = SCAN_GOING;
            return look.best;
        }
    } while (go_on(scan, look.last));
    return NULL;
}

enum fletch_status fletch_partition_store_remove_shuffle(struct fletch_partition_store *store,
                                                         struct fletch_epoch_reader *reader,
                                                         uint64_t shuffle, uint64_t *out_removed,
                                                         struct fletch_error *error)
{
    struct fletch_store_scan scan;
    struct fletch_store_value *value;
    enum fletch_status status = fletch_partition_store_check(store, error);
    uint64_t removed = 0;
    if (out_removed != NULL)
        *out_removed = 0;
    if (status != FLETCH_OK)
        return status;
    fletch_store_scan_start(&scan, &shuffle);
    do {
        /* A section for each entry, so that nothing is held back for long. */
        fletch_epoch_enter_inline(reader);
        value = fletch_store_scan_next(store, reader, &scan);
        struct fletch_store_removal removal = {.key = &scan.key, .only = value};
        status = value == NULL ? FLETCH_OK : fletch_partition_store_unlink(store, reader, &removal);
        if (value != NULL && status == FLETCH_OK) {
            fletch_store_value_release(store, reader, value);
            removed++;
        }
        fletch_epoch_exit_inline(reader);
    } while (value != NULL && status != FLETCH_RESOURCE_EXHAUSTED);
    if (out_removed != NULL)
        *out_removed = removed;
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        return fletch_error_set(error, status, "no memory for keys of equal hashes");
    return FLETCH_OK;
}
