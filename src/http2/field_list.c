#include "http2/field_list.h"

enum { FIELD_OVERHEAD_BYTES = 32 };

void fletch_field_list_init(struct fletch_field_list *list,
                            const struct fletch_allocator *allocator)
{
    fletch_byte_buffer_init(&list->text, allocator);
    fletch_byte_buffer_init(&list->table, allocator);
    fletch_field_list_clear(list);
}

void fletch_field_list_deinit(struct fletch_field_list *list)
{
    fletch_byte_buffer_deinit(&list->text);
    fletch_byte_buffer_deinit(&list->table);
    list->count = 0;
}

void fletch_field_list_clear(struct fletch_field_list *list)
{
    list->text.bytes = 0;
    list->table.bytes = 0;
    list->count = 0;
    list->bytes = 0;
}

bool fletch_field_list_add(struct fletch_field_list *list, const struct fletch_http2_field *field)
{
    size_t text_before = list->text.bytes;
    size_t text_bytes = (size_t)field->name_bytes + field->value_bytes + 2;
    uint8_t *text = fletch_byte_buffer_extend(&list->text, text_bytes);
    if (text == NULL)
        return false;
    uint8_t *row = fletch_byte_buffer_extend(&list->table, sizeof *field);
    if (row == NULL) {
        list->text.bytes = text_before;
        return false;
    }
    if (field->name_bytes != 0)
        memcpy(text, field->name, field->name_bytes);
    text[field->name_bytes] = 0;
    if (field->value_bytes != 0)
        memcpy(text + field->name_bytes + 1, field->value, field->value_bytes);
    text[text_bytes - 1] = 0;
    memcpy(row, field, sizeof *field);
    list->count++;
    list->bytes += (size_t)field->name_bytes + field->value_bytes + FIELD_OVERHEAD_BYTES;
    return true;
}

static bool is_text(const char *text, const char *bytes, size_t count)
{
    return count == 0 || memcmp(text, bytes, count) == 0;
}

bool fletch_field_list_is(const struct fletch_field_list *list,
                          const struct fletch_http2_field *fields, size_t count)
{
    const struct fletch_http2_field *rows = (const void *)list->table.data;
    const char *text = (const char *)list->text.data;
    if (list->count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct fletch_http2_field *field = &fields[i];
        if (rows[i].name_bytes != field->name_bytes || rows[i].value_bytes != field->value_bytes ||
            rows[i].is_secret != field->is_secret ||
            !is_text(text, field->name, field->name_bytes) ||
            !is_text(text + field->name_bytes + 1, field->value, field->value_bytes))
            return false;
        text += (size_t)field->name_bytes + field->value_bytes + 2;
    }
    return true;
}

const struct fletch_http2_field *fletch_field_list_fields(struct fletch_field_list *list)
{
    /* The text may have moved since a field was added. */
    struct fletch_http2_field *fields = (struct fletch_http2_field *)(void *)list->table.data;
    const char *text = (const char *)list->text.data;
    for (size_t i = 0; i < list->count; i++) {
        fields[i].name = text;
        fields[i].value = text + fields[i].name_bytes + 1;
        text = fields[i].value + fields[i].value_bytes + 1;
    }
    return fields;
}

const struct fletch_http2_field *fletch_http2_field_find(const struct fletch_http2_field *fields,
                                                         size_t count, const char *name)
{
    size_t bytes = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (fields[i].name_bytes == bytes && memcmp(fields[i].name, name, bytes) == 0)
            return &fields[i];
    return NULL;
}
