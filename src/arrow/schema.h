#ifndef FLETCH_ARROW_SCHEMA_H
#define FLETCH_ARROW_SCHEMA_H

/* A schema in memory: one immutable block, counted, with its fields as a flat table in the order of
 * a walk that comes to each field before its children. Row i of the table tells what node i of each
 * batch is. Made by arrow/schema_builder.h. */

#include <fletching/schema.h>

#include "arrow/metadata.h"
#include "arrow/type.h"
#include "memory/shared.h"

/* How deep fields may lie in each other: a column is at depth 1. */
enum { FLETCH_SCHEMA_DEPTH_MAX = 64 };

/* How many fields a schema may have: far more than anybody has columns, and few enough that a
 * source whose fields share their children, twice as many at each level, comes to an end soon. */
enum { FLETCH_SCHEMA_FIELDS_MAX = 1 << 18 };

#define FLETCH_NO_INDEX UINT32_MAX

/* The children of row p: the first is row p + 1 if there is any, and the one behind child c is row
 * fields[c].end, while that is below fields[p].end. */
struct fletch_field {
    const char *name; /* UTF-8, ends with NUL, may be empty, need not be unique */
    size_t name_bytes;
    struct fletch_type type; /* of what the buffers hold: a dictionary's indices, if there is one */
    const char *format;      /* of the C data interface, for `type` */
    bool is_nullable;
    struct fletch_metadata metadata;
    uint32_t dictionary; /* index into the schema's dictionaries; FLETCH_NO_INDEX: plain */
    uint32_t parent;     /* row of the field that this one is a child of; FLETCH_NO_INDEX: column */
    uint32_t end;        /* row behind the last of its descendants; its first child is the next */
    uint32_t child_count; /* children, not what lies below them */
    uint32_t depth;       /* 1: column */
    uint32_t first_span;  /* index of its first buffer in a batch's spans */
    uint32_t span_count;  /* as fletch_type_layout(&type)->span_count */
    uint32_t view; /* index in the order of the view fields, whose data buffers a batch has behind
                    * its other spans; FLETCH_NO_INDEX: no view */
};

/* What a dictionary-encoded field's indices mean. A batch has its values in a batch of their own,
 * of the schema `values`. */
struct fletch_schema_dictionary {
    int64_t id; /* on the wire; several fields may share one. From C Data: numbered 0, 1, … */
    bool is_ordered;              /* the order of indices is that of values */
    uint32_t field;               /* row of the field */
    struct fletch_schema *values; /* one column, not encoded; below it there may be dictionaries */
};

struct fletch_schema {
    struct fletch_shared shared; /* first */
    const struct fletch_field *fields;
    uint32_t field_count;    /* nodes of a batch */
    uint32_t span_count;     /* spans of a batch but for data buffers of views */
    uint32_t view_count;     /* fields of view types */
    uint32_t depth;          /* of the deepest field, those of dictionaries counted on */
    const uint32_t *columns; /* rows of the fields of the top level */
    uint32_t column_count;
    const struct fletch_schema_dictionary *dictionaries; /* in the order of their fields */
    uint32_t dictionary_count;
    struct fletch_metadata metadata;
};

/* The dictionary of a field, or NULL. */
static inline const struct fletch_schema_dictionary *
fletch_schema_dictionary_of(const struct fletch_schema *schema, const struct fletch_field *field)
{
    return field->dictionary == FLETCH_NO_INDEX ? NULL : &schema->dictionaries[field->dictionary];
}

/* The field that row `row` is a child of, or NULL. */
static inline const struct fletch_field *fletch_schema_parent_of(const struct fletch_schema *schema,
                                                                 uint32_t row)
{
    const uint32_t parent = schema->fields[row].parent;
    return parent == FLETCH_NO_INDEX ? NULL : &schema->fields[parent];
}

/* fletch_type_child_stride of the field that row `row` is a child of: how a child lies in its
 * parent. Columns are aligned with their batch, 1. */
static inline int64_t fletch_schema_stride_of(const struct fletch_schema *schema, uint32_t row)
{
    const struct fletch_field *parent = fletch_schema_parent_of(schema, row);
    return parent == NULL ? 1 : fletch_type_child_stride(&parent->type);
}

/* The row of child `index` of row `row`, which has so many. */
static inline uint32_t fletch_schema_child(const struct fletch_schema *schema, uint32_t row,
                                           uint32_t index)
{
    uint32_t child = row + 1;
    while (index-- > 0)
        child = schema->fields[child].end;
    return child;
}

/* Whether the field's name tells it from others: those of the children of lists, maps and runs
 * differ from one library to the next and say nothing. */
static inline bool fletch_schema_name_counts(const struct fletch_schema *schema,
                                             const struct fletch_field *field)
{
    if (field->parent == FLETCH_NO_INDEX)
        return true;
    const struct fletch_field *parent = &schema->fields[field->parent];
    if (fletch_type_is_union(parent->type.id))
        return true;
    return parent->type.id == FLETCH_TYPE_STRUCT &&
           (parent->parent == FLETCH_NO_INDEX ||
            schema->fields[parent->parent].type.id != FLETCH_TYPE_MAP);
}

/* Bytes that are enough for a path as messages show it, the NUL included; a longer one is cut. */
enum { FLETCH_PATH_BYTES = 160 };

struct fletch_field_path {
    char text[FLETCH_PATH_BYTES];
};

/* The names from the column down to row `row`, joined by dots: "a.b.c". For messages, as
 * fletch_field_path_of(schema, row).text. */
struct fletch_field_path fletch_field_path_of(const struct fletch_schema *schema, uint32_t row);

/* Adds a name to a path; "…" stands for what does not fit. */
void fletch_field_path_add(struct fletch_field_path *path, const char *name, size_t name_bytes);

/* The field's type as messages name it: "int32", "dictionary<int8, utf8>". Returns `text`. */
enum { FLETCH_FIELD_TEXT_BYTES = 2 * FLETCH_TYPE_TEXT_BYTES + 16 };
const char *fletch_field_describe(const struct fletch_schema *schema,
                                  const struct fletch_field *field, char *text, size_t text_bytes);

#endif
