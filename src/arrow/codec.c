#include "arrow/codec.h"

#if FLETCH_LZ4

#include <lz4.h>

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

#endif
