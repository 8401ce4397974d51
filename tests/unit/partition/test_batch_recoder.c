#include "partition/batch_recoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fletching/fletching.h>

#include "partition/hash_mix.h"

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Batches come to a writer as dictionaries where it has plain values, the other way round, and with
 * other indices; what comes out has the writer's schema and means the same. */

static const char *const formats[] = {
    "b", "c", "S", "i", "l",   "e",   "g",       "w:0",      "w:5", "d:19,3", "d:60,3,256",
    "u", "U", "z", "Z", "tdD", "ttu", "tsu:UTC", "d:9,2,32", "tin", "vu",     "vz",
};

/* What stands around the field's type. */
static const char *const wrappers[][2] = {
    {"x=", ""},
    {"x=+s(a=l y=", ")"},
    {"x=+l(item=", ")"},
    {"x=+L(item=+s(y=", " b=u))"},
    {"x=+m(entries=+s(key=u! value=", ")!)"},
    {"x=+w:3(item=+s(y=", " b=vu))"},
    {"x=+ud:4,1(a=", " b=l)"},
    {"x=+us:4,1(b=l a=", ")"},
};

/* Values with children, which are made plain row by row. */
static const char *const nested_formats[] = {
    "+l(item=u)",
    "+L(item=i)",
    "+m(entries=+s(key=u! value=+l(item=S))!)",
    "+vl(item=vu)",
    "+vL(item=b)",
    "+w:2(item=+s(c=b d=z))",
    "+w:0(item=u)",
    "+s(a=l b=+s(c=vu d=n) e=+l(item=+w:2(item=i)))",
    "+s()",
    "+s(a=+ud:5,0(c=l d=u) b=+us:2(e=vz))",
    "+s(a=+r(run_ends=s values=u) b=i<u> c=w:0)",
    "+r(run_ends=l values=+l(item=u))",
    "+l(item=+r(run_ends=i values=b))",
    "+l(item=i<+s(a=u)>)",
};

struct scene {
    struct test_pool pool;
    struct fletch_schema *schema; /* the writer's */
    struct fletch_schema *other;  /* the batches' */
    struct fletch_partition_writer *writer;
};

static struct fletch_schema *wrapped(const char *const wrapper[2], const char *type)
{
    char words[128];
    snprintf(words, sizeof words, "k=l %s%s%s end=u", wrapper[0], type, wrapper[1]);
    return schema_new(words);
}

static struct fletch_partition_writer *
writer_new(struct scene *scene, enum fletch_partition_method method, uint32_t partitions)
{
    static const uint32_t keys[] = {1};
    struct fletch_partitioner_options options = {
        .struct_size = sizeof options,
        .method = method,
        .partition_count = partitions,
        .key_columns = keys,
        .key_column_count = method == FLETCH_PARTITION_HASH || method == FLETCH_PARTITION_COLUMN,
    };
    struct fletch_partition_writer_options writer = {
        .struct_size = sizeof writer, .cache = scene->pool.cache, .account = scene->pool.account};
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_partition_writer *made = NULL;
    struct fletch_error error;
    if (fletch_partitioner_create(scene->schema, &options, NULL, &partitioner, &error) !=
            FLETCH_OK ||
        fletch_partition_writer_create(scene->schema, partitioner, &writer, &made, &error) !=
            FLETCH_OK)
        fail_msg("%s", error.message);
    return made;
}

static struct scene scene_new(struct fletch_schema *schema, struct fletch_schema *other)
{
    return (struct scene){.pool = test_pool_make(), .schema = schema, .other = other};
}

static void scene_end(struct scene *scene)
{
    fletch_schema_release(scene->schema);
    fletch_schema_release(scene->other);
    test_pool_end(&scene->pool);
}

static uint64_t key_sum(const struct fletch_batch *batch)
{
    static const uint32_t keys[] = {1};
    uint64_t *hashes = calloc((size_t)batch->row_count, sizeof *hashes);
    uint64_t sum = 0;
    fletch_hash_batch(batch, keys, 1, hashes);
    for (int64_t i = 0; i < batch->row_count; i++)
        sum += hashes[i];
    free(hashes);
    return sum;
}

