#ifndef FLETCH_ARROW_SCHEMA_BUILDER_H
#define FLETCH_ARROW_SCHEMA_BUILDER_H

/* Makes a schema from whatever form it comes in. Fields are opened and closed in the order of a
 * walk:
 *
 *   init; metadata…; { open; metadata…; { children } close }…; finish
 *
 * Every call after one that failed fails too, so that a caller may look once. One thread. */

#include <fletching/allocator.h>

#include "arrow/schema.h"

struct fletch_field_options {
    const char *name; /* not NULL; need not end with NUL */
    size_t name_bytes;
    struct fletch_type type; /* the indices' type, if there is a dictionary; what it points to is
                              * copied */
    bool is_nullable;
    /* One column, its type and name those of the dictionary's values; NULL: plain. The builder
     * acquires a reference of its own. */
    struct fletch_schema *dictionary_values;
    int64_t dictionary_id;
    bool dictionary_is_ordered;
};

struct fletch_schema_row;

struct fletch_schema_builder {
    struct fletch_allocator allocator;
    struct fletch_schema_row *rows;
    size_t row_capacity;
    char *text; /* names, formats, metadata */
    size_t text_bytes;
    size_t text_capacity;
    uint32_t row_count;
    uint32_t column_count;
    uint32_t dictionary_count;
    uint32_t span_count;
    uint32_t view_count;
    uint32_t base_depth; /* of the field whose values this is a schema of, less 1; set after init */
    uint32_t deepest;    /* of the fields so far, counted from the columns */
    uint32_t open[FLETCH_SCHEMA_DEPTH_MAX]; /* rows that are open, from the column down */
    uint32_t depth;                         /* how many */
    struct fletch_field_path prefix;        /* stands before paths; set it after init, if at all */
    bool has_failed;
    struct fletch_error failure;
    size_t metadata_offset; /* of the schema itself */
    size_t metadata_bytes;
    uint32_t metadata_count;
};

/* The default allocator for NULL. Followed by finish or deinit, whatever happens. */
void fletch_schema_builder_init(struct fletch_schema_builder *builder,
                                const struct fletch_allocator *allocator);
void fletch_schema_builder_deinit(struct fletch_schema_builder *builder);

/* A column, or a child of the field opened last. INVALID_ARGUMENT: more than 64 deep, a name or
 * time zone that is not UTF-8 or has a NUL, parameters that the type cannot have, a child where
 * none may be, a dictionary's index type that is no integer. UNIMPLEMENTED: a dictionary whose
 * values are encoded themselves. RESOURCE_EXHAUSTED: no memory. Messages name the field's path. */
enum fletch_status fletch_schema_builder_open(struct fletch_schema_builder *builder,
                                              const struct fletch_field_options *options,
                                              struct fletch_error *error);

/* Adds a pair to the field opened last, before any child of it; before all fields: to the
 * schema. */
enum fletch_status fletch_schema_builder_metadata(struct fletch_schema_builder *builder,
                                                  const struct fletch_metadata_pair *pair,
                                                  struct fletch_error *error);

/* Ends the field opened last. INVALID_ARGUMENT: it has not the children that its type wants. */
enum fletch_status fletch_schema_builder_close(struct fletch_schema_builder *builder,
                                               struct fletch_error *error);

/* The schema, with one reference, once every field is closed. Deinitialises the builder whether it
 * fails or not. */
enum fletch_status fletch_schema_builder_finish(struct fletch_schema_builder *builder,
                                                struct fletch_schema **out_schema,
                                                struct fletch_error *error);

/* Row `row` of a schema, which is not encoded, with all below it as a schema of one column, without
 * metadata. Its dictionaries are the same. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_schema_of_field(const struct fletch_schema *schema, uint32_t row,
                                          const struct fletch_allocator *allocator,
                                          struct fletch_schema **out_schema,
                                          struct fletch_error *error);

/* The path of a field of this name, were it opened now: for messages of those who read it. */
struct fletch_field_path fletch_schema_builder_path(const struct fletch_schema_builder *builder,
                                                    const char *name, size_t name_bytes);

#endif
