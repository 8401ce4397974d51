#ifndef FLETCH_TESTS_SUPPORT_EVENTS_H
#define FLETCH_TESTS_SUPPORT_EVENTS_H

#include <fletching/fletching.h>

/* Batches of events: a time, which may be null, and a number. What fails ends the program. */

struct test_event {
    int64_t time;
    bool has_no_time;
    int64_t number;
};

/* "time=l number=l". */
struct fletch_schema *events_schema(void);

/* A batch of `count` of them; charged to nobody. */
struct fletch_batch *events_batch(struct fletch_buffer_cache *cache, struct fletch_schema *schema,
                                  const struct test_event *events, size_t count);

/* The event in a row of such a batch. */
struct test_event events_read(const struct fletch_batch *batch, int64_t row);

#endif
