#ifndef FLETCH_PROGRAM_ROW_SUMS_H
#define FLETCH_PROGRAM_ROW_SUMS_H

#include <stdint.h>

#include <fletching/batch.h>

#include "outcome.h"

/* What tells two multisets of rows apart: see "What verify proves" in docs/COMMAND.md. */
struct row_sums {
    uint64_t rows;
    uint64_t row_sum;     /* of docs/format/hash.md */
    uint64_t reverse_sum; /* of the hashes with columns from the last to the first, mixed again */
};

/* Scratch of its own, which grows with the batches. All zero is empty. */
struct row_summer {
    uint64_t *hashes;
    size_t capacity;
    uint32_t *columns; /* 0 1 … n-1 n-2 … 0 */
    uint32_t column_count;
};

/* Before the first batch. Errors are told. */
enum outcome row_summer_begin(struct row_summer *summer, uint32_t column_count);
void row_summer_end(struct row_summer *summer);

enum outcome row_summer_add(struct row_summer *summer, const struct fletch_batch *batch,
                            struct row_sums *sums);

/* Adds to out_sums[c] the sum of the hashes of column c by itself. */
enum outcome row_summer_add_columns(struct row_summer *summer, const struct fletch_batch *batch,
                                    uint64_t *out_sums);

#endif
