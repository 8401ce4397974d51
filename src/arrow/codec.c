#include "arrow/codec.h"

#include <inttypes.h>

#include "arrow/codec_lz4.h"
#include "arrow/codec_zstd.h"

/* A byte of an LZ4 block stands for at most 255. */
enum { LZ4_MOST_EACH = 255 };

static const char *const names[] = {"none", "LZ4_FRAME", "ZSTD"};

enum fletch_status fletch_codec_check(enum fletch_codec codec, struct fletch_error *error)
{
    if (codec == FLETCH_CODEC_LZ4_FRAME ? fletch_lz4_exists() : fletch_zstd_exists())
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                            "compression by %s, which this build of fletching is without",
                            names[codec]);
}

size_t fletch_codec_bound(enum fletch_codec codec, size_t bytes)
{
    return codec == FLETCH_CODEC_LZ4_FRAME ? fletch_lz4_frame_bound(bytes)
                                           : fletch_zstd_bound(bytes);
}

/* ---- writing ---- */

enum fletch_status fletch_compressor_init(struct fletch_compressor *compressor,
                                          struct fletch_error *error)
{
    enum fletch_codec codec = compressor->codec;
    if (codec == FLETCH_CODEC_NONE)
        return FLETCH_OK;
    enum fletch_status status = fletch_codec_check(codec, error);
    if (status != FLETCH_OK || codec != FLETCH_CODEC_ZSTD)
        return status;
    status = fletch_buffer_allocate(compressor->cache, fletch_zstd_writer_bytes(),
                                    compressor->account, &compressor->memory, error);
    if (status == FLETCH_OK)
        compressor->writer = fletch_zstd_writer_init(fletch_buffer_mutable_data(compressor->memory),
                                                     fletch_buffer_bytes(compressor->memory));
    return status;
}

void fletch_compressor_deinit(struct fletch_compressor *compressor)
{
    fletch_buffer_release(compressor->cache, compressor->memory);
    compressor->memory = NULL;
}

size_t fletch_compressor_run(const struct fletch_compressor *compressor, uint8_t *to,
                             const uint8_t *from, size_t bytes)
{
    return compressor->codec == FLETCH_CODEC_LZ4_FRAME
               ? fletch_lz4_frame_compress(to, from, bytes)
               : fletch_zstd_compress(compressor->writer, to, from, bytes);
}

/* ---- reading ---- */

bool fletch_compressed_may_hold(enum fletch_codec codec, const struct fletch_compressed *what)
{
    return codec == FLETCH_CODEC_LZ4_FRAME
               ? what->bytes / LZ4_MOST_EACH <= what->stored_bytes
               : fletch_zstd_may_hold(what->data, what->stored_bytes, what->bytes);
}

void fletch_decompressor_deinit(struct fletch_decompressor *decompressor)
{
    fletch_buffer_release(decompressor->cache, decompressor->zstd_memory);
    fletch_lz4_frame_reader_destroy(decompressor->lz4_reader);
    if (decompressor->lz4_bytes != 0 && decompressor->account != NULL)
        fletch_account_release(decompressor->account, decompressor->lz4_bytes);
    decompressor->zstd_memory = NULL;
    decompressor->lz4_reader = NULL;
    decompressor->lz4_bytes = 0;
}

/* Charges what liblz4 will take for this frame, unless an earlier one took as much. */
static enum fletch_status prepare_lz4(struct fletch_decompressor *decompressor,
                                      const struct fletch_compressed *what,
                                      struct fletch_error *error)
{
    size_t bytes = fletch_lz4_frame_reader_bytes(what->data, what->stored_bytes);
    if (bytes > decompressor->lz4_bytes) {
        enum fletch_status status = FLETCH_OK;
        if (decompressor->account != NULL)
            status = fletch_account_reserve(decompressor->account, bytes - decompressor->lz4_bytes,
                                            0, error);
        if (status != FLETCH_OK)
            return status;
        decompressor->lz4_bytes = bytes;
    }
    if (decompressor->lz4_reader == NULL)
        decompressor->lz4_reader = fletch_lz4_frame_reader_create();
    if (decompressor->lz4_reader == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for liblz4");
    return FLETCH_OK;
}

static enum fletch_status prepare_zstd(struct fletch_decompressor *decompressor,
                                       struct fletch_error *error)
{
    if (decompressor->zstd_memory != NULL)
        return FLETCH_OK;
    enum fletch_status status =
        fletch_buffer_allocate(decompressor->cache, fletch_zstd_reader_bytes(),
                               decompressor->account, &decompressor->zstd_memory, error);
    if (status == FLETCH_OK)
        decompressor->zstd_reader =
            fletch_zstd_reader_init(fletch_buffer_mutable_data(decompressor->zstd_memory),
                                    fletch_buffer_bytes(decompressor->zstd_memory));
    return status;
}

enum fletch_status fletch_decompressor_run(struct fletch_decompressor *decompressor,
                                           enum fletch_codec codec,
                                           const struct fletch_compressed *what, uint8_t *to,
                                           struct fletch_error *error)
{
    bool is_lz4 = codec == FLETCH_CODEC_LZ4_FRAME;
    enum fletch_status status = fletch_codec_check(codec, error);
    if (status == FLETCH_OK)
        status =
            is_lz4 ? prepare_lz4(decompressor, what, error) : prepare_zstd(decompressor, error);
    if (status != FLETCH_OK)
        return status;
    bool is_good = is_lz4 ? fletch_lz4_frame_decompress(decompressor->lz4_reader, to, what->bytes,
                                                        what->data, what->stored_bytes)
                          : fletch_zstd_decompress(decompressor->zstd_reader, to, what->bytes,
                                                   what->data, what->stored_bytes);
    if (is_good)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "%zu bytes of %s do not stand for %zu bytes", what->stored_bytes,
                            names[codec], what->bytes);
}
