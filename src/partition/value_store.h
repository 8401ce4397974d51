#ifndef FLETCH_PARTITION_VALUE_STORE_H
#define FLETCH_PARTITION_VALUE_STORE_H

/* The values of a writer's dictionary that are more than bytes: of types with children, views and
 * null. They are appended to one frame, as its rows are, and batches of it are the snapshots: these
 * share its slab, and what is appended lies behind them. When the room is used up, all moves into a
 * frame of twice the size. Dictionaries among them have mergers of their own, so that the old
 * indices keep their meaning. Belongs to one thread; the batches can be read by any. */

#include "partition/scatter.h"

struct fletch_dictionary_merger;

struct fletch_value_store {
    struct fletch_scatter scatter;
    struct fletch_dictionary_merger *dictionaries; /* of the values' schema */
    struct fletch_frame_parts parts;               /* scratch */
    struct fletch_frame_builder frame; /* with the values kept, and room; or without a slab */
    struct fletch_batch *kept;         /* all values so far; NULL: none */
    struct fletch_batch *source;       /* from which values are being taken; or NULL */
    int64_t *taken;                    /* elements of it, to be kept */
    size_t taken_count;
    size_t taken_capacity;
    void *block; /* in which all of this lies */
    size_t block_bytes;
};

/* A store of values of the schema's one column. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_value_store_create(struct fletch_schema *schema,
                                             const struct fletch_frame_source *source,
                                             const struct fletch_allocator *allocator,
                                             struct fletch_value_store **out_store,
                                             struct fletch_error *error);
void fletch_value_store_destroy(struct fletch_value_store *store);

/* Begins to take values of a batch of one column: after this its encodings are those of the store.
 * Errors as fletch_recode_batch and fletch_merger_merge. */
enum fletch_status fletch_value_store_open(struct fletch_value_store *store,
                                           struct fletch_batch *values, struct fletch_error *error);

/* Whether value `kept` of the store, those taken counted, is element `index` of the source. */
bool fletch_value_store_equals(const struct fletch_value_store *store, uint32_t kept,
                               int64_t index);

/* Takes an element of the source: it is the next value. */
void fletch_value_store_take(struct fletch_value_store *store, int64_t index);

/* Makes `kept` all values, and ends what began with open. On failure it stays as it was, and what
 * was taken is forgotten. RESOURCE_EXHAUSTED: no memory; OUT_OF_RANGE: more than a batch holds. */
enum fletch_status fletch_value_store_keep(struct fletch_value_store *store,
                                           struct fletch_error *error);

/* Ends without keeping. */
void fletch_value_store_forget(struct fletch_value_store *store);

#endif
