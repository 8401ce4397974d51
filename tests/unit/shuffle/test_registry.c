#include "shuffle/registry.h"

#include <string.h>

#include "base/thread.h"
#include "shuffle/specification.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/schemas.h"
#include "support/team.h"

/* Registering, finding, closing; the numbers that are refused, and those that are made up. */

static struct fletch_transport *transport;
static struct fletch_schema *schema;
static const uint32_t first_column[] = {0};
static struct fletch_partitioner_options partitioner;

static int make(void **state)
{
    const struct fletch_transport_options options = {.struct_size = sizeof options,
                                                     .budget_bytes = UINT64_C(1) << 26};
    (void)state;
    partitioner = (struct fletch_partitioner_options){.struct_size = sizeof partitioner,
                                                      .partition_count = 4,
                                                      .key_columns = first_column,
                                                      .key_column_count = 1};
    schema = schema_new("k=l v=u");
    return fletch_transport_create(&options, NULL, &transport, NULL) == FLETCH_OK ? 0 : -1;
}

static int end(void **state)
{
    struct fletch_error error;
    (void)state;
    fletch_schema_release(schema);
    if (fletch_transport_destroy(transport, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return 0;
}

static struct fletch_shuffle_options options_of(const char *name)
{
    return (struct fletch_shuffle_options){.struct_size = sizeof(struct fletch_shuffle_options),
                                           .name = name,
                                           .name_bytes = strlen(name),
                                           .schema = schema,
                                           .partitioner = &partitioner};
}

static struct fletch_shuffle *register_one(const char *name)
{
    struct fletch_shuffle_options options = options_of(name);
    struct fletch_shuffle *shuffle = NULL;
    struct fletch_error error;
    if (fletch_shuffle_register(transport, &options, &shuffle, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return shuffle;
}

static void end_one(struct fletch_shuffle *shuffle)
{
    fletch_shuffle_close(shuffle);
    fletch_shuffle_release(shuffle);
}

static struct fletch_shuffle_name name_of(const char *name)
{
    return (struct fletch_shuffle_name){.bytes = name, .byte_count = strlen(name)};
}

static enum fletch_status find(const char *name, struct fletch_shuffle **out_shuffle)
{
    return fletch_shuffle_find(transport, name_of(name), 0, out_shuffle, NULL);
}

static void expect_refused(const struct fletch_shuffle_options *options, enum fletch_status status,
                           const char *part)
{
    struct fletch_shuffle *shuffle = NULL;
    struct fletch_error error;
    assert_string_equal(
        fletch_status_name(fletch_shuffle_register(transport, options, &shuffle, &error)),
        fletch_status_name(status));
    assert_contains(error.message, part);
    assert_null(shuffle);
}

/* ---- options ---- */

static void what_is_missing_is_named(void **state)
{
    (void)state;
    struct fletch_shuffle_options options = options_of("a");
    options.name = NULL;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "name");
    options = options_of("");
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "name_bytes is 0, expected 1 to 255");
    options = options_of("a");
    options.schema = NULL;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "schema");
    options = options_of("a");
    options.partitioner = NULL;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "partitioner");
}

static void a_number_that_cannot_be_is_named_with_its_limits(void **state)
{
    (void)state;
    struct fletch_shuffle_options options = options_of("a");
    options.producer_count = FLETCH_PRODUCERS_MAX + 1;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "producer_count is 65537, expected 1 to");
    options = options_of("a");
    options.producer_count = 5;
    options.producer_limit = 4;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "producer_limit is 4, expected 5 to 65536");
    options = options_of("a");
    options.frame_bytes = 4095;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT,
                   "frame_bytes is 4095, expected 4096 to 67108864");
    options = options_of("a");
    options.sums = 5;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "sums is 5, expected 1 to 4");
    options = options_of("a");
    options.retention = 2;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "retention is 2, expected 0 to 1");
    options = options_of("a");
    options.barrier_limit = 65;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "barrier_limit is 65, expected 1 to 64");
    options = options_of("a");
    options.strict_schema = 2;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "strict_schema is 2, expected 0 to 1");
    options = options_of("a");
    options.budget_bytes = (UINT64_C(1) << 26) + 1;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "budget_bytes is 67108865, expected 1 to");
}

