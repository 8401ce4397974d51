#include "arrow/ipc_batch_reader.h"

#include <inttypes.h>
#include <string.h>

#include "base/bits.h"

enum { BUFFER_ALIGNMENT = 8 };

/* Where spans without bytes point that are not absent. */
static const _Alignas(64) uint8_t nothing[64];

struct reading {
    const struct fletch_ipc_batch_source *source;
    const struct fletch_ipc_body *body;
    const uint8_t *body_data;
    uint32_t owner_count; /* owners[0] is the body, if there is one */
    size_t copied_bytes;
    struct fletch_error *error;
};

static enum fletch_status check_counts(const struct fletch_schema *schema,
                                       const struct fletch_ipc_batch_header *header,
                                       struct fletch_error *error)
{
    if (header->row_count < 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "record batch of %" PRId64 " rows",
                                header->row_count);
    if (header->nodes.count != schema->field_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "record batch has %" PRIu32 " field nodes, the schema %" PRIu32,
                                header->nodes.count, schema->field_count);
    if (header->buffers.count != schema->span_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "record batch has %" PRIu32 " buffers, the schema's types %" PRIu32,
                                header->buffers.count, schema->span_count);
    return FLETCH_OK;
}

static enum fletch_status read_nodes(const struct reading *reading,
                                     const struct fletch_ipc_batch_header *header)
{
    const struct fletch_schema *schema = reading->source->schema;
    struct fletch_batch_node *nodes = reading->source->room.nodes;
    for (uint32_t row = 0; row < header->nodes.count; row++) {
        const uint8_t *bytes = header->nodes.elements + (size_t)row * FLETCH_IPC_NODE_BYTES;
        int64_t length = fletch_flatbuffer_load_i64(bytes);
        int64_t null_count = fletch_flatbuffer_load_i64(bytes + 8);
        if (length < 0 || null_count < 0 || null_count > length)
            return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                                    "field '%s' has length %" PRId64 " and null count %" PRId64,
                                    fletch_field_path_of(schema, row).text, length, null_count);
        /* What is null without a bitmap is so whatever the count says. */
        if (schema->fields[row].span_count == 0)
            null_count = length;
        nodes[row] = (struct fletch_batch_node){.length = length, .null_count = null_count};
    }
    return FLETCH_OK;
}

/* Lets the span be a copy of `bytes` bytes at `data`, in a buffer of its own. */
static enum fletch_status copy_aligned(struct reading *reading, const uint8_t *data, size_t bytes,
                                       struct fletch_batch_span *out_span)
{
    struct fletch_buffer *copy = NULL;
    reading->copied_bytes += bytes;
    /* Buffers may overlap; copies of the same bytes again and again may not. */
    if (reading->copied_bytes > reading->body->bytes)
        return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                                "misaligned buffers overlap: %zu bytes or more in a body of %zu",
                                reading->copied_bytes, reading->body->bytes);
    enum fletch_status status = fletch_buffer_allocate(
        reading->source->cache, bytes, reading->source->account, &copy, reading->error);
    if (status != FLETCH_OK)
        return status;
    memcpy(fletch_buffer_mutable_data(copy), data, bytes);
    reading->source->room.owners[reading->owner_count++] = copy;
    *out_span = (struct fletch_batch_span){fletch_buffer_data(copy), bytes};
    return FLETCH_OK;
}

static enum fletch_status refuse_range(const struct reading *reading, uint32_t row, uint32_t index,
                                       const int64_t range[2])
{
    return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                            "field '%s', buffer %" PRIu32 ": offset %" PRId64 " and length %" PRId64
                            " do not lie in a body of %zu bytes",
                            fletch_field_path_of(reading->source->schema, row).text, index,
                            range[0], range[1], reading->body->bytes);
}

