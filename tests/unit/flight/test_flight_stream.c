#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/flight_scene.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Streams of client and server on one loop: what comes over, how it ends, and what is left. */

#define MS_NS UINT64_C(1000000)

static struct flight_scene scene;
static struct fletch_error error;

static int start(void **state)
{
    (void)state;
    flight_scene_prepare(&scene, NULL);
    assert_true(flight_scene_start(&scene));
    return 0;
}

static int end(void **state)
{
    (void)state;
    flight_scene_end(&scene);
    return 0;
}

static const struct fletch_flight_bytes ticket = {"t", 1};
static const struct fletch_flight_descriptor command = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                        .command = {"c", 1}};

static struct fletch_schema *batch_schema(void)
{
    return (struct fletch_schema *)(uintptr_t)fletch_batch_schema(scene.batch);
}

static struct fletch_flight_stream *get(uint64_t timeout_ns)
{
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_GET, timeout_ns);
    assert_answer(fletch_flight_stream_send(stream, FLETCH_FLIGHT_TICKET, &ticket, 0, &error),
                  FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    return stream;
}

static struct fletch_flight_stream *begin(enum fletch_flight_method_id id)
{
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .descriptor = &command};
    struct fletch_flight_stream *stream = flight_scene_call(&scene, id, 0);
    assert_ok(fletch_flight_stream_begin(stream, batch_schema(), &options, &error));
    return stream;
}

static void read_all(struct fletch_flight_stream *stream, uint32_t count)
{
    struct fletch_flight_data data;
    for (uint32_t i = 0; i < count; i++) {
        assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_DONE);
        assert_true(batches_equal(data.batch, scene.batch));
        assert_int_equal(((const char *)data.app_metadata.data)[0], '0' + i % 10);
        fletch_batch_release(scene.rpc.pool.cache, data.batch);
    }
    assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_CLOSED);
    assert_ok(error.status);
}

/* ---- data ---- */

static void test_get(void **state)
{
    struct fletch_schema *schema;
    (void)state;
    struct fletch_flight_stream *stream = get(0);
    assert_answer(fletch_flight_stream_schema(stream, 0, &schema, &error), FLETCH_EMPTY);
    read_all(stream, 3);
    assert_answer(fletch_flight_stream_schema(stream, 0, &schema, &error), FLETCH_DONE);
    assert_ok(fletch_schema_compare(batch_schema(), schema, FLETCH_COMPARE_METADATA, &error));
    assert_ok(flight_scene_wait(&scene, stream).status);
    fletch_flight_stream_close(stream);
}

/* ---- a schema goes first ---- */

static enum fletch_status found; /* by a handler, and the text */
static char found_text[sizeof error.message];

static enum fletch_status find(enum fletch_status status, const struct fletch_error *cause)
{
    found = status;
    memcpy(found_text, cause->message, sizeof found_text);
    return FLETCH_OK;
}

static enum fletch_status get_metadata_alone(void *user, struct fletch_flight_stream *stream,
                                             const struct fletch_flight_bytes *asked,
                                             struct fletch_error *cause)
{
    const struct fletch_flight_output output = {.app_metadata = {"m", 1}};
    (void)user;
    (void)asked;
    enum fletch_answer answer = fletch_flight_stream_write(stream, 0, &output, cause);
    return find(answer == FLETCH_CLOSED ? cause->status : FLETCH_OK, cause);
}

static enum fletch_status get_finished_at_once(void *user, struct fletch_flight_stream *stream,
                                               const struct fletch_flight_bytes *asked,
                                               struct fletch_error *cause)
{
    const struct fletch_flight_end end = {.status = FLETCH_OK};
    (void)user;
    (void)asked;
    return find(fletch_flight_stream_finish(stream, &end, cause), cause);
}

static void test_get_without_a_schema(void **state)
{
    (void)state;
    struct fletch_flight_data data;
    for (int i = 0; i < 2; i++) {
        scene.service.handlers.do_get = i == 0 ? get_metadata_alone : get_finished_at_once;
        struct fletch_flight_stream *stream = get(0);
        assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_CLOSED);
        assert_int_equal(error.status, FLETCH_INTERNAL);
        assert_string_equal(error.message, "INTERNAL: DoGet ended without a schema");
        assert_int_equal(flight_scene_wait(&scene, stream).status, FLETCH_INTERNAL);
        fletch_flight_stream_close(stream);
        assert_int_equal(found, i == 0 ? FLETCH_FAILED_PRECONDITION : FLETCH_INTERNAL);
        assert_contains(found_text, i == 0 ? "before the stream was begun" : "without a schema");
    }
}

