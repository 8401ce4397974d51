#include "fuzz/flight_store_fed.h"

#include <fletching/flight_auth.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

enum { METADATA_BYTES = 256 };

/* ---- tables ---- */

static void let_go(struct fed_store *store, struct fed_table *table)
{
    for (uint32_t i = 0; i < table->count; i++)
        fletch_batch_release(store->cache, table->batches[i]);
    if (table->schema != NULL)
        fletch_schema_release(table->schema);
    *table = (struct fed_table){.count = 0};
}

void fed_store_clear(struct fed_store *store)
{
    for (size_t i = 0; i < FED_TABLES; i++)
        let_go(store, &store->tables[i]);
}

static struct fletch_flight_bytes name_of(const struct fletch_flight_descriptor *descriptor)
{
    if (descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_PATH && descriptor->path_count != 0)
        return (struct fletch_flight_bytes){descriptor->path[0], strlen(descriptor->path[0])};
    return descriptor->command;
}

static struct fed_table *find(struct fed_store *store, const struct fletch_flight_bytes *name,
                              struct fletch_error *error)
{
    for (size_t i = 0; i < FED_TABLES; i++) {
        struct fed_table *table = &store->tables[i];
        if (table->schema != NULL && table->name_bytes == name->bytes &&
            (name->bytes == 0 || memcmp(table->name, name->data, name->bytes) == 0))
            return table;
    }
    (void)fletch_error_set(error, FLETCH_NOT_FOUND, "no table of this name of %zu bytes",
                           name->bytes);
    return NULL;
}

/* Takes what is in `table`, in place of one of this name, or of another. */
static void keep(struct fed_store *store, struct fed_table *table)
{
    const struct fletch_flight_bytes name = {table->name, table->name_bytes};
    struct fed_table *to = find(store, &name, NULL);
    if (to == NULL)
        to = &store->tables[store->next++ % FED_TABLES];
    let_go(store, to);
    *to = *table;
    *table = (struct fed_table){.count = 0};
    store->kept++;
}

/* ---- sources ---- */

struct going {
    struct fed_store *store;
    struct fed_table table; /* what is got, or has been put */
    uint32_t next;
    bool has_begun;
    bool has_data;
    struct fletch_flight_data data;
    char metadata[METADATA_BYTES];
};

/* What waits for room waits for a call. */
static enum fletch_answer written(enum fletch_answer answer)
{
    return answer == FLETCH_FULL ? FLETCH_EMPTY : answer;
}

static enum fletch_answer begin(struct going *going, struct fletch_flight_stream *stream,
                                struct fletch_schema *schema, struct fletch_error *error)
{
    going->has_begun = true;
    return fletch_flight_stream_begin(stream, schema, NULL, error) == FLETCH_OK ? FLETCH_DONE
                                                                                : FLETCH_CLOSED;
}

static enum fletch_answer step_get(void *context, struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    struct going *going = context;
    if (!going->has_begun)
        return begin(going, stream, going->table.schema, error);
    if (going->next == going->table.count)
        return FLETCH_CLOSED;
    const struct fletch_flight_output output = {.batch = going->table.batches[going->next]};
    enum fletch_answer answer = fletch_flight_stream_write(stream, 0, &output, error);
    going->next += answer == FLETCH_DONE;
    going->store->batches_got += answer == FLETCH_DONE;
    return written(answer);
}

/* Metadata is kept as far as there is room. */
static enum fletch_answer read_one(struct going *going, struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    enum fletch_answer answer = fletch_flight_stream_read(stream, 0, &going->data, error);
    struct fletch_flight_bytes *metadata = &going->data.app_metadata;
    if (answer != FLETCH_DONE)
        return answer;
    if (metadata->bytes > METADATA_BYTES)
        metadata->bytes = METADATA_BYTES;
    if (metadata->bytes != 0)
        memcpy(going->metadata, metadata->data, metadata->bytes);
    metadata->data = going->metadata;
    going->has_data = true;
    return FLETCH_DONE;
}

static enum fletch_answer end_put(struct going *going, struct fletch_flight_stream *stream,
                                  const struct fletch_error *error)
{
    struct fletch_schema *schema = NULL;
    if (error->status != FLETCH_OK ||
        fletch_flight_stream_schema(stream, 0, &schema, NULL) != FLETCH_DONE)
        return FLETCH_CLOSED;
    going->table.schema = fletch_schema_acquire(schema);
    keep(going->store, &going->table);
    return FLETCH_CLOSED;
}

