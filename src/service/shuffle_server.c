#include <fletching/shuffle_server.h>

#include <string.h>

#include <fletching/wait.h>

#include "base/allocator.h"
#include "base/options.h"
#include "base/status.h"
#include "pump/pumps.h"
#include "service/service_action.h"
#include "service/service_get.h"
#include "service/service_info.h"
#include "service/service_put.h"
#include "shuffle/registry.h"

#define CREDIT_TIMEOUT_NS_DEFAULT UINT64_C(60000000000)
#define STALL_TIMEOUT_NS_DEFAULT UINT64_C(60000000000)
#define WRITE_QUEUE_BYTES_DEFAULT ((size_t)2 << 20)
enum { BUDGET_SHARE = 4 };

struct fletch_shuffle_server {
    struct fletch_service service;
    struct fletch_pumps *pumps; /* a reference: of the transport */
    struct fletch_flight_server *flight;
    char *texts; /* of the options */
    struct fletch_ticket_dialect *dialects;
};

/* ---- handlers ---- */

static enum fletch_status authenticate(void *user, struct fletch_flight_stream *stream,
                                       const char *method, struct fletch_error *error)
{
    const struct fletch_shuffle_server *server = user;
    return server->service.options.authenticate(server->service.options.user, stream, method,
                                                error);
}

static enum fletch_status handshake(void *user, struct fletch_flight_stream *stream,
                                    struct fletch_error *error)
{
    const struct fletch_shuffle_server *server = user;
    return server->service.options.handshake(server->service.options.user, stream, error);
}

/* A call that was refused is told of. */
static enum fletch_status refused(struct fletch_shuffle_server *server,
                                  struct fletch_flight_stream *stream, enum fletch_status status,
                                  const struct fletch_error *error)
{
    struct fletch_service_notice notice = {.kind = FLETCH_NOTICE_REFUSED,
                                           .partition = FLETCH_TICKET_WHOLE,
                                           .status = status,
                                           .text = error->message};
    if (status != FLETCH_OK)
        fletch_service_tell(&server->service, stream, NULL, &notice);
    return status;
}

static enum fletch_status list_flights(void *user, struct fletch_flight_stream *stream,
                                       const struct fletch_flight_bytes *criteria,
                                       struct fletch_error *error)
{
    struct fletch_shuffle_server *server = user;
    return refused(server, stream, fletch_service_list(&server->service, stream, criteria, error),
                   error);
}

static enum fletch_status get_flight_info(void *user, struct fletch_flight_stream *stream,
                                          const struct fletch_flight_descriptor *descriptor,
                                          struct fletch_error *error)
{
    struct fletch_shuffle_server *server = user;
    return refused(server, stream, fletch_service_info(&server->service, stream, descriptor, error),
                   error);
}

static enum fletch_status poll_flight_info(void *user, struct fletch_flight_stream *stream,
                                           const struct fletch_flight_descriptor *descriptor,
                                           struct fletch_error *error)
{
    struct fletch_shuffle_server *server = user;
    return refused(server, stream, fletch_service_poll(&server->service, stream, descriptor, error),
                   error);
}

static enum fletch_status get_schema(void *user, struct fletch_flight_stream *stream,
                                     const struct fletch_flight_descriptor *descriptor,
                                     struct fletch_error *error)
{
    struct fletch_shuffle_server *server = user;
    return refused(server, stream,
                   fletch_service_schema(&server->service, stream, descriptor, error), error);
}

static enum fletch_status do_get(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_bytes *ticket,
                                 struct fletch_error *error)
{
    struct fletch_shuffle_server *server = user;
    struct fletch_shuffle_ticket read;
    struct fletch_service_target target;
    enum fletch_status status = fletch_service_read_ticket(&server->service, ticket, &read, error);
    if (status == FLETCH_OK)
        status = fletch_service_find(&server->service, &read, &target, error);
    if (status == FLETCH_OK)
        status = fletch_service_get(&server->service, stream, &target, error);
    return refused(server, stream, status, error);
}

