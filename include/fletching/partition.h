#ifndef FLETCHING_PARTITION_H
#define FLETCHING_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/batch.h>
#include <fletching/export.h>
#include <fletching/schema.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** The most partitions that rows can be distributed over. */
#define FLETCH_PARTITIONS_MAX 65536u
/** The most virtual nodes. */
#define FLETCH_VIRTUAL_NODES_MAX ((uint32_t)1 << 24)

/** How the partition of a row is found. */
enum fletch_partition_method {
    FLETCH_PARTITION_HASH = 0,          /* fletch-hash-1 of the key columns: docs/format/hash.md */
    FLETCH_PARTITION_SPARK_MURMUR3 = 1, /* as Apache Spark places rows: the same page */
    FLETCH_PARTITION_RANGE = 2,         /* where the key columns lie between sorted bounds */
    FLETCH_PARTITION_ROUND_ROBIN = 3,   /* row by row in turn, from `seed` on */
    FLETCH_PARTITION_COLUMN = 4,        /* the key column holds the partition, 0 … P - 1 */
    FLETCH_PARTITION_BROADCAST = 5      /* every row to all partitions */
};

/** How a key column is ordered in ranges. Floats: -0.0 equals 0.0, NaN is above all else. Strings:
 *  by bytes. false < true. */
struct fletch_range_order {
    bool is_descending;
    bool nulls_first; /* whatever the direction; else they are last */
};

/** Zero means default in every field. Everything is copied; schemas and batches are acquired. */
struct fletch_partitioner_options {
    size_t struct_size;
    enum fletch_partition_method method;
    /** 1 to FLETCH_PARTITIONS_MAX. */
    uint32_t partition_count;
    /** Columns of the key, by their number in the schema, in the order of their weight. */
    const uint32_t *key_columns;
    uint32_t key_column_count;
    /** Hash: 0: the smallest power of two that is at least 1024 and 64 · P. Else P to
     *  FLETCH_VIRTUAL_NODES_MAX. */
    uint32_t virtual_node_count;
    /** Hash: the partition of each virtual node; NULL: spread evenly. */
    const uint16_t *virtual_node_map;
    /** Round-robin: the first row goes to partition `seed` mod P. */
    uint64_t seed;
    /** Range: one for each key column; NULL: ascending, nulls last. */
    const struct fletch_range_order *range_orders;
    /** Range: P - 1 rows, sorted, with columns of the types of the key columns (see
     *  fletch_range_propose). A row belongs to the partition whose number is that of the bounds
     *  that are not above it. */
    struct fletch_batch *range_bounds;
};

/** Says to which partition each row of a batch belongs. Round-robin remembers where it is, so each
 *  producer has one of its own. Belongs to one thread at a time. */
struct fletch_partitioner;

/** Makes a partitioner for batches of `schema`, owned by the caller. INVALID_ARGUMENT: an option,
 *  named with its value and limit; UNIMPLEMENTED: a key column whose type the method cannot take;
 *  RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partitioner_create(struct fletch_schema *schema,
                          const struct fletch_partitioner_options *options,
                          const struct fletch_allocator *allocator,
                          struct fletch_partitioner **out_partitioner, struct fletch_error *error);

/** NULL allowed. */
FLETCH_EXPORT void fletch_partitioner_destroy(struct fletch_partitioner *partitioner);

/** The name of the function for specifications: "fletch-hash-1", "spark-murmur3-42", "range" … */
FLETCH_EXPORT const char *fletch_partitioner_name(const struct fletch_partitioner *partitioner);

FLETCH_EXPORT uint32_t
fletch_partitioner_partition_count(const struct fletch_partitioner *partitioner);

/** The partitions of some rows of a batch of the schema.
 *  OUT_OF_RANGE: a partition column holds null or no partition, names row and value. Does not
 *  allocate. Broadcast has no partition for a row: FAILED_PRECONDITION. An index outside its
 *  dictionary counts as null, as in fletch_hash_batch. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partitioner_assign(struct fletch_partitioner *partitioner, const struct fletch_batch *batch,
                          struct fletch_row_range rows, uint16_t *out_partitions,
                          struct fletch_error *error);

/** The fletch-hash-1 of rows by `key_columns`, whatever the method. Any thread. Column numbers must
 *  be columns of the batch. An index outside its dictionary, which validation would have found,
 *  counts as null. */
FLETCH_EXPORT void fletch_hash_batch(const struct fletch_batch *batch, const uint32_t *key_columns,
                                     uint32_t key_column_count, uint64_t *out_hashes);

/** The sum of the hashes of all rows over all columns: the row sum of docs/format/hash.md. */
FLETCH_EXPORT uint64_t fletch_hash_row_sum(const struct fletch_batch *batch);

FLETCH_END_DECLS

#endif
