#include <fletching/ipc_relay.h>
#include <fletching/ipc_writer.h>

#include <inttypes.h>
#include <string.h>

#include "arrow/ipc_encoder.h"
#include "arrow/ipc_format.h"
#include "arrow/ipc_schema_writer.h"
#include "arrow/kept_metadata.h"
#include "base/allocator.h"
#include "base/descriptor.h"
#include "base/options.h"

enum state { STATE_OPEN, STATE_FINISHED, STATE_FAILED };

/* As the footer has it. */
struct block {
    int64_t offset;
    int32_t metadata_bytes;
    int32_t padding;
    int64_t body_bytes;
};

_Static_assert(sizeof(struct block) == FLETCH_IPC_BLOCK_BYTES, "written as it lies");

struct block_list {
    struct block *blocks;
    size_t count;
    size_t capacity;
};

struct fletch_ipc_writer {
    struct fletch_ipc_encoder *encoder; /* NULL: a relay */
    struct fletch_schema *schema;       /* the same */
    uint32_t relayed_prefix_bytes;      /* of a relay's last message; 0: none yet */
    struct fletch_allocator allocator;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    enum fletch_ipc_format format;
    enum state state;
    int fd; /* -1: memory */
    struct fletch_buffer *memory;
    size_t position; /* bytes written */
    struct fletch_kept_metadata head_metadata;
    struct block_list dictionaries;
    struct block_list batches;
};

enum { HEAD_BYTES = 8, PIECES = 64 };

/* The same numbers. */
_Static_assert((int)FLETCH_IPC_COMPRESSION_LZ4 == (int)FLETCH_CODEC_LZ4_FRAME &&
                   (int)FLETCH_IPC_COMPRESSION_ZSTD == (int)FLETCH_CODEC_ZSTD,
               "an option is a codec");

/* ---- output ---- */

static enum fletch_status fail(struct fletch_ipc_writer *writer, enum fletch_status status)
{
    if (status != FLETCH_OK)
        writer->state = STATE_FAILED;
    return status;
}

static enum fletch_status write_to_descriptor(struct fletch_ipc_writer *writer,
                                              const struct fletch_batch_span *spans, size_t count,
                                              struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    while (count != 0 && status == FLETCH_OK) {
        struct iovec pieces[PIECES];
        size_t taken = count < PIECES ? count : PIECES;
        for (size_t i = 0; i < taken; i++)
            pieces[i] = (struct iovec){(void *)(uintptr_t)spans[i].data, spans[i].bytes};
        status = fletch_descriptor_write(writer->fd, pieces, taken, error);
        spans += taken;
        count -= taken;
    }
    return status;
}

/* Room for `bytes` more bytes in memory. */
static enum fletch_status make_room(struct fletch_ipc_writer *writer, size_t bytes,
                                    struct fletch_error *error)
{
    size_t have = writer->memory == NULL ? 0 : fletch_buffer_capacity(writer->memory);
    if (bytes <= have - writer->position)
        return FLETCH_OK;
    struct fletch_buffer *larger = NULL;
    enum fletch_status status = fletch_buffer_allocate(writer->cache, 2 * writer->position + bytes,
                                                       writer->account, &larger, error);
    if (status != FLETCH_OK)
        return status;
    if (writer->position != 0)
        memcpy(fletch_buffer_mutable_data(larger), fletch_buffer_data(writer->memory),
               writer->position);
    fletch_buffer_release(writer->cache, writer->memory);
    writer->memory = larger;
    return FLETCH_OK;
}

static enum fletch_status write_to_memory(struct fletch_ipc_writer *writer,
                                          const struct fletch_batch_span *spans, size_t count,
                                          struct fletch_error *error)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += spans[i].bytes;
    enum fletch_status status = make_room(writer, bytes, error);
    if (status != FLETCH_OK)
        return status;
    uint8_t *to = fletch_buffer_mutable_data(writer->memory) + writer->position;
    for (size_t i = 0; i < count; i++) {
        memcpy(to, spans[i].data, spans[i].bytes);
        to += spans[i].bytes;
    }
    return FLETCH_OK;
}

