#include <fletching/fletching.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/flight_ends.h"

#define MS_NS UINT64_C(1000000)

enum { LOCATION_BYTES = 64 };

static struct flight_ends ends;
static struct fletch_error error;

static struct fletch_flight_client_counters counters(void)
{
    struct fletch_flight_client_counters found = {.struct_size = sizeof found};
    fletch_flight_client_statistics(ends.client, &found);
    return found;
}

static void start(const struct fletch_flight_client_options *options)
{
    flight_ends_prepare(&ends);
    flight_ends_serve(&ends, NULL, 0);
    assert_ok(flight_ends_connect(&ends, options, &error));
}

static void check_end(struct fletch_flight_stream *stream, const char *status)
{
    assert_string_equal(fletch_status_name(flight_ends_close(stream, &error)), status);
}

static void check_get(const struct fletch_flight_call_options *options)
{
    struct fletch_flight_stream *stream = flight_ends_get(&ends, options, "3");
    assert_int_equal(flight_ends_read(&ends, stream, 10), 3);
    check_end(stream, "OK");
}

/* The location of a port on which nobody listens, as long as `*out_fd` is open. */
static void take_port(char location[LOCATION_BYTES], int *out_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    int one = 1;
    *out_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(*out_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    assert_int_equal(bind(*out_fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(getsockname(*out_fd, (struct sockaddr *)&address, &bytes), 0);
    (void)snprintf(location, LOCATION_BYTES, "grpc://127.0.0.1:%d", ntohs(address.sin_port));
}

static void calls_share_a_connection_which_is_closed_when_it_is_idle(void **state)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .idle_timeout_ns = 50 * MS_NS};
    struct fletch_flight_stream *streams[20];
    (void)state;
    start(&options);
    for (int i = 0; i < 20; i++)
        streams[i] = flight_ends_get(&ends, NULL, "3");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(flight_ends_read(&ends, streams[i], 10), 3);
        check_end(streams[i], "OK");
    }
    assert_int_equal(counters().calls, 20);
    assert_int_equal(counters().connections_free + counters().connections_ready +
                         counters().connections_draining,
                     FLETCH_FLIGHT_CONNECTIONS_DEFAULT);
    assert_true(counters().connections_free >= FLETCH_FLIGHT_CONNECTIONS_DEFAULT - 1);
    while (counters().connections_free != FLETCH_FLIGHT_CONNECTIONS_DEFAULT)
        fletch_thread_yield();
    check_get(NULL); /* it is made again */
    flight_ends_end(&ends);
}

/* More batches than a list has room for at first. */
static void all_of_a_stream_is_read_and_written(void **state)
{
    const struct fletch_flight_descriptor command = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                     .command = {"c", 1}};
    const struct fletch_flight_write_options writing = {.struct_size = sizeof writing,
                                                        .descriptor = &command};
    static const char *const tickets[] = {"0", "1", "16", "17", "100"};
    static const size_t counts[] = {0, 1, 16, 17, 100};
    struct fletch_flight_batches batches, back;
    struct fletch_flight_stream *stream;
    (void)state;
    start(NULL);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        stream = flight_ends_get(&ends, NULL, tickets[i]);
        assert_ok(fletch_flight_stream_read_all(stream, FLETCH_NO_TIMEOUT, &batches, &error));
        check_end(stream, "OK");
        assert_int_equal(batches.count, counts[i]);
        assert_ok(
            fletch_schema_compare(batches.schema, ends.schema, FLETCH_COMPARE_METADATA, &error));
        assert_ok(fletch_flight_client_do_exchange(ends.client, NULL, &command, &stream, &error));
        assert_ok(
            fletch_flight_stream_write_all(stream, FLETCH_NO_TIMEOUT, &batches, NULL, &error));
        fletch_flight_stream_done_writing(stream);
        assert_ok(fletch_flight_stream_read_all(stream, FLETCH_NO_TIMEOUT, &back, &error));
        assert_int_equal(back.count, counts[i]);
        fletch_flight_batches_release(&back);
        check_end(stream, "OK");
        fletch_flight_batches_release(&batches);
        assert_null(batches.batches);
    }
    fletch_flight_batches_release(&batches); /* again: nothing */
    assert_ok(fletch_flight_client_do_put(ends.client, NULL, &stream, &error));
    assert_ok(fletch_flight_stream_write_all(stream, FLETCH_NO_TIMEOUT,
                                             &(struct fletch_flight_batches){.schema = ends.schema},
                                             &writing, &error));
    assert_int_equal(
        fletch_flight_stream_write_all(
            stream, 0, &(struct fletch_flight_batches){.schema = ends.schema}, &writing, &error),
        FLETCH_FAILED_PRECONDITION);
    fletch_flight_stream_done_writing(stream);
    check_end(stream, "OK");
    flight_ends_end(&ends);
}