/* Buffer `index` of field `row`, told by 16 bytes at `told`. */
static enum fletch_status read_span(struct reading *reading, uint32_t row, uint32_t index,
                                    const uint8_t *told)
{
    const struct fletch_field *field = &reading->source->schema->fields[row];
    const struct fletch_batch_node *node = &reading->source->room.nodes[row];
    struct fletch_batch_span *span = &reading->source->room.spans[field->first_span + index];
    int64_t range[2] = {fletch_flatbuffer_load_i64(told), fletch_flatbuffer_load_i64(told + 8)};
    uint64_t body_bytes = reading->body->bytes;
    if (range[0] < 0 || range[1] < 0 || (uint64_t)range[0] > body_bytes ||
        (uint64_t)range[1] > body_bytes - (uint64_t)range[0])
        return refuse_range(reading, row, index, range);

    enum fletch_span_kind kind =
        (enum fletch_span_kind)fletch_type_layout(&field->type)->spans[index];
    *span = (struct fletch_batch_span){0};
    if (kind == FLETCH_SPAN_VALIDITY && node->null_count == 0 && !reading->source->keeps_validity)
        return FLETCH_OK;
    if (range[1] == 0) {
        if (kind == FLETCH_SPAN_VALUES || kind == FLETCH_SPAN_BYTES)
            span->data = nothing;
        return FLETCH_OK;
    }
    const uint8_t *data = reading->body_data + range[0];
    if ((uintptr_t)data % BUFFER_ALIGNMENT != 0)
        return copy_aligned(reading, data, (size_t)range[1], span);
    *span = (struct fletch_batch_span){data, (size_t)range[1]};
    return FLETCH_OK;
}

static enum fletch_status read_spans(struct reading *reading,
                                     const struct fletch_ipc_batch_header *header)
{
    const struct fletch_schema *schema = reading->source->schema;
    const uint8_t *told = header->buffers.elements;
    enum fletch_status status = FLETCH_OK;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        uint32_t count = schema->fields[row].span_count;
        for (uint32_t index = 0; index < count && status == FLETCH_OK; index++) {
            status = read_span(reading, row, index, told);
            told += FLETCH_IPC_BUFFER_BYTES;
        }
    }
    return status;
}

static enum fletch_status make_batch(const struct reading *reading,
                                     const struct fletch_ipc_batch_header *header,
                                     struct fletch_batch **out_batch)
{
    const struct fletch_ipc_batch_source *source = reading->source;
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(source->schema),
        .row_count = header->row_count,
        .nodes = source->room.nodes,
        .node_count = source->schema->field_count,
        .spans = source->room.spans,
        .span_count = source->schema->span_count,
        .owners = source->room.owners,
        .owner_count = reading->owner_count,
        .dictionaries = source->dictionaries,
        .dictionary_count = source->schema->dictionary_count,
    };
    for (uint32_t i = 0; i < parts.dictionary_count; i++)
        fletch_batch_acquire(parts.dictionaries[i]);
    enum fletch_status status =
        fletch_batch_create(source->cache, source->account, &parts, out_batch, reading->error);
    if (status == FLETCH_OK)
        return FLETCH_OK;
    for (uint32_t i = 0; i < parts.dictionary_count; i++)
        fletch_batch_release(source->cache, parts.dictionaries[i]);
    fletch_schema_release(source->schema);
    return status;
}

enum fletch_status fletch_ipc_batch_read(const struct fletch_ipc_batch_source *source,
                                         const struct fletch_ipc_batch_header *header,
                                         const struct fletch_ipc_body *body,
                                         struct fletch_batch **out_batch,
                                         struct fletch_error *error)
{
    struct reading reading = {.source = source, .body = body, .error = error};
    if (body->buffer != NULL) {
        reading.body_data = fletch_buffer_data(body->buffer) + body->offset;
        source->room.owners[0] = fletch_buffer_acquire(body->buffer);
        reading.owner_count = 1;
    }
    enum fletch_status status = check_counts(source->schema, header, error);
    if (status == FLETCH_OK)
        status = read_nodes(&reading, header);
    if (status == FLETCH_OK)
        status = read_spans(&reading, header);
    if (status == FLETCH_OK)
        status = make_batch(&reading, header, out_batch);
    if (status == FLETCH_OK)
        return FLETCH_OK;
    for (uint32_t i = 0; i < reading.owner_count; i++)
        fletch_buffer_release(source->cache, source->room.owners[i]);
    return status;
}