static enum fletch_status do_put(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_descriptor *descriptor,
                                 struct fletch_error *error)
{
    struct fletch_shuffle_server *server = user;
    return refused(server, stream, fletch_service_put(&server->service, stream, descriptor, error),
                   error);
}

/* A process of this library, whose pump takes the stream over. */
static enum fletch_status do_exchange(void *user, struct fletch_flight_stream *stream,
                                      const struct fletch_flight_descriptor *descriptor,
                                      struct fletch_error *error)
{
    struct fletch_shuffle_server *server = user;
    enum fletch_status status =
        fletch_pumps_is_command(descriptor)
            ? fletch_pumps_serve(server->pumps, stream, error)
            : fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                               "INVALID_ARGUMENT: an exchange is for pumps (docs/format/wire.md); "
                               "put and get are for everybody");
    return refused(server, stream, status, error);
}

static enum fletch_status do_action(void *user, struct fletch_flight_stream *stream,
                                    const struct fletch_flight_action *action,
                                    struct fletch_error *error)
{
    struct fletch_shuffle_server *server = user;
    return refused(server, stream, fletch_service_act(&server->service, stream, action, error),
                   error);
}

static enum fletch_status list_actions(void *user, struct fletch_flight_stream *stream,
                                       struct fletch_error *error)
{
    (void)user;
    return fletch_service_list_actions(stream, error);
}

/* ---- options ---- */

static uint64_t limit_of(const struct fletch_account *account)
{
    struct fletch_budget_statistics found = {.struct_size = sizeof found};
    fletch_account_statistics(account, &found);
    return found.limit_bytes;
}

static void set_usual(struct fletch_shuffle_server_options *options,
                      const struct fletch_transport *transport)
{
    const uint64_t share = limit_of(transport->shuffles);
    if (options->shuffle_limit == 0)
        options->shuffle_limit = FLETCH_SHUFFLE_LIMIT_DEFAULT;
    if (options->partition_limit == 0)
        options->partition_limit = FLETCH_SERVED_PARTITIONS_DEFAULT;
    if (options->producer_limit == 0)
        options->producer_limit = FLETCH_SERVED_PRODUCERS_DEFAULT;
    if (options->budget_limit_bytes == 0)
        options->budget_limit_bytes = share;
    if (options->budget_default_bytes == 0)
        options->budget_default_bytes = options->budget_limit_bytes / BUDGET_SHARE;
    if (options->credit_timeout_ns == 0)
        options->credit_timeout_ns = CREDIT_TIMEOUT_NS_DEFAULT;
    if (options->stall_timeout_ns == 0)
        options->stall_timeout_ns = STALL_TIMEOUT_NS_DEFAULT;
    if (options->write_queue_bytes == 0)
        options->write_queue_bytes = WRITE_QUEUE_BYTES_DEFAULT;
}

static enum fletch_status check_options(const struct fletch_shuffle_server_options *options,
                                        struct fletch_error *error)
{
    if ((unsigned)options->creation > FLETCH_CREATION_OFF)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: creation is %d, expected 0 to %d",
                                (int)options->creation, FLETCH_CREATION_OFF);
    if (options->budget_default_bytes > options->budget_limit_bytes)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: budget_default_bytes is %llu, expected up to "
                                "%llu, the limit",
                                (unsigned long long)options->budget_default_bytes,
                                (unsigned long long)options->budget_limit_bytes);
    return FLETCH_OK;
}

