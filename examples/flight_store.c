/* A Flight server over the partition store. What is put stays in memory as it came; any number of
 * clients get it from where it lies. A command, a ticket and the body of the action "drop", which
 * lets a whole shuffle go, are a key of the store with slot 0 as its 16 bytes (two native integers
 * of 32 bits behind one of 64). Who reads what was dropped reads on to its end.
 *
 *   example_flight_store [location]     serves until SIGTERM or SIGINT */

#include <stdio.h>
#include <string.h>

#include "kit.h"

static struct fletch_epoch_domain *domain;
static struct fletch_partition_store *store;

/* A value of the store: a partition's schema in slot 0, which is the last to come, its batches from
 * slot 1 on. */
struct item {
    struct fletch_schema *schema;
    struct fletch_batch *batch;
};

static void drop_item(void *context, void *payload, size_t payload_bytes)
{
    (void)context;
    (void)payload_bytes;
    fletch_schema_release(((struct item *)payload)->schema);
    fletch_batch_release(NULL, ((struct item *)payload)->batch);
}

/* The key of a request, and a handle for the thread that its handler runs on. */
static enum fletch_status begin(const struct fletch_flight_bytes *bytes,
                                struct fletch_store_key *out_key,
                                struct fletch_epoch_reader **out_reader, struct fletch_error *error)
{
    if (bytes->bytes != sizeof *out_key)
        return refuse(error, FLETCH_INVALID_ARGUMENT, "expected a key of 16 bytes");
    memcpy(out_key, bytes->data, sizeof *out_key);
    return fletch_epoch_reader_open(domain, out_reader, error);
}

/* Takes the references of `item` in any case. */
static enum fletch_status keep(struct fletch_epoch_reader *reader, struct fletch_store_key key,
                               struct item item, struct fletch_error *error)
{
    struct fletch_store_value *value;
    must(fletch_partition_store_value_create(store, reader, sizeof item, &value, error), error);
    memcpy(fletch_store_value_payload(value), &item, sizeof item);
    enum fletch_status status = fletch_partition_store_insert(store, reader, &key, value, error);
    if (status != FLETCH_OK)
        fletch_store_value_release(store, reader, value);
    return status;
}

/* Keeps what comes; the schema at last, which makes it visible. */
static enum fletch_status put(void *user, struct fletch_flight_stream *stream,
                              const struct fletch_flight_descriptor *to, struct fletch_error *error)
{
    struct fletch_flight_data data;
    struct fletch_epoch_reader *reader;
    struct fletch_schema *schema;
    struct fletch_store_key key;
    uint32_t kept = 0;
    (void)user;
    if (begin(&to->command, &key, &reader, error) != FLETCH_OK)
        return error->status;
    while (fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, error) == FLETCH_DONE) {
        key.slot = kept + 1;
        if (keep(reader, key, (struct item){NULL, data.batch}, error) != FLETCH_OK)
            break;
        kept++;
    }
    key.slot = 0;
    if (error->status == FLETCH_OK &&
        fletch_flight_stream_schema(stream, 0, &schema, error) == FLETCH_DONE)
        (void)keep(reader, key, (struct item){fletch_schema_acquire(schema), NULL}, error);
    for (key.slot = kept; error->status != FLETCH_OK && key.slot > 0; key.slot--)
        (void)!fletch_partition_store_remove(store, reader, &key, NULL);
    fletch_epoch_reader_close(reader);
    return error->status;
}

static enum fletch_status get(void *user, struct fletch_flight_stream *stream,
                              const struct fletch_flight_bytes *ticket, struct fletch_error *error)
{
    struct fletch_epoch_reader *reader;
    struct fletch_store_value *value;
    struct fletch_store_key key;
    (void)user;
    if (begin(ticket, &key, &reader, error) != FLETCH_OK)
        return error->status;
    enum fletch_status status = refuse(error, FLETCH_NOT_FOUND, "there is no such partition");
    for (; (value = fletch_partition_store_get(store, reader, &key)) != NULL; key.slot++) {
        const struct item *item = fletch_store_value_payload(value);
        const struct fletch_flight_output output = {.batch = item->batch};
        if (key.slot == 0)
            status = fletch_flight_stream_begin(stream, item->schema, NULL, error);
        else if (fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output, error) !=
                 FLETCH_DONE)
            status = error->status;
        fletch_store_value_release(store, reader, value);
        if (status != FLETCH_OK)
            break;
    }
    fletch_epoch_reader_close(reader);
    return status;
}

/* A visible partition as an info. */
static enum fletch_answer send_info(struct fletch_flight_stream *stream,
                                    const struct fletch_store_value *value,
                                    struct fletch_error *error)
{
    const struct item *item = fletch_store_value_payload(value);
    const struct fletch_store_key key = fletch_store_value_key(value);
    const struct fletch_flight_endpoint endpoint = {.ticket = {&key, sizeof key}};
    const struct fletch_flight_info info = {
        .schema = item->schema,
        .descriptor = {FLETCH_FLIGHT_DESCRIPTOR_COMMAND, {&key, sizeof key}, NULL, 0},
        .endpoints = &endpoint,
        .endpoint_count = 1,
        .total_records = -1,
        .total_bytes = -1};
    return key.slot > 0 ? FLETCH_DONE
                        : fletch_flight_stream_send(stream, FLETCH_FLIGHT_INFO, &info, 0, error);
}

static enum fletch_status list(void *user, struct fletch_flight_stream *stream,
                               const struct fletch_flight_bytes *criteria,
                               struct fletch_error *error)
{
    struct fletch_epoch_reader *reader;
    struct fletch_store_value *value;
    struct fletch_store_scan scan;
    (void)user;
    (void)criteria;
    if (fletch_epoch_reader_open(domain, &reader, error) != FLETCH_OK)
        return error->status;
    error->status = FLETCH_OK;
    fletch_store_scan_start(&scan, NULL);
    fletch_epoch_enter(reader);
    while ((value = fletch_store_scan_next(store, reader, &scan)) != NULL)
        if (send_info(stream, value, error) != FLETCH_DONE)
            break;
    fletch_epoch_exit(reader);
    fletch_epoch_reader_close(reader);
    return error->status;
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
        return refuse(error, FLETCH_UNIMPLEMENTED, "the one action is \"drop\"");
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
                                                           .drop = drop_item};
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
