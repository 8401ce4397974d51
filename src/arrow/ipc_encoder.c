#include "arrow/ipc_encoder.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/ipc_compress.h"
#include "arrow/ipc_dictionaries.h"
#include "arrow/ipc_format.h"
#include "arrow/ipc_schema_writer.h"
#include "arrow/ipc_slice.h"
#include "base/allocator.h"
#include "base/bits.h"

#define BIT(slot) (1U << (slot))

enum { ALIGNMENT_MOST = 64 };

static const _Alignas(ALIGNMENT_MOST) uint8_t padding[ALIGNMENT_MOST];

struct fletch_ipc_encoder {
    struct fletch_schema *schema;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    size_t alignment;
    size_t head_bytes;
    bool forbids_replacement;
    bool forbids_deltas;
    struct fletch_ipc_dictionaries dictionaries; /* as sent last */
    struct fletch_ipc_plan plan;                 /* room for the largest of the schemas */
    enum fletch_codec codec;
};

/* What a message says, but for its pieces. */
struct message {
    enum fletch_ipc_header type;
    const struct fletch_schema *schema;
    int64_t row_count;
    const struct fletch_metadata *custom_metadata; /* may be NULL */
    int64_t dictionary_id;
    bool is_delta;
    enum fletch_codec codec;
};

/* ---- making ---- */

/* The most fields and spans that a message has: of the batches or of a dictionary. */
static void find_most(const struct fletch_schema *schema, size_t *out_fields, size_t *out_spans)
{
    *out_fields = schema->field_count;
    *out_spans = schema->span_count;
    for (uint32_t i = 0; i < schema->dictionary_count; i++) {
        const struct fletch_schema *values = schema->dictionaries[i].values;
        if (values->field_count > *out_fields)
            *out_fields = values->field_count;
        if (values->span_count > *out_spans)
            *out_spans = values->span_count;
    }
}

enum fletch_status fletch_ipc_encoder_create(const struct fletch_ipc_encoder_options *options,
                                             const struct fletch_allocator *allocator,
                                             struct fletch_ipc_encoder **out_encoder,
                                             struct fletch_error *error)
{
    size_t fields;
    size_t spans;
    if (options->codec != FLETCH_CODEC_NONE) {
        enum fletch_status known = fletch_codec_check(options->codec, error);
        if (known != FLETCH_OK)
            return known;
    }
    enum fletch_status simple =
        fletch_schema_check_simple(options->schema, "by the ipc encoder", error);
    if (simple != FLETCH_OK)
        return simple;
    find_most(options->schema, &fields, &spans);
    size_t bytes = sizeof(struct fletch_ipc_encoder) + fields * sizeof(struct fletch_ipc_node) +
                   spans * (sizeof(struct fletch_ipc_piece) + sizeof(struct fletch_ipc_range));
    struct fletch_ipc_encoder *encoder = fletch_block_allocate(allocator, bytes);
    if (encoder == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for an ipc encoder of %zu fields: %zu bytes", fields,
                                bytes);
    *encoder = (struct fletch_ipc_encoder){
        .cache = options->cache,
        .account = options->account,
        .alignment = options->alignment,
        .head_bytes = options->head_bytes,
        .forbids_replacement = options->forbids_replacement,
        .forbids_deltas = options->forbids_deltas,
        .dictionaries = {.allocator = fletch_allocator_or_default(allocator),
                         .cache = options->cache,
                         .account = options->account},
        .plan.alignment = options->alignment,
        .codec = options->codec,
    };
    encoder->plan.pieces = (void *)(encoder + 1);
    encoder->plan.nodes = (void *)(encoder->plan.pieces + spans);
    encoder->plan.ranges = (void *)(encoder->plan.nodes + fields);
    enum fletch_status status =
        fletch_ipc_dictionaries_init(&encoder->dictionaries, options->schema, error);
    if (status != FLETCH_OK) {
        fletch_block_release(encoder);
        return status;
    }
    encoder->schema = fletch_schema_acquire(options->schema);
    *out_encoder = encoder;
    return FLETCH_OK;
}

