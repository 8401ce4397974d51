#ifndef FLETCH_PARTITION_SCATTER_H
#define FLETCH_PARTITION_SCATTER_H

/* Distributes the rows of batches over frames, one open frame for each partition.
 *
 * A block of rows goes through three steps. Its rows are sorted by partition (row_lists.h). Each
 * run is *placed*: the offsets of its strings and lists are written, which tells how many rows
 * still fit into the open frame; a full frame is closed and the rest goes into the next. What was
 * placed is a segment. Then every column is *copied*, segment by segment, so that a column is read
 * from the cache whatever the number of partitions.
 *
 * Only placing needs memory. When there is none it stops between two segments and can go on later:
 * what was placed is copied, and nothing is lost or done twice. Belongs to one thread. */

#include "partition/frame_builder.h"
#include "partition/gather.h"
#include "partition/node_view.h"
#include "partition/row_lists.h"

/* Rows that were placed and not copied yet. */
struct fletch_segment {
    struct fletch_frame_builder frame; /* a view: the frame may be closed meanwhile */
    uint32_t first;                    /* in the order of the row lists */
    uint32_t count;
    uint32_t row; /* of the frame, where they begin */
};

/* What copies a node of the schema, by its type. */
enum fletch_copy_rule {
    FLETCH_COPY_NOTHING,
    FLETCH_COPY_BITS,
    FLETCH_COPY_VALUES,
    FLETCH_COPY_WIDE_VALUES,
    FLETCH_COPY_STRINGS,
    FLETCH_COPY_STRUCT,
    /* From here on with all that lies below, in ranges of elements (nested_copy.h) or by levels. */
    FLETCH_COPY_LIST,
    FLETCH_COPY_VIEWS,
    FLETCH_COPY_LIST_VIEW,
    FLETCH_COPY_FIXED_LIST,
    FLETCH_COPY_SPARSE_UNION,
    FLETCH_COPY_DENSE_UNION,
    FLETCH_COPY_RUNS
};

struct fletch_scatter_node {
    enum fletch_copy_rule rule;
    uint32_t kernel;     /* of FLETCH_COPY_VALUES: log2 of the width */
    bool is_inner;       /* a node above it is copied in ranges, or by levels */
    bool may_have_nulls; /* some batch had: frames must be asked whether they have */
    bool has_level;      /* copied by levels (row_levels.h), if the batch is */
    uint32_t level;      /* of its elements */
    uint32_t below;      /* that it makes; 0: none */
};

struct fletch_level;

static inline bool fletch_copy_rule_is_ranged(enum fletch_copy_rule rule)
{
    return rule >= FLETCH_COPY_LIST;
}

/* By node: elements, and bytes of strings. */
struct fletch_element_counts {
    int64_t *elements;
    int64_t *bytes;
};

struct fletch_scatter {
    struct fletch_frame_source source;
    struct fletch_allocator allocator;
    const struct fletch_gather_kernels *kernels;
    uint32_t partition_count;
    size_t target_bytes;
    bool is_streamed; /* open frames do not fit into the caches: values are written past them */
    struct fletch_frame_builder *frames; /* by partition */
    struct fletch_frame_plan *plan;
    struct fletch_frame_builder *closed; /* in the order in which they were closed */
    size_t closed_first;
    size_t closed_count;
    size_t closed_capacity;
    struct fletch_segment *segments;
    uint32_t segment_count;
    uint32_t segments_most;
    struct fletch_scatter_node *nodes;
    struct fletch_node_view *columns; /* of the batch */
    const uint32_t **remaps;          /* by dictionary: new index of each old one; NULL: the same */
    int64_t *remap_counts;            /* how many old ones there are */
    struct fletch_level *levels;
    struct fletch_stretch *stretches; /* of all levels */
    int64_t *level_starts;            /* the same */
    uint32_t level_count;
    uint32_t level_rows; /* of a block for which there are stretches */
    bool is_by_levels;   /* whether columns that can be are copied by levels */
    const struct fletch_batch *batch;
    uint64_t batch_number;             /* how many batches have begun */
    struct fletch_frame_extent seen;   /* totals over `seen_rows` */
    struct fletch_frame_extent extent; /* scratch */
    struct fletch_element_counts used; /* scratch of measuring: what a frame holds */
    struct fletch_element_counts kept; /* and held before */
    double seen_rows;
    uint64_t frame_bytes; /* that the next row's frame wants, for which there was no memory; or 0 */
    void *block;          /* in which the arrays lie that depend on the schema alone */
    size_t block_bytes;
};

struct fletch_scatter_options {
    struct fletch_frame_source source; /* the schema is acquired */
    const struct fletch_allocator *allocator;
    uint32_t partition_count;
    uint32_t block_rows; /* at most; 0: no rows are placed, only elements counted and copied */
    size_t target_bytes; /* of frames; 0 with it */
};

enum fletch_status fletch_scatter_init(struct fletch_scatter *scatter,
                                       const struct fletch_scatter_options *options,
                                       struct fletch_error *error);

/* Drops what was not taken. */
void fletch_scatter_deinit(struct fletch_scatter *scatter);

/* The batch whose elements are measured and copied from here on. */
void fletch_scatter_look_at(struct fletch_scatter *scatter, const struct fletch_batch *batch);

/* The batch whose rows come next; it lives until all are placed. RESOURCE_EXHAUSTED: no memory, and
 * nothing has changed. */
enum fletch_status fletch_scatter_begin(struct fletch_scatter *scatter,
                                        const struct fletch_batch *batch,
                                        struct fletch_error *error);

/* Rows of a block, at most: no more than the `block_rows` that were said. */
uint32_t fletch_scatter_rows_most(const struct fletch_scatter *scatter);

/* Bytes that a row takes in the widest column that is copied row by row, by what was seen lately;
 * at least 1. */
double fletch_scatter_widest(const struct fletch_scatter *scatter);

/* A block of the batch, sorted. `hashes` (NULL: none) are summed up for each frame. */
struct fletch_scatter_block {
    int64_t first_row;
    int64_t row_count;
    const struct fletch_row_lists *lists;
    const uint64_t *hashes;
    uint32_t run;      /* how far it has come: the run, */
    uint32_t run_done; /* and rows of it that are placed */
};

/* Places and copies the rest of the block. RESOURCE_EXHAUSTED: to be called again with the same
 * block. */
enum fletch_status fletch_scatter_block(struct fletch_scatter *scatter,
                                        struct fletch_scatter_block *block,
                                        struct fletch_error *error);

/* Closes the frame of a partition, unless it has no rows. RESOURCE_EXHAUSTED: it stays open. */
enum fletch_status fletch_scatter_close(struct fletch_scatter *scatter, uint32_t partition,
                                        struct fletch_error *error);

/* Whether the node is copied by levels. */
static inline bool fletch_scatter_has_level(const struct fletch_scatter *scatter, uint32_t row)
{
    return scatter->is_by_levels && scatter->nodes[row].has_level;
}

/* The strings of a column from a row on. */
static inline struct fletch_gather_strings
fletch_scatter_strings(const struct fletch_node_view *column, int64_t first_row)
{
    bool is_wide = fletch_view_has_wide_offsets(column);
    return (struct fletch_gather_strings){
        .bytes = column->bytes,
        .byte_count = column->byte_count,
        .offsets = column->values + (column->offset + first_row) * (is_wide ? 8 : 4),
        .has_wide_offsets = is_wide,
    };
}

#endif
