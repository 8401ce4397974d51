#include "arrow/ipc_decoder.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/ipc_dictionaries.h"
#include "arrow/ipc_dictionary_join.h"
#include "arrow/ipc_repeat.h"
#include "arrow/ipc_schema_reader.h"
#include "arrow/validate.h"
#include "base/allocator.h"

enum phase {
    PHASE_PREFIX,
    PHASE_METADATA,
    PHASE_BODY,
    PHASE_READY, /* a whole message is there */
    PHASE_END,
    PHASE_FAILED
};

/* The most that a batch of the schema, or of a dictionary, has had of each. */
struct room_size {
    size_t nodes;
    size_t spans;
    size_t views;
    size_t dictionaries;
};

struct fletch_ipc_decoder {
    struct fletch_ipc_read_options options;
    struct fletch_allocator allocator;
    enum phase phase;
    bool is_file;       /* where no dictionary is replaced */
    bool is_big_endian; /* all data, which is turned */
    bool is_relayed;    /* a relay's schema has been there */
    bool is_modern;     /* the last prefix had a continuation marker, the next probably has */
    size_t filled;      /* bytes of the phase that are there */
    uint64_t position;  /* of the message's first byte in the stream */
    uint8_t prefix[FLETCH_IPC_PREFIX_BYTES];
    size_t metadata_bytes;
    struct fletch_buffer *metadata; /* kept from message to message, grows */
    struct fletch_buffer *body;
    struct fletch_ipc_message message;
    struct fletch_kept_metadata head_metadata;   /* of the schema's message, or a footer */
    struct fletch_kept_metadata custom_metadata; /* of the last batch */
    size_t dictionary_metadata_bytes;            /* of all of them */

    struct fletch_schema *schema; /* NULL: none yet */
    struct fletch_decompressor decompressor;
    struct fletch_ipc_dictionaries dictionaries;
    struct fletch_ipc_room room;   /* for the schema and its dictionaries */
    struct fletch_batch **current; /* dictionaries of a batch */
    struct room_size room_size;
    struct fletch_schema *read_schema; /* of the batch that is being read */
    uint32_t read_span_count;
    bool may_repeat; /* batches of the schema */
    struct fletch_ipc_repeat repeat;
    void *room_memory;
    size_t room_bytes;
};

/* ---- making and ending ---- */

enum fletch_status fletch_ipc_decoder_create(const struct fletch_ipc_read_options *options,
                                             struct fletch_ipc_decoder **out_decoder,
                                             struct fletch_error *error)
{
    struct fletch_ipc_decoder *decoder = fletch_block_allocate(options->allocator, sizeof *decoder);
    if (decoder == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for an ipc decoder: %zu bytes", sizeof *decoder);
    *decoder = (struct fletch_ipc_decoder){
        .options = *options,
        .allocator = fletch_allocator_or_default(options->allocator),
        .decompressor = {.cache = options->cache, .account = options->account},
    };
    *out_decoder = decoder;
    return FLETCH_OK;
}

void fletch_ipc_decoder_destroy(struct fletch_ipc_decoder *decoder)
{
    if (decoder == NULL)
        return;
    struct fletch_buffer_cache *cache = decoder->options.cache;
    fletch_buffer_release(cache, decoder->metadata);
    fletch_buffer_release(cache, decoder->body);
    fletch_kept_metadata_drop(&decoder->head_metadata, cache);
    fletch_kept_metadata_drop(&decoder->custom_metadata, cache);
    fletch_ipc_repeat_end(&decoder->repeat, cache);
    fletch_decompressor_deinit(&decoder->decompressor);
    if (decoder->schema != NULL)
        fletch_ipc_dictionaries_deinit(&decoder->dictionaries);
    fletch_schema_release(decoder->schema);
    if (decoder->room_memory != NULL)
        fletch_release(&decoder->allocator, decoder->room_memory, decoder->room_bytes,
                       _Alignof(max_align_t));
    fletch_block_release(decoder);
}

struct fletch_schema *fletch_ipc_decoder_schema(const struct fletch_ipc_decoder *decoder)
{
    return decoder->schema;
}

const struct fletch_metadata *
fletch_ipc_decoder_head_metadata(const struct fletch_ipc_decoder *decoder)
{
    return &decoder->head_metadata.metadata;
}

const struct fletch_ipc_dictionaries *
fletch_ipc_decoder_dictionaries(const struct fletch_ipc_decoder *decoder)
{
    return &decoder->dictionaries;
}

static enum fletch_status fail(struct fletch_ipc_decoder *decoder, enum fletch_status status)
{
    if (status != FLETCH_OK)
        decoder->phase = PHASE_FAILED;
    return status;
}

static enum fletch_status refuse_failed(struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "ipc stream failed before and cannot go on");
}