/* App metadata of an exchange may come before: who asks for the schema is told to read it. */
static void test_metadata_before_the_schema(void **state)
{
    (void)state;
    const struct fletch_flight_output alone = {.app_metadata = {"m", 1}, .descriptor = &command};
    const struct fletch_flight_output output = {.batch = scene.batch};
    struct fletch_flight_data data;
    struct fletch_schema *schema = NULL;
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_EXCHANGE, 0);
    assert_answer(flight_scene_write(&scene, stream, &alone, &error), FLETCH_DONE);
    assert_ok(fletch_flight_stream_begin(stream, batch_schema(), NULL, &error));
    assert_answer(flight_scene_write(&scene, stream, &output, &error), FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    enum fletch_answer answer = FLETCH_EMPTY;
    for (int i = 0; i < 100 && answer == FLETCH_EMPTY; i++) {
        flight_scene_turn(&scene);
        answer = fletch_flight_stream_schema(stream, 0, &schema, &error);
    }
    for (int i = 0; i < 2; i++) { /* it goes on saying so */
        assert_answer(answer, FLETCH_CLOSED);
        assert_int_equal(error.status, FLETCH_FAILED_PRECONDITION);
        assert_contains(error.message, "app metadata came before the schema");
        answer = fletch_flight_stream_schema(stream, FLETCH_NO_TIMEOUT, &schema, &error);
    }
    assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_DONE);
    assert_null(data.batch);
    assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_DONE);
    fletch_batch_release(scene.rpc.pool.cache, data.batch);
    assert_answer(fletch_flight_stream_schema(stream, 0, &schema, &error), FLETCH_DONE);
    assert_non_null(schema);
    assert_ok(flight_scene_wait(&scene, stream).status);
    fletch_flight_stream_close(stream);
}

static void test_all_of_what_has_no_schema(void **state)
{
    (void)state;
    const struct fletch_flight_output output = {.descriptor = &command};
    struct fletch_flight_batches batches;
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_EXCHANGE, 0);
    assert_answer(flight_scene_write(&scene, stream, &output, &error), FLETCH_DONE);
    assert_int_equal(fletch_flight_stream_read_all(stream, 0, &batches, &error),
                     FLETCH_DEADLINE_EXCEEDED);
    fletch_flight_stream_done_writing(stream);
    while (!fletch_flight_stream_is_over(stream))
        flight_scene_turn(&scene);
    assert_int_equal(fletch_flight_stream_read_all(stream, 0, &batches, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message, "DoExchange without a schema");
    fletch_flight_stream_close(stream);
}

