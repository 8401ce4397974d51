#include "spill/spill_source.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/ipc_decoder.h"
#include "spill/spill_format.h"

/* A frame that is being read. */
struct source {
    const struct fletch_spill_location *location;
    const struct fletch_spill_medium *medium;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    struct fletch_error *error;
    uint64_t stored_bytes;         /* before the trailer */
    uint64_t position;             /* of what is read next, in the frame */
    uint32_t crc;                  /* of what was read */
    struct fletch_buffer *payload; /* counted */
    const char *damage;            /* what is wrong beside the CRC32C, or NULL */
    struct fletch_spill_trailer trailer;
};

/* ---- bytes ---- */

static enum fletch_status lose(const struct source *source, const char *what)
{
    return fletch_error_set(source->error, FLETCH_DATA_LOSS,
                            "spilled frame at offset %" PRIu64 " of a file in '%s': %s",
                            source->location->offset, source->medium->path, what);
}

/* Reads the next bytes, all of them, into the pieces. */
static enum fletch_status take(struct source *source, struct iovec *pieces, int count)
{
    const struct fletch_spill_location *location = source->location;
    const struct fletch_spill_transfer whole = {
        .io = source->medium->io,
        .fd = location->file->fd,
        .offset = location->offset + source->position,
        .pieces = pieces,
        .count = count,
    };
    uint64_t wanted = 0;
    uint64_t found = 0;
    for (int i = 0; i < count; i++)
        wanted += pieces[i].iov_len;
    int failure = fletch_spill_read_all(&whole, &found);
    if (failure != 0)
        return fletch_error_set(
            source->error, FLETCH_UNAVAILABLE,
            "reading %" PRIu64 " bytes at offset %" PRIu64 " of a spill file in '%s': %s", wanted,
            whole.offset, source->medium->path, fletch_spill_error_of(failure).text);
    if (found != wanted)
        return fletch_error_set(source->error, FLETCH_DATA_LOSS,
                                "spilled frame at offset %" PRIu64 " of a file in '%s': the file "
                                "ends after %" PRIu64 " bytes of it, expected %" PRIu64,
                                location->offset, source->medium->path, source->position + found,
                                location->stored_bytes);
    source->position += found;
    return FLETCH_OK;
}

/* Reads bytes that the CRC32C is of. */
static enum fletch_status take_counted(struct source *source, void *to, size_t bytes)
{
    struct iovec piece = {to, bytes};
    enum fletch_status status = take(source, &piece, 1);
    if (status == FLETCH_OK)
        source->crc = source->medium->crc32c(source->crc, to, bytes);
    return status;
}

static enum fletch_status take_trailer(struct source *source)
{
    struct iovec piece = {&source->trailer, sizeof source->trailer};
    return take(source, &piece, 1);
}

/* ---- the payload ---- */

static enum fletch_status read_plain(struct source *source)
{
    uint8_t *bytes = fletch_buffer_mutable_data(source->payload);
    size_t size = fletch_buffer_bytes(source->payload);
    struct iovec pieces[2] = {{bytes, size}, {&source->trailer, sizeof source->trailer}};
    enum fletch_status status = take(source, pieces, 2);
    if (status == FLETCH_OK)
        source->crc = source->medium->crc32c(0, bytes, size);
    return status;
}

/* Reads a block and writes what it stands for behind the first `*made` bytes of the payload. */
static enum fletch_status read_block(struct source *source,
                                     const struct fletch_spill_unpacker *unpacker, uint64_t *made)
{
    struct fletch_spill_block block = {0};
    uint64_t room = fletch_buffer_bytes(source->payload) - *made;
    uint8_t *to = fletch_buffer_mutable_data(source->payload) + *made;
    size_t head = sizeof block;
    if (source->stored_bytes - source->position < head)
        head = (size_t)(source->stored_bytes - source->position);
    enum fletch_status status = take_counted(source, &block, head);
    if (status != FLETCH_OK)
        return status;
    if (head < sizeof block || block.piece_bytes > FLETCH_SPILL_PIECE_BYTES ||
        block.piece_bytes > room || block.stored_bytes == 0 ||
        block.stored_bytes > block.piece_bytes ||
        block.stored_bytes > source->stored_bytes - source->position) {
        source->damage = "a block of it has sizes that do not fit";
        return FLETCH_OK;
    }
    status = take_counted(source, unpacker->stored, block.stored_bytes);
    if (status != FLETCH_OK)
        return status;
    if (block.stored_bytes == block.piece_bytes)
        memcpy(to, unpacker->stored, block.piece_bytes);
    else if (!fletch_spill_unpacker_run(unpacker, to, block.piece_bytes, block.stored_bytes))
        source->damage = "a block of it cannot be decompressed";
    *made += block.piece_bytes;
    return FLETCH_OK;
}

