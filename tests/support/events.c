#include "support/events.h"

#include "arrow/column.h"
#include "base/bits.h"

#include "support/cmocka_tests.h"
#include "support/schemas.h"

enum { TIME, NUMBER, COLUMNS };

struct fletch_schema *events_schema(void)
{
    return schema_new("time=l number=l");
}

static void write_rows(uint8_t *data, size_t values_at[COLUMNS], const struct test_event *events,
                       size_t count)
{
    int64_t *times = (void *)(data + values_at[TIME]);
    int64_t *numbers = (void *)(data + values_at[NUMBER]);
    for (size_t i = 0; i < count; i++) {
        if (i % 8 == 0)
            data[i / 8] = 0;
        data[i / 8] |= (uint8_t)((events[i].has_no_time ? 0 : 1) << i % 8);
        times[i] = events[i].time;
        numbers[i] = events[i].number;
    }
}

struct fletch_batch *events_batch(struct fletch_buffer_cache *cache, struct fletch_schema *schema,
                                  const struct test_event *events, size_t count)
{
    size_t bits = fletch_round_up(count / 8 + 1, 64);
    size_t values_at[COLUMNS] = {bits, bits + fletch_round_up(count * 8, 64)};
    struct fletch_buffer *buffer;
    struct fletch_batch *batch;
    assert_ok(fletch_buffer_allocate(cache, bits + 2 * fletch_round_up(count * 8, 64) + 64, NULL,
                                     &buffer, NULL));
    uint8_t *data = fletch_buffer_mutable_data(buffer);
    write_rows(data, values_at, events, count);
    const struct fletch_batch_node nodes[COLUMNS] = {
        {.length = (int64_t)count, .null_count = -1},
        {.length = (int64_t)count},
    };
    const struct fletch_batch_span spans[2 * COLUMNS] = {
        {data, bits},
        {data + values_at[TIME], count * 8},
        {NULL, 0},
        {data + values_at[NUMBER], count * 8},
    };
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = (int64_t)count,
        .nodes = nodes,
        .spans = spans,
        .owners = &buffer,
        .node_count = COLUMNS,
        .span_count = 2 * COLUMNS,
        .owner_count = 1,
    };
    assert_ok(fletch_batch_create(cache, NULL, &parts, &batch, NULL));
    return batch;
}

struct test_event events_read(const struct fletch_batch *batch, int64_t row)
{
    struct fletch_column time = fletch_column_of(batch, TIME);
    struct fletch_column number = fletch_column_of(batch, NUMBER);
    return (struct test_event){
        .time = ((const int64_t *)(const void *)time.spans[1].data)[time.node->offset + row],
        .has_no_time = !fletch_column_is_valid(&time, row),
        .number = ((const int64_t *)(const void *)number.spans[1].data)[number.node->offset + row],
    };
}