/* ---- schema ---- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The room that batches of `schema` with `span_count` spans take, with what there was already. */
static struct room_size room_for(struct room_size size, const struct fletch_schema *schema,
                                 size_t span_count)
{
    return (struct room_size){
        .nodes = larger(size.nodes, schema->field_count),
        .spans = larger(size.spans, span_count),
        .views = larger(size.views, schema->view_count),
        .dictionaries = larger(size.dictionaries, schema->dictionary_count),
    };
}

/* Makes the room so large, if it is not; what was in it is lost. */
static enum fletch_status grow_room(struct fletch_ipc_decoder *decoder,
                                    const struct room_size *size, struct fletch_error *error)
{
    if (decoder->room_memory != NULL && memcmp(size, &decoder->room_size, sizeof *size) == 0)
        return FLETCH_OK;
    size_t bytes = size->nodes * sizeof *decoder->room.nodes +
                   size->spans * sizeof *decoder->room.spans +
                   (size->spans + 1) * sizeof *decoder->room.owners +
                   size->dictionaries * sizeof *decoder->current +
                   (size->views + 1) * sizeof *decoder->room.view_spans;
    void *memory = fletch_allocate(&decoder->allocator, bytes, _Alignof(max_align_t));
    if (memory == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory to decode batches of %zu fields: %zu bytes", size->nodes,
                                bytes);
    if (decoder->room_memory != NULL)
        fletch_release(&decoder->allocator, decoder->room_memory, decoder->room_bytes,
                       _Alignof(max_align_t));
    decoder->room_memory = memory;
    decoder->room_bytes = bytes;
    decoder->room_size = *size;
    decoder->room.nodes = memory;
    decoder->room.spans = (void *)(decoder->room.nodes + size->nodes);
    decoder->room.owners = (void *)(decoder->room.spans + size->spans);
    decoder->current = (void *)(decoder->room.owners + size->spans + 1);
    decoder->room.view_spans = (void *)(decoder->current + size->dictionaries);
    return FLETCH_OK;
}

/* Room for all but the data of views, which each batch tells. */
static enum fletch_status make_room(struct fletch_ipc_decoder *decoder,
                                    const struct fletch_schema *schema, struct fletch_error *error)
{
    struct room_size size = room_for((struct room_size){0}, schema, schema->span_count);
    for (uint32_t i = 0; i < decoder->dictionaries.entry_count; i++) {
        const struct fletch_schema *values = decoder->dictionaries.entries[i].values;
        size = room_for(size, values, values->span_count);
    }
    return grow_room(decoder, &size, error);
}

enum fletch_status fletch_ipc_decoder_use_schema(struct fletch_ipc_decoder *decoder,
                                                 struct fletch_schema *schema,
                                                 struct fletch_error *error)
{
    decoder->dictionaries.allocator = decoder->allocator;
    decoder->dictionaries.cache = decoder->options.cache;
    decoder->dictionaries.account = decoder->options.account;
    decoder->dictionaries.validation = decoder->options.validation;
    enum fletch_status status = fletch_ipc_dictionaries_init(&decoder->dictionaries, schema, error);
    if (status != FLETCH_OK)
        return fail(decoder, status);
    decoder->schema = fletch_schema_acquire(schema);
    decoder->may_repeat =
        decoder->options.validation <= FLETCH_VALIDATION_OFFSETS && fletch_ipc_repeat_suits(schema);
    return fail(decoder, make_room(decoder, schema, error));
}

/* Keeps custom metadata of at most `limit` bytes. */
static enum fletch_status keep_pairs(const struct fletch_ipc_decoder *decoder,
                                     const struct fletch_ipc_pairs *pairs, size_t limit,
                                     struct fletch_kept_metadata *kept, struct fletch_error *error)
{
    const struct fletch_metadata_room room = {decoder->options.cache, decoder->options.account};
    size_t bytes = 0;
    kept->metadata = (struct fletch_metadata){0};
    enum fletch_status status = fletch_ipc_pairs_measure(pairs, limit, &bytes, error);
    if (status == FLETCH_OK && bytes != 0)
        status = fletch_kept_metadata_reserve(kept, &room, bytes, error);
    if (status == FLETCH_OK && bytes != 0)
        kept->metadata =
            fletch_ipc_pairs_write(pairs, (char *)fletch_buffer_mutable_data(kept->buffer), bytes);
    return status;
}

