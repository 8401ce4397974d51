#include "spill/spill_segment.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "arrow/ipc_encoder.h"
#include "base/allocator.h"
#include "memory/size_class.h"
#include "spill/spill_sink.h"

#define FILE_BYTES_PACKED (UINT64_C(64) << 20)
#define FILE_BYTES_WITH_HOLES (UINT64_C(1) << 40)

enum { MESSAGE_ALIGNMENT = 64 };

struct fletch_spill_segment {
    struct fletch_spill_medium medium; /* first; counted */
    /* The writer's, until close. */
    int directory;
    uint64_t file_bytes; /* 0: default */
    struct fletch_spill_file *file;
    struct fletch_ipc_encoder *encoder;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    uint64_t reserved_bytes;       /* at the account, for the encoder's blocks */
    struct fletch_buffer *scratch; /* the packer's; NULL: nothing is compressed */
    struct fletch_spill_packer packer;
    char path[];
};

/* ---- the directory ---- */

static enum fletch_status refuse_directory(const char *path, int cause, struct fletch_error *error)
{
    enum fletch_status status = FLETCH_UNAVAILABLE;
    if (cause == ENOENT)
        status = FLETCH_NOT_FOUND;
    else if (cause == ENOTDIR)
        status = FLETCH_INVALID_ARGUMENT;
    else if (cause == EACCES || cause == EPERM || cause == EROFS)
        status = FLETCH_PERMISSION_DENIED;
    else if (fletch_spill_is_full(cause))
        status = FLETCH_RESOURCE_EXHAUSTED;
    return fletch_error_set(error, status, "spill directory '%s': %s", path,
                            fletch_spill_error_of(cause).text);
}

enum fletch_status fletch_spill_directory_check(const char *directory,
                                                const struct fletch_spill_io *io,
                                                struct fletch_error *error)
{
    if (io == NULL)
        io = &fletch_spill_system_io;
    int folder = fletch_spill_open_directory(io, directory);
    if (folder < 0)
        return refuse_directory(directory, -folder, error);
    int fd = fletch_spill_open_file(io, folder);
    (void)io->close(io->context, folder);
    if (fd < 0)
        return refuse_directory(directory, -fd, error);
    (void)io->close(io->context, fd);
    return FLETCH_OK;
}

static enum fletch_status open_file(struct fletch_spill_segment *segment,
                                    struct fletch_spill_file **out_file, int *out_cause,
                                    struct fletch_error *error)
{
    if (fletch_spill_file_create(&segment->medium, segment->directory, out_file, out_cause))
        return FLETCH_OK;
    if (*out_cause != 0)
        return refuse_directory(segment->path, *out_cause, error);
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a spill file");
}

/* ---- making and ending ---- */

static void end_segment(struct fletch_shared *shared)
{
    struct fletch_spill_segment *segment = (struct fletch_spill_segment *)(void *)shared;
    fletch_schema_release(segment->medium.schema);
    fletch_block_release(segment);
}

/* What a block of the encoder's of `bytes` bytes takes of the pool. */
static uint64_t charge_of(size_t bytes)
{
    return fletch_buffer_block_bytes(fletch_size_class_of(bytes));
}

/* Reserves what is missing for the encoder's blocks for the batch (NULL: for any that is no
 * slice), of which there is one at a time. */
static enum fletch_status reserve_scratch(struct fletch_spill_segment *segment,
                                          const struct fletch_batch *batch,
                                          struct fletch_error *error)
{
    size_t bytes = 0;
    enum fletch_status status = fletch_ipc_encoder_measure(segment->encoder, batch, &bytes, error);
    if (status != FLETCH_OK || segment->account == NULL)
        return status;
    uint64_t wanted = charge_of(bytes);
    if (wanted <= segment->reserved_bytes)
        return FLETCH_OK;
    status = fletch_account_reserve(segment->account, wanted - segment->reserved_bytes, 0, error);
    if (status == FLETCH_OK)
        segment->reserved_bytes = wanted;
    return status;
}

static enum fletch_status make_encoder(const struct fletch_spill_options *options,
                                       struct fletch_ipc_encoder **out_encoder,
                                       struct fletch_error *error)
{
    const struct fletch_ipc_encoder_options encoder = {
        .schema = options->schema,
        .cache = options->cache,
        .alignment = MESSAGE_ALIGNMENT,
    };
    const struct fletch_allocator allocator = fletch_allocator_or_default(options->allocator);
    return fletch_ipc_encoder_create(&encoder, &allocator, out_encoder, error);
}

