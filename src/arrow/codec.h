#ifndef FLETCH_ARROW_CODEC_H
#define FLETCH_ARROW_CODEC_H

/* The codecs that Arrow has for the buffers of a body, and what writing and reading with them need.
 * One thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "memory/budget.h"
#include "memory/buffer_pool.h"

/* In messages less by one. */
enum fletch_codec { FLETCH_CODEC_NONE = 0, FLETCH_CODEC_LZ4_FRAME = 1, FLETCH_CODEC_ZSTD = 2 };

/* UNIMPLEMENTED: this build is without it. */
enum fletch_status fletch_codec_check(enum fletch_codec codec, struct fletch_error *error);

/* The most bytes that `bytes` bytes take. */
size_t fletch_codec_bound(enum fletch_codec codec, size_t bytes);

struct fletch_compressor {
    enum fletch_codec codec;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account; /* NULL: nobody */
    struct fletch_buffer *memory;   /* of ZSTD's writer */
    void *writer;
};

/* Makes one of codec, cache and account, which are set; memory comes from these.
 * RESOURCE_EXHAUSTED; UNIMPLEMENTED: this build is without the codec. */
enum fletch_status fletch_compressor_init(struct fletch_compressor *compressor,
                                          struct fletch_error *error);
void fletch_compressor_deinit(struct fletch_compressor *compressor);

/* Writes to `to`, which has room for the bound; returns the bytes, 0: failed. */
size_t fletch_compressor_run(const struct fletch_compressor *compressor, uint8_t *to,
                             const uint8_t *from, size_t bytes);

/* For both codecs, each of which gets its memory when it is first needed. All zero but for cache
 * and account: nothing has been needed. */
struct fletch_decompressor {
    struct fletch_buffer_cache *cache;
    struct fletch_account *account; /* NULL: nobody */
    struct fletch_buffer *zstd_memory;
    void *zstd_reader;
    void *lz4_reader;
    size_t lz4_bytes; /* that the account is charged for it */
};

void fletch_decompressor_deinit(struct fletch_decompressor *decompressor);

/* What is compressed, and how long it is said to be. */
struct fletch_compressed {
    const uint8_t *data;
    size_t stored_bytes;
    size_t bytes;
};

/* Whether that many bytes can come of it: so that nobody has to find memory for a lie. */
bool fletch_compressed_may_hold(enum fletch_codec codec, const struct fletch_compressed *what);

/* Writes `what->bytes` bytes to `to`. INVALID_ARGUMENT: it stands for other bytes, or for none;
 * RESOURCE_EXHAUSTED; UNIMPLEMENTED: this build is without the codec. */
enum fletch_status fletch_decompressor_run(struct fletch_decompressor *decompressor,
                                           enum fletch_codec codec,
                                           const struct fletch_compressed *what, uint8_t *to,
                                           struct fletch_error *error);

#endif
