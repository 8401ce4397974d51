#ifndef FLETCH_TESTS_SUPPORT_LITMUS_H
#define FLETCH_TESTS_SUPPORT_LITMUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Litmus tests, in the style of jcstress: two or three roles of a few calls each run on real
 * threads, many times over; what came out is counted into a table that says of each outcome whether
 * it may be. On one processor some outcomes cannot be seen; what is checked is that none is
 * FORBIDDEN. */

enum litmus_verdict {
    LITMUS_ACCEPTABLE,
    LITMUS_INTERESTING, /* allowed, and a sign that the roles really met */
    LITMUS_FORBIDDEN
};

/* Outcome i of a test's table. */
struct litmus_outcome {
    const char *name;
    enum litmus_verdict verdict;
    const char *reason;
};

enum { LITMUS_ROLES_MAX = 3, LITMUS_OUTCOMES_MAX = 8 };

struct litmus_test {
    const char *name;
    size_t state_bytes; /* of one instance; aligned to 128 */
    /* Called on the main thread: once for each instance, before and after everything; and before
     * each time that the roles run on it. `reset` may be NULL. */
    void (*make)(void *state);
    void (*reset)(void *state);
    void (*end)(void *state);
    /* Each on a thread of its own, on the same instance at about the same time. */
    void (*roles[LITMUS_ROLES_MAX])(void *state);
    size_t role_count;
    /* On the main thread, when all roles are through: an index into the table. */
    size_t (*outcome)(void *state);
    const struct litmus_outcome *outcomes;
    size_t outcome_count;
};

/* Runs the roles `rounds` times and prints the table. False: a forbidden outcome was seen, or one
 * that the table does not have. */
bool litmus_run(const struct litmus_test *test, uint64_t rounds, uint64_t seed);

#endif