enum fletch_status fletch_spill_scratch_bytes(const struct fletch_spill_options *options,
                                              uint64_t *out_bytes, struct fletch_error *error)
{
    struct fletch_ipc_encoder *encoder = NULL;
    size_t bytes = 0;
    enum fletch_status status = fletch_spill_codec_check(options->codec, error);
    if (status == FLETCH_OK)
        status = make_encoder(options, &encoder, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_encoder_measure(encoder, NULL, &bytes, error);
    fletch_ipc_encoder_destroy(encoder);
    if (status == FLETCH_OK)
        *out_bytes =
            charge_of(bytes) + (options->codec == FLETCH_SPILL_PLAIN
                                    ? 0
                                    : charge_of(fletch_spill_packer_bytes(options->codec)));
    return status;
}

static enum fletch_status make_writer(struct fletch_spill_segment *segment,
                                      const struct fletch_spill_options *options,
                                      struct fletch_error *error)
{
    struct fletch_spill_medium *medium = &segment->medium;
    int cause = 0;
    int directory = fletch_spill_open_directory(medium->io, segment->path);
    if (directory < 0)
        return refuse_directory(segment->path, -directory, error);
    segment->directory = directory;
    enum fletch_status status = open_file(segment, &segment->file, &cause, error);
    if (status == FLETCH_OK)
        status = make_encoder(options, &segment->encoder, error);
    if (status == FLETCH_OK)
        status = reserve_scratch(segment, NULL, error);
    if (status != FLETCH_OK || medium->codec == FLETCH_SPILL_PLAIN)
        return status;
    status = fletch_buffer_allocate(segment->cache, fletch_spill_packer_bytes(medium->codec),
                                    segment->account, &segment->scratch, error);
    if (status == FLETCH_OK)
        fletch_spill_packer_init(&segment->packer, medium->codec,
                                 fletch_buffer_mutable_data(segment->scratch));
    return status;
}

enum fletch_status fletch_spill_segment_create(const struct fletch_spill_options *options,
                                               struct fletch_spill_segment **out_segment,
                                               struct fletch_error *error)
{
    enum fletch_status status = fletch_spill_codec_check(options->codec, error);
    if (status != FLETCH_OK)
        return status;
    size_t path_bytes = strlen(options->directory) + 1;
    size_t bytes = sizeof(struct fletch_spill_segment) + path_bytes;
    struct fletch_spill_segment *segment = fletch_block_allocate(options->allocator, bytes);
    if (segment == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a spill segment: %zu bytes", bytes);
    *segment = (struct fletch_spill_segment){
        .medium = {.io = options->io != NULL ? options->io : &fletch_spill_system_io,
                   .crc32c = fletch_crc32c_best(),
                   .allocator = fletch_allocator_or_default(options->allocator),
                   .schema = fletch_schema_acquire(options->schema),
                   .path = segment->path,
                   .codec = options->codec},
        .directory = -1,
        .file_bytes = options->file_bytes,
        .cache = options->cache,
        .account = options->account,
    };
    memcpy(segment->path, options->directory, path_bytes);
    fletch_shared_init(&segment->medium.shared, end_segment);
    status = make_writer(segment, options, error);
    if (status == FLETCH_OK)
        *out_segment = segment;
    else
        fletch_spill_segment_close(segment);
    return status;
}

void fletch_spill_segment_close(struct fletch_spill_segment *segment)
{
    if (segment == NULL)
        return;
    const struct fletch_spill_io *io = segment->medium.io;
    fletch_ipc_encoder_destroy(segment->encoder);
    fletch_buffer_release(segment->cache, segment->scratch);
    if (segment->reserved_bytes != 0)
        fletch_account_release(segment->account, segment->reserved_bytes);
    if (segment->directory >= 0)
        (void)io->close(io->context, segment->directory);
    if (segment->file != NULL)
        fletch_shared_release(&segment->file->shared);
    fletch_spill_segment_release(segment);
}

struct fletch_spill_segment *fletch_spill_segment_acquire(struct fletch_spill_segment *segment)
{
    fletch_shared_acquire(&segment->medium.shared);
    return segment;
}

void fletch_spill_segment_release(struct fletch_spill_segment *segment)
{
    fletch_shared_release(&segment->medium.shared);
}

/* ---- appending ---- */

static enum fletch_status check_state(const struct fletch_spill_segment *segment,
                                      struct fletch_error *error)
{
    enum fletch_spill_state state = fletch_spill_segment_state(segment);
    if (state == FLETCH_SPILL_READ_ONLY)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "spill directory '%s': no space was left, so it is read-only now",
                                segment->path);
    if (state == FLETCH_SPILL_QUARANTINED)
        return fletch_error_set(error, FLETCH_UNAVAILABLE,
                                "spill directory '%s': the disk failed before, so nothing more is "
                                "written to it",
                                segment->path);
    return FLETCH_OK;
}

/* No more frames, because of the system's answer `cause`. */
static enum fletch_status fail(struct fletch_spill_segment *segment, int cause)
{
    bool is_full = fletch_spill_is_full(cause);
    fletch_spill_medium_fail(&segment->medium,
                             is_full ? FLETCH_SPILL_READ_ONLY : FLETCH_SPILL_QUARANTINED);
    return is_full ? FLETCH_RESOURCE_EXHAUSTED : FLETCH_UNAVAILABLE;
}

/* The next file, once this one has grown enough. */
static enum fletch_status rotate(struct fletch_spill_segment *segment, struct fletch_error *error)
{
    uint64_t most = segment->file_bytes;
    if (most == 0)
        most = segment->file->has_holes ? FILE_BYTES_WITH_HOLES : FILE_BYTES_PACKED;
    if (segment->file->end < most)
        return FLETCH_OK;
    struct fletch_spill_file *next = NULL;
    int cause = 0;
    enum fletch_status status = open_file(segment, &next, &cause, error);
    if (status != FLETCH_OK) {
        if (cause == 0)
            return status;
        status = fail(segment, cause);
        return fletch_error_set(error, status, "making a spill file in '%s': %s", segment->path,
                                fletch_spill_error_of(cause).text);
    }
    fletch_shared_release(&segment->file->shared);
    segment->file = next;
    return FLETCH_OK;
}

static enum fletch_status check_bytes(const struct fletch_spill_sink *sink, uint64_t more,
                                      struct fletch_error *error)
{
    if (more <= FLETCH_BUFFER_BYTES_MAX - sink->payload_bytes)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                            "frame has more than the %zu bytes that a buffer may have",
                            FLETCH_BUFFER_BYTES_MAX);
}