static void what_is_not_all_of_a_stream_is_not_kept(void **state)
{
    struct fletch_flight_batches batches = {.count = 7};
    struct fletch_flight_stream *stream;
    (void)state;
    start(NULL);
    stream = flight_ends_get(&ends, NULL, "hang");
    assert_int_equal(fletch_flight_stream_read_all(stream, MS_NS, &batches, &error),
                     FLETCH_DEADLINE_EXCEEDED);
    assert_string_equal(error.message, "nothing has come in time");
    fletch_flight_stream_cancel(stream);
    assert_int_equal(fletch_flight_stream_read_all(stream, FLETCH_NO_TIMEOUT, &batches, &error),
                     FLETCH_CANCELLED);
    assert_int_equal(batches.count, 7);
    fletch_flight_stream_close(stream);
    flight_ends_end(&ends);
}

static void puts_and_exchanges_go_both_ways(void **state)
{
    const struct fletch_flight_descriptor command = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                     .command = {"c", 1}};
    const struct fletch_flight_write_options writing = {.struct_size = sizeof writing,
                                                        .descriptor = &command};
    struct fletch_flight_stream *stream;
    const void *message;
    (void)state;
    start(NULL);
    const struct fletch_flight_output output = {.batch = ends.batch, .app_metadata = {"m", 1}};
    assert_ok(fletch_flight_client_do_put(ends.client, NULL, &stream, &error));
    assert_ok(fletch_flight_stream_begin(stream, ends.schema, &writing, &error));
    for (int i = 0; i < 5; i++)
        assert_answer(fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output, &error),
                      FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    for (int i = 0; i < 5; i++) {
        assert_answer(fletch_flight_stream_receive(stream, FLETCH_FLIGHT_PUT_RESULT,
                                                   FLETCH_NO_TIMEOUT, &message, &error),
                      FLETCH_DONE);
        assert_int_equal(((const struct fletch_flight_bytes *)message)->bytes, 1);
        fletch_flight_release(message);
    }
    check_end(stream, "OK");
    assert_ok(fletch_flight_client_do_exchange(ends.client, NULL, &command, &stream, &error));
    assert_ok(fletch_flight_stream_begin(stream, ends.schema, NULL, &error));
    for (int i = 0; i < 5; i++) {
        assert_answer(fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output, &error),
                      FLETCH_DONE);
        assert_int_equal(flight_ends_read(&ends, stream, 1), 1);
    }
    fletch_flight_stream_done_writing(stream);
    check_end(stream, "OK");
    flight_ends_end(&ends);
}

static const char *detail_of; /* the method that `ended` was told of */

static void note_end(void *context, struct fletch_flight_stream *stream,
                     const struct fletch_flight_end *end)
{
    *(enum fletch_status *)context = end->status;
    detail_of = fletch_flight_stream_peer(stream)[0] != '\0' ? "peer" : "";
}

static void calls_with_one_answer_block(void **state)
{
    const char *path[] = {"some"};
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1};
    enum fletch_status told = FLETCH_INTERNAL;
    const struct fletch_flight_call_options options = {
        .struct_size = sizeof options, .ended = note_end, .context = &told};
    const struct fletch_flight_info *info;
    const struct fletch_flight_schema_result *schema;
    (void)state;
    start(NULL);
    assert_ok(
        fletch_flight_client_get_flight_info(ends.client, &options, &descriptor, &info, &error));
    assert_int_equal(info->endpoint_count, 1);
    assert_int_equal(told, FLETCH_OK);
    assert_string_equal(detail_of, "peer");
    fletch_flight_release(info);
    path[0] = "none";
    assert_int_equal(
        fletch_flight_client_get_flight_info(ends.client, NULL, &descriptor, &info, &error),
        FLETCH_INTERNAL);
    assert_int_equal(
        fletch_flight_client_get_schema(ends.client, &options, &descriptor, &schema, &error),
        FLETCH_UNIMPLEMENTED);
    assert_int_equal(told, FLETCH_UNIMPLEMENTED);
    path[0] = "\xff"; /* no UTF-8 */
    assert_int_equal(
        fletch_flight_client_get_flight_info(ends.client, NULL, &descriptor, &info, &error),
        FLETCH_INVALID_ARGUMENT);
    flight_ends_end(&ends);
}

