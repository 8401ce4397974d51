#include "partition/frame_builder.h"

#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/bits.h"
#include "memory/size_class.h"
#include "partition/bit_run.h"
#include "partition/gather.h"

enum {
    ALIGNMENT = 64,
    ROWS_MAX = 1 << 24,  /* of a frame */
    SPARE_ELEMENTS = 16, /* of a list's child, beyond what was seen */
    SPARE_BYTES = 64,    /* of strings, the same */
    SLAB_USED_LEAST = 4  /* a batch keeps a slab of which it uses this part, or more */
};

/* Rows differ: what is expected of a frame's strings and lists, and an eighth. */
static const double margin = 1.125;

/* ---- plans ---- */

static size_t region_bytes(const struct fletch_frame_plan *plan, const struct fletch_field *field,
                           uint32_t row, enum fletch_span_kind kind)
{
    size_t count = (size_t)plan->element_capacity[row];
    bool is_nested = field->parent != FLETCH_NO_INDEX;
    switch (kind) {
    case FLETCH_SPAN_VALIDITY:
    case FLETCH_SPAN_BITS:
        return (count + 7) / 8 + FLETCH_BIT_RUN_SLACK;
    case FLETCH_SPAN_VALUES:
        return count * fletch_type_byte_width(&field->type) + (is_nested ? FLETCH_GATHER_SLACK : 0);
    case FLETCH_SPAN_OFFSETS32:
        return (count + 1) * 4;
    case FLETCH_SPAN_OFFSETS64:
        return (count + 1) * 8;
    default:
        return (size_t)plan->byte_capacity[row] + FLETCH_GATHER_SLACK;
    }
}

/* Lays the regions out for the capacities that the plan has. */
static void lay_out(struct fletch_frame_plan *plan, const struct fletch_schema *schema)
{
    size_t end = fletch_round_up(schema->field_count, ALIGNMENT);
    for (uint32_t row = 0; row < schema->field_count; row++) {
        const struct fletch_field *field = &schema->fields[row];
        const struct fletch_type_layout *layout = fletch_type_layout(&field->type);
        for (uint32_t s = 0; s < field->span_count; s++) {
            plan->regions[field->first_span + s].offset = end;
            end += fletch_round_up(region_bytes(plan, field, row, layout->spans[s]), ALIGNMENT);
        }
    }
    plan->slab_bytes = end > 0 ? end : ALIGNMENT;
}

static void set_capacities(struct fletch_frame_plan *plan, const struct fletch_schema *schema,
                           const struct fletch_frame_extent *per_row, uint32_t rows)
{
    plan->row_capacity = rows;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        double elements = per_row->elements[row];
        plan->element_capacity[row] =
            elements == 1.0 ? rows : (int64_t)(elements * margin * rows) + SPARE_ELEMENTS;
        plan->bytes_per_row[row] = per_row->bytes[row];
        plan->byte_capacity[row] = (int64_t)(per_row->bytes[row] * margin * rows) + SPARE_BYTES;
    }
}

static struct fletch_frame_plan *allocate_plan(const struct fletch_schema *schema,
                                               const struct fletch_allocator *allocator)
{
    size_t elements_at = fletch_round_up(sizeof(struct fletch_frame_plan), ALIGNMENT);
    size_t room_at = elements_at + schema->field_count * sizeof(int64_t);
    size_t regions_at = room_at + schema->field_count * sizeof(int64_t);
    size_t bytes_at = regions_at + schema->span_count * sizeof(struct fletch_builder_region);
    size_t block_bytes = bytes_at + schema->field_count * sizeof(double);
    char *block = fletch_allocate(allocator, block_bytes, ALIGNMENT);
    if (block == NULL)
        return NULL;
    struct fletch_frame_plan *plan = (void *)block;
    *plan = (struct fletch_frame_plan){
        .allocator = *allocator,
        .block_bytes = block_bytes,
        .frame_count = 1,
        .element_capacity = (void *)(block + elements_at),
        .byte_capacity = (void *)(block + room_at),
        .regions = (void *)(block + regions_at),
        .bytes_per_row = (void *)(block + bytes_at),
    };
    return plan;
}

