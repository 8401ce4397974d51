#include <fletching/fletching.h>

#include <string.h>

#include "arrow/column.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"

/* Structures of the C data interface of every layout, each number and each pointer of which is
 * wrong in turn: what import can see it refuses, leaves alone, and charges to nobody. */

enum { ARRAYS_MOST = 256, ROWS = 20 };

struct source {
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_batch *batch;
    struct ArrowArray root;
    struct ArrowArray *arrays[ARRAYS_MOST]; /* all below the root, and that */
    size_t count;
    uint64_t used_bytes; /* with nothing imported */
};

static void collect(struct source *source, struct ArrowArray *array)
{
    assert_true(source->count < ARRAYS_MOST);
    source->arrays[source->count++] = array;
    for (int64_t i = 0; i < array->n_children; i++)
        collect(source, array->children[i]);
    if (array->dictionary != NULL)
        collect(source, array->dictionary);
}

static void source_make(struct source *source)
{
    struct fletch_random random = fletch_random_from_seed(12);
    *source = (struct source){.pool = test_pool_make(), .schema = schema_of_every_layout()};
    source->batch = random_batch(&random, source->pool.cache, source->schema, ROWS);
    assert_ok(fletch_batch_export(source->batch, source->pool.cache, &source->root, NULL));
    collect(source, &source->root);
    source->used_bytes = account_used_bytes(source->pool.account);
}

static enum fletch_status take(struct source *source, struct fletch_batch **out_batch,
                               struct fletch_error *error)
{
    const struct fletch_import_options options = {.struct_size = sizeof options,
                                                  .cache = source->pool.cache,
                                                  .account = source->pool.account};
    return fletch_batch_import(&source->root, source->schema, &options, out_batch, error);
}

/* Put right again, it is taken after all. */
static void source_end(struct source *source)
{
    struct fletch_batch *batch = NULL;
    assert_ok(take(source, &batch, NULL));
    assert_null(source->root.release);
    assert_true(batches_equal(source->batch, batch));
    fletch_batch_release(source->pool.cache, batch);
    fletch_batch_release(source->pool.cache, source->batch);
    fletch_schema_release(source->schema);
    test_pool_end(&source->pool);
}

static void refused(struct source *source, size_t index, const char *what)
{
    const struct ArrowArray before = source->root;
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.message = "none"};
    const enum fletch_status status = take(source, &batch, &error);
    if (status != FLETCH_INVALID_ARGUMENT || strlen(error.message) < 16)
        fail_msg("array %zu, %s: %s", index, what, error.message);
    assert_memory_equal(&source->root, &before, sizeof before);
    assert_int_equal(account_used_bytes(source->pool.account), source->used_bytes);
}

/* ---- numbers ---- */

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    {"length", offsetof(struct ArrowArray, length)},
    {"null count", offsetof(struct ArrowArray, null_count)},
    {"offset", offsetof(struct ArrowArray, offset)},
    {"buffers", offsetof(struct ArrowArray, n_buffers)},
    {"children", offsetof(struct ArrowArray, n_children)},
};
static const int64_t extremes[] = {-1, -2, INT64_MIN, INT64_MAX, FLETCH_ELEMENTS_MAX + 1};

static void spoil(struct source *source, size_t index, size_t which)
{
    char *array = (char *)source->arrays[index];
    int64_t *number = (int64_t *)(void *)(array + numbers[which].offset);
    const int64_t before = *number;
    for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
        *number = extremes[i];
        /* That one means: not counted. */
        if (number != &source->arrays[index]->null_count || extremes[i] != -1)
            refused(source, index, numbers[which].name);
    }
    *number = before;
}

static void no_number_may_be_extreme(void **state)
{
    (void)state;
    struct source source;
    source_make(&source);
    for (size_t i = 0; i < source.count; i++)
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
            spoil(&source, i, k);
    source_end(&source);
}

