/* Counted objects: each of THREADS threads has a reference, writes what is its own in the object,
 * and drops the reference; the last one ends the object and reads what all have written.
 *
 * ACQUIRES   each thread takes one more reference first, and drops both */

#include "memory/shared.h"

#include <stdlib.h>

#include "harness.h"

#ifndef THREADS
#define THREADS 2
#endif
#ifndef ACQUIRES
#define ACQUIRES 0
#endif

struct thing {
    struct fletch_shared shared; /* first */
    int words[THREADS];
};

static struct thing *thing;
static _Atomic int ends;

static void end_thing(struct fletch_shared *shared)
{
    struct thing *ended = (struct thing *)(void *)shared;
    for (int i = 0; i < THREADS; i++)
        harness_assert(ended->words[i] == i + 1);
    fetch_add_relaxed(&ends, 1); /* relaxed: a count for the harness */
    free(ended);
}

static void *use(void *argument)
{
    int number = (int)(intptr_t)argument;
    if (ACQUIRES) {
        fletch_shared_acquire(&thing->shared);
        fletch_shared_release(&thing->shared);
    }
    thing->words[number] = number + 1;
    fletch_shared_release(&thing->shared);
    return NULL;
}

void harness(void)
{
    struct harness_thread threads[THREADS];
    store_relaxed(&ends, 0); /* relaxed: no thread runs yet */
    thing = calloc(1, sizeof *thing);
    fletch_shared_init(&thing->shared, end_thing);
    for (int i = 1; i < THREADS; i++)
        fletch_shared_acquire(&thing->shared);
    for (int i = 0; i < THREADS; i++)
        harness_start(&threads[i], use, (void *)(intptr_t)i);
    for (int i = 0; i < THREADS; i++)
        harness_join(&threads[i]);
    harness_assert(load_relaxed(&ends) == 1); /* relaxed: all have been joined */
}
