#include "support/flight_ends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"

enum { ROWS = 50 };

/* ---- handlers ---- */

static void hang(struct flight_ends *ends, struct fletch_flight_stream *stream)
{
    fetch_add_relaxed(&ends->hanging, 1);
    while (!fletch_flight_stream_is_over(stream))
        fletch_thread_yield();
    fetch_sub_relaxed(&ends->hanging, 1);
}

static enum fletch_status do_get(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_bytes *ticket,
                                 struct fletch_error *error)
{
    struct flight_ends *ends = user;
    const struct fletch_flight_output output = {.batch = ends->batch};
    const char *text = ticket->data;
    bool is_endless = strcmp(text, "endless") == 0;
    if (fletch_flight_stream_begin(stream, ends->schema, NULL, error) != FLETCH_OK)
        return error->status;
    if (strcmp(text, "hang") == 0)
        hang(ends, stream);
    for (int i = 0; is_endless || i < atoi(text); i++)
        if (fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output, error) != FLETCH_DONE)
            return error->status;
    return FLETCH_OK;
}

static enum fletch_status do_put(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_descriptor *descriptor,
                                 struct fletch_error *error)
{
    struct fletch_flight_data data;
    (void)user;
    (void)descriptor;
    while (fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, error) == FLETCH_DONE) {
        enum fletch_answer answer = fletch_flight_stream_send(
            stream, FLETCH_FLIGHT_PUT_RESULT, &data.app_metadata, FLETCH_NO_TIMEOUT, error);
        fletch_batch_release(NULL, data.batch);
        if (answer != FLETCH_DONE)
            break;
    }
    return error->status;
}

static enum fletch_status do_exchange(void *user, struct fletch_flight_stream *stream,
                                      const struct fletch_flight_descriptor *descriptor,
                                      struct fletch_error *error)
{
    struct flight_ends *ends = user;
    struct fletch_flight_data data;
    (void)descriptor;
    if (fletch_flight_stream_begin(stream, ends->schema, NULL, error) != FLETCH_OK)
        return error->status;
    while (fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, error) == FLETCH_DONE) {
        const struct fletch_flight_output output = {.batch = data.batch};
        enum fletch_answer answer = FLETCH_DONE;
        if (data.batch != NULL)
            answer = fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output, error);
        fletch_batch_release(NULL, data.batch);
        if (answer != FLETCH_DONE)
            break;
    }
    return error->status;
}

static enum fletch_status do_action(void *user, struct fletch_flight_stream *stream,
                                    const struct fletch_flight_action *action,
                                    struct fletch_error *error)
{
    if (strcmp(action->type, "hang") == 0)
        hang(user, stream);
    else if (fletch_flight_stream_send(stream, FLETCH_FLIGHT_RESULT, &action->body,
                                       FLETCH_NO_TIMEOUT, error) != FLETCH_DONE)
        return error->status;
    return FLETCH_OK;
}

static enum fletch_status get_flight_info(void *user, struct fletch_flight_stream *stream,
                                          const struct fletch_flight_descriptor *descriptor,
                                          struct fletch_error *error)
{
    struct flight_ends *ends = user;
    const struct fletch_flight_endpoint endpoint = {
        .ticket = {descriptor->path[0], strlen(descriptor->path[0])}};
    const struct fletch_flight_info info = {.schema = ends->schema,
                                            .descriptor = *descriptor,
                                            .endpoints = &endpoint,
                                            .endpoint_count = 1,
                                            .total_records = ROWS,
                                            .total_bytes = -1};
    if (strcmp(descriptor->path[0], "none") == 0)
        return FLETCH_OK; /* which is none of a server's business */
    if (fletch_flight_stream_send(stream, FLETCH_FLIGHT_INFO, &info, FLETCH_NO_TIMEOUT, error) !=
        FLETCH_DONE)
        return error->status;
    return FLETCH_OK;
}

/* ---- both ends ---- */

void flight_ends_prepare(struct flight_ends *ends)
{
    struct fletch_random random = fletch_random_from_seed(1);
    *ends = (struct flight_ends){.pool = test_pool_make()};
    ends->schema = schema_of_every_type();
    ends->batch = random_batch(&random, ends->pool.cache, ends->schema, ROWS);
}

void flight_ends_serve(struct flight_ends *ends, const char *location, uint32_t stream_limit)
{
    static const struct fletch_flight_handlers handlers = {
        .struct_size = sizeof handlers,
        .get_flight_info = get_flight_info,
        .do_get = do_get,
        .do_put = do_put,
        .do_exchange = do_exchange,
        .do_action = do_action,
    };
    const struct fletch_flight_server_options options = {
        .struct_size = sizeof options,
        .location = location,
        .handlers = &handlers,
        .user = ends,
        .loop_count = 1,
        .worker_limit = ends->worker_limit,
        .pool = ends->pool.pool,
        .account = ends->pool.account,
        .stream_limit = stream_limit,
    };
    assert_ok(fletch_flight_server_create(&options, &ends->server, NULL));
}

enum fletch_status flight_ends_connect(struct flight_ends *ends,
                                       const struct fletch_flight_client_options *options,
                                       struct fletch_error *error)
{
    struct fletch_flight_client_options chosen = {.struct_size = sizeof chosen};
    if (options != NULL)
        chosen = *options;
    if (chosen.location == NULL && ends->server != NULL)
        chosen.location = fletch_flight_server_location(ends->server);
    chosen.pool = ends->pool.pool;
    chosen.account = ends->pool.account;
    chosen.allocator = ends->allocator;
    return fletch_flight_client_create(&chosen, &ends->client, error);
}

void flight_ends_end(struct flight_ends *ends)
{
    fletch_flight_client_destroy(ends->client);
    fletch_flight_server_destroy(ends->server);
    assert_int_equal(atomic_load(&ends->hanging), 0);
    fletch_batch_release(ends->pool.cache, ends->batch);
    fletch_schema_release(ends->schema);
    test_pool_end(&ends->pool);
}

struct fletch_flight_stream *flight_ends_get(struct flight_ends *ends,
                                             const struct fletch_flight_call_options *options,
                                             const char *ticket)
{
    const struct fletch_flight_bytes bytes = {ticket, strlen(ticket)};
    struct fletch_flight_stream *stream = NULL;
    assert_ok(fletch_flight_client_do_get(ends->client, options, &bytes, &stream, NULL));
    return stream;
}

uint32_t flight_ends_read(struct flight_ends *ends, struct fletch_flight_stream *stream,
                          uint32_t most)
{
    struct fletch_flight_data data;
    uint32_t count = 0;
    while (count < most &&
           fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, NULL) == FLETCH_DONE) {
        fletch_batch_release(ends->pool.cache, data.batch);
        count++;
    }
    return count;
}

enum fletch_status flight_ends_close(struct fletch_flight_stream *stream,
                                     struct fletch_error *out_end)
{
    struct fletch_flight_end end;
    assert_answer(fletch_flight_stream_end(stream, FLETCH_NO_TIMEOUT, &end, NULL), FLETCH_DONE);
    out_end->status = end.status;
    (void)snprintf(out_end->message, sizeof out_end->message, "%s", end.text);
    fletch_flight_stream_close(stream);
    return out_end->status;
}