static enum fletch_status put_message(struct fletch_spill_sink *sink,
                                      const struct fletch_ipc_encoded *encoded,
                                      struct fletch_error *error)
{
    uint64_t bytes = (uint64_t)encoded->metadata_bytes + encoded->body_bytes;
    enum fletch_status status = check_bytes(sink, bytes, error);
    for (uint32_t i = 0; status == FLETCH_OK && i < encoded->span_count; i++)
        fletch_spill_sink_put(sink, encoded->spans[i].data, encoded->spans[i].bytes);
    return status;
}

static enum fletch_status put_dictionaries(struct fletch_spill_segment *segment,
                                           struct fletch_spill_sink *sink,
                                           struct fletch_batch *batch, struct fletch_error *error)
{
    bool is_needed = true;
    while (is_needed) {
        struct fletch_ipc_encoded encoded = {0};
        enum fletch_status status =
            fletch_ipc_encoder_dictionary(segment->encoder, batch, &is_needed, &encoded, error);
        if (status == FLETCH_OK && is_needed)
            status = put_message(sink, &encoded, error);
        fletch_spill_sink_flush(sink);
        fletch_ipc_encoded_release(segment->cache, &encoded);
        if (status != FLETCH_OK)
            return status;
    }
    return FLETCH_OK;
}

/* The batch's message, its metadata and the trailer. */
static enum fletch_status put_batch(struct fletch_spill_segment *segment,
                                    struct fletch_spill_sink *sink, struct fletch_batch *batch,
                                    uint64_t *out_stored_bytes, struct fletch_error *error)
{
    struct fletch_ipc_encoded encoded = {0};
    size_t metadata_bytes = batch->metadata == NULL ? 0 : fletch_buffer_bytes(batch->metadata);
    if (metadata_bytes > UINT32_MAX)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "application metadata of %zu bytes, expected at most %" PRIu32,
                                metadata_bytes, UINT32_MAX);
    enum fletch_status status =
        fletch_ipc_encoder_batch(segment->encoder, batch, NULL, &encoded, error);
    if (status != FLETCH_OK)
        return status;
    status = put_message(sink, &encoded, error);
    if (status == FLETCH_OK)
        status = check_bytes(sink, metadata_bytes, error);
    if (status == FLETCH_OK && metadata_bytes != 0)
        fletch_spill_sink_put(sink, fletch_buffer_data(batch->metadata), metadata_bytes);
    if (status == FLETCH_OK)
        *out_stored_bytes = fletch_spill_sink_end(sink, (uint32_t)metadata_bytes);
    fletch_ipc_encoded_release(segment->cache, &encoded);
    return status;
}