static enum fletch_status write_spans(struct fletch_ipc_writer *writer,
                                      const struct fletch_batch_span *spans, size_t count,
                                      struct fletch_error *error)
{
    enum fletch_status status = writer->fd >= 0 ? write_to_descriptor(writer, spans, count, error)
                                                : write_to_memory(writer, spans, count, error);
    for (size_t i = 0; i < count && status == FLETCH_OK; i++)
        writer->position += spans[i].bytes;
    return fail(writer, status);
}

static enum fletch_status write_bytes(struct fletch_ipc_writer *writer, const void *bytes,
                                      size_t count, struct fletch_error *error)
{
    const struct fletch_batch_span span = {bytes, count};
    return write_spans(writer, &span, 1, error);
}

/* ---- blocks of the footer ---- */

static void free_blocks(struct fletch_ipc_writer *writer, struct block_list *list)
{
    if (list->blocks != NULL)
        fletch_release(&writer->allocator, list->blocks, list->capacity * sizeof *list->blocks,
                       _Alignof(struct block));
    list->blocks = NULL;
}

/* Room for one more. */
static enum fletch_status reserve_block(struct fletch_ipc_writer *writer, struct block_list *list,
                                        struct fletch_error *error)
{
    if (list->count < list->capacity)
        return FLETCH_OK;
    size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    struct block *blocks =
        fletch_allocate(&writer->allocator, capacity * sizeof *blocks, _Alignof(struct block));
    if (blocks == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a footer of %zu messages", capacity);
    if (list->count != 0)
        memcpy(blocks, list->blocks, list->count * sizeof *blocks);
    free_blocks(writer, list);
    list->blocks = blocks;
    list->capacity = capacity;
    return FLETCH_OK;
}

/* Writes a message, releases it, and notes it in `list` (NULL: nowhere). */
static enum fletch_status write_encoded(struct fletch_ipc_writer *writer,
                                        struct fletch_ipc_encoded *encoded, struct block_list *list,
                                        struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    bool is_noted = list != NULL && writer->format == FLETCH_IPC_FILE;
    if (is_noted)
        status = fail(writer, reserve_block(writer, list, error));
    if (status == FLETCH_OK && is_noted)
        list->blocks[list->count++] = (struct block){
            .offset = (int64_t)writer->position,
            .metadata_bytes = (int32_t)encoded->metadata_bytes,
            .body_bytes = (int64_t)encoded->body_bytes,
        };
    if (status == FLETCH_OK)
        status = write_spans(writer, encoded->spans, encoded->span_count, error);
    fletch_ipc_encoded_release(writer->cache, encoded);
    return status;
}

/* ---- opening ---- */

static enum fletch_status copy_options(struct fletch_ipc_write_options *known,
                                       const struct fletch_ipc_write_options *options,
                                       struct fletch_error *error)
{
    enum fletch_status status =
        fletch_options_copy(known, sizeof *known, options, sizeof *known, error);
    if (status != FLETCH_OK)
        return status;
    if (known->cache == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "option cache is NULL");
    if ((unsigned)known->format > FLETCH_IPC_FILE)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "option format is %d, expected 0 or 1", (int)known->format);
    if ((unsigned)known->deltas > FLETCH_IPC_DELTAS_OFF)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "option deltas is %d, expected 0 or 1", (int)known->deltas);
    if ((unsigned)known->compression > FLETCH_IPC_COMPRESSION_ZSTD)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "option compression is %d, expected 0 to %d",
                                (int)known->compression, FLETCH_IPC_COMPRESSION_ZSTD);
    if (known->alignment_bytes == 0)
        known->alignment_bytes = FLETCH_IPC_ALIGNMENT_DEFAULT;
    if (known->alignment_bytes != 8 && known->alignment_bytes != 64)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "option alignment_bytes is %" PRIu32 ", expected 8 or 64",
                                known->alignment_bytes);
    return FLETCH_OK;
}

static enum fletch_status keep_head_metadata(struct fletch_ipc_writer *writer, const char *told,
                                             struct fletch_error *error)
{
    const struct fletch_metadata_room room = {writer->cache, writer->account};
    struct fletch_metadata metadata = {0};
    enum fletch_status status =
        fletch_metadata_measure(told, "option head_metadata", &metadata, error);
    if (status != FLETCH_OK)
        return status;
    return fletch_kept_metadata_copy(&writer->head_metadata, &room, &metadata, error);
}

