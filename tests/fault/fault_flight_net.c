#include <errno.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/failing_net.h"
#include "support/flight_scene.h"
#include "support/random_batches.h"

/* Whole calls of Flight, two at a time on one connection, with the n-th call of the system failing
 * beneath client or server, for each n until there is none: each call ends once; what ends well is
 * complete and undamaged, what does not says why; the next ones are answered, on another connection
 * where that one was lost; and every buffer, block and descriptor comes back. */

enum { TRIES_MOST = 3000, BATCHES = 3, ROWS = 100, CALLS = 6, AT_ONCE = 2 };

static struct flight_scene scene;
static struct failing_net net;
static struct failing_allocator counting;
static struct fletch_error error;

static const char *const addresses[] = {"127.0.0.1:0", "unix:@fletch-fault-flight"};

/* ---- calls ---- */

struct going {
    struct fletch_flight_stream *stream;
    enum fletch_flight_method_id id;
    uint32_t written; /* batches */
    uint32_t read;    /* messages */
    bool has_begun;
    bool is_done_writing;
    bool is_over;
    struct fletch_error end;
};

static bool writes(const struct going *going)
{
    return going->id == FLETCH_FLIGHT_METHOD_DO_PUT ||
           going->id == FLETCH_FLIGHT_METHOD_DO_EXCHANGE;
}

static uint32_t expected_messages(enum fletch_flight_method_id id)
{
    return id == FLETCH_FLIGHT_METHOD_DO_ACTION || id == FLETCH_FLIGHT_METHOD_GET_SCHEMA ? 1
                                                                                         : BATCHES;
}

/* What a call begins with. Where it is lost already, this fails, and its end says so. */
static void say_first(struct going *going)
{
    static const struct fletch_flight_bytes ticket = {"t", 1};
    static const struct fletch_flight_action action = {"echo", {"body", 4}};
    static const struct fletch_flight_descriptor command = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND, .command = {"c", 1}};
    static const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                               .descriptor = &command};
    struct fletch_schema *schema =
        (struct fletch_schema *)(uintptr_t)fletch_batch_schema(scene.batch);
    enum fletch_flight_message kind = FLETCH_FLIGHT_DESCRIPTOR;
    const void *message = &command;
    if (going->id == FLETCH_FLIGHT_METHOD_DO_GET) {
        kind = FLETCH_FLIGHT_TICKET;
        message = &ticket;
    } else if (going->id == FLETCH_FLIGHT_METHOD_DO_ACTION) {
        kind = FLETCH_FLIGHT_ACTION;
        message = &action;
    }
    if (writes(going))
        going->has_begun =
            fletch_flight_stream_begin(going->stream, schema, &options, &error) == FLETCH_OK;
    else
        going->has_begun =
            fletch_flight_stream_send(going->stream, kind, message, 0, &error) == FLETCH_DONE;
}

static void write_some(struct going *going)
{
    const struct fletch_flight_output output = {.batch = scene.batch, .app_metadata = {"m", 1}};
    enum fletch_answer answer = FLETCH_DONE;
    if (going->is_done_writing)
        return;
    while (writes(going) && going->written < BATCHES && answer == FLETCH_DONE) {
        answer = fletch_flight_stream_write(going->stream, 0, &output, &error);
        going->written += answer == FLETCH_DONE;
    }
    if (answer == FLETCH_FULL)
        return;
    fletch_flight_stream_done_writing(going->stream);
    going->is_done_writing = true;
}

static enum fletch_answer read_batch(struct going *going)
{
    struct fletch_flight_data data;
    enum fletch_answer answer = fletch_flight_stream_read(going->stream, 0, &data, &going->end);
    if (answer != FLETCH_DONE)
        return answer;
    assert_true(batches_equal(data.batch, scene.batch));
    fletch_batch_release(scene.rpc.pool.cache, data.batch);
    return FLETCH_DONE;
}

