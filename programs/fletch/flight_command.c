#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "command_line.h"
#include "input_reader.h"
#include "quantity.h"

#include <fletching/flight.h>

#define SECOND_NS UINT64_C(1000000000)

enum { TYPE_BYTES = 128 };

/* One run: a client of one server. */
struct flight_run {
    const char *location;
    char **words; /* behind the location */
    size_t count;
    uint64_t seconds;
    const char *authorization;
    bool is_ticket;
    struct fletch_flight_header header;
    struct fletch_flight_call_options call;
    struct fletch_flight_client *client;
    struct input_context context;
    /* get */
    struct fletch_ipc_writer *writer;
    /* put */
    struct fletch_flight_stream *put;
    struct fletch_schema *schema; /* of the first input, with a reference */
    uint64_t rows;
    uint64_t batches;
    uint64_t answers;
};

/* What a server answers is no bug of this program, whatever it is. */
static enum outcome tell(const struct flight_run *run, const struct fletch_error *error)
{
    enum outcome outcome = outcome_tell_error(run->location, error);
    return outcome == OUTCOME_BUG ? OUTCOME_SYSTEM : outcome;
}

static struct fletch_flight_bytes bytes_of(const char *word)
{
    return (struct fletch_flight_bytes){word, strlen(word)};
}

/* How a stream ended. */
static enum outcome tell_end(const struct flight_run *run, struct fletch_flight_stream *stream)
{
    struct fletch_flight_end end;
    struct fletch_error error;
    if (fletch_flight_stream_end(stream, FLETCH_NO_TIMEOUT, &end, &error) != FLETCH_DONE)
        return tell(run, &error);
    if (end.status == FLETCH_OK)
        return OUTCOME_DONE;
    error.status = end.status;
    (void)snprintf(error.message, sizeof error.message, "%s", end.text);
    return tell(run, &error);
}

/* ---- ls ---- */

static void print_descriptor(const struct fletch_flight_descriptor *descriptor)
{
    if (descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_COMMAND)
        printf("command %.*s", (int)descriptor->command.bytes,
               (const char *)descriptor->command.data);
    for (size_t i = 0; i < descriptor->path_count; i++)
        printf("%s%s", i == 0 ? "" : "/", descriptor->path[i]);
}

static void print_info(const struct fletch_flight_info *info)
{
    if (info->total_records >= 0)
        printf("%16s rows ", quantity_count((uint64_t)info->total_records).text);
    else
        printf("%16s rows ", "-");
    printf("%10s  ",
           info->total_bytes >= 0 ? quantity_bytes((uint64_t)info->total_bytes).text : "-");
    print_descriptor(&info->descriptor);
    size_t columns = info->schema == NULL ? 0 : fletch_schema_column_count(info->schema);
    for (size_t i = 0; i < columns; i++) {
        char type[TYPE_BYTES];
        (void)fletch_schema_column_type(info->schema, i, type, sizeof type);
        printf("%s%s: %s", i == 0 ? " (" : ", ", fletch_schema_column_name(info->schema, i, NULL),
               type);
    }
    printf("%s\n", columns == 0 ? "" : ")");
}

static enum outcome list_flights(struct flight_run *run)
{
    const struct fletch_flight_bytes criteria = bytes_of(run->count == 0 ? "" : run->words[0]);
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    const void *message;
    if (fletch_flight_client_list_flights(run->client, &run->call, &criteria, &stream, &error) !=
        FLETCH_OK)
        return tell(run, &error);
    while (fletch_flight_stream_receive(stream, FLETCH_FLIGHT_INFO, FLETCH_NO_TIMEOUT, &message,
                                        &error) == FLETCH_DONE) {
        print_info(message);
        fletch_flight_release(message);
    }
    enum outcome outcome = tell_end(run, stream);
    fletch_flight_stream_close(stream);
    return outcome;
}

/* ---- get ---- */

