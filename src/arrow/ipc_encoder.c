#include "arrow/ipc_encoder.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/ipc_compress.h"
#include "arrow/ipc_dictionaries.h"
#include "arrow/ipc_dictionary_compare.h"
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
    struct fletch_ipc_plan plan;
    void *plan_memory; /* grows with the largest batch so far */
    size_t plan_bytes;
    enum fletch_codec codec;
    struct fletch_metadata head_metadata;
};

/* What a message says, but for its pieces. */
struct message {
    enum fletch_ipc_header type;
    const struct fletch_schema *schema;
    int64_t first; /* row of the batch */
    int64_t row_count;
    const struct fletch_metadata *custom_metadata; /* may be NULL */
    int64_t dictionary_id;
    bool is_delta;
    enum fletch_codec codec;
};

/* ---- making ---- */

/* Room for the plan of a batch of the schema with so many spans. */
static enum fletch_status place_plan(struct fletch_ipc_encoder *encoder,
                                     const struct fletch_schema *schema, size_t span_count,
                                     struct fletch_error *error)
{
    const struct fletch_allocator *allocator = &encoder->dictionaries.allocator;
    size_t bytes = fletch_ipc_plan_bytes(schema, span_count);
    if (bytes > encoder->plan_bytes) {
        void *memory = fletch_allocate(allocator, bytes, _Alignof(max_align_t));
        if (memory == NULL)
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                    "no memory for a message of %" PRIu32 " fields and %zu "
                                    "buffers: %zu bytes",
                                    schema->field_count, span_count, bytes);
        if (encoder->plan_memory != NULL)
            fletch_release(allocator, encoder->plan_memory, encoder->plan_bytes,
                           _Alignof(max_align_t));
        encoder->plan_memory = memory;
        encoder->plan_bytes = bytes;
    }
    fletch_ipc_plan_place(&encoder->plan, schema, span_count, encoder->plan_memory);
    return FLETCH_OK;
}

/* Room for batches and dictionaries whose views have one data buffer each. */
static enum fletch_status make_plan(struct fletch_ipc_encoder *encoder, struct fletch_error *error)
{
    const struct fletch_schema *schema = encoder->schema;
    enum fletch_status status =
        place_plan(encoder, schema, schema->span_count + (size_t)schema->view_count, error);
    for (uint32_t i = 0; i < encoder->dictionaries.entry_count && status == FLETCH_OK; i++) {
        const struct fletch_schema *values = encoder->dictionaries.entries[i].values;
        status =
            place_plan(encoder, values, values->span_count + (size_t)values->view_count, error);
    }
    return status;
}

enum fletch_status fletch_ipc_encoder_create(const struct fletch_ipc_encoder_options *options,
                                             const struct fletch_allocator *allocator,
                                             struct fletch_ipc_encoder **out_encoder,
                                             struct fletch_error *error)
{
    if (options->codec != FLETCH_CODEC_NONE) {
        enum fletch_status known = fletch_codec_check(options->codec, error);
        if (known != FLETCH_OK)
            return known;
    }
    struct fletch_ipc_encoder *encoder = fletch_block_allocate(allocator, sizeof *encoder);
    if (encoder == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for an ipc encoder: %zu bytes", sizeof *encoder);
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
        .head_metadata = options->head_metadata,
    };
    enum fletch_status status =
        fletch_ipc_dictionaries_init(&encoder->dictionaries, options->schema, error);
    if (status != FLETCH_OK) {
        fletch_block_release(encoder);
        return status;
    }
    encoder->schema = fletch_schema_acquire(options->schema);
    status = make_plan(encoder, error);
    if (status == FLETCH_OK)
        *out_encoder = encoder;
    else
        fletch_ipc_encoder_destroy(encoder);
    return status;
}

