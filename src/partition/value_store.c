#include "partition/value_store.h"

#include "base/allocator.h"
#include "base/bits.h"
#include "partition/batch_recoder.h"
#include "partition/dictionary_merger.h"
#include "partition/element_compare.h"
#include "partition/nested_copy.h"
#include "partition/nested_measure.h"

enum { ALIGNMENT = 64 };

/* ---- making ---- */

static void *carve(char *block, size_t *end, size_t bytes)
{
    size_t at = *end;
    *end = fletch_round_up(at + bytes, ALIGNMENT);
    return block == NULL ? NULL : block + at;
}

static size_t carve_arrays(struct fletch_value_store *store, const struct fletch_schema *schema,
                           char *block)
{
    size_t end = fletch_round_up(sizeof *store, ALIGNMENT);
    size_t spans = (size_t)schema->span_count + schema->view_count;
    size_t dictionaries = schema->dictionary_count;
    store->dictionaries = carve(block, &end, dictionaries * sizeof store->dictionaries[0]);
    store->parts.dictionaries = carve(block, &end, dictionaries * sizeof(struct fletch_batch *));
    store->parts.nodes = carve(block, &end, schema->field_count * sizeof store->parts.nodes[0]);
    store->parts.spans = carve(block, &end, spans * sizeof store->parts.spans[0]);
    store->parts.view_spans =
        carve(block, &end, (schema->view_count + (size_t)1) * sizeof store->parts.view_spans[0]);
    return end;
}

static enum fletch_status fill(struct fletch_value_store *store,
                               const struct fletch_scatter_options *options,
                               struct fletch_error *error)
{
    enum fletch_status status = fletch_scatter_init(&store->scatter, options, error);
    for (uint32_t i = 0; i < options->source.schema->dictionary_count && status == FLETCH_OK; i++) {
        store->dictionaries[i].cache = options->source.cache;
        store->dictionaries[i].account = options->source.account;
        store->dictionaries[i].allocator = *options->allocator;
        status = fletch_merger_init(&store->dictionaries[i], options->source.schema, i, error);
    }
    return status;
}

