#include <fletching/flight_server.h>

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/options.h"
#include "base/status.h"
#include "base/thread.h"
#include "flight/flight_service.h"
#include "net/loop_group.h"
#include "rpc/rpc_server.h"

enum { LOCATION_BYTES = 160 };

/* What a loop has of the server. */
struct server_loop {
    struct fletch_flight_server *server;
    struct fletch_flight_service_loop service;
    struct fletch_flight_service_method contexts[FLETCH_FLIGHT_METHODS];
    struct fletch_rpc_method methods[FLETCH_FLIGHT_METHODS];
    struct fletch_rpc_server *rpc; /* NULL: none, or gone */
    struct fletch_rpc_health *health;
    struct fletch_loop_task drain;
};

struct fletch_flight_server {
    struct fletch_flight_server_options options;
    struct fletch_flight_handlers handlers;
    struct fletch_flight_service service;
    struct fletch_allocator allocator;
    struct fletch_buffer_pool *pool;
    struct fletch_loop_group *group;
    struct fletch_socket_address address;
    char location[LOCATION_BYTES];
    /* Draining: `left` loops have not done so yet; who waits sleeps on `drained`. */
    struct fletch_eventcount drained;
    uint64_t drain_deadline_ns;
    _Atomic uint32_t is_draining;
    _Atomic uint32_t left;
    _Atomic uint32_t is_late; /* something was cut off */
    uint32_t loop_count;
    struct server_loop loops[];
};

/* ---- errands: what a loop's thread does for another that waits ---- */

struct errand {
    struct fletch_loop_task task; /* first */
    struct fletch_eventcount finished;
    _Atomic uint32_t is_done;
    struct server_loop *at;
    enum fletch_status (*run)(struct server_loop *at, struct fletch_error *error);
    enum fletch_status status;
    struct fletch_error error;
};

static void run_errand(void *context)
{
    struct errand *errand = context;
    errand->status = errand->run(errand->at, &errand->error);
    /* Whoever waits may be gone with the errand as soon as it sees this: it waits for the flag's
     * second step, behind which nothing of it is touched. */
    store_release(&errand->is_done, 1);
    fletch_eventcount_notify(&errand->finished, UINT32_MAX);
    store_release(&errand->is_done, 2);
}

static void await(struct fletch_eventcount *eventcount, const _Atomic uint32_t *word,
                  uint32_t (*is_there)(uint32_t value))
{
    while (!is_there(load_acquire(word))) {
        uint32_t key = fletch_eventcount_prepare(eventcount);
        if (is_there(load_acquire(word)))
            fletch_eventcount_cancel(eventcount);
        else
            (void)fletch_eventcount_wait(eventcount, key, UINT64_MAX);
    }
}

static uint32_t is_set(uint32_t value)
{
    return value != 0;
}

static uint32_t is_zero(uint32_t value)
{
    return value == 0;
}

/* Blocks until the loop has done it. */
static enum fletch_status do_on_loop(struct server_loop *at,
                                     enum fletch_status (*what)(struct server_loop *at,
                                                                struct fletch_error *error),
                                     struct fletch_error *error)
{
    struct errand errand = {.task = {.run = run_errand}, .at = at, .run = what};
    errand.task.context = &errand;
    fletch_eventcount_start(&errand.finished, FLETCH_SHARING_PROCESS);
    fletch_event_loop_post(at->service.loop, &errand.task);
    await(&errand.finished, &errand.is_done, is_set);
    while (load_acquire(&errand.is_done) != 2)
        fletch_thread_yield();
    fletch_eventcount_deinit(&errand.finished);
    if (errand.status != FLETCH_OK)
        return fletch_error_set(error, errand.status, "%s", errand.error.message);
    return FLETCH_OK;
}

/* ---- locations ---- */

static const char *after(const char *text, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return strncmp(text, prefix, bytes) == 0 ? text + bytes : NULL;
}

