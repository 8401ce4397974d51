#include "partition/scatter.h"

#include "base/allocator.h"
#include "base/assert.h"
#include "base/bits.h"
#include "partition/nested_measure.h"
#include "partition/row_levels.h"
#include "partition/scatter_copy.h"

enum { ALIGNMENT = 64, SEGMENTS_MAX = 4096, CLOSED_AT_FIRST = 64 };

/* Open frames of so many bytes are written past the caches: whatever is written has left the second
 * level long before the frame is full. With more partitions than this a block seldom has a line for
 * each. */
#define BYTES_TO_STREAM ((size_t)2 << 20)
enum { PARTITIONS_TO_STREAM = 1024, LINE = 64 };

/* Stretches of all levels, unless levels are so many that blocks would be too small. */
enum { STRETCHES_MOST = 256 << 10, LEVEL_ROWS_LEAST = 1024 };

/* Rows after which what was seen counts half: frames follow data that changes. */
static const double rows_to_remember = 1 << 16;

/* ---- making ---- */

static enum fletch_copy_rule rule_of(const struct fletch_type *type)
{
    size_t width = fletch_type_byte_width(type);
    switch (type->id) {
    case FLETCH_TYPE_NULL:
        return FLETCH_COPY_NOTHING;
    case FLETCH_TYPE_BOOL:
        return FLETCH_COPY_BITS;
    case FLETCH_TYPE_STRUCT:
        return FLETCH_COPY_STRUCT;
    case FLETCH_TYPE_FIXED_SIZE_LIST:
        return FLETCH_COPY_FIXED_LIST;
    case FLETCH_TYPE_SPARSE_UNION:
        return FLETCH_COPY_SPARSE_UNION;
    case FLETCH_TYPE_DENSE_UNION:
        return FLETCH_COPY_DENSE_UNION;
    case FLETCH_TYPE_RUN_END_ENCODED:
        return FLETCH_COPY_RUNS;
    default:
        break;
    }
    if (fletch_type_is_variable(type->id))
        return FLETCH_COPY_STRINGS;
    if (fletch_type_is_list(type->id))
        return FLETCH_COPY_LIST;
    if (fletch_type_is_view(type->id))
        return FLETCH_COPY_VIEWS;
    if (fletch_type_is_list_view(type->id))
        return FLETCH_COPY_LIST_VIEW;
    return fletch_is_power_of_two(width) && width <= 32 ? FLETCH_COPY_VALUES
                                                        : FLETCH_COPY_WIDE_VALUES;
}

static struct fletch_scatter_node node_of(const struct fletch_schema *schema, uint32_t row,
                                          const struct fletch_scatter_node *nodes)
{
    const struct fletch_field *field = &schema->fields[row];
    size_t width = fletch_type_byte_width(&field->type);
    struct fletch_scatter_node node = {.rule = rule_of(&field->type)};
    while (width > 1 && (size_t)1 << node.kernel < width)
        node.kernel++;
    if (field->parent != FLETCH_NO_INDEX)
        node.is_inner =
            nodes[field->parent].is_inner || fletch_copy_rule_is_ranged(nodes[field->parent].rule);
    return node;
}

/* Places an array in the block, or only counts if there is none yet. */
static void *carve(char *block, size_t *end, size_t bytes)
{
    size_t at = *end;
    *end = fletch_round_up(at + bytes, ALIGNMENT);
    return block == NULL ? NULL : block + at;
}

