#ifndef FLETCH_FLIGHT_FLIGHT_WORKERS_H
#define FLETCH_FLIGHT_FLIGHT_WORKERS_H

/* Threads for what may block. Jobs go onto a stack that is taken whole (memory/node_stack.h): who
 * takes it keeps the oldest job and gives the others back, which may then lie above newer ones: so
 * jobs have numbers. Threads without a job sleep on one eventcount. `spare` is how many threads
 * have none, less how many jobs wait: below zero another thread is started, up to the limit.
 *
 * Any thread may submit; lock-free but for the start of a thread. */

#include <fletching/buffer_pool.h>

#include "memory/node_stack.h"

struct fletch_flight_workers;

/* The memory of who submits it, until `run` is called. `cache`: the worker's. */
struct fletch_flight_job {
    struct fletch_stack_node node; /* first */
    uint32_t number;               /* of the submit */
    void (*run)(struct fletch_flight_job *job, struct fletch_buffer_cache *cache);
};

struct fletch_flight_workers_options {
    struct fletch_buffer_pool *pool;
    uint32_t limit; /* at least 1 */
    const struct fletch_allocator *allocator;
};

/* Starts one. RESOURCE_EXHAUSTED: no memory, or no thread. */
enum fletch_status fletch_flight_workers_create(const struct fletch_flight_workers_options *options,
                                                struct fletch_flight_workers **out_workers,
                                                struct fletch_error *error);

/* Jobs that were submitted are done first. Nobody may submit any more. Blocks. NULL allowed. */
void fletch_flight_workers_destroy(struct fletch_flight_workers *workers);

void fletch_flight_workers_submit(struct fletch_flight_workers *workers,
                                  struct fletch_flight_job *job);

/* Threads, and jobs that wait for one. Any thread. */
void fletch_flight_workers_count(const struct fletch_flight_workers *workers, uint64_t *out_threads,
                                 uint64_t *out_waiting);

#endif
