#include "support/spilling.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/random_batches.h"

enum fletch_spill_codec codec_or_plain(enum fletch_spill_codec codec)
{
    return fletch_spill_codec_check(codec, NULL) == FLETCH_OK ? codec : FLETCH_SPILL_PLAIN;
}

struct fletch_spill_segment *segment_make(struct test_disk *disk, struct test_pool *pool,
                                          struct fletch_schema *schema,
                                          enum fletch_spill_codec codec)
{
    const struct fletch_spill_options options = {
        .directory = disk->path,
        .schema = schema,
        .cache = pool->cache,
        .account = pool->account,
        .codec = codec_or_plain(codec),
        .io = &disk->io,
    };
    struct fletch_spill_segment *segment = NULL;
    struct fletch_error error = {0};
    if (fletch_spill_segment_create(&options, &segment, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return segment;
}

struct fletch_spill_location frame_append(struct fletch_spill_segment *segment,
                                          struct fletch_batch *batch)
{
    struct fletch_spill_location location = {0};
    struct fletch_error error = {0};
    if (fletch_spill_segment_append(segment, batch, &location, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return location;
}

static void expect_metadata(const struct fletch_batch *batch, const struct fletch_batch *expected)
{
    const struct fletch_buffer *found = fletch_batch_metadata(batch);
    const struct fletch_buffer *wanted = fletch_batch_metadata(expected);
    assert_true((found == NULL) == (wanted == NULL));
    if (found == NULL)
        return;
    assert_int_equal(fletch_buffer_bytes(found), fletch_buffer_bytes(wanted));
    assert_memory_equal(fletch_buffer_data(found), fletch_buffer_data(wanted),
                        fletch_buffer_bytes(found));
}

void frame_expect(struct test_pool *pool, const struct fletch_spill_location *location,
                  const struct fletch_batch *expected)
{
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {0};
    if (fletch_spill_read(location, pool->cache, pool->account, &batch, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
    assert_int_equal(batch->row_count, expected->row_count);
    assert_true(batches_equal(expected, batch));
    expect_metadata(batch, expected);
    fletch_batch_release(pool->cache, batch);
}

struct fletch_spill_statistics segment_statistics(const struct fletch_spill_segment *segment)
{
    struct fletch_spill_statistics statistics;
    fletch_spill_segment_statistics(segment, &statistics);
    return statistics;
}

struct fletch_batch *batch_with_metadata(struct test_pool *pool, const struct fletch_batch *batch,
                                         const char *metadata)
{
    struct fletch_batch *made = NULL;
    struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(batch->schema),
        .row_count = batch->row_count,
        .nodes = batch->nodes,
        .spans = batch->spans,
        .owners = batch->owners,
        .dictionaries = batch->dictionaries,
        .node_count = batch->node_count,
        .span_count = batch->span_count,
        .owner_count = batch->owner_count,
        .dictionary_count = batch->dictionary_count,
    };
    for (uint32_t i = 0; i < batch->owner_count; i++)
        fletch_buffer_acquire(batch->owners[i]);
    for (uint32_t i = 0; i < batch->dictionary_count; i++)
        if (batch->dictionaries[i] != NULL)
            fletch_batch_acquire(batch->dictionaries[i]);
    assert_ok(fletch_buffer_allocate(pool->cache, strlen(metadata), NULL, &parts.metadata, NULL));
    memcpy(fletch_buffer_mutable_data(parts.metadata), metadata, strlen(metadata));
    assert_ok(fletch_batch_create(pool->cache, NULL, &parts, &made, NULL));
    return made;
}

struct fletch_batch *batch_of_numbers(struct test_pool *pool, struct fletch_schema *schema,
                                      int64_t rows, int64_t value)
{
    struct fletch_buffer *buffer = NULL;
    struct fletch_batch *batch = NULL;
    size_t bytes = (size_t)rows * sizeof(int64_t);
    assert_ok(fletch_buffer_allocate(pool->cache, bytes, NULL, &buffer, NULL));
    int64_t *numbers = (void *)fletch_buffer_mutable_data(buffer);
    for (int64_t i = 0; i < rows; i++)
        numbers[i] = value + i;
    const struct fletch_batch_node node = {.length = rows};
    const struct fletch_batch_span spans[2] = {{NULL, 0}, {(const uint8_t *)numbers, bytes}};
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = rows,
        .nodes = &node,
        .spans = spans,
        .owners = &buffer,
        .node_count = 1,
        .span_count = 2,
        .owner_count = 1,
    };
    assert_ok(fletch_batch_create(pool->cache, NULL, &parts, &batch, NULL));
    return batch;
}
