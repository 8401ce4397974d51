#include "partition/batch_recoder.h"

#include <string.h>

#include "arrow/schema_builder.h"
#include "partition/nested_blank.h"
#include "partition/nested_gather.h"

enum { ALIGNMENT = 64 };

/* A batch in the making: its tables lie in one block of scratch. */
struct draft {
    const struct fletch_recoder *recoder;
    const struct fletch_batch *batch; /* that it is made of */
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans; /* those of views' data behind the others */
    uint32_t *view_spans;
    uint32_t span_count;
    struct fletch_batch **dictionaries;
    struct fletch_buffer **owners; /* of the batch, then those of recoded fields */
    uint32_t owner_count;
    struct fletch_error *error;
};

/* A field that is recoded, as it is and as it is to be. Elements are written from element `skipped`
 * of the old buffers on; `column` counts them from the node's own offset. */
struct recoding {
    struct fletch_node_view column;
    const struct fletch_field *field;
    struct fletch_batch *values; /* of the batch's dictionary; NULL: none, or plain */
    struct fletch_node_view value_column;
    int64_t count;
    bool is_aligned; /* with a parent: then nothing is skipped */
    int64_t skipped; /* a multiple of 8: bitmaps are shared by whole bytes */
    size_t end;      /* elements of the new buffers, those in front of the offset included */
};

struct row_range {
    uint32_t first;
    uint32_t end;
};