static enum fletch_status create_writer(struct fletch_schema *schema,
                                        const struct fletch_ipc_write_options *options,
                                        struct fletch_ipc_writer **out_writer,
                                        struct fletch_error *error)
{
    struct fletch_ipc_write_options known;
    enum fletch_status status = copy_options(&known, options, error);
    if (status == FLETCH_OK && schema == NULL && known.format == FLETCH_IPC_FILE)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                  "an ipc file needs a schema: only a stream can be relayed");
    if (status == FLETCH_OK && schema == NULL && known.head_metadata != NULL)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                  "option head_metadata is for the message of a schema, and a "
                                  "relay makes none");
    if (status != FLETCH_OK)
        return status;
    struct fletch_ipc_writer *writer = fletch_block_allocate(known.allocator, sizeof *writer);
    if (writer == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for an ipc writer: %zu bytes", sizeof *writer);
    *writer = (struct fletch_ipc_writer){
        .allocator = fletch_allocator_or_default(known.allocator),
        .cache = known.cache,
        .account = known.account,
        .format = known.format,
        .fd = -1,
    };
    *out_writer = writer;
    if (schema == NULL)
        return FLETCH_OK;
    status = keep_head_metadata(writer, known.head_metadata, error);
    if (status != FLETCH_OK) {
        fletch_block_release(writer);
        return status;
    }
    const struct fletch_ipc_encoder_options encoder_options = {
        .schema = schema,
        .cache = known.cache,
        .account = known.account,
        .alignment = known.alignment_bytes,
        .head_bytes = known.format == FLETCH_IPC_FILE ? HEAD_BYTES : 0,
        .forbids_replacement = known.format == FLETCH_IPC_FILE,
        .forbids_deltas = known.deltas == FLETCH_IPC_DELTAS_OFF,
        .codec = (enum fletch_codec)known.compression,
        .head_metadata = writer->head_metadata.metadata,
    };
    status = fletch_ipc_encoder_create(&encoder_options, known.allocator, &writer->encoder, error);
    if (status != FLETCH_OK) {
        fletch_kept_metadata_drop(&writer->head_metadata, writer->cache);
        fletch_block_release(writer);
        return status;
    }
    writer->schema = fletch_schema_acquire(schema);
    return FLETCH_OK;
}

static enum fletch_status write_head(struct fletch_ipc_writer *writer, struct fletch_error *error)
{
    static const char magic[HEAD_BYTES] = "ARROW1";
    enum fletch_status status = FLETCH_OK;
    if (writer->encoder == NULL)
        return FLETCH_OK;
    if (writer->format == FLETCH_IPC_FILE)
        status = write_bytes(writer, magic, sizeof magic, error);
    struct fletch_ipc_encoded encoded;
    if (status == FLETCH_OK)
        status = fletch_ipc_encoder_schema(writer->encoder, &encoded, error);
    return status == FLETCH_OK ? write_encoded(writer, &encoded, NULL, error) : status;
}

static enum fletch_status open_writer(int fd, struct fletch_schema *schema,
                                      const struct fletch_ipc_write_options *options,
                                      struct fletch_ipc_writer **out_writer,
                                      struct fletch_error *error)
{
    struct fletch_ipc_writer *writer = NULL;
    enum fletch_status status = create_writer(schema, options, &writer, error);
    if (status != FLETCH_OK)
        return status;
    writer->fd = fd;
    status = write_head(writer, error);
    if (status == FLETCH_OK)
        *out_writer = writer;
    else
        fletch_ipc_writer_close(writer);
    return status;
}

enum fletch_status fletch_ipc_writer_open_fd(int fd, struct fletch_schema *schema,
                                             const struct fletch_ipc_write_options *options,
                                             struct fletch_ipc_writer **out_writer,
                                             struct fletch_error *error)
{
    if (fd < 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "descriptor is %d", fd);
    return open_writer(fd, schema, options, out_writer, error);
}

enum fletch_status fletch_ipc_writer_open_memory(struct fletch_schema *schema,
                                                 const struct fletch_ipc_write_options *options,
                                                 struct fletch_ipc_writer **out_writer,
                                                 struct fletch_error *error)
{
    return open_writer(-1, schema, options, out_writer, error);
}

