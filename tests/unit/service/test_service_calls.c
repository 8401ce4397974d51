#include <stdio.h>
#include <string.h>

#include "shuffle/transport.h"
#include "support/cmocka_tests.h"
#include "support/service_scene.h"

/* Calls of the service beside writers and readers of its own process: events, tickets, ends that
 * were verified or not, and calls that wait in crowds. */

#define SECOND_NS UINT64_C(1000000000)

enum { CROWD = 200, FULL = 8 };

static struct fletch_error error;
static struct service_scene scene;

static void end_writer(struct fletch_shuffle_writer *writer)
{
    assert_ok(fletch_shuffle_writer_end(writer, 10 * SECOND_NS, &error));
    fletch_shuffle_writer_close(writer);
}

/* Reads to the end; rows, and all app metadata one behind the other. */
static uint64_t read_all(struct fletch_flight_stream *stream, char text[256])
{
    struct fletch_flight_data data;
    uint64_t rows = 0;
    size_t bytes = 0;
    while (fletch_flight_stream_read(stream, 20 * SECOND_NS, &data, &error) == FLETCH_DONE) {
        assert_non_null(data.batch);
        rows += (uint64_t)fletch_batch_row_count(data.batch);
        assert_true(bytes + data.app_metadata.bytes < 256);
        if (data.app_metadata.bytes > 0)
            memcpy(text + bytes, data.app_metadata.data, data.app_metadata.bytes);
        bytes += data.app_metadata.bytes;
        fletch_batch_release(NULL, data.batch);
    }
    text[bytes] = '\0';
    return rows;
}

static void write_events(void)
{
    struct fletch_shuffle_writer *writer = writer_open(&scene.shuffles, 0);
    rows_write(&scene.shuffles, writer, 100);
    assert_ok(fletch_shuffle_writer_barrier(writer, 7, SECOND_NS, &error));
    rows_write(&scene.shuffles, writer, 50);
    assert_ok(fletch_shuffle_writer_watermark(writer, -5, SECOND_NS, &error));
    end_writer(writer);
}

static void events_come_to_who_asks_for_them(void **state)
{
    const struct shuffle_words words = {.partitions = 1, .schema = "k=l v=u"};
    const char *const expected[] = {"", "{\"barrier\": 7}{\"watermark\": -5}"};
    char ticket[64], text[256];
    (void)state;
    for (int asks = 0; asks < 2; asks++) {
        service_scene_begin(&scene, &words, NULL);
        struct fletch_flight_stream *stream = service_scene_get(
            &scene, service_scene_ticket(ticket, 0), asks == 1 ? "fletch-events" : NULL);
        write_events();
        assert_int_equal(read_all(stream, text), 150);
        /* The end of all producers may come as a watermark above all, too. */
        text[strlen(expected[asks])] = '\0';
        assert_string_equal(text, expected[asks]);
        const struct fletch_flight_header *verified =
            fletch_flight_stream_header(stream, "fletch-verified");
        assert_non_null(verified);
        assert_string_equal(verified->value, "keys");
        assert_string_equal(fletch_flight_stream_header(stream, "fletch-rows")->value, "150");
        assert_int_equal(service_scene_close(stream, &error), FLETCH_OK);
        service_scene_end(&scene);
    }
}

static void a_put_without_sums_leaves_its_partitions_unverified(void **state)
{
    const struct shuffle_words words = {.partitions = 1};
    char ticket[64], text[256];
    (void)state;
    service_scene_begin(&scene, &words, NULL);
    struct fletch_batch *batch = batch_make(&scene.shuffles, 40);
    struct fletch_flight_stream *put = service_scene_put(&scene, "test", scene.shuffles.schema);
    const struct fletch_flight_output output = {.batch = batch};
    assert_int_equal(fletch_flight_stream_write(put, SECOND_NS, &output, &error), FLETCH_DONE);
    fletch_batch_release(NULL, batch);
    fletch_flight_stream_done_writing(put);
    assert_int_equal(service_scene_close(put, &error), FLETCH_OK);
    struct fletch_flight_stream *get =
        service_scene_get(&scene, service_scene_ticket(ticket, 0), NULL);
    assert_int_equal(read_all(get, text), 40);
    assert_string_equal(fletch_flight_stream_header(get, "fletch-verified")->value, "off");
    assert_int_equal(service_scene_close(get, &error), FLETCH_OK);
    service_scene_end(&scene);
}

static bool read_own(void *context, const struct fletch_flight_bytes *ticket,
                     struct fletch_shuffle_ticket *out_ticket)
{
    if (ticket->bytes != 5 || memcmp(ticket->data, "magic", 5) != 0)
        return false;
    *out_ticket = (struct fletch_shuffle_ticket){.name = {context, 4}, .partition = 1};
    return true;
}

static void tickets_in_other_words(void **state)
{
    const struct shuffle_words words = {.partitions = 2};
    char name[] = "test", text[256];
    const struct fletch_ticket_dialect dialect = {read_own, name};
    const struct fletch_shuffle_server_options options = {
        .struct_size = sizeof options, .dialects = &dialect, .dialect_count = 1};
    (void)state;
    service_scene_begin(&scene, &words, &options);
    end_writer(writer_open(&scene.shuffles, 0));
    struct fletch_flight_stream *stream =
        service_scene_get(&scene, (struct fletch_flight_bytes){"magic", 5}, NULL);
    assert_int_equal(read_all(stream, text), 0);
    assert_int_equal(service_scene_close(stream, &error), FLETCH_OK);
    stream = service_scene_get(&scene, (struct fletch_flight_bytes){"1:0", 3}, NULL);
    assert_int_equal(service_scene_close(stream, &error), FLETCH_INVALID_ARGUMENT);
    assert_memory_equal(error.message, "INVALID_ARGUMENT: '1:0' names no shuffle", 40);
    service_scene_end(&scene);
}

