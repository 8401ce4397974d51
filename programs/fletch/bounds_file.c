#include "bounds_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <fletching/ipc.h>

#include "input_reader.h"

enum outcome bounds_file_read(const char *path, struct fletch_buffer_cache *cache,
                              struct fletch_batch **out_bounds)
{
    struct fletch_ipc_read_options options = {
        .struct_size = sizeof options, .cache = cache, .validation = FLETCH_VALIDATION_FULL};
    struct input_reader reader;
    struct fletch_error error;
    struct fletch_batch *bounds = NULL, *more = NULL;
    enum outcome outcome = input_reader_open(&reader, path, &options);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (fletch_ipc_reader_next(reader.reader, &bounds, &error) != FLETCH_OK ||
        (bounds != NULL && fletch_ipc_reader_next(reader.reader, &more, &error) != FLETCH_OK))
        outcome = outcome_tell_error(path, &error);
    else if (bounds == NULL || more != NULL)
        outcome = outcome_tell(OUTCOME_INPUT, "%s: bounds are one batch, and there %s", path,
                               bounds == NULL ? "is none" : "are several");
    input_reader_close(&reader);
    fletch_batch_release(cache, more);
    if (outcome == OUTCOME_DONE)
        *out_bounds = bounds;
    else
        fletch_batch_release(cache, bounds);
    return outcome;
}

enum outcome bounds_file_write(const char *path, struct fletch_buffer_cache *cache,
                               struct fletch_batch *bounds)
{
    struct fletch_ipc_write_options options = {
        .struct_size = sizeof options, .cache = cache, .format = FLETCH_IPC_FILE};
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_error error;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return outcome_tell_errno(path, "cannot make it");
    struct fletch_schema *schema = (struct fletch_schema *)fletch_batch_schema(bounds);
    enum outcome outcome = OUTCOME_DONE;
    if (fletch_ipc_writer_open_fd(fd, schema, &options, &writer, &error) != FLETCH_OK ||
        fletch_ipc_writer_write(writer, bounds, NULL, &error) != FLETCH_OK ||
        fletch_ipc_writer_finish(writer, &error) != FLETCH_OK)
        outcome = outcome_tell_error(path, &error);
    fletch_ipc_writer_close(writer);
    close(fd);
    if (outcome != OUTCOME_DONE)
        unlink(path);
    return outcome;
}