/* Three slices of random batches go through one writer and come out in order. */
static void pass(struct fletch_schema *schema, struct fletch_schema *other, uint64_t seed)
{
    enum { BATCHES = 3, ROWS = 61 };
    struct scene scene = scene_new(schema, other);
    struct fletch_random random = fletch_random_from_seed(seed);
    struct fletch_batch *batches[BATCHES];
    struct fletch_error error = {.message = ""};
    uint64_t sum = 0;
    scene.writer = writer_new(&scene, FLETCH_PARTITION_HASH, 1);
    for (size_t i = 0; i < BATCHES; i++) {
        struct fletch_batch *whole = random_batch(&random, scene.pool.cache, other, 100);
        batches[i] = batch_slice(scene.pool.cache, whole, i == 1 ? 0 : 13, ROWS);
        fletch_batch_release(scene.pool.cache, whole);
        sum += key_sum(batches[i]);
        if (fletch_partition_writer_push(scene.writer, batches[i], &error) != FLETCH_OK)
            fail_msg("%s", error.message);
    }
    assert_ok(fletch_partition_writer_flush(scene.writer, NULL));
    int64_t rows = 0;
    while (rows < BATCHES * ROWS) {
        struct fletch_partition_frame frame;
        assert_ok(fletch_partition_writer_next(scene.writer, &frame, NULL));
        assert_ptr_equal(fletch_batch_schema(frame.batch), schema);
        if (fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        for (int64_t i = 0; i < frame.batch->row_count; i++, rows++)
            assert_true(batch_rows_equal(frame.batch, i, batches[rows / ROWS], rows % ROWS, 1));
        sum -= frame.key_sum;
        fletch_batch_release(scene.pool.cache, frame.batch);
    }
    assert_true(sum == 0);
    for (size_t i = 0; i < BATCHES; i++)
        fletch_batch_release(scene.pool.cache, batches[i]);
    fletch_partition_writer_destroy(scene.writer);
    scene_end(&scene);
}

static void every_type_is_recoded_wherever_it_lies(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++)
        for (size_t w = 0; w < sizeof wrappers / sizeof wrappers[0]; w++) {
            char small[40];
            char large[40];
            snprintf(small, sizeof small, "s<%s>", formats[f]);
            snprintf(large, sizeof large, "L<%s>", formats[f]);
            const char *const pairs[][2] = {
                {formats[f], small}, {large, formats[f]}, {small, large}, {large, small}};
            for (size_t p = 0; p < 4; p++)
                pass(wrapped(wrappers[w], pairs[p][0]), wrapped(wrappers[w], pairs[p][1]),
                     1000 * f + 10 * w + p);
        }
    for (size_t f = 0; f < sizeof nested_formats / sizeof nested_formats[0]; f++)
        for (size_t w = 0; w < sizeof wrappers / sizeof wrappers[0]; w++) {
            char encoded[80];
            snprintf(encoded, sizeof encoded, "s<%s>", nested_formats[f]);
            pass(wrapped(wrappers[w], nested_formats[f]), wrapped(wrappers[w], encoded),
                 2000 * f + w);
            pass(wrapped(wrappers[w], encoded), wrapped(wrappers[w], nested_formats[f]),
                 2000 * f + w + 20);
        }
    pass(schema_new("k=l x=n"), schema_new("k=l x=c<n>"), 1);
    pass(schema_new("k=l x=L<<u>"), schema_new("k=l x=s<u>"), 2);
}