static enum fletch_status write_frame(struct fletch_spill_segment *segment,
                                      struct fletch_spill_sink *sink, struct fletch_batch *batch,
                                      uint64_t *out_stored_bytes, struct fletch_error *error)
{
    struct fletch_spill_file *file = segment->file;
    fletch_spill_sink_begin(sink, file, segment->scratch == NULL ? NULL : &segment->packer);
    enum fletch_status status = put_dictionaries(segment, sink, batch, error);
    if (status == FLETCH_OK)
        status = put_batch(segment, sink, batch, out_stored_bytes, error);
    fletch_ipc_encoder_forget(segment->encoder); /* a frame can be read alone */
    if (status == FLETCH_OK && sink->failure != 0) {
        status = fail(segment, sink->failure);
        fletch_error_set(error, status, "writing a spill file in '%s' at offset %" PRIu64 ": %s",
                         segment->path, file->end, fletch_spill_error_of(sink->failure).text);
    }
    /* What was written of it is cut off; what cannot be is overwritten, or goes with the file. */
    if (status != FLETCH_OK)
        (void)segment->medium.io->truncate(segment->medium.io->context, file->fd, (off_t)file->end);
    return status;
}

enum fletch_status fletch_spill_segment_append(struct fletch_spill_segment *segment,
                                               struct fletch_batch *batch,
                                               struct fletch_spill_location *out_location,
                                               struct fletch_error *error)
{
    struct fletch_spill_medium *medium = &segment->medium;
    struct fletch_spill_sink sink;
    uint64_t stored_bytes = 0;
    enum fletch_status status = check_state(segment, error);
    if (status == FLETCH_OK)
        status = reserve_scratch(segment, batch, error);
    if (status == FLETCH_OK)
        status = rotate(segment, error);
    if (status == FLETCH_OK)
        status = write_frame(segment, &sink, batch, &stored_bytes, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_spill_file *file = segment->file;
    fletch_shared_acquire(&file->shared);
    *out_location = (struct fletch_spill_location){
        .file = file,
        .offset = file->end,
        .stored_bytes = stored_bytes,
        .frame_bytes = sink.payload_bytes,
    };
    fletch_spill_file_add(file, stored_bytes);
    fetch_add_relaxed(&medium->frames_written, 1);                 /* relaxed: a counter */
    fetch_add_relaxed(&medium->bytes_spilled, sink.payload_bytes); /* relaxed: a counter */
    fetch_add_relaxed(&medium->bytes_written, stored_bytes);       /* relaxed: a counter */
    return FLETCH_OK;
}

void fletch_spill_release(const struct fletch_spill_location *location)
{
    struct fletch_spill_file *file = location->file;
    /* relaxed: a counter */
    fetch_add_relaxed(&file->medium->frames_released, 1);
    fletch_spill_file_give_back(file, location->offset, location->stored_bytes);
    fletch_shared_release(&file->shared);
}

/* ---- looking ---- */

enum fletch_spill_state fletch_spill_segment_state(const struct fletch_spill_segment *segment)
{
    return fletch_spill_medium_state(&segment->medium);
}

void fletch_spill_segment_statistics(const struct fletch_spill_segment *segment,
                                     struct fletch_spill_statistics *out_statistics)
{
    const struct fletch_spill_medium *medium = &segment->medium;
    /* relaxed: counters. Released ones first, so that there are never more of them. */
    uint64_t released = load_relaxed(&medium->frames_released);
    uint64_t written = load_relaxed(&medium->frames_written); /* relaxed: a counter */
    *out_statistics = (struct fletch_spill_statistics){
        .state = fletch_spill_medium_state(medium),
        .frames_written = written,
        .frames_read = load_relaxed(&medium->frames_read), /* relaxed: a counter */
        .frames_live = written > released ? written - released : 0,
        .bytes_spilled = load_relaxed(&medium->bytes_spilled), /* relaxed: a counter */
        .bytes_written = load_relaxed(&medium->bytes_written), /* relaxed: a counter */
        .bytes_read = load_relaxed(&medium->bytes_read),       /* relaxed: a counter */
        .bytes_on_disk = load_relaxed(&medium->bytes_on_disk), /* relaxed: a counter */
        .files_open = load_relaxed(&medium->files_open),       /* relaxed: a counter */
    };
}