static enum fletch_answer read_message(struct going *going)
{
    enum fletch_flight_message kind = FLETCH_FLIGHT_SCHEMA_RESULT;
    const void *made;
    if (going->id == FLETCH_FLIGHT_METHOD_DO_PUT)
        kind = FLETCH_FLIGHT_PUT_RESULT;
    else if (going->id == FLETCH_FLIGHT_METHOD_DO_ACTION)
        kind = FLETCH_FLIGHT_RESULT;
    enum fletch_answer answer =
        fletch_flight_stream_receive(going->stream, kind, 0, &made, &going->end);
    if (answer != FLETCH_DONE)
        return answer;
    if (kind == FLETCH_FLIGHT_RESULT)
        assert_memory_equal(((const struct fletch_flight_bytes *)made)->data, "body", 4);
    else if (kind == FLETCH_FLIGHT_PUT_RESULT)
        assert_memory_equal(((const struct fletch_flight_bytes *)made)->data, "m", 1);
    else
        assert_non_null(((const struct fletch_flight_schema_result *)made)->schema);
    fletch_flight_release(made);
    return FLETCH_DONE;
}

static void read_some(struct going *going)
{
    bool has_batches =
        going->id == FLETCH_FLIGHT_METHOD_DO_GET || going->id == FLETCH_FLIGHT_METHOD_DO_EXCHANGE;
    enum fletch_answer answer = FLETCH_DONE;
    while (!going->is_over && answer == FLETCH_DONE) {
        answer = has_batches ? read_batch(going) : read_message(going);
        going->read += answer == FLETCH_DONE;
        going->is_over = answer == FLETCH_CLOSED;
    }
}

/* Whether it went well. */
static bool check_end(struct going *going)
{
    const struct fletch_flight_end end = flight_scene_wait(&scene, going->stream);
    bool is_whole = going->end.status == FLETCH_OK;
    assert_int_equal(end.status, going->end.status);
    if (is_whole) {
        assert_true(going->has_begun);
        assert_int_equal(going->read, expected_messages(going->id));
        assert_int_equal(going->written, writes(going) ? BATCHES : 0);
    } else {
        assert_string_equal(fletch_status_name(going->end.status), "UNAVAILABLE");
        assert_true(strlen(going->end.message) > 10);
        assert_true(going->read <= expected_messages(going->id));
    }
    fletch_flight_stream_close(going->stream);
    return is_whole;
}

/* Returns how many of these calls went well. */
static uint32_t call_at_once(const enum fletch_flight_method_id *ids)
{
    struct going going[AT_ONCE];
    uint32_t over = 0;
    uint32_t whole = 0;
    for (int i = 0; i < AT_ONCE; i++) {
        going[i] = (struct going){.id = ids[i], .stream = flight_scene_call(&scene, ids[i], 0)};
        assert_non_null(going[i].stream);
        say_first(&going[i]);
    }
    while (over != AT_ONCE) {
        flight_scene_turn(&scene);
        over = 0;
        for (int i = 0; i < AT_ONCE; i++) {
            write_some(&going[i]);
            read_some(&going[i]);
            over += going[i].is_over;
        }
    }
    for (int i = 0; i < AT_ONCE; i++)
        whole += check_end(&going[i]);
    return whole;
}

static uint32_t call_all(void)
{
    static const enum fletch_flight_method_id ids[CALLS] = {
        FLETCH_FLIGHT_METHOD_DO_GET,    FLETCH_FLIGHT_METHOD_DO_PUT,
        FLETCH_FLIGHT_METHOD_DO_ACTION, FLETCH_FLIGHT_METHOD_DO_EXCHANGE,
        FLETCH_FLIGHT_METHOD_DO_PUT,    FLETCH_FLIGHT_METHOD_GET_SCHEMA,
    };
    uint32_t whole = 0;
    for (int i = 0; i < CALLS; i += AT_ONCE)
        whole += call_at_once(ids + i);
    return whole;
}

/* ---- runs ---- */

