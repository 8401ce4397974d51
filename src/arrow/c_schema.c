#include "arrow/c_schema.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/schema_builder.h"
#include "arrow/utf8.h"
#include "base/allocator.h"
#include "base/bits.h"
#include "base/checked.h"

/* Where a walk through a source is. */
struct walk {
    struct fletch_schema_builder *builder;
    const struct fletch_allocator *allocator;
    int64_t *next_dictionary_id;
    uint32_t *fields_left; /* those of dictionaries counted */
    struct fletch_error *error;
};

/* Nothing of a structure that was released is read: what it pointed to may be gone. */
static const char *name_of(const struct ArrowSchema *source)
{
    if (source->release == NULL)
        return "?";
    return source->name == NULL ? "" : source->name;
}

static struct fletch_field_path path_of(const struct walk *walk, const struct ArrowSchema *source)
{
    return fletch_schema_builder_path(walk->builder, name_of(source), strlen(name_of(source)));
}

/* What must be so before anything in a source can be read. */
static enum fletch_status check_source(const struct ArrowSchema *source, const char *path,
                                       struct fletch_error *error)
{
    if (source->release == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': the schema was released or moved", path);
    if (source->format == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "field '%s': no format", path);
    if (source->n_children < 0 || (source->n_children > 0 && source->children == NULL))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': %" PRId64 " children%s", path, source->n_children,
                                source->n_children < 0 ? "" : ", and no pointers to them");
    return FLETCH_OK;
}

static enum fletch_status add_metadata(const struct walk *walk, const char *bytes, const char *path)
{
    struct fletch_metadata metadata;
    struct fletch_metadata_pair pair;
    enum fletch_status status = fletch_metadata_measure(bytes, path, &metadata, walk->error);
    size_t position = 0;
    while (status == FLETCH_OK && fletch_metadata_next(&metadata, &position, &pair))
        status = fletch_schema_builder_metadata(walk->builder, &pair, walk->error);
    return status;
}

static enum fletch_status import_field(const struct walk *walk, const struct ArrowSchema *source);

static enum fletch_status import_children(const struct walk *walk, const struct ArrowSchema *source,
                                          const char *path)
{
    enum fletch_status status = FLETCH_OK;
    for (int64_t i = 0; status == FLETCH_OK && i < source->n_children; i++) {
        if (source->children[i] == NULL)
            return fletch_error_set(walk->error, FLETCH_INVALID_ARGUMENT,
                                    "field '%s': child %" PRId64 " is NULL", path, i);
        status = import_field(walk, source->children[i]);
    }
    return status;
}

/* The values of a dictionary as a schema of one column, with a reference for the caller. */
static enum fletch_status import_values(const struct walk *walk, const struct ArrowSchema *source,
                                        const struct fletch_field_path *path,
                                        struct fletch_schema **out_schema)
{
    struct fletch_schema_builder builder;
    const struct walk inner = {
        .builder = &builder,
        .allocator = walk->allocator,
        .next_dictionary_id = walk->next_dictionary_id,
        .fields_left = walk->fields_left,
        .error = walk->error,
    };
    fletch_schema_builder_init(&builder, walk->allocator);
    builder.base_depth = walk->builder->base_depth + walk->builder->depth;
    builder.prefix = *path;
    fletch_field_path_add(&builder.prefix, ".", 1);
    enum fletch_status status = import_field(&inner, source);
    if (status != FLETCH_OK) {
        fletch_schema_builder_deinit(&builder);
        return status;
    }
    return fletch_schema_builder_finish(&builder, out_schema, walk->error);
}

/* Reads what the structure itself says, type ids into `type_ids`; options->dictionary_values is the
 * caller's to release. */
