#ifndef FLETCH_NET_LOOP_GROUP_H
#define FLETCH_NET_LOOP_GROUP_H

/* Event loops on threads of their own, one for each processor. What belongs to a connection stays
 * on its loop; which loop that is, is decided once. */

#include "net/event_loop.h"

struct fletch_loop_group;

enum { FLETCH_LOOPS_MOST = 256 };

struct fletch_loop_group_options {
    uint32_t loop_count; /* 0: as many as processors that the process may run on */
    /* Each loop stays on a processor of its own: loop i on processor i. */
    bool stays_on_cpu;
    struct fletch_event_loop_options loop;
};

/* Starts the threads. INVALID_ARGUMENT: more than FLETCH_LOOPS_MOST, no such processor;
 * RESOURCE_EXHAUSTED: no memory, descriptor or thread. */
enum fletch_status fletch_loop_group_create(const struct fletch_loop_group_options *options,
                                            struct fletch_loop_group **out_group,
                                            struct fletch_error *error);

/* Stops the loops, waits for their threads, and destroys the loops. What belongs to a loop must be
 * gone, or be taken away by tasks that were posted to it before. Blocks; not a loop's thread. NULL
 * allowed. */
void fletch_loop_group_destroy(struct fletch_loop_group *group);

uint32_t fletch_loop_group_count(const struct fletch_loop_group *group);
struct fletch_event_loop *fletch_loop_group_loop(struct fletch_loop_group *group, uint32_t index);

/* The loops in turns: for a new connection. Any thread; wait-free. */
struct fletch_event_loop *fletch_loop_group_next(struct fletch_loop_group *group);

#endif