static void a_full_pool_is_waited_for(void **state)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .connection_limit = 1};
    struct flight_ends other;
    (void)state;
    start(&options);
    flight_ends_prepare(&other);
    flight_ends_serve(&other, NULL, 0);
    struct fletch_flight_call_options call = {.struct_size = sizeof call,
                                              .location =
                                                  fletch_flight_server_location(other.server),
                                              .timeout_ns = 50 * MS_NS};
    struct fletch_flight_stream *stream = flight_ends_get(&ends, NULL, "endless");
    assert_int_equal(flight_ends_read(&ends, stream, 1), 1);
    const struct fletch_flight_bytes ticket = {"3", 1};
    struct fletch_flight_stream *second = NULL;
    assert_int_equal(fletch_flight_client_do_get(ends.client, &call, &ticket, &second, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "of 1 slots 0 are free, 0 connecting, 0 paused, 1 ready, 0 ");
    fletch_flight_stream_close(stream);
    call.timeout_ns = 20000 * MS_NS;
    for (int i = 0; i < 4; i++) { /* each closes the other's */
        check_get(&call);
        check_get(NULL);
    }
    fletch_flight_client_destroy(ends.client);
    ends.client = NULL;
    flight_ends_end(&other);
    flight_ends_end(&ends);
}

static void a_location_may_have_several_connections(void **state)
{
    const struct fletch_flight_client_options options = {
        .struct_size = sizeof options, .loop_count = 2, .connections_per_location = 2};
    struct fletch_flight_stream *streams[4];
    (void)state;
    start(&options);
    for (int i = 0; i < 4; i++) {
        streams[i] = flight_ends_get(&ends, NULL, "endless");
        assert_int_equal(flight_ends_read(&ends, streams[i], 1), 1);
    }
    assert_int_equal(counters().connections_ready, 2);
    for (int i = 0; i < 4; i++)
        fletch_flight_stream_close(streams[i]);
    flight_ends_end(&ends);
}

static void calls_beyond_the_servers_limit_wait_for_others(void **state)
{
    struct fletch_flight_stream *streams[5];
    (void)state;
    flight_ends_prepare(&ends);
    flight_ends_serve(&ends, NULL, 1);
    assert_ok(flight_ends_connect(&ends, NULL, &error));
    check_get(NULL); /* its limit is known from here on */
    for (int i = 0; i < 5; i++)
        streams[i] = flight_ends_get(&ends, NULL, "3");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(flight_ends_read(&ends, streams[i], 10), 3);
        check_end(streams[i], "OK");
    }
    flight_ends_end(&ends);
}

static void who_waits_for_a_connection_can_be_cancelled(void **state)
{
    struct fletch_flight_call_options call = {.struct_size = sizeof call, .waits_for_ready = true};
    char location[LOCATION_BYTES];
    int fd;
    (void)state;
    start(NULL);
    take_port(location, &fd);
    call.location = location;
    struct fletch_flight_stream *stream = flight_ends_get(&ends, &call, "3");
    fletch_flight_stream_cancel(stream);
    check_end(stream, "CANCELLED");
    fletch_flight_stream_close(flight_ends_get(&ends, &call, "3"));
    call.timeout_ns = 50 * MS_NS;
    stream = flight_ends_get(&ends, &call, "3");
    assert_int_equal(flight_ends_read(&ends, stream, 1), 0);
    check_end(stream, "DEADLINE_EXCEEDED");
    assert_contains(error.message, "no connection to '127.0.0.1:");
    call.waits_for_ready = false;
    check_end(flight_ends_get(&ends, &call, "3"), "UNAVAILABLE");
    assert_contains(error.message, "not connected: ");
    stream = flight_ends_get(&ends, &call, "3"); /* left for the client's end to close */
    fletch_flight_stream_close(stream);
    close(fd);
    flight_ends_end(&ends);
}

