#include "flow/window.h"

#include <string.h>

#include "arrow/column.h"
#include "base/allocator.h"
#include "base/options.h"
#include "flow/window_emit.h"
#include "partition/partition_writer.h"

enum { ALIGNMENT = 64, FRAME_BYTES_DEFAULT = 64 << 10 };

/* ---- making ---- */

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static enum fletch_status check_times(const struct fletch_windows_options *options,
                                      struct fletch_error *error)
{
    if (options->size < 1)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "size is %lld, expected 1 and more",
                                (long long)options->size);
    if (options->slide < 1 || options->slide > options->size)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "slide is %lld, expected 1 to the size, %lld",
                                (long long)options->slide, (long long)options->size);
    if (options->lateness < 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "lateness is %lld, expected 0 and more",
                                (long long)options->lateness);
    int64_t panes = options->size / common_divisor(options->size, options->slide);
    if (options->pane_limit > FLETCH_WINDOW_PANES_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "pane_limit is %u, expected 0 to %u", options->pane_limit,
                                FLETCH_WINDOW_PANES_MAX);
    if (panes > options->pane_limit)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a window of size %lld and slide %lld has %lld panes, more than "
                                "pane_limit, which is %u",
                                (long long)options->size, (long long)options->slide,
                                (long long)panes, options->pane_limit);
    return FLETCH_OK;
}

static enum fletch_status check_column(const struct fletch_schema *schema, uint32_t column,
                                       struct fletch_error *error)
{
    size_t count = fletch_schema_column_count(schema);
    if (column >= count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "time_column is %u, the schema has %zu columns", column, count);
    const struct fletch_field *field = &schema->fields[schema->columns[column]];
    enum fletch_type_id id = field->type.id;
    char text[FLETCH_TYPE_TEXT_BYTES];
    bool is_time =
        id == FLETCH_TYPE_INT64 || id == FLETCH_TYPE_DATE64 || id == FLETCH_TYPE_TIMESTAMP;
    if (is_time && field->dictionary == FLETCH_NO_INDEX)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "time column '%s' is %s%s, expected int64, date64 or timestamp",
                            field->name, field->dictionary == FLETCH_NO_INDEX ? "" : "indices of ",
                            fletch_type_describe(&field->type, text, sizeof text));
}

static enum fletch_status make_writer(struct fletch_windows *windows,
                                      const struct fletch_windows_options *options,
                                      struct fletch_error *error)
{
    /* Rows come with their slots: the method is never asked. */
    const struct fletch_partitioner_options slots = {
        .struct_size = sizeof slots,
        .method = FLETCH_PARTITION_ROUND_ROBIN,
        .partition_count = FLETCH_SLOT_PANES + options->pane_limit,
    };
    const struct fletch_partition_writer_options writer = {
        .struct_size = sizeof writer,
        .cache = options->cache,
        .frame_bytes = options->frame_bytes,
        .account = options->account,
    };
    struct fletch_partitioner *partitioner = NULL;
    enum fletch_status status = fletch_partitioner_create(windows->schema, &slots,
                                                          &windows->allocator, &partitioner, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_partition_writer_create(windows->schema, partitioner, &writer, &windows->writer,
                                            error);
    if (status != FLETCH_OK)
        fletch_partitioner_destroy(partitioner);
    return status;
}

static enum fletch_status make_parts(struct fletch_windows *windows,
                                     const struct fletch_windows_options *options,
                                     struct fletch_error *error)
{
    if (!fletch_panes_init(&windows->panes, options->pane_limit, &windows->allocator))
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for %u panes",
                                options->pane_limit);
    windows->panes.cache = options->cache;
    enum fletch_status status = make_writer(windows, options, error);
    if (status != FLETCH_OK)
        fletch_panes_deinit(&windows->panes);
    return status;
}

static enum fletch_status read_options(const struct fletch_schema *schema,
                                       const struct fletch_windows_options *given,
                                       struct fletch_windows_options *out_options,
                                       struct fletch_error *error)
{
    enum fletch_status status =
        fletch_options_copy(out_options, sizeof *out_options, given, sizeof *out_options, error);
    if (status != FLETCH_OK)
        return status;
    if (out_options->cache == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "cache is NULL");
    if (out_options->pane_limit == 0)
        out_options->pane_limit = FLETCH_WINDOW_PANES_DEFAULT;
    if (out_options->slide == 0)
        out_options->slide = out_options->size;
    if (out_options->frame_bytes == 0)
        out_options->frame_bytes = FRAME_BYTES_DEFAULT;
    status = check_times(out_options, error);
    return status != FLETCH_OK ? status : check_column(schema, out_options->time_column, error);
}