void fletch_ipc_encoder_destroy(struct fletch_ipc_encoder *encoder)
{
    if (encoder == NULL)
        return;
    fletch_ipc_dictionaries_deinit(&encoder->dictionaries);
    fletch_schema_release(encoder->schema);
    if (encoder->plan_memory != NULL)
        fletch_release(&encoder->dictionaries.allocator, encoder->plan_memory, encoder->plan_bytes,
                       _Alignof(max_align_t));
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
    size_t views = message->schema->view_count;
    if (message->codec != FLETCH_CODEC_NONE)
        present |= BIT(FLETCH_BATCH_COMPRESSION);
    if (views != 0)
        present |= BIT(FLETCH_BATCH_VARIADIC);
    uint32_t table = fletch_flatbuffer_add_table(writer, layout, present);
    size_t fields = message->schema->field_count;
    size_t spans = plan->piece_count;
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
    if (views == 0)
        return table;
    fletch_flatbuffer_refer(
        writer, fletch_flatbuffer_field(layout, table, FLETCH_BATCH_VARIADIC),
        fletch_flatbuffer_add_vector(writer, views, sizeof(int64_t), 8, &elements));
    fletch_flatbuffer_set(writer, elements, plan->variadic, views * sizeof(int64_t));
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
                                   size_t head_bytes)
{
    struct block_layout layout = {.flatbuffer_bytes = flatbuffer_bytes};
    size_t end = head_bytes + FLETCH_IPC_PREFIX_BYTES + flatbuffer_bytes;
    layout.metadata_bytes = fletch_round_up(end, plan->alignment) - head_bytes;
    layout.scratch = fletch_round_up(layout.metadata_bytes, ALIGNMENT_MOST);
    layout.spans = layout.scratch + plan->scratch_bytes;
    /* The metadata, and for each piece its bytes and its padding. */
    layout.bytes =
        layout.spans + (1 + 2 * (size_t)plan->piece_count) * sizeof(struct fletch_batch_span);
    return layout;
}

/* The spans of the body; returns the end of them. */
static struct fletch_batch_span *write_body(const struct fletch_ipc_plan *plan, uint8_t *scratch,
                                            struct fletch_batch_span *spans)
{
    size_t alignment = plan->alignment;
    for (uint32_t i = 0; i < plan->piece_count; i++) {
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
        fletch_ipc_piece_write(plan, piece, scratch);
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
                                  const struct message *message, struct block_layout *out_layout,
                                  struct fletch_error *error)
{
    size_t flatbuffer_bytes;
    if (!write_metadata(message, &encoder->plan, NULL, 0, &flatbuffer_bytes) ||
        flatbuffer_bytes > INT32_MAX - ALIGNMENT_MOST)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "metadata of a message does not fit in 2 GiB");
    /* All other messages begin aligned because the schema's ended so. */
    size_t head_bytes = message->type == FLETCH_IPC_HEADER_SCHEMA ? encoder->head_bytes : 0;
    *out_layout = lay_out(&encoder->plan, flatbuffer_bytes, head_bytes);
    return FLETCH_OK;
}

