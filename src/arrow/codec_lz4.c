#include "arrow/codec_lz4.h"

#if FLETCH_LZ4

#include <lz4.h>
#include <lz4frame.h>

bool fletch_lz4_exists(void)
{
    return true;
}

size_t fletch_lz4_bound(size_t bytes)
{
    return (size_t)LZ4_compressBound((int)bytes);
}

size_t fletch_lz4_compress(uint8_t *to, const uint8_t *from, size_t bytes)
{
    int room = LZ4_compressBound((int)bytes);
    return (size_t)LZ4_compress_default((const char *)from, (char *)to, (int)bytes, room);
}

bool fletch_lz4_decompress(uint8_t *to, size_t bytes, const uint8_t *from, size_t stored_bytes)
{
    int made = LZ4_decompress_safe((const char *)from, (char *)to, (int)stored_bytes, (int)bytes);
    return made >= 0 && (size_t)made == bytes;
}

static const LZ4F_preferences_t preferences = {
    .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
};

size_t fletch_lz4_frame_bound(size_t bytes)
{
    return LZ4F_compressFrameBound(bytes, &preferences);
}

size_t fletch_lz4_frame_compress(uint8_t *to, const uint8_t *from, size_t bytes)
{
    size_t made = LZ4F_compressFrame(to, fletch_lz4_frame_bound(bytes), from, bytes, &preferences);
    return LZ4F_isError(made) ? 0 : made;
}

void *fletch_lz4_frame_reader_create(void)
{
    LZ4F_dctx *context = NULL;
    return LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) ? NULL : context;
}

void fletch_lz4_frame_reader_destroy(void *reader)
{
    LZ4F_freeDecompressionContext(reader);
}

enum {
    HEAD_BYTES = 6, /* magic number, flags, the code of the blocks' size */
    STATE_BYTES = 1 << 10,
    WINDOW_BYTES = 128 << 10,
    SMALLEST_BLOCK = 64 << 10
};

/* Two blocks, one of them with a window behind it, and the reader itself. */
size_t fletch_lz4_frame_reader_bytes(const uint8_t *from, size_t stored_bytes)
{
    unsigned code = stored_bytes < HEAD_BYTES ? 0 : from[HEAD_BYTES - 1] >> 4 & 7U;
    size_t block = (size_t)SMALLEST_BLOCK << (code > 4 ? 2 * (code - 4) : 0);
    return 2 * block + WINDOW_BYTES + STATE_BYTES;
}

bool fletch_lz4_frame_decompress(void *reader, uint8_t *to, size_t bytes, const uint8_t *from,
                                 size_t stored_bytes)
{
    const LZ4F_decompressOptions_t options = {.stableDst = 1};
    size_t made = 0;
    size_t read = 0;
    size_t hint = 1;
    LZ4F_resetDecompressionContext(reader);
    while (hint != 0) {
        size_t room = bytes - made;
        size_t left = stored_bytes - read;
        hint = LZ4F_decompress(reader, to + made, &room, from + read, &left, &options);
        if (LZ4F_isError(hint) || (room == 0 && left == 0))
            return false;
        made += room;
        read += left;
    }
    return made == bytes && read == stored_bytes;
}

#else

bool fletch_lz4_exists(void)
{
    return false;
}

size_t fletch_lz4_bound(size_t bytes)
{
    return bytes;
}

size_t fletch_lz4_compress(uint8_t *to, const uint8_t *from, size_t bytes)
{
    (void)to;
    (void)from;
    return bytes; /* as it is */
}

bool fletch_lz4_decompress(uint8_t *to, size_t bytes, const uint8_t *from, size_t stored_bytes)
{
    (void)to;
    (void)bytes;
    (void)from;
    (void)stored_bytes;
    return false;
}

size_t fletch_lz4_frame_bound(size_t bytes)
{
    return bytes;
}

size_t fletch_lz4_frame_compress(uint8_t *to, const uint8_t *from, size_t bytes)
{
    (void)to;
    (void)from;
    (void)bytes;
    return 0;
}

void *fletch_lz4_frame_reader_create(void)
{
    return NULL;
}

void fletch_lz4_frame_reader_destroy(void *reader)
{
    (void)reader;
}

size_t fletch_lz4_frame_reader_bytes(const uint8_t *from, size_t stored_bytes)
{
    (void)from;
    (void)stored_bytes;
    return 0;
}

bool fletch_lz4_frame_decompress(void *reader, uint8_t *to, size_t bytes, const uint8_t *from,
                                 size_t stored_bytes)
{
    (void)reader;
    (void)to;
    (void)bytes;
    (void)from;
    (void)stored_bytes;
    return false;
}

#endif
