#include "arrow/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

static struct test_pool pool;

/* A batch of `rows` rows of one column, its values all zero bytes and none null: good at all
 * levels. Its parts may be changed. */
static struct fletch_batch *zeros(const char *text, int64_t rows)
{
    struct fletch_schema *schema = schema_new(text);
    struct fletch_buffer *buffer = buffer_filled(&pool, 4096, 0);
    struct fletch_batch_node nodes[8];
    struct fletch_batch_span spans[16];
    struct fletch_batch *dictionaries[4];
    for (uint32_t row = 0; row < schema->field_count; row++) {
        const struct fletch_field *field = &schema->fields[row];
        nodes[row] = (struct fletch_batch_node){.length = rows};
        for (uint32_t i = 0; i < field->span_count; i++)
            spans[field->first_span + i] = (struct fletch_batch_span){
                i == 0 ? NULL : fletch_buffer_data(buffer), i == 0 ? 0 : 4096};
    }
    for (uint32_t i = 0; i < schema->dictionary_count; i++) {
        char format[32];
        strcpy(format, "=");
        strcat(format, schema->dictionaries[i].values->fields[0].format);
        dictionaries[i] = zeros(format, rows);
    }
    const struct fletch_batch_parts parts = {
        .schema = schema,
        .row_count = rows,
        .nodes = nodes,
        .spans = spans,
        .owners = &buffer,
        .dictionaries = dictionaries,
        .node_count = schema->field_count,
        .span_count = schema->span_count,
        .owner_count = 1,
        .dictionary_count = schema->dictionary_count,
    };
    struct fletch_batch *batch;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

/* Level `level` finds it and those below do not; ends the batch. */
static void found(struct fletch_batch *batch, int level, const char *message)
{
    for (int i = FLETCH_VALIDATION_STRUCTURE; i <= FLETCH_VALIDATION_FULL; i++) {
        struct fletch_error error = {.message = ""};
        enum fletch_status status = fletch_batch_validate(batch, (enum fletch_validation)i, &error);
        if (i < level) {
            assert_ok(status);
            continue;
        }
        assert_int_equal(status, FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, message);
        assert_int_equal(fletch_batch_validate(batch, (enum fletch_validation)i, NULL), status);
    }
    assert_int_equal(fletch_batch_validate(batch, FLETCH_VALIDATION_DEFAULT, NULL),
                     FLETCH_INVALID_ARGUMENT);
    fletch_batch_release(pool.cache, batch);
}

static void counts_are_the_schemas(void **state)
{
    (void)state;
    struct fletch_batch *batch = zeros("a=l b=u", 3);
    batch->node_count--;
    found(batch, 1, "batch of 1 nodes, its schema wants 2");
    batch = zeros("a=l b=u", 3);
    batch->span_count++;
    found(batch, 1, "batch of 6 spans, its schema wants 5");
    batch = zeros("a=c<u>", 3);
    fletch_batch_release(pool.cache, batch->dictionaries[0]);
    batch->dictionary_count = 0;
    found(batch, 1, "batch of 0 dictionaries, its schema wants 1");
}

static void lengths_fit_together(void **state)
{
    (void)state;
    struct fletch_batch *batch = zeros("a=l", 3);
    batch->row_count = -1;
    found(batch, 1, "batch of -1 rows");
    batch = zeros("a=l b=+s(x=l)", 3);
    batch->nodes[2].length = 4;
    found(batch, 1, "field 'b.x' (int64): length 4, expected the struct's 3");
    batch = zeros("a=l b=+s(x=l)", 3);
    batch->nodes[1].offset = 1;
    found(batch, 1, "field 'b.x' (int64): offset 0, expected at least the struct's 1");
    batch = zeros("a=l", 3);
    batch->row_count = 2;
    found(batch, 1, "field 'a' (int64): length 3, expected the batch's 2 rows");
    static const int64_t wrong[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX / 8};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        batch = zeros("a=l", 3);
        batch->nodes[0].length = batch->row_count = wrong[i];
        found(batch, 1, wrong[i] < 0 ? "batch of -" : "length ");
        batch = zeros("a=l", 3);
        batch->nodes[0].offset = wrong[i];
        found(batch, 1, "field 'a' (int64): offset ");
        batch = zeros("a=+l(item=b)", 3);
        batch->nodes[1].length = wrong[i];
        found(batch, 1, "field 'a.item' (bool): length ");
    }
    batch = zeros("a=l", 3);
    batch->nodes[0].null_count = -2;
    found(batch, 1, "null count -2, expected -1 to 3");
    batch = zeros("a=l", 3);
    batch->nodes[0].null_count = 4;
    found(batch, 1, "null count 4, expected -1 to 3");
}