static enum fletch_status read_options(const struct walk *walk, const struct ArrowSchema *source,
                                       const struct fletch_field_path *path, int8_t *type_ids,
                                       struct fletch_field_options *options)
{
    options->name = name_of(source);
    options->name_bytes = strlen(options->name);
    options->is_nullable = (source->flags & ARROW_FLAG_NULLABLE) != 0;
    options->dictionary_is_ordered = (source->flags & ARROW_FLAG_DICTIONARY_ORDERED) != 0;
    enum fletch_status status =
        fletch_type_parse(source->format, path->text, type_ids, &options->type, walk->error);
    if (status != FLETCH_OK)
        return status;
    options->type.keys_are_sorted = (source->flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0;
    if (source->dictionary == NULL)
        return FLETCH_OK;
    /* Before it is followed: one that is its own dictionary has no end. */
    if (source->dictionary->release != NULL && source->dictionary->dictionary != NULL)
        return fletch_error_set(walk->error, FLETCH_UNIMPLEMENTED,
                                "field '%s': a dictionary whose values are dictionary-encoded "
                                "themselves is not implemented",
                                path->text);
    options->dictionary_id = (*walk->next_dictionary_id)++;
    return import_values(walk, source->dictionary, path, &options->dictionary_values);
}

/* Recurses as deep as the builder lets fields be opened. */
static enum fletch_status import_field(const struct walk *walk, const struct ArrowSchema *source)
{
    struct fletch_field_path path = path_of(walk, source);
    int8_t type_ids[FLETCH_TYPE_IDS_MAX];
    struct fletch_field_options options = {.name = ""};
    enum fletch_status status = check_source(source, path.text, walk->error);
    if (status == FLETCH_OK && *walk->fields_left == 0)
        return fletch_error_set(walk->error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': more fields than the %d that a schema may have",
                                path.text, FLETCH_SCHEMA_FIELDS_MAX);
    --*walk->fields_left;
    if (status == FLETCH_OK)
        status = read_options(walk, source, &path, type_ids, &options);
    if (status == FLETCH_OK)
        status = fletch_schema_builder_open(walk->builder, &options, walk->error);
    fletch_schema_release(options.dictionary_values);
    if (status == FLETCH_OK)
        status = add_metadata(walk, source->metadata, path.text);
    if (status == FLETCH_OK)
        status = import_children(walk, source, path.text);
    return status == FLETCH_OK ? fletch_schema_builder_close(walk->builder, walk->error) : status;
}

enum fletch_status fletch_schema_import(struct ArrowSchema *source,
                                        const struct fletch_allocator *allocator,
                                        struct fletch_schema **out_schema,
                                        struct fletch_error *error)
{
    struct fletch_schema_builder builder;
    int64_t next_dictionary_id = 0;
    uint32_t fields_left = FLETCH_SCHEMA_FIELDS_MAX;
    const struct walk walk = {&builder, allocator, &next_dictionary_id, &fields_left, error};
    enum fletch_status status = check_source(source, "", error);
    if (status != FLETCH_OK)
        return status;
    if (strcmp(source->format, "+s") != 0 || source->dictionary != NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "schema of format '%.*s', expected '+s': a struct of columns",
                                fletch_utf8_cut(source->format, 64), source->format);
    fletch_schema_builder_init(&builder, allocator);
    status = add_metadata(&walk, source->metadata, "");
    if (status == FLETCH_OK)
        status = import_children(&walk, source, "");
    if (status != FLETCH_OK) {
        fletch_schema_builder_deinit(&builder);
        return status;
    }
    struct fletch_schema *schema;
    status = fletch_schema_builder_finish(&builder, &schema, error);
    if (status != FLETCH_OK)
        return status;
    source->release(source);
    source->release = NULL; /* done by any release that follows the rules */
    *out_schema = schema;
    return FLETCH_OK;
}

/* What was exported: one block for all of it, that lives until each structure of it is released. A
 * consumer may move children out and release them later, on any thread. */
struct exported {
    struct fletch_shared shared; /* first; a reference for each structure that is not released */
    struct fletch_schema *schema;
    struct ArrowSchema *nodes;
    struct ArrowSchema **pointers;
};

static void exported_end(struct fletch_shared *shared)
{
    struct exported *exported = (struct exported *)(void *)shared;
    fletch_schema_release(exported->schema);
    fletch_block_release(exported);
}

static void release_node(struct ArrowSchema *node)
{
    struct exported *exported = node->private_data;
    for (int64_t i = 0; i < node->n_children; i++)
        if (node->children[i]->release != NULL)
            node->children[i]->release(node->children[i]);
    if (node->dictionary != NULL && node->dictionary->release != NULL)
        node->dictionary->release(node->dictionary);
    node->release = NULL;
    fletch_shared_release(&exported->shared);
}

static struct ArrowSchema export_field(struct exported *exported, const struct fletch_field *field)
{
    return (struct ArrowSchema){
        .format = field->format,
        .name = field->name,
        .metadata = field->metadata.bytes,
        .flags = (field->is_nullable ? ARROW_FLAG_NULLABLE : 0) |
                 (field->type.keys_are_sorted ? ARROW_FLAG_MAP_KEYS_SORTED : 0),
        .n_children = field->child_count,
        .release = release_node,
        .private_data = exported,
    };
}

/* Writes the nodes of a schema's rows and of its dictionaries', and moves `nodes` and `pointers`
 * behind what was used. Recurses as deep as dictionaries lie in each other. */
static void export_rows(struct exported *exported, const struct fletch_schema *schema)
{
    struct ArrowSchema *nodes = exported->nodes;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct fletch_field *field = &schema->fields[i];
        nodes[i] = export_field(exported, field);
        if (field->child_count > 0)
            nodes[i].children = exported->pointers;
        for (uint32_t child = i + 1; child < field->end; child = schema->fields[child].end)
            *exported->pointers++ = &nodes[child];
    }
    exported->nodes += schema->field_count;
    for (uint32_t i = 0; i < schema->dictionary_count; i++) {
        const struct fletch_schema_dictionary *dictionary = &schema->dictionaries[i];
        struct ArrowSchema *node = &nodes[dictionary->field];
        node->flags |= dictionary->is_ordered ? ARROW_FLAG_DICTIONARY_ORDERED : 0;
        node->dictionary = exported->nodes;
        export_rows(exported, dictionary->values);
    }
}

