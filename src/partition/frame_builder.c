#include "partition/frame_builder.h"

#include <string.h>

#include "arrow/column.h"
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
    /* What is copied in ranges is written some bytes at a time. */
    bool is_ranged = field->parent != FLETCH_NO_INDEX || fletch_type_is_list(field->type.id);
    size_t slack = is_ranged ? FLETCH_GATHER_SLACK : 0;
    switch (kind) {
    case FLETCH_SPAN_VALIDITY:
    case FLETCH_SPAN_BITS:
        return (count + 7) / 8 + FLETCH_BIT_RUN_SLACK;
    case FLETCH_SPAN_VALUES:
        return count * fletch_type_byte_width(&field->type) + slack;
    case FLETCH_SPAN_OFFSETS32:
        return (count + 1) * 4 + slack;
    case FLETCH_SPAN_OFFSETS64:
        return (count + 1) * 8 + slack;
    case FLETCH_SPAN_VIEWS:
        return count * sizeof(struct fletch_string_view);
    case FLETCH_SPAN_STARTS32:
    case FLETCH_SPAN_SIZES32:
        return count * 4;
    case FLETCH_SPAN_STARTS64:
    case FLETCH_SPAN_SIZES64:
        return count * 8;
    case FLETCH_SPAN_TYPE_IDS:
        return count + FLETCH_GATHER_SLACK;
    default:
        return (size_t)plan->byte_capacity[row] + FLETCH_GATHER_SLACK;
    }
}

static bool needs_tallies(const struct fletch_schema *schema)
{
    for (uint32_t row = 0; row < schema->field_count; row++) {
        enum fletch_type_id id = schema->fields[row].type.id;
        if (fletch_type_is_view(id) || fletch_type_is_list_view(id) ||
            id == FLETCH_TYPE_DENSE_UNION || id == FLETCH_TYPE_RUN_END_ENCODED)
            return true;
    }
    return false;
}

/* Lays the regions out for the capacities that the plan has. */
static void lay_out(struct fletch_frame_plan *plan, const struct fletch_schema *schema)
{
    size_t end = fletch_round_up(schema->field_count, ALIGNMENT);
    if (plan->tallies_at != 0)
        end += fletch_round_up(schema->field_count * sizeof(struct fletch_frame_tally), ALIGNMENT);
    for (uint32_t row = 0; row < schema->field_count; row++) {
        const struct fletch_field *field = &schema->fields[row];
        const struct fletch_type_layout *layout = fletch_type_layout(&field->type);
        for (uint32_t s = 0; s < field->span_count; s++) {
            plan->regions[field->first_span + s] = end;
            end += fletch_round_up(region_bytes(plan, field, row, layout->spans[s]), ALIGNMENT);
        }
        if (field->view != FLETCH_NO_INDEX) {
            plan->regions[schema->span_count + field->view] = end;
            end += fletch_round_up(region_bytes(plan, field, row, FLETCH_SPAN_BYTES), ALIGNMENT);
        }
    }
    plan->slab_bytes = end > 0 ? end : ALIGNMENT;
}

/* How many elements of a node a frame can count. */
static double elements_most(const struct fletch_schema *schema, uint32_t row)
{
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_field *parent = fletch_schema_parent_of(schema, row);
    double most = (double)FLETCH_ELEMENTS_MAX;
    if (field->type.id == FLETCH_TYPE_RUN_END_ENCODED) {
        enum fletch_type_id ends = schema->fields[row + 1].type.id;
        most = ends == FLETCH_TYPE_INT16 ? INT16_MAX : ends == FLETCH_TYPE_INT32 ? INT32_MAX : most;
    }
    bool is_wide = parent == NULL || parent->type.id == FLETCH_TYPE_LARGE_LIST ||
                   parent->type.id == FLETCH_TYPE_LARGE_LIST_VIEW ||
                   fletch_type_child_stride(&parent->type) != FLETCH_CHILD_WHOLE ||
                   parent->type.id == FLETCH_TYPE_RUN_END_ENCODED;
    return is_wide || most < INT32_MAX ? most : INT32_MAX;
}

static double bytes_most(const struct fletch_field *field)
{
    bool is_wide =
        field->type.id == FLETCH_TYPE_LARGE_UTF8 || field->type.id == FLETCH_TYPE_LARGE_BINARY;
    return is_wide ? (double)FLETCH_ELEMENTS_MAX : INT32_MAX;
}

enum fletch_status fletch_frame_extent_check(const struct fletch_schema *schema,
                                             const struct fletch_frame_extent *extent,
                                             struct fletch_error *error)
{
    for (uint32_t row = 0; row < schema->field_count; row++) {
        double most = elements_most(schema, row);
        const char *what = "elements";
        double found = extent->elements[row];
        if (found <= most) {
            most = bytes_most(&schema->fields[row]);
            what = "bytes";
            found = extent->bytes[row];
        }
        if (found > most)
            return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                    "field '%s': a row has %.0f %s, and a frame can count %.0f",
                                    fletch_field_path_of(schema, row).text, found, what, most);
    }
    return FLETCH_OK;
}

