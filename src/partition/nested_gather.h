#ifndef FLETCH_PARTITION_NESTED_GATHER_H
#define FLETCH_PARTITION_NESTED_GATHER_H

#include "partition/frame_builder.h"

/* Values of a dictionary as a column of them, one for each row, copied as rows of a frame are. */
struct fletch_nested_gather {
    struct fletch_frame_source source; /* the schema is that of the values */
    const struct fletch_allocator *allocator;
    struct fletch_batch *values; /* NULL: none, and all indices are those of nulls */
    const int64_t *indices;      /* -1: null, which the values' type has (nested_blank.h) */
    int64_t count;
    int64_t padding; /* elements that are to lie in front of the first one */
};

/* Makes the batch of one column, with one owner, and the dictionaries of the values. OUT_OF_RANGE:
 * more elements or bytes than offsets count; RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_nested_gather(const struct fletch_nested_gather *gather,
                                        struct fletch_batch **out_batch,
                                        struct fletch_error *error);

#endif
