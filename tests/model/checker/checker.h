#ifndef MC_CHECKER_H
#define MC_CHECKER_H

/* The checker as a program calls it: main.c for one harness, the tests for many. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"

enum mc_mode {
    MC_EXHAUSTIVE,  /* every execution graph once */
    MC_UNREDUCED,   /* every order of steps: slow, to check the first */
    MC_PREEMPTIONS, /* every order of steps with so many preemptions at most */
    MC_RANDOM,      /* so many random executions */
    MC_REPLAY       /* one, as a string says */
};

/* Zero means the usual in every field. */
struct mc_options {
    enum mc_mode mode;
    int preemptions;
    uint64_t seed;
    unsigned long runs;
    double seconds;            /* stop after that many; 0: never */
    bool no_spurious_failures; /* of weak compare-exchanges: else one for each thread */
    bool quiet;                /* print nothing about an error */
    bool collect;              /* fill `graphs` and `outcomes` of the result */
    const char *replay;
};

/* A set of numbers. */
struct mc_set {
    size_t count, capacity;
    uint64_t *number;
};

struct mc_result {
    unsigned long complete;
    unsigned long cut;
    double seconds;
    bool finished; /* there is nothing left to run */
    enum mc_error error;
    struct mc_set graphs;   /* of complete executions */
    struct mc_set outcomes; /* that they named by mc_outcome */
};

void mc_check(const struct mc_options *options, void (*harness)(void), struct mc_result *result);
void mc_result_free(struct mc_result *result);

void mc_set_add(struct mc_set *set, uint64_t number);
bool mc_set_has(const struct mc_set *set, uint64_t number);
bool mc_set_equal(const struct mc_set *a, const struct mc_set *b);

/* In a harness: the result of this execution. */
void mc_outcome(uint64_t outcome);

#endif