static int64_t capacity(double wanted, double most)
{
    return (int64_t)(wanted < most ? wanted : most);
}

static void set_capacities(struct fletch_frame_plan *plan, const struct fletch_schema *schema,
                           const struct fletch_frame_extent *per_row, uint32_t rows)
{
    plan->row_capacity = rows;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        double elements = per_row->elements[row];
        double wanted = elements == 1.0 ? rows : elements * margin * rows + SPARE_ELEMENTS;
        plan->element_capacity[row] = capacity(wanted, elements_most(schema, row));
        plan->bytes_per_row[row] = per_row->bytes[row];
        plan->byte_capacity[row] = capacity(per_row->bytes[row] * margin * rows + SPARE_BYTES,
                                            bytes_most(&schema->fields[row]));
    }
}

static struct fletch_frame_plan *allocate_plan(const struct fletch_schema *schema,
                                               const struct fletch_allocator *allocator)
{
    size_t elements_at = fletch_round_up(sizeof(struct fletch_frame_plan), ALIGNMENT);
    size_t room_at = elements_at + schema->field_count * sizeof(int64_t);
    size_t regions_at = room_at + schema->field_count * sizeof(int64_t);
    size_t regions = (size_t)schema->span_count + schema->view_count;
    size_t bytes_at = regions_at + regions * sizeof(size_t);
    size_t block_bytes = bytes_at + schema->field_count * sizeof(double);
    char *block = fletch_allocate(allocator, block_bytes, ALIGNMENT);
    if (block == NULL)
        return NULL;
    struct fletch_frame_plan *plan = (void *)block;
    *plan = (struct fletch_frame_plan){
        .allocator = *allocator,
        .block_bytes = block_bytes,
        .frame_count = 1,
        .tallies_at = needs_tallies(schema) ? fletch_round_up(schema->field_count, ALIGNMENT) : 0,
        .element_capacity = (void *)(block + elements_at),
        .byte_capacity = (void *)(block + room_at),
        .regions = (void *)(block + regions_at),
        .bytes_per_row = (void *)(block + bytes_at),
    };
    return plan;
}

/* No more rows than offsets and run ends can count. */
static uint32_t rows_most(const struct fletch_schema *schema,
                          const struct fletch_frame_extent *per_row)
{
    double rows = ROWS_MAX;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        double most = elements_most(schema, row);
        if (per_row->elements[row] * rows > most)
            rows = most / per_row->elements[row];
    }
    return rows < 1 ? 1 : (uint32_t)rows;
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
    uint32_t exceeds = rows_most(schema, per_row) + 1;
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

