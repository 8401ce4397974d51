#ifndef FLETCH_PROGRAM_BENCH_THREADS_H
#define FLETCH_PROGRAM_BENCH_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "outcome.h"

/* Threads that begin together. */

enum { BENCH_THREADS_MAX = 4 };

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t bench_clock_ns(void);

/* Processors that this process may run on. */
uint32_t bench_processor_count(void);
/* Whether so many threads are pinned, each to a processor of its own: where there are as many. */
bool bench_is_pinned(uint32_t thread_count);
/* The number of the processor that thread `index` of a run is pinned to. */
uint32_t bench_processor(uint32_t index);

struct bench_thread {
    void (*work)(void *argument);
    void *argument;
};

/* Runs all of them, from the same moment on, until all have ended. */
enum outcome bench_threads_run(const struct bench_thread *threads, uint32_t count);

#endif
