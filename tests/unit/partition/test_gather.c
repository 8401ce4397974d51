#include "partition/gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "partition/bit_run.h"

#include "support/cmocka_tests.h"

/* Every variant of the copying loops against what they should do, one value at a time. */

enum { ROWS = 300, TAIL = 64 };

static uint16_t order[ROWS];

static void shuffle_rows(struct fletch_random *random)
{
    for (size_t i = 0; i < ROWS; i++)
        order[i] = (uint16_t)fletch_random_below(random, ROWS);
}

static uint8_t source_bytes[ROWS * 32 + 1];

/* Values of 2^`log2_width` bytes, `count` of them `shift` bytes into a line, and nothing around. */
static void check_values(fletch_gather_values *gather, size_t log2_width, size_t count,
                         size_t shift)
{
    static _Alignas(64) uint8_t line[TAIL + ROWS * 32 + TAIL];
    uint8_t *found = line + shift;
    size_t width = (size_t)1 << log2_width;
    memset(line, 0xee, sizeof line);
    gather(found, source_bytes + 1, order, count);
    for (size_t i = 0; i < shift; i++)
        assert_int_equal(line[i], 0xee);
    for (size_t i = 0; i < count; i++)
        assert_memory_equal(found + i * width, source_bytes + 1 + order[i] * width, width);
    for (size_t i = count * width; i < count * width + TAIL; i++)
        assert_int_equal(found[i], 0xee);
}

static void check_widths(const struct fletch_gather_kernels *kernels, struct fletch_random *random)
{
    for (size_t w = 0; w < FLETCH_GATHER_WIDTHS; w++)
        for (size_t count = 0; count <= ROWS; count += count < 20 ? 1 : 70) {
            shuffle_rows(random);
            check_values(kernels->values[w], w, count, fletch_random_below(random, TAIL));
            size_t whole = fletch_random_below(random, TAIL) >> w << w;
            check_values(kernels->streamed[w], w, count, whole);
            check_values(kernels->streamed[w], w, count, fletch_random_below(random, TAIL));
            kernels->flush();
        }
}

static void values_are_copied(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(1);
    for (size_t i = 0; i < sizeof source_bytes; i++)
        source_bytes[i] = (uint8_t)fletch_random_u64(&random);
    for (size_t v = 0; v < FLETCH_GATHER_VARIANTS; v++)
        if (fletch_gather_kernels_variant(v) != NULL)
            check_widths(fletch_gather_kernels_variant(v), &random);
}

static void values_of_any_width_are_copied(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(2);
    static uint8_t source[ROWS * 40];
    static uint8_t found[ROWS * 40];
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (uint8_t)fletch_random_u64(&random);
    for (size_t width = 0; width <= 40; width++) {
        shuffle_rows(&random);
        struct fletch_gather_wide wide = {.values = source, .byte_width = width};
        fletch_gather_wide_values(found, &wide, order, ROWS);
        for (size_t i = 0; i < ROWS; i++)
            assert_memory_equal(found + i * width, source + order[i] * width, width);
    }
}

static bool bit(const uint8_t *bits, size_t at)
{
    return (bits[at / 8] >> at % 8 & 1) != 0;
}

static void bits_are_copied_to_any_bit(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(3);
    uint8_t source[ROWS / 8 + 4];
    uint8_t found[ROWS / 8 + 64];
    uint8_t before[sizeof found];
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (uint8_t)fletch_random_u64(&random);
    for (size_t v = 0; v < FLETCH_GATHER_VARIANTS; v++) {
        const struct fletch_gather_kernels *kernels = fletch_gather_kernels_variant(v);
        for (size_t at = 0; kernels != NULL && at < 100; at++) {
            size_t count = fletch_random_below(&random, ROWS + 1);
            struct fletch_gather_bits bits = {.bits = source, .first = at % 11};
            shuffle_rows(&random);
            memset(found, (int)(at % 2 == 0 ? 0xff : 0), sizeof found);
            memcpy(before, found, sizeof found);
            kernels->bits(found, at, &bits, order, count);
            for (size_t i = 0; i < at; i++)
                assert_int_equal(bit(found, i), bit(before, i));
            for (size_t i = 0; i < count; i++)
                assert_int_equal(bit(found, at + i), bit(source, at % 11 + order[i]));
        }
    }
}