static void spans_are_large_enough(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t span;
        size_t least; /* bytes for 9 elements after 3 */
        const char *name;
    } spans[] = {
        {"a=b", 1, 2, "values"},
        {"a=c", 1, 12, "values"},
        {"a=l", 1, 96, "values"},
        {"a=w:7", 1, 84, "values"},
        {"a=tin", 1, 192, "values"},
        {"a=d:76,0,256", 1, 384, "values"},
        {"a=u", 1, 52, "offsets"},
        {"a=U", 1, 104, "offsets"},
        {"a=+l(item=c)", 1, 52, "offsets"},
        {"a=l", 0, 2, "validity"},
        {"a=+s(x=n)", 0, 2, "validity"},
    };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        for (size_t bytes = spans[i].least - 1; bytes <= spans[i].least; bytes++) {
            struct fletch_batch *batch = zeros(spans[i].text, 9);
            struct fletch_batch_span *span = &batch->spans[spans[i].span];
            for (uint32_t node = 0; node < batch->node_count; node++)
                batch->nodes[node].offset = 3;
            if (spans[i].span == 0) {
                batch->nodes[0].null_count = -1;
                span->data = fletch_buffer_data(batch->owners[0]);
            }
            span->bytes = bytes;
            if (bytes < spans[i].least) {
                found(batch, 1, spans[i].name);
                continue;
            }
            assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_STRUCTURE, NULL));
            fletch_batch_release(pool.cache, batch);
        }
    }
    struct fletch_batch *batch = zeros("a=l", 3);
    batch->spans[1].data = NULL;
    found(batch, 1, "values of 4096 bytes at no address");
    batch = zeros("a=l", 3);
    batch->spans[1] = (struct fletch_batch_span){NULL, 0};
    found(batch, 1, "values of 0 bytes, expected at least 24");
    batch = zeros("a=l", 3);
    batch->nodes[0].null_count = 1;
    found(batch, 1, "validity of 0 bytes, expected at least 1");
    batch = zeros("a=l", 3);
    batch->spans[1].data++;
    found(batch, 1, "values at an address that is no multiple of 8");
    batch = zeros("a=w:2147483647", 3);
    batch->nodes[0].length = batch->row_count = INT64_MAX / 512;
    found(batch, 1, "values of 4096 bytes, expected at least 18446744073709551615");
}

static void *writable(struct fletch_batch *batch, uint32_t span)
{
    return (void *)(uintptr_t)batch->spans[span].data;
}

/* Offsets 0 to 41 of an array that begins at 1 and has a descent at `place`; 0: before it
 * begins. */
static void descent_is_found(bool is_wide, int64_t place)
{
    struct fletch_batch *batch = zeros(is_wide ? "a=Z" : "a=z", 40);
    batch->nodes[0].offset = 1;
    for (int64_t i = 0; i <= 41; i++) {
        const int64_t offset = i == place ? -1 : i;
        if (is_wide)
            ((int64_t *)writable(batch, 1))[i] = offset;
        else
            ((int32_t *)writable(batch, 1))[i] = (int32_t)offset;
    }
    if (place > 0) {
        found(batch, 2,
              place == 1 ? "element 0 begins at -1, expected 0 or more"
                         : "ends at -1, expected at least its begin, ");
        return;
    }
    assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_OFFSETS, NULL));
    batch->spans[2].bytes = 40;
    found(batch, 2, "offsets end at 41, expected at most the data's bytes 40");
}

static void offsets_do_not_decrease_or_leave_the_data(void **state)
{
    (void)state;
    /* At each place of an array that is longer than any vector. */
    for (int64_t place = 0; place <= 41; place++) {
        descent_is_found(false, place);
        descent_is_found(true, place);
    }
    struct fletch_batch *batch = zeros("a=z", 2);
    const int32_t wrapping[] = {1, INT32_MIN, 5};
    memcpy(writable(batch, 1), wrapping, sizeof wrapping);
    found(batch, 2, "element 0 ends at -2147483648, expected at least its begin, 1");
    /* Every difference is positive by 32 bits. */
    batch = zeros("a=z", 2);
    memcpy(writable(batch, 1), (const int32_t[]){100, INT32_MIN + 90, 50}, 12);
    found(batch, 2, "element 0 ends at -2147483558, expected at least its begin, 100");
    batch = zeros("a=+l(item=+s(b=U))", 2);
    const int64_t far[] = {0, 1, INT64_MAX};
    memcpy(writable(batch, 1), (const int32_t[]){0, 1, 3}, 12);
    found(batch, 2, "field 'a' (list): offsets end at 3, expected at most the child's length 2");
    batch = zeros("a=+s(b=U)", 2);
    memcpy(writable(batch, 2), far, sizeof far);
    found(batch, 2, "field 'a.b' (large_utf8): offsets end at 9223372036854775807");
}