static void test_put_with_acknowledgements(void **state)
{
    (void)state;
    const struct fletch_flight_output output = {.batch = scene.batch, .app_metadata = {"m", 1}};
    const void *made;
    struct fletch_flight_stream *stream = begin(FLETCH_FLIGHT_METHOD_DO_PUT);
    for (int i = 0; i < 10; i++)
        assert_answer(flight_scene_write(&scene, stream, &output, &error), FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    assert_answer(fletch_flight_stream_write(stream, 0, &output, &error), FLETCH_CLOSED);
    assert_int_equal(error.status, FLETCH_FAILED_PRECONDITION);
    for (int i = 0; i < 10; i++) {
        assert_answer(flight_scene_receive(&scene, stream, FLETCH_FLIGHT_PUT_RESULT, &made, &error),
                      FLETCH_DONE);
        assert_string_equal(((const struct fletch_flight_bytes *)made)->data, "m");
        fletch_flight_release(made);
    }
    assert_answer(flight_scene_receive(&scene, stream, FLETCH_FLIGHT_PUT_RESULT, &made, &error),
                  FLETCH_CLOSED);
    assert_ok(error.status);
    assert_int_equal(scene.read, 10);
    fletch_flight_stream_close(stream);
}

/* The client has said all and half-closed before the server begins to read. */
static void test_acknowledgements_at_the_end(void **state)
{
    (void)state;
    const struct fletch_flight_output output = {.batch = scene.batch, .app_metadata = {"m", 1}};
    const void *made;
    scene.holds = true;
    struct fletch_flight_stream *stream = begin(FLETCH_FLIGHT_METHOD_DO_PUT);
    for (int i = 0; i < 10; i++)
        assert_answer(flight_scene_write(&scene, stream, &output, &error), FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    flight_scene_until(&scene, &scene.sources, 1);
    assert_answer(fletch_flight_stream_receive(stream, FLETCH_FLIGHT_PUT_RESULT, 0, &made, &error),
                  FLETCH_EMPTY);
    assert_int_equal(scene.read, 0);
    scene.holds = false;
    fletch_flight_stream_wake(scene.held);
    for (int i = 0; i < 10; i++) {
        assert_answer(flight_scene_receive(&scene, stream, FLETCH_FLIGHT_PUT_RESULT, &made, &error),
                      FLETCH_DONE);
        fletch_flight_release(made);
    }
    assert_answer(flight_scene_receive(&scene, stream, FLETCH_FLIGHT_PUT_RESULT, &made, &error),
                  FLETCH_CLOSED);
    assert_ok(error.status);
    fletch_flight_stream_close(stream);
}

static void test_exchange_of_every_layout(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_buffer_cache *cache = scene.rpc.pool.cache;
    struct fletch_schema *schema = schema_of_every_layout();
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .descriptor = &command};
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_EXCHANGE, 0);
    struct fletch_flight_data data;
    assert_ok(fletch_flight_stream_begin(stream, schema, &options, &error));
    for (int64_t rows = 0; rows < 400; rows += 37) {
        struct fletch_batch *batch = random_batch(&random, cache, schema, rows);
        const struct fletch_flight_output output = {.batch = batch};
        assert_answer(flight_scene_write(&scene, stream, &output, &error), FLETCH_DONE);
        if (flight_scene_read(&scene, stream, &data, &error) != FLETCH_DONE)
            fail_msg("%s", error.message);
        assert_int_equal(data.app_metadata.bytes, 0);
        assert_true(batches_equal(data.batch, batch));
        fletch_batch_release(cache, data.batch);
        fletch_batch_release(cache, batch);
    }
    fletch_flight_stream_done_writing(stream);
    assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_CLOSED);
    assert_ok(error.status);
    fletch_flight_stream_close(stream);
    fletch_schema_release(schema);
}

/* What no reader takes stays with the writer, within the windows and the queue. */
static void test_backpressure(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_schema *schema = schema_new("a=l!");
    fletch_batch_release(scene.rpc.pool.cache, scene.batch);
    scene.batch = random_batch(&random, scene.rpc.pool.cache, schema, 1 << 17); /* 1 MiB */
    scene.count = 1000;
    fletch_schema_release(schema);
    struct fletch_flight_stream *stream = get(0);
    uint32_t before;
    do {
        before = scene.written;
        for (int i = 0; i < 20; i++)
            flight_scene_turn(&scene);
    } while (scene.written != before);
    assert_true(before > 8 && before < 80);
    uint32_t steps = scene.steps;
    for (int i = 0; i < 20; i++)
        flight_scene_turn(&scene);
    assert_int_equal(scene.steps, steps); /* nobody asks again and again */
    struct fletch_flight_data data;
    for (uint32_t i = 0; i < before; i++) {
        assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_DONE);
        fletch_batch_release(scene.rpc.pool.cache, data.batch);
    }
    flight_scene_until(&scene, &scene.written, before + 1);
    fletch_flight_stream_close(stream);
    flight_scene_until(&scene, &scene.ended, 1);
}

/* Messages without bytes take memory too, and room in the processor's cache. */
static void test_empty_messages_fill_the_queue(void **state)
{
    (void)state;
    const struct fletch_flight_output output = {.batch = NULL};
    struct fletch_flight_stream *stream = begin(FLETCH_FLIGHT_METHOD_DO_PUT);
    enum fletch_answer answer = FLETCH_DONE;
    uint32_t count = 0;
    for (; answer == FLETCH_DONE && count < 100000; count++)
        answer = fletch_flight_stream_write(stream, 0, &output, &error);
    assert_answer(answer, FLETCH_FULL);
    assert_true(count > 500 && count < 520);
    assert_answer(flight_scene_write(&scene, stream, &output, &error), FLETCH_DONE);
    fletch_flight_stream_close(stream);
    flight_scene_until(&scene, &scene.ended, scene.sources);
}

