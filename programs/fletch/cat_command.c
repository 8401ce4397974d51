#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "input_command.h"
#include "input_reader.h"
#include "text.h"
#include "value_text.h"

/* Text is written when there is this much of it. */
enum { WRITE_BYTES = 1 << 16 };

struct cat_state {
    bool is_json;
    bool is_arrow;
    uint64_t limit;
    uint64_t printed;
    struct fletch_buffer_cache *cache;
    struct fletch_schema *first; /* of the first input, with a reference */
    const char *first_path;
    const struct fletch_ipc_reader *reader; /* of the input that is shown */
    struct ArrowSchema schema;              /* of the first input, exported */
    struct fletch_ipc_writer *writer;       /* --arrow */
    struct text text;
    struct input_visitor *visitor;
};

static enum outcome write_text(struct cat_state *state)
{
    if (state->text.failed)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for a row's text");
    if (!text_write(&state->text, stdout))
        return outcome_flush(OUTCOME_SYSTEM);
    return OUTCOME_DONE;
}

static void print_header(struct cat_state *state)
{
    for (int64_t i = 0; i < state->schema.n_children; i++) {
        const char *name = state->schema.children[i]->name;
        if (i > 0)
            text_word(&state->text, ",");
        text_csv(&state->text, name, strlen(name));
    }
    text_word(&state->text, "\n");
}

