/* fletch flight get: a flight as one Arrow IPC stream or file. */

#include "arrow_output.h"
#include "flight_run.h"

struct get {
    struct flight_run *run;
    struct arrow_output output;
    size_t endpoint; /* from 1; 0: of a ticket */
};

static enum outcome take_schema(struct get *get, struct fletch_schema *schema)
{
    const struct arrow_source source = {get->run->words->location, "endpoint", get->endpoint};
    return arrow_output_begin(&get->output, schema, &source);
}

static enum outcome write_data(struct get *get, const struct fletch_flight_data *data)
{
    if (data->batch == NULL)
        return OUTCOME_DONE;
    enum outcome outcome = arrow_output_write(&get->output, data->batch);
    fletch_batch_release(get->run->context.cache, data->batch);
    return outcome;
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
    if (outcome == OUTCOME_DONE && get->output.writer == NULL && info->schema != NULL)
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

enum outcome flight_get(struct flight_run *run)
{
    const struct flight_words *words = run->words;
    const struct arrow_output_plan plan = {.path = words->out,
                                           .replaces = words->replaces,
                                           .compression = run->compression,
                                           .cache = run->context.cache};
    struct get get = {.run = run};
    enum outcome outcome = arrow_output_open(&get.output, &plan);
    if (outcome == OUTCOME_DONE)
        outcome = words->ticket != NULL ? get_ticket(&get) : get_endpoints(&get);
    if (outcome == OUTCOME_DONE && get.output.writer == NULL)
        outcome = outcome_tell(OUTCOME_INPUT, "%s: the flight has no schema, expected one",
                               words->location);
    return arrow_output_end(&get.output, outcome);
}