static size_t carve_arrays(struct fletch_scatter *scatter, char *block)
{
    const struct fletch_schema *schema = scatter->source.schema;
    size_t nodes = schema->field_count;
    size_t end = 0;
    scatter->frames = carve(block, &end, scatter->partition_count * sizeof scatter->frames[0]);
    scatter->segments = carve(block, &end, scatter->segments_most * sizeof scatter->segments[0]);
    scatter->nodes = carve(block, &end, nodes * sizeof scatter->nodes[0]);
    scatter->columns = carve(block, &end, nodes * sizeof scatter->columns[0]);
    uint32_t levels = fletch_levels_most(schema);
    scatter->levels = carve(block, &end, levels * sizeof scatter->levels[0]);
    scatter->remaps = carve(block, &end, schema->dictionary_count * sizeof(uint32_t *));
    scatter->remap_counts = carve(block, &end, schema->dictionary_count * sizeof(int64_t));
    scatter->seen.elements = carve(block, &end, nodes * sizeof(double));
    scatter->seen.bytes = carve(block, &end, nodes * sizeof(double));
    scatter->extent.elements = carve(block, &end, nodes * sizeof(double));
    scatter->extent.bytes = carve(block, &end, nodes * sizeof(double));
    scatter->used.elements = carve(block, &end, nodes * sizeof(int64_t));
    scatter->used.bytes = carve(block, &end, nodes * sizeof(int64_t));
    scatter->kept.elements = carve(block, &end, nodes * sizeof(int64_t));
    scatter->kept.bytes = carve(block, &end, nodes * sizeof(int64_t));
    /* The last ones, which are not zeroed. */
    size_t starts = scatter->level_rows > 0 ? (size_t)levels * scatter->segments_most : 0;
    size_t stretches = (size_t)levels * scatter->level_rows;
    scatter->level_starts = carve(block, &end, starts * sizeof scatter->level_starts[0]);
    scatter->stretches = carve(block, &end, stretches * sizeof scatter->stretches[0]);
    return end;
}

/* 0: the schema has no levels, or there are no blocks. */
static uint32_t level_rows_of(const struct fletch_scatter_options *options)
{
    uint32_t levels = fletch_levels_most(options->source.schema);
    uint32_t rows = STRETCHES_MOST / levels;
    rows = rows < LEVEL_ROWS_LEAST ? LEVEL_ROWS_LEAST : rows;
    if (levels == 1)
        return 0;
    return rows < options->block_rows ? rows : options->block_rows;
}

enum fletch_status fletch_scatter_init(struct fletch_scatter *scatter,
                                       const struct fletch_scatter_options *options,
                                       struct fletch_error *error)
{
    *scatter = (struct fletch_scatter){
        .source = options->source,
        .allocator = fletch_allocator_or_default(options->allocator),
        .kernels = fletch_gather_kernels_best(),
        .partition_count = options->partition_count,
        .level_rows = level_rows_of(options),
        .segments_most = options->block_rows == 0 ? 0 : SEGMENTS_MAX,
        .target_bytes = options->target_bytes,
        .is_streamed = options->partition_count <= PARTITIONS_TO_STREAM &&
                       options->partition_count * options->target_bytes >= BYTES_TO_STREAM,
    };
    if (scatter->level_rows > 0 && scatter->level_rows < SEGMENTS_MAX)
        scatter->segments_most = scatter->level_rows;
    scatter->block_bytes = carve_arrays(scatter, NULL);
    scatter->block = fletch_allocate(&scatter->allocator, scatter->block_bytes, ALIGNMENT);
    if (scatter->block == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a partition writer: %zu bytes for %u partitions",
                                scatter->block_bytes, scatter->partition_count);
    carve_arrays(scatter, scatter->block);
    memset(scatter->block, 0, (size_t)((char *)scatter->level_starts - (char *)scatter->block));
    const struct fletch_schema *schema = scatter->source.schema;
    for (uint32_t row = 0; row < schema->field_count; row++)
        scatter->nodes[row] = node_of(schema, row, scatter->nodes);
    fletch_levels_init(scatter);
    fletch_schema_acquire(scatter->source.schema);
    return FLETCH_OK;
}

void fletch_scatter_deinit(struct fletch_scatter *scatter)
{
    for (uint32_t p = 0; p < scatter->partition_count; p++)
        fletch_builder_close(&scatter->frames[p], scatter->source.cache);
    for (size_t i = scatter->closed_first; i < scatter->closed_count; i++)
        fletch_builder_close(&scatter->closed[i], scatter->source.cache);
    fletch_frame_plan_release(scatter->plan);
    if (scatter->closed != NULL)
        fletch_release(&scatter->allocator, scatter->closed,
                       scatter->closed_capacity * sizeof scatter->closed[0], ALIGNMENT);
    fletch_schema_release(scatter->source.schema);
    fletch_release(&scatter->allocator, scatter->block, scatter->block_bytes, ALIGNMENT);
}

/* ---- what frames are planned for ---- */

