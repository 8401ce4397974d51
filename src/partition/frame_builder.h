#ifndef FLETCH_PARTITION_FRAME_BUILDER_H
#define FLETCH_PARTITION_FRAME_BUILDER_H

/* A frame in the making: the rows of one partition, in one buffer.
 *
 *  slab:  | nulls: a byte for each node | tallies, if any | region of span 0 | region of span 1 | …
 *
 * Behind the regions of spans there is one for the bytes of each view field.
 *
 * Each region is 64-byte aligned and has room behind it for loops that write whole registers. Where
 * they lie and how much fits says a plan, which all frames share that were opened since it was
 * made. Validity is written from the first batch on that brings nulls to a column; until then its
 * region holds nothing, and the byte of its node is 0. Belongs to one thread. */

#include <stdbool.h>

#include "arrow/schema.h"
#include "memory/batch.h"
#include "memory/buffer.h"

/* How much a frame is to hold, or a row has, by node: elements, and bytes of strings. */
struct fletch_frame_extent {
    double *elements;
    double *bytes;
};

/* What no offset in the frame tells. Schemas without views, list views, dense unions and runs have
 * none. */
struct fletch_frame_tally {
    int64_t elements;      /* of a node that its parent does not count */
    int64_t bytes;         /* behind a node's views */
    uint64_t batch_number; /* the batch whose run a node's last run is, */
    int64_t run;           /* and which of its runs */
};

struct fletch_frame_plan {
    struct fletch_allocator allocator;
    size_t block_bytes;
    size_t slab_bytes;
    uint64_t frame_count; /* frames that use it, and the writer while it is the newest */
    uint32_t row_capacity;
    size_t tallies_at;         /* in the slab; 0: there are none */
    int64_t *element_capacity; /* by node */
    int64_t *byte_capacity;    /* of strings, by node */
    size_t *regions;           /* by span, and behind them by view field: where they begin */
    double *bytes_per_row;     /* by node: what was expected */
};

struct fletch_frame_builder {
    struct fletch_buffer *slab; /* NULL: no frame is open */
    uint8_t *data;
    struct fletch_frame_plan *plan;
    uint64_t key_sum;
    uint32_t row_count;
    uint32_t partition;
};

/* A plan for frames of about `target_bytes` whose rows have `per_row`. */
enum fletch_status fletch_frame_plan_create(const struct fletch_schema *schema,
                                            const struct fletch_frame_extent *per_row,
                                            size_t target_bytes,
                                            const struct fletch_allocator *allocator,
                                            struct fletch_frame_plan **out_plan);

/* Whether a frame can have so much: offsets, run ends and views can count it. OUT_OF_RANGE: names
 * the first field of which there is too much. */
enum fletch_status fletch_frame_extent_check(const struct fletch_schema *schema,
                                             const struct fletch_frame_extent *extent,
                                             struct fletch_error *error);

/* A plan for a frame of one row that has exactly `row`, as the check above allows. */
enum fletch_status fletch_frame_plan_create_row(const struct fletch_schema *schema,
                                                const struct fletch_frame_extent *row,
                                                const struct fletch_allocator *allocator,
                                                struct fletch_frame_plan **out_plan);

/* A plan for a frame that has `extent`, as the check above allows, and is to grow to twice that. */
enum fletch_status fletch_frame_plan_create_growing(const struct fletch_schema *schema,
                                                    const struct fletch_frame_extent *extent,
                                                    const struct fletch_allocator *allocator,
                                                    struct fletch_frame_plan **out_plan);

/* One user less; the last one frees it. NULL is allowed. */
void fletch_frame_plan_release(struct fletch_frame_plan *plan);

/* Where frames take their memory. */
struct fletch_frame_source {
    struct fletch_schema *schema;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
};

/* Opens an empty frame. On failure the frame is as it was. Errors as fletch_buffer_allocate. */
enum fletch_status fletch_builder_open(struct fletch_frame_builder *frame,
                                       const struct fletch_frame_source *source,
                                       struct fletch_frame_plan *plan, struct fletch_error *error);

/* What an account is charged for a frame of this plan, and the block of its batch. */
uint64_t fletch_builder_charge_bytes(const struct fletch_frame_source *source,
                                     const struct fletch_frame_plan *plan);

/* Drops a frame with everything in it. Nothing happens if none is open. */
void fletch_builder_close(struct fletch_frame_builder *frame, struct fletch_buffer_cache *cache);

static inline uint8_t *fletch_builder_region(const struct fletch_frame_builder *frame,
                                             uint32_t span)
{
    return frame->data + frame->plan->regions[span];
}

/* One for each node, if the schema needs them. */
static inline struct fletch_frame_tally *
fletch_builder_tallies(const struct fletch_frame_builder *frame)
{
    return (struct fletch_frame_tally *)(void *)(frame->data + frame->plan->tallies_at);
}

/* How many elements the node has, if its parent has `parent_elements`. */
int64_t fletch_builder_elements(const struct fletch_frame_builder *frame,
                                const struct fletch_schema *schema, uint32_t row,
                                int64_t parent_elements);

/* Where element `index` of a string or list node of the frame begins. */
int64_t fletch_builder_start(const struct fletch_frame_builder *frame,
                             const struct fletch_field *field, int64_t index);

/* Whether the node has nulls so far: its validity is kept up. */
static inline bool fletch_builder_has_nulls(const struct fletch_frame_builder *frame, uint32_t row)
{
    return frame->data[row] != 0;
}

/* Scratch of fletch_builder_finish: arrays as long as the schema's tables say. */
struct fletch_frame_parts {
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;    /* and one more for each view field */
    uint32_t *view_spans;               /* as in a batch */
    uint32_t span_count;                /* of this batch */
    struct fletch_batch **dictionaries; /* what the indices mean: the batch acquires them */
    int64_t row_count;
};

/* Makes the batch of the frame's rows, its spans trimmed to what is used, and closes the frame. A
 * slab that is less than a quarter used is exchanged for one that fits: closer to full the copy
 * costs more than the memory. On failure the frame stays. */
enum fletch_status fletch_builder_finish(struct fletch_frame_builder *frame,
                                         const struct fletch_frame_source *source,
                                         struct fletch_frame_parts *parts,
                                         struct fletch_batch **out_batch,
                                         struct fletch_error *error);

/* Makes a batch of the frame's rows, which stays open: what is appended later lies behind them. The
 * batch shares the slab, but for bits, which are copied: the byte of the last one is not done. */
enum fletch_status fletch_builder_snapshot(const struct fletch_frame_builder *frame,
                                           const struct fletch_frame_source *source,
                                           struct fletch_frame_parts *parts,
                                           struct fletch_batch **out_batch,
                                           struct fletch_error *error);

#endif