static enum outcome open_writer(struct flight_run *run, struct fletch_schema *schema)
{
    const struct fletch_ipc_write_options options = {.struct_size = sizeof options,
                                                     .cache = run->context.cache};
    struct fletch_error error;
    if (run->writer != NULL)
        return OUTCOME_DONE;
    if (fletch_ipc_writer_open_fd(STDOUT_FILENO, schema, &options, &run->writer, &error) !=
        FLETCH_OK)
        return outcome_tell_error("standard output", &error);
    return OUTCOME_DONE;
}

static enum outcome write_data(struct flight_run *run, const struct fletch_flight_data *data)
{
    struct fletch_error error;
    if (data->batch == NULL)
        return OUTCOME_DONE;
    enum fletch_status status = fletch_ipc_writer_write(run->writer, data->batch, NULL, &error);
    fletch_batch_release(run->context.cache, data->batch);
    return status == FLETCH_OK ? OUTCOME_DONE : outcome_tell_error("standard output", &error);
}

/* Writes all of a stream, which is closed. */
static enum outcome write_stream(struct flight_run *run, struct fletch_flight_stream *stream)
{
    struct fletch_flight_data data;
    struct fletch_schema *schema;
    struct fletch_error error = {.status = FLETCH_OK};
    enum outcome outcome = OUTCOME_DONE;
    if (fletch_flight_stream_schema(stream, FLETCH_NO_TIMEOUT, &schema, &error) == FLETCH_DONE)
        outcome = open_writer(run, schema);
    while (outcome == OUTCOME_DONE && error.status == FLETCH_OK &&
           fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, &error) == FLETCH_DONE)
        outcome = write_data(run, &data);
    if (outcome == OUTCOME_DONE)
        outcome = error.status == FLETCH_OK ? tell_end(run, stream) : tell(run, &error);
    fletch_flight_stream_close(stream);
    return outcome;
}

static enum outcome get_endpoints(struct flight_run *run)
{
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH,
        .path = (const char *const *)run->words,
        .path_count = run->count,
    };
    const struct fletch_flight_info *info;
    struct fletch_error error;
    enum outcome outcome = OUTCOME_DONE;
    if (fletch_flight_client_get_flight_info(run->client, &run->call, &descriptor, &info, &error) !=
        FLETCH_OK)
        return tell(run, &error);
    for (size_t i = 0; i < info->endpoint_count && outcome == OUTCOME_DONE; i++) {
        struct fletch_flight_stream *stream;
        if (fletch_flight_client_do_get_endpoint(run->client, &run->call, &info->endpoints[i],
                                                 &stream, &error) == FLETCH_OK)
            outcome = write_stream(run, stream);
        else
            outcome = tell(run, &error);
    }
    if (outcome == OUTCOME_DONE && info->schema != NULL)
        outcome = open_writer(run, info->schema); /* a flight without endpoints */
    fletch_flight_release(info);
    return outcome;
}

static enum outcome get_ticket(struct flight_run *run)
{
    const struct fletch_flight_bytes ticket = bytes_of(run->words[0]);
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    if (fletch_flight_client_do_get(run->client, &run->call, &ticket, &stream, &error) != FLETCH_OK)
        return tell(run, &error);
    return write_stream(run, stream);
}

static enum outcome get(struct flight_run *run)
{
    struct fletch_error error;
    enum outcome outcome = run->is_ticket ? get_ticket(run) : get_endpoints(run);
    if (outcome == OUTCOME_DONE && run->writer == NULL)
        outcome = outcome_tell(OUTCOME_INPUT, "%s: the flight has no schema", run->location);
    if (outcome == OUTCOME_DONE && fletch_ipc_writer_finish(run->writer, &error) != FLETCH_OK)
        outcome = outcome_tell_error("standard output", &error);
    fletch_ipc_writer_close(run->writer);
    return outcome;
}

/* ---- put ---- */

/* Answers that have come; with patience until there are no more. */
static void take_answers(struct flight_run *run, uint64_t timeout_ns)
{
    const void *message;
    while (fletch_flight_stream_receive(run->put, FLETCH_FLIGHT_PUT_RESULT, timeout_ns, &message,
                                        NULL) == FLETCH_DONE) {
        fletch_flight_release(message);
        run->answers++;
    }
}

