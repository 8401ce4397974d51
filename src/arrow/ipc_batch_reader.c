#include "arrow/ipc_batch_reader.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/ipc_endian.h"
#include "base/bits.h"

enum { BUFFER_ALIGNMENT = 8 };

/* In front of a buffer of a compressed body stands its length, or that it is not compressed. */
enum { LENGTH_BYTES = 8, AS_IT_IS = -1 };

/* Where spans without bytes point that are not absent. */
static const _Alignas(64) uint8_t nothing[64];

struct reading {
    const struct fletch_ipc_batch_source *source;
    const struct fletch_ipc_body *body;
    const uint8_t *body_data;
    uint32_t owner_count; /* owners[0] is the body, if there is one */
    size_t copied_bytes;
    enum fletch_codec codec;
    uint64_t expanded_bytes; /* of the buffers of a compressed body */
    bool uses_body;
    struct fletch_error *error;
};

/* The data buffers that view field `index` has: not negative, that was checked. */
static uint32_t variadic_of(const struct fletch_ipc_batch_header *header, uint32_t index)
{
    const uint8_t *told = header->variadic.elements + index * sizeof(int64_t);
    return (uint32_t)fletch_flatbuffer_load_i64(told);
}

/* Adds the data buffers of all views. No more of them are told than there are buffers. */
static enum fletch_status count_variadic(const struct fletch_schema *schema,
                                         const struct fletch_ipc_batch_header *header,
                                         uint32_t *count, struct fletch_error *error)
{
    if (header->variadic.count != schema->view_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "record batch tells how many data buffers %" PRIu32
                                " fields have, the schema has %" PRIu32 " views",
                                header->variadic.count, schema->view_count);
    for (uint32_t i = 0; i < schema->view_count; i++) {
        int64_t told = fletch_flatbuffer_load_i64(header->variadic.elements + i * sizeof told);
        if (told < 0 || told > (int64_t)header->buffers.count - *count)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "record batch has a view of %" PRId64
                                    " data buffers, and %" PRIu32 " buffers in all",
                                    told, header->buffers.count);
        *count += (uint32_t)told;
    }
    return FLETCH_OK;
}

/* Before V5 unions had a validity, and runs where they are written in V4. */
static bool has_old_validity(const struct fletch_ipc_batch_header *header,
                             const struct fletch_field *field)
{
    return header->version < FLETCH_IPC_V5 && field->type.id != FLETCH_TYPE_NULL &&
           !fletch_type_has_validity(field->type.id);
}

enum fletch_status fletch_ipc_batch_count(const struct fletch_schema *schema,
                                          const struct fletch_ipc_batch_header *header,
                                          uint32_t *out_span_count, struct fletch_error *error)
{
    if (header->row_count < 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "record batch of %" PRId64 " rows",
                                header->row_count);
    if (header->nodes.count != schema->field_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "record batch has %" PRIu32 " field nodes, the schema %" PRIu32,
                                header->nodes.count, schema->field_count);
    uint32_t data_buffers = 0;
    enum fletch_status status = count_variadic(schema, header, &data_buffers, error);
    if (status != FLETCH_OK)
        return status;
    uint64_t expected = (uint64_t)schema->span_count + data_buffers;
    *out_span_count = (uint32_t)expected;
    for (uint32_t row = 0; header->version < FLETCH_IPC_V5 && row < schema->field_count; row++)
        expected += has_old_validity(header, &schema->fields[row]);
    if (header->buffers.count != expected)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "record batch has %" PRIu32 " buffers, the schema's types %" PRIu64,
                                header->buffers.count, expected);
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
        /* What is null without a bitmap is so whatever the count says, and what has none is not. */
        enum fletch_type_id type = schema->fields[row].type.id;
        if (!fletch_type_has_validity(type))
            null_count = type == FLETCH_TYPE_NULL ? length : 0;
        nodes[row] = (struct fletch_batch_node){.length = length, .null_count = null_count};
    }
    return FLETCH_OK;
}

/* Buffer `index` of field `row`. */
struct told_buffer {
    uint32_t row;
    uint32_t index;
    enum fletch_span_kind kind;
    const uint8_t *data;
    size_t bytes;
};

