#ifndef FLETCH_PARTITION_DICTIONARY_MERGER_H
#define FLETCH_PARTITION_DICTIONARY_MERGER_H

/* The dictionary of one field of a writer: it only grows, so that the indices of earlier frames
 * keep their meaning and growth can travel as deltas. Values are told apart by their bytes.
 *
 * Snapshots share the memory of the growing dictionary: what they refer to is not written any more,
 * and what is written lies behind it. (Bools share bytes: each of the three that there can be moves
 * all into a new buffer.) When the room is used up, all moves into larger buffers, and
 * snapshots keep the old ones. Values that are more than bytes lie in a store (value_store.h): its
 * batches are the snapshots. Belongs to one thread; snapshots can be read by any. */

#include "arrow/schema.h"
#include "memory/batch.h"
#include "partition/node_view.h"
#include "partition/value_store.h"

struct fletch_dictionary_entry {
    uint64_t word;
    uint32_t index; /* and 1; 0: free */
};

struct fletch_dictionary_merger {
    struct fletch_schema *schema; /* of the field that has the indices; not a reference */
    const struct fletch_schema_dictionary *of;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    struct fletch_allocator allocator;
    struct fletch_value_store *store; /* of values that are more than bytes; else NULL, */
    struct fletch_buffer *values;     /* and they, or their offsets, lie here */
    struct fletch_buffer *bytes;      /* of strings */
    size_t value_capacity;
    size_t byte_count;
    size_t byte_capacity;
    uint32_t count;
    int64_t null_index; /* -1: no value is null */
    struct fletch_dictionary_entry *entries;
    size_t entry_count; /* a power of two, or 0 */
    uint32_t *remap;    /* of the batch merged last */
    size_t remap_capacity;
    size_t remap_count;
    bool remap_is_identity;
    struct fletch_batch *merged; /* the dictionary that `remap` is for, so that it is known again */
    struct fletch_batch *snapshot; /* of the first `snapshot_count` values */
    uint32_t snapshot_count;
};

/* Dictionary `index` of the schema; `cache`, `account` and `allocator` are set. RESOURCE_EXHAUSTED:
 * no memory. On failure it is to be deinitialised all the same. */
enum fletch_status fletch_merger_init(struct fletch_dictionary_merger *dictionary,
                                      struct fletch_schema *schema, uint32_t index,
                                      struct fletch_error *error);
void fletch_merger_deinit(struct fletch_dictionary_merger *dictionary);

/* Adds the values of a batch's dictionary (NULL: none) that are new, and sets `remap`. On failure
 * what was added stays; nothing refers to it yet. RESOURCE_EXHAUSTED: no memory; OUT_OF_RANGE: more
 * values than the indices' type can tell apart. */
enum fletch_status fletch_merger_merge(struct fletch_dictionary_merger *dictionary,
                                       struct fletch_batch *values, struct fletch_error *error);

/* Whether values have children, are views or null: they come by fletch_merger_merge alone. */
static inline bool fletch_merger_has_store(const struct fletch_dictionary_merger *dictionary)
{
    return dictionary->store != NULL;
}

/* Adds a value, element `index` of a plain column, if it is new, and tells its index. Errors as
 * fletch_merger_merge. */
enum fletch_status fletch_merger_add(struct fletch_dictionary_merger *dictionary,
                                     const struct fletch_node_view *column, int64_t index,
                                     uint32_t *out_index, struct fletch_error *error);

/* Makes `snapshot` all of the dictionary. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_merger_take_snapshot(struct fletch_dictionary_merger *dictionary,
                                               struct fletch_error *error);

/* Whether every index of the field that is not null is one of its dictionary. INVALID_ARGUMENT:
 * names the field, the element and the index. */
enum fletch_status fletch_merger_check_indices(const struct fletch_batch *batch, uint32_t row,
                                               struct fletch_error *error);

#endif
