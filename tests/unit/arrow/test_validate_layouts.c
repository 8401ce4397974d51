#include "arrow/validate.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/schemas.h"

/* Views, list views, fixed-size lists, unions and runs that are not what they should be. */

static struct test_pool pool;

/* What a batch is made of: its memory is the test's. */
struct scene {
    const char *schema;
    int64_t rows;
    struct fletch_batch_node nodes[64];
    struct fletch_batch_span spans[192];
    uint32_t view_spans[3];
};

static struct fletch_batch *batch_of(const struct scene *scene)
{
    struct fletch_schema *schema = schema_new(scene->schema);
    const struct fletch_batch_parts parts = {
        .schema = schema,
        .row_count = scene->rows,
        .nodes = scene->nodes,
        .spans = scene->spans,
        .view_spans = scene->view_spans,
        .node_count = schema->field_count,
        .span_count =
            schema->view_count == 0 ? schema->span_count : scene->view_spans[schema->view_count],
        .view_count = schema->view_count,
    };
    struct fletch_batch *batch;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

/* Level `level` finds it and those below do not; 4: none does. */
static void found(const struct scene *scene, int level, const char *message)
{
    struct fletch_batch *batch = batch_of(scene);
    for (int i = FLETCH_VALIDATION_STRUCTURE; i <= FLETCH_VALIDATION_FULL; i++) {
        struct fletch_error error = {.message = ""};
        const enum fletch_status status =
            fletch_batch_validate(batch, (enum fletch_validation)i, &error);
        if (status != (i < level ? FLETCH_OK : FLETCH_INVALID_ARGUMENT))
            fail_msg("level %d of %d for '%s': %s", i, level, message, error.message);
        if (i >= level)
            assert_contains(error.message, message);
    }
    fletch_batch_release(pool.cache, batch);
}

static void good(const struct scene *scene)
{
    found(scene, FLETCH_VALIDATION_FULL + 1, "");
}

#define SPAN(array) \
    { \
        (const uint8_t *)(array), sizeof(array) \
    }
#define TEXT(string) \
    { \
        (const uint8_t *)(string), sizeof(string) - 1 \
    }

/* ---- views ---- */

static const char long_text[] = "zero, thirteen bytes!"; /* 21 */

static struct fletch_string_view long_view(int32_t bytes, int32_t buffer, int32_t offset)
{
    struct fletch_string_view view = {.bytes = bytes, .buffer = buffer, .offset = offset};
    if (offset >= 0 && (size_t)offset < sizeof long_text - 4)
        memcpy(view.prefix, long_text + offset, sizeof view.prefix);
    return view;
}

static struct fletch_string_view short_view(const char *text)
{
    struct fletch_string_view view = {.bytes = (int32_t)strlen(text)};
    memcpy((char *)&view + sizeof view.bytes, text, strlen(text));
    return view;
}

static struct scene views_scene(const char *schema, const struct fletch_string_view views[3])
{
    return (struct scene){.schema = schema,
                          .rows = 3,
                          .nodes = {{.length = 3}},
                          .spans = {{NULL, 0},
                                    {(const uint8_t *)views, 3 * sizeof *views},
                                    TEXT("unused"),
                                    TEXT(long_text)},
                          .view_spans = {2, 4}};
}

static void views_are_checked(void **state)
{
    (void)state;
    struct fletch_string_view views[3] = {short_view(""), short_view("twelve bytes"),
                                          long_view(20, 1, 1)};
    struct scene scene = views_scene("a=vu", views);
    good(&scene);
    static const struct {
        int32_t bytes;
        int32_t buffer;
        int32_t offset;
    } wrong[] = {
        {-1, 1, 0}, {INT32_MIN, 1, 0}, {13, 2, 0},         {13, -1, 0},        {13, 1, -1},
        {13, 1, 9}, {22, 1, 0},        {INT32_MAX, 1, 21}, {21, 1, INT32_MAX}, {13, 0, 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        views[2] = long_view(wrong[i].bytes, wrong[i].buffer, wrong[i].offset);
        found(&scene, 2, "field 'a' (utf8_view): element 2 is a view of ");
    }
    views[2] = long_view(14, 1, 7);
    good(&scene);
    views[2].prefix[3] ^= 1;
    found(&scene, 3, "element 2, 14 bytes, is a view whose first 4 bytes are not those");
    views[2] = short_view("abc");
    good(&scene);
    ((char *)&views[2])[sizeof views[2] - 1] = 1;
    found(&scene, 3, "element 2, 3 bytes, is a view with other bytes than 0 behind its own");
    views[2] = short_view("\xC3");
    found(&scene, 3, "element 2, 1 bytes, is not UTF-8");
    scene.schema = "a=vz";
    good(&scene);
}

static void views_of_null_elements_mean_nothing(void **state)
{
    (void)state;
    static const uint8_t validity[] = {5};
    struct fletch_string_view views[3] = {short_view("a"), long_view(-7, 99, -9), short_view("b")};
    struct scene scene = views_scene("a=vu", views);
    scene.nodes[0].null_count = 1;
    scene.spans[0] = (struct fletch_batch_span)SPAN(validity);
    good(&scene);
    scene.nodes[0].null_count = 0;
    found(&scene, 3, "null count 0, its validity has 1");
    scene.spans[0] = (struct fletch_batch_span){NULL, 0};
    found(&scene, 2, "element 1 is a view of -7 bytes at -9 of buffer 99 of 2");
}

static void data_buffers_are_where_the_batch_says(void **state)
{
    (void)state;
    struct fletch_string_view views[3] = {short_view("a"), short_view("b"), short_view("c")};
    struct scene scene = views_scene("a=vu", views);
    scene.spans[2] = (struct fletch_batch_span){NULL, 3};
    found(&scene, 1, "field 'a' (utf8_view): data buffer 0 of 3 bytes at no address");
    scene.spans[2] = (struct fletch_batch_span){NULL, 0};
    good(&scene);
    scene.spans[1].bytes--;
    found(&scene, 1, "views of 47 bytes, expected at least 48");
    scene.spans[1].bytes++;
    scene.spans[1].data += 4;
    found(&scene, 1, "views at an address that is no multiple of 8");
    scene = views_scene("a=vu", views);
    scene.view_spans[0] = 1;
    found(&scene, 1, "batch of 1 spans, its schema wants 2");
    scene = views_scene("a=vu", views);
    struct fletch_batch *batch = batch_of(&scene);
    struct fletch_error error;
    batch->view_count = 0;
    assert_int_equal(fletch_batch_validate(batch, FLETCH_VALIDATION_STRUCTURE, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "batch of 4 spans, its schema wants 2");
    batch->view_count = 1;
    batch->span_count = 3;
    assert_int_equal(fletch_batch_validate(batch, FLETCH_VALIDATION_STRUCTURE, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "batch of 3 spans, those of view 0 are 2 to 4");
    fletch_batch_release(pool.cache, batch);
}

/* ---- list views ---- */

static void list_views_are_checked(void **state)
{
    (void)state;
    static const int8_t values[] = {1, 2, 3, 4};
    int32_t starts[] = {99, 2, 0, 4};
    int32_t sizes[] = {99, 2, 4, 0};
    struct scene scene = {
        .schema = "a=+vl(item=c)",
        .rows = 3,
        .nodes = {{.length = 3, .offset = 1}, {.length = 4}},
        .spans = {{NULL, 0}, SPAN(starts), SPAN(sizes), {NULL, 0}, SPAN(values)},
    };
    good(&scene); /* overlapping, not in order, one at the end */
    static const int32_t wrong[][2] = {{-1, 0}, {0, -1},        {5, 0},         {4, 1},
                                       {0, 5},  {INT32_MAX, 1}, {1, INT32_MAX}, {INT32_MIN, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        starts[2] = wrong[i][0];
        sizes[2] = wrong[i][1];
        found(&scene, 2, "field 'a' (list_view): element 1 has ");
    }
    starts[2] = sizes[2] = 0;
    scene.spans[2].bytes -= 1;
    found(&scene, 1, "sizes of 15 bytes, expected at least 16");
    scene.spans[2].bytes += 1;
    scene.spans[1].data += 2;
    found(&scene, 1, "offsets at an address that is no multiple of 4");
    int64_t wide_starts[] = {3, 1};
    int64_t wide_sizes[] = {1, INT64_MAX};
    scene = (struct scene){
        .schema = "a=+vL(item=c)",
        .rows = 2,
        .nodes = {{.length = 2}, {.length = 4}},
        .spans = {{NULL, 0}, SPAN(wide_starts), SPAN(wide_sizes), {NULL, 0}, SPAN(values)},
    };
    found(&scene, 2, "element 1 has 9223372036854775807 from 1 on, expected some of the child's 4");
    wide_sizes[1] = 3;
    good(&scene);
}

/* ---- fixed-size lists ---- */

static void fixed_size_lists_are_checked(void **state)
{
    (void)state;
    static const int8_t values[12] = {0};
    struct scene scene = {
        .schema = "a=+w:3(item=c)",
        .rows = 3,
        .nodes = {{.length = 3, .offset = 1}, {.length = 9, .offset = 3}},
        .spans = {{NULL, 0}, {NULL, 0}, SPAN(values)},
    };
    good(&scene);
    scene.nodes[1].length = 8;
    found(&scene, 1, "field 'a.item' (int8): length 8, expected the fixed_size_list's 3 times 3");
    scene.nodes[1] = (struct fletch_batch_node){.length = 9, .offset = 2};
    found(&scene, 1, "offset 2, expected at least the fixed_size_list's 1 times 3");
    scene.schema = "a=+w:0(item=c)";
    scene.nodes[1] = (struct fletch_batch_node){.length = 0};
    good(&scene);
    scene.schema = "a=+w:2147483647(item=n)";
    scene.rows = scene.nodes[0].length = FLETCH_ELEMENTS_MAX;
    found(&scene, 1, "expected no more than");
    scene.rows = scene.nodes[0].length = 0;
    scene.nodes[0].offset = FLETCH_ELEMENTS_MAX;
    found(&scene, 1, "expected no more than");
}

/* ---- unions ---- */

static void unions_are_checked(void **state)
{
    (void)state;
    static const int8_t values[4] = {0};
    int8_t type_ids[] = {99, 5, 0, 5};
    int32_t starts[] = {99, 0, 3, 1};
    struct scene scene = {
        .schema = "a=+ud:5,0(x=c y=c)",
        .rows = 3,
        .nodes = {{.length = 3, .offset = 1}, {.length = 2}, {.length = 4}},
        .spans = {SPAN(type_ids), SPAN(starts), {NULL, 0}, SPAN(values), {NULL, 0}, SPAN(values)},
    };
    good(&scene);
    scene.nodes[0].null_count = 1;
    found(&scene, 1, "field 'a' (dense_union[5, 0]): null count 1, expected 0: its children");
    scene.nodes[0].null_count = 0;
    type_ids[3] = 1;
    found(&scene, 2, "element 2 has type id 1, which no child has");
    type_ids[3] = -1;
    found(&scene, 2, "element 2 has type id -1, which no child has");
    type_ids[3] = 5;
    static const int32_t wrong[] = {2, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        starts[3] = wrong[i];
        found(&scene, 2, "of the child of type id 5, which has 2");
    }
    starts[1] = 1;
    starts[3] = 0;
    found(&scene, 3, "element 2 is at 0 of the child of type id 5, expected 1 or more");
    starts[3] = 1;
    good(&scene);
    scene.spans[1].bytes = 15;
    found(&scene, 1, "offsets of 15 bytes, expected at least 16");
    scene.spans[0] = (struct fletch_batch_span){NULL, 0};
    found(&scene, 1, "type ids of 0 bytes, expected at least 4");
    scene = (struct scene){
        .schema = "a=+us:5,0(x=c y=c)",
        .rows = 3,
        .nodes = {{.length = 3, .offset = 1}, {.length = 3, .offset = 1}, {.length = 2}},
        .spans = {SPAN(type_ids), {NULL, 0}, SPAN(values), {NULL, 0}, SPAN(values)},
    };
    found(&scene, 1, "field 'a.y' (int8): length 2, expected the sparse_union's 3 times 1");
    scene.nodes[2].length = 3;
    found(&scene, 1, "field 'a.y' (int8): offset 0, expected at least the sparse_union's 1");
    scene.nodes[2].offset = 1;
    good(&scene);
    type_ids[1] = 7;
    found(&scene, 2, "element 0 has type id 7, which no child has");
    scene = (struct scene){.schema = "a=+us:", .nodes = {{.length = 0}}, .spans = {{NULL, 0}}};
    good(&scene);
    scene.rows = scene.nodes[0].length = 1;
    scene.spans[0] = (struct fletch_batch_span){(const uint8_t *)type_ids, 1};
    found(&scene, 2, "element 0 has type id 99, which no child has");
}

/* ---- runs ---- */

static void runs_are_checked(void **state)
{
    (void)state;
    static const int8_t values[4] = {0};
    static const uint8_t validity[] = {7};
    int16_t ends[] = {0, 2, 3, 7};
    struct scene scene = {
        .schema = "a=+r(run_ends=s values=c)",
        .rows = 5,
        .nodes = {{.length = 5, .offset = 2}, {.length = 3, .offset = 1}, {.length = 3}},
        .spans = {{NULL, 0}, SPAN(ends), {NULL, 0}, SPAN(values)},
    };
    good(&scene);
    scene.nodes[0].null_count = -1;
    found(&scene, 1, "field 'a' (run_end_encoded): null count -1, expected 0");
    scene.nodes[0].null_count = 0;
    ends[3] = 6;
    found(&scene, 2, "the last run ends at 6, expected offset and length together, 7, at least");
    ends[3] = 3;
    found(&scene, 2, "field 'a.run_ends' (int16): run 2 ends at 3, expected more than 3");
    ends[3] = -7;
    found(&scene, 2, "run 2 ends at -7, expected more than 3");
    ends[3] = 7;
    ends[1] = 0;
    found(&scene, 2, "run 0 ends at 0, expected more than 0");
    ends[1] = 2;
    scene.nodes[2].length = 2;
    found(&scene, 1, "field 'a' (run_end_encoded): 3 run ends and 2 values for 5 elements");
    scene.nodes[1].length = scene.nodes[2].length = 0;
    found(&scene, 1, "0 run ends and 0 values for 5 elements");
    scene.rows = scene.nodes[0].length = 0;
    good(&scene);
    scene.rows = scene.nodes[0].length = 5;
    scene.nodes[1].length = scene.nodes[2].length = 3;
    scene.nodes[1].null_count = 1;
    scene.spans[0] = (struct fletch_batch_span)SPAN(validity);
    found(&scene, 1, "field 'a.run_ends' (int16): null count 1, expected no nulls in run ends");
    scene.nodes[1].null_count = -1;
    found(&scene, 2, "field 'a.run_ends' (int16): nulls, expected none in run ends");
    scene.nodes[1].offset = 0;
    ends[0] = 1;
    scene.nodes[0].length = scene.rows = 1;
    good(&scene);
}

/* ---- dictionaries in dictionaries ---- */

static struct fletch_batch *indices(const char *text, const int8_t values[2],
                                    struct fletch_batch *dictionary)
{
    struct fletch_schema *schema = schema_new(text);
    static const int32_t offsets[] = {0, 1, 2};
    const bool is_list = schema->field_count == 2;
    const struct fletch_batch_node nodes[] = {{.length = 2}, {.length = 2}};
    const struct fletch_batch_span spans[] = {
        {NULL, 0},
        {is_list ? (const uint8_t *)offsets : (const uint8_t *)values, is_list ? 12 : 2},
        {NULL, 0},
        {(const uint8_t *)values, 2},
    };
    const struct fletch_batch_parts parts = {
        .schema = schema,
        .row_count = 2,
        .nodes = nodes,
        .spans = spans,
        .dictionaries = &dictionary,
        .node_count = schema->field_count,
        .span_count = schema->span_count,
        .dictionary_count = schema->dictionary_count,
    };
    struct fletch_batch *batch;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

static void dictionaries_are_followed_into_each_other(void **state)
{
    (void)state;
    static const int8_t in_range[] = {1, 0};
    static const int8_t out_of_range[] = {0, 2};
    for (int i = 0; i < 3; i++) {
        struct fletch_error error = {.message = ""};
        struct fletch_batch *inmost = indices("=+l(x=c)", in_range, NULL);
        struct fletch_batch *middle =
            indices("=+l(y=c<+l(x=c)>)", i == 1 ? out_of_range : in_range, inmost);
        struct fletch_batch *batch =
            indices("a=c<+l(y=c<+l(x=c)>)>", i == 2 ? out_of_range : in_range, middle);
        assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_OFFSETS, &error));
        assert_int_equal(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, &error),
                         i == 0 ? FLETCH_OK : FLETCH_INVALID_ARGUMENT);
        if (i == 1)
            assert_contains(error.message, "dictionary of field 'a..y' (dictionary<int8, list>): "
                                           "element 1 has index 2");
        if (i == 2)
            assert_contains(error.message, "field 'a' (dictionary<int8, list>): element 1 has");
        /* What is wrong in the inmost one is found from outside, by its path. */
        inmost->nodes[1].length = 1;
        assert_int_equal(fletch_batch_validate(batch, FLETCH_VALIDATION_OFFSETS, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, "dictionary of field 'a..y' (list): offsets end at 2");
        fletch_batch_release(pool.cache, batch);
    }
}

/* ---- what little memory stands for ---- */

static void nulls_and_runs_have_an_end(void **state)
{
    (void)state;
    int64_t offsets[] = {0, INT64_C(1) << 36};
    struct scene scene = {
        .schema = "a=+L(item=n)",
        .rows = 1,
        .nodes = {{.length = 1}, {.length = INT64_C(1) << 40, .null_count = INT64_C(1) << 40}},
        .spans = {{NULL, 0}, SPAN(offsets)},
    };
    found(&scene, 2, "field 'a' (large_list): stands for more elements than 68719476736");
    offsets[1]--;
    good(&scene);
    int64_t run_end = INT64_C(1) << 37;
    scene = (struct scene){
        .schema = "a=+r(run_ends=l values=n)",
        .rows = run_end,
        .nodes = {{.length = run_end}, {.length = 1}, {.length = 1, .null_count = 1}},
        .spans = {{NULL, 0}, SPAN(&run_end)},
    };
    scene.spans[1].bytes = sizeof run_end;
    found(&scene, 2, "field 'a' (run_end_encoded): stands for more elements than ");
    scene = (struct scene){.schema = "", .rows = (INT64_C(1) << 36) + 1};
    found(&scene, 2, "batch of 68719476737 rows without columns, expected at most 68719476736");
    scene.rows--;
    good(&scene);
}

static void runs_count_for_each_element(void **state)
{
    (void)state;
    const int64_t offsets[] = {0, INT64_C(1) << 20};
    int64_t run_end = INT64_C(1) << 16;
    struct scene scene = {
        .schema = "a=+r(run_ends=l values=+L(item=n))",
        .rows = run_end,
        .nodes = {{.length = run_end}, {.length = 1}, {.length = 1}, {.length = offsets[1]}},
        .spans = {{NULL, 0}, {(const uint8_t *)&run_end, sizeof run_end}, {NULL, 0}, SPAN(offsets)},
    };
    scene.nodes[3].null_count = offsets[1];
    found(&scene, 2, "field 'a' (run_end_encoded): stands for more elements than ");
    scene.rows = scene.nodes[0].length = 1 << 15;
    good(&scene);
}

/* Two elements in each list, and each of them in both of the next level's. */
static void list_views_share_no_more_than_can_be_counted(void **state)
{
    (void)state;
    enum { LEVELS_MOST = 60, LEVELS_GOOD = 10 };
    const int32_t starts[] = {0, 0};
    const int32_t sizes[] = {2, 2};
    char text[LEVELS_MOST * 16] = "a=";
    for (uint32_t levels = 0; levels <= LEVELS_MOST; levels++) {
        struct scene scene = {.schema = text, .rows = 2};
        char ends[LEVELS_MOST + 1] = "";
        for (uint32_t i = 0; i < levels; i++) {
            scene.nodes[i].length = 2;
            scene.spans[3 * i + 1] = (struct fletch_batch_span)SPAN(starts);
            scene.spans[3 * i + 2] = (struct fletch_batch_span)SPAN(sizes);
            ends[i] = ')';
        }
        scene.nodes[levels] = (struct fletch_batch_node){.length = 2, .null_count = 2};
        const size_t bytes = strlen(text);
        strcat(strcat(text, "n"), ends);
        if (levels == LEVELS_GOOD)
            good(&scene);
        if (levels == LEVELS_MOST) {
            struct fletch_error error = {.message = ""};
            struct fletch_batch *batch = batch_of(&scene);
            assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_STRUCTURE, &error));
            assert_int_equal(fletch_batch_validate(batch, FLETCH_VALIDATION_OFFSETS, &error),
                             FLETCH_INVALID_ARGUMENT);
            assert_contains(
                error.message,
                "field 'a' (list_view): what is nested is shared in more than 33554432 places");
            fletch_batch_release(pool.cache, batch);
        }
        text[bytes] = '\0';
        strcat(text, "+vl(item=");
    }
}

static int begin(void **state)
{
    (void)state;
    pool = test_pool_make();
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_pool_end(&pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_checked),
        cmocka_unit_test(views_of_null_elements_mean_nothing),
        cmocka_unit_test(data_buffers_are_where_the_batch_says),
        cmocka_unit_test(list_views_are_checked),
        cmocka_unit_test(fixed_size_lists_are_checked),
        cmocka_unit_test(unions_are_checked),
        cmocka_unit_test(runs_are_checked),
        cmocka_unit_test(dictionaries_are_followed_into_each_other),
        cmocka_unit_test(nulls_and_runs_have_an_end),
        cmocka_unit_test(runs_count_for_each_element),
        cmocka_unit_test(list_views_share_no_more_than_can_be_counted),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
