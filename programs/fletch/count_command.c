#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "input_command.h"
#include "input_reader.h"
#include "quantity.h"
#include "text.h"

struct counts {
    uint64_t rows;
    uint64_t batches;
    uint64_t bytes;
};

struct count_state {
    bool is_json;
    struct counts file;
    struct counts all;
    struct text files; /* JSON */
};

static enum outcome begin(void *context, const struct input_reader *reader)
{
    struct count_state *state = context;
    state->file = (struct counts){.bytes = reader->bytes};
    return OUTCOME_DONE;
}

static enum outcome count_batch(void *context, struct fletch_batch *batch)
{
    struct count_state *state = context;
    state->file.rows += (uint64_t)fletch_batch_row_count(batch);
    state->file.batches++;
    return OUTCOME_DONE;
}

static void print_line(const char *name, const struct counts *counts)
{
    printf("%16s rows %12s batches %10s  %s\n", quantity_count(counts->rows).text,
           quantity_count(counts->batches).text,
           counts->bytes == 0 ? "-" : quantity_bytes(counts->bytes).text, name);
}

static void json_counts(struct text *text, const struct counts *counts)
{
    text_json_number(text, "rows", counts->rows);
    text_json_number(text, "batches", counts->batches);
    if (counts->bytes > 0)
        text_json_number(text, "bytes", counts->bytes);
}

static enum outcome end(void *context, const struct input_reader *reader)
{
    struct count_state *state = context;
    state->all.rows += state->file.rows;
    state->all.batches += state->file.batches;
    state->all.bytes += state->file.bytes;
    if (!state->is_json) {
        print_line(inputs_name(reader->path), &state->file);
        return OUTCOME_DONE;
    }
    text_word(&state->files, state->files.size > 0 ? ",{" : "{");
    text_json_member(&state->files, "path", inputs_name(reader->path));
    json_counts(&state->files, &state->file);
    text_word(&state->files, "}");
    return OUTCOME_DONE;
}

static void print_json(struct count_state *state)
{
    struct text report = {0};
    text_word(&report, "{");
    json_counts(&report, &state->all);
    text_json_key(&report, "files");
    text_word(&report, "[");
    text_append(&report, state->files.bytes, state->files.size);
    text_word(&report, "]}\n");
    text_write(&report, stdout);
    text_end(&report);
}

static enum outcome count_inputs(void *all, const struct inputs *inputs)
{
    struct count_state *state = all;
    struct input_context context;
    enum outcome outcome = input_context_begin(&context, FLETCH_VALIDATION_STRUCTURE);
    if (outcome != OUTCOME_DONE)
        return outcome;
    struct input_visitor visitor = {
        .begin = begin, .batch = count_batch, .end = end, .state = state};
    outcome = input_visit(&context, inputs, &visitor);
    input_context_end(&context);
    if (outcome == OUTCOME_DONE && state->is_json)
        print_json(state);
    else if (outcome == OUTCOME_DONE && inputs->count > 1)
        print_line("in all", &state->all);
    text_end(&state->files);
    return outcome;
}

enum outcome count_command(char **words)
{
    struct count_state state = {0};
    const struct option_entry options[] = {
        {"json", OPTION_FLAG, NULL, "one object instead of text", &state.is_json}};
    const struct command_usage usage = {
        .name = "count",
        .synopsis = "[--json] INPUT...",
        .text = "Counts rows and batches, of each input and in all, and tells the bytes of files.\n"
                "Looks at the structure of the data, not at the values.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    const struct input_command command = {.usage = &usage, .run = count_inputs, .state = &state};
    return input_command_run(&command, words);
}