enum fletch_status fletch_value_store_create(struct fletch_schema *schema,
                                             const struct fletch_frame_source *source,
                                             const struct fletch_allocator *allocator,
                                             struct fletch_value_store **out_store,
                                             struct fletch_error *error)
{
    struct fletch_value_store sizes = {.block = NULL};
    size_t bytes = carve_arrays(&sizes, schema, NULL);
    struct fletch_value_store *store = fletch_allocate(allocator, bytes, ALIGNMENT);
    if (store == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a dictionary's values: %zu bytes", bytes);
    memset(store, 0, bytes);
    store->block = store;
    store->block_bytes = bytes;
    carve_arrays(store, schema, store->block);
    struct fletch_scatter_options options = {
        .source = *source, .allocator = allocator, .partition_count = 1};
    options.source.schema = schema;
    store->scatter.allocator = *allocator;
    enum fletch_status status = fill(store, &options, error);
    if (status != FLETCH_OK) {
        fletch_value_store_destroy(store);
        return status;
    }
    *out_store = store;
    return FLETCH_OK;
}

void fletch_value_store_destroy(struct fletch_value_store *store)
{
    if (store == NULL)
        return;
    struct fletch_allocator allocator = store->scatter.allocator;
    struct fletch_buffer_cache *cache = store->scatter.source.cache;
    fletch_value_store_forget(store);
    fletch_builder_close(&store->frame, cache);
    fletch_batch_release(cache, store->kept);
    if (store->taken != NULL)
        fletch_release(&allocator, store->taken, store->taken_capacity * sizeof store->taken[0],
                       ALIGNMENT);
    if (store->scatter.block != NULL) {
        for (uint32_t i = 0; i < store->scatter.source.schema->dictionary_count; i++)
            fletch_merger_deinit(&store->dictionaries[i]);
        fletch_scatter_deinit(&store->scatter);
    }
    fletch_release(&allocator, store->block, store->block_bytes, ALIGNMENT);
}

/* ---- taking ---- */

static enum fletch_status reserve_taken(struct fletch_value_store *store, size_t count,
                                        struct fletch_error *error)
{
    if (count <= store->taken_capacity)
        return FLETCH_OK;
    count *= 2;
    int64_t *taken = fletch_allocate(&store->scatter.allocator, count * sizeof taken[0], ALIGNMENT);
    if (taken == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for %zu values of a dictionary", count);
    if (store->taken != NULL)
        fletch_release(&store->scatter.allocator, store->taken,
                       store->taken_capacity * sizeof taken[0], ALIGNMENT);
    store->taken = taken;
    store->taken_capacity = count;
    return FLETCH_OK;
}

/* Brings the dictionaries among the values up to those of the source. */
static enum fletch_status merge_dictionaries(struct fletch_value_store *store,
                                             struct fletch_error *error)
{
    const struct fletch_schema *schema = store->scatter.source.schema;
    struct fletch_batch *source = store->source;
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < schema->dictionary_count && status == FLETCH_OK; i++) {
        struct fletch_dictionary_merger *dictionary = &store->dictionaries[i];
        status = fletch_merger_check_indices(source, schema->dictionaries[i].field, error);
        if (status == FLETCH_OK)
            status = fletch_merger_merge(dictionary, source->dictionaries[i], error);
        if (status == FLETCH_OK)
            status = fletch_merger_take_snapshot(dictionary, error);
    }
    return status;
}

enum fletch_status fletch_value_store_open(struct fletch_value_store *store,
                                           struct fletch_batch *values, struct fletch_error *error)
{
    const struct fletch_scatter *scatter = &store->scatter;
    const struct fletch_recoder recoder = {
        .schema = scatter->source.schema,
        .dictionaries = store->dictionaries,
        .cache = scatter->source.cache,
        .account = scatter->source.account,
        .allocator = scatter->allocator,
    };
    fletch_value_store_forget(store);
    enum fletch_status status = reserve_taken(store, (size_t)values->row_count, error);
    if (status != FLETCH_OK)
        return status;
    bool is_like = values->schema == recoder.schema ||
                   fletch_schema_compare(recoder.schema, values->schema, FLETCH_COMPARE_FIELDS,
                                         NULL) == FLETCH_OK;
    if (is_like)
        store->source = fletch_batch_acquire(values);
    else
        status = fletch_recode_batch(&recoder, values, &store->source, error);
    return status == FLETCH_OK ? merge_dictionaries(store, error) : status;
}

bool fletch_value_store_equals(const struct fletch_value_store *store, uint32_t kept, int64_t index)
{
    uint32_t count = store->kept == NULL ? 0 : (uint32_t)store->kept->row_count;
    struct fletch_element new = {store->source, 0, index};
    struct fletch_element old = {store->kept, 0, kept};
    if (kept >= count)
        old = (struct fletch_element){store->source, 0, store->taken[kept - count]};
    return fletch_elements_equal(old, new);
}

void fletch_value_store_take(struct fletch_value_store *store, int64_t index)
{
    store->taken[store->taken_count++] = index;
}

void fletch_value_store_forget(struct fletch_value_store *store)
{
    fletch_batch_release(store->scatter.source.cache, store->source);
    store->source = NULL;
    store->taken_count = 0;
}

/* ---- keeping ---- */

/* The next taken elements as ranges; false: there are no more. */
static bool next_taken(const struct fletch_value_store *store, size_t *done,
                       struct fletch_element_ranges *ranges)
{
    fletch_ranges_clear(ranges);
    while (*done < store->taken_count && !fletch_ranges_are_full(ranges))
        fletch_ranges_add(ranges, store->taken[(*done)++], 1);
    return ranges->count > 0;
}

static void look_at(struct fletch_value_store *store, const struct fletch_batch *batch,
                    bool is_remapped)
{
    const struct fletch_schema *schema = store->scatter.source.schema;
    fletch_scatter_look_at(&store->scatter, batch);
    for (uint32_t i = 0; i < schema->dictionary_count; i++) {
        const struct fletch_dictionary_merger *dictionary = &store->dictionaries[i];
        bool is_same = !is_remapped || dictionary->remap_is_identity;
        store->scatter.remaps[i] = is_same ? NULL : dictionary->remap;
        store->scatter.remap_counts[i] = is_same ? 0 : (int64_t)dictionary->remap_count;
    }
}

/* Counts or, with a frame, copies the values kept. */
static void go_through_kept(struct fletch_value_store *store, struct fletch_frame_builder *frame)
{
    const struct fletch_scatter *scatter = &store->scatter;
    struct fletch_element_ranges ranges;
    if (store->kept == NULL || store->kept->row_count == 0)
        return;
    fletch_ranges_clear(&ranges);
    fletch_ranges_add(&ranges, 0, store->kept->row_count);
    look_at(store, store->kept, false);
    if (frame == NULL) {
        fletch_nested_count(scatter, 0, &ranges, &scatter->used);
        return;
    }
    fletch_nested_copy(scatter, frame, 0, &ranges, 0);
    frame->row_count = (uint32_t)ranges.total;
}

/* The same of the values taken. */
static void go_through_taken(struct fletch_value_store *store, struct fletch_frame_builder *frame)
{
    const struct fletch_scatter *scatter = &store->scatter;
    struct fletch_element_ranges ranges;
    size_t done = 0;
    if (store->source != NULL)
        look_at(store, store->source, true);
    while (next_taken(store, &done, &ranges)) {
        if (frame == NULL) {
            fletch_nested_count(scatter, 0, &ranges, &scatter->used);
            continue;
        }
        fletch_nested_copy(scatter, frame, 0, &ranges, frame->row_count);
        frame->row_count += (uint32_t)ranges.total;
    }
}

typedef enum fletch_status plan_maker(const struct fletch_schema *schema,
                                      const struct fletch_frame_extent *extent,
                                      const struct fletch_allocator *allocator,
                                      struct fletch_frame_plan **out_plan);

static enum fletch_status open_planned(struct fletch_value_store *store, plan_maker *make_plan,
                                       struct fletch_frame_builder *frame,
                                       struct fletch_error *error)
{
    const struct fletch_scatter *scatter = &store->scatter;
    struct fletch_frame_plan *plan = NULL;
    if (make_plan(scatter->source.schema, &scatter->extent, &scatter->allocator, &plan) !=
        FLETCH_OK)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a plan of a dictionary's values");
    enum fletch_status status = fletch_builder_open(frame, &scatter->source, plan, error);
    fletch_frame_plan_release(plan);
    return status;
}

/* Opens a frame for what is used: with as much room again, or just that if there is no memory. */
static enum fletch_status open_frame(struct fletch_value_store *store,
                                     struct fletch_frame_builder *frame, struct fletch_error *error)
{
    struct fletch_scatter *scatter = &store->scatter;
    const struct fletch_schema *schema = scatter->source.schema;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        scatter->extent.elements[row] = (double)scatter->used.elements[row];
        scatter->extent.bytes[row] = (double)scatter->used.bytes[row];
    }
    enum fletch_status status = fletch_frame_extent_check(schema, &scatter->extent, error);
    if (status != FLETCH_OK)
        return status;
    status = open_planned(store, fletch_frame_plan_create_growing, frame, error);
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        status = open_planned(store, fletch_frame_plan_create_row, frame, error);
    return status;
}