static enum fletch_status read_schema(struct fletch_ipc_decoder *decoder,
                                      struct fletch_flatbuffer *buffer,
                                      const struct fletch_flatbuffer_table *table,
                                      struct fletch_error *error)
{
    if (decoder->schema != NULL)
        return fail(decoder, fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                              "a second schema in one ipc stream"));
    const struct fletch_ipc_schema_options options = {
        .allocator = decoder->allocator,
        .fields = decoder->options.field_limit,
        .text_bytes = decoder->options.metadata_limit_bytes,
    };
    struct fletch_schema *schema = NULL;
    enum fletch_status status = fletch_ipc_schema_read(buffer, table, &options, &schema, error);
    if (status == FLETCH_OK) {
        decoder->is_big_endian = fletch_ipc_schema_is_big_endian(buffer, table);
        status = fletch_ipc_decoder_use_schema(decoder, schema, error);
    }
    fletch_schema_release(schema);
    return fail(decoder, status);
}

enum fletch_status fletch_ipc_decoder_read_footer(struct fletch_ipc_decoder *decoder,
                                                  struct fletch_ipc_footer *footer,
                                                  struct fletch_error *error)
{
    const struct fletch_ipc_pairs pairs = {&footer->buffer, footer->metadata};
    decoder->is_file = true;
    enum fletch_status status = keep_pairs(decoder, &pairs, decoder->options.metadata_limit_bytes,
                                           &decoder->head_metadata, error);
    if (status != FLETCH_OK)
        return fail(decoder, status);
    return read_schema(decoder, &footer->buffer, &footer->schema, error);
}

/* ---- batches ---- */

/* What is joined is copied: buffers that overlap would make much of little. */
static enum fletch_status check_overlap(const struct fletch_batch *batch, size_t body_bytes,
                                        struct fletch_error *error)
{
    size_t left = body_bytes;
    for (uint32_t i = 0; i < batch->span_count; i++) {
        if (batch->spans[i].bytes > left)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "buffers of a dictionary overlap in a body of %zu bytes",
                                    body_bytes);
        left -= batch->spans[i].bytes;
    }
    return FLETCH_OK;
}

/* Compares a message with the schema of its batch, and makes room for that. */
static enum fletch_status prepare(struct fletch_ipc_decoder *decoder, struct fletch_schema *schema,
                                  const struct fletch_ipc_batch_header *header,
                                  struct fletch_error *error)
{
    enum fletch_status status =
        fletch_ipc_batch_count(schema, header, &decoder->read_span_count, error);
    if (status != FLETCH_OK)
        return status;
    decoder->read_schema = schema;
    const struct room_size size = room_for(decoder->room_size, schema, decoder->read_span_count);
    return grow_room(decoder, &size, error);
}

/* What was prepared for; its dictionaries are in `current`. */
static struct fletch_ipc_batch_source source_of(struct fletch_ipc_decoder *decoder)
{
    return (struct fletch_ipc_batch_source){
        .schema = decoder->read_schema,
        .room = decoder->room,
        .span_count = decoder->read_span_count,
        .dictionaries = decoder->current,
        .cache = decoder->options.cache,
        .account = decoder->options.account,
        .decompressor = &decoder->decompressor,
        .body_limit_bytes = decoder->options.body_limit_bytes,
        .is_big_endian = decoder->is_big_endian,
        .keeps_validity = decoder->options.validation == FLETCH_VALIDATION_FULL,
    };
}

/* The batch that `header` tells of. */
static enum fletch_status make_batch(struct fletch_ipc_decoder *decoder,
                                     const struct fletch_ipc_batch_header *header,
                                     const struct fletch_ipc_body *body,
                                     struct fletch_batch **out_batch, struct fletch_error *error)
{
    const struct fletch_ipc_batch_source source = source_of(decoder);
    return fletch_ipc_batch_read(&source, header, body, out_batch, error);
}