void fletch_ipc_encoder_destroy(struct fletch_ipc_encoder *encoder)
{
    if (encoder == NULL)
        return;
    fletch_ipc_dictionaries_deinit(&encoder->dictionaries);
    fletch_schema_release(encoder->schema);
    fletch_block_release(encoder);
}

void fletch_ipc_encoded_release(struct fletch_buffer_cache *cache,
                                struct fletch_ipc_encoded *encoded)
{
    fletch_buffer_release(cache, encoded->block);
    fletch_buffer_release(cache, encoded->body);
    fletch_batch_release(cache, encoded->batch);
    *encoded = (struct fletch_ipc_encoded){0};
}

/* ---- metadata ---- */

static void set_field(struct fletch_flatbuffer_writer *writer, uint32_t field, int64_t value,
                      size_t bytes)
{
    fletch_flatbuffer_set(writer, field, &value, bytes); /* little-endian: the low bytes */
}

static uint32_t write_compression_table(struct fletch_flatbuffer_writer *writer,
                                        enum fletch_codec codec)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_compression_layout;
    uint32_t table = fletch_flatbuffer_add_table(
        writer, layout, BIT(FLETCH_COMPRESSION_CODEC) | BIT(FLETCH_COMPRESSION_METHOD));
    set_field(writer, fletch_flatbuffer_field(layout, table, FLETCH_COMPRESSION_CODEC),
              (int64_t)codec - 1, 1);
    set_field(writer, fletch_flatbuffer_field(layout, table, FLETCH_COMPRESSION_METHOD), 0, 1);
    return table;
}

static uint32_t write_batch_table(struct fletch_flatbuffer_writer *writer,
                                  const struct message *message, const struct fletch_ipc_plan *plan)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_batch_layout;
    uint32_t present =
        BIT(FLETCH_BATCH_LENGTH) | BIT(FLETCH_BATCH_NODES) | BIT(FLETCH_BATCH_BUFFERS);
    if (message->codec != FLETCH_CODEC_NONE)
        present |= BIT(FLETCH_BATCH_COMPRESSION);
    uint32_t table = fletch_flatbuffer_add_table(writer, layout, present);
    size_t fields = message->schema->field_count;
    size_t spans = message->schema->span_count;
    uint32_t elements;
    set_field(writer, fletch_flatbuffer_field(layout, table, FLETCH_BATCH_LENGTH),
              message->row_count, 8);
    fletch_flatbuffer_refer(
        writer, fletch_flatbuffer_field(layout, table, FLETCH_BATCH_NODES),
        fletch_flatbuffer_add_vector(writer, fields, FLETCH_IPC_NODE_BYTES, 8, &elements));
    fletch_flatbuffer_set(writer, elements, plan->nodes, fields * FLETCH_IPC_NODE_BYTES);
    fletch_flatbuffer_refer(
        writer, fletch_flatbuffer_field(layout, table, FLETCH_BATCH_BUFFERS),
        fletch_flatbuffer_add_vector(writer, spans, FLETCH_IPC_BUFFER_BYTES, 8, &elements));
    fletch_flatbuffer_set(writer, elements, plan->ranges, spans * FLETCH_IPC_BUFFER_BYTES);
    if (message->codec != FLETCH_CODEC_NONE)
        fletch_flatbuffer_refer(writer,
                                fletch_flatbuffer_field(layout, table, FLETCH_BATCH_COMPRESSION),
                                write_compression_table(writer, message->codec));
    return table;
}

static uint32_t write_dictionary_table(struct fletch_flatbuffer_writer *writer,
                                       const struct message *message,
                                       const struct fletch_ipc_plan *plan)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_dictionary_layout;
    uint32_t table = fletch_flatbuffer_add_table(
        writer, layout,
        BIT(FLETCH_DICTIONARY_ID) | BIT(FLETCH_DICTIONARY_DATA) | BIT(FLETCH_DICTIONARY_IS_DELTA));
    set_field(writer, fletch_flatbuffer_field(layout, table, FLETCH_DICTIONARY_ID),
              message->dictionary_id, 8);
    set_field(writer, fletch_flatbuffer_field(layout, table, FLETCH_DICTIONARY_IS_DELTA),
              message->is_delta, 1);
    fletch_flatbuffer_refer(writer, fletch_flatbuffer_field(layout, table, FLETCH_DICTIONARY_DATA),
                            write_batch_table(writer, message, plan));
    return table;
}

