#include "arrow/c_stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arrow/array_import.h"
#include "base/allocator.h"
#include "base/status.h"

/* What a consumer learns by number beside the message, and the other way. */
static const struct {
    int number;
    enum fletch_status status;
} errors[] = {
    {EINVAL, FLETCH_INVALID_ARGUMENT},
    {ENOMEM, FLETCH_RESOURCE_EXHAUSTED},
    {ENOSYS, FLETCH_UNIMPLEMENTED},
    {ECANCELED, FLETCH_CANCELLED},
    {ETIMEDOUT, FLETCH_DEADLINE_EXCEEDED},
    {ENOENT, FLETCH_NOT_FOUND},
    {EEXIST, FLETCH_ALREADY_EXISTS},
    {EACCES, FLETCH_PERMISSION_DENIED},
    {EPERM, FLETCH_PERMISSION_DENIED},
    {ERANGE, FLETCH_OUT_OF_RANGE},
    {EIO, FLETCH_UNKNOWN},
    {EIO, FLETCH_DATA_LOSS},
    {ECONNRESET, FLETCH_UNAVAILABLE},
    {EAGAIN, FLETCH_UNAVAILABLE},
};

static enum fletch_status status_of(int number)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].number == number)
            return errors[i].status;
    return FLETCH_UNKNOWN;
}

static int number_of(enum fletch_status status)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].status == status)
            return errors[i].number;
    return EIO;
}

/* A stream that was taken. */
struct imported {
    struct ArrowArrayStream stream;
    struct fletch_schema *schema;
    struct fletch_import_options options;
    bool has_ended;
    struct fletch_error failure; /* OK: it ended without one */
};

static enum fletch_status stream_failed(struct ArrowArrayStream *stream, int number,
                                        const char *call, struct fletch_error *error)
{
    const char *message = stream->get_last_error == NULL ? NULL : stream->get_last_error(stream);
    return fletch_error_set(error, status_of(number), "stream: %s failed with errno %d: %s", call,
                            number, message == NULL ? "no message" : message);
}

static enum fletch_status import_next(struct imported *imported, struct fletch_batch **out_batch,
                                      struct fletch_error *error)
{
    struct ArrowArray array = {.release = NULL};
    int number = imported->stream.get_next(&imported->stream, &array);
    if (number != 0)
        return stream_failed(&imported->stream, number, "get_next", error);
    if (array.release == NULL) {
        imported->has_ended = true;
        *out_batch = NULL;
        return FLETCH_OK;
    }
    enum fletch_status status =
        fletch_batch_import(&array, imported->schema, &imported->options, out_batch, error);
    if (status != FLETCH_OK)
        array.release(&array);
    return status;
}

static enum fletch_status imported_next(void *context, struct fletch_batch **out_batch,
                                        struct fletch_error *error)
{
    struct imported *imported = context;
    if (!imported->has_ended) {
        struct fletch_error failure = {.status = FLETCH_OK};
        if (import_next(imported, out_batch, &failure) == FLETCH_OK)
            return FLETCH_OK;
        imported->has_ended = true;
        imported->failure = failure;
    }
    if (imported->failure.status == FLETCH_OK)
        *out_batch = NULL;
    else if (error != NULL)
        *error = imported->failure;
    return imported->failure.status;
}

static void imported_close(void *context)
{
    struct imported *imported = context;
    imported->stream.release(&imported->stream);
    fletch_schema_release(imported->schema);
    fletch_block_release(imported);
}

/* The stream's schema, taken. */
static enum fletch_status import_schema(struct ArrowArrayStream *source,
                                        const struct fletch_allocator *allocator,
                                        struct fletch_schema **out_schema,
                                        struct fletch_error *error)
{
    struct ArrowSchema schema = {.release = NULL};
    int number = source->get_schema(source, &schema);
    if (number != 0)
        return stream_failed(source, number, "get_schema", error);
    enum fletch_status status = fletch_schema_import(&schema, allocator, out_schema, error);
    if (status != FLETCH_OK && schema.release != NULL)
        schema.release(&schema);
    return status;
}

