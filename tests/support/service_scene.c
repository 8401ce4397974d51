#include "support/service_scene.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "support/cmocka_tests.h"

#define PATIENCE_NS UINT64_C(30000000000)

static struct fletch_error error;

void service_scene_begin(struct service_scene *scene, const struct shuffle_words *words,
                         const struct fletch_shuffle_server_options *options)
{
    struct fletch_shuffle_server_options known = {.struct_size = sizeof known};
    if (options != NULL)
        known = *options;
    memset(scene, 0, sizeof *scene);
    scene->shuffles = test_shuffle_make(words);
    scene->pool = test_pool_make();
    known.loop_count = 1;
    if (fletch_shuffle_server_create(scene->shuffles.transport, &known, &scene->server, &error) !=
        FLETCH_OK)
        fail_msg("%s", error.message);
    const struct fletch_flight_client_options client = {
        .struct_size = sizeof client,
        .location = fletch_shuffle_server_location(scene->server),
        .pool = scene->pool.pool,
        .account = scene->pool.account,
    };
    assert_ok(fletch_flight_client_create(&client, &scene->client, &error));
}

struct fletch_shuffle_server_counters service_scene_counters(struct service_scene *scene)
{
    struct fletch_shuffle_server_counters found = {.struct_size = sizeof found};
    fletch_shuffle_server_statistics(scene->server, &found);
    return found;
}

void service_scene_settle(struct service_scene *scene)
{
    const uint64_t deadline_ns = fletch_clock_deadline_ns(PATIENCE_NS);
    struct fletch_shuffle_server_counters found = service_scene_counters(scene);
    while (found.puts_now + found.gets_now + found.calls_now > 0) {
        if (fletch_clock_now_ns() > deadline_ns)
            fail_msg("%llu puts and %llu gets are still there", (unsigned long long)found.puts_now,
                     (unsigned long long)found.gets_now);
        fletch_thread_yield();
        found = service_scene_counters(scene);
    }
}

void service_scene_end(struct service_scene *scene)
{
    service_scene_settle(scene);
    fletch_flight_client_destroy(scene->client);
    fletch_shuffle_server_destroy(scene->server);
    test_pool_end(&scene->pool);
    test_shuffle_end(&scene->shuffles);
}

struct fletch_flight_bytes service_scene_ticket(char text[64], uint32_t partition)
{
    const int bytes = snprintf(text, 64, "%u@test", partition);
    return (struct fletch_flight_bytes){text, (size_t)bytes};
}

struct fletch_flight_stream *service_scene_get(struct service_scene *scene,
                                               struct fletch_flight_bytes ticket,
                                               const char *header)
{
    const struct fletch_flight_header wish = {header, "1", 1};
    const struct fletch_flight_call_options options = {
        .struct_size = sizeof options, .headers = &wish, .header_count = header == NULL ? 0 : 1};
    struct fletch_flight_stream *stream = NULL;
    assert_ok(fletch_flight_client_do_get(scene->client, &options, &ticket, &stream, &error));
    return stream;
}

struct fletch_flight_stream *service_scene_put(struct service_scene *scene, const char *name,
                                               struct fletch_schema *schema)
{
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = &name, .path_count = 1};
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .descriptor = &descriptor};
    struct fletch_flight_stream *stream = NULL;
    assert_ok(fletch_flight_client_do_put(scene->client, NULL, &stream, &error));
    assert_ok(fletch_flight_stream_begin(stream, schema, &options, &error));
    return stream;
}

enum fletch_status service_scene_close(struct fletch_flight_stream *stream,
                                       struct fletch_error *out_end)
{
    struct fletch_flight_end end;
    if (fletch_flight_stream_end(stream, PATIENCE_NS, &end, &error) != FLETCH_DONE)
        fail_msg("a call that does not end");
    out_end->status = end.status;
    (void)snprintf(out_end->message, sizeof out_end->message, "%s", end.text);
    fletch_flight_stream_close(stream);
    return out_end->status;
}
