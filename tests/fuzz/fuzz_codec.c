/* Decompression: the codec (1 byte), the length that the bytes are said to stand for (3 bytes), the
 * compressed bytes. What comes out is written where a sanitizer sees who writes on; what could be
 * read is compressed again, and reads the same. */

#include "fuzz/fuzz_target.h"

#include <fletching/fletching.h>

#include <string.h>

#include "arrow/codec.h"

static struct fletch_buffer_pool *pool;
static struct fletch_buffer_cache *cache;

static void start(void)
{
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    if (fletch_buffer_pool_create(&options, NULL, &pool, NULL) != FLETCH_OK ||
        fletch_buffer_cache_open(pool, &cache, NULL) != FLETCH_OK)
        fuzz_stop("start", "no memory");
}

static uint8_t *room(size_t bytes)
{
    uint8_t *memory = malloc(bytes == 0 ? 1 : bytes);
    if (memory == NULL)
        fuzz_stop("room", "no memory");
    return memory;
}

static void compress_again(struct fletch_decompressor *decompressor, enum fletch_codec codec,
                           const uint8_t *plain, size_t bytes)
{
    struct fletch_compressor compressor = {.codec = codec, .cache = cache};
    struct fletch_error error;
    if (fletch_compressor_init(&compressor, &error) != FLETCH_OK)
        fuzz_stop("compressing again", error.message);
    uint8_t *stored = room(fletch_codec_bound(codec, bytes));
    uint8_t *again = room(bytes);
    const size_t stored_bytes = fletch_compressor_run(&compressor, stored, plain, bytes);
    const struct fletch_compressed what = {stored, stored_bytes, bytes};
    if (stored_bytes == 0 || !fletch_compressed_may_hold(codec, &what))
        fuzz_stop("compressing again", "nothing, or less than may hold it");
    if (fletch_decompressor_run(decompressor, codec, &what, again, &error) != FLETCH_OK)
        fuzz_stop("reading again", error.message);
    if (memcmp(plain, again, bytes) != 0)
        fuzz_stop("reading again", "other bytes");
    free(again);
    free(stored);
    fletch_compressor_deinit(&compressor);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_bytes input = {bytes, size};
    const enum fletch_codec codec =
        fuzz_byte(&input) % 2 == 0 ? FLETCH_CODEC_LZ4_FRAME : FLETCH_CODEC_ZSTD;
    size_t plain_bytes = fuzz_byte(&input);
    plain_bytes |= (size_t)fuzz_byte(&input) << 8;
    plain_bytes |= (size_t)fuzz_byte(&input) << 16;
    const struct fletch_compressed what = {input.next, input.left, plain_bytes};
    struct fletch_error error;
    if (cache == NULL)
        start();
    if (fletch_codec_check(codec, NULL) != FLETCH_OK || !fletch_compressed_may_hold(codec, &what))
        return 0;
    struct fletch_decompressor decompressor = {.cache = cache};
    uint8_t *plain = room(plain_bytes);
    const enum fletch_status status =
        fletch_decompressor_run(&decompressor, codec, &what, plain, &error);
    if (status == FLETCH_OK)
        compress_again(&decompressor, codec, plain, plain_bytes);
    else if (status != FLETCH_INVALID_ARGUMENT || strlen(error.message) < 16)
        fuzz_stop("decompression", error.message);
    free(plain);
    fletch_decompressor_deinit(&decompressor);
    return 0;
}
