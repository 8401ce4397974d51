#include "spill/spill_codec.h"

#include "arrow/codec_lz4.h"
#include "arrow/codec_zstd.h"
#include "base/bits.h"
#include "spill/spill_format.h"

enum { ALIGNMENT = 64 };

enum fletch_status fletch_spill_codec_check(enum fletch_spill_codec codec,
                                            struct fletch_error *error)
{
    if (codec == FLETCH_SPILL_LZ4 && !fletch_lz4_exists())
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "spilling with LZ4: this build has no liblz4");
    if (codec == FLETCH_SPILL_ZSTD && !fletch_zstd_exists())
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "spilling with ZSTD: this build has no libzstd");
    return FLETCH_OK;
}

uint32_t fletch_spill_codec_flag(enum fletch_spill_codec codec)
{
    if (codec == FLETCH_SPILL_PLAIN)
        return 0;
    return codec == FLETCH_SPILL_ZSTD ? FLETCH_SPILL_FLAG_ZSTD : FLETCH_SPILL_FLAG_LZ4;
}

/* ---- writing ---- */

static size_t writer_bytes(enum fletch_spill_codec codec)
{
    return codec == FLETCH_SPILL_ZSTD ? fletch_round_up(fletch_zstd_writer_bytes(), ALIGNMENT) : 0;
}

size_t fletch_spill_packer_bytes(enum fletch_spill_codec codec)
{
    size_t bound = codec == FLETCH_SPILL_ZSTD ? fletch_zstd_bound(FLETCH_SPILL_PIECE_BYTES)
                                              : fletch_lz4_bound(FLETCH_SPILL_PIECE_BYTES);
    return writer_bytes(codec) + FLETCH_SPILL_PIECE_BYTES + sizeof(struct fletch_spill_block) +
           bound;
}

void fletch_spill_packer_init(struct fletch_spill_packer *packer, enum fletch_spill_codec codec,
                              uint8_t *scratch)
{
    size_t bytes = writer_bytes(codec);
    packer->codec = codec;
    packer->writer = bytes == 0 ? NULL : fletch_zstd_writer_init(scratch, bytes);
    packer->chunk = scratch + bytes;
    packer->packed = packer->chunk + FLETCH_SPILL_PIECE_BYTES;
}

size_t fletch_spill_packer_run(const struct fletch_spill_packer *packer, uint8_t *to,
                               const uint8_t *piece, size_t bytes)
{
    return packer->codec == FLETCH_SPILL_ZSTD
               ? fletch_zstd_compress(packer->writer, to, piece, bytes)
               : fletch_lz4_compress(to, piece, bytes);
}

/* ---- reading ---- */

static size_t reader_bytes(enum fletch_spill_codec codec)
{
    return codec == FLETCH_SPILL_ZSTD ? fletch_round_up(fletch_zstd_reader_bytes(), ALIGNMENT) : 0;
}

size_t fletch_spill_unpacker_bytes(enum fletch_spill_codec codec)
{
    return reader_bytes(codec) + FLETCH_SPILL_PIECE_BYTES;
}

void fletch_spill_unpacker_init(struct fletch_spill_unpacker *unpacker,
                                enum fletch_spill_codec codec, uint8_t *scratch)
{
    size_t bytes = reader_bytes(codec);
    unpacker->codec = codec;
    unpacker->reader = bytes == 0 ? NULL : fletch_zstd_reader_init(scratch, bytes);
    unpacker->stored = scratch + bytes;
}

bool fletch_spill_unpacker_run(const struct fletch_spill_unpacker *unpacker, uint8_t *to,
                               size_t bytes, size_t stored_bytes)
{
    return unpacker->codec == FLETCH_SPILL_ZSTD
               ? fletch_zstd_decompress(unpacker->reader, to, bytes, unpacker->stored, stored_bytes)
               : fletch_lz4_decompress(to, bytes, unpacker->stored, stored_bytes);
}
