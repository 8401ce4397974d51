#ifndef FLETCHING_RING_H
#define FLETCHING_RING_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/eventcount.h>
#include <fletching/export.h>
#include <fletching/wait.h>

FLETCH_BEGIN_DECLS

/** What the bounded rings and queues have in common. */

/** Limits of one element and of a capacity. */
#define FLETCH_ELEMENT_BYTES_MIN 8
#define FLETCH_ELEMENT_BYTES_MAX 4096
#define FLETCH_CAPACITY_MAX ((size_t)1 << 32)

/** Elements that lie in a ring and are filled or read in place: at most two runs, the second one
 *  starting at the ring's beginning. Element i of a run lies at run + i * stride_bytes. The memory
 *  belongs to the ring, and is the caller's until the matching commit or release. */
struct fletch_ring_spans {
    void *first;
    size_t first_count;
    void *second; /* NULL where second_count is 0 */
    size_t second_count;
    size_t stride_bytes;
};

/** Called for each element that is left in a queue when it is destroyed, oldest first, so that
 *  references can be dropped. `element` lies in the queue. Must not call the queue. */
typedef void fletch_drop_function(void *context, void *element);

/** Which end of a queue a descriptor or a statistic belongs to. */
enum fletch_ring_end {
    FLETCH_END_PRODUCER = 0, /* waits for room */
    FLETCH_END_CONSUMER = 1  /* waits for elements */
};

/** Counters of one queue, since it was made. Each is written by one side and may lag behind. */
struct fletch_ring_statistics {
    size_t struct_size;
    uint64_t pushed;         /* elements published; MPSC: claimed */
    uint64_t popped;         /* elements taken */
    uint64_t full;           /* calls that found no room (answer FULL, or had to wait) */
    uint64_t empty;          /* calls that found no element (EMPTY or HELD, or had to wait) */
    uint64_t producer_parks; /* times that a producer went to sleep on a futex */
    uint64_t consumer_parks; /* the same for the consumer */
};

FLETCH_END_DECLS

#endif