static void what_the_partitioner_refuses_is_refused(void **state)
{
    (void)state;
    struct fletch_shuffle_options options = options_of("a");
    struct fletch_partitioner_options wrong = partitioner;
    const uint32_t columns[] = {2};
    wrong.key_columns = columns;
    options.partitioner = &wrong;
    expect_refused(&options, FLETCH_INVALID_ARGUMENT, "column 2, the schema has 2");
}

/* Any bytes are a name: messages show all of it, and no control character. */
static void names_are_shown_whatever_bytes_they_have(void **state)
{
    (void)state;
    static const char name[] = "a\0b\n'\\\xff \xc3\xa4 \xc2\x85";
    struct fletch_shuffle_options options = options_of("x");
    struct fletch_shuffle *shuffle = NULL, *other = NULL;
    struct fletch_error error;
    options.name = name;
    options.name_bytes = sizeof name - 1;
    assert_ok(fletch_shuffle_register(transport, &options, &shuffle, NULL));
    expect_refused(&options, FLETCH_ALREADY_EXISTS,
                   "'a\\x00b\\x0a\\x27\\\\\\xff \xc3\xa4 \\xc2\\x85'");
    fletch_shuffle_cancel(shuffle, NULL);
    assert_int_equal(
        fletch_shuffle_reader_open(shuffle, NULL, &(struct fletch_shuffle_reader *){0}, &error),
        FLETCH_CANCELLED);
    assert_contains(error.message, "shuffle 'a\\x00b\\x0a");
    end_one(shuffle);
    const struct fletch_shuffle_name sought = {.bytes = name, .byte_count = sizeof name - 1};
    assert_int_equal(fletch_shuffle_find(transport, sought, 0, &other, &error), FLETCH_NOT_FOUND);
    assert_contains(error.message, "no shuffle 'a\\x00b\\x0a");
}

static void a_long_name_is_cut_between_what_is_shown(void **state)
{
    (void)state;
    char name[FLETCH_SHUFFLE_NAME_BYTES_MAX];
    memset(name, 'n', sizeof name);
    assert_int_equal(strlen(fletch_name_show(name, sizeof name).text), sizeof name);
    memset(name, 1, sizeof name);
    struct fletch_name_text shown = fletch_name_show(name, sizeof name);
    assert_string_equal(shown.text + strlen(shown.text) - 7, "\\x01...");
    assert_true(strlen(shown.text) < sizeof shown.text);
    assert_string_equal(fletch_name_show(NULL, 0).text, "");
}

static void a_spill_directory_must_be_there(void **state)
{
    (void)state;
    struct fletch_shuffle_options options = options_of("a");
    options.spill_directory = "/nowhere/at/all";
    expect_refused(&options, FLETCH_NOT_FOUND, "/nowhere/at/all");
}

/* 4 KiB · P · (2 + producers) */
static void a_budget_below_the_minimum_is_refused_with_the_numbers(void **state)
{
    (void)state;
    struct fletch_shuffle_options options = options_of("a");
    options.producer_count = 3;
    options.budget_bytes = 4096 * 4 * 5 - 1;
    expect_refused(&options, FLETCH_RESOURCE_EXHAUSTED,
                   "81919 bytes is below the minimum of 81920");
    options.budget_bytes++;
    struct fletch_shuffle *shuffle = NULL;
    assert_ok(fletch_shuffle_register(transport, &options, &shuffle, NULL));
    assert_int_equal(fletch_shuffle_frame_bytes(shuffle), 4096);
    end_one(shuffle);
    options.frame_bytes = 8192;
    expect_refused(&options, FLETCH_RESOURCE_EXHAUSTED, "minimum of 163840");
}

/* The power of two below min(256 KiB, budget / (8 · producers · P)). */
static void the_frame_follows_from_the_budget(void **state)
{
    (void)state;
    struct fletch_shuffle_options options = options_of("a");
    struct fletch_shuffle *shuffle = NULL;
    options.producer_count = 2;
    options.budget_bytes = UINT64_C(1) << 22;
    assert_ok(fletch_shuffle_register(transport, &options, &shuffle, NULL));
    assert_int_equal(fletch_shuffle_frame_bytes(shuffle), 65536);
    end_one(shuffle);
    options.budget_bytes = UINT64_C(3) << 21;
    assert_ok(fletch_shuffle_register(transport, &options, &shuffle, NULL));
    assert_int_equal(fletch_shuffle_frame_bytes(shuffle), 65536); /* not 98,304 */
    end_one(shuffle);
    options.budget_bytes = UINT64_C(1) << 26;
    assert_ok(fletch_shuffle_register(transport, &options, &shuffle, NULL));
    assert_int_equal(fletch_shuffle_frame_bytes(shuffle), 256 << 10);
    end_one(shuffle);
}