/* The message of metadata and the pieces of the plan, in a block of its own. */
static enum fletch_status write_block(const struct fletch_ipc_encoder *encoder,
                                      const struct message *message,
                                      struct fletch_ipc_encoded *out_encoded,
                                      struct fletch_error *error)
{
    const struct fletch_ipc_plan *plan = &encoder->plan;
    struct block_layout layout;
    enum fletch_status status = measure(encoder, message, &layout, error);
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
    const struct fletch_batch_span *end = write_body(plan, bytes + layout.scratch, spans + 1);
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
static enum fletch_status compress(struct fletch_ipc_encoder *encoder,
                                   struct fletch_buffer **out_body, struct fletch_error *error)
{
    struct fletch_compressor compressor = {
        .codec = encoder->codec, .cache = encoder->cache, .account = encoder->account};
    enum fletch_status status = fletch_compressor_init(&compressor, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_plan_compress(&encoder->plan, &compressor, out_body, error);
    fletch_compressor_deinit(&compressor);
    return status;
}

/* The message with the pieces of the encoder's plan, which refer to `batch` (NULL: there are
 * none). */
static enum fletch_status encode(struct fletch_ipc_encoder *encoder, const struct message *message,
                                 struct fletch_batch *batch, struct fletch_ipc_encoded *out_encoded,
                                 struct fletch_error *error)
{
    struct fletch_buffer *body = NULL;
    enum fletch_status status = FLETCH_OK;
    if (message->codec != FLETCH_CODEC_NONE)
        status = compress(encoder, &body, error);
    if (status == FLETCH_OK)
        status = write_block(encoder, message, out_encoded, error);
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
    const struct message message = {.type = FLETCH_IPC_HEADER_SCHEMA,
                                    .schema = encoder->schema,
                                    .custom_metadata = &encoder->head_metadata};
    encoder->plan.piece_count = 0;
    encoder->plan.body_bytes = 0;
    encoder->plan.scratch_bytes = 0;
    return encode(encoder, &message, NULL, out_encoded, error);
}

/* Whether the batch has the parts that the schema wants. `what` begins the message. */
static enum fletch_status check_parts(const struct fletch_schema *schema,
                                      const struct fletch_batch *batch, const char *what,
                                      struct fletch_error *error)
{
    if (batch->schema == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "%s without a schema", what);
    bool has_spans = schema->view_count == 0 ? batch->span_count == schema->span_count
                                             : batch->span_count >= schema->span_count;
    if (batch->node_count == schema->field_count && has_spans &&
        batch->view_count == schema->view_count &&
        batch->dictionary_count == schema->dictionary_count)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "%s has %" PRIu32 " fields, %" PRIu32 " buffers and %" PRIu32
                            " dictionaries, the schema %" PRIu32 ", %" PRIu32 " and %" PRIu32,
                            what, batch->node_count, batch->span_count, batch->dictionary_count,
                            schema->field_count, schema->span_count, schema->dictionary_count);
}

/* The message for the rows of `batch` from its first on. */
static enum fletch_status encode_rows(struct fletch_ipc_encoder *encoder, struct message *message,
                                      struct fletch_batch *batch,
                                      struct fletch_ipc_encoded *out_encoded,
                                      struct fletch_error *error)
{
    message->row_count = batch->row_count - message->first;
    message->codec = encoder->codec;
    enum fletch_status status = place_plan(encoder, message->schema, batch->span_count, error);
    if (status != FLETCH_OK)
        return status;
    fletch_ipc_plan_rows(&encoder->plan, batch, message->first, message->row_count);
    return encode(encoder, message, batch, out_encoded, error);
}

enum fletch_status fletch_ipc_encoder_batch(struct fletch_ipc_encoder *encoder,
                                            struct fletch_batch *batch,
                                            const struct fletch_metadata *custom_metadata,
                                            struct fletch_ipc_encoded *out_encoded,
                                            struct fletch_error *error)
{
    struct message message = {
        .type = FLETCH_IPC_HEADER_BATCH,
        .schema = encoder->schema,
        .custom_metadata = custom_metadata,
    };
    enum fletch_status status = check_parts(encoder->schema, batch, "batch", error);
    return status != FLETCH_OK ? status : encode_rows(encoder, &message, batch, out_encoded, error);
}

/* ---- dictionaries ---- */

/* What has to be sent for an entry. */
struct dictionary_update {
    struct fletch_ipc_dictionary *entry; /* NULL: nothing */
    struct fletch_batch *values;         /* with a reference */
    int64_t first;                       /* row that a delta begins with */
    bool is_delta;
};

/* A walk through the dictionaries of a batch, those within others first. */
struct dictionary_walk {
    struct fletch_ipc_encoder *encoder;
    struct dictionary_update update;
    struct fletch_error *error;
};

static enum fletch_status walk_dictionaries(struct dictionary_walk *walk, const uint32_t *entry_of,
                                            uint32_t count, struct fletch_batch *const *batches);

static struct fletch_field_path path_of(const struct fletch_ipc_dictionary *entry)
{
    return fletch_field_path_of(entry->schema, entry->schema->dictionaries[entry->index].field);
}

/* Fields that share an id have the same values in each batch. */
static enum fletch_status check_shared(const struct dictionary_walk *walk,
                                       struct fletch_ipc_dictionary *entry,
                                       const struct fletch_batch *values)
{
    const struct fletch_batch *seen = entry->seen;
    entry->seen = values;
    if (seen == NULL || seen == values ||
        fletch_ipc_dictionary_compare(entry->values, seen, values) == FLETCH_IPC_DICTIONARY_SAME)
        return FLETCH_OK;
    return fletch_error_set(walk->error, FLETCH_INVALID_ARGUMENT,
                            "field '%s' and another share dictionary %" PRId64
                            " and not its values",
                            path_of(entry).text, entry->id);
}

/* What an entry, whose values are now `values`, needs. */
static enum fletch_status find_update(struct dictionary_walk *walk,
                                      struct fletch_ipc_dictionary *entry,
                                      struct fletch_batch *values)
{
    const struct fletch_ipc_encoder *encoder = walk->encoder;
    struct dictionary_update update = {.entry = entry, .values = values};
    enum fletch_ipc_dictionary_relation relation = FLETCH_IPC_DICTIONARY_DIFFERENT;
    if (entry->batch == values)
        return FLETCH_OK;
    if (entry->batch != NULL)
        relation = fletch_ipc_dictionary_compare(entry->values, entry->batch, values);
    if (relation == FLETCH_IPC_DICTIONARY_SAME) {
        /* So that the next batch is told by the address. */
        fletch_ipc_dictionaries_set(&walk->encoder->dictionaries, entry,
                                    fletch_batch_acquire(values));
        return FLETCH_OK;
    }
    if (relation == FLETCH_IPC_DICTIONARY_GROWN && !encoder->forbids_deltas) {
        update.is_delta = true;
        update.first = entry->batch->row_count;
    }
    if (entry->batch != NULL && !update.is_delta && encoder->forbids_replacement)
        return fletch_error_set(walk->error, FLETCH_FAILED_PRECONDITION,
                                "field '%s': its dictionary is replaced, which this stream may "
                                "not do",
                                path_of(entry).text);
    fletch_batch_acquire(values);
    walk->update = update;
    return FLETCH_OK;
}

/* An entry that has `values` in the batch: first what these have within them. */
static enum fletch_status walk_entry(struct dictionary_walk *walk,
                                     struct fletch_ipc_dictionary *entry,
                                     struct fletch_batch *values)
{
    const struct fletch_ipc_dictionaries *dictionaries = &walk->encoder->dictionaries;
    enum fletch_status status = check_parts(entry->values, values, "dictionary", walk->error);
    if (status == FLETCH_OK)
        status = check_shared(walk, entry, values);
    if (entry->batch == values && entry->settled_at == dictionaries->changes)
        return status;
    if (status == FLETCH_OK)
        status =
            walk_dictionaries(walk, entry->below, values->dictionary_count, values->dictionaries);
    if (status == FLETCH_OK && walk->update.entry == NULL)
        status = find_update(walk, entry, values);
    if (status == FLETCH_OK && walk->update.entry == NULL)
        entry->settled_at = dictionaries->changes;
    return status;
}

/* As deep as dictionaries are nested, up to the first that needs something. One that has never come
 * is sent without values. */
static enum fletch_status walk_dictionaries(struct dictionary_walk *walk, const uint32_t *entry_of,
                                            uint32_t count, struct fletch_batch *const *batches)
{
    struct fletch_ipc_dictionaries *dictionaries = &walk->encoder->dictionaries;
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < count && status == FLETCH_OK && walk->update.entry == NULL; i++) {
        struct fletch_ipc_dictionary *entry = &dictionaries->entries[entry_of[i]];
        struct fletch_batch *made = NULL;
        if (batches[i] == NULL && entry->batch != NULL)
            continue;
        if (batches[i] == NULL)
            status = fletch_ipc_dictionaries_empty(dictionaries, entry->values, &made, walk->error);
        if (status == FLETCH_OK)
            status = walk_entry(walk, entry, made == NULL ? batches[i] : made);
        if (made != NULL)
            entry->seen = NULL;
        fletch_batch_release(walk->encoder->cache, made);
    }
    return status;
}