static enum outcome begin_first(struct cat_state *state)
{
    struct fletch_error error;
    struct fletch_schema *schema = fletch_ipc_reader_schema(state->reader);
    state->first = fletch_schema_acquire(schema);
    if (fletch_schema_export(schema, NULL, &state->schema, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    if (state->is_arrow) {
        struct fletch_ipc_write_options options = {
            .struct_size = sizeof options,
            .cache = state->cache,
            .head_metadata = fletch_ipc_reader_head_metadata(state->reader),
        };
        if (fletch_ipc_writer_open_fd(STDOUT_FILENO, schema, &options, &state->writer, &error) !=
            FLETCH_OK)
            return outcome_tell_error("standard output", &error);
    } else if (!state->is_json) {
        print_header(state);
    }
    return OUTCOME_DONE;
}

static enum outcome begin(void *context, const struct input_reader *reader)
{
    struct cat_state *state = context;
    struct fletch_error error;
    state->reader = reader->reader;
    if (state->first == NULL) {
        state->first_path = reader->path;
        return begin_first(state);
    }
    if (fletch_schema_compare(state->first, fletch_ipc_reader_schema(reader->reader),
                              FLETCH_COMPARE_FIELDS, &error) != FLETCH_OK)
        return outcome_tell(OUTCOME_INPUT, "%s: not the schema of %s: %s",
                            inputs_name(reader->path), inputs_name(state->first_path),
                            error.message);
    return OUTCOME_DONE;
}

static void print_row(struct cat_state *state, const struct ArrowArray *rows, int64_t row)
{
    struct text *text = &state->text;
    if (state->is_json)
        text_word(text, "{");
    for (int64_t i = 0; i < rows->n_children; i++) {
        const struct ArrowSchema *column = state->schema.children[i];
        if (state->is_json) {
            if (i > 0)
                text_word(text, ",");
            text_json(text, column->name, strlen(column->name));
            text_word(text, ":");
            value_text_json(text, column, rows->children[i], rows->offset + row);
        } else {
            if (i > 0)
                text_word(text, ",");
            value_text_csv(text, column, rows->children[i], rows->offset + row);
        }
    }
    text_word(text, state->is_json ? "}\n" : "\n");
}

static enum outcome print_rows(struct cat_state *state, struct fletch_batch *batch, int64_t count)
{
    struct ArrowArray rows;
    struct fletch_error error;
    if (fletch_batch_export(batch, state->cache, &rows, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    enum outcome outcome = OUTCOME_DONE;
    for (int64_t row = 0; row < count && outcome == OUTCOME_DONE; row++) {
        print_row(state, &rows, row);
        if (state->text.size >= WRITE_BYTES)
            outcome = write_text(state);
    }
    rows.release(&rows);
    return outcome;
}

/* What messages said of dictionaries. Another input may number them otherwise. */
static enum fletch_status copy_dictionary_metadata(struct cat_state *state,
                                                   struct fletch_error *error)
{
    size_t count = fletch_ipc_reader_dictionary_count(state->reader);
    enum fletch_status status = FLETCH_OK;
    if (fletch_ipc_reader_schema(state->reader) != state->first)
        return FLETCH_OK;
    for (size_t i = 0; i < count && status == FLETCH_OK; i++) {
        int64_t id;
        const char *metadata = fletch_ipc_reader_dictionary_metadata(state->reader, i, &id);
        status = fletch_ipc_writer_dictionary_metadata(state->writer, id, metadata, error);
    }
    return status;
}

static enum outcome write_batch(struct cat_state *state, struct fletch_batch *batch, int64_t count)
{
    struct fletch_batch *cut;
    struct fletch_error error;
    struct fletch_row_range rows = {.first = 0, .count = (size_t)count};
    if (fletch_batch_slice(state->cache, batch, rows, &cut, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    enum fletch_status status = copy_dictionary_metadata(state, &error);
    if (status == FLETCH_OK)
        status = fletch_ipc_writer_write(state->writer, cut,
                                         fletch_ipc_reader_metadata(state->reader), &error);
    fletch_batch_release(state->cache, cut);
    return status == FLETCH_OK ? OUTCOME_DONE : outcome_tell_error("standard output", &error);
}

static enum outcome show_batch(void *context, struct fletch_batch *batch)
{
    struct cat_state *state = context;
    uint64_t left = state->limit - state->printed;
    uint64_t rows = (uint64_t)fletch_batch_row_count(batch);
    int64_t count = (int64_t)(rows > left ? left : rows);
    state->printed += (uint64_t)count;
    state->visitor->is_enough = state->printed == state->limit;
    return state->is_arrow ? write_batch(state, batch, count) : print_rows(state, batch, count);
}

static enum outcome finish(struct cat_state *state)
{
    struct fletch_error error;
    if (state->writer == NULL)
        return write_text(state);
    if (fletch_ipc_writer_finish(state->writer, &error) != FLETCH_OK)
        return outcome_tell_error("standard output", &error);
    return OUTCOME_DONE;
}

static enum outcome show_inputs(void *all, const struct inputs *inputs)
{
    struct cat_state *state = all;
    struct input_context context;
    enum outcome outcome = input_context_begin(&context, FLETCH_VALIDATION_FULL);
    if (outcome != OUTCOME_DONE)
        return outcome;
    /* The schema is shown even if no row is wanted: the first input is begun. */
    struct input_visitor visitor = {.begin = begin, .batch = show_batch, .state = state};
    state->cache = context.cache;
    state->visitor = &visitor;
    outcome = input_visit(&context, inputs, &visitor);
    if (outcome == OUTCOME_DONE)
        outcome = finish(state);
    fletch_ipc_writer_close(state->writer);
    if (state->schema.release != NULL)
        state->schema.release(&state->schema);
    fletch_schema_release(state->first);
    text_end(&state->text);
    input_context_end(&context);
    return outcome;
}

static enum outcome check(void *options, const struct command_usage *usage)
{
    const struct cat_state *state = options;
    if (state->is_json && state->is_arrow)
        return options_refuse(usage, "--json and --arrow do not go together");
    if (state->is_arrow && isatty(STDOUT_FILENO))
        return options_refuse(usage, "--arrow writes no text: not to a terminal");
    return OUTCOME_DONE;
}

enum outcome cat_command(char **words)
{
    struct cat_state state = {.limit = UINT64_MAX};
    const struct option_entry options[] = {
        {"limit", OPTION_COUNT, "N", "no more than N rows", &state.limit},
        {"json", OPTION_FLAG, NULL, "an object for each row instead of CSV", &state.is_json},
        {"arrow", OPTION_FLAG, NULL, "an Arrow IPC stream", &state.is_arrow}};
    const struct command_usage usage = {
        .name = "cat",
        .synopsis = "[--limit N] [--json | --arrow] INPUT...",
        .text =
            "Writes the rows of all inputs, which have one schema, to standard output: as CSV\n"
            "with a line of names (null is nothing, an empty text is \"\"), as JSON, or as one\n"
            "Arrow IPC stream.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    const struct input_command command = {
        .usage = &usage, .check = check, .run = show_inputs, .state = &state};
    return input_command_run(&command, words);
}