/* The address behind a URI of grpc. */
static enum fletch_status parse_location(const char *uri, struct fletch_socket_address *out_address,
                                         struct fletch_error *error)
{
    char text[LOCATION_BYTES];
    const char *path = after(uri, "grpc+unix://");
    const char *host = after(uri, "grpc://");
    int written = -1;
    if (host == NULL)
        host = after(uri, "grpc+tcp://");
    if (path != NULL)
        written = snprintf(text, sizeof text, "unix:%s", path);
    else if (host != NULL && after(host, "localhost:") != NULL)
        written = snprintf(text, sizeof text, "127.0.0.1:%s", after(host, "localhost:"));
    else if (host != NULL)
        written = snprintf(text, sizeof text, "%s", host);
    if (written < 0 || (size_t)written >= sizeof text)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "location '%.200s': grpc://address:port or grpc+unix:///path was "
                                "expected",
                                uri);
    return fletch_socket_address_parse(text, out_address, error);
}

static void write_location(struct fletch_flight_server *server)
{
    struct fletch_socket_text text = fletch_socket_address_text(&server->address);
    const char *path = after(text.text, "unix:");
    (void)snprintf(server->location, sizeof server->location, "%s%s",
                   path != NULL ? "grpc+unix://" : "grpc://", path != NULL ? path : text.text);
}

/* ---- a loop's server ---- */

static enum fletch_status open_server(struct server_loop *at, struct fletch_error *error)
{
    struct fletch_flight_server *server = at->server;
    const struct fletch_rpc_server_options options = {
        .loop = at->service.loop,
        .address = server->address,
        .shares_port = server->loop_count > 1,
        .joins_port = at != server->loops,
        .methods = at->methods,
        .method_count = FLETCH_FLIGHT_METHODS,
        .health = at->health,
        .connection_limit = server->options.connection_limit,
        .grpc =
            {
                .struct_size = sizeof options.grpc,
                .http2 =
                    {
                        .struct_size = sizeof options.grpc.http2,
                        .allocator = &server->allocator,
                        .cache = at->service.cache,
                        .account = server->options.account,
                        .stream_limit = server->options.stream_limit,
                    },
                .message_limit_bytes = server->options.message_limit_bytes,
                .word_failure = fletch_flight_status_word,
                /* Streams have a limit of their own. */
                .send_queue_bytes = SIZE_MAX / 2,
            },
    };
    enum fletch_status status = fletch_rpc_server_create(&options, &at->rpc, error);
    if (status == FLETCH_OK)
        server->address = *fletch_rpc_server_address(at->rpc);
    return status;
}

static enum fletch_status close_server(struct server_loop *at, struct fletch_error *error)
{
    (void)error;
    fletch_rpc_server_destroy(at->rpc);
    at->rpc = NULL;
    return FLETCH_OK;
}

static enum fletch_status prepare_loop(struct fletch_flight_server *server, uint32_t index,
                                       struct fletch_error *error)
{
    struct server_loop *at = &server->loops[index];
    at->server = server;
    at->service.service = &server->service;
    at->service.loop = fletch_loop_group_loop(server->group, index);
    fletch_flight_waits_start(&at->service.waits, server->options.spin_ns);
    enum fletch_status status = fletch_buffer_cache_open(server->pool, &at->service.cache, error);
    if (status == FLETCH_OK)
        status = fletch_rpc_health_create(&server->allocator, &at->health, error);
    if (status == FLETCH_OK)
        status =
            fletch_rpc_health_set(at->health, FLETCH_FLIGHT_SERVICE, FLETCH_RPC_SERVING, error);
    for (size_t i = 0; i < FLETCH_FLIGHT_METHODS; i++) {
        at->contexts[i] = (struct fletch_flight_service_method){
            .at = &at->service, .id = (enum fletch_flight_method_id)i};
        at->methods[i] = (struct fletch_rpc_method){
            .path = fletch_flight_methods[i].path,
            .begin = fletch_flight_service_begin,
            .handler = &fletch_flight_call_handler,
            .context = &at->contexts[i],
            .reader = &fletch_flight_call_reader,
        };
    }
    return status == FLETCH_OK ? do_on_loop(at, open_server, error) : status;
}

/* ---- life ---- */