/* What a dictionary message is for, and its data. */
static enum fletch_status find_entry(struct fletch_ipc_decoder *decoder,
                                     struct fletch_ipc_message *message, bool *out_is_delta,
                                     struct fletch_ipc_dictionary **out_entry,
                                     struct fletch_error *error)
{
    struct fletch_flatbuffer *buffer = &message->buffer;
    const struct fletch_flatbuffer_table *table = &message->header;
    int64_t id = fletch_flatbuffer_i64(buffer, table, FLETCH_DICTIONARY_ID, 0);
    bool is_delta = fletch_flatbuffer_u8(buffer, table, FLETCH_DICTIONARY_IS_DELTA, 0) != 0;
    struct fletch_flatbuffer_table data =
        fletch_flatbuffer_table(buffer, table, FLETCH_DICTIONARY_DATA);
    struct fletch_ipc_dictionary *entry = fletch_ipc_dictionaries_find(&decoder->dictionaries, id);
    enum fletch_status status = fletch_ipc_message_check(message, "dictionary", error);
    if (status != FLETCH_OK)
        return status;
    if (entry == NULL || data.position == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "dictionary batch with id %" PRId64 " %s", id,
                                entry == NULL ? "belongs to no field" : "has no data");
    if (is_delta && !entry->has_come)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "delta for dictionary %" PRId64 ", which has not come yet", id);
    if (!is_delta && entry->has_come && decoder->is_file)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "dictionary %" PRId64 " comes a second time and is no delta, which "
                                "a file cannot have",
                                id);
    *out_is_delta = is_delta;
    *out_entry = entry;
    return FLETCH_OK;
}

/* Values that have come are looked at once, to level 2 at least; what depends on dictionaries
 * within them, when they are bound. */
static enum fletch_status check_values(const struct fletch_ipc_decoder *decoder,
                                       const struct fletch_batch *batch,
                                       const struct fletch_ipc_batch_header *header,
                                       size_t body_bytes, struct fletch_error *error)
{
    enum fletch_validation level = decoder->options.validation;
    if (level < FLETCH_VALIDATION_OFFSETS || batch->dictionary_count > 0)
        level = FLETCH_VALIDATION_OFFSETS;
    if (header->codec == FLETCH_CODEC_NONE) {
        enum fletch_status status = check_overlap(batch, body_bytes, error);
        if (status != FLETCH_OK)
            return status;
    }
    return fletch_batch_validate_columns(batch, level, error);
}

/* What messages of all dictionaries say is kept, and is no more together than one may say. */
static enum fletch_status keep_dictionary_metadata(struct fletch_ipc_decoder *decoder,
                                                   struct fletch_ipc_message *message,
                                                   struct fletch_ipc_dictionary *entry,
                                                   struct fletch_error *error)
{
    const struct fletch_ipc_pairs pairs = fletch_ipc_message_pairs(message);
    decoder->dictionary_metadata_bytes -= entry->custom.metadata.byte_count;
    enum fletch_status status = keep_pairs(
        decoder, &pairs, decoder->options.metadata_limit_bytes - decoder->dictionary_metadata_bytes,
        &entry->custom, error);
    decoder->dictionary_metadata_bytes += entry->custom.metadata.byte_count;
    return status;
}

