#include "arrow/array_import.h"

#include <inttypes.h>

#include "arrow/array_place.h"
#include "base/options.h"

/* What is released when nobody refers to an imported array any more. */
struct holder {
    struct ArrowArray array; /* moved in when nothing can fail any more; until then released */
    struct fletch_buffer *block;
};

static void holder_release(void *context)
{
    struct holder *holder = context;
    struct fletch_buffer *block = holder->block;
    if (holder->array.release != NULL)
        holder->array.release(&holder->array);
    fletch_buffer_release(NULL, block);
}

/* Rows of a batch are not null; whether a count that says so is right, only level 3 asks. */
static enum fletch_status check_root_nulls(const struct ArrowArray *source,
                                           enum fletch_validation level, struct fletch_error *error)
{
    const uint8_t *bits = source->buffers[0];
    if (bits == NULL || (source->null_count == 0 && level < FLETCH_VALIDATION_FULL))
        return FLETCH_OK;
    const int64_t nulls =
        source->length - fletch_bitmap_count(bits, source->offset, source->length);
    if (nulls == 0)
        return FLETCH_OK;
    if (source->null_count == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: null count 0, its validity has %" PRId64, nulls);
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "batch: rows that are null as a whole, expected none");
}

/* What is around the columns: a struct array without nulls. */
static enum fletch_status check_root(const struct ArrowArray *source,
                                     const struct fletch_schema *schema,
                                     enum fletch_validation level, struct fletch_error *error)
{
    if (source->release == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: the array was released or moved");
    if (source->length < 0 || source->length > FLETCH_ELEMENTS_MAX || source->offset < 0 ||
        source->offset > FLETCH_ELEMENTS_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: length %" PRId64 " at offset %" PRId64
                                ", expected 0 to %" PRId64 " each",
                                source->length, source->offset, FLETCH_ELEMENTS_MAX);
    if (source->n_children != schema->column_count ||
        (source->n_children > 0 && source->children == NULL))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: %" PRId64 " columns, expected %" PRIu32, source->n_children,
                                schema->column_count);
    if (source->n_buffers != 1 || source->buffers == NULL || source->dictionary != NULL)
        return fletch_error_set(
            error, FLETCH_INVALID_ARGUMENT, "batch: %" PRId64 " buffers%s, expected a struct's 1",
            source->n_buffers, source->dictionary == NULL ? "" : " and a dictionary");
    if (source->null_count < -1 || source->null_count > source->length)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: null count %" PRId64 ", expected -1 to %" PRId64,
                                source->null_count, source->length);
    if (source->null_count > 0 && source->buffers[0] == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: null count %" PRId64 " and no validity, expected no nulls",
                                source->null_count);
    return check_root_nulls(source, level, error);
}

/* One buffer for all memory of the source, shared by the sets; `*out_holder` waits for the
 * source. */
static enum fletch_status hold(struct fletch_array_sets *sets, struct holder **out_holder)
{
    struct fletch_buffer_cache *cache = sets->options->cache;
    struct fletch_buffer *block;
    enum fletch_status status = fletch_buffer_allocate(cache, sizeof(struct holder),
                                                       sets->options->account, &block, sets->error);
    if (status != FLETCH_OK)
        return status;
    struct holder *holder = (void *)fletch_buffer_mutable_data(block);
    *holder = (struct holder){.block = block};
    const struct fletch_foreign_memory memory = {
        .data = holder,
        .bytes = sets->bytes == 0 ? 1 : (size_t)sets->bytes,
        .release = holder_release,
        .context = holder,
    };
    status = fletch_buffer_wrap(cache, &memory, sets->options->account, &sets->sets[0].owners[0],
                                sets->error);
    if (status != FLETCH_OK) {
        fletch_buffer_release(cache, block);
        return status;
    }
    for (uint32_t i = 1; i < sets->set_count; i++)
        sets->sets[i].owners[0] = fletch_buffer_acquire(sets->sets[0].owners[0]);
    *out_holder = holder;
    return FLETCH_OK;
}

