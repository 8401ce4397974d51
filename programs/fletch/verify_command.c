#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "command_line.h"
#include "input_reader.h"
#include "quantity.h"
#include "row_sums.h"
#include "text.h"

enum { SIDE_A, SIDE_B, SIDES };

struct verify_side {
    struct inputs inputs;
    struct row_sums sums;
    uint64_t *column_sums; /* NULL: not looked at */
};

struct verify_state {
    bool is_json;
    struct verify_side sides[SIDES];
    struct verify_side *side; /* that is read just now */
    bool by_column;
    struct row_summer summer;
    struct fletch_schema *schema; /* the first one, with a reference */
    const char *first_path;
    bool schema_differs;
    char difference[768];
};

static enum outcome begin(void *context, const struct input_reader *reader)
{
    struct verify_state *state = context;
    struct fletch_error error;
    struct fletch_schema *schema = fletch_ipc_reader_schema(reader->reader);
    if (state->schema == NULL) {
        state->schema = fletch_schema_acquire(schema);
        state->first_path = reader->path;
        return row_summer_begin(&state->summer, (uint32_t)fletch_schema_column_count(schema));
    }
    if (fletch_schema_compare(state->schema, schema, FLETCH_COMPARE_VALUE_TYPES, &error) ==
        FLETCH_OK)
        return OUTCOME_DONE;
    state->schema_differs = true;
    snprintf(state->difference, sizeof state->difference, "%s: not the schema of %s: %s",
             inputs_name(reader->path), inputs_name(state->first_path), error.message);
    return OUTCOME_DIFFERS;
}

static enum outcome add_batch(void *context, struct fletch_batch *batch)
{
    struct verify_state *state = context;
    if (state->by_column)
        return row_summer_add_columns(&state->summer, batch, state->side->column_sums);
    return row_summer_add(&state->summer, batch, &state->side->sums);
}

static enum outcome read_side(struct verify_state *state, const struct input_context *context,
                              struct verify_side *side)
{
    struct input_visitor visitor = {.begin = begin, .batch = add_batch, .state = state};
    state->side = side;
    return input_visit(context, &side->inputs, &visitor);
}

static bool is_repeatable(const struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        if (strcmp(inputs->paths[i], INPUTS_STANDARD) == 0)
            return false;
    return true;
}

/* Reads both sides again, each column by itself. */
static enum outcome look_at_columns(struct verify_state *state, const struct input_context *context)
{
    enum outcome outcome = OUTCOME_DONE;
    state->by_column = true;
    for (int i = 0; i < SIDES && outcome == OUTCOME_DONE; i++) {
        struct verify_side *side = &state->sides[i];
        side->column_sums = calloc(state->summer.column_count + (size_t)1, sizeof(uint64_t));
        if (side->column_sums == NULL)
            return outcome_tell(OUTCOME_SYSTEM, "no memory for the sums of %u columns",
                                state->summer.column_count);
        outcome = read_side(state, context, side);
    }
    return outcome;
}

static bool sums_are_equal(const struct verify_state *state)
{
    const struct row_sums *a = &state->sides[SIDE_A].sums, *b = &state->sides[SIDE_B].sums;
    return a->rows == b->rows && a->row_sum == b->row_sum && a->reverse_sum == b->reverse_sum;
}

static bool column_differs(const struct verify_state *state, size_t column)
{
    return state->sides[SIDE_A].column_sums != NULL && state->sides[SIDE_B].column_sums != NULL &&
           state->sides[SIDE_A].column_sums[column] != state->sides[SIDE_B].column_sums[column];
}

/* Names of the columns that differ, as JSON strings or as words. */
static size_t print_columns(const struct verify_state *state, struct text *text)
{
    size_t count = 0;
    for (size_t i = 0; i < state->summer.column_count; i++) {
        size_t size;
        if (!column_differs(state, i))
            continue;
        const char *name = fletch_schema_column_name(state->schema, i, &size);
        text_word(text, count++ > 0 ? (state->is_json ? "," : ", ") : "");
        if (state->is_json)
            text_json(text, name, size);
        else
            text_append(text, name, size);
    }
    return count;
}

static void print_json(const struct verify_state *state, bool is_same)
{
    static const char *const names[SIDES] = {"a", "b"};
    struct text text = {0};
    text_word(&text, "{");
    text_json_key(&text, "same");
    text_word(&text, is_same ? "true" : "false");
    if (state->schema_differs)
        text_json_member(&text, "schema", state->difference);
    for (int i = 0; i < SIDES; i++) {
        const struct row_sums *sums = &state->sides[i].sums;
        text_json_key(&text, names[i]);
        text_print(&text,
                   "{\"rows\":%" PRIu64 ",\"row_sum\":\"%016" PRIx64
                   "\",\"reverse_sum\":\"%016" PRIx64 "\"}",
                   sums->rows, sums->row_sum, sums->reverse_sum);
    }
    text_json_key(&text, "columns_that_differ");
    text_word(&text, "[");
    print_columns(state, &text);
    text_word(&text, "]}\n");
    text_write(&text, stdout);
    text_end(&text);
}

