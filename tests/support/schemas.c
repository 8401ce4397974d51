#include "support/schemas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/schema_builder.h"

struct reader {
    const char *next;
    struct fletch_schema_builder *builder;
    const struct fletch_allocator *allocator;
    int64_t *dictionary_id;
    struct fletch_error *error;
};

static void wrong(const struct reader *reader)
{
    fprintf(stderr, "schema text is wrong at '%s'\n", reader->next);
    exit(2);
}

/* The characters up to one of `ends`, copied. */
static void read_word(struct reader *reader, const char *ends, char *word, size_t word_bytes)
{
    size_t length = strcspn(reader->next, ends);
    if (length >= word_bytes)
        wrong(reader);
    memcpy(word, reader->next, length);
    word[length] = '\0';
    reader->next += length;
}

static void expect(struct reader *reader, char character)
{
    if (*reader->next != character)
        wrong(reader);
    reader->next++;
}

static enum fletch_status read_metadata(struct reader *reader)
{
    char key[64];
    char value[64];
    expect(reader, '{');
    read_word(reader, ":", key, sizeof key);
    expect(reader, ':');
    read_word(reader, "}", value, sizeof value);
    expect(reader, '}');
    const struct fletch_metadata_pair pair = {key, strlen(key), value, strlen(value)};
    return fletch_schema_builder_metadata(reader->builder, &pair, reader->error);
}

static enum fletch_status read_fields(struct reader *reader);
static enum fletch_status read_type(struct reader *reader, struct fletch_field_options *options);

static enum fletch_status read_values(struct reader *reader, struct fletch_field_options *options)
{
    struct fletch_schema_builder builder;
    struct reader inner = *reader;
    struct fletch_field_options value_options = {.name = "", .is_nullable = true};
    expect(&inner, '<');
    options->dictionary_is_ordered = *inner.next == '<';
    inner.next += options->dictionary_is_ordered;
    fletch_schema_builder_init(&builder, reader->allocator);
    builder.base_depth = reader->builder->base_depth + reader->builder->depth;
    inner.builder = &builder;
    enum fletch_status status = read_type(&inner, &value_options);
    if (status != FLETCH_OK) {
        fletch_schema_builder_deinit(&builder);
        return status;
    }
    expect(&inner, '>');
    reader->next = inner.next;
    options->dictionary_id = (*reader->dictionary_id)++;
    return fletch_schema_builder_finish(&builder, &options->dictionary_values, reader->error);
}

/* Whether the field whose parentheses open here is marked as not null behind them. */
static bool is_not_null(const char *text)
{
    int depth = 0;
    for (; *text != '\0'; text++) {
        if (depth == 0 && *text == '!')
            return true;
        if (depth == 0 && strchr(" )>", *text) != NULL)
            return false;
        depth += strchr("(<{", *text) != NULL;
        depth -= strchr(")>}", *text) != NULL;
    }
    return false;
}

static enum fletch_status read_type(struct reader *reader, struct fletch_field_options *options)
{
    char format[64];
    read_word(reader, " <({!)>", format, sizeof format);
    int8_t type_ids[FLETCH_TYPE_IDS_MAX];
    enum fletch_status status =
        fletch_type_parse(format, options->name, type_ids, &options->type, reader->error);
    if (status == FLETCH_OK && *reader->next == '<')
        status = read_values(reader, options);
    options->is_nullable = !is_not_null(reader->next);
    if (status == FLETCH_OK)
        status = fletch_schema_builder_open(reader->builder, options, reader->error);
    fletch_schema_release(options->dictionary_values);
    if (status != FLETCH_OK)
        return status;
    /* Metadata comes before children there, and behind them here. */
    const char *children = reader->next;
    if (*children == '(') {
        int depth = 0;
        do {
            depth += *reader->next == '(';
            depth -= *reader->next == ')';
        } while (*reader->next++ != '\0' && depth > 0);
    }
    if (*reader->next == '{')
        status = read_metadata(reader);
    if (*reader->next == '!')
        reader->next++;
    struct reader inner = *reader;
    inner.next = children + 1;
    if (status == FLETCH_OK && *children == '(')
        status = read_fields(&inner);
    return status == FLETCH_OK ? fletch_schema_builder_close(reader->builder, reader->error)
                               : status;
}

static enum fletch_status read_fields(struct reader *reader)
{
    char name[64];
    enum fletch_status status = FLETCH_OK;
    while (status == FLETCH_OK && *reader->next != '\0' && *reader->next != ')') {
        read_word(reader, "=", name, sizeof name);
        expect(reader, '=');
        struct fletch_field_options options = {.name = name, .name_bytes = strlen(name)};
        status = read_type(reader, &options);
        if (*reader->next == ' ')
            reader->next++;
    }
    return status;
}

enum fletch_status schema_try(const char *text, const struct fletch_allocator *allocator,
                              struct fletch_schema **out_schema, struct fletch_error *error)
{
    struct fletch_schema_builder builder;
    int64_t dictionary_id = 0;
    struct reader reader = {text, &builder, allocator, &dictionary_id, error};
    fletch_schema_builder_init(&builder, allocator);
    enum fletch_status status = FLETCH_OK;
    if (*text == '{') {
        status = read_metadata(&reader);
        reader.next += *reader.next == ' ';
    }
    if (status == FLETCH_OK)
        status = read_fields(&reader);
    if (status == FLETCH_OK)
        return fletch_schema_builder_finish(&builder, out_schema, error);
    fletch_schema_builder_deinit(&builder);
    return status;
}

struct fletch_schema *schema_new(const char *text)
{
    struct fletch_schema *schema = NULL;
    struct fletch_error error;
    if (schema_try(text, NULL, &schema, &error) != FLETCH_OK) {
        fprintf(stderr, "schema '%s': %s\n", text, error.message);
        exit(2);
    }
    return schema;
}

static void add(char *text, size_t text_bytes, const char *part)
{
    size_t used = strlen(text);
    snprintf(text + used, text_bytes - used, "%s", part);
}

static void print_rows(const struct fletch_schema *schema, uint32_t first, uint32_t end, char *text,
                       size_t text_bytes)
{
    for (uint32_t row = first; row < end; row = schema->fields[row].end) {
        const struct fletch_field *field = &schema->fields[row];
        const struct fletch_schema_dictionary *dictionary =
            fletch_schema_dictionary_of(schema, field);
        add(text, text_bytes, row == first ? "" : " ");
        add(text, text_bytes, field->name);
        add(text, text_bytes, "=");
        add(text, text_bytes, field->format);
        if (dictionary != NULL) {
            add(text, text_bytes, dictionary->is_ordered ? "<<" : "<");
            print_rows(dictionary->values, 0, 1, text, text_bytes);
            add(text, text_bytes, ">");
        }
        if (field->child_count > 0) {
            add(text, text_bytes, "(");
            print_rows(schema, row + 1, field->end, text, text_bytes);
            add(text, text_bytes, ")");
        }
        add(text, text_bytes, field->is_nullable ? "" : "!");
    }
}

void schema_print(const struct fletch_schema *schema, char *text, size_t text_bytes)
{
    text[0] = '\0';
    print_rows(schema, 0, schema->field_count, text, text_bytes);
}
