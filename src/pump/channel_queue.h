#ifndef FLETCH_PUMP_CHANNEL_QUEUE_H
#define FLETCH_PUMP_CHANNEL_QUEUE_H

/* Queues of channels, each linked by fields of its own name: a channel has `is_<list>` and
 * `next_<list>`, and is in a queue once at most. */

#include <stdbool.h>
#include <stddef.h>

#define FLETCH_QUEUE_PUSH(queue, channel, list) \
    do { \
        if ((channel)->is_##list) \
            break; \
        (channel)->is_##list = true; \
        (channel)->next_##list = NULL; \
        if ((queue)->first == NULL) \
            (queue)->first = (channel); \
        else \
            (queue)->last->next_##list = (channel); \
        (queue)->last = (channel); \
    } while (false)

#define FLETCH_QUEUE_POP(queue, list) \
    do { \
        (queue)->first->is_##list = false; \
        (queue)->first = (queue)->first->next_##list; \
    } while (false)

#endif