enum fletch_status fletch_frame_plan_create(const struct fletch_schema *schema,
                                            const struct fletch_frame_extent *per_row,
                                            size_t target_bytes,
                                            const struct fletch_allocator *allocator,
                                            struct fletch_frame_plan **out_plan)
{
    struct fletch_frame_plan *plan = allocate_plan(schema, allocator);
    if (plan == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    /* The largest number of rows that fits: between one that does and one that does not. */
    uint32_t fits = 1;
    uint32_t exceeds = ROWS_MAX;
    while (exceeds - fits > 1) {
        uint32_t middle = fits + (exceeds - fits) / 2;
        set_capacities(plan, schema, per_row, middle);
        lay_out(plan, schema);
        if (plan->slab_bytes <= target_bytes)
            fits = middle;
        else
            exceeds = middle;
    }
    set_capacities(plan, schema, per_row, fits);
    lay_out(plan, schema);
    *out_plan = plan;
    return FLETCH_OK;
}

enum fletch_status fletch_frame_plan_create_row(const struct fletch_schema *schema,
                                                const struct fletch_frame_extent *row,
                                                const struct fletch_allocator *allocator,
                                                struct fletch_frame_plan **out_plan)
{
    struct fletch_frame_plan *plan = allocate_plan(schema, allocator);
    if (plan == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    plan->row_capacity = 1;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        plan->element_capacity[i] = (int64_t)row->elements[i];
        plan->bytes_per_row[i] = row->bytes[i];
        plan->byte_capacity[i] = (int64_t)row->bytes[i];
    }
    lay_out(plan, schema);
    *out_plan = plan;
    return FLETCH_OK;
}

void fletch_frame_plan_release(struct fletch_frame_plan *plan)
{
    if (plan == NULL || --plan->frame_count > 0)
        return;
    struct fletch_allocator allocator = plan->allocator;
    fletch_release(&allocator, plan, plan->block_bytes, ALIGNMENT);
}

/* ---- frames ---- */

/* What fletch_batch_create will ask for. */
static size_t batch_block_bytes(const struct fletch_schema *schema)
{
    const struct fletch_batch_parts parts = {
        .node_count = schema->field_count,
        .span_count = schema->span_count,
        .owner_count = 1,
        .dictionary_count = schema->dictionary_count,
    };
    return fletch_batch_block_bytes(&parts);
}

/* Allocates a slab where the block of a batch fits into the account beside it: if slabs took the
 * last of it, no finished frame could be made a batch, and so none could ever leave. */
static enum fletch_status allocate_slab(const struct fletch_frame_source *source, size_t bytes,
                                        struct fletch_buffer **out_slab, struct fletch_error *error)
{
    struct fletch_buffer *beside = NULL;
    enum fletch_status status = fletch_buffer_allocate(
        source->cache, batch_block_bytes(source->schema), source->account, &beside, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_buffer_allocate(source->cache, bytes, source->account, out_slab, error);
    fletch_buffer_release(source->cache, beside);
    return status;
}

uint64_t fletch_builder_charge_bytes(const struct fletch_frame_source *source,
                                     const struct fletch_frame_plan *plan)
{
    return fletch_buffer_block_bytes(fletch_size_class_of(plan->slab_bytes)) +
           fletch_buffer_block_bytes(fletch_size_class_of(batch_block_bytes(source->schema)));
}

enum fletch_status fletch_builder_open(struct fletch_frame_builder *frame,
                                       const struct fletch_frame_source *source,
                                       struct fletch_frame_plan *plan, struct fletch_error *error)
{
    const struct fletch_schema *schema = source->schema;
    struct fletch_buffer *slab = NULL;
    enum fletch_status status = allocate_slab(source, plan->slab_bytes, &slab, error);
    if (status != FLETCH_OK)
        return status;
    frame->slab = slab;
    frame->data = fletch_buffer_mutable_data(slab);
    frame->plan = plan;
    frame->key_sum = 0;
    frame->row_count = 0;
    plan->frame_count++;
    memset(frame->data, 0, schema->field_count);
    for (uint32_t row = 0; row < schema->field_count; row++) {
        const struct fletch_field *field = &schema->fields[row];
        if (fletch_type_is_variable(field->type.id) || fletch_type_is_list(field->type.id))
            memset(fletch_builder_region(frame, field->first_span + 1), 0, sizeof(int64_t) / 2);
        if (fletch_type_layout(&field->type)->spans[1] == FLETCH_SPAN_OFFSETS64)
            memset(fletch_builder_region(frame, field->first_span + 1), 0, sizeof(int64_t));
    }
    return FLETCH_OK;
}

void fletch_builder_close(struct fletch_frame_builder *frame, struct fletch_buffer_cache *cache)
{
    fletch_buffer_release(cache, frame->slab);
    fletch_frame_plan_release(frame->plan);
    frame->slab = NULL;
    frame->plan = NULL;
    frame->row_count = 0;
}

int64_t fletch_builder_start(const struct fletch_frame_builder *frame,
                             const struct fletch_field *field, int64_t index)
{
    const uint8_t *offsets = fletch_builder_region(frame, field->first_span + 1);
    if (fletch_type_layout(&field->type)->spans[1] == FLETCH_SPAN_OFFSETS64) {
        int64_t wide;
        memcpy(&wide, offsets + 8 * index, sizeof wide);
        return wide;
    }
    int32_t narrow;
    memcpy(&narrow, offsets + 4 * index, sizeof narrow);
    return narrow;
}

/* ---- batches ---- */

static void set_node(const struct fletch_frame_builder *frame, const struct fletch_schema *schema,
                     uint32_t row, struct fletch_batch_node *nodes)
{
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_field *parent =
        field->parent == FLETCH_NO_INDEX ? NULL : &schema->fields[field->parent];
    struct fletch_batch_node *node = &nodes[row];
    *node = (struct fletch_batch_node){.length = frame->row_count};
    if (parent != NULL)
        node->length = nodes[field->parent].length;
    if (parent != NULL && fletch_type_is_list(parent->type.id))
        node->length = fletch_builder_start(frame, parent, node->length);
    if (field->type.id == FLETCH_TYPE_NULL)
        node->null_count = node->length;
    else if (fletch_builder_has_nulls(frame, row))
        node->null_count = (int64_t)fletch_bit_run_zeros(
            fletch_builder_region(frame, field->first_span), (size_t)node->length);
}

static size_t used_bytes(const struct fletch_frame_builder *frame, const struct fletch_field *field,
                         enum fletch_span_kind kind, const struct fletch_batch_node *node)
{
    size_t length = (size_t)node->length;
    switch (kind) {
    case FLETCH_SPAN_VALIDITY:
        return node->null_count != 0 ? (length + 7) / 8 : 0;
    case FLETCH_SPAN_BITS:
        return (length + 7) / 8;
    case FLETCH_SPAN_VALUES:
        return length * fletch_type_byte_width(&field->type);
    case FLETCH_SPAN_OFFSETS32:
        return (length + 1) * 4;
    case FLETCH_SPAN_OFFSETS64:
        return (length + 1) * 8;
    default:
        return (size_t)fletch_builder_start(frame, field, node->length);
    }
}

/* Fills nodes and spans; returns how many bytes the spans take, each rounded up to 64. */
static size_t describe(const struct fletch_frame_builder *frame, const struct fletch_schema *schema,
                       const struct fletch_frame_parts *parts)
{
    size_t total = 0;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        const struct fletch_field *field = &schema->fields[row];
        set_node(frame, schema, row, parts->nodes);
        for (uint32_t s = 0; s < field->span_count; s++) {
            enum fletch_span_kind kind = fletch_type_layout(&field->type)->spans[s];
            size_t bytes = used_bytes(frame, field, kind, &parts->nodes[row]);
            const uint8_t *data = fletch_builder_region(frame, field->first_span + s);
            bool is_absent = kind == FLETCH_SPAN_VALIDITY && bytes == 0;
            parts->spans[field->first_span + s] =
                (struct fletch_batch_span){.data = is_absent ? NULL : data, .bytes = bytes};
            total += fletch_round_up(bytes, ALIGNMENT);
        }
    }
    return total;
}

/* Moves the spans into a buffer of their own. */
static enum fletch_status compact(const struct fletch_frame_source *source,
                                  const struct fletch_frame_parts *parts, size_t total,
                                  struct fletch_buffer **out_buffer, struct fletch_error *error)
{
    struct fletch_buffer *buffer = NULL;
    enum fletch_status status = fletch_buffer_allocate(source->cache, total > 0 ? total : ALIGNMENT,
                                                       source->account, &buffer, error);
    if (status != FLETCH_OK)
        return status;
    uint8_t *next = fletch_buffer_mutable_data(buffer);
    for (uint32_t i = 0; i < source->schema->span_count; i++) {
        struct fletch_batch_span *span = &parts->spans[i];
        if (span->data == NULL)
            continue;
        memcpy(next, span->data, span->bytes);
        span->data = next;
        next += fletch_round_up(span->bytes, ALIGNMENT);
    }
    *out_buffer = buffer;
    return FLETCH_OK;
}

/* The references that a batch takes: one more each, or one less again. */
static void hold_dictionaries(const struct fletch_frame_source *source,
                              const struct fletch_frame_parts *parts, bool is_held)
{
    for (uint32_t i = 0; i < source->schema->dictionary_count; i++)
        if (is_held)
            fletch_batch_acquire(parts->dictionaries[i]);
        else
            fletch_batch_release(source->cache, parts->dictionaries[i]);
}

static enum fletch_status create_batch(const struct fletch_frame_source *source,
                                       const struct fletch_frame_parts *parts,
                                       struct fletch_buffer *owner, struct fletch_batch **out_batch,
                                       struct fletch_error *error)
{
    struct fletch_batch_parts batch = {
        .schema = fletch_schema_acquire(source->schema),
        .row_count = parts->row_count,
        .nodes = parts->nodes,
        .node_count = source->schema->field_count,
        .spans = parts->spans,
        .span_count = source->schema->span_count,
        .owners = &owner,
        .owner_count = 1,
        .dictionaries = parts->dictionaries,
        .dictionary_count = source->schema->dictionary_count,
    };
    hold_dictionaries(source, parts, true);
    enum fletch_status status =
        fletch_batch_create(source->cache, source->account, &batch, out_batch, error);
    if (status != FLETCH_OK) {
        hold_dictionaries(source, parts, false);
        fletch_schema_release(source->schema);
    }
    return status;
}

/* In a buffer of just its size. False: there is no memory for both; the batch alone may have the
 * room that was left for it. */
static bool finish_small(const struct fletch_frame_source *source,
                         const struct fletch_frame_parts *parts, size_t total,
                         struct fletch_batch **out_batch)
{
    struct fletch_buffer *owner = NULL;
    if (compact(source, parts, total, &owner, NULL) != FLETCH_OK)
        return false;
    if (create_batch(source, parts, owner, out_batch, NULL) == FLETCH_OK)
        return true;
    fletch_buffer_release(source->cache, owner);
    return false;
}

enum fletch_status fletch_builder_finish(struct fletch_frame_builder *frame,
                                         const struct fletch_frame_source *source,
                                         struct fletch_frame_parts *parts,
                                         struct fletch_batch **out_batch,
                                         struct fletch_error *error)
{
    size_t total = describe(frame, source->schema, parts);
    parts->row_count = frame->row_count;
    bool is_small = SLAB_USED_LEAST * total < frame->plan->slab_bytes;
    if (!is_small || !finish_small(source, parts, total, out_batch)) {
        if (is_small) /* what was tried has changed the spans */
            describe(frame, source->schema, parts);
        enum fletch_status status = create_batch(source, parts, frame->slab, out_batch, error);
        if (status != FLETCH_OK)
            return status;
        frame->slab = NULL; /* the batch has it */
    }
    fletch_builder_close(frame, source->cache);
    return FLETCH_OK;
}
