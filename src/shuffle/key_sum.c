#include "shuffle/key_sum.h"

enum { BLOCK_ROWS = 1024 };

uint64_t fletch_key_sum(struct fletch_partitioner *partitioner, const struct fletch_batch *batch)
{
    uint16_t partitions[BLOCK_ROWS];
    uint64_t hashes[BLOCK_ROWS];
    uint64_t sum = 0;
    if (!fletch_partitioner_has_hashes(partitioner))
        return 0;
    for (int64_t first = 0; first < batch->row_count; first += BLOCK_ROWS) {
        int64_t left = batch->row_count - first;
        struct fletch_row_range range = {first, left < BLOCK_ROWS ? (size_t)left : BLOCK_ROWS};
        fletch_partitioner_assign_checked(partitioner, batch, range, partitions, hashes);
        for (size_t i = 0; i < range.count; i++)
            sum += hashes[i];
    }
    return sum;
}