enum fletch_status fletch_stream_import(struct ArrowArrayStream *source,
                                        const struct fletch_import_options *options,
                                        struct fletch_batch_source *out_source,
                                        struct fletch_error *error)
{
    struct fletch_import_options known;
    enum fletch_status status = fletch_import_options_read(options, &known, error);
    if (status != FLETCH_OK)
        return status;
    if (source->release == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "stream: it was released or moved");
    if (source->get_schema == NULL || source->get_next == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "stream: %s is NULL",
                                source->get_schema == NULL ? "get_schema" : "get_next");
    struct imported *imported = fletch_block_allocate(known.allocator, sizeof *imported);
    if (imported == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a stream: %zu bytes", sizeof *imported);
    *imported = (struct imported){.options = known, .failure = {.status = FLETCH_OK}};
    status = import_schema(source, known.allocator, &imported->schema, error);
    if (status != FLETCH_OK) {
        fletch_block_release(imported);
        return status;
    }
    imported->options.allocator = NULL; /* the caller's, and not needed any more */
    imported->stream = *source;
    source->release = NULL;
    *out_source = (struct fletch_batch_source){
        .schema = imported->schema,
        .next = imported_next,
        .close = imported_close,
        .context = imported,
    };
    return FLETCH_OK;
}

/* A source that was given out. */
struct exported {
    struct fletch_batch_source source;
    struct fletch_buffer_cache *cache;
    struct fletch_allocator allocator;
    struct fletch_error schema_failure;
    struct fletch_error failure; /* of get_next; OK: it has not failed */
    const char *message;         /* of the last call; NULL: it did not fail */
};

/* Notes how a call went, and says it by number. */
static int answer(struct exported *exported, enum fletch_status status,
                  const struct fletch_error *failure)
{
    exported->message = status == FLETCH_OK ? NULL : failure->message;
    return status == FLETCH_OK ? 0 : number_of(status);
}

static int export_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct exported *exported = stream->private_data;
    enum fletch_status status = fletch_schema_export(exported->source.schema, &exported->allocator,
                                                     out, &exported->schema_failure);
    return answer(exported, status, &exported->schema_failure);
}

static int export_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct exported *exported = stream->private_data;
    struct fletch_batch *batch = NULL;
    /* Went it on, the batch that could not be given out would be missing and nobody know. */
    if (exported->failure.status != FLETCH_OK)
        return answer(exported, exported->failure.status, &exported->failure);
    enum fletch_status status =
        exported->source.next(exported->source.context, &batch, &exported->failure);
    if (status == FLETCH_OK && batch == NULL)
        out->release = NULL; /* the end */
    else if (status == FLETCH_OK)
        status = fletch_batch_export(batch, exported->cache, out, &exported->failure);
    fletch_batch_release(exported->cache, batch);
    exported->failure.status = status;
    return answer(exported, status, &exported->failure);
}

static const char *export_error(struct ArrowArrayStream *stream)
{
    const struct exported *exported = stream->private_data;
    return exported->message;
}

static void export_release(struct ArrowArrayStream *stream)
{
    struct exported *exported = stream->private_data;
    exported->source.close(exported->source.context);
    fletch_block_release(exported);
    stream->release = NULL;
}

enum fletch_status fletch_stream_export(const struct fletch_batch_source *source,
                                        struct fletch_buffer_cache *cache,
                                        const struct fletch_allocator *allocator,
                                        struct ArrowArrayStream *out_stream,
                                        struct fletch_error *error)
{
    if (cache == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "export of a stream: cache is NULL");
    struct exported *exported = fletch_block_allocate(allocator, sizeof *exported);
    if (exported == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a stream: %zu bytes", sizeof *exported);
    *exported = (struct exported){
        .source = *source,
        .cache = cache,
        .allocator = fletch_allocator_or_default(allocator),
        .failure = {.status = FLETCH_OK},
    };
    *out_stream = (struct ArrowArrayStream){
        .get_schema = export_schema,
        .get_next = export_next,
        .get_last_error = export_error,
        .release = export_release,
        .private_data = exported,
    };
    return FLETCH_OK;
}