static enum outcome begin_put(struct flight_run *run, struct fletch_schema *schema)
{
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH,
        .path = (const char *const *)run->words,
        .path_count = 1,
    };
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .descriptor = &descriptor};
    struct fletch_error error;
    run->schema = fletch_schema_acquire(schema);
    if (fletch_flight_client_do_put(run->client, &run->call, &run->put, &error) != FLETCH_OK ||
        fletch_flight_stream_begin(run->put, schema, &options, &error) != FLETCH_OK)
        return tell(run, &error);
    return OUTCOME_DONE;
}

static enum outcome begin_input(void *context, const struct input_reader *reader)
{
    struct flight_run *run = context;
    struct fletch_error error;
    struct fletch_schema *schema = fletch_ipc_reader_schema(reader->reader);
    if (run->schema == NULL)
        return begin_put(run, schema);
    if (fletch_schema_compare(run->schema, schema, FLETCH_COMPARE_FIELDS, &error) != FLETCH_OK)
        return outcome_tell(OUTCOME_INPUT, "%s: not the schema of the first input: %s",
                            inputs_name(reader->path), error.message);
    return OUTCOME_DONE;
}

static enum outcome put_batch(void *context, struct fletch_batch *batch)
{
    struct flight_run *run = context;
    const struct fletch_flight_output output = {.batch = batch};
    struct fletch_error error;
    if (fletch_flight_stream_write(run->put, FLETCH_NO_TIMEOUT, &output, &error) != FLETCH_DONE)
        return tell(run, &error);
    run->rows += (uint64_t)fletch_batch_row_count(batch);
    run->batches++;
    take_answers(run, 0);
    return OUTCOME_DONE;
}

static enum outcome put(struct flight_run *run)
{
    struct inputs inputs = {0};
    struct input_visitor visitor = {.begin = begin_input, .batch = put_batch, .state = run};
    enum outcome outcome = inputs_expand(&inputs, run->words + 1, run->count - 1);
    if (outcome == OUTCOME_DONE)
        outcome = input_visit(&run->context, &inputs, &visitor);
    if (outcome == OUTCOME_DONE && run->put != NULL) {
        fletch_flight_stream_done_writing(run->put);
        take_answers(run, FLETCH_NO_TIMEOUT);
        outcome = tell_end(run, run->put);
    }
    fletch_flight_stream_close(run->put);
    fletch_schema_release(run->schema);
    inputs_end(&inputs);
    if (outcome == OUTCOME_DONE)
        printf("%s rows in %s batches put, %s answers\n", quantity_count(run->rows).text,
               quantity_count(run->batches).text, quantity_count(run->answers).text);
    return outcome;
}

/* ---- do ---- */

static void print_action_type(const void *message)
{
    const struct fletch_flight_action_type *type = message;
    printf("%s\t%s\n", type->type, type->description);
}

static void print_result(const void *message)
{
    const struct fletch_flight_bytes *result = message;
    (void)fwrite(result->data == NULL ? "" : result->data, 1, result->bytes, stdout);
    (void)putchar('\n');
}

static enum outcome act(struct flight_run *run)
{
    bool lists = run->count == 0;
    const struct fletch_flight_action action = {
        .type = lists ? "" : run->words[0],
        .body = bytes_of(run->count < 2 ? "" : run->words[1]),
    };
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    const void *message;
    enum fletch_status status =
        lists ? fletch_flight_client_list_actions(run->client, &run->call, &stream, &error)
              : fletch_flight_client_do_action(run->client, &run->call, &action, &stream, &error);
    if (status != FLETCH_OK)
        return tell(run, &error);
    while (fletch_flight_stream_receive(stream,
                                        lists ? FLETCH_FLIGHT_ACTION_TYPE : FLETCH_FLIGHT_RESULT,
                                        FLETCH_NO_TIMEOUT, &message, &error) == FLETCH_DONE) {
        (lists ? print_action_type : print_result)(message);
        fletch_flight_release(message);
    }
    enum outcome outcome = tell_end(run, stream);
    fletch_flight_stream_close(stream);
    return outcome;
}

/* ---- the command ---- */

