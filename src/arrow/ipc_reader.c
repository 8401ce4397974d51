#include <fletching/ipc_reader.h>
#include <fletching/ipc_relay.h>

#include <inttypes.h>
#include <string.h>

#include "arrow/ipc_decoder.h"
#include "arrow/ipc_dictionaries.h"
#include "arrow/ipc_file.h"
#include "base/allocator.h"
#include "base/assert.h"
#include "base/descriptor.h"

enum source { SOURCE_MEMORY_STREAM, SOURCE_MEMORY_FILE, SOURCE_DESCRIPTOR };

struct fletch_ipc_reader {
    struct fletch_ipc_decoder *decoder;
    struct fletch_buffer_cache *cache;
    enum source source;
    bool is_relay;
    int fd;
    struct fletch_buffer *memory; /* counted; of a stream or file in memory */
    size_t position;              /* of the next message of a stream in memory */
    struct fletch_ipc_footer footer;
    size_t next_index; /* of a file */
    const char *custom_metadata;
    struct fletch_error failure; /* the first one; OK: none */
};

/* ---- messages ---- */

static struct fletch_ipc_input input_at(const struct fletch_ipc_reader *reader,
                                        const struct fletch_ipc_place *place)
{
    return (struct fletch_ipc_input){
        .metadata = fletch_buffer_data(reader->memory) + place->metadata,
        .metadata_bytes = place->metadata_bytes,
        .body = {.buffer = reader->memory, .offset = place->body, .bytes = place->body_bytes},
    };
}

/* The message at `place`, which the error tells as `what` and `where`. */
static enum fletch_status read_place(struct fletch_ipc_reader *reader,
                                     const struct fletch_ipc_place *place, const char *what,
                                     struct fletch_ipc_event *out_event, struct fletch_error *error)
{
    struct fletch_error cause;
    const struct fletch_ipc_input input = input_at(reader, place);
    enum fletch_status status =
        fletch_ipc_decoder_message(reader->decoder, &input, out_event, &cause);
    if (status != FLETCH_OK)
        return fletch_error_set(error, status, "%s at byte %zu: %s", what, place->metadata,
                                cause.message);
    return FLETCH_OK;
}

/* The parts of a message in memory. */
static enum fletch_status slice_relayed(struct fletch_ipc_reader *reader,
                                        const struct fletch_ipc_place *place, size_t body_bytes,
                                        struct fletch_ipc_relayed *relayed,
                                        struct fletch_error *error)
{
    const struct fletch_buffer_range metadata = {place->metadata, place->metadata_bytes};
    const struct fletch_buffer_range body = {place->body, body_bytes};
    relayed->prefix_bytes = (uint32_t)(place->metadata - reader->position);
    memcpy(relayed->prefix, fletch_buffer_data(reader->memory) + reader->position,
           relayed->prefix_bytes);
    enum fletch_status status =
        fletch_buffer_slice(reader->cache, reader->memory, metadata, &relayed->metadata, error);
    if (status == FLETCH_OK && body_bytes > 0)
        status = fletch_buffer_slice(reader->cache, reader->memory, body, &relayed->body, error);
    if (status != FLETCH_OK)
        fletch_ipc_relayed_release(reader->cache, relayed);
    return status;
}

static enum fletch_status next_in_memory(struct fletch_ipc_reader *reader,
                                         struct fletch_ipc_event *out_event,
                                         struct fletch_error *error)
{
    size_t size = fletch_buffer_bytes(reader->memory);
    if (reader->position == size) {
        *out_event = (struct fletch_ipc_event){.kind = FLETCH_IPC_EVENT_END};
        return FLETCH_OK;
    }
    struct fletch_ipc_place place;
    enum fletch_status status = fletch_ipc_stream_find(fletch_buffer_data(reader->memory), size,
                                                       reader->position, &place, error);
    if (status != FLETCH_OK)
        return status;
    if (place.metadata_bytes == 0) {
        reader->position = size;
        *out_event = (struct fletch_ipc_event){.kind = FLETCH_IPC_EVENT_END};
        return FLETCH_OK;
    }
    status = read_place(reader, &place, "message", out_event, error);
    if (status == FLETCH_OK && out_event->kind == FLETCH_IPC_EVENT_MESSAGE)
        status = slice_relayed(reader, &place, out_event->body_bytes, &out_event->relayed, error);
    if (status == FLETCH_OK)
        reader->position = place.body + out_event->body_bytes;
    return status;
}