static void a_server_that_comes_late_is_waited_for(void **state)
{
    struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                   .backoff_first_ns = 10 * MS_NS,
                                                   .backoff_most_ns = 20 * MS_NS};
    const struct fletch_flight_call_options call = {
        .struct_size = sizeof call, .waits_for_ready = true, .timeout_ns = 20000 * MS_NS};
    char location[LOCATION_BYTES];
    int fd;
    (void)state;
    flight_ends_prepare(&ends);
    take_port(location, &fd);
    options.location = location;
    assert_ok(flight_ends_connect(&ends, &options, &error));
    struct fletch_flight_stream *stream = flight_ends_get(&ends, &call, "3");
    check_end(flight_ends_get(&ends, NULL, "3"), "UNAVAILABLE");
    close(fd);
    flight_ends_serve(&ends, location, 0);
    assert_int_equal(flight_ends_read(&ends, stream, 10), 3);
    check_end(stream, "OK");
    check_get(NULL);
    flight_ends_end(&ends);
}

static void a_server_that_is_destroyed_ends_its_calls(void **state)
{
    char location[LOCATION_BYTES];
    struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                   .backoff_first_ns = 10 * MS_NS,
                                                   .backoff_most_ns = 20 * MS_NS};
    const struct fletch_flight_call_options call = {
        .struct_size = sizeof call, .waits_for_ready = true, .timeout_ns = 20000 * MS_NS};
    (void)state;
    start(&options);
    (void)snprintf(location, sizeof location, "%s", fletch_flight_server_location(ends.server));
    struct fletch_flight_stream *stream = flight_ends_get(&ends, NULL, "hang");
    while (atomic_load(&ends.hanging) == 0)
        fletch_thread_yield();
    fletch_flight_server_destroy(ends.server);
    ends.server = NULL;
    assert_int_equal(flight_ends_read(&ends, stream, 1), 0);
    check_end(stream, "UNAVAILABLE");
    flight_ends_serve(&ends, location, 0);
    check_get(&call);
    flight_ends_end(&ends);
}

static void deadlines_end_calls_at_both_sides(void **state)
{
    const struct fletch_flight_call_options call = {.struct_size = sizeof call,
                                                    .timeout_ns = 50 * MS_NS};
    (void)state;
    start(NULL);
    struct fletch_flight_stream *stream = flight_ends_get(&ends, &call, "hang");
    assert_int_equal(flight_ends_read(&ends, stream, 1), 0);
    check_end(stream, "DEADLINE_EXCEEDED");
    while (atomic_load(&ends.hanging) != 0)
        fletch_thread_yield();
    flight_ends_end(&ends);
}

static void locations_of_an_endpoint_are_tried_in_turn(void **state)
{
    char dead[LOCATION_BYTES];
    int fd;
    (void)state;
    start(NULL);
    take_port(dead, &fd);
    const char *locations[] = {"grpc+tls://127.0.0.1:1", dead, FLETCH_FLIGHT_REUSE_CONNECTION};
    struct fletch_flight_endpoint endpoint = {
        .ticket = {"3", 1}, .locations = locations, .location_count = 3};
    struct fletch_flight_stream *stream;
    assert_ok(fletch_flight_client_do_get_endpoint(ends.client, NULL, &endpoint, &stream, &error));
    assert_int_equal(flight_ends_read(&ends, stream, 10), 3);
    check_end(stream, "OK");
    endpoint.location_count = 2;
    assert_int_equal(
        fletch_flight_client_do_get_endpoint(ends.client, NULL, &endpoint, &stream, &error),
        FLETCH_UNAVAILABLE);
    endpoint.location_count = 0;
    assert_ok(fletch_flight_client_do_get_endpoint(ends.client, NULL, &endpoint, &stream, &error));
    check_end(stream, "OK");
    close(fd);
    flight_ends_end(&ends);
}