void fletch_ipc_writer_close(struct fletch_ipc_writer *writer)
{
    if (writer == NULL)
        return;
    free_blocks(writer, &writer->dictionaries);
    free_blocks(writer, &writer->batches);
    fletch_buffer_release(writer->cache, writer->memory);
    fletch_ipc_encoder_destroy(writer->encoder);
    fletch_kept_metadata_drop(&writer->head_metadata, writer->cache);
    fletch_schema_release(writer->schema);
    fletch_block_release(writer);
}

/* ---- writing ---- */

static enum fletch_status check_open(const struct fletch_ipc_writer *writer,
                                     struct fletch_error *error)
{
    if (writer->state == STATE_OPEN)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "ipc writer %s",
                            writer->state == STATE_FINISHED ? "is finished"
                                                            : "failed to write before");
}

static enum fletch_status write_dictionaries(struct fletch_ipc_writer *writer,
                                             struct fletch_batch *batch, struct fletch_error *error)
{
    for (;;) {
        bool is_needed = false;
        struct fletch_ipc_encoded encoded;
        enum fletch_status status =
            fletch_ipc_encoder_dictionary(writer->encoder, batch, &is_needed, &encoded, error);
        if (status != FLETCH_OK || !is_needed)
            return status;
        status = write_encoded(writer, &encoded, &writer->dictionaries, error);
        if (status != FLETCH_OK)
            return status;
    }
}

enum fletch_status fletch_ipc_writer_write(struct fletch_ipc_writer *writer,
                                           struct fletch_batch *batch, const char *metadata,
                                           struct fletch_error *error)
{
    struct fletch_metadata custom = {0};
    struct fletch_ipc_encoded encoded;
    enum fletch_status status = check_open(writer, error);
    if (status == FLETCH_OK && writer->encoder == NULL)
        status = fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                  "the ipc writer relays messages and takes no batches");
    if (status == FLETCH_OK && batch->schema != writer->schema)
        status = fletch_schema_compare(writer->schema, batch->schema, FLETCH_COMPARE_FIELDS, error);
    if (status == FLETCH_OK)
        status = fletch_metadata_measure(metadata, "metadata of a batch", &custom, error);
    if (status == FLETCH_OK)
        status = write_dictionaries(writer, batch, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_encoder_batch(writer->encoder, batch, &custom, &encoded, error);
    return status == FLETCH_OK ? write_encoded(writer, &encoded, &writer->batches, error) : status;
}

enum fletch_status fletch_ipc_writer_dictionary_metadata(struct fletch_ipc_writer *writer,
                                                         int64_t id, const char *metadata,
                                                         struct fletch_error *error)
{
    struct fletch_metadata custom = {0};
    enum fletch_status status = check_open(writer, error);
    if (status == FLETCH_OK && writer->encoder == NULL)
        status = fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                  "the ipc writer relays messages and makes none");
    if (status == FLETCH_OK)
        status = fletch_metadata_measure(metadata, "metadata of a dictionary", &custom, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_encoder_dictionary_metadata(writer->encoder, id, &custom, error);
    return status;
}

enum fletch_status fletch_ipc_writer_relay(struct fletch_ipc_writer *writer,
                                           const struct fletch_ipc_relayed *message,
                                           struct fletch_error *error)
{
    enum fletch_status status = check_open(writer, error);
    if (status != FLETCH_OK)
        return status;
    if (writer->encoder != NULL)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the ipc writer has a schema of its own and relays no messages");
    bool is_schema = message->kind == FLETCH_IPC_RELAYED_SCHEMA;
    if (is_schema != (writer->relayed_prefix_bytes == 0))
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "message of kind %d %s",
                                (int)message->kind,
                                is_schema ? "behind the schema" : "before the schema");
    struct fletch_batch_span spans[3] = {
        {message->prefix, message->prefix_bytes},
        {fletch_buffer_data(message->metadata), fletch_buffer_bytes(message->metadata)},
    };
    if (message->body != NULL)
        spans[2] = (struct fletch_batch_span){fletch_buffer_data(message->body),
                                              fletch_buffer_bytes(message->body)};
    writer->relayed_prefix_bytes = message->prefix_bytes;
    return write_spans(writer, spans, message->body == NULL ? 2 : 3, error);
}

