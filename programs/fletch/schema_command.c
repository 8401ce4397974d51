#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "input_command.h"
#include "input_reader.h"
#include "text.h"

struct schema_state {
    bool is_json;
    bool has_metadata; /* --metadata */
    struct text files; /* JSON */
    /* Of the last schema that was printed, and whose it was. */
    struct fletch_fingerprint printed;
    char printed_path[512];
};

/* Pairs as the C data interface lays them out: counts and lengths are 32 bits of this machine. */
static void visit_metadata(const char *metadata,
                           void (*visit)(struct text *text, const char *key, int32_t key_size,
                                         const char *value, int32_t value_size),
                           struct text *text)
{
    int32_t count = 0;
    if (metadata != NULL)
        memcpy(&count, metadata, sizeof count);
    const char *at = metadata + sizeof count;
    for (int32_t i = 0; i < count; i++) {
        int32_t key_size, value_size;
        memcpy(&key_size, at, sizeof key_size);
        const char *key = at + sizeof key_size;
        memcpy(&value_size, key + key_size, sizeof value_size);
        const char *value = key + key_size + sizeof value_size;
        visit(text, key, key_size, value, value_size);
        at = value + value_size;
    }
}

static void json_pair(struct text *text, const char *key, int32_t key_size, const char *value,
                      int32_t value_size)
{
    if (text->bytes[text->size - 1] != '{')
        text_word(text, ",");
    text_json(text, key, (size_t)key_size);
    text_word(text, ":");
    text_json(text, value, (size_t)value_size);
}

static void text_pair(struct text *text, const char *key, int32_t key_size, const char *value,
                      int32_t value_size)
{
    text_print(text, "      %.*s = %.*s\n", (int)key_size, key, (int)value_size, value);
}

static void json_metadata(struct text *text, const char *metadata)
{
    if (metadata == NULL)
        return;
    text_json_key(text, "metadata");
    text_word(text, "{");
    visit_metadata(metadata, json_pair, text);
    text_word(text, "}");
}

/* Appends the name of a column's type. */
static void print_type(struct text *text, const struct fletch_schema *schema, size_t column)
{
    char name[4096];
    fletch_schema_column_type(schema, column, name, sizeof name);
    text_word(text, name);
}

static void json_schema(struct schema_state *state, const struct input_reader *reader,
                        const struct ArrowSchema *schema)
{
    struct text *text = &state->files;
    size_t batches = fletch_ipc_reader_batch_count(reader->reader);
    text_word(text, text->size > 0 ? ",{" : "{");
    text_json_member(text, "path", inputs_name(reader->path));
    text_json_member(text, "format", reader->is_file ? "file" : "stream");
    if (reader->is_file)
        text_json_number(text, "batches", batches);
    text_json_key(text, "columns");
    text_word(text, "[");
    for (int64_t i = 0; i < schema->n_children; i++) {
        const struct ArrowSchema *column = schema->children[i];
        char type[4096];
        fletch_schema_column_type(fletch_ipc_reader_schema(reader->reader), (size_t)i, type,
                                  sizeof type);
        text_word(text, i > 0 ? ",{" : "{");
        text_json_member(text, "name", column->name);
        text_json_member(text, "type", type);
        text_json_key(text, "nullable");
        text_word(text, (column->flags & ARROW_FLAG_NULLABLE) != 0 ? "true" : "false");
        json_metadata(text, column->metadata);
        text_word(text, "}");
    }
    text_word(text, "]");
    json_metadata(text, schema->metadata);
    text_word(text, "}");
}

