#ifndef FLETCH_PARTITION_PARTITIONER_H
#define FLETCH_PARTITION_PARTITIONER_H

#include <fletching/partition.h>

#include "partition/hash.h"
#include "partition/range.h"

struct fletch_partitioner {
    struct fletch_schema *schema;
    struct fletch_allocator allocator;
    enum fletch_partition_method method;
    uint32_t partition_count;
    const struct fletch_hash_kernels *kernels;
    struct fletch_hash_key key; /* rows of the schema's table */
    uint32_t *key_rows;
    struct fletch_hash_spread spread; /* the default map */
    uint32_t node_count;              /* with a map: virtual nodes */
    uint16_t *node_map;               /* NULL: the default map */
    uint32_t next_partition;          /* round-robin */
    struct fletch_range range;
};

static inline bool fletch_partitioner_has_hashes(const struct fletch_partitioner *partitioner)
{
    return partitioner->method == FLETCH_PARTITION_HASH ||
           partitioner->method == FLETCH_PARTITION_SPARK_MURMUR3;
}

/* As fletch_partitioner_name. */
const char *fletch_partition_method_name(enum fletch_partition_method method);

/* INVALID_ARGUMENT: an option that cannot be, whatever the types of the columns. */
enum fletch_status
fletch_partitioner_check_options(const struct fletch_partitioner_options *options,
                                 const struct fletch_schema *schema, struct fletch_error *error);

/* fletch_partitioner_assign, and the hashes by which the rows were placed (NULL: not wanted); only
 * methods that hash write them. Rows in a partition column have been checked. */
void fletch_partitioner_assign_checked(struct fletch_partitioner *partitioner,
                                       const struct fletch_batch *batch,
                                       struct fletch_row_range range, uint16_t *partitions,
                                       uint64_t *hashes);

/* Whether each of the rows has a partition. OUT_OF_RANGE: names row and value. */
enum fletch_status fletch_partitioner_check(const struct fletch_partitioner *partitioner,
                                            const struct fletch_batch *batch,
                                            struct fletch_row_range range,
                                            struct fletch_error *error);

#endif
