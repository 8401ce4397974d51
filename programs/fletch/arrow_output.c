#include "arrow_output.h"

#include <unistd.h>

enum outcome arrow_output_open(struct arrow_output *output, const struct arrow_output_plan *plan)
{
    *output = (struct arrow_output){.file = {.folder_fd = -1, .fd = -1}, .name = "standard output"};
    output->options = (struct fletch_ipc_write_options){.struct_size = sizeof output->options,
                                                        .cache = plan->cache,
                                                        .compression = plan->compression};
    if (plan->path == NULL)
        return OUTCOME_DONE;
    output->name = plan->path;
    output->options.format = output_file_format(plan->path);
    return output_file_open(&output->file, plan->path, plan->replaces);
}

/* A file has one dictionary for each field, whatever was received. */
static enum outcome tell(const struct arrow_output *output, const struct fletch_error *error)
{
    if (error->status == FLETCH_FAILED_PRECONDITION && output->options.format == FLETCH_IPC_FILE)
        return outcome_tell(OUTCOME_INPUT,
                            "%s: %s; under a name that ends in .arrows it would be a stream",
                            output->name, error->message);
    return outcome_tell_error(output->name, error);
}

enum outcome arrow_output_begin(struct arrow_output *output, struct fletch_schema *schema,
                                const struct arrow_source *source)
{
    struct fletch_error error;
    if (output->writer != NULL) {
        if (fletch_schema_compare(output->schema, schema, FLETCH_COMPARE_FIELDS, &error) ==
            FLETCH_OK)
            return OUTCOME_DONE;
        return outcome_tell(OUTCOME_INPUT, "%s: %s %zu has not the schema of the first: %s",
                            source->name, source->part, source->number, error.message);
    }
    output->schema = fletch_schema_acquire(schema);
    int fd = output->file.fd >= 0 ? output->file.fd : STDOUT_FILENO;
    if (fletch_ipc_writer_open_fd(fd, schema, &output->options, &output->writer, &error) !=
        FLETCH_OK)
        return tell(output, &error);
    return OUTCOME_DONE;
}

enum outcome arrow_output_write(struct arrow_output *output, struct fletch_batch *batch)
{
    struct fletch_error error;
    if (fletch_ipc_writer_write(output->writer, batch, NULL, &error) == FLETCH_OK)
        return OUTCOME_DONE;
    return tell(output, &error);
}

enum outcome arrow_output_end(struct arrow_output *output, enum outcome outcome)
{
    struct fletch_error error;
    if (outcome == OUTCOME_DONE && output->writer != NULL &&
        fletch_ipc_writer_finish(output->writer, &error) != FLETCH_OK)
        outcome = tell(output, &error);
    fletch_ipc_writer_close(output->writer);
    fletch_schema_release(output->schema);
    if (outcome == OUTCOME_DONE && output->file.fd >= 0)
        return output_file_publish(&output->file);
    output_file_end(&output->file);
    return outcome;
}