/* What `count` rows of the batch from `first` on have. */
static void set_extent(struct fletch_scatter *scatter, int64_t first, int64_t count)
{
    const struct fletch_schema *schema = scatter->source.schema;
    size_t bytes = schema->field_count * sizeof(int64_t);
    struct fletch_element_ranges rows;
    fletch_ranges_clear(&rows);
    fletch_ranges_add(&rows, first, count);
    memset(scatter->used.elements, 0, bytes);
    memset(scatter->used.bytes, 0, bytes);
    for (uint32_t c = 0; c < schema->column_count; c++)
        fletch_nested_count(scatter, schema->columns[c], &rows, &scatter->used);
    for (uint32_t row = 0; row < schema->field_count; row++) {
        scatter->extent.elements[row] = (double)scatter->used.elements[row];
        scatter->extent.bytes[row] = (double)scatter->used.bytes[row];
    }
}

/* A run whose rows go to several partitions is a run in each of them. */
static void spread_runs(struct fletch_scatter *scatter)
{
    const struct fletch_schema *schema = scatter->source.schema;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        if (scatter->nodes[row].rule != FLETCH_COPY_RUNS)
            continue;
        double runs = scatter->extent.elements[row + 1];
        double length = runs == 0 ? 1 : scatter->extent.elements[row] / runs;
        double most = scatter->partition_count;
        double factor = length > most ? most : length;
        for (uint32_t below = row + 1; below < schema->fields[row].end; below++) {
            scatter->extent.elements[below] *= factor;
            scatter->extent.bytes[below] *= factor;
        }
    }
}

static double remember(double *seen, double now, double fade)
{
    *seen = *seen * fade + now;
    return *seen;
}

/* Whether the newest plan has far too little or too much room for what was seen. */
static bool plan_is_off(const struct fletch_frame_plan *plan,
                        const struct fletch_frame_extent *per_row,
                        const struct fletch_schema *schema)
{
    for (uint32_t row = 0; row < schema->field_count; row++) {
        double bytes = plan->bytes_per_row[row];
        double planned = (double)plan->element_capacity[row] / plan->row_capacity;
        if (per_row->bytes[row] > 1.1 * bytes + 1 || 1.25 * per_row->bytes[row] + 2 < bytes ||
            per_row->elements[row] > planned || 3 * per_row->elements[row] + 16 < planned)
            return true;
    }
    return false;
}

/* Elements that are shared, by list views or views, are written once for each that shares them: a
 * row can outgrow the offsets of its type. Few batches need a look at each row. */
static enum fletch_status check_rows(struct fletch_scatter *scatter, struct fletch_error *error)
{
    const struct fletch_schema *schema = scatter->source.schema;
    enum fletch_status status = fletch_frame_extent_check(schema, &scatter->extent, NULL);
    if (status == FLETCH_OK)
        return FLETCH_OK;
    for (int64_t row = 0; row < scatter->batch->row_count; row++) {
        set_extent(scatter, row, 1);
        status = fletch_frame_extent_check(schema, &scatter->extent, error);
        if (status != FLETCH_OK)
            return status;
    }
    set_extent(scatter, 0, scatter->batch->row_count);
    return FLETCH_OK;
}

static enum fletch_status plan_for(struct fletch_scatter *scatter, struct fletch_error *error)
{
    const struct fletch_schema *schema = scatter->source.schema;
    double rows = (double)scatter->batch->row_count;
    double fade = scatter->seen_rows > rows_to_remember ? 0.5 : 1;
    set_extent(scatter, 0, scatter->batch->row_count);
    enum fletch_status status = check_rows(scatter, error);
    if (status != FLETCH_OK)
        return status;
    spread_runs(scatter);
    double all_rows = remember(&scatter->seen_rows, rows, fade);
    for (uint32_t row = 0; row < schema->field_count; row++) {
        scatter->extent.elements[row] =
            remember(&scatter->seen.elements[row], scatter->extent.elements[row], fade) / all_rows;
        scatter->extent.bytes[row] =
            remember(&scatter->seen.bytes[row], scatter->extent.bytes[row], fade) / all_rows;
    }
    if (scatter->plan != NULL && !plan_is_off(scatter->plan, &scatter->extent, schema))
        return FLETCH_OK;
    struct fletch_frame_plan *plan = NULL;
    if (fletch_frame_plan_create(schema, &scatter->extent, scatter->target_bytes,
                                 &scatter->allocator, &plan) != FLETCH_OK)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a frame's plan");
    fletch_frame_plan_release(scatter->plan);
    scatter->plan = plan;
    return FLETCH_OK;
}