static enum fletch_status read_blocks(struct source *source)
{
    const enum fletch_spill_codec codec = source->medium->codec;
    struct fletch_spill_unpacker unpacker;
    struct fletch_buffer *scratch = NULL;
    uint64_t made = 0;
    enum fletch_status status =
        fletch_buffer_allocate(source->cache, fletch_spill_unpacker_bytes(codec), source->account,
                               &scratch, source->error);
    if (status != FLETCH_OK)
        return status;
    fletch_spill_unpacker_init(&unpacker, codec, fletch_buffer_mutable_data(scratch));
    while (status == FLETCH_OK && source->damage == NULL && source->position < source->stored_bytes)
        status = read_block(source, &unpacker, &made);
    if (made != fletch_buffer_bytes(source->payload) && source->damage == NULL)
        source->damage = "it has fewer bytes than were written";
    /* The CRC32C of the rest says more than what was met first. */
    while (status == FLETCH_OK && source->position < source->stored_bytes) {
        uint64_t left = source->stored_bytes - source->position;
        status = take_counted(source, unpacker.stored,
                              left < FLETCH_SPILL_PIECE_BYTES ? (size_t)left
                                                              : (size_t)FLETCH_SPILL_PIECE_BYTES);
    }
    fletch_buffer_release(source->cache, scratch);
    return status == FLETCH_OK ? take_trailer(source) : status;
}

static enum fletch_status check(struct source *source)
{
    const struct fletch_spill_trailer *trailer = &source->trailer;
    uint32_t found =
        source->medium->crc32c(source->crc, trailer, offsetof(struct fletch_spill_trailer, crc32c));
    if (found != trailer->crc32c)
        return fletch_error_set(source->error, FLETCH_DATA_LOSS,
                                "spilled frame at offset %" PRIu64 " of a file in '%s': crc32c "
                                "%08" PRIx32 " was expected, %08" PRIx32 " found",
                                source->location->offset, source->medium->path, trailer->crc32c,
                                found);
    if (source->damage != NULL)
        return lose(source, source->damage);
    if (trailer->magic != FLETCH_SPILL_MAGIC ||
        trailer->flags != fletch_spill_codec_flag(source->medium->codec) ||
        trailer->stored_bytes != source->stored_bytes ||
        trailer->payload_bytes != source->location->frame_bytes ||
        trailer->metadata_bytes > trailer->payload_bytes)
        return lose(source, "its trailer is that of another one");
    return FLETCH_OK;
}

static enum fletch_status read_frame(struct source *source)
{
    const struct fletch_spill_location *location = source->location;
    enum fletch_status status = fletch_buffer_allocate(
        source->cache, location->frame_bytes, source->account, &source->payload, source->error);
    if (status == FLETCH_OK)
        status =
            source->medium->codec == FLETCH_SPILL_PLAIN ? read_plain(source) : read_blocks(source);
    return status == FLETCH_OK ? check(source) : status;
}

/* ---- the batch ---- */

/* Gives the decoder the messages one after the other; the last one is the batch. */
static enum fletch_status decode_messages(const struct source *source,
                                          struct fletch_ipc_decoder *decoder,
                                          struct fletch_ipc_event *event)
{
    const uint8_t *bytes = fletch_buffer_data(source->payload);
    size_t left = (size_t)(source->trailer.payload_bytes - source->trailer.metadata_bytes);
    size_t offset = 0;
    while (event->kind != FLETCH_IPC_EVENT_BATCH) {
        uint32_t prefix[2] = {0};
        if (left >= sizeof prefix)
            memcpy(prefix, bytes + offset, sizeof prefix);
        if (left < sizeof prefix || prefix[1] > left - sizeof prefix)
            return lose(source, "it has no record batch");
        offset += sizeof prefix;
        left -= sizeof prefix;
        const struct fletch_ipc_input input = {
            .metadata = bytes + offset,
            .metadata_bytes = prefix[1],
            .body = {.buffer = source->payload,
                     .offset = offset + prefix[1],
                     .bytes = left - prefix[1]},
        };
        enum fletch_status status =
            fletch_ipc_decoder_message(decoder, &input, event, source->error);
        if (status != FLETCH_OK)
            return status;
        offset += prefix[1] + event->body_bytes;
        left -= prefix[1] + event->body_bytes;
    }
    return FLETCH_OK;
}

