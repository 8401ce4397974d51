#include <fletching/shuffle_client.h>

#include <jansson.h>
#include <string.h>

#include <fletching/flight_client.h>
#include <fletching/placement.h>
#include <fletching/shuffle_writer.h>
#include <fletching/wait.h>

#include "base/allocator.h"
#include "base/options.h"
#include "base/status.h"
#include "flight/flight_schema.h"
#include "grpc/grpc_text.h"
#include "pump/pumps.h"
#include "service/client_report.h"
#include "service/json_reader.h"
#include "service/service_report.h"
#include "shuffle/specification_bytes.h"
#include "shuffle/transport.h"

#define TIMEOUT_NS_DEFAULT UINT64_C(60000000000)
#define MS_NS UINT64_C(1000000)

struct fletch_shuffle_client {
    struct fletch_transport *transport;
    struct fletch_allocator allocator;
    char location[FLETCH_ADDRESS_BYTES_MAX + 1]; /* of this process in placements; "": none */
    struct fletch_pumps *pumps;                  /* a reference: of the transport */
    struct fletch_flight_client *flight;         /* theirs */
};

/* ---- life ---- */

static enum fletch_status acquire_pumps(struct fletch_shuffle_client *client,
                                        const struct fletch_shuffle_client_options *options,
                                        struct fletch_error *error)
{
    const struct fletch_pumps_options pumps = {
        .spin_ns = options->spin_ns,
        .client =
            {
                .struct_size = sizeof pumps.client,
                .loop_count = options->loop_count,
                .connection_limit = options->connection_limit,
                .connect_timeout_ns = options->connect_timeout_ns,
                .idle_timeout_ns = options->idle_timeout_ns,
                .message_limit_bytes = options->message_limit_bytes,
                .write_queue_bytes = options->write_queue_bytes,
                .spin_ns = options->spin_ns,
            },
    };
    enum fletch_status status =
        fletch_pumps_acquire(client->transport, &pumps, &client->pumps, error);
    if (status == FLETCH_OK)
        client->flight = fletch_pumps_client(client->pumps);
    return status;
}

enum fletch_status fletch_shuffle_client_create(struct fletch_transport *transport,
                                                const struct fletch_shuffle_client_options *options,
                                                struct fletch_shuffle_client **out_client,
                                                struct fletch_error *error)
{
    static const struct fletch_shuffle_client_options defaults = {.struct_size = sizeof defaults};
    struct fletch_shuffle_client_options known;
    enum fletch_status status = fletch_options_copy(
        &known, sizeof known, options == NULL ? &defaults : options, sizeof known, error);
    if (status == FLETCH_OK)
        status = fletch_transport_check(transport, error);
    if (status == FLETCH_OK && known.location != NULL &&
        strlen(known.location) > FLETCH_ADDRESS_BYTES_MAX)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                  "INVALID_ARGUMENT: a location of %zu bytes, expected up to %u",
                                  strlen(known.location), FLETCH_ADDRESS_BYTES_MAX);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_allocator allocator = fletch_allocator_or_default(known.allocator);
    struct fletch_shuffle_client *client = fletch_block_allocate(&allocator, sizeof *client);
    if (client == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a client of shuffles");
    *client = (struct fletch_shuffle_client){.transport = transport, .allocator = allocator};
    if (known.location != NULL)
        memcpy(client->location, known.location, strlen(known.location));
    status = acquire_pumps(client, &known, error);
    if (status != FLETCH_OK) {
        fletch_shuffle_client_destroy(client);
        return status;
    }
    *out_client = client;
    return FLETCH_OK;
}

void fletch_shuffle_client_destroy(struct fletch_shuffle_client *client)
{
    if (client == NULL)
        return;
    fletch_pumps_release(client->pumps);
    fletch_block_release(client);
}

/* ---- actions ---- */

/* What is done with each answer. */
struct listener {
    enum fletch_status (*hear)(void *context, struct fletch_flight_bytes answer,
                               struct fletch_error *error);
    void *context;
};

struct request {
    const char *location;
    const char *type;
    json_t *body; /* NULL: no memory */
    uint64_t timeout_ns;
};

