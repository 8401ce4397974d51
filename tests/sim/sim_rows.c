#include "sim/sim_rows.h"

#include <string.h>

#include "arrow/column.h"
#include "base/random.h"

#include "support/cmocka_tests.h"
#include "support/schemas.h"

enum { COLUMN_KEY, COLUMN_STAMP, COLUMN_TIME, COLUMN_FILLING, COLUMNS };
enum { STAMP_SHIFT = 40, KEYS = 1000, ONE_NULL_IN = 16 };

struct fletch_schema *sim_schema(void)
{
    return schema_new("key=l stamp=l! time=l! filling=u!");
}

static int64_t stamp_of(const struct sim_row *row)
{
    return (int64_t)(((uint64_t)row->producer << STAMP_SHIFT) | row->number);
}

/* What is in a row follows from its stamp. */
static uint64_t mixed(const struct sim_row *row)
{
    struct fletch_random random = fletch_random_from_seed((uint64_t)stamp_of(row));
    return fletch_random_u64(&random);
}

static bool key_is_null(const struct sim_row *row)
{
    return mixed(row) % ONE_NULL_IN == 0;
}

static int64_t key_of(const struct sim_row *row)
{
    return (int64_t)((mixed(row) >> 8) % KEYS);
}

static uint8_t filling_at(uint64_t row_mixed, uint32_t index)
{
    return (uint8_t)('a' + (row_mixed + index) % 26);
}

/* Where the columns lie in the one buffer of a batch. */
struct layout {
    uint8_t *validity;
    int64_t *key;
    int64_t *stamp;
    int64_t *time;
    int32_t *offsets;
    uint8_t *filling;
};

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t laid_out(uint8_t *start, uint32_t row_count, struct layout *layout)
{
    size_t at = 0;
    size_t words = padded(sizeof(int64_t) * row_count);
    layout->validity = start;
    at += padded((row_count + 7) / 8);
    layout->key = (void *)(start + at);
    layout->stamp = (void *)(start + at + words);
    layout->time = (void *)(start + at + 2 * words);
    at += 3 * words;
    layout->offsets = (void *)(start + at);
    at += padded(sizeof(int32_t) * (row_count + 1));
    layout->filling = (void *)(start + at);
    return at;
}

static void fill(const struct layout *layout, const struct sim_row *rows, uint32_t row_count)
{
    layout->offsets[0] = 0;
    memset(layout->validity, 0, (row_count + 7) / 8);
    for (uint32_t i = 0; i < row_count; i++) {
        const struct sim_row *row = &rows[i];
        uint64_t row_mixed = mixed(row);
        if (!key_is_null(row))
            layout->validity[i / 8] |= (uint8_t)(1u << i % 8);
        layout->key[i] = key_of(row);
        layout->stamp[i] = stamp_of(row);
        layout->time[i] = row->time;
        for (uint32_t k = 0; k < row->filling_bytes; k++)
            layout->filling[layout->offsets[i] + (int32_t)k] = filling_at(row_mixed, k);
        layout->offsets[i + 1] = layout->offsets[i] + (int32_t)row->filling_bytes;
    }
}

struct fletch_batch *sim_batch(struct fletch_schema *schema, struct fletch_buffer_cache *cache,
                               struct fletch_account *account, const struct sim_row *rows,
                               uint32_t row_count)
{
    struct layout layout;
    size_t filling = 0;
    for (uint32_t i = 0; i < row_count; i++)
        filling += rows[i].filling_bytes;
    static uint8_t nowhere[1];
    size_t bytes = laid_out(nowhere, row_count, &layout) + filling;
    struct fletch_buffer *buffer;
    if (fletch_buffer_allocate(cache, bytes, account, &buffer, NULL) != FLETCH_OK)
        return NULL;
    laid_out(fletch_buffer_mutable_data(buffer), row_count, &layout);
    fill(&layout, rows, row_count);
    size_t words = sizeof(int64_t) * row_count;
    const struct fletch_batch_node node = {.length = row_count};
    const struct fletch_batch_node nodes[COLUMNS] = {
        {.length = row_count, .null_count = -1}, node, node, node};
    const struct fletch_batch_span spans[] = {
        {layout.validity, (row_count + 7) / 8},
        {(const uint8_t *)layout.key, words},
        {NULL, 0},
        {(const uint8_t *)layout.stamp, words},
        {NULL, 0},
        {(const uint8_t *)layout.time, words},
        {NULL, 0},
        {(const uint8_t *)layout.offsets, sizeof(int32_t) * (row_count + 1)},
        {layout.filling, filling},
    };
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = row_count,
        .nodes = nodes,
        .spans = spans,
        .owners = &buffer,
        .node_count = COLUMNS,
        .span_count = sizeof spans / sizeof *spans,
        .owner_count = 1,
    };
    struct fletch_batch *batch;
    if (fletch_batch_create(cache, account, &parts, &batch, NULL) == FLETCH_OK)
        return batch;
    fletch_buffer_release(cache, buffer);
    fletch_schema_release(schema);
    return NULL;
}

static struct fletch_column column_of(const struct fletch_batch *batch, uint32_t column)
{
    return fletch_column_of(batch, batch->schema->columns[column]);
}

static int64_t word_at(const struct fletch_batch *batch, uint32_t column, int64_t index)
{
    struct fletch_column found = column_of(batch, column);
    return ((const int64_t *)(const void *)found.spans[1].data)[found.node->offset + index];
}

struct sim_stamp sim_stamp_at(const struct fletch_batch *batch, int64_t index)
{
    uint64_t stamp = (uint64_t)word_at(batch, COLUMN_STAMP, index);
    return (struct sim_stamp){.producer = (uint32_t)(stamp >> STAMP_SHIFT),
                              .number = stamp & ((UINT64_C(1) << STAMP_SHIFT) - 1)};
}

bool sim_row_matches(const struct fletch_batch *batch, int64_t index, const struct sim_row *row)
{
    struct fletch_column key = column_of(batch, COLUMN_KEY);
    struct fletch_column filling = column_of(batch, COLUMN_FILLING);
    uint64_t row_mixed = mixed(row);
    bool is_null = !fletch_column_is_valid(&key, index);
    if (is_null != key_is_null(row))
        return false;
    if (!is_null && word_at(batch, COLUMN_KEY, index) != key_of(row))
        return false;
    if (word_at(batch, COLUMN_TIME, index) != row->time)
        return false;
    int64_t begin = fletch_column_offset(&filling, index);
    if (fletch_column_offset(&filling, index + 1) - begin != row->filling_bytes)
        return false;
    for (uint32_t k = 0; k < row->filling_bytes; k++)
        if (filling.spans[2].data[begin + k] != filling_at(row_mixed, k))
            return false;
    return true;
}
