#ifndef FLETCH_ARROW_CODEC_LZ4_H
#define FLETCH_ARROW_CODEC_LZ4_H

/* Raw LZ4 blocks and LZ4 frames: the only door to liblz4. A build without it says so. */

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

/* Frames as Arrow's bodies have them. The most bytes of one for `bytes` bytes. */
size_t fletch_lz4_frame_bound(size_t bytes);

/* Writes a frame to `to`, which has room for the bound; returns its bytes, 0: failed. Independent
 * blocks of 64 KiB; 16 KiB of stack, no other memory. */
size_t fletch_lz4_frame_compress(uint8_t *to, const uint8_t *from, size_t bytes);

/* What reading needs, of liblz4's own memory: NULL: there is none. */
void *fletch_lz4_frame_reader_create(void);
void fletch_lz4_frame_reader_destroy(void *reader);

/* The memory that a reader takes, and keeps, for the frame that begins at `from`. */
size_t fletch_lz4_frame_reader_bytes(const uint8_t *from, size_t stored_bytes);

/* Writes what the one frame at `from` stands for. False: that is not exactly `bytes` bytes, a
 * checksum is wrong, or liblz4 had no memory. */
bool fletch_lz4_frame_decompress(void *reader, uint8_t *to, size_t bytes, const uint8_t *from,
                                 size_t stored_bytes);

#endif