/* Whether the buffer's numbers are in the other order of bytes. */
static bool is_turned(const struct reading *reading, const struct told_buffer *told)
{
    const struct fletch_type *type = &reading->source->schema->fields[told->row].type;
    return reading->source->is_big_endian && fletch_ipc_span_has_order(type, told->kind);
}

/* Puts the numbers of `made`, which is the buffer's contents, in our order. */
static void turn(const struct reading *reading, const struct told_buffer *told,
                 struct fletch_buffer *made)
{
    const struct fletch_type *type = &reading->source->schema->fields[told->row].type;
    if (is_turned(reading, told))
        fletch_ipc_span_turn(type, told->kind, fletch_buffer_mutable_data(made),
                             fletch_buffer_bytes(made));
}

/* Lets the span be a copy of what is told, in a buffer of its own. */
static enum fletch_status copy(struct reading *reading, const struct told_buffer *told,
                               struct fletch_batch_span *out_span)
{
    struct fletch_buffer *copy = NULL;
    size_t bytes = told->bytes;
    reading->copied_bytes += bytes;
    /* Buffers may overlap; copies of the same bytes again and again may not. */
    if (reading->copied_bytes > reading->body->bytes)
        return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                                "buffers that are copied overlap: %zu bytes or more in a body of "
                                "%zu",
                                reading->copied_bytes, reading->body->bytes);
    enum fletch_status status = fletch_buffer_allocate(
        reading->source->cache, bytes, reading->source->account, &copy, reading->error);
    if (status != FLETCH_OK)
        return status;
    memcpy(fletch_buffer_mutable_data(copy), told->data, bytes);
    turn(reading, told, copy);
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

static enum fletch_status refuse_compressed(const struct reading *reading,
                                            const struct told_buffer *told, const char *why,
                                            int64_t number)
{
    return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                            "field '%s', buffer %" PRIu32 " of %zu compressed bytes: %s %" PRId64,
                            fletch_field_path_of(reading->source->schema, told->row).text,
                            told->index, told->bytes, why, number);
}

/* Counts what becomes of a compressed body before there is memory for it. */
static enum fletch_status count_expanded(struct reading *reading, const struct told_buffer *told,
                                         int64_t bytes)
{
    reading->expanded_bytes += (uint64_t)bytes;
    if (reading->expanded_bytes > reading->source->body_limit_bytes)
        return refuse_compressed(reading, told, "becomes, with those before it, more bytes than",
                                 (int64_t)reading->source->body_limit_bytes);
    return FLETCH_OK;
}