static uint32_t write_blocks(struct fletch_flatbuffer_writer *writer, const struct block_list *list)
{
    uint32_t elements;
    uint32_t vector =
        fletch_flatbuffer_add_vector(writer, list->count, FLETCH_IPC_BLOCK_BYTES, 8, &elements);
    if (list->count != 0)
        fletch_flatbuffer_set(writer, elements, list->blocks, list->count * FLETCH_IPC_BLOCK_BYTES);
    return vector;
}

/* Writes the footer's flatbuffer, or measures it where `bytes` is NULL; 0: too large for one. */
static size_t write_footer_table(const struct fletch_ipc_writer *writer, uint8_t *bytes,
                                 size_t capacity)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_footer_layout;
    struct fletch_flatbuffer_writer footer;
    fletch_flatbuffer_begin(&footer, bytes, capacity);
    bool has_metadata = writer->head_metadata.metadata.count != 0;
    uint32_t table = fletch_flatbuffer_add_table(&footer, layout, has_metadata ? 31 : 15);
    fletch_flatbuffer_set(&footer, fletch_flatbuffer_field(layout, table, FLETCH_FOOTER_VERSION),
                          &(int16_t){FLETCH_IPC_V5}, 2);
    fletch_flatbuffer_refer(&footer, fletch_flatbuffer_field(layout, table, FLETCH_FOOTER_SCHEMA),
                            fletch_ipc_schema_write(&footer, writer->schema));
    fletch_flatbuffer_refer(&footer,
                            fletch_flatbuffer_field(layout, table, FLETCH_FOOTER_DICTIONARIES),
                            write_blocks(&footer, &writer->dictionaries));
    fletch_flatbuffer_refer(&footer, fletch_flatbuffer_field(layout, table, FLETCH_FOOTER_BATCHES),
                            write_blocks(&footer, &writer->batches));
    if (has_metadata)
        fletch_flatbuffer_refer(
            &footer, fletch_flatbuffer_field(layout, table, FLETCH_FOOTER_METADATA),
            fletch_ipc_metadata_write(&footer, &writer->head_metadata.metadata));
    fletch_flatbuffer_pad(&footer, 8);
    return footer.overflowed ? 0 : footer.size;
}

static enum fletch_status write_footer(struct fletch_ipc_writer *writer, struct fletch_error *error)
{
    size_t bytes = write_footer_table(writer, NULL, 0);
    if (bytes == 0)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "footer of %zu batches does not fit in 2 GiB",
                                writer->batches.count);
    struct fletch_buffer *buffer = NULL;
    size_t total = bytes + 4 + FLETCH_IPC_MAGIC_BYTES;
    enum fletch_status status =
        fletch_buffer_allocate(writer->cache, total, writer->account, &buffer, error);
    if (status != FLETCH_OK)
        return status;
    uint8_t *data = fletch_buffer_mutable_data(buffer);
    int32_t told = (int32_t)write_footer_table(writer, data, bytes);
    memcpy(data + bytes, &told, sizeof told);
    memcpy(data + bytes + sizeof told, fletch_ipc_magic, FLETCH_IPC_MAGIC_BYTES);
    status = write_bytes(writer, data, total, error);
    fletch_buffer_release(writer->cache, buffer);
    return status;
}

enum fletch_status fletch_ipc_writer_finish(struct fletch_ipc_writer *writer,
                                            struct fletch_error *error)
{
    static const uint32_t end[2] = {FLETCH_IPC_CONTINUATION, 0};
    enum fletch_status status = check_open(writer, error);
    if (status != FLETCH_OK)
        return status;
    /* What came without the marker ends without it: its readers do not know it. */
    bool is_old = writer->relayed_prefix_bytes == 4;
    status = write_bytes(writer, &end[is_old], is_old ? 4 : sizeof end, error);
    if (status == FLETCH_OK && writer->format == FLETCH_IPC_FILE)
        status = fail(writer, write_footer(writer, error));
    if (status == FLETCH_OK)
        writer->state = STATE_FINISHED;
    return status;
}

enum fletch_status fletch_ipc_writer_take(struct fletch_ipc_writer *writer,
                                          struct fletch_buffer **out_buffer,
                                          struct fletch_error *error)
{
    if (writer->state != STATE_FINISHED || writer->memory == NULL)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "ipc writer is not finished, does not write to memory, or was "
                                "emptied before");
    fletch_buffer_resize(writer->memory, writer->position);
    *out_buffer = writer->memory;
    writer->memory = NULL;
    return FLETCH_OK;
}
