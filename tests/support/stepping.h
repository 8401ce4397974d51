#ifndef FLETCH_TESTS_SUPPORT_STEPPING_H
#define FLETCH_TESTS_SUPPORT_STEPPING_H

#include <stddef.h>

/* What a process leaves in shared memory if it dies: after each of its instructions. */

enum { STEPPING_REFUSED = -1 };

/* Runs `run` in a child, an instruction at a time. Whenever that has changed the `bytes` at
 * `memory`, which the child shares, calls `look` with a copy of them: what would be left if the
 * child died there. The child is killed where `run` returns. How often it looked, or
 * STEPPING_REFUSED where processes may not be traced. */
int stepping_look(int (*run)(void *context), void *context, const void *memory, size_t bytes,
                  void (*look)(void *context, const void *image));

#endif
