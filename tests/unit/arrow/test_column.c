#include "arrow/column.h"

#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

static void spans_have_the_bytes_that_elements_take(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        enum fletch_span_kind kind;
        uint64_t end;
        uint64_t bytes;
    } spans[] = {
        {"l", FLETCH_SPAN_VALIDITY, 0, 0},
        {"l", FLETCH_SPAN_VALIDITY, 8, 1},
        {"b", FLETCH_SPAN_BITS, 9, 2},
        {"l", FLETCH_SPAN_VALUES, 9, 72},
        {"w:3", FLETCH_SPAN_VALUES, 9, 27},
        {"w:0", FLETCH_SPAN_VALUES, 9, 0},
        {"w:2147483647", FLETCH_SPAN_VALUES, (uint64_t)INT64_MAX / 256, UINT64_MAX},
        {"u", FLETCH_SPAN_OFFSETS32, 0, 4},
        {"U", FLETCH_SPAN_OFFSETS64, 9, 80},
        {"U", FLETCH_SPAN_BYTES, 9, 0},
        {"vu", FLETCH_SPAN_VIEWS, 9, 144},
        {"+vl", FLETCH_SPAN_STARTS32, 9, 36},
        {"+vl", FLETCH_SPAN_SIZES32, 0, 0},
        {"+vL", FLETCH_SPAN_STARTS64, 9, 72},
        {"+vL", FLETCH_SPAN_SIZES64, 9, 72},
        {"+ud:", FLETCH_SPAN_TYPE_IDS, 9, 9},
    };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        struct fletch_type type;
        int8_t type_ids[FLETCH_TYPE_IDS_MAX];
        assert_ok(fletch_type_parse(spans[i].format, "", type_ids, &type, NULL));
        assert_int_equal(fletch_span_bytes(&type, spans[i].kind, spans[i].end), spans[i].bytes);
    }
}

static void elements_of_a_batch_are_reached(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(2);
    struct fletch_schema *schema = schema_new("n=n u=u! U=U!");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 20);
    const struct fletch_column nothing = fletch_column_of(batch, 0);
    const struct fletch_column narrow = fletch_column_of(batch, 1);
    const struct fletch_column wide = fletch_column_of(batch, 2);
    assert_false(fletch_column_is_wide(&narrow));
    assert_true(fletch_column_is_wide(&wide));
    for (int64_t i = 0; i < 20; i++) {
        assert_false(fletch_column_is_valid(&nothing, i));
        assert_true(fletch_column_is_valid(&narrow, i));
        assert_true(fletch_column_offset(&narrow, i) <= fletch_column_offset(&narrow, i + 1));
    }
    assert_int_equal(fletch_column_offset(&narrow, 20), narrow.spans[2].bytes);
    assert_int_equal(fletch_column_offset(&wide, 20), wide.spans[2].bytes);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_have_the_bytes_that_elements_take),
        cmocka_unit_test(elements_of_a_batch_are_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