static void print_columns(const struct schema_state *state, const struct fletch_schema *types,
                          const struct ArrowSchema *schema)
{
    int width = 0;
    struct text text = {0};
    for (int64_t i = 0; i < schema->n_children; i++) {
        int length = (int)strlen(schema->children[i]->name);
        width = length > width && length <= 30 ? length : width;
    }
    for (int64_t i = 0; i < schema->n_children; i++) {
        const struct ArrowSchema *column = schema->children[i];
        text_print(&text, "  %-*s  ", width, column->name);
        print_type(&text, types, (size_t)i);
        text_word(&text, (column->flags & ARROW_FLAG_NULLABLE) != 0 ? "\n" : " not null\n");
        if (state->has_metadata)
            visit_metadata(column->metadata, text_pair, &text);
    }
    if (state->has_metadata && schema->metadata != NULL) {
        text_word(&text, "  metadata of the schema\n");
        visit_metadata(schema->metadata, text_pair, &text);
    }
    text_write(&text, stdout);
    text_end(&text);
}

static void print_schema(struct schema_state *state, const struct input_reader *reader,
                         const struct ArrowSchema *schema)
{
    const char *name = inputs_name(reader->path);
    struct fletch_fingerprint print = fletch_schema_fingerprint(
        fletch_ipc_reader_schema(reader->reader),
        state->has_metadata ? FLETCH_COMPARE_METADATA : FLETCH_COMPARE_FIELDS);
    if (state->printed_path[0] != '\0' && print.high == state->printed.high &&
        print.low == state->printed.low) {
        printf("%s: as %s\n", name, state->printed_path);
        return;
    }
    if (reader->is_file)
        printf("%s: file, %zu batches, %" PRId64 " columns\n", name,
               fletch_ipc_reader_batch_count(reader->reader), schema->n_children);
    else
        printf("%s: stream, %" PRId64 " columns\n", name, schema->n_children);
    print_columns(state, fletch_ipc_reader_schema(reader->reader), schema);
    state->printed = print;
    snprintf(state->printed_path, sizeof state->printed_path, "%s", name);
}

static enum outcome show_input(struct schema_state *state, const struct input_context *context,
                               const char *path)
{
    struct fletch_ipc_read_options options = {
        .struct_size = sizeof options, .cache = context->cache, .validation = context->validation};
    struct input_reader reader;
    struct ArrowSchema schema;
    struct fletch_error error;
    enum outcome outcome = input_reader_open(&reader, path, &options);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (fletch_schema_export(fletch_ipc_reader_schema(reader.reader), NULL, &schema, &error) !=
        FLETCH_OK) {
        outcome = outcome_tell_error(inputs_name(path), &error);
    } else {
        if (state->is_json)
            json_schema(state, &reader, &schema);
        else
            print_schema(state, &reader, &schema);
        schema.release(&schema);
    }
    input_reader_close(&reader);
    return outcome;
}

static enum outcome show_inputs(void *all, const struct inputs *inputs)
{
    struct schema_state *state = all;
    struct input_context context;
    enum outcome outcome = input_context_begin(&context, FLETCH_VALIDATION_STRUCTURE);
    if (outcome != OUTCOME_DONE)
        return outcome;
    for (size_t i = 0; i < inputs->count && outcome == OUTCOME_DONE; i++)
        outcome = show_input(state, &context, inputs->paths[i]);
    input_context_end(&context);
    if (outcome == OUTCOME_DONE && state->is_json)
        printf("{\"files\":[%.*s]}\n", (int)state->files.size, state->files.bytes);
    text_end(&state->files);
    return outcome;
}

enum outcome schema_command(char **words)
{
    struct schema_state state = {0};
    const struct option_entry options[] = {
        {"metadata", OPTION_FLAG, NULL, "metadata of fields and schema too", &state.has_metadata},
        {"json", OPTION_FLAG, NULL, "one object instead of text, with metadata", &state.is_json}};
    const struct command_usage usage = {
        .name = "schema",
        .synopsis = "[--metadata] [--json] INPUT...",
        .text = "Shows the columns of each input: name, type, \"not null\" where that is said.\n"
                "An input with the schema of the one before says so.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    const struct input_command command = {.usage = &usage, .run = show_inputs, .state = &state};
    return input_command_run(&command, words);
}