/* Lets the span be what `told` stands for: the length of the data, and these, compressed. */
static enum fletch_status expand(struct reading *reading, const struct told_buffer *told,
                                 struct fletch_batch_span *out_span)
{
    const struct fletch_ipc_batch_source *source = reading->source;
    const int64_t bytes = fletch_flatbuffer_load_i64(told->data);
    const struct fletch_compressed compressed = {told->data + LENGTH_BYTES,
                                                 told->bytes - LENGTH_BYTES, (size_t)bytes};
    enum fletch_status status = count_expanded(reading, told, bytes);
    if (status != FLETCH_OK)
        return status;
    if (!fletch_compressed_may_hold(reading->codec, &compressed))
        return refuse_compressed(reading, told, "cannot stand for the length that is told,", bytes);
    struct fletch_buffer *made = NULL;
    status = fletch_buffer_allocate(source->cache, (size_t)bytes, source->account, &made,
                                    reading->error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_error cause;
    status = fletch_decompressor_run(source->decompressor, reading->codec, &compressed,
                                     fletch_buffer_mutable_data(made), &cause);
    if (status != FLETCH_OK) {
        fletch_buffer_release(source->cache, made);
        return fletch_error_set(reading->error, status, "field '%s', buffer %" PRIu32 ": %s",
                                fletch_field_path_of(source->schema, told->row).text, told->index,
                                cause.message);
    }
    turn(reading, told, made);
    source->room.owners[reading->owner_count++] = made;
    *out_span = (struct fletch_batch_span){fletch_buffer_data(made), (size_t)bytes};
    return FLETCH_OK;
}

static enum fletch_status take(struct reading *reading, const struct told_buffer *told,
                               struct fletch_batch_span *out_span)
{
    if ((uintptr_t)told->data % BUFFER_ALIGNMENT != 0 || is_turned(reading, told))
        return copy(reading, told, out_span);
    reading->uses_body = true;
    *out_span = (struct fletch_batch_span){told->data, told->bytes};
    return FLETCH_OK;
}

/* A buffer of a compressed body. One that would not become smaller is there as it is. */
static enum fletch_status take_compressed(struct reading *reading, struct told_buffer told,
                                          struct fletch_batch_span *out_span)
{
    if (told.bytes < LENGTH_BYTES)
        return refuse_compressed(reading, &told, "expected a length first, of bytes", LENGTH_BYTES);
    int64_t bytes = fletch_flatbuffer_load_i64(told.data);
    if (bytes < AS_IT_IS)
        return refuse_compressed(reading, &told, "has length", bytes);
    if (bytes > 0)
        return expand(reading, &told, out_span);
    told.data += LENGTH_BYTES;
    told.bytes -= LENGTH_BYTES;
    enum fletch_status status = FLETCH_OK;
    if (bytes == AS_IT_IS && told.bytes > 0) {
        status = count_expanded(reading, &told, (int64_t)told.bytes);
        return status != FLETCH_OK ? status : take(reading, &told, out_span);
    }
    return FLETCH_OK;
}

/* Whether a span without bytes is none at all, and not one of no elements. */
static bool is_absent(enum fletch_span_kind kind)
{
    return kind == FLETCH_SPAN_VALIDITY || kind == FLETCH_SPAN_OFFSETS32 ||
           kind == FLETCH_SPAN_OFFSETS64;
}

/* The buffer that `told`, of which all but data and bytes is known, is told to be at `range`. */
static enum fletch_status read_span(struct reading *reading, struct told_buffer told,
                                    const uint8_t *range_bytes, struct fletch_batch_span *span)
{
    const struct fletch_batch_node *node = &reading->source->room.nodes[told.row];
    int64_t range[2] = {fletch_flatbuffer_load_i64(range_bytes),
                        fletch_flatbuffer_load_i64(range_bytes + 8)};
    uint64_t body_bytes = reading->body->bytes;
    if (range[0] < 0 || range[1] < 0 || (uint64_t)range[0] > body_bytes ||
        (uint64_t)range[1] > body_bytes - (uint64_t)range[0])
        return refuse_range(reading, told.row, told.index, range);
    *span = (struct fletch_batch_span){0};
    if (told.kind == FLETCH_SPAN_VALIDITY && node->null_count == 0 &&
        !reading->source->keeps_validity)
        return FLETCH_OK;
    if (!is_absent(told.kind))
        span->data = nothing;
    if (range[1] == 0)
        return FLETCH_OK;
    told.data = reading->body_data + range[0];
    told.bytes = (size_t)range[1];
    return reading->codec == FLETCH_CODEC_NONE ? take(reading, &told, span)
                                               : take_compressed(reading, told, span);
}

/* Such a validity is let go if nothing is null by it; else the children would have to be made anew,
 * with nulls where the field's own are. */
static enum fletch_status skip_old_validity(const struct reading *reading, uint32_t row,
                                            const struct fletch_ipc_batch_header *header,
                                            const uint8_t *told)
{
    const uint8_t *node = header->nodes.elements + (size_t)row * FLETCH_IPC_NODE_BYTES;
    int64_t null_count = fletch_flatbuffer_load_i64(node + 8);
    if (null_count == 0 || fletch_flatbuffer_load_i64(told + 8) == 0)
        return FLETCH_OK;
    return fletch_error_set(
        reading->error, FLETCH_UNIMPLEMENTED,
        "field '%s': %s of metadata V4 with %" PRId64 " nulls of its own, which is not implemented",
        fletch_field_path_of(reading->source->schema, row).text,
        fletch_type_layout(&reading->source->schema->fields[row].type)->name, null_count);
}

/* The buffers of a field, which are told from `*told` on; that moves behind them. */
static enum fletch_status read_field_spans(struct reading *reading, uint32_t row,
                                           const struct fletch_ipc_batch_header *header,
                                           const uint8_t **told)
{
    const struct fletch_field *field = &reading->source->schema->fields[row];
    const struct fletch_ipc_room *room = &reading->source->room;
    const struct fletch_type_layout *layout = fletch_type_layout(&field->type);
    struct told_buffer buffer = {.row = row};
    enum fletch_status status = FLETCH_OK;
    if (has_old_validity(header, field)) {
        status = skip_old_validity(reading, row, header, *told);
        *told += FLETCH_IPC_BUFFER_BYTES;
    }
    for (uint32_t i = 0; i < field->span_count && status == FLETCH_OK; i++) {
        buffer.kind = (enum fletch_span_kind)layout->spans[i];
        status = read_span(reading, buffer, *told, &room->spans[field->first_span + i]);
        *told += FLETCH_IPC_BUFFER_BYTES;
        buffer.index++;
    }
    if (field->view == FLETCH_NO_INDEX)
        return status;
    const uint32_t *ends = &room->view_spans[field->view];
    buffer.kind = FLETCH_SPAN_BYTES;
    for (uint32_t i = ends[0]; i < ends[1] && status == FLETCH_OK; i++) {
        status = read_span(reading, buffer, *told, &room->spans[i]);
        *told += FLETCH_IPC_BUFFER_BYTES;
        buffer.index++;
    }
    return status;
}

static enum fletch_status read_spans(struct reading *reading,
                                     const struct fletch_ipc_batch_header *header)
{
    const struct fletch_schema *schema = reading->source->schema;
    uint32_t *view_spans = reading->source->room.view_spans;
    const uint8_t *told = header->buffers.elements;
    enum fletch_status status = FLETCH_OK;
    view_spans[0] = schema->span_count;
    for (uint32_t i = 0; i < schema->view_count; i++)
        view_spans[i + 1] = view_spans[i] + variadic_of(header, i);
    for (uint32_t row = 0; row < schema->field_count && status == FLETCH_OK; row++)
        status = read_field_spans(reading, row, header, &told);
    return status;
}

/* A body of which all was made anew. */
static void drop_unused_body(struct reading *reading)
{
    struct fletch_buffer **owners = reading->source->room.owners;
    if (reading->codec == FLETCH_CODEC_NONE || reading->body->buffer == NULL || reading->uses_body)
        return;
    fletch_buffer_release(reading->source->cache, owners[0]);
    owners[0] = owners[--reading->owner_count];
}

enum fletch_status fletch_ipc_batch_make(const struct fletch_ipc_batch_source *source,
                                         int64_t row_count, uint32_t owner_count,
                                         struct fletch_batch **out_batch,
                                         struct fletch_error *error)
{
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(source->schema),
        .row_count = row_count,
        .nodes = source->room.nodes,
        .node_count = source->schema->field_count,
        .spans = source->room.spans,
        .span_count = source->span_count,
        .view_spans = source->room.view_spans,
        .view_count = source->schema->view_count,
        .owners = source->room.owners,
        .owner_count = owner_count,
        .dictionaries = source->dictionaries,
        .dictionary_count = source->schema->dictionary_count,
    };
    for (uint32_t i = 0; i < parts.dictionary_count; i++)
        fletch_batch_acquire(parts.dictionaries[i]);
    enum fletch_status status =
        fletch_batch_create(source->cache, source->account, &parts, out_batch, error);
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
    struct reading reading = {
        .source = source, .body = body, .codec = header->codec, .error = error};
    if (body->buffer != NULL) {
        reading.body_data = fletch_buffer_data(body->buffer) + body->offset;
        source->room.owners[0] = fletch_buffer_acquire(body->buffer);
        reading.owner_count = 1;
    }
    enum fletch_status status = read_nodes(&reading, header);
    if (status == FLETCH_OK)
        status = read_spans(&reading, header);
    if (status == FLETCH_OK)
        drop_unused_body(&reading);
    if (status == FLETCH_OK)
        status =
            fletch_ipc_batch_make(source, header->row_count, reading.owner_count, out_batch, error);
    if (status == FLETCH_OK)
        return FLETCH_OK;
    for (uint32_t i = 0; i < reading.owner_count; i++)
        fletch_buffer_release(source->cache, source->room.owners[i]);
    return status;
}
