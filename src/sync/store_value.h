#ifndef FLETCH_SYNC_STORE_VALUE_H
#define FLETCH_SYNC_STORE_VALUE_H

/* Values of the partition store, and the words that point to them.
 *
 * Origin: reference counts under deferred reclamation; a count that is never raised from zero as in
 * Linux's kref_get_unless_zero.
 *
 * Roles: any number of threads that hold references or look at values inside sections. Progress:
 * acquire is wait-free, try_acquire and release lock-free.
 *
 * Edges:
 *   E1: holder fetch_sub_acq_rel(references) -> last holder fetch_sub_acq_rel(references): what
 *       every holder did with the value comes before its end. And -> load_acquire(references) of
 *       who would raise it and finds 0: the value was unlinked before, so looking again finds
 *       something else.
 *
 * Reclamation: the last release retires the value (sync/epoch.h), since a reader inside a section
 * may hold its address without a count. From then on the version's place is the epoch's link. */

#include <fletching/partition_store.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "sync/epoch.h"

struct fletch_store_value {
    struct fletch_store_key key;
    struct fletch_epoch_link version; /* a number; the epoch's link once the value is retired */
    _Atomic uint32_t references;
    uint32_t payload_bytes; /* and FLETCH_VALUE_POOLED */
};

/* The value's memory is a block of the store's pool. */
#define FLETCH_VALUE_POOLED (UINT32_C(1) << 31)

_Static_assert(sizeof(struct fletch_store_value) == 32, "half a line");
_Static_assert(offsetof(struct fletch_store_value, version) % FLETCH_EPOCH_ALIGNMENT == 0,
               "a link is aligned as the epoch wants it");

/* Values begin a line, so that header and a small payload are one. */
#define FLETCH_STORE_VALUE_ALIGNMENT 64

/* Two keys or more of one bucket whose tags are equal share a word, which points to a bundle. It is
 * never changed, but replaced by another one. */
struct fletch_store_bundle {
    struct fletch_epoch_object object; /* first */
    struct fletch_partition_store *store;
    size_t count;
    struct fletch_store_value *values[];
};

/* A word: 0 (never used), FLETCH_WORD_EMPTY (a value was there), or the address of a value or of a
 * bundle; and whether it is frozen. */
#define FLETCH_WORD_FROZEN UINT64_C(1) /* it never changes any more: its table is being emptied */
#define FLETCH_WORD_BUNDLE UINT64_C(2)
#define FLETCH_WORD_EMPTY UINT64_C(4)
#define FLETCH_WORD_FLAGS UINT64_C(7)

static inline bool fletch_store_key_equal(const struct fletch_store_key *a,
                                          const struct fletch_store_key *b)
{
    return ((a->shuffle ^ b->shuffle) | (a->partition ^ b->partition) | (a->slot ^ b->slot)) == 0;
}

static inline uint64_t fletch_store_word_of(const struct fletch_store_value *value)
{
    return (uint64_t)(uintptr_t)value;
}

/* Whether there is any value in a word. */
static inline bool fletch_store_word_lives(uint64_t word)
{
    return (word & ~FLETCH_WORD_FLAGS) != 0;
}

/* How many values a living word leads to, and each of them. */
static inline size_t fletch_store_word_count(uint64_t word)
{
    if ((word & FLETCH_WORD_BUNDLE) == 0)
        return 1;
    return ((struct fletch_store_bundle *)(uintptr_t)(word & ~FLETCH_WORD_FLAGS))->count;
}

static inline struct fletch_store_value *fletch_store_word_value(uint64_t word, size_t index)
{
    void *address = (void *)(uintptr_t)(word & ~FLETCH_WORD_FLAGS);
    if ((word & FLETCH_WORD_BUNDLE) == 0)
        return address;
    return ((struct fletch_store_bundle *)address)->values[index];
}

/* The rare half of fletch_store_word_find. */
struct fletch_store_value *fletch_store_bundle_find(uint64_t word,
                                                    const struct fletch_store_key *key);

/* The value with this key that a word leads to, or NULL. */
static inline struct fletch_store_value *fletch_store_word_find(uint64_t word,
                                                                const struct fletch_store_key *key)
{
    struct fletch_store_value *value = (void *)(uintptr_t)(word & ~FLETCH_WORD_FLAGS);
    if (value == NULL)
        return NULL;
    if (__builtin_expect((word & FLETCH_WORD_BUNDLE) != 0, 0))
        return fletch_store_bundle_find(word, key);
    return fletch_store_key_equal(&value->key, key) ? value : NULL;
}

/* One reference more, unless there is none left. */
static inline bool fletch_store_value_try_acquire(struct fletch_store_value *value)
{
    uint32_t references = load_acquire(&value->references); /* E1 acquire */
    do {
        if (references == 0)
            return false;
    } while (!cas_weak_acquire_both(&value->references, &references, /* E1 acquire */
                                    references + 1));
    return true;
}

/* What should be in a word in place of `word`, which is not frozen: `old` (NULL: nothing more) goes
 * and `fresh` (NULL: nothing) comes. False: no memory for a bundle. */
struct fletch_store_change {
    struct fletch_store_value *old;
    struct fletch_store_value *fresh;
};
bool fletch_store_word_change(struct fletch_partition_store *store, uint64_t word,
                              const struct fletch_store_change *change, uint64_t *out_word);

/* Frees a bundle that fletch_store_word_change made and nobody has seen. */
void fletch_store_word_discard(uint64_t word);

/* Retires the bundle of a word that was replaced, if it is one. */
void fletch_store_word_retire(struct fletch_epoch_reader *reader, uint64_t word);

/* Frees a value, and its payload first: the class's function (sync/epoch.h). */
void fletch_store_value_reclaim(void *store, struct fletch_epoch_reader *reader,
                                struct fletch_epoch_link *link);

#endif
