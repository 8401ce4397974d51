#ifndef FLETCH_PARTITION_ELEMENT_RANGES_H
#define FLETCH_PARTITION_ELEMENT_RANGES_H

/* Which elements of a column are meant, as ranges, and which elements of its children belong to
 * those. What is nested is measured and copied so: some ranges at a time, node by node, each in a
 * tight loop. */

#include <stdbool.h>
#include <stdint.h>

#include "partition/node_view.h"

/* On the stack once for each level that is walked down. */
enum { FLETCH_RANGES_MOST = 128 };

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

/* The elements of a child that is `size` times as long. */
void fletch_ranges_multiply(const struct fletch_element_ranges *ranges, int64_t size,
                            struct fletch_element_ranges *out_below);

/* How far the elements of some ranges have been gone through. */
struct fletch_ranges_cursor {
    const struct fletch_element_ranges *ranges;
    uint32_t range;
    int64_t done;   /* elements of it */
    int8_t type_id; /* of the member of a union that is looked for */
};

struct fletch_ranges_cursor fletch_ranges_cursor_of(const struct fletch_element_ranges *ranges);

/* The next element. False: there is none. */
static inline bool fletch_ranges_next(struct fletch_ranges_cursor *cursor, int64_t *out_element)
{
    while (cursor->range < cursor->ranges->count) {
        const struct fletch_element_range *range = &cursor->ranges->ranges[cursor->range];
        if (cursor->done < range->count) {
            *out_element = range->first + cursor->done++;
            return true;
        }
        cursor->range++;
        cursor->done = 0;
    }
    return false;
}

/* The next elements of the child that elements of a list view have, in their order, or that a dense
 * union has of a type id. False: there are no more. */
bool fletch_ranges_of_list_view(struct fletch_ranges_cursor *cursor,
                                const struct fletch_node_view *column,
                                struct fletch_element_ranges *out_below);
bool fletch_ranges_of_member(struct fletch_ranges_cursor *cursor,
                             const struct fletch_node_view *column,
                             struct fletch_element_ranges *out_below);

/* The elements that a list view has; a null one has none. */
struct fletch_element_range fletch_view_list(const struct fletch_node_view *column, int64_t index);

/* Where in its member element `index` of a dense union is. */
int64_t fletch_view_member_index(const struct fletch_node_view *column, int64_t index);

/* Elements of run-end encoding, as stretches of one run each. */
struct fletch_run {
    int64_t index; /* of the run, and of its value */
    int64_t count; /* elements of the stretch */
};

struct fletch_run_cursor {
    const struct fletch_element_ranges *ranges;
    struct fletch_column run_ends;
    int64_t offset; /* of the array's element 0 */
    uint32_t range;
    int64_t done; /* elements of it */
    int64_t run;  /* in which the last stretch lay */
};

struct fletch_run_cursor fletch_run_cursor_of(const struct fletch_node_view *column,
                                              const struct fletch_element_ranges *ranges);

/* The next stretch. False: there is none. */
bool fletch_run_next(struct fletch_run_cursor *cursor, struct fletch_run *out_run);

#endif