static void strings_are_utf8_where_they_count(void **state)
{
    (void)state;
    for (uint32_t wide = 0; wide < 2; wide++)
        for (int kind = 0; kind < 4; kind++) {
            static const uint8_t bits = 0x05;
            struct fletch_batch *batch = zeros(wide == 0 ? "a=u" : "a=U", 3);
            /* 0: whole; 1: a broken character; 2: a character cut by an offset; 3: broken, null. */
            static uint8_t data[] = "abcdef";
            memcpy(data,
                   kind == 0   ? "abcdef"
                   : kind == 2 ? "ab\xC3\xA4"
                                 "ef"
                               : "ab\xFF"
                                 "def",
                   6);
            const int32_t narrow[] = {0, 2, kind == 2 ? 3 : 4, 6};
            const int64_t broad[] = {0, 2, kind == 2 ? 3 : 4, 6};
            memcpy(writable(batch, 1), wide == 0 ? (const void *)narrow : broad,
                   wide == 0 ? sizeof narrow : sizeof broad);
            batch->spans[2] = (struct fletch_batch_span){data, 6};
            if (kind == 3) {
                batch->spans[0] = (struct fletch_batch_span){&bits, 1};
                batch->nodes[0].null_count = 1;
            }
            if (kind == 1 || kind == 2) {
                found(batch, 3, "element 1, ");
                continue;
            }
            assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
            fletch_batch_release(pool.cache, batch);
        }
}

