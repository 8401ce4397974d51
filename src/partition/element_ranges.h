#ifndef FLETCH_PARTITION_ELEMENT_RANGES_H
#define FLETCH_PARTITION_ELEMENT_RANGES_H

/* Which elements of a column are meant, as ranges, and which elements of its children belong to
 * those. What is nested is measured and copied so: some ranges at a time, node by node, each in a
 * tight loop. */

#include <stdbool.h>
#include <stdint.h>

#include "partition/node_view.h"

/* On the stack once for each level that is walked down. */
enum { FLETCH_RANGES_MOST = 64 };

struct fletch_element_ranges {
    uint32_t count;
    int64_t total; /* elements of all ranges */
    struct fletch_element_range ranges[FLETCH_RANGES_MOST];
};

static inline void fletch_ranges_clear(struct fletch_element_ranges *ranges)
{
    ranges->count = 0;
    ranges->total = 0;
}

/* Adds a range, joined to the last one if it goes on where that ends. Not for more ranges than
 * there can be. */
static inline void fletch_ranges_add(struct fletch_element_ranges *ranges, int64_t first,
                                     int64_t count)
{
    struct fletch_element_range *last = &ranges->ranges[ranges->count];
    ranges->total += count;
    if (ranges->count > 0 && last[-1].first + last[-1].count == first) {
        last[-1].count += count;
        return;
    }
    *last = (struct fletch_element_range){first, count};
    ranges->count++;
}

static inline bool fletch_ranges_are_full(const struct fletch_element_ranges *ranges)
{
    return ranges->count == FLETCH_RANGES_MOST;
}

#endif
