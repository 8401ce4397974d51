#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* A put of one batch, with words that are not of the service before and behind its schema. */
static void app_metadata_of_puts_is_passed_over(void **state)
{
    const struct shuffle_words words = {.partitions = 1};
    const char *const path[] = {"test"};
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1};
    const struct fletch_flight_output first = {.app_metadata = {"first", 5},
                                               .descriptor = &descriptor};
    const struct fletch_flight_output alone = {.app_metadata = {"alone", 5}};
    struct fletch_flight_stream *put = NULL;
    char ticket[64], text[256];
    (void)state;
    service_scene_begin(&scene, &words, NULL);
    struct fletch_batch *batch = batch_make(&scene.shuffles, 30);
    const struct fletch_flight_output output = {.batch = batch};
    assert_ok(fletch_flight_client_do_put(scene.client, NULL, &put, &error));
    assert_int_equal(fletch_flight_stream_write(put, SECOND_NS, &first, &error), FLETCH_DONE);
    assert_ok(fletch_flight_stream_begin(put, scene.shuffles.schema, NULL, &error));
    assert_int_equal(fletch_flight_stream_write(put, SECOND_NS, &alone, &error), FLETCH_DONE);
    assert_int_equal(fletch_flight_stream_write(put, SECOND_NS, &output, &error), FLETCH_DONE);
    fletch_batch_release(NULL, batch);
    fletch_flight_stream_done_writing(put);
    assert_int_equal(service_scene_close(put, &error), FLETCH_OK);
    struct fletch_flight_stream *get =
        service_scene_get(&scene, service_scene_ticket(ticket, 0), NULL);
    assert_int_equal(read_all(get, text), 30);
    assert_int_equal(service_scene_close(get, &error), FLETCH_OK);
    service_scene_end(&scene);
}

