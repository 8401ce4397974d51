#include "shuffle/reader_source.h"

#include "base/status.h"
#include "shuffle/shuffle_reader.h"

/* The next event that a source is about. */
static enum fletch_status next_of_batches(struct fletch_shuffle_reader *reader,
                                          struct fletch_shuffle_event *out_event,
                                          bool *out_has_event, struct fletch_error *error)
{
    enum fletch_status status;
    do {
        status = fletch_shuffle_reader_next(reader, reader->source.timeout_ns, out_event,
                                            out_has_event, error);
    } while (status == FLETCH_OK && *out_has_event && out_event->kind != FLETCH_EVENT_BATCH &&
             out_event->kind != FLETCH_EVENT_END);
    return status;
}

static enum fletch_status next_batch(void *context, struct fletch_batch **out_batch,
                                     struct fletch_error *error)
{
    struct fletch_shuffle_reader *reader = context;
    struct fletch_shuffle_event event = {.kind = FLETCH_EVENT_END};
    bool has_event = false;
    if (reader->source.has_failed)
        return fletch_error_set(error, reader->source.error.status, "%s",
                                reader->source.error.message);
    if (!reader->source.has_ended) {
        enum fletch_status status =
            next_of_batches(reader, &event, &has_event, &reader->source.error);
        reader->source.has_failed = status == FLETCH_UNAVAILABLE || status == FLETCH_DATA_LOSS ||
                                    status == FLETCH_CANCELLED;
        if (status != FLETCH_OK)
            return fletch_error_set(error, status, "%s", reader->source.error.message);
        reader->source.has_ended = !has_event || event.kind == FLETCH_EVENT_END;
    }
    *out_batch = reader->source.has_ended ? NULL : event.batch;
    return FLETCH_OK;
}

static void close_reader(void *context)
{
    fletch_shuffle_reader_close(context);
}

enum fletch_status fletch_shuffle_reader_source(struct fletch_shuffle_reader *reader,
                                                uint64_t timeout_ns,
                                                struct fletch_batch_source *out_source,
                                                struct fletch_error *error)
{
    if (reader->partition_count != 1)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a source is one partition, the reader has %u",
                                reader->partition_count);
    reader->source = (struct fletch_reader_source){.timeout_ns = timeout_ns};
    *out_source = (struct fletch_batch_source){
        .schema = reader->shuffle->specification.schema,
        .next = next_batch,
        .close = close_reader,
        .context = reader,
    };
    return FLETCH_OK;
}