static uint32_t write_header(struct fletch_flatbuffer_writer *writer, const struct message *message,
                             const struct fletch_ipc_plan *plan)
{
    if (message->type == FLETCH_IPC_HEADER_SCHEMA)
        return fletch_ipc_schema_write(writer, message->schema);
    if (message->type == FLETCH_IPC_HEADER_DICTIONARY)
        return write_dictionary_table(writer, message, plan);
    return write_batch_table(writer, message, plan);
}

/* Writes the flatbuffer, or measures it where `bytes` is NULL. False: too large for one. */
static bool write_metadata(const struct message *message, const struct fletch_ipc_plan *plan,
                           uint8_t *bytes, size_t capacity, size_t *out_bytes)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_message_layout;
    bool has_metadata = message->custom_metadata != NULL && message->custom_metadata->count != 0;
    uint32_t present = BIT(FLETCH_MESSAGE_VERSION) | BIT(FLETCH_MESSAGE_HEADER_TYPE) |
                       BIT(FLETCH_MESSAGE_HEADER) | BIT(FLETCH_MESSAGE_BODY_LENGTH);
    if (has_metadata)
        present |= BIT(FLETCH_MESSAGE_METADATA);
    struct fletch_flatbuffer_writer writer;
    fletch_flatbuffer_begin(&writer, bytes, capacity);
    uint32_t table = fletch_flatbuffer_add_table(&writer, layout, present);
    set_field(&writer, fletch_flatbuffer_field(layout, table, FLETCH_MESSAGE_VERSION),
              FLETCH_IPC_V5, 2);
    set_field(&writer, fletch_flatbuffer_field(layout, table, FLETCH_MESSAGE_HEADER_TYPE),
              message->type, 1);
    set_field(&writer, fletch_flatbuffer_field(layout, table, FLETCH_MESSAGE_BODY_LENGTH),
              (int64_t)plan->body_bytes, 8);
    fletch_flatbuffer_refer(&writer, fletch_flatbuffer_field(layout, table, FLETCH_MESSAGE_HEADER),
                            write_header(&writer, message, plan));
    if (has_metadata)
        fletch_flatbuffer_refer(&writer,
                                fletch_flatbuffer_field(layout, table, FLETCH_MESSAGE_METADATA),
                                fletch_ipc_metadata_write(&writer, message->custom_metadata));
    *out_bytes = writer.size;
    return !writer.overflowed;
}

/* ---- messages ---- */

/* Where the parts of a message's block lie. */
struct block_layout {
    size_t flatbuffer_bytes;
    size_t metadata_bytes; /* with prefix and padding */
    size_t scratch;        /* offset */
    size_t spans;          /* offset */
    size_t bytes;
};

static struct block_layout lay_out(const struct fletch_ipc_plan *plan, size_t flatbuffer_bytes,
                                   size_t piece_count, size_t head_bytes)
{
    struct block_layout layout = {.flatbuffer_bytes = flatbuffer_bytes};
    size_t end = head_bytes + FLETCH_IPC_PREFIX_BYTES + flatbuffer_bytes;
    layout.metadata_bytes = fletch_round_up(end, plan->alignment) - head_bytes;
    layout.scratch = fletch_round_up(layout.metadata_bytes, ALIGNMENT_MOST);
    layout.spans = layout.scratch + plan->scratch_bytes;
    /* The metadata, and for each piece its bytes and its padding. */
    layout.bytes = layout.spans + (1 + 2 * piece_count) * sizeof(struct fletch_batch_span);
    return layout;
}

