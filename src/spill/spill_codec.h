#ifndef FLETCH_SPILL_SPILL_CODEC_H
#define FLETCH_SPILL_SPILL_CODEC_H

/* How the pieces of a frame become blocks on disk and pieces again, in memory of the caller's. One
 * thread at a time. */

#include <fletching/shuffle.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* UNIMPLEMENTED: this build is without the codec. What is below is for builds that have it, and
 * for codecs other than PLAIN. */
enum fletch_status fletch_spill_codec_check(enum fletch_spill_codec codec,
                                            struct fletch_error *error);

/* The bit that the codec has in the trailer's flags; PLAIN: 0. */
uint32_t fletch_spill_codec_flag(enum fletch_spill_codec codec);

struct fletch_spill_packer {
    enum fletch_spill_codec codec;
    void *writer;    /* of ZSTD */
    uint8_t *chunk;  /* room for a piece */
    uint8_t *packed; /* room for a block that stands for one */
};

/* What a packer needs, aligned to 8: all that its codec takes. */
size_t fletch_spill_packer_bytes(enum fletch_spill_codec codec);

/* Makes one of so many bytes, with which it ends. */
void fletch_spill_packer_init(struct fletch_spill_packer *packer, enum fletch_spill_codec codec,
                              uint8_t *scratch);

/* Writes what stands for the piece to `to`, within `packed`; returns its bytes, 0: failed. */
size_t fletch_spill_packer_run(const struct fletch_spill_packer *packer, uint8_t *to,
                               const uint8_t *piece, size_t bytes);

struct fletch_spill_unpacker {
    enum fletch_spill_codec codec;
    void *reader;    /* of ZSTD */
    uint8_t *stored; /* room for a block's bytes, no more than a piece's */
};

/* As of a packer. */
size_t fletch_spill_unpacker_bytes(enum fletch_spill_codec codec);
void fletch_spill_unpacker_init(struct fletch_spill_unpacker *unpacker,
                                enum fletch_spill_codec codec, uint8_t *scratch);

/* Writes what the first `stored_bytes` bytes of `stored` stand for. False: that is not exactly
 * `bytes` bytes. */
bool fletch_spill_unpacker_run(const struct fletch_spill_unpacker *unpacker, uint8_t *to,
                               size_t bytes, size_t stored_bytes);

#endif