static void the_budget_is_divided(void **state)
{
    (void)state;
    struct fletch_shuffle *shuffle = register_one("a");
    struct fletch_budget_split split = fletch_specification_split(&shuffle->specification);
    uint64_t budget = shuffle->specification.budget_bytes;
    assert_in_range(split.frame_bytes, shuffle->specification.frame_bytes,
                    shuffle->specification.frame_bytes * 5 / 4 + 4096);
    assert_int_equal(split.owned_bytes, 8 * split.frame_bytes);
    assert_int_equal(split.retained_bytes, 0);
    assert_true(split.writer_bytes >= 6 * split.frame_bytes);
    assert_in_range(split.pool_bytes, 1, budget - split.owned_bytes - split.writer_bytes);
    end_one(shuffle);
}

static void what_was_given_is_copied(void **state)
{
    (void)state;
    uint32_t columns[] = {0};
    char name[] = "copied";
    struct fletch_partitioner_options own = partitioner;
    own.key_columns = columns;
    struct fletch_shuffle_options options = options_of(name);
    options.partitioner = &own;
    struct fletch_shuffle *shuffle = NULL, *found = NULL;
    assert_ok(fletch_shuffle_register(transport, &options, &shuffle, NULL));
    columns[0] = 77;
    name[0] = 'x';
    assert_int_equal(shuffle->specification.partitioner.key_columns[0], 0);
    assert_ok(find("copied", &found));
    assert_ptr_equal(found, shuffle);
    fletch_shuffle_release(found);
    assert_ptr_equal(fletch_shuffle_schema(shuffle), schema);
    assert_int_equal(fletch_shuffle_partition_count(shuffle), 4);
    end_one(shuffle);
}

/* ---- names ---- */

static void a_name_is_taken_once(void **state)
{
    (void)state;
    struct fletch_shuffle *shuffle = register_one("a");
    struct fletch_shuffle_options options = options_of("a");
    expect_refused(&options, FLETCH_ALREADY_EXISTS, "'a' is registered already");
    end_one(shuffle);
    end_one(register_one("a")); /* and free again */
}

static void a_name_is_any_bytes(void **state)
{
    (void)state;
    struct fletch_shuffle_options options = options_of("a");
    const char with_nul[] = {'a', '\0', 'b'}, other[] = {'a', '\0', 'c'};
    struct fletch_shuffle *shuffle = NULL, *found = NULL;
    options.name = with_nul;
    options.name_bytes = 3;
    assert_ok(fletch_shuffle_register(transport, &options, &shuffle, NULL));
    struct fletch_shuffle_name name = {with_nul, 3}, no_name = {other, 3};
    assert_ok(fletch_shuffle_find(transport, name, 0, &found, NULL));
    assert_ptr_equal(found, shuffle);
    fletch_shuffle_release(found);
    assert_int_equal(fletch_shuffle_find(transport, no_name, 0, &found, NULL), FLETCH_NOT_FOUND);
    assert_int_equal(find("a", &found), FLETCH_NOT_FOUND);
    end_one(shuffle);
}

static void names_of_equal_hashes_both_work(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    struct fletch_shuffle *shuffles[3], *found = NULL;
    transport->name_hash_mask = 0;
    for (int i = 0; i < 3; i++)
        shuffles[i] = register_one(names[i]);
    struct fletch_shuffle_options options = options_of("c");
    expect_refused(&options, FLETCH_ALREADY_EXISTS, "'c'");
    end_one(shuffles[0]); /* its place is empty: those behind it are found all the same */
    for (int i = 1; i < 3; i++) {
        assert_ok(find(names[i], &found));
        assert_ptr_equal(found, shuffles[i]);
        fletch_shuffle_release(found);
    }
    expect_refused(&options, FLETCH_ALREADY_EXISTS, "'c'");
    assert_int_equal(find("a", &found), FLETCH_NOT_FOUND);
    end_one(shuffles[1]);
    end_one(shuffles[2]);
    transport->name_hash_mask = UINT64_MAX;
}