void fletch_scatter_look_at(struct fletch_scatter *scatter, const struct fletch_batch *batch)
{
    scatter->batch = batch;
    scatter->batch_number++;
    scatter->is_by_levels = scatter->level_rows > 0 && fletch_levels_can_number(batch);
    for (uint32_t row = 0; row < scatter->source.schema->field_count; row++) {
        scatter->columns[row] = fletch_node_view_of(batch, row);
        scatter->nodes[row].may_have_nulls |= scatter->columns[row].validity != NULL;
    }
}

enum fletch_status fletch_scatter_begin(struct fletch_scatter *scatter,
                                        const struct fletch_batch *batch,
                                        struct fletch_error *error)
{
    fletch_scatter_look_at(scatter, batch);
    return batch->row_count == 0 ? FLETCH_OK : plan_for(scatter, error);
}

uint32_t fletch_scatter_rows_most(const struct fletch_scatter *scatter)
{
    return scatter->level_rows > 0 ? scatter->level_rows : FLETCH_BLOCK_ROWS_MOST;
}

double fletch_scatter_widest(const struct fletch_scatter *scatter)
{
    const struct fletch_schema *schema = scatter->source.schema;
    double widest = 1;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        double bytes = (double)fletch_type_byte_width(&schema->fields[row].type);
        if (scatter->nodes[row].is_inner && !fletch_scatter_has_level(scatter, row))
            continue;
        if (scatter->seen_rows > 0)
            bytes *= scatter->seen.elements[row] / scatter->seen_rows;
        if (scatter->nodes[row].rule == FLETCH_COPY_STRINGS && scatter->seen_rows > 0)
            bytes = scatter->seen.bytes[row] / scatter->seen_rows;
        widest = bytes > widest ? bytes : widest;
    }
    return widest;
}

/* ---- placing ---- */

