#ifndef FLETCH_PARTITION_RANGE_H
#define FLETCH_PARTITION_RANGE_H

/* Partitions by sorted bounds: a binary search for each row. Columns are compared by a word of 64
 * bits that orders as they do, and where that is only a beginning (strings, wide decimals) by the
 * rest. */

#include <fletching/partition.h>

#include "partition/hash.h"

struct fletch_range_key {
    const uint32_t *rows; /* of the schema's table */
    const struct fletch_range_order *orders;
    uint32_t count;
};

struct fletch_range {
    struct fletch_allocator allocator;
    struct fletch_range_key key;
    struct fletch_range_order *orders;
    uint32_t *bound_rows; /* rows of the bounds' schema */
    struct fletch_batch *bounds;
    uint64_t *words; /* of the first key column of each bound */
    uint32_t bound_count;
    bool words_are_all; /* equal words mean equal keys */
};

/* What a row is compared by. */
struct fletch_range_place {
    const struct fletch_batch *batch;
    const uint32_t *rows;
    int64_t index;
};

/* UNIMPLEMENTED: a type that has no order: names the field. */
enum fletch_status fletch_range_check(const struct fletch_schema *schema,
                                      struct fletch_hash_key key, struct fletch_error *error);

/* The key's rows must outlive the range. INVALID_ARGUMENT: bounds that are not as many, of other
 * types, or not sorted; RESOURCE_EXHAUSTED: no memory. On failure nothing is to be deinitialised.
 */
enum fletch_status fletch_range_init(struct fletch_range *range, const struct fletch_schema *schema,
                                     struct fletch_hash_key key,
                                     const struct fletch_partitioner_options *options,
                                     struct fletch_error *error);
void fletch_range_deinit(struct fletch_range *range);

/* The column that has the values of a key column: that of its dictionary, if there is one. False:
 * the element is null, or its index lies outside. */
bool fletch_range_look_through(struct fletch_node_view *column, int64_t *index);

/* The bytes of a string or binary that is not null: with offsets, as a view, of a fixed size. */
struct fletch_range_text {
    const uint8_t *bytes;
    size_t length;
};
struct fletch_range_text fletch_range_text_of(const struct fletch_node_view *column, int64_t index);

/* The type by which a column is ordered: that of its dictionary's values, if there is one; of
 * views that of the same strings with offsets, which bounds may have in their place. */
const struct fletch_type *fletch_range_type(const struct fletch_schema *schema, uint32_t row);

/* Below, equal or above zero: as place a is before, with or behind place b. */
int fletch_range_compare(const struct fletch_range_place *a, const struct fletch_range_place *b,
                         const struct fletch_range_order *orders, uint32_t count);

void fletch_range_assign(const struct fletch_range *range, const struct fletch_batch *batch,
                         struct fletch_row_range rows, uint16_t *partitions);

#endif