static enum fletch_status encode_dictionary(struct fletch_ipc_encoder *encoder,
                                            const struct dictionary_update *update,
                                            struct fletch_ipc_encoded *out_encoded,
                                            struct fletch_error *error)
{
    struct message message = {
        .type = FLETCH_IPC_HEADER_DICTIONARY,
        .schema = update->entry->values,
        .dictionary_id = update->entry->id,
        .is_delta = update->is_delta,
        .first = update->first,
        .custom_metadata = &update->entry->custom.metadata,
    };
    enum fletch_status status = encode_rows(encoder, &message, update->values, out_encoded, error);
    if (status != FLETCH_OK)
        return status;
    update->entry->custom.metadata = (struct fletch_metadata){0};
    fletch_ipc_dictionaries_set(&encoder->dictionaries, update->entry,
                                fletch_batch_acquire(update->values));
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_encoder_dictionary_metadata(struct fletch_ipc_encoder *encoder,
                                                          int64_t id,
                                                          const struct fletch_metadata *metadata,
                                                          struct fletch_error *error)
{
    const struct fletch_metadata_room room = {encoder->cache, encoder->account};
    struct fletch_ipc_dictionary *entry = fletch_ipc_dictionaries_find(&encoder->dictionaries, id);
    if (entry == NULL)
        return fletch_error_set(error, FLETCH_NOT_FOUND, "no field has the dictionary %" PRId64,
                                id);
    return fletch_kept_metadata_copy(&entry->custom, &room, metadata, error);
}

enum fletch_status fletch_ipc_encoder_dictionary(struct fletch_ipc_encoder *encoder,
                                                 struct fletch_batch *batch, bool *out_is_needed,
                                                 struct fletch_ipc_encoded *out_encoded,
                                                 struct fletch_error *error)
{
    struct fletch_ipc_dictionaries *dictionaries = &encoder->dictionaries;
    struct dictionary_walk walk = {.encoder = encoder, .error = error};
    *out_is_needed = false;
    if (dictionaries->entry_count == 0)
        return FLETCH_OK;
    enum fletch_status status = check_parts(encoder->schema, batch, "batch", error);
    for (uint32_t i = 0; i < dictionaries->entry_count; i++)
        dictionaries->entries[i].seen = NULL;
    if (status == FLETCH_OK)
        status = walk_dictionaries(&walk, dictionaries->entry_of, batch->dictionary_count,
                                   batch->dictionaries);
    if (status == FLETCH_OK && walk.update.entry != NULL) {
        *out_is_needed = true;
        status = encode_dictionary(encoder, &walk.update, out_encoded, error);
    }
    fletch_batch_release(encoder->cache, walk.update.values);
    return status;
}

void fletch_ipc_encoder_forget(struct fletch_ipc_encoder *encoder)
{
    fletch_ipc_dictionaries_forget(&encoder->dictionaries);
}

/* ---- measuring ---- */

/* The largest block so far. */
struct measuring {
    struct fletch_ipc_encoder *encoder;
    size_t bytes;
    struct fletch_error *error;
};

/* The block of the message for all rows of `batch`; NULL: for any that need no scratch, and whose
 * views have a data buffer each. What a message tells has the same size whatever it is. */
static enum fletch_status measure_rows(struct measuring *measuring, const struct message *message,
                                       const struct fletch_batch *batch)
{
    const struct fletch_schema *schema = message->schema;
    struct fletch_ipc_plan *plan = &measuring->encoder->plan;
    struct block_layout layout;
    size_t span_count = schema->span_count + (size_t)schema->view_count;
    if (batch != NULL)
        span_count = batch->span_count;
    enum fletch_status status =
        place_plan(measuring->encoder, schema, span_count, measuring->error);
    if (status != FLETCH_OK)
        return status;
    if (batch != NULL)
        fletch_ipc_plan_rows(plan, batch, 0, batch->row_count);
    else
        fletch_ipc_plan_plain(plan, schema);
    status = measure(measuring->encoder, message, &layout, measuring->error);
    if (status == FLETCH_OK && layout.bytes > measuring->bytes)
        measuring->bytes = layout.bytes;
    return status;
}

/* As deep as dictionaries are nested; `batches` NULL, or one of them: any. */
static enum fletch_status measure_dictionaries(struct measuring *measuring,
                                               const uint32_t *entry_of, uint32_t count,
                                               struct fletch_batch *const *batches)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < count && status == FLETCH_OK; i++) {
        const struct fletch_ipc_dictionary *entry =
            &measuring->encoder->dictionaries.entries[entry_of[i]];
        const struct fletch_batch *values = batches == NULL ? NULL : batches[i];
        const struct message message = {.type = FLETCH_IPC_HEADER_DICTIONARY,
                                        .schema = entry->values};
        if (values != NULL)
            status = check_parts(entry->values, values, "dictionary", measuring->error);
        if (status == FLETCH_OK)
            status = measure_dictionaries(measuring, entry->below, entry->values->dictionary_count,
                                          values == NULL ? NULL : values->dictionaries);
        if (status == FLETCH_OK)
            status = measure_rows(measuring, &message, values);
    }
    return status;
}

enum fletch_status fletch_ipc_encoder_measure(struct fletch_ipc_encoder *encoder,
                                              const struct fletch_batch *batch, size_t *out_bytes,
                                              struct fletch_error *error)
{
    const struct fletch_schema *schema = encoder->schema;
    const struct message message = {.type = FLETCH_IPC_HEADER_BATCH, .schema = schema};
    struct measuring measuring = {.encoder = encoder, .error = error};
    enum fletch_status status = FLETCH_OK;
    if (batch != NULL)
        status = check_parts(schema, batch, "batch", error);
    if (status == FLETCH_OK)
        status = measure_dictionaries(&measuring, encoder->dictionaries.entry_of,
                                      schema->dictionary_count,
                                      batch == NULL ? NULL : batch->dictionaries);
    if (status == FLETCH_OK)
        status = measure_rows(&measuring, &message, batch);
    if (status == FLETCH_OK)
        *out_bytes = measuring.bytes;
    return status;
}
