#include <fletching/range_sample.h>

#include "arrow/schema_builder.h"
#include "base/allocator.h"
#include "base/options.h"
#include "base/random.h"
#include "partition/partitioner.h"

/* Bounds from a sample: rows are drawn, sorted, and those at equal distances are the bounds. */

enum { ALIGNMENT = 64, ROWS_FOR_A_PARTITION = 1024, ROWS_MOST = 1000000 };

/* A row of the sample: of which batch, and which. */
struct drawn {
    uint32_t batch;
    int64_t row;
};

struct proposal {
    const struct fletch_range_sample *sample;
    struct fletch_schema *schema;
    struct fletch_buffer_cache *cache;
    const struct fletch_range_order *orders;
    const uint32_t *key_rows;
    uint32_t key_count;
    uint32_t bound_count;
    struct drawn *drawn;
    size_t drawn_count;
};

static struct fletch_range_place place_of(const struct proposal *proposal, struct drawn drawn)
{
    return (struct fletch_range_place){.batch = proposal->sample->batches[drawn.batch],
                                       .rows = proposal->key_rows,
                                       .index = drawn.row};
}

static bool is_before(const struct proposal *proposal, struct drawn a, struct drawn b)
{
    struct fletch_range_place x = place_of(proposal, a);
    struct fletch_range_place y = place_of(proposal, b);
    return fletch_range_compare(&x, &y, proposal->orders, proposal->key_count) < 0;
}

/* ---- drawing and sorting ---- */

static size_t total_rows(const struct fletch_range_sample *sample)
{
    size_t total = 0;
    for (size_t i = 0; i < sample->batch_count; i++)
        total += (size_t)sample->batches[i]->row_count;
    return total;
}

/* Row `number` of all batches. */
static struct drawn row_of(const struct fletch_range_sample *sample, size_t number)
{
    uint32_t batch = 0;
    while (number >= (size_t)sample->batches[batch]->row_count)
        number -= (size_t)sample->batches[batch++]->row_count;
    return (struct drawn){.batch = batch, .row = (int64_t)number};
}

/* All rows if that is what is wanted, else any, the same one perhaps twice. */
static void draw(struct proposal *proposal, size_t total)
{
    struct fletch_random random = fletch_random_from_seed(proposal->sample->seed);
    for (size_t i = 0; i < proposal->drawn_count; i++)
        proposal->drawn[i] = row_of(
            proposal->sample,
            proposal->drawn_count == total ? i : (size_t)(fletch_random_u64(&random) % total));
}

