#include "flight/flight_writer.h"

#include <fletching/batch_slice.h>

#include "base/status.h"
#include "memory/batch.h"

/* ---- chains ---- */

void fletch_flight_chain_add(struct fletch_flight_chain *chain,
                             struct fletch_flight_outgoing *outgoing)
{
    struct fletch_inbox_node *node = &outgoing->node.link;
    node->next = NULL;
    if (chain->first == NULL)
        chain->first = node;
    else
        chain->last->next = node;
    chain->last = node;
    chain->bytes += outgoing->bytes + FLETCH_FLIGHT_MESSAGE_COST;
    chain->count++;
}

void fletch_flight_chain_free(struct fletch_buffer_cache *cache, struct fletch_flight_chain *chain)
{
    while (chain->first != NULL) {
        struct fletch_inbox_node *next = chain->first->next;
        fletch_flight_outgoing_free(cache, (struct fletch_flight_outgoing *)(void *)chain->first);
        chain->first = next;
    }
    *chain = (struct fletch_flight_chain){0};
}

/* ---- messages ---- */

/* On success the message owns what was encoded; on failure it is released. */
static enum fletch_status add(struct fletch_flight_writer *writer,
                              struct fletch_flight_parts *parts, struct fletch_ipc_encoded *encoded,
                              struct fletch_flight_chain *chain, struct fletch_error *error)
{
    struct fletch_flight_outgoing *outgoing;
    parts->encoded = encoded;
    enum fletch_status status =
        fletch_flight_outgoing_data(&writer->memory, parts, &outgoing, error);
    if (status == FLETCH_OK)
        fletch_flight_chain_add(chain, outgoing);
    else if (encoded != NULL)
        fletch_ipc_encoded_release(writer->memory.cache, encoded);
    return status;
}

static enum fletch_status make_encoder(struct fletch_flight_writer *writer,
                                       const struct fletch_flight_writing *writing,
                                       struct fletch_error *error)
{
    const struct fletch_ipc_encoder_options options = {
        .schema = writing->schema,
        .cache = writer->memory.cache,
        .account = writer->memory.account,
        .alignment = FLETCH_IPC_ALIGNMENT_DEFAULT,
        .forbids_deltas = writing->forbids_deltas,
        .codec = writing->codec,
    };
    return fletch_ipc_encoder_create(&options, writer->allocator, &writer->encoder, error);
}

enum fletch_status fletch_flight_writer_begin(struct fletch_flight_writer *writer,
                                              const struct fletch_flight_writing *writing,
                                              struct fletch_flight_chain *chain,
                                              struct fletch_error *error)
{
    struct fletch_flight_parts parts = {.descriptor = writing->descriptor};
    struct fletch_ipc_encoded encoded;
    enum fletch_status status = make_encoder(writer, writing, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_encoder_schema(writer->encoder, &encoded, error);
    if (status == FLETCH_OK)
        status = add(writer, &parts, &encoded, chain, error);
    if (status != FLETCH_OK) {
        fletch_flight_writer_end(writer);
        return status;
    }
    writer->schema = fletch_schema_acquire(writing->schema);
    writer->message_limit_bytes = writing->message_limit_bytes;
    return FLETCH_OK;
}

void fletch_flight_writer_end(struct fletch_flight_writer *writer)
{
    fletch_ipc_encoder_destroy(writer->encoder);
    fletch_schema_release(writer->schema);
    writer->encoder = NULL;
    writer->schema = NULL;
}

static enum fletch_status check_size(const struct fletch_flight_writer *writer, const char *what,
                                     size_t bytes, struct fletch_error *error)
{
    if (bytes <= writer->message_limit_bytes)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "%s takes a message of %zu bytes, and the peer takes at most %zu", what,
                            bytes, writer->message_limit_bytes);
}

static enum fletch_status write_dictionaries(struct fletch_flight_writer *writer,
                                             struct fletch_batch *batch,
                                             struct fletch_flight_chain *chain,
                                             struct fletch_error *error)
{
    struct fletch_flight_parts none = {0};
    for (;;) {
        struct fletch_ipc_encoded encoded;
        bool is_needed = false;
        enum fletch_status status =
            fletch_ipc_encoder_dictionary(writer->encoder, batch, &is_needed, &encoded, error);
        if (status != FLETCH_OK || !is_needed)
            return status;
        status = check_size(writer, "a dictionary", fletch_flight_data_bytes(&encoded, 0), error);
        if (status == FLETCH_OK)
            status = add(writer, &none, &encoded, chain, error);
        else
            fletch_ipc_encoded_release(writer->memory.cache, &encoded);
        if (status != FLETCH_OK)
            return status;
    }
}