static const struct verb {
    const char *name;
    size_t least; /* operands behind the location */
    size_t most;
    enum outcome (*run)(struct flight_run *run);
} verbs[] = {{"ls", 0, 1, list_flights},
             {"get", 1, SIZE_MAX, get},
             {"put", 2, SIZE_MAX, put},
             {"do", 0, 2, act}};

static enum outcome run_verb(struct flight_run *run, const struct verb *verb)
{
    struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                   .location = run->location};
    struct fletch_error error;
    enum outcome outcome = input_context_begin(&run->context, FLETCH_VALIDATION_FULL);
    if (outcome != OUTCOME_DONE)
        return outcome;
    options.pool = run->context.pool;
    options.validation = FLETCH_VALIDATION_FULL;
    run->call = (struct fletch_flight_call_options){.struct_size = sizeof run->call,
                                                    .timeout_ns = run->seconds * SECOND_NS};
    if (run->authorization != NULL) {
        run->header = (struct fletch_flight_header){"authorization", run->authorization,
                                                    strlen(run->authorization)};
        run->call.headers = &run->header;
        run->call.header_count = 1;
    }
    if (fletch_flight_client_create(&options, &run->client, &error) == FLETCH_OK)
        outcome = verb->run(run);
    else
        outcome =
            error.status == FLETCH_INVALID_ARGUMENT
                ? outcome_tell(OUTCOME_USAGE, "flight: %s (fletch flight --help)", error.message)
                : tell(run, &error);
    fletch_flight_client_destroy(run->client);
    input_context_end(&run->context);
    return outcome;
}

static enum outcome check(const struct command_usage *usage, const struct flight_run *run,
                          const struct verb *verb)
{
    if (run->count < verb->least)
        return options_refuse(usage, "%s needs more words behind the location", verb->name);
    if (run->count > (run->is_ticket ? 1 : verb->most))
        return options_refuse(usage, "'%s' is one word too many", run->words[run->count - 1]);
    if (run->is_ticket && verb->run != get)
        return options_refuse(usage, "--ticket goes with get");
    if (run->seconds > UINT32_MAX)
        return options_refuse(usage, "--timeout is %" PRIu64 ", at most %u", run->seconds,
                              UINT32_MAX);
    if (verb->run == get && isatty(STDOUT_FILENO))
        return options_refuse(usage, "get writes no text: not to a terminal");
    return verb->run == put ? inputs_check(usage, run->words + 1, run->count - 1) : OUTCOME_DONE;
}

enum outcome flight_command(char **words)
{
    struct flight_run run = {.seconds = 0};
    const struct option_entry options[] = {
        {"ticket", OPTION_FLAG, NULL, "get: NAME is a ticket, not a path", &run.is_ticket},
        {"timeout", OPTION_COUNT, "N", "seconds for each call", &run.seconds},
        {"authorization", OPTION_TEXT, "TEXT", "a header of each call", &run.authorization}};
    const struct command_usage usage = {
        .name = "flight",
        .synopsis = "[OPTION...] WHAT LOCATION [WORD...]",
        .text = "Speaks to a server of Arrow Flight at LOCATION: grpc://host:port or\n"
                "grpc+unix:///path.\n"
                "\n"
                "  ls LOCATION [CRITERIA]        lists its flights\n"
                "  get LOCATION NAME...          the flight with this path, as an Arrow stream\n"
                "  put LOCATION NAME INPUT...    sends all rows, of one schema, to that path\n"
                "  do LOCATION [ACTION [BODY]]   each result on a line; else lists the actions\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    enum outcome outcome;
    if (!options_parse(&usage, words, &operands, &outcome))
        return outcome;
    if (operands.count < 2)
        return options_refuse(&usage, "what to do, and a location, were expected");
    run.location = operands.words[1];
    run.words = operands.words + 2;
    run.count = operands.count - 2;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, operands.words[0]) != 0)
            continue;
        outcome = check(&usage, &run, &verbs[i]);
        return outcome == OUTCOME_DONE ? run_verb(&run, &verbs[i]) : outcome;
    }
    return options_refuse(&usage, "'%s' is none of ls, get, put, do", operands.words[0]);
}