static void runs_of_bits_are_filled_copied_and_counted(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(4);
    for (int round = 0; round < 2000; round++) {
        size_t at = fletch_random_below(&random, 70);
        size_t from = fletch_random_below(&random, 70);
        size_t count = fletch_random_below(&random, 300);
        /* On the heap and exact, so that the sanitizer sees a byte too many. */
        uint8_t *source = malloc((from + count + 7) / 8 + 1);
        for (size_t i = 0; i < (from + count + 7) / 8; i++)
            source[i] = (uint8_t)fletch_random_u64(&random);
        uint8_t found[80] = {0};
        fletch_bit_run_fill(found, 0, at);
        fletch_bit_run_copy(found, at, source, from, count);
        size_t zeros = 0;
        for (size_t i = 0; i < at; i++)
            assert_true(bit(found, i));
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(bit(found, at + i), bit(source, from + i));
            zeros += !bit(source, from + i);
        }
        assert_int_equal(fletch_bit_run_zeros(found, at + count), zeros);
        free(source);
    }
}

/* ---- strings ---- */

struct strings {
    uint8_t *bytes; /* exact, on the heap */
    size_t byte_count;
    int32_t narrow[ROWS + 1];
    int64_t wide[ROWS + 1];
};

static void make_strings(struct strings *strings, struct fletch_random *random, uint32_t longest)
{
    strings->narrow[0] = 0;
    for (size_t i = 0; i < ROWS; i++)
        strings->narrow[i + 1] =
            strings->narrow[i] + (int32_t)fletch_random_below(random, longest + 1);
    for (size_t i = 0; i <= ROWS; i++)
        strings->wide[i] = strings->narrow[i];
    strings->byte_count = (size_t)strings->narrow[ROWS];
    strings->bytes = malloc(strings->byte_count + 1);
    for (size_t i = 0; i < strings->byte_count; i++)
        strings->bytes[i] = (uint8_t)fletch_random_u64(random);
}

static struct fletch_gather_strings source_of(const struct strings *strings, bool is_wide,
                                              bool is_short)
{
    return (struct fletch_gather_strings){
        .bytes = strings->bytes,
        .byte_count = strings->byte_count,
        .offsets = is_wide ? (const uint8_t *)strings->wide : (const uint8_t *)strings->narrow,
        .has_wide_offsets = is_wide,
        .is_short = is_short,
    };
}

static void check_strings(const struct fletch_gather_kernels *kernels,
                          const struct strings *strings, const struct fletch_gather_strings *source)
{
    size_t total = 0;
    for (size_t i = 0; i < ROWS; i++)
        total += (size_t)(strings->narrow[order[i] + 1] - strings->narrow[order[i]]);
    uint8_t *found = malloc(total + FLETCH_GATHER_SLACK);
    kernels->strings(found, source, order, ROWS);
    size_t at = 0;
    for (size_t i = 0; i < ROWS; i++) {
        size_t length = (size_t)(strings->narrow[order[i] + 1] - strings->narrow[order[i]]);
        assert_memory_equal(found + at, strings->bytes + strings->narrow[order[i]], length);
        at += length;
    }
    free(found);
}

static void strings_are_copied(void **state)
{
    (void)state;
    static const uint32_t longest[] = {0, 1, 7, 16, 17, 33, 100, 1000};
    struct fletch_random random = fletch_random_from_seed(5);
    static struct strings strings;
    for (size_t l = 0; l < sizeof longest / sizeof longest[0]; l++) {
        make_strings(&strings, &random, longest[l]);
        shuffle_rows(&random);
        for (size_t v = 0; v < FLETCH_GATHER_VARIANTS * 4; v++) {
            const struct fletch_gather_kernels *kernels = fletch_gather_kernels_variant(v / 4);
            struct fletch_gather_strings source = source_of(&strings, (v & 1) != 0, (v & 2) != 0);
            if (kernels != NULL)
                check_strings(kernels, &strings, &source);
        }
        free(strings.bytes);
    }
}

static void offsets_stop_where_the_room_ends(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(6);
    static struct strings strings;
    make_strings(&strings, &random, 20);
    for (int round = 0; round < 500; round++) {
        int64_t wide[ROWS + 1] = {5};
        int32_t narrow[ROWS + 1] = {5};
        int64_t capacity = fletch_random_below(&random, ROWS * 25);
        bool is_wide = round % 2 == 0;
        struct fletch_gather_strings source = source_of(&strings, is_wide, false);
        struct fletch_gather_room room = {
            .offsets = is_wide ? (uint8_t *)wide : (uint8_t *)narrow,
            .used_bytes = 5,
            .byte_capacity = capacity,
        };
        shuffle_rows(&random);
        size_t count = fletch_gather_offsets(&room, &source, order, ROWS);
        int64_t end = 5;
        for (size_t i = 0; i < count; i++) {
            end += strings.wide[order[i] + 1] - strings.wide[order[i]];
            assert_int_equal(is_wide ? wide[i + 1] : narrow[i + 1], end);
        }
        assert_true(end <= capacity || count == 0);
        if (count < ROWS)
            assert_true(end + strings.wide[order[count] + 1] - strings.wide[order[count]] >
                        capacity);
    }
    free(strings.bytes);
}