/* The spans of the body; returns the end of them. */
static struct fletch_batch_span *write_body(const struct fletch_ipc_plan *plan, size_t piece_count,
                                            uint8_t *scratch, struct fletch_batch_span *spans)
{
    size_t alignment = plan->alignment;
    for (size_t i = 0; i < piece_count; i++) {
        const struct fletch_ipc_piece *piece = &plan->pieces[i];
        if (piece->bytes == 0)
            continue;
        size_t padded = fletch_round_up(piece->bytes, alignment);
        size_t pad = padded - piece->bytes;
        if (piece->kind == FLETCH_IPC_PIECE_DIRECT) {
            *spans++ = (struct fletch_batch_span){piece->data, piece->bytes};
            if (pad != 0)
                *spans++ = (struct fletch_batch_span){padding, pad};
            continue;
        }
        fletch_ipc_piece_write(piece, scratch);
        memset(scratch + piece->bytes, 0, pad);
        *spans++ = (struct fletch_batch_span){scratch, padded};
        scratch += padded;
    }
    return spans;
}

static void write_prefix(uint8_t *to, const struct block_layout *layout)
{
    uint32_t words[2] = {FLETCH_IPC_CONTINUATION,
                         (uint32_t)(layout->metadata_bytes - FLETCH_IPC_PREFIX_BYTES)};
    memcpy(to, words, sizeof words);
    size_t written = FLETCH_IPC_PREFIX_BYTES + layout->flatbuffer_bytes;
    memset(to + written, 0, layout->metadata_bytes - written);
}

/* The block of the message with the pieces of the encoder's plan. */
static enum fletch_status measure(const struct fletch_ipc_encoder *encoder,
                                  const struct message *message, size_t piece_count,
                                  struct block_layout *out_layout, struct fletch_error *error)
{
    size_t flatbuffer_bytes;
    if (!write_metadata(message, &encoder->plan, NULL, 0, &flatbuffer_bytes) ||
        flatbuffer_bytes > INT32_MAX - ALIGNMENT_MOST)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "metadata of a message does not fit in 2 GiB");
    /* All other messages begin aligned because the schema's ended so. */
    size_t head_bytes = message->type == FLETCH_IPC_HEADER_SCHEMA ? encoder->head_bytes : 0;
    *out_layout = lay_out(&encoder->plan, flatbuffer_bytes, piece_count, head_bytes);
    return FLETCH_OK;
}

