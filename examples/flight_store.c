/* A Flight server over the partition store. What is put stays in memory as it came; any number of
 * clients get it from where it lies. A command, a ticket and the body of the action "drop", which
 * lets a whole shuffle go, are a key of the store as its 16 bytes (two native integers of 32 bits
 * behind one of 64). Who reads what was dropped reads on to its end.
 *
 *   example_flight_store [location]     serves until SIGTERM or SIGINT */

#include <string.h>

#include "flight_kit.h"
#include "kit.h"

static struct fletch_epoch_domain *domain;
static struct fletch_partition_store *store;

/* A value of the store is a partition as it was put: struct fletch_flight_batches. */
static void drop_partition(void *context, void *payload, size_t payload_bytes)
{
    (void)context;
    (void)payload_bytes;
    fletch_flight_batches_release(payload);
}

/* The key of a request, and a handle for the thread that its handler runs on. */
static enum fletch_status begin(const struct fletch_flight_bytes *bytes,
                                struct fletch_store_key *out_key,
                                struct fletch_epoch_reader **out_reader, struct fletch_error *error)
{
    if (bytes->bytes != sizeof *out_key)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "%zu bytes, expected a key of %zu bytes", bytes->bytes,
                                sizeof *out_key);
    memcpy(out_key, bytes->data, sizeof *out_key);
    return fletch_epoch_reader_open(domain, out_reader, error);
}

/* Reads a partition to its end, which makes it visible whole. */
static enum fletch_status put(void *user, struct fletch_flight_stream *stream,
                              const struct fletch_flight_descriptor *to, struct fletch_error *error)
{
    struct fletch_flight_batches *batches;
    struct fletch_epoch_reader *reader;
    struct fletch_store_value *value;
    struct fletch_store_key key;
    (void)user;
    if (begin(&to->command, &key, &reader, error) != FLETCH_OK)
        return error->status;
    must(fletch_partition_store_value_create(store, reader, sizeof *batches, &value, error), error);
    batches = fletch_store_value_payload(value);
    *batches = (struct fletch_flight_batches){.count = 0};
    enum fletch_status status =
        fletch_flight_stream_read_all(stream, FLETCH_NO_TIMEOUT, batches, error);
    if (status == FLETCH_OK)
        status = fletch_partition_store_insert(store, reader, &key, value, error);
    if (status != FLETCH_OK)
        fletch_store_value_release(store, reader, value);
    fletch_epoch_reader_close(reader);
    return status;
}

/* Writes each batch from where it lies. */
static enum fletch_status get(void *user, struct fletch_flight_stream *stream,
                              const struct fletch_flight_bytes *ticket, struct fletch_error *error)
{
    struct fletch_epoch_reader *reader;
    struct fletch_store_key key;
    (void)user;
    if (begin(ticket, &key, &reader, error) != FLETCH_OK)
        return error->status;
    struct fletch_store_value *value = fletch_partition_store_get(store, reader, &key);
    fletch_epoch_reader_close(reader);
    if (value == NULL)
        return fletch_error_set(error, FLETCH_NOT_FOUND, "there is no such partition");
    enum fletch_status status = fletch_flight_stream_write_all(
        stream, FLETCH_NO_TIMEOUT, fletch_store_value_payload(value), NULL, error);
    fletch_store_value_release(store, NULL, value);
    return status;
}

/* Each partition as a flight of one endpoint, whose ticket is its key. */
static enum fletch_status list(void *user, struct fletch_flight_stream *stream,
                               const struct fletch_flight_bytes *criteria,
                               struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    struct fletch_epoch_reader *reader;
    struct fletch_store_value *value;
    struct fletch_store_scan scan;
    (void)user;
    (void)criteria;
    must(fletch_epoch_reader_open(domain, &reader, error), error);
    fletch_store_scan_start(&scan, NULL);
    fletch_epoch_enter(reader);
    while (status == FLETCH_OK && (value = fletch_store_scan_next(store, reader, &scan)) != NULL) {
        const struct fletch_flight_batches *batches = fletch_store_value_payload(value);
        const struct fletch_store_key key = fletch_store_value_key(value);
        const struct fletch_flight_bytes bytes = {&key, sizeof key};
        const struct fletch_flight_endpoint endpoint = {.ticket = bytes};
        const struct fletch_flight_info info = {
            .schema = batches->schema,
            .descriptor = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND, .command = bytes},
            .endpoints = &endpoint,
            .endpoint_count = 1,
            .total_records = -1,
            .total_bytes = -1};
        status = fletch_flight_answer_status(
            fletch_flight_stream_send(stream, FLETCH_FLIGHT_INFO, &info, 0, error), error);
    }
    fletch_epoch_exit(reader);
    fletch_epoch_reader_close(reader);
    return status;
}

static enum fletch_status drop(void *user, struct fletch_flight_stream *stream,
                               const struct fletch_flight_action *action,
                               struct fletch_error *error)
{
    struct fletch_epoch_reader *reader;
    struct fletch_store_key key;
    (void)user;
    (void)stream;
    if (strcmp(action->type, "drop") != 0)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED, "the one action is \"drop\"");
    if (begin(&action->body, &key, &reader, error) != FLETCH_OK)
        return error->status;
    const enum fletch_status status =
        fletch_partition_store_remove_shuffle(store, reader, key.shuffle, NULL, error);
    fletch_epoch_reader_close(reader);
    return status;
}

int main(int argc, char **argv)
{
    const struct fletch_partition_store_options options = {.struct_size = sizeof options,
                                                           .drop = drop_partition};
    const struct fletch_flight_handlers handlers = {.struct_size = sizeof handlers,
                                                    .list_flights = list,
                                                    .do_get = get,
                                                    .do_put = put,
                                                    .do_action = drop};
    struct fletch_error error;
    must(fletch_epoch_domain_create(NULL, NULL, &domain, &error), &error);
    must(fletch_partition_store_create(domain, &options, NULL, &store, &error), &error);
    struct fletch_flight_server *server = serve_flight(argc > 1 ? argv[1] : NULL, &handlers);
    fletch_partition_store_destroy(store);
    fletch_flight_server_destroy(server);
    fletch_epoch_domain_destroy(domain);
    return 0;
}
