#ifndef FLETCH_TESTS_SUPPORT_PAYLOAD_H
#define FLETCH_TESTS_SUPPORT_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Elements that tell who pushed them as which, and whose every byte depends on that: an element
 * that is torn, stale or shifted does not read back. */

/* Fills `element_bytes` >= 8 bytes. `producer` < 256, `index` < 2^40. */
void payload_fill(void *element, size_t element_bytes, uint32_t producer, uint64_t index);

/* False: the bytes are not what payload_fill wrote for any producer and index. */
bool payload_read(const void *element, size_t element_bytes, uint32_t *out_producer,
                  uint64_t *out_index);

/* Whether the element is exactly this one. */
bool payload_is(const void *element, size_t element_bytes, uint32_t producer, uint64_t index);

/* Follows what comes out of a queue: whole elements, and for each producer in order, without gap or
 * repetition. One thread; the verdict is read by the main thread later. */
enum { PAYLOAD_PRODUCERS_MAX = 16 };
struct payload_watch {
    size_t element_bytes;
    uint64_t next[PAYLOAD_PRODUCERS_MAX]; /* index expected next, by producer */
    uint64_t seen;                        /* elements in all */
    uint64_t torn;                        /* that did not read back */
    uint64_t misplaced;                   /* lost, repeated or out of order */
};

void payload_watch_element(struct payload_watch *watch, const void *element);

#endif
