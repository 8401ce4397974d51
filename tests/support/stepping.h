#ifndef FLETCH_TESTS_SUPPORT_STEPPING_H
#define FLETCH_TESTS_SUPPORT_STEPPING_H

#include <stddef.h>
#include <stdint.h>

#include "support/shared_memory.h"

/* What a process leaves in shared memory if it dies: after each of its instructions. */

enum { STEPPING_REFUSED = -1 };

/* Runs `run` in a child, an instruction at a time. Whenever that has changed the `bytes` at
 * `memory`, which the child shares, calls `look` with a copy of them: what would be left if the
 * child died there. The child is killed where `run` returns. How often it looked, or
 * STEPPING_REFUSED where processes may not be traced. */
int stepping_look(int (*run)(void *context), void *context, const void *memory, size_t bytes,
                  void (*look)(void *context, const void *image));

/* A queue in shared memory and where its positions stand: the first member of a test's scene. */
struct stepping_scene {
    size_t element_bytes;
    size_t capacity;
    uint64_t popped; /* before the child comes */
    uint64_t pushed;
    struct shared_memory memory;
};

/* Who dies of what, and who looks. All are called with the scene. */
struct stepping_death {
    void (*open)(void *scene); /* makes the queue, its positions as they are to be */
    void (*close)(void *scene);
    int (*child)(void *scene);
    void (*look)(void *scene, const void *image);
};

/* Lets the child die at places all over a lap, with `unread` elements in the queue. How often it
 * looked; skips the test where processes may not be traced. */
int stepping_over_a_lap(struct stepping_scene *scene, size_t unread,
                        const struct stepping_death *death);

#endif