enum fletch_status fletch_windows_create(struct fletch_schema *schema,
                                         const struct fletch_windows_options *options,
                                         const struct fletch_allocator *allocator,
                                         struct fletch_windows **out_windows,
                                         struct fletch_error *error)
{
    struct fletch_windows_options known;
    enum fletch_status status = read_options(schema, options, &known, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_allocator own = fletch_allocator_or_default(allocator);
    struct fletch_windows *windows = fletch_block_allocate(&own, sizeof *windows);
    if (windows == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for windows: %zu bytes", sizeof *windows);
    *windows = (struct fletch_windows){
        .schema = schema,
        .allocator = own,
        .span = {.size = known.size,
                 .slide = known.slide,
                 .origin = known.origin,
                 .lateness = known.lateness,
                 .pane = common_divisor(known.size, known.slide)},
        .time_row = schema->columns[known.time_column],
        .statistics.watermark = INT64_MIN,
    };
    status = make_parts(windows, &known, error);
    if (status != FLETCH_OK) {
        fletch_block_release(windows);
        return status;
    }
    fletch_schema_acquire(schema);
    *out_windows = windows;
    return FLETCH_OK;
}

void fletch_windows_destroy(struct fletch_windows *windows)
{
    if (windows == NULL)
        return;
    struct fletch_batch *batch;
    for (uint32_t side = 0; side < FLETCH_SLOT_PANES; side++)
        while ((batch = fletch_window_list_take(&windows->panes, &windows->sides[side])) != NULL)
            fletch_batch_release(windows->panes.cache, batch);
    fletch_window_link_free(&windows->panes, windows->spare);
    fletch_partition_writer_destroy(windows->writer);
    fletch_panes_deinit(&windows->panes);
    if (windows->slots != NULL)
        fletch_release(&windows->allocator, windows->slots,
                       windows->slots_capacity * sizeof windows->slots[0], ALIGNMENT);
    fletch_schema_release(windows->schema);
    fletch_block_release(windows);
}

/* ---- finding the pane of each row ---- */

/* Rows of about the same time come together: what was found for the last one, and for which
 * times. */
struct found {
    int64_t first;
    int64_t last;
    uint16_t slot;
    uint64_t *rows; /* where they are counted */
};

static enum fletch_status find_slot(struct fletch_windows *windows, int64_t time,
                                    struct found *out_found, struct fletch_error *error)
{
    const struct fletch_window_span *span = &windows->span;
    struct fletch_pane *pane = fletch_panes_find(&windows->panes, time);
    fletch_wide start = pane == NULL ? fletch_span_pane(span, time) : pane->start;
    bool is_late = pane == NULL ? fletch_span_is_closed(span, fletch_span_last_window(span, start),
                                                        windows->statistics.watermark)
                                : pane->is_shut;
    if (is_late) {
        *out_found = (struct found){.first = fletch_clamped(start),
                                    .last = fletch_clamped(start + span->pane - 1),
                                    .slot = FLETCH_SLOT_LATE,
                                    .rows = &windows->side_rows_new[FLETCH_SLOT_LATE]};
        return FLETCH_OK;
    }
    if (pane == NULL)
        pane = fletch_panes_open(&windows->panes, start, span->pane);
    if (pane == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "all %u panes are open, the first at %lld, and a row has the time "
                                "%lld: no watermark has closed windows since %lld",
                                windows->panes.limit,
                                (long long)fletch_panes_at(&windows->panes, 0)->first,
                                (long long)time, (long long)windows->statistics.watermark);
    *out_found = (struct found){.first = pane->first,
                                .last = pane->last,
                                .slot = (uint16_t)pane->slot,
                                .rows = &pane->rows_new};
    return FLETCH_OK;
}

static enum fletch_status find_slots(struct fletch_windows *windows,
                                     const struct fletch_batch *batch, struct fletch_error *error)
{
    struct fletch_column column = fletch_column_of(batch, windows->time_row);
    const int64_t *times = (const void *)column.spans[1].data;
    struct found found = {.first = 1, .last = 0};
    for (int64_t row = 0; row < batch->row_count; row++) {
        if (!fletch_column_is_valid(&column, row)) {
            windows->side_rows_new[FLETCH_SLOT_NULL_TIME]++;
            windows->slots[row] = FLETCH_SLOT_NULL_TIME;
            continue;
        }
        int64_t time = times[column.node->offset + row];
        if (time < found.first || time > found.last) {
            enum fletch_status status = find_slot(windows, time, &found, error);
            if (status != FLETCH_OK)
                return status;
        }
        windows->slots[row] = found.slot;
        ++*found.rows;
    }
    return FLETCH_OK;
}

static enum fletch_status fit_slots(struct fletch_windows *windows, size_t row_count,
                                    struct fletch_error *error)
{
    if (row_count <= windows->slots_capacity)
        return FLETCH_OK;
    uint16_t *slots = fletch_allocate(&windows->allocator, row_count * sizeof slots[0], ALIGNMENT);
    if (slots == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for the windows of %zu rows", row_count);
    if (windows->slots != NULL)
        fletch_release(&windows->allocator, windows->slots,
                       windows->slots_capacity * sizeof slots[0], ALIGNMENT);
    windows->slots = slots;
    windows->slots_capacity = row_count;
    return FLETCH_OK;
}

/* ---- taking in ---- */

/* The new rows are counted as placed, or as if they had never come. */
static void settle_rows(struct fletch_windows *windows, bool are_placed)
{
    struct fletch_window_statistics *statistics = &windows->statistics;
    uint64_t *sides = windows->side_rows_new;
    for (uint32_t i = 0; i < windows->panes.count; i++) {
        struct fletch_pane *pane = fletch_panes_at(&windows->panes, i);
        pane->rows += are_placed ? pane->rows_new : 0;
        statistics->rows += are_placed ? pane->rows_new : 0;
        pane->rows_new = 0;
    }
    if (are_placed) {
        statistics->rows += sides[FLETCH_SLOT_LATE] + sides[FLETCH_SLOT_NULL_TIME];
        statistics->rows_late += sides[FLETCH_SLOT_LATE];
        statistics->rows_null_time += sides[FLETCH_SLOT_NULL_TIME];
    }
    sides[FLETCH_SLOT_LATE] = sides[FLETCH_SLOT_NULL_TIME] = 0;
    fletch_panes_close_empty(&windows->panes);
}

enum fletch_status fletch_windows_collect(struct fletch_windows *windows,
                                          struct fletch_error *error)
{
    struct fletch_partition_frame frame;
    for (;;) {
        if (windows->spare == NULL)
            windows->spare = fletch_window_link_make(&windows->panes);
        if (windows->spare == NULL)
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                    "no memory for a batch of a window");
        enum fletch_status status = fletch_partition_writer_next(windows->writer, &frame, error);
        if (status != FLETCH_OK || frame.batch == NULL)
            return status;
        windows->spare->batch = frame.batch;
        fletch_window_list_append(
            frame.partition < FLETCH_SLOT_PANES
                ? &windows->sides[frame.partition]
                : &windows->panes.table[frame.partition - FLETCH_SLOT_PANES].list,
            windows->spare);
        windows->spare = NULL;
    }
}

enum fletch_status fletch_windows_push(struct fletch_windows *windows, struct fletch_batch *batch,
                                       bool *out_taken, struct fletch_error *error)
{
    *out_taken = false;
    if (fletch_partition_writer_has_rest(windows->writer))
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the last batch waits for memory to be placed");
    fletch_wide start;
    if (fletch_windows_find_closed(windows, &start))
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the window from %lld is closed, and not all of it was taken",
                                (long long)fletch_clamped(start));
    /* What is closed by now is closed for the rows that come, with or without a pane so far. */
    windows->given = fletch_span_last_closed(&windows->span, windows->statistics.watermark);
    enum fletch_status status = FLETCH_OK;
    if (batch->schema != windows->schema)
        status =
            fletch_schema_compare(windows->schema, batch->schema, FLETCH_COMPARE_FIELDS, error);
    if (status == FLETCH_OK)
        status = fit_slots(windows, (size_t)batch->row_count, error);
    if (status != FLETCH_OK || batch->row_count == 0)
        return status;
    status = find_slots(windows, batch, error);
    if (status != FLETCH_OK) {
        settle_rows(windows, false);
        return status;
    }
    status = fletch_partition_writer_push_placed(windows->writer, batch, windows->slots, error);
    *out_taken = status == FLETCH_OK || fletch_partition_writer_has_rest(windows->writer);
    if (!fletch_partition_writer_has_rest(windows->writer))
        settle_rows(windows, status == FLETCH_OK);
    return status;
}

enum fletch_status fletch_windows_resume(struct fletch_windows *windows, struct fletch_error *error)
{
    if (!fletch_partition_writer_has_rest(windows->writer))
        return FLETCH_OK;
    enum fletch_status status = fletch_partition_writer_resume(windows->writer, error);
    if (!fletch_partition_writer_has_rest(windows->writer))
        settle_rows(windows, status == FLETCH_OK);
    return status;
}

void fletch_windows_advance(struct fletch_windows *windows, int64_t watermark)
{
    struct fletch_window_statistics *statistics = &windows->statistics;
    if (watermark < statistics->watermark) {
        statistics->watermarks_lower++;
        return;
    }
    statistics->watermark = watermark;
    windows->sides_are_due = true;
    for (uint32_t i = 0; i < windows->panes.count; i++) {
        struct fletch_pane *pane = fletch_panes_at(&windows->panes, i);
        fletch_wide last = fletch_span_last_window(&windows->span, pane->start);
        if (!fletch_span_is_closed(&windows->span, last, watermark))
            break; /* later panes have later windows */
        pane->is_shut = true;
    }
}

void fletch_windows_statistics(const struct fletch_windows *windows,
                               struct fletch_window_statistics *out_statistics)
{
    struct fletch_window_statistics statistics = windows->statistics;
    statistics.struct_size = out_statistics->struct_size;
    statistics.panes_open = windows->panes.count;
    memcpy(out_statistics, &statistics,
           statistics.struct_size < sizeof statistics ? statistics.struct_size : sizeof statistics);
}