/* Views, values with children, and fields below whatever has children. */
static void nested_fields_are_recoded(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"k=l x=i<vu> v=vu", "k=l x=vu v=vu"},
        {"k=l x=s<vz> v=vu", "k=l x=L<vz> v=vu"},
        {"k=l x=i<+l(item=vu)> v=vz", "k=l x=+l(item=vu) v=vz"},
        {"k=l x=i<+s(a=s<u> b=vu)> v=vu y=u", "k=l x=+s(a=s<u> b=vu) v=vu y=i<u>"},
        {"k=l x=i<+s(a=s<u> b=l)>", "k=l x=s<+s(a=u b=l)>"},
        {"k=l x=i<+s(a=u b=vu)>", "k=l x=s<+s(a=s<u> b=vu)>"},
        {"k=l x=i<+ud:5,0(a=l b=u)>", "k=l x=+ud:5,0(a=l b=u)"},
        {"k=l x=i<+r(run_ends=i values=u)>", "k=l x=+r(run_ends=i values=u)"},
        {"k=l x=+w:2(item=u)", "k=l x=+w:2(item=s<u>)"},
        {"k=l x=+w:2(item=s<u>)", "k=l x=+w:2(item=u)"},
        {"k=l x=+us:3(a=s<u>)", "k=l x=+us:3(a=u)"},
        {"k=l x=+us:3(a=l)", "k=l x=+us:3(a=s<l>)"},
        {"k=l x=+ud:3,9(a=s<u> b=u)", "k=l x=+ud:3,9(a=u b=s<u>)"},
        {"k=l x=+vl(item=s<u>)", "k=l x=+vl(item=u)"},
        {"k=l x=+r(run_ends=i values=s<u>)", "k=l x=+r(run_ends=i values=u)"},
        {"k=l x=i<+s(a=s<u>)>", "k=l x=+s(a=u)"},
        {"k=l x=i<+s(a=u b=i<vu>)>", "k=l x=+s(a=s<u> b=vu)"},
        {"k=l x=i<+l(item=L<+s(a=u)>)>", "k=l x=+l(item=+s(a=s<u>))"},
        {"k=l x=i<+s(a=s<u>)>", "k=l x=i<+s(a=u)>"},
        {"k=l x=+s(a=u)", "k=l x=i<+s(a=s<u>)>"},
        {"k=l x=+s(a=u b=s<vu>)", "k=l x=i<+s(a=s<u> b=vu)>"},
        {"k=l x=+l(item=+l(item=+s(a=vu b=u)))",
         "k=l x=s<+l(item=i<+l(item=s<+s(a=i<vu> b=u)>)>)>"},
        {"k=l x=s<+l(item=i<+l(item=s<+s(a=i<vu> b=u)>)>)>",
         "k=l x=+l(item=+l(item=+s(a=vu b=u)))"},
        {"k=l x=+s(a=+l(item=u) b=l<vu>) y=vu z=+s(p=u)",
         "k=l x=+s(a=i<+l(item=u)> b=vu) y=i<vu> z=s<+s(p=i<u>)>"},
        {"k=l x=+s(a=+s(b=+s(c=u)))", "k=l x=+s(a=i<+s(b=s<+s(c=l<u>)>)>)"},
        {"k=l x=+us:3,4(a=+l(item=u) b=vu)", "k=l x=+us:3,4(a=s<+l(item=s<u>)> b=s<vu>)"},
    };
    for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++)
        for (uint64_t seed = 0; seed < 4; seed++)
            pass(schema_new(pairs[p][0]), schema_new(pairs[p][1]), 100 * seed + p);
}

static void broadcast_recodes_too(void **state)
{
    (void)state;
    struct scene scene = scene_new(schema_new("a=u b=s<u>"), schema_new("a=c<u> b=u"));
    struct fletch_random random = fletch_random_from_seed(5);
    struct fletch_batch *batch = random_batch(&random, scene.pool.cache, scene.other, 50);
    scene.writer = writer_new(&scene, FLETCH_PARTITION_BROADCAST, 2);
    assert_ok(fletch_partition_writer_push(scene.writer, batch, NULL));
    for (uint32_t p = 0; p < 2; p++) {
        struct fletch_partition_frame frame;
        assert_ok(fletch_partition_writer_next(scene.writer, &frame, NULL));
        assert_ptr_equal(fletch_batch_schema(frame.batch), scene.schema);
        assert_ok(fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, NULL));
        assert_true(batches_equal(frame.batch, batch));
        fletch_batch_release(scene.pool.cache, frame.batch);
    }
    fletch_batch_release(scene.pool.cache, batch);
    fletch_partition_writer_destroy(scene.writer);
    scene_end(&scene);
}

/* Encodings that differ below a dictionary's values only. */
static void broadcast_recodes_what_lies_below_dictionaries(void **state)
{
    (void)state;
    struct scene scene =
        scene_new(schema_new("a=i<+s(x=u y=vu)>"), schema_new("a=i<+s(x=s<u> y=vu)>"));
    struct fletch_random random = fletch_random_from_seed(8);
    struct fletch_batch *batch = random_batch(&random, scene.pool.cache, scene.other, 50);
    struct fletch_partition_frame frame;
    scene.writer = writer_new(&scene, FLETCH_PARTITION_BROADCAST, 1);
    assert_ok(fletch_partition_writer_push(scene.writer, batch, NULL));
    assert_ok(fletch_partition_writer_next(scene.writer, &frame, NULL));
    assert_ok(fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, NULL));
    assert_true(batches_equal(frame.batch, batch));
    fletch_batch_release(scene.pool.cache, frame.batch);
    fletch_batch_release(scene.pool.cache, batch);
    fletch_partition_writer_destroy(scene.writer);
    scene_end(&scene);
}

