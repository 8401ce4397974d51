#ifndef FLETCH_PARTITION_ROW_LISTS_H
#define FLETCH_PARTITION_ROW_LISTS_H

/* The rows of a block, sorted by partition: a counting sort of their numbers, stable. Columns are
 * then copied run by run, each run a tight loop over a list of 16-bit numbers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>

/* Rows of a block, at most: they are numbered by 16 bits. */
enum { FLETCH_BLOCK_ROWS_MOST = 65536 };

/* Rows order[first] … order[first + count - 1] belong to `partition`. */
struct fletch_row_run {
    uint32_t partition;
    uint32_t first;
    uint32_t count;
    uint64_t hash_sum; /* if hashes were given */
};

/* Rows of a partition and the sum of their hashes. One register, so that counting and adding are
 * one addition: the sum costs little more than the count that is needed anyway. */
typedef uint64_t fletch_row_tally __attribute__((vector_size(16)));
enum { FLETCH_TALLY_SUM, FLETCH_TALLY_ROWS };

struct fletch_row_lists {
    struct fletch_allocator allocator;
    uint32_t partition_count;
    uint32_t block_rows; /* that are sorted at once, at most */
    uint32_t cursor_count;
    uint32_t tally_count;
    uint32_t *cursors;         /* zero between two calls */
    fletch_row_tally *tallies; /* the same; one, where partitions are too many */
    uint16_t *order;           /* block_rows */
    struct fletch_row_run *runs;
    uint32_t run_count;
};

/* False: no memory. Then nothing is to be deinitialised. */
bool fletch_row_lists_init(struct fletch_row_lists *lists, uint32_t partition_count,
                           const struct fletch_allocator *allocator);
void fletch_row_lists_deinit(struct fletch_row_lists *lists);

/* Sorts rows 0 to `count` - 1, at most `block_rows`, by their partition `ids`, all below the number
 * of partitions, and adds up their `hashes` (NULL: none). Runs come in no particular order; none is
 * empty. */
void fletch_row_lists_sort(struct fletch_row_lists *lists, const uint16_t *ids,
                           const uint64_t *hashes, size_t count);

/* The sum of the hashes of some of a run's rows. */
uint64_t fletch_row_lists_sum(const uint64_t *hashes, const uint16_t *order, size_t count);

#endif
