#ifndef FLETCH_ARROW_CODEC_H
#define FLETCH_ARROW_CODEC_H

/* Compression of blocks of bytes: the only door to liblz4. A build without it says so. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether this build has LZ4. The calls below are for builds that do. */
bool fletch_lz4_exists(void);

/* The most bytes that a raw LZ4 block of `bytes` bytes, at most 1 GiB, takes. */
size_t fletch_lz4_bound(size_t bytes);

/* Writes the block of `bytes` bytes at `from` to `to`, which has room for the bound; returns its
 * bytes. 16 KiB of stack. */
size_t fletch_lz4_compress(uint8_t *to, const uint8_t *from, size_t bytes);

/* Writes what the block of `stored_bytes` bytes at `from` stands for. False: that is not exactly
 * `bytes` bytes. Reads and writes nothing else, whatever the block holds. */
bool fletch_lz4_decompress(uint8_t *to, size_t bytes, const uint8_t *from, size_t stored_bytes);

#endif
