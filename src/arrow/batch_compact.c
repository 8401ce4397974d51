#include "arrow/batch_compact.h"

#include "arrow/ipc_slice.h"
#include "arrow/schema.h"

enum { ALIGNMENT = 64 };

/* What is copied, and what the batch of it says: in scratch, until there is one. */
struct layout {
    struct fletch_ipc_plan plan;
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
};

static size_t layout_bytes(const struct fletch_schema *schema)
{
    return schema->field_count *
               (sizeof(struct fletch_ipc_node) + sizeof(struct fletch_batch_node)) +
           schema->span_count * (sizeof(struct fletch_ipc_piece) + sizeof(struct fletch_ipc_range) +
                                 sizeof(struct fletch_batch_span)) +
           1;
}

static struct layout layout_in(const struct fletch_schema *schema, void *scratch)
{
    struct layout layout = {.plan.alignment = ALIGNMENT};
    layout.plan.pieces = scratch;
    layout.plan.nodes = (void *)(layout.plan.pieces + schema->span_count);
    layout.plan.ranges = (void *)(layout.plan.nodes + schema->field_count);
    layout.nodes = (void *)(layout.plan.ranges + schema->span_count);
    layout.spans = (void *)(layout.nodes + schema->field_count);
    return layout;
}

static void copy_field(const struct layout *layout, const struct fletch_field *field, uint32_t row,
                       uint8_t *to)
{
    const struct fletch_ipc_plan *plan = &layout->plan;
    const struct fletch_type_layout *type = fletch_type_layout(&field->type);
    layout->nodes[row] = (struct fletch_batch_node){
        .length = plan->nodes[row].length,
        .null_count = plan->nodes[row].null_count,
    };
    for (uint32_t i = 0; i < field->span_count; i++) {
        uint32_t span = field->first_span + i;
        const struct fletch_ipc_piece *piece = &plan->pieces[span];
        uint8_t *place = to + plan->ranges[span].offset;
        bool is_absent = piece->bytes == 0 && type->spans[i] == FLETCH_SPAN_VALIDITY;
        if (piece->bytes != 0)
            fletch_ipc_piece_write(piece, place);
        layout->spans[span] = (struct fletch_batch_span){is_absent ? NULL : place, piece->bytes};
    }
}

/* The batch of what was copied to `*body`, whose reference it takes: then that is NULL. */
static enum fletch_status make(const struct fletch_batch_place *place,
                               const struct fletch_batch *batch, const struct layout *layout,
                               struct fletch_buffer **body, struct fletch_batch **out_batch)
{
    struct fletch_batch_parts parts = fletch_batch_parts_of(batch);
    parts.nodes = layout->nodes;
    parts.spans = layout->spans;
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
    enum fletch_status status =
        fletch_schema_check_simple(schema, "for copies of slices", place->error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_buffer_allocate(place->cache, layout_bytes(schema), place->account, &scratch,
                                    place->error);
    if (status != FLETCH_OK)
        return status;
    struct layout layout = layout_in(schema, fletch_buffer_mutable_data(scratch));
    fletch_ipc_plan_rows(&layout.plan, schema, batch, 0, batch->row_count);
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