static void indices_are_within_the_dictionary(void **state)
{
    (void)state;
    static const char *const texts[] = {"a=c<u>", "a=C<u>", "a=s<u>", "a=S<u>",
                                        "a=i<u>", "a=I<u>", "a=l<u>", "a=L<u>"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (int kind = 0; kind < 4; kind++) {
            static const uint8_t bits = 0x02;
            struct fletch_batch *batch = zeros(texts[i], 3);
            const size_t width = fletch_type_byte_width(&batch->schema->fields[0].type);
            /* 0: the last one; 1: the one behind it; 2: negative or huge; 3: the same, null. */
            const int64_t index = kind < 2 ? 2 + kind : -1;
            memcpy((uint8_t *)writable(batch, 1) + 2 * width, &index, width);
            if (kind == 3) {
                batch->spans[0] = (struct fletch_batch_span){&bits, 1};
                batch->nodes[0].null_count = 2;
            }
            if (kind == 1 || kind == 2) {
                found(batch, 3,
                      kind == 1 ? "element 2 has index 3, expected 0 or more and below "
                                  "the dictionary's 3"
                      : strcmp(texts[i], "a=L<u>") == 0
                          ? "element 2 has index 18446744073709551615,"
                          : "element 2 has index ");
                continue;
            }
            assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
            fletch_batch_release(pool.cache, batch);
        }
}

/* Whose bits, without the sign, are a number below that of the values. */
static void negative_indices_are_outside_of_large_dictionaries(void **state)
{
    (void)state;
    static const int8_t wrong[] = {-1, -56, INT8_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char message[64];
        struct fletch_batch *batch = zeros("a=c<u>", 300);
        ((int8_t *)writable(batch, 1))[1] = INT8_MAX;
        assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
        ((int8_t *)writable(batch, 1))[2] = wrong[i];
        snprintf(message, sizeof message, "element 2 has index %d, expected 0 or more", wrong[i]);
        found(batch, 3, message);
    }
}

static void dictionaries_are_there_and_good(void **state)
{
    (void)state;
    static const uint8_t bits = 0;
    struct fletch_batch *batch = zeros("a=c<u>", 3);
    struct fletch_batch *values = batch->dictionaries[0];
    batch->dictionaries[0] = NULL;
    found(batch, 2, "field 'a' (dictionary<int8, utf8>): no dictionary, expected one for 3 values");
    fletch_batch_release(pool.cache, values);
    batch = zeros("a=c<u>", 3);
    fletch_batch_release(pool.cache, batch->dictionaries[0]);
    batch->dictionaries[0] = NULL;
    batch->spans[0] = (struct fletch_batch_span){&bits, 1};
    batch->nodes[0].null_count = -1;
    assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
    fletch_batch_release(pool.cache, batch);
    batch = zeros("a=c<u>", 3);
    fletch_batch_release(pool.cache, batch->dictionaries[0]);
    batch->dictionaries[0] = zeros("=z", 3);
    found(batch, 1,
          "field 'a' (dictionary<int8, utf8>): the dictionary's values are of another type");
    batch = zeros("a=c<u>", 3);
    batch->dictionaries[0]->nodes[0].length = 2;
    found(batch, 1, "dictionary of field 'a' (utf8): length 2, expected the batch's 3 rows");
    batch = zeros("a=c<u>", 3);
    memcpy(writable(batch->dictionaries[0], 1), (const int32_t[]){0, 2, 1, 1}, 16);
    found(batch, 2, "dictionary of field 'a' (utf8): element 1 ends at 1");
}

static void subtract_one(uint64_t limbs[4])
{
    int limb = 0;
    while (limbs[limb]-- == 0)
        limb++;
}

static void negate(uint64_t limbs[4])
{
    bool carry = true;
    for (int limb = 0; limb < 4; limb++) {
        limbs[limb] = ~limbs[limb] + carry;
        carry = carry && limbs[limb] == 0;
    }
}

static void decimals_have_the_digits_that_they_may(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t limbs[4]; /* 10 to the power of the precision */
    } decimals[] = {
        {"a=d:1,0,32", {10, 0, 0, 0}},
        {"a=d:9,0,32", {1000000000, 0, 0, 0}},
        {"a=d:18,0,64", {UINT64_C(1000000000000000000), 0, 0, 0}},
        {"a=d:20,0", {UINT64_C(0x6BC75E2D63100000), 5, 0, 0}},
        {"a=d:38,0", {UINT64_C(0x098A224000000000), UINT64_C(0x4B3B4CA85A86C47A), 0, 0}},
        {"a=d:38,0,256", {UINT64_C(0x098A224000000000), UINT64_C(0x4B3B4CA85A86C47A), 0, 0}},
        {"a=d:76,0,256",
         {0, UINT64_C(0x7775A5F171951000), UINT64_C(0x764B4ABE8652979),
          UINT64_C(0x161BCCA7119915B5)}},
    };
    for (size_t i = 0; i < 4 * sizeof decimals / sizeof decimals[0]; i++) {
        const bool is_below = i % 2 == 1;
        struct fletch_batch *batch = zeros(decimals[i / 4].text, 3);
        const size_t width = fletch_type_byte_width(&batch->schema->fields[0].type);
        uint64_t limbs[4];
        memcpy(limbs, decimals[i / 4].limbs, sizeof limbs);
        if (is_below)
            subtract_one(limbs);
        if (i % 4 >= 2)
            negate(limbs);
        memcpy((uint8_t *)writable(batch, 1) + width, limbs, width);
        if (!is_below) {
            found(batch, 3, "element 1 has more than ");
            continue;
        }
        assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
        fletch_batch_release(pool.cache, batch);
    }
}

static void a_carry_into_the_upper_half_is_not_forgotten(void **state)
{
    (void)state;
    /* 2^64 times one more than the upper half of 10^38, negative: its lower half is zero. */
    struct fletch_batch *batch = zeros("a=d:38,0", 1);
    const uint64_t limbs[2] = {0, -(UINT64_C(0x4B3B4CA85A86C47A) + 1)};
    memcpy(writable(batch, 1), limbs, sizeof limbs);
    found(batch, 3, "element 0 has more than 38 digits");
}

static void null_counts_are_right(void **state)
{
    (void)state;
    static const uint8_t bits[32] = {0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                     0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xEF};
    struct fletch_batch *batch = zeros("a=b", 150);
    batch->spans[0] = (struct fletch_batch_span){bits, sizeof bits};
    batch->nodes[0] = (struct fletch_batch_node){.length = 150, .null_count = 1, .offset = 7};
    assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
    batch->nodes[0].offset = 1;
    found(batch, 3, "null count 1, its validity has 0");
}