/* ---- pointers ---- */

static void lose(struct source *source, size_t index, void *pointer, const char *what)
{
    void *before;
    memcpy(&before, pointer, sizeof before);
    memset(pointer, 0, sizeof before);
    refused(source, index, what);
    memcpy(pointer, &before, sizeof before);
}

static void no_pointer_may_be_missing(void **state)
{
    (void)state;
    struct source source;
    source_make(&source);
    for (size_t i = 0; i < source.count; i++) {
        struct ArrowArray *array = source.arrays[i];
        lose(&source, i, &array->release, "no release");
        if (array->n_buffers > 0)
            lose(&source, i, &array->buffers, "no buffers");
        if (array->n_children > 0)
            lose(&source, i, &array->children, "no children");
        for (int64_t k = 0; k < array->n_children; k++)
            lose(&source, i, &array->children[k], "no child");
        if (array->dictionary != NULL)
            lose(&source, i, &array->dictionary, "no dictionary");
    }
    source_end(&source);
}

static void no_array_may_have_a_dictionary_too_many(void **state)
{
    (void)state;
    struct source source;
    source_make(&source);
    for (size_t i = 0; i < source.count; i++) {
        struct ArrowArray *array = source.arrays[i];
        if (array->dictionary != NULL)
            continue;
        array->dictionary = array;
        refused(&source, i, "its own dictionary");
        array->dictionary = NULL;
    }
    source_end(&source);
}

/* ---- formats ---- */

static void no_operation(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static const char *const formats[] = {"",
                                      "+",
                                      "+v",
                                      "+vx",
                                      "+x",
                                      "v",
                                      "vx",
                                      "ll",
                                      "l ",
                                      " l",
                                      "\xff",
                                      "\xc3\xa4",
                                      "w",
                                      "w:",
                                      "w:-1",
                                      "w:1x",
                                      "w: 1",
                                      "w:99999999999",
                                      "w:+1",
                                      "w:0x10",
                                      "d",
                                      "d:",
                                      "d:5",
                                      "d:5,",
                                      "d:,2",
                                      "d:0,0",
                                      "d:39,0",
                                      "d:77,0,256",
                                      "d:10,0,32",
                                      "d:5,2,127",
                                      "d:5,2,",
                                      "d:5,2,128,",
                                      "d:5;2",
                                      "+w",
                                      "+w:",
                                      "+w:-1",
                                      "+w:x",
                                      "+w:2147483648",
                                      "+ud",
                                      "+us",
                                      "+ud:0,0",
                                      "+ud:128",
                                      "+us:-1",
                                      "+us:,",
                                      "+us:1,",
                                      "+ud:0 1",
                                      "+ud:99999999999999999999",
                                      "t",
                                      "ts",
                                      "tss",
                                      "tsx:",
                                      "ts:",
                                      "tt",
                                      "ttx",
                                      "tts ",
                                      "td",
                                      "tdX",
                                      "ti",
                                      "tiX",
                                      "tD",
                                      "tDx",
                                      "tDss"};

static void formats_are_read_to_their_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct ArrowSchema child = {.format = formats[i], .name = "a", .release = no_operation};
        struct ArrowSchema *children[] = {&child};
        struct ArrowSchema root = {
            .format = "+s", .n_children = 1, .children = children, .release = no_operation};
        struct fletch_schema *schema = NULL;
        struct fletch_error error = {.message = ""};
        if (fletch_schema_import(&root, NULL, &schema, &error) != FLETCH_INVALID_ARGUMENT)
            fail_msg("format '%s' is taken", formats[i]);
        assert_non_null(root.release);
        assert_non_null(strstr(error.message, "field 'a'"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_number_may_be_extreme),
        cmocka_unit_test(no_pointer_may_be_missing),
        cmocka_unit_test(no_array_may_have_a_dictionary_too_many),
        cmocka_unit_test(formats_are_read_to_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