static enum fletch_status check_options(const struct fletch_flight_server_options *options,
                                        struct fletch_flight_server_options *known,
                                        struct fletch_flight_handlers *handlers,
                                        struct fletch_error *error)
{
    enum fletch_status status =
        fletch_options_copy(known, sizeof *known, options, sizeof *known, error);
    if (status == FLETCH_OK && known->handlers == NULL)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "option handlers is NULL");
    if (status == FLETCH_OK)
        status = fletch_options_copy(handlers, sizeof *handlers, known->handlers, sizeof *handlers,
                                     error);
    if (status == FLETCH_OK && (unsigned)known->run_mode > FLETCH_FLIGHT_ON_LOOP)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                  "option run_mode is %d, expected 0 or 1", (int)known->run_mode);
    if (status == FLETCH_OK && known->message_limit_bytes > INT32_MAX)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                  "option message_limit_bytes is %zu, at most %d",
                                  known->message_limit_bytes, INT32_MAX);
    if (status != FLETCH_OK)
        return status;
    if (known->location == NULL)
        known->location = "grpc://127.0.0.1:0";
    if (known->worker_limit == 0)
        known->worker_limit = FLETCH_FLIGHT_WORKERS_DEFAULT;
    if (known->message_limit_bytes == 0)
        known->message_limit_bytes = INT32_MAX;
    if (known->peer_message_bytes == 0)
        known->peer_message_bytes = FLETCH_FLIGHT_PEER_MESSAGE_BYTES_DEFAULT;
    return FLETCH_OK;
}

static enum fletch_status start_loops(struct fletch_flight_server *server,
                                      struct fletch_error *error)
{
    const struct fletch_loop_group_options options = {
        .loop_count = server->loop_count,
        .loop = {.spin_ns = server->options.spin_ns, .allocator = &server->allocator},
    };
    const struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    enum fletch_status status = FLETCH_OK;
    if (server->options.pool != NULL)
        server->pool = server->options.pool;
    else
        status = fletch_buffer_pool_create(
            &pool, server->options.allocator == NULL ? NULL : &server->allocator, &server->pool,
            error);
    if (status == FLETCH_OK)
        status = fletch_loop_group_create(&options, &server->group, error);
    return status;
}

static enum fletch_status start_workers(struct fletch_flight_server *server,
                                        struct fletch_error *error)
{
    const struct fletch_flight_workers_options options = {
        .pool = server->pool,
        .limit = server->options.worker_limit,
        .allocator = &server->allocator,
    };
    if (server->options.run_mode == FLETCH_FLIGHT_ON_LOOP)
        return FLETCH_OK;
    return fletch_flight_workers_create(&options, &server->service.workers, error);
}

static enum fletch_status start(struct fletch_flight_server *server, struct fletch_error *error)
{
    enum fletch_status status = parse_location(server->options.location, &server->address, error);
    if (status == FLETCH_OK && server->address.as.any.sa_family == AF_UNIX)
        server->loop_count = 1;
    store_relaxed(&server->left, server->loop_count); /* relaxed: nobody knows the server yet */
    if (status == FLETCH_OK)
        status = start_loops(server, error);
    if (status == FLETCH_OK)
        status = start_workers(server, error);
    for (uint32_t i = 0; i < server->loop_count && status == FLETCH_OK; i++)
        status = prepare_loop(server, i, error);
    if (status == FLETCH_OK)
        write_location(server);
    return status;
}