/* A batch of one column of int32 indices, all `index`, into `values`. */
static struct fletch_batch *indices_made(struct scene *scene, int64_t rows, int32_t index,
                                         struct fletch_batch *values)
{
    struct fletch_buffer *indices = buffer_filled(&scene->pool, (size_t)rows * 4, 0);
    for (int64_t i = 0; i < rows; i++)
        memcpy(indices->data + 4 * i, &index, sizeof index);
    struct fletch_batch_node node = {.length = rows};
    struct fletch_batch_span spans[2] = {{NULL, 0}, {indices->data, (size_t)rows * 4}};
    struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(scene->other),
                                       .row_count = rows,
                                       .nodes = &node,
                                       .node_count = 1,
                                       .spans = spans,
                                       .span_count = 2,
                                       .owners = &indices,
                                       .owner_count = 1,
                                       .dictionaries = &values,
                                       .dictionary_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(scene->pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

/* A dictionary of one string. */
static struct fletch_batch *string_made(struct scene *scene, size_t length)
{
    struct fletch_buffer *owners[2] = {buffer_filled(&scene->pool, 8, 0),
                                       buffer_filled(&scene->pool, length, 'x')};
    int32_t end = (int32_t)length;
    memcpy(owners[0]->data + 4, &end, sizeof end);
    struct fletch_batch_node node = {.length = 1};
    struct fletch_batch_span spans[3] = {
        {NULL, 0}, {owners[0]->data, 8}, {owners[1]->data, length}};
    struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(scene->other->dictionaries[0].values),
        .row_count = 1,
        .nodes = &node,
        .node_count = 1,
        .spans = spans,
        .span_count = 3,
        .owners = owners,
        .owner_count = 2};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(scene->pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

/* A dictionary of one list of so many nulls. */
static struct fletch_batch *list_made(struct scene *scene, int32_t length)
{
    struct fletch_buffer *offsets = buffer_filled(&scene->pool, 8, 0);
    memcpy(offsets->data + 4, &length, sizeof length);
    struct fletch_batch_node nodes[2] = {{.length = 1}, {.length = length, .null_count = length}};
    struct fletch_batch_span spans[2] = {{NULL, 0}, {offsets->data, 8}};
    struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(scene->other->dictionaries[0].values),
        .row_count = 1,
        .nodes = nodes,
        .node_count = 2,
        .spans = spans,
        .span_count = 2,
        .owners = &offsets,
        .owner_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(scene->pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

static void refuse(struct scene *scene, struct fletch_batch *batch, enum fletch_status expected,
                   const char *message)
{
    struct fletch_error error = {.message = ""};
    struct fletch_partition_frame frame;
    scene->writer = writer_new(scene, FLETCH_PARTITION_ROUND_ROBIN, 2);
    assert_int_equal(fletch_partition_writer_push(scene->writer, batch, &error), expected);
    assert_contains(error.message, message);
    /* Nothing of it is kept. */
    assert_ok(fletch_partition_writer_resume(scene->writer, NULL));
    assert_ok(fletch_partition_writer_flush(scene->writer, NULL));
    assert_ok(fletch_partition_writer_next(scene->writer, &frame, NULL));
    assert_null(frame.batch);
    fletch_partition_writer_destroy(scene->writer);
    fletch_batch_release(scene->pool.cache, batch);
}

static void what_cannot_be_recoded_is_refused_by_name(void **state)
{
    (void)state;
    struct scene scene = scene_new(schema_new("name=u"), schema_new("name=i<u>"));
    refuse(&scene, indices_made(&scene, 3, 1, string_made(&scene, 4)), FLETCH_INVALID_ARGUMENT,
           "field 'name': element 0 has index 1, and the dictionary has 1 values");
    refuse(&scene, indices_made(&scene, 3, 0, NULL), FLETCH_INVALID_ARGUMENT,
           "the dictionary has 0 values");
    refuse(&scene, indices_made(&scene, 2100, 0, string_made(&scene, 1 << 20)), FLETCH_OUT_OF_RANGE,
           "field 'name': 2100 strings of 2202009600 bytes");
    scene_end(&scene);

    struct fletch_random random = fletch_random_from_seed(5);
    scene = scene_new(schema_new("name=+l(item=n)"), schema_new("name=i<+l(item=n)>"));
    refuse(&scene, indices_made(&scene, 3, 0, list_made(&scene, 1 << 30)), FLETCH_OUT_OF_RANGE,
           "3 values of a dictionary are too much for a batch, once they are plain");
    scene_end(&scene);

    static const char *const unions[][2] = {
        {"name=+ud:5(a=l)", "name=i<+ud:5(a=l)>"},
        {"name=+r(run_ends=i values=+us:5(a=l))", "name=i<+r(run_ends=i values=+us:5(a=l))>"},
    };
    for (size_t i = 0; i < 2; i++) {
        scene = scene_new(schema_new(unions[i][0]), schema_new(unions[i][1]));
        refuse(&scene, random_batch(&random, scene.pool.cache, scene.other, 100),
               FLETCH_INVALID_ARGUMENT, "have no null of their own");
        scene_end(&scene);
    }

    scene = scene_new(schema_new("name=c<i>"), schema_new("name=i"));
    random = fletch_random_from_seed(6);
    refuse(&scene, random_batch(&random, scene.pool.cache, scene.other, 1000), FLETCH_OUT_OF_RANGE,
           "a wider type is needed");
    scene_end(&scene);
}

/* A dictionary that never came, since all is null: nothing can be gathered from it. */
static void nulls_of_no_dictionary_become_plain(void **state)
{
    (void)state;
    static const char *const types[] = {"vu", "+s(a=i<u> b=+ud:7(c=u) d=+w:3(item=b))",
                                        "+vl(item=+r(run_ends=s values=vz))",
                                        "+r(run_ends=s values=+l(item=l))"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char words[2][80];
        snprintf(words[0], sizeof words[0], "name=%s", types[i]);
        snprintf(words[1], sizeof words[1], "name=i<%s>", types[i]);
        struct scene scene = scene_new(schema_new(words[0]), schema_new(words[1]));
        struct fletch_batch *batch = indices_made(&scene, 70, 0, NULL);
        struct fletch_buffer *nulls = buffer_filled(&scene.pool, 16, 0);
        batch->spans[0] = (struct fletch_batch_span){nulls->data, 16};
        batch->nodes[0].null_count = 70;
        struct fletch_partition_frame frame;
        scene.writer = writer_new(&scene, FLETCH_PARTITION_BROADCAST, 1);
        assert_ok(fletch_partition_writer_push(scene.writer, batch, NULL));
        assert_ok(fletch_partition_writer_next(scene.writer, &frame, NULL));
        assert_ok(fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, NULL));
        assert_true(batches_equal(frame.batch, batch));
        fletch_batch_release(scene.pool.cache, frame.batch);
        fletch_batch_release(scene.pool.cache, batch);
        fletch_buffer_release(scene.pool.cache, nulls);
        fletch_partition_writer_destroy(scene.writer);
        scene_end(&scene);
    }
}

/* Who hashes what was not validated reads nothing that is not there. */
static void an_index_outside_its_dictionary_is_hashed_as_null(void **state)
{
    (void)state;
    static const uint32_t key = 0;
    struct scene scene = scene_new(schema_new("name=u"), schema_new("name=i<u>"));
    uint64_t hashes[3][2];
    struct fletch_batch *batches[3] = {indices_made(&scene, 2, 1, string_made(&scene, 4)),
                                       indices_made(&scene, 2, -1, string_made(&scene, 4)),
                                       indices_made(&scene, 2, 0, NULL)};
    for (size_t i = 0; i < 3; i++) {
        fletch_hash_batch(batches[i], &key, 1, hashes[i]);
        assert_true(hashes[i][0] == fletch_hash_step(FLETCH_HASH_ROW, FLETCH_HASH_NULL));
        fletch_batch_release(scene.pool.cache, batches[i]);
    }
    scene_end(&scene);
}

/* The same for ranges and for Spark's hash: such rows go where those go that are null. */
static void an_index_outside_its_dictionary_goes_where_nulls_go(void **state)
{
    (void)state;
    static const uint32_t key = 0;
    static const struct fletch_row_range rows = {0, 2};
    struct scene scene = scene_new(schema_new("name=u"), schema_new("name=i<u>"));
    struct fletch_batch *bound = string_made(&scene, 4);
    struct fletch_batch *batches[3] = {indices_made(&scene, 2, 1 << 30, string_made(&scene, 4)),
                                       indices_made(&scene, 2, -1, string_made(&scene, 4)),
                                       indices_made(&scene, 2, 0, NULL)};
    struct fletch_partitioner_options options = {
        .struct_size = sizeof options, .key_columns = &key, .key_column_count = 1};
    for (int i = 0; i < 6; i++) {
        bool is_range = i < 3;
        struct fletch_partitioner *partitioner = NULL;
        uint16_t partitions[2];
        options.method = is_range ? FLETCH_PARTITION_RANGE : FLETCH_PARTITION_SPARK_MURMUR3;
        options.partition_count = is_range ? 2 : 100;
        options.range_bounds = is_range ? bound : NULL;
        assert_ok(fletch_partitioner_create(scene.other, &options, NULL, &partitioner, NULL));
        assert_ok(fletch_partitioner_assign(partitioner, batches[i % 3], rows, partitions, NULL));
        assert_int_equal(partitions[0], is_range ? 1 : 42); /* Spark's seed is the hash of a null */
        assert_int_equal(partitions[1], partitions[0]);
        fletch_partitioner_destroy(partitioner);
    }
    for (size_t i = 0; i < 3; i++)
        fletch_batch_release(scene.pool.cache, batches[i]);
    fletch_batch_release(scene.pool.cache, bound);
    scene_end(&scene);
}

static void a_recoded_column_may_say_where_rows_go(void **state)
{
    (void)state;
    struct scene scene = scene_new(schema_new("a=l p=i"), schema_new("a=l p=c<i>"));
    struct fletch_random random = fletch_random_from_seed(6);
    struct fletch_batch *batch = random_batch(&random, scene.pool.cache, scene.other, 40);
    struct fletch_error error;
    scene.writer = writer_new(&scene, FLETCH_PARTITION_COLUMN, 2);
    assert_int_equal(fletch_partition_writer_push(scene.writer, batch, &error),
                     FLETCH_OUT_OF_RANGE);
    assert_contains(error.message, "partition column 'p'");
    fletch_batch_release(scene.pool.cache, batch);
    fletch_partition_writer_destroy(scene.writer);
    scene_end(&scene);
}

/* Until there is room the batch waits, however early it was stopped. */
static void a_full_budget_stops_the_recoding_which_goes_on_later(void **state)
{
    (void)state;
    struct scene scene = scene_new(schema_new("a=u b=s<u>"), schema_new("a=c<u> b=u"));
    struct fletch_random random = fletch_random_from_seed(7);
    struct fletch_batch *batch = random_batch(&random, scene.pool.cache, scene.other, 500);
    struct fletch_account *outer = scene.pool.account;
    scene.pool.account = account_make(outer, "narrow", 4 << 20, 0);
    scene.writer = writer_new(&scene, FLETCH_PARTITION_ROUND_ROBIN, 1);
    assert_ok(fletch_account_reserve(scene.pool.account, 4 << 20, 0, NULL));
    struct fletch_error error;
    assert_int_equal(fletch_partition_writer_push(scene.writer, batch, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "narrow");
    assert_int_equal(fletch_partition_writer_push(scene.writer, batch, NULL),
                     FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_partition_writer_resume(scene.writer, NULL), FLETCH_RESOURCE_EXHAUSTED);
    fletch_account_release(scene.pool.account, 4 << 20);
    assert_ok(fletch_partition_writer_resume(scene.writer, NULL));
    assert_ok(fletch_partition_writer_flush(scene.writer, NULL));
    struct fletch_partition_frame frame;
    assert_ok(fletch_partition_writer_next(scene.writer, &frame, NULL));
    assert_true(batches_equal(frame.batch, batch));
    fletch_batch_release(scene.pool.cache, frame.batch);
    fletch_batch_release(scene.pool.cache, batch);
    fletch_partition_writer_destroy(scene.writer);
    fletch_account_close(scene.pool.account);
    scene.pool.account = outer;
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_recoded_wherever_it_lies),
        cmocka_unit_test(nested_fields_are_recoded),
        cmocka_unit_test(broadcast_recodes_too),
        cmocka_unit_test(broadcast_recodes_what_lies_below_dictionaries),
        cmocka_unit_test(nulls_of_no_dictionary_become_plain),
        cmocka_unit_test(what_cannot_be_recoded_is_refused_by_name),
        cmocka_unit_test(an_index_outside_its_dictionary_is_hashed_as_null),
        cmocka_unit_test(an_index_outside_its_dictionary_goes_where_nulls_go),
        cmocka_unit_test(a_recoded_column_may_say_where_rows_go),
        cmocka_unit_test(a_full_budget_stops_the_recoding_which_goes_on_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