static void sift_down(const struct proposal *proposal, size_t at, size_t end)
{
    struct drawn *heap = proposal->drawn;
    struct drawn moved = heap[at];
    for (size_t child = 2 * at + 1; child < end; child = 2 * at + 1) {
        if (child + 1 < end && is_before(proposal, heap[child], heap[child + 1]))
            child++;
        if (!is_before(proposal, moved, heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* Heapsort: needs no memory, and no context beside the comparison's. */
static void sort(const struct proposal *proposal)
{
    struct drawn *heap = proposal->drawn;
    for (size_t i = proposal->drawn_count / 2; i-- > 0;)
        sift_down(proposal, i, proposal->drawn_count);
    for (size_t end = proposal->drawn_count; end-- > 1;) {
        struct drawn largest = heap[0];
        heap[0] = heap[end];
        heap[end] = largest;
        sift_down(proposal, 0, end);
    }
}

/* ---- the batch of bounds ---- */

static struct drawn bound_at(const struct proposal *proposal, uint32_t bound)
{
    size_t at = (bound + (size_t)1) * proposal->drawn_count / (proposal->bound_count + (size_t)1);
    return proposal->drawn[at];
}

static enum fletch_status make_schema(const struct proposal *proposal,
                                      struct fletch_schema **out_schema, struct fletch_error *error)
{
    struct fletch_schema_builder builder;
    fletch_schema_builder_init(&builder, NULL);
    enum fletch_status status = FLETCH_OK;
    for (uint32_t k = 0; k < proposal->key_count && status == FLETCH_OK; k++) {
        const struct fletch_field *field = &proposal->schema->fields[proposal->key_rows[k]];
        struct fletch_field_options options = {
            .name = field->name,
            .name_bytes = field->name_bytes,
            .type = *fletch_range_type(proposal->schema, proposal->key_rows[k]),
            .is_nullable = true,
        };
        status = fletch_schema_builder_open(&builder, &options, error);
        if (status == FLETCH_OK)
            status = fletch_schema_builder_close(&builder, error);
    }
    if (status == FLETCH_OK)
        return fletch_schema_builder_finish(&builder, out_schema, error);
    fletch_schema_builder_deinit(&builder);
    return status;
}

/* A bound's value in key column `k`. False: it is null. */
static bool find_value(const struct proposal *proposal, uint32_t k, uint32_t bound,
                       struct fletch_node_view *out_column, int64_t *out_index)
{
    struct drawn drawn = bound_at(proposal, bound);
    *out_column =
        fletch_node_view_of(proposal->sample->batches[drawn.batch], proposal->key_rows[k]);
    *out_index = drawn.row;
    return fletch_range_look_through(out_column, out_index);
}

/* The bounds of one key column, whose buffers go to the batch. */
struct bound_column {
    const struct proposal *proposal;
    const struct fletch_field *field;
    struct fletch_batch_parts *parts;
    struct fletch_batch_node *node;
    struct fletch_batch_span *spans;
    struct fletch_buffer **owners;
    uint32_t key;
};

static uint8_t *add_buffer(const struct bound_column *column, uint32_t span, size_t bytes,
                           struct fletch_error *error)
{
    struct fletch_buffer *buffer = NULL;
    if (fletch_buffer_allocate(column->proposal->cache, bytes > 0 ? bytes : 1, NULL, &buffer,
                               error) != FLETCH_OK)
        return NULL;
    uint8_t *data = fletch_buffer_mutable_data(buffer);
    memset(data, 0, bytes);
    column->owners[column->parts->owner_count++] = buffer;
    column->spans[span] = (struct fletch_batch_span){.data = data, .bytes = bytes};
    return data;
}

static bool fill_values(const struct bound_column *column, uint8_t *validity,
                        struct fletch_error *error)
{
    size_t width = fletch_type_byte_width(&column->field->type);
    bool is_bool = column->field->type.id == FLETCH_TYPE_BOOL;
    uint32_t count = column->proposal->bound_count;
    uint8_t *values =
        add_buffer(column, 1, is_bool ? (count + (size_t)7) / 8 : count * width, error);
    if (values == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct fletch_node_view source;
        int64_t index;
        if (!find_value(column->proposal, column->key, i, &source, &index)) {
            column->node->null_count++;
            continue;
        }
        int64_t at = source.offset + index;
        validity[i / 8] = (uint8_t)(validity[i / 8] | 1U << i % 8);
        if (is_bool)
            values[i / 8] =
                (uint8_t)(values[i / 8] | (unsigned)fletch_view_bit(source.values, at) << i % 8);
        else if (width > 0)
            memcpy(values + i * width, source.values + (size_t)at * width, width);
    }
    return true;
}

/* Twice over the bounds: once for the lengths, once for the bytes. */
static bool fill_strings(const struct bound_column *column, uint8_t *validity,
                         struct fletch_error *error)
{
    bool is_wide = fletch_type_layout(&column->field->type)->spans[1] == FLETCH_SPAN_OFFSETS64;
    size_t width = is_wide ? 8 : 4;
    uint32_t count = column->proposal->bound_count;
    uint8_t *offsets = add_buffer(column, 1, (count + (size_t)1) * width, error);
    int64_t end = 0;
    for (uint32_t i = 0; offsets != NULL && i < count; i++) {
        struct fletch_node_view source;
        int64_t index;
        if (find_value(column->proposal, column->key, i, &source, &index)) {
            end += (int64_t)fletch_range_text_of(&source, index).length;
            validity[i / 8] = (uint8_t)(validity[i / 8] | 1U << i % 8);
        } else {
            column->node->null_count++;
        }
        memcpy(offsets + (i + 1) * width, &end, width);
    }
    uint8_t *bytes = offsets == NULL ? NULL : add_buffer(column, 2, (size_t)end, error);
    for (uint32_t i = 0; bytes != NULL && i < count; i++) {
        struct fletch_node_view source;
        int64_t index;
        if (!find_value(column->proposal, column->key, i, &source, &index))
            continue;
        struct fletch_range_text text = fletch_range_text_of(&source, index);
        memcpy(bytes, text.bytes, text.length);
        bytes += text.length;
    }
    return offsets != NULL && column->spans[2].data != NULL;
}

static bool fill_column(const struct bound_column *column, struct fletch_error *error)
{
    uint8_t *validity =
        add_buffer(column, 0, (column->proposal->bound_count + (size_t)7) / 8, error);
    if (validity == NULL)
        return false;
    column->node->length = column->proposal->bound_count;
    bool is_filled = fletch_type_is_variable(column->field->type.id)
                         ? fill_strings(column, validity, error)
                         : fill_values(column, validity, error);
    if (column->node->null_count == 0)
        column->spans[0] = (struct fletch_batch_span){.data = NULL};
    return is_filled;
}

static enum fletch_status fill_batch(const struct proposal *proposal,
                                     struct fletch_batch_parts *parts, struct bound_column column,
                                     struct fletch_batch **out_bounds, struct fletch_error *error)
{
    struct fletch_batch_span *spans = column.spans;
    struct fletch_batch_node *nodes = column.node;
    bool is_filled = true;
    column.proposal = proposal;
    column.parts = parts;
    for (uint32_t k = 0; k < proposal->key_count && is_filled; k++) {
        column.field = &parts->schema->fields[k];
        column.key = k;
        column.node = nodes + k;
        column.spans = spans + column.field->first_span;
        is_filled = fill_column(&column, error);
    }
    enum fletch_status status =
        is_filled ? fletch_batch_create(proposal->cache, NULL, parts, out_bounds, error)
                  : FLETCH_RESOURCE_EXHAUSTED;
    for (uint32_t i = 0; i < parts->owner_count && status != FLETCH_OK; i++)
        fletch_buffer_release(proposal->cache, column.owners[i]);
    return status;
}

static enum fletch_status make_bounds(const struct proposal *proposal,
                                      struct fletch_batch **out_bounds, struct fletch_error *error)
{
    struct fletch_schema *schema = NULL;
    enum fletch_status status = make_schema(proposal, &schema, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_allocator memory = fletch_allocator_or_default(NULL);
    size_t spans_at = proposal->key_count * sizeof(struct fletch_batch_node);
    size_t owners_at = spans_at + schema->span_count * sizeof(struct fletch_batch_span);
    size_t bytes = owners_at + schema->span_count * sizeof(struct fletch_buffer *);
    char *block = fletch_allocate(&memory, bytes, ALIGNMENT);
    status = FLETCH_RESOURCE_EXHAUSTED;
    if (block == NULL)
        fletch_error_set(error, status, "no memory for %u range bounds", proposal->bound_count);
    if (block != NULL) {
        memset(block, 0, bytes);
        struct bound_column column = {.node = (void *)block,
                                      .spans = (void *)(block + spans_at),
                                      .owners = (void *)(block + owners_at)};
        struct fletch_batch_parts parts = {
            .schema = schema,
            .row_count = proposal->bound_count,
            .nodes = column.node,
            .node_count = schema->field_count,
            .spans = column.spans,
            .span_count = schema->span_count,
            .owners = column.owners,
        };
        status = fill_batch(proposal, &parts, column, out_bounds, error);
        fletch_release(&memory, block, bytes, ALIGNMENT);
    }
    if (status != FLETCH_OK)
        fletch_schema_release(schema);
    return status;
}

/* ---- the call ---- */

static enum fletch_status propose(struct proposal *proposal, struct fletch_batch **out_bounds,
                                  struct fletch_error *error)
{
    size_t total = total_rows(proposal->sample);
    size_t wanted = proposal->sample->row_count;
    if (wanted == 0)
        wanted = (proposal->bound_count + (size_t)1) * ROWS_FOR_A_PARTITION;
    if (wanted > ROWS_MOST)
        wanted = ROWS_MOST;
    if (total == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a sample of %zu batches without a row",
                                proposal->sample->batch_count);
    struct fletch_allocator memory = fletch_allocator_or_default(NULL);
    proposal->drawn_count = total < wanted ? total : wanted;
    size_t bytes = proposal->drawn_count * sizeof proposal->drawn[0];
    proposal->drawn = fletch_allocate(&memory, bytes, ALIGNMENT);
    if (proposal->drawn == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a sample of %zu rows", proposal->drawn_count);
    draw(proposal, total);
    sort(proposal);
    enum fletch_status status = make_bounds(proposal, out_bounds, error);
    fletch_release(&memory, proposal->drawn, bytes, ALIGNMENT);
    return status;
}

enum fletch_status fletch_range_propose(struct fletch_schema *schema,
                                        const struct fletch_partitioner_options *options,
                                        const struct fletch_range_sample *sample,
                                        struct fletch_batch **out_bounds,
                                        struct fletch_error *error)
{
    /* One partition needs no bounds and makes a partitioner that knows the key and its orders. */
    struct fletch_partitioner_options known;
    struct fletch_partitioner *keys = NULL;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, options, sizeof known, error);
    if (status != FLETCH_OK)
        return status;
    known.method = FLETCH_PARTITION_RANGE;
    known.range_bounds = NULL;
    status = fletch_partitioner_check_options(&known, schema, error);
    uint32_t partitions = known.partition_count;
    known.partition_count = 1;
    if (status == FLETCH_OK)
        status = fletch_partitioner_create(schema, &known, NULL, &keys, error);
    if (status != FLETCH_OK)
        return status;
    struct proposal proposal = {
        .sample = sample,
        .schema = schema,
        .cache = sample->cache,
        .orders = keys->range.orders,
        .key_rows = keys->key.rows,
        .key_count = keys->key.count,
        .bound_count = partitions - 1,
    };
    status = propose(&proposal, out_bounds, error);
    fletch_partitioner_destroy(keys);
    return status;
}