/* With a pool of its own, which goes with it. */
static void a_client_needs_no_options(void **state)
{
    struct fletch_flight_client *own = NULL;
    struct fletch_flight_stream *stream;
    struct fletch_flight_data data;
    const struct fletch_flight_bytes ticket = {"1", 1};
    (void)state;
    start(NULL);
    const struct fletch_flight_call_options call = {
        .struct_size = sizeof call, .location = fletch_flight_server_location(ends.server)};
    assert_ok(fletch_flight_client_create(NULL, &own, &error));
    assert_int_equal(fletch_flight_client_do_get(own, NULL, &ticket, &stream, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_ok(fletch_flight_client_do_get(own, &call, &ticket, &stream, &error));
    assert_answer(fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, &error), FLETCH_DONE);
    fletch_batch_release(NULL, data.batch);
    check_end(stream, "OK");
    fletch_flight_client_destroy(own);
    flight_ends_end(&ends);
}

static void options_are_checked(void **state)
{
    static const struct {
        const char *location;
        enum fletch_status status;
        const char *text;
    } wrong[] = {
        {"grpc+tls://h:1", FLETCH_UNIMPLEMENTED, "TLS"},
        {"grpc://h", FLETCH_INVALID_ARGUMENT, "'grpc://h'"},
        {"grpc://h:0", FLETCH_INVALID_ARGUMENT, "grpc://host:port"},
        {"grpc://:1", FLETCH_INVALID_ARGUMENT, "grpc://host:port"},
        {"grpc://h:1/path", FLETCH_INVALID_ARGUMENT, "grpc://host:port"},
        {"grpc+unix:", FLETCH_INVALID_ARGUMENT, "grpc+unix"},
        {"", FLETCH_INVALID_ARGUMENT, "location ''"},
    };
    struct fletch_flight_client_options options = {.struct_size = sizeof options};
    (void)state;
    flight_ends_prepare(&ends);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.location = wrong[i].location;
        assert_int_equal(flight_ends_connect(&ends, &options, &error), wrong[i].status);
        assert_contains(error.message, wrong[i].text);
    }
    options = (struct fletch_flight_client_options){.struct_size = sizeof options,
                                                    .message_limit_bytes = SIZE_MAX};
    assert_int_equal(flight_ends_connect(&ends, &options, &error), FLETCH_INVALID_ARGUMENT);
    options = (struct fletch_flight_client_options){.struct_size = sizeof options,
                                                    .connection_limit = 1000000};
    assert_int_equal(flight_ends_connect(&ends, &options, &error), FLETCH_INVALID_ARGUMENT);
    options.connection_limit = 0;
    assert_ok(flight_ends_connect(&ends, &options, &error));
    const struct fletch_flight_bytes ticket = {"3", 1};
    struct fletch_flight_stream *stream;
    assert_int_equal(fletch_flight_client_do_get(ends.client, NULL, &ticket, &stream, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "location");
    const struct fletch_flight_header header = {"grpc-timeout", "1S", 2};
    const struct fletch_flight_call_options call = {.struct_size = sizeof call,
                                                    .location = "grpc://127.0.0.1:1",
                                                    .headers = &header,
                                                    .header_count = 1};
    assert_int_equal(fletch_flight_client_do_get(ends.client, &call, &ticket, &stream, &error),
                     FLETCH_INVALID_ARGUMENT);
    flight_ends_end(&ends);
}

static void headers_beyond_the_limit_refuse_their_call_alone(void **state)
{
    static char value[20000];
    const struct fletch_flight_bytes ticket = {"3", 1};
    struct fletch_flight_stream *stream;
    const struct fletch_flight_header header = {"x-long", value, sizeof value};
    const struct fletch_flight_call_options call = {
        .struct_size = sizeof call, .headers = &header, .header_count = 1};
    (void)state;
    memset(value, 'x', sizeof value);
    start(NULL);
    check_get(NULL);
    assert_string_equal(fletch_status_name(fletch_flight_client_do_get(ends.client, &call, &ticket,
                                                                       &stream, &error)),
                        "RESOURCE_EXHAUSTED");
    assert_contains(error.message, "of 20000 bytes: all of a call have at most 8192");
    check_get(NULL);
    flight_ends_end(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_share_a_connection_which_is_closed_when_it_is_idle),
        cmocka_unit_test(all_of_a_stream_is_read_and_written),
        cmocka_unit_test(what_is_not_all_of_a_stream_is_not_kept),
        cmocka_unit_test(puts_and_exchanges_go_both_ways),
        cmocka_unit_test(calls_with_one_answer_block),
        cmocka_unit_test(a_full_pool_is_waited_for),
        cmocka_unit_test(a_location_may_have_several_connections),
        cmocka_unit_test(calls_beyond_the_servers_limit_wait_for_others),
        cmocka_unit_test(who_waits_for_a_connection_can_be_cancelled),
        cmocka_unit_test(a_server_that_comes_late_is_waited_for),
        cmocka_unit_test(a_server_that_is_destroyed_ends_its_calls),
        cmocka_unit_test(deadlines_end_calls_at_both_sides),
        cmocka_unit_test(headers_beyond_the_limit_refuse_their_call_alone),
        cmocka_unit_test(locations_of_an_endpoint_are_tried_in_turn),
        cmocka_unit_test(a_client_needs_no_options),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