static enum fletch_status read_dictionary(struct fletch_ipc_decoder *decoder,
                                          struct fletch_ipc_message *message,
                                          const struct fletch_ipc_body *body,
                                          struct fletch_error *error)
{
    struct fletch_ipc_dictionary *entry = NULL;
    struct fletch_ipc_batch_header header;
    struct fletch_batch *batch = NULL;
    bool is_delta = false;
    enum fletch_status status = find_entry(decoder, message, &is_delta, &entry, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_flatbuffer_table data =
        fletch_flatbuffer_table(&message->buffer, &message->header, FLETCH_DICTIONARY_DATA);
    status = fletch_ipc_batch_header_open(message, &data, &header, error);
    if (status == FLETCH_OK)
        status = keep_dictionary_metadata(decoder, message, entry, error);
    if (status == FLETCH_OK)
        status = prepare(decoder, entry->values, &header, error);
    if (status == FLETCH_OK)
        status =
            fletch_ipc_dictionaries_below(&decoder->dictionaries, entry, decoder->current, error);
    if (status == FLETCH_OK)
        status = make_batch(decoder, &header, body, &batch, error);
    if (status == FLETCH_OK)
        status = check_values(decoder, batch, &header, body->bytes, error);
    if (status == FLETCH_OK && !is_delta) {
        fletch_ipc_dictionaries_set(&decoder->dictionaries, entry, batch);
        return FLETCH_OK;
    }
    if (status == FLETCH_OK)
        status = fletch_ipc_dictionaries_append(&decoder->dictionaries, entry, batch, error);
    fletch_batch_release(decoder->options.cache, batch);
    return status;
}

/* The dictionaries as they are now. One that has not come yet is empty, where all indices are
 * null. */
static enum fletch_status collect_dictionaries(struct fletch_ipc_decoder *decoder,
                                               const struct fletch_ipc_batch_header *header,
                                               struct fletch_error *error)
{
    const struct fletch_schema *schema = decoder->schema;
    for (uint32_t i = 0; i < schema->dictionary_count; i++) {
        const struct fletch_schema_dictionary *told = &schema->dictionaries[i];
        struct fletch_ipc_dictionary *entry =
            &decoder->dictionaries.entries[decoder->dictionaries.entry_of[i]];
        const uint8_t *node = header->nodes.elements + (size_t)told->field * FLETCH_IPC_NODE_BYTES;
        if (!entry->has_come &&
            fletch_flatbuffer_load_i64(node) != fletch_flatbuffer_load_i64(node + 8))
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "field '%s': its dictionary %" PRId64
                                    " has not come before the record batch",
                                    fletch_field_path_of(schema, told->field).text, told->id);
        enum fletch_status status =
            fletch_ipc_dictionaries_bind(&decoder->dictionaries, entry, error);
        if (status != FLETCH_OK)
            return status;
        decoder->current[i] = entry->batch;
    }
    return FLETCH_OK;
}

/* Makes `*buffer` one of at least `bytes` bytes; what was in it is lost. */
static enum fletch_status grow(struct fletch_ipc_decoder *decoder, struct fletch_buffer **buffer,
                               size_t bytes, struct fletch_error *error)
{
    if (*buffer != NULL && fletch_buffer_capacity(*buffer) >= bytes)
        return FLETCH_OK;
    fletch_buffer_release(decoder->options.cache, *buffer);
    *buffer = NULL;
    return fletch_buffer_allocate(decoder->options.cache, bytes, decoder->options.account, buffer,
                                  error);
}

/* Remembers a batch whose buffers lie where its metadata, and nothing else, tells. */
static void keep_for_repeats(struct fletch_ipc_decoder *decoder,
                             const struct fletch_ipc_input *input,
                             const struct fletch_ipc_batch_header *header,
                             const struct fletch_batch *batch)
{
    const struct fletch_ipc_batch_source source = source_of(decoder);
    if (decoder->may_repeat && header->codec == FLETCH_CODEC_NONE &&
        decoder->custom_metadata.metadata.count == 0)
        fletch_ipc_repeat_keep(&decoder->repeat, &source, input, batch);
    else
        decoder->repeat.metadata_bytes = 0;
}

static enum fletch_status read_new_batch(struct fletch_ipc_decoder *decoder,
                                         struct fletch_ipc_message *message,
                                         const struct fletch_ipc_input *input,
                                         struct fletch_ipc_event *event, struct fletch_error *error)
{
    const struct fletch_ipc_body *body = &input->body;
    struct fletch_ipc_batch_header header;
    enum fletch_status status =
        fletch_ipc_batch_header_open(message, &message->header, &header, error);
    const struct fletch_ipc_pairs pairs = fletch_ipc_message_pairs(message);
    if (status == FLETCH_OK)
        status = keep_pairs(decoder, &pairs, decoder->options.metadata_limit_bytes,
                            &decoder->custom_metadata, error);
    event->custom_metadata = decoder->custom_metadata.metadata;
    if (status == FLETCH_OK)
        status = prepare(decoder, decoder->schema, &header, error);
    if (status == FLETCH_OK)
        status = collect_dictionaries(decoder, &header, error);
    struct fletch_batch *batch = NULL;
    if (status == FLETCH_OK)
        status = make_batch(decoder, &header, body, &batch, error);
    if (status == FLETCH_OK)
        status = fletch_batch_validate_columns(batch, decoder->options.validation, error);
    if (status != FLETCH_OK) {
        fletch_batch_release(decoder->options.cache, batch);
        return status;
    }
    keep_for_repeats(decoder, input, &header, batch);
    event->batch = batch;
    return FLETCH_OK;
}