/* Changes a number of a node, the size of a span, or bytes in one. */
static void damage(struct fletch_random *random, struct fletch_batch *batch)
{
    static const int64_t telling[] = {-1, 0, 1, 41, INT32_MAX, INT64_MAX, INT64_MIN};
    const int64_t value = telling[fletch_random_below(random, 7)];
    const uint32_t kind = fletch_random_below(random, 5);
    if (batch->node_count == 0 || batch->span_count == 0)
        return;
    struct fletch_batch_node *node = &batch->nodes[fletch_random_below(random, batch->node_count)];
    struct fletch_batch_span *span = &batch->spans[fletch_random_below(random, batch->span_count)];
    if (kind < 3)
        ((int64_t *)node)[kind] = value;
    else if (kind == 3 && span->bytes > 0)
        span->bytes -= 1 + fletch_random_below(random, (uint32_t)span->bytes);
    else if (span->bytes >= 8)
        memcpy((uint8_t *)(uintptr_t)span->data +
                   (fletch_random_below(random, (uint32_t)span->bytes) & ~7U) / 2,
               &value, 4);
}

/* Moves spans to blocks of exactly their sizes, whose borders the sanitizer watches; the caller
 * frees what `blocks` points to. */
static void isolate(struct fletch_batch *batch, void **blocks)
{
    for (uint32_t i = 0; i < batch->span_count; i++) {
        struct fletch_batch_span *span = &batch->spans[i];
        blocks[i] = NULL;
        if (span->data == NULL)
            continue;
        blocks[i] = malloc(span->bytes);
        assert_non_null(blocks[i]);
        memcpy(blocks[i], span->data, span->bytes);
        span->data = blocks[i];
    }
}

/* Whatever a batch says of itself: an answer, and no access outside of it. */
static void damaged_batches_are_survived(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(11);
    int refused = 0;
    for (int round = 0; round < 6000; round++) {
        const struct random_schema_options options = {
            .columns_max = 4, .depth_max = 4, .has_all_layouts = round % 2 == 0};
        struct fletch_schema *schema = random_schema(&random, &options);
        struct fletch_batch *batch =
            random_batch(&random, pool.cache, schema, fletch_random_below(&random, 40));
        for (uint32_t hits = 1 + fletch_random_below(&random, 3); hits > 0; hits--)
            damage(&random, batch);
        void **blocks = calloc(batch->span_count + (size_t)1, sizeof *blocks);
        assert_non_null(blocks);
        isolate(batch, blocks);
        for (int level = FLETCH_VALIDATION_STRUCTURE; level <= FLETCH_VALIDATION_FULL; level++) {
            struct fletch_error error = {.message = ""};
            enum fletch_status status =
                fletch_batch_validate(batch, (enum fletch_validation)level, &error);
            refused += status != FLETCH_OK;
            assert_true(status == FLETCH_OK || error.message[0] != '\0');
        }
        for (uint32_t i = 0; i < batch->span_count; i++)
            free(blocks[i]);
        free(blocks);
        fletch_batch_release(pool.cache, batch);
        fletch_schema_release(schema);
    }
    assert_true(refused > 2000);
}

static int begin(void **state)
{
    (void)state;
    pool = test_pool_make();
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_pool_end(&pool);
    return 0;
}

/* A dictionary that was validated when it came is not read again with each batch. */
static void known_dictionaries_are_not_looked_at(void **state)
{
    (void)state;
    struct fletch_batch *batch = zeros("a=c<u>", 3);
    batch->dictionaries[0]->nodes[0].length = 2;
    assert_int_equal(fletch_batch_validate(batch, FLETCH_VALIDATION_STRUCTURE, NULL),
                     FLETCH_INVALID_ARGUMENT);
    for (int i = FLETCH_VALIDATION_STRUCTURE; i <= FLETCH_VALIDATION_FULL; i++)
        assert_ok(fletch_batch_validate_columns(batch, (enum fletch_validation)i, NULL));
    /* What the indices say is the batch's own. */
    batch->dictionaries[0]->row_count = 0;
    assert_int_equal(fletch_batch_validate_columns(batch, FLETCH_VALIDATION_FULL, NULL),
                     FLETCH_INVALID_ARGUMENT);
    fletch_batch_release(pool.cache, batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_the_schemas),
        cmocka_unit_test(lengths_fit_together),
        cmocka_unit_test(spans_are_large_enough),
        cmocka_unit_test(offsets_do_not_decrease_or_leave_the_data),
        cmocka_unit_test(strings_are_utf8_where_they_count),
        cmocka_unit_test(indices_are_within_the_dictionary),
        cmocka_unit_test(negative_indices_are_outside_of_large_dictionaries),
        cmocka_unit_test(dictionaries_are_there_and_good),
        cmocka_unit_test(decimals_have_the_digits_that_they_may),
        cmocka_unit_test(a_carry_into_the_upper_half_is_not_forgotten),
        cmocka_unit_test(null_counts_are_right),
        cmocka_unit_test(damaged_batches_are_survived),
        cmocka_unit_test(known_dictionaries_are_not_looked_at),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