static void a_hash_that_fits_two_shuffles_is_ambiguous(void **state)
{
    const struct shuffle_words words = {.partitions = 2};
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = 2,
                                                           .method = FLETCH_PARTITION_ROUND_ROBIN};
    struct fletch_shuffle *others[2];
    (void)state;
    service_scene_begin(&scene, &words, NULL);
    scene.shuffles.transport->name_hash_mask = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                       .name = i == 0 ? "a" : "b",
                                                       .name_bytes = 1,
                                                       .schema = scene.shuffles.schema,
                                                       .budget_bytes = 1 << 20,
                                                       .partitioner = &partitioner};
        assert_ok(fletch_shuffle_register(scene.shuffles.transport, &options, &others[i], &error));
        struct fletch_flight_stream *stream =
            service_scene_get(&scene, (struct fletch_flight_bytes){"77:1", 4}, NULL);
        if (i == 0) {
            fletch_shuffle_cancel(others[0], "seen");
            assert_int_equal(service_scene_close(stream, &error), FLETCH_CANCELLED);
        } else {
            assert_int_equal(service_scene_close(stream, &error), FLETCH_INVALID_ARGUMENT);
            assert_non_null(strstr(error.message, "ambiguous: 2 shuffles"));
        }
    }
    for (size_t i = 0; i < 2; i++) {
        fletch_shuffle_close(others[i]);
        fletch_shuffle_release(others[i]);
    }
    scene.shuffles.transport->name_hash_mask = UINT64_MAX;
    service_scene_end(&scene);
}

/* Puts to a shuffle that nobody reads, until they have no credit. */
static struct fletch_shuffle *fill(struct fletch_flight_stream *puts[FULL],
                                   struct fletch_batch *batch)
{
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = 1,
                                                           .method = FLETCH_PARTITION_ROUND_ROBIN};
    const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                   .name = "full",
                                                   .name_bytes = 4,
                                                   .schema = scene.shuffles.schema,
                                                   .budget_bytes = 1 << 20,
                                                   .producer_count = FULL,
                                                   .partitioner = &partitioner};
    const struct fletch_flight_output output = {.batch = batch};
    struct fletch_partition_statistics found = {.struct_size = sizeof found};
    struct fletch_shuffle *shuffle = NULL;
    assert_ok(fletch_shuffle_register(scene.shuffles.transport, &options, &shuffle, &error));
    for (uint32_t i = 0; i < FULL; i++) {
        puts[i] = service_scene_put(&scene, "full", scene.shuffles.schema);
        for (int batches = 0; batches < 8; batches++)
            (void)!fletch_flight_stream_write(puts[i], SECOND_NS / 10, &output, &error);
    }
    while (found.waiting_producers == 0)
        assert_ok(fletch_shuffle_partition_statistics(shuffle, 0, &found, &error));
    return shuffle;
}

/* One loop, no worker: gets that wait for producers and puts that wait for credit keep nobody from
 * going on. */
static void crowds_that_wait_keep_nobody_back(void **state)
{
    const struct shuffle_words words = {.partitions = CROWD,
                                        .producers = 2,
                                        .transport_bytes = 256 << 20,
                                        .budget_bytes = 32 << 20};
    struct fletch_flight_stream *gets[CROWD], *puts[FULL];
    char ticket[64], text[256];
    uint64_t rows = 0;
    (void)state;
    service_scene_begin(&scene, &words, NULL);
    struct fletch_batch *batch = batch_make(&scene.shuffles, 10000);
    struct fletch_shuffle *full = fill(puts, batch);
    for (uint32_t p = 0; p < CROWD; p++)
        gets[p] = service_scene_get(&scene, service_scene_ticket(ticket, p), NULL);
    const struct fletch_flight_output output = {.batch = batch};
    for (int i = 0; i < 2; i++) {
        struct fletch_flight_stream *put = service_scene_put(&scene, "test", scene.shuffles.schema);
        assert_int_equal(fletch_flight_stream_write(put, SECOND_NS, &output, &error), FLETCH_DONE);
        fletch_flight_stream_done_writing(put);
        assert_int_equal(service_scene_close(put, &error), FLETCH_OK);
    }
    fletch_batch_release(NULL, batch);
    for (uint32_t p = 0; p < CROWD; p++) {
        rows += read_all(gets[p], text);
        assert_int_equal(service_scene_close(gets[p], &error), FLETCH_OK);
    }
    assert_int_equal(rows, 20000);
    fletch_shuffle_cancel(full, "nobody came");
    for (uint32_t i = 0; i < FULL; i++)
        assert_int_equal(service_scene_close(puts[i], &error), FLETCH_CANCELLED);
    fletch_shuffle_close(full);
    fletch_shuffle_release(full);
    service_scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_to_who_asks_for_them),
        cmocka_unit_test(a_put_without_sums_leaves_its_partitions_unverified),
        cmocka_unit_test(tickets_in_other_words),
        cmocka_unit_test(a_hash_that_fits_two_shuffles_is_ambiguous),
        cmocka_unit_test(crowds_that_wait_keep_nobody_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