enum fletch_status fletch_flight_server_create(const struct fletch_flight_server_options *options,
                                               struct fletch_flight_server **out_server,
                                               struct fletch_error *error)
{
    struct fletch_flight_server_options known;
    struct fletch_flight_handlers handlers;
    enum fletch_status status = check_options(options, &known, &handlers, error);
    if (status != FLETCH_OK)
        return status;
    uint32_t loop_count = known.loop_count == 0 ? fletch_cpu_count() : known.loop_count;
    if (loop_count > FLETCH_LOOPS_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "option loop_count is %u, at most %d", loop_count,
                                FLETCH_LOOPS_MOST);
    size_t bytes = sizeof(struct fletch_flight_server) + loop_count * sizeof(struct server_loop);
    struct fletch_flight_server *server = fletch_block_allocate(known.allocator, bytes);
    if (server == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a server of %zu bytes", bytes);
    memset(server, 0, bytes);
    server->options = known;
    server->handlers = handlers;
    server->allocator = fletch_allocator_or_default(known.allocator);
    server->loop_count = loop_count;
    server->service = (struct fletch_flight_service){
        .handlers = handlers,
        .user = known.user,
        .run_mode = known.run_mode,
        .allocator = server->allocator,
        .account = known.account,
        .validation = known.validation,
        .write_queue_bytes = known.write_queue_bytes,
        .peer_message_bytes = known.peer_message_bytes,
    };
    fletch_eventcount_start(&server->drained, FLETCH_SHARING_PROCESS);
    status = start(server, error);
    if (status != FLETCH_OK) {
        fletch_flight_server_destroy(server);
        return status;
    }
    *out_server = server;
    return FLETCH_OK;
}

void fletch_flight_server_destroy(struct fletch_flight_server *server)
{
    if (server == NULL)
        return;
    /* Calls end first, so that handlers that wait come back; then there is nobody to post. */
    for (uint32_t i = 0; server->group != NULL && i < server->loop_count; i++)
        if (server->loops[i].rpc != NULL)
            (void)do_on_loop(&server->loops[i], close_server, NULL);
    fletch_flight_workers_destroy(server->service.workers);
    fletch_loop_group_destroy(server->group);
    for (uint32_t i = 0; i < server->loop_count; i++) {
        fletch_rpc_health_destroy(server->loops[i].health);
        fletch_buffer_cache_close(server->loops[i].service.cache);
    }
    /* One of which somebody still has buffers stays, as the contract says. */
    bool is_left =
        server->options.pool == NULL && fletch_buffer_pool_destroy(server->pool, NULL) != FLETCH_OK;
    FLETCH_ASSERT(!is_left);
    (void)is_left;
    fletch_eventcount_deinit(&server->drained);
    fletch_block_release(server);
}

uint16_t fletch_flight_server_port(const struct fletch_flight_server *server)
{
    return fletch_socket_address_port(&server->address);
}

const char *fletch_flight_server_location(const struct fletch_flight_server *server)
{
    return server->location;
}

/* ---- draining ---- */

static void loop_drained(void *context)
{
    struct server_loop *at = context;
    struct fletch_flight_server *server = at->server;
    if (fletch_clock_now_ns() >= server->drain_deadline_ns)
        store_relaxed(&server->is_late, 1); /* relaxed: the count of `left` carries it */
    fetch_sub_acq_rel(&server->left, 1);    /* read by whoever waits for zero */
    fletch_eventcount_notify(&server->drained, UINT32_MAX);
}

static void drain_loop(void *context)
{
    struct server_loop *at = context;
    const struct fletch_rpc_drain drain = {
        .deadline_ns = at->server->drain_deadline_ns, .drained = loop_drained, .context = at};
    fletch_rpc_server_drain(at->rpc, &drain);
}

void fletch_flight_server_serve(struct fletch_flight_server *server)
{
    await(&server->drained, &server->left, is_zero);
}

enum fletch_status fletch_flight_server_drain(struct fletch_flight_server *server,
                                              uint64_t timeout_ns, struct fletch_error *error)
{
    /* The first one begins; `left` is set from the start. */
    if (exchange_acq_rel(&server->is_draining, 1) == 0) {
        server->drain_deadline_ns = fletch_clock_deadline_ns(timeout_ns);
        for (uint32_t i = 0; i < server->loop_count; i++) {
            server->loops[i].drain =
                (struct fletch_loop_task){.run = drain_loop, .context = &server->loops[i]};
            fletch_event_loop_post(server->loops[i].service.loop, &server->loops[i].drain);
        }
    }
    fletch_flight_server_serve(server);
    /* relaxed: zero of `left` was acquired */
    if (load_relaxed(&server->is_late) != 0)
        return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED,
                                "calls that had not ended were cut off");
    return FLETCH_OK;
}

/* ---- counters ---- */

void fletch_flight_server_statistics(const struct fletch_flight_server *server,
                                     struct fletch_flight_server_counters *out_counters)
{
    struct fletch_flight_server_counters counters = {.struct_size = out_counters->struct_size};
    for (uint32_t i = 0; i < server->loop_count; i++) {
        const struct fletch_flight_counters *loop = &server->loops[i].service.counters;
        counters.calls += load_relaxed(&loop->calls);                   /* relaxed: a number */
        counters.calls_now += load_relaxed(&loop->calls_now);           /* relaxed: a number */
        counters.received_bytes += load_relaxed(&loop->received_bytes); /* relaxed: a number */
        counters.sent_bytes += load_relaxed(&loop->sent_bytes);         /* relaxed: a number */
    }
    if (server->service.workers != NULL)
        fletch_flight_workers_count(server->service.workers, &counters.workers_now,
                                    &counters.waiting_now);
    size_t bytes = out_counters->struct_size;
    memcpy(out_counters, &counters, bytes < sizeof counters ? bytes : sizeof counters);
}