static enum fletch_status read_batch(struct fletch_ipc_decoder *decoder,
                                     struct fletch_ipc_message *message,
                                     const struct fletch_ipc_body *body,
                                     struct fletch_ipc_event *event, struct fletch_error *error)
{
    const struct fletch_ipc_input input = {message->buffer.bytes, message->buffer.size, *body};
    if (!fletch_ipc_repeat_knows(&decoder->repeat, &input))
        return read_new_batch(decoder, message, &input, event, error);
    const struct fletch_ipc_batch_source source = source_of(decoder);
    return fletch_ipc_repeat_read(&decoder->repeat, &source, body, &event->batch, error);
}

/* What a relay looks at: the head was checked, and the schema comes first and once. */
static enum fletch_status relay_message(struct fletch_ipc_decoder *decoder,
                                        const struct fletch_ipc_message *message,
                                        struct fletch_ipc_event *event, struct fletch_error *error)
{
    bool is_schema = message->type == FLETCH_IPC_HEADER_SCHEMA;
    if (is_schema == decoder->is_relayed)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                is_schema ? "a second schema in one ipc stream"
                                          : "message of type %d before the schema",
                                (int)message->type);
    decoder->is_relayed = true;
    event->kind = FLETCH_IPC_EVENT_MESSAGE;
    event->relayed.kind = is_schema ? FLETCH_IPC_RELAYED_SCHEMA
                          : message->type == FLETCH_IPC_HEADER_DICTIONARY
                              ? FLETCH_IPC_RELAYED_DICTIONARY
                              : FLETCH_IPC_RELAYED_BATCH;
    return FLETCH_OK;
}

/* The message, whose head was checked, with its body. */
static enum fletch_status read_message(struct fletch_ipc_decoder *decoder,
                                       struct fletch_ipc_message *message,
                                       const struct fletch_ipc_body *body,
                                       struct fletch_ipc_event *event, struct fletch_error *error)
{
    if (decoder->options.is_relay)
        return relay_message(decoder, message, event, error);
    if (message->type == FLETCH_IPC_HEADER_SCHEMA) {
        const struct fletch_ipc_pairs pairs = fletch_ipc_message_pairs(message);
        event->kind = FLETCH_IPC_EVENT_SCHEMA;
        if (decoder->schema == NULL) {
            enum fletch_status status =
                keep_pairs(decoder, &pairs, decoder->options.metadata_limit_bytes,
                           &decoder->head_metadata, error);
            if (status != FLETCH_OK)
                return status;
        }
        return read_schema(decoder, &message->buffer, &message->header, error);
    }
    if (decoder->schema == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "message of type %d before the schema", (int)message->type);
    if (message->type == FLETCH_IPC_HEADER_DICTIONARY) {
        event->kind = FLETCH_IPC_EVENT_DICTIONARY;
        return read_dictionary(decoder, message, body, error);
    }
    event->kind = FLETCH_IPC_EVENT_BATCH;
    return read_batch(decoder, message, body, event, error);
}

enum fletch_status fletch_ipc_decoder_message(struct fletch_ipc_decoder *decoder,
                                              const struct fletch_ipc_input *input,
                                              struct fletch_ipc_event *out_event,
                                              struct fletch_error *error)
{
    if (decoder->phase == PHASE_FAILED)
        return refuse_failed(error);
    struct fletch_ipc_message *message = &decoder->message;
    struct fletch_ipc_event event = {.kind = FLETCH_IPC_EVENT_NONE};
    if (input->metadata_bytes > decoder->options.metadata_limit_bytes)
        return fail(decoder,
                    fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                     "message has %zu bytes of metadata, expected at most "
                                     "%zu",
                                     input->metadata_bytes, decoder->options.metadata_limit_bytes));
    enum fletch_status status = fletch_ipc_message_open(
        message, input->metadata, input->metadata_bytes, decoder->options.body_limit_bytes, error);
    if (status == FLETCH_OK && message->body_bytes > input->body.bytes)
        status = fletch_error_set(error, FLETCH_DATA_LOSS,
                                  "message tells a body of %" PRIu64 " bytes and has %zu",
                                  message->body_bytes, input->body.bytes);
    if (status == FLETCH_OK) {
        struct fletch_ipc_body body = input->body;
        body.bytes = (size_t)message->body_bytes;
        event.body_bytes = body.bytes;
        status = read_message(decoder, message, &body, &event, error);
    }
    if (status == FLETCH_OK)
        *out_event = event;
    return fail(decoder, status);
}

