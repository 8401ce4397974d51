/* fletch flight get: a flight as one Arrow IPC stream or file. */

#include <unistd.h>

#include "flight_run.h"
#include "output_file.h"

struct get {
    struct flight_run *run;
    struct output_file file; /* with --out */
    const char *output;      /* for messages */
    struct fletch_ipc_write_options options;
    struct fletch_ipc_writer *writer;
    struct fletch_schema *schema; /* with a reference */
    size_t endpoint;              /* from 1; 0: of a ticket */
};

/* A file has one dictionary for each field, whatever the endpoints have. */
static enum outcome tell_write(const struct get *get, const struct fletch_error *error)
{
    if (error->status == FLETCH_FAILED_PRECONDITION && get->options.format == FLETCH_IPC_FILE)
        return outcome_tell(OUTCOME_INPUT,
                            "%s: %s; under a name that ends in .arrows it would be a stream",
                            get->output, error->message);
    return outcome_tell_error(get->output, error);
}

/* Begins the output with the first schema; the others have to be the same. */
static enum outcome take_schema(struct get *get, struct fletch_schema *schema)
{
    struct fletch_error error;
    if (get->writer != NULL) {
        if (fletch_schema_compare(get->schema, schema, FLETCH_COMPARE_FIELDS, &error) == FLETCH_OK)
            return OUTCOME_DONE;
        return outcome_tell(OUTCOME_INPUT, "%s: endpoint %zu has not the schema of the first: %s",
                            get->run->words->location, get->endpoint, error.message);
    }
    get->schema = fletch_schema_acquire(schema);
    int fd = get->file.fd >= 0 ? get->file.fd : STDOUT_FILENO;
    if (fletch_ipc_writer_open_fd(fd, schema, &get->options, &get->writer, &error) != FLETCH_OK)
        return tell_write(get, &error);
    return OUTCOME_DONE;
}

static enum outcome write_data(struct get *get, const struct fletch_flight_data *data)
{
    struct fletch_error error;
    if (data->batch == NULL)
        return OUTCOME_DONE;
    enum fletch_status status = fletch_ipc_writer_write(get->writer, data->batch, NULL, &error);
    fletch_batch_release(get->run->context.cache, data->batch);
    return status == FLETCH_OK ? OUTCOME_DONE : tell_write(get, &error);
}

/* Reads app metadata that stand before the schema, which are not written. */
static enum fletch_answer find_schema(struct fletch_flight_stream *stream,
                                      struct fletch_schema **out_schema, struct fletch_error *error)
{
    struct fletch_flight_data data;
    enum fletch_answer answer;
    while ((answer = fletch_flight_stream_schema(stream, FLETCH_NO_TIMEOUT, out_schema, error)) ==
               FLETCH_CLOSED &&
           error->status == FLETCH_FAILED_PRECONDITION)
        if (fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, error) != FLETCH_DONE)
            return FLETCH_CLOSED;
    return answer;
}

/* Writes all of a stream, which is closed. */
static enum outcome write_stream(struct get *get, struct fletch_flight_stream *stream)
{
    struct fletch_flight_data data;
    struct fletch_schema *schema;
    struct fletch_error error = {.status = FLETCH_OK};
    enum outcome outcome = OUTCOME_DONE;
    if (find_schema(stream, &schema, &error) == FLETCH_DONE) {
        outcome = take_schema(get, schema);
        while (outcome == OUTCOME_DONE &&
               fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, &error) == FLETCH_DONE)
            outcome = write_data(get, &data);
    }
    if (outcome == OUTCOME_DONE)
        outcome = error.status == FLETCH_OK ? flight_tell_end(get->run, stream)
                                            : flight_tell(get->run, &error);
    fletch_flight_stream_close(stream);
    return outcome;
}

static enum outcome get_endpoints(struct get *get)
{
    struct flight_run *run = get->run;
    const struct fletch_flight_info *info;
    struct fletch_error error;
    enum outcome outcome = OUTCOME_DONE;
    if (fletch_flight_client_get_flight_info(run->client, &run->call, &run->descriptor, &info,
                                             &error) != FLETCH_OK)
        return flight_tell(run, &error);
    for (size_t i = 0; i < info->endpoint_count && outcome == OUTCOME_DONE; i++) {
        struct fletch_flight_stream *stream;
        get->endpoint = i + 1;
        if (fletch_flight_client_do_get_endpoint(run->client, &run->call, &info->endpoints[i],
                                                 &stream, &error) == FLETCH_OK)
            outcome = write_stream(get, stream);
        else
            outcome = flight_tell(run, &error);
    }
    if (outcome == OUTCOME_DONE && get->writer == NULL && info->schema != NULL)
        outcome = take_schema(get, info->schema); /* a flight without endpoints */
    fletch_flight_release(info);
    return outcome;
}

static enum outcome get_ticket(struct get *get)
{
    struct flight_run *run = get->run;
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    if (fletch_flight_client_do_get(run->client, &run->call, &run->ticket, &stream, &error) !=
        FLETCH_OK)
        return flight_tell(run, &error);
    return write_stream(get, stream);
}

static enum outcome open_output(struct get *get)
{
    const struct flight_words *words = get->run->words;
    get->options = (struct fletch_ipc_write_options){.struct_size = sizeof get->options,
                                                     .cache = get->run->context.cache,
                                                     .compression = get->run->compression};
    get->output = "standard output";
    if (words->out == NULL)
        return OUTCOME_DONE;
    get->output = words->out;
    get->options.format = output_file_format(words->out);
    return output_file_open(&get->file, words->out, words->replaces);
}

enum outcome flight_get(struct flight_run *run)
{
    struct get get = {.run = run, .file = {.folder_fd = -1, .fd = -1}};
    struct fletch_error error;
    enum outcome outcome = open_output(&get);
    if (outcome == OUTCOME_DONE)
        outcome = run->words->ticket != NULL ? get_ticket(&get) : get_endpoints(&get);
    if (outcome == OUTCOME_DONE && get.writer == NULL)
        outcome = outcome_tell(OUTCOME_INPUT, "%s: the flight has no schema, expected one",
                               run->words->location);
    if (outcome == OUTCOME_DONE && fletch_ipc_writer_finish(get.writer, &error) != FLETCH_OK)
        outcome = tell_write(&get, &error);
    fletch_ipc_writer_close(get.writer);
    fletch_schema_release(get.schema);
    if (outcome == OUTCOME_DONE && get.file.fd >= 0)
        return output_file_publish(&get.file);
    output_file_end(&get.file);
    return outcome;
}