static enum fletch_status reserve_closed(struct fletch_scatter *scatter, struct fletch_error *error)
{
    if (scatter->closed_first == scatter->closed_count)
        scatter->closed_first = scatter->closed_count = 0;
    if (scatter->closed_count < scatter->closed_capacity)
        return FLETCH_OK;
    size_t capacity =
        scatter->closed_capacity == 0 ? CLOSED_AT_FIRST : 2 * scatter->closed_capacity;
    struct fletch_frame_builder *closed =
        fletch_allocate(&scatter->allocator, capacity * sizeof closed[0], ALIGNMENT);
    if (closed == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for the list of %zu finished frames", capacity);
    if (scatter->closed != NULL) {
        memcpy(closed, scatter->closed, scatter->closed_count * sizeof closed[0]);
        fletch_release(&scatter->allocator, scatter->closed,
                       scatter->closed_capacity * sizeof closed[0], ALIGNMENT);
    }
    scatter->closed = closed;
    scatter->closed_capacity = capacity;
    return FLETCH_OK;
}

enum fletch_status fletch_scatter_close(struct fletch_scatter *scatter, uint32_t partition,
                                        struct fletch_error *error)
{
    struct fletch_frame_builder *frame = &scatter->frames[partition];
    if (frame->slab == NULL || frame->row_count == 0)
        return FLETCH_OK;
    enum fletch_status status = reserve_closed(scatter, error);
    if (status != FLETCH_OK)
        return status;
    frame->partition = partition;
    scatter->closed[scatter->closed_count++] = *frame;
    *frame = (struct fletch_frame_builder){.slab = NULL};
    return FLETCH_OK;
}

/* How many of the rows fit into the frame; the offsets of strings of the top level are written. */
static size_t measure(struct fletch_scatter *scatter, const struct fletch_frame_builder *frame,
                      const struct fletch_scatter_block *block, uint32_t first, size_t count)
{
    const uint16_t *order = block->lists->order + first;
    int64_t first_row = block->first_row;
    const struct fletch_schema *schema = scatter->source.schema;
    size_t room = frame->plan->row_capacity - frame->row_count;
    count = count < room ? count : room;
    for (uint32_t row = 0; row < schema->field_count && count > 0; row++) {
        enum fletch_copy_rule rule = scatter->nodes[row].rule;
        if (scatter->nodes[row].is_inner)
            continue;
        const struct fletch_field *field = &schema->fields[row];
        if (fletch_scatter_has_level(scatter, row)) {
            count =
                fletch_levels_place(scatter, frame, row, (struct fletch_level_rows){first, count});
        } else if (fletch_copy_rule_is_ranged(rule)) {
            struct fletch_nested_rows rows = {first_row, order, count};
            count = fletch_nested_measure(scatter, frame, row, &rows);
        } else if (rule == FLETCH_COPY_STRINGS) {
            struct fletch_gather_strings strings =
                fletch_scatter_strings(&scatter->columns[row], first_row);
            size_t width = strings.has_wide_offsets ? 8 : 4;
            struct fletch_gather_room left = {
                .offsets =
                    fletch_builder_region(frame, field->first_span + 1) + width * frame->row_count,
                .used_bytes = fletch_builder_start(frame, field, frame->row_count),
                .byte_capacity = frame->plan->byte_capacity[row],
            };
            count = fletch_gather_offsets(&left, &strings, order, count);
        }
    }
    return count;
}

/* Opens a frame, or notes what it would have been charged. */
static enum fletch_status open_frame(struct fletch_scatter *scatter,
                                     struct fletch_frame_builder *frame,
                                     struct fletch_frame_plan *plan, struct fletch_error *error)
{
    enum fletch_status status = fletch_builder_open(frame, &scatter->source, plan, error);
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        scatter->frame_bytes = fletch_builder_charge_bytes(&scatter->source, plan);
    return status;
}

/* A frame for one row that is too large for the others, in the place of an empty one. */
static enum fletch_status open_for_row(struct fletch_scatter *scatter,
                                       struct fletch_frame_builder *frame, int64_t row,
                                       struct fletch_error *error)
{
    struct fletch_frame_plan *plan = NULL;
    set_extent(scatter, row, 1);
    if (fletch_frame_plan_create_row(scatter->source.schema, &scatter->extent, &scatter->allocator,
                                     &plan) != FLETCH_OK)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a frame's plan");
    fletch_builder_close(frame, scatter->source.cache);
    enum fletch_status status = open_frame(scatter, frame, plan, error);
    fletch_frame_plan_release(plan);
    return status;
}

static void add_segment(struct fletch_scatter *scatter, struct fletch_frame_builder *frame,
                        const struct fletch_scatter_block *block, uint32_t first, uint32_t count)
{
    scatter->segments[scatter->segment_count++] = (struct fletch_segment){
        .frame = *frame,
        .first = first,
        .count = count,
        .row = frame->row_count,
    };
    frame->row_count += count;
    if (block->hashes == NULL)
        return;
    const struct fletch_row_run *run = &block->lists->runs[block->run];
    frame->key_sum += count == run->count
                          ? run->hash_sum
                          : fletch_row_lists_sum(block->hashes, block->lists->order + first, count);
}

/* Where strings and lists of a run will write their offsets is fetched while others are placed. */
static void prefetch_run(const struct fletch_scatter *scatter,
                         const struct fletch_scatter_block *block)
{
    enum { RUNS_AHEAD = 2, BYTES_MOST = 1024 };
    uint32_t run = block->run + RUNS_AHEAD;
    if (block->run_done > 0 || run >= block->lists->run_count)
        return;
    const struct fletch_frame_builder *frame = &scatter->frames[block->lists->runs[run].partition];
    const struct fletch_schema *schema = scatter->source.schema;
    for (uint32_t row = 0; frame->slab != NULL && row < schema->field_count; row++) {
        const struct fletch_scatter_node *node = &scatter->nodes[row];
        if ((node->rule != FLETCH_COPY_STRINGS && node->rule != FLETCH_COPY_LIST) || node->is_inner)
            continue;
        size_t width = fletch_view_has_wide_offsets(&scatter->columns[row]) ? 8 : 4;
        const uint8_t *to = fletch_builder_region(frame, schema->fields[row].first_span + 1) +
                            width * frame->row_count;
        size_t bytes = width * block->lists->runs[run].count;
        for (size_t at = 0; at < bytes + LINE && at < BYTES_MOST; at += LINE)
            __builtin_prefetch(to + at, 1, 3);
    }
}

/* Places as many rows of the run as fit into one frame. */
static enum fletch_status place_some(struct fletch_scatter *scatter,
                                     struct fletch_scatter_block *block, struct fletch_error *error)
{
    const struct fletch_row_run *run = &block->lists->runs[block->run];
    struct fletch_frame_builder *frame = &scatter->frames[run->partition];
    enum fletch_status status = FLETCH_OK;
    prefetch_run(scatter, block);
    if (frame->slab == NULL)
        status = open_frame(scatter, frame, scatter->plan, error);
    if (status != FLETCH_OK)
        return status;
    uint32_t first = run->first + block->run_done;
    const uint16_t *order = block->lists->order + first;
    size_t left = run->count - block->run_done;
    size_t count = measure(scatter, frame, block, first, left);
    if (count == 0 && frame->row_count == 0) {
        status = open_for_row(scatter, frame, block->first_row + order[0], error);
        if (status != FLETCH_OK)
            return status;
        count = measure(scatter, frame, block, first, 1);
        FLETCH_ASSERT(count == 1 && "a frame made for a row has room for it");
    }
    if (count > 0)
        add_segment(scatter, frame, block, first, (uint32_t)count);
    block->run_done += (uint32_t)count;
    /* A frame that is full stays open if it cannot be closed now: nothing more fits into it. */
    bool is_full = count < left || frame->row_count == frame->plan->row_capacity;
    return is_full ? fletch_scatter_close(scatter, run->partition, error) : FLETCH_OK;
}

/* Fetches the offsets of a string or list for a range of elements, and what those of a list need
 * below. */
static void prefetch_column(const struct fletch_scatter *scatter, uint32_t row,
                            struct fletch_element_range range)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    const struct fletch_field *fields = scatter->source.schema->fields;
    enum fletch_copy_rule rule = scatter->nodes[row].rule;
    if (rule == FLETCH_COPY_STRUCT)
        for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end)
            prefetch_column(scatter, child, range);
    if (range.count == 0 || (rule != FLETCH_COPY_STRINGS && rule != FLETCH_COPY_LIST))
        return;
    size_t width = fletch_view_has_wide_offsets(column) ? 8 : 4;
    const uint8_t *offsets = column->values + (size_t)(column->offset + range.first) * width;
    for (size_t at = 0; at < (size_t)range.count * width; at += LINE)
        __builtin_prefetch(offsets + at, 0, 2);
    if (rule == FLETCH_COPY_LIST)
        prefetch_column(scatter, row + 1, fletch_view_extent(column, range));
}

