/* fletch flight put: the rows of inputs to a server. */

#include <stdio.h>

#include "flight_run.h"
#include "quantity.h"

struct put {
    struct flight_run *run;
    const struct flight_put_hook *hook; /* NULL: none */
    struct fletch_flight_stream *stream;
    struct fletch_schema *schema; /* of the first input, with a reference */
    struct flight_put_counts counts;
};

/* Acknowledgements that have come; with patience until there are no more. */
static void take_acknowledgements(struct put *put, uint64_t timeout_ns)
{
    const void *message;
    while (fletch_flight_stream_receive(put->stream, FLETCH_FLIGHT_PUT_RESULT, timeout_ns, &message,
                                        NULL) == FLETCH_DONE) {
        fletch_flight_release(message);
        put->counts.acknowledgements++;
    }
}

static enum outcome begin_put(struct put *put, struct fletch_schema *schema)
{
    struct flight_run *run = put->run;
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .compression = run->compression,
                                                        .message_limit_bytes =
                                                            run->words->message_bytes,
                                                        .descriptor = &run->descriptor};
    struct fletch_error error;
    put->schema = fletch_schema_acquire(schema);
    enum outcome outcome =
        put->hook == NULL ? OUTCOME_DONE : put->hook->begin(put->hook->state, schema);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (fletch_flight_client_do_put(run->client, &run->call, &put->stream, &error) != FLETCH_OK ||
        fletch_flight_stream_begin(put->stream, schema, &options, &error) != FLETCH_OK)
        return flight_tell(run, &error);
    return OUTCOME_DONE;
}

static enum outcome begin_input(void *state, const struct input_reader *reader)
{
    struct put *put = state;
    struct fletch_error error;
    struct fletch_schema *schema = fletch_ipc_reader_schema(reader->reader);
    if (put->schema == NULL)
        return begin_put(put, schema);
    if (fletch_schema_compare(put->schema, schema, FLETCH_COMPARE_FIELDS, &error) != FLETCH_OK)
        return outcome_tell(OUTCOME_INPUT, "%s: not the schema of the first input: %s",
                            inputs_name(reader->path), error.message);
    return OUTCOME_DONE;
}

static enum outcome put_batch(void *state, struct fletch_batch *batch)
{
    struct put *put = state;
    const struct fletch_flight_output output = {.batch = batch};
    struct fletch_error error;
    if (fletch_flight_stream_write(put->stream, FLETCH_NO_TIMEOUT, &output, &error) != FLETCH_DONE)
        return flight_tell(put->run, &error);
    put->counts.rows += (uint64_t)fletch_batch_row_count(batch);
    put->counts.batches++;
    take_acknowledgements(put, 0);
    return OUTCOME_DONE;
}

static enum outcome put_all(struct put *put, const struct inputs *inputs)
{
    struct input_visitor visitor = {.begin = begin_input, .batch = put_batch, .state = put};
    enum outcome outcome = input_visit(&put->run->context, inputs, &visitor);
    if (outcome != OUTCOME_DONE || put->stream == NULL)
        return outcome;
    fletch_flight_stream_done_writing(put->stream);
    take_acknowledgements(put, FLETCH_NO_TIMEOUT);
    return flight_tell_end(put->run, put->stream);
}

enum outcome flight_put_inputs(struct flight_run *run, const struct inputs *inputs,
                               const struct flight_put_hook *hook,
                               struct flight_put_counts *out_counts)
{
    struct put put = {.run = run, .hook = hook};
    enum outcome outcome = put_all(&put, inputs);
    fletch_flight_stream_close(put.stream);
    fletch_schema_release(put.schema);
    *out_counts = put.counts;
    return outcome;
}

enum outcome flight_put(struct flight_run *run)
{
    struct flight_put_counts counts = {0};
    struct inputs inputs = {0};
    enum outcome outcome = inputs_expand(&inputs, run->words->operands, run->words->count);
    if (outcome == OUTCOME_DONE)
        outcome = flight_put_inputs(run, &inputs, NULL, &counts);
    inputs_end(&inputs);
    if (outcome == OUTCOME_DONE)
        printf("%s rows in %s batches put, %s acknowledgements\n", quantity_count(counts.rows).text,
               quantity_count(counts.batches).text, quantity_count(counts.acknowledgements).text);
    return outcome;
}
