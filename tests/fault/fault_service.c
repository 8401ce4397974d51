#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/shuffles.h"

/* A shuffle that is registered, put, got and reported over the wire with the n-th allocation of the
 * server's process failing, for n = 1, 2, … until none fails: each call ends once, with a status,
 * and nothing is left. */

#define PATIENCE_NS UINT64_C(20000000000)

enum { TRIES_MOST = 4000, ROWS = 500 };

static struct fletch_error error;
static struct test_shuffle rows; /* batches to put: a transport of its own */
static struct fletch_flight_client *client;
static struct test_pool pool;

/* ---- an allocator for several threads, whose n-th request fails ---- */

static _Atomic uint64_t requests;
static _Atomic uint64_t live_bytes;
static uint64_t fail_at;

static void *allocate(void *context, size_t bytes, size_t alignment)
{
    (void)context;
    if (atomic_fetch_add(&requests, 1) + 1 == fail_at)
        return NULL;
    atomic_fetch_add(&live_bytes, bytes);
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void release(void *context, void *memory, size_t bytes, size_t alignment)
{
    (void)context;
    (void)alignment;
    atomic_fetch_sub(&live_bytes, bytes);
    free(memory);
}

static const struct fletch_allocator failing = {.allocate = allocate, .release = release};

/* ---- calls; each: whether it went well ---- */

static bool end(struct fletch_flight_stream *stream)
{
    struct fletch_flight_end found;
    if (fletch_flight_stream_end(stream, PATIENCE_NS, &found, &error) != FLETCH_DONE)
        fail_msg("a call that does not end");
    const bool is_well = found.status == FLETCH_OK;
    fletch_flight_stream_close(stream);
    return is_well;
}

static bool put(const struct fletch_flight_call_options *options)
{
    const char *const path[] = {"fault"};
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1};
    const struct fletch_flight_write_options how = {.struct_size = sizeof how,
                                                    .descriptor = &descriptor};
    struct fletch_flight_stream *stream = NULL;
    struct fletch_batch *batch = batch_make(&rows, ROWS);
    const struct fletch_flight_output output = {.batch = batch};
    assert_ok(fletch_flight_client_do_put(client, options, &stream, &error));
    if (fletch_flight_stream_begin(stream, rows.schema, &how, &error) == FLETCH_OK)
        (void)!fletch_flight_stream_write(stream, PATIENCE_NS, &output, &error);
    fletch_flight_stream_done_writing(stream);
    fletch_batch_release(NULL, batch);
    return end(stream);
}

static bool get(const struct fletch_flight_call_options *options)
{
    const struct fletch_flight_bytes ticket = {"0@fault", 7};
    struct fletch_flight_data data;
    struct fletch_flight_stream *stream = NULL;
    uint64_t count = 0;
    assert_ok(fletch_flight_client_do_get(client, options, &ticket, &stream, &error));
    while (fletch_flight_stream_read(stream, PATIENCE_NS, &data, &error) == FLETCH_DONE) {
        count += (uint64_t)fletch_batch_row_count(data.batch);
        fletch_batch_release(NULL, data.batch);
    }
    const bool is_well = end(stream);
    /* An end is an end of all rows. */
    if (is_well)
        assert_int_equal(count, ROWS);
    return is_well;
}

static bool act(const struct fletch_flight_call_options *options, const char *type)
{
    const struct fletch_flight_action action = {type, {"{\"name\": \"fault\"}", 17}};
    struct fletch_flight_stream *stream = NULL;
    const void *message;
    assert_ok(fletch_flight_client_do_action(client, options, &action, &stream, &error));
    while (fletch_flight_stream_receive(stream, FLETCH_FLIGHT_RESULT, PATIENCE_NS, &message,
                                        &error) == FLETCH_DONE)
        fletch_flight_release(message);
    return end(stream);
}

static bool call_all(const char *location)
{
    static const struct fletch_flight_header headers[] = {{"fletch-partitions", "1", 1},
                                                          {"fletch-keys", "k", 1},
                                                          {"fletch-retention", "until_close", 11}};
    const struct fletch_flight_call_options options = {.struct_size = sizeof options,
                                                       .location = location,
                                                       .timeout_ns = PATIENCE_NS,
                                                       .headers = headers,
                                                       .header_count = 3};
    bool is_well = put(&options);
    /* A get would wait for a producer that never came. */
    if (!is_well)
        (void)act(&options, "cancel");
    is_well = get(&options) && is_well;
    is_well = act(&options, "report") && is_well;
    return act(&options, "drop") && is_well;
}

/* ---- a server whose n-th allocation fails ---- */

static bool serve_once(void)
{
    const struct fletch_transport_options transport_options = {
        .struct_size = sizeof transport_options, .budget_bytes = 64 << 20};
    const struct fletch_shuffle_server_options options = {.struct_size = sizeof options,
                                                          .creation = FLETCH_CREATION_BY_PUT,
                                                          .loop_count = 1,
                                                          .allocator = &failing};
    struct fletch_transport *transport = NULL;
    struct fletch_shuffle_server *server = NULL;
    bool is_well = false;
    if (fletch_transport_create(&transport_options, &failing, &transport, &error) != FLETCH_OK)
        return false;
    if (fletch_shuffle_server_create(transport, &options, &server, &error) == FLETCH_OK)
        is_well = call_all(fletch_shuffle_server_location(server));
    if (server != NULL && fletch_shuffle_server_drop_all(server, &error) != FLETCH_OK)
        assert_ok(fletch_shuffle_server_drop_all(server, &error)); /* the one that failed */
    fletch_shuffle_server_destroy(server);
    if (fletch_transport_destroy(transport, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return is_well;
}

static void each_allocation_may_fail(void **state)
{
    const struct shuffle_words words = {.schema = "k=l v=u"};
    const struct fletch_flight_client_options options = {.struct_size = sizeof options};
    bool is_well = false;
    (void)state;
    rows = test_shuffle_make(&words);
    pool = test_pool_make();
    struct fletch_flight_client_options own = options;
    own.pool = pool.pool;
    assert_ok(fletch_flight_client_create(&own, &client, &error));
    for (fail_at = 1; !is_well; fail_at++) {
        assert_true(fail_at < TRIES_MOST);
        atomic_store(&requests, 0);
        is_well = serve_once();
        /* One that went well has met no failure, or one that it could do without. */
        is_well = is_well && atomic_load(&requests) < fail_at;
        assert_int_equal(atomic_load(&live_bytes), 0);
    }
    fletch_flight_client_destroy(client);
    test_pool_end(&pool);
    test_shuffle_end(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
