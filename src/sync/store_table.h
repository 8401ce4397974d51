#ifndef FLETCH_SYNC_STORE_TABLE_H
#define FLETCH_SYNC_STORE_TABLE_H

/* The partition store's table: buckets, chains of them, and the moving of all entries to another
 * table while everybody goes on (docs/PARTITION_STORE.md).
 *
 * Origin: our own. Tags beside pointers in one line as in A. Kirsch et al. and many since;
 * freezing before copying as in C. Click's non-blocking hash table (2007).
 *
 * Roles: any number of readers and writers, all inside sections of an epoch. Progress: finding is
 * wait-free; claiming, appending and moving are lock-free: whoever needs what another has begun
 * does the rest himself. A thread that stalls or dies anywhere holds up nobody.
 *
 * A tag, once claimed, belongs to its slot as long as the table lives, and slots are claimed in
 * order along the chain: so all keys of a bucket with one tag meet in one word, and what happens to
 * a key happens to that word by one compare-and-swap.
 *
 * Moving. `previous` of the new table is the old one. Its buckets form groups: one old bucket and
 * two new ones (growing), one and one, or two and one (shrinking). A group is moved by freezing
 * the old chains, after which no word of them changes; by installing what lives in them, in the
 * order of the old slots, by compare-and-swaps from 0; and by saying READY. All of that follows
 * from the frozen words alone, so all helpers do the same; and as neither a tag nor a word ever
 * becomes 0 again, one that comes late changes nothing.
 *
 * Room. Overflow buckets are appended in such a way that no race wastes one: the next free bucket
 * is first given to a parent, then linked, then counted, each step by anybody. Of a table of B
 * buckets, writers may append while fewer than W = B/2 + 2 are in use. Moving into it needs at most
 * as many as the old table uses, and one more for each pair of buckets that becomes one:
 *   from half the size:  used before <= B + 2 + W/2, so at most that and W
 *   from the same size:  only while used before <= W, so at most 2W
 *   from twice the size: only while used before <= B + 2, so at most B + 2 + B and W
 * With 2B + 2 + W there is always room to move, so moving cannot fail.
 *
 * Edges:
 *   E2: writer cas_strong_acq_rel(word) -> reader or writer load_acquire(word), freezer
 *       fetch_or_acq_rel(word), loser cas_strong_acq_rel(word): the value or bundle that the word
 *       leads to, and the tag beside it.
 *   E3: mover fetch_or_release(state: READY) -> any load_acquire(state): all words of the bucket.
 *   E4: finisher cas_strong_acq_rel(previous) -> any load_acquire(previous): all buckets are
 *       READY.
 *   E5: appender cas_strong_acq_rel(owner, state, overflow_used) -> appender the same or
 *       load_acquire(state, overflow_used): an index counts after it was linked, is linked after
 *       it was given away.
 *
 * Reclamation: a table is retired by who made `previous` NULL. ABA: a word holds addresses of
 * objects that are not freed while anybody is inside; an equal word means equal contents. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/atomic.h"
#include "sync/epoch.h"
#include "sync/store_value.h"

#ifdef FLETCH_MODEL_CHECK
enum { FLETCH_STORE_SLOTS = 2, FLETCH_STORE_TAG_SHIFT = 32, FLETCH_STORE_LEVEL_MOST = 3 };
#define FLETCH_STORE_LINE
#else
enum { FLETCH_STORE_SLOTS = 5, FLETCH_STORE_TAG_SHIFT = 24, FLETCH_STORE_LEVEL_MOST = 28 };
#define FLETCH_STORE_LINE _Alignas(64)
#endif
/* Levels (logarithms of the number of buckets) for which the tag has the bit by which a bucket is
 * split. */
enum { FLETCH_STORE_LEVEL_LEAST = 32 - FLETCH_STORE_TAG_SHIFT };

/* A bucket's state: two flags, and above them the index of the next bucket of its chain. */
#define FLETCH_BUCKET_READY UINT32_C(1)  /* everything of the table before is in it */
#define FLETCH_BUCKET_FROZEN UINT32_C(2) /* it never changes any more */
#define FLETCH_BUCKET_LINK_SHIFT 2

struct fletch_store_bucket {
    FLETCH_STORE_LINE _Atomic uint32_t state;
    _Atomic uint32_t tag[FLETCH_STORE_SLOTS]; /* 0: free */
    _Atomic uint64_t word[FLETCH_STORE_SLOTS];
};

struct fletch_store_table {
    /* Read by everybody; all but `previous` fixed. */
    FLETCH_ISOLATED struct fletch_store_bucket *buckets; /* and the overflow buckets after them */
    _Atomic(struct fletch_store_table *) previous;       /* NULL: everything is here */
    uint32_t shift;                                      /* of (hash >> 1) to a bucket's index */
    uint32_t level;
    uint32_t bucket_count;
    uint32_t overflow_count;  /* 5/2 of that */
    uint32_t writers_count;   /* overflow buckets in use at which writers stop */
    uint32_t group_count;     /* of the moving into this table */
    _Atomic uint32_t *owners; /* of each overflow bucket: its parent's index + 1 */
    size_t bytes;             /* of buckets and owners together */
    struct fletch_epoch_domain *domain;
    struct fletch_allocator allocator;
    /* Written while it fills and while entries move. */
    FLETCH_ISOLATED _Atomic uint32_t overflow_used;
    _Atomic uint32_t next_group; /* that somebody should move */
    _Atomic uint32_t moved;      /* groups */
    _Alignas(FLETCH_EPOCH_ALIGNMENT) struct fletch_epoch_object object;
};