/* ---- bytes ---- */

struct fletch_ipc_need fletch_ipc_decoder_need(struct fletch_ipc_decoder *decoder)
{
    size_t prefix_bytes = decoder->is_modern || decoder->filled >= 4 ? FLETCH_IPC_PREFIX_BYTES : 4;
    switch (decoder->phase) {
    case PHASE_PREFIX:
        return (struct fletch_ipc_need){decoder->prefix + decoder->filled,
                                        prefix_bytes - decoder->filled};
    case PHASE_METADATA:
        return (struct fletch_ipc_need){fletch_buffer_mutable_data(decoder->metadata) +
                                            decoder->filled,
                                        decoder->metadata_bytes - decoder->filled};
    case PHASE_BODY:
        return (struct fletch_ipc_need){fletch_buffer_mutable_data(decoder->body) + decoder->filled,
                                        fletch_buffer_bytes(decoder->body) - decoder->filled};
    default:
        return (struct fletch_ipc_need){0};
    }
}

/* Metadata of `bytes` bytes comes next, of which `given` are there, behind its length. */
static enum fletch_status begin_metadata(struct fletch_ipc_decoder *decoder, uint32_t bytes,
                                         size_t given, struct fletch_error *error)
{
    if (bytes == 0) {
        decoder->phase = PHASE_END;
        return FLETCH_OK;
    }
    if (bytes > decoder->options.metadata_limit_bytes || bytes < given)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "message at byte %" PRIu64 " has %" PRIu32
                                " bytes of metadata, expected at least 8 and at most %zu",
                                decoder->position, bytes, decoder->options.metadata_limit_bytes);
    enum fletch_status status = grow(decoder, &decoder->metadata, bytes, error);
    if (status != FLETCH_OK)
        return status;
    memcpy(fletch_buffer_mutable_data(decoder->metadata), decoder->prefix + 4, given);
    decoder->phase = PHASE_METADATA;
    decoder->metadata_bytes = bytes;
    decoder->filled = given;
    return FLETCH_OK;
}

static enum fletch_status end_prefix(struct fletch_ipc_decoder *decoder, struct fletch_error *error)
{
    uint32_t words[2];
    memcpy(words, decoder->prefix, sizeof words);
    if (decoder->filled < 4)
        return FLETCH_OK;
    /* Before 0.15 the length stood alone: what else is there is metadata. */
    decoder->is_modern = words[0] == FLETCH_IPC_CONTINUATION;
    if (!decoder->is_modern)
        return begin_metadata(decoder, words[0], decoder->filled - 4, error);
    return decoder->filled < FLETCH_IPC_PREFIX_BYTES ? FLETCH_OK
                                                     : begin_metadata(decoder, words[1], 0, error);
}

static enum fletch_status end_metadata(struct fletch_ipc_decoder *decoder,
                                       struct fletch_error *error)
{
    struct fletch_error cause;
    enum fletch_status status =
        fletch_ipc_message_open(&decoder->message, fletch_buffer_data(decoder->metadata),
                                decoder->metadata_bytes, decoder->options.body_limit_bytes, &cause);
    if (status != FLETCH_OK)
        return fletch_error_set(error, status, "message at byte %" PRIu64 ": %s", decoder->position,
                                cause.message);
    uint64_t bytes = decoder->message.body_bytes;
    decoder->filled = 0;
    decoder->phase = bytes == 0 ? PHASE_READY : PHASE_BODY;
    if (bytes == 0)
        return FLETCH_OK;
    if (bytes > decoder->options.body_step_bytes)
        bytes = decoder->options.body_step_bytes;
    return fletch_buffer_allocate(decoder->options.cache, (size_t)bytes, decoder->options.account,
                                  &decoder->body, error);
}

