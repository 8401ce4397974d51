#include "row_sums.h"

#include <stdlib.h>

#include <fletching/partition.h>

enum outcome row_summer_begin(struct row_summer *summer, uint32_t column_count)
{
    *summer = (struct row_summer){.column_count = column_count};
    summer->columns = malloc((2 * (size_t)column_count + 1) * sizeof *summer->columns);
    if (summer->columns == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for the numbers of %u columns",
                            column_count);
    for (uint32_t i = 0; i < column_count; i++) {
        summer->columns[i] = i;
        summer->columns[2 * column_count - 1 - i] = i;
    }
    return OUTCOME_DONE;
}

void row_summer_end(struct row_summer *summer)
{
    free(summer->columns);
    free(summer->hashes);
    *summer = (struct row_summer){0};
}

static enum outcome make_room(struct row_summer *summer, size_t rows)
{
    if (rows <= summer->capacity)
        return OUTCOME_DONE;
    free(summer->hashes);
    summer->capacity = 0;
    summer->hashes = malloc(rows * sizeof *summer->hashes);
    if (summer->hashes == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for the hashes of %zu rows", rows);
    summer->capacity = rows;
    return OUTCOME_DONE;
}

/* Another bijection than the hash's own (the finalizer of SplitMix64, by Sebastiano Vigna), so that
 * the two sums do not go wrong together. */
static uint64_t mix_again(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

enum outcome row_summer_add(struct row_summer *summer, const struct fletch_batch *batch,
                            struct row_sums *sums)
{
    size_t rows = (size_t)fletch_batch_row_count(batch);
    enum outcome outcome = make_room(summer, rows);
    if (outcome != OUTCOME_DONE || rows == 0)
        return outcome;
    fletch_hash_batch(batch, summer->columns + summer->column_count, summer->column_count,
                      summer->hashes);
    uint64_t reverse_sum = 0;
    for (size_t i = 0; i < rows; i++)
        reverse_sum += mix_again(summer->hashes[i]);
    sums->reverse_sum += reverse_sum;
    sums->row_sum += fletch_hash_row_sum(batch);
    sums->rows += rows;
    return OUTCOME_DONE;
}

enum outcome row_summer_add_columns(struct row_summer *summer, const struct fletch_batch *batch,
                                    uint64_t *out_sums)
{
    size_t rows = (size_t)fletch_batch_row_count(batch);
    enum outcome outcome = make_room(summer, rows);
    if (outcome != OUTCOME_DONE || rows == 0)
        return outcome;
    for (uint32_t column = 0; column < summer->column_count; column++) {
        fletch_hash_batch(batch, &column, 1, summer->hashes);
        for (size_t i = 0; i < rows; i++)
            out_sums[column] += summer->hashes[i];
    }
    return OUTCOME_DONE;
}
