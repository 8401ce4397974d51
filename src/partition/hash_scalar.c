#include "partition/hash_kernels.h"
#include "partition/hash_mix.h"

static void first(uint64_t *hashes, uint64_t start, const uint8_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hashes[i] = fletch_hash_step(start, fletch_hash_load(words + 8 * i));
}

static void next(uint64_t *hashes, const uint8_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hashes[i] = fletch_hash_step(hashes[i], fletch_hash_load(words + 8 * i));
}

static void int8_words(uint64_t *words, const uint8_t *source, size_t count)
{
    for (size_t i = 0; i < count; i++)
        words[i] = (uint64_t)(int64_t)(int8_t)source[i];
}

static void uint8_words(uint64_t *words, const uint8_t *source, size_t count)
{
    for (size_t i = 0; i < count; i++)
        words[i] = source[i];
}

static void int16_words(uint64_t *words, const uint8_t *source, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int16_t value;
        memcpy(&value, source + 2 * i, sizeof value);
        words[i] = (uint64_t)(int64_t)value;
    }
}

static void uint16_words(uint64_t *words, const uint8_t *source, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t value;
        memcpy(&value, source + 2 * i, sizeof value);
        words[i] = value;
    }
}

static void int32_words(uint64_t *words, const uint8_t *source, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t value;
        memcpy(&value, source + 4 * i, sizeof value);
        words[i] = (uint64_t)(int64_t)value;
    }
}

static void uint32_words(uint64_t *words, const uint8_t *source, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t value;
        memcpy(&value, source + 4 * i, sizeof value);
        words[i] = value;
    }
}

static void float_words(uint64_t *words, const uint8_t *source, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, source + 4 * i, sizeof bits);
        words[i] = fletch_hash_float(bits);
    }
}

static void double_words(uint64_t *words, const uint8_t *source, size_t count)
{
    for (size_t i = 0; i < count; i++)
        words[i] = fletch_hash_double(fletch_hash_load(source + 8 * i));
}

static void spread_ids(uint16_t *ids, const uint64_t *hashes, size_t count,
                       const struct fletch_hash_spread *spread)
{
    uint64_t mask = spread->node_mask;
    uint64_t partitions = spread->partition_count;
    unsigned bits = spread->node_bits;
    for (size_t i = 0; i < count; i++)
        ids[i] = (uint16_t)((hashes[i] & mask) * partitions >> bits);
}

const struct fletch_hash_kernels fletch_hash_scalar = {
    .name = "scalar",
    .first = first,
    .next = next,
    .integers = {[FLETCH_HASH_INT8] = int8_words,
                 [FLETCH_HASH_INT16] = int16_words,
                 [FLETCH_HASH_INT32] = int32_words,
                 [FLETCH_HASH_UINT8] = uint8_words,
                 [FLETCH_HASH_UINT16] = uint16_words,
                 [FLETCH_HASH_UINT32] = uint32_words},
    .floats = float_words,
    .doubles = double_words,
    .spread = spread_ids,
};
