#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds_file.h"
#include "command.h"
#include "command_line.h"
#include "input_reader.h"
#include "key_columns.h"
#include "text.h"
#include "type_names.h"
#include "value_parse.h"

struct where_state {
    const struct command_usage *usage;
    const char *by;
    const char *schema_path;
    const char *types;
    const char *bounds_path;
    const char *order;
    const char *null_word;
    uint64_t partition_count;
    bool is_json;
    struct input_context context;
    uint32_t key_count;
    char formats[KEY_COLUMNS_MAX][80];
    struct value_cell cells[KEY_COLUMNS_MAX];
    struct fletch_schema *schema; /* of the keys */
    struct fletch_batch *bounds;
    struct fletch_partitioner *partitioner;
    struct text keys; /* JSON */
};

/* Formats of the types that --types names. */
static enum outcome take_types(struct where_state *state)
{
    const char *name = state->types;
    for (;;) {
        size_t size = 0;
        for (int depth = 0; name[size] != '\0' && (name[size] != ',' || depth > 0); size++)
            depth += (strchr("([", name[size]) != NULL) - (strchr(")]", name[size]) != NULL);
        if (state->key_count == KEY_COLUMNS_MAX)
            return options_refuse(state->usage, "--types has more than %d", KEY_COLUMNS_MAX);
        if (!type_names_parse(name, size, state->formats[state->key_count],
                              sizeof state->formats[0]))
            return options_refuse(state->usage,
                                  "--types: '%.*s' is no type of single values; int64, utf8, "
                                  "date32, decimal128(15,2), timestamp[us] ... are",
                                  (int)size, name);
        state->key_count++;
        if (name[size] == '\0')
            return OUTCOME_DONE;
        name += size + 1;
    }
}

/* What the values of a column are: dictionaries and runs hash as theirs. */
static const struct ArrowSchema *values_of(const struct ArrowSchema *column)
{
    for (;;) {
        if (column->dictionary != NULL)
            column = column->dictionary;
        else if (strcmp(column->format, "+r") == 0)
            column = column->children[1];
        else
            return column;
    }
}