static enum fletch_status decode(const struct source *source, struct fletch_batch **out_batch)
{
    const struct fletch_ipc_read_options wanted = {
        .struct_size = sizeof wanted,
        .cache = source->cache,
        .account = source->account,
        .metadata_limit_bytes = (size_t)source->trailer.payload_bytes,
        .body_limit_bytes = source->trailer.payload_bytes,
        .allocator = &source->medium->allocator,
    };
    struct fletch_ipc_read_options options;
    struct fletch_ipc_decoder *decoder = NULL;
    struct fletch_ipc_event event = {.kind = FLETCH_IPC_EVENT_NONE};
    enum fletch_status status = fletch_ipc_read_options_copy(&options, &wanted, source->error);
    if (status == FLETCH_OK)
        status = fletch_ipc_decoder_create(&options, &decoder, source->error);
    if (status == FLETCH_OK)
        status = fletch_ipc_decoder_use_schema(decoder, source->medium->schema, source->error);
    if (status == FLETCH_OK)
        status = decode_messages(source, decoder, &event);
    fletch_ipc_decoder_destroy(decoder);
    *out_batch = event.batch;
    return status;
}

/* Lets the batch have the application's metadata, before anybody else knows it. */
static enum fletch_status add_metadata(const struct source *source, struct fletch_batch *batch)
{
    size_t bytes = source->trailer.metadata_bytes;
    if (bytes == 0)
        return FLETCH_OK;
    struct fletch_buffer *copy = NULL;
    enum fletch_status status =
        fletch_buffer_allocate(source->cache, bytes, source->account, &copy, source->error);
    if (status != FLETCH_OK)
        return status;
    memcpy(fletch_buffer_mutable_data(copy),
           fletch_buffer_data(source->payload) + source->trailer.payload_bytes - bytes, bytes);
    batch->metadata = copy;
    return FLETCH_OK;
}

/* What the decoder did not accept is damage too. */
static enum fletch_status as_loss(const struct source *source, enum fletch_status status)
{
    if (status == FLETCH_OK || status == FLETCH_RESOURCE_EXHAUSTED || status == FLETCH_DATA_LOSS)
        return status;
    if (source->error == NULL)
        return FLETCH_DATA_LOSS;
    struct fletch_error cause = *source->error;
    return lose(source, cause.message);
}

enum fletch_status fletch_spill_read(const struct fletch_spill_location *location,
                                     struct fletch_buffer_cache *cache,
                                     struct fletch_account *account,
                                     struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct fletch_spill_medium *medium = location->file->medium;
    struct source source = {
        .location = location,
        .medium = medium,
        .cache = cache,
        .account = account,
        .error = error,
        .stored_bytes = location->stored_bytes - sizeof source.trailer,
    };
    struct fletch_batch *batch = NULL;
    enum fletch_status status = read_frame(&source);
    if (status == FLETCH_OK)
        status = as_loss(&source, decode(&source, &batch));
    if (status == FLETCH_OK)
        status = add_metadata(&source, batch);
    fletch_buffer_release(cache, source.payload);
    if (status == FLETCH_UNAVAILABLE || status == FLETCH_DATA_LOSS)
        fletch_spill_medium_fail(medium, FLETCH_SPILL_QUARANTINED);
    if (status != FLETCH_OK) {
        fletch_batch_release(cache, batch);
        return status;
    }
    /* relaxed: counters */
    fetch_add_relaxed(&medium->frames_read, 1);
    fetch_add_relaxed(&medium->bytes_read, location->stored_bytes); /* relaxed: a counter */
    *out_batch = batch;
    return FLETCH_OK;
}
