#include "arrow/ipc_repeat.h"

#include <string.h>

/* Metadata of more bytes is not compared: its batches have many columns, or much to say. */
enum { METADATA_BYTES_MOST = 8192 };

static bool is_plain(const struct fletch_field *field)
{
    const struct fletch_type_layout *layout = fletch_type_layout(&field->type);
    if (field->dictionary != FLETCH_NO_INDEX || field->view != FLETCH_NO_INDEX ||
        field->type.id == FLETCH_TYPE_RUN_END_ENCODED)
        return false;
    for (uint32_t i = 0; i < field->span_count; i++) {
        enum fletch_span_kind kind = (enum fletch_span_kind)layout->spans[i];
        if (kind != FLETCH_SPAN_VALIDITY && kind != FLETCH_SPAN_BITS && kind != FLETCH_SPAN_VALUES)
            return false;
    }
    return true;
}

bool fletch_ipc_repeat_suits(const struct fletch_schema *schema)
{
    for (uint32_t row = 0; row < schema->field_count; row++)
        if (!is_plain(&schema->fields[row]))
            return false;
    return true;
}

static const uint8_t *data_of(const struct fletch_ipc_body *body)
{
    return fletch_buffer_data(body->buffer) + body->offset;
}

void fletch_ipc_repeat_keep(struct fletch_ipc_repeat *repeat,
                            const struct fletch_ipc_batch_source *source,
                            const struct fletch_ipc_input *message,
                            const struct fletch_batch *batch)
{
    const struct fletch_ipc_body *body = &message->body;
    size_t bytes = message->metadata_bytes;
    repeat->metadata_bytes = 0;
    if (bytes > METADATA_BYTES_MOST || body->buffer == NULL || batch->owner_count != 1)
        return;
    if (repeat->metadata == NULL || fletch_buffer_capacity(repeat->metadata) < bytes) {
        fletch_buffer_release(source->cache, repeat->metadata);
        repeat->metadata = NULL;
        if (fletch_buffer_allocate(source->cache, bytes, source->account, &repeat->metadata,
                                   NULL) != FLETCH_OK)
            return;
    }
    memcpy(fletch_buffer_mutable_data(repeat->metadata), message->metadata, bytes);
    repeat->metadata_bytes = bytes;
    repeat->body_data = data_of(body);
    repeat->body_bytes = body->bytes;
    repeat->row_count = batch->row_count;
}

bool fletch_ipc_repeat_knows(const struct fletch_ipc_repeat *repeat,
                             const struct fletch_ipc_input *message)
{
    const struct fletch_ipc_body *body = &message->body;
    if (repeat->metadata_bytes == 0 || repeat->metadata_bytes != message->metadata_bytes ||
        body->buffer == NULL || body->bytes < repeat->body_bytes)
        return false;
    const uintptr_t shift = (uintptr_t)data_of(body) - (uintptr_t)repeat->body_data;
    return shift % FLETCH_BUFFER_ALIGNMENT == 0 &&
           memcmp(fletch_buffer_data(repeat->metadata), message->metadata,
                  message->metadata_bytes) == 0;
}

enum fletch_status fletch_ipc_repeat_read(struct fletch_ipc_repeat *repeat,
                                          const struct fletch_ipc_batch_source *source,
                                          const struct fletch_ipc_body *body,
                                          struct fletch_batch **out_batch,
                                          struct fletch_error *error)
{
    struct fletch_batch_span *spans = source->room.spans;
    const uint8_t *data = data_of(body);
    /* Those without bytes lie in no body. */
    for (uint32_t i = 0; i < source->span_count; i++)
        if (spans[i].bytes != 0)
            spans[i].data = data + (spans[i].data - repeat->body_data);
    repeat->body_data = data;
    source->room.owners[0] = fletch_buffer_acquire(body->buffer);
    enum fletch_status status =
        fletch_ipc_batch_make(source, repeat->row_count, 1, out_batch, error);
    if (status != FLETCH_OK)
        fletch_buffer_release(source->cache, body->buffer);
    return status;
}

void fletch_ipc_repeat_end(struct fletch_ipc_repeat *repeat, struct fletch_buffer_cache *cache)
{
    fletch_buffer_release(cache, repeat->metadata);
    *repeat = (struct fletch_ipc_repeat){0};
}
