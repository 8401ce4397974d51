#ifndef FLETCH_PROGRAM_BENCH_STREAM_H
#define FLETCH_PROGRAM_BENCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/status.h>

#include "outcome.h"

/* Numbers that go through a ring: producers push them one by one until their time is up, consumers
 * pop them one by one and look whether each producer's come whole and in order. */

enum {
    BENCH_RUN = 1024, /* elements between two looks at the clock */
    BENCH_ENDS_MAX = 2
};

/* A ring of some kind. `give` pushes the elements from `first` to `first` + BENCH_RUN - 1; `take`
 * pops up to BENCH_RUN, fewer only at the end. */
struct bench_ring {
    const char *title;
    uint32_t producer_count;
    uint32_t consumer_count;
    enum fletch_status (*open)(void **out_ring, void **producers, void **consumers,
                               struct fletch_error *error);
    bool (*give)(void *producer, uint64_t first);
    size_t (*take)(void *consumer, uint64_t *elements);
    void (*end)(void *producer); /* of one producer's elements */
    void (*close)(void *ring);
    bool ends_alone; /* each producer ends for itself; else the last one does so for all */
};

/* Millions of elements in a second. OUTCOME_DIFFERS, told: some are not there, or not in order. */
enum outcome bench_stream_run(const struct bench_ring *kind, uint64_t round_ns, double *out_figure);

#endif
