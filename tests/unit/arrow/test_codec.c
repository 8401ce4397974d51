#include "arrow/codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"

/* What is compressed comes back; damaged, cut or mislabelled, it is refused or gives other bytes,
 * and nothing outside is touched, which AddressSanitizer sees. */

enum { BYTES_MOST = 300000, DAMAGED = 400 };

static const enum fletch_codec codecs[] = {FLETCH_CODEC_LZ4_FRAME, FLETCH_CODEC_ZSTD};

struct sample {
    uint8_t *bytes;
    size_t count;
    uint8_t *packed; /* exactly as long as what it holds */
    size_t packed_count;
};

static struct sample sample_of(const struct fletch_compressor *compressor, size_t count,
                               uint32_t values)
{
    struct fletch_random random = fletch_random_from_seed(count + values);
    struct sample sample = {.bytes = malloc(count), .count = count};
    uint8_t *room = malloc(fletch_codec_bound(compressor->codec, count));
    for (size_t i = 0; i < count; i++)
        sample.bytes[i] = (uint8_t)fletch_random_below(&random, values);
    sample.packed_count = fletch_compressor_run(compressor, room, sample.bytes, count);
    assert_in_range(sample.packed_count, 1, fletch_codec_bound(compressor->codec, count));
    sample.packed = malloc(sample.packed_count);
    memcpy(sample.packed, room, sample.packed_count);
    free(room);
    return sample;
}

static void sample_end(struct sample *sample)
{
    free(sample->bytes);
    free(sample->packed);
}

/* Reads into memory of exactly so many bytes, and compares them. */
static enum fletch_status unpack(struct fletch_decompressor *decompressor, enum fletch_codec codec,
                                 const struct fletch_compressed *what, const struct sample *sample,
                                 struct fletch_error *error)
{
    uint8_t *to = malloc(what->bytes);
    enum fletch_status status = fletch_decompressor_run(decompressor, codec, what, to, error);
    if (status == FLETCH_OK) {
        assert_int_equal(what->bytes, sample->count);
        assert_memory_equal(to, sample->bytes, sample->count);
    }
    free(to);
    return status;
}

static struct fletch_compressed whole_of(const struct sample *sample)
{
    return (struct fletch_compressed){sample->packed, sample->packed_count, sample->count};
}

static void what_is_compressed_comes_back(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 7, 4096, 65536, 65537, BYTES_MOST};
    static const uint32_t values[] = {1, 3, 256};
    struct test_pool pool = test_pool_make();
    struct fletch_decompressor decompressor = {.cache = pool.cache, .account = pool.account};
    for (size_t c = 0; c < 2; c++) {
        struct fletch_compressor compressor = {
            .codec = codecs[c], .cache = pool.cache, .account = pool.account};
        assert_ok(fletch_compressor_init(&compressor, NULL));
        for (size_t i = 0; i < 6; i++)
            for (size_t k = 0; k < 3; k++) {
                struct sample sample = sample_of(&compressor, counts[i], values[k]);
                struct fletch_compressed what = whole_of(&sample);
                assert_true(fletch_compressed_may_hold(codecs[c], &what));
                assert_ok(unpack(&decompressor, codecs[c], &what, &sample, NULL));
                sample_end(&sample);
            }
        fletch_compressor_deinit(&compressor);
    }
    fletch_decompressor_deinit(&decompressor);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
}

static void another_length_is_refused(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_decompressor decompressor = {.cache = pool.cache, .account = pool.account};
    for (size_t c = 0; c < 2; c++) {
        struct fletch_compressor compressor = {.codec = codecs[c], .cache = pool.cache};
        struct fletch_error error;
        assert_ok(fletch_compressor_init(&compressor, NULL));
        struct sample sample = sample_of(&compressor, 5000, 3);
        const size_t whole = sample.packed_count;
        const struct {
            size_t stored, count;
        } cases[] = {{whole, 4999},     {whole, 5001},     {whole - 1, 5000},
                     {whole / 2, 5000}, {whole / 2, 2500}, {1, 5000}};
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            const struct fletch_compressed what = {sample.packed, cases[i].stored, cases[i].count};
            assert_int_equal(unpack(&decompressor, codecs[c], &what, &sample, &error),
                             FLETCH_INVALID_ARGUMENT);
            assert_contains(error.message,
                            c == 0 ? "of LZ4_FRAME do not stand for" : "of ZSTD do not stand for");
        }
        const struct fletch_compressed lie = {sample.packed, whole, (size_t)1 << 40};
        assert_false(fletch_compressed_may_hold(codecs[c], &lie));
        sample_end(&sample);
        fletch_compressor_deinit(&compressor);
    }
    fletch_decompressor_deinit(&decompressor);
    test_pool_end(&pool);
}

/* Frames of ZSTD that say nothing of their length, or a lie, of some 20 bytes. */
static void few_bytes_do_not_stand_for_many(void **state)
{
    (void)state;
    static const uint8_t frames[][20] = {
        {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x03, 0x00, 0x10, 0x00},       /* no length */
        {0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 0x03, 0x00, 0x10, 0}, /* 1 GiB */
    };
    for (size_t i = 0; i < 2; i++) {
        const struct fletch_compressed lie = {frames[i], sizeof frames[i], (size_t)1 << 30};
        assert_false(fletch_compressed_may_hold(FLETCH_CODEC_ZSTD, &lie));
    }
}