static enum fletch_status hear_all(struct fletch_flight_stream *stream,
                                   const struct listener *listener, struct fletch_error *error)
{
    const void *message;
    struct fletch_flight_end end;
    enum fletch_status status = FLETCH_OK;
    while (status == FLETCH_OK &&
           fletch_flight_stream_receive(stream, FLETCH_FLIGHT_RESULT, FLETCH_NO_TIMEOUT, &message,
                                        NULL) == FLETCH_DONE) {
        if (listener != NULL)
            status = listener->hear(listener->context, *(const struct fletch_flight_bytes *)message,
                                    error);
        fletch_flight_release(message);
    }
    if (status != FLETCH_OK)
        return status;
    if (fletch_flight_stream_end(stream, FLETCH_NO_TIMEOUT, &end, error) != FLETCH_DONE)
        return error == NULL ? FLETCH_UNAVAILABLE : error->status;
    return end.status == FLETCH_OK ? FLETCH_OK
                                   : fletch_error_set(error, end.status, "%s", end.text);
}

/* Does it, and lets go of the body. */
static enum fletch_status act(struct fletch_shuffle_client *client, const struct request *request,
                              const struct listener *listener, struct fletch_error *error)
{
    const struct fletch_flight_call_options options = {
        .struct_size = sizeof options,
        .location = request->location,
        .timeout_ns = request->timeout_ns == 0 || request->timeout_ns == FLETCH_DEADLINE_DEFAULT
                          ? TIMEOUT_NS_DEFAULT
                          : request->timeout_ns,
    };
    char *body = fletch_json_write(request->body);
    json_decref(request->body);
    if (body == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for the body of '%s'",
                                request->type);
    const struct fletch_flight_action action = {request->type, {body, strlen(body)}};
    struct fletch_flight_stream *stream = NULL;
    enum fletch_status status =
        fletch_flight_client_do_action(client->flight, &options, &action, &stream, error);
    if (status == FLETCH_OK)
        status = hear_all(stream, listener, error);
    fletch_flight_stream_close(stream);
    fletch_block_release(body);
    return status;
}

/* Names that are no text go in base64. */
static void set_name(json_t *body, struct fletch_shuffle_name name)
{
    char text[FLETCH_GRPC_BASE64_BYTES(FLETCH_SHUFFLE_NAME_BYTES_MAX) + 1];
    if (name.byte_count == 0 || name.byte_count > FLETCH_SHUFFLE_NAME_BYTES_MAX)
        return;
    json_t *plain = memchr(name.bytes, '\0', name.byte_count) != NULL
                        ? NULL
                        : json_stringn(name.bytes, name.byte_count);
    if (plain != NULL) {
        (void)json_object_set_new(body, "name", plain);
        return;
    }
    const size_t bytes = fletch_grpc_base64_encode(name.bytes, name.byte_count, text);
    (void)json_object_set_new(body, "name_base64", json_stringn(text, bytes));
}

static enum fletch_status act_on(struct fletch_shuffle_client *client, const char *type,
                                 const struct fletch_shuffle_address *address, uint64_t timeout_ns,
                                 struct fletch_error *error)
{
    const struct request request = {address->location, type, json_object(), timeout_ns};
    set_name(request.body, address->name);
    return act(client, &request, NULL, error);
}

enum fletch_status fletch_shuffle_client_end(struct fletch_shuffle_client *client,
                                             const struct fletch_shuffle_address *address,
                                             uint64_t timeout_ns, struct fletch_error *error)
{
    return act_on(client, "end", address, timeout_ns, error);
}

enum fletch_status fletch_shuffle_client_drop(struct fletch_shuffle_client *client,
                                              const struct fletch_shuffle_address *address,
                                              uint64_t timeout_ns, struct fletch_error *error)
{
    return act_on(client, "drop", address, timeout_ns, error);
}

enum fletch_status fletch_shuffle_client_cancel(struct fletch_shuffle_client *client,
                                                const struct fletch_shuffle_address *address,
                                                const char *reason, uint64_t timeout_ns,
                                                struct fletch_error *error)
{
    const struct request request = {address->location, "cancel", json_object(), timeout_ns};
    set_name(request.body, address->name);
    if (reason != NULL)
        (void)json_object_set_new(request.body, "reason", json_string(reason));
    return act(client, &request, NULL, error);
}

/* ---- registering ---- */

