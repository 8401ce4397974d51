#include "partition/nested_gather.h"

#include <fletching/batch_slice.h>

#include "base/allocator.h"
#include "base/bits.h"
#include "partition/nested_blank.h"
#include "partition/nested_copy.h"
#include "partition/nested_measure.h"

enum { ALIGNMENT = 64 };

/* A gather that is going on. */
struct gathering {
    const struct fletch_nested_gather *of;
    struct fletch_scatter scatter;
    struct fletch_frame_builder frame;
    struct fletch_frame_parts parts;
    void *block; /* of the parts' arrays */
    size_t block_bytes;
};

/* Rows that follow each other: nulls, or else some ranges of values. */
struct stretch {
    int64_t blanks;
    struct fletch_element_ranges ranges;
};

static bool next_stretch(const struct fletch_nested_gather *of, int64_t *done,
                         struct stretch *stretch)
{
    stretch->blanks = 0;
    fletch_ranges_clear(&stretch->ranges);
    while (*done < of->count && of->indices[*done] < 0) {
        stretch->blanks++;
        ++*done;
    }
    while (stretch->blanks == 0 && *done < of->count && of->indices[*done] >= 0 &&
           !fletch_ranges_are_full(&stretch->ranges))
        fletch_ranges_add(&stretch->ranges, of->indices[(*done)++], 1);
    return stretch->blanks + stretch->ranges.total > 0;
}

/* ---- making ---- */

static void *carve(char *block, size_t *end, size_t bytes)
{
    size_t at = *end;
    *end = fletch_round_up(at + bytes, ALIGNMENT);
    return block == NULL ? NULL : block + at;
}

static size_t carve_parts(struct fletch_frame_parts *parts, const struct fletch_schema *schema,
                          char *block)
{
    size_t end = 0;
    size_t spans = (size_t)schema->span_count + schema->view_count;
    parts->nodes = carve(block, &end, schema->field_count * sizeof parts->nodes[0]);
    parts->spans = carve(block, &end, spans * sizeof parts->spans[0]);
    parts->view_spans =
        carve(block, &end, (schema->view_count + (size_t)1) * sizeof parts->view_spans[0]);
    parts->dictionaries =
        carve(block, &end, schema->dictionary_count * sizeof parts->dictionaries[0]);
    return end;
}

static enum fletch_status begin(struct gathering *gathering, struct fletch_error *error)
{
    const struct fletch_nested_gather *of = gathering->of;
    const struct fletch_schema *schema = of->source.schema;
    const struct fletch_scatter_options options = {
        .source = of->source, .allocator = of->allocator, .partition_count = 1};
    enum fletch_status status = fletch_scatter_init(&gathering->scatter, &options, error);
    if (status != FLETCH_OK)
        return status;
    gathering->block_bytes = carve_parts(&gathering->parts, schema, NULL);
    gathering->block = fletch_allocate(of->allocator, gathering->block_bytes, ALIGNMENT);
    if (gathering->block == NULL) {
        fletch_scatter_deinit(&gathering->scatter);
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for values of a dictionary: %zu bytes",
                                gathering->block_bytes);
    }
    carve_parts(&gathering->parts, schema, gathering->block);
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        gathering->parts.dictionaries[i] = of->values == NULL ? NULL : of->values->dictionaries[i];
    if (of->values != NULL)
        fletch_scatter_look_at(&gathering->scatter, of->values);
    for (uint32_t row = 0; row < schema->field_count; row++)
        gathering->scatter.nodes[row].may_have_nulls = true; /* blanks are */
    return FLETCH_OK;
}

static void end(struct gathering *gathering)
{
    fletch_scatter_deinit(&gathering->scatter);
    fletch_release(gathering->of->allocator, gathering->block, gathering->block_bytes, ALIGNMENT);
}

/* ---- measuring ---- */

