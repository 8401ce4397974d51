#include "arrow/schema.h"

#include <stdio.h>
#include <string.h>

#include "arrow/schema_text.h"
#include "arrow/utf8.h"
#include "base/assert.h"

struct fletch_schema *fletch_schema_acquire(struct fletch_schema *schema)
{
    fletch_shared_acquire(&schema->shared);
    return schema;
}

void fletch_schema_release(struct fletch_schema *schema)
{
    if (schema != NULL)
        fletch_shared_release(&schema->shared);
}

size_t fletch_schema_column_count(const struct fletch_schema *schema)
{
    return schema->column_count;
}

static const struct fletch_field *column_of(const struct fletch_schema *schema, size_t column)
{
    FLETCH_ASSERT(column < schema->column_count);
    return &schema->fields[schema->columns[column]];
}

const char *fletch_schema_column_name(const struct fletch_schema *schema, size_t column,
                                      size_t *out_bytes)
{
    const struct fletch_field *field = column_of(schema, column);
    if (out_bytes != NULL)
        *out_bytes = field->name_bytes;
    return field->name;
}

size_t fletch_schema_column_type(const struct fletch_schema *schema, size_t column, char *text,
                                 size_t text_bytes)
{
    FLETCH_ASSERT(column < schema->column_count);
    return fletch_schema_text(schema, schema->columns[column], text, text_bytes);
}

bool fletch_schema_column_is_nullable(const struct fletch_schema *schema, size_t column)
{
    return column_of(schema, column)->is_nullable;
}

bool fletch_schema_column_is_dictionary(const struct fletch_schema *schema, size_t column)
{
    return column_of(schema, column)->dictionary != FLETCH_NO_INDEX;
}

size_t fletch_schema_find_column(const struct fletch_schema *schema, const char *name,
                                 size_t name_bytes, size_t *out_column)
{
    size_t count = 0;
    for (size_t column = 0; column < schema->column_count; column++) {
        const struct fletch_field *field = column_of(schema, column);
        if (field->name_bytes != name_bytes ||
            (name_bytes > 0 && memcmp(field->name, name, name_bytes) != 0))
            continue;
        if (count == 0)
            *out_column = column;
        count++;
    }
    return count;
}

void fletch_field_path_add(struct fletch_field_path *path, const char *name, size_t name_bytes)
{
    static const char cut_mark[] = "…";
    size_t used = strlen(path->text);
    size_t room = sizeof path->text - sizeof cut_mark - used;
    if (used >= sizeof cut_mark - 1 &&
        strcmp(path->text + used - (sizeof cut_mark - 1), cut_mark) == 0)
        return;
    if (name_bytes <= room) {
        memcpy(path->text + used, name, name_bytes);
        path->text[used + name_bytes] = '\0';
        return;
    }
    size_t kept = fletch_utf8_whole(name, room);
    memcpy(path->text + used, name, kept);
    memcpy(path->text + used + kept, cut_mark, sizeof cut_mark);
}

struct fletch_field_path fletch_field_path_of(const struct fletch_schema *schema, uint32_t row)
{
    struct fletch_field_path path = {.text = ""};
    const struct fletch_field *way[FLETCH_SCHEMA_DEPTH_MAX];
    uint32_t depth = schema->fields[row].depth;
    for (uint32_t i = depth; i > 0; i--) {
        way[i - 1] = &schema->fields[row];
        row = schema->fields[row].parent;
    }
    for (uint32_t i = 0; i < depth; i++) {
        if (i > 0)
            fletch_field_path_add(&path, ".", 1);
        fletch_field_path_add(&path, way[i]->name, way[i]->name_bytes);
    }
    return path;
}

const char *fletch_field_describe(const struct fletch_schema *schema,
                                  const struct fletch_field *field, char *text, size_t text_bytes)
{
    const struct fletch_schema_dictionary *dictionary = fletch_schema_dictionary_of(schema, field);
    if (dictionary == NULL)
        return fletch_type_describe(&field->type, text, text_bytes);
    char indices[FLETCH_TYPE_TEXT_BYTES];
    char values[FLETCH_TYPE_TEXT_BYTES];
    fletch_type_describe(&field->type, indices, sizeof indices);
    fletch_type_describe(&dictionary->values->fields[0].type, values, sizeof values);
    snprintf(text, text_bytes, "dictionary<%s, %s%s>", indices, values,
             dictionary->is_ordered ? ", ordered" : "");
    return text;
}