static enum fletch_answer step_put(void *context, struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    struct going *going = context;
    if (!going->has_data) {
        enum fletch_answer answer = read_one(going, stream, error);
        return answer == FLETCH_CLOSED ? end_put(going, stream, error) : answer;
    }
    enum fletch_answer answer = fletch_flight_stream_send(stream, FLETCH_FLIGHT_PUT_RESULT,
                                                          &going->data.app_metadata, 0, error);
    if (answer != FLETCH_DONE)
        return written(answer);
    going->has_data = false;
    if (going->data.batch != NULL && going->table.count < FED_BATCHES)
        going->table.batches[going->table.count++] = going->data.batch;
    else
        fletch_batch_release(going->store->cache, going->data.batch);
    going->store->batches_put += going->data.batch != NULL;
    return FLETCH_DONE;
}

static enum fletch_answer step_exchange(void *context, struct fletch_flight_stream *stream,
                                        struct fletch_error *error)
{
    struct going *going = context;
    struct fletch_schema *schema = NULL;
    if (!going->has_data)
        return read_one(going, stream, error);
    if (going->data.batch != NULL && !going->has_begun) {
        if (fletch_flight_stream_schema(stream, 0, &schema, error) != FLETCH_DONE)
            return FLETCH_CLOSED;
        return begin(going, stream, schema, error);
    }
    const struct fletch_flight_output output = {.batch = going->data.batch,
                                                .app_metadata = going->data.app_metadata};
    enum fletch_answer answer = fletch_flight_stream_write(stream, 0, &output, error);
    if (answer == FLETCH_FULL)
        return FLETCH_EMPTY;
    going->has_data = false;
    fletch_batch_release(going->store->cache, going->data.batch);
    return answer;
}

static enum fletch_answer step_handshake(void *context, struct fletch_flight_stream *stream,
                                         struct fletch_error *error)
{
    const void *made;
    (void)context;
    enum fletch_answer answer =
        fletch_flight_stream_receive(stream, FLETCH_FLIGHT_HANDSHAKE, 0, &made, error);
    if (answer != FLETCH_DONE)
        return answer;
    answer = fletch_flight_stream_send(stream, FLETCH_FLIGHT_HANDSHAKE, made, 0, error);
    fletch_flight_release(made);
    return answer == FLETCH_FULL ? FLETCH_CLOSED : answer;
}

static void ended(void *context)
{
    struct going *going = context;
    if (going->has_data)
        fletch_batch_release(going->store->cache, going->data.batch);
    let_go(going->store, &going->table);
    going->store->going--;
    free(going);
}

typedef enum fletch_answer step(void *context, struct fletch_flight_stream *stream,
                                struct fletch_error *error);

static enum fletch_status pull(struct fed_store *store, struct fletch_flight_stream *stream,
                               step *next, const struct fed_table *table,
                               struct fletch_error *error)
{
    struct going *going = calloc(1, sizeof *going);
    if (going == NULL)
        abort();
    going->store = store;
    going->table = *table;
    store->going++;
    const struct fletch_flight_source source = {next, ended, going};
    enum fletch_status status = fletch_flight_stream_pull(stream, &source, error);
    if (status != FLETCH_OK)
        ended(going);
    return status;
}

/* ---- handlers ---- */

static enum fletch_status handshake(void *user, struct fletch_flight_stream *stream,
                                    struct fletch_error *error)
{
    static const struct fed_table none;
    const struct fletch_flight_basic_auth *credentials;
    if (fletch_flight_stream_header(stream, "authorization") == NULL)
        return pull(user, stream, step_handshake, &none, error);
    enum fletch_status status = fletch_flight_basic_credentials(stream, &credentials, error);
    if (status == FLETCH_OK)
        fletch_flight_release(credentials);
    return status;
}

static enum fletch_status sent(enum fletch_answer answer, const struct fletch_error *error)
{
    return answer == FLETCH_DONE   ? FLETCH_OK
           : answer == FLETCH_FULL ? FLETCH_RESOURCE_EXHAUSTED
                                   : error->status;
}

static struct fletch_flight_info info_of(const struct fed_table *table,
                                         const struct fletch_flight_endpoint *endpoint)
{
    return (struct fletch_flight_info){
        .schema = table->schema,
        .descriptor = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                       .command = {table->name, table->name_bytes}},
        .endpoints = endpoint,
        .endpoint_count = 1,
        .total_records = table->count,
        .total_bytes = -1,
    };
}

