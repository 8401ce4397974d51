#include "arrow/array_export.h"

#include "arrow/column.h"
#include "base/assert.h"
#include "base/bits.h"

struct exported {
    struct fletch_shared shared; /* first; a reference for each structure that is not released */
    struct fletch_batch *batch;
    struct fletch_buffer *block; /* in which all of this lies */
    /* Where the next structures, pointers to children and pointers to buffers go. */
    struct ArrowArray *nodes;
    struct ArrowArray **pointers;
    const void **buffers;
    int64_t *sizes; /* of data buffers of views */
};

/* What empty arrays point to: one offset of 0, since some readers look at it. */
static const int64_t nothing[8];

static void exported_end(struct fletch_shared *shared)
{
    struct exported *exported = (struct exported *)(void *)shared;
    struct fletch_buffer *block = exported->block;
    fletch_batch_release(NULL, exported->batch);
    fletch_buffer_release(NULL, block);
}

static void release_node(struct ArrowArray *node)
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

/* Pointers to the buffers of an array; `batch` NULL: of an empty one. Returns how many. */
static int64_t export_buffers(struct exported *exported, const struct fletch_schema *schema,
                              const struct fletch_batch *batch, uint32_t row)
{
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_type_layout *layout = fletch_type_layout(&field->type);
    for (uint32_t i = 0; i < field->span_count; i++) {
        const void *data = batch == NULL ? NULL : batch->spans[field->first_span + i].data;
        const bool may_be_absent = layout->spans[i] == FLETCH_SPAN_VALIDITY;
        *exported->buffers++ = data != NULL || may_be_absent ? data : nothing;
    }
    if (!fletch_type_is_view(field->type.id))
        return field->span_count;
    const struct fletch_column column =
        batch == NULL ? (struct fletch_column){0} : fletch_column_of(batch, row);
    const void *sizes = exported->sizes;
    for (uint32_t i = 0; i < column.buffer_count; i++) {
        const struct fletch_batch_span *span = &column.buffers[i];
        *exported->buffers++ = span->data == NULL ? (const void *)nothing : span->data;
        *exported->sizes++ = (int64_t)span->bytes;
    }
    *exported->buffers++ = column.buffer_count == 0 ? nothing : sizes;
    return (int64_t)field->span_count + column.buffer_count + 1;
}

/* One row: the offset is what its own parent has not skipped yet. `batch` NULL: an empty array. */
static void export_row(struct exported *exported, const struct fletch_schema *schema,
                       const struct fletch_batch *batch, uint32_t row)
{
    static const struct fletch_batch_node empty;
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_batch_node *node = batch == NULL ? &empty : &batch->nodes[row];
    const int64_t stride = fletch_schema_stride_of(schema, row);
    const bool is_aligned =
        batch != NULL && field->parent != FLETCH_NO_INDEX && stride != FLETCH_CHILD_WHOLE;
    const int64_t skipped = is_aligned ? batch->nodes[field->parent].offset * stride : 0;
    struct ArrowArray *array = &exported->nodes[row];
    *array = (struct ArrowArray){
        .length = skipped + node->length,
        .null_count = skipped == 0 || node->null_count == 0 ? node->null_count : -1,
        .offset = node->offset - skipped,
        .n_children = field->child_count,
        .buffers = exported->buffers,
        .children = field->child_count == 0 ? NULL : exported->pointers,
        .release = release_node,
        .private_data = exported,
    };
    FLETCH_ASSERT(array->offset >= 0); /* docs/ARROW.md, "Columns of a batch" */
    array->n_buffers = export_buffers(exported, schema, batch, row);
    if (field->type.id == FLETCH_TYPE_NULL)
        array->null_count = array->length;
    for (uint32_t child = row + 1; child < field->end; child = schema->fields[child].end)
        *exported->pointers++ = &exported->nodes[child];
}

/* The rows, and those of the dictionaries. Recurses as deep as these lie in each other. */
static void export_rows(struct exported *exported, const struct fletch_schema *schema,
                        const struct fletch_batch *batch)
{
    struct ArrowArray *nodes = exported->nodes;
    for (uint32_t row = 0; row < schema->field_count; row++)
        export_row(exported, schema, batch, row);
    exported->nodes += schema->field_count;
    for (uint32_t i = 0; i < schema->dictionary_count; i++) {
        nodes[schema->dictionaries[i].field].dictionary = exported->nodes;
        export_rows(exported, schema->dictionaries[i].values,
                    batch == NULL ? NULL : batch->dictionaries[i]);
    }
}

static void export_all(struct exported *exported, struct ArrowArray *out_array)
{
    const struct fletch_batch *batch = exported->batch;
    const struct fletch_schema *schema = batch->schema;
    struct ArrowArray *nodes = exported->nodes;
    *out_array = (struct ArrowArray){
        .length = batch->row_count,
        .n_buffers = 1,
        .n_children = schema->column_count,
        .buffers = exported->buffers,
        .children = exported->pointers,
        .release = release_node,
        .private_data = exported,
    };
    *exported->buffers++ = NULL;
    for (uint32_t i = 0; i < schema->column_count; i++)
        *exported->pointers++ = &nodes[schema->columns[i]];
    export_rows(exported, schema, batch);
}

struct export_counts {
    size_t nodes;
    size_t buffers;
    size_t sizes;
};

static void count_export(const struct fletch_schema *schema, const struct fletch_batch *batch,
                         struct export_counts *counts)
{
    const size_t data_count = batch == NULL ? 0 : batch->span_count - schema->span_count;
    counts->nodes += schema->field_count;
    counts->buffers += schema->span_count + data_count + schema->view_count;
    counts->sizes += data_count;
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        count_export(schema->dictionaries[i].values, batch == NULL ? NULL : batch->dictionaries[i],
                     counts);
}

enum fletch_status fletch_batch_export(struct fletch_batch *batch,
                                       struct fletch_buffer_cache *cache,
                                       struct ArrowArray *out_array, struct fletch_error *error)
{
    const struct fletch_schema *schema = batch->schema;
    if (schema == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "export of a batch without schema");
    if (cache == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "export of a batch: cache is NULL");
    struct export_counts counts = {.buffers = 1};
    count_export(schema, batch, &counts);
    const size_t nodes = fletch_round_up(sizeof(struct exported), sizeof(int64_t));
    const size_t pointers = nodes + counts.nodes * sizeof(struct ArrowArray);
    const size_t buffers = pointers + counts.nodes * sizeof(struct ArrowArray *);
    const size_t sizes = buffers + counts.buffers * sizeof(void *);
    struct fletch_buffer *block;
    enum fletch_status status =
        fletch_buffer_allocate(cache, sizes + counts.sizes * sizeof(int64_t), NULL, &block, error);
    if (status != FLETCH_OK)
        return status;
    char *memory = (char *)fletch_buffer_mutable_data(block);
    struct exported *exported = (void *)memory;
    *exported = (struct exported){
        .batch = fletch_batch_acquire(batch),
        .block = block,
        .nodes = (void *)(memory + nodes),
        .pointers = (void *)(memory + pointers),
        .buffers = (void *)(memory + buffers),
        .sizes = (void *)(memory + sizes),
    };
    fletch_shared_init(&exported->shared, exported_end);
    for (size_t i = 0; i < counts.nodes; i++) /* and one for the structure around them */
        fletch_shared_acquire(&exported->shared);
    export_all(exported, out_array);
    return FLETCH_OK;
}
