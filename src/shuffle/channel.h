#ifndef FLETCH_SHUFFLE_CHANNEL_H
#define FLETCH_SHUFFLE_CHANNEL_H

/* What one producer has sent to one partition, and what of it was received. */

#include <stdint.h>

#include "base/atomic.h"
#include "shuffle/credit.h"

/* What is compared at the end. */
struct fletch_channel_totals {
    uint64_t frames;
    uint64_t rows;
    uint64_t bytes;
    uint64_t key_sum;
    uint64_t row_sum;
};

struct fletch_frame;

/* First in, first out: shuffle/frame.h. */
struct fletch_frame_list {
    struct fletch_frame *first;
    struct fletch_frame *last;
};

struct fletch_channel {
    uint32_t producer;
    uint32_t partition;
    struct fletch_channel *next; /* of the partition's; set before it is published */
    /* The writer's; read by the reader once the end has come (the inbox's edge covers that). */
    struct fletch_channel_totals sent;
    struct fletch_credit_request request;
    /* Of a frame's barrier: what it may be held for, here or in the process that it goes to, whose
     * credit comes back as late. 0: nobody here knows which barriers have passed. */
    uint64_t held_mask;
    /* Frames that wait for credit, oldest first; the writer's alone. */
    struct fletch_frame *first_waiting;
    struct fletch_frame *last_waiting;
    struct fletch_channel *next_waiting; /* of the writer's channels that have some */
    /* The reading side's. */
    FLETCH_ISOLATED struct fletch_channel_totals received;
    struct fletch_frame_list unaccepted; /* an outlet's: taken, and not accepted, oldest first */
};

#endif