static enum fletch_status list_flights(void *user, struct fletch_flight_stream *stream,
                                       const struct fletch_flight_bytes *criteria,
                                       struct fletch_error *error)
{
    struct fed_store *store = user;
    enum fletch_status status = FLETCH_OK;
    (void)criteria;
    for (size_t i = 0; i < FED_TABLES && status == FLETCH_OK; i++) {
        const struct fed_table *table = &store->tables[i];
        const struct fletch_flight_endpoint endpoint = {.ticket = {table->name, table->name_bytes}};
        const struct fletch_flight_info info = info_of(table, &endpoint);
        if (table->schema != NULL)
            status =
                sent(fletch_flight_stream_send(stream, FLETCH_FLIGHT_INFO, &info, 0, error), error);
    }
    return status;
}

static enum fletch_status get_flight_info(void *user, struct fletch_flight_stream *stream,
                                          const struct fletch_flight_descriptor *descriptor,
                                          struct fletch_error *error)
{
    const struct fletch_flight_bytes name = name_of(descriptor);
    const struct fed_table *table = find(user, &name, error);
    if (table == NULL)
        return FLETCH_NOT_FOUND;
    const struct fletch_flight_endpoint endpoint = {.ticket = name};
    const struct fletch_flight_info info = info_of(table, &endpoint);
    return sent(fletch_flight_stream_send(stream, FLETCH_FLIGHT_INFO, &info, 0, error), error);
}

static enum fletch_status poll_flight_info(void *user, struct fletch_flight_stream *stream,
                                           const struct fletch_flight_descriptor *descriptor,
                                           struct fletch_error *error)
{
    const struct fletch_flight_poll_info poll = {.descriptor = *descriptor};
    (void)user;
    return sent(fletch_flight_stream_send(stream, FLETCH_FLIGHT_POLL_INFO, &poll, 0, error), error);
}

static enum fletch_status get_schema(void *user, struct fletch_flight_stream *stream,
                                     const struct fletch_flight_descriptor *descriptor,
                                     struct fletch_error *error)
{
    const struct fletch_flight_bytes name = name_of(descriptor);
    const struct fed_table *table = find(user, &name, error);
    if (table == NULL)
        return FLETCH_NOT_FOUND;
    const struct fletch_flight_schema_result result = {.schema = table->schema};
    return sent(fletch_flight_stream_send(stream, FLETCH_FLIGHT_SCHEMA_RESULT, &result, 0, error),
                error);
}

static enum fletch_status do_get(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_bytes *ticket,
                                 struct fletch_error *error)
{
    struct fed_table *table = find(user, ticket, error);
    if (table == NULL)
        return FLETCH_NOT_FOUND;
    /* It may be dropped, or put again, while it is got. */
    for (uint32_t i = 0; i < table->count; i++)
        (void)fletch_batch_acquire(table->batches[i]);
    (void)fletch_schema_acquire(table->schema);
    return pull(user, stream, step_get, table, error);
}

static enum fletch_status do_put(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_descriptor *descriptor,
                                 struct fletch_error *error)
{
    const struct fletch_flight_bytes name = name_of(descriptor);
    struct fed_table table = {.name_bytes = name.bytes};
    if (name.bytes > FED_NAME_BYTES)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "a name of %zu bytes, at most %d",
                                name.bytes, FED_NAME_BYTES);
    if (name.bytes != 0)
        memcpy(table.name, name.data, name.bytes);
    return pull(user, stream, step_put, &table, error);
}

static enum fletch_status do_exchange(void *user, struct fletch_flight_stream *stream,
                                      const struct fletch_flight_descriptor *descriptor,
                                      struct fletch_error *error)
{
    static const struct fed_table none;
    (void)descriptor;
    return pull(user, stream, step_exchange, &none, error);
}

static enum fletch_status do_action(void *user, struct fletch_flight_stream *stream,
                                    const struct fletch_flight_action *action,
                                    struct fletch_error *error)
{
    if (strcmp(action->type, "drop") == 0) {
        struct fed_table *table = find(user, &action->body, error);
        if (table == NULL)
            return FLETCH_NOT_FOUND;
        let_go(user, table);
    }
    return sent(fletch_flight_stream_send(stream, FLETCH_FLIGHT_RESULT, &action->body, 0, error),
                error);
}

static enum fletch_status list_actions(void *user, struct fletch_flight_stream *stream,
                                       struct fletch_error *error)
{
    static const struct fletch_flight_action_type type = {"drop", "lets a table go"};
    (void)user;
    return sent(fletch_flight_stream_send(stream, FLETCH_FLIGHT_ACTION_TYPE, &type, 0, error),
                error);
}

const struct fletch_flight_handlers fed_store_handlers = {
    .struct_size = sizeof fed_store_handlers,
    .handshake = handshake,
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