static enum fletch_status make_batch(struct fletch_array_sets *sets, struct fletch_array_set *set,
                                     struct fletch_batch **out_batch)
{
    struct fletch_schema *schema = (struct fletch_schema *)(uintptr_t)set->schema;
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = set->row_count,
        .nodes = set->nodes,
        .spans = set->spans,
        .view_spans = set->view_spans,
        .owners = set->owners,
        .dictionaries = sets->dictionaries + set->first_set,
        .node_count = schema->field_count,
        .span_count = set->span_count,
        .view_count = schema->view_count,
        .owner_count = set->owner_count,
        .dictionary_count = schema->dictionary_count,
    };
    enum fletch_status status = fletch_batch_create(sets->options->cache, sets->options->account,
                                                    &parts, out_batch, sets->error);
    if (status != FLETCH_OK) {
        fletch_schema_release(schema);
        return status;
    }
    set->owner_count = 0;
    for (uint32_t i = 0; i < parts.dictionary_count; i++)
        sets->dictionaries[set->first_set + i] = NULL;
    return FLETCH_OK;
}

/* The batch, its memory held by `*out_holder`, which has not got the source yet. */
static enum fletch_status make_all(struct fletch_array_sets *sets, const struct ArrowArray *source,
                                   struct holder **out_holder, struct fletch_batch **out_batch)
{
    enum fletch_status status = fletch_array_sets_link(sets, source);
    if (status == FLETCH_OK)
        status = fletch_array_sets_allocate(sets);
    if (status == FLETCH_OK)
        status = fletch_array_sets_place(sets, source->offset);
    if (status == FLETCH_OK)
        status = hold(sets, out_holder);
    for (uint32_t i = sets->set_count; status == FLETCH_OK && i > 1; i--)
        status = make_batch(sets, &sets->sets[i - 1], &sets->dictionaries[i - 1]);
    return status == FLETCH_OK ? make_batch(sets, &sets->sets[0], out_batch) : status;
}

enum fletch_status fletch_import_options_read(const struct fletch_import_options *options,
                                              struct fletch_import_options *out_options,
                                              struct fletch_error *error)
{
    enum fletch_status status =
        fletch_options_copy(out_options, sizeof *out_options, options, sizeof *out_options, error);
    if (status != FLETCH_OK)
        return status;
    if (out_options->cache == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "import without a cache");
    if ((unsigned)out_options->validation > FLETCH_VALIDATION_FULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "import with validation %d, expected 0 to %d",
                                (int)out_options->validation, FLETCH_VALIDATION_FULL);
    if (out_options->validation == FLETCH_VALIDATION_DEFAULT)
        out_options->validation = FLETCH_VALIDATION_STRUCTURE;
    return FLETCH_OK;
}

enum fletch_status fletch_batch_import(struct ArrowArray *source, struct fletch_schema *schema,
                                       const struct fletch_import_options *options,
                                       struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct fletch_import_options known;
    struct holder *holder = NULL;
    struct fletch_batch *batch = NULL;
    enum fletch_status status = fletch_import_options_read(options, &known, error);
    if (status == FLETCH_OK)
        status = check_root(source, schema, known.validation, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_array_sets sets = {.options = &known, .error = error};
    status = fletch_array_sets_open(&sets, schema);
    if (status != FLETCH_OK)
        return status;
    status = make_all(&sets, source, &holder, &batch);
    fletch_array_sets_close(&sets);
    if (status != FLETCH_OK)
        return status;
    /* What was placed has passed level 1. */
    if (known.validation > FLETCH_VALIDATION_STRUCTURE)
        status = fletch_batch_validate(batch, known.validation, error);
    if (status != FLETCH_OK) {
        fletch_batch_release(known.cache, batch);
        return status;
    }
    holder->array = *source;
    source->release = NULL;
    *out_batch = batch;
    return FLETCH_OK;
}