/* Nobody need write or read to hear of it. */
static void calls_that_do_nothing_hear_of_a_cancel(void **state)
{
    const struct shuffle_words words = {.partitions = 1, .producers = 2};
    struct fletch_flight_stream *puts[2];
    char ticket[64];
    (void)state;
    service_scene_begin(&scene, &words, NULL);
    struct fletch_batch *batch = batch_make(&scene.shuffles, 9);
    const struct fletch_flight_output output = {.batch = batch};
    for (int i = 0; i < 2; i++)
        puts[i] = service_scene_put(&scene, "test", scene.shuffles.schema);
    assert_int_equal(fletch_flight_stream_write(puts[1], SECOND_NS, &output, &error), FLETCH_DONE);
    fletch_batch_release(NULL, batch);
    while (shuffle_statistics(&scene.shuffles).rows_written == 0)
        continue;
    struct fletch_flight_stream *get =
        service_scene_get(&scene, service_scene_ticket(ticket, 0), NULL);
    (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    fletch_shuffle_cancel(scene.shuffles.shuffle, "enough");
    for (int i = 0; i < 2; i++)
        assert_int_equal(service_scene_close(puts[i], &error), FLETCH_CANCELLED);
    assert_int_equal(service_scene_close(get, &error), FLETCH_CANCELLED);
    assert_string_equal(error.message, "CANCELLED: shuffle 'test': enough");
    service_scene_end(&scene);
}

/* ---- hooks ---- */

struct diary {
    char text[1024]; /* on the one loop */
    size_t bytes;
};

static void note(void *user, const struct fletch_service_notice *notice)
{
    static const char *const kinds[] = {"created",   "dropped",   "cancelled", "put begun",
                                        "put ended", "get begun", "get ended", "refused"};
    struct diary *diary = user;
    assert_true(strlen(notice->peer) > 0);
    diary->bytes += (size_t)snprintf(diary->text + diary->bytes, sizeof diary->text - diary->bytes,
                                     "%s %s %d %d;", kinds[notice->kind], notice->shuffle,
                                     (int)notice->rows, (int)notice->status);
}

static enum fletch_status guard(void *user, struct fletch_flight_stream *stream, const char *method,
                                struct fletch_error *cause)
{
    (void)user;
    if (strcmp(method, "DoGet") != 0 || fletch_flight_stream_header(stream, "secret") != NULL)
        return FLETCH_OK;
    (void)snprintf(cause->message, sizeof cause->message, "UNAUTHENTICATED: who are you?");
    return cause->status = FLETCH_UNAUTHENTICATED;
}

static void hooks_are_told_and_asked(void **state)
{
    const struct shuffle_words words = {.partitions = 1};
    static struct diary diary;
    const struct fletch_shuffle_server_options options = {
        .struct_size = sizeof options, .authenticate = guard, .notice = note, .user = &diary};
    char ticket[64], text[256];
    (void)state;
    service_scene_begin(&scene, &words, &options);
    struct fletch_flight_stream *get =
        service_scene_get(&scene, service_scene_ticket(ticket, 0), NULL);
    assert_int_equal(service_scene_close(get, &error), FLETCH_UNAUTHENTICATED);
    struct fletch_flight_stream *put = service_scene_put(&scene, "nobody", scene.shuffles.schema);
    fletch_flight_stream_done_writing(put);
    assert_int_equal(service_scene_close(put, &error), FLETCH_NOT_FOUND);
    put = service_scene_put(&scene, "test", scene.shuffles.schema);
    struct fletch_batch *batch = batch_make(&scene.shuffles, 9);
    const struct fletch_flight_output output = {.batch = batch};
    assert_int_equal(fletch_flight_stream_write(put, SECOND_NS, &output, &error), FLETCH_DONE);
    fletch_batch_release(NULL, batch);
    fletch_flight_stream_done_writing(put);
    assert_int_equal(service_scene_close(put, &error), FLETCH_OK);
    service_scene_settle(&scene);
    get = service_scene_get(&scene, service_scene_ticket(ticket, 0), "secret");
    assert_int_equal(read_all(get, text), 9);
    assert_int_equal(service_scene_close(get, &error), FLETCH_OK);
    service_scene_end(&scene);
    assert_string_equal(diary.text, "refused  0 5;put begun test 0 0;put ended test 9 0;"
                                    "get begun test 0 0;get ended test 9 0;");
}

/* ---- tickets ---- */

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

/* Partitions of a shuffle that processes share are got where they live. */
static void infos_say_where_partitions_live(void **state)
{
    const struct shuffle_words words = {.partitions = 1};
    const char *const path[] = {"spread"};
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1};
    const struct fletch_flight_info *info = NULL;
    struct fletch_shuffle *shuffle = NULL;
    (void)state;
    service_scene_begin(&scene, &words, NULL);
    const char *const addresses[] = {"grpc://127.0.0.1:1",
                                     fletch_shuffle_server_location(scene.server)};
    const struct fletch_placement placement = {
        .struct_size = sizeof placement, .addresses = addresses, .address_count = 2, .self = 1};
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = 2,
                                                           .method = FLETCH_PARTITION_ROUND_ROBIN};
    const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                   .name = "spread",
                                                   .name_bytes = 6,
                                                   .schema = scene.shuffles.schema,
                                                   .budget_bytes = 4 << 20,
                                                   .partitioner = &partitioner,
                                                   .placement = &placement};
    assert_ok(fletch_shuffle_register(scene.shuffles.transport, &options, &shuffle, &error));
    assert_ok(fletch_flight_client_get_flight_info(scene.client, NULL, &descriptor, &info, &error));
    assert_int_equal(info->endpoint_count, 2);
    assert_int_equal(info->endpoints[0].location_count, 1);
    assert_string_equal(info->endpoints[0].locations[0], "grpc://127.0.0.1:1");
    assert_int_equal(info->endpoints[1].location_count, 0);
    fletch_flight_release(info);
    struct fletch_flight_stream *stream =
        service_scene_get(&scene, (struct fletch_flight_bytes){"0@spread", 8}, NULL);
    assert_int_equal(service_scene_close(stream, &error), FLETCH_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, "grpc://127.0.0.1:1"));
    fletch_shuffle_close(shuffle);
    fletch_shuffle_release(shuffle);
    service_scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_to_who_asks_for_them),
        cmocka_unit_test(a_put_without_sums_leaves_its_partitions_unverified),
        cmocka_unit_test(app_metadata_of_puts_is_passed_over),
        cmocka_unit_test(calls_that_do_nothing_hear_of_a_cancel),
        cmocka_unit_test(hooks_are_told_and_asked),
        cmocka_unit_test(tickets_in_other_words),
        cmocka_unit_test(a_hash_that_fits_two_shuffles_is_ambiguous),
        cmocka_unit_test(infos_say_where_partitions_live),
        cmocka_unit_test(crowds_that_wait_keep_nobody_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