static enum fletch_status next_of_descriptor(struct fletch_ipc_reader *reader,
                                             struct fletch_ipc_event *out_event,
                                             struct fletch_error *error)
{
    for (;;) {
        enum fletch_status status = fletch_ipc_decoder_next(reader->decoder, out_event, error);
        if (status != FLETCH_OK || out_event->kind != FLETCH_IPC_EVENT_NONE)
            return status;
        struct fletch_ipc_need need = fletch_ipc_decoder_need(reader->decoder);
        size_t bytes = 0;
        status = fletch_descriptor_read(reader->fd, need.destination, need.bytes, &bytes, error);
        if (status == FLETCH_OK && bytes == 0) {
            *out_event = (struct fletch_ipc_event){.kind = FLETCH_IPC_EVENT_END};
            return fletch_ipc_decoder_end(reader->decoder, error);
        }
        if (status == FLETCH_OK)
            status = fletch_ipc_decoder_fill(reader->decoder, bytes, error);
        if (status != FLETCH_OK)
            return status;
    }
}

static enum fletch_status read_block(struct fletch_ipc_reader *reader,
                                     const struct fletch_flatbuffer_vector *blocks, size_t index,
                                     struct fletch_ipc_event *out_event, struct fletch_error *error)
{
    struct fletch_ipc_place place;
    enum fletch_status status =
        fletch_ipc_footer_find(&reader->footer, blocks, index, &place, error);
    if (status != FLETCH_OK)
        return status;
    status = read_place(reader, &place, "message of the footer", out_event, error);
    enum fletch_ipc_event_kind expected =
        blocks == &reader->footer.batches ? FLETCH_IPC_EVENT_BATCH : FLETCH_IPC_EVENT_DICTIONARY;
    if (status != FLETCH_OK || out_event->kind == expected)
        return status;
    fletch_batch_release(reader->cache, out_event->batch);
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "footer's block %zu of %s leads to another message", index,
                            expected == FLETCH_IPC_EVENT_BATCH ? "record batches" : "dictionaries");
}

static enum fletch_status next_of_file(struct fletch_ipc_reader *reader,
                                       struct fletch_ipc_event *out_event,
                                       struct fletch_error *error)
{
    if (reader->next_index == reader->footer.batches.count) {
        *out_event = (struct fletch_ipc_event){.kind = FLETCH_IPC_EVENT_END};
        return FLETCH_OK;
    }
    enum fletch_status status =
        read_block(reader, &reader->footer.batches, reader->next_index, out_event, error);
    if (status == FLETCH_OK)
        reader->next_index++;
    return status;
}

static enum fletch_status next_event(struct fletch_ipc_reader *reader,
                                     struct fletch_ipc_event *out_event, struct fletch_error *error)
{
    switch (reader->source) {
    case SOURCE_MEMORY_STREAM:
        return next_in_memory(reader, out_event, error);
    case SOURCE_MEMORY_FILE:
        return next_of_file(reader, out_event, error);
    case SOURCE_DESCRIPTOR:
        return next_of_descriptor(reader, out_event, error);
    }
    return FLETCH_INTERNAL;
}

/* ---- opening ---- */

