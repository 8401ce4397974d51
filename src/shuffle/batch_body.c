#include "shuffle/batch_body.h"

#include "arrow/column.h"
#include "base/assert.h"
#include "base/bits.h"

enum { PADDING = 64 };

/* ---- how large ---- */

/* Bytes of views that do not stand in them. */
static uint64_t view_bytes(const struct fletch_column *column, struct fletch_element_range elements)
{
    uint64_t bytes = 0;
    for (int64_t i = elements.first; i < elements.first + elements.count; i++) {
        const struct fletch_string_view *view = fletch_column_view(column, i);
        if (view->bytes > FLETCH_VIEW_INLINE_BYTES && fletch_column_is_valid(column, i))
            bytes += (uint64_t)view->bytes;
    }
    return bytes;
}

/* The elements are counted from the batch's first one. Recurses as deep as a schema may be. */
static uint64_t field_bytes(const struct fletch_batch *batch, uint32_t row,
                            struct fletch_element_range elements)
{
    const struct fletch_column column = fletch_column_of(batch, row);
    const struct fletch_type *type = &column.field->type;
    const struct fletch_type_layout *layout = fletch_type_layout(type);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < column.field->span_count; i++) {
        enum fletch_span_kind kind = (enum fletch_span_kind)layout->spans[i];
        uint64_t span = fletch_span_bytes(type, kind, (uint64_t)elements.count);
        if (kind == FLETCH_SPAN_BYTES && elements.count > 0)
            span = (uint64_t)(fletch_column_offset(&column, elements.first + elements.count) -
                              fletch_column_offset(&column, elements.first));
        bytes += fletch_round_up(span, PADDING);
    }
    if (fletch_type_is_view(type->id))
        bytes += fletch_round_up(view_bytes(&column, elements), PADDING);
    uint32_t index = 0;
    for (uint32_t child = row + 1; child < column.field->end;
         child = batch->schema->fields[child].end)
        bytes +=
            field_bytes(batch, child, fletch_column_range_below(batch, row, index++, elements));
    return bytes;
}

uint64_t fletch_batch_body_bytes_of(const struct fletch_batch *batch, int64_t first_row,
                                    int64_t row_count)
{
    const struct fletch_schema *schema = batch->schema;
    const struct fletch_element_range rows = {first_row, row_count};
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < schema->column_count; i++)
        bytes += field_bytes(batch, schema->columns[i], rows);
    return bytes == 0 ? PADDING : bytes;
}

uint64_t fletch_batch_body_bytes(const struct fletch_batch *batch)
{
    return fletch_batch_body_bytes_of(batch, 0, batch->row_count);
}

/* ---- who pays ---- */

static uint64_t unpaid_bytes_of_buffer(const struct fletch_buffer *buffer)
{
    if (buffer->kind == FLETCH_BUFFER_SLICE)
        buffer = fletch_buffer_source_of(buffer)->parent;
    /* relaxed: whoever is charged, somebody is; a charge is moved and never dropped while the
     * batch is there */
    return load_relaxed(&buffer->account) == NULL ? fletch_buffer_charge_bytes(buffer) : 0;
}

/* Bytes that the batch keeps alive and that nobody is charged for. */
static uint64_t unpaid_bytes(const struct fletch_batch *batch)
{
    uint64_t bytes = unpaid_bytes_of_buffer(batch->block);
    for (uint32_t i = 0; i < batch->owner_count; i++)
        bytes += unpaid_bytes_of_buffer(batch->owners[i]);
    for (uint32_t i = 0; i < batch->dictionary_count; i++)
        if (batch->dictionaries[i] != NULL)
            bytes += unpaid_bytes(batch->dictionaries[i]);
    if (batch->metadata != NULL)
        bytes += unpaid_bytes_of_buffer(batch->metadata);
    return bytes;
}

uint64_t fletch_batch_kept_bytes(const struct fletch_batch *batch)
{
    uint64_t bytes = fletch_buffer_charge_bytes(batch->block);
    for (uint32_t i = 0; i < batch->owner_count; i++)
        bytes += fletch_buffer_charge_bytes(batch->owners[i]);
    if (batch->metadata != NULL)
        bytes += fletch_buffer_charge_bytes(batch->metadata);
    return bytes;
}

static void pass_charge(struct fletch_buffer *buffer, struct fletch_account *from,
                        struct fletch_account *above)
{
    const struct fletch_buffer *payer = buffer;
    if (buffer->kind == FLETCH_BUFFER_SLICE)
        payer = fletch_buffer_source_of(buffer)->parent;
    /* relaxed: what is charged to a writer's account only the writer moves */
    if (load_relaxed(&payer->account) != from)
        return;
    enum fletch_status status = fletch_buffer_transfer(buffer, above, 0, NULL);
    FLETCH_ASSERT(status == FLETCH_OK && "an account above is charged already");
    (void)status;
}

void fletch_batch_pass_charge(struct fletch_batch *batch, struct fletch_account *from,
                              struct fletch_account *above)
{
    pass_charge(batch->block, from, above);
    for (uint32_t i = 0; i < batch->owner_count; i++)
        pass_charge(batch->owners[i], from, above);
    if (batch->metadata != NULL)
        pass_charge(batch->metadata, from, above);
}

static void drop_payee(void *batch)
{
    fletch_batch_release(NULL, batch);
}

enum fletch_status fletch_batch_pay(struct fletch_buffer_cache *cache, struct fletch_batch *batch,
                                    struct fletch_account *account, struct fletch_batch **out_batch,
                                    struct fletch_error *error)
{
    struct fletch_buffer *toll = NULL;
    uint64_t bytes = unpaid_bytes(batch);
    if (bytes == 0) {
        *out_batch = fletch_batch_acquire_inline(batch);
        return FLETCH_OK;
    }
    const struct fletch_foreign_memory memory = {
        .data = batch->block->data, .bytes = bytes, .release = drop_payee, .context = batch};
    enum fletch_status status = fletch_buffer_wrap(cache, &memory, account, &toll, error);
    if (status != FLETCH_OK)
        return status;
    fletch_batch_acquire_inline(batch); /* the toll's */
    struct fletch_batch_parts parts = fletch_batch_parts_of(batch);
    parts.owners = &toll;
    parts.owner_count = 1;
    status = fletch_batch_create(cache, account, &parts, out_batch, error);
    if (status == FLETCH_OK)
        fletch_batch_acquire_shared_parts(batch);
    else
        fletch_buffer_release(cache, toll);
    return status;
}