static void use_larger_batch(void)
{
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_buffer_cache *cache = scene.rpc.pool.cache;
    struct fletch_batch *larger = random_batch(
        &random, cache, (struct fletch_schema *)(uintptr_t)fletch_batch_schema(scene.batch), ROWS);
    fletch_batch_release(cache, scene.batch);
    scene.batch = larger;
}

/* True: everything was answered. */
static bool run(const char *address)
{
    uint64_t fail_at = net.fail_at;
    net.fail_at = 0; /* the loop cannot be without its calls */
    failing_allocator_start(&counting, 0);
    flight_scene_prepare_with(&scene, &counting.allocator, &net.io);
    use_larger_batch();
    scene.address = address;
    scene.count = BATCHES;
    net.counted = 0;
    net.fail_at = fail_at;
    bool is_started = flight_scene_start(&scene);
    uint32_t whole = is_started ? call_all() : 0;
    if (is_started)
        assert_true(whole >= CALLS - AT_ONCE); /* those of one connection */
    flight_scene_end(&scene);
    assert_int_equal(net.descriptors, 0);
    assert_int_equal(counting.live_bytes, 0);
    return whole == CALLS;
}

static void fail_each(const char *address, uint32_t calls, int number, bool is_harmless)
{
    for (uint64_t n = 1; n < TRIES_MOST; n++) {
        failing_net_start(&net);
        net.calls = calls;
        net.fail_at = n;
        net.number = number;
        bool is_whole = run(address);
        if (is_harmless || net.failures == 0)
            assert_true(is_whole);
        if (net.failures == 0) {
            assert_true(n > 2);
            return;
        }
    }
    fail_msg("there are more than %d calls", TRIES_MOST);
}

enum { DATA_CALLS = NET_RECEIVE | NET_SEND };

static void interruptions_change_nothing(void **state)
{
    (void)state;
    fail_each(addresses[0], DATA_CALLS | NET_ACCEPT | NET_CONNECT | NET_POLL_WAIT, EINTR, true);
    fail_each(addresses[1], DATA_CALLS | NET_ACCEPT | NET_POLL_WAIT, EINTR, true);
}

static void nothing_yet_is_waited_for(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++)
        fail_each(addresses[a], DATA_CALLS | NET_ACCEPT, EAGAIN, true);
}

static void short_transfers_change_nothing(void **state)
{
    static const size_t most[] = {700, 4096, 60000};
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
            failing_net_start(&net);
            net.most_bytes = most[i];
            assert_true(run(addresses[a]));
        }
    }
}

static void small_socket_buffers_change_nothing(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        for (int bytes = 6000; bytes < 60000; bytes += 18000) {
            failing_net_start(&net);
            net.socket_bytes = bytes; /* EAGAIN all the time, to both sides */
            assert_true(run(addresses[a]));
        }
    }
}

static void a_lost_connection_is_made_again(void **state)
{
    static const int numbers[] = {ECONNRESET, ENOMEM};
    (void)state;
    for (size_t a = 0; a < 2; a++)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            fail_each(addresses[a], DATA_CALLS, numbers[i], false);
}

static void what_cannot_be_made_says_so(void **state)
{
    const uint32_t calls = NET_OPEN | NET_BIND | NET_LISTEN | NET_CONNECT | NET_PENDING_ERROR |
                           NET_SHUT_SENDING | NET_POLL_ADD;
    static const int numbers[] = {EMFILE, ECONNREFUSED};
    (void)state;
    for (size_t a = 0; a < 2; a++)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            fail_each(addresses[a], calls, numbers[i], false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interruptions_change_nothing),
        cmocka_unit_test(nothing_yet_is_waited_for),
        cmocka_unit_test(short_transfers_change_nothing),
        cmocka_unit_test(small_socket_buffers_change_nothing),
        cmocka_unit_test(a_lost_connection_is_made_again),
        cmocka_unit_test(what_cannot_be_made_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