/* ---- splitting ---- */

/* The message of some of the rows. */
static enum fletch_status encode_rows(struct fletch_flight_writer *writer,
                                      struct fletch_batch *batch, struct fletch_row_range rows,
                                      struct fletch_ipc_encoded *out_encoded,
                                      struct fletch_error *error)
{
    struct fletch_batch *slice = NULL;
    if (rows.first == 0 && (int64_t)rows.count == batch->row_count)
        return fletch_ipc_encoder_batch(writer->encoder, batch, NULL, out_encoded, error);
    enum fletch_status status =
        fletch_batch_slice(writer->memory.cache, batch, rows, &slice, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_ipc_encoder_batch(writer->encoder, slice, NULL, out_encoded, error);
    fletch_batch_release(writer->memory.cache, slice);
    return status;
}

/* How many rows to try after `count` rows took `bytes` bytes: a little less than would fit if all
 * were alike, fewer than before, at least one. */
static size_t fewer(size_t count, size_t bytes, size_t limit)
{
    double fits = (double)count * (double)limit / (double)bytes * 0.95;
    size_t next = (size_t)fits;
    if (next >= count)
        next = count / 2;
    return next == 0 ? 1 : next;
}

static enum fletch_status write_parts(struct fletch_flight_writer *writer,
                                      const struct fletch_flight_output *output,
                                      struct fletch_flight_chain *chain, struct fletch_error *error)
{
    struct fletch_batch *batch = output->batch;
    struct fletch_flight_parts parts = {.descriptor = output->descriptor,
                                        .app_metadata = output->app_metadata};
    size_t limit = writer->message_limit_bytes;
    size_t left = (size_t)batch->row_count;
    size_t count = left;
    do {
        struct fletch_ipc_encoded encoded;
        const struct fletch_row_range rows = {batch->row_count - (int64_t)left, count};
        enum fletch_status status = encode_rows(writer, batch, rows, &encoded, error);
        if (status != FLETCH_OK)
            return status;
        size_t bytes = fletch_flight_data_bytes(&encoded, parts.app_metadata.bytes);
        if (bytes > limit && count > 1) {
            fletch_ipc_encoded_release(writer->memory.cache, &encoded);
            count = fewer(count, bytes, limit);
            continue;
        }
        status = check_size(writer, count == 1 ? "one row" : "a batch without rows", bytes, error);
        if (status != FLETCH_OK)
            fletch_ipc_encoded_release(writer->memory.cache, &encoded);
        else
            status = add(writer, &parts, &encoded, chain, error);
        if (status != FLETCH_OK)
            return status;
        parts = (struct fletch_flight_parts){0};
        left -= count;
        count = left < count ? left : count;
    } while (left != 0);
    return FLETCH_OK;
}

static enum fletch_status write_batch(struct fletch_flight_writer *writer,
                                      const struct fletch_flight_output *output,
                                      struct fletch_flight_chain *chain, struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    if (writer->encoder == NULL)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "a batch before the stream was begun with its schema");
    if (output->batch->schema != writer->schema)
        status = output->batch->schema == NULL
                     ? fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "a batch without a schema")
                     : fletch_schema_compare(writer->schema, output->batch->schema,
                                             FLETCH_COMPARE_FIELDS, error);
    if (status == FLETCH_OK)
        status = write_dictionaries(writer, output->batch, chain, error);
    if (status == FLETCH_OK)
        status = write_parts(writer, output, chain, error);
    if (status != FLETCH_OK)
        fletch_ipc_encoder_forget(writer->encoder);
    return status;
}

enum fletch_status fletch_flight_writer_write(struct fletch_flight_writer *writer,
                                              const struct fletch_flight_output *output,
                                              struct fletch_flight_chain *chain,
                                              struct fletch_error *error)
{
    struct fletch_flight_parts parts = {.descriptor = output->descriptor,
                                        .app_metadata = output->app_metadata};
    enum fletch_status status = output->batch == NULL ? add(writer, &parts, NULL, chain, error)
                                                      : write_batch(writer, output, chain, error);
    if (status != FLETCH_OK)
        fletch_flight_chain_free(writer->memory.cache, chain);
    return status;
}