static size_t text_bytes(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static const char *keep(char **at, const char *text)
{
    const size_t bytes = text_bytes(text);
    char *kept = *at;
    if (text == NULL)
        return NULL;
    memcpy(kept, text, bytes);
    *at += bytes;
    return kept;
}

/* Texts and dialects become the server's own. */
static enum fletch_status copy_options(struct fletch_shuffle_server *server,
                                       struct fletch_error *error)
{
    static const struct fletch_ticket_dialect usual = {.read = fletch_ticket_read_hash};
    struct fletch_shuffle_server_options *options = &server->service.options;
    if (options->dialects == NULL) {
        options->dialects = &usual;
        options->dialect_count = 1;
    }
    const size_t dialect_bytes = options->dialect_count * sizeof usual;
    server->texts =
        fletch_block_allocate(&server->service.allocator, 1 + text_bytes(options->public_location) +
                                                              text_bytes(options->spill_directory));
    server->dialects = fletch_block_allocate(&server->service.allocator, dialect_bytes + 1);
    if (server->texts == NULL || server->dialects == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for the options of a server");
    char *at = server->texts;
    options->public_location = keep(&at, options->public_location);
    options->spill_directory = keep(&at, options->spill_directory);
    memcpy(server->dialects, options->dialects, dialect_bytes);
    options->dialects = server->dialects;
    return FLETCH_OK;
}

/* ---- life ---- */

static enum fletch_status serve(struct fletch_shuffle_server *server, struct fletch_error *error)
{
    const struct fletch_shuffle_server_options *options = &server->service.options;
    const struct fletch_flight_handlers handlers = {
        .struct_size = sizeof handlers,
        .authenticate = options->authenticate == NULL ? NULL : authenticate,
        .handshake = options->handshake == NULL ? NULL : handshake,
        .list_flights = list_flights,
        .get_flight_info = get_flight_info,
        .poll_flight_info = poll_flight_info,
        .get_schema = get_schema,
        .do_get = do_get,
        .do_put = do_put,
        .do_exchange = do_exchange,
        .do_action = do_action,
        .list_actions = list_actions,
    };
    const struct fletch_flight_server_options flight = {
        .struct_size = sizeof flight,
        .location = options->location,
        .handlers = &handlers,
        .user = server,
        .run_mode = FLETCH_FLIGHT_ON_LOOP,
        .loop_count = options->loop_count,
        .pool = server->service.transport->pool,
        .allocator = options->allocator,
        .message_limit_bytes = options->message_limit_bytes,
        .write_queue_bytes = options->write_queue_bytes,
        .peer_message_bytes = options->peer_message_bytes,
        .connection_limit = options->connection_limit,
        .stream_limit = options->stream_limit,
        .spin_ns = options->spin_ns,
        .validation = options->validation,
    };
    return fletch_flight_server_create(&flight, &server->flight, error);
}

static enum fletch_status make(struct fletch_shuffle_server *server, struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(server->service.transport, error);
    set_usual(&server->service.options, server->service.transport);
    if (status == FLETCH_OK)
        status = check_options(&server->service.options, error);
    if (status == FLETCH_OK)
        status = copy_options(server, error);
    const struct fletch_pumps_options pumps = {.spin_ns = server->service.options.spin_ns};
    if (status == FLETCH_OK)
        status = fletch_pumps_acquire(server->service.transport, &pumps, &server->pumps, error);
    return status == FLETCH_OK ? serve(server, error) : status;
}

enum fletch_status fletch_shuffle_server_create(struct fletch_transport *transport,
                                                const struct fletch_shuffle_server_options *options,
                                                struct fletch_shuffle_server **out_server,
                                                struct fletch_error *error)
{
    static const struct fletch_shuffle_server_options defaults = {.struct_size = sizeof defaults};
    struct fletch_shuffle_server_options known;
    enum fletch_status status = fletch_options_copy(
        &known, sizeof known, options == NULL ? &defaults : options, sizeof known, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_allocator allocator = fletch_allocator_or_default(known.allocator);
    struct fletch_shuffle_server *server = fletch_block_allocate(&allocator, sizeof *server);
    if (server == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a server of shuffles");
    memset(server, 0, sizeof *server);
    server->service.transport = transport;
    server->service.allocator = allocator;
    server->service.options = known;
    status = make(server, error);
    if (status != FLETCH_OK) {
        fletch_shuffle_server_destroy(server);
        return status;
    }
    *out_server = server;
    return FLETCH_OK;
}

void fletch_shuffle_server_destroy(struct fletch_shuffle_server *server)
{
    if (server == NULL)
        return;
    if (server->pumps != NULL)
        fletch_pumps_end_served(server->pumps);
    fletch_flight_server_destroy(server->flight);
    fletch_pumps_release(server->pumps);
    if (server->texts != NULL)
        fletch_block_release(server->texts);
    if (server->dialects != NULL)
        fletch_block_release(server->dialects);
    fletch_block_release(server);
}

uint16_t fletch_shuffle_server_port(const struct fletch_shuffle_server *server)
{
    return fletch_flight_server_port(server->flight);
}

const char *fletch_shuffle_server_location(const struct fletch_shuffle_server *server)
{
    return fletch_flight_server_location(server->flight);
}

void fletch_shuffle_server_serve(struct fletch_shuffle_server *server)
{
    fletch_flight_server_serve(server->flight);
}

enum fletch_status fletch_shuffle_server_drain(struct fletch_shuffle_server *server,
                                               uint64_t timeout_ns, struct fletch_error *error)
{
    return fletch_flight_server_drain(server->flight, timeout_ns, error);
}

/* ---- all shuffles ---- */

/* Calls `visit` (NULL: nobody) for each; returns how many there are, or UINT64_MAX: no memory. */
static uint64_t visit_all(struct fletch_transport *transport,
                          void (*visit)(struct fletch_shuffle *shuffle))
{
    struct fletch_epoch_seat *seat = fletch_transport_borrow_seat(transport, NULL);
    struct fletch_store_scan scan;
    struct fletch_shuffle *shuffle;
    uint64_t count = 0;
    if (seat == NULL)
        return UINT64_MAX;
    fletch_store_scan_start(&scan, NULL);
    while ((shuffle = fletch_registry_next(transport, seat->reader, &scan)) != NULL) {
        count++;
        if (visit != NULL)
            visit(shuffle);
        fletch_shuffle_release(shuffle);
    }
    fletch_transport_return_seat(transport, seat);
    return count;
}

enum fletch_status fletch_shuffle_server_drop_all(struct fletch_shuffle_server *server,
                                                  struct fletch_error *error)
{
    if (visit_all(server->service.transport, fletch_shuffle_close) != UINT64_MAX)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory to look for shuffles");
}

void fletch_shuffle_server_statistics(struct fletch_shuffle_server *server,
                                      struct fletch_shuffle_server_counters *out_counters)
{
    struct fletch_service_counters *counters = &server->service.counters;
    struct fletch_flight_server_counters flight = {.struct_size = sizeof flight};
    fletch_flight_server_statistics(server->flight, &flight);
    const struct fletch_shuffle_server_counters found = {
        .struct_size = out_counters->struct_size,
        .calls = flight.calls,
        .calls_now = flight.calls_now,
        .puts = load_relaxed(&counters->puts),               /* relaxed: a statistic */
        .puts_now = load_relaxed(&counters->puts_now),       /* relaxed: a statistic */
        .puts_lost = load_relaxed(&counters->puts_lost),     /* relaxed: a statistic */
        .gets = load_relaxed(&counters->gets),               /* relaxed: a statistic */
        .gets_now = load_relaxed(&counters->gets_now),       /* relaxed: a statistic */
        .gets_broken = load_relaxed(&counters->gets_broken), /* relaxed: a statistic */
        .rows_put = load_relaxed(&counters->rows_put),       /* relaxed: a statistic */
        .rows_got = load_relaxed(&counters->rows_got),       /* relaxed: a statistic */
        .actions = load_relaxed(&counters->actions),         /* relaxed: a statistic */
        .received_bytes = flight.received_bytes,
        .sent_bytes = flight.sent_bytes,
        .shuffles_now =
            load_relaxed(&server->service.transport->shuffle_count), /* relaxed: a statistic */
    };
    memcpy(out_counters, &found,
           found.struct_size < sizeof found ? found.struct_size : sizeof found);
}