/* Makes room in the frame for the values taken. */
static enum fletch_status make_room(struct fletch_value_store *store, struct fletch_error *error)
{
    struct fletch_scatter *scatter = &store->scatter;
    const size_t bytes = scatter->source.schema->field_count * sizeof(int64_t);
    struct fletch_frame_builder larger = {.slab = NULL};
    bool is_open = store->frame.slab != NULL;
    memset(scatter->used.elements, 0, bytes);
    memset(scatter->used.bytes, 0, bytes);
    if (is_open)
        fletch_nested_note_use(scatter, &store->frame, 0);
    else
        go_through_kept(store, NULL);
    go_through_taken(store, NULL);
    if (is_open && fletch_nested_fits(scatter, store->frame.plan, 0))
        return FLETCH_OK;
    enum fletch_status status = open_frame(store, &larger, error);
    if (status != FLETCH_OK)
        return status;
    go_through_kept(store, &larger);
    fletch_builder_close(&store->frame, scatter->source.cache);
    store->frame = larger;
    return FLETCH_OK;
}

/* Of the dictionaries among the values, which have none yet where no values ever came. */
static enum fletch_status take_snapshots(struct fletch_value_store *store,
                                         struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; status == FLETCH_OK && i < store->scatter.source.schema->dictionary_count;
         i++)
        status = fletch_merger_take_snapshot(&store->dictionaries[i], error);
    return status;
}

static enum fletch_status make_kept(struct fletch_value_store *store, struct fletch_error *error)
{
    struct fletch_scatter *scatter = &store->scatter;
    struct fletch_batch *kept = NULL;
    enum fletch_status status = take_snapshots(store, error);
    if (status == FLETCH_OK)
        status = make_room(store, error);
    if (status != FLETCH_OK)
        return status;
    go_through_taken(store, &store->frame);
    for (uint32_t i = 0; i < scatter->source.schema->dictionary_count; i++)
        store->parts.dictionaries[i] = store->dictionaries[i].snapshot;
    status = fletch_builder_snapshot(&store->frame, &scatter->source, &store->parts, &kept, error);
    if (status != FLETCH_OK) {
        /* It holds what is not kept; the next one begins with what is. */
        fletch_builder_close(&store->frame, scatter->source.cache);
        return status;
    }
    fletch_batch_release(scatter->source.cache, store->kept);
    store->kept = kept;
    return FLETCH_OK;
}

enum fletch_status fletch_value_store_keep(struct fletch_value_store *store,
                                           struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    if (store->kept == NULL || store->taken_count > 0)
        status = make_kept(store, error);
    fletch_value_store_forget(store);
    return status;
}
