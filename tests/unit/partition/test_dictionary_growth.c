#include <fletching/fletching.h>

#include <stdio.h>
#include <string.h>

#include "arrow/schema.h"
#include "memory/batch.h"

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Dictionaries that grow by a value or two with each batch: frames keep the values that they were
 * made with, and what is there already is moved now and then only. */

enum { VALUES = 300, ROWS = 5, MOVES_MOST = 50 };

static struct test_pool pool;

static const char *const types[] = {
    "u",
    "b",
    "S",
    "+l(item=u)",
    "vu",
    "+s(a=u b=b c=vz)",
    "+vl(item=+l(item=i))",
    "+ud:5,0(a=l b=u)",
    "+us:5,0(a=l b=u)",
    "+r(run_ends=i values=+l(item=s))",
    "+w:2(item=+s(a=b b=u))",
    "+s(a=i<u> b=l)",
};

static struct fletch_partition_writer *writer_new(struct fletch_schema *schema)
{
    struct fletch_partitioner_options options = {.struct_size = sizeof options,
                                                 .method = FLETCH_PARTITION_ROUND_ROBIN,
                                                 .partition_count = 1};
    struct fletch_partition_writer_options writer_options = {.struct_size = sizeof writer_options,
                                                             .cache = pool.cache,
                                                             .account = pool.account,
                                                             .frame_bytes = 4096};
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_partition_writer *writer = NULL;
    assert_ok(fletch_partitioner_create(schema, &options, NULL, &partitioner, NULL));
    assert_ok(fletch_partition_writer_create(schema, partitioner, &writer_options, &writer, NULL));
    return writer;
}

/* Some rows of the first values, the last one of which is among them. */
static struct fletch_batch *rows_of(struct fletch_random *random, struct fletch_schema *schema,
                                    struct fletch_batch *values)
{
    struct fletch_buffer *owner = buffer_filled(&pool, ROWS * sizeof(int32_t), 0);
    for (size_t i = 0; i < ROWS; i++) {
        int32_t index = (int32_t)values->row_count - 1;
        if (i > 0)
            index = (int32_t)fletch_random_below(random, (uint32_t)values->row_count);
        memcpy(owner->data + i * sizeof index, &index, sizeof index);
    }
    struct fletch_batch_node node = {.length = ROWS};
    struct fletch_batch_span spans[2] = {{NULL, 0}, {owner->data, ROWS * sizeof(int32_t)}};
    struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(schema),
                                       .row_count = ROWS,
                                       .nodes = &node,
                                       .node_count = 1,
                                       .spans = spans,
                                       .span_count = 2,
                                       .owners = &owner,
                                       .owner_count = 1,
                                       .dictionaries = &values,
                                       .dictionary_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

struct growth {
    struct fletch_partition_writer *writer;
    struct fletch_batch *batches[VALUES];
    struct fletch_batch *frames[VALUES];
    size_t count;
    size_t moves; /* of the writer's dictionary */
    const uint8_t *place;
};

/* Where values lie, or their offsets: bitmaps are copied each time. */
static const uint8_t *place_of(const struct fletch_batch *values)
{
    for (uint32_t row = 0; row < values->node_count; row++) {
        const struct fletch_field *field = &values->schema->fields[row];
        for (uint32_t s = 0; s < field->span_count; s++) {
            const uint8_t kind = fletch_type_layout(&field->type)->spans[s];
            if (kind != FLETCH_SPAN_VALIDITY && kind != FLETCH_SPAN_BITS)
                return values->spans[field->first_span + s].data;
        }
    }
    return NULL;
}

static void push(struct growth *growth, struct fletch_batch *batch)
{
    struct fletch_partition_frame frame;
    assert_ok(fletch_partition_writer_push(growth->writer, batch, NULL));
    assert_ok(fletch_partition_writer_flush(growth->writer, NULL));
    assert_ok(fletch_partition_writer_next(growth->writer, &frame, NULL));
    const uint8_t *place = place_of(frame.batch->dictionaries[0]);
    growth->moves += place != growth->place;
    growth->place = place;
    growth->batches[growth->count] = batch;
    growth->frames[growth->count++] = frame.batch;
}

/* Frames are looked at when all have been made: what they refer to has not changed. */
static void end(struct growth *growth)
{
    struct fletch_error error = {.message = ""};
    for (size_t i = 0; i < growth->count; i++) {
        if (fletch_batch_validate(growth->frames[i], FLETCH_VALIDATION_FULL, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        assert_true(batches_equal(growth->frames[i], growth->batches[i]));
        fletch_batch_release(pool.cache, growth->frames[i]);
        fletch_batch_release(pool.cache, growth->batches[i]);
    }
    fletch_partition_writer_destroy(growth->writer);
}

static void grow(const char *type, bool is_shared, uint64_t seed)
{
    char words[80];
    snprintf(words, sizeof words, "x=i<%s>", type);
    struct fletch_schema *schema = schema_new(words);
    struct fletch_schema *value_schema = schema->dictionaries[0].values;
    struct fletch_random random = fletch_random_from_seed(seed);
    struct fletch_batch *values = random_batch(&random, pool.cache, value_schema, VALUES);
    static struct growth growth;
    growth = (struct growth){.writer = writer_new(schema)};
    for (int64_t count = 1; count <= VALUES;
         count += 1 + (int64_t)fletch_random_below(&random, 2)) {
        struct fletch_batch *first = batch_slice(pool.cache, values, 0, count);
        if (!is_shared) { /* in memory of its own, as a reader has it who knows no deltas */
            struct fletch_batch *copy = random_batch(&random, pool.cache, value_schema, count);
            fletch_batch_release(pool.cache, first);
            first = copy;
        }
        push(&growth, rows_of(&random, schema, first));
    }
    if (growth.moves > MOVES_MOST)
        fail_msg("%s: the values were moved %zu times in %zu batches", type, growth.moves,
                 growth.count);
    end(&growth);
    fletch_batch_release(pool.cache, values);
    fletch_schema_release(schema);
}

static void values_are_moved_now_and_then_only(void **state)
{
    (void)state;
    pool = test_pool_make();
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (uint64_t seed = 0; seed < 2; seed++)
            grow(types[i], true, 10 * i + seed);
    test_pool_end(&pool);
}

static void so_are_those_of_dictionaries_that_share_nothing(void **state)
{
    (void)state;
    pool = test_pool_make();
    for (size_t i = 3; i < sizeof types / sizeof types[0]; i += 2)
        grow(types[i], false, i);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_moved_now_and_then_only),
        cmocka_unit_test(so_are_those_of_dictionaries_that_share_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
