#ifndef FLETCH_PROGRAM_BENCH_CASE_H
#define FLETCH_PROGRAM_BENCH_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "outcome.h"

/* What `fletch bench` measures. Every round of a case also checks that what came out is what went
 * in: OUTCOME_DIFFERS, told, where it is not. */

enum { BENCH_MEASURES_MAX = 2, BENCH_PARTITIONS = 16 };

struct bench_measure {
    const char *name; /* in JSON; NULL: there is none */
    const char *title;
    const char *unit;
    bool is_floor; /* of the measure before it: what a machine could do at best */
};

struct bench_case {
    struct bench_measure measures[BENCH_MEASURES_MAX];
    uint32_t thread_count;
    /* What stays over all rounds; NULL, as `close`: nothing does. */
    enum outcome (*open)(void **out_state);
    /* Takes about so long. */
    enum outcome (*round)(void *state, uint64_t round_ns, double *out_figures);
    void (*close)(void *state);
};

extern const struct bench_case bench_spsc_ring;
extern const struct bench_case bench_mpsc_queue;
extern const struct bench_case bench_fan_in;
extern const struct bench_case bench_broadcast_ring;
extern const struct bench_case bench_store;
extern const struct bench_case bench_scatter;
extern const struct bench_case bench_shuffle;

#endif