static size_t padded(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t offset_width(const struct fletch_field *field)
{
    return fletch_type_layout(&field->type)->spans[1] == FLETCH_SPAN_OFFSETS64 ? 8 : 4;
}

static size_t position_of(const struct recoding *recoding, int64_t element)
{
    return (size_t)(recoding->column.offset - recoding->skipped + element);
}

/* The value that an element of the batch stands for; -1: null. */
static int64_t value_index(const struct recoding *recoding, int64_t element)
{
    if (fletch_view_is_null(&recoding->column, element))
        return -1;
    int64_t index = fletch_view_integer(&recoding->column, element);
    return fletch_view_is_null(&recoding->value_column, index) ? -1 : index;
}

/* What the batch keeps alive, the draft does too. */
static void hold_owners(struct draft *draft, const struct fletch_batch *batch)
{
    for (uint32_t i = 0; i < batch->owner_count; i++)
        draft->owners[draft->owner_count++] = fletch_buffer_acquire(batch->owners[i]);
}

/* ---- new buffers ---- */

/* A buffer that the draft owns, all zeros. */
static enum fletch_status add_buffer(struct draft *draft, size_t bytes, uint8_t **out_data)
{
    struct fletch_buffer *buffer = NULL;
    enum fletch_status status =
        fletch_buffer_allocate(draft->recoder->cache, bytes == 0 ? 1 : bytes,
                               draft->recoder->account, &buffer, draft->error);
    if (status != FLETCH_OK)
        return status;
    memset(buffer->data, 0, bytes);
    draft->owners[draft->owner_count++] = buffer;
    *out_data = buffer->data;
    return FLETCH_OK;
}

/* The bitmap of the batch's field, which starts `skipped` elements further on now. */
static void share_validity(const struct draft *draft, const struct recoding *recoding)
{
    if (recoding->field->span_count == 0 || recoding->column.validity == NULL)
        return;
    const struct fletch_node_view *column = &recoding->column;
    const struct fletch_batch_span *old = &column->batch->spans[column->field->first_span];
    size_t bytes = (size_t)recoding->skipped / 8;
    draft->spans[recoding->field->first_span] =
        (struct fletch_batch_span){old->data + bytes, old->bytes - bytes};
}

/* ---- from a dictionary to plain values ---- */

static void decode_values(const struct recoding *recoding, uint8_t *values)
{
    size_t width = fletch_type_byte_width(&recoding->field->type);
    for (int64_t i = 0; width > 0 && i < recoding->count; i++) {
        int64_t index = value_index(recoding, i);
        if (index >= 0)
            memcpy(values + position_of(recoding, i) * width,
                   recoding->value_column.values +
                       (size_t)(recoding->value_column.offset + index) * width,
                   width);
    }
}

/* The bytes of long ones stay where the dictionary has them. */
static void decode_views(const struct recoding *recoding, uint8_t *views)
{
    for (int64_t i = 0; i < recoding->count; i++) {
        int64_t index = value_index(recoding, i);
        struct fletch_string_view view = {.bytes = 0};
        if (index >= 0)
            view = fletch_view_string(&recoding->value_column, index);
        memcpy(views + position_of(recoding, i) * sizeof view, &view, sizeof view);
    }
}

static void take_view_bytes(struct draft *draft, const struct recoding *recoding)
{
    const struct fletch_node_view *values = &recoding->value_column;
    draft->view_spans[recoding->field->view] = draft->span_count;
    if (recoding->values == NULL)
        return;
    for (uint32_t i = 0; i < values->buffer_count; i++)
        draft->spans[draft->span_count++] = values->buffers[i];
    hold_owners(draft, recoding->values);
}

static void decode_bits(const struct recoding *recoding, uint8_t *bits)
{
    for (int64_t i = 0; i < recoding->count; i++) {
        int64_t index = value_index(recoding, i);
        size_t at = position_of(recoding, i);
        if (index >= 0 &&
            fletch_view_bit(recoding->value_column.values, recoding->value_column.offset + index))
            bits[at / 8] = (uint8_t)(bits[at / 8] | 1U << at % 8);
    }
}

static void decode_strings(const struct recoding *recoding, uint8_t *offsets, uint8_t *bytes)
{
    size_t width = offset_width(recoding->field);
    int64_t end = 0;
    for (int64_t i = 0; i < recoding->count; i++) {
        int64_t index = value_index(recoding, i);
        if (index >= 0) {
            int64_t start = fletch_view_start(&recoding->value_column, index);
            int64_t length = fletch_view_start(&recoding->value_column, index + 1) - start;
            if (length > 0)
                memcpy(bytes + end, recoding->value_column.bytes + start, (size_t)length);
            end += length;
        }
        /* Little-endian: the low bytes are the offset in the narrower type. */
        memcpy(offsets + (position_of(recoding, i) + 1) * width, &end, width);
    }
}

static uint64_t decoded_bytes(const struct recoding *recoding)
{
    uint64_t bytes = 0;
    for (int64_t i = 0; i < recoding->count; i++) {
        int64_t index = value_index(recoding, i);
        if (index >= 0)
            bytes += (uint64_t)(fletch_view_start(&recoding->value_column, index + 1) -
                                fletch_view_start(&recoding->value_column, index));
    }
    return bytes;
}

/* Nulls of the indices and of the values. */
static void decode_validity(const struct recoding *recoding, uint8_t *bits)
{
    for (int64_t i = 0; i < recoding->count; i++) {
        size_t at = position_of(recoding, i);
        if (value_index(recoding, i) >= 0)
            bits[at / 8] = (uint8_t)(bits[at / 8] | 1U << at % 8);
    }
}

/* Bytes of the new buffers behind the validity; false: an offset cannot count so many. */
static bool measure_plain(const struct recoding *recoding, size_t sizes[2])
{
    const struct fletch_field *field = recoding->field;
    sizes[0] = field->type.id == FLETCH_TYPE_BOOL
                   ? (recoding->end + 7) / 8
                   : recoding->end * fletch_type_byte_width(&field->type);
    sizes[1] = 0;
    if (fletch_type_is_view(field->type.id))
        sizes[0] = recoding->end * sizeof(struct fletch_string_view);
    if (!fletch_type_is_variable(field->type.id))
        return true;
    uint64_t bytes = decoded_bytes(recoding);
    sizes[0] = (recoding->end + 1) * offset_width(field);
    sizes[1] = (size_t)bytes;
    return offset_width(field) == 8 || bytes <= INT32_MAX;
}

static enum fletch_status too_long(const struct draft *draft, const struct recoding *recoding,
                                   uint64_t bytes)
{
    char type[FLETCH_FIELD_TEXT_BYTES];
    return fletch_error_set(
        draft->error, FLETCH_OUT_OF_RANGE,
        "field '%s': %lld strings of %llu bytes together, once they are plain, and %s can have "
        "2147483647 in a batch",
        fletch_field_path_of(recoding->column.batch->schema, recoding->column.row).text,
        (long long)recoding->count, (unsigned long long)bytes,
        fletch_field_describe(draft->recoder->schema, recoding->field, type, sizeof type));
}

static enum fletch_status decode(struct draft *draft, const struct recoding *recoding)
{
    const struct fletch_field *field = recoding->field;
    struct fletch_batch_node *node = &draft->nodes[field - draft->recoder->schema->fields];
    struct fletch_batch_span *spans = draft->spans + field->first_span;
    bool has_null_values = recoding->values != NULL && recoding->value_column.validity != NULL;
    size_t validity_bytes = has_null_values ? (recoding->end + 7) / 8 : 0;
    size_t sizes[2];
    uint8_t *data;
    if (field->span_count == 0) {
        node->null_count = node->length;
        return FLETCH_OK;
    }
    if (!measure_plain(recoding, sizes))
        return too_long(draft, recoding, sizes[1]);
    enum fletch_status status =
        add_buffer(draft, padded(validity_bytes) + padded(sizes[0]) + sizes[1], &data);
    if (status != FLETCH_OK)
        return status;
    share_validity(draft, recoding);
    if (has_null_values) {
        decode_validity(recoding, data);
        spans[0] = (struct fletch_batch_span){data, validity_bytes};
        node->null_count = -1;
    }
    data += padded(validity_bytes);
    spans[1] = (struct fletch_batch_span){data, sizes[0]};
    if (fletch_type_is_variable(field->type.id)) {
        spans[2] = (struct fletch_batch_span){data + padded(sizes[0]), sizes[1]};
        decode_strings(recoding, data, data + padded(sizes[0]));
    } else if (fletch_type_is_view(field->type.id)) {
        decode_views(recoding, data);
        take_view_bytes(draft, recoding);
    } else if (field->type.id == FLETCH_TYPE_BOOL) {
        decode_bits(recoding, data);
    } else {
        decode_values(recoding, data);
    }
    return FLETCH_OK;
}

/* ---- to a dictionary ---- */

/* The field as a batch of its own, on the same buffers: its values as those of a dictionary. */
static enum fletch_status batch_of_field(const struct draft *draft,
                                         const struct fletch_node_view *column,
                                         struct fletch_schema *values,
                                         struct fletch_batch **out_batch)
{
    const struct fletch_batch *batch = column->batch;
    const uint32_t row = column->row;
    const struct fletch_recoder *recoder = draft->recoder;
    const struct fletch_field *field = &batch->schema->fields[row];
    uint32_t dictionary = 0;
    while (dictionary < batch->dictionary_count &&
           batch->schema->dictionaries[dictionary].field < row)
        dictionary++;
    struct fletch_buffer *scratch = NULL;
    size_t spans = values->span_count + (batch->span_count - (size_t)batch->schema->span_count);
    size_t span_bytes = spans * sizeof draft->spans[0];
    enum fletch_status status = fletch_buffer_allocate(
        recoder->cache, span_bytes + (values->view_count + (size_t)1) * sizeof(uint32_t),
        recoder->account, &scratch, draft->error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_batch_parts parts = {
        .schema = values,
        .row_count = batch->nodes[row].length,
        .nodes = batch->nodes + row,
        .node_count = values->field_count,
        .span_count = values->span_count,
        .view_count = values->view_count,
        .owners = batch->owners,
        .owner_count = batch->owner_count,
        .dictionaries = batch->dictionaries + dictionary,
        .dictionary_count = values->dictionary_count,
    };
    struct fletch_batch_span *copied = (void *)scratch->data;
    uint32_t *view_spans = (void *)(scratch->data + span_bytes);
    memcpy(copied, batch->spans + field->first_span, values->span_count * sizeof copied[0]);
    for (uint32_t i = 0; i < values->field_count; i++) {
        uint32_t view = batch->schema->fields[row + i].view;
        if (view == FLETCH_NO_INDEX)
            continue;
        view_spans[values->fields[i].view] = parts.span_count;
        for (uint32_t s = batch->view_spans[view]; s < batch->view_spans[view + 1]; s++)
            copied[parts.span_count++] = batch->spans[s];
    }
    view_spans[values->view_count] = parts.span_count;
    parts.spans = copied;
    parts.view_spans = view_spans;
    status = fletch_batch_create(recoder->cache, recoder->account, &parts, out_batch, draft->error);
    if (status == FLETCH_OK) {
        fletch_schema_acquire(values);
        for (uint32_t i = 0; i < parts.owner_count; i++)
            fletch_buffer_acquire(parts.owners[i]);
        for (uint32_t i = 0; i < parts.dictionary_count; i++)
            if (parts.dictionaries[i] != NULL)
                fletch_batch_acquire(parts.dictionaries[i]);
    }
    fletch_buffer_release(recoder->cache, scratch);
    return status;
}

/* Merges what the field has into the writer's dictionary, and so finds the indices of all: of its
 * dictionary's values, or of its own, if they are more than bytes. The store that takes these
 * recodes what is encoded otherwise below. */
static enum fletch_status merge_field(struct draft *draft, const struct recoding *recoding,
                                      struct fletch_dictionary_merger *merger)
{
    const struct fletch_node_view *column = &recoding->column;
    struct fletch_schema *schema = NULL;
    struct fletch_batch *values = NULL;
    if (column->field->dictionary != FLETCH_NO_INDEX)
        return fletch_merger_merge(merger, recoding->values, draft->error);
    enum fletch_status status = fletch_schema_of_field(column->batch->schema, column->row,
                                                       &merger->allocator, &schema, draft->error);
    if (status == FLETCH_OK)
        status = batch_of_field(draft, column, schema, &values);
    if (status == FLETCH_OK)
        status = fletch_merger_merge(merger, values, draft->error);
    fletch_batch_release(draft->recoder->cache, values);
    fletch_schema_release(schema);
    return status;
}

/* From plain values, or from the indices of the batch's own dictionary. */
static enum fletch_status encode(struct draft *draft, const struct recoding *recoding)
{
    const struct fletch_field *field = recoding->field;
    struct fletch_dictionary_merger *merger = &draft->recoder->dictionaries[field->dictionary];
    size_t width = fletch_type_byte_width(&field->type);
    uint8_t *indices;
    enum fletch_status status = add_buffer(draft, recoding->end * width, &indices);
    bool was_encoded = recoding->column.field->dictionary != FLETCH_NO_INDEX;
    if (status == FLETCH_OK && (was_encoded || fletch_merger_has_store(merger)))
        status = merge_field(draft, recoding, merger);
    for (int64_t i = 0; i < recoding->count && status == FLETCH_OK; i++) {
        uint32_t index = 0;
        if (fletch_view_is_null(&recoding->column, i))
            continue;
        if (was_encoded)
            index = merger->remap[fletch_view_integer(&recoding->column, i)];
        else if (fletch_merger_has_store(merger))
            index = merger->remap[i];
        else
            status = fletch_merger_add(merger, &recoding->column, i, &index, draft->error);
        uint64_t wide = index;
        memcpy(indices + position_of(recoding, i) * width, &wide, width);
    }
    if (status == FLETCH_OK)
        status = fletch_merger_take_snapshot(merger, draft->error);
    if (status != FLETCH_OK)
        return status;
    share_validity(draft, recoding);
    draft->spans[field->first_span + 1] =
        (struct fletch_batch_span){indices, recoding->end * width};
    draft->dictionaries[field->dictionary] = fletch_batch_acquire(merger->snapshot);
    return FLETCH_OK;
}

/* ---- from a dictionary to plain values with children ---- */

static enum fletch_status refuse_null(const struct draft *draft, const struct recoding *recoding,
                                      int64_t element)
{
    const struct fletch_schema *schema = draft->recoder->schema;
    char type[FLETCH_FIELD_TEXT_BYTES];
    return fletch_error_set(
        draft->error, FLETCH_INVALID_ARGUMENT,
        "field '%s': element %lld is null in its dictionary's indices, and plain values of %s have "
        "no null of their own",
        fletch_field_path_of(recoding->column.batch->schema, recoding->column.row).text,
        (long long)element, fletch_field_describe(schema, recoding->field, type, sizeof type));
}

static enum fletch_status list_indices(struct draft *draft, const struct recoding *recoding,
                                       int64_t *indices)
{
    const struct fletch_schema *schema = draft->recoder->schema;
    bool has_nulls = fletch_nested_has_nulls(schema, (uint32_t)(recoding->field - schema->fields));
    for (int64_t i = 0; i < recoding->count; i++) {
        indices[i] = value_index(recoding, i);
        if (indices[i] < 0 && !has_nulls)
            return refuse_null(draft, recoding, i);
    }
    return FLETCH_OK;
}

/* The values that the field's elements stand for, as a batch of the dictionary's own schema. */
static enum fletch_status gather(struct draft *draft, const struct recoding *recoding,
                                 struct fletch_batch **out_batch)
{
    const struct fletch_recoder *recoder = draft->recoder;
    const struct fletch_schema *schema = recoding->column.batch->schema;
    const struct fletch_field *field = recoding->field;
    struct fletch_buffer *indices = NULL;
    size_t bytes = ((size_t)recoding->count + 1) * sizeof(int64_t);
    enum fletch_status status =
        fletch_buffer_allocate(recoder->cache, bytes, recoder->account, &indices, draft->error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_nested_gather gather = {
        .source = {.schema = schema->dictionaries[recoding->column.field->dictionary].values,
                   .cache = recoder->cache,
                   .account = recoder->account},
        .allocator = &recoder->allocator,
        .values = recoding->values,
        .indices = (void *)indices->data,
        .count = recoding->count,
    };
    /* An aligned child begins no earlier than its parent. */
    if (recoding->is_aligned)
        gather.padding =
            draft->nodes[field->parent].offset *
            fletch_schema_stride_of(recoder->schema, (uint32_t)(field - recoder->schema->fields));
    status = list_indices(draft, recoding, (void *)indices->data);
    if (status == FLETCH_OK)
        status = fletch_nested_gather(&gather, out_batch, draft->error);
    fletch_buffer_release(recoder->cache, indices);
    return status;
}

/* ---- the batch ---- */

static enum fletch_status take_fields(struct draft *draft, const struct fletch_batch *batch,
                                      struct row_range rows);

static enum fletch_status start_recoding(struct draft *draft, uint32_t row,
                                         const struct fletch_node_view *column,
                                         struct recoding *recoding)
{
    const struct fletch_schema *schema = draft->recoder->schema;
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_batch *batch = column->batch;
    *recoding = (struct recoding){
        .column = *column,
        .field = field,
        .count = batch->nodes[column->row].length,
        /* The offset of an aligned child stays as it is. */
        .is_aligned = field->parent != FLETCH_NO_INDEX &&
                      fletch_schema_stride_of(schema, row) != FLETCH_CHILD_WHOLE,
    };
    if (!recoding->is_aligned)
        recoding->skipped = column->offset / 8 * 8;
    recoding->end = position_of(recoding, recoding->count);
    if (column->field->dictionary == FLETCH_NO_INDEX)
        return FLETCH_OK;
    recoding->values = batch->dictionaries[column->field->dictionary];
    if (recoding->values != NULL)
        recoding->value_column = fletch_node_view_of(recoding->values, 0);
    return fletch_merger_check_indices(batch, column->row, draft->error);
}

/* Whether values of the type are bytes side by side, views or null. */
static bool is_flat(const struct fletch_type *type)
{
    return fletch_type_layout(type)->children == FLETCH_CHILDREN_NONE;
}

/* What was gathered may be encoded otherwise below. */
static enum fletch_status take_gathered(struct draft *draft, const struct recoding *recoding,
                                        uint32_t row)
{
    struct fletch_batch *gathered = NULL;
    enum fletch_status status = gather(draft, recoding, &gathered);
    if (status != FLETCH_OK)
        return status;
    hold_owners(draft, gathered);
    status = take_fields(draft, gathered,
                         (struct row_range){row, draft->recoder->schema->fields[row].end});
    fletch_batch_release(draft->recoder->cache, gathered);
    return status;
}

static enum fletch_status recode_field(struct draft *draft, uint32_t row,
                                       const struct fletch_node_view *column)
{
    const struct fletch_field *field = &draft->recoder->schema->fields[row];
    struct recoding recoding;
    enum fletch_status status = start_recoding(draft, row, column, &recoding);
    if (status != FLETCH_OK)
        return status;
    if (field->dictionary == FLETCH_NO_INDEX && !is_flat(&field->type))
        return take_gathered(draft, &recoding, row);
    draft->nodes[row].offset -= recoding.skipped;
    return field->dictionary == FLETCH_NO_INDEX ? decode(draft, &recoding)
                                                : encode(draft, &recoding);
}

/* The data buffers of a view field that stays as it is. */
static void take_view_buffers(struct draft *draft, const struct fletch_field *field,
                              const struct fletch_node_view *column)
{
    if (field->view == FLETCH_NO_INDEX)
        return;
    draft->view_spans[field->view] = draft->span_count;
    for (uint32_t i = 0; i < column->buffer_count; i++)
        draft->spans[draft->span_count++] = column->buffers[i];
}

/* Whether an encoded field of a batch can stay as it is: only what its index type or, below its
 * values, what their encodings are could differ. */
static bool is_encoded_alike(const struct draft *draft, const struct fletch_field *field,
                             const struct fletch_node_view *column)
{
    const struct fletch_schema *schema = draft->recoder->schema;
    const struct fletch_schema *batch = column->batch->schema;
    return field->type.id == column->field->type.id &&
           fletch_schema_compare(schema->dictionaries[field->dictionary].values,
                                 batch->dictionaries[column->field->dictionary].values,
                                 FLETCH_COMPARE_FIELDS, NULL) == FLETCH_OK;
}

static enum fletch_status take_field(struct draft *draft, uint32_t row,
                                     const struct fletch_node_view *column)
{
    const struct fletch_field *field = &draft->recoder->schema->fields[row];
    const struct fletch_field *old = column->field;
    const struct fletch_batch *batch = column->batch;
    bool was_encoded = old->dictionary != FLETCH_NO_INDEX;
    bool is_encoded = field->dictionary != FLETCH_NO_INDEX;
    draft->nodes[row] = batch->nodes[column->row];
    if (was_encoded != is_encoded || (is_encoded && !is_encoded_alike(draft, field, column)))
        return recode_field(draft, row, column);
    memcpy(draft->spans + field->first_span, batch->spans + old->first_span,
           field->span_count * sizeof draft->spans[0]);
    take_view_buffers(draft, field, column);
    if (is_encoded && batch->dictionaries[old->dictionary] != NULL)
        draft->dictionaries[field->dictionary] =
            fletch_batch_acquire(batch->dictionaries[old->dictionary]);
    return FLETCH_OK;
}

/* Rows of the recoder's schema, of the fields of a batch from its first row on. An encoded field is
 * one row, whatever its values are. */
static enum fletch_status take_fields(struct draft *draft, const struct fletch_batch *batch,
                                      struct row_range rows)
{
    const struct fletch_field *fields = draft->recoder->schema->fields;
    enum fletch_status status = FLETCH_OK;
    uint32_t old_row = 0;
    for (uint32_t row = rows.first; row < rows.end && status == FLETCH_OK;) {
        const struct fletch_node_view column = fletch_node_view_of(batch, old_row);
        bool is_whole = fields[row].dictionary != FLETCH_NO_INDEX ||
                        column.field->dictionary != FLETCH_NO_INDEX;
        status = take_field(draft, row, &column);
        row = is_whole ? fields[row].end : row + 1;
        old_row = is_whole ? column.field->end : old_row + 1;
    }
    return status;
}

static void *carve(uint8_t **at, size_t bytes)
{
    void *found = *at;
    *at += bytes;
    return found;
}

/* What a draft may take over of a batch and, as deep as a schema may be, of its dictionaries, any
 * of which may become plain. */
struct room {
    size_t spans;
    size_t owners;
};

static void add_room(struct room *room, const struct fletch_batch *batch)
{
    room->spans += batch->span_count;
    room->owners += batch->owner_count;
    for (uint32_t i = 0; i < batch->dictionary_count; i++)
        if (batch->dictionaries[i] != NULL)
            add_room(room, batch->dictionaries[i]);
}

/* Tables for a batch of the schema, all zeros, with the owners of the old one. What is made anew
 * has an owner for each field at most, and a span behind each view. */
static enum fletch_status draft_init(struct draft *draft, struct fletch_buffer **out_scratch)
{
    const struct fletch_schema *schema = draft->recoder->schema;
    struct room room = {.spans = (size_t)schema->span_count + schema->view_count,
                        .owners = schema->field_count};
    add_room(&room, draft->batch);
    size_t nodes = schema->field_count * sizeof draft->nodes[0];
    size_t spans = room.spans * sizeof draft->spans[0];
    size_t view_spans = (schema->view_count + (size_t)1) * sizeof draft->view_spans[0];
    size_t dictionaries = schema->dictionary_count * sizeof draft->dictionaries[0];
    size_t owners = room.owners * sizeof draft->owners[0];
    size_t bytes = nodes + spans + dictionaries + owners + view_spans;
    enum fletch_status status = fletch_buffer_allocate(
        draft->recoder->cache, bytes, draft->recoder->account, out_scratch, draft->error);
    if (status != FLETCH_OK)
        return status;
    uint8_t *at = (*out_scratch)->data;
    memset(at, 0, bytes);
    draft->nodes = carve(&at, nodes);
    draft->spans = carve(&at, spans);
    draft->dictionaries = carve(&at, dictionaries);
    draft->owners = carve(&at, owners);
    draft->view_spans = carve(&at, view_spans);
    draft->span_count = schema->span_count;
    hold_owners(draft, draft->batch);
    return FLETCH_OK;
}

static void draft_drop(struct draft *draft)
{
    struct fletch_buffer_cache *cache = draft->recoder->cache;
    for (uint32_t i = 0; i < draft->owner_count; i++)
        fletch_buffer_release(cache, draft->owners[i]);
    for (uint32_t i = 0; i < draft->recoder->schema->dictionary_count; i++)
        fletch_batch_release(cache, draft->dictionaries[i]);
}

static enum fletch_status draft_finish(struct draft *draft, struct fletch_batch **out_batch)
{
    const struct fletch_recoder *recoder = draft->recoder;
    struct fletch_buffer *metadata = draft->batch->metadata;
    draft->view_spans[recoder->schema->view_count] = draft->span_count;
    struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(recoder->schema),
        .row_count = draft->batch->row_count,
        .nodes = draft->nodes,
        .spans = draft->spans,
        .owners = draft->owners,
        .dictionaries = draft->dictionaries,
        .metadata = metadata == NULL ? NULL : fletch_buffer_acquire(metadata),
        .node_count = recoder->schema->field_count,
        .span_count = draft->span_count,
        .view_spans = draft->view_spans,
        .view_count = recoder->schema->view_count,
        .owner_count = draft->owner_count,
        .dictionary_count = recoder->schema->dictionary_count,
    };
    enum fletch_status status =
        fletch_batch_create(recoder->cache, recoder->account, &parts, out_batch, draft->error);
    if (status != FLETCH_OK) {
        fletch_schema_release(recoder->schema);
        fletch_buffer_release(recoder->cache, metadata);
    }
    return status;
}

enum fletch_status fletch_recode_batch(const struct fletch_recoder *recoder,
                                       struct fletch_batch *batch, struct fletch_batch **out_batch,
                                       struct fletch_error *error)
{
    struct draft draft = {.recoder = recoder, .batch = batch, .error = error};
    struct fletch_buffer *scratch = NULL;
    enum fletch_status status = draft_init(&draft, &scratch);
    if (status != FLETCH_OK)
        return status;
    status = take_fields(&draft, batch, (struct row_range){0, recoder->schema->field_count});
    if (status == FLETCH_OK)
        status = draft_finish(&draft, out_batch);
    if (status != FLETCH_OK)
        draft_drop(&draft);
    fletch_buffer_release(recoder->cache, scratch);
    return status;
}
