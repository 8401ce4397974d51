#ifndef FLETCH_SYNC_PARTITION_STORE_H
#define FLETCH_SYNC_PARTITION_STORE_H

/* Concurrent map from keys to values with reference counts (docs/PARTITION_STORE.md).
 *
 * Origin: our own; see sync/store_table.h for the table and sync/store_value.h for values.
 *
 * Roles: any number of threads read, write and scan; each call runs inside a section of its reader.
 * Progress: view is wait-free, everything else but wait lock-free: a compare-and-swap fails only if
 * another operation on the same word succeeded, or the word was frozen, of which each comes once
 * for each table.
 *
 * Linearization: a read at its load of the word; or, if the word was frozen, at the freezing or at
 * the look that found the new bucket not READY, whichever comes later; both lie within the read,
 * as the root that the read began with was replaced after that. A write at its compare-and-swap.
 * One that finds nothing to do (ALREADY_EXISTS, NOT_FOUND) as a read.
 *
 * Edges, beside those of sync/store_table.h:
 *   E1: builder cas_strong_acq_rel(root) -> any load_acquire(root).
 *   E2: writer cas_strong_acq_rel(word) -> any load_acquire(word) or cas_strong_acq_rel(word): the
 *       value, written completely before.
 *
 * Reclamation: sync/epoch.h. ABA: a value enters one store once, and its memory is not used again
 * while anybody is inside a section. */

#include <fletching/partition_store.h>

#include "base/allocator.h"
#include "base/atomic.h"
#include "base/process.h"
#include "sync/epoch.h"
#include "sync/eventcount.h"
#include "sync/store_pool.h"
#include "sync/store_table.h"
#include "sync/store_value.h"

#ifdef FLETCH_MODEL_CHECK
enum { FLETCH_STORE_STRIPES = 2, FLETCH_STORE_EVENTCOUNTS = 1, FLETCH_STORE_REMOVALS = 1 };
#else
enum { FLETCH_STORE_STRIPES = 32, FLETCH_STORE_EVENTCOUNTS = 16, FLETCH_STORE_REMOVALS = 256 };
#endif

/* The first one is everybody's whose number is too high for one of his own. */
struct fletch_store_stripe {
    FLETCH_ISOLATED _Atomic uint64_t versions; /* given out */
    _Atomic uint64_t gone;           /* of those: not entered after all, replaced, or removed */
    struct fletch_store_cache cache; /* not of the first one */
};

struct fletch_store_alarm {
    FLETCH_ISOLATED struct fletch_eventcount eventcount;
};

struct fletch_partition_store {
    /* Read by everybody; all but the root fixed. */
    FLETCH_ISOLATED _Atomic(struct fletch_store_table *) root;
    uint64_t seeds[2];
    uint64_t hash_mask; /* all ones, but in tests */
    struct fletch_epoch_domain *domain;
    uint32_t value_class;
    uint32_t process; /* whose it is: base/process.h */
    /* Read where things are made and freed; fixed. */
    FLETCH_ISOLATED struct fletch_allocator allocator;
    fletch_store_drop_function *drop;
    void *drop_context;
    /* Written when tables are made. */
    FLETCH_ISOLATED _Atomic uint32_t building; /* somebody makes a table before it must be */
    _Atomic uint64_t tables_made;
    struct fletch_store_pool pool;
    struct fletch_store_stripe stripes[FLETCH_STORE_STRIPES];
    struct fletch_store_alarm alarms[FLETCH_STORE_EVENTCOUNTS];
};

static inline struct fletch_store_table *
fletch_partition_store_root(const struct fletch_partition_store *store)
{
    return load_acquire(&store->root); /* E1 acquire */
}

/* OK, or FAILED_PRECONDITION: forked since it was made. */
static inline enum fletch_status
fletch_partition_store_check(const struct fletch_partition_store *store, struct fletch_error *error)
{
    return fletch_process_check(store->process, "this partition store", error);
}

/* Readers are numbered from 1, and a number is one thread's at a time. */
static inline bool fletch_partition_store_owns_stripe(const struct fletch_epoch_reader *reader)
{
    return reader->number < FLETCH_STORE_STRIPES;
}

static inline struct fletch_store_stripe *
fletch_partition_store_stripe(struct fletch_partition_store *store,
                              const struct fletch_epoch_reader *reader)
{
    return &store->stripes[fletch_partition_store_owns_stripe(reader) ? reader->number : 0];
}