static void print_side(const char *name, const struct verify_side *side)
{
    printf("%s: %s rows in %zu inputs, row sum %016" PRIx64 ", reverse sum %016" PRIx64 "\n", name,
           quantity_count(side->sums.rows).text, side->inputs.count, side->sums.row_sum,
           side->sums.reverse_sum);
}

static void print_text(const struct verify_state *state, bool is_same)
{
    if (state->schema_differs) {
        printf("different schema: %s\n", state->difference);
        return;
    }
    print_side("A", &state->sides[SIDE_A]);
    print_side("B", &state->sides[SIDE_B]);
    if (is_same) {
        printf(
            "the same: equal row counts and two equal 64-bit sums over all columns, which other\n"
            "rows have by accident once in 2^64; says nothing about order or partitions\n");
        return;
    }
    uint64_t a = state->sides[SIDE_A].sums.rows, b = state->sides[SIDE_B].sums.rows;
    if (a != b)
        printf("different: %s has %s rows more\n", a > b ? "A" : "B",
               quantity_count(a > b ? a - b : b - a).text);
    struct text columns = {0};
    if (print_columns(state, &columns) > 0)
        printf("%s: %.*s\n", a != b ? "columns whose sums differ" : "different values in",
               (int)columns.size, columns.bytes);
    else if (a == b && state->sides[SIDE_B].column_sums != NULL)
        printf("different: each column has the same values, but in other rows\n");
    else if (a == b)
        printf("different: as many rows, other values\n");
    text_end(&columns);
}

static enum outcome compare(struct verify_state *state)
{
    struct input_context context;
    enum outcome outcome = input_context_begin(&context, FLETCH_VALIDATION_FULL);
    if (outcome != OUTCOME_DONE)
        return outcome;
    for (int i = 0; i < SIDES && outcome == OUTCOME_DONE; i++)
        outcome = read_side(state, &context, &state->sides[i]);
    bool is_same = outcome == OUTCOME_DONE && sums_are_equal(state);
    if (outcome == OUTCOME_DONE && !is_same) {
        if (is_repeatable(&state->sides[SIDE_A].inputs) &&
            is_repeatable(&state->sides[SIDE_B].inputs))
            outcome = look_at_columns(state, &context);
        outcome = outcome == OUTCOME_DONE ? OUTCOME_DIFFERS : outcome;
    }
    if (outcome == OUTCOME_DONE || outcome == OUTCOME_DIFFERS) {
        if (state->is_json)
            print_json(state, is_same);
        else
            print_text(state, is_same);
    }
    row_summer_end(&state->summer);
    fletch_schema_release(state->schema);
    input_context_end(&context);
    return outcome;
}

enum outcome verify_command(char **words)
{
    struct verify_state state = {0};
    const struct option_entry options[] = {
        {"json", OPTION_FLAG, NULL, "one object instead of text", &state.is_json}};
    const struct command_usage usage = {
        .name = "verify",
        .synopsis = "[--json] A... -- B...",
        .text = "Tells whether inputs A have the same rows as inputs B, in whatever order, files\n"
                "and batches: equal schema, number of rows, and two 64-bit sums over hashes of\n"
                "all columns of each row. If not, exit code 1, and what differs. Metadata is not\n"
                "compared; a dictionary equals its values. It is no proof against forgery.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    enum outcome outcome;
    if (!options_parse(&usage, words, &operands, &outcome))
        return outcome;
    if (!operands.is_separated || operands.separator == 0 || operands.separator == operands.count)
        return options_refuse(&usage, "expected inputs before and behind --");
    outcome = inputs_check(&usage, operands.words, operands.count);
    if (outcome == OUTCOME_DONE)
        outcome = inputs_expand(&state.sides[SIDE_A].inputs, operands.words, operands.separator);
    if (outcome == OUTCOME_DONE)
        outcome = inputs_expand(&state.sides[SIDE_B].inputs, operands.words + operands.separator,
                                operands.count - operands.separator);
    if (outcome == OUTCOME_DONE)
        outcome = compare(&state);
    for (int i = 0; i < SIDES; i++) {
        inputs_end(&state.sides[i].inputs);
        free(state.sides[i].column_sums);
    }
    return outcome;
}
