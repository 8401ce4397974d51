#include "arrow/schema_text.h"

#include <string.h>

#include "arrow/utf8.h"

/* Counts what it is given, and keeps what fits. */
struct text {
    char *bytes;
    size_t room; /* with the NUL */
    size_t length;
};

static void add(struct text *text, const char *bytes, size_t byte_count)
{
    if (text->length < text->room) {
        size_t left = text->room - text->length;
        memcpy(text->bytes + text->length, bytes, byte_count < left ? byte_count : left);
    }
    text->length += byte_count;
}

static void add_word(struct text *text, const char *word)
{
    add(text, word, strlen(word));
}

static bool is_map_entries(const struct fletch_schema *schema, const struct fletch_field *field)
{
    return field->parent != FLETCH_NO_INDEX &&
           schema->fields[field->parent].type.id == FLETCH_TYPE_MAP;
}

/* "name: " and the like, in front of a type. */
static void add_place(struct text *text, const struct fletch_schema *schema, uint32_t row,
                      uint32_t top)
{
    const struct fletch_field *field = &schema->fields[row];
    if (row == top)
        return;
    if (row != field->parent + 1)
        add_word(text, ", ");
    if (fletch_schema_name_counts(schema, field)) {
        add(text, field->name, field->name_bytes);
        add_word(text, ": ");
    }
}

/* The brackets that end with row `row`, and what is said of the fields behind them. */
static void add_ends(struct text *text, const struct fletch_schema *schema, uint32_t row,
                     uint32_t top)
{
    const uint32_t end = row + 1;
    for (uint32_t at = row; schema->fields[at].end == end; at = schema->fields[at].parent) {
        const struct fletch_field *field = &schema->fields[at];
        if (fletch_type_layout(&field->type)->children != FLETCH_CHILDREN_NONE &&
            !is_map_entries(schema, field))
            add_word(text, ">");
        if (at == top)
            return;
        if (!field->is_nullable && fletch_schema_name_counts(schema, field))
            add_word(text, " not null");
    }
}

/* The type of row `top`, children and all. */
static void add_type(struct text *text, const struct fletch_schema *schema, uint32_t top)
{
    for (uint32_t row = top; row < schema->fields[top].end; row++) {
        const struct fletch_field *field = &schema->fields[row];
        const struct fletch_schema_dictionary *dictionary =
            fletch_schema_dictionary_of(schema, field);
        char name[FLETCH_TYPE_TEXT_BYTES];
        fletch_type_describe(&field->type, name, sizeof name);
        add_place(text, schema, row, top);
        if (dictionary != NULL) {
            add_word(text, "dictionary<");
            add_word(text, name);
            add_word(text, ", ");
            add_type(text, dictionary->values, 0); /* as deep as a schema may be */
            add_word(text, dictionary->is_ordered ? ", ordered>" : ">");
        } else if (!is_map_entries(schema, field)) {
            add_word(text, name);
            if (fletch_type_layout(&field->type)->children != FLETCH_CHILDREN_NONE)
                add_word(text, "<");
        }
        add_ends(text, schema, row, top);
    }
}

size_t fletch_schema_text(const struct fletch_schema *schema, uint32_t row, char *text,
                          size_t text_bytes)
{
    struct text all = {.bytes = text, .room = text_bytes};
    add_type(&all, schema, row);
    if (all.length < text_bytes)
        text[all.length] = '\0';
    else if (text_bytes > 0)
        text[fletch_utf8_whole(text, text_bytes - 1)] = '\0';
    return all.length;
}
