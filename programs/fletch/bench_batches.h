#ifndef FLETCH_PROGRAM_BENCH_BATCHES_H
#define FLETCH_PROGRAM_BENCH_BATCHES_H

#include <stdint.h>

#include <fletching/fletching.h>

#include "outcome.h"

/* Batches of two columns, an int64 key and a float64 value: 8 MiB in all, more than most second
 * level caches have. */

enum {
    BENCH_BATCHES = 8,
    BENCH_ROWS = 65536, /* of each */
    BENCH_BYTES = BENCH_BATCHES * BENCH_ROWS * 16
};

struct bench_batches {
    struct fletch_schema *schema;
    struct fletch_batch *batches[BENCH_BATCHES];
    const void *columns[BENCH_BATCHES]; /* where a batch's two columns lie, side by side */
    void *copy;                         /* room for all of them */
};

/* `cache`: the calling thread's. On failure nothing is left, and why was told. */
enum outcome bench_batches_open(struct bench_batches *batches, struct fletch_buffer_cache *cache);
void bench_batches_close(struct bench_batches *batches, struct fletch_buffer_cache *cache);

/* GB/s that memcpy makes of all columns, for about so long. */
double bench_batches_copy(struct bench_batches *batches, uint64_t duration_ns);

#endif
