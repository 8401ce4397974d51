#ifndef FLETCH_PARTITION_ELEMENT_COMPARE_H
#define FLETCH_PARTITION_ELEMENT_COMPARE_H

#include "memory/batch.h"

/* One value, wherever it lies: element `index` of the array of row `row`. */
struct fletch_element {
    const struct fletch_batch *batch;
    uint32_t row;
    int64_t index;
};

/* Whether two elements, both of fields that are of one type with all below them, are the same to
 * the byte: null, or equal values, lists and members element by element, dictionaries and runs by
 * what they stand for. Offsets and indices have been validated. */
bool fletch_elements_equal(struct fletch_element a, struct fletch_element b);

#endif