static void too_many_names_of_one_hash_are_refused(void **state)
{
    (void)state;
    struct fletch_shuffle *shuffles[FLETCH_NAME_PROBES];
    char name[] = "name of ?";
    transport->name_hash_mask = 0;
    for (int i = 0; i < FLETCH_NAME_PROBES; i++) {
        name[8] = (char)('a' + i);
        shuffles[i] = register_one(name);
    }
    struct fletch_shuffle_options options = options_of("one more");
    expect_refused(&options, FLETCH_RESOURCE_EXHAUSTED, "16 shuffles have names of the same hash");
    for (int i = 0; i < FLETCH_NAME_PROBES; i++)
        end_one(shuffles[i]);
    transport->name_hash_mask = UINT64_MAX;
}

static void a_name_nobody_registered_is_unknown(void **state)
{
    (void)state;
    struct fletch_shuffle *found = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_shuffle_find(transport, name_of("nobody"), 0, &found, &error),
                     FLETCH_NOT_FOUND);
    assert_contains(error.message, "UNKNOWN: no shuffle 'nobody'");
    assert_int_equal(fletch_shuffle_find(transport, name_of("nobody"), 1000000, &found, &error),
                     FLETCH_DEADLINE_EXCEEDED);
    assert_contains(error.message, "UNKNOWN");
    const struct fletch_shuffle_name none = {NULL, 0};
    assert_int_equal(fletch_shuffle_find(transport, none, 0, &found, NULL), FLETCH_NOT_FOUND);
}

static enum fletch_status waited;

static void wait_for_late(void *context)
{
    struct fletch_shuffle *found = NULL;
    (void)context;
    waited = fletch_shuffle_find(transport, name_of("late"), UINT64_C(20000000000), &found, NULL);
    fletch_shuffle_release(found);
}

static void who_looks_for_a_name_waits_until_it_comes(void **state)
{
    (void)state;
    struct team team;
    const struct team_role roles[] = {{wait_for_late, NULL}};
    team_start(&team, roles, 1);
    struct fletch_shuffle *early = register_one("early");
    struct fletch_shuffle *late = register_one("late");
    team_join(&team);
    assert_ok(waited);
    end_one(early);
    end_one(late);
}

enum { RIVALS = 4, ROUNDS = 200 };

static struct rival {
    enum fletch_status status;
    struct fletch_shuffle *shuffle;
} rivals[RIVALS];

static void register_contended(void *context)
{
    struct rival *rival = context;
    struct fletch_shuffle_options options = options_of("contended");
    rival->shuffle = NULL;
    rival->status = fletch_shuffle_register(transport, &options, &rival->shuffle, NULL);
}

/* Also where another name of the same hash comes and goes before them. */
static void of_many_who_register_a_name_one_succeeds(void **state)
{
    (void)state;
    struct team_role roles[RIVALS];
    for (int i = 0; i < RIVALS; i++)
        roles[i] = (struct team_role){register_contended, &rivals[i]};
    transport->name_hash_mask = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct fletch_shuffle *first = register_one("first");
        struct team team;
        int successes = 0;
        team_start(&team, roles, RIVALS);
        end_one(first);
        team_join(&team);
        for (int i = 0; i < RIVALS; i++) {
            successes += rivals[i].status == FLETCH_OK;
            assert_true(rivals[i].status == FLETCH_OK || rivals[i].status == FLETCH_ALREADY_EXISTS);
            if (rivals[i].shuffle != NULL)
                end_one(rivals[i].shuffle);
        }
        assert_int_equal(successes, 1);
    }
    transport->name_hash_mask = UINT64_MAX;
}

/* ---- partitions, closing ---- */

static void partitions_are_found_in_the_store(void **state)
{
    (void)state;
    struct fletch_shuffle *shuffle = register_one("a");
    struct fletch_epoch_seat *seat = fletch_transport_borrow_seat(transport, NULL);
    for (uint32_t p = 0; p < 4; p++)
        assert_ptr_equal(fletch_registry_partition(shuffle, seat->reader, p),
                         &shuffle->partitions[p]);
    assert_null(fletch_registry_partition(shuffle, seat->reader, 4));
    fletch_shuffle_close(shuffle);
    assert_null(fletch_registry_partition(shuffle, seat->reader, 0));
    fletch_transport_return_seat(transport, seat);
    fletch_shuffle_release(shuffle);
}