/* The body's buffer is full: twice as large, unless that was all. */
static enum fletch_status end_body(struct fletch_ipc_decoder *decoder, struct fletch_error *error)
{
    uint64_t all = decoder->message.body_bytes;
    size_t have = fletch_buffer_bytes(decoder->body);
    if (have == all) {
        decoder->phase = PHASE_READY;
        return FLETCH_OK;
    }
    size_t bytes = all - have < have ? (size_t)all : 2 * have;
    struct fletch_buffer *larger = NULL;
    enum fletch_status status = fletch_buffer_allocate(decoder->options.cache, bytes,
                                                       decoder->options.account, &larger, error);
    if (status != FLETCH_OK)
        return status;
    memcpy(fletch_buffer_mutable_data(larger), fletch_buffer_data(decoder->body), have);
    fletch_buffer_release(decoder->options.cache, decoder->body);
    decoder->body = larger;
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_decoder_fill(struct fletch_ipc_decoder *decoder, size_t bytes,
                                           struct fletch_error *error)
{
    if (decoder->phase == PHASE_FAILED)
        return refuse_failed(error);
    decoder->filled += bytes;
    switch (decoder->phase) {
    case PHASE_PREFIX:
        return fail(decoder, end_prefix(decoder, error));
    case PHASE_METADATA:
        return decoder->filled < decoder->metadata_bytes
                   ? FLETCH_OK
                   : fail(decoder, end_metadata(decoder, error));
    case PHASE_BODY:
        return decoder->filled < fletch_buffer_bytes(decoder->body)
                   ? FLETCH_OK
                   : fail(decoder, end_body(decoder, error));
    default:
        return FLETCH_OK;
    }
}

/* Gives the message's bytes away as they came. */
static void hand_over(struct fletch_ipc_decoder *decoder, struct fletch_ipc_relayed *relayed)
{
    relayed->prefix_bytes = decoder->is_modern ? FLETCH_IPC_PREFIX_BYTES : 4;
    memcpy(relayed->prefix, decoder->prefix, relayed->prefix_bytes);
    fletch_buffer_resize(decoder->metadata, decoder->metadata_bytes);
    relayed->metadata = decoder->metadata;
    relayed->body = decoder->body;
    decoder->metadata = NULL;
    decoder->body = NULL;
}

enum fletch_status fletch_ipc_decoder_next(struct fletch_ipc_decoder *decoder,
                                           struct fletch_ipc_event *out_event,
                                           struct fletch_error *error)
{
    struct fletch_ipc_event event = {.kind = FLETCH_IPC_EVENT_NONE};
    if (decoder->phase == PHASE_FAILED)
        return refuse_failed(error);
    if (decoder->phase != PHASE_READY) {
        if (decoder->phase == PHASE_END)
            event.kind = FLETCH_IPC_EVENT_END;
        *out_event = event;
        return FLETCH_OK;
    }
    const struct fletch_ipc_body body = {.buffer = decoder->body,
                                         .bytes = (size_t)decoder->message.body_bytes};
    struct fletch_error cause;
    enum fletch_status status = read_message(decoder, &decoder->message, &body, &event, &cause);
    if (event.kind == FLETCH_IPC_EVENT_MESSAGE)
        hand_over(decoder, &event.relayed);
    fletch_buffer_release(decoder->options.cache, decoder->body);
    decoder->body = NULL;
    if (status != FLETCH_OK)
        return fail(decoder, fletch_error_set(error, status, "message at byte %" PRIu64 ": %s",
                                              decoder->position, cause.message));
    decoder->position += (decoder->is_modern ? FLETCH_IPC_PREFIX_BYTES : 4) +
                         decoder->metadata_bytes + decoder->message.body_bytes;
    decoder->phase = PHASE_PREFIX;
    decoder->filled = 0;
    *out_event = event;
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_decoder_end(const struct fletch_ipc_decoder *decoder,
                                          struct fletch_error *error)
{
    static const char *const places[] = {
        [PHASE_PREFIX] = "prefix",
        [PHASE_METADATA] = "metadata",
        [PHASE_BODY] = "body",
    };
    if (decoder->phase == PHASE_FAILED)
        return refuse_failed(error);
    if (decoder->phase == PHASE_END || decoder->phase == PHASE_READY)
        return FLETCH_OK;
    if (decoder->phase != PHASE_PREFIX || decoder->filled != 0)
        return fletch_error_set(error, FLETCH_DATA_LOSS,
                                "ipc stream ends in the %s of the message at byte %" PRIu64
                                ", %zu bytes into it",
                                places[decoder->phase], decoder->position, decoder->filled);
    if (decoder->schema == NULL && !decoder->is_relayed)
        return fletch_error_set(error, FLETCH_DATA_LOSS, "ipc stream ends before its schema");
    return FLETCH_OK;
}