static enum fletch_status set_schema(json_t *body, const struct fletch_schema *schema,
                                     const struct fletch_allocator *allocator,
                                     struct fletch_error *error)
{
    const size_t bytes = schema == NULL ? 0 : fletch_flight_schema_measure(schema);
    if (bytes == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a schema was expected, of less than 2 GiB");
    uint8_t *message = fletch_block_allocate(allocator, bytes);
    char *text = fletch_block_allocate(allocator, FLETCH_GRPC_BASE64_BYTES(bytes) + 1);
    enum fletch_status status = FLETCH_OK;
    if (message == NULL || text == NULL) {
        status = fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                  "RESOURCE_EXHAUSTED: no memory for a schema of %zu bytes", bytes);
    } else {
        fletch_flight_schema_write(schema, message, bytes);
        const size_t length = fletch_grpc_base64_encode(message, bytes, text);
        (void)json_object_set_new(body, "schema", json_stringn(text, length));
    }
    if (message != NULL)
        fletch_block_release(message);
    if (text != NULL)
        fletch_block_release(text);
    return status;
}

static enum fletch_status set_partitioner(json_t *body,
                                          const struct fletch_partitioner_options *partitioner,
                                          const struct fletch_schema *schema,
                                          struct fletch_error *error)
{
    static const char *const methods[] = {"hash",        "spark-murmur3", NULL,
                                          "round-robin", "column",        "broadcast"};
    const size_t columns = fletch_schema_column_count(schema);
    json_t *keys = json_array();
    if (partitioner == NULL || (unsigned)partitioner->method > FLETCH_PARTITION_BROADCAST ||
        methods[partitioner->method] == NULL || partitioner->virtual_node_map != NULL ||
        partitioner->virtual_node_count != 0) {
        json_decref(keys);
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "UNIMPLEMENTED: ranges and maps of virtual nodes are registered "
                                "where they are used");
    }
    for (uint32_t i = 0; i < partitioner->key_column_count; i++)
        if (partitioner->key_columns[i] < columns)
            (void)json_array_append_new(keys, json_string(fletch_schema_column_name(
                                                  schema, partitioner->key_columns[i], NULL)));
    (void)json_object_set_new(body, "method", json_string(methods[partitioner->method]));
    (void)json_object_set_new(body, "keys", keys);
    (void)json_object_set_new(body, "partitions", json_integer(partitioner->partition_count));
    (void)json_object_set_new(body, "seed", json_integer((json_int_t)partitioner->seed));
    return FLETCH_OK;
}

static void set_rest(json_t *body, const struct fletch_shuffle_options *options)
{
    const bool is_held = options->hold_open != 0;
    if (is_held)
        (void)json_object_set_new(body, "open", json_true());
    else
        (void)json_object_set_new(body, "producers", json_integer(options->producer_count));
    (void)json_object_set_new(body, "producer_limit",
                              json_integer((json_int_t)options->producer_limit -
                                           (is_held && options->producer_limit > 0 ? 1 : 0)));
    if ((unsigned)options->retention <= FLETCH_RETENTION_UNTIL_CLOSE)
        (void)json_object_set_new(body, "retention",
                                  json_string(fletch_service_retentions[options->retention]));
    if ((unsigned)options->sums <= FLETCH_SUMS_OFF)
        (void)json_object_set_new(body, "sums", json_string(fletch_service_sums[options->sums]));
    (void)json_object_set_new(body, "budget_bytes",
                              json_integer((json_int_t)options->budget_bytes));
    (void)json_object_set_new(body, "frame_bytes", json_integer((json_int_t)options->frame_bytes));
    (void)json_object_set_new(body, "strict_schema", json_boolean(options->strict_schema != 0));
    (void)json_object_set_new(body, "watermark_idle_ms",
                              json_integer((json_int_t)(options->watermark_idle_ns / MS_NS)));
    (void)json_object_set_new(body, "barrier_limit", json_integer(options->barrier_limit));
}