/* The message of metadata and `piece_count` pieces, in a block of its own. */
static enum fletch_status write_block(const struct fletch_ipc_encoder *encoder,
                                      const struct message *message, size_t piece_count,
                                      struct fletch_ipc_encoded *out_encoded,
                                      struct fletch_error *error)
{
    const struct fletch_ipc_plan *plan = &encoder->plan;
    struct block_layout layout;
    enum fletch_status status = measure(encoder, message, piece_count, &layout, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_buffer *block = NULL;
    status = fletch_buffer_allocate(encoder->cache, layout.bytes, encoder->account, &block, error);
    if (status != FLETCH_OK)
        return status;
    uint8_t *bytes = fletch_buffer_mutable_data(block);
    write_metadata(message, plan, bytes + FLETCH_IPC_PREFIX_BYTES, layout.flatbuffer_bytes,
                   &layout.flatbuffer_bytes);
    write_prefix(bytes, &layout);
    struct fletch_batch_span *spans = (void *)(bytes + layout.spans);
    spans[0] = (struct fletch_batch_span){bytes, layout.metadata_bytes};
    const struct fletch_batch_span *end =
        write_body(plan, piece_count, bytes + layout.scratch, spans + 1);
    *out_encoded = (struct fletch_ipc_encoded){
        .spans = spans,
        .span_count = (uint32_t)(end - spans),
        .metadata_bytes = layout.metadata_bytes,
        .body_bytes = plan->body_bytes,
        .block = block,
    };
    return FLETCH_OK;
}

/* What the codec works in comes and goes with each message, so that many encoders cost nothing. */
static enum fletch_status compress(struct fletch_ipc_encoder *encoder, size_t piece_count,
                                   struct fletch_buffer **out_body, struct fletch_error *error)
{
    struct fletch_compressor compressor = {
        .codec = encoder->codec, .cache = encoder->cache, .account = encoder->account};
    enum fletch_status status = fletch_compressor_init(&compressor, error);
    if (status == FLETCH_OK)
        status =
            fletch_ipc_plan_compress(&encoder->plan, piece_count, &compressor, out_body, error);
    fletch_compressor_deinit(&compressor);
    return status;
}

/* The message with the pieces of the encoder's plan, which refer to `batch` (NULL: there are
 * none). */
static enum fletch_status encode(struct fletch_ipc_encoder *encoder, const struct message *message,
                                 struct fletch_batch *batch, struct fletch_ipc_encoded *out_encoded,
                                 struct fletch_error *error)
{
    size_t piece_count = batch == NULL ? 0 : message->schema->span_count;
    struct fletch_buffer *body = NULL;
    enum fletch_status status = FLETCH_OK;
    if (message->codec != FLETCH_CODEC_NONE)
        status = compress(encoder, piece_count, &body, error);
    if (status == FLETCH_OK)
        status = write_block(encoder, message, piece_count, out_encoded, error);
    if (status != FLETCH_OK) {
        fletch_buffer_release(encoder->cache, body);
        return status;
    }
    out_encoded->body = body;
    if (batch != NULL && body == NULL)
        out_encoded->batch = fletch_batch_acquire(batch);
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_encoder_schema(struct fletch_ipc_encoder *encoder,
                                             struct fletch_ipc_encoded *out_encoded,
                                             struct fletch_error *error)
{
    const struct message message = {.type = FLETCH_IPC_HEADER_SCHEMA, .schema = encoder->schema};
    encoder->plan.body_bytes = 0;
    encoder->plan.scratch_bytes = 0;
    return encode(encoder, &message, NULL, out_encoded, error);
}

static enum fletch_status check_batch(const struct fletch_schema *schema,
                                      const struct fletch_batch *batch, struct fletch_error *error)
{
    if (batch->node_count == schema->field_count && batch->span_count == schema->span_count &&
        batch->dictionary_count == schema->dictionary_count)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "batch has %" PRIu32 " fields, %" PRIu32 " buffers and %" PRIu32
                            " dictionaries, the schema %" PRIu32 ", %" PRIu32 " and %" PRIu32,
                            batch->node_count, batch->span_count, batch->dictionary_count,
                            schema->field_count, schema->span_count, schema->dictionary_count);
}

enum fletch_status fletch_ipc_encoder_batch(struct fletch_ipc_encoder *encoder,
                                            struct fletch_batch *batch,
                                            const struct fletch_metadata *custom_metadata,
                                            struct fletch_ipc_encoded *out_encoded,
                                            struct fletch_error *error)
{
    const struct fletch_schema *schema = encoder->schema;
    enum fletch_status status = check_batch(schema, batch, error);
    if (status != FLETCH_OK)
        return status;
    const struct message message = {
        .type = FLETCH_IPC_HEADER_BATCH,
        .schema = schema,
        .row_count = batch->row_count,
        .custom_metadata = custom_metadata,
        .codec = encoder->codec,
    };
    fletch_ipc_plan_rows(&encoder->plan, schema, batch, 0, batch->row_count);
    return encode(encoder, &message, batch, out_encoded, error);
}

/* ---- dictionaries ---- */

/* What has to be sent for an entry. */
struct dictionary_update {
    struct fletch_ipc_dictionary *entry;
    struct fletch_batch *values;
    int64_t first; /* row that a delta begins with */
    bool is_delta;
};

static enum fletch_status check_values(const struct fletch_ipc_dictionary *entry,
                                       const struct fletch_batch *values,
                                       struct fletch_error *error)
{
    const struct fletch_schema *schema = entry->values;
    if (values->node_count == schema->field_count && values->span_count == schema->span_count)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "dictionary %" PRId64 " has %" PRIu32 " fields and %" PRIu32
                            " buffers, its schema %" PRIu32 " and %" PRIu32,
                            entry->id, values->node_count, values->span_count, schema->field_count,
                            schema->span_count);
}