enum fletch_status fletch_frame_plan_create_growing(const struct fletch_schema *schema,
                                                    const struct fletch_frame_extent *extent,
                                                    const struct fletch_allocator *allocator,
                                                    struct fletch_frame_plan **out_plan)
{
    struct fletch_frame_plan *plan = allocate_plan(schema, allocator);
    if (plan == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    plan->row_capacity = 1;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        plan->element_capacity[i] =
            capacity(2 * extent->elements[i] + SPARE_ELEMENTS, elements_most(schema, i));
        plan->bytes_per_row[i] = extent->bytes[i];
        plan->byte_capacity[i] =
            capacity(2 * extent->bytes[i] + SPARE_BYTES, bytes_most(&schema->fields[i]));
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
        .span_count = schema->span_count + schema->view_count,
        .view_count = schema->view_count,
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
    if (plan->tallies_at != 0)
        memset(fletch_builder_tallies(frame), 0,
               schema->field_count * sizeof(struct fletch_frame_tally));
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

int64_t fletch_builder_elements(const struct fletch_frame_builder *frame,
                                const struct fletch_schema *schema, uint32_t row,
                                int64_t parent_elements)
{
    const struct fletch_field *parent = fletch_schema_parent_of(schema, row);
    if (parent == NULL)
        return frame->row_count;
    int64_t stride = fletch_type_child_stride(&parent->type);
    if (stride != FLETCH_CHILD_WHOLE)
        return parent_elements * stride;
    if (fletch_type_is_list(parent->type.id))
        return fletch_builder_start(frame, parent, parent_elements);
    return fletch_builder_tallies(frame)[row].elements;
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
    struct fletch_batch_node *node = &nodes[row];
    int64_t above = field->parent == FLETCH_NO_INDEX ? 0 : nodes[field->parent].length;
    *node =
        (struct fletch_batch_node){.length = fletch_builder_elements(frame, schema, row, above)};
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
    case FLETCH_SPAN_BYTES:
        return (size_t)fletch_builder_start(frame, field, node->length);
    default:
        return (size_t)fletch_span_bytes(&field->type, kind, (uint64_t)length);
    }
}

/* Fills nodes and spans; returns how many bytes the spans take, each rounded up to 64. */
static size_t describe(const struct fletch_frame_builder *frame, const struct fletch_schema *schema,
                       struct fletch_frame_parts *parts)
{
    size_t total = 0;
    uint32_t view_span = schema->span_count;
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
        if (field->view == FLETCH_NO_INDEX)
            continue;
        size_t bytes = (size_t)fletch_builder_tallies(frame)[row].bytes;
        parts->view_spans[field->view] = view_span;
        if (bytes > 0)
            parts->spans[view_span++] = (struct fletch_batch_span){
                fletch_builder_region(frame, schema->span_count + field->view), bytes};
        total += fletch_round_up(bytes, ALIGNMENT);
    }
    if (schema->view_count > 0)
        parts->view_spans[schema->view_count] = view_span;
    parts->span_count = view_span;
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
    for (uint32_t i = 0; i < parts->span_count; i++) {
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
        if (!is_held)
            fletch_batch_release(source->cache, parts->dictionaries[i]);
        else if (parts->dictionaries[i] != NULL)
            fletch_batch_acquire(parts->dictionaries[i]);
}

struct batch_owners {
    struct fletch_buffer *buffers[2]; /* the second may be NULL */
};

static enum fletch_status create_batch(const struct fletch_frame_source *source,
                                       const struct fletch_frame_parts *parts,
                                       const struct batch_owners *owners,
                                       struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct fletch_batch_parts batch = {
        .schema = fletch_schema_acquire(source->schema),
        .row_count = parts->row_count,
        .nodes = parts->nodes,
        .node_count = source->schema->field_count,
        .spans = parts->spans,
        .span_count = parts->span_count,
        .view_spans = parts->view_spans,
        .view_count = source->schema->view_count,
        .owners = owners->buffers,
        .owner_count = owners->buffers[1] == NULL ? 1 : 2,
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
    if (create_batch(source, parts, &(struct batch_owners){{owner}}, out_batch, NULL) == FLETCH_OK)
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
        const struct batch_owners owners = {{frame->slab}};
        enum fletch_status status = create_batch(source, parts, &owners, out_batch, error);
        if (status != FLETCH_OK)
            return status;
        frame->slab = NULL; /* the batch has it */
    }
    fletch_builder_close(frame, source->cache);
    return FLETCH_OK;
}

/* ---- snapshots ---- */

/* Bitmaps among the spans: those of validity and of bools. */
static bool is_bitmap(const struct fletch_schema *schema, const struct fletch_frame_parts *parts,
                      uint32_t row, uint32_t span)
{
    const struct fletch_field *field = &schema->fields[row];
    const uint8_t kind = fletch_type_layout(&field->type)->spans[span];
    return (kind == FLETCH_SPAN_VALIDITY || kind == FLETCH_SPAN_BITS) &&
           parts->spans[field->first_span + span].data != NULL;
}

/* Goes through the bitmaps: moves them behind each other into `to`, unless that is NULL; returns
 * how many bytes they take there. */
static size_t move_bitmaps(const struct fletch_schema *schema,
                           const struct fletch_frame_parts *parts, uint8_t *to)
{
    size_t total = 0;
    for (uint32_t row = 0; row < schema->field_count; row++)
        for (uint32_t s = 0; s < schema->fields[row].span_count; s++) {
            if (!is_bitmap(schema, parts, row, s))
                continue;
            struct fletch_batch_span *span = &parts->spans[schema->fields[row].first_span + s];
            if (to != NULL) {
                memcpy(to + total, span->data, span->bytes);
                span->data = to + total;
            }
            total += fletch_round_up(span->bytes, ALIGNMENT);
        }
    return total;
}

enum fletch_status fletch_builder_snapshot(const struct fletch_frame_builder *frame,
                                           const struct fletch_frame_source *source,
                                           struct fletch_frame_parts *parts,
                                           struct fletch_batch **out_batch,
                                           struct fletch_error *error)
{
    struct batch_owners owners = {{frame->slab}};
    enum fletch_status status = FLETCH_OK;
    describe(frame, source->schema, parts);
    parts->row_count = frame->row_count;
    size_t bytes = move_bitmaps(source->schema, parts, NULL);
    if (bytes > 0)
        status = fletch_buffer_allocate(source->cache, bytes, source->account, &owners.buffers[1],
                                        error);
    if (status != FLETCH_OK)
        return status;
    if (bytes > 0)
        move_bitmaps(source->schema, parts, owners.buffers[1]->data);
    status = create_batch(source, parts, &owners, out_batch, error);
    if (status == FLETCH_OK)
        fletch_buffer_acquire(frame->slab);
    else
        fletch_buffer_release(source->cache, owners.buffers[1]);
    return status;
}
