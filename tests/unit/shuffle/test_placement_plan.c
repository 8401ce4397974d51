#include <fletching/fletching.h>

#include <string.h>

#include "shuffle/placement_plan.h"
#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/shuffles.h"

static const char *const three[] = {"grpc://a:1", "grpc://b:2", "grpc://c:3"};
static const struct fletch_placement_size size = {
    .partition_count = 5, .producer_count = 2, .producer_limit = 3};

static struct fletch_placement push_to(uint32_t self)
{
    return (struct fletch_placement){.struct_size = sizeof(struct fletch_placement),
                                     .addresses = three,
                                     .address_count = 3,
                                     .self = self};
}

static void without_one_everything_is_here(void **state)
{
    struct fletch_placement_plan plan;
    (void)state;
    assert_ok(fletch_placement_plan_init(&plan, NULL, &size, NULL, NULL));
    assert_false(plan.has_others);
    assert_true(fletch_placement_may_read(&plan, 4));
    assert_true(fletch_placement_may_write(&plan, 2));
    assert_true(fletch_placement_aligns(&plan));
    fletch_placement_plan_deinit(&plan);
}

static void partitions_go_round_unless_their_owners_are_named(void **state)
{
    static const uint32_t owners[] = {2, 2, 2, 1, 2};
    struct fletch_placement given = push_to(1);
    struct fletch_placement_plan plan;
    (void)state;
    assert_ok(fletch_placement_plan_init(&plan, &given, &size, NULL, NULL));
    assert_true(plan.has_others);
    assert_int_equal(plan.local_count, 2);
    assert_true(fletch_placement_may_read(&plan, 1) && fletch_placement_may_read(&plan, 4));
    assert_false(fletch_placement_may_read(&plan, 0));
    assert_string_equal(plan.addresses[plan.owners[2]], "grpc://c:3");
    assert_true(fletch_placement_may_add(&plan, 4) && !fletch_placement_may_add(&plan, 3));
    fletch_placement_plan_deinit(&plan);
    given.partition_owners = owners;
    assert_ok(fletch_placement_plan_init(&plan, &given, &size, NULL, NULL));
    assert_int_equal(plan.local_count, 1);
    assert_true(fletch_placement_may_read(&plan, 3));
    fletch_placement_plan_deinit(&plan);
    given = push_to(FLETCH_NO_PROCESS);
    assert_ok(fletch_placement_plan_init(&plan, &given, &size, NULL, NULL));
    assert_int_equal(plan.local_count, 0);
    assert_false(fletch_placement_aligns(&plan));
    fletch_placement_plan_deinit(&plan);
}

static void refused(const struct fletch_placement *given, const char *text)
{
    struct fletch_placement_plan plan;
    struct fletch_error error;
    assert_int_equal(fletch_placement_plan_init(&plan, given, &size, NULL, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, text);
    fletch_placement_plan_deinit(&plan);
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const holes[] = {"grpc://a:1", ""};
    static const uint32_t wrong[] = {0, 1, 2, 3, 0};
    static char text[FLETCH_ADDRESS_BYTES_MAX + 2];
    const char *const one_long[] = {text};
    struct fletch_placement given = push_to(0);
    (void)state;
    given.struct_size = 8;
    refused(&given, "struct_size 8");
    given = push_to(3);
    refused(&given, "self of the placement is 3, expected 0 to 2");
    given = push_to(0);
    given.address_count = 0;
    refused(&given, "address_count of the placement is 0, expected 1 to 65536");
    given = push_to(0);
    given.addresses = NULL;
    refused(&given, "needs addresses");
    given = push_to(0);
    given.addresses = holes;
    given.address_count = 2;
    refused(&given, "address 1 of the placement has 0 bytes, expected 1 to 255");
    memset(text, 'a', sizeof text - 1);
    given.addresses = one_long;
    given.address_count = 1;
    refused(&given, "address 0 of the placement has 256 bytes");
    given = push_to(0);
    given.partition_owners = wrong;
    refused(&given, "the owner of partition 3 of the placement is at address 3, expected 0 to 2");
    given = push_to(0);
    given.producer_homes = wrong + 1;
    refused(&given, "the home of producer 2 of the placement is at address 3, expected 0 to 2");
    given.mode = (enum fletch_placement_mode)2;
    refused(&given, "mode of the placement is 2, expected 0 to 1");
    given = push_to(0);
    given.mode = FLETCH_PLACEMENT_PULL;
    refused(&given, "needs producer_homes");
    given.producer_homes = wrong;
    given.partition_owners = wrong;
    refused(&given, "has no partition_owners");
    given.partition_owners = NULL;
    refused(&given, "has a fixed set of producers");
}

static void without_memory_there_is_no_plan(void **state)
{
    static struct failing_allocator failing;
    const struct fletch_placement given = push_to(0);
    struct fletch_placement_plan plan;
    struct fletch_error error;
    (void)state;
    failing_allocator_start(&failing, 1);
    assert_int_equal(fletch_placement_plan_init(&plan, &given, &size, &failing.allocator, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    fletch_placement_plan_deinit(&plan);
    assert_int_equal(failing.live_bytes, 0);
}

static void a_shuffle_knows_who_it_is(void **state)
{
    static const unsigned char id[] = "sixteen bytes id";
    struct fletch_shuffle_id first, second;
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.id = id});
    fletch_shuffle_identity(test.shuffle, &first);
    assert_memory_equal(first.id, id, FLETCH_SHUFFLE_ID_BYTES);
    assert_int_equal(first.epoch, 1);
    test_shuffle_end(&test);
    test = test_shuffle_make(&(struct shuffle_words){.id = NULL});
    fletch_shuffle_identity(test.shuffle, &first);
    test_shuffle_end(&test);
    test = test_shuffle_make(&(struct shuffle_words){.id = NULL});
    fletch_shuffle_identity(test.shuffle, &second);
    test_shuffle_end(&test);
    assert_memory_not_equal(first.id, second.id, FLETCH_SHUFFLE_ID_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_one_everything_is_here),
        cmocka_unit_test(partitions_go_round_unless_their_owners_are_named),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(without_memory_there_is_no_plan),
        cmocka_unit_test(a_shuffle_knows_who_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
