#include "arrow/codec_zstd.h"

#if FLETCH_ZSTD

/* For contexts in memory of ours, which is charged like all other. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

/* A block has 3 bytes in front of one at least, and stands for at most 128 KiB. */
enum { LEVEL = 1, BLOCK_BYTES_LEAST = 4 };

bool fletch_zstd_exists(void)
{
    return true;
}

size_t fletch_zstd_bound(size_t bytes)
{
    return ZSTD_compressBound(bytes);
}

size_t fletch_zstd_writer_bytes(void)
{
    return ZSTD_estimateCCtxSize(LEVEL);
}

size_t fletch_zstd_reader_bytes(void)
{
    return ZSTD_estimateDCtxSize();
}

void *fletch_zstd_writer_init(void *memory, size_t bytes)
{
    return ZSTD_initStaticCCtx(memory, bytes);
}

void *fletch_zstd_reader_init(void *memory, size_t bytes)
{
    return ZSTD_initStaticDCtx(memory, bytes);
}

size_t fletch_zstd_compress(void *writer, uint8_t *to, const uint8_t *from, size_t bytes)
{
    size_t made = ZSTD_compressCCtx(writer, to, ZSTD_compressBound(bytes), from, bytes, LEVEL);
    return ZSTD_isError(made) ? 0 : made;
}

bool fletch_zstd_may_hold(const uint8_t *from, size_t stored_bytes, size_t bytes)
{
    /* Of all frames together; an error, which is another number too, if one of them is none. */
    unsigned long long told = ZSTD_findDecompressedSize(from, stored_bytes);
    return (told == ZSTD_CONTENTSIZE_UNKNOWN || told == bytes) &&
           bytes / ZSTD_BLOCKSIZE_MAX <= stored_bytes / BLOCK_BYTES_LEAST;
}

bool fletch_zstd_decompress(void *reader, uint8_t *to, size_t bytes, const uint8_t *from,
                            size_t stored_bytes)
{
    size_t made = ZSTD_decompressDCtx(reader, to, bytes, from, stored_bytes);
    return !ZSTD_isError(made) && made == bytes;
}

#else

bool fletch_zstd_exists(void)
{
    return false;
}

size_t fletch_zstd_bound(size_t bytes)
{
    return bytes;
}

size_t fletch_zstd_writer_bytes(void)
{
    return 0;
}

size_t fletch_zstd_reader_bytes(void)
{
    return 0;
}

void *fletch_zstd_writer_init(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
    return NULL;
}

void *fletch_zstd_reader_init(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
    return NULL;
}

size_t fletch_zstd_compress(void *writer, uint8_t *to, const uint8_t *from, size_t bytes)
{
    (void)writer;
    (void)to;
    (void)from;
    (void)bytes;
    return 0;
}

bool fletch_zstd_may_hold(const uint8_t *from, size_t stored_bytes, size_t bytes)
{
    (void)from;
    (void)stored_bytes;
    (void)bytes;
    return false;
}

bool fletch_zstd_decompress(void *reader, uint8_t *to, size_t bytes, const uint8_t *from,
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