static void closing_is_idempotent_and_cancels(void **state)
{
    (void)state;
    struct fletch_shuffle *shuffle = register_one("a"), *found = NULL;
    struct fletch_error error;
    fletch_shuffle_close(shuffle);
    fletch_shuffle_close(shuffle);
    assert_int_equal(find("a", &found), FLETCH_NOT_FOUND);
    assert_int_equal(fletch_shuffle_check(shuffle, &error), FLETCH_CANCELLED);
    assert_contains(error.message, "CANCELLED: shuffle 'a': the shuffle was closed");
    fletch_shuffle_release(shuffle);
}

static void the_first_reason_stays(void **state)
{
    (void)state;
    struct fletch_shuffle *shuffle = register_one("a");
    struct fletch_error error;
    fletch_shuffle_cancel(shuffle, "enough");
    fletch_shuffle_cancel(shuffle, "too much");
    fletch_shuffle_close(shuffle);
    assert_int_equal(fletch_shuffle_check(shuffle, &error), FLETCH_CANCELLED);
    assert_contains(error.message, "CANCELLED: shuffle 'a': enough");
    fletch_shuffle_release(shuffle);
    shuffle = register_one("a");
    fletch_shuffle_cancel(shuffle, NULL);
    assert_int_equal(fletch_shuffle_check(shuffle, &error), FLETCH_CANCELLED);
    assert_string_equal(error.message, "CANCELLED: shuffle 'a'");
    end_one(shuffle);
}

static void a_transport_in_use_is_not_destroyed(void **state)
{
    (void)state;
    struct fletch_shuffle *shuffle = register_one("in use");
    struct fletch_error error;
    assert_int_equal(fletch_transport_destroy(transport, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "1 shuffles are registered or in use, 'in use' among them");
    end_one(shuffle);
}

static void a_transports_numbers_are_checked(void **state)
{
    (void)state;
    struct fletch_transport_options options = {.struct_size = sizeof options,
                                               .budget_bytes = FLETCH_BUDGET_BYTES_MAX + 1};
    struct fletch_transport *none = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_transport_create(&options, NULL, &none, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "budget_bytes");
    options.budget_bytes = 20000;
    options.delivered_bytes = 20000;
    assert_int_equal(fletch_transport_create(&options, NULL, &none, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message,
                    "delivered_bytes is 20000, expected less than the budget of 20000");
    assert_ok(fletch_transport_create(NULL, NULL, &none, &error));
    assert_ok(fletch_transport_destroy(none, &error));
    assert_ok(fletch_transport_destroy(NULL, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(a_number_that_cannot_be_is_named_with_its_limits),
        cmocka_unit_test(what_the_partitioner_refuses_is_refused),
        cmocka_unit_test(a_spill_directory_must_be_there),
        cmocka_unit_test(names_are_shown_whatever_bytes_they_have),
        cmocka_unit_test(a_long_name_is_cut_between_what_is_shown),
        cmocka_unit_test(a_budget_below_the_minimum_is_refused_with_the_numbers),
        cmocka_unit_test(the_frame_follows_from_the_budget),
        cmocka_unit_test(the_budget_is_divided),
        cmocka_unit_test(what_was_given_is_copied),
        cmocka_unit_test(a_name_is_taken_once),
        cmocka_unit_test(a_name_is_any_bytes),
        cmocka_unit_test(names_of_equal_hashes_both_work),
        cmocka_unit_test(too_many_names_of_one_hash_are_refused),
        cmocka_unit_test(a_name_nobody_registered_is_unknown),
        cmocka_unit_test(who_looks_for_a_name_waits_until_it_comes),
        cmocka_unit_test(of_many_who_register_a_name_one_succeeds),
        cmocka_unit_test(partitions_are_found_in_the_store),
        cmocka_unit_test(closing_is_idempotent_and_cancels),
        cmocka_unit_test(the_first_reason_stays),
        cmocka_unit_test(a_transport_in_use_is_not_destroyed),
        cmocka_unit_test(a_transports_numbers_are_checked),
    };
    return cmocka_run_group_tests(tests, make, end);
}
