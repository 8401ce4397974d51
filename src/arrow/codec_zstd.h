#ifndef FLETCH_ARROW_CODEC_ZSTD_H
#define FLETCH_ARROW_CODEC_ZSTD_H

/* Zstandard frames: the only door to libzstd. A build without it says so. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool fletch_zstd_exists(void);

/* The most bytes of a frame for `bytes` bytes. */
size_t fletch_zstd_bound(size_t bytes);

/* Writing and reading need memory of so many bytes, aligned to 8: all that libzstd takes. */
size_t fletch_zstd_writer_bytes(void);
size_t fletch_zstd_reader_bytes(void);

/* Makes a writer or reader of it, which ends with it. NULL: too small. */
void *fletch_zstd_writer_init(void *memory, size_t bytes);
void *fletch_zstd_reader_init(void *memory, size_t bytes);

/* Writes a frame to `to`, which has room for the bound; returns its bytes, 0: failed. Level 1. */
size_t fletch_zstd_compress(void *writer, uint8_t *to, const uint8_t *from, size_t bytes);

/* Whether the frames at `from` may stand for `bytes` bytes: they say so together, or one of them
 * nothing, and are as long as so many blocks are at least. */
bool fletch_zstd_may_hold(const uint8_t *from, size_t stored_bytes, size_t bytes);

/* Writes what the frames at `from` stand for. False: that is not exactly `bytes` bytes. */
bool fletch_zstd_decompress(void *reader, uint8_t *to, size_t bytes, const uint8_t *from,
                            size_t stored_bytes);

#endif
