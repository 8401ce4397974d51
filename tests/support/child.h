#ifndef FLETCH_TESTS_SUPPORT_CHILD_H
#define FLETCH_TESTS_SUPPORT_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/* Child processes. Start them while the test has one thread only. */

/* Forks a child that runs `run` and exits with what it returns. The child writes nothing to the
 * standard error of the test if `quiet`: for children that are expected to abort. -1: no process.
 */
pid_t child_start(int (*run)(void *context), void *context, bool quiet);

/* Waits for the child's end: its exit status (0 to 255), or 1000 + the signal that ended it. */
int child_wait(pid_t child);

/* Whether the child has ended; it is reaped then, and `*out_end` is as child_wait tells. */
bool child_has_ended(pid_t child, int *out_end);

enum { CHILD_KILLED = 1000 };

/* child_start and child_wait. */
int child_run(int (*run)(void *context), void *context, bool quiet);

#endif
