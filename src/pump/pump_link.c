#include "pump/pump_link.h"

#include "base/status.h"
#include "memory/batch.h"

void fletch_pump_link_listen(struct fletch_pump_link *link, struct fletch_eventcount *sleeper)
{
    fletch_flight_stream_listen(link->stream, sleeper);
}

/* Another schema than the shuffle's is found at its first batch. */
static enum fletch_status check_schema(struct fletch_pump_link *link, struct fletch_error *error)
{
    struct fletch_schema *found;
    if (link->has_checked || link->schema == NULL)
        return FLETCH_OK;
    if (fletch_flight_stream_schema(link->stream, 0, &found, error) != FLETCH_DONE)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "a record batch without a schema");
    enum fletch_status status = fletch_schema_compare(link->schema, found, 0, error);
    link->has_checked = status == FLETCH_OK;
    return status;
}

enum fletch_answer fletch_pump_link_read(struct fletch_pump_link *link,
                                         struct fletch_envelope *out_envelope,
                                         struct fletch_batch **out_batch,
                                         struct fletch_error *error)
{
    struct fletch_flight_data data;
    enum fletch_answer answer = fletch_flight_stream_read(link->stream, 0, &data, error);
    if (answer != FLETCH_DONE)
        return answer;
    enum fletch_status status = fletch_envelope_decode(
        data.app_metadata.data, data.app_metadata.bytes, out_envelope, error);
    if (status == FLETCH_OK && data.batch != NULL)
        status = check_schema(link, error);
    if (status == FLETCH_OK) {
        *out_batch = data.batch;
        return FLETCH_DONE;
    }
    if (data.batch != NULL)
        fletch_batch_release(link->stream->user.cache, data.batch);
    return FLETCH_CLOSED;
}

enum fletch_answer fletch_pump_link_room(const struct fletch_pump_link *link)
{
    return fletch_flight_stream_room(link->stream);
}

/* The schema goes before the first batch. */
static enum fletch_status begin(struct fletch_pump_link *link, struct fletch_error *error)
{
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .compression = link->compression};
    if (link->has_begun)
        return FLETCH_OK;
    fletch_flight_stream_know_peer(link->stream);
    enum fletch_status status =
        fletch_flight_stream_begin(link->stream, link->schema, &options, error);
    link->has_begun = status == FLETCH_OK;
    return status;
}

enum fletch_status fletch_pump_link_write(struct fletch_pump_link *link,
                                          const struct fletch_envelope *envelope,
                                          struct fletch_batch *batch, struct fletch_error *error)
{
    uint8_t bytes[FLETCH_ENVELOPE_BYTES_MAX];
    const struct fletch_flight_output output = {
        .batch = batch, .app_metadata = {bytes, fletch_envelope_encode(envelope, bytes)}};
    struct fletch_error cause = {.status = FLETCH_OK};
    if (batch != NULL && begin(link, error) != FLETCH_OK)
        return FLETCH_UNAVAILABLE;
    enum fletch_answer answer = fletch_flight_stream_write(link->stream, 0, &output, &cause);
    if (answer == FLETCH_DONE)
        return FLETCH_OK;
    if (answer == FLETCH_FULL || cause.status == FLETCH_OK)
        return fletch_error_set(error, FLETCH_UNAVAILABLE, "the stream takes nothing");
    return fletch_error_set(error, cause.status, "%s", cause.message);
}

void fletch_pump_link_finish(struct fletch_pump_link *link, enum fletch_status status,
                             const char *text)
{
    const struct fletch_flight_end end = {.status = status, .text = text};
    if (link->stream == NULL)
        return;
    if (!link->is_server)
        fletch_flight_stream_done_writing(link->stream);
    else if (fletch_flight_stream_finish(link->stream, &end, NULL) != FLETCH_OK)
        fletch_flight_stream_cancel(link->stream); /* it is over, or ends without detail */
}

bool fletch_pump_link_is_over(struct fletch_pump_link *link)
{
    struct fletch_flight_end end;
    return fletch_flight_stream_end(link->stream, 0, &end, NULL) != FLETCH_EMPTY;
}

void fletch_pump_link_drop(struct fletch_pump_link *link, struct fletch_buffer_cache *cache)
{
    struct fletch_flight_stream *stream = link->stream;
    link->stream = NULL;
    link->has_begun = link->has_checked = false;
    if (stream == NULL)
        return;
    if (link->is_server)
        fletch_flight_stream_use(stream, cache);
    if (link->is_server)
        fletch_flight_stream_leave(stream);
    else
        fletch_flight_stream_close(stream);
    if (link->dropped != NULL)
        link->dropped(link->context);
}