/* The bytes of a table in use: what was touched, not what is reserved. */
size_t fletch_store_table_bytes(const struct fletch_store_table *table);

/* An empty table of 2^level buckets, or NULL. */
struct fletch_store_table *fletch_store_table_create(struct fletch_epoch_domain *domain,
                                                     const struct fletch_allocator *allocator,
                                                     uint32_t level);
/* At once, or NULL for nothing. The values stay. */
void fletch_store_table_destroy(struct fletch_store_table *table);

static inline uint32_t fletch_store_index(const struct fletch_store_table *table, uint64_t hash)
{
    return (uint32_t)(hash >> 1 >> table->shift);
}

static inline uint32_t fletch_store_tag(uint64_t hash)
{
    return (uint32_t)(hash >> FLETCH_STORE_TAG_SHIFT);
}

static inline uint32_t fletch_store_link(uint32_t state)
{
    return state >> FLETCH_BUCKET_LINK_SHIFT;
}

/* Which slots of a bucket have this tag: a bit for each, at most one. No branches: which slot it is
 * cannot be foreseen. */
static inline uint32_t fletch_store_match(const struct fletch_store_bucket *bucket, uint32_t tag)
{
    uint32_t match = 0;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < FLETCH_STORE_SLOTS; i++) {
        /* relaxed: a tag that is there stays; the word beside it is acquired */
        uint32_t equal = load_relaxed(&bucket->tag[i]) == tag;
        match |= equal << i;
    }
    return match;
}

/* The word of a tag in a chain, NULL: the tag has none. */
static inline const _Atomic uint64_t *fletch_store_slot(const struct fletch_store_table *table,
                                                        uint32_t index, uint32_t tag)
{
    for (;;) {
        const struct fletch_store_bucket *bucket = &table->buckets[index];
        uint32_t match = fletch_store_match(bucket, tag);
        if (__builtin_expect(match != 0, 1))
            return &bucket->word[__builtin_ctz(match)];
        index = fletch_store_link(load_acquire(&bucket->state)); /* E5 acquire */
        if (index == 0)
            return NULL;
    }
}

/* The table in which the entries of a hash are to be looked for now, `table` being the root. */
static inline const struct fletch_store_table *
fletch_store_source(const struct fletch_store_table *table, uint64_t hash)
{
    const struct fletch_store_table *previous = load_acquire(&table->previous); /* E4 acquire */
    if (__builtin_expect(previous == NULL, 1))
        return table;
    const struct fletch_store_bucket *bucket = &table->buckets[fletch_store_index(table, hash)];
    uint32_t state = load_acquire(&bucket->state); /* E3 acquire */
    return (state & FLETCH_BUCKET_READY) != 0 ? table : previous;
}

/* The table that entries still move from, or NULL. */
static inline struct fletch_store_table *
fletch_store_table_previous(const struct fletch_store_table *table)
{
    return load_acquire(&table->previous); /* E4 acquire */
}

static inline bool fletch_store_table_is_moving(const struct fletch_store_table *table)
{
    return fletch_store_table_previous(table) != NULL;
}

/* The word of a slot, and what its tag's byte of the shuffle is, for scans. */
static inline uint64_t fletch_store_word_at(const struct fletch_store_bucket *bucket, uint32_t slot)
{
    return load_acquire(&bucket->word[slot]); /* E2 acquire */
}

static inline uint32_t fletch_store_shuffle_byte_at(const struct fletch_store_bucket *bucket,
                                                    uint32_t slot)
{
    return load_relaxed(&bucket->tag[slot]) & 0xff; /* relaxed: as in fletch_store_match */
}

static inline uint32_t fletch_store_next_index(const struct fletch_store_bucket *bucket)
{
    return fletch_store_link(load_acquire(&bucket->state)); /* E5 acquire */
}

/* What a reader finds for a hash: a word, 0 for none. */
static inline uint64_t fletch_store_find(const struct fletch_store_table *table, uint64_t hash)
{
    table = fletch_store_source(table, hash);
    const _Atomic uint64_t *word =
        fletch_store_slot(table, fletch_store_index(table, hash), fletch_store_tag(hash));
    return word == NULL ? 0 : load_acquire(word); /* E2 acquire */
}

/* What claiming a slot comes to. */
enum fletch_store_claim {
    FLETCH_CLAIM_DONE,
    FLETCH_CLAIM_FROZEN, /* look at the root again */
    FLETCH_CLAIM_FULL    /* there must be another table first */
};

/* The word of a hash, its slot claimed if need be. `*out_crowded`: it took an overflow bucket that
 * says it is time for another table. */
enum fletch_store_claim fletch_store_claim(struct fletch_store_table *table, uint64_t hash,
                                           _Atomic uint64_t **out_word, bool *out_crowded);

/* Makes the bucket of a hash READY, and takes a share in the rest. `reader` NULL: nobody else uses
 * the table. */
void fletch_store_table_help(struct fletch_store_table *table, uint64_t hash,
                             struct fletch_epoch_reader *reader);

/* Moves all that is left. `previous` is NULL after that. */
void fletch_store_table_finish(struct fletch_store_table *table,
                               struct fletch_epoch_reader *reader);

/* Says where the entries for `table` come from, before it becomes the root. */
void fletch_store_table_follow(struct fletch_store_table *table,
                               struct fletch_store_table *previous);

#endif