/* Some writers make a frame for each of several pieces, or put one behind that says nothing. */
static void several_frames_of_zstd_are_one_buffer(void **state)
{
    (void)state;
    static const uint8_t skipped[] = {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'};
    struct test_pool pool = test_pool_make();
    struct fletch_decompressor decompressor = {.cache = pool.cache, .account = pool.account};
    struct fletch_compressor compressor = {.codec = FLETCH_CODEC_ZSTD, .cache = pool.cache};
    assert_ok(fletch_compressor_init(&compressor, NULL));
    struct sample parts[2] = {sample_of(&compressor, 5000, 3), sample_of(&compressor, 70000, 7)};
    struct sample both = {.count = parts[0].count + parts[1].count};
    both.packed_count = parts[0].packed_count + sizeof skipped + parts[1].packed_count;
    both.bytes = malloc(both.count);
    both.packed = malloc(both.packed_count);
    memcpy(both.bytes, parts[0].bytes, parts[0].count);
    memcpy(both.bytes + parts[0].count, parts[1].bytes, parts[1].count);
    memcpy(both.packed, parts[0].packed, parts[0].packed_count);
    memcpy(both.packed + parts[0].packed_count, skipped, sizeof skipped);
    memcpy(both.packed + parts[0].packed_count + sizeof skipped, parts[1].packed,
           parts[1].packed_count);
    struct fletch_compressed what = whole_of(&both);
    assert_true(fletch_compressed_may_hold(FLETCH_CODEC_ZSTD, &what));
    assert_ok(unpack(&decompressor, FLETCH_CODEC_ZSTD, &what, &both, NULL));
    what.bytes = parts[0].count;
    assert_false(fletch_compressed_may_hold(FLETCH_CODEC_ZSTD, &what));
    assert_int_equal(unpack(&decompressor, FLETCH_CODEC_ZSTD, &what, &both, NULL),
                     FLETCH_INVALID_ARGUMENT);
    what = whole_of(&both);
    what.stored_bytes -= 1;
    assert_false(fletch_compressed_may_hold(FLETCH_CODEC_ZSTD, &what));
    sample_end(&both);
    sample_end(&parts[0]);
    sample_end(&parts[1]);
    fletch_compressor_deinit(&compressor);
    fletch_decompressor_deinit(&decompressor);
    test_pool_end(&pool);
}

static void damage_does_no_harm(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_decompressor decompressor = {.cache = pool.cache, .account = pool.account};
    struct fletch_random random = fletch_random_from_seed(9);
    for (size_t c = 0; c < 2; c++) {
        struct fletch_compressor compressor = {.codec = codecs[c], .cache = pool.cache};
        assert_ok(fletch_compressor_init(&compressor, NULL));
        struct sample sample = sample_of(&compressor, 70000, 3);
        uint8_t *to = malloc(70000);
        int refused = 0;
        for (int i = 0; i < DAMAGED; i++) {
            uint32_t place =
                fletch_random_below(&random, i % 2 == 0 ? 20 : (uint32_t)sample.packed_count);
            uint8_t bit = (uint8_t)(1U << fletch_random_below(&random, 8));
            struct fletch_compressed what = {sample.packed, sample.packed_count, 70000};
            sample.packed[place] ^= bit;
            refused +=
                fletch_decompressor_run(&decompressor, codecs[c], &what, to, NULL) != FLETCH_OK;
            sample.packed[place] ^= bit;
        }
        assert_true(refused > DAMAGED / 4);
        const struct fletch_compressed healed = whole_of(&sample);
        assert_ok(unpack(&decompressor, codecs[c], &healed, &sample, NULL));
        free(to);
        sample_end(&sample);
        fletch_compressor_deinit(&compressor);
    }
    fletch_decompressor_deinit(&decompressor);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
}

/* Scratch is charged: what has no room for it is refused, and goes on when there is some. */
static void scratch_is_charged(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_error error;
    for (size_t c = 0; c < 2; c++) {
        struct fletch_account *small = account_make(pool.account, "small", 1000, 0);
        struct fletch_compressor refused = {
            .codec = codecs[c], .cache = pool.cache, .account = small};
        if (codecs[c] == FLETCH_CODEC_ZSTD) {
            assert_int_equal(fletch_compressor_init(&refused, &error), FLETCH_RESOURCE_EXHAUSTED);
            assert_contains(error.message, "'small'");
        }
        struct fletch_compressor compressor = {.codec = codecs[c], .cache = pool.cache};
        assert_ok(fletch_compressor_init(&compressor, NULL));
        struct sample sample = sample_of(&compressor, 5000, 3);
        struct fletch_decompressor decompressor = {.cache = pool.cache, .account = small};
        const struct fletch_compressed what = whole_of(&sample);
        assert_int_equal(unpack(&decompressor, codecs[c], &what, &sample, &error),
                         FLETCH_RESOURCE_EXHAUSTED);
        decompressor.account = pool.account;
        assert_ok(unpack(&decompressor, codecs[c], &what, &sample, NULL));
        assert_true(account_used_bytes(pool.account) > 50000);
        fletch_decompressor_deinit(&decompressor);
        assert_int_equal(account_used_bytes(pool.account), 0);
        sample_end(&sample);
        fletch_compressor_deinit(&compressor);
        fletch_account_close(small);
    }
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_compressed_comes_back),
        cmocka_unit_test(another_length_is_refused),
        cmocka_unit_test(few_bytes_do_not_stand_for_many),
        cmocka_unit_test(several_frames_of_zstd_are_one_buffer),
        cmocka_unit_test(damage_does_no_harm),
        cmocka_unit_test(scratch_is_charged),
    };
    /* A build may be without. */
    if (fletch_codec_check(FLETCH_CODEC_LZ4_FRAME, NULL) != FLETCH_OK ||
        fletch_codec_check(FLETCH_CODEC_ZSTD, NULL) != FLETCH_OK)
        return TEST_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