/* ---- stretches ---- */

enum { STRETCHES = 100, ELEMENTS = 2000 };

/* Stretches in any order, also empty ones and one that ends where the source does; returns how many
 * elements they have. */
static size_t make_stretches(struct fletch_stretch *stretches, struct fletch_random *random,
                             uint32_t longest)
{
    size_t total = 0;
    for (size_t i = 0; i < STRETCHES; i++) {
        stretches[i].count = fletch_random_below(random, longest + 1);
        stretches[i].first = fletch_random_below(random, ELEMENTS - stretches[i].count + 1);
        if (i == STRETCHES / 2)
            stretches[i].first = ELEMENTS - stretches[i].count;
        total += stretches[i].count;
    }
    return total;
}

static void stretches_are_copied(void **state)
{
    (void)state;
    static const uint32_t longest[] = {0, 1, 3, 9, 40, 300};
    static const size_t widths[] = {1, 2, 4, 8, 12, 32, 100};
    struct fletch_random random = fletch_random_from_seed(8);
    struct fletch_stretch stretches[STRETCHES];
    for (size_t round = 0; round < FLETCH_GATHER_VARIANTS * 6 * 7; round++) {
        const struct fletch_gather_kernels *kernels =
            fletch_gather_kernels_variant(round % FLETCH_GATHER_VARIANTS);
        size_t width = widths[round / FLETCH_GATHER_VARIANTS % 7];
        size_t total = width * make_stretches(stretches, &random, longest[round / 7 % 6]);
        /* On the heap and exact, so that the sanitizer sees a byte too many. */
        uint8_t *bytes = malloc(ELEMENTS * width);
        uint8_t *found = malloc(total + FLETCH_GATHER_SLACK);
        for (size_t i = 0; i < ELEMENTS * width; i++)
            bytes[i] = (uint8_t)fletch_random_u64(&random);
        struct fletch_gather_elements source = {bytes, ELEMENTS * width, width};
        if (kernels != NULL)
            kernels->stretches(found, &source, stretches, STRETCHES);
        const uint8_t *next = found;
        for (size_t i = 0; kernels != NULL && i < STRETCHES; i++) {
            assert_memory_equal(next, bytes + stretches[i].first * width,
                                stretches[i].count * width);
            next += stretches[i].count * width;
        }
        free(found);
        free(bytes);
    }
}

static void offsets_of_stretches_are_shifted(void **state)
{
    (void)state;
    static const uint32_t longest[] = {0, 1, 7, 8, 9, 100};
    struct fletch_random random = fletch_random_from_seed(9);
    struct fletch_stretch stretches[STRETCHES];
    struct fletch_stretch below[STRETCHES];
    for (size_t round = 0; round < 60; round++) {
        bool is_wide = round % 2 == 0;
        size_t width = is_wide ? 8 : 4;
        size_t total = make_stretches(stretches, &random, longest[round / 2 % 6]);
        uint8_t *offsets = malloc((ELEMENTS + 1) * width);
        uint8_t *found = malloc((total + 1) * width + FLETCH_GATHER_SLACK);
        uint64_t ends[ELEMENTS + 1] = {70};
        for (size_t i = 0; i <= ELEMENTS; i++) {
            if (i > 0)
                ends[i] = ends[i - 1] + fletch_random_below(&random, 20);
            memcpy(offsets + i * width, &ends[i], width);
        }
        for (size_t i = 0; i < STRETCHES; i++) {
            below[i].first = (uint32_t)ends[stretches[i].first];
            below[i].count =
                (uint32_t)(ends[stretches[i].first + stretches[i].count] - below[i].first);
        }
        uint64_t end = 5;
        memcpy(found, &end, width);
        struct fletch_gather_offsets_source source = {offsets, (ELEMENTS + 1) * width, is_wide,
                                                      below};
        fletch_gather_shifted_offsets(found, &source, stretches, STRETCHES);
        const uint8_t *next = found;
        for (size_t i = 0; i < STRETCHES; i++)
            for (size_t j = stretches[i].first; j < stretches[i].first + stretches[i].count; j++) {
                end += ends[j + 1] - ends[j];
                next += width;
                assert_memory_equal(next, &end, width);
            }
        free(found);
        free(offsets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_copied),
        cmocka_unit_test(values_of_any_width_are_copied),
        cmocka_unit_test(bits_are_copied_to_any_bit),
        cmocka_unit_test(runs_of_bits_are_filled_copied_and_counted),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(offsets_stop_where_the_room_ends),
        cmocka_unit_test(stretches_are_copied),
        cmocka_unit_test(offsets_of_stretches_are_shifted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