static void test_split_by_rows(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_buffer_cache *cache = scene.rpc.pool.cache;
    struct fletch_schema *schema = schema_new("a=l! b=u d=c<u>");
    struct fletch_batch *batch = random_batch(&random, cache, schema, 30000);
    const struct fletch_flight_write_options options = {
        .struct_size = sizeof options, .descriptor = &command, .message_limit_bytes = 65536};
    const struct fletch_flight_output output = {.batch = batch, .app_metadata = {"first", 5}};
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_EXCHANGE, 0);
    struct fletch_flight_data data;
    int64_t rows = 0;
    uint32_t parts = 0;
    assert_ok(fletch_flight_stream_begin(stream, schema, &options, &error));
    assert_answer(flight_scene_write(&scene, stream, &output, &error), FLETCH_DONE);
    for (; rows < 30000; parts++) {
        assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_DONE);
        int64_t count = fletch_batch_row_count(data.batch);
        assert_true(batch_rows_equal(data.batch, 0, batch, rows, count));
        assert_int_equal(data.app_metadata.bytes, parts == 0 ? 5 : 0);
        fletch_batch_release(cache, data.batch);
        rows += count;
    }
    assert_true(parts > 4 && parts < 40);
    fletch_flight_stream_close(stream);
    fletch_batch_release(cache, batch);
    fletch_schema_release(schema);
}

static void test_row_too_large(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_schema *schema = schema_new("a=l! b=l! c=l!");
    struct fletch_batch *batch = random_batch(&random, scene.rpc.pool.cache, schema, 3);
    const struct fletch_flight_write_options options = {
        .struct_size = sizeof options, .descriptor = &command, .message_limit_bytes = 100};
    const struct fletch_flight_output output = {.batch = batch};
    const struct fletch_flight_output other = {.batch = scene.batch};
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_EXCHANGE, 0);
    assert_answer(fletch_flight_stream_write(stream, 0, &output, &error), FLETCH_CLOSED);
    assert_contains(error.message, "before the stream was begun");
    assert_ok(fletch_flight_stream_begin(stream, schema, &options, &error));
    assert_int_equal(fletch_flight_stream_begin(stream, schema, &options, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_answer(fletch_flight_stream_write(stream, 0, &output, &error), FLETCH_CLOSED);
    assert_int_equal(error.status, FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "one row takes a message of");
    assert_answer(fletch_flight_stream_write(stream, 0, &other, &error), FLETCH_CLOSED);
    assert_int_equal(error.status, FLETCH_INVALID_ARGUMENT);
    fletch_flight_stream_close(stream);
    fletch_batch_release(scene.rpc.pool.cache, batch);
    fletch_schema_release(schema);
}

/* ---- other messages ---- */

static struct fletch_flight_stream *act(const char *type)
{
    const struct fletch_flight_action action = {type, {"body", 4}};
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_ACTION, 0);
    assert_answer(fletch_flight_stream_send(stream, FLETCH_FLIGHT_ACTION, &action, 0, &error),
                  FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    return stream;
}

static void test_wrong_sides(void **state)
{
    (void)state;
    struct fletch_flight_data data;
    const void *made;
    struct fletch_flight_stream *stream = act("echo");
    assert_answer(fletch_flight_stream_read(stream, 0, &data, &error), FLETCH_CLOSED);
    assert_int_equal(error.status, FLETCH_FAILED_PRECONDITION);
    assert_answer(fletch_flight_stream_receive(stream, FLETCH_FLIGHT_INFO, 0, &made, &error),
                  FLETCH_CLOSED);
    assert_int_equal(error.status, FLETCH_FAILED_PRECONDITION);
    assert_answer(flight_scene_receive(&scene, stream, FLETCH_FLIGHT_RESULT, &made, &error),
                  FLETCH_DONE);
    assert_string_equal(((const struct fletch_flight_bytes *)made)->data, "body");
    fletch_flight_release(made);
    assert_ok(flight_scene_wait(&scene, stream).status);
    fletch_flight_stream_close(stream);
}

static void test_failure_with_all_that_it_carries(void **state)
{
    (void)state;
    struct fletch_flight_stream *stream = act("fail");
    size_t count;
    assert_null(fletch_flight_stream_trailers(stream, &count));
    struct fletch_flight_end told = flight_scene_wait(&scene, stream);
    assert_int_equal(told.status, FLETCH_PERMISSION_DENIED);
    assert_string_equal(told.text, "PERMISSION_DENIED: no");
    assert_int_equal(told.detail.bytes, 7);
    assert_memory_equal(told.detail.data, "de\0tail", 7);
    assert_string_equal(fletch_flight_stream_header(stream, "x-answer")->value, "yes");
    const struct fletch_flight_header *trailer = fletch_flight_stream_header(stream, "x-end-bin");
    assert_int_equal(trailer->value_bytes, 2);
    assert_memory_equal(trailer->value, "\0\1", 2);
    assert_null(fletch_flight_stream_header(stream, "x-other"));
    fletch_flight_stream_close(stream);
}

static void test_text_with_a_name_of_its_own(void **state)
{
    (void)state;
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_GET_FLIGHT_INFO, 0);
    assert_answer(fletch_flight_stream_send(stream, FLETCH_FLIGHT_DESCRIPTOR, &command, 0, &error),
                  FLETCH_DONE);
    assert_answer(fletch_flight_stream_send(stream, FLETCH_FLIGHT_DESCRIPTOR, &command, 0, &error),
                  FLETCH_CLOSED);
    fletch_flight_stream_done_writing(stream);
    struct fletch_flight_end told = flight_scene_wait(&scene, stream);
    assert_int_equal(told.status, FLETCH_NOT_FOUND);
    assert_string_equal(told.text, "UNKNOWN_FLIGHT: none is here");
    fletch_flight_stream_close(stream);
}

