#ifndef MODEL_HARNESS_H
#define MODEL_HARNESS_H

/* What a harness uses. A harness is a file that defines `harness`: one execution, from nothing to
 * nothing, of two or three threads that make a few calls each. It is built with the model checker,
 * which runs every execution of it (checker/README.md), and as a plain test, which runs it some
 * thousands of times on real threads (plain/). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void harness(void);

/* A thread of the harness; any number up to 7, started by `harness` itself. */
struct harness_thread {
    uint64_t id;
    void *(*run)(void *);
    void *argument;
};

void harness_start(struct harness_thread *thread, void *(*run)(void *), void *argument);
void harness_join(struct harness_thread *thread);

void harness_fail(const char *condition, const char *file, int line);
#define harness_assert(condition) \
    ((condition) ? (void)0 : harness_fail(#condition, __FILE__, __LINE__))

/* Spins: to be called in each turn of a loop that waits for another thread. */
void harness_pause(void);

/* The bytes at `address` are statistics, of which no value is checked: saves the checker from
 * trying all orders in which they could be counted. Before other threads know them. */
void harness_ignore(const void *address, size_t bytes);

/* A number that stands for what came out of this execution, for tests that list the outcomes. */
void harness_outcome(uint64_t outcome);

#endif
