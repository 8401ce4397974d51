#include "sync/partition_store.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/options.h"
#include "base/random.h"
#include "base/status.h"
#include "sync/wait.h"

/* ---- making ---- */

enum { ENTRIES_PER_BUCKET = 4 };

static uint32_t level_for(size_t expected_entries)
{
    uint32_t level = FLETCH_STORE_LEVEL_LEAST;
    while (level < FLETCH_STORE_LEVEL_MOST &&
           ((size_t)ENTRIES_PER_BUCKET << level) < expected_entries)
        level++;
    return level;
}

static void start_counters(struct fletch_partition_store *store)
{
    for (size_t i = 0; i < FLETCH_STORE_STRIPES; i++) {
        /* relaxed, all of these: nobody else knows the store yet */
        store_relaxed(&store->stripes[i].versions, 0); /* relaxed: as above */
        store_relaxed(&store->stripes[i].gone, 0);     /* relaxed: as above */
        fletch_store_cache_start(&store->stripes[i].cache);
    }
    fletch_store_pool_start(&store->pool, &store->allocator);
    for (size_t i = 0; i < FLETCH_STORE_EVENTCOUNTS; i++)
        fletch_eventcount_start(&store->alarms[i].eventcount, FLETCH_SHARING_PROCESS);
    store_relaxed(&store->building, 0);    /* relaxed: as above */
    store_relaxed(&store->tables_made, 1); /* relaxed: as above */
}

static void start_hash(struct fletch_partition_store *store, uint64_t seed)
{
    if (seed == 0)
        seed = fletch_clock_now_ns() ^ (uint64_t)(uintptr_t)store;
    struct fletch_random random = fletch_random_from_seed(seed);
    store->seeds[0] = fletch_random_u64(&random);
    store->seeds[1] = fletch_random_u64(&random);
}