/* Formats of the columns --by of the schema of an input. */
static enum outcome take_columns(struct where_state *state, struct fletch_schema *schema)
{
    struct key_columns columns;
    struct ArrowSchema exported;
    struct fletch_error error;
    enum outcome outcome = key_columns_find(state->usage, schema, state->by, &columns);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (fletch_schema_export(schema, NULL, &exported, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    state->key_count = columns.count;
    for (uint32_t i = 0; i < columns.count; i++) {
        const struct ArrowSchema *column = exported.children[columns.numbers[i]];
        const char *format = values_of(column)->format;
        snprintf(state->formats[i], sizeof state->formats[i], "%s", format);
    }
    exported.release(&exported);
    return OUTCOME_DONE;
}

static enum outcome take_schema(struct where_state *state)
{
    struct fletch_ipc_read_options options = {.struct_size = sizeof options,
                                              .cache = state->context.cache};
    struct input_reader reader;
    enum outcome outcome = input_reader_open(&reader, state->schema_path, &options);
    if (outcome != OUTCOME_DONE)
        return outcome;
    outcome = take_columns(state, fletch_ipc_reader_schema(reader.reader));
    input_reader_close(&reader);
    return outcome;
}

static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    array->release = NULL;
}

static enum outcome parse_values(struct where_state *state, char *const *words)
{
    for (uint32_t i = 0; i < state->key_count; i++) {
        const char *word = strcmp(words[i], state->null_word) == 0 ? NULL : words[i];
        enum value_parse_answer answer = value_parse(&state->cells[i], state->formats[i], word);
        if (answer != VALUE_PARSED)
            return options_refuse(state->usage, "'%s': %s (its format is '%s')", words[i],
                                  value_parse_text(answer), state->formats[i]);
    }
    return OUTCOME_DONE;
}

/* The schema of the keys, which the cells have. */
static enum outcome make_schema(struct where_state *state)
{
    struct ArrowSchema *children[KEY_COLUMNS_MAX];
    struct fletch_error error;
    for (uint32_t i = 0; i < state->key_count; i++)
        children[i] = &state->cells[i].schema;
    struct ArrowSchema all = {.format = "+s",
                              .name = "",
                              .n_children = state->key_count,
                              .children = children,
                              .release = release_schema};
    if (fletch_schema_import(&all, NULL, &state->schema, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    return OUTCOME_DONE;
}

static enum outcome make_partitioner(struct where_state *state)
{
    uint32_t numbers[KEY_COLUMNS_MAX];
    struct fletch_error error;
    struct fletch_range_order orders[KEY_COLUMNS_MAX];
    enum outcome outcome = key_orders_parse(state->usage, state->order, state->key_count, orders);
    for (uint32_t i = 0; i < state->key_count; i++)
        numbers[i] = i;
    if (outcome == OUTCOME_DONE && state->bounds_path != NULL)
        outcome = bounds_file_read(state->bounds_path, state->context.cache, &state->bounds);
    if (outcome != OUTCOME_DONE)
        return outcome;
    struct fletch_partitioner_options options = {
        .struct_size = sizeof options,
        .method = state->bounds != NULL ? FLETCH_PARTITION_RANGE : FLETCH_PARTITION_HASH,
        .partition_count = (uint32_t)state->partition_count,
        .key_columns = numbers,
        .key_column_count = state->key_count,
        .range_orders = state->bounds != NULL ? orders : NULL,
        .range_bounds = state->bounds};
    if (fletch_partitioner_create(state->schema, &options, NULL, &state->partitioner, &error) !=
        FLETCH_OK)
        return options_refuse(state->usage, "%s", error.message);
    return OUTCOME_DONE;
}

/* A batch of one row over the cells. */
static enum outcome make_row(struct where_state *state, struct fletch_batch **out_row)
{
    struct ArrowArray *children[KEY_COLUMNS_MAX];
    const void *buffers[1] = {NULL};
    struct fletch_error error;
    struct fletch_import_options options = {.struct_size = sizeof options,
                                            .cache = state->context.cache,
                                            .validation = FLETCH_VALIDATION_FULL};
    for (uint32_t i = 0; i < state->key_count; i++)
        children[i] = &state->cells[i].array;
    struct ArrowArray all = {.length = 1,
                             .n_buffers = 1,
                             .buffers = buffers,
                             .n_children = state->key_count,
                             .children = children,
                             .release = release_array};
    if (fletch_batch_import(&all, state->schema, &options, out_row, &error) != FLETCH_OK)
        return options_refuse(state->usage, "%s", error.message);
    return OUTCOME_DONE;
}

static void print_key(struct where_state *state, char *const *words, uint16_t partition,
                      uint64_t hash)
{
    if (!state->is_json) {
        for (uint32_t i = 0; i < state->key_count; i++)
            printf("%s%s", i > 0 ? "," : "", words[i]);
        printf(": partition %u of %" PRIu64 "\n", (unsigned)partition, state->partition_count);
        return;
    }
    struct text *text = &state->keys;
    text_word(text, text->size > 0 ? ",{" : "{");
    text_json_key(text, "values");
    text_word(text, "[");
    for (uint32_t i = 0; i < state->key_count; i++) {
        text_word(text, i > 0 ? "," : "");
        if (strcmp(words[i], state->null_word) == 0)
            text_word(text, "null");
        else
            text_json(text, words[i], strlen(words[i]));
    }
    text_word(text, "]");
    text_json_number(text, "partition", partition);
    text_json_key(text, "hash");
    text_print(text, "\"%016" PRIx64 "\"}", hash);
}

/* One key: as many words as it has columns. */
static enum outcome place_key(struct where_state *state, char *const *words)
{
    struct fletch_batch *row = NULL;
    struct fletch_error error;
    uint32_t numbers[KEY_COLUMNS_MAX];
    uint16_t partition;
    uint64_t hash;
    enum outcome outcome = parse_values(state, words);
    if (outcome == OUTCOME_DONE && state->partitioner == NULL) {
        outcome = make_schema(state);
        if (outcome == OUTCOME_DONE)
            outcome = make_partitioner(state);
    }
    if (outcome == OUTCOME_DONE)
        outcome = make_row(state, &row);
    if (outcome == OUTCOME_DONE &&
        fletch_partitioner_assign(state->partitioner, row, (struct fletch_row_range){0, 1},
                                  &partition, &error) != FLETCH_OK)
        outcome = outcome_tell_error(NULL, &error);
    if (outcome == OUTCOME_DONE) {
        for (uint32_t i = 0; i < state->key_count; i++)
            numbers[i] = i;
        fletch_hash_batch(row, numbers, state->key_count, &hash);
        print_key(state, words, partition, hash);
    }
    fletch_batch_release(state->context.cache, row);
    for (uint32_t i = 0; i < state->key_count; i++)
        value_cell_end(&state->cells[i]);
    return outcome;
}

static enum outcome place_keys(struct where_state *state, const struct operands *operands)
{
    enum outcome outcome = state->types != NULL ? take_types(state) : take_schema(state);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (operands->count % state->key_count != 0)
        return options_refuse(state->usage, "%zu values for keys of %u columns", operands->count,
                              state->key_count);
    for (size_t i = 0; i < operands->count && outcome == OUTCOME_DONE; i += state->key_count)
        outcome = place_key(state, operands->words + i);
    if (outcome == OUTCOME_DONE && state->is_json)
        printf("{\"function\":\"%s\",\"partitions\":%" PRIu64 ",\"keys\":[%.*s]}\n",
               fletch_partitioner_name(state->partitioner), state->partition_count,
               (int)state->keys.size, state->keys.bytes);
    return outcome;
}

static enum outcome check(const struct where_state *state, const struct operands *operands)
{
    if (operands->count == 0)
        return options_refuse(state->usage, "no VALUE");
    if ((state->types == NULL) == (state->schema_path == NULL))
        return options_refuse(state->usage, "expected either --schema FILE or --types T");
    if (state->schema_path != NULL && state->by == NULL)
        return options_refuse(state->usage, "--schema wants --by: which columns are the key");
    if (state->order != NULL && state->bounds_path == NULL)
        return options_refuse(state->usage, "--order is of ranges, which --bounds FILE has");
    if (state->partition_count == 0 || state->partition_count > FLETCH_PARTITIONS_MAX)
        return options_refuse(state->usage, "--partitions is %" PRIu64 ", expected 1 to %u",
                              state->partition_count, FLETCH_PARTITIONS_MAX);
    return OUTCOME_DONE;
}

static enum outcome run(struct where_state *state, const struct operands *operands)
{
    enum outcome outcome = check(state, operands);
    if (outcome != OUTCOME_DONE)
        return outcome;
    outcome = input_context_begin(&state->context, FLETCH_VALIDATION_FULL);
    if (outcome != OUTCOME_DONE)
        return outcome;
    outcome = place_keys(state, operands);
    fletch_partitioner_destroy(state->partitioner);
    fletch_batch_release(state->context.cache, state->bounds);
    fletch_schema_release(state->schema);
    input_context_end(&state->context);
    text_end(&state->keys);
    return outcome;
}

enum outcome where_command(char **words)
{
    static struct where_state state = {.null_word = "null"};
    const struct option_entry options[] = {
        {"partitions", OPTION_COUNT, "N", "of how many partitions", &state.partition_count},
        {"schema", OPTION_TEXT, "F", "an input that has the columns --by, for their types",
         &state.schema_path},
        {"by", OPTION_TEXT, "COLS", "columns of the key, separated by commas", &state.by},
        {"types", OPTION_TEXT, "T", "their types instead: int64,utf8,timestamp[us]", &state.types},
        {"bounds", OPTION_TEXT, "FILE", "ranges: N - 1 sorted rows of the key", &state.bounds_path},
        {"order", OPTION_TEXT, "LIST", "of ranges: as for shuffle, one word for each column",
         &state.order},
        {"null", OPTION_TEXT, "WORD", "what stands for null (default: null)", &state.null_word},
        {"json", OPTION_FLAG, NULL, "one object instead of text, with hashes", &state.is_json}};
    const struct command_usage usage = {
        .name = "where",
        .synopsis = "--partitions N {--schema F --by COLS | --types T} VALUE...",
        .text = "Tells which partition a key goes to, by the hash of shuffles (fletch-hash-1) or\n"
                "by ranges. A key has one VALUE for each of its columns; several keys may follow\n"
                "each other. Dates and times are ISO 8601 or stored counts, bytes text or 0x...\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    enum outcome outcome;
    state.usage = &usage;
    if (!options_parse(&usage, words, &operands, &outcome))
        return outcome;
    return run(&state, &operands);
}