static enum fletch_status create_reader(const struct fletch_ipc_read_options *options,
                                        struct fletch_ipc_reader **out_reader,
                                        struct fletch_error *error)
{
    struct fletch_ipc_read_options known;
    enum fletch_status status = fletch_ipc_read_options_copy(&known, options, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_ipc_reader *reader = fletch_block_allocate(known.allocator, sizeof *reader);
    if (reader == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for an ipc reader: %zu bytes", sizeof *reader);
    *reader =
        (struct fletch_ipc_reader){.cache = known.cache, .fd = -1, .is_relay = known.is_relay};
    status = fletch_ipc_decoder_create(&known, &reader->decoder, error);
    if (status != FLETCH_OK) {
        fletch_block_release(reader);
        return status;
    }
    *out_reader = reader;
    return FLETCH_OK;
}

static enum fletch_status read_footer(struct fletch_ipc_reader *reader, struct fletch_error *error)
{
    struct fletch_ipc_footer *footer = &reader->footer;
    enum fletch_status status = fletch_ipc_footer_open(footer, fletch_buffer_data(reader->memory),
                                                       fletch_buffer_bytes(reader->memory), error);
    if (status == FLETCH_OK)
        status = fletch_ipc_decoder_read_footer(reader->decoder, footer, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_footer_check_dictionaries(footer, error);
    struct fletch_ipc_event event;
    for (uint32_t i = 0; i < footer->dictionaries.count && status == FLETCH_OK; i++)
        status = read_block(reader, &footer->dictionaries, i, &event, error);
    return status;
}

/* Reads up to the schema, which comes first. */
static enum fletch_status read_schema(struct fletch_ipc_reader *reader, struct fletch_error *error)
{
    if (reader->is_relay && reader->source == SOURCE_MEMORY_FILE)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "an ipc file cannot be relayed, only a stream");
    if (reader->is_relay)
        return FLETCH_OK;
    if (reader->source == SOURCE_MEMORY_FILE)
        return read_footer(reader, error);
    struct fletch_ipc_event event;
    enum fletch_status status = next_event(reader, &event, error);
    if (status != FLETCH_OK || event.kind == FLETCH_IPC_EVENT_SCHEMA)
        return status;
    return fletch_error_set(error, FLETCH_DATA_LOSS, "ipc stream ends before its schema");
}

/* Gives the reader out, or ends it. */
static enum fletch_status finish_opening(struct fletch_ipc_reader *reader,
                                         struct fletch_ipc_reader **out_reader,
                                         struct fletch_error *error)
{
    enum fletch_status status = read_schema(reader, error);
    if (status == FLETCH_OK)
        *out_reader = reader;
    else
        fletch_ipc_reader_close(reader);
    return status;
}

/* The memory of a reader that may still fail to open: until then it is the caller's. */
struct lent_memory {
    struct fletch_allocator allocator;
    struct fletch_foreign_memory memory;
    bool is_mapped;
    bool is_kept;
};

static void release_lent(void *context)
{
    struct lent_memory *lent = context;
    struct fletch_allocator allocator = lent->allocator;
    if (lent->is_kept && lent->is_mapped)
        fletch_descriptor_unmap(lent->memory.data, lent->memory.bytes);
    else if (lent->is_kept && lent->memory.release != NULL)
        lent->memory.release(lent->memory.context);
    fletch_release(&allocator, lent, sizeof *lent, _Alignof(struct lent_memory));
}

static enum fletch_status lend(const struct lent_memory *told, struct fletch_ipc_reader *reader,
                               struct lent_memory **out_lent, struct fletch_error *error)
{
    struct lent_memory *lent =
        fletch_allocate(&told->allocator, sizeof *lent, _Alignof(struct lent_memory));
    if (lent == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for an ipc reader");
    *lent = *told;
    const struct fletch_foreign_memory wrapped = {
        .data = told->memory.data,
        .bytes = told->memory.bytes,
        .release = release_lent,
        .context = lent,
    };
    enum fletch_status status =
        fletch_buffer_wrap(reader->cache, &wrapped, NULL, &reader->memory, error);
    if (status == FLETCH_OK)
        *out_lent = lent;
    else
        fletch_release(&told->allocator, lent, sizeof *lent, _Alignof(struct lent_memory));
    return status;
}

static enum fletch_status open_memory(struct lent_memory *told,
                                      const struct fletch_ipc_read_options *options,
                                      struct fletch_ipc_reader **out_reader,
                                      struct fletch_error *error)
{
    struct fletch_ipc_reader *reader = NULL;
    struct lent_memory *lent = NULL;
    enum fletch_status status = create_reader(options, &reader, error);
    if (status != FLETCH_OK)
        return status;
    told->allocator = fletch_allocator_or_default(options->allocator);
    status = lend(told, reader, &lent, error);
    if (status != FLETCH_OK) {
        fletch_ipc_reader_close(reader);
        return status;
    }
    bool is_file = fletch_ipc_is_file(told->memory.data, told->memory.bytes);
    reader->source = is_file ? SOURCE_MEMORY_FILE : SOURCE_MEMORY_STREAM;
    struct fletch_buffer *memory = fletch_buffer_acquire(reader->memory);
    status = finish_opening(reader, out_reader, error);
    lent->is_kept = status == FLETCH_OK;
    fletch_buffer_release(NULL, memory);
    return status;
}

enum fletch_status fletch_ipc_reader_open_memory(const struct fletch_foreign_memory *memory,
                                                 const struct fletch_ipc_read_options *options,
                                                 struct fletch_ipc_reader **out_reader,
                                                 struct fletch_error *error)
{
    if (memory->bytes == 0 || memory->data == NULL)
        return fletch_error_set(error, FLETCH_DATA_LOSS, "ipc stream ends before its schema");
    struct lent_memory told = {.memory = *memory};
    return open_memory(&told, options, out_reader, error);
}

enum fletch_status fletch_ipc_reader_open_path(const char *path,
                                               const struct fletch_ipc_read_options *options,
                                               struct fletch_ipc_reader **out_reader,
                                               struct fletch_error *error)
{
    struct lent_memory told = {.is_mapped = true};
    enum fletch_status status =
        fletch_descriptor_map(path, &told.memory.data, &told.memory.bytes, error);
    if (status != FLETCH_OK)
        return status;
    status = open_memory(&told, options, out_reader, error);
    if (status != FLETCH_OK)
        fletch_descriptor_unmap(told.memory.data, told.memory.bytes);
    return status;
}

enum fletch_status fletch_ipc_reader_open_fd(int fd, const struct fletch_ipc_read_options *options,
                                             struct fletch_ipc_reader **out_reader,
                                             struct fletch_error *error)
{
    struct fletch_ipc_reader *reader = NULL;
    enum fletch_status status = create_reader(options, &reader, error);
    if (status != FLETCH_OK)
        return status;
    reader->source = SOURCE_DESCRIPTOR;
    reader->fd = fd;
    return finish_opening(reader, out_reader, error);
}

void fletch_ipc_reader_close(struct fletch_ipc_reader *reader)
{
    if (reader == NULL)
        return;
    fletch_ipc_decoder_destroy(reader->decoder);
    fletch_buffer_release(reader->cache, reader->memory);
    fletch_block_release(reader);
}

/* ---- reading ---- */

struct fletch_schema *fletch_ipc_reader_schema(const struct fletch_ipc_reader *reader)
{
    return fletch_ipc_decoder_schema(reader->decoder);
}

const char *fletch_ipc_reader_metadata(const struct fletch_ipc_reader *reader)
{
    return reader->custom_metadata;
}

const char *fletch_ipc_reader_head_metadata(const struct fletch_ipc_reader *reader)
{
    return fletch_ipc_decoder_head_metadata(reader->decoder)->bytes;
}

size_t fletch_ipc_reader_dictionary_count(const struct fletch_ipc_reader *reader)
{
    return fletch_ipc_decoder_dictionaries(reader->decoder)->entry_count;
}

const char *fletch_ipc_reader_dictionary_metadata(const struct fletch_ipc_reader *reader,
                                                  size_t index, int64_t *out_id)
{
    const struct fletch_ipc_dictionaries *dictionaries =
        fletch_ipc_decoder_dictionaries(reader->decoder);
    FLETCH_ASSERT(index < dictionaries->entry_count);
    *out_id = dictionaries->entries[index].id;
    return dictionaries->entries[index].custom.metadata.bytes;
}

size_t fletch_ipc_reader_batch_count(const struct fletch_ipc_reader *reader)
{
    return reader->source == SOURCE_MEMORY_FILE ? reader->footer.batches.count : FLETCH_IPC_UNKNOWN;
}

/* Keeps the failure, so that later calls can repeat it. */
static enum fletch_status fail(struct fletch_ipc_reader *reader, struct fletch_error *error)
{
    return fletch_error_set(error, reader->failure.status, "%s", reader->failure.message);
}

static enum fletch_status refuse_failed(const struct fletch_ipc_reader *reader,
                                        struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "reader failed before: %s",
                            reader->failure.message);
}

enum fletch_status fletch_ipc_reader_next(struct fletch_ipc_reader *reader,
                                          struct fletch_batch **out_batch,
                                          struct fletch_error *error)
{
    if (reader->failure.status != FLETCH_OK)
        return refuse_failed(reader, error);
    if (reader->is_relay)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the ipc reader relays messages and makes no batches");
    reader->custom_metadata = NULL;
    struct fletch_ipc_event event = {.kind = FLETCH_IPC_EVENT_DICTIONARY};
    while (event.kind == FLETCH_IPC_EVENT_DICTIONARY)
        if (next_event(reader, &event, &reader->failure) != FLETCH_OK)
            return fail(reader, error);
    reader->custom_metadata = event.custom_metadata.bytes;
    *out_batch = event.batch; /* NULL at the end */
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_reader_relay(struct fletch_ipc_reader *reader,
                                           struct fletch_ipc_relayed *out_message,
                                           struct fletch_error *error)
{
    if (reader->failure.status != FLETCH_OK)
        return refuse_failed(reader, error);
    if (!reader->is_relay)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the ipc reader was not opened to relay messages");
    struct fletch_ipc_event event;
    if (next_event(reader, &event, &reader->failure) != FLETCH_OK)
        return fail(reader, error);
    *out_message = event.relayed;
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_reader_read(struct fletch_ipc_reader *reader, size_t index,
                                          struct fletch_batch **out_batch,
                                          struct fletch_error *error)
{
    if (reader->failure.status != FLETCH_OK)
        return refuse_failed(reader, error);
    if (reader->source != SOURCE_MEMORY_FILE)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "batches of a stream come one after the other");
    if (index >= reader->footer.batches.count)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE, "batch %zu of a file that has %" PRIu32,
                                index, reader->footer.batches.count);
    reader->custom_metadata = NULL;
    struct fletch_ipc_event event;
    if (read_block(reader, &reader->footer.batches, index, &event, &reader->failure) != FLETCH_OK)
        return fail(reader, error);
    reader->custom_metadata = event.custom_metadata.bytes;
    *out_batch = event.batch;
    return FLETCH_OK;
}

static enum fletch_status next_of_source(void *context, struct fletch_batch **out_batch,
                                         struct fletch_error *error)
{
    return fletch_ipc_reader_next(context, out_batch, error);
}

static void close_source(void *context)
{
    fletch_ipc_reader_close(context);
}

void fletch_ipc_reader_source(struct fletch_ipc_reader *reader,
                              struct fletch_batch_source *out_source)
{
    *out_source = (struct fletch_batch_source){
        .schema = fletch_ipc_reader_schema(reader),
        .next = next_of_source,
        .close = close_source,
        .context = reader,
    };
}