enum fletch_status
fletch_partition_store_create_masked(struct fletch_epoch_domain *domain,
                                     const struct fletch_partition_store_options *options,
                                     const struct fletch_allocator *allocator, uint64_t hash_mask,
                                     struct fletch_partition_store **out_store)
{
    struct fletch_partition_store *store = fletch_block_allocate(allocator, sizeof *store);
    if (store == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    const struct fletch_allocator copied = fletch_allocator_or_default(allocator);
    store->allocator.allocate = copied.allocate;
    store->allocator.release = copied.release;
    store->allocator.context = copied.context;
    store->domain = domain;
    store->process = fletch_process_number();
    store->drop = options->drop;
    store->drop_context = options->drop_context;
    store->hash_mask = hash_mask;
    start_hash(store, options->hash_seed);
    start_counters(store);
    struct fletch_store_table *table =
        fletch_store_table_create(domain, &store->allocator, level_for(options->expected_entries));
    const struct fletch_epoch_class values = {fletch_store_value_reclaim, store};
    store->value_class = table == NULL ? 0 : fletch_epoch_class_add(domain, &values);
    if (store->value_class == 0) {
        fletch_store_table_destroy(table);
        fletch_block_release(store);
        return FLETCH_RESOURCE_EXHAUSTED;
    }
    store_relaxed(&store->root, table); /* relaxed: nobody else knows the store yet */
    *out_store = store;
    return FLETCH_OK;
}

enum fletch_status
fletch_partition_store_create(struct fletch_epoch_domain *domain,
                              const struct fletch_partition_store_options *options,
                              const struct fletch_allocator *allocator,
                              struct fletch_partition_store **out_store, struct fletch_error *error)
{
    struct fletch_partition_store_options chosen = {.struct_size = sizeof chosen};
    enum fletch_status status = FLETCH_OK;
    if (options != NULL)
        status = fletch_options_copy(&chosen, sizeof chosen, options, sizeof chosen, error);
    if (status != FLETCH_OK)
        return status;
    status =
        fletch_partition_store_create_masked(domain, &chosen, allocator, UINT64_MAX, out_store);
    if (status != FLETCH_OK)
        return fletch_error_set(error, status,
                                "no memory for a partition store of %zu entries, or its domain "
                                "serves %d stores already",
                                chosen.expected_entries, FLETCH_EPOCH_CLASSES - 1);
    return FLETCH_OK;
}

/* Drops the references of one bucket's words, or frees its bundles' memory besides. */
static void empty_bucket(struct fletch_partition_store *store, struct fletch_store_bucket *bucket)
{
    for (uint32_t i = 0; i < FLETCH_STORE_SLOTS; i++) {
        uint64_t word = load_acquire(&bucket->word[i]); /* E2 acquire */
        if (!fletch_store_word_lives(word))
            continue;
        for (size_t k = 0; k < fletch_store_word_count(word); k++)
            fletch_store_value_release(store, NULL, fletch_store_word_value(word, k));
        fletch_store_word_discard(word);
    }
}

void fletch_partition_store_destroy(struct fletch_partition_store *store)
{
    if (store == NULL)
        return;
    struct fletch_store_table *table = fletch_partition_store_root(store);
    fletch_store_table_finish(table, NULL);
    uint32_t used = load_relaxed(&table->overflow_used); /* relaxed: nobody else is there */
    for (uint32_t i = 0; i < table->bucket_count + used; i++)
        empty_bucket(store, &table->buckets[i]);
    fletch_epoch_drain(store->domain);
    fletch_epoch_class_remove(store->domain, store->value_class);
    fletch_store_table_destroy(table);
    fletch_store_pool_end(&store->pool);
    for (size_t i = 0; i < FLETCH_STORE_EVENTCOUNTS; i++)
        fletch_eventcount_deinit(&store->alarms[i].eventcount);
    fletch_block_release(store);
}

/* ---- finding ---- */

static struct fletch_store_value *find(const struct fletch_partition_store *store,
                                       const struct fletch_store_key *key)
{
    uint64_t hash = fletch_store_hash(store, key);
    const struct fletch_store_table *table = fletch_partition_store_root(store);
    return fletch_store_word_find(fletch_store_find(table, hash), key);
}

struct fletch_store_value *fletch_partition_store_view(const struct fletch_partition_store *store,
                                                       const struct fletch_epoch_reader *reader,
                                                       const struct fletch_store_key *key)
{
    FLETCH_ASSERT(fletch_epoch_is_inside(reader) && "a view needs a section");
    (void)reader;
    return find(store, key);
}

struct fletch_store_value *fletch_partition_store_get(const struct fletch_partition_store *store,
                                                      struct fletch_epoch_reader *reader,
                                                      const struct fletch_store_key *key)
{
    struct fletch_store_value *value;
    uint64_t hash = fletch_store_hash(store, key);
    fletch_epoch_enter_inline(reader);
    do {
        uint64_t word = fletch_store_find(fletch_partition_store_root(store), hash);
        /* Its line will be written to: fetched for that at once, not for reading first. */
        __builtin_prefetch((void *)(uintptr_t)(word & ~FLETCH_WORD_FLAGS), 1);
        value = fletch_store_word_find(word, key);
    }
    /* A value without references has been removed since: look again. */
    while (value != NULL && !fletch_store_value_try_acquire(value));
    fletch_epoch_exit_inline(reader);
    return value;
}

/* Keys that are looked up side by side, so that their lines travel together. */
enum { TOGETHER = 16 };
/* Tables of fewer buckets than that are in the cache: prefetching would only cost. */
enum { PREFETCH_FROM_BUCKETS = 1 << 12 };

static void find_prefetched(const struct fletch_partition_store *store,
                            const struct fletch_store_table *table,
                            const struct fletch_store_key *keys, size_t count,
                            struct fletch_store_value **out_values)
{
    uint64_t hashes[TOGETHER];
    uint64_t words[TOGETHER];
    for (size_t i = 0; i < count; i++) {
        hashes[i] = fletch_store_hash(store, &keys[i]);
        __builtin_prefetch(&table->buckets[fletch_store_index(table, hashes[i])]);
    }
    for (size_t i = 0; i < count; i++) {
        words[i] = fletch_store_find(table, hashes[i]);
        __builtin_prefetch((void *)(uintptr_t)(words[i] & ~FLETCH_WORD_FLAGS));
    }
    for (size_t i = 0; i < count; i++)
        out_values[i] = fletch_store_word_find(words[i], &keys[i]);
}

size_t fletch_partition_store_view_many(const struct fletch_partition_store *store,
                                        const struct fletch_epoch_reader *reader,
                                        const struct fletch_store_key *keys, size_t count,
                                        struct fletch_store_value **out_values)
{
    FLETCH_ASSERT(fletch_epoch_is_inside(reader) && "a view needs a section");
    (void)reader;
    const struct fletch_store_table *table = fletch_partition_store_root(store);
    size_t found = 0;
    if (table->bucket_count < PREFETCH_FROM_BUCKETS) {
        for (size_t i = 0; i < count; i++)
            out_values[i] = fletch_store_word_find(
                fletch_store_find(table, fletch_store_hash(store, &keys[i])), &keys[i]);
    } else {
        for (size_t i = 0; i < count; i += TOGETHER)
            find_prefetched(store, table, keys + i, count - i < TOGETHER ? count - i : TOGETHER,
                            out_values + i);
    }
    for (size_t i = 0; i < count; i++)
        found += out_values[i] != NULL;
    return found;
}

size_t fletch_partition_store_get_many(const struct fletch_partition_store *store,
                                       struct fletch_epoch_reader *reader,
                                       const struct fletch_store_key *keys, size_t count,
                                       struct fletch_store_value **out_values)
{
    size_t found = 0;
    fletch_epoch_enter_inline(reader);
    fletch_partition_store_view_many(store, reader, keys, count, out_values);
    for (size_t i = 0; i < count; i++) {
        if (out_values[i] != NULL && !fletch_store_value_try_acquire(out_values[i]))
            out_values[i] = fletch_partition_store_get(store, reader, &keys[i]);
        found += out_values[i] != NULL;
    }
    fletch_epoch_exit_inline(reader);
    return found;
}

/* ---- another table ---- */

uint64_t fletch_partition_store_living(const struct fletch_partition_store *store)
{
    uint64_t living = 0;
    for (size_t i = 0; i < FLETCH_STORE_STRIPES; i++) {
        living += load_relaxed(&store->stripes[i].versions); /* relaxed: statistics */
        living -= load_relaxed(&store->stripes[i].gone);     /* relaxed: as above */
    }
    return (int64_t)living < 0 ? 0 : living;
}

/* Makes a table of another level the root after `table`. False: no memory, or no such level. Who
 * finds the root changed meanwhile is served by that. */
static bool follow(struct fletch_partition_store *store, struct fletch_store_table *table,
                   uint32_t level)
{
    if (level > FLETCH_STORE_LEVEL_MOST)
        return false;
    struct fletch_store_table *fresh =
        fletch_store_table_create(store->domain, &store->allocator, level);
    if (fresh == NULL)
        return false;
    fletch_store_table_follow(fresh, table);
    if (cas_strong_acq_rel(&store->root, &table, fresh)) /* E1 release, E1 acquire */
        fetch_add_relaxed(&store->tables_made, 1);       /* relaxed: a statistic */
    else
        fletch_store_table_destroy(fresh);
    return true;
}

/* Whether a table can move into one of its own size or less: sync/store_table.h says how much room
 * that needs. */
static bool overflow_is_small(const struct fletch_store_table *table)
{
    /* relaxed: it grows, and no further than writers_count from here */
    return load_relaxed(&table->overflow_used) <= table->writers_count;
}

/* The level of a table that is to have more room. */
static uint32_t level_with_room(const struct fletch_partition_store *store,
                                const struct fletch_store_table *table)
{
    uint64_t slots = (uint64_t)table->bucket_count * FLETCH_STORE_SLOTS;
    bool mostly_dead = fletch_partition_store_living(store) * 4 < slots;
    return mostly_dead && overflow_is_small(table) ? table->level : table->level + 1;
}

/* Makes a table before it must be, unless somebody does already. */
static void follow_early(struct fletch_partition_store *store, struct fletch_store_table *table,
                         uint32_t level)
{
    /* relaxed, all of these: the flag only saves work, the root decides */
    if (fletch_store_table_is_moving(table))
        return;
    /* What the level was chosen by may be old: movers may have used more overflow buckets since.
     * Now that they are through, only writers append, and no further than there is room for. */
    if (level <= table->level && !overflow_is_small(table))
        return;
    if (exchange_relaxed(&store->building, 1) != 0) /* relaxed: as above */
        return;
    if (load_relaxed(&store->root) == table) /* relaxed: as above */
        (void)follow(store, table, level);
    store_relaxed(&store->building, 0); /* relaxed: as above */
}

/* A writer cannot go on in `table`: there is another root when this returns true. */
static bool follow_now(struct fletch_partition_store *store, struct fletch_epoch_reader *reader,
                       struct fletch_store_table *table)
{
    if (fletch_partition_store_root(store) != table)
        return true;
    fletch_store_table_finish(table, reader);
    return follow(store, table, level_with_room(store, table));
}

static void shrink_if_empty(struct fletch_partition_store *store)
{
    struct fletch_store_table *table = fletch_partition_store_root(store);
    uint64_t slots = (uint64_t)table->bucket_count * FLETCH_STORE_SLOTS;
    if (table->level > FLETCH_STORE_LEVEL_LEAST && overflow_is_small(table) &&
        fletch_partition_store_living(store) * 8 < slots)
        follow_early(store, table, table->level - 1);
}

static void count_gone(struct fletch_partition_store *store,
                       const struct fletch_epoch_reader *reader)
{
    _Atomic uint64_t *counter = &fletch_partition_store_stripe(store, reader)->gone;
    uint64_t gone = fletch_partition_store_count(reader, counter);
    if (gone % FLETCH_STORE_REMOVALS == 0)
        shrink_if_empty(store);
}

/* ---- writing ---- */

/* One write while it runs. */
struct write {
    struct fletch_partition_store *store;
    struct fletch_epoch_reader *reader;
    const struct fletch_store_key *key;
    uint64_t hash;
    struct fletch_store_table *table;
    _Atomic uint64_t *word; /* where the key's value is or would be, NULL: nowhere */
    bool crowded;
};

/* The root, with the bucket of the write's key ready in it. */
static void begin_in_root(struct write *write)
{
    write->table = fletch_partition_store_root(write->store);
    fletch_store_table_help(write->table, write->hash, write->reader);
}

/* Finds the word of a key that may be there. */
static void locate(struct write *write)
{
    begin_in_root(write);
    write->word = (_Atomic uint64_t *)(uintptr_t)fletch_store_slot(
        write->table, fletch_store_index(write->table, write->hash), fletch_store_tag(write->hash));
}

/* Finds or claims it. False: no memory for another table. */
static bool locate_or_claim(struct write *write)
{
    for (;;) {
        begin_in_root(write);
        enum fletch_store_claim claim =
            fletch_store_claim(write->table, write->hash, &write->word, &write->crowded);
        if (claim == FLETCH_CLAIM_DONE)
            return true;
        if (claim == FLETCH_CLAIM_FULL && !follow_now(write->store, write->reader, write->table))
            return false;
    }
}

/* Tries to change a word that is not frozen; `*found` is what is in it, before and after. NOT_FOUND
 * if it was not changed, RESOURCE_EXHAUSTED: no memory. */
static enum fletch_status change_word(struct write *write, uint64_t *found,
                                      const struct fletch_store_change *change)
{
    uint64_t fresh;
    if (!fletch_store_word_change(write->store, *found, change, &fresh))
        return FLETCH_RESOURCE_EXHAUSTED;
    uint64_t before = *found;
    if (cas_strong_acq_rel(write->word, found, fresh)) { /* E2 release, E2 acquire */
        fletch_store_word_retire(write->reader, before);
        return FLETCH_OK;
    }
    fletch_store_word_discard(fresh);
    return FLETCH_NOT_FOUND;
}

/* Gives a value its key and a version that no other has. */
static void claim_version(struct write *write, struct fletch_store_value *value)
{
    struct fletch_store_stripe *stripe = fletch_partition_store_stripe(write->store, write->reader);
    /* relaxed: the caller is the only one who knows the value */
    FLETCH_ASSERT(load_relaxed(&value->version.next) == 0 && "a value enters once");
    uint64_t number = fletch_partition_store_count(write->reader, &stripe->versions);
    uint64_t version = number * FLETCH_STORE_STRIPES + (uint64_t)(stripe - write->store->stripes);
    value->key.shuffle = write->key->shuffle;
    value->key.partition = write->key->partition;
    value->key.slot = write->key->slot;
    store_relaxed(&value->version.next, version); /* relaxed: E2 publishes it */
}

/* Takes the version back from a value that did not enter. */
static void unclaim_version(struct fletch_store_value *value)
{
    store_relaxed(&value->version.next, 0); /* relaxed: nobody else knows the value */
}

static struct write write_for(struct fletch_partition_store *store,
                              struct fletch_epoch_reader *reader,
                              const struct fletch_store_key *key)
{
    return (struct write){
        .store = store,
        .reader = reader,
        .key = key,
        .hash = fletch_store_hash(store, key),
    };
}

/* Enters a value where there is none. */
static enum fletch_status enter_value(struct write *write, struct fletch_store_value *value)
{
    for (;;) {
        if (!locate_or_claim(write))
            return FLETCH_RESOURCE_EXHAUSTED;
        uint64_t found = load_acquire(write->word); /* E2 acquire */
        enum fletch_status status = FLETCH_NOT_FOUND;
        while (status == FLETCH_NOT_FOUND && (found & FLETCH_WORD_FROZEN) == 0) {
            const struct fletch_store_change change = {.fresh = value};
            if (fletch_store_word_find(found, write->key) != NULL)
                return FLETCH_ALREADY_EXISTS;
            status = change_word(write, &found, &change);
        }
        if (status != FLETCH_NOT_FOUND)
            return status;
    }
}

static struct fletch_store_alarm *alarm_of(struct fletch_partition_store *store, uint64_t hash)
{
    return &store->alarms[(hash >> 8) % FLETCH_STORE_EVENTCOUNTS];
}

enum fletch_status fletch_partition_store_insert(struct fletch_partition_store *store,
                                                 struct fletch_epoch_reader *reader,
                                                 const struct fletch_store_key *key,
                                                 struct fletch_store_value *value,
                                                 struct fletch_error *error)
{
    enum fletch_status status = fletch_partition_store_check(store, error);
    if (status != FLETCH_OK)
        return status;
    struct write write = write_for(store, reader, key);
    fletch_epoch_enter_inline(reader);
    claim_version(&write, value);
    status = enter_value(&write, value);
    if (status == FLETCH_OK) {
        if (write.crowded)
            follow_early(store, write.table, level_with_room(store, write.table));
    } else {
        unclaim_version(value);
        count_gone(store, reader);
    }
    fletch_epoch_exit_inline(reader);
    if (status == FLETCH_OK)
        fletch_eventcount_notify_inline(&alarm_of(store, write.hash)->eventcount, UINT32_MAX);
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        return fletch_error_set(error, status, "no memory for the table of a partition store");
    if (status == FLETCH_ALREADY_EXISTS)
        return fletch_error_set(error, status,
                                "partition %u slot %u of shuffle %llu is there already",
                                key->partition, key->slot, (unsigned long long)key->shuffle);
    return status;
}

/* Whether the value that was found is not the one to be removed. What looks like another version
 * may be a link, of a value that somebody else has removed and retired meanwhile: then it has no
 * reference left, and the compare-and-swap that follows will fail. */
static bool is_another(const struct write *write, struct fletch_store_value *found,
                       const struct fletch_store_removal *removal)
{
    if (removal->only != NULL && removal->only != found)
        return true;
    /* relaxed: should it be a link that looks like the version, the compare-and-swap fails */
    if (removal->version == 0 || load_relaxed(&found->version.next) == removal->version)
        return false;
    if (!fletch_store_value_try_acquire(found))
        return false;
    fletch_store_value_release(write->store, write->reader, found);
    return true;
}

/* Puts `fresh`, or nothing, into the place of the value that is there, and tells that one in
 * `removal`. */
static enum fletch_status swap_value(struct write *write, struct fletch_store_value *fresh,
                                     struct fletch_store_removal *removal)
{
    enum fletch_status status = FLETCH_NOT_FOUND;
    while (status == FLETCH_NOT_FOUND) {
        locate(write);
        if (write->word == NULL)
            return FLETCH_NOT_FOUND;
        uint64_t found = load_acquire(write->word); /* E2 acquire */
        while (status == FLETCH_NOT_FOUND && (found & FLETCH_WORD_FROZEN) == 0) {
            struct fletch_store_value *old = fletch_store_word_find(found, write->key);
            const struct fletch_store_change change = {.old = old, .fresh = fresh};
            if (old == NULL)
                return FLETCH_NOT_FOUND;
            if (is_another(write, old, removal))
                return FLETCH_FAILED_PRECONDITION;
            removal->value = old;
            status = change_word(write, &found, &change);
        }
    }
    return status;
}

enum fletch_status fletch_partition_store_replace(struct fletch_partition_store *store,
                                                  struct fletch_epoch_reader *reader,
                                                  const struct fletch_store_key *key,
                                                  struct fletch_store_value *value,
                                                  struct fletch_error *error)
{
    enum fletch_status status = fletch_partition_store_check(store, error);
    if (status != FLETCH_OK)
        return status;
    struct write write = write_for(store, reader, key);
    struct fletch_store_removal removal = {.key = key};
    fletch_epoch_enter_inline(reader);
    claim_version(&write, value);
    status = swap_value(&write, value, &removal);
    /* Either the old value or the new one's version is gone. */
    count_gone(store, reader);
    if (status == FLETCH_OK)
        fletch_store_value_release(store, reader, removal.value);
    else
        unclaim_version(value);
    fletch_epoch_exit_inline(reader);
    if (status != FLETCH_OK)
        return fletch_error_set(error, status,
                                status == FLETCH_NOT_FOUND ? "there is nothing to replace"
                                                           : "no memory for keys of equal hashes");
    return status;
}

enum fletch_status fletch_partition_store_unlink(struct fletch_partition_store *store,
                                                 struct fletch_epoch_reader *reader,
                                                 struct fletch_store_removal *removal)
{
    struct write write = write_for(store, reader, removal->key);
    fletch_epoch_enter_inline(reader);
    enum fletch_status status = swap_value(&write, NULL, removal);
    if (status == FLETCH_OK)
        count_gone(store, reader);
    fletch_epoch_exit_inline(reader);
    return status;
}

static enum fletch_status tell_removal(enum fletch_status status, struct fletch_error *error)
{
    if (status == FLETCH_NOT_FOUND)
        return fletch_error_set(error, status, "there is nothing to remove");
    if (status == FLETCH_FAILED_PRECONDITION)
        return fletch_error_set(error, status, "the value there has another version");
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        return fletch_error_set(error, status, "no memory for keys of equal hashes");
    return status;
}

static enum fletch_status remove_and_release(struct fletch_partition_store *store,
                                             struct fletch_epoch_reader *reader,
                                             struct fletch_store_removal *removal,
                                             struct fletch_error *error)
{
    enum fletch_status status = fletch_partition_store_check(store, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_partition_store_unlink(store, reader, removal);
    if (status == FLETCH_OK)
        fletch_store_value_release(store, reader, removal->value);
    return tell_removal(status, error);
}

enum fletch_status fletch_partition_store_remove(struct fletch_partition_store *store,
                                                 struct fletch_epoch_reader *reader,
                                                 const struct fletch_store_key *key,
                                                 struct fletch_error *error)
{
    return remove_and_release(store, reader, &(struct fletch_store_removal){.key = key}, error);
}

enum fletch_status fletch_partition_store_remove_version(struct fletch_partition_store *store,
                                                         struct fletch_epoch_reader *reader,
                                                         const struct fletch_store_key *key,
                                                         uint64_t version,
                                                         struct fletch_error *error)
{
    struct fletch_store_removal removal = {.key = key, .version = version};
    if (version == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "no entry has version 0");
    return remove_and_release(store, reader, &removal, error);
}

enum fletch_status fletch_partition_store_take(struct fletch_partition_store *store,
                                               struct fletch_epoch_reader *reader,
                                               const struct fletch_store_key *key,
                                               struct fletch_store_value **out_value,
                                               struct fletch_error *error)
{
    enum fletch_status status = fletch_partition_store_check(store, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_store_removal removal = {.key = key};
    status = fletch_partition_store_unlink(store, reader, &removal);
    if (status == FLETCH_OK)
        *out_value = removal.value;
    return tell_removal(status, error);
}

/* ---- waiting ---- */

struct wait_call {
    const struct fletch_partition_store *store;
    struct fletch_epoch_reader *reader;
    const struct fletch_store_key *key;
    struct fletch_store_value *value;
};

static enum fletch_answer attempt_get(void *call)
{
    struct wait_call *wait = call;
    wait->value = fletch_partition_store_get(wait->store, wait->reader, wait->key);
    return wait->value != NULL ? FLETCH_DONE : FLETCH_EMPTY;
}

enum fletch_status fletch_partition_store_wait(struct fletch_partition_store *store,
                                               struct fletch_epoch_reader *reader,
                                               const struct fletch_store_key *key,
                                               uint64_t timeout_ns,
                                               struct fletch_store_value **out_value)
{
    struct wait_call call = {.store = store, .reader = reader, .key = key};
    struct fletch_wait_history history;
    const struct fletch_wait_policy policy = {.strategy = FLETCH_WAIT_PARK};
    const struct fletch_wait wait = {
        .policy = &policy,
        .history = &history,
        .eventcount = &alarm_of(store, fletch_store_hash(store, key))->eventcount,
        .attempt = attempt_get,
        .call = &call,
    };
    FLETCH_ASSERT(!fletch_epoch_is_inside(reader) && "waiting inside a section");
    if (!fletch_process_is(store->process))
        return FLETCH_FAILED_PRECONDITION;
    fletch_wait_history_start(&history, &policy);
    if (attempt_get(&call) != FLETCH_DONE && fletch_wait_for(&wait, timeout_ns) != FLETCH_DONE)
        return FLETCH_DEADLINE_EXCEEDED;
    *out_value = call.value;
    return FLETCH_OK;
}

/* ---- figures ---- */

static void count_tables(const struct fletch_partition_store *store,
                         struct fletch_store_statistics *statistics)
{
    const struct fletch_store_table *table = fletch_partition_store_root(store);
    /* The one before, while entries move. */
    const struct fletch_store_table *previous = fletch_store_table_previous(table);
    statistics->buckets = table->bucket_count;
    statistics->overflow_buckets = load_relaxed(&table->overflow_used); /* relaxed: a statistic */
    statistics->table_bytes = fletch_store_table_bytes(table);
    statistics->moving = previous != NULL;
    if (previous != NULL)
        statistics->table_bytes += fletch_store_table_bytes(previous);
}

enum fletch_status fletch_partition_store_statistics(const struct fletch_partition_store *store,
                                                     struct fletch_epoch_reader *reader,
                                                     struct fletch_store_statistics *out_statistics,
                                                     struct fletch_error *error)
{
    size_t wanted = out_statistics->struct_size;
    struct fletch_epoch_statistics limbo = {.struct_size = sizeof limbo};
    if (wanted < sizeof wanted)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "statistics have struct_size %zu, expected at least %zu", wanted,
                                sizeof wanted);
    enum fletch_status status = fletch_partition_store_check(store, error);
    if (status == FLETCH_OK)
        status = fletch_epoch_domain_statistics(store->domain, &limbo, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_store_statistics statistics = {
        .struct_size = wanted,
        .entries = fletch_partition_store_living(store),
        .tables_made = load_relaxed(&store->tables_made), /* relaxed: a statistic */
        .limbo_objects = limbo.limbo_objects,
        .limbo_bytes = limbo.limbo_bytes,
        .oldest_reader = limbo.oldest_reader,
    };
    fletch_epoch_enter_inline(reader);
    count_tables(store, &statistics);
    fletch_epoch_exit_inline(reader);
    memcpy(out_statistics, &statistics, wanted < sizeof statistics ? wanted : sizeof statistics);
    return FLETCH_OK;
}