static void test_not_offered(void **state)
{
    (void)state;
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_LIST_ACTIONS, 0);
    struct fletch_flight_end told = flight_scene_wait(&scene, stream);
    assert_int_equal(told.status, FLETCH_UNIMPLEMENTED);
    assert_contains(told.text, "ListActions is not offered here");
    assert_true(fletch_flight_stream_is_over(stream));
    fletch_flight_stream_close(stream);
}

/* ---- ends ---- */

/* Closed wherever it is: before the call is there, in the middle, with messages not read. */
static void test_close_at_any_time(void **state)
{
    (void)state;
    scene.count = 1000;
    for (int turns = 0; turns < 12; turns++) {
        struct fletch_flight_stream *streams[3] = {get(0), begin(FLETCH_FLIGHT_METHOD_DO_EXCHANGE),
                                                   act("echo")};
        for (int i = 0; i < turns; i++)
            flight_scene_turn(&scene);
        for (int i = 0; i < 3; i++)
            fletch_flight_stream_close(streams[i]);
    }
    fletch_flight_stream_close(NULL);
    flight_scene_until(&scene, &scene.ended, scene.sources);
}

static void test_cancel(void **state)
{
    (void)state;
    struct fletch_flight_data data;
    scene.count = 1000;
    struct fletch_flight_stream *stream = get(0);
    assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_DONE);
    fletch_batch_release(scene.rpc.pool.cache, data.batch);
    fletch_flight_stream_cancel(stream);
    fletch_flight_stream_cancel(stream);
    struct fletch_flight_end told = flight_scene_wait(&scene, stream);
    assert_int_equal(told.status, FLETCH_CANCELLED);
    flight_scene_until(&scene, &scene.ended, 1);
    fletch_flight_stream_close(stream);
}

static void test_server_cancels(void **state)
{
    (void)state;
    scene.holds = true;
    struct fletch_flight_stream *stream = get(0);
    flight_scene_until(&scene, &scene.sources, 1);
    fletch_flight_stream_cancel(scene.held);
    assert_int_equal(flight_scene_wait(&scene, stream).status, FLETCH_CANCELLED);
    assert_int_equal(scene.ended, 1);
    fletch_flight_stream_close(stream);
}

static void test_deadline(void **state)
{
    (void)state;
    scene.holds = true;
    struct fletch_flight_stream *stream = get(30 * MS_NS);
    assert_int_equal(flight_scene_wait(&scene, stream).status, FLETCH_DEADLINE_EXCEEDED);
    flight_scene_until(&scene, &scene.ended, 1);
    assert_true(fletch_flight_stream_is_over(scene.held));
    fletch_flight_stream_wake(scene.held); /* one that has ended: nothing */
    fletch_flight_stream_close(stream);
}

static void test_server_is_destroyed(void **state)
{
    (void)state;
    struct fletch_flight_data data;
    scene.holds = true;
    struct fletch_flight_stream *stream = get(0);
    flight_scene_until(&scene, &scene.sources, 1);
    fletch_rpc_server_destroy(scene.rpc.server);
    scene.rpc.server = NULL;
    assert_int_equal(scene.ended, 1);
    assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_CLOSED);
    assert_int_equal(error.status, FLETCH_UNAVAILABLE);
    fletch_flight_stream_close(stream);
}