static void export_all(struct exported *exported, struct ArrowSchema *out_schema)
{
    const struct fletch_schema *schema = exported->schema;
    struct ArrowSchema *nodes = exported->nodes;
    *out_schema = (struct ArrowSchema){
        .format = "+s",
        .name = "",
        .metadata = schema->metadata.bytes,
        .n_children = schema->column_count,
        .children = exported->pointers,
        .release = release_node,
        .private_data = exported,
    };
    for (uint32_t i = 0; i < schema->column_count; i++)
        *exported->pointers++ = &nodes[schema->columns[i]];
    export_rows(exported, schema);
}

static size_t count_nodes(const struct fletch_schema *schema)
{
    size_t count = schema->field_count;
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        count += count_nodes(schema->dictionaries[i].values);
    return count;
}

enum fletch_status fletch_schema_export(struct fletch_schema *schema,
                                        const struct fletch_allocator *allocator,
                                        struct ArrowSchema *out_schema, struct fletch_error *error)
{
    const size_t node_count = count_nodes(schema);
    const size_t nodes_offset = fletch_round_up(sizeof(struct exported), sizeof(int64_t));
    /* No overflow: rows are as large as this, and lie in memory. */
    const size_t pointers_offset = nodes_offset + node_count * sizeof(struct ArrowSchema);
    const size_t bytes = pointers_offset + (node_count + 1) * sizeof(struct ArrowSchema *);
    char *block = fletch_block_allocate(allocator, bytes);
    if (block == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory to export a schema of %zu fields: %zu bytes", node_count,
                                bytes);
    struct exported *exported = (void *)block;
    *exported = (struct exported){
        .schema = fletch_schema_acquire(schema),
        .nodes = (void *)(block + nodes_offset),
        .pointers = (void *)(block + pointers_offset),
    };
    fletch_shared_init(&exported->shared, exported_end);
    for (size_t i = 0; i < node_count; i++) /* and one for the structure around them */
        fletch_shared_acquire(&exported->shared);
    export_all(exported, out_schema);
    return FLETCH_OK;
}