/* Placing reads offsets partition by partition, in which the processor sees no order: they are
 * fetched in the order of memory before. */
static void prefetch_offsets(const struct fletch_scatter *scatter,
                             const struct fletch_scatter_block *block)
{
    const struct fletch_schema *schema = scatter->source.schema;
    for (uint32_t c = 0; c < schema->column_count; c++)
        prefetch_column(scatter, schema->columns[c],
                        (struct fletch_element_range){block->first_row, block->row_count});
}

enum fletch_status fletch_scatter_block(struct fletch_scatter *scatter,
                                        struct fletch_scatter_block *block,
                                        struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    scatter->frame_bytes = 0;
    if (block->run == 0 && block->run_done == 0) {
        prefetch_offsets(scatter, block);
        if (scatter->is_by_levels)
            fletch_levels_begin(scatter, block);
    }
    while (block->run < block->lists->run_count && status == FLETCH_OK) {
        status = place_some(scatter, block, error);
        if (block->run_done == block->lists->runs[block->run].count) {
            block->run++;
            block->run_done = 0;
        }
        if (scatter->segment_count == scatter->segments_most)
            fletch_scatter_copy_segments(scatter, block);
    }
    fletch_scatter_copy_segments(scatter, block);
    /* Whatever could not be closed is closed by the next row that does not fit. */
    return block->run == block->lists->run_count ? FLETCH_OK : status;
}