static void test_write_to_one_that_ended(void **state)
{
    (void)state;
    const struct fletch_flight_output output = {.batch = scene.batch};
    scene.holds = true;
    struct fletch_flight_stream *stream = begin(FLETCH_FLIGHT_METHOD_DO_PUT);
    flight_scene_until(&scene, &scene.sources, 1);
    fletch_rpc_server_destroy(scene.rpc.server);
    scene.rpc.server = NULL;
    while (!fletch_flight_stream_is_over(stream))
        flight_scene_turn(&scene);
    assert_answer(fletch_flight_stream_write(stream, 0, &output, &error), FLETCH_CLOSED);
    assert_int_equal(error.status, FLETCH_UNAVAILABLE);
    fletch_flight_stream_close(stream);
}

/* ---- waking ---- */

static void wake(void *context)
{
    for (int i = 0; i < 1000; i++)
        fletch_flight_stream_wake(context);
}

static void test_wake_from_another_thread(void **state)
{
    (void)state;
    struct fletch_thread thread;
    scene.holds = true;
    struct fletch_flight_stream *stream = get(0);
    flight_scene_until(&scene, &scene.sources, 1);
    for (int i = 0; i < 10; i++)
        flight_scene_turn(&scene);
    uint32_t steps = scene.steps;
    const struct fletch_thread_options options = {
        .cpu = FLETCH_ANY_CPU, .run = wake, .context = scene.held};
    assert_ok(fletch_thread_start(&thread, &options, &error));
    flight_scene_until(&scene, &scene.steps, steps + 1);
    fletch_thread_join(&thread);
    for (int i = 0; i < 10; i++)
        flight_scene_turn(&scene);
    assert_true(scene.steps <= steps + 1000);
    scene.holds = false;
    fletch_flight_stream_wake(scene.held);
    read_all(stream, 3);
    fletch_flight_stream_close(stream);
}

static void test_descriptor(void **state)
{
    (void)state;
    struct fletch_flight_stream *stream = get(0);
    struct fletch_flight_data data;
    int fd = -1;
    assert_ok(fletch_flight_stream_open_fd(stream, &fd, &error));
    assert_true(fletch_flight_stream_arm(stream));
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&watched, 1, 0), 0);
    while (poll(&watched, 1, 0) == 0)
        flight_scene_turn(&scene);
    fletch_flight_stream_disarm(stream);
    assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_DONE);
    fletch_batch_release(scene.rpc.pool.cache, data.batch);
    assert_ok(flight_scene_wait(&scene, stream).status);
    assert_false(fletch_flight_stream_arm(stream)); /* it is over: there is nothing to wait for */
    fletch_flight_stream_close(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get, start, end),
        cmocka_unit_test_setup_teardown(test_get_without_a_schema, start, end),
        cmocka_unit_test_setup_teardown(test_metadata_before_the_schema, start, end),
        cmocka_unit_test_setup_teardown(test_all_of_what_has_no_schema, start, end),
        cmocka_unit_test_setup_teardown(test_put_with_acknowledgements, start, end),
        cmocka_unit_test_setup_teardown(test_acknowledgements_at_the_end, start, end),
        cmocka_unit_test_setup_teardown(test_exchange_of_every_layout, start, end),
        cmocka_unit_test_setup_teardown(test_backpressure, start, end),
        cmocka_unit_test_setup_teardown(test_empty_messages_fill_the_queue, start, end),
        cmocka_unit_test_setup_teardown(test_split_by_rows, start, end),
        cmocka_unit_test_setup_teardown(test_row_too_large, start, end),
        cmocka_unit_test_setup_teardown(test_wrong_sides, start, end),
        cmocka_unit_test_setup_teardown(test_failure_with_all_that_it_carries, start, end),
        cmocka_unit_test_setup_teardown(test_text_with_a_name_of_its_own, start, end),
        cmocka_unit_test_setup_teardown(test_not_offered, start, end),
        cmocka_unit_test_setup_teardown(test_close_at_any_time, start, end),
        cmocka_unit_test_setup_teardown(test_cancel, start, end),
        cmocka_unit_test_setup_teardown(test_server_cancels, start, end),
        cmocka_unit_test_setup_teardown(test_deadline, start, end),
        cmocka_unit_test_setup_teardown(test_server_is_destroyed, start, end),
        cmocka_unit_test_setup_teardown(test_write_to_one_that_ended, start, end),
        cmocka_unit_test_setup_teardown(test_wake_from_another_thread, start, end),
        cmocka_unit_test_setup_teardown(test_descriptor, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
