#include <fletching/flight_batches.h>

#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "flight/flight_stream.h"

enum { FIRST_ROOM = 16 };

/* Makes room for one more where the list is full: at powers of two from the first room on. */
static enum fletch_status make_room(const struct fletch_allocator *allocator,
                                    struct fletch_flight_batches *kept, struct fletch_error *error)
{
    size_t count = kept->count;
    size_t room = count == 0 ? FIRST_ROOM : 2 * count;
    if (count != 0 && (count < FIRST_ROOM || (count & (count - 1)) != 0))
        return FLETCH_OK;
    struct fletch_batch **list =
        fletch_block_allocate(allocator, room * sizeof(struct fletch_batch *));
    if (list == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a list of %zu batches", room);
    if (count != 0) {
        memcpy(list, kept->batches, count * sizeof *list);
        fletch_block_release(kept->batches);
    }
    kept->batches = list;
    return FLETCH_OK;
}

/* Takes the batches of the stream until there are no more. */
static enum fletch_status read_batches(struct fletch_flight_stream *stream, uint64_t timeout_ns,
                                       struct fletch_flight_batches *kept,
                                       struct fletch_error *error)
{
    struct fletch_flight_data data;
    for (;;) {
        enum fletch_status status = make_room(&stream->allocator, kept, error);
        if (status != FLETCH_OK)
            return status;
        enum fletch_answer answer = fletch_flight_stream_read(stream, timeout_ns, &data, error);
        if (answer != FLETCH_DONE)
            return fletch_flight_answer_status(answer, error);
        if (data.batch != NULL)
            kept->batches[kept->count++] = data.batch;
    }
}

enum fletch_status fletch_flight_stream_read_all(struct fletch_flight_stream *stream,
                                                 uint64_t timeout_ns,
                                                 struct fletch_flight_batches *out_batches,
                                                 struct fletch_error *error)
{
    struct fletch_flight_batches kept = {.count = 0};
    struct fletch_error cause;
    struct fletch_schema *schema = NULL;
    enum fletch_status status = read_batches(stream, timeout_ns, &kept, &cause);
    if (status == FLETCH_OK &&
        fletch_flight_stream_schema(stream, 0, &schema, &cause) != FLETCH_DONE)
        status = fletch_error_set(&cause, FLETCH_INVALID_ARGUMENT, "%s without a schema",
                                  stream->options.method->name);
    if (status != FLETCH_OK) {
        fletch_flight_batches_release(&kept);
        return fletch_error_set(error, status, "%s", cause.message);
    }
    kept.schema = fletch_schema_acquire(schema);
    *out_batches = kept;
    return FLETCH_OK;
}

enum fletch_status fletch_flight_stream_write_all(struct fletch_flight_stream *stream,
                                                  uint64_t timeout_ns,
                                                  const struct fletch_flight_batches *batches,
                                                  const struct fletch_flight_write_options *options,
                                                  struct fletch_error *error)
{
    struct fletch_error cause;
    enum fletch_status status =
        fletch_flight_stream_begin(stream, batches->schema, options, &cause);
    for (size_t i = 0; i < batches->count && status == FLETCH_OK; i++) {
        const struct fletch_flight_output output = {.batch = batches->batches[i]};
        status = fletch_flight_answer_status(
            fletch_flight_stream_write(stream, timeout_ns, &output, &cause), &cause);
    }
    return status == FLETCH_OK ? status : fletch_error_set(error, status, "%s", cause.message);
}

void fletch_flight_batches_release(struct fletch_flight_batches *batches)
{
    for (size_t i = 0; i < batches->count; i++)
        fletch_batch_release(NULL, batches->batches[i]);
    if (batches->batches != NULL)
        fletch_block_release(batches->batches);
    fletch_schema_release(batches->schema);
    *batches = (struct fletch_flight_batches){.count = 0};
}
