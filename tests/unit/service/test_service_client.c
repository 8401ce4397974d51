#include <string.h>

#include "support/cmocka_tests.h"
#include "support/service_scene.h"

/* Shuffles of another process, and what is known of them: here the other process is this one. */

static struct fletch_error error;
static struct service_scene scene;
static struct fletch_transport *transport; /* the client's */
static struct fletch_shuffle_client *client;

static void begin(void)
{
    const struct shuffle_words words = {.partitions = 2, .transport_bytes = 64 << 20};
    service_scene_begin(&scene, &words, NULL);
    assert_ok(fletch_transport_create(NULL, NULL, &transport, &error));
    assert_ok(fletch_shuffle_client_create(transport, NULL, &client, &error));
}

static void end(void)
{
    fletch_shuffle_client_destroy(client);
    assert_ok(fletch_transport_destroy(transport, &error));
    service_scene_end(&scene);
}

static struct fletch_shuffle_address address_of(const char *name)
{
    return (struct fletch_shuffle_address){fletch_shuffle_server_location(scene.server),
                                           {name, strlen(name)}};
}

static enum fletch_status create(const char *name, size_t bytes, uint32_t hold_open)
{
    const uint32_t keys[] = {1, 0};
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = 5,
                                                           .key_columns = keys,
                                                           .key_column_count = 2};
    const struct fletch_shuffle_options options = {
        .struct_size = sizeof options,
        .name = name,
        .name_bytes = bytes,
        .schema = scene.shuffles.schema,
        .partitioner = &partitioner,
        .producer_count = hold_open != 0 ? 0 : 3,
        .producer_limit = hold_open != 0 ? 4 : 0,
        .hold_open = hold_open,
        .budget_bytes = 4 << 20,
        .retention = FLETCH_RETENTION_UNTIL_CLOSE,
        .sums = FLETCH_SUMS_ROWS,
    };
    return fletch_shuffle_client_create_shuffle(
        client, fletch_shuffle_server_location(scene.server), &options, 0, &error);
}

static void a_shuffle_is_what_it_was_to_be(void **state)
{
    struct fletch_shuffle_reports found;
    (void)state;
    begin();
    const struct fletch_shuffle_address address = address_of("far away");
    assert_ok(create("far away", 8, 0));
    assert_ok(fletch_shuffle_client_report(client, &address, 0, &found, &error));
    assert_int_equal(found.count, 1);
    const struct fletch_shuffle_report *report = found.reports;
    assert_string_equal(report->shown, "far away");
    assert_int_equal(report->name.byte_count, 8);
    assert_int_equal(report->name_hash, fletch_shuffle_name_hash(address.name));
    assert_string_equal(report->state, "OPEN");
    assert_string_equal(report->method, "hash");
    assert_int_equal(report->key_count, 2);
    assert_string_equal(report->keys[0], "v");
    assert_int_equal(report->partition_count, 5);
    assert_int_equal(report->producers, 3);
    assert_false(report->is_open);
    assert_int_equal(report->retention, FLETCH_RETENTION_UNTIL_CLOSE);
    assert_int_equal(report->sums, FLETCH_SUMS_ROWS);
    assert_int_equal(report->statistics.budget_bytes, 4 << 20);
    assert_int_equal(report->statistics.producers_open, 3);
    assert_int_equal(report->partitions[4].state, FLETCH_PARTITION_REGISTERED);
    fletch_shuffle_reports_release(found);
    assert_ok(fletch_shuffle_client_end(client, &address, 0, &error));
    assert_ok(fletch_shuffle_client_report(client, &address, 0, &found, &error));
    assert_string_equal(found.reports->state, "COMPLETE");
    assert_int_equal(found.reports->partitions[0].state, FLETCH_PARTITION_EMPTY);
    fletch_shuffle_reports_release(found);
    assert_ok(fletch_shuffle_client_drop(client, &address, 0, &error));
    assert_int_equal(fletch_shuffle_client_drop(client, &address, 0, &error), FLETCH_NOT_FOUND);
    assert_memory_equal(error.message, "UNKNOWN", 7);
    end();
}

static void reports_of_all_are_short(void **state)
{
    struct fletch_shuffle_reports found;
    const struct fletch_shuffle_address all = {NULL, {NULL, 0}};
    struct fletch_shuffle_address here = all;
    size_t seen = 0;
    (void)state;
    begin();
    here.location = fletch_shuffle_server_location(scene.server);
    assert_ok(create("\x00\xff", 2, 1));
    assert_ok(fletch_shuffle_client_report(client, &here, 0, &found, &error));
    assert_int_equal(found.count, 2);
    for (size_t i = 0; i < found.count; i++) {
        const struct fletch_shuffle_report *report = &found.reports[i];
        assert_null(report->partitions);
        if (report->name.byte_count != 2)
            continue;
        seen++;
        assert_memory_equal(report->name.bytes, "\x00\xff", 2);
        assert_string_equal(report->shown, "\\x00\\xff");
        assert_true(report->is_open);
        assert_int_equal(report->producers, 0);
        assert_int_equal(report->producer_limit, 3);
    }
    assert_int_equal(seen, 1);
    fletch_shuffle_reports_release(found);
    assert_ok(fletch_shuffle_client_drop(
        client, &(struct fletch_shuffle_address){here.location, {"\x00\xff", 2}}, 0, &error));
    end();
}

static void a_cancel_is_heard_with_its_reason(void **state)
{
    struct fletch_shuffle_reports found;
    (void)state;
    begin();
    const struct fletch_shuffle_address address = address_of("test");
    assert_ok(fletch_shuffle_client_cancel(client, &address, "no \"more\"", 0, &error));
    assert_ok(fletch_shuffle_client_report(client, &address, 0, &found, &error));
    assert_string_equal(found.reports->state, "CANCELLED: no \"more\"");
    assert_int_equal(found.reports->partitions[0].state, FLETCH_PARTITION_CANCELLED);
    fletch_shuffle_reports_release(found);
    assert_int_equal(fletch_shuffle_client_end(client, &address, 0, &error), FLETCH_CANCELLED);
    end();
}

static void what_cannot_be_asked_for(void **state)
{
    const struct fletch_shuffle_address nowhere = {"grpc://127.0.0.1:1", {"test", 4}};
    const struct fletch_shuffle_client_options bad = {.struct_size = 1};
    struct fletch_shuffle_client *none = NULL;
    (void)state;
    begin();
    assert_int_equal(fletch_shuffle_client_create(transport, &bad, &none, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_int_equal(fletch_shuffle_client_drop(client, &nowhere, 0, &error), FLETCH_UNAVAILABLE);
    assert_ok(create("there", 5, 0));
    assert_int_equal(create("there", 5, 0), FLETCH_ALREADY_EXISTS);
    assert_int_equal(create("", 0, 0), FLETCH_INVALID_ARGUMENT);
    const struct fletch_shuffle_address there = address_of("there");
    assert_ok(fletch_shuffle_client_drop(client, &there, 0, &error));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shuffle_is_what_it_was_to_be),
        cmocka_unit_test(reports_of_all_are_short),
        cmocka_unit_test(a_cancel_is_heard_with_its_reason),
        cmocka_unit_test(what_cannot_be_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
