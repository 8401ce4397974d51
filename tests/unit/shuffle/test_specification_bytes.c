#include "shuffle/specification_bytes.h"

#include <string.h>

#include <fletching/placement.h>

#include "shuffle/shuffle.h"
#include "support/cmocka_tests.h"
#include "support/shuffles.h"

/* What replicas share, as bytes: it comes back as it was, and whatever else comes is refused. */

static struct fletch_error error;

/* A batch of P - 1 rows of the key's type, as bounds. */
static struct fletch_shuffle *register_ranges(struct test_shuffle *test)
{
    const uint32_t keys[] = {0};
    const struct fletch_range_order orders[] = {{.is_descending = true, .nulls_first = true}};
    const uint32_t owners[] = {0, 0, 0}, homes[] = {0, 0};
    const char *const addresses[] = {"grpc://here:1"};
    const struct fletch_placement placement = {.struct_size = sizeof placement,
                                               .addresses = addresses,
                                               .address_count = 1,
                                               .partition_owners = owners,
                                               .producer_homes = homes};
    struct fletch_batch *bounds = batch_make(test, 2);
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .method = FLETCH_PARTITION_RANGE,
                                                           .partition_count = 3,
                                                           .key_columns = keys,
                                                           .key_column_count = 1,
                                                           .range_orders = orders,
                                                           .range_bounds = bounds};
    const struct fletch_shuffle_options options = {
        .struct_size = sizeof options,
        .name = "\x00ranges",
        .name_bytes = 7,
        .schema = test->schema,
        .partitioner = &partitioner,
        .producer_count = 2,
        .budget_bytes = 4 << 20,
        .sums = FLETCH_SUMS_ROWS,
        .retention = FLETCH_RETENTION_UNTIL_CLOSE,
        .watermark_idle_ns = UINT64_C(5000000000),
        .epoch = 7,
        .placement = &placement,
    };
    struct fletch_shuffle *shuffle = NULL;
    if (fletch_shuffle_register(test->transport, &options, &shuffle, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    fletch_batch_release(NULL, bounds);
    return shuffle;
}

static struct test_shuffle make(void)
{
    const struct shuffle_words words = {.schema = "k=l", .transport_bytes = 64 << 20};
    return test_shuffle_make(&words);
}

static void all_of_it_comes_back(void **state)
{
    struct test_shuffle test = make();
    struct fletch_shuffle *shuffle = register_ranges(&test);
    struct fletch_specification_bytes bytes, again;
    struct fletch_specification_copy *copy = NULL;
    struct fletch_shuffle_id identity;
    struct fletch_shuffle *replica = NULL;
    (void)state;
    fletch_shuffle_identity(shuffle, &identity);
    assert_ok(fletch_specification_write(shuffle, &bytes, &error));
    fletch_shuffle_close(shuffle);
    fletch_shuffle_release(shuffle);
    if (fletch_specification_read(test.transport, bytes.bytes, bytes.count, &copy, &error) !=
        FLETCH_OK)
        fail_msg("%s", error.message);
    struct fletch_shuffle_options *options = fletch_specification_options(copy);
    assert_memory_equal(options->id, identity.id, sizeof identity.id);
    assert_int_equal(options->epoch, 7);
    assert_int_equal(options->placement->self, FLETCH_NO_PROCESS);
    assert_int_equal(fletch_specification_set_self(copy, 1, &error), FLETCH_OUT_OF_RANGE);
    assert_ok(fletch_specification_set_self(copy, 0, &error));
    options->budget_bytes = 4 << 20;
    assert_ok(fletch_shuffle_register(test.transport, options, &replica, &error));
    fletch_specification_copy_destroy(copy);
    assert_ok(fletch_specification_write(replica, &again, &error));
    assert_int_equal(again.count, bytes.count);
    assert_memory_equal(again.bytes, bytes.bytes, bytes.count);
    fletch_specification_bytes_free(&bytes);
    fletch_specification_bytes_free(&again);
    fletch_shuffle_close(replica);
    fletch_shuffle_release(replica);
    test_shuffle_end(&test);
}

static void what_is_cut_or_longer_is_refused(void **state)
{
    struct test_shuffle test = make();
    struct fletch_shuffle *shuffle = register_ranges(&test);
    struct fletch_specification_bytes bytes;
    struct fletch_specification_copy *copy = NULL;
    unsigned char longer[8192] = {0};
    (void)state;
    assert_ok(fletch_specification_write(shuffle, &bytes, &error));
    for (size_t count = 0; count < bytes.count; count++)
        assert_int_equal(
            fletch_specification_read(test.transport, bytes.bytes, count, &copy, &error),
            FLETCH_INVALID_ARGUMENT);
    assert_true(bytes.count < sizeof longer);
    memcpy(longer, bytes.bytes, bytes.count);
    assert_int_equal(
        fletch_specification_read(test.transport, longer, bytes.count + 1, &copy, &error),
        FLETCH_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "behind it"));
    longer[4] = 2;
    assert_int_equal(fletch_specification_read(test.transport, longer, bytes.count, &copy, &error),
                     FLETCH_UNIMPLEMENTED);
    assert_non_null(strstr(error.message, "version 2"));
    fletch_specification_bytes_free(&bytes);
    fletch_shuffle_close(shuffle);
    fletch_shuffle_release(shuffle);
    test_shuffle_end(&test);
}

/* Any byte may be any other: it is read, or refused, and nothing is left of it. */
static void whatever_comes_does_no_harm(void **state)
{
    struct test_shuffle test = make();
    struct fletch_shuffle *shuffle = register_ranges(&test);
    struct fletch_specification_bytes bytes;
    uint32_t refused = 0;
    (void)state;
    assert_ok(fletch_specification_write(shuffle, &bytes, &error));
    fletch_shuffle_close(shuffle);
    fletch_shuffle_release(shuffle);
    for (size_t at = 0; at < bytes.count; at++) {
        const unsigned char was = bytes.bytes[at];
        for (unsigned flip = 1; flip < 256; flip = flip * 3 + 1) {
            struct fletch_specification_copy *copy = NULL;
            struct fletch_shuffle *replica = NULL;
            bytes.bytes[at] = (unsigned char)(was ^ flip);
            enum fletch_status status =
                fletch_specification_read(test.transport, bytes.bytes, bytes.count, &copy, &error);
            if (status == FLETCH_OK)
                status = fletch_shuffle_register(test.transport, fletch_specification_options(copy),
                                                 &replica, &error);
            refused += status != FLETCH_OK;
            fletch_specification_copy_destroy(copy);
            if (replica != NULL)
                fletch_shuffle_close(replica);
            fletch_shuffle_release(replica);
        }
        bytes.bytes[at] = was;
    }
    assert_true(refused > bytes.count);
    fletch_specification_bytes_free(&bytes);
    test_shuffle_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_comes_back),
        cmocka_unit_test(what_is_cut_or_longer_is_refused),
        cmocka_unit_test(whatever_comes_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