static enum fletch_status encode_dictionary(struct fletch_ipc_encoder *encoder,
                                            const struct dictionary_update *update,
                                            struct fletch_ipc_encoded *out_encoded,
                                            struct fletch_error *error)
{
    struct fletch_batch *values = update->values;
    const struct fletch_schema *schema = update->entry->values;
    enum fletch_status status = check_values(update->entry, values, error);
    if (status != FLETCH_OK)
        return status;
    const struct message message = {
        .type = FLETCH_IPC_HEADER_DICTIONARY,
        .schema = schema,
        .row_count = values->row_count - update->first,
        .dictionary_id = update->entry->id,
        .is_delta = update->is_delta,
        .codec = encoder->codec,
    };
    fletch_ipc_plan_rows(&encoder->plan, schema, values, update->first, message.row_count);
    status = encode(encoder, &message, values, out_encoded, error);
    if (status == FLETCH_OK)
        fletch_ipc_dictionaries_set(&encoder->dictionaries, update->entry,
                                    fletch_batch_acquire(values));
    return status;
}

/* Fields that share an id have the same values in each batch. */
static enum fletch_status check_shared(const struct fletch_ipc_encoder *encoder,
                                       const struct fletch_batch *batch, uint32_t index,
                                       struct fletch_error *error)
{
    const struct fletch_ipc_dictionaries *dictionaries = &encoder->dictionaries;
    uint32_t first = dictionaries->entries[dictionaries->entry_of[index]].first;
    const struct fletch_batch *a = batch->dictionaries[first];
    const struct fletch_batch *b = batch->dictionaries[index];
    const struct fletch_schema_dictionary *told = encoder->schema->dictionaries;
    if (a == b || a == NULL || b == NULL ||
        fletch_ipc_dictionary_compare(told[index].values, a, b) == FLETCH_IPC_DICTIONARY_SAME)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "fields '%s' and '%s' share dictionary %" PRId64 " and not its values",
                            fletch_field_path_of(encoder->schema, told[first].field).text,
                            fletch_field_path_of(encoder->schema, told[index].field).text,
                            told[index].id);
}

/* What dictionary `index` of the schema, whose values are now `values`, needs; `*out_is_needed`
 * false: nothing. */
static enum fletch_status find_update(struct fletch_ipc_encoder *encoder, uint32_t index,
                                      struct fletch_batch *values, bool *out_is_needed,
                                      struct dictionary_update *out_update)
{
    struct fletch_ipc_dictionaries *dictionaries = &encoder->dictionaries;
    struct fletch_ipc_dictionary *entry = &dictionaries->entries[dictionaries->entry_of[index]];
    *out_update = (struct dictionary_update){.entry = entry, .values = values};
    *out_is_needed = entry->batch != values;
    if (!*out_is_needed || entry->batch == NULL)
        return FLETCH_OK;
    enum fletch_ipc_dictionary_relation relation =
        fletch_ipc_dictionary_compare(entry->values, entry->batch, values);
    if (relation == FLETCH_IPC_DICTIONARY_SAME) {
        /* So that the next batch is told by the address. */
        fletch_ipc_dictionaries_set(dictionaries, entry, fletch_batch_acquire(values));
        *out_is_needed = false;
    } else if (relation == FLETCH_IPC_DICTIONARY_GROWN && !encoder->forbids_deltas) {
        out_update->is_delta = true;
        out_update->first = entry->batch->row_count;
    }
    return *out_is_needed && !out_update->is_delta && encoder->forbids_replacement
               ? FLETCH_FAILED_PRECONDITION
               : FLETCH_OK;
}