enum fletch_status
fletch_shuffle_client_create_shuffle(struct fletch_shuffle_client *client, const char *location,
                                     const struct fletch_shuffle_options *options,
                                     uint64_t timeout_ns, struct fletch_error *error)
{
    struct fletch_shuffle_options known;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, options, sizeof known.struct_size, error);
    if (status != FLETCH_OK)
        return status;
    const struct request request = {location, "create", json_object(), timeout_ns};
    set_name(request.body, (struct fletch_shuffle_name){known.name, known.name_bytes});
    status = set_schema(request.body, known.schema, &client->allocator, error);
    if (status == FLETCH_OK)
        status = set_partitioner(request.body, known.partitioner, known.schema, error);
    if (status != FLETCH_OK) {
        json_decref(request.body);
        return status;
    }
    set_rest(request.body, &known);
    return act(client, &request, NULL, error);
}

/* ---- reports ---- */

static enum fletch_status hear_report(void *context, struct fletch_flight_bytes answer,
                                      struct fletch_error *error)
{
    return fletch_client_reports_add(context, answer, error);
}

enum fletch_status fletch_shuffle_client_report(struct fletch_shuffle_client *client,
                                                const struct fletch_shuffle_address *address,
                                                uint64_t timeout_ns,
                                                struct fletch_shuffle_reports *out_reports,
                                                struct fletch_error *error)
{
    struct fletch_client_reports *reports = fletch_client_reports_start();
    const struct listener listener = {hear_report, reports};
    if (reports == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for reports");
    const struct request request = {address->location, "report", json_object(), timeout_ns};
    set_name(request.body, address->name);
    enum fletch_status status = act(client, &request, &listener, error);
    if (status == FLETCH_OK)
        status = fletch_client_reports_finish(reports, out_reports, error);
    if (status != FLETCH_OK)
        fletch_client_reports_drop(reports);
    return status;
}

/* ---- joining ---- */

/* What another process says of a shuffle. */
struct description {
    struct fletch_transport *transport;
    struct fletch_specification_copy *copy; /* NULL: not heard yet */
};

static enum fletch_status hear_description(void *context, struct fletch_flight_bytes answer,
                                           struct fletch_error *error)
{
    struct description *description = context;
    if (description->copy != NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: the server described the shuffle twice");
    return fletch_specification_read(description->transport, answer.data, answer.bytes,
                                     &description->copy, error);
}

/* Which of the addresses of a placement this process is. */
static uint32_t find_self(const struct fletch_shuffle_client *client,
                          const struct fletch_placement *placement)
{
    for (uint32_t i = 0; i < placement->address_count; i++)
        if (strcmp(placement->addresses[i], client->location) == 0)
            return i;
    return FLETCH_NO_PROCESS;
}

static enum fletch_status join_as(struct fletch_shuffle_client *client, const char *location,
                                  struct fletch_specification_copy *copy,
                                  struct fletch_shuffle **out_shuffle, struct fletch_error *error)
{
    struct fletch_shuffle_options *options = fletch_specification_options(copy);
    /* Who has a shuffle without a placement has all of it. */
    const struct fletch_placement alone = {.struct_size = sizeof alone,
                                           .addresses = &location,
                                           .address_count = 1,
                                           .self = FLETCH_NO_PROCESS};
    if (options->hold_open != 0)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: the producers of a set that is held open put "
                                "by Flight");
    enum fletch_status status = FLETCH_OK;
    if (options->placement == NULL)
        options->placement = &alone;
    else
        status = fletch_specification_set_self(copy, find_self(client, options->placement), error);
    return status == FLETCH_OK
               ? fletch_shuffle_register(client->transport, options, out_shuffle, error)
               : status;
}

enum fletch_status fletch_shuffle_client_join(struct fletch_shuffle_client *client,
                                              const struct fletch_shuffle_address *address,
                                              uint64_t timeout_ns,
                                              struct fletch_shuffle **out_shuffle,
                                              struct fletch_error *error)
{
    struct description description = {.transport = client->transport};
    const struct listener listener = {hear_description, &description};
    const struct request request = {address->location, "describe", json_object(), timeout_ns};
    set_name(request.body, address->name);
    enum fletch_status status = act(client, &request, &listener, error);
    if (status == FLETCH_OK && description.copy == NULL)
        status = fletch_error_set(error, FLETCH_INTERNAL, "INTERNAL: the server said nothing");
    if (status == FLETCH_OK)
        status = join_as(client, address->location, description.copy, out_shuffle, error);
    fletch_specification_copy_destroy(description.copy);
    return status;
}
