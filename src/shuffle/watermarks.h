#ifndef FLETCH_SHUFFLE_WATERMARKS_H
#define FLETCH_SHUFFLE_WATERMARKS_H

/* The watermarks of producers, and the least of those that count: the ones that are neither idle
 * nor gone. A heap with places known, and a list by the time of the last word. One thread. */

#include <stdbool.h>
#include <stdint.h>

struct fletch_watermark_entry {
    int64_t watermark;
    uint64_t told_ns;
    uint32_t place;   /* in the heap, or FLETCH_WATERMARK_NONE: it does not count */
    uint32_t earlier; /* of those that count, by told_ns; only if there is an idle time */
    uint32_t later;
};

#define FLETCH_WATERMARK_NONE UINT32_MAX

struct fletch_watermarks {
    struct fletch_watermark_entry *entries; /* one for each producer */
    uint32_t *heap;                         /* producers, the least watermark first */
    uint32_t count;                         /* of those in the heap */
    uint64_t idle_ns;                       /* 0: nobody becomes idle by time */
    uint32_t earliest;
    uint32_t latest;
};

/* `entries` and `heap` have room for every producer. */
void fletch_watermarks_init(struct fletch_watermarks *watermarks,
                            struct fletch_watermark_entry *entries, uint32_t *heap,
                            uint64_t idle_ns);

/* A producer that counts from now on, with INT64_MIN. */
void fletch_watermarks_add(struct fletch_watermarks *watermarks, uint32_t producer,
                           uint64_t now_ns);

/* It says `watermark`, and counts again if it was idle. False: that is less than its last one,
 * which stays. */
bool fletch_watermarks_set(struct fletch_watermarks *watermarks, uint32_t producer,
                           int64_t watermark, uint64_t now_ns);

/* It counts no more, until it is set. */
void fletch_watermarks_drop(struct fletch_watermarks *watermarks, uint32_t producer);

/* Drops those that have said nothing for the idle time. */
void fletch_watermarks_pass_time(struct fletch_watermarks *watermarks, uint64_t now_ns);

/* When the next one becomes idle; UINT64_MAX: none does. */
uint64_t fletch_watermarks_due_ns(const struct fletch_watermarks *watermarks);

/* The least one. False: nobody counts. */
bool fletch_watermarks_least(const struct fletch_watermarks *watermarks, int64_t *out_least);

#endif
