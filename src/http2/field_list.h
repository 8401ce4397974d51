#ifndef FLETCH_HTTP2_FIELD_LIST_H
#define FLETCH_HTTP2_FIELD_LIST_H

#include "http2/byte_buffer.h"

#include <stdbool.h>
#include <string.h>

/* A header or trailer field. Those that the machine hands out end with a NUL each, which is not
 * counted; those that it is given need not. */
struct fletch_http2_field {
    const char *name;
    const char *value;
    uint32_t name_bytes;
    uint32_t value_bytes;
    bool is_secret; /* never kept in a table of HPACK; authorization and cookies never are anyhow */
};

/* A field of string literals or other strings. */
static inline struct fletch_http2_field fletch_http2_field_of(const char *name, const char *value)
{
    return (struct fletch_http2_field){
        .name = name,
        .value = value,
        .name_bytes = (uint32_t)strlen(name),
        .value_bytes = (uint32_t)strlen(value),
    };
}

/* Fields with bytes of their own. */
struct fletch_field_list {
    struct fletch_byte_buffer text;
    struct fletch_byte_buffer table;
    size_t count;
    size_t bytes; /* as RFC 9113, 6.5.2 counts them: with 32 for each */
};

void fletch_field_list_init(struct fletch_field_list *list,
                            const struct fletch_allocator *allocator);
void fletch_field_list_deinit(struct fletch_field_list *list);
void fletch_field_list_clear(struct fletch_field_list *list);

/* Adds a copy. False: no memory. */
bool fletch_field_list_add(struct fletch_field_list *list, const struct fletch_http2_field *field);

/* Whether it has just these fields, in this order. */
bool fletch_field_list_is(const struct fletch_field_list *list,
                          const struct fletch_http2_field *fields, size_t count);

/* The fields, until the next change. */
const struct fletch_http2_field *fletch_field_list_fields(struct fletch_field_list *list);

/* The first of that name, or NULL. */
const struct fletch_http2_field *fletch_http2_field_find(const struct fletch_http2_field *fields,
                                                         size_t count, const char *name);

#endif