/* The reader's own blocks, or NULL. */
static inline struct fletch_store_cache *
fletch_partition_store_cache(struct fletch_partition_store *store,
                             const struct fletch_epoch_reader *reader)
{
    if (reader == NULL || !fletch_partition_store_owns_stripe(reader))
        return NULL;
    return &store->stripes[reader->number].cache;
}

/* Counts one in the reader's stripe, and tells the count. */
static inline uint64_t fletch_partition_store_count(const struct fletch_epoch_reader *reader,
                                                    _Atomic uint64_t *counter)
{
    /* relaxed, all of these: a number, nothing more */
    if (!fletch_partition_store_owns_stripe(reader))
        return fetch_add_relaxed(counter, 1) + 1; /* relaxed: as above */
    count_one(counter);                           /* relaxed: written by this thread only */
    return load_relaxed(counter);                 /* relaxed: as above */
}

__extension__ typedef unsigned __int128 fletch_store_product;

/* Multiplies and folds: every bit of the result depends on every bit of both. */
static inline uint64_t fletch_store_fold(uint64_t a, uint64_t b)
{
    fletch_store_product product = (fletch_store_product)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The byte of a tag that depends on the shuffle alone; its lowest bit is 1, so that no tag is 0. */
static inline uint32_t fletch_store_shuffle_byte(uint64_t mixed, uint64_t hash_mask)
{
    return (uint32_t)((mixed & hash_mask) >> FLETCH_STORE_TAG_SHIFT & 0xff) | 1;
}

static inline uint64_t fletch_store_mix_shuffle(const struct fletch_partition_store *store,
                                                uint64_t shuffle)
{
    return fletch_store_fold(shuffle ^ store->seeds[0], UINT64_C(0xa0761d6478bd642f));
}

#define FLETCH_STORE_PLACE_FACTOR UINT64_C(0xe7037ed1a0b428db)

#define FLETCH_STORE_LAST_FACTOR UINT64_C(0x8ebc6af09c88c6e3)

static inline uint64_t fletch_store_hash(const struct fletch_partition_store *store,
                                         const struct fletch_store_key *key)
{
    uint64_t mixed = fletch_store_mix_shuffle(store, key->shuffle);
    /* Twice, as numbers in a row would else stay a grid, of which some buckets get too many. The
     * first multiplications run side by side: one for each number, which is loaded by itself, since
     * one load of both would wait for the stores of a caller that has just written one and one. */
    uint64_t place = key->partition * FLETCH_STORE_PLACE_FACTOR +
                     key->slot * (FLETCH_STORE_PLACE_FACTOR << 32) + store->seeds[1];
    place ^= place >> 32;
    uint64_t hash = fletch_store_fold(place ^ mixed, FLETCH_STORE_LAST_FACTOR);
    uint64_t byte = fletch_store_shuffle_byte(mixed, store->hash_mask);
    hash &= store->hash_mask & ~(UINT64_C(0xff) << FLETCH_STORE_TAG_SHIFT);
    return hash | byte << FLETCH_STORE_TAG_SHIFT;
}

/* fletch_partition_store_create with a mask over all hashes, so that keys can collide. */
enum fletch_status
fletch_partition_store_create_masked(struct fletch_epoch_domain *domain,
                                     const struct fletch_partition_store_options *options,
                                     const struct fletch_allocator *allocator, uint64_t hash_mask,
                                     struct fletch_partition_store **out_store);

/* How a removal ends. */
struct fletch_store_removal {
    const struct fletch_store_key *key;
    const struct fletch_store_value *only; /* NULL: whichever value is there */
    uint64_t version;                      /* 0: whichever */
    struct fletch_store_value *value;      /* what was removed, with the store's reference */
};

/* OK, NOT_FOUND, FAILED_PRECONDITION (another value or version is there), RESOURCE_EXHAUSTED. Of
 * the process that made the store. */
enum fletch_status fletch_partition_store_unlink(struct fletch_partition_store *store,
                                                 struct fletch_epoch_reader *reader,
                                                 struct fletch_store_removal *removal);

/* Entries, as far as they can be counted. */
uint64_t fletch_partition_store_living(const struct fletch_partition_store *store);

#endif
