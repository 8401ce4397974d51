#include "arrow/batch_compact.h"

#include "arrow/ipc_slice.h"
#include "arrow/schema.h"

enum { ALIGNMENT = 64 };

/* What is copied, and what the batch of it says: in scratch, until there is one. */
struct layout {
    struct fletch_ipc_plan plan;
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
    uint32_t *view_spans;
    uint32_t next; /* piece */
};

static size_t layout_bytes(const struct fletch_batch *batch)
{
    const struct fletch_schema *schema = batch->schema;
    return fletch_ipc_plan_bytes(schema, batch->span_count) +
           schema->field_count * sizeof(struct fletch_batch_node) +
           batch->span_count * sizeof(struct fletch_batch_span) +
           (schema->view_count + (size_t)1) * sizeof(uint32_t);
}

static struct layout layout_in(const struct fletch_batch *batch, void *scratch)
{
    const struct fletch_schema *schema = batch->schema;
    struct layout layout = {.plan.alignment = ALIGNMENT, .plan.is_tight = true};
    layout.nodes = scratch;
    layout.spans = (void *)(layout.nodes + schema->field_count);
    void *plan = layout.spans + batch->span_count;
    fletch_ipc_plan_place(&layout.plan, schema, batch->span_count, plan);
    layout.view_spans =
        (void *)((uint8_t *)plan + fletch_ipc_plan_bytes(schema, batch->span_count));
    return layout;
}

/* The next piece, copied to its place behind `to`. */
static struct fletch_batch_span copy_piece(struct layout *layout, uint8_t *to)
{
    const struct fletch_ipc_piece *piece = &layout->plan.pieces[layout->next];
    uint8_t *place = to + layout->plan.ranges[layout->next++].offset;
    if (piece->bytes != 0)
        fletch_ipc_piece_write(&layout->plan, piece, place);
    return (struct fletch_batch_span){place, piece->bytes};
}

static void copy_field(struct layout *layout, const struct fletch_field *field, uint32_t row,
                       uint8_t *to)
{
    const struct fletch_ipc_plan *plan = &layout->plan;
    const struct fletch_type_layout *type = fletch_type_layout(&field->type);
    layout->nodes[row] = (struct fletch_batch_node){
        .length = plan->nodes[row].length,
        .null_count = plan->nodes[row].null_count,
    };
    for (uint32_t i = 0; i < field->span_count; i++) {
        struct fletch_batch_span *span = &layout->spans[field->first_span + i];
        *span = copy_piece(layout, to);
        if (span->bytes == 0 && type->spans[i] == FLETCH_SPAN_VALIDITY)
            span->data = NULL;
    }
    if (field->view == FLETCH_NO_INDEX)
        return;
    const uint32_t first = layout->view_spans[field->view];
    const uint32_t count = (uint32_t)plan->variadic[field->view];
    for (uint32_t i = 0; i < count; i++)
        layout->spans[first + i] = copy_piece(layout, to);
    layout->view_spans[field->view + 1] = first + count;
}

/* The batch of what was copied to `*body`, whose reference it takes: then that is NULL. */
static enum fletch_status make(const struct fletch_batch_place *place,
                               const struct fletch_batch *batch, const struct layout *layout,
                               struct fletch_buffer **body, struct fletch_batch **out_batch)
{
    struct fletch_batch_parts parts = fletch_batch_parts_of(batch);
    parts.nodes = layout->nodes;
    parts.spans = layout->spans;
    parts.span_count = layout->plan.piece_count;
    parts.view_spans = layout->view_spans;
    parts.owners = body;
    parts.owner_count = 1;
    enum fletch_status status =
        fletch_batch_create(place->cache, place->account, &parts, out_batch, place->error);
    if (status != FLETCH_OK)
        return status;
    fletch_batch_acquire_shared_parts(batch);
    *body = NULL;
    return FLETCH_OK;
}

enum fletch_status fletch_batch_compact(const struct fletch_batch_place *place,
                                        const struct fletch_batch *batch,
                                        struct fletch_batch **out_batch)
{
    const struct fletch_schema *schema = batch->schema;
    struct fletch_buffer *scratch = NULL;
    struct fletch_buffer *body = NULL;
    enum fletch_status status = fletch_buffer_allocate(place->cache, layout_bytes(batch),
                                                       place->account, &scratch, place->error);
    if (status != FLETCH_OK)
        return status;
    struct layout layout = layout_in(batch, fletch_buffer_mutable_data(scratch));
    layout.view_spans[0] = schema->span_count;
    fletch_ipc_plan_rows(&layout.plan, batch, 0, batch->row_count);
    /* One that is empty has a place too. */
    status = fletch_buffer_allocate(place->cache, layout.plan.body_bytes + ALIGNMENT,
                                    place->account, &body, place->error);
    for (uint32_t row = 0; status == FLETCH_OK && row < schema->field_count; row++)
        copy_field(&layout, &schema->fields[row], row, fletch_buffer_mutable_data(body));
    if (status == FLETCH_OK)
        status = make(place, batch, &layout, &body, out_batch);
    fletch_buffer_release(place->cache, body);
    fletch_buffer_release(place->cache, scratch);
    return status;
}
