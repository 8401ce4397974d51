#include <string.h>

#include "base/random.h"
#include "http2/hpack.h"
#include "support/cmocka_tests.h"

/* Lists that are encoded and decoded by way of what was kept, each against a reader that keeps
 * nothing: they must be the same, whatever has become of the tables in between. */

enum { ROUNDS = 20000, KINDS = 3, FIELDS_MOST = 6, NAMES = 12, VALUE_MOST = 300 };

static const struct fletch_hpack_limits limits = {.list_bytes = 16384, .fields = 256};

struct side {
    struct fletch_allocator allocator;
    struct fletch_hpack hpack;
    struct fletch_hpack_kept kept[KINDS];
};

struct list {
    struct fletch_http2_field fields[FIELDS_MOST];
    size_t count;
};

static char values[NAMES][VALUE_MOST];

static void open_side(struct side *side)
{
    side->allocator = fletch_allocator_or_default(NULL);
    assert_true(fletch_hpack_init(&side->hpack, &side->allocator));
    for (size_t i = 0; i < KINDS; i++)
        fletch_hpack_kept_init(&side->kept[i], &side->allocator);
}

static void close_side(struct side *side)
{
    for (size_t i = 0; i < KINDS; i++)
        fletch_hpack_kept_deinit(&side->kept[i]);
    fletch_hpack_deinit(&side->hpack);
}

/* Few names and values, so that the table knows many of them; some are longer than a block that is
 * kept, and together they are more than the table holds. */
static struct fletch_http2_field some_field(struct fletch_random *random)
{
    static const char *const names[NAMES] = {":path", ":status", "a", "b", "c", "content-type",
                                             "d",     "e",       "f", "g", "h", "x-trace"};
    uint32_t name = fletch_random_below(random, NAMES);
    uint32_t bytes = fletch_random_below(random, 4) == 0 ? VALUE_MOST - 1 : name * 3;
    return (struct fletch_http2_field){
        .name = names[name],
        .value = values[fletch_random_below(random, NAMES)],
        .name_bytes = (uint32_t)strlen(names[name]),
        .value_bytes = bytes,
        .is_secret = fletch_random_below(random, 8) == 0,
    };
}

static void change(struct list *list, struct fletch_random *random)
{
    list->count = fletch_random_below(random, FIELDS_MOST + 1);
    for (size_t i = 0; i < list->count; i++)
        list->fields[i] = some_field(random);
}

/* The list as it comes out of `reader`; whether it was kept. */
static bool read_back(struct side *reader, size_t kind, const struct fletch_byte_buffer *block,
                      const struct list *list)
{
    struct fletch_hpack_kept *kept = &reader->kept[kind];
    enum fletch_hpack_answer answer =
        fletch_hpack_decode(&reader->hpack, block->data, block->bytes, &limits, kept);
    assert_true(answer == FLETCH_HPACK_DONE || answer == FLETCH_HPACK_REPEATED);
    assert_true(fletch_field_list_is(&kept->list, list->fields, list->count));
    return answer == FLETCH_HPACK_REPEATED;
}

static void test_lists_that_repeat(void **state)
{
    struct side writer, keeper, plain;
    struct list lists[KINDS] = {{.count = 0}};
    struct fletch_byte_buffer block;
    struct fletch_random random = fletch_random_from_seed(7);
    size_t repeated = 0, known = 0;
    (void)state;
    for (size_t i = 0; i < NAMES; i++)
        memset(values[i], 'a' + (int)i, VALUE_MOST);
    open_side(&writer);
    open_side(&keeper);
    open_side(&plain);
    fletch_byte_buffer_init(&block, &writer.allocator);
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t kind = fletch_random_below(&random, KINDS);
        struct list *list = &lists[kind];
        if (fletch_random_below(&random, 12) == 0)
            change(list, &random);
        if (fletch_random_below(&random, 200) == 0)
            assert_true(
                fletch_hpack_limit_table(&writer.hpack, fletch_random_below(&random, 4097)));
        known += fletch_hpack_is_kept(&writer.hpack, &writer.kept[kind], list->fields, list->count);
        block.bytes = 0;
        assert_true(fletch_hpack_encode(&writer.hpack, list->fields, list->count,
                                        &writer.kept[kind], &block));
        repeated += read_back(&keeper, kind, &block, list);
        plain.kept[kind].block_bytes = 0;
        assert_false(read_back(&plain, kind, &block, list));
    }
    assert_true(known > ROUNDS / 20 && known < ROUNDS);
    assert_true(repeated > ROUNDS / 20 && repeated < ROUNDS);
    fletch_byte_buffer_deinit(&block);
    close_side(&writer);
    close_side(&keeper);
    close_side(&plain);
}

/* The same two bytes, of which the second one means another field once the table has grown. */
static void test_block_that_means_another_list(void **state)
{
    static const uint8_t first[] = {0x40, 1, 'a', 1, '1'}, second[] = {0x40, 1, 'b', 1, '2'};
    static const uint8_t newest[] = {0x88, 0xbe};
    struct fletch_http2_field fields[] = {fletch_http2_field_of(":status", "200"),
                                          fletch_http2_field_of("a", "1")};
    struct side side;
    struct fletch_hpack_kept *kept = &side.kept[0];
    (void)state;
    open_side(&side);
    assert_int_equal(fletch_hpack_decode(&side.hpack, first, sizeof first, &limits, &side.kept[1]),
                     FLETCH_HPACK_DONE);
    assert_int_equal(fletch_hpack_decode(&side.hpack, newest, sizeof newest, &limits, kept),
                     FLETCH_HPACK_DONE);
    assert_int_equal(fletch_hpack_decode(&side.hpack, newest, sizeof newest, &limits, kept),
                     FLETCH_HPACK_REPEATED);
    assert_true(fletch_field_list_is(&kept->list, fields, 2));
    assert_int_equal(
        fletch_hpack_decode(&side.hpack, second, sizeof second, &limits, &side.kept[1]),
        FLETCH_HPACK_DONE);
    assert_int_equal(fletch_hpack_decode(&side.hpack, newest, sizeof newest, &limits, kept),
                     FLETCH_HPACK_DONE);
    fields[1] = fletch_http2_field_of("b", "2");
    assert_true(fletch_field_list_is(&kept->list, fields, 2));
    close_side(&side);
}

/* What was too large, or damaged, is not taken for a list the next time. */
static void test_block_that_failed(void **state)
{
    static const uint8_t good[] = {0x88, 0x82}, damaged[] = {0x88, 0xff};
    static const struct fletch_hpack_limits one = {.list_bytes = 16384, .fields = 1};
    struct side side;
    struct fletch_hpack_kept *kept = &side.kept[0];
    (void)state;
    open_side(&side);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fletch_hpack_decode(&side.hpack, good, sizeof good, &one, kept),
                         FLETCH_HPACK_TOO_LARGE);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fletch_hpack_decode(&side.hpack, damaged, sizeof damaged, &limits, kept),
                         FLETCH_HPACK_DAMAGED);
    close_side(&side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_that_repeat),
        cmocka_unit_test(test_block_that_means_another_list),
        cmocka_unit_test(test_block_that_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