/* Whether the rows counted so far are as much as one batch may have. */
static enum fletch_status check(struct gathering *gathering, struct fletch_error *error)
{
    const double bytes_most = (double)(SIZE_MAX / 4);
    struct fletch_scatter *scatter = &gathering->scatter;
    const struct fletch_schema *schema = scatter->source.schema;
    struct fletch_error cause = {.message = "more bytes than there are addresses"};
    double bytes = 0;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        scatter->extent.elements[row] = (double)scatter->used.elements[row];
        scatter->extent.bytes[row] = (double)scatter->used.bytes[row];
        bytes += scatter->extent.bytes[row] +
                 scatter->extent.elements[row] *
                     (double)fletch_type_byte_width(&schema->fields[row].type);
    }
    enum fletch_status status = fletch_frame_extent_check(schema, &scatter->extent, &cause);
    if (status == FLETCH_OK && bytes <= bytes_most)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                            "%lld values of a dictionary are too much for a batch, once they are "
                            "plain: %s",
                            (long long)gathering->of->count, cause.message);
}

static enum fletch_status measure(struct gathering *gathering, struct fletch_error *error)
{
    const struct fletch_nested_gather *of = gathering->of;
    const struct fletch_element_counts *used = &gathering->scatter.used;
    struct stretch stretch;
    int64_t done = 0;
    enum fletch_status status = FLETCH_OK;
    if (of->padding + of->count > UINT32_MAX)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "%lld values of a dictionary behind an offset of %lld cannot be "
                                "made plain: a batch of them can have 4294967295",
                                (long long)of->count, (long long)of->padding);
    fletch_nested_blank_count(&gathering->scatter, 0, of->padding, used);
    /* After each stretch: the sums of those that are checked do not overflow. */
    while (status == FLETCH_OK && next_stretch(of, &done, &stretch)) {
        fletch_nested_blank_count(&gathering->scatter, 0, stretch.blanks, used);
        fletch_nested_count(&gathering->scatter, 0, &stretch.ranges, used);
        status = check(gathering, error);
    }
    return status;
}

/* ---- copying ---- */

static void append(struct gathering *gathering, const struct stretch *stretch)
{
    struct fletch_frame_builder *frame = &gathering->frame;
    int64_t at = frame->row_count;
    fletch_nested_blank_append(&gathering->scatter, frame, 0,
                               (struct fletch_element_range){at, stretch->blanks});
    if (stretch->ranges.total > 0)
        fletch_nested_copy(&gathering->scatter, frame, 0, &stretch->ranges, at);
    frame->row_count += (uint32_t)(stretch->blanks + stretch->ranges.total);
}

static enum fletch_status open_frame(struct gathering *gathering, struct fletch_error *error)
{
    const struct fletch_scatter *scatter = &gathering->scatter;
    struct fletch_frame_plan *plan = NULL;
    check(gathering, NULL); /* the extent of all */
    if (fletch_frame_plan_create_row(scatter->source.schema, &scatter->extent, &scatter->allocator,
                                     &plan) != FLETCH_OK)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a plan of a dictionary's values");
    enum fletch_status status =
        fletch_builder_open(&gathering->frame, &scatter->source, plan, error);
    fletch_frame_plan_release(plan);
    return status;
}

static enum fletch_status copy(struct gathering *gathering, struct fletch_batch **out_batch,
                               struct fletch_error *error)
{
    const struct fletch_nested_gather *of = gathering->of;
    enum fletch_status status = open_frame(gathering, error);
    if (status != FLETCH_OK)
        return status;
    struct stretch stretch = {.blanks = of->padding};
    int64_t done = 0;
    do
        append(gathering, &stretch);
    while (next_stretch(of, &done, &stretch));
    status = fletch_builder_finish(&gathering->frame, &gathering->scatter.source, &gathering->parts,
                                   out_batch, error);
    if (status != FLETCH_OK)
        fletch_builder_close(&gathering->frame, of->source.cache);
    return status;
}

enum fletch_status fletch_nested_gather(const struct fletch_nested_gather *gather,
                                        struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct gathering gathering = {.of = gather};
    struct fletch_batch *whole = NULL;
    enum fletch_status status = begin(&gathering, error);
    if (status != FLETCH_OK)
        return status;
    status = measure(&gathering, error);
    if (status == FLETCH_OK)
        status = copy(&gathering, &whole, error);
    end(&gathering);
    if (status != FLETCH_OK)
        return status;
    if (gather->padding == 0) {
        *out_batch = whole;
        return FLETCH_OK;
    }
    const struct fletch_row_range rows = {gather->padding, (size_t)gather->count};
    status = fletch_batch_slice(gather->source.cache, whole, rows, out_batch, error);
    fletch_batch_release(gather->source.cache, whole);
    return status;
}