enum fletch_status fletch_ipc_encoder_dictionary(struct fletch_ipc_encoder *encoder,
                                                 struct fletch_batch *batch, bool *out_is_needed,
                                                 struct fletch_ipc_encoded *out_encoded,
                                                 struct fletch_error *error)
{
    const struct fletch_schema *schema = encoder->schema;
    *out_is_needed = false;
    for (uint32_t i = 0; i < schema->dictionary_count && i < batch->dictionary_count; i++) {
        struct fletch_batch *values = batch->dictionaries[i];
        struct fletch_batch *made = NULL;
        enum fletch_status status = check_shared(encoder, batch, i, error);
        uint32_t entry = encoder->dictionaries.entry_of[i];
        if (status != FLETCH_OK)
            return status;
        if (values == NULL && encoder->dictionaries.entries[entry].batch != NULL)
            continue;
        if (values == NULL) {
            status = fletch_ipc_dictionaries_empty(&encoder->dictionaries,
                                                   schema->dictionaries[i].values, &made, error);
            if (status != FLETCH_OK)
                return status;
            values = made;
        }
        struct dictionary_update update;
        status = find_update(encoder, i, values, out_is_needed, &update);
        if (status != FLETCH_OK)
            fletch_error_set(error, status,
                             "field '%s': its dictionary is replaced, which this stream may not do",
                             fletch_field_path_of(schema, schema->dictionaries[i].field).text);
        else if (*out_is_needed)
            status = encode_dictionary(encoder, &update, out_encoded, error);
        fletch_batch_release(encoder->cache, made);
        if (status != FLETCH_OK || *out_is_needed)
            return status;
    }
    return FLETCH_OK;
}

void fletch_ipc_encoder_forget(struct fletch_ipc_encoder *encoder)
{
    fletch_ipc_dictionaries_forget(&encoder->dictionaries);
}

/* ---- measuring ---- */

/* The block of the message for all rows of `batch`; NULL: for any that need no scratch. */
static enum fletch_status measure_rows(struct fletch_ipc_encoder *encoder,
                                       const struct message *message,
                                       const struct fletch_batch *batch, size_t *out_bytes,
                                       struct fletch_error *error)
{
    const struct fletch_schema *schema = message->schema;
    struct fletch_ipc_plan *plan = &encoder->plan;
    struct block_layout layout;
    if (batch != NULL) {
        fletch_ipc_plan_rows(plan, schema, batch, 0, batch->row_count);
    } else {
        /* What a message tells has the same size whatever it is. */
        memset(plan->nodes, 0, schema->field_count * sizeof *plan->nodes);
        memset(plan->ranges, 0, schema->span_count * sizeof *plan->ranges);
        plan->scratch_bytes = 0;
        plan->body_bytes = 0;
    }
    enum fletch_status status = measure(encoder, message, schema->span_count, &layout, error);
    if (status == FLETCH_OK && layout.bytes > *out_bytes)
        *out_bytes = layout.bytes;
    return status;
}

static enum fletch_status measure_dictionary(struct fletch_ipc_encoder *encoder, uint32_t index,
                                             const struct fletch_batch *values, size_t *out_bytes,
                                             struct fletch_error *error)
{
    const struct fletch_ipc_dictionaries *dictionaries = &encoder->dictionaries;
    const struct fletch_ipc_dictionary *entry =
        &dictionaries->entries[dictionaries->entry_of[index]];
    const struct message message = {.type = FLETCH_IPC_HEADER_DICTIONARY, .schema = entry->values};
    enum fletch_status status = FLETCH_OK;
    if (values != NULL)
        status = check_values(entry, values, error);
    if (status == FLETCH_OK)
        status = measure_rows(encoder, &message, values, out_bytes, error);
    return status;
}

enum fletch_status fletch_ipc_encoder_measure(struct fletch_ipc_encoder *encoder,
                                              const struct fletch_batch *batch, size_t *out_bytes,
                                              struct fletch_error *error)
{
    const struct fletch_schema *schema = encoder->schema;
    const struct message message = {.type = FLETCH_IPC_HEADER_BATCH, .schema = schema};
    size_t bytes = 0;
    enum fletch_status status = FLETCH_OK;
    if (batch != NULL)
        status = check_batch(schema, batch, error);
    for (uint32_t i = 0; i < schema->dictionary_count && status == FLETCH_OK; i++)
        status = measure_dictionary(encoder, i, batch == NULL ? NULL : batch->dictionaries[i],
                                    &bytes, error);
    if (status == FLETCH_OK)
        status = measure_rows(encoder, &message, batch, &bytes, error);
    if (status == FLETCH_OK)
        *out_bytes = bytes;
    return status;
}
